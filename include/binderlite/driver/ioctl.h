// SPDX-License-Identifier: Apache-2.0
//
// Ioctls: BINDER_WRITE_READ, put together from its halves; those that no other
// header is about, as operations on a thread's record; and Dispatch, which
// tells all of them apart.
//
// Locks: the Context's, a node's and the queues mutex of the caller's Proc,
// never two at once; those of driver/refcount.h for a handle. None is held
// across user memory.
// Kernel: binder_ioctl, binder_ioctl_write_read, binder_ioctl_set_ctx_mgr, ...

#ifndef BINDERLITE_DRIVER_IOCTL_H_
#define BINDERLITE_DRIVER_IOCTL_H_

#include <atomic>
#include <cstdint>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "binderlite/core/context.h"
#include "binderlite/core/node.h"
#include "binderlite/core/pin.h"
#include "binderlite/core/policy.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/thread.h"
#include "binderlite/driver/call.h"
#include "binderlite/driver/freeze.h"
#include "binderlite/driver/read.h"
#include "binderlite/driver/refcount.h"
#include "binderlite/driver/sink.h"
#include "binderlite/driver/write.h"
#include "binderlite/memory/user_memory.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/sync/stop.h"
#include "binderlite/wire/commands.h"
#include "binderlite/wire/errc.h"
#include "binderlite/wire/objects.h"
#include "binderlite/wire/structs.h"

namespace binderlite::driver {

// Whether somebody with this euid may become context manager.
template <LockingPolicy L>
[[nodiscard]] Errc MayBecomeManager(const core::Context<L>& context,
                                    std::uint32_t euid)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(context.mu) {
  if (context.manager) return Errc::kBusy;
  if (context.manager_euid.value_or(euid) != euid) return Errc::kNotPermitted;
  return Errc::kOk;
}

// SET_CONTEXT_MGR(_EXT): makes the node that `object` names (an all-zero one
// without _EXT) the one behind handle 0. kBusy: there is a manager.
// kNotPermitted: there was one with another euid (IO-06 to IO-09).
template <LockingPolicy L>
Errc SetContextManager(core::Thread<L>& self, const FlatObject& object) {
  core::Proc<L>& proc = *self.proc;
  core::Context<L>& context = *proc.context;
  {
    // Found out before a node is made; decided below.
    sync::MutexLock lock(context.mu);
    const Errc error = MayBecomeManager(context, proc.options.euid);
    if (error != Errc::kOk) return error;
  }
  if (SecurityPolicy* policy = context.options.policy;
      policy != nullptr && !policy->MaySetContextMgr(proc.credentials())) {
    return Errc::kNotPermitted;
  }
  const NodeHold<L> hold =
      FindOrMakeNode(proc, object.binder, object.cookie, object.flags);
  if (!hold) return Errc::kClosed;
  // The owner is never told of its own node: it counts as having been. All of
  // that before anybody can find the manager.
  core::Node<L>& node = *hold;
  bool had_strong = false;
  bool had_weak = false;
  {
    sync::MutexLock lock(node.mu);
    if (node.owner == nullptr) return Errc::kClosed;
    ++node.local_strong;
    ++node.local_weak;
    had_strong = std::exchange(node.has_strong, true);
    had_weak = std::exchange(node.has_weak, true);
    node.is_manager = true;
  }
  Errc error = Errc::kOk;
  {
    sync::MutexLock lock(context.mu);
    error = MayBecomeManager(context, proc.options.euid);
    if (error == Errc::kOk) {
      context.manager = core::Pin<core::Node<L>>(&node);
      context.manager_euid = proc.options.euid;
    }
  }
  if (error != Errc::kOk) {
    // Another one was faster. If it made this very node the manager, the node
    // is left as the other one has it, but for the counts added here.
    sync::MutexLock lock(node.mu);
    if (node.owner == nullptr) return error;
    --node.local_strong;
    --node.local_weak;
    if (node.local_strong == 0) {
      node.has_strong = had_strong;
      node.has_weak = had_weak;
      node.is_manager = false;
    }
    return error;
  }
  bool is_dead = false;
  {
    sync::MutexLock queues(proc.queues_mu);
    is_dead = proc.is_dead;
  }
  if (is_dead) {
    // Killed meanwhile, and its release may have looked for the manager before
    // there was one: it was manager until here. A release that begins later
    // finds it (see ReleaseProc).
    sync::MutexLock lock(context.mu);
    if (context.manager.get() == &node) context.manager.reset();
  }
  return Errc::kOk;
}

// GET_EXTENDED_ERROR: what became of the thread's last transaction; the answer
// is given once (IO-24).
template <LockingPolicy L>
[[nodiscard]] ExtendedError TakeExtendedError(core::Thread<L>& self) {
  sync::MutexLock queues(self.proc->queues_mu);
  return std::exchange(self.extended_error, NoError());
}

// GET_NODE_DEBUG_INFO: the Proc's node with the smallest ptr above `after`; all
// zero when there is none (IO-17).
template <LockingPolicy L>
[[nodiscard]] NodeDebugInfo NodeAfter(core::Proc<L>& proc,
                                      std::uint64_t after) {
  core::Pin<core::Node<L>> best;
  {
    sync::MutexLock queues(proc.queues_mu);
    core::Node<L>* lowest = nullptr;
    proc.nodes.ForEach([&lowest, after](core::Node<L>& node) {
      if (node.ptr <= after) return;
      if (lowest == nullptr || node.ptr < lowest->ptr) lowest = &node;
    });
    best = core::Pin<core::Node<L>>(lowest);
  }
  if (!best) return {};
  core::Node<L>& node = *best;
  sync::MutexLock lock(node.mu);
  return {.ptr = node.ptr,
          .cookie = node.cookie,
          .has_strong_ref = node.has_strong ? 1u : 0u,
          .has_weak_ref = node.has_weak ? 1u : 0u};
}

// GET_NODE_INFO_FOR_REF: the counts of the node behind a handle of the context
// manager. kInvalid: something but the handle is set, or it is no strong
// handle; kNotPermitted: the caller is not the manager (IO-19 to IO-22).
template <LockingPolicy L>
Errc GetNodeInfoForRef(core::Thread<L>& self, NodeInfoForRef& info) {
  core::Proc<L>& proc = *self.proc;
  core::Context<L>& context = *proc.context;
  if (info.strong_count != 0 || info.weak_count != 0 || info.reserved1 != 0 ||
      info.reserved2 != 0 || info.reserved3 != 0) {
    return Errc::kInvalid;
  }
  const core::Pin<core::Node<L>> manager = context.Manager();
  bool is_manager = false;
  if (manager) {
    core::Node<L>& node = *manager;
    sync::MutexLock lock(node.mu);
    is_manager = node.owner == &proc;
  }
  if (!is_manager) return Errc::kNotPermitted;
  const core::Pin<core::Node<L>> pin =
      NodeOfHandle(proc, info.handle, Strength::kStrong);
  if (!pin) {
    return context.options.quirks.rust_error_numbers ? Errc::kNoEntry
                                                     : Errc::kInvalid;
  }
  core::Node<L>& node = *pin;
  sync::MutexLock lock(node.mu);
  info.strong_count =
      static_cast<std::uint32_t>(node.local_strong + node.internal_strong);
  info.weak_count = static_cast<std::uint32_t>(node.local_weak);
  return Errc::kOk;
}

// BINDER_WRITE_READ. On every return `args` tells how far it came.
template <LockingPolicy L>
Errc WriteThenRead(Call<L>& call, WriteRead& args, sync::TimePoint deadline) {
  core::Thread<L>& self = call.thread();
  core::Proc<L>& proc = *self.proc;
  if (args.write_size > 0) {
    const Errc error =
        Execute(call, args.write_buffer, args.write_size, args.write_consumed);
    if (error != Errc::kOk) {
      args.read_consumed = 0;
      return error;
    }
  }
  if (args.read_size == 0) return Errc::kOk;
  ByteSink sink(proc.memory, args.read_buffer, args.read_size,
                args.read_consumed);
  const Errc error = ReadAndLook(
      call, sink, proc.nonblocking.load(std::memory_order_relaxed), deadline);
  args.read_consumed = sink.consumed();
  return error;
}

// An ioctl by its number, whose argument lies in user memory. kFault, kInvalid:
// as the kernel has it, when that cannot be accessed; kInvalid: no such ioctl.
// Kernel: binder_ioctl.
template <LockingPolicy L>
Errc Dispatch(Call<L>& call, std::uint32_t request, std::uint64_t argument) {
  core::Thread<L>& self = call.thread();
  const memory::UserAccess& memory = self.proc->memory;
  switch (static_cast<Ioctl>(request)) {
    case Ioctl::kWriteRead: {
      WriteRead args = {};
      if (!memory.Get(args, argument)) return Errc::kFault;
      const Errc error = WriteThenRead(call, args, sync::kNoDeadline);
      return memory.Put(argument, args) ? error : Errc::kFault;
    }
    case Ioctl::kVersion: {
      const Version version = {kProtocolVersion};
      return memory.Put(argument, version) ? Errc::kOk : Errc::kInvalid;
    }
    case Ioctl::kSetMaxThreads: {
      std::uint32_t max = 0;
      if (!memory.Get(max, argument)) return Errc::kInvalid;
      self.proc->counters.SetMax(max);
      return Errc::kOk;
    }
    case Ioctl::kSetContextMgr:
      return SetContextManager(self, FlatObject{});
    case Ioctl::kSetContextMgrExt: {
      FlatObject object = {};
      if (!memory.Get(object, argument)) return Errc::kInvalid;
      return SetContextManager(self, object);
    }
    case Ioctl::kThreadExit:
      if (call.is_guest()) return Errc::kInvalid;
      call.Exit();
      return Errc::kOk;
    case Ioctl::kGetNodeDebugInfo: {
      NodeDebugInfo info = {};
      if (!memory.Get(info, argument)) return Errc::kFault;
      info = NodeAfter(*self.proc, info.ptr);
      return memory.Put(argument, info) ? Errc::kOk : Errc::kFault;
    }
    case Ioctl::kGetNodeInfoForRef: {
      NodeInfoForRef info = {};
      if (!memory.Get(info, argument)) return Errc::kFault;
      const Errc error = GetNodeInfoForRef(self, info);
      if (error != Errc::kOk) return error;
      return memory.Put(argument, info) ? Errc::kOk : Errc::kFault;
    }
    case Ioctl::kFreeze: {
      FreezeInfo info = {};
      if (!memory.Get(info, argument)) return Errc::kFault;
      return Freeze(call, info);
    }
    case Ioctl::kGetFrozenInfo: {
      FrozenStatusInfo info = {};
      if (!memory.Get(info, argument)) return Errc::kFault;
      const Errc error = GetFrozenInfo(*self.proc->context, info);
      if (error != Errc::kOk) return error;
      return memory.Put(argument, info) ? Errc::kOk : Errc::kFault;
    }
    case Ioctl::kEnableOnewaySpamDetection: {
      std::uint32_t enable = 0;
      if (!memory.Get(enable, argument)) return Errc::kFault;
      self.proc->detects_spam.store(enable != 0, std::memory_order_relaxed);
      return Errc::kOk;
    }
    case Ioctl::kGetExtendedError: {
      const ExtendedError error = TakeExtendedError(self);
      return memory.Put(argument, error) ? Errc::kOk : Errc::kFault;
    }
    default:
      return Errc::kInvalid;
  }
}

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_IOCTL_H_
