// SPDX-License-Identifier: Apache-2.0
//
// Heap memory: what happens without it. An executable of its own, since it
// replaces operator new.

#include <cstddef>
#include <cstdlib>
#include <new>

#include "support/driver_test.h"

namespace {

// Of the thread that sets them.
thread_local bool memory_is_short = false;

void* Allocate(std::size_t size) { return std::malloc(size == 0 ? 1 : size); }

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
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}

namespace binderlite::testing {
namespace {

template <class L>
class AllocationTest : public DriverTest<L> {};
BINDERLITE_FOR_ALL_DISCIPLINES(AllocationTest);

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
