// SPDX-License-Identifier: Apache-2.0
//
// Future: the result of a call that is not waited for. No thread is blocked
// while it is out. Use one of
//
//   future.Get()                 waits; from then on it is empty
//   future.Then(callback)        calls back with the result
//   co_await std::move(future)   in a coroutine, which goes on with the result
//
// A callback or a coroutine runs on a looper of the caller's endpoint (or, if
// the call has ended already, at once): it should not block for long. Dropping
// a future forgets the result, not the call.
//
// Such calls travel as one-ways: those to one object are served in order, one
// at a time, and use the half of the receive memory that is for one-ways.
//
// Locks: one per future, a leaf; no callback is called with it.

#ifndef BINDERLITE_API_FUTURE_H_
#define BINDERLITE_API_FUTURE_H_

#include <chrono>
#include <coroutine>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "binderlite/api/codec.h"
#include "binderlite/api/object.h"
#include "binderlite/api/reader.h"
#include "binderlite/api/status.h"
#include "binderlite/sync/abseil_primitives.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/sync/stop.h"

namespace binderlite {

namespace api_internal {

template <class R>
class FutureState {
 public:
  void Set(ResultOf<R> result) {
    std::function<void(ResultOf<R>)> callback;
    {
      sync::MutexLock lock(mu_);
      if (!callback_) {
        result_.emplace(std::move(result));
        return;
      }
      callback = std::move(callback_);
    }
    callback(std::move(result));
  }
  // False: it has not come before `deadline`.
  [[nodiscard]] bool Wait(std::chrono::steady_clock::time_point deadline) {
    sync::MutexLock lock(mu_);
    const auto there = [this] {
      mu_.AssertHeld();
      return result_.has_value();
    };
    return mu_.AwaitUntil(there, deadline);
  }
  [[nodiscard]] bool ready() {
    sync::MutexLock lock(mu_);
    return result_.has_value();
  }
  // Once it is there.
  [[nodiscard]] ResultOf<R> Take() {
    sync::MutexLock lock(mu_);
    return *std::exchange(result_, std::nullopt);
  }
  // Calls `callback`, now or later. False: now, which is left to the caller.
  [[nodiscard]] bool SetCallback(std::function<void(ResultOf<R>)>& callback) {
    sync::MutexLock lock(mu_);
    if (result_.has_value()) return false;
    callback_ = std::move(callback);
    return true;
  }

 private:
  sync::AbseilMutex mu_;
  std::optional<ResultOf<R>> result_ ABSL_GUARDED_BY(mu_);
  std::function<void(ResultOf<R>)> callback_ ABSL_GUARDED_BY(mu_);
};

template <class R>
class FutureCompletion final : public Completion {
 public:
  explicit FutureCompletion(std::shared_ptr<FutureState<R>> state)
      : state_(std::move(state)) {}

  void Done(Status status, Reader* result) override {
    if constexpr (std::is_void_v<R>) {
      state_->Set(std::move(status));
    } else {
      if (!status.ok()) return state_->Set(std::move(status));
      R value{};
      if (result == nullptr || !ReadArguments(*result, value)) {
        return state_->Set(Status(StatusCode::kMalformed, Delivery::kYes,
                                  "the result cannot be read"));
      }
      state_->Set(std::move(value));
    }
  }

 private:
  const std::shared_ptr<FutureState<R>> state_;
};

}  // namespace api_internal

// The result of a call that is not waited for. See the head of this file.
template <class R>
class [[nodiscard]] Future {
 public:
  // Empty: there is no call, and nothing but assignment may be done with it.
  Future() = default;
  explicit Future(std::shared_ptr<api_internal::FutureState<R>> state)
      : state_(std::move(state)) {}
  Future(Future&&) noexcept = default;
  Future& operator=(Future&&) noexcept = default;
  ~Future() = default;

  // False: it is empty.
  [[nodiscard]] bool valid() const { return state_ != nullptr; }
  // Whether Get would not wait.
  [[nodiscard]] bool ready() const { return state_->ready(); }
  // Waits for the result, and is empty then. For a thread that is a looper of
  // the caller's endpoint this is a trap if it is the only one.
  ResultOf<R> Get() {
    (void)state_->Wait(sync::kNoDeadline);
    return std::exchange(state_, nullptr)->Take();
  }
  // Waits for no longer than this. False: it is not there.
  [[nodiscard]] bool WaitFor(std::chrono::nanoseconds timeout) const {
    return state_->Wait(Within(timeout).deadline);
  }
  // Has `callback` called with the result, once, and is empty then.
  void Then(std::function<void(ResultOf<R>)> callback) && {
    const auto state = std::exchange(state_, nullptr);
    if (!state->SetCallback(callback)) callback(state->Take());
  }

  // What a coroutine waits for. It is resumed by whoever brings the result.
  class Awaiter {
   public:
    // Takes the future over.
    explicit Awaiter(std::shared_ptr<api_internal::FutureState<R>> state)
        : state_(std::move(state)) {}
    // The result is there already.
    [[nodiscard]] bool await_ready() const { return state_->ready(); }
    // False: it has come meanwhile.
    [[nodiscard]] bool await_suspend(std::coroutine_handle<> coroutine) {
      // This may be gone, and the coroutine, before SetCallback returns.
      const auto state = state_;
      std::function<void(ResultOf<R>)> resume =
          [this, coroutine](ResultOf<R> result) {
            result_.emplace(std::move(result));
            coroutine.resume();
          };
      return state->SetCallback(resume);
    }
    // What `co_await` evaluates to.
    ResultOf<R> await_resume() {
      if (result_.has_value()) return std::move(*result_);
      return state_->Take();
    }

   private:
    const std::shared_ptr<api_internal::FutureState<R>> state_;
    std::optional<ResultOf<R>> result_;
  };
  // Waits in a coroutine; it is empty then.
  Awaiter operator co_await() && {
    return Awaiter(std::exchange(state_, nullptr));
  }

 private:
  std::shared_ptr<api_internal::FutureState<R>> state_;
};

}  // namespace binderlite

#endif  // BINDERLITE_API_FUTURE_H_
