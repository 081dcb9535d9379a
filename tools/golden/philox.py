"""kiln's random numbers (src/base/rng.h) in numpy, so that both sides can make the same weights
and images and no file has to carry them."""
import numpy as np

RNG_TEST = 8


def philox4x32(counter, key):
    """Philox 4x32-10 (Salmon et al. 2011). counter: uint32 [4, ...]; key: two ints."""
    c = [np.asarray(x, dtype=np.uint64) for x in counter]
    k0, k1 = key
    low = np.uint64(0xFFFFFFFF)
    shift = np.uint64(32)
    for _ in range(10):
        p0 = c[0] * np.uint64(0xD2511F53)
        p1 = c[2] * np.uint64(0xCD9E8D57)
        c = [(p1 >> shift) ^ c[1] ^ np.uint64(k0), p1 & low,
             (p0 >> shift) ^ c[3] ^ np.uint64(k1), p0 & low]
        k0 = (k0 + 0x9E3779B9) & 0xFFFFFFFF
        k1 = (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c


def stream(seed, purpose, a, b, count):
    """The first `count` numbers of rng_u32 on the stream rng_at(seed, purpose, a, b)."""
    key = (seed & 0xFFFFFFFF, seed >> 32)
    mixed = philox4x32([purpose, 0x6B696C6E, 0, 0], key)
    blocks = np.arange((count + 3) // 4, dtype=np.uint64)
    constant = [np.full_like(blocks, v) for v in (a, b & 0xFFFFFFFF, b >> 32)]
    out = philox4x32([blocks] + constant, (int(mixed[0]), int(mixed[1])))
    return np.stack(out, axis=1).reshape(-1)[:count].astype(np.uint32)


def uniform(seed, a, b, count):
    """rng_uniform on the test stream (a, b): multiples of 2^-24 in [0, 1), as doubles."""
    return (stream(seed, RNG_TEST, a, b, count) >> np.uint32(8)).astype(np.float64) * 2.0**-24


def signs(seed, a, b, count):
    """+1 or -1 by the top bit of rng_u32: the entries of a random projection."""
    return np.where(stream(seed, RNG_TEST, a, b, count) >> np.uint32(31), 1.0, -1.0)


def labels(seed, a, b, count, classes):
    """Uniform labels as (rng_u32 * classes) >> 32."""
    u = stream(seed, RNG_TEST, a, b, count).astype(np.uint64)
    return ((u * np.uint64(classes)) >> np.uint64(32)).astype(np.int64)


def self_test():
    """Known answer of Random123 1.14 (kat_vectors, philox4x32 10)."""
    out = philox4x32([0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344], (0xA4093822, 0x299F31D0))
    assert [int(x) for x in out] == [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]
