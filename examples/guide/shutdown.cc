// SPDX-License-Identifier: Apache-2.0

#include <binderlite/binderlite.h>

#include <future>
#include <iostream>
#include <optional>
#include <thread>

namespace bl = binderlite;

struct Pump {
  static constexpr bl::InterfaceName kName = "guide.Pump";
  bl::Method<1, int()> Run;   // Until it is told to stop.
  bl::Method<2, void()> Off;  // Closes the pump's endpoint.
};

int main() {
  std::promise<void> running;
  std::optional<bl::Binder> binder(std::in_place);
  bl::Endpoint server = binder->Open("server"), client = binder->Open("client");
  bl::Service<Pump> pump = server.Create(Pump{
      .Run =
          [&](const bl::Caller& caller) {
            running.set_value();
            std::promise<void> told;
            const std::stop_callback on_stop(caller.stop_token(),
                                             [&] { told.set_value(); });
            told.get_future().wait();  // Closing waits for handlers.
            return 0;
          },
      .Off = [&] { server.Close(); },  // It does not wait for this one.
  });
  if (!server.Publish("pump", pump).ok()) return 1;
  bl::Proxy<Pump> proxy = client.Find<Pump>("pump").value();

  std::jthread caller([&] { std::cout << proxy->Run().status() << '\n'; });
  running.get_future().wait();
  const bl::Status off = proxy->Off();
  caller.join();
  std::cout << off << '\n';

  // Anything may go before anything else. Without the binder, all are closed.
  binder.reset();
  std::cout << proxy->Run().status() << '\n';
  client = bl::Endpoint();
  std::cout << proxy->Run().status() << '\n';
  pump = {};
}

// Prints:
//   dead
//   dead
//   endpoint closed
//   endpoint closed
