// SPDX-License-Identifier: Apache-2.0
//
// A generator of long, plausible conversations: lines for World::Do, chosen by
// a seed and by what has been seen so far. It sees nothing but canonical
// results, so that two devices which behave alike get the same lines.

#ifndef BINDERLITE_TESTS_CONFORMANCE_GENERATOR_H_
#define BINDERLITE_TESTS_CONFORMANCE_GENERATOR_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "world.h"

namespace binderlite::conformance {

// splitmix64
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t Next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // 0 to n - 1
  std::uint64_t Below(std::uint64_t n) { return n == 0 ? 0 : Next() % n; }
  bool Percent(unsigned chance) { return Below(100) < chance; }
  template <class T>
  const T& Pick(const std::vector<T>& from) {
    return from[Below(from.size())];
  }
  // An index, with probabilities in proportion to the weights.
  std::size_t Weighted(const std::vector<unsigned>& weights);

 private:
  std::uint64_t state_;
};

class Generator {
 public:
  struct Options {
    std::uint64_t seed = 1;
    // Leaves out what Linux 6.1 does not have or answers otherwise.
    bool only_6_1 = false;
  };

  explicit Generator(const Options& options);

  // The next line, given what all before have led to.
  std::string Next(const World& world);
  // To be called after each line.
  void Observe(const World& world);

 private:
  struct NodeId {
    char process = 0;
    int generation = 0;
    std::uint64_t ptr = 0;
  };
  struct Handle {
    int strong = 0;  // taken with "acq"
    int weak = 0;
    int in_buffers = 0;
    bool is_weak = false;
    std::optional<NodeId> node;
  };
  struct Held {
    std::string name;
    std::vector<Object> objects;
    bool plain = false;  // to the manager's node, nothing in it
  };
  struct Thread {
    std::vector<bool> stack;  // true: a call that it serves
    bool in_sync_call = false;
    bool resumes = false;  // Is in a read that goes on in its buffer.
    bool looper = false;
    int errors = 0;
  };
  struct Proc {
    char name = 'A';
    bool open = false;
    bool mapped = false;
    bool manager = false;
    bool frozen = false;
    bool nonblock = false;
    bool spawns = false;  // may be told to start threads
    int generation = 0;
    int pending = 0;  // transactions that wait for it
    std::map<std::uint32_t, Handle> handles;
    std::vector<Held> buffers;
    std::vector<std::string> fds;
    std::vector<std::string> freed;  // names of buffers that were
    std::vector<std::pair<bool, PtrCookie>> dones;  // true: acquire
    std::vector<std::pair<std::uint32_t, std::uint64_t>> deaths;
    std::vector<std::uint64_t> dead;
    std::vector<std::pair<std::uint32_t, std::uint64_t>> freezes;
    std::vector<std::uint64_t> frozen_told;
    std::map<int, Thread> threads;
  };
  struct Sent {
    char from = 0;
    std::vector<std::string> items;
  };

  void ObserveOne(const Completion& completion);
  void Forget(Proc& proc);
  Proc& Find(char name);
  std::string Line(const World& world);
  std::string WriteRead(const World& world, Proc& proc, int thread);
  std::string OneCommand(const World& world, Proc& proc, int thread,
                         bool careful, bool* wants_read);
  std::string Transaction(Proc& proc, bool careful, bool* sync);
  std::string Payload(Proc& proc, std::uint32_t code, bool careful);
  std::string Refcount(Proc& proc);
  std::string Free(Proc& proc, bool careful);
  std::string Death(Proc& proc);
  std::string Freeze(Proc& proc);
  std::string Nonsense(Proc& proc);
  std::string Request(Proc& proc);
  std::string FreezeRequest();
  std::uint32_t AnyHandle(Proc& proc, bool strong);
  std::uint64_t NewCookie();
  std::string Who(const Proc& proc, int thread) const;

  static constexpr int kThreads = 3;

  Options options_;
  Random random_;
  std::vector<Proc> procs_;
  std::vector<std::string> queue_;  // lines to come first
  std::map<std::uint32_t, Sent> sent_;
  std::set<std::pair<char, int>> idle_sleepers_;
  std::uint32_t code_ = 0;
  std::uint64_t cookie_ = 0x100;
};

}  // namespace binderlite::conformance

#endif  // BINDERLITE_TESTS_CONFORMANCE_GENERATOR_H_
