/* SPDX-License-Identifier: Apache-2.0 */
/* wakeup.pml -- a kill must not swallow a wake-up.
 * Two looper threads (A may be killed, B may not) wait for process work with an
 * exclusive wait: one posted item wakes exactly one waiter.  If the chosen one
 * is killed after it was chosen and leaves without taking the item, somebody
 * must be woken in its place.
 *   PASS 0  the killed waiter just leaves (what notify_one + early return does)
 *        1  on the way out it re-notifies when work is pending
 *           (the driver looks at todo again after each read)
 */
#ifndef PASS
#define PASS 0
#endif
byte todo = 0, handled = 0;
bool token[2];                 /* wake-up handed to waiter i */
bool waiting[2];
bool killedA = false, goneA = false, posted = false;

inline wake_one() {            /* exclusive: any ONE current waiter that has no token yet */
	if
	:: waiting[0] && !token[0] -> token[0] = true
	:: waiting[1] && !token[1] -> token[1] = true
	:: else -> skip
	fi
}
active proctype A() {
	atomic { if :: todo > 0 -> goto take :: else -> waiting[0] = true fi }
	if
	:: token[0]  -> skip
	:: killedA   -> skip
	fi;
	atomic { waiting[0] = false }
	if
	:: killedA -> 
#if PASS == 1
		atomic { if :: todo > 0 -> wake_one() :: else fi }
#endif
		goneA = true; goto end
	:: !killedA -> skip
	fi;
take:	atomic { if :: todo > 0 -> todo--; handled++ :: else fi }
	goneA = true;
end:	skip
}
active proctype B() {
	atomic { if :: todo > 0 -> goto take :: else -> waiting[1] = true fi }
end_w:	token[1];
	waiting[1] = false;
take:	atomic { if :: todo > 0 -> todo--; handled++ :: else fi }
}
active proctype Post() { atomic { todo++; posted = true; wake_one() } }
active proctype Kill() { if :: killedA = true :: skip fi }
active proctype Watch() { end_t: timeout -> assert(!(posted && handled == 0 && waiting[1])) }
