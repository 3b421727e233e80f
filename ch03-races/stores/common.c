/*
 * What common/ has chosen, behind the same interface, so that it can be measured beside the others:
 * the keys of a request (web/keys.c, a list under a spin lock), and feature flags (flow/flags.c, a
 * list under a reader-writer lock). Only to be measured: both keep less than the interface asks
 * for. A request keeps the pointer and not a copy, so here values must stay; a flag is on or off.
 */
#include "bench.h"
#include "web/web.h"
#include <stdlib.h>
#include <string.h>

/* --- keys.c; of a request it needs the keys, and nothing else --- */

typedef struct keys {
    store base;
    gee_req req;
} keys;

static store *keys_create(void) {
    keys *k = calloc(1, sizeof(*k));
    if (k == NULL)
        return NULL;
    k->base.refs = 1;
    return &k->base;
}

static void keys_drop(store *s) {
    keys *k = (keys *)s;
    if (!store_unref(s))
        return;
    gee_keys_free(&k->req.keys);
    free(k);
}

static int keys_set(gee_ctx *ctx, store *s, const store_key *key, const char *value) {
    (void)ctx;
    return gee_set(&((keys *)s)->req, key->name, (void *)value, gee_forever);
}

static ssize_t copy(const char *text, char *out, size_t size) {
    size_t n = strlen(text), most = n < size ? n : size - 1;
    if (size > 0) {
        memcpy(out, text, most);
        out[most] = '\0';
    }
    return (ssize_t)n;
}

static ssize_t keys_get(gee_ctx *ctx, store *s, const store_key *key, char *out, size_t size) {
    const char *text = gee_get(&((keys *)s)->req, key->name);
    (void)ctx;
    return text ? copy(text, out, size) : UV_ENOENT;
}

const store_kind store_keys = {"web/keys.c", true,     keys_create, store_ref,
                               keys_drop,    keys_set, keys_get};

/* --- flags.c --- */

typedef struct flag_store {
    store base;
    gee_flags *flags;
} flag_store;

static store *flags_create(void) {
    flag_store *f = calloc(1, sizeof(*f));
    if (f == NULL)
        return NULL;
    f->base.refs = 1;
    f->flags = gee_flags_new();
    if (f->flags)
        return &f->base;
    free(f);
    return NULL;
}

static void flags_drop(store *s) {
    flag_store *f = (flag_store *)s;
    if (!store_unref(s))
        return;
    gee_flags_free(f->flags);
    free(f);
}

static int flags_set(gee_ctx *ctx, store *s, const store_key *key, const char *value) {
    gee_flags *f = ((flag_store *)s)->flags;
    int rc = gee_flags_switch(ctx, f, key->name, *value == '1');
    if (rc == UV_ENOENT)
        rc = gee_flags_put(ctx, f, &(gee_flag){.name = key->name, .on = *value == '1'});
    return rc;
}

static ssize_t flags_get(gee_ctx *ctx, store *s, const store_key *key, char *out, size_t size) {
    int rc = gee_flags_ask(ctx, ((flag_store *)s)->flags, key->name, NULL);
    return rc < 0 ? rc : copy(rc ? "1" : "0", out, size);
}

const store_kind store_flags = {"flow/flags.c", true,      flags_create, store_ref,
                                flags_drop,     flags_set, flags_get};
