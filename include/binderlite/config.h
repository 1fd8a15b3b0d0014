// SPDX-License-Identifier: Apache-2.0
//
// What a user may configure before including any other header: the assertion.
// Everything else that can be chosen is a template parameter or an option
// struct, so that differently configured parts of a program can be linked
// together.
//
// BINDERLITE_ASSERT(cond) states what must hold unless the program itself is
// wrong (a precondition was broken, an invariant was lost). It is never used
// for what a peer, the arguments of a call or the machine can cause: those are
// errors and are returned. By default a false condition prints the expression,
// file and line to stderr and aborts; with NDEBUG defined the condition is
// compiled but not evaluated, as with assert().
//
// To route failures elsewhere, or to keep the checks in optimised builds,
// define BINDERLITE_ASSERT yourself, with one parameter and as an expression or
// a statement without its semicolon, before the first inclusion and in the same
// way in every translation unit: the checks are in inline functions, which must
// be the same everywhere (as they must with NDEBUG). A replacement that returns
// or throws leaves the object that was being operated on unusable.
//
// No locks; nothing here allocates.

#ifndef BINDERLITE_CONFIG_H_
#define BINDERLITE_CONFIG_H_

#include <cstdio>
#include <cstdlib>

namespace binderlite::config_internal {

// Reports a false assertion to stderr and ends the program.
[[noreturn]] inline void AssertionFailed(const char* expression,
                                         const char* file, int line) noexcept {
  std::fprintf(stderr, "%s:%d: binderlite assertion failed: %s\n", file, line,
               expression);
  std::fflush(stderr);
  std::abort();
}

}  // namespace binderlite::config_internal

#ifndef BINDERLITE_ASSERT
#ifdef NDEBUG
// sizeof keeps the names in the condition used, hence no warnings about them,
// without evaluating it.
#define BINDERLITE_ASSERT(cond) static_cast<void>(sizeof((cond) ? 1 : 0))
#else
#define BINDERLITE_ASSERT(cond)                                             \
  ((cond) ? static_cast<void>(0)                                            \
          : ::binderlite::config_internal::AssertionFailed(#cond, __FILE__, \
                                                           __LINE__))
#endif
#endif

#endif  // BINDERLITE_CONFIG_H_
