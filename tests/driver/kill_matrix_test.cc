// SPDX-License-Identifier: Apache-2.0
//
// The kill matrix: what becomes of a thread that is killed, by where it is, by
// who holds the binder lock, and by discipline.
//
//   holder of the lock         kAlways  kUnlessKilled   kInterruptible, Fine-
//                                                       Grained
//   -------------------------  -------  --------------  ---------------------
//   nobody                     leaves   leaves          leaves
//   somebody, stuck            hangs    hangs when      leaves
//                                       entering
//   somebody who is stuck till as above, but for ever:  leaves
//   the victim has gone        a deadlock
//
// Under the stepped scheduler "hangs" is a fact and not a guess: nobody can
// move, and the victim is among those who cannot. In every cell, whoever hung
// leaves as soon as the holder lets go, and the killed Proc is cleaned up
// without the help of its threads.
//
// At the end of the file, the cells on real threads.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/driver_test.h"
#include "support/stepped_driver.h"

namespace binderlite::testing {
namespace {

using sync::SteppedPrimitives;
using sync::SteppedScheduler;

enum class Holder { kNobody, kStuck, kStuckTillVictimHasGone };
constexpr Holder kHolders[] = {Holder::kNobody, Holder::kStuck,
                               Holder::kStuckTillVictimHasGone};

// Where the victim is when the kill hits it.
enum class Place {
  kEntering,     // at the start of a call
  kWaiting,      // asleep
  kWoken,        // awake, before it asks for the lock
  kRelocking,    // awake, asks for the lock (and waits if there is a holder)
  kEnteringLock  // at the start, asks for the lock
};

template <class L>
[[nodiscard]] constexpr bool Hangs(Place place, Holder holder) {
  if (!L::kHasBinderLock || holder == Holder::kNobody) return false;
  if (L::kKilledNeedsEntryLock) return true;
  const bool entering =
      place == Place::kEntering || place == Place::kEnteringLock;
  return entering && !kKillableOnEntry<L>;
}

// One cell: a victim whose clean-up somebody takes an interest in, and a
// holder of the binder lock.
template <class L>
class Cell {
 public:
  static constexpr std::uint64_t kDeathOfVictim = 0xdead;

  explicit Cell(Holder holder)
      : holder_(holder),
        manager(world_.OpenManager({.name = "manager"})),
        client(world_.Open({.name = "client"})),
        victim(world_.Open({.name = "victim", .memory = &memory_})),
        bystander_(world_.Open({.name = "bystander", .memory = &memory_})) {
    // The client has a handle to the victim, wants to know of its death, and
    // has sent a one-way whose buffer the victim keeps. The victim has a handle
    // to the client.
    handle = world_.Give(manager, victim, client, world_.kPtr, world_.kCookie);
    world_.Give(manager, client, victim, 0x5000, 1);
    client.Write(
        Commands().RequestDeath(handle, kDeathOfVictim).OneWay(handle));
    EXPECT_TRUE(victim.Read().Has(Br::BR_TRANSACTION));
    EXPECT_EQ(client.ReadCodes(), BrList{Br::BR_TRANSACTION_COMPLETE});
    victim.Write(Commands().EnterLooper());
    {
      core::Proc<L>& proc = victim.proc().state();
      sync::MutexLock lock(proc.queues_mu);
      record_ = core::Pin<core::Thread<L>>(
          proc.threads.Find(core::KeyOf(victim.tid())));
    }
    world_.gates().Observe([this](Point point, std::int32_t, std::int32_t tid) {
      if (tid != victim.tid() || point != stop_at_) return;
      stop_at_ = std::nullopt;
      (void)gate_.Park(sync::StopSignals(), kNoDeadline);
    });
  }
  ~Cell() { world_.gates().Observe(nullptr); }

  // --- Steps, each of which runs until nobody can move ---

  // The victim begins a call, `commands` and a blocking read. It has to come
  // to rest somewhere: asleep, at a lock, or at `point`.
  void StartVictim(Commands commands = {},
                   std::optional<Point> point = std::nullopt) {
    stop_at_ = point;
    commands_ = std::move(commands);
    victim.proc().SetNonblocking(false);
    scheduler_.Spawn("victim", [this] {
      result_ = RunWriteRead(victim.thread(), commands_, kReadSize);
      if (holder_ == Holder::kStuckTillVictimHasGone) memory_.LetGo();
    });
    scheduler_.Run();
    EXPECT_FALSE(scheduler_.finished("victim"));
    EXPECT_FALSE(stop_at_.has_value()) << "did not come to the point";
  }
  // Does what wakes the victim, which stops at `point` then.
  void WakeVictim(Point point, const std::function<void()>& what_wakes_it) {
    stop_at_ = point;
    what_wakes_it();
    scheduler_.Run();
    EXPECT_FALSE(stop_at_.has_value()) << "did not come to the point";
  }
  // The victim goes on from the point at which it was stopped.
  void LetVictimGoOn() {
    gate_.Wake();
    scheduler_.Run();
  }

  // The holder, a thread of another Proc, takes the binder lock if there is
  // one, and gets stuck with it in the middle of a call.
  void Hold() {
    if (holder_ == Holder::kNobody) return;
    memory_.StallAfter(0);
    scheduler_.Spawn("holder", [this] {
      EXPECT_EQ(
          RunWriteRead(bystander_.thread(), Commands().EnterLooper(), 0).error,
          Errc::kOk);
    });
    scheduler_.Run();
    EXPECT_TRUE(memory_.stalled());
  }

  // The client makes a call that the victim would have to answer.
  void Call() {
    client.Write(Commands().Transact(handle));
    called_ = true;
  }

  void Kill() {
    victim.proc().Kill();
    scheduler_.Run();
  }
  // Only the thread: its Proc lives on, unless it has been closed.
  void KillThread() {
    victim.thread().Kill();
    scheduler_.Run();
  }

  // --- What the matrix promises ---

  // After the kill of the victim in `place`. `error`: what its call answers.
  void Check(Place place, Errc error = Errc::kKilled) {
    const bool hangs = Hangs<L>(place, holder_);
    EXPECT_EQ(scheduler_.finished("victim"), !hangs);
    if (hangs) {
      EXPECT_EQ(WhereIs("victim"), "StopMutex");
      EXPECT_EQ(WhereIs("holder"), "Parker");
    } else {
      CheckLeft(error);
    }
    EXPECT_EQ(memory_.stalled(), holder_ == Holder::kStuck || hangs);
    // The clean-up needs nobody's help, but the lock if there is one.
    EXPECT_EQ(victim.proc().released(),
              !L::kHasBinderLock || !memory_.stalled());

    // A deadlock with the holder is only broken by what a test can do.
    if (memory_.stalled()) memory_.LetGo();
    scheduler_.Run();
    ASSERT_TRUE(scheduler_.finished("victim"));
    if (hangs) CheckLeft(error);
    ASSERT_TRUE(victim.proc().released());
    EXPECT_EQ(victim.proc().state().arena.usage().buffers, 0u);
    client.Check();
  }

  // After Check: who is told of the death of the victim's Proc.
  void CheckTold() {
    BrList expected = {Br::BR_DEAD_BINDER, Br::BR_RELEASE, Br::BR_DECREFS};
    if (called_) {
      expected.insert(expected.begin(),
                      {Br::BR_TRANSACTION_COMPLETE, Br::BR_DEAD_REPLY});
    }
    EXPECT_EQ(Codes(client.ReadAll()), expected);
    client.Write(Commands().DeadDone(kDeathOfVictim).Release(handle));
    EXPECT_TRUE(world_.SnapshotOf(client).refs.empty());
  }

  // Whether a victim that asks for the lock has to wait for it.
  [[nodiscard]] bool LockIsTaken() const {
    return L::kHasBinderLock && holder_ != Holder::kNobody;
  }

  // Answers the call that the victim had made to the manager.
  void ManagerAnswers() {
    EXPECT_TRUE(manager.Read().Has(Br::BR_TRANSACTION));
    EXPECT_EQ(manager.Do(Commands().Reply()).codes(),
              (BrList{Br::BR_NOOP, Br::BR_TRANSACTION_COMPLETE}));
  }

  World<L>& world() { return world_; }
  SteppedScheduler& scheduler() { return scheduler_; }
  StallingMemory<SteppedPrimitives>& memory() { return memory_; }
  [[nodiscard]] const Result& result() const { return result_; }

 private:
  std::string WhereIs(const std::string& actor) {
    for (const auto& blocked : scheduler_.LastResult().blocked) {
      if (blocked.name == actor) return blocked.where;
    }
    return "gone";
  }

  // The bookkeeping of a victim that has left, whoever holds what.
  void CheckLeft(Errc error) {
    EXPECT_EQ(result_.error, error);
    core::Thread<L>& thread = *record_;
    EXPECT_FALSE(thread.need_return.load());
    EXPECT_EQ(thread.looper.load(), core::kLooperEntered);
    EXPECT_EQ(thread.proc->counters.snapshot().ready, 0u);
    sync::MutexLock queues(thread.proc->queues_mu);
    sync::MutexLock waiters(thread.proc->waiters_mu);
    EXPECT_FALSE(thread.is_waiting);
    EXPECT_FALSE(thread.owes_look);
  }

  const Holder holder_;
  SteppedScheduler scheduler_;
  StallingMemory<SteppedPrimitives> memory_;
  World<L> world_;

 public:
  Peer<L>& manager;
  Peer<L>& client;
  Peer<L>& victim;
  std::uint32_t handle = 0;

 private:
  Peer<L>& bystander_;
  core::Pin<core::Thread<L>> record_;
  sync::SteppedParker gate_;
  std::optional<Point> stop_at_;
  Commands commands_;
  Result result_;
  bool called_ = false;
};

template <class L>
class KillMatrixTest : public ::testing::Test {
 protected:
  // One column: the story with each kind of holder.
  static void ForEachHolder(const std::function<void(Cell<L>&)>& story) {
    for (const Holder holder : kHolders) {
      SCOPED_TRACE("holder " + std::to_string(static_cast<int>(holder)));
      Cell<L> cell(holder);
      story(cell);
    }
  }
};
BINDERLITE_FOR_ALL_STEPPED_DISCIPLINES(KillMatrixTest);

// Rows: SG-10 SG-11 SG-12. Lock rule L2: who leaves needs no lock that others
// hold for long.
TYPED_TEST(KillMatrixTest, WaitingForProcessWork) {
  this->ForEachHolder([](Cell<TypeParam>& cell) {
    cell.StartVictim();
    cell.Hold();
    cell.Kill();
    cell.Check(Place::kWaiting);
    cell.CheckTold();
  });
}

// Rows: SG-10 SG-11 DT-02
TYPED_TEST(KillMatrixTest, WaitingForAReply) {
  this->ForEachHolder([](Cell<TypeParam>& cell) {
    cell.StartVictim(Commands().Transact(0));
    cell.Call();  // Nobody is there to take it.
    cell.Hold();
    cell.Kill();
    cell.Check(Place::kWaiting);
    cell.CheckTold();
    cell.ManagerAnswers();
  });
}

// Rows: SG-10 SG-11 SG-22 DT-03
TYPED_TEST(KillMatrixTest, WaitingForTheReplyToANestedCall) {
  this->ForEachHolder([](Cell<TypeParam>& cell) {
    cell.Call();
    EXPECT_TRUE(cell.victim.Read().Has(Br::BR_TRANSACTION));
    cell.StartVictim(Commands().Transact(0));
    cell.Hold();
    cell.Kill();
    cell.Check(Place::kWaiting);
    cell.ManagerAnswers();
    cell.CheckTold();
  });
}

// Rows: SG-13
TYPED_TEST(KillMatrixTest, WokenForACallAndNotLockedYet) {
  this->ForEachHolder([](Cell<TypeParam>& cell) {
    cell.StartVictim();
    cell.WakeVictim(Point::kWoken, [&cell] { cell.Call(); });
    cell.Hold();
    cell.Kill();
    cell.LetVictimGoOn();
    cell.Check(Place::kWoken);
    cell.CheckTold();
  });
}

// Rows: SG-13
TYPED_TEST(KillMatrixTest, WokenForACallAndWaitingForTheLock) {
  this->ForEachHolder([](Cell<TypeParam>& cell) {
    cell.StartVictim();
    cell.WakeVictim(Point::kWoken, [&cell] { cell.Call(); });
    cell.Hold();
    cell.LetVictimGoOn();
    cell.Kill();
    // Where there is no lock to wait for it had its call before it was killed.
    cell.Check(Place::kRelocking,
               cell.LockIsTaken() ? Errc::kKilled : Errc::kOk);
    EXPECT_NE(cell.result().Has(Br::BR_TRANSACTION), cell.LockIsTaken());
    cell.CheckTold();
  });
}

// Rows: SG-14
TYPED_TEST(KillMatrixTest, EnteringAndNotLockedYet) {
  this->ForEachHolder([](Cell<TypeParam>& cell) {
    cell.Call();
    cell.StartVictim(Commands().ExitLooper(), Point::kEntering);
    cell.Hold();
    cell.Kill();
    cell.LetVictimGoOn();
    cell.Check(Place::kEntering);
    EXPECT_EQ(cell.result().write_consumed, 0u);
    cell.CheckTold();
  });
}

// Rows: SG-14
TYPED_TEST(KillMatrixTest, EnteringAndWaitingForTheLock) {
  this->ForEachHolder([](Cell<TypeParam>& cell) {
    cell.Hold();
    cell.StartVictim();  // Asleep where there is no lock to wait for.
    cell.Kill();
    cell.Check(Place::kEnteringLock);
    cell.CheckTold();
  });
}

// A death notice for the victim: it is woken to look at its Proc's queue.
template <class L>
class NoticeCell {
 public:
  explicit NoticeCell(Cell<L>& cell)
      : cell_(cell), dying_(cell.world().Open({.name = "dying"})) {
    const std::uint32_t handle =
        cell.world().Give(cell.manager, dying_, cell.victim, 0x7000, 0x8000);
    cell.victim.Write(Commands().RequestDeath(handle, kCookie));
  }
  static constexpr std::uint64_t kCookie = 0xfeed;
  void Die() { cell_.world().Close(dying_); }

 private:
  Cell<L>& cell_;
  Peer<L>& dying_;
};

// Rows: SG-13
TYPED_TEST(KillMatrixTest, WokenForADeathNoticeAndNotLockedYet) {
  this->ForEachHolder([](Cell<TypeParam>& cell) {
    NoticeCell notice(cell);
    cell.StartVictim();
    cell.WakeVictim(Point::kWoken, [&notice] { notice.Die(); });
    cell.Call();
    cell.Hold();
    cell.Kill();
    cell.LetVictimGoOn();
    cell.Check(Place::kWoken);
    cell.CheckTold();
  });
}

// Rows: SG-13
TYPED_TEST(KillMatrixTest, WokenForADeathNoticeAndWaitingForTheLock) {
  this->ForEachHolder([](Cell<TypeParam>& cell) {
    NoticeCell notice(cell);
    cell.StartVictim();
    cell.WakeVictim(Point::kWoken, [&notice] { notice.Die(); });
    cell.Hold();
    cell.LetVictimGoOn();
    cell.Kill();
    cell.Check(Place::kRelocking,
               cell.LockIsTaken() ? Errc::kKilled : Errc::kOk);
    EXPECT_NE(cell.result().Has(Br::BR_DEAD_BINDER), cell.LockIsTaken());
    cell.CheckTold();
  });
}

// A victim that has the notice in its hands finishes the call. With a binder
// lock it is the holder itself.
TYPED_TEST(KillMatrixTest, DeliveringADeathNotice) {
  this->ForEachHolder([](Cell<TypeParam>& cell) {
    if (cell.LockIsTaken()) return;
    NoticeCell notice(cell);
    cell.StartVictim();
    cell.WakeVictim(Point::kDeliveringDeath, [&notice] { notice.Die(); });
    cell.Hold();
    cell.Kill();
    cell.LetVictimGoOn();
    cell.Check(Place::kWoken, Errc::kOk);
    EXPECT_EQ(cell.result().Get(Br::BR_DEAD_BINDER).cookie,
              NoticeCell<TypeParam>::kCookie);
    cell.CheckTold();
  });
}

// The victim's Proc has been closed, and the victim is the last one in it.
TYPED_TEST(KillMatrixTest, ShuttingDownAndNotLockedYet) {
  this->ForEachHolder([](Cell<TypeParam>& cell) {
    cell.StartVictim(Commands().Transact(0));
    cell.Call();
    cell.WakeVictim(Point::kWoken, [&cell] { cell.victim.proc().Close(); });
    cell.Hold();
    cell.Kill();
    cell.LetVictimGoOn();
    cell.Check(Place::kWoken);
    cell.CheckTold();
    cell.ManagerAnswers();
  });
}

TYPED_TEST(KillMatrixTest, ShuttingDownAndWaitingForTheLock) {
  this->ForEachHolder([](Cell<TypeParam>& cell) {
    cell.StartVictim(Commands().Transact(0));
    cell.Call();
    cell.WakeVictim(Point::kWoken, [&cell] { cell.victim.proc().Close(); });
    cell.Hold();
    cell.LetVictimGoOn();
    cell.Kill();
    cell.Check(Place::kRelocking,
               cell.LockIsTaken() ? Errc::kKilled : Errc::kOk);
    cell.CheckTold();
    cell.ManagerAnswers();
  });
}

// The same, but the call itself is over: the lock would be for the release of
// the Proc, which others can do as well.
TYPED_TEST(KillMatrixTest, ShuttingDownAndWaitingToRelease) {
  this->ForEachHolder([](Cell<TypeParam>& cell) {
    cell.StartVictim(Commands().Transact(0));
    cell.Call();
    cell.WakeVictim(Point::kLeaving, [&cell] { cell.victim.proc().Close(); });
    cell.Hold();
    cell.LetVictimGoOn();
    cell.Kill();
    cell.Check(Place::kRelocking, Errc::kOk);
    cell.CheckTold();
    cell.ManagerAnswers();
  });
}

// The same for a kill of the thread alone: no reaper is at work already.
TYPED_TEST(KillMatrixTest, TheLastThreadOfAClosedProc) {
  for (const Point point : {Point::kWoken, Point::kLeaving}) {
    this->ForEachHolder([point](Cell<TypeParam>& cell) {
      SCOPED_TRACE(ToString(point));
      cell.StartVictim(Commands().Transact(0));
      cell.Call();
      cell.WakeVictim(point, [&cell] { cell.victim.proc().Close(); });
      cell.Hold();
      cell.KillThread();
      cell.LetVictimGoOn();
      cell.Check(Place::kWoken,
                 point == Point::kWoken ? Errc::kKilled : Errc::kOk);
      cell.CheckTold();
      cell.ManagerAnswers();
    });
  }
}

// --- Killed threads of a Proc that lives on --------------------------------

// Rows: SG-13 SG-06 CC-10. Lock rule L3: the heir is woken by the killed
// thread, whoever holds what, and needs the lock only for itself.
TYPED_TEST(KillMatrixTest, AnHeirLooksInTheKilledThreadsPlace) {
  this->ForEachHolder([](Cell<TypeParam>& cell) {
    NoticeCell notice(cell);
    Actor<TypeParam> heir = cell.victim.Spawn();
    heir.Write(Commands().EnterLooper());
    cell.victim.proc().SetNonblocking(false);
    Result inherited;
    cell.scheduler().Spawn("heir", [&heir, &inherited] {
      inherited = RunWriteRead(heir.thread(), {}, kReadSize);
    });
    cell.scheduler().Run();
    cell.StartVictim();
    cell.WakeVictim(Point::kWoken, [&notice] { notice.Die(); });
    cell.Hold();
    EXPECT_FALSE(cell.scheduler().finished("heir"));
    cell.KillThread();
    cell.LetVictimGoOn();
    // The heir goes as far as one who lives can.
    EXPECT_EQ(cell.scheduler().finished("heir"),
              !TypeParam::kHasBinderLock || !cell.memory().stalled());
    if (cell.memory().stalled()) cell.memory().LetGo();
    cell.scheduler().Run();
    EXPECT_EQ(cell.result().error, Errc::kKilled);
    ASSERT_TRUE(cell.scheduler().finished("heir"));
    EXPECT_EQ(inherited.Get(Br::BR_DEAD_BINDER).cookie,
              NoticeCell<TypeParam>::kCookie);
    cell.client.Check();
  });
}

// Rows: SG-15. Lock rule L1: a thread that is stuck in user memory of its own
// Proc has not got what a killed sibling needs for its counters. (The patch of
// 2017 as posted had: there this hung.)
TYPED_TEST(KillMatrixTest, CountersAreNotHeldAcrossUserMemory) {
  if (TypeParam::kKilledNeedsEntryLock) return;
  Cell<TypeParam> cell(Holder::kStuck);
  Actor<TypeParam> sibling = cell.victim.Spawn();
  cell.StartVictim();
  std::uint32_t max = 7;
  cell.memory().StallAfter(0);
  cell.scheduler().Spawn("sibling", [&sibling, &max] {
    EXPECT_EQ(
        sibling.thread().Ioctl(
            static_cast<std::uint32_t>(Ioctl::kSetMaxThreads), AddressOf(&max)),
        Errc::kOk);
  });
  cell.scheduler().Run();
  ASSERT_TRUE(cell.memory().stalled());
  cell.KillThread();
  EXPECT_TRUE(cell.scheduler().finished("victim"));
  EXPECT_EQ(cell.result().error, Errc::kKilled);
  // A mutex that is held would abort here: there is nobody to wait for.
  EXPECT_EQ(cell.victim.proc().state().counters.snapshot().ready, 0u);
  EXPECT_EQ(cell.victim.proc().state().counters.snapshot().max, 0u);
  cell.memory().LetGo();
  cell.scheduler().Run();
  EXPECT_EQ(cell.victim.proc().state().counters.snapshot().max, max);
}

// Rows: SG-15 LP-16
TYPED_TEST(KillMatrixTest, CountersAreNotHeldWhileSpawnIsWritten) {
  Cell<TypeParam> cell(Holder::kStuck);
  EXPECT_EQ(cell.victim.thread().SetMaxThreads(1), Errc::kOk);
  cell.Call();
  // BR_NOOP, BR_TRANSACTION and its payload come before BR_SPAWN_LOOPER.
  cell.memory().StallAfter(3);
  cell.StartVictim();
  ASSERT_TRUE(cell.memory().stalled());
  const auto counters = cell.victim.proc().state().counters.snapshot();
  EXPECT_EQ(counters.requested, 1u);
  EXPECT_EQ(counters.ready, 0u);
  cell.memory().LetGo();
  cell.scheduler().Run();
  EXPECT_EQ(cell.result().codes(),
            (BrList{Br::BR_SPAWN_LOOPER, Br::BR_TRANSACTION}));
}

// --- On real threads -------------------------------------------------------

template <class L>
class KillTest : public DriverTest<L> {
 protected:
  using Memory = StallingMemory<typename L::Primitives>;

  // Somebody of another Proc who is stuck, with the binder lock if there is
  // one, until LetGo.
  class StuckHolder {
   public:
    StuckHolder(Peer<L>& peer, Memory& memory) : memory_(memory) {
      memory.StallAfter(0);
      runner_ = std::jthread([&peer] {
        RunWriteRead(peer.thread(), Commands().EnterLooper(), 0);
      });
      while (!memory.stalled()) std::this_thread::yield();
    }
    void LetGo() {
      EXPECT_TRUE(memory_.stalled()) << "let go before its time";
      memory_.LetGo();
      runner_.join();
    }

   private:
    Memory& memory_;
    std::jthread runner_;
  };

  Peer<L>& OpenBystander() { return this->Open({.memory = &memory_}); }
  Memory& memory() { return memory_; }

  void WaitForWaiters(int count) {
    core::Context<L>& context = this->context().state();
    while (context.entry.waiters() < count) std::this_thread::yield();
  }

 private:
  Memory memory_;
};
BINDERLITE_FOR_ALL_DISCIPLINES(KillTest);

// Rows: SG-10 SG-11 SG-12
TYPED_TEST(KillTest, SixteenIdleWaitersBehindAStuckHolder) {
  using L = TypeParam;
  Peer<L>& peer = this->Open();
  Peer<L>& bystander = this->OpenBystander();
  std::deque<Actor<L>> actors;
  std::deque<std::unique_ptr<Blocked<L>>> blocked;
  for (int i = 0; i < 16; ++i) {
    actors.push_back(peer.Spawn());
    blocked.push_back(this->Block(peer, actors.back()));
    blocked.back()->GoOn();
  }
  typename TestFixture::StuckHolder holder(bystander, this->memory());
  for (Actor<L>& actor : actors) actor.thread().Kill();
  if (Hangs<L>(Place::kWaiting, Holder::kStuck)) {
    this->WaitForWaiters(16);
    holder.LetGo();
    for (auto& call : blocked) EXPECT_EQ(call->Join().error, Errc::kKilled);
  } else {
    for (auto& call : blocked) EXPECT_EQ(call->Join().error, Errc::kKilled);
    EXPECT_EQ(peer.proc().state().counters.snapshot().ready, 0u);
    holder.LetGo();
  }
  peer.Check();
}

// Rows: SG-13
TYPED_TEST(KillTest, WokenForACallBehindAStuckHolder) {
  using L = TypeParam;
  auto [manager, service, client, handle] = this->Connected();
  Peer<L>& bystander = this->OpenBystander();
  this->gates().Close(Point::kWoken, service.tid());
  auto blocked = this->Block(service, service);
  client.Write(Commands().Transact(handle));
  this->gates().WaitFor(Point::kWoken, service.tid());
  typename TestFixture::StuckHolder holder(bystander, this->memory());
  this->gates().Open(Point::kWoken, service.tid());
  if (L::kHasBinderLock) this->WaitForWaiters(1);
  service.thread().Kill();
  if (Hangs<L>(Place::kRelocking, Holder::kStuck)) {
    holder.LetGo();
    EXPECT_EQ(blocked->Join().error, Errc::kKilled);
  } else {
    const Errc error = blocked->Join().error;
    // Without a lock to wait for it may have been faster than the kill.
    EXPECT_TRUE(error == Errc::kKilled ||
                (!L::kHasBinderLock && error == Errc::kOk));
    holder.LetGo();
  }
  EXPECT_EQ(service.thread().ThreadExit(), Errc::kOk);
  EXPECT_EQ(client.ReadCodes(),
            (BrList{Br::BR_TRANSACTION_COMPLETE, Br::BR_DEAD_REPLY}));
}

// Rows: SG-14
TYPED_TEST(KillTest, EnteringBehindAStuckHolder) {
  using L = TypeParam;
  Peer<L>& peer = this->Open();
  Peer<L>& bystander = this->OpenBystander();
  typename TestFixture::StuckHolder holder(bystander, this->memory());
  peer.proc().SetNonblocking(false);
  Result result;
  std::jthread victim([&peer, &result] {
    result = RunWriteRead(peer.thread(), {}, kReadSize);
  });
  if (L::kHasBinderLock) {
    this->WaitForWaiters(1);
  } else {
    this->gates().WaitFor(Point::kParking, peer.tid());
  }
  peer.thread().Kill();
  const bool hangs = Hangs<L>(Place::kEnteringLock, Holder::kStuck);
  if (hangs) holder.LetGo();
  victim.join();
  EXPECT_EQ(result.error, Errc::kKilled);
  if (!hangs) holder.LetGo();
}

// Rows: SG-11 SG-23 DT-13
TYPED_TEST(KillTest, TheCleanUpFollowsAsSoonAsItCan) {
  using L = TypeParam;
  auto [manager, service, client, handle] = this->Connected();
  Peer<L>& bystander = this->OpenBystander();
  client.Write(Commands().RequestDeath(handle, 3));
  auto blocked = this->Block(service, service);
  blocked->GoOn();
  typename TestFixture::StuckHolder holder(bystander, this->memory());
  service.proc().Kill();
  if (!Hangs<L>(Place::kWaiting, Holder::kStuck)) {
    EXPECT_EQ(blocked->Join().error, Errc::kKilled);
    blocked.reset();
  }
  // The reaper is in line for the lock, or has finished.
  if (L::kHasBinderLock) {
    this->WaitForWaiters(1);
    EXPECT_FALSE(service.proc().released());
  } else {
    while (!service.proc().released()) std::this_thread::yield();
  }
  holder.LetGo();
  if (blocked != nullptr) {
    EXPECT_EQ(blocked->Join().error, Errc::kKilled);
  }
  while (!service.proc().released()) std::this_thread::yield();
  EXPECT_EQ(client.Read().Get(Br::BR_DEAD_BINDER).cookie, 3u);
  client.Write(Commands().DeadDone(3));
}

}  // namespace
}  // namespace binderlite::testing
