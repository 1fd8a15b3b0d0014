// SPDX-License-Identifier: Apache-2.0
//
// Checks api/handler_stop.h: what a handler's stop token stops for.

#include "binderlite/api/handler_stop.h"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "support/api_test.h"
#include "support/await_stop.h"
#include "support/worker.h"

namespace binderlite::testing {
namespace {

using namespace std::chrono_literals;

// A worker whose Do("x") arrives at `latch` and goes on until it is stopped.
Worker UntilStopped(Latch& latch) {
  return {.Do = [&latch](const Caller& caller, std::string_view what) {
    const std::stop_token token = caller.stop_token();
    EXPECT_EQ(token, caller.stop_token());
    EXPECT_TRUE(token.stop_possible());
    if (what == "x") {
      latch.Arrive();
      AwaitStop(token);
    } else {
      EXPECT_FALSE(token.stop_requested());
    }
    return Answered(what);
  }};
}

class HandlerStopTest : public ModeTest {};
BINDERLITE_BOTH_MODES(HandlerStopTest);

TEST_P(HandlerStopTest, TheCallIsCancelled) {
  Latch latch;
  Pair pair = Connect(UntilStopped(latch));
  std::stop_source stop;
  Calling calling(pair.remote, {.stop = stop.get_token()});
  latch.Await();
  stop.request_stop();
  // Also on the caller's thread, where the handler has to return first.
  EXPECT_EQ(calling.Join().status(), StatusCode::kCancelled);
  AwaitQuiet();
  EXPECT_EQ(pair.remote->Do("y").value(), "y!");
}

// Not one looper is lost to those who do not wait any more.
TEST_P(HandlerStopTest, ItsDeadlinePasses) {
  Latch latch;
  Pair pair = Connect(UntilStopped(latch), {.loopers = 1, .max_loopers = 1});
  for (int calls = 0; calls < 5;) {
    const Status status = pair.remote->Do(Within(5ms), "x").status();
    // On the caller's thread there is an answer when it comes to look.
    EXPECT_TRUE(status == StatusCode::kDeadline || (here() && status.ok()))
        << status;
    if (status.delivery() != Delivery::kNo) ++calls;
  }
  AwaitQuiet();
  EXPECT_EQ(pair.remote->Do("y").value(), "y!");
  EXPECT_EQ(pair.server.pending_calls(), 0u);
}

TEST_P(HandlerStopTest, ItsCallerCloses) {
  Latch latch;
  Pair pair = Connect(UntilStopped(latch));
  Calling calling(pair.remote);
  latch.Await();
  pair.client.Close();
  const Status status = calling.Join().status();
  EXPECT_TRUE(status == StatusCode::kClosed || (here() && status.ok()))
      << status;
  AwaitQuiet();
}

TEST_P(HandlerStopTest, ItsEndpointCloses) {
  Latch latch;
  Pair pair = Connect(UntilStopped(latch));
  Calling calling(pair.remote);
  latch.Await();
  pair.server.Close();
  (void)calling.Join();
  EXPECT_EQ(pair.remote->Do("y").status(), StatusCode::kDead);
}

// What a handler calls in its turn ends with the call that it serves.
TEST_P(HandlerStopTest, GoesOnToTheNext) {
  Latch latch;
  Pair back = Connect(UntilStopped(latch), {.name = "back"});
  Endpoint front = Open("front");
  const Proxy<Worker> behind = Give(back.service, back.server, front);
  const auto service = Serve(
      front, Worker{.Do = [&](const Caller& caller, std::string_view what) {
        return behind->Do(caller.remaining(), what);
      }});
  const auto remote = Give(service, front, back.client);
  std::stop_source stop;
  Calling calling(remote, {.stop = stop.get_token()});
  latch.Await();
  stop.request_stop();
  (void)calling.Join();
  AwaitQuiet();
  EXPECT_EQ(remote->Do("y").value(), "y!");
}

TEST_P(HandlerStopTest, AnAsynchronousCallHasItsDeadline) {
  Latch latch;
  Pair pair = Connect(UntilStopped(latch));
  for (int served = 0; served == 0; served = latch.arrived()) {
    const Status status =
        pair.remote->Do.Async(Within(5ms), "x").Get().status();
    // Both sides look at their clocks.
    EXPECT_TRUE(status == StatusCode::kDeadline || status.ok()) << status;
  }
  AwaitQuiet();
  EXPECT_EQ(pair.server.pending_calls(), 0u);
}

TEST_P(HandlerStopTest, AOneWayIsForNobody) {
  Latch latch;
  Latch stopped;
  Pair pair =
      Connect(Worker{.Note = [&](const Caller& caller, std::string_view) {
        const std::stop_token token = caller.stop_token();
        latch.ArriveAndWait();
        EXPECT_TRUE(token.stop_possible());
        EXPECT_FALSE(token.stop_requested());
        latch.Arrive();
        AwaitStop(token);
        stopped.Arrive();
      }});
  // Its deadline is for sending it.
  EXPECT_TRUE(pair.remote->Note(Within(1h), "x").ok());
  latch.Await();
  pair.client.Close();
  latch.Open();
  latch.Await(2);
  pair.server.Close();
  stopped.Await();
}

TEST_P(HandlerStopTest, ACallOfItsOwnEndpoint) {
  Latch latch;
  Endpoint server = Open("server");
  const auto service = Serve(server, UntilStopped(latch));
  const Proxy<Worker> own = service;
  std::stop_source stop;
  Calling calling(own, {.stop = stop.get_token()});
  latch.Await();
  stop.request_stop();
  EXPECT_EQ(calling.Join().value(), "x!");
  // With a deadline.
  for (int before = latch.arrived(); latch.arrived() == before;) {
    (void)own->Do(Within(5ms), "x");
  }
  EXPECT_EQ(server.pending_calls(), 0u);
}

// A token that is kept says nothing of what comes later.
TEST_P(HandlerStopTest, Outlived) {
  Latch latch;
  std::optional<std::stop_token> kept;
  Pair pair =
      Connect(Worker{.Do = [&](const Caller& caller, std::string_view what) {
        if (!kept.has_value()) kept = caller.stop_token();
        return Answered(what);
      }});
  std::stop_source stop;
  EXPECT_TRUE(pair.remote->Do({.stop = stop.get_token()}, "x").ok());
  stop.request_stop();
  pair.client.Close();
  pair.server.Close();
  EXPECT_FALSE(kept->stop_requested());
}

}  // namespace
}  // namespace binderlite::testing
