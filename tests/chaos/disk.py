# SPDX-License-Identifier: Apache-2.0
"""A disk that can be full: a small file system in a mount namespace, or, where nobody may mount, one that is said to be."""
import os
import pathlib
import subprocess

UNSHARE = ["unshare", "--map-root-user", "--mount", "sh", "-c"]


def can_mount():
    return subprocess.run(UNSHARE + ["mount -t tmpfs none /tmp"], capture_output=True).returncode == 0


class Disk:
    """`dir` is its path for programs started with command(), `inside` its path for us; `troubles` are those programs'.
    Without a size it is a plain directory."""

    def __init__(self, dir, megabytes=None):
        self.dir = pathlib.Path(dir)
        self.dir.mkdir(mode=0o700)
        self.keeper, self.inside, self.troubles = None, self.dir, []
        if megabytes and can_mount():
            self._mount(megabytes)

    def _mount(self, megabytes):
        # The keeper holds the mount namespace, so that the file system outlives every program on it.
        script = f"mount -t tmpfs -o size={megabytes}m,mode=700 none {self.dir} && echo mounted && exec sleep 100000"
        words = ["setpriv", "--pdeathsig", "KILL", *UNSHARE, f"exec setpriv --pdeathsig KILL sh -c '{script}'"]
        self.keeper = subprocess.Popen(words, stdout=subprocess.PIPE, start_new_session=True)
        assert self.keeper.stdout.readline() == b"mounted\n"
        self.inside = pathlib.Path(f"/proc/{self.keeper.pid}/root{self.dir}")

    def command(self, words):
        """The command line with which a program sees this disk."""
        if not self.keeper:
            return words
        return ["nsenter", "-t", str(self.keeper.pid), "-U", "-m", "--preserve-credentials", *words]

    def fill(self):
        if not self.keeper:
            self.say(True)
            return
        with open(self.inside / "fill", "ab") as f:
            try:
                free = os.statvfs(self.inside)
                os.posix_fallocate(f.fileno(), 0, max(1, free.f_bavail * free.f_frsize - (1 << 16)))
            except OSError:
                pass
            try:
                while os.write(f.fileno(), b"x" * 4096):
                    pass
            except OSError:
                pass

    def say(self, full):
        for trouble in self.troubles:
            trouble.disk_full(full)

    def free(self):
        self.say(False)
        (self.inside / "fill").unlink(missing_ok=True)

    def stop(self):
        if self.keeper:
            self.keeper.kill()
            self.keeper.wait()
