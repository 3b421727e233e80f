/*
 * DECOY, a repair that is wrong: there are two versions, one that is read and one that is being
 * made, and a pointer to the former, which is volatile so that everybody sees where it points to
 * now. The next change but one is made in what a reader may still have. And volatile says something
 * to the compiler, about this pointer; it orders nothing of what it points to.
 */
#include "base/list.h"
#include "gee/live.h"
#include "gee/panic.h"
#include "gee/sync.h"
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

typedef struct version {
    bool filled;
    alignas(max_align_t) char value[];
} version;

struct gee_live {
    gee_live_type type;
    gee_mutex changing;
    version *volatile now;
    version *spare;
};

static void empty(gee_live *l, version *v) {
    if (v->filled && l->type.clear)
        l->type.clear(v->value);
    v->filled = false;
}

static int fill(gee_live *l, version *v, const void *from) {
    int rc = 0;
    empty(l, v);
    if (l->type.copy == NULL) {
        memcpy(v->value, from, l->type.size);
    } else {
        memset(v->value, 0, l->type.size);
        rc = l->type.copy(v->value, from);
    }
    v->filled = rc >= 0;
    return rc;
}

const void *gee_live_get(gee_live *l) {
    return l->now->value;
}

/* There are always two, so nobody has to say that he has done with one. */
void gee_live_drop(const void *value) {
    (void)value;
}

static void unlock(void *mutex) {
    gee_mutex_unlock(mutex);
}

int gee_live_change(gee_ctx *ctx, gee_live *l, gee_live_fn change, void *arg) {
    gee_cleanup cleanup; /* change may panic */
    int rc = gee_mutex_lock(ctx, &l->changing);
    if (rc < 0)
        return rc;
    gee_cleanup_push(&cleanup, unlock, &l->changing);
    version *next = l->spare;
    rc = fill(l, next, l->now->value);
    if (rc == 0)
        rc = change(ctx, next->value, arg);
    if (rc >= 0) {
        l->spare = l->now;
        l->now = next;
    }
    gee_cleanup_pop(&cleanup, true);
    return rc < 0 ? rc : 0;
}

int gee_live_new(const gee_live_type *type, const void *value, gee_live **out) {
    gee_live *l = calloc(1, sizeof(*l));
    int rc = UV_ENOMEM;
    *out = l;
    if (l) {
        l->type = *type;
        l->now = calloc(1, sizeof(version) + type->size);
        l->spare = calloc(1, sizeof(version) + type->size);
        if (l->now && l->spare)
            rc = value ? fill(l, l->now, value) : 0;
    }
    if (rc < 0) {
        gee_live_free(l);
        *out = NULL;
    }
    return rc;
}

void gee_live_free(gee_live *l) {
    version *both[] = {l ? l->now : NULL, l ? l->spare : NULL};
    for (int i = 0; i < 2; i++) {
        if (both[i])
            empty(l, both[i]);
        free(both[i]);
    }
    free(l);
}
