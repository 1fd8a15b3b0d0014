// SPDX-License-Identifier: Apache-2.0
//
// LabPrimitives: AbseilPrimitives that take down how long their mutexes are
// waited for and held. What a Parker does inside is no lock of the driver's and
// is not counted: threads that wait for work are not in each other's way.
//
// So as to disturb little of what it measures: each thread writes to a recorder
// of its own, without locks; time is the processor's counter where there is
// one; and of the acquisitions, of which a call has many, only one in eight,
// drawn at random, is timed, and then counts for eight. All are counted. So
// what is said to be the longest is the longest of those that were timed.

#ifndef BINDERLITE_BENCH_SUPPORT_LAB_PRIMITIVES_H_
#define BINDERLITE_BENCH_SUPPORT_LAB_PRIMITIVES_H_

#include <chrono>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "binderlite/sync/abseil_primitives.h"
#include "binderlite/sync/stop.h"
#include "support/histogram.h"

namespace binderlite::bench {

// A clock that is cheap to read, in units of its own.
inline std::uint64_t LabTicks() {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#else
  return static_cast<std::uint64_t>(
      std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}

// What one thread sees of locks, in ticks. Read when the thread has ended.
class alignas(128) LockRecorder {
 public:
  // Where the calling thread takes things down; null: nowhere.
  static LockRecorder*& OfThread() {
    thread_local LockRecorder* recorder = nullptr;
    return recorder;
  }

  static constexpr std::uint32_t kOneIn = 8;

  // Times one acquisition in `one_in`.
  explicit LockRecorder(std::uint32_t seed, std::uint32_t one_in = kOneIn)
      : one_in_(one_in), random_(2 * seed + 1) {}

  // For as long as it is on.
  void SetOn(bool on) { on_ = on; }

  // Counts an acquisition; whether it is to be timed.
  bool Count() {
    if (!on_) return false;
    ++acquisitions_;
    random_ ^= random_ << 13;
    random_ ^= random_ >> 17;
    random_ ^= random_ << 5;
    return random_ % one_in_ == 0;
  }
  void Waited(std::uint64_t from, std::uint64_t to) {
    waits_.Record(static_cast<std::int64_t>(to - from), one_in_);
  }
  void Held(std::uint64_t from, std::uint64_t to) {
    holds_.Record(static_cast<std::int64_t>(to - from), one_in_);
  }

  [[nodiscard]] const Histogram& waits() const { return waits_; }
  [[nodiscard]] const Histogram& holds() const { return holds_; }
  [[nodiscard]] std::uint64_t acquisitions() const { return acquisitions_; }

 private:
  const std::uint32_t one_in_;
  bool on_ = false;
  std::uint32_t random_;
  std::uint64_t acquisitions_ = 0;
  Histogram waits_;
  Histogram holds_;
};

// A mutex M that tells the recorder of whoever takes it.
template <class M>
class ABSL_LOCKABLE LabMutex {
 public:
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    (void)Timed([this]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      mu_.Lock();
      return true;
    });
  }
  // Of a StopMutex.
  [[nodiscard]] bool Lock(const sync::StopSignals& signals)
      ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return Timed([this, &signals]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      return mu_.Lock(signals);
    });
  }
  // Likewise.
  [[nodiscard]] bool TryLock()
      ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return Timed([this]()
                     ABSL_NO_THREAD_SAFETY_ANALYSIS { return mu_.TryLock(); });
  }
  void Unlock() ABSL_UNLOCK_FUNCTION() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    const std::uint64_t since = locked_at_;
    if (since == 0) {
      mu_.Unlock();
      return;
    }
    const std::uint64_t now = LabTicks();
    mu_.Unlock();
    // From here on the mutex may be gone.
    if (LockRecorder* const recorder = LockRecorder::OfThread()) {
      recorder->Held(since, now);
    }
  }
  void AssertHeld() const ABSL_ASSERT_EXCLUSIVE_LOCK() { mu_.AssertHeld(); }
  [[nodiscard]] int waiters() const { return mu_.waiters(); }
  [[nodiscard]] int deaf_waiters() const { return mu_.deaf_waiters(); }

 private:
  template <class F>
  bool Timed(F lock) {
    LockRecorder* const recorder = LockRecorder::OfThread();
    if (recorder == nullptr || !recorder->Count()) {
      if (!lock()) return false;
      locked_at_ = 0;
      return true;
    }
    const std::uint64_t before = LabTicks();
    const bool taken = lock();
    const std::uint64_t after = LabTicks();
    if (taken) locked_at_ = after;
    recorder->Waited(before, after);
    return taken;
  }

  M mu_;
  std::uint64_t locked_at_ = 0;  // 0: not timed. Guarded by the mutex.
};

struct LabPrimitives : sync::AbseilPrimitives {
  using Mutex = LabMutex<sync::AbseilPrimitives::Mutex>;
  using StopMutex = LabMutex<sync::AbseilStopMutex>;
};

}  // namespace binderlite::bench

#endif  // BINDERLITE_BENCH_SUPPORT_LAB_PRIMITIVES_H_
