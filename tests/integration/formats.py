"""formats.py LIBRARY FOLDER - files of vectors, exchanged with other people's readers and writers.

numpy writes arrays of every type and order; safetensors, word2vec and GloVe files are written here as
their own writers do. Each is loaded into a table and compared. Then a table is saved in every format
and read back by numpy, by gensim where it is installed, and by readers written here from the formats'
descriptions.
"""
import ctypes as C
import json
import os
import struct
import sys

import numpy as np

try:
    import gensim
except ImportError:
    gensim = None

NPY, W2V, SAFETENSORS, W2V_BIN, GLOVE, FASTTEXT = range(1, 7)
ROWS, DIM = 300, 24
WORDS = ["</s>", "naïve", "犬", "12.5", "a\u00a0b"] + [f"word{i}" for i in range(5, ROWS)]


class LoadOptions(C.Structure):
    _fields_ = [("size", C.c_uint32), ("format", C.c_int), ("vocab", C.c_char_p), ("tensor", C.c_char_p)]


class ExportOptions(C.Structure):
    _fields_ = [("size", C.c_uint32), ("format", C.c_int), ("n", C.c_uint64), ("ids", C.c_void_p),
                ("words", C.c_void_p), ("vocab", C.c_char_p), ("tensor", C.c_char_p)]


lib = C.CDLL(sys.argv[1])
lib.rh_errmsg.restype = C.c_char_p
os.chdir(sys.argv[2])


def ok(status):
    if status != 0:
        raise SystemExit(f"status {status}: {lib.rh_errmsg().decode()}")


config, spec = C.create_string_buffer(1024), C.create_string_buffer(1024)
client, table = C.c_void_p(), C.c_void_p()
lib.rh_config_init(config)
ok(lib.rh_connect(config, C.byref(client)))
lib.rh_table_spec_init(spec, C.c_uint64(ROWS), C.c_uint32(DIM))
ok(lib.rh_table_open(client, b"vectors", spec, C.byref(table)))
ids = np.arange(ROWS, dtype=np.uint64)


def pointer(array):
    return array.ctypes.data_as(C.c_void_p)


def read():
    rows = np.empty((ROWS, DIM), np.float32)
    ok(lib.rh_read(table, pointer(ids), C.c_size_t(ROWS), pointer(rows)))
    return rows


def write(rows):
    rows = np.ascontiguousarray(rows, np.float32)
    ok(lib.rh_write(table, pointer(ids), C.c_size_t(ROWS), pointer(rows)))


def load(path, want, kind=0, vocab=None, tensor=None):
    write(np.zeros((ROWS, DIM)))
    options = LoadOptions(C.sizeof(LoadOptions), kind, vocab, tensor)
    report = C.create_string_buffer(4096)
    ok(lib.rh_load(table, path.encode(), C.byref(options), report))
    got = read()
    if not np.array_equal(got, want):
        raise SystemExit(f"{path}: differs by up to {np.abs(got - want).max()}")


def save(path, kind):
    options = ExportOptions(C.sizeof(ExportOptions), kind, 0, None, None, b"vocab.txt", b"emb.weight")
    ok(lib.rh_export(table, path.encode(), C.byref(options)))


def save_safetensors(path, tensors):
    header, data = {"__metadata__": {"format": "np"}}, b""
    for name, (dtype, shape, raw) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def load_safetensors(path):
    raw = open(path, "rb").read()
    n, = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8:8 + n])
    assert n % 8 == 0 and list(header) == ["emb.weight"]
    entry = header["emb.weight"]
    assert entry["dtype"] == "F32" and entry["data_offsets"] == [0, len(raw) - 8 - n]
    return np.frombuffer(raw, "<f4", offset=8 + n).reshape(entry["shape"])


def save_text(path, rows, header, number, end):
    with open(path, "w", encoding="utf-8") as f:
        if header:
            f.write(f"{ROWS} {DIM}\n")
        for word, row in zip(WORDS, rows):
            f.write(word + "".join(" " + number % v for v in row) + end)


def save_binary(path, rows, end):
    with open(path, "wb") as f:
        f.write(f"{ROWS} {DIM}\n".encode())
        for word, row in zip(WORDS, rows):
            f.write(word.encode() + b" " + row.astype("<f4").tobytes() + end)


def load_text(path, header):
    lines = open(path, encoding="utf-8", newline="\n").read().split("\n")[:-1]
    if header:
        assert lines.pop(0) == f"{ROWS} {DIM}"
    fields = [line.rstrip(" ").split(" ") for line in lines]
    assert [f[0] for f in fields] == WORDS
    return np.array([[float(v) for v in f[1:]] for f in fields], np.float64).astype(np.float32)


def load_binary(path):
    raw, rows = open(path, "rb").read(), []
    at = raw.index(b"\n") + 1
    for word in WORDS:
        space = raw.index(b" ", at)
        assert raw[at:space].decode() == word
        rows.append(np.frombuffer(raw, "<f4", DIM, space + 1))
        at = space + 1 + 4 * DIM
        assert raw[at:at + 1] == b"\n"
        at += 1
    assert at == len(raw)
    return np.array(rows)


def read_theirs(exact):
    for kind in "f2", "f4", "f8":
        for order in "<", ">":
            array = exact.astype(order + kind)
            np.save("c.npy", array)
            np.save("f.npy", np.asfortranarray(array))
            want = array.astype(np.float32)
            load("c.npy", want)
            load("f.npy", want)
    for version in (1, 0), (2, 0), (3, 0):
        with open("v.npy", "wb") as f:
            np.lib.format.write_array(f, exact, version=version)
        load("v.npy", exact)

    half, bits = exact.astype("<f2"), exact.view(np.uint32)
    brain = (bits & 0xFFFF0000).view(np.float32)
    ids_tensor = ("I64", [ROWS], np.arange(ROWS, dtype="<i8").tobytes())
    save_safetensors("x", {"ids": ids_tensor, "w": ("F32", [ROWS, DIM], exact.tobytes())})
    load("x", exact)
    save_safetensors("x", {"w": ("F16", [ROWS, DIM], half.tobytes()), "ids": ids_tensor,
                           "b": ("BF16", [ROWS, DIM], (bits >> 16).astype("<u2").tobytes())})
    load("x", half.astype(np.float32), tensor=b"w")
    load("x", brain, tensor=b"b")

    six = np.round(exact, 6)
    as_text = np.array([[float("%f" % v) for v in row] for row in six]).astype(np.float32)
    five = np.array([[float("%.5g" % v) for v in row] for row in exact]).astype(np.float32)
    save_text("w2v.txt", six, True, "%f", " \n")
    load("w2v.txt", as_text)
    save_text("glove.txt", six, False, "%f", "\n")
    load("glove.txt", as_text)
    load("glove.txt", as_text, vocab=b"vocab.txt")
    save_text("fast.vec", exact, True, "%.5g", " \n")
    load("fast.vec", five)
    for end in b"\n", b"":
        save_binary("w2v.bin", exact, end)
        load("w2v.bin", exact)
        load("w2v.bin", exact, vocab=b"vocab.txt")


def theirs_read_ours(exact):
    write(exact)
    for kind in range(1, 7):
        save(f"saved{kind}", kind)
    array = np.load(f"saved{NPY}")
    assert array.dtype == np.dtype("<f4") and array.flags.c_contiguous
    got = {NPY: array, SAFETENSORS: load_safetensors(f"saved{SAFETENSORS}"),
           W2V: load_text(f"saved{W2V}", True), W2V_BIN: load_binary(f"saved{W2V_BIN}"),
           GLOVE: load_text(f"saved{GLOVE}", False), FASTTEXT: load_text(f"saved{FASTTEXT}", True)}
    for kind, rows in got.items():
        assert np.array_equal(rows, exact), f"format {kind} does not come back"
    if gensim is None:
        return
    for kind, options in {W2V: {}, W2V_BIN: {"binary": True}, FASTTEXT: {}, GLOVE: {"no_header": True}}.items():
        vectors = gensim.models.KeyedVectors.load_word2vec_format(f"saved{kind}", **options)
        assert vectors.index_to_key == WORDS and np.array_equal(vectors.vectors, exact)
    for binary in False, True:
        vectors.save_word2vec_format("gensim", binary=binary)
        load("gensim", exact)


with open("vocab.txt", "w", encoding="utf-8") as f:
    f.write("".join(word + "\n" for word in WORDS))
seed = int(os.environ.get("RH_TEST_SEED", "1"))
rows = np.random.default_rng(seed).normal(size=(ROWS, DIM)).astype(np.float32)
read_theirs(rows)
theirs_read_ours(rows)
lib.rh_close(client)
print(f"numpy {np.__version__}, gensim {gensim.__version__ if gensim else 'not here'}: all equal")
