/*
 * Services: tasks that run as long as the servers of their engine do. All have the same time to
 * drain, and do so at once.
 */
#include "gee/panic.h"
#include "gee/sync.h"
#include "web/web.h"
#include <stdlib.h>

enum { JOIN_MS = 1000 };

typedef struct gee_service {
    struct gee_service *next;
    gee_task_fn run, drain;
    void *arg;
    gee_ctx *ctx; /* of run; NULL: it was not started */
    gee_waitgroup running, draining;
    gee_ctx *time; /* of drain */
} gee_service;

int gee_engine_service(gee_engine *e, gee_task_fn run, gee_task_fn drain, void *arg) {
    gee_service *s = run ? calloc(1, sizeof(*s)) : NULL, **end = &e->services;
    int rc = run ? UV_ENOMEM : UV_EINVAL;
    if (s)
        rc = gee_engine_own(e, s, free);
    if (rc < 0) {
        free(s);
        return gee_engine_failed(e, rc, "service", "of an engine");
    }
    *s = (gee_service){.run = run, .drain = drain, .arg = arg};
    while (*end)
        end = &(*end)->next;
    *end = s;
    return 0;
}

static void done(void *wg) {
    gee_waitgroup_done(wg);
}

static void run_service(gee_ctx *ctx, void *arg) {
    gee_service *s = arg;
    gee_cleanup over;
    gee_cleanup_push(&over, done, &s->running);
    s->run(ctx, s->arg);
    gee_cleanup_pop(&over, true);
}

static void drain_service(gee_ctx *ctx, void *arg) {
    gee_service *s = arg;
    gee_cleanup over;
    gee_cleanup_push(&over, done, &s->draining);
    s->drain(ctx, s->arg);
    gee_cleanup_pop(&over, true);
}

int gee_services_start(gee_engine *e, gee_ctx *ctx) {
    int rc = 0;
    for (gee_service *s = e->services; rc == 0 && s; s = s->next) {
        s->ctx = gee_ctx_with_cancel(ctx);
        gee_waitgroup_add(&s->running, 1);
        rc = s->ctx ? gee_go(s->ctx, run_service, s) : UV_ENOMEM;
        if (rc < 0)
            gee_waitgroup_done(&s->running);
    }
    if (rc < 0)
        gee_services_end(e, 0);
    return rc;
}

/* A ctx per service: one that panics ends its own. */
static void begin_drain(gee_service *s, uint64_t deadline_ns) {
    s->time = s->ctx && s->drain ? gee_ctx_with_deadline(NULL, deadline_ns) : NULL;
    if (s->time == NULL)
        return;
    gee_waitgroup_add(&s->draining, 1);
    if (gee_go(s->time, drain_service, s) < 0)
        gee_waitgroup_done(&s->draining);
}

static void tell(gee_service *s) {
    gee_waitgroup_wait(s->time, &s->draining);
    if (s->ctx)
        gee_ctx_cancel(s->ctx, UV_ESHUTDOWN);
}

/* Told are all of them. Who does not listen is left to gee_run. */
static void join(gee_ctx *until, gee_service *s) {
    if (until) {
        gee_waitgroup_wait(until, &s->draining);
        gee_waitgroup_wait(until, &s->running);
    }
    gee_ctx_end(s->time);
    gee_ctx_end(s->ctx);
    s->time = s->ctx = NULL;
}

void gee_services_end(gee_engine *e, uint64_t deadline_ns) {
    for (gee_service *s = e->services; s; s = s->next)
        begin_drain(s, deadline_ns);
    for (gee_service *s = e->services; s; s = s->next)
        tell(s);
    gee_ctx *until = e->services ? gee_ctx_with_timeout(NULL, JOIN_MS) : NULL;
    for (gee_service *s = e->services; s; s = s->next)
        join(until, s);
    gee_ctx_end(until);
}
