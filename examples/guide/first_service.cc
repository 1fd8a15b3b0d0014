// SPDX-License-Identifier: Apache-2.0

#include <binderlite/binderlite.h>

#include <iostream>

namespace bl = binderlite;

// The interface: a name, and methods with their codes.
struct Calculator {
  static constexpr bl::InterfaceName kName = "guide.Calculator";
  bl::Method<1, int(int, int)> Add;
  bl::Method<2, int(int, int)> Multiply;
};

int main() {
  bl::Binder binder;

  // The service: a value of the interface, whose methods are handlers.
  bl::Endpoint server = binder.Open("server");
  const auto service = server.Create(Calculator{
      .Add = [](int a, int b) { return a + b; },
      .Multiply = [](int a, int b) { return a * b; },
  });
  if (const bl::Status status = server.Publish("calc", service); !status.ok()) {
    std::cerr << status << '\n';
    return 1;
  }

  // The client: finds it by its name, and calls.
  bl::Endpoint client = binder.Open("client");
  const bl::Result<bl::Proxy<Calculator>> found =
      client.Find<Calculator>("calc");
  if (!found.ok()) {
    std::cerr << found.status() << '\n';
    return 1;
  }
  const bl::Proxy<Calculator>& calc = *found;
  const bl::Result<int> sum = calc->Add(2, 3);
  if (sum.ok()) std::cout << "2 + 3 = " << *sum << '\n';
  // value() ends the program if the call has failed.
  std::cout << "2 * 3 = " << calc->Multiply(2, 3).value() << '\n';
}

// Prints:
//   2 + 3 = 5
//   2 * 3 = 6
