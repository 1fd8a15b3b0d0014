// SPDX-License-Identifier: Apache-2.0
//
// Checks driver/reserve.h: payloads that are written where they will be read.

#include "binderlite/driver/reserve.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "support/call_test.h"
#include "support/driver_test.h"
#include "support/streams.h"

namespace binderlite::testing {
namespace {

template <class L>
class ReserveTest : public CallTest<L> {
 protected:
  static void Fill(const Reservation<L>& reservation, std::string_view text) {
    ASSERT_GE(reservation.data().size(), text.size());
    std::memcpy(reservation.data().data(), text.data(), text.size());
  }
  std::size_t BuffersOf(Peer<L>& peer) {
    return this->SnapshotOf(peer).buffers;
  }
};
BINDERLITE_FOR_ALL_DISCIPLINES(ReserveTest);

TYPED_TEST(ReserveTest, IsReadWhereItWasWritten) {
  auto [manager, service, client, handle] = this->Connected();
  Reservation<TypeParam> call;
  ASSERT_EQ(client.thread().Reserve(handle, 5, call), Errc::kOk);
  ASSERT_EQ(call.data().size(), 5u);
  const std::byte* const written = call.data().data();
  this->Fill(call, "hello");
  EXPECT_EQ(this->BuffersOf(service), 1u);
  ASSERT_EQ(client.thread().Transact(std::move(call), Payload().Data(7)),
            Errc::kOk);
  EXPECT_FALSE(call);  // NOLINT(bugprone-use-after-move)
  const Received received = this->Receive(service);
  EXPECT_EQ(received.text(), "hello");
  EXPECT_EQ(received.tr.code, 7u);
  EXPECT_EQ(received.tr.buffer, AddressOf(written));

  Reservation<TypeParam> reply;
  ASSERT_EQ(service.thread().ReserveReply(4, reply), Errc::kOk);
  this->Fill(reply, "fine");
  EXPECT_EQ(service.thread().FreeBuffer(received.tr.buffer), Errc::kOk);
  ASSERT_EQ(service.thread().Reply(std::move(reply), Payload().Data(9)),
            Errc::kOk);
  EXPECT_EQ(service.ReadCodes(), (BrList{kComplete}));
  const Received answer = client.Read().Get(kReply);
  EXPECT_EQ(answer.text(), "fine");
  EXPECT_EQ(answer.tr.code, 9u);
  client.Write(Commands().Free(answer.tr.buffer));
}

TYPED_TEST(ReserveTest, IsAbandonedWhenItIsNotSent) {
  auto [manager, service, client, handle] = this->Connected();
  const std::string before = this->State();
  {
    Reservation<TypeParam> call;
    ASSERT_EQ(client.thread().Reserve(handle, 100, call), Errc::kOk);
    EXPECT_NE(this->State(), before);
    Reservation<TypeParam> other = std::move(call);
    EXPECT_TRUE(other);
    // Another one takes its place.
    ASSERT_EQ(client.thread().Reserve(handle, 8, other, kTfOneWay), Errc::kOk);
    EXPECT_EQ(this->BuffersOf(service), 1u);
    other.Abandon();
    EXPECT_EQ(this->State(), before);
    ASSERT_EQ(client.thread().Reserve(handle, 8, other), Errc::kOk);
  }
  EXPECT_EQ(this->State(), before);
}

TYPED_TEST(ReserveTest, MayBeShorterInTheEnd) {
  auto [manager, service, client, handle] = this->Connected();
  Reservation<TypeParam> call;
  ASSERT_EQ(client.thread().Reserve(handle, 1000, call), Errc::kOk);
  this->Fill(call, "short");
  call.Shrink(5);
  EXPECT_EQ(call.data().size(), 5u);
  ASSERT_EQ(client.thread().Transact(std::move(call), {}), Errc::kOk);
  const Received received = this->Receive(service);
  EXPECT_EQ(received.text(), "short");
  this->Answer(service, received);
  this->ExpectReply(client, 0);
}

TYPED_TEST(ReserveTest, OneWaysArePaidForLikeAnyOther) {
  auto [manager, service, client, handle] = this->Connected();
  const std::size_t half = this->SnapshotOf(service).arena_free_async;
  Reservation<TypeParam> first;
  ASSERT_EQ(client.thread().Reserve(handle, half - 8, first, kTfOneWay),
            Errc::kOk);
  Reservation<TypeParam> second;
  EXPECT_EQ(client.thread().Reserve(handle, 16, second, kTfOneWay),
            Errc::kNoSpace);
  EXPECT_FALSE(second);
  EXPECT_EQ(client.thread().Reserve(handle, 16, second), Errc::kOk);
  first.Shrink(1);
  this->Fill(first, "x");
  // A one-way, whatever the flags say now.
  ASSERT_EQ(client.thread().Transact(std::move(first), Payload().Data(3)),
            Errc::kOk);
  EXPECT_EQ(client.ReadCodes(), (BrList{kComplete}));
  const Received received = this->Receive(service);
  EXPECT_EQ(received.tr.flags & kTfOneWay, kTfOneWay);
  service.Write(Commands().Free(received.tr.buffer));
  second.Abandon();
  EXPECT_EQ(this->SnapshotOf(service).arena_free_async, half);
}

TYPED_TEST(ReserveTest, ObjectsAreTranslatedInPlace) {
  auto [manager, service, client, handle] = this->Connected();
  Payload payload("text....");
  payload.Binder(0x11, 0x22);
  Reservation<TypeParam> call;
  ASSERT_EQ(client.thread().Reserve(handle, payload.data().size(), call, 0,
                                    payload.offsets().size() * 8),
            Errc::kOk);
  std::memcpy(call.data().data(), payload.data().data(), payload.data().size());
  ASSERT_EQ(client.thread().Transact(std::move(call), payload.Data()),
            Errc::kOk);
  const Received received = this->Receive(service);
  EXPECT_EQ(received.text().substr(0, 8), "text....");
  EXPECT_EQ(received.object(0).hdr.type,
            static_cast<std::uint32_t>(ObjectType::kHandle));
  EXPECT_NE(received.object(0).handle, 0u);
  service.Write(Commands().Free(received.tr.buffer).Reply());
  this->Settle(client);
  EXPECT_EQ(service.ReadCodes(), (BrList{kComplete}));
}

// An object that cannot be translated fails the transaction, and nothing of the
// reservation is left.
TYPED_TEST(ReserveTest, BadObjectsAndOffsets) {
  auto [manager, service, client, handle] = this->Connected();
  Payload payload;
  payload.Handle(4711);
  Reservation<TypeParam> call;
  ASSERT_EQ(client.thread().Reserve(handle, payload.data().size(), call, 0, 8),
            Errc::kOk);
  std::memcpy(call.data().data(), payload.data().data(), payload.data().size());
  // There is room for one offset: none is not what was reserved.
  EXPECT_EQ(client.thread().Transact(std::move(call), {}), Errc::kInvalid);
  ASSERT_TRUE(call);  // NOLINT(bugprone-use-after-move)
  ASSERT_EQ(client.thread().Transact(std::move(call), payload.Data()),
            Errc::kOk);
  EXPECT_EQ(client.ReadCodes(), (BrList{kFailed}));
  EXPECT_FALSE(call);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(this->BuffersOf(service), 0u);
}

TYPED_TEST(ReserveTest, WhatCannotBeReserved) {
  auto [manager, service, client, handle] = this->Connected();
  const std::string before = this->State();
  Reservation<TypeParam> none;
  EXPECT_EQ(client.thread().Reserve(4711, 8, none), Errc::kInvalid);
  EXPECT_EQ(client.thread().Reserve(handle, std::size_t{1} << 40, none),
            Errc::kNoSpace);
  EXPECT_EQ(client.thread().Reserve(handle, ~std::size_t{0}, none),
            Errc::kInvalid);
  EXPECT_EQ(client.thread().ReserveReply(8, none), Errc::kInvalid);
  EXPECT_FALSE(none);
  EXPECT_EQ(client.thread().Transact(std::move(none), {}), Errc::kInvalid);
  EXPECT_EQ(this->State(), before);
  this->Close(service);
  EXPECT_EQ(client.thread().Reserve(handle, 8, none), Errc::kNoProcess);
  EXPECT_TRUE(client.ReadCodes().empty());
}

TYPED_TEST(ReserveTest, TheTargetDiesMeanwhile) {
  auto [manager, service, client, handle] = this->Connected();
  Reservation<TypeParam> sent;
  Reservation<TypeParam> abandoned;
  ASSERT_EQ(client.thread().Reserve(handle, 8, sent), Errc::kOk);
  ASSERT_EQ(client.thread().Reserve(handle, 8, abandoned), Errc::kOk);
  this->Close(service);
  this->Fill(sent, "too late");  // The memory is still there.
  EXPECT_EQ(client.thread().Transact(std::move(sent), {}), Errc::kOk);
  EXPECT_EQ(client.ReadCodes(), (BrList{kDead}));
  this->Fill(abandoned, "as well.");
}

TYPED_TEST(ReserveTest, AReplyIsForOneCaller) {
  auto [manager, service, client, handle] = this->Connected();
  Peer<TypeParam>& second = this->Open({.name = "second"});
  const std::uint32_t of_second =
      this->Give(manager, service, second, this->kPtr, this->kCookie);
  client.Write(Commands().Transact(handle));
  const Received first = this->Receive(service);
  Reservation<TypeParam> reply;
  ASSERT_EQ(service.thread().ReserveReply(8, reply), Errc::kOk);
  this->Answer(service, first);
  this->ExpectReply(client, 0);
  second.Write(Commands().Transact(of_second));
  const Received other = this->Receive(service);
  service.Write(Commands().Free(other.tr.buffer));
  ASSERT_EQ(service.thread().Reply(std::move(reply), {}), Errc::kOk);
  EXPECT_EQ(service.ReadCodes(), (BrList{kComplete}));
  EXPECT_EQ(second.ReadCodes(), (BrList{kComplete, kFailed}));
  EXPECT_EQ(this->BuffersOf(client), 0u);
}

// An unread failure stops it like every other command, and loses nothing.
TYPED_TEST(ReserveTest, IsKeptWhileAFailureIsUnread) {
  auto [manager, service, client, handle] = this->Connected();
  Reservation<TypeParam> call;
  ASSERT_EQ(client.thread().Reserve(handle, 8, call), Errc::kOk);
  this->Fill(call, "12345678");
  client.Write(Commands().Transact(4711));
  EXPECT_EQ(client.thread().Transact(std::move(call), {}), Errc::kBusy);
  ASSERT_TRUE(call);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(client.ReadCodes(), (BrList{kFailed}));
  EXPECT_EQ(client.thread().Transact(std::move(call), {}), Errc::kOk);
  const Received received = this->Receive(service);
  EXPECT_EQ(received.text(), "12345678");
  this->Answer(service, received);
  this->ExpectReply(client, 0);
}

// A call while another one is unanswered is refused, and its reservation goes.
TYPED_TEST(ReserveTest, ACallOutOfTurn) {
  auto [manager, service, client, handle] = this->Connected();
  Reservation<TypeParam> call;
  ASSERT_EQ(client.thread().Reserve(handle, 8, call), Errc::kOk);
  client.Write(Commands().Transact(handle));
  ASSERT_EQ(client.thread().Transact(std::move(call), {}), Errc::kOk);
  EXPECT_EQ(client.ReadCodes(), (BrList{kComplete, kFailed}));
  EXPECT_FALSE(call);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(this->BuffersOf(service), 1u);
  const Received received = this->Receive(service);
  this->Answer(service, received);
  this->ExpectReply(client, 0, {});
}

// It is not to be passed around: that would get round handles and policy.
TYPED_TEST(ReserveTest, OnlyItsSenderCanSendIt) {
  auto [manager, service, client, handle] = this->Connected();
  Reservation<TypeParam> call;
  ASSERT_EQ(client.thread().Reserve(handle, 8, call), Errc::kOk);
  EXPECT_EQ(manager.thread().Transact(std::move(call), {}), Errc::kInvalid);
  EXPECT_EQ(service.thread().Transact(std::move(call), {}), Errc::kInvalid);
  EXPECT_EQ(client.thread().Reply(std::move(call), {}), Errc::kInvalid);
  ASSERT_TRUE(call);  // NOLINT(bugprone-use-after-move)
  // Any thread of it.
  Actor<TypeParam> second = client.Spawn();
  EXPECT_EQ(second.thread().Transact(std::move(call), {}), Errc::kOk);
  const Received received = this->Receive(service);
  this->Answer(service, received);
  this->ExpectReply(second, 0);
}

// A sender that is killed loses nothing but the call.
TYPED_TEST(ReserveTest, ItsSenderIsKilled) {
  auto [manager, service, client, handle] = this->Connected();
  Reservation<TypeParam> call;
  ASSERT_EQ(client.thread().Reserve(handle, 8, call), Errc::kOk);
  client.proc().Kill();
  EXPECT_EQ(client.thread().Transact(std::move(call), {}), Errc::kKilled);
  ASSERT_TRUE(call);  // NOLINT(bugprone-use-after-move)
  call.Abandon();
  EXPECT_EQ(this->BuffersOf(service), 0u);
}

TYPED_TEST(ReserveTest, WhatMemoryIsLeftBehindAHandle) {
  auto [manager, service, client, handle] = this->Connected();
  const auto before = client.proc().MemoryBehind(handle);
  ASSERT_TRUE(before.has_value());
  EXPECT_EQ(before->size, service.proc().state().arena.usage().size);
  EXPECT_EQ(before->free_bytes, before->size);
  Reservation<TypeParam> call;
  ASSERT_EQ(client.thread().Reserve(handle, 64, call), Errc::kOk);
  const auto after = client.proc().MemoryBehind(handle);
  ASSERT_TRUE(after.has_value());
  EXPECT_EQ(after->free_bytes, before->size - 64);
  call.Abandon();
  EXPECT_TRUE(client.proc().MemoryBehind(0).has_value());  // The manager's.
  EXPECT_FALSE(client.proc().MemoryBehind(handle + 1).has_value());
  this->Close(service);
  EXPECT_FALSE(client.proc().MemoryBehind(handle).has_value());
}

TYPED_TEST(ReserveTest, AKilledProcDoesNotWaitToKnowWhatIsLeft) {
  auto [manager, service, client, handle] = this->Connected();
  Peer<TypeParam>& other = this->Open({.name = "other"});
  {
    Stalled<TypeParam> stalled(this->gates(), client,
                               Commands().OneWay(handle));
    other.proc().Kill();
    if (kKillableOnEntry<TypeParam>) {
      EXPECT_FALSE(other.proc().MemoryBehind(0).has_value());
    }
    (void)stalled.GoOn();
  }
  EXPECT_FALSE(other.proc().MemoryBehind(0).has_value());
}

TYPED_TEST(ReserveTest, CarriesTheLabel) {
  auto [manager, service, client, handle] =
      this->Connected(kFlatTxnSecurityCtx);
  Reservation<TypeParam> call;
  ASSERT_EQ(client.thread().Reserve(handle, 3, call), Errc::kOk);
  this->Fill(call, "abc");
  call.Shrink(2);
  ASSERT_EQ(client.thread().Transact(std::move(call), {}), Errc::kOk);
  const Result result = service.Read();
  ASSERT_TRUE(result.Has(Br::BR_TRANSACTION_SEC_CTX));
  const Received received = result.Get(Br::BR_TRANSACTION_SEC_CTX);
  EXPECT_EQ(received.text(), "ab");
  EXPECT_STREQ(reinterpret_cast<const char*>(received.secctx), "");
  this->Answer(service, received);
  this->ExpectReply(client, 0);
}

}  // namespace
}  // namespace binderlite::testing
