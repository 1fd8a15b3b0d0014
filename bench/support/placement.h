// SPDX-License-Identifier: Apache-2.0
//
// Which processors the two sides of a benchmark run on. The destructor of
// Processors gives the calling thread back what it had.

#ifndef BINDERLITE_BENCH_SUPPORT_PLACEMENT_H_
#define BINDERLITE_BENCH_SUPPORT_PLACEMENT_H_

#include <sched.h>

#include <array>
#include <string_view>

namespace binderlite::bench {

// Both sides on one processor, on one each, or wherever the system has them.
enum class Placement { kSame, kSplit, kFree };

inline constexpr std::array kPlacements = {Placement::kSame, Placement::kSplit,
                                           Placement::kFree};

[[nodiscard]] constexpr std::string_view NameOf(Placement placement) {
  switch (placement) {
    case Placement::kSame:
      return "same";
    case Placement::kSplit:
      return "split";
    case Placement::kFree:
      return "free";
  }
  return "";
}

// Has the calling thread run on the processors that the program may use, or on
// the first or the second of them.
class Processors {
 public:
  Processors() { ::sched_getaffinity(0, sizeof(all_), &all_); }
  ~Processors() { Use(all_); }
  Processors(const Processors&) = delete;
  Processors& operator=(const Processors&) = delete;

  void PlaceClient(Placement placement) const {
    if (placement != Placement::kFree) UseOnly(0);
  }
  void PlaceServer(Placement placement) const {
    if (placement == Placement::kFree) {
      Use(all_);
    } else {
      UseOnly(placement == Placement::kSame ? 0 : 1);
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

}  // namespace binderlite::bench

#endif  // BINDERLITE_BENCH_SUPPORT_PLACEMENT_H_
