// SPDX-License-Identifier: Apache-2.0
//
// The program of all consumer projects. The mutex makes it need Abseil's
// libraries, so a package that forgets to name them does not link.

#include <cstdio>

#include "absl/synchronization/mutex.h"
#include "binderlite/binderlite.h"

int main() {
  absl::Mutex mu;
  absl::MutexLock lock(&mu);
  mu.AssertHeld();
  std::printf("binderlite %d.%d.%d\n", binderlite::kVersionMajor,
              binderlite::kVersionMinor, binderlite::kVersionPatch);
}
