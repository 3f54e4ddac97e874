"""torch_jobs.py - rowhouse.torch in more than one process: workers of a job, forks of a DataLoader, a
package that pip has installed."""
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

import rowhouse
import rowhouse.torch as rt
from check import PACKAGE
from servers import Servers

TMP = os.environ.get("TMPDIR", "/tmp")
BIN = os.environ.get("RH_BIN", "build/bin")


class Parents(Dataset):
    """Looks rows up in its parent's table."""

    def __init__(self, emb):
        self.emb = emb

    def __len__(self):
        return 8

    def __getitem__(self, i):
        return self.emb(torch.tensor(i)).detach()


class Owns(Parents):
    """... with a client of its own."""

    def __init__(self, addresses):
        self.addresses, self.table = addresses, None

    def __getitem__(self, i):
        if self.table is None:
            self.table = rowhouse.connect(self.addresses, observer=True).find("t")
        return self.table.pull(i)


class Forks(unittest.TestCase):
    def test_a_data_loader_gets_an_error_from_its_parents_client_and_may_connect_itself(self):
        with Servers(2) as servers, rowhouse.connect(servers.addresses) as client:
            emb = rt.Embedding(8, 2, client=client, name="t", optimizer=rowhouse.SGD(1))
            with self.assertRaisesRegex(ValueError, "after a fork\\(\\) the child must connect"):
                list(DataLoader(Parents(emb), batch_size=4, num_workers=2))
            rows = torch.cat(list(DataLoader(Owns(servers.addresses), batch_size=4, num_workers=2)))
            was = emb.weight.data[:]
            torch.testing.assert_close(rows, was, rtol=0, atol=0)
            emb(torch.tensor([3])).sum().backward()  # and the parent is as it was
            rt.step()
            torch.testing.assert_close(emb.weight.data[3], was[3] - 1)

    def test_a_forked_child_has_a_default_client_of_its_own(self):
        self.assertIs(rt.default_client(), rt.default_client())
        parents = rt.Embedding(5, 2)
        child = os.fork()
        if child == 0:
            emb = rt.Embedding(5, 2, optimizer=rowhouse.SGD(1), init=rowhouse.init.zeros())
            emb(torch.tensor([1])).sum().backward()
            rt.step()  # not of its parent's tables
            os._exit(0 if emb.weight.data[1].tolist() == [-1, -1] else 1)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.assertEqual(parents(torch.tensor(1)).shape, (2,))


class Clients(unittest.TestCase):
    """Two workers of an async job, in one process."""

    def setUp(self):
        self.servers = Servers(2)
        self.addCleanup(self.servers.stop)
        self.clients = [rowhouse.connect(self.servers.addresses, rank=r, world=2) for r in range(2)]
        for client in self.clients:
            self.addCleanup(client.close)

    def test_requires_grad_freezes_for_the_other_worker_too(self):
        a, b = (rt.Embedding(5, 2, client=c, name="t", optimizer=rowhouse.SGD(1), init=rowhouse.init.zeros())
                for c in self.clients)
        a.weight.requires_grad = False
        for on, row in ((False, [0, 0]), (True, [-1, -1])):
            a.weight.requires_grad = on
            b(torch.tensor([1])).sum().backward()
            rt.step()
            self.assertEqual(a(torch.tensor(1)).tolist(), row)

    def test_over_an_observer_a_table_is_read_and_does_not_learn(self):
        emb = rt.Embedding(5, 2, client=self.clients[0], name="t")
        with rowhouse.connect(self.servers.addresses, observer=True) as observer:
            seen = rt.Embedding(5, 2, client=observer, name="t")
            self.assertEqual(seen(torch.tensor([1])).tolist(), emb(torch.tensor([1])).tolist())
            self.assertFalse(seen(torch.tensor([1])).requires_grad)
            rt.step()  # which an observer cannot
            for kind, text, rows, name in ((rowhouse.MismatchError, "is (5, 2), not (6, 2)", 6, "t"),
                                           (LookupError, "no table", 5, "nobody")):
                with self.assertRaises(kind) as caught:
                    rt.Embedding(rows, 2, client=observer, name=name)
                self.assertIn(text, str(caught.exception))

    def test_what_all_workers_call_rank_0_does_and_the_others_wait_for(self):
        embs = [rt.Embedding(5, 2, client=c, name="t") for c in self.clients]
        seen = [None, None]
        embs[1].table.write = embs[1].table.init = None  # not to be called

        def work(rank):
            weight = embs[rank].weight
            if rank == 0:
                time.sleep(0.3)
            nn.init.constant_(weight, 3)
            seen[rank] = weight.data[2].tolist()
            weight.data.copy_(torch.full((5, 2), rank + 7.))
            seen[rank] += weight.data[2].tolist()
        threads = [threading.Thread(target=work, args=(rank,)) for rank in range(2)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        self.assertEqual(seen, [[3, 3, 7, 7]] * 2)

    def test_a_name_must_be_given_where_others_could_mean_it(self):
        with self.assertRaisesRegex(ValueError, "Embedding: it needs a name: the workers"):
            rt.Embedding(5, 2, client=self.clients[0])


# Two workers with half of every batch each are one with all of it, when gradients are averaged.
TRAIN = """
import sys
import torch
from torch import nn
import rowhouse
import rowhouse.torch as rt

torch.manual_seed(5)
client = rt.default_client()
weight = torch.rand(30, 4)
theirs = nn.Embedding.from_pretrained(weight, freeze=False)
optimizer = torch.optim.Adagrad(theirs.parameters(), 0.1)
ours = rt.Embedding.from_pretrained(weight, freeze=False, name="words", reduce="mean",
                                    optimizer=rowhouse.Adagrad(0.1))
goal = torch.rand(30, 4)
for _ in range(20):
    ids = torch.randint(0, 30, (16,))
    optimizer.zero_grad()
    ((theirs(ids) - goal[ids]) ** 2).mean().backward()
    optimizer.step()
    half = ids.chunk(2)[client.rank]
    ((ours(half) - goal[half]) ** 2).mean().backward()
    rt.step()
torch.testing.assert_close(ours.weight.data[:], theirs.weight.detach(), rtol=1e-5, atol=1e-6)

def everyone_has(value):
    client.tick()
    assert ours(torch.tensor(7)).tolist() == [value] * 4, ours(torch.tensor(7))
    client.tick()

nn.init.ones_(ours.weight)
everyone_has(1)
ours.weight.data.copy_(torch.full((30, 4), 2.))
everyone_has(2)
ours.load_state_dict({"weight": torch.full((30, 4), 3.)})
everyone_has(3)
nn.init.uniform_(ours.weight)  # rank 0's draw
client.tick()
with open(f"{sys.argv[1]}.{client.rank}", "w") as file:  # mpirun may mix what ranks print
    file.write(f"{client.world} {ours.weight.data[:].sum().item()}")
"""


class Jobs(unittest.TestCase):
    def run_job(self, *more):
        path = os.path.join(TMP, "train.py")
        with open(path, "w") as file:
            file.write(TRAIN)
        done = subprocess.run([os.path.join(BIN, "rowhouse"), "run", "-s", "2", "-w", "2", *more, "--",
                               sys.executable, "-B", path, path], text=True, stdout=subprocess.PIPE, timeout=100,
                              stderr=subprocess.STDOUT, env={**os.environ, "PYTHONPATH": PACKAGE, "RH_MODE": "bsp"})
        self.assertEqual(done.returncode, 0, done.stdout)
        said = []
        for rank in range(2):
            with open(f"{path}.{rank}") as file:
                said.append(file.read().split())
        return said

    def test_two_workers_under_rowhouse_run_learn_what_torch_learns_from_the_whole_batch(self):
        said = self.run_job()
        self.assertEqual([world for world, _ in said], ["2", "2"])
        self.assertEqual(said[0][1], said[1][1])


class Installed(unittest.TestCase):
    def test_pip_installs_what_can_be_imported(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        source, target = os.path.join(folder, "source"), os.path.join(folder, "site")
        shutil.copytree(PACKAGE, source, ignore=shutil.ignore_patterns("__pycache__"))  # pip leaves things there
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps",
               "--no-index", "--no-compile", "--target", target, source]
        missing = [m for m in ("pip", "setuptools", "wheel") if importlib.util.find_spec(m) is None]
        if missing:
            self.skipTest(f"no {', '.join(missing)} (Debian: python3-...)")
        done = subprocess.run(pip, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=100)
        self.assertEqual(done.returncode, 0, done.stdout)
        library = os.environ.get("RH_LIBRARY", os.path.abspath("build/lib/librowhouse.so"))
        done = subprocess.run(
            [sys.executable, "-B", "-c", "import rowhouse, rowhouse.torch as rt, torch\n"
             "print(rowhouse.__file__, rt.Embedding(9, 2)(torch.tensor([1])).shape, rowhouse.__version__)"],
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, cwd=folder,
            env={**os.environ, "PYTHONPATH": target, "RH_LIBRARY": library})
        self.assertEqual(done.stdout.split(maxsplit=1),
                         [os.path.join(target, "rowhouse", "__init__.py"),
                          f"torch.Size([1, 2]) {rowhouse.__version__}\n"])
        self.assertTrue(os.path.exists(os.path.join(target, "rowhouse", "py.typed")))

    def test_the_packages_version_is_the_librarys(self):
        with open(os.path.join(PACKAGE, "pyproject.toml")) as file:
            self.assertEqual(re.findall(r'^version = "(.*)"', file.read(), re.M), [rowhouse.__version__])
