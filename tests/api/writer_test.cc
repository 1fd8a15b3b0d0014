// SPDX-License-Identifier: Apache-2.0
//
// Writer: where bytes go, what happens when there is no room, failing.

#include "binderlite/api/writer.h"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "support/payloads.h"

namespace binderlite {
namespace {

using testing::FakeObjects;

std::vector<int> Values(const std::vector<std::byte>& bytes) {
  std::vector<int> values;
  for (const std::byte byte : bytes)
    values.push_back(std::to_integer<int>(byte));
  return values;
}

TEST(WriterTest, AlignsAndZeroesPadding) {
  std::vector<std::byte> room(24, std::byte{0xee});
  Writer writer(room);
  writer.Number(std::uint8_t{1});
  writer.Number(std::uint16_t{2});
  writer.Number(std::uint8_t{3});
  writer.Number(std::uint64_t{4});
  writer.Number(std::uint8_t{5});
  EXPECT_EQ(writer.size(), 17u);
  EXPECT_TRUE(writer.fits());
  EXPECT_EQ(Values(room),
            (std::vector<int>{1, 0,    2,    0,    3,    0,    0,    0,
                              4, 0,    0,    0,    0,    0,    0,    0,
                              5, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee}));
}

TEST(WriterTest, CountsWhereThereIsNoRoom) {
  std::vector<std::byte> room(7, std::byte{0xee});
  Writer writer(room);
  writer.Number(std::uint32_t{1});
  EXPECT_TRUE(writer.fits());
  writer.Number(std::uint32_t{2});
  EXPECT_FALSE(writer.fits());
  EXPECT_FALSE(writer.failed());
  // Not even what would fit is written now: the bytes before it are missing.
  writer.Bytes("x", 1, 1);
  EXPECT_EQ(writer.Append(0, 1), nullptr);
  EXPECT_EQ(writer.size(), 9u);
  EXPECT_EQ(Values(room), (std::vector<int>{1, 0, 0, 0, 0xee, 0xee, 0xee}));
}

TEST(WriterTest, EmptyRanges) {
  Writer writer({});
  writer.Bytes(nullptr, 0, 1);
  EXPECT_TRUE(writer.fits());
  EXPECT_EQ(writer.size(), 0u);
}

TEST(WriterTest, LargeBlocks) {
  const std::vector<std::byte> block(100000, std::byte{7});
  std::vector<std::byte> room(block.size());
  Writer writer(room);
  writer.Bytes(block.data(), block.size(), 8);
  EXPECT_TRUE(writer.fits());
  EXPECT_EQ(room, block);
}

TEST(WriterTest, FailingIsSticky) {
  std::vector<std::byte> room(16, std::byte{0xee});
  Writer writer(room);
  writer.Fail("first");
  writer.Fail("second");
  writer.Number(1);
  EXPECT_TRUE(writer.failed());
  EXPECT_STREQ(writer.why(), "first");
  EXPECT_FALSE(writer.fits());
  EXPECT_EQ(room[0], std::byte{0xee});
}

TEST(WriterTest, RefusesWhatIsTooLarge) {
  Writer lengths({});
  lengths.Length(0xffffffff);
  EXPECT_FALSE(lengths.failed());
  lengths.Length(std::size_t{1} << 32);
  EXPECT_TRUE(lengths.failed());

  Writer bytes({});
  EXPECT_EQ(bytes.Append(SIZE_MAX - 3, 8), nullptr);
  EXPECT_TRUE(bytes.failed());

  // Sums do not overflow either.
  Writer sums({});
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(sums.Append(std::size_t{1} << 47, 8), nullptr);
  }
  EXPECT_TRUE(sums.failed());
}

TEST(WriterTest, ObjectsAreNoted) {
  std::vector<std::byte> room(4096);
  Writer writer(room);
  std::vector<std::uint64_t> expected;
  // More than there is room for in place.
  for (int i = 0; i < 20; ++i) {
    writer.Number(std::uint8_t{1});
    expected.push_back((writer.size() + 7) / 8 * 8);
    if (i % 2 == 0) {
      writer.Descriptor(i);
    } else {
      FlatObject object{};
      object.hdr.type = static_cast<std::uint32_t>(ObjectType::kHandle);
      object.handle = 5;
      object.cookie = 6;
      writer.Binder(object);
    }
    const auto offsets = writer.offsets();
    ASSERT_EQ((std::vector<std::uint64_t>{offsets.begin(), offsets.end()}),
              expected);
  }
  EXPECT_TRUE(writer.fits());
  FdObject fd;
  std::memcpy(&fd, room.data() + expected[18], sizeof(fd));
  EXPECT_EQ(fd.hdr.type, static_cast<std::uint32_t>(ObjectType::kFd));
  EXPECT_EQ(fd.pad_binder, 18u);
  EXPECT_EQ(fd.cookie, 0u);
  FlatObject flat;
  std::memcpy(&flat, room.data() + expected[19], sizeof(flat));
  EXPECT_EQ(flat.handle, 5u);
  EXPECT_EQ(flat.cookie, 6u);
}

TEST(WriterTest, ObjectsAreNotedWithoutRoom) {
  FakeObjects objects;
  const auto object = objects.Make();
  Writer writer({}, &objects);
  for (int i = 0; i < 10; ++i) {
    writer.Object(object);
    writer.Object(nullptr);
    writer.Descriptor(0);
  }
  EXPECT_EQ(writer.offsets().size(), 20u);
  EXPECT_FALSE(writer.failed());
}

TEST(WriterTest, NoDescriptor) {
  Writer writer({});
  writer.Descriptor(-1);
  EXPECT_TRUE(writer.failed());
  EXPECT_TRUE(writer.offsets().empty());
}

TEST(WriterTest, ObjectsThatCannotBeSent) {
  FakeObjects objects;
  const auto object = objects.Make();
  std::array<std::byte, 64> room;
  Writer without(room);
  without.Object(nullptr);
  EXPECT_FALSE(without.failed());
  without.Object(object);
  EXPECT_TRUE(without.failed());

  objects.Refuse();
  Writer refused(room, &objects);
  refused.Object(object);
  EXPECT_TRUE(refused.failed());
  EXPECT_TRUE(refused.offsets().empty());
}

TEST(WriterTest, OnlySoDeep) {
  Writer writer({});
  for (int i = 0; i < 64; ++i) ASSERT_TRUE(writer.Enter());
  writer.Leave();
  EXPECT_TRUE(writer.Enter());
  EXPECT_FALSE(writer.failed());
  EXPECT_FALSE(writer.Enter());
  EXPECT_TRUE(writer.failed());
}

}  // namespace
}  // namespace binderlite
