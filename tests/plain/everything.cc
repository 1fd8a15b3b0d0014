// SPDX-License-Identifier: Apache-2.0
//
// One program that uses all of the typed API, for compilers and flags that the
// other tests are not built with: scripts/compilers builds and runs it without
// exceptions and RTTI. Prints what went wrong, and is silent otherwise.

#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "binderlite/binderlite.h"
#include "binderlite/uapi.h"

namespace bl = binderlite;

namespace {

int failures = 0;

void Check(bool ok, const char* what, int line) {
  if (ok) return;
  std::printf("line %d: %s\n", line, what);
  ++failures;
}
#define CHECK(condition) Check((condition), #condition, __LINE__)

enum class Color : std::uint8_t { kRed, kGreen };

struct Point {
  double x = 0;
  double y = 0;
  friend bool operator==(const Point&, const Point&) = default;
};
struct Shape {
  std::string name;
  Color color = Color::kRed;
  std::vector<Point> points;
  std::optional<Point> center;
  std::variant<std::monostate, std::int64_t, std::string> tag;
  std::map<std::string, std::vector<int>> more;
  std::array<std::uint16_t, 3> numbers{};
  std::tuple<bool, char, float> odd;
  std::pair<std::set<int>, std::chrono::milliseconds> last;
  friend bool operator==(const Shape&, const Shape&) = default;
};

struct Listener {
  static constexpr bl::InterfaceName kName = "plain.Listener";
  bl::Method<1, int(int)> OnEvent;
  bl::OneWay<2, void(std::string_view)> OnNote;
};
struct Counter {
  static constexpr bl::InterfaceName kName = "plain.Counter";
  bl::Method<1, int(int)> Add;
};
struct Everything {
  static constexpr bl::InterfaceName kName = "plain.Everything";
  bl::Method<1, Shape(Shape)> Echo;
  bl::Method<2, std::int64_t(std::span<const std::int32_t>)> Sum;
  bl::Method<3, int(bl::Proxy<Listener>, int)> Notify;
  bl::Method<4, bl::Proxy<Counter>(int)> NewCounter;
  bl::Method<5, std::string(const bl::Fd&)> ReadAll;
  bl::Method<6, void(std::string_view)> Fail;
  bl::Method<7, std::uint32_t()> WhoAmI;
  bl::Method<8, bl::Object()> Myself;
  bl::Method<9, void()> Missing;
  bl::OneWay<10, void(bl::Proxy<Listener>, std::string_view)> Post;
};

Everything Handlers(bl::Endpoint& server) {
  return {.Echo = [](Shape shape) { return shape; },
          .Sum =
              [](std::span<const std::int32_t> numbers) {
                std::int64_t sum = 0;
                for (const std::int32_t number : numbers) sum += number;
                return sum;
              },
          .Notify = [](const bl::Proxy<Listener>& listener, int value)
              -> bl::Result<int> { return listener->OnEvent(value); },
          .NewCounter = [&server](int from) -> bl::Proxy<Counter> {
            auto value = std::make_shared<std::atomic<int>>(from);
            return server.Create(
                Counter{.Add = [value](int by) { return *value += by; }});
          },
          .ReadAll =
              [](const bl::Fd& file) {
                std::array<char, 64> text{};
                const ssize_t size =
                    ::read(file.get(), text.data(), text.size());
                return std::string(text.data(), static_cast<std::size_t>(size));
              },
          .Fail =
              [](std::string_view why) {
                return bl::Status::Error(42, std::string(why));
              },
          .WhoAmI = [](const bl::Caller& caller) { return caller.euid(); },
          .Myself = [] { return bl::Object(); },
          .Missing = {},
          .Post = [](const bl::Proxy<Listener>& to,
                     std::string_view words) { (void)to->OnNote(words).ok(); }};
}

bl::Detached AddTwice(bl::Proxy<Counter> counter, std::promise<int>& done) {
  const bl::Result<int> once = co_await counter->Add.Async(1);
  const bl::Result<int> twice = co_await counter->Add.Async(1);
  done.set_value(once.ok() && twice.ok() ? *twice : -1);
}

void UseAll(bl::Endpoint& client, const bl::Proxy<Everything>& all) {
  using namespace std::chrono_literals;
  const Shape shape = {.name = "triangle",
                       .color = Color::kGreen,
                       .points = {{1, 2}, {3, 4}, {5, 6}},
                       .center = Point{3, 4},
                       .tag = std::string("tag"),
                       .more = {{"a", {1, 2}}, {"b", {}}},
                       .numbers = {1, 2, 3},
                       .odd = {true, 'c', 0.5f},
                       .last = {{3, 1, 2}, 17ms}};
  CHECK(all->Echo(shape).value() == shape);
  CHECK(all->Sum(std::vector<std::int32_t>(100'000, 3)).value() == 300'000);
  CHECK(all->WhoAmI(bl::Within(10s)).value() == 7);
  CHECK(all->Fail("no").message() == "no");
  CHECK(all->Fail("no").service_code() == 42);
  CHECK(all->Missing() == bl::StatusCode::kNoSuchMethod);
  CHECK(!all->Myself().value());

  std::promise<std::string> noted;
  const bl::Service<Listener> listener =
      client.Create(Listener{.OnEvent = [](int value) { return 2 * value; },
                             .OnNote =
                                 [&noted](std::string_view words) {
                                   noted.set_value(std::string(words));
                                 }});
  CHECK(all->Notify(listener, 21).value() == 42);
  CHECK(all->Post(listener, "note").ok());
  CHECK(noted.get_future().get() == "note");

  const bl::Proxy<Counter> counter = all->NewCounter(5).value();
  CHECK(counter->Add(2).value() == 7);
  CHECK(counter->Add.Async(1).Get().value() == 8);
  std::promise<int> added;
  AddTwice(counter, added);
  CHECK(added.get_future().get() == 10);
  CHECK(counter.Ping().ok());
  CHECK(counter.object().As<Everything>().status() ==
        bl::StatusCode::kWrongInterface);

  std::array<int, 2> pipe{};
  CHECK(::pipe(pipe.data()) == 0);
  const bl::Fd read_end(pipe[0]);
  const bl::Fd write_end(pipe[1]);
  CHECK(::write(write_end.get(), "text", 4) == 4);
  CHECK(all->ReadAll(read_end).value() == "text");

  std::stop_source stopped;
  stopped.request_stop();
  CHECK(all->WhoAmI({.stop = stopped.get_token()}).status() ==
        bl::StatusCode::kCancelled);
  CHECK(bl::Proxy<Everything>()->WhoAmI().status() ==
        bl::StatusCode::kNoSuchObject);
}

}  // namespace

int main() {
  for (const bool on_callers : {false, true}) {
    bl::Binder binder;
    bl::Endpoint server = binder.Open("server");
    bl::Endpoint client = binder.Open({.name = "client", .euid = 7});
    const bl::Service<Everything> service =
        server.Create(Handlers(server), {.run_on_callers = on_callers});
    CHECK(server.Publish("everything", service).ok());
    CHECK(client.Find<Counter>("everything").status() ==
          bl::StatusCode::kWrongInterface);
    const bl::Proxy<Everything> all =
        client.Wait<Everything>("everything").value();
    UseAll(client, all);
    std::promise<bl::DeathReason> died;
    const bl::DeathWatch watch = all.WatchDeath(
        [&died](bl::DeathReason reason) { died.set_value(reason); });
    server.Close();
    CHECK(died.get_future().get() == bl::DeathReason::kDied);
    CHECK(all->WhoAmI().status() == bl::StatusCode::kDead);
    client.Close();
    CHECK(all->WhoAmI().status() == bl::StatusCode::kClosed);
  }
  return failures == 0 ? 0 : 1;
}
