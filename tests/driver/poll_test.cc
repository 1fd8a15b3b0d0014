// SPDX-License-Identifier: Apache-2.0
//
// Poll: when a thread is readable, and when the ReadinessListener of a Proc is
// told.

#include "binderlite/driver/poll.h"

#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "binderlite/core/readiness.h"
#include "binderlite/core/thread.h"
#include "support/call_test.h"

namespace binderlite::testing {
namespace {

// Counts what it is told.
class Listener : public ReadinessListener {
 public:
  void OnReady() override { ++count_; }
  // How often since the last call.
  int Take() { return count_.exchange(0); }

 private:
  std::atomic<int> count_{0};
};

template <class L>
class PollTest : public DriverTest<L> {
 protected:
  // A service with a listener, and a client with a handle to it.
  struct Watched {
    Peer<L>& manager;
    Peer<L>& service;
    Peer<L>& client;
    std::uint32_t handle;
    std::shared_ptr<Listener> listener;  // Of the service.
    std::shared_ptr<Listener> client_listener;
  };
  Watched Connect() {
    auto listener = std::make_shared<Listener>();
    auto client_listener = std::make_shared<Listener>();
    Peer<L>& manager = this->OpenManager({.name = "manager"});
    Peer<L>& service = this->Open({.name = "service", .readiness = listener});
    Peer<L>& client =
        this->Open({.name = "client", .readiness = client_listener});
    const std::uint32_t handle =
        this->Give(manager, service, client, this->kPtr, this->kCookie);
    listener->Take();
    client_listener->Take();
    return {manager, service, client, handle, listener, client_listener};
  }

  static bool Readable(Actor<L>& actor) {
    bool readable = false;
    EXPECT_EQ(actor.thread().Poll(readable), Errc::kOk);
    actor.Check();
    return readable;
  }

  // What somebody shows who watches the Proc as a whole.
  static driver::Pollers Shown(Peer<L>& peer) {
    driver::Pollers shown;
    peer.proc().ShowReadiness([&](const auto& survey) { shown = survey(); });
    return shown;
  }
};

BINDERLITE_FOR_ALL_DISCIPLINES(PollTest);

// Rows: PL-01 PL-02
TYPED_TEST(PollTest, ANewThreadIsReadableUntilItsFirstRead) {
  Peer<TypeParam>& peer = this->Open();
  Actor<TypeParam> fresh = peer.Fresh();
  EXPECT_TRUE(this->Readable(fresh));
  EXPECT_TRUE(this->Readable(fresh)) << "poll is no ioctl";
  EXPECT_EQ(this->ThreadOf(peer, fresh).looper, core::kLooperPoll);
  EXPECT_EQ(fresh.Read().codes(), BrList{Br::BR_NOOP});
  EXPECT_FALSE(this->Readable(fresh));
  EXPECT_EQ(fresh.Read().error, Errc::kWouldBlock);
  fresh.Write(Commands().EnterLooper());
  EXPECT_EQ(this->ThreadOf(peer, fresh).looper,
            core::kLooperPoll | core::kLooperEntered);
}

// Rows: PL-01 PL-04 PL-08
TYPED_TEST(PollTest, WorkForTheProcIsForEveryIdleThread) {
  auto [manager, service, client, handle, listener, unused] = this->Connect();
  Actor<TypeParam> second = service.Spawn();
  EXPECT_FALSE(this->Readable(service));
  EXPECT_FALSE(this->Readable(second));
  client.Write(Commands().OneWay(handle));
  EXPECT_EQ(listener->Take(), 1);
  EXPECT_TRUE(this->Readable(service));
  EXPECT_TRUE(this->Readable(second));
  EXPECT_TRUE(this->Shown(service).readable);
  EXPECT_EQ(service.ReadCodes(), BrList{Br::BR_TRANSACTION});
  EXPECT_FALSE(this->Readable(second));
  EXPECT_FALSE(this->Shown(service).readable);
  EXPECT_EQ(listener->Take(), 0);
}

// Rows: PL-03 PL-11 RD-16
TYPED_TEST(PollTest, ADeferredCompletionIsNotReadableAReplyIs) {
  auto [manager, service, client, handle, unused, listener] = this->Connect();
  EXPECT_FALSE(this->Readable(client));
  client.Write(Commands().Transact(handle));
  EXPECT_FALSE(this->Readable(client));
  EXPECT_FALSE(this->Shown(client).readable);
  EXPECT_EQ(listener->Take(), 0);
  EXPECT_EQ(service.ReadCodes(), BrList{Br::BR_TRANSACTION});
  service.Write(Commands().Reply());
  EXPECT_EQ(listener->Take(), 1);
  EXPECT_TRUE(this->Readable(client));
  EXPECT_EQ(client.ReadCodes(),
            (BrList{Br::BR_TRANSACTION_COMPLETE, Br::BR_REPLY}));
  EXPECT_FALSE(this->Readable(client));
}

// Rows: PL-11 TX-22
TYPED_TEST(PollTest, ADeadReplyIsShown) {
  auto [manager, service, client, handle, unused, listener] = this->Connect();
  EXPECT_FALSE(this->Readable(client));
  client.Write(Commands().Transact(handle));
  EXPECT_EQ(service.ReadCodes(), BrList{Br::BR_TRANSACTION});
  EXPECT_EQ(service.thread().ThreadExit(), Errc::kOk);
  EXPECT_EQ(listener->Take(), 1);
  EXPECT_TRUE(this->Readable(client));
}

// Rows: PL-05
TYPED_TEST(PollTest, ABlockedReaderGetsTheWorkAndPollersAreNotTold) {
  auto [manager, service, client, handle, listener, unused] = this->Connect();
  EXPECT_FALSE(this->Readable(service));
  Actor<TypeParam> reader = service.Spawn();
  auto blocked = this->Block(service, reader);
  client.Write(Commands().OneWay(handle));
  EXPECT_EQ(listener->Take(), 0);
  EXPECT_FALSE(this->Readable(service));
  EXPECT_FALSE(this->Shown(service).readable);
  EXPECT_EQ(blocked->Join().codes().back(), Br::BR_TRANSACTION);
  EXPECT_EQ(listener->Take(), 0);
}

// Rows: PL-05 RD-19 SG-06
TYPED_TEST(PollTest, WorkThatAnInterruptedReaderLeavesIsShown) {
  auto [manager, service, client, handle, listener, unused] = this->Connect();
  EXPECT_FALSE(this->Readable(service));
  Actor<TypeParam> reader = service.Spawn();
  auto blocked = this->Block(service, reader);
  // The client's last reference goes: node work, to be looked for.
  client.Write(Commands().Release(handle));
  EXPECT_EQ(listener->Take(), 0);
  reader.thread().Interrupt();
  EXPECT_EQ(blocked->Join().error, Errc::kInterrupted);
  EXPECT_EQ(listener->Take(), 1);
  EXPECT_TRUE(this->Readable(service));
}

// Rows: PL-06
TYPED_TEST(PollTest, WorkForOneselfIsNews) {
  auto [manager, service, client, handle, unused, listener] = this->Connect();
  EXPECT_FALSE(this->Readable(client));
  for (int i = 0; i < 2; ++i) {
    client.Write(Commands().OneWay(handle));
    EXPECT_TRUE(this->Readable(client));
    const driver::Pollers shown = this->Shown(client);
    EXPECT_TRUE(shown.readable);
    EXPECT_TRUE(shown.news);
    EXPECT_FALSE(this->Shown(client).news) << "told once";
  }
  EXPECT_EQ(listener->Take(), 0) << "it was in a call";
  this->ExpectFails(client, Commands().Transact(77), Br::BR_FAILED_REPLY,
                    Errc::kInvalid,
                    {Br::BR_TRANSACTION_COMPLETE, Br::BR_TRANSACTION_COMPLETE});
  client.Write(Commands().Transact(77));
  EXPECT_TRUE(this->Shown(client).news);
}

// Rows: PL-06 TX-04 DN-08
TYPED_TEST(PollTest, AReplyAndAClearedDeathAreNewsForTheirAuthor) {
  auto [manager, service, client, handle, listener, client_listener] =
      this->Connect();
  EXPECT_FALSE(this->Readable(service));
  EXPECT_FALSE(this->Readable(client));
  client.Write(Commands().Transact(handle));
  EXPECT_EQ(service.ReadCodes(), BrList{Br::BR_TRANSACTION});
  (void)this->Shown(service);
  service.Write(Commands().Reply());
  EXPECT_TRUE(this->Shown(service).news);
  this->Settle(client);
  (void)this->Shown(client);
  client.Write(Commands().EnterLooper().RequestDeath(handle, 5));
  EXPECT_FALSE(this->Shown(client).readable);
  client.Write(Commands().ClearDeath(handle, 5));
  EXPECT_TRUE(this->Shown(client).news);
}

// Rows: PL-07
TYPED_TEST(PollTest, TheExitOfAPollerIsTold) {
  auto listener = std::make_shared<Listener>();
  Peer<TypeParam>& peer = this->Open({.readiness = listener});
  EXPECT_EQ(peer.thread().ThreadExit(), Errc::kOk);
  EXPECT_EQ(listener->Take(), 0) << "it has not polled";
  EXPECT_TRUE(this->Readable(peer));
  EXPECT_EQ(peer.thread().ThreadExit(), Errc::kOk);
  EXPECT_EQ(listener->Take(), 1);
  EXPECT_TRUE(this->Readable(peer)) << "a new record";
}

// Rows: PL-09 RD-14
TYPED_TEST(PollTest, AServingThreadDoesNotSeeWorkForTheProc) {
  auto [manager, service, client, handle, listener, unused] = this->Connect();
  EXPECT_FALSE(this->Readable(service));
  client.Write(Commands().Transact(handle));
  EXPECT_EQ(listener->Take(), 1);
  EXPECT_EQ(service.ReadCodes(), BrList{Br::BR_TRANSACTION});
  Actor<TypeParam> second = client.Spawn();
  second.Write(Commands().Transact(handle));
  EXPECT_EQ(listener->Take(), 0);
  EXPECT_FALSE(this->Readable(service));
  EXPECT_FALSE(this->Shown(service).readable);
  service.Write(Commands().Reply());
  EXPECT_EQ(service.ReadCodes(), BrList{Br::BR_TRANSACTION_COMPLETE});
  EXPECT_TRUE(this->Readable(service));
}

// A nested call comes to the thread that waits for it, which may be polling.
// Rows: TX-13 PL-11
TYPED_TEST(PollTest, ANestedCallIsShownToItsThread) {
  auto [manager, service, client, handle, unused, listener] = this->Connect();
  EXPECT_FALSE(this->Readable(client));
  Payload with_node;
  with_node.Binder(0x5000, 0x6000);
  client.Write(Commands().Transact(handle, with_node));
  const Received call = service.Read().Get(Br::BR_TRANSACTION);
  this->Shown(client);
  listener->Take();
  service.Write(Commands().Transact(call.object(0).handle));
  EXPECT_EQ(listener->Take(), 1);
  EXPECT_TRUE(this->Readable(client));
  EXPECT_EQ(client.ReadCodes().back(), Br::BR_TRANSACTION);
  client.Write(Commands().Reply());
  this->Settle(client);
  EXPECT_EQ(service.ReadCodes().back(), Br::BR_REPLY);
  service.Write(Commands().Free(call.tr.buffer).Reply());
}

// A flush makes every thread readable, and wakes no poller.
// Rows: PL-01 DT-10 SG-19
TYPED_TEST(PollTest, AFlushMakesReadable) {
  auto listener = std::make_shared<Listener>();
  Peer<TypeParam>& peer = this->Open({.readiness = listener});
  EXPECT_FALSE(this->Readable(peer));
  peer.proc().Flush();
  EXPECT_EQ(listener->Take(), 0);
  EXPECT_TRUE(this->Readable(peer));
  EXPECT_TRUE(this->Shown(peer).readable);
  EXPECT_EQ(peer.Read().codes(), BrList{Br::BR_NOOP});
  EXPECT_FALSE(this->Shown(peer).readable);
}

// Rows: PL-12
TYPED_TEST(PollTest, PollOfAClosedProcFails) {
  auto listener = std::make_shared<Listener>();
  Peer<TypeParam>& peer = this->Open({.readiness = listener});
  EXPECT_FALSE(this->Readable(peer));
  this->Close(peer);
  bool readable = false;
  EXPECT_EQ(peer.thread().Poll(readable), Errc::kClosed);
}

// Rows: PL-13 RD-08
TYPED_TEST(PollTest, StaysReadableWhenTheReadIsTooSmall) {
  auto [manager, service, client, handle, listener, unused] = this->Connect();
  EXPECT_FALSE(this->Readable(service));
  client.Write(Commands().OneWay(handle));
  EXPECT_EQ(service.Read(40).codes(), BrList{Br::BR_NOOP});
  EXPECT_TRUE(this->Readable(service));
  EXPECT_TRUE(this->Shown(service).readable);
}

// Who has polled counts, and as long as nobody has, everybody.
TYPED_TEST(PollTest, AllThreadsCountUntilOneHasPolled) {
  auto [manager, service, client, handle, listener, unused] = this->Connect();
  Actor<TypeParam> second = service.Spawn();
  client.Write(Commands().OneWay(handle));
  EXPECT_EQ(listener->Take(), 1);
  EXPECT_TRUE(this->Shown(service).readable);
  EXPECT_EQ(second.ReadCodes(), BrList{Br::BR_TRANSACTION});
  EXPECT_FALSE(this->Shown(service).readable);

  // From now on the second one is the only one that waits in a set.
  EXPECT_FALSE(this->Readable(second));
  service.Write(Commands().Transact(77));  // Fails: to be read by itself.
  EXPECT_FALSE(this->Shown(service).readable);
  // Its OS thread ends.
  second.thread().SetEnded();
  EXPECT_TRUE(this->Shown(service).readable);
  EXPECT_EQ(service.ReadCodes(), BrList{Br::BR_FAILED_REPLY});
  EXPECT_FALSE(this->Shown(service).readable);
  // Somebody else with its number takes over.
  EXPECT_EQ(second.Read().error, Errc::kWouldBlock);
  service.Write(Commands().Transact(77));
  EXPECT_FALSE(this->Shown(service).readable);
}

// Rows: PL-02
TYPED_TEST(PollTest, AProcThatNobodyHasUsedIsReadable) {
  BasicProc<TypeParam> proc = this->context().Open();
  proc.ShowReadiness(
      [](const auto& survey) { EXPECT_TRUE(survey().readable); });
}

// Its calls return at once, so whoever watches it is to make one; and who wants
// to show that must not hang behind a holder of the lock any more than they.
TYPED_TEST(PollTest, AKilledProcIsReadableWhoeverStalls) {
  using L = TypeParam;
  auto w = this->Connect();
  EXPECT_EQ(w.service.Read().error, Errc::kWouldBlock);
  EXPECT_FALSE(this->Shown(w.service).readable);
  {
    Stalled<L> stalled(this->gates(), w.client, Commands().OneWay(w.handle));
    w.service.proc().Kill();
    if (kKillableOnEntry<L>) {
      EXPECT_TRUE(this->Shown(w.service).readable);
    }
    (void)stalled.GoOn();
  }
  EXPECT_TRUE(this->Shown(w.service).readable);
}

}  // namespace
}  // namespace binderlite::testing
