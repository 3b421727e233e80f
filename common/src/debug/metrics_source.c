/*
 * Where figures come from, and the calls by which they are said. What a program says wrong, a name
 * that is none, would make the whole page unreadable: it is refused here, for every reader of it.
 */
#include "debug/metrics.h"
#include "middleware/own.h"
#include <string.h>

typedef struct gee_source {
    struct gee_source *next;
    gee_metrics_fn fn;
    void *arg;
} gee_source;

int gee_metrics_source(gee_engine *e, gee_metrics_fn fn, void *arg) {
    if (fn == NULL)
        return gee_own_failed(e->root, UV_EINVAL, "metrics source");
    gee_source *s = gee_own_alloc(e->root, sizeof(*s)), **end = &e->sources;
    if (s == NULL)
        return gee_own_failed(e->root, UV_ENOMEM, "metrics source");
    *s = (gee_source){.fn = fn, .arg = arg};
    while (*end)
        end = &(*end)->next;
    *end = s;
    return 0;
}

int gee_metrics_collect(gee_engine *e, gee_metrics_out *out) {
    int rc = gee_metrics_put_requests(out, e->metrics);
    if (rc == 0)
        rc = gee_metrics_put_process(out);
    for (gee_source *s = e->sources; rc == 0 && s; s = s->next)
        rc = s->fn(out, s->arg);
    return rc;
}

/* --- saying --- */

static bool is_name(const char *s, const char *others) {
    if (s == NULL || *s == '\0' || (*s >= '0' && *s <= '9'))
        return false;
    for (; *s; s++) {
        bool alnum = (*s >= '0' && *s <= '9') || ((*s | 32) >= 'a' && (*s | 32) <= 'z');
        if (!alnum && strchr(others, *s) == NULL)
            return false;
    }
    return true;
}

static bool are_labels(const gee_label *labels, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!is_name(labels[i].name, "_") || labels[i].value == NULL)
            return false;
    return true;
}

int gee_metrics_family(gee_metrics_out *out, enum gee_metric_type type, const char *name,
                       const char *help) {
    return is_name(name, "_:") ? out->family(out, type, name, help ? help : "") : UV_EINVAL;
}

int gee_metrics_value(gee_metrics_out *out, const gee_label *labels, size_t n, int64_t value) {
    return are_labels(labels, n) ? out->value(out, labels, n, value, false) : UV_EINVAL;
}

int gee_metrics_ns(gee_metrics_out *out, const gee_label *labels, size_t n, int64_t ns) {
    return are_labels(labels, n) ? out->value(out, labels, n, ns, true) : UV_EINVAL;
}

int gee_metrics_histogram(gee_metrics_out *out, const gee_label *labels, size_t n,
                          const gee_histogram *h) {
    return are_labels(labels, n) ? out->histogram(out, labels, n, h) : UV_EINVAL;
}
