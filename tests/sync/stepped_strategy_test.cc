// SPDX-License-Identifier: Apache-2.0
//
// The strategies of the stepped scheduler, without a scheduler.

#include "binderlite/sync/stepped_strategy.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "gtest/gtest.h"

namespace binderlite::sync {
namespace {

const std::vector<int> kTwo = {0, 1};
const std::vector<int> kThree = {2, 0, 1};

Schedule Decide(SteppedStrategy& strategy, int decisions) {
  Schedule schedule;
  for (int i = 0; i < decisions; ++i) {
    schedule.push_back(strategy.Choose({kThree, true}));
  }
  return schedule;
}

TEST(ScheduleTest, TextIsShort) {
  EXPECT_EQ(EncodeSchedule({}), "s1:");
  EXPECT_EQ(EncodeSchedule({0, 2, 1, 1}), "s1:0,2,1*2");
  EXPECT_EQ(EncodeSchedule({0, 0, 0, 1, 12}), "s1:0*3,1,12");
  EXPECT_EQ(EncodeSchedule({1, 0, 0}), "s1:1");
  EXPECT_EQ(EncodeSchedule({0, 0}), "s1:");
}

TEST(ScheduleTest, TextCanBeReadBack) {
  SteppedRandom random(7);
  for (int i = 0; i < 200; ++i) {
    Schedule schedule(random.Below(30));
    for (std::size_t& choice : schedule) choice = random.Below(3);
    schedule.push_back(1);
    EXPECT_EQ(DecodeSchedule(EncodeSchedule(schedule)), schedule);
  }
  EXPECT_EQ(DecodeSchedule("s1:"), Schedule());
  EXPECT_EQ(DecodeSchedule("s1:0*2,3"), (Schedule{0, 0, 3}));
}

TEST(ScheduleTest, RefusesOtherText) {
  for (const char* text : {"", "s1", "s2:0", "0,1", "s1:x", "s1:1,", "s1:,1",
                           "s1:1,,2", "s1:1 ", "s1:1*", "s1:-1", "s1:1*2*3",
                           "s1:1*99999999999", "s1:99999999999999999999999"}) {
    EXPECT_EQ(DecodeSchedule(text), std::nullopt) << text;
  }
}

TEST(CooperativeStrategyTest, ChangesNothing) {
  CooperativeStrategy strategy;
  EXPECT_EQ(Decide(strategy, 5), Schedule(5, 0));
}

TEST(RandomStrategyTest, SeedDecides) {
  RandomStrategy a(1);
  RandomStrategy again(1);
  RandomStrategy b(2);
  const Schedule schedule = Decide(a, 64);
  EXPECT_EQ(Decide(again, 64), schedule);
  EXPECT_NE(Decide(b, 64), schedule);
}

TEST(RandomStrategyTest, EveryChoiceIsMade) {
  RandomStrategy strategy(3);
  const Schedule schedule = Decide(strategy, 300);
  const std::set<std::size_t> made(schedule.begin(), schedule.end());
  EXPECT_EQ(made, (std::set<std::size_t>{0, 1, 2}));
}

TEST(PctStrategyTest, DepthOneKeepsItsPriorities) {
  std::set<std::size_t> favourites;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    PctStrategy strategy(seed, 1, 10);
    const Schedule schedule = Decide(strategy, 10);
    EXPECT_EQ(schedule, Schedule(10, schedule.front()));
    favourites.insert(schedule.front());
  }
  EXPECT_EQ(favourites.size(), 3u);
}

TEST(PctStrategyTest, ChangesAtMostDepthMinusOneTimes) {
  int changed = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    PctStrategy strategy(seed, 3, 10);
    const Schedule schedule = Decide(strategy, 20);
    int changes = 0;
    for (std::size_t i = 1; i < schedule.size(); ++i) {
      changes += schedule[i] != schedule[i - 1] ? 1 : 0;
    }
    EXPECT_LE(changes, 2) << seed;
    changed += changes;
  }
  EXPECT_GT(changed, 50);
}

TEST(PctStrategyTest, PriorityBelongsToTheActorNotToThePlace) {
  const std::vector<int> here = {0, 1};
  const std::vector<int> there = {1, 0};
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    PctStrategy strategy(seed, 1, 10);
    const int first = here[strategy.Choose({here, false})];
    EXPECT_EQ(there[strategy.Choose({there, false})], first);
  }
}

TEST(ReplayStrategyTest, RepeatsThenCooperates) {
  ReplayStrategy strategy("s1:2,1*2");
  EXPECT_EQ(Decide(strategy, 5), (Schedule{2, 1, 1, 0, 0}));
}

TEST(ReplayStrategyDeathTest, RefusesOtherText) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_DEATH(ReplayStrategy("nonsense"), "not a schedule: nonsense");
}

// Runs a search over schedules of `length` two-way decisions.
std::vector<Schedule> AllSchedules(int bound, int length, bool can_continue) {
  std::vector<Schedule> all;
  ExhaustiveSearch search(bound);
  do {
    const std::unique_ptr<SteppedStrategy> strategy = search.NewStrategy();
    all.emplace_back();
    for (int i = 0; i < length; ++i) {
      all.back().push_back(strategy->Choose({kTwo, can_continue}));
    }
  } while (search.Advance());
  return all;
}

TEST(ExhaustiveSearchTest, UnboundedVisitsEverySchedule) {
  const std::vector<Schedule> all =
      AllSchedules(ExhaustiveSearch::kUnbounded, 6, true);
  EXPECT_EQ(all.size(), 64u);
  EXPECT_EQ(std::set<Schedule>(all.begin(), all.end()).size(), 64u);
  EXPECT_EQ(all.front(), Schedule(6, 0));
}

TEST(ExhaustiveSearchTest, BoundLimitsPreemptions) {
  EXPECT_EQ(AllSchedules(0, 6, true).size(), 1u);
  EXPECT_EQ(AllSchedules(1, 6, true).size(), 1u + 6u);
  const std::vector<Schedule> all = AllSchedules(2, 6, true);
  EXPECT_EQ(all.size(), 1u + 6u + 15u);
  EXPECT_EQ(std::set<Schedule>(all.begin(), all.end()).size(), all.size());
}

TEST(ExhaustiveSearchTest, ForcedChangesCostNothing) {
  EXPECT_EQ(AllSchedules(0, 6, false).size(), 64u);
}

TEST(ExhaustiveSearchTest, LaterDecisionsMayDependOnEarlierOnes) {
  // One more three-way decision after each 1.
  std::set<Schedule> all;
  int runs = 0;
  ExhaustiveSearch search(ExhaustiveSearch::kUnbounded);
  do {
    const std::unique_ptr<SteppedStrategy> strategy = search.NewStrategy();
    Schedule schedule;
    for (int i = 0; i < 2; ++i) {
      schedule.push_back(strategy->Choose({kTwo, false}));
      if (schedule.back() == 1) {
        schedule.push_back(strategy->Choose({kThree, false}));
      }
    }
    all.insert(schedule);
    ++runs;
  } while (search.Advance());
  EXPECT_EQ(runs, 16);
  EXPECT_EQ(all.size(), 16u);
}

TEST(ExhaustiveSearchDeathTest, NoticesATestThatChanges) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  const auto other_choices = [] {
    ExhaustiveSearch search(ExhaustiveSearch::kUnbounded);
    search.NewStrategy()->Choose({kTwo, false});
    if (search.Advance()) search.NewStrategy()->Choose({kThree, false});
  };
  EXPECT_DEATH(other_choices(), "3 choices instead of 2 at decision 0");
  const auto fewer_decisions = [] {
    ExhaustiveSearch search(ExhaustiveSearch::kUnbounded);
    search.NewStrategy()->Choose({kTwo, false});
    if (!search.Advance()) return;
    search.NewStrategy();
    search.Advance();
  };
  EXPECT_DEATH(fewer_decisions(), "0 decisions instead of 1");
}

}  // namespace
}  // namespace binderlite::sync
