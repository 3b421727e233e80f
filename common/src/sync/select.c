/*
 * Select, in Go's way: lock all channels, in the order of their addresses so
 * that two selects cannot wait for each other; look for a case that is ready, in
 * random order; if there is none, queue on all of them and park; then take back
 * what is still queued.
 */
#include "base/tools.h"
#include "runtime/worker.h"
#include "sync/chan.h"
#include <stdint.h>

typedef struct selection {
    gee_case *cases;
    size_t n;
    uint8_t order[GEE_SELECT_MAX]; /* of trying */
    uint8_t locks[GEE_SELECT_MAX]; /* by address of the channel */
    gee_waiter waiters[GEE_SELECT_MAX];
} selection;

static void sort_locks(selection *s) {
    for (size_t i = 0; i < s->n; i++) {
        size_t at = i;
        for (; at > 0 && (uintptr_t)s->cases[s->locks[at - 1]].ch > (uintptr_t)s->cases[i].ch; at--)
            s->locks[at] = s->locks[at - 1];
        s->locks[at] = (uint8_t)i;
    }
}

static void shuffle(selection *s) {
    for (size_t i = 0; i < s->n; i++)
        s->order[i] = (uint8_t)i;
    for (size_t i = s->n; i > 1; i--) {
        size_t j = gee_random(gee_worker_self()) % i;
        uint8_t swap = s->order[i - 1];
        s->order[i - 1] = s->order[j];
        s->order[j] = swap;
    }
}

/* The same channel may stand in several cases: it is locked once. */
static gee_chan *lock_at(const selection *s, size_t i) {
    gee_chan *ch = s->cases[s->locks[i]].ch;
    return i > 0 && ch == s->cases[s->locks[i - 1]].ch ? NULL : ch;
}

static void lock_all(const selection *s) {
    for (size_t i = 0; i < s->n; i++)
        if (lock_at(s, i))
            gee_spin_lock(&lock_at(s, i)->lock);
}

static void unlock_all(const selection *s) {
    for (size_t i = s->n; i-- > 0;)
        if (lock_at(s, i))
            gee_spin_unlock(&lock_at(s, i)->lock);
}

static int try_all(selection *s) {
    for (size_t k = 0; k < s->n; k++) {
        gee_case *c = &s->cases[s->order[k]];
        c->rc = c->ch ? gee_chan_try_locked(c->ch, c->op, c->elem) : UV_EAGAIN;
        if (c->rc != UV_EAGAIN)
            return (int)s->order[k];
    }
    return UV_EAGAIN;
}

static int prepare(selection *s, gee_case *cases, size_t n) {
    if (n > GEE_SELECT_MAX)
        return UV_E2BIG;
    s->cases = cases;
    s->n = n;
    sort_locks(s);
    shuffle(s);
    return 0;
}

int gee_select_try(gee_case *cases, size_t n) {
    selection s;
    int rc = prepare(&s, cases, n);
    if (rc < 0)
        return rc;
    lock_all(&s);
    rc = try_all(&s);
    unlock_all(&s);
    return rc;
}

int gee_select_at(gee_ctx *ctx, gee_case *cases, size_t n, gee_site site) {
    selection s;
    int rc = prepare(&s, cases, n);
    if (rc < 0)
        return rc;
    lock_all(&s);
    rc = try_all(&s);
    if (rc != UV_EAGAIN) {
        unlock_all(&s);
        return rc;
    }
    gee_park park;
    struct gee_selecting on = {cases, n};
    gee_park_init(&park);
    park.on = &on;
    for (size_t i = 0; i < n; i++) {
        s.waiters[i] = (gee_waiter){.park = &park, .index = (int)i, .elem = cases[i].elem};
        if (cases[i].ch)
            gee_chan_enqueue(cases[i].ch, cases[i].op, &s.waiters[i]);
    }
    unlock_all(&s);
    int index = gee_park_wait_ctx(&park, ctx, GEE_WAIT_SELECT, site, &rc);
    lock_all(&s);
    for (size_t i = 0; i < n; i++)
        if (cases[i].ch)
            gee_chan_dequeue(cases[i].ch, cases[i].op, &s.waiters[i]);
    unlock_all(&s);
    if (index == GEE_BY_CTX)
        return rc;
    gee_race_acquire(&s.waiters[index]);
    cases[index].rc = s.waiters[index].rc;
    return index;
}
