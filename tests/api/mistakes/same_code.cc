// SPDX-License-Identifier: Apache-2.0
// expect: binderlite: two methods of an interface have the same code
#include <string>
#include <string_view>

#include "binderlite/api/endpoint.h"

namespace bl = binderlite;

struct Wrong {
  static constexpr bl::InterfaceName kName = "demo.Wrong";
  bl::Method<1, int()> A;
  bl::Method<1, int()> B;
};
void Use(bl::Endpoint& endpoint) { (void)endpoint.Create(Wrong{}); }
