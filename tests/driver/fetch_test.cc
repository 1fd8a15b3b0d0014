// SPDX-License-Identifier: Apache-2.0
//
// What a thread expects its next transaction to need: what the last ones have
// needed, if it was the same; and that it does no harm when it is gone. Whether
// it is faster is measured in bench/roundtrip.cc.

#include "binderlite/driver/fetch.h"

#include <array>
#include <cstddef>
#include <cstdint>

#include "support/call_test.h"

namespace binderlite::testing {
namespace {

std::uintptr_t AddressOf(const void* place) {
  return reinterpret_cast<std::uintptr_t>(place);
}

template <class L>
class FetchTest : public CallTest<L> {
 protected:
  static core::Pin<core::Thread<L>> RecordOf(Peer<L>& peer) {
    core::Proc<L>& proc = peer.proc().state();
    sync::MutexLock lock(proc.queues_mu);
    return core::Pin<core::Thread<L>>(
        proc.threads.Find(core::KeyOf(peer.tid())));
  }
  static const core::Footprint& FootprintOf(Peer<L>& peer) {
    return RecordOf(peer)->footprint;  // It lives as long as the peer.
  }
  static void ExpectToBeOf(const core::Footprint::Sent& sent, Peer<L>& peer) {
    core::Proc<L>& proc = peer.proc().state();
    EXPECT_EQ(sent.queues.address(), AddressOf(&proc.queues_mu));
    EXPECT_EQ(sent.arena.address(), AddressOf(&proc.arena));
    EXPECT_EQ(sent.thread.address(), AddressOf(&RecordOf(peer)->is_dead));
  }

  // `client` calls `service`, which waits for it, and reads the answer.
  void CallOnce(Peer<L>& client, Peer<L>& service, std::uint32_t handle) {
    auto waiting = this->Block(service, service);
    this->HoldWhile(service, [&client, handle] {
      client.Write(Commands().Transact(handle));
    });
    const Result result = waiting->Join();
    this->Answer(service, result.Get(kTransaction));
    this->ExpectReply(client, 0);
  }
};
BINDERLITE_FOR_ALL_DISCIPLINES(FetchTest);

TYPED_TEST(FetchTest, TheSameCallAgain) {
  auto [manager, service, client, handle] = this->Connected();
  service.Write(Commands().EnterLooper());
  for (int i = 0; i < 4; ++i) this->CallOnce(client, service, handle);

  const core::Footprint& caller = this->FootprintOf(client);
  EXPECT_EQ(caller.call_to, handle);
  this->ExpectToBeOf(caller.call, service);
  const core::Footprint& callee = this->FootprintOf(service);
  this->ExpectToBeOf(callee.reply, client);
  EXPECT_EQ(callee.reply_to, this->RecordOf(client).get());
  EXPECT_EQ(callee.caller, callee.reply_to);
  for (const core::Footprint::Sent* const sent :
       {&caller.call, &callee.reply}) {
    for (const core::Spot* const spot :
         {&sent->queues, &sent->thread, &sent->arena, &sent->buffer,
          &sent->payload}) {
      EXPECT_TRUE(spot->expected());
    }
  }
  EXPECT_TRUE(caller.call_node.expected());
  // What one side sends is what the other one reads.
  EXPECT_EQ(callee.received.node.address(), caller.call_node.address());
  EXPECT_EQ(callee.received.buffer.address(), caller.call.buffer.address());
  EXPECT_EQ(callee.received.payload.address(), caller.call.payload.address());
  EXPECT_EQ(caller.received.buffer.address(), callee.reply.buffer.address());
  for (const core::Spot& spot : callee.received.transactions) {
    EXPECT_TRUE(spot.expected());
  }
}

TYPED_TEST(FetchTest, AnotherTargetIsNotExpected) {
  auto [manager, service, client, handle] = this->Connected();
  service.Write(Commands().EnterLooper());
  Peer<TypeParam>& other = this->Open({.name = "other"});
  other.Write(Commands().EnterLooper());
  const std::uint32_t to_other =
      this->Give(manager, other, client, 0x5000, 0x6000);
  for (int i = 0; i < 2; ++i) this->CallOnce(client, service, handle);
  const core::Footprint& footprint = this->FootprintOf(client);
  EXPECT_TRUE(footprint.call.queues.expected());
  this->CallOnce(client, other, to_other);
  EXPECT_EQ(footprint.call_to, to_other);
  this->ExpectToBeOf(footprint.call, other);
  EXPECT_FALSE(footprint.call.queues.expected());
  EXPECT_FALSE(footprint.call.thread.expected());
  EXPECT_FALSE(footprint.call_node.expected());
}

// One-ways leave no trace: their receiver is busy with the same lines.
TYPED_TEST(FetchTest, OneWaysAreNotExpected) {
  auto [manager, service, client, handle] = this->Connected();
  service.Write(Commands().EnterLooper());
  const core::Footprint& footprint = this->FootprintOf(client);
  const std::uintptr_t before = footprint.call.queues.address();
  for (int i = 0; i < 3; ++i) {
    auto waiting = this->Block(service, service);
    this->HoldWhile(service, [&client = client, handle = handle] {
      client.Write(Commands().OneWay(handle));
    });
    const Received message = waiting->Join().Get(kTransaction);
    service.Write(Commands().Free(message.tr.buffer));
    EXPECT_EQ(client.ReadCodes(), BrList{kComplete});
  }
  EXPECT_EQ(footprint.call.queues.address(), before);
}

// Its addresses are those of memory that has been freed.
TYPED_TEST(FetchTest, WhatWasExpectedIsGone) {
  auto [manager, service, client, handle] = this->Connected();
  service.Write(Commands().EnterLooper());
  for (int i = 0; i < 3; ++i) this->CallOnce(client, service, handle);
  EXPECT_TRUE(this->FootprintOf(client).call.queues.expected());
  this->Close(service);
  for (int i = 0; i < 3; ++i) {
    this->ExpectFails(client, Commands().Transact(handle), kDead,
                      Errc::kInvalid);
  }
  client.Write(Commands().Release(handle));
  this->ExpectFails(client, Commands().Transact(handle), kFailed,
                    Errc::kInvalid);
}

}  // namespace
}  // namespace binderlite::testing
