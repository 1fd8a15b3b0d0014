// SPDX-License-Identifier: Apache-2.0
//
// What is told when a transaction cannot be queued, a reply cannot be built, or
// somebody dies.

#include "binderlite/driver/failed_reply.h"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "support/call_test.h"

namespace binderlite::testing {
namespace {

template <class L>
class FailedReplyTest : public CallTest<L> {};
BINDERLITE_FOR_ALL_DISCIPLINES(FailedReplyTest);

using FailedReplyRaceTest = RaceTest;

// Rows: TX-18
TEST_F(FailedReplyRaceTest, TargetDiesBeforeTheTransactionIsQueued) {
  auto [manager, service, client, handle] = Connected();
  for (const bool one_way : {false, true}) {
    Peer<FineGrained<>>& victim = Open();
    const std::uint32_t to_victim = Give(manager, victim, client, 1, 2);
    Payload object;  // Whose announcement is taken back, too.
    object.Binder(0x7000 + one_way, 1);
    const Result result =
        AtSending(client, Commands().Transact(to_victim, object, 0, one_way),
                  [&victim] { victim.proc().Close(); });
    EXPECT_EQ(result.codes(), (BrList{kNoop, kDead})) << one_way;
    EXPECT_EQ(client.TakeError(), (std::pair{kDead, 0}));
    EXPECT_TRUE(ThreadOf(client, client).stack.empty());
    EXPECT_TRUE(SnapshotOf(client).nodes.empty());
    ExpectNothing(client);
  }
}

// Rows: TX-19
TYPED_TEST(FailedReplyTest, CallerHasExited) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().Transact(handle));
  const Received call = this->Receive(service);
  EXPECT_EQ(client.thread().ThreadExit(), Errc::kOk);
  // Would fail if it were built: it is larger than the arena.
  Payload huge;
  huge.data().resize((std::size_t{1} << 20) + 8);
  huge.Handle(4711);
  EXPECT_EQ(service.Do(Commands().Free(call.tr.buffer).Reply(huge)).codes(),
            (BrList{kNoop, kComplete}));
  EXPECT_EQ(service.TakeError(), kNoError);
  EXPECT_EQ(this->SnapshotOf(client).buffers, 0u);
  EXPECT_TRUE(this->ThreadOf(service, service).stack.empty());
  // The new record of the same thread hears nothing.
  EXPECT_EQ(client.Read().codes(), BrList{kNoop});
  this->ExpectNothing(client);
}

// Rows: TX-20
TYPED_TEST(FailedReplyTest, ReplyThatCannotBeBuilt) {
  auto [manager, service, client, handle] = this->Connected();
  Payload bad_object;
  bad_object.Binder(0x7000, 1).Handle(4711);
  Payload too_large;
  too_large.data().resize((std::size_t{1} << 20) + 8);
  struct Case {
    const Payload* reply;
    bool unmap;
    Br code;
    Errc why;
  };
  const Payload good("good");
  for (const Case& c : {Case{&bad_object, false, kFailed, Errc::kInvalid},
                        Case{&too_large, false, kFailed, Errc::kNoSpace},
                        Case{&good, true, kDead, Errc::kNoProcess}}) {
    if (c.unmap) client.proc().Unmap();
    client.Write(Commands().Transact(handle));
    const Received call = this->Receive(service);
    service.Write(Commands().Free(call.tr.buffer).Reply(*c.reply));
    EXPECT_EQ(service.ReadCodes(), BrList{kComplete});
    ExtendedError replier = {};
    EXPECT_EQ(service.thread().GetExtendedError(replier), Errc::kOk);
    EXPECT_EQ(replier.command, static_cast<std::uint32_t>(Br::BR_OK));
    EXPECT_EQ(replier.param, 0);

    EXPECT_EQ(client.Read().codes(), (BrList{kNoop, kComplete, c.code}));
    ExtendedError caller = {};
    EXPECT_EQ(client.thread().GetExtendedError(caller), Errc::kOk);
    EXPECT_EQ(caller.id, replier.id);
    EXPECT_EQ(caller.command, static_cast<std::uint32_t>(c.code));
    EXPECT_EQ(caller.param, -static_cast<std::int32_t>(c.why));
    EXPECT_EQ(this->SnapshotOf(client).buffers, 0u);
    EXPECT_TRUE(this->ThreadOf(client, client).stack.empty());
    EXPECT_TRUE(this->ThreadOf(service, service).stack.empty());
    EXPECT_TRUE(this->SnapshotOf(service).refs.empty());
    EXPECT_EQ(this->SnapshotOf(service).nodes.size(), 1u);
  }
}

// Rows: TX-20
TYPED_TEST(FailedReplyTest, ReplyFailureDoesNotOverwriteAnotherError) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().Transact(handle));
  (void)this->Receive(service);
  client.Write(Commands().Transact(handle));  // Fails: EPROTO.
  Payload bad;
  bad.Handle(4711);
  service.Write(Commands().Reply(bad));
  EXPECT_EQ(client.ReadCodes(), (BrList{kComplete, kFailed, kFailed}));
  EXPECT_EQ(client.TakeError(), (std::pair{kFailed, -EPROTO}));
}

// Rows: TX-21
TYPED_TEST(FailedReplyTest, SecondReplyErrorIsDropped) {
  auto [manager, service, client, handle] = this->Connected();
  Peer<TypeParam>& other = this->Open();
  const std::uint32_t to_other = this->Give(manager, other, client, 1, 2);
  client.Write(Commands().Transact(handle));
  this->Close(service);
  (void)this->gates().TakeErrors();
  client.Write(Commands().Transact(to_other));
  this->Close(other);
  EXPECT_EQ(this->gates().TakeErrors(),
            std::vector{UserError::kDroppedReplyError});
  EXPECT_EQ(client.ReadCodes(), (BrList{kComplete, kDead, kComplete}));
  EXPECT_TRUE(this->ThreadOf(client, client).stack.empty());
  this->ExpectNothing(client);
  // It is not stuck.
  client.Write(Commands().Transact(0));
  this->Answer(manager, this->Receive(manager));
  this->ExpectReply(client, 0);
}

// Rows: TX-22
TYPED_TEST(FailedReplyTest, TargetDiesWithTheCallUnreadOrBeingServed) {
  Peer<TypeParam>& manager = this->OpenManager();
  Peer<TypeParam>& client = this->Open();
  for (const bool read : {false, true}) {
    for (const bool waits : {false, true}) {
      Peer<TypeParam>& service = this->Open();
      const std::uint32_t handle = this->Give(manager, service, client, 1, 2);
      std::unique_ptr<Blocked<TypeParam>> waiting;
      if (waits) {
        waiting = this->Block(client, client, Commands().Transact(handle));
      } else {
        client.Write(Commands().Transact(handle));
      }
      if (read) (void)this->Receive(service);
      this->HoldWhile(client, [&] { this->Close(service); });
      const Result result = waits ? waiting->Join() : client.Read();
      EXPECT_EQ(result.codes(), (BrList{kNoop, kComplete, kDead}));
      ExtendedError error = {};
      EXPECT_EQ(client.thread().GetExtendedError(error), Errc::kOk);
      EXPECT_NE(error.id, 0u);
      EXPECT_EQ(error.command, static_cast<std::uint32_t>(Br::BR_OK));
      EXPECT_EQ(error.param, 0);
      EXPECT_TRUE(this->ThreadOf(client, client).stack.empty());
      client.Write(Commands().Release(handle));
    }
  }
}

// Rows: TX-22
TYPED_TEST(FailedReplyTest, TargetIsKilled) {
  auto [manager, service, client, handle] = this->Connected();
  auto waiting = this->Block(client, client, Commands().Transact(handle));
  (void)this->Receive(service);
  service.proc().Kill();
  EXPECT_EQ(waiting->Join().codes(), (BrList{kNoop, kComplete, kDead}));
  EXPECT_EQ(client.TakeError(), kNoError);
}

// Rows: TX-22
TYPED_TEST(FailedReplyTest, TargetDiesWithTheCallOnAThreadsOwnList) {
  auto [manager, service, client, handle] = this->Connected();
  Actor<TypeParam> worker = service.Spawn();
  this->StrandCall(service, worker, client, Commands().Transact(handle));
  this->Close(service);
  EXPECT_EQ(client.ReadCodes(), (BrList{kComplete, kDead}));
  EXPECT_EQ(client.TakeError(), kNoError);
}

}  // namespace
}  // namespace binderlite::testing
