/*
 * The sub-tasks of a request. Each has a ctx of its own, which ends when another one fails, and
 * when the request is over. What a sub-task does last is to count itself off: behind that the
 * request's memory may be gone.
 */
#include "gee/spawn.h"
#include "web/web.h"
#include <stdlib.h>

typedef struct sub {
    gee_list link;
    gee_subs *subs;
    gee_ctx *ctx;
    gee_sub_fn fn;
    void *arg;
    int rc;
} sub;

/* A cancel runs what waits for it: not under the lock, so one after the other. */
static gee_ctx *next_to_tell(gee_subs *subs) {
    gee_spin_lock(&subs->lock);
    gee_list *it = gee_list_pop(&subs->untold);
    gee_ctx *ctx = it ? gee_ctx_ref(gee_container(it, sub, link)->ctx) : NULL;
    gee_spin_unlock(&subs->lock);
    return ctx;
}

void gee_subs_cancel(gee_subs *subs, int cause) {
    for (gee_ctx *ctx; (ctx = next_to_tell(subs)) != NULL;) {
        gee_ctx_cancel(ctx, cause);
        gee_ctx_unref(ctx);
    }
}

static void sub_over(void *arg) {
    sub *s = arg;
    gee_subs *subs = s->subs;
    int rc = s->rc;
    gee_spin_lock(&subs->lock);
    gee_list_del(&s->link);
    if (subs->err == 0)
        subs->err = rc;
    gee_spin_unlock(&subs->lock);
    gee_ctx_end(s->ctx);
    free(s);
    if (rc < 0)
        gee_subs_cancel(subs, rc);
    gee_waitgroup_done(&subs->running);
}

static void run(gee_ctx *ctx, void *arg) {
    sub *s = arg;
    gee_cleanup over;
    gee_cleanup_push(&over, sub_over, s);
    s->rc = GEE_EPANIC; /* unless it returns */
    int rc = s->fn(ctx, s->arg);
    s->rc = rc < 0 ? rc : 0;
    gee_cleanup_pop(&over, true);
}

/* Where the request's ctx has ended, or a sub-task has failed, no other begins. */
static int may_start(gee_req *req) {
    if (req->x.conn == NULL)
        return UV_EINVAL;
    if (!req->subs.used)
        gee_list_init(&req->subs.untold);
    req->subs.used = true;
    gee_spin_lock(&req->subs.lock);
    int err = req->subs.err;
    gee_spin_unlock(&req->subs.lock);
    return err ? err : gee_ctx_err(req->ctx);
}

static sub *new_sub(gee_req *req, gee_sub_fn fn, void *arg) {
    sub *s = malloc(sizeof(*s));
    if (s == NULL)
        return NULL;
    *s = (sub){.subs = &req->subs, .fn = fn, .arg = arg};
    s->ctx = gee_ctx_with_cancel(gee_background());
    if (s->ctx)
        return s;
    free(s);
    return NULL;
}

int gee_req_go_at(gee_req *req, gee_sub_fn fn, void *arg, const char *name, gee_site site) {
    int rc = may_start(req);
    sub *s = rc == 0 ? new_sub(req, fn, arg) : NULL;
    if (s == NULL)
        return rc < 0 ? rc : UV_ENOMEM;
    rc = gee_go_at(s->ctx, run, s, name, site);
    if (rc < 0) {
        gee_ctx_end(s->ctx);
        free(s);
        return rc;
    }
    gee_spin_lock(&req->subs.lock); /* in time: it does not run before this task parks */
    gee_list_push(&req->subs.untold, &s->link);
    gee_spin_unlock(&req->subs.lock);
    gee_waitgroup_add(&req->subs.running, 1);
    return 0;
}

int gee_req_join_at(gee_req *req, gee_site site) {
    gee_subs *subs = &req->subs;
    if (gee_waitgroup_wait_at(req->ctx, &subs->running, site) < 0)
        gee_waitgroup_wait_at(NULL, &subs->running, site); /* they have been told, too */
    gee_spin_lock(&subs->lock);
    int err = subs->err;
    subs->err = 0;
    gee_spin_unlock(&subs->lock);
    return err;
}
