// SPDX-License-Identifier: Apache-2.0
//
// Everything that a user of binderlite needs in one include. Declares nothing
// itself and takes no locks.

#ifndef BINDERLITE_BINDERLITE_H_
#define BINDERLITE_BINDERLITE_H_

// IWYU pragma: begin_exports
#include "binderlite/config.h"
#include "binderlite/core/arena.h"
#include "binderlite/core/buffer.h"
#include "binderlite/core/context.h"
#include "binderlite/core/counters.h"
#include "binderlite/core/counts.h"
#include "binderlite/core/death.h"
#include "binderlite/core/hooks.h"
#include "binderlite/core/log.h"
#include "binderlite/core/node.h"
#include "binderlite/core/pin.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/ref.h"
#include "binderlite/core/task.h"
#include "binderlite/core/thread.h"
#include "binderlite/core/transaction.h"
#include "binderlite/core/work.h"
#include "binderlite/debug/dump.h"
#include "binderlite/debug/invariants.h"
#include "binderlite/debug/json.h"
#include "binderlite/debug/snapshot.h"
#include "binderlite/debug/state.h"
#include "binderlite/driver/call.h"
#include "binderlite/driver/dispatch.h"
#include "binderlite/driver/driver.h"
#include "binderlite/driver/entry.h"
#include "binderlite/driver/ioctl.h"
#include "binderlite/driver/notify.h"
#include "binderlite/driver/refcount.h"
#include "binderlite/driver/release.h"
#include "binderlite/driver/route.h"
#include "binderlite/driver/transact.h"
#include "binderlite/driver/translate.h"
#include "binderlite/driver/wait.h"
#include "binderlite/fwd.h"
#include "binderlite/memory/mapping.h"
#include "binderlite/memory/range_allocator.h"
#include "binderlite/memory/user_memory.h"
#include "binderlite/sync/abseil_primitives.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/sync/primitives.h"
#include "binderlite/sync/stop.h"
#include "binderlite/sync/stop_mutex.h"
#include "binderlite/version.h"
#include "binderlite/wire/commands.h"
#include "binderlite/wire/errc.h"
#include "binderlite/wire/flags.h"
#include "binderlite/wire/objects.h"
#include "binderlite/wire/structs.h"
// IWYU pragma: end_exports

#endif  // BINDERLITE_BINDERLITE_H_
