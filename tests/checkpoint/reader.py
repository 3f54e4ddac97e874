"""A second reader of checkpoints, written from ps/CHECKPOINT.md alone. It checks all that the page promises."""
import json
import math
import os
import re
import struct

import numpy as np

from xxh3 import xxh3_128, xxh3_64

TABLE, RUNS, ROWS, LISTED = 1, 2, 3, 4


def slot_of(ids):
    low, slot = ids & np.uint64(16383), np.zeros(len(ids), np.uint64)
    for bit in range(14):
        slot |= (low >> np.uint64(bit) & np.uint64(1)) << np.uint64(13 - bit)
    return slot


def lz4(packed, raw_len):
    out, at = bytearray(), 0

    def length(n):
        nonlocal at
        if n == 15:
            while True:
                n, at = n + packed[at], at + 1
                if packed[at - 1] != 255:
                    break
        return n

    while at < len(packed):
        token, at = packed[at], at + 1
        literals = length(token >> 4)
        out += packed[at:at + literals]
        at += literals
        if at == len(packed):
            break
        offset, at = packed[at] | packed[at + 1] << 8, at + 2
        assert 0 < offset <= len(out)
        for _ in range(length(token & 15) + 4):
            out.append(out[-offset])
    assert len(out) == raw_len
    return bytes(out)


def block(data, offset, packed, raw_len):
    raw_is, packed_is, hash_is = struct.unpack_from("<IIQ", data, offset)
    assert raw_is == raw_len and packed_is + 16 == packed and 32 <= raw_len <= 262144
    body = data[offset + 16:offset + packed]
    raw = bytes(body) if packed_is == raw_len else lz4(body, raw_len)
    assert raw_len >= 64 or packed_is == raw_len
    assert xxh3_64(raw) == hash_is
    return raw


class Table:
    def __init__(self, entry):
        self.number, self.name, self.spec = entry["number"], entry["name"], entry["spec"]
        self.rows, self.listed, self.runs, self.own = {}, {}, [], []


class Checkpoint:
    def __init__(self, path):
        self.path = path
        with open(os.path.join(path, "MANIFEST.json"), "rb") as f:
            text = f.read()
        head = re.fullmatch(rb'\{"xxh3_128":"([0-9a-f]{32})",\n', text[:48])
        assert head and xxh3_128(text[48:]) == head[1].decode(), path
        self.manifest = m = json.loads(text)
        assert m["format"] == 1 and len(m["files"]) == m["shards"]
        self.tables = {t["number"]: Table(t) for t in m["tables"] if t["dropped_by"] is None}
        assert [t["number"] for t in m["tables"]] == list(range(1, len(m["tables"]) + 1))
        for i, f in enumerate(m["files"]):
            assert f["name"] == "shard-%05d-of-%05d.rhs" % (i, m["shards"])
            self.read(i, f)
        assert sorted(os.listdir(path)) == sorted(["MANIFEST.json"] + [f["name"] for f in m["files"]])

    def read(self, shard, file):
        m = self.manifest
        with open(os.path.join(self.path, file["name"]), "rb") as f:
            data = f.read()
        assert len(data) == int(file["bytes"]) and xxh3_128(data) == file["xxh3_128"]
        first, end = -(-16384 * shard // m["shards"]), -(-16384 * (shard + 1) // m["shards"])
        header = struct.unpack_from("<8sIIIIQQIIQQ", data)
        assert header == (b"RHSHARD\n", 1, shard, m["shards"], 0, int(m["job"], 16), int(m["generation"]), first, end,
                          0, xxh3_64(data[:56]))
        trailer = data[-64:]
        magic, at, blocks, rows, generation, index_sum, zero, own_sum = struct.unpack("<8sQQQQQQQ", trailer)
        assert magic == b"RHINDEX\n" and zero == 0 and own_sum == xxh3_64(trailer[:56])
        assert generation == int(m["generation"]) and rows == int(file["rows"])
        assert at + 40 * blocks + 64 == len(data) and index_sum == xxh3_64(data[at:-64])
        next_at, seen, before = 64, 0, (0, 0)
        for i in range(blocks):
            entry = struct.unpack_from("<QIIIIIIII", data, at + 40 * i)
            assert entry[0] == next_at and entry[8] == 0
            next_at += entry[1]
            assert entry[4] in self.tables and (entry[4], entry[3]) >= before
            before = (entry[4], entry[3])
            seen += self.take(entry, block(data, *entry[:3]), first, end)
        assert next_at == at and seen == rows

    def take(self, entry, raw, first, end):
        """One block; how many rows it has."""
        kind, number, low, high, n, dim, slot_dim, own_dim = struct.unpack_from("<8I", raw)
        assert (kind, number, low, high, n) == entry[3:8]
        table, at = self.tables[number], 32

        def column(kind, width):
            nonlocal at
            values = np.frombuffer(raw, kind, n * width, at).reshape(n, width)
            at += values.nbytes
            return values

        if kind == TABLE:
            table.own.append(struct.unpack_from("<QQQ", raw, 32))
            at += 24
        elif kind == RUNS:
            runs = column("<u8", 2)
            if first == 0:
                table.runs += [tuple(int(v) for v in run) for run in runs]
        else:
            ids = column("<u8", 1)[:, 0]
            slots = slot_of(ids)
            order = [(int(s), int(i)) for s, i in zip(slots, ids)]
            assert order == sorted(set(order)) and first <= low == order[0][0] and order[-1][0] == high < end
            assert int(ids.max()) < int(table.spec["num_embeddings"])
        if kind == ROWS:
            assert dim == table.spec["embedding_dim"]
            weights, state, own = column("<f4", dim), column("<f4", slot_dim), column("<u4", own_dim)
            for i, key in enumerate(ids):
                assert int(key) not in table.rows
                table.rows[int(key)] = (weights[i].tobytes(), state[i].tobytes().strip(b"\0"),
                                        own[i].tobytes().strip(b"\0"))
        elif kind == LISTED:
            untils = column("<u4", 1)
            table.listed.update({int(k): int(u) for k, u in zip(ids, untils[:, 0])})
        assert at == len(raw)
        return n if kind == ROWS else 0

    def same_moment(self, other):
        """All that does not depend on the number of shards."""
        for number, table in self.tables.items():
            there = other.tables[number]
            assert table.rows == there.rows and table.listed == there.listed and table.runs == there.runs, table.name
            assert sum(o[0] for o in table.own) == sum(o[0] for o in there.own)
        for member in ("job", "mode", "world", "clock", "tables", "workers"):
            assert self.manifest[member] == other.manifest[member], member


def limited(table):
    return table.spec["max_norm"] != 0


def weights_of(table, rows):
    return np.stack([np.frombuffer(table.rows[i][0], "<f4") for i in rows])


def is_finite(table):
    return all(math.isfinite(v) for row in table.rows.values() for v in np.frombuffer(row[0], "<f4"))
