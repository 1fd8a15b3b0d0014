// SPDX-License-Identifier: Apache-2.0
//
// What the harness needs from a binder device, implemented twice: by
// device_kernel.cc for /dev/binder of a real kernel, where a simulated process
// is a forked child, and by device_facade.cc for binderlite/uapi.h, where it is
// a few threads of this process that open the device under an identity of their
// own. Everything else in this directory is the same code in both builds.

#ifndef BINDERLITE_TESTS_CONFORMANCE_DEVICE_H_
#define BINDERLITE_TESTS_CONFORMANCE_DEVICE_H_

#include <poll.h>
#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

namespace binderlite::conformance::device {

// Who a simulated process is.
struct Identity {
  pid_t pid = 0;  // the kernel build fills in that of the child
  uid_t euid = 0;
};

// "kernel", or "facade" with the locking discipline.
std::string Name();

// Called once, before the first process starts.
void SetUp();

// The system calls, called by the threads of a simulated process.
int Open(const char* path, int flags, const Identity& who);
int Ioctl(int fd, unsigned long request, void* arg);
// The same, but an interrupt has arrived before the call can go to sleep.
int IoctlInterrupted(int fd, unsigned long request, void* arg);
void* Mmap(std::size_t size, int prot, int flags, int fd);
int Munmap(void* address, std::size_t size);
int Poll(struct pollfd* fds, nfds_t count, int timeout_ms);
int Close(int fd);
// Another descriptor of what is `fd` in that process, as if inherited.
int Borrow(pid_t pid, int fd);

// A simulated process. `main` runs as its first thread and returns when its
// socket is closed.
class Process {
 public:
  virtual ~Process() = default;
  virtual pid_t pid() const = 0;
  // Ends it, wherever its threads are; its opens are closed.
  virtual void End() = 0;
};
std::unique_ptr<Process> Start(const Identity& who,
                               std::function<void(const Identity&)> main);

// Makes the blocking wait of that thread fail with EINTR.
void Interrupt(pid_t pid, pid_t tid, int fd);

// Whether ending a process needs its threads to leave the driver and its opens
// to be closed beforehand.
bool NeedsOrderlyEnd();

// Whether nothing that the driver does in the background, like the release of
// what has been closed, is going on or about to.
bool BackgroundIdle();

// Whether the driver knows of no open any more.
bool NothingOpen();

// Whether processes of root may have any nice value. The traces say what
// becomes of calls then.
bool CanSetNice();

// What the driver has to say about its state, for when something is wrong.
std::string State();

}  // namespace binderlite::conformance::device

#endif  // BINDERLITE_TESTS_CONFORMANCE_DEVICE_H_
