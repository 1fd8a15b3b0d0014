// SPDX-License-Identifier: Apache-2.0
// expect: binderlite: the arguments of this call are not those of the method
#include <string>
#include <string_view>

#include "binderlite/api/endpoint.h"

namespace bl = binderlite;

struct Greeter {
  static constexpr bl::InterfaceName kName = "demo.Greeter";
  bl::Method<1, std::string(std::string_view)> Hello;
  bl::OneWay<2, void(std::string_view)> Note;
};

void Use(const bl::Proxy<Greeter>& greeter) { (void)greeter->Hello(1, 2); }
