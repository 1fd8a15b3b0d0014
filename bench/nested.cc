// SPDX-License-Identifier: Apache-2.0
//
// Nested calls, and what single operations cost.
//
//   nested/typed/<same|split>/<depth>   A calls B calls A calls B ...; a depth
//                                       of 1 is a plain round trip
//   op/death          a death notification, from the end of the Proc that owned
//                     the node to the acknowledgement, of 256 at once
//   op/handle-pass    a call with a handle in it, and what it takes more than
//                     one without: `extra`
//   op/free-buffer    BC_FREE_BUFFER of a delivered call
//   op/clock          a reading of the clock, which each measured call contains
//
// The operations are made by one OS thread that plays all parts, so there is no
// hand-over in them.

#include <benchmark/benchmark.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "binderlite/binderlite.h"
#include "support/binder.h"
#include "support/measure.h"
#include "support/placement.h"
#include "support/subject.h"

namespace {

namespace bl = binderlite;
namespace bench = binderlite::bench;
using bench::Clock;
using bl::Br;
using bl::Errc;

using L = bl::FineGrained<>;
using Thread = bl::BasicThread<L>;
using Proc = bl::BasicProc<L>;
using Context = bl::BasicContext<L>;

// A payload that is one object.
class ObjectPayload {
 public:
  explicit ObjectPayload(const bl::FlatObject& object) : object_(object) {}
  [[nodiscard]] bl::TransactionData Data() const {
    bl::TransactionData data = {};
    data.buffer = reinterpret_cast<std::uint64_t>(&object_);
    data.data_size = sizeof(object_);
    data.offsets = reinterpret_cast<std::uint64_t>(&offset_);
    data.offsets_size = sizeof(offset_);
    return data;
  }

 private:
  bl::FlatObject object_;
  std::uint64_t offset_ = 0;
};

bl::FlatObject NodeObject(std::uint64_t ptr) {
  bl::FlatObject object = {};
  object.hdr.type = static_cast<std::uint32_t>(bl::ObjectType::kBinder);
  object.binder = ptr;
  object.cookie = ptr;
  return object;
}

std::uint32_t HandleIn(const bl::TransactionData& data, std::size_t at = 0) {
  bl::FlatObject object = {};
  std::memcpy(&object, static_cast<const std::byte*>(bench::BytesOf(data)) + at,
              sizeof(object));
  return object.handle;
}

// Reads until it is one of these, and acknowledges what a node's owner is told.
bool ReadUntil(Thread& self, bl::Incoming& work, std::initializer_list<Br> what,
               const std::stop_token& stop = {}) {
  for (;;) {
    if (self.NextWork(work, stop) != Errc::kOk) return false;
    for (const Br wanted : what) {
      if (work.command == wanted) return true;
    }
    switch (work.command) {
      case Br::BR_INCREFS:
        if (self.IncRefsDone(work.node) != Errc::kOk) return false;
        break;
      case Br::BR_ACQUIRE:
        if (self.AcquireDone(work.node) != Errc::kOk) return false;
        break;
      case Br::BR_DEAD_REPLY:
      case Br::BR_FAILED_REPLY:
        return false;
      default:
        break;
    }
  }
}

// --- Nested calls ------------------------------------------------------------

// One side: calls the other, and serves the calls that come back meanwhile.
// The code of a call says how many more are to be made inside it.
class Side {
 public:
  Side(Thread& self, std::uint32_t peer) : self_(self), peer_(peer) {}
  void SetPeer(std::uint32_t peer) { peer_ = peer; }

  bool Call(std::uint32_t code) {
    bl::TransactionData data = bench::DataOf(payload_);
    data.target.handle = peer_;
    data.code = code;
    if (self_.Transact(data) != Errc::kOk) return false;
    for (;;) {
      bl::Incoming work;
      if (!ReadUntil(self_, work, {Br::BR_REPLY, Br::BR_TRANSACTION})) {
        return false;
      }
      if (work.command == Br::BR_REPLY) {
        return self_.FreeBuffer(work.transaction.buffer) == Errc::kOk;
      }
      if (!Answer(work.transaction)) return false;
    }
  }
  bool Answer(const bl::TransactionData& call) {
    return self_.FreeBuffer(call.buffer) == Errc::kOk &&
           (call.code == 0 || Call(call.code - 1)) &&
           self_.Reply(bench::DataOf(payload_)) == Errc::kOk;
  }

 private:
  Thread& self_;
  std::uint32_t peer_;
  bench::Bytes payload_ = bench::Bytes(4);
};

void Nested(benchmark::State& state, bench::Placement placement,
            std::uint32_t depth) {
  const bench::Processors processors;
  Context context;
  Proc b_proc = context.Open({.name = "b"});
  Thread b_thread = b_proc.Attach();
  if (b_thread.SetContextMgr() != Errc::kOk) {
    state.SkipWithError("no context manager");
    return;
  }
  Proc a_proc = context.Open({.name = "a"});
  Thread a_thread = a_proc.Attach();
  // The other side's handle to A comes with the first call.
  const std::jthread looper([&](const std::stop_token& stop) {
    processors.PlaceServer(placement);
    Side b(b_thread, 0);
    bl::Incoming work;
    if (b_thread.EnterLooper() != Errc::kOk) return;
    while (ReadUntil(b_thread, work, {Br::BR_TRANSACTION}, stop)) {
      if (work.transaction.offsets_size != 0) {
        const std::uint32_t handle = HandleIn(work.transaction);
        b.SetPeer(handle);
        if (b_thread.Acquire(handle) != Errc::kOk) return;
      }
      if (!b.Answer(work.transaction)) return;
    }
  });
  processors.PlaceClient(placement);
  const ObjectPayload node(NodeObject(0x1000));
  bl::Incoming work;
  if (a_thread.Transact(node.Data()) != Errc::kOk ||
      !ReadUntil(a_thread, work, {Br::BR_REPLY}) ||
      a_thread.FreeBuffer(work.transaction.buffer) != Errc::kOk) {
    state.SkipWithError("the first call failed");
    return;
  }
  Side a(a_thread, 0);
  bench::MeasureCalls(state, [&] { return a.Call(depth - 1); });
}

// --- Single operations -------------------------------------------------------

// Plays a client and a service on one OS thread.
class OneThread {
 public:
  OneThread() : ok_(service_.SetContextMgr() == Errc::kOk) {}

  Thread& service() { return service_; }
  Thread& client() { return client_; }
  Context& context() { return context_; }

  // A call to the service, which looks at it and answers with nothing.
  template <class F>
  bool Call(const bl::TransactionData& data, F see) {
    bl::Incoming work;
    if (!ok_ || client_.Transact(data) != Errc::kOk ||
        !ReadUntil(service_, work, {Br::BR_TRANSACTION}) ||
        !see(work.transaction) ||
        service_.FreeBuffer(work.transaction.buffer) != Errc::kOk ||
        service_.Reply(bl::TransactionData{}) != Errc::kOk ||
        !ReadUntil(service_, work, {Br::BR_TRANSACTION_COMPLETE})) {
      return false;
    }
    return ReadUntil(client_, work, {Br::BR_REPLY}) &&
           client_.FreeBuffer(work.transaction.buffer) == Errc::kOk;
  }

 private:
  Context context_;
  Proc service_proc_ = context_.Open({.name = "service"});
  Proc client_proc_ = context_.Open({.name = "client"});
  Thread service_ = service_proc_.Attach();
  Thread client_ = client_proc_.Attach();
  bool ok_;
};

void HandlePass(benchmark::State& state) {
  OneThread parts;
  const ObjectPayload object(NodeObject(0x1000));
  const bench::Bytes plain(sizeof(bl::FlatObject));
  const auto Pass = [&] {
    return parts.Call(object.Data(), [](const auto&) { return true; });
  };
  // The service keeps the handle, so that each call finds it.
  bool ok = parts.Call(object.Data(), [&](const bl::TransactionData& call) {
    return parts.service().Acquire(HandleIn(call)) == Errc::kOk;
  });
  bench::Histogram without;
  auto Plain = [&] {
    return parts.Call(bench::DataOf(plain), [](const auto&) { return true; });
  };
  ok = ok && bench::CallFor(bench::RowTime(0.05), Plain, without);
  if (!ok) {
    state.SkipWithError("the first call failed");
    return;
  }
  bench::MeasureCalls(state, Pass);
  state.counters["plain"] = without.Quantile(0.5);
  state.counters["extra"] = state.counters["p50"] - without.Quantile(0.5);
}

// Shared by the rows that measure many of an operation at a time: one sample is
// the time of batch(), which returns nothing on failure, by kBatch.
constexpr std::size_t kBatch = 256;
using Sample = std::optional<Clock::duration>;

template <class F>
void MeasureBatches(benchmark::State& state, F batch) {
  const Clock::time_point deadline = Clock::now() + bench::RowTime(0.05);
  bench::Measured row;
  if (!batch()) {
    state.SkipWithError("the first ones failed");
    return;
  }
  do {
    const Sample sample = batch();
    if (!sample) {
      state.SkipWithError("failed");
      return;
    }
    row.latencies.Record(sample->count() / static_cast<std::int64_t>(kBatch));
    row.elapsed += *sample;
    row.calls += static_cast<double>(kBatch);
  } while (Clock::now() < deadline);
  // Most of what the process uses meanwhile is preparation.
  bench::Report(state, row);
  state.counters.erase("cpu");
  state.counters.erase("switches");
}

// Each batch: a Proc whose node `i` the service has a handle to and wants to
// hear about; the Proc is closed.
void Death(benchmark::State& state) {
  OneThread parts;
  MeasureBatches(state, [&]() -> Sample {
    Proc owner = parts.context().Open({.name = "owner"});
    Thread self = owner.Attach();
    Thread& watcher = parts.service();
    bl::Incoming work;
    for (std::size_t i = 0; i < kBatch; ++i) {
      const ObjectPayload object(NodeObject(0x1000 + i));
      if (self.Transact(object.Data()) != Errc::kOk ||
          !ReadUntil(watcher, work, {Br::BR_TRANSACTION})) {
        return {};
      }
      const std::uint32_t handle = HandleIn(work.transaction);
      if (watcher.Acquire(handle) != Errc::kOk ||
          watcher.RequestDeathNotification(handle, handle) != Errc::kOk ||
          watcher.FreeBuffer(work.transaction.buffer) != Errc::kOk ||
          watcher.Reply(bl::TransactionData{}) != Errc::kOk ||
          !ReadUntil(watcher, work, {Br::BR_TRANSACTION_COMPLETE}) ||
          !ReadUntil(self, work, {Br::BR_REPLY}) ||
          self.FreeBuffer(work.transaction.buffer) != Errc::kOk) {
        return {};
      }
    }
    const Clock::time_point begin = Clock::now();
    owner.Close();
    std::array<std::uint64_t, kBatch> cookies;
    for (std::uint64_t& cookie : cookies) {
      if (!ReadUntil(watcher, work, {Br::BR_DEAD_BINDER})) return {};
      cookie = work.node.cookie;
      if (watcher.DeadBinderDone(cookie) != Errc::kOk) return {};
    }
    const Clock::duration taken = Clock::now() - begin;
    for (const std::uint64_t cookie : cookies) {
      const auto handle = static_cast<std::uint32_t>(cookie);
      if (watcher.ClearDeathNotification(handle, cookie) != Errc::kOk ||
          !ReadUntil(watcher, work, {Br::BR_CLEAR_DEATH_NOTIFICATION_DONE}) ||
          watcher.Release(handle) != Errc::kOk) {
        return {};
      }
    }
    return taken;
  });
}

// Each batch: as many clients' calls are delivered to as many threads, as each
// serves one at a time.
void FreeBuffer(benchmark::State& state) {
  Context context;
  Proc service = context.Open({.name = "service"});
  Proc client = context.Open({.name = "client"});
  std::vector<Thread> loopers;
  std::vector<Thread> callers;
  for (std::size_t i = 0; i < kBatch; ++i) {
    loopers.push_back(service.Attach(static_cast<std::int32_t>(i + 1)));
    callers.push_back(client.Attach(static_cast<std::int32_t>(i + 1)));
  }
  if (loopers[0].SetContextMgr() != Errc::kOk) {
    state.SkipWithError("no context manager");
    return;
  }
  const bench::Bytes payload(128);
  MeasureBatches(state, [&]() -> Sample {
    std::array<std::uint64_t, kBatch> buffers;
    bl::Incoming work;
    for (std::size_t i = 0; i < kBatch; ++i) {
      if (callers[i].Transact(bench::DataOf(payload)) != Errc::kOk ||
          !ReadUntil(loopers[i], work, {Br::BR_TRANSACTION})) {
        return {};
      }
      buffers[i] = work.transaction.buffer;
    }
    const Clock::time_point begin = Clock::now();
    for (std::size_t i = 0; i < kBatch; ++i) {
      if (loopers[i].FreeBuffer(buffers[i]) != Errc::kOk) return {};
    }
    const Clock::duration taken = Clock::now() - begin;
    for (std::size_t i = 0; i < kBatch; ++i) {
      if (loopers[i].Reply(bl::TransactionData{}) != Errc::kOk ||
          !ReadUntil(loopers[i], work, {Br::BR_TRANSACTION_COMPLETE}) ||
          !ReadUntil(callers[i], work, {Br::BR_REPLY}) ||
          callers[i].FreeBuffer(work.transaction.buffer) != Errc::kOk) {
        return {};
      }
    }
    return taken;
  });
}

}  // namespace

int main(int argc, char** argv) {
  for (const auto placement :
       {bench::Placement::kSame, bench::Placement::kSplit}) {
    for (std::uint32_t depth = 1; depth <= 8; ++depth) {
      bench::RegisterRow(
          "nested/typed/" + std::string(bench::NameOf(placement)) + "/" +
              std::to_string(depth),
          [=](benchmark::State& state) { Nested(state, placement, depth); });
    }
  }
  bench::RegisterRow("op/death", Death);
  bench::RegisterRow("op/handle-pass", HandlePass);
  bench::RegisterRow("op/free-buffer", FreeBuffer);
  bench::RegisterRow("op/clock", [](benchmark::State& state) {
    bench::MeasureCalls(state, [] { return true; });
  });
  return bench::RunRows(argc, argv);
}
