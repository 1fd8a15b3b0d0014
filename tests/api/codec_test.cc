// SPDX-License-Identifier: Apache-2.0
//
// Codec: every type that can be sent, by hand. That each comes back, what it
// looks like, and what is refused. hostile_test.cc has what others may send.

#include "binderlite/api/codec.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "support/payloads.h"
#include "support/round_trip.h"

namespace binderlite {

// No aggregate, so it needs a Codec.
class CodecTestUser {
 public:
  CodecTestUser() = default;
  explicit CodecTestUser(int value) : value_(value) {}
  [[nodiscard]] int value() const { return value_; }
  bool operator==(const CodecTestUser&) const = default;

 private:
  int value_ = 0;
};

// Sent, but not received.
struct CodecTestOneWay {};

// Writes nothing, which is not allowed.
struct CodecTestSilent {};

template <>
struct Codec<CodecTestUser> {
  static void Write(Writer& writer, const CodecTestUser& user) {
    WriteValue(writer, user.value());
  }
  static bool Read(Reader& reader, CodecTestUser& user) {
    int value = 0;
    if (!ReadValue(reader, value) || value < 0) return false;
    user = CodecTestUser(value);
    return true;
  }
};
template <>
struct Codec<CodecTestOneWay> {
  static void Write(Writer& writer, const CodecTestOneWay&) {
    WriteValue(writer, 1);
  }
};
template <>
struct Codec<CodecTestSilent> {
  static void Write(Writer&, const CodecTestSilent&) {}
  static bool Read(Reader&, CodecTestSilent&) { return true; }
};

namespace {

using testing::Compose;
using testing::Decode;
using testing::Delivery;
using testing::Encode;
using testing::FakeObjects;
using testing::Payload;

enum class Small : std::uint8_t { kA, kB = 200 };
enum class Large : std::int64_t { kA = -5 };
enum class Truth : bool { kNo, kYes };

struct Empty {
  bool operator==(const Empty&) const = default;
};
struct Point {
  std::int32_t x = 0;
  std::int32_t y = 0;
  bool operator==(const Point&) const = default;
};
struct Person {
  std::string name;
  std::optional<Point> home;
  std::vector<Person> children;
  bool operator==(const Person&) const = default;
};

template <class T>
void ExpectRoundTrip(const T& value) {
  const Payload payload = Encode(value);
  T read{};
  ASSERT_TRUE(Decode(payload, read));
  EXPECT_EQ(read, value);
  // Nothing shorter is a value.
  T shorter{};
  EXPECT_FALSE(Decode(payload.Truncated(payload.data.size() - 1), shorter));
}

template <class T>
void ExpectLimits() {
  ExpectRoundTrip(T{});
  ExpectRoundTrip(std::numeric_limits<T>::min());
  ExpectRoundTrip(std::numeric_limits<T>::lowest());
  ExpectRoundTrip(std::numeric_limits<T>::max());
  EXPECT_EQ(Encode(T{}).data.size(), sizeof(T));
  ExpectRoundTrip(std::vector<T>{T{}, std::numeric_limits<T>::max()});
  ExpectRoundTrip(std::vector<T>{});
}

TEST(CodecTest, Numbers) {
  ExpectLimits<char>();
  ExpectLimits<signed char>();
  ExpectLimits<unsigned char>();
  ExpectLimits<char8_t>();
  ExpectLimits<char16_t>();
  ExpectLimits<char32_t>();
  ExpectLimits<wchar_t>();
  ExpectLimits<short>();
  ExpectLimits<unsigned short>();
  ExpectLimits<int>();
  ExpectLimits<unsigned>();
  ExpectLimits<long>();
  ExpectLimits<unsigned long>();
  ExpectLimits<long long>();
  ExpectLimits<unsigned long long>();
  ExpectLimits<float>();
  ExpectLimits<double>();
  ExpectLimits<long double>();
  ExpectRoundTrip(true);
  ExpectRoundTrip(false);
}

TEST(CodecTest, Enums) {
  ExpectRoundTrip(Small::kB);
  ExpectRoundTrip(Large::kA);
  ExpectRoundTrip(Truth::kYes);
  ExpectRoundTrip(std::byte{7});
  ExpectRoundTrip(std::vector{Small::kA, Small::kB});
  ExpectRoundTrip(std::vector{Truth::kNo, Truth::kYes});
  EXPECT_EQ(Encode(Small::kB).data.size(), 1u);
}

TEST(CodecTest, Text) {
  ExpectRoundTrip(std::string());
  ExpectRoundTrip(std::string("text"));
  ExpectRoundTrip(std::string("a\0b", 3));
  ExpectRoundTrip(std::string(100000, 'x'));
  // In all ways the same.
  const Payload payload = Encode(std::string("text"));
  EXPECT_EQ(Encode(std::string_view("text")).data, payload.data);
  EXPECT_EQ(Encode("text").data, payload.data);
  const char* const pointer = "text";
  EXPECT_EQ(Encode(pointer).data, payload.data);
}

TEST(CodecTest, ANullPointerIsNoText) {
  Writer writer({});
  WriteValue(writer, static_cast<const char*>(nullptr));
  EXPECT_TRUE(writer.failed());
}

TEST(CodecTest, Containers) {
  ExpectRoundTrip(std::vector<int>{1, 2, 3});
  ExpectRoundTrip(std::vector<bool>{true, false, true});
  ExpectRoundTrip(std::vector<std::string>{"a", "", "ccc"});
  ExpectRoundTrip(std::vector<std::vector<double>>{{1, 2}, {}, {3}});
  ExpectRoundTrip(std::vector<Empty>(5));
  ExpectRoundTrip(std::array<short, 3>{1, 2, 3});
  ExpectRoundTrip(std::array<std::string, 2>{"a", "b"});
  ExpectRoundTrip(std::array<long double, 2>{1, 2});
  ExpectRoundTrip(std::array<int, 0>{});
  ExpectRoundTrip(std::map<int, std::string>{{1, "a"}, {2, "b"}});
  ExpectRoundTrip(std::map<std::string, std::map<int, int>>{{"a", {{1, 2}}}});
  ExpectRoundTrip(std::unordered_map<std::string, int>{{"a", 1}, {"b", 2}});
  ExpectRoundTrip(std::set<std::string>{"a", "b"});
  ExpectRoundTrip(std::set<int>{1, 2, 3});
  ExpectRoundTrip(std::unordered_set<int>{1, 2, 3});
}

TEST(CodecTest, Choices) {
  using Variant = std::variant<std::monostate, int, std::string, int>;
  ExpectRoundTrip(std::optional<int>());
  ExpectRoundTrip(std::optional<int>(3));
  ExpectRoundTrip(std::optional<std::optional<std::string>>(std::nullopt));
  ExpectRoundTrip(
      std::optional<std::optional<std::string>>(std::optional<std::string>()));
  ExpectRoundTrip(Variant());
  ExpectRoundTrip(Variant(std::in_place_index<1>, 4));
  ExpectRoundTrip(Variant("text"));
  ExpectRoundTrip(Variant(std::in_place_index<3>, 4));
}

TEST(CodecTest, Tuples) {
  ExpectRoundTrip(std::tuple<>());
  ExpectRoundTrip(std::tuple<char, double, std::string>('a', 1.5, "b"));
  ExpectRoundTrip(std::pair<bool, std::vector<int>>(true, {1}));
}

TEST(CodecTest, Times) {
  using std::chrono::steady_clock;
  using std::chrono::system_clock;
  ExpectRoundTrip(std::chrono::milliseconds(-3));
  ExpectRoundTrip(std::chrono::duration<double>(0.25));
  ExpectRoundTrip(std::chrono::duration<std::int16_t>(-7));
  ExpectRoundTrip(steady_clock::now());
  ExpectRoundTrip(system_clock::now());
  ExpectRoundTrip(std::chrono::time_point<system_clock, std::chrono::days>(
      std::chrono::days(20000)));
  // Whatever counts, and one that cannot count as far says so.
  std::chrono::duration<std::int16_t> narrow{};
  EXPECT_TRUE(Decode(Encode(std::chrono::seconds(-32768)), narrow));
  EXPECT_EQ(narrow.count(), -32768);
  EXPECT_FALSE(Decode(Encode(std::chrono::seconds(-32769)), narrow));
}

TEST(CodecTest, UniquePointers) {
  std::unique_ptr<std::string> read = std::make_unique<std::string>("before");
  EXPECT_TRUE(Decode(Encode(std::unique_ptr<std::string>()), read));
  EXPECT_EQ(read, nullptr);
  EXPECT_TRUE(Decode(Encode(std::make_unique<std::string>("text")), read));
  ASSERT_NE(read, nullptr);
  EXPECT_EQ(*read, "text");
}

TEST(CodecTest, Structs) {
  ExpectRoundTrip(Empty{});
  ExpectRoundTrip(Point{1, -2});
  ExpectRoundTrip(Person{"a", Point{1, 2}, {{"b", {}, {}}, {"c", {}, {}}}});
  // Nothing is written of the struct itself.
  EXPECT_EQ(Encode(Point{1, 2}).data,
            Encode(std::pair<std::int32_t, std::int32_t>(1, 2)).data);
}

TEST(CodecTest, TypesOfUsers) {
  ExpectRoundTrip(CodecTestUser(7));
  ExpectRoundTrip(std::vector{CodecTestUser(7), CodecTestUser(8)});
  ExpectRoundTrip(std::map<int, CodecTestUser>{{1, CodecTestUser(2)}});
  CodecTestUser read;
  EXPECT_FALSE(Decode(Encode(-1), read));

  Writer writer({});
  WriteValue(writer, CodecTestSilent());
  EXPECT_TRUE(writer.failed());
}

}  // namespace
}  // namespace binderlite
