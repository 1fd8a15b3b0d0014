// SPDX-License-Identifier: Apache-2.0
//
// Who serves the calls of an endpoint: loopers (RunLooper), its callers
// (CallerDispatch), or the program's own event loop, which a ReadySignal tells.
//
// No locks here.

#ifndef BINDERLITE_API_LOOPER_H_
#define BINDERLITE_API_LOOPER_H_

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <utility>

#include "binderlite/api/conversation.h"
#include "binderlite/api/fd.h"
#include "binderlite/api/frame.h"
#include "binderlite/api/process.h"
#include "binderlite/core/readiness.h"
#include "binderlite/driver/driver.h"
#include "binderlite/sync/locking.h"

namespace binderlite::api_internal {

// What a looper's thread does, from its beginning to its end. `spawned`: the
// driver has asked for it (BR_SPAWN_LOOPER).
template <LockingPolicy L>
void RunLooper(Process<L>& process, ThreadSlot<L>& slot, bool spawned) {
  (void)(spawned ? slot.thread.RegisterLooper() : slot.thread.EnterLooper());
  ThreadFrame<L> frame(process, slot, slot.thread, /*is_handler=*/false);
  Conversation<L>(process, frame).Loop();
  // It was killed: nothing can be heard of others any more.
  if (!process.closing()) Conversation<L>::EndAll(process);
}

// Serves calls on their callers' threads; driver/loan.h.
template <LockingPolicy L>
class CallerDispatch final : public CallHandler<L> {
 public:
  explicit CallerDispatch(std::shared_ptr<Process<L>> process)
      : process_(std::move(process)) {}

  void OnCall(BasicThread<L>& self, const Incoming& call,
              const ServedHere& here) override {
    if (here.spawn_looper) process_->SpawnLooper();
    ThreadSlot<L>* const slot = process_->Find(self.tid());
    if (slot == nullptr) return;  // Not a thread of ours: it fails.
    const Frame* const caller = Frame::Innermost();
    ThreadFrame<L> frame(*process_, *slot, self, /*is_handler=*/false);
    Conversation<L> conversation(*process_, frame);
    conversation.Handle(
        call, {.stops = &here.stops,
               .process = caller != nullptr ? caller->process : nullptr});
    conversation.Finish();
  }

 private:
  const std::shared_ptr<Process<L>> process_;  // Until the Proc is torn down.
};

// A descriptor that is readable when there is something to be served.
class ReadySignal final : public ReadinessListener {
 public:
  ReadySignal() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  void OnReady() override {
    const std::uint64_t one = 1;
    (void)!::write(fd_.get(), &one, sizeof(one));
  }
  void Clear() {
    std::uint64_t count = 0;
    (void)!::read(fd_.get(), &count, sizeof(count));
  }
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  const Fd fd_;
};

}  // namespace binderlite::api_internal

#endif  // BINDERLITE_API_LOOPER_H_
