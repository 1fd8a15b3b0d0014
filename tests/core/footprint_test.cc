// SPDX-License-Identifier: Apache-2.0
//
// Spot: what is expected, and what is not; and that fetching memory does
// nothing to it, nor to anybody where there is none.

#include "binderlite/core/footprint.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>

namespace binderlite::core {
namespace {

std::uintptr_t AddressOf(const void* place) {
  return reinterpret_cast<std::uintptr_t>(place);
}

TEST(SpotTest, IsExpectedWhenItCameTwiceInARow) {
  const std::array<std::uint64_t, 2> places = {};
  Spot spot;
  EXPECT_FALSE(spot.expected());
  spot.See(&places[0]);
  EXPECT_FALSE(spot.expected());
  EXPECT_EQ(spot.address(), AddressOf(&places[0]));
  for (int i = 0; i < 3; ++i) {
    spot.See(&places[0]);
    EXPECT_TRUE(spot.expected());
    EXPECT_EQ(spot.address(), AddressOf(&places[0]));
  }
  spot.See(&places[1]);
  EXPECT_FALSE(spot.expected());
  EXPECT_EQ(spot.address(), AddressOf(&places[1]));
  spot.See(&places[0]);  // Every other time is not in a row.
  EXPECT_FALSE(spot.expected());
  spot.See(&places[0]);
  EXPECT_TRUE(spot.expected());
}

TEST(SpotTest, FetchesMemoryThatIsGone) {
  Spot spot;
  spot.Fetch(3);  // Nothing is expected yet.
  {
    const auto gone = std::make_unique<std::array<std::byte, 256>>();
    spot.See(gone.get());
    spot.See(gone.get());
    spot.Fetch(4);
  }
  EXPECT_TRUE(spot.expected());
  spot.Fetch(4);
}

TEST(FetchToWriteTest, ChangesNothing) {
  std::array<unsigned char, 1024> bytes = {};
  std::iota(bytes.begin(), bytes.end(), static_cast<unsigned char>(1));
  const auto before = bytes;
  FetchToWrite(bytes.data(), bytes.size() / kCacheLine);
  EXPECT_EQ(bytes, before);
}

// As a prefetch may do: neither has to be there.
TEST(FetchToWriteTest, TakesAnyAddress) {
  constexpr std::size_t kBytes = 4096;
  FetchToWrite(nullptr, 2);
  FetchToWrite(reinterpret_cast<const void*>(~std::uintptr_t{0}), 2);
  for (const int protection : {PROT_NONE, PROT_READ}) {
    void* const page =
        ::mmap(nullptr, kBytes, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(page, MAP_FAILED);
    FetchToWrite(page, kBytes / kCacheLine + 1);
    EXPECT_EQ(::munmap(page, kBytes), 0);
    FetchToWrite(page, 1);
  }
}

}  // namespace
}  // namespace binderlite::core
