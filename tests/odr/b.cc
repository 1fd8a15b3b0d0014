// SPDX-License-Identifier: Apache-2.0
//
// The other of two translation units with every header (see a.cc), compiled
// without exceptions and without RTTI.

#include "all_headers.h"  // written by CMake from cmake/headers.cmake

int FromB();

int FromB() { return binderlite::kVersionMajor; }
