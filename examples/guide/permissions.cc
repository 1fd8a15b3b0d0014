// SPDX-License-Identifier: Apache-2.0

#include <binderlite/binderlite.h>

#include <iostream>

namespace bl = binderlite;

struct Clock {
  static constexpr bl::InterfaceName kName = "guide.Clock";
  bl::Method<1, int()> Hour;
};

int main() {
  // Root may publish, everybody may find what is not secret.
  bl::Binder binder({
      .registry = {.may =
                       [](const bl::Caller& caller, bl::ServiceOperation what,
                          std::string_view name) {
                         if (caller.euid() == 0) return true;
                         return what != bl::ServiceOperation::kAdd &&
                                !name.starts_with("secret.");
                       }},
  });
  bl::Endpoint system = binder.Open({.name = "system", .euid = 0});
  bl::Endpoint app = binder.Open({.name = "app", .euid = 1000});

  const Clock noon = {.Hour = [] { return 12; }};
  const auto clock = system.Create(noon), mine = app.Create(noon);
  std::cout << system.Publish("clock", clock) << '\n'
            << system.Publish("secret.clock", clock) << '\n'
            << app.Publish("my.clock", mine) << '\n'
            << app.Find<Clock>("clock").status() << '\n'
            << app.Find<Clock>("secret.clock").status() << '\n';
}

// Prints:
//   ok
//   ok
//   refused: my.clock
//   ok
//   refused: secret.clock
