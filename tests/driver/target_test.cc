// SPDX-License-Identifier: Apache-2.0
//
// What handles lead to, and what keeps the node that they lead to.

#include "binderlite/driver/target.h"

#include <cstdint>
#include <string>

#include "support/call_test.h"

namespace binderlite::testing {
namespace {

template <class L>
class TargetTest : public CallTest<L> {};
BINDERLITE_FOR_ALL_DISCIPLINES(TargetTest);

// Rows: TG-01
TYPED_TEST(TargetTest, EachHandleLeadsToTheProcOfItsNode) {
  auto [manager, service, client, handle] = this->Connected();
  Peer<TypeParam>& other = this->Open({.name = "other"});
  const std::uint32_t to_other =
      this->Give(manager, other, client, 0x5000, 0x6000);
  const std::uint32_t second =
      this->Give(manager, service, client, 0x3000, 0x4000);
  client.Write(Commands().OneWay(second).OneWay(to_other).OneWay(handle));
  EXPECT_EQ(this->Receive(other).tr.target.ptr, 0x5000u);
  EXPECT_EQ(this->Receive(service).tr.target.ptr, 0x3000u);
  EXPECT_EQ(this->Receive(service).tr.target.ptr, this->kPtr);
  this->ExpectNothing(manager);
}

// Rows: TG-02
TYPED_TEST(TargetTest, UnknownHandle) {
  auto [manager, service, client, handle] = this->Connected();
  const std::string before = this->State();
  for (const std::uint32_t unknown : {handle + 1, 4711u, ~0u}) {
    this->ExpectFails(client, Commands().Transact(unknown), kFailed,
                      Errc::kInvalid);
    this->ExpectFails(client, Commands().OneWay(unknown), kFailed,
                      Errc::kInvalid);
  }
  EXPECT_EQ(this->State(), before);
}

// Rows: TG-03
TYPED_TEST(TargetTest, HandleWithOnlyWeakCounts) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().IncRefs(handle).Release(handle));
  const std::string before = this->State();
  this->ExpectFails(client, Commands().Transact(handle), kFailed,
                    Errc::kInvalid);
  this->ExpectFails(client, Commands().OneWay(handle), kFailed, Errc::kInvalid);
  EXPECT_EQ(this->State(), before);
}

// Rows: TG-04
TYPED_TEST(TargetTest, ProcOfTheNodeIsGone) {
  auto [manager, service, client, handle] = this->Connected();
  this->Close(service);
  const std::string before = this->State();
  this->ExpectFails(client, Commands().Transact(handle), kDead, Errc::kInvalid);
  this->ExpectFails(client, Commands().OneWay(handle), kDead, Errc::kInvalid);
  EXPECT_EQ(this->State(), before);
}

// Rows: TG-05
TYPED_TEST(TargetTest, ManagerWithThePidOfTheSender) {
  Peer<TypeParam>& manager = this->OpenManager({.pid = 500});
  Peer<TypeParam>& same = this->Open({.pid = 500});
  Peer<TypeParam>& other = this->Open({.pid = 501});
  this->ExpectFails(same, Commands().Transact(0), kFailed, Errc::kInvalid);
  this->ExpectFails(same, Commands().OneWay(0), kFailed, Errc::kInvalid);
  // A handle of its own makes no difference.
  same.Write(Commands().Acquire(0));
  this->ExpectFails(same, Commands().Transact(0), kFailed, Errc::kInvalid);
  this->ExpectNothing(manager);
  other.Write(Commands().OneWay(0));
  EXPECT_EQ(this->Receive(manager).tr.target.ptr, 0u);
}

// Rows: TG-05
TYPED_TEST(TargetTest, OtherHandlesDoNotLookAtPids) {
  Peer<TypeParam>& manager = this->OpenManager({.pid = 499});
  Peer<TypeParam>& service = this->Open({.pid = 500});
  Peer<TypeParam>& client = this->Open({.pid = 500});
  const std::uint32_t handle = this->Give(manager, service, client, 1, 2);
  client.Write(Commands().Transact(handle));
  const Received call = this->Receive(service);
  EXPECT_EQ(call.tr.sender_pid, 500);
  this->Answer(service, call);
  this->ExpectReply(client, 0);
}

// Rows: TG-06
TYPED_TEST(TargetTest, NoManager) {
  Peer<TypeParam>& client = this->Open();
  this->ExpectFails(client, Commands().Transact(0), kDead, Errc::kInvalid);
  Peer<TypeParam>& manager = this->OpenManager();
  client.Write(Commands().Acquire(0).OneWay(0));
  EXPECT_EQ(client.ReadCodes(), BrList{kComplete});
  this->Close(manager);
  this->ExpectFails(client, Commands().Transact(0), kDead, Errc::kInvalid);
  this->ExpectFails(client, Commands().OneWay(0), kDead, Errc::kInvalid);
}

// Rows: TG-07
TYPED_TEST(TargetTest, HandleZeroNeedsNoRef) {
  Peer<TypeParam>& manager = this->OpenManager();
  Peer<TypeParam>& client = this->Open();
  client.Write(Commands().Transact(0));
  const Received call = this->Receive(manager);
  EXPECT_TRUE(this->SnapshotOf(client).refs.empty());
  this->Answer(manager, call);
  this->ExpectReply(client, 0);
}

// Rows: TG-07
TYPED_TEST(TargetTest, HandleZeroIgnoresAStaleRef) {
  Peer<TypeParam>& first = this->OpenManager();
  Peer<TypeParam>& client = this->Open();
  client.Write(Commands().Acquire(0));
  this->Close(first);
  Peer<TypeParam>& second = this->OpenManager();
  ASSERT_EQ(this->SnapshotOf(client).refs.size(), 1u);
  EXPECT_TRUE(this->SnapshotOf(client).refs[0].node_dead);
  client.Write(Commands().Transact(0));
  this->Answer(second, this->Receive(second));
  this->ExpectReply(client, 0);
}

// Rows: TG-08
TYPED_TEST(TargetTest, ManagerCallsItself) {
  Peer<TypeParam>& manager = this->OpenManager();
  const std::string before = this->State();
  this->ExpectFails(manager, Commands().Transact(0), kFailed, Errc::kInvalid);
  this->ExpectFails(manager, Commands().OneWay(0), kFailed, Errc::kInvalid);
  EXPECT_EQ(this->State(), before);
}

// Rows: TG-09
TYPED_TEST(TargetTest, BufferKeepsTheTargetNodeAlive) {
  auto [manager, service, client, handle] = this->Connected();
  for (const bool one_way : {false, true}) {
    EXPECT_EQ(this->NodeOf(service, this->kPtr).local_strong, 0);
    client.Write(one_way ? Commands().OneWay(handle)
                         : Commands().Transact(handle));
    EXPECT_EQ(this->NodeOf(service, this->kPtr).local_strong, 1);
    const Received call = this->Receive(service);
    EXPECT_EQ(this->NodeOf(service, this->kPtr).local_strong, 1);
    service.Write(Commands().Free(call.tr.buffer));
    EXPECT_EQ(this->NodeOf(service, this->kPtr).local_strong, 0);
    if (!one_way) service.Write(Commands().Reply());
    (void)service.ReadAll();
    (void)client.ReadAll();
  }
  // The buffer is all that keeps it.
  client.Write(Commands().OneWay(handle).Release(handle));
  const Received last = this->Receive(service);
  EXPECT_EQ(last.tr.target.ptr, this->kPtr);
  EXPECT_EQ(this->NodeOf(service, this->kPtr).internal_strong, 0);
  this->ExpectNothing(service);
  service.Write(Commands().Free(last.tr.buffer));
  EXPECT_EQ(service.ReadCodes(), (BrList{Br::BR_RELEASE, Br::BR_DECREFS}));
}

// Rows: TG-10
TYPED_TEST(TargetTest, TargetWithoutAMapping) {
  Peer<TypeParam>& manager = this->OpenManager({.arena_size = 0});
  Peer<TypeParam>& client = this->Open();
  const std::string before = this->State();
  this->ExpectFails(client, Commands().Transact(0), kDead, Errc::kNoProcess);
  this->ExpectFails(client, Commands().OneWay(0), kDead, Errc::kNoProcess);
  // Before it is looked at the sizes.
  TransactionData huge = {};
  huge.data_size = ~std::uint64_t{0};
  this->ExpectFails(client, Commands().Put(Bc::BC_TRANSACTION, huge), kDead,
                    Errc::kNoProcess);
  EXPECT_EQ(this->State(), before);
  EXPECT_EQ(manager.proc().Map(4096), Errc::kOk);
  client.Write(Commands().OneWay(0));
  EXPECT_EQ(client.ReadCodes(), BrList{kComplete});
}

// Rows: TG-10
TYPED_TEST(TargetTest, TargetUnmapped) {
  auto [manager, service, client, handle] = this->Connected();
  const std::string before = this->State();
  service.proc().Unmap();
  this->ExpectFails(client, Commands().Transact(handle), kDead,
                    Errc::kNoProcess);
  this->ExpectFails(client, Commands().OneWay(handle), kDead, Errc::kNoProcess);
  EXPECT_EQ(this->State(), before);
}

}  // namespace
}  // namespace binderlite::testing
