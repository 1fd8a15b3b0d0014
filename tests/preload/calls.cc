// SPDX-License-Identifier: Apache-2.0
//
// The system calls around a binder descriptor, each way a program may make
// them. Written for the kernel, like program.cc: see there.

#include <errno.h>
#include <fcntl.h>
#include <linux/android/binder.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

#include <thread>

namespace {

// Errors by name; what a call returned is written otherwise.
const char* Name(int error) {
  switch (error) {
    case 0:
      return "OK";
    case EACCES:
      return "EACCES";
    case EAGAIN:
      return "EAGAIN";
    case EBADF:
      return "EBADF";
    case EBUSY:
      return "EBUSY";
    case EEXIST:
      return "EEXIST";
    case EFAULT:
      return "EFAULT";
    case EINVAL:
      return "EINVAL";
    case ENOENT:
      return "ENOENT";
    case ENOTDIR:
      return "ENOTDIR";
    case EPERM:
      return "EPERM";
    default:
      return strerror(error);
  }
}

void Show(const char* what, long result) {
  if (result < 0) {
    printf("%s: %s\n", what, Name(errno));
  } else {
    printf("%s: %ld\n", what, result);
  }
}
// Descriptor numbers and addresses are nobody's business.
void Works(const char* what, bool result) {
  printf("%s: %s\n", what, result ? "ok" : Name(errno));
}

int Open(int flags = O_RDWR | O_CLOEXEC) { return open("/dev/binder", flags); }

void Version(const char* what, int fd) {
  binder_version version = {};
  const int result = ioctl(fd, BINDER_VERSION, &version);
  Show(what, result < 0 ? result : version.protocol_version);
}

// Reads without waiting; the number of bytes.
long Read(int fd) {
  char buffer[256];
  binder_write_read args = {};
  args.read_size = sizeof(buffer);
  args.read_buffer = reinterpret_cast<uintptr_t>(buffer);
  if (ioctl(fd, BINDER_WRITE_READ, &args) != 0) return -1;
  return static_cast<long>(args.read_consumed);
}

// Becomes context manager, which may have to wait for the last one's end.
void BecomeManager(int fd) {
  while (ioctl(fd, BINDER_SET_CONTEXT_MGR, 0) != 0 && errno == EBUSY) {
    poll(nullptr, 0, 1);
  }
}

long TryManager(int fd) { return ioctl(fd, BINDER_SET_CONTEXT_MGR, 0); }

void Opening() {
  int fd = Open(O_RDONLY);
  Version("open read-only", fd);
  printf("flags %o, descriptor %d\n", fcntl(fd, F_GETFL) & ~O_RDONLY,
         fcntl(fd, F_GETFD));
  close(fd);
  fd = Open(O_RDWR | O_NONBLOCK | O_CLOEXEC);
  printf("flags %o, descriptor %d\n", fcntl(fd, F_GETFL), fcntl(fd, F_GETFD));
  close(fd);
  Show("exclusive", open("/dev/binder", O_RDWR | O_CREAT | O_EXCL, 0600));
  Show("as a directory", Open(O_RDONLY | O_DIRECTORY));
  Show("no such device", open("/dev/binder-that-is-not", O_RDWR));
  const int directory = open("/dev", O_RDONLY | O_DIRECTORY);
  fd = openat(directory, "binder", O_RDWR);
  Version("openat", fd);
  close(fd);
  fd = openat(-1, "/dev/../dev//./binder", O_RDWR);
  Version("by another name", fd);
  close(fd);
  close(directory);
  fd = open("/dev/hwbinder", O_RDWR);
  Version("hwbinder", fd);
  close(fd);
  fd = open("/dev/vndbinder", O_RDWR);
  Version("vndbinder", fd);
  close(fd);
}

void Duplicating() {
  const int fd = Open();
  BecomeManager(fd);
  const int other = Open();
  int copy = dup(fd);
  Version("dup", copy);
  Show("close it", close(copy));
  Show("the flush", Read(fd));
  copy = fcntl(fd, F_DUPFD_CLOEXEC, 100);
  printf("copied to 100 or more: %s\n", copy >= 100 ? "yes" : "no");
  Version("F_DUPFD_CLOEXEC", copy);
  close(copy);
  Works("dup2", dup2(fd, 90) == 90);
  Version("dup2", 90);
  Works("dup2 to itself", dup2(90, 90) == 90);
  Works("dup3", dup3(fd, 91, O_CLOEXEC) == 91);
  Version("dup3", 91);
  Show("dup3 to itself", dup3(91, 91, 0));
  // The others are replaced; then the open is over.
  dup2(other, 90);
  dup2(other, 91);
  Show("still manager", TryManager(other));
  Works("replaced", dup2(other, fd) == fd);
  BecomeManager(other);
  Show("manager", TryManager(fd));
  close_range(90, 91, 0);
  Version("close_range", 90);
  Version("close_range", 91);
  close(fd);
  close(other);
  Version("closed", other);
  Show("closed twice", close(other));
}

void Mapping() {
  const int fd = Open();
  const int other = Open();
  BecomeManager(fd);
  Works("writable", mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                         0) != MAP_FAILED);
  Works("empty", mmap(nullptr, 0, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED);
  void* const map = mmap(nullptr, 8192, PROT_READ, MAP_SHARED, fd, 4096);
  Works("mapped", map != MAP_FAILED);
  Works("again",
        mmap(nullptr, 8192, PROT_READ, MAP_PRIVATE, fd, 0) != MAP_FAILED);
  Show("mprotect", mprotect(map, 8192, PROT_READ | PROT_WRITE));
  close(fd);
  Show("closed and mapped", TryManager(other));
  Show("munmap", munmap(map, 8192));
  BecomeManager(other);
  Show("manager", TryManager(other));
  Show("munmap of nothing", munmap(map, 8192));
  close(other);
  const int write_only = Open(O_WRONLY);
  Works("write-only", mmap(nullptr, 8192, PROT_READ, MAP_SHARED, write_only,
                           0) != MAP_FAILED);
  close(write_only);
}

int Poll(int fd, short events) {
  pollfd p = {fd, events, 0};
  return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

void Polling() {
  const int fd = Open(O_RDWR | O_NONBLOCK);
  int ends[2] = {-1, -1};
  if (pipe(ends) != 0) return;
  printf("first contact: %x\n", Poll(fd, POLLIN));
  printf("only what was asked for: %x %x %x\n", Poll(fd, POLLOUT),
         Poll(fd, POLLRDNORM), Poll(fd, POLLIN | POLLOUT | POLLPRI));
  Show("read", Read(fd));
  Show("read", Read(fd));
  printf("nothing: %x\n", Poll(fd, POLLIN));
  std::thread([fd] { printf("a new thread: %x\n", Poll(fd, POLLIN)); }).join();

  pollfd both[] = {{fd, POLLIN, 0}, {ends[1], POLLOUT, 0}, {-1, POLLIN, 0}};
  const timespec second = {1, 0};
  printf("ppoll: %d", ppoll(both, 3, &second, nullptr));
  printf(" %x %x %x\n", both[0].revents, both[1].revents, both[2].revents);

  fd_set readable;
  fd_set writable;
  FD_ZERO(&readable);
  FD_ZERO(&writable);
  for (const int one : {fd, ends[0], ends[1]}) {
    FD_SET(one, &readable);
    FD_SET(one, &writable);
  }
  timeval time = {1, 0};
  printf("select: %d", select(100, &readable, &writable, nullptr, &time));
  printf(" %d%d%d %d%d%d\n", FD_ISSET(fd, &readable),
         FD_ISSET(ends[0], &readable), FD_ISSET(ends[1], &readable),
         FD_ISSET(fd, &writable), FD_ISSET(ends[0], &writable),
         FD_ISSET(ends[1], &writable));
  // Back to a new record.
  ioctl(fd, BINDER_THREAD_EXIT, 0);
  FD_ZERO(&readable);
  FD_SET(fd, &readable);
  printf("pselect: %d",
         pselect(100, &readable, nullptr, nullptr, nullptr, nullptr));
  printf(" %d\n", FD_ISSET(fd, &readable));
  Show("read", Read(fd));
  fcntl(fd, F_SETFL, 0);
  printf("blocking: %o\n", fcntl(fd, F_GETFL) & O_NONBLOCK);
  fcntl(fd, F_SETFL, O_NONBLOCK);
  Show("read", Read(fd));
  close(fd);
  printf("closed: %x\n", Poll(fd, POLLIN));
  close(ends[0]);
  close(ends[1]);
}

void Epoll() {
  const int fd = Open(O_RDWR | O_NONBLOCK);
  const int set = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event = {};
  event.events = EPOLLIN | EPOLLOUT;
  event.data.u64 = 77;
  Show("add", epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
  Show("add again", epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
  Show("add nothing", epoll_ctl(set, EPOLL_CTL_MOD, fd, nullptr));
  event = {};
  Show("first contact", epoll_wait(set, &event, 1, -1));
  printf("%x %d\n", event.events, static_cast<int>(event.data.u64));
  Show("read", Read(fd));
  Show("nothing", epoll_wait(set, &event, 1, 0));

  // Once.
  event.events = EPOLLIN | EPOLLONESHOT;
  event.data.u64 = 78;
  ioctl(fd, BINDER_THREAD_EXIT, 0);
  Show("change", epoll_ctl(set, EPOLL_CTL_MOD, fd, &event));
  event = {};
  Show("once", epoll_pwait(set, &event, 1, 1000, nullptr));
  printf("%x %d\n", event.events, static_cast<int>(event.data.u64));
  Show("not twice", epoll_wait(set, &event, 1, 0));

  // A thread that has nothing to read sees nothing of the others.
  event.events = EPOLLIN;
  event.data.u64 = 79;
  Read(fd);
  ioctl(fd, BINDER_THREAD_EXIT, 0);
  Show("change", epoll_ctl(set, EPOLL_CTL_MOD, fd, &event));
  std::thread([fd, set] {
    Show("another thread: read", Read(fd));
    epoll_event nothing = {};
    Show("another thread: wait", epoll_wait(set, &nothing, 1, 0));
  }).join();
  Show("remove", epoll_ctl(set, EPOLL_CTL_DEL, fd, nullptr));
  Show("nothing", epoll_wait(set, &event, 1, 0));
  Show("remove again", epoll_ctl(set, EPOLL_CTL_DEL, fd, nullptr));
  Show("add", epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
  close(fd);
  Show("closed", epoll_wait(set, &event, 1, 0));
  close(set);
}

}  // namespace

int main() {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  Opening();
  Duplicating();
  Mapping();
  Polling();
  Epoll();
  printf("done\n");
  return 0;
}
