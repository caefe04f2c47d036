# SPDX-License-Identifier: Apache-2.0
"""The kit as an author has it: an installation in a prefix of its own, and folders outside of the tree."""
import os
import pathlib
import struct
import subprocess
import zlib

from conftest import SLOW, sanitizer


class Kit:
    """What `cmake --install` put below one prefix."""

    def __init__(self, build, prefix):
        self.prefix = pathlib.Path(prefix)
        subprocess.run(["cmake", "--install", str(build), "--prefix", str(prefix)], check=True, capture_output=True)
        # Libraries with a sanitizer in them need it in what they are linked to.
        self.flags = f"-fsanitize={sanitizer(build)}" if sanitizer(build) else ""

    def environment(self, **more):
        """As a shell has it in which the installation's programs come first."""
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("BPD_", "CMAKE_", "DESTDIR"))}
        return {**keep, "PATH": f"{self.prefix}/bin:{self.prefix}/sbin:{os.environ['PATH']}",
                "CMAKE_PREFIX_PATH": str(self.prefix), "CFLAGS": self.flags, **more}

    def run(self, *words, cwd=None, check=True):
        r = subprocess.run([str(w) for w in words], cwd=cwd, env=self.environment(), capture_output=True, text=True, timeout=300 * SLOW)
        assert not check or r.returncode == 0, f"{words} gave {r.returncode}:\n{r.stdout[-4000:]}\n{r.stderr[-4000:]}"
        return r

    def scaffold(self, kind, name, dir):
        """A new plugin of the kind, built, tested and vetted. Its .so."""
        self.run("bpctl", "plugin", "new", kind, name, "--dir", dir)
        folder = pathlib.Path(dir) / name
        self.run("cmake", "-B", "build", cwd=folder)
        self.run("cmake", "--build", "build", "-j", "2", cwd=folder)
        r = self.run("ctest", "--test-dir", "build", "--output-on-failure", cwd=folder)
        assert "100% tests passed" in r.stdout
        r = self.run("bpctl", "plugin", "check", folder / "build" / f"{name}.so")
        assert "0 errors, 0 warnings" in r.stdout, r.stdout
        return folder / "build" / f"{name}.so"


def png(width, height, pixel):
    """A PNG; pixel(x, y) gives (r, g, b)."""
    rows = b"".join(b"\0" + bytes(c for x in range(width) for c in pixel(x, y)) for y in range(height))

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def pixels(file):
    """The pixels of a picture, as (r, g, b) from the first row on."""
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", str(file), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], check=True, capture_output=True).stdout
    return [tuple(raw[i:i + 3]) for i in range(0, len(raw), 3)]
