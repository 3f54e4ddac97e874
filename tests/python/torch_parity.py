"""torch_parity.py - 50 steps of a model with other layers, in plain torch and with its table on
servers: the losses of every step, and all that was learned, are the same."""
import itertools
import unittest

import torch
import torch.nn.functional as F
from torch import nn

import rowhouse
import rowhouse.torch as rt
from servers import Servers

ROWS, DIM, STEPS = 40, 8, 50
CLOSE = dict(rtol=1e-5, atol=1e-6)
OPTIMIZERS = {
    "SGD": (rowhouse.SGD(3), lambda w: torch.optim.SGD([w], 3)),
    "Adagrad": (rowhouse.Adagrad(0.2), lambda w: torch.optim.Adagrad([w], 0.2)),
    "SparseAdam": (rowhouse.SparseAdam(0.05), lambda w: torch.optim.SparseAdam([w], 0.05)),
}


class Model(nn.Module):
    """The layers around the table, which torch holds and trains."""

    def __init__(self, emb):
        super().__init__()
        torch.manual_seed(1)
        self.emb = emb
        self.layers = nn.Sequential(nn.Linear(DIM, 8), nn.Tanh(), nn.LayerNorm(8), nn.Linear(8, 3))
        self.own = torch.optim.SGD(self.layers.parameters(), 0.1)

    def loss(self, batch):
        ids, labels, *more = batch
        out = self.emb(ids, *more)
        if out.dim() == 3:
            out = out.mean(1)
        return F.cross_entropy(self.layers(out), labels)


def sparse_grad(weight, seen):
    """torch has sparse gradients not with every option, so they are dense here, and cut down to the
    rows that were looked up, which is what sparse=True gives."""
    ids = torch.unique(torch.cat(seen))
    weight.grad = torch.sparse_coo_tensor(ids.unsqueeze(0), weight.grad[ids], weight.shape)


def train_torch(emb, make_optimizer, rounds, padding):
    model, optimizer, losses = Model(emb), make_optimizer(emb.weight), []
    for batches in rounds:
        model.own.zero_grad()
        optimizer.zero_grad(set_to_none=True)
        for batch in batches:
            loss = model.loss(batch)
            loss.backward()
            losses.append(loss.item())
        sparse_grad(emb.weight, [b[0].reshape(-1)[b[0].reshape(-1) != padding] for b in batches])
        optimizer.step()
        model.own.step()
    return losses, model


def train_rowhouse(emb, rounds):
    model, losses = Model(emb), []
    for batches in rounds:
        model.own.zero_grad()
        for batch in batches:
            loss = model.loss(batch)
            loss.backward()
            losses.append(loss.item())
        rt.step()
        model.own.step()
    return losses, model


class BagByFrequency(nn.EmbeddingBag):
    """What scale_grad_by_freq means for bags: torch 1.13 takes another id's count where ids repeat. So
    the pooling is by hand, over torch's own nn.Embedding, which counts well."""

    def forward(self, input, offsets, per_sample_weights=None):
        rows = F.embedding(input, self.weight, None, self.max_norm, self.norm_type, True)
        keep = (input != (-1 if self.padding_idx is None else self.padding_idx)).float().unsqueeze(1)
        bag = torch.searchsorted(offsets, torch.arange(input.numel()), right=True) - 1
        if per_sample_weights is not None:
            rows = rows * per_sample_weights.unsqueeze(1)
        shape = offsets.numel(), 1
        out = torch.zeros(shape[0], DIM).index_add(0, bag, rows * keep)
        if self.mode == "mean":
            out = out / torch.zeros(shape).index_add(0, bag, keep).clamp(min=1)
        return out


class Parity(unittest.TestCase):
    servers = None
    of_torch: dict = {}  # what torch came to: the same for every transport

    def setUp(self):
        self.client = rowhouse.connect("local:2" if self.servers is None else self.servers.addresses)
        self.addCleanup(self.client.close)
        self.count = itertools.count()
        self.random = torch.Generator().manual_seed(3)

    def ids(self, *shape):
        return torch.randint(0, ROWS, shape, generator=self.random)

    def rounds(self, batch):
        """The batches of every step: now and then several, whose gradients add up."""
        return [[batch() for _ in range(3 if i % 10 == 7 else 1)] for i in range(STEPS)]

    def agree(self, case, theirs, ours, rounds, optimizer, padding):
        ours.weight.data.copy_(theirs.weight)
        if case not in self.of_torch:
            before = theirs.weight.detach().clone()
            self.of_torch[case] = train_torch(theirs, OPTIMIZERS[optimizer][1], rounds, padding)
            self.assertGreater((theirs.weight - before).abs().max(), 0.1)  # it did learn
        losses, model = self.of_torch[case]
        own_losses, own = train_rowhouse(ours, rounds)
        torch.testing.assert_close(torch.tensor(own_losses), torch.tensor(losses), **CLOSE)
        torch.testing.assert_close(ours.weight.data[:], model.emb.weight.detach(), **CLOSE)
        for a, b in zip(own.layers.parameters(), model.layers.parameters()):
            torch.testing.assert_close(a, b, **CLOSE)
        self.assertEqual(ours.table.info().steps, STEPS)

    def name(self):
        return f"{self.id().rsplit('.', 1)[1][:50]}-{next(self.count)}"

    def test_embedding(self):
        for optimizer, padding, max_norm, by_freq in itertools.product(
                OPTIMIZERS, (None, 3), (None, 1.5), (False, True)):
            with self.subTest(optimizer=optimizer, padding=padding, max_norm=max_norm, by_freq=by_freq):
                torch.manual_seed(0)
                options = dict(padding_idx=padding, max_norm=max_norm, scale_grad_by_freq=by_freq)
                rounds = self.rounds(lambda: (self.ids(12, 3), torch.randint(0, 3, (12,))))
                case = optimizer, padding, max_norm, by_freq
                self.agree(case, nn.Embedding(ROWS, DIM, **options),
                           rt.Embedding(ROWS, DIM, **options, client=self.client, name=self.name(),
                                        optimizer=OPTIMIZERS[optimizer][0]), rounds, optimizer, padding)

    def bags(self, *case):
        optimizer, mode, weighted, padding, max_norm, by_freq = case
        torch.manual_seed(0)
        offsets = torch.tensor([0, 3, 3, 7, 8, 15, 20])  # the second bag is empty
        weights = [torch.rand(24, generator=self.random)] if weighted else []
        rounds = self.rounds(lambda: (self.ids(24), torch.randint(0, 3, (7,)), offsets, *weights))
        options = dict(mode=mode, padding_idx=padding, max_norm=max_norm)
        theirs = (BagByFrequency if by_freq else nn.EmbeddingBag)(ROWS, DIM, **options)
        ours = rt.EmbeddingBag(ROWS, DIM, scale_grad_by_freq=by_freq, **options, client=self.client,
                               name=self.name(), optimizer=OPTIMIZERS[optimizer][0])
        self.agree(case, theirs, ours, rounds, optimizer, padding)

    def test_embedding_bag_modes(self):
        for optimizer, mode, (padding, max_norm) in itertools.product(
                OPTIMIZERS, ("sum", "mean", "max"), ((None, None), (None, 1.5), (3, 1.5))):
            with self.subTest(optimizer=optimizer, mode=mode, padding=padding, max_norm=max_norm):
                self.bags(optimizer, mode, False, padding, max_norm, False)

    def test_embedding_bag_scaled_by_frequency_and_weighted(self):
        for optimizer, (mode, weighted, by_freq) in itertools.product(
                OPTIMIZERS, (("sum", True, False), ("sum", True, True), ("mean", False, True))):
            with self.subTest(optimizer=optimizer, mode=mode, weighted=weighted, by_freq=by_freq):
                self.bags(optimizer, mode, weighted, 3, None, by_freq)


class ParityOverTcp(Parity):
    @classmethod
    def setUpClass(cls):
        cls.servers = Servers(3)

    @classmethod
    def tearDownClass(cls):
        if cls.servers.stop() != [0] * 3:
            raise AssertionError("a server did not end well")
