#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Each public header compiles alone, twice included, as strict C11 and as C++17, without a warning.
# usage: headers.sh CC CXX INCLUDE_DIR
set -u
cc=$1 cxx=$2 dir=$3 bad=0 n=0
flags="-fsyntax-only -Wall -Wextra -Werror -I$dir"
for h in "$dir"/bp/*.h; do
    name=bp/$(basename "$h")
    n=$((n + 1))
    text=$(printf '#include <%s>\n#include <%s>\n' "$name" "$name")
    # kernel.h is for kernel.cu only: C and CUDA, never plain C++.
    printf '%s\n' "$text" | $cc -std=c11 -pedantic $flags -x c - || { echo "$name is no C11 of its own"; bad=1; }
    case $name in bp/kernel.h) continue ;; esac
    printf '%s\n' "$text" | $cxx -std=c++17 $flags -x c++ - || { echo "$name is no C++17 of its own"; bad=1; }
done
[ "$n" -gt 5 ] || { echo "only $n headers found in $dir/bp"; exit 1; }
exit $bad
