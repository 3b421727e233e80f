#include "map.h"
#include <stdlib.h>

enum { FIRST = 8 };

/* Where key is, or would be. There is a free cell. */
static map_cell *find(const map *m, const store_key *key) {
    size_t i = key->hash & (m->cap - 1);
    while (m->at[i].key && m->at[i].key != key)
        i = (i + 1) & (m->cap - 1);
    return &m->at[i];
}

void *map_get(const map *m, const store_key *key) {
    return m->cap ? find(m, key)->value : NULL;
}

static int copy_to(const map *from, size_t cap, map *to) {
    *to = (map){calloc(cap, sizeof(map_cell)), from->n, cap};
    if (to->at == NULL) {
        *to = (map){0};
        return UV_ENOMEM;
    }
    for (size_t i = 0; i < from->cap; i++)
        if (from->at[i].key)
            *find(to, from->at[i].key) = from->at[i];
    return 0;
}

static bool is_full(const map *m) {
    return 4 * (m->n + 1) > 3 * m->cap;
}

static size_t next_cap(const map *m) {
    if (!is_full(m))
        return m->cap;
    return m->cap ? 2 * m->cap : FIRST;
}

int map_reserve(map *m) {
    map more;
    if (!is_full(m))
        return 0;
    int rc = copy_to(m, next_cap(m), &more);
    if (rc == 0) {
        free(m->at);
        *m = more;
    }
    return rc;
}

void *map_put(map *m, const store_key *key, void *value) {
    map_cell *cell = find(m, key);
    void *old = cell->value;
    m->n += cell->key == NULL;
    *cell = (map_cell){key, value};
    return old;
}

int map_copy(const map *from, map *to) {
    return copy_to(from, next_cap(from), to);
}

void map_free(map *m, void (*free_value)(void *value)) {
    for (size_t i = 0; free_value && i < m->cap; i++)
        free_value(m->at[i].value);
    free(m->at);
}
