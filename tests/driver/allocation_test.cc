// SPDX-License-Identifier: Apache-2.0
//
// What calls cost, counted: heap allocations (none, once warm) and acquisitions
// of mutexes; and what happens without heap memory. An executable of its own,
// since it replaces operator new, which ThreadSanitizer has one of as well: it
// is not built there.

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <stop_token>
#include <thread>
#include <type_traits>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "binderlite/driver/driver.h"
#include "binderlite/sync/abseil_primitives.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/sync/stop.h"
#include "binderlite/wire/flags.h"
#include "support/driver_test.h"

namespace {

std::atomic<int> allocations{0};  // Of all threads.
// Of this thread: the Context's worker may be beginning meanwhile.
thread_local int acquisitions = 0;
// Of the thread that sets it.
thread_local bool memory_is_short = false;

void* Allocate(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return std::malloc(size == 0 ? 1 : size);
}
void* AllocateAligned(std::size_t size, std::size_t alignment) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return std::aligned_alloc(alignment,
                            (size + alignment - 1) / alignment * alignment);
}

}  // namespace

// Only what can say that it failed does fail.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return memory_is_short ? nullptr : Allocate(size);
}
void* operator new(std::size_t size) {
  void* const memory = Allocate(size);
  if (memory == nullptr) std::abort();
  return memory;
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  void* const memory =
      AllocateAligned(size, static_cast<std::size_t>(alignment));
  if (memory == nullptr) std::abort();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}

namespace binderlite::testing {
namespace {

class ABSL_LOCKABLE CountingMutex {
 public:
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() {
    ++acquisitions;
    mu_.Lock();
  }
  void Unlock() ABSL_UNLOCK_FUNCTION() { mu_.Unlock(); }
  void AssertHeld() const ABSL_ASSERT_EXCLUSIVE_LOCK() { mu_.AssertHeld(); }

 private:
  sync::AbseilMutex mu_;
};

class ABSL_LOCKABLE CountingStopMutex {
 public:
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() {
    ++acquisitions;
    mu_.Lock();
  }
  [[nodiscard]] bool Lock(const sync::StopSignals& signals)
      ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) {
    ++acquisitions;
    return mu_.Lock(signals);
  }
  [[nodiscard]] bool TryLock() ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) {
    return mu_.TryLock();
  }
  void Unlock() ABSL_UNLOCK_FUNCTION() { mu_.Unlock(); }
  void AssertHeld() const ABSL_ASSERT_EXCLUSIVE_LOCK() { mu_.AssertHeld(); }
  [[nodiscard]] int waiters() const { return mu_.waiters(); }
  [[nodiscard]] int deaf_waiters() const { return mu_.deaf_waiters(); }

 private:
  sync::AbseilStopMutex mu_;
};

struct CountingPrimitives : sync::AbseilPrimitives {
  using Mutex = CountingMutex;
  using StopMutex = CountingStopMutex;
};

using CountedDisciplines =
    ::testing::Types<FineGrained<CountingPrimitives>,
                     BinderLock<Relock::kAlways, CountingPrimitives>,
                     BinderLock<Relock::kUnlessKilled, CountingPrimitives>,
                     BinderLock<Relock::kInterruptible, CountingPrimitives>>;

template <class L>
class CostTest : public ::testing::Test {
 protected:
  CostTest()
      : server_proc_(context_.Open({.nonblocking = true})),
        client_proc_(context_.Open({.nonblocking = true})),
        server_(server_proc_.Attach()),
        client_(client_proc_.Attach()) {
    EXPECT_EQ(server_.SetContextMgr(), Errc::kOk);
    EXPECT_EQ(server_.EnterLooper(), Errc::kOk);
    EXPECT_EQ(client_.EnterLooper(), Errc::kOk);
  }

  // 100 bytes to handle 0.
  TransactionData Data(std::uint32_t flags = 0) {
    TransactionData data = {};
    data.flags = flags;
    data.data_size = sizeof(payload_);
    data.buffer = AddressOf(payload_);
    return data;
  }

  // What `self` reads next.
  static Incoming Next(BasicThread<L>& self, Br expected) {
    Incoming incoming;
    EXPECT_EQ(self.NextWork(incoming), Errc::kOk);
    EXPECT_EQ(incoming.command, expected);
    return incoming;
  }

  // A call, seen from both sides.
  void Call() {
    ASSERT_EQ(client_.Transact(Data()), Errc::kOk);
    const Incoming call = Next(server_, Br::BR_TRANSACTION);
    ASSERT_EQ(server_.FreeBuffer(call.transaction.buffer), Errc::kOk);
    ASSERT_EQ(server_.Reply(Data()), Errc::kOk);
    Next(server_, Br::BR_TRANSACTION_COMPLETE);
    Next(client_, Br::BR_TRANSACTION_COMPLETE);
    const Incoming reply = Next(client_, Br::BR_REPLY);
    ASSERT_EQ(client_.FreeBuffer(reply.transaction.buffer), Errc::kOk);
  }

  // The same in as few calls of the driver as it takes.
  void Exchange() {
    Incoming call;
    Incoming reply;
    const TransactionData data = Data();
    ASSERT_EQ(client_.Send({.free_buffer = unfreed_, .call = &data}),
              Errc::kOk);
    ASSERT_EQ(server_.NextWork(call), Errc::kOk);
    ASSERT_EQ(
        server_.Send({.free_buffer = call.transaction.buffer, .reply = &data}),
        Errc::kOk);
    reply = Next(client_, Br::BR_REPLY);
    unfreed_ = reply.transaction.buffer;
  }

  void OneWay() {
    ASSERT_EQ(client_.Transact(Data(kTfOneWay)), Errc::kOk);
    Next(client_, Br::BR_TRANSACTION_COMPLETE);
    const Incoming call = Next(server_, Br::BR_TRANSACTION);
    ASSERT_EQ(server_.FreeBuffer(call.transaction.buffer), Errc::kOk);
  }

  // A number of mutexes, by what the discipline has.
  struct Mutexes {
    int fine_grained;
    int binder_lock;
    int binder_lock_and_counters;
  };
  static int Expected(const Mutexes& mutexes) {
    if (!L::kHasBinderLock) return mutexes.fine_grained;
    return std::is_same_v<typename L::CountersMutex, sync::NoMutex>
               ? mutexes.binder_lock
               : mutexes.binder_lock_and_counters;
  }

  // How much `counter` grows in `rounds` rounds, when warm.
  template <class Counter, class F>
  static int Count(const Counter& counter, int rounds, F round) {
    for (int i = 0; i < 20; ++i) round();
    const int before = counter;
    for (int i = 0; i < rounds; ++i) round();
    return counter - before;
  }

  BasicContext<L> context_;
  BasicProc<L> server_proc_;
  BasicProc<L> client_proc_;
  BasicThread<L> server_;
  BasicThread<L> client_;
  std::byte payload_[100] = {};
  std::uint64_t unfreed_ = 0;
};
TYPED_TEST_SUITE(CostTest, CountedDisciplines, DisciplineNames);

TYPED_TEST(CostTest, AWarmCallAllocatesNothing) {
  EXPECT_EQ(this->Count(allocations, 100, [this] { this->Call(); }), 0);
}

TYPED_TEST(CostTest, AWarmOneWayAllocatesNothing) {
  EXPECT_EQ(this->Count(allocations, 100, [this] { this->OneWay(); }), 0);
}

TYPED_TEST(CostTest, WarmOneWaysThatWaitAllocateNothing) {
  EXPECT_EQ(this->Count(
                allocations, 100,
                [this] {
                  for (int i = 0; i < 6; ++i) {
                    ASSERT_EQ(this->client_.Transact(this->Data(kTfOneWay)),
                              Errc::kOk);
                    this->Next(this->client_, Br::BR_TRANSACTION_COMPLETE);
                  }
                  for (int i = 0; i < 6; ++i) {
                    const Incoming call =
                        this->Next(this->server_, Br::BR_TRANSACTION);
                    ASSERT_EQ(this->server_.FreeBuffer(call.transaction.buffer),
                              Errc::kOk);
                  }
                }),
            0);
}

TYPED_TEST(CostTest, AWarmCallThatIsWaitedForAllocatesNothing) {
  this->server_proc_.SetNonblocking(false);
  this->client_proc_.SetNonblocking(false);
  std::jthread server([this](const std::stop_token& stop) {
    Incoming work;
    while (this->server_.NextWork(work, stop) == Errc::kOk) {
      if (work.command != Br::BR_TRANSACTION) continue;
      EXPECT_EQ(this->server_.FreeBuffer(work.transaction.buffer), Errc::kOk);
      EXPECT_EQ(this->server_.Reply(this->Data()), Errc::kOk);
    }
  });
  EXPECT_EQ(this->Count(
                allocations, 100,
                [this] {
                  ASSERT_EQ(this->client_.Transact(this->Data()), Errc::kOk);
                  this->Next(this->client_, Br::BR_TRANSACTION_COMPLETE);
                  const Incoming reply =
                      this->Next(this->client_, Br::BR_REPLY);
                  ASSERT_EQ(this->client_.FreeBuffer(reply.transaction.buffer),
                            Errc::kOk);
                }),
            0);
}

TYPED_TEST(CostTest, AWarmExchangeAllocatesNothing) {
  EXPECT_EQ(this->Count(allocations, 100, [this] { this->Exchange(); }), 0);
}

// Frees the buffer and replies.
template <class L>
class Replying : public CallHandler<L> {
 public:
  void OnCall(BasicThread<L>& self, const Incoming& call,
              const ServedHere& /*here*/) override {
    ++calls;
    const TransactionData reply = {};
    EXPECT_EQ(
        self.Send({.free_buffer = call.transaction.buffer, .reply = &reply}),
        Errc::kOk);
  }
  int calls = 0;
};

TYPED_TEST(CostTest, AWarmCallThatIsServedHereAllocatesNothing) {
  const auto shared = std::make_shared<Replying<TypeParam>>();
  Replying<TypeParam>& handler = *shared;
  this->server_proc_.SetCallHandler(shared);
  this->client_proc_.SetCallHandler(shared);
  this->server_proc_.RunOnCallers(0);
  this->server_proc_.SetNonblocking(false);
  std::jthread looper([this](const std::stop_token& stop) {
    Incoming work;
    while (this->server_.NextWork(work, stop) == Errc::kOk) {
      if (work.command != Br::BR_TRANSACTION) continue;
      (void)this->server_.FreeBuffer(work.transaction.buffer);
      (void)this->server_.Reply({});
    }
  });
  const auto call = [this] {
    const TransactionData data = this->Data();
    ASSERT_EQ(this->client_.Send({.call = &data}), Errc::kOk);
    // From the looper, if it has not been waiting yet.
    Incoming reply;
    while (this->client_.NextWork(reply) != Errc::kOk) {
      std::this_thread::yield();
    }
    ASSERT_EQ(this->client_.FreeBuffer(reply.transaction.buffer), Errc::kOk);
  };
  while (handler.calls == 0) call();
  const int before = handler.calls;
  EXPECT_EQ(this->Count(allocations, 100, call), 0);
  EXPECT_EQ(handler.calls, before + 120);
  const int mutexes = this->Count(acquisitions, 1, call);
  EXPECT_EQ(mutexes, (this->Expected({14, 14, 18}))) << TypeParam::kName;
}

// The numbers of docs/architecture.md.
TYPED_TEST(CostTest, MutexesOfAWarmExchange) {
  const int count = this->Count(acquisitions, 1, [this] { this->Exchange(); });
  EXPECT_EQ(count, (this->Expected({15, 10, 12}))) << TypeParam::kName;
}

TYPED_TEST(CostTest, MutexesOfAWarmCall) {
  const int count = this->Count(acquisitions, 1, [this] { this->Call(); });
  // The patch has a lock around the counters; those that have a binder lock
  // take it once a driver call.
  EXPECT_EQ(count, (this->Expected({18, 14, 18}))) << TypeParam::kName;
}

template <class L>
class AllocationTest : public DriverTest<L> {};
TYPED_TEST_SUITE(AllocationTest, CountedDisciplines, DisciplineNames);

// Rows: DN-21
TYPED_TEST(AllocationTest, ADeathNotificationThatThereIsNoMemoryFor) {
  auto [manager, service, client, handle] = this->Connected();
  Commands commands;
  commands.RequestDeath(handle, 9);
  const std::size_t one = commands.bytes().size();
  commands.Acquire(handle);

  memory_is_short = true;
  const Result result = client.Do(commands);
  memory_is_short = false;
  EXPECT_EQ(result.error, Errc::kOk);
  EXPECT_EQ(result.write_consumed, one) << "went on writing";
  EXPECT_TRUE(result.Has(Br::BR_ERROR));

  // Nothing is registered, and the next try succeeds.
  client.Write(Commands().RequestDeath(handle, 10));
  service.proc().Close();
  EXPECT_EQ(client.Read().Get(Br::BR_DEAD_BINDER).cookie, 10u);
}

}  // namespace
}  // namespace binderlite::testing
