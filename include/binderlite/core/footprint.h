// SPDX-License-Identifier: Apache-2.0
//
// Footprint: where in memory the last transactions of a thread went to and came
// from, so that the next one can have these lines fetched all at once.
//
// What another processor has written is a hundred nanoseconds away, and a
// transaction needs some thirty such lines. Between two of them there is a
// locked instruction, before which a processor does not begin to fetch the
// next one; so they take longer than all the rest of a round trip. Most calls
// of a thread go where its last ones went, and what they have to say lies where
// it lay then. Fetching a line that is not needed after all costs little, but
// takes it away from whoever uses it; therefore only what was the same twice in
// a row is expected a third time.
//
// Addresses only, which are never followed: what was there may be gone.
//
// No locks: belongs to the calls of its thread.

#ifndef BINDERLITE_CORE_FOOTPRINT_H_
#define BINDERLITE_CORE_FOOTPRINT_H_

#include <cstddef>
#include <cstdint>

#include "binderlite/sync/cache_line.h"

namespace binderlite::core {

// Begins to fetch `lines` cache lines, the first of which contains `place`, to
// be written. Any address will do; nothing happens where there is no memory.
inline void FetchToWrite(const void* place, std::size_t lines) {
  auto address = reinterpret_cast<std::uintptr_t>(place);
  for (std::size_t i = 0; i < lines; ++i, address += kCacheLine) {
#if defined(__x86_64__)
    // __builtin_prefetch becomes a fetch to read, unless the compiler is told
    // of a processor that has this one, which others take for none at all.
    __asm__ __volatile__("{prefetchw (%0)|prefetchw byte ptr [%0]}"
                         :
                         : "r"(address));
#else
    __builtin_prefetch(reinterpret_cast<const void*>(address), 1);
#endif
  }
}

// A place that may be needed again.
class Spot {
 public:
  // It has been needed.
  void See(const void* place) {
    const auto at = reinterpret_cast<std::uintptr_t>(place);
    const std::uintptr_t next = address() == at ? at | kTwice : at;
    if (next != spot_) spot_ = next;  // As a rule it is the same.
  }
  [[nodiscard]] bool expected() const { return (spot_ & kTwice) != 0; }
  // Where it was last.
  [[nodiscard]] std::uintptr_t address() const { return spot_ & ~kTwice; }
  // Fetches `lines` from there on, if it is expected.
  void Fetch(std::size_t lines) const {
    if (expected()) FetchToWrite(reinterpret_cast<const void*>(spot_), lines);
  }

 private:
  // Nothing that is seen lies at an odd address.
  static constexpr std::uintptr_t kTwice = 1;
  std::uintptr_t spot_ = 0;
};

// See driver/fetch.h for what each of them is.
struct Footprint {
  // What a transaction writes at its receiver.
  struct Sent {
    Spot queues;
    Spot thread;
    Spot arena;
    Spot buffer;
    Spot payload;
  };
  Sent call;
  Spot call_node;
  Sent reply;
  // What a thread that has been woken reads. Memory of transactions goes to and
  // fro: what brings a call brings the next answer but one.
  struct Received {
    Spot transactions[2];
    Spot buffer;
    Spot payload;
    Spot node;
  };
  Received received;
  // The thread that the last reply went to, and the caller of the call that has
  // been read last; only compared.
  const void* reply_to = nullptr;
  const void* caller = nullptr;
  // The handle that the last call went to.
  std::uint32_t call_to = 0;
  // Which of `transactions` is next.
  std::uint32_t turn = 0;
};

}  // namespace binderlite::core

#endif  // BINDERLITE_CORE_FOOTPRINT_H_
