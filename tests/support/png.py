"""png.py - the pixels of a PNG, read without a library: 8 bits, RGB or RGBA, not interlaced."""
import struct
import zlib


def unfilter(kind, line, above, width):
    """Undoes the filter of a row (PNG specification, section 9); `width`: bytes of a pixel."""
    for i in range(len(line)):
        left = line[i - width] if i >= width else 0
        up, corner = above[i], above[i - width] if i >= width else 0
        if kind == 4:
            guess = left + up - corner
            add = min((left, up, corner), key=lambda v: abs(guess - v))
        else:
            add = (0, left, up, (left + up) // 2)[kind]
        line[i] = (line[i] + add) & 255
    return bytes(line)


def read_png(data):
    """Rows of (r, g, b) of a PNG's bytes; checks every CRC."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, packed = 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + size]
        assert data[at + 8 + size : at + 12 + size] == struct.pack(">I", zlib.crc32(kind + body))
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
            assert depth == 8 and colour in (2, 6)
            deep = 3 if colour == 2 else 4
        packed += body if kind == b"IDAT" else b""
        at += size + 12
    raw, rows, above = zlib.decompress(packed), [], bytes(deep * width)
    for y in range(height):
        line = raw[y * (deep * width + 1) : (y + 1) * (deep * width + 1)]
        above = unfilter(line[0], bytearray(line[1:]), above, deep)
        rows.append([tuple(above[deep * x : deep * x + 3]) for x in range(width)])
    return rows
