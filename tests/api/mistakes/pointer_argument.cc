// SPDX-License-Identifier: Apache-2.0
// expect: binderlite: pointers cannot be sent
#include <string>
#include <string_view>

#include "binderlite/api/endpoint.h"

namespace bl = binderlite;

struct Wrong {
  static constexpr bl::InterfaceName kName = "demo.Wrong";
  bl::Method<1, void(int*)> A;
};
Wrong Make() {
  return Wrong{.A = [](int*) {}};
}
