/*
 * Figures as text, exposition format 0.0.4. Numbers are printed as integers, seconds by hand: a
 * locale must not turn the point into a comma.
 */
#include "debug/metrics.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct text {
    gee_metrics_out out; /* first */
    gee_buf *b;
    const char *name; /* of the family */
} text;

/* with: what is escaped beside line feeds; a quote stands for itself in a line of help. */
static int put_escaped(gee_buf *b, const char *s, const char *with) {
    int rc = 0;
    for (; rc == 0 && *s; s++) {
        if (*s == '\n')
            rc = gee_buf_append(b, "\\n", 2);
        else if (strchr(with, *s))
            rc = gee_buf_printf(b, "\\%c", *s);
        else
            rc = gee_buf_append(b, s, 1);
    }
    return rc;
}

static int put_label(gee_buf *b, char before, const gee_label *l) {
    int rc = gee_buf_printf(b, "%c%s=\"", before, l->name);
    if (rc == 0)
        rc = put_escaped(b, l->value, "\\\"");
    return rc < 0 ? rc : gee_buf_append(b, "\"", 1);
}

/* name_suffix{a="…",b="…"} and a space; le, unless NULL, is the last label. */
static int put_series(text *t, const char *suffix, const gee_label *labels, size_t n,
                      const char *le) {
    int rc = gee_buf_printf(t->b, "%s%s", t->name, suffix);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = put_label(t->b, i ? ',' : '{', &labels[i]);
    if (rc == 0 && le)
        rc = put_label(t->b, n ? ',' : '{', &(gee_label){"le", le});
    return rc < 0 ? rc : n || le ? gee_buf_append(t->b, "} ", 2) : gee_buf_append(t->b, " ", 1);
}

static int put_seconds(gee_buf *b, uint64_t ns) {
    return gee_buf_printf(b, "%" PRIu64 ".%09" PRIu64 "\n", ns / 1000000000, ns % 1000000000);
}

static int family(gee_metrics_out *out, enum gee_metric_type type, const char *name,
                  const char *help) {
    static const char *const types[] = {"counter", "gauge", "histogram"};
    text *t = (text *)out;
    t->name = name;
    int rc = gee_buf_printf(t->b, "# HELP %s ", name);
    if (rc == 0)
        rc = put_escaped(t->b, help, "\\");
    return rc < 0 ? rc : gee_buf_printf(t->b, "\n# TYPE %s %s\n", name, types[type]);
}

static int value(gee_metrics_out *out, const gee_label *labels, size_t n, int64_t v, bool ns) {
    text *t = (text *)out;
    int rc = put_series(t, "", labels, n, NULL);
    if (rc < 0 || !ns)
        return rc < 0 ? rc : gee_buf_printf(t->b, "%" PRId64 "\n", v);
    if (v < 0)
        rc = gee_buf_append(t->b, "-", 1);
    return rc < 0 ? rc : put_seconds(t->b, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

/* Buckets are cumulative; the last one is the count, of the same reading. */
static int histogram(gee_metrics_out *out, const gee_label *labels, size_t n,
                     const gee_histogram *h) {
    text *t = (text *)out;
    uint64_t sum = 0;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i <= h->n; i++) {
        char le[48] = "+Inf";
        if (i < h->n)
            snprintf(le, sizeof(le), "%" PRIu64 ".%09" PRIu64, h->bounds_ns[i] / 1000000000,
                     h->bounds_ns[i] % 1000000000);
        sum += h->counts[i];
        rc = put_series(t, "_bucket", labels, n, le);
        if (rc == 0)
            rc = gee_buf_printf(t->b, "%" PRIu64 "\n", sum);
    }
    if (rc == 0)
        rc = put_series(t, "_sum", labels, n, NULL);
    if (rc == 0)
        rc = put_seconds(t->b, h->sum_ns);
    if (rc == 0)
        rc = put_series(t, "_count", labels, n, NULL);
    return rc < 0 ? rc : gee_buf_printf(t->b, "%" PRIu64 "\n", sum);
}

int gee_metrics_text(gee_engine *e, gee_buf *b) {
    text t = {.out = {family, value, histogram}, .b = b};
    return gee_metrics_collect(e, &t.out);
}
