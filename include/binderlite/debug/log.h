// SPDX-License-Identifier: Apache-2.0
//
// ReadLog: a TransactionLog as it is shown. No lock; what is written meanwhile
// may be incomplete.

#ifndef BINDERLITE_DEBUG_LOG_H_
#define BINDERLITE_DEBUG_LOG_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "binderlite/core/log.h"

namespace binderlite::debug {

// The last entries, the oldest first.
[[nodiscard]] inline std::vector<core::LogEntry> ReadLog(
    const core::TransactionLog& log) {
  std::vector<std::pair<std::uint64_t, core::LogEntry>> found;
  log.ForEach([&found](std::uint64_t order, const core::LogEntry& entry) {
    found.emplace_back(order, entry);
  });
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  constexpr std::size_t kMost = core::TransactionLog::kEntries;
  const std::size_t old = found.size() > kMost ? found.size() - kMost : 0;
  std::vector<core::LogEntry> entries;
  entries.reserve(found.size() - old);
  for (std::size_t i = old; i < found.size(); ++i) {
    entries.push_back(found[i].second);
  }
  return entries;
}

}  // namespace binderlite::debug

#endif  // BINDERLITE_DEBUG_LOG_H_
