# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks measured: rows by pass, and figures made of them.

A row is a name such as "roundtrip/typed/split/4" and its counters. A figure is
a function of one pass; its value is the median over the passes in which all
that it needs was measured, with the least and the greatest. So ratios are
always within a pass.
"""

import json
import pathlib
import re
import statistics
from dataclasses import dataclass

# What Google Benchmark adds to a name.
_SUFFIX = re.compile(
    r"/(iterations:\d+|repeats:\d+|min_time:[^/]+|min_warmup_time:[^/]+|"
    r"threads:\d+|real_time|process_time|manual_time)(?=/|$)")

# Of a row, but not counters.
_NOT_COUNTERS = frozenset([
    "family_index", "per_family_instance_index", "repetitions",
    "repetition_index", "threads", "iterations", "real_time", "cpu_time",
])

_UNITS = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}


class Missing(Exception):
    """There is no such row, or no such counter in it."""


@dataclass(frozen=True)
class Stat:
    """A figure over the passes."""

    median: float
    low: float
    high: float
    passes: int

    @classmethod
    def of(cls, values):
        return cls(statistics.median(values), min(values), max(values),
                   len(values))


class Pass:
    """The rows of one pass."""

    def __init__(self):
        self.rows = {}

    def get(self, row, counter="p50"):
        try:
            return self.rows[row][counter]
        except KeyError:
            raise Missing(row) from None

    def ratio(self, row, base, counter="p50"):
        value, of = self.get(row, counter), self.get(base, counter)
        if of == 0:
            raise Missing(base)
        return value / of


class Results:
    """All passes, and what went wrong in them."""

    def __init__(self, passes=(), errors=()):
        self.passes = list(passes)
        self.errors = list(errors)

    @classmethod
    def load(cls, directory):
        """From <directory>/<pass>/<program>.json."""
        results = cls()
        root = pathlib.Path(directory)
        numbers = [p for p in root.glob("*") if p.is_dir() and p.name.isdigit()]
        for path in sorted(numbers, key=lambda p: int(p.name)):
            one = Pass()
            for file in sorted(path.glob("*.json")):
                try:
                    data = json.loads(file.read_text())
                except (OSError, ValueError) as error:
                    results.errors.append(f"{path.name}/{file.name}: {error}")
                    continue
                results._add(one, data, f"{path.name}/{file.name}")
            results.passes.append(one)
        return results

    def _add(self, one, data, where):
        found = {}
        for row in data.get("benchmarks", []):
            if row.get("run_type", "iteration") != "iteration":
                continue
            name = _SUFFIX.sub("", row["name"])
            if row.get("error_occurred"):
                message = row.get("error_message", "failed")
                self.errors.append(f"{where}: {name}: {message}")
                continue
            counters = {
                key: float(value)
                for key, value in row.items()
                if isinstance(value, (int, float)) and
                not isinstance(value, bool) and key not in _NOT_COUNTERS
            }
            if "real_time" in row:
                unit = _UNITS.get(row.get("time_unit", "ns"), 1.0)
                time = row["real_time"] * unit
                if not counters:  # A plain benchmark: its time is all it has.
                    counters["p50"] = time
                counters.setdefault("time", time)
            found.setdefault(name, []).append(counters)
        for name, repeated in found.items():
            keys = set().union(*repeated)
            one.rows[name] = {
                key: statistics.median(r[key] for r in repeated if key in r)
                for key in keys
            }

    def names(self, pattern=""):
        """The names of rows in which the pattern is found, sorted."""
        wanted = re.compile(pattern)
        every = set()
        for one in self.passes:
            every.update(name for name in one.rows if wanted.search(name))
        return sorted(every, key=natural)

    def values(self, figure):
        """figure(pass) for each pass that has what it needs."""
        values = []
        for one in self.passes:
            try:
                values.append(figure(one))
            except Missing:
                pass
        return values

    def evaluate(self, figure):
        """A Stat, or Missing with the name of the row."""
        values = self.values(figure)
        if values:
            return Stat.of(values)
        for one in self.passes:
            figure(one)  # Raises.
        raise Missing("anything")

    def stat(self, row, counter="p50"):
        """A Stat or None."""
        values = self.values(lambda one: one.get(row, counter))
        return Stat.of(values) if values else None

    def ratio(self, row, base, counter="p50"):
        """A Stat or None."""
        values = self.values(lambda one: one.ratio(row, base, counter))
        return Stat.of(values) if values else None


def natural(text):
    """A sorting key by which 16 comes after 4."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part)
            for part in re.split(r"(\d+)", text) if part]
