# SPDX-License-Identifier: Apache-2.0
"""scripts/bench after the build: runs passes, checks targets, writes
docs/performance.md. See there for the options."""

import argparse
import os
import pathlib
import shutil
import sys

import passes
import profiles
import report
import tables
import targets
from results import Results

# What --quick runs, and how long its rows take.
_QUICK = ("roundtrip", "clients", "oneway", "nested", "allocations")
_QUICK_SECONDS = 0.003


def _arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench")
    parser.add_argument("--runs", type=int)
    parser.add_argument("--only", metavar="REGEX")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--root", type=pathlib.Path, required=True,
                        help=argparse.SUPPRESS)
    return parser.parse_args()


def _list_rows(results):
    """All rows that were run with their main figures."""
    for name in results.names():
        figures = []
        for counter, scale, unit in (("p50", 1e3, "us"), ("p99", 1e3, "us"),
                                     ("cpu", 1e3, "us cpu"),
                                     ("rate", 1e6, "M/s"),
                                     ("seconds", 1, "s"),
                                     ("bytes", 1, "B")):
            stat = results.stat(name, counter)
            if stat is not None:
                figures.append(f"{counter} {tables.cell(stat, scale)} {unit}")
        print(f"{name:40s} {'  '.join(figures)}")


def _status(checked, strict):
    print(targets.text(checked))
    verdicts = {one.verdict for one in checked}
    if "no such row" in verdicts:
        return 2
    for one in checked:
        if any(o.verdict == "no such row" for o in one.outcomes
               if o.figure.compare):
            return 2
    return 1 if strict and "missed" in verdicts else 0


def main():
    arguments = _arguments()
    root = arguments.root
    build = root / "build/bench"
    partial = arguments.only or arguments.quick
    directory = build / ("results-partial" if partial else "results")
    if arguments.report:
        directory = build / "results"
    errors = []
    if not arguments.report:
        runs = arguments.runs or (1 if arguments.quick else 7)
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        passes.save_machine(directory)
        programs, absent = passes.find(root / "bench", build / "bench",
                                       _QUICK if arguments.quick else ())
        for name in absent:
            print(f"{name}: not built (its library is not installed?), "
                  "left out")
        errors = passes.run(programs, directory, runs, arguments.only,
                            _QUICK_SECONDS if arguments.quick else 0,
                            say=lambda line: print(line, flush=True))
        if not partial:
            profiles.take(build / "bench", directory,
                          say=lambda line: print(line, flush=True))
    results = Results.load(directory)
    for error in dict.fromkeys(errors + results.errors):
        print(f"error: {error}")
    if not results.passes:
        print("nothing was measured", file=sys.stderr)
        return 1
    if partial and not arguments.report:
        _list_rows(results)
        if arguments.check:
            return _status(targets.check(results), arguments.strict)
        return 1 if errors else 0

    checked = targets.check(results)
    template = (root / "docs/performance.md.in").read_text()
    text = report.render(template, results, checked,
                         passes.load_machine(directory),
                         root / "docs/performance",
                         profiles.load(directory))
    (root / "docs/performance.md").write_text(text)
    print("written: docs/performance.md, docs/performance/")
    if arguments.check:
        return _status(checked, arguments.strict)
    return 1 if errors else 0


if __name__ == "__main__":
    # Pictures are drawn to files, and caches are not for the home directory.
    os.environ.setdefault("MPLBACKEND", "svg")
    sys.exit(main())
