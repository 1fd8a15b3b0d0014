// SPDX-License-Identifier: Apache-2.0
// expect: binderlite: this handler cannot be called with the method's arguments
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
  return Greeter{.Hello = [](int) { return std::string(); }, .Note = {}};
}
