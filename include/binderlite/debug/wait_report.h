// SPDX-License-Identifier: Apache-2.0
//
// ToText and ToJson of a WaitGraph: for a person in a hurry, whose first line
// says what is wrong if something is, and for tools. Threads are called
// name pid:tid, as in the texts of debug/dump.h.
//
// No locks.

#ifndef BINDERLITE_DEBUG_WAIT_REPORT_H_
#define BINDERLITE_DEBUG_WAIT_REPORT_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "binderlite/debug/dump.h"
#include "binderlite/debug/json.h"
#include "binderlite/debug/waits.h"

namespace binderlite::debug {

namespace wait_report_internal {

using dump_internal::Join;
using dump_internal::Line;

// "2.5 s", or "3 ms".
inline std::string Duration(std::chrono::nanoseconds time) {
  char text[32];
  const double seconds = std::chrono::duration<double>(time).count();
  if (seconds < 1) {
    std::snprintf(text, sizeof(text), "%.0f ms", seconds * 1000);
  } else {
    std::snprintf(text, sizeof(text), "%.1f s", seconds);
  }
  return text;
}

inline std::string NameOf(const WaitGraph& g, std::size_t proc) {
  const ProcWaits& p = g.procs[proc];
  return p.name.empty() ? "pid " + std::to_string(p.pid) : p.name;
}
inline std::string ThreadName(const WaitGraph& g, std::size_t thread) {
  const ThreadWaits& t = g.threads[thread];
  std::string name = g.procs[t.proc].name;
  if (!name.empty()) name += ' ';
  Join(name, g.procs[t.proc].pid, ":", t.tid);
  return name;
}
inline std::string Threads(const WaitGraph& g,
                           const std::vector<std::size_t>& threads,
                           std::string_view between) {
  std::string text;
  for (const std::size_t thread : threads) {
    if (!text.empty()) text += between;
    text += ThreadName(g, thread);
  }
  return text;
}
inline std::string Circle(const WaitGraph& g,
                          const std::vector<std::size_t>& threads) {
  return Threads(g, threads, " -> ") + " -> " + ThreadName(g, threads.front());
}
inline std::string Count(std::size_t count, std::string_view what) {
  return std::to_string(count) + " " + std::string(what) +
         (count == 1 ? "" : "s");
}

// "code 2"; those of all objects are words, as "code _NTF".
inline std::string Code(std::uint32_t code) {
  std::string word;
  for (int shift = 24; shift >= 0; shift -= 8) {
    const auto byte = static_cast<char>((code >> shift) & 0xff);
    if (byte < 0x20 || byte > 0x7e) return "code " + std::to_string(code);
    word += byte;
  }
  return "code " + word;
}

// "call 17 (code 2) to pong".
inline std::string CallName(const WaitGraph& g, const CallWaits& call) {
  std::string text;
  Join(text, call.one_way ? "one-way " : "call ", call.id, " (",
       Code(call.code), ") to ");
  if (call.to != kNone) {
    text += NameOf(g, call.to);
  } else {
    Join(text, "pid ", call.to_pid);
  }
  return text;
}

// Where it is, as the end of a sentence.
inline std::string PlaceOf(const WaitGraph& g, const CallWaits& call) {
  std::string text;
  switch (call.place) {
    case CallPlace::kOnItsWay:
      return "which is on its way";
    case CallPlace::kQueued: {
      if (call.to == kNone) return "which is queued";
      const std::size_t servers = g.ServersOf(call.to).size();
      if (g.procs[call.to].frozen) return "which is queued: it is frozen";
      if (servers == 0) return "which is queued: no thread serves there";
      Join(text, "which is queued there: ", Count(servers, "looper"));
      std::size_t idle = 0;
      for (const std::size_t i : g.ServersOf(call.to)) {
        if (g.threads[i].state == WaitState::kIdle) ++idle;
      }
      Join(text, ", ", idle == 0 ? "none" : std::to_string(idle), " free");
      return text;
    }
    case CallPlace::kHandedOver:
      Join(text, "which thread ", call.to_tid, " has to take");
      return text;
    case CallPlace::kServed:
      Join(text, "served by ");
      break;
  }
  const std::size_t server =
      call.to == kNone ? kNone : g.FindThread(call.to, call.to_tid);
  if (server == kNone) {
    Join(text, call.to_pid, ":", call.to_tid);
  } else {
    text += ThreadName(g, server);
  }
  return text;
}

// What it does, as a sentence about it.
inline std::string Doing(const WaitGraph& g, std::size_t thread) {
  const ThreadWaits& t = g.threads[thread];
  std::string text;
  const CallWaits* const call = t.call == 0 ? nullptr : g.FindCall(t.call);
  const CallWaits* const serves =
      t.serves == 0 ? nullptr : g.FindCall(t.serves);
  const auto handler = [&] {
    if (t.handler.has_value()) {
      Join(text, t.handler->interface, " method ", t.handler->code);
      if (t.handler->caller != 0) Join(text, " for pid ", t.handler->caller);
      Join(text, ", for ", Duration(t.handler->running));
    } else if (t.serves != 0) {
      Join(text, "the handler of call ", t.serves);
      if (serves != nullptr) {
        Join(text, " (", Code(serves->code), ") from ", serves->from_pid, ":",
             serves->from_tid);
      }
    }
  };
  switch (t.state) {
    case WaitState::kOutside:
      if (t.handler.has_value()) {
        text += "runs ";
        handler();
      } else {
        text +=
            t.looper ? "is outside, and may come back for work" : "is outside";
      }
      break;
    case WaitState::kIdle:
      text += "waits for work";
      break;
    case WaitState::kWaitsForReply:
      if (t.handler.has_value() || t.serves != 0) {
        text += "in ";
        handler();
        text += ", ";
      }
      text += "waits";
      if (call != nullptr && call->waited.has_value()) {
        Join(text, " for ", Duration(*call->waited));
      }
      if (call == nullptr) {
        Join(text, " for call ", t.call);
      } else {
        Join(text, " for ", CallName(g, *call), ", ", PlaceOf(g, *call));
      }
      break;
    case WaitState::kRunsHandler:
      text += "runs ";
      handler();
      if (t.in_call) text += ", and is in the driver";
      break;
    case WaitState::kInDriver:
      text += t.asleep ? "sleeps in the driver" : "is in the driver";
      break;
    case WaitState::kWaitsForLock:
      text += "waits for the binder lock";
      break;
    case WaitState::kHoldsLock:
      text += "holds the binder lock";
      break;
    case WaitState::kNotSeen:
      text += !t.in_call ? "could not be looked at"
              : t.asleep ? "sleeps in the driver; why could not be looked at"
                         : "is in the driver; why could not be looked at";
      break;
  }
  if (t.lent) text += " (on its caller's thread)";
  return text;
}

// One line.
inline std::string Headline(const WaitGraph& g, const Finding& f) {
  std::string text;
  switch (f.kind) {
    case FindingKind::kDeadlock:
      Join(text, "DEADLOCK of ", Count(f.threads.size(), "thread"), ": ",
           Circle(g, f.threads));
      break;
    case FindingKind::kPossibleDeadlock:
      Join(text, "POSSIBLE DEADLOCK of ", Count(f.threads.size(), "thread"),
           ": ", Circle(g, f.threads));
      break;
    case FindingKind::kLockHeld:
      Join(text, "BINDER LOCK HELD by ",
           g.lock_holder == kNone
               ? "nobody's call (a process is being torn down?)"
               : ThreadName(g, g.lock_holder),
           "; ", g.lock_waiters, " wait for it");
      break;
    case FindingKind::kNobodyServes: {
      const CallWaits* const call = g.FindCall(f.call);
      Join(text, "NOBODY SERVES ",
           call == nullptr ? "a call" : CallName(g, *call), ", from ",
           call == nullptr ? 0 : call->from_pid, ":",
           call == nullptr ? 0 : call->from_tid);
      break;
    }
    case FindingKind::kNoProgress: {
      const ThreadWaits& first = g.threads[f.threads.front()];
      Join(text, "NO PROGRESS: ", ThreadName(g, f.threads.front()));
      if (first.still.has_value()) {
        Join(text, " for ", Duration(*first.still));
      }
      if (f.threads.size() > 1) {
        Join(text, ", held up by ", ThreadName(g, f.threads.back()), ", which ",
             Doing(g, f.threads.back()));
      } else {
        Join(text, ", which ", Doing(g, f.threads.back()));
      }
      break;
    }
    case FindingKind::kAllBusy:
      Join(text, "busy: ", Count(f.count, "call"), " queued at ",
           NameOf(g, f.proc), ": ", Count(f.threads.size(), "looper"),
           ", none free");
      break;
    case FindingKind::kFreezing:
      Join(text, "freezing: ",
           f.threads.empty() ? "a thread" : ThreadName(g, f.threads.front()),
           " waits for ", Count(f.count, "call"), " at ", NameOf(g, f.proc));
      break;
    case FindingKind::kFrozen:
      Join(text, "frozen: ", NameOf(g, f.proc), ", ", Count(f.count, "call"),
           " queued at it");
      break;
    case FindingKind::kLowMemory: {
      const ProcWaits& p = g.procs[f.proc];
      Join(text, "low memory: ", NameOf(g, f.proc), " has ", p.arena_free,
           " of ", p.arena_size, " bytes left, for one-ways ",
           p.arena_free_async);
      break;
    }
    case FindingKind::kOneWaysBehind:
      Join(text, "one-ways: ", f.count, " wait at ", NameOf(g, f.proc));
      if (f.call != 0) Join(text, " for ", f.call, " to be done with");
      break;
  }
  return text;
}

// What a reader of the threads' list can do without.
inline bool IsOfInterest(const ThreadWaits& t) {
  return t.handler.has_value() ||
         (t.state != WaitState::kOutside && t.state != WaitState::kIdle);
}

inline void WriteProc(std::string& out, const WaitGraph& g, std::size_t i) {
  const ProcWaits& p = g.procs[i];
  std::size_t loopers = 0;
  std::size_t idle = 0;
  for (const ThreadWaits& t : g.threads) {
    if (t.proc != i) continue;
    if (t.looper) ++loopers;
    if (t.state == WaitState::kIdle) ++idle;
  }
  std::string text;
  Join(text, "  ", NameOf(g, i), " (pid ", p.pid, "): ", idle, " of ",
       Count(loopers, "looper"), " idle");
  if (p.requested > 0) text += ", one is being started";
  if (p.queued > 0) Join(text, ", ", p.queued, " queued");
  if (p.outstanding > 0) Join(text, ", ", p.outstanding, " not over");
  if (p.frozen) text += ", frozen";
  if (p.dead) text += ", dead";
  if (!p.seen) text += "; its queues could not be looked at";
  Line(out, text);
}

// --- JSON --------------------------------------------------------------------

using json_internal::Json;
using json_internal::WriteList;

inline void Field(Json& json, std::string_view key,
                  const std::optional<std::chrono::nanoseconds>& time) {
  if (time.has_value()) json.Field(key, time->count());
}
// An index, if there is one.
inline void Index(Json& json, std::string_view key, std::size_t index) {
  if (index != kNone) json.Field(key, index);
}

inline void WriteThread(Json& json, const ThreadWaits& t) {
  json.Open('{');
  json.Field("proc", t.proc);
  json.Field("tid", t.tid);
  json.Field("state", ToString(t.state));
  json.Field("call", t.call);
  json.Field("serves", t.serves);
  json.Field("looper", t.looper);
  json.Field("polls", t.polls);
  json.Field("in_call", t.in_call);
  json.Field("asleep", t.asleep);
  json.Field("lent", t.lent);
  if (t.handler.has_value()) {
    json.Key("handler");
    json.Open('{');
    json.Field("interface", std::string_view{t.handler->interface});
    json.Field("code", t.handler->code);
    json.Field("caller", t.handler->caller);
    json.Field("running_ns", t.handler->running.count());
    json.Close('}');
  }
  Field(json, "still_ns", t.still);
  json.Field("stuck", t.stuck);
  json.Field("perhaps_stuck", t.perhaps_stuck);
  json.Close('}');
}

inline void WriteProc(Json& json, const ProcWaits& p) {
  json.Open('{');
  json.Field("pid", p.pid);
  json.Field("name", std::string_view{p.name});
  json.Field("seen", p.seen);
  json.Field("dead", p.dead);
  json.Field("frozen", p.frozen);
  json.Field("max_threads", p.max_threads);
  json.Field("requested", p.requested);
  json.Field("started", p.started);
  json.Field("queued", p.queued);
  json.Field("outstanding", p.outstanding);
  json.Field("arena_size", p.arena_size);
  json.Field("arena_free", p.arena_free);
  json.Field("arena_free_async", p.arena_free_async);
  json.Close('}');
}

inline void WriteCall(Json& json, const CallWaits& call) {
  json.Open('{');
  json.Field("id", call.id);
  json.Field("one_way", call.one_way);
  json.Field("code", call.code);
  json.Field("node", call.node);
  json.Field("from_pid", call.from_pid);
  json.Field("from_tid", call.from_tid);
  Index(json, "to", call.to);
  json.Field("to_pid", call.to_pid);
  json.Field("to_tid", call.to_tid);
  json.Field("place", ToString(call.place));
  Field(json, "waited_ns", call.waited);
  json.Close('}');
}

inline void WriteFinding(Json& json, const WaitGraph& g, const Finding& f) {
  json.Open('{');
  json.Field("kind", ToString(f.kind));
  json.Field("wrong", IsWrong(f.kind));
  WriteList(json, "threads", f.threads,
            [](Json& to, std::size_t thread) { to.Value(thread); });
  Index(json, "proc", f.proc);
  json.Field("call", f.call);
  json.Field("count", f.count);
  json.Field("text", std::string_view{Headline(g, f)});
  json.Close('}');
}

}  // namespace wait_report_internal

// What there is to say, the worst first. Many lines.
[[nodiscard]] inline std::string ToText(const WaitGraph& g) {
  using wait_report_internal::Doing;
  using wait_report_internal::Headline;
  using wait_report_internal::IsOfInterest;
  using wait_report_internal::Line;
  using wait_report_internal::ThreadName;
  std::string out;
  if (!g.wrong()) {
    std::size_t waiting = 0;
    for (const ThreadWaits& t : g.threads) {
      if (t.state == WaitState::kWaitsForReply) ++waiting;
    }
    Line(out, "nothing hangs for ever: ",
         wait_report_internal::Count(waiting, "thread"), " in a call");
  }
  const auto about = [&g, &out](std::size_t i) {
    Line(out, "  ", ThreadName(g, i), " ", Doing(g, i));
  };
  std::vector<bool> told(g.threads.size(), false);
  for (const Finding& f : g.findings) {
    Line(out, Headline(g, f));
    if (f.kind == FindingKind::kPossibleDeadlock) {
      Line(out,
           "  if the handlers wait for the other threads of their process");
    }
    for (const std::size_t i : f.threads) {
      if (!told[i]) about(i);
      told[i] = true;
    }
  }
  std::vector<std::size_t> behind;
  std::vector<std::size_t> others;
  for (std::size_t i = 0; i < g.threads.size(); ++i) {
    const ThreadWaits& t = g.threads[i];
    if (told[i] || !IsOfInterest(t)) continue;
    (t.stuck || t.perhaps_stuck ? behind : others).push_back(i);
  }
  if (!behind.empty()) Line(out, "stuck behind that:");
  for (const std::size_t i : behind) about(i);
  if (!others.empty()) Line(out, "other threads:");
  for (const std::size_t i : others) about(i);
  Line(out, "processes of ", g.context, ", ", g.discipline, ":");
  for (std::size_t i = 0; i < g.procs.size(); ++i) {
    wait_report_internal::WriteProc(out, g, i);
  }
  if (g.incomplete) Line(out, "something grew too fast to be looked at whole");
  return out;
}

// One line.
[[nodiscard]] inline std::string ToJson(const WaitGraph& g) {
  using json_internal::Json;
  using json_internal::WriteList;
  Json json;
  json.Open('{');
  json.Field("discipline", g.discipline);
  json.Field("context", std::string_view{g.context});
  json.Field("wrong", g.wrong());
  json.Field("incomplete", g.incomplete);
  json.Field("lock_held", g.lock_held);
  wait_report_internal::Index(json, "lock_holder", g.lock_holder);
  json.Field("lock_waiters", g.lock_waiters);
  WriteList(json, "findings", g.findings, [&g](Json& to, const Finding& f) {
    wait_report_internal::WriteFinding(to, g, f);
  });
  WriteList(json, "threads", g.threads,
            [](Json& to, const ThreadWaits& thread) {
              wait_report_internal::WriteThread(to, thread);
            });
  WriteList(json, "procs", g.procs, [](Json& to, const ProcWaits& proc) {
    wait_report_internal::WriteProc(to, proc);
  });
  WriteList(json, "calls", g.calls, [](Json& to, const CallWaits& call) {
    wait_report_internal::WriteCall(to, call);
  });
  WriteList(json, "waits", g.waits, [](Json& to, const Wait& wait) {
    to.Open('{');
    to.Field("from", wait.from);
    to.Field("to", wait.to);
    to.Field("kind", ToString(wait.kind));
    to.Close('}');
  });
  WriteList(json, "one_ways", g.nodes, [](Json& to, const NodeWaits& node) {
    to.Open('{');
    to.Field("proc", node.proc);
    to.Field("node", node.node);
    to.Field("in_hand", node.in_hand);
    to.Field("behind", node.behind);
    to.Close('}');
  });
  WriteList(json, "freezes", g.freezes, [](Json& to, const FreezeWaits& f) {
    to.Open('{');
    wait_report_internal::Index(to, "thread", f.thread);
    to.Field("proc", f.proc);
    to.Close('}');
  });
  json.Close('}');
  return json.text();
}

}  // namespace binderlite::debug

#endif  // BINDERLITE_DEBUG_WAIT_REPORT_H_
