// SPDX-License-Identifier: Apache-2.0
//
// ThreadCounters: when a thread is asked for, that changes are seen as a whole,
// and that the driver holds no lock of theirs for long.

#include "binderlite/core/counters.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "binderlite/memory/user_memory.h"
#include "support/driver_test.h"

namespace binderlite::testing {
namespace {

template <class L>
class ThreadCountersTest : public ::testing::Test {
 protected:
  void Expect(std::uint32_t requested, std::uint32_t started,
              std::uint32_t ready) const {
    const auto now = counters_.snapshot();
    EXPECT_EQ(now.requested, requested);
    EXPECT_EQ(now.started, started);
    EXPECT_EQ(now.ready, ready);
  }

  core::ThreadCounters<L> counters_;
};
BINDERLITE_FOR_ALL_DISCIPLINES(ThreadCountersTest);

TYPED_TEST(ThreadCountersTest, NoThreadIsAskedForByDefault) {
  this->Expect(0, 0, 0);
  EXPECT_EQ(this->counters_.snapshot().max, 0u);
  EXPECT_FALSE(this->counters_.RequestThread());
  EXPECT_FALSE(this->counters_.RegisterThread());
  this->Expect(0, 0, 0);
}

TYPED_TEST(ThreadCountersTest, OneRequestAtATimeUpToTheMaximum) {
  auto& counters = this->counters_;
  counters.SetMax(2);
  for (std::uint32_t started = 0; started < 2; ++started) {
    EXPECT_TRUE(counters.RequestThread());
    this->Expect(1, started, 0);
    EXPECT_FALSE(counters.RequestThread());
    EXPECT_TRUE(counters.RegisterThread());
    this->Expect(0, started + 1, 0);
    EXPECT_FALSE(counters.RegisterThread());
  }
  EXPECT_FALSE(counters.RequestThread());
  counters.SetMax(1);
  EXPECT_FALSE(counters.RequestThread());
  counters.SetMax(3);
  EXPECT_TRUE(counters.RequestThread());
}

TYPED_TEST(ThreadCountersTest, NobodyIsAskedForWhileSomebodyWaits) {
  auto& counters = this->counters_;
  counters.SetMax(1);
  counters.AddReady();
  counters.AddReady();
  this->Expect(0, 0, 2);
  EXPECT_FALSE(counters.RequestThread());
  counters.RemoveReady();
  EXPECT_FALSE(counters.RequestThread());
  counters.RemoveReady();
  EXPECT_TRUE(counters.RequestThread());
}

TYPED_TEST(ThreadCountersTest, CountersDoNotRunIntoEachOther) {
  constexpr std::uint32_t kMany = 1000;
  auto& counters = this->counters_;
  counters.SetMax(0xffffffff);
  EXPECT_EQ(counters.snapshot().max, 0xffffffffu);
  for (std::uint32_t i = 0; i < kMany; ++i) {
    EXPECT_TRUE(counters.RequestThread());
    EXPECT_TRUE(counters.RegisterThread());
  }
  EXPECT_TRUE(counters.RequestThread());
  for (std::uint32_t i = 0; i < kMany; ++i) counters.AddReady();
  this->Expect(1, kMany, kMany);
  for (std::uint32_t i = 0; i < kMany; ++i) counters.RemoveReady();
  this->Expect(1, kMany, 0);
}

// Rows: SG-15 SG-17
TYPED_TEST(ThreadCountersTest, FourThreadsChangeThemAndEveryDumpFits) {
  constexpr std::uint32_t kThreads = 4;
  constexpr int kDumps = 200000;
  auto& counters = this->counters_;
  counters.SetMax(0xffffffff);
  std::atomic<bool> done{false};
  std::atomic<std::uint32_t> begun{0};
  std::atomic<std::uint32_t> requests{0};
  std::vector<std::jthread> threads;
  for (std::uint32_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      ++begun;
      for (std::uint32_t round = 1; !done; ++round) {
        // Not often: while somebody is ready, nobody is asked for.
        if (round % 64 == 0) {
          counters.AddReady();
          counters.RemoveReady();
        }
        if (counters.RequestThread()) ++requests;
        (void)counters.RegisterThread();
      }
    });
  }
  while (begun < kThreads) std::this_thread::yield();
  for (int i = 0; i < kDumps || requests < kDumps; ++i) {
    // A request becomes a started thread in one step: at no time is it neither.
    const std::uint32_t made = requests;
    const auto now = counters.snapshot();
    EXPECT_GE(now.requested + now.started, made);
    EXPECT_LE(now.requested, 1u);
    EXPECT_LE(now.ready, kThreads);
    if (this->HasFailure()) break;
    // Where there is one core only, the others go on from here.
    if (i % 8192 == 0) std::this_thread::yield();
  }
  done = true;
  threads.clear();
  const auto last = counters.snapshot();
  EXPECT_EQ(last.ready, 0u);
  EXPECT_EQ(last.requested + last.started, requests);
}

// Rows: SG-16
TYPED_TEST(ThreadCountersTest, MaximumMayChangeAtAnyTime) {
  constexpr std::uint32_t kLarge = 0xfffe0001;
  constexpr int kRounds = 20000;
  auto& counters = this->counters_;
  std::atomic<bool> done{false};
  std::atomic<std::uint32_t> requests{0};
  std::jthread setter([&] {
    for (int i = 0; i < kRounds; ++i) {
      counters.SetMax(0);
      counters.SetMax(kLarge);
    }
    counters.SetMax(0);
    done = true;
  });
  std::jthread reader([&] {
    while (!done) {
      if (counters.RequestThread()) ++requests;
      (void)counters.RegisterThread();
    }
  });
  while (!done) {
    const std::uint32_t max = counters.snapshot().max;
    ASSERT_TRUE(max == 0 || max == kLarge) << max;
  }
  setter.join();
  reader.join();
  const auto last = counters.snapshot();
  EXPECT_EQ(last.max, 0u);
  EXPECT_EQ(last.requested + last.started, requests);
  EXPECT_FALSE(counters.RequestThread());
}

// --- In the driver ---------------------------------------------------------

template <class L>
class DriverCountersTest : public DriverTest<L> {
 protected:
  static core::ThreadCounters<L>& CountersOf(Peer<L>& peer) {
    return peer.proc().state().counters;
  }
};
BINDERLITE_FOR_ALL_DISCIPLINES(DriverCountersTest);

// User memory that looks at the counters whenever it is written, and refuses
// to take BR_SPAWN_LOOPER.
class LookingMemory : public UserMemory {
 public:
  explicit LookingMemory(std::function<void()> look) : look_(std::move(look)) {}

  bool CopyIn(void* to, std::uint64_t from, std::size_t size) override {
    look_();
    std::memcpy(to, reinterpret_cast<const void*>(from), size);
    return true;
  }
  bool CopyOut(std::uint64_t to, const void* from, std::size_t size) override {
    look_();
    std::uint32_t code = 0;
    if (size == sizeof(code)) std::memcpy(&code, from, size);
    if (code == static_cast<std::uint32_t>(Br::BR_SPAWN_LOOPER)) {
      ++refused;
      return false;
    }
    std::memcpy(reinterpret_cast<void*>(to), from, size);
    return true;
  }

  int refused = 0;

 private:
  std::function<void()> look_;
};

// A lock of the counters that was held across user memory would be locked twice
// by one thread here.
// Rows: SG-15 LP-16
TYPED_TEST(DriverCountersTest, NoLockOfTheirsIsHeldAcrossUserMemory) {
  core::ThreadCounters<TypeParam>* counters = nullptr;
  LookingMemory memory([&counters] {
    if (counters != nullptr) counters->SetMax(counters->snapshot().max);
  });
  Peer<TypeParam>& looper = this->Open({.memory = &memory});
  counters = &this->CountersOf(looper);
  ASSERT_EQ(looper.thread().SetMaxThreads(1), Errc::kOk);
  Actor fresh = looper.Fresh();  // Its first read returns at once.
  const Result result = fresh.Do(Commands().EnterLooper());
  EXPECT_EQ(result.error, Errc::kFault);
  EXPECT_EQ(memory.refused, 1);
  // The request stays made, and everything goes on.
  EXPECT_EQ(counters->snapshot().requested, 1u);
  looper.Write(Commands().RegisterLooper());
  EXPECT_EQ(counters->snapshot().requested, 0u);
  EXPECT_EQ(counters->snapshot().started, 1u);
  this->Close(looper);  // Before its memory goes.
}

// Rows: SG-15
TYPED_TEST(DriverCountersTest, NoLockOfTheirsIsHeldByAWaitingThread) {
  Peer<TypeParam>& peer = this->Open();
  Actor other = peer.Spawn();
  auto waiting = this->Block(peer, other);
  EXPECT_EQ(this->CountersOf(peer).snapshot().ready, 1u);
  this->CountersOf(peer).SetMax(7);
  EXPECT_EQ(peer.thread().SetMaxThreads(8), Errc::kOk);
  EXPECT_EQ(this->SnapshotOf(peer).max_threads, 8u);
  peer.proc().Flush();
  EXPECT_EQ(waiting->Join().codes(), (std::vector<Br>{Br::BR_NOOP}));
  EXPECT_EQ(this->CountersOf(peer).snapshot().ready, 0u);
}

// Rows: SG-16 SG-17
TYPED_TEST(DriverCountersTest, ThreadsAreAskedForWhileTheMaximumChanges) {
  constexpr std::uint32_t kMax = 3;
  constexpr int kRounds = 500;
  Peer<TypeParam>& peer = this->Open();
  Actor setter = peer.Spawn();
  peer.Write(Commands().EnterLooper());
  std::vector<Actor<TypeParam>> spawned;
  std::atomic<int> running{2};
  std::jthread sets([&] {
    for (int i = 0; i < kRounds; ++i) {
      EXPECT_EQ(setter.thread().SetMaxThreads(i % 2 == 0 ? kMax : 0),
                Errc::kOk);
    }
    --running;
  });
  std::jthread reads([&] {
    for (int i = 0; i < kRounds; ++i) {
      peer.proc().Flush();  // Lets a read succeed without work.
      const Result read = RunWriteRead(peer.thread(), {}, kReadSize);
      EXPECT_EQ(read.error, Errc::kOk);
      if (!read.Has(Br::BR_SPAWN_LOOPER)) continue;
      spawned.push_back(peer.Spawn());
      const Result joined =
          RunWriteRead(spawned.back().thread(), Commands().RegisterLooper(), 0);
      EXPECT_EQ(joined.error, Errc::kOk);
    }
    --running;
  });
  std::uint32_t sum = 0;
  while (running != 0) {
    const debug::ProcSnapshot dump = this->SnapshotOf(peer);
    ASSERT_TRUE(dump.max_threads == 0 || dump.max_threads == kMax);
    ASSERT_LE(dump.requested, 1u);
    ASSERT_GE(dump.requested + dump.started, sum);
    sum = dump.requested + dump.started;
    ASSERT_LE(sum, kMax);
    ASSERT_EQ(dump.ready, 0u);
  }
  sets.join();
  reads.join();
  const debug::ProcSnapshot last = this->SnapshotOf(peer);
  EXPECT_EQ(last.requested, 0u);
  EXPECT_EQ(last.started, spawned.size());
  std::uint32_t registered = 0;
  for (const debug::ThreadSnapshot& thread : last.threads) {
    if ((thread.looper & core::kLooperRegistered) != 0) ++registered;
    EXPECT_EQ(thread.looper & core::kLooperInvalid, 0u);
  }
  EXPECT_EQ(registered, last.started);
}

}  // namespace
}  // namespace binderlite::testing
