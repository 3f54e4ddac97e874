"""signals.py - Ctrl-C, and every other signal whose handler is Python, while a call waits in C."""
from __future__ import annotations

import ctypes as C
import threading
from typing import Any, Generator, List, Optional

Interrupted = C.CFUNCTYPE(C.c_int, C.c_void_p)

# What a handler raised while a call of the main thread waited; _lib.call raises it when that is back.
caught: List[BaseException] = []


def raise_caught() -> None:
    if threading.current_thread() is threading.main_thread():
        raise caught.pop()


def _asked() -> Generator[int, Any, None]:
    """rh_interrupted. Python runs handlers when it enters code, so a function's first line is too
    late for a try; a generator is resumed inside of its own."""
    answer = 0
    while True:
        try:
            while True:  # the jump back is inside, too
                yield answer
                answer = 0
        except GeneratorExit:
            return
        except BaseException as error:
            # Without this frame: whoever clears a traceback's frames would end the generator.
            below = error.__traceback__ and error.__traceback__.tb_next
            caught.append(error.with_traceback(below))
            del error, below
            answer = 1


def hook() -> Optional[Any]:
    """A new function for rh_config.interrupted, which must be held for as long as the client. None
    outside of the main thread, where Python runs no handlers."""
    if threading.current_thread() is not threading.main_thread():
        return None
    asked = _asked()
    next(asked)
    return Interrupted(asked.send)
