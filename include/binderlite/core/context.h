// SPDX-License-Identifier: Apache-2.0
//
// Context: one binder device: the Procs that opened it, its context manager,
// and the binder lock of the disciplines that have one.
//
// `mu` is a leaf, real in every discipline and held for a few instructions;
// `entry` is the policy's entry section.
// Kernel: binder_context.

#ifndef BINDERLITE_CORE_CONTEXT_H_
#define BINDERLITE_CORE_CONTEXT_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "binderlite/core/counts.h"
#include "binderlite/core/footprint.h"
#include "binderlite/core/hooks.h"
#include "binderlite/core/log.h"
#include "binderlite/core/node.h"
#include "binderlite/core/pin.h"
#include "binderlite/core/policy.h"
#include "binderlite/core/priority.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/quirks.h"
#include "binderlite/core/stats.h"
#include "binderlite/core/table.h"
#include "binderlite/fwd.h"
#include "binderlite/sync/cache_line.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/sync/spinning.h"
#include "binderlite/wire/errc.h"

namespace binderlite {

struct ContextOptions {
  std::string name = "binder";
  // Must outlive the Context; null: none.
  Hooks* hooks = nullptr;
  // Who may do what; must outlive the Context; null: everybody everything.
  SecurityPolicy* policy = nullptr;
  // Must outlive the Context; null: calls carry no priorities.
  Priorities* priorities = nullptr;
  // Which driver's answers to give where drivers differ.
  Quirks quirks = {};
  // How threads wait for work; null: a budget of this Context's own, with the
  // default WaitOptions. Contexts of one program should share one.
  std::shared_ptr<sync::Spinners> spinners = nullptr;
};

namespace core {

// The Procs of one or more Contexts by their pid: those that BINDER_FREEZE
// finds. `mu_` is a leaf.
template <class L>
class ProcRegistry {
 public:
  void Add(const Pin<Proc<L>>& proc) {
    sync::MutexLock lock(mu_);
    procs_[KeyOf(proc->options.pid)].push_back(proc);
  }
  // The caller has another Pin.
  void Remove(const Pin<Proc<L>>& proc) {
    const std::uint64_t key = KeyOf(proc->options.pid);
    sync::MutexLock lock(mu_);
    std::vector<Pin<Proc<L>>>* const procs = procs_.Find(key);
    if (procs == nullptr) return;
    std::erase(*procs, proc);
    if (procs->empty()) procs_.Erase(key);
  }
  // In the order in which they were opened.
  [[nodiscard]] std::vector<Pin<Proc<L>>> Find(std::int32_t pid) const {
    sync::MutexLock lock(mu_);
    const std::vector<Pin<Proc<L>>>* const procs = procs_.Find(KeyOf(pid));
    return procs == nullptr ? std::vector<Pin<Proc<L>>>() : *procs;
  }

 private:
  mutable typename L::Primitives::Mutex mu_;
  KeyedMap<std::vector<Pin<Proc<L>>>> procs_ ABSL_GUARDED_BY(mu_);
};

template <class L>
class Context : public Pinned<Context<L>> {
 public:
  // `the_registry`: that of another Context, whose pids are then the same.
  explicit Context(ContextOptions the_options,
                   std::shared_ptr<ProcRegistry<L>> the_registry = nullptr)
      : options(std::move(the_options)),
        spinners(options.spinners != nullptr
                     ? options.spinners
                     : std::make_shared<sync::Spinners>()),
        registry(the_registry != nullptr
                     ? std::move(the_registry)
                     : std::make_shared<ProcRegistry<L>>()) {}

  const ContextOptions options;
  const std::shared_ptr<sync::Spinners> spinners;
  const std::shared_ptr<ProcRegistry<L>> registry;
  // Declared before everything that it counts.
  LiveCounts counts;
  typename L::EntryLock entry;

  mutable typename L::Primitives::Mutex mu;
  PinTable<Proc<L>> procs ABSL_GUARDED_BY(mu);  // By their order.
  Pin<Node<L>> manager ABSL_GUARDED_BY(mu);
  // The euid of the first manager; sticks for ever (IO-08).
  std::optional<std::uint32_t> manager_euid ABSL_GUARDED_BY(mu);
  std::int32_t next_pid ABSL_GUARDED_BY(mu) = 1000;
  // Procs that the reaper has to release; see driver/release.h.
  std::vector<Pin<Proc<L>>> to_release ABSL_GUARDED_BY(mu);
  // What it has to tell of calls that are given up; see driver/given_up.h.
  std::vector<std::stop_source> to_tell ABSL_GUARDED_BY(mu);
  bool reaper_stops ABSL_GUARDED_BY(mu) = false;
  typename L::Primitives::Parker reaper_parker;  // Where it sleeps.
  // All transactions, and once more those that failed.
  TransactionLog log;
  TransactionLog failed_log;

  // What Procs that are gone have counted.
  CommandTotals retired_commands ABSL_GUARDED_BY(mu);

  // The node behind handle 0, or empty.
  [[nodiscard]] Pin<Node<L>> Manager() const {
    sync::MutexLock lock(mu);
    return manager;
  }

  // A new number for an object, larger than all before.
  [[nodiscard]] std::uint64_t NextOrder() {
    return last_id_.fetch_add(1, std::memory_order_relaxed) + 1;
  }
  // The same, as it is shown to others: it wraps around.
  [[nodiscard]] std::uint32_t NextId() {
    return static_cast<std::uint32_t>(NextOrder());
  }

  // Fetches the line that NextOrder writes.
  void FetchOrder() const { FetchToWrite(&last_id_, 1); }

  // The driver is at `point` as `tid` of `pid`.
  void At(Point point, std::int32_t pid, std::int32_t tid) const {
    L::Primitives::SchedulingPoint();
    if (options.hooks != nullptr) options.hooks->At(point, pid, tid);
  }
  void Complain(UserError error, std::int32_t pid, std::int32_t tid) const {
    if (options.hooks != nullptr) {
      options.hooks->OnUserError(error, pid, tid);
    }
  }
  // What an ioctl answers; told to the hooks if it is a failure of its own.
  Errc Answer(std::uint32_t request, Errc error, std::int32_t pid,
              std::int32_t tid) const {
    if (options.hooks != nullptr && error != Errc::kOk &&
        error != Errc::kInterrupted && error != Errc::kKilled &&
        error != Errc::kClosed) {
      options.hooks->OnIoctlError(request, error, pid, tid);
    }
    return error;
  }

  // Around following Transaction::from_parent. A parent outlives its child, but
  // for one that its sender gives up (driver/abandon.h), who then waits for
  // those that may have come upon the parent before. A few instructions, and
  // locks of transactions only.
  class [[nodiscard]] ChainWalk {
   public:
    explicit ChainWalk(const Context& context) : walks_(context.walks_) {
      walks_.fetch_add(1, std::memory_order_seq_cst);
    }
    ChainWalk(const ChainWalk&) = delete;
    ChainWalk& operator=(const ChainWalk&) = delete;
    ~ChainWalk() { walks_.fetch_sub(1, std::memory_order_release); }

   private:
    std::atomic<int>& walks_;
  };
  // Waits until no walk is in progress, with no lock held.
  void AwaitWalks() const {
    while (walks_.load(std::memory_order_seq_cst) != 0) {
      L::Primitives::SchedulingPoint();
      std::this_thread::yield();
    }
  }

 private:
  mutable std::atomic<int> walks_{0};
  // Apart from everything else: each transaction writes it.
  alignas(kFalseSharing) std::atomic<std::uint64_t> last_id_{0};
};

}  // namespace core
}  // namespace binderlite

#endif  // BINDERLITE_CORE_CONTEXT_H_
