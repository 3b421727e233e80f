/*
 * What an exporter is set to: the program's options, then the environment over them; a value that
 * is malformed is refused. The resource, who it is that speaks, is encoded here once.
 */
#include "base/env.h"
#include "otlp/otlp.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { MAX_ATTRS = 64, DAY_MS = 24 * 3600 * 1000, MAX_RECORDS = 1 << 20 };

/* --- bounds --- */

static bool number(const char *prefix, const char *name, enum gee_env_unit unit, uint64_t hi,
                   uint64_t *out) {
    char whole[64];
    snprintf(whole, sizeof(whole), "OTEL_%s_%s", prefix, name);
    return gee_env_get(whole, (gee_env_range){unit, 1, hi}, out);
}

static bool size(const char *prefix, const char *name, size_t *out) {
    uint64_t n = *out;
    bool ok = number(prefix, name, GEE_ENV_PLAIN, MAX_RECORDS, &n);
    *out = (size_t)n;
    return ok;
}

static int bounds(const char *prefix, const gee_otlp_bounds *given, uint64_t delay_ms,
                  gee_otlp_bounds *b) {
    *b = *given;
    b->queue = b->queue ? b->queue : 2048;
    b->queue_bytes = b->queue_bytes ? b->queue_bytes : 8 << 20;
    b->delay_ms = b->delay_ms ? b->delay_ms : delay_ms;
    b->expire_ms = b->expire_ms ? b->expire_ms : 30000;
    if (!size(prefix, "MAX_QUEUE_SIZE", &b->queue))
        return UV_EINVAL;
    b->batch = b->batch ? b->batch : b->queue < 512 ? b->queue : 512;
    if (!size(prefix, "MAX_EXPORT_BATCH_SIZE", &b->batch) ||
        !number(prefix, "SCHEDULE_DELAY", GEE_ENV_MS, DAY_MS, &b->delay_ms) ||
        !number(prefix, "EXPORT_TIMEOUT", GEE_ENV_MS, DAY_MS, &b->expire_ms))
        return UV_EINVAL;
    if (b->batch <= b->queue && b->delay_ms <= DAY_MS && b->expire_ms <= DAY_MS)
        return 0;
    fprintf(stderr,
            "gee: otlp: a batch of %zu is more than a queue of %zu holds, or a time is "
            "longer than a day\n",
            b->batch, b->queue);
    return UV_EINVAL;
}

/* --- the resource --- */

typedef struct attrs {
    char *text[MAX_ATTRS]; /* key, zero, value */
    size_t n;
} attrs;

static int set(attrs *a, const char *key, size_t key_n, const char *value, size_t value_n) {
    size_t i = 0;
    while (i < a->n && (strlen(a->text[i]) != key_n || memcmp(a->text[i], key, key_n) != 0))
        i++;
    if (i == MAX_ATTRS)
        return UV_E2BIG;
    char *text = malloc(key_n + value_n + 2);
    if (text == NULL)
        return UV_ENOMEM;
    memcpy(text, key, key_n);
    text[key_n] = '\0';
    memcpy(text + key_n + 1, value, value_n);
    text[key_n + 1 + value_n] = '\0';
    if (i < a->n)
        free(a->text[i]);
    a->text[i] = text;
    a->n += i == a->n;
    return 0;
}

static int set_text(attrs *a, const char *key, const char *value) {
    return set(a, key, strlen(key), value, strlen(value));
}

static int hex(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place; the new length, or -1. */
static ssize_t unescape(char *s, size_t n) {
    size_t to = 0;
    for (size_t i = 0; i < n; i++, to++) {
        s[to] = s[i];
        if (s[i] != '%')
            continue;
        int hi = i + 2 < n ? hex(s[i + 1]) : -1, lo = hi >= 0 ? hex(s[i + 2]) : -1;
        if (lo < 0 || hi + lo == 0)
            return -1; /* a zero byte neither */
        s[to] = (char)(hi * 16 + lo);
        i += 2;
    }
    return (ssize_t)to;
}

static size_t trimmed(const char **s, size_t n) {
    for (; n > 0 && (**s == ' ' || **s == '\t'); n--)
        ++*s;
    while (n > 0 && ((*s)[n - 1] == ' ' || (*s)[n - 1] == '\t'))
        n--;
    return n;
}

static int set_pair(attrs *a, const char *pair, size_t n) {
    char value[1024];
    n = trimmed(&pair, n);
    const char *eq = memchr(pair, '=', n), *end = pair + n, *at;
    if (eq == NULL)
        return UV_EINVAL;
    at = eq + 1;
    size_t key_n = trimmed(&pair, (size_t)(eq - pair)), value_n = trimmed(&at, (size_t)(end - at));
    if (key_n == 0 || value_n >= sizeof(value))
        return UV_EINVAL;
    memcpy(value, at, value_n);
    ssize_t len = unescape(value, value_n);
    return len < 0 ? UV_EINVAL : set(a, pair, key_n, value, (size_t)len);
}

/* key=value,key=value */
static int set_list(attrs *a, const char *list, const char *what) {
    int rc = 0;
    for (const char *at = list; rc == 0 && at && *at;) {
        size_t n = strcspn(at, ",");
        rc = set_pair(a, at, n);
        at += n + (at[n] == ',');
    }
    if (rc == UV_EINVAL || rc == UV_E2BIG)
        fprintf(stderr, "gee: %s=%s: key=value,key=value is needed, percent-encoded, %d at most\n",
                what, list, MAX_ATTRS);
    return rc == UV_E2BIG ? UV_EINVAL : rc;
}

static int gather(attrs *a, const gee_otlp_options *opt) {
    char name[128];
    const char *given = gee_env_text("OTEL_SERVICE_NAME");
    snprintf(name, sizeof(name), "unknown_service:%s", program_invocation_short_name);
    int rc = set_text(a, "service.name", name);
    if (rc == 0)
        rc = set_text(a, "telemetry.sdk.name", "gee");
    if (rc == 0)
        rc = set_text(a, "telemetry.sdk.language", "c");
    if (rc == 0)
        rc = set_list(a, opt->resource, "gee_otlp_options.resource");
    if (rc == 0 && opt->service_name)
        rc = set_text(a, "service.name", opt->service_name);
    if (rc == 0)
        rc = set_list(a, gee_env_text("OTEL_RESOURCE_ATTRIBUTES"), "OTEL_RESOURCE_ATTRIBUTES");
    if (rc == 0 && given)
        rc = set_text(a, "service.name", given);
    return rc;
}

static int resource(gee_otlp *x, const gee_otlp_options *opt) {
    attrs a = {.n = 0};
    gee_out o = {.rc = 0};
    int rc = gather(&a, opt);
    gee_out_raw(&o, "{\"attributes\":[");
    for (size_t i = 0; i < a.n; i++)
        gee_out_attr(&o, a.text[i], a.text[i] + strlen(a.text[i]) + 1);
    gee_out_attr_int(&o, "process.pid", getpid());
    gee_out_raw(&o, "]}");
    for (size_t i = 0; i < a.n; i++)
        free(a.text[i]);
    if (rc == 0 && o.rc == 0)
        x->resource = strndup(gee_buf_head(&o.b), gee_buf_size(&o.b));
    if (gee_out_end(&o) < 0 || (rc == 0 && x->resource == NULL))
        rc = rc < 0 ? rc : UV_ENOMEM;
    return rc;
}

/* --- all of it --- */

static int protocol(void) {
    const char *p = gee_env_text("OTEL_EXPORTER_OTLP_PROTOCOL");
    if (p == NULL || strcmp(p, "http/json") == 0)
        return 0;
    fprintf(stderr, "gee: OTEL_EXPORTER_OTLP_PROTOCOL=%s: only http/json is spoken here\n", p);
    return UV_EINVAL;
}

int gee_otlp_configure(gee_otlp *x, const gee_otlp_options *opt) {
    const char *off = gee_env_text("OTEL_SDK_DISABLED");
    x->disabled = off && strcasecmp(off, "true") == 0;
    x->metrics_ms = opt->metrics_ms ? opt->metrics_ms : 60000;
    x->post_ms = opt->post_ms ? opt->post_ms : 10000;
    gee_otlp_bounds *metrics = &x->pipes[GEE_OTLP_METRICS].bounds;
    metrics->expire_ms = 30000;
    if (x->metrics_ms > DAY_MS || x->post_ms > DAY_MS ||
        !number("METRIC", "EXPORT_INTERVAL", GEE_ENV_MS, DAY_MS, &x->metrics_ms) ||
        !number("METRIC", "EXPORT_TIMEOUT", GEE_ENV_MS, DAY_MS, &metrics->expire_ms) ||
        !number("EXPORTER_OTLP", "TIMEOUT", GEE_ENV_MS, DAY_MS, &x->post_ms))
        return UV_EINVAL;
    int rc = protocol();
    if (rc == 0)
        rc = bounds("BSP", &opt->traces, 5000, &x->pipes[GEE_OTLP_TRACES].bounds);
    if (rc == 0)
        rc = bounds("BLRP", &opt->logs, 1000, &x->pipes[GEE_OTLP_LOGS].bounds);
    return rc < 0 ? rc : resource(x, opt);
}
