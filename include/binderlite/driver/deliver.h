// SPDX-License-Identifier: Apache-2.0
//
// Delivering: an item of work is taken off its list and becomes the BR_
// commands that say so, in a Sink (driver/sink.h). A transaction that has been
// written belongs to its reader, and a call is on the reader's stack.
//
// Locks: items are taken apart under the queues mutex of the reader's Proc;
// sinks are written to without it.
// Kernel: binder_thread_read.

#ifndef BINDERLITE_DRIVER_DELIVER_H_
#define BINDERLITE_DRIVER_DELIVER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "binderlite/core/buffer.h"
#include "binderlite/core/context.h"
#include "binderlite/core/death.h"
#include "binderlite/core/freeze.h"
#include "binderlite/core/hooks.h"
#include "binderlite/core/node.h"
#include "binderlite/core/pin.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/seat.h"
#include "binderlite/core/thread.h"
#include "binderlite/core/transaction.h"
#include "binderlite/core/work.h"
#include "binderlite/driver/completion.h"
#include "binderlite/driver/failed_reply.h"
#include "binderlite/driver/fetch.h"
#include "binderlite/driver/free_buffer.h"
#include "binderlite/driver/guest.h"
#include "binderlite/driver/payload.h"
#include "binderlite/driver/priority.h"
#include "binderlite/driver/refcount.h"
#include "binderlite/driver/route.h"
#include "binderlite/driver/transaction.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/wire/commands.h"
#include "binderlite/wire/errc.h"
#include "binderlite/wire/structs.h"

namespace binderlite::driver {

// What a piece of delivered work means for the read.
enum class Delivered : std::uint8_t {
  kGoOn,   // More may follow in the same buffer.
  kEnds,   // It is the last one of its buffer (RD-09, RD-10).
  kFault,  // It could not be written.
};

// Writes one command, and what comes behind it, and counts it.
template <LockingPolicy L, class Sink, class... Payload>
[[nodiscard]] bool Put(core::Thread<L>& self, Sink& sink, Br command,
                       const Payload&... payload) {
  if (!sink.Put(command, payload...)) return false;
  self.commands.Count(command);
  return true;
}

// The receiver has no room for the descriptors: the transaction is over, and a
// reply has failed for the reader (OB-18, OB-19).
template <LockingPolicy L, class Sink>
Delivered RejectFiles(core::Thread<L>& self, OwnedTransaction<L> transaction,
                      Sink& sink) {
  const bool is_reply = transaction->kind == core::TransactionKind::kReply;
  core::Buffer<L>& buffer = *std::exchange(transaction->buffer, nullptr);
  FreeBuffer(*transaction->to_proc, buffer);
  transaction->files.clear();
  if (transaction->needs_reply()) {
    SendFailedReply<L>(std::move(transaction), Br::BR_FAILED_REPLY);
  } else {
    FreeTransaction<L>(std::move(transaction));
  }
  if (!is_reply) return Delivered::kGoOn;
  return Put(self, sink, Br::BR_FAILED_REPLY) ? Delivered::kEnds
                                              : Delivered::kFault;
}

// A transaction or a reply that `self` has taken off a list. `place`: where a
// call is served that has been taken by other means.
template <LockingPolicy L, class Sink>
Delivered DeliverTransaction(core::Thread<L>& self,
                             OwnedTransaction<L> transaction, Sink& sink,
                             typename core::Seat<L>::Place* place = nullptr) {
  core::Proc<L>& proc = *self.proc;
  proc.context->At(Point::kDelivering, proc.options.pid, self.tid);
  if (!InstallFiles(proc, *transaction)) {
    return RejectFiles(self, std::move(transaction), sink);
  }
  core::Buffer<L>& buffer = *transaction->buffer;
  const bool is_reply = transaction->kind == core::TransactionKind::kReply;
  TransactionDataSecctx with_label = {};
  with_label.secctx = transaction->label_address;
  TransactionData& data = with_label.data;
  if (buffer.target_node) {
    data.target.ptr = buffer.target_node->ptr;
    data.cookie = buffer.target_node->cookie;
  }
  data.code = transaction->code;
  data.flags = transaction->flags;
  data.sender_euid = transaction->sender_euid;
  if (transaction->needs_reply() && transaction->has_sender()) {
    data.sender_pid = transaction->sender_pid;
  }
  data.data_size = buffer.layout.data_size;
  data.offsets_size = buffer.layout.offsets_size;
  data.buffer = buffer.address();
  data.offsets = buffer.address() + buffer.layout.offsets_at();
  if (data.offsets_size == 0 &&
      proc.context->options.quirks.no_offsets_address_without_objects) {
    data.offsets = 0;
  }
  // While it is lent, its own OS thread may be about to read what this writes.
  if (place == nullptr && !self.lent.load(std::memory_order_relaxed)) {
    SeeReceived(self, *transaction);
  }
  InheritPriority(self, *transaction);
  const bool written =
      transaction->label_address != 0
          ? Put(self, sink, Br::BR_TRANSACTION_SEC_CTX, with_label)
          : Put(self, sink, is_reply ? Br::BR_REPLY : Br::BR_TRANSACTION, data);
  if (!written) {
    Wakeups<L> wakeups;
    DropTransaction<L>(std::move(transaction), Br::BR_FAILED_REPLY,
                       Dropped::kThreadDies, wakeups);
    return Delivered::kFault;
  }
  proc.arena.MarkDelivered(buffer);
  transaction->buffer = nullptr;
  if (!transaction->needs_reply()) {
    FreeTransaction(self, std::move(transaction));
    return Delivered::kEnds;
  }
  {
    sync::MutexLock queues(self.proc->queues_mu);
    if (!self.is_dead.load(std::memory_order_relaxed)) {
      if (place != nullptr) BeginServing(self, *place);
      core::Transaction<L>* const serving = transaction.release();
      serving->to_parent = self.stack;
      serving->to_thread.store(&self, std::memory_order_release);
      self.stack = serving;
    }
  }
  if (transaction != nullptr) {
    SendFailedReply<L>(std::move(transaction), Br::BR_DEAD_REPLY);
  }
  return Delivered::kEnds;
}

// Work of one of the owner's nodes.
template <LockingPolicy L, class Sink>
Delivered DeliverNodeWork(core::Thread<L>& self, core::Node<L>& node,
                          Sink& sink) {
  const PtrCookie which{node.ptr, node.cookie};
  const NodeNews news = ReadNodeWork(node);
  const std::pair<bool, Br> commands[] = {{news.incref, Br::BR_INCREFS},
                                          {news.acquire, Br::BR_ACQUIRE},
                                          {news.release, Br::BR_RELEASE},
                                          {news.decref, Br::BR_DECREFS}};
  for (const auto& [due, command] : commands) {
    if (due && !Put(self, sink, command, which)) {
      return Delivered::kFault;
    }
  }
  return Delivered::kGoOn;
}

// One item that has been taken off a list: what of it has to be known once the
// lock is released.
template <LockingPolicy L>
struct TakenWork {
  OwnedTransaction<L> transaction;
  std::unique_ptr<core::Completion> completion;
  std::unique_ptr<core::Death<L>> cleared;  // Confirmed and over.
  std::unique_ptr<core::Freeze<L>> cleared_freeze;
  core::Pin<core::Node<L>> node;
  bool is_death = false;
  bool is_freeze = false;
  bool is_frozen = false;
  std::uint64_t cookie = 0;
  Br error = Br::BR_OK;
  bool was_sent = false;
};

// Takes the item apart under the lock of its list (CC-05).
template <LockingPolicy L>
void TakeWork(core::Thread<L>& self, core::Work& work, TakenWork<L>& taken)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(self.proc->queues_mu) {
  switch (work.type) {
    case core::WorkType::kTransaction:
      taken.transaction.reset(static_cast<core::Transaction<L>*>(&work));
      break;
    case core::WorkType::kTransactionComplete:
    case core::WorkType::kPendingFrozen:
    case core::WorkType::kSpamSuspect:
      taken.completion.reset(static_cast<core::Completion*>(&work));
      break;
    case core::WorkType::kReturnError:
      taken.error = static_cast<core::ReturnError&>(work).Take();
      taken.was_sent = &work == &self.reply_error;
      break;
    case core::WorkType::kNode:
      taken.node = core::Pin<core::Node<L>>(&static_cast<core::Node<L>&>(work));
      break;
    case core::WorkType::kDeadBinder:
    case core::WorkType::kDeadBinderAndClear:
      taken.is_death = true;
      taken.cookie = static_cast<core::Death<L>&>(work).cookie;
      self.proc->delivered_deaths.PushBack(work);
      break;
    case core::WorkType::kClearDeathNotification:
      taken.cleared.reset(static_cast<core::Death<L>*>(&work));
      break;
    case core::WorkType::kFrozenBinder: {
      auto& freeze = static_cast<core::Freeze<L>&>(work);
      taken.is_freeze = true;
      taken.is_frozen = freeze.told = freeze.is_frozen;
      taken.cookie = freeze.cookie;
      freeze.delivered = true;
      self.proc->delivered_freezes.PushBack(work);
      break;
    }
    case core::WorkType::kClearFreezeNotification:
      taken.cleared_freeze.reset(static_cast<core::Freeze<L>*>(&work));
      break;
  }
}

template <LockingPolicy L, class Sink>
Delivered Deliver(core::Thread<L>& self, TakenWork<L> taken, Sink& sink) {
  core::Proc<L>& proc = *self.proc;
  if (taken.transaction != nullptr) {
    return DeliverTransaction(self, std::move(taken.transaction), sink);
  }
  if (taken.node) return DeliverNodeWork(self, *taken.node, sink);
  bool written = false;
  if (taken.is_death) {
    proc.context->At(Point::kDeliveringDeath, proc.options.pid, self.tid);
    written = Put(self, sink, Br::BR_DEAD_BINDER, taken.cookie);
    if (written) return Delivered::kEnds;
  } else if (taken.is_freeze) {
    const FrozenStateInfo info{taken.cookie, taken.is_frozen ? 1u : 0u, 0};
    written = Put(self, sink, Br::BR_FROZEN_BINDER, info);
    if (written) return Delivered::kEnds;
  } else if (taken.cleared_freeze != nullptr) {
    const std::uint64_t cookie = taken.cleared_freeze->cookie;
    written = Put(self, sink, Br::BR_CLEAR_FREEZE_NOTIFICATION_DONE, cookie);
  } else if (taken.cleared != nullptr) {
    const std::uint64_t cookie = taken.cleared->cookie;
    written = Put(self, sink, Br::BR_CLEAR_DEATH_NOTIFICATION_DONE, cookie);
  } else if (taken.completion != nullptr) {
    written = Put(self, sink, CompletionCode(proc, taken.completion->type));
    DeleteCompletion(self, std::move(taken.completion));
  } else if (taken.error == Br::BR_ERROR) {
    // Its code announces a number, and readers go by that (DN-21).
    const auto number = -static_cast<std::int32_t>(Errc::kNoMemory);
    written = Put(self, sink, taken.error, number);
  } else {
    written = Put(self, sink, taken.error);
    if constexpr (requires { sink.MarkSent(); }) {
      if (written && taken.was_sent) sink.MarkSent();
    }
  }
  return written ? Delivered::kGoOn : Delivered::kFault;
}

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_DELIVER_H_
