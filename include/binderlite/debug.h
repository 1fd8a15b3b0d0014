// SPDX-License-Identifier: Apache-2.0
//
// Everything that a binder is looked at with, in one include:
//
//   debug/watchdog.h    says when something hangs, and what
//   debug/wait_graph.h  who waits for whom (as plain data: debug/waits.h)
//   debug/wait_report.h the same as text and JSON
//   debug/dump.h        the state, in words like those of the kernel's debugfs
//   debug/json.h        the same for tools
//   debug/snapshot.h    the same as plain data (debug/state.h)
//   debug/log.h         the last transactions
//   debug/invariants.h  whether the state is one that can be
//
// Declares nothing itself and takes no locks.

#ifndef BINDERLITE_DEBUG_H_
#define BINDERLITE_DEBUG_H_

// IWYU pragma: begin_exports
#include "binderlite/debug/dump.h"
#include "binderlite/debug/invariants.h"
#include "binderlite/debug/json.h"
#include "binderlite/debug/log.h"
#include "binderlite/debug/snapshot.h"
#include "binderlite/debug/state.h"
#include "binderlite/debug/wait_graph.h"
#include "binderlite/debug/wait_report.h"
#include "binderlite/debug/waits.h"
#include "binderlite/debug/watchdog.h"
// IWYU pragma: end_exports

#endif  // BINDERLITE_DEBUG_H_
