/* The deadline of a request, as it stands on the stack of the request's task. */
#ifndef GEE_MIDDLEWARE_TIMEOUT_H
#define GEE_MIDDLEWARE_TIMEOUT_H

#include "gee/timeout.h"
#include "web/web.h"

/* Constant while the engine serves. */
typedef struct gee_timeout_settings {
    gee_timeout_options opt;
    gee_engine *engine;
    gee_link answer;
    gee_chain chain; /* that link */
} gee_timeout_settings;

struct gee_timeout {
    struct gee_timeout *outer;
    const gee_timeout_settings *settings;
    gee_req *req;
    gee_ctx *ctx, *before;
    gee_timer timer;
    size_t fields; /* of the response's header, when it came here */
    gee_task *task;
    gee_cleanup cleanup;
};

/* overdue.c: the timer of a struct gee_timeout rings. */
void gee_timeout_ring(gee_timer *timer);
/* overdue.c: what answers when the program does not say. */
void gee_timeout_answer(gee_req *req);

#endif
