// SPDX-License-Identifier: Apache-2.0
// expect: binderlite: what this handler returns is neither the method's result
#include <string>
#include <string_view>

#include "binderlite/api/endpoint.h"

namespace bl = binderlite;

struct Greeter {
  static constexpr bl::InterfaceName kName = "demo.Greeter";
  bl::Method<1, std::string(std::string_view)> Hello;
  bl::OneWay<2, void(std::string_view)> Note;
};

Greeter Make() {
  return Greeter{.Hello = [](std::string_view) { return 7; }, .Note = {}};
}
