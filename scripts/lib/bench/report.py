# SPDX-License-Identifier: Apache-2.0
"""Makes docs/performance.md of its template.

    {{machine}}          what it was measured on
    {{targets}}          the table of targets, held or missed
    {{target ID}}        the figures of one target
    {{table NAME ...}}   see tables.py
    {{chart NAME TEXT}}  see charts.py; TEXT is for those who cannot see it
    {{profile ROW}}      see profiles.py
    {{missed ID}} ... {{end}}   is there only if that target is missed
    {{held ID}} ... {{end}}     likewise
    {{note}} ... {{end}}        for those who read the template
"""

import re

import charts
import profiles
import tables

_BLOCK = re.compile(
    r"^\{\{(missed|held|note)(?: ([\w-]+))?\}\}\n(.*?)^\{\{end\}\}\n",
    re.MULTILINE | re.DOTALL)
_REQUEST = re.compile(r"\{\{([a-z]+)(?: ([^}]*))?\}\}")


def _machine(machine, results):
    if not machine:
        return "Nothing is known about the machine."
    packages = ", ".join(f"{name} {version}"
                         for name, version in machine["packages"].items())
    return (f"Measured {machine['date']} on {machine['processors']} CPUs of "
            f"{machine['processor']}, Linux {machine['kernel'].split('-')[0]}, "
            f"{machine['compiler']}; {packages}. "
            f"Passes: {len(results.passes)}.")


def render(template, results, checked, machine, chart_directory,
           profiled=None):
    """The text; draws the charts that it asks for. What could not be drawn or
    profiled is not an error, and said in its place."""
    by_id = {one.target.id: one for one in checked}

    def block(match):
        kind, target, text = match.groups()
        if kind == "note":
            return ""
        verdict = by_id[target].verdict
        return text if verdict == kind else ""

    def request(match):
        kind, rest = match.group(1), match.group(2) or ""
        if kind == "machine":
            return _machine(machine, results)
        if kind == "targets":
            return tables.target_table(checked)
        if kind == "target":
            return tables.target_figures(by_id[rest])
        if kind == "table":
            return tables.make(results, rest)
        if kind == "profile":
            return profiles.table(profiled or {}, rest)
        if kind == "chart":
            name, _, text = rest.partition(" ")
            problem = charts.draw(name, results, chart_directory)
            if problem:
                return f"Chart {name}: {problem}."
            return f"![{text}]({chart_directory.name}/{name}.svg)"
        raise ValueError(f"template: {match.group(0)}")

    text = _BLOCK.sub(block, template)
    return re.sub(r"\n{3,}", "\n\n", _REQUEST.sub(request, text))
