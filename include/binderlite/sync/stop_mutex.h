// SPDX-License-Identifier: Apache-2.0
//
// The stop-aware lock and the stop-aware wait, for use on their own: no binder
// needed. Waiting for either ends when a std::stop_token says so, whoever holds
// what.
//
//   binderlite::sync::StopMutex mu;
//
//   void Work(std::stop_token stop) {
//     binderlite::sync::StopMutexLock lock(mu, stop);
//     if (!lock.held()) return;  // asked to stop while waiting for it
//     ...
//   }
//
//   binderlite::sync::Parker parker;  // one sleeper; wakers call Wake()
//   switch (parker.Park(stop, deadline)) { ... }
//
// A StopMutex may be held for long, across input and output as well: nobody
// who waits for it is out of reach. It is not recursive and not fair. The rules
// of both are in the table of sync/primitives.h.

#ifndef BINDERLITE_SYNC_STOP_MUTEX_H_
#define BINDERLITE_SYNC_STOP_MUTEX_H_

#include "absl/base/thread_annotations.h"
#include "binderlite/sync/abseil_primitives.h"
#include "binderlite/sync/stop.h"

namespace binderlite::sync {

using StopMutex = AbseilPrimitives::StopMutex;
using Parker = AbseilPrimitives::Parker;

// Holds a StopMutex for a scope, or does not. Whether it does is known at run
// time only, so clang's thread safety analysis takes it to be held: look at
// held() before touching what the mutex guards.
template <class M = StopMutex>
class ABSL_SCOPED_LOCKABLE [[nodiscard]] StopMutexLock {
 public:
  // Waits until the mutex is free or a stop is requested; a stop that was
  // requested before wins even if it is free.
  StopMutexLock(M& mu, const StopSignals& signals)
      ABSL_EXCLUSIVE_LOCK_FUNCTION(mu) ABSL_NO_THREAD_SAFETY_ANALYSIS
      : mu_(mu),
        held_(mu.Lock(signals)) {}
  StopMutexLock(const StopMutexLock&) = delete;
  StopMutexLock& operator=(const StopMutexLock&) = delete;
  ~StopMutexLock() ABSL_UNLOCK_FUNCTION() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if (held_) mu_.Unlock();
  }

  [[nodiscard]] bool held() const { return held_; }

 private:
  M& mu_;
  const bool held_;
};

}  // namespace binderlite::sync

#endif  // BINDERLITE_SYNC_STOP_MUTEX_H_
