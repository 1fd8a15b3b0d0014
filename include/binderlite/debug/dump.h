// SPDX-License-Identifier: Apache-2.0
//
// Dumps: a Snapshot as the texts that a kernel shows below
// /sys/kernel/debug/binder, for people and tools that know these:
//
//   StateText                 state                   everything there is
//   TransactionsText          transactions            only what is busy
//   StatsText                 stats                   counts
//   ProcText                  proc/PID                state of one process
//   TransactionLogText        transaction_log         the last 32
//   FailedTransactionLogText  failed_transaction_log  the last 32 that failed
//
// The lines are those of Linux 6.12, in its order, but for
//
//   - the address of a transaction and how long ago it began: the kernel's own
//     business, and no clock is read when sending
//   - `d` of a ref, also an address: here 1 or 0, whether there is a death
//     notification
//   - the pages of a Proc and their high watermark: there is no page allocator
//   - `tr`, how many threads have a node in hand, this one included: the same;
//     that of a thread is not counted, always 0
//   - `l=`, the line of the driver's source at which a transaction failed:
//     always 0
//   - dead nodes are listed by descending id, not by the time of their death
//   - the total of transaction_complete: here none is made for a transaction
//     that cannot be built
//   - unread BR_TRANSACTION_PENDING_FROZEN and BR_ONEWAY_SPAM_SUSPECT have
//     names; the kernel calls them "unknown work"
//
// and but for one file a Context, not one for all. No locks.

#ifndef BINDERLITE_DEBUG_DUMP_H_
#define BINDERLITE_DEBUG_DUMP_H_

#include <algorithm>
#include <array>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "binderlite/core/counts.h"
#include "binderlite/core/log.h"
#include "binderlite/core/stats.h"
#include "binderlite/core/transaction.h"
#include "binderlite/core/work.h"
#include "binderlite/debug/state.h"
#include "binderlite/wire/commands.h"

namespace binderlite::debug {

namespace dump_internal {

// A number in hexadecimal, with leading zeros up to `width` digits.
struct Hex {
  std::uint64_t value = 0;
  std::size_t width = 1;
};

inline void Append(std::string& out, std::string_view text) { out += text; }
template <std::integral T>
void Append(std::string& out, T value) {
  if constexpr (std::same_as<T, bool>) {
    out += value ? '1' : '0';
  } else {
    out += std::to_string(value);
  }
}
inline void Append(std::string& out, Hex hex) {
  std::array<char, 16> digits;
  const char* const end =
      std::to_chars(digits.data(), digits.data() + digits.size(), hex.value, 16)
          .ptr;
  const auto count = static_cast<std::size_t>(end - digits.data());
  if (count < hex.width) out.append(hex.width - count, '0');
  out.append(digits.data(), count);
}

template <class... Parts>
void Join(std::string& out, const Parts&... parts) {
  (Append(out, parts), ...);
}
template <class... Parts>
void Line(std::string& out, const Parts&... parts) {
  Join(out, parts..., "\n");
}

// --- Transactions and work -------------------------------------------------

// " node N size D:O offset X", of the buffer that the transaction came with.
inline std::string BufferOf(const TransactionSnapshot& t,
                            const std::vector<BufferSnapshot>& buffers) {
  const auto found = std::find_if(
      buffers.begin(), buffers.end(),
      [&t](const BufferSnapshot& buffer) { return buffer.id == t.id; });
  if (found == buffers.end()) return " buffer free";
  std::string text;
  if (found->node_id != 0) Join(text, " node ", found->node_id);
  Join(text, " size ", found->data_size, ":", found->offsets_size, " offset ",
       Hex{found->offset});
  return text;
}

// `what`: "    incoming transaction" and so on. `buffer`: what is to be said
// of its buffer.
inline void WriteTransaction(std::string& out, std::string_view what,
                             const TransactionSnapshot& t,
                             std::string_view buffer) {
  Line(out, what, " ", t.id, ": from ", t.from_pid, ":", t.from_tid, " to ",
       t.to_pid, ":", t.to_tid, " code ", Hex{t.code}, " flags ", Hex{t.flags},
       " pri ", t.priority, " r", t.kind == core::TransactionKind::kCall,
       buffer);
}

// An item of a todo list.
inline void WriteWork(std::string& out, std::string_view indent,
                      const WorkSnapshot& work,
                      const std::vector<BufferSnapshot>& buffers) {
  switch (work.type) {
    case core::WorkType::kTransaction:
      Join(out, indent);
      WriteTransaction(out, "pending transaction", work.transaction,
                       BufferOf(work.transaction, buffers));
      break;
    case core::WorkType::kReturnError:
      Line(out, indent,
           "transaction error: ", static_cast<std::uint32_t>(work.error));
      break;
    case core::WorkType::kNode:
      Line(out, indent, "node work ", work.node_id, ": u",
           Hex{work.node_ptr, 16}, " c", Hex{work.node_cookie, 16});
      break;
    case core::WorkType::kTransactionComplete:
    case core::WorkType::kPendingFrozen:
    case core::WorkType::kSpamSuspect:
      Line(out, indent, ToString(work.type));
      break;
    default:
      Line(out, indent, "has ", ToString(work.type));
      break;
  }
}

// --- The parts of a Proc ---------------------------------------------------

inline void WriteThread(std::string& out, const ThreadSnapshot& thread,
                        const std::vector<BufferSnapshot>& buffers, bool all) {
  if (!all && thread.stack.empty() && thread.work.empty()) return;
  Line(out, "  thread ", thread.tid, ": l ", Hex{thread.looper, 2},
       " need_return ", thread.need_return, " tr 0");
  for (const StackEntry& entry : thread.stack) {
    // The buffer of an outgoing one is elsewhere.
    if (entry.incoming) {
      WriteTransaction(out, "    incoming transaction", entry.transaction,
                       BufferOf(entry.transaction, buffers));
    } else {
      WriteTransaction(out, "    outgoing transaction", entry.transaction, "");
    }
  }
  for (const WorkSnapshot& work : thread.work) {
    WriteWork(out, "    ", work, buffers);
  }
}

inline void WriteNode(std::string& out, const NodeSnapshot& node,
                      const std::vector<BufferSnapshot>& buffers) {
  std::string holders;
  if (!node.holders.empty()) Join(holders, " proc");
  for (const std::int32_t pid : node.holders) Join(holders, " ", pid);
  Line(out, "  node ", node.id, ": u", Hex{node.ptr, 16}, " c",
       Hex{node.cookie, 16}, " hs ", node.has_strong, " hw ", node.has_weak,
       " ls ", node.local_strong, " lw ", node.local_weak, " is ",
       node.internal_strong, " iw ", node.refs, " tr ", node.holds + 1,
       holders);
  for (const TransactionSnapshot& t : node.one_ways) {
    WriteTransaction(out, "    pending async transaction", t,
                     BufferOf(t, buffers));
  }
}

inline void WriteRef(std::string& out, const RefSnapshot& ref) {
  Line(out, "  ref ", ref.id, ": desc ", ref.handle,
       ref.node_dead ? " dead node " : " node ", ref.node_id, " s ", ref.strong,
       " w ", ref.weak, " d ", ref.death);
}

// `all`: also what is idle.
inline void WriteProc(std::string& out, const Snapshot& s,
                      const ProcSnapshot& proc, bool all) {
  std::string parts;
  for (const ThreadSnapshot& thread : proc.threads) {
    WriteThread(parts, thread, proc.buffer_list, all);
  }
  for (const NodeSnapshot& node : proc.nodes) {
    if (all || node.has_async) WriteNode(parts, node, proc.buffer_list);
  }
  if (all) {
    for (const RefSnapshot& ref : proc.refs) WriteRef(parts, ref);
  }
  for (const BufferSnapshot& buffer : proc.buffer_list) {
    Line(parts, "  buffer ", buffer.id, ": ", Hex{buffer.offset}, " size ",
         buffer.data_size, ":", buffer.offsets_size, ":", buffer.extra_size,
         buffer.active ? " active" : " delivered");
  }
  for (const WorkSnapshot& work : proc.work) {
    WriteWork(parts, "  ", work, proc.buffer_list);
  }
  if (proc.delivered_deaths > 0) Line(parts, "  has delivered dead binder");
  if (proc.delivered_freezes > 0) Line(parts, "  has delivered freeze binder");
  if (!all && parts.empty()) return;
  Line(out, "proc ", proc.pid);
  Line(out, "context ", s.context);
  out += parts;
}

// --- Counts ----------------------------------------------------------------

// A number that has two codes goes by the first one's name.
inline void WriteCommands(std::string& out, std::string_view indent,
                          const core::CommandTotals& commands) {
  for (std::size_t i = 0; i < commands.bc.size(); ++i) {
    if (commands.bc[i] == 0) continue;
    Line(out, indent, wire_internal::kBcWords[i].name, ": ", commands.bc[i]);
  }
  for (std::size_t i = 0; i < commands.br.size(); ++i) {
    if (commands.br[i] == 0) continue;
    Line(out, indent, wire_internal::kBrWords[i].name, ": ", commands.br[i]);
  }
}

inline void WriteProcStats(std::string& out, const Snapshot& s,
                           const ProcSnapshot& proc) {
  int strong = 0;
  int weak = 0;
  for (const RefSnapshot& ref : proc.refs) {
    strong += ref.strong;
    weak += ref.weak;
  }
  Line(out, "proc ", proc.pid);
  Line(out, "context ", s.context);
  Line(out, "  threads: ", proc.threads.size());
  Line(out, "  requested threads: ", proc.requested, "+", proc.started, "/",
       proc.max_threads);
  Line(out, "  ready threads ", proc.ready);
  Line(out, "  free async space ", proc.arena_free_async);
  Line(out, "  nodes: ", proc.nodes.size());
  Line(out, "  refs: ", proc.refs.size(), " s ", strong, " w ", weak);
  Line(out, "  buffers: ", proc.buffers);
  Line(out, "  pending transactions: ",
       std::count(proc.todo.begin(), proc.todo.end(),
                  core::WorkType::kTransaction));
  WriteCommands(out, "  ", proc.commands);
}

inline std::string LogText(const Snapshot& s,
                           const std::vector<core::LogEntry>& entries) {
  constexpr std::array<std::string_view, 3> kKinds = {"call ", "async",
                                                      "reply"};
  std::string out;
  for (const core::LogEntry& e : entries) {
    Line(out, e.id, ": ", kKinds[static_cast<std::size_t>(e.kind)], " from ",
         e.from_pid, ":", e.from_tid, " to ", e.to_pid, ":", e.to_tid,
         " context ", s.context, " node ", e.node, " handle ", e.handle,
         " size ", e.data_size, ":", e.offsets_size, " ret ", e.return_error,
         "/", e.param, " l=0", e.complete ? "" : " (incomplete)");
  }
  return out;
}

}  // namespace dump_internal

[[nodiscard]] inline std::string StateText(const Snapshot& s) {
  std::string out = "binder state:\n";
  if (!s.dead_nodes.empty()) out += "dead nodes:\n";
  for (auto it = s.dead_nodes.rbegin(); it != s.dead_nodes.rend(); ++it) {
    dump_internal::WriteNode(out, *it, {});
  }
  for (auto it = s.procs.rbegin(); it != s.procs.rend(); ++it) {
    dump_internal::WriteProc(out, s, *it, /*all=*/true);
  }
  return out;
}

[[nodiscard]] inline std::string TransactionsText(const Snapshot& s) {
  std::string out = "binder transactions:\n";
  for (auto it = s.procs.rbegin(); it != s.procs.rend(); ++it) {
    dump_internal::WriteProc(out, s, *it, /*all=*/false);
  }
  return out;
}

[[nodiscard]] inline std::string StatsText(const Snapshot& s) {
  std::string out = "binder stats:\n";
  dump_internal::WriteCommands(out, "", s.commands);
  for (std::size_t i = 0; i < s.counts.size(); ++i) {
    const auto kind = static_cast<core::ObjectKind>(i);
    if (s.counts[i].created == 0) continue;
    dump_internal::Line(out, ToString(kind), ": active ", s.live(kind),
                        " total ", s.counts[i].created);
  }
  for (auto it = s.procs.rbegin(); it != s.procs.rend(); ++it) {
    dump_internal::WriteProcStats(out, s, *it);
  }
  return out;
}

// All Procs of `pid`; empty when there is none.
[[nodiscard]] inline std::string ProcText(const Snapshot& s, std::int32_t pid) {
  std::string out;
  for (auto it = s.procs.rbegin(); it != s.procs.rend(); ++it) {
    if (it->pid != pid) continue;
    out += "binder proc state:\n";
    dump_internal::WriteProc(out, s, *it, /*all=*/true);
  }
  return out;
}

[[nodiscard]] inline std::string TransactionLogText(const Snapshot& s) {
  return dump_internal::LogText(s, s.log);
}
[[nodiscard]] inline std::string FailedTransactionLogText(const Snapshot& s) {
  return dump_internal::LogText(s, s.failed_log);
}

}  // namespace binderlite::debug

#endif  // BINDERLITE_DEBUG_DUMP_H_
