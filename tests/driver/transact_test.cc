// SPDX-License-Identifier: Apache-2.0

#include "binderlite/driver/transact.h"

#include <cstddef>
#include <cstdint>
#include <list>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "support/call_test.h"

namespace binderlite::testing {
namespace {

template <class L>
class TransactTest : public CallTest<L> {};
BINDERLITE_FOR_ALL_DISCIPLINES(TransactTest);

// --- Calls and replies ------------------------------------------------------

// Rows: TX-01 TX-03 TX-04 TX-05 TG-01
TYPED_TEST(TransactTest, CallAndReply) {
  auto [manager, service, client, handle] = this->Connected();
  const Payload question("question");
  client.Write(Commands().Transact(handle, question, 7));
  // The completion is deferred: nothing to read before the reply (RD-16).
  EXPECT_EQ(client.Read().error, Errc::kWouldBlock);

  const Received call = service.Read().Get(Br::BR_TRANSACTION);
  EXPECT_EQ(call.text(), "question");
  EXPECT_EQ(call.tr.code, 7u);
  EXPECT_EQ(call.tr.target.ptr, this->kPtr);
  EXPECT_EQ(call.tr.cookie, this->kCookie);
  EXPECT_EQ(call.tr.sender_pid, client.pid());

  const Payload answer("answer");
  const Result replied =
      service.Do(Commands().Free(call.tr.buffer).Reply(answer));
  EXPECT_EQ(replied.codes(),
            (BrList{Br::BR_NOOP, Br::BR_TRANSACTION_COMPLETE}));

  const Result got = client.Read();
  EXPECT_EQ(got.codes(),
            (BrList{Br::BR_NOOP, Br::BR_TRANSACTION_COMPLETE, Br::BR_REPLY}));
  EXPECT_EQ(got.Get(Br::BR_REPLY).text(), "answer");
}

// Rows: TX-01 TX-02 TX-03 TX-04
TYPED_TEST(TransactTest, WhereACallIs) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().Transact(handle));
  debug::ThreadSnapshot caller = this->ThreadOf(client, client);
  EXPECT_EQ(caller.todo, std::vector{WorkType::kTransactionComplete});
  EXPECT_FALSE(caller.process_todo);
  ASSERT_EQ(caller.stack.size(), 1u);
  EXPECT_FALSE(caller.stack[0].incoming);
  // No thread waits: it is the Proc's.
  EXPECT_EQ(this->SnapshotOf(service).todo,
            std::vector{WorkType::kTransaction});
  EXPECT_TRUE(this->ThreadOf(service, service).todo.empty());

  const Received call = this->Receive(service);
  debug::ThreadSnapshot callee = this->ThreadOf(service, service);
  ASSERT_EQ(callee.stack.size(), 1u);
  EXPECT_TRUE(callee.stack[0].incoming);
  EXPECT_EQ(callee.stack[0].id, caller.stack[0].id);

  service.Write(Commands().Free(call.tr.buffer).Reply());
  callee = this->ThreadOf(service, service);
  EXPECT_TRUE(callee.stack.empty());
  EXPECT_EQ(callee.todo, std::vector{WorkType::kTransactionComplete});
  EXPECT_TRUE(callee.process_todo);
  caller = this->ThreadOf(client, client);
  EXPECT_TRUE(caller.stack.empty());
  EXPECT_EQ(caller.todo, (std::vector{WorkType::kTransactionComplete,
                                      WorkType::kTransaction}));
  EXPECT_TRUE(caller.process_todo);
  EXPECT_EQ(service.ReadCodes(), BrList{kComplete});
  this->ExpectReply(client, 0);
}

// Rows: TX-02
TYPED_TEST(TransactTest, CallGoesToTheThreadThatWaits) {
  auto [manager, service, client, handle] = this->Connected();
  Actor<TypeParam> worker = service.Spawn();
  auto waiting = this->Block(service, worker);
  this->HoldWhile(worker,
                  [&, &service = service, &client = client, handle = handle] {
                    client.Write(Commands().Transact(handle, {}, 5));
                    EXPECT_EQ(this->ThreadOf(service, worker).todo,
                              std::vector{WorkType::kTransaction});
                    EXPECT_TRUE(this->SnapshotOf(service).todo.empty());
                    this->ExpectNothing(service);  // It is nobody else's.
                  });
  const Received call = waiting->Join().Get(kTransaction);
  EXPECT_EQ(call.tr.code, 5u);
  this->Answer(worker, call);
  this->ExpectReply(client, 0);
}

// Rows: TX-03 TX-07
TYPED_TEST(TransactTest, OnlyTheThreadThatReadACallAnswersIt) {
  auto [manager, service, client, handle] = this->Connected();
  Actor<TypeParam> other = service.Spawn();
  client.Write(Commands().Transact(handle));
  const Received call = this->Receive(service);
  this->ExpectFails(other, Commands().Reply(), kFailed, Errc::kProtocol);
  this->ExpectNothing(client);
  this->Answer(service, call, 9);
  this->ExpectReply(client, 9);
}

// Rows: TX-04 TX-05
TYPED_TEST(TransactTest, ReplyWakesTheCaller) {
  auto [manager, service, client, handle] = this->Connected();
  auto waiting = this->Block(client, client, Commands().Transact(handle));
  const Received call = this->Receive(service);
  this->HoldWhile(client, [this, &service = service, &call] {
    this->Answer(service, call, 3);
  });
  const Result result = waiting->Join();
  EXPECT_EQ(result.error, Errc::kOk);
  EXPECT_EQ(result.codes(), (BrList{kNoop, kComplete, kReply}));
  EXPECT_EQ(result.Get(kReply).tr.code, 3u);
}

// Rows: TX-05
TYPED_TEST(TransactTest, OwnerOfSentObjectsHearsOfThemFirst) {
  auto [manager, service, client, handle] = this->Connected();
  Payload object;
  object.Binder(0x7000, 0x8000);
  client.Write(Commands().Transact(handle, object));
  (void)this->Receive(service);  // Keeps the buffer.
  service.Write(Commands().Reply());
  const Result result = client.Read();
  EXPECT_EQ(result.codes(),
            (BrList{kNoop, Br::BR_INCREFS, Br::BR_ACQUIRE, kComplete, kReply}));
  EXPECT_EQ(result.Get(Br::BR_ACQUIRE).ptr, 0x7000u);
  EXPECT_EQ(result.Get(Br::BR_ACQUIRE).cookie, 0x8000u);
}

// Rows: TX-06
TYPED_TEST(TransactTest, OneWay) {
  auto [manager, service, client, handle] = this->Connected();
  const Payload text("one way");
  const Result sent = client.Do(Commands().OneWay(handle, text, 11));
  EXPECT_EQ(sent.codes(), (BrList{kNoop, kComplete}));
  EXPECT_TRUE(this->ThreadOf(client, client).stack.empty());

  const Received got = this->Receive(service);
  EXPECT_EQ(got.text(), "one way");
  EXPECT_EQ(got.tr.code, 11u);
  EXPECT_EQ(got.tr.flags, 1u);
  EXPECT_EQ(got.tr.sender_pid, 0);  // No sender is recorded.
  EXPECT_TRUE(this->ThreadOf(service, service).stack.empty());
  // There is nothing to answer.
  this->ExpectFails(service, Commands().Reply(), kFailed, Errc::kProtocol);
  this->ExpectNothing(client);
}

// Rows: TX-07
TYPED_TEST(TransactTest, ReplyToNothing) {
  auto [manager, service, client, handle] = this->Connected();
  const std::string before = this->State();
  this->ExpectFails(client, Commands().Reply(), kFailed, Errc::kProtocol);
  this->ExpectFails(service, Commands().Reply(), kFailed, Errc::kProtocol);
  EXPECT_EQ(this->State(), before);
  // Once means once.
  client.Write(Commands().Transact(handle));
  this->Answer(service, this->Receive(service));
  this->ExpectFails(service, Commands().Reply(), kFailed, Errc::kProtocol);
  this->ExpectReply(client, 0);
}

// Rows: TX-08 TX-17
TYPED_TEST(TransactTest, ReplyOnTopOfAnOwnCall) {
  auto [a, b, c, to_a, to_b, to_c] = this->MakeRing();
  a.Write(Commands().Transact(to_b));
  const Received outer = this->Receive(b);
  b.Write(Commands().Transact(to_c));
  const Received inner = this->Receive(c);

  this->ExpectFails(b, Commands().Reply({}, 66), kFailed, Errc::kProtocol,
                    {kComplete});
  const debug::ThreadSnapshot serving = this->ThreadOf(b, b);
  ASSERT_EQ(serving.stack.size(), 2u);
  EXPECT_FALSE(serving.stack[0].incoming);
  EXPECT_TRUE(serving.stack[1].incoming);
  // One that only waits for a reply cannot give one, either.
  this->ExpectFails(a, Commands().Reply(), kFailed, Errc::kProtocol,
                    {kComplete});

  this->Answer(c, inner, 1);
  this->ExpectReply(b, 1, {});
  this->ExpectNothing(a);
  this->Answer(b, outer, 2);
  this->ExpectReply(a, 2, {});
}

// Rows: TX-09
TYPED_TEST(TransactTest, ReplyWithTheOneWayFlag) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().Transact(handle));
  const Received call = this->Receive(service);
  const std::size_t budget = this->SnapshotOf(client).arena_free_async;
  const Payload answer("answer");
  const std::uint32_t flags = 0xfedc'ba00u | kTfOneWay;
  service.Write(Commands().Free(call.tr.buffer).Reply(answer, 4, flags));
  EXPECT_EQ(this->SnapshotOf(client).arena_free_async, budget);
  const Result got = client.Read();
  EXPECT_EQ(got.codes(), (BrList{kNoop, kComplete, kReply}));
  EXPECT_EQ(got.Get(kReply).tr.flags, flags);
  EXPECT_EQ(got.Get(kReply).tr.code, 4u);
}

// Rows: TX-10
TYPED_TEST(TransactTest, SecondCallWhileTheFirstIsOutstanding) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().Transact(handle, {}, 1));
  this->ExpectFails(client, Commands().Transact(handle, {}, 2), kFailed,
                    Errc::kProtocol, {kComplete});
  const Received call = this->Receive(service);
  EXPECT_EQ(call.tr.code, 1u);
  this->ExpectFails(client, Commands().Transact(0), kFailed, Errc::kProtocol);
  this->ExpectNothing(service);
  this->ExpectNothing(manager);
  this->Answer(service, call, 3);
  this->ExpectReply(client, 3, {});
}

// Rows: TX-11
TYPED_TEST(TransactTest, OneWayWhileCallingAndWhileServing) {
  auto [a, b, c, to_a, to_b, to_c] = this->MakeRing();
  a.Write(Commands().Transact(to_b));
  const Result first = a.Do(Commands().OneWay(to_b, {}, 1));
  EXPECT_EQ(first.codes(), (BrList{kNoop, kComplete, kComplete}));
  const Received call = this->Receive(b);
  const Result second = b.Do(Commands().OneWay(to_c, {}, 2));
  EXPECT_EQ(second.codes(), (BrList{kNoop, kComplete}));
  EXPECT_EQ(this->ThreadOf(a, a).stack.size(), 1u);
  EXPECT_EQ(this->ThreadOf(b, b).stack.size(), 1u);
  EXPECT_EQ(this->Receive(c).tr.code, 2u);
  this->Answer(b, call, 3);
  this->ExpectReply(a, 3, {});
  EXPECT_EQ(this->Receive(b).tr.code, 1u);
}

// Rows: TX-12
TYPED_TEST(TransactTest, CallWithAnUnreadOneAtTheHead) {
  auto [manager, service, client, handle] = this->Connected();
  Actor<TypeParam> worker = service.Spawn();
  this->StrandCall(service, worker, client, Commands().Transact(handle));

  // A one-way is fine; its completion comes behind the call.
  worker.Write(Commands().OneWay(0));
  EXPECT_EQ(this->Receive(manager).tr.flags, kTfOneWay);
  worker.Write(Commands().Transact(0));
  EXPECT_EQ(worker.TakeError(), (std::pair{kFailed, -EPROTO}));
  this->ExpectNothing(manager);
  const Result first = worker.Read();
  EXPECT_EQ(first.codes(), (BrList{kNoop, kTransaction}));
  EXPECT_EQ(worker.ReadCodes(), (BrList{kComplete, kFailed}));

  this->Answer(worker, first.Get(kTransaction));
  this->ExpectReply(client, 0);
}

// The same with an unread reply, which a small read has left at the head.
// Rows: TX-12
TYPED_TEST(TransactTest, CallWithAnUnreadReplyAtTheHead) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().Transact(handle));
  this->Answer(service, this->Receive(service), 8);
  constexpr std::size_t kOneItem = 80;
  EXPECT_EQ(client.Read(kOneItem).codes(), (BrList{kNoop, kComplete}));
  client.Write(Commands().Transact(handle));
  EXPECT_EQ(client.TakeError(), (std::pair{kFailed, -EPROTO}));
  const Result reply = client.Read();
  EXPECT_EQ(reply.codes(), (BrList{kNoop, kReply}));
  EXPECT_EQ(reply.Get(kReply).tr.code, 8u);
  EXPECT_EQ(client.ReadCodes(), BrList{kFailed});
  this->ExpectNothing(service);
}

// Rows: TG-12
TYPED_TEST(TransactTest, OrderOfChecks) {
  auto [manager, service, client, handle] = this->Connected();
  Peer<TypeParam>& dead = this->Open();
  const std::uint32_t to_dead = this->Give(manager, dead, client, 1, 2);
  this->Close(dead);
  Peer<TypeParam>& unmapped = this->Open();
  const std::uint32_t to_unmapped = this->Give(manager, unmapped, client, 1, 2);
  unmapped.proc().Unmap();
  client.Write(Commands().Transact(handle));

  // The target comes before the stack ...
  this->ExpectFails(client, Commands().Transact(99), kFailed, Errc::kInvalid,
                    {kComplete});
  this->ExpectFails(client, Commands().Transact(to_dead), kDead,
                    Errc::kInvalid);
  // ... and the stack before the buffer.
  this->ExpectFails(client, Commands().Transact(to_unmapped), kFailed,
                    Errc::kProtocol);
  this->ExpectFails(client, Commands().Transact(handle), kFailed,
                    Errc::kProtocol);
  // A one-way does not care about the stack.
  this->ExpectFails(client, Commands().OneWay(to_unmapped), kDead,
                    Errc::kNoProcess);
}

// --- What a transaction is made of ------------------------------------------

// Rows: TX-24
TYPED_TEST(TransactTest, ExtendedErrorBeginsAnew) {
  auto [manager, service, client, handle] = this->Connected();
  const auto TakeError = [](Actor<TypeParam>& actor) {
    ExtendedError error = {};
    EXPECT_EQ(actor.thread().GetExtendedError(error), Errc::kOk);
    return error;
  };
  std::set<std::uint32_t> ids;
  client.Write(Commands().Transact(99));
  ExtendedError error = TakeError(client);
  EXPECT_EQ(error.command, static_cast<std::uint32_t>(kFailed));
  EXPECT_EQ(error.param, -EINVAL);
  EXPECT_TRUE(ids.insert(error.id).second);
  (void)client.ReadAll();

  // A failure that nobody has asked for is forgotten by the next transaction.
  client.Write(Commands().Transact(99));
  (void)client.ReadAll();
  client.Write(Commands().OneWay(handle));
  error = TakeError(client);
  EXPECT_EQ(error.command, static_cast<std::uint32_t>(Br::BR_OK));
  EXPECT_EQ(error.param, 0);
  EXPECT_TRUE(ids.insert(error.id).second);

  // Also by a reply, and by a call at once, not when it is over.
  service.Write(Commands().Free(this->Receive(service).tr.buffer));
  client.Write(Commands().Transact(99));
  (void)client.ReadAll();
  client.Write(Commands().Transact(handle));
  error = TakeError(client);
  EXPECT_EQ(error.command, static_cast<std::uint32_t>(Br::BR_OK));
  EXPECT_TRUE(ids.insert(error.id).second);
  (void)this->Receive(service);
  service.Write(Commands().Transact(99));
  (void)service.ReadAll();
  service.Write(Commands().Reply());
  error = TakeError(service);
  EXPECT_EQ(error.command, static_cast<std::uint32_t>(Br::BR_OK));
  EXPECT_TRUE(ids.insert(error.id).second);
  EXPECT_FALSE(ids.contains(0));
}

// Rows: TX-25
TYPED_TEST(TransactTest, RoomForScatterGather) {
  auto [manager, service, client, handle] = this->Connected();
  Payload payload("0123456789");  // 16 with its padding,
  payload.Binder(0x7000, 1);      // 24, and 8 for its offset.
  constexpr std::size_t kPlain = 16 + 24 + 8;
  const auto Used = [this](Peer<TypeParam>& peer) {
    const debug::ProcSnapshot proc = this->SnapshotOf(peer);
    return proc.arena_size - proc.arena_free;
  };
  TransactionDataSg data = {};
  data.data = payload.Data();
  data.data.target.handle = handle;
  for (const std::size_t extra :
       {std::size_t{0}, std::size_t{8}, std::size_t{4096}}) {
    data.buffers_size = extra;
    client.Write(Commands().Put(Bc::BC_TRANSACTION_SG, data));
    EXPECT_EQ(Used(service), kPlain + extra);
    const Received call = this->Receive(service);
    EXPECT_EQ(call.tr.data_size, 40u);
    EXPECT_EQ(call.tr.offsets_size, 8u);
    service.Write(Commands().Free(call.tr.buffer));
    TransactionDataSg reply = {};
    reply.data = Payload("0123456789").Data();
    const Payload text("0123456789");
    reply.data = text.Data();
    reply.buffers_size = extra;
    service.Write(Commands().Put(Bc::BC_REPLY_SG, reply));
    EXPECT_EQ(Used(client), 16 + extra);
    for (const Received& r : client.ReadAll()) {
      if (r.br == kReply) client.Write(Commands().Free(r.tr.buffer));
    }
    (void)service.ReadAll();
  }
  client.Write(Commands().Transact(handle, payload));
  EXPECT_EQ(Used(service), kPlain);
  service.Write(
      Commands().Free(this->Receive(service).tr.buffer).Reply(payload));
  EXPECT_EQ(Used(client), kPlain);
}

// Rows: TX-26
TYPED_TEST(TransactTest, EmptyPayload) {
  auto [manager, service, client, handle] = this->Connected();
  std::vector<std::uint64_t> addresses;
  std::list<Actor<TypeParam>> threads;
  for (std::size_t i = 0; i < 5; ++i) {
    Actor<TypeParam>& caller = threads.emplace_back(client.Spawn());
    Actor<TypeParam>& callee = threads.emplace_back(service.Spawn());
    caller.Write(Commands().Transact(handle));
    const Received call = this->Receive(callee);
    EXPECT_EQ(call.tr.data_size, 0u);
    EXPECT_EQ(call.tr.offsets_size, 0u);
    addresses.push_back(call.tr.buffer);
    if (i > 0) {
      EXPECT_EQ(addresses[i] - addresses[i - 1], 8u);
    }
  }
  EXPECT_EQ(this->SnapshotOf(service).delivered_buffers, 5u);
  for (const std::uint64_t address : addresses) {
    service.Write(Commands().Free(address));
  }
  EXPECT_EQ(this->SnapshotOf(service).buffers, 0u);
}

// Rows: TX-27
TYPED_TEST(TransactTest, CallsAreServedSideBySide) {
  auto [manager, service, client, handle] = this->Connected();
  const std::uint32_t second =
      this->Give(manager, service, client, 0x3000, 0x4000);
  for (const std::uint32_t other : {second, handle}) {  // Or the same node.
    Actor<TypeParam> worker1 = service.Spawn();
    Actor<TypeParam> worker2 = service.Spawn();
    auto waiting1 = this->Block(service, worker1);
    auto waiting2 = this->Block(service, worker2);
    Actor<TypeParam> caller1 = client.Spawn();
    Actor<TypeParam> caller2 = client.Spawn();
    this->HoldWhile(worker1, [&, handle = handle] {
      this->HoldWhile(worker2, [&] {
        caller1.Write(Commands().Transact(handle, {}, 1));
        caller2.Write(Commands().Transact(other, {}, 2));
      });
    });
    const Received call2 = waiting1->Join().Get(kTransaction);
    const Received call1 = waiting2->Join().Get(kTransaction);
    EXPECT_EQ(call1.tr.code, 1u);
    EXPECT_EQ(call2.tr.code, 2u);
    // Both are in progress; the one that came last is done first.
    this->Answer(worker1, call2, 20);
    this->ExpectReply(caller2, 20);
    this->ExpectNothing(caller1);
    this->Answer(worker2, call1, 10);
    this->ExpectReply(caller1, 10);
  }
}

// Rows: TX-28
TYPED_TEST(TransactTest, CallsOvertakeQueuedOneWays) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().OneWay(handle, {}, 1).OneWay(handle, {}, 2));
  client.Write(Commands().Transact(handle, {}, 3));
  EXPECT_EQ(this->NodeOf(service, this->kPtr).waiting_one_ways, 1u);
  EXPECT_EQ(this->Receive(service).tr.code, 1u);  // Its buffer is kept.
  const Received call = this->Receive(service);
  EXPECT_EQ(call.tr.code, 3u);
  EXPECT_EQ(this->NodeOf(service, this->kPtr).waiting_one_ways, 1u);
  this->Answer(service, call, 4);
  this->ExpectReply(client, 4, {kComplete, kComplete, kComplete});
}

// Rows: TX-29
TYPED_TEST(TransactTest, ProcWorkIsFifoOverAllKinds) {
  for (const bool reversed : {false, true}) {
    Peer<TypeParam>& manager = this->OpenManager();
    Peer<TypeParam>& service = this->Open();
    Peer<TypeParam>& client = this->Open();
    Peer<TypeParam>& mortal = this->Open();
    const std::uint32_t first = this->Give(manager, service, client, 0x10, 1);
    const std::uint32_t second = this->Give(manager, service, client, 0x20, 1);
    const std::uint32_t dropped =
        this->Give(manager, service, client, 0x30, 0x31);
    const std::uint32_t to_mortal =
        this->Give(manager, mortal, service, 0x40, 1);
    service.Write(Commands().RequestDeath(to_mortal, 0x99));

    client.Write(Commands().OneWay(first, {}, 1));
    if (reversed) this->Close(mortal);
    client.Write(Commands().Release(dropped));
    if (!reversed) this->Close(mortal);
    client.Write(Commands().OneWay(second, {}, 2));

    const std::vector<Received> got = service.ReadAll();
    BrList want = {kTransaction};
    if (reversed) want.push_back(Br::BR_DEAD_BINDER);
    want.push_back(Br::BR_RELEASE);
    want.push_back(Br::BR_DECREFS);
    if (!reversed) want.push_back(Br::BR_DEAD_BINDER);
    want.push_back(kTransaction);
    EXPECT_EQ(Codes(got), want);
    EXPECT_EQ(got.front().tr.code, 1u);
    EXPECT_EQ(got.back().tr.code, 2u);
    this->Close(manager);
  }
}

// Rows: TX-30
TYPED_TEST(TransactTest, OutstandingTransactions) {
  auto [manager, service, client, handle] = this->Connected();
  const auto ExpectOutstanding = [this, &service = service, &client = client](
                                     int at_service, int at_client) {
    EXPECT_EQ(this->SnapshotOf(service).outstanding, at_service);
    EXPECT_EQ(this->SnapshotOf(client).outstanding, at_client);
  };
  ExpectOutstanding(0, 0);
  // A call: until it is answered. A reply: until it is read.
  client.Write(Commands().Transact(handle));
  ExpectOutstanding(1, 0);
  Received got = this->Receive(service);
  ExpectOutstanding(1, 0);
  service.Write(Commands().Free(got.tr.buffer).Reply());
  ExpectOutstanding(0, 1);
  this->ExpectReply(client, 0);
  ExpectOutstanding(0, 0);
  // One-ways: until they are read, also those that wait at the node.
  client.Write(Commands().OneWay(handle).OneWay(handle));
  ExpectOutstanding(2, 0);
  (void)service.ReadAll();
  ExpectOutstanding(1, 0);
  // Failures do not count; exits take back what they drop.
  (void)client.ReadAll();
  this->ExpectFails(client, Commands().Transact(99), kFailed, Errc::kInvalid);
  ExpectOutstanding(1, 0);
  client.Write(Commands().Transact(handle));
  ExpectOutstanding(2, 0);
  (void)this->Receive(service);
  EXPECT_EQ(service.thread().ThreadExit(), Errc::kOk);
  ExpectOutstanding(1, 0);
  EXPECT_EQ(client.ReadCodes(), (BrList{kComplete, kDead}));
}

}  // namespace
}  // namespace binderlite::testing
