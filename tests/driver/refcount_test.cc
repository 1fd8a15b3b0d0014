// SPDX-License-Identifier: Apache-2.0
//
// Reference counting as owners and holders see it: handle numbers, who is told
// of a node and when, acknowledgements, handle 0.

#include "binderlite/driver/refcount.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "support/driver_test.h"

namespace binderlite::testing {
namespace {

using ErrorList = std::vector<UserError>;
using WorkTypes = std::vector<core::WorkType>;
// Of a handle: {strong, weak}.
using CountsOf = std::pair<int, int>;
constexpr CountsOf kNoHandle = {0, 0};

template <class L>
class RefcountTest : public DriverTest<L> {
 protected:
  static constexpr std::uint64_t kPtr = DriverTest<L>::kPtr;
  static constexpr std::uint64_t kCookie = DriverTest<L>::kCookie;

  // An owner of nodes, and a holder of handles to them that the owner reaches
  // as handle 0.
  struct Two {
    Peer<L>& owner;
    Peer<L>& holder;
  };
  Two OwnerAndHolder() {
    Peer<L>& holder = this->OpenManager({.name = "holder"});
    Peer<L>& owner = this->Open({.name = "owner"});
    return {owner, holder};
  }

  // The owner calls the holder; returns the call that the holder reads.
  Received Call(Actor<L>& owner, Actor<L>& holder, const Payload& payload) {
    owner.Write(Commands().Transact(0, payload));
    return Incoming(holder);
  }
  // The transaction among all that there is to read.
  Received Incoming(Actor<L>& actor) {
    for (const Received& r : actor.ReadAll()) {
      if (r.br == Br::BR_TRANSACTION) return r;
    }
    ADD_FAILURE() << "no transaction to read";
    return {};
  }
  // The holder keeps a strong (or weak) count of its own and answers.
  void KeepStrong(Actor<L>& holder, const Received& call) {
    holder.Write(
        Commands().Acquire(call.object(0).handle).Free(call.tr.buffer).Reply());
  }
  void KeepWeak(Actor<L>& holder, const Received& call) {
    holder.Write(
        Commands().IncRefs(call.object(0).handle).Free(call.tr.buffer).Reply());
  }
  // The holder keeps nothing and answers.
  void KeepNothing(Actor<L>& holder, const Received& call) {
    holder.Write(Commands().Free(call.tr.buffer).Reply());
  }

  // A strong handle for the holder, acknowledged by the owner.
  std::uint32_t Hand(Two& two, std::uint64_t ptr = kPtr,
                     std::uint64_t cookie = kCookie) {
    return this->Give(two.holder, two.owner, two.holder, ptr, cookie);
  }
  // The same with a weak handle.
  std::uint32_t HandWeak(Two& two, std::uint64_t ptr = kPtr,
                         std::uint64_t cookie = kCookie) {
    const Received call =
        Call(two.owner, two.holder, Payload().WeakBinder(ptr, cookie));
    KeepWeak(two.holder, call);
    this->Settle(two.owner);
    this->Settle(two.holder);
    return call.object(0).handle;
  }

  // All that there is to read, as codes.
  static BrList Drain(Actor<L>& actor) { return Codes(actor.ReadAll()); }

  CountsOf Counts(Peer<L>& holder, std::uint32_t handle) {
    for (const debug::RefSnapshot& ref : this->SnapshotOf(holder).refs) {
      if (ref.handle == handle) return {ref.strong, ref.weak};
    }
    return kNoHandle;
  }
  bool HasNode(Peer<L>& owner, std::uint64_t ptr = kPtr) {
    for (const debug::NodeSnapshot& node : this->SnapshotOf(owner).nodes) {
      if (node.ptr == ptr) return true;
    }
    return false;
  }
  debug::NodeSnapshot NodeOf(Peer<L>& owner, std::uint64_t ptr = kPtr) {
    for (const debug::NodeSnapshot& node : this->SnapshotOf(owner).nodes) {
      if (node.ptr == ptr) return node;
    }
    ADD_FAILURE() << "no node " << ptr;
    return {};
  }
  std::uint64_t Live(core::ObjectKind kind) {
    return this->Snapshot().live(kind);
  }
};
BINDERLITE_FOR_ALL_DISCIPLINES(RefcountTest);

// --- Handles ---------------------------------------------------------------

// Rows: RF-01
TYPED_TEST(RefcountTest, NewHandlesTakeTheLowestFreeNumber) {
  auto [owner, holder] = this->OwnerAndHolder();
  const Received call = this->Call(
      owner, holder, Payload().Binder(0x30, 1).Binder(0x20, 2).Binder(0x10, 3));
  EXPECT_EQ(call.object(0).handle, 1u);
  EXPECT_EQ(call.object(1).handle, 2u);
  EXPECT_EQ(call.object(2).handle, 3u);
  // Number 2 goes, and is the next to be given.
  holder.Write(Commands().Acquire(1).Acquire(3).Free(call.tr.buffer).Reply());
  this->Settle(owner);
  EXPECT_EQ(this->Counts(holder, 2), kNoHandle);
  const Received next =
      this->Call(owner, holder, Payload().Binder(0x40, 4).Binder(0x50, 5));
  EXPECT_EQ(next.object(0).handle, 2u);
  EXPECT_EQ(next.object(1).handle, 4u);
}

// Rows: RF-02
TYPED_TEST(RefcountTest, OneHandleForStrongAndWeakUse) {
  auto two = this->OwnerAndHolder();
  const Received call = this->Call(two.owner, two.holder,
                                   Payload()
                                       .Binder(this->kPtr, this->kCookie)
                                       .WeakBinder(this->kPtr, this->kCookie));
  const std::uint32_t handle = call.object(0).handle;
  EXPECT_EQ(call.object(1).handle, handle);
  EXPECT_EQ(this->Counts(two.holder, handle), CountsOf(1, 1));
  this->KeepStrong(two.holder, call);
  this->Settle(two.owner);
  // The same again when it is sent later.
  const Received later = this->Call(
      two.owner, two.holder, Payload().WeakBinder(this->kPtr, this->kCookie));
  EXPECT_EQ(later.object(0).handle, handle);
  EXPECT_EQ(this->SnapshotOf(two.holder).refs.size(), 1u);
}

// Rows: RF-12
TYPED_TEST(RefcountTest, WeakCountsGoUpAndDownAlsoOnStrongHandles) {
  auto two = this->OwnerAndHolder();
  auto& [owner, holder] = two;
  const std::uint32_t handle = this->Hand(two);
  ASSERT_EQ(this->Counts(holder, handle), CountsOf(1, 0));
  holder.Write(Commands().IncRefs(handle).IncRefs(handle));
  EXPECT_EQ(this->Counts(holder, handle), CountsOf(1, 2));
  holder.Write(Commands().DecRefs(handle));
  EXPECT_EQ(this->Counts(holder, handle), CountsOf(1, 1));
  EXPECT_EQ(this->Drain(owner), BrList());
  // The weak one keeps the handle when the strong one goes.
  holder.Write(Commands().Release(handle));
  EXPECT_EQ(this->Counts(holder, handle), CountsOf(0, 1));
  EXPECT_EQ(this->Drain(owner), (BrList{Br::BR_RELEASE}));
  holder.Write(Commands().DecRefs(handle));
  EXPECT_EQ(this->Counts(holder, handle), kNoHandle);
  EXPECT_EQ(this->Drain(owner), (BrList{Br::BR_DECREFS}));
}

// Rows: RF-13
TYPED_TEST(RefcountTest, StrongCountsGoUpAndDown) {
  auto two = this->OwnerAndHolder();
  auto& [owner, holder] = two;
  const std::uint32_t handle = this->Hand(two);
  holder.Write(Commands().Acquire(handle).Acquire(handle));
  EXPECT_EQ(this->Counts(holder, handle), CountsOf(3, 0));
  holder.Write(Commands().Release(handle).Release(handle));
  EXPECT_EQ(this->Counts(holder, handle), CountsOf(1, 0));
  EXPECT_EQ(this->Drain(owner), BrList());
  holder.Write(Commands().Release(handle));
  EXPECT_EQ(this->Counts(holder, handle), kNoHandle);
  EXPECT_EQ(this->Drain(owner), (BrList{Br::BR_RELEASE, Br::BR_DECREFS}));
}

// Rows: RF-14
TYPED_TEST(RefcountTest, WeakHandleCannotBePromoted) {
  auto two = this->OwnerAndHolder();
  auto& [owner, holder] = two;
  const std::uint32_t handle = this->HandWeak(two);
  (void)this->gates().TakeErrors();
  holder.Write(Commands().Acquire(handle));
  EXPECT_EQ(this->gates().TakeErrors(), (ErrorList{UserError::kBadHandle}));
  EXPECT_EQ(this->Counts(holder, handle), CountsOf(0, 1));
  EXPECT_EQ(holder.Do(Commands().Transact(handle)).codes(),
            (BrList{Br::BR_NOOP, Br::BR_FAILED_REPLY}));
  EXPECT_EQ(this->Drain(owner), BrList());
}

// Rows: RF-14
TYPED_TEST(RefcountTest, WeakHandleZeroCanBePromoted) {
  auto [client, manager] = this->OwnerAndHolder();
  client.Write(Commands().IncRefs(0));
  ASSERT_EQ(this->Counts(client, 0), CountsOf(0, 1));
  client.Write(Commands().Acquire(0));
  EXPECT_EQ(this->Counts(client, 0), CountsOf(1, 1));
}

// Rows: RF-15
TYPED_TEST(RefcountTest, MistakesAreIgnored) {
  auto two = this->OwnerAndHolder();
  auto& [owner, holder] = two;
  const std::uint32_t strong = this->Hand(two, 0x10, 1);
  const std::uint32_t weak = this->HandWeak(two, 0x20, 2);
  constexpr std::uint32_t kUnknown = 77;
  (void)this->gates().TakeErrors();
  // Write checks that all of it is consumed without an error.
  holder.Write(Commands()
                   .IncRefs(kUnknown)
                   .Acquire(kUnknown)
                   .Release(kUnknown)
                   .DecRefs(kUnknown)
                   .DecRefs(strong)
                   .Release(weak)
                   .Acquire(strong));
  EXPECT_EQ(this->gates().TakeErrors(),
            (ErrorList{UserError::kBadHandle, UserError::kBadHandle,
                       UserError::kBadCount, UserError::kBadCount,
                       UserError::kBadCount, UserError::kBadCount}));
  EXPECT_EQ(this->Counts(holder, strong), CountsOf(2, 0));
  EXPECT_EQ(this->Counts(holder, weak), CountsOf(0, 1));
  EXPECT_EQ(this->Counts(holder, kUnknown), kNoHandle);
  EXPECT_EQ(this->Drain(owner), BrList());
}

// Rows: RF-16 RF-17
TYPED_TEST(RefcountTest, TryAcquireTellsOfMistakes) {
  auto two = this->OwnerAndHolder();
  auto& [owner, manager] = two;
  const std::uint32_t handle = this->Hand(two, 0x10, 1);
  (void)this->gates().TakeErrors();
  EXPECT_EQ(manager.thread().TryAcquire(handle), Errc::kOk);
  EXPECT_EQ(this->Counts(manager, handle), CountsOf(2, 0));
  EXPECT_EQ(manager.thread().TryAcquire(77), Errc::kNoEntry);
  EXPECT_EQ(manager.thread().TryAcquire(0), Errc::kInvalid);
  this->Close(manager);
  EXPECT_EQ(owner.thread().TryAcquire(0), Errc::kNoEntry);
  EXPECT_EQ(this->Counts(owner, 0), kNoHandle);
  EXPECT_EQ(this->gates().TakeErrors(), ErrorList());
}

// Rows: RF-22
TYPED_TEST(RefcountTest, HandleGoesWithTheBufferThatHeldIt) {
  auto [owner, holder] = this->OwnerAndHolder();
  const Received call =
      this->Call(owner, holder, Payload().Binder(this->kPtr, this->kCookie));
  const std::uint32_t handle = call.object(0).handle;
  EXPECT_EQ(this->Counts(holder, handle), CountsOf(1, 0));
  holder.Write(Commands().RequestDeath(handle, 5));
  EXPECT_EQ(this->Live(core::ObjectKind::kDeath), 1u);
  this->KeepNothing(holder, call);
  EXPECT_EQ(this->Counts(holder, handle), kNoHandle);
  EXPECT_EQ(this->Live(core::ObjectKind::kDeath), 0u);
  this->Settle(owner);
  // A weak one likewise, under the same number: it was free.
  const Received weak = this->Call(
      owner, holder, Payload().WeakBinder(this->kPtr, this->kCookie));
  EXPECT_EQ(weak.object(0).handle, handle);
  EXPECT_EQ(this->Counts(holder, handle), CountsOf(0, 1));
  this->KeepNothing(holder, weak);
  EXPECT_EQ(this->Counts(holder, handle), kNoHandle);
  EXPECT_FALSE(this->HasNode(owner));
}

// Rows: RF-29
TYPED_TEST(RefcountTest, AThousandHandlesComeBackLowestFirst) {
  auto [owner, holder] = this->OwnerAndHolder();
  Payload thousand;
  for (std::uint64_t i = 1; i <= 1000; ++i) thousand.Binder(i * 8, i);
  const Received call = this->Call(owner, holder, thousand);
  Commands keep;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    ASSERT_EQ(call.object(i).handle, i + 1);
    keep.Acquire(i + 1);
  }
  keep.Free(call.tr.buffer);
  for (std::uint32_t handle = 2; handle <= 1000; handle += 2) {
    keep.Release(handle);
  }
  holder.Write(keep.Reply());

  Payload more;
  for (std::uint64_t i = 1; i <= 501; ++i) more.Binder(1 << 20 | i * 8, i);
  Actor other = owner.Spawn();
  const Received again = this->Call(other, holder, more);
  for (std::uint32_t i = 0; i < 500; ++i) {
    ASSERT_EQ(again.object(i).handle, 2 * (i + 1));
  }
  EXPECT_EQ(again.object(500).handle, 1001u);
}

// --- What the owner is told ------------------------------------------------

// Rows: RF-03
TYPED_TEST(RefcountTest, NewNodeIsAnnouncedToTheThreadThatSentIt) {
  auto [owner, holder] = this->OwnerAndHolder();
  Actor other = owner.Spawn();
  this->KeepStrong(
      holder,
      this->Call(owner, holder, Payload().Binder(this->kPtr, this->kCookie)));
  EXPECT_EQ(other.Read().error, Errc::kWouldBlock);
  const Result read = owner.Read();
  EXPECT_EQ(read.codes(), (BrList{Br::BR_NOOP, Br::BR_INCREFS, Br::BR_ACQUIRE,
                                  Br::BR_TRANSACTION_COMPLETE, Br::BR_REPLY}));
  for (const Br br : {Br::BR_INCREFS, Br::BR_ACQUIRE}) {
    EXPECT_EQ(read.Get(br).ptr, this->kPtr);
    EXPECT_EQ(read.Get(br).cookie, this->kCookie);
  }
}

// Rows: RF-04
TYPED_TEST(RefcountTest, NodeThatNobodyKeptIsNeverAnnounced) {
  auto [owner, holder] = this->OwnerAndHolder();
  const Received call =
      this->Call(owner, holder, Payload().Binder(this->kPtr, this->kCookie));
  EXPECT_TRUE(this->HasNode(owner));
  this->KeepNothing(holder, call);
  EXPECT_FALSE(this->HasNode(owner));
  EXPECT_EQ(this->Drain(owner),
            (BrList{Br::BR_TRANSACTION_COMPLETE, Br::BR_REPLY}));
}

// Rows: RF-05
TYPED_TEST(RefcountTest, WeakBinderIsAnnouncedAsWeakOnly) {
  auto [owner, holder] = this->OwnerAndHolder();
  this->KeepWeak(holder,
                 this->Call(owner, holder,
                            Payload().WeakBinder(this->kPtr, this->kCookie)));
  const Result read = owner.Read();
  EXPECT_EQ(read.codes(), (BrList{Br::BR_NOOP, Br::BR_INCREFS,
                                  Br::BR_TRANSACTION_COMPLETE, Br::BR_REPLY}));
  EXPECT_EQ(read.Get(Br::BR_INCREFS).ptr, this->kPtr);
  EXPECT_EQ(read.Get(Br::BR_INCREFS).cookie, this->kCookie);
}

// Rows: RF-06
TYPED_TEST(RefcountTest, AnnouncementsCountUntilAcknowledged) {
  auto [owner, holder] = this->OwnerAndHolder();
  this->KeepStrong(
      holder,
      this->Call(owner, holder, Payload().Binder(this->kPtr, this->kCookie)));
  (void)owner.ReadAll();
  const auto Local = [&, &peer = owner] {
    const debug::NodeSnapshot node = this->NodeOf(peer);
    return std::pair(node.local_strong, node.local_weak);
  };
  EXPECT_EQ(Local(), std::pair(1, 1));
  // Neither another cookie nor another ptr will do.
  owner.Write(Commands()
                  .AcquireDone(this->kPtr, this->kCookie + 1)
                  .IncRefsDone(this->kPtr + 8, this->kCookie));
  EXPECT_EQ(Local(), std::pair(1, 1));
  owner.Write(Commands().AcquireDone(this->kPtr, this->kCookie));
  EXPECT_EQ(Local(), std::pair(0, 1));
  owner.Write(Commands().IncRefsDone(this->kPtr, this->kCookie));
  EXPECT_EQ(Local(), std::pair(0, 0));
}

// Rows: RF-07 RF-11
TYPED_TEST(RefcountTest, OwnerReadsOnlyWhatChangedInOneOrder) {
  auto [owner, holder] = this->OwnerAndHolder();
  const Payload strong = Payload().Binder(this->kPtr, this->kCookie);
  const Payload weak = Payload().WeakBinder(this->kPtr, this->kCookie);
  const auto Acknowledge = [this](Actor<TypeParam>& actor) {
    actor.Write(Commands()
                    .IncRefsDone(this->kPtr, this->kCookie)
                    .AcquireDone(this->kPtr, this->kCookie));
  };
  Actor other = owner.Spawn();  // Any thread is told of a release.

  const Received first = this->Call(owner, holder, weak);
  const std::uint32_t handle = first.object(0).handle;
  this->KeepWeak(holder, first);
  EXPECT_EQ(
      this->Drain(owner),
      (BrList{Br::BR_INCREFS, Br::BR_TRANSACTION_COMPLETE, Br::BR_REPLY}));
  Acknowledge(owner);

  this->KeepStrong(holder, this->Call(owner, holder, strong));
  EXPECT_EQ(
      this->Drain(owner),
      (BrList{Br::BR_ACQUIRE, Br::BR_TRANSACTION_COMPLETE, Br::BR_REPLY}));
  Acknowledge(owner);

  holder.Write(Commands().Release(handle));
  EXPECT_EQ(this->Drain(other), (BrList{Br::BR_RELEASE}));
  holder.Write(Commands().DecRefs(handle));
  EXPECT_EQ(this->Drain(other), (BrList{Br::BR_DECREFS}));
  EXPECT_FALSE(this->HasNode(owner));

  this->KeepStrong(holder, this->Call(owner, holder, strong));
  EXPECT_EQ(this->Drain(owner),
            (BrList{Br::BR_INCREFS, Br::BR_ACQUIRE, Br::BR_TRANSACTION_COMPLETE,
                    Br::BR_REPLY}));
  Acknowledge(owner);

  holder.Write(Commands().Release(handle));
  const Result both = other.Read();
  EXPECT_EQ(both.codes(),
            (BrList{Br::BR_NOOP, Br::BR_RELEASE, Br::BR_DECREFS}));
  EXPECT_EQ(both.Get(Br::BR_RELEASE).ptr, this->kPtr);
  EXPECT_EQ(both.Get(Br::BR_RELEASE).cookie, this->kCookie);
  EXPECT_EQ(both.Get(Br::BR_DECREFS).ptr, this->kPtr);
  EXPECT_EQ(both.Get(Br::BR_DECREFS).cookie, this->kCookie);
  EXPECT_FALSE(this->HasNode(owner));
}

// Rows: RF-08
TYPED_TEST(RefcountTest, ReleaseWaitsForTheAcknowledgement) {
  auto [owner, holder] = this->OwnerAndHolder();
  const Received call =
      this->Call(owner, holder, Payload().Binder(this->kPtr, this->kCookie));
  this->KeepStrong(holder, call);
  (void)owner.ReadAll();
  holder.Write(Commands().Release(call.object(0).handle));
  EXPECT_EQ(this->Drain(owner), BrList());
  owner.Write(Commands().AcquireDone(this->kPtr, this->kCookie));
  EXPECT_EQ(this->Drain(owner), (BrList{Br::BR_RELEASE}));
  EXPECT_TRUE(this->HasNode(owner));
  owner.Write(Commands().IncRefsDone(this->kPtr, this->kCookie));
  EXPECT_EQ(this->Drain(owner), (BrList{Br::BR_DECREFS}));
  EXPECT_FALSE(this->HasNode(owner));
}

// Rows: RF-08
TYPED_TEST(RefcountTest, WeakAcknowledgementAloneReleasesNothing) {
  auto [owner, holder] = this->OwnerAndHolder();
  const Received call =
      this->Call(owner, holder, Payload().Binder(this->kPtr, this->kCookie));
  this->KeepStrong(holder, call);
  (void)owner.ReadAll();
  holder.Write(Commands().Release(call.object(0).handle));
  owner.Write(Commands().IncRefsDone(this->kPtr, this->kCookie));
  EXPECT_EQ(this->Drain(owner), BrList());
  owner.Write(Commands().AcquireDone(this->kPtr, this->kCookie));
  EXPECT_EQ(this->Drain(owner), (BrList{Br::BR_RELEASE, Br::BR_DECREFS}));
}

// Rows: RF-09
TYPED_TEST(RefcountTest, WrongAcknowledgementsAreIgnored) {
  auto two = this->OwnerAndHolder();
  auto& [owner, holder] = two;
  (void)this->Hand(two);
  (void)this->gates().TakeErrors();
  owner.Write(Commands()
                  .AcquireDone(0xbad, this->kCookie)
                  .IncRefsDone(0xbad, this->kCookie)
                  .AcquireDone(this->kPtr, 0xbad)
                  .IncRefsDone(this->kPtr, 0xbad)
                  .AcquireDone(this->kPtr, this->kCookie)
                  .IncRefsDone(this->kPtr, this->kCookie)
                  .EnterLooper());
  EXPECT_EQ(
      this->gates().TakeErrors(),
      (ErrorList{UserError::kBadNode, UserError::kBadNode, UserError::kBadNode,
                 UserError::kBadNode, UserError::kNothingPending,
                 UserError::kNothingPending}));
  EXPECT_EQ(this->SnapshotOf(owner).threads.front().looper,
            core::kLooperEntered);
  const debug::NodeSnapshot node = this->NodeOf(owner);
  EXPECT_EQ(node.local_strong, 0);
  EXPECT_EQ(node.local_weak, 0);
  EXPECT_TRUE(node.has_strong);
  EXPECT_EQ(this->Drain(owner), BrList());
}

// Rows: RF-10
TYPED_TEST(RefcountTest, OwnerHearsNothingOfCountsThatFellAndRose) {
  auto two = this->OwnerAndHolder();
  auto& [owner, holder] = two;
  const std::uint32_t handle = this->Hand(two);
  Actor other = owner.Spawn();
  holder.Write(Commands().Release(handle));
  ASSERT_EQ(this->SnapshotOf(owner).todo, (WorkTypes{core::WorkType::kNode}));
  const Received call =
      this->Call(owner, holder, Payload().Binder(this->kPtr, this->kCookie));
  EXPECT_EQ(other.Read().error, Errc::kWouldBlock);
  EXPECT_EQ(this->SnapshotOf(owner).todo, WorkTypes());
  this->KeepStrong(holder, call);
  EXPECT_EQ(this->Drain(owner),
            (BrList{Br::BR_TRANSACTION_COMPLETE, Br::BR_REPLY}));
  EXPECT_EQ(this->Drain(other), BrList());
}

// Rows: RF-20
TYPED_TEST(RefcountTest, TransactionKeepsItsTargetAlive) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().OneWay(handle).Release(handle));
  EXPECT_EQ(this->Counts(client, handle), kNoHandle);
  const std::vector<Received> read = service.ReadAll();
  EXPECT_EQ(Codes(read), (BrList{Br::BR_TRANSACTION}));
  EXPECT_EQ(read.front().tr.target.ptr, this->kPtr);
  service.Write(Commands().Free(read.front().tr.buffer));
  EXPECT_EQ(this->Drain(service), (BrList{Br::BR_RELEASE, Br::BR_DECREFS}));
  EXPECT_FALSE(this->HasNode(service));
}

// Rows: RF-23
TYPED_TEST(RefcountTest, OwnerIsToldOfTheFirstHolderAndTheLast) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().Transact(0, Payload().Handle(handle)));
  const Received call = this->Incoming(manager);
  this->KeepStrong(manager, call);
  EXPECT_EQ(this->NodeOf(service).internal_strong, 2);
  EXPECT_EQ(this->Drain(service), BrList());  // Told when it was sent first.
  client.Write(Commands().Release(handle));
  EXPECT_EQ(this->Drain(service), BrList());
  manager.Write(Commands().Release(call.object(0).handle));
  EXPECT_EQ(this->Drain(service), (BrList{Br::BR_RELEASE, Br::BR_DECREFS}));
}

// Rows: RF-25
TYPED_TEST(RefcountTest, WeakCountIsAcceptedThoughTheOwnerWasNeverTold) {
  auto [manager, service, client, handle] = this->Connected();
  // The announcement is lost with the thread that should read it.
  Actor sender = client.Spawn();
  sender.Write(Commands().OneWay(handle, Payload().Binder(0x77, 7)));
  ASSERT_EQ(sender.thread().ThreadExit(), Errc::kOk);
  const Received got = this->Incoming(service);
  const std::uint32_t lost = got.object(0).handle;
  service.Write(Commands().Acquire(lost).Free(got.tr.buffer));
  ASSERT_FALSE(this->NodeOf(client, 0x77).has_weak);
  (void)this->gates().TakeErrors();

  service.Write(Commands().IncRefs(lost));
  EXPECT_EQ(this->Counts(service, lost), CountsOf(1, 1));
  service.Write(Commands().Transact(0, Payload().WeakHandle(lost)));
  const Received passed = this->Incoming(manager);
  EXPECT_EQ(this->Counts(manager, passed.object(0).handle), CountsOf(0, 1));
  EXPECT_EQ(this->SnapshotOf(client).todo, WorkTypes());
  EXPECT_EQ(this->Drain(client), BrList());
}

// Rows: RF-26
TYPED_TEST(RefcountTest, BufferMayNameAHandleThatIsGone) {
  auto [owner, holder] = this->OwnerAndHolder();
  const Received call =
      this->Call(owner, holder, Payload().Binder(this->kPtr, this->kCookie));
  const std::uint32_t handle = call.object(0).handle;
  holder.Write(Commands().Acquire(handle).Release(handle).Release(handle));
  EXPECT_EQ(this->Counts(holder, handle), kNoHandle);
  (void)this->gates().TakeErrors();
  this->KeepNothing(holder, call);
  EXPECT_EQ(this->gates().TakeErrors(), (ErrorList{UserError::kBadHandle}));
  EXPECT_FALSE(this->HasNode(owner));
  EXPECT_EQ(this->Drain(owner),
            (BrList{Br::BR_TRANSACTION_COMPLETE, Br::BR_REPLY}));
}

// Rows: RF-27
TYPED_TEST(RefcountTest, StrongSendTakesOverTheWorkThatIsQueued) {
  auto two = this->OwnerAndHolder();
  auto& [owner, holder] = two;
  const std::uint32_t handle = this->HandWeak(two);
  holder.Write(Commands().DecRefs(handle));
  ASSERT_EQ(this->SnapshotOf(owner).todo, (WorkTypes{core::WorkType::kNode}));
  Actor sender = owner.Spawn();
  sender.Write(
      Commands().OneWay(0, Payload().Binder(this->kPtr, this->kCookie)));
  EXPECT_EQ(this->SnapshotOf(owner).todo, WorkTypes());
  EXPECT_EQ(owner.Read().error, Errc::kWouldBlock);
  EXPECT_EQ(sender.ReadCodes(),
            (BrList{Br::BR_ACQUIRE, Br::BR_TRANSACTION_COMPLETE}));
}

// Rows: RF-27
TYPED_TEST(RefcountTest, WeakSendLeavesTheWorkWhereItIs) {
  auto two = this->OwnerAndHolder();
  auto& [owner, holder] = two;
  const std::uint32_t handle = this->HandWeak(two);
  holder.Write(Commands().DecRefs(handle));
  Actor sender = owner.Spawn();
  sender.Write(
      Commands().OneWay(0, Payload().WeakBinder(this->kPtr, this->kCookie)));
  EXPECT_EQ(this->SnapshotOf(owner).todo, (WorkTypes{core::WorkType::kNode}));
  EXPECT_EQ(sender.ReadCodes(), (BrList{Br::BR_TRANSACTION_COMPLETE}));
}

// An announcement that another thread has not read is work like that.
// Rows: RF-27
TYPED_TEST(RefcountTest, StrongSendTakesOverAnotherThreadsAnnouncement) {
  auto [owner, holder] = this->OwnerAndHolder();
  const Payload strong = Payload().Binder(this->kPtr, this->kCookie);
  const Payload weak = Payload().WeakBinder(this->kPtr, this->kCookie);
  Actor second = owner.Spawn();
  owner.Write(Commands().OneWay(0, weak));
  second.Write(Commands().OneWay(0, strong));
  EXPECT_EQ(owner.ReadCodes(), (BrList{Br::BR_TRANSACTION_COMPLETE}));
  EXPECT_EQ(second.ReadCodes(), (BrList{Br::BR_INCREFS, Br::BR_ACQUIRE,
                                        Br::BR_TRANSACTION_COMPLETE}));
}

// Rows: RF-27
TYPED_TEST(RefcountTest, WeakSendLeavesAnotherThreadsAnnouncement) {
  auto [owner, holder] = this->OwnerAndHolder();
  const Payload strong = Payload().Binder(this->kPtr, this->kCookie);
  const Payload weak = Payload().WeakBinder(this->kPtr, this->kCookie);
  Actor second = owner.Spawn();
  owner.Write(Commands().OneWay(0, strong));
  second.Write(Commands().OneWay(0, weak));
  EXPECT_EQ(second.ReadCodes(), (BrList{Br::BR_TRANSACTION_COMPLETE}));
  EXPECT_EQ(owner.ReadCodes(), (BrList{Br::BR_INCREFS, Br::BR_ACQUIRE,
                                       Br::BR_TRANSACTION_COMPLETE}));
}

// Rows: RF-28
TYPED_TEST(RefcountTest, AnnouncementIsLostWithItsThread) {
  auto [manager, service, client, handle] = this->Connected();
  Actor sender = client.Spawn();
  sender.Write(Commands().OneWay(handle, Payload().Binder(0x77, 7)));
  ASSERT_EQ(sender.thread().ThreadExit(), Errc::kOk);
  client.Check();
  const Received got = this->Incoming(service);
  service.Write(Commands().Acquire(got.object(0).handle).Free(got.tr.buffer));
  EXPECT_EQ(this->SnapshotOf(client).todo, WorkTypes());
  EXPECT_EQ(this->Drain(client), BrList());
  EXPECT_EQ(sender.Read().codes(), (BrList{Br::BR_NOOP}));  // A new record.
  EXPECT_EQ(this->Drain(sender), BrList());
  // The next change of the counts brings it back.
  client.Write(Commands().OneWay(0, Payload().Binder(0x77, 7)));
  EXPECT_EQ(this->Drain(client), (BrList{Br::BR_INCREFS, Br::BR_ACQUIRE,
                                         Br::BR_TRANSACTION_COMPLETE}));
}

// Rows: RF-30
TYPED_TEST(RefcountTest, HandlesOutliveTheOwner) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().Acquire(handle).IncRefs(handle));
  this->Close(service);
  ASSERT_EQ(this->Live(core::ObjectKind::kNode), 2u);  // And the manager's.
  client.Write(Commands().Release(handle));
  EXPECT_EQ(this->Counts(client, handle), CountsOf(1, 1));
  client.Write(Commands().Release(handle));
  EXPECT_EQ(this->Counts(client, handle), CountsOf(0, 1));
  EXPECT_EQ(this->Live(core::ObjectKind::kNode), 2u);
  client.Write(Commands().DecRefs(handle));
  EXPECT_EQ(this->Counts(client, handle), kNoHandle);
  EXPECT_EQ(this->Live(core::ObjectKind::kNode), 1u);
}

// --- Handle 0 --------------------------------------------------------------

// Rows: RF-16
TYPED_TEST(RefcountTest, HandleZeroIsTheCurrentManager) {
  Peer<TypeParam>& first = this->OpenManager();
  Peer<TypeParam>& strong = this->Open();
  Peer<TypeParam>& weak = this->Open();
  strong.Write(Commands().Acquire(0));
  weak.Write(Commands().IncRefs(0).IncRefs(0));
  EXPECT_EQ(this->Counts(strong, 0), CountsOf(1, 0));
  EXPECT_EQ(this->Counts(weak, 0), CountsOf(0, 2));
  EXPECT_EQ(this->NodeOf(first, 0).refs, 2);

  // A new manager does not inherit the handles to the old one.
  this->Close(first);
  Peer<TypeParam>& second = this->OpenManager();
  strong.Write(Commands().Acquire(0));
  weak.Write(Commands().IncRefs(0));
  Peer<TypeParam>& late = this->Open();
  late.Write(Commands().Acquire(0));
  EXPECT_EQ(this->Counts(strong, 0), CountsOf(1, 0));
  EXPECT_EQ(this->Counts(strong, 1), CountsOf(1, 0));
  EXPECT_EQ(this->Counts(weak, 0), CountsOf(0, 2));
  EXPECT_EQ(this->Counts(weak, 1), CountsOf(0, 1));
  EXPECT_EQ(this->Counts(late, 0), CountsOf(1, 0));
  EXPECT_EQ(this->NodeOf(second, 0).refs, 3);
  // Number 1 is the second manager indeed.
  strong.Write(Commands().OneWay(1));
  EXPECT_TRUE(second.Read().Has(Br::BR_TRANSACTION));
}

// Rows: RF-17
TYPED_TEST(RefcountTest, ManagerMayNotReferToItself) {
  Peer<TypeParam>& manager = this->OpenManager();
  for (const bool strong : {false, true}) {
    Commands commands;
    commands.EnterLooper();
    const std::size_t good = commands.bytes().size();
    if (strong) {
      commands.Acquire(0);
    } else {
      commands.IncRefs(0);
    }
    commands.ExitLooper();
    Actor actor = manager.Spawn();
    const Result result = actor.Do(commands);
    EXPECT_EQ(result.error, Errc::kInvalid);
    EXPECT_EQ(result.write_consumed, good);
    EXPECT_EQ(result.read_consumed, 0u);
    EXPECT_EQ(this->SnapshotOf(manager).threads.back().looper,
              core::kLooperEntered);
  }
  EXPECT_TRUE(this->SnapshotOf(manager).refs.empty());
  // Another Proc of the same process may.
  Peer<TypeParam>& sibling = this->Open({.pid = manager.pid()});
  sibling.Write(Commands().Acquire(0).IncRefs(0));
  EXPECT_EQ(this->Counts(sibling, 0), CountsOf(1, 1));
}

// Rows: RF-18
TYPED_TEST(RefcountTest, HandleZeroWithoutManagerIsAPlainHandle) {
  Peer<TypeParam>& manager = this->OpenManager();
  Peer<TypeParam>& holder = this->Open();
  Peer<TypeParam>& stranger = this->Open();
  holder.Write(Commands().Acquire(0));
  this->Close(manager);
  (void)this->gates().TakeErrors();
  holder.Write(Commands().Acquire(0).IncRefs(0));
  EXPECT_EQ(this->gates().TakeErrors(), ErrorList());
  EXPECT_EQ(this->Counts(holder, 0), CountsOf(2, 1));
  stranger.Write(Commands().Acquire(0).IncRefs(0));
  EXPECT_EQ(this->gates().TakeErrors(),
            (ErrorList{UserError::kBadHandle, UserError::kBadHandle}));
  EXPECT_TRUE(this->SnapshotOf(stranger).refs.empty());
}

// Rows: RF-19
TYPED_TEST(RefcountTest, DroppingHandleZeroMeansTheOwnHandle) {
  Peer<TypeParam>& first = this->OpenManager();
  Peer<TypeParam>& holder = this->Open();
  holder.Write(Commands().Acquire(0).IncRefs(0));
  this->Close(first);
  Peer<TypeParam>& second = this->OpenManager();
  holder.Write(Commands().Acquire(0).IncRefs(0));
  ASSERT_EQ(this->Counts(holder, 1), CountsOf(1, 1));
  // What goes is the handle to the dead manager.
  holder.Write(Commands().Release(0));
  EXPECT_EQ(this->Counts(holder, 0), CountsOf(0, 1));
  holder.Write(Commands().DecRefs(0));
  EXPECT_EQ(this->Counts(holder, 0), kNoHandle);
  EXPECT_EQ(this->Counts(holder, 1), CountsOf(1, 1));
  (void)this->gates().TakeErrors();
  holder.Write(Commands().Release(0).DecRefs(0));
  EXPECT_EQ(this->gates().TakeErrors(),
            (ErrorList{UserError::kBadCount, UserError::kBadCount}));
  EXPECT_EQ(this->NodeOf(second, 0).refs, 1);
}

// Rows: RF-24
TYPED_TEST(RefcountTest, ManagersNodeIsNeverAnnounced) {
  auto [client, manager] = this->OwnerAndHolder();
  Peer<TypeParam>& other = this->Open();
  client.Write(Commands().Acquire(0).IncRefs(0));
  other.Write(Commands().IncRefs(0));
  EXPECT_EQ(this->Drain(manager), BrList());
  client.Write(Commands().Release(0).DecRefs(0));
  other.Write(Commands().DecRefs(0));
  EXPECT_EQ(this->NodeOf(manager, 0).refs, 0);
  EXPECT_EQ(this->Drain(manager), BrList());
  // Nor when it is called, and its buffers are freed.
  client.Write(Commands().OneWay(0));
  const std::vector<Received> read = manager.ReadAll();
  EXPECT_EQ(Codes(read), (BrList{Br::BR_TRANSACTION}));
  manager.Write(Commands().Free(read.front().tr.buffer));
  EXPECT_EQ(this->Drain(manager), BrList());
  (void)this->gates().TakeErrors();
  manager.Write(Commands().AcquireDone(0, 0).IncRefsDone(0, 0));
  EXPECT_EQ(
      this->gates().TakeErrors(),
      (ErrorList{UserError::kNothingPending, UserError::kNothingPending}));
  EXPECT_TRUE(this->HasNode(manager, 0));
}

}  // namespace
}  // namespace binderlite::testing
