// SPDX-License-Identifier: Apache-2.0

#include "binderlite/api/binder.h"

#include <gtest/gtest.h>

#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "support/api_test.h"
#include "support/disciplines.h"

namespace binderlite::testing {
namespace {

TEST(BinderTest, TwoHaveNothingToDoWithEachOther) {
  Binder a;
  Binder b;
  Endpoint at_a = a.Open("e");
  Endpoint at_b = b.Open(std::string("e"));
  EXPECT_TRUE(at_a.Publish("x", at_a.Create(Worker{})).ok());
  EXPECT_TRUE(at_a.Find<Worker>("x").ok());
  EXPECT_EQ(at_b.Find<Worker>("x").status(), StatusCode::kNoSuchObject);
}

TEST(BinderTest, OpensByOptions) {
  Binder binder;
  EXPECT_EQ(binder.Open({.name = "e", .pid = 5}).pid(), 5);
  EXPECT_EQ(binder.Open({.name = "e"}).name(), "e");
}

TEST(BinderTest, WithoutAServiceManager) {
  Binder binder({.context = {.name = "quiet"}, .service_manager = false});
  Endpoint endpoint = binder.Open("e");
  EXPECT_EQ(endpoint.List().status(), StatusCode::kDead);
}

// Whatever the driver's locking is.
template <class L>
class LockingTest : public ::testing::Test {
 protected:
  BasicBinder<L> binder_;
  BasicEndpoint<L> server_ = binder_.Open("server");
  BasicEndpoint<L> client_ = binder_.Open("client");
};
BINDERLITE_FOR_ALL_DISCIPLINES(LockingTest);

TYPED_TEST(LockingTest, CallsOfAllKinds) {
  Latch noted;
  for (const bool here : {false, true}) {
    const Service<Worker> service = this->server_.Create(
        Worker{.Do = [](std::string_view what) { return std::string(what); },
               .Note = [&](std::string_view) { noted.Arrive(); },
               .Bounce =
                   [](const Proxy<Worker>& other, int left) {
                     return left == 0 ? 0 : *other->Bounce({}, left - 1) + 1;
                   }},
        {.run_on_callers = here});
    ASSERT_TRUE(this->server_.Publish("worker", service).ok());
    const auto worker = this->client_.template Wait<Worker>("worker");
    ASSERT_TRUE(worker.ok()) << worker.status().ToString();
    EXPECT_EQ((*worker)->Do("x").value(), "x");
    EXPECT_EQ((*worker)->Do.Async("y").Get().value(), "y");
    EXPECT_TRUE((*worker)->Note("z").ok());
    // The client's object calls nobody; the server's calls it back.
    const Service<Worker> own = this->client_.Create(
        Worker{.Bounce = [](const Proxy<Worker>&, int left) { return left; }});
    EXPECT_EQ((*worker)->Bounce(own, 5).value(), 5);
  }
  noted.Await(2);
}

TYPED_TEST(LockingTest, GivingUpAndDying) {
  Latch runs;
  Latch dead;
  const Service<Worker> service = this->server_.Create(
      Worker{.Do = [&](const Caller& caller, std::string_view) -> std::string {
        const std::stop_callback stops(caller.stop_token(),
                                       [&] { runs.Open(); });
        runs.ArriveAndWait();
        return "late";
      }});
  ASSERT_TRUE(this->server_.Publish("worker", service).ok());
  const auto worker = this->client_.template Find<Worker>("worker").value();
  const DeathWatch watch =
      worker.WatchDeath([&](DeathReason) { dead.Arrive(); });
  ASSERT_TRUE(watch.status().ok());
  std::stop_source stop;
  std::jthread canceller([&] {
    runs.Await();
    stop.request_stop();
  });
  EXPECT_EQ(worker->Do({.stop = stop.get_token()}, "x").status(),
            StatusCode::kCancelled);
  this->server_.Close();
  dead.Await();
  EXPECT_EQ(worker->Do("x").status(), StatusCode::kDead);
}

}  // namespace
}  // namespace binderlite::testing
