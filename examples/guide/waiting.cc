// SPDX-License-Identifier: Apache-2.0

#include <binderlite/binderlite.h>

#include <chrono>
#include <future>
#include <iostream>
#include <string>
#include <thread>

namespace bl = binderlite;
using namespace std::chrono_literals;

struct Clock {
  static constexpr bl::InterfaceName kName = "guide.Clock";
  bl::Method<1, int()> Hour;
};

int main() {
  std::promise<void> came, went;
  bl::Binder binder;
  bl::Endpoint client = binder.Open("client");

  // Find does not wait. Wait does.
  std::cout << client.Find<Clock>("clock").status() << '\n';
  std::jthread waiting([&] {
    const auto clock = client.Wait<Clock>("clock", bl::Within(1h)).value();
    std::cout << "it is " << clock->Hour().value() << '\n';
  });

  bl::Endpoint server = binder.Open("server");
  const auto service = server.Create(Clock{.Hour = [] { return 12; }});
  if (!server.Publish("clock", service).ok()) return 1;
  waiting.join();

  // Those who want to hear of each coming and going watch the name.
  const bl::PresenceWatch watch = client.WatchPresence(
      "clock", [&](std::string_view name, const bl::Object& found) {
        std::cout << name << (found ? " is there\n" : " is gone\n");
        (found ? came : went).set_value();
      });
  came.get_future().wait();
  server.Close();
  went.get_future().wait();
  std::cout << client.Wait<Clock>("clock", bl::Within(1ms)).status() << '\n';
}

// Prints:
//   no such object: no service 'clock'
//   it is 12
//   clock is there
//   clock is gone
//   deadline passed: no service 'clock'
