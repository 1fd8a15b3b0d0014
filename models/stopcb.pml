/* SPDX-License-Identifier: Apache-2.0 */
/* stopcb.pml -- destroying a stop callback while holding the lock it needs.
 * std::stop_callback's destructor waits until a callback that is already
 * running on another thread has returned.  The callback needs mutex m to make
 * a sleeping waiter look again (that is how a stop token is joined to a
 * condition variable or to absl::Mutex::Await).
 *   UNDER 1  the waiter destroys (deregisters) its callback while it has m
 *         0  the waiter releases m first
 */
#ifndef UNDER
#define UNDER 1
#endif
#define NOBODY 255
byte m = NOBODY;
bool stop = false, running = false, registered = false, work = false, gone = false;
active proctype Waiter() {
	registered = true;                       /* callback registered, m not held  */
	atomic { m == NOBODY -> m = _pid }
	do                                       /* Await(Condition(work || stop))   */
	:: work || stop -> break
	:: else -> m = NOBODY; (work || stop); atomic { m == NOBODY -> m = _pid }
	od;
#if UNDER == 1
	atomic { !running -> registered = false } /* ~stop_callback() blocks while it runs */
	m = NOBODY;
#else
	m = NOBODY;
	atomic { !running -> registered = false }
#endif
	gone = true
}
active proctype Stopper() {
	atomic { stop = true; if :: registered -> running = true :: else -> goto out fi }
	atomic { m == NOBODY -> m = _pid }       /* the callback's body */
	m = NOBODY;
	running = false;
out:	skip
}
active proctype Worker() { if :: atomic { m == NOBODY -> work = true } :: skip fi }
