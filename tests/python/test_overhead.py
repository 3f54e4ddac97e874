"""test_overhead.py - what Python adds to a call of the library, in counts that no busy machine changes; `make bench` has
the times."""
import collections
import sys
import tracemalloc
import unittest

import numpy as np

import rowhouse

DIM = 64


def counted(function, *arguments, **named):
    """How many functions of Python and of C it calls, itself among them."""
    seen = collections.Counter()
    sys.setprofile(lambda frame, event, arg: seen.update([event]))
    try:
        function(*arguments, **named)
    finally:
        sys.setprofile(None)
    return seen["call"], seen["c_call"] - 1  # the last is sys.setprofile


def allocated(function, *arguments, **named):
    """The most bytes that it has held at once."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        result = function(*arguments, **named)  # noqa: F841
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


class Overhead(unittest.TestCase):
    def setUp(self):
        client = rowhouse.connect("local:")
        self.addCleanup(client.close)
        self.table = client.table("t", 10000, DIM)

    def test_arrays_pass_in_few_calls_however_many_ids_there_are(self):
        t = self.table
        for n in (8, 8192):
            ids, rows = np.arange(n), np.ones((n, DIM), np.float32)
            for function, arguments, named in ((t.pull, (ids,), {}), (t.pull, (ids,), {"out": rows}),
                                               (t.read, (ids,), {}), (t.push, (ids, rows), {}),
                                               (t.write, (ids.astype(np.uint64), rows), {})):
                python, c = counted(function, *arguments, **named)
                self.assertTrue(python <= 8 and c <= 6, f"{function} of {n} ids: {python} of Python, {c} of C")

    def test_a_pull_allocates_what_it_returns_and_nothing_else_as_large(self):
        ids, rows = np.arange(8192), np.zeros((8192, DIM), np.float32)
        little = 4096
        self.table.pull(ids)
        self.assertLess(allocated(self.table.pull, ids, out=rows), little)
        self.assertLess(allocated(self.table.push, ids, rows), little)
        self.assertLess(allocated(self.table.pull, ids) - rows.nbytes, little)
