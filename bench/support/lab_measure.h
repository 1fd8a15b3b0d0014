// SPDX-License-Identifier: Apache-2.0
//
// What the rows of the laboratory have in common beside support/measure.h: the
// counters under their usual names, and the one argument of these programs that
// Google Benchmark does not know.

#ifndef BINDERLITE_BENCH_SUPPORT_LAB_MEASURE_H_
#define BINDERLITE_BENCH_SUPPORT_LAB_MEASURE_H_

#include <benchmark/benchmark.h>
#include <pthread.h>
#include <sched.h>

#include <optional>
#include <string>
#include <string_view>

#include "binderlite/sync/locking.h"
#include "support/histogram.h"
#include "support/measure.h"

namespace binderlite::bench {

// The discipline as rows name it.
template <class L>
std::string LabName() {
  std::string_view name = L::kName;
  if (const auto at = name.find('<'); at != name.npos) {
    name = name.substr(at + 1, name.size() - at - 2);
  }
  return std::string(name);
}

// <name>p50, <name>p99 and <name>max, in nanoseconds.
inline void Report(benchmark::State& state, const std::string& name,
                   const Histogram& histogram, double ns_per_unit = 1) {
  state.counters[name + "p50"] = histogram.Quantile(0.5) * ns_per_unit;
  state.counters[name + "p99"] = histogram.Quantile(0.99) * ns_per_unit;
  state.counters[name + "max"] = histogram.max() * ns_per_unit;
}

// Has the calling thread run on one processor of those that the program may
// use, for as long as this lives; does nothing if there are not as many.
class LabPin {
 public:
  explicit LabPin(int index) {
    ::pthread_getaffinity_np(::pthread_self(), sizeof(before_), &before_);
    if (CPU_COUNT(&before_) <= index) return;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (!CPU_ISSET(cpu, &before_) || index-- > 0) continue;
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(cpu, &one);
      pinned_ =
          ::pthread_setaffinity_np(::pthread_self(), sizeof(one), &one) == 0;
      return;
    }
  }
  LabPin(const LabPin&) = delete;
  LabPin& operator=(const LabPin&) = delete;
  ~LabPin() {
    if (pinned_) {
      ::pthread_setaffinity_np(::pthread_self(), sizeof(before_), &before_);
    }
  }

 private:
  cpu_set_t before_;
  bool pinned_ = false;
};

// Takes --<name>=<number> out of the arguments.
inline std::optional<long> TakeNumber(int& argc, char** argv,
                                      std::string_view name) {
  std::optional<long> number;
  const std::string start = "--" + std::string(name) + "=";
  int kept = 0;
  for (int i = 0; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (i > 0 && argument.starts_with(start)) {
      number = std::stol(std::string(argument.substr(start.size())));
    } else {
      argv[kept++] = argv[i];
    }
  }
  argc = kept;
  argv[argc] = nullptr;
  return number;
}

}  // namespace binderlite::bench

#endif  // BINDERLITE_BENCH_SUPPORT_LAB_MEASURE_H_
