// SPDX-License-Identifier: Apache-2.0
//
// The fields of aggregates: that they are counted right, and visited in order.

#include "binderlite/api/aggregate.h"

#include <gtest/gtest.h>

#include <any>
#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

namespace binderlite::api_internal {
namespace {

struct Zero {};
struct One {
  int a;
};
struct Explicit {
  Explicit(int);  // NOLINT(google-explicit-constructor)
};
class NoAggregate {
 public:
  explicit NoAggregate(int) {}
};
union Union {
  int a;
  float b;
};
struct Derived : One {
  int b;
};
struct DerivedOfNothing : Zero {
  int b;
};
// What stand-ins that convert to anything are ambiguous for.
struct Difficult {
  std::optional<int> a;
  std::variant<std::string, int> b;
  std::any c;
  std::function<void()> d;
  std::vector<Difficult> e;
  std::unique_ptr<int> f;
  std::array<int, 3> g;
  int h[3];
  Zero i;
  One j;
  std::string k;
  int* l;
  const char m = 'm';
  bool n = true;
};
struct ThirtyTwo {
  int a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16;
  int b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, b14, b15, b16;
};
struct ThirtyThree {
  int a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16;
  int b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, b14, b15, b16;
  std::string c;
};

static_assert(kFieldCount<Zero> == 0);
static_assert(kFieldCount<One> == 1);
static_assert(kFieldCount<Difficult> == 14);
static_assert(kFieldCount<ThirtyTwo> == 32);
static_assert(kFieldCount<ThirtyThree> > kMostFields);

static_assert(Aggregate<Difficult>);
static_assert(!Aggregate<NoAggregate>);
static_assert(!Aggregate<Explicit>);
static_assert(!Aggregate<Union>);
static_assert(!Aggregate<int[3]>);
static_assert(!Aggregate<int>);
static_assert(!Aggregate<std::string>);

static_assert(HasBase<Derived>);
static_assert(HasBase<DerivedOfNothing>);
static_assert(!HasBase<One>);
static_assert(!HasBase<Zero>);
static_assert(!HasBase<Difficult>);

TEST(AggregateTest, VisitsFieldsInOrder) {
  ThirtyTwo value{};
  int next = 0;
  WithFields(value, [&](auto&... fields) { ((fields = ++next), ...); });
  EXPECT_EQ(next, 32);
  EXPECT_EQ(value.a1, 1);
  EXPECT_EQ(value.a16, 16);
  EXPECT_EQ(value.b16, 32);
  const ThirtyTwo& same = value;
  const int sum = WithFields(
      same, [](const auto&... fields) { return (0 + ... + fields); });
  EXPECT_EQ(sum, 32 * 33 / 2);
}

TEST(AggregateTest, OfNothing) {
  Zero zero;
  EXPECT_EQ(WithFields(zero, [] { return 7; }), 7);
}

TEST(AggregateTest, KeepsTypes) {
  Difficult value;
  WithFields(value, []<class... Ts>(Ts&... fields) {
    static_assert(sizeof...(Ts) == 14);
    static_cast<void>((static_cast<void>(fields), ...));
  });
}

}  // namespace
}  // namespace binderlite::api_internal
