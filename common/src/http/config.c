/* Limits and address from the environment: one table says what there is. */
#include "gee/config.h"
#include "base/env.h"
#include <stddef.h>

struct setting {
    const char *name;
    size_t at, size; /* of the field in gee_limits */
    gee_env_range range;
};

/* 0 would be the default and is refused, except where it means something by itself. */
#define SIZE(name, field, hi)                                                  \
    {                                                                          \
        name, offsetof(gee_limits, field), sizeof(((gee_limits *)0)->field), { \
            GEE_ENV_BYTES, 1, hi                                               \
        }                                                                      \
    }
#define TIME(name, field, lo)                                   \
    {                                                           \
        name, offsetof(gee_limits, field), sizeof(uint64_t), {  \
            GEE_ENV_MS, lo, UINT64_C(1000) * 60 * 60 * 24 * 365 \
        }                                                       \
    }

static const struct setting settings[] = {
    SIZE("GEE_HEAD_BYTES", head_bytes, UINT64_C(1) << 30),
    SIZE("GEE_URI_BYTES", uri_bytes, UINT64_C(1) << 30),
    SIZE("GEE_BODY_BYTES", body_bytes, UINT64_C(1) << 50),
    {"GEE_HEADERS", offsetof(gee_limits, headers), sizeof(size_t), {GEE_ENV_PLAIN, 1, 100000}},
    TIME("GEE_HEAD_MS", head_ms, 1),
    TIME("GEE_BODY_MS", body_ms, 1),
    TIME("GEE_WRITE_MS", write_ms, 1),
    TIME("GEE_IDLE_MS", idle_ms, 1),
    TIME("GEE_DRAIN_MS", drain_ms, 1),
    TIME("GEE_LAME_MS", lame_ms, 0),
};

static void store(gee_limits *l, const struct setting *s, uint64_t value) {
    void *field = (char *)l + s->at;
    if (s->size == sizeof(uint64_t))
        *(uint64_t *)field = value;
    else /* size_t, on a machine where it is smaller */
        *(uint32_t *)field = (uint32_t)value;
}

int gee_limits_from_env(gee_limits *l) {
    gee_limits read = *l;
    for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
        uint64_t value;
        const struct setting *s = &settings[i];
        if (gee_env_text(s->name) == NULL)
            continue;
        if (!gee_env_get(s->name, s->range, &value))
            return UV_EINVAL;
        store(&read, s, value);
    }
    *l = read;
    return 0;
}

int gee_address_from_env(const char **host, int *port) {
    uint64_t value = 0;
    const char *name = gee_env_text("GEE_PORT") ? "GEE_PORT" : "PORT";
    if (!gee_env_get(name, (gee_env_range){GEE_ENV_PLAIN, 0, 65535}, &value))
        return UV_EINVAL;
    if (gee_env_text(name))
        *port = (int)value;
    if (gee_env_text("GEE_HOST"))
        *host = gee_env_text("GEE_HOST");
    return 0;
}
