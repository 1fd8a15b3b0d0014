// SPDX-License-Identifier: Apache-2.0
//
// Reader: what is within the payload and what is not, objects where the driver
// says and nowhere else, and who closes descriptors.

#include "binderlite/api/reader.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "support/descriptors.h"
#include "support/payloads.h"

namespace binderlite {
namespace {

using testing::CountNulls;
using testing::Delivered;
using testing::FakeObjects;
using testing::IsOpen;
using testing::OpenNull;
using testing::Payload;

// Calls write(writer), which writes at most 4 KiB.
template <class Write>
Payload Make(const Write& write, ObjectWriter* objects = nullptr) {
  Payload payload;
  payload.data.resize(4096);
  Writer writer(payload.data, objects);
  write(writer);
  EXPECT_TRUE(writer.fits());
  payload.data.resize(writer.size());
  payload.offsets.assign(writer.offsets().begin(), writer.offsets().end());
  return payload;
}

TEST(ReaderTest, Numbers) {
  const Delivered delivery(Make([](Writer& writer) {
    writer.Number(std::uint8_t{1});
    writer.Number(std::uint32_t{2});
    writer.Number(3.5);
  }));
  Reader reader = delivery.reader();
  std::uint8_t a = 0;
  std::uint32_t b = 0;
  double c = 0;
  EXPECT_TRUE(reader.Number(a) && reader.Number(b));
  EXPECT_FALSE(reader.AtEnd());
  EXPECT_EQ(reader.remaining(), 8u);
  EXPECT_TRUE(reader.Number(c));
  EXPECT_EQ(a, 1);
  EXPECT_EQ(b, 2u);
  EXPECT_EQ(c, 3.5);
  EXPECT_TRUE(reader.AtEnd());
  EXPECT_TRUE(reader.ok());
}

TEST(ReaderTest, MoreMayFollow) {
  const Delivered delivery(Make([](Writer& writer) { writer.Number(1.0); }));
  Reader reader = delivery.reader();
  EXPECT_FALSE(reader.AtEnd());
  EXPECT_TRUE(reader.ok());
}

TEST(ReaderTest, NothingBeyondTheEnd) {
  const Delivered delivery(Make([](Writer& writer) {
    writer.Number(std::uint32_t{1});
    writer.Number(std::uint8_t{1});
  }));
  {
    Reader reader = delivery.reader();
    EXPECT_NE(reader.Take(5, 1), nullptr);
    EXPECT_NE(reader.Take(0, 1), nullptr);
    EXPECT_TRUE(reader.ok());
    EXPECT_EQ(reader.Take(1, 1), nullptr);
    EXPECT_FALSE(reader.ok());
    EXPECT_FALSE(reader.ok());
    EXPECT_FALSE(reader.AtEnd());
  }
  {
    // Padding would go beyond it.
    Reader reader = delivery.reader();
    EXPECT_NE(reader.Take(5, 1), nullptr);
    EXPECT_EQ(reader.Take(0, 4), nullptr);
  }
  {
    Reader reader = delivery.reader();
    EXPECT_EQ(reader.Take(SIZE_MAX, 1), nullptr);
  }
}

TEST(ReaderTest, Nothing) {
  Reader reader({});
  EXPECT_TRUE(reader.AtEnd());
  EXPECT_NE(reader.Take(0, 8), nullptr);
  EXPECT_TRUE(reader.ok());
  EXPECT_EQ(reader.Take(1, 1), nullptr);
}

TEST(ReaderTest, FailingIsSticky) {
  const Delivered delivery(Make([](Writer& writer) { writer.Number(1.0); }));
  Reader reader = delivery.reader();
  EXPECT_FALSE(reader.Fail("first"));
  EXPECT_FALSE(reader.Fail("second"));
  EXPECT_STREQ(reader.why(), "first");
  EXPECT_EQ(reader.Take(1, 1), nullptr);
  EXPECT_EQ(reader.remaining(), 0u);
}

TEST(ReaderTest, ABoolIsZeroOrOne) {
  for (int value_of_byte = 0; value_of_byte < 256; ++value_of_byte) {
    const auto byte = static_cast<std::uint8_t>(value_of_byte);
    const Delivered delivery(
        Make([byte](Writer& writer) { writer.Number(byte); }));
    Reader reader = delivery.reader();
    bool value = false;
    EXPECT_EQ(reader.Bool(value), byte < 2);
    EXPECT_EQ(value, byte == 1);
  }
}

TEST(ReaderTest, LengthsAreNotBelieved) {
  const Delivered delivery(Make([](Writer& writer) {
    writer.Length(2);
    writer.Number(std::uint64_t{0});
  }));
  std::uint32_t length = 0;
  Reader fits = delivery.reader();
  EXPECT_TRUE(fits.Length(length, 6));
  Reader too_long = delivery.reader();
  EXPECT_FALSE(too_long.Length(length, 7));
}

TEST(ReaderTest, Descriptors) {
  const int before = CountNulls();
  {
    const Fd file(OpenNull());
    const Delivered delivery(Make([&](Writer& writer) {
      writer.Descriptor(file.get());
      writer.Descriptor(file.get());
      writer.Number(1);
      writer.Descriptor(file.get());
    }));
    ASSERT_EQ(delivery.descriptors().size(), 3u);
    Fd first;
    {
      Reader reader = delivery.reader();
      EXPECT_TRUE(reader.Descriptor(first));
      EXPECT_EQ(first.get(), delivery.descriptors()[0]);
      EXPECT_TRUE(IsOpen(delivery.descriptors()[1]));
    }
    // Those that nobody took are gone, and only those.
    EXPECT_TRUE(IsOpen(delivery.descriptors()[0]));
    EXPECT_FALSE(IsOpen(delivery.descriptors()[1]));
    EXPECT_FALSE(IsOpen(delivery.descriptors()[2]));
  }
  EXPECT_EQ(CountNulls(), before);
}

TEST(ReaderTest, DescriptorsOfWhatFailsAreClosed) {
  const int before = CountNulls();
  {
    const Fd file(OpenNull());
    const Delivered delivery(Make([&](Writer& writer) {
      writer.Number(1);
      writer.Descriptor(file.get());
    }));
    Reader reader = delivery.reader();
    Fd fd;
    reader.Fail("for a test");
    EXPECT_FALSE(reader.Descriptor(fd));
    EXPECT_FALSE(fd);
  }
  EXPECT_EQ(CountNulls(), before);
}

TEST(ReaderTest, References) {
  FakeObjects objects;
  const auto object = objects.Make();
  const Delivered delivery(Make(
      [&](Writer& writer) {
        writer.Object(nullptr);
        writer.Object(object);
        writer.Object(nullptr);
      },
      &objects));
  {
    Reader reader = delivery.reader(&objects);
    std::shared_ptr<ApiObject> read = object;
    EXPECT_TRUE(reader.Object(read));
    EXPECT_EQ(read, nullptr);
    EXPECT_TRUE(reader.Object(read));
    EXPECT_EQ(read, object);
    EXPECT_TRUE(reader.Object(read));
    EXPECT_EQ(read, nullptr);
    EXPECT_TRUE(reader.AtEnd());
  }
  {
    // Nobody who knows them.
    Reader reader = delivery.reader();
    std::shared_ptr<ApiObject> read;
    EXPECT_TRUE(reader.Object(read));
    EXPECT_FALSE(reader.Object(read));
  }
}

// The bytes of an object are not one: only the driver says where there are any.
TEST(ReaderTest, ForgedObjectsAreRefused) {
  FakeObjects objects;
  const auto object = objects.Make();
  Payload payload = Make(
      [&](Writer& writer) {
        writer.Object(object);
        writer.Object(object);
      },
      &objects);
  ASSERT_EQ(payload.offsets.size(), 2u);
  const std::vector<std::uint64_t> offsets = payload.offsets;
  for (const auto& forged :
       std::vector<std::vector<std::uint64_t>>{{},
                                               {offsets[1]},
                                               {offsets[0] + 8},
                                               {offsets[0] + 1, offsets[1]},
                                               {4, offsets[1]}}) {
    payload.offsets = forged;
    const Delivered delivery(payload);
    Reader reader = delivery.reader(&objects);
    std::shared_ptr<ApiObject> read;
    EXPECT_FALSE(reader.Object(read));
    EXPECT_EQ(read, nullptr);
  }
}

TEST(ReaderTest, ForgedDescriptorsAreRefusedAndNotClosed) {
  const Fd file(OpenNull());
  Payload payload =
      Make([&](Writer& writer) { writer.Descriptor(file.get()); });
  payload.offsets.clear();
  {
    const Delivered delivery(payload);
    Reader reader = delivery.reader();
    Fd fd;
    EXPECT_FALSE(reader.Descriptor(fd));
  }
  EXPECT_TRUE(IsOpen(file.get()));
}

TEST(ReaderTest, ObjectsAreOfTheirType) {
  FakeObjects objects;
  const auto object = objects.Make();
  const Fd file(OpenNull());
  const int before = CountNulls();
  {
    // A descriptor where a reference should be, and the other way round.
    const Delivered delivery(
        Make([&](Writer& writer) { writer.Descriptor(file.get()); }));
    Reader reader = delivery.reader();
    FlatObject flat;
    EXPECT_FALSE(reader.Binder(flat));
  }
  EXPECT_EQ(CountNulls(), before);
  for (const ObjectType type :
       {ObjectType::kBinder, ObjectType::kHandle, ObjectType::kWeakBinder,
        ObjectType::kWeakHandle, ObjectType::kPtr, ObjectType::kFdArray}) {
    const Payload payload = Make([&](Writer& writer) {
      FlatObject flat{};
      flat.hdr.type = static_cast<std::uint32_t>(type);
      writer.Binder(flat);
    });
    const Delivered delivery(payload);
    Reader descriptor = delivery.reader();
    Fd fd;
    EXPECT_FALSE(descriptor.Descriptor(fd));
    // Only strong references.
    Reader reference = delivery.reader();
    FlatObject flat;
    EXPECT_EQ(reference.Binder(flat),
              type == ObjectType::kBinder || type == ObjectType::kHandle);
  }
}

// What the driver put there is not for the sender to have sent back.
TEST(ReaderTest, DataDoesNotReachIntoObjects) {
  FakeObjects objects;
  const auto object = objects.Make();
  const Delivered delivery(Make(
      [&](Writer& writer) {
        writer.Number(std::uint64_t{0});
        FlatObject flat{};
        flat.hdr.type = static_cast<std::uint32_t>(ObjectType::kHandle);
        writer.Binder(flat);
        writer.Number(std::uint64_t{0});
      },
      &objects));
  {
    Reader reader = delivery.reader();
    EXPECT_EQ(reader.Take(9, 1), nullptr);
  }
  {
    Reader reader = delivery.reader();
    FlatObject flat;
    EXPECT_NE(reader.Take(8, 1), nullptr);
    EXPECT_TRUE(reader.Binder(flat));
    EXPECT_NE(reader.Take(8, 8), nullptr);
    EXPECT_TRUE(reader.AtEnd());
  }
}

// Offsets that no driver would give do no harm.
TEST(ReaderTest, OffsetsBeyondTheEnd) {
  const std::vector<std::byte> data(16);
  for (const std::uint64_t offset :
       {std::uint64_t{0}, std::uint64_t{8}, std::uint64_t{16},
        std::uint64_t{1000}, UINT64_MAX, UINT64_MAX - 7}) {
    const std::vector<std::uint64_t> offsets{offset};
    Reader reader(data, offsets);
    FlatObject flat;
    EXPECT_FALSE(reader.Binder(flat));
  }
}

TEST(ReaderTest, OnlySoDeep) {
  Reader reader({});
  for (int i = 0; i < 64; ++i) ASSERT_TRUE(reader.Enter());
  reader.Leave();
  EXPECT_TRUE(reader.Enter());
  EXPECT_TRUE(reader.ok());
  EXPECT_FALSE(reader.Enter());
  EXPECT_FALSE(reader.ok());
}

}  // namespace
}  // namespace binderlite
