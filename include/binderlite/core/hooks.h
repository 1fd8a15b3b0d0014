// SPDX-License-Identifier: Apache-2.0
//
// Point and Hooks: the named places at which a test, a tracer or a fault
// injector may look in. The driver calls Hooks::At from the thread that is at
// the point. No mutex of bounded sections is ever held there; under the
// disciplines with a binder lock, points inside a call are reached with that
// lock held (which is what a stalling holder needs), and the points marked (*)
// without it.
//
// A Hooks object must outlive the Context it is given to and every Proc and
// Thread of it, and its methods may be called from every thread that uses them.

#ifndef BINDERLITE_CORE_HOOKS_H_
#define BINDERLITE_CORE_HOOKS_H_

#include <cstdint>
#include <string_view>

#include "binderlite/wire/errc.h"

namespace binderlite {

// Kill points and interrupt points, in the order in which a call meets them.
enum class Point : std::uint8_t {
  kEntering,         // (*) a call has begun; no lock taken yet
  kEntered,          // the call may now look at driver state
  kSending,          // a transaction is built, not yet queued
  kParking,          // (*) on the waiting list, about to sleep
  kWoken,            // (*) awake, nothing locked, nothing looked at
  kKilledWaiting,    // (*) off the waiting list, about to leave as killed
  kDelivering,       // work is dequeued, not yet written for its reader
  kDeliveringDeath,  // the same for BR_DEAD_BINDER
  kLeaving,          // (*) about to return to the caller
  kReleasing,        // a Proc is being torn down, with the entry lock
};

[[nodiscard]] constexpr std::string_view ToString(Point point) {
  switch (point) {
    case Point::kEntering:
      return "entering";
    case Point::kEntered:
      return "entered";
    case Point::kSending:
      return "sending";
    case Point::kParking:
      return "parking";
    case Point::kWoken:
      return "woken";
    case Point::kKilledWaiting:
      return "killed waiting";
    case Point::kDelivering:
      return "delivering";
    case Point::kDeliveringDeath:
      return "delivering death";
    case Point::kLeaving:
      return "leaving";
    case Point::kReleasing:
      return "releasing";
  }
  return "?";
}

// What the driver tells its user about input that it ignores or refuses.
enum class UserError : std::uint8_t {
  kBadHandle,          // a refcount or death command on an unknown handle
  kBadCount,           // a release without a matching acquire
  kBadNode,            // a *_DONE for a node that does not exist
  kNothingPending,     // a *_DONE for a node that asked for nothing
  kBadBuffer,          // BC_FREE_BUFFER of what is not a delivered buffer
  kBadLooper,          // ENTER/REGISTER in the wrong state
  kBadDeath,           // a death command that matches no registration
  kNotLooper,          // process work read by a thread that is no looper
  kDroppedReplyError,  // a second error reply for one thread
  kBadTransaction,     // a transaction or reply that failed
};

class Hooks {
 public:
  virtual ~Hooks() = default;

  // The thread `tid` of the Proc `pid` is at `point`. May block.
  virtual void At(Point point, std::int32_t pid, std::int32_t tid) {
    (void)point;
    (void)pid;
    (void)tid;
  }

  // Something was ignored or refused; the kernel writes these to its log.
  virtual void OnUserError(UserError error, std::int32_t pid,
                           std::int32_t tid) {
    (void)error;
    (void)pid;
    (void)tid;
  }

  // An ioctl failed, for another reason than an interrupt (IO-28). `request` is
  // its number, an Ioctl if it is one that there is. Not for a call that a kill
  // or a close kept from being one.
  virtual void OnIoctlError(std::uint32_t request, Errc error, std::int32_t pid,
                            std::int32_t tid) {
    (void)request;
    (void)error;
    (void)pid;
    (void)tid;
  }
};

}  // namespace binderlite

#endif  // BINDERLITE_CORE_HOOKS_H_
