// SPDX-License-Identifier: Apache-2.0
//
// Watchdog: what stands still is told, once, with its names; what moves is not.
// Its clock is the test's. And the wait graph of a Binder.

#include "binderlite/debug/watchdog.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <latch>
#include <memory>
#include <optional>
#include <semaphore>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "binderlite/api/binder.h"
#include "support/api_test.h"
#include "support/call_test.h"
#include "support/gates.h"
#include "support/json_reader.h"
#include "support/streams.h"

namespace binderlite::testing {
namespace {

using debug::FindingKind;
using debug::TakeWaitGraph;
using debug::ThreadWaits;
using debug::WaitGraph;
using debug::WaitState;
using std::chrono::seconds;

constexpr seconds kPatience(10);

// What a Watchdog has told, and its clock.
class Log {
 public:
  [[nodiscard]] WatchdogOptions Options() {
    return {.patience = kPatience,
            .own_thread = false,
            .now = [this] { return now_; },
            .on_stuck = [this](const WaitGraph& g) { told_.push_back(g); }};
  }
  void Pass(std::chrono::nanoseconds time) { now_ += time; }
  // Since the last call.
  [[nodiscard]] std::vector<WaitGraph> Take() {
    return std::exchange(told_, {});
  }
  // Has `watchdog` look, and once more when its patience is over. What it tells
  // then, which is to be one thing.
  template <class L>
  [[nodiscard]] WaitGraph ToldWhenItIsOver(BasicWatchdog<L>& watchdog) {
    EXPECT_FALSE(watchdog.Check());
    Pass(kPatience);
    EXPECT_TRUE(watchdog.Check());
    std::vector<WaitGraph> told = Take();
    EXPECT_EQ(told.size(), 1u);
    return told.empty() ? WaitGraph() : std::move(told.front());
  }

 private:
  sync::TimePoint now_{seconds(1000)};
  std::vector<WaitGraph> told_;
};

// Those of the thread with a handler of `interface`.
const ThreadWaits* HandlerOf(const WaitGraph& g, std::string_view interface) {
  for (const ThreadWaits& t : g.threads) {
    if (t.handler.has_value() && t.handler->interface == interface) return &t;
  }
  return nullptr;
}
std::string FirstLine(const WaitGraph& g) {
  const std::string text = ToText(g);
  return text.substr(0, text.find('\n'));
}

// --- In the driver, under each discipline --------------------------------

template <class L>
class WatchdogTest : public CallTest<L> {
 protected:
  [[nodiscard]] BasicWatchdog<L>& Watch() {
    return watchdog_.emplace(this->context(), log_.Options());
  }
  Log log_;

 private:
  std::optional<BasicWatchdog<L>> watchdog_;
};
BINDERLITE_FOR_ALL_DISCIPLINES(WatchdogTest);

TYPED_TEST(WatchdogTest, WhereNothingWaitsNothingIsTold) {
  auto [manager, service, client, handle] = this->Connected();
  service.Write(Commands().EnterLooper());
  auto waiting = this->Block(service, service);
  auto& watchdog = this->Watch();
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(watchdog.Check());
    this->log_.Pass(kPatience);
  }
  EXPECT_TRUE(this->log_.Take().empty());
  service.proc().Flush();
  (void)waiting->Join();
}

TYPED_TEST(WatchdogTest, ACallThatWaitsTooLongIsToldOnce) {
  auto [manager, service, client, handle] = this->Connected();
  service.Write(Commands().EnterLooper());
  auto& watchdog = this->Watch();
  client.Write(Commands().Transact(handle, {}, 3));
  const Received call = this->Receive(service);
  EXPECT_FALSE(watchdog.Check());
  this->log_.Pass(kPatience - seconds(1));
  EXPECT_FALSE(watchdog.Check());
  EXPECT_TRUE(this->log_.Take().empty());
  this->log_.Pass(seconds(1));
  EXPECT_TRUE(watchdog.Check());
  const std::vector<WaitGraph> told = this->log_.Take();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_TRUE(told[0].wrong());
  EXPECT_EQ(told[0].findings[0].kind, FindingKind::kNoProgress);
  ASSERT_EQ(told[0].calls.size(), 1u);
  EXPECT_EQ(told[0].calls[0].waited, kPatience);
  EXPECT_EQ(FirstLine(told[0]).substr(0, 19), "NO PROGRESS: client");
  EXPECT_TRUE(IsJson(ToJson(told[0])));
  // It goes on like that; and then it is over.
  this->log_.Pass(kPatience);
  EXPECT_TRUE(watchdog.Check());
  EXPECT_TRUE(this->log_.Take().empty());
  this->Answer(service, call);
  this->ExpectReply(client, 0);
  EXPECT_FALSE(watchdog.Check());
  // The next one is another incident.
  client.Write(Commands().Transact(handle, {}, 3));
  (void)this->Receive(service);
  EXPECT_TRUE(this->log_.ToldWhenItIsOver(watchdog).wrong());
}

TYPED_TEST(WatchdogTest, OneCallAfterTheOtherIsProgress) {
  auto [manager, service, client, handle] = this->Connected();
  auto& watchdog = this->Watch();
  for (int i = 0; i < 5; ++i) {
    client.Write(Commands().Transact(handle));
    const Received call = this->Receive(service);
    EXPECT_FALSE(watchdog.Check());
    this->Answer(service, call);
    this->ExpectReply(client, 0);
    this->log_.Pass(kPatience);
  }
  EXPECT_TRUE(this->log_.Take().empty());
}

// Also that of whom one waits for.
TYPED_TEST(WatchdogTest, CallsOfTheHandlerAreProgressOfItsCaller) {
  auto [a, b, c, to_a, to_b, to_c] = this->MakeRing();
  auto& watchdog = this->Watch();
  a.Write(Commands().Transact(to_b));
  (void)this->Receive(b);
  for (int i = 0; i < 5; ++i) {
    b.Write(Commands().Transact(to_c));
    const Received call = this->Receive(c);
    EXPECT_FALSE(watchdog.Check());
    this->Answer(c, call);
    this->ExpectReply(b, 0);
    this->log_.Pass(kPatience);
  }
  const WaitGraph told = this->log_.ToldWhenItIsOver(watchdog);
  ASSERT_TRUE(told.wrong());
  EXPECT_EQ(told.findings[0].threads.size(), 2u);
}

TYPED_TEST(WatchdogTest, ThoseBehindItAddNothing) {
  auto [manager, service, client, handle] = this->Connected();
  Peer<TypeParam>& other = this->Open({.name = "other"});
  const std::uint32_t to_other = this->Give(manager, other, client, 0x40, 1);
  service.Write(Commands().EnterLooper());
  other.Write(Commands().EnterLooper());
  auto& watchdog = this->Watch();
  client.Write(Commands().Transact(handle));
  (void)this->Receive(service);
  EXPECT_TRUE(this->log_.ToldWhenItIsOver(watchdog).wrong());
  Actor<TypeParam> second = client.Spawn();
  second.Write(Commands().Transact(handle));
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(watchdog.Check());
    this->log_.Pass(kPatience);
  }
  EXPECT_TRUE(this->log_.Take().empty());
  // But another handler that does not return does.
  Actor<TypeParam> third = client.Spawn();
  third.Write(Commands().Transact(to_other));
  (void)this->Receive(other);
  EXPECT_TRUE(watchdog.Check());
  EXPECT_TRUE(this->log_.Take().empty());
  this->log_.Pass(kPatience);
  EXPECT_TRUE(watchdog.Check());
  EXPECT_EQ(this->log_.Take().size(), 1u);
}

TYPED_TEST(WatchdogTest, ADeadlockIsToldAsOne) {
  auto [a, b, c, to_a, to_b, to_c] = this->MakeRingOfLoopers();
  auto& watchdog = this->Watch();
  a.Write(Commands().Transact(to_b));
  b.Write(Commands().Transact(to_c));
  c.Write(Commands().Transact(to_a));
  const WaitGraph told = this->log_.ToldWhenItIsOver(watchdog);
  ASSERT_TRUE(told.wrong());
  EXPECT_EQ(told.findings[0].kind, FindingKind::kDeadlock);
}

TYPED_TEST(WatchdogTest, ACallThatNobodyServesIsTold) {
  Peer<TypeParam>& manager = this->OpenManager({.name = "manager"});
  Peer<TypeParam>& client = this->Open({.name = "client"});
  auto& watchdog = this->Watch();
  client.Write(Commands().OneWay(0));  // Nobody waits for it, either.
  EXPECT_TRUE(this->log_.ToldWhenItIsOver(watchdog).wrong());
  (void)this->Receive(manager);
  EXPECT_FALSE(watchdog.Check());
}

TYPED_TEST(WatchdogTest, AStalledLockHolderIsTold) {
  auto [manager, service, client, handle] = this->Connected();
  auto& watchdog = this->Watch();
  {
    Stalled<TypeParam> stalled(this->gates(), client,
                               Commands().Transact(handle));
    const std::jthread enters = this->Enter(manager);
    EXPECT_FALSE(watchdog.Check());
    this->log_.Pass(kPatience);
    EXPECT_EQ(watchdog.Check(), TypeParam::kHasBinderLock);
    const std::vector<WaitGraph> told = this->log_.Take();
    ASSERT_EQ(told.size(), TypeParam::kHasBinderLock ? 1u : 0u);
    if (TypeParam::kHasBinderLock) {
      EXPECT_EQ(told[0].findings[0].kind, FindingKind::kLockHeld);
    }
    (void)stalled.GoOn();
  }
  (void)this->Receive(service);
}

// --- With endpoints ---------------------------------------------------------

class EndpointWatchdogTest : public ApiTest {
 protected:
  // Handlers that wait until the test lets them go.
  [[nodiscard]] Worker Waits() {
    return {.Do =
                [this](std::string_view) {
                  latch_.ArriveAndWait();
                  return std::string();
                },
            .Note = [this](std::string_view) { latch_.ArriveAndWait(); }};
  }

  Latch latch_;
  Log log_;
};

TEST_F(EndpointWatchdogTest, HandlersHaveNames) {
  Pair pair = Connect(Waits());
  Watchdog watchdog(binder(), log_.Options());
  Calling calling(pair.remote);
  latch_.Await();
  const WaitGraph graph = TakeWaitGraph(binder());
  EXPECT_FALSE(graph.wrong());
  const ThreadWaits* const server = HandlerOf(graph, "test.Worker");
  ASSERT_NE(server, nullptr);
  EXPECT_EQ(server->state, WaitState::kRunsHandler);
  EXPECT_EQ(server->handler->code, 1u);
  EXPECT_EQ(server->handler->caller, pair.client.pid());
  EXPECT_GE(server->handler->running.count(), 0);
  EXPECT_EQ(graph.procs[server->proc].name, "server");
  EXPECT_TRUE(IsJson(ToJson(graph)));

  const std::string told = FirstLine(log_.ToldWhenItIsOver(watchdog));
  EXPECT_NE(told.find("held up by server"), std::string::npos);
  EXPECT_NE(told.find("runs test.Worker method 1 for pid"), std::string::npos);
  latch_.Open();
  EXPECT_TRUE(calling.Join().ok());
  EXPECT_FALSE(watchdog.Check());
}

// The driver knows nothing of the handler of a one-way that it has delivered.
TEST_F(EndpointWatchdogTest, HandlersOfOneWaysAreSeen) {
  Pair pair = Connect(Waits());
  Watchdog watchdog(binder(), log_.Options());
  ASSERT_TRUE(pair.remote->Note("x").ok());
  latch_.Await();
  const std::string told = FirstLine(log_.ToldWhenItIsOver(watchdog));
  EXPECT_NE(told.find("runs test.Worker method 2, for"), std::string::npos)
      << told;
  latch_.Open();
}

TEST_F(EndpointWatchdogTest, HandlersOnTheirCallersThreadsAreSeen) {
  Pair pair = Connect(Waits(), {}, {}, {.run_on_callers = true});
  // Its looper has to wait, or it takes the call itself.
  AwaitQuiet();
  AwaitLooper(pair.server);
  Calling calling(pair.remote);
  latch_.Await();
  const WaitGraph graph = TakeWaitGraph(binder());
  const ThreadWaits* const server = HandlerOf(graph, "test.Worker");
  ASSERT_NE(server, nullptr);
  EXPECT_TRUE(server->lent);
  EXPECT_EQ(graph.procs[server->proc].name, "server");
  EXPECT_NE(ToText(graph).find("(on its caller's thread)"), std::string::npos);
  latch_.Open();
  EXPECT_TRUE(calling.Join().ok());
}

TEST_F(EndpointWatchdogTest, ServicesThatAskEachOtherAreADeadlock) {
  std::stop_source give_up;
  std::latch both(2);
  Endpoint left = Open({.name = "left", .loopers = 1, .max_loopers = 1});
  Endpoint right = Open({.name = "right", .loopers = 1, .max_loopers = 1});
  Endpoint client = Open("client");
  Proxy<Worker> to_right;
  Proxy<Worker> to_left;
  const auto make = [&](Endpoint& endpoint, Proxy<Worker>& other) {
    return endpoint.Create(Worker{
        .Do = [&](std::string_view what) -> binderlite::Result<std::string> {
          if (what != "x") return Answered(what);
          both.arrive_and_wait();
          return other->Do({.stop = give_up.get_token()}, "answer");
        }});
  };
  const auto at_left = make(left, to_right);
  const auto at_right = make(right, to_left);
  to_right = Give(at_right, right, left);
  to_left = Give(at_left, left, right);
  Watchdog watchdog(binder(), log_.Options());
  Calling one(Give(at_left, left, client));
  Calling two(Give(at_right, right, client));
  while (!TakeWaitGraph(binder()).wrong()) std::this_thread::yield();
  const WaitGraph told = log_.ToldWhenItIsOver(watchdog);
  give_up.request_stop();
  EXPECT_FALSE(one.Join().ok());
  EXPECT_FALSE(two.Join().ok());
  EXPECT_EQ(FirstLine(told).substr(0, 29), "DEADLOCK of 2 threads: left 1");
  ASSERT_TRUE(told.wrong());
  ASSERT_EQ(told.findings[0].threads.size(), 2u);
  for (const std::size_t i : told.findings[0].threads) {
    ASSERT_TRUE(told.threads[i].handler.has_value());
    EXPECT_EQ(told.threads[i].handler->interface, "test.Worker");
  }
  to_right = {};
  to_left = {};
}

// From a thread of its own; the default is stderr.
TEST_F(EndpointWatchdogTest, LooksByItself) {
  Pair pair = Connect(Waits());
  std::binary_semaphore told{0};
  std::atomic<int> count{0};
  {
    Calling calling(pair.remote);
    latch_.Await();
    {
      const Watchdog watchdog(binder(),
                              {.patience = std::chrono::milliseconds(2),
                               .on_stuck = [&](const WaitGraph& graph) {
                                 EXPECT_TRUE(graph.wrong());
                                 if (count.fetch_add(1) == 0) told.release();
                               }});
      told.acquire();
    }
    latch_.Open();
    EXPECT_TRUE(calling.Join().ok());
  }
  EXPECT_EQ(count.load(), 1);
}

TEST_F(EndpointWatchdogTest, WritesToStderrByDefault) {
  Pair pair = Connect(Waits());
  WatchdogOptions options = log_.Options();
  options.on_stuck = {};
  Watchdog watchdog(binder(), std::move(options));
  const Calling calling(pair.remote);
  latch_.Await();
  ::testing::internal::CaptureStderr();
  (void)watchdog.Check();
  log_.Pass(kPatience);
  EXPECT_TRUE(watchdog.Check());
  EXPECT_TRUE(watchdog.Check());
  const std::string text = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(text.find("binderlite: NO PROGRESS: client"), 0u) << text;
  EXPECT_EQ(text.rfind("NO PROGRESS"), 12u) << text;  // Once.
  latch_.Open();
}

TEST_F(EndpointWatchdogTest, OutlivesWhatItWatches) {
  auto binder = std::make_unique<Binder>();
  Watchdog watchdog(*binder, log_.Options());
  std::optional<Endpoint> endpoint = binder->Open("endpoint");
  EXPECT_FALSE(watchdog.Check());
  endpoint.reset();
  EXPECT_FALSE(watchdog.Check());
  binder.reset();
  EXPECT_FALSE(watchdog.Check());
}

}  // namespace
}  // namespace binderlite::testing
