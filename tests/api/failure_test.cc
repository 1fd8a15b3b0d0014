// SPDX-License-Identifier: Apache-2.0
//
// Checks api/failure.h: what is said of calls that could not be sent, and of
// those whose answer could not: to or by the frozen and the forbidden, for want
// of memory on either side, or by a callee that does not answer.

#include "binderlite/api/failure.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "support/api_test.h"
#include "support/raw_calls.h"

namespace binderlite::testing {
namespace {

class FailureTest : public ModeTest {};
BINDERLITE_BOTH_MODES(FailureTest);

// --- Memory -----------------------------------------------------------------

TEST_P(FailureTest, ArgumentsThatAreTooManyForTheCallee) {
  const Pair pair = Connect(Worker{.Do = &Answered}, {.arena_size = 1 << 16});
  const std::string big(100'000, 'x');
  const Status status = pair.remote->Do(big).status();
  EXPECT_EQ(status, StatusCode::kOutOfMemory);
  EXPECT_EQ(status.delivery(), Delivery::kNo);
  EXPECT_GE(status.shortage().wanted, big.size());
  EXPECT_LE(status.shortage().free, 1u << 16);
  EXPECT_EQ(status.shortage().size, 1u << 16);
  const Status note = pair.remote->Note(big);
  EXPECT_EQ(note, StatusCode::kOutOfMemory);
  EXPECT_EQ(note.shortage().size, 1u << 16);
  const Status later = pair.remote->Do.Async(big).Get().status();
  EXPECT_EQ(later, StatusCode::kOutOfMemory);
  EXPECT_EQ(later.shortage().size, 1u << 16);
  EXPECT_EQ(pair.remote->Do("x").value(), "x!");
  AwaitQuiet();
}

TEST_P(FailureTest, ResultsThatAreTooBigForTheCaller) {
  const std::string big(100'000, 'x');
  const Pair pair =
      Connect(Worker{.Do =
                         [&](std::string_view what) {
                           return what == "big" ? big : std::string(what);
                         }},
              {}, {.arena_size = 1 << 16});
  for (const bool later : {false, true}) {
    const Status status = later ? pair.remote->Do.Async("big").Get().status()
                                : pair.remote->Do("big").status();
    EXPECT_EQ(status, StatusCode::kOutOfMemory);
    EXPECT_EQ(status.delivery(), Delivery::kYes);
    EXPECT_GE(status.shortage().wanted, big.size());
    EXPECT_EQ(status.shortage().size, 1u << 16);
  }
  EXPECT_EQ(pair.remote->Do("x").value(), "x");
  AwaitQuiet();
}

// A small result, for which the memory is not looked at before it is sent.
TEST_P(FailureTest, SmallResultsForACallerWithoutMemory) {
  Pair pair = Connect(
      Worker{.Do = [](std::string_view) { return std::string(400, 'r'); }}, {},
      {.arena_size = 4096});
  Latch latch;
  const auto mine = pair.client.Create(Worker{.Do = [&](std::string_view) {
    latch.ArriveAndWait();
    return std::string();
  }});
  const auto back = Give(mine, pair.client, pair.server);
  Calling holding(
      back, {}, [] {}, std::string(3700, 'a'));
  latch.Await();
  const Status status = pair.remote->Do("x").status();
  EXPECT_EQ(status, StatusCode::kOutOfMemory);
  EXPECT_EQ(status.delivery(), Delivery::kYes);
  EXPECT_EQ(status.shortage().size, 4096u);
  EXPECT_LT(status.shortage().free, 400u);
  latch.Open();
  EXPECT_TRUE(holding.Join().ok());
  EXPECT_TRUE(pair.remote->Do("x").ok());
  AwaitQuiet();
}

// --- Refusals ---------------------------------------------------------------

TEST_P(FailureTest, AFrozenCallee) {
  Latch noted;
  Pair pair = Connect(Worker{
      .Do = &Answered, .Note = [&](std::string_view) { noted.Arrive(); }});
  AwaitQuiet();
  RawCaller raw(context());
  const auto freeze = [&](std::uint32_t enable) {
    ASSERT_EQ(raw.thread().Freeze(
                  {.pid = static_cast<std::uint32_t>(pair.server.pid()),
                   .enable = enable,
                   .timeout_ms = 0}),
              Errc::kOk);
  };
  freeze(1);
  const Status status = pair.remote->Do("x").status();
  EXPECT_EQ(status, StatusCode::kFrozen);
  EXPECT_EQ(status.delivery(), Delivery::kNo);
  EXPECT_EQ(pair.remote.Ping(), StatusCode::kFrozen);
  EXPECT_TRUE(pair.remote->Note("x").ok());
  auto later = pair.remote->Do.Async("y");
  freeze(0);
  noted.Await();
  EXPECT_EQ(later.Get().value(), "y!");
  EXPECT_EQ(pair.remote->Do("x").value(), "x!");
  AwaitQuiet();
}

// Lets nobody do what is not allowed, by the label of who calls.
class Guard : public SecurityPolicy {
 public:
  [[nodiscard]] bool MayTransact(const Credentials& from,
                                 const Credentials&) override {
    return from.label != "banned";
  }
  [[nodiscard]] bool MayTransferBinder(const Credentials& from,
                                       const Credentials&) override {
    return from.label != "mute" || !strict;
  }
  std::atomic<bool> strict = false;
};
class PolicyTest : public ModeTest {
 protected:
  PolicyTest() : PolicyTest(std::make_unique<Guard>()) {}
  Guard& guard() { return *guard_; }

 private:
  explicit PolicyTest(std::unique_ptr<Guard> guard)
      : ModeTest({.context = {.policy = guard.get()}}),
        guard_(std::move(guard)) {}
  std::unique_ptr<Guard> guard_;
};
BINDERLITE_BOTH_MODES(PolicyTest);

TEST_P(PolicyTest, Refuses) {
  Proxy<Worker> made;
  Pair pair = Connect(Worker{.Do = &Answered, .Make = [&] { return made; }},
                      {.label = "mute"});
  made = Serve(pair.server, Worker{.Do = &Answered});
  Endpoint banned = Open({.name = "banned", .label = "banned"});
  const Object manager = banned.Manager();
  EXPECT_EQ(manager.Ping(), StatusCode::kRefused);
  EXPECT_EQ(Proxy<Worker>(manager)->Note("x"), StatusCode::kRefused);
  EXPECT_EQ(Proxy<Worker>(manager)->Do.Async("x").Get().status(),
            StatusCode::kRefused);
  EXPECT_TRUE(pair.remote->Make().ok());
  guard().strict = true;
  const Status status = pair.remote->Make().status();
  EXPECT_EQ(status, StatusCode::kRefused);
  EXPECT_EQ(status.delivery(), Delivery::kYes);
  const Status later = pair.remote->Make.Async().Get().status();
  EXPECT_EQ(later, StatusCode::kRefused);
  EXPECT_EQ(pair.remote->Do("x").value(), "x!");
  AwaitQuiet();
  made = {};
}

// --- Everything else --------------------------------------------------------

class StatusOfTest : public ApiTest {};

TEST_F(StatusOfTest, ErrorsOfSending) {
  Endpoint endpoint = Open("endpoint");
  const auto status = [&](Errc error) {
    return api_internal::StatusOf(*endpoint.internal(), error, /*handle=*/0,
                                  /*size=*/99);
  };
  EXPECT_EQ(status(Errc::kNoProcess), StatusCode::kDead);
  EXPECT_EQ(status(Errc::kNotPermitted), StatusCode::kRefused);
  EXPECT_EQ(status(Errc::kClosed), StatusCode::kClosed);
  EXPECT_EQ(status(Errc::kKilled), StatusCode::kClosed);
  EXPECT_EQ(status(Errc::kInvalid), StatusCode::kFailed);
  EXPECT_EQ(status(Errc::kInvalid).message(), ToString(Errc::kInvalid));
  // The numbers are those of whoever is behind the handle.
  const Status out = status(Errc::kNoSpace);
  EXPECT_EQ(out, StatusCode::kOutOfMemory);
  EXPECT_EQ(out.shortage().wanted, 99u);
  EXPECT_GT(out.shortage().size, 0u);
  for (const Errc error : {Errc::kNoProcess, Errc::kNotPermitted, Errc::kClosed,
                           Errc::kInvalid, Errc::kNoSpace}) {
    EXPECT_EQ(status(error).delivery(), Delivery::kNo);
  }
}

// The callee's thread leaves with the call in hand: nobody knows what it did.
TEST(RawCalleeTest, LeavesWithoutAnAnswer) {
  Binder binder({.service_manager = false});
  RawCaller raw(binder.context());
  ASSERT_EQ(raw.thread().SetContextMgr(), Errc::kOk);
  Endpoint client = binder.Open("client");
  Calling calling(Proxy<Worker>(client.Manager()));
  Incoming call;
  while (!call.is_transaction()) {
    ASSERT_EQ(raw.thread().NextWork(call), Errc::kOk);
  }
  ASSERT_EQ(raw.thread().ThreadExit(), Errc::kOk);
  const Status status = calling.Join().status();
  EXPECT_EQ(status, StatusCode::kDead);
  EXPECT_EQ(status.delivery(), Delivery::kUnknown);
}

}  // namespace
}  // namespace binderlite::testing
