/*
 * The keys of a request: few, so a list, in the order in which they were set. A value is in
 * a box with a count, because a copy of the request may have it too: a key that is set
 * again gets another box, and a copy that has the old one keeps it.
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
    size_t i = find(keys, key);
    if (i == keys->cap && grow(keys) < 0)
        return UV_ENOMEM;
    gee_box *box = new_box(key, value, free_value);
    if (box == NULL)
        return UV_ENOMEM;
    if (i < keys->n)
        gee_box_unref(keys->at[i]);
    else
        keys->n = i + 1;
    keys->at[i] = box;
    return 0;
}

void *gee_get(gee_req *req, const char *key) {
    gee_keys *keys = &req->keys;
    size_t i = find(keys, key);
    void *value = i < keys->n ? keys->at[i]->value : NULL;
    return value;
}

/* At the end of the request or of the copy. */
void gee_keys_free(gee_keys *keys) {
    for (size_t i = 0; i < keys->n; i++)
        gee_box_unref(keys->at[i]);
    free(keys->at);
}
