// SPDX-License-Identifier: Apache-2.0
//
// Checks api/transport.h: calls through the driver, and what becomes of those
// that are given up, at each stage; of those whose other side dies; of results
// that there is no room for; and of requests that nobody has declared.

#include "binderlite/api/transport.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "binderlite/api/codec.h"
#include "support/api_test.h"
#include "support/streams.h"

namespace binderlite::testing {
namespace {

using namespace std::chrono_literals;

class TransportTest : public ModeTest {
 protected:
  explicit TransportTest(BinderOptions options = {})
      : ModeTest(std::move(options)) {}

  // Has a thread of its own call remote->Do(options, what), and `at_end`.
  struct Calling {
    Calling(
        const Proxy<Worker>& remote, CallOptions options,
        std::function<void()> at_end = [] {}, std::string what = "x")
        : thread([this, remote, options = std::move(options),
                  at_end = std::move(at_end), what = std::move(what)] {
            result.emplace(remote->Do(options, what));
            done = true;
            at_end();
          }) {}
    Result<std::string>& Join() {
      thread.join();
      return *result;
    }
    std::optional<Result<std::string>> result;
    std::atomic<bool> done{false};
    std::jthread thread;
  };
};
BINDERLITE_BOTH_MODES(TransportTest);

std::string Answered(std::string_view what) { return std::string(what) + "!"; }

TEST_P(TransportTest, CallsAndOneWays) {
  Latch noted;
  Endpoint server = Open("server");
  Endpoint client = Open("client");
  const auto service =
      Serve(server, Worker{.Do = &Answered,
                           .Note = [&](std::string_view) { noted.Arrive(); }});
  const auto remote = Give(service, server, client);
  EXPECT_EQ(remote->Do("x").value(), "x!");
  EXPECT_TRUE(remote->Note("x").ok());
  noted.Await();
  AwaitQuiet();
}

// Payloads of all sizes around that up to which they are copied.
TEST_P(TransportTest, PayloadsOfAnySizeBothWays) {
  Endpoint server = Open("server");
  Endpoint client = Open("client");
  const auto service = Serve(server, Worker{.Do = &Answered});
  const auto remote = Give(service, server, client);
  for (std::size_t size = 0; size < 2 * api_internal::kSmallPayload;
       size += 7) {
    const std::string text(size, 'a');
    ASSERT_EQ(remote->Do(text).value(), text + "!");
  }
  const std::string big(400'000, 'b');
  EXPECT_EQ(remote->Do(big).value(), big + "!");
  EXPECT_EQ(remote->Do.Async(big).Get().value(), big + "!");
  AwaitQuiet();
}

// --- Giving up --------------------------------------------------------------

TEST_P(TransportTest, CancelledBeforeItIsSent) {
  Endpoint server = Open("server");
  Endpoint client = Open("client");
  Latch ran;
  const auto service = Serve(server, Worker{.Do = [&](std::string_view what) {
                               ran.Arrive();
                               return std::string(what);
                             }});
  const auto remote = Give(service, server, client);
  std::stop_source stop;
  stop.request_stop();
  const auto result = remote->Do({.stop = stop.get_token()}, "x");
  EXPECT_EQ(result.status(), StatusCode::kCancelled);
  EXPECT_EQ(result.status().delivery(), Delivery::kNo);
  const auto late = remote->Do(Within(-1ns), "x");
  EXPECT_EQ(late.status(), StatusCode::kDeadline);
  EXPECT_EQ(late.status().delivery(), Delivery::kNo);
  EXPECT_EQ(remote->Note({.stop = stop.get_token()}, "x"),
            StatusCode::kCancelled);
  EXPECT_EQ(remote->Do.Async({.stop = stop.get_token()}, "x").Get().status(),
            StatusCode::kCancelled);
  EXPECT_EQ(remote->Do.Async(Within(-1ns), "x").Get().status(),
            StatusCode::kDeadline);
  EXPECT_EQ(ran.arrived(), 0);
  AwaitQuiet();
}

TEST_P(TransportTest, GivenUpWhileItIsQueued) {
  for (const bool by_deadline : {false, true}) {
    Endpoint server = Open({.name = "server", .loopers = 0});
    Endpoint client = Open("client");
    Latch ran;
    const auto service = Serve(server, Worker{.Do = [&](std::string_view what) {
                                 ran.Arrive();
                                 return std::string(what) + "!";
                               }});
    const auto remote = Give(service, server, client);
    (void)server.Dispatch();
    // A deadline may pass before the call is sent.
    for (auto timeout = 100ms;; timeout *= 2) {
      std::stop_source stop;
      Calling calling(
          remote,
          by_deadline ? Within(timeout) : CallOptions{.stop = stop.get_token()},
          [this] { Touch(); });
      AwaitState(
          [&] { return calling.done || SnapshotOf(server).work.size() == 1; });
      if (!by_deadline) stop.request_stop();
      const Status status = calling.Join().status();
      EXPECT_EQ(status,
                by_deadline ? StatusCode::kDeadline : StatusCode::kCancelled);
      if (status.delivery() == Delivery::kUnknown) break;
    }
    // It is served all the same, and its answer dropped.
    (void)server.Dispatch();
    EXPECT_EQ(ran.arrived(), 1);
    AwaitQuiet();
    Calling again(remote, {});
    AwaitQueued(server);
    (void)server.Dispatch();
    EXPECT_EQ(again.Join().value(), "x!");
    (void)server.Dispatch();
    AwaitQuiet();
  }
}

TEST_P(TransportTest, GivenUpWhileTheHandlerRuns) {
  for (const bool by_deadline : {false, true}) {
    Endpoint server = Open("server");
    Endpoint client = Open("client");
    for (auto timeout = 100ms;; timeout *= 2) {
      Latch latch;
      const auto service =
          Serve(server, Worker{.Do = [&](std::string_view what) {
                  if (what == "x") latch.ArriveAndWait();
                  return std::string(what) + "!";
                }});
      const auto remote = Give(service, server, client);
      std::stop_source stop;
      Calling calling(
          remote,
          by_deadline ? Within(timeout) : CallOptions{.stop = stop.get_token()},
          [&] { latch.Poke(); });
      latch.Await();
      if (!by_deadline) stop.request_stop();
      if (here() || latch.arrived() == 0) latch.Open();
      const Status status = calling.Join().status();
      // The handler was on the caller's thread, and the answer is there.
      if (!here()) {
        EXPECT_EQ(status,
                  by_deadline ? StatusCode::kDeadline : StatusCode::kCancelled);
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

// The looper is in the middle of sending the reply.
TEST_P(TransportTest, GivenUpWhileItIsAnswered) {
  if (here()) GTEST_SKIP() << "one OS thread does both";
  for (const std::size_t size : {1u, 100'000u}) {
    for (const bool by_deadline : {false, true}) {
      Endpoint server = Open("server");
      Endpoint client = Open("client");
      // A deadline may pass before the handler has begun.
      for (auto timeout = 100ms;; timeout *= 2) {
        Latch latch;
        const auto service =
            Serve(server, Worker{.Do = [&](std::string_view what) {
                    if (what == "x") latch.ArriveAndWait();
                    return std::string(size, 'a');
                  }});
        const auto remote = Give(service, server, client);
        std::stop_source stop;
        Calling calling(remote,
                        by_deadline ? Within(timeout)
                                    : CallOptions{.stop = stop.get_token()},
                        [&] { latch.Poke(); });
        latch.Await();
        const bool began = latch.arrived() != 0;
        std::int32_t looper = 0;
        if (began) {
          looper = OnlyHandler(server);
          const int before = gates().Visits(Point::kSending, looper);
          gates().Close(Point::kSending, looper);
          latch.Open();
          gates().WaitFor(Point::kSending, looper, before + 1);
          if (!by_deadline) stop.request_stop();
        }
        EXPECT_EQ(calling.Join().status(),
                  by_deadline ? StatusCode::kDeadline : StatusCode::kCancelled);
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
TEST_P(TransportTest, GivenUpWhenItIsAnswered) {
  if (here()) GTEST_SKIP() << "the caller does not wait";
  Endpoint server = Open("server");
  Endpoint client = Open("client");
  Latch latch;
  const auto service = Serve(server, Worker{.Do = [&](std::string_view what) {
                               if (what == "x") latch.ArriveAndWait();
                               return std::string(what) + "!";
                             }});
  const auto remote = Give(service, server, client);
  std::stop_source stop;
  Calling calling(remote, {.stop = stop.get_token()});
  latch.Await();
  std::int32_t caller = 0;
  AwaitState([&] { return (caller = OnlyCaller(client)) != 0; });
  const int before = gates().Visits(Point::kWoken, caller);
  gates().Close(Point::kWoken, caller);
  latch.Open();
  gates().WaitFor(Point::kWoken, caller, before + 1);
  AwaitState([&] { return SnapshotOf(client).buffers == 1; });
  stop.request_stop();
  gates().Open(Point::kWoken, caller);
  EXPECT_EQ(calling.Join().status(), StatusCode::kCancelled);
  AwaitQuiet();
  EXPECT_EQ(remote->Do("y").value(), "y!");
  AwaitQuiet();
}

// The same with a deadline, which has passed when the caller looks: whichever
// it finds first, nothing is left.
TEST_P(TransportTest, LateWhenItIsAnswered) {
  if (here()) GTEST_SKIP() << "the caller does not wait";
  Endpoint server = Open("server");
  Endpoint client = Open("client");
  for (auto timeout = 100ms;; timeout *= 2) {
    Latch latch;
    const auto service = Serve(server, Worker{.Do = [&](std::string_view what) {
                                 if (what == "x") latch.ArriveAndWait();
                                 return std::string(what) + "!";
                               }});
    const auto remote = Give(service, server, client);
    const CallOptions options = Within(timeout);
    Calling calling(remote, options, [&] {
      latch.Poke();
      Touch();
    });
    latch.Await();
    std::int32_t caller = 0;
    if (latch.arrived() != 0) {
      AwaitState(
          [&] { return calling.done || (caller = OnlyCaller(client)) != 0; });
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

// A handler gives up its own call; the one that it serves can be answered. All
// three stages of the inner one.
TEST_P(TransportTest, AHandlerGivesUpItsOwnCall) {
  for (const bool by_deadline : {false, true}) {
    Endpoint back = Open("back");
    Endpoint server = Open("server");
    Endpoint client = Open("client");
    Latch latch;
    const auto behind = back.Create(Worker{.Do = [&](std::string_view what) {
      latch.ArriveAndWait();
      return std::string(what);
    }});
    const auto to_back = Give(behind, back, server);
    std::stop_source stop;
    Status inner;
    const auto service = Serve(
        server, Worker{.Do = [&](std::string_view what) {
          inner = to_back
                      ->Do(by_deadline ? Within(100ms)
                                       : CallOptions{.stop = stop.get_token()},
                           what)
                      .status();
          return "had " + inner.ToString();
        }});
    const auto remote = Give(service, server, client);
    Calling calling(remote, {});
    if (!by_deadline) {
      latch.Await();
      stop.request_stop();
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
TEST_P(TransportTest, ChainsThatAreGivenUpAllTheTime) {
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

// What is destroyed when a call is given up may make calls of its own.
TEST_P(TransportTest, CallsFromDestructorsOfWhatIsSent) {
  struct Calls {
    std::function<void()> call;
    ~Calls() { call(); }
  };
  Endpoint server = Open("server");
  Endpoint client = Open("client");
  const auto service =
      Serve(server, Worker{.Do = &Answered, .Take = [](Proxy<Worker>) {}});
  const auto remote = Give(service, server, client);
  std::atomic<int> answered = 0;
  for (int i = 0; i < 20; ++i) {
    auto calls = std::make_shared<Calls>(
        Calls{[&] { answered += remote->Do("x").ok() ? 1 : 0; }});
    calls = std::shared_ptr<Calls>(
        new Calls{[&] { answered += remote->Do("x").ok() ? 1 : 0; }});
    EXPECT_TRUE(
        remote
            ->Take(client.Create(Worker{
                .Do = [calls](std::string_view) { return std::string(); }}))
            .ok());
  }
  AwaitState([&] {
    Touch();
    return answered >= 40;
  });
  AwaitQuiet();
}

TEST_P(TransportTest, NestedCallsInBothDirections) {
  Endpoint a = Open({.name = "a", .max_loopers = 1});
  Endpoint b = Open({.name = "b", .max_loopers = 1});
  const auto bounce = [](Proxy<Worker>* other, Service<Worker>* self) {
    return [other, self](const Proxy<Worker>&, int left) -> Result<int> {
      if (left == 0) return 0;
      const Result<int> rest = (*other)->Bounce(Proxy<Worker>(*self), left - 1);
      if (!rest.ok()) return rest.status();
      return *rest + 1;
    };
  };
  Proxy<Worker> a_to_b;
  Proxy<Worker> b_to_a;
  Service<Worker> at_a;
  Service<Worker> at_b;
  at_a = Serve(a, Worker{.Bounce = bounce(&a_to_b, &at_a)});
  at_b = Serve(b, Worker{.Bounce = bounce(&b_to_a, &at_b)});
  a_to_b = Give(at_b, b, a);
  b_to_a = Give(at_a, a, b);
  EXPECT_EQ(a_to_b->Bounce({}, 100).value(), 100);
  std::jthread from_a([&] { EXPECT_EQ(a_to_b->Bounce({}, 100).value(), 100); });
  std::jthread from_b([&] { EXPECT_EQ(b_to_a->Bounce({}, 100).value(), 100); });
  from_a.join();
  from_b.join();
  AwaitQuiet();
}

// --- Memory -----------------------------------------------------------------

TEST_P(TransportTest, ArgumentsThatAreTooManyForTheCallee) {
  Endpoint server = Open({.name = "server", .arena_size = 1 << 16});
  Endpoint client = Open("client");
  const auto service = Serve(server, Worker{.Do = &Answered});
  const auto remote = Give(service, server, client);
  const std::string big(100'000, 'x');
  const Status status = remote->Do(big).status();
  EXPECT_EQ(status, StatusCode::kOutOfMemory);
  EXPECT_EQ(status.delivery(), Delivery::kNo);
  EXPECT_GE(status.shortage().wanted, big.size());
  EXPECT_LE(status.shortage().free, 1u << 16);
  EXPECT_EQ(status.shortage().size, 1u << 16);
  const Status note = remote->Note(big);
  EXPECT_EQ(note, StatusCode::kOutOfMemory);
  EXPECT_EQ(note.shortage().size, 1u << 16);
  const Status later = remote->Do.Async(big).Get().status();
  EXPECT_EQ(later, StatusCode::kOutOfMemory);
  EXPECT_EQ(later.shortage().size, 1u << 16);
  EXPECT_EQ(remote->Do("x").value(), "x!");
  AwaitQuiet();
}

TEST_P(TransportTest, ResultsThatAreTooBigForTheCaller) {
  Endpoint server = Open("server");
  Endpoint client = Open({.name = "client", .arena_size = 1 << 16});
  const std::string big(100'000, 'x');
  const auto service = Serve(server, Worker{.Do = [&](std::string_view what) {
                               return what == "big" ? big : std::string(what);
                             }});
  const auto remote = Give(service, server, client);
  for (const bool later : {false, true}) {
    const Status status = later ? remote->Do.Async("big").Get().status()
                                : remote->Do("big").status();
    EXPECT_EQ(status, StatusCode::kOutOfMemory);
    EXPECT_EQ(status.delivery(), Delivery::kYes);
    EXPECT_GE(status.shortage().wanted, big.size());
    EXPECT_EQ(status.shortage().size, 1u << 16);
  }
  EXPECT_EQ(remote->Do("x").value(), "x");
  AwaitQuiet();
}

// A small result, for which the memory is not looked at before it is sent.
TEST_P(TransportTest, SmallResultsForACallerWithoutMemory) {
  Endpoint server = Open("server");
  Endpoint client = Open({.name = "client", .arena_size = 4096});
  Latch latch;
  const auto service = Serve(server, Worker{.Do = [&](std::string_view) {
                               return std::string(400, 'r');
                             }});
  const auto remote = Give(service, server, client);
  const auto mine = client.Create(Worker{.Do = [&](std::string_view) {
    latch.ArriveAndWait();
    return std::string();
  }});
  const auto back = Give(mine, client, server);
  Calling holding(
      back, {}, [] {}, std::string(3700, 'a'));
  latch.Await();
  const Status status = remote->Do("x").status();
  EXPECT_EQ(status, StatusCode::kOutOfMemory);
  EXPECT_EQ(status.delivery(), Delivery::kYes);
  EXPECT_EQ(status.shortage().size, 4096u);
  EXPECT_LT(status.shortage().free, 400u);
  latch.Open();
  EXPECT_TRUE(holding.Join().ok());
  EXPECT_TRUE(remote->Do("x").ok());
  AwaitQuiet();
}

// --- Asynchronous -----------------------------------------------------------

TEST_P(TransportTest, AThreadForNoneOfTenThousand) {
  constexpr int kCalls = 10'000;
  // One looper each. Otherwise there may be another one whenever that is busy
  // and the next is not waiting yet.
  Endpoint server =
      Open({.name = "server", .arena_size = 1 << 24, .max_loopers = 1});
  Endpoint client =
      Open({.name = "client", .arena_size = 1 << 24, .max_loopers = 1});
  Latch latch;
  const auto service = Serve(server, Worker{.Do = [&](std::string_view what) {
                               if (what == "0") latch.ArriveAndWait();
                               return std::string(what) + "!";
                             }});
  const auto remote = Give(service, server, client);
  EXPECT_TRUE(remote->Do.Async("x").Get().ok());  // All threads are there.
  const int threads = CountThreads();
  std::vector<Future<std::string>> futures;
  for (int i = 0; i < kCalls; ++i) {
    futures.push_back(remote->Do.Async(std::to_string(i)));
  }
  latch.Await();
  EXPECT_EQ(client.pending_calls(), std::size_t{kCalls});
  EXPECT_LE(CountThreads(), threads);
  latch.Open();
  for (int i = 0; i < kCalls; ++i) {
    const auto result = futures[static_cast<std::size_t>(i)].Get();
    ASSERT_TRUE(result.ok()) << result.status().ToString();
    ASSERT_EQ(*result, std::to_string(i) + "!");
  }
  EXPECT_EQ(client.pending_calls(), 0u);
  AwaitQuiet();
}

// The caller has memory for few results at a time: none is lost.
TEST_P(TransportTest, ResultsWaitUntilThereIsRoom) {
  constexpr int kCalls = 200;
  Endpoint server = Open({.name = "server", .arena_size = 1 << 20});
  Endpoint client = Open({.name = "client", .arena_size = 1 << 16});
  const std::string big(10'000, 'b');
  Latch latch;
  Latch registered;
  const auto service =
      Serve(server, Worker{.Do = [&](std::string_view what) {
              if (what == "first") registered.ArriveAndWait();
              return std::string(what) + (what.size() > 2 ? "" : big);
            }});
  const auto remote = Give(service, server, client);
  // The first result keeps the port busy.
  std::vector<Future<std::string>> futures;
  // Answered once it has its callback, which so runs on the client's looper.
  remote->Do.Async("first").Then(
      [&](const Result<std::string>&) { latch.ArriveAndWait(); });
  registered.Open();
  latch.Await();
  for (int i = 0; i < kCalls; ++i) {
    futures.push_back(remote->Do.Async(std::to_string(i)));
  }
  AwaitState([&] {
    return SnapshotOf(server).todo.empty() &&
           SnapshotOf(client).arena_free_async < big.size();
  });
  latch.Open();
  for (int i = 0; i < kCalls; ++i) {
    const auto result = futures[static_cast<std::size_t>(i)].Get();
    ASSERT_TRUE(result.ok()) << i << ": " << result.status().ToString();
    ASSERT_TRUE(result->ends_with(i < 100 ? big : std::to_string(i)));
  }
  EXPECT_EQ(client.pending_calls(), 0u);
  AwaitQuiet();
}

// Results with objects and descriptors wait like others.
TEST_P(TransportTest, WaitingResultsKeepObjects) {
  Endpoint server = Open("server");
  Endpoint client = Open({.name = "client", .arena_size = 1 << 16});
  const std::string big(20'000, 'b');
  Latch latch;
  Latch registered;
  const auto made = Serve(server, Worker{.Do = &Answered});
  const auto service =
      Serve(server, Worker{.Do =
                               [&](std::string_view what) {
                                 if (what == "first")
                                   registered.ArriveAndWait();
                                 return big;
                               },
                           .Make = [&] { return Proxy<Worker>(made); }});
  const auto remote = Give(service, server, client);
  // Answered once it has its callback, which so runs on the client's looper.
  remote->Do.Async("first").Then(
      [&](const Result<std::string>&) { latch.ArriveAndWait(); });
  registered.Open();
  latch.Await();
  std::vector<Future<std::string>> bigs;
  std::vector<Future<Proxy<Worker>>> futures;
  for (int i = 0; i < 300; ++i) {
    if (i < 3) bigs.push_back(remote->Do.Async("x"));
    futures.push_back(remote->Make.Async());
  }
  AwaitState([&] {
    return SnapshotOf(server).todo.empty() &&
           SnapshotOf(client).arena_free_async < 200;
  });
  latch.Open();
  for (auto& future : futures) {
    const auto result = future.Get();
    ASSERT_TRUE(result.ok()) << result.status().ToString();
    ASSERT_EQ((*result)->Do("x").value(), "x!");
  }
  for (auto& future : bigs) EXPECT_EQ(future.Get().value(), big);
  AwaitQuiet();
}

// Whoever waits for a result that nobody will send any more is told.
TEST_P(TransportTest, TheCalleeDiesWithResultsThatWait) {
  Endpoint client = Open({.name = "client", .arena_size = 1 << 16});
  const std::string big(20'000, 'b');
  Latch latch;
  Latch registered;
  std::vector<Future<std::string>> futures;
  {
    Endpoint server = Open("server");
    const auto service = Serve(server, Worker{.Do = [&](std::string_view what) {
                                 if (what == "first")
                                   registered.ArriveAndWait();
                                 return big;
                               }});
    const auto remote = Give(service, server, client);
    // Answered once it has its callback, which so runs on the client's looper.
    remote->Do.Async("first").Then(
        [&](const Result<std::string>&) { latch.ArriveAndWait(); });
    registered.Open();
    latch.Await();
    for (int i = 0; i < 10; ++i) futures.push_back(remote->Do.Async("x"));
    AwaitState([&] {
      return SnapshotOf(server).todo.empty() &&
             SnapshotOf(client).arena_free_async < big.size();
    });
  }
  latch.Open();
  for (auto& future : futures) {
    const Status status = future.Get().status();
    EXPECT_TRUE(status.ok() || status == StatusCode::kDead);
  }
  EXPECT_EQ(client.pending_calls(), 0u);
  AwaitQuiet();
}

TEST_P(TransportTest, TheCalleeDiesWithCallsOut) {
  Endpoint client = Open("client");
  Latch latch;
  std::vector<Future<std::string>> futures;
  {
    Endpoint server = Open("server");
    const auto service = Serve(server, Worker{.Do = [&](std::string_view what) {
                                 latch.ArriveAndWait();
                                 return std::string(what);
                               }});
    const auto remote = Give(service, server, client);
    for (int i = 0; i < 100; ++i) futures.push_back(remote->Do.Async("x"));
    latch.Await();
    std::jthread close([&] { server.Close(); });
    for (auto& future : futures) {
      const Status status = future.Get().status();
      EXPECT_EQ(status, StatusCode::kDead);
      EXPECT_EQ(status.delivery(), Delivery::kUnknown);
    }
    latch.Open();
  }
  EXPECT_EQ(client.pending_calls(), 0u);
  AwaitQuiet();
}

TEST_P(TransportTest, AsynchronousCallsAreGivenUp) {
  Endpoint server = Open("server");
  Endpoint client = Open("client");
  Latch latch;
  const auto service = Serve(server, Worker{.Do = [&](std::string_view what) {
                               if (what == "x") latch.ArriveAndWait();
                               return std::string(what) + "!";
                             }});
  const auto remote = Give(service, server, client);
  std::stop_source stop;
  auto delivered = remote->Do.Async({.stop = stop.get_token()}, "x");
  latch.Await();
  auto queued = remote->Do.Async({.stop = stop.get_token()}, "x");
  auto in_time = remote->Do.Async(Within(1ms), "x");
  EXPECT_EQ(in_time.Get().status(), StatusCode::kDeadline);
  EXPECT_FALSE(delivered.ready());
  stop.request_stop();
  EXPECT_TRUE(delivered.ready());
  EXPECT_EQ(delivered.Get().status(), StatusCode::kCancelled);
  EXPECT_EQ(queued.Get().status(), StatusCode::kCancelled);
  EXPECT_EQ(client.pending_calls(), 0u);
  latch.Open();
  EXPECT_EQ(remote->Do.Async("y").Get().value(), "y!");
  EXPECT_EQ(remote->Do("y").value(), "y!");
  AwaitQuiet();
}

// --- Deaths at every point --------------------------------------------------

// Kills itself at a point.
class KillingTest : public TransportTest {
 protected:
  // Has the callee, or the caller, killed when a thread of it is at `point`
  // while `call` runs.
  void KillAt(Point point, bool callee) {
    Endpoint server = Open("server");
    Endpoint client = Open("client");
    Endpoint watcher = Open("watcher");
    const auto service = Serve(server, Worker{.Do = &Answered});
    const auto remote = Give(service, server, client);
    const auto mine = client.Create(Worker{.Do = &Answered});
    const auto of_victim =
        callee ? Give(service, server, watcher) : Give(mine, client, watcher);
    Latch told;
    const DeathWatch watch = of_victim.WatchDeath([&](DeathReason reason) {
      EXPECT_EQ(reason, DeathReason::kDied);
      told.Arrive();
    });
    ASSERT_TRUE(watch.status().ok());
    AwaitQuiet();
    Endpoint& victim = callee ? server : client;
    victim_ = victim.pid();
    point_ = point;
    kill_ = [&victim] { victim.proc().Kill(); };
    armed_ = true;
    const auto result = remote->Do("x");
    const auto later = remote->Do.Async("x").Get();
    // A point that no call of the victim meets.
    if (armed_.exchange(false)) victim.proc().Kill();
    told.Await();
    if (callee) {
      EXPECT_TRUE(result.ok() || result.status() == StatusCode::kDead ||
                  result.status() == StatusCode::kFailed)
          << result.status().ToString();
      EXPECT_EQ(of_victim->Do("x").status(), StatusCode::kDead);
    } else {
      EXPECT_TRUE(result.ok() || result.status() == StatusCode::kClosed)
          << result.status().ToString();
      EXPECT_EQ(remote->Do("x").status(), StatusCode::kClosed);
    }
    EXPECT_EQ(of_victim->Do.Async("x").Get().status(), StatusCode::kDead);
    EXPECT_EQ(remote->Do.Async("x").Get().status(),
              callee ? StatusCode::kDead : StatusCode::kClosed);
    (void)later.ok();
    client.Close();
    server.Close();
    watcher.Close();
  }
  void OnPoint(Point point, std::int32_t pid) {
    if (armed_ && point == point_ && pid == victim_ && armed_.exchange(false)) {
      kill_();
    }
  }

 private:
  std::atomic<bool> armed_ = false;
  std::atomic<Point> point_ = Point::kEntering;
  std::atomic<std::int32_t> victim_ = 0;
  std::function<void()> kill_;
};
BINDERLITE_BOTH_MODES(KillingTest);

TEST_P(KillingTest, DeathsReachTheOthers) {
  ObservePoints([this](Point point, std::int32_t pid) { OnPoint(point, pid); });
  for (int point = 0; point <= static_cast<int>(Point::kReleasing); ++point) {
    for (const bool callee : {false, true}) {
      SCOPED_TRACE(std::string(ToString(static_cast<Point>(point))) +
                   (callee ? ", callee" : ", caller"));
      KillAt(static_cast<Point>(point), callee);
    }
  }
}

// --- Refusals ---------------------------------------------------------------

TEST_P(TransportTest, AFrozenCallee) {
  Endpoint server = Open("server");
  Endpoint client = Open("client");
  Latch noted;
  const auto service =
      Serve(server, Worker{.Do = &Answered,
                           .Note = [&](std::string_view) { noted.Arrive(); }});
  const auto remote = Give(service, server, client);
  AwaitQuiet();
  Proc raw = context().Open({.name = "raw"});
  Thread thread = raw.Attach();
  ASSERT_EQ(thread.Freeze({.pid = static_cast<std::uint32_t>(server.pid()),
                           .enable = 1,
                           .timeout_ms = 0}),
            Errc::kOk);
  const Status status = remote->Do("x").status();
  EXPECT_EQ(status, StatusCode::kFrozen);
  EXPECT_EQ(status.delivery(), Delivery::kNo);
  EXPECT_EQ(remote.Ping(), StatusCode::kFrozen);
  EXPECT_TRUE(remote->Note("x").ok());
  auto later = remote->Do.Async("y");
  ASSERT_EQ(thread.Freeze({.pid = static_cast<std::uint32_t>(server.pid()),
                           .enable = 0,
                           .timeout_ms = 0}),
            Errc::kOk);
  noted.Await();
  EXPECT_EQ(later.Get().value(), "y!");
  EXPECT_EQ(remote->Do("x").value(), "x!");
  AwaitQuiet();
}

// Lets nobody do what is not allowed, by the label of who calls.
class Guard : public SecurityPolicy {
 public:
  [[nodiscard]] bool MayTransact(const Credentials& from,
                                 const Credentials&) override {
    return from.label != "banned";
  }
  [[nodiscard]] bool MayTransferBinder(const Credentials& from,
                                       const Credentials&) override {
    return from.label != "mute" || !strict;
  }
  std::atomic<bool> strict = false;
};
class PolicyTest : public TransportTest {
 protected:
  PolicyTest() : PolicyTest(std::make_unique<Guard>()) {}
  Guard& guard() { return *guard_; }

 private:
  explicit PolicyTest(std::unique_ptr<Guard> guard)
      : TransportTest({.context = {.policy = guard.get()}}),
        guard_(std::move(guard)) {}
  std::unique_ptr<Guard> guard_;
};
BINDERLITE_BOTH_MODES(PolicyTest);

TEST_P(PolicyTest, Refuses) {
  Endpoint server = Open({.name = "server", .label = "mute"});
  Endpoint client = Open("client");
  Endpoint banned = Open({.name = "banned", .label = "banned"});
  const auto made = Serve(server, Worker{.Do = &Answered});
  const auto service = Serve(server, Worker{.Do = &Answered, .Make = [&] {
                                              return Proxy<Worker>(made);
                                            }});
  const auto remote = Give(service, server, client);
  const Object manager = banned.Manager();
  EXPECT_EQ(manager.Ping(), StatusCode::kRefused);
  EXPECT_EQ(Proxy<Worker>(manager)->Note("x"), StatusCode::kRefused);
  EXPECT_EQ(Proxy<Worker>(manager)->Do.Async("x").Get().status(),
            StatusCode::kRefused);
  EXPECT_TRUE(remote->Make().ok());
  guard().strict = true;
  const Status status = remote->Make().status();
  EXPECT_EQ(status, StatusCode::kRefused);
  EXPECT_EQ(status.delivery(), Delivery::kYes);
  const Status later = remote->Make.Async().Get().status();
  EXPECT_EQ(later, StatusCode::kRefused);
  EXPECT_EQ(remote->Do("x").value(), "x!");
  AwaitQuiet();
}

// --- Payloads that nobody has declared --------------------------------------

// A typed service behind handle 0, and a driver without a typed API.
class RawTest : public ::testing::TestWithParam<bool> {
 protected:
  struct Answer {
    Br command = Br::BR_OK;
    bool is_status = false;
    Status status = {};
    std::string text = {};
  };

  RawTest() {
    BinderOptions options;
    options.service_manager = false;
    binder_.emplace(std::move(options));
    server_ = binder_->Open("server");
    service_ =
        server_.Create(Worker{.Do = &Answered,
                              .Note = [this](std::string_view) { ++noted_; },
                              .Take = [](const Proxy<Worker>&) {}},
                       {.run_on_callers = GetParam()});
    EXPECT_TRUE(server_.BecomeManager(service_).ok());
    server_.Serve();
    raw_ = binder_->context().Open({.name = "raw"});
    thread_.emplace(raw_.Attach());
    std::int32_t version = 0;
    EXPECT_EQ(thread_->Version(version), Errc::kOk);
  }

  Answer Send(std::uint32_t code, std::span<const std::byte> bytes,
              std::span<const std::uint64_t> offsets = {},
              std::uint32_t flags = 0) {
    TransactionData data = {};
    data.code = code;
    data.flags = flags | kTfAcceptFds;
    data.buffer = AddressOf(bytes.data());
    data.data_size = bytes.size();
    data.offsets = AddressOf(offsets.data());
    data.offsets_size = offsets.size_bytes();
    EXPECT_EQ(thread_->Transact(data), Errc::kOk);
    Incoming incoming;
    for (;;) {
      if (thread_->NextWork(incoming) != Errc::kOk) return {};
      switch (incoming.command) {
        case Br::BR_TRANSACTION_COMPLETE:
          if ((flags & kTfOneWay) != 0) return {};
          break;
        case Br::BR_REPLY: {
          const TransactionData& reply = incoming.transaction;
          Answer answer{.command = incoming.command};
          answer.is_status = (reply.flags & kTfStatusCode) != 0;
          {
            Reader reader({reinterpret_cast<const std::byte*>(reply.buffer),
                           static_cast<std::size_t>(reply.data_size)});
            if (answer.is_status) {
              answer.status = api_internal::ReadStatus(reader);
            } else {
              (void)ReadArguments(reader, answer.text);
            }
          }
          EXPECT_EQ(thread_->FreeBuffer(reply.buffer), Errc::kOk);
          return answer;
        }
        case Br::BR_FAILED_REPLY:
        case Br::BR_DEAD_REPLY:
          return {.command = incoming.command};
        default:
          break;
      }
    }
  }
  // A request for Do("hello").
  struct Valid {
    explicit Valid(std::uint64_t id = api_internal::IdOf("test.Worker"),
                   std::uint64_t pending = 0) {
      const api_internal::RequestHeader header = {
          .interface_id = id,
          .deadline = std::numeric_limits<std::int64_t>::max(),
          .pending = pending};
      Writer writer(room);
      writer.Bytes(&header, sizeof(header), 8);
      WriteArguments(writer, std::string_view("hello"));
      bytes = std::span<const std::byte>(room).first(writer.size());
    }
    alignas(8) std::byte room[128];
    std::span<const std::byte> bytes;
  };

  std::atomic<int> noted_ = 0;
  std::optional<Binder> binder_;
  Endpoint server_;
  Service<Worker> service_;
  Proc raw_;
  std::optional<Thread> thread_;
};
INSTANTIATE_TEST_SUITE_P(Modes, RawTest, ::testing::Bool());

TEST_P(RawTest, AValidRequestIsServed) {
  const Valid valid;
  EXPECT_EQ(Send(1, valid.bytes).text, "hello!");
}

TEST_P(RawTest, EveryTruncationIsRefused) {
  const Valid valid;
  for (std::size_t size = 0; size < valid.bytes.size(); ++size) {
    for (const std::uint32_t code : {1u, 2u, 3u, 5u, 77u}) {
      const Answer answer = Send(code, valid.bytes.first(size));
      ASSERT_EQ(answer.command, Br::BR_REPLY);
      ASSERT_TRUE(code == 2 || answer.is_status) << size;
      if (code == 1) {
        EXPECT_EQ(answer.status, StatusCode::kMalformed);
      }
      (void)Send(code, valid.bytes.first(size), {}, kTfOneWay);
    }
  }
  EXPECT_EQ(Send(1, valid.bytes).text, "hello!");
}

TEST_P(RawTest, WrongHeaders) {
  const Valid other(api_internal::IdOf("test.Other"));
  EXPECT_EQ(Send(1, other.bytes).status, StatusCode::kWrongInterface);
  const Valid valid;
  EXPECT_EQ(Send(99, valid.bytes).status, StatusCode::kNoSuchMethod);
  EXPECT_EQ(Send(0, valid.bytes).status, StatusCode::kNoSuchMethod);
  // An asynchronous call without an object that takes its result, and one that
  // is synchronous at the same time.
  const Valid pending(api_internal::IdOf("test.Worker"), 7);
  EXPECT_EQ(Send(1, pending.bytes).status, StatusCode::kMalformed);
  (void)Send(1, pending.bytes, {}, kTfOneWay);
  EXPECT_EQ(Send(1, valid.bytes).text, "hello!");
}

TEST_P(RawTest, BadObjects) {
  const Valid valid;
  Payload payload;
  payload.Bytes(valid.bytes.data(), 24);
  const std::uint32_t words[2] = {1, 0};
  payload.Bytes(words, sizeof(words));
  const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  payload.Fd(fd);
  const int before = CountFds();
  const TransactionData data = payload.Data();
  const Answer answer = Send(3, payload.data(), payload.offsets());
  EXPECT_EQ(answer.status, StatusCode::kMalformed);
  (void)data;
  // It has gone with the buffer.
  EXPECT_EQ(Send(1, valid.bytes).text, "hello!");
  EXPECT_EQ(CountFds(), before);
  ::close(fd);
  // An object of the raw Proc's, where a text is to be.
  Payload binder;
  binder.Bytes(valid.bytes.data(), 24);
  binder.Binder(0x10, 0x20);
  EXPECT_TRUE(Send(1, binder.data(), binder.offsets()).is_status);
}

// Results of calls that there are not, and rubbish, for the object that takes
// them: a raw Proc is called, and answers so.
TEST(RawResultTest, OnlyTheRightOneEndsTheCall) {
  BinderOptions options;
  options.service_manager = false;
  Binder binder(std::move(options));
  Proc raw = binder.context().Open({.name = "raw"});
  Thread thread = raw.Attach();
  ASSERT_EQ(thread.SetContextMgr(), Errc::kOk);
  Endpoint client = binder.Open("client");
  auto future = Proxy<Worker>(client.Manager())->Do.Async("x");
  EXPECT_EQ(client.pending_calls(), 1u);

  // The call has its header, then the object for the result.
  Incoming call;
  while (!call.is_transaction()) {
    ASSERT_EQ(thread.NextWork(call), Errc::kOk);
  }
  api_internal::RequestHeader header;
  std::memcpy(&header, reinterpret_cast<const void*>(call.transaction.buffer),
              sizeof(header));
  FlatObject port;
  ASSERT_EQ(call.transaction.offsets_size, sizeof(std::uint64_t));
  std::uint64_t offset = 0;
  std::memcpy(&offset, reinterpret_cast<const void*>(call.transaction.offsets),
              sizeof(offset));
  std::memcpy(&port,
              reinterpret_cast<const void*>(call.transaction.buffer + offset),
              sizeof(port));

  const auto send = [&](std::uint32_t code, std::uint32_t flags,
                        std::span<const std::byte> bytes) {
    TransactionData data = {};
    data.target.handle = port.handle;
    data.code = code;
    data.flags = flags;
    data.buffer = AddressOf(bytes.data());
    data.data_size = bytes.size();
    EXPECT_EQ(thread.Transact(data), Errc::kOk);
    const Br last = flags != 0 ? Br::BR_TRANSACTION_COMPLETE : Br::BR_REPLY;
    Incoming incoming;
    while (incoming.command != last) {
      ASSERT_EQ(thread.NextWork(incoming), Errc::kOk);
      ASSERT_NE(incoming.command, Br::BR_FAILED_REPLY);
      ASSERT_NE(incoming.command, Br::BR_DEAD_REPLY);
    }
    if (flags == 0) {
      EXPECT_EQ(incoming.transaction.flags & kTfStatusCode, kTfStatusCode);
      EXPECT_EQ(thread.FreeBuffer(incoming.transaction.buffer), Errc::kOk);
    }
  };
  struct Result {
    Result(const api_internal::InterfaceInfo& interface,
           std::uint64_t pending) {
      const api_internal::RequestHeader head = {
          .interface_id = interface.id,
          .deadline = std::numeric_limits<std::int64_t>::max()};
      Writer writer(room);
      writer.Bytes(&head, sizeof(head), 8);
      writer.Number(pending);
      writer.Number(std::uint64_t{0});
      WriteArguments(writer, std::string_view("x!"));
      bytes = std::span<const std::byte>(room).first(writer.size());
    }
    alignas(8) std::byte room[128];
    std::span<const std::byte> bytes;
  };
  const Result right(api_internal::kReplyPort, header.pending);
  const Result unknown(api_internal::kReplyPort, header.pending + 1);
  const Result other({"test.Other", api_internal::IdOf("test.Other")},
                     header.pending);
  constexpr std::size_t kEnough = sizeof(header) + 2 * sizeof(std::uint64_t);
  for (std::size_t size = 0; size < kEnough; ++size) {
    send(api_internal::kResultCode, kTfOneWay, right.bytes.first(size));
    send(api_internal::kResultCode, 0, right.bytes.first(size));
  }
  send(api_internal::kResultCode, 0, right.bytes);  // Waits for an answer.
  send(api_internal::kResultCode, kTfOneWay, unknown.bytes);
  send(api_internal::kResultCode, kTfOneWay, other.bytes);
  send(api_internal::kResultCode + 1, kTfOneWay, right.bytes);
  // One-ways of a node come in order: all of these had come before this one.
  send(api_internal::kResultCode, kTfOneWay, right.bytes);
  EXPECT_EQ(future.Get().value(), "x!");
  EXPECT_EQ(client.pending_calls(), 0u);
  // Once is enough.
  send(api_internal::kResultCode, kTfOneWay, right.bytes);
  EXPECT_EQ(thread.FreeBuffer(call.transaction.buffer), Errc::kOk);
}

}  // namespace
}  // namespace binderlite::testing
