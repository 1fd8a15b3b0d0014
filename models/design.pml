/* SPDX-License-Identifier: Apache-2.0 */
/* design.pml -- the read loop of binderlite, checked for several loopers.
 *   N loopers of one Proc, each may be killed at any moment, P posters, one
 *   holder of the global lock (HOLD 0: lets go, 1: never lets go).
 *   The waiter list is guarded by a leaf lock that is never held while blocked;
 *   the model therefore writes its critical sections as atomic blocks.
 *   PASS 0  killed waiter just leaves
 *        1  killed waiter that had been handed a wake-up hands it on when it
 *           leaves the wait (does not look at todo, needs no global lock)
 *        2  the wake-up is a debt, paid only when todo has been looked at under
 *           the global lock; EVERY way out hands an unpaid one on (one place,
 *           at label out -- in C++: the destructor of a token object)
 *   BADREG 1  planted bug: registers as waiter after dropping the global lock
 *   ENTRY  1  global lock taken interruptibly, 0 uninterruptibly
 */
#ifndef N
#define N 3
#endif
#ifndef P
#define P 2
#endif
#ifndef HOLD
#define HOLD 0
#endif
#ifndef PASS
#define PASS 2
#endif
#ifndef BADREG
#define BADREG 0
#endif
#ifndef ENTRY
#define ENTRY 1
#endif
#define NOBODY 255
byte mainlock = NOBODY;
byte todo = 0, handled = 0, posted = 0;
bool reg[N], token[N], killed[N], gone[N];

inline wake_one() {
	if
	:: reg[0] && !token[0] -> token[0] = true
	:: N > 1 && reg[1 % N] && !token[1 % N] -> token[1 % N] = true
	:: N > 2 && reg[2 % N] && !token[2 % N] -> token[2 % N] = true
	:: else -> skip
	fi
}
proctype Looper(byte id)
{
	bool took, had;
again:
#if ENTRY == 1
	if
	:: atomic { mainlock == NOBODY -> mainlock = _pid }
	:: killed[id] -> goto out
	fi;
#else
	atomic { mainlock == NOBODY -> mainlock = _pid };
#endif
	had = false;                            /* the debt is paid: todo is seen now */
	if
	:: todo > 0 -> todo--; took = true
	:: else -> took = false
#if BADREG == 0
		; reg[id] = true
#endif
	fi;
	atomic { assert(mainlock == _pid); mainlock = NOBODY }
	if
	:: took -> took = false; handled++; goto again
	:: else
	fi;
#if BADREG == 1
	reg[id] = true;
#endif
end_wait:
	if
	:: token[id] -> skip
	:: killed[id] -> skip
	fi;
	atomic {                                /* leaf lock */
		reg[id] = false; had = token[id]; token[id] = false;
		if
		:: killed[id] && had && PASS == 1 -> had = false; wake_one()
		:: else
		fi
	}
	if :: killed[id] -> goto out :: else -> goto again fi;
out:
#if PASS == 2
	atomic { if :: had -> had = false; wake_one() :: else fi };
#endif
	gone[id] = true
}
proctype Poster() {
	atomic { mainlock == NOBODY -> mainlock = _pid };
	todo++; posted++;
	atomic { wake_one() }
	atomic { mainlock = NOBODY }
}
proctype Killer(byte id) { if :: killed[id] = true :: skip fi }
proctype Holder() {
	atomic { mainlock == NOBODY -> mainlock = _pid };
#if HOLD == 1
	false;
#endif
	mainlock = NOBODY
}
proctype Watch() {
	timeout -> d_step {
		/* a killed looper is never stuck */
		assert(!(killed[0] && !gone[0]));
		assert(!(killed[1 % N] && !gone[1 % N]));
		assert(!(killed[2 % N] && !gone[2 % N]));
		/* work is never stranded while a live looper sleeps and the lock is free */
		assert(!(todo > 0 && mainlock == NOBODY &&
		   ((reg[0] && !killed[0]) || (reg[1 % N] && !killed[1 % N]) || (reg[2 % N] && !killed[2 % N]))));
		/* conservation */
		assert(handled + todo == posted);
		/* a gone looper is not registered */
		assert(!(gone[0] && reg[0]) && !(gone[1 % N] && reg[1 % N]) && !(gone[2 % N] && reg[2 % N]))
	}
}
init { byte i; atomic {
	for (i : 0 .. N - 1) { run Looper(i); run Killer(i) }
	for (i : 1 .. P) { run Poster() }
	run Holder(); run Watch()
} }
