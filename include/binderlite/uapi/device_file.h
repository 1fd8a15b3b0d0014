// SPDX-License-Identifier: Apache-2.0
//
// DeviceFile: one open of a device through the facade: the Proc, the descriptor
// that stands for it, and the threads that have used it, by OS thread.
//
// Locks: `threads_mu_` guards the table of threads and is held while it is
// searched; the pipe's mutex is described in uapi/ready_pipe.h.
// Kernel: struct file and its binder_proc.

#ifndef BINDERLITE_UAPI_DEVICE_FILE_H_
#define BINDERLITE_UAPI_DEVICE_FILE_H_

#include <fcntl.h>
#include <sys/types.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "binderlite/core/readiness.h"
#include "binderlite/driver/driver.h"
#include "binderlite/sync/abseil_primitives.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/uapi/ready_pipe.h"
#include "binderlite/uapi/system.h"
#include "binderlite/wire/commands.h"
#include "binderlite/wire/errc.h"

namespace binderlite::uapi_internal {

// Shows readiness: in the pipe, for whoever waits for the real descriptor, and
// to the threads that are in the facade's own poll.
class Readiness : public ReadinessListener {
 public:
  ReadyPipe pipe;

  void OnReady() override {
    sync::MutexLock lock(pipe.mu);
    Raise();
  }

  // Shows what the pollers could read, after a call made through `fd`.
  void Show(const driver::Pollers& pollers, int fd, const FileId& id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(pipe.mu) {
    if (pollers.readable) {
      if (pollers.news || !pipe.raised()) Raise();
    } else if (pipe.raised()) {
      // The number may by now stand for something else.
      FileId now;
      if (PipeIdOf(fd, now) && now == id) pipe.Lower(fd);
    }
  }

  // `event`, an eventfd, is written to whenever something becomes ready.
  void AddWaiter(int event) {
    sync::MutexLock lock(pipe.mu);
    waiters_.push_back(event);
  }
  void RemoveWaiter(int event) {
    sync::MutexLock lock(pipe.mu);
    waiters_.erase(std::find(waiters_.begin(), waiters_.end(), event));
  }

 private:
  void Raise() ABSL_EXCLUSIVE_LOCKS_REQUIRED(pipe.mu) {
    pipe.Raise();
    for (const int waiter : waiters_) {
      constexpr std::uint64_t kOne = 1;
      (void)SysWrite(waiter, &kOne, sizeof(kOne));
    }
  }

  std::vector<int> waiters_ ABSL_GUARDED_BY(pipe.mu);
};

template <LockingPolicy L>
class DeviceFile {
 public:
  DeviceFile(BasicProc<L> proc, std::shared_ptr<Readiness> readiness, FileId id,
             int flags)
      : id_(id),
        flags_(flags),
        readiness_(std::move(readiness)),
        proc_(std::move(proc)) {}

  [[nodiscard]] const FileId& id() const { return id_; }
  // As it was opened.
  [[nodiscard]] int flags() const { return flags_; }
  [[nodiscard]] BasicProc<L>& proc() { return proc_; }
  [[nodiscard]] Readiness& readiness() { return *readiness_; }

  // The ioctl of the OS thread `tid`, which is the caller, through `fd`.
  Errc Ioctl(int fd, pid_t tid, std::uint32_t request, std::uint64_t argument) {
    User& user = UserOf(tid);
    const int flags = SysFcntl(fd, F_GETFL);
    if (flags >= 0) proc_.SetNonblocking((flags & O_NONBLOCK) != 0);
    Reattach(user);
    const Errc error = user.thread.Ioctl(request, argument);
    if (request == kThreadExit && error == Errc::kOk && user.polls) {
      // Whoever waits for the descriptor as this thread is told, and would, as
      // a new thread, find it readable (PL-07).
      user.polls = false;
      user.detached = true;
      detached_.fetch_add(1);
    }
    Settle(fd);
    return error;
  }

  // Whether that thread, the caller, could read now. False and POLLERR are the
  // same to the kernel's poll: the record cannot be made.
  Errc Poll(int fd, pid_t tid, bool& readable) {
    User& user = UserOf(tid);
    Reattach(user);
    user.polls = true;
    const Errc error = user.thread.Poll(readable);
    Settle(fd);
    return error;
  }

  void Interrupt(pid_t tid) { UserOf(tid).thread.Interrupt(); }

  // The OS thread is no more.
  void ForgetThread(pid_t tid) {
    sync::MutexLock lock(threads_mu_);
    const auto it = users_.find(tid);
    if (it == users_.end()) return;
    it->second->thread.SetEnded();
    Reattach(*it->second);
  }

 private:
  static constexpr auto kThreadExit =
      static_cast<std::uint32_t>(binderlite::Ioctl::kThreadExit);

  // What is known of one OS thread; used by itself only, but for Interrupt.
  struct User {
    explicit User(BasicThread<L> access) : thread(std::move(access)) {}

    BasicThread<L> thread;
    bool polls = false;     // It has polled, as its present record.
    bool detached = false;  // It has polled before its last THREAD_EXIT.
  };

  User& UserOf(pid_t tid) {
    sync::MutexLock lock(threads_mu_);
    std::unique_ptr<User>& user = users_[tid];
    if (user == nullptr) user = std::make_unique<User>(proc_.Attach(tid));
    return *user;
  }

  void Reattach(User& user) {
    if (std::exchange(user.detached, false)) detached_.fetch_sub(1);
  }

  // Has the descriptor show what there is to read, now that a call is over.
  void Settle(int fd) {
    proc_.ShowReadiness([this, fd](const auto& survey) {
      sync::MutexLock lock(readiness_->pipe.mu);
      driver::Pollers pollers = survey();
      pollers.readable = pollers.readable || detached_.load() > 0;
      readiness_->Show(pollers, fd, id_);
    });
  }

  const FileId id_;
  const int flags_;
  const std::shared_ptr<Readiness> readiness_;
  BasicProc<L> proc_;
  std::atomic<int> detached_{0};  // Users that are.
  sync::AbseilMutex threads_mu_;
  std::unordered_map<pid_t, std::unique_ptr<User>> users_
      ABSL_GUARDED_BY(threads_mu_);
};

}  // namespace binderlite::uapi_internal

#endif  // BINDERLITE_UAPI_DEVICE_FILE_H_
