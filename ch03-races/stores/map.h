/* A hash table for one task at a time: open addressing, linear probing, at most 3/4 full. */
#ifndef CH03_MAP_H
#define CH03_MAP_H

#include "store.h"

typedef struct map_cell {
    const store_key *key; /* NULL: free */
    void *value;
} map_cell;

typedef struct map {
    map_cell *at;
    size_t n, cap; /* cap is 0 or a power of 2 */
} map;

/* What is kept under key, or NULL. */
void *map_get(const map *m, const store_key *key);
/* Makes sure that one more fits. 0 or UV_ENOMEM. */
int map_reserve(map *m);
/* There is room. What was there, or NULL. */
void *map_put(map *m, const store_key *key, void *value);
/* A copy with room for one more; the values are the same. 0 or UV_ENOMEM. */
int map_copy(const map *from, map *to);
/* Calls free_value of each value, if it is not NULL. */
void map_free(map *m, void (*free_value)(void *value));

#endif
