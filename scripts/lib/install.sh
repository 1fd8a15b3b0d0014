# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Sourced by the scripts beside this directory. Sets `root` to the project's
# directory, `jobs` to the number of processors, and provides:
#
#   need PACKAGE...   installs the Debian packages that are missing
#   say TEXT...       prints a heading
#   usage             prints the comment on top of the script and exits with 2
#   build PRESET [-DNAME=VALUE...] [ARGUMENT...]  configures and builds a preset
#   run_tests PRESET  runs the tests of a preset
#   need_gcc_build, need_clang_build  the packages that building takes

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
jobs=$(nproc)
cd "$root" || exit

say() { printf '\n== %s\n' "$*"; }

usage() {
  sed -n '4,${/^#/!q;s/^# \{0,1\}//;p}' "$root/scripts/$(basename "$0")" >&2
  exit 2
}

# Runs a command as root.
as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo "$@"; fi
}

need() {
  local package missing=()
  for package in "$@"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == \
      installed ]] || missing+=("$package")
  done
  [[ ${#missing[@]} -gt 0 ]] || return 0
  if ! command -v apt-get >/dev/null; then
    echo "no apt-get here; going on without: ${missing[*]}" >&2
    return 0
  fi
  say "installing ${missing[*]}"
  as_root apt-get -qq update
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
    --no-install-recommends install "${missing[@]}" >/dev/null
}

need_gcc_build() {
  need cmake ninja-build g++ ccache pkg-config libabsl-dev libgtest-dev \
    libgmock-dev
}

need_clang_build() {
  need_gcc_build
  # llvm: the sanitizers name functions with its symbolizer, and what is
  # suppressed is known by name.
  need clang libclang-rt-14-dev llvm
}

build() {
  local launcher=${CMAKE_CXX_COMPILER_LAUNCHER-}
  if [[ -z $launcher ]] && command -v ccache >/dev/null; then launcher=ccache; fi
  local preset=$1 cache=()
  shift
  while [[ ${1-} == -D* ]]; do
    cache+=("$1")
    shift
  done
  say "$preset: configure"
  CMAKE_CXX_COMPILER_LAUNCHER=$launcher cmake --preset "$preset" "${cache[@]}"
  say "$preset: build"
  cmake --build --preset "$preset" "$@"
}

run_tests() {
  say "$1: test"
  CTEST_PARALLEL_LEVEL=${CTEST_PARALLEL_LEVEL:-$jobs} ctest --preset "$1"
}
