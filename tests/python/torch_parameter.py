"""torch_parameter.py - rowhouse.torch.Parameter beside torch.nn.Parameter."""
import copy
import unittest

import numpy as np
import torch
from torch import nn

import rowhouse
import rowhouse.torch as rt
from servers import Servers

CLOSE = dict(rtol=1e-5, atol=1e-6)
DIM, PATCHES = 8, 5


class Vision(nn.Module):
    """As a ViT begins: a class token before the patches, and where each of them is."""

    def __init__(self, token, positions):
        super().__init__()
        torch.manual_seed(1)
        self.token, self.positions = token, positions
        self.layers = nn.Sequential(nn.TransformerEncoderLayer(DIM, 2, 16, dropout=0., batch_first=True),
                                    nn.Linear(DIM, 3))

    def forward(self, patches):
        tokens = torch.cat([self.token.expand(len(patches), -1, -1), patches], 1) + self.positions
        return self.layers(tokens)[:, 0]


class Parameters(unittest.TestCase):
    servers = None

    def setUp(self):
        self.client = rowhouse.connect("local:2" if self.servers is None else self.servers.addresses)
        self.addCleanup(self.client.close)
        torch.manual_seed(0)

    def parameter(self, data, name="p", **options):
        return rt.Parameter(data, client=self.client, name=f"{name}-{self.id().rsplit('.', 1)[1][:30]}", **options)

    def test_a_model_with_them_learns_what_torch_learns(self):
        for optimizer, make in ((rowhouse.SGD(0.2, momentum=0.9), lambda p: torch.optim.SGD(p, 0.2, momentum=0.9)),
                                (rowhouse.AdamW(0.02), lambda p: torch.optim.AdamW(p, 0.02))):
            with self.subTest(optimizer=optimizer):
                shapes = (1, 1, DIM), (1, PATCHES + 1, DIM)
                begin = [torch.rand(shape) * 0.1 for shape in shapes]
                theirs = Vision(*(nn.Parameter(b.clone()) for b in begin))
                kind = type(optimizer).__name__
                ours = Vision(*(self.parameter(b, f"{kind}-{i}", optimizer=optimizer) for i, b in enumerate(begin)))
                a, b = make([theirs.token, theirs.positions]), [
                    torch.optim.SGD(m.layers.parameters(), 0.05) for m in (theirs, ours)]
                losses = []
                for _ in range(30):
                    patches, labels = torch.rand(6, PATCHES, DIM), torch.randint(0, 3, (6,))
                    a.zero_grad()
                    for m, other in zip((theirs, ours), b):
                        other.zero_grad()
                        loss = nn.functional.cross_entropy(m(patches), labels)
                        loss.backward()
                        other.step()
                        losses.append(loss.item())
                    a.step()
                    rt.step()
                torch.testing.assert_close(losses[0::2], losses[1::2], **CLOSE)
                for one, other, before in ((ours.token, theirs.token, begin[0]),
                                           (ours.positions, theirs.positions, begin[1])):
                    torch.testing.assert_close(one.detach(), other.detach(), **CLOSE)
                    self.assertGreater((one - before).abs().max(), 0.05)

    def test_every_shape_begins_as_it_is_told(self):
        for i, shape in enumerate(((), (1,), (3, 4), (2, 1, 5))):
            p = self.parameter(shape, f"zeros-{i}")
            self.assertEqual((tuple(p.shape), p.abs().sum().item(), p.requires_grad), (shape, 0, True))
            q = self.parameter(torch.full(shape, 2.), f"twos-{i}", requires_grad=False)
            self.assertEqual((tuple(q.param.pull().shape), q.param.pull().reshape(-1)[0]), (shape, 2))
            self.assertFalse(q.requires_grad)
        p = self.parameter((200, 50), "kaiming", init=rowhouse.init.kaiming_uniform(a=1, mode="fan_out"))
        self.assertAlmostEqual(float(p.max()), (3 / 200) ** 0.5, delta=1e-3)

    def test_torchs_initializers_reach_the_servers(self):
        p = self.parameter((6, 4))
        for name, *arguments in (("uniform_",), ("normal_",), ("constant_", 0.5), ("xavier_uniform_",),
                                 ("kaiming_normal_",), ("trunc_normal_",), ("orthogonal_",), ("sparse_", 0.5), ("zeros_",)):
            getattr(nn.init, name)(p, *arguments)
            self.assertTrue(np.array_equal(p.param.pull(), p.detach().numpy()), name)
        holder = nn.ParameterList([p])
        holder.load_state_dict({"0": torch.full((6, 4), 3.)})
        self.assertEqual(p.param.pull().tolist(), [[3] * 4] * 6)
        self.assertIs(copy.deepcopy(holder)[0], p)
        self.assertEqual(holder.state_dict()["0"].tolist(), [[3] * 4] * 6)

    def test_an_optimizer_of_torch_that_has_it_too_does_no_harm(self):
        p = self.parameter(torch.ones(3), optimizer=rowhouse.SGD(1))
        theirs = torch.optim.AdamW([p], 0.5)
        for first, then in ((theirs.step, rt.step), (rt.step, theirs.step)):
            with torch.no_grad():
                p.copy_(torch.ones(3))
            (p * 2).sum().backward()
            first()
            then()
            self.assertEqual((p.tolist(), p.param.pull().tolist()), ([-1] * 3, [-1] * 3))

    def test_they_and_tables_make_one_step(self):
        p = self.parameter((3,), optimizer=rowhouse.SGD(1))
        emb = rt.Embedding(5, 3, client=self.client, name="beside-" + self.id().rsplit(".", 1)[1][:30],
                           optimizer=rowhouse.SGD(2), init=rowhouse.init.zeros())
        optimizer = rt.Optimizer([p, emb.weight])
        self.assertEqual([g["lr"] for g in optimizer.param_groups], [1, 2])
        optimizer.param_groups[0]["lr"] = 0.5
        clock = self.client.clock
        (emb(torch.tensor([1])) + p).sum().backward()
        optimizer.step()
        self.assertEqual((p.tolist(), emb.weight.data[1].tolist()), ([-0.5] * 3, [-2] * 3))
        self.assertEqual((self.client.clock - clock, p.param.table.info().steps, p.grad), (1, 1, None))
        p.grad = torch.ones(3)
        optimizer.zero_grad()
        optimizer.step()
        self.assertEqual(p.tolist(), [-0.5] * 3)

    def test_what_makes_no_sense_is_refused(self):
        for kind, text, call in (
                (rowhouse.MismatchError, "exists with shape (3, 4), not (3, 5)", lambda: (self.parameter((3, 4), "a"), self.parameter((3, 5), "a"))),
                (ValueError, "at most 8 numbers", lambda: self.parameter((1,) * 9, "b")),
                (ValueError, "each at least 1", lambda: self.client.parameter("c", (0,))),
                (ValueError, "the shape is (2,), but parameter d has (3,)",
                 lambda: self.client.parameter("d", (3,)).push(np.ones(2))),
                (LookupError, "no parameter", lambda: self.client.find_parameter("nobody"))):
            with self.assertRaises(kind) as caught:
                call()
            self.assertIn(text, str(caught.exception))
        self.client.parameter("e", (2, 3), init=rowhouse.init.ones())
        self.assertEqual(self.client.find_parameter("e").pull().tolist(), [[1] * 3] * 2)


class ParametersOverTcp(Parameters):
    @classmethod
    def setUpClass(cls):
        cls.servers = Servers(2)

    @classmethod
    def tearDownClass(cls):
        if cls.servers.stop() != [0] * 2:
            raise AssertionError("a server did not end well")
