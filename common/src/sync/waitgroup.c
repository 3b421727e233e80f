/* The waitgroup: a count, and tasks that wait until it is zero. */
#include "base/tools.h"
#include "sync/waitq.h"
#include <string.h>

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
