// SPDX-License-Identifier: Apache-2.0
//
// Codec: every type that can be sent, by hand. That each comes back, what it
// looks like, and what is refused. hostile_test.cc has what others may send.

#include "binderlite/api/codec.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cfloat>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <initializer_list>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "support/descriptors.h"
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
using testing::Delivered;
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
  const char full[4] = {'t', 'e', 'x', 't'};
  EXPECT_EQ(Encode(full).data, payload.data);
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

// A payload of these bytes.
Payload Bytes(std::initializer_list<int> values) {
  Payload payload;
  for (const int value : values) {
    payload.data.push_back(static_cast<std::byte>(value));
  }
  return payload;
}

template <class T>
bool Reads(std::initializer_list<int> values) {
  T value{};
  return Decode(Bytes(values), value);
}

TEST(CodecTest, WhatIsNoValueIsRefused) {
  EXPECT_TRUE(Reads<bool>({1}));
  EXPECT_FALSE(Reads<bool>({2}));
  EXPECT_FALSE(Reads<Truth>({2}));
  EXPECT_FALSE(Reads<std::vector<bool>>({1, 0, 0, 0, 2}));
  EXPECT_FALSE((Reads<std::array<bool, 2>>({0, 2})));
  EXPECT_FALSE(Reads<std::optional<char>>({2, 0}));
  EXPECT_FALSE(Reads<std::unique_ptr<char>>({2, 0}));
  EXPECT_TRUE(Reads<Empty>({0}));
  EXPECT_FALSE(Reads<Empty>({1}));
  EXPECT_FALSE(Reads<std::tuple<>>({1}));
  EXPECT_FALSE((Reads<std::array<int, 0>>({1})));
  using Variant = std::variant<char, std::monostate>;
  EXPECT_TRUE(Reads<Variant>({0, 9}));
  EXPECT_TRUE(Reads<Variant>({1, 0}));
  EXPECT_FALSE(Reads<Variant>({2, 0}));
  EXPECT_FALSE(Reads<Variant>({255, 0}));
}

TEST(CodecTest, KeysAreUnique) {
  using Map = std::map<char, char>;
  using HashMap = std::unordered_map<char, char>;
  using Set = std::set<char>;
  using HashSet = std::unordered_set<char>;
  // In any order.
  EXPECT_TRUE(Reads<Map>({2, 0, 0, 0, 2, 0, 1, 0}));
  EXPECT_FALSE(Reads<Map>({2, 0, 0, 0, 1, 0, 1, 1}));
  EXPECT_FALSE(Reads<HashMap>({2, 0, 0, 0, 1, 0, 1, 1}));
  EXPECT_TRUE(Reads<Set>({2, 0, 0, 0, 2, 1}));
  EXPECT_FALSE(Reads<Set>({2, 0, 0, 0, 1, 1}));
  EXPECT_FALSE(Reads<HashSet>({2, 0, 0, 0, 1, 1}));
}

// Values that are there before are replaced, not added to.
TEST(CodecTest, ReadsIntoAnyValue) {
  std::vector<int> vector{1, 2, 3};
  EXPECT_TRUE(Decode(Encode(std::vector{4}), vector));
  EXPECT_EQ(vector, std::vector{4});
  std::map<int, int> map{{1, 1}};
  EXPECT_TRUE(Decode(Encode(std::map<int, int>{{2, 2}}), map));
  EXPECT_EQ(map, (std::map<int, int>{{2, 2}}));
  std::set<int> set{1};
  EXPECT_TRUE(Decode(Encode(std::set{2}), set));
  EXPECT_EQ(set, std::set{2});
  std::optional<int> optional(1);
  EXPECT_TRUE(Decode(Encode(std::optional<int>()), optional));
  EXPECT_EQ(optional, std::nullopt);
  std::string text = "before";
  EXPECT_TRUE(Decode(Encode("text"), text));
  EXPECT_EQ(text, "text");
}

// Whatever is in the bytes that it does not use.
TEST(CodecTest, LongDoublesHaveNoGarbage) {
  constexpr std::size_t kUsed = LDBL_MANT_DIG == 64 ? 10 : 16;
  long double value = 1;
  std::byte bytes[sizeof(value)];
  std::memset(bytes, 0xee, sizeof(bytes));
  std::memcpy(bytes, &value, kUsed);
  std::memcpy(&value, bytes, sizeof(bytes));
  const Payload payload = Encode(value);
  ASSERT_EQ(payload.data.size(), 16u);
  for (std::size_t i = kUsed; i < 16; ++i) {
    EXPECT_EQ(payload.data[i], std::byte{0});
  }
  long double read = 0;
  ASSERT_TRUE(Decode(payload, read));
  EXPECT_EQ(read, 1);
}

TEST(CodecTest, NotANumberKeepsItsBits) {
  const std::uint64_t bits = 0x7ff4dead0000beef;
  double value = 0;
  std::memcpy(&value, &bits, sizeof(value));
  double read = 0;
  ASSERT_TRUE(Decode(Encode(value), read));
  std::uint64_t read_bits = 0;
  std::memcpy(&read_bits, &read, sizeof(read));
  EXPECT_EQ(read_bits, bits);
}

template <class T>
void ExpectInPlace() {
  const std::vector<T> values{T{1}, T{2}, T{3}};
  for (int before = 0; before < 9; ++before) {
    const Payload payload = Compose([&](Writer& writer) {
      for (int i = 0; i < before; ++i) WriteValue(writer, 'x');
      WriteValue(writer, std::span<const T>(values));
      WriteValue(writer, std::span<const T>());
    });
    const Delivered delivery(payload);
    Reader reader = delivery.reader();
    for (int i = 0; i < before; ++i) {
      char c = 0;
      ASSERT_TRUE(ReadValue(reader, c));
    }
    std::span<const T> span;
    ASSERT_TRUE(ReadValue(reader, span));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(span.data()) % alignof(T), 0u);
    EXPECT_TRUE(
        std::equal(span.begin(), span.end(), values.begin(), values.end()));
    const auto bytes = std::as_bytes(span);
    EXPECT_GE(bytes.data(), delivery.data().data());
    EXPECT_LE(bytes.data() + bytes.size(),
              delivery.data().data() + delivery.data().size());
    ASSERT_TRUE(ReadValue(reader, span));
    EXPECT_TRUE(span.empty());
    EXPECT_TRUE(reader.AtEnd());
  }
}

TEST(CodecTest, SpansAreReadInPlace) {
  ExpectInPlace<std::byte>();
  ExpectInPlace<char>();
  ExpectInPlace<std::int16_t>();
  ExpectInPlace<float>();
  ExpectInPlace<double>();
  ExpectInPlace<std::uint64_t>();
  ExpectInPlace<char32_t>();
}

TEST(CodecTest, SpansAndVectorsAreTheSame) {
  const std::vector<double> values{1, 2};
  EXPECT_EQ(Encode(std::span<const double>(values)).data, Encode(values).data);
}

TEST(CodecTest, TextIsReadInPlace) {
  const Delivered delivery(Encode("text"));
  Reader reader = delivery.reader();
  std::string_view text;
  ASSERT_TRUE(ReadValue(reader, text));
  EXPECT_EQ(text, "text");
  EXPECT_EQ(static_cast<const void*>(text.data()),
            static_cast<const void*>(delivery.data().data() + 4));
}

TEST(CodecTest, TooManyElements) {
  // Not looked at, since there is no room for them.
  const std::byte byte{};
  const std::span<const std::byte> span(&byte, std::size_t{1} << 32);
  Writer writer({});
  WriteValue(writer, span.first(0xffffffff));
  EXPECT_FALSE(writer.failed());
  WriteValue(writer, span);
  EXPECT_TRUE(writer.failed());
}

TEST(CodecTest, Descriptors) {
  const int before = testing::CountNulls();
  {
    std::vector<Fd> fds;
    fds.emplace_back(testing::OpenNull());
    fds.emplace_back(testing::OpenNull());
    const Payload payload = Encode(fds);
    EXPECT_EQ(payload.offsets, (std::vector<std::uint64_t>{8, 32}));
    std::vector<Fd> read;
    ASSERT_TRUE(Decode(payload, read));
    ASSERT_EQ(read.size(), 2u);
    for (std::size_t i = 0; i < 2; ++i) {
      EXPECT_TRUE(testing::IsOpen(read[i].get()));
      EXPECT_NE(read[i].get(), fds[i].get());
    }
    std::optional<Fd> none = Fd(testing::OpenNull());
    ASSERT_TRUE(Decode(Encode(std::optional<Fd>()), none));
    EXPECT_EQ(none, std::nullopt);

    Writer writer({});
    WriteValue(writer, Fd());
    EXPECT_TRUE(writer.failed());
  }
  EXPECT_EQ(testing::CountNulls(), before);
}

TEST(CodecTest, References) {
  FakeObjects objects;
  const std::vector<std::shared_ptr<ApiObject>> value{objects.Make(), nullptr,
                                                      objects.Make()};
  const Payload payload = Encode(value, &objects);
  EXPECT_EQ(payload.offsets, (std::vector<std::uint64_t>{8, 40}));
  std::vector<std::shared_ptr<ApiObject>> read;
  ASSERT_TRUE(Decode(payload, read, &objects));
  EXPECT_EQ(read, value);
}

// Of what is only counted nothing is made that would have to be taken back.
TEST(CodecTest, ObjectsAreFlattenedWhereThereIsRoom) {
  FakeObjects objects;
  const auto object = objects.Make();
  Writer counting({}, &objects);
  WriteValue(counting, std::string("x"));
  WriteValue(counting, object);
  EXPECT_EQ(objects.flattened(), 0);
  EXPECT_EQ(counting.offsets().size(), 1u);
}

TEST(CodecTest, ArgumentsMayBeAddedAtTheEnd) {
  const Payload before =
      Compose([](Writer& writer) { WriteArguments(writer, 1, "a"); });
  const Payload after = Compose([](Writer& writer) {
    WriteArguments(writer, 1, "a", std::optional<int>(2),
                   std::optional<std::string>("b"));
  });
  int number = 0;
  std::string text;
  std::optional<int> third(7);
  std::optional<std::string> fourth("before");
  {
    const Delivered delivery(before);
    Reader reader = delivery.reader();
    EXPECT_TRUE(ReadArguments(reader, number, text, third, fourth));
    EXPECT_EQ(third, std::nullopt);
    EXPECT_EQ(fourth, std::nullopt);
  }
  {
    const Delivered delivery(after);
    Reader reader = delivery.reader();
    EXPECT_TRUE(ReadArguments(reader, number, text, third, fourth));
    EXPECT_EQ(third, 2);
    EXPECT_EQ(fourth, "b");
  }
  {
    const Delivered delivery(after);
    Reader reader = delivery.reader();
    EXPECT_TRUE(ReadArguments(reader, number, text));
  }
  {
    // What is not optional has to be there.
    const Delivered delivery(before);
    Reader reader = delivery.reader();
    EXPECT_FALSE(ReadArguments(reader, number, text, number));
  }
  {
    // Nor may a part of an argument be missing.
    std::tuple<int, std::string, std::optional<int>> whole;
    EXPECT_FALSE(Decode(before, whole));
  }
  EXPECT_TRUE(
      Compose([](Writer& writer) { WriteArguments(writer); }).data.empty());
}

// After a failure, the payload seems to be at its end.
TEST(CodecTest, OptionalArgumentsAfterAFailure) {
  Reader reader({});
  reader.Fail("for a test");
  std::optional<int> value;
  EXPECT_FALSE(ReadArgument(reader, value));
  EXPECT_FALSE(ReadArguments(reader, value));
}

// The rows "| at | `bytes` | ..." of the example in the document.
Payload ExampleOfTheDocument() {
  Payload payload;
  std::ifstream file(BINDERLITE_TEST_DOCS "/wire-format.md");
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] != '|') continue;
    std::istringstream row(line);
    std::string bar;
    std::size_t at = 0;
    if (!(row >> bar >> at)) continue;
    if (line.find(" | `") == std::string::npos) continue;  // Of another table.
    EXPECT_EQ(at, payload.data.size()) << line;
    std::istringstream bytes(
        line.substr(line.find('`') + 1, line.rfind('`') - line.find('`') - 1));
    for (unsigned byte = 0; bytes >> std::hex >> byte;) {
      payload.data.push_back(static_cast<std::byte>(byte));
    }
  }
  return payload;
}

TEST(CodecTest, TheDocumentIsRight) {
  Fd fd(5);
  const Payload payload = Compose([&](Writer& writer) {
    WriteArguments(
        writer, std::string("ab"), std::vector<std::uint16_t>{1, 2, 3},
        std::optional<double>(1.5), std::shared_ptr<ApiObject>(), fd);
  });
  static_cast<void>(fd.release());
  EXPECT_EQ(payload.data, ExampleOfTheDocument().data);
  EXPECT_EQ(payload.offsets, std::vector<std::uint64_t>{40});
}

// --- What can be asked. ---

template <class T>
constexpr bool kBoth = Encodable<T>&& Decodable<T>;
template <class T>
constexpr bool kNeither = !Encodable<T> && !Decodable<T>;

class NoAggregate {
 public:
  explicit NoAggregate(int) {}
};
union Union {
  int a;
  float b;
};

static_assert(kBoth<int> && kBoth<Small> && kBoth<std::string>);
static_assert(kBoth<std::string_view> && kBoth<std::span<const int>>);
static_assert(kBoth<Person> && kBoth<std::vector<Person>>);
static_assert(kBoth<CodecTestUser> && kBoth<std::optional<CodecTestUser>>);
static_assert(kBoth<Fd> && kBoth<std::shared_ptr<ApiObject>>);
static_assert(Encodable<const char*> && !Decodable<const char*>);
static_assert(Encodable<CodecTestOneWay> && !Decodable<CodecTestOneWay>);
static_assert(!Decodable<std::vector<CodecTestOneWay>>);
static_assert(kNeither<int*> && kNeither<int&> && kNeither<void*>);
static_assert(kNeither<std::nullptr_t> && kNeither<void (*)()>);
static_assert(kNeither<int Point::*> && kNeither<void> && kNeither<int[3]>);
static_assert(kNeither<Union> && kNeither<NoAggregate>);
static_assert(kNeither<std::span<int>> && kNeither<std::span<const bool>>);
static_assert(kNeither<std::span<const long double>>);
static_assert(kNeither<std::span<const std::string>>);
static_assert(kNeither<std::vector<int*>> && kNeither<std::optional<int*>>);
static_assert(kNeither<std::map<int, int*>> && kNeither<std::set<int*>>);
static_assert(kNeither<std::tuple<int, int*>>);
static_assert(kNeither<std::variant<int, int*>>);
static_assert(kNeither<std::unique_ptr<int[]>> &&
              kNeither<std::unique_ptr<NoAggregate>>);
static_assert(kNeither<std::shared_ptr<int>>);
// Their keys need not be unique.
static_assert(kNeither<std::multimap<int, int>> &&
              kNeither<std::multiset<int>>);

}  // namespace
}  // namespace binderlite
