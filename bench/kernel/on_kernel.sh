#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds on_kernel.cc and runs it on the driver of a real kernel, in an emulated
# machine: a round trip through the kernel's binder beside one through ours.
#
#   bench/kernel/on_kernel.sh [OPTION]...
#
#   --benchmark_out=FILE   writes the rows there, as JSON laid out like Google
#                          Benchmark's; without it they are printed
#   --passes=N             default 3
#   --calls=N              of each subject in each pass, at most; default 2000
#   --kernel=6.12|6.1      default 6.12
set -euo pipefail
start=$PWD
source "$(dirname "$0")/../../scripts/lib/install.sh"

out='' passes=3 calls=2000 kernel=6.12
for argument in "$@"; do
  value=${argument#*=}
  case $argument in
    --benchmark_out=*) out=$value ;;
    --passes=*) passes=$value ;;
    --calls=*) calls=$value ;;
    --kernel=*) kernel=$value ;;
    *)
      sed -n '3,${/^#/!q;s/^# \{0,1\}//;p}' bench/kernel/on_kernel.sh >&2
      exit 2
      ;;
  esac
done
need g++ ccache pkg-config libabsl-dev >&2

build=$root/build/bench-kernel
mkdir -p "$build"
read -ra compile < <(pkg-config --cflags absl_synchronization)
read -ra link < <(pkg-config --static --libs absl_synchronization)
ccache g++ -std=c++20 -O2 -DNDEBUG -Wall -Wextra -Iinclude -Ibench \
  "${compile[@]}" -c bench/kernel/on_kernel.cc -o "$build/on_kernel.o"
g++ -static "$build/on_kernel.o" -o "$build/on_kernel" "${link[@]}"

# What else it says goes to stderr.
rows=$(scripts/run-on-kernel-binder --kernel "$kernel" --timeout 900 \
  "$build/on_kernel" "$passes" "$calls" |
  awk '/^@@JSON/ { on = !on; next } on { print; next }
       { print >"/dev/stderr" }')
[[ -n $rows ]] || { echo "no rows" >&2; exit 1; }
cd "$start"
if [[ -n $out ]]; then
  printf '%s\n' "$rows" >"$out"
else
  printf '%s\n' "$rows"
fi
