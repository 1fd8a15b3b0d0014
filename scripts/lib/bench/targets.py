# SPDX-License-Identifier: Apache-2.0
"""The targets: what has to be how fast, beside what.

A target is held if each of its figures is. A figure without a bound only
informs.
"""

import operator
import re
from dataclasses import dataclass, field
from typing import Callable, Optional

from results import Missing, Stat

_COMPARE = {"<=": operator.le, ">=": operator.ge, "==": operator.eq}


@dataclass
class Figure:
    label: str
    of: Callable  # Of a pass.
    compare: str = ""  # "": only informs.
    bound: float = 0
    unit: str = "x"
    # How the passes become one value: their median, or their sum.
    total: bool = False


@dataclass
class Target:
    id: str
    what: str
    bound: str
    figures: list = field(default_factory=list)


@dataclass
class Outcome:
    """Of a figure."""

    figure: Figure
    stat: Optional[Stat]
    missing: str = ""

    @property
    def verdict(self):
        if self.stat is None:
            return "no such row"
        if not self.figure.compare:
            return ""
        held = _COMPARE[self.figure.compare](self.value, self.figure.bound)
        return "held" if held else "missed"

    @property
    def value(self):
        if self.figure.total:
            return self.stat.median * self.stat.passes
        return self.stat.median


@dataclass
class Checked:
    target: Target
    outcomes: list

    @property
    def verdict(self):
        """A figure that is missed decides, also while others are missing."""
        verdicts = [o.verdict for o in self.outcomes if o.figure.compare]
        for bad in ("missed", "no such row"):
            if bad in verdicts:
                return bad
        return "held"


def check(results, targets=None):
    checked = []
    for target in TARGETS if targets is None else targets:
        outcomes = []
        for figure in target.figures:
            try:
                stat = results.evaluate(figure.of)
                if figure.total:  # The mean, so that times passes is the sum.
                    values = results.values(figure.of)
                    stat = Stat(sum(values) / len(values), min(values),
                                max(values), len(values))
                outcomes.append(Outcome(figure, stat))
            except Missing as missing:
                outcomes.append(Outcome(figure, None, str(missing)))
        checked.append(Checked(target, outcomes))
    return checked


def number(value):
    if value == 0:
        return "0"
    if abs(value) >= 1e6:
        return f"{value / 1e6:.3g}M"
    if abs(value) >= 1e4:
        return f"{value / 1e3:.0f}k"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"


def describe(outcome):
    """A figure as (label, value, bound)."""
    figure = outcome.figure
    bound = ""
    if figure.compare:
        bound = f"{figure.compare} {number(figure.bound)}{figure.unit}"
    if outcome.stat is None:
        return figure.label, f"no such row: {outcome.missing}", bound
    stat = outcome.stat
    value = number(outcome.value) + figure.unit
    if stat.passes > 1 and not figure.total:
        value += f" ({number(stat.low)} .. {number(stat.high)})"
    return figure.label, value, bound


def text(checked):
    """As printed by --check."""
    lines = []
    for one in checked:
        lines.append(f"{one.verdict:12s} {one.target.id}: {one.target.what}: "
                     f"{one.target.bound}")
        for outcome in one.outcomes:
            label, value, bound = describe(outcome)
            lines.append(f"    {outcome.verdict:12s} {label:44s} {value:28s} "
                         f"{bound}".rstrip())
    count = {}
    for one in checked:
        count[one.verdict] = count.get(one.verdict, 0) + 1
    lines.append("targets: " +
                 ", ".join(f"{n} {verdict}" for verdict, n in count.items()))
    return "\n".join(lines)


# --- The targets themselves -------------------------------------------------


def _ratio(row, base, counter="p50"):
    return lambda one: one.ratio(row, base, counter)


def _value(row, counter):
    return lambda one: one.get(row, counter)


def _round_trips(subject, base, placement, sizes, bound):
    return [
        Figure(f"{subject} / {base}, {size} B",
               _ratio(f"roundtrip/{subject}/{placement}/{size}",
                      f"roundtrip/{base}/{placement}/{size}"), "<=", bound)
        for size in sizes
    ]


def _clients():
    figures = []
    for loopers in (4, 1):
        row = f"clients/{{}}/M{loopers}/N8".format
        for base, counter, compare, bound, name in (
            ("await", "rate", ">=", 4, "calls/s"),
            ("futex", "rate", ">=", 3.5, "calls/s"),
            ("futex", "cpu", "<=", 0.4, "CPU per call"),
            ("futex", "p99", "<=", 1, "p99"),
        ):
            figures.append(
                Figure(f"{name}, typed / {base}, {loopers} loopers",
                       _ratio(row("typed"), row(base), counter), compare,
                       bound))
    return figures


def _least_scaling(one):
    rate = [one.get(f"clients/caller/M4/N{n}", "rate") for n in
            (1, 2, 4, 8, 16)]
    return min(rate) / rate[0]


def _growth(kind):
    """The worst of all sizes beside the smallest."""
    pattern = re.compile(rf"^growth/{kind}/(\d+)$")

    def figure(one):
        sizes = {int(m.group(1)): one.get(m.group(0), "p50")
                 for m in map(pattern.match, one.rows) if m}
        if len(sizes) < 2:
            raise Missing(f"growth/{kind}/...")
        base = sizes.pop(min(sizes))
        return max(sizes.values()) / base

    return figure


def _kills():
    figures = []
    for discipline in ("kInterruptible", "FineGrained"):
        row = f"kill/{discipline}/16"
        for counter in ("p50", "p99"):
            figures.append(
                Figure(f"{discipline} / waking a futex, {counter}",
                       _ratio(row, "kill/futex/16", counter), "<=", 2))
        figures += [
            Figure(f"{discipline}, stuck", _value(row, "stuck"), "==", 0, "",
                   total=True),
            Figure(f"{discipline}, kills in all", _value(row, "kills"), ">=",
                   10000, "", total=True),
        ]
    return figures


TARGETS = [
    Target("split-small", "round trip of 4 to 128 B, split, beside spinning",
           "typed <= 3x, byte streams <= 4x; with detection <= 5x, 6x",
           _round_trips("typed", "spin", "split", (4, 16, 128), 3) +
           _round_trips("streams", "spin", "split", (4, 128), 4) +
           _round_trips("typed-detect", "spin", "split", (4, 128), 5) +
           _round_trips("streams-detect", "spin", "split", (4, 128), 6)),
    Target("same-small",
           "round trip of 4 to 128 B on one CPU, beside a raw futex",
           "<= 0.9x",
           _round_trips("typed", "futex", "same", (4, 16, 128), 0.9) +
           _round_trips("streams", "futex", "same", (4, 128), 0.9)),
    Target("split-large", "round trip of 64 KiB, split, beside spinning",
           "<= 1.3x",
           _round_trips("typed", "spin", "split", (65536,), 1.3) +
           _round_trips("streams", "spin", "split", (65536,), 1.3)),
    Target("clients", "8 clients on 4 loopers, and on 1",
           "calls/s >= 4x Await, >= 3.5x futex; CPU <= 0.4x, p99 <= 1x futex",
           _clients()),
    Target("caller", "caller-thread dispatch, 128 B",
           "<= 6x a direct call, >= 3M calls/s, no loss from N = 1 to 16", [
               Figure("caller / direct",
                      _ratio("roundtrip/caller/same/128",
                             "roundtrip/direct/same/128"), "<=", 6),
               Figure("calls/s", _value("roundtrip/caller/same/128", "rate"),
                      ">=", 3e6, ""),
               Figure("least rate of N = 1..16 / that of N = 1, 4 loopers",
                      _least_scaling, ">=", 1),
           ]),
    Target("typed-api", "typed API, string of 128 B, split",
           "<= 1.6x the driver's typed operations", [
               Figure("api / typed",
                      _ratio("roundtrip/api/split/128",
                             "roundtrip/typed/split/128"), "<=", 1.6),
           ]),
    Target("one-way", "one-way messages of 16 B, beside TBB's bounded queue",
           "split >= 1x, free >= 0.5x", [
               Figure("typed / tbb, split",
                      _ratio("oneway/typed/split/16", "oneway/tbb/split/16",
                             "rate"), ">=", 1),
               Figure("typed / tbb, free",
                      _ratio("oneway/typed/free/16", "oneway/tbb/free/16",
                             "rate"), ">=", 0.5),
               Figure("inplace / tbb, split",
                      _ratio("oneway/inplace/split/16", "oneway/tbb/split/16",
                             "rate")),
               Figure("inplace / tbb, free",
                      _ratio("oneway/inplace/free/16", "oneway/tbb/free/16",
                             "rate")),
           ]),
    Target("kernel", "round trip beside the kernel's binder, one machine",
           "parking only <= 0.6x, default <= 0.25x", [
               Figure("parking only / kernel",
                      _ratio("kernel/ours-park/4", "kernel/kernel/4"), "<=",
                      0.6),
               Figure("default / kernel",
                      _ratio("kernel/ours/4", "kernel/kernel/4"), "<=", 0.25),
           ]),
    Target("growth", "what is around a call, greatest beside smallest",
           "<= 1.25x", [
               Figure(kind, _growth(kind), "<=", 1.25)
               for kind in ("procs", "nodes", "handles", "idle-loopers",
                            "queued")
           ]),
    Target("heap", "heap allocations of a warm call", "0", [
        Figure(f"{way}, {size} B",
               _value(f"allocations/{way}/{size}", "allocations"), "==", 0, "")
        for way in ("typed", "streams") for size in (4, 4096)
    ]),
    Target("memory", "memory, arena aside",
           "Proc <= 4 KiB, Thread <= 1 KiB, node and handle <= 256 B", [
               Figure("Proc", _value("memory/proc", "bytes"), "<=", 4096,
                      " B"),
               Figure("Thread", _value("memory/thread", "bytes"), "<=", 1024,
                      " B"),
               Figure("node and handle", _value("memory/node+handle", "bytes"),
                      "<=", 256, " B"),
           ]),
    Target("kill", "16 waiting threads, lock holder stalled: kill to last exit",
           "p50, p99 <= 2x waking 16 futex waiters; none stuck in 10,000",
           _kills()),
    Target("compile", "compile time beside absl/synchronization/mutex.h",
           "driver <= 1.6x, everything <= 2.2x", [
               Figure("driver level",
                      _ratio("compile/driver", "compile/absl-mutex",
                             "seconds"), "<=", 1.6),
               Figure("binderlite.h",
                      _ratio("compile/binderlite", "compile/absl-mutex",
                             "seconds"), "<=", 2.2),
           ]),
]
