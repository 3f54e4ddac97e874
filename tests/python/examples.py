#!/usr/bin/python3
"""examples.py [CLASS[.TEST]...] - the examples in Python beside themselves with --plain: Local over local:, Launched as
a user runs them, under rowhouse run with two servers."""
import importlib
import os
import re
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
here = os.path.dirname(os.path.abspath(__file__))
package = os.path.join(here, "../../worker/python")
sys.path[:0] = [here, os.path.join(here, "../support"), package, os.path.join(package, "examples")]

import numpy as np  # noqa: E402

import check  # noqa: E402
import rowhouse.torch  # noqa: E402
from relay import Relay  # noqa: E402
from servers import Servers  # noqa: E402

os.environ["RH_SERVERS"] = "local:3"
RTOL = 1e-4  # as the examples' docstrings have it


class Local(unittest.TestCase):
    def matches(self, name):
        """The example equals plain torch; returns its module and its losses."""
        example = importlib.import_module(name)
        plain, own = example.train(plain=True), example.train()
        np.testing.assert_allclose(own, plain, rtol=RTOL, atol=0)
        return example, own

    def info(self, table):
        return rowhouse.torch.default_client().find(table).info()

    def test_a_text_classifier_learns_its_words_once_they_are_unfrozen(self):
        example, losses = self.matches("text_classifier")
        self.assertEqual(len(losses), example.BATCHES)
        self.assertLess(losses[-1], 0.6 * losses[example.UNFREEZE - 1])
        self.assertEqual(self.info("words").steps, example.BATCHES - example.UNFREEZE)

    def test_a_soft_prompt_learns_and_the_vocabulary_does_not(self):
        example, losses = self.matches("prompt_tuning")
        self.assertLess(sum(losses[-5:]), 0.5 * sum(losses[:5]))
        vocabulary, prompt = self.info("vocabulary"), self.info("prompt")
        self.assertEqual((vocabulary.frozen, vocabulary.steps), (example.VOCABULARY, 0))
        self.assertEqual((prompt.trainable, prompt.steps), (example.PROMPT * example.DIM, example.STEPS))

    def test_a_factorization_machine_learns(self):
        example, losses = self.matches("factorization_machine")
        self.assertEqual(len(losses), example.STEPS)
        self.assertLess(sum(losses[-10:]), 0.9 * sum(losses[:10]))

    def test_a_step_of_the_factorization_machine_is_one_round_trip(self):
        import factorization_machine as example
        before = os.environ["RH_SERVERS"], example.STEPS
        took = []
        for example.STEPS in (10, 30):
            with Servers(1) as servers, Relay(servers.addresses[0]) as relay:
                os.environ["RH_SERVERS"] = relay.address
                example.train()
                took.append(relay.round_trips)
                with rowhouse.connect(servers.addresses, observer=True) as observer:
                    steps = [observer.find(f"C{f + 1}").info().steps for f in range(example.FIELDS)]
            self.assertEqual(steps, [example.STEPS] * example.FIELDS)
        os.environ["RH_SERVERS"], example.STEPS = before
        # 20 more steps. Where a busy machine makes a batch take longer than its first answer, a few count twice.
        self.assertAlmostEqual(took[1] - took[0], 20, delta=10, msg=took)

    def test_a_vision_transformer_learns_where_patches_are(self):
        example, losses = self.matches("vision_transformer")
        self.assertEqual(len(losses), example.STEPS)
        self.assertLess(sum(losses[-10:]), 0.1 * sum(losses[:10]))
        client = rowhouse.torch.default_client()
        for name, shape in (("class-token", (1, 1, example.DIM)), ("positions", (1, example.PATCHES + 1, example.DIM))):
            self.assertEqual(client.parameter(name, shape, optimizer=rowhouse.AdamW(lr=0.01)).table.info().steps,
                             example.STEPS)


class Launched(unittest.TestCase):
    def launch(self, workers, *program, meanwhile=lambda: None, **environment):
        """What it says, what meanwhile has come to, and its exit status."""
        with subprocess.Popen(
                [os.path.join(os.environ.get("RH_BIN", "build/bin"), "rowhouse"), "run", "-s", "2", "-w", workers, "--",
                 sys.executable, "-B", *program], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": f"{package}:{package}/examples", **environment}) as job:
            try:
                done = meanwhile()
                return job.communicate(timeout=60)[0], done, job.returncode
            except BaseException:
                job.terminate()
                raise

    def matches(self, name):
        """What it prints are the losses of plain torch."""
        example = importlib.import_module(name)
        said, plain, status = self.launch("1", str(example.__file__), meanwhile=lambda: example.train(plain=True))
        printed = [(int(i), float(loss)) for i, loss in re.findall(r"(\d+): loss ([\d.]+)", said)]
        self.assertEqual((status, len(printed)), (0, len(plain) // 10), said)
        np.testing.assert_allclose([loss for _, loss in printed], [plain[i - 1] for i, _ in printed], rtol=RTOL)

    def test_two_workers_under_bsp_with_half_of_every_batch_each_learn_the_soft_prompt_of_the_whole(self):
        path = os.path.join(os.environ.get("TMPDIR", "/tmp"), "losses")
        program = ("import os, sys, prompt_tuning\n"  # files, because mpirun may mix what ranks print
                   "with open(f'{sys.argv[1]}.{os.environ[\"RH_RANK\"]}', 'w') as file:\n"
                   "    print(*prompt_tuning.train(), file=file)\n")
        train = importlib.import_module("prompt_tuning").train
        said, plain, status = self.launch("2", "-c", program, path, meanwhile=lambda: train(plain=True), RH_MODE="bsp")
        self.assertEqual(status, 0, said)
        halves = [np.loadtxt(f"{path}.{rank}") for rank in range(2)]
        self.assertTrue((halves[0] != halves[1]).all())
        np.testing.assert_allclose(np.mean(halves, 0), plain, rtol=RTOL)

    def test_the_text_classifier(self):
        self.matches("text_classifier")

    def test_the_soft_prompt(self):
        self.matches("prompt_tuning")

    def test_the_factorization_machine(self):
        self.matches("factorization_machine")

    def test_the_vision_transformer(self):
        self.matches("vision_transformer")


if __name__ == "__main__":
    check.main(sys.modules[__name__])
