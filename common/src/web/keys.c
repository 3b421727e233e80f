/* The keys of a request: few, so a list; shared with sub-tasks, so under a lock. */
#include "web/web.h"
#include <stdlib.h>
#include <string.h>

static gee_key *find(gee_keys *keys, const char *name) {
    for (size_t i = 0; i < keys->n; i++)
        if (strcmp(keys->at[i].name, name) == 0)
            return &keys->at[i];
    return NULL;
}

static gee_key *add(gee_keys *keys, const char *name) {
    if (keys->n == keys->cap) {
        size_t cap = keys->cap ? 2 * keys->cap : 4;
        gee_key *at = realloc(keys->at, cap * sizeof(*at));
        if (at == NULL)
            return NULL;
        keys->at = at;
        keys->cap = cap;
    }
    gee_key *k = &keys->at[keys->n];
    *k = (gee_key){.name = strdup(name)};
    if (k->name == NULL)
        return NULL;
    keys->n++;
    return k;
}

int gee_set(gee_req *req, const char *key, void *value, void (*free_value)(void *)) {
    gee_keys *keys = &req->keys;
    gee_spin_lock(&keys->lock);
    gee_key *k = find(keys, key);
    if (k == NULL)
        k = add(keys, key);
    gee_key old = k ? *k : (gee_key){0};
    if (k) {
        k->value = value;
        k->free_value = free_value;
    }
    gee_spin_unlock(&keys->lock);
    if (old.free_value)
        old.free_value(old.value);
    return k ? 0 : UV_ENOMEM;
}

void *gee_get(gee_req *req, const char *key) {
    gee_keys *keys = &req->keys;
    gee_spin_lock(&keys->lock);
    gee_key *k = find(keys, key);
    void *value = k ? k->value : NULL;
    gee_spin_unlock(&keys->lock);
    return value;
}

/* At the end of the request: nobody else has it any more. */
void gee_keys_free(gee_keys *keys) {
    for (size_t i = 0; i < keys->n; i++) {
        if (keys->at[i].free_value)
            keys->at[i].free_value(keys->at[i].value);
        free(keys->at[i].name);
    }
    free(keys->at);
}
