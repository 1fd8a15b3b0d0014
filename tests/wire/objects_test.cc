// SPDX-License-Identifier: Apache-2.0
//
// Embedded objects: tags, sizes, and that `T{}` leaves no byte undefined. Their
// layout against the kernel's own header is checked in tests/conformance/.

#include "binderlite/wire/objects.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <type_traits>

namespace binderlite {
namespace {

constexpr std::array kAllTypes = {
    ObjectType::kBinder,     ObjectType::kWeakBinder, ObjectType::kHandle,
    ObjectType::kWeakHandle, ObjectType::kFd,         ObjectType::kFdArray,
    ObjectType::kPtr,
};

TEST(ObjectTypeTest, TagsAreTheUapis) {
  EXPECT_EQ(static_cast<std::uint32_t>(ObjectType::kBinder), 0x73622a85u);
  EXPECT_EQ(static_cast<std::uint32_t>(ObjectType::kWeakBinder), 0x77622a85u);
  EXPECT_EQ(static_cast<std::uint32_t>(ObjectType::kHandle), 0x73682a85u);
  EXPECT_EQ(static_cast<std::uint32_t>(ObjectType::kWeakHandle), 0x77682a85u);
  EXPECT_EQ(static_cast<std::uint32_t>(ObjectType::kFd), 0x66642a85u);
  EXPECT_EQ(static_cast<std::uint32_t>(ObjectType::kFdArray), 0x66646185u);
  EXPECT_EQ(static_cast<std::uint32_t>(ObjectType::kPtr), 0x70742a85u);
}

TEST(ObjectSizeTest, KnownTypes) {
  EXPECT_EQ(ObjectSize(ObjectType::kBinder), 24u);
  EXPECT_EQ(ObjectSize(ObjectType::kWeakBinder), 24u);
  EXPECT_EQ(ObjectSize(ObjectType::kHandle), 24u);
  EXPECT_EQ(ObjectSize(ObjectType::kWeakHandle), 24u);
  EXPECT_EQ(ObjectSize(ObjectType::kFd), 24u);
  EXPECT_EQ(ObjectSize(ObjectType::kFdArray), 32u);
  EXPECT_EQ(ObjectSize(ObjectType::kPtr), 40u);
}

// Row: OB-41. A sender can put any word where a tag belongs.
TEST(ObjectSizeTest, UnknownTypesHaveNone) {
  EXPECT_EQ(ObjectSize(static_cast<ObjectType>(0)), 0u);
  EXPECT_EQ(ObjectSize(static_cast<ObjectType>(0xffffffff)), 0u);
  for (ObjectType type : kAllTypes) {
    for (int bit = 0; bit < 32; ++bit) {
      const auto flipped = static_cast<ObjectType>(
          static_cast<std::uint32_t>(type) ^ std::uint32_t{1} << bit);
      const bool known = std::find(kAllTypes.begin(), kAllTypes.end(),
                                   flipped) != kAllTypes.end();
      EXPECT_EQ(ObjectSize(flipped) != 0, known)
          << std::hex << static_cast<std::uint32_t>(flipped);
    }
  }
}

TEST(ObjectSizeTest, IsAConstant) {
  static_assert(ObjectSize(ObjectType::kPtr) == sizeof(BufferObject));
  static_assert(ObjectSize(static_cast<ObjectType>(1)) == 0);
}

template <typename T>
class ObjectTest : public testing::Test {};
using Objects =
    testing::Types<FlatObject, FdObject, BufferObject, FdArrayObject>;
TYPED_TEST_SUITE(ObjectTest, Objects);

TYPED_TEST(ObjectTest, CanBeCopiedBytewiseFromUnalignedMemory) {
  static_assert(std::is_trivial_v<TypeParam>);
  static_assert(std::is_standard_layout_v<TypeParam>);
  std::array<unsigned char, sizeof(TypeParam) + 1> bytes;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<unsigned char>(i + 1);
  }
  TypeParam object;
  std::memcpy(&object, bytes.data() + 1, sizeof(object));
  EXPECT_EQ(std::memcmp(&object, bytes.data() + 1, sizeof(object)), 0);
  std::uint32_t tag;
  std::memcpy(&tag, bytes.data() + 1, sizeof(tag));
  EXPECT_EQ(object.hdr.type, tag);
}

TYPED_TEST(ObjectTest, EmptyBracesAreAllZeros) {
  alignas(TypeParam) std::array<unsigned char, sizeof(TypeParam)> bytes;
  bytes.fill(0xff);
  auto* object = new (bytes.data()) TypeParam{};
  std::array<unsigned char, sizeof(TypeParam)> seen;
  std::memcpy(seen.data(), object, sizeof(*object));
  EXPECT_EQ(std::count(seen.begin(), seen.end(), 0),
            static_cast<std::ptrdiff_t>(sizeof(TypeParam)));
}

// Row: OB-01: the receiver of a handle sees zeros above it, which is so when
// the object starts out as zeros and only then gets its handle.
TEST(FlatObjectTest, HandleIsTheLowHalfOfBinder) {
  FlatObject object{};
  object.handle = 7;
  std::uint64_t wide;
  std::memcpy(&wide, &object.binder, sizeof(wide));
  if constexpr (std::endian::native == std::endian::little) {
    EXPECT_EQ(wide, 7u);
  } else {
    EXPECT_EQ(wide, std::uint64_t{7} << 32);
  }
}

}  // namespace
}  // namespace binderlite
