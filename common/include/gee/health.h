/*
 * Liveness and readiness, as load balancers and orchestrators ask for them.
 *
 * Alive is a process whose loop serves: whoever gets no answer should restart it. Ready
 * is one that should be given requests now. They are different questions: a database
 * that is down makes a server unready, and restarting the server would not help.
 */
#ifndef GEE_HEALTH_H
#define GEE_HEALTH_H

#include "gee/engine.h"
#include <stdbool.h>

/*
 * Adds to g
 *   GET /healthz   200 "ok"
 *   GET /readyz    200 {"ready": true, …}, or 503 {"ready": false, …}: while the server
 *                  is about to end, or a check fails. "draining" says whether it is the
 *                  first, "checks" holds {"name", "ok", "error"} of each check, the
 *                  error as its UV_E* name ("ETIMEDOUT", or "EPANIC").
 *   GET /readyz/NAME   the same of one check alone; 404: there is none of that name
 * Whom these answers are for is the program's to say: mount them where those can ask.
 * 0, or an error of gee_handle.
 */
int gee_health_routes(gee_group *g);

/*
 * A check for /readyz. fn runs in a task of its own, all checks at the same time, and
 * returns 0: ready, or a negative UV_E* code. Its ctx ends when its time is up (within:
 * ms; 0 and gee_ready_check: 1 s); then it has failed with UV_ETIMEDOUT, whatever it
 * does or says, and should return. One that has not returned yet is not started again:
 * those who ask meanwhile wait for the same result, each at most for its time. So the page
 * is there when the time of its slowest check is over. A check that panics has failed.
 *
 * Two checks may run on different workers, and one on any. name is copied; arg stays the
 * caller's, until the last run of fn has ended. Before gee_listen.
 * 0, UV_EINVAL: no name or no fn; UV_ENOMEM.
 */
typedef int (*gee_ready_fn)(gee_ctx *ctx, void *arg);
int gee_ready_check(gee_engine *e, const char *name, gee_ready_fn fn, void *arg);
int gee_ready_check_within(gee_engine *e, const char *name, uint64_t ms, gee_ready_fn fn,
                           void *arg);

/*
 * Makes /readyz say 503, or not any more. gee_engine_run does so when it is told to end; for
 * programs that call gee_listen themselves. From any thread.
 */
void gee_set_ready(gee_engine *e, bool ready);

#endif
