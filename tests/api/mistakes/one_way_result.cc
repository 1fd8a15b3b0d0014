// SPDX-License-Identifier: Apache-2.0
// expect: binderlite: a one-way method has no result
#include <string>
#include <string_view>

#include "binderlite/api/endpoint.h"

namespace bl = binderlite;

struct Wrong {
  static constexpr bl::InterfaceName kName = "demo.Wrong";
  bl::OneWay<1, int()> Count;
};
Wrong wrong;
