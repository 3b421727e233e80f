/* What a middleware keeps for the engine's life. */
#ifndef GEE_MIDDLEWARE_OWN_H
#define GEE_MIDDLEWARE_OWN_H

#include "gee/contract.h"
#include <stdbool.h>

/* n zeroed bytes, freed with g's engine. NULL: no memory. */
void *gee_own_alloc(gee_group *g, size_t n);
/* The same with a copy of s; NULL if s is. False: no memory. */
bool gee_own_string(gee_group *g, const char *s, const char **out);
/* gee_use of a middleware with a contract. */
int gee_own_use(gee_group *g, gee_handler fn, void *arg, const gee_contract *contract);
/* Says the error, which stays with the engine as those of gee_use do; returns rc. */
int gee_own_failed(gee_group *g, int rc, const char *what);

#endif
