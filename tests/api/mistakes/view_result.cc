// SPDX-License-Identifier: Apache-2.0
// expect: binderlite: a result cannot be a view or a reference
#include <string>
#include <string_view>

#include "binderlite/api/endpoint.h"

namespace bl = binderlite;

struct Wrong {
  static constexpr bl::InterfaceName kName = "demo.Wrong";
  bl::Method<1, std::string_view()> A;
};
Wrong wrong;
