// SPDX-License-Identifier: Apache-2.0
//
// ToJson: a Snapshot as JSON, for tools. The same facts as in the texts of
// debug/dump.h, and a few more.
//
// No locks.

#ifndef BINDERLITE_DEBUG_JSON_H_
#define BINDERLITE_DEBUG_JSON_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "binderlite/core/counts.h"
#include "binderlite/core/log.h"
#include "binderlite/core/stats.h"
#include "binderlite/core/transaction.h"
#include "binderlite/core/work.h"
#include "binderlite/debug/state.h"
#include "binderlite/wire/commands.h"

namespace binderlite::debug {

namespace json_internal {

// Just enough JSON: objects and arrays of numbers, booleans and strings.
class Json {
 public:
  void Open(char bracket) {
    Comma();
    text_ += bracket;
    first_ = true;
  }
  void Close(char bracket) {
    text_ += bracket;
    first_ = false;
  }
  void Key(std::string_view key) {
    Value(key);
    text_ += ':';
    first_ = true;
  }
  void Value(std::string_view value) {
    Comma();
    text_ += '"';
    for (const char c : value) {
      if (c == '"' || c == '\\') {
        text_ += '\\';
        text_ += c;
      } else if (static_cast<unsigned char>(c) < 0x20) {
        constexpr std::string_view kHex = "0123456789abcdef";
        text_ += "\\u00";
        text_ += kHex[static_cast<unsigned char>(c) >> 4];
        text_ += kHex[static_cast<unsigned char>(c) & 15];
      } else {
        text_ += c;
      }
    }
    text_ += '"';
  }
  template <class T>
  requires std::is_arithmetic_v<T>
  void Value(T value) {
    Comma();
    if constexpr (std::is_same_v<T, bool>) {
      text_ += value ? "true" : "false";
    } else {
      text_ += std::to_string(value);
    }
  }
  template <class T>
  void Field(std::string_view key, const T& value) {
    Key(key);
    Value(value);
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  void Comma() {
    if (!first_) text_ += ',';
    first_ = false;
  }
  std::string text_;
  bool first_ = true;
};

// A list, each item of which is written by write(json, item).
template <class Items, class F>
void WriteList(Json& json, std::string_view key, const Items& items, F write) {
  json.Key(key);
  json.Open('[');
  for (const auto& item : items) write(json, item);
  json.Close(']');
}

inline std::string_view NameOf(core::TransactionKind kind) {
  switch (kind) {
    case core::TransactionKind::kCall:
      return "call";
    case core::TransactionKind::kOneWay:
      return "async";
    case core::TransactionKind::kReply:
      return "reply";
  }
  return "?";
}

inline void WriteTransaction(Json& json, const TransactionSnapshot& t) {
  json.Open('{');
  json.Field("id", t.id);
  json.Field("kind", NameOf(t.kind));
  json.Field("from_pid", t.from_pid);
  json.Field("from_tid", t.from_tid);
  json.Field("to_pid", t.to_pid);
  json.Field("to_tid", t.to_tid);
  json.Field("code", t.code);
  json.Field("flags", t.flags);
  json.Field("priority", t.priority);
  json.Close('}');
}

inline void WriteWork(Json& json, const WorkSnapshot& work) {
  json.Open('{');
  json.Field("type", ToString(work.type));
  if (work.type == core::WorkType::kTransaction) {
    json.Key("transaction");
    WriteTransaction(json, work.transaction);
  } else if (work.type == core::WorkType::kReturnError) {
    json.Field("command", ToString(work.error));
  } else if (work.type == core::WorkType::kNode) {
    json.Field("node", work.node_id);
  }
  json.Close('}');
}

inline void WriteStackEntry(Json& json, const StackEntry& entry) {
  json.Open('{');
  json.Field("incoming", entry.incoming);
  json.Key("transaction");
  WriteTransaction(json, entry.transaction);
  json.Close('}');
}

inline void WriteThread(Json& json, const ThreadSnapshot& thread) {
  json.Open('{');
  json.Field("tid", thread.tid);
  json.Field("looper", thread.looper);
  json.Field("need_return", thread.need_return);
  json.Field("waiting", thread.waiting);
  WriteList(json, "todo", thread.work, WriteWork);
  WriteList(json, "stack", thread.stack, WriteStackEntry);
  json.Close('}');
}

inline void WriteNode(Json& json, const NodeSnapshot& node) {
  json.Open('{');
  json.Field("id", node.id);
  json.Field("ptr", node.ptr);
  json.Field("cookie", node.cookie);
  json.Field("has_strong", node.has_strong);
  json.Field("has_weak", node.has_weak);
  json.Field("local_strong", node.local_strong);
  json.Field("local_weak", node.local_weak);
  json.Field("internal_strong", node.internal_strong);
  WriteList(json, "holders", node.holders,
            [](Json& to, std::int32_t pid) { to.Value(pid); });
  json.Field("has_async", node.has_async);
  WriteList(json, "one_ways", node.one_ways, WriteTransaction);
  json.Close('}');
}

inline void WriteRef(Json& json, const RefSnapshot& ref) {
  json.Open('{');
  json.Field("id", ref.id);
  json.Field("handle", ref.handle);
  json.Field("node", ref.node_id);
  json.Field("dead", ref.node_dead);
  json.Field("strong", ref.strong);
  json.Field("weak", ref.weak);
  json.Field("death", ref.death);
  json.Field("freeze", ref.freeze);
  json.Close('}');
}

inline void WriteBuffer(Json& json, const BufferSnapshot& buffer) {
  json.Open('{');
  json.Field("id", buffer.id);
  json.Field("node", buffer.node_id);
  json.Field("offset", buffer.offset);
  json.Field("data_size", buffer.data_size);
  json.Field("offsets_size", buffer.offsets_size);
  json.Field("extra_size", buffer.extra_size);
  json.Field("active", buffer.active);
  json.Close('}');
}

// Those that there have been, by name.
inline void WriteCommands(Json& json, const core::CommandTotals& commands) {
  json.Key("commands");
  json.Open('{');
  for (std::size_t i = 0; i < commands.bc.size(); ++i) {
    if (commands.bc[i] == 0) continue;
    json.Field(wire_internal::kBcWords[i].name, commands.bc[i]);
  }
  for (std::size_t i = 0; i < commands.br.size(); ++i) {
    if (commands.br[i] == 0) continue;
    json.Field(wire_internal::kBrWords[i].name, commands.br[i]);
  }
  json.Close('}');
}

inline void WriteProc(Json& json, const ProcSnapshot& proc) {
  json.Open('{');
  json.Field("pid", proc.pid);
  json.Field("name", proc.name);
  json.Field("dead", proc.dead);
  json.Field("frozen", proc.frozen);
  json.Field("max_threads", proc.max_threads);
  json.Field("requested", proc.requested);
  json.Field("started", proc.started);
  json.Field("ready", proc.ready);
  json.Field("outstanding", proc.outstanding);
  json.Field("arena_size", proc.arena_size);
  json.Field("arena_free", proc.arena_free);
  json.Field("arena_free_async", proc.arena_free_async);
  json.Field("delivered_deaths", proc.delivered_deaths);
  json.Field("delivered_freezes", proc.delivered_freezes);
  WriteList(json, "todo", proc.work, WriteWork);
  WriteList(json, "threads", proc.threads, WriteThread);
  WriteList(json, "nodes", proc.nodes, WriteNode);
  WriteList(json, "refs", proc.refs, WriteRef);
  WriteList(json, "buffers", proc.buffer_list, WriteBuffer);
  WriteCommands(json, proc.commands);
  json.Close('}');
}

inline void WriteLogEntry(Json& json, const core::LogEntry& entry) {
  json.Open('{');
  json.Field("id", entry.id);
  json.Field("kind", NameOf(entry.kind));
  json.Field("from_pid", entry.from_pid);
  json.Field("from_tid", entry.from_tid);
  json.Field("to_pid", entry.to_pid);
  json.Field("to_tid", entry.to_tid);
  json.Field("node", entry.node);
  json.Field("handle", entry.handle);
  json.Field("data_size", entry.data_size);
  json.Field("offsets_size", entry.offsets_size);
  json.Field("return_error", entry.return_error);
  json.Field("param", entry.param);
  json.Field("complete", entry.complete);
  json.Close('}');
}

}  // namespace json_internal

// The snapshot as one line of JSON.
[[nodiscard]] inline std::string ToJson(const Snapshot& s) {
  json_internal::Json json;
  json.Open('{');
  json.Field("discipline", s.discipline);
  json.Field("context", s.context);
  json.Key("objects");
  json.Open('{');
  for (std::size_t i = 0; i < core::kObjectKinds; ++i) {
    json.Key(ToString(static_cast<core::ObjectKind>(i)));
    json.Open('{');
    json.Field("created", s.counts[i].created);
    json.Field("deleted", s.counts[i].deleted);
    json.Close('}');
  }
  json.Close('}');
  json_internal::WriteCommands(json, s.commands);
  json_internal::WriteList(json, "procs", s.procs, json_internal::WriteProc);
  json_internal::WriteList(json, "dead_nodes", s.dead_nodes,
                           json_internal::WriteNode);
  json_internal::WriteList(json, "log", s.log, json_internal::WriteLogEntry);
  json_internal::WriteList(json, "failed_log", s.failed_log,
                           json_internal::WriteLogEntry);
  json.Close('}');
  return json.text();
}

}  // namespace binderlite::debug

#endif  // BINDERLITE_DEBUG_JSON_H_
