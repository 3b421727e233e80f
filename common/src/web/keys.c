/*
 * The keys of a request: few, so a list; shared with sub-tasks, so under a lock. A
 * value is in a box with a count, because a copy of the request may have it too:
 * a key that is set again gets another box, and a copy that has the old one keeps it.
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

/* Under the lock. *old is what was there, or NULL. */
static int put(gee_keys *keys, gee_box *box, gee_box **old) {
    size_t i = find(keys, box->key);
    if (i == keys->cap && grow(keys) < 0)
        return UV_ENOMEM;
    *old = i < keys->n ? keys->at[i] : NULL;
    if (i == keys->n)
        keys->n++;
    keys->at[i] = box;
    return 0;
}

int gee_set(gee_req *req, const char *key, void *value, void (*free_value)(void *)) {
    gee_box *box = new_box(key, value, free_value), *old = NULL;
    if (box == NULL)
        return UV_ENOMEM;
    gee_spin_lock(&req->keys.lock);
    int rc = put(&req->keys, box, &old);
    gee_spin_unlock(&req->keys.lock);
    gee_box_unref(old); /* not under the lock: it may free the value */
    if (rc < 0)
        gee_box_free(box);
    return rc;
}

void *gee_get(gee_req *req, const char *key) {
    gee_keys *keys = &req->keys;
    gee_spin_lock(&keys->lock);
    size_t i = find(keys, key);
    void *value = i < keys->n ? keys->at[i]->value : NULL;
    gee_spin_unlock(&keys->lock);
    return value;
}

/* At the end of the request or of the copy: nobody else has its list any more. */
void gee_keys_free(gee_keys *keys) {
    for (size_t i = 0; i < keys->n; i++)
        gee_box_unref(keys->at[i]);
    free(keys->at);
}
