// SPDX-License-Identifier: Apache-2.0
//
// Loopers: how threads become them, when the driver asks for one more, and
// which of those that wait gets the work. Across driver/write.h, driver/read.h,
// driver/route.h and core/counters.h.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "binderlite/core/thread.h"
#include "binderlite/driver/read.h"
#include "binderlite/driver/route.h"
#include "binderlite/driver/write.h"
#include "support/driver_test.h"
#include "support/exchange.h"
#include "support/faulty_memory.h"

namespace binderlite::testing {
namespace {

// How many loopers a Proc has asked for, has, and has waiting.
struct Counters {
  std::uint32_t requested;
  std::uint32_t started;
  std::uint32_t ready;
  bool operator==(const Counters&) const = default;
  friend void PrintTo(const Counters& c, std::ostream* out) {
    *out << c.requested << " requested, " << c.started << " started, "
         << c.ready << " ready";
  }
};

template <class L>
class LooperTest : public DriverTest<L> {
 protected:
  Counters CountersOf(Peer<L>& peer) {
    const debug::ProcSnapshot proc = this->SnapshotOf(peer);
    return {proc.requested, proc.started, proc.ready};
  }

  std::uint32_t LooperOf(Peer<L>& peer, const Actor<L>& actor) {
    return this->ThreadOf(peer, actor).looper;
  }

  Peer<L>& OpenWithMax(std::uint32_t max, ProcOptions options = {}) {
    Peer<L>& peer = this->Open(std::move(options));
    EXPECT_EQ(peer.thread().SetMaxThreads(max), Errc::kOk);
    return peer;
  }

  // A read of `actor` that finds nothing but does not fail.
  static std::vector<Br> EmptyRead(Peer<L>& peer, Actor<L>& actor) {
    peer.proc().Flush();
    return actor.Read().codes();
  }

  // Has a looper be asked for one more thread.
  static void Request(Peer<L>& peer) {
    peer.Write(Commands().EnterLooper());
    EXPECT_EQ(EmptyRead(peer, peer), (BrList{Br::BR_SPAWN_LOOPER}));
  }

  // Answers a call that `actor` has read.
  void Answer(Actor<L>& actor, const Received& call) {
    actor.Write(Commands().Free(call.tr.buffer).Reply());
    this->Settle(actor);
  }
};
BINDERLITE_FOR_ALL_DISCIPLINES(LooperTest);

// --- Becoming one ----------------------------------------------------------

// Rows: LP-01
TYPED_TEST(LooperTest, EnteringIsNotCounted) {
  auto& peer = this->OpenWithMax(1);
  peer.Write(Commands().EnterLooper());
  EXPECT_EQ(this->LooperOf(peer, peer), core::kLooperEntered);
  EXPECT_EQ(this->CountersOf(peer), (Counters{0, 0, 0}));
  // Any number of them leaves room for the one that may be started.
  auto second = peer.Spawn();
  second.Write(Commands().EnterLooper());
  EXPECT_EQ(this->EmptyRead(peer, second), (BrList{Br::BR_SPAWN_LOOPER}));
}

// Rows: LP-02
TYPED_TEST(LooperTest, RegisteringAnswersTheRequest) {
  auto& peer = this->OpenWithMax(5);
  this->Request(peer);
  EXPECT_EQ(this->CountersOf(peer), (Counters{1, 0, 0}));
  auto spawned = peer.Fresh();
  spawned.Write(Commands().RegisterLooper());
  EXPECT_EQ(this->LooperOf(peer, spawned), core::kLooperRegistered);
  EXPECT_EQ(this->CountersOf(peer), (Counters{0, 1, 0}));
}

// Rows: LP-03
TYPED_TEST(LooperTest, RegisteringUnasked) {
  auto [manager, service, client, handle] = this->Connected();
  EXPECT_EQ(service.thread().SetMaxThreads(5), Errc::kOk);
  auto thread = service.Spawn();
  (void)this->gates().TakeErrors();
  EXPECT_EQ(thread.Do(Commands().RegisterLooper()).error, Errc::kWouldBlock);
  EXPECT_EQ(this->gates().TakeErrors(), (std::vector{UserError::kBadLooper}));
  EXPECT_EQ(this->LooperOf(service, thread),
            core::kLooperRegistered | core::kLooperInvalid);
  EXPECT_EQ(this->CountersOf(service), (Counters{0, 0, 0}));
  // It serves all the same.
  client.Write(Commands().Transact(handle));
  this->Answer(thread, thread.Read().Get(Br::BR_TRANSACTION));
  EXPECT_EQ(client.ReadCodes(),
            (BrList{Br::BR_TRANSACTION_COMPLETE, Br::BR_REPLY}));
}

// Rows: LP-04
TYPED_TEST(LooperTest, EnteringAfterRegistering) {
  auto& peer = this->OpenWithMax(5);
  this->Request(peer);
  auto thread = peer.Fresh();
  thread.Write(Commands().RegisterLooper().EnterLooper());
  EXPECT_EQ(this->LooperOf(peer, thread), core::kLooperRegistered |
                                              core::kLooperEntered |
                                              core::kLooperInvalid);
  EXPECT_EQ(this->CountersOf(peer), (Counters{0, 1, 0}));
}

// Rows: LP-04
TYPED_TEST(LooperTest, RegisteringAfterEntering) {
  auto& peer = this->OpenWithMax(5);
  this->Request(peer);
  auto thread = peer.Fresh();
  thread.Write(Commands().EnterLooper().RegisterLooper());
  EXPECT_EQ(this->LooperOf(peer, thread), core::kLooperRegistered |
                                              core::kLooperEntered |
                                              core::kLooperInvalid);
  // The request is still there for whom it is meant.
  EXPECT_EQ(this->CountersOf(peer), (Counters{1, 0, 0}));
  auto spawned = peer.Fresh();
  spawned.Write(Commands().RegisterLooper());
  EXPECT_EQ(this->LooperOf(peer, spawned), core::kLooperRegistered);
  EXPECT_EQ(this->CountersOf(peer), (Counters{0, 1, 0}));
}

// Rows: LP-10
TYPED_TEST(LooperTest, ExitingChangesNothingButAFlag) {
  auto [manager, service, client, handle] = this->Connected();
  EXPECT_EQ(service.thread().SetMaxThreads(1), Errc::kOk);
  this->Request(service);
  auto thread = service.Spawn();
  thread.Write(Commands().RegisterLooper().ExitLooper());
  EXPECT_EQ(this->LooperOf(service, thread),
            core::kLooperRegistered | core::kLooperExited);
  EXPECT_EQ(this->CountersOf(service), (Counters{0, 1, 0}));
  // It may read, and is chosen.
  auto waiting = this->Block(service, thread);
  client.Write(Commands().OneWay(handle));
  EXPECT_TRUE(waiting->Join().Has(Br::BR_TRANSACTION));
  // Also for threads that never were loopers.
  auto other = service.Spawn();
  other.Write(Commands().ExitLooper());
  EXPECT_EQ(this->LooperOf(service, other), core::kLooperExited);
}

// Rows: LP-11
TYPED_TEST(LooperTest, ThePoolNeverRefills) {
  auto& peer = this->OpenWithMax(1);
  this->Request(peer);
  auto spawned = peer.Fresh();
  spawned.Write(Commands().RegisterLooper());
  EXPECT_EQ(spawned.thread().ThreadExit(), Errc::kOk);
  EXPECT_EQ(this->CountersOf(peer), (Counters{0, 1, 0}));
  EXPECT_EQ(this->EmptyRead(peer, peer), (BrList{Br::BR_NOOP}));
}

// The poll bit (0x20) is set by nobody yet.
// Rows: LP-15
TYPED_TEST(LooperTest, BitsAsInDumps) {
  auto& peer = this->OpenWithMax(1);
  peer.Write(Commands().EnterLooper());
  EXPECT_EQ(this->LooperOf(peer, peer), 0x02u);
  peer.Write(Commands().ExitLooper());
  EXPECT_EQ(this->LooperOf(peer, peer), 0x06u);
  EXPECT_EQ(this->EmptyRead(peer, peer), (BrList{Br::BR_SPAWN_LOOPER}));
  auto spawned = peer.Spawn();
  spawned.Write(Commands().RegisterLooper());
  EXPECT_EQ(this->LooperOf(peer, spawned), 0x01u);
  auto waiting = this->Block(peer, spawned);
  EXPECT_EQ(this->LooperOf(peer, spawned), 0x11u);
  spawned.thread().Interrupt();
  EXPECT_EQ(waiting->Join().error, Errc::kInterrupted);
  EXPECT_EQ(this->LooperOf(peer, spawned), 0x01u);
  spawned.Write(Commands().RegisterLooper());
  EXPECT_EQ(this->LooperOf(peer, spawned), 0x09u);
  static_assert(core::kLooperPoll == 0x20);
}

// --- Asking for one more ---------------------------------------------------

// Rows: LP-05 LP-06
TYPED_TEST(LooperTest, OneRequestAtATime) {
  auto& peer = this->OpenWithMax(2);
  this->Request(peer);
  EXPECT_EQ(this->CountersOf(peer), (Counters{1, 0, 0}));
  EXPECT_EQ(this->EmptyRead(peer, peer), (BrList{Br::BR_NOOP}));
  auto first = peer.Fresh();
  first.Write(Commands().RegisterLooper());
  // A registered looper asks as well as an entered one.
  EXPECT_EQ(this->EmptyRead(peer, first), (BrList{Br::BR_SPAWN_LOOPER}));
  EXPECT_EQ(this->CountersOf(peer), (Counters{1, 1, 0}));
  EXPECT_EQ(this->EmptyRead(peer, first), (BrList{Br::BR_NOOP}));
  auto second = peer.Fresh();
  second.Write(Commands().RegisterLooper());
  // There are as many as there may be.
  EXPECT_EQ(this->CountersOf(peer), (Counters{0, 2, 0}));
  EXPECT_EQ(this->EmptyRead(peer, peer), (BrList{Br::BR_NOOP}));
  EXPECT_EQ(this->CountersOf(peer), (Counters{0, 2, 0}));
}

// Rows: LP-05
TYPED_TEST(LooperTest, TheRequestTakesThePlaceOfTheNoop) {
  auto [manager, service, client, handle] = this->Connected();
  EXPECT_EQ(service.thread().SetMaxThreads(1), Errc::kOk);
  client.Write(Commands().Transact(handle));
  const Result result = service.Do(Commands().EnterLooper());
  EXPECT_EQ(result.codes(), (BrList{Br::BR_SPAWN_LOOPER, Br::BR_TRANSACTION}));
  EXPECT_EQ(this->CountersOf(service), (Counters{1, 0, 0}));
}

// Rows: LP-05
TYPED_TEST(LooperTest, OnlyLoopersAreAsked) {
  auto [manager, service, client, handle] = this->Connected();
  EXPECT_EQ(service.thread().SetMaxThreads(1), Errc::kOk);
  client.Write(Commands().Transact(handle));
  EXPECT_EQ(service.Read().codes(), (BrList{Br::BR_NOOP, Br::BR_TRANSACTION}));
  EXPECT_EQ(this->CountersOf(service), (Counters{0, 0, 0}));
}

// Rows: LP-05
TYPED_TEST(LooperTest, NobodyIsAskedWhileSomebodyWaits) {
  auto& peer = this->OpenWithMax(1);
  peer.Write(Commands().EnterLooper());
  auto other = peer.Spawn();
  auto waiting = this->Block(peer, other);
  EXPECT_EQ(this->CountersOf(peer), (Counters{0, 0, 1}));
  auto fresh = peer.Fresh();
  EXPECT_EQ(fresh.Do(Commands().EnterLooper()).codes(), (BrList{Br::BR_NOOP}));
  EXPECT_EQ(this->CountersOf(peer), (Counters{0, 0, 1}));
  other.thread().Interrupt();
  EXPECT_EQ(waiting->Join().error, Errc::kInterrupted);
  EXPECT_EQ(this->EmptyRead(peer, peer), (BrList{Br::BR_SPAWN_LOOPER}));
}

// Who waits for an answer is of no help with the work of the Proc.
// Rows: LP-05
TYPED_TEST(LooperTest, WaitingForAReplyIsNotWaitingForWork) {
  auto [manager, service, client, handle] = this->Connected();
  EXPECT_EQ(client.thread().SetMaxThreads(1), Errc::kOk);
  auto caller = client.Spawn();
  auto waiting = this->Block(client, caller, Commands().Transact(handle));
  EXPECT_EQ(this->CountersOf(client), (Counters{0, 0, 0}));
  auto fresh = client.Fresh();
  EXPECT_EQ(fresh.Do(Commands().EnterLooper()).codes(),
            (BrList{Br::BR_SPAWN_LOOPER}));
  this->Answer(service, service.Read().Get(Br::BR_TRANSACTION));
  EXPECT_TRUE(waiting->Join().Has(Br::BR_REPLY));
}

// Rows: LP-05
TYPED_TEST(LooperTest, AUsedBufferIsLeftAlone) {
  auto& peer = this->OpenWithMax(1);
  peer.Write(Commands().EnterLooper());
  peer.proc().Flush();
  Exchange call;
  call.args.read_consumed = 8;
  EXPECT_EQ(call.Run(peer), Errc::kOk);
  EXPECT_EQ(call.args.read_consumed, 8u);
  EXPECT_EQ(call.word(0), kUntouchedWord);
  EXPECT_EQ(this->CountersOf(peer), (Counters{0, 0, 0}));
}

// Rows: LP-07
TYPED_TEST(LooperTest, NobodyIsAskedWithoutAMaximum) {
  auto [manager, service, client, handle] = this->Connected();
  EXPECT_EQ(service.Do(Commands().EnterLooper()).error, Errc::kWouldBlock);
  EXPECT_EQ(this->EmptyRead(service, service), (BrList{Br::BR_NOOP}));
  client.Write(Commands().Transact(handle));
  EXPECT_EQ(service.ReadCodes(), (BrList{Br::BR_TRANSACTION}));
  auto fresh = service.Fresh();
  EXPECT_EQ(fresh.Do(Commands().EnterLooper()).codes(), (BrList{Br::BR_NOOP}));
  EXPECT_EQ(this->CountersOf(service), (Counters{0, 0, 0}));
}

// Rows: LP-08
TYPED_TEST(LooperTest, NobodyIsAskedInVain) {
  auto& peer = this->OpenWithMax(1, {.memory = &this->memory()});
  EXPECT_EQ(peer.Do(Commands().EnterLooper()).error, Errc::kWouldBlock);
  auto waiting = this->Block(peer, peer);
  peer.thread().Interrupt();
  EXPECT_EQ(waiting->Join().error, Errc::kInterrupted);
  peer.Write(Commands().OneWay(7));  // Fails: there is something to read.
  Exchange call;
  this->memory().FaultWrites(AddressOf(call.read.data()) + 4, 4);
  EXPECT_EQ(call.Run(peer), Errc::kFault);
  this->memory().Heal();
  EXPECT_EQ(peer.Do(Commands().Raw(0)).error, Errc::kInvalid);
  EXPECT_EQ(this->CountersOf(peer), (Counters{0, 0, 0}));
  EXPECT_EQ(this->EmptyRead(peer, peer), (BrList{Br::BR_SPAWN_LOOPER}));
}

// Rows: LP-09
TYPED_TEST(LooperTest, TheFirstReadOfTheMainLooper) {
  auto& peer = this->OpenWithMax(1);
  auto main = peer.Fresh();
  peer.proc().SetNonblocking(false);
  Exchange call(Commands().EnterLooper());
  EXPECT_EQ(call.Run(main, kNoPatience), Errc::kOk);
  EXPECT_EQ(call.args.read_consumed, 4u);
  EXPECT_EQ(call.codes(), (BrList{Br::BR_SPAWN_LOOPER}));
  peer.proc().SetNonblocking(true);
}

// Rows: LP-16
TYPED_TEST(LooperTest, ARequestThatCannotBeWritten) {
  auto& peer = this->OpenWithMax(1, {.memory = &this->memory()});
  peer.Write(Commands().EnterLooper());
  for (std::size_t i = 0; i < 4; ++i) {
    peer.proc().Flush();
    Exchange call;
    // The BR_NOOP still works, what is to take its place does not.
    this->memory().FaultWrites(AddressOf(call.read.data()) + i, 1, /*skip=*/1);
    EXPECT_EQ(call.Run(peer), Errc::kFault);
    // What had been delivered by then counts.
    EXPECT_EQ(call.args.read_consumed, sizeof(std::uint32_t));
    this->memory().Heal();
    // The request counts as made, and no lock has been left behind.
    EXPECT_EQ(this->CountersOf(peer),
              (Counters{1, static_cast<std::uint32_t>(i), 0}));
    EXPECT_EQ(this->EmptyRead(peer, peer), (BrList{Br::BR_NOOP}));
    EXPECT_EQ(peer.thread().SetMaxThreads(static_cast<std::uint32_t>(i) + 2),
              Errc::kOk);
    auto spawned = peer.Fresh();
    spawned.Write(Commands().RegisterLooper());
  }
}

// --- Being chosen ----------------------------------------------------------

// Rows: LP-12
TYPED_TEST(LooperTest, TheLastToWaitIsTheFirstToWork) {
  auto [manager, service, client, handle] = this->Connected();
  std::vector<Actor<TypeParam>> threads;
  for (int i = 0; i < 4; ++i) threads.push_back(service.Spawn());
  std::vector<std::unique_ptr<Blocked<TypeParam>>> waiting;
  for (auto& thread : threads) waiting.push_back(this->Block(service, thread));
  EXPECT_EQ(this->CountersOf(service), (Counters{0, 0, 4}));
  while (!waiting.empty()) {
    client.Write(Commands().Transact(handle));
    // If it were not this one, this would wait for ever.
    const Received call = waiting.back()->Join().Get(Br::BR_TRANSACTION);
    waiting.pop_back();
    EXPECT_EQ(this->SnapshotOf(service).ready, waiting.size());
    this->Answer(threads.back(), call);
    threads.pop_back();
    this->Settle(client);
  }
}

// Rows: LP-13 LP-14
TYPED_TEST(LooperTest, ABurstReachesAsManyThreads) {
  auto& manager = this->OpenManager();
  auto& service = this->Open();
  std::vector<Actor<TypeParam>> threads;
  for (int i = 0; i < 3; ++i) threads.push_back(service.Spawn());
  std::vector<Peer<TypeParam>*> clients;
  std::vector<std::uint32_t> handles;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(&this->Open());
    handles.push_back(
        this->Give(manager, service, *clients.back(), 0x10, 0x20));
  }
  std::vector<std::unique_ptr<Blocked<TypeParam>>> waiting;
  for (auto& thread : threads) {
    waiting.push_back(this->Block(service, thread));
    this->gates().Close(Point::kWoken, thread.tid());  // None of them runs.
  }
  for (std::size_t i = 0; i < clients.size(); ++i) {
    clients[i]->Write(
        Commands().Transact(handles[i], {}, static_cast<std::uint32_t>(i)));
    EXPECT_EQ(this->SnapshotOf(service).ready, i < 3 ? 2 - i : 0);
  }
  // Each has one, on its own list; the last call has found nobody.
  for (const auto& thread : threads) {
    const debug::ThreadSnapshot record = this->ThreadOf(service, thread);
    EXPECT_EQ(record.todo, (std::vector{core::WorkType::kTransaction}));
    EXPECT_TRUE(record.process_todo);
    EXPECT_FALSE(record.waiting);
  }
  EXPECT_EQ(this->SnapshotOf(service).todo,
            (std::vector{core::WorkType::kTransaction}));
  for (std::size_t i = 0; i < threads.size(); ++i) {
    this->gates().Open(Point::kWoken, threads[i].tid());
    const Received call = waiting[i]->Join().Get(Br::BR_TRANSACTION);
    EXPECT_EQ(call.tr.code, 2 - i);
  }
}

// Rows: LP-14
TYPED_TEST(LooperTest, WorkOfAThreadIsItsAlone) {
  auto [manager, service, client, handle] = this->Connected();
  auto thread = service.Spawn();
  auto waiting = this->Block(service, thread);
  this->gates().Close(Point::kWoken, thread.tid());
  client.Write(Commands().Transact(handle));
  EXPECT_EQ(service.Read().error, Errc::kWouldBlock);
  this->gates().Open(Point::kWoken, thread.tid());
  EXPECT_TRUE(waiting->Join().Has(Br::BR_TRANSACTION));
}

}  // namespace
}  // namespace binderlite::testing
