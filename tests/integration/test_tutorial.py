# SPDX-License-Identifier: Apache-2.0
"""docs/plugins.md, run from top to bottom: every command and file of the tutorial, in one shell, with the installed kit.

Comments in the page say what the block below them is: `run` commands, `shows` what the last ones print (each line in
order, runs of spaces and '...' stand for anything), `there: FILE` what a file holds, `write: FILE` one to be written,
`change: FILE` a diff to be applied.
"""
import pathlib
import re
import subprocess
import threading

import pytest

from conftest import ROOT, SLOW
from kit_rig import Kit, pixels, png

PAGE = ROOT / "docs/plugins.md"
BLOCK = re.compile(r"^<!-- (run|shows|there|write|change)(?:: ([\w.]+))? -->\n```\w*\n(.*?)^```$", re.M | re.S)
DONE = "the block is done:"


class Shell:
    """One bash for the whole page, so that a variable or a background process of one block is there in the next."""

    def __init__(self, cwd, env):
        self.bash = subprocess.Popen(["bash"], cwd=cwd, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, text=True, start_new_session=True)
        self.watchdog = threading.Timer(300 * SLOW, self.bash.kill)  # a block may wait for what never comes
        self.watchdog.start()

    def run(self, script):
        """What it printed. Stops at the first command that fails, as a reader would."""
        self.bash.stdin.write(f"set -e\n{script}\necho\necho '{DONE}' $PWD\n")
        self.bash.stdin.flush()
        lines = []
        for line in self.bash.stdout:
            if line.startswith(DONE):
                self.cwd = pathlib.Path(line[len(DONE):].strip())
                return "".join(lines)
            lines.append(line)
        pytest.fail(f"the shell ended in:\n{script}\n{''.join(lines)}")

    def close(self):
        self.watchdog.cancel()
        self.bash.stdin.close()
        try:
            self.bash.wait(20 * SLOW)
        except subprocess.TimeoutExpired:
            self.bash.kill()


def shown(expected, printed):
    """Is each expected line there, one after another?"""
    lines = [re.escape(" ".join(line.split())).replace(r"\.\.\.", ".*?") for line in expected.splitlines() if line.strip()]
    return re.search(".*?".join(lines), "\n".join(" ".join(line.split()) for line in printed.splitlines()), re.S)


def changed(text, diff):
    lines = diff.splitlines(keepends=True)
    old = "".join(x[1:] for x in lines if x[0] in " -")
    new = "".join(x[1:] for x in lines if x[0] in " +")
    assert text.count(old) == 1, f"not there once:\n{old}"
    return text.replace(old, new)


@pytest.fixture
def shell(build, short_dir):
    kit = Kit(build, short_dir / "prefix")
    env = {**kit.environment(), "BPD_HTTP_LISTEN": "127.0.0.1:0", "PKG_CONFIG_PATH": str(kit.prefix / "lib/pkgconfig"), "HOME": str(short_dir)}
    (short_dir / "photo.jpg").write_bytes(png(48, 32, lambda x, y: (x * 5, y * 7, 120)))  # a picture is known by what is in it
    s = Shell(short_dir, env)
    yield s
    bpctl = kit.prefix / "bin/bpctl"  # in case a block failed while its bpd runs
    subprocess.run([bpctl, "shutdown"], env={**env, "BPD_STATE_DIR": str(short_dir / "sepia/state")}, capture_output=True)
    s.close()


def test_the_page_works_from_top_to_bottom(shell, short_dir):
    blocks = BLOCK.findall(PAGE.read_text())
    assert len(blocks) > 20 and PAGE.read_text().count("\n<!-- ") == len(blocks)
    shell.run("true")
    printed = ""
    for kind, name, text in blocks:
        file = shell.cwd / name
        if kind == "run":
            printed = shell.run(text)
        elif kind == "shows":
            assert shown(text, printed), f"--- the page shows\n{text}--- printed was\n{printed}"
        elif kind == "there":
            assert file.read_text() == text, name
        elif kind == "write":
            file.write_text(text)
        else:
            file.write_text(changed(file.read_text(), text))
    before, grey, brown = ((48 * 32, pixels(f)) for f in (short_dir / "photo.jpg", short_dir / "sepia/grey.png", short_dir / "sepia/brown.png"))
    for n, p in (before, grey, brown):
        assert len(p) == n
    assert all(max(p) - min(p) <= 1 for p in grey[1])
    assert all(p[0] > p[1] > p[2] for p, g in zip(brown[1], grey[1]) if 20 < g[0] < 200)


def test_sepia_is_at_most_40_lines_of_c_beside_its_kernel():
    files = {name: text for kind, name, text in BLOCK.findall(PAGE.read_text()) if kind == "there" and name.endswith((".c", ".h"))}
    assert set(files) == {"sepia.c", "sepia_args.h"}
    assert 10 < sum(len(text.splitlines()) for text in files.values()) <= 40
