// SPDX-License-Identifier: Apache-2.0
//
// The end of threads and Procs: what THREAD_EXIT, flush, close and kill leave
// behind, and whom they tell.

#include "binderlite/driver/release.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/driver_test.h"

namespace binderlite::testing {
namespace {

using TodoList = std::vector<core::WorkType>;

template <class L>
class ReleaseTest : public DriverTest<L> {
 protected:
  // Has `client` call, and `callee` take the call, which it now serves.
  Received Serve(Actor<L>& client, std::uint32_t handle, Actor<L>& callee) {
    client.Write(Commands().Transact(handle));
    return callee.Read().Get(Br::BR_TRANSACTION);
  }

  // Has `actor` wait, be chosen for what `send` sends, and be interrupted
  // before it can read it: the work is on its own list now.
  void HandOverAndInterrupt(Peer<L>& peer, Actor<L>& actor,
                            const std::function<void()>& send) {
    this->gates().Close(Point::kWoken, actor.tid());
    auto blocked = this->Block(peer, actor);
    send();
    this->gates().WaitFor(Point::kWoken, actor.tid());
    actor.thread().Interrupt();
    this->gates().Open(Point::kWoken, actor.tid());
    EXPECT_EQ(blocked->Join().error, Errc::kInterrupted);
  }
};
BINDERLITE_FOR_ALL_DISCIPLINES(ReleaseTest);

// --- THREAD_EXIT -----------------------------------------------------------

// Rows: DT-01
TYPED_TEST(ReleaseTest, ExitWhileServingAnswersTheCaller) {
  auto [manager, service, client, handle] = this->Connected();
  const Received call = this->Serve(client, handle, service);
  EXPECT_EQ(service.thread().ThreadExit(), Errc::kOk);
  EXPECT_EQ(client.ReadCodes(),
            (BrList{Br::BR_TRANSACTION_COMPLETE, Br::BR_DEAD_REPLY}));

  // The buffer is still the service's to free.
  EXPECT_EQ(this->SnapshotOf(service).delivered_buffers, 1u);
  service.Write(Commands().Free(call.tr.buffer));
  EXPECT_EQ(this->SnapshotOf(service).buffers, 0u);
}

// Rows: DT-02 TX-19
TYPED_TEST(ReleaseTest, ExitWhileWaitingOrphansTheCall) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().Transact(handle));
  EXPECT_EQ(client.thread().ThreadExit(), Errc::kOk);

  const Received call = service.Read().Get(Br::BR_TRANSACTION);
  EXPECT_EQ(service.Do(Commands().Free(call.tr.buffer).Reply()).codes(),
            (BrList{Br::BR_NOOP, Br::BR_TRANSACTION_COMPLETE}));
  EXPECT_TRUE(client.ReadAll().empty());
  EXPECT_EQ(this->SnapshotOf(client).buffers, 0u) << "a reply was built";
}

// Rows: DT-03 TX-23
TYPED_TEST(ReleaseTest, ExitInTheMiddleOfAChainIsToldAtItsEnd) {
  auto [manager, service, client, handle] = this->Connected();
  this->Serve(client, handle, service);
  const Received inner = this->Serve(service, 0, manager);
  EXPECT_EQ(service.thread().ThreadExit(), Errc::kOk);
  EXPECT_EQ(client.ReadCodes(), BrList{}) << "told too early";

  EXPECT_EQ(manager.Do(Commands().Free(inner.tr.buffer).Reply()).codes(),
            (BrList{Br::BR_NOOP, Br::BR_TRANSACTION_COMPLETE}));
  EXPECT_EQ(client.ReadCodes(),
            (BrList{Br::BR_TRANSACTION_COMPLETE, Br::BR_DEAD_REPLY}));
}

// Rows: DT-04
TYPED_TEST(ReleaseTest, ExitWithAnUnreadCallFailsIt) {
  auto [manager, service, client, handle] = this->Connected();
  Actor<TypeParam> other = service.Spawn();
  this->HandOverAndInterrupt(service, service, [&client = client, to = handle] {
    client.Write(Commands().Transact(to));
  });
  EXPECT_EQ(this->ThreadOf(service, service).todo,
            (TodoList{core::WorkType::kTransaction}));
  EXPECT_EQ(other.Read().error, Errc::kWouldBlock);

  EXPECT_EQ(service.thread().ThreadExit(), Errc::kOk);
  EXPECT_EQ(client.ReadCodes(),
            (BrList{Br::BR_TRANSACTION_COMPLETE, Br::BR_DEAD_REPLY}));
  EXPECT_EQ(other.Read().error, Errc::kWouldBlock) << "it changed hands";
}

// Rows: DT-05
TYPED_TEST(ReleaseTest, ExitWithAnUnreadReplyDropsIt) {
  auto [manager, service, client, handle] = this->Connected();
  this->Serve(client, handle, service);
  service.Write(Commands().Reply());
  EXPECT_EQ(this->SnapshotOf(client).outstanding, 1);

  EXPECT_EQ(client.thread().ThreadExit(), Errc::kOk);
  const debug::ProcSnapshot after = this->SnapshotOf(client);
  EXPECT_EQ(after.outstanding, 0);
  EXPECT_EQ(after.buffers, 1u) << "lost until the Proc is released";
  EXPECT_EQ(after.delivered_buffers, 0u) << "nobody knows its address";
  EXPECT_TRUE(client.ReadAll().empty());
}

// Rows: DT-06
TYPED_TEST(ReleaseTest, ExitDiscardsWhatOnlyTheThreadWouldHaveRead) {
  constexpr std::uint32_t kNoSuchHandle = 99;
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands()
                   .EnterLooper()
                   .RequestDeath(handle, 7)
                   .OneWay(handle)
                   .ClearDeath(handle, 7)
                   .Transact(kNoSuchHandle));
  EXPECT_EQ(this->ThreadOf(client, client).todo,
            (TodoList{core::WorkType::kTransactionComplete,
                      core::WorkType::kClearDeathNotification,
                      core::WorkType::kReturnError}));

  EXPECT_EQ(client.thread().ThreadExit(), Errc::kOk);
  EXPECT_EQ(this->Snapshot().live(core::ObjectKind::kDeath), 0u);
  EXPECT_EQ(this->Snapshot().live(core::ObjectKind::kTransactionComplete), 0u);
  // Nor does the unread error keep new commands from being executed.
  const Result after = client.Do(Commands().Acquire(handle));
  EXPECT_EQ(after.write_consumed, after.write_size);
  EXPECT_EQ(after.codes(), BrList{Br::BR_NOOP});
}

// Rows: DT-07 AS-09
TYPED_TEST(ReleaseTest, ExitWithAnUnreadOneWayAdvancesTheNode) {
  auto [manager, service, client, handle] = this->Connected();
  const Payload lost("lost");
  const Payload next("next");
  this->HandOverAndInterrupt(service, service,
                             [&, &client = client, to = handle] {
                               client.Write(Commands().OneWay(to, lost));
                             });
  client.Write(Commands().OneWay(handle, next));
  EXPECT_EQ(this->SnapshotOf(service).nodes.at(0).waiting_one_ways, 1u);

  EXPECT_EQ(service.thread().ThreadExit(), Errc::kOk);
  EXPECT_EQ(this->SnapshotOf(service).buffers, 1u) << "that of the next one";
  service.Read();  // The free read of a new record comes after the work.
  const debug::ProcSnapshot after = this->SnapshotOf(service);
  EXPECT_EQ(after.delivered_buffers, 1u);
  EXPECT_EQ(after.nodes.at(0).waiting_one_ways, 0u);
}

// Rows: DT-08 IO-12
TYPED_TEST(ReleaseTest, ExitLeavesAFreshStart) {
  Peer<TypeParam>& peer = this->Open();
  peer.Write(Commands().EnterLooper());
  EXPECT_EQ(peer.Read().error, Errc::kWouldBlock);
  EXPECT_EQ(peer.thread().ThreadExit(), Errc::kOk);
  EXPECT_TRUE(this->SnapshotOf(peer).threads.empty());

  EXPECT_EQ(peer.Read().codes(), BrList{Br::BR_NOOP}) << "need_return is set";
  EXPECT_EQ(this->ThreadOf(peer, peer).looper, 0u);
}

// Rows: DT-09
TYPED_TEST(ReleaseTest, ARecordOutlivesItsThreadObject) {
  constexpr std::int32_t kTid = 4711;
  auto [manager, service, client, handle] = this->Connected();
  {
    Actor<TypeParam> first(this->context(), service.proc().Attach(kTid));
    first.Write(Commands().EnterLooper());
    this->Serve(client, handle, first);
  }
  Actor<TypeParam> heir(this->context(), service.proc().Attach(kTid));
  const debug::ThreadSnapshot record = this->ThreadOf(service, heir);
  EXPECT_EQ(record.looper, core::kLooperEntered);
  EXPECT_EQ(record.stack.size(), 1u);

  const Payload answer("inherited");
  heir.Write(Commands().Reply(answer));
  EXPECT_EQ(client.Read().Get(Br::BR_REPLY).text(), "inherited");
}

// --- Flush and close -------------------------------------------------------

// Rows: DT-10 SG-19
TYPED_TEST(ReleaseTest, FlushLetsEveryThreadReturnOnce) {
  auto [manager, service, client, handle] = this->Connected();
  Actor<TypeParam> looper = client.Spawn();
  Actor<TypeParam> idle = client.Spawn();
  auto for_work = this->Block(client, looper);
  auto for_reply = this->Block(client, client, Commands().Transact(handle));

  client.proc().Flush();
  EXPECT_EQ(for_work->Join().codes(), BrList{Br::BR_NOOP});
  EXPECT_EQ(for_reply->Join().codes(),
            (BrList{Br::BR_NOOP, Br::BR_TRANSACTION_COMPLETE}))
      << "what was deferred comes with the flush";
  EXPECT_EQ(idle.Read().codes(), BrList{Br::BR_NOOP});
  EXPECT_EQ(idle.Read().error, Errc::kWouldBlock);

  // The Proc is as good as before.
  const Received call = service.Read().Get(Br::BR_TRANSACTION);
  service.Write(Commands().Free(call.tr.buffer).Reply());
  EXPECT_TRUE(client.Read().Has(Br::BR_REPLY));
}

// Rows: SG-19
TYPED_TEST(ReleaseTest, FlushWakesNobodyWhoDoesNotWait) {
  Peer<TypeParam>& peer = this->Open();
  Actor<TypeParam> idle = peer.Spawn();
  peer.proc().Flush();
  EXPECT_EQ(idle.Read().codes(), BrList{Br::BR_NOOP});  // Uses it up.
  auto blocked = this->Block(peer, idle);
  idle.thread().Interrupt();
  EXPECT_EQ(blocked->Join().error, Errc::kInterrupted);
  EXPECT_EQ(this->gates().Visits(Point::kWoken, idle.tid()), 1)
      << "woken by more than the interrupt";
}

// Rows: DT-11
TYPED_TEST(ReleaseTest, CloseKicksTheReaderAndReleasesAfterIt) {
  auto [manager, service, client, handle] = this->Connected();
  this->gates().Close(Point::kWoken, service.tid());
  auto blocked = this->Block(service, service);
  service.proc().Close();
  EXPECT_FALSE(service.proc().released());
  EXPECT_EQ(service.thread().EnterLooper(), Errc::kClosed);

  this->gates().Open(Point::kWoken, service.tid());
  EXPECT_EQ(blocked->Join().codes(), BrList{Br::BR_NOOP});
  EXPECT_TRUE(service.proc().released());
  client.Write(Commands().Transact(handle));
  EXPECT_EQ(client.ReadCodes(), BrList{Br::BR_DEAD_REPLY});
}

// --- Who is told of a dead Proc --------------------------------------------

// Rows: DT-14
TYPED_TEST(ReleaseTest, OwnersLearnThatAHolderIsGone) {
  auto [manager, service, client, handle] = this->Connected();
  this->Close(client);
  const std::vector<Received> news = service.ReadAll();
  EXPECT_EQ(Codes(news), (BrList{Br::BR_RELEASE, Br::BR_DECREFS}));
  for (const Received& r : news) {
    EXPECT_EQ(r.ptr, this->kPtr);
    EXPECT_EQ(r.cookie, this->kCookie);
  }
  EXPECT_TRUE(this->SnapshotOf(service).nodes.empty());
}

// Rows: DT-16
TYPED_TEST(ReleaseTest, AOneWayOutlivesItsSender) {
  auto [manager, service, client, handle] = this->Connected();
  const Payload last("last words");
  client.Write(Commands().OneWay(handle, last));
  this->Close(client);
  Received call;
  for (const Received& r : service.ReadAll()) {
    if (r.br == Br::BR_TRANSACTION) call = r;
  }
  EXPECT_EQ(call.text(), "last words");
  EXPECT_EQ(call.tr.sender_pid, 0);
  service.Write(Commands().Free(call.tr.buffer));
}

// Rows: DT-17
TYPED_TEST(ReleaseTest, AReplyToADeadCallerIsCompleteAllTheSame) {
  auto [manager, service, client, handle] = this->Connected();
  const Received call = this->Serve(client, handle, service);
  this->Close(client);
  const Result replied = service.Do(Commands().Reply());
  EXPECT_TRUE(replied.Has(Br::BR_TRANSACTION_COMPLETE));
  this->Settle(service);
  service.Write(Commands().Free(call.tr.buffer));
  EXPECT_EQ(this->SnapshotOf(service).buffers, 0u);
}

// Rows: DT-18
TYPED_TEST(ReleaseTest, DeathOfBothEndsOfANestedCall) {
  auto [manager, service, client, handle] = this->Connected();
  const std::uint32_t back =
      this->Give(manager, client, service, 0x5000, 0x6000);
  const Received outer = this->Serve(client, handle, service);
  service.Write(Commands().Transact(back));
  EXPECT_TRUE(client.Read().Has(Br::BR_TRANSACTION_COMPLETE));
  this->Close(client);

  std::vector<Br> told = Codes(service.ReadAll());
  EXPECT_EQ(told, (BrList{Br::BR_TRANSACTION_COMPLETE, Br::BR_DEAD_REPLY}));
  EXPECT_EQ(Codes(service.ReadAll()), BrList{});
  const Result outer_reply =
      service.Do(Commands().Free(outer.tr.buffer).Reply());
  EXPECT_TRUE(outer_reply.Has(Br::BR_TRANSACTION_COMPLETE));
  EXPECT_FALSE(outer_reply.Has(Br::BR_FAILED_REPLY));
}

// Rows: DT-19 DN-18
TYPED_TEST(ReleaseTest, ADeadNodeStaysWhileAHandleIsHeld) {
  auto [manager, service, client, handle] = this->Connected();
  const std::uint64_t others = this->Snapshot().live(core::ObjectKind::kNode);
  this->Close(service);
  ASSERT_EQ(this->SnapshotOf(client).refs.size(), 1u);
  EXPECT_TRUE(this->SnapshotOf(client).refs[0].node_dead);
  EXPECT_EQ(this->Snapshot().live(core::ObjectKind::kNode), others);
  client.Write(Commands().Transact(handle));
  EXPECT_EQ(client.ReadCodes(), BrList{Br::BR_DEAD_REPLY});

  client.Write(Commands().Release(handle));
  EXPECT_TRUE(this->SnapshotOf(client).refs.empty());
  EXPECT_EQ(this->Snapshot().live(core::ObjectKind::kNode), others - 1);
}

// The memory of a dead Proc: the same payload is still being copied into it.
class MeanwhileMemory : public UserMemory {
 public:
  // `action` runs once, in the middle of the copy of at least `size` bytes.
  MeanwhileMemory(std::size_t size, std::function<void()> action)
      : size_(size), action_(std::move(action)) {}

  bool CopyIn(void* to, std::uint64_t from, std::size_t size) override {
    const auto* source = reinterpret_cast<const std::byte*>(from);
    auto* target = static_cast<std::byte*>(to);
    const bool now = size >= size_ && action_ != nullptr;
    std::memcpy(target, source, now ? size / 2 : size);
    if (now) {
      std::exchange(action_, nullptr)();
      std::memcpy(target + size / 2, source + size / 2, size - size / 2);
    }
    return true;
  }
  bool CopyOut(std::uint64_t to, const void* from, std::size_t size) override {
    std::memcpy(reinterpret_cast<void*>(to), from, size);
    return true;
  }

 private:
  const std::size_t size_;
  std::function<void()> action_;
};

// Rows: DT-15 DT-13 CC-13
TYPED_TEST(ReleaseTest, AnArenaOutlivesItsProcWhileItIsWrittenTo) {
  Peer<TypeParam>* target = nullptr;
  MeanwhileMemory memory(5000, [&target] {
    target->proc().Kill();
    // With a binder lock the reaper has to wait for the end of this very call.
    while (!TypeParam::kHasBinderLock && !target->proc().released()) {
      std::this_thread::yield();
    }
  });
  Peer<TypeParam>& manager = this->OpenManager();
  target = &manager;
  Peer<TypeParam>& client = this->Open({.memory = &memory});
  const std::string large(10000, 'x');
  Payload payload;
  payload.Binder(0x10, 0x20).Bytes(large.data(), large.size());
  // Unchecked: the reaper may be at work as soon as this call has left the
  // lock.
  const Result sent =
      RunWriteRead(client.thread(), Commands().Transact(0, payload), 0);
  EXPECT_EQ(sent.error, Errc::kOk);
  EXPECT_EQ(sent.write_consumed, sent.write_size);
  while (!manager.proc().released()) std::this_thread::yield();
  // Refused, or accepted and failed: the discipline decides.
  const std::vector<Br> told = client.ReadCodes();
  ASSERT_FALSE(told.empty());
  EXPECT_EQ(told.back(), Br::BR_DEAD_REPLY);
  client.Check();
}

// --- In which order --------------------------------------------------------

// An AbseilParker that reports being woken.
class WatchedParker {
 public:
  using Observer = std::function<void(const WatchedParker&)>;
  // Called for what the calling thread wakes; null: nobody is told.
  static Observer& observer() {
    thread_local Observer observer;
    return observer;
  }

  void Wake() {
    if (observer() != nullptr) observer()(*this);
    parker_.Wake();
  }
  [[nodiscard]] sync::WaitResult Park(const sync::StopSignals& signals,
                                      TimePoint deadline) {
    return parker_.Park(signals, deadline);
  }
  [[nodiscard]] sync::WaitResult Park(const sync::StopSignals& signals,
                                      TimePoint deadline,
                                      sync::Spinners& spinners) {
    return parker_.Park(signals, deadline, spinners);
  }
  [[nodiscard]] bool parked() const { return parker_.parked(); }

 private:
  sync::AbseilParker parker_;
};

struct WatchedPrimitives : sync::AbseilPrimitives {
  using Parker = WatchedParker;
};

using WatchedDisciplines =
    ::testing::Types<FineGrained<WatchedPrimitives>,
                     BinderLock<Relock::kAlways, WatchedPrimitives>,
                     BinderLock<Relock::kUnlessKilled, WatchedPrimitives>,
                     BinderLock<Relock::kInterruptible, WatchedPrimitives>>;

template <class L>
class ReleaseOrderTest : public DriverTest<L> {
 protected:
  // By thread number.
  static const WatchedParker* ParkerOf(Peer<L>& peer, Actor<L>& actor) {
    core::Proc<L>& proc = peer.proc().state();
    sync::MutexLock lock(proc.tasks_mu);
    return &proc.tasks.Find(core::KeyOf(actor.tid()))->parker;
  }
};
TYPED_TEST_SUITE(ReleaseOrderTest, WatchedDisciplines, DisciplineNames);

// Rows: DT-12 IO-11 DN-16
TYPED_TEST(ReleaseOrderTest, ManagerThreadsNodesQueue) {
  using L = TypeParam;
  Peer<L>& manager = this->OpenManager();
  // What is to come first in each step is made last.
  Actor<L> late(this->context(), manager.proc().Attach(500'002));
  Actor<L> early(this->context(), manager.proc().Attach(500'001));
  Peer<L>& watcher = this->Open();
  const std::uint32_t high = this->Give(manager, manager, watcher, 0x3000, 0x1);
  const std::uint32_t low = this->Give(manager, manager, watcher, 0x1000, 0x1);
  watcher.Write(Commands()
                    .Acquire(0)
                    .RequestDeath(high, 3)
                    .RequestDeath(low, 1)
                    .RequestDeath(0, 0));
  // Three callers: two are being served, one is queued.
  Peer<L>& of_late = this->Open();
  Peer<L>& of_early = this->Open();
  Peer<L>& queued = this->Open();
  of_late.Write(Commands().Transact(0));
  EXPECT_TRUE(late.Read().Has(Br::BR_TRANSACTION));
  of_early.Write(Commands().Transact(0));
  EXPECT_TRUE(early.Read().Has(Br::BR_TRANSACTION));
  queued.Write(Commands().Transact(0));
  auto waiting = this->Block(watcher, watcher);

  std::vector<std::string> order;
  const std::vector<std::pair<const WatchedParker*, std::string>> names = {
      {this->ParkerOf(of_late, of_late), "late thread's caller"},
      {this->ParkerOf(of_early, of_early), "early thread's caller"},
      {this->ParkerOf(queued, queued), "queued caller"},
      {this->ParkerOf(watcher, watcher), "death"}};
  core::Context<L>& context = this->context().state();
  WatchedParker::observer() = [&](const WatchedParker& parker) {
    sync::MutexLock lock(context.mu);
    EXPECT_FALSE(context.manager) << "still manager when others are told";
    for (const auto& [known, name] : names) {
      if (known == &parker) order.push_back(name);
    }
  };
  manager.proc().Close();
  WatchedParker::observer() = nullptr;

  EXPECT_EQ(order, (std::vector<std::string>{"early thread's caller",
                                             "late thread's caller", "death",
                                             "queued caller"}));
  // One death a read, in ascending order of ptr.
  std::vector<Received> deaths = waiting->Join().received;
  for (int i = 0; i < 2; ++i) {
    for (const Received& r : watcher.Read().received) deaths.push_back(r);
  }
  std::erase_if(deaths, [](const auto& r) { return r.br == Br::BR_NOOP; });
  ASSERT_EQ(Codes(deaths), (BrList(3, Br::BR_DEAD_BINDER)));
  EXPECT_EQ(deaths[0].cookie, 0u);
  EXPECT_EQ(deaths[1].cookie, 1u);
  EXPECT_EQ(deaths[2].cookie, 3u);
  for (Peer<L>* caller : {&of_late, &of_early, &queued}) {
    EXPECT_EQ(caller->ReadCodes(),
              (BrList{Br::BR_TRANSACTION_COMPLETE, Br::BR_DEAD_REPLY}));
  }
}

// Rows: DN-17
TYPED_TEST(ReleaseOrderTest, TheYoungestHandleIsToldFirst) {
  Peer<TypeParam>& manager = this->OpenManager();
  std::vector<Peer<TypeParam>*> watchers;
  std::vector<std::unique_ptr<Blocked<TypeParam>>> waiting;
  std::vector<const WatchedParker*> parkers;
  for (int i = 0; i < 3; ++i) {
    Peer<TypeParam>& watcher = this->Open();
    const std::uint32_t handle =
        this->Give(manager, manager, watcher, 0x1000, 0x1);
    watcher.Write(Commands().RequestDeath(handle, 7));
    watchers.push_back(&watcher);
    parkers.push_back(this->ParkerOf(watcher, watcher));
    waiting.push_back(this->Block(watcher, watcher));
  }
  std::vector<const WatchedParker*> order;
  WatchedParker::observer() = [&](const WatchedParker& parker) {
    order.push_back(&parker);
  };
  manager.proc().Close();
  WatchedParker::observer() = nullptr;
  std::erase_if(order, [&](const WatchedParker* parker) {
    return std::find(parkers.begin(), parkers.end(), parker) == parkers.end();
  });
  EXPECT_EQ(order, (std::vector<const WatchedParker*>{parkers[2], parkers[1],
                                                      parkers[0]}));
  for (const auto& blocked : waiting) {
    EXPECT_TRUE(blocked->Join().Has(Br::BR_DEAD_BINDER));
  }
}

// --- Kill ------------------------------------------------------------------

// Rows: DT-04 DT-14 CC-13
TYPED_TEST(ReleaseTest, KillReleasesWithoutTheHelpOfTheKilled) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().RequestDeath(handle, 9));
  // The service's only thread is inside a call that does not end.
  const int calls = this->gates().Visits(Point::kLeaving, service.tid());
  this->gates().Close(Point::kLeaving, service.tid());
  std::jthread stuck([&service = service] {
    EXPECT_EQ(service.thread().EnterLooper(), Errc::kOk);
  });
  this->gates().WaitFor(Point::kLeaving, service.tid(), calls + 1);
  service.proc().Kill();
  while (!service.proc().released()) std::this_thread::yield();
  EXPECT_EQ(client.Read().Get(Br::BR_DEAD_BINDER).cookie, 9u);

  this->gates().Open(Point::kLeaving, service.tid());
  stuck.join();
  EXPECT_EQ(service.thread().EnterLooper(), Errc::kKilled);
  client.Check();
}

TYPED_TEST(ReleaseTest, EveryOrderOfCloseKillAndDestruction) {
  for (int order = 0; order < 4; ++order) {
    BasicProc<TypeParam> proc = this->context().Open();
    BasicThread<TypeParam> thread = proc.Attach();
    EXPECT_EQ(thread.EnterLooper(), Errc::kOk);
    if (order == 0) proc.Close();
    if (order == 1) proc.Kill();
    if (order == 2) {
      proc.Close();
      proc.Kill();
    }
    if (order == 3) {
      proc.Kill();
      proc.Close();
    }
    while (!proc.released()) std::this_thread::yield();
    const Errc error = thread.EnterLooper();
    EXPECT_TRUE(error == Errc::kClosed || error == Errc::kKilled);
    EXPECT_EQ(thread.ThreadExit(), Errc::kClosed);
  }
}

}  // namespace
}  // namespace binderlite::testing
