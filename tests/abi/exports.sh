#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every plugin that was built exports bp_plugin_v1 and nothing else.
# usage: exports.sh DIR...
set -u
bad=0 n=0
for dir; do
    for so in "$dir"/*.so; do
        case $so in */\*.so | */t-no-symbol.so | */t-no-manifest.so | */talkative.so) continue ;; esac
        n=$((n + 1))
        # Address sanitizer adds its own markers; they are no names of ours.
        names=$(nm -D --defined-only "$so" | awk '{print $NF}' | grep -v '^__odr_asan' | sort -u | tr '\n' ' ')
        [ "$names" = "bp_plugin_v1 " ] || { echo "$so exports: $names"; bad=1; }
    done
done
[ "$n" -gt 10 ] || { echo "only $n plugins found in: $*"; exit 1; }
echo "$n plugins"
exit $bad
