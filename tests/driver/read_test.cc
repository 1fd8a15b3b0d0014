// SPDX-License-Identifier: Apache-2.0
//
// Which work a read delivers, in which order, and how it ends; and what a
// transaction looks like to its reader.

#include "binderlite/driver/read.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "binderlite/wire/flags.h"
#include "support/exchange.h"
#include "support/faulty_memory.h"
#include "support/write_read_test.h"

namespace binderlite::testing {
namespace {

template <class L>
class ReadTest : public WriteReadTest<L> {};
BINDERLITE_FOR_ALL_DISCIPLINES(ReadTest);

// --- How it begins and ends ------------------------------------------------

// Rows: RD-01
TYPED_TEST(ReadTest, ReadBeginsWithNoop) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().OneWay(handle));
  Exchange first;
  EXPECT_EQ(first.Run(client), Errc::kOk);
  EXPECT_EQ(first.word(0), NumberOf(Br::BR_NOOP));
  EXPECT_EQ(first.word(4), NumberOf(Br::BR_TRANSACTION_COMPLETE));

  // Not so one that goes on in a used buffer.
  client.Write(Commands().OneWay(handle));
  Exchange second;
  second.args.read_consumed = 8;
  EXPECT_EQ(second.Run(client), Errc::kOk);
  EXPECT_EQ(second.args.read_consumed, 12u);
  EXPECT_EQ(second.word(0), kUntouchedWord);
  EXPECT_EQ(second.word(4), kUntouchedWord);
  EXPECT_EQ(second.word(8), NumberOf(Br::BR_TRANSACTION_COMPLETE));
}

// Rows: RD-02 RD-05
TYPED_TEST(ReadTest, ReadOfNothing) {
  auto& peer = this->Open();
  Exchange call;
  EXPECT_EQ(call.Run(peer), Errc::kWouldBlock);
  EXPECT_EQ(call.args.read_consumed, 0u);
  EXPECT_EQ(call.word(), NumberOf(Br::BR_NOOP));
  Exchange used;
  used.args.read_consumed = 8;
  EXPECT_EQ(used.Run(peer), Errc::kWouldBlock);
  EXPECT_EQ(used.args.read_consumed, 8u);
  EXPECT_EQ(used.word(), kUntouchedWord);
}

// Rows: RD-05
TYPED_TEST(ReadTest, NonblockingIsLookedAtInEachCall) {
  auto& peer = this->Open();
  Exchange call;
  EXPECT_EQ(call.Run(peer), Errc::kWouldBlock);
  peer.proc().SetNonblocking(false);
  EXPECT_EQ(call.Run(peer, kNoPatience), Errc::kTimedOut);
  peer.proc().SetNonblocking(true);
  EXPECT_EQ(call.Run(peer), Errc::kWouldBlock);
}

// Rows: RD-03 RD-04
TYPED_TEST(ReadTest, TheFirstReadOfAThreadDoesNotBlock) {
  auto& peer = this->Open();
  for (const bool nonblocking : {false, true}) {
    for (const Commands& written : {Commands(), Commands().IncRefs(9)}) {
      auto thread = peer.Fresh();
      peer.proc().SetNonblocking(nonblocking);
      Exchange first(written);
      EXPECT_EQ(first.Run(thread, kNoPatience), Errc::kOk);
      EXPECT_EQ(first.args.read_consumed, 4u);
      EXPECT_EQ(first.codes(), (BrList{Br::BR_NOOP}));
      Exchange second(written);
      EXPECT_EQ(second.Run(thread, kNoPatience),
                nonblocking ? Errc::kWouldBlock : Errc::kTimedOut);
    }
  }
  peer.proc().SetNonblocking(true);
}

// Rows: RD-04
TYPED_TEST(ReadTest, TheSecondReadBlocks) {
  auto& peer = this->Open();
  auto thread = peer.Fresh();
  EXPECT_EQ(thread.Read().codes(), (BrList{Br::BR_NOOP}));
  auto blocked = this->Block(peer, thread);  // Returns once it sleeps.
  thread.thread().Interrupt();
  EXPECT_EQ(blocked->Join().error, Errc::kInterrupted);

  // Any call counts as the first one.
  auto other = peer.Fresh();
  std::int32_t version = 0;
  EXPECT_EQ(other.thread().Version(version), Errc::kOk);
  auto blocked_too = this->Block(peer, other);
  other.thread().Interrupt();
  EXPECT_EQ(blocked_too->Join().error, Errc::kInterrupted);
}

// Rows: RD-13
TYPED_TEST(ReadTest, FlushedThreadReadsOnlyNoop) {
  auto& peer = this->Open();
  peer.proc().Flush();
  peer.proc().SetNonblocking(false);
  Exchange call;
  EXPECT_EQ(call.Run(peer, kNoPatience), Errc::kOk);
  EXPECT_EQ(call.args.read_consumed, 4u);
  EXPECT_EQ(call.codes(), (BrList{Br::BR_NOOP}));
  EXPECT_EQ(call.Run(peer, kNoPatience), Errc::kTimedOut);
  peer.proc().SetNonblocking(true);
}

// --- Which queue -----------------------------------------------------------

// Rows: RD-06
TYPED_TEST(ReadTest, OwnWorkAndProcWorkDoNotMix) {
  auto [manager, service, client, handle] = this->Connected();
  service.Write(Commands().OneWay(0));
  client.Write(Commands().Transact(handle));
  EXPECT_EQ(this->SnapshotOf(service).todo,
            (std::vector{core::WorkType::kTransaction}));
  EXPECT_EQ(service.Read().codes(),
            (BrList{Br::BR_NOOP, Br::BR_TRANSACTION_COMPLETE}));
  EXPECT_EQ(service.Read().codes(), (BrList{Br::BR_NOOP, Br::BR_TRANSACTION}));
}

// Rows: RD-14
TYPED_TEST(ReadTest, BusyThreadsDoNotServeTheProc) {
  auto [manager, service, client, handle] = this->Connected();
  auto& other = this->Open();
  const std::uint32_t at_other =
      this->Give(manager, service, other, this->kPtr, this->kCookie);
  service.Write(Commands().EnterLooper());
  client.Write(Commands().Transact(handle));
  const Received call = service.Read().Get(Br::BR_TRANSACTION);
  other.Write(Commands().Transact(at_other));

  // It serves a call: it reads its own work and nothing else.
  EXPECT_EQ(service.Read().error, Errc::kWouldBlock);
  service.Write(Commands().OneWay(0));
  EXPECT_EQ(service.ReadCodes(), (BrList{Br::BR_TRANSACTION_COMPLETE}));
  service.proc().SetNonblocking(false);
  Exchange patient;
  EXPECT_EQ(patient.Run(service, kNoPatience), Errc::kTimedOut);
  service.proc().SetNonblocking(true);

  // It waits for an answer of its own: the same.
  service.Write(Commands().Transact(0));
  EXPECT_EQ(service.Read().error, Errc::kWouldBlock);
  EXPECT_EQ(this->SnapshotOf(service).todo.size(), 1u);
  (void)manager.Read();  // The one-way.
  const Received nested = manager.Read().Get(Br::BR_TRANSACTION);
  manager.Write(Commands().Free(nested.tr.buffer).Reply());
  EXPECT_EQ(service.ReadCodes(),
            (BrList{Br::BR_TRANSACTION_COMPLETE, Br::BR_REPLY}));

  // Only when all is answered it is free again.
  EXPECT_EQ(service.Read().error, Errc::kWouldBlock);
  service.Write(Commands().Free(call.tr.buffer).Reply());
  EXPECT_EQ(service.ReadCodes(), (BrList{Br::BR_TRANSACTION_COMPLETE}));
  EXPECT_EQ(service.ReadCodes(), (BrList{Br::BR_TRANSACTION}));
}

// Rows: RD-18
TYPED_TEST(ReadTest, WhoIsNoLooperServesTheProcAsWell) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().Transact(handle));
  EXPECT_EQ(this->LooperOf(service), 0u);
  (void)this->gates().TakeErrors();
  EXPECT_EQ(service.ReadCodes(), (BrList{Br::BR_TRANSACTION}));
  EXPECT_EQ(this->gates().TakeErrors(), (std::vector{UserError::kNotLooper}));
}

// --- How much --------------------------------------------------------------

// Rows: RD-07 RD-08
TYPED_TEST(ReadTest, ItemsAreReadWhileTheLargestWouldFit) {
  auto [manager, service, client, handle] = this->Connected();
  for (std::size_t size = 4; size <= 100; ++size) {
    SCOPED_TRACE(size);
    for (int i = 0; i < 4; ++i) client.Write(Commands().OneWay(handle));
    // Four bytes of BR_NOOP; then, four bytes at a time, while 76 are left.
    std::size_t want = size < 80 ? 0 : (size - 80) / 4 + 1;
    if (want > 4) want = 4;
    Exchange call(Commands(), size);
    EXPECT_EQ(call.Run(client), Errc::kOk);
    EXPECT_EQ(call.args.read_consumed, 4 + 4 * want);
    BrList codes(1 + want, Br::BR_TRANSACTION_COMPLETE);
    codes[0] = Br::BR_NOOP;
    EXPECT_EQ(call.codes(), codes);
    // What was not read is still there.
    EXPECT_EQ(client.ReadAll().size(), 4 - want);
  }
}

// Rows: RD-07
TYPED_TEST(ReadTest, OneReadTakesAllThereIs) {
  auto [manager, service, client, handle] = this->Connected();
  for (int i = 0; i < 300; ++i) client.Write(Commands().OneWay(handle));
  EXPECT_EQ(client.Read().received.size(), 301u);
  EXPECT_EQ(client.Read().error, Errc::kWouldBlock);
}

// Rows: RD-08
TYPED_TEST(ReadTest, ReadBufferThatIsUsedUp) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().OneWay(handle));
  for (const std::uint64_t consumed :
       {std::uint64_t{8}, kReadSize - 75, std::uint64_t{kReadSize},
        std::uint64_t{kReadSize} + 1, ~std::uint64_t{} - 3, ~std::uint64_t{}}) {
    Exchange call;
    if (consumed == 8) call.args.read_size = 16;
    call.args.read_consumed = consumed;
    EXPECT_EQ(call.Run(client), Errc::kOk);
    EXPECT_EQ(call.args.read_consumed, consumed);
    EXPECT_EQ(call.read, Exchange(Commands()).read);  // Untouched.
  }
  EXPECT_EQ(client.ReadCodes(), (BrList{Br::BR_TRANSACTION_COMPLETE}));
}

// A read may be offered more room than there is memory.
TYPED_TEST(ReadTest, ReadOfExtremeSizes) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().OneWay(handle));
  Exchange call;
  call.args.read_size = ~std::uint64_t{};
  for (const std::uint64_t address :
       {std::uint64_t{0}, ~std::uint64_t{}, ~std::uint64_t{} - 3}) {
    call.args.read_buffer = address;
    EXPECT_EQ(call.Run(client), Errc::kFault);
    EXPECT_EQ(call.args.read_consumed, 0u);
  }
  call.args.read_buffer = AddressOf(call.read.data());
  EXPECT_EQ(call.Run(client), Errc::kOk);
  EXPECT_EQ(call.codes(), (BrList{Br::BR_NOOP, Br::BR_TRANSACTION_COMPLETE}));
}

// There is no BR_TRANSACTION_SEC_CTX yet.
// Rows: RD-09
TYPED_TEST(ReadTest, ATransactionEndsTheRead) {
  auto [manager, service, client, handle] = this->Connected();
  auto& other = this->Open();
  const std::uint32_t second =
      this->Give(manager, service, client, 0x3000, 0x4000);
  const std::uint32_t at_other =
      this->Give(manager, service, other, this->kPtr, this->kCookie);
  // Three items of process work: news of a node, a call, another call.
  client.Write(Commands().Release(second));
  client.Write(Commands().Transact(handle));
  other.Write(Commands().Transact(at_other));
  EXPECT_EQ(service.Read().codes(),
            (BrList{Br::BR_NOOP, Br::BR_RELEASE, Br::BR_DECREFS,
                    Br::BR_TRANSACTION}));
  auto helper = service.Spawn();
  EXPECT_EQ(helper.Read().codes(), (BrList{Br::BR_NOOP, Br::BR_TRANSACTION}));
}

// Rows: RD-09
TYPED_TEST(ReadTest, AReplyEndsTheRead) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().Transact(handle));
  const Received call = service.Read().Get(Br::BR_TRANSACTION);
  service.Write(Commands().Free(call.tr.buffer).Reply());
  client.Write(Commands().OneWay(handle));
  EXPECT_EQ(client.Read().codes(),
            (BrList{Br::BR_NOOP, Br::BR_TRANSACTION_COMPLETE, Br::BR_REPLY}));
  EXPECT_EQ(client.Read().codes(),
            (BrList{Br::BR_NOOP, Br::BR_TRANSACTION_COMPLETE}));
}

// Rows: RD-10
TYPED_TEST(ReadTest, ADeathEndsTheRead) {
  auto [manager, service, client, handle] = this->Connected();
  const std::uint32_t second =
      this->Give(manager, service, client, 0x3000, 0x4000);
  const std::uint32_t third =
      this->Give(manager, service, client, 0x5000, 0x6000);
  client.Write(Commands()
                   .RequestDeath(handle, 1)
                   .RequestDeath(second, 2)
                   .RequestDeath(third, 3)
                   .ClearDeath(third, 3));
  this->Close(service);
  // A confirmation does not end it, a death does.
  const Result first = client.Read();
  EXPECT_EQ(first.codes(),
            (BrList{Br::BR_NOOP, Br::BR_CLEAR_DEATH_NOTIFICATION_DONE,
                    Br::BR_DEAD_BINDER}));
  EXPECT_EQ(first.received[1].cookie, 3u);
  EXPECT_EQ(first.received[2].cookie, 1u);
  const Result next = client.Read();
  EXPECT_EQ(next.codes(), (BrList{Br::BR_NOOP, Br::BR_DEAD_BINDER}));
  EXPECT_EQ(next.received[1].cookie, 2u);
}

// Rows: RD-12
TYPED_TEST(ReadTest, WorkWithNothingToSay) {
  auto [manager, service, client, handle] = this->Connected();
  // The owner knows of weak counts only, which go...
  client.Write(Commands().IncRefs(handle).Release(handle));
  EXPECT_EQ(service.ReadCodes(), (BrList{Br::BR_RELEASE}));
  client.Write(Commands().DecRefs(handle));
  EXPECT_EQ(this->SnapshotOf(service).todo,
            (std::vector{core::WorkType::kNode}));
  // ... and come again before it reads so.
  Payload object;
  object.WeakBinder(this->kPtr, this->kCookie);
  service.Write(Commands().OneWay(0, object));
  EXPECT_EQ(service.ReadCodes(), (BrList{Br::BR_TRANSACTION_COMPLETE}));
  EXPECT_EQ(this->SnapshotOf(service).todo.size(), 1u);
  EXPECT_EQ(service.Read().error, Errc::kWouldBlock);
  EXPECT_TRUE(this->SnapshotOf(service).todo.empty());
}

// Rows: RD-12
TYPED_TEST(ReadTest, WorkWithNothingToSayDoesNotEndAWait) {
  for (const bool flushed : {false, true}) {
    SCOPED_TRACE(flushed);
    auto [manager, service, client, handle] = this->Connected();
    client.Write(Commands().IncRefs(handle).Release(handle));
    (void)service.ReadAll();
    client.Write(Commands().DecRefs(handle));
    Payload object;
    object.WeakBinder(this->kPtr, this->kCookie);
    service.Write(Commands().OneWay(0, object));
    (void)service.Read();
    ASSERT_EQ(this->SnapshotOf(service).todo.size(), 1u);

    if (flushed) service.proc().Flush();
    service.proc().SetNonblocking(false);
    Exchange call;
    EXPECT_EQ(call.Run(service, kNoPatience),
              flushed ? Errc::kOk : Errc::kTimedOut);
    EXPECT_EQ(call.args.read_consumed, flushed ? 4u : 0u);
    EXPECT_TRUE(this->SnapshotOf(service).todo.empty());
    service.proc().SetNonblocking(true);
    this->Close(manager);
  }
}

// --- Deferred work ---------------------------------------------------------

// Rows: RD-15
TYPED_TEST(ReadTest, ACompletionAloneDoesNotWake) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().Transact(handle));
  auto waiting = this->Block(client, client);  // Returns once it sleeps.
  const Received call = service.Read().Get(Br::BR_TRANSACTION);
  service.Write(Commands().Free(call.tr.buffer).Reply());
  EXPECT_EQ(waiting->Join().codes(),
            (BrList{Br::BR_NOOP, Br::BR_TRANSACTION_COMPLETE, Br::BR_REPLY}));

  // An error is as good as a reply.
  client.Write(Commands().Transact(handle));
  auto again = this->Block(client, client);
  this->Close(service);
  EXPECT_EQ(
      again->Join().codes(),
      (BrList{Br::BR_NOOP, Br::BR_TRANSACTION_COMPLETE, Br::BR_DEAD_REPLY}));
}

// Rows: RD-16
TYPED_TEST(ReadTest, ACompletionAloneCannotBeRead) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().Transact(handle));
  EXPECT_EQ(client.Read().error, Errc::kWouldBlock);
  EXPECT_EQ(this->ThreadOf(client, client).todo,
            (std::vector{core::WorkType::kTransactionComplete}));
  EXPECT_FALSE(this->ThreadOf(client, client).process_todo);
}

// Rows: RD-17
TYPED_TEST(ReadTest, OneReasonToReadIsOneForAll) {
  auto [manager, service, client, handle] = this->Connected();
  // Deferred: the completion of the call, and news of the node in it; then,
  // not deferred, a failure.
  Payload object;
  object.Binder(0x10, 0x20);
  client.Write(Commands().Transact(handle, object));
  EXPECT_EQ(client.Read().error, Errc::kWouldBlock);
  client.Write(Commands().OneWay(handle));
  EXPECT_TRUE(this->ThreadOf(client, client).process_todo);
  client.Write(Commands().Transact(kBadHandle));
  EXPECT_EQ(client.Read().codes(),
            (BrList{Br::BR_NOOP, Br::BR_INCREFS, Br::BR_ACQUIRE,
                    Br::BR_TRANSACTION_COMPLETE, Br::BR_TRANSACTION_COMPLETE,
                    Br::BR_FAILED_REPLY}));
  EXPECT_FALSE(this->ThreadOf(client, client).process_todo);

  // It is a reason until the list is empty, also for what is deferred later.
  client.Write(Commands().OneWay(handle).OneWay(handle));
  EXPECT_EQ(client.Read(80).codes(),
            (BrList{Br::BR_NOOP, Br::BR_TRANSACTION_COMPLETE}));
  EXPECT_TRUE(this->ThreadOf(client, client).process_todo);
  EXPECT_EQ(client.ReadCodes(), (BrList{Br::BR_TRANSACTION_COMPLETE}));
  EXPECT_FALSE(this->ThreadOf(client, client).process_todo);
}

// --- Who is woken ----------------------------------------------------------

// Has two threads of the client wait, the death of `service` choose one, and
// that one leave the work where it is.
// Rows: RD-19
TYPED_TEST(ReadTest, WorkThatIsLeftWakesSomebodyElse) {
  for (const bool interrupted : {false, true}) {
    SCOPED_TRACE(interrupted);
    auto [manager, service, client, handle] = this->Connected();
    client.Write(Commands().RequestDeath(handle, 5));
    auto chosen = client.Spawn();
    auto heir = client.Spawn();
    auto waiting = this->Block(client, heir);
    Exchange call(Commands(), /*read_size=*/40);  // Too small for any item.
    BlockedExchange<TypeParam> last(this->gates(), client.proc(),
                                    chosen.thread(), call);
    this->gates().Close(Point::kWoken, chosen.tid());
    this->Close(service);
    this->gates().WaitFor(Point::kWoken, chosen.tid());
    if (interrupted) chosen.thread().Interrupt();
    this->gates().Open(Point::kWoken, chosen.tid());
    EXPECT_EQ(last.Join(), interrupted ? Errc::kInterrupted : Errc::kOk);
    EXPECT_EQ(call.args.read_consumed, interrupted ? 0u : 4u);
    EXPECT_EQ(waiting->Join().codes(),
              (BrList{Br::BR_NOOP, Br::BR_DEAD_BINDER}));
    this->Close(manager);
  }
}

// --- Reading into bad memory -----------------------------------------------

// Rows: RD-20
TYPED_TEST(ReadTest, ACallThatCannotBeWritten) {
  auto pair = this->ConnectedOverFaultyMemory();
  auto& [manager, service, client, handle] = pair;
  for (std::size_t i = 4; i < 72; ++i) {
    SCOPED_TRACE(i);
    client.Write(Commands().Transact(handle));
    Exchange call;
    this->memory().FaultWrites(AddressOf(call.read.data()) + i);
    EXPECT_EQ(call.Run(service), Errc::kFault);
    EXPECT_EQ(call.args.read_consumed, 0u);
    this->memory().Heal();
    EXPECT_EQ(client.Read().codes(),
              (BrList{Br::BR_NOOP, Br::BR_TRANSACTION_COMPLETE,
                      Br::BR_FAILED_REPLY}));
    // It is gone, but not its buffer, which nobody can free.
    EXPECT_EQ(service.Read().error, Errc::kWouldBlock);
    EXPECT_TRUE(this->ThreadOf(service, service).stack.empty());
    EXPECT_EQ(this->SnapshotOf(service).outstanding, 0);
    EXPECT_EQ(this->SnapshotOf(service).buffers, i - 3);
    EXPECT_EQ(this->SnapshotOf(service).delivered_buffers, 0u);
  }
  const std::uint64_t first = service.proc().state().arena.usage().address;
  service.Write(Commands().Free(first));
  EXPECT_EQ(this->SnapshotOf(service).buffers, 68u);
  this->Disconnect(pair);
}

// One-ways that are lost in this way hold up nobody.
// Rows: AS-09
TYPED_TEST(ReadTest, AOneWayThatCannotBeWritten) {
  auto pair = this->ConnectedOverFaultyMemory();
  auto& [manager, service, client, handle] = pair;
  for (std::size_t i = 4; i < 72; ++i) {
    SCOPED_TRACE(i);
    client.Write(Commands().OneWay(handle, {}, 1).OneWay(handle, {}, 2));
    Exchange call;
    this->memory().FaultWrites(AddressOf(call.read.data()) + i);
    EXPECT_EQ(call.Run(service), Errc::kFault);
    this->memory().Heal();
    const Received second = service.Read().Get(Br::BR_TRANSACTION);
    EXPECT_EQ(second.tr.code, 2u);
    service.Write(Commands().Free(second.tr.buffer));
    EXPECT_EQ(this->SnapshotOf(service).buffers, 0u);
  }
  this->Disconnect(pair);
}

// Rows: RD-21
TYPED_TEST(ReadTest, ANoopThatCannotBeWritten) {
  auto pair = this->ConnectedOverFaultyMemory();
  auto& [manager, service, client, handle] = pair;
  client.Write(Commands().Transact(handle));
  for (std::size_t i = 0; i < 4; ++i) {
    const std::string before = this->State();
    Exchange call(Commands().EnterLooper());
    this->memory().FaultWrites(AddressOf(call.read.data()) + i);
    EXPECT_EQ(call.Run(service), Errc::kFault);
    EXPECT_EQ(call.args.write_consumed, 4u);
    EXPECT_EQ(call.args.read_consumed, 0u);
    this->memory().Heal();
    if (i > 0) {  // It is a looper already.
      EXPECT_EQ(this->State(), before);
    }
  }
  EXPECT_EQ(service.ReadCodes(), (BrList{Br::BR_TRANSACTION}));
}

// Rows: RD-22
TYPED_TEST(ReadTest, NoRoomForTheNoop) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().Transact(handle));
  const std::string before = this->State();
  for (std::size_t size = 1; size < 4; ++size) {
    Exchange call;
    call.args.read_size = size;
    EXPECT_EQ(call.Run(service), Errc::kFault);
    EXPECT_EQ(call.args.read_consumed, 0u);
    EXPECT_EQ(call.word(), kUntouchedWord);
    EXPECT_EQ(this->State(), before);
  }
  EXPECT_EQ(service.ReadCodes(), (BrList{Br::BR_TRANSACTION}));
}

// Whatever is being read, and whichever byte of it faults: the call says so,
// the state stays sound, and the thread goes on.
TYPED_TEST(ReadTest, AnythingThatCannotBeWritten) {
  using Peers = typename TestFixture::Pair;
  using Reader = Actor<TypeParam>;
  const std::uint64_t ptr = this->kPtr;
  struct Case {
    const char* name;
    BrList codes;
    std::function<Reader*(Peers&)> prepare;  // Returns who is to read.
  };
  const auto answer = [](Peers& p) {
    const Received call = p.service.Read().Get(Br::BR_TRANSACTION);
    p.service.Write(Commands().Acquire(call.object(0).handle));
    p.service.Write(Commands().Free(call.tr.buffer).Reply());
  };
  const std::vector<Case> cases = {
      {"reply",
       {Br::BR_INCREFS, Br::BR_ACQUIRE, Br::BR_TRANSACTION_COMPLETE,
        Br::BR_REPLY},
       [&](Peers& p) -> Reader* {
         Payload object;
         object.Binder(0x10, 0x20);
         p.client.Write(Commands().Transact(p.handle, object));
         answer(p);
         return &p.client;
       }},
      {"node news",
       {Br::BR_RELEASE, Br::BR_DECREFS},
       [&](Peers& p) -> Reader* {
         p.client.Write(Commands().Release(p.handle));
         return &p.service;
       }},
      {"death",
       {Br::BR_DEAD_BINDER},
       [&](Peers& p) -> Reader* {
         p.client.Write(Commands().RequestDeath(p.handle, ptr));
         this->Close(p.service);
         return &p.client;
       }},
      {"death that is no longer wanted",
       {Br::BR_DEAD_BINDER},
       [&](Peers& p) -> Reader* {
         p.client.Write(Commands().RequestDeath(p.handle, ptr));
         this->Close(p.service);
         p.client.Write(Commands().ClearDeath(p.handle, ptr));
         return &p.client;
       }},
      {"cleared",
       {Br::BR_CLEAR_DEATH_NOTIFICATION_DONE},
       [&](Peers& p) -> Reader* {
         p.client.Write(
             Commands().RequestDeath(p.handle, ptr).ClearDeath(p.handle, ptr));
         return &p.client;
       }},
      {"failure",
       {Br::BR_FAILED_REPLY},
       [&](Peers& p) -> Reader* {
         p.client.Write(Commands().Transact(kBadHandle));
         return &p.client;
       }},
      {"call that died",
       {Br::BR_TRANSACTION_COMPLETE, Br::BR_DEAD_REPLY},
       [&](Peers& p) -> Reader* {
         p.client.Write(Commands().Transact(p.handle));
         this->Close(p.service);
         return &p.client;
       }},
  };
  for (const Case& c : cases) {
    std::size_t size = 4;
    for (const Br code : c.codes) size += 4 + PayloadSize(code);
    for (std::size_t i = 0; i <= size; ++i) {
      SCOPED_TRACE(c.name + (", byte " + std::to_string(i)));
      auto pair = this->ConnectedOverFaultyMemory();
      Reader& reader = *c.prepare(pair);
      Exchange call;
      this->memory().FaultWrites(AddressOf(call.read.data()) + i);
      // Behind the last byte it does not matter.
      EXPECT_EQ(call.Run(reader), i < size ? Errc::kFault : Errc::kOk);
      EXPECT_EQ(call.args.read_consumed, i < size ? 0u : size);
      this->memory().Heal();
      (void)reader.ReadAll();
      EXPECT_EQ(reader.Do(Commands().Transact(kBadHandle)).codes(),
                (BrList{Br::BR_NOOP, Br::BR_FAILED_REPLY}));
      this->Disconnect(pair);
    }
  }
}

// What cannot be written is lost, alone: not what is behind it.
TYPED_TEST(ReadTest, WhatAFaultCosts) {
  auto pair = this->ConnectedOverFaultyMemory();
  auto& client = pair.client;
  const std::uint32_t handle = pair.handle;
  const auto fault_at = [&](std::size_t i) {
    Exchange call;
    this->memory().FaultWrites(AddressOf(call.read.data()) + i);
    EXPECT_EQ(call.Run(client), Errc::kFault);
    this->memory().Heal();
  };
  client.Write(Commands().OneWay(handle).OneWay(handle).OneWay(handle));
  fault_at(8);  // The second of three.
  EXPECT_EQ(client.ReadCodes(), (BrList{Br::BR_TRANSACTION_COMPLETE}));

  Payload object;
  object.Binder(0x10, 0x20);
  client.Write(Commands().OneWay(0, object));
  fault_at(24);  // The second command of one item.
  EXPECT_EQ(client.ReadCodes(), (BrList{Br::BR_TRANSACTION_COMPLETE}));

  client.Write(Commands().Transact(kBadHandle));
  fault_at(4);
  client.Write(Commands().EnterLooper());  // The failure holds up nothing.

  client.Write(Commands().RequestDeath(handle, 1));
  this->Close(pair.service);
  fault_at(8);
  EXPECT_EQ(client.Read().error, Errc::kWouldBlock);
  // The driver thinks that the death is known.
  client.Write(Commands().ClearDeath(handle, 1));
  EXPECT_EQ(client.Read().error, Errc::kWouldBlock);
  client.Write(Commands().DeadDone(1));
  EXPECT_EQ(client.ReadCodes(), (BrList{Br::BR_CLEAR_DEATH_NOTIFICATION_DONE}));
  this->Disconnect(pair);
}

// --- What a transaction looks like -----------------------------------------

// Rows: RD-23
TYPED_TEST(ReadTest, TransactionDataOfCallsAndOneWays) {
  auto& manager = this->OpenManager();
  auto& service = this->Open();
  auto& client = this->Open({.pid = 77, .euid = 4000000000});
  const std::uint32_t handle =
      this->Give(manager, service, client, 0x123456789a, 0xba9876543210);
  client.Write(Commands().Transact(handle, {}, 0xffffffff, ~kTfOneWay));
  const Received call = service.Read().Get(Br::BR_TRANSACTION);
  EXPECT_EQ(call.tr.target.ptr, 0x123456789au);
  EXPECT_EQ(call.tr.cookie, 0xba9876543210u);
  EXPECT_EQ(call.tr.code, 0xffffffffu);
  EXPECT_EQ(call.tr.flags, ~kTfOneWay);
  EXPECT_EQ(call.tr.sender_pid, 77);
  EXPECT_EQ(call.tr.sender_euid, 4000000000u);
  service.Write(Commands().Free(call.tr.buffer).Reply());
  this->Settle(service);

  auto sender = client.Spawn();
  sender.Write(Commands().Transact(handle, {}, 3, 0xffffffff));
  const Received one_way = service.Read().Get(Br::BR_TRANSACTION);
  EXPECT_EQ(one_way.tr.target.ptr, 0x123456789au);
  EXPECT_EQ(one_way.tr.cookie, 0xba9876543210u);
  EXPECT_EQ(one_way.tr.code, 3u);
  EXPECT_EQ(one_way.tr.flags, 0xffffffffu);
  EXPECT_EQ(one_way.tr.sender_pid, 0);
  EXPECT_EQ(one_way.tr.sender_euid, 4000000000u);
}

// Rows: RD-23
TYPED_TEST(ReadTest, CallOfASenderThatIsGone) {
  auto& manager = this->OpenManager();
  auto& service = this->Open();
  auto& client = this->Open({.euid = 1000});
  const std::uint32_t handle = this->Give(manager, service, client, 0x10, 0x20);
  for (const bool closed : {false, true}) {
    client.Write(Commands().Transact(handle));
    if (closed) {
      this->Close(client);
    } else {
      EXPECT_EQ(client.thread().ThreadExit(), Errc::kOk);
    }
    const Received call = service.Read().Get(Br::BR_TRANSACTION);
    EXPECT_EQ(call.tr.target.ptr, 0x10u);
    EXPECT_EQ(call.tr.sender_pid, 0);
    EXPECT_EQ(call.tr.sender_euid, 1000u);
    service.Write(Commands().Free(call.tr.buffer).Reply());
    this->Settle(service);
  }
}

// Rows: RD-24
TYPED_TEST(ReadTest, TransactionDataOfReplies) {
  auto& manager = this->OpenManager();
  auto& service = this->Open({.euid = 1234});
  auto& client = this->Open({.euid = 5678});
  const std::uint32_t handle = this->Give(manager, service, client, 0x10, 0x20);
  client.Write(Commands().Transact(handle, {}, 1, kTfAcceptFds));
  const Received call = service.Read().Get(Br::BR_TRANSACTION);
  const Payload payload("answer");
  TransactionData data = payload.Data(0x80000001, 0xfffffffe);
  data.target.ptr = 0x1111;  // Of no meaning here, so not passed on.
  data.cookie = 0x2222;
  data.sender_pid = 0x3333;
  data.sender_euid = 0x4444;
  service.Write(Commands().Free(call.tr.buffer).Put(Bc::BC_REPLY, data));
  const Received reply = client.Read().Get(Br::BR_REPLY);
  EXPECT_EQ(reply.text(), "answer");
  EXPECT_EQ(reply.tr.target.ptr, 0u);
  EXPECT_EQ(reply.tr.cookie, 0u);
  EXPECT_EQ(reply.tr.code, 0x80000001u);
  EXPECT_EQ(reply.tr.flags, 0xfffffffeu);
  EXPECT_EQ(reply.tr.sender_pid, 0);
  EXPECT_EQ(reply.tr.sender_euid, 1234u);
}

// Rows: RD-25 RD-26
TYPED_TEST(ReadTest, WhereThePayloadIs) {
  auto [manager, service, client, handle] = this->Connected();
  const auto usage = service.proc().state().arena.usage();
  std::vector<Received> calls;
  for (std::size_t size = 0; size <= 17; ++size) {
    const Payload payload(std::string(size, static_cast<char>('a' + size)));
    client.Write(Commands().Transact(handle, payload));
    calls.push_back(service.Read().Get(Br::BR_TRANSACTION));
    const TransactionData& tr = calls.back().tr;
    EXPECT_EQ(tr.data_size, size);
    EXPECT_EQ(tr.offsets_size, 0u);
    EXPECT_EQ(tr.offsets, tr.buffer + (size + 7) / 8 * 8);
    EXPECT_GE(tr.buffer, usage.address);
    EXPECT_LE(tr.offsets, usage.address + usage.size);
    service.Write(Commands().Reply());
    this->Settle(client);
    this->Settle(service);
  }
  // All of them are there until they are freed; then the room is free again.
  for (const Received& call : calls) {
    const auto size = static_cast<std::size_t>(call.tr.data_size);
    EXPECT_EQ(call.text(), std::string(size, static_cast<char>('a' + size)));
    service.Write(Commands().Free(call.tr.buffer));
  }
  client.Write(Commands().Transact(handle));
  EXPECT_EQ(service.Read().Get(Br::BR_TRANSACTION).tr.buffer, usage.address);
}

// Rows: RD-27
TYPED_TEST(ReadTest, TheOpenerVouchesForAllItsThreads) {
  auto& manager = this->OpenManager();
  auto& client = this->Open({.euid = 10042});
  auto thread = client.Spawn();
  for (Actor<TypeParam>* sender :
       {&static_cast<Actor<TypeParam>&>(client), &thread}) {
    sender->Write(Commands().Transact(0));
    const Received call = manager.Read().Get(Br::BR_TRANSACTION);
    EXPECT_EQ(call.tr.sender_euid, 10042u);
    manager.Write(Commands().Free(call.tr.buffer).Reply());
    this->Settle(manager);
  }
}

}  // namespace
}  // namespace binderlite::testing
