// SPDX-License-Identifier: Apache-2.0
//
// DriverEntry: the entry section around one call (policy section "entry"): the
// binder lock where the discipline has one, nothing otherwise. RAII: leaves on
// destruction.

#ifndef BINDERLITE_DRIVER_ENTRY_H_
#define BINDERLITE_DRIVER_ENTRY_H_

#include <atomic>
#include <chrono>

#include "absl/base/thread_annotations.h"
#include "binderlite/core/context.h"
#include "binderlite/core/task.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/stop.h"

namespace binderlite::driver {

// Held or not is known at run time only, which the static analysis cannot
// follow; no field is guarded by the entry lock, so nothing is lost.
template <LockingPolicy L>
class DriverEntry {
 public:
  // `caller`: whose call it is; shown in it, where there is a binder lock.
  explicit DriverEntry(core::Context<L>& context,
                       core::Task<L>* caller = nullptr)
      : lock_(context.entry), caller_(caller) {}
  DriverEntry(const DriverEntry&) = delete;
  DriverEntry& operator=(const DriverEntry&) = delete;
  ~DriverEntry() { Leave(); }

  // Begins a call. False: killed first; the section is not entered.
  [[nodiscard]] bool Enter(const sync::StopSignals& stops) {
    Show(core::LockStage::kWants);
    held_ = L::LockOnEntry(lock_, stops);
    ShowHeld();
    return held_ && !stops.requested();
  }

  // Begins clean-up, which nothing may stop.
  void EnterToCleanUp() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    Show(core::LockStage::kWants);
    lock_.Lock();
    held_ = true;
    ShowHeld();
  }

  // Begins a look at what may hang: gives up at about `until`. False: somebody
  // held it all the time.
  [[nodiscard]] bool EnterToLook(sync::TimePoint until)
      ABSL_NO_THREAD_SAFETY_ANALYSIS {
    using P = typename L::Primitives;
    // Short enough for nobody to notice, long enough to be no burden.
    constexpr std::chrono::microseconds kBetween(200);
    typename P::Parker parker;
    for (;;) {
      held_ = lock_.TryLock();
      if (held_) return true;
      const sync::TimePoint now = P::Now();
      if (now >= until) return false;
      (void)parker.Park(sync::StopSignals(), now + kBetween);
    }
  }

  // Before a wait.
  void Leave() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if (held_) {
      Show(core::LockStage::kAway);
      lock_.Unlock();
    }
    held_ = false;
  }

  // After a wait. False: killed; whether the section is entered again is up to
  // the discipline, and the caller must get by without.
  [[nodiscard]] bool Reenter(const sync::StopSignals& stops) {
    if (stops.requested() && !L::kKilledNeedsEntryLock) return false;
    Show(core::LockStage::kWants);
    held_ = L::LockAfterWait(lock_, stops);
    ShowHeld();
    return held_ && !stops.requested();
  }

 private:
  void Show(core::LockStage stage) {
    if constexpr (L::kHasBinderLock) {
      if (caller_ != nullptr) {
        caller_->lock_stage.store(stage, std::memory_order_relaxed);
      }
    }
  }
  void ShowHeld() {
    Show(held_ ? core::LockStage::kHolds : core::LockStage::kAway);
  }

  typename L::EntryLock& lock_;
  core::Task<L>* const caller_;
  bool held_ = false;
};

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_ENTRY_H_
