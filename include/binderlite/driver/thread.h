// SPDX-License-Identifier: Apache-2.0
//
// Thread: one thread's access to a Proc, as the ioctls of binder and as
// operations without byte streams.
//
// Makes one call at a time, from whichever OS thread; only Interrupt, SetEnded
// and Kill may come from others meanwhile. Keeps what it needs alive.
//
// Locks: each call takes the entry section for as long as it does not wait
// (driver/call.h), and what the headers take that it is made of.

#ifndef BINDERLITE_DRIVER_THREAD_H_
#define BINDERLITE_DRIVER_THREAD_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <stop_token>
#include <utility>
#include <vector>

#include "binderlite/core/context.h"
#include "binderlite/core/pin.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/seat.h"
#include "binderlite/core/task.h"
#include "binderlite/core/thread.h"
#include "binderlite/driver/abandon.h"
#include "binderlite/driver/build.h"
#include "binderlite/driver/call.h"
#include "binderlite/driver/call_handler.h"
#include "binderlite/driver/deliver.h"
#include "binderlite/driver/free_buffer.h"
#include "binderlite/driver/freeze.h"
#include "binderlite/driver/given_up.h"
#include "binderlite/driver/incoming.h"
#include "binderlite/driver/ioctl.h"
#include "binderlite/driver/loan.h"
#include "binderlite/driver/notify.h"
#include "binderlite/driver/poll.h"
#include "binderlite/driver/read.h"
#include "binderlite/driver/refcount.h"
#include "binderlite/driver/reserve.h"
#include "binderlite/driver/sink.h"
#include "binderlite/driver/write.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/sync/stop.h"
#include "binderlite/wire/commands.h"
#include "binderlite/wire/errc.h"
#include "binderlite/wire/flags.h"
#include "binderlite/wire/objects.h"
#include "binderlite/wire/structs.h"

namespace binderlite {

using sync::kNoDeadline;
using sync::TimePoint;

template <LockingPolicy L>
class BasicProc;

// What one BasicThread::Exchange sends, in this order.
struct Outgoing {
  std::uint64_t free_buffer = 0;           // BC_FREE_BUFFER; 0: none.
  const TransactionData* reply = nullptr;  // BC_REPLY; null: none.
  const TransactionData* call = nullptr;   // BC_TRANSACTION; null: none.
};

// One thread's access to a Proc: the ioctls of binder as members. An object,
// not tied to an OS thread: it makes one call at a time, from whichever; only
// Interrupt, SetEnded and Kill may come from others meanwhile. Each call that
// begins makes the driver's record of the thread if there is none and, but for
// ThreadExit, ends its need_return. Any call may answer kClosed or kKilled; one
// that did so before it began has done nothing, and a WriteRead tells in its
// argument how far it came. Or kBusy, and nothing is done: a call has been
// stopped in its wait, and a caller's OS thread still runs the thread
// (driver/loan.h).
//
// Kernel: binder_thread. libbinder: IPCThreadState.
template <LockingPolicy L = FineGrained<>>
class BasicThread {
 public:
  BasicThread(BasicThread&&) noexcept = default;
  BasicThread& operator=(BasicThread&&) noexcept = default;

  // The number that the Proc knows it by.
  [[nodiscard]] std::int32_t tid() const { return task_->tid; }

  // BINDER_WRITE_READ: runs the commands from args.write_consumed on, then
  // reads into the rest of the read buffer, waiting for work if there is none
  // and the Proc is not non-blocking. `args` is updated on every return, so a
  // call that ended early can be repeated with it and redoes nothing.
  //
  // kInvalid, kFault: a bad command or memory; see write_consumed.
  // kWouldBlock, kInterrupted, kTimedOut: nothing to read; `deadline` bounds
  // the wait for work, not the time that locks take. kKilled: by Kill of the
  // Proc or Thread, or by `stop`.
  Errc WriteRead(struct WriteRead& args, std::stop_token stop = {},
                 TimePoint deadline = kNoDeadline) {
    Call call(*this, std::move(stop));
    if (const Errc error = call.Begin(); error != Errc::kOk) return error;
    return Answer(binderlite::Ioctl::kWriteRead,
                  driver::WriteThenRead(call, args, deadline));
  }

  // An ioctl as a number and the address of its argument, which is read and
  // written through the Proc's UserMemory. The errors of the ioctl itself;
  // kFault or kInvalid, as the kernel has it, when the argument cannot be
  // accessed; kInvalid: no such ioctl.
  Errc Ioctl(std::uint32_t request, std::uint64_t argument,
             std::stop_token stop = {}) {
    Call call(*this, std::move(stop));
    if (const Errc error = call.Begin(); error != Errc::kOk) return error;
    const auto which = static_cast<binderlite::Ioctl>(request);
    if (which == binderlite::Ioctl::kThreadExit && !call.is_guest()) {
      ForgetUnread();
    }
    return Answer(which, driver::Dispatch(call, request, argument));
  }

  // poll: whether a read of this thread would find something, now. From the
  // first one on the thread counts as one that polls, for the Proc's
  // ReadinessListener. A new thread is readable (PL-02).
  Errc Poll(bool& readable) {
    Call call(*this, {});
    if (const Errc error = call.Begin(); error != Errc::kOk) return error;
    if (call.is_guest()) return Errc::kInvalid;
    call.KeepNeedReturn();
    core::Thread<L>& self = call.thread();
    self.looper.fetch_or(core::kLooperPoll, std::memory_order_relaxed);
    sync::MutexLock queues(self.proc->queues_mu);
    readable = driver::IsReadable(self);
    return Errc::kOk;
  }

  // BINDER_VERSION.
  Errc Version(std::int32_t& version) {
    return Request(binderlite::Ioctl::kVersion, [&](core::Thread<L>&) {
      version = kProtocolVersion;
      return Errc::kOk;
    });
  }

  // BINDER_SET_MAX_THREADS: bounds how many loopers BR_SPAWN_LOOPER asks for.
  Errc SetMaxThreads(std::uint32_t max) {
    return Request(binderlite::Ioctl::kSetMaxThreads,
                   [max](core::Thread<L>& self) {
                     self.proc->counters.SetMax(max);
                     return Errc::kOk;
                   });
  }

  // BINDER_SET_CONTEXT_MGR. kBusy: there is a manager;
  // kNotPermitted: there was one with another euid. kClosed: the Proc is being
  // torn down.
  Errc SetContextMgr() {
    return Request(binderlite::Ioctl::kSetContextMgr,
                   [](core::Thread<L>& self) {
                     return driver::SetContextManager(self, FlatObject{});
                   });
  }
  // BINDER_SET_CONTEXT_MGR_EXT: with a node of one's own; fails likewise.
  Errc SetContextMgrExt(const FlatObject& object) {
    return Request(binderlite::Ioctl::kSetContextMgrExt,
                   [&object](core::Thread<L>& self) {
                     return driver::SetContextManager(self, object);
                   });
  }

  // BINDER_THREAD_EXIT: forgets the driver's record of this thread. Who waits
  // for it reads BR_DEAD_REPLY; its next call starts anew. Also allowed to a
  // killed Thread, whose record it tidies up. kInvalid: called by a CallHandler
  // on the thread that it was given.
  Errc ThreadExit() {
    if (guest_of_ != nullptr) return Errc::kInvalid;
    ForgetUnread();
    Call call(*this, {});
    if (const Errc error = call.BeginToExit(); error != Errc::kOk) return error;
    return Errc::kOk;
  }

  // BINDER_GET_EXTENDED_ERROR.
  Errc GetExtendedError(ExtendedError& error) {
    return Request(binderlite::Ioctl::kGetExtendedError,
                   [&error](core::Thread<L>& self) {
                     error = driver::TakeExtendedError(self);
                     return Errc::kOk;
                   });
  }

  // BINDER_GET_NODE_DEBUG_INFO: `info.ptr` is where to go on from.
  Errc GetNodeDebugInfo(NodeDebugInfo& info) {
    return Request(binderlite::Ioctl::kGetNodeDebugInfo,
                   [&info](core::Thread<L>& self) {
                     info = driver::NodeAfter(*self.proc, info.ptr);
                     return Errc::kOk;
                   });
  }

  // BINDER_GET_NODE_INFO_FOR_REF: the counts of the node behind info.handle;
  // all else must be zero. For the context manager only: kNotPermitted.
  Errc GetNodeInfoForRef(NodeInfoForRef& info) {
    return Request(binderlite::Ioctl::kGetNodeInfoForRef,
                   [&info](core::Thread<L>& self) {
                     return driver::GetNodeInfoForRef(self, info);
                   });
  }

  // BINDER_FREEZE: no new calls to the Procs of info.pid, once the ones in
  // progress are over or info.timeout_ms milliseconds have passed. kWouldBlock:
  // they are not over. kInvalid: nobody has this pid. kInterrupted, kKilled:
  // while waiting. In the end the Proc is frozen only if it answers kOk.
  Errc Freeze(const FreezeInfo& info, std::stop_token stop = {}) {
    Call call(*this, std::move(stop));
    if (const Errc error = call.Begin(); error != Errc::kOk) return error;
    return Answer(binderlite::Ioctl::kFreeze, driver::Freeze(call, info));
  }

  // BINDER_GET_FROZEN_INFO of info.pid. kInvalid: nobody has it.
  Errc GetFrozenInfo(FrozenStatusInfo& info) {
    return Request(binderlite::Ioctl::kGetFrozenInfo,
                   [&info](core::Thread<L>& self) {
                     return driver::GetFrozenInfo(*self.proc->context, info);
                   });
  }

  // BINDER_ENABLE_ONEWAY_SPAM_DETECTION: whether this Proc reads
  // BR_ONEWAY_SPAM_SUSPECT when its one-ways use up their target's memory.
  Errc EnableOnewaySpamDetection(bool enable) {
    return Request(binderlite::Ioctl::kEnableOnewaySpamDetection,
                   [enable](core::Thread<L>& self) {
                     self.proc->detects_spam.store(enable,
                                                   std::memory_order_relaxed);
                     return Errc::kOk;
                   });
  }

  // --- Operations without byte streams --------------------------------------
  //
  // The same as the commands they are named after, for layers above that have
  // no use for encoding them. A failure to send is not an error of the call:
  // it is the next thing that NextWork returns, and until it has been read no
  // further Transact or Reply does anything but answer kBusy.

  // BC_TRANSACTION; with `buffers_size`, the bytes to set aside for
  // BufferObjects, BC_TRANSACTION_SG.
  Errc Transact(const TransactionData& data, std::uint64_t buffers_size = 0) {
    return SendOne({.data = data, .buffers_size = buffers_size}, false);
  }
  // BC_REPLY; likewise BC_REPLY_SG.
  Errc Reply(const TransactionData& data, std::uint64_t buffers_size = 0) {
    return SendOne({.data = data, .buffers_size = buffers_size}, true);
  }

  // Sending without a copy; see driver/reserve.h. Sets aside `size` bytes, and
  // `offsets_size` bytes for offsets of objects, for a call to `handle`, or a
  // one-way if `flags` have kTfOneWay. What it fails with is what a transaction
  // would have failed with at this point; kNoProcess: dead.
  Errc Reserve(std::uint32_t handle, std::size_t size,
               Reservation<L>& reservation, std::uint32_t flags = 0,
               std::size_t offsets_size = 0) {
    Reservation<L> made;
    const Errc error = Simple([&](core::Thread<L>& self) {
      return driver::Reserve(self, handle, size, offsets_size,
                             (flags & kTfOneWay) != 0, made.reserved_);
    });
    if (error == Errc::kOk) reservation = std::move(made);
    return error;
  }
  // The same for the reply to the call that this thread is serving. kInvalid:
  // there is none.
  Errc ReserveReply(std::size_t size, Reservation<L>& reservation,
                    std::size_t offsets_size = 0) {
    Reservation<L> made;
    const Errc error = Simple([&](core::Thread<L>& self) {
      return driver::ReserveReply(self, size, offsets_size, made.reserved_);
    });
    if (error == Errc::kOk) reservation = std::move(made);
    return error;
  }
  // Sends what has been reserved and written. Of `data` counts what is said
  // neither by the reservation nor by what is in it: code, flags and the
  // offsets, for which there must be as much room as was reserved. kOk: it is
  // empty now, whatever became of the transaction. kInvalid: that is not so, or
  // it is empty, or another Proc's; kBusy: see above; in both cases it is as it
  // was. kKilled, kClosed: it may have been sent.
  Errc Transact(Reservation<L>&& reservation, const TransactionData& data) {
    return SendReserved(reservation, data, /*is_reply=*/false);
  }
  // The same for what ReserveReply has set aside.
  Errc Reply(Reservation<L>&& reservation, const TransactionData& data) {
    return SendReserved(reservation, data, /*is_reply=*/true);
  }

  // The next return command; waits for it like WriteRead. BR_NOOP: a flush, or
  // the first read of a new thread. BR_SPAWN_LOOPER comes after the command
  // that it came with.
  Errc NextWork(Incoming& incoming, std::stop_token stop = {},
                TimePoint deadline = kNoDeadline) {
    if (TakeUnread(incoming)) return Errc::kOk;
    Call call(*this, std::move(stop));
    if (const Errc error = call.Begin(); error != Errc::kOk) return error;
    return ReadNext(call, incoming, deadline);
  }

  // Takes out a BR_SPAWN_LOOPER that NextWork would return next; for who would
  // have to serve a call before it reads on. False: there is none.
  [[nodiscard]] bool TakeSpawn() {
    if (next_unread_ >= unread_.size() ||
        unread_.back().command != Br::BR_SPAWN_LOOPER) {
      return false;
    }
    unread_.pop_back();
    return true;
  }

  // Several of these in one call of the driver, as an ioctl does several
  // commands: what is in `outgoing`, and NextWork. No BR_TRANSACTION_COMPLETE
  // is read of a call that is sent in this way, or of a reply without objects:
  // what comes next says as much. kBusy: see above; nothing is done.
  // kWouldBlock, kInterrupted, kTimedOut: all has been sent, and NextWork is
  // how to go on. kKilled for the sake of `stop`, which ends the wait: so it
  // is, but that a call alone may not have been sent. kKilled otherwise,
  // kClosed: it may have been sent.
  Errc Exchange(const Outgoing& outgoing, Incoming& incoming,
                std::stop_token stop = {}, TimePoint deadline = kNoDeadline) {
    Call call(*this, std::move(stop));
    if (const Errc error = Begin(call, outgoing); error != Errc::kOk) {
      return error;
    }
    if (TakeUnread(incoming)) return Errc::kOk;
    return ReadNext(call, incoming, deadline);
  }
  // The same without NextWork.
  Errc Send(const Outgoing& outgoing) {
    Call call(*this, {});
    return Begin(call, outgoing);
  }

  // Gives up the call whose reply it waits for, if there is one, after
  // NextWork has answered kTimedOut or kKilled for the sake of `stop`; see
  // driver/abandon.h. What else there is for it is still to be read.
  Errc Abandon() {
    return Simple([this](core::Thread<L>& self) {
      driver::Abandon<L>(
          self, guest_of_ != nullptr ? &guest_of_->PlaceOf(self) : nullptr);
      return Errc::kOk;
    });
  }

  // Stops when nobody waits any longer for the answer to the innermost call
  // that this thread serves: its sender has given it up or is gone. Never, if
  // there is no such call. By the thread itself, while it makes no call. Stop
  // callbacks run in a thread of the Context's; see driver/given_up.h.
  [[nodiscard]] std::stop_token GivenUp() {
    std::stop_token token;
    const Errc error = Simple([&](core::Thread<L>& self) {
      token = driver::GivenUpToken(self);
      return Errc::kOk;
    });
    if (error == Errc::kOk) return token;
    // It is killed or closed: nobody can be answered.
    std::stop_source over;
    over.request_stop();
    return over.get_token();
  }

  // BC_FREE_BUFFER.
  Errc FreeBuffer(std::uint64_t address) {
    return Counted(Bc::BC_FREE_BUFFER, [address, guest = guest_of_ != nullptr](
                                           core::Thread<L>& self) {
      driver::FreeBuffer(self, address, guest);
      return Errc::kOk;
    });
  }

  // BC_ACQUIRE: one more strong reference to what the handle stands for.
  Errc Acquire(std::uint32_t handle) {
    return CountUp(handle, driver::Strength::kStrong);
  }
  // The same, and tells whether it was in vain. kNoEntry: the handle stands for
  // nothing.
  Errc TryAcquire(std::uint32_t handle) {
    return Counted(Bc::BC_ACQUIRE, [=](core::Thread<L>& self) {
      return driver::TryAcquire(self, handle, driver::Strength::kStrong);
    });
  }
  // BC_RELEASE: one less.
  Errc Release(std::uint32_t handle) {
    return CountDown(handle, driver::Strength::kStrong);
  }
  // BC_INCREFS: one more weak one.
  Errc IncRefs(std::uint32_t handle) {
    return CountUp(handle, driver::Strength::kWeak);
  }
  // BC_DECREFS: one less.
  Errc DecRefs(std::uint32_t handle) {
    return CountDown(handle, driver::Strength::kWeak);
  }

  // BC_ACQUIRE_DONE, the answer to BR_ACQUIRE.
  Errc AcquireDone(const PtrCookie& node) {
    return Acknowledge(node, driver::Strength::kStrong);
  }
  // BC_INCREFS_DONE, the answer to BR_INCREFS.
  Errc IncRefsDone(const PtrCookie& node) {
    return Acknowledge(node, driver::Strength::kWeak);
  }

  // BC_REQUEST_DEATH_NOTIFICATION. `cookie` comes with BR_DEAD_BINDER.
  Errc RequestDeathNotification(std::uint32_t handle, std::uint64_t cookie) {
    return Counted(Bc::BC_REQUEST_DEATH_NOTIFICATION,
                   [=](core::Thread<L>& self) {
                     driver::RequestDeath(self, handle, cookie);
                     return Errc::kOk;
                   });
  }
  // BC_CLEAR_DEATH_NOTIFICATION, of one that was requested with `cookie`.
  Errc ClearDeathNotification(std::uint32_t handle, std::uint64_t cookie) {
    return Counted(Bc::BC_CLEAR_DEATH_NOTIFICATION, [=](core::Thread<L>& self) {
      driver::ClearDeath(self, handle, cookie);
      return Errc::kOk;
    });
  }
  // BC_DEAD_BINDER_DONE, the answer to BR_DEAD_BINDER.
  Errc DeadBinderDone(std::uint64_t cookie) {
    return Counted(Bc::BC_DEAD_BINDER_DONE, [=](core::Thread<L>& self) {
      driver::AcknowledgeDeath(self, cookie);
      return Errc::kOk;
    });
  }

  // BC_REQUEST_FREEZE_NOTIFICATION. Unlike for deaths, a wrong handle or cookie
  // is kInvalid, here and in the next two.
  Errc RequestFreezeNotification(std::uint32_t handle, std::uint64_t cookie) {
    return Counted(
        Bc::BC_REQUEST_FREEZE_NOTIFICATION, [=](core::Thread<L>& self) {
          return driver::RequestFreezeNotification(self, handle, cookie);
        });
  }
  // BC_CLEAR_FREEZE_NOTIFICATION, of one that was requested with `cookie`.
  Errc ClearFreezeNotification(std::uint32_t handle, std::uint64_t cookie) {
    return Counted(
        Bc::BC_CLEAR_FREEZE_NOTIFICATION, [=](core::Thread<L>& self) {
          return driver::ClearFreezeNotification(self, handle, cookie);
        });
  }
  // BC_FREEZE_NOTIFICATION_DONE, the answer to BR_FROZEN_BINDER.
  Errc FreezeNotificationDone(std::uint64_t cookie) {
    return Counted(Bc::BC_FREEZE_NOTIFICATION_DONE, [=](core::Thread<L>& self) {
      return driver::AcknowledgeFreeze(self, cookie);
    });
  }

  // BC_ENTER_LOOPER: it serves calls, since the program wants it.
  Errc EnterLooper() { return Looper(Bc::BC_ENTER_LOOPER); }
  // BC_REGISTER_LOOPER: it serves calls, since BR_SPAWN_LOOPER asked for it.
  Errc RegisterLooper() { return Looper(Bc::BC_REGISTER_LOOPER); }
  // BC_EXIT_LOOPER: it does not any more.
  Errc ExitLooper() { return Looper(Bc::BC_EXIT_LOOPER); }

  // --- From anywhere, at any time -------------------------------------------

  // What a signal does: the blocking wait that it is in, or else the next one
  // that has to sleep, answers kInterrupted, once.
  void Interrupt() { task_->Interrupt(); }

  // The OS thread that made the calls has ended without ThreadExit: its record
  // stays, but nobody polls with it any more. Undone by the next call.
  void SetEnded() { task_->SetEnded(); }

  // Ends the call that it is in and all that follow with kKilled. Its record
  // stays as it is until ThreadExit or the end of the Proc.
  void Kill() { task_->Kill(); }

 private:
  friend class BasicProc<L>;

  BasicThread(core::Pin<core::Proc<L>> proc, core::Pin<core::Task<L>> task)
      : proc_(proc.get()),
        task_(task.get()),
        proc_pin_(std::move(proc)),
        task_pin_(std::move(task)) {}

  // Runs `thread` for the OS thread that has `seat`.
  BasicThread(core::Pin<core::Thread<L>> thread, core::Seat<L>& seat)
      : proc_(thread->proc),
        task_(thread->task),
        record_(std::move(thread)),
        guest_of_(&seat) {}

  class Call : public driver::Call<L> {
   public:
    Call(BasicThread& thread, std::stop_token stop)
        : driver::Call<L>(*thread.proc_, *thread.task_, thread.record_,
                          std::move(stop), thread.guest_of_, &Serve) {}
  };

  // Serves a call on the OS thread that has `seat`.
  static void Serve(core::Seat<L>& seat, core::Loan<L> loan) {
    const bool lent = loan.lent;
    core::HandlerInUse<L>* const handler = loan.handler;
    core::Thread<L>& thread = *loan.to;
    BasicThread self(std::move(loan.to), seat);  // Pins it to the end.
    typename core::Seat<L>::Place place(seat, thread);
    self.ServeAsGuest(std::move(loan), place);
    driver::EndServing<L>(place, lent, handler, *seat.stops);
  }

  void ServeAsGuest(core::Loan<L> loan, typename core::Seat<L>::Place& place) {
    Incoming incoming;
    {
      Call call(*this, {});
      if (call.Begin() == Errc::kOk) {
        driver::IncomingSink sink(incoming, unread_);
        (void)driver::DeliverTransaction(call.thread(), std::move(loan.call),
                                         sink, &place);
      }
    }
    if (loan) {
      return driver::PassOn(*place.thread, std::move(loan.call), loan.lent);
    }
    // Otherwise there was no way to deliver it, or nobody to serve it any more.
    if (!incoming.is_transaction()) return;
    if (loan.handler == nullptr) {
      (void)FreeBuffer(incoming.transaction.buffer);
    } else if (!place.thread->is_dead.load(std::memory_order_relaxed)) {
      loan.handler->handler->OnCall(
          *this, incoming,
          {.spawn_looper = driver::RequestLooper(*place.thread),
           .stops = *guest_of_->stops});
    }
  }

  template <class F>
  Errc Simple(F operation) {
    Call call(*this, {});
    if (const Errc error = call.Begin(); error != Errc::kOk) return error;
    return operation(call.thread());
  }

  // The same for an ioctl.
  template <class F>
  Errc Request(binderlite::Ioctl request, F operation) {
    return Answer(request, Simple(std::move(operation)));
  }
  Errc Answer(binderlite::Ioctl request, Errc error) const {
    return proc_->context->Answer(static_cast<std::uint32_t>(request), error,
                                  proc_->options.pid, task_->tid);
  }
  // The same for a command.
  template <class F>
  Errc Counted(Bc command, F operation) {
    return Simple([&](core::Thread<L>& self) {
      self.commands.Count(command);
      return operation(self);
    });
  }

  // Begins `call` and does what `outgoing` says.
  Errc Begin(Call& call, const Outgoing& outgoing) {
    const bool owes = outgoing.reply != nullptr || outgoing.free_buffer != 0;
    if (const Errc error = call.Begin(owes); error != Errc::kOk) return error;
    core::Thread<L>& self = call.thread();
    if (self.has_return_error()) return Errc::kBusy;
    // Before anything else, so that it is under way meanwhile.
    for (const TransactionData* const data : {outgoing.reply, outgoing.call}) {
      if (data != nullptr) call.FetchToSend(*data, data == outgoing.reply);
    }
    if (outgoing.free_buffer != 0) {
      self.commands.Count(Bc::BC_FREE_BUFFER);
      driver::FreeBuffer(self, outgoing.free_buffer, call.is_guest());
    }
    for (const TransactionData* const data : {outgoing.reply, outgoing.call}) {
      if (data == nullptr) continue;
      const bool is_reply = data == outgoing.reply;
      // What the objects in a reply bring about for their nodes is only read
      // together with something else; a call has its reply for that.
      const bool quiet =
          is_reply ? data->offsets_size == 0 : (data->flags & kTfOneWay) == 0;
      const Errc error = driver::SendIfReady<L>(
          call, {.data = *data, .quiet = quiet}, is_reply);
      // The reply has failed, which is the next thing to be read.
      if (error == Errc::kBusy) break;
      if (error != Errc::kOk) return error;
    }
    return Errc::kOk;
  }

  // What the last read has left.
  bool TakeUnread(Incoming& incoming) {
    if (next_unread_ >= unread_.size()) return false;
    incoming = unread_[next_unread_++];
    return true;
  }

  // Nothing is left of it.
  void ForgetUnread() {
    unread_.clear();
    next_unread_ = 0;
  }

  Errc ReadNext(Call& call, Incoming& incoming, TimePoint deadline) {
    ForgetUnread();
    driver::IncomingSink sink(incoming, unread_);
    core::Proc<L>& proc = *proc_;
    const Errc error = driver::ReadAndLook(
        call, sink, proc.nonblocking.load(std::memory_order_relaxed), deadline);
    if (error != Errc::kOk) return error;
    if (sink.empty()) incoming = Incoming();
    if (sink.spawn()) {
      Incoming spawn;
      spawn.command = Br::BR_SPAWN_LOOPER;
      if (incoming.command == Br::BR_NOOP) {
        incoming = spawn;
      } else {
        unread_.push_back(spawn);
      }
    }
    return Errc::kOk;
  }

  Errc SendReserved(Reservation<L>& reservation, TransactionData data,
                    bool is_reply) {
    driver::Reserved<L>& reserved = reservation.reserved_;
    if (!reservation || reserved.sender_id != proc_->id ||
        reserved.target.proc->context != proc_->context ||
        static_cast<bool>(reserved.target.node) == is_reply ||
        reserved.buffer->layout.offsets_size != data.offsets_size) {
      return Errc::kInvalid;
    }
    data.target.handle = reserved.handle;
    data.data_size = reserved.buffer->layout.data_size;
    if (!is_reply) {
      data.flags =
          reserved.one_way ? data.flags | kTfOneWay : data.flags & ~kTfOneWay;
    }
    return SendOne({.data = data, .reserved = &reserved}, is_reply);
  }
  Errc SendOne(const driver::SendRequest<L>& request, bool is_reply) {
    Call call(*this, {});
    if (const Errc error = call.Begin(); error != Errc::kOk) return error;
    call.FetchToSend(request.data, is_reply);
    return driver::SendIfReady(call, request, is_reply);
  }
  Errc CountUp(std::uint32_t handle, driver::Strength strength) {
    return Counted(
        strength == driver::Strength::kStrong ? Bc::BC_ACQUIRE : Bc::BC_INCREFS,
        [=](core::Thread<L>& self) {
          return driver::Acquire(self, handle, strength);
        });
  }
  Errc CountDown(std::uint32_t handle, driver::Strength strength) {
    return Counted(
        strength == driver::Strength::kStrong ? Bc::BC_RELEASE : Bc::BC_DECREFS,
        [=](core::Thread<L>& self) {
          driver::Release(self, handle, strength);
          return Errc::kOk;
        });
  }
  Errc Acknowledge(const PtrCookie& node, driver::Strength strength) {
    return Counted(strength == driver::Strength::kStrong ? Bc::BC_ACQUIRE_DONE
                                                         : Bc::BC_INCREFS_DONE,
                   [=](core::Thread<L>& self) {
                     driver::AcknowledgeNode(self, node, strength);
                     return Errc::kOk;
                   });
  }
  Errc Looper(Bc how) {
    if (guest_of_ != nullptr) return Errc::kInvalid;
    return Counted(how, [how](core::Thread<L>& self) {
      driver::BecomeLooper(self, how);
      return Errc::kOk;
    });
  }

  core::Proc<L>* proc_;
  core::Task<L>* task_;
  // Of both; empty where the record does as much, for as long as this is good.
  core::Pin<core::Proc<L>> proc_pin_;
  core::Pin<core::Task<L>> task_pin_;
  core::Pin<core::Thread<L>> record_;
  // Set if it is good for one call that is served on its caller's thread.
  core::Seat<L>* guest_of_ = nullptr;
  // Of NextWork: the rest of the last item.
  std::vector<Incoming> unread_;
  std::size_t next_unread_ = 0;
};

// With the default locking: fine-grained.
using Thread = BasicThread<>;

}  // namespace binderlite

#endif  // BINDERLITE_DRIVER_THREAD_H_
