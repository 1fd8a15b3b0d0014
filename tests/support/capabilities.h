// SPDX-License-Identifier: Apache-2.0
//
// What the calling thread may do to nice values: CAP_SYS_NICE, which root often
// lacks in a container.

#ifndef BINDERLITE_TESTS_SUPPORT_CAPABILITIES_H_
#define BINDERLITE_TESTS_SUPPORT_CAPABILITIES_H_

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdint>

namespace binderlite::testing {

struct Capabilities {
  __user_cap_header_struct header = {};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data = {};

  Capabilities() {
    header.version = _LINUX_CAPABILITY_VERSION_3;
    ::syscall(SYS_capget, &header, data.data());
  }
  [[nodiscard]] std::uint32_t& effective() {
    return data[CAP_TO_INDEX(CAP_SYS_NICE)].effective;
  }
};

[[nodiscard]] inline bool MaySetAnyNice() {
  return (Capabilities().effective() & CAP_TO_MASK(CAP_SYS_NICE)) != 0;
}

// For the calling thread and those that it starts.
inline void GiveUpNice() {
  Capabilities mine;
  mine.effective() &= ~static_cast<std::uint32_t>(CAP_TO_MASK(CAP_SYS_NICE));
  ::syscall(SYS_capset, &mine.header, mine.data.data());
}

}  // namespace binderlite::testing

#endif  // BINDERLITE_TESTS_SUPPORT_CAPABILITIES_H_
