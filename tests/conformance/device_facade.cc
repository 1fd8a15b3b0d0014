// SPDX-License-Identifier: Apache-2.0
//
// The device of binderlite/uapi.h. A simulated process is a set of threads of
// this process, which open the device under a pid of their own. Compiled once
// for each locking discipline, with BINDERLITE_UAPI_LOCKING.

#include <dirent.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <utility>

#include "binderlite/uapi.h"
#include "device.h"
#include "proc_files.h"
#include "support/capabilities.h"

namespace binderlite::conformance::device {
namespace {

class Threads : public Process {
 public:
  Threads(const Identity& who, std::function<void(const Identity&)> main)
      : pid_(who.pid), thread_([who, main = std::move(main)] {
          if (who.euid != 0) testing::GiveUpNice();
          main(who);
        }) {}
  ~Threads() override { End(); }
  pid_t pid() const override { return pid_; }
  void End() override {
    if (thread_.joinable()) thread_.join();
  }

 private:
  const pid_t pid_;
  std::thread thread_;
};

// How often the threads of this process, but the calling one, have been on a
// processor; nothing if one of them is awake.
std::optional<std::uint64_t> AllAsleep() {
  DIR* tasks = opendir("/proc/self/task");
  if (tasks == nullptr) return 0;
  const long self = syscall(SYS_gettid);
  std::optional<std::uint64_t> sum = 0;
  while (const dirent* entry = readdir(tasks)) {
    const long tid = std::strtol(entry->d_name, nullptr, 10);
    if (tid == 0 || tid == self) continue;
    const std::optional<std::uint64_t> stamp =
        TaskWatch(getpid(), static_cast<pid_t>(tid), -1).AsleepInCall();
    if (!stamp.has_value()) {
      sum.reset();
      break;
    }
    sum = *sum + *stamp;
  }
  closedir(tasks);
  return sum;
}

}  // namespace

std::string Name() { return "facade"; }

// What ends a poll is a real signal.
void SetUp() {
  struct sigaction ignore = {};
  ignore.sa_handler = [](int) {};
  sigaction(SIGUSR1, &ignore, nullptr);
}

int Open(const char* path, int flags, const Identity& who) {
  return uapi::open(path, flags,
                    uapi::Credentials{.pid = who.pid, .euid = who.euid});
}
int Ioctl(int fd, unsigned long request, void* arg) {
  return uapi::ioctl(fd, request, arg);
}
int IoctlInterrupted(int fd, unsigned long request, void* arg) {
  uapi::interrupt(fd, static_cast<pid_t>(syscall(SYS_gettid)));
  return uapi::ioctl(fd, request, arg);
}
void* Mmap(std::size_t size, int prot, int flags, int fd) {
  return uapi::mmap(nullptr, size, prot, flags, fd, 0);
}
int Munmap(void* address, std::size_t size) {
  return uapi::munmap(address, size);
}
int Poll(struct pollfd* fds, nfds_t count, int timeout_ms) {
  return uapi::poll(fds, count, timeout_ms);
}
int Close(int fd) { return uapi::close(fd); }
int Borrow(pid_t /*pid*/, int fd) { return dup(fd); }

std::unique_ptr<Process> Start(const Identity& who,
                               std::function<void(const Identity&)> main) {
  static pid_t last_pid = 1 << 20;
  return std::make_unique<Threads>(
      Identity{.pid = ++last_pid, .euid = who.euid}, std::move(main));
}

void Interrupt(pid_t /*pid*/, pid_t tid, int fd) {
  uapi::interrupt(fd, tid);
  syscall(SYS_tgkill, getpid(), tid, SIGUSR1);
}

bool NeedsOrderlyEnd() { return true; }

bool BackgroundIdle() {
  const std::optional<std::uint64_t> before = AllAsleep();
  return before.has_value() && AllAsleep() == before;
}

bool NothingOpen() { return true; }

bool CanSetNice() { return testing::MaySetAnyNice(); }

std::string State() { return ""; }

}  // namespace binderlite::conformance::device
