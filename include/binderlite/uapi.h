// SPDX-License-Identifier: Apache-2.0
//
// binderlite as a replacement of the kernel's interface: the calls that a
// program makes on /dev/binder, in namespace binderlite::uapi, with the structs
// and request numbers of <linux/android/binder.h> and the results of system
// calls: -1 and errno on failure.
//
//   namespace sys = binderlite::uapi;
//   int fd = sys::open("/dev/binder", O_RDWR | O_CLOEXEC);
//   void* arena = sys::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
//   sys::ioctl(fd, BINDER_WRITE_READ, &args);
//   sys::close(fd);
//
// Descriptors are real: they can be duplicated, sent, and put into any poll,
// select or epoll set. The calls take any other descriptor as well, and then do
// what the system call of that name does, so that a program can use them
// throughout. Threads are told apart by OS thread. Addresses that cannot be
// accessed are EFAULT.
//
// BINDERLITE_UAPI_LOCKING, defined before the first inclusion and to the same
// LockingPolicy everywhere in the program, chooses the discipline.
//
// Any thread may make any call at any time, but not in a signal handler. How
// all this is done, and which locks it takes: uapi/facade.h. What is different
// from the kernel: docs/differences.md.

#ifndef BINDERLITE_UAPI_H_
#define BINDERLITE_UAPI_H_

#include <poll.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstddef>
#include <ctime>

#include "binderlite/driver/driver.h"
#include "binderlite/uapi/facade.h"

#ifndef BINDERLITE_UAPI_LOCKING
// The discipline of all devices, for programs that want another one. All
// translation units of a program must say the same.
#define BINDERLITE_UAPI_LOCKING ::binderlite::FineGrained<>
#endif

namespace binderlite::uapi_internal {

using UapiFacade = Facade<BINDERLITE_UAPI_LOCKING>;

}  // namespace binderlite::uapi_internal

namespace binderlite::uapi {

// Who opens.
using Credentials = uapi_internal::Identity;

// Opens the device `path`, a context of its own for each path, whatever it is.
// Of `flags`, O_NONBLOCK, O_CLOEXEC and the access mode count. As `who`: one
// more, simulated process.
inline int open(const char* path, int flags, const Credentials& who) {
  return uapi_internal::UapiFacade::Get().Open(path, flags, who);
}

// The same as this process.
inline int open(const char* path, int flags) {
  return open(path, flags, Credentials{::getpid(), ::geteuid()});
}

// BINDER_WRITE_READ and so on, as the calling thread.
// NOLINTNEXTLINE(google-runtime-int): as the system call has it.
inline int ioctl(int fd, unsigned long request, void* arg) {
  return uapi_internal::UapiFacade::Get().Ioctl(fd, request, arg);
}

// Maps the receive buffers, read-only. Once in the life of an open.
inline void* mmap(void* addr, std::size_t length, int prot, int flags, int fd,
                  off_t offset) {
  return uapi_internal::UapiFacade::Get().Mmap(addr, length, prot, flags, fd,
                                               offset);
}

// Unmaps; of what is not ours, as the system call.
inline int munmap(void* addr, std::size_t length) {
  return uapi_internal::UapiFacade::Get().Munmap(addr, length);
}

// Readiness of binder descriptors is that of the calling thread, which is not
// what other threads see.
inline int poll(struct pollfd* fds, nfds_t n, int timeout_ms) {
  timespec timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1'000'000L};
  return uapi_internal::UapiFacade::Get().Poll(
      fds, n, timeout_ms < 0 ? nullptr : &timeout, nullptr);
}

// Any close makes threads return that wait with the same open; the last one
// ends the open, when it is not mapped any more.
inline int close(int fd) { return uapi_internal::UapiFacade::Get().Close(fd); }

// What a signal without SA_RESTART does to the thread's blocking wait with this
// open: it fails with EINTR; if there is none, the next one does. To be used in
// place of signals, which do not end a wait here.
inline int interrupt(int fd, pid_t tid) {
  return uapi_internal::UapiFacade::Get().Interrupt(fd, tid);
}

}  // namespace binderlite::uapi

#endif  // BINDERLITE_UAPI_H_
