// SPDX-License-Identifier: Apache-2.0
//
// Priorities: the hook through which calls carry their caller's priority to
// the thread that serves them. Priorities are nice values, -20 (most urgent) to
// 19. Without a hook the driver does nothing about them.
//
// Called from the thread whose priority it is, with no mutex of a bounded
// section held. Must outlive the Context.
// Kernel: binder_set_nice, task_nice.

#ifndef BINDERLITE_CORE_PRIORITY_H_
#define BINDERLITE_CORE_PRIORITY_H_

#include <cstdint>

namespace binderlite {

class Priorities {
 public:
  virtual ~Priorities() = default;
  // The nice value of the thread `tid` of `pid`, which makes the call.
  [[nodiscard]] virtual int Get(std::int32_t pid, std::int32_t tid) = 0;
  // Sets it, as near as the thread's limits allow (PR-05).
  virtual void Set(std::int32_t pid, std::int32_t tid, int nice) = 0;
};

}  // namespace binderlite

#endif  // BINDERLITE_CORE_PRIORITY_H_
