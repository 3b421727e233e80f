/* Log records: the lines of a program, and those of the access log. */
#include "otlp/otlp.h"
#include "otlp/server.h"
#include <stdlib.h>
#include <string.h>

/* Of a range of four the names are one; OTLP's severityText is what the program calls it. */
static const char *text_of(enum gee_severity severity) {
    static const char *const names[] = {"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"};
    return names[((int)severity - 1) / 4];
}

static void begin(gee_out *o, enum gee_severity severity) {
    uint64_t now = gee_otlp_unix_ns();
    gee_out_raw(o, "{\"timeUnixNano\":");
    gee_out_u64(o, now);
    gee_out_raw(o, ",\"observedTimeUnixNano\":");
    gee_out_u64(o, now);
    gee_out_fmt(o, ",\"severityNumber\":%d,\"severityText\":\"%s\",\"body\":{\"stringValue\":",
                (int)severity, text_of(severity));
}

static void end(gee_out *o, const gee_span_context *c) {
    if (c) {
        gee_out_fmt(o, ",\"flags\":%d,\"traceId\":", c->sampled);
        gee_out_hex(o, c->trace, sizeof(c->trace));
        gee_out_raw(o, ",\"spanId\":");
        gee_out_hex(o, c->span, sizeof(c->span));
    }
    gee_out_raw(o, "}");
}

static void put_site(gee_out *o, gee_site site) {
    const char *colon = strrchr(site, ':');
    gee_out_raw(o, "},\"attributes\":[");
    if (colon) {
        gee_out_attr_n(o, "code.file.path", site, (size_t)(colon - site));
        gee_out_attr_int(o, "code.line.number", strtol(colon + 1, NULL, 10));
    }
    gee_out_raw(o, "]");
}

int gee_otlp_log_at(gee_otlp *x, gee_ctx *ctx, enum gee_severity severity, gee_site site,
                    const char *fmt, ...) {
    const gee_span_context *c = gee_span_context_of(ctx);
    gee_otlp *to = x ? x : c ? c->x : NULL;
    gee_out o = {.rc = 0}, text = {.rc = 0};
    if ((int)severity < 1 || severity > 24)
        return UV_EINVAL;
    if (to == NULL)
        return UV_ENOENT;
    if (to->disabled)
        return 0;
    va_list ap;
    va_start(ap, fmt);
    text.rc = gee_buf_vprintf(&text.b, fmt, ap);
    va_end(ap);
    begin(&o, severity);
    if (text.rc == 0)
        gee_out_string(&o, gee_buf_head(&text.b), gee_buf_size(&text.b));
    put_site(&o, site);
    end(&o, c);
    if (gee_out_end(&text) < 0)
        o.rc = text.rc;
    return gee_otlp_offer(to, GEE_OTLP_LOGS, &o);
}

void gee_otlp_access_line(gee_req *req, int status, const char *line, size_t n, void *arg) {
    gee_otlp *x = arg;
    gee_out o = {.rc = 0};
    if (x->disabled)
        return;
    begin(&o, status >= 500 ? GEE_LOG_ERROR : GEE_LOG_INFO);
    if (n > 0)
        gee_out_string(&o, line, n - (line[n - 1] == '\n'));
    else
        o.rc = UV_ENOMEM;
    gee_out_raw(&o, "}");
    end(&o, gee_req_span_context(req));
    gee_otlp_offer(x, GEE_OTLP_LOGS, &o);
}
