// SPDX-License-Identifier: Apache-2.0
//
// Context: a binder device: opens Procs, and cleans up after those that are
// killed.
//
// May be used from everywhere at the same time.
//
// Locks: the Context's mutex, a leaf, for the list of Procs.

#ifndef BINDERLITE_DRIVER_CONTEXT_H_
#define BINDERLITE_DRIVER_CONTEXT_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "binderlite/core/context.h"
#include "binderlite/core/pin.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/table.h"
#include "binderlite/driver/proc.h"
#include "binderlite/driver/release.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"

namespace binderlite {

// One binder device. Has a thread of its own, asleep but for cleaning up after
// killed Procs. Destroying it kills what is still open and waits until that is
// torn down; Proc and Thread objects may outlive it.
// Kernel: binder_context, /dev/binder.
template <LockingPolicy L = FineGrained<>>
class BasicContext {
 public:
  // A device that has nothing to do with any other.
  explicit BasicContext(ContextOptions options = {})
      : BasicContext(std::move(options), nullptr) {}
  // One more device of the same machine as `sibling`: a pid means the same in
  // both, to BINDER_FREEZE.
  BasicContext(ContextOptions options, const BasicContext& sibling)
      : BasicContext(std::move(options), sibling.context_->registry) {}
  BasicContext(const BasicContext&) = delete;
  BasicContext& operator=(const BasicContext&) = delete;

  ~BasicContext() {
    std::vector<core::Pin<core::Proc<L>>> procs;
    {
      sync::MutexLock lock(context_->mu);
      procs = context_->procs.List();
    }
    core::SortByKey(procs);
    for (const core::Pin<core::Proc<L>>& proc : procs) {
      driver::Kill(*proc);
    }
    procs.clear();
    driver::StopReaper(*context_);
    worker_.reset();
  }

  // Opens the device as whoever `options` say.
  [[nodiscard]] BasicProc<L> Open(ProcOptions options = {}) {
    core::Context<L>& context = *context_;
    if (options.pid == 0) options.pid = FreshPid(context);
    const std::size_t arena_size = options.arena_size;
    core::Pin<core::Proc<L>> proc(new core::Proc<L>(
        context, context.counts, context.NextOrder(), std::move(options)));
    if (arena_size != 0) (void)proc->Map(arena_size);
    {
      sync::MutexLock lock(context.mu);
      (void)context.procs.FindOrInsert(proc);
    }
    context.registry->Add(proc);
    return BasicProc<L>(std::move(proc));
  }

  // The driver's state, for debug/.
  [[nodiscard]] core::Context<L>& state() { return *context_; }

 private:
  BasicContext(ContextOptions options,
               std::shared_ptr<core::ProcRegistry<L>> registry)
      : context_(new core::Context<L>(std::move(options), std::move(registry))),
        worker_(std::in_place, context_->options.name + "-reaper",
                [context = context_] { driver::RunReaper(*context); }) {}

  // A pid that no open Proc has.
  static std::int32_t FreshPid(core::Context<L>& context) {
    for (;;) {
      std::int32_t pid = 0;
      {
        sync::MutexLock lock(context.mu);
        pid = context.next_pid++;
      }
      const auto procs = context.registry->Find(pid);
      const auto Here = [&context](const auto& proc) {
        return proc->context == &context;
      };
      if (std::none_of(procs.begin(), procs.end(), Here)) return pid;
    }
  }

  core::Pin<core::Context<L>> context_;
  std::optional<typename L::Primitives::Worker> worker_;
};

// With the default locking: fine-grained.
using Context = BasicContext<>;

}  // namespace binderlite

#endif  // BINDERLITE_DRIVER_CONTEXT_H_
