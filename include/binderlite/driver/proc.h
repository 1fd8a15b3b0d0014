// SPDX-License-Identifier: Apache-2.0
//
// Proc: one open of a Context, from being opened until it is closed or killed.
//
// May be used from everywhere at the same time. Closing and killing it, in any
// order and more than once, is fine.
//
// Locks: the tasks mutex of the Proc to attach a thread; else what the headers
// take that it is made of. Kill takes no driver lock.

#ifndef BINDERLITE_DRIVER_PROC_H_
#define BINDERLITE_DRIVER_PROC_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "binderlite/core/arena.h"
#include "binderlite/core/pin.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/table.h"
#include "binderlite/core/task.h"
#include "binderlite/driver/call_handler.h"
#include "binderlite/driver/entry.h"
#include "binderlite/driver/loan.h"
#include "binderlite/driver/poll.h"
#include "binderlite/driver/release.h"
#include "binderlite/driver/reserve.h"
#include "binderlite/driver/thread.h"
#include "binderlite/memory/mapping.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/sync/stop.h"
#include "binderlite/wire/errc.h"

namespace binderlite {

// One open of a Context: an isolated component with an identity, handles,
// nodes, a receive arena and threads. Destroying it closes it.
// Kernel: binder_proc, an open file. libbinder: ProcessState.
template <LockingPolicy L = FineGrained<>>
class BasicProc {
 public:
  // Not open: can be assigned to, tested, closed and destroyed, nothing else.
  BasicProc() = default;
  BasicProc(BasicProc&&) noexcept = default;
  BasicProc& operator=(BasicProc&& other) noexcept {
    Close();
    proc_ = std::move(other.proc_);
    return *this;
  }
  ~BasicProc() { Close(); }

  // Whether it is one. It stays true when it is closed.
  [[nodiscard]] explicit operator bool() const {
    return static_cast<bool>(proc_);
  }
  // What others see; as opened with, or chosen then.
  [[nodiscard]] std::int32_t pid() const { return proc_->options.pid; }
  // As opened with, but for a pid of 0.
  [[nodiscard]] const ProcOptions& options() const { return proc_->options; }

  // Has calls to this Proc served on their caller's thread, by `handler`; null:
  // no longer. It may still be running, or be about to, when this returns, and
  // lives as long as it does. That goes for calls
  //
  //  - that are synchronous, for nodes that are chosen by RunOnCallers, from
  //    Procs that have a handler as well, whenever a looper waits that can be
  //    lent to the caller's OS thread for it (driver/loan.h);
  //  - that come back to a thread of this Proc while its OS thread is busy
  //    serving a call that it has made.
  //
  // All others are for its loopers, of which it needs at least one.
  void SetCallHandler(std::shared_ptr<CallHandler<L>> handler) {
    driver::SetCallHandler(*proc_, std::move(handler));
  }
  // The nodes that this Proc knows, or will know, by the name `ptr`.
  void RunOnCallers(std::uint64_t ptr, bool enable = true) {
    driver::RunOnCallers(*proc_, ptr, enable);
  }

  // Access for one more thread. The same tid always means the same thread;
  // 0 stands for the lowest that has not been attached yet. A thread stays
  // known for the life of the Proc. Never waits for a lock that is held for
  // long.
  [[nodiscard]] BasicThread<L> Attach(std::int32_t tid = 0) {
    core::Proc<L>& proc = *proc_;
    for (;;) {
      std::int32_t number = tid;
      {
        sync::MutexLock lock(proc.tasks_mu);
        if (tid == 0) number = LowestFreeTid(proc);
        if (core::Task<L>* const found = proc.tasks.Find(core::KeyOf(number))) {
          return BasicThread<L>(proc_, core::Pin<core::Task<L>>(found));
        }
      }
      // Made without the lock; in the end somebody else may have been faster.
      core::Pin<core::Task<L>> made(
          new core::Task<L>(number, proc.kill.get_token()));
      sync::MutexLock lock(proc.tasks_mu);
      if (proc.tasks_closed) return BasicThread<L>(proc_, std::move(made));
      core::Pin<core::Task<L>> task = proc.tasks.FindOrInsert(made);
      if (task == made || tid != 0) {
        return BasicThread<L>(proc_, std::move(task));
      }
    }
  }

  // mmap: reserves receive memory, at most Arena::kMaxSize bytes. kBusy: done
  // before. kInvalid: size 0. kNoMemory: the address space is used up.
  Errc Map(std::size_t size) { return proc_->Map(size); }
  // The same with memory that the receiver reads at another address; see
  // core/arena.h.
  Errc Map(memory::Mapping mapping, std::uint64_t user_address) {
    return proc_->Map(std::move(mapping), user_address);
  }
  // munmap: from now on nothing can be sent here.
  void Unmap() { proc_->arena.Unmap(); }

  // O_NONBLOCK; counts from the next read on.
  void SetNonblocking(bool nonblocking) {
    proc_->nonblocking.store(nonblocking, std::memory_order_relaxed);
  }

  // What closing a duplicate of the descriptor does: threads that wait return,
  // and every thread's next read does not block.
  void Flush() {
    driver::DriverEntry<L> entry(*proc_->context);
    entry.EnterToCleanUp();
    driver::Flush(*proc_);
  }

  // For who shows readiness of the Proc as a whole: calls show(survey), where
  // survey() says what the pollers could read (see driver/poll.h). No call of
  // the Context, and no Poll, is in the middle of anything meanwhile if it has
  // a binder lock. `show` may take a mutex that OnReady takes, too, and call
  // survey() under it, so that what it shows is not older than the last
  // OnReady. A killed Proc, which is not waited for where the discipline lets
  // the killed go, is readable: its calls return at once.
  template <class F>
  void ShowReadiness(F show) {
    core::Proc<L>& proc = *proc_;
    driver::DriverEntry<L> entry(*proc.context);
    const bool entered = entry.Enter(sync::StopSignals(proc.kill.get_token()));
    show([&proc, entered]() -> driver::Pollers {
      if (!entered) return {.readable = true};
      sync::MutexLock queues(proc.queues_mu);
      return driver::Survey(proc);
    });
  }

  // The last close: waiting threads return, no call begins any more, and the
  // Proc is torn down once none is in progress. A second Close does nothing.
  void Close() {
    if (proc_) driver::Close(*proc_);
  }

  // Ends every wait and every interruptible lock acquisition of the Proc's
  // threads, now and from now on, and has the Proc torn down without their
  // help. Takes no driver lock: returns at once, whoever holds what.
  void Kill() { driver::Kill(*proc_); }

  // How much receive memory the owner of what `handle` stands for has left, for
  // whoever has failed to send for want of it; nothing if there is none, or it
  // is dead, or this Proc is killed. Under the disciplines with a binder lock,
  // waits for that like any call.
  [[nodiscard]] std::optional<typename core::Arena<L>::Usage> MemoryBehind(
      std::uint32_t handle) {
    driver::DriverEntry<L> entry(*proc_->context);
    if (!entry.Enter(sync::StopSignals(proc_->kill.get_token()))) {
      return std::nullopt;
    }
    return driver::UsageBehind(*proc_, handle);
  }

  // Whether it has been torn down.
  [[nodiscard]] bool released() const {
    return proc_->released.load(std::memory_order_acquire);
  }

  // The driver's state, for debug/.
  [[nodiscard]] core::Proc<L>& state() { return *proc_; }

 private:
  template <LockingPolicy M>
  friend class BasicContext;

  explicit BasicProc(core::Pin<core::Proc<L>> proc) : proc_(std::move(proc)) {}

  // The lowest number from the pid on that no thread has.
  static std::int32_t LowestFreeTid(core::Proc<L>& proc)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(proc.tasks_mu) {
    std::int32_t& tid = proc.first_free_tid;
    while (proc.tasks.Find(core::KeyOf(tid)) != nullptr) ++tid;
    return tid;
  }

  core::Pin<core::Proc<L>> proc_;
};

// With the default locking: fine-grained.
using Proc = BasicProc<>;

}  // namespace binderlite

#endif  // BINDERLITE_DRIVER_PROC_H_
