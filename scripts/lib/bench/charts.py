# SPDX-License-Identifier: Apache-2.0
"""Charts of what was measured, as SVG. Points are medians, whiskers go from the
least to the greatest pass. A chart is to be understood without the text around
it, and drawn of whatever rows there are."""

import io
import re

from results import natural
from tables import order, size

try:
    import matplotlib
    matplotlib.use("svg")
    from matplotlib import pyplot
except ImportError:
    pyplot = None

# Ours are blue, what it is compared with is not.
STYLE = {
    "typed": ("binderlite", "#0b4f9e", "o", 2.4),
    "streams": ("binderlite, byte streams", "#4c8fd6", "s", 1.6),
    "typed-park": ("binderlite, sleeping at once", "#9cc3ea", "^", 1.6),
    "caller": ("binderlite, on the caller's thread", "#06264d", "D", 2.0),
    "inplace": ("binderlite, made in place", "#06264d", "D", 2.0),
    "direct": ("direct call", "#7f7f7f", "v", 1.2),
    "spin": ("spinning", "#2ca02c", "P", 1.2),
    "atomic": ("std::atomic wait", "#98df8a", "X", 1.2),
    "futex": ("raw futex", "#d62728", "o", 1.2),
    "await": ("absl Await", "#ff7f0e", "s", 1.2),
    "condvar": ("std condvar", "#e377c2", "^", 1.2),
    "tbb": ("TBB queue", "#bcbd22", "D", 1.2),
    "zmq": ("ZeroMQ", "#17becf", "v", 1.2),
    "sdbus": ("sd-bus", "#8c564b", "P", 1.2),
    "grpc": ("gRPC in-process", "#9467bd", "X", 1.2),
}

# The disciplines in the order of their history.
DISCIPLINES = {
    "kAlways": ("Linux\nup to 4.13", "#b2182b"),
    "kUnlessKilled": ("2017 patch", "#ef8a62"),
    "kInterruptible": ("reply to\nthe patch", "#67a9cf"),
    "FineGrained": ("fine-grained\nlocks", "#2166ac"),
}


class NothingToDraw(Exception):
    pass


def _line(axes, subject, points):
    """points: (x, Stat or None)."""
    points = [(x, stat) for x, stat in points if stat is not None]
    if not points:
        return False
    label, color, marker, width = STYLE.get(subject,
                                            (subject, "#333333", ".", 1.0))
    xs = [x for x, _ in points]
    ys = [stat.median for _, stat in points]
    axes.errorbar(xs, ys,
                  yerr=[[s.median - s.low for _, s in points],
                        [s.high - s.median for _, s in points]],
                  label=label, color=color, marker=marker, markersize=4,
                  linewidth=width, elinewidth=0.6, capsize=2)
    return True


def _numbers(names, index):
    """The numbers that are that part of the names."""
    found = {name.split("/")[index] for name in names}
    return sorted((f for f in found if re.fullmatch(r"[MN]?\d+", f)),
                  key=natural)


def _limit(all_axes):
    """On logarithmic axes: what the medians need, not what outliers do."""
    ys = [y for axes in all_axes for line in axes.get_lines()
          if len(line.get_ydata()) and line.get_linestyle() == "-"
          for y in line.get_ydata() if y > 0]
    if ys:
        all_axes[0].set_ylim(min(ys) / 2, max(ys) * 2)


def _legend_below(figure, axes_list):
    handles = {}
    for axes in axes_list:
        for handle, label in zip(*axes.get_legend_handles_labels()):
            handles.setdefault(label, handle)
    columns = min(5, max(1, len(handles)))
    rows = -(-len(handles) // columns)
    figure.legend(handles.values(), handles.keys(), loc="lower center",
                  ncol=columns, frameon=False, fontsize=8)
    figure.tight_layout(rect=(0, 0.02 + 0.05 * rows, 1, 1))


def _grid(axes):
    axes.grid(True, which="major", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def roundtrip(results):
    """Latency by size."""
    subjects = order({n.split("/")[1] for n in results.names("^roundtrip/")} -
                     {"typed-detect", "streams-detect", "streams-park",
                      "kAlways", "kUnlessKilled", "kInterruptible"})
    titles = {"same": "both threads on one CPU", "split": "on two CPUs",
              "free": "wherever the system puts them"}
    figure, all_axes = pyplot.subplots(1, 3, figsize=(13, 5.5), sharey=True)
    drawn = False
    for axes, placement in zip(all_axes, titles):
        for subject in subjects:
            names = results.names(f"^roundtrip/{subject}/{placement}/")
            # A logarithmic axis has no place for nothing.
            sizes = [int(s) for s in _numbers(names, 3) if s != "0"]
            drawn |= _line(axes, subject, [
                (s, results.stat(f"roundtrip/{subject}/{placement}/{s}"))
                for s in sizes
            ])
        axes.set(xscale="log", yscale="log", title=titles[placement],
                 xlabel="bytes there and back")
        ticks = [4, 128, 4096, 65536, 524288]
        axes.set_xticks(ticks, [size(t) for t in ticks])
        axes.minorticks_off()
        _grid(axes)
    if not drawn:
        raise NothingToDraw
    all_axes[0].set_yticks([1e1, 1e2, 1e3, 1e4, 1e5, 1e6],
                           ["10 ns", "100 ns", "1 us", "10 us", "100 us",
                            "1 ms"])
    _limit(all_axes)  # After the ticks, which widen it.
    all_axes[0].set_ylabel("a call and its answer, median (less is better)")
    figure.suptitle("Synchronous round trip between two threads")
    _legend_below(figure, all_axes)
    return figure


def clients(results):
    """Throughput by number of clients."""
    figure, all_axes = pyplot.subplots(1, 2, figsize=(11, 5.2), sharey=True)
    subjects = order({n.split("/")[1] for n in results.names("^clients/")})
    drawn = False
    for axes, loopers in zip(all_axes, (1, 4)):
        for subject in subjects:
            names = results.names(f"^clients/{subject}/M{loopers}/")
            drawn |= _line(axes, subject, [
                (int(n[1:]),
                 results.stat(f"clients/{subject}/M{loopers}/{n}", "rate"))
                for n in _numbers(names, 3)
            ])
        axes.set(xscale="log", yscale="log", xlabel="clients",
                 title="one server thread" if loopers == 1 else
                 f"{loopers} server threads")
        axes.set_xticks([1, 2, 4, 8, 16], ["1", "2", "4", "8", "16"])
        axes.minorticks_off()
        _grid(axes)
    if not drawn:
        raise NothingToDraw
    _limit(all_axes)
    all_axes[0].set_ylabel("calls per second (more is better)")
    figure.suptitle("Many clients of one server, 128 bytes there and back")
    _legend_below(figure, all_axes)
    return figure


def one_way(results):
    """Messages per second."""
    columns = [("split", "16"), ("free", "16"), ("split", "4096"),
               ("free", "4096")]
    subjects = order({n.split("/")[1] for n in results.names("^oneway/")})
    figure, axes = pyplot.subplots(figsize=(9, 4.6))
    width = 0.8 / max(1, len(subjects))
    drawn = False
    for index, subject in enumerate(subjects):
        label, color, _, _ = STYLE.get(subject, (subject, "#333333", "", 1))
        points = [(i + (index - (len(subjects) - 1) / 2) * width,
                   results.stat(f"oneway/{subject}/{p}/{s}", "rate"))
                  for i, (p, s) in enumerate(columns)]
        points = [(x, stat) for x, stat in points if stat is not None]
        if not points:
            continue
        drawn = True
        axes.bar([x for x, _ in points],
                 [s.median / 1e6 for _, s in points], width * 0.92,
                 color=color, label=label,
                 yerr=[[(s.median - s.low) / 1e6 for _, s in points],
                       [(s.high - s.median) / 1e6 for _, s in points]],
                 error_kw={"elinewidth": 0.6, "capsize": 2})
    if not drawn:
        raise NothingToDraw
    names = {"split": "on two CPUs", "free": "free"}
    axes.set_xticks(range(len(columns)),
                    [f"{size(s)}\n{names[p]}" for p, s in columns])
    axes.set_ylabel("million messages per second (more is better)")
    axes.set_title("One-way messages from one thread to another")
    _grid(axes)
    _legend_below(figure, [axes])
    return figure


def nested(results):
    """Latency by depth."""
    figure, axes = pyplot.subplots(figsize=(6.5, 4.4))
    drawn = False
    for placement, label, color in (("same", "both threads on one CPU",
                                     "#4c8fd6"),
                                    ("split", "on two CPUs", "#0b4f9e")):
        depths = _numbers(results.names(f"^nested/typed/{placement}/"), 3)
        stats = [(int(d), results.stat(f"nested/typed/{placement}/{d}"))
                 for d in depths]
        stats = [(d, s) for d, s in stats if s is not None]
        if not stats:
            continue
        drawn = True
        axes.errorbar([d for d, _ in stats],
                      [s.median / 1e3 for _, s in stats],
                      yerr=[[(s.median - s.low) / 1e3 for _, s in stats],
                            [(s.high - s.median) / 1e3 for _, s in stats]],
                      label=label, color=color, marker="o", markersize=4,
                      capsize=2, elinewidth=0.6)
    if not drawn:
        raise NothingToDraw
    axes.set(xlabel="depth (2: A calls B, which calls A back)",
             ylabel="microseconds for the outermost call",
             title="Nested calls between two processes", ylim=(0, None))
    _grid(axes)
    axes.legend(frameon=False)
    figure.tight_layout()
    return figure


def growth(results):
    """Beside the smallest size."""
    kinds = {"procs": "processes", "nodes": "nodes", "handles": "handles",
             "idle-loopers": "idle loopers", "queued": "queued one-ways"}
    colors = ["#0b4f9e", "#d62728", "#2ca02c", "#ff7f0e", "#9467bd"]
    figure, axes = pyplot.subplots(figsize=(8, 4.6))
    drawn = False
    for (kind, label), color in zip(kinds.items(), colors):
        counts = _numbers(results.names(f"^growth/{kind}/"), 2)
        if len(counts) < 2:
            continue
        base = f"growth/{kind}/{counts[0]}"
        points = [(max(1, int(n)), results.ratio(f"growth/{kind}/{n}", base))
                  for n in counts]
        points = [(n, s) for n, s in points if s is not None]
        drawn = True
        axes.errorbar([n for n, _ in points], [s.median for _, s in points],
                      yerr=[[s.median - s.low for _, s in points],
                            [s.high - s.median for _, s in points]],
                      label=label, color=color, marker="o", markersize=4,
                      capsize=2, elinewidth=0.6)
    if not drawn:
        raise NothingToDraw
    axes.axhline(1.25, color="#888888", linestyle="--", linewidth=0.8)
    axes.annotate("target: no more than this", (1, 1.25), xytext=(2, 3),
                  textcoords="offset points", fontsize=8, color="#666666")
    axes.set_xscale("log")
    axes.set_xticks([1, 10, 100, 1000, 10000, 100000],
                    ["1", "10", "100", "1,000", "10,000", "100,000"])
    axes.set(ylim=(0, None), xlabel="how many there are",
             ylabel="time, times that with the fewest",
             title="What a call costs with more of everything around it")
    _grid(axes)
    axes.legend(frameon=False, fontsize=8, ncol=2)
    figure.tight_layout()
    return figure


# --- The lock laboratory -----------------------------------------------------


def _name_disciplines(axes, shown):
    axes.set_xticks(range(len(shown)),
                    [DISCIPLINES[d][0] for d in shown], fontsize=8)


def _duration(nanoseconds):
    for limit, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "us")):
        if nanoseconds >= limit:
            return f"{nanoseconds / limit:.3g} {unit}"
    return f"{nanoseconds:.0f} ns"


def _exits(axes, results, arrangement, pair, title, subtitle):
    """How long killed threads take to leave, by discipline."""
    shown, drawn = list(DISCIPLINES), False
    top = 0.0
    for index, discipline in enumerate(shown):
        row = f"kill/{discipline}/{arrangement}"
        p50, p99 = results.stat(row), results.stat(row, "p99")
        if p50 is None:
            axes.text(index, 1, "not\nmeasured", ha="center", fontsize=7,
                      transform=axes.get_xaxis_transform(), va="top")
            continue
        drawn = True
        stuck = results.stat(row, "stuck")
        is_stuck = stuck is not None and stuck.median > 0
        bold = discipline in pair
        axes.bar(index, p50.median, 0.66, color=DISCIPLINES[discipline][1],
                 alpha=1.0 if bold else 0.35,
                 hatch="///" if is_stuck else None, edgecolor="white")
        high = max(p50.median, p99.median if p99 else 0)
        top = max(top, high)
        if p99 is not None:
            axes.plot([index, index], [p50.median, high], color="#333333",
                      linewidth=0.8)
        text = ("STUCK\nuntil the\nholder lets go" if is_stuck else
                _duration(p50.median))
        axes.annotate(text, (index, high), xytext=(0, 4), ha="center",
                      textcoords="offset points",
                      fontsize=7 if is_stuck else 9,
                      fontweight="bold" if bold else "normal",
                      color="#b2182b" if is_stuck else "#222222")
    futex = results.stat("kill/futex/16")
    if futex is not None:
        axes.axhline(futex.median, color="#333333", linestyle="--",
                     linewidth=0.8, label="waking 16 sleeping threads, without "
                     "anything else")
        axes.legend(loc="upper right", frameon=False, fontsize=7)
    axes.set_yscale("log")
    if drawn:
        axes.set_ylim(1e3, top * 20)
        axes.set_yticks([1e3, 1e4, 1e5, 1e6, 1e7],
                        ["1 us", "10 us", "100 us", "1 ms", "10 ms"])
    axes.set_ylabel("from the kill until all have left (less is better)")
    axes.set_title(f"{title}\n{subtitle}", fontsize=10)
    _name_disciplines(axes, shown)
    _grid(axes)
    return drawn


def _pairs(axes, results, arrangement, pair, title, subtitle):
    """Throughput by number of pairs; a group of bars for each discipline."""
    shown = list(DISCIPLINES)
    counts = sorted({n.split("/")[3]
                     for n in results.names(f"^lab/[^/]+/{arrangement}/")},
                    key=natural)
    width = 0.8 / max(1, len(counts))
    drawn = False
    for index, discipline in enumerate(shown):
        for at, count in enumerate(counts):
            stat = results.stat(f"lab/{discipline}/{arrangement}/{count}",
                                "rate")
            if stat is None:
                continue
            drawn = True
            x = index + (at - (len(counts) - 1) / 2) * width
            axes.bar(x, stat.median / 1e3, width * 0.9,
                     color=DISCIPLINES[discipline][1],
                     alpha=1.0 if discipline in pair else 0.35,
                     yerr=[[(stat.median - stat.low) / 1e3],
                           [(stat.high - stat.median) / 1e3]],
                     error_kw={"elinewidth": 0.6, "capsize": 2})
            axes.annotate(count, (x, 0), xytext=(0, 2), ha="center",
                          textcoords="offset points", fontsize=7,
                          color="white" if discipline in pair else "#666666")
    axes.set_ylabel("thousand calls per second (more is better)")
    axes.set_title(f"{title}\n{subtitle}", fontsize=10)
    _name_disciplines(axes, shown)
    _grid(axes)
    return drawn


def lab(results):
    """What each step brought: the pair that a panel is about is in full
    colour."""
    figure, (patch, reply, fine) = pyplot.subplots(1, 3, figsize=(14, 5.4))
    drawn = [
        _exits(patch, results, "16", ("kAlways", "kUnlessKilled"),
               "What the 2017 patch changed",
               "16 threads that wait for work are killed\n"
               "while another one stalls inside the driver"),
        _exits(reply, results, "entering", ("kUnlessKilled", "kInterruptible"),
               "What the reply to it adds",
               "threads that begin a call are killed\n"
               "while another one stalls inside the driver"),
        _pairs(fine, results, "pairs", ("kInterruptible", "FineGrained"),
               "What fine-grained locks add",
               "1, 2, 4, 8 clients that have nothing in common,\n"
               "each with a server of its own"),
    ]
    if not any(drawn):
        raise NothingToDraw
    figure.suptitle("A killed thread gets away, step by step; "
                    "then unrelated calls stop waiting for each other",
                    fontsize=12)
    figure.tight_layout()
    return figure


def lab_throughput(results):
    """All arrangements."""
    arrangements = {
        "pairs": "clients with a server each",
        "shared": "clients of one server",
        "stall": "pairs, while somebody stalls in the driver",
        "killstorm": "pairs, while processes are killed all the time",
    }
    figure, all_axes = pyplot.subplots(1, 4, figsize=(16, 4.6))
    drawn = False
    for axes, (arrangement, title) in zip(all_axes, arrangements.items()):
        drawn |= _pairs(axes, results, arrangement, DISCIPLINES, title,
                        "numbers in bars: how many")
    if not drawn:
        raise NothingToDraw
    figure.suptitle("Calls per second in the lock laboratory "
                    "(more is better)")
    figure.tight_layout()
    return figure


def lab_locks(results):
    """Lock waits and holds, median to p99."""
    figure, all_axes = pyplot.subplots(1, 2, figsize=(12, 4.4), sharey=True)
    arrangements = ["pairs", "shared", "stall", "killstorm"]
    drawn = False
    for axes, what in zip(all_axes, ("wait", "hold")):
        for at, arrangement in enumerate(arrangements):
            for index, (discipline, (label, color)) in enumerate(
                    DISCIPLINES.items()):
                counts = _numbers(
                    results.names(f"^lab/{discipline}/{arrangement}/"), 3)
                if not counts:
                    continue
                row = f"lab/{discipline}/{arrangement}/{counts[-1]}"
                ends = [results.stat(row, f"lock_{what}_{q}")
                        for q in ("p50", "p99", "max")]
                if None in ends:
                    continue
                p50, p99, most = (max(1.0, e.median) for e in ends)
                drawn = True
                x = at + (index - 1.5) * 0.2
                axes.plot([x, x], [p99, most], color=color, linewidth=0.8)
                axes.plot([x, x], [p50, p99], color=color, linewidth=6,
                          solid_capstyle="butt",
                          label=label.replace("\n", " ") if at == 0 else None)
                axes.plot([x], [p50], color=color, marker="_", markersize=12)
        axes.set_yscale("log")
        axes.set_xticks(range(len(arrangements)),
                        ["pairs", "one server", "a holder stalls",
                         "kill storm"])
        axes.set_title("how long a lock is waited for" if what == "wait" else
                       "how long a lock is held")
        _grid(axes)
    if not drawn:
        raise NothingToDraw
    all_axes[0].set_yticks([1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7],
                           ["0", "10 ns", "100 ns", "1 us", "10 us", "100 us",
                            "1 ms", "10 ms"])
    all_axes[0].set_ylabel("thick: median to p99; thin: to the longest")
    figure.suptitle("Locks of the driver, with the most clients measured")
    _legend_below(figure, all_axes)
    return figure


CHARTS = {
    "roundtrip": roundtrip,
    "clients": clients,
    "oneway": one_way,
    "nested": nested,
    "growth": growth,
    "lab": lab,
    "lab-throughput": lab_throughput,
    "lab-locks": lab_locks,
}


def draw(name, results, directory):
    """Writes <directory>/<name>.svg; says why if there is none, and leaves
    none of old then."""
    path = directory / f"{name}.svg"
    path.unlink(missing_ok=True)
    if pyplot is None:
        return "not drawn, python3-matplotlib is not installed"
    # The same figures make the same file.
    matplotlib.rcParams.update({"svg.hashsalt": "binderlite",
                                "svg.fonttype": "none",
                                "font.size": 9})
    try:
        figure = CHARTS[name](results)
    except NothingToDraw:
        pyplot.close("all")
        return "not drawn, nothing of it was measured"
    directory.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    pyplot.close(figure)
    # A hundredth of a point is as good as a millionth.
    path.write_text(re.sub(r"(\d\.\d\d)\d+", r"\1", text.getvalue()))
    return None
