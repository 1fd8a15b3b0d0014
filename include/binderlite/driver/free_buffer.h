// SPDX-License-Identifier: Apache-2.0
//
// Freeing buffers: the memory goes back to the arena, what the buffer held is
// dropped (driver/payload.h), and if a one-way came in it, the next one of its
// node has its turn. Handles BC_FREE_BUFFER.
//
// Locks: the arena's; the node's and, in it, the queues mutex of its owner.
// None is held while descriptors are closed.
// Kernel: binder_free_buf.

#ifndef BINDERLITE_DRIVER_FREE_BUFFER_H_
#define BINDERLITE_DRIVER_FREE_BUFFER_H_

#include <atomic>
#include <cstdint>

#include "binderlite/core/arena.h"
#include "binderlite/core/buffer.h"
#include "binderlite/core/context.h"
#include "binderlite/core/hooks.h"
#include "binderlite/core/node.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/thread.h"
#include "binderlite/driver/oneway.h"
#include "binderlite/driver/payload.h"
#include "binderlite/driver/refcount.h"
#include "binderlite/driver/route.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"

namespace binderlite::driver {

// Gives a buffer back, with all that it held.
template <LockingPolicy L>
void FreeBuffer(core::Proc<L>& owner, core::Buffer<L>& buffer) {
  if (buffer.is_async && buffer.target_node) {
    Wakeup<L> wakeup;
    core::Node<L>& node = *buffer.target_node;
    sync::MutexLock lock(node.mu);
    AdvanceOneWays(node, wakeup);
  }
  ReleaseBufferContents(owner, buffer);
  owner.arena.Free(buffer);
}

// Handles BC_FREE_BUFFER. An address that is not that of a delivered buffer is
// ignored (AL-16, AL-17). Descriptors that came in arrays are closed, and the
// thread's next read does not block (OB-22). `as_guest`: see core/thread.h.
template <LockingPolicy L>
void FreeBuffer(core::Thread<L>& self, std::uint64_t address, bool as_guest) {
  core::Proc<L>& proc = *self.proc;
  const typename core::Arena<L>::Returned returned =
      proc.arena.ClaimOrFree(address);
  if (!returned.found) {
    proc.context->Complain(UserError::kBadBuffer, proc.options.pid, self.tid);
    return;
  }
  if (core::Buffer<L>* const buffer = returned.buffer) {
    for (const int fd : buffer->array_files) {
      proc.files().Close(fd);
      self.need_return_of(as_guest).store(true, std::memory_order_relaxed);
    }
    FreeBuffer(proc, *buffer);
    return;
  }
  if (!returned.target) return;
  // A plain one. Its memory is back; it kept its target, and nothing else.
  Wakeup<L> wakeup;
  Garbage<L> garbage;
  core::Node<L>& node = *returned.target;
  sync::MutexLock lock(node.mu);
  if (returned.is_async) AdvanceOneWays(node, wakeup);
  DecNode(node, Strength::kStrong, /*internal=*/false, garbage);
}

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_FREE_BUFFER_H_
