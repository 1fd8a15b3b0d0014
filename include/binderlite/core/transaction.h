// SPDX-License-Identifier: Apache-2.0
//
// Transaction: one call, one-way call or reply between being sent and being
// answered. It is the Work that its receiver reads.
//
// A synchronous call lies on two stacks: its sender's, linked by from_parent,
// and, once read, its receiver's, linked by to_parent.
//
//   stage      on sender's stack  whose is it            ends by
//   ---------  -----------------  ---------------------  --------------------
//   building   no                 the sending thread     queueing, or failure
//   queued     yes                the list it is on      being read
//   in hand    yes                the reading thread     being on its stack
//   serving    yes                the receiver's stack   reply, failure
//   orphaned   no (sender gone)   the receiver's stack   reply, failure
//   cut        yes                its own call in turn   that call's end
//              (receiver gone)    (from_parent)
//   answered   yes, but not at    the sender's stack     what is above it there
//   early      its top                                   being over
//
// The last is what becomes of a call whose receiver has given up a call of its
// own (driver/abandon.h) which had led back to the sender: that is busy with
// it, and must not read the answer before.
//
// A parent always outlives its children: a thread answers in LIFO order, and a
// call whose receiver died with a call of its own outstanding ("cut") is
// resolved by the end of that one.
//
// `mu` (policy section "transaction") guards who sent it, so that this can be
// looked at while the sender dies. The parent links are
// guarded by the queues mutex of the Proc whose thread has it on its stack.
// Kernel: binder_transaction.

#ifndef BINDERLITE_CORE_TRANSACTION_H_
#define BINDERLITE_CORE_TRANSACTION_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <stop_token>

#include "absl/base/thread_annotations.h"
#include "binderlite/core/counts.h"
#include "binderlite/core/file.h"
#include "binderlite/core/pin.h"
#include "binderlite/core/rare.h"
#include "binderlite/core/work.h"
#include "binderlite/fwd.h"
#include "binderlite/sync/cache_line.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/wire/commands.h"
#include "binderlite/wire/flags.h"

namespace binderlite::core {

// A descriptor on its way: where in the receiver's copy its number belongs,
// once it has one.
struct FileInFlight {
  OpenFile file;
  std::size_t offset = 0;  // Bytes from the start of the buffer.
  bool in_array = false;   // Of a FdArrayObject.
};

enum class TransactionKind : std::uint8_t { kCall, kOneWay, kReply };

template <class L>
class alignas(kCacheLine) Transaction : public Work {
 public:
  // `made_by`: who counts it as made; null: all.
  Transaction(LiveCounts& counts, TransactionKind the_kind,
              std::uint32_t debug_id, LiveCounts::Share* made_by = nullptr)
      : Work(WorkType::kTransaction),
        kind(the_kind),
        id(debug_id),
        counted_(counts, made_by) {}

  const TransactionKind kind;
  const std::uint32_t id;

  // Set while building, constant afterwards.
  std::uint32_t code = 0;
  std::uint32_t flags = 0;
  std::int32_t sender_pid = 0;
  std::int32_t sender_tid = 0;
  std::uint32_t sender_euid = 0;
  // The thread that must take it; 0: any of to_proc.
  std::int32_t steered_to = 0;
  // The Proc it is queued to. Alive: its sender, who looks for it, whoever
  // reads it and whoever tears it down keeps it so, and once nobody does that
  // serves it, `orphan_of`.
  Proc<L>* to_proc = nullptr;
  Pin<Proc<L>> orphan_of;
  // Its payload, in to_proc's arena; null once delivered. Belongs to whoever
  // the transaction belongs to.
  Buffer<L>* buffer = nullptr;
  // The descriptors in it, until the receiver reads it.
  RareVector<FileInFlight> files;
  // Where in the buffer the sender's label is; 0: there is none.
  std::uint64_t label_address = 0;
  // With a Priorities hook: that of the sender, and that which the receiver had
  // before.
  int priority = 0;
  int saved_priority = 0;

  // The call that the sender was serving when it sent this one. Changes with
  // the queues mutex of the sender's Proc held. Whoever follows it without
  // that, through calls that are not its own, does so in a ChainWalk.
  std::atomic<Transaction*> from_parent{nullptr};
  // Answered early: the reply, which this owns, or `failure`, that there is
  // none. With the queues mutex of the sender's Proc held.
  Transaction* early_reply = nullptr;
  Br early_failure = Br::BR_OK;
  // What the receiver had on its stack when it read this one.
  Transaction* to_parent = nullptr;

  mutable typename L::TransactionMutex mu;
  // The thread that waits for the reply. Null in one-ways and replies, and once
  // that thread is gone, which takes its name off everything on its stack
  // before it goes.
  Thread<L>* from ABSL_GUARDED_BY(mu) = nullptr;
  // Who serves it and asks gets to know that `from` has gone: see
  // driver/given_up.h. Without a state until somebody asks.
  std::stop_source given_up ABSL_GUARDED_BY(mu){std::nostopstate};
  // The thread that serves it; null before it is read and once it is gone.
  // Changes with the queues mutex of that thread's Proc held; and is cleared
  // with `mu` held as well, under which it can be looked at.
  std::atomic<Thread<L>*> to_thread{nullptr};

  // Who sends it. Before it is queued, when nobody else knows of it.
  void SetSender(Thread<L>& thread) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    from = &thread;
    sender_hint_.store(&thread, std::memory_order_relaxed);
  }
  // It is gone.
  void ResetSender() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    from = nullptr;
    sender_hint_.store(nullptr, std::memory_order_relaxed);
  }
  // By itself not to be relied on: it may be going at this moment.
  [[nodiscard]] bool has_sender() const { return sender_hint() != nullptr; }
  // Good for nothing but to be compared with a thread that is known to be
  // alive.
  [[nodiscard]] const Thread<L>* sender_hint() const {
    return sender_hint_.load(std::memory_order_relaxed);
  }

  // It is about to be destroyed, and counted by `share`.
  void EndsWith(LiveCounts::Share& share) { counted_.EndsWith(share); }

  [[nodiscard]] bool needs_reply() const {
    return kind == TransactionKind::kCall;
  }
  [[nodiscard]] Pin<Thread<L>> sender() const {
    sync::MutexLock lock(mu);
    return Pin<Thread<L>>(from);
  }
  // The thread that waits for the reply if it is one of `proc`'s, or empty.
  [[nodiscard]] Pin<Thread<L>> SenderIn(const Proc<L>& proc) const {
    sync::MutexLock lock(mu);
    return Pin<Thread<L>>(from != nullptr && from->proc == &proc ? from
                                                                 : nullptr);
  }
  [[nodiscard]] bool IsServedBy(const Thread<L>& thread) const {
    return to_thread.load(std::memory_order_acquire) == &thread;
  }
  // What lies below it on the stack of `thread`. With its queues mutex held.
  [[nodiscard]] Transaction* Below(const Thread<L>& thread) const {
    return IsServedBy(thread) ? to_parent : from_parent.load();
  }
  [[nodiscard]] bool is_answered_early() const {
    return early_reply != nullptr || early_failure != Br::BR_OK;
  }
  // Nobody serves it (any more).
  [[nodiscard]] bool IsCut() const {
    return to_thread.load(std::memory_order_acquire) == nullptr;
  }
  [[nodiscard]] bool IsFrom(const Thread<L>& thread) const {
    sync::MutexLock lock(mu);
    return from == &thread;
  }

 private:
  std::atomic<const Thread<L>*> sender_hint_{nullptr};
  CountedByShare<ObjectKind::kTransaction> counted_;
};

// BR_TRANSACTION_COMPLETE on its way to the sender.
class Completion : public Work {
 public:
  explicit Completion(LiveCounts& counts, LiveCounts::Share* made_by = nullptr)
      : Work(WorkType::kTransactionComplete), counted_(counts, made_by) {}

  void EndsWith(LiveCounts::Share& share) { counted_.EndsWith(share); }

 private:
  CountedByShare<ObjectKind::kTransactionComplete> counted_;
};

}  // namespace binderlite::core

#endif  // BINDERLITE_CORE_TRANSACTION_H_
