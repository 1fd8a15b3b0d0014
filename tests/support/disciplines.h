// SPDX-License-Identifier: Apache-2.0
//
// The four locking disciplines, for suites of typed tests:
//
//   template <class L> class TransactTest : public ::testing::Test {};
//   BINDERLITE_FOR_ALL_DISCIPLINES(TransactTest);

#ifndef BINDERLITE_TESTS_SUPPORT_DISCIPLINES_H_
#define BINDERLITE_TESTS_SUPPORT_DISCIPLINES_H_

#include <gtest/gtest.h>

#include <string>
#include <type_traits>

#include "binderlite/sync/abseil_primitives.h"
#include "binderlite/sync/locking.h"

namespace binderlite::testing {

// With Abseil's deadlock detection. BINDERLITE_TEST_DEFAULT_ONLY is for quick
// builds while a test is written.
using Checked = sync::CheckedAbseilPrimitives;
#ifdef BINDERLITE_TEST_DEFAULT_ONLY
using Disciplines = ::testing::Types<FineGrained<Checked>>;
#else
using Disciplines =
    ::testing::Types<FineGrained<Checked>, BinderLock<Relock::kAlways, Checked>,
                     BinderLock<Relock::kUnlessKilled, Checked>,
                     BinderLock<Relock::kInterruptible, Checked>>;
#endif

struct DisciplineNames {
  template <class L>
  static std::string GetName(int) {
    std::string name;
    for (const char c : L::kName) {
      if (c != '<' && c != '>') name += c;
    }
    return name;
  }
};

// Whether who begins a call and is killed gets out whoever holds what.
template <class L>
inline constexpr bool kKillableOnEntry =
    !L::kHasBinderLock ||
    std::is_same_v<L,
                   BinderLock<Relock::kInterruptible, typename L::Primitives>>;

#define BINDERLITE_FOR_ALL_DISCIPLINES(Suite)                 \
  TYPED_TEST_SUITE(Suite, ::binderlite::testing::Disciplines, \
                   ::binderlite::testing::DisciplineNames)

}  // namespace binderlite::testing

#endif  // BINDERLITE_TESTS_SUPPORT_DISCIPLINES_H_
