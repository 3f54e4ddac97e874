#!/usr/bin/python3
"""examples.py [Examples.TEST...] - the examples in Python beside themselves with --plain: over local:, and as they
are run by a user, under rowhouse run with two servers."""
import importlib
import os
import re
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
here = os.path.dirname(os.path.abspath(__file__))
package = os.path.join(here, "../../worker/python")
sys.path[:0] = [here, package, os.path.join(package, "examples")]

import numpy as np  # noqa: E402

import check  # noqa: E402
import rowhouse.torch  # noqa: E402

os.environ["RH_SERVERS"] = "local:3"
RTOL = 1e-4  # as the examples' docstrings have it


class Examples(unittest.TestCase):
    def matches(self, name):
        """The example equals plain torch; returns its module and its losses."""
        example = importlib.import_module(name)
        plain, own = example.train(plain=True), example.train()
        np.testing.assert_allclose(own, plain, rtol=RTOL, atol=0)
        done = subprocess.run(
            [os.path.join(os.environ.get("RH_BIN", "build/bin"), "rowhouse"), "run", "-s", "2", "-w", "1", "--",
             sys.executable, "-B", example.__file__], text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=60, env={**os.environ, "PYTHONPATH": package})
        printed = [(int(i), float(loss)) for i, loss in re.findall(r"(\d+): loss ([\d.]+)", done.stdout)]
        self.assertEqual((done.returncode, len(printed)), (0, len(plain) // 10), done.stdout)
        np.testing.assert_allclose([loss for _, loss in printed], [plain[i - 1] for i, _ in printed], rtol=RTOL)
        return example, own

    def info(self, table):
        """Of what the run over local: has left."""
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


if __name__ == "__main__":
    check.main(sys.modules[__name__])
