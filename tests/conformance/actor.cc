// SPDX-License-Identifier: Apache-2.0
//
// The actor's side of rpc.h.

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <utility>

#include "device.h"
#include "rpc.h"

namespace binderlite::conformance {
namespace {

constexpr std::size_t kPage = 4096;

// Memory of an actor: images end where an unmapped page begins, behind which is
// a page that cannot be written.
class Scratch {
 public:
  Scratch() {
    void* memory = mmap(nullptr, kSize, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    base_ = static_cast<std::byte*>(memory);
    mprotect(unreadable(), kPage, PROT_NONE);
    mprotect(read_only(), kPage, PROT_READ);
  }
  ~Scratch() { munmap(base_, kSize); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  std::byte* unreadable() { return base_ + kMaxImage; }
  std::byte* read_only() { return base_ + kMaxImage + kPage; }

  // Any thread may do this, while the owner is in a call.
  int HideLastPage() {
    hidden_ = true;
    return mprotect(unreadable() - kPage, kPage, PROT_NONE);
  }
  void Show() {
    if (!hidden_.exchange(false)) return;
    mprotect(unreadable() - kPage, kPage, PROT_READ | PROT_WRITE);
  }

  std::byte* Place(const std::byte* image, const Request& request,
                   const Relocation* relocations) {
    std::byte* at = unreadable() - request.image_size;
    std::memcpy(at, image, request.image_size);
    for (std::uint32_t i = 0; i < request.relocations; ++i) {
      std::uint64_t word = 0;
      std::memcpy(&word, at + relocations[i].offset, sizeof(word));
      word += reinterpret_cast<std::uint64_t>(
          relocations[i].base == Base::kImage ? at : unreadable());
      std::memcpy(at + relocations[i].offset, &word, sizeof(word));
    }
    return at;
  }
  // The image once more, where it cannot be written.
  std::byte* PlaceReadOnly(const std::byte* placed, std::size_t size) {
    mprotect(read_only(), kPage, PROT_READ | PROT_WRITE);
    std::memcpy(read_only(), placed, size < kPage ? size : kPage);
    mprotect(read_only(), kPage, PROT_READ);
    return read_only();
  }

 private:
  static constexpr std::size_t kSize = kMaxImage + 2 * kPage;
  std::byte* base_;
  std::atomic<bool> hidden_ = false;
};

// The memory of a process's actors.
using Scratches = std::array<std::atomic<Scratch*>, 16>;

// Limits how many more descriptors fit into the process's table.
class FdRoom {
 public:
  explicit FdRoom(int room) : room_(room) {
    if (room_ < 0) return;
    getrlimit(RLIMIT_NOFILE, &before_);
    // The lowest free numbers.
    std::vector<int> taken;
    while (static_cast<int>(taken.size()) <= room_) taken.push_back(dup(0));
    const struct rlimit limit = {static_cast<rlim_t>(taken.back()),
                                 before_.rlim_max};
    for (int fd : taken) close(fd);
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  ~FdRoom() {
    if (room_ >= 0) setrlimit(RLIMIT_NOFILE, &before_);
  }
  FdRoom(const FdRoom&) = delete;
  FdRoom& operator=(const FdRoom&) = delete;

 private:
  const int room_;
  struct rlimit before_ = {};
};

class Actor {
 public:
  Actor(const device::Identity& who, int socket, Scratches& all,
        std::uint32_t number)
      : who_(who), socket_(socket), all_(all), number_(number) {
    all_.at(number) = &scratch_;
    if (pipe2(pipe_, O_CLOEXEC) != 0) std::abort();
  }
  ~Actor() {
    all_.at(number_) = nullptr;
    close(pipe_[0]);
    close(pipe_[1]);
    if (epoll_ >= 0) close(epoll_);
  }
  Actor(const Actor&) = delete;
  Actor& operator=(const Actor&) = delete;

  void Run() {
    const Hello hello = {getpid(), static_cast<pid_t>(syscall(SYS_gettid))};
    send(socket_, &hello, sizeof(hello), MSG_NOSIGNAL);
    std::vector<std::byte> message(kMaxMessage);
    for (;;) {
      const ssize_t n = recv(socket_, message.data(), message.size(), 0);
      if (n < 0 && errno == EINTR) continue;
      if (n < static_cast<ssize_t>(sizeof(Request))) return;
      Request request;
      std::memcpy(&request, message.data(), sizeof(request));
      const std::byte* image = message.data() + sizeof(request);
      std::vector<Relocation> relocations(request.relocations);
      if (!relocations.empty()) {
        std::memcpy(relocations.data(), image + request.image_size,
                    relocations.size() * sizeof(Relocation));
      }
      std::byte* placed = scratch_.Place(image, request, relocations.data());
      Response response;
      out_.clear();
      const std::vector<std::byte> sent(placed + request.back,
                                        placed + request.image_size);
      {
        const FdRoom room(request.fd_room);
        errno = 0;
        response.ret = Execute(request, placed, response);
        if (response.ret == -1) response.error = errno;
      }
      scratch_.Show();
      response.touched =
          request.back > 0 && !sent.empty() &&
          std::memcmp(placed + request.back, sent.data(), sent.size()) != 0;
      out_.insert(out_.end(), placed, placed + request.back);
      response.size = static_cast<std::uint32_t>(out_.size());
      std::vector<std::byte> answer(sizeof(response) + out_.size());
      std::memcpy(answer.data(), &response, sizeof(response));
      if (!out_.empty()) {
        std::memcpy(answer.data() + sizeof(response), out_.data(), out_.size());
      }
      while (send(socket_, answer.data(), answer.size(), MSG_NOSIGNAL) < 0 &&
             errno == EINTR) {
      }
      if (request.call == Call::kEndThread) return;
    }
  }

 private:
  std::int64_t Execute(const Request& r, std::byte* placed, Response& out) {
    switch (r.call) {
      case Call::kOpen:
        out.value = 0;
        return device::Open(reinterpret_cast<const char*>(placed),
                            static_cast<int>(r.a), who_);
      case Call::kClose: {
        const int ret = device::Close(r.fd);
        if (r.a != 0) device::Munmap(reinterpret_cast<void*>(r.a), r.b);
        return ret;
      }
      case Call::kFlush: {
        const int copy = dup(r.fd);
        return copy < 0 ? -1 : device::Close(copy);
      }
      case Call::kIoctl:
        return device::Ioctl(r.fd, r.a, Argument(r, placed));
      case Call::kMmap: {
        void* address = device::Mmap(r.a, static_cast<int>(r.b),
                                     static_cast<int>(r.c), r.fd);
        out.value = reinterpret_cast<std::uint64_t>(address);
        return address == MAP_FAILED ? -1 : 0;
      }
      case Call::kMunmap:
        return device::Munmap(reinterpret_cast<void*>(r.a), r.b);
      case Call::kProtect:
        return mprotect(reinterpret_cast<void*>(r.a), r.b,
                        static_cast<int>(r.c));
      case Call::kPoll: {
        struct pollfd poll = {.fd = r.fd, .events = POLLIN, .revents = 0};
        const int ret = device::Poll(&poll, 1, static_cast<int>(r.a));
        out.value = static_cast<std::uint64_t>(poll.revents);
        return ret;
      }
      case Call::kSetFlags:
        return fcntl(r.fd, F_SETFL, static_cast<int>(r.a));
      case Call::kRead:
        return read(r.fd, &byte_, 1);
      case Call::kWrite:
        return write(r.fd, &byte_, 1);
      case Call::kMakeFile:
        out.value = static_cast<std::uint64_t>(memfd_create("file", 0));
        return Identify(static_cast<int>(out.value), out.number);
      case Call::kFdInfo:
        out.value = (fcntl(r.fd, F_GETFD) & FD_CLOEXEC) != 0 ? 1 : 0;
        return Identify(r.fd, out.number);
      case Call::kDup:
        out.value = static_cast<std::uint64_t>(dup(r.fd));
        return static_cast<int>(out.value) < 0 ? -1 : 0;
      case Call::kPlainClose:
        return close(r.fd);
      case Call::kPeek:
        return Peek(r.a, r.b);
      case Call::kNice:
        if (r.a == 1 &&
            setpriority(PRIO_PROCESS, Tid(), static_cast<int>(r.b)) != 0) {
          return -1;
        }
        out.value =
            static_cast<std::uint64_t>(getpriority(PRIO_PROCESS, Tid()));
        return 0;
      case Call::kIoctlInterrupted:
        return device::IoctlInterrupted(r.fd, r.a, Argument(r, placed));
      case Call::kBorrow:
        return device::Borrow(static_cast<pid_t>(r.a), r.fd);
      case Call::kSetEuid:
        // Of this thread only. Who is not root keeps it: a device that knows
        // who has opened does not ask.
        syscall(SYS_setresuid, -1, static_cast<uid_t>(r.a), -1);
        return 0;
      case Call::kHide: {
        Scratch* other = all_.at(r.a);
        return other == nullptr ? -1 : other->HideLastPage();
      }
      case Call::kEpollAdd: {
        if (epoll_ < 0) epoll_ = epoll_create1(EPOLL_CLOEXEC);
        struct epoll_event event = {.events = static_cast<std::uint32_t>(r.a),
                                    .data = {}};
        return epoll_ctl(epoll_, EPOLL_CTL_ADD, r.fd, &event);
      }
      case Call::kEpollWait: {
        struct epoll_event event = {};
        const int ret = epoll_wait(epoll_, &event, 1, static_cast<int>(r.a));
        out.value = event.events;
        return ret;
      }
      case Call::kEpollEnd:
        return close(std::exchange(epoll_, -1));
      case Call::kEndThread:
        return 0;
    }
    return 0;
  }

  static id_t Tid() { return static_cast<id_t>(syscall(SYS_gettid)); }

  static int Identify(int fd, std::uint64_t& inode) {
    struct stat info;
    if (fstat(fd, &info) != 0) return -1;
    inode = info.st_ino;
    return 0;
  }

  void* Argument(const Request& r, std::byte* placed) {
    switch (static_cast<ArgAt>(r.b)) {
      case ArgAt::kImage:
        return placed + r.c;
      case ArgAt::kValue:
        return reinterpret_cast<void*>(r.c);
      case ArgAt::kUnreadable:
        return scratch_.unreadable();
      case ArgAt::kReadOnly:
        return scratch_.PlaceReadOnly(placed, r.image_size);
    }
    return nullptr;
  }

  // The kernel copies through a pipe, so that memory that is not there gives an
  // error and no signal.
  int Peek(std::uint64_t address, std::uint64_t size) {
    if (size > kMaxImage) size = kMaxImage;
    while (size > 0) {
      const std::size_t chunk = size < kPage ? size : kPage;
      const ssize_t n =
          write(pipe_[1], reinterpret_cast<const void*>(address), chunk);
      if (n <= 0) return -1;
      const std::size_t at = out_.size();
      out_.resize(at + static_cast<std::size_t>(n));
      if (read(pipe_[0], out_.data() + at, static_cast<std::size_t>(n)) != n) {
        return -1;
      }
      address += static_cast<std::uint64_t>(n);
      size -= static_cast<std::uint64_t>(n);
    }
    return 0;
  }

  const device::Identity who_;
  const int socket_;
  Scratches& all_;
  const std::uint32_t number_;
  int pipe_[2];
  Scratch scratch_;
  std::vector<std::byte> out_;
  int epoll_ = -1;
  char byte_ = 0;
};

}  // namespace

void RunActors(const device::Identity& who, const std::vector<int>& sockets) {
  Scratches scratches = {};
  std::vector<std::thread> threads;
  // The last socket says which one to start; the end of it, that no more will.
  std::uint32_t number = 0;
  for (;;) {
    const ssize_t n = recv(sockets.back(), &number, sizeof(number), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < static_cast<ssize_t>(sizeof(number))) break;
    threads.emplace_back([&who, &scratches, socket = sockets[number], number] {
      Actor actor(who, socket, scratches, number);
      actor.Run();
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace binderlite::conformance
