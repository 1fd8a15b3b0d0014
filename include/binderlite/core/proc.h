// SPDX-License-Identifier: Apache-2.0
//
// Proc: one open of the device: an identity, its nodes, its handles to others'
// nodes, its threads, its queue of work, its receive arena.
//
// Lock order is the order of the mutexes below; never two Procs' at one level.
//
//   life        who may use it
//   ----------  -----------------------------------------------------------
//   open        everybody
//   killed      its calls answer kKilled; a reaper releases it
//   closed      no new calls; the last call that leaves releases it
//   released    is_dead: nothing may be queued to it or created in it; what
//               is in flight to it fails
//
// Kernel: binder_proc. libbinder: ProcessState.

#ifndef BINDERLITE_CORE_PROC_H_
#define BINDERLITE_CORE_PROC_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "binderlite/core/arena.h"
#include "binderlite/core/counters.h"
#include "binderlite/core/counts.h"
#include "binderlite/core/file.h"
#include "binderlite/core/node.h"
#include "binderlite/core/pin.h"
#include "binderlite/core/policy.h"
#include "binderlite/core/readiness.h"
#include "binderlite/core/ref.h"
#include "binderlite/core/spares.h"
#include "binderlite/core/stats.h"
#include "binderlite/core/table.h"
#include "binderlite/core/transaction.h"
#include "binderlite/core/work.h"
#include "binderlite/fwd.h"
#include "binderlite/memory/user_memory.h"
#include "binderlite/sync/cache_line.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/wire/errc.h"

namespace binderlite {

// Who a Proc is and how it is set up: what the kernel takes from the process
// that opens the device.
struct ProcOptions {
  // The process id that others see. 0: a fresh one, different from all others
  // of the Context. Procs with equal pids count as one process.
  std::int32_t pid = 0;
  std::uint32_t euid = 0;
  std::string label = {};  // Security label.
  std::string name = {};   // For dumps.
  // Bytes of receive memory; 0 maps nothing yet (see Proc::Map).
  std::size_t arena_size = std::size_t{1} << 20;
  // As O_NONBLOCK: reads answer kWouldBlock instead of waiting.
  bool nonblocking = false;
  // Through which the driver touches memory named in this Proc's calls; must
  // outlive the Proc. Null: directly.
  UserMemory* memory = nullptr;
  // The descriptors of this Proc; must outlive it. Null: those of the process.
  FileTable* files = nullptr;
  // The nice value that its threads have while they wait for work (PR-01).
  int nice = 0;
  // Told when threads that poll could read. Null: nobody.
  std::shared_ptr<ReadinessListener> readiness = {};
};

namespace core {

// How many of something have begun and not ended. Beginnings are written under
// one lock, which costs no locked instruction; ends need none.
class OpenCount {
 public:
  // With the lock held.
  void Begin() {
    begun_.store(begun_.load(std::memory_order_relaxed) + 1,
                 std::memory_order_relaxed);
  }
  // True: it was the last one.
  bool End() {
    const std::uint32_t ended =
        ended_.fetch_add(1, std::memory_order_seq_cst) + 1;
    return ended == begun_.load(std::memory_order_relaxed);
  }
  // Of a moment that is not long ago: the ends are read first, so it is not 0
  // unless it was.
  [[nodiscard]] std::int32_t load() const {
    const std::uint32_t ended = ended_.load(std::memory_order_seq_cst);
    return static_cast<std::int32_t>(begun_.load(std::memory_order_seq_cst) -
                                     ended);
  }

 private:
  std::atomic<std::uint32_t> begun_{0};
  std::atomic<std::uint32_t> ended_{0};
};

// What serves calls to a Proc on their caller's thread, and how many it serves
// or is about to. Guarded by the Proc's waiters mutex, but for the handler,
// which stays the same.
template <class L>
struct HandlerInUse {
  std::shared_ptr<CallHandler<L>> handler;
  int uses = 0;
  bool replaced = false;  // Its last use ends it.
};

template <class L>
class Proc : public Pinned<Proc<L>>, public TableLink<Proc<L>> {
 private:
  // First, so that they are the last to go: all else may need the Context. Not
  // on the line with the pins, which every sender writes.
  alignas(kFalseSharing) Pin<Context<L>> context_pin_;
  Counted<ObjectKind::kProc> counted_;

 public:
  // `the_order`: a number above those of all Procs before it.
  Proc(Context<L>& home, LiveCounts& counts, std::uint64_t the_order,
       ProcOptions who)
      : context_pin_(&home),
        counted_(counts),
        context(&home),
        order(the_order),
        id(static_cast<std::uint32_t>(the_order)),
        options(std::move(who)),
        memory(options.memory),
        nonblocking(options.nonblocking),
        first_free_tid(options.pid) {}

  // Its place in the table of its Context.
  [[nodiscard]] std::uint64_t table_key() const { return order; }

  [[nodiscard]] Credentials credentials() const {
    return {options.pid, options.euid, options.label};
  }
  // Maps the receive memory; see core/arena.h. For each message that it has
  // room for there may be a transaction as well.
  template <class... Where>
  Errc Map(Where&&... where) {
    const Errc error = arena.Map(std::forward<Where>(where)...);
    if (error != Errc::kOk) return error;
    const std::size_t most = arena.most_spares();
    sync::MutexLock queues(queues_mu);
    if (!is_dead) spare_transactions.set_most(most);
    return Errc::kOk;
  }
  [[nodiscard]] FileTable& files() {
    return options.files != nullptr ? *options.files : process_files_;
  }

  Context<L>* const context;  // Pinned.
  const std::uint64_t order;
  const std::uint32_t id;  // The same, as it is shown to others.
  const ProcOptions options;
  const memory::UserAccess memory;

  std::atomic<bool> nonblocking;
  // ENABLE_ONEWAY_SPAM_DETECTION.
  std::atomic<bool> detects_spam{false};
  // Whether there is a call_handler: a hint.
  std::atomic<bool> has_call_handler{false};
  // Requested by Kill; the Tasks listen to it.
  std::stop_source kill;

  // The open itself and each call in progress. Who brings it to zero releases
  // the Proc. From here on, what its own threads write.
  alignas(kCacheLine) std::atomic<std::uint32_t> users{1};
  std::atomic<bool> closed{false};
  std::atomic<bool> release_begun{false};
  std::atomic<bool> released{false};

  // Threads by number, whether or not they have a record yet. A leaf lock of
  // its own in every discipline, so that attaching never waits for a call.
  mutable typename L::Primitives::Mutex tasks_mu;
  PinTable<Task<L>> tasks ABSL_GUARDED_BY(tasks_mu);
  // All numbers from the pid up to this one are taken.
  std::int32_t first_free_tid ABSL_GUARDED_BY(tasks_mu);
  bool tasks_closed ABSL_GUARDED_BY(tasks_mu) = false;
  // Who waits for `outstanding` to become zero.
  std::vector<Pin<Task<L>>> freezing_tasks ABSL_GUARDED_BY(tasks_mu);

  mutable typename L::RefsMutex refs_mu;
  RefTable<L> refs ABSL_GUARDED_BY(refs_mu);
  bool refs_closed ABSL_GUARDED_BY(refs_mu) = false;

  // From here on, what senders write: first what each of them does.
  alignas(kFalseSharing) mutable typename L::QueuesMutex queues_mu
      ABSL_ACQUIRED_AFTER(refs_mu);
  WorkList todo ABSL_GUARDED_BY(queues_mu);
  // Threads that wait for process work, the latest first. Under FineGrained
  // only touched with queues_mu held as well.
  mutable typename L::WaitersMutex waiters_mu ABSL_ACQUIRED_AFTER(queues_mu);
  Thread<L>* first_waiting ABSL_GUARDED_BY(waiters_mu) = nullptr;
  // Transactions queued to this Proc and not yet over (TX-30). They begin under
  // queues_mu.
  OpenCount outstanding;
  // How many freezing_tasks there are.
  std::atomic<std::int32_t> freezers{0};
  ThreadCounters<L> counters;
  // BINDER_FREEZE. Set with queues_mu held, and never in a dead Proc; a freezer
  // that is killed takes it back without a lock.
  std::atomic<bool> is_frozen{false};
  bool is_dead ABSL_GUARDED_BY(queues_mu) = false;
  // What has arrived since BINDER_FREEZE (FZ-10, FZ-11).
  bool sync_received ABSL_GUARDED_BY(queues_mu) = false;
  bool async_received ABSL_GUARDED_BY(queues_mu) = false;

  // Deaths and changes of freezing that were read and not yet acknowledged.
  WorkList delivered_deaths ABSL_GUARDED_BY(queues_mu);
  WorkList delivered_freezes ABSL_GUARDED_BY(queues_mu);
  PinTable<Node<L>> nodes ABSL_GUARDED_BY(queues_mu);
  // What serves calls on their caller's thread; null: nothing. See
  // driver/loan.h. And the nodes, known or not yet, whose calls it serves.
  std::unique_ptr<HandlerInUse<L>> call_handler ABSL_GUARDED_BY(queues_mu);
  KeyedMap<bool> on_callers ABSL_GUARDED_BY(queues_mu);
  PinTable<Thread<L>> threads ABSL_GUARDED_BY(queues_mu);
  // What threads that are gone have counted.
  CommandTotals retired_commands ABSL_GUARDED_BY(queues_mu);
  // Memory of transactions that its threads have read, for those who send them.
  Spares<Transaction<L>> spare_transactions ABSL_GUARDED_BY(queues_mu){16};

  Arena<L> arena;

 private:
  FileTable process_files_;
};

}  // namespace core
}  // namespace binderlite

#endif  // BINDERLITE_CORE_PROC_H_
