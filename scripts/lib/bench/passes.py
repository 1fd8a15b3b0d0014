# SPDX-License-Identifier: Apache-2.0
"""Runs the benchmarks: all of them once a pass, in another order each time."""

import datetime
import json
import os
import pathlib
import platform
import random
import re
import subprocess
import time

# A program that takes longer hangs.
_TIMEOUT_S = 1200


# What may follow in the names that Google Benchmark knows.
_REST = r"(/(iterations|repeats|min_time|real_time|manual_time).*)?$"


class Program:
    """An executable of bench/*.cc, or a script in bench/."""

    def __init__(self, path, is_script):
        self.path = path
        self.name = path.stem if is_script else path.name
        self.is_script = is_script

    def has_rows(self, only):
        """Whether it has any whose name matches; a script is asked nothing."""
        if self.is_script or not only:
            return True
        listed = subprocess.run(
            [self.path, "--benchmark_list_tests=true",
             f"--benchmark_filter={only}"],
            capture_output=True, text=True, check=False).stdout
        return any("/" in line for line in listed.splitlines())

    def run(self, out, only, row_seconds, interleave):
        """What went wrong, or None."""
        command = [str(self.path), f"--benchmark_out={out}"]
        environment = dict(os.environ)
        if row_seconds:
            environment["BENCH_ROW_SECONDS"] = str(row_seconds)
        if not self.is_script:
            command.append("--benchmark_out_format=json")
            if interleave:
                command.append("--benchmark_enable_random_interleaving=true")
            if only:
                command.append(f"--benchmark_filter={only}")
        try:
            done = subprocess.run(command, env=environment,
                                  stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, check=False,
                                  timeout=_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return f"ran for more than {_TIMEOUT_S} s"
        except OSError as error:
            return str(error)
        if done.returncode != 0:
            last = (done.stderr.strip() or done.stdout.strip()).splitlines()
            return f"exit status {done.returncode}: {last[-1] if last else ''}"
        return None


def find(source, binaries, quick):
    """(programs, sources that were not built)."""
    programs, absent = [], []
    for path in sorted(pathlib.Path(source).glob("*.cc")):
        if quick and path.stem not in quick:
            continue
        binary = pathlib.Path(binaries) / path.stem
        if os.access(binary, os.X_OK):
            programs.append(Program(binary, False))
        else:
            absent.append(path.stem)
    if not quick:
        for pattern in ("*.py", "*.sh", "kernel/*.sh"):
            for path in sorted(pathlib.Path(source).glob(pattern)):
                if os.access(path, os.X_OK):
                    programs.append(Program(path, True))
    return programs, absent


def run(programs, directory, runs, only="", row_seconds=0, interleave=True,
        say=print):
    """Returns what went wrong."""
    only = only or ""
    errors = []
    if only.endswith("$"):
        only = only[:-1] + _REST
    programs = [p for p in programs if p.has_rows(only)]
    if only:  # Scripts have one kind of rows, whose name theirs begins with.
        family = re.split(r"[^\w-]", only.lstrip("^("))[0]
        programs = [p for p in programs if not p.is_script or
                    (family and re.search(family, p.name))]
    for number in range(1, runs + 1):
        into = pathlib.Path(directory) / str(number)
        into.mkdir(parents=True, exist_ok=True)
        random.shuffle(programs)
        for program in programs:
            begin = time.monotonic()
            out = into / f"{program.name}.json"
            out.unlink(missing_ok=True)
            error = program.run(out, only, row_seconds, interleave)
            say(f"pass {number} of {runs}: {program.name}: "
                f"{time.monotonic() - begin:.1f} s" +
                (f": {error}" if error else ""))
            if error:
                errors.append(f"pass {number}: {program.name}: {error}")
    return errors


def _first_line(command):
    try:
        out = subprocess.run(command, capture_output=True, text=True,
                             check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
    return out.splitlines()[0] if out else ""


def _versions(packages):
    found = {}
    for package in packages:
        version = _first_line(
            ["dpkg-query", "-W", "-f", "${Version}", package])
        if version:
            found[package] = version
    return found


def describe_machine():
    """What the figures were measured on."""
    model = ""
    try:
        cpuinfo = pathlib.Path("/proc/cpuinfo").read_text()
        match = re.search(r"model name\s*: (.*)", cpuinfo)
        model = match.group(1) if match else ""
    except OSError:
        pass
    return {
        "date": datetime.date.today().isoformat(),
        "processor": model or platform.machine(),
        "processors": len(os.sched_getaffinity(0)),
        "kernel": platform.release().split("-")[0],
        "compiler": _first_line(["g++", "--version"]),
        "packages": _versions([
            "libabsl-dev", "libtbb-dev", "libzmq3-dev", "libgrpc++-dev",
            "libsystemd-dev"
        ]),
    }


def save_machine(directory):
    path = pathlib.Path(directory) / "machine.json"
    path.write_text(json.dumps(describe_machine(), indent=2) + "\n")


def load_machine(directory):
    try:
        return json.loads(
            (pathlib.Path(directory) / "machine.json").read_text())
    except (OSError, ValueError):
        return {}
