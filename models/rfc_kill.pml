/* SPDX-License-Identifier: Apache-2.0 */
/* rfc_kill.pml -- a killed reader and the one binder lock.
 *
 * Model of the protocol of a patch posted to linux-kernel in 2017 (a killed
 * thread leaves its read without the binder lock), and of the reply to it.
 *
 *   Victim : a thread that enters the driver, registers as a waiter, drops the
 *            one global lock, waits for work, wakes up, and leaves.
 *   Killer : sets the victim's pending fatal signal / stop token.
 *   Holder : another thread that has the global lock and is stuck.
 *   Client : posts one work item (needs the global lock for a moment).
 *   Faulter: (only TFAULT=1) a sibling that takes the small per-proc
 *            threads_lock and faults while it has it: the posted patch keeps
 *            it over the user memory accesses of BINDER_SET_MAX_THREADS and
 *            BR_SPAWN_LOOPER.
 *
 *   V (variant)   0 baseline      relock after the wait is uninterruptible
 *                 1 patch         as posted: killed waiter leaves lockless,
 *                                 counters under threads_lock, relock of a
 *                                 work-woken thread interruptible, but ENTRY
 *                                 still uninterruptible
 *                 2 naive         baseline with only the relock made
 *                                 interruptible, nothing else (what a literal
 *                                 reading of the reply would change)
 *                 3 interruptible patch + interruptible lock at entry as well
 *                 4 binderlite    3, with atomic counters and no threads_lock
 *   HOLD          0 holder always releases (sanity)
 *                 1 holder never releases
 *                 2 holder waits until the victim has exited (OOM cycle)
 *   KILLAT        0 any time   1 only while waiting   2 only while entering
 *   TFAULT        0/1 see Faulter
 *
 * Checked: no invalid end state = no killed victim stuck for ever;
 *          assertions = lock is released by its owner only, ready counter never
 *          underflows and is 0 after the victim has left;
 *          ltl kill_exits (separate run, weak fairness).
 */
#ifndef V
#define V 0
#endif
#ifndef HOLD
#define HOLD 1
#endif
#ifndef KILLAT
#define KILLAT 0
#endif
#ifndef TFAULT
#define TFAULT 0
#endif

#define NOBODY 255
byte mainlock = NOBODY;
byte tlock    = NOBODY;

mtype = { OUTSIDE, ENTERING, INSIDE, WAITING, RELOCK, LEAVING, GONE };
mtype vstate = OUTSIDE;

bool killed = false;
bool exited = false;
byte todo   = 0;
byte handled = 0;
byte ready  = 0;

#define LOCK(l)    atomic { l == NOBODY -> l = _pid }
#define UNLOCK(l)  atomic { assert(l == _pid); l = NOBODY }

inline ready_inc() {
#if V == 1 || V == 3
	LOCK(tlock); ready++; UNLOCK(tlock)
#else
	atomic { ready++ }
#endif
}
inline ready_dec() {
#if V == 1 || V == 3
	LOCK(tlock); assert(ready > 0); ready--; UNLOCK(tlock)
#else
	atomic { assert(ready > 0); ready-- }
#endif
}

proctype Victim()
{
	bool locked = false;
	bool intr = false;

	vstate = ENTERING;
#if V == 3 || V == 4
	if
	:: atomic { mainlock == NOBODY -> mainlock = _pid; locked = true }
	:: killed -> goto out
	fi;
#else
	LOCK(mainlock); locked = true;
#endif
	vstate = INSIDE;
	ready_inc();
	UNLOCK(mainlock); locked = false;

	vstate = WAITING;
end_wait:                       /* waiting for work that never comes is fine */
	if
	:: todo > 0 -> intr = false
	:: killed   -> intr = true
	fi;
	vstate = RELOCK;

#if V == 0
	LOCK(mainlock); locked = true;          /* not interruptible */
	ready_dec();
	if :: intr -> goto out :: else fi;
#elif V == 2
	if
	:: atomic { mainlock == NOBODY -> mainlock = _pid; locked = true }
	:: killed -> goto out                   /* counter not given back */
	fi;
	ready_dec();
	if :: intr -> goto out :: else fi;
#else
	ready_dec();                            /* without the global lock */
	if :: intr -> goto out :: else fi;
	if
	:: atomic { mainlock == NOBODY -> mainlock = _pid; locked = true }
	:: killed -> goto out
	fi;
#endif
	if :: atomic { todo > 0 -> todo--; handled++ } :: else fi;
out:
	vstate = LEAVING;
	if :: locked -> UNLOCK(mainlock); locked = false :: else fi;
	assert(ready == 0);                     /* nothing left behind */
	atomic { exited = true; vstate = GONE }
}

proctype Killer()
{
#if KILLAT == 0
	skip;
#elif KILLAT == 1
end_k1:	(vstate == WAITING);
#else
end_k2:	(vstate == ENTERING && mainlock != NOBODY);
#endif
#if KILLAT == 1
	/* the signal must land while the victim is in the wait */
	atomic { if :: vstate == WAITING -> killed = true :: else fi }
#elif KILLAT == 2
	atomic { if :: vstate == ENTERING -> killed = true :: else fi }
#else
	if :: killed = true :: skip fi          /* a run without a kill as well */
#endif
}

proctype Holder()
{
end_h:	LOCK(mainlock);
#if HOLD == 1
end_forever: false;
#elif HOLD == 2
end_oom: (exited);                      /* memory comes back when it is dead */
#endif
	UNLOCK(mainlock)
}

proctype Client()
{
end_c:	LOCK(mainlock);                 /* an unkilled client may wait */
	todo++;
	UNLOCK(mainlock)
}

proctype Faulter()
{
end_f:	LOCK(tlock);
#if HOLD == 1
end_ff:	false;
#elif HOLD == 2
end_fo:	(exited);
#endif
	UNLOCK(tlock)
}

/* An unkilled victim may legitimately wait for ever on a held lock; to accept
 * that (and only that) as an end state, a watchdog asserts at quiescence. */
proctype Watch()
{
	/* timeout = nothing else can move */
end_w:	timeout -> assert(!(killed && !exited))
}

init {
	atomic {
		run Victim(); run Killer(); run Holder(); run Client();
#if TFAULT == 1
		run Faulter();
#endif
#ifndef NOWATCH
		run Watch()
#endif
	}
}

#ifdef LTL
ltl kill_exits { [] (killed -> <> exited) }
#endif
