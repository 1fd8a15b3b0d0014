// SPDX-License-Identifier: Apache-2.0
//
// Codec, against senders that mean no good: payloads that are cut off, changed
// or invented, lengths without elements, structs without an end. Whatever comes
// is read as a value or refused; AddressSanitizer sees whoever reads too far,
// descriptors and memory are counted. And values drawn at random, of types
// within types, all of which must come back.

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "binderlite/api/aggregate.h"
#include "binderlite/api/codec.h"
#include "support/descriptors.h"
#include "support/hostile.h"
#include "support/payloads.h"
#include "support/round_trip.h"

namespace binderlite::testing {
namespace {

// --- A value of each type of HostileTypes. ---

template <class T>
T Sample(FakeObjects& objects);

template <>
Scalars Sample(FakeObjects&) {
  Scalars value;
  value.a = true;
  value.b = 'b';
  value.c = -3;
  value.d = 1.5F;
  value.f = -2.5;
  value.h = 3.25L;
  value.j = std::chrono::milliseconds(-1);
  value.k = std::chrono::steady_clock::time_point(std::chrono::seconds(5));
  value.l = {1, 2, 3};
  return value;
}
template <>
Views Sample(FakeObjects&) {
  static constexpr std::byte kBytes[] = {std::byte{1}, std::byte{2}};
  static constexpr double kNumbers[] = {1, 2, 3};
  static constexpr std::int16_t kShorts[] = {1, 2, 3};
  return {"text", kBytes, kNumbers, kShorts, "copy"};
}
template <>
Tree Sample(FakeObjects&) {
  return {1, {{2, {{3, {}}, {4, {}}}}, {5, {}}}};
}
template <>
List Sample(FakeObjects&) {
  List list{"first", std::make_unique<List>()};
  list.next->name = "second";
  return list;
}
template <>
Choice Sample(FakeObjects&) {
  return Choice(std::in_place_index<4>, std::int64_t{7});
}
template <>
Sorted Sample(FakeObjects&) {
  return {{"a", {{{1, "x"}, {2, std::nullopt}}, {}}}, {"b", {}}};
}
template <>
Hashed Sample(FakeObjects&) {
  return {{"a", {1, 2}}, {"b", {}}};
}
template <>
Odd Sample(FakeObjects&) {
  Odd value;
  value.bits = {true, false, true};
  value.nothings.resize(3);
  value.long_doubles = {1, 2};
  value.strings = {"a", "bb"};
  value.some = {std::uint8_t{1}, {2, true}};
  value.sets = {{1, 2}, {}, {3}};
  return value;
}
template <>
Objects Sample(FakeObjects& objects) {
  Objects value;
  value.maybe_fd = Fd(OpenNull());
  // The first of those that CheckHostile knows by number is 0.
  value.object = objects.Make();
  value.more = {objects.Make(), nullptr, value.object};
  value.between = "between";
  value.fds.emplace(std::uint8_t{1}, Fd(OpenNull()));
  value.fds.emplace(std::uint8_t{2}, Fd(OpenNull()));
  return value;
}
template <>
Call Sample(FakeObjects&) {
  return {1, "second", "third", Fd(OpenNull())};
}

// visit(index, payload) for a payload of each type. Its descriptors are open
// for as long.
template <class Visitor>
void ForEachSample(const Visitor& visit) {
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    (
        [&] {
          SCOPED_TRACE("type " + std::to_string(I));
          FakeObjects objects;
          const auto value =
              Sample<std::tuple_element_t<I, HostileTypes>>(objects);
          visit(I, Encode(value, &objects));
        }(),
        ...);
  }
  (std::make_index_sequence<kHostileTypes>());
}

TEST(HostileTest, SamplesAreValues) {
  const int before = CountNulls();
  ForEachSample([](std::size_t type, const Payload& payload) {
    bool valid = false;
    EXPECT_STREQ(CheckHostile(type, payload, valid), nullptr);
    EXPECT_TRUE(valid);
  });
  EXPECT_EQ(CountNulls(), before);
}

TEST(HostileTest, WhatIsCutOffIsNoValue) {
  const int before = CountNulls();
  ForEachSample([](std::size_t type, const Payload& payload) {
    std::size_t values = 0;
    for (std::size_t size = 0; size < payload.data.size(); ++size) {
      bool valid = false;
      ASSERT_STREQ(CheckHostile(type, payload.Truncated(size), valid), nullptr)
          << size;
      if (valid) ++values;
    }
    // But for a call: its last two arguments may be missing.
    const bool optional = type == kHostileTypes - 1;
    EXPECT_EQ(values, optional ? 2u : 0u);
  });
  EXPECT_EQ(CountNulls(), before);
}

// The payload cannot be changed where the driver has put objects.
TEST(HostileTest, OneByteChanged) {
  const int before = CountNulls();
  ForEachSample([](std::size_t type, const Payload& payload) {
    for (std::size_t at = 0; at < payload.data.size(); ++at) {
      if (payload.IsObject(at)) continue;
      Payload changed = payload;
      for (int change = 1; change < 256; ++change) {
        changed.data[at] = payload.data[at] ^ static_cast<std::byte>(change);
        bool valid = false;
        ASSERT_STREQ(CheckHostile(type, changed, valid), nullptr)
            << "byte " << at << ", " << change;
      }
    }
  });
  EXPECT_EQ(CountNulls(), before);
}

// Each object taken away, which is what a forged one comes to, or of another
// type.
TEST(HostileTest, ForgedObjects) {
  const int before = CountNulls();
  ForEachSample([](std::size_t type, const Payload& payload) {
    for (std::size_t i = 0; i < payload.offsets.size(); ++i) {
      Payload forged = payload;
      forged.offsets.erase(forged.offsets.begin() +
                           static_cast<std::ptrdiff_t>(i));
      bool valid = true;
      EXPECT_STREQ(CheckHostile(type, forged, valid), nullptr);
      EXPECT_FALSE(valid);
      for (const ObjectType other :
           {ObjectType::kFd, ObjectType::kHandle, ObjectType::kWeakBinder}) {
        Payload changed = payload;
        FlatObject object{};
        object.hdr.type = static_cast<std::uint32_t>(other);
        object.handle = other == ObjectType::kFd ? 0 : 1;
        std::memcpy(changed.data.data() + payload.offsets[i], &object,
                    sizeof(object));
        EXPECT_STREQ(CheckHostile(type, changed, valid), nullptr);
      }
    }
  });
  EXPECT_EQ(CountNulls(), before);
}

TEST(HostileTest, AnyBytes) {
  const Fd file(OpenNull());
  const int before = CountNulls();
  for (unsigned seed = 0; seed < 20000; ++seed) {
    std::mt19937 random(seed);
    std::vector<std::byte> input(random() % 120);
    // Small numbers are what lengths and tags are.
    const unsigned most = random() % 2 == 0 ? 4 : 256;
    for (std::byte& byte : input)
      byte = static_cast<std::byte>(random() % most);
    if (!input.empty()) input[0] = static_cast<std::byte>(random());
    ASSERT_STREQ(CheckHostile(input, file.get()), nullptr) << "seed " << seed;
  }
  EXPECT_EQ(CountNulls(), before);
}

// What the fuzzer has found worth keeping.
TEST(HostileTest, Corpus) {
  const Fd file(OpenNull());
  int inputs = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(BINDERLITE_TEST_CORPUS "/codec")) {
    std::ifstream stream(entry.path(), std::ios::binary);
    const std::string input{std::istreambuf_iterator<char>(stream), {}};
    EXPECT_STREQ(
        CheckHostile(std::as_bytes(std::span<const char>(input)), file.get()),
        nullptr)
        << entry.path();
    ++inputs;
  }
  EXPECT_GT(inputs, 0);
}

TEST(HostileTest, InputsOfTheFuzzerAreWhatTheyAreMadeOf) {
  ForEachSample([](std::size_t type, const Payload& payload) {
    const std::vector<std::byte> input = MakeHostile(type, payload);
    std::size_t parsed_type = 0;
    const Fd file(OpenNull());
    const Payload parsed = ParseHostile(input, file.get(), parsed_type);
    EXPECT_EQ(parsed_type, type);
    EXPECT_EQ(parsed.offsets, payload.offsets);
    bool valid = false;
    EXPECT_STREQ(CheckHostile(type, parsed, valid), nullptr);
    EXPECT_TRUE(valid);
    // To begin a corpus with them.
    if (const char* const directory = std::getenv("BINDERLITE_WRITE_CORPUS")) {
      std::ofstream(
          std::filesystem::path(directory) / ("sample-" + std::to_string(type)),
          std::ios::binary)
          .write(reinterpret_cast<const char*>(input.data()),
                 static_cast<std::streamsize>(input.size()));
    }
  });
}

// --- Structs within structs. ---

// `depth` trees within each other.
Payload NestedTree(std::uint32_t depth) {
  std::vector<std::byte> data(depth * 8);
  for (std::uint32_t i = 0; i < depth; ++i) {
    const std::uint32_t words[] = {i, i + 1 < depth ? 1u : 0u};
    std::memcpy(data.data() + i * 8, words, sizeof(words));
  }
  return {std::move(data), {}};
}

TEST(HostileTest, RecursionEnds) {
  for (const std::uint32_t depth : {1u, 2u, 63u, 64u, 65u, 1000u, 1000000u}) {
    Tree tree;
    EXPECT_EQ(Decode(NestedTree(depth), tree), depth <= 64) << depth;
  }
}

TEST(HostileTest, WritersEndToo) {
  for (const int depth : {64, 65}) {
    List list;
    for (int i = 1; i < depth; ++i) {
      auto next = std::make_unique<List>(std::move(list));
      list = List{"", std::move(next)};
    }
    Writer writer({});
    WriteValue(writer, list);
    EXPECT_EQ(writer.failed(), depth > 64);
  }
}

// --- Lengths without elements. ---

std::size_t allocated = 0;  // bytes, ever

template <class T>
class CountingAllocator {
 public:
  using value_type = T;
  CountingAllocator() = default;
  template <class Other>
  CountingAllocator(const CountingAllocator<Other>&) {}  // NOLINT
  T* allocate(std::size_t count) {
    allocated += count * sizeof(T);
    return std::allocator<T>().allocate(count);
  }
  void deallocate(T* memory, std::size_t count) {
    std::allocator<T>().deallocate(memory, count);
  }
  bool operator==(const CountingAllocator&) const = default;
};

template <class T>
using CountedVector = std::vector<T, CountingAllocator<T>>;
using CountedString =
    std::basic_string<char, std::char_traits<char>, CountingAllocator<char>>;
template <class K, class V>
using CountedMap =
    std::map<K, V, std::less<K>, CountingAllocator<std::pair<const K, V>>>;
template <class T>
using CountedSet = std::set<T, std::less<T>, CountingAllocator<T>>;

// One byte on the wire if it is none.
struct Bulky {
  std::optional<std::array<std::uint64_t, 32>> numbers;
};

template <class T>
void ExpectNoRoomMade(std::uint32_t length) {
  for (const std::size_t size : {4u, 5u, 8u, 12u, 16u, 60u}) {
    Payload payload;
    payload.data.resize(size);
    std::memcpy(payload.data.data(), &length, sizeof(length));
    T value{};
    allocated = 0;
    EXPECT_FALSE(Decode(payload, value)) << size << " bytes";
    EXPECT_EQ(allocated, 0u);
  }
}

TEST(HostileTest, LengthsWithoutElements) {
  for (const std::uint32_t length :
       {100u, 0xffffu, 0x7fffffffu, 0x80000000u, 0xfffffffcu, 0xffffffffu}) {
    ExpectNoRoomMade<CountedString>(length);
    ExpectNoRoomMade<CountedVector<char>>(length);
    ExpectNoRoomMade<CountedVector<int>>(length);
    ExpectNoRoomMade<CountedVector<std::uint64_t>>(length);
    ExpectNoRoomMade<CountedVector<bool>>(length);
    ExpectNoRoomMade<CountedVector<Bulky>>(length);
    ExpectNoRoomMade<CountedVector<CountedString>>(length);
    ExpectNoRoomMade<CountedVector<Nothing>>(length);
    ExpectNoRoomMade<CountedVector<std::array<std::uint64_t, 4>>>(length);
    ExpectNoRoomMade<CountedMap<int, int>>(length);
    ExpectNoRoomMade<CountedMap<Nothing, CountedString>>(length);
    ExpectNoRoomMade<CountedSet<int>>(length);
    ExpectNoRoomMade<std::string_view>(length);
    ExpectNoRoomMade<std::span<const std::byte>>(length);
    ExpectNoRoomMade<std::span<const double>>(length);
  }
}

// A length that the payload could have, but of elements that are not there:
// they are much larger than what stands for them.
TEST(HostileTest, LengthsOfLargeElements) {
  Payload payload;
  payload.data.resize(4096, std::byte{2});
  const std::uint32_t length = 4092;
  std::memcpy(payload.data.data(), &length, sizeof(length));
  CountedVector<Bulky> value;
  allocated = 0;
  EXPECT_FALSE(Decode(payload, value));
  EXPECT_LE(allocated, payload.data.size());
}

// Memory is in proportion to the payload, even where one byte stands for a lot.
TEST(HostileTest, MemoryIsInProportion) {
  using Value =
      std::tuple<CountedVector<Bulky>, CountedVector<CountedVector<bool>>,
                 CountedMap<std::uint8_t, CountedVector<Bulky>>>;
  Value value;
  std::get<0>(value).resize(5);
  std::get<1>(value).resize(3);
  std::get<1>(value)[1].resize(20);
  std::get<2>(value)[3].resize(4);
  std::get<2>(value)[9].resize(2);
  const Payload payload = Encode(value);
  for (std::size_t at = 0; at < payload.data.size(); ++at) {
    Payload changed = payload;
    for (int change = 1; change < 256; ++change) {
      changed.data[at] = payload.data[at] ^ static_cast<std::byte>(change);
      Value read;
      allocated = 0;
      static_cast<void>(Decode(changed, read));
      // A vector that grows has had as much before.
      ASSERT_LE(allocated, payload.data.size() * sizeof(Bulky) * 4);
    }
  }
}

// --- At random. ---

struct Leaf {
  std::int32_t number = 0;
  std::string text;
  std::optional<double> maybe;
  std::vector<bool> bits;
  bool operator==(const Leaf&) const = default;
};
enum class Colour : std::uint16_t {};
struct Branch {
  std::map<std::string, std::variant<std::monostate, Leaf, std::vector<Leaf>>>
      leaves;
  bool flag = false;
  std::unordered_map<std::int64_t, std::set<std::string>> sets;
  std::tuple<std::uint8_t, float, std::pair<char16_t, Colour>> tuple;
  std::array<std::optional<Leaf>, 2> two;
  std::vector<std::vector<std::uint32_t>> numbers;
  std::chrono::nanoseconds duration{};
  std::vector<Branch> branches;
  bool operator==(const Branch&) const = default;
};

using Random = std::mt19937_64;

// A number of elements, fewer the deeper.
std::size_t DrawLength(Random& random, int depth) {
  return depth > 5 ? 0 : random() % (6u - static_cast<unsigned>(depth));
}

template <class T>
void Draw(Random& random, int depth, T& value) {
  using api_internal::Kind;
  constexpr Kind kOf = api_internal::kKind<T>;
  if constexpr (kOf == Kind::kBool) {
    value = random() % 2 == 0;
  } else if constexpr (std::is_floating_point_v<T>) {
    value = static_cast<T>(static_cast<std::int32_t>(random()));
  } else if constexpr (kOf == Kind::kNumber || kOf == Kind::kEnum) {
    value = static_cast<T>(random() >> random() % 64);
  } else if constexpr (kOf == Kind::kDuration) {
    value = T(static_cast<typename T::rep>(random()));
  } else if constexpr (kOf == Kind::kString) {
    value.resize(random() % 12);
    for (char& c : value) c = static_cast<char>(random());
  } else if constexpr (std::is_same_v<T, std::vector<bool>>) {
    for (auto n = random() % 10; n != 0; --n)
      value.push_back(random() % 2 == 0);
  } else if constexpr (kOf == Kind::kVector) {
    value.resize(DrawLength(random, depth));
    for (auto& element : value) Draw(random, depth + 1, element);
  } else if constexpr (kOf == Kind::kArray) {
    for (auto& element : value) Draw(random, depth, element);
  } else if constexpr (kOf == Kind::kMap) {
    for (auto n = DrawLength(random, depth); n != 0; --n) {
      typename T::key_type key{};
      Draw(random, depth + 1, key);
      Draw(random, depth + 1, value[std::move(key)]);
    }
  } else if constexpr (kOf == Kind::kSet) {
    for (auto n = DrawLength(random, depth); n != 0; --n) {
      typename T::key_type key{};
      Draw(random, depth + 1, key);
      value.insert(std::move(key));
    }
  } else if constexpr (kOf == Kind::kOptional) {
    if (random() % 2 == 0) Draw(random, depth, value.emplace());
  } else if constexpr (kOf == Kind::kVariant) {
    const std::size_t index = random() % api_internal::TypeList<T>::kSize;
    api_internal::TypeList<T>::Any([&]<std::size_t kIndex, class Type>() {
      if (index == kIndex) {
        Draw(random, depth, value.template emplace<kIndex>());
      }
      return index == kIndex;
    });
  } else if constexpr (kOf == Kind::kTuple) {
    api_internal::WithElements(value, [&](auto&... elements) {
      (Draw(random, depth, elements), ...);
    });
  } else {
    static_assert(kOf == Kind::kAggregate);
    api_internal::WithFields(value, [&](auto&... fields) {
      (Draw(random, depth + 1, fields), ...);
    });
  }
}

TEST(HostileTest, ValuesAtRandom) {
  std::size_t largest = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    Branch value;
    Draw(random, static_cast<int>(seed % 4), value);
    const Payload payload = Encode(value);
    largest = std::max(largest, payload.data.size());
    Branch read;
    ASSERT_TRUE(Decode(payload, read));
    ASSERT_EQ(read, value);
    // Cut off, in some places if there are many.
    const std::size_t step = 1 + payload.data.size() / 200;
    for (std::size_t size = 0; size < payload.data.size(); size += step) {
      Branch cut;
      ASSERT_FALSE(Decode(payload.Truncated(size), cut)) << size;
    }
    // Changed. What is still a value is one that comes back.
    for (int i = 0; i < 100; ++i) {
      Payload changed = payload;
      changed.data[random() % changed.data.size()] ^=
          static_cast<std::byte>(1u << random() % 8);
      Branch other;
      if (!Decode(changed, other)) continue;
      Branch same;
      ASSERT_TRUE(Decode(Encode(other), same)) << i;
    }
  }
  // It did draw something.
  EXPECT_GT(largest, 1000u);
}

}  // namespace
}  // namespace binderlite::testing
