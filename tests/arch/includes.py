#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves the arrows of docs/architecture.md: who may include whom.

usage: includes.py SOURCE_DIR    exits 1 and names file, line and rule for each include that breaks an arrow
       includes.py --self-test   proves that breaking each arrow is found
"""
import os
import re
import sys
import tempfile

LIBS = {"policy", "schema", "pluginfile", "vetting", "assets", "spawn", "words", "simulate", "wire"}  # folders of lib/; the others are core's
BASE = {"log", "loop", "client", "config", "bus", "schema", "pluginfile", "vetting", "host"}
ENGINES = {"dispatch", "scale", "fleet"}

# Folder of core or lib -> folders it may include, beside itself. Below the engines the order is from the ground up. A
# library of lib/ knows no loop, no bus and no engine.
MAY = {
    "log": set(),
    "loop": {"log"},
    "client": {"log", "loop"},
    "config": {"log"},
    "bus": {"log", "loop"},
    "schema": {"log"},
    "pluginfile": {"log", "policy", "schema"},  # what a schedule is, is checked with the manifest
    "vetting": {"log", "config", "schema", "pluginfile"},
    "assets": {"log", "pluginfile", "vetting"},
    "spawn": {"log"},
    "words": {"log", "policy"},
    "host": BASE - {"client"} | {"policy"},
    "policy": {"log"},
    "simulate": {"log", "policy"},
    "wire": {"log"},
    **{e: BASE | {"policy"} for e in ENGINES},
    "explain": BASE | ENGINES | {"policy", "words"},  # reads every engine, changes none
    "admin": BASE | ENGINES | {"policy", "explain"},
    "worker": BASE | {"policy", "assets", "spawn"},
    "http": BASE | ENGINES | {"policy", "explain", "wire"},
}
# What the others may take from core: small leaf folders, never an engine.
# The runner reads a manifest as the host does, with the same code.
OUTSIDE = {"runner": {"log", "pluginfile"}, "cli": {"log"} | LIBS, "kit": set()}

# Single headers beyond that, each with its reason.
EXTRA = {
    ("core/http", "app.h"), ("core/admin", "app.h"),  # the daemon as its doors see it
    ("cli", "dispatch/dispatch.h"), ("cli", "dispatch/mime.h"),  # a dry run checks params as a submit does
}

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')


def sources(root, folder):
    for at, _, names in sorted(os.walk(os.path.join(root, folder))):
        for name in sorted(names):
            if name.endswith((".c", ".h", ".cu", ".def")):
                yield os.path.join(at, name)


def core_folder(root, path, including):
    """The folder of core or lib that `path` means when `including` includes it; "" is core itself, None is neither."""
    for base in (os.path.dirname(including), *(os.path.join(root, b) for b in ("core", "lib", "include")), root):
        found = os.path.normpath(os.path.join(base, path))
        if os.path.isfile(found):
            parts = os.path.relpath(found, root).split(os.sep)
            if parts[0] not in ("core", "lib"):
                return None
            return parts[1] if len(parts) > 2 else ""
    first = path.split("/")[0]
    return first if first in MAY and "/" in path else None


def rule(root, including):
    """(name of who includes, set of folders of core and lib it may include)"""
    parts = os.path.relpath(including, root).split(os.sep)
    if parts[0] in ("core", "lib"):
        if len(parts) == 2:
            return "core's main", set(MAY) | {""}
        if parts[1] not in MAY or (parts[0] == "lib") != (parts[1] in LIBS):
            return f"{parts[0]}/{parts[1]}", None
        return f"{parts[0]}/{parts[1]}", MAY[parts[1]] | {parts[1]}
    if parts[0] == "include":
        return "the public contract", set()
    if parts[0] == "plugins":
        return "a plugin", set()
    return parts[0], OUTSIDE[parts[0]]


def check_line(root, path, number, line):
    m = INCLUDE.match(line)
    if not m:
        return None
    who, allowed = rule(root, path)
    where = f"{os.path.relpath(path, root)}:{number}"
    if allowed is None:
        return f"{where}: {who} has no place in the order; add it to tests/arch/includes.py"
    target = core_folder(root, m.group(2), path)
    if target is not None and target not in allowed and (who, m.group(2)) not in EXTRA:
        return f"{where}: {who} must not include {m.group(2)}"
    if ".." in m.group(2).split("/") and who != "a plugin":
        return f"{where}: {m.group(2)} climbs out of its folder; write it from the include root"
    return None


def check(root):
    wrong, seen = [], 0
    for folder in ("include", "core", "lib", "plugins", "runner", "cli", "kit"):
        for path in sources(root, folder):
            with open(path, encoding="utf-8") as f:
                lines = list(f)
            seen += 1
            found = (check_line(root, path, i + 1, line) for i, line in enumerate(lines))
            wrong += [w for w in found if w]
    return wrong, seen


def write(root, path, text):
    full = os.path.join(root, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "w", encoding="utf-8") as f:
        f.write(text)


def self_test():
    good = [("core/bus/a.c", "log/log.h"), ("core/http/a.c", "dispatch/dispatch.h"), ("core/a.c", "http/http.h"),
            ("plugins/queues/x/a.c", "bp/plugin.h"), ("core/scale/a.c", "scale/scale.h"), ("runner/a.c", "log/err.h"), ("core/http/a.c", "app.h"), ("lib/pluginfile/a.c", "schema/schema.h"), ("runner/a.c", "pluginfile/pluginfile.h")]
    bad = [("core/log/a.c", "loop/loop.h"), ("core/scale/a.c", "fleet/fleet.h"), ("core/bus/a.c", "host/host.h"),
           ("core/dispatch/a.c", "http/http.h"), ("plugins/clouds/x/a.c", "log/log.h"), ("core/http/a.c", "admin/admin.h"),
           ("include/bp/a.h", "log/log.h"), ("core/host/a.c", "../scale/scale.h"), ("cli/a.c", "bus/bus.h"),
           ("lib/pluginfile/a.c", "host/host.h"), ("lib/simulate/a.c", "loop/loop.h"), ("lib/log/a.c", "log/log.h"), ("runner/a.c", "host/host.h"),
           ("core/fleet/a.c", "app.h"), ("core/http/a.c", "about.h"), ("core/novel/a.c", "log/log.h"), ("plugins/x/a.c", "../../core/log/log.h")]
    headers = ["%s/%s/%s.h" % ("lib" if f in LIBS else "core", f, f) for f in MAY] + ["core/about.h", "core/log/err.h", "core/app.h", "include/bp/plugin.h"]
    for cases, expected in ((good, 0), (bad, 1)):
        for path, header in cases:
            with tempfile.TemporaryDirectory() as root:
                for h in headers:
                    write(root, h, "")
                write(root, path, f'#include "{header}"\n')
                wrong, _ = check(root)
                if len(wrong) != expected:
                    sys.exit(f"self-test: {path} including {header}: {len(wrong)} found, {expected} expected: {wrong}")
    print(f"self-test: {len(good)} allowed, {len(bad)} forbidden arrows told apart")


def main():
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        return
    wrong, seen = check(sys.argv[1])
    print("\n".join(wrong + [f"{seen} files, {len(wrong)} includes against the arrows"]))
    sys.exit(1 if wrong or not seen else 0)


main()
