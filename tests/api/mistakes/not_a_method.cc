// SPDX-License-Identifier: Apache-2.0
// expect: binderlite: an interface is a struct with nothing but a name and
// methods
#include <string>
#include <string_view>

#include "binderlite/api/endpoint.h"

namespace bl = binderlite;

struct Wrong {
  static constexpr bl::InterfaceName kName = "demo.Wrong";
  bl::Method<1, int()> A;
  int state = 0;
};
void Use(bl::Endpoint& endpoint) { (void)endpoint.Create(Wrong{}); }
