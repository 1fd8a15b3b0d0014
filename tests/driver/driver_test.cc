// SPDX-License-Identifier: Apache-2.0
//
// The public face of the driver: Context, Proc and Thread as objects that are
// opened, attached to, closed, killed, moved and destroyed in any order, and
// the operations that need no command streams.

#include "binderlite/driver/driver.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "binderlite/wire/flags.h"
#include "support/driver_test.h"
#include "support/exchange.h"

namespace binderlite::testing {
namespace {

// Has a thread sleep in NextWork, in a thread of its own.
template <class L>
class Sleeper {
 public:
  Sleeper(GateHooks& gates, BasicProc<L>& proc, BasicThread<L>& thread,
          std::stop_token stop = {})
      : gates_(gates), tid_(thread.tid()) {
    const int before = gates.Visits(Point::kParking, thread.tid());
    gates.Close(Point::kWoken, tid_);
    proc.SetNonblocking(false);
    runner_ = std::jthread(
        [this, &thread, stop] { error_ = thread.NextWork(incoming_, stop); });
    gates.WaitFor(Point::kParking, thread.tid(), before + 1);
    proc.SetNonblocking(true);
  }
  ~Sleeper() { gates_.Open(Point::kWoken, tid_); }

  std::pair<Errc, Incoming> Join() {
    gates_.Open(Point::kWoken, tid_);
    runner_.join();
    return {error_, incoming_};
  }

 private:
  GateHooks& gates_;
  const std::int32_t tid_;
  Errc error_ = Errc::kOk;
  Incoming incoming_;
  std::jthread runner_;
};

template <class L>
class ThreadTest : public DriverTest<L> {
 protected:
  // The next thing that a thread has to read; what follows from `error` is
  // BR_NOOP.
  static Incoming Next(BasicThread<L>& thread, Errc want = Errc::kOk) {
    Incoming incoming;
    EXPECT_EQ(thread.NextWork(incoming), want);
    return incoming;
  }
  static Br NextCode(BasicThread<L>& thread) { return Next(thread).command; }

  // Everything that a thread has to read.
  static BrList NextCodes(BasicThread<L>& thread) {
    BrList codes;
    Incoming incoming;
    while (thread.NextWork(incoming) == Errc::kOk) {
      codes.push_back(incoming.command);
    }
    return codes;
  }

  static std::string Text(const Incoming& incoming) {
    return std::string(
        reinterpret_cast<const char*>(incoming.transaction.buffer),
        static_cast<std::size_t>(incoming.transaction.data_size));
  }

  static TransactionData Message(std::uint32_t handle, std::string_view text,
                                 std::uint32_t flags = 0) {
    TransactionData data = {};
    data.target.handle = handle;
    data.flags = flags;
    data.data_size = text.size();
    data.buffer = AddressOf(text.data());
    return data;
  }

  // Every call that a thread can make.
  using Operation = std::function<Errc(BasicThread<L>&)>;
  static std::vector<Operation> Operations() {
    using T = BasicThread<L>;
    return {
        [](T& t) {
          WriteRead args = {};
          return t.WriteRead(args);
        },
        [](T& t) {
          return t.Ioctl(static_cast<std::uint32_t>(Ioctl::kSetContextMgr), 0);
        },
        [](T& t) { return t.Ioctl(0, 0); },
        [](T& t) {
          std::int32_t version = 0;
          return t.Version(version);
        },
        [](T& t) { return t.SetMaxThreads(3); },
        [](T& t) { return t.SetContextMgr(); },
        [](T& t) { return t.SetContextMgrExt({}); },
        [](T& t) {
          ExtendedError error = {};
          return t.GetExtendedError(error);
        },
        [](T& t) {
          NodeDebugInfo info = {};
          return t.GetNodeDebugInfo(info);
        },
        [](T& t) { return t.Transact({}); },
        [](T& t) { return t.Reply({}); },
        [](T& t) {
          Incoming incoming;
          return t.NextWork(incoming);
        },
        [](T& t) { return t.FreeBuffer(0); },
        [](T& t) { return t.Acquire(0); },
        [](T& t) { return t.Release(0); },
        [](T& t) { return t.IncRefs(0); },
        [](T& t) { return t.DecRefs(0); },
        [](T& t) { return t.AcquireDone({}); },
        [](T& t) { return t.IncRefsDone({}); },
        [](T& t) { return t.RequestDeathNotification(0, 0); },
        [](T& t) { return t.ClearDeathNotification(0, 0); },
        [](T& t) { return t.DeadBinderDone(0); },
        [](T& t) { return t.EnterLooper(); },
        [](T& t) { return t.RegisterLooper(); },
        [](T& t) { return t.ExitLooper(); },
    };
  }
};
BINDERLITE_FOR_ALL_DISCIPLINES(ThreadTest);

// --- Operations ------------------------------------------------------------

TYPED_TEST(ThreadTest, Hello) {
  auto manager = this->context().Open({.nonblocking = true});
  auto client = this->context().Open({.pid = 7, .nonblocking = true});
  auto serving = manager.Attach();
  auto calling = client.Attach();
  EXPECT_EQ(serving.SetContextMgr(), Errc::kOk);

  EXPECT_EQ(calling.Transact(this->Message(0, "hello")), Errc::kOk);
  const Incoming call = this->Next(serving);
  EXPECT_EQ(call.command, Br::BR_TRANSACTION);
  EXPECT_EQ(this->Text(call), "hello");
  EXPECT_EQ(call.transaction.sender_pid, 7);

  EXPECT_EQ(serving.Reply(this->Message(0, "hello yourself")), Errc::kOk);
  EXPECT_EQ(serving.FreeBuffer(call.transaction.buffer), Errc::kOk);
  EXPECT_EQ(this->NextCode(serving), Br::BR_TRANSACTION_COMPLETE);
  this->Next(serving, Errc::kWouldBlock);

  EXPECT_EQ(this->NextCode(calling), Br::BR_TRANSACTION_COMPLETE);
  const Incoming reply = this->Next(calling);
  EXPECT_EQ(reply.command, Br::BR_REPLY);
  EXPECT_EQ(this->Text(reply), "hello yourself");
  EXPECT_EQ(calling.FreeBuffer(reply.transaction.buffer), Errc::kOk);
  this->Next(calling, Errc::kWouldBlock);
}

// The same with a thread on either side, each waiting for the other.
TYPED_TEST(ThreadTest, HelloAcrossThreads) {
  auto manager = this->context().Open();
  auto client = this->context().Open();
  auto serving = manager.Attach();
  auto calling = client.Attach();
  EXPECT_EQ(serving.SetContextMgr(), Errc::kOk);
  std::jthread server([&](const std::stop_token& stop) {
    Incoming incoming;
    while (serving.NextWork(incoming, stop) == Errc::kOk) {
      if (incoming.command != Br::BR_TRANSACTION) continue;
      const std::string answer = "re: " + this->Text(incoming);
      EXPECT_EQ(serving.FreeBuffer(incoming.transaction.buffer), Errc::kOk);
      EXPECT_EQ(serving.Reply(this->Message(0, answer)), Errc::kOk);
    }
  });
  for (int i = 0; i < 100; ++i) {
    const std::string question = std::to_string(i);
    EXPECT_EQ(calling.Transact(this->Message(0, question)), Errc::kOk);
    EXPECT_EQ(this->NextCode(calling), Br::BR_TRANSACTION_COMPLETE);
    const Incoming reply = this->Next(calling);
    EXPECT_EQ(reply.command, Br::BR_REPLY);
    EXPECT_EQ(this->Text(reply), "re: " + question);
    EXPECT_EQ(calling.FreeBuffer(reply.transaction.buffer), Errc::kOk);
  }
}

TYPED_TEST(ThreadTest, AFailureMustBeReadFirst) {
  auto [manager, service, client, handle] = this->Connected();
  auto& thread = client.thread();
  for (const bool reply : {false, true}) {
    // A failure to send is no error of the call...
    EXPECT_EQ(
        reply ? thread.Reply({}) : thread.Transact(this->Message(0xbad, "")),
        Errc::kOk);
    // ... but until it is read nothing is sent.
    EXPECT_EQ(thread.Transact(this->Message(handle, "", kTfOneWay)),
              Errc::kBusy);
    EXPECT_EQ(thread.Reply({}), Errc::kBusy);
    EXPECT_EQ(service.Read().error, Errc::kWouldBlock);
    EXPECT_EQ(client.TakeError().first, Br::BR_FAILED_REPLY);
    // Everything else works.
    EXPECT_EQ(thread.Acquire(handle), Errc::kOk);
    EXPECT_EQ(thread.Release(handle), Errc::kOk);
    EXPECT_EQ(this->NextCode(thread), Br::BR_FAILED_REPLY);
  }
  EXPECT_EQ(thread.Transact(this->Message(handle, "", kTfOneWay)), Errc::kOk);
  EXPECT_EQ(this->NextCode(thread), Br::BR_TRANSACTION_COMPLETE);
  EXPECT_EQ(service.ReadCodes(), (BrList{Br::BR_TRANSACTION}));
}

TYPED_TEST(ThreadTest, TheFirstReadIsFree) {
  auto& peer = this->Open();
  peer.proc().SetNonblocking(false);
  auto thread = peer.proc().Attach();
  Incoming incoming;
  incoming.command = Br::BR_OK;
  EXPECT_EQ(thread.NextWork(incoming, {}, kNoPatience), Errc::kOk);
  EXPECT_EQ(incoming.command, Br::BR_NOOP);
  EXPECT_EQ(thread.NextWork(incoming, {}, kNoPatience), Errc::kTimedOut);
  peer.proc().Flush();
  EXPECT_EQ(thread.NextWork(incoming, {}, kNoPatience), Errc::kOk);
  EXPECT_EQ(incoming.command, Br::BR_NOOP);
}

TYPED_TEST(ThreadTest, SpawnLooper) {
  auto [manager, service, client, handle] = this->Connected();
  auto& thread = service.thread();
  EXPECT_EQ(thread.SetMaxThreads(2), Errc::kOk);
  EXPECT_EQ(thread.EnterLooper(), Errc::kOk);
  // Comes after what it came with...
  client.Write(Commands().Transact(handle));
  const Incoming call = this->Next(thread);
  EXPECT_EQ(call.command, Br::BR_TRANSACTION);
  EXPECT_EQ(this->NextCode(thread), Br::BR_SPAWN_LOOPER);
  this->Next(thread, Errc::kWouldBlock);
  EXPECT_EQ(this->SnapshotOf(service).requested, 1u);
  // ... and is asked once.
  auto spawned = service.proc().Attach();
  EXPECT_EQ(spawned.RegisterLooper(), Errc::kOk);
  EXPECT_EQ(this->SnapshotOf(service).requested, 0u);
  EXPECT_EQ(this->SnapshotOf(service).started, 1u);
  // Or alone, in place of BR_NOOP.
  service.proc().Flush();
  EXPECT_EQ(this->NextCode(spawned), Br::BR_SPAWN_LOOPER);
  service.proc().Flush();
  EXPECT_EQ(this->NextCode(spawned), Br::BR_NOOP);
  EXPECT_EQ(thread.ExitLooper(), Errc::kOk);
  EXPECT_EQ(this->ThreadOf(service, service).looper,
            core::kLooperEntered | core::kLooperExited);
}

TYPED_TEST(ThreadTest, CountsOfANode) {
  auto& manager = this->OpenManager();
  auto& owner = this->Open();
  auto& thread = owner.thread();
  Payload object;
  object.Binder(0x10, 0x20);
  EXPECT_EQ(thread.Transact(object.Data(0, kTfOneWay)), Errc::kOk);
  // One item of work makes two commands, told one after the other.
  const Incoming increfs = this->Next(thread);
  EXPECT_EQ(increfs.command, Br::BR_INCREFS);
  EXPECT_EQ(increfs.node.ptr, 0x10u);
  EXPECT_EQ(increfs.node.cookie, 0x20u);
  const Incoming acquire = this->Next(thread);
  EXPECT_EQ(acquire.command, Br::BR_ACQUIRE);
  EXPECT_EQ(acquire.node.ptr, 0x10u);
  EXPECT_EQ(acquire.node.cookie, 0x20u);
  EXPECT_EQ(this->NextCode(thread), Br::BR_TRANSACTION_COMPLETE);
  EXPECT_EQ(this->SnapshotOf(owner).nodes[0].local_strong, 1);
  EXPECT_EQ(thread.AcquireDone(acquire.node), Errc::kOk);
  EXPECT_EQ(this->SnapshotOf(owner).nodes[0].local_strong, 0);
  EXPECT_EQ(this->SnapshotOf(owner).nodes[0].local_weak, 1);
  EXPECT_EQ(thread.IncRefsDone(increfs.node), Errc::kOk);
  EXPECT_EQ(this->SnapshotOf(owner).nodes[0].local_weak, 0);

  auto& holder = manager.thread();
  const Incoming call = this->Next(holder);
  const auto count = [&](int strong, int weak) {
    const auto refs = this->SnapshotOf(manager).refs;
    ASSERT_EQ(refs.size(), 1u);
    EXPECT_EQ(refs[0].handle, 1u);
    EXPECT_EQ(refs[0].strong, strong);
    EXPECT_EQ(refs[0].weak, weak);
  };
  count(1, 0);
  EXPECT_EQ(holder.Acquire(1), Errc::kOk);
  EXPECT_EQ(holder.IncRefs(1), Errc::kOk);
  count(2, 1);
  EXPECT_EQ(holder.FreeBuffer(call.transaction.buffer), Errc::kOk);
  count(1, 1);
  EXPECT_EQ(holder.DecRefs(1), Errc::kOk);
  count(1, 0);
  EXPECT_EQ(holder.Release(1), Errc::kOk);
  EXPECT_TRUE(this->SnapshotOf(manager).refs.empty());
  EXPECT_EQ(this->NextCodes(thread), (BrList{Br::BR_RELEASE, Br::BR_DECREFS}));
  EXPECT_TRUE(this->SnapshotOf(owner).nodes.empty());

  // The only mistake that is an error: the manager and its own handle.
  EXPECT_EQ(holder.Acquire(0), Errc::kInvalid);
  EXPECT_EQ(holder.IncRefs(0), Errc::kInvalid);
  EXPECT_EQ(thread.Acquire(0), Errc::kOk);
  EXPECT_EQ(thread.Acquire(9), Errc::kOk);
}

TYPED_TEST(ThreadTest, Deaths) {
  auto [manager, service, client, handle] = this->Connected();
  auto& thread = client.thread();
  EXPECT_EQ(thread.EnterLooper(), Errc::kOk);
  EXPECT_EQ(thread.RequestDeathNotification(handle, 1), Errc::kOk);
  EXPECT_EQ(thread.ClearDeathNotification(handle, 1), Errc::kOk);
  const Incoming cleared = this->Next(thread);
  EXPECT_EQ(cleared.command, Br::BR_CLEAR_DEATH_NOTIFICATION_DONE);
  EXPECT_EQ(cleared.node.cookie, 1u);

  EXPECT_EQ(thread.RequestDeathNotification(handle, 2), Errc::kOk);
  this->Close(service);
  const Incoming dead = this->Next(thread);
  EXPECT_EQ(dead.command, Br::BR_DEAD_BINDER);
  EXPECT_EQ(dead.node.cookie, 2u);
  EXPECT_EQ(thread.ClearDeathNotification(handle, 2), Errc::kOk);
  this->Next(thread, Errc::kWouldBlock);
  EXPECT_EQ(thread.DeadBinderDone(2), Errc::kOk);
  EXPECT_EQ(this->NextCode(thread), Br::BR_CLEAR_DEATH_NOTIFICATION_DONE);
}

TYPED_TEST(ThreadTest, WhatEndsAWait) {
  auto [manager, service, client, handle] = this->Connected();
  auto sleeper = service.Spawn();
  auto& thread = sleeper.thread();
  {
    Sleeper<TypeParam> sleeping(this->gates(), service.proc(), thread);
    client.Write(Commands().OneWay(handle));
    const auto [error, incoming] = sleeping.Join();
    EXPECT_EQ(error, Errc::kOk);
    EXPECT_EQ(incoming.command, Br::BR_TRANSACTION);
  }
  {
    Sleeper<TypeParam> sleeping(this->gates(), service.proc(), thread);
    service.proc().Flush();
    const auto [error, incoming] = sleeping.Join();
    EXPECT_EQ(error, Errc::kOk);
    EXPECT_EQ(incoming.command, Br::BR_NOOP);
  }
  {
    Sleeper<TypeParam> sleeping(this->gates(), service.proc(), thread);
    thread.Interrupt();
    EXPECT_EQ(sleeping.Join().first, Errc::kInterrupted);
  }
  {
    std::stop_source stop;
    Sleeper<TypeParam> sleeping(this->gates(), service.proc(), thread,
                                stop.get_token());
    stop.request_stop();
    EXPECT_EQ(sleeping.Join().first, Errc::kKilled);
    // That was the end of this call, not of the thread.
    this->Next(thread, Errc::kWouldBlock);
  }
  {
    Sleeper<TypeParam> sleeping(this->gates(), service.proc(), thread);
    thread.Kill();
    EXPECT_EQ(sleeping.Join().first, Errc::kKilled);
    this->Next(thread, Errc::kKilled);
  }
  sleeper.Check();
  // Of all this, only the flush concerns the others of the Proc.
  EXPECT_EQ(service.Read().codes(), (BrList{Br::BR_NOOP}));
  EXPECT_EQ(service.Read().error, Errc::kWouldBlock);
}

// --- Attach ----------------------------------------------------------------

TYPED_TEST(ThreadTest, AttachNumbersThreads) {
  auto proc = this->context().Open({.pid = 50});
  auto first = proc.Attach();
  auto second = proc.Attach();
  EXPECT_EQ(first.tid(), 50);
  EXPECT_EQ(second.tid(), 51);
  EXPECT_EQ(proc.Attach(53).tid(), 53);
  EXPECT_EQ(proc.Attach(7).tid(), 7);
  EXPECT_EQ(proc.Attach().tid(), 52);
  EXPECT_EQ(proc.Attach().tid(), 54);
  // Nobody has a number in a Proc that is gone.
  proc.Close();
  EXPECT_EQ(proc.Attach().tid(), 50);
  EXPECT_EQ(proc.Attach().tid(), 50);
}

TYPED_TEST(ThreadTest, TheSameNumberIsTheSameThread) {
  auto& peer = this->Open();
  auto one = peer.proc().Attach(9);
  EXPECT_EQ(one.EnterLooper(), Errc::kOk);
  EXPECT_EQ(this->NextCodes(one), (BrList{}));
  {
    auto other = peer.proc().Attach(9);
    // It has no free read, and it can answer what the other one has read.
    EXPECT_EQ(this->NextCodes(other), (BrList{}));
    EXPECT_EQ(other.ExitLooper(), Errc::kOk);
    EXPECT_EQ(other.Transact(this->Message(0xbad, "")), Errc::kOk);
    EXPECT_EQ(one.Transact({}), Errc::kBusy);
    EXPECT_EQ(this->NextCode(one), Br::BR_FAILED_REPLY);
    EXPECT_EQ(this->SnapshotOf(peer).threads.size(), 2u);
    // It exits for both.
    EXPECT_EQ(other.ThreadExit(), Errc::kOk);
    EXPECT_EQ(this->SnapshotOf(peer).threads.size(), 1u);
  }
  EXPECT_EQ(this->NextCode(one), Br::BR_NOOP);
  EXPECT_EQ(this->ThreadOf(peer, Actor<TypeParam>(this->context(),
                                                  peer.proc().Attach(9)))
                .looper,
            0u);
}

// The record of a thread outlives the objects that stand for it.
TYPED_TEST(ThreadTest, AThreadIsRememberedByItsNumber) {
  auto& peer = this->Open();
  EXPECT_EQ(peer.proc().Attach(9).EnterLooper(), Errc::kOk);
  EXPECT_EQ(this->SnapshotOf(peer).threads.size(), 2u);
  auto again = peer.proc().Attach(9);
  EXPECT_EQ(this->NextCodes(again), (BrList{}));
  again.Kill();
  // Also that it has been killed.
  EXPECT_EQ(peer.proc().Attach(9).EnterLooper(), Errc::kKilled);
}

// --- Proc ------------------------------------------------------------------

TYPED_TEST(ThreadTest, OpenedAsWhoItSays) {
  auto& context = this->context();
  auto one = context.Open();
  auto two = context.Open();
  EXPECT_NE(one.pid(), 0);
  EXPECT_NE(one.pid(), two.pid());
  auto three = context.Open({.pid = 5, .euid = 6, .label = "l", .name = "n"});
  EXPECT_EQ(three.pid(), 5);
  EXPECT_EQ(three.options().euid, 6u);
  EXPECT_EQ(three.options().label, "l");
  EXPECT_EQ(three.options().name, "n");
  EXPECT_FALSE(static_cast<bool>(BasicProc<TypeParam>()));
  EXPECT_TRUE(static_cast<bool>(three));
}

TYPED_TEST(ThreadTest, AFreshPidIsNobodyElses) {
  auto& context = this->context();
  const std::int32_t first = context.Open({.arena_size = 0}).pid();
  auto next = context.Open({.pid = first + 1, .arena_size = 0});
  auto same = context.Open({.pid = first + 1, .arena_size = 0});
  auto gone = context.Open({.pid = first + 2, .arena_size = 0});
  // Pids of other Contexts do not count, not even of those that share them.
  BasicContext<TypeParam> sibling({}, context);
  auto others = sibling.Open({.pid = first + 3, .arena_size = 0});
  next.Close();
  gone.Close();
  EXPECT_EQ(context.Open({.arena_size = 0}).pid(), first + 2);
  EXPECT_EQ(context.Open({.arena_size = 0}).pid(), first + 3);
}

TYPED_TEST(ThreadTest, MapOnce) {
  auto proc = this->context().Open({.arena_size = 0});
  EXPECT_EQ(proc.Map(0), Errc::kInvalid);
  EXPECT_EQ(proc.Map(4096), Errc::kOk);
  EXPECT_EQ(proc.Map(4096), Errc::kBusy);
  proc.Unmap();
  EXPECT_EQ(proc.Map(4096), Errc::kBusy);
  auto mapped = this->context().Open();
  EXPECT_EQ(mapped.Map(4096), Errc::kBusy);
}

TYPED_TEST(ThreadTest, AClosedProcAnswersNothing) {
  auto& peer = this->Open();
  auto fresh = peer.proc().Attach();
  EXPECT_FALSE(peer.proc().released());
  peer.proc().Close();
  EXPECT_TRUE(peer.proc().released());
  peer.proc().Close();
  auto late = peer.proc().Attach();
  for (auto* thread : {&peer.thread(), &fresh, &late}) {
    for (const auto& operation : this->Operations()) {
      EXPECT_EQ(operation(*thread), Errc::kClosed);
    }
    EXPECT_EQ(thread->ThreadExit(), Errc::kClosed);
    thread->Interrupt();
    thread->Kill();
    EXPECT_EQ(thread->EnterLooper(), Errc::kClosed);
  }
  peer.proc().Flush();
  peer.proc().Kill();
  EXPECT_TRUE(this->Snapshot().procs.empty());
}

TYPED_TEST(ThreadTest, AKilledThreadAnswersNothing) {
  auto& peer = this->Open();
  auto other = peer.Spawn();
  peer.thread().Kill();
  for (const auto& operation : this->Operations()) {
    EXPECT_EQ(operation(peer.thread()), Errc::kKilled);
  }
  // Its record stays, until it is tidied up.
  EXPECT_EQ(this->SnapshotOf(peer).threads.size(), 2u);
  EXPECT_EQ(peer.thread().ThreadExit(), Errc::kOk);
  EXPECT_EQ(this->SnapshotOf(peer).threads.size(), 1u);
  EXPECT_EQ(peer.thread().EnterLooper(), Errc::kKilled);
  EXPECT_EQ(other.thread().EnterLooper(), Errc::kOk);
}

TYPED_TEST(ThreadTest, AKilledProcAnswersNothing) {
  auto& peer = this->Open();
  auto fresh = peer.proc().Attach();
  peer.proc().Kill();
  auto late = peer.proc().Attach();
  for (auto* thread : {&peer.thread(), &fresh, &late}) {
    for (const auto& operation : this->Operations()) {
      EXPECT_EQ(operation(*thread), Errc::kKilled);
    }
  }
  peer.proc().Kill();
  peer.proc().Close();
  EXPECT_EQ(fresh.EnterLooper(), Errc::kClosed);
}

// A stop_token of its own ends one call, whatever it does.
TYPED_TEST(ThreadTest, ACallThatIsStoppedBeforeItBegins) {
  auto [manager, service, client, handle] = this->Connected();
  std::stop_source stop;
  stop.request_stop();
  const Commands commands = Commands().OneWay(handle);
  const Result result =
      RunWriteRead(client.thread(), commands, kReadSize, stop.get_token());
  EXPECT_EQ(result.error, Errc::kKilled);
  EXPECT_EQ(result.write_consumed, 0u);
  EXPECT_EQ(client.Do(commands).codes(),
            (BrList{Br::BR_NOOP, Br::BR_TRANSACTION_COMPLETE}));
}

// --- Life and death of the objects -----------------------------------------

TYPED_TEST(ThreadTest, Moving) {
  BasicProc<TypeParam> proc = this->context().Open({.pid = 1});
  auto thread = proc.Attach();
  BasicProc<TypeParam> moved = std::move(proc);
  EXPECT_EQ(thread.EnterLooper(), Errc::kOk);
  BasicThread<TypeParam> other = std::move(thread);
  EXPECT_EQ(other.ExitLooper(), Errc::kOk);
  // Taking another one's place closes what was there.
  moved = this->context().Open({.pid = 2});
  EXPECT_EQ(other.EnterLooper(), Errc::kClosed);
  other = moved.Attach();
  EXPECT_EQ(other.tid(), 2);
  EXPECT_EQ(other.EnterLooper(), Errc::kOk);
  ASSERT_EQ(this->Snapshot().procs.size(), 1u);
  moved = BasicProc<TypeParam>();
  EXPECT_TRUE(this->Snapshot().procs.empty());
}

// A Context, two Procs and their Threads, with a call, a one-way, counts and a
// death registration between them, destroyed in every order.
TYPED_TEST(ThreadTest, AnyOrderOfDestruction) {
  std::array<std::size_t, 5> order = {0, 1, 2, 3, 4};
  do {
    std::string trace;
    for (const std::size_t i : order) trace += std::to_string(i);
    SCOPED_TRACE(trace);
    std::optional<BasicContext<TypeParam>> context(std::in_place);
    const core::Pin<core::Context<TypeParam>> state(&context->state());
    std::optional<BasicProc<TypeParam>> manager(
        context->Open({.nonblocking = true}));
    std::optional<BasicProc<TypeParam>> client(
        context->Open({.nonblocking = true}));
    std::optional<BasicThread<TypeParam>> serving(manager->Attach());
    std::optional<BasicThread<TypeParam>> calling(client->Attach());
    ASSERT_EQ(serving->SetContextMgr(), Errc::kOk);
    ASSERT_EQ(calling->Acquire(0), Errc::kOk);
    ASSERT_EQ(calling->RequestDeathNotification(0, 1), Errc::kOk);
    Payload object;
    object.Binder(0x10, 0x20);
    ASSERT_EQ(calling->Transact(object.Data(0, kTfOneWay)), Errc::kOk);
    ASSERT_EQ(calling->Transact(object.Data(0, kTfOneWay)), Errc::kOk);
    ASSERT_EQ(calling->Transact(object.Data()), Errc::kOk);
    ASSERT_EQ(this->NextCode(*serving), Br::BR_TRANSACTION);
    ASSERT_EQ(this->NextCode(*serving), Br::BR_TRANSACTION);

    for (const std::size_t i : order) {
      if (i == 0) context.reset();
      if (i == 1) manager.reset();
      if (i == 2) client.reset();
      if (i == 3) serving.reset();
      if (i == 4) calling.reset();
      // Who is left answers, and that according to who is gone.
      const auto check = [&](std::optional<BasicThread<TypeParam>>& thread,
                             bool open) {
        if (!thread.has_value()) return;
        const Errc error = thread->EnterLooper();
        EXPECT_EQ(error, !open                 ? Errc::kClosed
                         : context.has_value() ? Errc::kOk
                                               : Errc::kKilled);
      };
      check(serving, manager.has_value());
      check(calling, client.has_value());
    }
    for (std::size_t i = 0; i < core::kObjectKinds; ++i) {
      const auto kind = static_cast<core::ObjectKind>(i);
      EXPECT_EQ(state->counts.live(kind), 0u) << core::ToString(kind);
    }
  } while (std::next_permutation(order.begin(), order.end()));
}

// Destroying the Context ends the calls that wait in it.
TYPED_TEST(ThreadTest, AContextThatIsWaitedIn) {
  GateHooks gates;
  std::optional<BasicContext<TypeParam>> context(
      std::in_place, ContextOptions{.hooks = &gates});
  auto proc = context->Open({.nonblocking = true});
  auto thread = proc.Attach();
  EXPECT_EQ(this->NextCode(thread), Br::BR_NOOP);
  Sleeper<TypeParam> sleeping(gates, proc, thread);
  context.reset();
  EXPECT_EQ(sleeping.Join().first, Errc::kKilled);
  EXPECT_TRUE(proc.released());
}

// Closing a Proc ends the calls that wait in it; the last one tears it down.
TYPED_TEST(ThreadTest, AProcThatIsWaitedIn) {
  auto& peer = this->Open();
  Sleeper<TypeParam> sleeping(this->gates(), peer.proc(), peer.thread());
  peer.proc().Close();
  const auto [error, incoming] = sleeping.Join();
  EXPECT_EQ(error, Errc::kOk);
  EXPECT_EQ(incoming.command, Br::BR_NOOP);
  EXPECT_TRUE(peer.proc().released());
  EXPECT_EQ(peer.thread().EnterLooper(), Errc::kClosed);
}

// --- Exchange ----------------------------------------------------------------

template <class L>
class ExchangeTest : public DriverTest<L> {
 protected:
  static std::string TextOf(const Incoming& work) {
    return std::string(reinterpret_cast<const char*>(work.transaction.buffer),
                       static_cast<std::size_t>(work.transaction.data_size));
  }
};
BINDERLITE_FOR_ALL_DISCIPLINES(ExchangeTest);

// Rows: TX-02 TX-04. A call and its reply are not confirmed; what is freed goes
// with the next one.
TYPED_TEST(ExchangeTest, ACallAndItsReply) {
  auto [manager, service, client, handle] = this->Connected();
  const Payload question("question");
  const Payload answer("answer");
  TransactionData call = question.Data(3);
  call.target.handle = handle;
  Incoming work;
  EXPECT_EQ(client.thread().Exchange({.call = &call}, work), Errc::kWouldBlock);
  Incoming received;
  ASSERT_EQ(service.thread().Exchange({}, received), Errc::kOk);
  EXPECT_EQ(received.command, Br::BR_TRANSACTION);
  EXPECT_EQ(this->TextOf(received), "question");
  const TransactionData reply = answer.Data(4);
  EXPECT_EQ(service.thread().Exchange(
                {.free_buffer = received.transaction.buffer, .reply = &reply},
                received),
            Errc::kWouldBlock);
  EXPECT_EQ(this->SnapshotOf(service).buffers, 0u);
  ASSERT_EQ(client.thread().Exchange({}, work), Errc::kOk);
  EXPECT_EQ(work.command, Br::BR_REPLY);
  EXPECT_EQ(this->TextOf(work), "answer");
  EXPECT_EQ(client.thread().Send({.free_buffer = work.transaction.buffer}),
            Errc::kOk);
  EXPECT_EQ(this->SnapshotOf(client).buffers, 0u);
  client.Check();
}

// A stop ends the wait for what comes next, not the sending of what others wait
// for. A call need not be made any more.
TYPED_TEST(ExchangeTest, AStopKeepsBackNoReply) {
  auto [manager, service, client, handle] = this->Connected();
  std::stop_source stop;
  stop.request_stop();
  const Payload question("question");
  TransactionData call = question.Data(3);
  call.target.handle = handle;
  Incoming work;
  EXPECT_EQ(client.thread().Exchange({.call = &call}, work, stop.get_token()),
            Errc::kKilled);
  EXPECT_TRUE(this->SnapshotOf(client).threads.front().stack.empty());
  ASSERT_EQ(client.thread().Send({.call = &call}), Errc::kOk);
  Incoming received;
  ASSERT_EQ(service.thread().NextWork(received), Errc::kOk);
  const Payload answer("answer");
  const TransactionData reply = answer.Data();
  EXPECT_EQ(
      service.thread().Exchange({.reply = &reply}, work, stop.get_token()),
      Errc::kWouldBlock);
  EXPECT_EQ(
      service.thread().Exchange({.free_buffer = received.transaction.buffer},
                                work, stop.get_token()),
      Errc::kWouldBlock);
  EXPECT_EQ(this->SnapshotOf(service).buffers, 0u);
  ASSERT_EQ(client.thread().NextWork(work), Errc::kOk);
  EXPECT_EQ(work.command, Br::BR_REPLY);
  EXPECT_EQ(this->TextOf(work), "answer");
  client.Check();
}

// A one-way is confirmed: there is nothing else to come.
TYPED_TEST(ExchangeTest, AOneWay) {
  auto [manager, service, client, handle] = this->Connected();
  TransactionData call = Payload().Data(3, kTfOneWay);
  call.target.handle = handle;
  Incoming work;
  ASSERT_EQ(client.thread().Exchange({.call = &call}, work), Errc::kOk);
  EXPECT_EQ(work.command, Br::BR_TRANSACTION_COMPLETE);
}

// A failure to send is what is read, and stops what comes after it.
TYPED_TEST(ExchangeTest, WhatFails) {
  auto [manager, service, client, handle] = this->Connected();
  TransactionData nowhere = {};
  nowhere.target.handle = 4711;
  const TransactionData reply = {};
  Incoming work;
  ASSERT_EQ(client.thread().Exchange({.reply = &reply, .call = &nowhere}, work),
            Errc::kOk);
  EXPECT_EQ(work.command, Br::BR_FAILED_REPLY);
  EXPECT_EQ(client.TakeError(),
            (std::pair{Br::BR_FAILED_REPLY,
                       -static_cast<std::int32_t>(Errc::kProtocol)}));
  EXPECT_EQ(client.thread().NextWork(work), Errc::kWouldBlock);
  // Unread, it stops everything.
  ASSERT_EQ(client.thread().Send({.call = &nowhere}), Errc::kOk);
  EXPECT_EQ(client.thread().Send({.call = &nowhere}), Errc::kBusy);
  EXPECT_EQ(client.thread().Exchange({.call = &nowhere}, work), Errc::kBusy);
  ASSERT_EQ(client.thread().NextWork(work), Errc::kOk);
  EXPECT_EQ(work.command, Br::BR_FAILED_REPLY);
  client.Check();
}

// Row: TX-27. A reply that fails leaves its sender nothing to read.
TYPED_TEST(ExchangeTest, AReplyThatFails) {
  auto [manager, service, client, handle] = this->Connected();
  TransactionData call = {};
  call.target.handle = handle;
  ASSERT_EQ(client.thread().Send({.call = &call}), Errc::kOk);
  Incoming received;
  ASSERT_EQ(service.thread().NextWork(received), Errc::kOk);
  Payload bad;
  bad.Handle(4711);
  const TransactionData reply = bad.Data();
  // It has an object, so it is confirmed: the replier has done its part.
  ASSERT_EQ(service.thread().Exchange(
                {.free_buffer = received.transaction.buffer, .reply = &reply},
                received),
            Errc::kOk);
  EXPECT_EQ(received.command, Br::BR_TRANSACTION_COMPLETE);
  Incoming work;
  ASSERT_EQ(client.thread().NextWork(work), Errc::kOk);
  EXPECT_EQ(work.command, Br::BR_FAILED_REPLY);
  EXPECT_TRUE(work.was_sent);
  client.Check();
}

// A call that cannot be queued is taken back, also when nothing confirms it.
TYPED_TEST(ExchangeTest, ACallToAFrozenProc) {
  auto [manager, service, client, handle] = this->Connected();
  FreezeInfo info{.pid = static_cast<std::uint32_t>(service.pid()),
                  .enable = 1,
                  .timeout_ms = 0};
  ASSERT_EQ(manager.thread().Freeze(info), Errc::kOk);
  TransactionData call = {};
  call.target.handle = handle;
  Incoming work;
  ASSERT_EQ(client.thread().Exchange({.call = &call}, work), Errc::kOk);
  EXPECT_EQ(work.command, Br::BR_FROZEN_REPLY);
  EXPECT_TRUE(this->ThreadOf(client, client).stack.empty());
  EXPECT_EQ(this->SnapshotOf(service).buffers, 0u);
}

}  // namespace
}  // namespace binderlite::testing
