/*
 * The signals that end a program, as a ctx.
 *
 * A handle belongs to libuv from its init until its close callback has been called, and
 * nothing else ends that: not a stop, and not the end of the loop, which refuses to close.
 * So the memory of the set is counted by those who may still look at it, its caller and
 * each handle, and the last one that lets go frees it.
 */
#include "web/signals.h"
#include "runtime/worker.h"
#include <signal.h>
#include <stdlib.h>

enum { SIGNALS = 2 };

struct gee_signals {
    gee_ctx *stop;
    int holders;
    int open; /* so many of the handles, from the first on, were given to libuv */
    uv_signal_t handles[SIGNALS];
};

static void let_go(gee_signals *s) {
    if (--s->holders > 0)
        return;
    gee_ctx_unref(s->stop);
    free(s);
}

static void on_closed(uv_handle_t *h) {
    let_go(h->data);
}

static void close_handles(gee_signals *s) {
    for (int i = 0; i < s->open; i++)
        if (!uv_is_closing((uv_handle_t *)&s->handles[i]))
            uv_close((uv_handle_t *)&s->handles[i], on_closed);
}

static void on_signal(uv_signal_t *h, int signum) {
    gee_signals *s = h->data;
    (void)signum;
    gee_worker_awake(h->loop->data);
    close_handles(s);
    gee_ctx_cancel(s->stop, 0);
}

static int open_handle(gee_signals *s, uv_loop_t *loop, int signum) {
    uv_signal_t *h = &s->handles[s->open];
    int rc = uv_signal_init(loop, h);
    if (rc < 0)
        return rc;
    h->data = s;
    s->open++;
    s->holders++;
    return uv_signal_start(h, on_signal, signum);
}

int gee_signals_open(gee_ctx *stop, gee_signals **out) {
    static const int numbers[SIGNALS] = {SIGINT, SIGTERM};
    gee_signals *s = *out = calloc(1, sizeof(*s));
    if (s == NULL)
        return UV_ENOMEM;
    s->stop = gee_ctx_ref(stop);
    s->holders = 1;
    int rc = 0;
    for (int i = 0; rc == 0 && i < SIGNALS; i++)
        rc = open_handle(s, &gee_worker_self()->loop, numbers[i]);
    if (rc < 0) {
        gee_signals_close(s);
        *out = NULL;
    }
    return rc;
}

void gee_signals_close(gee_signals *s) {
    if (s == NULL)
        return;
    if (s->open > 0)
        gee_worker_check(s->handles[0].loop->data, "a set of signals");
    close_handles(s);
    let_go(s);
}
