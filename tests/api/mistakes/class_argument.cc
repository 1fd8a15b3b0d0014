// SPDX-License-Identifier: Apache-2.0
// expect: binderlite: this type cannot be sent
#include <string>
#include <string_view>

#include "binderlite/api/endpoint.h"

namespace bl = binderlite;

class Opaque {
 public:
  Opaque();

 private:
  int value_;
};
struct Wrong {
  static constexpr bl::InterfaceName kName = "demo.Wrong";
  bl::Method<1, void(Opaque)> A;
};
void Use(const bl::Proxy<Wrong>& wrong) { (void)wrong->A(Opaque()); }
