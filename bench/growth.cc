// SPDX-License-Identifier: Apache-2.0
//
// What a call costs when there is much of everything around. Each row sets up n
// of something besides the client and the server and takes the time of calls:
//
//   growth/procs/<n>         n more Procs are open. Each has an arena of 64
//   KiB,
//                            a thread with a record, and the handle of a node
//                            of the server's.
//   growth/nodes/<n>         the server owns n more nodes, whose handles
//   another
//                            Proc has.
//   growth/handles/<n>       the client has n more handles, to nodes of another
//                            Proc, and calls by the last one, its highest.
//   growth/idle-loopers/<n>  the server has n more loopers, that is n + 1, and
//   n
//                            of them are asleep when a call comes. The call is
//                            for the one that waited last; where that one is
//                            not yet back from the last call, for the next, so
//                            any of them may serve (counter "served": how many
//                            did).
//   growth/queued/<n>        n one-ways to one node, 4 B each, are sent before
//                            the first is read; then all are read and freed. By
//                            one thread, which plays both sides: what counts is
//                            the state and not who wakes whom. Per message,
//                            from sending to freeing.
//
// Round trips of 4 B, typed, with the client on one processor and the server's
// threads on another. Counters: p50, p99 and max, ns.
//
//   --calls=N   for each row; default 20000

#include <absl/synchronization/mutex.h>
#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "binderlite/driver/driver.h"
#include "support/histogram.h"
#include "support/lab_measure.h"
#include "support/lab_team.h"
#include "support/lab_world.h"

namespace binderlite::bench {
namespace {

constexpr std::uint64_t kServerNode = 0x10;
constexpr std::uint64_t kMoreNodes = 0x10000;
constexpr std::size_t kSmallArena = std::size_t{64} << 10;

// A Proc and its first thread, to be set up by one thread.
struct Member {
  explicit Member(BasicContext<>& context,
                  std::size_t arena_size = std::size_t{1} << 20)
      : proc(context.Open({.arena_size = arena_size, .nonblocking = true})),
        thread(proc.Attach()) {
    (void)thread.EnterLooper();
  }

  Proc proc;
  Thread thread;
};

// A client, a server, and a handle of the one to the other's node.
class Couple {
 public:
  Couple() : client_(world_.context), server_(world_.context) {}

  [[nodiscard]] LabWorld<FineGrained<>>& world() { return world_; }
  [[nodiscard]] Member& client() { return client_; }
  [[nodiscard]] Member& server() { return server_; }

  // The client's handle, the highest one so far.
  bool Introduce() {
    const auto handles =
        world_.Give(server_.thread, client_.thread, kServerNode);
    if (!handles.empty()) handle_ = handles.front();
    return world_.ok();
  }

  // `loopers` more of them serve, and are asleep when it begins.
  void MeasureCalls(benchmark::State& state, int loopers = 0) {
    std::deque<Thread> more;
    for (int i = 0; i < loopers; ++i) {
      Thread& looper =
          more.emplace_back(server_.proc.Attach(server_.proc.pid() + 1 + i));
      (void)looper.EnterLooper();
    }
    client_.proc.SetNonblocking(false);
    server_.proc.SetNonblocking(false);
    std::atomic<int> served{0};
    const auto Serve = [&served](Thread& thread) {
      const LabPin pin(1);
      bool first = true;
      LabServe(thread, [&] {
        if (std::exchange(first, false)) served.fetch_add(1);
      });
    };
    std::vector<std::jthread> threads;
    for (Thread& looper : more) threads.emplace_back(Serve, std::ref(looper));
    YieldUntil([&] { return Asleep(server_.proc.state()) == loopers; });
    threads.emplace_back(Serve, std::ref(server_.thread));

    const LabPin pin(0);
    std::vector<std::byte> payload(4);
    std::uint64_t sum = 0;
    Histogram times;
    for (int i = 0; i < 1000; ++i) Call(state, payload, sum);
    Clock::time_point from = Clock::now();
    for (auto _ : state) {
      payload[0] = static_cast<std::byte>(sum);
      if (!Call(state, payload, sum)) break;
      const Clock::time_point to = Clock::now();
      times.Record((to - from).count());
      from = to;
    }
    Report(state, "", times);
    if (loopers > 0) state.counters["served"] = served.load();
    server_.thread.Kill();
    for (Thread& looper : more) looper.Kill();
  }

 private:
  bool Call(benchmark::State& state, const std::vector<std::byte>& payload,
            std::uint64_t& sum) {
    if (LabCall(client_.thread, handle_, payload, sum)) return true;
    state.SkipWithError("call failed");
    return false;
  }

  LabWorld<FineGrained<>> world_;
  Member client_;
  Member server_;
  std::uint32_t handle_ = 0;
};

void Procs(benchmark::State& state, std::int64_t n) {
  Couple couple;
  std::deque<Member> more;
  bool ok = couple.Introduce();
  for (std::int64_t i = 0; i < n && ok; ++i) {
    Member& member = more.emplace_back(couple.world().context, kSmallArena);
    couple.world().Give(couple.server().thread, member.thread, kServerNode);
    ok = couple.world().ok();
  }
  if (!ok) return state.SkipWithError("could not be set up");
  couple.MeasureCalls(state);
}

void Nodes(benchmark::State& state, std::int64_t n) {
  Couple couple;
  Member holder(couple.world().context);
  couple.world().Give(couple.server().thread, holder.thread, kMoreNodes,
                      static_cast<std::size_t>(n));
  if (!couple.Introduce()) return state.SkipWithError("could not be set up");
  couple.MeasureCalls(state);
}

void Handles(benchmark::State& state, std::int64_t n) {
  Couple couple;
  Member owner(couple.world().context);
  couple.world().Give(owner.thread, couple.client().thread, kMoreNodes,
                      static_cast<std::size_t>(n));
  if (!couple.Introduce()) return state.SkipWithError("could not be set up");
  couple.MeasureCalls(state);
}

void IdleLoopers(benchmark::State& state, std::int64_t n) {
  Couple couple;
  if (!couple.Introduce()) return state.SkipWithError("could not be set up");
  couple.MeasureCalls(state, static_cast<int>(n));
}

void Queued(benchmark::State& state, std::int64_t n) {
  BasicContext<> context;
  Member server(context, std::size_t{4} << 20);
  Member client(context);
  bool ok = server.thread.SetContextMgr() == Errc::kOk;
  const std::vector<std::byte> payload(4);
  TransactionData data = LabData(payload);
  data.flags = kTfOneWay;
  Incoming work;
  // The next command of that kind.
  const auto Read = [&](Thread& self, Br wanted) {
    do {
      if (self.NextWork(work) != Errc::kOk) return false;
    } while (work.command != wanted);
    return true;
  };
  std::uint64_t sum = 0;
  const auto Round = [&] {
    for (std::int64_t i = 0; i < n && ok; ++i) {
      ok = client.thread.Transact(data) == Errc::kOk &&
           Read(client.thread, Br::BR_TRANSACTION_COMPLETE);
    }
    for (std::int64_t i = 0; i < n && ok; ++i) {
      ok = Read(server.thread, Br::BR_TRANSACTION);
      sum += LabSum(work.transaction);
      ok = ok && server.thread.FreeBuffer(work.transaction.buffer) == Errc::kOk;
    }
  };
  // So many at a time that looking at the clock does not count.
  const std::int64_t rounds = std::max(std::int64_t{1}, 1000 / n);
  for (std::int64_t i = 0; i < rounds; ++i) Round();
  Histogram times;
  for (auto _ : state) {
    const Clock::time_point from = Clock::now();
    for (std::int64_t i = 0; i < rounds; ++i) Round();
    const Clock::time_point to = Clock::now();
    times.Record((to - from).count() / static_cast<std::int64_t>(rounds * n));
  }
  if (!ok) return state.SkipWithError("message lost");
  benchmark::DoNotOptimize(sum);
  Report(state, "", times);
}

void Register(const std::string& name,
              void (*function)(benchmark::State&, std::int64_t),
              const std::vector<std::int64_t>& sizes, std::int64_t iterations) {
  for (const std::int64_t size : sizes) {
    const std::string full = "growth/" + name + "/" + std::to_string(size);
    benchmark::RegisterBenchmark(
        full.c_str(),
        [function, size](benchmark::State& state) { function(state, size); })
        ->Iterations(std::max(iterations, std::int64_t{1}))
        ->UseRealTime();
  }
}

}  // namespace
}  // namespace binderlite::bench

int main(int argc, char** argv) {
  namespace b = binderlite::bench;
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  const std::int64_t calls = b::TakeNumber(argc, argv, "calls").value_or(20000);
  b::Register("procs", b::Procs, {1, 10, 100, 1000}, calls);
  b::Register("nodes", b::Nodes, {1, 100, 10000, 100000}, calls);
  b::Register("handles", b::Handles, {1, 100, 10000, 100000}, calls);
  b::Register("idle-loopers", b::IdleLoopers, {1, 16, 64, 256}, calls);
  b::Register("queued", b::Queued, {1, 100, 1000}, calls / 100);
  b::Register("queued", b::Queued, {10000}, calls / 1000);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
