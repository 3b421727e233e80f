/* A span as JSON, by the exporter's task. */
#include "otlp/span.h"

static void put_time(gee_out *o, const gee_span *s, uint64_t ns) {
    gee_out_u64(o, s->context->epoch_ns + ns);
}

/* The name needs no escapes: otlp/span.c has seen to that. */
static void put_attr(gee_out *o, const gee_span_attr *a) {
    gee_out_raw(o, "{\"key\":\"");
    gee_out_bytes(o, a->name, a->name_n);
    switch (a->kind) {
    case GEE_ATTR_NOTHING: /* its text was not to be had: such a span is not exported */
        gee_out_raw(o, "\",\"value\":{");
        break;
    case GEE_ATTR_TEXT:
        gee_out_raw(o, "\",\"value\":{\"stringValue\":");
        gee_out_string(o, a->u.text.at, a->u.text.n);
        break;
    case GEE_ATTR_INT:
        gee_out_raw(o, "\",\"value\":{\"intValue\":\"");
        gee_out_int(o, a->u.i);
        gee_out_raw(o, "\"");
        break;
    case GEE_ATTR_DOUBLE:
        gee_out_raw(o, "\",\"value\":{\"doubleValue\":");
        gee_out_double(o, a->u.d);
        break;
    case GEE_ATTR_BOOL:
        gee_out_raw(o, a->u.b ? "\",\"value\":{\"boolValue\":true"
                              : "\",\"value\":{\"boolValue\":false");
        break;
    }
    gee_out_raw(o, "}}");
}

static void put_attrs(gee_out *o, const gee_span *s) {
    for (size_t i = 0; i < s->nattrs; i++) {
        gee_out_raw(o, i == 0 ? ",\"attributes\":[" : ",");
        put_attr(o, &s->attrs[i]);
    }
    if (s->nattrs > 0)
        gee_out_raw(o, "]");
    if (s->more_attrs > 0)
        gee_out_fmt(o, ",\"droppedAttributesCount\":%zu", s->more_attrs);
}

static void put_events(gee_out *o, const gee_span *s) {
    for (size_t i = 0; i < s->nevents; i++) {
        const gee_span_moment *e = &s->events[i];
        gee_out_raw(o, i == 0 ? ",\"events\":[{\"timeUnixNano\":" : ",{\"timeUnixNano\":");
        put_time(o, s, e->at_ns);
        gee_out_raw(o, ",\"name\":");
        gee_out_string(o, e->name, e->n);
        gee_out_raw(o, "}");
    }
    if (s->nevents > 0)
        gee_out_raw(o, "]");
    if (s->more_events > 0)
        gee_out_fmt(o, ",\"droppedEventsCount\":%zu", s->more_events);
}

/* OTLP's flags: those of W3C, and that is_remote is not known. */
void gee_span_encode(gee_out *o, gee_otlp_record *r) {
    const gee_span *s = (const gee_span *)r;
    const gee_span_context *c = s->context;
    gee_out_raw(o, "{\"traceId\":");
    gee_out_hex(o, c->trace, sizeof(c->trace));
    gee_out_raw(o, ",\"spanId\":");
    gee_out_hex(o, c->span, sizeof(c->span));
    if (s->has_parent) {
        gee_out_raw(o, ",\"parentSpanId\":");
        gee_out_hex(o, s->parent, sizeof(s->parent));
    }
    if (*c->state) {
        gee_out_raw(o, ",\"traceState\":");
        gee_out_string(o, c->state, strlen(c->state));
    }
    gee_out_raw(o, ",\"name\":");
    gee_out_string(o, s->name.at, s->name.n);
    gee_out_raw(o, ",\"kind\":");
    gee_out_int(o, (int64_t)s->kind);
    gee_out_raw(o, ",\"flags\":1,\"startTimeUnixNano\":");
    put_time(o, s, s->start_ns);
    gee_out_raw(o, ",\"endTimeUnixNano\":");
    put_time(o, s, s->end_ns);
    put_attrs(o, s);
    put_events(o, s);
    gee_out_raw(o, s->failed ? ",\"status\":{\"code\":2}}" : ",\"status\":{}}");
}
