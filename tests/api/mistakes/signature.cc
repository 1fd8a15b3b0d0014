// SPDX-License-Identifier: Apache-2.0
// expect: binderlite: a method's signature is a function type
#include <string>
#include <string_view>

#include "binderlite/api/endpoint.h"

namespace bl = binderlite;

struct Wrong {
  static constexpr bl::InterfaceName kName = "demo.Wrong";
  bl::Method<1, int> A;
};
Wrong wrong;
