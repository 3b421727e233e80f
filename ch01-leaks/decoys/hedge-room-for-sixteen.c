/*
 * DECOY, a repair that is wrong: room in the channel for as many losers as anybody will ever have.
 * Nobody checks that, and the calls above the number wait for ever, as they did before.
 */
#include "gee/chan.h"
#include "gee/hedge.h"
#include "gee/panic.h"
#include <limits.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct answer {
    size_t index;
    int rc;
};

typedef struct call {
    struct hedge *hedge;
    int (*ask)(gee_ctx *ctx, void *arg, void *result);
    void *arg, *result;
    gee_ctx *ctx; /* while it is asked */
    int rc;
} call;

typedef struct hedge {
    atomic_size_t refs; /* the caller's, and one for each call that was started */
    gee_chan *answers;
    gee_ctx *ctx;
    void (*drop)(void *result);
    call calls[];
} hedge;

/* --- the memory --- */

static size_t round_up(size_t n) {
    return (n + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
}

static hedge *hedge_new(gee_ctx *ctx, const gee_hedge_call *calls, size_t n,
                        const gee_hedge_options *opt) {
    size_t head = round_up(sizeof(hedge) + n * sizeof(call)), size = head;
    for (size_t i = 0; i < n; i++)
        size += round_up(calls[i].arg_size) + round_up(opt->result_size);
    hedge *h = calloc(1, size);
    if (h == NULL)
        return NULL;
    h->answers = gee_chan_new(sizeof(struct answer), 16);
    h->ctx = gee_ctx_with_cancel(ctx);
    h->drop = opt->drop;
    atomic_init(&h->refs, 1);
    char *at = (char *)h + head;
    for (size_t i = 0; i < n; i++) {
        h->calls[i] = (call){.hedge = h, .ask = calls[i].ask, .arg = (void *)calls[i].arg};
        if (calls[i].arg_size > 0)
            h->calls[i].arg = memcpy(at, calls[i].arg, calls[i].arg_size);
        at += round_up(calls[i].arg_size);
        h->calls[i].result = at;
        at += round_up(opt->result_size);
    }
    return h;
}

static void release(hedge *h) {
    struct answer a;
    if (atomic_fetch_sub(&h->refs, 1) != 1)
        return;
    while (gee_chan_try_recv(h->answers, &a) == 0)
        if (a.rc >= 0 && h->drop)
            h->drop(h->calls[a.index].result);
    gee_chan_unref(h->answers);
    gee_ctx_unref(h->ctx);
    free(h);
}

/* --- a call --- */

static void ask(void *arg) {
    call *c = arg;
    c->rc = c->ask(c->ctx, c->arg, c->result);
}

static void call_task(gee_ctx *ctx, void *arg) {
    call *c = arg;
    hedge *h = c->hedge;
    gee_panic_info panic;
    c->ctx = ctx;
    if (gee_recover(ask, c, &panic) < 0) {
        c->rc = GEE_EPANIC;
        gee_panic_print(&panic);
    }
    struct answer a = {(size_t)(c - h->calls), c->rc};
    gee_chan_send(NULL, h->answers, &a); /* there is room */
    release(h);
}

static int start(hedge *h, size_t i, gee_site site) {
    atomic_fetch_add(&h->refs, 1);
    int rc = gee_go_at(h->ctx, call_task, &h->calls[i], "hedge", site);
    if (rc < 0)
        atomic_fetch_sub(&h->refs, 1); /* the caller has its own */
    return rc;
}

/* --- the caller --- */

/* UV_EAGAIN: none came within ms. ms 0: for as long as it takes. */
static int next_answer(gee_ctx *ctx, hedge *h, uint64_t ms, struct answer *a, gee_site site) {
    if (ms == 0)
        return gee_chan_recv_at(ctx, h->answers, a, site);
    gee_ctx *soon = gee_ctx_with_timeout(ctx, ms);
    if (soon == NULL)
        return UV_ENOMEM;
    int rc = gee_chan_recv_at(soon, h->answers, a, site);
    int err = gee_ctx_err(ctx);
    gee_ctx_end(soon);
    return rc == 0 ? 0 : err ? err : UV_EAGAIN;
}

/* Which call it came from, or the error. */
static int first_good(gee_ctx *ctx, hedge *h, size_t n, uint64_t delay_ms, gee_site site) {
    int first_error = 0;
    for (size_t asked = 0, failed = 0; failed < n;) {
        struct answer a = {.index = asked};
        if (asked < n)
            a.rc = start(h, asked++, site);
        if (a.rc == 0) {
            if (asked < n && delay_ms == 0)
                continue; /* all at once */
            int rc = next_answer(ctx, h, asked < n ? delay_ms : 0, &a, site);
            if (rc == UV_EAGAIN)
                continue;
            if (rc < 0)
                return rc;
            if (a.rc >= 0)
                return (int)a.index;
        }
        failed++;
        first_error = first_error ? first_error : a.rc;
    }
    return first_error;
}

int gee_hedge_at(gee_ctx *ctx, const gee_hedge_call *calls, size_t n,
                 const gee_hedge_options *options, void *result, gee_site site) {
    int rc = n == 0 || n > INT_MAX ? UV_EINVAL : gee_ctx_err(ctx);
    if (rc < 0)
        return rc;
    hedge *h = hedge_new(ctx, calls, n, options);
    if (h == NULL)
        return UV_ENOMEM;
    rc = UV_ENOMEM;
    if (h->answers && h->ctx)
        rc = first_good(ctx, h, n, options->delay_ms, site);
    gee_ctx_cancel(h->ctx, 0); /* and the losers */
    if (rc >= 0 && options->result_size > 0)
        memcpy(result, h->calls[rc].result, options->result_size);
    release(h);
    return rc;
}
