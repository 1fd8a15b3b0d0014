// SPDX-License-Identifier: Apache-2.0
//
// TransactionLog: the last 32, in order, each complete or said not to be,
// whoever writes at the same time.

#include "binderlite/core/log.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <thread>
#include <vector>

#include "binderlite/debug/log.h"

namespace binderlite::core {
namespace {

LogEntry Entry(std::uint32_t id) { return {.id = id, .from_pid = 7}; }

TEST(TransactionLogTest, IsEmptyAtFirst) {
  const TransactionLog log;
  EXPECT_TRUE(debug::ReadLog(log).empty());
}

// Rows: DB-05
TEST(TransactionLogTest, KeepsEverythingOfAnEntry) {
  constexpr auto kMax = std::numeric_limits<std::uint32_t>::max();
  LogEntry entry{.id = kMax,
                 .kind = TransactionKind::kReply,
                 .from_pid = -1,
                 .from_tid = 2,
                 .to_pid = 3,
                 .to_tid = -4,
                 .node = kMax - 1,
                 .handle = kMax - 2,
                 .data_size = ~std::uint64_t{0},
                 .offsets_size = ~std::uint64_t{1},
                 .return_error = kMax - 3,
                 .param = -5};
  TransactionLog log;
  const TransactionLog::Ticket ticket = log.Begin(1, entry);
  EXPECT_EQ(debug::ReadLog(log), std::vector{entry});
  entry.kind = TransactionKind::kOneWay;
  log.Finish(ticket, entry);
  entry.complete = true;
  EXPECT_EQ(debug::ReadLog(log), std::vector{entry});
  log.Add(2, entry);
  EXPECT_EQ(debug::ReadLog(log), (std::vector{entry, entry}));
}

// Rows: DB-05
TEST(TransactionLogTest, KeepsTheLastInTheOrderOfTheirBegin) {
  TransactionLog log;
  std::vector<TransactionLog::Ticket> tickets;
  for (std::uint32_t id = 0; id < 100; ++id) {
    tickets.push_back(log.Begin(id + 1, Entry(id)));
  }
  log.Finish(tickets[99], Entry(99));
  log.Finish(tickets[80], Entry(80));
  log.Finish(tickets[3], Entry(3));  // Too late.
  const std::vector<LogEntry> entries = debug::ReadLog(log);
  ASSERT_EQ(entries.size(), TransactionLog::kEntries);
  for (std::uint32_t i = 0; i < entries.size(); ++i) {
    EXPECT_EQ(entries[i].id, 68 + i);
    EXPECT_EQ(entries[i].complete, 68 + i == 80 || 68 + i == 99);
  }
}

// Each field of an entry tells which one it is; what is called complete must
// not be a mixture.
// Rows: DB-05 DB-08
TEST(TransactionLogTest, CompleteOnesAreInOnePiece) {
  constexpr std::uint32_t kEach = 20000;
  TransactionLog log;
  std::atomic<int> writing{4};
  std::size_t complete = 0;
  {
    std::vector<std::jthread> writers;
    for (std::uint32_t w = 0; w < 4; ++w) {
      writers.emplace_back([&log, &writing, w] {
        for (std::uint32_t i = 1; i <= kEach; ++i) {
          const std::uint32_t id = w * kEach + i;
          LogEntry entry{.id = id, .node = id, .data_size = id};
          const auto ticket = log.Begin(id, entry);
          entry.offsets_size = id;
          log.Finish(ticket, entry);
        }
        --writing;
      });
    }
    do {
      for (const LogEntry& entry : debug::ReadLog(log)) {
        if (!entry.complete) continue;
        ++complete;
        ASSERT_NE(entry.id, 0u);
        ASSERT_EQ(entry.node, entry.id);
        ASSERT_EQ(entry.data_size, entry.id);
        ASSERT_EQ(entry.offsets_size, entry.id);
      }
    } while (writing > 0);
  }
  EXPECT_GT(complete, 0u);
  EXPECT_EQ(debug::ReadLog(log).size(), TransactionLog::kEntries);
}

}  // namespace
}  // namespace binderlite::core
