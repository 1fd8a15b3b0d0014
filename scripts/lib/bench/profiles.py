# SPDX-License-Identifier: Apache-2.0
"""Where the time of a row goes, by function, as perf samples it, or, for what an
emulator executes one by one, its instructions, as Callgrind counts them: what
explains a missed target. Taken apart from the passes, since it costs time."""

import json
import re
import shutil
import subprocess

# Those that docs/performance.md.in asks for, with how often each is repeated:
# those that are sampled,
ROWS = {
    "roundtrip/typed/split/128": 10,
    "roundtrip/typed/same/128": 10,
    "roundtrip/caller/same/128": 10,
    "clients/typed/M1/N8": 10,
    "clients/typed/M4/N8": 10,
    "clients/caller/M1/N16": 10,
    "oneway/typed/split/16": 10,
    "kill/FineGrained/16": 1,
}
# and those that are counted, often enough for the program's start not to show.
COUNTED = {"roundtrip/streams-park/same/4": 100}
_FILE = "profile.json"
_MOST = 10  # Functions of a table.
_SYSTEM = "the system"
_TIMEOUT_S = 120
# What is no bracket of a template or of parameters.
_OPERATOR = re.compile(r"operator(\(\)|<=>|<<=?|>>=?|<=?|>=?|->\*?)")


def plain(symbol):
    """A function's name without what a reader does not miss: where it is
    declared, what it is made for, and its parameters."""
    name = re.sub(r"^\[.\]\s*", "", symbol).strip()
    name = re.sub(r"^decltype\s*\(auto\)\s*", "", name)
    operators = []

    def keep(match):
        operators.append(match.group(0))
        return f"operator{chr(0xe000 + len(operators) - 1)}"

    name = _OPERATOR.sub(keep, name)
    depth, out = 0, []
    for char in name:
        if char == "<":
            depth += 1
        elif char == ">":
            depth -= 1
        elif depth == 0:
            out.append(char)
    name = "".join(out).replace("(anonymous namespace)::", "")
    name = name.split("(")[0].split("@")[0].split(" [")[0].strip()
    parts = name.split(" ")[-1].split("::")
    name = "::".join(parts[-2:])
    for number, operator in enumerate(operators):
        name = name.replace(f"operator{chr(0xe000 + number)}", operator)
    return name


def parse(text):
    """Of `perf report -F overhead,dso,symbol -t ;`: shares in percent, by
    function; all of the kernel is one."""
    shares = {}
    for line in text.splitlines():
        fields = [field.strip() for field in line.split(";", 2)]
        if len(fields) != 3 or not re.fullmatch(r"[\d.]+%", fields[0]):
            continue
        symbol = fields[2]
        # Of the kernel, or of who runs this machine, by perf's mark.
        name = _SYSTEM if re.match(r"\[[kg]\]", symbol) else plain(symbol)
        shares[name] = shares.get(name, 0) + float(fields[0][:-1])
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def parse_counts(text, calls):
    """Of `callgrind_annotate`: instructions a call, by function."""
    counts = {}
    for line in text.splitlines():
        match = re.match(r"\s*([\d,]+) \(\s*[\d.]+%\)\s+[^:]*:(.+)", line)
        if match is None:
            continue
        # It numbers how deep a function is within itself.
        name = plain(re.sub(r"'\d+(?= \[|$)", "", match.group(2)))
        count = int(match.group(1).replace(",", ""))
        counts[name] = counts.get(name, 0) + count / calls
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def _run(*arguments):
    return subprocess.run([*map(str, arguments)], capture_output=True,
                          text=True, errors="replace", timeout=_TIMEOUT_S,
                          check=False)


def _perf(*arguments):
    return _run("perf", *arguments)


def _filter(row, repetitions):
    return (f"--benchmark_filter=^{row}/",
            f"--benchmark_repetitions={repetitions}")


def _profile(program, row, repetitions, data):
    """Shares, or a text that says what is wrong."""
    run = _perf("record", "-q", "-e", "cpu-clock", "-F", "10000", "-o", data,
                "--", program, *_filter(row, repetitions))
    if run.returncode != 0:
        return f"perf record: {run.stderr.strip()}"
    # A program that has no such row, or fails in it, does so successfully.
    if f"{row}/" not in run.stdout or "ERROR OCCURRED" in run.stdout:
        return "no such row, or it failed"
    if "cpu-clock:u" in _perf("evlist", "-i", data).stdout:
        return "perf may not look at the system (kernel.perf_event_paranoid)"
    report = _perf("report", "-i", data, "--stdio", "--no-children", "-F",
                   "overhead,dso,symbol", "-t", ";")
    return parse(report.stdout) or f"perf report: {report.stderr.strip()}"


def _count(program, row, repetitions, data):
    """Instructions a call, or a text that says what is wrong."""
    run = _run("valgrind", "-q", "--tool=callgrind",
               f"--callgrind-out-file={data}", program,
               *_filter(row, repetitions), "--benchmark_format=json")
    if run.returncode != 0:
        return f"valgrind: {run.stderr.strip()}"
    try:
        calls = sum(float(measured["calls"])
                    for measured in json.loads(run.stdout)["benchmarks"]
                    if measured["run_type"] == "iteration")
    except (KeyError, ValueError):
        calls = 0
    if calls == 0:
        return "no such row, or it failed"
    calls *= 1.2  # Those that warm up are not in it, see bench/support.
    report = _run("callgrind_annotate", "--threshold=100", "--auto=no", data)
    return (parse_counts(report.stdout, calls) or
            f"callgrind_annotate: {report.stderr.strip()}")


def take(programs, directory, say):
    """Profiles all ROWS and COUNTED. `programs`: where they are. What cannot be
    done is said, and left out."""
    found = {}
    data = directory / "profile.data"
    for tool, rows, method in (("perf", ROWS, _profile),
                               ("valgrind", COUNTED, _count)):
        if shutil.which(tool) is None:
            say(f"{tool} is not installed: no profiles that take it")
            continue
        for row, repetitions in rows.items():
            say(f"profile of {row}")
            try:
                shares = method(programs / row.split("/")[0], row,
                                repetitions, data)
            except (OSError, subprocess.TimeoutExpired) as error:
                shares = str(error)
            data.unlink(missing_ok=True)
            if isinstance(shares, str):
                say(f"  none: {shares}")
                continue
            found[row] = shares
            (directory / _FILE).write_text(json.dumps(found, indent=1))


def load(directory):
    """Profiles by row; none if there are none, or none that can be read."""
    try:
        return json.loads((directory / _FILE).read_text())
    except (OSError, ValueError):
        return {}


def table(profiles, row):
    counted = row in COUNTED
    shares = profiles.get(row)
    if not shares:
        tool = "valgrind" if counted else "perf"
        return f"(No profile of `{row}`: that takes {tool}.)"
    total = sum(shares.values())
    top = sorted(shares.items(), key=lambda item: -item[1])[:_MOST]
    rest = total - sum(share for _, share in top)
    unit = "" if counted else " %"
    lines = [f"| `{row}` | {'instructions a call' if counted else 'share'} |",
             "|---|---:|"]
    for name, share in top:
        shown = name if name == _SYSTEM else f"`{name}`"
        lines.append(f"| {shown} | {share:.0f}{unit} |")
    lines.append(f"| all others | {rest:.0f}{unit} |")
    if counted:
        lines.append(f"| all | {total:.0f} |")
    return "\n".join(lines)
