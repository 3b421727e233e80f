/*
 * DECOY, a repair that is wrong: the lock is given back before the next flag is asked for, so
 * nobody takes it twice. What is switched in between is seen by halves: a flag as it was and what
 * it needs as it is. The answer may be one that was right at no moment.
 */
#include "gee/flags.h"
#include "gee/panic.h"
#include "gee/sync.h"
#include <stdlib.h>
#include <string.h>

typedef struct entry {
    struct entry *next;
    gee_flag flag; /* its strings are in text */
    char text[];
} entry;

struct gee_flags {
    gee_rwmutex lock; /* over the list and what is in it */
    entry *first;
};

gee_flags *gee_flags_new(void) {
    return calloc(1, sizeof(gee_flags));
}

void gee_flags_free(gee_flags *f) {
    for (entry *e; f && (e = f->first) != NULL;) {
        f->first = e->next;
        free(e);
    }
    free(f);
}

static entry *find(const gee_flags *f, const char *name) {
    entry *e = f->first;
    while (e && strcmp(e->flag.name, name) != 0)
        e = e->next;
    return e;
}

/* --- changing --- */

static entry *new_entry(const gee_flag *flag) {
    size_t n = strlen(flag->name) + 1, m = flag->needs ? strlen(flag->needs) + 1 : 0;
    entry *e = malloc(sizeof(*e) + n + m);
    if (e == NULL)
        return NULL;
    e->next = NULL;
    e->flag = *flag;
    e->flag.name = memcpy(e->text, flag->name, n);
    if (flag->needs)
        e->flag.needs = memcpy(e->text + n, flag->needs, m);
    return e;
}

/* Under the lock. From what it needs there must be a way to the end that does not lead back. */
static int check_needs(const gee_flags *f, const gee_flag *flag) {
    for (const char *at = flag->needs; at;) {
        if (strcmp(at, flag->name) == 0)
            return UV_ELOOP;
        const entry *e = find(f, at);
        if (e == NULL)
            return UV_ENOENT;
        at = e->flag.needs;
    }
    return 0;
}

int gee_flags_put(gee_ctx *ctx, gee_flags *f, const gee_flag *flag) {
    if (flag->name == NULL || *flag->name == '\0')
        return UV_EINVAL;
    entry *e = new_entry(flag), *old = NULL;
    int rc = e ? gee_rwmutex_lock(ctx, &f->lock) : UV_ENOMEM;
    if (rc < 0) {
        free(e);
        return rc;
    }
    entry **at = &f->first;
    while (*at && strcmp((*at)->flag.name, flag->name) != 0)
        at = &(*at)->next;
    rc = check_needs(f, flag);
    if (rc == 0) {
        old = *at;
        e->next = old ? old->next : NULL;
        *at = e;
    }
    gee_rwmutex_unlock(&f->lock);
    free(rc == 0 ? old : e);
    return rc;
}

int gee_flags_switch(gee_ctx *ctx, gee_flags *f, const char *name, bool on) {
    int rc = gee_rwmutex_lock(ctx, &f->lock);
    if (rc < 0)
        return rc;
    entry *e = find(f, name);
    if (e)
        e->flag.on = on;
    gee_rwmutex_unlock(&f->lock);
    return e ? 0 : UV_ENOENT;
}

/* --- asking --- */

static void unlock(void *lock) {
    gee_rwmutex_runlock(lock);
}

int gee_flags_ask(gee_ctx *ctx, gee_flags *f, const char *name, const void *who) {
    gee_cleanup cleanup; /* a rule may panic */
    int rc = gee_rwmutex_rlock(ctx, &f->lock);
    if (rc < 0)
        return rc;
    gee_cleanup_push(&cleanup, unlock, &f->lock);
    const entry *e = find(f, name);
    rc = e ? e->flag.on : UV_ENOENT;
    char *needs = rc > 0 && e->flag.needs ? strdup(e->flag.needs) : NULL;
    if (rc > 0 && e->flag.needs && needs == NULL)
        rc = UV_ENOMEM;
    if (rc > 0 && e->flag.rule)
        rc = e->flag.rule(ctx, who, e->flag.arg);
    gee_cleanup_pop(&cleanup, true);
    if (rc > 0 && needs)
        rc = gee_flags_ask(ctx, f, needs, who);
    free(needs);
    return rc;
}
