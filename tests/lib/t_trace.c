#include "t_trace.h"
#include "t_client.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *t_trace_text(gee_trace *t, size_t *n) {
    size_t cap = 0, len = 0, got;
    char *text = NULL;
    do {
        if (cap - len < GEE_TRACE_PIECE + 1) {
            cap = 2 * cap + 4 * GEE_TRACE_PIECE;
            char *longer = realloc(text, cap);
            text = longer;
        }
        got = gee_trace_read(t, text + len, cap - len - 1);
        len += got;
    } while (got > 0);
    text[len] = '\0';
    *n = len;
    return text;
}

const char *t_trace_wrong(gee_ctx *ctx, const char *text, size_t n, char *buf, size_t size) {
    char path[] = "/tmp/gee-trace-XXXXXX";
    int fd = mkstemp(path);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    *buf = '\0';
    if (f == NULL || fwrite(text, 1, n, f) != n || fclose(f) != 0)
        snprintf(buf, size, "it cannot be written to %s", path);
    else if (t_shell(ctx, buf, size, "python3 tests/tools/trace_check.py %s", path) == 0)
        *buf = '\0';
    else if (*buf == '\0')
        snprintf(buf, size, "trace_check.py does not run");
    unlink(path);
    return buf;
}

static bool is(json_t *e, const char *key, const char *want) {
    const char *got = json_string_value(json_object_get(e, key));
    return want == NULL || (got && strcmp(got, want) == 0);
}

static bool matches(json_t *e, const char *ph, const char *cat, const char *name) {
    return is(e, "ph", ph) && is(e, "cat", cat) && is(e, "name", name);
}

json_t *t_trace_event(json_t *trace, const char *ph, const char *cat, const char *name, int i) {
    json_t *events = json_object_get(trace, "traceEvents"), *e;
    size_t at;
    json_array_foreach(events, at, e) if (matches(e, ph, cat, name) && i-- == 0) return e;
    return NULL;
}

int t_trace_count(json_t *trace, const char *ph, const char *cat, const char *name) {
    json_t *events = json_object_get(trace, "traceEvents"), *e;
    int n = 0;
    size_t at;
    json_array_foreach(events, at, e) n += matches(e, ph, cat, name);
    return n;
}

int t_trace_open(json_t *trace, const char *cat, const char *name) {
    return t_trace_count(trace, "b", cat, name) - t_trace_count(trace, "e", cat, name);
}

double t_trace_number(json_t *event, const char *key) {
    json_t *value = json_object_get(event, key);
    return json_number_value(value ? value : json_object_get(json_object_get(event, "args"), key));
}

const char *t_trace_arg(json_t *event, const char *key) {
    const char *text = json_string_value(json_object_get(json_object_get(event, "args"), key));
    return text ? text : "";
}
