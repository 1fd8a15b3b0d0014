// SPDX-License-Identifier: Apache-2.0
//
// One of two translation units with every header (see b.cc). Linking them
// fails when a header defines something that is neither inline nor a template.
// Here each template of the driver is instantiated whole, for each discipline,
// so that compilers and static analysis see all of it.

#include "all_headers.h"  // written by CMake from cmake/headers.cmake

template class binderlite::BasicContext<binderlite::FineGrained<>>;
template class binderlite::BasicProc<binderlite::FineGrained<>>;
template class binderlite::BasicThread<binderlite::FineGrained<>>;

using Always = binderlite::BinderLock<binderlite::Relock::kAlways>;
template class binderlite::BasicContext<Always>;
template class binderlite::BasicProc<Always>;
template class binderlite::BasicThread<Always>;

using UnlessKilled = binderlite::BinderLock<binderlite::Relock::kUnlessKilled>;
template class binderlite::BasicContext<UnlessKilled>;
template class binderlite::BasicProc<UnlessKilled>;
template class binderlite::BasicThread<UnlessKilled>;

using Interruptible =
    binderlite::BinderLock<binderlite::Relock::kInterruptible>;
template class binderlite::BasicContext<Interruptible>;
template class binderlite::BasicProc<Interruptible>;
template class binderlite::BasicThread<Interruptible>;

int FromB();

int main() { return FromB() == binderlite::kVersionMajor ? 0 : 1; }
