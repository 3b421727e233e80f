/*
 * Finds routes among N: `routes N LOOKUPS`. Counted by callgrind, in find_all() alone
 * (bench.py): instructions, which no other program on the machine can disturb.
 */
#include "web/web.h"
#include <stdio.h>
#include <stdlib.h>

/* As in an API: a resource has a list, an item, a part of it, and a fixed name beside them. */
static const char *const shapes[] = {"/api/v1/r%d", "/api/v1/r%d/:id",
                                     "/api/v1/r%d/:id/parts/:part", "/api/v1/r%d/new",
                                     "/static/r%d/*path"};
static const char *const targets[] = {"/api/v1/r%d", "/api/v1/r%d/12345",
                                      "/api/v1/r%d/12345/parts/7", "/api/v1/r%d/new",
                                      "/static/r%d/css/site.css"};
enum { SHAPES = sizeof(shapes) / sizeof(*shapes) };

static void handler(gee_req *req) {
    (void)req;
}

static int add_routes(gee_engine *e, int n) {
    char pattern[64];
    int rc = 0;
    for (int i = 0; rc == 0 && i < n; i++) {
        snprintf(pattern, sizeof(pattern), shapes[i % SHAPES], 100 + i / SHAPES);
        rc = gee_GET(gee_root(e), pattern, handler);
    }
    return rc;
}

__attribute__((noinline)) static int find_all(const gee_engine *e, const gee_path *paths, int n,
                                              int lookups) {
    const char *values[GEE_MAX_PARAMS];
    char allow[128];
    int found = 0, status;
    for (int i = 0; i < lookups; i++)
        found += gee_router_find(e->tree, "GET", &paths[i % n], values, &status, allow,
                                 sizeof(allow)) != NULL;
    return found;
}

int main(int argc, char **argv) {
    int n = argc > 1 ? atoi(argv[1]) : 10, lookups = argc > 2 ? atoi(argv[2]) : 1000;
    gee_engine *e = gee_engine_new();
    gee_path *paths = calloc((size_t)n, sizeof(*paths));
    gee_arena arena = {0};
    char target[64];
    int rc = e && paths ? add_routes(e, n) : -1;
    for (int i = 0; rc == 0 && i < n; i++) {
        snprintf(target, sizeof(target), targets[i % SHAPES], 100 + i / SHAPES);
        rc = gee_path_parse(&arena, target, &paths[i]);
    }
    int found = rc == 0 ? find_all(e, paths, n, lookups) : -1;
    printf("%d of %d\n", found, lookups);
    gee_arena_free(&arena);
    free(paths);
    gee_engine_free(e);
    return found == lookups ? 0 : 1;
}
