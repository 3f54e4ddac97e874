#!/usr/bin/python3
"""run.py [CLASS.TEST...] - the tests of the Python module: every test_*.py here."""
import os
import sys

sys.dont_write_bytecode = True
here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [here, os.path.join(here, "../support"), os.path.join(here, "../../worker/python")]

import check  # noqa: E402
import test_checkpoint  # noqa: E402
import test_layout  # noqa: E402
import test_module  # noqa: E402
import test_overhead  # noqa: E402
import test_package  # noqa: E402
import test_signals  # noqa: E402
import test_surprises  # noqa: E402

if __name__ == "__main__":
    check.main(test_checkpoint, test_layout, test_module, test_overhead, test_package, test_signals, test_surprises)
