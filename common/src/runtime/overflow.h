/* A task that overruns its stack dies with a report of its own. */
#ifndef GEE_RUNTIME_OVERFLOW_H
#define GEE_RUNTIME_OVERFLOW_H

struct gee_worker;

/* For the process: at the start of the runtime and at its end. */
void gee_overflow_watch(void);
void gee_overflow_unwatch(void);
/* On w's thread: its signals have a stack of their own, since the task's is full. */
void gee_overflow_enter(struct gee_worker *w);
void gee_overflow_leave(struct gee_worker *w);

#endif
