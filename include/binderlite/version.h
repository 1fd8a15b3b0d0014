// SPDX-License-Identifier: Apache-2.0
//
// The version of binderlite, and the only place where it is written: the build
// and the packages read the four lines below with a regular expression, so keep
// each of them a literal on one line. No locks; constants only.
//
// Versions are semantic. While the major number is 0, a new minor number may
// break source compatibility and a new patch number does not.

#ifndef BINDERLITE_VERSION_H_
#define BINDERLITE_VERSION_H_

#include <string_view>

namespace binderlite {

// The version of the headers that the program was compiled with.
inline constexpr int kVersionMajor = 0;
// Likewise.
inline constexpr int kVersionMinor = 1;
// Likewise.
inline constexpr int kVersionPatch = 0;
// All three, with dots.
inline constexpr std::string_view kVersionString = "0.1.0";

}  // namespace binderlite

#endif  // BINDERLITE_VERSION_H_
