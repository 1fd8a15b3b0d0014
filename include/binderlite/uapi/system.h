// SPDX-License-Identifier: Apache-2.0
//
// The system calls that the facade itself makes, as calls of the kernel and not
// of the C library: where the facade stands in for the C library's functions
// (preload/), they must not come back to it. They return -1 and set errno.
//
// No locks, no state.

#ifndef BINDERLITE_UAPI_SYSTEM_H_
#define BINDERLITE_UAPI_SYSTEM_H_

#include <fcntl.h>
#include <poll.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): sigset_t
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>  // NOLINT(modernize-deprecated-headers): timespec
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace binderlite::uapi_internal {

// NOLINTBEGIN(google-runtime-int): the types of the system calls.

inline int SysClose(int fd) {
  return static_cast<int>(::syscall(SYS_close, fd));
}

inline int SysIoctl(int fd, unsigned long request, void* argument) {
  return static_cast<int>(::syscall(SYS_ioctl, fd, request, argument));
}

inline void* SysMmap(void* address, std::size_t length, int protection,
                     int flags, int fd, off_t offset) {
  return reinterpret_cast<void*>(
      ::syscall(SYS_mmap, address, length, protection, flags, fd, offset));
}

inline int SysMunmap(void* address, std::size_t length) {
  return static_cast<int>(::syscall(SYS_munmap, address, length));
}

inline int SysFcntl(int fd, int command, long argument = 0) {
  return static_cast<int>(::syscall(SYS_fcntl, fd, command, argument));
}

// ppoll; `timeout` is set to what is left of it. `mask` may be null.
inline int SysPoll(pollfd* fds, nfds_t count, timespec* timeout,
                   const sigset_t* mask) {
  constexpr std::size_t kMaskSize = 8;  // The kernel's, not the C library's.
  return static_cast<int>(
      ::syscall(SYS_ppoll, fds, count, timeout, mask, kMaskSize));
}

// What is ready now of one descriptor.
inline short SysReady(int fd, short events) {
  pollfd one = {fd, events, 0};
  timespec none = {0, 0};
  return SysPoll(&one, 1, &none, nullptr) > 0 ? one.revents : short{0};
}

inline ssize_t SysRead(int fd, void* to, std::size_t size) {
  return ::syscall(SYS_read, fd, to, size);
}

inline ssize_t SysWrite(int fd, const void* from, std::size_t size) {
  return ::syscall(SYS_write, fd, from, size);
}

// Fails, errno set, with no side effect but that.
[[nodiscard]] inline int Fail(int error) {
  errno = error;
  return -1;
}

// Moves a descriptor that the program does not know of to a high number, so
// that those that it gets are the ones that it would get from the kernel.
// Returns the new number; the old one if there is no place.
[[nodiscard]] inline int Hide(int fd) {
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return fd;
  // The table of open files grows with the highest number in use.
  const auto from = std::min<rlim_t>(limit.rlim_cur / 2, 16384);
  const int hidden = SysFcntl(fd, F_DUPFD_CLOEXEC, static_cast<long>(from));
  if (hidden < 0) return fd;
  SysClose(fd);
  return hidden;
}

// Which open file a descriptor stands for, whatever duplicates there are.
struct FileId {
  dev_t device = 0;
  ino_t inode = 0;

  friend bool operator==(const FileId&, const FileId&) = default;
  // NOLINTNEXTLINE(modernize-use-nullptr)
  friend auto operator<=>(const FileId&, const FileId&) = default;
};

// False: not a pipe, or not open; what the facade hands out are pipes.
[[nodiscard]] inline bool PipeIdOf(int fd, FileId& id) {
  struct stat status = {};
  const int saved = errno;
  if (::fstat(fd, &status) != 0) {
    errno = saved;
    return false;
  }
  id = {status.st_dev, status.st_ino};
  return S_ISFIFO(status.st_mode);
}

// NOLINTEND(google-runtime-int)

}  // namespace binderlite::uapi_internal

#endif  // BINDERLITE_UAPI_SYSTEM_H_
