# SPDX-License-Identifier: Apache-2.0
"""The time of the fake: the machine's, or as far from it as a test says; a process under test can follow it by a file."""
import datetime
import email.utils
import mmap
import struct
import time


class Clock:
    """offset: seconds ahead of the machine's clock. share(path) lets tests/aws/fake_clock.c follow: 8 bytes, nanoseconds."""

    def __init__(self):
        self._offset, self._map = 0.0, None

    @property
    def offset(self):
        return self._offset

    @offset.setter
    def offset(self, seconds):
        self._offset = seconds
        self._write()

    def share(self, path):
        path.write_bytes(bytes(8))
        with open(path, "r+b") as f:
            self._map = mmap.mmap(f.fileno(), 8)
        self._write()
        return path

    def _write(self):
        if self._map:
            self._map[:8] = struct.pack("=q", int(self._offset * 1e9))

    def now(self):
        return time.time() + self._offset

    def advance(self, seconds):
        self.offset = self._offset + seconds

    def iso(self, at=None):
        return datetime.datetime.fromtimestamp(self.now() if at is None else at, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

    def http(self):
        return email.utils.formatdate(self.now(), usegmt=True)
