/*
 * The span of a request: the middleware, and what OpenTelemetry's semantic conventions for HTTP
 * servers (1.23 and later) want to know. The span ends in a cleanup of this frame, so that a panic
 * which goes by is seen as well.
 *
 * The request has its context under a key, for who stands further out and looks when this frame has
 * left (the access log), and for copies; and there its own task finds its span.
 */
#include "otlp/server.h"
#include "gee/clientip.h"
#include "gee/panic.h"
#include "middleware/id.h"
#include "middleware/own.h"
#include "otlp/otlp.h"
#include "otlp/span.h"
#include "web/web.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char context_key[] = "gee.span_context";

typedef struct frame {
    gee_cleanup cleanup;
    gee_req *req;
    gee_span *span;
    gee_ctx *before, *in;
    bool returned;
} frame;

/* --- whose child it is --- */

/* The only one of that name; NULL: there is none, or several. */
static const char *only(const gee_req *req, const char *name) {
    const gee_fields *all = &req->x.fields;
    const gee_field *f = gee_fields_find(all, name);
    if (f == NULL)
        return NULL;
    gee_fields rest = {.at = (gee_field *)f + 1, .n = all->n - (size_t)(f + 1 - all->at)};
    return gee_fields_find(&rest, name) ? NULL : f->value;
}

/* All of that name, joined as one list (RFC 9110, 5.3). "": there is none, or too much. */
static void joined(const gee_req *req, const char *name, char *buf, size_t size) {
    gee_fields rest = req->x.fields;
    size_t n = 0;
    buf[0] = '\0';
    for (const gee_field *f; (f = gee_fields_find(&rest, name)) != NULL;) {
        int put = snprintf(buf + n, size - n, "%s%s", n ? "," : "", f->value);
        if (put < 0 || (size_t)put >= size - n) {
            buf[0] = '\0';
            return;
        }
        n += (size_t)put;
        rest.n -= (size_t)(f + 1 - rest.at);
        rest.at = (gee_field *)f + 1;
    }
}

/* In the client's trace, if it says one. NULL: no memory. */
static gee_span_context *context_of(const gee_req *req, gee_otlp *x, gee_remote_parent *remote,
                                    bool *has_parent) {
    char state[GEE_TRACESTATE];
    const char *given = only(req, "traceparent");
    *has_parent = given && gee_traceparent_parse(given, remote);
    if (!*has_parent)
        return gee_span_context_new(x, NULL);
    joined(req, "tracestate", state, sizeof(state));
    return gee_span_context_below(x, remote, gee_tracestate_ok(state) ? state : "");
}

/* --- what is said of it --- */

/* A client may write any method: of those that are none the name is not one of many spans. */
static bool is_known(const char *method) {
    static const char *const known[] = {"GET",    "HEAD",    "POST",    "PUT",  "PATCH",
                                        "DELETE", "OPTIONS", "CONNECT", "TRACE"};
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        if (strcmp(method, known[i]) == 0)
            return true;
    return false;
}

static void name_it(gee_span *s, const gee_req *req) {
    char name[256];
    const char *method = gee_method(req), *route = gee_route(req);
    if (!is_known(method))
        method = "HTTP";
    size_t n = strlen(method), more = route ? strlen(route) : 0;
    if (more > sizeof(name) - n - 1)
        more = sizeof(name) - n - 1;
    memcpy(name, method, n);
    if (route) {
        name[n++] = ' ';
        memcpy(name + n, route, more);
    }
    gee_span_rename_n(s, name, n + more);
}

static int64_t number(const char *text) {
    int64_t n = 0;
    for (; *text >= '0' && *text <= '9' && n < 100000; text++)
        n = 10 * n + (*text - '0');
    return n;
}

/* "host", "host:80", "[::1]:80" */
static void set_address(gee_span *s, const char *address, const char *text, const char *port) {
    const char *colon = strrchr(text, ':'), *bracket = strrchr(text, ']');
    if (colon && (bracket ? colon < bracket : strchr(text, ':') != colon))
        colon = NULL;
    size_t n = colon ? (size_t)(colon - text) : strlen(text);
    if (n > 1 && *text == '[' && text[n - 1] == ']') {
        text++;
        n -= 2;
    }
    if (n == 0 || n > 255)
        return;
    gee_span_add(s, address, text, n);
    if (colon && colon[1])
        gee_span_add_int(s, port, number(colon + 1));
}

/* The values of these are keys to something: url.query says to hide them. */
static bool is_secret(const char *name, size_t n) {
    static const char *const names[] = {"AWSAccessKeyId", "Signature", "sig", "X-Goog-Signature"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strlen(names[i]) == n && memcmp(names[i], name, n) == 0)
            return true;
    return false;
}

static void set_query(gee_span *s, const char *query) {
    gee_out o = {.rc = 0};
    for (const char *at = query; *at;) {
        size_t n = strcspn(at, "&"), key = strcspn(at, "=&");
        if (key < n && is_secret(at, key))
            gee_out_fmt(&o, "%.*s=REDACTED", (int)key, at);
        else
            gee_out_fmt(&o, "%.*s", (int)n, at);
        at += n;
        if (*at == '&') {
            gee_out_raw(&o, "&");
            at++;
        }
    }
    if (o.rc == 0)
        gee_span_add(s, "url.query", gee_buf_head(&o.b), gee_buf_size(&o.b));
    gee_out_end(&o);
}

static void set_target(gee_span *s, const char *target) {
    const char *query = strchr(target, '?');
    gee_span_add(s, "url.path", target, query ? (size_t)(query - target) : strlen(target));
    if (query)
        set_query(s, query + 1);
}

static void add(gee_span *s, const char *name, const char *value) {
    if (value)
        gee_span_add(s, name, value, strlen(value));
}

static void describe(gee_span *s, gee_req *req) {
    const char *method = gee_method(req), *host = gee_header(req, "host");
    add(s, "http.request.method", is_known(method) ? method : "_OTHER");
    if (!is_known(method))
        add(s, "http.request.method_original", method);
    add(s, "http.route", gee_route(req));
    gee_span_add_constant(s, "url.scheme", "http");
    set_target(s, gee_target(req));
    gee_span_add_constant(s, "network.protocol.version", req->x.minor ? "1.1" : "1.0");
    if (host)
        set_address(s, "server.address", host, "server.port");
    set_address(s, "network.peer.address", gee_remote(req), "network.peer.port");
    add(s, "client.address", gee_client_ip(req));
    add(s, "user_agent.original", gee_header(req, "user-agent"));
    name_it(s, req);
}

/* A 500 is the server's error; a 404 is the client's, and not one of this span. */
static void judge(gee_span *s, const gee_req *req, bool returned) {
    const gee_exchange *x = &req->x;
    int status = gee_status_at_end(req, returned), gone = x->conn->gone;
    char text[64];
    if (returned && (x->conn->closing ? !x->head_sent : x->broken && !x->on_wire)) {
        gee_span_fail(s, gone ? uv_err_name_r(gone, text, sizeof(text)) : "no_response");
        return;
    }
    if (status != 499)
        gee_span_set_int(s, "http.response.status_code", status);
    if (!returned)
        gee_span_fail(s, "panic");
    else if (status == 499)
        gee_span_fail(s, uv_err_name_r(gone, text, sizeof(text)));
    else if (status >= 500) {
        snprintf(text, sizeof(text), "%d", status);
        gee_span_fail(s, text);
    } else if (x->broken)
        gee_span_fail(s, "cut"); /* not all of the response will come */
}

/* --- the middleware --- */

gee_span *gee_req_span(gee_req *req) {
    gee_span_context *c = req->x.conn == NULL ? NULL : gee_get(req, context_key);
    return c ? c->own : NULL;
}

gee_span_context *gee_req_span_context(gee_req *req) {
    return gee_get(req, context_key);
}

static void over(void *arg) {
    frame *f = arg;
    if (f->span)
        f->span->context->own = NULL;
    if (f->in) {
        gee_req_set_ctx(f->req, f->before);
        gee_ctx_end(f->in);
    }
    if (gee_span_recording(f->span))
        judge(f->span, f->req, f->returned);
    gee_span_end(f->span);
}

/* Without memory the request is served all the same. */
static void start(frame *f, gee_otlp *x) {
    gee_remote_parent remote;
    bool has_parent;
    gee_span_context *c = context_of(f->req, x, &remote, &has_parent);
    if (c == NULL) {
        gee_otlp_lost(x, GEE_OTLP_TRACES);
        return;
    }
    f->in = gee_span_context_put(f->before, c);
    if (f->in)
        gee_req_set_ctx(f->req, f->in);
    if (gee_set(f->req, context_key, gee_span_context_ref(c), gee_span_context_unref) < 0)
        gee_span_context_unref(c);
    if (!c->sampled) { /* what is passed on is all that there is of it */
        gee_span_context_unref(c);
        return;
    }
    f->span = gee_span_make(c, has_parent ? remote.span : NULL, "HTTP", GEE_SPAN_SERVER);
    if (f->span) {
        c->own = f->span;
        describe(f->span, f->req);
    }
}

static void tracing(gee_req *req) {
    frame f = {.req = req, .before = gee_req_ctx(req)};
    if (gee_get(req, context_key) == NULL)
        start(&f, gee_arg(req));
    if (f.span == NULL && f.in == NULL) {
        gee_next(req);
        return;
    }
    gee_cleanup_push(&f.cleanup, over, &f);
    gee_next(req);
    f.returned = true;
    gee_cleanup_pop(&f.cleanup, true);
}

int gee_use_tracing(gee_group *g, gee_otlp *x) {
    static const gee_contract contract = {.name = "tracing", .provides = "tracing"};
    return x && !x->disabled ? gee_own_use(g, tracing, x, &contract) : 0;
}
