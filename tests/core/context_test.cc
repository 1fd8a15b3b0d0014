// SPDX-License-Identifier: Apache-2.0
//
// Context: ids, and what it tells its hooks.

#include "binderlite/core/context.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <tuple>
#include <vector>

#include "binderlite/sync/locking.h"
#include "support/core_objects.h"

namespace binderlite::core {
namespace {

using L = FineGrained<>;

class Recorder : public Hooks {
 public:
  void At(Point point, std::int32_t pid, std::int32_t tid) override {
    points.emplace_back(point, pid, tid);
  }
  void OnUserError(UserError error, std::int32_t pid,
                   std::int32_t tid) override {
    errors.emplace_back(error, pid, tid);
  }

  std::vector<std::tuple<Point, std::int32_t, std::int32_t>> points;
  std::vector<std::tuple<UserError, std::int32_t, std::int32_t>> errors;
};

TEST(ContextTest, TellsItsHooks) {
  Recorder recorder;
  testing::CoreObjects<L> objects({.name = "test", .hooks = &recorder});
  EXPECT_EQ(objects.context().options.name, "test");
  objects.context().At(Point::kSending, 1, 2);
  objects.context().Complain(UserError::kBadDeath, 3, 4);
  ASSERT_EQ(recorder.points.size(), 1u);
  EXPECT_EQ(recorder.points.front(), std::tuple(Point::kSending, 1, 2));
  ASSERT_EQ(recorder.errors.size(), 1u);
  EXPECT_EQ(recorder.errors.front(), std::tuple(UserError::kBadDeath, 3, 4));
}

TEST(ContextTest, IdsAreDifferentInEveryThread) {
  constexpr std::size_t kEach = 5000;
  testing::CoreObjects<L> objects;
  std::vector<std::vector<std::uint32_t>> ids(4);
  {
    std::vector<std::jthread> threads;
    for (std::vector<std::uint32_t>& mine : ids) {
      threads.emplace_back([&objects, &mine] {
        for (std::size_t i = 0; i < kEach; ++i) {
          mine.push_back(objects.context().NextId());
        }
      });
    }
  }
  std::vector<std::uint32_t> all;
  for (const std::vector<std::uint32_t>& mine : ids) {
    all.insert(all.end(), mine.begin(), mine.end());
  }
  std::sort(all.begin(), all.end());
  for (std::size_t i = 0; i < all.size(); ++i) {
    ASSERT_EQ(all[i], i + 1);  // 0 is nobody's.
  }
}

}  // namespace
}  // namespace binderlite::core
