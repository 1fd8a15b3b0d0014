// SPDX-License-Identifier: Apache-2.0
//
// Session: the thread of the driver on which the calling OS thread talks to it
// for an endpoint: that of the handler it is in, or one that it takes for now.
//
// No locks but the Process's.

#ifndef BINDERLITE_API_SESSION_H_
#define BINDERLITE_API_SESSION_H_

#include <optional>

#include "binderlite/api/frame.h"
#include "binderlite/api/process.h"
#include "binderlite/driver/driver.h"
#include "binderlite/sync/locking.h"

namespace binderlite::api_internal {

template <LockingPolicy L>
class [[nodiscard]] Session {
 public:
  explicit Session(Process<L>& process) : process_(process) {
    for (Frame* frame = Frame::Innermost(); frame != nullptr;
         frame = frame->outer) {
      if (frame->process == &process && !frame->in_call) {
        frame_ = static_cast<ThreadFrame<L>*>(frame);
        return;
      }
    }
    ThreadSlot<L>& slot = *process.Take();
    taken_.emplace(process, slot, slot.thread, /*is_handler=*/false);
    frame_ = &*taken_;
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() {
    if (taken_.has_value()) process_.GiveBack(taken_->slot);
  }

  [[nodiscard]] ThreadFrame<L>& frame() { return *frame_; }
  [[nodiscard]] BasicThread<L>& thread() { return frame_->thread; }

 private:
  Process<L>& process_;
  ThreadFrame<L>* frame_ = nullptr;
  std::optional<ThreadFrame<L>> taken_;
};

}  // namespace binderlite::api_internal

#endif  // BINDERLITE_API_SESSION_H_
