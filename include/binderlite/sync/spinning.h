// SPDX-License-Identifier: Apache-2.0
//
// How a thread waits before it sleeps. Sleeping costs two switches of threads
// and, from one processor to another, a good deal more for the interrupt; what
// comes within that time is cheaper to look out for. So a Parker looks out,
//
//   a moment           always: the other side may be about to leave a processor
//   WaitOptions::spin  while whoever woke it last was on another processor, no
//                      more threads do so than there are processors to spare,
//                      and nobody is known who could use this one
//   WaitOptions::yields  times, each after giving the processor away: this is
//                      what helps when both sides share one
//
// and then sleeps. Looking out in vain makes it do so less often: after k vain
// times in a row only every 2^k-th time, which bounds what an idle thread
// costs.
//
// Spinners is thread safe and takes no locks.

#ifndef BINDERLITE_SYNC_SPINNING_H_
#define BINDERLITE_SYNC_SPINNING_H_

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <thread>

#include "binderlite/sync/cache_line.h"

namespace binderlite::sync {

struct WaitOptions {
  // As long as it takes to sleep and be woken, or nearly: then looking out in
  // vain at most doubles the cost of a wait. Measured: 5 us between threads of
  // one processor, 25 to 60 us across processors of virtual machines. 0: never.
  std::chrono::nanoseconds spin = std::chrono::microseconds(25);
  int yields = 16;

  // Sleeps at once.
  [[nodiscard]] static constexpr WaitOptions ParkAtOnce() {
    return {.spin = std::chrono::nanoseconds(0), .yields = 0};
  }
  friend bool operator==(const WaitOptions&, const WaitOptions&) = default;
};

// Who may spin: a budget that threads share which wait for one another, in all
// Contexts of a program if it gives them the same one.
class Spinners {
 public:
  // `processors`: how many there are; 0 asks the system.
  explicit Spinners(const WaitOptions& options = {}, int processors = 0)
      : options_(options),
        limit_((processors > 0
                    ? processors
                    : static_cast<int>(std::thread::hardware_concurrency())) -
               1) {}
  Spinners(const Spinners&) = delete;
  Spinners& operator=(const Spinners&) = delete;

  [[nodiscard]] const WaitOptions& options() const { return options_; }
  // How many may spin at once, and how many do.
  [[nodiscard]] int limit() const { return limit_; }
  [[nodiscard]] int spinning() const {
    return spinning_.load(std::memory_order_relaxed);
  }

  // Those who could use processor `cpu`: they have slept there, been woken, and
  // do not run yet, or have given it away for a moment. Who spins there should
  // let them.
  [[nodiscard]] bool crowded(int cpu) const {
    return crowds_[Index(cpu)].size.load(std::memory_order_relaxed) > 0;
  }
  void JoinCrowd(int cpu) {
    crowds_[Index(cpu)].size.fetch_add(1, std::memory_order_relaxed);
  }
  void LeaveCrowd(int cpu) {
    crowds_[Index(cpu)].size.fetch_sub(1, std::memory_order_relaxed);
  }

  // A place among those who spin, for as long as it lives; false: all are
  // taken.
  class [[nodiscard]] Place {
   public:
    explicit Place(Spinners& spinners) : spinners_(spinners) {}
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() {
      if (taken_) spinners_.spinning_.fetch_sub(1, std::memory_order_relaxed);
    }
    bool Take() {
      if (taken_) return true;
      int seen = spinners_.spinning_.load(std::memory_order_relaxed);
      while (seen < spinners_.limit_) {
        if (spinners_.spinning_.compare_exchange_weak(
                seen, seen + 1, std::memory_order_relaxed)) {
          return taken_ = true;
        }
      }
      return false;
    }

   private:
    Spinners& spinners_;
    bool taken_ = false;
  };

 private:
  const WaitOptions options_;
  const int limit_;
  // Apart from what all read before they write it.
  alignas(kCacheLine) std::atomic<int> spinning_{0};
  // Processors that are so many apart share one.
  static constexpr std::size_t kCrowds = 16;
  struct alignas(kCacheLine) Crowd {
    std::atomic<int> size{0};
  };
  [[nodiscard]] static std::size_t Index(int cpu) {
    return static_cast<std::size_t>(cpu) % kCrowds;
  }
  std::array<Crowd, kCrowds> crowds_;
};

}  // namespace binderlite::sync

#endif  // BINDERLITE_SYNC_SPINNING_H_
