# SPDX-License-Identifier: Apache-2.0
"""Tests of scripts/lib/bench: made-up results in, figures and targets out. No
benchmark is run."""

import json
import os
import pathlib
import re
import sys
import tempfile
import unittest
import unittest.mock

_ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(_ROOT / "scripts/lib/bench"))

import charts  # noqa: E402
import passes  # noqa: E402
import profiles  # noqa: E402
import report  # noqa: E402
import tables  # noqa: E402
import targets  # noqa: E402
from results import Results  # noqa: E402


def _row(name, **counters):
    return {"name": name, "run_type": "iteration", **counters}


def _write(directory, number, program, rows):
    path = pathlib.Path(directory) / str(number)
    path.mkdir(exist_ok=True)
    (path / f"{program}.json").write_text(json.dumps({"benchmarks": rows}))


class BenchReportTest(unittest.TestCase):

    def setUp(self):
        self._temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self._temporary.cleanup)
        self.directory = pathlib.Path(self._temporary.name)

    def load(self):
        return Results.load(self.directory)

    def verdict(self, results, target):
        by_id = {c.target.id: c for c in targets.check(results)}
        return by_id[target].verdict

    def test_ratios_are_taken_within_a_pass(self):
        # The median of the ratios is 3, the ratio of the medians 2.
        for number, (ours, theirs) in enumerate(((30, 10), (20, 20), (80, 10))):
            _write(self.directory, number + 1, "a", [
                _row("x/ours/iterations:1/manual_time", p50=ours),
                _row("x/theirs/real_time", p50=theirs)])
        results = self.load()
        ratio = results.ratio("x/ours", "x/theirs")
        self.assertEqual((ratio.median, ratio.low, ratio.high), (3, 1, 8))
        self.assertEqual(results.stat("x/ours").median, 30)

    def test_rows_of_several_programs_make_one_pass(self):
        _write(self.directory, 1, "a", [_row("x/ours", p50=30)])
        _write(self.directory, 1, "b", [_row("x/theirs", p50=10)])
        self.assertEqual(self.load().ratio("x/ours", "x/theirs").median, 3)

    def test_a_pass_without_the_other_row_does_not_count(self):
        _write(self.directory, 1, "a", [_row("x/ours", p50=30)])
        _write(self.directory, 2, "a", [_row("x/ours", p50=40),
                                        _row("x/theirs", p50=10)])
        ratio = self.load().ratio("x/ours", "x/theirs")
        self.assertEqual((ratio.median, ratio.passes), (4, 1))

    def test_failed_rows_and_broken_files_are_told(self):
        _write(self.directory, 1, "a", [
            _row("x/ours", p50=1, error_occurred=True,
                 error_message="call failed")])
        (self.directory / "1/b.json").write_text("{")
        results = self.load()
        self.assertIsNone(results.stat("x/ours"))
        self.assertEqual(len(results.errors), 2)
        self.assertIn("call failed", results.errors[0])

    def test_aggregates_are_no_rows(self):
        _write(self.directory, 1, "a", [
            dict(_row("x/ours_mean", p50=1), run_type="aggregate")])
        self.assertEqual(self.load().names(), [])

    def test_time_of_plain_google_benchmarks(self):
        _write(self.directory, 1, "a", [
            _row("x/ours", real_time=1.5, time_unit="us")])
        self.assertEqual(self.load().stat("x/ours", "p50").median, 1500)

    def _write_split_large(self, typed, streams=None):
        rows = [_row("roundtrip/spin/split/65536", p50=10.0),
                _row("roundtrip/typed/split/65536", p50=typed)]
        if streams is not None:
            rows.append(_row("roundtrip/streams/split/65536", p50=streams))
        _write(self.directory, 1, "roundtrip", rows)

    def test_held(self):
        self._write_split_large(13.0, 12.0)
        self.assertEqual(self.verdict(self.load(), "split-large"), "held")

    def test_missed(self):
        self._write_split_large(13.1, 12.0)
        self.assertEqual(self.verdict(self.load(), "split-large"), "missed")

    def test_a_figure_that_is_not_there_is_not_held(self):
        self._write_split_large(12.0)
        results = self.load()
        self.assertEqual(self.verdict(results, "split-large"), "no such row")
        text = targets.text(targets.check(results))
        self.assertIn("no such row: roundtrip/streams/split/65536", text)

    def test_what_is_missed_is_missed_whatever_is_not_there(self):
        self._write_split_large(14.0)
        self.assertEqual(self.verdict(self.load(), "split-large"), "missed")

    def test_figures_that_inform_do_not_decide(self):
        _write(self.directory, 1, "oneway", [
            _row("oneway/typed/split/16", rate=10.0),
            _row("oneway/typed/free/16", rate=10.0),
            _row("oneway/tbb/split/16", rate=10.0),
            _row("oneway/tbb/free/16", rate=20.0)])
        self.assertEqual(self.verdict(self.load(), "one-way"), "held")

    def test_kills_are_counted_over_all_passes(self):
        for number in (1, 2):
            rows = [_row("kill/futex/16", p50=10.0, p99=20.0)]
            for discipline in ("kInterruptible", "FineGrained"):
                rows.append(_row(f"kill/{discipline}/16", p50=20.0, p99=40.0,
                                 kills=5000, stuck=0))
            _write(self.directory, number, "kill", rows)
        self.assertEqual(self.verdict(self.load(), "kill"), "held")
        rows[-1]["stuck"] = 1
        _write(self.directory, 2, "kill", rows)
        self.assertEqual(self.verdict(self.load(), "kill"), "missed")
        rows[-1]["stuck"] = 0
        rows[-1]["kills"] = 4999
        _write(self.directory, 2, "kill", rows)
        self.assertEqual(self.verdict(self.load(), "kill"), "missed")

    def test_growth_is_the_worst_of_all_sizes(self):
        rows = [_row(f"growth/{kind}/{n}", p50=100.0)
                for kind in ("procs", "nodes", "handles", "idle-loopers",
                             "queued") for n in (1, 10, 100)]
        _write(self.directory, 1, "growth", rows)
        self.assertEqual(self.verdict(self.load(), "growth"), "held")
        rows[1]["p50"] = 130.0  # Not the last.
        _write(self.directory, 1, "growth", rows)
        self.assertEqual(self.verdict(self.load(), "growth"), "missed")

    def test_caller_loses_nothing_with_more_clients(self):
        rows = [_row("roundtrip/caller/same/128", p50=60.0, rate=4e6),
                _row("roundtrip/direct/same/128", p50=20.0)]
        rows += [_row(f"clients/caller/M4/N{n}", rate=5e6)
                 for n in (1, 2, 4, 8, 16)]
        _write(self.directory, 1, "caller", rows)
        self.assertEqual(self.verdict(self.load(), "caller"), "held")
        rows[-2]["rate"] = 4e6
        _write(self.directory, 1, "caller", rows)
        self.assertEqual(self.verdict(self.load(), "caller"), "missed")

    def test_nothing_measured_makes_a_document_all_the_same(self):
        self._document()

    def test_document(self):
        for number in (1, 2):
            _write(self.directory, number, "roundtrip", [
                _row(f"roundtrip/{subject}/{placement}/{size}", p50=100.0,
                     p99=200.0, max=300.0, cpu=100.0, switches=2.0, rate=1e6)
                for subject in ("typed", "spin", "futex", "unheard-of")
                for placement in ("same", "split", "free")
                for size in (4, 65536)])
            _write(self.directory, number, "lab", [
                _row("lab/kAlways/pairs/8", rate=1e6, lock_wait_p50=1.0,
                     lock_wait_p99=2.0, lock_wait_max=3.0),
                _row("kill/kAlways/16", p50=1e6, p99=2e6, max=3e6, stuck=16),
                _row("kill/FineGrained/entering", p50=1e4, p99=2e4, max=3e4)])
        text = self._document()
        self.assertIn("| 0.1 (0.1-0.1) |", text)
        self.assertIn("`unheard-of`", text)
        # Missed: its explanation is there; held: it is not.
        self.assertNotIn("EXPLANATION OF split-large", text)
        if charts.pyplot is not None:
            self.assertTrue((self.directory / "performance/lab.svg").exists())
            self.assertFalse(
                (self.directory / "performance/clients.svg").exists())

    def _document(self):
        results = self.load()
        template = (_ROOT / "docs/performance.md.in").read_text()
        text = report.render(template, results, targets.check(results), {},
                             self.directory / "performance")
        self.assertNotIn("{{", text)
        self.assertNotIn("This is the template", text)
        return text

    def test_profiles_are_by_function_and_the_system_is_one(self):
        text = """# Samples: 9
            40.00%;loop;[.] binderlite::core::Arena<a<b> >::Free(int, x<y>)
            20.00%;[kernel.kallsyms];[k] finish_task_switch.isra.0
            10.00%;[kernel.kallsyms];[k] do_sched_yield
             9.00%;loop;[.] (anonymous namespace)::Bench<L, false>::Send(x)
             8.00%;libc.so.6;[.] __sched_yield
             7.00%;loop;[.] binderlite::core::Arena<c>::Free(int)
             2.00%;loop;[.] absl::debian3::Mutex::~Mutex@plt
             1.00%;[kvm];[k] 0xffffffffc0a1
             1.00%;libkernel.so;[.] kernel_of(int)
        """
        shares = profiles.parse(text)
        self.assertEqual(shares, {
            "Arena::Free": 47, "the system": 31, "Bench::Send": 9,
            "__sched_yield": 8, "Mutex::~Mutex": 2, "kernel_of": 1})
        self.assertEqual(list(shares)[0], "Arena::Free")
        table = profiles.table({"a/b": shares}, "a/b")
        self.assertIn("| `Arena::Free` | 47 % |", table)
        self.assertIn("| the system | 31 % |", table)

    def test_names_of_operators_stay(self):
        for symbol, name in (
                ("[.] std::basic_ostream<c>& std::operator<< <t>(x<y>&)",
                 "std::operator<<"),
                ("[.] a::B<c>::operator()(int) const", "B::operator()"),
                ("[.] a::B<c>::operator->() const", "B::operator->"),
                ("[.] decltype(auto) a::f<int>(b)", "a::f")):
            self.assertEqual(profiles.plain(symbol), name)

    def test_instructions_are_by_function_and_call(self):
        text = """Events recorded:  Ir
            2,000 (100.0%)  PROGRAM TOTALS
            1,000 (50.00%)  ???:bool binderlite::core::Arena<a>::Free(int)'2 [/loop]
              600 (30.00%)  ./malloc/./malloc/malloc.c:_int_free [/libc.so.6]
              400 (20.00%)  ???:binderlite::core::Arena<b>::Free(int) [/loop]
        """
        counts = profiles.parse_counts(text, 10)
        self.assertEqual(counts, {"Arena::Free": 140, "_int_free": 60})
        row = next(iter(profiles.COUNTED))
        table = profiles.table({row: counts}, row)
        self.assertIn(f"| `{row}` | instructions a call |", table)
        self.assertIn("| `Arena::Free` | 140 |", table)
        self.assertIn("| all | 200 |", table)

    def _tool(self, name, script):
        tool = self.directory / "bin" / name
        tool.parent.mkdir(exist_ok=True)
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(0o755)

    def _take(self, event="cpu-clock", row="roundtrip/typed/split/128/x",
              record=0, calls=10, valgrind=0):
        """With a perf and a Valgrind that answer so: what is said, and the
        profiles."""
        self._tool("perf", f"""
            case $1 in
            record) echo '{row}'; echo no luck >&2; exit {record} ;;
            evlist) echo '{event}' ;;
            report) echo '100.00%;loop;[.] binderlite::f(int)' ;;
            esac""")
        measured = json.dumps({"benchmarks": [
            {"run_type": "iteration", "calls": calls},
            {"run_type": "aggregate", "calls": 1000}]})
        self._tool("valgrind",
                   f"echo '{measured}'; echo bad luck >&2; exit {valgrind}")
        self._tool("callgrind_annotate",
                   "echo '240 (100.0%)  ???:binderlite::f(int) [/loop]'")
        said = []
        path = f"{self.directory / 'bin'}:/bin:/usr/bin"
        with unittest.mock.patch.dict(os.environ, {"PATH": path}):
            profiles.take(self.directory, self.directory, said.append)
        return "\n".join(said), profiles.load(self.directory)

    def test_a_profile_is_taken(self):
        said, found = self._take()
        counted = {row: {"binderlite::f": 20} for row in profiles.COUNTED}
        self.assertEqual(found, {"roundtrip/typed/split/128":
                                 {"binderlite::f": 100}} | counted)
        self.assertIn("none: no such row", said)  # Of all the others.

    def test_what_is_wrong_with_a_profile_is_said(self):
        said, found = self._take(event="cpu-clock:u", calls=0)
        self.assertIn("perf_event_paranoid", said)
        self.assertIn("it failed", said)
        self.assertEqual(found, {})
        said, found = self._take(record=1, valgrind=1)
        self.assertIn("perf record: no luck", said)
        self.assertIn("valgrind: bad luck", said)
        self.assertEqual(found, {})
        said, found = self._take(
            row="roundtrip/typed/split/128/x ERROR OCCURRED", calls=0)
        self.assertIn("it failed", said)
        self.assertEqual(found, {})

    def test_without_their_tools_there_are_none(self):
        said = []
        with unittest.mock.patch.dict(os.environ,
                                      {"PATH": str(self.directory)}):
            profiles.take(self.directory, self.directory, said.append)
        self.assertEqual(said, [
            f"{tool} is not installed: no profiles that take it"
            for tool in ("perf", "valgrind")])

    def test_a_broken_file_of_profiles_is_none(self):
        (self.directory / "profile.json").write_text("{")
        self.assertEqual(profiles.load(self.directory), {})

    def test_many_functions_are_others(self):
        shares = {f"f{i}": 5.0 for i in range(20)}
        table = profiles.table({"a/b": shares}, "a/b")
        self.assertIn("| all others | 50 % |", table)

    def test_without_a_profile_the_document_says_so(self):
        self.assertIn("No profile of `a/b`", profiles.table({}, "a/b"))
        self.assertEqual(profiles.load(self.directory), {})

    def test_the_template_asks_for_profiles_that_are_taken(self):
        template = (_ROOT / "docs/performance.md.in").read_text()
        asked = set(re.findall(r"\{\{profile ([^}]*)\}\}", template))
        self.assertEqual(asked, set(profiles.ROWS) | set(profiles.COUNTED))

    def test_every_target_has_a_place_in_the_template(self):
        template = (_ROOT / "docs/performance.md.in").read_text()
        for target in targets.TARGETS:
            self.assertIn("{{target %s}}" % target.id, template)
            self.assertIn("{{missed %s}}" % target.id, template)

    def _make_executable(self, path, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def test_passes_run_programs_and_scripts(self):
        writes = """#!/bin/sh
for argument; do
  case $argument in
    --benchmark_out=*) out=${argument#*=} ;;
    --benchmark_list_tests*) echo NAME/a; exit ;;
  esac
done
echo '{"benchmarks": [{"name": "NAME/a", "p50": 1}]}' >"$out"
"""
        bench, build = self.directory / "bench", self.directory / "build"
        for name in ("one", "other", "absent"):
            (bench / f"{name}.cc").parent.mkdir(exist_ok=True)
            (bench / f"{name}.cc").touch()
        self._make_executable(build / "one", writes.replace("NAME", "one"))
        self._make_executable(build / "other", "#!/bin/sh\nexit 3\n")
        self._make_executable(bench / "size.sh", writes.replace("NAME", "size"))
        programs, absent = passes.find(bench, build, ())
        self.assertEqual(absent, ["absent"])
        self.assertEqual(sorted(p.name for p in programs),
                         ["one", "other", "size"])
        out = self.directory / "results"
        errors = passes.run(programs, out, 2, say=lambda line: None)
        self.assertEqual(len(errors), 2)  # "other", in both passes.
        results = Results.load(out)
        self.assertEqual(results.names(), ["one/a", "size/a"])
        self.assertEqual(results.stat("size/a").passes, 2)

        only = self.directory / "only"
        passes.run(programs, only, 1, "^one/", say=lambda line: None)
        self.assertEqual(Results.load(only).names(), ["one/a"])
        passes.run(programs, only, 1, "^size/a$", say=lambda line: None)
        self.assertIn("size/a", Results.load(only).names())

    def test_cells(self):
        self.assertEqual(tables.figure(1234.5), "1234")
        self.assertEqual(tables.figure(12.345), "12.3")
        self.assertEqual(tables.figure(0.0123), "0.012")
        self.assertEqual(tables.size("524288"), "512 KiB")
        self.assertEqual(tables.order(["zmq", "b", "typed"]),
                         ["typed", "zmq", "b"])


if __name__ == "__main__":
    unittest.main()
