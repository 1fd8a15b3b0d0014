// SPDX-License-Identifier: Apache-2.0
//
// SafeUserMemory, both ways of copying: every address that cannot be used is a
// fault, also when it only becomes one while the copy is in progress.

#include "binderlite/memory/safe_user_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

namespace binderlite::testing {
namespace {

using memory::SafeUserMemory;

constexpr std::size_t kPage = 4096;

std::uint64_t AddressOf(const void* p) {
  return reinterpret_cast<std::uint64_t>(p);
}

// Pages of memory with a protection; unmapped at the end.
class Pages {
 public:
  Pages(std::size_t count, int protection)
      : size_(count * kPage),
        data_(static_cast<char*>(::mmap(nullptr, size_, protection,
                                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {}
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  ~Pages() { ::munmap(data_, size_); }

  [[nodiscard]] char* data() const { return data_; }
  // Takes everything from the page on away.
  void Cut(std::size_t page) {
    ::munmap(data_ + page * kPage, size_ - page * kPage);
  }
  void Protect(std::size_t page, int protection) {
    ::mprotect(data_ + page * kPage, kPage, protection);
  }

 private:
  std::size_t size_;
  char* data_;
};

class SafeUserMemoryTest
    : public ::testing::TestWithParam<SafeUserMemory::Method> {
 protected:
  SafeUserMemory memory_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(BothWays, SafeUserMemoryTest,
                         ::testing::Values(SafeUserMemory::Method::kAutomatic,
                                           SafeUserMemory::Method::kPipe),
                         [](const auto& which) {
                           return which.param == SafeUserMemory::Method::kPipe
                                      ? "Pipe"
                                      : "Automatic";
                         });

TEST_P(SafeUserMemoryTest, CopiesAnySize) {
  for (const std::size_t size : {std::size_t{1}, std::size_t{8}, kPage - 1,
                                 kPage, kPage + 1, std::size_t{1} << 20}) {
    std::vector<std::uint8_t> from(size);
    std::iota(from.begin(), from.end(), std::uint8_t{1});
    std::vector<std::uint8_t> to(size);
    EXPECT_TRUE(memory_.CopyIn(to.data(), AddressOf(from.data()), size));
    EXPECT_EQ(to, from);
    to.assign(size, 0);
    EXPECT_TRUE(memory_.CopyOut(AddressOf(to.data()), from.data(), size));
    EXPECT_EQ(to, from);
  }
}

TEST_P(SafeUserMemoryTest, NothingIsNeverAFault) {
  EXPECT_TRUE(memory_.CopyIn(nullptr, 0, 0));
  EXPECT_TRUE(memory_.CopyOut(0, nullptr, 0));
}

TEST_P(SafeUserMemoryTest, WildAddressesFault) {
  Pages gone(1, PROT_READ | PROT_WRITE);
  gone.Cut(0);
  std::uint64_t value = 7;
  for (const std::uint64_t address :
       {std::uint64_t{0}, std::uint64_t{1}, AddressOf(gone.data()),
        std::uint64_t{0xdeadbeefdeadbeef}, std::uint64_t{1} << 47,
        std::numeric_limits<std::uint64_t>::max(),
        std::numeric_limits<std::uint64_t>::max() - 7}) {
    EXPECT_FALSE(memory_.CopyIn(&value, address, sizeof(value))) << address;
    EXPECT_FALSE(memory_.CopyOut(address, &value, sizeof(value))) << address;
  }
}

TEST_P(SafeUserMemoryTest, ProtectionCounts) {
  const Pages read_only(1, PROT_READ);
  const Pages none(1, PROT_NONE);
  std::uint64_t value = 7;
  EXPECT_TRUE(memory_.CopyIn(&value, AddressOf(read_only.data()), 8));
  EXPECT_EQ(value, 0u);
  EXPECT_FALSE(memory_.CopyOut(AddressOf(read_only.data()), &value, 8));
  EXPECT_FALSE(memory_.CopyIn(&value, AddressOf(none.data()), 8));
  EXPECT_FALSE(memory_.CopyOut(AddressOf(none.data()), &value, 8));
}

TEST_P(SafeUserMemoryTest, OneBadByteIsAFault) {
  Pages pages(3, PROT_READ | PROT_WRITE);
  pages.Protect(2, PROT_NONE);
  std::vector<char> local(3 * kPage);
  const std::uint64_t base = AddressOf(pages.data());
  EXPECT_TRUE(memory_.CopyIn(local.data(), base, 2 * kPage));
  EXPECT_TRUE(memory_.CopyOut(base, local.data(), 2 * kPage));
  EXPECT_FALSE(memory_.CopyIn(local.data(), base, 2 * kPage + 1));
  EXPECT_FALSE(memory_.CopyOut(base, local.data(), 2 * kPage + 1));
  EXPECT_FALSE(memory_.CopyIn(local.data(), base + 2 * kPage - 4, 8));
  EXPECT_FALSE(memory_.CopyOut(base + 2 * kPage - 4, local.data(), 8));
}

// Memory that comes and goes under a copy gives a fault or the bytes.
TEST_P(SafeUserMemoryTest, SurvivesMemoryThatIsUnmappedMeanwhile) {
  Pages pages(16, PROT_READ | PROT_WRITE);
  std::atomic<bool> done{false};
  std::thread toggling([&] {
    for (int i = 0; i < 500; ++i) {
      ::mmap(pages.data(), 16 * kPage, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
      ::mmap(pages.data(), 16 * kPage, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    }
    done.store(true);
  });
  std::vector<char> local(16 * kPage);
  while (!done.load()) {
    (void)memory_.CopyIn(local.data(), AddressOf(pages.data()), local.size());
    (void)memory_.CopyOut(AddressOf(pages.data()), local.data(), local.size());
  }
  toggling.join();
  EXPECT_TRUE(memory_.CopyOut(AddressOf(pages.data()), local.data(), 1));
}

}  // namespace
}  // namespace binderlite::testing
