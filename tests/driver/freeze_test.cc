// SPDX-License-Identifier: Apache-2.0
//
// Freezing: when BINDER_FREEZE succeeds and what ends its wait, what senders to
// a frozen Proc read, and the notifications that tell others. (Its deadline and
// its races are in stepped_driver_test.cc.)

#include "binderlite/driver/freeze.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "support/call_test.h"

namespace binderlite::testing {
namespace {

constexpr Br kFrozenReply = Br::BR_FROZEN_REPLY;
constexpr Br kPending = Br::BR_TRANSACTION_PENDING_FROZEN;
constexpr std::uint64_t kWatch = 0xf0;
constexpr std::uint64_t kSecondCookie = 0xf1;
constexpr std::uint32_t kUpdate = kTfOneWay | kTfUpdateTxn;
// Longer than any test: something else has to end the wait.
constexpr std::uint32_t kPatient = 1'000'000'000;

// {sync_recv, async_recv}.
using Info = std::pair<std::uint32_t, std::uint32_t>;
// What BR_FROZEN_BINDER says: {cookie, is_frozen}.
using News = std::pair<std::uint64_t, std::uint32_t>;
using NewsList = std::vector<News>;

Commands Watch(std::uint32_t handle, std::uint64_t cookie = kWatch) {
  return Commands().Put(Bc::BC_REQUEST_FREEZE_NOTIFICATION,
                        HandleCookie{handle, cookie});
}
Commands Unwatch(std::uint32_t handle, std::uint64_t cookie = kWatch) {
  return Commands().Put(Bc::BC_CLEAR_FREEZE_NOTIFICATION,
                        HandleCookie{handle, cookie});
}
Commands Done(std::uint64_t cookie = kWatch) {
  return Commands().Put(Bc::BC_FREEZE_NOTIFICATION_DONE, cookie);
}

// BINDER_FREEZE that waits, in a thread of its own. When it is woken it goes no
// further than that before Join, so that nothing moves while others look.
template <class L>
class BlockedFreeze {
 public:
  // Returns once it is about to sleep.
  BlockedFreeze(GateHooks& gates, Actor<L>& freezer, std::int32_t pid,
                std::stop_token stop = {})
      : gates_(gates),
        tid_(freezer.tid()),
        runner_([this, &freezer, pid, stop] {
          gates_.Close(Point::kWoken, tid_);
          error_ = freezer.thread().Freeze(
              {static_cast<std::uint32_t>(pid), 1, kPatient}, stop);
        }) {
    gates.WaitFor(Point::kParking, tid_);
  }
  Errc Join() {
    gates_.Open(Point::kWoken, tid_);
    runner_.join();
    return error_;
  }

 private:
  GateHooks& gates_;
  const std::int32_t tid_;
  Errc error_ = Errc::kOk;
  std::jthread runner_;  // Last: it writes the other.
};

template <class L>
class FreezeTest : public CallTest<L> {
 protected:
  using Pair = typename DriverTest<L>::Pair;

  static Errc Freeze(Actor<L>& by, std::int32_t pid, bool enable = true,
                     std::uint32_t timeout_ms = 0) {
    const Errc error = by.thread().Freeze(
        {static_cast<std::uint32_t>(pid), enable ? 1u : 0u, timeout_ms});
    by.Check();
    return error;
  }
  static Errc Thaw(Actor<L>& by, std::int32_t pid) {
    return Freeze(by, pid, false);
  }
  static bool IsFrozen(Peer<L>& peer) {
    return peer.proc().state().is_frozen.load();
  }
  static Info InfoOf(Actor<L>& by, std::int32_t pid) {
    FrozenStatusInfo info = {static_cast<std::uint32_t>(pid), 7, 7};
    EXPECT_EQ(by.thread().GetFrozenInfo(info), Errc::kOk);
    return {info.sync_recv, info.async_recv};
  }

  // A pair with a frozen service.
  Pair Frozen() {
    Pair pair = this->Connected();
    EXPECT_EQ(Freeze(pair.manager, pair.service.pid()), Errc::kOk);
    return pair;
  }
  // A pair whose client watches the service and has read how it is; if `done`,
  // it has said so, too.
  Pair Watched(bool done = true) {
    Pair pair = this->Connected();
    pair.client.Write(Watch(pair.handle));
    ExpectNews(pair.client, {{kWatch, 0}});
    if (done) pair.client.Write(Done());
    return pair;
  }

  // Has `actor` read a BR_FROZEN_BINDER for each of `news`, in a read of its
  // own, and nothing else.
  static void ExpectNews(Actor<L>& actor, const NewsList& news) {
    for (const News& expected : news) {
      const Result result = actor.Read();
      ASSERT_EQ(result.codes(), (BrList{kNoop, Br::BR_FROZEN_BINDER}));
      FrozenStateInfo info = {};
      std::memcpy(&info, result.read_buffer.data() + 8, sizeof(info));
      EXPECT_EQ(News(info.cookie, info.is_frozen), expected);
      EXPECT_EQ(info.reserved, 0u);
    }
    CallTest<L>::ExpectNothing(actor);
  }
  // Has `actor` read one BR_CLEAR_FREEZE_NOTIFICATION_DONE, and nothing else.
  static void ExpectCleared(Actor<L>& actor, std::uint64_t cookie = kWatch) {
    const Result result = actor.Read();
    const Received done = result.Get(Br::BR_CLEAR_FREEZE_NOTIFICATION_DONE);
    EXPECT_EQ(done.cookie, cookie);
    EXPECT_EQ(result.received.size(), 2u);
    CallTest<L>::ExpectNothing(actor);
  }
  // The command is refused: it is not consumed, and nothing after it is run.
  void ExpectInvalid(Peer<L>& peer, Commands commands) {
    Actor<L> actor = peer.Spawn();
    const Result result = actor.Do(commands.EnterLooper());
    EXPECT_EQ(result.error, Errc::kInvalid);
    EXPECT_EQ(result.write_consumed, 0u);
    EXPECT_EQ(this->ThreadOf(peer, actor).looper, 0u);
    EXPECT_EQ(actor.thread().ThreadExit(), Errc::kOk);
  }
  std::uint64_t LiveFreezes() {
    return this->Snapshot().live(core::ObjectKind::kFreeze);
  }
};
BINDERLITE_FOR_ALL_DISCIPLINES(FreezeTest);

// --- BINDER_FREEZE ---------------------------------------------------------

// Rows: FZ-01 FZ-04
TYPED_TEST(FreezeTest, AnybodyFreezesAndThawsAnIdleProc) {
  auto [manager, service, client, handle] = this->Connected();
  EXPECT_EQ(this->Thaw(client, service.pid()), Errc::kOk);
  EXPECT_EQ(this->Freeze(client, service.pid()), Errc::kOk);
  EXPECT_TRUE(this->IsFrozen(service));
  EXPECT_FALSE(this->IsFrozen(client));
  EXPECT_EQ(this->InfoOf(manager, service.pid()), Info(0, 0));
  client.Write(Commands().OneWay(handle).Transact(handle));
  EXPECT_EQ(client.ReadCodes(), (BrList{kPending, kFrozenReply}));
  EXPECT_EQ(this->InfoOf(manager, service.pid()), Info(3, 1));
  EXPECT_EQ(this->Thaw(client, service.pid()), Errc::kOk);
  EXPECT_FALSE(this->IsFrozen(service));
  EXPECT_EQ(this->InfoOf(manager, service.pid()), Info(2, 0));
  client.Write(Commands().Transact(handle));
  EXPECT_EQ(this->SnapshotOf(service).todo.size(), 2u);
}

// Rows: FZ-01 FZ-15
TYPED_TEST(FreezeTest, AsAnIoctl) {
  auto [manager, service, client, handle] = this->Connected();
  FreezeInfo freeze = {static_cast<std::uint32_t>(service.pid()), 1, 0};
  const auto Ioctl = [&client = client](auto request, void* argument) {
    return client.thread().Ioctl(static_cast<std::uint32_t>(request),
                                 AddressOf(argument));
  };
  EXPECT_EQ(Ioctl(Ioctl::kFreeze, &freeze), Errc::kOk);
  client.Write(Commands().OneWay(handle));
  FrozenStatusInfo info = {freeze.pid, 9, 9};
  EXPECT_EQ(Ioctl(Ioctl::kGetFrozenInfo, &info), Errc::kOk);
  EXPECT_EQ(Info(info.sync_recv, info.async_recv), Info(2, 1));
  EXPECT_EQ(Ioctl(Ioctl::kFreeze, nullptr), Errc::kFault);
  EXPECT_EQ(Ioctl(Ioctl::kGetFrozenInfo, nullptr), Errc::kFault);
}

// Rows: FZ-02 FZ-15
TYPED_TEST(FreezeTest, UnknownPid) {
  Peer<TypeParam>& peer = this->Open({.pid = 5});
  EXPECT_EQ(this->Freeze(peer, 6), Errc::kInvalid);
  EXPECT_EQ(this->Thaw(peer, 6), Errc::kInvalid);
  FrozenStatusInfo info = {6, 0, 0};
  EXPECT_EQ(peer.thread().GetFrozenInfo(info), Errc::kInvalid);
  // A Proc that is gone is unknown, too.
  this->Close(this->Open({.pid = 6}));
  EXPECT_EQ(this->Freeze(peer, 6), Errc::kInvalid);
}

// Rows: FZ-03 FZ-15
TYPED_TEST(FreezeTest, AllProcsOfAPidInAllContexts) {
  GateHooks hooks;
  BasicContext<TypeParam> sibling({.name = "hwbinder", .hooks = &hooks},
                                  this->context());
  BasicContext<TypeParam> stranger({.name = "elsewhere"});
  Peer<TypeParam>& other = this->Open({.pid = 6});
  Peer<TypeParam>& oldest = this->Open({.pid = 7});
  Peer<TypeParam> middle(sibling,
                         sibling.Open({.pid = 7, .nonblocking = true}));
  Peer<TypeParam> caller(sibling,
                         sibling.Open({.pid = 8, .nonblocking = true}));
  Peer<TypeParam> unrelated(stranger, stranger.Open({.pid = 7}));
  Peer<TypeParam>& newest = this->Open({.pid = 7});
  EXPECT_EQ(middle.thread().SetContextMgr(), Errc::kOk);
  caller.Write(Commands().Transact(0));
  EXPECT_EQ(this->Freeze(other, 7), Errc::kWouldBlock);
  EXPECT_TRUE(this->IsFrozen(newest)) << "came before the failure";
  EXPECT_FALSE(this->IsFrozen(middle));
  EXPECT_FALSE(this->IsFrozen(oldest)) << "would have come after it";
  EXPECT_EQ(this->InfoOf(other, 7), Info(2, 0));
  (void)this->Receive(middle);
  middle.Write(Commands().Reply());
  EXPECT_EQ(this->Freeze(other, 7), Errc::kOk);
  EXPECT_TRUE(this->IsFrozen(middle));
  EXPECT_TRUE(this->IsFrozen(oldest));
  EXPECT_FALSE(this->IsFrozen(other));
  EXPECT_FALSE(this->IsFrozen(unrelated));
  // What only one of them has seen.
  this->Settle(middle);
  this->Settle(caller);
  caller.Write(Commands().Transact(0));
  EXPECT_EQ(this->InfoOf(other, 7), Info(1, 0));
  EXPECT_EQ(this->Thaw(other, 7), Errc::kOk);
  EXPECT_FALSE(this->IsFrozen(newest) || this->IsFrozen(middle) ||
               this->IsFrozen(oldest));
}

// Rows: FZ-05
TYPED_TEST(FreezeTest, NotWhileAnythingIsOutstanding) {
  auto [manager, service, client, handle] = this->Connected();
  const auto Busy = [&, &by = manager](Peer<TypeParam>& peer) {
    EXPECT_EQ(this->Freeze(by, peer.pid()), Errc::kWouldBlock);
    EXPECT_FALSE(this->IsFrozen(peer));
    EXPECT_EQ(this->InfoOf(by, peer.pid()), Info(2, 0));
  };
  client.Write(Commands().Transact(handle));
  Busy(service);  // Not yet read.
  const Received call = this->Receive(service);
  Busy(service);  // Being served.
  service.Write(Commands().Free(call.tr.buffer).Reply());
  Busy(client);  // The reply has not been read.
  EXPECT_EQ(service.ReadCodes(), BrList{kComplete});
  this->ExpectReply(client, 0);
  client.Write(Commands().OneWay(handle).OneWay(handle));
  Busy(service);
  const Received one_way = this->Receive(service);
  Busy(service);  // The second one is at the node.
  service.Write(Commands().Free(one_way.tr.buffer));
  (void)this->Receive(service);
  // Neither the buffer nor unread completions are anything.
  EXPECT_EQ(this->Freeze(manager, service.pid()), Errc::kOk);
  EXPECT_EQ(this->Freeze(manager, client.pid()), Errc::kOk);
}

// Rows: FZ-07
TYPED_TEST(FreezeTest, NotInTheMiddleOfACallOfItsOwn) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().Transact(handle));
  // There is nothing to wait for.
  EXPECT_EQ(this->Freeze(manager, client.pid(), true, kPatient),
            Errc::kWouldBlock);
  EXPECT_FALSE(this->IsFrozen(client));
  EXPECT_EQ(this->InfoOf(manager, client.pid()), Info(2, 0));
  this->Answer(service, this->Receive(service));
  this->ExpectReply(client, 0);
  EXPECT_EQ(this->Freeze(manager, client.pid()), Errc::kOk);
}

// Rows: FZ-06 FZ-09
TYPED_TEST(FreezeTest, WaitsForTheLastReply) {
  auto [manager, service, client, handle] = this->Connected();
  Actor<TypeParam> other = client.Spawn();
  Actor<TypeParam> worker = service.Spawn();
  client.Write(Commands().Transact(handle));
  other.Write(Commands().Transact(handle));
  const Received first = this->Receive(service);
  const Received second = this->Receive(worker);
  BlockedFreeze<TypeParam> freezing(this->gates(), manager, service.pid());
  this->Answer(service, first);
  EXPECT_TRUE(this->IsFrozen(service)) << "new senders are refused meanwhile";
  this->ExpectReply(client, 0);
  client.Write(Commands().Transact(handle));
  EXPECT_EQ(client.ReadCodes(), BrList{kFrozenReply});
  this->Answer(worker, second);
  EXPECT_EQ(freezing.Join(), Errc::kOk);
  EXPECT_TRUE(this->IsFrozen(service));
  EXPECT_EQ(this->InfoOf(manager, service.pid()), Info(1, 0));
}

// Rows: FZ-06
TYPED_TEST(FreezeTest, WaitsForTheLastOneWayToBeRead) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().OneWay(handle));
  BlockedFreeze<TypeParam> freezing(this->gates(), manager, service.pid());
  (void)this->Receive(service);
  EXPECT_EQ(freezing.Join(), Errc::kOk);
}

// Rows: FZ-06
TYPED_TEST(FreezeTest, WaitsUntilTheTargetIsGone) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().Transact(handle));
  BlockedFreeze<TypeParam> freezing(this->gates(), manager, service.pid());
  this->Close(service);
  EXPECT_EQ(freezing.Join(), Errc::kOk);
  EXPECT_FALSE(this->IsFrozen(service));
}

// Rows: FZ-08 SG-21 FN-14
TYPED_TEST(FreezeTest, AnInterruptOrAKillEndsTheWait) {
  auto [manager, service, client, handle] = this->Watched();
  Actor<TypeParam> caller = client.Spawn();
  caller.Write(Commands().Transact(handle));
  const Received call = this->Receive(service);
  const std::int32_t pid = service.pid();
  std::stop_source stop;
  struct Case {
    Errc result;
    std::function<void(Peer<TypeParam>&)> end;
  };
  const std::array<Case, 4> cases = {{
      {Errc::kInterrupted, [](auto& peer) { peer.thread().Interrupt(); }},
      {Errc::kKilled, [&stop](auto&) { stop.request_stop(); }},
      {Errc::kKilled, [](auto& peer) { peer.thread().Kill(); }},
      {Errc::kKilled, [](auto& peer) { peer.proc().Kill(); }},
  }};
  std::int32_t next_pid = 5000;
  for (const Case& test : cases) {
    Peer<TypeParam>& freezer = this->Open({.pid = next_pid++});
    BlockedFreeze<TypeParam> freezing(this->gates(), freezer, pid,
                                      stop.get_token());
    EXPECT_TRUE(this->IsFrozen(service));
    test.end(freezer);
    EXPECT_EQ(freezing.Join(), test.result);
    EXPECT_FALSE(this->IsFrozen(service));
    stop = std::stop_source();
  }
  // Nobody has been told of it, and it goes on as if nothing had been.
  this->ExpectNothing(client);
  this->Answer(service, call);
  this->ExpectReply(caller, 0);
  EXPECT_EQ(this->Freeze(manager, pid), Errc::kOk);
}

// The last one of several who wait for the same.
// Rows: FZ-06 FZ-08
TYPED_TEST(FreezeTest, TwoFreezersOfOneProc) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().Transact(handle));
  Peer<TypeParam>& second = this->Open({.pid = 5000});
  BlockedFreeze<TypeParam> first(this->gates(), manager, service.pid());
  BlockedFreeze<TypeParam> other(this->gates(), second, service.pid());
  this->Answer(service, this->Receive(service));
  EXPECT_EQ(first.Join(), Errc::kOk);
  EXPECT_EQ(other.Join(), Errc::kOk);
  EXPECT_TRUE(this->IsFrozen(service));
}

// While somebody is stalled inside a call: with the binder lock, where there is
// one.
// Rows: SG-21 FZ-08 SG-11
TYPED_TEST(FreezeTest, AKilledFreezerNeedsNoLock) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().Transact(handle));
  Peer<TypeParam>& freezer = this->Open({.pid = 5000});
  Peer<TypeParam>& staller = this->Open({.pid = 6000});
  BlockedFreeze<TypeParam> freezing(this->gates(), freezer, service.pid());
  const int before = this->gates().Visits(Point::kEntered, staller.tid());
  this->gates().Close(Point::kEntered, staller.tid());
  {
    const std::jthread stalled([&staller] {
      std::int32_t version = 0;
      EXPECT_EQ(staller.thread().Version(version), Errc::kOk);
    });
    this->gates().WaitFor(Point::kEntered, staller.tid(), before + 1);
    freezer.thread().Kill();
    if (TypeParam::kKilledNeedsEntryLock) {
      this->gates().WaitFor(Point::kWoken, freezer.tid());
      EXPECT_TRUE(this->IsFrozen(service)) << "hangs behind the staller";
    } else {
      EXPECT_EQ(freezing.Join(), Errc::kKilled);
      EXPECT_FALSE(this->IsFrozen(service));
    }
    this->gates().Open(Point::kEntered, staller.tid());
  }
  if (TypeParam::kKilledNeedsEntryLock) {
    EXPECT_EQ(freezing.Join(), Errc::kKilled);
  }
  EXPECT_FALSE(this->IsFrozen(service));
  freezer.Check();
}

// Rows: FZ-16
TYPED_TEST(FreezeTest, FreezingAgainForgetsWhatArrived) {
  auto [manager, service, client, handle] = this->Frozen();
  client.Write(Commands().Transact(handle));
  EXPECT_EQ(this->InfoOf(manager, service.pid()), Info(1, 0));
  EXPECT_EQ(this->Freeze(manager, service.pid()), Errc::kOk);
  EXPECT_TRUE(this->IsFrozen(service));
  EXPECT_EQ(this->InfoOf(manager, service.pid()), Info(0, 0));
}

// A second attempt that fails thaws it.
// Rows: FZ-05 FZ-16
TYPED_TEST(FreezeTest, FreezingAgainMayFail) {
  auto [manager, service, client, handle] = this->Frozen();
  client.Write(Commands().OneWay(handle));
  EXPECT_EQ(this->InfoOf(manager, service.pid()), Info(2, 1));
  EXPECT_EQ(this->Freeze(manager, service.pid()), Errc::kWouldBlock);
  EXPECT_FALSE(this->IsFrozen(service));
}

// --- What the frozen and their senders do ----------------------------------

// Rows: FZ-10 EE-05 TX-18
TYPED_TEST(FreezeTest, CallsAreRefused) {
  auto [manager, service, client, handle] = this->Frozen();
  Payload payload;
  payload.Binder(0x7000, 1);
  const Result result = client.Do(Commands().Transact(handle, payload));
  // No completion, and no trace of the call.
  EXPECT_EQ(result.codes(), (BrList{kNoop, kFrozenReply}));
  EXPECT_EQ(client.TakeError(), std::pair(kFrozenReply, 0));
  EXPECT_EQ(this->InfoOf(manager, service.pid()), Info(1, 0));
  EXPECT_TRUE(this->ThreadOf(client, client).stack.empty());
  EXPECT_TRUE(this->ThreadOf(client, client).todo.empty());
  EXPECT_EQ(this->SnapshotOf(service).buffers, 0u);
  EXPECT_TRUE(this->SnapshotOf(service).refs.empty());
  EXPECT_TRUE(this->SnapshotOf(client).nodes.empty());
  EXPECT_EQ(this->NodeOf(service, this->kPtr).local_strong, 0);
  EXPECT_EQ(this->Snapshot().live(core::ObjectKind::kTransactionComplete), 0u);
  this->ExpectNothing(service);
  // The error stops the write (WR-05).
  const Result both =
      client.Do(Commands().Transact(handle).EnterLooper(), /*read_size=*/0);
  EXPECT_LT(both.write_consumed, both.write_size);
}

// A call made while serving: what it serves goes on.
// Rows: FZ-10 TX-18
TYPED_TEST(FreezeTest, ANestedCallIsRefused) {
  auto [manager, service, client, handle] = this->Frozen();
  Peer<TypeParam>& third = this->Open({.name = "third"});
  EXPECT_EQ(this->Thaw(manager, service.pid()), Errc::kOk);
  const std::uint32_t to_client = this->Give(manager, client, third, 0x30, 1);
  EXPECT_EQ(this->Freeze(manager, service.pid()), Errc::kOk);
  third.Write(Commands().Transact(to_client));
  const Received call = this->Receive(client);
  client.Write(Commands().Transact(handle));
  EXPECT_EQ(client.ReadCodes(), BrList{kFrozenReply});
  this->Answer(client, call, 5);
  this->ExpectReply(third, 5);
}

// Rows: FZ-11 FZ-14 EE-09
TYPED_TEST(FreezeTest, OneWaysWaitAndTheirSenderKnows) {
  auto [manager, service, client, handle] = this->Frozen();
  const Result result =
      client.Do(Commands().OneWay(handle, {}, 1).OneWay(handle, {}, 2));
  EXPECT_EQ(result.write_consumed, result.write_size);
  EXPECT_EQ(result.codes(), (BrList{kNoop, kPending, kPending}));
  EXPECT_EQ(client.TakeError(), kNoError);
  EXPECT_EQ(this->InfoOf(manager, service.pid()), Info(2, 1));
  EXPECT_EQ(this->NodeOf(service, this->kPtr).waiting_one_ways, 1u);
  // It gets them if it reads, frozen or not.
  for (std::uint32_t code : {1u, 2u}) {
    const Received got = this->Receive(service);
    EXPECT_EQ(got.tr.code, code);
    service.Write(Commands().Free(got.tr.buffer));
  }
  EXPECT_EQ(this->Thaw(manager, service.pid()), Errc::kOk);
  client.Write(Commands().OneWay(handle, {}, 3));
  EXPECT_EQ(client.ReadCodes(), BrList{kComplete});
}

// Rows: FZ-12 FZ-13
TYPED_TEST(FreezeTest, TheFrozenOneGoesOn) {
  auto [manager, service, client, handle] = this->Connected();
  EXPECT_EQ(this->Freeze(manager, client.pid()), Errc::kOk);
  client.Write(Commands().OneWay(handle, {}, 1).Transact(handle, {}, 2));
  const Received one_way = this->Receive(service);
  EXPECT_EQ(one_way.tr.code, 1u);
  const Received call = this->Receive(service);
  service.Write(Commands().Free(call.tr.buffer));
  this->Answer(service, one_way, 3);  // Of the call, in truth.
  this->ExpectReply(client, 3, {kComplete, kComplete});
  // It may even thaw itself.
  EXPECT_EQ(this->Thaw(client, client.pid()), Errc::kOk);
}

// Rows: FZ-17 FZ-18
TYPED_TEST(FreezeTest, DeathThaws) {
  auto [manager, service, client, handle] = this->Frozen();
  client.Write(Commands().OneWay(handle));
  this->Close(service);
  EXPECT_FALSE(this->IsFrozen(service));
  EXPECT_EQ(client.ReadCodes(), BrList{kPending});
  this->ExpectFails(client, Commands().Transact(handle), kDead, Errc::kInvalid);
}

// Rows: DN-23
TYPED_TEST(FreezeTest, DeathOfAFrozenProcIsAnnounced) {
  auto [manager, service, client, handle] = this->Frozen();
  client.Write(Commands().RequestDeath(handle, 5));
  this->ExpectNothing(client);
  this->Close(service);
  EXPECT_EQ(client.Read().Get(Br::BR_DEAD_BINDER).cookie, 5u);
}

// Rows: FZ-20
TYPED_TEST(FreezeTest, OneProcessFreezesItself) {
  Peer<TypeParam>& manager = this->OpenManager({.pid = 6});
  Peer<TypeParam>& service = this->Open({.pid = 7});
  Peer<TypeParam>& client = this->Open({.pid = 7});
  const std::uint32_t handle = this->Give(manager, service, client, 1, 1);
  EXPECT_EQ(this->Freeze(client, 7), Errc::kOk);
  EXPECT_TRUE(this->IsFrozen(service));
  EXPECT_TRUE(this->IsFrozen(client));
  client.Write(Commands().Transact(handle));
  EXPECT_EQ(client.ReadCodes(), BrList{kFrozenReply});
  EXPECT_EQ(this->Thaw(client, 7), Errc::kOk);
  client.Write(Commands().Transact(handle));
  this->Answer(service, this->Receive(service));
  this->ExpectReply(client, 0);
}

// The thread that a call is steered to exits while the call is being sent.
class FreezeRaceTest : public RaceTest {};

// Rows: FZ-18 TX-18
TEST_F(FreezeRaceTest, FrozenComesBeforeDead) {
  auto [a, b, c, to_a, to_b, to_c] = this->MakeRing();
  Peer<FineGrained<>>& other = this->Open({.pid = 5000});
  const auto pid = static_cast<std::uint32_t>(a.pid());
  for (const bool frozen : {false, true}) {
    EXPECT_EQ(other.thread().Freeze({pid, frozen ? 1u : 0u, 0}), Errc::kOk);
    Actor<FineGrained<>> caller = a.Spawn();
    caller.Write(Commands().Transact(to_b));
    (void)Receive(b);
    b.Write(Commands().Transact(to_c));
    (void)Receive(c);
    const Result result = AtSending(c, Commands().Transact(to_a), [&caller] {
      EXPECT_EQ(caller.thread().ThreadExit(), Errc::kOk);
    });
    EXPECT_EQ(result.codes(), (BrList{kNoop, frozen ? kFrozenReply : kDead}));
    c.Write(Commands().Reply());
    Settle(b);
    Settle(c);
    b.Write(Commands().Reply());
    Settle(b);
  }
}

// --- TF_UPDATE_TXN ---------------------------------------------------------

// Rows: AS-12 FZ-09
TYPED_TEST(FreezeTest, AnUpdateReplacesTheFirstThatWaitsOnceFrozen) {
  auto [manager, service, client, handle] = this->Connected();
  for (const char* text : {"on its way", "first", "second"}) {
    client.Write(Commands().Transact(handle, Payload(text), 1, kUpdate));
    EXPECT_EQ(client.ReadCodes(), BrList{kComplete});
  }
  EXPECT_EQ(this->NodeOf(service, this->kPtr).waiting_one_ways, 2u);
  BlockedFreeze<TypeParam> freezing(this->gates(), manager, service.pid());
  client.Write(Commands().Transact(handle, Payload("third"), 1, kUpdate));
  EXPECT_EQ(client.ReadCodes(), BrList{kPending});
  for (const char* text : {"on its way", "second", "third"}) {
    const Received got = this->Receive(service);
    EXPECT_EQ(got.text(), text);
    service.Write(Commands().Free(got.tr.buffer));
  }
  EXPECT_EQ(freezing.Join(), Errc::kOk);
}

// Rows: AS-12 FZ-19
TYPED_TEST(FreezeTest, OnlyAnEqualOneThatWaitsIsReplaced) {
  auto [manager, service, client, handle] = this->Frozen();
  Peer<TypeParam>& third = this->Open({.name = "third"});
  EXPECT_EQ(this->Thaw(manager, service.pid()), Errc::kOk);
  const std::uint32_t thirds =
      this->Give(manager, service, third, this->kPtr, this->kCookie);
  const std::uint32_t second = this->Give(manager, service, client, 1, 2);
  EXPECT_EQ(this->Freeze(manager, service.pid()), Errc::kOk);
  Payload object;
  object.Binder(0x7000, 1);
  const auto Waiting = [&, &service = service] {
    return this->NodeOf(service, this->kPtr).waiting_one_ways;
  };
  const auto Send = [handle = handle](Peer<TypeParam>& from, std::uint32_t code,
                                      std::uint32_t flags,
                                      const Payload& payload = {}) {
    from.Write(Commands().Transact(handle, payload, code, flags));
    EXPECT_TRUE(from.Read().Has(kPending));
  };
  ASSERT_EQ(thirds, handle);
  Send(client, 1, kUpdate);  // On the Proc's queue: out of reach.
  Send(client, 1, kUpdate, object);
  EXPECT_EQ(Waiting(), 1u);
  // Another code, another flags word, another sender, no TF_UPDATE_TXN,
  // another node.
  Send(client, 2, kUpdate);
  Send(client, 1, kUpdate | kTfStatusCode);
  Send(third, 1, kUpdate);
  Send(client, 1, kTfOneWay);
  client.Write(Commands().Transact(second, {}, 1, kUpdate));
  EXPECT_EQ(client.ReadCodes(), BrList{kPending});
  EXPECT_EQ(Waiting(), 5u);
  EXPECT_EQ(this->SnapshotOf(service).buffers, 7u);
  EXPECT_EQ(this->SnapshotOf(service).refs.size(), 1u);
  const std::size_t free_async = this->SnapshotOf(service).arena_free_async;
  // The same: its payload goes with all that was in it, and it goes to the end.
  Send(client, 1, kUpdate, Payload("new"));
  EXPECT_EQ(Waiting(), 5u);
  EXPECT_EQ(this->SnapshotOf(service).buffers, 7u);
  EXPECT_TRUE(this->SnapshotOf(service).refs.empty());
  EXPECT_EQ(this->SnapshotOf(service).arena_free_async, free_async + 24);
  EXPECT_EQ(this->Snapshot().live(core::ObjectKind::kTransaction), 7u);
  std::vector<std::uint32_t> flags;
  std::string last;
  for (int i = 0; i < 7; ++i) {
    const Received got = this->Receive(service);
    if (got.tr.target.ptr == this->kPtr) {
      flags.push_back(got.tr.code << 8 | got.tr.flags);
      last = got.text();
    }
    service.Write(Commands().Free(got.tr.buffer));
  }
  EXPECT_EQ(flags, (std::vector<std::uint32_t>{
                       0x100 | kUpdate, 0x200 | kUpdate,
                       0x100 | kUpdate | kTfStatusCode, 0x100 | kUpdate,
                       0x100 | kTfOneWay, 0x100 | kUpdate}));
  EXPECT_EQ(last, "new");
}

// Rows: AS-13
TYPED_TEST(FreezeTest, AReplacedOneLetsGoOfItsFiles) {
  auto [manager, service, client, handle] = this->Connected(kFlatAcceptsFds);
  EXPECT_EQ(this->Freeze(manager, service.pid()), Errc::kOk);
  std::array<int, 2> ends = {};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), 0);
  FdObject object = {};
  object.hdr.type = static_cast<std::uint32_t>(ObjectType::kFd);
  object.fd = static_cast<std::uint32_t>(ends[1]);
  Payload payload;
  payload.Object(object);
  client.Write(Commands().OneWay(handle).Transact(handle, payload, 1, kUpdate));
  ASSERT_EQ(::close(ends[1]), 0);
  char byte = 0;
  EXPECT_EQ(::read(ends[0], &byte, 1), -1) << "nobody holds the other end";
  EXPECT_EQ(errno, EAGAIN);
  client.Write(Commands().Transact(handle, {}, 1, kUpdate));
  EXPECT_EQ(::read(ends[0], &byte, 1), 0) << "somebody holds the other end";
  ASSERT_EQ(::close(ends[0]), 0);
}

// --- Notifications ---------------------------------------------------------

// Rows: FN-01
TYPED_TEST(FreezeTest, ARequestIsAnsweredWithTheState) {
  auto [manager, service, client, handle] = this->Connected();
  for (const bool frozen : {false, true}) {
    EXPECT_EQ(this->Freeze(manager, service.pid(), frozen), Errc::kOk);
    client.Write(Watch(handle));
    EXPECT_EQ(this->SnapshotOf(client).todo,
              std::vector{WorkType::kFrozenBinder});
    Actor<TypeParam> any = client.Spawn();
    this->ExpectNews(any, {{kWatch, frozen ? 1 : 0}});
    client.Write(Done());
    client.Write(Unwatch(handle));
    this->ExpectCleared(client);
  }
}

// Rows: FN-01
TYPED_TEST(FreezeTest, AWaitingThreadIsTold) {
  auto [manager, service, client, handle] = this->Connected();
  Actor<TypeParam> waiter = client.Spawn();
  auto waiting = this->Block(client, waiter);
  client.Write(Watch(handle));
  EXPECT_EQ(waiting->Join().codes(), (BrList{kNoop, Br::BR_FROZEN_BINDER}));
  client.Write(Done());
  auto again = this->Block(client, waiter);
  EXPECT_EQ(this->Freeze(manager, service.pid()), Errc::kOk);
  EXPECT_EQ(again->Join().codes(), (BrList{kNoop, Br::BR_FROZEN_BINDER}));
}

// Rows: FN-02
TYPED_TEST(FreezeTest, ARequestForADeadNode) {
  auto [manager, service, client, handle] = this->Connected();
  this->Close(service);
  client.Write(Watch(handle));
  this->ExpectNothing(client);
  client.Write(Unwatch(handle));
  this->ExpectCleared(client);
}

// Rows: FN-03 EE-12
TYPED_TEST(FreezeTest, ARequestThatIsRefused) {
  auto [manager, service, client, handle] = this->Watched();
  this->ExpectInvalid(client, Watch(handle + 1));
  this->ExpectInvalid(client, Watch(handle));
  this->ExpectInvalid(client, Watch(handle, kSecondCookie));
  this->ExpectNothing(client);
  EXPECT_EQ(client.TakeError(), kNoError);
  EXPECT_EQ(this->LiveFreezes(), 1u);
}

// Rows: FN-04
TYPED_TEST(FreezeTest, ChangesAreTold) {
  auto [manager, service, client, handle] = this->Watched();
  // Also when nothing has changed.
  for (const bool frozen : {true, true, false, false, true}) {
    EXPECT_EQ(this->Freeze(manager, service.pid(), frozen), Errc::kOk);
    this->ExpectNews(client, {{kWatch, frozen ? 1 : 0}});
    client.Write(Done());
  }
}

// Rows: FN-04
TYPED_TEST(FreezeTest, AllWhoWatchAreTold) {
  auto [manager, service, client, handle] = this->Connected();
  Peer<TypeParam>& third = this->Open({.name = "third"});
  const std::uint32_t thirds =
      this->Give(manager, service, third, this->kPtr, this->kCookie);
  const std::uint32_t second = this->Give(manager, service, third, 1, 2);
  client.Write(Watch(handle));
  third.Write(Watch(second, kSecondCookie));
  third.Write(Watch(thirds));
  this->ExpectNews(client, {{kWatch, 0}});
  this->ExpectNews(third, {{kSecondCookie, 0}, {kWatch, 0}});
  client.Write(Done());
  third.Write(Done(kSecondCookie));
  third.Write(Done());
  EXPECT_EQ(this->Freeze(manager, service.pid()), Errc::kOk);
  this->ExpectNews(client, {{kWatch, 1}});
  // In the order of the nodes.
  this->ExpectNews(third, {{kSecondCookie, 1}, {kWatch, 1}});
}

// Rows: FN-05
TYPED_TEST(FreezeTest, AnUnreadOneIsKeptUpToDate) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Watch(handle));
  EXPECT_EQ(this->Freeze(manager, service.pid()), Errc::kOk);
  this->ExpectNews(client, {{kWatch, 1}});
  client.Write(Done());
  this->ExpectNothing(client);
  EXPECT_EQ(this->Thaw(manager, service.pid()), Errc::kOk);
  EXPECT_EQ(this->Freeze(manager, service.pid()), Errc::kOk);
  this->ExpectNews(client, {{kWatch, 1}});
}

// Rows: FN-06
TYPED_TEST(FreezeTest, ChangesBeforeTheAcknowledgementComeAfterIt) {
  auto [manager, service, client, handle] = this->Watched(/*done=*/false);
  const auto Set = [&, &by = manager, pid = service.pid()](bool frozen) {
    EXPECT_EQ(this->Freeze(by, pid, frozen), Errc::kOk);
  };
  Set(false);  // No change.
  this->ExpectNothing(client);
  client.Write(Done());
  this->ExpectNothing(client);
  Set(true);
  this->ExpectNews(client, {{kWatch, 1}});
  Set(false);
  this->ExpectNothing(client);
  client.Write(Done());
  this->ExpectNews(client, {{kWatch, 0}});
  // There and back again is a change, too.
  Set(true);
  Set(false);
  client.Write(Done());
  this->ExpectNews(client, {{kWatch, 0}});
  client.Write(Done());
  this->ExpectNothing(client);
}

// Rows: FN-07
TYPED_TEST(FreezeTest, AnAcknowledgementOfNothing) {
  auto [manager, service, client, handle] = this->Connected();
  this->ExpectInvalid(client, Done());
  client.Write(Watch(handle));
  this->ExpectInvalid(client, Done());  // Not yet read.
  this->ExpectNews(client, {{kWatch, 0}});
  this->ExpectInvalid(client, Done(kSecondCookie));
  client.Write(Done());
  this->ExpectInvalid(client, Done());
}

// Rows: FN-08
TYPED_TEST(FreezeTest, ClearingIsConfirmedThroughTheProcsQueue) {
  auto [manager, service, client, handle] = this->Watched();
  Actor<TypeParam> looper = client.Spawn();
  looper.Write(Commands().EnterLooper());
  looper.Write(Unwatch(handle));
  EXPECT_EQ(this->SnapshotOf(client).todo,
            std::vector{WorkType::kClearFreezeNotification});
  this->ExpectCleared(client);
  EXPECT_EQ(this->LiveFreezes(), 0u);
  EXPECT_EQ(this->Freeze(manager, service.pid()), Errc::kOk);
  this->ExpectNothing(client);
}

// Rows: FN-09
TYPED_TEST(FreezeTest, ClearingTakesBackWhatIsUnread) {
  auto [manager, service, client, handle] = this->Watched();
  EXPECT_EQ(this->Freeze(manager, service.pid()), Errc::kOk);
  client.Write(Unwatch(handle));
  this->ExpectCleared(client);
  this->ExpectInvalid(client, Done());
}

// Rows: FN-10
TYPED_TEST(FreezeTest, ClearingWaitsForTheAcknowledgement) {
  auto [manager, service, client, handle] = this->Watched(/*done=*/false);
  client.Write(Unwatch(handle));
  this->ExpectNothing(client);
  EXPECT_EQ(this->Freeze(manager, service.pid()), Errc::kOk);
  this->ExpectNothing(client);
  client.Write(Done());
  this->ExpectCleared(client);
  EXPECT_EQ(this->LiveFreezes(), 0u);
}

// Rows: FN-11
TYPED_TEST(FreezeTest, ClearingWhatIsNotThere) {
  auto [manager, service, client, handle] = this->Connected();
  this->ExpectInvalid(client, Unwatch(handle));
  client.Write(Watch(handle));
  this->ExpectNews(client, {{kWatch, 0}});
  this->ExpectInvalid(client, Unwatch(handle + 1));
  this->ExpectInvalid(client, Unwatch(handle, kSecondCookie));
  client.Write(Unwatch(handle));
  this->ExpectInvalid(client, Unwatch(handle));
}

// Rows: FN-12
TYPED_TEST(FreezeTest, ItGoesWithTheHandle) {
  auto [manager, service, client, handle] = this->Connected();
  for (const int stage : {0, 1, 2, 3}) {
    const std::uint32_t other =
        this->Give(manager, service, client, 0x3000, 0x4000);
    client.Write(Watch(other));                              // 0: unread.
    if (stage > 0) this->ExpectNews(client, {{kWatch, 0}});  // 1: delivered.
    if (stage > 1) client.Write(Done());                     // 2: idle.
    if (stage > 2) {                                         // 3: to be resent.
      EXPECT_EQ(this->Freeze(manager, service.pid()), Errc::kOk);
      this->ExpectNews(client, {{kWatch, 1}});
      EXPECT_EQ(this->Thaw(manager, service.pid()), Errc::kOk);
    }
    EXPECT_EQ(this->LiveFreezes(), 1u);
    client.Write(Commands().Release(other));
    EXPECT_EQ(this->LiveFreezes(), 0u);
    this->ExpectNothing(client);
    this->ExpectInvalid(client, Done());
    this->Settle(service);
  }
}

// A cleared one is off its handle, and stays.
// Rows: FN-12 FN-10
TYPED_TEST(FreezeTest, AClearedOneOutlivesTheHandle) {
  auto [manager, service, client, handle] = this->Watched(/*done=*/false);
  client.Write(Unwatch(handle));
  client.Write(Commands().Release(handle));
  EXPECT_EQ(this->LiveFreezes(), 1u);
  client.Write(Done());
  this->ExpectCleared(client);
}

// Rows: FN-13
TYPED_TEST(FreezeTest, TheOwnerDies) {
  auto [manager, service, client, handle] = this->Watched();
  EXPECT_EQ(this->Freeze(manager, service.pid()), Errc::kOk);
  this->ExpectNews(client, {{kWatch, 1}});
  this->Close(service);
  this->ExpectNothing(client);
  client.Write(Done());
  this->ExpectNothing(client);
  client.Write(Unwatch(handle));
  this->ExpectCleared(client);
}

// Rows: FN-14 FZ-05
TYPED_TEST(FreezeTest, AFailureIsNotTold) {
  auto [manager, service, client, handle] = this->Watched();
  client.Write(Commands().OneWay(handle));
  EXPECT_EQ(client.ReadCodes(), BrList{kComplete});
  EXPECT_EQ(this->Freeze(manager, service.pid()), Errc::kWouldBlock);
  this->ExpectNothing(client);
}

// The fixture looks for leaks.
// Rows: FN-15
TYPED_TEST(FreezeTest, TheWatcherDies) {
  auto [manager, service, client, handle] = this->Connected();
  for (const int stage : {0, 1, 2, 3, 4, 5}) {
    Peer<TypeParam>& watcher = this->Open();
    const std::uint32_t h =
        this->Give(manager, service, watcher, this->kPtr, this->kCookie);
    watcher.Write(Watch(h));  // 0: unread.
    if (stage == 1) watcher.Write(Unwatch(h));
    if (stage > 1) this->ExpectNews(watcher, {{kWatch, 0}});  // 2: delivered.
    if (stage == 3) watcher.Write(Unwatch(h));
    if (stage > 3) watcher.Write(Done());  // 4: idle.
    if (stage == 5) watcher.Write(Unwatch(h));
    EXPECT_EQ(this->LiveFreezes(), 1u);
    this->Close(watcher);
    EXPECT_EQ(this->LiveFreezes(), 0u);
  }
  EXPECT_EQ(this->Freeze(manager, service.pid()), Errc::kOk);
}

// Rows: FN-16
TYPED_TEST(FreezeTest, AskingAgainBeforeTheConfirmation) {
  auto [manager, service, client, handle] = this->Watched();
  client.Write(Unwatch(handle));
  client.Write(Watch(handle));
  EXPECT_EQ(this->LiveFreezes(), 2u);
  EXPECT_EQ(client.Read().codes(),
            (BrList{kNoop, Br::BR_CLEAR_FREEZE_NOTIFICATION_DONE,
                    Br::BR_FROZEN_BINDER}));
  client.Write(Done());
  EXPECT_EQ(this->Freeze(manager, service.pid()), Errc::kOk);
  this->ExpectNews(client, {{kWatch, 1}});
}

// Of several with one cookie, the acknowledgements come in order.
// Rows: FN-07 FN-16
TYPED_TEST(FreezeTest, OneCookieForTwoNodes) {
  auto [manager, service, client, handle] = this->Connected();
  const std::uint32_t second = this->Give(manager, service, client, 1, 2);
  client.Write(Watch(handle));
  client.Write(Watch(second));
  this->ExpectNews(client, {{kWatch, 0}, {kWatch, 0}});
  client.Write(Done());
  client.Write(Unwatch(handle));
  this->ExpectCleared(client);
  client.Write(Unwatch(second));
  this->ExpectNothing(client);
  client.Write(Done());
  this->ExpectCleared(client);
}

// Rows: RD-11
TYPED_TEST(FreezeTest, NewsEndARead) {
  auto [manager, service, client, handle] = this->Connected();
  const std::uint32_t second = this->Give(manager, service, client, 1, 2);
  client.Write(Watch(handle));
  client.Write(Watch(second, kSecondCookie));
  EXPECT_EQ(client.Read().codes(), (BrList{kNoop, Br::BR_FROZEN_BINDER}));
  EXPECT_EQ(client.Read().codes(), (BrList{kNoop, Br::BR_FROZEN_BINDER}));
  client.Write(Done());
  client.Write(Done(kSecondCookie));
  client.Write(Unwatch(handle));
  client.Write(Unwatch(second, kSecondCookie));
  EXPECT_EQ(client.Read().codes(),
            (BrList{kNoop, Br::BR_CLEAR_FREEZE_NOTIFICATION_DONE,
                    Br::BR_CLEAR_FREEZE_NOTIFICATION_DONE}));
}

// Rows: FN-01 FN-04 FN-08
TYPED_TEST(FreezeTest, WithoutByteStreams) {
  auto [manager, service, client, handle] = this->Connected();
  BasicThread<TypeParam>& thread = client.thread();
  Incoming incoming;
  EXPECT_EQ(thread.RequestFreezeNotification(handle, kWatch), Errc::kOk);
  EXPECT_EQ(thread.RequestFreezeNotification(handle, kWatch), Errc::kInvalid);
  EXPECT_EQ(thread.NextWork(incoming), Errc::kOk);
  EXPECT_EQ(incoming.command, Br::BR_FROZEN_BINDER);
  EXPECT_FALSE(incoming.is_frozen);
  EXPECT_EQ(thread.FreezeNotificationDone(kWatch), Errc::kOk);
  EXPECT_EQ(this->Freeze(manager, service.pid()), Errc::kOk);
  EXPECT_EQ(thread.NextWork(incoming), Errc::kOk);
  EXPECT_EQ(incoming.node.cookie, kWatch);
  EXPECT_TRUE(incoming.is_frozen);
  EXPECT_EQ(thread.FreezeNotificationDone(kWatch), Errc::kOk);
  EXPECT_EQ(thread.ClearFreezeNotification(handle, kWatch), Errc::kOk);
  EXPECT_EQ(thread.NextWork(incoming), Errc::kOk);
  EXPECT_EQ(incoming.command, Br::BR_CLEAR_FREEZE_NOTIFICATION_DONE);
  EXPECT_EQ(incoming.node.cookie, kWatch);
}

}  // namespace
}  // namespace binderlite::testing
