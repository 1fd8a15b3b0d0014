// SPDX-License-Identifier: Apache-2.0
// expect: binderlite: Result and Status are not types of arguments or results
#include <string>
#include <string_view>

#include "binderlite/api/endpoint.h"

namespace bl = binderlite;

struct Greeter {
  static constexpr bl::InterfaceName kName = "demo.Greeter";
  bl::Method<1, std::string(std::string_view)> Hello;
  bl::OneWay<2, void(std::string_view)> Note;
};

struct Wrong {
  static constexpr bl::InterfaceName kName = "demo.Wrong";
  bl::Method<1, bl::Result<int>(int)> A;
};
void Use(const bl::Proxy<Wrong>& wrong) { (void)wrong->A(1); }
