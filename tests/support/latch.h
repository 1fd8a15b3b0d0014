// SPDX-License-Identifier: Apache-2.0
//
// Latch: orders the threads of a test: handlers wait at it until the test opens
// it, and the test waits for them to come. Every wait is for an event.

#ifndef BINDERLITE_TESTS_SUPPORT_LATCH_H_
#define BINDERLITE_TESTS_SUPPORT_LATCH_H_

#include <condition_variable>
#include <mutex>

namespace binderlite::testing {

// Blocks handlers, and tells that they are there. Opened once.
class Latch {
 public:
  // For the handler.
  void ArriveAndWait() {
    std::unique_lock lock(mu_);
    ++arrived_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
  }
  void Arrive() {
    const std::lock_guard lock(mu_);
    ++arrived_;
    changed_.notify_all();
  }
  // For the test. Returns early after Poke.
  void Await(int arrivals = 1) {
    std::unique_lock lock(mu_);
    changed_.wait(lock, [&] { return arrived_ >= arrivals || poked_; });
  }
  // Nobody will arrive any more.
  void Poke() {
    const std::lock_guard lock(mu_);
    poked_ = true;
    changed_.notify_all();
  }
  void Open() {
    const std::lock_guard lock(mu_);
    open_ = true;
    changed_.notify_all();
  }
  [[nodiscard]] int arrived() {
    const std::lock_guard lock(mu_);
    return arrived_;
  }

 private:
  std::mutex mu_;
  std::condition_variable changed_;
  int arrived_ = 0;
  bool open_ = false;
  bool poked_ = false;
};

}  // namespace binderlite::testing

#endif  // BINDERLITE_TESTS_SUPPORT_LATCH_H_
