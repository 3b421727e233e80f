#include "sync/waitq.h"

void gee_waitq_push(struct gee_waitq *q, gee_waiter *w) {
    w->next = NULL;
    w->prev = q->last;
    if (q->last)
        q->last->next = w;
    else
        q->first = w;
    q->last = w;
    w->queued = true;
}

void gee_waitq_push_first(struct gee_waitq *q, gee_waiter *w) {
    w->prev = NULL;
    w->next = q->first;
    if (q->first)
        q->first->prev = w;
    else
        q->last = w;
    q->first = w;
    w->queued = true;
}

void gee_waitq_del(struct gee_waitq *q, gee_waiter *w) {
    if (!w->queued)
        return;
    if (w->prev)
        w->prev->next = w->next;
    else
        q->first = w->next;
    if (w->next)
        w->next->prev = w->prev;
    else
        q->last = w->prev;
    w->queued = false;
}

void gee_users_add(struct gee_users *u) {
    uint64_t family = gee_task_family();
    if (family == 0)
        u->more = true;
    for (int i = 0; !u->more; i++) {
        if (i == GEE_USERS)
            u->more = true;
        else if (u->family[i] == family || u->family[i] == 0)
            u->family[i] = family;
        else
            continue;
        break;
    }
}

gee_waiter *gee_waitq_claim(struct gee_waitq *q) {
    for (gee_waiter *w; (w = q->first) != NULL;) {
        gee_waitq_del(q, w);
        if (gee_park_claim(w->park, w->index))
            return w;
    }
    return NULL;
}

int gee_park_wait_ctx(gee_park *park, gee_ctx *ctx, enum gee_wait_reason reason, gee_site site,
                      int *err) {
    gee_ctx_waiter on_ctx;
    *err = gee_ctx_wake_on_end(ctx, &on_ctx, park, GEE_BY_CTX);
    if (*err != 0 && gee_park_claim(park, GEE_BY_CTX))
        return GEE_BY_CTX;
    gee_ctx_ref(ctx); /* who ends it may drop it before this task runs again */
    int index = gee_park_wait(park, reason, ctx, site);
    if (*err == 0)
        gee_ctx_unwatch(ctx, &on_ctx.watch);
    *err = gee_ctx_err(ctx);
    gee_ctx_unref(ctx);
    return index;
}

int gee_waitq_wait(gee_ctx *ctx, gee_spin *lock, struct gee_waitq *q, gee_waiter *w, const void *on,
                   enum gee_wait_reason reason, gee_site site) {
    gee_park park;
    int err;
    gee_park_init(&park);
    park.on = on;
    w->park = &park;
    w->index = 0;
    w->site = site;
    if (!w->queued)
        gee_waitq_push(q, w);
    gee_spin_unlock(lock);
    if (gee_park_wait_ctx(&park, ctx, reason, site, &err) != GEE_BY_CTX)
        return 0;
    gee_spin_lock(lock);
    gee_waitq_del(q, w);
    gee_spin_unlock(lock);
    return err;
}
