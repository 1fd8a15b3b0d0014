// SPDX-License-Identifier: Apache-2.0
//
// Checks api/loopback.h: calls within an endpoint, which are to be like any
// others.

#include "binderlite/api/loopback.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "support/api_test.h"
#include "support/descriptors.h"

namespace binderlite::testing {
namespace {

struct Files {
  static constexpr InterfaceName kName = "test.Files";
  Method<1, Fd(Fd)> Pass = {};
};

class LoopbackTest : public ApiTest {};

TEST_F(LoopbackTest, RunsOnTheCallingThread) {
  Endpoint server = Open("server");
  std::thread::id ran_on;
  const auto service = server.Create(
      Worker{.Do = [&](const Caller& caller, std::string_view what) {
        ran_on = std::this_thread::get_id();
        EXPECT_TRUE(caller.pid() == server.pid() || caller.pid() == 0);
        EXPECT_FALSE(caller.is_one_way());
        return std::string(what) + "!";
      }});
  const Proxy<Worker> proxy = service;
  const Object object = proxy.object();
  EXPECT_TRUE(object.internal()->is_local());
  EXPECT_EQ(proxy->Do("x").value(), "x!");
  EXPECT_EQ(ran_on, std::this_thread::get_id());
  EXPECT_EQ(proxy->Do.Async("x").Get().value(), "x!");
  const std::string big(10'000, 'b');
  EXPECT_EQ(proxy->Do(big).value(), big + "!");
  EXPECT_EQ(static_cast<Object>(service).InterfaceName().value(),
            "test.Worker");
  EXPECT_TRUE(proxy.Ping().ok());
}

TEST_F(LoopbackTest, NobodyHearsOfOneWays) {
  Endpoint server = Open("server");
  int notes = 0;
  const auto service =
      server.Create(Worker{.Note = [&](const Caller& caller, std::string_view) {
        EXPECT_EQ(caller.pid(), 0);
        EXPECT_TRUE(caller.is_one_way());
        ++notes;
        return Status::Error(5);
      }});
  const Proxy<Worker> proxy = service;
  EXPECT_TRUE(proxy->Note("x").ok());
  EXPECT_EQ(notes, 1);
  const auto silent = server.Create(Worker{});
  EXPECT_TRUE(Proxy<Worker>(silent)->Note("x").ok());
  EXPECT_EQ(Proxy<Worker>(silent)->Do("x").status(), StatusCode::kNoSuchMethod);
}

TEST_F(LoopbackTest, GivenUpBefore) {
  Endpoint server = Open("server");
  const auto service = server.Create(Worker{.Do = [](std::string_view) {
    ADD_FAILURE();
    return std::string();
  }});
  const Proxy<Worker> proxy = service;
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(proxy->Do({.stop = stop.get_token()}, "x").status(),
            StatusCode::kCancelled);
  EXPECT_EQ(proxy->Do(Within(std::chrono::nanoseconds(-1)), "x").status(),
            StatusCode::kDeadline);
}

TEST_F(LoopbackTest, DescriptorsAreDuplicated) {
  Endpoint server = Open("server");
  const int before = CountNulls();
  {
    int seen = -1;
    const auto service = server.Create(Files{.Pass = [&](Fd fd) {
      seen = fd.get();
      return fd;
    }});
    const Proxy<Files> proxy = service;
    Fd mine(OpenNull());
    const auto result = proxy->Pass(mine);
    ASSERT_TRUE(result.ok());
    EXPECT_NE(seen, mine.get());
    EXPECT_NE(result->get(), seen);
    EXPECT_EQ(proxy->Pass(Fd()).status(), StatusCode::kMalformed);
    EXPECT_EQ(proxy->Pass(Fd(9999)).status(), StatusCode::kMalformed);
    const auto none = server.Create(Files{});
    EXPECT_EQ(Proxy<Files>(none)->Pass(mine).status(),
              StatusCode::kNoSuchMethod);
    server.Close();
    EXPECT_EQ(proxy->Pass(mine).status(), StatusCode::kClosed);
  }
  EXPECT_EQ(CountNulls(), before);
}

TEST_F(LoopbackTest, RefusesWhatBelongsToOthers) {
  Endpoint server = Open("server");
  Endpoint other = Open("other");
  const auto service = server.Create(Worker{.Take = [](Proxy<Worker>) {}});
  const auto foreign = other.Create(Worker{});
  const Proxy<Worker> proxy = service;
  EXPECT_EQ(proxy->Take(foreign), StatusCode::kMalformed);
  EXPECT_TRUE(proxy->Take(service).ok());
}

// The handler drops the last reference to the object that it is part of.
TEST_F(LoopbackTest, TheObjectStaysWhileItIsCalled) {
  Endpoint server = Open("server");
  auto proxy = std::make_unique<Proxy<Worker>>();
  *proxy = server.Create(
      Worker{.Do = [&proxy, text = std::string(100, 'a')](std::string_view) {
        proxy.reset();
        return text;
      }});
  const Proxy<Worker> once = *proxy;
  EXPECT_EQ(once->Do("x").value(), std::string(100, 'a'));
}

TEST_F(LoopbackTest, ClosesItsOwnEndpoint) {
  Endpoint server = Open("server");
  const auto service = server.Create(Worker{.Do = [&](std::string_view what) {
    server.Close();
    return std::string(what);
  }});
  const Proxy<Worker> proxy = service;
  EXPECT_EQ(proxy->Do("x").value(), "x");
  EXPECT_EQ(proxy->Do("x").status(), StatusCode::kClosed);
}

}  // namespace
}  // namespace binderlite::testing
