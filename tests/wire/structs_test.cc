// SPDX-License-Identifier: Apache-2.0
//
// Arguments and payloads: sizes, and that `T{}` leaves no byte undefined. Their
// layout against the kernel's own header is checked in tests/conformance/.

#include "binderlite/wire/structs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <type_traits>

namespace binderlite {
namespace {

TEST(StructsTest, SizesAreThoseOfThe64BitAbi) {
  EXPECT_EQ(sizeof(TransactionData), 64u);
  EXPECT_EQ(sizeof(TransactionDataSecctx), 72u);
  EXPECT_EQ(sizeof(TransactionDataSg), 72u);
  EXPECT_EQ(sizeof(PtrCookie), 16u);
  EXPECT_EQ(sizeof(HandleCookie), 12u);
  EXPECT_EQ(sizeof(PriDesc), 8u);
  EXPECT_EQ(sizeof(PriPtrCookie), 24u);
  EXPECT_EQ(sizeof(FrozenStateInfo), 16u);
  EXPECT_EQ(sizeof(WriteRead), 48u);
  EXPECT_EQ(sizeof(Version), 4u);
  EXPECT_EQ(sizeof(NodeDebugInfo), 24u);
  EXPECT_EQ(sizeof(NodeInfoForRef), 24u);
  EXPECT_EQ(sizeof(FreezeInfo), 12u);
  EXPECT_EQ(sizeof(FrozenStatusInfo), 12u);
  EXPECT_EQ(sizeof(ExtendedError), 12u);
}

// Row: IO-02, the number that the driver answers with.
TEST(StructsTest, ProtocolVersionIsThatOfThe64BitAbi) {
  EXPECT_EQ(kProtocolVersion, 8);
}

template <typename T>
class StructTest : public testing::Test {};
using Structs =
    testing::Types<TransactionData, TransactionDataSecctx, TransactionDataSg,
                   PtrCookie, HandleCookie, PriDesc, FrozenStateInfo, WriteRead,
                   Version, NodeDebugInfo, NodeInfoForRef, FreezeInfo,
                   FrozenStatusInfo, ExtendedError>;
TYPED_TEST_SUITE(StructTest, Structs);

TYPED_TEST(StructTest, IsTrivial) {
  static_assert(std::is_trivial_v<TypeParam>);
  static_assert(std::is_standard_layout_v<TypeParam>);
}

// A byte left undefined would leak what the memory held before to a peer.
TYPED_TEST(StructTest, EmptyBracesAreAllZeros) {
  alignas(TypeParam) std::array<unsigned char, sizeof(TypeParam)> bytes;
  bytes.fill(0xff);
  auto* value = new (bytes.data()) TypeParam{};
  std::array<unsigned char, sizeof(TypeParam)> seen;
  std::memcpy(seen.data(), value, sizeof(*value));
  EXPECT_EQ(std::count(seen.begin(), seen.end(), 0),
            static_cast<std::ptrdiff_t>(sizeof(TypeParam)));
}

TEST(HandleCookieTest, IsPackedSoItFollowsItsCommandWithoutAGap) {
  static_assert(alignof(HandleCookie) == 1);
  std::array<unsigned char, 13> bytes{};
  const HandleCookie out{.handle = 0x01020304, .cookie = 0x1122334455667788};
  std::memcpy(bytes.data() + 1, &out, sizeof(out));
  std::uint64_t cookie;
  std::memcpy(&cookie, bytes.data() + 1 + 4, sizeof(cookie));
  EXPECT_EQ(cookie, 0x1122334455667788u);
}

TEST(TransactionDataTest, TargetIsOneWord) {
  TransactionData data{};
  data.target.handle = 5;
  std::uint32_t first;
  std::memcpy(&first, &data, sizeof(first));
  EXPECT_EQ(first, 5u);
}

}  // namespace
}  // namespace binderlite
