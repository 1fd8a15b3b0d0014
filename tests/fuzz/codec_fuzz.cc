// SPDX-License-Identifier: Apache-2.0
//
// Fuzzes the wire codec: whatever bytes come, reading them as a value neither
// crashes nor reads beyond them nor leaks, and what was a value comes back as
// the same when it is written and read again. support/hostile.h says how bytes
// become a type and a payload. Built and run by scripts/fuzz.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>

#include "support/descriptors.h"
#include "support/hostile.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  static const int file = binderlite::testing::OpenNull();
  const char* const wrong = binderlite::testing::CheckHostile(
      std::as_bytes(std::span(data, size)), file);
  if (wrong != nullptr) {
    std::fprintf(stderr, "%s\n", wrong);
    std::abort();
  }
  return 0;
}
