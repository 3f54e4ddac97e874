"""torch_checkpoint.py - a model whose layers torch.save has and whose rows are in the servers' checkpoint: killed, and
gone on with; and what load_state_dict says where the two do not go together."""
import copy
import os
import signal
import subprocess
import sys
import tempfile
import unittest
import warnings

import torch
from torch import nn

import rowhouse
import rowhouse.torch as rt
from check import PACKAGE
from servers import Servers

STEPS, SAVE_AT, DIE_AT = 40, 20, 27

# Adam on the layers, SparseAdam with a schedule on the words, Adagrad on the tags: all have state of their own. What it
# prints are the bits of its losses.
PROGRAM = """
import os, signal, sys
import torch
from torch import nn
import rowhouse
import rowhouse.torch as rt

path, steps, save_at, die_at = sys.argv[1], *map(int, sys.argv[2:])
torch.manual_seed(3)
client = rt.default_client()


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = rt.Embedding(50, 4, padding_idx=0, name="words", optimizer=rowhouse.SparseAdam(0.05))
        self.tags = rt.EmbeddingBag(30, 4, mode="sum", name="tags", optimizer=rowhouse.Adagrad(0.1))
        self.bias = rt.Parameter(torch.zeros(4), name="bias", optimizer=rowhouse.AdamW(0.01))
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))

    def forward(self, words, tags):
        return self.layers(self.words(words).mean(1) + self.tags(tags) + self.bias)


model = Model()
layers = torch.optim.Adam(model.layers.parameters(), 0.01)
tables = rt.Optimizer(model)
schedule = torch.optim.lr_scheduler.StepLR(tables, 8, 0.7)
parts = dict(model=model, layers=layers, tables=tables, schedule=schedule)
first = 0
if os.path.exists(path):
    saved = torch.load(path)
    for name, part in parts.items():
        part.load_state_dict(saved[name])
    torch.set_rng_state(saved["random"])
    first = int(client.cursor())
for step in range(first, steps):
    words, tags, labels = torch.randint(50, (6, 5)), torch.randint(30, (6, 2)), torch.randint(3, (6,))
    loss = nn.functional.cross_entropy(model(words, tags), labels)
    layers.zero_grad()
    loss.backward()
    layers.step()
    client.set_cursor(b"%d" % (step + 1))
    tables.step()
    schedule.step()
    print(step, loss.item().hex(), flush=True)
    if step + 1 == save_at:
        client.save("half")
        torch.save({"random": torch.get_rng_state(), **{n: p.state_dict() for n, p in parts.items()}}, path)
    if step + 1 == die_at:
        os.kill(os.getpid(), signal.SIGKILL)
"""


class GoingOn(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.program = os.path.join(self.folder, "train.py")
        with open(self.program, "w") as file:
            file.write(PROGRAM)

    def train(self, servers, mode, state, *when, status=0):
        """{step: loss}"""
        done = subprocess.run(
            [sys.executable, "-B", self.program, os.path.join(self.folder, state), str(STEPS), *map(str, when)], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=100,
            env={**os.environ, "PYTHONPATH": PACKAGE, "RH_SERVERS": ",".join(servers.addresses), "RH_MODE": mode})
        self.assertEqual((done.returncode, done.stderr), (status, ""))
        return dict(line.split() for line in done.stdout.splitlines())

    def test_a_model_that_is_killed_with_its_servers_comes_to_the_losses_it_would_have_come_to(self):
        for mode, shards in (("async", 3), ("bsp", 1)):
            with self.subTest(mode=mode):
                with Servers(2) as servers:
                    expected = self.train(servers, mode, "none", 0, 0)
                self.assertEqual(len(expected), STEPS)
                folder = os.path.join(self.folder, mode)
                servers = Servers(2, "--checkpoint-dir", folder)
                begun = self.train(servers, mode, f"{mode}.pt", SAVE_AT, DIE_AT, status=-signal.SIGKILL)
                servers.kill()
                with Servers(shards, "--checkpoint-dir", folder, "--restore", "half") as servers:
                    rest = self.train(servers, mode, f"{mode}.pt", 0, 0)
                self.assertEqual(sorted(map(int, rest)), list(range(SAVE_AT, STEPS)))
                self.assertEqual({**begun, **rest}, expected)


class TheRightRows(unittest.TestCase):
    """A state_dict beside servers, over local: with a folder."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.client = self.connect()

    def connect(self):
        client = rowhouse.connect("local:", checkpoint_dir=self.folder)
        self.addCleanup(client.close)
        return client

    def model(self, client=None):
        client = client or self.client
        return nn.Sequential(rt.Embedding(6, 3, client=client, name="a"), rt.Embedding(7, 3, client=client, name="b"),
                             nn.Linear(3, 2))

    def learn(self, model):
        model[0](torch.tensor([1])).sum().backward()
        rt.step()

    def test_it_names_the_checkpoint_that_it_goes_with(self):
        model = self.model()
        self.assertIsNone(model.state_dict()["0._extra_state"]["checkpoint"])
        saved = self.client.save("one")
        state = model.state_dict()
        for key in "0._extra_state", "1._extra_state":
            self.assertEqual(state[key]["checkpoint"], {"name": "one", "generation": saved.generation})
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            self.assertEqual(str(self.model().load_state_dict(state)), "<All keys matched successfully>")
            self.client.close()
            self.assertEqual(model.state_dict()["0._extra_state"], state["0._extra_state"])

    def refused(self, model, state, text):
        """Once for all tables; what a torch user does to take only a part of a state_dict is a way out."""
        with self.assertRaises(RuntimeError) as caught:
            model.load_state_dict(state)
        self.assertEqual(str(caught.exception).count("this state_dict goes with"), 1)
        self.assertIn(text, str(caught.exception))
        with self.assertRaisesRegex(RuntimeError, "this state_dict goes with"):
            model[0].set_extra_state(state["0._extra_state"])
        layers = {k: v + 1 for k, v in state.items() if not k.endswith("_extra_state")}
        model.load_state_dict(layers, strict=False)
        self.assertEqual(model[2].bias.tolist(), layers["2.bias"].tolist())

    def test_rows_of_another_generation_are_refused(self):
        model = self.model()
        first = self.client.save("one")
        state = model.state_dict()
        self.learn(model)
        second = self.client.save("one")
        self.refused(model, state, f"this state_dict goes with checkpoint 'one' (generation {first.generation}), but "
                     f"the newest that the servers know is checkpoint 'one' (generation {second.generation}): client.restore('one'), "
                     "or start them with --restore one; or")

    def test_servers_that_were_started_without_a_checkpoint_are_refused(self):
        self.client.save("one")
        state = self.model().state_dict()
        self.refused(self.model(self.connect()), state, "but the servers have none: client.restore('one'), or")

    def test_a_model_goes_back_in_the_process_that_it_learns_in(self):
        model = self.model()
        optimizer = torch.optim.Adam(model[2].parameters(), 0.1)

        def train():
            losses = []
            for step in range(5):
                loss = (model[2](model[0](torch.tensor([step, 1])) + model[1](torch.tensor([0, step]))) ** 2).sum()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                rt.step()
                losses.append(loss.item())
            return losses
        train()
        self.client.save("best")
        state = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
        losses = train()
        self.client.save("later")
        self.client.restore("best")
        for part, saved in zip((model, optimizer), state):
            part.load_state_dict(saved)
        self.assertEqual(train(), losses)

    def test_one_that_was_made_before_any_checkpoint_is_a_warning(self):
        model = self.model()
        state = model.state_dict()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model.load_state_dict(state)
        self.client.save("one")
        with self.assertWarnsRegex(UserWarning, "made before the servers had a checkpoint.*call client.save first"):
            model.load_state_dict(state)
