// SPDX-License-Identifier: Apache-2.0
//
// AwaitStop: waits for a stop token, in whichever thread it is stopped.

#ifndef BINDERLITE_TESTS_SUPPORT_AWAIT_STOP_H_
#define BINDERLITE_TESTS_SUPPORT_AWAIT_STOP_H_

#include <condition_variable>
#include <mutex>
#include <stop_token>

namespace binderlite::testing {

// Blocks until `token` stops.
inline void AwaitStop(const std::stop_token& token) {
  std::mutex mu;
  std::condition_variable_any changed;
  std::unique_lock lock(mu);
  (void)changed.wait(lock, token, [] { return false; });
}

}  // namespace binderlite::testing

#endif  // BINDERLITE_TESTS_SUPPORT_AWAIT_STOP_H_
