// SPDX-License-Identifier: Apache-2.0
//
// Transactions as objects (core/transaction.h): how they are made, and what is
// to be done when one is over. They are sent in driver/transact.h.
//
// Their memory comes from the thread that sends and goes to the one that sees
// their end.
//
// Locks: none; to tell who waits to freeze the receiver, its tasks mutex.
// Kernel: binder_transaction.

#ifndef BINDERLITE_DRIVER_TRANSACTION_H_
#define BINDERLITE_DRIVER_TRANSACTION_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "binderlite/core/context.h"
#include "binderlite/core/pin.h"
#include "binderlite/core/priority.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/task.h"
#include "binderlite/core/thread.h"
#include "binderlite/core/transaction.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/wire/structs.h"

namespace binderlite::driver {

template <LockingPolicy L>
using OwnedTransaction = std::unique_ptr<core::Transaction<L>>;

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

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_TRANSACTION_H_
