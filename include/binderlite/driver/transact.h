// SPDX-License-Identifier: Apache-2.0
//
// Transactions: sending calls, one-way calls and replies, and what happens to
// them when something fails or somebody dies. Handles BC_TRANSACTION, BC_REPLY
// and BC_FREE_BUFFER.
//
// Locks: never more than node -> queues -> transaction at a time, and none
// while payloads are copied (but the binder lock, where there is one).
// Kernel: binder_transaction, binder_proc_transaction,
// binder_send_failed_reply, binder_free_buf.

#ifndef BINDERLITE_DRIVER_TRANSACT_H_
#define BINDERLITE_DRIVER_TRANSACT_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "binderlite/config.h"
#include "binderlite/core/arena.h"
#include "binderlite/core/buffer.h"
#include "binderlite/core/context.h"
#include "binderlite/core/log.h"
#include "binderlite/core/node.h"
#include "binderlite/core/pin.h"
#include "binderlite/core/policy.h"
#include "binderlite/core/priority.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/quirks.h"
#include "binderlite/core/seat.h"
#include "binderlite/core/task.h"
#include "binderlite/core/thread.h"
#include "binderlite/core/transaction.h"
#include "binderlite/driver/payload.h"
#include "binderlite/driver/refcount.h"
#include "binderlite/driver/route.h"
#include "binderlite/driver/translate.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/wire/commands.h"
#include "binderlite/wire/errc.h"
#include "binderlite/wire/flags.h"
#include "binderlite/wire/structs.h"

namespace binderlite::driver {

template <LockingPolicy L>
using OwnedTransaction = std::unique_ptr<core::Transaction<L>>;

// --- The end of transactions and buffers -----------------------------------

// The transaction is over. Who waits for the last one of its Proc, to freeze
// it, is woken (driver/freeze.h).
template <LockingPolicy L>
void NoteEnd(core::Proc<L>& proc) {
  // Either this sees the freezer, or the freezer sees this.
  if (!proc.outstanding.End() ||
      proc.freezers.load(std::memory_order_seq_cst) == 0) {
    return;
  }
  std::vector<core::Pin<core::Task<L>>> freezing;
  {
    sync::MutexLock lock(proc.tasks_mu);
    freezing = proc.freezing_tasks;
  }
  for (const core::Pin<core::Task<L>>& task : freezing) task->parker.Wake();
}

// The end of one that is still known, and of its memory.
template <LockingPolicy L>
void FreeTransaction(OwnedTransaction<L> transaction) {
  NoteEnd(*transaction->to_proc);
}
// The same in a call of `self`, whose next transaction gets the memory.
template <LockingPolicy L>
void FreeTransaction(core::Thread<L>& self, OwnedTransaction<L> transaction) {
  NoteEnd(*transaction->to_proc);
  transaction->EndsWith(self.made);
  self.spare_transactions.Delete(std::move(transaction));
}

// The next one-way of a node that has one in its owner's hands (AS-03).
template <LockingPolicy L>
void AdvanceOneWays(core::Node<L>& node, Wakeup<L>& wakeup)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(node.mu) {
  core::Proc<L>* const owner = node.owner;
  if (owner == nullptr) return;
  core::Work* const next = node.async_todo.PopFront();
  if (next == nullptr) {
    node.has_async = false;
    return;
  }
  sync::MutexLock queues(owner->queues_mu);
  EnqueueProc(*owner, *next, wakeup);
}

// Gives back the local strong count that came with a target node; `one_way`:
// the next one of it is due as well.
template <LockingPolicy L>
void DropTarget(core::Node<L>& node, bool one_way = false) {
  Wakeup<L> wakeup;
  Garbage<L> garbage;
  sync::MutexLock lock(node.mu);
  if (one_way) AdvanceOneWays(node, wakeup);
  DecNode(node, Strength::kStrong, /*internal=*/false, garbage);
}

// Gives a buffer back, with all that it held.
template <LockingPolicy L>
void FreeBuffer(core::Proc<L>& owner, core::Buffer<L>& buffer) {
  if (buffer.is_async && buffer.target_node) {
    Wakeup<L> wakeup;
    core::Node<L>& node = *buffer.target_node;
    sync::MutexLock lock(node.mu);
    AdvanceOneWays(node, wakeup);
  }
  ReleaseBufferContents(owner, buffer);
  owner.arena.Free(buffer);
}

// Handles BC_FREE_BUFFER. An address that is not that of a delivered buffer is
// ignored (AL-16, AL-17). Descriptors that came in arrays are closed, and the
// thread's next read does not block (OB-22). `as_guest`: see core/thread.h.
template <LockingPolicy L>
void FreeBuffer(core::Thread<L>& self, std::uint64_t address, bool as_guest) {
  core::Proc<L>& proc = *self.proc;
  const typename core::Arena<L>::Returned returned =
      proc.arena.ClaimOrFree(address);
  if (!returned.found) {
    proc.context->Complain(UserError::kBadBuffer, proc.options.pid, self.tid);
    return;
  }
  if (core::Buffer<L>* const buffer = returned.buffer) {
    for (const int fd : buffer->array_files) {
      proc.files().Close(fd);
      self.need_return_of(as_guest).store(true, std::memory_order_relaxed);
    }
    FreeBuffer(proc, *buffer);
    return;
  }
  if (returned.target) DropTarget(*returned.target, returned.is_async);
}

// Nobody serves the call any more. It may outlive its Proc.
template <LockingPolicy L>
void CutOff(core::Transaction<L>& call) {
  call.orphan_of = core::Pin<core::Proc<L>>(call.to_proc);
  sync::MutexLock ends(call.mu);
  call.to_thread.store(nullptr, std::memory_order_release);
}

// `call` is answered while its sender serves calls that have come back to it:
// the answer waits on the sender's stack. With the queues mutex of the sender's
// Proc held.
template <LockingPolicy L>
void AnswerEarly(OwnedTransaction<L> call, OwnedTransaction<L> reply,
                 Br failure) {
  CutOff(*call);
  call->early_reply = reply.release();
  call->early_failure = failure;
  (void)call.release();
}
// Whether `thread` has to serve something before it may read the answer to
// `call`, which it waits for.
template <LockingPolicy L>
[[nodiscard]] bool HasToServeFirst(const core::Thread<L>& thread,
                                   const core::Transaction<L>& call)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(thread.proc->queues_mu) {
  if (thread.stack != &call) return true;
  bool unread = false;
  thread.todo.ForEach([&unread](const core::Work& work) {
    if (work.type != core::WorkType::kTransaction) return;
    const auto& t = static_cast<const core::Transaction<L>&>(work);
    unread = unread || t.needs_reply();
  });
  return unread;
}
// The thread, which has nothing to do, can read what was answered early.
// Returns what is over by that.
template <LockingPolicy L>
[[nodiscard]] OwnedTransaction<L> TakeEarlyAnswer(core::Thread<L>& self)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(self.proc->queues_mu) {
  core::Transaction<L>* const top = self.stack;
  if (top == nullptr || top->IsServedBy(self) || !top->is_answered_early()) {
    return nullptr;
  }
  self.stack = top->from_parent;
  if (top->early_reply != nullptr) {
    EnqueueThread(self, *std::exchange(top->early_reply, nullptr));
  } else if (self.reply_error.command() == Br::BR_OK) {
    self.reply_error.Set(top->early_failure);
    EnqueueThread(self, self.reply_error);
  }
  return OwnedTransaction<L>(top);
}

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

// --- Sending ---------------------------------------------------------------

// Where a BC_TRANSACTION goes. `node` comes with a local strong count, owed by
// whoever holds the Target.
template <LockingPolicy L>
struct Target {
  core::Pin<core::Node<L>> node;
  core::Pin<core::Proc<L>> proc;
  core::Pin<core::Thread<L>> thread;  // Steered to; empty: any.
  std::uint32_t via = 0;  // The call that that waits for, by its number.
};

// A buffer for a payload that its sender writes where it will be read
// (driver/reserve.h), until it is sent or abandoned.
template <LockingPolicy L>
struct Reserved {
  Target<L> target;                   // Of a reply: only the Proc.
  core::Buffer<L>* buffer = nullptr;  // Null: there is none.
  bool one_way = false;
  bool spam_suspect = false;
  std::uint64_t order = 0;      // Of the transaction that it is for.
  std::uint32_t sender_id = 0;  // Of the Proc that has reserved it.
  std::uint32_t handle = 0;
  std::string label;
};

// Gives back what has not been used of it.
template <LockingPolicy L>
void Abandon(Reserved<L>& reserved) {
  if (core::Buffer<L>* const buffer = std::exchange(reserved.buffer, nullptr)) {
    if (reserved.target.node) DropTarget(*reserved.target.node);
    reserved.target.proc->arena.Free(*buffer);
  }
  reserved = {};
}

// What a BC_TRANSACTION or BC_REPLY asks for.
template <LockingPolicy L>
struct SendRequest {
  const TransactionData& data;
  std::uint64_t buffers_size = 0;  // Of the _SG variants.
  // Where the data is already, and for whom; null: at data.buffer, for
  // data.target. Used up, unless it fails before that matters.
  Reserved<L>* reserved = nullptr;
  // The sender of a call or a reply is not told that it is on its way.
  bool quiet = false;
};

// The label of the sender, NUL-terminated, rounded up to eight bytes.
template <LockingPolicy L>
Errc LabelOf(const core::Proc<L>& sender, std::string& label) {
  SecurityPolicy* const policy = sender.context->options.policy;
  if (policy == nullptr) {
    label = sender.options.label;
  } else if (const Errc error = policy->GetLabel(sender.credentials(), label);
             error != Errc::kOk) {
    return error;
  }
  label.resize((label.size() + 8) & ~std::size_t{7});
  return Errc::kOk;
}

// Sets aside a buffer for what `layout` and `purpose` say. `node`: its target,
// or null in a reply; if it wants the sender's label, there is room for that.
template <LockingPolicy L>
Outcome AllocateBuffer(const core::Proc<L>& sender, core::Proc<L>& receiver,
                       typename core::Buffer<L>::Layout layout, bool one_way,
                       const core::Node<L>* node,
                       typename core::Buffer<L>::Purpose purpose,
                       Reserved<L>& reserved) {
  Errc error = Errc::kOk;
  if (node != nullptr && node->wants_security_context) {
    // Behind everything else, where no PTR object can reach it (SC-02, SC-03).
    error = LabelOf(sender, reserved.label);
    const std::size_t room = (layout.extra_size + 7) & ~std::size_t{7};
    if (error == Errc::kOk &&
        (room < layout.extra_size || room + reserved.label.size() < room)) {
      error = Errc::kInvalid;
    }
    layout.extra_size = room + reserved.label.size();
  }
  if (error != Errc::kOk) return Outcome::Failed(error);
  purpose.node_id = node != nullptr ? node->id : 0;
  const typename core::Arena<L>::Allocation allocation =
      receiver.arena.Allocate(layout, one_way, purpose);
  reserved.buffer = allocation.buffer;
  reserved.spam_suspect = allocation.spam_suspect;
  if (allocation.error == Errc::kOk) return {};
  return allocation.error == Errc::kNoProcess
             ? Outcome::Dead(allocation.error)
             : Outcome::Failed(allocation.error);
}

// Fills the payload of `transaction`, in a buffer that it gets for that or has
// been reserved. `target` is its node, with a local strong count; empty for a
// reply. On failure nothing is left in the receiver, and the count is given
// back. `spam_suspect`: AL-22.
template <LockingPolicy L>
Outcome BuildBuffer(core::Thread<L>& self, core::Transaction<L>& transaction,
                    core::Pin<core::Node<L>> target,
                    const SendRequest<L>& request, bool accepts_files,
                    bool& spam_suspect) {
  core::Proc<L>& receiver = *transaction.to_proc;
  Reserved<L> made;
  Reserved<L>& reserved =
      request.reserved != nullptr ? *request.reserved : made;
  if (request.reserved == nullptr) {
    const Outcome outcome = AllocateBuffer(
        *self.proc, receiver,
        {.data_size = static_cast<std::size_t>(request.data.data_size),
         .offsets_size = static_cast<std::size_t>(request.data.offsets_size),
         .extra_size = static_cast<std::size_t>(request.buffers_size)},
        transaction.kind == core::TransactionKind::kOneWay, target.get(),
        {.id = transaction.id, .sender_pid = transaction.sender_pid}, made);
    if (!outcome.ok()) {
      if (target) DropTarget(*target);
      return outcome;
    }
  }
  spam_suspect = reserved.spam_suspect;
  core::Buffer<L>& buffer = *std::exchange(reserved.buffer, nullptr);
  reserved.target = {};
  buffer.target_node = std::move(target);
  buffer.clear_on_free = (request.data.flags & kTfClearBuf) != 0;
  if (const std::string& label = reserved.label; !label.empty()) {
    const std::size_t at =
        buffer.layout.extra_at() + buffer.layout.extra_size - label.size();
    std::memcpy(buffer.data + at, label.data(), label.size());
    transaction.label_address = buffer.address() + at;
  }
  const Errc error = CopyPayload(Translation<L>{.sender = self,
                                                .receiver = receiver,
                                                .buffer = buffer,
                                                .files = transaction.files,
                                                .accepts_files = accepts_files},
                                 request.data, request.buffers_size,
                                 /*in_place=*/request.reserved != nullptr);
  if (error != Errc::kOk) {
    ReleaseBufferContents(receiver, buffer);
    receiver.arena.Free(buffer);
    // kNoProcess: one of the two is being torn down at this moment.
    return error == Errc::kNoProcess ? Outcome::Dead(Errc::kOk)
                                     : Outcome::Failed(error);
  }
  transaction.buffer = &buffer;
  return {};
}

// Resolves the handle (TG-01 to TG-08).
template <LockingPolicy L>
Outcome ResolveTarget(core::Thread<L>& self, std::uint32_t handle,
                      Target<L>& target) {
  core::Proc<L>& proc = *self.proc;
  core::Pin<core::Node<L>> pin;
  core::Context<L>& context = *proc.context;
  if (handle == 0) {
    sync::MutexLock lock(context.mu);
    pin = context.manager;
    if (!pin) return Outcome::Dead(Errc::kInvalid);
  } else {
    pin = NodeOfHandle(proc, handle, Strength::kStrong);
    if (!pin) {
      return Outcome::Failed(context.options.quirks.rust_error_numbers
                                 ? Errc::kNoEntry
                                 : Errc::kInvalid);
    }
  }
  {
    core::Node<L>& node = *pin;
    sync::MutexLock lock(node.mu);
    core::Proc<L>* const owner = node.owner;
    if (owner == nullptr) return Outcome::Dead(Errc::kInvalid);
    if (node.erased) return Outcome::Failed(Errc::kInvalid);
    if (owner == &proc ||
        (handle == 0 && owner->options.pid == proc.options.pid &&
         !context.options.quirks.call_manager_of_same_pid)) {
      return Outcome::Failed(Errc::kInvalid);
    }
    const Errc error =
        IncNode<L>(node, Strength::kStrong, /*internal=*/false, nullptr);
    if (error != Errc::kOk) return Outcome::Failed(error);
    target.proc = core::Pin<core::Proc<L>>(owner);
  }
  SecurityPolicy* const policy = context.options.policy;
  if (policy != nullptr &&
      !policy->MayTransact(proc.credentials(), target.proc->credentials())) {
    DropTarget(*pin);
    return Outcome::Failed(Errc::kNotPermitted);
  }
  target.node = std::move(pin);
  return {};
}

// What a misuse of the stack answers (EE-07).
template <LockingPolicy L>
[[nodiscard]] Outcome StackMisused(const core::Thread<L>& self) {
  return Outcome::Failed(self.proc->context->options.quirks.rust_error_numbers
                             ? Errc::kInvalid
                             : Errc::kProtocol);
}

// Whether the state of the thread allows the call (TX-10, TX-12), and, for a
// call made while serving, to which thread of the target it must go: to the
// nearest one in the chain of callers (TX-13).
template <LockingPolicy L>
Outcome CheckStack(core::Thread<L>& self, Target<L>& target) {
  sync::MutexLock queues(self.proc->queues_mu);
  const core::Work* const first = self.todo.front();
  if (first != nullptr && first->type == core::WorkType::kTransaction &&
      self.proc->context->options.quirks.refuse_call_with_unread_call) {
    return StackMisused(self);
  }
  core::Transaction<L>* t = self.stack;
  if (t != nullptr && !t->IsServedBy(self)) return StackMisused(self);
  if (t == nullptr) return {};
  target.thread = t->SenderIn(*target.proc);
  target.via = t->id;
  if (target.thread ||
      t->from_parent.load(std::memory_order_relaxed) == nullptr) {
    return {};
  }
  const typename core::Context<L>::ChainWalk walk(*self.proc->context);
  while (!target.thread && (t = t->from_parent) != nullptr) {
    target.thread = t->SenderIn(*target.proc);
    target.via = t->id;
  }
  return {};
}

// Whether something may be queued to `proc` now. A frozen one takes one-ways
// only, and remembers what arrived (FZ-10, FZ-11).
template <LockingPolicy L>
Outcome Accepts(core::Proc<L>& proc, bool one_way)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(proc.queues_mu) {
  if (proc.is_frozen.load(std::memory_order_relaxed)) {
    (one_way ? proc.async_received : proc.sync_received) = true;
    if (!one_way) return Outcome::Frozen();
  }
  return proc.is_dead ? Outcome::Dead(Errc::kOk) : Outcome();
}

// Takes from `proc` what its threads have to spare, if `self` has nothing left:
// no more than it keeps, or it would end up with its own Proc.
template <LockingPolicy L>
void RefillSpares(core::Thread<L>& self, core::Proc<L>& proc)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(proc.queues_mu) {
  if (self.spare_transactions.count() == 0) {
    constexpr std::size_t kMost = core::Thread<L>::kOwnSpares;
    const std::size_t there = proc.spare_transactions.count();
    proc.spare_transactions.MoveTo(self.spare_transactions,
                                   there > kMost ? there - kMost : 0);
  }
}

// The thread that serves a call on the OS thread that makes it, if it is to be.
template <LockingPolicy L>
struct Here {
  core::Seat<L>* seat = nullptr;  // Null: it is not, unless...
  // ... the thread that it is steered to sits here.
  const core::Seat<L>& sits_at;
  core::Pin<core::Thread<L>> thread = {};
  core::HandlerInUse<L>* handler = nullptr;  // What serves it.
  bool lent = false;
};

// Whether the thread has the call with that number out. It may not any more,
// since one further along the chain has been given up (driver/abandon.h).
template <LockingPolicy L>
[[nodiscard]] bool WaitsFor(const core::Thread<L>& thread, std::uint32_t id)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(thread.proc->queues_mu) {
  for (const core::Transaction<L>* t = thread.stack; t != nullptr;) {
    const bool served = t->IsServedBy(thread);
    if (t->id == id) return !served && !t->is_answered_early();
    t = served ? t->to_parent : t->from_parent.load();
  }
  return false;
}

// Queues a call at its target: on the thread it is steered to, on that of a
// thread that waits, or on the Proc's list. The transaction stays the caller's
// on failure, and if it is to be served here. `to_frozen`: the Proc is frozen.
template <LockingPolicy L>
Outcome QueueCall(core::Thread<L>& self, core::Transaction<L>& transaction,
                  const Target<L>& target, Wakeup<L>& wakeup, bool& to_frozen,
                  Here<L>* here = nullptr) {
  core::Proc<L>& proc = *target.proc;
  core::Thread<L>* thread = target.thread.get();
  sync::MutexLock queues(proc.queues_mu);
  RefillSpares(self, proc);
  if (thread != nullptr) thread->proc->queues_mu.AssertHeld();
  to_frozen = proc.is_frozen.load(std::memory_order_relaxed);
  const Outcome outcome =
      Accepts(proc, transaction.kind == core::TransactionKind::kOneWay);
  if (!outcome.ok()) return outcome;
  if (thread != nullptr && thread->is_dead) return Outcome::Dead(Errc::kOk);
  if (thread != nullptr) {
    thread->proc->queues_mu.AssertHeld();
    if (!WaitsFor(*thread, target.via)) {
      thread = nullptr;
      transaction.steered_to = 0;
    }
  }
  proc.outstanding.Begin();
  if (thread == nullptr) {
    sync::MutexLock waiters(proc.waiters_mu);
    thread = TakeWaiting(proc);
    if (thread != nullptr && here != nullptr && here->seat != nullptr &&
        proc.call_handler != nullptr) {
      thread->proc->queues_mu.AssertHeld();
      thread->proc->waiters_mu.AssertHeld();
      thread->runner = here->seat->task;
      thread->lent.store(true, std::memory_order_relaxed);
      here->thread = core::Pin<core::Thread<L>>(thread);
      here->handler = UseHandler(proc);
      here->lent = true;
      return {};
    }
  } else if (here != nullptr && here->sits_at.Holds(*thread)) {
    here->thread = target.thread;
    sync::MutexLock waiters(proc.waiters_mu);
    here->handler = UseHandler(proc);
    return {};
  }
  if (thread == nullptr) {
    proc.todo.PushBack(transaction);
    if (ConcernsPollers(proc)) wakeup.Tell(proc);
    return {};
  }
  thread->proc->queues_mu.AssertHeld();
  EnqueueThread(*thread, transaction, wakeup);
  return {};
}

// The one-way waiting at `node` that `update` replaces: the first one that is
// the same but for its payload, if both are sent to be replaced (AS-12).
template <LockingPolicy L>
[[nodiscard]] core::Transaction<L>* FindOutdated(
    core::Node<L>& node, const core::Transaction<L>& update)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(node.mu) {
  constexpr std::uint32_t kBoth = kTfOneWay | kTfUpdateTxn;
  if ((update.flags & kBoth) != kBoth) return nullptr;
  core::Transaction<L>* found = nullptr;
  node.async_todo.ForEach([&](core::Work& work) {
    auto& waiting = static_cast<core::Transaction<L>&>(work);
    if (found == nullptr && waiting.code == update.code &&
        waiting.flags == update.flags &&
        waiting.sender_pid == update.sender_pid) {
      found = &waiting;
    }
  });
  return found;
}

// Undoes the building of a transaction that could not be queued, or that is
// replaced while it waits.
template <LockingPolicy L>
void Unbuild(core::Transaction<L>& transaction) {
  core::Buffer<L>& buffer = *std::exchange(transaction.buffer, nullptr);
  ReleaseBufferContents(*transaction.to_proc, buffer);
  transaction.to_proc->arena.Free(buffer);
  transaction.files.clear();
}

// Queues a one-way: like a call that is not steered if its node has none on
// the way, behind the others at the node otherwise (AS-01, AS-02). `to_frozen`:
// it will have to wait for its Proc to be thawed.
template <LockingPolicy L>
Outcome QueueOneWay(core::Thread<L>& self, core::Transaction<L>& transaction,
                    const Target<L>& target, bool& to_frozen) {
  OwnedTransaction<L> outdated;
  {
    Wakeup<L> wakeup;
    core::Node<L>& node = *target.node;
    core::Proc<L>& proc = *target.proc;
    sync::MutexLock lock(node.mu);
    if (!node.has_async) {
      const Outcome outcome =
          QueueCall(self, transaction, target, wakeup, to_frozen);
      node.has_async = outcome.ok();
      return outcome;
    }
    if (node.owner == nullptr) return Outcome::Dead(Errc::kOk);
    {
      sync::MutexLock queues(proc.queues_mu);
      RefillSpares(self, proc);
      to_frozen = proc.is_frozen.load(std::memory_order_relaxed);
      const Outcome outcome = Accepts(proc, /*one_way=*/true);
      if (!outcome.ok()) return outcome;
      proc.outstanding.Begin();
    }
    if (to_frozen) {
      outdated.reset(FindOutdated(node, transaction));
      if (outdated != nullptr) outdated->Unlink();
    }
    node.async_todo.PushBack(transaction);
  }
  if (outdated != nullptr) {
    Unbuild(*outdated);
    FreeTransaction<L>(std::move(outdated));
  }
  return {};
}

// Each transaction begins without an error (EE-01).
template <LockingPolicy L>
void ResetExtendedError(core::Thread<L>& self, std::uint32_t id)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(self.proc->queues_mu) {
  self.extended_error = {id, static_cast<std::uint32_t>(Br::BR_OK), 0};
}

// Made and destroyed in a call of `self`.
template <LockingPolicy L>
[[nodiscard]] std::unique_ptr<core::Completion> NewCompletion(
    core::Thread<L>& self) {
  return self.spare_completions.New(self.proc->context->counts, &self.made);
}
template <LockingPolicy L>
void DeleteCompletion(core::Thread<L>& self,
                      std::unique_ptr<core::Completion> completion) {
  if (completion == nullptr) return;
  completion->EndsWith(self.made);
  self.spare_completions.Delete(std::move(completion));
}

// BR_TRANSACTION_COMPLETE for the sender of a one-way or a reply. It is put on
// the sender's own list before the transaction is queued, so that nothing that
// the transaction brings about comes before it; taken back on destruction
// unless the transaction is on its way.
template <LockingPolicy L>
class [[nodiscard]] PendingCompletion {
 public:
  // `quiet`: it is not told, so there is nothing to be done. `reset`: the
  // transaction, if the extended error has not been reset for it.
  explicit PendingCompletion(core::Thread<L>& self, bool quiet = false,
                             std::optional<std::uint32_t> reset = {})
      : self_(self) {
    if (quiet) return;
    unused_ = NewCompletion(self);
    sync::MutexLock queues(self.proc->queues_mu);
    if (reset.has_value()) ResetExtendedError(self, *reset);
    if (self.is_dead) return;
    completion_ = unused_.release();
    EnqueueThread(self, *completion_);
  }
  PendingCompletion(const PendingCompletion&) = delete;
  PendingCompletion& operator=(const PendingCompletion&) = delete;
  ~PendingCompletion() {
    if (completion_ != nullptr) TakeBack();
    DeleteCompletion(self_, std::move(unused_));
  }

  // The transaction has been queued; its sender is told as `type` says. Only
  // the thread itself reads its list, and it is here.
  void Keep(core::WorkType type = core::WorkType::kTransactionComplete) {
    // A plain one may be gone already: the thread's release takes it.
    if (completion_ != nullptr &&
        type != core::WorkType::kTransactionComplete) {
      sync::MutexLock queues(self_.proc->queues_mu);
      if (!self_.is_dead) completion_->type = type;
    }
    completion_ = nullptr;
  }

 private:
  void TakeBack() {
    sync::MutexLock queues(self_.proc->queues_mu);
    if (self_.is_dead) return;  // Its release has taken everything.
    completion_->Unlink();
    unused_.reset(completion_);
    if (self_.todo.empty()) self_.process_todo = false;
  }

  core::Thread<L>& self_;
  std::unique_ptr<core::Completion> unused_;
  core::Completion* completion_ = nullptr;  // On the list.
};

// How a completion is told. Spam only to who wants to know (RD-29).
template <LockingPolicy L>
[[nodiscard]] Br CompletionCode(const core::Proc<L>& proc,
                                core::WorkType type) {
  if (type == core::WorkType::kPendingFrozen) {
    return Br::BR_TRANSACTION_PENDING_FROZEN;
  }
  if (type == core::WorkType::kSpamSuspect &&
      proc.detects_spam.load(std::memory_order_relaxed)) {
    return Br::BR_ONEWAY_SPAM_SUSPECT;
  }
  return Br::BR_TRANSACTION_COMPLETE;
}

// A new transaction with the fields that need no target.
template <LockingPolicy L>
OwnedTransaction<L> NewTransaction(core::Thread<L>& self,
                                   core::TransactionKind kind,
                                   const TransactionData& data,
                                   std::uint32_t id, core::Proc<L>& to) {
  OwnedTransaction<L> transaction = self.spare_transactions.New(
      self.proc->context->counts, kind, id, &self.made);
  transaction->code = data.code;
  transaction->flags = data.flags;
  transaction->sender_pid = self.proc->options.pid;
  transaction->sender_tid = self.tid;
  transaction->sender_euid = self.proc->options.euid;
  if (Priorities* priorities = self.proc->context->options.priorities) {
    transaction->priority = priorities->Get(self.proc->options.pid, self.tid);
  }
  transaction->to_proc = &to;
  return transaction;
}

// Whether a call to `target` may be served on the OS thread that makes it. Both
// sides must have what serves calls there: the caller may be called back while
// its OS thread is busy with this one.
template <LockingPolicy L>
[[nodiscard]] bool MayServeHere(const core::Proc<L>& from,
                                const Target<L>& target) {
  return target.node->on_callers.load(std::memory_order_relaxed) &&
         target.proc->has_call_handler.load(std::memory_order_relaxed) &&
         from.has_call_handler.load(std::memory_order_relaxed);
}

// BC_TRANSACTION. `record`: what becomes known of it. `loan`: set if the call
// is to be served at `seat`.
template <LockingPolicy L>
Outcome SendCall(core::Thread<L>& self, const SendRequest<L>& request,
                 core::LogEntry& record, core::Seat<L>& seat,
                 core::Loan<L>& loan) {
  const TransactionData& data = request.data;
  const bool one_way = request.reserved != nullptr
                           ? request.reserved->one_way
                           : (data.flags & kTfOneWay) != 0;
  core::Context<L>& context = *self.proc->context;
  // With nothing on its stack the thread waits for no reply, so nobody else
  // says how its calls fail: there is time until it takes its queues for other
  // reasons, or has failed.
  const bool waits_for_nothing = self.has_empty_stack();
  bool nothing_on_hand = waits_for_nothing &&
                         (!self.may_have_call() ||
                          !context.options.quirks.refuse_call_with_unread_call);
  if (!nothing_on_hand) {
    sync::MutexLock queues(self.proc->queues_mu);
    if (!waits_for_nothing) ResetExtendedError(self, record.id);
    nothing_on_hand = self.stack == nullptr && self.todo.empty();
  }
  Target<L> target;
  Outcome outcome;
  if (request.reserved != nullptr) {
    target = request.reserved->target;
  } else {
    outcome = ResolveTarget(self, data.target.handle, target);
  }
  if (!outcome.ok()) return outcome;
  record.to_pid = target.proc->options.pid;
  record.node = target.node->id;
  if (!one_way && !nothing_on_hand) {
    outcome = CheckStack(self, target);
    if (!outcome.ok()) {
      if (request.reserved == nullptr) DropTarget(*target.node);
      return outcome;
    }
  }
  OwnedTransaction<L> transaction = NewTransaction(
      self,
      one_way ? core::TransactionKind::kOneWay : core::TransactionKind::kCall,
      data, record.id, *target.proc);
  if (target.thread) {
    transaction->steered_to = record.to_tid = target.thread->tid;
  }
  const bool may_serve_here = !one_way && MayServeHere(*self.proc, target);
  const bool accepts_fds = target.node->accepts_fds;
  bool spam_suspect = false;
  // Only a one-way needs its node once more.
  outcome = BuildBuffer(self, *transaction,
                        one_way ? target.node : std::move(target.node), request,
                        accepts_fds, spam_suspect);
  if (!outcome.ok()) return outcome;
  context.At(Point::kSending, self.proc->options.pid, self.tid);

  if (one_way) {
    PendingCompletion<L> completion(
        self, /*quiet=*/false,
        waits_for_nothing ? std::optional(record.id) : std::nullopt);
    bool to_frozen = false;
    outcome = QueueOneWay(self, *transaction, target, to_frozen);
    if (!outcome.ok()) {
      Unbuild(*transaction);
      return outcome;
    }
    (void)transaction.release();  // It is the target's now.
    const Quirks& quirks = context.options.quirks;
    if (to_frozen && quirks.pending_frozen_stops_write) {
      return Outcome::PendingFrozen();  // Instead of a completion.
    }
    if (to_frozen && quirks.pending_frozen_is_reported) {
      completion.Keep(core::WorkType::kPendingFrozen);
    } else if (spam_suspect) {
      completion.Keep(core::WorkType::kSpamSuspect);
    } else {
      completion.Keep();
    }
    return outcome;
  }

  // The reply may come before this returns: everything is in its place before
  // the transaction is queued, and taken back if it cannot be.
  std::unique_ptr<core::Completion> completion;
  if (!request.quiet) completion = NewCompletion(self);
  core::Completion* const complete = completion.get();
  core::Transaction<L>* const sent = transaction.get();
  bool stacked = false;
  {
    sync::MutexLock queues(self.proc->queues_mu);
    if (!self.is_dead) {
      stacked = true;
      if (waits_for_nothing) ResetExtendedError(self, record.id);
      sent->SetSender(self);
      if (completion != nullptr) EnqueueDeferred(self, *completion.release());
      sent->from_parent.store(self.stack, std::memory_order_relaxed);
      self.stack = sent;
    }
  }
  // If not, this thread is dead: nobody waits for a reply.
  if (stacked) {
    Wakeup<L> wakeup;
    bool to_frozen = false;
    Here<L> here{.seat = may_serve_here ? &seat : nullptr, .sits_at = seat};
    outcome = QueueCall(self, *sent, target, wakeup, to_frozen, &here);
    loan.to = std::move(here.thread);
    loan.handler = here.handler;
    loan.lent = here.lent;
  } else {
    outcome = Outcome::Dead(Errc::kNoProcess);
  }
  if (loan.to) {
    loan.call = std::move(transaction);
    return outcome;
  }
  if (outcome.ok()) {
    (void)transaction.release();
    return outcome;
  }
  OwnedTransaction<L> cut;
  {
    sync::MutexLock queues(self.proc->queues_mu);
    if (!self.is_dead) {
      if (complete != nullptr) {
        complete->Unlink();
        completion.reset(complete);
      }
      self.stack = sent->from_parent;
    } else if (stacked) {
      // Released since then: the call that it was serving ends with this one.
      cut.reset(sent->from_parent);
    }
  }
  Unbuild(*transaction);
  if (cut != nullptr) SendFailedReply<L>(std::move(cut), Br::BR_DEAD_REPLY);
  return outcome;
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

// BC_REPLY. On success and on failure the call that it answers is over, unless
// there is none: then in_reply_to stays empty.
template <LockingPolicy L>
Outcome SendReply(core::Thread<L>& self, const SendRequest<L>& request,
                  core::LogEntry& record, const core::Seat<L>& seat,
                  OwnedTransaction<L>& in_reply_to) {
  {
    sync::MutexLock queues(self.proc->queues_mu);
    ResetExtendedError(self, record.id);
    core::Transaction<L>* const top = self.stack;
    if (top == nullptr || !top->IsServedBy(self)) {
      return StackMisused(self);
    }
    self.stack = top->to_parent;
    in_reply_to.reset(top);
  }
  RestorePriority(self, *in_reply_to);
  // A caller that sits here is alive, being in a call.
  core::Thread<L>* caller = seat.Recognize(in_reply_to->sender_hint());
  core::Pin<core::Thread<L>> pin;
  if (caller == nullptr) {
    pin = in_reply_to->sender();
    caller = pin.get();
  }
  if (caller == nullptr) return Outcome::Dead(Errc::kOk);
  core::Thread<L>& to = *caller;
  core::Proc<L>& receiver = *to.proc;
  if (request.reserved != nullptr &&
      request.reserved->target.proc.get() != &receiver) {
    return Outcome::Failed(Errc::kInvalid);  // It was for another call.
  }
  OwnedTransaction<L> reply = NewTransaction(
      self, core::TransactionKind::kReply, request.data, record.id, receiver);
  record.to_pid = receiver.options.pid;
  reply->steered_to = record.to_tid = to.tid;
  bool spam_suspect = false;
  Outcome outcome =
      BuildBuffer(self, *reply, core::Pin<core::Node<L>>(), request,
                  (in_reply_to->flags & kTfAcceptFds) != 0, spam_suspect);
  if (!outcome.ok()) return outcome;
  self.proc->context->At(Point::kSending, self.proc->options.pid, self.tid);
  // Behind what the objects of the payload have brought about.
  PendingCompletion<L> completion(self, request.quiet);
  {
    Wakeup<L> wakeup(to);
    sync::MutexLock queues(to.proc->queues_mu);
    const bool waits = to.stack == in_reply_to.get();
    if (to.is_dead || (!waits && !in_reply_to->IsFrom(to))) {
      // It has died meanwhile, or given up the call (driver/abandon.h).
      outcome = Outcome::Dead(Errc::kOk);
    } else if (HasToServeFirst(to, *in_reply_to)) {
      to.proc->outstanding.Begin();
      AnswerEarly<L>(std::move(in_reply_to), std::move(reply), Br::BR_OK);
    } else {
      to.stack = in_reply_to->from_parent;
      to.proc->outstanding.Begin();
      if (seat.Holds(to)) {
        EnqueueThread(to, *reply.release());  // It is awake: here.
      } else {
        EnqueueThread(to, *reply.release(), wakeup);
      }
    }
  }
  if (!outcome.ok()) {
    Unbuild(*reply);  // NOLINT(bugprone-use-after-move): it is still here.
    return outcome;
  }
  if (in_reply_to != nullptr) FreeTransaction(self, std::move(in_reply_to));
  completion.Keep();
  return outcome;
}

// What the log says of a transaction as it begins.
template <LockingPolicy L>
[[nodiscard]] core::LogEntry RecordOf(const core::Thread<L>& self,
                                      const SendRequest<L>& request,
                                      bool is_reply, std::uint32_t id) {
  const TransactionData& data = request.data;
  core::LogEntry record{.id = id,
                        .from_pid = self.proc->options.pid,
                        .from_tid = self.tid,
                        .handle = data.target.handle,
                        .data_size = data.data_size,
                        .offsets_size = data.offsets_size};
  if (is_reply) {
    record.kind = core::TransactionKind::kReply;
  } else if ((data.flags & kTfOneWay) != 0) {
    record.kind = core::TransactionKind::kOneWay;
  }
  return record;
}

// Handles BC_TRANSACTION and BC_REPLY. Whatever goes wrong becomes a return
// command, which stops the caller's write (WR-05), and the extended error.
// A call that is to be served at `seat`, where the caller is, is returned.
template <LockingPolicy L>
[[nodiscard]] core::Loan<L> Send(core::Thread<L>& self,
                                 const SendRequest<L>& request, bool is_reply,
                                 core::Seat<L>& seat) {
  core::Context<L>& context = *self.proc->context;
  const std::uint64_t order = request.reserved != nullptr
                                  ? request.reserved->order
                                  : context.NextOrder();
  const auto id = static_cast<std::uint32_t>(order);
  core::LogEntry record = RecordOf(self, request, is_reply, id);
  const core::TransactionLog::Ticket ticket = context.log.Begin(order, record);
  OwnedTransaction<L> in_reply_to;
  core::Loan<L> loan;
  const Outcome outcome =
      is_reply ? SendReply(self, request, record, seat, in_reply_to)
               : SendCall(self, request, record, seat, loan);
  if (outcome.ok() || outcome.reply == Br::BR_TRANSACTION_PENDING_FROZEN) {
    context.log.Finish(ticket, record);
    if (!outcome.ok()) QueueReturnError(self, outcome.reply);
    return loan;
  }
  if (request.reserved != nullptr) Abandon(*request.reserved);
  record.return_error = static_cast<std::uint32_t>(outcome.reply);
  record.param = -static_cast<std::int32_t>(outcome.error);
  context.log.Finish(ticket, record);
  context.failed_log.Add(order, record);
  context.Complain(UserError::kBadTransaction, self.proc->options.pid,
                   self.tid);
  const Quirks& quirks = context.options.quirks;
  ExtendedError error{id, static_cast<std::uint32_t>(outcome.reply),
                      -static_cast<std::int32_t>(outcome.error)};
  if (quirks.no_extended_error_for_the_dead && !is_reply &&
      outcome.reply != Br::BR_FAILED_REPLY) {
    error = {id, static_cast<std::uint32_t>(Br::BR_OK), 0};
  }
  const bool answers = in_reply_to != nullptr;
  if (answers && self.is_dead) {
    // Torn down while it built the reply: its caller's target has died.
    SendFailedReply<L>(std::move(in_reply_to), Br::BR_DEAD_REPLY);
  } else if (answers) {
    // The replier has done its part; the caller hears of the failure, and
    // later than that, should the two be one thread.
    if (!request.quiet) QueueReturnError(self, Br::BR_TRANSACTION_COMPLETE);
    if (const core::Pin<core::Thread<L>> pin = in_reply_to->sender()) {
      core::Thread<L>& caller = *pin;
      sync::MutexLock queues(caller.proc->queues_mu);
      if (caller.extended_error.command ==
          static_cast<std::uint32_t>(Br::BR_OK)) {
        caller.extended_error = error;
      }
    }
    SendFailedReply<L>(std::move(in_reply_to),
                       quirks.reply_failure_is_never_death ? Br::BR_FAILED_REPLY
                                                           : outcome.reply);
  }
  if (answers) return loan;
  // A reply that answered nothing fails like a call.
  {
    sync::MutexLock queues(self.proc->queues_mu);
    self.extended_error = error;
  }
  QueueReturnError(self, outcome.reply);
  return loan;
}

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_TRANSACT_H_
