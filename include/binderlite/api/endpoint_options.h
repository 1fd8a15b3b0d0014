// SPDX-License-Identifier: Apache-2.0
//
// EndpointOptions: who an endpoint is, and what it has; and RunningCall, what
// it tells of a handler that runs in it.
//
// No locks here.

#ifndef BINDERLITE_API_ENDPOINT_OPTIONS_H_
#define BINDERLITE_API_ENDPOINT_OPTIONS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace binderlite {

// A call that a handler is serving, for reports.
struct RunningCall {
  std::string endpoint;              // That serves it.
  std::string interface;             // Of the object.
  std::uint32_t code = 0;            // Of the method.
  std::int32_t caller = 0;           // Its pid; 0 for one-way calls.
  std::int32_t tid = 0;              // Of the thread, as the driver numbers it.
  std::chrono::nanoseconds since{};  // How long it has been running.
  std::chrono::steady_clock::time_point begin{};  // When it began.
};

// Who an endpoint is, and what it has.
struct EndpointOptions {
  // For reports, dumps and the names of threads.
  std::string name = {};
  // What others see; 0: one that nobody else has.
  std::int32_t pid = 0;
  // The user that others see; any number.
  std::uint32_t euid = 0;
  std::string label = {};  // Security label.
  // Bytes of receive memory, 4 MiB at most, for all calls and results that are
  // on their way to it or in use; one-way and asynchronous calls may take half
  // of it.
  std::size_t arena_size = std::size_t{1} << 20;
  // Threads that serve calls to it: so many from the first time that it gives
  // an object away (or earlier, see Endpoint::Serve), and as many as this while
  // all of them are busy. 0: none, see Endpoint::Dispatch.
  std::uint32_t loopers = 1;
  // The most that there may be; fewer than `loopers` counts as that.
  std::uint32_t max_loopers = 16;
  // While it is being closed: how often it reports the handlers that have not
  // returned.
  std::chrono::nanoseconds report_after = std::chrono::seconds(10);
  // Is given these reports, by the thread that closes, with no lock held.
  // Empty: a line for each handler on stderr.
  std::function<void(const std::vector<RunningCall>&)> on_stuck = {};
};

}  // namespace binderlite

#endif  // BINDERLITE_API_ENDPOINT_OPTIONS_H_
