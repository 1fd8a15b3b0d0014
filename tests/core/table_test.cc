// SPDX-License-Identifier: Apache-2.0
//
// Table, against a std::multimap that does the same, and KeyedMap.

#include "binderlite/core/table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <new>
#include <random>
#include <set>
#include <vector>

namespace binderlite::core {
namespace {

struct Item : TableLink<Item> {
  explicit Item(std::uint64_t number, int what = 0)
      : key(number), value(what) {}
  [[nodiscard]] std::uint64_t table_key() const { return key; }
  const std::uint64_t key;
  const int value;
};

std::multiset<std::uint64_t> KeysIn(const Table<Item>& table) {
  std::multiset<std::uint64_t> keys;
  table.ForEach([&keys](const Item& item) { keys.insert(item.key); });
  return keys;
}

TEST(TableTest, EmptyOneFindsNothing) {
  Table<Item> table;
  EXPECT_TRUE(table.empty());
  EXPECT_EQ(table.size(), 0u);
  EXPECT_EQ(table.Find(0), nullptr);
  table.ForEach([](Item&) { ADD_FAILURE(); });
  table.TakeAll([](Item&) { ADD_FAILURE(); });
}

TEST(TableTest, FindsWhatIsInIt) {
  Table<Item> table;
  Item zero(0);
  Item most(~std::uint64_t{0});
  table.Insert(zero);
  table.Insert(most);
  EXPECT_EQ(table.Find(0), &zero);
  EXPECT_EQ(table.Find(~std::uint64_t{0}), &most);
  EXPECT_EQ(table.Find(1), nullptr);
  EXPECT_EQ(table.size(), 2u);
  table.Erase(zero);
  EXPECT_EQ(table.Find(0), nullptr);
  EXPECT_EQ(table.size(), 1u);
  table.Insert(zero);
  EXPECT_EQ(table.Find(0), &zero);
}

TEST(TableTest, SeveralMayHaveOneKey) {
  Table<Item> table;
  Item one(7);
  Item two(7);
  table.Insert(one);
  table.Insert(two);
  EXPECT_EQ(KeysIn(table), (std::multiset<std::uint64_t>{7, 7}));
  table.Erase(one);
  EXPECT_EQ(table.Find(7), &two);
}

TEST(TableTest, LongRandomRunsAgreeWithTheModel) {
  // Small numbers, addresses, what differs in the upper half only.
  for (const int shift : {0, 4, 40}) {
    std::mt19937 engine(static_cast<unsigned>(shift));
    std::deque<Item> items;
    for (std::uint64_t i = 0; i < 500; ++i) items.emplace_back(i << shift);
    Table<Item> table;
    std::set<std::uint64_t> model;
    for (int step = 0; step < 5000; ++step) {
      Item& item = items[engine() % items.size()];
      if (model.insert(item.key).second) {
        table.Insert(item);
      } else {
        table.Erase(item);
        model.erase(item.key);
      }
      ASSERT_EQ(table.size(), model.size());
      const Item& asked = items[engine() % items.size()];
      ASSERT_EQ(table.Find(asked.key),
                model.contains(asked.key) ? &asked : nullptr);
    }
    EXPECT_EQ(KeysIn(table),
              std::multiset<std::uint64_t>(model.begin(), model.end()));
  }
}

TEST(TableTest, RebuildingLeavesTheOthersWhereTheyAre) {
  Table<Item> table;
  std::deque<Item> items;
  // More than one in a chain, wherever it is.
  for (std::uint64_t i = 0; i < 16; ++i) {
    items.emplace_back(i % 4);
    table.Insert(items.back());
  }
  for (Item& item : items) {
    const std::uint64_t key = item.key;
    Item& made = table.Rebuild(
        item, [key](Item* place) { return ::new (place) Item(key, 1); });
    EXPECT_EQ(&made, &item);
  }
  EXPECT_EQ(table.size(), items.size());
  std::size_t seen = 0;
  table.ForEach([&seen](const Item& item) {
    ++seen;
    EXPECT_EQ(item.value, 1);
  });
  EXPECT_EQ(seen, items.size());
}

TEST(TableTest, WhatIsTakenOutMayBeDestroyed) {
  Table<Item> table;
  for (std::uint64_t i = 0; i < 100; ++i) {
    table.Insert(*std::make_unique<Item>(i).release());
  }
  std::vector<std::uint64_t> keys;
  table.TakeAll([&keys](Item& item) {
    const std::unique_ptr<Item> gone(&item);
    keys.push_back(gone->key);
  });
  EXPECT_TRUE(table.empty());
  std::sort(keys.begin(), keys.end());
  ASSERT_EQ(keys.size(), 100u);
  for (std::uint64_t i = 0; i < 100; ++i) EXPECT_EQ(keys[i], i);
  Item again(3);
  table.Insert(again);
  EXPECT_EQ(table.Find(3), &again);
}

TEST(KeyedMapTest, MakesFindsAndErases) {
  KeyedMap<int> map;
  EXPECT_EQ(map.Find(5), nullptr);
  map.Erase(5);
  EXPECT_EQ(map[5], 0);
  map[5] = 50;
  map[6] = 60;
  ASSERT_NE(map.Find(5), nullptr);
  EXPECT_EQ(*map.Find(5), 50);
  EXPECT_EQ(map.size(), 2u);
  map.Erase(5);
  EXPECT_EQ(map.Find(5), nullptr);
  EXPECT_EQ(map[6], 60);
  map.Clear();
  EXPECT_EQ(map.size(), 0u);
  EXPECT_EQ(map.Find(6), nullptr);
}

}  // namespace
}  // namespace binderlite::core
