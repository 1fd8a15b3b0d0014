// SPDX-License-Identifier: Apache-2.0

#include "binderlite/api/pending.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "binderlite/api/object.h"
#include "support/api_test.h"

namespace binderlite::testing {
namespace {

using api_internal::Completion;
using PendingCalls = api_internal::PendingCalls<FineGrained<>>;
using namespace std::chrono_literals;

// Calls a function with its end.
class Told final : public Completion {
 public:
  explicit Told(std::function<void(const Status&)> told)
      : told_(std::move(told)) {}
  void Done(Status status, Reader*) override { told_(status); }

 private:
  const std::function<void(const Status&)> told_;
};

class PendingTest : public ::testing::Test {
 protected:
  ~PendingTest() override {
    pending_->Shut();
    pending_->Join();
    EXPECT_EQ(pending_->size(), 0u);
  }
  std::uint64_t Add(
      const CallOptions& options = {}, std::function<void()> then = [] {}) {
    return pending_->Add(
        std::make_unique<Told>([this, then = std::move(then)](const Status& s) {
          last_ = s.code();
          ++ended_;
          then();
          latch_.Arrive();
        }),
        nullptr, options);
  }

  const std::shared_ptr<PendingCalls> pending_ =
      std::make_shared<PendingCalls>();
  std::atomic<StatusCode> last_ = StatusCode::kOk;
  std::atomic<int> ended_ = 0;
  Latch latch_;
};

TEST_F(PendingTest, EndsOnce) {
  const std::uint64_t id = Add();
  EXPECT_NE(id, 0u);
  EXPECT_EQ(pending_->size(), 1u);
  pending_->End(id, Status(StatusCode::kDead));
  pending_->End(id, Status(StatusCode::kFailed));
  pending_->End(id + 1, Status(StatusCode::kFailed));
  EXPECT_EQ(ended_, 1);
  EXPECT_EQ(last_, StatusCode::kDead);
}

TEST_F(PendingTest, ByADeadline) {
  (void)Add(Within(1h));
  (void)Add(Within(1ms));
  latch_.Await();
  EXPECT_EQ(last_, StatusCode::kDeadline);
  EXPECT_EQ(pending_->size(), 1u);
  // An earlier one than the timer waits for.
  (void)Add(Within(0ns));
  latch_.Await(2);
  EXPECT_EQ(pending_->size(), 1u);
}

// Most of those that have a deadline end before it, which must neither hold up
// the others nor change their order.
TEST_F(PendingTest, DeadlinesInTheirOrder) {
  constexpr int kLeft = 100;
  constexpr int kEnded = 1000;
  Latch busy;
  Latch go_on;
  // The timer is kept busy while calls come whose deadlines have passed.
  (void)Add(Within(0ns), [&] {
    busy.Arrive();
    go_on.Await();
  });
  busy.Await();
  std::vector<int> order(kLeft);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), std::minstd_rand(7));
  const auto now = std::chrono::steady_clock::now();
  std::vector<int> seen;  // By the timer alone, until all have ended.
  for (int i = 0; i < kEnded; ++i) {
    const std::uint64_t id =
        Add({.deadline = now + (i % 2 == 0 ? 1h : -1h)}, [] {});
    pending_->End(id, Status(StatusCode::kDead));
    if (i % (kEnded / kLeft) != 0) continue;
    const int which = order[static_cast<std::size_t>(i / (kEnded / kLeft))];
    (void)Add({.deadline = now - 1s + which * 1us},
              [&seen, which] { seen.push_back(which); });
  }
  EXPECT_EQ(pending_->size(), static_cast<std::size_t>(kLeft));
  go_on.Arrive();
  latch_.Await(1 + kEnded + kLeft);
  EXPECT_EQ(last_, StatusCode::kDeadline);
  std::sort(order.begin(), order.end());
  EXPECT_EQ(seen, order);
}

// They are no calls.
TEST_F(PendingTest, StopsAreRequested) {
  std::stop_source soon;
  std::stop_source late;
  std::stop_source forgotten;
  const std::stop_callback on_stop(soon.get_token(), [&] { latch_.Arrive(); });
  const auto now = std::chrono::steady_clock::now();
  EXPECT_NE(pending_->StopAt(now + 1h, late), 0u);
  const std::uint64_t id = pending_->StopAt(now + 1h, forgotten);
  (void)pending_->StopAt(now + 1ms, soon);
  EXPECT_EQ(pending_->size(), 0u);
  latch_.Await();
  EXPECT_FALSE(late.stop_requested());
  pending_->Forget(id);
  pending_->Forget(id);
  EXPECT_EQ(pending_->size(), 0u);
  pending_->Shut();
  EXPECT_TRUE(late.stop_requested());
  EXPECT_FALSE(forgotten.stop_requested());
  std::stop_source closed;
  EXPECT_EQ(pending_->StopAt(now + 1h, closed), 0u);
  EXPECT_TRUE(closed.stop_requested());
}

TEST_F(PendingTest, ByAStop) {
  std::stop_source stop;
  (void)Add({.stop = stop.get_token()});
  (void)Add();
  stop.request_stop();
  EXPECT_EQ(ended_, 1);
  EXPECT_EQ(last_, StatusCode::kCancelled);
  EXPECT_EQ(Add({.stop = stop.get_token()}), 0u);
  EXPECT_EQ(ended_, 2);
}

// All ways at once: each call ends once.
TEST_F(PendingTest, ByWhoeverIsFirst) {
  for (int i = 0; i < 200; ++i) {
    std::stop_source stop;
    const int before = ended_;
    const std::uint64_t id =
        Add({.deadline = std::chrono::steady_clock::now() + 50us,
             .stop = stop.get_token()});
    std::jthread a([&] { stop.request_stop(); });
    std::jthread b([&] { pending_->End(id, Status()); });
    a.join();
    b.join();
    latch_.Await(before + 1);
    EXPECT_EQ(ended_, before + 1);
  }
}

TEST_F(PendingTest, NoneBeginsOnceItIsShut) {
  (void)Add();
  pending_->Shut();
  EXPECT_EQ(last_, StatusCode::kClosed);
  EXPECT_EQ(Add(), 0u);
  EXPECT_EQ(ended_, 2);
  pending_->Repeat([] {
    ADD_FAILURE();
    return true;
  });
}

TEST_F(PendingTest, IsShutByACompletion) {
  (void)Add();
  (void)Add(Within(1ms), [this] {
    pending_->Shut();
    pending_->Join();
  });
  latch_.Await(2);
  EXPECT_EQ(last_, StatusCode::kClosed);  // The other one.
}

TEST_F(PendingTest, RepeatsUntilItSucceeds) {
  std::atomic<int> attempts = 0;
  Latch done;
  auto held = std::make_shared<int>(0);
  const std::weak_ptr<int> weak = held;
  pending_->Repeat([&attempts, &done, held] {
    if (++attempts < 4) return false;
    done.Arrive();
    return true;
  });
  held = nullptr;
  done.Await();
  pending_->Shut();
  pending_->Join();
  EXPECT_EQ(attempts, 4);
  EXPECT_TRUE(weak.expired());
}

TEST_F(PendingTest, DropsWhatItRepeats) {
  auto held = std::make_shared<int>(0);
  const std::weak_ptr<int> weak = held;
  Latch tried;
  pending_->Repeat([&tried, held] {
    tried.Arrive();
    return false;
  });
  held = nullptr;
  tried.Await(2);
  pending_->Shut();
  pending_->Join();
  EXPECT_TRUE(weak.expired());
}

}  // namespace
}  // namespace binderlite::testing
