// SPDX-License-Identifier: Apache-2.0
//
// Who goes next: the strategies of the stepped scheduler.
//
// For tests. Declares SteppedStrategy, its models (cooperative, random, PCT,
// replay), ExhaustiveSearch, which hands out one strategy for each schedule,
// and the text form of a schedule.
// Takes no locks: a strategy is used by one thread at a time. Misuse that only
// a programming error can cause is reported on stderr and aborts.

#ifndef BINDERLITE_SYNC_STEPPED_STRATEGY_H_
#define BINDERLITE_SYNC_STEPPED_STRATEGY_H_

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace binderlite::sync {

// Prints `message` and aborts: the test itself is wrong.
[[noreturn]] inline void SteppedFailure(const std::string& message) {
  std::fprintf(stderr, "stepped scheduler: %s\n", message.c_str());
  std::abort();
}

// A decision to take. Decisions with one possible outcome are not asked for.
struct SteppedChoice {
  // The numbers of the actors that can go, at least two. The one that ran last
  // comes first if it can go on, then the others in the order of their
  // creation. So 0 always means "the least change".
  std::span<const int> actors;
  // actors[0] is running now: any other choice is a preemption.
  bool can_continue;
};

// Chooses. One object serves one SteppedScheduler.
class SteppedStrategy {
 public:
  virtual ~SteppedStrategy() = default;
  // Returns an index into choice.actors.
  virtual std::size_t Choose(const SteppedChoice& choice) = 0;
};

// A schedule is the list of what was chosen at each decision. Its text form is
// "s1:" and the numbers, separated by commas; "0*12" stands for twelve zeros;
// zeros at the end are left out, since a replay goes on with zeros.
using Schedule = std::vector<std::size_t>;

inline std::string EncodeSchedule(const Schedule& schedule) {
  std::size_t size = schedule.size();
  while (size > 0 && schedule[size - 1] == 0) --size;
  std::string text = "s1:";
  for (std::size_t i = 0; i < size;) {
    std::size_t run = 1;
    while (i + run < size && schedule[i + run] == schedule[i]) ++run;
    if (i > 0) text += ',';
    text += std::to_string(schedule[i]);
    if (run > 1) text += '*' + std::to_string(run);
    i += run;
  }
  return text;
}

// Nothing if `text` is not a schedule.
inline std::optional<Schedule> DecodeSchedule(std::string_view text) {
  constexpr std::string_view kPrefix = "s1:";
  constexpr std::size_t kMaxDecisions = 10'000'000;
  if (!text.starts_with(kPrefix)) return std::nullopt;
  text.remove_prefix(kPrefix.size());
  const auto number = [&text](std::size_t& value) {
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc()) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return true;
  };
  Schedule schedule;
  while (!text.empty()) {
    std::size_t value = 0;
    std::size_t run = 1;
    if (!number(value)) return std::nullopt;
    if (text.starts_with('*')) {
      text.remove_prefix(1);
      if (!number(run) || run > kMaxDecisions - schedule.size()) {
        return std::nullopt;
      }
    }
    schedule.insert(schedule.end(), run, value);
    if (text.empty()) break;
    if (!text.starts_with(',') || text.size() == 1) return std::nullopt;
    text.remove_prefix(1);
  }
  return schedule;
}

// The same numbers for the same seed on every platform.
class SteppedRandom {
 public:
  explicit SteppedRandom(std::uint64_t seed) : state_(seed) {}

  // SplitMix64, by Sebastiano Vigna (public domain).
  std::uint64_t Next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  // Of 0 .. n-1; n > 0 and small, so that the bias does not matter.
  std::size_t Below(std::size_t n) {
    return static_cast<std::size_t>(Next() % n);
  }

 private:
  std::uint64_t state_;
};

// Whoever runs goes on until it blocks or ends.
class CooperativeStrategy final : public SteppedStrategy {
 public:
  std::size_t Choose(const SteppedChoice&) override { return 0; }
};

// Each of those who can go is as likely as the other.
class RandomStrategy final : public SteppedStrategy {
 public:
  explicit RandomStrategy(std::uint64_t seed) : random_(seed) {}
  std::size_t Choose(const SteppedChoice& choice) override {
    return random_.Below(choice.actors.size());
  }

 private:
  SteppedRandom random_;
};

// Probabilistic concurrency testing (Burckhardt et al., ASPLOS 2010): actors
// have random priorities, the highest that can go runs, and at depth-1 random
// decisions the running one is put below all others. Finds a bug that needs
// `depth` ordering constraints among n actors and k decisions with a
// probability of at least 1/(n * k^(depth-1)) a schedule.
class PctStrategy final : public SteppedStrategy {
 public:
  // `depth` >= 1; `decisions`: about how many there will be, > 0.
  PctStrategy(std::uint64_t seed, int depth, std::size_t decisions)
      : random_(seed) {
    for (int i = 1; i < depth; ++i) {
      change_points_.push_back(random_.Below(decisions));
    }
  }

  std::size_t Choose(const SteppedChoice& choice) override {
    std::size_t best = Highest(choice);
    for (const std::size_t point : change_points_) {
      if (point != decision_) continue;
      Priority(choice.actors[best]) = --lowest_;
      best = Highest(choice);
    }
    ++decision_;
    return best;
  }

 private:
  std::int64_t& Priority(int actor) {
    const auto i = static_cast<std::size_t>(actor);
    while (priorities_.size() <= i) {
      // Positive, so that those that were put down come last. Two equal ones
      // are improbable and harmless.
      priorities_.push_back(static_cast<std::int64_t>(random_.Next() >> 2) + 1);
    }
    return priorities_[i];
  }

  std::size_t Highest(const SteppedChoice& choice) {
    std::size_t best = 0;
    for (std::size_t i = 1; i < choice.actors.size(); ++i) {
      const std::int64_t priority = Priority(choice.actors[i]);
      if (priority > Priority(choice.actors[best])) best = i;
    }
    return best;
  }

  SteppedRandom random_;
  std::vector<std::size_t> change_points_;
  std::vector<std::int64_t> priorities_;  // by actor
  std::int64_t lowest_ = 0;
  std::size_t decision_ = 0;
};

// Chooses as `schedule` says and when that ends, cooperatively.
class ReplayStrategy final : public SteppedStrategy {
 public:
  explicit ReplayStrategy(Schedule schedule) : schedule_(std::move(schedule)) {}
  // Aborts if `text` is not a schedule.
  explicit ReplayStrategy(std::string_view text) {
    std::optional<Schedule> schedule = DecodeSchedule(text);
    if (!schedule) SteppedFailure("not a schedule: " + std::string(text));
    schedule_ = *std::move(schedule);
  }

  std::size_t Choose(const SteppedChoice&) override {
    return next_ < schedule_.size() ? schedule_[next_++] : 0;
  }

 private:
  Schedule schedule_;
  std::size_t next_ = 0;
};

// Goes through all schedules with at most `preemption_bound` preemptions, depth
// first; the first one is the cooperative one.
//
//   ExhaustiveSearch search(2);
//   do { run with search.NewStrategy() } while (search.Advance());
class ExhaustiveSearch {
 public:
  static constexpr int kUnbounded = -1;

  explicit ExhaustiveSearch(int preemption_bound) : bound_(preemption_bound) {}
  ExhaustiveSearch(const ExhaustiveSearch&) = delete;
  ExhaustiveSearch& operator=(const ExhaustiveSearch&) = delete;

  // The strategy of the schedule that is now due. Refers to this object.
  std::unique_ptr<SteppedStrategy> NewStrategy() {
    depth_ = 0;
    return std::make_unique<Strategy>(*this);
  }

  // After a schedule has been run: turns to the next. False if it was the last.
  bool Advance() {
    if (depth_ != path_.size()) {
      SteppedFailure("the test does not behave the same when run again: " +
                     std::to_string(depth_) + " decisions instead of " +
                     std::to_string(path_.size()));
    }
    while (!path_.empty()) {
      Step& step = path_.back();
      // Choice 0 lets the running actor go on, if it can; all others preempt.
      const bool preempts = step.chosen > 0 && step.can_continue;
      const int cost = step.can_continue && !preempts ? 1 : 0;
      const bool affordable =
          bound_ == kUnbounded || preemptions_ + cost <= bound_;
      if (affordable && step.chosen + 1 < step.choices) {
        preemptions_ += cost;
        ++step.chosen;
        return true;
      }
      if (preempts) --preemptions_;
      path_.pop_back();
    }
    return false;
  }

 private:
  struct Step {
    std::size_t chosen;
    std::size_t choices;
    bool can_continue;
  };

  class Strategy final : public SteppedStrategy {
   public:
    explicit Strategy(ExhaustiveSearch& search) : search_(search) {}
    std::size_t Choose(const SteppedChoice& choice) override {
      return search_.Choose(choice);
    }

   private:
    ExhaustiveSearch& search_;
  };

  std::size_t Choose(const SteppedChoice& choice) {
    if (depth_ == path_.size()) {
      path_.push_back({0, choice.actors.size(), choice.can_continue});
    }
    const Step& step = path_[depth_];
    if (step.choices != choice.actors.size() ||
        step.can_continue != choice.can_continue) {
      SteppedFailure("the test does not behave the same when run again: " +
                     std::to_string(choice.actors.size()) +
                     " choices instead of " + std::to_string(step.choices) +
                     " at decision " + std::to_string(depth_));
    }
    ++depth_;
    return step.chosen;
  }

  const int bound_;
  int preemptions_ = 0;     // in path_
  std::vector<Step> path_;  // the decisions of the schedule that is due
  std::size_t depth_ = 0;   // how many of them have been taken
};

}  // namespace binderlite::sync

#endif  // BINDERLITE_SYNC_STEPPED_STRATEGY_H_
