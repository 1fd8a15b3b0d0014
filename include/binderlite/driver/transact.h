// SPDX-License-Identifier: Apache-2.0
//
// Transactions: sending calls, one-way calls and replies. Handles
// BC_TRANSACTION and BC_REPLY.
//
// This is the order of things; each of them has a header of its own:
//
//   driver/target.h        where it goes
//   driver/stack.h         whether the thread may send it now
//   driver/transaction.h   what is sent
//   driver/build.h         its payload, in the receiver's arena
//   driver/completion.h    what the sender reads about it
//   driver/queue.h         a call is handed to its receiver
//   driver/oneway.h        a one-way likewise, or waits at its node
//   driver/failed_reply.h  what is told if that, or what follows, fails
//
// Locks: never more than node -> queues -> transaction at a time, and none
// while payloads are copied (but the binder lock, where there is one).
// Kernel: binder_transaction.

#ifndef BINDERLITE_DRIVER_TRANSACT_H_
#define BINDERLITE_DRIVER_TRANSACT_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "binderlite/core/context.h"
#include "binderlite/core/hooks.h"
#include "binderlite/core/log.h"
#include "binderlite/core/node.h"
#include "binderlite/core/pin.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/quirks.h"
#include "binderlite/core/seat.h"
#include "binderlite/core/thread.h"
#include "binderlite/core/transaction.h"
#include "binderlite/core/work.h"
#include "binderlite/driver/build.h"
#include "binderlite/driver/completion.h"
#include "binderlite/driver/failed_reply.h"
#include "binderlite/driver/fetch.h"
#include "binderlite/driver/oneway.h"
#include "binderlite/driver/outcome.h"
#include "binderlite/driver/priority.h"
#include "binderlite/driver/queue.h"
#include "binderlite/driver/route.h"
#include "binderlite/driver/stack.h"
#include "binderlite/driver/target.h"
#include "binderlite/driver/transaction.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/wire/commands.h"
#include "binderlite/wire/errc.h"
#include "binderlite/wire/flags.h"
#include "binderlite/wire/structs.h"

namespace binderlite::driver {

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
  if (!seat.Holds(to)) SeeReply(self, to, *reply);
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
  if (request.reserved != nullptr) DropReserved(*request.reserved);
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
    error = NoError(id);
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
