// SPDX-License-Identifier: Apache-2.0
//
// Spares: memory is used again, up to the bound, and whoever makes and deletes
// objects without them is understood.

#include "binderlite/core/spares.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <utility>
#include <vector>

namespace binderlite::core {
namespace {

struct Thing {
  explicit Thing(int& live, int what = 0) : alive(&live), number(what) {
    ++*alive;
  }
  Thing(const Thing&) = delete;
  Thing& operator=(const Thing&) = delete;
  ~Thing() { --*alive; }
  int* alive;
  int number;
};

TEST(SparesTest, TheNextObjectGetsTheMemory) {
  int live = 0;
  Spares<Thing> spares(2);
  std::unique_ptr<Thing> first = spares.New(live, 1);
  const Thing* const where = first.get();
  EXPECT_EQ(live, 1);
  spares.Delete(std::move(first));
  EXPECT_EQ(live, 0);
  EXPECT_EQ(spares.count(), 1u);
  const std::unique_ptr<Thing> second = spares.New(live, 2);
  EXPECT_EQ(second.get(), where);
  EXPECT_EQ(second->number, 2);
  EXPECT_EQ(spares.count(), 0u);
  EXPECT_EQ(live, 1);
}

TEST(SparesTest, KeepsNoMoreThanItMay) {
  int live = 0;
  Spares<Thing> spares(2);
  for (int i = 0; i < 3; ++i) spares.Delete(std::make_unique<Thing>(live));
  spares.Delete(nullptr);
  EXPECT_EQ(spares.count(), 2u);
  EXPECT_EQ(live, 0);
}

TEST(SparesTest, MovesWhatIsTooMuchAsFarAsThereIsRoom) {
  int live = 0;
  Spares<Thing> from(4);
  Spares<Thing> to(2);
  for (int i = 0; i < 4; ++i) from.Delete(std::make_unique<Thing>(live));
  from.MoveTo(to, 3);
  EXPECT_EQ(from.count(), 3u);
  EXPECT_EQ(to.count(), 1u);
  from.MoveTo(to, 0);
  EXPECT_EQ(from.count(), 2u);
  EXPECT_EQ(to.count(), 2u);
  // Every block is one of its own.
  std::vector<std::unique_ptr<Thing>> things;
  std::set<Thing*> distinct;
  for (int i = 0; i < 2; ++i) {
    things.push_back(from.New(live));
    things.push_back(to.New(live));
  }
  for (const auto& thing : things) distinct.insert(thing.get());
  EXPECT_EQ(distinct.size(), 4u);
  EXPECT_EQ(live, 4);
}

TEST(SparesTest, KeepsWhatItMayFromNowOn) {
  int live = 0;
  Spares<Thing> spares(0);
  spares.Delete(std::make_unique<Thing>(live));
  EXPECT_EQ(spares.count(), 0u);
  spares.set_most(2);
  for (int i = 0; i < 3; ++i) spares.Delete(std::make_unique<Thing>(live));
  EXPECT_EQ(spares.count(), 2u);
  spares.set_most(1);
  EXPECT_EQ(spares.count(), 2u);
  spares.Delete(std::make_unique<Thing>(live));
  EXPECT_EQ(spares.count(), 2u);
  EXPECT_EQ(live, 0);
}

TEST(SparesTest, EndsInAnotherOne) {
  int live = 0;
  Spares<Thing> spares(8);
  for (int i = 0; i < 5; ++i) spares.Delete(std::make_unique<Thing>(live));
  {
    Spares<Thing> rest(0);
    spares.EndIn(rest);
    EXPECT_EQ(rest.count(), 5u);
  }
  EXPECT_EQ(spares.count(), 0u);
  spares.Delete(std::make_unique<Thing>(live));
  EXPECT_EQ(spares.count(), 0u);
  EXPECT_EQ(spares.New(live)->number, 0);
  EXPECT_EQ(live, 0);
}

}  // namespace
}  // namespace binderlite::core
