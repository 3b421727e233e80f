/*
 * /healthz and /readyz.
 *
 * A run of a check is shared by all who ask while it lasts, and outlives them: a check
 * that hangs costs one task, however often it is asked, and nobody waits for it longer
 * than its time. So a run is counted by its task and by those who wait, and it holds
 * its check, in case the engine goes first.
 */
#include "gee/health.h"
#include "base/spin.h"
#include "gee/req.h"
#include "gee/sync.h"
#include "runtime/worker.h"
#include "web/web.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

typedef struct run {
    struct gee_check *check;
    _Atomic int refs;
    _Atomic int rc;
    gee_waitgroup done;
} run;

struct gee_check {
    struct gee_check *next; /* in the order in which they were added */
    char *name;
    gee_ready_fn fn;
    void *arg;
    uint64_t ms;
    _Atomic int refs; /* the engine's, and each run's */
    gee_spin lock;    /* over: */
    run *current;
};

enum { DEFAULT_MS = 1000 };

static void check_unref(void *p) {
    struct gee_check *c = p;
    if (atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    free(c->name);
    free(c);
}

static void run_unref(run *r) {
    if (atomic_fetch_sub(&r->refs, 1) != 1)
        return;
    check_unref(r->check);
    free(r);
}

/* --- a run --- */

static void perform(gee_ctx *ctx, void *arg) {
    run *r = arg;
    struct gee_check *c = r->check;
    gee_ctx *limited = gee_ctx_with_timeout(ctx, c->ms);
    int rc = limited ? c->fn(limited, c->arg) : UV_ENOMEM;
    if (limited)
        gee_ctx_end(limited);
    atomic_store(&r->rc, rc);
    gee_spin_lock(&c->lock);
    c->current = NULL;
    gee_spin_unlock(&c->lock);
    gee_waitgroup_done(&r->done);
    run_unref(r);
}

static run *new_run(struct gee_check *c) {
    run *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return NULL;
    r->check = c;
    atomic_init(&r->refs, 2); /* the task's, and who started it */
    gee_waitgroup_add(&r->done, 1);
    atomic_fetch_add(&c->refs, 1);
    return r;
}

/* Who offers a run gets it back as the one that goes on, or another that does already. */
static run *current_or(struct gee_check *c, run *mine) {
    gee_spin_lock(&c->lock);
    run *r = c->current;
    if (r == NULL)
        r = c->current = mine;
    else
        atomic_fetch_add(&r->refs, 1);
    gee_spin_unlock(&c->lock);
    return r;
}

/* The run that goes on now, started if there is none; NULL: no memory. */
static run *join(struct gee_check *c) {
    run *mine = new_run(c);
    if (mine == NULL)
        return NULL;
    run *r = current_or(c, mine);
    if (r != mine) {
        run_unref(mine);
        run_unref(mine);
    } else if (gee_go_at(NULL, perform, mine, c->name, GEE_HERE) < 0) {
        gee_spin_lock(&c->lock);
        c->current = NULL;
        gee_spin_unlock(&c->lock);
        atomic_store(&mine->rc, UV_ENOMEM);
        gee_waitgroup_done(&mine->done); /* others may have joined */
        run_unref(mine);
    }
    return r;
}

/* One who waits for a run; his time began when he joined. */
struct wait {
    run *run;
    uint64_t deadline_ns;
};

static int result(gee_ctx *ctx, const struct wait *w) {
    run *r = w->run;
    if (r == NULL)
        return UV_ENOMEM;
    gee_ctx *limited = gee_ctx_with_deadline(ctx, w->deadline_ns);
    int rc = limited ? gee_waitgroup_wait(limited, &r->done) : UV_ENOMEM;
    if (limited)
        gee_ctx_end(limited);
    if (rc == 0)
        rc = atomic_load(&r->rc);
    run_unref(r);
    return rc;
}

/* --- the pages --- */

static void healthz(gee_req *req) {
    gee_set_header(req, "Cache-Control", "no-store");
    gee_string(req, 200, "ok\n");
}

static bool draining(const gee_req *req) {
    return atomic_load(&req->engine->unready) || atomic_load(&req->x.conn->part->srv->draining);
}

static void report(json_t *list, const struct gee_check *c, int rc) {
    char err[64];
    json_t *one = json_pack("{s:s, s:b}", "name", c->name, "ok", rc == 0);
    if (one && rc != 0)
        json_object_set_new(one, "error", json_string(uv_err_name_r(rc, err, sizeof(err))));
    json_array_append_new(list, one);
}

/* All are started before the first is waited for: the slowest decides how long it takes. */
static bool all_ready(gee_req *req, json_t *list) {
    bool ready = true;
    size_t n = 0, i = 0;
    for (struct gee_check *c = req->engine->checks; c; c = c->next)
        n++;
    struct wait *waits = gee_alloc(req, (n + 1) * sizeof(*waits));
    if (waits == NULL)
        return false;
    for (struct gee_check *c = req->engine->checks; c; c = c->next)
        waits[i++] = (struct wait){join(c), gee_clock_in_ms(c->ms)};
    i = 0;
    for (struct gee_check *c = req->engine->checks; c; c = c->next) {
        int rc = result(gee_req_ctx(req), &waits[i++]);
        ready = ready && rc == 0;
        report(list, c, rc);
    }
    return ready;
}

static void readyz(gee_req *req) {
    json_t *list = json_array();
    bool ending = draining(req);
    bool ready = list && all_ready(req, list) && !ending;
    gee_set_header(req, "Cache-Control", "no-store");
    gee_json(req, ready ? 200 : 503, "{s:b, s:b, s:o*}", "ready", ready, "draining", ending,
             "checks", list);
}

int gee_health_routes(gee_group *g) {
    int rc = gee_GET(g, "/healthz", healthz);
    return rc < 0 ? rc : gee_GET(g, "/readyz", readyz);
}

/* --- checks --- */

int gee_ready_check_within(gee_engine *e, const char *name, uint64_t ms, gee_ready_fn fn,
                           void *arg) {
    if (name == NULL || *name == '\0' || fn == NULL)
        return UV_EINVAL;
    struct gee_check *c = calloc(1, sizeof(*c)), **last = &e->checks;
    if (c)
        c->name = strdup(name);
    if (c == NULL || c->name == NULL || gee_engine_own(e, c, check_unref) < 0) {
        free(c ? c->name : NULL);
        free(c);
        return UV_ENOMEM;
    }
    c->fn = fn;
    c->arg = arg;
    c->ms = ms ? ms : DEFAULT_MS;
    atomic_init(&c->refs, 1);
    while (*last)
        last = &(*last)->next;
    *last = c;
    return 0;
}

int gee_ready_check(gee_engine *e, const char *name, gee_ready_fn fn, void *arg) {
    return gee_ready_check_within(e, name, 0, fn, arg);
}

void gee_set_ready(gee_engine *e, bool ready) {
    atomic_store(&e->unready, !ready);
}
