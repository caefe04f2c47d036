#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Stands for a model of yours: reads the input, tells its progress line by line, writes the output."""
import argparse
import collections
import json
import os

parser = argparse.ArgumentParser()
parser.add_argument("--top", type=int, required=True)
parser.add_argument("--ignore", default="")
parser.add_argument("input")
parser.add_argument("output")
args = parser.parse_args()

size, done, counts = os.path.getsize(args.input), 0, collections.Counter()
try:
    with open(args.input, encoding="utf-8") as f:
        for line in f:
            counts.update(word for word in line.lower().split() if word != args.ignore.lower())
            done += len(line.encode())
            print(f"progress {done / size} {sum(counts.values())} words", flush=True)
except UnicodeDecodeError:
    print("error the file is no UTF-8 text")
    raise SystemExit(65)  # bad input: not tried again

with open(args.output, "w", encoding="utf-8") as f:
    json.dump({"words": sum(counts.values()), "top": counts.most_common(args.top)}, f, ensure_ascii=False)
