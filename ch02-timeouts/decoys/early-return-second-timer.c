/*
 * DECOY, a repair that is wrong: who asks for one check waits for it with a timer of his
 * own. The answer is there in time, and nothing has been cancelled: the ctx of the check
 * has no deadline, so what hangs in it hangs on, and as long as it does it is the run
 * that everybody shares. The page says ETIMEDOUT for ever, when all has long been well.
 */
#include "gee/panic.h"
#include "gee/sync.h"
#include "middleware/check.h"
#include "runtime/worker.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

typedef struct gee_check_run {
    gee_check *check;
    _Atomic int refs;
    _Atomic int rc;
    gee_waitgroup done;
} run;

gee_check *gee_check_new(const char *name, uint64_t ms, gee_ready_fn fn, void *arg) {
    gee_check *c = calloc(1, sizeof(*c));
    char *copy = strdup(name);
    if (c == NULL || copy == NULL) {
        free(c);
        free(copy);
        return NULL;
    }
    c->name = copy;
    c->fn = fn;
    c->arg = arg;
    c->ms = ms;
    atomic_init(&c->refs, 1);
    return c;
}

void gee_check_unref(void *check) {
    gee_check *c = check;
    if (atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    free(c->name);
    free(c);
}

static void run_unref(run *r) {
    if (atomic_fetch_sub(&r->refs, 1) != 1)
        return;
    gee_check_unref(r->check);
    free(r);
}

/* --- a run --- */

struct call {
    gee_check *check;
    gee_ctx *ctx;
    int rc;
};

static void call(void *arg) {
    struct call *c = arg;
    c->rc = c->check->fn(c->ctx, c->check->arg);
}

/* A check that panics has failed; its run ends as any other. */
static int guarded(gee_check *check, gee_ctx *ctx) {
    struct call c = {.check = check, .ctx = ctx};
    gee_panic_info panic;
    if (gee_recover(call, &c, &panic) == 0)
        return c.rc;
    gee_panic_print(&panic);
    return GEE_EPANIC;
}

/* The run is over, and the next who asks starts another. Drops the reference of who ran it. */
static void settle(run *r, int rc) {
    gee_check *c = r->check;
    atomic_store(&r->rc, rc);
    gee_spin_lock(&c->lock);
    c->current = NULL;
    gee_spin_unlock(&c->lock);
    gee_waitgroup_done(&r->done);
    run_unref(r);
}

static void perform(gee_ctx *ctx, void *arg) {
    run *r = arg;
    gee_ctx *limited = gee_ctx_with_timeout(ctx, r->check->ms);
    int rc = limited ? guarded(r->check, limited) : UV_ENOMEM;
    if (limited && gee_ctx_err(limited) == UV_ETIMEDOUT)
        rc = UV_ETIMEDOUT; /* whatever it says now */
    if (limited)
        gee_ctx_end(limited);
    settle(r, rc);
}

/* The same of one that is asked alone: who waits for it looks at the clock. */
static void perform_alone(gee_ctx *ctx, void *arg) {
    run *r = arg;
    settle(r, guarded(r->check, ctx));
}

static run *new_run(gee_check *c) {
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
static run *current_or(gee_check *c, run *mine) {
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
static run *join(gee_check *c, gee_task_fn task) {
    run *mine = new_run(c);
    if (mine == NULL)
        return NULL;
    run *r = current_or(c, mine);
    if (r != mine) {
        run_unref(mine);
        run_unref(mine);
    } else if (gee_go_at(NULL, task, mine, c->name, GEE_HERE) < 0) {
        settle(mine, UV_ENOMEM); /* others may have joined */
    }
    return r;
}

/* --- asking --- */

static int answer(gee_ctx *ctx, const gee_asked *a) {
    run *r = a->run;
    if (r == NULL)
        return UV_ENOMEM;
    gee_ctx *limited = gee_ctx_with_deadline(ctx, a->deadline_ns);
    int rc = limited ? gee_waitgroup_wait(limited, &r->done) : UV_ENOMEM;
    if (limited)
        gee_ctx_end(limited);
    if (rc == 0)
        rc = atomic_load(&r->rc);
    run_unref(r);
    return rc;
}

/* All are started before the first is waited for: the slowest decides how long it takes. */
void gee_check_ask(gee_ctx *ctx, gee_asked *asked, size_t n) {
    for (size_t i = 0; i < n; i++) {
        asked[i].run = join(asked[i].check, n == 1 ? perform_alone : perform);
        asked[i].deadline_ns = gee_clock_in_ms(asked[i].check->ms);
    }
    for (size_t i = 0; i < n; i++)
        asked[i].rc = answer(ctx, &asked[i]);
}
