// SPDX-License-Identifier: Apache-2.0
//
// One-way transactions: one at a time per node, in the order in which they were
// sent, whoever comes and goes meanwhile.

#include "binderlite/driver/oneway.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <list>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/call_test.h"

namespace binderlite::testing {
namespace {

template <class L>
class OneWayTest : public CallTest<L> {
 protected:
  using CallTest<L>::kPtr;

  debug::NodeSnapshot Target(Peer<L>& service) {
    return this->NodeOf(service, kPtr);
  }
  // Has `actor` read a one-way with this code, and nothing else.
  static Received Expect(Actor<L>& actor, std::uint32_t code) {
    const Result result = actor.Read();
    EXPECT_EQ(result.codes(), (BrList{kNoop, kTransaction}));
    const Received got = result.Get(kTransaction);
    EXPECT_EQ(got.tr.code, code);
    EXPECT_EQ(got.tr.flags, kTfOneWay);
    return got;
  }
};
BINDERLITE_FOR_ALL_DISCIPLINES(OneWayTest);

// Rows: AS-01
TYPED_TEST(OneWayTest, TheFirstIsWorkOfTheProc) {
  auto [manager, service, client, handle] = this->Connected();
  EXPECT_FALSE(this->Target(service).has_async);
  client.Write(Commands().OneWay(handle, {}, 1));
  EXPECT_TRUE(this->Target(service).has_async);
  EXPECT_EQ(this->SnapshotOf(service).todo,
            std::vector{WorkType::kTransaction});
  Actor<TypeParam> any = service.Spawn();
  (void)this->Expect(any, 1);
  EXPECT_TRUE(this->Target(service).has_async);
}

// Rows: AS-01
TYPED_TEST(OneWayTest, TheFirstGoesToAThreadThatWaits) {
  auto [manager, service, client, handle] = this->Connected();
  Actor<TypeParam> worker = service.Spawn();
  auto waiting = this->Block(service, worker);
  this->HoldWhile(worker,
                  [&, &service = service, &client = client, handle = handle] {
                    client.Write(Commands().OneWay(handle, {}, 1));
                    EXPECT_EQ(this->ThreadOf(service, worker).todo,
                              std::vector{WorkType::kTransaction});
                    EXPECT_TRUE(this->SnapshotOf(service).todo.empty());
                    EXPECT_TRUE(this->Target(service).has_async);
                  });
  EXPECT_EQ(waiting->Join().Get(kTransaction).tr.code, 1u);
}

// Rows: AS-02
TYPED_TEST(OneWayTest, FurtherOnesWaitAtTheNode) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().OneWay(handle, {}, 1));
  (void)this->Expect(service, 1);
  Actor<TypeParam> idle = service.Spawn();
  auto waiting = this->Block(service, idle);
  for (std::uint32_t i = 2; i < 5; ++i) {
    EXPECT_EQ(client.ReadCodes(), BrList{kComplete});
    client.Write(Commands().OneWay(handle, {}, i));
    EXPECT_EQ(this->Target(service).waiting_one_ways, i - 1);
  }
  // Nobody has been woken.
  EXPECT_TRUE(this->SnapshotOf(service).todo.empty());
  EXPECT_TRUE(this->ThreadOf(service, idle).todo.empty());
  EXPECT_TRUE(this->ThreadOf(service, idle).waiting);
  service.proc().Flush();
  EXPECT_EQ(waiting->Join().codes(), BrList{kNoop});
}

// Rows: AS-03
TYPED_TEST(OneWayTest, FreeingMovesTheNextToTheEndOfTheProcsQueue) {
  auto [manager, service, client, handle] = this->Connected();
  const std::uint32_t second = this->Give(manager, service, client, 1, 2);
  client.Write(Commands().OneWay(handle, {}, 1).OneWay(handle, {}, 2));
  const Received first = this->Expect(service, 1);
  client.Write(Commands().OneWay(second, {}, 9));
  service.Write(Commands().Free(first.tr.buffer));
  EXPECT_TRUE(this->ThreadOf(service, service).todo.empty());
  EXPECT_EQ(this->SnapshotOf(service).todo,
            (std::vector{WorkType::kTransaction, WorkType::kTransaction}));
  EXPECT_EQ(this->Target(service).waiting_one_ways, 0u);
  // Another thread may take it, behind what was there before.
  Actor<TypeParam> other = service.Spawn();
  (void)this->Expect(other, 9);
  const Received next = this->Expect(other, 2);
  // None is left: the node is idle.
  EXPECT_TRUE(this->Target(service).has_async);
  service.Write(Commands().Free(next.tr.buffer));
  EXPECT_FALSE(this->Target(service).has_async);
  EXPECT_TRUE(this->SnapshotOf(service).todo.empty());
  client.Write(Commands().OneWay(handle, {}, 3));
  (void)this->Expect(service, 3);
}

// Rows: AS-03
TYPED_TEST(OneWayTest, FreeingWakesOneThread) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands()
                   .OneWay(handle, {}, 1)
                   .OneWay(handle, {}, 2)
                   .OneWay(handle, {}, 3));
  const Received first = this->Expect(service, 1);
  Actor<TypeParam> worker1 = service.Spawn();
  Actor<TypeParam> worker2 = service.Spawn();
  auto waiting1 = this->Block(service, worker1);
  auto waiting2 = this->Block(service, worker2);
  this->HoldWhile(worker2, [&, &service = service] {
    service.Write(Commands().Free(first.tr.buffer));
  });
  EXPECT_EQ(waiting2->Join().Get(kTransaction).tr.code, 2u);
  EXPECT_TRUE(this->ThreadOf(service, worker1).waiting);
  service.proc().Flush();
  EXPECT_EQ(waiting1->Join().codes(), BrList{kNoop});
}

// Rows: AS-03
TYPED_TEST(OneWayTest, TheFreeingCallCanTakeTheNext) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().OneWay(handle, {}, 1).OneWay(handle, {}, 2));
  const Received first = this->Expect(service, 1);
  const Result result = service.Do(Commands().Free(first.tr.buffer));
  EXPECT_EQ(result.codes(), (BrList{kNoop, kTransaction}));
  EXPECT_EQ(result.Get(kTransaction).tr.code, 2u);
}

// Rows: AS-03
TYPED_TEST(OneWayTest, OnlyTheCurrentOnesBufferCounts) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().OneWay(handle, {}, 1).OneWay(handle, {}, 2));
  const Received first = this->Expect(service, 1);
  // Neither a call's buffer nor a second free of the same moves it.
  Actor<TypeParam> caller = client.Spawn();
  caller.Write(Commands().Transact(handle));
  const Received call = this->Receive(service);
  this->Answer(service, call);
  EXPECT_EQ(this->Target(service).waiting_one_ways, 1u);
  const Result freed =
      service.Do(Commands().Free(first.tr.buffer).Free(first.tr.buffer));
  EXPECT_EQ(freed.Get(kTransaction).tr.code, 2u);
  EXPECT_TRUE(this->Target(service).has_async);
}

// Rows: AS-04
TYPED_TEST(OneWayTest, NodesAreIndependent) {
  auto [manager, service, client, handle] = this->Connected();
  const std::uint32_t second = this->Give(manager, service, client, 1, 2);
  client.Write(Commands()
                   .OneWay(handle, {}, 11)
                   .OneWay(handle, {}, 12)
                   .OneWay(second, {}, 21)
                   .OneWay(second, {}, 22));
  const Received a1 = this->Expect(service, 11);
  const Received b1 = this->Expect(service, 21);
  this->ExpectNothing(service);
  service.Write(Commands().Free(b1.tr.buffer));
  (void)this->Expect(service, 22);
  this->ExpectNothing(service);
  service.Write(Commands().Free(a1.tr.buffer));
  (void)this->Expect(service, 12);
}

// Rows: AS-05
TYPED_TEST(OneWayTest, OrderOfAcceptanceAcrossSenders) {
  auto [manager, service, client, handle] = this->Connected();
  Peer<TypeParam>& other = this->Open({.name = "other"});
  const std::uint32_t others =
      this->Give(manager, service, other, this->kPtr, this->kCookie);
  Actor<TypeParam> thread = client.Spawn();
  constexpr std::uint32_t kCount = 30;
  for (std::uint32_t i = 0; i < kCount; ++i) {
    switch (i % 3) {
      case 0:
        client.Write(Commands().OneWay(handle, {}, i));
        break;
      case 1:
        other.Write(Commands().OneWay(others, {}, i));
        break;
      default:
        thread.Write(Commands().OneWay(handle, {}, i));
        break;
    }
  }
  EXPECT_EQ(this->Target(service).waiting_one_ways, kCount - 1);
  for (std::uint32_t i = 0; i < kCount; ++i) {
    service.Write(Commands().Free(this->Expect(service, i).tr.buffer));
  }
  this->ExpectNothing(service);
}

// Rows: AS-06
TYPED_TEST(OneWayTest, KeptBufferHoldsBackTheOthers) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().OneWay(handle, {}, 1));
  (void)this->Expect(service, 1);
  client.Write(Commands().OneWay(handle, {}, 2));
  Actor<TypeParam> other = service.Spawn();
  this->ExpectNothing(service);
  this->ExpectNothing(other);
  // The end of the thread that has it is no help, either.
  EXPECT_EQ(service.thread().ThreadExit(), Errc::kOk);
  this->ExpectNothing(other);
  EXPECT_EQ(this->Target(service).waiting_one_ways, 1u);
  // The node still takes calls.
  Actor<TypeParam> caller = client.Spawn();
  caller.Write(Commands().Transact(handle, {}, 3));
  EXPECT_EQ(this->Receive(other).tr.code, 3u);
}

// Rows: AS-07
TYPED_TEST(OneWayTest, CallsMayOvertake) {
  auto [manager, service, client, handle] = this->Connected();
  Actor<TypeParam> caller = client.Spawn();
  client.Write(Commands().OneWay(handle, {}, 1).OneWay(handle, {}, 2));
  caller.Write(Commands().Transact(handle, {}, 3));
  client.Write(Commands().OneWay(handle, {}, 4));
  const Received first = this->Expect(service, 1);
  const Received call = this->Receive(service);
  EXPECT_EQ(call.tr.code, 3u);
  this->Answer(service, call);
  this->ExpectReply(caller, 0);
  service.Write(Commands().Free(first.tr.buffer));
  service.Write(Commands().Free(this->Expect(service, 2).tr.buffer));
  (void)this->Expect(service, 4);
}

// Rows: AS-08
TYPED_TEST(OneWayTest, NoRelationWithWhatTheSenderServes) {
  auto [a, b, c, to_a, to_b, to_c] = this->MakeRing();
  c.Write(Commands().Transact(to_a));
  const Received call = this->Receive(a);
  a.Write(Commands().OneWay(to_b, {}, 1));
  (void)this->Expect(b, 1);
  EXPECT_TRUE(this->ThreadOf(b, b).stack.empty());
  // A call that the one-way causes is not steered to c's waiting thread.
  b.Write(Commands().Transact(to_c, {}, 2));
  EXPECT_EQ(this->SnapshotOf(c).todo, std::vector{WorkType::kTransaction});
  Actor<TypeParam> other = c.Spawn();
  this->Answer(other, this->Receive(other), 3);
  this->ExpectReply(b, 3);
  // Its receiver's death is nobody's business.
  this->Close(b);
  EXPECT_EQ(a.ReadCodes(), BrList{kComplete});
  this->ExpectNothing(c);
  this->Answer(a, call, 4);
  this->ExpectReply(c, 4);
}

// Rows: AS-09
TYPED_TEST(OneWayTest, ThreadExitsWithAnUnreadOne) {
  auto [manager, service, client, handle] = this->Connected();
  Payload object;
  object.Binder(0x7000, 1);
  Actor<TypeParam> worker = service.Spawn();
  this->StrandCall(service, worker, client,
                   Commands().OneWay(handle, object, 1));
  client.Write(Commands().OneWay(handle, {}, 2));
  EXPECT_EQ(this->SnapshotOf(service).buffers, 2u);
  EXPECT_EQ(worker.thread().ThreadExit(), Errc::kOk);
  // Its buffer and what was in it are gone, the next one is due.
  EXPECT_EQ(this->SnapshotOf(service).buffers, 1u);
  EXPECT_TRUE(this->SnapshotOf(service).refs.empty());
  service.Write(Commands().Free(this->Expect(service, 2).tr.buffer));
  EXPECT_FALSE(this->Target(service).has_async);
  EXPECT_EQ(client.ReadCodes(), (BrList{kComplete, kComplete}));
  // The last one leaves the node idle.
  Actor<TypeParam> next = service.Spawn();
  this->StrandCall(service, next, client, Commands().OneWay(handle));
  EXPECT_EQ(next.thread().ThreadExit(), Errc::kOk);
  EXPECT_FALSE(this->Target(service).has_async);
  EXPECT_EQ(this->Target(service).local_strong, 0);
}

// Rows: AS-09
TYPED_TEST(OneWayTest, ReadFaults) {
  Peer<TypeParam>& manager =
      this->OpenManager({.name = "manager", .memory = &this->memory()});
  Peer<TypeParam>& client = this->Open();
  client.Write(Commands().OneWay(0, {}, 1).OneWay(0, {}, 2));
  std::array<std::byte, 256> buffer;
  WriteRead args = {};
  args.read_size = buffer.size();
  args.read_buffer = AddressOf(buffer.data());
  // The last byte of the command.
  this->memory().FaultWrites(args.read_buffer + 4 + 4 +
                             sizeof(TransactionData) - 1);
  EXPECT_EQ(manager.thread().WriteRead(args), Errc::kFault);
  this->memory().Heal();
  manager.Check();
  EXPECT_EQ(this->SnapshotOf(manager).buffers, 1u);
  manager.Write(Commands().Free(this->Expect(manager, 2).tr.buffer));
  EXPECT_FALSE(this->NodeOf(manager, 0).has_async);
  EXPECT_EQ(client.ReadCodes(), (BrList{kComplete, kComplete}));
}

// Rows: AS-10
TYPED_TEST(OneWayTest, ReceiverDies) {
  Peer<TypeParam>& manager = this->OpenManager();
  Peer<TypeParam>& client = this->Open();
  Payload object;
  object.Binder(0x7000, 1);
  for (const int delivered : {0, 1}) {
    Peer<TypeParam>& service = this->Open();
    const std::uint32_t first = this->Give(manager, service, client, 1, 1);
    const std::uint32_t second = this->Give(manager, service, client, 2, 2);
    // At the node, on the Proc's queue, on a thread's, in somebody's hands.
    client.Write(Commands().OneWay(first, object).OneWay(first, object));
    if (delivered != 0) (void)service.Read();
    Actor<TypeParam> worker = service.Spawn();
    if (delivered != 0) {
      this->StrandCall(service, worker, client,
                       Commands().OneWay(second, object));
    } else {
      client.Write(Commands().OneWay(second, object));
    }
    this->Close(service);
    BrList codes;
    for (const Received& r : client.ReadAll()) {
      // The node in the payloads comes and goes.
      if (r.br == kComplete || r.br == kDead || r.br == kFailed) {
        codes.push_back(r.br);
      }
      if (r.br == Br::BR_INCREFS) {
        client.Write(Commands().IncRefsDone(r.ptr, r.cookie));
      } else if (r.br == Br::BR_ACQUIRE) {
        client.Write(Commands().AcquireDone(r.ptr, r.cookie));
      }
    }
    EXPECT_EQ(codes, (BrList{kComplete, kComplete, kComplete}));
    this->Settle(client);
    client.Write(Commands().Release(first).Release(second));
    EXPECT_EQ(this->Snapshot().live(core::ObjectKind::kTransaction), 0u);
    EXPECT_TRUE(this->SnapshotOf(client).nodes.empty());
    EXPECT_EQ(client.TakeError(), kNoError);
  }
}

// Rows: AS-11
TYPED_TEST(OneWayTest, SenderDies) {
  auto [manager, service, client, handle] = this->Connected();
  Peer<TypeParam>& third = this->Open({.name = "third"});
  const std::uint32_t to_third =
      this->Give(manager, third, client, 0x3000, 0x4000);
  Payload payload("last words");
  payload.Handle(to_third).Binder(0x7000, 1);
  client.Write(Commands().OneWay(handle, {}, 1).OneWay(handle, payload, 2));
  this->Close(client);
  service.Write(Commands().Free(this->Expect(service, 1).tr.buffer));
  const Received got = this->Expect(service, 2);
  EXPECT_EQ(got.text().substr(0, 10), "last words");
  this->ExpectNothing(third);  // Nobody has let go of its node.
  const std::uint32_t handle_of_third = got.object(0).handle;
  const std::uint32_t handle_of_dead = got.object(1).handle;
  service.Write(Commands().Acquire(handle_of_third).Acquire(handle_of_dead));
  service.Write(Commands().Free(got.tr.buffer));
  service.Write(Commands().OneWay(handle_of_third, {}, 3));
  EXPECT_EQ(service.ReadCodes(), BrList{kComplete});
  EXPECT_EQ(this->Expect(third, 3).tr.target.ptr, 0x3000u);
  this->ExpectFails(service, Commands().OneWay(handle_of_dead), kDead,
                    Errc::kInvalid);
}

// --- Spam -------------------------------------------------------------------

// Services with small arenas, of which six pages are no spam, but the seventh
// is, and leaves a page.
template <class L>
class SpamTest : public OneWayTest<L> {
 protected:
  static constexpr int kFew = 6;
  static constexpr Br kSuspect = Br::BR_ONEWAY_SPAM_SUSPECT;

  // A new service; sets `handle` to the handle to it that `client` gets.
  Peer<L>& AddService(Peer<L>& manager, Peer<L>& client,
                      std::uint32_t& handle) {
    Peer<L>& service = this->Open({.arena_size = 65536});
    handle = this->Give(manager, service, client, this->kPtr, this->kCookie);
    return service;
  }
  static Payload Page() { return Payload(std::string(4096, 's')); }
  // `count` pages that are no spam.
  static void Send(Actor<L>& sender, std::uint32_t handle, int count) {
    for (int i = 0; i < count; ++i) {
      sender.Write(Commands().OneWay(handle, Page()));
      EXPECT_EQ(sender.ReadCodes(), BrList{kComplete}) << i;
    }
  }
  static void Detect(Actor<L>& actor, bool enable) {
    EXPECT_EQ(actor.thread().EnableOnewaySpamDetection(enable), Errc::kOk);
  }
};
BINDERLITE_FOR_ALL_DISCIPLINES(SpamTest);

// Rows: AL-22 AL-23 IO-23
TYPED_TEST(SpamTest, TheSenderIsTold) {
  Peer<TypeParam>& manager = this->OpenManager();
  Peer<TypeParam>& client = this->Open();
  std::uint32_t handle = 0;
  Peer<TypeParam>& service = this->AddService(manager, client, handle);
  this->Detect(client, true);
  this->Send(client, handle, this->kFew);
  // The commands behind it are run.
  client.Write(Commands().OneWay(handle, this->Page(), 7).OneWay(handle));
  EXPECT_EQ(client.ReadCodes(), (BrList{this->kSuspect, kComplete}));
  // It is no error, and nothing is different for the receiver.
  EXPECT_EQ(client.TakeError(), kNoError);
  EXPECT_EQ(this->Target(service).waiting_one_ways, 7u);
  Received got;
  for (int i = 0; i <= this->kFew; ++i) {
    got = this->Receive(service);
    service.Write(Commands().Free(got.tr.buffer));
  }
  EXPECT_EQ(got.tr.code, 7u);
  EXPECT_EQ(got.tr.data_size, 4096u);
}

// Rows: AL-23 RD-29
TYPED_TEST(SpamTest, WhoHasNotAskedIsNotTold) {
  Peer<TypeParam>& manager = this->OpenManager();
  Peer<TypeParam>& client = this->Open();
  std::uint32_t handle = 0;
  // The receiver's wish does not count.
  this->Detect(this->AddService(manager, client, handle), true);
  this->Send(client, handle, this->kFew + 1);
  // Nor is it too late to be asked, nor too early.
  Actor<TypeParam> other = client.Spawn();
  for (const bool enable : {true, false}) {
    (void)this->AddService(manager, client, handle);
    this->Detect(client, false);
    this->Send(client, handle, this->kFew);
    this->Detect(client, !enable);
    client.Write(Commands().OneWay(handle, this->Page()));
    this->Detect(other, enable);
    EXPECT_EQ(client.ReadCodes(), BrList{enable ? this->kSuspect : kComplete});
  }
}

// Rows: AL-22
TYPED_TEST(SpamTest, ProcsOfOnePidAreOneSender) {
  Peer<TypeParam>& manager = this->OpenManager();
  Peer<TypeParam>& client = this->Open({.pid = 77});
  for (const std::int32_t pid : {78, 77}) {
    SCOPED_TRACE(pid);
    std::uint32_t handle = 0;
    Peer<TypeParam>& service = this->AddService(manager, client, handle);
    this->Send(client, handle, this->kFew / 2);
    Peer<TypeParam>& second = this->Open({.pid = pid});
    this->Detect(second, true);
    handle = this->Give(manager, service, second, this->kPtr, this->kCookie);
    this->Send(second, handle, this->kFew / 2);
    second.Write(Commands().OneWay(handle, this->Page()));
    EXPECT_EQ(second.ReadCodes(),
              BrList{pid == 77 ? this->kSuspect : kComplete});
  }
}

// Rows: AL-22
TYPED_TEST(SpamTest, CallsAndRepliesAreNone) {
  Peer<TypeParam>& manager = this->OpenManager();
  Peer<TypeParam>& client = this->Open();
  std::uint32_t handle = 0;
  Peer<TypeParam>& service = this->AddService(manager, client, handle);
  this->Detect(client, true);
  this->Send(client, handle, this->kFew);
  client.Write(Commands().Transact(handle, Payload(std::string(16384, 'c'))));
  (void)this->Receive(service);
  Actor<TypeParam> other = service.Spawn();
  this->Answer(other, this->Receive(other));
  this->ExpectReply(client, 0);
}

// Senders in parallel, receivers in parallel; only one receiver at a time has
// one, so what they write down needs no lock of ours.
// Rows: AS-05 AS-02
TYPED_TEST(OneWayTest, ParallelSendersAndReceivers) {
  auto [manager, service, client, handle] = this->Connected();
  constexpr std::uint32_t kSenders = 3;
  constexpr std::uint32_t kReceivers = 3;
  constexpr std::uint32_t kEach = 150;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> seen;
  std::list<Actor<TypeParam>> senders;
  std::list<Actor<TypeParam>> receivers;
  for (std::uint32_t i = 0; i < kSenders; ++i) {
    senders.push_back(client.Spawn());
  }
  for (std::uint32_t i = 0; i < kReceivers; ++i) {
    receivers.push_back(service.Spawn());
  }
  service.proc().SetNonblocking(false);
  {
    std::stop_source done;
    std::vector<std::jthread> threads;
    for (Actor<TypeParam>& receiver : receivers) {
      threads.emplace_back([&seen, &receiver, &done] {
        Commands commands;
        for (;;) {
          const Result result =
              RunWriteRead(receiver.thread(), std::exchange(commands, {}),
                           kReadSize, done.get_token());
          if (result.error != Errc::kOk) return;
          for (const Received& r : result.received) {
            if (r.br != kTransaction) continue;
            std::uint32_t sender = 0;
            std::memcpy(&sender, reinterpret_cast<const void*>(r.tr.buffer),
                        sizeof(sender));
            seen.emplace_back(sender, r.tr.code);
            if (seen.size() == kSenders * kEach) done.request_stop();
            commands.Free(r.tr.buffer);
          }
        }
      });
    }
    std::uint32_t number = 0;
    for (Actor<TypeParam>& sender : senders) {
      threads.emplace_back([&sender, handle = handle, number] {
        Payload payload;
        payload.Bytes(&number, sizeof(number));
        for (std::uint32_t i = 0; i < kEach; ++i) {
          (void)RunWriteRead(sender.thread(),
                             Commands().OneWay(handle, payload, i), 0);
        }
      });
      ++number;
    }
  }
  service.proc().SetNonblocking(true);
  ASSERT_EQ(seen.size(), kSenders * kEach);
  std::array<std::uint32_t, kSenders> next = {};
  for (const auto& [sender, code] : seen) {
    ASSERT_LT(sender, kSenders);
    EXPECT_EQ(code, next[sender]++);
  }
}

}  // namespace
}  // namespace binderlite::testing
