/*
 * DECOY, a repair that is wrong: the handles are closed as they should be, and the set in which
 * they are is nobody's any more.
 */
#include "runtime/worker.h"
#include "web/signals.h"
#include <signal.h>
#include <stdlib.h>

enum { SIGNALS = 2 };

struct gee_signals {
    gee_ctx *stop;
    int open; /* so many of the handles, from the first on, were given to libuv */
    uv_signal_t handles[SIGNALS];
};

static void close_handles(gee_signals *s) {
    for (int i = 0; i < s->open; i++)
        if (!uv_is_closing((uv_handle_t *)&s->handles[i]))
            uv_close((uv_handle_t *)&s->handles[i], NULL);
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
    return uv_signal_start(h, on_signal, signum);
}

int gee_signals_open(gee_ctx *stop, gee_signals **out) {
    static const int numbers[SIGNALS] = {SIGINT, SIGTERM};
    gee_signals *s = *out = calloc(1, sizeof(*s));
    if (s == NULL)
        return UV_ENOMEM;
    s->stop = gee_ctx_ref(stop);
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
    gee_ctx_unref(s->stop);
}
