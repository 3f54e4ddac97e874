"""torch_modules.py - rowhouse.torch.Embedding and EmbeddingBag beside torch's: arguments, shapes,
errors, gradients, steps."""
import copy
import inspect
import io
import logging
import math
import os
import unittest

import numpy as np
import torch
from torch import nn

import rowhouse
import rowhouse.torch as rt

TMP = os.environ.get("TMPDIR", "/tmp")
SAME = dict(rtol=0, atol=0)


class Modules(unittest.TestCase):
    def setUp(self):
        self.client = rowhouse.connect("local:2")
        self.addCleanup(self.client.close)
        torch.manual_seed(0)

    def pair(self, kind="Embedding", rows=20, dim=4, **options):
        theirs = getattr(nn, kind)(rows, dim, **options)
        return theirs, getattr(rt, kind)(rows, dim, **options, _weight=theirs.weight.detach(),
                                         client=self.client, optimizer=rowhouse.SGD(1))

    def fails(self, kind, text, function, *arguments, **named):
        with self.assertRaises(kind) as caught:
            function(*arguments, **named)
        self.assertIn(text, str(caught.exception))

    # ---- arguments ----

    def test_arguments_and_defaults_are_torchs(self):
        for theirs, ours, extra in (
                (nn.Embedding, rt.Embedding, ()), (nn.EmbeddingBag, rt.EmbeddingBag, ()),
                (nn.Embedding.from_pretrained, rt.Embedding.from_pretrained, ()),
                (nn.EmbeddingBag.from_pretrained, rt.EmbeddingBag.from_pretrained, ())):
            a = inspect.signature(theirs).parameters.values()
            b = list(inspect.signature(ours).parameters.values())
            self.assertEqual([(p.name, p.default) for p in a], [(p.name, p.default) for p in b[:len(a)]])
            for p in b[len(a):]:
                self.assertIn(p.kind, (p.KEYWORD_ONLY, p.VAR_KEYWORD))

    def test_what_torch_refuses_is_refused_as_torch_does(self):
        for make in (lambda m, **o: m.Embedding(10, 3, 10, **o), lambda m, **o: m.Embedding(10, 3, -11, **o),
                     lambda m, **o: m.Embedding(10, 3, _weight=torch.zeros(9, 3), **o),
                     lambda m, **o: m.EmbeddingBag(10, 3, padding_idx=10, **o),
                     lambda m, **o: m.Embedding.from_pretrained(torch.zeros(3), **o)):
            with self.assertRaises(AssertionError) as theirs:
                make(nn)
            self.fails(AssertionError, str(theirs.exception), make, rt, client=self.client)
        a, b = self.pair(kind="EmbeddingBag", mode="max")
        for case in ((torch.arange(4),), (torch.arange(4).reshape(2, 2), torch.tensor([0])),
                     (torch.arange(4), torch.tensor([[0]])),
                     (torch.arange(4), torch.tensor([0]), torch.ones(4)),
                     (torch.arange(4).reshape(1, 1, 4),)):
            with self.assertRaises((ValueError, NotImplementedError)) as theirs:
                a(*case)
            self.fails(type(theirs.exception), str(theirs.exception), b, *case)
        a, b = self.pair()
        for module in a, b:
            self.fails(RuntimeError, "to have one of the following scalar types: Long, Int; but got "
                       "torch.FloatTensor instead", module, torch.tensor([1.5]))
            self.fails(IndexError, "index out of range in self", module, torch.tensor([3, 20]))
        self.fails(IndexError, "id 20 at position (1, 0) is out of range", b, torch.tensor([[0, 1], [20, 3]]))
        self.fails(IndexError, "id -1 at position 2 is negative", b, torch.tensor([0, 1, -1]))

    def test_the_padding_row_begins_as_zeros_and_may_count_from_the_end(self):
        emb = rt.Embedding(10, 3, padding_idx=-1, client=self.client)
        self.assertEqual(emb.padding_idx, 9)
        self.assertEqual(emb(torch.tensor(9)).tolist(), [0, 0, 0])
        weight = torch.arange(30.).reshape(10, 3)
        kept = rt.Embedding.from_pretrained(weight, padding_idx=2, freeze=False, client=self.client)
        self.assertEqual(kept(torch.tensor(2)).tolist(), [6, 7, 8])  # as in torch
        kept(torch.tensor([2, 3])).sum().backward()
        self.assertEqual(kept.weight.grad.to_dense()[:5, 0].tolist(), [0, 0, 0, 1, 0])
        rt.step()
        torch.testing.assert_close(kept.weight.data[2:4, 0], torch.tensor([6, 9 - 0.01]))

    # ---- any input ----

    def test_any_shape_of_ints_and_longs(self):
        a, b = self.pair(padding_idx=3)
        for ids in (torch.tensor(7), torch.tensor([]).long(), torch.empty(2, 0, 3).int(), torch.tensor([3]),
                    torch.randint(0, 20, (2, 3, 4)), torch.randint(0, 20, (5, 6)).t(),
                    torch.randint(0, 20, (9,)).int()[::2], torch.tensor([1, 1, 1])):
            for p in a, b:
                p.zero_grad()
            x, y = a(ids), b(ids)
            self.assertEqual((x.shape, x.dtype, x.requires_grad), (y.shape, y.dtype, y.requires_grad))
            torch.testing.assert_close(y, x, **SAME)
            b.weight.grad = None
            (x ** 2).sum().backward()
            (y ** 2).sum().backward()
            torch.testing.assert_close(b.weight.grad.to_dense(), a.weight.grad)
        self.assertEqual(b([1, 2]).tolist(), a(torch.tensor([1, 2])).tolist())  # torch wants a tensor
        self.assertEqual(b(np.array([[1]])).tolist(), a(torch.tensor([[1]])).tolist())

    def test_bags_of_any_shape(self):
        for mode in "sum", "mean", "max":
            a, b = self.pair(kind="EmbeddingBag", mode=mode, padding_idx=3)
            for case in ((torch.randint(0, 20, (4, 5)),), (torch.randint(0, 20, (4, 5)).int(),),
                         (torch.empty(0, 3).long(),), (torch.empty(0).long(), torch.tensor([0, 0])),
                         (torch.empty(0).long(), torch.empty(0).long()), (torch.tensor([[3, 3], [3, 1]]),),
                         (torch.tensor([1, 3, 3, 5]), torch.tensor([0, 1, 3])),
                         (torch.tensor([1, 3, 3, 5]).int(), torch.tensor([0, 0, 4]))):
                x, y = a(*case), b(*case)
                torch.testing.assert_close(y, x)
                a.zero_grad(set_to_none=True)
                b.weight.grad = None
                (x ** 2).sum().backward()
                (y ** 2).sum().backward()
                torch.testing.assert_close(b.weight.grad.to_dense(), a.weight.grad)
        a, b = self.pair(kind="EmbeddingBag", mode="sum", include_last_offset=True)
        case = torch.randint(0, 20, (6,)), torch.tensor([0, 2, 6]), torch.rand(6)
        torch.testing.assert_close(b(*case), a(*case))

    def test_rows_come_as_the_module_is_cast(self):
        a, b = self.pair()
        a, b = nn.Sequential(a).double(), nn.Sequential(b).double()
        x, y = a(torch.tensor([1, 2])), b(torch.tensor([1, 2]))
        torch.testing.assert_close(y, x, **SAME)
        self.assertEqual((y.dtype, b[0].weight.dtype), (torch.float64, torch.float64))
        y.sum().backward()
        self.assertEqual(b[0].weight.grad.dtype, torch.float32)
        self.assertEqual(rt.Embedding(9, 2, dtype=torch.float16, client=self.client)(
            torch.tensor(1)).dtype, torch.float16)

    # ---- gradients ----

    def test_gradcheck_of_per_sample_weights(self):
        bag = rt.EmbeddingBag(20, 4, mode="sum", padding_idx=3, dtype=torch.float64, client=self.client)
        ids, offsets = torch.tensor([1, 3, 1, 7, 19]), torch.tensor([0, 2, 2])
        weights = torch.rand(5, dtype=torch.float64, requires_grad=True)
        self.assertTrue(torch.autograd.gradcheck(lambda w: bag(ids, offsets, w) ** 2, (weights,)))

    def test_the_gradient_that_waits_is_the_slope_of_the_loss(self):
        """As gradcheck would, over the rows of the table, which are float32."""
        ids, offsets = torch.tensor([1, 3, 1, 7, 19, 4]), torch.tensor([0, 2, 2])
        modules = [(rt.Embedding(20, 4, dtype=torch.float64, client=self.client), (ids,))]
        modules += [(rt.EmbeddingBag(20, 4, mode=mode, dtype=torch.float64, client=self.client), (ids, offsets))
                    for mode in ("sum", "mean", "max")]
        for module, case in modules:
            def loss():
                return (module(*case) ** 3).sum()
            loss().backward()
            grad, eps = module.weight.grad.to_dense(), 2.0 ** -6
            module.zero_grad()
            for row in (1, 3, 7, 0):
                for column in range(4):
                    was = module.weight.data[row]
                    moved = []
                    for side in (eps, -eps):
                        module.weight[row, column] = was[column] + side
                        moved.append(loss().item())
                    module.weight[row] = was
                    slope = (moved[0] - moved[1]) / (2 * eps)
                    self.assertAlmostEqual(slope, grad[row, column].item(), delta=2e-3)

    def test_backward_twice_counts_twice_and_without_backward_not_at_all(self):
        a, b = self.pair()
        for m in a, b:
            m(torch.tensor([1, 5]))  # looked at, no more
            loss = (m(torch.tensor([1, 2, 2])) ** 2).sum()
            loss.backward(retain_graph=True)
            loss.backward()
            with torch.no_grad():
                self.assertFalse(m(torch.tensor([1])).requires_grad)
        torch.testing.assert_close(b.weight.grad.to_dense(), a.weight.grad)

    def test_a_penalty_on_the_gradient_of_rows_reaches_them(self):
        a, b = self.pair()
        for m in a, b:
            rows = m(torch.tensor([1, 2]))
            grad, = torch.autograd.grad((rows ** 3).sum(), rows, create_graph=True)
            (grad ** 2).sum().backward()
        torch.testing.assert_close(b.weight.grad.to_dense(), a.weight.grad)

    def test_ids_that_change_before_backward_are_an_error_as_in_torch(self):
        _, b = self.pair()
        ids = torch.tensor([1, 2])
        rows = b(ids)
        ids[0] = 5
        self.fails(RuntimeError, "modified by an inplace operation", rows.sum().backward)

    def test_a_gradient_that_others_share_and_change_is_ours_still(self):
        _, b = self.pair()
        p = nn.Parameter(torch.zeros(4, 2))
        ((b(torch.tensor([1, 2])).reshape(-1) + p.reshape(-1)) * torch.ones(8)).sum().backward()
        p.grad.zero_()  # in the memory of the gradient that emb has got
        self.assertEqual(b.weight.grad.to_dense()[1].tolist(), [1] * 4)

    def test_gradients_of_many_lookups_are_added_up_before_they_fill_memory(self):
        from rowhouse.torch import tables
        _, b = self.pair()
        before, tables.COMPACT_FLOATS = tables.COMPACT_FLOATS, 64
        self.addCleanup(setattr, tables, "COMPACT_FLOATS", before)
        for _ in range(50):
            b(torch.tensor([1, 2, 2, 19])).sum().backward()
            self.assertLessEqual(sum(g.numel() for _, g in b.weight._source._waiting), 64 + 16)
        self.assertEqual(b.weight.grad.to_dense()[[0, 1, 2, 19], 0].tolist(), [0, 50, 100, 50])

    # ---- steps ----

    def test_modules_of_one_name_share_one_table_and_push_once(self):
        a = rt.Embedding(20, 4, client=self.client, name="shared", optimizer=rowhouse.SGD(1),
                         init=rowhouse.init.zeros())
        b = rt.EmbeddingBag(20, 4, client=self.client, name="shared", mode="sum",
                            optimizer=rowhouse.SGD(1), init=rowhouse.init.zeros())
        c = rt.Embedding(20, 4, client=self.client)
        c.weight = a.weight
        clock = self.client.clock
        (a(torch.tensor([1, 2])).sum() + b(torch.tensor([[2, 3]])).sum() + c(torch.tensor(2)).sum()).backward()
        rt.step()
        self.assertEqual(a.weight.data[:5, 0].tolist(), [0, -1, -3, -1, 0])
        self.assertEqual((a.table.info().steps, self.client.clock - clock), (1, 1))
        rt.step()  # no gradients: no step, but a clock
        self.assertEqual((a.table.info().steps, self.client.clock - clock), (1, 2))
        self.fails(rowhouse.MismatchError, "embedding_dim", rt.Embedding, 20, 5, client=self.client, name="shared")

    def test_under_bsp_a_step_and_what_changes_a_whole_table_close_the_clock(self):
        client = rowhouse.connect("local:2", mode="bsp")
        self.addCleanup(client.close)
        emb = rt.Embedding(5, 2, client=client, _weight=torch.ones(5, 2), optimizer=rowhouse.SGD(1))
        rows = [emb.weight.data[1, 0].item()]
        for change in (lambda: (emb(torch.tensor([1])).sum().backward(), rt.step()), lambda: nn.init.constant_(emb.weight, 7),
                       lambda: emb.weight.data.copy_(torch.full((5, 2), 3.)), lambda: emb.weight[1].sum(),
                       lambda: (emb.weight.__setitem__(1, 5), rt.step())):
            change()
            rows.append(emb.weight.data[1, 0].item())
        self.assertEqual(rows, [1, 0, 7, 3, 3, 5])

    def test_zero_grad_drops_what_was_gathered(self):
        _, b = self.pair()
        optimizer = rt.Optimizer(b)
        was = b.weight.data[1]
        b(torch.tensor([1])).sum().backward()
        optimizer.zero_grad()
        optimizer.step()
        self.assertEqual(b.weight.data[1].tolist(), was.tolist())

    def test_a_refused_step_changes_nothing_and_is_forgotten(self):
        _, a = self.pair()
        _, b = self.pair()
        before = a.weight.data[:], b.weight.data[:]
        (a(torch.tensor([1])).sum() + b(torch.tensor([2])).sum() * math.nan).backward()
        self.fails(ValueError, "is nan", rt.step)
        torch.testing.assert_close((a.weight.data[:], b.weight.data[:]), before, **SAME)
        rt.step()

    def test_an_optimizer_follows_torchs_schedules(self):
        a, b = self.pair()
        theirs, ours = torch.optim.SGD(a.parameters(), 1), rt.Optimizer(b)
        schedules = [torch.optim.lr_scheduler.CosineAnnealingLR(o, 10) for o in (theirs, ours)]
        for i in range(10):
            for m, o, s in zip((a, b), (theirs, ours), schedules):
                o.zero_grad()
                loss = (m(torch.tensor([i, 3, 3])) ** 2).sum() / 8
                loss.backward()
                o.step()
                s.step()
            self.assertEqual(theirs.param_groups[0]["lr"], ours.param_groups[0]["lr"])
        torch.testing.assert_close(b.weight.data[:], a.weight.detach())
        other = rt.Optimizer([b.weight], lr=7)
        other.load_state_dict(ours.state_dict())
        self.assertEqual(other.param_groups[0]["lr"], ours.param_groups[0]["lr"])
        self.assertEqual(ours.step(lambda: 5), 5)

    def test_an_optimizer_takes_modules_weights_and_groups(self):
        a, b, c = (rt.Embedding(5, 2, client=self.client, optimizer=rowhouse.SGD(lr)) for lr in (1, 2, 2))
        model = nn.ModuleList([a, nn.Linear(2, 2), b, c, rt.Embedding(5, 2, client=self.client)])

        def lrs(optimizer):
            return [(g["lr"], len(g["params"])) for g in optimizer.param_groups]
        self.assertEqual(lrs(rt.Optimizer(model)), [(1, 1), (2, 2), (0.01, 1)])
        self.assertEqual(lrs(rt.Optimizer([a, b.weight], lr=9)), [(9, 2)])
        self.assertEqual(lrs(rt.Optimizer([{"params": a, "lr": 3}, {"params": [b, c]}])), [(3, 1), (2, 2)])
        self.fails(TypeError, "optimizer of torch.optim", rt.Optimizer, [a, model[1].weight])
        self.fails(ValueError, "no table", rt.Optimizer, model[1])
        self.fails(ValueError, "more than one", rt.Optimizer, [{"params": a}, {"params": a.weight}])

    def test_the_gradient_that_waits_may_be_replaced(self):
        a, b = self.pair()
        for m in a, b:
            (m(torch.tensor([1, 2, 2])) ** 2).sum().backward()
        norm = torch.nn.utils.clip_grad_norm_([a.weight], 0.5)
        torch.testing.assert_close(torch.norm(b.weight.grad), norm)
        b.weight.grad = b.weight.grad * (0.5 / norm)
        torch.testing.assert_close(b.weight.grad.to_dense(), a.weight.grad)
        torch.optim.SGD(a.parameters(), 1).step()
        rt.step()
        torch.testing.assert_close(b.weight.data[:], a.weight.detach())

    # ---- from_pretrained, state_dict, copies ----

    def test_from_pretrained_freezes_and_says_so_unless_told_otherwise(self):
        weight = torch.rand(6, 3)
        with self.assertLogs("rowhouse", logging.INFO) as log:
            emb = rt.Embedding.from_pretrained(weight, client=self.client, name="words")
        self.assertIn("table words is frozen, which is from_pretrained's default", log.output[-1])
        self.assertEqual((emb.weight.requires_grad, emb.table.info().frozen), (False, 6))
        self.assertFalse(emb(torch.tensor([1])).requires_grad)
        torch.testing.assert_close(emb(torch.arange(6)), weight, **SAME)
        emb.weight.requires_grad = True
        self.assertEqual(emb.table.info().frozen, 0)
        bag = rt.EmbeddingBag.from_pretrained(weight, freeze=False, mode="sum", client=self.client)
        torch.testing.assert_close(bag(torch.arange(6).reshape(3, 2)), weight.reshape(3, 2, 3).sum(1))
        self.assertEqual(bag.table.info().frozen, 0)

    def test_from_pretrained_takes_a_path(self):
        weight = np.random.default_rng(0).random((6, 3), np.float32)
        path, vec, vocab = (os.path.join(TMP, n) for n in ("w.npy", "w.vec", "w.vocab"))
        np.save(path, weight)
        emb = rt.Embedding.from_pretrained(path, client=self.client, padding_idx=0)
        self.assertEqual((emb.num_embeddings, emb.embedding_dim, emb.table.info().frozen), (6, 3, 6))
        torch.testing.assert_close(emb(torch.arange(6)), torch.from_numpy(weight), **SAME)
        with open(vec, "w") as file:
            file.write("cat 1 2\ndog 3 4\n")
        with open(vocab, "w") as file:
            file.write("a\ndog\nb\n")
        emb = rt.Embedding.from_pretrained(vec, freeze=False, client=self.client, load={"vocab": vocab},
                                           init=rowhouse.init.zeros())
        self.assertEqual(emb.weight.data[:].tolist(), [[0, 0], [3, 4], [0, 0]])
        emb = rt.Embedding.from_pretrained(path, client=self.client, num_embeddings=9)
        self.assertEqual(emb.weight.shape, (9, 3))
        self.fails(LookupError, "/no/file", rt.Embedding.from_pretrained, "/no/file", client=self.client)
        about = rowhouse.file_about(vec)
        self.assertEqual((about.rows, about.embedding_dim, about.format), (2, 2, "glove"))
        self.fails(ValueError, "cannot be seen from here", rowhouse.file_about, vec, source="shard")

    def test_a_state_dict_names_the_table_and_holds_no_rows(self):
        def make(name, rows=6):
            return nn.Sequential(rt.Embedding(rows, 3, client=self.client, name=name), nn.Linear(3, 2))
        model = make("one")
        saved = io.BytesIO()
        torch.save(model.state_dict(), saved)
        self.assertLess(saved.tell(), 2500)
        saved.seek(0)
        state = torch.load(saved)
        self.assertEqual(state["0._extra_state"],
                         {"table": "one", "num_embeddings": 6, "embedding_dim": 3, "checkpoint": None})
        self.assertEqual(str(make("one").load_state_dict(state)), "<All keys matched successfully>")
        self.fails(RuntimeError, "0: it was saved with another table: table is 'two' here and 'one' there",
                   make("two").load_state_dict, state)
        self.fails(RuntimeError, "num_embeddings is 7 here and 6 there", make("three", 7).load_state_dict, state)
        del state["0._extra_state"]
        self.fails(RuntimeError, "Missing key(s) in state_dict: \"0._extra_state\"", model.load_state_dict, state)
        self.fails(TypeError, "cannot be pickled", torch.save, model, io.BytesIO())

    def test_the_state_dict_of_a_torch_embedding_fills_the_table(self):
        theirs = nn.Sequential(nn.Embedding(6, 3))
        ours = nn.Sequential(rt.Embedding(6, 3, client=self.client))
        ours.load_state_dict(theirs.state_dict())
        torch.testing.assert_close(ours[0].weight.data[:], theirs[0].weight.detach(), **SAME)
        self.fails(RuntimeError, "size mismatch for 0.weight", ours.load_state_dict,
                   nn.Sequential(nn.Embedding(5, 3)).state_dict())

    def test_a_copy_of_a_model_is_on_the_same_table(self):
        _, b = self.pair()
        other = copy.deepcopy(nn.Sequential(b, nn.Linear(4, 2)))
        other[0](torch.tensor([1])).sum().backward()
        rt.step()
        torch.testing.assert_close(other[0].weight.data[:], b.weight.data[:], **SAME)
        self.assertEqual(b.table.info().steps, 1)

    def test_a_name_may_be_left_out_where_nobody_shares(self):
        a, b = (rt.Embedding(5, 2, client=self.client) for _ in range(2))
        self.assertEqual((a.table.name, b.table.name), ("embedding-0", "embedding-1"))
        self.assertEqual(str(a), "Embedding(5, 2, table=embedding-0)")
        self.assertIs(rt.default_client(), rt.Embedding(5, 2).weight._source.client)

    def test_a_billion_rows_of_which_few_are_touched(self):
        emb = rt.Embedding(10**9, 64, client=self.client, optimizer=rowhouse.Adagrad(0.1), padding_idx=0)
        nn.init.xavier_uniform_(emb.weight)
        layer = nn.Linear(64, 1)
        torch.manual_seed(0)
        ids = torch.randint(0, 10**9, (256,))
        losses = []
        for _ in range(20):
            loss = ((layer(emb(ids)).squeeze(1) - (ids % 2)) ** 2).mean()
            loss.backward()
            losses.append(loss.item())
            rt.step()
        self.assertLess(losses[-1], losses[0] / 2)
        info = emb.table.info()
        self.assertEqual((info.touched, emb.weight.numel()), (256, 64 * 10**9))
        self.assertLess(info.memory_bytes, 64 << 20)
        self.fails(MemoryError, "too many at once", lambda: emb.weight[:])
