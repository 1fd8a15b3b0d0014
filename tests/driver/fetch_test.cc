// SPDX-License-Identifier: Apache-2.0
//
// What a thread expects its next transaction to need: what the last ones have
// needed, if it was the same; and that it does no harm when it is gone. Whether
// it is faster is measured in bench/roundtrip.cc.

#include "binderlite/driver/fetch.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <stop_token>
#include <thread>

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

// What is expected: the same call, of the same handle; and a reply to the same
// caller, also if there has been a call in between.
TYPED_TEST(FetchTest, WhatGoesAsBefore) {
  auto [manager, service, client, handle] = this->Connected();
  service.Write(Commands().EnterLooper());
  this->Give(manager, client, service, 0x7000, 0x8000);
  for (int i = 0; i < 2; ++i) this->CallOnce(client, service, handle);
  const auto caller = this->RecordOf(client);
  TransactionData data = {};
  data.target.handle = handle;
  EXPECT_TRUE(driver::GoesAsBefore(*caller, data, /*is_reply=*/false));
  data.flags = kTfOneWay;
  EXPECT_FALSE(driver::GoesAsBefore(*caller, data, /*is_reply=*/false));
  data = {};
  data.target.handle = handle + 1;
  EXPECT_FALSE(driver::GoesAsBefore(*caller, data, /*is_reply=*/false));

  const auto callee = this->RecordOf(service);
  client.Write(Commands().Transact(handle));
  const Received call = this->Receive(service);
  EXPECT_TRUE(driver::GoesAsBefore(*callee, {}, /*is_reply=*/true));
  service.Write(Commands().Transact(0));  // Something else in between.
  this->Answer(manager, this->Receive(manager));
  this->ExpectReply(service, 0);
  EXPECT_TRUE(driver::GoesAsBefore(*callee, {}, /*is_reply=*/true));
  this->Answer(service, call);
  this->ExpectReply(client, 0);

  Peer<TypeParam>& other = this->Open({.name = "other"});
  const std::uint32_t of_other =
      this->Give(manager, service, other, this->kPtr, this->kCookie);
  other.Write(Commands().Transact(of_other));
  const Received another = this->Receive(service);
  EXPECT_FALSE(driver::GoesAsBefore(*callee, {}, /*is_reply=*/true));
  this->Answer(service, another);
  this->ExpectReply(other, 0);
}

// All that was expected is gone, down to the Proc: its addresses are those of
// freed memory, which AddressSanitizer would see followed.
TEST(FetchGoneTest, WhatWasExpectedIsGone) {
  BasicContext<FineGrained<>> context;
  Proc client = context.Open();
  Thread caller = client.Attach();
  const auto call = [&caller] {
    const TransactionData data = {};
    Incoming work;
    Errc error = caller.Exchange({.call = &data}, work);
    while (error == Errc::kOk && work.command == Br::BR_NOOP) {
      error = caller.NextWork(work);
    }
    EXPECT_EQ(error, Errc::kOk);
    if (work.command == Br::BR_REPLY) {
      EXPECT_EQ(caller.FreeBuffer(work.transaction.buffer), Errc::kOk);
    }
    return work.command;
  };
  for (int service = 0; service < 2; ++service) {
    Proc proc = context.Open();
    Thread looper = proc.Attach();
    ASSERT_EQ(looper.SetContextMgr(), Errc::kOk);
    std::jthread serves([&looper](const std::stop_token& stop) {
      TransactionData reply = {};
      Outgoing out;
      Incoming work;
      ASSERT_EQ(looper.EnterLooper(), Errc::kOk);
      while (looper.Exchange(out, work, stop) == Errc::kOk) {
        out = {};
        if (work.command != Br::BR_TRANSACTION) continue;
        out = {.free_buffer = work.transaction.buffer, .reply = &reply};
      }
    });
    for (int i = 0; i < 6; ++i) EXPECT_EQ(call(), Br::BR_REPLY);
    proc.Close();
    serves = {};
    // By the reaper, if its last call has been stopped.
    while (!proc.released()) std::this_thread::yield();
  }
  for (int i = 0; i < 3; ++i) EXPECT_EQ(call(), Br::BR_DEAD_REPLY);
}

}  // namespace
}  // namespace binderlite::testing
