/*
 * The keys of a request: few, so a list; shared with sub-tasks, so under a lock. A
 * value is in a box with a count, because a copy of the request may have it too:
 * a key that is set again gets another box, and whoever has the old one keeps it.
 */
#include "web/web.h"
#include <stdlib.h>
#include <string.h>

static gee_box *new_box(const char *key, void *value, void (*free_value)(void *)) {
    size_t n = strlen(key) + 1;
    gee_box *box = malloc(sizeof(*box) + n);
    if (box == NULL)
        return NULL;
    atomic_init(&box->refs, 1);
    box->value = value;
    box->free_value = free_value;
    memcpy(box->key, key, n);
    return box;
}

gee_box *gee_box_ref(gee_box *box) {
    atomic_fetch_add_explicit(&box->refs, 1, memory_order_relaxed);
    return box;
}

void gee_box_unref(gee_box *box) {
    if (box == NULL || atomic_fetch_sub_explicit(&box->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (box->free_value)
        box->free_value(box->value);
    free(box);
}

void gee_forever(void *value) {
    (void)value;
}

/* The place of that key, or an empty one behind the others; NULL: no memory. */
static gee_box **slot(gee_keys *keys, const char *key) {
    for (size_t i = 0; i < keys->n; i++)
        if (strcmp(keys->at[i]->key, key) == 0)
            return &keys->at[i];
    if (keys->n == keys->cap) {
        size_t cap = keys->cap ? 2 * keys->cap : 4;
        gee_box **at = realloc(keys->at, cap * sizeof(gee_box *));
        if (at == NULL)
            return NULL;
        keys->at = at;
        keys->cap = cap;
    }
    keys->at[keys->n] = NULL;
    return &keys->at[keys->n++];
}

int gee_set(gee_req *req, const char *key, void *value, void (*free_value)(void *)) {
    gee_keys *keys = &req->keys;
    gee_box *box = new_box(key, value, free_value), *old = NULL;
    if (box == NULL)
        return UV_ENOMEM;
    gee_spin_lock(&keys->lock);
    gee_box **at = slot(keys, key);
    if (at) {
        old = *at;
        *at = box;
    }
    gee_spin_unlock(&keys->lock);
    gee_box_unref(old); /* not under the lock: it may free the value */
    if (at == NULL)
        free(box);
    return at ? 0 : UV_ENOMEM;
}

void *gee_get(gee_req *req, const char *key) {
    gee_keys *keys = &req->keys;
    void *value = NULL;
    gee_spin_lock(&keys->lock);
    for (size_t i = 0; i < keys->n; i++)
        if (strcmp(keys->at[i]->key, key) == 0)
            value = keys->at[i]->value;
    gee_spin_unlock(&keys->lock);
    return value;
}

/* At the end of the request or of the copy: nobody else has its list any more. */
void gee_keys_free(gee_keys *keys) {
    for (size_t i = 0; i < keys->n; i++)
        gee_box_unref(keys->at[i]);
    free(keys->at);
}
