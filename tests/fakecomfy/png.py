# SPDX-License-Identifier: Apache-2.0
"""PNG files of 8-bit RGB, enough for the nodes to work on real pictures."""
import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"


class UnidentifiedImageError(Exception):
    """What Pillow raises for a file that is no picture."""


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def encode(width, height, pixels):
    """pixels: width * height * 3 bytes"""
    rows = b"".join(b"\0" + pixels[y * width * 3:(y + 1) * width * 3] for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return SIGNATURE + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def chunks(data):
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        n = struct.unpack(">I", data[at:at + 4])[0]
        yield data[at + 4:at + 8], data[at + 8:at + 8 + n]
        at += 12 + n


def paeth(a, b, c):
    p = a + b - c
    return min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]


def unfilter(kind, row, above):
    out = bytearray(row)
    for i, byte in enumerate(out):
        left, up, corner = (out[i - 3] if i >= 3 else 0), above[i], (above[i - 3] if i >= 3 else 0)
        out[i] = (byte + (0, left, up, (left + up) // 2, paeth(left, up, corner))[kind]) & 255
    return out


def decode(data, name):
    """(width, height, pixels)"""
    if not data.startswith(SIGNATURE):
        raise UnidentifiedImageError(f"cannot identify image file '{name}'")
    parts = dict()
    for kind, body in chunks(data):
        parts[kind] = parts.get(kind, b"") + body
    width, height, depth, colour = struct.unpack(">IIBB", parts[b"IHDR"][:10])
    if (depth, colour) != (8, 2):
        raise UnidentifiedImageError(f"'{name}' is no 8-bit RGB")
    raw, n = zlib.decompress(parts[b"IDAT"]), width * 3
    rows, above = [], bytearray(n)
    for y in range(height):
        line = raw[y * (n + 1):(y + 1) * (n + 1)]
        above = unfilter(line[0], line[1:], above)
        rows.append(bytes(above))
    return width, height, b"".join(rows)
