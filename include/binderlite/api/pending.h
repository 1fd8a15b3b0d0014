// SPDX-License-Identifier: Apache-2.0
//
// PendingCalls: the asynchronous calls of an endpoint that are out. Each ends
// once, by whoever takes it first:
//
//   its result           a looper that reads it
//   the callee's death   a looper that reads of it
//   a failure to send    whoever makes the call
//   its deadline         the timer, a thread that exists from the first time
//                        that it is needed on
//   its stop_token       whoever requests the stop
//   the end of all       whoever closes the endpoint
//
// The timer also repeats what has to be tried until it succeeds, with growing
// pauses: the results of calls to this endpoint that their callers have no room
// for (api/result_port.h).
//
// Locks: `mu_`, a leaf. Completions, and what their callbacks hold, are called
// and destroyed without it.

#ifndef BINDERLITE_API_PENDING_H_
#define BINDERLITE_API_PENDING_H_

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <stop_token>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "binderlite/api/object.h"
#include "binderlite/api/status.h"
#include "binderlite/sync/abseil_primitives.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/sync/stop.h"

namespace binderlite::api_internal {

// L: of their Process. A template so that a file that only includes it does not
// compile it.
template <LockingPolicy L>
class PendingCalls : public std::enable_shared_from_this<PendingCalls<L>> {
 public:
  PendingCalls() = default;
  PendingCalls(const PendingCalls&) = delete;
  PendingCalls& operator=(const PendingCalls&) = delete;
  ~PendingCalls() {
    if (timer_.joinable()) timer_.detach();  // This is its last act.
  }

  // A call of `target` is about to go out, which is kept until it ends: nobody
  // would hear of its death otherwise. Its number, or 0 if it has ended
  // already. `is_call`: whether it counts as one.
  std::uint64_t Add(
      std::unique_ptr<Completion> completion,
      // NOLINTNEXTLINE(performance-unnecessary-value-param): kept.
      std::shared_ptr<const ApiObject> target, const CallOptions& options,
      bool is_call = true) {
    std::uint64_t id = 0;
    bool closed = false;
    {
      sync::MutexLock lock(mu_);
      closed = closed_;
      if (!closed) {
        id = ++last_id_;
        if (!is_call) ++stops_;
        Call& call = calls_[id];
        call.completion = std::move(completion);
        call.target = std::move(target);
        call.deadline = options.deadline;
        call.is_call = is_call;
        if (options.deadline != sync::kNoDeadline) {
          ++timed_;
          AddDue({options.deadline, id});
          StartTimer();
        }
      }
    }
    if (closed) {
      // NOLINTNEXTLINE(bugprone-use-after-move): only if it was not closed.
      completion->Done(Status(StatusCode::kClosed), nullptr);
      return 0;
    }
    if (!options.stop.stop_possible()) return id;
    // Runs at once if the stop was requested before.
    auto on_stop = std::make_unique<OnStop>(options.stop, Cancel{this, id});
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
  // Has the timer request a stop at `deadline`, and sooner if all ends. What
  // Forget wants to have; 0: it has been requested.
  std::uint64_t StopAt(sync::TimePoint deadline, std::stop_source source) {
    return Add(std::make_unique<Stop>(std::move(source)), nullptr,
               {.deadline = deadline}, /*is_call=*/false);
  }
  void Forget(std::uint64_t stop) {
    Call call;  // Ends without the lock.
    sync::MutexLock lock(mu_);
    const auto it = calls_.find(stop);
    if (it != calls_.end()) call = Remove(it);
  }
  // All calls of `target` end.
  void EndAll(const ApiObject* target, const Status& status) {
    std::vector<Call> ended;
    {
      sync::MutexLock lock(mu_);
      for (auto it = calls_.begin(); it != calls_.end();) {
        const auto next = std::next(it);
        if (it->second.target.get() == target) ended.push_back(Remove(it));
        it = next;
      }
    }
    for (Call& call : ended) call.completion->Done(status, nullptr);
  }
  // Has the timer call attempt(), until that is true or all ends.
  void Repeat(std::function<bool()> attempt) {
    sync::MutexLock lock(mu_);
    if (closed_) return;
    Push(again_, Again{std::chrono::steady_clock::now() + kFirstPause,
                       std::move(attempt), kFirstPause});
    StartTimer();
  }
  // All calls end, and no further one begins.
  void Shut() {
    std::vector<Call> ended;
    std::vector<Again> dropped;
    {
      sync::MutexLock lock(mu_);
      closed_ = true;
      dropped.swap(again_);
      due_.clear();
      while (!calls_.empty()) ended.push_back(Remove(calls_.begin()));
    }
    for (Call& call : ended) {
      call.completion->Done(Status(StatusCode::kClosed, Delivery::kUnknown),
                            nullptr);
    }
  }
  // Waits for a completion that the timer calls, unless it is called by that
  // one. Once Shut.
  void Join() {
    const auto joined = [this] {
      mu_.AssertHeld();
      return !joins_;
    };
    sync::MutexLock lock(mu_);
    if (timer_id_ == std::this_thread::get_id()) return;
    if (!timer_.joinable()) {
      mu_.Await(joined);  // By somebody else, or there is none.
      return;
    }
    joins_ = true;
    std::thread timer = std::move(timer_);
    mu_.Unlock();
    timer.join();
    mu_.Lock();
    timer_id_ = {};  // May be another thread's from now on.
    joins_ = false;
  }
  // How many calls there are.
  [[nodiscard]] std::size_t size() const {
    sync::MutexLock lock(mu_);
    return calls_.size() - stops_;
  }

 private:
  struct Cancel {
    void operator()() const {
      calls->End(id, Status(StatusCode::kCancelled, Delivery::kUnknown));
    }
    PendingCalls* calls;
    std::uint64_t id;
  };
  using OnStop = std::stop_callback<Cancel>;
  class Stop final : public Completion {
   public:
    explicit Stop(std::stop_source source) : source_(std::move(source)) {}
    void Done(Status /*status*/, Reader* /*result*/) override {
      source_.request_stop();
    }

   private:
    std::stop_source source_;
  };
  using TimePoint = sync::TimePoint;

  static constexpr std::chrono::nanoseconds kFirstPause =
      std::chrono::milliseconds(1);
  static constexpr std::chrono::nanoseconds kLongestPause =
      std::chrono::milliseconds(64);

  struct Again {
    TimePoint at;
    std::function<bool()> attempt;
    std::chrono::nanoseconds pause;
  };

  struct Call {
    std::unique_ptr<Completion> completion;
    std::shared_ptr<const ApiObject> target;
    TimePoint deadline;
    bool is_call = true;
    std::unique_ptr<OnStop> on_stop;
  };
  using Calls = std::unordered_map<std::uint64_t, Call>;

  // What the timer looks for.
  struct Due {
    TimePoint at;
    std::uint64_t id;
  };
  // Heaps of Due and of Again, each with the earliest at the front; of those
  // that are due together, the one that came first.
  struct Later {
    template <class T>
    bool operator()(const T& a, const T& b) const {
      if constexpr (requires { a.id; }) {
        if (a.at == b.at) return a.id > b.id;
      }
      return a.at > b.at;
    }
  };
  template <class T>
  static void Push(std::vector<T>& heap, T item) {
    heap.push_back(std::move(item));
    std::push_heap(heap.begin(), heap.end(), Later());
  }
  template <class T>
  static T Pop(std::vector<T>& heap) {
    std::pop_heap(heap.begin(), heap.end(), Later());
    T item = std::move(heap.back());
    heap.pop_back();
    return item;
  }

  // A call that ends leaves its Due behind, which goes when the timer finds it
  // at the front, or when most of them are like that.
  void DropEnded() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    while (!due_.empty() && calls_.find(due_.front().id) == calls_.end()) {
      (void)Pop(due_);
    }
  }
  void AddDue(Due due) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    constexpr std::size_t kFew = 64;
    if (due_.size() >= kFew && due_.size() / 2 > timed_) {
      std::erase_if(due_, [this](const Due& old) {
        mu_.AssertHeld();
        return calls_.find(old.id) == calls_.end();
      });
      std::make_heap(due_.begin(), due_.end(), Later());
    }
    Push(due_, due);
  }

  Call Remove(typename Calls::iterator it) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    Call call = std::move(it->second);
    if (!call.is_call) --stops_;
    if (call.deadline != sync::kNoDeadline) --timed_;
    calls_.erase(it);
    return call;
  }

  void StartTimer() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (timer_.joinable()) return;
    timer_ =
        std::thread([self = this->shared_from_this()] { self->RunTimer(); });
    timer_id_ = timer_.get_id();
  }
  // When there is something to do; kNoDeadline: there is nothing.
  [[nodiscard]] TimePoint Earliest() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    TimePoint first = sync::kNoDeadline;
    if (!due_.empty()) first = due_.front().at;
    if (!again_.empty()) first = std::min(first, again_.front().at);
    return first;
  }
  void RunTimer() {
    mu_.Lock();
    while (!closed_) {
      DropEnded();
      const TimePoint first = Earliest();
      const auto changed = [this, first] {
        mu_.AssertHeld();
        return closed_ || Earliest() < first;
      };
      const TimePoint now = std::chrono::steady_clock::now();
      if (first > now) {
        (void)mu_.AwaitUntil(changed, first);
        continue;
      }
      if (!again_.empty() && again_.front().at == first) {
        Again again = Pop(again_);
        mu_.Unlock();
        const bool done = again.attempt();
        if (done) again.attempt = nullptr;
        mu_.Lock();
        if (done) continue;
        if (closed_) {
          mu_.Unlock();  // What it holds goes without the lock.
          return;
        }
        again.pause = std::min(again.pause * 2, kLongestPause);
        again.at = now + again.pause;
        Push(again_, std::move(again));
        continue;
      }
      Call call = Remove(calls_.find(Pop(due_).id));
      mu_.Unlock();
      call.completion->Done(Status(StatusCode::kDeadline, Delivery::kUnknown),
                            nullptr);
      call = Call();
      mu_.Lock();
    }
    mu_.Unlock();
  }

  mutable sync::AbseilMutex mu_;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  std::uint64_t last_id_ ABSL_GUARDED_BY(mu_) = 0;
  Calls calls_ ABSL_GUARDED_BY(mu_);
  std::size_t stops_ ABSL_GUARDED_BY(mu_) = 0;  // Those that are no calls.
  std::size_t timed_ ABSL_GUARDED_BY(mu_) = 0;  // Those with a deadline.
  std::vector<Due> due_ ABSL_GUARDED_BY(mu_);
  std::vector<Again> again_ ABSL_GUARDED_BY(mu_);
  std::thread timer_ ABSL_GUARDED_BY(mu_);
  std::thread::id timer_id_ ABSL_GUARDED_BY(mu_);
  bool joins_ ABSL_GUARDED_BY(mu_) = false;  // Somebody waits for its end.
};

}  // namespace binderlite::api_internal

#endif  // BINDERLITE_API_PENDING_H_
