// SPDX-License-Identifier: Apache-2.0
//
// GateHooks: orders the threads of a test by the driver's named points. A test
// waits until a thread has come to a point, or closes a gate there and opens it
// later. Every wait is for an event, none for time.

#ifndef BINDERLITE_TESTS_SUPPORT_GATES_H_
#define BINDERLITE_TESTS_SUPPORT_GATES_H_

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "binderlite/core/hooks.h"
#include "binderlite/wire/errc.h"

namespace binderlite::testing {

class GateHooks : public Hooks {
 public:
  // From now on `observer` is called at each point, by the thread that is
  // there, before the gates. Not while other threads use the Context.
  void Observe(
      std::function<void(Point, std::int32_t pid, std::int32_t tid)> observer) {
    observer_ = std::move(observer);
  }

  void At(Point point, std::int32_t pid, std::int32_t tid) override {
    if (observer_ != nullptr) observer_(point, pid, tid);
    std::unique_lock lock(mu_);
    ++visits_[{point, tid}];
    changed_.notify_all();
    if (!closed_.contains({point, tid})) return;
    held_.insert({point, tid});
    changed_.notify_all();
    while (closed_.contains({point, tid})) changed_.wait(lock);
    held_.erase({point, tid});
  }

  void OnUserError(UserError error, std::int32_t /*pid*/,
                   std::int32_t /*tid*/) override {
    const std::lock_guard lock(mu_);
    errors_.push_back(error);
  }

  void OnIoctlError(std::uint32_t request, Errc error, std::int32_t /*pid*/,
                    std::int32_t tid) override {
    const std::lock_guard lock(mu_);
    ioctl_errors_.push_back({request, error, tid});
  }

  // How often `tid` has been at `point` so far.
  [[nodiscard]] int Visits(Point point, std::int32_t tid) {
    const std::lock_guard lock(mu_);
    return visits_[{point, tid}];
  }

  // Blocks until `tid` has been at `point` `visits` times in all.
  void WaitFor(Point point, std::int32_t tid, int visits = 1) {
    std::unique_lock lock(mu_);
    changed_.wait(lock, [&] { return visits_[{point, tid}] >= visits; });
  }

  // From now on `tid` stops at `point`, until the gate is opened.
  void Close(Point point, std::int32_t tid) {
    const std::lock_guard lock(mu_);
    closed_.insert({point, tid});
  }
  void Open(Point point, std::int32_t tid) {
    const std::lock_guard lock(mu_);
    closed_.erase({point, tid});
    changed_.notify_all();
  }

  // Closes kWoken for `tid`, which waits or is about to, and blocks until it
  // sleeps. It cannot have looked for work since: when it wakes it is held.
  void CloseForSleeper(std::int32_t tid) {
    std::unique_lock lock(mu_);
    closed_.insert({Point::kWoken, tid});
    changed_.wait(lock, [&] {
      return held_.contains({Point::kWoken, tid}) ||
             visits_[{Point::kParking, tid}] > visits_[{Point::kWoken, tid}];
    });
  }
  // Blocks until `tid` stands at the closed gate at `point`.
  void WaitUntilHeld(Point point, std::int32_t tid) {
    std::unique_lock lock(mu_);
    changed_.wait(lock, [&] { return held_.contains({point, tid}); });
  }

  // The complaints since the last call.
  [[nodiscard]] std::vector<UserError> TakeErrors() {
    const std::lock_guard lock(mu_);
    return std::exchange(errors_, {});
  }

  struct IoctlError {
    std::uint32_t request;
    Errc error;
    std::int32_t tid;
    friend bool operator==(const IoctlError&, const IoctlError&) = default;
  };
  // The failures of ioctls since the last call.
  [[nodiscard]] std::vector<IoctlError> TakeIoctlErrors() {
    const std::lock_guard lock(mu_);
    return std::exchange(ioctl_errors_, {});
  }

 private:
  std::mutex mu_;
  std::condition_variable changed_;
  std::map<std::pair<Point, std::int32_t>, int> visits_;
  std::set<std::pair<Point, std::int32_t>> closed_;
  std::set<std::pair<Point, std::int32_t>> held_;
  std::vector<UserError> errors_;
  std::vector<IoctlError> ioctl_errors_;
  std::function<void(Point, std::int32_t, std::int32_t)> observer_;
};

}  // namespace binderlite::testing

#endif  // BINDERLITE_TESTS_SUPPORT_GATES_H_
