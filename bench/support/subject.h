// SPDX-License-Identifier: Apache-2.0
//
// What is compared: subjects, which are classes of one shape, and the rows that
// are made of them.
//
//   class Subject {
//    public:
//     Subject(const Setup& setup, Args... args);   // starts the server's side
//     ~Subject();                                  // ends it; clients are gone
//     class Client {                               // one a calling thread
//      public:
//       explicit Client(Subject& subject);
//       bool Call(const Bytes& payload);  // false: failed, or a wrong answer
//     };
//   };
//
// One-way subjects are alike; see MeasureOneWay. They have instead of Client
//
//     bool Send(const Bytes& payload);   // waits if the receiver is behind
//     std::uint64_t received();          // messages so far, from any thread
//     std::uint64_t full();              // times that Send had to wait, or 0

#ifndef BINDERLITE_BENCH_SUPPORT_SUBJECT_H_
#define BINDERLITE_BENCH_SUPPORT_SUBJECT_H_

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>

#include "measure.h"
#include "payload.h"
#include "placement.h"

namespace binderlite::bench {

struct Setup {
  // For the server's threads: runs them where they belong.
  void PlaceServer() const { processors->PlaceServer(placement); }

  const Processors* processors = nullptr;
  Placement placement = Placement::kFree;
  int loopers = 1;
  std::size_t bytes = 0;
};

// --- Round trips -------------------------------------------------------------

template <class S, class... Args>
void MeasureRoundTrip(benchmark::State& state, Placement placement,
                      std::size_t bytes, const Args&... args) {
  const Processors processors;
  S subject({.processors = &processors, .placement = placement, .bytes = bytes},
            args...);
  processors.PlaceClient(placement);
  typename S::Client client(subject);
  Bytes payload(bytes);
  unsigned char value = 0;
  MeasureCalls(state, [&] {
    Fill(payload, ++value);
    return client.Call(payload);
  });
}

// roundtrip/<name>/<placement>/<bytes>
template <class S, class... Args>
void RegisterRoundTrips(const std::string& name,
                        std::span<const std::size_t> sizes, Args... args) {
  for (const Placement placement : kPlacements) {
    for (const std::size_t bytes : sizes) {
      RegisterRow("roundtrip/" + name + "/" + std::string(NameOf(placement)) +
                      "/" + std::to_string(bytes),
                  [=](benchmark::State& state) {
                    MeasureRoundTrip<S>(state, placement, bytes, args...);
                  });
    }
  }
}

// What every subject is asked for, and what some are.
inline constexpr std::size_t kSizes[] = {4, 128, 4096, 65536};
inline constexpr std::size_t kAllSizes[] = {0,    4,     16,    128,    1024,
                                            4096, 16384, 65536, 262144, 524288};
inline constexpr std::size_t kTwoSizes[] = {4, 4096};

// --- Many clients ------------------------------------------------------------

inline constexpr std::size_t kClientBytes = 128;

// clients/<name>/M<loopers>/N<clients>
template <class S, class... Args>
void RegisterClients(const std::string& name, Args... args) {
  for (const int loopers : {1, 4}) {
    for (const int clients : {1, 2, 4, 8, 16}) {
      RegisterRow(
          "clients/" + name + "/M" + std::to_string(loopers) + "/N" +
              std::to_string(clients),
          [=](benchmark::State& state) {
            const Processors processors;
            S subject({.processors = &processors,
                       .loopers = loopers,
                       .bytes = kClientBytes},
                      args...);
            MeasureClients(state, clients, [&subject] {
              return [client = std::make_unique<typename S::Client>(subject),
                      payload = Bytes(kClientBytes),
                      value = static_cast<unsigned char>(0)]() mutable {
                Fill(payload, ++value);
                return client->Call(payload);
              };
            });
          });
    }
  }
}

// --- One-way -----------------------------------------------------------------

// How many messages may be on their way: what half of binder's usual memory
// holds, but not fewer than 1024.
[[nodiscard]] constexpr std::size_t OneWayBound(std::size_t bytes) {
  return std::max<std::size_t>(1024,
                               (1 << 19) / std::max<std::size_t>(bytes, 8));
}

// Sends for a time, and waits until all has been received.
template <class S, class... Args>
void MeasureOneWay(benchmark::State& state, Placement placement,
                   std::size_t bytes, const Args&... args) {
  const std::chrono::nanoseconds time = RowTime(0.1);
  const Processors processors;
  S subject({.processors = &processors, .placement = placement, .bytes = bytes},
            args...);
  processors.PlaceClient(placement);
  Bytes payload(bytes);
  std::uint64_t sent = 0;
  const auto SendFor = [&](std::chrono::nanoseconds duration) {
    const Clock::time_point deadline = Clock::now() + duration;
    do {
      for (int i = 0; i < 64; ++i, ++sent) {
        Fill(payload, static_cast<unsigned char>(sent));
        if (!subject.Send(payload)) return false;
      }
    } while (Clock::now() < deadline);
    while (subject.received() != sent) std::this_thread::yield();
    return true;
  };
  bool ok = SendFor(time / 5);
  Measured row;
  const std::uint64_t sent_before = sent;
  const std::uint64_t full_before = subject.full();
  row.before = ProcessUse::Now();
  const Clock::time_point begin = Clock::now();
  ok = ok && SendFor(time);
  row.elapsed = Clock::now() - begin;
  row.after = ProcessUse::Now();
  if (!ok) {
    state.SkipWithError("a message was lost");
    return;
  }
  row.calls = static_cast<double>(sent - sent_before);
  state.counters["full"] =
      static_cast<double>(subject.full() - full_before) / row.calls;
  Report(state, row);
}

// oneway/<name>/<placement>/<bytes>, for one size
template <class S, class... Args>
void RegisterOneWaySize(const std::string& name, std::size_t bytes,
                        Args... args) {
  for (const Placement placement : kPlacements) {
    RegisterRow("oneway/" + name + "/" + std::string(NameOf(placement)) + "/" +
                    std::to_string(bytes),
                [=](benchmark::State& state) {
                  MeasureOneWay<S>(state, placement, bytes, args...);
                });
  }
}

// and for both
template <class S, class... Args>
void RegisterOneWay(const std::string& name, Args... args) {
  RegisterOneWaySize<S>(name, 16, args...);
  RegisterOneWaySize<S>(name, 4096, args...);
}

}  // namespace binderlite::bench

#endif  // BINDERLITE_BENCH_SUPPORT_SUBJECT_H_
