// SPDX-License-Identifier: Apache-2.0
//
// The facade as a program sees it that was written for the kernel: descriptors,
// errno, mappings, poll sets, threads. Compiled once for each discipline. Only
// to find out whether another thread sleeps is the driver's state looked at.

#include "binderlite/uapi.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/android/binder.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "binderlite/sync/mutex_lock.h"
#include "conformance/proc_files.h"
#include "support/latch.h"
#include "support/streams.h"

namespace binderlite::testing {
namespace {

using uapi_internal::UapiFacade;

constexpr std::size_t kPage = 4096;
constexpr std::size_t kArena = 16 * kPage;

// A path of its own for each test.
std::string Path(const std::string& name = "device") {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  return std::string("/dev/") + test->name() + "/" + name;
}

// errno of a call that must have failed.
template <class T>
int ErrorOf(T result) {
  if constexpr (std::is_pointer_v<T>) {
    EXPECT_EQ(result, MAP_FAILED);
  } else {
    EXPECT_EQ(result, -1);
  }
  return errno;
}

struct Result {
  int error = 0;  // errno, or 0.
  std::uint64_t write_consumed = 0;
  std::uint64_t read_consumed = 0;
  std::vector<Received> received;

  [[nodiscard]] BrList codes() const { return Codes(received); }
  [[nodiscard]] Received Get(Br code) const {
    for (const Received& r : received) {
      if (r.br == code) return r;
    }
    ADD_FAILURE() << "no " << ToString(code) << " in what was read";
    return {};
  }
};

constexpr std::size_t kReadSize = 512;

Result WriteRead(int fd, const Commands& commands, std::size_t read_size) {
  std::vector<std::byte> buffer(read_size + 1);
  binder_write_read args = {};
  args.write_size = commands.bytes().size();
  args.write_buffer = AddressOf(commands.bytes().data());
  args.read_size = read_size;
  args.read_buffer = AddressOf(buffer.data());
  Result result;
  if (uapi::ioctl(fd, BINDER_WRITE_READ, &args) != 0) result.error = errno;
  result.write_consumed = args.write_consumed;
  result.read_consumed = args.read_consumed;
  const auto parsed = Parse(
      std::span(buffer).first(static_cast<std::size_t>(args.read_consumed)));
  EXPECT_TRUE(parsed.has_value());
  if (parsed.has_value()) result.received = *parsed;
  return result;
}
Result Read(int fd) { return WriteRead(fd, {}, kReadSize); }
int Write(int fd, const Commands& commands) {
  return WriteRead(fd, commands, 0).error;
}

int Version(int fd) {
  binder_version version = {};
  if (uapi::ioctl(fd, BINDER_VERSION, &version) != 0) return -errno;
  return version.protocol_version;
}

// One open, mapped, as a simulated process; closed at the end.
class Device {
 public:
  explicit Device(pid_t pid, int flags = O_RDWR | O_NONBLOCK,
                  const std::string& path = Path())
      : fd_(uapi::open(path.c_str(), flags | O_CLOEXEC, {pid, 0})),
        map_(uapi::mmap(nullptr, kArena, PROT_READ, MAP_PRIVATE, fd_, 0)) {
    EXPECT_GE(fd_, 0);
    EXPECT_NE(map_, MAP_FAILED);
  }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  ~Device() { Close(); }

  // The end of the open, if there are no duplicates.
  void Close() {
    if (fd_ < 0) return;
    Unmap();
    EXPECT_EQ(uapi::close(std::exchange(fd_, -1)), 0);
  }
  void Unmap() {
    if (map_ != nullptr) {
      EXPECT_EQ(uapi::munmap(std::exchange(map_, nullptr), kArena), 0);
    }
  }

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] const char* map() const { return static_cast<char*>(map_); }
  [[nodiscard]] bool Contains(std::uint64_t address) const {
    return address >= AddressOf(map_) && address < AddressOf(map_) + kArena;
  }

 private:
  int fd_;
  void* map_;
};

// A device that is context manager, and has used up its first free read.
class Manager : public Device {
 public:
  explicit Manager(int flags = O_RDWR | O_NONBLOCK,
                   const std::string& path = Path())
      : Device(1, flags, path) {
    EXPECT_EQ(uapi::ioctl(fd(), BINDER_SET_CONTEXT_MGR, nullptr), 0);
  }
};

// Returns once `tid` sleeps in a read of `fd`.
void AwaitBlocked(int fd, const std::atomic<pid_t>& tid) {
  const auto file = UapiFacade::Get().Find(fd);
  ASSERT_NE(file, nullptr);
  auto& proc = file->proc().state();
  for (;;) {
    {
      const sync::MutexLock lock(proc.tasks_mu);
      const auto* const task = proc.tasks.Find(core::KeyOf(tid.load()));
      if (task != nullptr && task->parker.parked()) return;
    }
    std::this_thread::yield();
  }
}

// Returns once the thread sleeps in that system call: it has looked at all that
// it looks at before.
void WaitUntilAsleepIn(long call, pid_t tid) {
  const std::string task = "/proc/self/task/" + std::to_string(tid);
  char text[512];
  // Who is not asleep has no number there.
  const auto InCall = [&] {
    return conformance::ReadSmallFile((task + "/syscall").c_str(), text,
                                      sizeof(text)) > 0 &&
           text[0] >= '0' && text[0] <= '9' &&
           std::strtol(text, nullptr, 10) == call;
  };
  const auto Asleep = [&] {
    if (conformance::ReadSmallFile((task + "/stat").c_str(), text,
                                   sizeof(text)) <= 0) {
      return false;
    }
    const char* end = std::strrchr(text, ')');
    return end != nullptr && std::strncmp(end, ") S", 3) == 0;
  };
  while (!(InCall() && Asleep() && InCall())) std::this_thread::yield();
}

// A thread with a device, which runs `body` and has told who it is.
class Runner {
 public:
  explicit Runner(std::function<void()> body)
      : thread_([this, body = std::move(body)] {
          tid_.store(::gettid());
          body();
        }) {}

  [[nodiscard]] const std::atomic<pid_t>& tid() const { return tid_; }
  void Join() { thread_.join(); }

 private:
  std::atomic<pid_t> tid_{0};
  std::thread thread_;
};

// --- Opening and closing ---------------------------------------------------

// Rows: IO-02
// A thread that begins, like the device's, may open something for a moment.
void AwaitReaper(int fd) {
  auto& context = *UapiFacade::Get().Find(fd)->proc().state().context;
  while (!context.reaper_parker.parked()) std::this_thread::yield();
}

TEST(UapiTest, OpensAndAnswers) {
  const int fd = uapi::open(Path().c_str(), O_RDWR);
  ASSERT_GE(fd, 0);
  AwaitReaper(fd);  // Or the number may not stay free.
  EXPECT_EQ(Version(fd), BINDER_CURRENT_PROTOCOL_VERSION);
  EXPECT_EQ(uapi::close(fd), 0);
  EXPECT_EQ(ErrorOf(uapi::ioctl(fd, BINDER_VERSION, nullptr)), EBADF);
  EXPECT_EQ(ErrorOf(uapi::close(fd)), EBADF);
}

TEST(UapiTest, NumbersAreTheLowestOnes) {
  const Device before(3);
  AwaitReaper(before.fd());
  const int lowest = ::dup(0);
  ::close(lowest);
  const Device one(1);
  const Device two(2);
  EXPECT_EQ(one.fd(), lowest);
  EXPECT_EQ(two.fd(), lowest + 1);
}

TEST(UapiTest, FlagsOfOpenCount) {
  const int plain = uapi::open(Path().c_str(), O_RDWR);
  EXPECT_EQ(::fcntl(plain, F_GETFD), 0);
  EXPECT_EQ(::fcntl(plain, F_GETFL) & O_NONBLOCK, 0);
  const int both = uapi::open(Path().c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK);
  EXPECT_EQ(::fcntl(both, F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(::fcntl(both, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
  EXPECT_EQ(ErrorOf(uapi::open(Path().c_str(), O_CREAT | O_EXCL)), EEXIST);
  EXPECT_EQ(ErrorOf(uapi::open(Path().c_str(), O_DIRECTORY)), ENOTDIR);
  uapi::close(plain);
  uapi::close(both);
}

TEST(UapiTest, BadPathsAreRefused) {
  EXPECT_EQ(ErrorOf(uapi::open(nullptr, O_RDWR)), EFAULT);
  EXPECT_EQ(ErrorOf(uapi::open(reinterpret_cast<const char*>(8), 0)), EFAULT);
  EXPECT_EQ(ErrorOf(uapi::open("", O_RDWR)), ENOENT);
  const std::string too_long(5000, 'x');
  EXPECT_EQ(ErrorOf(uapi::open(too_long.c_str(), 0)), ENAMETOOLONG);
}

// Rows: IO-01 IO-06 IO-07
TEST(UapiTest, EachPathIsADeviceOfItsOwn) {
  const Manager one;
  const Manager other(O_RDWR, Path("other"));
  const Device second(2);
  EXPECT_EQ(ErrorOf(uapi::ioctl(second.fd(), BINDER_SET_CONTEXT_MGR, nullptr)),
            EBUSY);
}

TEST(UapiTest, OtherDescriptorsAreTheSystems) {
  int ends[2] = {-1, -1};
  ASSERT_EQ(::pipe(ends), 0);
  EXPECT_EQ(ErrorOf(uapi::ioctl(ends[0], BINDER_VERSION, nullptr)), ENOTTY);
  pollfd p = {ends[0], POLLIN, 0};
  EXPECT_EQ(uapi::poll(&p, 1, 0), 0);
  ASSERT_EQ(::write(ends[1], "x", 1), 1);
  EXPECT_EQ(uapi::poll(&p, 1, -1), 1);
  EXPECT_EQ(p.revents, POLLIN);
  EXPECT_EQ(ErrorOf(uapi::interrupt(ends[0], ::gettid())), EINVAL);
  EXPECT_EQ(uapi::close(ends[0]), 0);
  EXPECT_EQ(uapi::close(ends[1]), 0);
  EXPECT_EQ(ErrorOf(uapi::interrupt(ends[0], ::gettid())), EBADF);
  void* memory = uapi::mmap(nullptr, kPage, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  *static_cast<char*>(memory) = 1;
  EXPECT_EQ(uapi::munmap(memory, kPage), 0);
  EXPECT_EQ(ErrorOf(uapi::munmap(memory, 0)), EINVAL);
  EXPECT_EQ(ErrorOf(uapi::mmap(nullptr, kPage, PROT_READ, MAP_SHARED, -1, 0)),
            EBADF);
  EXPECT_EQ(ErrorOf(uapi::poll(nullptr, 1, 0)), EFAULT);
  EXPECT_EQ(uapi::poll(nullptr, 0, 0), 0);
}

// Rows: DT-10
TEST(UapiTest, ADuplicateStandsForTheSameOpen) {
  const Manager manager;
  const int copy = ::dup(manager.fd());
  EXPECT_EQ(ErrorOf(uapi::ioctl(copy, BINDER_SET_CONTEXT_MGR, nullptr)), EBUSY);
  EXPECT_EQ(Read(copy).error, EAGAIN);
  EXPECT_EQ(uapi::close(copy), 0);
  // The flush: one read that does not wait.
  const Result flushed = Read(manager.fd());
  EXPECT_EQ(flushed.error, 0);
  EXPECT_EQ(flushed.codes(), BrList{Br::BR_NOOP});
  EXPECT_EQ(Read(manager.fd()).error, EAGAIN);
}

// Rows: DT-10 DT-11 IO-11
TEST(UapiTest, ClosingKicksReadersAndTheLastCloseReleases) {
  Manager manager(O_RDWR);
  const int fd = manager.fd();
  const int copy = ::dup(fd);
  for (const bool last : {false, true}) {
    Runner reader([copy] {
      EXPECT_EQ(Version(copy), 8);
      const Result result = Read(copy);
      EXPECT_EQ(result.error, 0);
      EXPECT_EQ(result.codes(), BrList{Br::BR_NOOP});
    });
    AwaitBlocked(copy, reader.tid());
    if (last) {
      EXPECT_EQ(uapi::close(copy), 0);
    } else {
      manager.Close();
    }
    reader.Join();
  }
  const Manager next;  // The first one is gone.
}

// A mapping keeps its open alive, as every file is kept by its mappings.
// Rows: IO-11 AL-05 DT-20
TEST(UapiTest, AMappingKeepsTheOpenAlive) {
  const int fd = uapi::open(Path().c_str(), O_RDWR, {1, 0});
  void* const map =
      uapi::mmap(nullptr, 2 * kPage, PROT_READ, MAP_SHARED, fd, 0);
  ASSERT_EQ(uapi::ioctl(fd, BINDER_SET_CONTEXT_MGR, nullptr), 0);
  uapi::close(fd);
  const Device client(2);
  EXPECT_EQ(ErrorOf(uapi::ioctl(client.fd(), BINDER_SET_CONTEXT_MGR, nullptr)),
            EBUSY);
  EXPECT_EQ(WriteRead(client.fd(), Commands().OneWay(0), kReadSize).codes(),
            (BrList{Br::BR_NOOP, Br::BR_TRANSACTION_COMPLETE}));
  EXPECT_EQ(uapi::munmap(map, kPage), 0);
  EXPECT_EQ(ErrorOf(uapi::ioctl(client.fd(), BINDER_SET_CONTEXT_MGR, nullptr)),
            EBUSY);
  EXPECT_EQ(uapi::munmap(static_cast<char*>(map) + kPage, kPage), 0);
  EXPECT_EQ(uapi::ioctl(client.fd(), BINDER_SET_CONTEXT_MGR, nullptr), 0);
}

// However a descriptor goes, the next open finds out.
TEST(UapiTest, ADescriptorMayBeClosedBehindOurBack) {
  const int fd = uapi::open(Path().c_str(), O_RDWR, {1, 0});
  ASSERT_EQ(uapi::ioctl(fd, BINDER_SET_CONTEXT_MGR, nullptr), 0);
  ::close(fd);
  const Manager manager;
}

// --- Transactions ----------------------------------------------------------

// Rows: TX-05 RD-23 RD-24 RD-26
TEST(UapiTest, ACallAndItsReply) {
  const Manager manager;
  const Device client(2);
  const Payload question("how are you?");
  ASSERT_EQ(Write(client.fd(), Commands().Transact(0, question, 7)), 0);

  const Received call = Read(manager.fd()).Get(Br::BR_TRANSACTION);
  EXPECT_TRUE(manager.Contains(call.tr.buffer));
  EXPECT_EQ(call.text(), "how are you?");
  EXPECT_EQ(call.tr.code, 7u);
  EXPECT_EQ(call.tr.sender_pid, 2);
  const Payload answer("fine");
  ASSERT_EQ(Write(manager.fd(), Commands().Free(call.tr.buffer).Reply(answer)),
            0);

  const Result result = Read(client.fd());
  EXPECT_EQ(result.codes(),
            (BrList{Br::BR_NOOP, Br::BR_TRANSACTION_COMPLETE, Br::BR_REPLY}));
  const Received reply = result.Get(Br::BR_REPLY);
  EXPECT_TRUE(client.Contains(reply.tr.buffer));
  EXPECT_EQ(reply.text(), "fine");
  EXPECT_EQ(Write(client.fd(), Commands().Free(reply.tr.buffer)), 0);
}

// Rows: TG-05
TEST(UapiTest, ByDefaultEveryOpenIsThisProcess) {
  const int manager = uapi::open(Path().c_str(), O_RDWR);
  const int client = uapi::open(Path().c_str(), O_RDWR);
  ASSERT_EQ(uapi::ioctl(manager, BINDER_SET_CONTEXT_MGR, nullptr), 0);
  EXPECT_EQ(WriteRead(client, Commands().Transact(0), kReadSize).codes(),
            (BrList{Br::BR_NOOP, Br::BR_FAILED_REPLY}));
  uapi::close(client);
  uapi::close(manager);
}

// Rows: IO-08
TEST(UapiTest, CredentialsCount) {
  const int first = uapi::open(Path().c_str(), O_RDWR, {1, 1000});
  ASSERT_EQ(uapi::ioctl(first, BINDER_SET_CONTEXT_MGR, nullptr), 0);
  uapi::close(first);
  const int second = uapi::open(Path().c_str(), O_RDWR, {1, 1001});
  EXPECT_EQ(ErrorOf(uapi::ioctl(second, BINDER_SET_CONTEXT_MGR, nullptr)),
            EPERM);
  uapi::close(second);
}

// A descriptor as an object of a payload.
Payload WithFd(int fd) {
  binder_fd_object object = {};
  object.hdr.type = BINDER_TYPE_FD;
  object.fd = static_cast<std::uint32_t>(fd);
  return Payload().Object(object);
}

// The descriptor that came with what was read.
int FdIn(const Received& received) {
  binder_fd_object object = {};
  std::memcpy(&object, reinterpret_cast<const void*>(received.tr.buffer),
              sizeof(object));
  return static_cast<int>(object.fd);
}

// Makes `manager` accept descriptors.
void AcceptFds(int manager) {
  flat_binder_object object = {};
  object.flags = FLAT_BINDER_FLAG_ACCEPTS_FDS;
  EXPECT_EQ(uapi::ioctl(manager, BINDER_SET_CONTEXT_MGR_EXT, &object), 0);
}

// Rows: OB-13 OB-17
TEST(UapiTest, DescriptorsTravel) {
  const Device manager(1);
  AcceptFds(manager.fd());
  const Device client(2);
  int ends[2] = {-1, -1};
  ASSERT_EQ(::pipe(ends), 0);
  EXPECT_EQ(Write(client.fd(), Commands().OneWay(0, WithFd(ends[0]))), 0);
  ::close(ends[0]);
  const int fd = FdIn(Read(manager.fd()).Get(Br::BR_TRANSACTION));
  EXPECT_EQ(::fcntl(fd, F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(::write(ends[1], "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(::read(fd, &byte, 1), 1);
  EXPECT_EQ(byte, 'x');
  ::close(fd);
  ::close(ends[1]);
}

// A binder descriptor that is on its way, or was received, is one more
// reference to its open.
// Rows: OB-13 OB-20 IO-11
TEST(UapiTest, ABinderDescriptorTravelsToo) {
  for (const bool delivered : {true, false}) {
    Device manager(1);
    AcceptFds(manager.fd());
    const Device client(2);
    int other = uapi::open(Path("other").c_str(), O_RDWR, {3, 0});
    ASSERT_EQ(uapi::ioctl(other, BINDER_SET_CONTEXT_MGR, nullptr), 0);
    EXPECT_EQ(Write(client.fd(), Commands().OneWay(0, WithFd(other))), 0);
    EXPECT_EQ(uapi::close(other), 0);
    if (delivered) {
      other = FdIn(Read(manager.fd()).Get(Br::BR_TRANSACTION));
      EXPECT_EQ(ErrorOf(uapi::ioctl(other, BINDER_SET_CONTEXT_MGR, nullptr)),
                EBUSY);
      EXPECT_EQ(uapi::close(other), 0);
    } else {
      manager.Close();
      EXPECT_EQ(Version(client.fd()), 8);
    }
    // It is gone.
    other = uapi::open(Path("other").c_str(), O_RDWR, {3, 0});
    EXPECT_EQ(uapi::ioctl(other, BINDER_SET_CONTEXT_MGR, nullptr), 0);
    uapi::close(other);
  }
}

// --- Mapping ---------------------------------------------------------------

// Rows: AL-01 AL-02
TEST(UapiTest, TheArenaIsReadOnlyForItsOwner) {
  for (const int type : {MAP_SHARED, MAP_PRIVATE}) {
    const int fd = uapi::open(Path().c_str(), O_RDONLY);
    for (const int write : {PROT_WRITE, PROT_READ | PROT_WRITE}) {
      EXPECT_EQ(ErrorOf(uapi::mmap(nullptr, kPage, write, type, fd, 0)), EPERM);
    }
    void* const map = uapi::mmap(nullptr, kPage, PROT_READ, type, fd, 0);
    ASSERT_NE(map, MAP_FAILED);
    EXPECT_EQ(ErrorOf(::mprotect(map, kPage, PROT_READ | PROT_WRITE)), EACCES);
    EXPECT_EQ(::mprotect(map, kPage, PROT_READ), 0);
    EXPECT_EQ(uapi::munmap(map, kPage), 0);
    uapi::close(fd);
  }
}

// Rows: AL-03
TEST(UapiTest, AnOpenIsMappedOnce) {
  const int fd = uapi::open(Path().c_str(), O_RDWR);
  void* const map = uapi::mmap(nullptr, kPage, PROT_READ, MAP_SHARED, fd, 0);
  ASSERT_NE(map, MAP_FAILED);
  EXPECT_EQ(ErrorOf(uapi::mmap(nullptr, kPage, PROT_READ, MAP_SHARED, fd, 0)),
            EBUSY);
  EXPECT_EQ(ErrorOf(uapi::mmap(nullptr, kPage, PROT_READ | PROT_WRITE,
                               MAP_SHARED, fd, 0)),
            EPERM);
  EXPECT_EQ(uapi::munmap(map, kPage), 0);
  EXPECT_EQ(ErrorOf(uapi::mmap(nullptr, kPage, PROT_READ, MAP_SHARED, fd, 0)),
            EBUSY);
  uapi::close(fd);
}

// Rows: AL-01
TEST(UapiTest, WhatCanBeMapped) {
  const auto map = [](std::size_t size, int flags, off_t offset,
                      int open_flags = O_RDWR) {
    const int fd = uapi::open(Path().c_str(), open_flags);
    void* const p = uapi::mmap(nullptr, size, PROT_READ, flags, fd, offset);
    const int error = p == MAP_FAILED ? errno : 0;
    if (error == 0) {
      EXPECT_EQ(uapi::munmap(p, size), 0);
    }
    uapi::close(fd);
    return error;
  };
  EXPECT_EQ(map(1, MAP_SHARED, 0), 0);
  EXPECT_EQ(map(kPage, MAP_PRIVATE, 4 * kPage), 0);
  EXPECT_EQ(map(std::size_t{64} << 20, MAP_PRIVATE, 0), 0);
  EXPECT_EQ(map(0, MAP_PRIVATE, 0), EINVAL);
  EXPECT_EQ(map(kPage, MAP_PRIVATE, 100), EINVAL);
  EXPECT_EQ(map(kPage, 0, 0), EINVAL);
  EXPECT_EQ(map(SIZE_MAX, MAP_PRIVATE, 0), ENOMEM);
  EXPECT_EQ(map(kPage, MAP_PRIVATE, 0, O_RDONLY), 0);
  EXPECT_EQ(map(kPage, MAP_PRIVATE, 0, O_WRONLY), EACCES);
}

// Rows: AL-01
TEST(UapiTest, GoesWhereItIsToldTo) {
  void* const room =
      ::mmap(nullptr, 4 * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const int fd = uapi::open(Path().c_str(), O_RDWR);
  EXPECT_EQ(
      uapi::mmap(room, 2 * kPage, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0),
      room);
  EXPECT_EQ(uapi::munmap(room, 4 * kPage), 0);
  uapi::close(fd);
}

// Rows: AL-05 TG-10
TEST(UapiTest, UnmappingEvenAPartEndsReceiving) {
  const auto Unmap = std::vector<std::function<void(char*)>>{
      [](char* map) { EXPECT_EQ(uapi::munmap(map, kPage), 0); },
      [](char* map) { EXPECT_EQ(uapi::munmap(map + kPage, kPage), 0); },
      [](char* map) { EXPECT_EQ(uapi::munmap(map + 2 * kPage, 2 * kPage), 0); },
      [](char* map) { EXPECT_EQ(uapi::munmap(map - kPage, 6 * kPage), 0); },
      [](char* map) {  // Something else takes its place.
        EXPECT_EQ(uapi::mmap(map, 4 * kPage, PROT_READ,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
                  map);
      }};
  const Device client(2);
  for (const auto& unmap : Unmap) {
    // With room around it.
    auto* const room = static_cast<char*>(::mmap(
        nullptr, 6 * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    const int fd = uapi::open(Path().c_str(), O_RDWR, {1, 0});
    ASSERT_EQ(uapi::ioctl(fd, BINDER_SET_CONTEXT_MGR, nullptr), 0);
    void* const map = uapi::mmap(room + kPage, 4 * kPage, PROT_READ,
                                 MAP_SHARED | MAP_FIXED, fd, 0);
    ASSERT_EQ(map, room + kPage);
    const Commands send = Commands().OneWay(0);
    EXPECT_EQ(WriteRead(client.fd(), send, kReadSize).codes().back(),
              Br::BR_TRANSACTION_COMPLETE);
    unmap(room + kPage);
    EXPECT_EQ(WriteRead(client.fd(), send, kReadSize).codes().back(),
              Br::BR_DEAD_REPLY);
    EXPECT_EQ(ErrorOf(uapi::mmap(nullptr, kPage, PROT_READ, MAP_SHARED, fd, 0)),
              EBUSY);
    EXPECT_EQ(uapi::munmap(room, 6 * kPage), 0);
    uapi::close(fd);
  }
}

// --- Bad addresses ---------------------------------------------------------

// Rows: IO-15 WR-07 OB-42
TEST(UapiTest, WildPointersAreFaults) {
  const Manager manager;
  const Device client(2);
  void* const wild = reinterpret_cast<void*>(0x123456789000);
  for (void* p : {static_cast<void*>(nullptr), wild,
                  static_cast<void*>(const_cast<char*>(client.map()))}) {
    binder_write_read args = {};
    if (p == client.map()) {
      // Can be read, all zero, but not be written back.
      EXPECT_EQ(ErrorOf(uapi::ioctl(client.fd(), BINDER_WRITE_READ, p)),
                EFAULT);
      continue;
    }
    EXPECT_EQ(ErrorOf(uapi::ioctl(client.fd(), BINDER_WRITE_READ, p)), EFAULT);
    args.write_size = 4;
    args.write_buffer = AddressOf(p);
    EXPECT_EQ(ErrorOf(uapi::ioctl(client.fd(), BINDER_WRITE_READ, &args)),
              EFAULT);
    args = {};
    args.read_size = kReadSize;
    args.read_buffer = AddressOf(p);
    EXPECT_EQ(ErrorOf(uapi::ioctl(client.fd(), BINDER_WRITE_READ, &args)),
              EFAULT);
    Payload payload;
    TransactionData data = payload.Data();
    data.data_size = 64;
    data.buffer = AddressOf(p);
    EXPECT_EQ(WriteRead(client.fd(), Commands().Put(Bc::BC_TRANSACTION, data),
                        kReadSize)
                  .codes()
                  .back(),
              Br::BR_FAILED_REPLY);
    EXPECT_EQ(ErrorOf(uapi::ioctl(client.fd(), BINDER_VERSION, p)), EINVAL);
  }
}

// --- Blocking --------------------------------------------------------------

// Rows: PL-10 RD-05
TEST(UapiTest, NonblockingIsLookedAtInEachCall) {
  const Device device(1, O_RDWR);
  EXPECT_EQ(Version(device.fd()), 8);
  ::fcntl(device.fd(), F_SETFL, O_NONBLOCK);
  EXPECT_EQ(Read(device.fd()).error, EAGAIN);
  ::fcntl(device.fd(), F_SETFL, 0);
  Runner reader([&] {
    EXPECT_EQ(Version(device.fd()), 8);
    EXPECT_EQ(Read(device.fd()).codes(), BrList{Br::BR_NOOP});
  });
  AwaitBlocked(device.fd(), reader.tid());
  uapi::close(::dup(device.fd()));
  reader.Join();
}

// Rows: SG-01 SG-03 SG-04
TEST(UapiTest, InterruptEndsAWait) {
  const Device device(1, O_RDWR);
  Runner reader([&] {
    EXPECT_EQ(Version(device.fd()), 8);
    const Result result = Read(device.fd());
    EXPECT_EQ(result.error, EINTR);
    EXPECT_EQ(result.read_consumed, 0u);
  });
  AwaitBlocked(device.fd(), reader.tid());
  EXPECT_EQ(uapi::interrupt(device.fd(), reader.tid()), 0);
  reader.Join();
  // Kept for the next wait.
  EXPECT_EQ(Version(device.fd()), 8);
  EXPECT_EQ(uapi::interrupt(device.fd(), ::gettid()), 0);
  EXPECT_EQ(Read(device.fd()).error, EINTR);
}

// Rows: RD-03 RD-04 DT-08
TEST(UapiTest, ThreadsAreOsThreads) {
  const Device device(1);
  const auto first_reads = [&] {
    EXPECT_EQ(Read(device.fd()).codes(), BrList{Br::BR_NOOP});
    EXPECT_EQ(Read(device.fd()).error, EAGAIN);
  };
  first_reads();
  std::thread(first_reads).join();
  EXPECT_EQ(uapi::ioctl(device.fd(), BINDER_THREAD_EXIT, nullptr), 0);
  first_reads();
}

// Rows: DT-09
TEST(UapiTest, TheRecordOfAThreadThatEndsStays) {
  const Device device(1);
  pid_t tid = 0;
  std::thread([&] {
    tid = ::gettid();
    EXPECT_EQ(Write(device.fd(), Commands().EnterLooper()), 0);
  }).join();
  auto& proc = UapiFacade::Get().Find(device.fd())->proc().state();
  sync::MutexLock lock(proc.queues_mu);
  const auto* const thread = proc.threads.Find(core::KeyOf(tid));
  ASSERT_NE(thread, nullptr);
  EXPECT_TRUE(thread->is_looper());
}

// --- Polling ---------------------------------------------------------------

// revents of the calling thread.
short Poll(int fd, int timeout = 0, short events = POLLIN) {
  pollfd p = {fd, events, 0};
  const int ready = uapi::poll(&p, 1, timeout);
  EXPECT_EQ(ready, p.revents != 0 ? 1 : 0);
  return p.revents;
}

// What a poll set of the system sees.
short SystemPoll(int fd, int timeout = 0) {
  pollfd p = {fd, POLLIN | POLLOUT, 0};
  ::poll(&p, 1, timeout);
  return p.revents;
}

class EpollSet {
 public:
  explicit EpollSet(int fd, std::uint32_t events = EPOLLIN)
      : set_(::epoll_create1(EPOLL_CLOEXEC)) {
    epoll_event event = {};
    event.events = events;
    EXPECT_EQ(::epoll_ctl(set_, EPOLL_CTL_ADD, fd, &event), 0);
  }
  EpollSet(const EpollSet&) = delete;
  EpollSet& operator=(const EpollSet&) = delete;
  ~EpollSet() { ::close(set_); }

  // The events; 0: none.
  std::uint32_t Wait(int timeout = 0) {
    epoll_event event = {};
    return ::epoll_wait(set_, &event, 1, timeout) == 1 ? event.events : 0;
  }

 private:
  int set_;
};

// Rows: PL-01 PL-02
TEST(UapiTest, TheFirstContactIsReadable) {
  const Device device(1);
  EXPECT_EQ(SystemPoll(device.fd()), POLLIN);
  EXPECT_EQ(Poll(device.fd(), -1), POLLIN);
  EXPECT_EQ(Poll(device.fd(), 0, POLLOUT), 0);
  EXPECT_EQ(Poll(device.fd(), 0, 0), 0);
  EXPECT_EQ(Read(device.fd()).codes(), BrList{Br::BR_NOOP});
  EXPECT_EQ(Poll(device.fd()), 0);
  EXPECT_EQ(SystemPoll(device.fd()), 0);
}

// Rows: PL-08
TEST(UapiTest, ReadinessBelongsToTheThread) {
  const Device device(1);
  EXPECT_EQ(Version(device.fd()), 8);
  EXPECT_EQ(Poll(device.fd()), 0);
  Runner other([&] {
    EXPECT_EQ(Poll(device.fd()), POLLIN);
    EXPECT_EQ(Version(device.fd()), 8);
    EXPECT_EQ(Poll(device.fd()), 0);
  });
  other.Join();
  EXPECT_EQ(Poll(device.fd()), 0);
}

// Rows: PL-04 PL-13
TEST(UapiTest, WorkForTheProcIsShownToPollers) {
  const Manager manager;
  const Device client(2);
  EXPECT_EQ(Poll(manager.fd()), 0);
  EpollSet set(manager.fd());
  Runner sender(
      [&] { EXPECT_EQ(Write(client.fd(), Commands().OneWay(0)), 0); });
  EXPECT_EQ(set.Wait(-1), EPOLLIN);
  EXPECT_EQ(Poll(manager.fd(), -1), POLLIN);
  sender.Join();
  // Too small a buffer: stays readable.
  EXPECT_EQ(WriteRead(manager.fd(), {}, 40).codes(), BrList{Br::BR_NOOP});
  EXPECT_EQ(set.Wait(), EPOLLIN);
  EXPECT_EQ(Read(manager.fd()).codes().back(), Br::BR_TRANSACTION);
  EXPECT_EQ(set.Wait(), 0u);
  EXPECT_EQ(Poll(manager.fd()), 0);
}

// Rows: PL-04
TEST(UapiTest, APollInProgressEnds) {
  const Manager manager;
  const Device client(2);
  const int other = ::eventfd(0, EFD_CLOEXEC);
  std::atomic<int> polled{0};
  Runner poller([&] {
    EXPECT_EQ(Version(manager.fd()), 8);
    for (int i = 0; i < 50; ++i) {
      pollfd fds[] = {
          {other, POLLIN, 0}, {-1, POLLIN, 0}, {manager.fd(), POLLIN, 0}};
      EXPECT_EQ(uapi::poll(fds, 3, -1), 1);
      EXPECT_EQ(fds[0].revents, 0);
      EXPECT_EQ(fds[2].revents, POLLIN);
      const Received call = Read(manager.fd()).Get(Br::BR_TRANSACTION);
      EXPECT_EQ(Write(manager.fd(), Commands().Free(call.tr.buffer)), 0);
      polled.store(i + 1);
    }
  });
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(WriteRead(client.fd(), Commands().OneWay(0), kReadSize).error, 0);
    while (polled.load() == i) std::this_thread::yield();
  }
  poller.Join();
  ::close(other);
}

// Other descriptors of the same set are seen, too.
TEST(UapiTest, APollEndsForOtherDescriptors) {
  const Device device(1);
  EXPECT_EQ(Version(device.fd()), 8);
  const int other = ::eventfd(0, EFD_CLOEXEC);
  Runner writer([&] { EXPECT_EQ(::eventfd_write(other, 1), 0); });
  pollfd fds[] = {{device.fd(), POLLIN, 0}, {other, POLLIN, 0}};
  EXPECT_EQ(uapi::poll(fds, 2, -1), 1);
  EXPECT_EQ(fds[0].revents, 0);
  EXPECT_EQ(fds[1].revents, POLLIN);
  writer.Join();
  // Both at once.
  uapi::close(::dup(device.fd()));
  EXPECT_EQ(uapi::poll(fds, 2, -1), 2);
  EXPECT_EQ(fds[0].revents, POLLIN);
  EXPECT_EQ(fds[1].revents, POLLIN);
  ::close(other);
  EXPECT_EQ(uapi::poll(fds, 2, -1), 2);
  EXPECT_EQ(fds[1].revents, POLLNVAL);
}

// Rows: PL-05
TEST(UapiTest, AThreadBlockedInReadGetsTheWork) {
  const Manager manager(O_RDWR);
  const Device client(2);
  EXPECT_EQ(Poll(manager.fd()), 0);
  Runner reader([&] {
    EXPECT_EQ(Version(manager.fd()), 8);
    EXPECT_EQ(Read(manager.fd()).codes().back(), Br::BR_TRANSACTION);
  });
  AwaitBlocked(manager.fd(), reader.tid());
  EXPECT_EQ(Write(client.fd(), Commands().OneWay(0)), 0);
  EXPECT_EQ(SystemPoll(manager.fd()), 0);
  EXPECT_EQ(Poll(manager.fd()), 0);
  reader.Join();
  EXPECT_EQ(SystemPoll(manager.fd()), 0);
}

// Rows: PL-03 PL-11 RD-16
TEST(UapiTest, AReplyIsShownToItsCaller) {
  const Manager manager;
  const Device client(2);
  EXPECT_EQ(Version(client.fd()), 8);
  EpollSet set(client.fd());
  for (const bool polls : {false, true}) {
    if (polls) {
      EXPECT_EQ(Poll(client.fd()), 0);
    }
    ASSERT_EQ(Write(client.fd(), Commands().Transact(0)), 0);
    EXPECT_EQ(set.Wait(), 0u);
    const Received call = Read(manager.fd()).Get(Br::BR_TRANSACTION);
    ASSERT_EQ(Write(manager.fd(), Commands().Free(call.tr.buffer).Reply()), 0);
    EXPECT_EQ(set.Wait(), EPOLLIN);
    const Result result = Read(client.fd());
    EXPECT_EQ(result.codes(),
              (BrList{Br::BR_NOOP, Br::BR_TRANSACTION_COMPLETE, Br::BR_REPLY}));
    EXPECT_EQ(set.Wait(), 0u);
    EXPECT_EQ(Read(manager.fd()).codes().back(), Br::BR_TRANSACTION_COMPLETE);
  }
}

// Rows: PL-06
TEST(UapiTest, EachEventIsAnEdge) {
  const Manager manager;
  const Device client(2);
  EXPECT_EQ(Version(client.fd()), 8);
  EpollSet set(manager.fd(), EPOLLIN | EPOLLET);
  EXPECT_EQ(set.Wait(), 0u);
  EXPECT_EQ(Write(client.fd(), Commands().Transact(0)), 0);
  EXPECT_EQ(set.Wait(), EPOLLIN);
  EXPECT_EQ(set.Wait(), 0u);
  Runner second(
      [&] { EXPECT_EQ(Write(client.fd(), Commands().Transact(0)), 0); });
  second.Join();
  EXPECT_EQ(set.Wait(), EPOLLIN);

  // Work that a thread queues for itself.
  EpollSet own(client.fd(), EPOLLIN | EPOLLET);
  EXPECT_EQ(own.Wait(), 0u);
  EXPECT_EQ(Write(client.fd(), Commands().OneWay(0)), 0);
  EXPECT_EQ(own.Wait(), EPOLLIN);
  EXPECT_EQ(own.Wait(), 0u);
  EXPECT_EQ(Write(client.fd(), Commands().OneWay(0)), 0);
  EXPECT_EQ(own.Wait(), EPOLLIN);
}

// Rows: PL-07
TEST(UapiTest, AnExitingPollerIsShown) {
  const Device device(1);
  EXPECT_EQ(Version(device.fd()), 8);
  EXPECT_EQ(Poll(device.fd()), 0);
  Runner other([&] { EXPECT_EQ(Version(device.fd()), 8); });
  other.Join();
  {
    EpollSet set(device.fd());
    EXPECT_EQ(set.Wait(), 0u);
    EXPECT_EQ(uapi::ioctl(device.fd(), BINDER_THREAD_EXIT, nullptr), 0);
    EXPECT_EQ(set.Wait(), EPOLLIN);
    EXPECT_EQ(Poll(device.fd()), POLLIN);
    EXPECT_EQ(Read(device.fd()).codes(), BrList{Br::BR_NOOP});
    EXPECT_EQ(set.Wait(), 0u);
    EXPECT_EQ(uapi::ioctl(device.fd(), BINDER_THREAD_EXIT, nullptr), 0);
  }
  EXPECT_EQ(Version(device.fd()), 8);
  EXPECT_EQ(Poll(device.fd()), 0);
}

// A flush makes a thread readable, but wakes none that polls, and the last
// close neither: it is carried out when the poll ends.
// Rows: PL-12 DT-10 DT-20 SG-19
TEST(UapiTest, ClosingDoesNotEndAPoll) {
  const int fd = uapi::open(Path().c_str(), O_RDWR, {1, 0});
  ASSERT_EQ(uapi::ioctl(fd, BINDER_SET_CONTEXT_MGR, nullptr), 0);
  const Device client(2);
  const int other = ::eventfd(0, EFD_CLOEXEC);
  const int started = ::eventfd(0, EFD_CLOEXEC);
  Runner poller([&] {
    EXPECT_EQ(Version(fd), 8);
    EXPECT_EQ(Poll(fd), 0);
    ::eventfd_write(started, 1);
    // Not readable any more: `other` ends the poll, which looks at all again.
    pollfd fds[] = {{fd, POLLIN, 0}, {other, POLLIN, 0}};
    EXPECT_EQ(uapi::poll(fds, 2, -1), 2);
    EXPECT_EQ(fds[0].revents, POLLNVAL);
    EXPECT_EQ(fds[1].revents, POLLIN);
  });
  eventfd_t value = 0;
  ::eventfd_read(started, &value);
  WaitUntilAsleepIn(SYS_ppoll, poller.tid());
  EXPECT_EQ(uapi::close(fd), 0);
  EXPECT_EQ(ErrorOf(uapi::ioctl(client.fd(), BINDER_SET_CONTEXT_MGR, nullptr)),
            EBUSY);
  ::eventfd_write(other, 1);
  poller.Join();
  EXPECT_EQ(uapi::ioctl(client.fd(), BINDER_SET_CONTEXT_MGR, nullptr), 0);
  ::close(other);
  ::close(started);
}

// As long as nobody polls through the facade, any thread may be about to wait
// in a set of the system's; threads that have ended are not.
TEST(UapiTest, ThreadsThatHaveEndedAreNotWaitedFor) {
  const Device device(1);
  EXPECT_EQ(Version(device.fd()), 8);
  EXPECT_EQ(SystemPoll(device.fd()), 0);
  std::thread([&] { EXPECT_EQ(Poll(device.fd()), POLLIN); }).join();
  EXPECT_EQ(Version(device.fd()), 8);
  EXPECT_EQ(SystemPoll(device.fd()), 0);
}

// --- fork ------------------------------------------------------------------

// Rows: AL-04 AL-06 IO-26
TEST(UapiTest, AChildCannotUseWhatIsOpen) {
  const Manager manager;
  ::testing::internal::CaptureStderr();
  const pid_t child = ::fork();
  if (child == 0) {
    bool good = uapi::ioctl(manager.fd(), BINDER_VERSION, nullptr) == -1 &&
                errno == EINVAL;
    good = good &&
           uapi::mmap(nullptr, kPage, PROT_READ, MAP_SHARED, manager.fd(), 0) ==
               MAP_FAILED &&
           errno == EINVAL;
    good = good && uapi::open(Path().c_str(), O_RDWR) == -1 && errno == ENODEV;
    good = good && uapi::interrupt(manager.fd(), 1) == -1 && errno == EINVAL;
    good = good &&
           ::msync(const_cast<char*>(manager.map()), kPage, MS_ASYNC) == -1;
    good = good && uapi::close(manager.fd()) == 0;
    ::_exit(good ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  const std::string told = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(told.find("binderlite: fork: "), std::string::npos) << told;
  EXPECT_EQ(std::count(told.begin(), told.end(), '\n'), 1) << told;
  // The parent's is none the worse for it.
  const Device client(2);
  EXPECT_EQ(
      WriteRead(client.fd(), Commands().OneWay(0), kReadSize).codes().back(),
      Br::BR_TRANSACTION_COMPLETE);
}

TEST(UapiTest, AChildOfAProcessWithoutDescriptorsStartsAfresh) {
  { const Manager manager; }
  const pid_t child = ::fork();
  if (child == 0) {
    const int fd = uapi::open(Path().c_str(), O_RDWR);
    const bool good = uapi::ioctl(fd, BINDER_SET_CONTEXT_MGR, nullptr) == 0;
    ::_exit(good && uapi::close(fd) == 0 ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

// How many eventfds this process has.
int CountEvents() {
  int count = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;  // The directory's own, by now.
    if (std::filesystem::read_symlink(entry, gone) == "anon_inode:[eventfd]") {
      ++count;
    }
  }
  return count;
}

// They would stay open in it, and it could not even close them.
TEST(UapiTest, AChildHasNoEventsOfItsParentsThreads) {
  Latch latch;
  const std::jthread polled([&] {
    {
      const Manager manager;
      pollfd p = {manager.fd(), POLLIN, 0};
      EXPECT_EQ(uapi::poll(&p, 1, 0), 0);
    }
    latch.ArriveAndWait();
  });
  latch.Await();
  const int before = CountEvents();
  const pid_t child = ::fork();
  if (child == 0) ::_exit(CountEvents() == before - 1 ? 0 : 1);
  latch.Open();
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace binderlite::testing
