// SPDX-License-Identifier: Apache-2.0
//
// CoreObjects: the objects of core/ by themselves, without the driver's
// algorithms, for the unit tests of that layer. No locks, no threads.

#ifndef BINDERLITE_TESTS_SUPPORT_CORE_OBJECTS_H_
#define BINDERLITE_TESTS_SUPPORT_CORE_OBJECTS_H_

#include <cstdint>
#include <utility>

#include "binderlite/core/context.h"
#include "binderlite/core/counts.h"
#include "binderlite/core/node.h"
#include "binderlite/core/pin.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/task.h"
#include "binderlite/core/thread.h"
#include "binderlite/sync/locking.h"

namespace binderlite::testing {

// Must outlive all that it makes.
template <class L = FineGrained<>>
class CoreObjects {
 public:
  explicit CoreObjects(ContextOptions options = {})
      : context_(new core::Context<L>(std::move(options))) {}

  [[nodiscard]] core::Context<L>& context() { return *context_; }
  [[nodiscard]] core::LiveCounts& counts() { return context_->counts; }

  [[nodiscard]] core::Pin<core::Proc<L>> NewProc(ProcOptions options = {}) {
    return core::Pin<core::Proc<L>>(new core::Proc<L>(
        *context_, counts(), context_->NextId(), std::move(options)));
  }
  [[nodiscard]] core::Pin<core::Node<L>> NewNode(core::Proc<L>& owner,
                                                 std::uint64_t ptr,
                                                 std::uint64_t cookie,
                                                 std::uint32_t flags = 0) {
    return core::Pin<core::Node<L>>(new core::Node<L>(
        counts(), owner, context_->NextId(), ptr, cookie, flags));
  }
  [[nodiscard]] core::Pin<core::Thread<L>> NewThread(core::Proc<L>& proc,
                                                     std::int32_t tid) {
    const core::Pin<core::Task<L>> task(
        new core::Task<L>(tid, proc.kill.get_token()));
    return core::Pin<core::Thread<L>>(
        new core::Thread<L>(counts(), proc, *task));
  }

 private:
  core::Pin<core::Context<L>> context_;
};

}  // namespace binderlite::testing

#endif  // BINDERLITE_TESTS_SUPPORT_CORE_OBJECTS_H_
