/*
 * DECOY, a repair that is wrong: the done comes first, and the error behind it. Who waits may go on
 * in between: then it has seen no error, and the part writes into a group that is freed.
 */
#include "gee/chan.h"
#include "gee/fanout.h"
#include "gee/panic.h"
#include "gee/sync.h"
#include <stdlib.h>

struct gee_fanout {
    gee_ctx *ctx;
    gee_chan *places; /* a value in it for each part that runs; NULL: no limit */
    gee_waitgroup parts;
    atomic_int err; /* the first; 0: none */
};

typedef struct part {
    gee_fanout *group;
    int (*fn)(gee_ctx *ctx, void *arg);
    void *arg;
    int rc;
} part;

static void fail(gee_fanout *f, int rc) {
    int none = 0;
    if (atomic_compare_exchange_strong(&f->err, &none, rc))
        gee_ctx_cancel(f->ctx, rc);
}

static void part_ended(void *arg) {
    part *p = arg;
    gee_fanout *f = p->group;
    gee_chan_try_recv(f->places, NULL);
    gee_waitgroup_done(&f->parts);
    if (p->rc < 0)
        fail(f, p->rc);
    free(p);
}

static void part_task(gee_ctx *ctx, void *arg) {
    part *p = arg;
    gee_cleanup ended;
    p->rc = GEE_EPANIC; /* unless it returns */
    gee_cleanup_push(&ended, part_ended, p);
    p->rc = p->fn(ctx, p->arg);
    gee_cleanup_pop(&ended, true);
}

gee_fanout *gee_fanout_new(gee_ctx *ctx, size_t limit) {
    gee_fanout *f = calloc(1, sizeof(*f));
    if (f == NULL)
        return NULL;
    f->ctx = gee_ctx_with_cancel(ctx);
    f->places = limit ? gee_chan_new(0, limit) : NULL;
    if (f->ctx && (limit == 0 || f->places))
        return f;
    gee_fanout_end(f);
    return NULL;
}

gee_ctx *gee_fanout_ctx(const gee_fanout *f) {
    return f->ctx;
}

static int take_place(gee_fanout *f, gee_site site) {
    int rc = gee_ctx_err(f->ctx);
    return rc == 0 && f->places ? gee_chan_send_at(f->ctx, f->places, NULL, site) : rc;
}

int gee_fanout_go_at(gee_fanout *f, int (*fn)(gee_ctx *ctx, void *arg), void *arg, const char *name,
                     gee_site site) {
    part *p = malloc(sizeof(*p));
    int rc = p ? take_place(f, site) : UV_ENOMEM;
    if (rc < 0) {
        fail(f, rc);
        free(p);
        return rc;
    }
    *p = (part){f, fn, arg, 0};
    gee_waitgroup_add(&f->parts, 1);
    rc = gee_go_at(f->ctx, part_task, p, name, site);
    if (rc < 0) {
        p->rc = rc;
        part_ended(p);
    }
    return rc;
}

int gee_fanout_wait_at(gee_fanout *f, gee_site site) {
    gee_waitgroup_wait_at(NULL, &f->parts, site);
    return atomic_load(&f->err);
}

void gee_fanout_end(void *fanout) {
    gee_fanout *f = fanout;
    if (f == NULL)
        return;
    gee_ctx_cancel(f->ctx, 0);
    gee_fanout_wait(f);
    gee_ctx_unref(f->ctx);
    gee_chan_unref(f->places);
    free(f);
}
