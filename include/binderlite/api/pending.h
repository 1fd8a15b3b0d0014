// SPDX-License-Identifier: Apache-2.0
//
// PendingCalls: the asynchronous calls of an endpoint that are out. Each ends
// once, by whoever takes it first:
//
//   its result           a looper that reads it
//   the callee's death   a looper that reads of it
//   a failure to send    whoever makes the call
//   its deadline         the timer, a thread that exists from the first
//                        deadline on
//   its stop_token       whoever requests the stop
//   the end of all       whoever closes the endpoint
//
// Locks: `mu_`, a leaf. Completions, and what their callbacks hold, are called
// and destroyed without it.

#ifndef BINDERLITE_API_PENDING_H_
#define BINDERLITE_API_PENDING_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <stop_token>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "binderlite/api/object.h"
#include "binderlite/api/status.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/sync/stop.h"

namespace binderlite::api_internal {

class PendingCalls : public std::enable_shared_from_this<PendingCalls> {
 public:
  PendingCalls() = default;
  PendingCalls(const PendingCalls&) = delete;
  PendingCalls& operator=(const PendingCalls&) = delete;

  // A call of `target` is about to go out. Its number, or 0 if it has ended
  // already.
  std::uint64_t Add(std::unique_ptr<Completion> completion,
                    const ApiObject* target, const CallOptions& options) {
    std::uint64_t id = 0;
    bool closed = false;
    {
      sync::MutexLock lock(mu_);
      closed = closed_;
      if (!closed) {
        id = ++last_id_;
        Call& call = calls_[id];
        call.completion = std::move(completion);
        call.target = target;
        call.deadline = options.deadline;
        if (options.deadline != sync::kNoDeadline) {
          by_deadline_.emplace(options.deadline, id);
          if (!timer_.joinable()) {
            timer_ =
                std::thread([self = shared_from_this()] { self->RunTimer(); });
          }
        }
      }
    }
    if (closed) {
      completion->Done(Status(StatusCode::kClosed), nullptr);
      return 0;
    }
    if (!options.stop.stop_possible()) return id;
    // Runs at once if the stop was requested before.
    auto on_stop = std::make_unique<OnStop>(options.stop, [this, id] {
      End(id, Status(StatusCode::kCancelled, Delivery::kUnknown));
    });
    sync::MutexLock lock(mu_);
    const auto it = calls_.find(id);
    if (it == calls_.end()) return 0;  // `on_stop` goes without the lock.
    it->second.on_stop = std::move(on_stop);
    return id;
  }

  // The call `id` ends; `result` as for Completion::Done. Nothing happens if it
  // has ended before.
  void End(std::uint64_t id, Status status, Reader* result = nullptr) {
    Call call;
    {
      sync::MutexLock lock(mu_);
      const auto it = calls_.find(id);
      if (it == calls_.end()) return;
      call = Remove(it);
    }
    call.completion->Done(std::move(status), result);
  }
  // All calls of `target` end.
  void EndAll(const ApiObject* target, const Status& status) {
    std::vector<Call> ended;
    {
      sync::MutexLock lock(mu_);
      for (auto it = calls_.begin(); it != calls_.end();) {
        const auto next = std::next(it);
        if (it->second.target == target) ended.push_back(Remove(it));
        it = next;
      }
    }
    for (Call& call : ended) call.completion->Done(status, nullptr);
  }
  // All calls end, and no further one begins. Waits for a completion that the
  // timer calls, unless it is called by that one.
  void Close() {
    std::vector<Call> ended;
    std::thread timer;
    {
      sync::MutexLock lock(mu_);
      closed_ = true;
      timer.swap(timer_);
      while (!calls_.empty()) ended.push_back(Remove(calls_.begin()));
    }
    for (Call& call : ended) {
      call.completion->Done(Status(StatusCode::kClosed, Delivery::kUnknown),
                            nullptr);
    }
    if (!timer.joinable()) return;
    if (timer.get_id() == std::this_thread::get_id()) {
      timer.detach();  // It keeps this, and finds that it is closed.
    } else {
      timer.join();
    }
  }
  [[nodiscard]] std::size_t size() const {
    sync::MutexLock lock(mu_);
    return calls_.size();
  }

 private:
  using OnStop = std::stop_callback<std::function<void()>>;

  struct Call {
    std::unique_ptr<Completion> completion;
    const ApiObject* target = nullptr;
    std::chrono::steady_clock::time_point deadline;
    std::unique_ptr<OnStop> on_stop;
  };
  using Calls = std::unordered_map<std::uint64_t, Call>;

  Call Remove(Calls::iterator it) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    Call call = std::move(it->second);
    if (call.deadline != sync::kNoDeadline) {
      by_deadline_.erase({call.deadline, it->first});
    }
    calls_.erase(it);
    return call;
  }

  void RunTimer() {
    mu_.Lock();
    while (!closed_) {
      const auto now = std::chrono::steady_clock::now();
      if (by_deadline_.empty()) {
        const auto changed = [this] {
          mu_.AssertHeld();
          return closed_ || !by_deadline_.empty();
        };
        mu_.Await(absl::Condition(&changed));
        continue;
      }
      const auto first = *by_deadline_.begin();
      if (first.first > now) {
        const auto changed = [this, &first] {
          mu_.AssertHeld();
          return closed_ || by_deadline_.empty() ||
                 *by_deadline_.begin() != first;
        };
        (void)mu_.AwaitWithTimeout(absl::Condition(&changed),
                                   absl::FromChrono(first.first - now));
        continue;
      }
      Call call = Remove(calls_.find(first.second));
      mu_.Unlock();
      call.completion->Done(Status(StatusCode::kDeadline, Delivery::kUnknown),
                            nullptr);
      call = Call();
      mu_.Lock();
    }
    mu_.Unlock();
  }

  mutable absl::Mutex mu_;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  std::uint64_t last_id_ ABSL_GUARDED_BY(mu_) = 0;
  Calls calls_ ABSL_GUARDED_BY(mu_);
  std::set<std::pair<std::chrono::steady_clock::time_point, std::uint64_t>>
      by_deadline_ ABSL_GUARDED_BY(mu_);
  std::thread timer_ ABSL_GUARDED_BY(mu_);
};

}  // namespace binderlite::api_internal

#endif  // BINDERLITE_API_PENDING_H_
