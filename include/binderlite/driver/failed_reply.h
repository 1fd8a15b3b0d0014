// SPDX-License-Identifier: Apache-2.0
//
// Failed replies: what becomes of transactions that will not be delivered, and
// of calls that nobody will answer. Whoever waits for one reads BR_DEAD_REPLY
// or BR_FAILED_REPLY.
//
// What is dropped belongs to its caller, who has taken it off its list or
// stack.
//
// Locks: the queues mutex of whoever waits and, in it, the transaction's; those
// of driver/free_buffer.h. The caller holds no mutex.
// Kernel: binder_send_failed_reply.

#ifndef BINDERLITE_DRIVER_FAILED_REPLY_H_
#define BINDERLITE_DRIVER_FAILED_REPLY_H_

#include <utility>

#include "binderlite/config.h"
#include "binderlite/core/buffer.h"
#include "binderlite/core/context.h"
#include "binderlite/core/hooks.h"
#include "binderlite/core/pin.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/thread.h"
#include "binderlite/core/transaction.h"
#include "binderlite/core/work.h"
#include "binderlite/driver/free_buffer.h"
#include "binderlite/driver/route.h"
#include "binderlite/driver/stack.h"
#include "binderlite/driver/transaction.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/wire/commands.h"

namespace binderlite::driver {

// Tells whoever waits for `transaction` that there will be no reply: its
// sender, or, if that is gone, the sender of the call that it was serving, and
// so on. Takes the transaction, and those of the skipped senders. It is woken
// with `wakeups`.
template <LockingPolicy L>
void SendFailedReply(OwnedTransaction<L> transaction, Br code,
                     Wakeups<L>& wakeups) {
  while (transaction != nullptr) {
    // Locked in this order: the sender's queues, then the transaction.
    if (const core::Pin<core::Thread<L>> from = transaction->sender()) {
      core::Thread<L>& sender = *from;
      Wakeup<L>& wakeup = wakeups.emplace_back();
      bool done = false;
      bool told = true;
      {
        sync::MutexLock queues(sender.proc->queues_mu);
        // A sender that is dead or has given it up has taken its name off the
        // transaction: look again.
        if (!sender.is_dead && transaction->IsFrom(sender)) {
          done = true;
          if (HasToServeFirst(sender, *transaction)) {
            AnswerEarly<L>(std::move(transaction), nullptr, code);
            return;
          }
          sender.stack = transaction->from_parent;
          told = sender.reply_error.command() == Br::BR_OK;
          if (told) {
            sender.reply_error.Set(code);
            EnqueueThread(sender, sender.reply_error, wakeup);
          }
        }
      }
      if (!done) continue;
      if (!told) {
        sender.proc->context->Complain(UserError::kDroppedReplyError,
                                       sender.proc->options.pid, sender.tid);
      }
      FreeTransaction<L>(std::move(transaction));
      return;
    }
    // The sender is gone, and so it has been cut off what it served itself.
    OwnedTransaction<L> parent(transaction->from_parent);
    BINDERLITE_ASSERT(parent == nullptr || parent->IsCut());
    FreeTransaction<L>(std::move(transaction));
    transaction = std::move(parent);
  }
}

template <LockingPolicy L>
void SendFailedReply(OwnedTransaction<L> transaction, Br code) {
  Wakeups<L> wakeups;
  SendFailedReply<L>(std::move(transaction), code, wakeups);
}

// Why an undelivered transaction is dropped; decides about its buffer.
enum class Dropped : bool {
  kProcDies,    // The arena goes as well.
  kThreadDies,  // The Proc lives on.
};

// Drops a transaction that will not be delivered. The sender of a call is told
// `code`; a one-way makes room for the next one of its node (AS-09; the kernel
// leaves the node stuck); other buffers stay allocated until their Proc is
// torn down (DT-05).
template <LockingPolicy L>
void DropTransaction(OwnedTransaction<L> transaction, Br code, Dropped why,
                     Wakeups<L>& wakeups) {
  core::Proc<L>& receiver = *transaction->to_proc;
  if (core::Buffer<L>* buffer = std::exchange(transaction->buffer, nullptr)) {
    if (transaction->kind == core::TransactionKind::kOneWay &&
        why == Dropped::kThreadDies) {
      FreeBuffer(receiver, *buffer);
    } else {
      receiver.arena.MarkOrphaned(*buffer);
    }
  }
  if (transaction->needs_reply()) {
    SendFailedReply<L>(std::move(transaction), code, wakeups);
  } else {
    FreeTransaction<L>(std::move(transaction));
  }
}

// Calls that had been answered early and that CutStack has found: the answers
// go, and what was being served when these calls were made is resolved now, as
// there is no end of theirs to come.
template <LockingPolicy L>
void DropAnswered(core::WorkList& answered, Dropped why, Wakeups<L>& wakeups) {
  while (core::Work* const work = answered.PopFront()) {
    OwnedTransaction<L> call(static_cast<core::Transaction<L>*>(work));
    if (core::Transaction<L>* const reply =
            std::exchange(call->early_reply, nullptr)) {
      DropTransaction<L>(OwnedTransaction<L>(reply), Br::BR_DEAD_REPLY, why,
                         wakeups);
    }
    SendFailedReply<L>(std::move(call), Br::BR_DEAD_REPLY, wakeups);
  }
}

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_FAILED_REPLY_H_
