// SPDX-License-Identifier: Apache-2.0
//
// TaskPriorities: calls carry nice values from thread to thread as the kernel's
// driver has them do, with the nice values that the system knows. They change
// as far as the process may change them: without CAP_SYS_NICE to what
// RLIMIT_NICE allows, and not at all where that allows none (PR-05).
//
// No locks, no state; one to three system calls each.
// Kernel: binder_set_nice, can_nice.

#ifndef BINDERLITE_UAPI_TASK_PRIORITIES_H_
#define BINDERLITE_UAPI_TASK_PRIORITIES_H_

#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include "binderlite/core/priority.h"

namespace binderlite::uapi_internal {

class TaskPriorities : public Priorities {
 public:
  // `tid` is that of a thread of this process, whatever `pid` the Proc has.
  [[nodiscard]] int Get(std::int32_t /*pid*/, std::int32_t tid) override {
    // The kernel's answer is 1 to 40, so that it is no error.
    const int saved = errno;
    // NOLINTNEXTLINE(google-runtime-int): as the system call has it.
    const long answer = ::syscall(SYS_getpriority, PRIO_PROCESS, tid);
    errno = saved;
    return answer < 0 ? 0 : 20 - static_cast<int>(answer);
  }

  void Set(std::int32_t pid, std::int32_t tid, int nice) override {
    constexpr int kLeast = -20;
    constexpr int kMost = 19;
    nice = std::clamp(nice, kLeast, kMost);
    if (Get(pid, tid) == nice) return;
    rlimit limit = {};
    if (!MaySetAny() && ::getrlimit(RLIMIT_NICE, &limit) == 0 &&
        static_cast<rlim_t>(20 - nice) > limit.rlim_cur) {
      nice = 20 - static_cast<int>(std::min<rlim_t>(limit.rlim_cur, 40));
      if (nice > kMost) return;
    }
    const int saved = errno;
    ::syscall(SYS_setpriority, PRIO_PROCESS, tid, nice);
    errno = saved;
  }

 private:
  [[nodiscard]] static bool MaySetAny() {
    const int saved = errno;
    __user_cap_header_struct header = {};
    header.version = _LINUX_CAPABILITY_VERSION_3;
    __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
    const bool known = ::syscall(SYS_capget, &header, data) == 0;
    errno = saved;
    return known && (data[CAP_TO_INDEX(CAP_SYS_NICE)].effective &
                     CAP_TO_MASK(CAP_SYS_NICE)) != 0;
  }
};

}  // namespace binderlite::uapi_internal

#endif  // BINDERLITE_UAPI_TASK_PRIORITIES_H_
