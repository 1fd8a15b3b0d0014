// SPDX-License-Identifier: Apache-2.0
//
// The device of a real kernel. Runs as root in the machine that
// scripts/run-on-kernel-binder starts.

#include <dirent.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <utility>

#include "device.h"
#include "proc_files.h"

namespace binderlite::conformance::device {
namespace {

class Child : public Process {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  ~Child() override { End(); }
  pid_t pid() const override { return pid_; }
  void End() override {
    if (ended_) return;
    ended_ = true;
    kill(pid_, SIGKILL);
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

 private:
  pid_t pid_;
  bool ended_ = false;
};

void OnSignal(int /*signal*/) {}

constexpr std::size_t kPage = 4096;

// A page that is not there until somebody looks at it, and then comes with the
// signal for who did.
class PageWithSignal {
 public:
  PageWithSignal(const void* content, std::size_t size)
      : tid_(static_cast<pid_t>(syscall(SYS_gettid))),
        fd_(static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC))),
        page_(Map()),
        content_(Map()) {
    std::memcpy(content_, content, size);
    struct uffdio_api api = {.api = UFFD_API, .features = 0, .ioctls = 0};
    struct uffdio_register area = {};
    area.range = {.start = reinterpret_cast<__u64>(page_), .len = kPage};
    area.mode = UFFDIO_REGISTER_MODE_MISSING;
    if (fd_ < 0 || ioctl(fd_, UFFDIO_API, &api) != 0 ||
        ioctl(fd_, UFFDIO_REGISTER, &area) != 0) {
      std::perror("userfaultfd");
      std::abort();
    }
    helper_ = std::thread([this] { Help(); });
  }
  ~PageWithSignal() {
    helper_.join();
    close(fd_);
    munmap(page_, kPage);
    munmap(content_, kPage);
  }
  PageWithSignal(const PageWithSignal&) = delete;
  PageWithSignal& operator=(const PageWithSignal&) = delete;
  void* get() const { return page_; }

 private:
  static void* Map() {
    return mmap(nullptr, kPage, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  }
  void Help() {
    struct uffd_msg message;
    if (read(fd_, &message, sizeof(message)) != sizeof(message)) std::abort();
    syscall(SYS_tgkill, getpid(), tid_, SIGUSR1);
    struct uffdio_copy copy = {};
    copy.dst = reinterpret_cast<__u64>(page_);
    copy.src = reinterpret_cast<__u64>(content_);
    copy.len = kPage;
    if (ioctl(fd_, UFFDIO_COPY, &copy) != 0) std::abort();
  }

  const pid_t tid_;
  const int fd_;
  void* const page_;
  void* const content_;
  std::thread helper_;
};

}  // namespace

std::string Name() { return "kernel"; }

void SetUp() {
  struct sigaction action = {};
  action.sa_handler = OnSignal;  // without SA_RESTART
  sigaction(SIGUSR1, &action, nullptr);
  for (const char* path : {"/dev/binder", "/dev/hwbinder", "/dev/vndbinder"}) {
    chmod(path, 0666);
  }
}

int Open(const char* path, int flags, const Identity& /*who*/) {
  return open(path, flags);
}
int Ioctl(int fd, unsigned long request, void* arg) {
  return ioctl(fd, request, arg);
}
int IoctlInterrupted(int fd, unsigned long request, void* arg) {
  int ret = 0;
  int error = 0;
  {
    const std::size_t size = _IOC_SIZE(request);
    const PageWithSignal page(arg, size);
    ret = ioctl(fd, request, page.get());
    error = errno;
    std::memcpy(arg, page.get(), size);
  }
  errno = error;
  return ret;
}
void* Mmap(std::size_t size, int prot, int flags, int fd) {
  return mmap(nullptr, size, prot, flags, fd, 0);
}
int Munmap(void* address, std::size_t size) { return munmap(address, size); }
int Poll(struct pollfd* fds, nfds_t count, int timeout_ms) {
  return poll(fds, count, timeout_ms);
}
int Close(int fd) { return close(fd); }
int Borrow(pid_t pid, int fd) {
  const auto process = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (process < 0) return -1;
  const auto copy = static_cast<int>(syscall(SYS_pidfd_getfd, process, fd, 0));
  close(process);
  return copy;
}

std::unique_ptr<Process> Start(const Identity& who,
                               std::function<void(const Identity&)> main) {
  std::fflush(stdout);
  const pid_t pid = fork();
  if (pid < 0) {
    std::perror("fork");
    std::abort();
  }
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (who.euid != 0 && seteuid(who.euid) != 0) _exit(1);
    main({.pid = getpid(), .euid = who.euid});
    _exit(0);
  }
  return std::make_unique<Child>(pid);
}

void Interrupt(pid_t pid, pid_t tid, int /*fd*/) {
  syscall(SYS_tgkill, pid, tid, SIGUSR1);
}

bool NeedsOrderlyEnd() { return false; }

// What has been closed is released by the kernel's workers. Handing work to a
// worker wakes it at once, so if none is awake, there is none to do.
bool BackgroundIdle() {
  DIR* proc = opendir("/proc");
  if (proc == nullptr) return true;
  bool idle = true;
  while (const dirent* entry = readdir(proc)) {
    if (entry->d_name[0] < '0' || entry->d_name[0] > '9') continue;
    const std::string path = std::string("/proc/") + entry->d_name + "/stat";
    char text[512];
    if (ReadSmallFile(path.c_str(), text, sizeof(text)) <= 0) continue;
    if (std::strstr(text, "(kworker/") == nullptr) continue;
    const char* end = std::strrchr(text, ')');
    if (end != nullptr && end[2] != 'I') idle = false;
    if (!idle) break;
  }
  closedir(proc);
  return idle;
}

// Dead nodes may stay: 6.12 loses one when its owner is released while a
// one-way call to it is being built (the close-up OneWayAndClose).
bool NothingOpen() { return State().find("\nproc ") == std::string::npos; }

bool CanSetNice() { return true; }

std::string State() {
  std::string text(1 << 16, '\0');
  const ssize_t n =
      ReadSmallFile("/sys/kernel/debug/binder/state", text.data(), text.size());
  text.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
  return text;
}

}  // namespace binderlite::conformance::device
