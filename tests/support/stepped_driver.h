// SPDX-License-Identifier: Apache-2.0
//
// The driver under the stepped scheduler: the four disciplines on
// SteppedPrimitives, a World with the conveniences of DriverTest that is made
// anew for each schedule, an InvariantWatch, and a UserMemory that stalls.
//
//   SteppedScheduler scheduler;  // before the World, hence destroyed after it
//   World<L> world;
//   auto [manager, service, client, handle] = world.Connected();
//   scheduler.Spawn("service", [&] { ... });
//   scheduler.Run();
//
// StoryTest tells such a story in many schedules.

#ifndef BINDERLITE_TESTS_SUPPORT_STEPPED_DRIVER_H_
#define BINDERLITE_TESTS_SUPPORT_STEPPED_DRIVER_H_

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "binderlite/memory/user_memory.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/stepped_primitives.h"
#include "support/driver_test.h"

namespace binderlite::testing {

using SteppedDisciplines = ::testing::Types<
    FineGrained<sync::SteppedPrimitives>,
    BinderLock<Relock::kAlways, sync::SteppedPrimitives>,
    BinderLock<Relock::kUnlessKilled, sync::SteppedPrimitives>,
    BinderLock<Relock::kInterruptible, sync::SteppedPrimitives>>;

#define BINDERLITE_FOR_ALL_STEPPED_DISCIPLINES(Suite)                \
  TYPED_TEST_SUITE(Suite, ::binderlite::testing::SteppedDisciplines, \
                   ::binderlite::testing::DisciplineNames)

// What DriverTest gives to its tests, as an object: its destructor checks that
// nothing leaks.
template <class L>
class World : public DriverTest<L> {
 public:
  using typename DriverTest<L>::Pair;
  using DriverTest<L>::kPtr;
  using DriverTest<L>::kCookie;
  using DriverTest<L>::context;
  using DriverTest<L>::gates;
  using DriverTest<L>::Open;
  using DriverTest<L>::OpenManager;
  using DriverTest<L>::Give;
  using DriverTest<L>::Settle;
  using DriverTest<L>::Connected;
  using DriverTest<L>::Block;
  using DriverTest<L>::Close;
  using DriverTest<L>::Snapshot;
  using DriverTest<L>::SnapshotOf;

 private:
  void TestBody() override {}
};

// Direct access to memory, but that one copy in or out waits, in the middle of
// the call, until it is let go. P: the primitives with which to wait.
template <class P>
class StallingMemory : public UserMemory {
 public:
  // The access that comes after `skip` others stalls.
  void StallAfter(int skip) { left_.store(skip + 1); }
  // Whether a call is stalled.
  [[nodiscard]] bool stalled() const { return stalled_.load(); }
  // Lets it go; once for each stall, before or after it begins.
  void LetGo() { gate_.Wake(); }

  bool CopyIn(void* to, std::uint64_t from, std::size_t size) override {
    MaybeStall();
    std::memcpy(to, reinterpret_cast<const void*>(from), size);
    return true;
  }
  bool CopyOut(std::uint64_t to, const void* from, std::size_t size) override {
    MaybeStall();
    std::memcpy(reinterpret_cast<void*>(to), from, size);
    return true;
  }

 private:
  void MaybeStall() {
    if (left_.load() == 0 || left_.fetch_sub(1) != 1) return;
    stalled_.store(true);
    while (gate_.Park(sync::StopSignals(), kNoDeadline) !=
           sync::WaitResult::kWoken) {
    }
    stalled_.store(false);
  }

  std::atomic<int> left_{0};
  std::atomic<bool> stalled_{false};
  typename P::Parker gate_;
};

// Checks the state's invariants in the midst of a schedule: when an actor is at
// the edge of a call, about to begin it, to sleep in it or to end it, and all
// others are outside of theirs, asleep included. Nobody moves meanwhile.
template <class L>
class InvariantWatch {
 public:
  // From now on. What was opened before, and only that, may be closed or
  // killed, by Do.
  explicit InvariantWatch(World<L>& world) : world_(world) {
    core::Context<L>& context = world.context().state();
    {
      sync::MutexLock lock(context.mu);
      procs_ = context.procs.List();
    }
    world.gates().Observe([this](Point point, std::int32_t, std::int32_t tid) {
      At(point, tid);
    });
  }
  ~InvariantWatch() { world_.gates().Observe(nullptr); }
  InvariantWatch(const InvariantWatch&) = delete;
  InvariantWatch& operator=(const InvariantWatch&) = delete;

  // Runs `action`, which closes or kills a Proc.
  void Do(const std::function<void()>& action) {
    WaitForCheck();
    ++inside_;
    action();
    --inside_;
  }

  // How often the state was quiet enough.
  [[nodiscard]] int checks() const { return checks_; }

 private:
  void At(Point point, std::int32_t tid) {
    if (tid == 0) return;  // The reaper: see Quiet.
    WaitForCheck();
    switch (point) {
      case Point::kEntering:
        CheckIfQuiet();
        ++inside_;
        break;
      case Point::kWoken:
        ++inside_;
        break;
      case Point::kParking:
      case Point::kLeaving:
        --inside_;
        CheckIfQuiet();
        break;
      default:
        break;
    }
  }

  void WaitForCheck() {
    sync::SteppedScheduler::Wait("InvariantWatch", this, kNoDeadline,
                                 [this] { return !checking_; });
  }

  [[nodiscard]] bool Quiet() const {
    if (inside_ > 0) return false;
    for (const core::Pin<core::Proc<L>>& proc : procs_) {
      if ((proc->closed.load() || proc->kill.stop_requested()) &&
          !proc->released.load()) {
        return false;
      }
    }
    return true;
  }

  void CheckIfQuiet() {
    if (!Quiet()) return;
    checking_ = true;
    ++checks_;
    for (const std::string& what : debug::CheckInvariants(world_.Snapshot())) {
      ADD_FAILURE() << what;
    }
    checking_ = false;
  }

  World<L>& world_;
  std::vector<core::Pin<core::Proc<L>>> procs_;
  int inside_ = 0;
  bool checking_ = false;
  int checks_ = 0;
};

// --- Stories ---------------------------------------------------------------

// A sanitizer makes each schedule several times slower, and fewer will do for
// it: what it looks for is in most of them, if anywhere.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#elif defined(__has_feature)
inline constexpr bool kSanitized =
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
inline constexpr bool kSanitized = false;
#endif

inline sync::ExploreOptions Random(int schedules) {
  sync::ExploreOptions options;
  options.search = sync::ExploreOptions::Search::kRandom;
  options.max_schedules = kSanitized ? schedules / 10 : schedules;
  return options;
}
inline sync::ExploreOptions Pct(int schedules) {
  sync::ExploreOptions options;
  options.search = sync::ExploreOptions::Search::kPct;
  options.max_schedules = kSanitized ? schedules / 10 : schedules;
  return options;
}
// All schedules with at most `preemptions`, one less under a sanitizer.
inline sync::ExploreOptions All(int preemptions) {
  sync::ExploreOptions options;
  options.preemption_bound =
      kSanitized && preemptions > 0 ? preemptions - 1 : preemptions;
  options.max_schedules = 20'000;
  return options;
}

// Whether nobody but the reaper is left. If not, a story must return: the
// schedule has failed.
inline bool Finished(const sync::SteppedScheduler& scheduler) {
  for (const auto& blocked : scheduler.LastResult().blocked) {
    if (blocked.name != "binder-reaper") return false;
  }
  return true;
}

template <class L>
class StoryTest : public ::testing::Test {
 protected:
  // Tells the story once for each schedule. What it spawned must have ended
  // when it returns, and everything must be gone after its world.
  static void Tell(
      const sync::ExploreOptions& options,
      const std::function<void(World<L>&, sync::SteppedScheduler&)>& story) {
    const sync::ExploreResult result = sync::Explore(
        options, [&story](sync::SteppedScheduler& scheduler) -> std::string {
          auto world = std::make_unique<World<L>>();
          story(*world, scheduler);
          if (!Finished(scheduler)) {
            (void)world.release();  // Those who are stuck use it.
            return scheduler.LastResult().ToString();
          }
          world.reset();
          return HasFailure() ? "an expectation failed" : "";
        });
    EXPECT_TRUE(result.ok()) << result.failure << "\nin schedule "
                             << result.schedules << ": " << result.replay;
    if (options.search == sync::ExploreOptions::Search::kExhaustive &&
        result.ok()) {
      EXPECT_TRUE(result.exhausted) << result.schedules << " schedules";
    }
  }
};

}  // namespace binderlite::testing

#endif  // BINDERLITE_TESTS_SUPPORT_STEPPED_DRIVER_H_
