// SPDX-License-Identifier: Apache-2.0
//
// Checks api/endpoint.h: the life of an endpoint, and above all its end, from
// everywhere, at any time, under load.

#include "binderlite/api/endpoint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <latch>
#include <memory>
#include <optional>
#include <random>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "support/api_test.h"

namespace binderlite::testing {
namespace {

class EndpointTest : public ModeTest {};
BINDERLITE_BOTH_MODES(EndpointTest);

TEST_P(EndpointTest, NamesAndNumbers) {
  Endpoint a = Open({.name = "a", .pid = 77});
  Endpoint b = Open("b");
  EXPECT_EQ(a.name(), "a");
  EXPECT_EQ(a.pid(), 77);
  EXPECT_NE(b.pid(), 77);
  EXPECT_TRUE(a);
  EXPECT_FALSE(Endpoint());
  Endpoint moved = std::move(a);
  EXPECT_EQ(moved.pid(), 77);
  moved = std::move(b);  // The first is closed.
  EXPECT_EQ(moved.name(), "b");
}

TEST_P(EndpointTest, WhoCalls) {
  Endpoint server = Open("server");
  Endpoint client =
      Open({.name = "client", .pid = 55, .euid = 9, .label = "u:r:client"});
  std::string seen;
  Latch noted;
  const auto see = [&](const Caller& caller) {
    seen = std::to_string(caller.pid()) + " " + std::to_string(caller.euid()) +
           " " + std::string(caller.label()) +
           (caller.is_one_way() ? " one-way" : "") +
           (caller.deadline() == sync::kNoDeadline ? "" : " deadline");
  };
  const Worker worker{.Do =
                          [&](const Caller& caller, std::string_view) {
                            see(caller);
                            return std::string();
                          },
                      .Note =
                          [&](const Caller& caller, std::string_view) {
                            see(caller);
                            noted.Arrive();
                          }};
  const auto plain = Serve(server, worker);
  const auto asks = Serve(server, worker, {.wants_label = true});
  const auto to_plain = Give(plain, server, client);
  const auto to_asks = Give(asks, server, client);
  EXPECT_TRUE(to_plain->Do("").ok());
  EXPECT_EQ(seen, "55 9 ");
  EXPECT_TRUE(to_asks->Do("").ok());
  EXPECT_EQ(seen, "55 9 u:r:client");
  EXPECT_TRUE(to_asks->Do(Within(std::chrono::hours(1)), "").ok());
  EXPECT_EQ(seen, "55 9 u:r:client deadline");
  EXPECT_TRUE(to_plain->Do.Async("").Get().ok());
  EXPECT_EQ(seen, "0 9 ");
  EXPECT_TRUE(to_plain->Note("").ok());
  noted.Await();
  EXPECT_EQ(seen, "0 9  one-way");
}

// --- The end ----------------------------------------------------------------

TEST_P(EndpointTest, AfterTheEnd) {
  auto [server, client, service, remote] = Connect(Worker{.Do = &Answered});
  const auto stays = Give(service, server, client);
  client.Close();
  client.Close();
  EXPECT_EQ(remote->Do("x").status(), StatusCode::kClosed);
  EXPECT_EQ(remote->Note("x"), StatusCode::kClosed);
  EXPECT_EQ(remote->Do.Async("x").Get().status(), StatusCode::kClosed);
  EXPECT_EQ(remote.Ping(), StatusCode::kClosed);
  EXPECT_EQ(remote.WatchDeath([](DeathReason) {}).status(),
            StatusCode::kClosed);
  EXPECT_EQ(client.List().status(), StatusCode::kClosed);
  EXPECT_EQ(client.Wait<Worker>("x").status(), StatusCode::kClosed);
  EXPECT_FALSE(client.BecomeManager(remote).ok());
  server.Close();
  EXPECT_EQ(Proxy<Worker>(service)->Do("x").status(), StatusCode::kClosed);
  EXPECT_EQ(Proxy<Worker>(service)->Do.Async("x").Get().status(),
            StatusCode::kClosed);
  const auto late = Serve(server, Worker{.Do = &Answered});
  EXPECT_EQ(Proxy<Worker>(late)->Do("x").status(), StatusCode::kClosed);
}

TEST_P(EndpointTest, WhoeverWaitsGoesOn) {
  Latch latch;
  Pair pair = Connect(WaitsAt(latch));
  Endpoint other = Open("other");
  Calling of_client(pair.remote);
  Calling of_other(Give(pair.service, pair.server, other));
  latch.Await(2);
  auto later = pair.remote->Do.Async("x");
  std::jthread close([&] { pair.client.Close(); });
  EXPECT_EQ(later.Get().status(), StatusCode::kClosed);
  if (!here()) {
    const Status status = of_client.Join().status();
    EXPECT_EQ(status, StatusCode::kClosed);
    EXPECT_EQ(status.delivery(), Delivery::kUnknown);
  }
  std::jthread close_server([&] { pair.server.Close(); });
  if (!here()) {
    const Status status = of_other.Join().status();
    EXPECT_EQ(status, StatusCode::kDead);
    EXPECT_EQ(status.delivery(), Delivery::kUnknown);
  }
  latch.Open();
}

TEST_P(EndpointTest, HandlersAreToldToStop) {
  Latch latch;
  Pair pair = Connect(Worker{.Do = [&](const Caller& caller, std::string_view) {
    const std::stop_callback on_stop(caller.stop_token(),
                                     [&] { latch.Open(); });
    latch.ArriveAndWait();
    return std::string();
  }});
  const Calling calling(pair.remote);
  latch.Await();
  pair.server.Close();
}

TEST_P(EndpointTest, AHandlerThatDoesNotReturnIsNamed) {
  Latch latch;
  std::vector<RunningCall> stuck;
  Pair pair = Connect(WaitsAt(latch),
                      {.report_after = std::chrono::milliseconds(1),
                       .on_stuck =
                           [&](const std::vector<RunningCall>& running) {
                             if (stuck.empty()) stuck = running;
                             latch.Open();
                           }},
                      {.pid = 66});
  const Calling calling(pair.remote);
  latch.Await();
  pair.server.Close();
  ASSERT_EQ(stuck.size(), 1u);
  EXPECT_EQ(stuck[0].endpoint, "server");
  EXPECT_EQ(stuck[0].interface, "test.Worker");
  EXPECT_EQ(stuck[0].code, 1u);
  EXPECT_EQ(stuck[0].caller, 66);
  EXPECT_GT(stuck[0].since.count(), 0);
}

TEST_P(EndpointTest, ClosedByItsOwnHandler) {
  for (const bool holds : {true, false}) {
    Endpoint server = Open("server");
    Endpoint client = Open("client");
    Endpoint* const victim = &server;
    auto service =
        Serve(server, Worker{.Do = [victim, text = std::string(100, 'a')](
                                       std::string_view what) {
                victim->Close();
                // What the handler holds is still there.
                return text + std::string(what);
              }});
    const auto remote = Give(service, server, client);
    if (!holds) service = {};
    EXPECT_FALSE(remote->Do("x").ok());
    EXPECT_EQ(remote->Do("x").status(), StatusCode::kDead);
    server.Close();
  }
}

TEST_P(EndpointTest, ClosedByTwoOfItsHandlersAtOnce) {
  Endpoint server = Open("server");
  Endpoint client = Open("client");
  std::latch both(2);
  const auto service = Serve(server, Worker{.Do = [&](std::string_view what) {
                               both.arrive_and_wait();
                               server.Close();
                               return std::string(what);
                             }});
  const auto remote = Give(service, server, client);
  Calling a(remote);
  Calling b(remote);
  (void)a.Join().ok();
  (void)b.Join().ok();
  server.Close();
  EXPECT_TRUE(server.Running().empty());
}

TEST_P(EndpointTest, TheCallerIsClosedByTheHandler) {
  Endpoint server = Open("server");
  Endpoint client = Open("client");
  const auto service = Serve(server, Worker{.Do = [&](std::string_view what) {
                               client.Close();
                               return std::string(what);
                             }});
  const auto remote = Give(service, server, client);
  // The reply may be there before the caller looks.
  const Status status = remote->Do("x").status();
  EXPECT_TRUE(status.ok() || status == StatusCode::kClosed);
  EXPECT_EQ(remote->Do("x").status(), StatusCode::kClosed);
}

// Whoever hears of the end drops the endpoint, and everything that belongs to
// it, while that is still being closed.
TEST_P(EndpointTest, DroppedWhileItIsClosed) {
  Endpoint server = Open("server");
  std::optional<Endpoint> client(Open("client"));
  Latch dropped;
  const auto service = Serve(server, Worker{.Do = &Answered});
  Proxy<Worker> remote = Give(service, server, *client);
  DeathWatch watch;
  watch = remote.WatchDeath([&](DeathReason reason) {
    EXPECT_EQ(reason, DeathReason::kOwnEndpointClosed);
    remote = {};
    client.reset();
    Latch& latch = dropped;
    watch = DeathWatch();
    latch.Arrive();
  });
  client->Close();
  dropped.Await();
}

// Not only the first one waits for what still runs: a callback on a looper, or
// one of the timer's.
TEST_P(EndpointTest, ClosedByManyAtOnce) {
  for (const bool by_death : {false, true}) {
    Latch latch;
    Latch handler;
    Pair pair = Connect(WaitsAt(handler));
    std::atomic<bool> runs{true};
    const auto callback = [&] {
      latch.ArriveAndWait();
      runs.store(false);
    };
    DeathWatch watch;
    if (by_death) {
      watch = pair.remote.WatchDeath([&](DeathReason) { callback(); });
      handler.Open();
      pair.server.Close();
    } else {
      // A deadline that is not over before this thread has set the callback.
      const std::thread::id self = std::this_thread::get_id();
      bool too_soon = true;
      for (std::chrono::milliseconds time(1); too_soon; time *= 2) {
        too_soon = false;
        pair.remote->Do.Async(Within(time), "x")
            .Then([&, self](const Result<std::string>&) {
              if (std::this_thread::get_id() == self) {
                too_soon = true;
              } else {
                callback();
              }
            });
      }
    }
    latch.Await();
    std::atomic<int> closed{0};
    std::vector<std::jthread> closers;
    for (int i = 0; i < 3; ++i) {
      closers.emplace_back([&] {
        pair.client.Close();
        EXPECT_FALSE(runs.load());
        ++closed;
      });
    }
    while (!pair.client.proc().released()) std::this_thread::yield();
    EXPECT_EQ(closed, 0);
    latch.Open();
    closers.clear();
    EXPECT_EQ(closed, 3);
    handler.Open();
  }
}

TEST_P(EndpointTest, ClosedByCallbacks) {
  for (const bool by_death : {false, true}) {
    Latch latch;
    Latch closed;
    Latch timed_out;
    Pair pair = Connect(Worker{.Do = &Answered});
    const auto close = [&] {
      pair.client.Close();
      closed.Arrive();
    };
    DeathWatch watch;
    if (by_death) {
      watch = pair.remote.WatchDeath([&](DeathReason) { close(); });
      pair.server.Close();
    } else {
      pair.remote->Do.Async("x").Then(
          [&](const Result<std::string>&) { close(); });
    }
    closed.Await();
    EXPECT_EQ(pair.remote->Do("x").status(), StatusCode::kClosed);
    // Its deadline, by the timer.
    Endpoint third = Open("third");
    if (!by_death) {
      const auto slow = Serve(pair.server, WaitsAt(latch));
      const auto to_slow = Give(slow, pair.server, third);
      to_slow->Do.Async(Within(std::chrono::milliseconds(1)), "x")
          .Then([&](const Result<std::string>&) {
            third.Close();
            timed_out.Arrive();
          });
      timed_out.Await();
      latch.Open();
    }
  }
}

// Calls from where nothing works any more.
TEST_P(EndpointTest, CallsFromDestructorsAtTheEnd) {
  std::atomic<int> closed = 0;
  Endpoint client = Open("client");
  {
    Endpoint server = Open("server");
    Proxy<Worker> to_client;
    const auto back = client.Create(Worker{.Do = &Answered});
    to_client = Give(back, client, server);
    auto calls = std::make_shared<AtItsEnd>([&closed, to_client] {
      if (to_client->Do("x").status() == StatusCode::kClosed) ++closed;
    });
    to_client = {};
    auto service = Serve(server, Worker{.Do = [calls](std::string_view what) {
                           return std::string(what);
                         }});
    calls = nullptr;
    const auto remote = Give(service, server, client);
    EXPECT_TRUE(remote->Do("x").ok());
    service = {};  // Held by the client.
    server.Close();
    EXPECT_EQ(closed, 1);
  }
}

TEST_P(EndpointTest, OutlivesTheBinder) {
  Latch latch;
  std::optional<Binder> binder(std::in_place);
  Endpoint server = binder->Open("server");
  Endpoint client = binder->Open("client");
  const auto service = Serve(server, Worker{.Do = &Answered});
  ASSERT_TRUE(server.Publish("x", service).ok());
  const auto remote = client.Find<Worker>("x").value();
  const auto slow = Serve(server, WaitsAt(latch));
  ASSERT_TRUE(server.Publish("slow", slow).ok());
  auto later = client.Find<Worker>("slow").value()->Do.Async("x");
  latch.Await();
  binder.reset();
  // All end one after the other: it may have heard of its callee's end before
  // its own.
  const Status status = later.Get().status();
  EXPECT_TRUE(status == StatusCode::kClosed || status == StatusCode::kDead)
      << status;
  EXPECT_EQ(remote->Do("x").status(), StatusCode::kClosed);
  latch.Open();
}

// --- Under load -------------------------------------------------------------

// Everything at once between endpoints that are closed in any order.
TEST_P(EndpointTest, ClosedUnderLoadInAnyOrder) {
  constexpr int kRounds = 1000;
  constexpr std::size_t kEndpoints = 3;
  const std::uint64_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < kRounds; ++round) {
    Binder binder;
    std::vector<Endpoint> endpoints;
    std::vector<Service<Worker>> services;
    for (std::size_t i = 0; i < kEndpoints; ++i) {
      endpoints.push_back(binder.Open("e" + std::to_string(i)));
    }
    for (std::size_t i = 0; i < kEndpoints; ++i) {
      services.push_back(Serve(
          endpoints[i],
          Worker{.Do = &Answered,
                 .Note = [](std::string_view) {},
                 .Take =
                     [](const Proxy<Worker>& who) {
                       (void)who->Note("taken").ok();
                     },
                 .Bounce =
                     [](const Proxy<Worker>& who, int left) {
                       return left == 0
                                  ? 0
                                  : who->Bounce(who, left - 1).value_or(-1);
                     }}));
      (void)endpoints[i].Publish("s" + std::to_string(i), services[i]).ok();
    }
    std::vector<std::jthread> load;
    for (std::size_t i = 0; i < kEndpoints; ++i) {
      const std::uint64_t mine = random();
      load.emplace_back([&, i, mine] {
        std::mt19937_64 dice(mine);
        Endpoint& self = endpoints[i];
        std::vector<Future<std::string>> futures;
        std::vector<DeathWatch> watches;
        for (int n = 0; n < 1'000'000; ++n) {
          const std::string name = "s" + std::to_string(dice() % kEndpoints);
          const auto found = self.Find<Worker>(name);
          if (found.status() == StatusCode::kClosed) return;
          if (!found.ok()) continue;
          const Proxy<Worker>& to = *found;
          switch (dice() % 8) {
            case 0:
              (void)to->Do("x").ok();
              break;
            case 1:
              (void)to->Note("x").ok();
              break;
            case 2:
              (void)to->Take(services[i]).ok();
              break;
            case 3:
              (void)to->Bounce(services[i], 3).ok();
              break;
            case 4:
              futures.push_back(to->Do.Async("x"));
              break;
            case 5:
              watches.push_back(to.WatchDeath([](DeathReason) {}));
              break;
            case 6:
              (void)to->Do.Async(Within(std::chrono::microseconds(dice() % 99)),
                                 std::string(dice() % 2000, 'x'));
              break;
            default:
              (void)self.Publish(name, services[i]).ok();
              if (futures.size() > 8) futures.clear();
              if (watches.size() > 8) watches.clear();
          }
        }
      });
    }
    std::vector<std::size_t> order(kEndpoints);
    for (std::size_t i = 0; i < kEndpoints; ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), random);
    for (std::uint64_t i = random() % 3; i != 0; --i) {
      (void)endpoints[order[0]].List().ok();
    }
    std::vector<std::jthread> closers;
    for (const std::size_t i : order) {
      const bool apart = random() % 2 == 0;
      if (random() % 5 == 0) endpoints[i].proc().Kill();
      if (apart) {
        closers.emplace_back([&endpoints, i] { endpoints[i].Close(); });
      } else {
        endpoints[i].Close();
      }
    }
    closers.clear();
    load.clear();
  }
}

}  // namespace
}  // namespace binderlite::testing
