"""test_package.py - the module in a process of its own: the library that it finds, the environment that
it reads; and what torch's arguments and laws are, beside torch."""
import inspect
import os
import subprocess
import sys
import threading
import time
import unittest

import numpy as np
import torch

import rowhouse
from check import PACKAGE, run_program

TMP = os.environ.get("TMPDIR", "/tmp")


class Package(unittest.TestCase):
    def test_torch_is_not_imported(self):
        self.assertEqual(run_program("import sys; print('torch' in sys.modules)"), "False")

    def test_the_environment_says_where_to_connect(self):
        self.assertEqual(run_program("print(rowhouse.connect())", RH_SERVERS="local:3", RH_RANK="0"),
                         "<rowhouse.Client: rank 0 of 1, 3 shards>")
        self.assertIn("RH_MODE", run_program("rowhouse.connect('local:')", RH_MODE="sometimes"))
        self.assertEqual(run_program("print(rowhouse.connect('local:', mode='bsp').world)", RH_MODE="sometimes"), "1")

    def test_a_program_under_rowhouse_run_needs_to_say_nothing(self):
        path = os.path.join(TMP, "job.py")
        with open(path, "w") as file:
            file.write("import rowhouse\nwith rowhouse.connect() as c:\n"
                       "    t = c.table('t', 10, 1, optimizer=rowhouse.SGD(1), init=rowhouse.init.zeros())\n"
                       "    t.push(c.rank, [c.rank + 1])\n    c.tick()\n    c.barrier()\n"
                       "    with open(f'{__file__}.{c.rank}', 'w') as file:\n"  # mpirun may mix what ranks print
                       "        print(c.world, c.shards, *t.pull([0, 1])[:, 0], file=file)\n")
        done = subprocess.run(
            [os.path.join(os.environ.get("RH_BIN", "build/bin"), "rowhouse"), "run", "-s", "2", "-w", "2",
             "--", sys.executable, "-B", path], text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=60, env={**os.environ, "PYTHONPATH": PACKAGE})
        self.assertEqual(done.returncode, 0, done.stdout)
        for rank in range(2):
            with open(f"{path}.{rank}") as file:
                self.assertEqual(file.read(), "2 2 -1.0 -2.0\n")

    def test_the_library_is_where_rh_library_says(self):
        self.assertIn("ImportError: rowhouse: cannot load its library: /no/lib.so",
                      run_program("", RH_LIBRARY="/no/lib.so"))

    def test_another_library_is_told_apart(self):
        self.assertIn("it is older than this module", run_program("", RH_LIBRARY="libc.so.6"))

    def test_options_that_make_no_sense_are_refused(self):
        for text, options in (('not "fast"', {"mode": "fast"}), ('not "ssp"', {"mode": "ssp"}),
                              ("rank is -1", {"rank": -1}), ("rank 3 of world 2", {"rank": 3, "world": 2}),
                              ("timeout is 0", {"timeout": 0}), ("local_shards is 65", {"local_shards": 65})):
            with self.assertRaises(rowhouse.InvalidError) as caught:
                rowhouse.connect("local:", **options)
            self.assertIn(text, str(caught.exception))

    def test_a_mode_is_told_as_it_was_given(self):
        for mode in "async", "ssp:0", "ssp:12", "bsp":
            with rowhouse.connect("local:", mode=mode) as client:
                self.assertEqual(client.mode, mode)

    def test_nobody_at_an_address_is_a_connection_error(self):
        with self.assertRaisesRegex(ConnectionError, "tcp://127.0.0.1:1"):
            rowhouse.connect("tcp://127.0.0.1:1", connect_timeout=0.2)

    def test_python_runs_on_while_a_call_waits(self):
        def wait():
            with self.assertRaises(rowhouse.UnreachableError):
                rowhouse.connect("tcp://127.0.0.1:1", connect_timeout=0.4)
        thread = threading.Thread(target=wait)
        thread.start()
        turns = 0
        while thread.is_alive():
            time.sleep(0.01)
            turns += 1
        self.assertGreater(turns, 5)  # with the GIL held it would be 1 or 2

    def test_initializers_are_torchs_laws(self):
        def draw(init):
            with rowhouse.connect("local:") as c:
                return c.table("t", 2000, 50, init=init).pull(np.arange(2000)).ravel()

        def distance(a, b):
            """Kolmogorov and Smirnov's, of two samples of n: below 1.95 * sqrt(2 / n) in 999 of 1000 pairs."""
            every = np.concatenate((a, b))
            below = [np.searchsorted(np.sort(x), every, "right") / len(x) for x in (a, b)]
            return np.abs(below[0] - below[1]).max()
        torch.manual_seed(0)
        weight = torch.empty(2000, 50)
        for name, arguments in (("uniform", (-0.5, 0.25)), ("normal", (1, 0.5)), ("xavier_uniform", (2,)),
                                ("trunc_normal", (0.25, 1, -1, 1)), ("xavier_normal", ()),
                                ("kaiming_uniform", (0.5, "fan_in", "leaky_relu")),
                                ("kaiming_normal", (0, "fan_out", "relu")), ("zeros", ()), ("ones", ()),
                                ("constant", (0.125,)), ("kaiming_normal", (0, "fan_in", "tanh"))):
            getattr(torch.nn.init, name + "_")(weight, *arguments)
            ours, theirs = draw(getattr(rowhouse.init, name)(*arguments)), weight.numpy().ravel()
            scale = max(1e-6, float(theirs.std()))
            self.assertAlmostEqual(ours.mean(), theirs.mean(), delta=0.02 * scale, msg=name)
            self.assertAlmostEqual(ours.std(), theirs.std(), delta=0.02 * scale, msg=name)
            self.assertLess(distance(ours, theirs), 1.95 * (2 / len(ours)) ** 0.5, name)
            if "normal" not in name or "trunc" in name:
                self.assertAlmostEqual(np.abs(ours).max(), np.abs(theirs).max(), delta=0.001, msg=name)

    def test_gains_are_torchs_for_every_nonlinearity_and_no_other(self):
        for name, *param in (("linear",), ("conv1d",), ("conv2d",), ("conv3d",), ("conv_transpose1d",),
                             ("conv_transpose2d",), ("conv_transpose3d",), ("sigmoid",), ("tanh",), ("relu",),
                             ("leaky_relu",), ("leaky_relu", 0.5), ("leaky_relu", 0), ("selu",)):
            self.assertEqual(rowhouse.init.calculate_gain(name, *param),
                             torch.nn.init.calculate_gain(name, *param), name)
        for name in ("gelu", "conv", "conv4d", "conv_transpose", ""):
            for module in rowhouse.init, torch.nn.init:
                with self.assertRaises(ValueError):
                    module.calculate_gain(name)

    def test_optimizers_have_torchs_arguments_and_defaults(self):
        for name in ("SGD", "Adagrad", "SparseAdam", "Adam", "AdamW", "RMSprop"):
            theirs = inspect.signature(getattr(torch.optim, name)).parameters
            for own in inspect.signature(getattr(rowhouse, name)).parameters.values():
                if own.name == "steps_per_row":
                    continue
                self.assertIn(own.name, theirs, name)
                if (name, own.name) != ("SGD", "lr"):  # which torch requires, too
                    self.assertEqual(own.default, theirs[own.name].default, f"{name} {own.name}")
