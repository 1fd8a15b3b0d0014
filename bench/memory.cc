// SPDX-License-Identifier: Apache-2.0
//
// How much heap memory things take, arena aside: counter "bytes", each.
//
//   memory/proc         a Proc without an arena, open and otherwise unused
//   memory/thread       a thread of a Proc that has made a call: its Task and
//                       its record
//   memory/node+handle  a node that its owner has acknowledged, and the handle
//                       that one other Proc has of it; in the tables of both
//
// Measured on a thousand of them, as what operator new has given out and not
// got back, including what the allocator rounds up to and the spare room of
// tables. The counters sizeof_* are the sizes of the types that this is mostly
// made of. A program of its own, since it replaces operator new.

#include <benchmark/benchmark.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "binderlite/driver/driver.h"
#include "support/lab_world.h"

namespace {

// Bytes that are in use.
std::atomic<std::int64_t> in_use{0};

void* Counted(void* memory) {
  in_use.fetch_add(static_cast<std::int64_t>(::malloc_usable_size(memory)),
                   std::memory_order_relaxed);
  return memory;
}
void* Allocate(std::size_t size) {
  return Counted(std::malloc(std::max(size, std::size_t{1})));
}
void* Allocate(std::size_t size, std::align_val_t alignment) {
  const auto to = static_cast<std::size_t>(alignment);
  return Counted(std::aligned_alloc(to, (size + to - 1) / to * to));
}
void Free(void* memory) {
  in_use.fetch_sub(static_cast<std::int64_t>(::malloc_usable_size(memory)),
                   std::memory_order_relaxed);
  std::free(memory);
}
void* OrDie(void* memory) {
  if (memory == nullptr) std::abort();
  return memory;
}

}  // namespace

void* operator new(std::size_t size) { return OrDie(Allocate(size)); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return Allocate(size);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return OrDie(Allocate(size, alignment));
}
void* operator new(std::size_t size, std::align_val_t alignment,
                   const std::nothrow_t&) noexcept {
  return Allocate(size, alignment);
}
void operator delete(void* memory) noexcept { Free(memory); }
void operator delete(void* memory, std::size_t) noexcept { Free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept {
  Free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept { Free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  Free(memory);
}
void operator delete(void* memory, std::align_val_t,
                     const std::nothrow_t&) noexcept {
  Free(memory);
}

namespace binderlite::bench {
namespace {

constexpr int kMany = 1000;

using L = FineGrained<>;

// What `make` leaves in use, for each of `kMany`.
template <class F>
void Report(benchmark::State& state, F make) {
  const std::int64_t before = in_use.load();
  const bool ok = make();
  state.counters["bytes"] = static_cast<double>(in_use.load() - before) / kMany;
  if (!ok) state.SkipWithError("could not be set up");
}

void OfProc(benchmark::State& state) {
  for (auto _ : state) {
    Context context;
    std::vector<Proc> procs;
    procs.reserve(kMany);
    Report(state, [&] {
      for (int i = 0; i < kMany; ++i) {
        procs.push_back(context.Open({.arena_size = 0}));
      }
      return true;
    });
  }
  state.counters["sizeof_proc"] = sizeof(core::Proc<L>);
}

void OfThread(benchmark::State& state) {
  for (auto _ : state) {
    Context context;
    Proc proc = context.Open({.arena_size = 0});
    std::vector<Thread> threads;
    threads.reserve(kMany);
    Report(state, [&] {
      bool ok = true;
      for (int i = 0; i < kMany; ++i) {
        threads.push_back(proc.Attach(proc.pid() + i));
        ok = ok && threads.back().EnterLooper() == Errc::kOk;
      }
      return ok;
    });
  }
  state.counters["sizeof_thread"] = sizeof(core::Thread<L>);
  state.counters["sizeof_task"] = sizeof(core::Task<L>);
}

void OfNodeAndHandle(benchmark::State& state) {
  for (auto _ : state) {
    LabWorld<L> world;
    Proc owner = world.context.Open({.nonblocking = true});
    Proc holder = world.context.Open({.nonblocking = true});
    Thread owner_thread = owner.Attach();
    Thread holder_thread = holder.Attach();
    (void)owner_thread.EnterLooper();
    (void)holder_thread.EnterLooper();
    // So that the memory that stays with threads and arenas is there.
    world.Give(owner_thread, holder_thread, 1);
    Report(state, [&] {
      world.Give(owner_thread, holder_thread, 0x1000, kMany);
      return world.ok();
    });
  }
  state.counters["sizeof_node"] = sizeof(core::Node<L>);
  state.counters["sizeof_ref"] = sizeof(core::Ref<L>);
}

void Register(const char* name, void (*function)(benchmark::State&)) {
  benchmark::RegisterBenchmark(name, function)->Iterations(1)->UseRealTime();
}

}  // namespace
}  // namespace binderlite::bench

int main(int argc, char** argv) {
  namespace b = binderlite::bench;
  b::Register("memory/proc", b::OfProc);
  b::Register("memory/thread", b::OfThread);
  b::Register("memory/node+handle", b::OfNodeAndHandle);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
