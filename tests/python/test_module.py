"""test_module.py - rowhouse from Python, over local: and over tcp:// with real servers."""
import gc
import os
import threading
import unittest

import numpy as np
import torch

import rowhouse
from check import run_program
from rowhouse import arrays
from servers import Servers

SHARDS = 3
DIM = 4
TMP = os.environ.get("TMPDIR", "/tmp")


class Python(unittest.TestCase):
    """What is the same over every transport."""

    servers = None

    def setUp(self):
        self.client = (rowhouse.connect("local:", local_shards=SHARDS) if self.servers is None
                       else rowhouse.connect(self.servers.addresses, timeout=20))
        self.name = self.id().rsplit(".", 1)[1][:60]  # tables live as long as servers do
        self.addCleanup(self.client.close)

    def table(self, rows=100, **options):
        options.setdefault("optimizer", rowhouse.SGD(1))
        options.setdefault("init", rowhouse.init.zeros())
        return self.client.table(self.name, rows, DIM, **options)

    def path(self, name):
        return os.path.join(TMP, f"{type(self).__name__}-{self.name}-{name}")

    # ---- rows ----

    def test_rows_have_the_shape_of_the_ids_and_one_dimension_more(self):
        t = self.table(init=rowhouse.init.normal())
        every = t.pull(np.arange(100))
        self.assertEqual((every.shape, every.dtype), ((100, DIM), np.float32))
        for ids in (7, [7], [], [[1, 2, 3], [3, 2, 99]], (5, 5), np.int32([[[4]]]), np.uint8(200 % 100),
                    np.arange(20)[::3], np.arange(6).reshape(2, 3).T, np.asarray([5, 6], ">i8"),
                    np.array([99], np.uint64), torch.tensor([[0, 1], [2, 3]]), torch.tensor(8),
                    torch.arange(12).reshape(3, 4).T, torch.zeros((2, 0, 3), dtype=torch.int32)):
            shape = np.shape(ids)
            rows = t.pull(ids)
            self.assertEqual((rows.shape, rows.dtype), ((*shape, DIM), np.float32))
            plain = np.asarray(ids).astype(np.int64)
            self.assertTrue(np.array_equal(rows, every[plain]), ids)
            self.assertTrue(np.array_equal(t.read(ids), rows))

    def test_a_push_is_a_step_and_equal_ids_are_added_first(self):
        t = self.table()
        t.push([[3, 5], [3, 99]], np.arange(16).reshape(2, 2, DIM))
        self.assertEqual(t.pull(3).tolist(), [-8, -10, -12, -14])
        self.assertEqual(t.pull([5, 99, 0]).tolist(), [[-4, -5, -6, -7], [-12, -13, -14, -15], [0] * 4])
        self.assertEqual(t.info().steps, 1)

    def test_gradients_and_rows_may_be_lists_doubles_halves_integers_or_tensors(self):
        t = self.table()
        for k, grads in enumerate(([[1.0] * DIM], np.ones((1, DIM)), np.ones((1, DIM), np.float16),
                                   np.ones((DIM, 1), np.float32).T, np.ones((1, DIM), np.int8),
                                   torch.ones(1, DIM, dtype=torch.float64),
                                   torch.ones(1, DIM, requires_grad=True)), start=1):
            t.push([6], grads)
            self.assertEqual(t.pull(6).tolist(), [-k] * DIM)
        t.write(6, [1, 2, 3, 4])
        self.assertEqual(t.read(6).tolist(), [1, 2, 3, 4])

    def test_no_ids_are_a_step_and_change_nothing(self):
        t = self.table()
        t.push([], np.empty((0, DIM)))
        t.write([], np.empty((0, DIM)))
        self.client.tick()  # servers hear of such a step with the next frame
        self.assertEqual((t.info().steps, t.info().touched), (1, 0))

    def test_what_lies_in_memory_as_the_library_wants_it_is_not_copied(self):
        for ids in (np.arange(6), np.arange(6, dtype=np.uint64).reshape(2, 3)):
            self.assertIs(arrays.ids_of(ids, ""), ids)
        tensor = torch.arange(6)
        self.assertEqual(arrays.address(arrays.ids_of(tensor, "")), tensor.data_ptr())
        rows = np.zeros((2, DIM), np.float32)
        self.assertTrue(np.shares_memory(arrays.floats_of(rows, rows.shape, "", ""), rows))
        tensor = torch.zeros(2, DIM)
        self.assertEqual(arrays.address(arrays.floats_of(tensor, (2, DIM), "", "")), tensor.data_ptr())

    def test_out_is_filled_and_returned(self):
        t = self.table(init=rowhouse.init.constant(3))
        for out in (np.zeros((2, DIM), np.float32), torch.zeros(2, DIM)):
            self.assertIs(t.pull([1, 2], out=out), out)
            self.assertEqual(out.tolist(), [[3] * DIM] * 2)
        for out in (np.zeros((3, DIM), np.float32), np.zeros((2, DIM)), np.zeros((DIM, 2), np.float32).T):
            with self.assertRaisesRegex(ValueError, "pull: out"):
                t.pull([1, 2], out=out)

    # ---- errors ----

    def fails(self, kind, text, function, *arguments, **named):
        with self.assertRaises(kind) as caught:
            function(*arguments, **named)
        self.assertIn(text, str(caught.exception))
        return caught.exception

    def test_an_id_out_of_range_is_an_index_error_with_its_place(self):
        t = self.table()
        row = np.zeros(DIM)
        e = self.fails(IndexError, "pull: id 100 at position 1 is out of range: table "
                       f"{self.name} has ids 0 to 99", t.pull, [0, 100])
        self.assertEqual((type(e), e.status), (rowhouse.RangeError, rowhouse.Status.ERANGE))
        self.fails(IndexError, "pull: id -1 at position (1, 0) is negative", t.pull, [[0, 1], [-1, 2]])
        self.fails(IndexError, "id -1 is negative", t.pull, -1)
        self.fails(IndexError, "id 9223372036854775808 at position 0", t.pull, np.array([2**63], np.uint64))
        self.fails(IndexError, "id 18446744073709551616 is out of range", t.pull, [1, 2**64])
        self.fails(IndexError, "push: id -5 at position 1", t.push, [3, -5], [row + 1, row])
        self.fails(IndexError, "write: id 100 at", t.write, [3, 100], [row + 1, row])
        self.fails(IndexError, "read: id 100 is", t.read, 100)
        self.assertEqual(t.info().touched, 0)

    def test_other_types_and_shapes_are_refused_with_both_shapes(self):
        t = self.table()
        self.fails(TypeError, "pull: ids must be integers, not float64", t.pull, [1.5])
        self.fails(TypeError, "not bool", t.pull, [True])
        self.fails(TypeError, "ids must be integers", t.pull, ["a"])
        self.fails(ValueError, "push: grads has the shape (2, 3), but these ids want (2, 4)",
                   t.push, [1, 2], np.zeros((2, 3)))
        self.fails(ValueError, "write: rows has the shape (4,), but these ids want (1, 4)",
                   t.write, [1], np.zeros(4))
        self.fails(TypeError, "grads must be floats, not complex128", t.push, 1, np.zeros(4, complex))

    def test_nan_is_refused_or_skipped_as_the_table_was_made(self):
        t = self.table()
        grads = np.ones((2, DIM))
        grads[1, 2] = np.nan
        self.fails(ValueError, "is nan", t.push, [1, 2], grads)
        self.assertEqual((t.pull(1).tolist(), t.info().steps), ([0] * DIM, 0))
        self.name += "2"
        t = self.table(nonfinite="skip")
        t.push([1, 2], grads)
        self.assertEqual(t.pull([1, 2]).tolist(), [[-1] * DIM, [0] * DIM])
        self.assertEqual(t.info().skipped, 1)

    def test_pulls_are_counted_by_how_stale_they_may_have_been(self):
        t = self.table()
        t.pull(1), t.pull(1)
        self.assertEqual(t.info().pulls_by_age, (2, 0, 0, 0, 0, 0, 0, 0))

    def test_what_a_table_cannot_be_is_refused_by_name(self):
        self.fails(ValueError, "orthogonal", self.table, init=rowhouse.init.orthogonal())
        self.fails(ValueError, "Adam has no amsgrad", self.table, optimizer=rowhouse.Adam(amsgrad=True))
        self.fails(ValueError, "maximize", self.table, optimizer=rowhouse.SGD(1, maximize=True))
        self.fails(ValueError, "reduce is 'max': use one of 'sum', 'mean'", self.table, reduce="max")
        self.fails(ValueError, "num_embeddings -1", self.table, rows=-1)
        self.table()
        e = self.fails(rowhouse.MismatchError, "num_embeddings 100, not 101", self.table, rows=101)
        self.assertEqual(e.status, rowhouse.Status.EMISMATCH)
        self.fails(LookupError, 'no table "nobody"', self.client.find, "nobody")

    def test_a_table_is_found_by_its_name(self):
        t = self.table()
        t.write(1, [1, 2, 3, 4])
        found = self.client.find(self.name)
        self.assertEqual((found.num_embeddings, found.embedding_dim), (100, DIM))
        self.assertEqual(found.pull(1).tolist(), [1, 2, 3, 4])

    # ---- nn.Embedding's arguments ----

    def test_the_padding_row_begins_as_zeros_never_learns_and_may_be_set(self):
        t = self.table(init=rowhouse.init.ones(), padding_idx=-98)
        self.assertEqual(t.pull([1, 2, 3])[:, 0].tolist(), [1, 0, 1])
        grads = np.ones((2, DIM))
        grads[0] = np.nan  # as of losses that mask their padding
        t.push([2, 3], grads)
        self.assertEqual(t.pull([2, 3])[:, 0].tolist(), [0, 0])
        t.write(2, [5] * DIM)
        t.push(2, np.ones(DIM))
        self.assertEqual(t.pull(2).tolist(), [5] * DIM)
        self.name += "2"
        self.fails(ValueError, "padding_idx 100 must be within num_embeddings, -100 to 99", self.table,
                   padding_idx=100)

    def test_rows_are_seen_within_max_norm_and_stored_as_they_were(self):
        t = self.table(init=rowhouse.init.constant(3), max_norm=2, norm_type=float("inf"))
        np.testing.assert_allclose(t.pull(1), [2] * DIM, rtol=1e-6)
        self.assertEqual(t.read(1).tolist(), [3] * DIM)
        t.push(1, np.ones(DIM))
        np.testing.assert_allclose(t.read(1), [1] * DIM, rtol=1e-6)
        self.name += "2"
        self.fails(ValueError, "max_norm 0 must be above 0", self.table, max_norm=0)
        self.fails(ValueError, "norm_type", self.table, max_norm=1, norm_type=-1)

    def test_repeats_count_as_their_mean_where_a_table_scales_by_frequency(self):
        t = self.table(scale_grad_by_freq=True)
        t.push([1, 2, 1], [[2] * DIM, [2] * DIM, [4] * DIM])
        self.assertEqual(t.pull([1, 2])[:, 0].tolist(), [-3, -2])

    # ---- bags and copies ----

    def test_bags_are_pooled_and_their_gradients_spread_as_torchs(self):
        weight = np.random.default_rng(1).normal(size=(100, DIM)).astype(np.float32)
        ids, offsets = np.array([4, 9, 4, 9, 7, 5, 6]), np.array([0, 2, 2, 5])
        weights = np.arange(1, 8, dtype=np.float32)
        for mode, per_sample in (("sum", None), ("mean", None), ("max", None), ("sum", weights)):
            for last in (False, True):
                self.name = f"bags-{mode}-{per_sample is None}-{last}"
                t = self.table(padding_idx=9)
                t.write(np.arange(100), weight)
                bags = torch.nn.EmbeddingBag(100, DIM, mode=mode, padding_idx=9, include_last_offset=last)
                bags.weight.data.copy_(torch.from_numpy(weight))
                at = np.append(offsets, 7) if last else offsets
                theirs = None if per_sample is None else torch.from_numpy(per_sample).requires_grad_()
                pooled = bags(torch.from_numpy(ids), torch.from_numpy(at), theirs)
                out, rows = t.pull_bags(ids, at, mode=mode, per_sample_weights=per_sample,
                                        include_last_offset=last, return_rows=True)
                np.testing.assert_allclose(out, pooled.detach(), rtol=1e-6, atol=1e-6)
                self.assertTrue(np.array_equal(rows, weight[ids]))
                grads = np.arange(4 * DIM, dtype=np.float32).reshape(4, DIM)
                (pooled * torch.from_numpy(grads)).sum().backward()
                d_weights = t.push_bags(ids, at, grads, mode=mode, per_sample_weights=per_sample,
                                        include_last_offset=last, rows=rows)
                np.testing.assert_allclose(t.pull(np.arange(100)), weight - bags.weight.grad.numpy(),
                                           rtol=1e-5, atol=1e-5)
                if per_sample is None:
                    self.assertIsNone(d_weights)
                else:
                    np.testing.assert_allclose(d_weights, theirs.grad, rtol=1e-5, atol=1e-5)

    def test_bags_of_one_size_need_no_offsets(self):
        t = self.table()
        t.write(np.arange(100), np.arange(100)[:, None] * np.ones(DIM))
        self.assertEqual(t.pull_bags([[1, 2, 3], [4, 4, 4]])[:, 0].tolist(), [2, 4])
        t.push_bags([[1, 2, 3], [4, 4, 4]], None, np.ones((2, DIM)), mode="sum")
        self.assertEqual(t.pull([1, 4])[:, 0].tolist(), [0, 1])
        self.assertEqual(t.pull_bags([], [0, 0]).tolist(), [[0] * DIM] * 2)
        self.fails(ValueError, "without offsets they want two dimensions", t.pull_bags, [1, 2])
        self.fails(ValueError, "grads has the shape (1, 4), but 2 bags want (2, 4)", t.push_bags, [1, 2],
                   [0, 1], np.ones((1, DIM)))
        self.fails(ValueError, "offset", t.pull_bags, [1, 2], [1])
        self.fails(IndexError, "pull_bags: id 100 at position 1", t.pull_bags, [1, 100], [0])
        self.fails(ValueError, "per_sample_weights", t.pull_bags, [1, 2], [0], per_sample_weights=[1, 1])
        self.fails(ValueError, "mode is 'median'", t.pull_bags, [1, 2], [0], mode="median")

    def test_a_soft_prompt_starts_from_rows_of_a_vocabulary(self):
        words = self.table(init=rowhouse.init.normal())
        self.name += "2"
        prompt = self.table(20)
        prompt.copy([0, 3], words, [99, 7])
        self.assertTrue(np.array_equal(prompt.read([0, 3, 1]),
                                       np.concatenate([words.read([99, 7]), np.zeros((1, DIM))])))
        self.fails(IndexError, "copy: id 20 at position 1", prompt.copy, [0, 20], words, [1, 2])
        self.fails(IndexError, "copy: id 100 at position 0", prompt.copy, [0, 1], words, [100, 2])
        self.fails(ValueError, "2 ids from 1", prompt.copy, [0, 1], words, [2])

    # ---- tables as a whole ----

    def test_a_table_begins_anew_or_gets_another_initializer(self):
        t = self.table(optimizer=rowhouse.Adagrad(1))
        t.push(1, np.ones(DIM))
        self.fails(ValueError, "force", t.init, rowhouse.init.ones())
        t.init(rowhouse.init.constant(2), force=True)
        self.assertEqual((t.pull([1, 5])[:, 0].tolist(), t.info().steps), ([2, 2], 1))
        t.reset()
        self.assertEqual((t.pull(1).tolist(), t.info().steps, t.info().touched), ([2] * DIM, 0, 0))

    def test_a_dropped_table_is_gone_and_its_name_is_free(self):
        t = self.table()
        other = self.client.find(self.name)
        t.drop()
        self.fails(LookupError, f"table {self.name} was dropped", t.pull, 1)
        self.fails(LookupError, self.name, other.pull, 1)
        self.fails(LookupError, self.name, self.client.find, self.name)
        self.assertEqual(self.table(7).pull(6).tolist(), [0] * DIM)

    # ---- freezing, learning rates, clocks ----

    def test_a_frozen_table_drops_pushes_and_takes_writes(self):
        t = self.table()
        t.freeze()
        t.push(1, np.ones(DIM))
        self.assertEqual((t.pull(1).tolist(), t.info().frozen, t.info().trainable), ([0] * DIM, 100, 0))
        t.write(1, [5] * DIM)
        t.unfreeze()
        t.push(1, np.ones(DIM))
        self.assertEqual((t.pull(1).tolist(), t.info().frozen), ([4] * DIM, 0))
        self.fails(IndexError, "freeze: 51 rows from 50 on", t.freeze, 50, 51)
        self.fails(IndexError, "unfreeze: rows from 100 on", t.unfreeze, 100)

    def test_rows_are_frozen_by_ranges_and_by_lists(self):
        t = self.table()
        t.freeze(10, 5)
        t.freeze_ids([[3, 99]])
        t.unfreeze(11, 1)
        t.unfreeze_ids(12)
        self.assertEqual((t.info().frozen, t.info().trainable), (5, 95 * DIM))
        t.push(np.arange(100), np.ones((100, DIM)))
        self.assertEqual(np.flatnonzero(t.pull(np.arange(100))[:, 0] == 0).tolist(), [3, 10, 13, 14, 99])
        self.fails(IndexError, "freeze_ids: id 100 at position 1", t.freeze_ids, [1, 100])
        self.fails(IndexError, "unfreeze_ids: id -1 is negative", t.unfreeze_ids, -1)

    def test_a_table_thaws_at_the_clock_it_was_frozen_until(self):
        t = self.table()
        t.freeze(until_clock=self.client.clock + 2)
        seen = []
        for _ in range(4):
            t.push(1, np.ones(DIM))
            self.client.tick()
            seen.append(t.pull(1)[0])
        self.assertEqual(seen, [0, 0, -1, -2])

    def test_the_learning_rate_is_that_of_the_next_push(self):
        t = self.table()
        t.set_lr(0.25)
        t.push(1, np.ones(DIM))
        self.assertEqual(t.pull(1).tolist(), [-0.25] * DIM)
        self.fails(ValueError, "lr is -1", t.set_lr, -1)

    def test_a_client_knows_its_place_and_counts_its_clocks(self):
        self.assertEqual((self.client.rank, self.client.world, self.client.shards), (0, 1, SHARDS))
        before = self.client.clock
        self.client.tick()
        self.client.barrier(timeout=20)
        self.assertEqual(self.client.clock, before + 1)

    # ---- files ----

    def test_loading_freezes_unless_told_otherwise(self):
        values = np.arange(10 * DIM, dtype=np.float32).reshape(10, DIM)
        path = self.path("v.npy")
        np.save(path, values)
        t = self.table()
        report = t.load(path)
        self.assertEqual((report.matched, report.missed, report.format), (10, 90, "npy"))
        self.assertEqual(t.info().frozen, 100)
        t.push(np.arange(10), np.ones((10, DIM)))
        self.assertTrue(np.array_equal(t.pull(np.arange(10)), values))
        self.name += "2"
        t = self.table()
        t.load(path, freeze=False, format="npy")
        self.assertEqual(t.info().frozen, 0)
        t.push(np.arange(10), np.ones((10, DIM)))
        self.assertTrue(np.array_equal(t.pull(np.arange(10)), values - 1))

    def test_servers_read_the_file_themselves_beneath_their_folder(self):
        values = np.random.default_rng(2).normal(size=(100, DIM)).astype(np.float32)
        np.save(self.path("v.npy"), values)
        path = self.path("v.npy") if self.servers is None else os.path.basename(self.path("v.npy"))
        t = self.table()
        report = t.load(path, source="shard")
        self.assertEqual((report.matched, report.format, t.info().frozen), (100, "npy", 100))
        self.assertTrue(np.array_equal(t.read(np.arange(100)), values))
        if self.servers is not None:
            self.fails(ValueError, "/etc/passwd", t.load, "/etc/passwd", source="shard")
        self.fails(ValueError, "source is 'cloud'", t.load, path, source="cloud")

    def test_words_go_where_the_vocabulary_says_and_come_back(self):
        t = self.table(10)
        with open(self.path("words"), "w") as file:
            file.write("naïve\nmissing\n犬\n")
        with open(self.path("vec"), "w") as file:
            file.write("犬 1 2 3 4\nother 0 0 0 0\nnaïve 5 6 7 8\n")
        report = t.load(self.path("vec"), vocab=self.path("words"), freeze=False)
        self.assertEqual((report.matched, report.missed, report.unused, report.format), (2, 1, 1, "glove"))
        self.assertEqual(report.first_missed, "missing")
        self.assertEqual(t.pull([0, 1, 2]).tolist(), [[5, 6, 7, 8], [0] * DIM, [1, 2, 3, 4]])
        t.export(self.path("out.txt"), ids=[2, 0], words=["犬", "naïve"])
        with open(self.path("out.txt")) as file:
            self.assertEqual(file.read(), "2 4\n犬 1 2 3 4\nnaïve 5 6 7 8\n")
        t.export(self.path("out.npy"))
        self.assertTrue(np.array_equal(np.load(self.path("out.npy")), t.pull(np.arange(10))))
        self.fails(ValueError, "1 words for 2 rows", t.export, self.path("x"), ids=[1, 2], words=["a"])
        self.fails(IndexError, "export: id 10 at position 0", t.export, self.path("x"), ids=[10])

    def test_a_bad_file_is_named_and_changes_nothing(self):
        t = self.table()
        self.fails(LookupError, "/no/such/file", t.load, "/no/such/file")
        with open(self.path("cut.npy"), "wb") as file:
            file.write(b"\x93NUMPY\x01\x00")
        self.fails(rowhouse.CorruptError, "cut.npy", t.load, self.path("cut.npy"))
        np.save(self.path("wide.npy"), np.zeros((3, DIM + 1), np.float32))
        self.fails(rowhouse.MismatchError, "wide.npy", t.load, self.path("wide.npy"))
        self.fails(ValueError, "format is 'csv'", t.load, self.path("cut.npy"), format="csv")
        self.assertEqual((t.info().touched, t.info().frozen), (0, 0))

    # ---- the life of a client ----

    def test_a_closed_client_says_so(self):
        t = self.table()
        self.client.close()
        self.client.close()
        for call in (lambda: t.pull(1), lambda: t.freeze(), self.client.tick, lambda: self.client.clock):
            self.fails(rowhouse.InvalidError, "is closed", call)

    def test_a_forked_child_is_told_to_connect_itself(self):
        t = self.table()
        child = os.fork()
        if child == 0:
            try:
                t.pull(1)
            except rowhouse.InvalidError as e:
                with rowhouse.connect("local:") as own:
                    fine = own.table("t", 10, 2).pull(3).shape == (2,)
                os._exit(0 if "after a fork() the child must connect" in str(e) and fine else 2)
            os._exit(1)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.assertEqual(t.pull(1).tolist(), [0] * DIM)

    def test_threads_share_a_client(self):
        t = self.table()

        def work():
            for _ in range(50):
                t.push(np.arange(8), np.ones((8, DIM), np.float32))
        threads = [threading.Thread(target=work) for _ in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        self.assertEqual(t.pull(np.arange(8)).tolist(), [[-200] * DIM] * 8)
        self.assertEqual(t.info().steps, 200)


class PythonOverTcp(Python):
    @classmethod
    def setUpClass(cls):
        cls.servers = Servers(SHARDS, "--data-dir", TMP)

    @classmethod
    def tearDownClass(cls):
        if cls.servers.stop() != [0] * SHARDS:
            raise AssertionError("a server did not end well")

    def test_a_program_that_ends_without_a_close_has_said_goodbye(self):
        with Servers(2, "--world", "1") as servers:
            run_program(f"c = rowhouse.connect({servers.addresses}); c.table('t', 10, 2).push(1, [1, 2])")
            self.assertEqual(servers.wait(10), [0, 0])

    def test_a_client_that_nobody_holds_is_closed_but_not_while_a_table_is_held(self):
        with Servers(1, "--world", "1") as servers:
            t = rowhouse.connect(servers.addresses).table("t", 10, 2)
            gc.collect()
            self.assertEqual(t.pull(1).shape, (2,))
            del t
            self.assertEqual(servers.wait(10), [0])

    def test_a_dead_server_is_a_timeout_that_names_it(self):
        with Servers(1) as servers:
            c = rowhouse.connect(servers.addresses, timeout=0.5)
            t = c.table("t", 10, 2)
            servers.processes[0].kill()
            with self.assertRaises((TimeoutError, ConnectionError)) as caught:
                t.pull(1)
            self.assertIn("shard 0", str(caught.exception))
            c.close()

    def test_two_workers_of_a_bsp_job_step_as_one(self):
        with Servers(2) as servers:
            clients = [rowhouse.connect(servers.addresses, rank=r, world=2, mode="bsp", timeout=20)
                       for r in range(2)]
            tables = [c.table("t", 10, 2, optimizer=rowhouse.SGD(1), init=rowhouse.init.zeros(),
                              reduce="mean") for c in clients]
            for r, t in enumerate(tables):
                t.push([1, 1], [[1, 2], [r, r]])
            for c in clients:
                c.tick()
            for t in tables:
                self.assertEqual(t.pull(1).tolist(), [-1.5, -2.5])
            for c in clients:
                c.close()
