// SPDX-License-Identifier: Apache-2.0
//
// The out-of-memory kill of 2017, and its cures, on one piece of code.
//
// A process is killed because memory is short. To die, its threads have to
// leave the driver. Meanwhile a thread of another process stands in the driver
// and waits for memory, which only comes when the victim has died. Where that
// thread holds a lock that the victim's threads insist on, nobody gets
// anywhere.
//
// Here a server thread enters the driver and stalls while the driver reads its
// argument, holding whatever its locking discipline calls the binder lock. A
// Proc with eight threads waiting for work and two threads about to enter the
// driver is killed. For each discipline, over 200 kills: which threads got out
// while the server stalled, how long the last of them took, and which were
// stuck until the server was let go.
//
// Exits with 1 when a discipline does not behave as it is designed to.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "binderlite/binderlite.h"

namespace bl = binderlite;

namespace {

constexpr int kKills = 200;
constexpr int kWaiting = 8;
constexpr int kEntering = 2;

using Clock = std::chrono::steady_clock;

// The memory of a process that is short of it: reading it does not come back
// until it is let go.
class StallingMemory : public bl::UserMemory {
 public:
  bool CopyIn(void* to, std::uint64_t from, std::size_t size) override {
    stalled_.store(true);
    stalled_.notify_all();
    let_go_.wait(false);
    std::memcpy(to, reinterpret_cast<const void*>(from), size);
    return true;
  }
  bool CopyOut(std::uint64_t to, const void* from, std::size_t size) override {
    std::memcpy(reinterpret_cast<void*>(to), from, size);
    return true;
  }

  void AwaitStall() { stalled_.wait(false); }
  void LetGo() {
    let_go_.store(true);
    let_go_.notify_all();
  }

 private:
  std::atomic<bool> stalled_{false};
  std::atomic<bool> let_go_{false};
};

// Counts how many threads have gone to sleep in the driver.
class SleepCounter : public bl::Hooks {
 public:
  void At(bl::Point point, std::int32_t /*pid*/,
          std::int32_t /*tid*/) override {
    if (point == bl::Point::kParking) sleeping_.fetch_add(1);
  }
  [[nodiscard]] int sleeping() const { return sleeping_.load(); }

 private:
  std::atomic<int> sleeping_{0};
};

template <class Condition>
void YieldUntil(Condition condition) {
  while (!condition()) std::this_thread::yield();
}

// What became of one kill.
struct Outcome {
  int stuck_waiting = 0;
  int stuck_entering = 0;
  bool all_out_in_the_end = false;
  double last_exit_us = 0;  // Of those that got out while the server stalled.
};

template <class L>
Outcome KillOnce() {
  SleepCounter hooks;
  StallingMemory stalling;
  bl::BasicContext<L> context({.hooks = &hooks});
  auto& entry = context.state().entry;
  bl::BasicProc<L> server = context.Open({.memory = &stalling});
  bl::BasicProc<L> victim = context.Open();
  bl::BasicThread<L> server_thread = server.Attach();

  struct Victim {
    explicit Victim(bl::BasicThread<L> attached)
        : thread(std::move(attached)) {}

    bl::BasicThread<L> thread;
    Clock::time_point left;
    bl::Errc answer = bl::Errc::kOk;
    std::atomic<bool> out{false};
  };
  std::deque<Victim> threads;
  std::vector<std::jthread> running;
  const auto Start = [&] {
    Victim& v = threads.emplace_back(victim.Attach());
    running.emplace_back([&v] {
      bl::Incoming work;
      // The first read of a new thread returns at once, the second one waits.
      do {
        v.answer = v.thread.NextWork(work);
      } while (v.answer == bl::Errc::kOk);
      v.left = Clock::now();
      v.out.store(true);
    });
  };
  for (int i = 0; i < kWaiting; ++i) Start();
  YieldUntil([&] { return hooks.sleeping() == kWaiting; });

  std::uint32_t max_threads = 4;
  std::jthread stall([&] {
    (void)server_thread.Ioctl(
        static_cast<std::uint32_t>(bl::Ioctl::kSetMaxThreads),
        reinterpret_cast<std::uint64_t>(&max_threads));
  });
  stalling.AwaitStall();

  // With a binder lock these two wait for it; without one they get in.
  for (int i = 0; i < kEntering; ++i) Start();
  YieldUntil([&] {
    return L::kHasBinderLock ? entry.waiters() == kEntering
                             : hooks.sleeping() == kWaiting + kEntering;
  });

  const Clock::time_point killed = Clock::now();
  victim.Kill();
  // Every thread is out, or waits for the lock in a way that no kill can end,
  // as the reaper does that is to clean up after them.
  const auto Out = [&threads](int from, int to) {
    return static_cast<int>(
        std::count_if(threads.begin() + from, threads.begin() + to,
                      [](const Victim& v) { return v.out.load(); }));
  };
  constexpr int kAll = kWaiting + kEntering;
  constexpr int kReaper = L::kHasBinderLock ? 1 : 0;
  YieldUntil(
      [&] { return Out(0, kAll) + entry.deaf_waiters() == kAll + kReaper; });

  Outcome outcome;
  outcome.stuck_waiting = kWaiting - Out(0, kWaiting);
  outcome.stuck_entering = kEntering - Out(kWaiting, kAll);
  for (const Victim& v : threads) {
    if (!v.out.load()) continue;
    outcome.last_exit_us = std::max(
        outcome.last_exit_us,
        std::chrono::duration<double, std::micro>(v.left - killed).count());
  }

  stalling.LetGo();
  for (std::jthread& thread : running) thread.join();
  outcome.all_out_in_the_end = true;
  for (const Victim& v : threads) {
    if (v.answer != bl::Errc::kKilled && v.answer != bl::Errc::kClosed) {
      outcome.all_out_in_the_end = false;
    }
  }
  return outcome;
}

// Kills 200 times, prints a row, and says whether every kill went as designed.
template <class L>
bool Row(int designed_stuck_waiting, int designed_stuck_entering) {
  std::vector<double> times;
  Outcome worst;
  bool as_designed = true;
  for (int i = 0; i < kKills; ++i) {
    const Outcome outcome = KillOnce<L>();
    worst.stuck_waiting = std::max(worst.stuck_waiting, outcome.stuck_waiting);
    worst.stuck_entering =
        std::max(worst.stuck_entering, outcome.stuck_entering);
    as_designed = as_designed && outcome.all_out_in_the_end &&
                  outcome.stuck_waiting == designed_stuck_waiting &&
                  outcome.stuck_entering == designed_stuck_entering;
    times.push_back(outcome.last_exit_us);
  }
  std::sort(times.begin(), times.end());
  const int out =
      kWaiting + kEntering - worst.stuck_waiting - worst.stuck_entering;
  std::string kinds;
  if (worst.stuck_waiting > 0) {
    kinds += std::to_string(worst.stuck_waiting) + " waiting";
  }
  if (worst.stuck_entering > 0) {
    if (!kinds.empty()) kinds += ", ";
    kinds += std::to_string(worst.stuck_entering) + " entering";
  }
  if (kinds.empty()) kinds = "none";
  char time[64] = "         -          -";
  if (out > 0) {
    std::snprintf(time, sizeof(time), "%10.1f %10.1f", times[times.size() / 2],
                  times.back());
  }
  std::printf("%-27s %5d of %-2d %s  %-22s %s\n", std::string(L::kName).c_str(),
              out, kWaiting + kEntering, time, kinds.c_str(),
              as_designed ? "" : "NOT AS DESIGNED");
  std::fflush(stdout);
  return as_designed;
}

}  // namespace

int main() {
  std::printf(
      "A stalled server holds the driver; a Proc with %d waiting and %d\n"
      "entering threads is killed, %d times for each discipline.\n\n"
      "%-27s %11s %10s %10s  %s\n"
      "%-27s %11s %10s %10s  %s\n",
      kWaiting, kEntering, kKills, "", "threads", "last exit", "after, us",
      "stuck until the", "discipline", "got out", "p50", "max",
      "server let go");
  bool as_designed =
      Row<bl::BinderLock<bl::Relock::kAlways>>(kWaiting, kEntering);
  as_designed &= Row<bl::BinderLock<bl::Relock::kUnlessKilled>>(0, kEntering);
  as_designed &= Row<bl::BinderLock<bl::Relock::kInterruptible>>(0, 0);
  as_designed &= Row<bl::FineGrained<>>(0, 0);
  return as_designed ? 0 : 1;
}
