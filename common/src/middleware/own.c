#include "middleware/own.h"
#include "web/web.h"
#include <stdlib.h>
#include <string.h>

void *gee_own_alloc(gee_group *g, size_t n) {
    void *p = calloc(1, n);
    if (p && gee_engine_own(gee_engine_of(g), p, free) < 0) {
        free(p);
        return NULL;
    }
    return p;
}

bool gee_own_string(gee_group *g, const char *s, const char **out) {
    *out = NULL;
    if (s == NULL)
        return true;
    char *copy = gee_own_alloc(g, strlen(s) + 1);
    if (copy)
        strcpy(copy, s);
    *out = copy;
    return copy != NULL;
}

int gee_own_use(gee_group *g, gee_handler fn, void *arg, const gee_contract *contract) {
    int rc = gee_declare(gee_engine_of(g), fn, contract);
    return rc < 0 ? rc : gee_use(g, fn, arg);
}

int gee_own_failed(gee_group *g, int rc, const char *what) {
    return gee_engine_failed(gee_engine_of(g), rc, what, "of a group");
}
