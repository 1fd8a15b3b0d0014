// SPDX-License-Identifier: Apache-2.0
//
// ToText and ToJson of a wait graph: what is written of a made-up one.

#include "binderlite/debug/wait_report.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <string_view>

#include "binderlite/debug/waits.h"
#include "support/json_reader.h"

namespace binderlite::testing {
namespace {

using debug::CallPlace;
using debug::ToJson;
using debug::ToText;
using debug::WaitGraph;
using debug::WaitState;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Two services in a deadlock, somebody behind it, and some trouble beside it.
WaitGraph Deadlock() {
  WaitGraph g;
  g.discipline = "FineGrained";
  g.context = "binder";
  g.procs.push_back({.id = 1,
                     .pid = 10,
                     .name = "ping",
                     .queued = 1,
                     .outstanding = 2,
                     .arena_size = 4096,
                     .arena_free = 8,
                     .arena_free_async = 4});
  g.procs.push_back({.id = 2, .pid = 20, .name = "pong", .queued = 1});
  g.procs.push_back({.id = 3, .pid = 30});
  g.threads.push_back(
      {.proc = 0,
       .tid = 11,
       .state = WaitState::kWaitsForReply,
       .call = 2,
       .serves = 1,
       .looper = true,
       .handler = debug::HandlerName{"demo.Ping", 1, 30, milliseconds(2100)}});
  g.threads.push_back({.proc = 1,
                       .tid = 21,
                       .state = WaitState::kWaitsForReply,
                       .call = 3,
                       .serves = 9,
                       .looper = true});
  g.threads.push_back(
      {.proc = 2, .tid = 31, .state = WaitState::kWaitsForReply, .call = 1});
  g.calls.push_back({.id = 1,
                     .code = 7,
                     .to = 0,
                     .to_tid = 11,
                     .place = CallPlace::kServed,
                     .waited = seconds(3)});
  g.calls.push_back({.id = 2,
                     .code = 0x5f504e47,
                     .to = 1,
                     .to_pid = 20,
                     .place = CallPlace::kQueued});
  g.calls.push_back(
      {.id = 3, .code = 5, .to = 0, .to_pid = 10, .place = CallPlace::kQueued});
  g.nodes.push_back({.proc = 1, .node = 4, .in_hand = 8, .behind = 2});
  Untangle(g);
  return g;
}

TEST(WaitReportTest, TheFirstLineSaysWhatIsWrong) {
  EXPECT_EQ(ToText(Deadlock()),
            "DEADLOCK of 2 threads: ping 10:11 -> pong 20:21 -> ping 10:11\n"
            "  ping 10:11 in demo.Ping method 1 for pid 30, for 2.1 s, waits "
            "for call 2 (code _PNG) to pong, which is queued there: 1 looper, "
            "none free\n"
            "  pong 20:21 in the handler of call 9, waits for call 3 (code 5) "
            "to ping, which is queued there: 1 looper, none free\n"
            "busy: 1 call queued at ping: 1 looper, none free\n"
            "busy: 1 call queued at pong: 1 looper, none free\n"
            "low memory: ping has 8 of 4096 bytes left, for one-ways 4\n"
            "one-ways: 2 wait at pong for 8 to be done with\n"
            "stuck behind that:\n"
            "  30:31 waits for 3.0 s for call 1 (code 7) to ping, served by "
            "ping 10:11\n"
            "processes of binder, FineGrained:\n"
            "  ping (pid 10): 0 of 1 looper idle, 1 queued, 2 not over\n"
            "  pong (pid 20): 0 of 1 looper idle, 1 queued\n"
            "  pid 30 (pid 30): 0 of 0 loopers idle\n");
}

TEST(WaitReportTest, AnEmptyGraphHasAText) {
  EXPECT_EQ(ToText(WaitGraph()),
            "nothing hangs for ever: 0 threads in a call\nprocesses of , :\n");
  EXPECT_TRUE(IsJson(ToJson(WaitGraph())));
}

TEST(WaitReportTest, WhatCouldNotBeSeenIsSaid) {
  WaitGraph g;
  g.discipline = "BinderLock<kAlways>";
  g.context = "binder";
  g.incomplete = true;
  g.lock_held = true;
  g.lock_waiters = 3;
  g.procs.push_back({.pid = 10, .name = "a", .seen = false});
  g.threads.push_back({.proc = 0, .tid = 10, .state = WaitState::kNotSeen});
  g.threads.push_back({.proc = 0,
                       .tid = 11,
                       .state = WaitState::kNotSeen,
                       .in_call = true,
                       .asleep = true});
  g.threads.push_back({.proc = 0,
                       .tid = 12,
                       .state = WaitState::kWaitsForLock,
                       .in_call = true});
  Untangle(g);
  EXPECT_EQ(ToText(g),
            "BINDER LOCK HELD by nobody's call (a process is being torn "
            "down?); 3 wait for it\n"
            "  a 10:12 waits for the binder lock\n"
            "other threads:\n"
            "  a 10:10 could not be looked at\n"
            "  a 10:11 sleeps in the driver; why could not be looked at\n"
            "processes of binder, BinderLock<kAlways>:\n"
            "  a (pid 10): 0 of 0 loopers idle; its queues could not be looked "
            "at\n"
            "something grew too fast to be looked at whole\n");
  EXPECT_TRUE(IsJson(ToJson(g)));
}

TEST(WaitReportTest, WhoHoldsEverybodyUpIsNamed) {
  WaitGraph g;
  g.procs.push_back({.pid = 10, .name = "a"});
  g.procs.push_back({.pid = 20, .name = "b"});
  g.threads.push_back({.proc = 0,
                       .tid = 10,
                       .state = WaitState::kWaitsForReply,
                       .call = 1,
                       .still = seconds(4)});
  g.threads.push_back({.proc = 1,
                       .tid = 20,
                       .state = WaitState::kRunsHandler,
                       .call = 1,
                       .serves = 1,
                       .lent = true,
                       .still = seconds(5)});
  g.calls.push_back({.id = 1,
                     .code = 2,
                     .from_pid = 10,
                     .from_tid = 10,
                     .to = 1,
                     .to_tid = 20,
                     .place = CallPlace::kServed});
  Untangle(g, seconds(4));
  const std::string text = ToText(g);
  EXPECT_EQ(text.substr(0, text.find('\n')),
            "NO PROGRESS: a 10:10 for 4.0 s, held up by b 20:20, which runs "
            "the handler of call 1 (code 2) from 10:10 (on its caller's "
            "thread)");
}

TEST(WaitReportTest, JsonHasEverything) {
  const WaitGraph g = Deadlock();
  const std::string json = ToJson(g);
  EXPECT_TRUE(IsJson(json)) << json;
  for (const std::string_view part :
       {R"("wrong":true)", R"("kind":"deadlock","wrong":true,"threads":[0,1])",
        R"("interface":"demo.Ping")", R"("running_ns":2100000000)",
        R"({"from":0,"to":1,"kind":"queued for"})", R"("waited_ns":3000000000)",
        R"("one_ways":[{"proc":1,"node":4,"in_hand":8,"behind":2}])",
        R"("name":"ping")", R"("state":"waits for reply")",
        R"("place":"queued")"}) {
    EXPECT_NE(json.find(part), std::string::npos) << part << "\n" << json;
  }
}

TEST(WaitReportTest, NamesAreEscaped) {
  WaitGraph g;
  g.context = "a\"b\n";
  EXPECT_TRUE(IsJson(ToJson(g))) << ToJson(g);
}

}  // namespace
}  // namespace binderlite::testing
