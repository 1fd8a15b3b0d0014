// SPDX-License-Identifier: Apache-2.0
//
// Seat: what one OS thread runs at a time when calls are served on their
// caller's thread: the driver's threads whose calls and handlers are on its
// stack, and the Task in whose parker it sleeps for all of them.
//
// As a rule that is one thread, its own. When it runs the handler of a Proc
// that it calls, it does so as one of the waiting threads of that Proc, which
// is lent to it; if that handler makes such a call in turn, there are three;
// and so on. A thread may be there twice: a call may come back to the one that
// began it all.
//
// No locks: belongs to the OS thread. What others have to know of it, where to
// wake it, is in Thread::runner.

#ifndef BINDERLITE_CORE_SEAT_H_
#define BINDERLITE_CORE_SEAT_H_

#include <cstdint>
#include <memory>

#include "binderlite/core/pin.h"
#include "binderlite/core/task.h"
#include "binderlite/core/thread.h"
#include "binderlite/core/transaction.h"
#include "binderlite/core/work.h"
#include "binderlite/fwd.h"
#include "binderlite/sync/stop.h"

namespace binderlite::core {

// A call that is to be served on the OS thread that has this, as `to`. Whoever
// has one serves it (driver/loan.h).
template <class L>
struct Loan {
  std::unique_ptr<Transaction<L>> call;
  Pin<Thread<L>> to;
  HandlerInUse<L>* handler = nullptr;  // A use of it; null: there is none.
  bool lent = false;  // `to` is to be given back; otherwise it sits here.

  [[nodiscard]] explicit operator bool() const { return call != nullptr; }
};

template <class L>
class Seat {
 public:
  // Serves a call; called without any lock.
  using Serve = void (*)(Seat&, Loan<L>);

  // `owner` is pinned by the call it makes; `its_stops` are that call's.
  Seat(Task<L>& owner, const sync::StopSignals& its_stops, Serve how)
      : task(&owner), stops(&its_stops), serve(how) {}
  Seat(const Seat&) = delete;
  Seat& operator=(const Seat&) = delete;

  // A thread sits here for as long as this lives.
  class [[nodiscard]] Place {
   public:
    Place(Seat& seat, Thread<L>& who)
        : thread(&who), below_(seat.top_), seat_(seat) {
      seat.top_ = this;
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() { seat_.top_ = below_; }

    Thread<L>* const thread;
    bool serves = false;  // It has read a call.
    // What was on its stack before it read the call that it serves here, by its
    // number: it may be resolved meanwhile. 0: nothing.
    std::uint32_t base_id = 0;
    // Completions that it will read when it is done with that.
    WorkList aside;

   private:
    friend class Seat;
    Place* const below_;
    Seat& seat_;
  };

  [[nodiscard]] bool Holds(const Thread<L>& thread) const {
    return Find(&thread) != nullptr;
  }
  // That which `thread` took last; it has one.
  [[nodiscard]] const Place& PlaceOf(const Thread<L>& thread) const {
    return *Find(&thread);
  }

  // The thread that `hint` points to if that sits here; else it may be gone.
  [[nodiscard]] Thread<L>* Recognize(const Thread<L>* hint) const {
    const Place* const place = Find(hint);
    return place != nullptr ? place->thread : nullptr;
  }

  // Calls found(Thread&) until it answers true; the latest place first.
  template <class F>
  bool AnyOf(F found) const {
    for (const Place* place = top_; place != nullptr; place = place->below_) {
      if (found(*place->thread)) return true;
    }
    return false;
  }

  Task<L>* const task;
  const sync::StopSignals* const stops;
  const Serve serve;

 private:
  [[nodiscard]] const Place* Find(const Thread<L>* thread) const {
    const Place* place = top_;
    while (place != nullptr && place->thread != thread) place = place->below_;
    return place;
  }

  Place* top_ = nullptr;
};

}  // namespace binderlite::core

#endif  // BINDERLITE_CORE_SEAT_H_
