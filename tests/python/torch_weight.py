"""torch_weight.py - emb.weight: the tensor habits of a handle."""
import unittest

import torch
import torch.nn.functional as F
from torch import nn

import rowhouse
import rowhouse.torch as rt

SAME = dict(rtol=0, atol=0)


class Handle(unittest.TestCase):
    def setUp(self):
        self.client = rowhouse.connect("local:2")
        self.addCleanup(self.client.close)
        torch.manual_seed(0)
        self.theirs = nn.Embedding(20, 4)
        self.emb = rt.Embedding(20, 4, client=self.client, optimizer=rowhouse.SGD(1),
                                _weight=self.theirs.weight.detach())

    def fails(self, kind, text, function, *arguments):
        with self.assertRaises(kind) as caught:
            function(*arguments)
        self.assertIn(text, str(caught.exception))

    def test_it_says_of_itself_what_a_tensor_says(self):
        a, b = self.theirs.weight, self.emb.weight
        for name in ("shape", "ndim", "dtype", "device", "requires_grad", "is_leaf", "grad"):
            self.assertEqual(getattr(b, name), getattr(a, name), name)
        for name in ("size", "dim", "ndimension", "numel", "nelement", "__len__"):
            self.assertEqual(getattr(b, name)(), getattr(a, name)(), name)
        self.assertEqual((b.size(0), b.size(1), b.size(-1)), (20, 4, 4))
        self.assertEqual(repr(b), "<rowhouse weight of table embedding-0: (20, 4)>")
        self.assertNotIsInstance(b, torch.Tensor)
        self.assertEqual(list(nn.Sequential(self.emb).parameters()), [])

    def test_rows_are_read_as_a_tensors_are(self):
        a, b = self.theirs.weight, self.emb.weight
        mask = torch.arange(20) % 3 == 0
        for index in (0, -1, slice(None), slice(2, 5), slice(-3, None), slice(0, 20, 7), slice(5, 5), [1, 1, 19],
                      torch.tensor(3), torch.tensor([[1, -1], [0, 5]]), mask, ..., (2, 1), (slice(2, 4), slice(1, 3)),
                      (torch.tensor([4, 5]), 2), (3, slice(None))):
            torch.testing.assert_close(b[index], a[index], **SAME)
            torch.testing.assert_close(b.data[index], a.data[index], **SAME)
        self.assertEqual(len(list(b)), 20)
        for index in (20, -21, torch.tensor([0, 20])):
            self.fails(IndexError, "out of bounds for dimension 0 with size 20", lambda: b[index])
        self.fails(IndexError, "integers", lambda: b[torch.tensor([0.5])])
        self.fails(ValueError, "step must be greater than zero", lambda: b[::-1])

    def test_rows_that_are_read_learn(self):
        a, b = self.theirs.weight, self.emb.weight
        for w in a, b:
            (w[2:5] ** 2).sum().backward()
            (w[[3, 3]] * 2).sum().backward()
        self.assertFalse(b.data[2].requires_grad or b.detach()[2].requires_grad)
        torch.testing.assert_close(b.grad.to_dense(), a.grad)
        torch.optim.SGD([a], 1).step()
        rt.step()
        torch.testing.assert_close(b.data[:], a.detach())
        self.assertIsNone(b.grad)

    def test_rows_are_written_as_a_tensors_are(self):
        a, b = self.theirs.weight.data, self.emb.weight
        for index, value in ((0, torch.ones(4)), (-1, 2.5), ([1, 2], torch.rand(2, 4)), (slice(3, 6), torch.rand(4)),
                             (torch.tensor([7, 8]), 1), ((9, 1), 5.0), ((slice(10, 12), slice(0, 2)), torch.rand(2, 2)),
                             (12, torch.rand(4).double())):
            a[index] = value
            b[index] = value
            torch.testing.assert_close(b.data[:], a, **SAME)
        b.data[13] = 0
        self.assertEqual(b.data[13].tolist(), [0] * 4)
        self.fails(RuntimeError, "expand", b.__setitem__, 0, torch.ones(3))
        self.fails(ValueError, "nan", b.__setitem__, 0, float("nan"))

    def test_a_whole_table_is_streamed(self):
        from rowhouse.torch import weight
        before, weight.WRITE_FLOATS = weight.WRITE_FLOATS, 12  # three rows at once
        self.addCleanup(setattr, weight, "WRITE_FLOATS", before)
        rows = torch.rand(20, 4)
        self.emb.weight.data.copy_(rows)
        torch.testing.assert_close(self.emb.weight.data[:], rows, **SAME)
        self.emb.weight.data = rows + 1
        torch.testing.assert_close(self.emb.weight.data[:], rows + 1, **SAME)
        self.emb.weight.data.copy_(torch.tensor([1., 2., 3., 4.]))
        self.assertEqual(self.emb.weight.data[7].tolist(), [1, 2, 3, 4])
        self.fails(RuntimeError, "expand", self.emb.weight.data.copy_, torch.zeros(19, 4))

    def test_requires_grad_freezes_the_table_and_thaws_it(self):
        emb, info = self.emb, self.emb.table.info
        emb.weight.requires_grad = False
        self.assertEqual((emb.weight.requires_grad, info().frozen), (False, 20))
        self.assertFalse(emb(torch.tensor([1])).requires_grad)
        self.assertEqual(repr(emb.weight), "<rowhouse weight of table embedding-0: (20, 4), requires_grad=False>")
        self.assertIs(emb.weight.requires_grad_(), emb.weight)
        self.assertEqual((emb.weight.requires_grad, info().frozen), (True, 0))
        emb.requires_grad_(False)
        self.assertEqual(info().frozen, 20)

    def test_a_frozen_table_drops_what_was_gathered_before(self):
        was = self.emb.weight.data[:]
        self.emb(torch.tensor([1])).sum().backward()
        self.emb.weight.requires_grad = False
        rt.step()
        torch.testing.assert_close(self.emb.weight.data[:], was, **SAME)

    def test_an_unknown_attribute_is_an_error_with_a_hint(self):
        weight = self.emb.weight
        for name in "requiresGrad", "require_grad", "requires_grads":
            self.fails(AttributeError, "did you mean requires_grad?", setattr, weight, name, False)
            self.fails(AttributeError, "did you mean requires_grad?", getattr, weight, name)
        self.fails(AttributeError, "no attribute 'T': it is no tensor, but rows of it are: weight[ids]", getattr, weight, "T")
        self.assertTrue(weight.requires_grad)

    def test_what_wants_a_tensor_is_told_what_to_do(self):
        weight = self.emb.weight
        for call in (lambda: F.linear(torch.ones(1, 4), weight), lambda: torch.matmul(torch.ones(1, 4), weight),
                     lambda: torch.sum(weight)):
            self.fails(TypeError, "weight[ids] brings some here", call)
        self.fails(TypeError, "can only optimize Tensors", torch.optim.SGD, [weight], 0.1)
        self.fails(TypeError, "weight.data.copy_(t) writes a tensor", setattr, self.emb, "weight",
                   nn.Parameter(torch.zeros(20, 4)))
        self.fails(ValueError, "not (20, 4)", setattr, self.emb, "weight",
                   rt.Embedding(5, 4, client=self.client).weight)
        self.fails(TypeError, "a sparse tensor of the shape (20, 4)", setattr, weight, "grad", torch.zeros(20, 4))

    # ---- torch.nn.init ----

    def initialized(self, name, *arguments):
        """torch's law on a tensor, and on a table of the same shape: their values."""
        theirs = torch.empty(3000, 40)
        ours = rt.Embedding(3000, 40, client=self.client)
        with torch.no_grad():
            for weight in theirs, ours.weight:
                self.assertIs(getattr(nn.init, name)(weight, *arguments), weight)
        return theirs, ours.weight.data[:], ours.table.info()

    def test_every_initializer_of_torch_is_one_call_that_touches_no_row(self):
        for name, *arguments in (
                ("uniform_",), ("uniform_", -0.5, 0.25), ("normal_",), ("normal_", 1, 0.5), ("zeros_",), ("ones_",),
                ("constant_", 0.3), ("xavier_uniform_",), ("xavier_uniform_", 2), ("xavier_normal_",),
                ("kaiming_uniform_",), ("kaiming_uniform_", 0.5, "fan_out", "leaky_relu"), ("kaiming_normal_",),
                ("kaiming_normal_", 0, "fan_in", "relu"), ("trunc_normal_",), ("trunc_normal_", 0.5, 0.25, 0, 1)):
            with self.subTest(name=name, arguments=arguments):
                theirs, ours, info = self.initialized(name, *arguments)
                self.assertEqual(info.touched, 0)
                scale = max(1e-6, float(theirs.std()))
                self.assertAlmostEqual(float(ours.mean()), float(theirs.mean()), delta=0.02 * scale)
                self.assertAlmostEqual(float(ours.std()), float(theirs.std()), delta=0.02 * scale)
                if "uniform" in name or "trunc" in name:
                    self.assertAlmostEqual(float(ours.min()), float(theirs.min()), delta=0.01 * scale)
                    self.assertAlmostEqual(float(ours.max()), float(theirs.max()), delta=0.01 * scale)

    def test_the_seed_is_torchs(self):
        rows = []
        for seed in (1, 1, 2):
            torch.manual_seed(seed)
            nn.init.normal_(self.emb.weight)
            rows.append(self.emb.weight.data[:])
        self.assertTrue(torch.equal(rows[0], rows[1]))
        self.assertFalse(torch.equal(rows[0], rows[2]))
        nn.init.normal_(self.emb.weight)
        self.assertFalse(torch.equal(self.emb.weight.data[:], rows[2]))

    def test_a_table_that_has_learned_begins_anew_but_for_its_padding_row(self):
        emb = rt.Embedding(20, 4, padding_idx=3, client=self.client)
        emb(torch.tensor([1, 2])).sum().backward()
        rt.step()
        nn.init.ones_(emb.weight)
        self.assertEqual(emb.weight.data[:5, 0].tolist(), [1, 1, 1, 0, 1])
        emb.reset_parameters()
        self.assertEqual(emb.weight.data[3].tolist(), [0] * 4)
        self.assertGreater(emb.weight.data[:].std(), 0.5)

    def test_what_servers_cannot_draw_is_refused(self):
        was = self.emb.weight.data[:]
        self.fails(AttributeError, "no attribute 'new'", nn.init.orthogonal_, self.emb.weight)
        self.fails(TypeError, "eye", nn.init.eye_, self.emb.weight)
        for call in ("mul_", "add_"):
            self.fails(TypeError, f"{call}: the servers do not do that", getattr(self.emb.weight, call), 2)
        self.fails(TypeError, "erfinv_", self.emb.weight.erfinv_)
        torch.testing.assert_close(self.emb.weight.data[:], was, **SAME)
