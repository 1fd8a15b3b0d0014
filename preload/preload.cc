// SPDX-License-Identifier: Apache-2.0
//
// The preload library: stands in for the C library's functions around file
// descriptors, so that an unmodified program finds a working /dev/binder,
// inside its own process.
//
//   LD_PRELOAD=libbinderlite_preload.so program
//
//   BINDERLITE_DEVICES             more paths of devices, separated by colons;
//                                  the usual ones are always there
//   BINDERLITE_OPEN_IS_PROCESS=1   each open counts as a process of its own
//
// Everything is the facade's (include/binderlite/uapi/facade.h); what is here
// is which calls go there. Until a device has been opened nothing does. Epoll
// sets are the kernel's, with our descriptors in them: an event of one of those
// is only handed on if the thread that waits could read, as in the kernel,
// where readiness belongs to the thread that asks.
//
// Lock: `mu` of EpollTable, a leaf.

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "binderlite/sync/abseil_primitives.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/uapi/facade.h"
#include "binderlite/uapi/system.h"
#include "binderlite/wire/errc.h"

#define BINDERLITE_EXPORT extern "C" __attribute__((visibility("default")))

namespace {

using binderlite::Errc;
using binderlite::uapi_internal::Fail;
using TheFacade = binderlite::uapi_internal::Facade<binderlite::FineGrained<>>;
using FilePtr = TheFacade::FilePtr;

// --- Whether there is anything to do ---------------------------------------

// A device has been opened; before that no call is looked at.
std::atomic<bool> in_use{false};

TheFacade& Driver() { return TheFacade::Get(); }

// The file behind a descriptor; null: not a device.
FilePtr Find(int fd) {
  if (!in_use.load(std::memory_order_acquire)) return nullptr;
  return Driver().Find(fd);
}

// What the C library, or the next library that was preloaded, has under this
// name.
template <class F>
F Next(const char* name) {
  void* const found = ::dlsym(RTLD_NEXT, name);
  if (found == nullptr) std::abort();
  F function = nullptr;
  static_assert(sizeof(function) == sizeof(found));
  std::memcpy(&function, &found, sizeof(function));
  return function;
}

#define BINDERLITE_NEXT(name)                                             \
  ([]() -> decltype(&::name) {                                            \
    static const decltype(&::name) next = Next<decltype(&::name)>(#name); \
    return next;                                                          \
  }())

// --- Devices ---------------------------------------------------------------

// A path without ".", ".." and doubled slashes; symbolic links are not
// followed.
std::string Normal(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, slash);
    path.remove_prefix(std::min(slash + 1, path.size()));
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.push_back(part);
    } else if (!parts.empty()) {
      parts.pop_back();
    }
  }
  std::string normal;
  for (const std::string_view part : parts) {
    normal += '/';
    normal += part;
  }
  return normal;
}

class Devices {
 public:
  static const Devices& Get() {
    static const Devices* const devices = new Devices();
    return *devices;
  }

  // The device that this path means, if it is one.
  [[nodiscard]] std::optional<std::string> Match(int directory,
                                                 const char* path) const {
    if (path == nullptr) return std::nullopt;
    const std::string_view given = path;
    // Most paths are of something else: no work for those.
    const std::size_t slash = given.rfind('/');
    const std::string_view name =
        slash == std::string_view::npos ? given : given.substr(slash + 1);
    const auto named = [name](const std::string& device) {
      return device.size() > name.size() && device.ends_with(name) &&
             device[device.size() - name.size() - 1] == '/';
    };
    if (name.empty() || std::none_of(paths_.begin(), paths_.end(), named)) {
      return std::nullopt;
    }
    std::string whole(given);
    if (given.front() != '/') {
      const std::string base = DirectoryPath(directory);
      if (base.empty()) return std::nullopt;
      whole = base + "/" + whole;
    }
    whole = Normal(whole);
    if (std::find(paths_.begin(), paths_.end(), whole) == paths_.end()) {
      return std::nullopt;
    }
    return whole;
  }

  [[nodiscard]] bool open_is_process() const { return open_is_process_; }

 private:
  Devices() {
    if (const char* more = ::getenv("BINDERLITE_DEVICES"); more != nullptr) {
      std::string_view list = more;
      while (!list.empty()) {
        const std::size_t colon = std::min(list.find(':'), list.size());
        if (colon > 0) paths_.push_back(Normal(list.substr(0, colon)));
        list.remove_prefix(std::min(colon + 1, list.size()));
      }
    }
    const char* own = ::getenv("BINDERLITE_OPEN_IS_PROCESS");
    open_is_process_ =
        own != nullptr && *own != '\0' && std::string_view(own) != "0";
  }

  static std::string DirectoryPath(int directory) {
    std::array<char, PATH_MAX> path = {};
    const std::string link = directory == AT_FDCWD
                                 ? "/proc/self/cwd"
                                 : "/proc/self/fd/" + std::to_string(directory);
    const ssize_t size = ::readlink(link.c_str(), path.data(), path.size());
    return size <= 0 ? std::string()
                     : std::string(path.data(), static_cast<std::size_t>(size));
  }

  std::vector<std::string> paths_ = {"/dev/binder", "/dev/hwbinder",
                                     "/dev/vndbinder"};
  bool open_is_process_ = false;
};

int OpenDevice(const std::string& device, int flags) {
  // From here on calls are looked at.
  in_use.store(true, std::memory_order_release);
  const pid_t pid = Devices::Get().open_is_process() ? 0 : ::getpid();
  return Driver().Open(device.c_str(), flags, {pid, ::geteuid()});
}

bool TakesMode(int flags) {
  return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
}

// --- epoll -----------------------------------------------------------------

// Our descriptors in the program's epoll sets. The kernel is given a token in
// the place of the program's data, by which an event is known to be of ours.
class EpollTable {
 public:
  struct Entry {
    int set = -1;
    int fd = -1;
    epoll_event wanted = {};
    std::weak_ptr<TheFacade::File> file;
  };

  static EpollTable& Get() {
    static EpollTable* const table = new EpollTable();
    return *table;
  }

  // Makes or changes the entry of a descriptor in a set; the token goes into
  // `event`. Returns what there was before.
  std::optional<Entry> Prepare(int set, int fd, const FilePtr& file,
                               epoll_event& event) {
    binderlite::sync::MutexLock lock(mu_);
    Forget([](const Entry& entry) { return entry.file.expired(); });
    std::uint64_t& token = tokens_[{set, fd}];
    std::optional<Entry> before;
    if (token == 0) {
      token = kMark | ++last_;
    } else {
      before = entries_[token];
    }
    entries_[token] = {set, fd, event, file};
    event.data.u64 = token;
    return before;
  }

  // Undoes Prepare.
  void Restore(int set, int fd, const std::optional<Entry>& before) {
    binderlite::sync::MutexLock lock(mu_);
    if (before.has_value()) {
      entries_[tokens_[{set, fd}]] = *before;
    } else {
      Forget([set, fd](const Entry& entry) {
        return entry.set == set && entry.fd == fd;
      });
    }
  }

  void Remove(int set, int fd) {
    binderlite::sync::MutexLock lock(mu_);
    Forget([set, fd](const Entry& entry) {
      return entry.set == set && entry.fd == fd;
    });
  }

  [[nodiscard]] std::optional<Entry> Find(std::uint64_t token) {
    if ((token & kMarkBits) != kMark) return std::nullopt;
    binderlite::sync::MutexLock lock(mu_);
    const auto it = entries_.find(token);
    if (it == entries_.end()) return std::nullopt;
    return it->second;
  }

 private:
  // No pointer and no small number looks like this.
  static constexpr std::uint64_t kMarkBits = 0xffffffff00000000;
  static constexpr std::uint64_t kMark = 0xb1dde71100000000;

  template <class F>
  void Forget(F which) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    for (auto it = entries_.begin(); it != entries_.end();) {
      if (which(it->second)) {
        tokens_.erase({it->second.set, it->second.fd});
        it = entries_.erase(it);
      } else {
        ++it;
      }
    }
  }

  binderlite::sync::AbseilMutex mu_;
  std::map<std::uint64_t, Entry> entries_ ABSL_GUARDED_BY(mu_);
  std::map<std::pair<int, int>, std::uint64_t> tokens_ ABSL_GUARDED_BY(mu_);
  std::uint32_t last_ ABSL_GUARDED_BY(mu_) = 0;
};

// Replaces the tokens in what a set has reported by what the program gave, and
// takes out what the calling thread cannot read. Returns how many are left.
int Translate(epoll_event* events, int count) {
  int kept = 0;
  for (int i = 0; i < count; ++i) {
    epoll_event event = events[i];
    if (const auto entry = EpollTable::Get().Find(event.data.u64)) {
      bool readable = false;
      const FilePtr file = entry->file.lock();
      if (file != nullptr &&
          Driver().IsReadable(file, entry->fd, readable) != Errc::kOk) {
        event.events |= EPOLLERR;
      }
      // What a device reports is EPOLLIN and nothing else.
      event.events &= ~std::uint32_t{EPOLLIN | EPOLLRDNORM};
      if (readable) event.events |= entry->wanted.events & EPOLLIN;
      if (event.events == 0) {
        if ((entry->wanted.events & EPOLLONESHOT) != 0) {
          epoll_event again = entry->wanted;
          again.data = events[i].data;
          (void)BINDERLITE_NEXT(epoll_ctl)(entry->set, EPOLL_CTL_MOD, entry->fd,
                                           &again);
        }
        continue;
      }
      event.data = entry->wanted.data;
    }
    events[kept++] = event;
  }
  return kept;
}

timespec Now() {
  timespec now = {};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now;
}

constexpr std::int64_t kSecond = 1'000'000'000;

std::int64_t Nanoseconds(const timespec& time) {
  return static_cast<std::int64_t>(time.tv_sec) * kSecond + time.tv_nsec;
}

// Runs `wait`, which is given the time that is left (null: for ever), until it
// reports something for this thread.
template <class F>
int WaitInSet(epoll_event* events, const timespec* timeout, F wait) {
  if (!in_use.load(std::memory_order_acquire)) return wait(timeout);
  const std::int64_t begin = timeout != nullptr ? Nanoseconds(Now()) : 0;
  std::optional<timespec> left;
  if (timeout != nullptr) left = *timeout;
  for (;;) {
    const int count = wait(left.has_value() ? &*left : nullptr);
    if (count <= 0) return count;
    const int kept = Translate(events, count);
    if (kept > 0) return kept;
    if (timeout != nullptr) {
      const std::int64_t rest =
          begin + Nanoseconds(*timeout) - Nanoseconds(Now());
      if (rest <= 0) return 0;
      left = timespec{rest / kSecond, rest % kSecond};
    }
    // Another thread could read, and has not done so yet.
    ::sched_yield();
  }
}

int SysEpollWait(int set, epoll_event* events, int most,
                 const timespec* timeout, const sigset_t* mask) {
  constexpr std::size_t kMaskSize = 8;
  return static_cast<int>(
      ::syscall(SYS_epoll_pwait2, set, events, most, timeout, mask, kMaskSize));
}

// The same where the kernel, before 5.11, knows milliseconds only.
int SysEpollWaitMs(int set, epoll_event* events, int most,
                   const timespec* timeout, const sigset_t* mask) {
  constexpr std::size_t kMaskSize = 8;
  const int ms =
      timeout == nullptr
          ? -1
          : static_cast<int>((Nanoseconds(*timeout) + 999'999) / 1'000'000);
  return static_cast<int>(
      ::syscall(SYS_epoll_pwait, set, events, most, ms, mask, kMaskSize));
}

int EpollWait(int set, epoll_event* events, int most, const timespec* timeout,
              const sigset_t* mask) {
  return WaitInSet(events, timeout, [=](const timespec* left) {
    const int result = SysEpollWait(set, events, most, left, mask);
    if (result >= 0 || errno != ENOSYS) return result;
    return SysEpollWaitMs(set, events, most, left, mask);
  });
}

int EpollWaitMs(int set, epoll_event* events, int most, int timeout,
                const sigset_t* mask) {
  const timespec time = {timeout / 1000, timeout % 1000 * 1'000'000L};
  return EpollWait(set, events, most, timeout < 0 ? nullptr : &time, mask);
}

// --- select ----------------------------------------------------------------

bool IsSet(const fd_set* set, int fd) {
  return set != nullptr && FD_ISSET(fd, set);
}

bool AnyDevice(int count, const fd_set* set) {
  for (int fd = 0; set != nullptr && fd < count; ++fd) {
    if (FD_ISSET(fd, set) && Find(fd) != nullptr) return true;
  }
  return false;
}

// select in terms of poll, for sets with a device in them.
int Select(int count, fd_set* readable, fd_set* writable, fd_set* special,
           timespec* timeout, const sigset_t* mask) {
  std::vector<pollfd> fds;
  for (int fd = 0; fd < count; ++fd) {
    pollfd p = {fd, 0, 0};
    if (IsSet(readable, fd)) p.events |= POLLIN;
    if (IsSet(writable, fd)) p.events |= POLLOUT;
    if (IsSet(special, fd)) p.events |= POLLPRI;
    if (p.events != 0) fds.push_back(p);
  }
  if (Driver().Poll(fds.data(), fds.size(), timeout, mask) < 0) return -1;
  for (const pollfd& p : fds) {
    if ((p.revents & POLLNVAL) != 0) return Fail(EBADF);
  }
  int ready = 0;
  const auto report = [&ready](fd_set* set, const pollfd& p, int wanted,
                               int events) {
    if (set == nullptr || (p.events & wanted) == 0) return;
    if ((p.revents & events) != 0) {
      ++ready;
    } else {
      FD_CLR(p.fd, set);
    }
  };
  for (const pollfd& p : fds) {
    report(readable, p, POLLIN, POLLIN | POLLHUP | POLLERR);
    report(writable, p, POLLOUT, POLLOUT | POLLERR);
    report(special, p, POLLPRI, POLLPRI);
  }
  return ready;
}

// --- Many descriptors at once ----------------------------------------------

// Closes one by one what is open in [first, last], but for what is hidden.
int CloseEach(unsigned first, unsigned last) {
  std::vector<int> fds;
  DIR* const list = ::opendir("/proc/self/fd");
  if (list == nullptr) return -1;
  const int own = ::dirfd(list);
  while (const dirent* entry = ::readdir(list)) {
    const long fd = std::strtol(entry->d_name, nullptr, 10);
    if (entry->d_name[0] == '.' || fd == own) continue;
    if (fd >= static_cast<long>(first) && static_cast<unsigned>(fd) <= last) {
      fds.push_back(static_cast<int>(fd));
    }
  }
  ::closedir(list);
  const int saved = errno;
  for (const int fd : fds) (void)Driver().Close(fd);
  errno = saved;
  return 0;
}

// dup2 and dup3: `to` may be the descriptor of a device, which is closed.
template <class F>
int ReplaceWith(int from, int to, F replace) {
  if (from == to || !in_use.load(std::memory_order_acquire)) return replace();
  if (Driver().IsHidden(to)) return Fail(EBUSY);
  const FilePtr file = Driver().Find(to);
  return file == nullptr ? replace() : Driver().CloseWith(file, replace);
}

}  // namespace

// --- What programs call ----------------------------------------------------

#define BINDERLITE_MODE(flags, mode)  \
  mode_t mode = 0;                    \
  if (TakesMode(flags)) {             \
    va_list arguments;                \
    va_start(arguments, flags);       \
    mode = va_arg(arguments, mode_t); \
    va_end(arguments);                \
  }                                   \
  static_assert(true)

BINDERLITE_EXPORT int open(const char* path, int flags, ...) {
  BINDERLITE_MODE(flags, mode);
  const auto device = Devices::Get().Match(AT_FDCWD, path);
  if (device.has_value()) return OpenDevice(*device, flags);
  return BINDERLITE_NEXT(open)(path, flags, mode);
}

BINDERLITE_EXPORT int open64(const char* path, int flags, ...) {
  BINDERLITE_MODE(flags, mode);
  const auto device = Devices::Get().Match(AT_FDCWD, path);
  if (device.has_value()) return OpenDevice(*device, flags);
  return BINDERLITE_NEXT(open64)(path, flags, mode);
}

BINDERLITE_EXPORT int openat(int directory, const char* path, int flags, ...) {
  BINDERLITE_MODE(flags, mode);
  const auto device = Devices::Get().Match(directory, path);
  if (device.has_value()) return OpenDevice(*device, flags);
  return BINDERLITE_NEXT(openat)(directory, path, flags, mode);
}

BINDERLITE_EXPORT int openat64(int directory, const char* path, int flags,
                               ...) {
  BINDERLITE_MODE(flags, mode);
  const auto device = Devices::Get().Match(directory, path);
  if (device.has_value()) return OpenDevice(*device, flags);
  return BINDERLITE_NEXT(openat64)(directory, path, flags, mode);
}

// What open and openat are when compiled with _FORTIFY_SOURCE; never with a
// mode.
BINDERLITE_EXPORT int __open_2(const char* path, int flags) {
  return open(path, flags);
}
BINDERLITE_EXPORT int __open64_2(const char* path, int flags) {
  return open64(path, flags);
}
BINDERLITE_EXPORT int __openat_2(int directory, const char* path, int flags) {
  return openat(directory, path, flags);
}
BINDERLITE_EXPORT int __openat64_2(int directory, const char* path, int flags) {
  return openat64(directory, path, flags);
}

BINDERLITE_EXPORT int ioctl(int fd, unsigned long request, ...) noexcept {
  va_list arguments;
  va_start(arguments, request);
  void* const argument = va_arg(arguments, void*);
  va_end(arguments);
  if (Find(fd) != nullptr) return Driver().Ioctl(fd, request, argument);
  return BINDERLITE_NEXT(ioctl)(fd, request, argument);
}

BINDERLITE_EXPORT void* mmap(void* address, size_t length, int protection,
                             int flags, int fd, off_t offset) noexcept {
  if (!in_use.load(std::memory_order_acquire) ||
      ((flags & (MAP_ANONYMOUS | MAP_FIXED)) == MAP_ANONYMOUS)) {
    return binderlite::uapi_internal::SysMmap(address, length, protection,
                                              flags, fd, offset);
  }
  return Driver().Mmap(address, length, protection, flags, fd, offset);
}

BINDERLITE_EXPORT void* mmap64(void* address, size_t length, int protection,
                               int flags, int fd, off64_t offset) noexcept {
  return mmap(address, length, protection, flags, fd, offset);
}

BINDERLITE_EXPORT int munmap(void* address, size_t length) noexcept {
  if (!in_use.load(std::memory_order_acquire)) {
    return binderlite::uapi_internal::SysMunmap(address, length);
  }
  return Driver().Munmap(address, length);
}

BINDERLITE_EXPORT int close(int fd) {
  if (!in_use.load(std::memory_order_acquire))
    return BINDERLITE_NEXT(close)(fd);
  if (Driver().IsHidden(fd)) return Fail(EBADF);
  if (Driver().Find(fd) != nullptr) return Driver().Close(fd);
  return BINDERLITE_NEXT(close)(fd);
}

BINDERLITE_EXPORT int dup2(int from, int to) noexcept {
  return ReplaceWith(from, to, [=] { return BINDERLITE_NEXT(dup2)(from, to); });
}

BINDERLITE_EXPORT int dup3(int from, int to, int flags) noexcept {
  return ReplaceWith(from, to,
                     [=] { return BINDERLITE_NEXT(dup3)(from, to, flags); });
}

BINDERLITE_EXPORT int close_range(unsigned first, unsigned last,
                                  int flags) noexcept {
  if (!in_use.load(std::memory_order_acquire) || flags != 0 || first > last) {
    return static_cast<int>(::syscall(SYS_close_range, first, last, flags));
  }
  return CloseEach(first, last);
}

BINDERLITE_EXPORT void closefrom(int first) noexcept {
  (void)close_range(static_cast<unsigned>(std::max(first, 0)), ~0U, 0);
}

// F_GETFL tells how the device was opened; everything else is as for any
// descriptor.
BINDERLITE_EXPORT int fcntl(int fd, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  void* const argument = va_arg(arguments, void*);
  va_end(arguments);
  const int result =
      static_cast<int>(::syscall(SYS_fcntl, fd, command, argument));
  if (command != F_GETFL || result < 0) return result;
  const FilePtr file = Find(fd);
  if (file == nullptr) return result;
  constexpr int kLargeFile = 0100000;  // The kernel's O_LARGEFILE.
  return (result & ~O_ACCMODE) | (file->flags() & O_ACCMODE) | kLargeFile;
}

BINDERLITE_EXPORT int fcntl64(int fd, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  void* const argument = va_arg(arguments, void*);
  va_end(arguments);
  return fcntl(fd, command, argument);
}

BINDERLITE_EXPORT int poll(pollfd* fds, nfds_t count, int timeout) {
  if (!in_use.load(std::memory_order_acquire)) {
    return BINDERLITE_NEXT(poll)(fds, count, timeout);
  }
  timespec time = {timeout / 1000, timeout % 1000 * 1'000'000L};
  return Driver().Poll(fds, count, timeout < 0 ? nullptr : &time, nullptr);
}

BINDERLITE_EXPORT int ppoll(pollfd* fds, nfds_t count, const timespec* timeout,
                            const sigset_t* mask) {
  if (!in_use.load(std::memory_order_acquire)) {
    return BINDERLITE_NEXT(ppoll)(fds, count, timeout, mask);
  }
  timespec time = {};
  if (timeout != nullptr) time = *timeout;
  return Driver().Poll(fds, count, timeout == nullptr ? nullptr : &time, mask);
}

// What poll and ppoll are when compiled with _FORTIFY_SOURCE: with the size of
// the array.
BINDERLITE_EXPORT int __poll_chk(pollfd* fds, nfds_t count, int timeout,
                                 size_t size) {
  if (size / sizeof(*fds) < count) std::abort();
  return poll(fds, count, timeout);
}
BINDERLITE_EXPORT int __ppoll_chk(pollfd* fds, nfds_t count,
                                  const timespec* timeout, const sigset_t* mask,
                                  size_t size) {
  if (size / sizeof(*fds) < count) std::abort();
  return ppoll(fds, count, timeout, mask);
}

BINDERLITE_EXPORT int select(int count, fd_set* readable, fd_set* writable,
                             fd_set* special, timeval* timeout) {
  if (!AnyDevice(count, readable) && !AnyDevice(count, writable) &&
      !AnyDevice(count, special)) {
    return BINDERLITE_NEXT(select)(count, readable, writable, special, timeout);
  }
  timespec time = {};
  if (timeout != nullptr) time = {timeout->tv_sec, timeout->tv_usec * 1000};
  const int result = Select(count, readable, writable, special,
                            timeout == nullptr ? nullptr : &time, nullptr);
  if (timeout != nullptr) *timeout = {time.tv_sec, time.tv_nsec / 1000};
  return result;
}

BINDERLITE_EXPORT int pselect(int count, fd_set* readable, fd_set* writable,
                              fd_set* special, const timespec* timeout,
                              const sigset_t* mask) {
  if (!AnyDevice(count, readable) && !AnyDevice(count, writable) &&
      !AnyDevice(count, special)) {
    return BINDERLITE_NEXT(pselect)(count, readable, writable, special, timeout,
                                    mask);
  }
  timespec time = {};
  if (timeout != nullptr) time = *timeout;
  return Select(count, readable, writable, special,
                timeout == nullptr ? nullptr : &time, mask);
}

BINDERLITE_EXPORT int epoll_ctl(int set, int operation, int fd,
                                epoll_event* event) noexcept {
  const FilePtr file = Find(fd);
  if (file == nullptr)
    return BINDERLITE_NEXT(epoll_ctl)(set, operation, fd, event);
  if (operation == EPOLL_CTL_DEL || event == nullptr) {
    const int result = BINDERLITE_NEXT(epoll_ctl)(set, operation, fd, event);
    if (result == 0) EpollTable::Get().Remove(set, fd);
    return result;
  }
  epoll_event changed = *event;
  // Before the set knows of it, as its events can come at once.
  const auto before = EpollTable::Get().Prepare(set, fd, file, changed);
  const int result = BINDERLITE_NEXT(epoll_ctl)(set, operation, fd, &changed);
  if (result != 0) {
    EpollTable::Get().Restore(set, fd, before);
    return result;
  }
  // The set has asked, in the name of this thread.
  bool readable = false;
  (void)Driver().IsReadable(file, fd, readable);
  return 0;
}

BINDERLITE_EXPORT int epoll_wait(int set, epoll_event* events, int most,
                                 int timeout) {
  if (!in_use.load(std::memory_order_acquire)) {
    return BINDERLITE_NEXT(epoll_wait)(set, events, most, timeout);
  }
  return EpollWaitMs(set, events, most, timeout, nullptr);
}

BINDERLITE_EXPORT int epoll_pwait(int set, epoll_event* events, int most,
                                  int timeout, const sigset_t* mask) {
  if (!in_use.load(std::memory_order_acquire)) {
    return BINDERLITE_NEXT(epoll_pwait)(set, events, most, timeout, mask);
  }
  return EpollWaitMs(set, events, most, timeout, mask);
}

BINDERLITE_EXPORT int epoll_pwait2(int set, epoll_event* events, int most,
                                   const timespec* timeout,
                                   const sigset_t* mask) {
  return EpollWait(set, events, most, timeout, mask);
}
