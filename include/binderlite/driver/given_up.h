// SPDX-License-Identifier: Apache-2.0
//
// GivenUp: whoever serves a call can hear that nobody waits for its answer any
// more. The kernel tells that only to who answers, by BR_DEAD_REPLY.
//
//   the sender                  who serves the call
//   --------------------------  ----------------------------------------------
//   gives it up (abandon.h)     is told
//   is gone: its thread exits,  is told, once that is torn down
//   its Proc closes or dies
//   reads the answer            is not told
//
// What is told runs in the Context's reaper, in stop callbacks: they should be
// short, and must not wait for the end of a Proc.
//
// Locks: the token is made under the queues mutex of the server's Proc, and in
// it the transaction's. GivenUpCalls takes the Context's, alone, at its end.

#ifndef BINDERLITE_DRIVER_GIVEN_UP_H_
#define BINDERLITE_DRIVER_GIVEN_UP_H_

#include <stop_token>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "binderlite/core/context.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/thread.h"
#include "binderlite/core/transaction.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"

namespace binderlite::driver {

// Stops when nobody waits for the answer to the innermost call that `self`
// serves; or never, if there is no such call.
template <LockingPolicy L>
[[nodiscard]] std::stop_token GivenUpToken(core::Thread<L>& self) {
  std::stop_source made;
  {
    sync::MutexLock queues(self.proc->queues_mu);
    core::Transaction<L>* const top = self.stack;
    if (top == nullptr || !top->IsServedBy(self)) return {};
    sync::MutexLock ends(top->mu);
    if (top->from != nullptr) {
      if (!top->given_up.stop_possible()) top->given_up = std::move(made);
      return top->given_up.get_token();
    }
  }
  made.request_stop();
  return made.get_token();
}

// Takes the senders off calls, and leaves it to the reaper to tell that those
// who have asked. Declared before the locks under which it is used.
template <LockingPolicy L>
class GivenUpCalls {
 public:
  explicit GivenUpCalls(core::Context<L>& context) : context_(context) {}
  GivenUpCalls(const GivenUpCalls&) = delete;
  GivenUpCalls& operator=(const GivenUpCalls&) = delete;
  ~GivenUpCalls() {
    if (sources_.empty()) return;
    {
      sync::MutexLock lock(context_.mu);
      for (std::stop_source& source : sources_) {
        context_.to_tell.push_back(std::move(source));
      }
    }
    context_.reaper_parker.Wake();
  }

  void LoseSender(core::Transaction<L>& call)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(call.mu) {
    call.ResetSender();
    if (!call.given_up.stop_possible()) return;
    sources_.push_back(
        std::exchange(call.given_up, std::stop_source(std::nostopstate)));
  }

 private:
  core::Context<L>& context_;
  std::vector<std::stop_source> sources_;
};

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_GIVEN_UP_H_
