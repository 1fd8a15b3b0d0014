// SPDX-License-Identifier: Apache-2.0
//
// The fields of aggregates, without naming them: how many there are, and a
// function called with all of them.
//
// They are counted by how many `{}` initialise the type: one stands for one
// field whatever its type, arrays included, while a stand-in that converts to
// anything is ambiguous for optionals and variants. So each field must be one
// that `{}` can make, as reading needs anyway; where a default member
// initialiser hides that it is not, the compiler complains below that the
// number of names is wrong. What cannot be done by structured bindings (base
// classes with fields, fields that are bits) cannot be done here.
//
// The counts are written out: that is what a macro or a library would expand
// to, and compiles faster than what templates could do.
//
// No locks; nothing here does anything at run time.

#ifndef BINDERLITE_API_AGGREGATE_H_
#define BINDERLITE_API_AGGREGATE_H_

#include <cstddef>
#include <type_traits>

namespace binderlite::api_internal {

inline constexpr std::size_t kMostFields = 32;

// A struct without constructors.
template <class T>
concept Aggregate = std::is_aggregate_v<T> && std::is_class_v<T> && requires {
  T{};
};

// Converts to bases of T only.
template <class T>
struct AnyBase {
  template <class Base>
  requires(std::is_base_of_v<Base, T> && !std::is_same_v<Base, T>)
  operator Base() const;  // NOLINT(google-explicit-constructor)
};

template <class T>
concept HasBase = requires {
  T{AnyBase<T>{}};
};

// kMostFields + 1 if there are more.
template <Aggregate T>
consteval std::size_t CountFields() {
  // clang-format off
  if constexpr (!requires { T{{}}; }) {
    return 0;
  } else if constexpr (!requires { T{{},{}}; }) {
    return 1;
  } else if constexpr (!requires { T{{},{},{}}; }) {
    return 2;
  } else if constexpr (!requires { T{{},{},{},{}}; }) {
    return 3;
  } else if constexpr (!requires { T{{},{},{},{},{}}; }) {
    return 4;
  } else if constexpr (!requires { T{{},{},{},{},{},{}}; }) {
    return 5;
  } else if constexpr (!requires { T{{},{},{},{},{},{},{}}; }) {
    return 6;
  } else if constexpr (!requires { T{{},{},{},{},{},{},{},{}}; }) {
    return 7;
  } else if constexpr (!requires { T{{},{},{},{},{},{},{},{},{}}; }) {
    return 8;
  } else if constexpr (!requires { T{{},{},{},{},{},{},{},{},{},{}}; }) {
    return 9;
  } else if constexpr (!requires { T{{},{},{},{},{},{},{},{},{},{},{}}; }) {
    return 10;
  } else if constexpr (!requires { T{{},{},{},{},{},{},{},{},{},{},{},{}}; }) {
    return 11;
  } else if constexpr (!requires { T{{},{},{},{},{},{},{},{},{},{},{},{},
                    {}}; }) {
    return 12;
  } else if constexpr (!requires { T{{},{},{},{},{},{},{},{},{},{},{},{},{},
                    {}}; }) {
    return 13;
  } else if constexpr (!requires { T{{},{},{},{},{},{},{},{},{},{},{},{},{},{},
                    {}}; }) {
    return 14;
  } else if constexpr (!requires { T{{},{},{},{},{},{},{},{},{},{},{},{},{},{},
                    {},{}}; }) {
    return 15;
  } else if constexpr (!requires { T{{},{},{},{},{},{},{},{},{},{},{},{},{},{},
                    {},{},{}}; }) {
    return 16;
  } else if constexpr (!requires { T{{},{},{},{},{},{},{},{},{},{},{},{},{},{},
                    {},{},{},{}}; }) {
    return 17;
  } else if constexpr (!requires { T{{},{},{},{},{},{},{},{},{},{},{},{},{},{},
                    {},{},{},{},{}}; }) {
    return 18;
  } else if constexpr (!requires { T{{},{},{},{},{},{},{},{},{},{},{},{},{},{},
                    {},{},{},{},{},{}}; }) {
    return 19;
  } else if constexpr (!requires { T{{},{},{},{},{},{},{},{},{},{},{},{},{},{},
                    {},{},{},{},{},{},{}}; }) {
    return 20;
  } else if constexpr (!requires { T{{},{},{},{},{},{},{},{},{},{},{},{},{},{},
                    {},{},{},{},{},{},{},{}}; }) {
    return 21;
  } else if constexpr (!requires { T{{},{},{},{},{},{},{},{},{},{},{},{},{},{},
                    {},{},{},{},{},{},{},{},{}}; }) {
    return 22;
  } else if constexpr (!requires { T{{},{},{},{},{},{},{},{},{},{},{},{},{},{},
                    {},{},{},{},{},{},{},{},{},{}}; }) {
    return 23;
  } else if constexpr (!requires { T{{},{},{},{},{},{},{},{},{},{},{},{},{},{},
                    {},{},{},{},{},{},{},{},{},{},{}}; }) {
    return 24;
  } else if constexpr (!requires { T{{},{},{},{},{},{},{},{},{},{},{},{},{},{},
                    {},{},{},{},{},{},{},{},{},{},{},{}}; }) {
    return 25;
  } else if constexpr (!requires { T{{},{},{},{},{},{},{},{},{},{},{},{},{},{},
                    {},{},{},{},{},{},{},{},{},{},{},{},{}}; }) {
    return 26;
  } else if constexpr (!requires { T{{},{},{},{},{},{},{},{},{},{},{},{},{},{},
                    {},{},{},{},{},{},{},{},{},{},{},{},{},{}}; }) {
    return 27;
  } else if constexpr (!requires { T{{},{},{},{},{},{},{},{},{},{},{},{},{},{},
                    {},{},{},{},{},{},{},{},{},{},{},{},{},{},{}}; }) {
    return 28;
  } else if constexpr (!requires { T{{},{},{},{},{},{},{},{},{},{},{},{},{},{},
                    {},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}}; }) {
    return 29;
  } else if constexpr (!requires { T{{},{},{},{},{},{},{},{},{},{},{},{},{},{},
                    {},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}}; }) {
    return 30;
  } else if constexpr (!requires { T{{},{},{},{},{},{},{},{},{},{},{},{},{},{},
                    {},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}}; }) {
    return 31;
  } else if constexpr (!requires { T{{},{},{},{},{},{},{},{},{},{},{},{},{},{},
                    {},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},
                    {}}; }) {
    return 32;
  } else {
    return kMostFields + 1;
  }
  // clang-format on
}

template <class T>
inline constexpr std::size_t kFieldCount = CountFields<T>();

// visit(field, field, ...), of a T or const T.
template <class T, class Visitor>
constexpr decltype(auto) WithFields(T& value, Visitor&& visit) {
  constexpr std::size_t kCount = kFieldCount<std::remove_const_t<T>>;
  static_assert(kCount <= kMostFields,
                "binderlite: more than 32 fields: specialise "
                "binderlite::Codec<T>");
  if constexpr (kCount == 0) {
    return visit();
  } else if constexpr (kCount == 1) {
    auto& [f1] = value;
    return visit(f1);
  } else if constexpr (kCount == 2) {
    auto& [f1, f2] = value;
    return visit(f1, f2);
  } else if constexpr (kCount == 3) {
    auto& [f1, f2, f3] = value;
    return visit(f1, f2, f3);
  } else if constexpr (kCount == 4) {
    auto& [f1, f2, f3, f4] = value;
    return visit(f1, f2, f3, f4);
  } else if constexpr (kCount == 5) {
    auto& [f1, f2, f3, f4, f5] = value;
    return visit(f1, f2, f3, f4, f5);
  } else if constexpr (kCount == 6) {
    auto& [f1, f2, f3, f4, f5, f6] = value;
    return visit(f1, f2, f3, f4, f5, f6);
  } else if constexpr (kCount == 7) {
    auto& [f1, f2, f3, f4, f5, f6, f7] = value;
    return visit(f1, f2, f3, f4, f5, f6, f7);
  } else if constexpr (kCount == 8) {
    auto& [f1, f2, f3, f4, f5, f6, f7, f8] = value;
    return visit(f1, f2, f3, f4, f5, f6, f7, f8);
  } else if constexpr (kCount == 9) {
    auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9] = value;
    return visit(f1, f2, f3, f4, f5, f6, f7, f8, f9);
  } else if constexpr (kCount == 10) {
    auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10] = value;
    return visit(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10);
  } else if constexpr (kCount == 11) {
    auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11] = value;
    return visit(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11);
  } else if constexpr (kCount == 12) {
    auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12] = value;
    return visit(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12);
  } else if constexpr (kCount == 13) {
    auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13] = value;
    return visit(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13);
  } else if constexpr (kCount == 14) {
    auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14] = value;
    return visit(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14);
  } else if constexpr (kCount == 15) {
    auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15] =
        value;
    return visit(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14,
                 f15);
  } else if constexpr (kCount == 16) {
    auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15,
           f16] = value;
    return visit(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14,
                 f15, f16);
  } else if constexpr (kCount == 17) {
    auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15,
           f16, f17] = value;
    return visit(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14,
                 f15, f16, f17);
  } else if constexpr (kCount == 18) {
    auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15,
           f16, f17, f18] = value;
    return visit(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14,
                 f15, f16, f17, f18);
  } else if constexpr (kCount == 19) {
    auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15,
           f16, f17, f18, f19] = value;
    return visit(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14,
                 f15, f16, f17, f18, f19);
  } else if constexpr (kCount == 20) {
    auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15,
           f16, f17, f18, f19, f20] = value;
    return visit(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14,
                 f15, f16, f17, f18, f19, f20);
  } else if constexpr (kCount == 21) {
    auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15,
           f16, f17, f18, f19, f20, f21] = value;
    return visit(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14,
                 f15, f16, f17, f18, f19, f20, f21);
  } else if constexpr (kCount == 22) {
    auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15,
           f16, f17, f18, f19, f20, f21, f22] = value;
    return visit(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14,
                 f15, f16, f17, f18, f19, f20, f21, f22);
  } else if constexpr (kCount == 23) {
    auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15,
           f16, f17, f18, f19, f20, f21, f22, f23] = value;
    return visit(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14,
                 f15, f16, f17, f18, f19, f20, f21, f22, f23);
  } else if constexpr (kCount == 24) {
    auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15,
           f16, f17, f18, f19, f20, f21, f22, f23, f24] = value;
    return visit(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14,
                 f15, f16, f17, f18, f19, f20, f21, f22, f23, f24);
  } else if constexpr (kCount == 25) {
    auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15,
           f16, f17, f18, f19, f20, f21, f22, f23, f24, f25] = value;
    return visit(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14,
                 f15, f16, f17, f18, f19, f20, f21, f22, f23, f24, f25);
  } else if constexpr (kCount == 26) {
    auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15,
           f16, f17, f18, f19, f20, f21, f22, f23, f24, f25, f26] = value;
    return visit(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14,
                 f15, f16, f17, f18, f19, f20, f21, f22, f23, f24, f25, f26);
  } else if constexpr (kCount == 27) {
    auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15,
           f16, f17, f18, f19, f20, f21, f22, f23, f24, f25, f26, f27] = value;
    return visit(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14,
                 f15, f16, f17, f18, f19, f20, f21, f22, f23, f24, f25, f26,
                 f27);
  } else if constexpr (kCount == 28) {
    auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15,
           f16, f17, f18, f19, f20, f21, f22, f23, f24, f25, f26, f27, f28] =
        value;
    return visit(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14,
                 f15, f16, f17, f18, f19, f20, f21, f22, f23, f24, f25, f26,
                 f27, f28);
  } else if constexpr (kCount == 29) {
    auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15,
           f16, f17, f18, f19, f20, f21, f22, f23, f24, f25, f26, f27, f28,
           f29] = value;
    return visit(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14,
                 f15, f16, f17, f18, f19, f20, f21, f22, f23, f24, f25, f26,
                 f27, f28, f29);
  } else if constexpr (kCount == 30) {
    auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15,
           f16, f17, f18, f19, f20, f21, f22, f23, f24, f25, f26, f27, f28, f29,
           f30] = value;
    return visit(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14,
                 f15, f16, f17, f18, f19, f20, f21, f22, f23, f24, f25, f26,
                 f27, f28, f29, f30);
  } else if constexpr (kCount == 31) {
    auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15,
           f16, f17, f18, f19, f20, f21, f22, f23, f24, f25, f26, f27, f28, f29,
           f30, f31] = value;
    return visit(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14,
                 f15, f16, f17, f18, f19, f20, f21, f22, f23, f24, f25, f26,
                 f27, f28, f29, f30, f31);
  } else if constexpr (kCount == 32) {
    auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15,
           f16, f17, f18, f19, f20, f21, f22, f23, f24, f25, f26, f27, f28, f29,
           f30, f31, f32] = value;
    return visit(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14,
                 f15, f16, f17, f18, f19, f20, f21, f22, f23, f24, f25, f26,
                 f27, f28, f29, f30, f31, f32);
  }
}

}  // namespace binderlite::api_internal

#endif  // BINDERLITE_API_AGGREGATE_H_
