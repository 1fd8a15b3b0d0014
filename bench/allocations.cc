// SPDX-License-Identifier: Apache-2.0
//
// Heap allocations of a warm call, both sides together: this program has an
// operator new that counts.
//
//   allocations/<typed|streams>/<bytes>    counter "allocations", per call

#include <benchmark/benchmark.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string>

#include "binderlite/binderlite.h"
#include "support/binder.h"
#include "support/measure.h"
#include "support/subject.h"

namespace {

namespace bl = binderlite;
namespace bench = binderlite::bench;

std::atomic<std::uint64_t>& Allocations() {
  static constinit std::atomic<std::uint64_t> count{0};
  return count;
}

void* Allocate(std::size_t size, std::size_t alignment) {
  Allocations().fetch_add(1, std::memory_order_relaxed);
  const std::size_t rounded = (size + alignment - 1) / alignment * alignment;
  if (void* const memory = std::aligned_alloc(alignment, rounded)) {
    return memory;
  }
  std::abort();
}

template <class S>
void Count(benchmark::State& state, std::size_t bytes) {
  constexpr int kCalls = 1000;
  const bench::Processors processors;
  S subject({.processors = &processors, .bytes = bytes});
  typename S::Client client(subject);
  bench::Bytes payload(bytes);
  bool ok = true;
  const auto Call = [&] {
    for (int i = 0; i < kCalls; ++i) {
      bench::Fill(payload, static_cast<unsigned char>(i));
      ok = ok && client.Call(payload);
    }
  };
  Call();  // Warm.
  const std::uint64_t before = Allocations().load();
  Call();
  const std::uint64_t after = Allocations().load();
  if (!ok) {
    state.SkipWithError("call failed");
    return;
  }
  while (state.KeepRunning()) state.SetIterationTime(1e-9);
  state.counters["allocations"] = static_cast<double>(after - before) / kCalls;
}

template <class S>
void Register(const std::string& name) {
  for (const std::size_t bytes : {std::size_t{4}, std::size_t{4096}}) {
    bench::RegisterRow(
        "allocations/" + name + "/" + std::to_string(bytes),
        [=](benchmark::State& state) { Count<S>(state, bytes); });
  }
}

}  // namespace

void* operator new(std::size_t size) {
  return Allocate(size, alignof(std::max_align_t));
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return Allocate(size, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t size, const std::nothrow_t& /*tag*/) noexcept {
  return Allocate(size, alignof(std::max_align_t));
}
void* operator new(std::size_t size, std::align_val_t alignment,
                   const std::nothrow_t& /*tag*/) noexcept {
  return Allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t /*size*/) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::align_val_t /*alignment*/) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t /*size*/,
                     std::align_val_t /*alignment*/) noexcept {
  std::free(memory);
}

int main(int argc, char** argv) {
  using L = bl::FineGrained<>;
  Register<bench::TypedBinder<L>>("typed");
  Register<bench::StreamBinder<L>>("streams");
  return bench::RunRows(argc, argv);
}
