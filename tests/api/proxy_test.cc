// SPDX-License-Identifier: Apache-2.0
//
// Checks api/proxy.h: references, where they may go, and their misuse.

#include "binderlite/api/proxy.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/api_test.h"

namespace binderlite::testing {
namespace {

struct Stranger {
  static constexpr InterfaceName kName = "test.Stranger";
  Method<1, int(int)> Add = {};
  Method<77, int()> New = {};
};

class ProxyTest : public ModeTest {};
BINDERLITE_BOTH_MODES(ProxyTest);

TEST_P(ProxyTest, Null) {
  const Proxy<Worker> null;
  EXPECT_FALSE(null);
  EXPECT_FALSE(Object());
  EXPECT_FALSE(Service<Worker>());
  EXPECT_EQ(null->Do("x").status(), StatusCode::kNoSuchObject);
  EXPECT_EQ(null->Note("x"), StatusCode::kNoSuchObject);
  EXPECT_EQ(null->Do.Async("x").Get().status(), StatusCode::kNoSuchObject);
  EXPECT_EQ(null.Ping(), StatusCode::kNoSuchObject);
  EXPECT_EQ(Object().As<Worker>().status(), StatusCode::kNoSuchObject);
  EXPECT_EQ((*null).Do("x").status(), StatusCode::kNoSuchObject);
  EXPECT_EQ(null, Proxy<Worker>());
  EXPECT_FALSE(WeakProxy<Worker>(null).lock());
  EXPECT_FALSE(WeakProxy<Worker>().lock());
  // A method that is copied out of a proxy is bound to nothing.
  Endpoint server = Open("server");
  const Proxy<Worker> proxy = Serve(server, Echo());
  const Worker copy = *proxy;
  EXPECT_EQ(copy.Do("x").status(), StatusCode::kNoSuchObject);
}

TEST_P(ProxyTest, OneObjectOneReference) {
  Endpoint server = Open("server");
  Endpoint client = Open("client");
  const auto service = Serve(server, Echo());
  const auto other = Serve(server, Echo());
  const auto a = Give(service, server, client);
  const auto b = Give(service, server, client);
  const auto c = Give(other, server, client);
  EXPECT_EQ(a, b);
  EXPECT_NE(a, c);
  EXPECT_EQ(a.object(), static_cast<Object>(b));
}

TEST_P(ProxyTest, ToTheWrongInterface) {
  auto [server, client, service, remote] = Connect(Echo());
  EXPECT_EQ(remote.object().InterfaceName().value(), "test.Worker");
  EXPECT_TRUE(remote.object().As<Worker>().ok());
  EXPECT_EQ(remote.object().As<Stranger>().status(),
            StatusCode::kWrongInterface);
  const Proxy<Stranger> wrong(remote.object());
  EXPECT_EQ(wrong->Add(1).status(), StatusCode::kWrongInterface);
  EXPECT_EQ(wrong->Add.Async(1).Get().status(), StatusCode::kWrongInterface);
  EXPECT_EQ(remote->Make().status(), StatusCode::kNoSuchMethod);
  EXPECT_EQ(remote->Make.Async().Get().status(), StatusCode::kNoSuchMethod);
  EXPECT_TRUE(remote->Note("nobody hears").ok());
  EXPECT_EQ(remote->Do("x").value(), "x");
  AwaitQuiet();
}

TEST_P(ProxyTest, OfAnotherEndpoint) {
  Endpoint server = Open("server");
  Endpoint client = Open("client");
  Endpoint third = Open("third");
  Proxy<Worker> foreign;
  const auto service = Serve(server, Worker{.Take = [](Proxy<Worker>) {},
                                            .Make = [&] { return foreign; }});
  const auto remote = Give(service, server, client);
  const auto of_third = Give(service, server, third);
  const auto at_third = third.Create(Worker{});
  EXPECT_EQ(remote->Take(of_third), StatusCode::kMalformed);
  EXPECT_EQ(remote->Take(at_third), StatusCode::kMalformed);
  EXPECT_EQ(remote->Take.Async(of_third).Get(), StatusCode::kMalformed);
  EXPECT_TRUE(remote->Take(remote).ok());
  // The same of results.
  foreign = of_third;
  const Status status = remote->Make().status();
  EXPECT_EQ(status, StatusCode::kMalformed);
  EXPECT_EQ(status.delivery(), Delivery::kYes);
  EXPECT_EQ(remote->Make.Async().Get().status(), StatusCode::kMalformed);
  foreign = {};
  EXPECT_FALSE(remote->Make().value());
  AwaitQuiet();
}

// An object comes home as what it is.
TEST_P(ProxyTest, ComesHome) {
  Endpoint server = Open("server");
  Endpoint client = Open("client");
  Proxy<Worker> kept;
  const auto service =
      Serve(server, Worker{.Take = [&](Proxy<Worker> who) { kept = who; },
                           .Make = [&] { return kept; }});
  const auto remote = Give(service, server, client);
  const auto mine = client.Create(Echo());
  EXPECT_TRUE(remote->Take(mine).ok());
  EXPECT_EQ(kept->Do("x").value(), "x");
  EXPECT_EQ(remote->Make().value(), Proxy<Worker>(mine));
  EXPECT_EQ(remote->Make.Async().Get().value(), Proxy<Worker>(mine));
  EXPECT_TRUE(remote->Take(remote).ok());
  EXPECT_EQ(kept, Proxy<Worker>(service));
  kept = {};
  AwaitQuiet();
}

TEST_P(ProxyTest, Weak) {
  Endpoint server = Open("server");
  Endpoint client = Open("client");
  auto service = Serve(server, Echo());
  auto remote = Give(service, server, client);
  const WeakProxy<Worker> weak = remote;
  const WeakProxy<Worker> local = Proxy<Worker>(service);
  EXPECT_EQ(weak.lock()->Do("x").value(), "x");
  EXPECT_EQ(local.lock()->Do("x").value(), "x");
  remote = {};
  EXPECT_FALSE(weak.lock());
  service = {};
  AwaitState([&] {
    Touch();
    return !local.lock();
  });
}

TEST_P(ProxyTest, Stale) {
  Endpoint client = Open("client");
  Proxy<Worker> remote;
  {
    Endpoint server = Open("server");
    remote = Give(Serve(server, Echo()), server, client);
  }
  EXPECT_EQ(remote->Do("x").status(), StatusCode::kDead);
  EXPECT_EQ(remote->Do("x").status().delivery(), Delivery::kNo);
  EXPECT_EQ(remote->Do(std::string(5000, 'x')).status(), StatusCode::kDead);
  EXPECT_EQ(remote->Note("x"), StatusCode::kDead);
  EXPECT_EQ(remote->Do.Async("x").Get().status(), StatusCode::kDead);
  EXPECT_EQ(remote.object().As<Worker>().status(), StatusCode::kDead);
}

}  // namespace
}  // namespace binderlite::testing
