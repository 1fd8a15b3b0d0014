// SPDX-License-Identifier: Apache-2.0
// expect: binderlite: an interface has a name
#include <string>
#include <string_view>

#include "binderlite/api/endpoint.h"

namespace bl = binderlite;

struct Wrong {
  bl::Method<1, int()> A;
};
void Use(bl::Endpoint& endpoint) { (void)endpoint.Create(Wrong{}); }
