// SPDX-License-Identifier: Apache-2.0
//
// The lock laboratory: what each locking discipline makes of threads that have
// nothing to do with each other, of those that share a server, of somebody who
// stalls inside the driver, and of Procs that are killed all the time.
//
//   lab/<discipline>/pairs/<n>      n clients, each with a server of its own
//   lab/<discipline>/shared/<n>     n clients of one server with 4 loopers
//   lab/<discipline>/stall/<n>      n pairs; a thread of another Proc enters
//   the
//                                   driver every 5 ms and stalls there for 1
//                                   ms, in its user memory, with whatever its
//                                   discipline holds then
//   lab/<discipline>/killstorm/<n>  n pairs; every 2 ms a Proc with 8 waiting
//                                   loopers is opened and, once they are
//                                   asleep, killed
//
// All in one Context, 128 bytes there and back, threads where the system has
// them. A row runs for a fixed time after a tenth of it for warming up; its
// numbers are counters:
//
//   rate                 calls a second, of all clients
//   p50 p99 max          of a call, ns
//   cpu switches         of the process, a call
//   lock_wait_* lock_hold_*
//                        of the mutexes that the driver's sections are, ns,
//                        seen by clients and servers; see
//                        support/lab_primitives.h. With a binder lock this is
//                        above all that lock.
//   acquisitions         of mutexes, a call, both sides
//   exit_* kills         kill storms: from the kill until the last of the 8
//                        threads is out, ns; how many kills there were
//
//   --milliseconds=N     for each row; default 300

#include <absl/synchronization/mutex.h>
#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "binderlite/driver/driver.h"
#include "support/histogram.h"
#include "support/lab_measure.h"
#include "support/lab_primitives.h"
#include "support/lab_team.h"
#include "support/lab_world.h"

namespace binderlite::bench {
namespace {

constexpr std::size_t kBytes = 128;
constexpr int kLoopers = 4;
constexpr std::size_t kVictims = 8;
constexpr auto kBetweenKills = std::chrono::milliseconds(2);
constexpr auto kBetweenStalls = std::chrono::milliseconds(5);
constexpr auto kStallFor = std::chrono::milliseconds(1);

enum class Load { kPairs, kShared, kStall, kKillStorm };

constexpr std::string_view NameOf(Load load) {
  switch (load) {
    case Load::kPairs:
      return "pairs";
    case Load::kShared:
      return "shared";
    case Load::kStall:
      return "stall";
    case Load::kKillStorm:
      return "killstorm";
  }
  return "?";
}

enum class Phase { kWarm, kMeasure, kEnd };

// What a client or a server writes down; nobody else touches it meanwhile.
struct alignas(128) Record {
  explicit Record(std::uint32_t seed) : locks(seed) {}

  LockRecorder locks;
  Histogram latencies;
  bool failed = false;
};

// Reading it takes as long as a page that is not there.
class StallingMemory : public UserMemory {
 public:
  bool CopyIn(void* to, std::uint64_t from, std::size_t size) override {
    std::this_thread::sleep_for(kStallFor);
    std::memcpy(to, reinterpret_cast<const void*>(from), size);
    return true;
  }
  bool CopyOut(std::uint64_t to, const void* from, std::size_t size) override {
    std::memcpy(reinterpret_cast<void*>(to), from, size);
    return true;
  }
};

template <class L>
class Lab {
 public:
  Lab(Load load, int n) : load_(load), n_(n) {}

  void Run(benchmark::State& state, std::chrono::milliseconds time) {
    Open();
    if (!world_.ok()) {
      state.SkipWithError("could not be set up");
      return;
    }
    StartThreads();
    std::this_thread::sleep_for(time / 10);

    const ProcessUse usage_before = ProcessUse::Now();
    const Clock::time_point begin = Clock::now();
    const std::uint64_t ticks_begin = LabTicks();
    phase_.store(Phase::kMeasure);
    std::this_thread::sleep_for(time);
    phase_.store(Phase::kEnd);
    const Clock::time_point end = Clock::now();
    const std::uint64_t ticks_end = LabTicks();
    const ProcessUse usage = ProcessUse::Now().Since(usage_before);
    EndThreads();

    const auto elapsed = Nanoseconds(end - begin);
    Tell(state, elapsed, usage,
         elapsed / static_cast<double>(ticks_end - ticks_begin));
  }

 private:
  struct Side {
    BasicThread<L> thread;
    Record record;
  };

  Side& Attach(std::deque<Side>& to, BasicProc<L>& proc) {
    ++sides_;
    Side& side = to.emplace_back(Side{proc.Attach(), Record(sides_ * 7919)});
    (void)side.thread.EnterLooper();
    return side;
  }

  void Open() {
    for (int i = 0; i < n_; ++i) {
      if (i == 0 || load_ != Load::kShared) {
        BasicProc<L>& server =
            procs_.emplace_back(world_.context.Open({.nonblocking = true}));
        const int loopers = load_ == Load::kShared ? kLoopers : 1;
        for (int k = 0; k < loopers; ++k) Attach(servers_, server);
      }
      BasicProc<L>& client =
          procs_.emplace_back(world_.context.Open({.nonblocking = true}));
      Attach(clients_, client);
      Side& owner = load_ == Load::kShared ? servers_.front() : servers_.back();
      const std::vector<std::uint32_t> given =
          world_.Give(owner.thread, clients_.back().thread, 0x1000);
      handles_.push_back(given.empty() ? 0 : given.front());
    }
    for (BasicProc<L>& proc : procs_) proc.SetNonblocking(false);
  }

  void StartThreads() {
    for (Side& server : servers_) {
      server_threads_.emplace_back([this, &server] { Serve(server); });
    }
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      client_threads_.emplace_back(
          [this, i] { Call(clients_[i], handles_[i]); });
    }
    if (load_ == Load::kStall) {
      trouble_ = std::jthread([this] { Stall(); });
    } else if (load_ == Load::kKillStorm) {
      trouble_ = std::jthread([this] { Storm(); });
    }
  }

  void EndThreads() {
    if (trouble_.joinable()) trouble_.join();
    for (std::jthread& thread : client_threads_) thread.join();
    for (Side& server : servers_) server.thread.Kill();
    for (std::jthread& thread : server_threads_) thread.join();
  }

  void Call(Side& self, std::uint32_t handle) {
    LockRecorder::OfThread() = &self.record.locks;
    std::vector<std::byte> payload(kBytes);
    std::uint64_t sum = 0;
    Clock::time_point from = Clock::now();
    for (;;) {
      const Phase phase = phase_.load(std::memory_order_relaxed);
      if (phase == Phase::kEnd) break;
      self.record.locks.SetOn(phase == Phase::kMeasure);
      std::memset(payload.data(), static_cast<int>(sum & 0x7f), kBytes);
      if (!LabCall(self.thread, handle, payload, sum)) {
        self.record.failed = true;
        break;
      }
      const Clock::time_point to = Clock::now();
      if (phase == Phase::kMeasure) {
        self.record.latencies.Record((to - from).count());
      }
      from = to;
    }
    LockRecorder::OfThread() = nullptr;
  }

  void Serve(Side& self) {
    LockRecorder::OfThread() = &self.record.locks;
    LabServe(self.thread, [this, &self] {
      self.record.locks.SetOn(phase_.load(std::memory_order_relaxed) ==
                              Phase::kMeasure);
    });
    LockRecorder::OfThread() = nullptr;
  }

  void Stall() {
    StallingMemory memory;
    BasicProc<L> proc =
        world_.context.Open({.arena_size = 0, .memory = &memory});
    BasicThread<L> thread = proc.Attach();
    LockRecorder::OfThread() = &stall_locks_;
    stall_locks_.SetOn(true);
    std::uint32_t max_threads = 4;
    Clock::time_point next = Clock::now();
    while (phase_.load(std::memory_order_relaxed) != Phase::kEnd) {
      (void)thread.Ioctl(static_cast<std::uint32_t>(Ioctl::kSetMaxThreads),
                         LabAddress(&max_threads));
      next = std::max(next + kBetweenStalls, Clock::now());
      std::this_thread::sleep_until(next);
    }
    LockRecorder::OfThread() = nullptr;
  }

  void Storm() {
    BasicProc<L> victim;
    Exits<kVictims> exits;
    constexpr int kAll = static_cast<int>(kVictims);
    Team team(kAll, [&](int k) {
      BasicThread<L> self = victim.Attach(victim.pid() + k);
      Incoming work;
      Errc answer = self.EnterLooper();
      while (answer == Errc::kOk) answer = self.NextWork(work);
      exits.Leave(k);
    });
    Clock::time_point next = Clock::now();
    while (phase_.load(std::memory_order_relaxed) != Phase::kEnd) {
      victim = world_.context.Open({.arena_size = 0});
      exits.Reset();
      team.Start();
      YieldUntil([&] { return Asleep(victim.state()) == kAll; });
      const Clock::time_point killed = Clock::now();
      victim.Kill();
      YieldUntil([&] { return exits.Out() == kAll; });
      if (phase_.load(std::memory_order_relaxed) == Phase::kMeasure) {
        exit_times_.Record((exits.Last() - killed).count());
      }
      YieldUntil([&] { return victim.released(); });
      next = std::max(next + kBetweenKills, Clock::now());
      std::this_thread::sleep_until(next);
    }
  }

  void Tell(benchmark::State& state, double elapsed, const ProcessUse& usage,
            double ns_per_tick) {
    Histogram latencies;
    Histogram waits = stall_locks_.waits();
    Histogram holds = stall_locks_.holds();
    std::uint64_t acquisitions = 0;
    for (const std::deque<Side>* const sides : {&servers_, &clients_}) {
      for (const Side& side : *sides) {
        if (side.record.failed) state.SkipWithError("call failed");
        latencies.Add(side.record.latencies);
        waits.Add(side.record.locks.waits());
        holds.Add(side.record.locks.holds());
        acquisitions += side.record.locks.acquisitions();
      }
    }
    const auto calls = static_cast<double>(latencies.count());
    if (latencies.count() == 0) {
      state.SkipWithError("no call came to its end");
      return;
    }
    state.counters["rate"] = calls / elapsed * 1e9;
    Report(state, "", latencies);
    state.counters["cpu"] = usage.cpu_ns / calls;
    state.counters["switches"] = usage.switches / calls;
    Report(state, "lock_wait_", waits, ns_per_tick);
    Report(state, "lock_hold_", holds, ns_per_tick);
    state.counters["acquisitions"] = static_cast<double>(acquisitions) / calls;
    if (load_ == Load::kKillStorm) {
      Report(state, "exit_", exit_times_);
      state.counters["kills"] = static_cast<double>(exit_times_.count());
    }
  }

  const Load load_;
  const int n_;
  alignas(128) std::atomic<Phase> phase_{Phase::kWarm};
  alignas(128) std::uint32_t sides_ = 0;
  Histogram exit_times_;
  LockRecorder stall_locks_{1, 1};  // It takes few: each is timed.
  LabWorld<L> world_;
  std::deque<BasicProc<L>> procs_;
  std::deque<Side> servers_;
  std::deque<Side> clients_;
  std::vector<std::uint32_t> handles_;
  std::vector<std::jthread> server_threads_;
  std::vector<std::jthread> client_threads_;
  std::jthread trouble_;
};

template <class L>
void RegisterDiscipline(std::chrono::milliseconds time) {
  for (const Load load :
       {Load::kPairs, Load::kShared, Load::kStall, Load::kKillStorm}) {
    for (const int n : {1, 2, 4, 8}) {
      const std::string name = "lab/" + LabName<L>() + "/" +
                               std::string(NameOf(load)) + "/" +
                               std::to_string(n);
      benchmark::RegisterBenchmark(name.c_str(),
                                   [load, n, time](benchmark::State& state) {
                                     for (auto _ : state) {
                                       const auto lab =
                                           std::make_unique<Lab<L>>(load, n);
                                       lab->Run(state, time);
                                     }
                                   })
          ->Iterations(1)
          ->UseRealTime();
    }
  }
}

}  // namespace
}  // namespace binderlite::bench

int main(int argc, char** argv) {
  namespace bl = binderlite;
  using P = bl::bench::LabPrimitives;
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  const std::chrono::milliseconds time(
      bl::bench::TakeNumber(argc, argv, "milliseconds").value_or(300));
  bl::bench::RegisterDiscipline<bl::BinderLock<bl::Relock::kAlways, P>>(time);
  bl::bench::RegisterDiscipline<bl::BinderLock<bl::Relock::kUnlessKilled, P>>(
      time);
  bl::bench::RegisterDiscipline<bl::BinderLock<bl::Relock::kInterruptible, P>>(
      time);
  bl::bench::RegisterDiscipline<bl::FineGrained<P>>(time);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
