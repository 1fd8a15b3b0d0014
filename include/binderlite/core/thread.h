// SPDX-License-Identifier: Apache-2.0
//
// Thread: the driver's record of one thread of a Proc: its looper state, its
// own todo list, its transaction stack, and the errors it has not read yet.
// Made by the thread's first call, destroyed by THREAD_EXIT or with the Proc.
//
// `looper` and `need_return` are atomic, because a killed thread corrects them
// without a lock. The todo list, the stack and the errors are guarded by the
// Proc's queues mutex, the place on the waiting list by its waiters mutex.
// Kernel: binder_thread. libbinder: IPCThreadState.

#ifndef BINDERLITE_CORE_THREAD_H_
#define BINDERLITE_CORE_THREAD_H_

#include <atomic>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "binderlite/core/counts.h"
#include "binderlite/core/footprint.h"
#include "binderlite/core/pin.h"
#include "binderlite/core/spares.h"
#include "binderlite/core/stats.h"
#include "binderlite/core/table.h"
#include "binderlite/core/task.h"
#include "binderlite/core/transaction.h"
#include "binderlite/core/work.h"
#include "binderlite/fwd.h"
#include "binderlite/sync/cache_line.h"
#include "binderlite/wire/commands.h"
#include "binderlite/wire/structs.h"

namespace binderlite::core {

// Bits of Thread::looper, with the kernel's values (LP-15).
inline constexpr std::uint32_t kLooperRegistered = 0x01;
inline constexpr std::uint32_t kLooperEntered = 0x02;
inline constexpr std::uint32_t kLooperExited = 0x04;
inline constexpr std::uint32_t kLooperInvalid = 0x08;
inline constexpr std::uint32_t kLooperWaiting = 0x10;
inline constexpr std::uint32_t kLooperPoll = 0x20;

// A command that waits to be read; BR_OK when there is none.
struct ReturnError : Work {
  ReturnError() : Work(WorkType::kReturnError) {}

  [[nodiscard]] Br command() const {
    return command_.load(std::memory_order_relaxed);
  }
  void Set(Br command) { command_.store(command, std::memory_order_relaxed); }
  // What it was.
  [[nodiscard]] Br Take() {
    const Br taken = command();
    Set(Br::BR_OK);
    return taken;
  }

 private:
  std::atomic<Br> command_{Br::BR_OK};
};

// A value that is guarded by a mutex, but that its own thread may read without
// it: from null or false nobody else changes it.
template <class T>
class Peekable {
 public:
  Peekable& operator=(T value) {
    value_.store(value, std::memory_order_relaxed);
    return *this;
  }
  operator T() const {  // NOLINT(google-explicit-constructor)
    return value_.load(std::memory_order_relaxed);
  }

 private:
  std::atomic<T> value_{};
};

template <class L>
class alignas(kFalseSharing) Thread : public Pinned<Thread<L>>,
                                      public TableLink<Thread<L>> {
 private:
  // On the line with the pins, which those who wake it write.
  Pin<Proc<L>> proc_pin_;
  Pin<Task<L>> task_pin_;
  Counted<ObjectKind::kThread> counted_;

 public:
  // `first_read_returns`: see Quirks::first_read_waits.
  Thread(LiveCounts& counts, Proc<L>& owner, Task<L>& identity,
         bool first_read_returns = true)
      : proc_pin_(&owner),
        task_pin_(&identity),
        counted_(counts),
        need_return(first_read_returns),
        made(counts),
        proc(&owner),
        task(&identity),
        tid(identity.tid) {}

  // Its place in the Proc's table of threads.
  [[nodiscard]] std::uint64_t table_key() const { return KeyOf(tid); }

  // Next to the line with the pins, with which it may be fetched: most of it
  // hardly ever changes. Then what its own calls write.
  alignas(kCacheLine) Footprint footprint;

  std::atomic<std::uint32_t> looper{0};
  // The next read does not block. Set for a new thread, by a flush, and when
  // descriptors were closed with a buffer.
  std::atomic<bool> need_return;
  // The same for whoever runs it while it is lent.
  std::atomic<bool> guest_need_return{false};

  CommandCounts commands;
  LiveCounts::Share made;  // By its calls, and ended.
  // How many spare transactions its own calls need; the others are for those
  // who send to it.
  static constexpr std::size_t kOwnSpares = 4;
  // Memory for what its calls make; touched by its calls alone.
  Spares<Transaction<L>> spare_transactions{2 * kOwnSpares};
  Spares<Completion> spare_completions{8};

  ExtendedError extended_error ABSL_GUARDED_BY(proc->queues_mu) = NoError();
  // While it is lent to an OS thread that serves its own call with it: the Task
  // in whose parker that one sleeps. See core/seat.h. Alive: it is making a
  // call.
  Task<L>* runner ABSL_GUARDED_BY(proc->waiters_mu) = nullptr;

  // From here on, what others write, too; first all that a sender needs.

  // THREAD_EXIT or release has run: nothing may be queued or stacked any more.
  // Set with queues_mu held, where it is to be read, too; elsewhere it is a
  // hint that the record is of no use any more.
  alignas(kFalseSharing) std::atomic<bool> is_dead{false};
  // todo holds something worth waking for; deferred items alone are not.
  Peekable<bool> process_todo ABSL_GUARDED_BY(proc->queues_mu);
  // Work came for it that a poller has not been told of; see driver/poll.h.
  bool news ABSL_GUARDED_BY(proc->queues_mu) = false;
  bool is_waiting ABSL_GUARDED_BY(proc->waiters_mu) = false;
  // It was taken off the waiting list to look at the Proc's queue, and has not
  // looked yet: a debt, see driver/wait.h.
  bool owes_look ABSL_GUARDED_BY(proc->waiters_mu) = false;
  // The OS thread that it belongs to waits in it for process work, and need not
  // know if it is taken off the waiting list and put back.
  bool owner_waits ABSL_GUARDED_BY(proc->waiters_mu) = false;
  // Whether there is a runner. Becomes true with queues_mu held as well, so who
  // holds that, and sees false, need not look.
  std::atomic<bool> lent{false};
  // It has been given back with a call on its stack that nobody serves.
  std::atomic<bool> unfinished{false};
  Proc<L>* const proc;  // Pinned.
  Task<L>* const task;  // Pinned.
  WorkList todo ABSL_GUARDED_BY(proc->queues_mu);
  // The top of the stack: what it serves or waits for.
  Peekable<Transaction<L>*> stack ABSL_GUARDED_BY(proc->queues_mu);
  // Its place among the threads that wait for process work.
  Thread* next_waiting ABSL_GUARDED_BY(proc->waiters_mu) = nullptr;
  Thread* prev_waiting ABSL_GUARDED_BY(proc->waiters_mu) = nullptr;
  const std::int32_t tid;
  // A failure of its own transaction; while unread, no command is executed.
  ReturnError return_error ABSL_GUARDED_BY(proc->queues_mu);
  // The failure of a call that had been accepted.
  ReturnError reply_error ABSL_GUARDED_BY(proc->queues_mu);

  // Whether it has a failure to read. For its own calls: nothing but they and
  // the end of the record changes that.
  [[nodiscard]] bool has_return_error() const ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return return_error.command() != Br::BR_OK;
  }
  // Whether its stack is empty. For its own calls: nothing but they fills it.
  [[nodiscard]] bool has_empty_stack() const ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return stack == nullptr;
  }
  // False: there is no transaction on its list. For its own calls: with nothing
  // on its stack it is given one only while it waits.
  [[nodiscard]] bool may_have_call() const ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return process_todo;
  }
  // The flag that says so to its owner, or to whoever runs it meanwhile.
  [[nodiscard]] std::atomic<bool>& need_return_of(bool guest) {
    return guest ? guest_need_return : need_return;
  }
  [[nodiscard]] bool needs_return(bool guest) const {
    if (!guest) return need_return.load(std::memory_order_relaxed);
    // A guest of a guest may have read the flag that was meant for both, which
    // matters only when nobody can come any more.
    return guest_need_return.load(std::memory_order_relaxed) ||
           proc->closed.load(std::memory_order_relaxed);
  }
  [[nodiscard]] bool is_looper() const {
    return (looper.load(std::memory_order_relaxed) &
            (kLooperRegistered | kLooperEntered)) != 0;
  }
};

}  // namespace binderlite::core

#endif  // BINDERLITE_CORE_THREAD_H_
