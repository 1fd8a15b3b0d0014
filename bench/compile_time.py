#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What it takes to compile a file with one #include.

  bench/compile_time.py [--runs N] [--benchmark_out=FILE] [--compiler CXX]

Rows compile/none, compile/absl-mutex, compile/driver, compile/binderlite and
compile/binderlite+debug (with debug.h, which binderlite.h leaves out): median
seconds (wall clock) and mebibytes (the compiler's largest process) over
N runs, default 3, which are interleaved. With --benchmark_out the rows are also
written as JSON, laid out like Google Benchmark's.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

INCLUDES = {
    "none": "",
    "absl-mutex": "#include <absl/synchronization/mutex.h>\n",
    "driver": '#include "binderlite/driver/driver.h"\n',
    "binderlite": '#include "binderlite/binderlite.h"\n',
    "binderlite+debug": '#include "binderlite/binderlite.h"\n'
                        '#include "binderlite/debug.h"\n',
}


def flags_of_abseil():
    """What pkg-config knows about Abseil; nothing where it is not needed."""
    try:
        out = subprocess.run(
            ["pkg-config", "--cflags", "absl_synchronization"],
            check=True, capture_output=True, text=True)
        return out.stdout.split()
    except (OSError, subprocess.CalledProcessError):
        return []


def run(command):
    """Seconds and MiB of one command."""
    start = time.monotonic()
    child = subprocess.Popen(command)
    # The usage of the child and of those that it has waited for.
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"failed: {' '.join(command)}")
    return seconds, usage.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--compiler", default="g++")
    parser.add_argument("--benchmark_out")
    arguments = parser.parse_args()

    include = os.path.join(os.path.dirname(__file__), "..", "include")
    seconds = {name: [] for name in INCLUDES}
    mebibytes = {name: [] for name in INCLUDES}
    with tempfile.TemporaryDirectory() as directory:
        source = {}
        for name, text in INCLUDES.items():
            source[name] = os.path.join(directory, f"{name}.cc")
            with open(source[name], "w", encoding="utf-8") as file:
                file.write(text + "int main() {}\n")
        flags = ["-O2", "-std=c++20", "-c", f"-I{include}", *flags_of_abseil(),
                 "-o", os.path.join(directory, "out.o")]
        # The first round is not counted: it brings the headers into memory.
        for round_number in range(arguments.runs + 1):
            for name in INCLUDES:
                wall, peak = run([arguments.compiler, *flags, source[name]])
                if round_number > 0:
                    seconds[name].append(wall)
                    mebibytes[name].append(peak)

    rows = []
    for name in INCLUDES:
        rows.append({
            "name": f"compile/{name}",
            "run_name": f"compile/{name}",
            "run_type": "iteration",
            "seconds": round(statistics.median(seconds[name]), 3),
            "peak_mib": round(statistics.median(mebibytes[name]), 1),
        })
    base = rows[1]["seconds"]
    for row in rows:
        print(f"{row['name']:22} {row['seconds']:7.2f} s {row['peak_mib']:7.0f} "
              f"MiB {row['seconds'] / base:6.2f}x absl-mutex")
    if arguments.benchmark_out:
        with open(arguments.benchmark_out, "w", encoding="utf-8") as file:
            json.dump({"benchmarks": rows}, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
