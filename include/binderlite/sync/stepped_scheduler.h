// SPDX-License-Identifier: Apache-2.0
//
// The stepped scheduler: threads of which one runs at a time, and someone else
// says which.
//
// For tests, under SteppedPrimitives. Declares SteppedOptions and
// SteppedScheduler.
//
// The actors of a SteppedScheduler are operating system threads of which
// exactly one runs at any time: it has the baton. At each Mutex::Lock,
// StopMutex::Lock, Park, SchedulingPoint and join of a Worker, and when it
// ends, the running actor asks the strategy who goes next, hands that one the
// baton and sleeps. What happens between two such points is one atomic step.
//
// The thread that made the scheduler is the outside. It runs only while no
// actor does: Run() lends the baton to the actors and returns when all of them
// have ended or none can move. Meanwhile the outside may use the primitives
// too, as long as it would not block.
//
// Locks: none. All state belongs to whoever has the baton, and the semaphores
// that pass it on order the accesses, for ThreadSanitizer too.
// Fails: misuse is reported on stderr, with the schedule, and aborts.
//
// Stop requests. A blocked actor is described by a predicate ("the mutex is
// free or a stop is requested"), and the predicates are evaluated whenever
// someone has to be chosen. So nothing here registers a stop_callback, and
// request_stop(), by an actor or the outside, contains no scheduling point: it
// takes effect at the caller's next one; put a SchedulingPoint() after it to
// let the stopped run first. The same restraint is asked of the callbacks that
// the code under test registers: one that reached a scheduling point could
// hand the baton to an actor whose ~stop_callback waits, outside the
// scheduler's knowledge, for that very callback, and all would stand still.

#ifndef BINDERLITE_SYNC_STEPPED_SCHEDULER_H_
#define BINDERLITE_SYNC_STEPPED_SCHEDULER_H_

#include <semaphore.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "binderlite/sync/stepped_strategy.h"
#include "binderlite/sync/stop.h"

namespace binderlite::sync {

struct SteppedOptions {
  // False: time stands still while any actor can move, and then jumps to the
  // earliest deadline. True: a deadline may also pass at any other decision,
  // as one more choice; finds races of timeouts with wake-ups.
  bool early_deadlines = false;
  // Decisions after which Run gives up: a guard against endless loops.
  std::int64_t max_steps = 1'000'000;
};

class SteppedScheduler {
 public:
  struct Blocked {
    std::string name;  // of the actor
    // "Mutex", "StopMutex", "Parker", "join"; "running": it can move, but
    // max_steps was reached; "start": it has never run.
    std::string where;
  };

  struct RunResult {
    bool all_finished = false;
    // Those that have not.
    std::vector<Blocked> blocked;

    // "all finished", or "blocked: a in Mutex, b in Parker".
    std::string ToString() const {
      if (all_finished) return "all finished";
      std::string text = "blocked:";
      for (const Blocked& b : blocked) {
        text +=
            (&b == &blocked.front() ? " " : ", ") + b.name + " in " + b.where;
      }
      return text;
    }
  };

  // The calling thread becomes the outside of this scheduler, and that of the
  // previous one again after the destructor. Without a strategy: cooperative.
  explicit SteppedScheduler(std::unique_ptr<SteppedStrategy> strategy = nullptr,
                            SteppedOptions options = {})
      : strategy_(strategy != nullptr
                      ? std::move(strategy)
                      : std::make_unique<CooperativeStrategy>()),
        options_(options),
        previous_(std::exchange(Here(), {this, nullptr})) {}

  // Every actor must have ended, or have been abandoned: aborts otherwise.
  ~SteppedScheduler() {
    if (!stranded_.empty()) Misuse(stranded_);
    if (!AllFinished()) Misuse("destroyed with unfinished actors");
    JoinThreads();
    Here() = previous_;
  }

  SteppedScheduler(const SteppedScheduler&) = delete;
  SteppedScheduler& operator=(const SteppedScheduler&) = delete;

  // The scheduler of the calling thread, an actor's or the outside's. Aborts if
  // there is none.
  static SteppedScheduler& Current() {
    if (Here().scheduler == nullptr) {
      SteppedFailure(
          "a SteppedPrimitives object is used by a thread that "
          "belongs to no SteppedScheduler");
    }
    return *Here().scheduler;
  }

  // Adds an actor, which starts when it is first chosen. Not a scheduling
  // point. By the outside or an actor. Names serve the reports and the queries
  // below and need not be unique. Returns the actor's number.
  int Spawn(std::string name, std::function<void()> body) {
    const int id = static_cast<int>(actors_.size());
    actors_.push_back(std::make_unique<Actor>());
    Actor* const actor = actors_.back().get();
    actor->id = id;
    actor->name = std::move(name);
    actor->body = std::move(body);
    actor->thread = std::thread([this, actor] { ThreadMain(*actor); });
    return id;
  }

  // Runs the actors until each has ended or none can move, even if the clock
  // does. By the outside. Can be repeated after more was spawned, a stop was
  // requested, a Parker woken or a mutex released.
  RunResult Run() {
    if (Here().actor != nullptr) Misuse("Run called by an actor");
    if (Actor* next = Next(); next != nullptr) {
      next->baton.Give();
      idle_.Take();
    }
    for (const auto& actor : actors_) {
      if (actor->finished || !actor->started) continue;
      actor->left_in = CanGo(*actor) ? "running" : actor->wait.where;
    }
    return LastResult();
  }

  // What the last Run returned, plus the actors that were spawned since. Unlike
  // blocked(), it does not look at what the actors wait for, which may be gone.
  RunResult LastResult() const {
    RunResult result;
    for (const auto& actor : actors_) {
      if (!actor->finished) {
        result.blocked.push_back({actor->name, actor->left_in});
      }
    }
    result.all_finished = result.blocked.empty();
    return result;
  }

  // Whether all actors of that name have ended. Aborts if there is none.
  bool finished(std::string_view name) const {
    return All(name, [](const Actor& actor) { return actor.finished; });
  }

  // Whether all actors of that name have neither ended nor can move. Aborts if
  // there is none.
  bool blocked(std::string_view name) const {
    return All(name, [this](const Actor& actor) {
      return !actor.finished && !CanGo(actor);
    });
  }

  // The virtual clock. It starts at one hour, so that there is a past.
  TimePoint Now() const { return now_; }
  void AdvanceClock(std::chrono::nanoseconds by) {
    now_ += std::chrono::duration_cast<TimePoint::duration>(by);
  }

  // The decisions so far, as text for ReplayStrategy.
  std::string replay() const { return EncodeSchedule(schedule_); }
  // How many there were.
  std::size_t decisions() const { return schedule_.size(); }

  // Gives up on the actors that have not ended: they never move again. For a
  // test that has failed and has no way to set them free. Their threads sleep,
  // with what is on their stacks, until the process ends. After this the
  // scheduler can only be destroyed.
  void Abandon() {
    for (auto& actor : actors_) {
      if (actor->finished) continue;
      if (actor->started) {
        // Its thread owns it now, and will never wake to use this scheduler.
        static_cast<void>(actor.release());
      } else {
        actor->finished = true;
        actor->body = nullptr;
        actor->baton.Give();
      }
    }
    std::erase(actors_, nullptr);
    stranded_.clear();
  }

  // --- For the primitives below. ---

  // Identifies the calling actor, or the outside, as the owner of a mutex.
  static const void* Self() {
    SteppedScheduler& scheduler = Current();
    if (Here().actor != nullptr) return Here().actor;
    return &scheduler;
  }

  // Lets others run, then returns when `ready()` is true or the deadline has
  // passed, with nobody having run since that was found. `ready` must not
  // change anything. Where the outside would have to wait, this aborts.
  template <class Ready>
  static void Wait(const char* where, const void* object, TimePoint deadline,
                   const Ready& ready) {
    SteppedScheduler& scheduler = Current();
    Actor* const self = Here().actor;
    if (self == nullptr) {
      if (ready() || deadline <= scheduler.now_) return;
      scheduler.Misuse(std::string("the outside would block in ") + where);
    }
    self->wait = {where, object, deadline, &ready, [](const void* r) {
                    return (*static_cast<const Ready*>(r))();
                  }};
    scheduler.Switch(*self);
    self->wait = {};
  }

  // How many actors are in Wait for `object` and cannot go.
  int WaitersOf(const void* object) const {
    return static_cast<int>(std::count_if(
        actors_.begin(), actors_.end(), [this, object](const auto& actor) {
          return actor->wait.object == object && !CanGo(*actor);
        }));
  }

  // Waits until an actor has ended. The outside runs the actors for that, and
  // if this one is still blocked then, abandons it: Explore reports that as a
  // failure, the destructor aborts.
  void Join(int id) {
    Actor& actor = *actors_[static_cast<std::size_t>(id)];
    if (Here().actor != nullptr || actor.finished) {
      Wait("join", &actor, kNoDeadline, [&actor] { return actor.finished; });
      return;
    }
    const RunResult result = Run();
    if (actor.finished) return;
    actor.stranded = true;
    if (stranded_.empty()) {
      stranded_ =
          "'" + actor.name + "' is joined and never ends; " + result.ToString();
    }
  }

  // Not empty if Join has failed, and says how.
  const std::string& stranded() const { return stranded_; }

  // Prints `message`, the actors and the schedule, and aborts.
  [[noreturn]] void Misuse(const std::string& message) const {
    std::string text = message;
    if (Here().actor != nullptr) text += "; in '" + Here().actor->name + "'";
    for (const auto& actor : actors_) {
      text += "\n  '" + actor->name + "' ";
      if (actor->finished) {
        text += "has ended";
      } else if (!actor->started) {
        text += "has not started";
      } else if (actor.get() == Here().actor) {
        text += "is running";
      } else {
        // Not whether it can go on: what it waits for may be gone by now.
        text += std::string("waits in ") + actor->wait.where;
      }
    }
    SteppedFailure(text + "\n  schedule: " + replay());
  }

 private:
  // Passes the right to run to one sleeping thread. POSIX's semaphore, since
  // it is one futex and, unlike that of libstdc++ 12, never spins: the thread
  // that would be waited for has work to do first.
  class Baton {
   public:
    Baton() { sem_init(&semaphore_, 0, 0); }
    ~Baton() { sem_destroy(&semaphore_); }
    Baton(const Baton&) = delete;
    Baton& operator=(const Baton&) = delete;
    void Give() { sem_post(&semaphore_); }
    void Take() {
      while (sem_wait(&semaphore_) != 0) {
        // A signal handler ran.
      }
    }

   private:
    sem_t semaphore_;
  };

  // What an actor that does not run needs in order to go on. The predicate is
  // an object on that actor's stack. An actor that has not started has none.
  struct WaitState {
    const char* where = "start";
    const void* object = nullptr;
    TimePoint deadline = kNoDeadline;
    const void* ready = nullptr;
    bool (*call)(const void* ready) = nullptr;
  };

  struct Actor {
    int id = 0;
    std::string name;
    std::function<void()> body;
    bool started = false;
    bool finished = false;
    bool stranded = false;          // never to run again
    const char* left_in = "start";  // as the last Run found it
    WaitState wait;
    Baton baton;
    std::thread thread;
  };

  // Which scheduler the thread belongs to, and as whom: no actor for the
  // outside.
  struct Membership {
    SteppedScheduler* scheduler = nullptr;
    Actor* actor = nullptr;
  };
  static Membership& Here() {
    static thread_local Membership membership;
    return membership;
  }

  void ThreadMain(Actor& self) {
    self.baton.Take();
    if (self.finished) return;  // abandoned
    Here() = {this, &self};
    self.started = true;
    {
      // What the functor holds is destroyed as a part of the actor's work.
      const std::function<void()> body = std::move(self.body);
      body();
    }
    self.finished = true;
    HandTo(Next());
  }

  bool CanGo(const Actor& actor) const {
    if (actor.finished || actor.stranded) return false;
    return actor.wait.call == nullptr || actor.wait.call(actor.wait.ready) ||
           actor.wait.deadline <= now_;
  }

  bool HasDeadline(const Actor& actor) const {
    return !actor.finished && !actor.stranded &&
           actor.wait.deadline != kNoDeadline;
  }

  // Chooses who goes next. Null: the outside, since nobody can.
  Actor* Next() {
    if (steps_++ >= options_.max_steps) return nullptr;
    candidates_.clear();
    const bool can_continue = last_ != nullptr && CanGo(*last_);
    if (can_continue) candidates_.push_back(last_->id);
    for (const auto& actor : actors_) {
      if (actor.get() != last_ && CanGo(*actor)) {
        candidates_.push_back(actor->id);
      }
    }
    if (options_.early_deadlines) {
      for (const auto& actor : actors_) {
        if (HasDeadline(*actor) && !CanGo(*actor)) {
          candidates_.push_back(actor->id);
        }
      }
    } else if (candidates_.empty()) {
      TimePoint earliest = kNoDeadline;
      for (const auto& actor : actors_) {
        if (HasDeadline(*actor)) {
          earliest = std::min(earliest, actor->wait.deadline);
        }
      }
      for (const auto& actor : actors_) {
        if (HasDeadline(*actor) && actor->wait.deadline == earliest) {
          candidates_.push_back(actor->id);
        }
      }
    }
    if (candidates_.empty()) return last_ = nullptr;
    std::size_t chosen = 0;
    if (candidates_.size() > 1) {
      chosen = strategy_->Choose({candidates_, can_continue});
      if (chosen >= candidates_.size()) {
        Misuse("the schedule does not fit: choice " + std::to_string(chosen) +
               " of " + std::to_string(candidates_.size()) + " at decision " +
               std::to_string(schedule_.size()));
      }
      schedule_.push_back(chosen);
    }
    last_ = actors_[static_cast<std::size_t>(candidates_[chosen])].get();
    // Chosen without being able to go: its time has come.
    if (!CanGo(*last_)) now_ = last_->wait.deadline;
    return last_;
  }

  void HandTo(Actor* next) {
    if (next != nullptr) {
      next->baton.Give();
    } else {
      idle_.Give();
    }
  }

  void Switch(Actor& self) {
    Actor* const next = Next();
    if (next == &self) return;
    HandTo(next);
    self.baton.Take();
  }

  bool AllFinished() const {
    return std::all_of(actors_.begin(), actors_.end(),
                       [](const auto& actor) { return actor->finished; });
  }

  template <class Predicate>
  bool All(std::string_view name, const Predicate& predicate) const {
    bool found = false;
    bool all = true;
    for (const auto& actor : actors_) {
      if (actor->name != name) continue;
      found = true;
      all = all && predicate(*actor);
    }
    if (!found) Misuse("no actor is called '" + std::string(name) + "'");
    return all;
  }

  void JoinThreads() {
    for (const auto& actor : actors_) actor->thread.join();
  }

  const std::unique_ptr<SteppedStrategy> strategy_;
  const SteppedOptions options_;
  const Membership previous_;
  Baton idle_;                                  // the outside waits here
  std::vector<std::unique_ptr<Actor>> actors_;  // by number
  Actor* last_ = nullptr;                       // chosen last, if it was one
  std::vector<int> candidates_;                 // of the current decision
  Schedule schedule_;
  std::int64_t steps_ = 0;
  TimePoint now_{std::chrono::hours(1)};
  std::string stranded_;
};

}  // namespace binderlite::sync

#endif  // BINDERLITE_SYNC_STEPPED_SCHEDULER_H_
