// SPDX-License-Identifier: Apache-2.0
//
// The public face of the driver: Context (a binder device), Proc (one open of
// it) and Thread (one thread's access to a Proc), templates over the locking
// policy with plain aliases for the default. Each has a header of its own; this
// one has them all.
//
//   binderlite::Context context;
//   auto manager = context.Open({.name = "manager"});
//   auto thread = manager.Attach();
//   thread.SetContextMgr();
//   ...
//   binderlite::WriteRead args = {...};            // as for the ioctl
//   thread.WriteRead(args, stop_token);
//
// Thread safety: a Context and a Proc may be used from everywhere at the same
// time. A Thread makes one call at a time, from whichever OS thread; only
// Interrupt, SetEnded and Kill may come from others meanwhile.
//
// Lifetime: handles keep what they need alive. Closing, killing or destroying
// in any order is fine; calls that come too late answer kClosed or kKilled.

#ifndef BINDERLITE_DRIVER_DRIVER_H_
#define BINDERLITE_DRIVER_DRIVER_H_

#if __cplusplus < 202002L
#error \
    "binderlite needs C++20: -std=c++20, or target_compile_features(... cxx_std_20)"
#endif

// IWYU pragma: begin_exports
#include "binderlite/driver/call_handler.h"
#include "binderlite/driver/context.h"
#include "binderlite/driver/incoming.h"
#include "binderlite/driver/proc.h"
#include "binderlite/driver/reserve.h"
#include "binderlite/driver/thread.h"
// IWYU pragma: end_exports

#endif  // BINDERLITE_DRIVER_DRIVER_H_
