#include "t_otlp.h"
#include "t.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the messages --- */

enum kind {
    TEXT,
    HEX32,
    HEX16,
    U64,
    I64,
    U32,
    ENUM,
    DOUBLE,
    BOOL,
    MESSAGE,
    MESSAGES,
    U64S,
    DOUBLES
};

typedef struct place {
    char at[256]; /* where it is */
    char *error;
    size_t size;
} place;

typedef struct message message;

typedef struct field {
    const char *name;
    enum kind kind;
    const message *of;
    int lo, hi;    /* of an enum */
    bool required; /* by the protocol's words, or because it says nothing without */
    int one_of;    /* exactly one of those of the same number; 0: of none */
} field;

struct message {
    const field *fields;
    bool (*rules)(place *p, const json_t *o);
};

static bool wrong(place *p, const char *what) {
    if (*p->error == '\0')
        snprintf(p->error, p->size, "%s: %s", p->at, what);
    return false;
}

static bool unique_attributes(place *p, const json_t *o);
static bool span_rules(place *p, const json_t *o);
static bool log_rules(place *p, const json_t *o);
static bool metrics_rules(place *p, const json_t *o);
static bool metric_rules(place *p, const json_t *o);
static bool sum_rules(place *p, const json_t *o);
static bool histogram_rules(place *p, const json_t *o);

#define END \
    { NULL, TEXT, NULL, 0, 0, false, 0 }
#define FIELDS(name) static const field name[]

FIELDS(any_value_fields) = {{"stringValue", TEXT, NULL, 0, 0, false, 1},
                            {"boolValue", BOOL, NULL, 0, 0, false, 1},
                            {"intValue", I64, NULL, 0, 0, false, 1},
                            {"doubleValue", DOUBLE, NULL, 0, 0, false, 1},
                            END};
static const message any_value = {any_value_fields, NULL};
FIELDS(key_value_fields) = {
    {"key", TEXT, NULL, 0, 0, true, 0}, {"value", MESSAGE, &any_value, 0, 0, true, 0}, END};
static const message key_value = {key_value_fields, NULL};

#define ATTRIBUTES                                          \
    {"attributes", MESSAGES, &key_value, 0, 0, false, 0}, { \
        "droppedAttributesCount", U32, NULL, 0, 0, false, 0 \
    }

FIELDS(resource_fields) = {ATTRIBUTES, END};
static const message resource = {resource_fields, unique_attributes};
FIELDS(scope_fields) = {
    {"name", TEXT, NULL, 0, 0, true, 0}, {"version", TEXT, NULL, 0, 0, false, 0}, ATTRIBUTES, END};
static const message scope = {scope_fields, unique_attributes};

/* --- traces --- */

FIELDS(event_fields) = {{"timeUnixNano", U64, NULL, 0, 0, true, 0},
                        {"name", TEXT, NULL, 0, 0, true, 0},
                        ATTRIBUTES,
                        END};
static const message event = {event_fields, unique_attributes};
FIELDS(status_fields) = {
    {"message", TEXT, NULL, 0, 0, false, 0}, {"code", ENUM, NULL, 0, 2, false, 0}, END};
static const message status = {status_fields, NULL};
FIELDS(span_fields) = {{"traceId", HEX32, NULL, 0, 0, true, 0},
                       {"spanId", HEX16, NULL, 0, 0, true, 0},
                       {"parentSpanId", HEX16, NULL, 0, 0, false, 0},
                       {"traceState", TEXT, NULL, 0, 0, false, 0},
                       {"flags", U32, NULL, 0, 0, false, 0},
                       {"name", TEXT, NULL, 0, 0, true, 0},
                       {"kind", ENUM, NULL, 1, 5, true, 0},
                       {"startTimeUnixNano", U64, NULL, 0, 0, true, 0},
                       {"endTimeUnixNano", U64, NULL, 0, 0, true, 0},
                       {"events", MESSAGES, &event, 0, 0, false, 0},
                       {"droppedEventsCount", U32, NULL, 0, 0, false, 0},
                       {"status", MESSAGE, &status, 0, 0, false, 0},
                       ATTRIBUTES,
                       END};
static const message span = {span_fields, span_rules};
FIELDS(scope_spans_fields) = {{"scope", MESSAGE, &scope, 0, 0, true, 0},
                              {"spans", MESSAGES, &span, 0, 0, true, 0},
                              {"schemaUrl", TEXT, NULL, 0, 0, false, 0},
                              END};
static const message scope_spans = {scope_spans_fields, NULL};
FIELDS(resource_spans_fields) = {{"resource", MESSAGE, &resource, 0, 0, true, 0},
                                 {"scopeSpans", MESSAGES, &scope_spans, 0, 0, true, 0},
                                 {"schemaUrl", TEXT, NULL, 0, 0, false, 0},
                                 END};
static const message resource_spans = {resource_spans_fields, NULL};
FIELDS(traces_fields) = {{"resourceSpans", MESSAGES, &resource_spans, 0, 0, true, 0}, END};

/* --- logs --- */

FIELDS(log_fields) = {{"timeUnixNano", U64, NULL, 0, 0, true, 0},
                      {"observedTimeUnixNano", U64, NULL, 0, 0, true, 0},
                      {"severityNumber", ENUM, NULL, 1, 24, true, 0},
                      {"severityText", TEXT, NULL, 0, 0, false, 0},
                      {"body", MESSAGE, &any_value, 0, 0, true, 0},
                      {"flags", U32, NULL, 0, 0, false, 0},
                      {"traceId", HEX32, NULL, 0, 0, false, 0},
                      {"spanId", HEX16, NULL, 0, 0, false, 0},
                      {"eventName", TEXT, NULL, 0, 0, false, 0},
                      ATTRIBUTES,
                      END};
static const message log_record = {log_fields, log_rules};
FIELDS(scope_logs_fields) = {{"scope", MESSAGE, &scope, 0, 0, true, 0},
                             {"logRecords", MESSAGES, &log_record, 0, 0, true, 0},
                             {"schemaUrl", TEXT, NULL, 0, 0, false, 0},
                             END};
static const message scope_logs = {scope_logs_fields, NULL};
FIELDS(resource_logs_fields) = {{"resource", MESSAGE, &resource, 0, 0, true, 0},
                                {"scopeLogs", MESSAGES, &scope_logs, 0, 0, true, 0},
                                {"schemaUrl", TEXT, NULL, 0, 0, false, 0},
                                END};
static const message resource_logs = {resource_logs_fields, NULL};
FIELDS(logs_fields) = {{"resourceLogs", MESSAGES, &resource_logs, 0, 0, true, 0}, END};

/* --- metrics --- */

FIELDS(number_fields) = {{"attributes", MESSAGES, &key_value, 0, 0, false, 0},
                         {"startTimeUnixNano", U64, NULL, 0, 0, false, 0},
                         {"timeUnixNano", U64, NULL, 0, 0, true, 0},
                         {"asDouble", DOUBLE, NULL, 0, 0, false, 1},
                         {"asInt", I64, NULL, 0, 0, false, 1},
                         {"flags", U32, NULL, 0, 0, false, 0},
                         END};
static const message number = {number_fields, unique_attributes};
FIELDS(histogram_point_fields) = {{"attributes", MESSAGES, &key_value, 0, 0, false, 0},
                                  {"startTimeUnixNano", U64, NULL, 0, 0, true, 0},
                                  {"timeUnixNano", U64, NULL, 0, 0, true, 0},
                                  {"count", U64, NULL, 0, 0, true, 0},
                                  {"sum", DOUBLE, NULL, 0, 0, false, 0},
                                  {"bucketCounts", U64S, NULL, 0, 0, true, 0},
                                  {"explicitBounds", DOUBLES, NULL, 0, 0, true, 0},
                                  {"flags", U32, NULL, 0, 0, false, 0},
                                  END};
static const message histogram_point = {histogram_point_fields, histogram_rules};
FIELDS(gauge_fields) = {{"dataPoints", MESSAGES, &number, 0, 0, true, 0}, END};
static const message gauge = {gauge_fields, NULL};
FIELDS(sum_fields) = {{"dataPoints", MESSAGES, &number, 0, 0, true, 0},
                      {"aggregationTemporality", ENUM, NULL, 1, 2, true, 0},
                      {"isMonotonic", BOOL, NULL, 0, 0, false, 0},
                      END};
static const message sum = {sum_fields, sum_rules};
FIELDS(histogram_fields) = {{"dataPoints", MESSAGES, &histogram_point, 0, 0, true, 0},
                            {"aggregationTemporality", ENUM, NULL, 1, 2, true, 0},
                            END};
static const message histogram = {histogram_fields, NULL};
FIELDS(metric_fields) = {{"name", TEXT, NULL, 0, 0, true, 0},
                         {"description", TEXT, NULL, 0, 0, false, 0},
                         {"unit", TEXT, NULL, 0, 0, false, 0},
                         {"gauge", MESSAGE, &gauge, 0, 0, false, 1},
                         {"sum", MESSAGE, &sum, 0, 0, false, 1},
                         {"histogram", MESSAGE, &histogram, 0, 0, false, 1},
                         END};
static const message metric = {metric_fields, metric_rules};
FIELDS(scope_metrics_fields) = {{"scope", MESSAGE, &scope, 0, 0, true, 0},
                                {"metrics", MESSAGES, &metric, 0, 0, true, 0},
                                {"schemaUrl", TEXT, NULL, 0, 0, false, 0},
                                END};
static const message scope_metrics = {scope_metrics_fields, metrics_rules};
FIELDS(resource_metrics_fields) = {{"resource", MESSAGE, &resource, 0, 0, true, 0},
                                   {"scopeMetrics", MESSAGES, &scope_metrics, 0, 0, true, 0},
                                   {"schemaUrl", TEXT, NULL, 0, 0, false, 0},
                                   END};
static const message resource_metrics = {resource_metrics_fields, NULL};
FIELDS(metrics_fields) = {{"resourceMetrics", MESSAGES, &resource_metrics, 0, 0, true, 0}, END};

static const message requests[] = {
    {traces_fields, NULL}, {logs_fields, NULL}, {metrics_fields, NULL}};

/* --- values --- */

static bool check(place *p, const json_t *o, const message *m);

static bool is_hex(const json_t *v, size_t n) {
    const char *s = json_string_value(v);
    bool zero = true;
    for (size_t i = 0; s && s[i]; i++) {
        if ((s[i] < '0' || s[i] > '9') && (s[i] < 'a' || s[i] > 'f'))
            return false;
        zero = zero && s[i] == '0';
    }
    return s && strlen(s) == n && !zero;
}

/* Digits, without a zero in front, that fit. */
static bool is_number(const json_t *v, bool is_signed) {
    const char *s = json_string_value(v), *most = "18446744073709551615";
    if (s == NULL)
        return false;
    if (is_signed)
        most = *s == '-' ? "9223372036854775808" : "9223372036854775807";
    s += is_signed && *s == '-';
    size_t n = strspn(s, "0123456789");
    if (n == 0 || s[n] || (*s == '0' && n > 1))
        return false;
    return n < strlen(most) || (n == strlen(most) && strcmp(s, most) <= 0);
}

static bool is_integer(const json_t *v, json_int_t lo, json_int_t hi) {
    return json_is_integer(v) && json_integer_value(v) >= lo && json_integer_value(v) <= hi;
}

static bool elements(place *p, const json_t *v, const field *f) {
    size_t end = strlen(p->at);
    if (!json_is_array(v))
        return wrong(p, "not an array");
    for (size_t i = 0; i < json_array_size(v); i++) {
        const json_t *one = json_array_get(v, i);
        snprintf(p->at + end, sizeof(p->at) - end, "[%zu]", i);
        if (f->kind == MESSAGES && !check(p, one, f->of))
            return false;
        if (f->kind == U64S && !is_number(one, false))
            return wrong(p, "not a 64-bit number as a string");
        if (f->kind == DOUBLES && !json_is_number(one))
            return wrong(p, "not a number");
    }
    p->at[end] = '\0';
    return true;
}

static bool value(place *p, const json_t *v, const field *f) {
    switch (f->kind) {
    case TEXT:
        return json_is_string(v) || wrong(p, "not a string");
    case HEX32:
        return is_hex(v, 32) || wrong(p, "not 32 hex digits, or zeros");
    case HEX16:
        return is_hex(v, 16) || wrong(p, "not 16 hex digits, or zeros");
    case U64:
    case I64:
        return is_number(v, f->kind == I64) || wrong(p, "not a 64-bit number as a string");
    case U32:
        return is_integer(v, 0, 0xffffffff) || wrong(p, "not 32 bits");
    case ENUM:
        return is_integer(v, f->lo, f->hi) || wrong(p, "not an integer of its enum");
    case DOUBLE:
        return json_is_number(v) || wrong(p, "not a number");
    case BOOL:
        return json_is_boolean(v) || wrong(p, "not a boolean");
    case MESSAGE:
        return check(p, v, f->of);
    default:
        return elements(p, v, f);
    }
}

static const field *field_of(const message *m, const char *name) {
    for (const field *f = m->fields; f->name; f++)
        if (strcmp(f->name, name) == 0)
            return f;
    return NULL;
}

/* What has to be there is; of those of which one is, just one. */
static bool complete(place *p, const json_t *o, const message *m) {
    int ones = 0, have = 0;
    char what[128];
    for (const field *f = m->fields; f->name; f++) {
        const json_t *v = json_object_get(o, f->name);
        bool empty = v == NULL || (json_is_string(v) && *json_string_value(v) == '\0');
        snprintf(what, sizeof(what), "%s is missing", f->name);
        if (f->required && empty)
            return wrong(p, what);
        ones += f->one_of;
        have += v && f->one_of;
    }
    return ones == 0 || have == 1 || wrong(p, "not exactly one of its kinds");
}

static bool check(place *p, const json_t *o, const message *m) {
    size_t end = strlen(p->at);
    const char *name;
    json_t *v;
    if (!json_is_object(o))
        return wrong(p, "not an object");
    json_object_foreach((json_t *)o, name, v) {
        const field *f = field_of(m, name);
        snprintf(p->at + end, sizeof(p->at) - end, "%s%s", end ? "." : "", name);
        if (f == NULL)
            return wrong(p, "no such field");
        if (!value(p, v, f))
            return false;
        p->at[end] = '\0';
    }
    return complete(p, o, m) && (m->rules == NULL || m->rules(p, o));
}

/* --- rules --- */

static bool unique_attributes(place *p, const json_t *o) {
    const json_t *all = json_object_get(o, "attributes");
    for (size_t i = 0; i < json_array_size(all); i++)
        for (size_t j = 0; j < i; j++)
            if (json_equal(json_object_get(json_array_get(all, i), "key"),
                           json_object_get(json_array_get(all, j), "key")))
                return wrong(p, "an attribute comes twice");
    return true;
}

static unsigned long long u64_of(const json_t *o, const char *name) {
    const char *s = json_string_value(json_object_get(o, name));
    return s ? strtoull(s, NULL, 10) : 0;
}

static bool span_rules(place *p, const json_t *o) {
    unsigned long long start = u64_of(o, "startTimeUnixNano"), end = u64_of(o, "endTimeUnixNano");
    const json_t *events = json_object_get(o, "events");
    if (json_equal(json_object_get(o, "spanId"), json_object_get(o, "parentSpanId")))
        return wrong(p, "its own parent");
    if (start == 0 || end < start)
        return wrong(p, "ends before it starts");
    for (size_t i = 0; i < json_array_size(events); i++) {
        unsigned long long at = u64_of(json_array_get(events, i), "timeUnixNano");
        if (at < start || at > end)
            return wrong(p, "an event is not in it");
    }
    return unique_attributes(p, o);
}

static bool log_rules(place *p, const json_t *o) {
    if (json_object_get(o, "spanId") && !json_object_get(o, "traceId"))
        return wrong(p, "a span of no trace");
    return unique_attributes(p, o);
}

static bool metrics_rules(place *p, const json_t *o) {
    const json_t *all = json_object_get(o, "metrics");
    for (size_t i = 0; i < json_array_size(all); i++)
        for (size_t j = 0; j < i; j++)
            if (json_equal(json_object_get(json_array_get(all, i), "name"),
                           json_object_get(json_array_get(all, j), "name")))
                return wrong(p, "a metric comes twice");
    return true;
}

static const json_t *points_of(const json_t *m) {
    static const char *const kinds[] = {"gauge", "sum", "histogram"};
    for (int i = 0; i < 3; i++)
        if (json_object_get(m, kinds[i]))
            return json_object_get(json_object_get(m, kinds[i]), "dataPoints");
    return NULL;
}

static bool same_series(const json_t *a, const json_t *b) {
    const json_t *x = json_object_get(a, "attributes"), *y = json_object_get(b, "attributes");
    return (json_array_size(x) == 0 && json_array_size(y) == 0) || json_equal(x, y);
}

static bool metric_rules(place *p, const json_t *o) {
    const json_t *all = points_of(o);
    for (size_t i = 0; i < json_array_size(all); i++)
        for (size_t j = 0; j < i; j++)
            if (same_series(json_array_get(all, i), json_array_get(all, j)))
                return wrong(p, "a series comes twice");
    return true;
}

/* What only grows is no less than nothing, and says since when. */
static bool sum_rules(place *p, const json_t *o) {
    const json_t *all = json_object_get(o, "dataPoints");
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *d = json_array_get(all, i);
        const char *n = json_string_value(json_object_get(d, "asInt"));
        bool less = n ? *n == '-' : json_number_value(json_object_get(d, "asDouble")) < 0;
        if (json_is_true(json_object_get(o, "isMonotonic")) && less)
            return wrong(p, "monotonic, and negative");
        if (!json_object_get(d, "startTimeUnixNano"))
            return wrong(p, "a sum that does not say since when");
    }
    return true;
}

static bool histogram_rules(place *p, const json_t *o) {
    const json_t *counts = json_object_get(o, "bucketCounts");
    const json_t *bounds = json_object_get(o, "explicitBounds");
    unsigned long long all = 0;
    if (json_array_size(counts) != json_array_size(bounds) + 1)
        return wrong(p, "not a bucket more than bounds");
    for (size_t i = 0; i < json_array_size(counts); i++)
        all += strtoull(json_string_value(json_array_get(counts, i)), NULL, 10);
    for (size_t i = 1; i < json_array_size(bounds); i++)
        if (json_number_value(json_array_get(bounds, i)) <=
            json_number_value(json_array_get(bounds, i - 1)))
            return wrong(p, "bounds that do not grow");
    if (all != u64_of(o, "count"))
        return wrong(p, "the buckets do not add up");
    return unique_attributes(p, o);
}

/* --- use --- */

const char *t_otlp_check(enum gee_otlp_signal signal, const json_t *request, char *buf,
                         size_t size) {
    place p = {.error = buf, .size = size};
    *buf = '\0';
    check(&p, request, &requests[signal]);
    return buf;
}

const char *t_otlp_check_text(enum gee_otlp_signal signal, const char *text, size_t n, char *buf,
                              size_t size, json_t **request) {
    json_error_t err;
    json_t *o = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &err);
    if (o == NULL)
        snprintf(buf, size, "not JSON: %s at byte %d", err.text, err.position);
    else
        t_otlp_check(signal, o, buf, size);
    if (request)
        *request = o;
    else
        json_decref(o);
    return buf;
}

static json_t *list_of(enum gee_otlp_signal signal, const json_t *request) {
    static const char *const names[][3] = {{"resourceSpans", "scopeSpans", "spans"},
                                           {"resourceLogs", "scopeLogs", "logRecords"},
                                           {"resourceMetrics", "scopeMetrics", "metrics"}};
    const char *const *n = names[signal];
    json_t *resources = json_array_get(json_object_get(request, n[0]), 0);
    return json_object_get(json_array_get(json_object_get(resources, n[1]), 0), n[2]);
}

size_t t_otlp_count(enum gee_otlp_signal signal, const json_t *request) {
    const json_t *all = list_of(signal, request);
    size_t n = 0;
    if (signal != GEE_OTLP_METRICS)
        return json_array_size(all);
    for (size_t i = 0; i < json_array_size(all); i++)
        n += json_array_size(points_of(json_array_get(all, i)));
    return n;
}

json_t *t_otlp_record(enum gee_otlp_signal signal, const json_t *request, size_t i) {
    return json_array_get(list_of(signal, request), i);
}

json_t *t_otlp_metric(const json_t *request, const char *name) {
    json_t *all = list_of(GEE_OTLP_METRICS, request);
    for (size_t i = 0; i < json_array_size(all); i++)
        if (t_streq(json_string_value(json_object_get(json_array_get(all, i), "name")), name))
            return json_array_get(all, i);
    return NULL;
}

json_t *t_otlp_attr(const json_t *of, const char *key) {
    const json_t *all = json_object_get(of, "attributes");
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *one = json_array_get(all, i);
        if (t_streq(json_string_value(json_object_get(one, "key")), key))
            return json_object_get(one, "value");
    }
    return NULL;
}

const char *t_otlp_attr_text(const json_t *of, const char *key) {
    const json_t *value_of = t_otlp_attr(of, key);
    const char *text = json_string_value(json_object_get(value_of, "stringValue"));
    return text ? text : json_string_value(json_object_get(value_of, "intValue"));
}
