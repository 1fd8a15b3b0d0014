// SPDX-License-Identifier: Apache-2.0
//
// Priorities: a thread that serves something takes over the priority of its
// sender or of its node, and goes back to what it had when it answers. Nothing
// is done without a Priorities hook (core/priority.h).
//
// Locks: none, and none is held while the hook is asked.
// Kernel: binder_set_nice.

#ifndef BINDERLITE_DRIVER_PRIORITY_H_
#define BINDERLITE_DRIVER_PRIORITY_H_

#include <cstdint>

#include "binderlite/core/buffer.h"
#include "binderlite/core/context.h"
#include "binderlite/core/node.h"
#include "binderlite/core/priority.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/thread.h"
#include "binderlite/core/transaction.h"
#include "binderlite/sync/locking.h"

namespace binderlite::driver {

// The thread serves `call` with the priority that it asks for: a call with its
// sender's, but at least the node's; a one-way with the node's if that is more
// urgent than what the thread has (PR-02, PR-03).
template <LockingPolicy L>
void InheritPriority(core::Thread<L>& self, core::Transaction<L>& call) {
  const core::Proc<L>& proc = *self.proc;
  Priorities* const priorities = proc.context->options.priorities;
  if (priorities == nullptr || call.kind == core::TransactionKind::kReply) {
    return;
  }
  const std::int32_t pid = proc.options.pid;
  const auto least =
      static_cast<std::int8_t>(call.buffer->target_node->min_priority);
  call.saved_priority = priorities->Get(pid, self.tid);
  if (call.kind == core::TransactionKind::kCall) {
    priorities->Set(pid, self.tid,
                    call.priority < least ? call.priority : least);
  } else if (call.saved_priority > least) {
    priorities->Set(pid, self.tid, least);
  }
}

// A thread that answers a call goes on with the priority that it had before
// (PR-04).
template <LockingPolicy L>
void RestorePriority(core::Thread<L>& self,
                     const core::Transaction<L>& answered) {
  if (Priorities* priorities = self.proc->context->options.priorities) {
    priorities->Set(self.proc->options.pid, self.tid, answered.saved_priority);
  }
}

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_PRIORITY_H_
