// SPDX-License-Identifier: Apache-2.0
//
// CheckHostile: reads any bytes as a value of some type, and says what went
// wrong. The fuzzer calls it with what it invents, tests with what they know.
//
// The input: which type; how many objects; for each, one byte that says where
// it is and what; then the payload, in which the objects are put as a driver
// would. So a payload can lie about everything but objects, as senders can.

#ifndef BINDERLITE_TESTS_SUPPORT_HOSTILE_H_
#define BINDERLITE_TESTS_SUPPORT_HOSTILE_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "binderlite/api/codec.h"
#include "binderlite/wire/objects.h"
#include "support/descriptors.h"
#include "support/payloads.h"

namespace binderlite::testing {

// --- Types that together have everything that can be sent. ---

struct Scalars {
  bool a = false;
  char b = 0;
  std::int16_t c = 0;
  float d = 0;
  std::uint8_t e = 0;
  double f = 0;
  char32_t g = 0;
  long double h = 0;
  std::byte i{};
  std::chrono::duration<std::int32_t, std::milli> j{};
  std::chrono::steady_clock::time_point k;
  std::array<std::uint16_t, 3> l{};
};

struct Views {
  std::string_view text;
  std::span<const std::byte> bytes;
  std::span<const double> numbers;
  std::span<const std::int16_t> shorts;
  std::string copy;
};

struct Nothing {
  auto operator<=>(const Nothing&) const = default;
};

struct Tree {
  std::int32_t value = 0;
  std::vector<Tree> children;
};

struct List {
  std::string name;
  std::unique_ptr<List> next;
};

using Choice =
    std::variant<std::monostate, bool, std::string, std::vector<double>,
                 std::optional<std::variant<Nothing, std::int64_t>>>;

using Sorted =
    std::map<std::string,
             std::vector<std::map<std::int32_t, std::optional<std::string>>>>;

using Hashed = std::unordered_map<std::string, std::set<std::int64_t>>;

struct Odd {
  std::vector<bool> bits;
  std::vector<Nothing> nothings;
  std::vector<long double> long_doubles;
  std::array<std::string, 2> strings;
  std::array<std::int32_t, 0> none{};
  std::tuple<> nothing;
  std::tuple<std::uint8_t, std::pair<std::uint64_t, bool>> some;
  std::set<std::vector<std::uint16_t>> sets;
};

struct Objects {
  std::optional<Fd> maybe_fd;
  std::shared_ptr<ApiObject> object;
  std::vector<std::shared_ptr<ApiObject>> more;
  std::string between;
  std::map<std::uint8_t, Fd> fds;
};

// As a call with arguments, the last of which may be missing.
struct Call {
  std::int32_t first = 0;
  std::string second;
  std::optional<std::string> third;
  std::optional<Fd> fourth;
};

}  // namespace binderlite::testing

namespace binderlite {

template <>
struct Codec<testing::Call> {
  static void Write(Writer& writer, const testing::Call& call) {
    WriteArguments(writer, call.first, call.second, call.third, call.fourth);
  }
  static bool Read(Reader& reader, testing::Call& call) {
    return ReadArguments(reader, call.first, call.second, call.third,
                         call.fourth);
  }
};

}  // namespace binderlite

namespace binderlite::testing {

namespace hostile_internal {

enum class Compare { kBytes, kValues };

// Writes `value`, or says why that is not possible.
template <class T>
const char* Rewrite(const T& value, FakeObjects& objects, Payload& payload) {
  Writer counting({}, &objects);
  WriteValue(counting, value);
  if (counting.failed()) return "what was read cannot be written";
  payload.data.resize(counting.size());
  Writer writer(payload.data, &objects);
  WriteValue(writer, value);
  if (!writer.fits()) return "what was read does not fit";
  payload.offsets.assign(writer.offsets().begin(), writer.offsets().end());
  return nullptr;
}

// But for the numbers of descriptors, which are new each time.
inline std::vector<std::byte> WithoutNumbers(const Payload& payload) {
  std::vector<std::byte> bytes = payload.data;
  for (const std::uint64_t offset : payload.offsets) {
    FdObject object;
    std::memcpy(&object, bytes.data() + offset, sizeof(object));
    if (object.hdr.type != static_cast<std::uint32_t>(ObjectType::kFd)) {
      continue;
    }
    object.fd = 0;
    std::memcpy(bytes.data() + offset, &object, sizeof(object));
  }
  return bytes;
}

// What can be read can be written, and then reads as the same.
template <class T, Compare kCompare>
const char* CheckTwice(const Delivered& first, FakeObjects& objects,
                       std::vector<int>& descriptors, bool& valid) {
  T value{};
  Reader reader = first.reader(&objects);
  valid = ReadValue(reader, value);
  if (valid != reader.ok()) return "read, and failed";
  if (!valid) return nullptr;

  Payload again;
  if (const char* wrong = Rewrite(value, objects, again)) return wrong;
  const Delivered second(again);
  descriptors.insert(descriptors.end(), second.descriptors().begin(),
                     second.descriptors().end());
  T same{};
  Reader again_reader = second.reader(&objects);
  if (!ReadValue(again_reader, same)) return "what was written cannot be read";
  if (!again_reader.AtEnd()) return "more was written than is read";
  if constexpr (kCompare == Compare::kValues) {
    if (!(value == same)) return "another value";
  } else {
    Payload last;
    if (const char* wrong = Rewrite(same, objects, last)) return wrong;
    if (WithoutNumbers(again) != WithoutNumbers(last)) return "another value";
  }
  return nullptr;
}

template <class T, Compare kCompare = Compare::kBytes>
const char* Check(const Payload& payload, bool& valid) {
  FakeObjects objects;
  for (int i = 0; i < 4; ++i) static_cast<void>(objects.Make());
  std::vector<int> descriptors;
  const char* wrong = nullptr;
  {
    const Delivered delivery(payload);
    descriptors = delivery.descriptors();
    wrong = CheckTwice<T, kCompare>(delivery, objects, descriptors, valid);
  }
  for (const int fd : descriptors) {
    if (IsOpen(fd)) return "a descriptor is still open";
  }
  return wrong;
}

using Checker = const char* (*)(const Payload&, bool&);

}  // namespace hostile_internal

// In the order of their numbers in the input; only to be added to, since there
// is a corpus.
using HostileTypes = std::tuple<Scalars, Views, Tree, List, Choice, Sorted,
                                Hashed, Odd, Objects, Call>;
inline constexpr std::size_t kHostileTypes = std::tuple_size_v<HostileTypes>;

// Null if all is well. `valid` says whether the payload was a value.
inline const char* CheckHostile(std::size_t type, const Payload& payload,
                                bool& valid) {
  using hostile_internal::Check;
  using hostile_internal::Compare;
  // What is hashed has no order that could be compared.
  static constexpr hostile_internal::Checker kCheckers[] = {
      Check<Scalars>,
      Check<Views>,
      Check<Tree>,
      Check<List>,
      Check<Choice>,
      Check<Sorted>,
      Check<Hashed, Compare::kValues>,
      Check<Odd>,
      Check<Objects>,
      Check<Call>};
  static_assert(std::size(kCheckers) == kHostileTypes);
  return kCheckers[type % kHostileTypes](payload, valid);
}

// A payload out of any bytes. `fd` is what its descriptors are of.
inline Payload ParseHostile(std::span<const std::byte> input, int fd,
                            std::size_t& type) {
  Payload payload;
  const auto next = [&input] {
    if (input.empty()) return 0u;
    const auto byte = static_cast<unsigned>(input.front());
    input = input.subspan(1);
    return byte;
  };
  type = next();
  std::vector<unsigned> places(next() % 16);
  for (unsigned& place : places) place = next();
  payload.data.assign(input.begin(), input.end());
  std::uint64_t at = 0;
  for (const unsigned place : places) {
    at += std::uint64_t{place % 32} * 8;
    if (at + sizeof(FlatObject) > payload.data.size()) break;
    // A descriptor, a handle, which may be of nothing, a node of one's own, or
    // what the typed API does not send.
    FlatObject object{};
    constexpr ObjectType kTypes[] = {ObjectType::kFd, ObjectType::kHandle,
                                     ObjectType::kBinder,
                                     ObjectType::kWeakHandle};
    object.hdr.type = static_cast<std::uint32_t>(kTypes[place / 64]);
    object.handle = place / 64 == 0 ? static_cast<std::uint32_t>(fd)
                                    : (place / 32 % 2 == 0 ? 1u : 77u);
    std::memcpy(payload.data.data() + at, &object, sizeof(object));
    payload.offsets.push_back(at);
    at += sizeof(object);
  }
  return payload;
}

inline const char* CheckHostile(std::span<const std::byte> input, int fd) {
  std::size_t type = 0;
  bool valid = false;
  const Payload payload = ParseHostile(input, fd, type);
  return CheckHostile(type, payload, valid);
}

// The input that parses as `payload`, of few objects close to each other.
inline std::vector<std::byte> MakeHostile(std::size_t type,
                                          const Payload& payload) {
  std::vector<std::byte> input{static_cast<std::byte>(type),
                               static_cast<std::byte>(payload.offsets.size())};
  std::uint64_t at = 0;
  for (const std::uint64_t offset : payload.offsets) {
    ObjectHeader header;
    std::memcpy(&header, payload.data.data() + offset, sizeof(header));
    const bool is_fd =
        header.type == static_cast<std::uint32_t>(ObjectType::kFd);
    input.push_back(
        static_cast<std::byte>((offset - at) / 8 + (is_fd ? 0 : 64)));
    at = offset + sizeof(FlatObject);
  }
  input.insert(input.end(), payload.data.begin(), payload.data.end());
  return input;
}

}  // namespace binderlite::testing

#endif  // BINDERLITE_TESTS_SUPPORT_HOSTILE_H_
