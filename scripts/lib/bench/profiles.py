# SPDX-License-Identifier: Apache-2.0
"""Where the time of a row goes, by function, as perf samples it: what explains
a missed target. Taken apart from the passes, since it costs time."""

import json
import re
import shutil
import subprocess

# Those that docs/performance.md.in asks for, with how often each is repeated.
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
_FILE = "profile.json"
_MOST = 10  # Functions of a table.
_SYSTEM = "the system"


def plain(symbol):
    """A function's name without what a reader does not miss: where it is
    declared, what it is made for, and its parameters."""
    name = re.sub(r"^\[.\]\s*", "", symbol).strip()
    depth, out = 0, []
    for at, char in enumerate(name):
        if char == "<":
            depth += 1
        elif char == ">" and name[at - 1] != "-":
            depth -= 1
        elif depth == 0:
            out.append(char)
    name = re.sub(r"\(anonymous namespace\)::", "", "".join(out))
    name = name.split("(")[0].split("@")[0].split(" [")[0].strip()
    parts = name.split(" ")[-1].split("::")
    return "::".join(parts[-2:]) if len(parts) > 1 else parts[0]


def parse(text):
    """Of `perf report -F overhead,dso,symbol -t ;`: shares in percent, by
    function; all of the kernel is one."""
    shares = {}
    for line in text.splitlines():
        fields = [field.strip() for field in line.split(";", 2)]
        if line.startswith("#") or len(fields) != 3:
            continue
        percent, dso, symbol = fields
        if not re.fullmatch(r"[\d.]+%", percent):
            continue
        name = _SYSTEM if "kernel" in dso or "[vdso]" in dso else plain(symbol)
        shares[name] = shares.get(name, 0) + float(percent[:-1])
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def take(programs, directory, say):
    """Profiles all ROWS. `programs`: where they are. What cannot be done is
    said, and left out."""
    if shutil.which("perf") is None:
        say("perf is not installed: no profiles")
        return
    found = {}
    data = directory / "perf.data"
    for row, repetitions in ROWS.items():
        program = programs / row.split("/")[0]
        say(f"profile of {row}")
        run = subprocess.run(
            ["perf", "record", "-q", "-e", "cpu-clock", "-F", "10000", "-o",
             data, "--", program, f"--benchmark_filter=^{row}/",
             f"--benchmark_repetitions={repetitions}"],
            capture_output=True, text=True, check=False)
        text = subprocess.run(
            ["perf", "report", "-i", data, "--stdio", "--no-children", "-F",
             "overhead,dso,symbol", "-t", ";"],
            capture_output=True, text=True, check=False).stdout
        shares = parse(text)
        if run.returncode != 0 or not shares:
            say(f"  failed: {run.stderr.strip().splitlines()[-1:]}")
            continue
        found[row] = shares
        data.unlink()
    (directory / _FILE).write_text(json.dumps(found, indent=1))


def load(directory):
    path = directory / _FILE
    return json.loads(path.read_text()) if path.exists() else {}


def table(profiles, row):
    shares = profiles.get(row)
    if not shares:
        return f"(No profile of `{row}`: that takes perf.)"
    top = sorted(shares.items(), key=lambda item: -item[1])[:_MOST]
    rest = sum(shares.values()) - sum(share for _, share in top)
    lines = [f"| `{row}` | share |", "|---|---:|"]
    for name, share in top:
        shown = name if name == _SYSTEM else f"`{name}`"
        lines.append(f"| {shown} | {share:.0f} % |")
    lines.append(f"| all others | {rest:.0f} % |")
    return "\n".join(lines)
