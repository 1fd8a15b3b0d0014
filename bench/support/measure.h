// SPDX-License-Identifier: Apache-2.0
//
// How a row is measured: calls in a loop for a fixed time, with one reading of
// the clock a call (the end of one is the begin of the next), after a fifth of
// that time to get warm. Counters, all of them per call:
//
//   p50 p99 max   nanoseconds, of the call as its caller sees it
//   cpu           nanoseconds of processor time of the whole process
//   switches      context switches of the whole process, of both kinds
//   rate          calls or messages per second
//   fairness      of many clients: the calls of the one that made the fewest,
//                 beside the mean
//
// A row is one iteration for Google Benchmark, with a time that we report: the
// time decides how many calls there are, not the other way round, as calls
// differ by a factor of 100,000. BENCH_ROW_SECONDS in the environment says how
// long a row takes.

#ifndef BINDERLITE_BENCH_SUPPORT_MEASURE_H_
#define BINDERLITE_BENCH_SUPPORT_MEASURE_H_

#include <absl/synchronization/mutex.h>
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "histogram.h"

namespace binderlite::bench {

using Clock = std::chrono::steady_clock;

[[nodiscard]] inline std::chrono::nanoseconds RowTime(double seconds) {
  if (const char* const text = std::getenv("BENCH_ROW_SECONDS")) {
    const double asked = std::strtod(text, nullptr);
    if (asked > 0) seconds = asked;
  }
  return std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
}

[[nodiscard]] inline double Nanoseconds(Clock::duration duration) {
  return std::chrono::duration<double, std::nano>(duration).count();
}

// What the process has used up to now.
struct ProcessUse {
  [[nodiscard]] static ProcessUse Now() {
    rusage usage = {};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto NanosecondsOf = [](const timeval& time) {
      return static_cast<double>(time.tv_sec) * 1e9 +
             static_cast<double>(time.tv_usec) * 1e3;
    };
    return {NanosecondsOf(usage.ru_utime) + NanosecondsOf(usage.ru_stime),
            static_cast<double>(usage.ru_nvcsw + usage.ru_nivcsw)};
  }
  [[nodiscard]] ProcessUse Since(const ProcessUse& before) const {
    return {cpu_ns - before.cpu_ns, switches - before.switches};
  }
  double cpu_ns = 0;
  double switches = 0;
};

// One row's measurement.
struct Measured {
  Histogram latencies;
  double calls = 0;
  Clock::duration elapsed{};
  ProcessUse before;
  ProcessUse after;
};

// To Google Benchmark; `state` must be a row of RegisterRow.
inline void Report(benchmark::State& state, const Measured& row) {
  if (row.calls <= 0) {
    state.SkipWithError("no call was completed");
    return;
  }
  auto& counters = state.counters;
  if (row.latencies.count() != 0) {
    counters["p50"] = row.latencies.Quantile(0.5);
    counters["p99"] = row.latencies.Quantile(0.99);
    counters["max"] = row.latencies.max();
  }
  counters["calls"] = row.calls;
  const ProcessUse use = row.after.Since(row.before);
  counters["cpu"] = use.cpu_ns / row.calls;
  counters["switches"] = use.switches / row.calls;
  const double nanoseconds = Nanoseconds(row.elapsed);
  counters["rate"] = row.calls * 1e9 / nanoseconds;
  while (state.KeepRunning()) {
    state.SetIterationTime(nanoseconds / row.calls / 1e9);
  }
}

// Calls call(), once or more, until the deadline, and records each; false if
// one failed. With fewer than `least` calls by then it goes on, up to `latest`.
template <class F>
bool CallUntil(Clock::time_point deadline, F& call, Histogram& latencies,
               std::uint64_t least = 1, Clock::time_point latest = {}) {
  Clock::time_point begin = Clock::now();
  do {
    if (!call()) return false;
    const Clock::time_point end = Clock::now();
    latencies.Record((end - begin).count());
    begin = end;
  } while (begin < deadline || (begin < latest && latencies.count() < least));
  return true;
}

// The same for `time`; up to ten times of it, if calls take so long that there
// would be less than fifty.
template <class F>
bool CallFor(std::chrono::nanoseconds time, F& call, Histogram& latencies) {
  constexpr std::uint64_t kLeast = 50;
  const Clock::time_point now = Clock::now();
  return CallUntil(now + time, call, latencies, kLeast, now + 10 * time);
}

// A row of one caller.
template <class F>
void MeasureCalls(benchmark::State& state, F call) {
  const std::chrono::nanoseconds time = RowTime(0.05);
  Histogram warm_up;
  Measured row;
  if (!CallFor(time / 5, call, warm_up)) {
    state.SkipWithError("call failed");
    return;
  }
  row.before = ProcessUse::Now();
  const Clock::time_point begin = Clock::now();
  const bool ok = CallFor(time, call, row.latencies);
  row.elapsed = Clock::now() - begin;
  row.after = ProcessUse::Now();
  if (!ok) {
    state.SkipWithError("call failed");
    return;
  }
  row.calls = static_cast<double>(row.latencies.count());
  Report(state, row);
}

// A row of `clients` callers at once, each with a thread and a make() of its
// own that is called in the loop.
template <class Make>
void MeasureClients(benchmark::State& state, int clients, Make make) {
  const std::chrono::nanoseconds time = RowTime(0.1);
  Measured row;
  std::vector<Histogram> latencies(static_cast<std::size_t>(clients));
  std::atomic<bool> failed{false};
  // Passed twice: when all are warm, and when what was used by then is known.
  std::barrier<> warm(clients + 1);
  Clock::time_point begin;
  {
    std::vector<std::jthread> threads;
    threads.reserve(latencies.size());
    for (Histogram& mine : latencies) {
      threads.emplace_back([&] {
        auto call = make();
        Histogram warm_up;
        bool ok = CallUntil(Clock::now() + time / 5, call, warm_up);
        warm.arrive_and_wait();
        warm.arrive_and_wait();
        ok = ok && CallUntil(begin + time, call, mine);
        if (!ok) failed.store(true);
      });
    }
    warm.arrive_and_wait();
    row.before = ProcessUse::Now();
    begin = Clock::now();
    warm.arrive_and_wait();
  }
  row.elapsed = Clock::now() - begin;
  row.after = ProcessUse::Now();
  if (failed.load()) {
    state.SkipWithError("call failed");
    return;
  }
  std::uint64_t fewest = latencies.front().count();
  for (const Histogram& mine : latencies) {
    row.latencies.Add(mine);
    fewest = std::min(fewest, mine.count());
  }
  row.calls = static_cast<double>(row.latencies.count());
  // Quantiles are of calls, and do not show that somebody made hardly any.
  state.counters["fairness"] =
      static_cast<double>(fewest) * clients / row.calls;
  Report(state, row);
}

// Registers a row: function(state).
template <class F>
void RegisterRow(const std::string& name, F function) {
  benchmark::RegisterBenchmark(name.c_str(), std::move(function))
      ->Iterations(1)
      ->UseManualTime();
}

// Abseil's deadlock detection is off, as in a program built for speed, but
// while this lives.
class WithDeadlockDetection {
 public:
  WithDeadlockDetection() {
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kAbort);
  }
  ~WithDeadlockDetection() {
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  }
  WithDeadlockDetection(const WithDeadlockDetection&) = delete;
  WithDeadlockDetection& operator=(const WithDeadlockDetection&) = delete;
};

// The main function of a benchmark, but for what it registers.
inline int RunRows(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace binderlite::bench

#endif  // BINDERLITE_BENCH_SUPPORT_MEASURE_H_
