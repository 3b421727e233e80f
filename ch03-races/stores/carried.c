/*
 * Values that a ctx carries. To set one is to make a child of the ctx with it; who has
 * the parent does not see it, and so nothing is ever written that another one reads: no lock, no
 * race, and nothing to be torn.
 *
 * To look is to walk towards the root until the key comes, so a ctx should carry few. A value that
 * is set again lies in front of the old one, and both stay until the store is dropped.
 */
#include "store.h"
#include <stdlib.h>

/* Ends with its store, the latest first: so each ctx has no children any more when it ends. */
typedef struct step {
    struct step *before;
    gee_ctx *ctx;
} step;

typedef struct carried {
    store base;
    gee_ctx *from; /* what it began with; its own reference */
    gee_ctx *now;
    step *last;
} carried;

static store *begin(gee_ctx *from) {
    carried *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    c->base.refs = 1;
    c->from = c->now = gee_ctx_ref(from);
    return &c->base;
}

static store *create(void) {
    return begin(gee_background());
}

static store *branch(store *s) {
    return begin(((carried *)s)->now);
}

static void drop(store *s) {
    carried *c = (carried *)s;
    if (!store_unref(s))
        return;
    for (step *last; (last = c->last) != NULL;) {
        c->last = last->before;
        gee_ctx_end(last->ctx);
        free(last);
    }
    gee_ctx_unref(c->from);
    free(c);
}

static int set(gee_ctx *ctx, store *s, const store_key *key, const char *value) {
    carried *c = (carried *)s;
    store_box *box = store_box_new(value);
    step *next = malloc(sizeof(*next));
    (void)ctx;
    if (box && next)
        next->ctx = gee_ctx_with_value(c->now, key, box, free);
    if (box == NULL || next == NULL || next->ctx == NULL) {
        free(box);
        free(next);
        return UV_ENOMEM;
    }
    next->before = c->last;
    c->last = next;
    c->now = next->ctx;
    return 0;
}

static ssize_t get(gee_ctx *ctx, store *s, const store_key *key, char *out, size_t size) {
    (void)ctx;
    return store_box_copy(gee_ctx_value(((carried *)s)->now, key), out, size);
}

const store_kind store_carried = {"carried in ctx", false, create, branch, drop, set, get};
