# SPDX-License-Identifier: Apache-2.0
"""Markdown tables of what was measured. Rows that were not are left out."""

import re

import targets as targets_lib
from results import natural

# The order in which subjects are listed; others come after them.
ORDER = [
    "typed", "streams", "typed-detect", "streams-detect", "typed-park",
    "streams-park", "caller", "inplace", "kAlways", "kUnlessKilled",
    "kInterruptible", "FineGrained", "direct", "spin", "atomic", "futex",
    "await", "condvar", "tbb", "zmq", "sdbus", "grpc",
]

# What readers know them by.
TITLES = {
    "typed": "**binderlite**, typed operations",
    "streams": "**binderlite**, byte streams",
    "typed-detect": "**binderlite**, typed, deadlock detection on",
    "streams-detect": "**binderlite**, streams, deadlock detection on",
    "typed-park": "**binderlite**, typed, sleeping at once",
    "streams-park": "**binderlite**, byte streams, sleeping at once",
    "caller": "**binderlite**, handler on the caller's thread",
    "api": "**binderlite**, typed API",
    "api-caller": "**binderlite**, typed API, on the caller's thread",
    "inplace": "**binderlite**, payload made in place",
    "kAlways": "**binderlite**, `kAlways`",
    "kUnlessKilled": "**binderlite**, `kUnlessKilled`",
    "kInterruptible": "**binderlite**, `kInterruptible`",
    "FineGrained": "**binderlite**, `FineGrained`",
    "direct": "direct call",
    "spin": "spinning on an atomic",
    "atomic": "`std::atomic::wait`",
    "futex": "raw futex",
    "await": "`absl::Mutex::Await`",
    "condvar": "`std::condition_variable`",
    "tbb": "TBB bounded queue",
    "zmq": "ZeroMQ inproc",
    "sdbus": "sd-bus, peer to peer",
    "grpc": "gRPC in-process, callbacks",
}


def title(subject):
    return TITLES.get(subject, f"`{subject}`")


def order(subjects):
    known = {name: index for index, name in enumerate(ORDER)}
    return sorted(subjects,
                  key=lambda s: (known.get(s, len(ORDER)), natural(s)))


def size(count):
    count = int(count)
    return f"{count // 1024} KiB" if count >= 1024 else f"{count} B"


def figure(value):
    """Three digits, and no more than are needed."""
    if value == 0:
        return "0"
    for limit, digits in ((100, 0), (10, 1), (1, 2)):
        if abs(value) >= limit:
            return f"{value:.{digits}f}"
    return f"{value:.2g}"


def cell(stat, scale=1.0):
    """median (least-greatest)"""
    if stat is None:
        return ""
    text = figure(stat.median / scale)
    if stat.passes > 1:
        text += f" ({figure(stat.low / scale)}-{figure(stat.high / scale)})"
    return text


def markdown(head, lines):
    """Lines whose cells are all empty are left out."""
    lines = [line for line in lines if any(line[1:])]
    if not lines:
        return "Not measured."
    # Columns too.
    keep = [0] + [c for c in range(1, len(head)) if any(l[c] for l in lines)]
    head = [head[c] for c in keep]
    out = ["| " + " | ".join(head) + " |",
           "|---" + "|---:" * (len(head) - 1) + "|"]
    out += ["| " + " | ".join(line[c] for c in keep) + " |" for line in lines]
    return "\n".join(out)


def parts(results, prefix):
    """What is between the slashes of all rows below the prefix."""
    return [name.split("/")[1:] for name in results.names(f"^{prefix}/")]


def _column(rows, index):
    return sorted({row[index] for row in rows if len(row) > index},
                  key=natural)


def roundtrip(results, placement, counter="p50", scale=1e3):
    rows = [r for r in parts(results, "roundtrip") if r[1] == placement]
    sizes = _column(rows, 2)
    lines = [[title(subject)] + [
        cell(results.stat(f"roundtrip/{subject}/{placement}/{s}", counter),
             scale) for s in sizes
    ] for subject in order({r[0] for r in rows})]
    return markdown(["", *map(size, sizes)], lines)


def roundtrip_ratios(results, placement, base):
    """Of p50, in the same pass."""
    rows = [r for r in parts(results, "roundtrip") if r[1] == placement]
    sizes = [s for s in _column(rows, 2)
             if s in ("4", "128", "4096", "65536")]
    lines = [[title(subject)] + [
        cell(results.ratio(f"roundtrip/{subject}/{placement}/{s}",
                           f"roundtrip/{base}/{placement}/{s}"))
        for s in sizes
    ] for subject in order({r[0] for r in rows}) if subject != base]
    return markdown([f"times {TITLES[base]}", *map(size, sizes)], lines)


def roundtrip_details(results, bytes_):
    """p99, greatest, CPU time and switches."""
    head = [""]
    for placement in ("same", "split"):
        head += [f"{placement}: p99, us", f"{placement}: max, us",
                 f"{placement}: CPU, us", f"{placement}: switches"]
    lines = []
    for subject in order({r[0] for r in parts(results, "roundtrip")}):
        line = [title(subject)]
        for placement in ("same", "split"):
            row = f"roundtrip/{subject}/{placement}/{bytes_}"
            line += [cell(results.stat(row, counter), scale)
                     for counter, scale in (("p99", 1e3), ("max", 1e3),
                                            ("cpu", 1e3), ("switches", 1))]
        lines.append(line)
    return markdown(head, lines)


def clients(results, loopers, counter, scale):
    rows = [r for r in parts(results, "clients") if r[1] == f"M{loopers}"]
    counts = _column(rows, 2)
    lines = [[title(subject)] + [
        cell(results.stat(f"clients/{subject}/M{loopers}/{n}", counter), scale)
        for n in counts
    ] for subject in order({r[0] for r in rows})]
    return markdown(["", *(n.replace("N", "N = ") for n in counts)], lines)


def one_way(results):
    rows = parts(results, "oneway")
    columns = [(p, s) for s in ("16", "4096")
               for p in ("same", "split", "free")]
    lines = [[title(subject)] + [
        cell(results.stat(f"oneway/{subject}/{p}/{s}", "rate"), 1e6)
        for p, s in columns
    ] for subject in order({r[0] for r in rows})]
    return markdown(["", *(f"{size(s)}, {p}" for p, s in columns)], lines)


def asynchronous(results):
    lines = [[f"{r[1]} outstanding",
              cell(results.stat("/".join(("async", *r)), "p50"), 1e3),
              cell(results.stat("/".join(("async", *r)), "rate"), 1e3),
              cell(results.stat("/".join(("async", *r)), "cpu"), 1e3),
              cell(results.stat("/".join(("async", *r)), "switches"))]
             for r in parts(results, "async")]
    return markdown(["", "us per call", "thousand calls/s", "CPU, us",
                     "switches"], lines)


def nested(results):
    rows = parts(results, "nested")
    depths = _column(rows, 2)
    lines = [[f"`{placement}`"] + [
        cell(results.stat(f"nested/typed/{placement}/{d}"), 1e3)
        for d in depths
    ] for placement in _column(rows, 1)]
    return markdown(["depth", *depths], lines)


def operations(results):
    names = {
        "death": "death notification, from the end to the acknowledgement",
        "handle-pass": "a call with a handle in it, all on one OS thread",
        "free-buffer": "`BC_FREE_BUFFER`",
        "clock": "reading the clock, which each latency contains once",
    }
    lines = [[names.get(r[0], r[0]), cell(results.stat(f"op/{r[0]}"), 1)]
             for r in parts(results, "op")]
    extra = results.stat("op/handle-pass", "extra")
    lines.append(["the handle's part of that call", cell(extra, 1)])
    return markdown(["", "ns"], lines)


def lab(results, arrangement, counter, scale):
    rows = [r for r in parts(results, "lab") if r[1] == arrangement]
    counts = _column(rows, 2)
    lines = [[f"`{discipline}`"] + [
        cell(results.stat(f"lab/{discipline}/{arrangement}/{n}", counter),
             scale) for n in counts
    ] for discipline in order({r[0] for r in rows})]
    return markdown(["", *counts], lines)


def lab_locks(results, arrangement, count):
    """Waits and holds."""
    head = ["", "mutexes a call"]
    for what in ("wait", "hold"):
        head += [f"{what} {q}, ns" for q in ("p50", "p99", "max")]
    lines = []
    for discipline in order({r[0] for r in parts(results, "lab")}):
        row = f"lab/{discipline}/{arrangement}/{count}"
        lines.append(
            [f"`{discipline}`", cell(results.stat(row, "acquisitions"))] +
            [cell(results.stat(row, f"lock_{what}_{q}"))
             for what in ("wait", "hold") for q in ("p50", "p99", "max")])
    return markdown(head, lines)


def kill(results):
    lines = []
    for subject, arrangement in parts(results, "kill"):
        row = f"kill/{subject}/{arrangement}"
        lines.append(
            [f"`{subject}`, {arrangement}"] +
            [cell(results.stat(row, q), 1e3) for q in ("p50", "p99", "max")] +
            [cell(results.stat(row, q)) for q in ("stuck", "kills")])
    return markdown(["", "p50, us", "p99, us", "max, us", "stuck", "kills"],
                    lines)


def growth(results):
    out = []
    rows = parts(results, "growth")
    for kind in _column(rows, 0):
        counts = sorted({r[1] for r in rows if r[0] == kind}, key=natural)
        base = f"growth/{kind}/{counts[0]}"
        names = [f"growth/{kind}/{n}" for n in counts]
        out.append(
            markdown([kind, *counts], [
                ["ns", *(cell(results.stat(n)) for n in names)],
                ["times the smallest",
                 *(cell(results.ratio(n, base)) for n in names)],
            ]))
    return "\n\n".join(out) if out else "Not measured."


def memory(results):
    lines = [[r[0], cell(results.stat(f"memory/{r[0]}", "bytes"))]
             for r in parts(results, "memory")]
    return markdown(["", "bytes"], lines)


def compile_time(results):
    lines = []
    for one in parts(results, "compile"):
        row = f"compile/{one[0]}"
        lines.append([
            one[0], cell(results.stat(row, "seconds")),
            cell(results.ratio(row, "compile/absl-mutex", "seconds")),
            cell(results.stat(row, "peak_mib"))
        ])
    return markdown(["", "s", "times absl-mutex", "peak, MiB"], lines)


def kernel(results):
    """Round trips of 4 bytes by placement, and beside the kernel's in the same
    one."""
    placements = {"": "free", "same/": "one CPU", "split/": "two CPUs"}
    lines = []
    for subject in dict.fromkeys(r[0] for r in parts(results, "kernel")):
        line = [subject]
        for where in placements:
            row = f"kernel/{subject}/{where}4"
            line += [cell(results.stat(row), 1e3),
                     cell(results.ratio(row, f"kernel/kernel/{where}4"))]
        lines.append(line)
    return markdown([""] + [head for place in placements.values()
                            for head in (f"{place}, us", "/ kernel")], lines)


def target_table(checked):
    lines = [[one.target.what, one.target.bound,
              f"**{one.verdict}**" if one.verdict == "held" else one.verdict]
             for one in checked]
    return markdown(["what", "target", ""], lines)


def target_figures(one):
    lines = []
    for outcome in one.outcomes:
        label, value, bound = targets_lib.describe(outcome)
        lines.append([label, value, bound, outcome.verdict])
    return markdown([one.target.id, "measured", "target", ""], lines)


# What a template can ask for: {{table NAME ARGUMENT...}}.
TABLES = {
    "roundtrip": roundtrip,
    "roundtrip-ratios": roundtrip_ratios,
    "roundtrip-details": roundtrip_details,
    "clients": lambda results, loopers, counter, scale: clients(
        results, loopers, counter, float(scale)),
    "oneway": one_way,
    "async": asynchronous,
    "nested": nested,
    "operations": operations,
    "lab": lambda results, arrangement, counter, scale: lab(
        results, arrangement, counter, float(scale)),
    "lab-locks": lab_locks,
    "kill": kill,
    "growth": growth,
    "memory": memory,
    "compile": compile_time,
    "kernel": kernel,
}


def make(results, request):
    name, *arguments = re.split(r"\s+", request.strip())
    return TABLES[name](results, *arguments)
