// SPDX-License-Identifier: Apache-2.0
//
// The primitives that a locking policy is built from, as one concept.
//
// Whatever in the driver sleeps, reads the clock or starts a thread does it
// through a type P that models Primitives. AbseilPrimitives is the production
// model; SteppedPrimitives, for tests, runs one thread at a time and decides at
// every step which. What lies above the driver (api, debug, uapi) uses
// AbseilPrimitives and the standard library.
//
// Obligations of a model:
//
//   P::Mutex          Short critical sections only: a bounded number of
//                     instructions, nothing that waits.
//     Lock()            Blocks until the caller owns the mutex. Not recursive.
//     Unlock()          By the owner. The mutex may be destroyed by whoever
//                       locks it next, even before this call has returned.
//     AssertHeld()      Dies, or does nothing, if the caller does not own it.
//   P::StopMutex      May be held for long; waiting for it can be given up.
//     Lock()            As above; cannot be stopped.
//     bool Lock(s)      False, and nothing acquired, if a stop of `s` was
//                       requested before the call (even when the mutex is free)
//                       or before the mutex was released to this caller. A wait
//                       ends in bounded time after the request, whoever holds
//                       the mutex. A waiter that gives up passes on the wake-up
//                       it may have been given.
//     bool TryLock()    False if somebody holds it; never waits. For those who
//                       look at what hangs, and can do without.
//     Unlock()          As above.
//     AssertHeld()      As above; may be satisfied by another thread's lock.
//     int waiters()     Threads that are blocked, or are about to be, in either
//                       Lock. A snapshot, for tests and statistics.
//     int deaf_waiters()
//                       Those of them in the Lock() that cannot be stopped.
//   P::Parker         One thread sleeps, any thread wakes it.
//     Wake()            Leaves a permit; permits do not add up. What the caller
//                       did before is visible to the thread whose Park returns
//                       kWoken for it. Callable from a stop callback.
//     Park(s, t)        Consumes a permit: kWoken, at once if there is one.
//                       kStopped if a stop of `s` is requested; this wins, and
//                       then a permit stays. kDeadline at or after `t`, never
//                       before. May return kWoken without a permit. One thread
//                       at a time.
//     bool parked()     A thread sleeps, or is about to sleep, in Park and no
//                       permit is there. A snapshot, for tests.
//   P::Worker         A thread: Worker(std::string name, F f) runs f() in it,
//                     the destructor joins. Neither copied nor moved.
//   P::Now()          The clock of the deadlines. Monotonic.
//   P::SchedulingPoint()
//                     Says that other threads might run here and the outcome
//                     might differ; put one between two accesses to an atomic
//                     variable. Nothing in production. Not inside a stop
//                     callback.
//
// Mutex, StopMutex and Parker are default constructible, and are neither copied
// nor moved. Nothing throws.

#ifndef BINDERLITE_SYNC_PRIMITIVES_H_
#define BINDERLITE_SYNC_PRIMITIVES_H_

#include <concepts>
#include <string>

#include "binderlite/sync/mutex_lock.h"
#include "binderlite/sync/spinning.h"
#include "binderlite/sync/stop.h"

namespace binderlite::sync {

// The table above, as far as the compiler can check it.
template <class P>
concept Primitives = BasicMutex<typename P::Mutex> &&
    std::default_initializable<typename P::Mutex> &&
    BasicMutex<typename P::StopMutex> &&
    std::default_initializable<typename P::StopMutex> &&
    std::default_initializable<typename P::Parker> &&
    std::constructible_from<typename P::Worker, std::string, void (*)()> &&
    requires(typename P::StopMutex& mu, const typename P::StopMutex& const_mu,
             typename P::Parker& parker, const typename P::Parker& const_parker,
             const StopSignals& signals, TimePoint deadline,
             Spinners& spinners) {
  { mu.Lock(signals) } -> std::same_as<bool>;
  { mu.TryLock() } -> std::same_as<bool>;
  { const_mu.waiters() } -> std::same_as<int>;
  { const_mu.deaf_waiters() } -> std::same_as<int>;
  { parker.Wake() } -> std::same_as<void>;
  { parker.Park(signals, deadline) } -> std::same_as<WaitResult>;
  { parker.Park(signals, deadline, spinners) } -> std::same_as<WaitResult>;
  { const_parker.parked() } -> std::same_as<bool>;
  { P::Now() } -> std::same_as<TimePoint>;
  { P::SchedulingPoint() } -> std::same_as<void>;
};

}  // namespace binderlite::sync

#endif  // BINDERLITE_SYNC_PRIMITIVES_H_
