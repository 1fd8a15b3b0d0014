// SPDX-License-Identifier: Apache-2.0
//
// Checks api/method.h: every kind of argument and result through real calls,
// every kind of handler, and interfaces that have grown.

#include "binderlite/api/method.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "support/api_test.h"
#include "support/descriptors.h"

namespace binderlite::testing {
namespace {

enum class Color : std::uint8_t { kRed = 1, kBlue = 2 };
struct Point3 {
  int x = 0;
  double y = 0;
  std::string name;
  std::vector<Color> colors;
  bool operator==(const Point3&) const = default;
};

struct Kinds {
  static constexpr InterfaceName kName = "test.Kinds";
  Method<1, int(int, bool, double, Color)> Numbers = {};
  Method<2, std::string(std::string_view, const std::string&)> Texts = {};
  Method<3, std::vector<std::uint8_t>(std::span<const std::uint8_t>)> Bytes =
      {};
  Method<4, Point3(const Point3&)> Struct = {};
  Method<5, std::map<std::string, int>(std::map<std::string, int>)> Map = {};
  Method<6, std::optional<int>(std::optional<std::string>)> Maybe = {};
  Method<7, std::variant<int, std::string>(std::variant<int, std::string>)>
      Either = {};
  Method<8, Fd(Fd)> Pass = {};
  Method<9, std::vector<Object>(std::vector<Proxy<Worker>>, Object)> Objects =
      {};
  Method<10, void()> Nothing = {};
  Method<11, int(std::int64_t)> Fails = {};
  Method<12, void(int)> FailsToo = {};
  Method<0x00ffffff, int()> Last = {};
};

// The same interface a year ago, and today.
struct OldStore {
  static constexpr InterfaceName kName = "test.Store";
  Method<1, std::string(std::string_view)> Get = {};
};
struct NewStore {
  static constexpr InterfaceName kName = "test.Store";
  Method<1, std::string(std::string_view, std::optional<int>)> Get = {};
  Method<2, void()> Clear = {};
};

class MethodTest : public ModeTest {
 protected:
  static Kinds All() {
    return {
        .Numbers =
            [](int a, bool b, double c, Color d) {
              return a + b + static_cast<int>(c) + static_cast<int>(d);
            },
        .Texts = [](std::string_view a,
                    const std::string& b) { return std::string(a) + b; },
        .Bytes =
            [](std::span<const std::uint8_t> bytes) {
              return std::vector<std::uint8_t>(bytes.begin(), bytes.end());
            },
        .Struct = [](const Point3& point) { return point; },
        .Map = [](std::map<std::string, int> map) { return map; },
        .Maybe =
            [](const std::optional<std::string>& text) -> std::optional<int> {
          if (!text.has_value()) return std::nullopt;
          return static_cast<int>(text->size());
        },
        .Either =
            [](const std::variant<int, std::string>& either) { return either; },
        .Pass = [](Fd fd) { return fd; },
        .Objects =
            [](const std::vector<Proxy<Worker>>& some, const Object& one) {
              std::vector<Object> all(some.begin(), some.end());
              all.push_back(one);
              return all;
            },
        .Nothing = [] {},
        .Fails = [](const Caller&, std::int64_t why) -> Result<int> {
          if (why == 0) return 1;
          return Status::Error(static_cast<std::int32_t>(why), "words");
        },
        .FailsToo =
            [](int why) { return why == 0 ? Status() : Status::Error(why); },
        .Last = [] { return 5; }};
  }
};
BINDERLITE_BOTH_MODES(MethodTest);

TEST_P(MethodTest, EveryKindOfValue) {
  auto [server, client, service, remote] = Connect(All());
  for (const Proxy<Kinds>& p : {remote, Proxy<Kinds>(service)}) {
    EXPECT_EQ(p->Numbers(1, true, 2.5, Color::kBlue).value(), 6);
    EXPECT_EQ(p->Texts("a", "b").value(), "ab");
    const std::vector<std::uint8_t> bytes(100'000, 7);
    EXPECT_EQ(p->Bytes(bytes).value(), bytes);
    const Point3 point{1, 2.5, "p", {Color::kRed, Color::kBlue}};
    EXPECT_EQ(p->Struct(point).value(), point);
    EXPECT_EQ(p->Struct.Async(point).Get().value(), point);
    const std::map<std::string, int> map{{"a", 1}, {"b", 2}};
    EXPECT_EQ(p->Map(map).value(), map);
    EXPECT_EQ(p->Maybe("abc").value(), 3);
    EXPECT_EQ(p->Maybe(std::nullopt).value(), std::nullopt);
    EXPECT_EQ(std::get<std::string>(p->Either("x").value()), "x");
    EXPECT_TRUE(p->Nothing().ok());
    EXPECT_TRUE(p->Nothing.Async().Get().ok());
    EXPECT_EQ(p->Last().value(), 5);
  }
  AwaitQuiet();
}

TEST_P(MethodTest, Errors) {
  auto [server, client, service, remote] = Connect(All());
  EXPECT_EQ(remote->Fails(0).value(), 1);
  const Status status = remote->Fails(42).status();
  EXPECT_EQ(status.service_code(), 42);
  EXPECT_EQ(status.message(), "words");
  EXPECT_EQ(remote->Fails.Async(43).Get().status().service_code(), 43);
  EXPECT_TRUE(remote->FailsToo(0).ok());
  EXPECT_EQ(remote->FailsToo(-7).service_code(), -7);
  // Words that are more than fit where a reply is made.
  const auto chatty =
      Serve(server, Worker{.Do = [](std::string_view what) {
              return Result<std::string>(Status::Error(1, std::string(what)));
            }});
  const auto to_chatty = Give(chatty, server, client);
  EXPECT_EQ(to_chatty->Do(std::string(400, 'a')).status().message().size(),
            400u);
  const Status longer = to_chatty->Do(std::string(4000, 'a')).status();
  EXPECT_EQ(longer.service_code(), 1);
  EXPECT_TRUE(longer.message().starts_with("aaaa"));
  // A handler that says it is well, and has no result.
  const auto silent =
      Serve(server, Worker{.Do = [](std::string_view) { return Status(); }});
  EXPECT_EQ(Give(silent, server, client)->Do("x").status(),
            StatusCode::kFailed);
  AwaitQuiet();
}

TEST_P(MethodTest, DescriptorsDoNotLeak) {
  auto [server, client, service, remote] = Connect(All());
  const Fd mine(OpenNull());
  EXPECT_TRUE(remote->Pass(mine).ok());
  AwaitQuiet();
  const int before = CountNulls();
  for (int i = 0; i < 20; ++i) {
    const Result<Fd> passed =
        i % 2 == 0 ? remote->Pass(mine) : remote->Pass.Async(mine).Get();
    ASSERT_TRUE(passed.ok()) << passed.status().ToString();
    EXPECT_TRUE(IsNull(passed->get()));
  }
  EXPECT_EQ(remote->Pass(Fd()).status(), StatusCode::kMalformed);
  EXPECT_FALSE(remote->Pass(Fd(9999)).ok());
  AwaitQuiet();
  EXPECT_EQ(CountNulls(), before);
}

TEST_P(MethodTest, Objects) {
  auto [server, client, service, remote] = Connect(All());
  const auto back = client.Create(Echo());
  std::vector<Proxy<Worker>> many(20, Proxy<Worker>(back));
  many.emplace_back();
  const auto all = remote->Objects(many, remote).value();
  ASSERT_EQ(all.size(), 22u);
  EXPECT_EQ(all[0], static_cast<Object>(back));
  EXPECT_FALSE(all[20]);
  EXPECT_EQ(all[21], remote.object());
  AwaitQuiet();
}

TEST_P(MethodTest, Callbacks) {
  Endpoint server = Open("server");
  Endpoint client = Open("client");
  std::vector<std::string> heard;
  const auto service =
      Serve(server, Worker{.Take = [](const Proxy<Worker>& who) {
              return who->Do("from the server").status();
            }});
  const auto remote = Give(service, server, client);
  const auto listener = Serve(client, Worker{.Do = [&](std::string_view what) {
                                heard.emplace_back(what);
                                return std::string();
                              }});
  EXPECT_TRUE(remote->Take(listener).ok());
  EXPECT_TRUE(remote->Take(listener).ok());
  EXPECT_EQ(heard.size(), 2u);
  EXPECT_EQ(remote->Take({}), StatusCode::kNoSuchObject);
  AwaitQuiet();
}

TEST_P(MethodTest, OldAndNewVersions) {
  Endpoint server = Open("server");
  Endpoint client = Open("client");
  const auto old_service = Serve(
      server,
      OldStore{.Get = [](std::string_view key) { return std::string(key); }});
  const auto new_service = Serve(
      server, NewStore{.Get =
                           [](std::string_view key, std::optional<int> n) {
                             return std::string(key) +
                                    std::to_string(n.value_or(-1));
                           },
                       .Clear = [] {}});
  const Proxy<NewStore> new_to_old(Give(old_service, server, client).object());
  const Proxy<OldStore> old_to_new(Give(new_service, server, client).object());
  EXPECT_EQ(new_to_old->Get("k", 5).value(), "k");
  EXPECT_EQ(new_to_old->Clear(), StatusCode::kNoSuchMethod);
  EXPECT_EQ(old_to_new->Get("k").value(), "k-1");
  EXPECT_EQ(Proxy<NewStore>(old_to_new.object())->Get("k", 5).value(), "k5");
}

// A method is given its handler later, and what it holds is kept as long.
TEST_P(MethodTest, HandlersAreAnyCallable) {
  Endpoint server = Open("server");
  Worker worker;
  worker.Do = [count = 0](std::string_view) mutable {
    return std::to_string(++count);
  };
  worker.Note = [](std::string_view) {};
  const Proxy<Worker> proxy = Serve(server, std::move(worker));
  EXPECT_EQ(proxy->Do("").value(), "1");
  EXPECT_EQ(proxy->Do("").value(), "2");
}

}  // namespace
}  // namespace binderlite::testing
