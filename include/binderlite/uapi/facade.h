// SPDX-License-Identifier: Apache-2.0
//
// Facade: the driver behind file descriptors, as uapi.h and the preload library
// offer it. One for the whole process and for each locking policy, and never
// destroyed: it stands in for the kernel, which does not end before the
// program. This is the one place of the library with global state.
//
// A file lives as in the kernel: until its last descriptor is closed, its
// mapping is gone and nobody is in poll with it.
//
// Locks: `mu_` guards the tables, and is held over mmap and munmap, so that a
// table never names what is not there. No driver call is made under it, but for
// mapping an arena, whose mutex is a leaf. It is the one lock that fork takes.

#ifndef BINDERLITE_UAPI_FACADE_H_
#define BINDERLITE_UAPI_FACADE_H_

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "binderlite/core/arena.h"
#include "binderlite/core/file.h"
#include "binderlite/driver/driver.h"
#include "binderlite/memory/align.h"
#include "binderlite/memory/mapping.h"
#include "binderlite/memory/safe_user_memory.h"
#include "binderlite/sync/abseil_primitives.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/uapi/device_file.h"
#include "binderlite/uapi/ready_pipe.h"
#include "binderlite/uapi/system.h"
#include "binderlite/uapi/task_priorities.h"
#include "binderlite/wire/errc.h"

namespace binderlite::uapi_internal {

// Who opens, as others see it. A pid of 0: one that nobody else has.
struct Identity {
  pid_t pid = 0;
  uid_t euid = 0;
};

template <LockingPolicy L>
class Facade {
 public:
  using File = DeviceFile<L>;
  using FilePtr = std::shared_ptr<File>;

  static Facade& Get() {
    static Facade* const facade = new Facade();
    return *facade;
  }

  Facade(const Facade&) = delete;
  Facade& operator=(const Facade&) = delete;

  // The file behind a descriptor; null: not one of ours.
  [[nodiscard]] FilePtr Find(int fd) {
    FileId id;
    if (fd < 0 || !PipeIdOf(fd, id)) return nullptr;
    const MaybeLock lock(*this);
    const auto it = files_.find(id);
    return it == files_.end() ? nullptr : it->second.file;
  }

  int Open(const char* path, int flags, const Identity& who) {
    if (forked_) return RefuseChild(ENODEV);
    if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) return Fail(EEXIST);
    if ((flags & O_DIRECTORY) != 0) return Fail(ENOTDIR);
    std::string name;
    if (!CopyPath(path, name)) return -1;
    Sweep();
    auto readiness = std::make_shared<Readiness>();
    FileId id;
    const int fd = readiness->pipe.Open(flags, id);
    if (fd < 0) return -1;
    ProcOptions options;
    options.pid = who.pid;
    options.euid = who.euid;
    options.name = name;
    options.arena_size = 0;
    options.nonblocking = (flags & O_NONBLOCK) != 0;
    options.memory = &memory_;
    options.files = &descriptors_;
    options.readiness = readiness;
    options.nice = priorities_.Get(who.pid, ::gettid());
    // No thread has a record yet, so it is readable (PL-02).
    readiness->OnReady();
    BasicProc<L> proc = ContextOf(name).Open(std::move(options));
    auto file = std::make_shared<File>(std::move(proc), std::move(readiness),
                                       id, flags);
    sync::MutexLock lock(mu_);
    files_.emplace(id, Entry{std::move(file)});
    return fd;
  }

  // NOLINTNEXTLINE(google-runtime-int): as the system call has it.
  int Ioctl(int fd, unsigned long request, void* argument) {
    const FilePtr file = Find(fd);
    if (file == nullptr) return SysIoctl(fd, request, argument);
    if (forked_) return RefuseChild(EINVAL);
    const Errc error =
        file->Ioctl(fd, ThisThread().Tid(), static_cast<std::uint32_t>(request),
                    reinterpret_cast<std::uint64_t>(argument));
    descriptors_.Finish();
    // Closed while the call was on its way in.
    if (error == Errc::kClosed) return Fail(EBADF);
    return error == Errc::kOk ? 0 : Fail(static_cast<int>(error));
  }

  void* Mmap(void* address, std::size_t length, int protection, int flags,
             int fd, off_t offset) {
    const FilePtr file = (flags & MAP_ANONYMOUS) != 0 ? nullptr : Find(fd);
    if (file == nullptr) {
      if ((flags & MAP_FIXED) == 0) {
        return SysMmap(address, length, protection, flags, fd, offset);
      }
      // What it takes the place of is unmapped.
      return Unmapping(address, length, [&] {
        return SysMmap(address, length, protection, flags, fd, offset);
      });
    }
    if (forked_) {
      (void)RefuseChild(EINVAL);
      return MAP_FAILED;
    }
    return MapArena(file, address, length, protection, flags, offset);
  }

  int Munmap(void* address, std::size_t length) {
    return Unmapping(address, length,
                     [&] { return SysMunmap(address, length); });
  }

  int Close(int fd) {
    if (IsHidden(fd)) return Fail(EBADF);
    const FilePtr file = Find(fd);
    if (file == nullptr) return SysClose(fd);
    return CloseWith(file, [fd] { return SysClose(fd); });
  }

  // `close` closes one or more descriptors of the file in some way.
  template <class F>
  int CloseWith(const FilePtr& file, F close) {
    int result = 0;
    {
      // Nobody is taking bytes out through this very descriptor.
      sync::MutexLock lock(file->readiness().pipe.mu);
      result = close();
    }
    if (result < 0 || forked_) return result;
    const int saved = errno;
    file->proc().Flush();
    CloseIfOver({file});
    errno = saved;
    return result;
  }

  // ppoll with a time that is counted down. Descriptors that are not ours, and
  // the wait, are the kernel's; readiness of ours is this thread's (PL-08).
  int Poll(pollfd* fds, nfds_t count, timespec* timeout, const sigset_t* mask) {
    if (count == 0 || forked_) return SysPoll(fds, count, timeout, mask);
    std::vector<pollfd> wanted(std::min<nfds_t>(count, kMostPolled));
    if (wanted.size() != count ||
        !memory_.CopyIn(wanted.data(), reinterpret_cast<std::uint64_t>(fds),
                        count * sizeof(pollfd)) ||
        std::none_of(wanted.begin(), wanted.end(), [this](const pollfd& p) {
          return Find(p.fd) != nullptr;
        })) {
      return SysPoll(fds, count, timeout, mask);
    }
    const int result = PollOurs(wanted, timeout, mask);
    if (result >= 0 &&
        !memory_.CopyOut(reinterpret_cast<std::uint64_t>(fds), wanted.data(),
                         count * sizeof(pollfd))) {
      return Fail(EFAULT);
    }
    return result;
  }

  // What a signal does to a thread of the file.
  int Interrupt(int fd, pid_t tid) {
    const FilePtr file = Find(fd);
    if (file == nullptr) {
      return Fail(SysFcntl(fd, F_GETFD) < 0 ? EBADF : EINVAL);
    }
    if (forked_) return RefuseChild(EINVAL);
    file->Interrupt(tid);
    return 0;
  }

  // Whether the calling thread could read `file` now, by the descriptor `fd`;
  // an error is POLLERR. From the first time on, it polls.
  Errc IsReadable(const FilePtr& file, int fd, bool& readable) {
    readable = false;
    if (forked_) return Errc::kClosed;
    return file->Poll(fd, ThisThread().Tid(), readable);
  }

  // Whether a number is that of a descriptor which the program has not got from
  // anybody, and that it therefore must not close: programs that close whatever
  // there is are not rare.
  [[nodiscard]] bool IsHidden(int fd) {
    {
      const MaybeLock lock(*this);
      if (events_.contains(fd)) return true;
    }
    return Find(fd) != nullptr &&
           (SysFcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY;
  }

 private:
  // A file that is not over.
  struct Entry {
    FilePtr file;
    bool mapped_once = false;
    int ranges = 0;  // In the table of ranges.
    int polls = 0;   // Calls of Poll that have it in their set.
  };
  using FilesById = std::map<FileId, Entry>;
  using ContextTable = std::map<std::string, std::unique_ptr<BasicContext<L>>>;

  static constexpr nfds_t kMostPolled = 1 << 20;

  // Where a file is mapped, or what partial unmapping has left of that: up to
  // `end`.
  struct UserRange {
    std::uint64_t end = 0;
    FilePtr file;
  };
  using RangeTable = std::map<std::uint64_t, UserRange>;

  // What belongs to an OS thread.
  class ThreadState {
   public:
    ThreadState() = default;
    ThreadState(const ThreadState&) = delete;
    ThreadState& operator=(const ThreadState&) = delete;
    ~ThreadState() {
      DropEvent();
      if (tid_ != 0 && pid_ == ::getpid()) Get().ForgetThread(tid_);
    }

    [[nodiscard]] pid_t Tid() {
      if (const pid_t pid = ::getpid(); pid != pid_) {
        // The first use, also in a child made by fork.
        pid_ = pid;
        tid_ = ::gettid();
        DropEvent();
      }
      return tid_;
    }

    // Files of which the present call has closed a descriptor.
    std::vector<FilePtr> closed;

    // An eventfd to be woken through; -1 and errno.
    [[nodiscard]] int Event() {
      if (event_ < 0) {
        event_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (event_ < 0) return -1;
        event_ = Hide(event_);
        Facade& facade = Get();
        sync::MutexLock lock(facade.mu_);
        facade.events_.insert(event_);
      }
      return event_;
    }

    [[nodiscard]] bool Owns(int event) const { return event == event_; }

   private:
    void DropEvent() {
      if (event_ < 0) return;
      Facade& facade = Get();
      const MaybeLock lock(facade);
      facade.events_.erase(event_);
      SysClose(std::exchange(event_, -1));
    }

    pid_t pid_ = 0;
    pid_t tid_ = 0;
    int event_ = -1;
  };

  static ThreadState& ThisThread() {
    thread_local ThreadState state;
    return state;
  }

  Facade() {
    // So that no child finds the tables half changed.
    ::pthread_atfork([] { Get().BeforeFork(); },
                     [] { Get().AfterForkInParent(); },
                     [] { Get().AfterForkInChild(); });
  }

  void BeforeFork() ABSL_NO_THREAD_SAFETY_ANALYSIS { mu_.Lock(); }
  void AfterForkInParent() ABSL_NO_THREAD_SAFETY_ANALYSIS { mu_.Unlock(); }
  // The threads of the driver, and whoever held its locks, are not here.
  void AfterForkInChild() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if (forked_) return;
    if (!files_.empty()) {
      forked_ = true;  // The tables are only looked at from now on.
      return;
    }
    // Nothing is lost: the child starts afresh. Its own thread's event is that
    // of its ThreadState; the others' threads are not here to close theirs.
    for (auto it = events_.begin(); it != events_.end();) {
      if (ThisThread().Owns(*it)) {
        ++it;
      } else {
        SysClose(*it);
        it = events_.erase(it);
      }
    }
    contexts_ = new ContextTable();
    machine_ = nullptr;
    mu_.Unlock();
  }

  // `mu_`, but in a child made by fork, which nobody can unlock.
  class ABSL_SCOPED_LOCKABLE MaybeLock {
   public:
    explicit MaybeLock(Facade& facade) ABSL_EXCLUSIVE_LOCK_FUNCTION(facade.mu_)
        : mu_(facade.forked_ ? nullptr : &facade.mu_) {
      if (mu_ != nullptr) mu_->Lock();
    }
    MaybeLock(const MaybeLock&) = delete;
    MaybeLock& operator=(const MaybeLock&) = delete;
    ~MaybeLock() ABSL_UNLOCK_FUNCTION() {
      if (mu_ != nullptr) mu_->Unlock();
    }

   private:
    sync::AbseilMutex* mu_;
  };

  int RefuseChild(int error) {
    if (!std::exchange(told_, true)) {
      std::fputs(
          "binderlite: fork: the binder descriptors of the parent cannot be "
          "used in the child, and none can be opened; everything is inside one "
          "process\n",
          stderr);
    }
    return Fail(error);
  }

  // False: errno is set.
  bool CopyPath(const char* path, std::string& copy) {
    constexpr std::size_t kMost = 4096;
    for (auto at = reinterpret_cast<std::uint64_t>(path);; ++at) {
      char c = 0;
      if (!memory_.CopyIn(&c, at, 1)) return Fail(EFAULT) == 0;
      if (c == 0) break;
      copy += c;
      if (copy.size() == kMost) return Fail(ENAMETOOLONG) == 0;
    }
    return !copy.empty() || Fail(ENOENT) == 0;
  }

  // All devices are of one machine: a pid is the same in each of them.
  BasicContext<L>& ContextOf(const std::string& name) {
    sync::MutexLock lock(mu_);
    std::unique_ptr<BasicContext<L>>& context = (*contexts_)[name];
    if (context == nullptr) {
      ContextOptions options{
          .name = name, .policy = &policy_, .priorities = &priorities_};
      context = machine_ == nullptr
                    ? std::make_unique<BasicContext<L>>(std::move(options))
                    : std::make_unique<BasicContext<L>>(std::move(options),
                                                        *machine_);
      if (machine_ == nullptr) machine_ = context.get();
    }
    return *context;
  }

  // --- Descriptors in transactions -----------------------------------------

  // Of a system that has no labels: who asks for them gets nothing (SC-04).
  class NoLabels : public SecurityPolicy {
   public:
    [[nodiscard]] Errc GetLabel(const binderlite::Credentials& /*who*/,
                                std::string& /*label*/) override {
      return Errc::kInvalid;
    }
  };

  // The descriptors of the process. Of ours, those that are on their way keep
  // their file, and closing one in the course of a call, as freeing a buffer
  // does, is a close like any other; what follows from it is done after the
  // call, when no lock of the driver is held.
  class Descriptors : public FileTable {
   public:
    explicit Descriptors(Facade& facade) : facade_(facade) {}

    Errc Get(int fd, OpenFile& file) override {
      if (facade_.Find(fd) != nullptr) travels_.store(true);
      return FileTable::Get(fd, file);
    }

    void Close(int fd) override {
      const FilePtr file = facade_.Find(fd);
      if (file == nullptr) {
        SysClose(fd);
        return;
      }
      sync::MutexLock lock(file->readiness().pipe.mu);
      if (SysClose(fd) == 0) ThisThread().closed.push_back(file);
    }

    // After each call.
    void Finish() {
      std::vector<FilePtr> closed;
      closed.swap(ThisThread().closed);
      for (const FilePtr& file : closed) file->proc().Flush();
      facade_.CloseIfOver(closed);
      // The driver may have dropped the last reference to one that travelled.
      if (travels_.load(std::memory_order_relaxed)) facade_.Sweep();
    }

   private:
    Facade& facade_;
    std::atomic<bool> travels_{false};  // Any ever did.
  };

  // --- Mapping -------------------------------------------------------------

  static std::uint64_t PageUp(std::uint64_t size) {
    return memory::AlignUp(size, memory::kPageSize);
  }

  // The checks of the kernel's mmap, then those of the device (AL-01 to AL-03).
  void* MapArena(const FilePtr& file, void* address, std::size_t length,
                 int protection, int flags, off_t offset) {
    const auto Refuse = [](int error) {
      errno = error;
      return MAP_FAILED;
    };
    const int type = flags & MAP_TYPE;
    if (length == 0 || offset % static_cast<off_t>(memory::kPageSize) != 0 ||
        (type != MAP_SHARED && type != MAP_PRIVATE &&
         type != MAP_SHARED_VALIDATE)) {
      return Refuse(EINVAL);
    }
    if (PageUp(length) < length) return Refuse(ENOMEM);
    if ((file->flags() & O_ACCMODE) == O_WRONLY) return Refuse(EACCES);
    std::vector<FilePtr> replaced;
    memory::Mapping view;  // If it is not wanted, destroyed after the lock.
    void* result = MAP_FAILED;
    {
      sync::MutexLock lock(mu_);
      const auto it = files_.find(file->id());
      if (it == files_.end()) return Refuse(EBADF);
      if ((protection & PROT_WRITE) != 0) return Refuse(EPERM);
      if (it->second.mapped_once) return Refuse(EBUSY);
      result = MapEntry(it->second, address, PageUp(length), protection, flags,
                        view, replaced);
    }
    Unmapped(replaced);
    return result;
  }

  // Two views of the same memory: the driver's, which can be written, and the
  // program's, which cannot, nor be made so. Behind the largest arena the
  // program's view faults, as in the kernel. Neither is there after a fork.
  void* MapEntry(Entry& entry, void* address, std::size_t length,
                 int protection, int flags, memory::Mapping& view,
                 std::vector<FilePtr>& replaced)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const std::size_t usable = std::min(length, core::Arena<L>::kMaxSize);
    const int memory =
        ::memfd_create("binder", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memory < 0) return MAP_FAILED;
    void* base = MAP_FAILED;
    if (::ftruncate(memory, static_cast<off_t>(usable)) == 0) {
      view = memory::Mapping(memory, usable);
      // Linux before 5.1 does not know the first one: there, mprotect works.
      SysFcntl(memory, F_ADD_SEALS, F_SEAL_FUTURE_WRITE);
      SysFcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
      if (view.data() != nullptr) {
        base = SysMmap(address, length, protection,
                       (flags & ~MAP_TYPE) | MAP_SHARED, memory, 0);
      }
      if (base != MAP_FAILED) {
        ::madvise(base, length, MADV_DONTFORK);
        ::madvise(view.data(), usable, MADV_DONTFORK);
        const auto begin = reinterpret_cast<std::uint64_t>(base);
        TakeRanges(begin, begin + length, replaced);
        (void)entry.file->proc().Map(std::move(view), begin);
        entry.mapped_once = true;
        AddRange(begin, {begin + length, entry.file});
      }
    }
    const int saved = errno;
    SysClose(memory);
    errno = saved;
    return base;
  }

  // Runs `unmap`, after which [address, address + length) is gone unless it
  // failed. A file that was mapped there, even in part, receives nothing from
  // then on (AL-05).
  template <class F>
  auto Unmapping(void* address, std::size_t length, F unmap) {
    if (forked_) return unmap();
    std::vector<FilePtr> touched;
    const auto result = [&] {
      sync::MutexLock lock(mu_);
      const auto outcome = unmap();
      if (!Failed(outcome)) {
        const auto begin = reinterpret_cast<std::uint64_t>(address);
        TakeRanges(begin, begin + PageUp(length), touched);
      }
      return outcome;
    }();
    Unmapped(touched);
    return result;
  }
  static bool Failed(int result) { return result != 0; }
  static bool Failed(const void* result) { return result == MAP_FAILED; }

  void AddRange(std::uint64_t begin, UserRange range)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    ++files_.at(range.file->id()).ranges;
    ranges_.emplace(begin, std::move(range));
  }

  // Cuts [begin, end) out of what is mapped.
  void TakeRanges(std::uint64_t begin, std::uint64_t end,
                  std::vector<FilePtr>& touched)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    auto it = ranges_.upper_bound(begin);
    if (it != ranges_.begin()) --it;
    while (it != ranges_.end() && it->first < end) {
      if (it->second.end <= begin) {
        ++it;
        continue;
      }
      const std::uint64_t from = it->first;
      const UserRange range = std::move(it->second);
      it = ranges_.erase(it);
      --files_.at(range.file->id()).ranges;
      if (from < begin) AddRange(from, {begin, range.file});
      if (range.end > end) AddRange(end, {range.end, range.file});
      touched.push_back(range.file);
    }
  }

  void Unmapped(const std::vector<FilePtr>& files) {
    if (files.empty()) return;
    const int saved = errno;
    for (const FilePtr& file : files) file->proc().Unmap();
    CloseIfOver(files);
    errno = saved;
  }

  // --- Polling -------------------------------------------------------------

  // Keeps files from being over, and has their events written to `event`.
  class Watch {
   public:
    Watch(Facade& facade, int event) : facade_(facade), event_(event) {}
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch() {
      for (const FilePtr& file : files_) {
        file->readiness().RemoveWaiter(event_);
        sync::MutexLock lock(facade_.mu_);
        --facade_.files_.at(file->id()).polls;
      }
      facade_.CloseIfOver(files_);
    }

    void Add(const FilePtr& file) {
      if (std::find(files_.begin(), files_.end(), file) != files_.end()) return;
      {
        sync::MutexLock lock(facade_.mu_);
        const auto it = facade_.files_.find(file->id());
        if (it == facade_.files_.end()) return;
        ++it->second.polls;
      }
      files_.push_back(file);
      file->readiness().AddWaiter(event_);
    }

   private:
    Facade& facade_;
    const int event_;
    std::vector<FilePtr> files_;
  };

  int PollOurs(std::vector<pollfd>& wanted, timespec* timeout,
               const sigset_t* mask) {
    ThreadState& self = ThisThread();
    const pid_t tid = self.Tid();
    const int event = self.Event();
    if (event < 0) return -1;
    Watch watch(*this, event);
    // What the kernel has to wait for; a negative number is skipped.
    std::vector<pollfd> others;
    for (bool last = false;;) {
      // A look at everything, as the kernel takes one before it waits and
      // whenever something has ended the wait, be it the time.
      others = wanted;
      for (pollfd& p : others) {
        p.revents = 0;
        const FilePtr file = Find(p.fd);
        if (file == nullptr) continue;
        watch.Add(file);
        bool readable = false;
        const Errc error = file->Poll(p.fd, tid, readable);
        if (error != Errc::kOk) p.revents = POLLERR;
        // NOLINTNEXTLINE(google-runtime-int): as the system call has it.
        if (readable) p.revents = static_cast<short>(p.events & POLLIN);
        p.fd = -1;
      }
      std::vector<pollfd> seen = others;
      timespec none = {0, 0};
      if (SysPoll(seen.data(), seen.size(), &none, nullptr) < 0) return -1;
      int result = 0;
      for (std::size_t i = 0; i < wanted.size(); ++i) {
        wanted[i].revents =
            others[i].fd < 0 ? others[i].revents : seen[i].revents;
        result += wanted[i].revents != 0 ? 1 : 0;
      }
      if (result > 0 || last) return result;

      others.push_back({event, POLLIN, 0});
      const int ready = SysPoll(others.data(), others.size(), timeout, mask);
      if (ready < 0) return -1;
      last = ready == 0;
      std::uint64_t count = 0;
      if (others.back().revents != 0) {
        (void)SysRead(event, &count, sizeof(count));
      }
    }
  }

  void ForgetThread(pid_t tid) {
    if (forked_) return;
    for (const FilePtr& file : AllFiles()) file->ForgetThread(tid);
  }

  [[nodiscard]] std::vector<FilePtr> AllFiles() {
    std::vector<FilePtr> files;
    sync::MutexLock lock(mu_);
    files.reserve(files_.size());
    for (const auto& [id, entry] : files_) files.push_back(entry.file);
    return files;
  }

  // --- The end of files ----------------------------------------------------

  // Closes those of `files` that nothing refers to any more.
  void CloseIfOver(const std::vector<FilePtr>& files) {
    for (const FilePtr& file : files) {
      {
        sync::MutexLock lock(mu_);
        const auto it = files_.find(file->id());
        if (it == files_.end() || it->second.file != file ||
            it->second.polls > 0 || it->second.ranges > 0 ||
            file->readiness().pipe.HasReaders()) {
          continue;
        }
        files_.erase(it);
      }
      file->proc().Close();
      file->readiness().pipe.Close();
    }
  }

  // Closes what nothing refers to any more although nobody told: a descriptor
  // may go in many ways.
  void Sweep() { CloseIfOver(AllFiles()); }

  memory::SafeUserMemory memory_;
  TaskPriorities priorities_;
  NoLabels policy_;
  Descriptors descriptors_{*this};
  sync::AbseilMutex mu_;
  FilesById files_ ABSL_GUARDED_BY(mu_);
  RangeTable ranges_ ABSL_GUARDED_BY(mu_);
  std::set<int> events_ ABSL_GUARDED_BY(mu_);  // Of the ThreadStates.
  // A pointer, so that a child made by fork can leave it as it is.
  ContextTable* contexts_ ABSL_GUARDED_BY(mu_) = new ContextTable();
  BasicContext<L>* machine_ ABSL_GUARDED_BY(mu_) = nullptr;  // The first one.
  bool forked_ = false;  // Only ever changed while there is one thread.
  bool told_ = false;    // Used in a child only.
};

}  // namespace binderlite::uapi_internal

#endif  // BINDERLITE_UAPI_FACADE_H_
