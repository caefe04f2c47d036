#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves that the documentation says what the tables hold.

usage: check.py keys|commands|events|manifest|metrics|links|names SOURCE_DIR
"""
import os
import re
import subprocess
import sys


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as f:
        return f.read()


def pages(root):
    docs = sorted(f for f in os.listdir(os.path.join(root, "docs")) if f.endswith(".md"))
    return ["README.md", "CHANGELOG.md"] + ["docs/" + f for f in docs]


def differ(what, page, table):
    """Both ways: what only the page has, and what it lacks."""
    wrong = [f"{what} {x} is not in the page" for x in sorted(table - page)]
    wrong += [f"{what} {x} is in the page, but there is none" for x in sorted(page - table)]
    return wrong if table else [f"no {what} was found in its table"]


def config_keys(root):
    return set(re.findall(r'^CONFIG_KEY\(\w+, "([^"]+)"', read(root, "core/config/keys.def"), re.M))


def command_names(root):
    table = read(root, "core/admin/commands.c").split("admin_commands[] = {")[1].split("};")[0]
    return re.findall(r'\{"([a-z ]+)",\s*ADMIN_', table)


def keys(root):
    rows = set(re.findall(r"^\| `([^`]+)` \|", read(root, "docs/configuration.md"), re.M))
    return differ("setting", rows, config_keys(root))


def generated(root, page, *command):
    made = subprocess.run([os.path.join(root, command[0]), *command[1:]], capture_output=True, text=True, check=True)
    return [] if made.stdout == read(root, page) else [f"{page} is old; run make docs"]


def commands(root):
    usages = re.findall(r"^\| `([a-z ]+?)(?: [<[][^`]*)?` \|", read(root, "docs/commands.md"), re.M)
    return (differ("command", set(usages), set(command_names(root)))
            + generated(root, "docs/commands.md", "scripts/commands", "--markdown"))


def events(root):
    table = set(re.findall(r'^BP_EVENT\(\w+, "([^"]+)"', read(root, "include/bp/event.def"), re.M))
    rows = set(re.findall(r"^\| `([^`]+)` \|", read(root, "docs/events.md"), re.M))
    return differ("event", rows, table) + generated(root, "docs/events.md", "scripts/events")


def section(text, title):
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def manifest(root):
    table = read(root, "lib/pluginfile/manifest.c").split("static const struct key keys[] = {")[1].split("};")[0]
    page = read(root, "docs/plugins.md")
    wrong = differ("manifest key", set(re.findall(r"^\| `(\w+)` \|", section(page, "The manifest") + section(page, "One plugin, many workflows"), re.M)),
                   set(re.findall(r'\{"(\w+)"', table)))
    schema = read(root, "lib/schema/schema.c")
    words = set(re.findall(r'(?:json_member|limit_of|json_str|json_truth)\(schema, "(\w+)"', schema))
    wrong += [f"schema word {w} is not in the page" for w in sorted(words) if f"`{w}`" not in section(page, "Params")]
    facets = set(re.findall(r'"(bp\.[a-z]+/1)"', "".join(read(root, f"include/bp/{h}.h") for h in
                                                        ("queue", "fleet", "cloud", "job", "scaling"))))
    return wrong + [f"facet {f} is not in the page" for f in sorted(facets) if f"`{f}`" not in page] + (
        [] if words and facets else ["no schema word or no facet was found in the sources"])


def metrics(root):
    page = read(root, "docs/metrics.md")
    scale = read(root, "core/scale/metrics.c").split("rows[SCALE_METRICS] = {")[1].split("};")[0]
    wrong = differ("metric", set(re.findall(r"^\| `([A-Z]\w+)` \|", page, re.M)), set(re.findall(r'\{"(\w+)"', scale)))
    http = read(root, "core/http/metrics.c")
    names = set(re.findall(r'(?:family|gauge|counter)\(t, "(bpd_\w+)"', http))
    names |= set(re.findall(r'\{"(bpd_fleet_\w+)"', http)) | set(re.findall(r'column_begin\(\S+ "(bpd_\w+)"', http))
    rows = {re.sub("_(total|info)$", "", n) for n in re.findall(r"^\| `(bpd_\w+)` \|", page, re.M)}
    return wrong + differ("metric", rows, names)


def anchors(text):
    """The names GitHub gives to headings."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    heads = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", h)).strip().lower().replace(" ", "-") for h in heads}


def link_wrong(root, page, target):
    if re.match(r"[a-z]+://", target):
        return None
    path, _, anchor = target.partition("#")
    full = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
    if not os.path.exists(os.path.join(root, full)):
        return f"{page}: {target} does not exist"
    if anchor and anchor not in anchors(read(root, full)):
        return f"{page}: {full} has no heading #{anchor}"
    return None


def links(root):
    wrong, seen = [], 0
    for page in pages(root):
        for target in re.findall(r"\]\(([^)\s]+)\)", read(root, page)):
            seen += 1
            wrong.append(link_wrong(root, page, target))
    return [w for w in wrong if w] if seen else ["no links were found"]


def all_tests(root):
    text = []
    for at, _, files in os.walk(os.path.join(root, "tests")):
        text += [read(at, f) for f in files if f.endswith((".c", ".py")) and at != os.path.join(root, "tests/docs")]
    return "".join(text)


def names(root):
    """Settings, commands, paths and tests that the pages name in passing exist."""
    wrong, tests = [], all_tests(root)
    known, first = config_keys(root), {c.split()[0] for c in command_names(root)} | {"migrate", "simulate"}  # those bpctl does itself
    sections = {k.split(".")[0] for k in known if "." in k} - {"plugin"}
    tops, libs = set(os.listdir(root)) - {"demo"}, set(os.listdir(os.path.join(root, "lib")))
    for page in pages(root):
        text = read(root, page)
        for word in re.findall(r"`([a-z]+\.[a-z]+[A-Z]\w*)`", text):
            if word.split(".")[0] in sections and word not in known:
                wrong.append(f"{page}: there is no setting {word}")
        for word in re.findall(r"(?:[`$] ?|^ *|&& )bpctl (?:--json )?([a-z]+)", text, re.M):
            if word not in first:
                wrong.append(f"{page}: there is no command bpctl {word}")
        for path in re.findall(r"`([a-z]+/[\w./-]+)`", text):
            at = path.rstrip("/").rstrip(".")
            if path.startswith("lib/") and path.split("/")[1] not in libs:
                continue  # of an installation
            if path.split("/")[0] in tops and not path.startswith("build") and not os.path.exists(os.path.join(root, at)):
                wrong.append(f"{page}: there is no {path}")
        for test in re.findall(r"`((?:test_)?[a-z0-9]+(?:_[a-z0-9]+){4,})`", text):
            if not re.search(rf"\b{test}\b", tests):
                wrong.append(f"{page}: there is no test {test}")
    return wrong


def main():
    checks = {f.__name__: f for f in (keys, commands, events, manifest, metrics, links, names)}
    if len(sys.argv) != 3 or sys.argv[1] not in checks:
        sys.exit(__doc__)
    wrong = checks[sys.argv[1]](sys.argv[2])
    print("\n".join(wrong) or f"docs: {sys.argv[1]} are as the sources have them")
    sys.exit(1 if wrong else 0)


main()
