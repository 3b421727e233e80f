/*
 * Channels. A value goes straight from a sender to a receiver where one of them
 * is parked, and through the ring otherwise; whoever is not parked does all the
 * work, under the lock, and then wakes the other.
 *
 * The edges for TSan are Go's: one sync variable per ring slot, one per parked
 * waiter, and the channel itself for close.
 */
#include "sync/chan.h"
#include "base/count.h"
#include "base/tools.h"
#include <stdlib.h>
#include <string.h>

gee_chan *gee_chan_new(size_t elem_size, size_t capacity) {
    size_t stride = elem_size ? elem_size : 1;
    if (capacity > (SIZE_MAX - sizeof(gee_chan)) / stride)
        return NULL;
    gee_chan *ch = calloc(1, sizeof(*ch) + stride * capacity);
    if (ch == NULL)
        return NULL;
    ch->elem_size = elem_size;
    ch->stride = stride;
    ch->cap = capacity;
    atomic_init(&ch->refs, 1);
    gee_users_add(&ch->users);
    gee_count(GEE_COUNT_CHANS, 1);
    return ch;
}

gee_chan *gee_chan_ref(gee_chan *ch) {
    if (ch)
        atomic_fetch_add_explicit(&ch->refs, 1, memory_order_relaxed);
    return ch;
}

void gee_chan_unref(gee_chan *ch) {
    if (ch == NULL)
        return;
    gee_race_release(&ch->refs);
    if (atomic_fetch_sub_explicit(&ch->refs, 1, memory_order_acq_rel) != 1)
        return;
    gee_race_acquire(&ch->refs);
    free(ch);
    gee_count(GEE_COUNT_CHANS, -1);
}

size_t gee_chan_cap(const gee_chan *ch) {
    return ch ? ch->cap : 0;
}

size_t gee_chan_len(const gee_chan *c) {
    gee_chan *ch = (gee_chan *)c;
    if (ch == NULL)
        return 0;
    gee_spin_lock(&ch->lock);
    size_t len = ch->len;
    gee_spin_unlock(&ch->lock);
    return len;
}

/* A receiver may not want the value, and one of no size may come from NULL. */
static void copy(const gee_chan *ch, void *to, const void *from) {
    if (to && ch->elem_size > 0)
        memcpy(to, from, ch->elem_size);
}

static char *slot(gee_chan *ch, size_t i) {
    return ch->ring + (ch->head + i) % ch->cap * ch->stride;
}

/* Who fills a slot and who empties it are ordered with each other, as by Go's racenotify. */
static void put(gee_chan *ch, const void *elem) {
    char *at = slot(ch, ch->len++);
    gee_race_acquire(at);
    copy(ch, at, elem);
    gee_race_release(at);
}

static void take(gee_chan *ch, void *elem) {
    char *at = slot(ch, 0);
    gee_race_acquire(at);
    copy(ch, elem, at);
    gee_race_release(at);
    ch->head = (ch->head + 1) % ch->cap;
    ch->len--;
}

static void finish(gee_waiter *w, int rc) {
    w->rc = rc;
    gee_race_release(w);
    gee_task_ready(w->park->task);
}

static int try_send(gee_chan *ch, const void *elem) {
    if (ch->closed)
        return UV_EPIPE;
    gee_waiter *w = gee_waitq_claim(&ch->recvq);
    if (w) {
        gee_race_acquire(w);
        copy(ch, w->elem, elem);
        finish(w, 0);
        return 0;
    }
    if (ch->len == ch->cap)
        return UV_EAGAIN;
    put(ch, elem);
    return 0;
}

static int try_recv(gee_chan *ch, void *elem) {
    if (ch->len > 0) {
        take(ch, elem);
        gee_waiter *w = gee_waitq_claim(&ch->sendq); /* there is room for its value now */
        if (w) {
            gee_race_acquire(w);
            put(ch, w->elem);
            finish(w, 0);
        }
        return 0;
    }
    gee_waiter *w = ch->closed ? NULL : gee_waitq_claim(&ch->sendq);
    if (w) {
        gee_race_acquire(w);
        copy(ch, elem, w->elem);
        finish(w, 0);
        return 0;
    }
    if (!ch->closed)
        return UV_EAGAIN;
    gee_race_acquire(ch);
    if (elem)
        memset(elem, 0, ch->elem_size);
    return UV_EOF;
}

int gee_chan_try_locked(gee_chan *ch, enum gee_case_op op, void *elem) {
    gee_users_add(&ch->users);
    if (gee_task_self())
        ch->last[op] = gee_task_id(gee_task_self());
    return op == GEE_SEND ? try_send(ch, elem) : try_recv(ch, elem);
}

void gee_chan_enqueue(gee_chan *ch, enum gee_case_op op, gee_waiter *w) {
    gee_race_release(w);
    gee_waitq_push(op == GEE_SEND ? &ch->sendq : &ch->recvq, w);
}

void gee_chan_dequeue(gee_chan *ch, enum gee_case_op op, gee_waiter *w) {
    gee_waitq_del(op == GEE_SEND ? &ch->sendq : &ch->recvq, w);
}

static int try_unlocked(gee_chan *ch, enum gee_case_op op, void *elem) {
    if (ch == NULL)
        return UV_EAGAIN;
    gee_spin_lock(&ch->lock);
    int rc = gee_chan_try_locked(ch, op, elem);
    gee_spin_unlock(&ch->lock);
    return rc;
}

int gee_chan_try_send(gee_chan *ch, const void *elem) {
    return try_unlocked(ch, GEE_SEND, (void *)elem);
}

int gee_chan_try_recv(gee_chan *ch, void *elem) {
    return try_unlocked(ch, GEE_RECV, elem);
}

static int op_at(gee_ctx *ctx, gee_chan *ch, enum gee_case_op op, void *elem, gee_site site) {
    if (ch == NULL)
        return gee_ctx_wait_at(ctx, site);
    gee_spin_lock(&ch->lock);
    int rc = gee_chan_try_locked(ch, op, elem);
    if (rc != UV_EAGAIN) {
        gee_spin_unlock(&ch->lock);
        return rc;
    }
    gee_waiter w = {.elem = elem};
    gee_race_release(&w);
    bool send = op == GEE_SEND;
    rc = gee_waitq_wait(ctx, &ch->lock, send ? &ch->sendq : &ch->recvq, &w, ch,
                        send ? GEE_WAIT_CHAN_SEND : GEE_WAIT_CHAN_RECV, site);
    if (rc == 0)
        gee_race_acquire(&w);
    return rc ? rc : w.rc;
}

int gee_chan_send_at(gee_ctx *ctx, gee_chan *ch, const void *elem, gee_site site) {
    return op_at(ctx, ch, GEE_SEND, (void *)elem, site);
}

int gee_chan_recv_at(gee_ctx *ctx, gee_chan *ch, void *elem, gee_site site) {
    return op_at(ctx, ch, GEE_RECV, elem, site);
}

int gee_chan_close(gee_chan *ch) {
    if (ch == NULL)
        return UV_EINVAL;
    gee_spin_lock(&ch->lock);
    if (ch->closed) {
        gee_spin_unlock(&ch->lock);
        return UV_EALREADY;
    }
    ch->closed = true;
    gee_race_release(ch);
    for (gee_waiter *w; (w = gee_waitq_claim(&ch->recvq)) != NULL;) {
        if (w->elem) {
            gee_race_acquire(w);
            memset(w->elem, 0, ch->elem_size);
        }
        finish(w, UV_EOF);
    }
    for (gee_waiter *w; (w = gee_waitq_claim(&ch->sendq)) != NULL;)
        finish(w, UV_EPIPE);
    gee_spin_unlock(&ch->lock);
    return 0;
}
