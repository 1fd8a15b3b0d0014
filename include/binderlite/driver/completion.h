// SPDX-License-Identifier: Apache-2.0
//
// Completions: what a sender reads of a transaction that is on its way, which
// is BR_TRANSACTION_COMPLETE or what stands for it. One is taken back if the
// transaction cannot be queued after all. And the extended error, which begins
// anew with each transaction.
//
// Locks: the queues mutex of the sender's Proc.
// Kernel: binder_transaction.

#ifndef BINDERLITE_DRIVER_COMPLETION_H_
#define BINDERLITE_DRIVER_COMPLETION_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "binderlite/core/context.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/thread.h"
#include "binderlite/core/transaction.h"
#include "binderlite/core/work.h"
#include "binderlite/driver/route.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/wire/commands.h"

namespace binderlite::driver {

// Each transaction begins without an error (EE-01).
template <LockingPolicy L>
void ResetExtendedError(core::Thread<L>& self, std::uint32_t id)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(self.proc->queues_mu) {
  self.extended_error = NoError(id);
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

// Calls fn(completion) for what the thread has to read about its own sending.
template <LockingPolicy L, class F>
void ForEachCompletion(core::Thread<L>& thread, F fn)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(thread.proc->queues_mu) {
  thread.todo.ForEach([&fn](core::Work& work) {
    if (work.type == core::WorkType::kTransactionComplete ||
        work.type == core::WorkType::kPendingFrozen ||
        work.type == core::WorkType::kSpamSuspect) {
      fn(static_cast<core::Completion&>(work));
    }
  });
}

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

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_COMPLETION_H_
