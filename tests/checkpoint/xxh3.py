"""XXH3 of xxHash 0.8 with seed 0, in numpy: 64 bits of anything, 128 bits of more than 240 bytes."""
import numpy as np

SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221"
    "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb"
    "170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)
M64 = (1 << 64) - 1
P32 = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D)
P64 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)


def u32(b, at):
    return int.from_bytes(b[at:at + 4], "little")


def u64(b, at):
    return int.from_bytes(b[at:at + 8], "little")


def rotl(v, n):
    return (v << n | v >> (64 - n)) & M64


def fold(a, b):
    product = (a & M64) * (b & M64)
    return (product ^ product >> 64) & M64


def avalanche(h):
    h ^= h >> 37
    h = h * 0x165667919E3779F9 & M64
    return h ^ h >> 32


def avalanche64(h):
    h ^= h >> 33
    h = h * P64[1] & M64
    h ^= h >> 29
    h = h * P64[2] & M64
    return h ^ h >> 32


def mix16(p, at, secret_at):
    return fold(u64(p, at) ^ u64(SECRET, secret_at), u64(p, at + 8) ^ u64(SECRET, secret_at + 8))


def short(p):
    n = len(p)
    if n == 0:
        return avalanche64(u64(SECRET, 56) ^ u64(SECRET, 64))
    if n <= 3:
        combined = p[0] << 16 | p[n >> 1] << 24 | p[n - 1] | n << 8
        return avalanche64(combined ^ u32(SECRET, 0) ^ u32(SECRET, 4))
    if n <= 8:
        h = (u32(p, n - 4) + (u32(p, 0) << 32)) ^ u64(SECRET, 8) ^ u64(SECRET, 16)
        h ^= rotl(h, 49) ^ rotl(h, 24)
        h = h * 0x9FB21C651E98DF25 & M64
        h ^= (h >> 35) + n
        h = h * 0x9FB21C651E98DF25 & M64
        return h ^ h >> 28
    low = u64(p, 0) ^ u64(SECRET, 24) ^ u64(SECRET, 32)
    high = u64(p, n - 8) ^ u64(SECRET, 40) ^ u64(SECRET, 48)
    swapped = int.from_bytes(low.to_bytes(8, "little"), "big")
    return avalanche((n + swapped + high + fold(low, high)) & M64)


def middle(p):
    n = len(p)
    h = n * P64[0]
    if n <= 128:
        for i in reversed(range((n - 1) // 32 + 1)):
            h += mix16(p, 16 * i, 32 * i) + mix16(p, n - 16 * (i + 1), 32 * i + 16)
        return avalanche(h & M64)
    for i in range(8):
        h += mix16(p, 16 * i, 16 * i)
    h = avalanche(h & M64)
    for i in range(8, n // 16):
        h += mix16(p, 16 * i, 16 * (i - 8) + 3)
    return avalanche((h + mix16(p, n - 16, 136 - 17)) & M64)


def secrets(at, n):
    return np.stack([np.frombuffer(SECRET, "<u8", 8, at + 8 * i) for i in range(n)])


def accumulate(acc, stripes, secret):
    """stripes, secret: (n, 8) u64."""
    keyed = stripes ^ secret
    low, high = keyed & np.uint64(0xFFFFFFFF), keyed >> np.uint64(32)
    swapped = stripes.reshape(-1, 4, 2)[:, :, ::-1].reshape(-1, 8)
    return acc + (low * high + swapped).sum(axis=0, dtype=np.uint64)


def accumulators(p):
    acc = np.array([P32[2], P64[0], P64[1], P64[2], P64[3], P32[1], P64[4], P32[0]], "<u8")
    n, of_block = len(p), secrets(0, 16)
    scramble = np.frombuffer(SECRET, "<u8", 8, 128)
    blocks = (n - 1) // 1024
    for i in range(blocks):
        acc = accumulate(acc, np.frombuffer(p, "<u8", 128, 1024 * i).reshape(16, 8), of_block)
        acc = ((acc ^ acc >> np.uint64(47)) ^ scramble) * np.uint64(P32[0])
    stripes = (n - 1 - 1024 * blocks) // 64
    if stripes:
        rest = np.frombuffer(p, "<u8", 8 * stripes, 1024 * blocks).reshape(stripes, 8)
        acc = accumulate(acc, rest, of_block[:stripes])
    last = np.frombuffer(p[n - 64:], "<u8").reshape(1, 8)
    return [int(a) for a in accumulate(acc, last, secrets(121, 1))]


def merge(acc, secret_at, start):
    h = start
    for i in range(4):
        h += fold(acc[2 * i] ^ u64(SECRET, secret_at + 16 * i), acc[2 * i + 1] ^ u64(SECRET, secret_at + 16 * i + 8))
    return avalanche(h & M64)


def xxh3_64(p):
    p = bytes(p)
    if len(p) <= 16:
        return short(p)
    if len(p) <= 240:
        return middle(p)
    return merge(accumulators(p), 11, len(p) * P64[0] & M64)


def xxh3_128(p):
    """32 hex digits, high half first."""
    p = bytes(p)
    assert len(p) > 240, "only a checkpoint without any table is so short"
    acc = accumulators(p)
    low = merge(acc, 11, len(p) * P64[0] & M64)
    high = merge(acc, 192 - 64 - 11, ~(len(p) * P64[1]) & M64)
    return "%016x%016x" % (high, low)
