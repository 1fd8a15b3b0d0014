// SPDX-License-Identifier: Apache-2.0
//
// ReadyPipe: the real descriptor behind one open of the facade. The program
// holds the read end of a pipe, and all duplicates that it makes of it; the
// facade holds the write end. That gives, for the price of a pipe:
//
//   an inode of its own   which open a descriptor stands for (FileId)
//   bytes in the pipe     readable: in poll, select and epoll sets of any kind
//   POLLERR on our end    the last duplicate is gone, however it went
//   never POLLOUT         as with the kernel's device
//
// Bytes mean nothing but readiness. While there is something to read, each
// event adds one, for edge-triggered waiters; when there is nothing any more
// all of them are taken out, through the descriptor of whoever found that out.
//
// `mu` guards the count of bytes, and is held while they are written or taken
// (calls that do not block). It is taken with the entry section held or with no
// lock at all; queues are looked at under it.

#ifndef BINDERLITE_UAPI_READY_PIPE_H_
#define BINDERLITE_UAPI_READY_PIPE_H_

#include <fcntl.h>
#include <poll.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): sigset_t
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <ctime>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "binderlite/sync/abseil_primitives.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/uapi/system.h"

namespace binderlite::uapi_internal {

class ReadyPipe {
 public:
  // What fits for sure in the smallest pipe.
  static constexpr int kMostBytes = 1024;

  ReadyPipe() = default;
  ReadyPipe(const ReadyPipe&) = delete;
  ReadyPipe& operator=(const ReadyPipe&) = delete;
  ~ReadyPipe() { Close(); }

  // Makes the pipe, as open(2) makes a descriptor: of `flags`, O_NONBLOCK and
  // O_CLOEXEC count. The program's end, or -1 and errno.
  [[nodiscard]] int Open(int flags, FileId& id) {
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) != 0) return -1;
    const int reader = ends[0];
    const int writer = Hide(ends[1]);
    SysFcntl(writer, F_SETFL, O_NONBLOCK);
    // A page will do; it is only readiness.
    SysFcntl(writer, F_SETPIPE_SZ, 4096);
    if ((flags & O_NONBLOCK) != 0) SysFcntl(reader, F_SETFL, O_NONBLOCK);
    if ((flags & O_CLOEXEC) == 0) SysFcntl(reader, F_SETFD, 0);
    (void)PipeIdOf(reader, id);
    sync::MutexLock lock(mu);
    writer_ = writer;
    return reader;
  }

  // The end of the open.
  void Close() {
    sync::MutexLock lock(mu);
    if (writer_ >= 0) SysClose(std::exchange(writer_, -1));
  }

  // Whether any duplicate of the program's end is left.
  [[nodiscard]] bool HasReaders() {
    sync::MutexLock lock(mu);
    return writer_ >= 0 && (SysReady(writer_, POLLOUT) & POLLERR) == 0;
  }

  // Something has become readable: an edge, and from now on readable.
  void Raise() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    if (writer_ >= 0 && bytes_ < kMostBytes && WriteByte()) ++bytes_;
  }

  // Nothing is readable any more. `fd` is a duplicate of the program's end.
  void Lower(int fd) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    std::array<char, kMostBytes> sink;
    while (bytes_ > 0) {
      // Whoever reads from the device himself may have taken bytes, and the
      // descriptor may be a blocking one.
      if ((SysReady(fd, POLLIN) & POLLIN) == 0) bytes_ = 0;
      if (bytes_ == 0) return;
      const ssize_t got =
          SysRead(fd, sink.data(), static_cast<std::size_t>(bytes_));
      bytes_ = got <= 0 ? 0 : bytes_ - static_cast<int>(got);
    }
  }

  [[nodiscard]] bool raised() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    return bytes_ > 0;
  }

  sync::AbseilMutex mu;

 private:
  // Readers may all be gone, which is no reason for a signal.
  bool WriteByte() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    sigset_t pipe_signal;
    sigset_t before;
    ::sigemptyset(&pipe_signal);
    ::sigaddset(&pipe_signal, SIGPIPE);
    if (::pthread_sigmask(SIG_BLOCK, &pipe_signal, &before) != 0) return false;
    sigset_t pending;
    ::sigemptyset(&pending);
    if (::sigismember(&before, SIGPIPE) == 1) ::sigpending(&pending);
    constexpr char kByte = 0;
    const bool written = SysWrite(writer_, &kByte, 1) == 1;
    if (!written && errno == EPIPE && ::sigismember(&pending, SIGPIPE) == 0) {
      constexpr timespec kNoTime = {0, 0};
      (void)::sigtimedwait(&pipe_signal, nullptr, &kNoTime);
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return written;
  }

  int writer_ ABSL_GUARDED_BY(mu) = -1;
  int bytes_ ABSL_GUARDED_BY(mu) = 0;
};

}  // namespace binderlite::uapi_internal

#endif  // BINDERLITE_UAPI_READY_PIPE_H_
