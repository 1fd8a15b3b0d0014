// SPDX-License-Identifier: Apache-2.0
// expect: binderlite: the code of a method is from 1 to
#include <string>
#include <string_view>

#include "binderlite/api/endpoint.h"

namespace bl = binderlite;

struct Wrong {
  static constexpr bl::InterfaceName kName = "demo.Wrong";
  bl::Method<0, int()> A;
};
Wrong wrong;
