#include "base/env.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

struct suffix {
    const char *text;
    uint64_t times;
};

/* The first of a unit is how its bounds are shown. */
static const struct suffix plain[] = {{"", 1}, {NULL, 0}};
static const struct suffix bytes[] = {{"", 1},          {"K", 1 << 10},   {"M", 1 << 20},
                                      {"G", 1 << 30},   {"KiB", 1 << 10}, {"MiB", 1 << 20},
                                      {"GiB", 1 << 30}, {NULL, 0}};
static const struct suffix times[] = {{"ms", 1},    {"", 1},        {"s", 1000},
                                      {"m", 60000}, {"h", 3600000}, {NULL, 0}};
static const struct suffix *const suffixes[] = {plain, bytes, times};
static const char *const needed[] = {"a number", "a size (as 65536, 64K, 8M, 1G)",
                                     "a time (as 250ms, 10s, 5m, 1h)"};

const char *gee_env_text(const char *name) {
    const char *text = getenv(name);
    return text && *text ? text : NULL;
}

static bool scale(const char *suffix, enum gee_env_unit unit, uint64_t *n) {
    for (const struct suffix *s = suffixes[unit]; s->text; s++)
        if (strcasecmp(s->text, suffix) == 0) {
            bool fits = *n <= UINT64_MAX / s->times;
            *n *= s->times;
            return fits;
        }
    return false;
}

bool gee_env_get(const char *name, gee_env_range range, uint64_t *out) {
    const char *text = gee_env_text(name);
    if (text == NULL)
        return true;
    char *end;
    errno = 0;
    uint64_t n = strtoull(text, &end, 10);
    /* strtoull also takes leading space and signs. */
    if (*text >= '0' && *text <= '9' && errno == 0 && scale(end, range.unit, &n) && n >= range.lo &&
        n <= range.hi) {
        *out = n;
        return true;
    }
    const char *u = suffixes[range.unit][0].text;
    fprintf(stderr, "gee: %s=%s: %s from %" PRIu64 "%s to %" PRIu64 "%s is needed\n", name, text,
            needed[range.unit], range.lo, u, range.hi, u);
    return false;
}
