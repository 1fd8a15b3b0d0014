// SPDX-License-Identifier: Apache-2.0
//
// Locking policies: which lock guards what, and who may give up waiting for
// one. A policy joins two choices.
//
//   primitives  what a mutex, a stop-aware mutex, a parker, a clock and a
//               worker thread are (sync/primitives.h)
//   discipline  which of the driver's named critical sections is a real lock
//
// The algorithms name their sections and never ask which discipline runs:
//
//   section     guards                        FineGrained   BinderLock<...>
//   ----------  ----------------------------  ------------  ---------------
//   entry       a whole call, but its waits   (nothing)     the binder lock
//   refs        handles of a Proc             own mutex     (binder lock)
//   node        counts and refs of a Node     own mutex     (binder lock)
//   queues      todo lists, stacks, nodes,    own mutex     (binder lock)
//               threads of a Proc
//   waiters     who waits for process work    (queues)      own mutex
//   counters    max/requested/started/ready   atomic        atomic; with
//                                                           kUnlessKilled a
//                                                           mutex as well
//   transaction who sent a Transaction        own mutex     (binder lock)
//   arena       buffers of a Proc             own mutex     own mutex
//
// "(binder lock)": the section is empty because the entry section, one lock
// for the whole Context, is held around it. The binder lock is the only lock
// that is held across user memory, hence for an unbounded time; everything
// else is held for a bounded number of instructions.
//
// What a killed thread does, by discipline:
//
//   discipline                    entering          woken from a wait
//   ----------------------------  ----------------  -------------------------
//   BinderLock<kAlways>           waits for the     waits for the lock again:
//                                 lock: may hang    may hang
//   BinderLock<kUnlessKilled>     waits for the     leaves without the lock
//                                 lock: may hang
//   BinderLock<kInterruptible>    gives up          leaves without the lock
//   FineGrained                   no lock to wait for, always leaves
//
// THREAD_EXIT, flush and close clean up, and do not give up in any discipline.
//
// Lock order, outermost first: entry, refs-of-Proc, node, queues-of-Proc,
// waiters-of-Proc, counters-of-Proc. The transaction mutex is taken inside
// queues; the arena mutex stands alone. Never two Procs' locks of one level.

#ifndef BINDERLITE_SYNC_LOCKING_H_
#define BINDERLITE_SYNC_LOCKING_H_

#include <concepts>
#include <string_view>
#include <type_traits>

#include "absl/base/thread_annotations.h"
#include "binderlite/sync/abseil_primitives.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/sync/primitives.h"
#include "binderlite/sync/stop.h"

namespace binderlite::sync {

// Who takes the binder lock again after a wait, and how.
enum class Relock {
  // Linux up to 4.13: every thread, uninterruptibly.
  kAlways,
  // The 2017 patch: a killed thread does not; one woken for work does so
  // interruptibly. The entry stays uninterruptible.
  kUnlessKilled,
  // The answer to the patch: every acquisition is interruptible.
  kInterruptible,
};

// The entry lock of disciplines that have none: always free.
class ABSL_LOCKABLE NoEntryLock {
 public:
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() {}
  [[nodiscard]] bool TryLock() ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) {
    return true;
  }
  void Unlock() ABSL_UNLOCK_FUNCTION() {}
  [[nodiscard]] int waiters() const { return 0; }
  [[nodiscard]] int deaf_waiters() const { return 0; }
};

// Linux 4.14 and later: no lock around a call, one per kind of state.
template <Primitives P = AbseilPrimitives>
struct FineGrained {
  using Primitives = P;
  using EntryLock = NoEntryLock;
  using RefsMutex = typename P::Mutex;
  using NodeMutex = typename P::Mutex;
  using QueuesMutex = typename P::Mutex;
  using WaitersMutex = NoMutex;  // Held under the queues mutex only.
  using CountersMutex = NoMutex;
  using TransactionMutex = typename P::Mutex;
  using ArenaMutex = typename P::Mutex;

  static constexpr std::string_view kName = "FineGrained";
  static constexpr bool kHasBinderLock = false;
  // Whether a killed waiter has to hold the entry lock to leave.
  static constexpr bool kKilledNeedsEntryLock = false;

  // Takes the lock at the start of a call; false: killed, lock not taken.
  [[nodiscard]] static bool LockOnEntry(NoEntryLock&,
                                        const StopSignals& stops) {
    return !stops.requested();
  }
  // Takes the lock again after a wait; false: killed, lock not taken.
  [[nodiscard]] static bool LockAfterWait(NoEntryLock&,
                                          const StopSignals& stops) {
    return !stops.requested();
  }
};

// One lock for a whole Context, as in Linux up to 4.13.
template <Relock kMode, Primitives P = AbseilPrimitives>
struct BinderLock {
  using Primitives = P;
  using EntryLock = typename P::StopMutex;
  using RefsMutex = NoMutex;
  using NodeMutex = NoMutex;
  using QueuesMutex = NoMutex;
  // A leaf of its own: a killed waiter leaves the waiting list without the
  // binder lock.
  using WaitersMutex = typename P::Mutex;
  // The patch gave the four counters a lock per Proc; the other disciplines
  // make do with the atomics below it.
  using CountersMutex = std::conditional_t<kMode == Relock::kUnlessKilled,
                                           typename P::Mutex, NoMutex>;
  using TransactionMutex = NoMutex;
  // Mapping and unmapping are no calls of the driver, and take no binder lock.
  using ArenaMutex = typename P::Mutex;

  static constexpr std::string_view kName =
      kMode == Relock::kAlways         ? "BinderLock<kAlways>"
      : kMode == Relock::kUnlessKilled ? "BinderLock<kUnlessKilled>"
                                       : "BinderLock<kInterruptible>";
  static constexpr bool kHasBinderLock = true;
  static constexpr bool kKilledNeedsEntryLock = kMode == Relock::kAlways;

  // Conditional acquisition: the callers (driver/entry.h) keep track of it.
  [[nodiscard]] static bool LockOnEntry(EntryLock& lock,
                                        const StopSignals& stops)
      ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if constexpr (kMode == Relock::kInterruptible) {
      return lock.Lock(stops);
    } else {
      lock.Lock();
      return true;
    }
  }
  [[nodiscard]] static bool LockAfterWait(EntryLock& lock,
                                          const StopSignals& stops)
      ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if constexpr (kMode == Relock::kAlways) {
      lock.Lock();
      return true;
    } else {
      return lock.Lock(stops);
    }
  }
};

// What the driver's templates ask of their parameter.
template <class L>
concept LockingPolicy = Primitives<typename L::Primitives> &&
    BasicMutex<typename L::RefsMutex> && BasicMutex<typename L::NodeMutex> &&
    BasicMutex<typename L::QueuesMutex> &&
    BasicMutex<typename L::WaitersMutex> &&
    BasicMutex<typename L::CountersMutex> &&
    BasicMutex<typename L::TransactionMutex> &&
    BasicMutex<typename L::ArenaMutex> &&
    requires(typename L::EntryLock& entry, const StopSignals& stops) {
  { L::kName } -> std::convertible_to<std::string_view>;
  { L::kHasBinderLock } -> std::convertible_to<bool>;
  { L::kKilledNeedsEntryLock } -> std::convertible_to<bool>;
  { L::LockOnEntry(entry, stops) } -> std::same_as<bool>;
  { L::LockAfterWait(entry, stops) } -> std::same_as<bool>;
  { entry.waiters() } -> std::same_as<int>;
  { entry.deaf_waiters() } -> std::same_as<int>;
  entry.Lock();
  { entry.TryLock() } -> std::same_as<bool>;
  entry.Unlock();
};

}  // namespace binderlite::sync

namespace binderlite {

using sync::BinderLock;
using sync::FineGrained;
using sync::LockingPolicy;
using sync::Relock;

}  // namespace binderlite

#endif  // BINDERLITE_SYNC_LOCKING_H_
