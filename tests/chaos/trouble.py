# SPDX-License-Identifier: Apache-2.0
"""The other side of trouble.c: a program's wall clock and disk, told to it through a file."""
import mmap
import os
import pathlib
import struct


class Trouble:
    def __init__(self, build, path, disk):
        self.library, self.path, self.disk = pathlib.Path(build) / "tests" / "chaos" / "trouble.so", path, disk.dir
        disk.troubles.append(self)
        path.write_bytes(bytes(24))
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 24)

    def environment(self):
        """What a program is started with; a sanitizer need not be the first library."""
        asan = ":".join(filter(None, (os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0")))
        return {"LD_PRELOAD": str(self.library), "BP_TROUBLE": str(self.path), "BP_TROUBLE_DISK": str(self.disk), "ASAN_OPTIONS": asan}

    def clock(self, ms):
        """From now on the clock is wrong by so much."""
        self.map[0:8] = struct.pack("=q", ms)

    def disk_full(self, full):
        self.map[8:16] = struct.pack("=q", int(full))

    def disk_hangs(self, hangs):
        self.map[16:24] = struct.pack("=q", int(hangs))
