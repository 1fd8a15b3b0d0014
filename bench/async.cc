// SPDX-License-Identifier: Apache-2.0
//
// Asynchronous calls of the typed API: so many are made at once, by one thread,
// and their results waited for; the callee has one looper, and so has the
// caller, for the results.
//
//   async/api/<outstanding>    a call is one of them: p50 is the time that all
//                              took, divided by their number
//
// Rows of one outstanding call beside roundtrip/api show what it costs not to
// wait.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>

#include "binderlite/binderlite.h"
#include "support/measure.h"

namespace {

namespace bl = binderlite;
namespace bench = binderlite::bench;

struct Doubler {
  static constexpr bl::InterfaceName kName = "bench.Doubler";
  bl::Method<1, std::int64_t(std::int64_t)> Double;
};

void Measure(benchmark::State& state, int outstanding) {
  // One-ways may use half of it, and all results may be on their way at once.
  constexpr std::size_t kMemory = std::size_t{16} << 20;
  bl::Binder binder;
  bl::Endpoint server =
      binder.Open({.name = "server", .arena_size = kMemory, .max_loopers = 1});
  bl::Endpoint client =
      binder.Open({.name = "client", .arena_size = kMemory, .max_loopers = 1});
  const bl::Service<Doubler> service = server.Create(
      Doubler{.Double = [](std::int64_t value) { return 2 * value; }});
  if (!server.Publish("doubler", service).ok()) {
    state.SkipWithError("no service");
    return;
  }
  const bl::Proxy<Doubler> doubler = client.Find<Doubler>("doubler").value();

  // Outlive the last completion of a batch, which wakes us before it is over.
  std::atomic<int> left{0};
  std::atomic<bool> right{true};
  const auto Batch = [&] {
    left.store(outstanding);
    for (int i = 0; i < outstanding; ++i) {
      doubler->Double.Async(i).Then([&, i](const bl::Result<std::int64_t>& r) {
        if (!r.ok() || *r != 2 * i) right.store(false);
        if (left.fetch_sub(1) == 1) left.notify_one();
      });
    }
    for (int now = left.load(); now != 0; now = left.load()) left.wait(now);
    return right.load();
  };
  const auto Fail = [&state] { state.SkipWithError("a call failed"); };

  const auto time = bench::RowTime(0.1);
  bench::Measured row;
  if (!Batch()) return Fail();
  row.before = bench::ProcessUse::Now();
  const auto begin = bench::Clock::now();
  auto now = begin;
  do {
    if (!Batch()) return Fail();
    const auto end = bench::Clock::now();
    row.latencies.Record((end - now).count() / outstanding);
    row.calls += outstanding;
    now = end;
  } while (now - begin < time);
  row.elapsed = now - begin;
  row.after = bench::ProcessUse::Now();
  bench::Report(state, row);
}

}  // namespace

int main(int argc, char** argv) {
  for (const int outstanding : {1, 100, 10'000}) {
    bench::RegisterRow("async/api/" + std::to_string(outstanding),
                       [outstanding](benchmark::State& state) {
                         Measure(state, outstanding);
                       });
  }
  return bench::RunRows(argc, argv);
}
