// SPDX-License-Identifier: Apache-2.0
//
// The driver under real threads: stress that ends by count, the lock rules
// checked at every lock, wake-up and callback, and races hunted by numbers.
// Abseil's deadlock detector is on where the installed Abseil has one.

#include <pthread.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "support/driver_test.h"
#include "support/files.h"

namespace binderlite::testing {
namespace {

// --- A policy that checks the lock rules -----------------------------------

// The ranks of the bounded mutexes that the calling thread holds.
std::vector<int>& HeldRanks() {
  thread_local std::vector<int> held;
  return held;
}

void ExpectNothingHeld(std::string_view where) {
  EXPECT_TRUE(HeldRanks().empty())
      << where << " with a mutex of rank " << HeldRanks().back();
}

// Locked only with mutexes of lower rank held: hence in the documented order,
// and never two of one rank, of the same Proc or of two. kAlone: with none.
template <int kRank, bool kAlone = false>
class ABSL_LOCKABLE RankedMutex {
 public:
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    std::vector<int>& held = HeldRanks();
    if (!held.empty() && (kAlone || held.back() >= kRank)) {
      ADD_FAILURE() << "rank " << kRank << " locked with " << held.back()
                    << " held";
    }
    held.push_back(kRank);
    mu_.Lock();
  }
  void Unlock() ABSL_UNLOCK_FUNCTION() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    std::vector<int>& held = HeldRanks();
    held.erase(std::find(held.begin(), held.end(), kRank));
    mu_.Unlock();
  }
  void AssertHeld() const ABSL_ASSERT_EXCLUSIVE_LOCK() { mu_.AssertHeld(); }

 private:
  sync::AbseilMutex mu_;
};

// Neither sleeping nor waking is done with a bounded mutex held.
class RankedParker {
 public:
  void Wake() {
    ExpectNothingHeld("wakes");
    parker_.Wake();
  }
  [[nodiscard]] sync::WaitResult Park(const sync::StopSignals& signals,
                                      TimePoint deadline) {
    ExpectNothingHeld("sleeps");
    return parker_.Park(signals, deadline);
  }
  [[nodiscard]] sync::WaitResult Park(const sync::StopSignals& signals,
                                      TimePoint deadline,
                                      sync::Spinners& spinners) {
    ExpectNothingHeld("sleeps");
    return parker_.Park(signals, deadline, spinners);
  }
  [[nodiscard]] bool parked() const { return parker_.parked(); }

 private:
  sync::AbseilParker parker_;
};

struct RankedPrimitives : sync::AbseilPrimitives {
  using Mutex = RankedMutex<9>;  // Of tasks and of the Context: leaves.
  using Parker = RankedParker;
};

struct RankedFineGrained : FineGrained<RankedPrimitives> {
  static constexpr std::string_view kName = "RankedFineGrained";
  using RefsMutex = RankedMutex<1>;
  using NodeMutex = RankedMutex<2>;
  using QueuesMutex = RankedMutex<3>;
  using TransactionMutex = RankedMutex<6>;
  using ArenaMutex = RankedMutex<7, /*kAlone=*/true>;
};

struct RankedBinderLock : BinderLock<Relock::kUnlessKilled, RankedPrimitives> {
  static constexpr std::string_view kName = "RankedBinderLock";
  using WaitersMutex = RankedMutex<4>;
  using CountersMutex = RankedMutex<5>;
};

using StressDisciplines =
    ::testing::Types<FineGrained<>, BinderLock<Relock::kAlways>,
                     BinderLock<Relock::kUnlessKilled>,
                     BinderLock<Relock::kInterruptible>, RankedFineGrained,
                     RankedBinderLock>;

// User memory that is touched without bounded mutexes only.
class WatchfulMemory : public UserMemory {
 public:
  explicit WatchfulMemory(std::function<void()> look)
      : look_(std::move(look)) {}

  bool CopyIn(void* to, std::uint64_t from, std::size_t size) override {
    look_();
    return direct_.CopyIn(to, from, size);
  }
  bool CopyOut(std::uint64_t to, const void* from, std::size_t size) override {
    look_();
    return direct_.CopyOut(to, from, size);
  }

 private:
  const memory::UserAccess direct_;
  const std::function<void()> look_;
};

// The same for policies and priorities.
class WatchfulPolicy : public SecurityPolicy {
 public:
  explicit WatchfulPolicy(std::function<void()> look)
      : look_(std::move(look)) {}

  bool MaySetContextMgr(const Credentials& /*who*/) override { return Look(); }
  bool MayTransact(const Credentials& /*from*/,
                   const Credentials& /*to*/) override {
    return Look();
  }
  bool MayTransferBinder(const Credentials& /*from*/,
                         const Credentials& /*to*/) override {
    return Look();
  }
  bool MayTransferFile(const Credentials& /*from*/, const Credentials& /*to*/,
                       int /*fd*/) override {
    return Look();
  }
  Errc GetLabel(const Credentials& who, std::string& label) override {
    look_();
    return SecurityPolicy::GetLabel(who, label);
  }

 private:
  bool Look() {
    look_();
    return true;
  }

  const std::function<void()> look_;
};
class WatchfulPriorities : public Priorities {
 public:
  explicit WatchfulPriorities(std::function<void()> look)
      : look_(std::move(look)) {}

  int Get(std::int32_t /*pid*/, std::int32_t /*tid*/) override {
    look_();
    return 0;
  }
  void Set(std::int32_t /*pid*/, std::int32_t /*tid*/, int /*nice*/) override {
    look_();
  }

 private:
  const std::function<void()> look_;
};

// --- Threads that serve and threads that call ------------------------------

// What a call is for.
constexpr std::uint32_t kJustReply = 0;
constexpr std::uint32_t kCallOn = 1;  // By the service, before it replies.

// How a synchronous call ended.
struct Answers {
  int replies = 0;
  int dead = 0;
  int failed = 0;
  [[nodiscard]] int all() const { return replies + dead + failed; }
};

// Serves with `thread` until it is killed or its Proc closed; calls on through
// `next`. A buffer that it was not able to free is put into `unfreed`.
template <class L>
Errc Serve(BasicThread<L>& thread, std::uint32_t next, std::uint64_t& unfreed,
           const std::function<void(const Received&)>& see) {
  Commands commands;
  commands.EnterLooper();
  if (unfreed != 0) commands.Free(unfreed);
  for (;;) {
    const Result result = RunWriteRead(thread, commands, kReadSize);
    if (result.write_consumed > 0) unfreed = 0;
    if (result.error == Errc::kInterrupted) {
      commands = Commands();
      continue;
    }
    if (result.error != Errc::kOk) return result.error;
    commands = Commands();
    for (const Received& r : result.received) {
      switch (r.br) {
        case Br::BR_TRANSACTION:
          see(r);
          unfreed = r.tr.buffer;
          commands.Free(r.tr.buffer);
          if ((r.tr.flags & kTfOneWay) != 0) break;
          if (r.tr.code == kCallOn) {
            commands.Transact(next, {}, kJustReply);
          } else {
            commands.Reply();
          }
          break;
        case Br::BR_REPLY:  // To what it called: now it replies itself.
          commands.Free(r.tr.buffer).Reply();
          break;
        case Br::BR_DEAD_REPLY:
        case Br::BR_FAILED_REPLY:
          commands.Reply();
          break;
        case Br::BR_INCREFS:
          commands.IncRefsDone(r.ptr, r.cookie);
          break;
        case Br::BR_ACQUIRE:
          commands.AcquireDone(r.ptr, r.cookie);
          break;
        default:
          break;
      }
    }
  }
}

// Calls and waits for the answer, however often it is interrupted.
template <class L>
Br CallAndWait(BasicThread<L>& thread, std::uint32_t handle, std::uint32_t code,
               Answers& answers) {
  Commands commands;
  commands.Transact(handle, {}, code);
  for (;;) {
    const Result result = RunWriteRead(thread, commands, kReadSize);
    commands = Commands();
    if (result.error == Errc::kInterrupted) continue;
    EXPECT_EQ(result.error, Errc::kOk);
    if (result.error != Errc::kOk) return Br::BR_ERROR;
    for (const Received& r : result.received) {
      switch (r.br) {
        case Br::BR_REPLY:
          ++answers.replies;
          RunWriteRead(thread, Commands().Free(r.tr.buffer), 0);
          return r.br;
        case Br::BR_DEAD_REPLY:
          ++answers.dead;
          return r.br;
        case Br::BR_FAILED_REPLY:
          ++answers.failed;
          return r.br;
        default:
          break;
      }
    }
  }
}

template <class L>
class ConcurrencyTest : public DriverTest<L> {
 protected:
  static void SetUpTestSuite() {
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kAbort);
  }

  // Loopers of one Proc that cannot be done away with: a killed one tidies up
  // and comes back as another thread.
  class Pool {
   public:
    Pool(
        Peer<L>& peer, int size, std::uint32_t next = 0,
        std::function<void(const Received&)> see = [](const Received&) {})
        : peer_(peer), see_(std::move(see)) {
      peer.proc().SetNonblocking(false);
      for (int i = 0; i < size; ++i) {
        const auto slot = static_cast<std::size_t>(i);
        threads_.push_back(peer.proc().Attach());
        runners_.emplace_back([this, slot, next] { Run(slot, next); });
      }
    }
    // The Proc must have been closed or killed.
    ~Pool() { Join(); }
    void Join() { runners_.clear(); }

    void Interrupt(std::size_t i) {
      const std::lock_guard lock(mu_);
      threads_[i % threads_.size()].Interrupt();
    }
    void Kill(std::size_t i) {
      const std::lock_guard lock(mu_);
      threads_[i % threads_.size()].Kill();
    }

   private:
    void Run(std::size_t slot, std::uint32_t next) {
      std::uint64_t unfreed = 0;
      for (;;) {
        BasicThread<L>* thread = nullptr;
        {
          const std::lock_guard lock(mu_);
          thread = &threads_[slot];
        }
        if (Serve(*thread, next, unfreed, see_) != Errc::kKilled) return;
        if (thread->ThreadExit() != Errc::kOk) return;
        const std::lock_guard lock(mu_);
        // A number of its own: the killed one keeps his.
        threads_[slot] = peer_.proc().Attach();
      }
    }

    Peer<L>& peer_;
    const std::function<void(const Received&)> see_;
    std::mutex mu_;
    std::deque<BasicThread<L>> threads_;  // Replaced under mu_.
    std::deque<std::jthread> runners_;
  };
};
TYPED_TEST_SUITE(ConcurrencyTest, StressDisciplines, DisciplineNames);

// --- The lock rules --------------------------------------------------------

// A tour through the driver. With the ranked policies every lock on the way is
// checked: order (L6), one of a level at a time (L7), nothing held where user
// memory, hooks (L1), sleeping and waking (L8) are.
//
// Rows: CC-01 CC-08
TYPED_TEST(ConcurrencyTest, ATourWithEveryLockLookedAt) {
  using L = TypeParam;
  WatchfulMemory memory([] { ExpectNothingHeld("touches user memory"); });
  this->gates().Observe([](Point point, std::int32_t, std::int32_t) {
    ExpectNothingHeld(ToString(point));
  });
  Peer<L>& manager = this->OpenManager({.memory = &memory});
  Peer<L>& service = this->Open({.memory = &memory});
  Peer<L>& client = this->Open({.memory = &memory});
  const std::uint32_t handle =
      this->Give(manager, service, client, this->kPtr, this->kCookie);
  const std::uint32_t back = this->Give(manager, client, service, 0x5000, 1);
  const Payload objects =
      Payload().Handle(handle).WeakHandle(handle).Binder(0x7000, 1);
  Actor<L> looper = service.Spawn();
  looper.Write(Commands().EnterLooper());
  EXPECT_EQ(service.thread().SetMaxThreads(3), Errc::kOk);

  for (int round = 0; round < 3; ++round) {
    // A call with objects, which wakes a sleeper, nested, and the replies.
    auto serving = this->Block(service, looper);
    client.Write(Commands().Transact(handle, objects));
    const Received call = serving->Join().Get(Br::BR_TRANSACTION);
    looper.Write(Commands().Transact(back));
    const Result nested = client.Read();
    EXPECT_TRUE(nested.Has(Br::BR_TRANSACTION));
    client.Write(Commands().Reply(objects));
    this->Settle(looper);
    looper.Write(
        Commands()
            .Free(call.tr.buffer)
            .Reply(round == 0 ? Payload().Binder(0x9000, 1) : Payload()));
    this->Settle(client);
    this->Settle(looper);
    this->Settle(service);
    // One-ways, one behind the other.
    client.Write(Commands().OneWay(handle, objects).OneWay(handle));
    for (int i = 0; i < 2; ++i) {
      for (const Received& r : looper.ReadAll()) {
        if (r.br == Br::BR_TRANSACTION) {
          looper.Write(Commands().Free(r.tr.buffer));
        }
      }
    }
    // Failures.
    client.Write(Commands().Transact(77));
    client.Do(Commands().Free(1).Release(99).DeadDone(5));
    client.Do(Commands().ClearDeath(handle, 1).Acquire(98).AcquireDone(9, 9));
    // Interrupts, flushes, kills of threads.
    Actor<L> doomed = service.Spawn();
    auto sleeping = this->Block(service, doomed);
    if (round == 0) doomed.thread().Interrupt();
    if (round == 1) service.proc().Flush();
    if (round == 2) doomed.thread().Kill();
    sleeping->Join();
    EXPECT_EQ(doomed.thread().ThreadExit(), Errc::kOk);
    this->Settle(client);
    this->Settle(service);
    this->Settle(looper);  // The free read that a flush leaves, too.
  }
  // Deaths, before and after, cleared and not; close and kill.
  client.Write(Commands().RequestDeath(handle, 1));
  client.Write(Commands().ClearDeath(handle, 1).RequestDeath(handle, 2));
  EXPECT_EQ(Codes(client.ReadAll()),
            BrList{Br::BR_CLEAR_DEATH_NOTIFICATION_DONE});
  this->Close(service);
  for (const Received& r : client.ReadAll()) {
    if (r.br == Br::BR_DEAD_BINDER) {
      client.Write(Commands().ClearDeath(handle, 2).DeadDone(2));
    }
  }
  this->Settle(client);
  manager.proc().Kill();
  while (!manager.proc().released()) std::this_thread::yield();
  client.Write(Commands().Release(handle));
  this->Close(client);
  this->gates().Observe(nullptr);
}

// Lock rule L1, by other means: from within hooks and user memory, all of the
// driver's state can be looked at.
TYPED_TEST(ConcurrencyTest, CallbacksMayLookAtEverything) {
  using L = TypeParam;
  std::atomic<int> looks{0};
  const auto look = [this, &looks] {
    (void)this->Snapshot();
    ++looks;
  };
  // With a binder lock only where that is not held.
  WatchfulMemory memory([&look] {
    if (!L::kHasBinderLock) look();
  });
  this->gates().Observe([&look](Point point, std::int32_t, std::int32_t) {
    const bool unlocked = point == Point::kEntering ||
                          point == Point::kParking || point == Point::kWoken ||
                          point == Point::kLeaving;
    if (!L::kHasBinderLock || unlocked) look();
  });
  Peer<L>& manager = this->OpenManager({.memory = &memory});
  Peer<L>& client = this->Open({.memory = &memory});
  const Payload object = Payload().Binder(0x1000, 1);
  auto waiting = this->Block(client, client, Commands().Transact(0, object));
  const Received call = manager.Read().Get(Br::BR_TRANSACTION);
  manager.Write(Commands().RequestDeath(call.object(0).handle, 3).Reply());
  EXPECT_TRUE(waiting->Join().Has(Br::BR_REPLY));
  this->Close(client);
  EXPECT_TRUE(manager.ReadAll().size() > 1);
  EXPECT_GE(looks.load(), 20);
  this->gates().Observe(nullptr);
}

// The seams that a Context is given, which must outlive it.
struct Seams {
  std::function<void()> look = [] {};
  WatchfulPolicy policy{[this] { look(); }};
  WatchfulPriorities priorities{[this] { look(); }};
  TestFiles files;
};

template <class L>
class SeamsTest : protected Seams, public DriverTest<L> {
 protected:
  SeamsTest() : DriverTest<L>({.policy = &policy, .priorities = &priorities}) {
    files.Observe([this] { look(); });
  }

  static void FreeAll(Actor<L>& actor, const std::vector<Received>& received) {
    for (const Received& r : received) {
      if (r.tr.buffer != 0) actor.Write(Commands().Free(r.tr.buffer));
    }
  }

  // Descriptors, labels, priorities: those that arrive, those that are refused,
  // those that nobody has room for or reads.
  void Tour() {
    Peer<L>& manager = this->OpenManager();
    Peer<L>& service = this->Open({.label = "service", .files = &files});
    Peer<L>& client = this->Open({.label = "client", .files = &files});
    const std::uint32_t handle =
        this->Give(manager, service, client, 0x1000, 1,
                   kFlatAcceptsFds | kFlatTxnSecurityCtx);
    const TestFile file;
    std::array fds = {files.Add(file), -1};
    Payload payload("8 bytes.");
    payload.Ptr(fds.data(), sizeof(fds)).FdArray(1, 0).Fd(fds[0]);
    payload.Binder(0x7000, 1).Handle(handle);
    Payload bad = payload;
    bad.Fd(fds[1]);
    for (const std::size_t limit : {std::size_t{2}, std::size_t{1000}}) {
      files.SetLimit(limit);
      auto waiting = this->Block(service, service);
      waiting->GoOn();
      (void)RunWriteRead(client.thread(),
                         Commands()
                             .TransactSg(handle, payload, 8, 0, kTfOneWay)
                             .TransactSg(handle, payload, 8, 0, kTfOneWay)
                             .TransactSg(handle, bad, 8),
                         0);
      service.proc().Flush();
      FreeAll(service, waiting->Join().received);
      FreeAll(service, service.ReadAll());
      (void)client.ReadAll();
      client.Write(Commands().Transact(handle, {}, 0, kTfAcceptFds));
      FreeAll(service, service.ReadAll());
      service.Write(Commands().ReplySg(payload, 8));
      FreeAll(service, service.ReadAll());
      FreeAll(client, client.ReadAll());
    }
    client.Write(Commands().TransactSg(handle, payload, 8));
    this->Close(service);
    look = [] {};
  }
};
TYPED_TEST_SUITE(SeamsTest, StressDisciplines, DisciplineNames);

// Rows: CC-09 CC-08
TYPED_TEST(SeamsTest, AreUsedWithNothingHeld) {
  std::atomic<int> looks{0};
  this->look = [&looks] {
    ++looks;
    ExpectNothingHeld("asks");
  };
  this->Tour();
  EXPECT_GE(looks.load(), 30);
}

// Rows: CC-09
TYPED_TEST(SeamsTest, MayLookAtEverything) {
  if (TypeParam::kHasBinderLock) return;  // It is held there.
  std::atomic<int> looks{0};
  this->look = [this, &looks] {
    ++looks;
    (void)this->Snapshot();
  };
  this->Tour();
  EXPECT_GE(looks.load(), 30);
}

// Rows: CC-14. Lock rule L7: a chain of calls is failed in a loop, on a stack
// that has no room for a recursion.
TYPED_TEST(ConcurrencyTest, ALongChainFailsOnAShortStack) {
  using L = TypeParam;
  constexpr int kDepth = 3000;
  auto [manager, service, client, handle] = this->Connected();
  Peer<L>& other = this->Open();
  const std::uint32_t to_other = this->Give(manager, other, service, 0x5000, 1);
  const std::uint32_t to_service =
      this->Give(manager, service, other, this->kPtr, this->kCookie);
  client.Write(Commands().Transact(handle));
  EXPECT_TRUE(service.Read().Has(Br::BR_TRANSACTION));
  // Nested calls come back to the same two threads.
  for (int i = 0; i < kDepth; ++i) {
    Peer<L>& from = i % 2 == 0 ? service : other;
    Peer<L>& to = i % 2 == 0 ? other : service;
    RunWriteRead(from.thread(),
                 Commands().Transact(i % 2 == 0 ? to_other : to_service), 0);
    ASSERT_TRUE(
        RunWriteRead(to.thread(), {}, kReadSize).Has(Br::BR_TRANSACTION));
  }
  std::function<void()> both_exit = [&service = service, &other] {
    EXPECT_EQ(other.thread().ThreadExit(), Errc::kOk);
    EXPECT_EQ(service.thread().ThreadExit(), Errc::kOk);
  };
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 128 << 10);
  pthread_t thread;
  const int error = pthread_create(
      &thread, &attributes,
      [](void* f) -> void* {
        (*static_cast<std::function<void()>*>(f))();
        return nullptr;
      },
      &both_exit);
  pthread_attr_destroy(&attributes);
  ASSERT_EQ(error, 0);
  pthread_join(thread, nullptr);
  EXPECT_EQ(client.ReadCodes(),
            (BrList{Br::BR_TRANSACTION_COMPLETE, Br::BR_DEAD_REPLY}));
}

// --- Stress ----------------------------------------------------------------

// Loopers that are interrupted, flushed and killed at random; every call ends,
// and if a wake-up is lost this test does not.
//
// Rows: CC-10 CC-02 CC-13 SG-13
TYPED_TEST(ConcurrencyTest, EveryCallEnds) {
  using L = TypeParam;
  constexpr int kClients = 3;
  constexpr int kCalls = 1500;
  Peer<L>& manager = this->OpenManager();
  Peer<L>& front = this->Open({.name = "front"});
  Peer<L>& leaf = this->Open({.name = "leaf"});
  const std::uint32_t to_leaf = this->Give(manager, leaf, front, 0x1000, 1);
  std::vector<Peer<L>*> clients;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> handles;
  for (int i = 0; i < kClients; ++i) {
    clients.push_back(&this->Open());
    handles.emplace_back(this->Give(manager, front, *clients.back(), 0x2000, 1),
                         this->Give(manager, leaf, *clients.back(), 0x1000, 1));
    clients.back()->proc().SetNonblocking(false);
  }
  std::atomic<int> seen{0};
  const auto see = [&seen](const Received&) { ++seen; };
  typename TestFixture::Pool front_pool(front, 3, to_leaf, see);
  typename TestFixture::Pool leaf_pool(leaf, 3, 0, see);
  std::vector<Answers> answers(kClients);
  std::vector<int> calls(kClients);
  std::atomic<int> running{kClients};
  {
    std::deque<std::jthread> runners;
    for (std::size_t c = 0; c < kClients; ++c) {
      runners.emplace_back([&, c] {
        std::minstd_rand random(static_cast<unsigned>(c) + 1);
        BasicThread<L>& thread = clients[c]->thread();
        for (int i = 0; i < kCalls; ++i) {
          const std::uint32_t handle =
              random() % 2 == 0 ? handles[c].first : handles[c].second;
          const std::uint32_t code =
              handle == handles[c].first ? kCallOn : kJustReply;
          if (random() % 3 == 0) {
            // Drains what comes back, so that no failure stays unread.
            RunWriteRead(thread, Commands().OneWay(handle), kReadSize);
          } else {
            ++calls[c];
            CallAndWait(thread, handle, code, answers[c]);
          }
        }
        --running;
      });
    }
    std::minstd_rand random(42);
    while (running.load() > 0) {
      auto& pool = random() % 2 == 0 ? front_pool : leaf_pool;
      const std::size_t who = random();
      switch (random() % 8) {
        case 0:
          pool.Kill(who);
          break;
        case 1:
          (random() % 2 == 0 ? front : leaf).proc().Flush();
          break;
        case 2:
          clients[who % kClients]->thread().Interrupt();
          break;
        default:
          pool.Interrupt(who);
          break;
      }
      std::this_thread::yield();
    }
  }
  int replies = 0;
  for (std::size_t c = 0; c < kClients; ++c) {
    EXPECT_EQ(answers[c].all(), calls[c]);
    replies += answers[c].replies;
  }
  EXPECT_LE(replies, seen.load());
  front.proc().Close();
  leaf.proc().Close();
  front_pool.Join();
  leaf_pool.Join();
  // The last one to leave may have been killed; then the reaper does it.
  while (!front.proc().released() || !leaf.proc().released()) {
    std::this_thread::yield();
  }
}

// Services that are closed or killed in the midst of calls.
//
// Rows: DT-13 DT-15 DT-04 CC-02 CC-13 DN-03
TYPED_TEST(ConcurrencyTest, ProcsComeAndGo) {
  using L = TypeParam;
  constexpr int kRounds = 100;
  Peer<L>& manager = this->OpenManager();
  std::vector<Peer<L>*> clients = {&this->Open(), &this->Open()};
  std::minstd_rand random(7);
  for (int round = 0; round < kRounds; ++round) {
    Peer<L>& service = this->Open();
    std::vector<std::uint32_t> handles;
    for (Peer<L>* client : clients) {
      handles.push_back(
          this->Give(manager, service, *client, this->kPtr, this->kCookie));
      client->Write(Commands().RequestDeath(handles.back(), 1));
    }
    std::atomic<int> served{0};
    typename TestFixture::Pool pool(service, 2, 0,
                                    [&served](const Received&) { ++served; });
    std::vector<Answers> answers(clients.size());
    {
      std::deque<std::jthread> runners;
      for (std::size_t c = 0; c < clients.size(); ++c) {
        clients[c]->proc().SetNonblocking(false);
        runners.emplace_back([&, c] {
          while (CallAndWait(clients[c]->thread(), handles[c], kJustReply,
                             answers[c]) == Br::BR_REPLY) {
          }
        });
      }
      const int enough = static_cast<int>(random() % 30);
      while (served.load() < enough) std::this_thread::yield();
      if (round % 2 == 0) {
        service.proc().Close();
      } else {
        service.proc().Kill();
      }
    }
    pool.Join();
    while (!service.proc().released()) std::this_thread::yield();
    for (std::size_t c = 0; c < clients.size(); ++c) {
      EXPECT_EQ(answers[c].dead, 1);
      EXPECT_EQ(answers[c].failed, 0);
      clients[c]->proc().SetNonblocking(true);
      EXPECT_EQ(Codes(clients[c]->ReadAll()), BrList{Br::BR_DEAD_BINDER});
      clients[c]->Write(Commands().DeadDone(1).Release(handles[c]));
    }
    EXPECT_EQ(this->Snapshot().live(core::ObjectKind::kDeath), 0u);
  }
}

// Rows: SG-23 SG-10
TYPED_TEST(ConcurrencyTest, ManyWaitersAreKilledUnderABusyWriter) {
  using L = TypeParam;
  constexpr int kDoomed = 12;
  constexpr int kCalls = 1500;
  auto [manager, service, client, handle] = this->Connected();
  service.proc().SetNonblocking(false);
  client.proc().SetNonblocking(false);
  std::deque<BasicThread<L>> doomed;
  std::deque<std::jthread> runners;
  for (int i = 0; i < kDoomed; ++i) {
    doomed.push_back(service.proc().Attach());
    runners.emplace_back([&thread = doomed.back()] {
      std::uint64_t unfreed = 0;
      EXPECT_EQ(Serve(thread, 0, unfreed, [](const Received&) {}),
                Errc::kKilled);
      EXPECT_EQ(thread.ThreadExit(), Errc::kOk);
    });
  }
  std::jthread survivor([&service = service] {
    std::uint64_t unfreed = 0;
    EXPECT_EQ(Serve(service.thread(), 0, unfreed, [](const Received&) {}),
              Errc::kClosed);
  });
  Answers answers;
  for (int i = 0; i < kCalls; ++i) {
    if (i == kCalls / 3) {
      for (BasicThread<L>& thread : doomed) thread.Kill();
    }
    CallAndWait(client.thread(), handle, kJustReply, answers);
  }
  runners.clear();
  EXPECT_EQ(answers.all(), kCalls);
  EXPECT_EQ(answers.failed, 0);
  EXPECT_LE(answers.dead, kDoomed);
  Answers last;
  EXPECT_EQ(CallAndWait(client.thread(), handle, kJustReply, last),
            Br::BR_REPLY);
  service.proc().Close();
}

// Rows: CC-12 AS-05
TYPED_TEST(ConcurrencyTest, OneWaysOfASenderKeepTheirOrder) {
  using L = TypeParam;
  constexpr std::uint32_t kSenders = 4;
  constexpr std::uint32_t kEach = 500;
  auto [manager, service, first, handle] = this->Connected();
  std::vector<Peer<L>*> senders = {&first};
  std::vector<std::uint32_t> handles = {handle};
  while (senders.size() < kSenders) {
    senders.push_back(&this->Open());
    handles.push_back(this->Give(manager, service, *senders.back(), this->kPtr,
                                 this->kCookie));
  }
  std::mutex mu;
  std::vector<std::vector<std::uint32_t>> order(kSenders);
  std::atomic<std::uint32_t> seen{0};
  // The code says who and which. Seen before the buffer is freed, hence before
  // the next one is let through.
  typename TestFixture::Pool pool(service, 3, 0, [&](const Received& r) {
    {
      const std::lock_guard lock(mu);
      order[r.tr.code / kEach].push_back(r.tr.code % kEach);
    }
    ++seen;
  });
  {
    std::deque<std::jthread> runners;
    for (std::uint32_t s = 0; s < kSenders; ++s) {
      runners.emplace_back([&, s] {
        for (std::uint32_t i = 0; i < kEach; ++i) {
          const Result result = RunWriteRead(
              senders[s]->thread(),
              Commands().OneWay(handles[s], {}, s * kEach + i), kReadSize);
          EXPECT_TRUE(result.Has(Br::BR_TRANSACTION_COMPLETE));
        }
      });
    }
  }
  while (seen.load() < kSenders * kEach) std::this_thread::yield();
  service.proc().Close();
  pool.Join();
  for (const std::vector<std::uint32_t>& numbers : order) {
    ASSERT_EQ(numbers.size(), kEach);
    EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end()));
  }
}

// The counters under everything that changes them: loopers that come when
// asked for, go to sleep and wake, a maximum that changes, and dumps.
//
// Rows: SG-15 SG-16 SG-17 LP-06
TYPED_TEST(ConcurrencyTest, CountersFitTogetherAtAnyTime) {
  using L = TypeParam;
  constexpr std::uint32_t kLow = 2;
  constexpr std::uint32_t kHigh = 5;
  constexpr int kCalls = 1500;
  Peer<L>& manager = this->OpenManager();
  Peer<L>& service = this->Open();
  std::vector<Peer<L>*> clients;
  std::vector<std::uint32_t> handles;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(&this->Open());
    handles.push_back(this->Give(manager, service, *clients.back(), this->kPtr,
                                 this->kCookie));
  }
  service.proc().SetNonblocking(false);
  std::mutex mu;
  std::deque<BasicThread<L>> threads;
  std::deque<std::jthread> loopers;
  std::atomic<int> registered{0};
  // Serves; starts another one for each BR_SPAWN_LOOPER.
  std::function<void(BasicThread<L>&, bool)> serve = [&](BasicThread<L>& thread,
                                                         bool main) {
    Commands commands;
    main ? commands.EnterLooper() : commands.RegisterLooper();
    for (;;) {
      const Result result = RunWriteRead(thread, commands, kReadSize);
      if (result.error != Errc::kOk) return;
      commands = Commands();
      for (const Received& r : result.received) {
        if (r.br == Br::BR_SPAWN_LOOPER) {
          const std::lock_guard lock(mu);
          ++registered;
          threads.push_back(service.proc().Attach());
          loopers.emplace_back(
              [&serve, &added = threads.back()] { serve(added, false); });
        }
        if (r.br == Br::BR_TRANSACTION) {
          commands.Free(r.tr.buffer).Reply();
        }
      }
    }
  };
  std::atomic<int> running{static_cast<int>(clients.size())};
  {
    std::deque<std::jthread> others;
    others.emplace_back([&] {
      BasicThread<L> setter = service.proc().Attach();
      while (running.load() > 0) {
        EXPECT_EQ(setter.SetMaxThreads(kLow), Errc::kOk);
        std::this_thread::yield();
        EXPECT_EQ(setter.SetMaxThreads(kHigh), Errc::kOk);
      }
    });
    others.emplace_back([&] {
      while (running.load() > 0) {
        const auto now = service.proc().state().counters.snapshot();
        EXPECT_TRUE(now.max == 0 || now.max == kLow || now.max == kHigh);
        EXPECT_LE(now.requested, 1u);
        EXPECT_LE(now.started + now.requested, kHigh);
        EXPECT_LE(now.ready, kHigh + 1);
        for (const debug::ProcSnapshot& proc : this->Snapshot().procs) {
          EXPECT_LE(proc.started + proc.requested, kHigh);
        }
      }
    });
    {
      const std::lock_guard lock(mu);
      loopers.emplace_back(
          [&serve, &service] { serve(service.thread(), true); });
    }
    for (std::size_t c = 0; c < clients.size(); ++c) {
      clients[c]->proc().SetNonblocking(false);
      others.emplace_back([&, c] {
        Answers answers;
        for (int i = 0; i < kCalls; ++i) {
          CallAndWait(clients[c]->thread(), handles[c], kJustReply, answers);
        }
        EXPECT_EQ(answers.replies, kCalls);
        --running;
      });
    }
  }
  service.proc().Close();
  for (std::size_t i = 0;; ++i) {
    std::jthread looper;
    {
      const std::lock_guard lock(mu);
      if (i >= loopers.size()) break;
      looper = std::move(loopers[i]);
    }
    looper.join();
  }
  const auto end = service.proc().state().counters.snapshot();
  EXPECT_EQ(end.ready, 0u);
  EXPECT_EQ(end.started + end.requested,
            static_cast<std::uint32_t>(registered.load()));
}

}  // namespace
}  // namespace binderlite::testing
