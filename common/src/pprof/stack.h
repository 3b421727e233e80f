/* The stack of a task that does not run. */
#ifndef GEE_PPROF_STACK_H
#define GEE_PPROF_STACK_H

#include "runtime/task.h"

/*
 * The addresses of the calls that t is in, innermost first, each within its call instruction: how
 * many, at most max. 0: it has not run yet, or this is a CPU on which nobody knows where a switch
 * keeps its registers. Only on t's worker, by another task or by its loop: then t does not run,
 * and will not while this looks.
 */
int gee_prof_stack_of(const gee_task *t, uintptr_t *pcs, int max);

/* How much of its stack is in use; 0: it has none yet. */
size_t gee_prof_stack_bytes(const gee_task *t);

/*
 * The same from a frame on, whose return address is pc: for a task that has been interrupted, or
 * that calls this itself. Frames lie between low and high, each above the one that it called; what
 * does not ends the walk. Reads nothing else, and may be called by a handler of a signal.
 */
int gee_prof_walk(uintptr_t pc, uintptr_t fp, uintptr_t low, uintptr_t high, uintptr_t *pcs,
                  int max);

#endif
