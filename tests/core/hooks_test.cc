// SPDX-License-Identifier: Apache-2.0
//
// Hooks: the names of the points, and that nothing has to be overridden.

#include "binderlite/core/hooks.h"

#include <gtest/gtest.h>

#include <iterator>
#include <set>
#include <string_view>

namespace binderlite {
namespace {

TEST(HooksTest, PointsHaveDistinctNames) {
  constexpr Point kAll[] = {Point::kEntering,   Point::kEntered,
                            Point::kSending,    Point::kParking,
                            Point::kWoken,      Point::kKilledWaiting,
                            Point::kDelivering, Point::kDeliveringDeath,
                            Point::kLeaving,    Point::kReleasing};
  std::set<std::string_view> names;
  for (const Point point : kAll) names.insert(ToString(point));
  EXPECT_EQ(names.size(), std::size(kAll));
  EXPECT_FALSE(names.contains("?"));
  EXPECT_EQ(ToString(static_cast<Point>(std::size(kAll))), "?");
}

TEST(HooksTest, OverridingOneMethodIsEnough) {
  class OnlyErrors : public Hooks {
   public:
    void OnUserError(UserError error, std::int32_t pid,
                     std::int32_t tid) override {
      EXPECT_EQ(error, UserError::kBadBuffer);
      sum += pid + tid;
    }
    std::int32_t sum = 0;
  };
  OnlyErrors errors;
  Hooks& hooks = errors;
  hooks.At(Point::kEntering, 1, 2);
  hooks.OnUserError(UserError::kBadBuffer, 10, 20);
  EXPECT_EQ(errors.sum, 30);
}

}  // namespace
}  // namespace binderlite
