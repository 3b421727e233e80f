/* The checks of /readyz (gee/health.h), and how they are asked. */
#ifndef GEE_MIDDLEWARE_CHECK_H
#define GEE_MIDDLEWARE_CHECK_H

#include "base/spin.h"
#include "gee/health.h"

struct gee_check_run;

typedef struct gee_check {
    struct gee_check *next; /* of the engine, in the order in which they were added */
    char *name;
    gee_ready_fn fn;
    void *arg;
    uint64_t ms;      /* what a run may take */
    _Atomic int refs; /* the engine's, and each run's */
    gee_spin lock;    /* over: */
    struct gee_check_run *current;
} gee_check;

/* name is copied. NULL: no memory. */
gee_check *gee_check_new(const char *name, uint64_t ms, gee_ready_fn fn, void *arg);
void gee_check_unref(void *check);

/* One that is asked. */
typedef struct gee_asked {
    gee_check *check;
    int rc; /* its answer */
    struct gee_check_run *run;
    uint64_t deadline_ns; /* until which the asker waits; he began when he joined the run */
} gee_asked;

/*
 * Asks n checks, all at the same time, and fills in their answers: 0, what the check
 * returned, UV_ETIMEDOUT: its time was up, GEE_EPANIC, UV_ENOMEM, or the error of ctx.
 * Parks for as long as the slowest of them takes, which is its time at most.
 */
void gee_check_ask(gee_ctx *ctx, gee_asked *asked, size_t n);

#endif
