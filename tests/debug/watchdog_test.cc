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
#include "binderlite/api/method.h"
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
  EXPECT_FALSE(watchdog.Check());
  this->log_.Pass(kPatience);
  EXPECT_TRUE(watchdog.Check());
  EXPECT_EQ(this->log_.Take().size(), 1u);
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
  EXPECT_FALSE(watchdog.Check());
  this->log_.Pass(kPatience);
  EXPECT_TRUE(watchdog.Check());
  const std::vector<WaitGraph> told = this->log_.Take();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].findings[0].threads.size(), 2u);
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
  EXPECT_FALSE(watchdog.Check());
  this->log_.Pass(kPatience);
  EXPECT_TRUE(watchdog.Check());
  EXPECT_EQ(this->log_.Take().size(), 1u);
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
  auto [a, b, c, to_a, to_b, to_c] = this->MakeRing();
  for (Peer<TypeParam>* peer : {&a, &b, &c}) {
    peer->Write(Commands().EnterLooper());
  }
  auto& watchdog = this->Watch();
  a.Write(Commands().Transact(to_b));
  b.Write(Commands().Transact(to_c));
  c.Write(Commands().Transact(to_a));
  EXPECT_FALSE(watchdog.Check());
  this->log_.Pass(kPatience);
  EXPECT_TRUE(watchdog.Check());
  const std::vector<WaitGraph> told = this->log_.Take();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].findings[0].kind, FindingKind::kDeadlock);
}

TYPED_TEST(WatchdogTest, ACallThatNobodyServesIsTold) {
  Peer<TypeParam>& manager = this->OpenManager({.name = "manager"});
  Peer<TypeParam>& client = this->Open({.name = "client"});
  auto& watchdog = this->Watch();
  client.Write(Commands().OneWay(0));  // Nobody waits for it, either.
  EXPECT_FALSE(watchdog.Check());
  this->log_.Pass(kPatience);
  EXPECT_TRUE(watchdog.Check());
  ASSERT_EQ(this->log_.Take().size(), 1u);
  (void)this->Receive(manager);
  EXPECT_FALSE(watchdog.Check());
}

TYPED_TEST(WatchdogTest, AStalledLockHolderIsTold) {
  auto [manager, service, client, handle] = this->Connected();
  auto& watchdog = this->Watch();
  const int before = this->gates().Visits(Point::kSending, client.tid());
  this->gates().Close(Point::kSending, client.tid());
  {
    const std::jthread stalls([&, &client = client, handle = handle] {
      (void)RunWriteRead(client.thread(), Commands().Transact(handle), 0);
    });
    this->gates().WaitFor(Point::kSending, client.tid(), before + 1);
    const std::jthread enters([&manager = manager] {
      std::int32_t version = 0;
      EXPECT_EQ(manager.thread().Version(version), Errc::kOk);
    });
    core::Context<TypeParam>& context = this->context().state();
    while (TypeParam::kHasBinderLock && context.entry.waiters() == 0) {
      std::this_thread::yield();
    }
    EXPECT_FALSE(watchdog.Check());
    this->log_.Pass(kPatience);
    EXPECT_EQ(watchdog.Check(), TypeParam::kHasBinderLock);
    const std::vector<WaitGraph> told = this->log_.Take();
    ASSERT_EQ(told.size(), TypeParam::kHasBinderLock ? 1u : 0u);
    if (TypeParam::kHasBinderLock) {
      EXPECT_EQ(told[0].findings[0].kind, FindingKind::kLockHeld);
    }
    this->gates().Open(Point::kSending, client.tid());
  }
  (void)this->Receive(service);
}

// --- With endpoints ---------------------------------------------------------

struct Waiter {
  static constexpr InterfaceName kName = "test.Waiter";
  Method<1, void()> Wait;
  OneWay<2, void()> WaitAlone;
  Method<3, void()> Pass;
};
struct Other {
  static constexpr InterfaceName kName = "test.Other";
  Method<1, void()> Ask;
  Method<2, void()> Answer;
};

class EndpointWatchdogTest : public ::testing::Test {
 protected:
  // A service whose handlers wait until the test lets them go.
  Service<Waiter> MakeWaiter(Endpoint& endpoint, ServiceOptions options = {}) {
    const auto wait = [this] {
      running_.release();
      let_go_.acquire();
    };
    return endpoint.Create(
        Waiter{.Wait = wait, .WaitAlone = wait, .Pass = [] {}},
        std::move(options));
  }
  Proxy<Waiter> Find(Endpoint& endpoint) {
    const auto found = endpoint.Find<Waiter>("waiter");
    EXPECT_TRUE(found.ok());
    return found.ok() ? *found : Proxy<Waiter>();
  }

  Log log_;
  Binder binder_;
  std::counting_semaphore<> running_{0};
  std::counting_semaphore<> let_go_{0};
};

TEST_F(EndpointWatchdogTest, HandlersHaveNames) {
  Endpoint server = binder_.Open("server");
  const Service<Waiter> service = MakeWaiter(server);
  ASSERT_TRUE(server.Publish("waiter", service).ok());
  Endpoint client = binder_.Open("client");
  const Proxy<Waiter> proxy = Find(client);
  Watchdog watchdog(binder_, log_.Options());
  std::jthread caller([&] { EXPECT_TRUE(proxy->Wait().ok()); });
  running_.acquire();
  const WaitGraph graph = TakeWaitGraph(binder_);
  EXPECT_FALSE(graph.wrong());
  const ThreadWaits* const server_thread = HandlerOf(graph, "test.Waiter");
  ASSERT_NE(server_thread, nullptr);
  EXPECT_EQ(server_thread->state, WaitState::kRunsHandler);
  EXPECT_EQ(server_thread->handler->code, 1u);
  EXPECT_EQ(server_thread->handler->caller, client.pid());
  EXPECT_GE(server_thread->handler->running.count(), 0);
  EXPECT_EQ(graph.procs[server_thread->proc].name, "server");
  EXPECT_TRUE(IsJson(ToJson(graph)));

  EXPECT_FALSE(watchdog.Check());
  log_.Pass(kPatience);
  EXPECT_TRUE(watchdog.Check());
  const std::vector<WaitGraph> told = log_.Take();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_NE(FirstLine(told[0]).find("held up by server"), std::string::npos);
  EXPECT_NE(FirstLine(told[0]).find("runs test.Waiter method 1 for pid"),
            std::string::npos);
  let_go_.release();
  caller.join();
  EXPECT_FALSE(watchdog.Check());
}

// The driver knows nothing of the handler of a one-way that it has delivered.
TEST_F(EndpointWatchdogTest, HandlersOfOneWaysAreSeen) {
  Endpoint server = binder_.Open("server");
  const Service<Waiter> service = MakeWaiter(server);
  ASSERT_TRUE(server.Publish("waiter", service).ok());
  Endpoint client = binder_.Open("client");
  const Proxy<Waiter> proxy = Find(client);
  Watchdog watchdog(binder_, log_.Options());
  ASSERT_TRUE(proxy->WaitAlone().ok());
  running_.acquire();
  EXPECT_FALSE(watchdog.Check());
  log_.Pass(kPatience);
  EXPECT_TRUE(watchdog.Check());
  const std::vector<WaitGraph> told = log_.Take();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_NE(FirstLine(told[0]).find("runs test.Waiter method 2, for"),
            std::string::npos)
      << FirstLine(told[0]);
  let_go_.release();
}

TEST_F(EndpointWatchdogTest, HandlersOnTheirCallersThreadsAreSeen) {
  Endpoint server = binder_.Open("server");
  const Service<Waiter> service = MakeWaiter(server, {.run_on_callers = true});
  ASSERT_TRUE(server.Publish("waiter", service).ok());
  Endpoint client = binder_.Open("client");
  const Proxy<Waiter> proxy = Find(client);
  // Its looper has to wait, or it takes the call itself.
  for (bool idle = false; !idle;) {
    const WaitGraph graph = TakeWaitGraph(binder_);
    for (const ThreadWaits& t : graph.threads) {
      idle |= graph.procs[t.proc].name == "server" &&
              t.state == WaitState::kIdle && t.asleep;
    }
  }
  std::jthread caller([&] { EXPECT_TRUE(proxy->Wait().ok()); });
  running_.acquire();
  const WaitGraph graph = TakeWaitGraph(binder_);
  const ThreadWaits* const server_thread = HandlerOf(graph, "test.Waiter");
  ASSERT_NE(server_thread, nullptr);
  EXPECT_TRUE(server_thread->lent);
  EXPECT_EQ(graph.procs[server_thread->proc].name, "server");
  EXPECT_NE(ToText(graph).find("(on its caller's thread)"), std::string::npos);
  let_go_.release();
}

TEST_F(EndpointWatchdogTest, ServicesThatAskEachOtherAreADeadlock) {
  std::stop_source give_up;
  std::latch both(2);
  const auto open = [this](const char* name) {
    return binder_.Open(
        EndpointOptions{.name = name, .loopers = 1, .max_loopers = 1});
  };
  const auto make = [&](Endpoint& endpoint, Proxy<Other>& other) {
    return endpoint.Create(Other{
        .Ask =
            [&] {
              both.arrive_and_wait();
              return other->Answer(CallOptions{.stop = give_up.get_token()});
            },
        .Answer = [] {}});
  };
  Endpoint left = open("left");
  Endpoint right = open("right");
  Proxy<Other> to_right;
  Proxy<Other> to_left;
  const Service<Other> left_service = make(left, to_right);
  const Service<Other> right_service = make(right, to_left);
  ASSERT_TRUE(left.Publish("left", left_service).ok());
  ASSERT_TRUE(right.Publish("right", right_service).ok());
  to_right = *left.Find<Other>("right");
  to_left = *right.Find<Other>("left");
  Endpoint client = binder_.Open("client");
  const Proxy<Other> ask_left = *client.Find<Other>("left");
  const Proxy<Other> ask_right = *client.Find<Other>("right");
  Watchdog watchdog(binder_, log_.Options());
  {
    const std::jthread one([&] { EXPECT_FALSE(ask_left->Ask().ok()); });
    const std::jthread two([&] { EXPECT_FALSE(ask_right->Ask().ok()); });
    while (!TakeWaitGraph(binder_).wrong()) std::this_thread::yield();
    EXPECT_FALSE(watchdog.Check());
    log_.Pass(kPatience);
    EXPECT_TRUE(watchdog.Check());
    give_up.request_stop();
  }
  const std::vector<WaitGraph> told = log_.Take();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(FirstLine(told[0]).substr(0, 29), "DEADLOCK of 2 threads: left 1");
  ASSERT_EQ(told[0].findings[0].threads.size(), 2u);
  for (const std::size_t i : told[0].findings[0].threads) {
    ASSERT_TRUE(told[0].threads[i].handler.has_value());
    EXPECT_EQ(told[0].threads[i].handler->interface, "test.Other");
  }
}

// From a thread of its own; the default is stderr.
TEST_F(EndpointWatchdogTest, LooksByItself) {
  Endpoint server = binder_.Open("server");
  const Service<Waiter> service = MakeWaiter(server);
  ASSERT_TRUE(server.Publish("waiter", service).ok());
  Endpoint client = binder_.Open("client");
  const Proxy<Waiter> proxy = Find(client);
  std::binary_semaphore told{0};
  std::atomic<int> count{0};
  {
    std::jthread caller([&] { EXPECT_TRUE(proxy->Wait().ok()); });
    running_.acquire();
    {
      const Watchdog watchdog(binder_,
                              {.patience = std::chrono::milliseconds(2),
                               .on_stuck = [&](const WaitGraph& graph) {
                                 EXPECT_TRUE(graph.wrong());
                                 if (count.fetch_add(1) == 0) told.release();
                               }});
      told.acquire();
    }
    let_go_.release();
  }
  EXPECT_EQ(count.load(), 1);
}

TEST_F(EndpointWatchdogTest, WritesToStderrByDefault) {
  Endpoint server = binder_.Open("server");
  const Service<Waiter> service = MakeWaiter(server);
  ASSERT_TRUE(server.Publish("waiter", service).ok());
  Endpoint client = binder_.Open("client");
  const Proxy<Waiter> proxy = Find(client);
  WatchdogOptions options = log_.Options();
  options.on_stuck = {};
  Watchdog watchdog(binder_, std::move(options));
  std::jthread caller([&] { EXPECT_TRUE(proxy->Wait().ok()); });
  running_.acquire();
  ::testing::internal::CaptureStderr();
  (void)watchdog.Check();
  log_.Pass(kPatience);
  EXPECT_TRUE(watchdog.Check());
  EXPECT_TRUE(watchdog.Check());
  const std::string text = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(text.find("binderlite: NO PROGRESS: client"), 0u) << text;
  EXPECT_EQ(text.rfind("NO PROGRESS"), 12u) << text;  // Once.
  let_go_.release();
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
