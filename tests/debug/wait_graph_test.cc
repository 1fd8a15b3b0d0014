// SPDX-License-Identifier: Apache-2.0
//
// TakeWaitGraph: whatever threads can wait for is found in a live driver, who
// waits for whom is named, also while somebody stalls in the driver.

#include "binderlite/debug/wait_graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/call_test.h"
#include "support/gates.h"
#include "support/json_reader.h"
#include "support/streams.h"

namespace binderlite::testing {
namespace {

using debug::CallPlace;
using debug::CallWaits;
using debug::Finding;
using debug::FindingKind;
using debug::kNone;
using debug::MayWait;
using debug::TakeWaitGraph;
using debug::ThreadWaits;
using debug::WaitGraph;
using debug::WaitKind;
using debug::WaitState;

template <class L>
class WaitGraphTest : public CallTest<L> {
 protected:
  [[nodiscard]] WaitGraph Take() {
    WaitGraph graph = TakeWaitGraph(this->context());
    EXPECT_TRUE(IsJson(debug::ToJson(graph))) << debug::ToJson(graph);
    EXPECT_FALSE(graph.incomplete);
    return graph;
  }

  // A looper of a service, and whom else it takes for a call.
  typename DriverTest<L>::Pair Connect() {
    auto pair = this->Connected();
    pair.service.Write(Commands().EnterLooper());
    return pair;
  }

  // The thread of `actor`, one of `peer`'s.
  static std::size_t IndexOf(const WaitGraph& graph, Peer<L>& peer,
                             Actor<L>& actor) {
    for (std::size_t i = 0; i < graph.threads.size(); ++i) {
      const ThreadWaits& t = graph.threads[i];
      if (graph.procs[t.proc].pid == peer.pid() && t.tid == actor.tid()) {
        return i;
      }
    }
    ADD_FAILURE() << "no thread " << peer.pid() << ":" << actor.tid();
    return 0;
  }
  static const ThreadWaits& ThreadIn(const WaitGraph& graph, Peer<L>& peer,
                                     Actor<L>& actor) {
    return graph.threads[IndexOf(graph, peer, actor)];
  }
  static std::vector<FindingKind> Kinds(const WaitGraph& graph) {
    std::vector<FindingKind> kinds;
    for (const Finding& f : graph.findings) kinds.push_back(f.kind);
    return kinds;
  }
  static std::vector<std::string> TextsOf(const WaitGraph& graph) {
    std::vector<std::string> lines;
    std::string text = debug::ToText(graph);
    for (std::size_t end = 0; (end = text.find('\n')) != std::string::npos;) {
      lines.push_back(text.substr(0, end));
      text.erase(0, end + 1);
    }
    return lines;
  }
  static std::string FirstLine(const WaitGraph& graph) {
    return TextsOf(graph).front();
  }
  // How the thread of `peer` is called, whose Proc is `name`.
  static std::string NameOf(const std::string& name, Peer<L>& peer) {
    return name + " " + std::to_string(peer.pid()) + ":" +
           std::to_string(peer.tid());
  }
};
BINDERLITE_FOR_ALL_DISCIPLINES(WaitGraphTest);

using Kinds = std::vector<FindingKind>;

TYPED_TEST(WaitGraphTest, NothingWaitsInAnIdlePair) {
  auto [manager, service, client, handle] = this->Connect();
  auto waiting = this->Block(service, service);
  const WaitGraph graph = this->Take();
  EXPECT_EQ(graph.discipline, TypeParam::kName);
  ASSERT_EQ(graph.procs.size(), 3u);
  EXPECT_EQ(graph.procs[1].name, "service");
  EXPECT_FALSE(graph.wrong());
  EXPECT_TRUE(graph.findings.empty());
  EXPECT_TRUE(graph.waits.empty());
  const ThreadWaits& looper = this->ThreadIn(graph, service, service);
  EXPECT_EQ(looper.state, WaitState::kIdle);
  EXPECT_TRUE(looper.looper);
  EXPECT_TRUE(looper.in_call);
  const ThreadWaits& caller = this->ThreadIn(graph, client, client);
  EXPECT_EQ(caller.state, WaitState::kOutside);
  EXPECT_FALSE(caller.in_call);
  EXPECT_EQ(this->FirstLine(graph),
            "nothing hangs for ever: 0 threads in a call");
  EXPECT_FALSE(MayWait(this->context().state()));
  service.proc().Flush();
  (void)waiting->Join();
}

TYPED_TEST(WaitGraphTest, ACallIsHeldUpByItsHandler) {
  auto [manager, service, client, handle] = this->Connect();
  client.Write(Commands().Transact(handle, {}, 7));
  const Received call = this->Receive(service);
  EXPECT_TRUE(MayWait(this->context().state()));
  const WaitGraph graph = this->Take();
  EXPECT_FALSE(graph.wrong());
  const ThreadWaits& caller = this->ThreadIn(graph, client, client);
  EXPECT_EQ(caller.state, WaitState::kWaitsForReply);
  const ThreadWaits& server = this->ThreadIn(graph, service, service);
  EXPECT_EQ(server.state, WaitState::kRunsHandler);
  EXPECT_EQ(server.serves, caller.call);
  ASSERT_EQ(graph.calls.size(), 1u);
  const CallWaits& c = graph.calls[0];
  EXPECT_EQ(c.id, caller.call);
  EXPECT_EQ(c.code, 7u);
  EXPECT_EQ(c.place, CallPlace::kServed);
  EXPECT_EQ(c.to_pid, service.pid());
  EXPECT_EQ(c.to_tid, service.tid());
  EXPECT_NE(c.node, 0u);
  ASSERT_EQ(graph.waits.size(), 1u);
  EXPECT_EQ(graph.waits[0].from, this->IndexOf(graph, client, client));
  EXPECT_EQ(graph.waits[0].to, this->IndexOf(graph, service, service));
  EXPECT_EQ(graph.waits[0].kind, WaitKind::kServedBy);
  this->Answer(service, call);
  this->ExpectReply(client, 0);
}

TYPED_TEST(WaitGraphTest, ACallIsQueuedWhileTheOnlyLooperIsBusy) {
  auto [manager, service, client, handle] = this->Connect();
  client.Write(Commands().Transact(handle, {}, 1));
  const Received call = this->Receive(service);
  Actor<TypeParam> other = client.Spawn();
  other.Write(Commands().Transact(handle, {}, 2));
  const WaitGraph graph = this->Take();
  EXPECT_EQ(this->Kinds(graph), Kinds{FindingKind::kAllBusy});
  EXPECT_FALSE(graph.wrong());
  const ThreadWaits& caller = this->ThreadIn(graph, client, other);
  const CallWaits* const queued = graph.FindCall(caller.call);
  ASSERT_NE(queued, nullptr);
  EXPECT_EQ(queued->place, CallPlace::kQueued);
  EXPECT_EQ(queued->code, 2u);
  EXPECT_EQ(graph.procs[queued->to].queued, 1u);
  const std::size_t from = this->IndexOf(graph, client, other);
  const std::size_t to = this->IndexOf(graph, service, service);
  EXPECT_EQ(std::count_if(graph.waits.begin(), graph.waits.end(),
                          [&](const debug::Wait& w) {
                            return w.from == from && w.to == to &&
                                   w.kind == WaitKind::kQueuedFor;
                          }),
            1);
  EXPECT_EQ(this->TextsOf(graph)[1],
            "busy: 1 call queued at service: 1 looper, none free");
  this->Answer(service, call);
}

TYPED_TEST(WaitGraphTest, NobodyServesAProcWithoutLoopers) {
  Peer<TypeParam>& manager = this->OpenManager({.pid = 100, .name = "m"});
  Peer<TypeParam>& client = this->Open({.pid = 300, .name = "client"});
  client.Write(Commands().Transact(0, {}, 5));
  const WaitGraph graph = this->Take();
  ASSERT_EQ(this->Kinds(graph), Kinds{FindingKind::kNobodyServes});
  EXPECT_TRUE(graph.wrong());
  EXPECT_EQ(graph.findings[0].call, this->ThreadIn(graph, client, client).call);
  EXPECT_EQ(graph.procs[graph.findings[0].proc].pid, manager.pid());
  EXPECT_EQ(this->FirstLine(graph), "NOBODY SERVES call " +
                                        std::to_string(graph.findings[0].call) +
                                        " (code 5) to m, from 300:300");
}

// A calls B, which calls A back: that is served by the thread that waits.
TYPED_TEST(WaitGraphTest, ACallBackIsNoDeadlock) {
  auto [a, b, c, to_a, to_b, to_c] = this->MakeRingOfLoopers();
  a.Write(Commands().Transact(to_b));
  (void)this->Receive(b);
  b.Write(Commands().Transact(to_c));
  (void)this->Receive(c);
  c.Write(Commands().Transact(to_a));
  const WaitGraph graph = this->Take();
  EXPECT_FALSE(graph.wrong()) << debug::ToText(graph);
  const CallWaits* const back =
      graph.FindCall(this->ThreadIn(graph, c, c).call);
  ASSERT_NE(back, nullptr);
  EXPECT_EQ(back->place, CallPlace::kHandedOver);
  EXPECT_EQ(back->to_tid, a.tid());
  EXPECT_EQ(this->ThreadIn(graph, b, b).serves,
            this->ThreadIn(graph, a, a).call);
}

TYPED_TEST(WaitGraphTest, ACircleOfCallsIsADeadlock) {
  auto [a, b, c, to_a, to_b, to_c] = this->MakeRingOfLoopers();
  a.Write(Commands().Transact(to_b));
  b.Write(Commands().Transact(to_c));
  EXPECT_FALSE(this->Take().wrong());  // The looper of c is free.
  c.Write(Commands().Transact(to_a));
  const WaitGraph graph = this->Take();
  ASSERT_EQ(this->Kinds(graph),
            (Kinds{FindingKind::kDeadlock, FindingKind::kAllBusy,
                   FindingKind::kAllBusy, FindingKind::kAllBusy}));
  EXPECT_EQ(graph.findings[0].threads,
            (std::vector{this->IndexOf(graph, a, a), this->IndexOf(graph, b, b),
                         this->IndexOf(graph, c, c)}));
  for (Peer<TypeParam>* peer : {&a, &b, &c}) {
    EXPECT_TRUE(this->ThreadIn(graph, *peer, *peer).stuck);
  }
  EXPECT_EQ(this->FirstLine(graph),
            "DEADLOCK of 3 threads: " + this->NameOf("a", a) + " -> " +
                this->NameOf("b", b) + " -> " + this->NameOf("c", c) + " -> " +
                this->NameOf("a", a));
}

// One more looper, and somebody can take the call.
TYPED_TEST(WaitGraphTest, ASecondLooperPreventsTheDeadlock) {
  auto [a, b, c, to_a, to_b, to_c] = this->MakeRingOfLoopers();
  Actor<TypeParam> second = b.Spawn();
  second.Write(Commands().EnterLooper());
  a.Write(Commands().Transact(to_b));
  b.Write(Commands().Transact(to_c));
  c.Write(Commands().Transact(to_a));
  EXPECT_FALSE(this->Take().wrong());
}

// Who waits for somebody in a deadlock is stuck, but not in the circle.
TYPED_TEST(WaitGraphTest, WhoWaitsBehindADeadlockIsToldSo) {
  auto [a, b, c, to_a, to_b, to_c] = this->MakeRingOfLoopers();
  Actor<TypeParam> other = c.Fresh();
  a.Write(Commands().Transact(to_b));
  b.Write(Commands().Transact(to_c));
  c.Write(Commands().Transact(to_a));
  other.Write(Commands().Transact(to_a));
  const WaitGraph graph = this->Take();
  EXPECT_EQ(graph.findings[0].kind, FindingKind::kDeadlock);
  EXPECT_EQ(graph.findings[0].threads.size(), 3u);
  EXPECT_TRUE(this->ThreadIn(graph, c, other).stuck);
  const std::vector<std::string> lines = this->TextsOf(graph);
  EXPECT_NE(std::find(lines.begin(), lines.end(), "stuck behind that:"),
            lines.end());
}

// The driver cannot know that a handler waits for another thread of its
// process.
TYPED_TEST(WaitGraphTest, HandlersThatWaitForOtherThreadsMayBeADeadlock) {
  auto [manager, service, client, handle] = this->Connect();
  Peer<TypeParam>& other = this->Open({.name = "other"});
  other.Write(Commands().EnterLooper());
  const std::uint32_t back = this->Give(manager, other, service, 0x40, 1);
  const std::uint32_t forth = this->Give(manager, service, other, 0x20, 1);
  const std::uint32_t to_other = this->Give(manager, other, client, 0x40, 1);
  client.Write(Commands().Transact(handle));
  (void)this->Receive(service);
  Actor<TypeParam> second = client.Spawn();
  second.Write(Commands().Transact(to_other));
  (void)this->Receive(other);
  // Each handler has another thread of its process call the other service.
  Actor<TypeParam> helper = service.Spawn();
  Actor<TypeParam> other_helper = other.Spawn();
  helper.Write(Commands().Transact(back));
  EXPECT_FALSE(this->Take().wrong());
  other_helper.Write(Commands().Transact(forth));
  const WaitGraph graph = this->Take();
  ASSERT_FALSE(graph.findings.empty());
  EXPECT_EQ(graph.findings[0].kind, FindingKind::kPossibleDeadlock);
  EXPECT_EQ(graph.findings[0].threads.size(), 4u);
  EXPECT_TRUE(this->ThreadIn(graph, service, helper).perhaps_stuck);
  EXPECT_FALSE(this->ThreadIn(graph, service, helper).stuck);
  EXPECT_TRUE(graph.wrong());
  EXPECT_EQ(this->FirstLine(graph).substr(0, 34),
            "POSSIBLE DEADLOCK of 4 threads: se");
  EXPECT_EQ(this->TextsOf(graph)[1],
            "  if the handlers wait for the other threads of their process");
}

TYPED_TEST(WaitGraphTest, OneWaysWaitForTheFirst) {
  auto [manager, service, client, handle] = this->Connect();
  for (int i = 0; i < 3; ++i) client.Write(Commands().OneWay(handle));
  const Received first = this->Receive(service);
  const WaitGraph graph = this->Take();
  ASSERT_EQ(this->Kinds(graph), Kinds{FindingKind::kOneWaysBehind});
  EXPECT_FALSE(graph.wrong());
  ASSERT_EQ(graph.nodes.size(), 1u);
  EXPECT_EQ(graph.nodes[0].behind, 2u);
  EXPECT_NE(graph.nodes[0].in_hand, 0u);
  EXPECT_EQ(this->TextsOf(graph)[1],
            "one-ways: 2 wait at service for " +
                std::to_string(graph.nodes[0].in_hand) + " to be done with");
  service.Write(Commands().Free(first.tr.buffer));
}

TYPED_TEST(WaitGraphTest, MemoryForOneWaysRunsOut) {
  auto [manager, service, client, handle] = this->Connect();
  const Payload large(std::string(std::size_t{500} << 10, 'x'));
  client.Write(Commands().OneWay(handle, large));
  const WaitGraph graph = this->Take();
  ASSERT_EQ(this->Kinds(graph), Kinds{FindingKind::kLowMemory});
  EXPECT_EQ(graph.procs[graph.findings[0].proc].pid, service.pid());
  EXPECT_NE(this->TextsOf(graph)[1].find("low memory: service"),
            std::string::npos);
}

TYPED_TEST(WaitGraphTest, FrozenProcsAreNamed) {
  auto [manager, service, client, handle] = this->Connect();
  ASSERT_EQ(manager.thread().Freeze(
                {static_cast<std::uint32_t>(service.pid()), 1, 0}),
            Errc::kOk);
  client.Write(Commands().OneWay(handle));
  const WaitGraph graph = this->Take();
  ASSERT_EQ(this->Kinds(graph), Kinds{FindingKind::kFrozen});
  EXPECT_FALSE(graph.wrong());
  EXPECT_EQ(this->TextsOf(graph)[1], "frozen: service, 1 call queued at it");
  EXPECT_EQ(manager.thread().Freeze(
                {static_cast<std::uint32_t>(service.pid()), 0, 0}),
            Errc::kOk);
}

TYPED_TEST(WaitGraphTest, WhoFreezesWaitsForTheHandlers) {
  auto [manager, service, client, handle] = this->Connect();
  client.Write(Commands().Transact(handle));
  const Received call = this->Receive(service);
  {
    const std::jthread freezing([&, &manager = manager, &service = service] {
      constexpr std::uint32_t kLong = 1'000'000;  // Milliseconds.
      EXPECT_EQ(manager.thread().Freeze(
                    {static_cast<std::uint32_t>(service.pid()), 1, kLong}),
                Errc::kOk);
    });
    this->gates().WaitFor(Point::kParking, manager.tid());
    const WaitGraph graph = this->Take();
    ASSERT_EQ(this->Kinds(graph), Kinds{FindingKind::kFreezing});
    const std::size_t freezer = this->IndexOf(graph, manager, manager);
    EXPECT_EQ(graph.findings[0].threads, std::vector{freezer});
    EXPECT_EQ(graph.threads[freezer].state, WaitState::kInDriver);
    const auto wait = std::find_if(
        graph.waits.begin(), graph.waits.end(),
        [&](const debug::Wait& w) { return w.kind == WaitKind::kFreeze; });
    ASSERT_NE(wait, graph.waits.end());
    EXPECT_EQ(wait->from, freezer);
    EXPECT_EQ(wait->to, this->IndexOf(graph, service, service));
    (void)RunWriteRead(service.thread(),
                       Commands().Free(call.tr.buffer).Reply(), kReadSize);
  }
}

// Somebody stalls in the middle of a call, with the binder lock if there is
// one.
TYPED_TEST(WaitGraphTest, CanBeTakenWhileALockHolderStalls) {
  auto [manager, service, client, handle] = this->Connect();
  auto waiting = this->Block(service, service);
  Actor<TypeParam> second = client.Spawn();
  {
    Stalled<TypeParam> stalled(this->gates(), client,
                               Commands().Transact(handle));
    const std::jthread enters = this->Enter(second);
    const WaitGraph graph = this->Take();
    EXPECT_EQ(graph.lock_held, TypeParam::kHasBinderLock);
    EXPECT_EQ(graph.wrong(), TypeParam::kHasBinderLock);
    const ThreadWaits& holder = this->ThreadIn(graph, client, client);
    const ThreadWaits& other = this->ThreadIn(graph, client, second);
    // Who sleeps can be seen in any case.
    EXPECT_EQ(this->ThreadIn(graph, service, service).state, WaitState::kIdle);
    if (TypeParam::kHasBinderLock) {
      EXPECT_EQ(holder.state, WaitState::kHoldsLock);
      EXPECT_EQ(other.state, WaitState::kWaitsForLock);
      EXPECT_EQ(graph.lock_holder, this->IndexOf(graph, client, client));
      EXPECT_EQ(graph.lock_waiters, 1);
      ASSERT_EQ(this->Kinds(graph), Kinds{FindingKind::kLockHeld});
      ASSERT_EQ(graph.waits.size(), 1u);
      EXPECT_EQ(graph.waits[0].kind, WaitKind::kLock);
      EXPECT_FALSE(graph.procs[0].seen);
      EXPECT_EQ(this->FirstLine(graph), "BINDER LOCK HELD by " +
                                            this->NameOf("client", client) +
                                            "; 1 wait for it");
      EXPECT_NE(debug::ToText(graph).find("could not be looked at"),
                std::string::npos);
    } else {
      EXPECT_EQ(holder.state, WaitState::kInDriver);
      EXPECT_EQ(other.state, WaitState::kOutside);
      EXPECT_TRUE(graph.procs[0].seen);
    }
    (void)stalled.GoOn();
  }
  const Result result = waiting->Join();
  this->Answer(service, result.Get(kTransaction));
  this->ExpectReply(client, 0);
}

// And while a Proc is being torn down with it.
TYPED_TEST(WaitGraphTest, CanBeTakenWhileAReleaseStalls) {
  auto [manager, service, client, handle] = this->Connect();
  const std::int32_t tid = 0;  // Of no thread.
  this->gates().Close(Point::kReleasing, tid);
  {
    std::jthread closes([&service = service] { service.proc().Close(); });
    this->gates().WaitFor(Point::kReleasing, tid);
    const WaitGraph graph = this->Take();
    EXPECT_EQ(graph.lock_held, TypeParam::kHasBinderLock);
    if (TypeParam::kHasBinderLock) {
      EXPECT_EQ(graph.lock_holder, kNone);
      EXPECT_NE(this->FirstLine(graph).find("torn down"), std::string::npos);
    }
    this->gates().Open(Point::kReleasing, tid);
  }
}

// More than there is room for at first.
TYPED_TEST(WaitGraphTest, ManyOfEverythingAreCounted) {
  auto [manager, service, client, handle] = this->Connect();
  std::vector<Actor<TypeParam>> callers;
  for (int i = 0; i < 60; ++i) callers.push_back(client.Spawn());
  for (Actor<TypeParam>& caller : callers) {
    caller.Write(Commands().Transact(handle));
  }
  const WaitGraph graph = this->Take();
  EXPECT_EQ(graph.calls.size(), callers.size());
  EXPECT_EQ(graph.waits.size(), callers.size());
  EXPECT_EQ(graph.procs[1].queued, callers.size());
}

}  // namespace
}  // namespace binderlite::testing
