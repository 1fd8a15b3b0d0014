// SPDX-License-Identifier: Apache-2.0

#include <binderlite/binderlite.h>

#include <chrono>
#include <future>
#include <iostream>
#include <mutex>
#include <thread>
#include <vector>

namespace bl = binderlite;

struct Sleeper {
  static constexpr bl::InterfaceName kName = "guide.Sleeper";
  bl::Method<3, void()> Sleep;
};

void Print(const bl::RunningCall& call) {
  std::cout << call.endpoint << " is in " << call.interface << ", method "
            << call.code << ", called by " << call.caller << '\n';
}

int main() {
  std::promise<void> asleep, wake;
  std::once_flag once;
  bl::Binder binder;
  bl::Endpoint server = binder.Open({
      .name = "server",
      .report_after = std::chrono::milliseconds(1),
      // Without this, a line on stderr says the same every 10 s.
      .on_stuck =
          [&](const std::vector<bl::RunningCall>& calls) {
            std::call_once(once, [&] {
              std::cout << "closing waits: ";
              for (const bl::RunningCall& call : calls) Print(call);
              wake.set_value();
            });
          },
  });
  bl::Endpoint client = binder.Open({.name = "client", .pid = 77});
  const auto service = server.Create(Sleeper{.Sleep = [&] {
    asleep.set_value();
    wake.get_future().wait();
  }});
  if (!server.Publish("sleeper", service).ok()) return 1;

  const auto sleeper = client.Find<Sleeper>("sleeper").value();
  std::jthread caller([&] { (void)sleeper->Sleep().ok(); });
  asleep.get_future().wait();
  for (const bl::RunningCall& call : server.Running()) Print(call);
  server.Close();
}

// Prints:
//   server is in guide.Sleeper, method 3, called by 77
//   closing waits: server is in guide.Sleeper, method 3, called by 77
