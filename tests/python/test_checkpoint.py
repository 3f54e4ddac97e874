"""test_checkpoint.py - checkpoints and cursors from Python: over local:, and over servers that are killed and begin
again from one, on another number of shards."""
import json
import os
import pickle
import tempfile
import threading
import unittest

import numpy as np

import rowhouse
from rowhouse import Checkpoint
from servers import Servers

DIM = 3


def train(client, steps, seed=0):
    """Steps of a job that draws its batches from a generator whose state is the cursor."""
    numbers = np.random.default_rng(seed)
    state = client.cursor()
    if state is not None:
        numbers.bit_generator.state = json.loads(state)
    table = client.table("t", 500, DIM, optimizer=rowhouse.SparseAdam(lr=0.1), seed=5)
    for _ in range(steps):
        ids = numbers.integers(0, 500, 40)
        table.push(ids, numbers.normal(size=(40, DIM)).astype(np.float32))
        client.set_cursor(json.dumps(numbers.bit_generator.state).encode())
        client.tick()
    return table.read(np.arange(500))


class Checkpoints(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def connect(self, *servers, **options):
        client = rowhouse.connect(*servers, **options)
        self.addCleanup(client.close)
        return client

    def local(self, shards=2, **options):
        return self.connect(f"local:{shards}", checkpoint_dir=self.folder, **options)

    def fails(self, kind, text, function, *arguments):
        with self.assertRaises(kind) as caught:
            function(*arguments)
        self.assertIn(text, str(caught.exception))

    def test_a_save_is_named_numbered_and_known_afterwards(self):
        client = self.local()
        self.assertIsNone(client.last_checkpoint())
        first = client.save("epoch-1")
        self.assertEqual((first.name, first.clock, client.last_checkpoint()), ("epoch-1", 0, first))
        train(client, 3)
        second, third = client.save("epoch-1"), client.save("b")
        self.assertEqual((second.name, third.name), ("epoch-1", "b"))
        self.assertTrue(first.generation < second.generation < third.generation, (first, second, third))
        self.assertTrue(os.path.exists(os.path.join(self.folder, "epoch-1", "MANIFEST.json")))
        client.close()
        self.assertEqual(client.last_checkpoint(), third)
        self.fails(rowhouse.InvalidError, "this client is closed", client.save, "c")

    def test_under_bsp_it_stands_at_a_clock(self):
        client = self.local(mode="bsp")
        train(client, 3)
        self.assertEqual(client.save("a").clock, 3)

    def test_the_folder_may_come_from_the_environment(self):
        os.environ["RH_CHECKPOINT_DIR"] = self.folder
        self.addCleanup(os.environ.pop, "RH_CHECKPOINT_DIR")
        self.assertEqual(self.connect("local:").save("a").name, "a")

    def test_a_cursor_is_any_bytes_and_comes_back_whole(self):
        client = self.local()
        self.assertIsNone(client.cursor())
        client.save("a")
        self.assertIsNone(client.cursor())
        for given in (b"", b"\0\1\0", bytearray(b"xyz"), memoryview(b"abcd")[1:], pickle.dumps({"epoch": 3}),
                      os.urandom(65536)):
            client.set_cursor(given)
            before = client.cursor()  # what is in a checkpoint, not what was said since
            client.save("a")
            self.assertEqual(client.cursor(), bytes(given))
            self.assertNotEqual(before, bytes(given))
        self.assertEqual(client.cursor(0), client.cursor())
        self.assertIsNone(client.cursor(7))
        self.fails(rowhouse.LimitError, "65537 bytes", client.set_cursor, bytes(65537))
        for wrong in "epoch 3", 3, None:
            self.assertRaises(TypeError, client.set_cursor, wrong)

    def test_what_cannot_be_saved_says_why(self):
        client = self.local()
        for name in ("", ".a", "../a", "a b", "x" * 65, "ä"):
            self.fails(ValueError, "checkpoint", client.save, name)
        self.fails(ValueError, "RH_CHECKPOINT_DIR", self.connect("local:").save, "a")
        with self.assertRaises(rowhouse.Error) as caught:
            self.connect("local:", checkpoint_dir="/proc/nowhere/here")
        self.assertIn("checkpoint_dir", str(caught.exception))

    def test_workers_under_bsp_save_together_and_each_has_a_cursor(self):
        with Servers(2, "--checkpoint-dir", self.folder) as servers:
            clients = [self.connect(servers.addresses, rank=rank, world=2, mode="bsp") for rank in range(2)]
            saved = [None, None]

            def work(rank):
                client = clients[rank]
                for step in range(4):
                    client.set_cursor(b"%d after step %d" % (rank, step))
                    client.tick()
                saved[rank] = client.save("all")
            threads = [threading.Thread(target=work, args=(rank,)) for rank in range(2)]
            [thread.start() for thread in threads]
            [thread.join() for thread in threads]
            self.assertEqual(saved, [Checkpoint("all", saved[0].generation, 4)] * 2)
            self.assertEqual([clients[0].cursor(rank) for rank in range(2)], [b"0 after step 3", b"1 after step 3"])
            observer = self.connect(servers.addresses, observer=True)
            self.assertEqual((observer.last_checkpoint(), observer.cursor(1)), (saved[0], b"1 after step 3"))
            self.fails(ValueError, "observer", observer.set_cursor, b"x")
            for client in (observer, *clients):
                client.close()

    def test_servers_that_are_killed_go_on_from_a_checkpoint_on_any_number_of_shards(self):
        expected = train(self.local(), 30)
        servers = Servers(2, "--checkpoint-dir", self.folder)
        client = self.connect(servers.addresses, timeout=5)
        train(client, 20)
        saved = client.save("half")
        train(client, 3)  # is lost
        servers.kill()
        client.close()
        for shards in (1, 3):
            with Servers(shards, "--checkpoint-dir", self.folder, "--restore", "half") as servers, \
                    rowhouse.connect(servers.addresses, timeout=20) as client:
                self.assertEqual((client.last_checkpoint(), client.clock), (saved, 20))
                rows = train(client, 10)
                np.testing.assert_array_equal(rows.view(np.uint32), expected.view(np.uint32))

    def test_a_client_takes_its_servers_back_to_a_checkpoint(self):
        client = self.local()
        train(client, 5)
        saved = client.save("a")
        once = train(client, 5)
        client.save("b")
        kept, new = client.find("t"), client.table("new", 10, DIM)
        self.assertEqual(client.restore("a"), saved)
        self.assertEqual((client.last_checkpoint(), client.clock, kept.info().steps), (saved, 5, 5))
        again = train(client, 5)
        np.testing.assert_array_equal(again.view(np.uint32), once.view(np.uint32))
        np.testing.assert_array_equal(kept.read(np.arange(500)), once)
        self.fails(LookupError, "new", new.pull, 1)
        self.fails(LookupError, "nowhere", client.restore, "nowhere")
        with open(os.path.join(self.folder, "b", "shard-00001-of-00002.rhs"), "r+b") as file:
            file.seek(100)
            file.write(b"\xff\xff\xff\xff")
        self.fails(rowhouse.CorruptError, "shard-00001-of-00002.rhs", client.restore, "b")
        np.testing.assert_array_equal(kept.read(np.arange(500)), once)

    def test_who_is_taken_back_by_somebody_else_comes_back_with_its_cursor(self):
        with Servers(2, "--checkpoint-dir", self.folder) as servers:
            client = self.connect(servers.addresses, timeout=20)
            once = train(client, 5)
            saved = client.save("a")
            observer = self.connect(servers.addresses, observer=True, timeout=20)
            self.assertEqual(observer.restore("a"), saved)
            self.fails(rowhouse.RollbackError, "call rh_cursor", client.tick)
            self.assertIsNotNone(client.cursor())
            self.assertEqual((client.clock, client.last_checkpoint()), (5, saved))
            np.testing.assert_array_equal(client.find("t").read(np.arange(500)), once)

    def test_a_job_whose_servers_are_killed_comes_to_the_same_bits(self):
        expected = train(self.connect("local:2"), 30)
        with Servers(2, "--checkpoint-dir", self.folder) as servers:
            client = self.connect(servers.addresses, timeout=30)
            kills = [(3, 1), (5, 0), (17, 0), (22, 1)]  # at a step, whom
            while True:
                try:
                    state = client.cursor()
                    numbers, step = np.random.default_rng(0), 0
                    if state is not None:
                        step, numbers.bit_generator.state = json.loads(state)
                    table = client.table("t", 500, DIM, optimizer=rowhouse.SparseAdam(lr=0.1), seed=5)
                    self.assertEqual(client.clock, step)
                    while step < 30:
                        if kills and step == kills[0][0]:
                            servers.replace(kills.pop(0)[1])
                        ids = numbers.integers(0, 500, 40)
                        table.push(ids, numbers.normal(size=(40, DIM)).astype(np.float32))
                        step += 1
                        client.set_cursor(json.dumps([step, numbers.bit_generator.state]).encode())
                        client.tick()
                        if step in (10, 20):
                            client.save(f"step-{step}")
                    break
                except rowhouse.RollbackError:
                    pass
            self.assertEqual(kills, [])
            rows = table.read(np.arange(500))
            np.testing.assert_array_equal(rows.view(np.uint32), expected.view(np.uint32))
