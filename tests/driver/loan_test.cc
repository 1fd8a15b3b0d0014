// SPDX-License-Identifier: Apache-2.0
//
// Checks driver/loan.h: calls that are served on their caller's thread. What is
// to be the same whichever way a call is served is tested in both.

#include "binderlite/driver/loan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <latch>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "binderlite/core/priority.h"
#include "binderlite/core/table.h"
#include "binderlite/debug/invariants.h"
#include "binderlite/debug/snapshot.h"
#include "binderlite/driver/driver.h"
#include "binderlite/sync/abseil_primitives.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "support/component.h"
#include "support/driver_test.h"
#include "support/gates.h"
#include "support/streams.h"

namespace binderlite::testing {
namespace {

// Every call is served with what its text says to this one.
template <class L>
using Handler = typename Component<L>::Handler;

template <class L>
class LoanTest : public DriverTest<L> {
 protected:
  using C = Component<L>;

  explicit LoanTest(ContextOptions options = {})
      : DriverTest<L>(std::move(options)) {}

  // A context manager. `here`: its calls are served on their callers' threads.
  std::unique_ptr<C> Manager(bool here, Handler<L> handler,
                             ProcOptions options = {.name = "manager"}) {
    auto component = std::make_unique<C>(this->context(), std::move(options),
                                         std::move(handler));
    BasicThread<L> setup = component->proc().Attach();
    EXPECT_EQ(setup.SetContextMgr(), Errc::kOk);
    if (here) component->RunOnCallers();
    return component;
  }
  std::unique_ptr<C> Client(bool here, Handler<L> handler = nullptr,
                            ProcOptions options = {.name = "client"}) {
    auto component = std::make_unique<C>(this->context(), std::move(options),
                                         std::move(handler));
    if (here) component->LetServe();
    return component;
  }
  // A thread of it that has used up its first free read.
  static BasicThread<L> ThreadOf(C& component) {
    BasicThread<L> thread = component.proc().Attach();
    std::int32_t version = 0;
    EXPECT_EQ(thread.Version(version), Errc::kOk);
    return thread;
  }
  static Handler<L> Echo() {
    return [](C&, BasicThread<L>& self, const Incoming& call) {
      C::Reply(self, call, TextOf(call) + "!");
    };
  }

  // A handler that says that it has begun, and replies when it may.
  struct Held {
    std::latch inside{1};
    std::latch go_on{1};
    Handler<L> Handle() {
      return [this](C&, BasicThread<L>& self, const Incoming& call) {
        inside.count_down();
        go_on.wait();
        C::Reply(self, call, "done");
      };
    }
  };
  // One that calls back first, to the node in the payload; `seen`: how that
  // ended.
  static Handler<L> CallingBack(CallResult& seen) {
    return [&seen](C& me, BasicThread<L>& self, const Incoming& call) {
      const std::uint32_t handle = HandleIn(call);
      (void)self.Acquire(handle);
      seen = me.Call(self, handle, "back");
      C::Reply(self, call, "done");
    };
  }
  static Payload ToCallBack() {
    Payload payload("xxxxxxxx");
    payload.Binder(11, 12);
    return payload;
  }
  // Has a thread of its own call handle 0.
  static std::jthread CallMeanwhile(C& client, CallResult& result) {
    return std::jthread([&client, &result] {
      BasicThread<L> self = ThreadOf(client);
      result = client.Call(self, 0, "x");
    });
  }

  debug::ThreadSnapshot Look(C& component, std::int32_t tid) {
    for (const debug::ProcSnapshot& proc : this->Snapshot().procs) {
      if (proc.pid != component.proc().pid()) continue;
      for (const debug::ThreadSnapshot& thread : proc.threads) {
        if (thread.tid == tid) return thread;
      }
    }
    ADD_FAILURE() << "no record of thread " << tid;
    return {};
  }
  void AwaitWaiting(C& component, std::int32_t tid) {
    while (!Look(component, tid).waiting) std::this_thread::yield();
  }
  // Once these loopers wait.
  void Check(std::vector<std::pair<C*, std::int32_t>> loopers) {
    for (const auto& [component, tid] : loopers) AwaitWaiting(*component, tid);
    Check();
  }
  void Check() {
    for (const std::string& what : debug::CheckInvariants(this->Snapshot())) {
      ADD_FAILURE() << what;
    }
  }
};
BINDERLITE_FOR_ALL_DISCIPLINES(LoanTest);

TYPED_TEST(LoanTest, TheHandlerRunsOnTheCallersThread) {
  std::thread::id ran_on;
  std::int32_t ran_as = 0;
  Incoming seen;
  auto manager = this->Manager(
      true, [&](auto&, BasicThread<TypeParam>& self, const Incoming& call) {
        ran_on = std::this_thread::get_id();
        ran_as = self.tid();
        seen = call;
        Component<TypeParam>::Reply(self, call, TextOf(call) + "!");
      });
  const std::int32_t looper = manager->StartLooper(this->gates());
  auto client = this->Client(true, nullptr, {.pid = 77, .euid = 5});
  BasicThread<TypeParam> self = this->ThreadOf(*client);
  EXPECT_EQ(client->Call(self, 0, "hello", 12),
            (CallResult{Br::BR_REPLY, "hello!"}));
  EXPECT_EQ(manager->served_here(), 1);
  EXPECT_EQ(ran_on, std::this_thread::get_id());
  // As the looper that would have been woken, which waits on as before.
  EXPECT_EQ(ran_as, looper);
  EXPECT_TRUE(this->Look(*manager, looper).waiting);
  EXPECT_EQ(this->gates().Visits(Point::kWoken, looper), 0);
  EXPECT_EQ(seen.transaction.code, 12u);
  EXPECT_EQ(seen.transaction.sender_pid, 77);
  EXPECT_EQ(seen.transaction.sender_euid, 5u);
  this->Check();
}

TYPED_TEST(LoanTest, TheCallerReadsTheSame) {
  for (const bool here : {false, true}) {
    auto manager = this->Manager(here, this->Echo());
    const std::int32_t looper = manager->StartLooper(this->gates());
    auto client = this->Client(here);
    BasicThread<TypeParam> self = this->ThreadOf(*client);
    // By typed operations and by a byte stream.
    ASSERT_EQ(self.Transact(Payload("a").Data()), Errc::kOk);
    std::vector<Br> codes;
    Incoming work;
    while (codes.empty() || codes.back() != Br::BR_REPLY) {
      ASSERT_EQ(self.NextWork(work), Errc::kOk);
      codes.push_back(work.command);
    }
    EXPECT_EQ(codes, (BrList{Br::BR_TRANSACTION_COMPLETE, Br::BR_REPLY}));
    std::vector<Received> all;
    Result result = RunWriteRead(
        self,
        Commands().Free(work.transaction.buffer).Transact(0, Payload("b")),
        kReadSize);
    for (;;) {
      for (const Received& r : result.received) {
        if (r.br != Br::BR_NOOP) all.push_back(r);
      }
      if (!all.empty() && all.back().br == Br::BR_REPLY) break;
      result = RunWriteRead(self, {}, kReadSize);
    }
    EXPECT_EQ(Codes(all), (BrList{Br::BR_TRANSACTION_COMPLETE, Br::BR_REPLY}));
    EXPECT_EQ(self.FreeBuffer(all.back().tr.buffer), Errc::kOk);
    EXPECT_EQ(manager->served_here(), here ? 2 : 0);
    EXPECT_EQ(client->served_here(), 0);
    this->Check({{manager.get(), looper}});
    manager->StopAndWait();
    client->StopAndWait();
    manager.reset();
  }
}

// Its own OS thread comes out of its wait at the very moment at which whoever
// runs it reads an answer. ThreadSanitizer sees whether they get in each
// other's way.
TYPED_TEST(LoanTest, ItsOwnerWakesWhileItIsRead) {
  CallResult nested;
  auto manager = this->Manager(
      true, [&](auto& me, BasicThread<TypeParam>& self, const Incoming& call) {
        this->gates().Close(Point::kDelivering, self.tid());
        this->CallingBack(nested)(me, self, call);
      });
  BasicThread<TypeParam> looper = this->ThreadOf(*manager);
  ASSERT_EQ(looper.EnterLooper(), Errc::kOk);
  const std::int32_t tid = looper.tid();
  auto client = this->Client(true, this->Echo());
  constexpr int kRounds = 10;
  for (int round = 0; round < kRounds; ++round) {
    std::stop_source stop;
    Errc ended = Errc::kOk;
    CallResult result;
    const int parked = this->gates().Visits(Point::kParking, tid);
    {
      const std::jthread owner([&] {
        Incoming work;
        ended = looper.NextWork(work, stop.get_token());
      });
      // It may wake once for nothing, as it does for having been given back.
      this->gates().WaitFor(Point::kParking, tid, parked + 1);
      this->gates().CloseForSleeper(tid);
      const std::jthread caller([&] {
        BasicThread<TypeParam> self = this->ThreadOf(*client);
        result = client->Call(self, 0, this->ToCallBack());
      });
      this->gates().WaitUntilHeld(Point::kDelivering, tid);
      stop.request_stop();
      this->gates().WaitUntilHeld(Point::kWoken, tid);
      this->gates().Open(Point::kDelivering, tid);
      this->gates().Open(Point::kWoken, tid);
    }
    EXPECT_EQ(nested, (CallResult{Br::BR_REPLY, "back!"}));
    EXPECT_EQ(result, (CallResult{Br::BR_REPLY, "done"}));
    EXPECT_EQ(ended, Errc::kKilled);
  }
  EXPECT_EQ(manager->served_here(), kRounds);
}

// What is not to be served here goes to the looper.
TYPED_TEST(LoanTest, HandsOverWhatIsNotToBeServedHere) {
  auto manager = this->Manager(true, this->Echo());
  manager->StartLooper(this->gates());
  auto without = this->Client(false);
  BasicThread<TypeParam> plain = this->ThreadOf(*without);
  EXPECT_EQ(without->Call(plain, 0, "x"), (CallResult{Br::BR_REPLY, "x!"}));
  EXPECT_EQ(manager->served_here(), 0) << "the caller has no handler";

  auto client = this->Client(true);
  BasicThread<TypeParam> self = this->ThreadOf(*client);
  manager->proc().RunOnCallers(0, false);
  EXPECT_EQ(client->Call(self, 0, "x"), (CallResult{Br::BR_REPLY, "x!"}));
  EXPECT_EQ(manager->served_here(), 0) << "not the node's way";
  manager->proc().RunOnCallers(0);
  manager->proc().SetCallHandler(nullptr);
  EXPECT_EQ(client->Call(self, 0, "x"), (CallResult{Br::BR_REPLY, "x!"}));
  EXPECT_EQ(manager->served_here(), 0) << "the service has no handler";
}

TYPED_TEST(LoanTest, HandsOverOneWays) {
  std::latch arrived(1);
  auto manager = this->Manager(
      true, [&](auto&, BasicThread<TypeParam>& self, const Incoming& call) {
        EXPECT_EQ(self.FreeBuffer(call.transaction.buffer), Errc::kOk);
        arrived.count_down();
      });
  manager->StartLooper(this->gates());
  auto client = this->Client(true);
  BasicThread<TypeParam> self = this->ThreadOf(*client);
  ASSERT_EQ(self.Transact(Payload("x").Data(0, kTfOneWay)), Errc::kOk);
  arrived.wait();
  EXPECT_EQ(manager->served_here(), 0);
}

// A single looper serves one call at a time, whoever runs it.
TYPED_TEST(LoanTest, NeverServesMoreCallsThanItHasLoopers) {
  std::atomic<int> inside{0};
  std::atomic<int> most{0};
  auto manager = this->Manager(
      true, [&](auto&, BasicThread<TypeParam>& self, const Incoming& call) {
        const int now = inside.fetch_add(1) + 1;
        int seen = most.load();
        while (seen < now && !most.compare_exchange_weak(seen, now)) {
        }
        Component<TypeParam>::Reply(self, call, TextOf(call));
        // The looper is still busy with it.
        inside.fetch_sub(1);
      });
  manager->StartLooper(this->gates());
  auto client = this->Client(true);
  constexpr int kCallers = 4;
  constexpr int kCalls = 200;
  std::vector<std::jthread> callers;
  for (int i = 0; i < kCallers; ++i) {
    callers.emplace_back([&] {
      BasicThread<TypeParam> self = this->ThreadOf(*client);
      for (int n = 0; n < kCalls; ++n) {
        EXPECT_EQ(client->Call(self, 0, std::to_string(n)),
                  (CallResult{Br::BR_REPLY, std::to_string(n)}));
      }
    });
  }
  callers.clear();
  EXPECT_EQ(most.load(), 1);
}

// While the one looper is lent, calls are handed over, and it takes them when
// it is given back.
TYPED_TEST(LoanTest, TheLooperTakesWhatCameMeanwhile) {
  std::latch inside(1);
  std::latch go_on(1);
  auto manager = this->Manager(
      true, [&](auto&, BasicThread<TypeParam>& self, const Incoming& call) {
        if (TextOf(call) == "first") {
          inside.count_down();
          go_on.wait();
        }
        Component<TypeParam>::Reply(self, call, TextOf(call) + "!");
      });
  const std::int32_t looper = manager->StartLooper(this->gates());
  auto client = this->Client(true);
  std::jthread first([&] {
    BasicThread<TypeParam> self = this->ThreadOf(*client);
    EXPECT_EQ(client->Call(self, 0, "first"),
              (CallResult{Br::BR_REPLY, "first!"}));
  });
  inside.wait();
  EXPECT_FALSE(this->Look(*manager, looper).waiting);
  BasicThread<TypeParam> self = this->ThreadOf(*client);
  ASSERT_EQ(self.Transact(Payload("second").Data()), Errc::kOk);
  EXPECT_EQ(manager->served_here(), 1);
  go_on.count_down();
  EXPECT_EQ(client->Await(self), (CallResult{Br::BR_REPLY, "second!"}));
  EXPECT_EQ(manager->served_here(), 1);
}

// --- Calls in both directions -----------------------------------------------

// A call that comes back to and fro, `depth` times, between two components that
// know each other: the text of each is how often it still has to.
template <class L>
Handler<L> Bouncing(std::vector<std::string>& trace, const std::string& name) {
  return [&trace, name](Component<L>& me, BasicThread<L>& self,
                        const Incoming& call) {
    const int left = std::stoi(TextOf(call));
    trace.push_back(name + " " + std::to_string(left));
    std::string answer = "0";
    if (left > 0) {
      const std::uint32_t handle = call.transaction.code;
      const CallResult inner =
          me.Call(self, handle, std::to_string(left - 1), 1);
      EXPECT_EQ(inner.br, Br::BR_REPLY);
      answer = std::to_string(std::stoi(inner.text) + 1);
    }
    trace.push_back(name + " answers " + answer);
    Component<L>::Reply(self, call, answer);
  };
}

// Has the client show the manager its node, which holds on to it: handle 1.
template <class L>
void Introduce(Component<L>& client, BasicThread<L>& self) {
  TransactionData data = Payload().Data();
  Payload node;
  node.Binder(0x10, 0x20);
  data = node.Data(/*code=*/99);
  EXPECT_EQ(self.Transact(data), Errc::kOk);
  for (;;) {
    Incoming work;
    ASSERT_EQ(self.NextWork(work), Errc::kOk);
    if (work.command == Br::BR_INCREFS) (void)self.IncRefsDone(work.node);
    if (work.command == Br::BR_ACQUIRE) (void)self.AcquireDone(work.node);
    if (work.command != Br::BR_REPLY) continue;
    ASSERT_EQ(self.FreeBuffer(work.transaction.buffer), Errc::kOk);
    break;
  }
  static_cast<void>(client);
}
template <class L>
Handler<L> Remembering(Handler<L> next) {
  return [next](Component<L>& me, BasicThread<L>& self, const Incoming& call) {
    if (call.transaction.code != 99) return next(me, self, call);
    EXPECT_EQ(self.Acquire(HandleIn(call)), Errc::kOk);
    Component<L>::Reply(self, call, "");
  };
}

TYPED_TEST(LoanTest, CallsThatComeBack) {
  constexpr int kDepth = 9;
  std::vector<std::vector<std::string>> traces(2);
  for (const bool here : {false, true}) {
    std::vector<std::string>& trace = traces[here ? 1 : 0];
    // The first call says to go on by handle 1, the client's node.
    auto manager = this->Manager(
        here, Remembering<TypeParam>(Bouncing<TypeParam>(trace, "manager")));
    const std::int32_t looper = manager->StartLooper(this->gates());
    auto client = this->Client(here, [&](auto& me, auto& self, auto& call) {
      // And back by handle 0.
      Incoming to_manager = call;
      to_manager.transaction.code = 0;
      Bouncing<TypeParam>(trace, "client")(me, self, to_manager);
    });
    BasicThread<TypeParam> self = this->ThreadOf(*client);
    Introduce(*client, self);
    this->AwaitWaiting(*manager, looper);
    EXPECT_EQ(client->Call(self, 0, std::to_string(kDepth), 1),
              (CallResult{Br::BR_REPLY, std::to_string(kDepth)}));
    EXPECT_EQ(manager->served_here() > 0, here);
    // The one that shows the node; the first; and those that come back.
    EXPECT_EQ(client->served_here(), here ? (kDepth + 1) / 2 : 0);
    this->Check({{manager.get(), looper}});
    client->StopAndWait();
    manager->StopAndWait();
  }
  EXPECT_EQ(traces[0], traces[1]);
}

// Who serves one as a guest has no call out any more once it has replied; that
// of the thread it is run for is not its own.
TYPED_TEST(LoanTest, AGuestGivesUpCallsOfItsOwnOnly) {
  CallResult seen;
  auto manager = this->Manager(true, this->CallingBack(seen));
  const std::int32_t looper = manager->StartLooper(this->gates());
  auto client = this->Client(
      true, [](auto&, BasicThread<TypeParam>& self, const Incoming& call) {
        Component<TypeParam>::Reply(self, call, "back!");
        EXPECT_EQ(self.Abandon(), Errc::kOk);
      });
  BasicThread<TypeParam> self = this->ThreadOf(*client);
  EXPECT_EQ(client->Call(self, 0, this->ToCallBack()),
            (CallResult{Br::BR_REPLY, "done"}));
  EXPECT_EQ(seen, (CallResult{Br::BR_REPLY, "back!"}));
  EXPECT_EQ(client->served_here(), 1);
  this->Check({{manager.get(), looper}});
}

// The client's OS thread waits, as the manager's looper, for a third that is
// served in the ordinary way, and which calls the client.
TYPED_TEST(LoanTest, CallsThatComeBackByAThird) {
  for (const bool here : {false, true}) {
    auto manager = this->Manager(
        here, Remembering<TypeParam>([](auto& me, auto& self, auto& call) {
          // Handle 1 is the client's node, 2 the third's.
          const std::uint32_t to = call.transaction.code == 7 ? 1 : 2;
          const CallResult inner = me.Call(self, to, TextOf(call) + ">m", 7);
          Component<TypeParam>::Reply(self, call, inner.text + "<m");
        }));
    const std::int32_t looper = manager->StartLooper(this->gates());
    auto client = this->Client(here, this->Echo());
    auto third = this->Client(false, [](auto& me, auto& self, auto& call) {
      const CallResult inner = me.Call(self, 0, TextOf(call) + ">t", 7);
      Component<TypeParam>::Reply(self, call, inner.text + "<t");
    });
    BasicThread<TypeParam> of_client = this->ThreadOf(*client);
    Introduce(*client, of_client);
    BasicThread<TypeParam> of_third = this->ThreadOf(*third);
    Introduce(*third, of_third);
    const std::int32_t other = third->StartLooper(this->gates());
    this->AwaitWaiting(*manager, looper);
    EXPECT_EQ(client->Call(of_client, 0, "c"),
              (CallResult{Br::BR_REPLY, "c>m>t>m!<m<t<m"}));
    EXPECT_EQ(client->served_here(), here ? 1 : 0);
    this->Check({{manager.get(), looper}, {third.get(), other}});
    third->StopAndWait();
    client->StopAndWait();
    manager->StopAndWait();
  }
}

// --- Handlers that leave things undone --------------------------------------

TYPED_TEST(LoanTest, ACallThatIsNotAnsweredFails) {
  auto manager = this->Manager(
      true, [](auto&, BasicThread<TypeParam>& self, const Incoming& call) {
        (void)self.FreeBuffer(call.transaction.buffer);
        if (TextOf(call) == "x") return;
        (void)self.Reply(Payload("fine").Data());
      });
  const std::int32_t looper = manager->StartLooper(this->gates());
  auto client = this->Client(true);
  BasicThread<TypeParam> self = this->ThreadOf(*client);
  EXPECT_EQ(client->Call(self, 0, "x").br, Br::BR_FAILED_REPLY);
  EXPECT_TRUE(this->Look(*manager, looper).waiting);
  EXPECT_TRUE(this->Look(*manager, looper).stack.empty());
  EXPECT_EQ(manager->served_here(), 1);
  this->Check();
}

TYPED_TEST(LoanTest, ACallOfItsOwnGoesOnWithoutIt) {
  auto manager = this->Manager(
      true, Remembering<TypeParam>([](auto&, BasicThread<TypeParam>& self,
                                      const Incoming& call) {
        ASSERT_EQ(self.FreeBuffer(call.transaction.buffer), Errc::kOk);
        const Payload inner("inner");
        TransactionData data = inner.Data();
        data.target.handle = 1;
        ASSERT_EQ(self.Transact(data), Errc::kOk);
      }));
  const std::int32_t looper = manager->StartLooper(this->gates());
  auto third = this->Client(false, this->Echo());
  BasicThread<TypeParam> of_third = this->ThreadOf(*third);
  Introduce(*third, of_third);
  const std::int32_t other = third->StartLooper(this->gates());
  auto client = this->Client(true);
  BasicThread<TypeParam> self = this->ThreadOf(*client);
  // Failed, or, if it is still out by then, dead with it.
  const Br end = client->Call(self, 0, "x").br;
  EXPECT_TRUE(end == Br::BR_FAILED_REPLY || end == Br::BR_DEAD_REPLY);
  EXPECT_TRUE(this->Look(*manager, looper).waiting);
  EXPECT_EQ(this->Look(*manager, looper).todo, std::vector<core::WorkType>{});
  this->Check({{manager.get(), looper}, {third.get(), other}});
}

// A failure to send that the handler has not read is not the looper's to read.
TYPED_TEST(LoanTest, AnUnreadFailureEndsWithTheCall) {
  auto manager = this->Manager(
      true, [](auto&, BasicThread<TypeParam>& self, const Incoming& call) {
        Component<TypeParam>::Reply(self, call, "done");
        TransactionData nowhere = {};
        nowhere.target.handle = 4711;
        ASSERT_EQ(self.Transact(nowhere), Errc::kOk);
        EXPECT_EQ(self.ThreadExit(), Errc::kInvalid);
      });
  const std::int32_t looper = manager->StartLooper(this->gates());
  auto client = this->Client(true);
  BasicThread<TypeParam> self = this->ThreadOf(*client);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(client->Call(self, 0, "x"), (CallResult{Br::BR_REPLY, "done"}));
  }
  EXPECT_EQ(manager->served_here(), 2);
  EXPECT_TRUE(this->Look(*manager, looper).waiting);
  this->Check();
}

// There is nothing more to wait for once the call is answered.
TYPED_TEST(LoanTest, ReadingAfterTheReplyWouldBlock) {
  std::vector<Errc> errors;
  auto manager = this->Manager(
      true, [&](auto&, BasicThread<TypeParam>& self, const Incoming& call) {
        Component<TypeParam>::Reply(self, call, "done");
        Incoming work;
        errors.push_back(self.NextWork(work));
        EXPECT_EQ(work.command, Br::BR_TRANSACTION_COMPLETE);
        errors.push_back(self.NextWork(work));
      });
  manager->StartLooper(this->gates());
  auto client = this->Client(true);
  BasicThread<TypeParam> self = this->ThreadOf(*client);
  EXPECT_EQ(client->Call(self, 0, "x"), (CallResult{Br::BR_REPLY, "done"}));
  EXPECT_EQ(errors, (std::vector<Errc>{Errc::kOk, Errc::kWouldBlock}));
}

// --- Death, freezing, interrupts --------------------------------------------

TYPED_TEST(LoanTest, TheServiceIsKilledWhileItIsServedHere) {
  std::vector<Errc> errors;
  auto manager = this->Manager(
      true, [&](auto& me, BasicThread<TypeParam>& self, const Incoming& call) {
        me.proc().Kill();
        errors.push_back(self.FreeBuffer(call.transaction.buffer));
        errors.push_back(self.Reply(Payload("late").Data()));
      });
  manager->StartLooper(this->gates());
  auto client = this->Client(true);
  BasicThread<TypeParam> self = this->ThreadOf(*client);
  EXPECT_EQ(client->Call(self, 0, "x").br, Br::BR_DEAD_REPLY);
  EXPECT_EQ(errors, (std::vector<Errc>{Errc::kKilled, Errc::kKilled}));
}

TYPED_TEST(LoanTest, TheCallerIsKilledWhileItServes) {
  bool stops = false;
  std::optional<Component<TypeParam>> client;
  auto manager = this->Manager(true, this->Echo());
  manager->on_served_here = [&](const ServedHere& here) {
    EXPECT_FALSE(here.stops.requested());
    client->proc().Kill();
    stops = here.stops.requested();
  };
  const std::int32_t looper = manager->StartLooper(this->gates());
  client.emplace(this->context(), ProcOptions{}, nullptr);
  client->LetServe();
  BasicThread<TypeParam> self = this->ThreadOf(*client);
  EXPECT_EQ(client->Call(self, 0, "x"), (CallResult{.error = Errc::kKilled}));
  EXPECT_TRUE(stops);
  // The looper is back, if not on the list then on its way to it.
  manager->on_served_here = nullptr;
  auto other = this->Client(false);
  BasicThread<TypeParam> next = this->ThreadOf(*other);
  EXPECT_EQ(other->Call(next, 0, "y"), (CallResult{Br::BR_REPLY, "y!"}));
  EXPECT_TRUE(this->Look(*manager, looper).stack.empty());
}

TYPED_TEST(LoanTest, TheLooperLeavesWhileItIsLent) {
  typename TestFixture::Held held;
  auto manager = this->Manager(true, held.Handle());
  BasicThread<TypeParam> looper = manager->proc().Attach();
  ASSERT_EQ(looper.EnterLooper(), Errc::kOk);
  Errc left_with = Errc::kOk;
  std::jthread waits([&] {
    Incoming work;
    left_with = looper.NextWork(work);
  });
  this->gates().WaitFor(Point::kParking, looper.tid());
  auto client = this->Client(true);
  CallResult answer;
  std::jthread calls = this->CallMeanwhile(*client, answer);
  held.inside.wait();
  looper.Kill();
  waits.join();  // It needs nobody's help.
  EXPECT_EQ(left_with, Errc::kKilled);
  EXPECT_EQ(looper.ThreadExit(), Errc::kOk);
  held.go_on.count_down();
  calls.join();
  EXPECT_EQ(answer.br, Br::BR_DEAD_REPLY);
  this->Check();
}

// An interrupt of a looper that is lent takes effect when it is given back.
TYPED_TEST(LoanTest, TheLooperIsInterruptedWhileItIsLent) {
  typename TestFixture::Held held;
  auto manager = this->Manager(true, held.Handle());
  BasicThread<TypeParam> looper = this->ThreadOf(*manager);
  ASSERT_EQ(looper.EnterLooper(), Errc::kOk);
  Errc left_with = Errc::kOk;
  std::atomic<bool> left{false};
  std::jthread waits([&] {
    Incoming work;
    left_with = looper.NextWork(work);
    left.store(true);
  });
  this->gates().WaitFor(Point::kParking, looper.tid());
  auto client = this->Client(true);
  CallResult answer;
  std::jthread calls = this->CallMeanwhile(*client, answer);
  held.inside.wait();
  looper.Interrupt();
  // It has noticed when it parks once more.
  this->gates().WaitFor(Point::kParking, looper.tid(), 2);
  EXPECT_FALSE(left.load());
  held.go_on.count_down();
  calls.join();
  EXPECT_EQ(answer, (CallResult{Br::BR_REPLY, "done"}));
  waits.join();
  EXPECT_EQ(left_with, Errc::kInterrupted);
  this->Check();
}

// What the caller's thread waited for is over before it has answered the call
// that came back to it.
TYPED_TEST(LoanTest, TheMiddleDiesWhileItIsCalledBack) {
  Component<TypeParam>* middle = nullptr;
  CallResult seen;
  auto manager = this->Manager(true, this->CallingBack(seen));
  middle = manager.get();
  manager->StartLooper(this->gates());
  std::vector<Errc> errors;
  auto client = this->Client(
      true, [&](auto&, BasicThread<TypeParam>& self, const Incoming& call) {
        middle->proc().Kill();
        while (!middle->proc().released()) std::this_thread::yield();
        Component<TypeParam>::Reply(self, call, "late");
        Incoming work;
        errors.push_back(self.NextWork(work));
      });
  BasicThread<TypeParam> self = this->ThreadOf(*client);
  EXPECT_EQ(client->Call(self, 0, this->ToCallBack()).br, Br::BR_DEAD_REPLY);
  EXPECT_EQ(client->served_here(), 1);
  // That is for the one that began it all.
  EXPECT_EQ(errors, (std::vector<Errc>{Errc::kWouldBlock}));
  EXPECT_TRUE(this->Look(*client, self.tid()).stack.empty());
  this->Check();
}

// The thread that a call has come back to is killed, and cannot answer: who
// waits for that is on the same OS thread.
TYPED_TEST(LoanTest, TheCallersThreadIsKilledWhileItIsCalledBack) {
  CallResult seen;
  auto manager = this->Manager(true, this->CallingBack(seen));
  manager->StartLooper(this->gates());
  std::optional<BasicThread<TypeParam>> self;
  auto client = this->Client(
      true, [&](auto&, BasicThread<TypeParam>& guest, const Incoming& call) {
        self->Kill();
        Component<TypeParam>::Reply(guest, call, "late");
      });
  self.emplace(this->ThreadOf(*client));
  EXPECT_EQ(client->Call(*self, 0, this->ToCallBack()).error, Errc::kKilled);
  EXPECT_EQ(seen.br, Br::BR_FAILED_REPLY);
}

// An owner whose wait is stopped while its thread is lent may not use it.
TYPED_TEST(LoanTest, AnOwnerThatIsStoppedHasToWait) {
  typename TestFixture::Held held;
  auto manager = this->Manager(true, held.Handle());
  BasicThread<TypeParam> looper = this->ThreadOf(*manager);
  ASSERT_EQ(looper.EnterLooper(), Errc::kOk);
  std::jthread waits([&](const std::stop_token& stop) {
    Incoming work;
    EXPECT_EQ(looper.NextWork(work, stop), Errc::kKilled);
  });
  this->gates().WaitFor(Point::kParking, looper.tid());
  auto client = this->Client(true);
  CallResult result;
  std::jthread calls = this->CallMeanwhile(*client, result);
  held.inside.wait();
  waits.request_stop();
  waits.join();
  Incoming work;
  EXPECT_EQ(looper.Reply(Payload("from the owner").Data()), Errc::kBusy);
  EXPECT_EQ(looper.NextWork(work), Errc::kBusy);
  held.go_on.count_down();
  calls.join();
  EXPECT_EQ(result, (CallResult{Br::BR_REPLY, "done"}));
  // It is back, and nobody waits in it.
  EXPECT_FALSE(this->Look(*manager, looper.tid()).waiting);
  EXPECT_EQ(looper.Reply({}), Errc::kOk);
  ASSERT_EQ(looper.NextWork(work), Errc::kOk);
  EXPECT_EQ(work.command, Br::BR_FAILED_REPLY);
  this->Check();
}

// The caller is killed, so that the looper's owner has to end what the handler
// has left; and it is interrupted on its way there.
TYPED_TEST(LoanTest, TheOwnerEndsWhatTheHandlerHasLeft) {
  for (const bool answered : {false, true}) {
    std::optional<BasicThread<TypeParam>> looper;
    std::unique_ptr<Component<TypeParam>> client;
    bool first = true;
    auto manager = this->Manager(
        true, [&](auto&, BasicThread<TypeParam>& self, const Incoming& call) {
          if (!std::exchange(first, false)) {
            return Component<TypeParam>::Reply(self, call, "fine");
          }
          const int before = this->gates().Visits(Point::kWoken, looper->tid());
          client->proc().Kill();
          looper->Interrupt();
          this->gates().WaitFor(Point::kWoken, looper->tid(), before + 1);
          if (answered) return Component<TypeParam>::Reply(self, call, "late");
          (void)self.FreeBuffer(call.transaction.buffer);
        });
    looper.emplace(this->ThreadOf(*manager));
    ASSERT_EQ(looper->EnterLooper(), Errc::kOk);
    const int before = this->gates().Visits(Point::kParking, looper->tid());
    int interrupts = 0;
    std::jthread owner([&] {
      for (;;) {
        Incoming work;
        const Errc error = looper->NextWork(work);
        if (error == Errc::kInterrupted) ++interrupts;
        if (error != Errc::kInterrupted && error != Errc::kOk) return;
        if (error != Errc::kOk || !work.is_transaction()) continue;
        Component<TypeParam>::Reply(*looper, work, "by the looper");
      }
    });
    this->gates().WaitFor(Point::kParking, looper->tid(), before + 1);
    client = this->Client(true);
    {
      BasicThread<TypeParam> self = this->ThreadOf(*client);
      EXPECT_EQ(client->Call(self, 0, "x").error, Errc::kKilled);
    }
    auto other = this->Client(false);
    BasicThread<TypeParam> self = this->ThreadOf(*other);
    EXPECT_EQ(other->Call(self, 0, "y"),
              (CallResult{Br::BR_REPLY, "by the looper"}));
    this->AwaitWaiting(*manager, looper->tid());
    EXPECT_TRUE(this->Look(*manager, looper->tid()).stack.empty());
    other->StopAndWait();
    manager->StopAndWait();
    owner.join();
    EXPECT_EQ(interrupts, 1);
    client->StopAndWait();
  }
}

// A mutex that calls what its OS thread has set before that locks the next one.
class ABSL_LOCKABLE HookedMutex {
 public:
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() {
    if (const auto hook = std::exchange(hook_, nullptr)) (*hook)();
    mu_.Lock();
  }
  void Unlock() ABSL_UNLOCK_FUNCTION() { mu_.Unlock(); }
  void AssertHeld() const ABSL_ASSERT_EXCLUSIVE_LOCK() { mu_.AssertHeld(); }

  // `hook` lives until it has been called.
  static void SetHook(const std::function<void()>& hook) { hook_ = &hook; }

 private:
  static thread_local const std::function<void()>* hook_;
  sync::AbseilPrimitives::Mutex mu_;
};
thread_local const std::function<void()>* HookedMutex::hook_ = nullptr;

struct HookedQueues : FineGrained<> {
  using QueuesMutex = HookedMutex;
};

// The owner of a lent thread wakes for nothing while it is lent, and when it
// looks for work it is not any more; but what the handler has left behind is
// still on its stack.
class HookedLoanTest : public LoanTest<HookedQueues> {};
TEST_F(HookedLoanTest, GivenBackBetweenTwoLooksOfItsOwner) {
  using L = HookedQueues;
  std::latch inside(1);
  std::latch go_on(1);
  auto manager = this->Manager(true, [&](auto&, BasicThread<L>& self,
                                         const Incoming& call) {
    const std::string text = TextOf(call);
    if (text == "here") {
      inside.count_down();
      go_on.wait();
    }
    const Payload payload(text);
    const TransactionData data = payload.Data();
    (void)self.Send({.free_buffer = call.transaction.buffer, .reply = &data});
  });
  const std::int32_t pid = manager->proc().pid();
  std::latch given_back(1);
  const std::function<void()> between = [&] {
    go_on.count_down();
    given_back.wait();
  };
  std::atomic<bool> wakes = false;
  this->gates().Observe([&](Point point, std::int32_t who, std::int32_t) {
    if (point == Point::kWoken && who == pid && wakes.exchange(false)) {
      HookedMutex::SetHook(between);
    }
  });
  const std::int32_t looper = manager->StartLooper(this->gates());
  this->AwaitWaiting(*manager, looper);
  auto here = this->Client(true);
  BasicThread<L> self = this->ThreadOf(*here);
  CallResult killed;
  std::jthread calling([&] {
    killed = here->Call(self, 0, "here");
    given_back.count_down();
  });
  inside.wait();
  auto there = this->Client(false);
  CallResult answer;
  std::jthread queued([&] {
    BasicThread<L> other = this->ThreadOf(*there);
    answer = there->Call(other, 0, "there");
  });
  core::Proc<L>& service = manager->proc().state();
  for (bool is_queued = false; !is_queued; std::this_thread::yield()) {
    sync::MutexLock lock(service.queues_mu);
    is_queued = !service.todo.empty();
  }
  self.Kill();
  wakes = true;
  {
    sync::MutexLock lock(service.tasks_mu);
    service.tasks.Find(core::KeyOf(looper))->parker.Wake();
  }
  calling.join();
  queued.join();
  EXPECT_EQ(killed.error, Errc::kKilled);
  EXPECT_EQ(answer, (CallResult{Br::BR_REPLY, "there"}));
  this->Check({{manager.get(), looper}});
  EXPECT_TRUE(this->Look(*manager, looper).stack.empty());
  manager->StopAndWait();
  here->StopAndWait();
  there->StopAndWait();
}

// A handler that is taken away, or whose service is gone, after the looper has
// been lent and before it runs.
TYPED_TEST(LoanTest, TheHandlerGoesBeforeItRuns) {
  for (const bool gone : {false, true}) {
    auto manager = this->Manager(true, this->Echo());
    const std::int32_t looper = manager->StartLooper(this->gates());
    auto client = this->Client(true);
    const int before = this->gates().Visits(Point::kEntering, looper);
    this->gates().Close(Point::kEntering, looper);
    CallResult result;
    std::jthread calls([&] {
      BasicThread<TypeParam> self = this->ThreadOf(*client);
      result = client->Call(self, 0, "x");
    });
    this->gates().WaitFor(Point::kEntering, looper, before + 1);
    if (gone) {
      manager->StopAndWait();
      manager.reset();
    } else {
      manager->proc().SetCallHandler(nullptr);
    }
    this->gates().Open(Point::kEntering, looper);
    calls.join();
    EXPECT_EQ(result, gone ? CallResult{.br = Br::BR_DEAD_REPLY}
                           : (CallResult{Br::BR_REPLY, "x!"}));
    client->StopAndWait();
    if (manager != nullptr) manager->StopAndWait();
  }
}

// Takes itself away while it runs.
template <class L>
class Leaving : public CallHandler<L> {
 public:
  Leaving(BasicProc<L>& proc, bool& gone) : proc_(proc), gone_(gone) {}
  ~Leaving() override { gone_ = true; }
  void OnCall(BasicThread<L>& self, const Incoming& call,
              const ServedHere& /*here*/) override {
    proc_.SetCallHandler(nullptr);
    EXPECT_FALSE(gone_) << "it still runs";
    Component<L>::Reply(self, call, "last");
  }

 private:
  BasicProc<L>& proc_;
  bool& gone_;
};

TYPED_TEST(LoanTest, AHandlerThatIsTakenAwayGoesWhenItReturns) {
  auto manager = this->Manager(true, this->Echo());
  manager->StartLooper(this->gates());
  bool gone = false;
  manager->proc().SetCallHandler(
      std::make_shared<Leaving<TypeParam>>(manager->proc(), gone));
  auto client = this->Client(true);
  BasicThread<TypeParam> self = this->ThreadOf(*client);
  EXPECT_EQ(client->Call(self, 0, "x"), (CallResult{Br::BR_REPLY, "last"}));
  EXPECT_TRUE(gone);
  EXPECT_EQ(client->Call(self, 0, "x"), (CallResult{Br::BR_REPLY, "x!"}));
  // One that does not run goes at once.
  gone = false;
  manager->proc().SetCallHandler(
      std::make_shared<Leaving<TypeParam>>(manager->proc(), gone));
  manager->proc().SetCallHandler(nullptr);
  EXPECT_TRUE(gone);
}

// Closing ends a wait in a call that has come back, too.
TYPED_TEST(LoanTest, ClosingEndsTheWaitOfACallThatCameBack) {
  CallResult seen;
  auto manager = this->Manager(true, this->CallingBack(seen));
  manager->StartLooper(this->gates());
  std::vector<Errc> errors;
  std::atomic<std::int32_t> waits{0};
  std::optional<BasicThread<TypeParam>> self;
  auto client = this->Client(
      true, [&](auto&, BasicThread<TypeParam>& guest, const Incoming& call) {
        // Nobody is left to take this one.
        EXPECT_EQ(guest.Transact(Payload("never").Data()), Errc::kOk);
        waits.store(this->gates().Visits(Point::kParking, guest.tid()) + 1);
        Incoming work;
        do {
          errors.push_back(guest.NextWork(work));
        } while (errors.back() == Errc::kOk);
        Component<TypeParam>::Reply(guest, call, "late");
      });
  self.emplace(this->ThreadOf(*client));
  CallResult result;
  std::jthread calls(
      [&] { result = client->Call(*self, 0, this->ToCallBack()); });
  while (waits.load() == 0) std::this_thread::yield();
  this->gates().WaitFor(Point::kParking, self->tid(), waits.load());
  client->proc().Close();
  calls.join();
  EXPECT_EQ(errors.back(), Errc::kClosed);
  EXPECT_EQ(result.error, Errc::kClosed);
}

// Also where one wait of a lent thread has come to serve another call with it,
// by way of a thread that waits between the two, and that call waits, too.
TYPED_TEST(LoanTest, ClosingEndsAllWaitsOfAThread) {
  constexpr std::uint32_t kLast = 7;
  std::vector<Errc> errors;
  auto manager = this->Manager(
      true, Remembering<TypeParam>([&](auto&, auto& self, auto& call) {
        Payload payload("xxxxxxxx");
        TransactionData data = {};
        if (call.transaction.code == kLast) {
          data = payload.Data();
          data.target.handle = 2;  // Is never answered.
        } else {
          payload.Handle(HandleIn(call));
          data = payload.Data();
          data.target.handle = 1;  // The third.
        }
        // So that no completion is to be read, either.
        Incoming work;
        Errc error = self.Exchange({.call = &data}, work);
        while (error == Errc::kOk) error = self.NextWork(work);
        errors.push_back(error);
        Component<TypeParam>::Reply(self, call, "late");
      }));
  const std::int32_t looper = manager->StartLooper(this->gates());
  std::latch answers(1);
  auto third = this->Client(false, [&](auto& me, auto& self, auto& call) {
    const std::uint32_t handle = HandleIn(call);
    (void)self.Acquire(handle);
    (void)me.Call(self, handle, "t");
    answers.wait();
    Component<TypeParam>::Reply(self, call, "t");
  });
  auto never = this->Client(false);
  for (auto* const component : {third.get(), never.get()}) {
    BasicThread<TypeParam> self = this->ThreadOf(*component);
    Introduce(*component, self);
    this->AwaitWaiting(*manager, looper);
  }
  third->StartLooper(this->gates());
  auto client = this->Client(true, [](auto& me, auto& self, auto& call) {
    (void)me.Call(self, 0, "c", kLast);
    Component<TypeParam>::Reply(self, call, "c");
  });
  BasicThread<TypeParam> self = this->ThreadOf(*client);
  CallResult result;
  std::jthread calls(
      [&] { result = client->Call(self, 0, this->ToCallBack()); });
  for (bool is_queued = false; !is_queued; std::this_thread::yield()) {
    for (const debug::ProcSnapshot& proc : this->Snapshot().procs) {
      if (proc.pid == never->proc().pid()) is_queued = !proc.todo.empty();
    }
  }
  // Its owner sleeps, and so does who runs it now.
  while (this->gates().Visits(Point::kParking, looper) !=
         this->gates().Visits(Point::kWoken, looper) + 2) {
    std::this_thread::yield();
  }
  manager->proc().Close();
  // The wait between the two ends when what it waits for cannot come any more.
  never->StopAndWait();
  while (!manager->proc().released()) std::this_thread::yield();
  EXPECT_EQ(errors, (std::vector<Errc>{Errc::kClosed, Errc::kClosed}));
  answers.count_down();
  calls.join();
  EXPECT_EQ(result.br, Br::BR_DEAD_REPLY);
}

TYPED_TEST(LoanTest, AFrozenServiceTakesNoCalls) {
  auto manager = this->Manager(true, this->Echo());
  manager->StartLooper(this->gates());
  auto client = this->Client(true);
  BasicThread<TypeParam> self = this->ThreadOf(*client);
  FreezeInfo info{.pid = static_cast<std::uint32_t>(manager->proc().pid()),
                  .enable = 1,
                  .timeout_ms = 0};
  ASSERT_EQ(self.Freeze(info), Errc::kOk);
  EXPECT_EQ(client->Call(self, 0, "x").br, Br::BR_FROZEN_REPLY);
  EXPECT_EQ(manager->served_here(), 0);
  info.enable = 0;
  ASSERT_EQ(self.Freeze(info), Errc::kOk);
  EXPECT_EQ(client->Call(self, 0, "x"), (CallResult{Br::BR_REPLY, "x!"}));
  EXPECT_EQ(manager->served_here(), 1);
}

// What is served here is outstanding like any other.
TYPED_TEST(LoanTest, AServiceIsNotFrozenWhileItServes) {
  std::uint32_t pid = 0;
  Errc error = Errc::kOk;
  auto manager = this->Manager(
      true, [&](auto&, BasicThread<TypeParam>& self, const Incoming& call) {
        error = self.Freeze({.pid = pid, .enable = 1, .timeout_ms = 0});
        Component<TypeParam>::Reply(self, call, "done");
      });
  pid = static_cast<std::uint32_t>(manager->proc().pid());
  manager->StartLooper(this->gates());
  auto client = this->Client(true);
  BasicThread<TypeParam> self = this->ThreadOf(*client);
  EXPECT_EQ(client->Call(self, 0, "x"), (CallResult{Br::BR_REPLY, "done"}));
  EXPECT_EQ(error, Errc::kWouldBlock);
}

// --- Statistics, loopers, priorities ----------------------------------------

TYPED_TEST(LoanTest, IsCountedInTheSameWay) {
  std::vector<std::string> counted(2);
  for (const bool here : {false, true}) {
    auto manager = this->Manager(here, this->Echo());
    manager->StartLooper(this->gates());
    auto client = this->Client(here);
    BasicThread<TypeParam> self = this->ThreadOf(*client);
    for (int i = 0; i < 3; ++i) (void)client->Call(self, 0, "x");
    EXPECT_EQ(manager->served_here(), here ? 3 : 0);
    client->StopAndWait();
    const std::int32_t pid = manager->proc().pid();
    // Not before the looper has read its last completion.
    for (bool rest = false; !rest;) {
      for (const debug::ProcSnapshot& proc : this->Snapshot().procs) {
        if (proc.pid != pid) continue;
        rest = std::all_of(proc.threads.begin(), proc.threads.end(),
                           [](const auto& t) { return t.todo.empty(); }) &&
               std::any_of(proc.threads.begin(), proc.threads.end(),
                           [](const auto& t) { return t.waiting; });
        debug::Snapshot only;
        only.procs.resize(1);
        only.procs[0].commands = proc.commands;
        counted[here ? 1 : 0] = debug::ToJson(only);
      }
    }
    manager->StopAndWait();
  }
  EXPECT_EQ(counted[0], counted[1]);
}

TYPED_TEST(LoanTest, AsksForOneMoreLooper) {
  auto manager = this->Manager(true, this->Echo());
  {
    BasicThread<TypeParam> setup = manager->proc().Attach();
    ASSERT_EQ(setup.SetMaxThreads(1), Errc::kOk);
  }
  std::vector<bool> asked;
  manager->on_served_here = [&](const ServedHere& here) {
    asked.push_back(here.spawn_looper);
  };
  manager->StartLooper(this->gates());
  auto client = this->Client(true);
  BasicThread<TypeParam> self = this->ThreadOf(*client);
  for (int i = 0; i < 2; ++i) (void)client->Call(self, 0, "x");
  // Once: the looper that it has asked for has not come yet.
  EXPECT_EQ(asked, (std::vector<bool>{true, false}));
}

// Not in a read of the handler's own: it may not read on, and then nobody would
// ever be asked again.
TYPED_TEST(LoanTest, AsksWhoStartsToServe) {
  CallResult seen;
  const auto call_back = this->CallingBack(seen);
  auto manager = this->Manager(
      true, [&](auto& me, BasicThread<TypeParam>& self, const Incoming& call) {
        EXPECT_EQ(self.SetMaxThreads(1), Errc::kOk);
        call_back(me, self, call);
      });
  std::vector<bool> asked;
  manager->on_served_here = [&](const ServedHere& here) {
    asked.push_back(here.spawn_looper);
  };
  const std::int32_t looper = manager->StartLooper(this->gates());
  auto client = this->Client(true, this->Echo());
  BasicThread<TypeParam> self = this->ThreadOf(*client);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(client->Call(self, 0, this->ToCallBack()),
              (CallResult{Br::BR_REPLY, "done"}));
    EXPECT_EQ(seen, (CallResult{Br::BR_REPLY, "back!"}));
    this->AwaitWaiting(*manager, looper);
  }
  EXPECT_EQ(asked, (std::vector<bool>{false, true, false}));
}

class LastPriority : public Priorities {
 public:
  int Get(std::int32_t pid, std::int32_t /*tid*/) override {
    return pid == caller ? -7 : 0;
  }
  void Set(std::int32_t pid, std::int32_t tid, int nice) override {
    if (pid == watched) sets.push_back({tid, nice});
  }
  std::int32_t caller = 0;  // Pids.
  std::int32_t watched = 0;
  std::vector<std::pair<std::int32_t, int>> sets;
};

struct LoanPrioritySeam {
  LastPriority priorities;
};
template <class L>
class LoanPriorityTest : protected LoanPrioritySeam, public LoanTest<L> {
 protected:
  LoanPriorityTest() : LoanTest<L>({.priorities = &priorities}) {}
};
BINDERLITE_FOR_ALL_DISCIPLINES(LoanPriorityTest);

// The looper that serves has the caller's priority, and its own afterwards.
TYPED_TEST(LoanPriorityTest, InheritsTheCallersPriority) {
  auto manager = this->Manager(true, this->Echo());
  const std::int32_t looper = manager->StartLooper(this->gates());
  auto client = this->Client(true);
  BasicThread<TypeParam> self = this->ThreadOf(*client);
  this->priorities.caller = client->proc().pid();
  this->priorities.watched = manager->proc().pid();
  EXPECT_EQ(client->Call(self, 0, "x"), (CallResult{Br::BR_REPLY, "x!"}));
  this->priorities.watched = 0;
  EXPECT_EQ(this->priorities.sets, (std::vector<std::pair<std::int32_t, int>>{
                                       {looper, -7}, {looper, 0}}));
}

// --- Everybody at once ------------------------------------------------------

TYPED_TEST(LoanTest, ManyCallersManyLoopers) {
  auto manager = this->Manager(
      true, [](auto&, BasicThread<TypeParam>& self, const Incoming& call) {
        Component<TypeParam>::Reply(self, call, TextOf(call) + "!");
      });
  for (int i = 0; i < 3; ++i) manager->StartLooper(this->gates());
  constexpr int kCallers = 4;
  constexpr int kCalls = 300;
  std::vector<std::jthread> callers;
  std::atomic<bool> done{false};
  std::jthread nuisance([&] {
    // Interrupts, which the loopers ignore.
    while (!done.load()) {
      for (std::int32_t tid = manager->proc().pid();
           tid < manager->proc().pid() + 4; ++tid) {
        manager->proc().Attach(tid).Interrupt();
      }
      std::this_thread::yield();
    }
  });
  for (int i = 0; i < kCallers; ++i) {
    callers.emplace_back([&] {
      auto client = this->Client(true);
      BasicThread<TypeParam> self = this->ThreadOf(*client);
      for (int n = 0; n < kCalls; ++n) {
        const std::string text = std::to_string(n);
        EXPECT_EQ(client->Call(self, 0, text),
                  (CallResult{Br::BR_REPLY, text + "!"}));
      }
    });
  }
  callers.clear();
  done.store(true);
}

}  // namespace
}  // namespace binderlite::testing
