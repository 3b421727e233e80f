/*
 * DECOY, a repair that is wrong: a set is under the lock from its first look at the list to its
 * last write, so no key is lost. A get only reads, and goes without. It comes in the middle of a
 * set, and what it finds there is the value that is just being freed.
 */
#include "web/web.h"
#include <stdlib.h>
#include <string.h>

static gee_box *new_box(const char *key, void *value, void (*free_value)(void *)) {
    size_t n = strlen(key) + 1;
    gee_box *box = gee_box_alloc(n);
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
    if (box == NULL || !gee_box_is_last(box))
        return;
    if (box->free_value)
        box->free_value(box->value);
    gee_box_free(box);
}

void gee_forever(void *value) {
    (void)value;
}

/* Where that key is, or would be: behind the others. */
static size_t find(const gee_keys *keys, const char *key) {
    size_t i = 0;
    while (i < keys->n && strcmp(keys->at[i]->key, key) != 0)
        i++;
    return i;
}

static int grow(gee_keys *keys) {
    size_t cap = keys->cap ? 2 * keys->cap : 4;
    gee_box **at = realloc(keys->at, cap * sizeof(gee_box *));
    if (at == NULL)
        return UV_ENOMEM;
    keys->at = at;
    keys->cap = cap;
    return 0;
}

int gee_set(gee_req *req, const char *key, void *value, void (*free_value)(void *)) {
    gee_keys *keys = &req->keys;
    gee_box *box = new_box(key, value, free_value);
    if (box == NULL)
        return UV_ENOMEM;
    gee_spin_lock(&keys->lock);
    size_t i = find(keys, key);
    if (i == keys->cap && grow(keys) < 0) {
        gee_spin_unlock(&keys->lock);
        gee_box_free(box);
        return UV_ENOMEM;
    }
    if (i < keys->n)
        gee_box_unref(keys->at[i]);
    else
        keys->n = i + 1;
    keys->at[i] = box;
    gee_spin_unlock(&keys->lock);
    return 0;
}

void *gee_get(gee_req *req, const char *key) {
    const gee_keys *keys = &req->keys;
    size_t i = find(keys, key);
    return i < keys->n ? keys->at[i]->value : NULL;
}

/* At the end of the request or of the copy: nobody else has its list any more. */
void gee_keys_free(gee_keys *keys) {
    for (size_t i = 0; i < keys->n; i++)
        gee_box_unref(keys->at[i]);
    free(keys->at);
}
