// SPDX-License-Identifier: Apache-2.0
//
// Checks api/conversation.h: calls that are given up, at each stage, and
// requests that nobody has declared.

#include "binderlite/api/conversation.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "binderlite/api/envelope.h"
#include "support/api_test.h"
#include "support/descriptors.h"
#include "support/raw_calls.h"
#include "support/streams.h"

namespace binderlite::testing {
namespace {

using namespace std::chrono_literals;

// How a call is given up: by its token, or by a deadline. That may pass before
// the call has got as far as the test wants it to; then it is tried again with
// a later one.
struct GiveUp {
  [[nodiscard]] CallOptions options() const {
    return by_deadline ? Within(timeout)
                       : CallOptions{.stop = stop.get_token()};
  }
  [[nodiscard]] StatusCode code() const {
    return by_deadline ? StatusCode::kDeadline : StatusCode::kCancelled;
  }
  // It is time to; a deadline passes by itself.
  void Now() {
    if (!by_deadline) stop.request_stop();
  }
  // For the next attempt.
  void Later() { timeout *= 2; }

  bool by_deadline = false;
  std::chrono::milliseconds timeout = 100ms;
  std::stop_source stop = {};
};

class ConversationTest : public ModeTest {};
BINDERLITE_BOTH_MODES(ConversationTest);

TEST_P(ConversationTest, CancelledBeforeItIsSent) {
  Latch latch;
  latch.Open();
  const Pair pair = Connect(WaitsAt(latch));
  std::stop_source stop;
  stop.request_stop();
  const auto result = pair.remote->Do({.stop = stop.get_token()}, "x");
  EXPECT_EQ(result.status(), StatusCode::kCancelled);
  EXPECT_EQ(result.status().delivery(), Delivery::kNo);
  const auto late = pair.remote->Do(Within(-1ns), "x");
  EXPECT_EQ(late.status(), StatusCode::kDeadline);
  EXPECT_EQ(late.status().delivery(), Delivery::kNo);
  EXPECT_EQ(pair.remote->Note({.stop = stop.get_token()}, "x"),
            StatusCode::kCancelled);
  EXPECT_EQ(
      pair.remote->Do.Async({.stop = stop.get_token()}, "x").Get().status(),
      StatusCode::kCancelled);
  EXPECT_EQ(pair.remote->Do.Async(Within(-1ns), "x").Get().status(),
            StatusCode::kDeadline);
  EXPECT_EQ(latch.arrived(), 0);
  AwaitQuiet();
}

TEST_P(ConversationTest, GivenUpWhileItIsQueued) {
  for (const bool by_deadline : {false, true}) {
    Latch latch;
    latch.Open();
    Pair pair = Connect(WaitsAt(latch), {.loopers = 0});
    (void)pair.server.Dispatch();
    for (GiveUp give_up{.by_deadline = by_deadline};; give_up.Later()) {
      Calling calling(pair.remote, give_up.options(), [this] { Touch(); });
      AwaitState([&] {
        return calling.done() || SnapshotOf(pair.server).work.size() == 1;
      });
      give_up.Now();
      const Status status = calling.Join().status();
      EXPECT_EQ(status, give_up.code());
      if (status.delivery() == Delivery::kUnknown) break;
    }
    // It is served all the same, and its answer dropped.
    (void)pair.server.Dispatch();
    EXPECT_EQ(latch.arrived(), 1);
    AwaitQuiet();
    Calling again(pair.remote);
    AwaitQueued(pair.server);
    (void)pair.server.Dispatch();
    EXPECT_EQ(again.Join().value(), "x!");
    (void)pair.server.Dispatch();
    AwaitQuiet();
  }
}

TEST_P(ConversationTest, GivenUpWhileTheHandlerRuns) {
  for (const bool by_deadline : {false, true}) {
    Endpoint server = Open("server");
    Endpoint client = Open("client");
    for (GiveUp give_up{.by_deadline = by_deadline};; give_up.Later()) {
      Latch latch;
      const auto service = Serve(server, WaitsAt(latch));
      const auto remote = Give(service, server, client);
      Calling calling(remote, give_up.options(), [&] { latch.Poke(); });
      latch.Await();
      give_up.Now();
      if (here() || latch.arrived() == 0) latch.Open();
      const Status status = calling.Join().status();
      // The handler was on the caller's thread, and the answer is there.
      if (!here()) {
        EXPECT_EQ(status, give_up.code());
        EXPECT_EQ(server.Running().size(), latch.arrived() == 0 ? 0u : 1u);
      }
      latch.Open();
      AwaitQuiet();
      EXPECT_EQ(remote->Do("y").value(), "y!");
      if (latch.arrived() != 0) break;
    }
    AwaitQuiet();
  }
}

struct Runner {
  static constexpr InterfaceName kName = "test.Runner";
  Method<1, void(Proxy<Worker>)> Run = {};
};

// By what it calls back itself, which is answered all the same.
TEST_P(ConversationTest, CancelledByACallback) {
  Latch heard;
  Result<std::string> answer{Status(StatusCode::kFailed)};
  Pair<Runner> pair = Connect(Runner{.Run = [&](const Proxy<Worker>& callback) {
    answer = callback->Do("progress");
    heard.ArriveAndWait();
  }});
  // On the caller's thread it has to return before the caller can.
  if (here()) heard.Open();
  std::stop_source stop;
  const auto callback =
      Serve(pair.client, Worker{.Do = [&](std::string_view what) {
              stop.request_stop();
              return Answered(what);
            }});
  const Status status =
      pair.remote->Run({.stop = stop.get_token()}, Proxy<Worker>(callback));
  if (!here()) {
    EXPECT_EQ(status, StatusCode::kCancelled);
  }
  heard.Await();
  heard.Open();
  ASSERT_TRUE(answer.ok()) << answer.status().ToString();
  EXPECT_EQ(*answer, "progress!");
  AwaitQuiet();
  EXPECT_TRUE(pair.remote->Run(Proxy<Worker>(callback)).ok());
}

// A handler gives up its own call; the one that it serves can be answered.
TEST_P(ConversationTest, AHandlerGivesUpItsOwnCall) {
  for (const bool by_deadline : {false, true}) {
    Endpoint back = Open("back");
    Endpoint server = Open("server");
    Endpoint client = Open("client");
    Latch latch;
    GiveUp give_up{.by_deadline = by_deadline};
    const auto behind = back.Create(WaitsAt(latch));
    const auto to_back = Give(behind, back, server);
    const auto service =
        Serve(server, Worker{.Do = [&](std::string_view what) {
                return "had " +
                       to_back->Do(give_up.options(), what).status().ToString();
              }});
    const auto remote = Give(service, server, client);
    Calling calling(remote);
    if (!by_deadline) {
      latch.Await();
      give_up.Now();
    }
    EXPECT_EQ(calling.Join().value(),
              by_deadline ? "had deadline passed" : "had cancelled");
    latch.Open();
    AwaitQuiet();
    // The same threads go on.
    for (int i = 0; i < 3; ++i) {
      EXPECT_TRUE(remote->Do({.deadline = sync::kNoDeadline}, "x").ok());
    }
    AwaitQuiet();
  }
}

// The callee of a call that is given up calls on, by which its caller's caller
// is looked for: chains of callers change meanwhile.
TEST_P(ConversationTest, ChainsThatAreGivenUpAllTheTime) {
  Endpoint a = Open("a");
  Endpoint b = Open("b");
  Endpoint c = Open("c");
  Proxy<Worker> b_to_c;
  Proxy<Worker> c_to_a;
  const auto at_a = Serve(a, Worker{.Do = &Answered});
  const auto at_c = Serve(c, Worker{.Do = [&](std::string_view what) {
                            return c_to_a->Do(what).value_or("none");
                          }});
  const auto at_b = Serve(b, Worker{.Do = [&](std::string_view what) {
                            const auto in =
                                std::chrono::microseconds(what.size() * 7 % 90);
                            for (int i = 0; i < 5; ++i) {
                              (void)b_to_c->Do(Within(in), what).ok();
                            }
                            return std::string(what);
                          }});
  b_to_c = Give(at_c, c, b);
  c_to_a = Give(at_a, a, c);
  const auto a_to_b = Give(at_b, b, a);
  std::vector<std::jthread> callers;
  for (std::size_t i = 0; i < 3; ++i) {
    callers.emplace_back([&, i] {
      for (std::size_t n = 0; n < 100; ++n) {
        const std::string text(n % 40 + i, 'x');
        EXPECT_EQ(a_to_b->Do(text).value(), text);
      }
    });
  }
  callers.clear();
  AwaitQuiet();
  b_to_c = {};
  c_to_a = {};
}

// --- Given up when the answer is on its way ---------------------------------

// Where the caller's thread is the handler's, it does not wait for one.
class AnswerTest : public ModeTest {};
BINDERLITE_HANDED_OVER(AnswerTest);

// The looper is in the middle of sending the reply.
TEST_P(AnswerTest, GivenUpWhileItIsAnswered) {
  for (const std::size_t size : {1u, 100'000u}) {
    for (const bool by_deadline : {false, true}) {
      Endpoint server = Open("server");
      Endpoint client = Open("client");
      for (GiveUp give_up{.by_deadline = by_deadline};; give_up.Later()) {
        Latch latch;
        const auto service =
            Serve(server, Worker{.Do = [&](std::string_view what) {
                    if (what == "x") latch.ArriveAndWait();
                    return std::string(size, 'a');
                  }});
        const auto remote = Give(service, server, client);
        Calling calling(remote, give_up.options(), [&] { latch.Poke(); });
        latch.Await();
        const bool began = latch.arrived() != 0;
        std::int32_t looper = 0;
        if (began) {
          looper = OnlyHandler(server);
          const int before = gates().Visits(Point::kSending, looper);
          gates().Close(Point::kSending, looper);
          latch.Open();
          gates().WaitFor(Point::kSending, looper, before + 1);
          give_up.Now();
        }
        EXPECT_EQ(calling.Join().status(), give_up.code());
        if (began) gates().Open(Point::kSending, looper);
        latch.Open();
        AwaitQuiet();
        EXPECT_EQ(remote->Do("y").value().size(), size);
        AwaitQuiet();
        if (began) break;
      }
    }
  }
}

// The reply is there, and the caller awake, but it has not read it.
TEST_P(AnswerTest, GivenUpWhenItIsAnswered) {
  Latch latch;
  Pair pair = Connect(WaitsAt(latch));
  GiveUp give_up;
  Calling calling(pair.remote, give_up.options());
  latch.Await();
  std::int32_t caller = 0;
  AwaitState([&] { return (caller = OnlyCaller(pair.client)) != 0; });
  gates().CloseForSleeper(caller);
  latch.Open();
  gates().WaitUntilHeld(Point::kWoken, caller);
  AwaitState([&] { return SnapshotOf(pair.client).buffers == 1; });
  give_up.Now();
  gates().Open(Point::kWoken, caller);
  EXPECT_EQ(calling.Join().status(), give_up.code());
  AwaitQuiet();
  EXPECT_EQ(pair.remote->Do("y").value(), "y!");
  AwaitQuiet();
}

// The same with a deadline, which has passed when the caller looks: whichever
// it finds first, nothing is left.
TEST_P(AnswerTest, LateWhenItIsAnswered) {
  Endpoint server = Open("server");
  Endpoint client = Open("client");
  for (GiveUp give_up{.by_deadline = true};; give_up.Later()) {
    Latch latch;
    const auto service = Serve(server, WaitsAt(latch));
    const auto remote = Give(service, server, client);
    const CallOptions options = give_up.options();
    Calling calling(remote, options, [&] {
      latch.Poke();
      Touch();
    });
    latch.Await();
    std::int32_t caller = 0;
    if (latch.arrived() != 0) {
      AwaitState(
          [&] { return calling.done() || (caller = OnlyCaller(client)) != 0; });
    }
    if (caller == 0) {  // It was late before that.
      latch.Open();
      EXPECT_EQ(calling.Join().status(), StatusCode::kDeadline);
      AwaitQuiet();
      continue;
    }
    gates().Close(Point::kWoken, caller);
    latch.Open();
    while (std::chrono::steady_clock::now() < options.deadline) {
      std::this_thread::yield();
    }
    gates().Open(Point::kWoken, caller);
    const Result<std::string>& result = calling.Join();
    EXPECT_TRUE(result.ok() || result.status() == StatusCode::kDeadline);
    AwaitQuiet();
    EXPECT_EQ(remote->Do("y").value(), "y!");
    AwaitQuiet();
    break;
  }
}

// --- Payloads that nobody has declared --------------------------------------

// A typed service behind handle 0, and a driver without a typed API.
class RawTest : public ::testing::TestWithParam<bool> {
 protected:
  using Answer = RawCaller::Answer;

  RawTest() {
    EXPECT_TRUE(server_.BecomeManager(service_).ok());
    server_.Serve();
  }

  // A request for Do("hello").
  static RawRequest Request(
      std::uint64_t interface_id = api_internal::IdOf("test.Worker"),
      std::uint64_t pending = 0) {
    return RawRequest({.interface_id = interface_id, .pending = pending},
                      std::string_view("hello"));
  }
  Answer Send(std::uint32_t code, std::span<const std::byte> bytes,
              std::span<const std::uint64_t> offsets = {},
              std::uint32_t flags = 0) {
    return raw_.Send(/*handle=*/0, code, bytes, offsets, flags);
  }
  void ExpectServed() { EXPECT_EQ(Send(1, Request().bytes()).text, "hello!"); }

 private:
  Binder binder_{{.service_manager = false}};
  Endpoint server_ = binder_.Open("server");
  const Service<Worker> service_ =
      server_.Create(Worker{.Do = &Answered,
                            .Note = [](std::string_view) {},
                            .Take = [](const Proxy<Worker>&) {}},
                     {.run_on_callers = GetParam()});
  RawCaller raw_{binder_.context()};
};
BINDERLITE_BOTH_MODES(RawTest);

TEST_P(RawTest, AValidRequestIsServed) { ExpectServed(); }

TEST_P(RawTest, EveryTruncationIsRefused) {
  const RawRequest valid = Request();
  for (std::size_t size = 0; size < valid.bytes().size(); ++size) {
    for (const std::uint32_t code : {1u, 2u, 3u, 5u, 77u}) {
      const Answer answer = Send(code, valid.bytes().first(size));
      ASSERT_EQ(answer.command, Br::BR_REPLY);
      ASSERT_TRUE(code == 2 || answer.is_status) << size;
      if (code == 1) {
        EXPECT_EQ(answer.status, StatusCode::kMalformed);
      }
      (void)Send(code, valid.bytes().first(size), {}, kTfOneWay);
    }
  }
  ExpectServed();
}

TEST_P(RawTest, WrongHeaders) {
  const RawRequest other = Request(api_internal::IdOf("test.Other"));
  EXPECT_EQ(Send(1, other.bytes()).status, StatusCode::kWrongInterface);
  const RawRequest valid = Request();
  EXPECT_EQ(Send(99, valid.bytes()).status, StatusCode::kNoSuchMethod);
  EXPECT_EQ(Send(0, valid.bytes()).status, StatusCode::kNoSuchMethod);
  // An asynchronous call without an object that takes its result, and one that
  // is synchronous at the same time.
  const RawRequest pending = Request(api_internal::IdOf("test.Worker"), 7);
  EXPECT_EQ(Send(1, pending.bytes()).status, StatusCode::kMalformed);
  (void)Send(1, pending.bytes(), {}, kTfOneWay);
  ExpectServed();
}

TEST_P(RawTest, BadObjects) {
  const RawRequest valid = Request();
  constexpr std::size_t kHeader = sizeof(api_internal::RequestHeader);
  Payload payload;
  payload.Bytes(valid.bytes().data(), kHeader);
  const std::uint32_t words[2] = {1, 0};
  payload.Bytes(words, sizeof(words));
  const int fd = OpenNull();
  payload.Fd(fd);
  const int before = CountNulls();
  const Answer answer = Send(3, payload.data(), payload.offsets());
  EXPECT_EQ(answer.status, StatusCode::kMalformed);
  // It has gone with the buffer.
  ExpectServed();
  EXPECT_EQ(CountNulls(), before);
  ::close(fd);
  // An object of the raw Proc's, where a text is to be.
  Payload binder;
  binder.Bytes(valid.bytes().data(), kHeader);
  binder.Binder(0x10, 0x20);
  EXPECT_TRUE(Send(1, binder.data(), binder.offsets()).is_status);
}

}  // namespace
}  // namespace binderlite::testing
