// SPDX-License-Identifier: Apache-2.0
//
// Detached: what a coroutine returns that nobody waits for: one to begin with,
// for programs that have no coroutine type of their own.
//
//   bl::Detached Greet(bl::Proxy<Greeter> greeter) {
//     Print(co_await greeter->Hello.Async("you"));
//   }
//
// It starts at once, on the thread that calls it, goes on on whatever brings
// what it waits for (api/future.h), and frees itself when it ends. What it uses
// after its first co_await has to live as long as it: take arguments by value.
//
// No locks here.

#ifndef BINDERLITE_API_DETACHED_H_
#define BINDERLITE_API_DETACHED_H_

#include <coroutine>
#include <cstdlib>

namespace binderlite {

// See the head of this file.
struct Detached {
  // As coroutines need it.
  struct promise_type {
    // What the caller gets.
    Detached get_return_object() noexcept { return {}; }
    // Starts at once.
    std::suspend_never initial_suspend() noexcept { return {}; }
    // Frees itself.
    std::suspend_never final_suspend() noexcept { return {}; }
    // Nobody waits for a result.
    void return_void() noexcept {}
    // Nor for an exception.
    [[noreturn]] void unhandled_exception() noexcept { std::abort(); }
  };
};

}  // namespace binderlite

#endif  // BINDERLITE_API_DETACHED_H_
