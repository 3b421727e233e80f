/* Waitgroup and mutex. A lock is handed to the waiter that is woken: nobody can barge in. */
#include "base/tools.h"
#include "sync/waitq.h"
#include <string.h>

/* --- waitgroup --- */

int gee_waitgroup_add(gee_waitgroup *wg, long n) {
    if (n < 0)
        gee_race_release(wg);
    gee_spin_lock(&wg->lock);
    gee_users_add(&wg->users);
    int rc = wg->count + n < 0 ? UV_EINVAL : 0;
    if (rc == 0)
        wg->count += n;
    if (n > 0)
        wg->adder = gee_task_self() ? gee_task_id(gee_task_self()) : 0;
    struct gee_waitq done = {NULL, NULL};
    if (rc == 0 && wg->count == 0) {
        memset(wg->users.family, 0, sizeof(wg->users.family)); /* what comes is another round */
        /* Claimed here, woken after the lock is free: a waiter may free wg as soon as it runs. */
        for (gee_waiter *w; (w = gee_waitq_claim(&wg->queue)) != NULL;)
            gee_waitq_push(&done, w);
    }
    gee_spin_unlock(&wg->lock);
    for (gee_waiter *w; (w = done.first) != NULL;) {
        gee_waitq_del(&done, w);
        gee_task_ready(w->park->task);
    }
    return rc;
}

int gee_waitgroup_done(gee_waitgroup *wg) {
    return gee_waitgroup_add(wg, -1);
}

int gee_waitgroup_wait_at(gee_ctx *ctx, gee_waitgroup *wg, gee_site site) {
    int rc = 0;
    gee_spin_lock(&wg->lock);
    if (wg->count == 0) {
        gee_spin_unlock(&wg->lock);
    } else {
        gee_waiter w = {0};
        rc = gee_waitq_wait(ctx, &wg->lock, &wg->queue, &w, wg, GEE_WAIT_WAITGROUP, site);
    }
    if (rc == 0)
        gee_race_acquire(wg);
    return rc;
}

/* --- mutex --- */

static void hold(gee_mutex *m, const gee_task *t, gee_site site) {
    m->locked = true;
    m->holder = t ? gee_task_id(t) : 0;
    m->locked_at = site;
}

bool gee_mutex_trylock_at(gee_mutex *m, gee_site site) {
    gee_spin_lock(&m->lock);
    bool got = !m->locked;
    if (got)
        hold(m, gee_task_self(), site);
    gee_spin_unlock(&m->lock);
    if (got)
        gee_race_acquire(m);
    return got;
}

int gee_mutex_lock_at(gee_ctx *ctx, gee_mutex *m, gee_site site) {
    int rc = 0;
    gee_spin_lock(&m->lock);
    if (!m->locked) {
        hold(m, gee_task_self(), site);
        gee_spin_unlock(&m->lock);
    } else {
        gee_waiter w = {0};
        rc = gee_waitq_wait(ctx, &m->lock, &m->queue, &w, m, GEE_WAIT_MUTEX, site);
    }
    if (rc == 0)
        gee_race_acquire(m);
    return rc;
}

int gee_mutex_unlock(gee_mutex *m) {
    gee_race_release(m);
    gee_spin_lock(&m->lock);
    if (!m->locked) {
        gee_spin_unlock(&m->lock);
        return UV_EINVAL;
    }
    gee_waiter *w = gee_waitq_claim(&m->queue);
    gee_task *next = w ? w->park->task : NULL;
    m->locked = false;
    m->locked_at = NULL;
    if (next)
        hold(m, next, w->site);
    gee_spin_unlock(&m->lock);
    if (next)
        gee_task_ready(next);
    return 0;
}
