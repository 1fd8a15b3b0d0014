// SPDX-License-Identifier: Apache-2.0
//
// What there is beside plain calls, in one program.

#include <binderlite/binderlite.h>

#include <chrono>
#include <future>
#include <iostream>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace bl = binderlite;
using namespace std::chrono_literals;

struct Reading {  // Any aggregate can be sent.
  std::string room;
  std::vector<int> degrees;
};

enum class Trouble { kNoDegrees = 1 };

struct Listener {
  static constexpr bl::InterfaceName kName = "demo.Listener";
  bl::OneWay<1, void(int degrees)> OnChange;  // Nobody waits for it.
};

struct Thermostat {
  static constexpr bl::InterfaceName kName = "demo.Thermostat";
  bl::Method<1, void(bl::Proxy<Listener>)> Tell;  // Objects are arguments, too.
  bl::Method<2, int(const Reading&)> Set;
  bl::Method<3, void()> Calibrate;
};

int main() {
  std::promise<int> heard;
  std::promise<bl::DeathReason> died;
  bl::Binder binder;
  bl::Endpoint server = binder.Open("server"), client = binder.Open("client");

  std::mutex mu;  // Handlers run on threads of their endpoint, many at a time.
  bl::Proxy<Listener> listener;
  const auto service = server.Create(Thermostat{
      .Tell =
          [&](bl::Proxy<Listener> whom) {
            const std::lock_guard lock(mu);
            listener = std::move(whom);
          },
      .Set = [&](const Reading& reading) -> bl::Result<int> {
        if (reading.degrees.empty()) {
          return bl::Status::Error(Trouble::kNoDegrees, "no degrees");
        }
        const std::lock_guard lock(mu);
        const int last = reading.degrees.back();
        if (const bl::Status s = listener->OnChange(last); !s.ok()) return s;
        return last;
      },
      .Calibrate =
          [](const bl::Caller& caller) {  // Until nobody waits for it any more.
            const std::stop_token stop = caller.stop_token();
            while (!stop.stop_requested()) std::this_thread::yield();
          }});
  if (!server.Publish("thermostat", service).ok()) return 1;

  const auto remote = client.Find<Thermostat>("thermostat").value();
  const auto ear = client.Create(
      Listener{.OnChange = [&](int degrees) { heard.set_value(degrees); }});
  if (!remote->Tell(ear).ok()) return 1;
  bl::Future<int> set = remote->Set.Async({"hall", {19, 21}});  // Or co_await.
  std::cout << set.Get().value() << ' ' << heard.get_future().get() << '\n';

  const bl::Status wrong = remote->Set({"hall", {}}).status();
  if (wrong.service_code<Trouble>() != Trouble::kNoDegrees) return 1;
  std::cout << wrong << '\n';
  std::cout << remote->Calibrate(bl::Within(20ms)) << '\n';

  const bl::DeathWatch watch = remote.WatchDeath(
      [&](bl::DeathReason reason) { died.set_value(reason); });
  server.Close();
  std::cout << died.get_future().get() << '\n';
}

// Prints:
//   21 21
//   service error 1: no degrees
//   deadline passed
//   died
