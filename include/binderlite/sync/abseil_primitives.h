// SPDX-License-Identifier: Apache-2.0
//
// The production model of Primitives, on absl::Mutex and absl::Condition.
//
// The only file that names an Abseil type besides the annotations, and the one
// place that knows Abseil's dialects: releases before August 2025 have
// Mutex::Lock() only, releases of 2026 deprecate it in favour of lock().
//
// Locks: each object here owns one absl::Mutex, held for a bounded number of
// instructions and never while another lock of the library is taken. Stop
// callbacks registered here take only that mutex.
// Fails: never. absl::Mutex aborts on what it can prove to be misuse.

#ifndef BINDERLITE_SYNC_ABSEIL_PRIMITIVES_H_
#define BINDERLITE_SYNC_ABSEIL_PRIMITIVES_H_

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "binderlite/config.h"
#include "binderlite/sync/primitives.h"
#include "binderlite/sync/spinning.h"
#include "binderlite/sync/stop.h"

namespace binderlite::sync {

namespace abseil_internal {

// Templates, so that the branch that the installed Abseil has no function for
// is parsed but not compiled. Unanalysed, since which of the two functions
// carries the annotation depends on the release.
template <class M>
void Lock(M& mu) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  if constexpr (requires { mu.lock(); }) {
    mu.lock();
  } else {
    mu.Lock();
  }
}

template <class M>
void Unlock(M& mu) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  if constexpr (requires { mu.unlock(); }) {
    mu.unlock();
  } else {
    mu.Unlock();
  }
}

// Tells the core that this is a spin loop.
inline void SpinPause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

}  // namespace abseil_internal

// An absl::Mutex, and for the other classes of this file its waits. Also
// P::Mutex of CheckedAbseilPrimitives.
class ABSL_LOCKABLE AbseilMutex {
 public:
  AbseilMutex() = default;
  AbseilMutex(const AbseilMutex&) = delete;
  AbseilMutex& operator=(const AbseilMutex&) = delete;

  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { abseil_internal::Lock(mu_); }
  void Unlock() ABSL_UNLOCK_FUNCTION() { abseil_internal::Unlock(mu_); }
  void AssertHeld() const ABSL_ASSERT_EXCLUSIVE_LOCK() { mu_.AssertHeld(); }

  // Unlocks, sleeps until `ready()` and locks again. `ready` is evaluated under
  // the mutex, by this thread or by any that unlocks it; what it reads must
  // only turn it true before someone unlocks the mutex.
  // Unanalysed for the reason given at abseil_internal::Lock.
  template <class Ready>
  void Await(const Ready& ready)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(this) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    mu_.Await(absl::Condition(&ready));
  }

  // The same, but gives up after about `timeout`: may be early or late.
  template <class Ready>
  void AwaitFor(const Ready& ready, std::chrono::nanoseconds timeout)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(this) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    // Its result says the same as ready(), which all callers ask anyway.
    static_cast<void>(mu_.AwaitWithTimeout(absl::Condition(&ready),
                                           absl::FromChrono(timeout)));
  }

  // The same, but gives up at `deadline`. Whether it is ready.
  template <class Ready>
  [[nodiscard]] bool AwaitUntil(const Ready& ready, TimePoint deadline)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(this) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if (deadline == kNoDeadline) {
      Await(ready);
      return true;
    }
    const TimePoint now = std::chrono::steady_clock::now();
    // From so far in the past the difference would overflow.
    if (deadline <= now) return ready();
    return mu_.AwaitWithTimeout(absl::Condition(&ready),
                                absl::FromChrono(deadline - now));
  }

 private:
  absl::Mutex mu_;
};

// P::Mutex. One atomic word says whether the mutex is held and how many wait
// for it; without contention that is all there is, and it costs half of what an
// absl::Mutex does. Those who wait sleep under mu_ with a condition each. Not
// fair: a newcomer may overtake a waiter that is waking up.
//
// Abseil's deadlock detection does not see it; CheckedAbseilPrimitives have an
// absl::Mutex in its place.
class ABSL_LOCKABLE AbseilFastMutex {
 public:
  AbseilFastMutex() = default;
  AbseilFastMutex(const AbseilFastMutex&) = delete;
  AbseilFastMutex& operator=(const AbseilFastMutex&) = delete;

  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() {
    // Never stops, hence always true.
    if (!TryTake()) static_cast<void>(SpinAndTake() || Wait(StopSignals()));
  }
  void Unlock() ABSL_UNLOCK_FUNCTION() {
    std::uint32_t expected = kHeld;
    if (!state_.compare_exchange_strong(expected, 0, std::memory_order_release,
                                        std::memory_order_relaxed)) {
      DropWaitedFor();
    }
  }

  // Dies if nobody holds the mutex. Who does, is not recorded.
  void AssertHeld() const ABSL_ASSERT_EXCLUSIVE_LOCK() {
    BINDERLITE_ASSERT((state_.load(std::memory_order_relaxed) & kHeld) != 0);
  }

  int waiters() const {
    return static_cast<int>(state_.load(std::memory_order_acquire) / kWaiter);
  }

 protected:
  bool TryTake() {
    return (state_.fetch_or(kHeld, std::memory_order_acquire) & kHeld) == 0;
  }

  bool SpinAndTake() {
    for (int i = 0; i < kSpins; ++i) {
      abseil_internal::SpinPause();
      if (!held() && TryTake()) return true;
    }
    return false;
  }

  // Has the conditions of those who wait be looked at.
  void Kick() {
    mu_.Lock();
    mu_.Unlock();
  }

  // Being held and being waited for share a word. So either the last owner
  // finds the waiter registered and goes through mu_, which has the waiter's
  // condition evaluated, or the waiter finds the mutex free.
  bool Wait(const StopSignals& signals) {
    const auto ready = [this, &signals] {
      return !held() || signals.requested();
    };
    bool taken = false;
    mu_.Lock();
    state_.fetch_add(kWaiter, std::memory_order_relaxed);
    do {
      mu_.Await(ready);
      taken = TryTake();
      if (signals.requested()) {
        // Unlocking mu_ below wakes the next waiter, if there is one.
        if (taken) state_.fetch_and(~kHeld, std::memory_order_release);
        taken = false;
        break;
      }
    } while (!taken);
    state_.fetch_sub(kWaiter, std::memory_order_relaxed);
    mu_.Unlock();
    return taken;
  }

 private:
  static constexpr std::uint32_t kHeld = 1;
  static constexpr std::uint32_t kWaiter = 2;  // times the number of waiters
  // 64 pauses are about 2 us: less than going to sleep and being woken costs
  // when the owner runs on another core, and little when it does not.
  static constexpr int kSpins = 64;

  bool held() const {
    return (state_.load(std::memory_order_acquire) & kHeld) != 0;
  }

  // Unlocks when there may be waiters.
  void DropWaitedFor() {
    std::uint32_t expected = kHeld;
    while (!state_.compare_exchange_weak(expected, 0, std::memory_order_release,
                                         std::memory_order_relaxed)) {
      BINDERLITE_ASSERT((expected & kHeld) != 0);
      if (expected > kHeld) {
        // Whoever locks the mutex next may destroy it. Waiters leave only under
        // mu_, so if there is one now, nobody can get that far before mu_ is
        // unlocked; and if there is none any more, nothing has been given away.
        mu_.Lock();
        const bool waited_for = state_.load(std::memory_order_relaxed) > kHeld;
        if (waited_for) state_.fetch_and(~kHeld, std::memory_order_release);
        mu_.Unlock();
        if (waited_for) return;
      }
      expected = kHeld;
    }
  }

  std::atomic<std::uint32_t> state_{0};
  AbseilMutex mu_;
};

// P::StopMutex.
class ABSL_LOCKABLE AbseilStopMutex : private AbseilFastMutex {
 public:
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() {
    if (TryTake() || SpinAndTake()) return;
    deaf_.fetch_add(1, std::memory_order_relaxed);
    // Never stops, hence always true.
    static_cast<void>(Wait(StopSignals()));
    deaf_.fetch_sub(1, std::memory_order_relaxed);
  }

  [[nodiscard]] bool Lock(const StopSignals& signals)
      ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if (signals.requested()) return false;
    if (TryTake() || SpinAndTake()) {
      // The stop may have been requested since, and before the unlock that let
      // us in; it wins.
      if (!signals.requested()) return true;
      AbseilFastMutex::Unlock();
      return false;
    }
    // Before mu_ is locked and until it is unlocked. The signals themselves are
    // what the waiter's condition reads, so the callback has only to make the
    // conditions be looked at.
    StopCallbacks on_stop(signals, [this] { Kick(); });
    return Wait(signals);
  }

  [[nodiscard]] bool TryLock()
      ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return TryTake();
  }

  void Unlock() ABSL_UNLOCK_FUNCTION() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    AbseilFastMutex::Unlock();
  }
  void AssertHeld() const ABSL_ASSERT_EXCLUSIVE_LOCK() {
    AbseilFastMutex::AssertHeld();
  }

  using AbseilFastMutex::waiters;

  // Those of them that no stop can reach: they wait in Lock().
  int deaf_waiters() const { return deaf_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int> deaf_{0};
};

// P::Parker. Its mutex has one waiter at most, so that no unlock evaluates the
// conditions of strangers. A Wake that finds nobody asleep touches one word.
class AbseilParker {
 public:
  AbseilParker() = default;
  AbseilParker(const AbseilParker&) = delete;
  AbseilParker& operator=(const AbseilParker&) = delete;

  void Wake() {
    waker_cpu_.store(::sched_getcpu(), std::memory_order_relaxed);
    State seen = state_.load(std::memory_order_relaxed);
    while (seen != State::kParked) {
      // Writes even if there is a permit, since the thread that takes it has to
      // see what this caller did before.
      if (state_.compare_exchange_weak(seen, State::kPermit)) return;
    }
    mu_.Lock();
    if (state_.exchange(State::kPermit) == State::kParked &&
        spinners_ != nullptr) {
      spinners_->JoinCrowd(slept_on_);
    }
    mu_.Unlock();
  }

  // Sleeps at once.
  [[nodiscard]] WaitResult Park(const StopSignals& signals,
                                TimePoint deadline) {
    return Park(signals, deadline, nullptr);
  }

  // Looks out for a while first; see sync/spinning.h.
  [[nodiscard]] WaitResult Park(const StopSignals& signals, TimePoint deadline,
                                Spinners& spinners) {
    return Park(signals, deadline, &spinners);
  }

  bool parked() const {
    return state_.load(std::memory_order_acquire) == State::kParked;
  }

 private:
  enum class State : std::uint32_t { kEmpty, kPermit, kParked };

  [[nodiscard]] WaitResult Park(const StopSignals& signals, TimePoint deadline,
                                Spinners* spinners) {
    if (signals.requested()) return WaitResult::kStopped;
    if (state_.load(std::memory_order_acquire) == State::kPermit) {
      return Consume(signals);
    }
    if (deadline != kNoDeadline &&
        deadline <= std::chrono::steady_clock::now()) {
      return WaitResult::kDeadline;
    }
    if (spinners != nullptr && LookOut(signals, deadline, *spinners)) {
      return Consume(signals);
    }
    // Before mu_ is locked and until it is unlocked; see AbseilStopMutex::Lock.
    // As a rule a kill wakes this parker anyway. To listen to it as well would
    // cost each sleep something, and each who is killed the wait for the
    // callback to be over.
    StopCallbacks on_stop(
        signals,
        [this] {
          mu_.Lock();
          mu_.Unlock();
        },
        /*kill=*/!signals.KillWakes(this));
    Sleep(signals, deadline, spinners);
    return Consume(signals);
  }

  // True: there is something to consume.
  bool LookOut(const StopSignals& signals, TimePoint deadline,
               Spinners& spinners) {
    const WaitOptions& options = spinners.options();
    if (options.spin <= options.spin.zero() && options.yields <= 0) {
      return false;
    }
    if ((++waits_ & ((1u << vain_) - 1)) != 0) return false;
    if (Spin(signals, deadline, spinners) ||
        Yield(signals, deadline, spinners)) {
      vain_ = 0;
      return true;
    }
    constexpr unsigned kMost = 6;
    vain_ = std::min(vain_ + 1, kMost);
    return false;
  }

  bool Spin(const StopSignals& signals, TimePoint deadline,
            Spinners& spinners) {
    // Between two looks at the clock and at where everybody is.
    constexpr int kLooks = 64;
    const auto pays = [this, &spinners] {
      const int cpu = ::sched_getcpu();
      return waker_cpu_.load(std::memory_order_relaxed) != cpu &&
             !spinners.crowded(cpu);
    };
    if (spinners.options().spin <= spinners.options().spin.zero() ||
        spinners.limit() <= 0 || !pays()) {
      return false;
    }
    Spinners::Place place(spinners);
    TimePoint end;
    bool first = true;
    do {
      for (int i = 0; i < kLooks; ++i) {
        if (HasNews(signals)) return true;
        abseil_internal::SpinPause();
      }
      const TimePoint now = std::chrono::steady_clock::now();
      if (first) end = std::min(deadline, now + spinners.options().spin);
      first = false;
      if (now >= end) break;
    } while (pays() && place.Take());
    return HasNews(signals);
  }

  bool Yield(const StopSignals& signals, TimePoint deadline,
             Spinners& spinners) {
    const int times = spinners.options().yields;
    if (times <= 0) return false;
    const int cpu = ::sched_getcpu();
    spinners.JoinCrowd(cpu);
    bool news = false;
    for (int i = 0; i < times && !news; ++i) {
      std::this_thread::yield();
      news = HasNews(signals);
      if (!news && deadline != kNoDeadline &&
          deadline <= std::chrono::steady_clock::now()) {
        break;
      }
    }
    spinners.LeaveCrowd(cpu);
    return news;
  }

  [[nodiscard]] bool HasNews(const StopSignals& signals) const {
    return state_.load(std::memory_order_acquire) == State::kPermit ||
           signals.requested();
  }

  void Sleep(const StopSignals& signals, TimePoint deadline,
             Spinners* spinners) {
    const auto ready = [this, &signals] { return HasNews(signals); };
    mu_.Lock();
    spinners_ = spinners;
    const int cpu = slept_on_ = ::sched_getcpu();
    State expected = State::kEmpty;
    const bool slept = state_.compare_exchange_strong(expected, State::kParked);
    BINDERLITE_ASSERT(expected != State::kParked &&
                      "two threads in one Parker");
    while (!ready()) {
      if (deadline == kNoDeadline) {
        mu_.Await(ready);
        continue;
      }
      // Abseil's clock is not ours: what it calls the end may be too early.
      const TimePoint now = std::chrono::steady_clock::now();
      if (deadline <= now) break;
      mu_.AwaitFor(ready, deadline - now);
    }
    expected = State::kParked;
    const bool woken =
        !state_.compare_exchange_strong(expected, State::kEmpty) && slept;
    mu_.Unlock();
    if (woken && spinners != nullptr) spinners->LeaveCrowd(cpu);
  }

  // Called when there is a permit, a stop or, failing both, a passed deadline.
  WaitResult Consume(const StopSignals& signals) {
    State expected = State::kPermit;
    const bool woken = state_.compare_exchange_strong(expected, State::kEmpty);
    if (signals.requested()) {
      // The permit is for the next Park.
      if (woken) state_.exchange(State::kPermit);
      return WaitResult::kStopped;
    }
    return woken ? WaitResult::kWoken : WaitResult::kDeadline;
  }

  std::atomic<State> state_{State::kEmpty};
  std::atomic<int> waker_cpu_{-1};  // Where it was woken from last.
  // Of the thread that parks: how often it has, and how often in a row looking
  // out was in vain.
  unsigned waits_ = 0;
  unsigned vain_ = 0;
  AbseilMutex mu_;
  // Of the thread that sleeps; under mu_.
  Spinners* spinners_ = nullptr;
  int slept_on_ = 0;
};

// P::Worker: a named std::thread.
class AbseilWorker {
 public:
  // The system shows the first 15 characters of `name`.
  template <class F>
  AbseilWorker(std::string name, F f)
      : thread_([name = std::move(name), f = std::move(f)]() mutable {
          name.resize(name.size() < kNameSize ? name.size() : kNameSize);
          pthread_setname_np(pthread_self(), name.c_str());
          f();
        }) {}
  ~AbseilWorker() { thread_.join(); }

  AbseilWorker(const AbseilWorker&) = delete;
  AbseilWorker& operator=(const AbseilWorker&) = delete;

 private:
  static constexpr std::size_t kNameSize = 15;
  std::thread thread_;
};

// The default of every locking policy.
struct AbseilPrimitives {
  using Mutex = AbseilFastMutex;
  using StopMutex = AbseilStopMutex;
  using Parker = AbseilParker;
  using Worker = AbseilWorker;

  static TimePoint Now() { return std::chrono::steady_clock::now(); }
  static void SchedulingPoint() {}
};

// The same with absl::Mutexes, for programs that want to have the order in
// which the driver takes its locks watched by Abseil's deadlock detection.
struct CheckedAbseilPrimitives : AbseilPrimitives {
  using Mutex = AbseilMutex;
};

static_assert(Primitives<AbseilPrimitives>);
static_assert(Primitives<CheckedAbseilPrimitives>);

}  // namespace binderlite::sync

#endif  // BINDERLITE_SYNC_ABSEIL_PRIMITIVES_H_
