// SPDX-License-Identifier: Apache-2.0
//
// The kernel's binder and this one, side by side in one emulated machine: round
// trips of 4 B,
//
//   kernel      between two processes, through /dev/binder
//   ours        between two threads, with byte streams as in the kernel
//   ours-park   the same with WaitOptions::ParkAtOnce
//   ours-typed  the same with the driver's typed operations
//   futex       between two threads that hand a turn to and fro
//   futex-processes
//               the same between two processes, in shared memory: what the
//               kernel's binder has to be compared with, since changing from
//               one address space to another is dear in an emulated machine
//
// The first three run the same code, apart from the system call. Placements:
// wherever the system has them (row kernel/<subject>/4), both on one processor
// (kernel/<subject>/same/4) and on one each (kernel/<subject>/split/4).
//
// The subjects take turns in each of several passes. A row's p50 and p99 are
// medians over the passes, ns; p50_min and p50_max the best and the worst of
// them; of_kernel is the median of the ratio to the kernel in the same pass.
//
//   on_kernel [PASSES [CALLS]]      default 3 and 2000
//
// A subject makes fewer calls in a pass where they would take longer than half
// a second, as between two emulated processors they may.
//
// Static, so that scripts/run-on-kernel-binder can run it; prints JSON between
// two lines of marks.

#include <absl/synchronization/mutex.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "binderlite/driver/driver.h"
#include "support/histogram.h"

namespace binderlite::bench {
namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void Die(const char* what) {
  std::perror(what);
  std::exit(1);
}

// --- Where threads run -------------------------------------------------------

enum class Placement { kFree, kSame, kSplit };

// `thread`: 0 is the calling one. `index`: 0 for clients, 1 for servers.
void Place(Placement placement, int index, pid_t thread = 0) {
  static const long kCount = ::sysconf(_SC_NPROCESSORS_ONLN);
  cpu_set_t set;
  CPU_ZERO(&set);
  for (long cpu = 0; cpu < kCount; ++cpu) {
    if (placement == Placement::kFree ||
        cpu == (placement == Placement::kSplit ? index : 0)) {
      CPU_SET(static_cast<std::size_t>(cpu), &set);
    }
  }
  if (::sched_setaffinity(thread, sizeof(set), &set) != 0) {
    Die("sched_setaffinity");
  }
}

// --- Byte streams, whoever reads them ----------------------------------------

// One side of a conversation. `Port` has bool WriteRead(struct WriteRead&).
template <class Port>
class Stream {
 public:
  explicit Stream(Port port) : port_(std::move(port)) {}

  template <class T>
  void Put(Bc code, const T& value) {
    Put(&code, sizeof(code));
    Put(&value, sizeof(value));
  }
  void Put(Bc code) { Put(&code, sizeof(code)); }

  // Writes what has been put and reads until `wanted` comes.
  bool Exchange(Br wanted, TransactionData& data) {
    struct WriteRead args = {};
    args.write_size = size_;
    args.write_buffer = reinterpret_cast<std::uint64_t>(out_.data());
    args.read_buffer = reinterpret_cast<std::uint64_t>(in_.data());
    size_ = 0;
    for (;;) {
      args.read_size = in_.size();
      args.read_consumed = 0;
      if (!port_.WriteRead(args)) return false;
      bool found = false;
      for (std::size_t at = 0; at < args.read_consumed;) {
        Br code = {};
        std::memcpy(&code, in_.data() + at, sizeof(code));
        at += sizeof(code);
        if (code == Br::BR_DEAD_REPLY || code == Br::BR_FAILED_REPLY) {
          return false;
        }
        if (code == wanted) {
          std::memcpy(&data, in_.data() + at, sizeof(data));
          found = true;
        }
        at += PayloadSize(code);
      }
      if (found) return true;
    }
  }

 private:
  void Put(const void* bytes, std::size_t size) {
    std::memcpy(out_.data() + size_, bytes, size);
    size_ += size;
  }

  Port port_;
  std::array<std::byte, 256> out_ = {};
  std::array<std::byte, 256> in_ = {};
  std::size_t size_ = 0;
};

TransactionData DataOf(const std::uint32_t& payload) {
  TransactionData data = {};
  data.data_size = sizeof(payload);
  data.buffer = reinterpret_cast<std::uint64_t>(&payload);
  return data;
}
std::uint32_t PayloadOf(const TransactionData& data) {
  std::uint32_t payload = 0;
  std::memcpy(&payload, reinterpret_cast<const void*>(data.buffer),
              sizeof(payload));
  return payload;
}

// Answers each number with the next one.
template <class Port>
void Serve(Port port) {
  Stream<Port> stream(std::move(port));
  std::uint32_t answer = 0;
  TransactionData call = {};
  stream.Put(Bc::BC_ENTER_LOOPER);
  while (stream.Exchange(Br::BR_TRANSACTION, call)) {
    answer = PayloadOf(call) + 1;
    stream.Put(Bc::BC_FREE_BUFFER, call.buffer);
    stream.Put(Bc::BC_REPLY, DataOf(answer));
  }
}

// One side that calls; frees the buffer of a reply with the next call.
template <class Port>
class Caller {
 public:
  explicit Caller(Port port) : stream_(std::move(port)) {}

  bool Call(std::uint32_t& number) {
    if (buffer_ != 0) stream_.Put(Bc::BC_FREE_BUFFER, buffer_);
    stream_.Put(Bc::BC_TRANSACTION, DataOf(number));
    TransactionData reply = {};
    if (!stream_.Exchange(Br::BR_REPLY, reply)) return false;
    buffer_ = reply.buffer;
    const std::uint32_t answer = PayloadOf(reply);
    if (answer != number + 1) return false;
    number = answer;
    return true;
  }

 private:
  Stream<Port> stream_;
  std::uint64_t buffer_ = 0;
};

// --- Subjects ----------------------------------------------------------------

constexpr auto kLongest = std::chrono::milliseconds(500);

// Times `call`, which returns false when something is wrong. The first tenth is
// for warming up.
template <class F>
Histogram Measure(int calls, F call) {
  Histogram times;
  const Clock::time_point begin = Clock::now();
  Clock::time_point from = begin;
  for (int i = -calls / 10; i < calls; ++i) {
    if (!call()) Die("call");
    const Clock::time_point to = Clock::now();
    const auto took =
        std::chrono::duration_cast<std::chrono::nanoseconds>(to - from);
    const bool late = to - begin > kLongest;
    if (i >= 0 || late) times.Record(took.count());
    if (late) break;
    from = to;
  }
  return times;
}

// One open of /dev/binder.
class KernelPort {
 public:
  KernelPort() : fd_(::open("/dev/binder", O_RDWR | O_CLOEXEC)) {
    if (fd_ < 0 || ::mmap(nullptr, std::size_t{1} << 20, PROT_READ, MAP_PRIVATE,
                          fd_, 0) == MAP_FAILED) {
      Die("/dev/binder");
    }
  }
  bool BecomeManager() {
    std::int32_t zero = 0;
    return ::ioctl(fd_, static_cast<unsigned long>(Ioctl::kSetContextMgr),
                   &zero) == 0;
  }
  bool WriteRead(struct WriteRead& args) {
    return ::ioctl(fd_, static_cast<unsigned long>(Ioctl::kWriteRead), &args) ==
           0;
  }

 private:
  int fd_;
};

class OurPort {
 public:
  explicit OurPort(Thread& thread) : thread_(&thread) {}
  bool WriteRead(struct WriteRead& args) {
    return thread_->WriteRead(args) == Errc::kOk;
  }

 private:
  Thread* thread_;
};

bool CallTyped(Thread& self, std::uint32_t& number) {
  if (self.Transact(DataOf(number)) != Errc::kOk) return false;
  Incoming work;
  do {
    if (self.NextWork(work) != Errc::kOk || work.command == Br::BR_DEAD_REPLY ||
        work.command == Br::BR_FAILED_REPLY) {
      return false;
    }
  } while (work.command != Br::BR_REPLY);
  const std::uint32_t answer = PayloadOf(work.transaction);
  const bool right = answer == number + 1;
  number = answer;
  return self.FreeBuffer(work.transaction.buffer) == Errc::kOk && right;
}

void ServeTyped(Thread& self) {
  Incoming work;
  if (self.EnterLooper() != Errc::kOk) return;
  while (self.NextWork(work) == Errc::kOk) {
    if (work.command != Br::BR_TRANSACTION) continue;
    const std::uint32_t answer = PayloadOf(work.transaction) + 1;
    if (self.FreeBuffer(work.transaction.buffer) != Errc::kOk ||
        self.Reply(DataOf(answer)) != Errc::kOk) {
      return;
    }
  }
}

Histogram MeasureOurs(Placement placement, int calls, bool typed,
                      const sync::WaitOptions& waits) {
  Context context({.spinners = std::make_shared<sync::Spinners>(waits)});
  Proc server_proc = context.Open();
  Thread server = server_proc.Attach();
  if (server.SetContextMgr() != Errc::kOk) Die("SetContextMgr");
  std::jthread looper([&] {
    Place(placement, 1);
    if (typed) {
      ServeTyped(server);
    } else {
      Serve(OurPort(server));
    }
  });
  Proc client_proc = context.Open();
  Thread client = client_proc.Attach();
  std::uint32_t number = 0;
  Caller<OurPort> caller((OurPort(client)));
  Histogram times = Measure(calls, [&] {
    return typed ? CallTyped(client, number) : caller.Call(number);
  });
  server.Kill();
  return times;
}

// A turn that is handed to and fro, and a number that goes with it.
class FutexTurn {
 public:
  static constexpr std::uint32_t kClient = 0;
  static constexpr std::uint32_t kServer = 1;
  static constexpr std::uint32_t kEnd = 2;

  // Answers each number with the next one.
  void Serve() {
    while (AwaitOther(kClient) != kEnd) {
      back_ = there_ + 1;
      Give(kClient);
    }
  }
  bool Call(std::uint32_t& number) {
    there_ = number;
    Give(kServer);
    AwaitOther(kServer);
    return back_ == ++number;
  }
  void End() { Give(kEnd); }

 private:
  void Give(std::uint32_t to) {
    turn_.store(to, std::memory_order_release);
    Futex(FUTEX_WAKE, 1);
  }
  // Waits until it is no longer `turn`; returns whose it is.
  std::uint32_t AwaitOther(std::uint32_t turn) {
    for (;;) {
      const std::uint32_t now = turn_.load(std::memory_order_acquire);
      if (now != turn) return now;
      Futex(FUTEX_WAIT, turn);
    }
  }

  void Futex(int operation, std::uint32_t value) {
    ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&turn_), operation,
              value, nullptr, nullptr, 0);
  }

  std::atomic<std::uint32_t> turn_{0};
  std::uint32_t there_ = 0;
  std::uint32_t back_ = 0;
};

Histogram MeasureFutex(Placement placement, int calls) {
  FutexTurn turn;
  std::jthread server([&] {
    Place(placement, 1);
    turn.Serve();
  });
  std::uint32_t number = 0;
  Histogram times = Measure(calls, [&] { return turn.Call(number); });
  turn.End();
  return times;
}

// A process for as long as this lives. To be started while there is one thread
// only.
class ServerProcess {
 public:
  // `main` is called in it; it calls its argument when it is ready.
  explicit ServerProcess(
      const std::function<void(std::function<void()>)>& main) {
    int ready[2];
    if (::pipe(ready) != 0) Die("pipe");
    pid_ = ::fork();
    if (pid_ < 0) Die("fork");
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      main([&ready] {
        if (::write(ready[1], "", 1) != 1) Die("write");
      });
      ::_exit(0);
    }
    char byte = 0;
    ::close(ready[1]);
    if (::read(ready[0], &byte, 1) != 1) Die("the server does not start");
    ::close(ready[0]);
  }
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;
  ~ServerProcess() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

// --- Passes ------------------------------------------------------------------

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Row {
  std::vector<double> p50;
  std::vector<double> p99;
  double max = 0;
};

void Print(const std::vector<std::string>& order,
           const std::map<std::string, Row>& rows,
           const std::map<std::string, std::string>& kernel_of) {
  std::printf("@@JSON\n{\n \"benchmarks\": [");
  const char* separator = "\n";
  for (const std::string& name : order) {
    const Row& row = rows.at(name);
    const Row& kernel = rows.at(kernel_of.at(name));
    std::vector<double> ratios;
    for (std::size_t i = 0; i < row.p50.size(); ++i) {
      ratios.push_back(row.p50[i] / kernel.p50[i]);
    }
    std::printf(
        "%s  {\"name\": \"%s\", \"run_name\": \"%s\", \"run_type\": "
        "\"iteration\", \"p50\": %.0f, \"p99\": %.0f, \"max\": %.0f, "
        "\"p50_min\": %.0f, \"p50_max\": %.0f, \"of_kernel\": %.4f, "
        "\"passes\": %zu}",
        separator, name.c_str(), name.c_str(), Median(row.p50), Median(row.p99),
        row.max, *std::min_element(row.p50.begin(), row.p50.end()),
        *std::max_element(row.p50.begin(), row.p50.end()), Median(ratios),
        row.p50.size());
    separator = ",\n";
  }
  std::printf("\n ]\n}\n@@JSON\n");
}

int Main(int passes, int calls) {
  void* const shared = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) Die("mmap");
  auto* const turn = ::new (shared) FutexTurn;
  const ServerProcess kernel_server([](const std::function<void()>& ready) {
    KernelPort port;
    if (!port.BecomeManager()) Die("BINDER_SET_CONTEXT_MGR");
    ready();
    Serve(port);
  });
  const ServerProcess futex_server([turn](const std::function<void()>& ready) {
    ready();
    turn->Serve();
  });
  Caller<KernelPort> kernel((KernelPort()));
  std::uint32_t number = 0;

  using Subject = std::function<Histogram(Placement)>;
  const std::vector<std::pair<std::string, Subject>> subjects = {
      {"kernel",
       [&](Placement placement) {
         Place(placement, 1, kernel_server.pid());
         return Measure(calls, [&] { return kernel.Call(number); });
       }},
      {"ours",
       [&](Placement placement) {
         return MeasureOurs(placement, calls, false, {});
       }},
      {"ours-park",
       [&](Placement placement) {
         return MeasureOurs(placement, calls, false,
                            sync::WaitOptions::ParkAtOnce());
       }},
      {"ours-typed",
       [&](Placement placement) {
         return MeasureOurs(placement, calls, true, {});
       }},
      {"futex",
       [&](Placement placement) { return MeasureFutex(placement, calls); }},
      {"futex-processes",
       [&](Placement placement) {
         Place(placement, 1, futex_server.pid());
         std::uint32_t count = 0;
         return Measure(calls, [&] { return turn->Call(count); });
       }},
  };
  const std::pair<Placement, const char*> placements[] = {
      {Placement::kFree, "/4"},
      {Placement::kSame, "/same/4"},
      {Placement::kSplit, "/split/4"},
  };

  std::vector<std::string> order;
  std::map<std::string, Row> rows;
  std::map<std::string, std::string> kernel_of;
  for (int pass = 0; pass < passes; ++pass) {
    for (const auto& [placement, suffix] : placements) {
      for (const auto& [subject, measure] : subjects) {
        Place(placement, 0);
        const Histogram times = measure(placement);
        std::string name = "kernel/" + subject;
        name += suffix;
        if (pass == 0) {
          order.push_back(name);
          kernel_of[name] = std::string("kernel/kernel") + suffix;
        }
        Row& row = rows[name];
        row.p50.push_back(times.Quantile(0.5));
        row.p99.push_back(times.Quantile(0.99));
        row.max = std::max(row.max, times.max());
      }
    }
  }
  Print(order, rows, kernel_of);
  return 0;
}

}  // namespace
}  // namespace binderlite::bench

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return binderlite::bench::Main(
      argc > 1 ? std::max(std::atoi(argv[1]), 1) : 3,
      argc > 2 ? std::max(std::atoi(argv[2]), 1) : 2000);
}
