"""test_surprises.py - what people who come from torch stumble over, pinned beside torch itself."""
import os
import unittest

import numpy as np
import torch

import rowhouse
from servers import Servers

DIM = 3
ONES = np.ones(DIM, np.float32)


def sparse_step(weight, optimizer, row, grad):
    """One step of torch's on one row."""
    weight.grad = torch.sparse_coo_tensor([[row]], torch.from_numpy(np.array([grad])), weight.shape)
    optimizer.step()


class Surprises(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.servers = Servers(2)
        cls.clients = [rowhouse.connect(f"local:{shards}") for shards in (1, 2, 5)]
        cls.clients.append(rowhouse.connect(cls.servers.addresses, timeout=30))

    @classmethod
    def tearDownClass(cls):
        for client in cls.clients:
            client.close()
        if cls.servers.stop() != [0, 0]:
            raise AssertionError("a server did not end well")

    def tables(self, **options):
        options.setdefault("init", rowhouse.init.zeros())
        name = self.id().rsplit(".", 1)[1][:64]
        return [client.table(name, 10, DIM, **options) for client in self.clients]

    def test_a_row_first_seen_at_step_100000_gets_the_tables_step_count(self):
        weight = torch.nn.Parameter(torch.zeros(10, DIM))
        optimizer = torch.optim.SparseAdam([weight], lr=0.01)
        sparse_step(weight, optimizer, 1, ONES)
        optimizer.state[weight]["step"] = 99999
        sparse_step(weight, optimizer, 7, -2 * ONES)
        for t in self.tables(optimizer=rowhouse.SparseAdam(lr=0.01)):
            t.push(1, ONES)
            none, nothing = np.empty(0, np.int64), np.empty((0, DIM), np.float32)
            for _ in range(99998):
                t.push(none, nothing)
            t.push(7, -2 * ONES)
            self.assertEqual(t.info().steps, 100000)
            np.testing.assert_allclose(t.pull(np.arange(10)), weight.detach(), rtol=1e-5, atol=1e-8)
            # Not the first step of Adam, which is lr: the moments are new, their correction is old.
            np.testing.assert_allclose(t.pull(7), 0.0316 * ONES, rtol=1e-2)

    def test_steps_by_row_make_the_first_step_of_a_late_row_lr(self):
        for t in self.tables(optimizer=rowhouse.SparseAdam(lr=0.01, steps_per_row=True)):
            for _ in range(50):
                t.push(1, ONES)
            t.push(7, -2 * ONES)
            np.testing.assert_allclose(t.pull(7), 0.01 * ONES, rtol=1e-5)

    def test_momentum_does_not_move_an_absent_row_as_torch_does(self):
        weight = torch.nn.Parameter(torch.zeros(10, DIM))
        optimizer = torch.optim.SGD([weight], lr=1, momentum=0.5)
        for row in (1, 2, 2, 1):
            sparse_step(weight, optimizer, row, ONES)
        self.assertEqual(weight[1, 0].item(), -2.875)  # 1, 0.5, 0.25, then 0.125 + 1
        for t in self.tables(optimizer=rowhouse.SGD(1, momentum=0.5)):
            t.push(1, ONES)
            before = t.read(1)
            for _ in range(2):
                t.push(2, ONES)
            self.assertTrue(np.array_equal(t.read(1), before))
            t.push(1, ONES)
            self.assertEqual(t.read([1, 2])[:, 0].tolist(), [-2.5, -2.5])  # 1, then 0.5 + 1, each

    def test_weight_decay_does_not_shrink_an_absent_row(self):
        for t in self.tables(optimizer=rowhouse.AdamW(lr=0.1, weight_decay=0.5), init=rowhouse.init.ones()):
            t.push(2, ONES)
            self.assertEqual(t.read(1).tolist(), [1] * DIM)

    def test_a_pretrained_padding_row_keeps_the_files_value(self):
        values = np.arange(10 * DIM, dtype=np.float32).reshape(10, DIM)
        path = os.path.join(os.environ.get("TMPDIR", "/tmp"), "pretrained.npy")
        np.save(path, values)
        theirs = torch.nn.Embedding.from_pretrained(torch.from_numpy(values), padding_idx=4)
        self.assertEqual((theirs.weight[4].tolist(), theirs.weight.requires_grad), (values[4].tolist(), False))
        for t in self.tables(padding_idx=4):
            self.assertEqual(t.pull(4).tolist(), [0] * DIM)
            t.load(path)
            self.assertEqual((t.pull(4).tolist(), t.info().frozen), (values[4].tolist(), 10))

    def test_repeats_are_one_step_of_their_sum(self):
        weight = torch.nn.Parameter(torch.zeros(10, DIM))
        weight.grad = torch.sparse_coo_tensor([[4, 4, 4]], torch.ones(3, DIM), weight.shape)
        torch.optim.Adagrad([weight], lr=1).step()
        for t in self.tables(optimizer=rowhouse.Adagrad(lr=1)):
            t.push([4, 4, 4], np.ones((3, DIM)))
            np.testing.assert_allclose(t.pull(np.arange(10)), weight.detach(), rtol=1e-6)

    def test_the_bits_are_the_same_on_any_number_of_shards(self):
        numbers = np.random.default_rng(7)
        tables = self.tables(optimizer=rowhouse.Adagrad(lr=0.1), init=rowhouse.init.normal(), seed=3)
        for _ in range(20):
            ids = numbers.integers(0, 10, numbers.integers(0, 30))
            grads = numbers.normal(size=(len(ids), DIM)).astype(np.float32)
            for t in tables:
                t.push(ids, grads)
        bits = [t.read(np.arange(10)).view(np.uint32).tolist() for t in tables]
        self.assertEqual(bits[1:], bits[:1] * (len(tables) - 1))
