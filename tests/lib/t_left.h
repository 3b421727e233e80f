/* What is left behind, and for how long: the words in which the lessons' tests report it. */
#ifndef GEE_TESTS_T_LEFT_H
#define GEE_TESTS_T_LEFT_H

#include "t.h"

/* How many tasks, and file descriptors, there are. */
int64_t t_tasks(void);
int64_t t_fds(void);
/* How many tasks the leak check finds, of either kind. */
int t_leaked(void);

/*
 * For how long from now, on the virtual clock, there are more tasks than `baseline`: "0.0 s",
 * "0.5 s", or "for ever", if they are still there after an hour. Returns buf.
 */
const char *t_stays(gee_ctx *ctx, int64_t baseline, char *buf, size_t size);

/*
 * Where the youngest task is parked whose name begins like this: "sleep at sse.c:21"; or
 * "nowhere". Returns buf.
 */
const char *t_parked(const char *name, char *buf, size_t size);

#endif
