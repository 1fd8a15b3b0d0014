// SPDX-License-Identifier: Apache-2.0
//
// How long a killed Proc needs to be left by its threads while somebody stands
// in the driver and does not come out: the out-of-memory kill of 2017, as in
// examples/oom_kill.cc, many times over.
//
//   kill/<discipline>/16        16 loopers wait for work, asleep; a thread of
//                               another Proc stalls inside the driver, in its
//                               user memory, with whatever its discipline holds
//                               there; the Proc is killed. Time from the kill
//                               until the last of them is back in its caller.
//   kill/<discipline>/entering  the same with 4 threads that begin a call while
//                               the holder stalls: where there is a lock around
//                               calls, they wait for it.
//   kill/futex/16               the measure: 16 threads asleep in one futex are
//                               woken by one call.
//   kill/futex-each/16          the same, but each in a futex of its own, woken
//                               one after the other, as a kill has to do it.
//
// The threads stay from kill to kill, so that no time of starting threads is in
// it, and each kill waits a moment for all to be asleep.
//
// A thread that has not come out before the holder lets go counts as stuck.
// Where nobody may be stuck, the holder is patient: it lets go after two
// seconds. Where somebody will be, it does so soon, and what is measured is how
// long it stalled ("stall", in ns).
//
//   --kills=N   for each row; default 1500. Those in which threads will be
//               stuck have a hundredth of it, since each kill costs a stall,
//               and the others with entering threads a tenth.

#include <absl/synchronization/mutex.h>
#include <benchmark/benchmark.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>
#include <type_traits>

#include "binderlite/driver/driver.h"
#include "support/histogram.h"
#include "support/lab_measure.h"
#include "support/lab_team.h"

namespace binderlite::bench {
namespace {

constexpr int kWaiting = 16;
constexpr int kEntering = 4;

// From when all look asleep until they are.
constexpr auto kToFallAsleep = std::chrono::microseconds(100);

// The memory of a process that is short of it: reading it does not come back
// until it is let go.
class StallingMemory : public UserMemory {
 public:
  bool CopyIn(void* to, std::uint64_t from, std::size_t size) override {
    stalled_.store(true);
    let_go_.wait(false);
    std::memcpy(to, reinterpret_cast<const void*>(from), size);
    return true;
  }
  bool CopyOut(std::uint64_t to, const void* from, std::size_t size) override {
    std::memcpy(reinterpret_cast<void*>(to), from, size);
    return true;
  }

  void Reset() {
    stalled_.store(false);
    let_go_.store(false);
  }
  [[nodiscard]] bool stalled() const { return stalled_.load(); }
  void LetGo() {
    let_go_.store(true);
    let_go_.notify_all();
  }

 private:
  std::atomic<bool> stalled_{false};
  std::atomic<bool> let_go_{false};
};

// The numbers of a row.
struct Kills {
  Histogram times;
  std::int64_t stuck = 0;
  std::int64_t kills = 0;

  void Count(Clock::time_point killed, Clock::time_point last) {
    times.Record((last - killed).count());
    ++kills;
  }
  void Report(benchmark::State& state) const {
    bench::Report(state, "", times);
    state.counters["stuck"] = static_cast<double>(stuck);
    state.counters["kills"] = static_cast<double>(kills);
  }
};

// Whether a killed thread gets out whoever stalls.
template <class L, bool kEnters>
constexpr bool IsKillable() {
  if constexpr (kEnters) {
    return std::is_same_v<L, FineGrained<>> ||
           std::is_same_v<L, BinderLock<Relock::kInterruptible>>;
  } else {
    return !L::kKilledNeedsEntryLock;
  }
}

template <class L, bool kEnters>
void Kill(benchmark::State& state) {
  constexpr int kThreads = kEnters ? kEntering : kWaiting;
  constexpr auto kStall = IsKillable<L, kEnters>()
                              ? std::chrono::milliseconds(2000)
                              : std::chrono::milliseconds(10);
  StallingMemory stalling;
  BasicContext<L> context;
  auto& entry = context.state().entry;
  BasicProc<L> holder = context.Open({.memory = &stalling});
  BasicThread<L> holder_thread = holder.Attach();

  std::uint32_t max_threads = 4;
  std::atomic<bool> holder_is_out{true};
  Team stallers(1, [&](int) {
    (void)holder_thread.Ioctl(static_cast<std::uint32_t>(Ioctl::kSetMaxThreads),
                              reinterpret_cast<std::uint64_t>(&max_threads));
    holder_is_out.store(true);
  });
  const auto StartStall = [&] {
    stalling.Reset();
    holder_is_out.store(false);
    stallers.Start();
    YieldUntil([&] { return stalling.stalled(); });
  };

  BasicProc<L> victim;
  Exits<kThreads> exits;
  Team victims(kThreads, [&](int n) {
    BasicThread<L> self = victim.Attach(victim.pid() + n);
    Incoming work;
    Errc answer = self.EnterLooper();
    // The first read of a new thread returns at once.
    while (answer == Errc::kOk) answer = self.NextWork(work);
    exits.Leave(n);
  });

  Kills all;
  for (auto _ : state) {
    victim = context.Open({.arena_size = 0});
    exits.Reset();
    // Either they sleep already, or they come when the holder is there.
    if (kEnters) StartStall();
    victims.Start();
    YieldUntil([&] {
      return kEnters && L::kHasBinderLock ? entry.waiters() == kThreads
                                          : Asleep(victim.state()) == kThreads;
    });
    if (!kEnters) StartStall();
    std::this_thread::sleep_for(kToFallAsleep);

    const Clock::time_point killed = Clock::now();
    victim.Kill();
    if (!YieldUntil([&] { return exits.Out() == kThreads; }, killed + kStall)) {
      all.stuck += kThreads - exits.Out();
    }
    stalling.LetGo();
    YieldUntil([&] { return exits.Out() == kThreads; });
    all.Count(killed, exits.Last());
    YieldUntil([&] { return victim.released() && holder_is_out.load(); });
  }
  all.Report(state);
  state.counters["stall"] = Nanoseconds(kStall);
}

// --- Peers -----------------------------------------------------------------

struct alignas(128) FutexWord {
  std::atomic<std::uint32_t> value{0};
  std::atomic<bool> waits{false};

  void Wait(std::uint32_t while_it_is) {
    ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&value),
              FUTEX_WAIT_PRIVATE, while_it_is, nullptr, nullptr, 0);
  }
  void Wake(int count) {
    ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&value),
              FUTEX_WAKE_PRIVATE, count, nullptr, nullptr, 0);
  }
};

template <bool kEach>
void WakeFutex(benchmark::State& state) {
  std::array<FutexWord, kWaiting> words;
  const auto WordOf = [&words](int n) -> FutexWord& {
    return words[kEach ? static_cast<std::size_t>(n) : 0];
  };
  std::atomic<int> waiting{0};
  Exits<kWaiting> exits;
  Team sleepers(kWaiting, [&](int n) {
    FutexWord& word = WordOf(n);
    waiting.fetch_add(1);
    while (word.value.load(std::memory_order_acquire) == 0) word.Wait(0);
    exits.Leave(n);
  });

  Kills all;
  for (auto _ : state) {
    exits.Reset();
    waiting.store(0);
    for (FutexWord& word : words) word.value.store(0);
    sleepers.Start();
    YieldUntil([&] { return waiting.load() == kWaiting; });
    std::this_thread::sleep_for(kToFallAsleep);

    const Clock::time_point woken = Clock::now();
    if (kEach) {
      for (FutexWord& word : words) {
        word.value.store(1, std::memory_order_release);
        word.Wake(1);
      }
    } else {
      words[0].value.store(1, std::memory_order_release);
      words[0].Wake(INT_MAX);
    }
    YieldUntil([&] { return exits.Out() == kWaiting; });
    all.Count(woken, exits.Last());
  }
  all.Report(state);
}

template <class F>
void Register(const std::string& name, F function, std::int64_t kills) {
  benchmark::RegisterBenchmark(("kill/" + name).c_str(), function)
      ->Iterations(std::max(kills, std::int64_t{1}))
      ->UseRealTime();
}

template <class L>
void RegisterDiscipline(std::int64_t kills) {
  Register(LabName<L>() + "/16", Kill<L, false>,
           IsKillable<L, false>() ? kills : kills / 100);
  Register(LabName<L>() + "/entering", Kill<L, true>,
           IsKillable<L, true>() ? kills / 10 : kills / 100);
}

}  // namespace
}  // namespace binderlite::bench

int main(int argc, char** argv) {
  namespace bl = binderlite;
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  const std::int64_t kills =
      bl::bench::TakeNumber(argc, argv, "kills").value_or(1500);
  bl::bench::RegisterDiscipline<bl::BinderLock<bl::Relock::kAlways>>(kills);
  bl::bench::RegisterDiscipline<bl::BinderLock<bl::Relock::kUnlessKilled>>(
      kills);
  bl::bench::RegisterDiscipline<bl::BinderLock<bl::Relock::kInterruptible>>(
      kills);
  bl::bench::RegisterDiscipline<bl::FineGrained<>>(kills);
  bl::bench::Register("futex/16", bl::bench::WakeFutex<false>, kills);
  bl::bench::Register("futex-each/16", bl::bench::WakeFutex<true>, kills);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
