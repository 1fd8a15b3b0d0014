// SPDX-License-Identifier: Apache-2.0
//
// What can be sent: Codec<T>, which users specialise for types of their own,
// and the types that need no such thing. docs/wire-format.md has the format.
//
//   template <>
//   struct binderlite::Codec<Point> {
//     static void Write(Writer& writer, const Point& point) {
//       WriteValue(writer, point.x());
//     }
//     static bool Read(Reader& reader, Point& point);  // false: not valid
//   };
//
// Need none: arithmetic types and enums, std::string, std::vector, std::array,
// std::optional, std::variant, std::tuple, std::pair, maps and sets, durations
// and points in time, std::unique_ptr (null or a value), Fd,
// std::shared_ptr<ApiObject>, and structs of all these without constructors.
// std::string_view and std::span<const T> are read in place: what they show
// lies in the payload, and is gone with it.
//
// Maps, sets, variants, arrays and the types of <chrono> are known by what they
// can do, not by name. Their headers take twice as long to compile as all of
// this (0.12 s against 0.06 s beyond <string>, <vector> and <memory>), and
// whoever sends a map has included <map>. Other maps, those of Abseil say, come
// with it for nothing.
//
// No locks. Reading reserves no more memory than the payload is long, whatever
// it says; elements that are there may then take more.

#ifndef BINDERLITE_API_CODEC_H_
#define BINDERLITE_API_CODEC_H_

#include <cfloat>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "binderlite/api/aggregate.h"
#include "binderlite/api/fd.h"
#include "binderlite/api/objects.h"
#include "binderlite/api/reader.h"
#include "binderlite/api/writer.h"

namespace binderlite {

// Specialise it with
//
//   static void Write(Writer& writer, const T& value);
//   static bool Read(Reader& reader, T& value);
//
// by means of WriteValue and ReadValue. Write takes at least one byte, so that
// a number of elements can be checked against what is left. Read returns
// whether `value` has been read; it gets a T{}. One of the two may be missing.
template <class T>
struct Codec;

template <class T>
void WriteValue(Writer& writer, const T& value);
template <class T>
[[nodiscard]] bool ReadValue(Reader& reader, T& value);

namespace api_internal {

template <class T>
concept HasWrite = requires(Writer& writer, const T& value) {
  Codec<T>::Write(writer, value);
};
template <class T>
concept HasRead = requires(Reader& reader, T& value) {
  { Codec<T>::Read(reader, value) } -> std::convertible_to<bool>;
};

enum class Kind {
  kNone,
  kUser,  // has a Codec
  kPointer,
  kBool,
  kNumber,
  kLongDouble,
  kEnum,
  kString,
  kStringView,
  kCString,
  kSpan,
  kVector,
  kArray,
  kOptional,
  kUniquePtr,
  kVariant,
  kTuple,
  kMap,
  kSet,
  kDuration,
  kTimePoint,
  kObject,
  kFd,
  kAggregate,
};

// Of templates that are known by name.
template <class T>
inline constexpr Kind kNamedKind = Kind::kNone;
template <>
inline constexpr Kind kNamedKind<Fd> = Kind::kFd;
template <>
inline constexpr Kind kNamedKind<std::shared_ptr<ApiObject>> = Kind::kObject;
template <>
inline constexpr Kind kNamedKind<std::string_view> = Kind::kStringView;
template <class A>
inline constexpr Kind
    kNamedKind<std::basic_string<char, std::char_traits<char>, A>> =
        Kind::kString;
template <class T, class A>
inline constexpr Kind kNamedKind<std::vector<T, A>> = Kind::kVector;
template <class T, std::size_t kExtent>
inline constexpr Kind kNamedKind<std::span<T, kExtent>> = Kind::kSpan;
template <class T>
inline constexpr Kind kNamedKind<std::optional<T>> = Kind::kOptional;
template <class T>
requires(!std::is_array_v<T>) inline constexpr Kind
    kNamedKind<std::unique_ptr<T>> = Kind::kUniquePtr;

// The types that a template was given.
template <class Sequence>
struct TypeList;
template <template <class...> class Sequence, class... Types>
struct TypeList<Sequence<Types...>> {
  static constexpr std::size_t kSize = sizeof...(Types);
  // Calls f.template operator()<Index, Type>() for each until one is true.
  template <class F>
  static constexpr bool Any(F&& f) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return (... || f.template operator()<I, Types>());
    }
    (std::make_index_sequence<kSize>());
  }
};

// Elements in a row that are as long as their type says.
template <class T>
concept ArrayLike = requires(T& array) {
  std::tuple_size<T>::value;
  typename T::value_type;
  array.data();
};

template <class T>
concept TupleLike = requires {
  std::tuple_size<T>::value;
  TypeList<T>::kSize;
};

template <class T>
concept VariantLike = requires(const T& variant) {
  { variant.valueless_by_exception() } -> std::same_as<bool>;
  variant.index();
  TypeList<T>::kSize;
};

// Keys are unique: emplace and insert say whether there is a new one.
template <class T>
concept MapLike = requires(T& map, typename T::key_type key,
                           typename T::mapped_type value) {
  map.size();
  map.begin()->second;
  {
    map.emplace(std::move(key), std::move(value)).second
    } -> std::convertible_to<bool>;
};
template <class T>
concept SetLike =
    std::is_same_v<typename T::key_type, typename T::value_type> &&
    requires(T& set, typename T::key_type key) {
  set.size();
  *set.begin();
  { set.insert(std::move(key)).second } -> std::convertible_to<bool>;
};

template <class T>
concept DurationLike = requires(const T& duration) {
  typename T::period;
  { duration.count() } -> std::same_as<typename T::rep>;
  requires std::is_arithmetic_v<typename T::rep>;
};

// Only of clocks that mean the same everywhere: steady ones, and that of the
// system (it has to_time_t).
template <class T>
concept TimePointLike = requires(const T& time) {
  { time.time_since_epoch() } -> std::same_as<typename T::duration>;
  requires T::clock::is_steady || requires { T::clock::to_time_t(time); };
};

template <class T>
consteval Kind Classify() {
  if constexpr (HasWrite<T> || HasRead<T>) {
    return Kind::kUser;
  } else if constexpr (std::is_same_v<T, bool>) {
    return Kind::kBool;
  } else if constexpr (std::is_same_v<T, long double>) {
    return Kind::kLongDouble;
  } else if constexpr (std::is_arithmetic_v<T>) {
    return Kind::kNumber;
  } else if constexpr (std::is_enum_v<T>) {
    return Kind::kEnum;
  } else if constexpr (!std::is_class_v<T>) {
    if constexpr (std::is_same_v<std::decay_t<T>, const char*> ||
                  std::is_same_v<std::decay_t<T>, char*>) {
      return Kind::kCString;
    } else if constexpr (std::is_pointer_v<T> || std::is_reference_v<T> ||
                         std::is_member_pointer_v<T> ||
                         std::is_null_pointer_v<T>) {
      return Kind::kPointer;
    } else {
      return Kind::kNone;
    }
  } else if constexpr (kNamedKind<T> != Kind::kNone) {
    return kNamedKind<T>;
  } else if constexpr (ArrayLike<T>) {
    return Kind::kArray;
  } else if constexpr (TupleLike<T>) {
    return Kind::kTuple;
  } else if constexpr (MapLike<T>) {
    return Kind::kMap;
  } else if constexpr (SetLike<T>) {
    return Kind::kSet;
  } else if constexpr (VariantLike<T>) {
    return Kind::kVariant;
  } else if constexpr (DurationLike<T>) {
    return Kind::kDuration;
  } else if constexpr (TimePointLike<T>) {
    return Kind::kTimePoint;
  } else if constexpr (Aggregate<T>) {
    return Kind::kAggregate;
  } else {
    return Kind::kNone;
  }
}
template <class T>
inline constexpr Kind kKind = Classify<T>();

// What an array of can be copied as one block, and a span of read in place:
// any bytes are a value.
template <class T>
consteval bool IsPlain() {
  if constexpr (kKind<T> == Kind::kNumber) {
    return alignof(T) == kAlignment<T>;
  } else if constexpr (kKind<T> == Kind::kEnum) {
    return IsPlain<std::underlying_type_t<T>>();
  } else {
    return false;
  }
}
template <class T>
inline constexpr bool kIsPlain = IsPlain<T>();

// Whether T can be written or read, all the way down but for the fields of
// structs: those may be of a type that is being asked about.
template <class T, bool kReading>
consteval bool CanDo() {
  constexpr Kind kOf = kKind<T>;
  if constexpr (kOf == Kind::kUser) {
    return kReading ? HasRead<T> : HasWrite<T>;
  } else if constexpr (kOf == Kind::kNone || kOf == Kind::kPointer) {
    return false;
  } else if constexpr (kOf == Kind::kCString) {
    return !kReading;
  } else if constexpr (kOf == Kind::kSpan) {
    return std::is_const_v<typename T::element_type> &&
           T::extent == std::dynamic_extent && kIsPlain<typename T::value_type>;
  } else if constexpr (kOf == Kind::kVector || kOf == Kind::kArray ||
                       kOf == Kind::kOptional) {
    return CanDo<typename T::value_type, kReading>();
  } else if constexpr (kOf == Kind::kUniquePtr) {
    return CanDo<typename T::element_type, kReading>();
  } else if constexpr (kOf == Kind::kTuple || kOf == Kind::kVariant) {
    return !TypeList<T>::Any(
        []<std::size_t, class Type>() { return !CanDo<Type, kReading>(); });
  } else if constexpr (kOf == Kind::kMap) {
    return CanDo<typename T::key_type, kReading>() &&
           CanDo<typename T::mapped_type, kReading>();
  } else if constexpr (kOf == Kind::kSet) {
    return CanDo<typename T::key_type, kReading>();
  } else {
    return true;
  }
}

// Says what is wrong in our words.
template <class T, bool kReading>
constexpr void Check() {
  static_assert(
      kKind<T> != Kind::kPointer && !(kReading && kKind<T> == Kind::kCString),
      "binderlite: pointers cannot be sent, nor references: nobody "
      "else can follow them; send what they point at");
  static_assert(!std::is_array_v<T> || kKind<T> == Kind::kCString,
                "binderlite: C arrays cannot be sent: use std::array");
  static_assert(kKind<T> != Kind::kSpan || CanDo<T, kReading>(),
                "binderlite: this std::span cannot be sent: it has to be a "
                "std::span<const T> of arithmetic elements other than bool; "
                "use std::vector<T>");
  static_assert(kKind<T> != Kind::kNone || std::is_array_v<T>,
                "binderlite: this type cannot be sent: specialise "
                "binderlite::Codec<T>, or make it an aggregate");
  static_assert(!kReading || !std::is_const_v<T>,
                "binderlite: nothing can be read into what is const");
  if constexpr (kKind<T> == Kind::kTuple) {
    static_assert(!TypeList<T>::Any([]<std::size_t, class Type>() {
      return std::is_reference_v<Type>;
    }),
                  "binderlite: references cannot be sent, nor pointers: make "
                  "it a tuple of values");
  }
  if constexpr (kKind<T> == Kind::kUser) {
    static_assert(CanDo<T, kReading>(),
                  "binderlite: this type cannot be sent this way: its "
                  "binderlite::Codec<T> has only one of Write and Read");
  }
  if constexpr (kKind<T> == Kind::kAggregate) {
    static_assert(!HasBase<T>,
                  "binderlite: this type cannot be sent, since it has a base "
                  "class: specialise binderlite::Codec<T>");
  }
}

// long double has as many bytes that mean something; the rest is padding.
inline constexpr std::size_t kLongDoubleBytes =
    LDBL_MANT_DIG == 64 ? 10 : sizeof(long double);

// What has no fields takes one byte, which is zero.
inline void WriteNothing(Writer& writer) { writer.Number(std::uint8_t{0}); }
[[nodiscard]] inline bool ReadNothing(Reader& reader) {
  std::uint8_t nothing = 0;
  if (!reader.Number(nothing)) return false;
  return nothing == 0 || reader.Fail("something where there is nothing");
}

inline void WriteText(Writer& writer, std::string_view text) {
  writer.Length(text.size());
  if (!text.empty()) writer.Bytes(text.data(), text.size(), 1);
}
[[nodiscard]] inline bool ReadText(Reader& reader, std::string_view& text) {
  std::uint32_t length = 0;
  if (!reader.Length(length)) return false;
  const std::byte* const from = reader.Take(length, 1);
  if (from == nullptr) return false;
  text = {reinterpret_cast<const char*>(from), length};
  return true;
}

// Elements, without their number.
template <class Range>
void WriteElements(Writer& writer, const Range& range) {
  using T = typename Range::value_type;
  if constexpr (kIsPlain<T> && requires { range.data(); }) {
    if (range.size() == 0) return;  // an empty block has no padding either
    writer.Bytes(range.data(), range.size() * sizeof(T), kAlignment<T>);
  } else {
    for (const auto& element : range) {
      if (writer.failed()) return;
      WriteValue<T>(writer, element);
    }
  }
}

// `count` elements of plain type; null and true if there are none.
template <class T>
[[nodiscard]] bool TakeBlock(Reader& reader, std::size_t count,
                             const std::byte*& block) {
  block = nullptr;
  if (count == 0) return reader.ok();
  block = reader.Take(count * sizeof(T), kAlignment<T>);
  return block != nullptr;
}

template <class T>
[[nodiscard]] bool ReadVector(Reader& reader, T& vector) {
  using Element = typename T::value_type;
  std::uint32_t length = 0;
  vector.clear();
  if constexpr (kIsPlain<Element>) {
    const std::byte* block = nullptr;
    if (!reader.Length(length, sizeof(Element)) ||
        !TakeBlock<Element>(reader, length, block)) {
      return false;
    }
    const auto* const elements = reinterpret_cast<const Element*>(block);
    vector.assign(elements, elements + length);
  } else {
    if (!reader.Length(length)) return false;
    // Elements may be much larger than what stands for them: no more memory at
    // once than the payload has.
    const std::size_t affordable = reader.remaining() / sizeof(Element);
    vector.reserve(length < affordable ? length : affordable);
    for (; length != 0; --length) {
      if constexpr (std::is_same_v<Element, bool>) {
        bool element = false;
        if (!reader.Bool(element)) return false;
        vector.push_back(element);
      } else {
        if (!ReadValue(reader, vector.emplace_back())) return false;
      }
    }
  }
  return true;
}

template <class T>
[[nodiscard]] bool ReadArray(Reader& reader, T& array) {
  using Element = typename T::value_type;
  if constexpr (std::tuple_size_v<T> == 0) {
    return ReadNothing(reader);
  } else if constexpr (kIsPlain<Element>) {
    const std::byte* block = nullptr;
    if (!TakeBlock<Element>(reader, array.size(), block)) return false;
    std::memcpy(array.data(), block, array.size() * sizeof(Element));
    return true;
  } else {
    for (Element& element : array) {
      if (!ReadValue(reader, element)) return false;
    }
    return true;
  }
}

template <class T>
[[nodiscard]] bool ReadMap(Reader& reader, T& map) {
  std::uint32_t length = 0;
  map.clear();
  // A key and a value take two bytes at least.
  if (!reader.Length(length, 2)) return false;
  for (; length != 0; --length) {
    typename T::key_type key{};
    typename T::mapped_type value{};
    if (!ReadValue(reader, key) || !ReadValue(reader, value)) return false;
    if (!map.emplace(std::move(key), std::move(value)).second) {
      return reader.Fail("a key twice");
    }
  }
  return true;
}

template <class T>
[[nodiscard]] bool ReadSet(Reader& reader, T& set) {
  std::uint32_t length = 0;
  set.clear();
  if (!reader.Length(length)) return false;
  for (; length != 0; --length) {
    typename T::key_type key{};
    if (!ReadValue(reader, key)) return false;
    if (!set.insert(std::move(key)).second) return reader.Fail("a key twice");
  }
  return true;
}

template <class T>
void WriteVariant(Writer& writer, const T& variant) {
  static_assert(TypeList<T>::kSize < 256,
                "binderlite: more than 255 alternatives cannot be sent");
  if (variant.valueless_by_exception()) {
    writer.Fail("a variant without a value");
    return;
  }
  writer.Number(static_cast<std::uint8_t>(variant.index()));
  static_cast<void>(TypeList<T>::Any([&]<std::size_t kIndex, class Type>() {
    if (variant.index() != kIndex) return false;
    WriteValue<Type>(writer, *get_if<kIndex>(&variant));
    return true;
  }));
}

template <class T>
[[nodiscard]] bool ReadVariant(Reader& reader, T& variant) {
  std::uint8_t index = 0;
  if (!reader.Number(index)) return false;
  bool known = false;
  const bool read = TypeList<T>::Any([&]<std::size_t kIndex, class Type>() {
    if (index != kIndex) return false;
    known = true;
    return ReadValue<Type>(reader, variant.template emplace<kIndex>());
  });
  if (!known) return reader.Fail("no such alternative");
  return read;
}

// As 64 bits whatever the type counts with, so that it means the same to
// those who count with another one.
template <class T>
void WriteDuration(Writer& writer, const T& duration) {
  if constexpr (std::is_floating_point_v<typename T::rep>) {
    WriteValue(writer, duration.count());
  } else {
    writer.Number(static_cast<std::int64_t>(duration.count()));
  }
}
template <class T>
[[nodiscard]] bool ReadDuration(Reader& reader, T& duration) {
  using Rep = typename T::rep;
  if constexpr (std::is_floating_point_v<Rep>) {
    Rep count{};
    if (!ReadValue(reader, count)) return false;
    duration = T(count);
  } else {
    std::int64_t count = 0;
    if (!reader.Number(count)) return false;
    const auto narrow = static_cast<Rep>(count);
    if (static_cast<std::int64_t>(narrow) != count) {
      return reader.Fail("a duration out of range");
    }
    duration = T(narrow);
  }
  return true;
}

template <class... Fields>
void WriteFields(Writer& writer, const Fields&... fields) {
  if constexpr (sizeof...(Fields) == 0) {
    WriteNothing(writer);
  } else {
    (WriteValue(writer, fields), ...);
  }
}
template <class... Fields>
[[nodiscard]] bool ReadFields(Reader& reader, Fields&... fields) {
  if constexpr (sizeof...(Fields) == 0) {
    return ReadNothing(reader);
  } else {
    return (... && ReadValue(reader, fields));
  }
}

// Calls visit(element, element, ...).
template <class T, class Visitor>
decltype(auto) WithElements(T& tuple, Visitor&& visit) {
  return [&]<std::size_t... I>(std::index_sequence<I...>)->decltype(auto) {
    return visit(get<I>(tuple)...);
  }
  (std::make_index_sequence<std::tuple_size_v<std::remove_const_t<T>>>());
}

}  // namespace api_internal

// What WriteValue takes, and ReadValue. The fields of a struct are not asked
// about: if they cannot be sent, calling the function says so.
template <class T>
concept Encodable = api_internal::CanDo<T, false>();
template <class T>
concept Decodable = api_internal::CanDo<T, true>();

// Appends `value` to the payload. If it cannot be sent the Writer fails.
template <class T>
void WriteValue(Writer& writer, const T& value) {
  using api_internal::Kind;
  constexpr Kind kOf = api_internal::kKind<T>;
  api_internal::Check<T, false>();
  if constexpr (kOf == Kind::kUser) {
    if (!writer.Enter()) return;
    const std::size_t before = writer.size();
    Codec<T>::Write(writer, value);
    if (writer.size() == before) writer.Fail("a Codec that writes nothing");
    writer.Leave();
  } else if constexpr (kOf == Kind::kAggregate) {
    if (!writer.Enter()) return;
    api_internal::WithFields(value, [&](const auto&... fields) {
      api_internal::WriteFields(writer, fields...);
    });
    writer.Leave();
  } else if constexpr (kOf == Kind::kBool) {
    writer.Number(static_cast<std::uint8_t>(value ? 1 : 0));
  } else if constexpr (kOf == Kind::kNumber) {
    writer.Number(value);
  } else if constexpr (kOf == Kind::kLongDouble) {
    std::byte bytes[sizeof(T)]{};
    std::memcpy(bytes, &value, api_internal::kLongDoubleBytes);
    writer.Bytes(bytes, sizeof(bytes), api_internal::kAlignment<T>);
  } else if constexpr (kOf == Kind::kEnum) {
    WriteValue(writer, static_cast<std::underlying_type_t<T>>(value));
  } else if constexpr (kOf == Kind::kString || kOf == Kind::kStringView) {
    api_internal::WriteText(writer, value);
  } else if constexpr (kOf == Kind::kCString) {
    if constexpr (std::is_array_v<T>) {
      // A literal, or an array that may be full.
      const void* const end = std::memchr(value, 0, sizeof(value));
      const auto size =
          end == nullptr
              ? sizeof(value)
              : static_cast<std::size_t>(static_cast<const char*>(end) - value);
      api_internal::WriteText(writer, {value, size});
    } else if (value == nullptr) {
      writer.Fail("null where there has to be text");
    } else {
      api_internal::WriteText(writer, value);
    }
  } else if constexpr (kOf == Kind::kSpan || kOf == Kind::kVector ||
                       kOf == Kind::kSet) {
    writer.Length(value.size());
    api_internal::WriteElements(writer, value);
  } else if constexpr (kOf == Kind::kArray) {
    if constexpr (std::tuple_size_v<T> == 0) {
      api_internal::WriteNothing(writer);
    } else {
      api_internal::WriteElements(writer, value);
    }
  } else if constexpr (kOf == Kind::kOptional || kOf == Kind::kUniquePtr) {
    const bool present = static_cast<bool>(value);
    WriteValue(writer, present);
    if (present) {
      WriteValue<std::remove_cvref_t<decltype(*value)>>(writer, *value);
    }
  } else if constexpr (kOf == Kind::kTuple) {
    api_internal::WithElements(value, [&](const auto&... elements) {
      api_internal::WriteFields(writer, elements...);
    });
  } else if constexpr (kOf == Kind::kMap) {
    writer.Length(value.size());
    for (const auto& [key, mapped] : value) {
      if (writer.failed()) return;
      WriteValue<typename T::key_type>(writer, key);
      WriteValue<typename T::mapped_type>(writer, mapped);
    }
  } else if constexpr (kOf == Kind::kVariant) {
    api_internal::WriteVariant(writer, value);
  } else if constexpr (kOf == Kind::kDuration) {
    api_internal::WriteDuration(writer, value);
  } else if constexpr (kOf == Kind::kTimePoint) {
    api_internal::WriteDuration(writer, value.time_since_epoch());
  } else if constexpr (kOf == Kind::kObject) {
    writer.Object(value);
  } else if constexpr (kOf == Kind::kFd) {
    writer.Descriptor(value.get());
  }
}

// Reads a value, into one that is as T{} made it or of any other value. False:
// the Reader has failed, and `value` is whatever has been read of it.
template <class T>
[[nodiscard]] bool ReadValue(Reader& reader, T& value) {
  using api_internal::Kind;
  constexpr Kind kOf = api_internal::kKind<T>;
  api_internal::Check<T, true>();
  if constexpr (kOf == Kind::kUser) {
    if (!reader.Enter()) return false;
    const bool read = Codec<T>::Read(reader, value);
    reader.Leave();
    if (!read) reader.Fail("a value that its Codec refuses");
    return reader.ok();
  } else if constexpr (kOf == Kind::kAggregate) {
    if (!reader.Enter()) return false;
    const bool read = api_internal::WithFields(value, [&](auto&... fields) {
      return api_internal::ReadFields(reader, fields...);
    });
    reader.Leave();
    return read;
  } else if constexpr (kOf == Kind::kBool) {
    return reader.Bool(value);
  } else if constexpr (kOf == Kind::kNumber) {
    return reader.Number(value);
  } else if constexpr (kOf == Kind::kLongDouble) {
    const std::byte* const from =
        reader.Take(sizeof(T), api_internal::kAlignment<T>);
    if (from == nullptr) return false;
    value = 0;
    std::memcpy(&value, from, api_internal::kLongDoubleBytes);
    return true;
  } else if constexpr (kOf == Kind::kEnum) {
    std::underlying_type_t<T> number{};
    if (!ReadValue(reader, number)) return false;
    value = static_cast<T>(number);
    return true;
  } else if constexpr (kOf == Kind::kString) {
    std::string_view text;
    if (!api_internal::ReadText(reader, text)) return false;
    value.assign(text);
    return true;
  } else if constexpr (kOf == Kind::kStringView) {
    return api_internal::ReadText(reader, value);
  } else if constexpr (kOf == Kind::kSpan) {
    using Element = typename T::value_type;
    std::uint32_t length = 0;
    const std::byte* block = nullptr;
    if (!reader.Length(length, sizeof(Element)) ||
        !api_internal::TakeBlock<Element>(reader, length, block)) {
      return false;
    }
    value = {reinterpret_cast<const Element*>(block), length};
    return true;
  } else if constexpr (kOf == Kind::kVector) {
    return api_internal::ReadVector(reader, value);
  } else if constexpr (kOf == Kind::kArray) {
    return api_internal::ReadArray(reader, value);
  } else if constexpr (kOf == Kind::kOptional || kOf == Kind::kUniquePtr) {
    value.reset();
    bool present = false;
    if (!reader.Bool(present)) return false;
    if (!present) return true;
    if constexpr (kOf == Kind::kOptional) {
      return ReadValue(reader, value.emplace());
    } else {
      value = std::make_unique<typename T::element_type>();
      return ReadValue(reader, *value);
    }
  } else if constexpr (kOf == Kind::kTuple) {
    return api_internal::WithElements(value, [&](auto&... elements) {
      return api_internal::ReadFields(reader, elements...);
    });
  } else if constexpr (kOf == Kind::kMap) {
    return api_internal::ReadMap(reader, value);
  } else if constexpr (kOf == Kind::kSet) {
    return api_internal::ReadSet(reader, value);
  } else if constexpr (kOf == Kind::kVariant) {
    return api_internal::ReadVariant(reader, value);
  } else if constexpr (kOf == Kind::kDuration) {
    return api_internal::ReadDuration(reader, value);
  } else if constexpr (kOf == Kind::kTimePoint) {
    typename T::duration since{};
    if (!api_internal::ReadDuration(reader, since)) return false;
    value = T(since);
    return true;
  } else if constexpr (kOf == Kind::kObject) {
    return reader.Object(value);
  } else if constexpr (kOf == Kind::kFd) {
    return reader.Descriptor(value);
  } else {
    return false;  // Check() has said why
  }
}

// An argument or a result: as ReadValue, but that an optional is nullopt where
// the payload ends. So a method can gain optional arguments at its end, and
// still be called by those who do not know of them.
template <class T>
[[nodiscard]] bool ReadArgument(Reader& reader, T& value) {
  if constexpr (api_internal::kKind<T> == api_internal::Kind::kOptional) {
    if (reader.AtEnd()) {
      value.reset();
      return true;
    }
  }
  return ReadValue(reader, value);
}

// All arguments of a call, or its results, in order. None take no bytes.
template <class... Ts>
void WriteArguments(Writer& writer, const Ts&... values) {
  (WriteValue(writer, values), ...);
}
// Reads what WriteArguments has written, each as ReadArgument does; more may
// follow. False: the Reader has failed.
template <class... Ts>
[[nodiscard]] bool ReadArguments(Reader& reader, Ts&... values) {
  return (... && ReadArgument(reader, values)) && reader.ok();
}

}  // namespace binderlite

#endif  // BINDERLITE_API_CODEC_H_
