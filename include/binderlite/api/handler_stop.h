// SPDX-License-Identifier: Apache-2.0
//
// HandlerStop: what a handler's stop token stops for (Caller::stop_token).
//
//   call                  stops when
//   --------------------  ---------------------------------------------------
//   any                   the handler's endpoint is closed
//   synchronous           the driver says that nobody waits for the answer, for
//                         the deadline or whatever else has ended the call
//   on its caller's       also: the deadline, by a timer; the stop token of the
//   thread                call, a kill of the caller, and the end of its
//                         endpoint, which all have to wait for the handler
//   asynchronous          the deadline, by a timer
//   of its own endpoint   the deadline, by a timer, and the stop token
//
// Nothing is registered anywhere before the token is asked for.
//
// Locks: those of PendingCalls and of a call of the driver, one after the
// other.

#ifndef BINDERLITE_API_HANDLER_STOP_H_
#define BINDERLITE_API_HANDLER_STOP_H_

#include <cstdint>
#include <optional>
#include <stop_token>
#include <utility>

#include "binderlite/api/object.h"
#include "binderlite/api/process.h"
#include "binderlite/driver/driver.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/stop.h"

namespace binderlite::api_internal {

// Why a handler may stop, beside the end of its endpoint.
template <LockingPolicy L>
struct StopReasons {
  // For the timer.
  sync::TimePoint deadline = sync::kNoDeadline;
  // The thread that serves the call, if somebody waits for the answer.
  BasicThread<L>* thread = nullptr;
  // Of a caller whose thread runs the handler; see ServedHere.
  const sync::StopSignals* caller = nullptr;
  const AnyProcess* caller_process = nullptr;
  // Of a call that does not go through the driver.
  std::stop_token stop = {};
};

template <LockingPolicy L>
class HandlerStop final : public TokenMaker {
 public:
  HandlerStop(Process<L>& process, StopReasons<L> reasons)
      : process_(process), reasons_(std::move(reasons)) {}
  HandlerStop(const HandlerStop&) = delete;
  HandlerStop& operator=(const HandlerStop&) = delete;
  ~HandlerStop() {
    if (timer_ != 0) process_.pending->Forget(timer_);
  }

  std::stop_token Token() override {
    if (!source_.stop_possible()) {
      source_ = std::stop_source();
      armed_.emplace(source_, process_, reasons_);
      if (reasons_.deadline != sync::kNoDeadline) {
        timer_ = process_.pending->StopAt(reasons_.deadline, source_);
      }
    }
    return source_.get_token();
  }

 private:
  struct Stop {
    void operator()() { source.request_stop(); }
    std::stop_source source;
  };
  struct Armed {
    Armed(const std::stop_source& source, const Process<L>& process,
          const StopReasons<L>& why)
        : closed(process.stop().get_token(), Stop{source}),
          given_up(
              why.thread != nullptr ? why.thread->GivenUp() : std::stop_token(),
              Stop{source}),
          caller(why.caller != nullptr ? *why.caller : sync::StopSignals(),
                 Stop{source}),
          caller_closed(why.caller_process != nullptr
                            ? why.caller_process->stop().get_token()
                            : std::stop_token(),
                        Stop{source}),
          stopped(why.stop, Stop{source}) {}

    const std::stop_callback<Stop> closed;
    const std::stop_callback<Stop> given_up;
    const sync::StopCallbacks<Stop> caller;
    const std::stop_callback<Stop> caller_closed;
    const std::stop_callback<Stop> stopped;
  };

  Process<L>& process_;
  const StopReasons<L> reasons_;
  std::stop_source source_{std::nostopstate};
  std::optional<Armed> armed_;
  std::uint64_t timer_ = 0;
};

}  // namespace binderlite::api_internal

#endif  // BINDERLITE_API_HANDLER_STOP_H_
