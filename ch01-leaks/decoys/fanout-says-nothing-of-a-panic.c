/*
 * DECOY, a repair that is wrong: a part that panics is recovered, and has failed. Whoever waits is
 * told; and nobody will ever know what it was.
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
    gee_ctx *ctx; /* while it runs */
} part;

static void fail(gee_fanout *f, int rc) {
    int none = 0;
    if (atomic_compare_exchange_strong(&f->err, &none, rc))
        gee_ctx_cancel(f->ctx, rc);
}

static void part_ended(part *p) {
    gee_fanout *f = p->group;
    if (p->rc < 0)
        fail(f, p->rc);
    free(p);
    gee_chan_try_recv(f->places, NULL);
    gee_waitgroup_done(&f->parts);
}

static void call(void *arg) {
    part *p = arg;
    p->rc = p->fn(p->ctx, p->arg);
}

static void part_task(gee_ctx *ctx, void *arg) {
    part *p = arg;
    p->ctx = ctx;
    if (gee_recover(call, p, NULL) < 0)
        p->rc = GEE_EPANIC;
    part_ended(p);
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
    *p = (part){.group = f, .fn = fn, .arg = arg};
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
