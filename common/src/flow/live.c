/*
 * A value that is replaced as a whole while others read it.
 *
 * Who reads has to do two things, see which version is the current one and count himself among
 * its readers, and between the two it could be replaced and freed. So both are one: `now` holds
 * the version's place in its upper bits, and below how often it was taken. One addition takes a
 * reference and says on what.
 *
 * Who drops one cannot count it off there, for meanwhile another version may be the current one. He
 * counts it off in the version itself, `left`, which is below zero as long as it can be taken. When
 * it is replaced, what `now` said is added, and from then on `left` is the number of its readers;
 * who brings it to zero frees it.
 *
 * A version is published by a release, and taken by an acquire: all that was written into it
 * before is seen by all who get it. Behind that nobody writes to it.
 */
#include "gee/live.h"
#include "base/list.h"
#include "base/tools.h"
#include "gee/panic.h"
#include "gee/sync.h"
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { TAKEN_BITS = 58 }; /* at 100 million a second for 90 years */
#define TAKEN ((UINT64_C(1) << TAKEN_BITS) - 1)
_Static_assert(GEE_LIVE_VERSIONS == 1 << (64 - TAKEN_BITS), "places are bits of `used`");

typedef struct version {
    gee_live *live;
    uint64_t place;
    _Atomic int64_t left;
    alignas(max_align_t) char value[];
} version;

struct gee_live {
    gee_live_type type;
    gee_mutex changing;
    _Atomic uint64_t now;  /* place << TAKEN_BITS | taken */
    _Atomic uint64_t used; /* a bit for each place: there is a version */
    version *at[GEE_LIVE_VERSIONS];
};

/* --- versions --- */

static void free_version(version *v) {
    gee_live *l = v->live;
    uint64_t place = UINT64_C(1) << v->place;
    if (l->type.clear)
        l->type.clear(v->value);
    free(v);
    gee_vg_before(&l->used);
    atomic_fetch_and_explicit(&l->used, ~place, memory_order_release);
}

/* n readers more, or less. */
static void count(version *v, int64_t n) {
    gee_vg_before(&v->left);
    if (atomic_fetch_add_explicit(&v->left, n, memory_order_acq_rel) + n != 0)
        return;
    gee_vg_after(&v->left);
    free_version(v);
}

/* One at a time. */
static int new_version(gee_live *l, const void *from, version **out) {
    uint64_t used = atomic_load_explicit(&l->used, memory_order_acquire);
    gee_vg_after(&l->used);
    version *v = used != UINT64_MAX ? calloc(1, sizeof(*v) + l->type.size) : NULL;
    if (v == NULL)
        return used != UINT64_MAX ? UV_ENOMEM : UV_EBUSY;
    int rc = from && l->type.copy ? l->type.copy(v->value, from) : 0;
    if (rc < 0) {
        free(v);
        return rc;
    }
    if (from && l->type.copy == NULL)
        memcpy(v->value, from, l->type.size);
    v->live = l;
    v->place = (uint64_t)__builtin_ctzll(~used);
    atomic_fetch_or_explicit(&l->used, UINT64_C(1) << v->place, memory_order_relaxed);
    l->at[v->place] = v;
    *out = v;
    return 0;
}

/* While nobody changes it. */
static version *current(gee_live *l) {
    return l->at[atomic_load_explicit(&l->now, memory_order_relaxed) >> TAKEN_BITS];
}

/* Returns what `now` was. */
static uint64_t publish(gee_live *l, version *v) {
    gee_vg_before(&l->now);
    return atomic_exchange_explicit(&l->now, v->place << TAKEN_BITS, memory_order_release);
}

/* --- reading --- */

const void *gee_live_get(gee_live *l) {
    uint64_t now = atomic_fetch_add_explicit(&l->now, 1, memory_order_acquire);
    gee_vg_after(&l->now);
    return l->at[now >> TAKEN_BITS]->value;
}

void gee_live_drop(const void *value) {
    count(gee_container(value, version, value), -1);
}

/* --- changing --- */

struct change {
    gee_live *live;
    version *next; /* NULL: it is published */
};

static void change_over(void *arg) {
    struct change *c = arg;
    if (c->next)
        free_version(c->next);
    gee_mutex_unlock(&c->live->changing);
}

int gee_live_change(gee_ctx *ctx, gee_live *l, gee_live_fn change, void *arg) {
    struct change c = {l, NULL};
    gee_cleanup cleanup; /* change may panic */
    int rc = gee_mutex_lock(ctx, &l->changing);
    if (rc < 0)
        return rc;
    gee_cleanup_push(&cleanup, change_over, &c);
    version *old = current(l);
    rc = new_version(l, old->value, &c.next);
    if (rc == 0)
        rc = change(ctx, c.next->value, arg);
    if (rc >= 0) {
        uint64_t was = publish(l, c.next);
        c.next = NULL;
        count(old, (int64_t)(was & TAKEN));
    }
    gee_cleanup_pop(&cleanup, true);
    return rc < 0 ? rc : 0;
}

/* --- its beginning and its end --- */

int gee_live_new(const gee_live_type *type, const void *value, gee_live **out) {
    gee_live *l = calloc(1, sizeof(*l));
    version *v;
    *out = NULL;
    if (l == NULL)
        return UV_ENOMEM;
    l->type = *type;
    int rc = new_version(l, value, &v);
    if (rc < 0) {
        free(l);
        return rc;
    }
    publish(l, v);
    *out = l;
    return 0;
}

void gee_live_free(gee_live *l) {
    if (l == NULL)
        return;
    free_version(current(l));
    free(l);
}
