// SPDX-License-Identifier: Apache-2.0

#include <binderlite/binderlite.h>

#include <iostream>

namespace bl = binderlite;

struct Vault {
  static constexpr bl::InterfaceName kName = "guide.Vault";
  bl::Method<1, int(int key)> Open;
};

int main() {
  bl::Binder binder;
  bl::Endpoint server = binder.Open("server");
  const auto service = server.Create(
      Vault{.Open = [](const bl::Caller& caller, int key) -> bl::Result<int> {
        std::cout << "pid " << caller.pid() << ", euid " << caller.euid()
                  << ", label " << caller.label() << '\n';
        if (caller.euid() != 1000) return bl::Status(bl::StatusCode::kRefused);
        return key + 1;
      }},
      {.wants_label = true});
  if (!server.Publish("vault", service).ok()) return 1;

  // Whoever opens an endpoint says what others see of it. Callers cannot.
  bl::Endpoint user = binder.Open(
      {.name = "user", .pid = 501, .euid = 1000, .label = "u:r:shell:s0"});
  bl::Endpoint guest = binder.Open(
      {.name = "guest", .pid = 502, .euid = 2000, .label = "u:r:guest:s0"});
  std::cout << user.Find<Vault>("vault").value()->Open(1).value() << '\n';
  std::cout << guest.Find<Vault>("vault").value()->Open(1).status() << '\n';
}

// Prints:
//   pid 501, euid 1000, label u:r:shell:s0
//   2
//   pid 502, euid 2000, label u:r:guest:s0
//   refused
