// SPDX-License-Identifier: Apache-2.0

#include <binderlite/binderlite.h>

#include <iostream>

namespace bl = binderlite;

struct Greeter {
  static constexpr bl::InterfaceName kName = "demo.Greeter";
  bl::Method<1, std::string(std::string_view)> Hello;
};

int main() {
  bl::Binder binder;
  bl::Endpoint server = binder.Open("server"), client = binder.Open("client");
  bl::Service<Greeter> service =
      server.Create(Greeter{.Hello = [](std::string_view who) {
        return "hello, " + std::string(who);
      }});
  if (!server.Publish("greeter", service).ok()) return 1;
  auto greeter = client.Find<Greeter>("greeter").value();
  std::cout << greeter->Hello("binder").value() << '\n';
}

// Prints:
//   hello, binder
