// SPDX-License-Identifier: Apache-2.0
//
// Threads that stay from one kill, or one wake-up, to the next: a Team of them
// that all do the same thing when told to, and Exits, which knows when each was
// done with it.

#ifndef BINDERLITE_BENCH_SUPPORT_LAB_TEAM_H_
#define BINDERLITE_BENCH_SUPPORT_LAB_TEAM_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "binderlite/core/proc.h"
#include "binderlite/core/task.h"
#include "binderlite/sync/mutex_lock.h"
#include "support/lab_measure.h"

namespace binderlite::bench {

template <class Condition>
void YieldUntil(Condition condition) {
  while (!condition()) std::this_thread::yield();
}

template <class Condition>
bool YieldUntil(Condition condition, Clock::time_point deadline) {
  while (!condition()) {
    if (Clock::now() >= deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

// A number of threads that do the same thing, all at once, again and again.
class Team {
 public:
  // `job` is called as the n-th member.
  Team(int size, std::function<void(int)> job) : job_(std::move(job)) {
    for (int n = 0; n < size; ++n) {
      members_.emplace_back([this, n] { Run(n); });
    }
  }
  ~Team() {
    ends_.store(true);
    Start();
  }
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  void Start() {
    round_.fetch_add(1);
    round_.notify_all();
  }

 private:
  void Run(int n) {
    for (std::uint32_t round = 0;;) {
      round_.wait(round);
      ++round;
      if (ends_.load()) return;
      job_(n);
    }
  }

  const std::function<void(int)> job_;
  std::atomic<std::uint32_t> round_{0};
  std::atomic<bool> ends_{false};
  // Last: they end before what they use.
  std::vector<std::jthread> members_;
};

// When the members of a team were done; each has a line of its own.
template <std::size_t kSize>
class Exits {
 public:
  void Reset() {
    for (Exit& exit : exits_) exit.out.store(false);
  }
  void Leave(int n) {
    Exit& exit = exits_[static_cast<std::size_t>(n)];
    exit.time = Clock::now();
    exit.out.store(true, std::memory_order_release);
  }
  [[nodiscard]] int Out() const {
    return static_cast<int>(
        std::count_if(exits_.begin(), exits_.end(),
                      [](const Exit& exit) { return exit.out.load(); }));
  }
  // All are out.
  [[nodiscard]] Clock::time_point Last() const {
    return std::max_element(
               exits_.begin(), exits_.end(),
               [](const Exit& a, const Exit& b) { return a.time < b.time; })
        ->time;
  }

 private:
  struct alignas(128) Exit {
    Clock::time_point time;
    std::atomic<bool> out{false};
  };
  std::array<Exit, kSize> exits_;
};

// How many of the Proc's threads sleep.
template <class L>
int Asleep(core::Proc<L>& proc) {
  sync::MutexLock lock(proc.tasks_mu);
  int asleep = 0;
  proc.tasks.ForEach([&asleep](const core::Task<L>& task) {
    if (task.parker.parked()) ++asleep;
  });
  return asleep;
}

}  // namespace binderlite::bench

#endif  // BINDERLITE_BENCH_SUPPORT_LAB_TEAM_H_
