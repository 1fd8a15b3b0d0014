// SPDX-License-Identifier: Apache-2.0
//
// DeathWatch: a callback for the end of an object's endpoint, for as long as
// the watch lives.
//
//   bl::DeathWatch watch = proxy.WatchDeath([&](bl::DeathReason) { ... });
//
// The callback runs at most once, on a looper of the endpoint that the proxy
// belongs to (or, if the object is dead already, perhaps before WatchDeath has
// returned), with no lock held. Destroying the watch ends it: afterwards the
// callback does not begin any more, and has ended if it had begun, unless it is
// destroyed in the callback itself, which is fine.

#ifndef BINDERLITE_API_DEATH_WATCH_H_
#define BINDERLITE_API_DEATH_WATCH_H_

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <memory>
#include <string_view>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "binderlite/api/object.h"
#include "binderlite/api/status.h"
#include "binderlite/sync/abseil_primitives.h"
#include "binderlite/sync/mutex_lock.h"

namespace binderlite {

// Why a DeathWatch calls back.
enum class DeathReason : std::uint8_t {
  kDied,               // The endpoint of the object was closed or killed.
  kOwnEndpointClosed,  // That of the proxy: nothing is heard of others any
                       // more.
};

// In words for people.
[[nodiscard]] constexpr std::string_view ToString(DeathReason reason) {
  switch (reason) {
    case DeathReason::kDied:
      return "died";
    case DeathReason::kOwnEndpointClosed:
      return "own endpoint closed";
  }
  return "?";
}
// Prints ToString().
template <class Traits>
std::basic_ostream<char, Traits>& operator<<(
    std::basic_ostream<char, Traits>& out, DeathReason reason) {
  return out << ToString(reason);
}

namespace api_internal {

// Around a callback that its user can end: afterwards it does not begin any
// more, and does not run, but in the thread that has ended it. It runs in one
// thread at a time, where it may be called again while it runs.
class CallbackGate {
 public:
  // False: it has ended. Otherwise, Leave follows. `last`: it ends with this.
  [[nodiscard]] bool Enter(bool last = false) {
    sync::MutexLock lock(mu_);
    AwaitOthers();
    if (ended_) return false;
    ended_ = last;
    running_in_ = std::this_thread::get_id();
    ++depth_;
    return true;
  }
  void Leave() {
    sync::MutexLock lock(mu_);
    if (--depth_ == 0) running_in_ = std::thread::id();
  }
  // Waits for the callback if it runs in another thread.
  void End() {
    sync::MutexLock lock(mu_);
    ended_ = true;
    AwaitOthers();
  }

 private:
  void AwaitOthers() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    // A condition may be looked at by another thread.
    const auto free = [this, self = std::this_thread::get_id()] {
      mu_.AssertHeld();
      return depth_ == 0 || running_in_ == self;
    };
    mu_.Await(free);
  }

  sync::AbseilMutex mu_;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  int depth_ ABSL_GUARDED_BY(mu_) = 0;
  std::thread::id running_in_ ABSL_GUARDED_BY(mu_);
};

class DeathListener {
 public:
  explicit DeathListener(std::function<void(DeathReason)> callback)
      : callback_(std::move(callback)) {}

  // The first one counts.
  void Fire(DeathReason reason) {
    if (!gate_.Enter(/*last=*/true)) return;
    callback_(reason);
    callback_ = nullptr;  // Its captures go where no lock is held.
    gate_.Leave();
  }
  // Waits for the callback if it runs in another thread.
  void End() { gate_.End(); }

 private:
  CallbackGate gate_;
  std::function<void(DeathReason)> callback_;  // Only of who has entered.
};

}  // namespace api_internal

class [[nodiscard]] DeathWatch {
 public:
  // Watches nothing.
  DeathWatch() = default;
  DeathWatch(DeathWatch&&) noexcept = default;
  DeathWatch& operator=(DeathWatch&& other) noexcept {
    if (this != &other) {
      End();
      object_ = std::move(other.object_);
      listener_ = std::move(other.listener_);
      status_ = std::move(other.status_);
    }
    return *this;
  }
  ~DeathWatch() { End(); }

  // Whether it watches something; false after a failure (see status()) and
  // after End.
  [[nodiscard]] explicit operator bool() const { return listener_ != nullptr; }
  // Why it does not.
  [[nodiscard]] const Status& status() const { return status_; }

  // Does what the destructor does.
  void End() {
    if (listener_ == nullptr) return;
    object_->RemoveDeathListener(*listener_);
    listener_->End();
    listener_ = nullptr;
    object_ = nullptr;
  }

  // For Proxy and Object.
  static DeathWatch Of(std::shared_ptr<ApiObject> object,
                       std::function<void(DeathReason)> callback) {
    DeathWatch watch;
    if (object == nullptr) {
      watch.status_ = Status(StatusCode::kNoSuchObject);
      return watch;
    }
    auto listener =
        std::make_shared<api_internal::DeathListener>(std::move(callback));
    watch.status_ = object->AddDeathListener(listener);
    if (watch.status_.ok()) {
      watch.object_ = std::move(object);
      watch.listener_ = std::move(listener);
    }
    return watch;
  }

 private:
  std::shared_ptr<ApiObject> object_;
  std::shared_ptr<api_internal::DeathListener> listener_;
  Status status_;
};

}  // namespace binderlite

#endif  // BINDERLITE_API_DEATH_WATCH_H_
