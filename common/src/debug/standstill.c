/*
 * All workers but the caller's stand still: each is held by a piece of work in its inbox.
 * The caller parks until all of them are, and then runs alone. One such thing at a time,
 * or two workers would hold each other. When the runtime ends before all stand still, the caller
 * will not run any more, and its worker lets them go (gee_worker_let_go).
 */
#include "base/count.h"
#include "base/spin.h"
#include "base/tools.h"
#include "debug/leakcheck.h"
#include "gee/sync.h"
#include "runtime/worker.h"
#include "sync/waitq.h"

struct hold {
    gee_work work;
    uv_sem_t *go;
    gee_waitgroup *held, *released;
};

static void stand_still(gee_work *work) {
    struct hold *h = gee_container(work, struct hold, work);
    uv_sem_t *go = h->go;
    gee_waitgroup *released = h->released;
    gee_waitgroup_done(h->held);
    uv_sem_wait(go);
    gee_waitgroup_done(released);
}

/* No task runs: what they wrote is not raced for, though TSan cannot know. */
static void look(void (*fn)(void *arg), void *arg) {
    gee_tsan_ignore_begin();
    fn(arg);
    gee_tsan_ignore_end();
}

/* Of this run: who had it in an earlier one may have been dropped with it. */
static gee_mutex *one_at_a_time(uint64_t run) {
    static gee_spin lock;
    static uint64_t of_run;
    static gee_mutex one;
    gee_spin_lock(&lock);
    if (of_run != run)
        one = (gee_mutex){0};
    of_run = run;
    gee_spin_unlock(&lock);
    return &one;
}

int gee_standstill(void (*fn)(void *arg), void *arg) {
    gee_runtime *rt = gee_runtime_current();
    struct hold holds[GEE_MAX_WORKERS];
    gee_waitgroup held = GEE_DONE_BY_CALLBACKS, released = GEE_DONE_BY_CALLBACKS;
    uv_sem_t go;
    gee_worker *self = gee_worker_self();
    gee_mutex *one = one_at_a_time(rt->run);
    int others = rt->nworkers - 1;
    gee_mutex_lock(NULL, one);
    int rc = uv_sem_init(&go, 0);
    if (rc < 0) {
        gee_mutex_unlock(one);
        return rc;
    }
    self->held = &go;
    self->nheld = others;
    gee_waitgroup_add(&held, others);
    gee_waitgroup_add(&released, others);
    for (int i = 0; i < rt->nworkers; i++) {
        holds[i] = (struct hold){{.fn = stand_still}, &go, &held, &released};
        if (&rt->workers[i] != self)
            gee_post(&rt->workers[i], &holds[i].work);
    }
    gee_waitgroup_wait(NULL, &held);
    look(fn, arg);
    gee_worker_let_go(self);
    gee_waitgroup_wait(NULL, &released);
    uv_sem_destroy(&go);
    gee_mutex_unlock(one);
    return 0;
}
