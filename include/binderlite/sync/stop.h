// SPDX-License-Identifier: Apache-2.0
//
// Being told to stop: what every wait and every long lock acquisition of the
// library listens to.
//
// Declares TimePoint, kNoDeadline, WaitResult, StopSignals and StopCallbacks.
// Takes no lock itself; allocates nothing; cannot fail. The functor given to
// StopCallbacks usually takes one mutex, and then the lifetime rule written
// above that class is the caller's to keep.

#ifndef BINDERLITE_SYNC_STOP_H_
#define BINDERLITE_SYNC_STOP_H_

#include <chrono>
#include <stop_token>
#include <utility>

namespace binderlite::sync {

// Deadlines are points of the monotonic clock, never durations, so that a wait
// that is repeated does not start its time anew.
using TimePoint = std::chrono::steady_clock::time_point;

// "Wait for ever."
inline constexpr TimePoint kNoDeadline = TimePoint::max();

// Why a wait ended.
enum class WaitResult {
  kWoken,     // someone woke the waiter; spurious ones are allowed
  kStopped,   // a stop is requested; wins over the other two
  kDeadline,  // the deadline has passed
};

// Up to two stop requests that are observed together: that of the thread (a
// kill) and that of the one call it is making (a cancellation). A default
// constructed token, and with it a default constructed StopSignals, never
// stops. Once `requested()` it stays so.
//
// A copy shares the state of the tokens. Thread safe as std::stop_token is:
// different threads may use copies; one object may be read by many threads.
class StopSignals {
 public:
  StopSignals() noexcept = default;
  // Implicit: wherever signals are asked for, one token will do.
  StopSignals(std::stop_token kill) noexcept  // NOLINT(google-explicit-*)
      : kill_(std::move(kill)) {}
  StopSignals(std::stop_token kill, std::stop_token call) noexcept
      : kill_(std::move(kill)), call_(std::move(call)) {}
  // Whoever requests the stop of `kill` calls Wake of the Parker at `woken`
  // after that, so who sleeps there need not listen to it.
  StopSignals(std::stop_token kill, const void* woken) noexcept
      : kill_(std::move(kill)), woken_(woken) {}

  // The same kill, with a stop for one call.
  [[nodiscard]] StopSignals With(std::stop_token call) const noexcept {
    StopSignals both(kill_, std::move(call));
    both.woken_ = woken_;
    return both;
  }

  // Whether either stop has been requested.
  bool requested() const noexcept {
    return kill_.stop_requested() || call_.stop_requested();
  }

  // Whether either stop has been, or still can be, requested. False means that
  // a wait need not register anything.
  bool possible() const noexcept {
    return kill_.stop_possible() || call_.stop_possible();
  }

  // Whether the Parker at `parker` is woken when the kill is requested.
  bool KillWakes(const void* parker) const noexcept { return woken_ == parker; }

  const std::stop_token& kill() const noexcept { return kill_; }
  const std::stop_token& call() const noexcept { return call_; }

 private:
  std::stop_token kill_;
  std::stop_token call_;
  const void* woken_ = nullptr;
};

// Calls a copy of `callback` when a stop is requested, for as long as the
// object lives. If a stop is requested already, the constructor calls it.
//
// The callback runs in the thread that requests the stop, inside
// request_stop(). It runs at most once for each of the two tokens, possibly in
// two threads at the same time. The destructor waits for a callback that is
// running in another thread.
//
// Rule (lock order): when the callback takes a mutex, construct the
// StopCallbacks before that mutex is locked and destroy it after that mutex is
// unlocked. The constructor may run the callback, and the destructor may wait
// for it: done under the mutex, the first locks it twice and the second waits
// for a thread that waits for the mutex.
//
//   StopCallbacks on_stop(signals, [this] { mu_.Lock(); mu_.Unlock(); });
//   MutexLock lock(mu_);         // declared after, so destroyed before
//
// Registration costs an atomic read-modify-write on a line shared by all who
// listen to the same source: do it when about to sleep, not before.
template <class F>
class StopCallbacks {
 public:
  // A stop_callback for a token that cannot stop registers nothing. The same
  // source given twice needs one callback only. `kill`: whether to listen to
  // that one as well.
  StopCallbacks(const StopSignals& signals, F callback, bool kill = true)
      : on_kill_(kill ? signals.kill() : std::stop_token(), callback),
        on_call_(signals.call() == signals.kill() ? std::stop_token()
                                                  : signals.call(),
                 std::move(callback)) {}

  StopCallbacks(const StopCallbacks&) = delete;
  StopCallbacks& operator=(const StopCallbacks&) = delete;

 private:
  std::stop_callback<F> on_kill_;
  std::stop_callback<F> on_call_;
};

}  // namespace binderlite::sync

#endif  // BINDERLITE_SYNC_STOP_H_
