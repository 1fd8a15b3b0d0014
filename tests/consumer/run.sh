#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
#   run.sh BUILD_DIR COMPILER
#
# Installs the project built in BUILD_DIR under a temporary prefix and uses it
# as a stranger would: find_package, add_subdirectory, pkg-config. Also checks
# that a version newer than ours is refused, and that nothing installed knows
# where it was built. CMAKE names the cmake to use.
set -euo pipefail
build=$(realpath "$1") compiler=$2
cmake=${CMAKE:-cmake}
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/elsewhere

fail() { echo "FAILED: $*" >&2; exit 1; }

# Configures, builds and runs one CMake consumer.
#   consume NAME PROJECT CMAKE_ARGUMENT...
consume() {
  local name=$1 project=$2
  shift 2
  if ! {
    "$cmake" -S "$here/$project" -B "$work/$name" -G Ninja \
      -DCMAKE_CXX_COMPILER="$compiler" "$@" &&
      "$cmake" --build "$work/$name"
  } >"$work/$name.log" 2>&1; then
    cat "$work/$name.log" >&2
    fail "$name"
  fi
  says_version "$work/$name/consumer"
  echo "ok: $name"
}

says_version() {
  [[ $("$1") == "binderlite $version" ]] || fail "$1 does not say $version"
}

# Installed here, used there: the package must not depend on its first place.
"$cmake" --install "$build" --prefix "$work/prefix" >/dev/null
mv "$work/prefix" "$prefix"
version=$(sed -n 's/^Version: //p' "$prefix/share/pkgconfig/binderlite.pc")
IFS=. read -r major minor patch <<<"$version"

installed=$(cd "$prefix" && find include -name '*.h' | sort)
on_disk=$(cd "$source" && find include -name '*.h' | sort)
[[ $installed == "$on_disk" ]] ||
  fail "installed headers differ from include/:
$(diff <(echo "$on_disk") <(echo "$installed") || true)"
# Text only: the debug information of a library knows its sources.
if grep -rIF -e "$build" -e "$source" -e "$work/prefix" "$prefix"; then
  fail "the installed files above contain a path of the build"
fi
echo "ok: relocatable"

consume find_package find_package -DWANTED="$major.$minor" \
  -DCMAKE_PREFIX_PATH="$prefix"
consume find_package_exact_patch find_package -DWANTED="$version" \
  -DCMAKE_PREFIX_PATH="$prefix"

for newer in "$major.$((minor + 1))" "$((major + 1)).0" \
  "$major.$minor.$((patch + 1))"; do
  log=$work/refused.log
  if "$cmake" -S "$here/find_package" -B "$work/refused-$newer" -G Ninja \
    -DCMAKE_CXX_COMPILER="$compiler" -DWANTED="$newer" \
    -DCMAKE_PREFIX_PATH="$prefix" >"$log" 2>&1; then
    fail "version $newer is accepted"
  fi
  grep -q 'compatible with requested version' <(tr -s '\n ' ' ' <"$log") ||
    { cat "$log" >&2; fail "version $newer is refused for another reason"; }
  echo "ok: version $newer is refused"
done

consume add_subdirectory add_subdirectory

export PKG_CONFIG_PATH=$prefix/share/pkgconfig
read -ra cflags <<<"$(pkg-config --cflags binderlite)"
read -ra libs <<<"$(pkg-config --libs binderlite)"
"$compiler" -std=c++20 "${cflags[@]}" "$here/main.cc" -o "$work/consumer" \
  "${libs[@]}" -pthread
says_version "$work/consumer"
echo "ok: pkg-config"
