// SPDX-License-Identifier: Apache-2.0
//
// What ends a wait for work besides work: interrupts, kills, cancelled calls,
// deadlines.

#include "binderlite/driver/wait.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "binderlite/sync/stepped_primitives.h"
#include "support/driver_test.h"

namespace binderlite::testing {
namespace {

using TodoList = std::vector<core::WorkType>;

template <class L>
class WaitTest : public DriverTest<L> {
 protected:
  // A read that may wait, in the test's own thread: something must be there to
  // end it.
  Result BlockingRead(Peer<L>& peer, Actor<L>& actor, Commands commands = {},
                      std::stop_token stop = {},
                      TimePoint deadline = kNoDeadline) {
    peer.proc().SetNonblocking(false);
    Result result = RunWriteRead(actor.thread(), commands, kReadSize,
                                 std::move(stop), deadline);
    peer.proc().SetNonblocking(true);
    actor.Check();
    return result;
  }

  // Has `actor` wait, be chosen for what `send` sends, and be interrupted
  // before it has seen it.
  void ChooseAndInterrupt(Peer<L>& peer, Actor<L>& actor,
                          const std::function<void()>& send) {
    this->gates().Close(Point::kWoken, actor.tid());
    auto blocked = this->Block(peer, actor);
    send();
    this->gates().WaitFor(Point::kWoken, actor.tid());
    actor.thread().Interrupt();
    this->gates().Open(Point::kWoken, actor.tid());
    EXPECT_EQ(blocked->Join().error, Errc::kInterrupted);
  }

  int Parks(Actor<L>& actor) {
    return this->gates().Visits(Point::kParking, actor.tid());
  }
};
BINDERLITE_FOR_ALL_DISCIPLINES(WaitTest);

// --- Interrupts ------------------------------------------------------------

// Rows: SG-01 RD-02
TYPED_TEST(WaitTest, AnInterruptEndsTheSleep) {
  Peer<TypeParam>& peer = this->Open();
  auto blocked = this->Block(peer, peer, Commands().EnterLooper());
  peer.thread().Interrupt();
  const Result result = blocked->Join();
  EXPECT_EQ(result.error, Errc::kInterrupted);
  EXPECT_EQ(result.read_consumed, 0u);
  EXPECT_EQ(result.write_consumed, result.write_size);
}

// Rows: SG-02
TYPED_TEST(WaitTest, WorkIsLookedForBeforeAnInterrupt) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().Transact(handle));
  service.thread().Interrupt();
  EXPECT_TRUE(this->BlockingRead(service, service).Has(Br::BR_TRANSACTION));
}

// Rows: SG-03 SG-20
TYPED_TEST(WaitTest, APendingInterruptKeepsFromSleepingOnce) {
  Peer<TypeParam>& peer = this->Open();
  peer.thread().Interrupt();
  peer.thread().Interrupt();
  EXPECT_EQ(this->BlockingRead(peer, peer).error, Errc::kInterrupted);
  EXPECT_EQ(this->Parks(peer), 0) << "slept";
  // Both were one, and it has been reported.
  const TimePoint past = sync::AbseilPrimitives::Now() - std::chrono::hours(1);
  EXPECT_EQ(this->BlockingRead(peer, peer, {}, {}, past).error,
            Errc::kTimedOut);
}

// Rows: SG-04 SG-20
TYPED_TEST(WaitTest, ANonBlockingReadIgnoresInterrupts) {
  auto [manager, service, client, handle] = this->Connected();
  service.thread().Interrupt();
  EXPECT_EQ(service.Read().error, Errc::kWouldBlock);
  client.Write(Commands().Transact(handle));
  EXPECT_TRUE(service.Read().Has(Br::BR_TRANSACTION));
  // It is still there for the next wait.
  EXPECT_EQ(this->BlockingRead(service, service).error, Errc::kInterrupted);
}

// Rows: SG-05 LP-14
TYPED_TEST(WaitTest, AChosenThreadKeepsItsWorkWhenInterrupted) {
  auto [manager, service, client, handle] = this->Connected();
  Actor<TypeParam> other = service.Spawn();
  const Payload text("for you alone");
  this->ChooseAndInterrupt(service, service,
                           [&, &client = client, to = handle] {
                             client.Write(Commands().Transact(to, text));
                           });
  EXPECT_EQ(other.Read().error, Errc::kWouldBlock);
  EXPECT_EQ(this->ThreadOf(service, service).todo,
            (TodoList{core::WorkType::kTransaction}));
  EXPECT_EQ(service.Read().Get(Br::BR_TRANSACTION).text(), "for you alone");
}

// Rows: SG-06 RD-19
TYPED_TEST(WaitTest, AWokenThreadPassesOnWhatItHasNotSeen) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().RequestDeath(handle, 5));
  Actor<TypeParam> first = client.Spawn();
  Actor<TypeParam> last = client.Spawn();
  auto other = this->Block(client, first);
  std::optional<debug::ProcSnapshot> seen;
  this->ChooseAndInterrupt(client, last,
                           [&, &service = service, &client = client] {
                             service.proc().Close();
                             seen = this->SnapshotOf(client);
                           });
  EXPECT_EQ(seen->todo, (TodoList{core::WorkType::kDeadBinder}));
  EXPECT_EQ(other->Join().Get(Br::BR_DEAD_BINDER).cookie, 5u);
}

// Rows: SG-07 TX-12
TYPED_TEST(WaitTest, AChosenThreadMustReadBeforeItCalls) {
  auto [manager, service, client, handle] = this->Connected();
  this->ChooseAndInterrupt(service, service, [&client = client, to = handle] {
    client.Write(Commands().Transact(to));
  });
  service.Write(Commands().Transact(0));
  EXPECT_EQ(service.TakeError(),
            std::pair(Br::BR_FAILED_REPLY, -static_cast<std::int32_t>(EPROTO)));
  const Result result = service.Read();
  EXPECT_EQ(result.codes(), (BrList{Br::BR_NOOP, Br::BR_TRANSACTION}));
  EXPECT_EQ(service.ReadCodes(), BrList{Br::BR_FAILED_REPLY});
  service.Write(Commands().Reply());
}

// Rows: SG-07
TYPED_TEST(WaitTest, AChosenThreadMaySendAOneWay) {
  auto [manager, service, client, handle] = this->Connected();
  this->ChooseAndInterrupt(service, service, [&client = client, to = handle] {
    client.Write(Commands().Transact(to));
  });
  service.Write(Commands().OneWay(0));
  EXPECT_TRUE(manager.Read().Has(Br::BR_TRANSACTION));
  EXPECT_EQ(service.ReadCodes(), BrList{Br::BR_TRANSACTION});
  EXPECT_EQ(service.ReadCodes(), BrList{Br::BR_TRANSACTION_COMPLETE});
}

// Rows: SG-08 WR-11 WR-01
TYPED_TEST(WaitTest, AnInterruptedCallIsRepeatedWithoutRedoingAnything) {
  auto [manager, service, client, handle] = this->Connected();
  Commands commands;
  commands.Transact(handle);
  std::vector<std::byte> buffer(kReadSize);
  WriteRead args = {};
  args.write_size = commands.bytes().size();
  args.write_buffer = AddressOf(commands.bytes().data());
  args.read_size = buffer.size();
  args.read_buffer = AddressOf(buffer.data());
  client.proc().SetNonblocking(false);
  client.thread().Interrupt();
  EXPECT_EQ(client.thread().WriteRead(args), Errc::kInterrupted);
  EXPECT_EQ(args.write_consumed, args.write_size);
  EXPECT_EQ(args.read_consumed, 0u);

  EXPECT_TRUE(service.Read().Has(Br::BR_TRANSACTION));
  service.Write(Commands().Reply());
  EXPECT_EQ(client.thread().WriteRead(args), Errc::kOk);
  client.proc().SetNonblocking(true);
  const auto received = Parse(
      std::span(buffer).first(static_cast<std::size_t>(args.read_consumed)));
  ASSERT_TRUE(received.has_value());
  EXPECT_EQ(Codes(*received),
            (BrList{Br::BR_NOOP, Br::BR_TRANSACTION_COMPLETE, Br::BR_REPLY}));
  EXPECT_EQ(Codes(service.ReadAll()), BrList{Br::BR_TRANSACTION_COMPLETE})
      << "the call was made twice";
}

// Rows: SG-09 SG-12
TYPED_TEST(WaitTest, AnInterruptedReaderIsNotCountedAnyMore) {
  auto [manager, service, client, handle] = this->Connected();
  EXPECT_EQ(service.thread().SetMaxThreads(5), Errc::kOk);
  service.Write(Commands().EnterLooper());
  auto blocked = this->Block(service, service);
  EXPECT_EQ(this->SnapshotOf(service).ready, 1u);
  service.thread().Interrupt();
  EXPECT_EQ(blocked->Join().error, Errc::kInterrupted);

  const debug::ThreadSnapshot record = this->ThreadOf(service, service);
  EXPECT_FALSE(record.waiting);
  EXPECT_FALSE(record.need_return);
  EXPECT_EQ(record.looper, core::kLooperEntered);
  EXPECT_EQ(this->SnapshotOf(service).ready, 0u);
  // It is not chosen, and others are asked for.
  client.Write(Commands().Transact(handle));
  EXPECT_EQ(this->SnapshotOf(service).todo,
            (TodoList{core::WorkType::kTransaction}));
  EXPECT_EQ(service.Read().codes(),
            (BrList{Br::BR_SPAWN_LOOPER, Br::BR_TRANSACTION}));
}

// Rows: SG-18
TYPED_TEST(WaitTest, InterruptsAndKillsAreNotComplainedOf) {
  Peer<TypeParam>& peer = this->Open();
  peer.Write(Commands().EnterLooper());
  for (int i = 0; i < 2; ++i) {
    auto blocked = this->Block(peer, peer);
    if (i == 0) {
      peer.thread().Interrupt();
      EXPECT_EQ(blocked->Join().error, Errc::kInterrupted);
    } else {
      peer.thread().Kill();
      EXPECT_EQ(blocked->Join().error, Errc::kKilled);
    }
  }
  EXPECT_TRUE(this->gates().TakeErrors().empty());
}

// --- Kills -----------------------------------------------------------------

// Rows: SG-10 SG-12
TYPED_TEST(WaitTest, AKilledWaiterLeavesAndIsNotCountedAnyMore) {
  auto [manager, service, client, handle] = this->Connected();
  Actor<TypeParam> looper = service.Spawn();
  looper.Write(Commands().EnterLooper());
  auto blocked = this->Block(service, looper);
  looper.thread().Kill();
  const Result result = blocked->Join();
  EXPECT_EQ(result.error, Errc::kKilled);
  EXPECT_EQ(result.read_consumed, 0u);
  const debug::ThreadSnapshot record = this->ThreadOf(service, looper);
  EXPECT_FALSE(record.waiting);
  EXPECT_FALSE(record.need_return);
  EXPECT_EQ(record.looper, core::kLooperEntered);
  EXPECT_EQ(this->SnapshotOf(service).ready, 0u);

  // A killed thread makes no more calls; others of its Proc do.
  EXPECT_EQ(looper.Read().error, Errc::kKilled);
  EXPECT_EQ(RunWriteRead(looper.thread(), Commands().ExitLooper(), 0).error,
            Errc::kKilled);
  EXPECT_EQ(this->ThreadOf(service, looper).looper, core::kLooperEntered);
  client.Write(Commands().Transact(handle));
  EXPECT_TRUE(service.Read().Has(Br::BR_TRANSACTION));
  service.Write(Commands().Reply());
}

// Rows: SG-10 SG-23
TYPED_TEST(WaitTest, AKilledProcLosesAllItsWaiters) {
  auto [manager, service, client, handle] = this->Connected();
  std::deque<Actor<TypeParam>> actors;
  std::deque<std::unique_ptr<Blocked<TypeParam>>> blocked;
  for (int i = 0; i < 16; ++i) {
    actors.push_back(service.Spawn());
    blocked.push_back(this->Block(service, actors.back()));
  }
  service.proc().Kill();
  for (auto& call : blocked) EXPECT_EQ(call->Join().error, Errc::kKilled);
  while (!service.proc().released()) std::this_thread::yield();
  client.Write(Commands().Transact(handle));
  EXPECT_EQ(client.ReadCodes(), BrList{Br::BR_DEAD_REPLY});
}

// Rows: SG-22
TYPED_TEST(WaitTest, AKilledServerKeepsItsStackUntilItExits) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().Transact(handle));
  EXPECT_TRUE(service.Read().Has(Br::BR_TRANSACTION));
  auto blocked = this->Block(service, service, Commands().Transact(0));
  EXPECT_TRUE(manager.Read().Has(Br::BR_TRANSACTION));
  service.thread().Kill();
  EXPECT_EQ(blocked->Join().error, Errc::kKilled);
  const debug::ThreadSnapshot record = this->ThreadOf(service, service);
  ASSERT_EQ(record.stack.size(), 2u);
  EXPECT_FALSE(record.stack[0].incoming);
  EXPECT_TRUE(record.stack[1].incoming);

  EXPECT_EQ(service.thread().ThreadExit(), Errc::kOk);
  EXPECT_EQ(client.ReadCodes(), BrList{}) << "its call goes on in the manager";
  manager.Write(Commands().Reply());
  EXPECT_EQ(client.ReadCodes(),
            (BrList{Br::BR_TRANSACTION_COMPLETE, Br::BR_DEAD_REPLY}));
}

// Rows: SG-13
TYPED_TEST(WaitTest, AThreadKilledWhenChosenLosesNothing) {
  auto [manager, service, client, handle] = this->Connected();
  this->gates().Close(Point::kWoken, service.tid());
  auto blocked = this->Block(service, service);
  client.Write(Commands().Transact(handle));
  this->gates().WaitFor(Point::kWoken, service.tid());
  service.thread().Kill();
  this->gates().Open(Point::kWoken, service.tid());
  EXPECT_EQ(blocked->Join().error, Errc::kKilled);
  EXPECT_EQ(this->ThreadOf(service, service).todo,
            (TodoList{core::WorkType::kTransaction}));
  EXPECT_EQ(service.thread().ThreadExit(), Errc::kOk);
  EXPECT_EQ(client.ReadCodes(),
            (BrList{Br::BR_TRANSACTION_COMPLETE, Br::BR_DEAD_REPLY}));
}

// Rows: SG-13 SG-06. Lock rule L3: a wake-up is a debt.
TYPED_TEST(WaitTest, AThreadKilledOnItsWayToLookSendsAnother) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().RequestDeath(handle, 5));
  Actor<TypeParam> first = client.Spawn();
  Actor<TypeParam> last = client.Spawn();
  auto heir = this->Block(client, first);
  this->gates().Close(Point::kWoken, last.tid());
  auto killed = this->Block(client, last);
  service.proc().Close();
  this->gates().WaitFor(Point::kWoken, last.tid());
  last.thread().Kill();
  this->gates().Open(Point::kWoken, last.tid());
  EXPECT_EQ(killed->Join().error, Errc::kKilled);
  EXPECT_EQ(heir->Join().Get(Br::BR_DEAD_BINDER).cookie, 5u);
}

// The same for a thread that goes by THREAD_EXIT of its record: here by the
// release of its Proc, which tears the record down under the sleeper.
TYPED_TEST(WaitTest, AReleasedSleeperIsWoken) {
  Peer<TypeParam>& peer = this->Open();
  this->gates().Close(Point::kWoken, peer.tid());
  auto blocked = this->Block(peer, peer);
  peer.proc().Kill();
  while (!peer.proc().released()) std::this_thread::yield();
  this->gates().Open(Point::kWoken, peer.tid());
  EXPECT_EQ(blocked->Join().error, Errc::kKilled);
}

// --- Cancelled calls -------------------------------------------------------

TYPED_TEST(WaitTest, AStopTokenEndsOneCall) {
  auto [manager, service, client, handle] = this->Connected();
  std::stop_source stop;
  auto blocked = this->Block(service, service, {}, stop.get_token());
  stop.request_stop();
  EXPECT_EQ(blocked->Join().error, Errc::kKilled);
  EXPECT_EQ(this->SnapshotOf(service).ready, 0u);

  client.Write(Commands().Transact(handle));
  // Requested before the call: not even work that is there is looked at.
  EXPECT_EQ(this->BlockingRead(service, service, Commands().EnterLooper(),
                               stop.get_token())
                .error,
            Errc::kKilled);
  EXPECT_EQ(this->ThreadOf(service, service).looper, 0u);
  EXPECT_TRUE(this->BlockingRead(service, service).Has(Br::BR_TRANSACTION));
  service.Write(Commands().Reply());
}

TYPED_TEST(WaitTest, ACancelledWaitForAReplyCanBeResumed) {
  auto [manager, service, client, handle] = this->Connected();
  std::stop_source stop;
  auto blocked = this->Block(client, client, Commands().Transact(handle),
                             stop.get_token());
  stop.request_stop();
  const Result cancelled = blocked->Join();
  EXPECT_EQ(cancelled.error, Errc::kKilled);
  EXPECT_EQ(cancelled.write_consumed, cancelled.write_size);

  EXPECT_TRUE(service.Read().Has(Br::BR_TRANSACTION));
  service.Write(Commands().Reply());
  EXPECT_EQ(this->BlockingRead(client, client).codes(),
            (BrList{Br::BR_NOOP, Br::BR_TRANSACTION_COMPLETE, Br::BR_REPLY}));
}

// --- Deadlines -------------------------------------------------------------

TYPED_TEST(WaitTest, APastDeadlineMeansNotToSleep) {
  const TimePoint past = sync::AbseilPrimitives::Now() - std::chrono::hours(1);
  auto [manager, service, client, handle] = this->Connected();
  const Result nothing =
      this->BlockingRead(service, service, Commands().EnterLooper(), {}, past);
  EXPECT_EQ(nothing.error, Errc::kTimedOut);
  EXPECT_EQ(nothing.write_consumed, nothing.write_size);
  EXPECT_EQ(nothing.read_consumed, 0u);
  EXPECT_EQ(this->Parks(service), 0);

  client.Write(Commands().Transact(handle));
  EXPECT_TRUE(this->BlockingRead(service, service, {}, {}, past)
                  .Has(Br::BR_TRANSACTION))
      << "work comes before the deadline";
  service.Write(Commands().Reply());
}

TYPED_TEST(WaitTest, AnInterruptComesBeforeADeadline) {
  const TimePoint past = sync::AbseilPrimitives::Now() - std::chrono::hours(1);
  Peer<TypeParam>& peer = this->Open();
  peer.thread().Interrupt();
  EXPECT_EQ(this->BlockingRead(peer, peer, {}, {}, past).error,
            Errc::kInterrupted);
  EXPECT_EQ(this->BlockingRead(peer, peer, {}, {}, past).error,
            Errc::kTimedOut);
}

// With a clock that stands still until nobody can move.
template <class L>
class SteppedDeadlineTest : public ::testing::Test {};
using SteppedDisciplines = ::testing::Types<
    FineGrained<sync::SteppedPrimitives>,
    BinderLock<Relock::kAlways, sync::SteppedPrimitives>,
    BinderLock<Relock::kUnlessKilled, sync::SteppedPrimitives>,
    BinderLock<Relock::kInterruptible, sync::SteppedPrimitives>>;
TYPED_TEST_SUITE(SteppedDeadlineTest, SteppedDisciplines, DisciplineNames);

TYPED_TEST(SteppedDeadlineTest, TheWaitLastsAsLongAsItShould) {
  sync::SteppedScheduler scheduler;
  BasicContext<TypeParam> context;
  BasicProc<TypeParam> proc = context.Open();
  BasicThread<TypeParam> thread = proc.Attach();
  ASSERT_EQ(thread.EnterLooper(), Errc::kOk);
  const TimePoint begin = scheduler.Now();
  scheduler.Spawn("waiter", [&] {
    EXPECT_EQ(RunWriteRead(thread, {}, kReadSize, {},
                           begin + std::chrono::seconds(30))
                  .error,
              Errc::kTimedOut);
    EXPECT_EQ(scheduler.Now(), begin + std::chrono::seconds(30));
    const auto state = proc.state().counters.snapshot();
    EXPECT_EQ(state.ready, 0u);
  });
  scheduler.Run();
  EXPECT_TRUE(scheduler.finished("waiter"));
}

}  // namespace
}  // namespace binderlite::testing
