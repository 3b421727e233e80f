/*
 * Settings in environment variables. Unset and empty are the same. A value that is not
 * one is refused, and stderr told, with the variable's name and what would have been one.
 */
#ifndef GEE_BASE_ENV_H
#define GEE_BASE_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What may stand behind a number: nothing; K, M, G (powers of 1024); ms, s, m, h. */
enum gee_env_unit { GEE_ENV_PLAIN, GEE_ENV_BYTES, GEE_ENV_MS };

typedef struct gee_env_range {
    enum gee_env_unit unit;
    uint64_t lo, hi; /* in bytes or milliseconds */
} gee_env_range;

/* The variable in *out; unset: *out stays as it is. False: refused, *out stays too. */
bool gee_env_get(const char *name, gee_env_range range, uint64_t *out);
/* The variable's text, or NULL: unset. */
const char *gee_env_text(const char *name);

#endif
