// SPDX-License-Identifier: Apache-2.0
// expect: binderlite: a proxy has no handlers
#include <string>
#include <string_view>

#include "binderlite/api/endpoint.h"

namespace bl = binderlite;

struct Greeter {
  static constexpr bl::InterfaceName kName = "demo.Greeter";
  bl::Method<1, std::string(std::string_view)> Hello;
  bl::OneWay<2, void(std::string_view)> Note;
};

void Use(const bl::Proxy<Greeter>& greeter) {
  greeter->Hello = [](std::string_view) { return std::string(); };
}
