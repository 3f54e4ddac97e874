"""check.py ROWHOUSE GOLDEN SCRATCH - every golden checkpoint, and what `rowhouse ckpt` makes of it, read by the second
reader: resharded ones are of the same moment, and exported tables have its rows."""
import os
import subprocess
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from reader import Checkpoint, is_finite, limited, weights_of  # noqa: E402
from xxh3 import xxh3_64  # noqa: E402

rowhouse, golden, scratch = sys.argv[1:]
assert xxh3_64(b"") == 0x2D06800538D394C2  # xxHash's own test vector
for name in sorted(os.listdir(golden)):
    path = os.path.join(golden, name)
    was = Checkpoint(path)
    assert sum(len(t.rows) for t in was.tables.values()) > 300
    for shards in (1, 2, 3, 5, 8):
        to = os.path.join(scratch, "%s-on-%d" % (name, shards))
        subprocess.run([rowhouse, "ckpt", "reshard", path, "--shards", str(shards), "--to", to], check=True)
        subprocess.run([rowhouse, "ckpt", "verify", to], check=True)
        again = Checkpoint(to)
        assert len(again.manifest["files"]) == shards
        was.same_moment(again)
    exported = 0
    for table in was.tables.values():
        if limited(table) or int(table.spec["num_embeddings"]) > 1 << 20 or not table.rows:
            continue
        to = os.path.join(scratch, "%s-%s.npy" % (name, table.name))
        subprocess.run([rowhouse, "ckpt", "export", path, table.name, "--output", to], check=True)
        rows = np.load(to)
        ids = sorted(table.rows)
        assert rows.shape == (int(table.spec["num_embeddings"]), table.spec["embedding_dim"]) and is_finite(table)
        assert rows[ids].tobytes() == weights_of(table, ids).tobytes(), table.name
        exported += 1
    assert exported >= 8
    print("ok", name)
