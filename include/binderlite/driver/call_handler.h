// SPDX-License-Identifier: Apache-2.0
//
// CallHandler: what a program gives a Proc so that calls to it are served on
// their caller's thread (driver/loan.h); and how long the driver keeps it.
//
// A handler that has been replaced lives until its last use ends.
//
// Locks: uses are counted under the waiters mutex of the Proc; the handler of a
// Proc is exchanged under its queues mutex. None is held while it runs, or is
// destroyed.

#ifndef BINDERLITE_DRIVER_CALL_HANDLER_H_
#define BINDERLITE_DRIVER_CALL_HANDLER_H_

#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "binderlite/core/proc.h"
#include "binderlite/driver/incoming.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/sync/stop.h"

namespace binderlite {

template <LockingPolicy L>
class BasicThread;

// A call that is served on its caller's thread, beside what is read of it.
struct ServedHere {
  // BR_SPAWN_LOOPER: the Proc wants one more looper.
  bool spawn_looper = false;
  // Of the call that the OS thread was making when this began: whether it has
  // been told to stop. It leaves when the handler returns.
  const sync::StopSignals& stops;
};

// What serves calls to a Proc, or to a thread of it that is calling, on their
// caller's thread; see BasicProc::SetCallHandler and driver/loan.h. May be
// called from many threads at once.
template <class L = FineGrained<>>
class CallHandler {
 public:
  virtual ~CallHandler() = default;

  // Serves `call`, a BR_TRANSACTION with a reply to come, as `self`: frees its
  // buffer, and replies before it returns; otherwise the call fails
  // (BR_FAILED_REPLY). `self` is good for this only, and must not be moved
  // away; its NextWork answers kWouldBlock once there is nothing more to come
  // of its own calls, and ThreadExit, Poll and what concerns loopers kInvalid.
  // No lock is held.
  virtual void OnCall(BasicThread<L>& self, const Incoming& call,
                      const ServedHere& here) = 0;
};

namespace driver {

// A use of the handler of `proc`, if it has one; until EndUse.
template <LockingPolicy L>
[[nodiscard]] core::HandlerInUse<L>* UseHandler(core::Proc<L>& proc)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(proc.queues_mu, proc.waiters_mu) {
  core::HandlerInUse<L>* const handler = proc.call_handler.get();
  if (handler != nullptr) ++handler->uses;
  return handler;
}

// Takes the handler of `proc` away. What is answered is the caller's to
// destroy, without any lock; one that is in use goes with its last use.
template <LockingPolicy L>
[[nodiscard]] std::unique_ptr<core::HandlerInUse<L>> TakeHandler(
    core::Proc<L>& proc) ABSL_EXCLUSIVE_LOCKS_REQUIRED(proc.queues_mu) {
  std::unique_ptr<core::HandlerInUse<L>> taken = std::move(proc.call_handler);
  sync::MutexLock waiters(proc.waiters_mu);
  if (taken != nullptr && taken->uses > 0) {
    taken->replaced = true;
    (void)taken.release();
  }
  return taken;
}

// With the waiters mutex of its Proc held. What is answered is to be destroyed
// likewise.
template <LockingPolicy L>
[[nodiscard]] std::unique_ptr<core::HandlerInUse<L>> EndUse(
    core::HandlerInUse<L>* handler) {
  if (handler == nullptr || --handler->uses > 0 || !handler->replaced) {
    return nullptr;
  }
  return std::unique_ptr<core::HandlerInUse<L>>(handler);
}

}  // namespace driver
}  // namespace binderlite

#endif  // BINDERLITE_DRIVER_CALL_HANDLER_H_
