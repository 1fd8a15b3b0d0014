// SPDX-License-Identifier: Apache-2.0
//
// RemoteObject: an object of another endpoint, behind a handle of ours; what
// proxies hold. There is at most one of it per handle and endpoint, so that two
// proxies to one object are equal, and one count in the driver stands for all.
//
//   state    death notification      listeners
//   -------  ----------------------  ----------------------------------------
//   fresh    not asked for           none
//   watched  asked for, once         any number; asynchronous calls count, too
//   dead     heard                   each has been told; late ones are at once
//
// Behind handle 0 is whoever is the manager. When that one dies its reference
// makes room for that of the next, and answers kDead itself; so does one that
// is asked for while there is none.
//
// Locks: `mu_`, a leaf; no listener is called with it. libbinder: BpBinder.

#ifndef BINDERLITE_API_REMOTE_H_
#define BINDERLITE_API_REMOTE_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "binderlite/api/death_watch.h"
#include "binderlite/api/object.h"
#include "binderlite/api/process.h"
#include "binderlite/api/status.h"
#include "binderlite/driver/driver.h"
#include "binderlite/sync/abseil_primitives.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/wire/objects.h"

namespace binderlite::api_internal {

template <LockingPolicy L>
class RemoteObject final
    : public ApiObject,
      public std::enable_shared_from_this<RemoteObject<L>> {
 public:
  // For FindRemote, which has the driver count it.
  RemoteObject(std::shared_ptr<Process<L>> process, std::uint32_t handle)
      : process_(std::move(process)), handle_(handle) {}
  ~RemoteObject() override;

  [[nodiscard]] std::uint32_t handle() const { return handle_; }
  [[nodiscard]] Process<L>& process() const { return *process_; }

  Status Call(const Request& request) override;
  void CallLater(const Request& request,
                 std::unique_ptr<Completion> completion) override;

  Status AddDeathListener(
      const std::shared_ptr<DeathListener>& listener) override {
    {
      sync::MutexLock lock(mu_);
      if (!death_.has_value()) listeners_.push_back(listener);
    }
    Status status = Watch();
    if (!status.ok()) {
      RemoveDeathListener(*listener);
      return status;
    }
    // If it was told meanwhile, this does nothing.
    if (const auto late = death()) listener->Fire(*late);
    return {};
  }
  void RemoveDeathListener(const DeathListener& listener) override {
    std::shared_ptr<DeathListener> removed;  // Goes without the lock.
    sync::MutexLock lock(mu_);
    const auto it =
        std::find_if(listeners_.begin(), listeners_.end(),
                     [&](const auto& l) { return l.get() == &listener; });
    if (it == listeners_.end()) return;
    removed = std::move(*it);
    listeners_.erase(it);
  }
  // Has the driver tell of its death. Once is enough.
  Status Watch();
  // BR_DEAD_BINDER, or the end of our own endpoint.
  void OnDeath(DeathReason reason) {
    std::vector<std::shared_ptr<DeathListener>> told;
    {
      sync::MutexLock lock(mu_);
      if (!death_.has_value()) death_ = reason;
      told.swap(listeners_);
    }
    for (const auto& listener : told) listener->Fire(reason);
    process_->pending->EndAll(this, EndOfCall(reason));
  }

  // Once it is dead: of the manager, calls give_up(), which gives up what
  // counts for it in the driver, and from then on another reference may come.
  template <class GiveUp>
  void MakeRoom(GiveUp give_up) {
    if (handle_ != 0) return;
    {
      sync::MutexLock lock(mu_);
      if (std::exchange(made_room_, true)) return;
    }
    give_up();
    process_->ForgetRemote(handle_);
  }

  [[nodiscard]] bool Flatten(const AnyProcess& process,
                             FlatObject& flat) const override {
    if (!BelongsTo(process)) return false;
    flat = FlatObject{};
    flat.hdr.type = static_cast<std::uint32_t>(ObjectType::kHandle);
    flat.handle = handle_;
    return true;
  }
  [[nodiscard]] bool BelongsTo(const AnyProcess& process) const override {
    return &process == process_.get();
  }
  [[nodiscard]] bool is_local() const override { return false; }

 private:
  // What becomes of asynchronous calls that are out.
  static Status EndOfCall(DeathReason reason) {
    return Status(
        reason == DeathReason::kDied ? StatusCode::kDead : StatusCode::kClosed,
        Delivery::kUnknown);
  }
  [[nodiscard]] std::optional<DeathReason> death() {
    sync::MutexLock lock(mu_);
    return death_;
  }
  // Its handle is another one's.
  [[nodiscard]] bool made_room() {
    if (handle_ != 0) return false;
    sync::MutexLock lock(mu_);
    return made_room_;
  }

  const std::shared_ptr<Process<L>> process_;
  const std::uint32_t handle_;

  sync::AbseilMutex mu_;
  std::optional<DeathReason> death_ ABSL_GUARDED_BY(mu_);
  // Of the death notification; 0: not asked for.
  std::uint64_t cookie_ ABSL_GUARDED_BY(mu_) = 0;
  std::vector<std::shared_ptr<DeathListener>> listeners_ ABSL_GUARDED_BY(mu_);
  bool made_room_ ABSL_GUARDED_BY(mu_) = false;
};

// The reference that stands for `handle`, which is 0 or held by somebody until
// this returns.
template <LockingPolicy L>
[[nodiscard]] std::shared_ptr<ApiObject> FindRemote(Process<L>& process,
                                                    BasicThread<L>& thread,
                                                    std::uint32_t handle) {
  bool made = false;
  const auto object = process.FindOrMake(handle, [&] {
    made = true;
    return std::make_shared<RemoteObject<L>>(process.shared_from_this(),
                                             handle);
  });
  if (!made) return object;
  if (thread.TryAcquire(handle) == Errc::kNoEntry) {
    // There is no manager; all other handles are held.
    object->OnDeath(DeathReason::kDied);
    object->MakeRoom([] {});
  }
  return object;
}

}  // namespace binderlite::api_internal

#endif  // BINDERLITE_API_REMOTE_H_
