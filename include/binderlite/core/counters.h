// SPDX-License-Identifier: Apache-2.0
//
// ThreadCounters: how many looper threads a Proc may have, has asked for, has,
// and has waiting for process work; from these follows when BR_SPAWN_LOOPER is
// due.
//
// requested, started and ready change together and are read together: they
// share one atomic word. So a leaving thread corrects them without any lock.
// Policies may add the mutex that the 2017 patch put around them; it is never
// held across user memory or a wait.
// Kernel: max_threads, requested_threads, requested_threads_started,
// ready_threads of binder_proc.

#ifndef BINDERLITE_CORE_COUNTERS_H_
#define BINDERLITE_CORE_COUNTERS_H_

#include <atomic>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "binderlite/config.h"
#include "binderlite/sync/mutex_lock.h"

namespace binderlite::core {

template <class L>
class ThreadCounters {
 public:
  struct Snapshot {
    std::uint32_t max = 0;
    std::uint32_t requested = 0;  // 0 or 1.
    std::uint32_t started = 0;
    std::uint32_t ready = 0;
  };

  // Handles SET_MAX_THREADS.
  void SetMax(std::uint32_t max) {
    sync::MutexLock lock(mu_);
    max_.store(max, std::memory_order_relaxed);
  }

  // BR_SPAWN_LOOPER is due: nobody waits, none is requested, and there is room
  // below the maximum. True: the request is now counted as made.
  [[nodiscard]] bool RequestThread() {
    sync::MutexLock lock(mu_);
    const std::uint32_t max = max_.load(std::memory_order_relaxed);
    std::uint64_t now = word_.load(std::memory_order_relaxed);
    do {
      if (Requested(now) != 0 || Ready(now) != 0 || Started(now) >= max) {
        return false;
      }
    } while (!Replace(now, now + kOneRequested));
    return true;
  }

  // Handles BC_REGISTER_LOOPER: a request becomes a started thread. False when
  // none was outstanding.
  [[nodiscard]] bool RegisterThread() {
    sync::MutexLock lock(mu_);
    std::uint64_t now = word_.load(std::memory_order_relaxed);
    do {
      if (Requested(now) == 0) return false;
    } while (!Replace(now, now - kOneRequested + kOneStarted));
    return true;
  }

  // A thread went on, or was taken off, the list of those that wait for
  // process work.
  void AddReady() {
    sync::MutexLock lock(mu_);
    word_.fetch_add(kOneReady, std::memory_order_relaxed);
  }
  void RemoveReady() {
    sync::MutexLock lock(mu_);
    const std::uint64_t before =
        word_.fetch_sub(kOneReady, std::memory_order_relaxed);
    BINDERLITE_ASSERT(Ready(before) != 0);
    (void)before;
  }

  [[nodiscard]] Snapshot snapshot() const {
    sync::MutexLock lock(mu_);
    const std::uint64_t now = word_.load(std::memory_order_relaxed);
    return {.max = max_.load(std::memory_order_relaxed),
            .requested = Requested(now),
            .started = Started(now),
            .ready = Ready(now)};
  }

 private:
  // ready: bits 0..30, started: bits 31..62, requested: bit 63.
  static constexpr std::uint64_t kOneReady = 1;
  static constexpr std::uint64_t kOneStarted = std::uint64_t{1} << 31;
  static constexpr std::uint64_t kOneRequested = std::uint64_t{1} << 63;

  static std::uint32_t Ready(std::uint64_t word) {
    return static_cast<std::uint32_t>(word & (kOneStarted - 1));
  }
  static std::uint32_t Started(std::uint64_t word) {
    return static_cast<std::uint32_t>((word & ~kOneRequested) >> 31);
  }
  static std::uint32_t Requested(std::uint64_t word) {
    return static_cast<std::uint32_t>(word >> 63);
  }

  bool Replace(std::uint64_t& now, std::uint64_t then) {
    return word_.compare_exchange_weak(now, then, std::memory_order_relaxed);
  }

  mutable typename L::CountersMutex mu_;
  std::atomic<std::uint32_t> max_{0};
  std::atomic<std::uint64_t> word_{0};
};

}  // namespace binderlite::core

#endif  // BINDERLITE_CORE_COUNTERS_H_
