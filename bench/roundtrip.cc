// SPDX-License-Identifier: Apache-2.0
//
// Synchronous round trips between two threads: each locking discipline, through
// byte streams and through the driver's typed operations, beside what a bare
// futex and a bare spin need to hand a payload over and back. The payload is
// written by the sender and read by the receiver, in both directions.
//
// Both threads on one processor (same), on one each (split), or wherever the
// system has them (free). "parking" is the driver with WaitOptions::ParkAtOnce.
//
// Abseil's deadlock detection is off, as in a program built for speed.
//
// Compare ratios within one run only, and interleave:
//   roundtrip --benchmark_enable_random_interleaving=true
//             --benchmark_repetitions=7 --benchmark_report_aggregates_only=true

#include <absl/synchronization/mutex.h>
#include <benchmark/benchmark.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "binderlite/binderlite.h"

namespace bl = binderlite;

namespace {

// Reads every byte.
std::uint64_t Sum(const void* data, std::size_t size) {
  const auto* bytes = static_cast<const unsigned char*>(data);
  return std::accumulate(bytes, bytes + size, std::uint64_t{0});
}

bl::TransactionData DataOf(const std::vector<std::byte>& payload) {
  bl::TransactionData data = {};
  data.data_size = payload.size();
  data.buffer = reinterpret_cast<std::uint64_t>(payload.data());
  return data;
}

std::uint64_t SumOf(const bl::TransactionData& data) {
  return Sum(reinterpret_cast<const void*>(data.buffer),
             static_cast<std::size_t>(data.data_size));
}

// Where the two threads are.
enum Placement { kSame, kSplit, kFree };

// Has the calling thread run on the processors that the program may use, or on
// the first or the second of them.
class Processors {
 public:
  Processors() { ::sched_getaffinity(0, sizeof(all_), &all_); }
  ~Processors() { Use(all_); }
  Processors(const Processors&) = delete;
  Processors& operator=(const Processors&) = delete;

  void PlaceClient(Placement placement) const {
    if (placement != kFree) UseOnly(0);
  }
  void PlaceServer(Placement placement) const {
    if (placement == kFree) {
      Use(all_);
    } else {
      UseOnly(placement == kSame ? 0 : 1);
    }
  }

 private:
  static void Use(const cpu_set_t& set) {
    ::sched_setaffinity(0, sizeof(set), &set);
  }
  void UseOnly(int index) const {
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (!CPU_ISSET(cpu, &all_) || index-- > 0) continue;
      CPU_SET(cpu, &one);
      Use(one);
      return;
    }
  }

  cpu_set_t all_;
};

// A service behind handle 0 that answers each call with as many bytes.
template <class L>
class Echo {
 public:
  template <class Place>
  Echo(bl::BasicContext<L>& context, Place place)
      : proc_(context.Open({.name = "echo"})), thread_(proc_.Attach()) {
    ok_ = thread_.SetContextMgr() == bl::Errc::kOk;
    looper_ = std::jthread([this, place](const std::stop_token& stop) {
      place();
      Run(stop);
    });
  }
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  void Run(const std::stop_token& stop) {
    std::vector<std::byte> answer;
    bl::Incoming work;
    if (thread_.EnterLooper() != bl::Errc::kOk) return;
    while (thread_.NextWork(work, stop) == bl::Errc::kOk) {
      if (work.command != bl::Br::BR_TRANSACTION) continue;
      answer.resize(static_cast<std::size_t>(work.transaction.data_size));
      benchmark::DoNotOptimize(SumOf(work.transaction));
      if (thread_.FreeBuffer(work.transaction.buffer) != bl::Errc::kOk ||
          thread_.Reply(DataOf(answer)) != bl::Errc::kOk) {
        return;
      }
    }
  }

  bl::BasicProc<L> proc_;
  bl::BasicThread<L> thread_;
  bool ok_ = false;
  std::jthread looper_;
};

// One call with Transact and NextWork.
template <class L>
bool CallTyped(bl::BasicThread<L>& self,
               const std::vector<std::byte>& payload) {
  if (self.Transact(DataOf(payload)) != bl::Errc::kOk) return false;
  bl::Incoming work;
  do {
    if (self.NextWork(work) != bl::Errc::kOk ||
        work.command == bl::Br::BR_DEAD_REPLY ||
        work.command == bl::Br::BR_FAILED_REPLY) {
      return false;
    }
  } while (work.command != bl::Br::BR_REPLY);
  benchmark::DoNotOptimize(SumOf(work.transaction));
  return self.FreeBuffer(work.transaction.buffer) == bl::Errc::kOk;
}

// One call with BINDER_WRITE_READ: the transaction and the reply in one ioctl;
// the buffer of the last reply is freed by the next one, as libbinder does.
template <class L>
class StreamCaller {
 public:
  explicit StreamCaller(bl::BasicThread<L>& self) : self_(self) {}

  bool Call(const std::vector<std::byte>& payload) {
    std::array<std::byte, 128> out = {};
    std::size_t size = 0;
    const auto Put = [&](bl::Bc code, const auto& value) {
      std::memcpy(out.data() + size, &code, sizeof(code));
      std::memcpy(out.data() + size + sizeof(code), &value, sizeof(value));
      size += sizeof(code) + sizeof(value);
    };
    if (last_buffer_ != 0) Put(bl::Bc::BC_FREE_BUFFER, last_buffer_);
    Put(bl::Bc::BC_TRANSACTION, DataOf(payload));
    std::array<std::byte, 256> in = {};
    bl::WriteRead args = {};
    args.write_size = size;
    args.write_buffer = reinterpret_cast<std::uint64_t>(out.data());
    args.read_buffer = reinterpret_cast<std::uint64_t>(in.data());
    for (;;) {
      args.read_size = in.size();
      args.read_consumed = 0;
      if (self_.WriteRead(args) != bl::Errc::kOk) return false;
      for (std::size_t at = 0; at < args.read_consumed;) {
        bl::Br code = {};
        std::memcpy(&code, in.data() + at, sizeof(code));
        at += sizeof(code);
        if (code == bl::Br::BR_REPLY) {
          bl::TransactionData reply = {};
          std::memcpy(&reply, in.data() + at, sizeof(reply));
          benchmark::DoNotOptimize(SumOf(reply));
          last_buffer_ = reply.buffer;
          return true;
        }
        if (code == bl::Br::BR_DEAD_REPLY || code == bl::Br::BR_FAILED_REPLY) {
          return false;
        }
        at += bl::PayloadSize(code);
      }
    }
  }

 private:
  bl::BasicThread<L>& self_;
  std::uint64_t last_buffer_ = 0;
};

bl::ContextOptions OptionsFor(const benchmark::State& state) {
  bl::ContextOptions options;
  if (state.range(2) != 0) {
    options.spinners = std::make_shared<bl::sync::Spinners>(
        bl::sync::WaitOptions::ParkAtOnce());
  }
  return options;
}

template <class L>
void Typed(benchmark::State& state) {
  const auto placement = static_cast<Placement>(state.range(1));
  const Processors processors;
  bl::BasicContext<L> context(OptionsFor(state));
  const Echo<L> echo(context, [&] { processors.PlaceServer(placement); });
  processors.PlaceClient(placement);
  bl::BasicProc<L> client = context.Open({.name = "client"});
  bl::BasicThread<L> self = client.Attach();
  std::vector<std::byte> payload(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    std::memset(payload.data(), 1, payload.size());
    if (!echo.ok() || !CallTyped(self, payload)) {
      state.SkipWithError("call failed");
      break;
    }
  }
}

template <class L>
void Streams(benchmark::State& state) {
  const auto placement = static_cast<Placement>(state.range(1));
  const Processors processors;
  bl::BasicContext<L> context(OptionsFor(state));
  const Echo<L> echo(context, [&] { processors.PlaceServer(placement); });
  processors.PlaceClient(placement);
  bl::BasicProc<L> client = context.Open({.name = "client"});
  bl::BasicThread<L> self = client.Attach();
  StreamCaller<L> caller(self);
  std::vector<std::byte> payload(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    std::memset(payload.data(), 1, payload.size());
    if (!echo.ok() || !caller.Call(payload)) {
      state.SkipWithError("call failed");
      break;
    }
  }
}

// --- Peers -----------------------------------------------------------------

// Hands a turn to and fro between two threads.
class FutexTurn {
 public:
  void Give(std::uint32_t to) {
    turn_.store(to, std::memory_order_release);
    Futex(FUTEX_WAKE_PRIVATE, 1);
  }
  void Await(std::uint32_t mine) {
    for (;;) {
      const std::uint32_t turn = turn_.load(std::memory_order_acquire);
      if (turn == mine) return;
      Futex(FUTEX_WAIT_PRIVATE, turn);
    }
  }

 private:
  void Futex(int operation, std::uint32_t value) {
    ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&turn_), operation,
              value, nullptr, nullptr, 0);
  }
  std::atomic<std::uint32_t> turn_{0};
};

class SpinTurn {
 public:
  void Give(std::uint32_t to) { turn_.store(to, std::memory_order_release); }
  void Await(std::uint32_t mine) {
    // With both threads on one CPU spinning needs help to be finite.
    for (int spins = 0; turn_.load(std::memory_order_acquire) != mine;) {
      if (++spins % (1 << 14) == 0) std::this_thread::yield();
    }
  }

 private:
  std::atomic<std::uint32_t> turn_{0};
};

// The payload is copied once each way, as binder does.
template <class Turn>
void PingPong(benchmark::State& state) {
  constexpr std::uint32_t kClient = 0;
  constexpr std::uint32_t kServer = 1;
  const auto placement = static_cast<Placement>(state.range(1));
  const Processors processors;
  Turn turn;
  std::atomic<bool> stop{false};
  const auto size = static_cast<std::size_t>(state.range(0));
  std::vector<std::byte> there(size);
  std::vector<std::byte> back(size);
  std::vector<std::byte> answer(size);
  std::jthread server([&] {
    processors.PlaceServer(placement);
    for (;;) {
      turn.Await(kServer);
      if (stop.load(std::memory_order_relaxed)) return;
      benchmark::DoNotOptimize(Sum(there.data(), size));
      std::memcpy(back.data(), answer.data(), size);
      turn.Give(kClient);
    }
  });
  processors.PlaceClient(placement);
  std::vector<std::byte> payload(size);
  for (auto _ : state) {
    std::memset(payload.data(), 1, size);
    std::memcpy(there.data(), payload.data(), size);
    turn.Give(kServer);
    turn.Await(kClient);
    benchmark::DoNotOptimize(Sum(back.data(), size));
  }
  stop.store(true);
  turn.Give(kServer);
}

// One for each size and placement.
template <class F>
void Register(const std::string& name, F function, int parking) {
  const char* const placements[] = {"same", "split", "free"};
  for (const Placement placement : {kSame, kSplit, kFree}) {
    for (const std::int64_t size : {4, 128, 4096, 65536}) {
      const std::string full =
          name + "/" + placements[placement] + "/" + std::to_string(size);
      benchmark::RegisterBenchmark(full.c_str(), function)
          ->Args({size, placement, parking})
          ->UseRealTime();
    }
  }
}

template <class L>
void RegisterDiscipline() {
  const std::string name(L::kName);
  Register(name + "/typed", Typed<L>, 0);
  Register(name + "/streams", Streams<L>, 0);
  Register(name + "/typed, parking", Typed<L>, 1);
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  RegisterDiscipline<bl::BinderLock<bl::Relock::kAlways>>();
  RegisterDiscipline<bl::BinderLock<bl::Relock::kUnlessKilled>>();
  RegisterDiscipline<bl::BinderLock<bl::Relock::kInterruptible>>();
  RegisterDiscipline<bl::FineGrained<>>();
  Register("futex ping-pong", PingPong<FutexTurn>, 0);
  Register("spin ping-pong", PingPong<SpinTurn>, 0);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
