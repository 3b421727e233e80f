/*
 * The audit: see gee/audit.h.
 *
 * What was read of a request's head stands in one piece of memory that is constant and
 * counted. The request has it under a key, so that copies share it, and its ctx as a value, so that
 * whatever runs under it does; the last of them frees it. The record is a cleanup of this frame: no
 * way out of a request goes around it.
 */
#include "gee/audit.h"
#include "gee/panic.h"
#include "middleware/id.h"
#include "middleware/own.h"
#include "middleware/record.h"
#include "runtime/worker.h"
#include "web/web.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_ID = 128, MAX_DIGITS = 15, SKEW_MS = 5 * 60 * 1000 };
static const char key[] = "gee.audit";
static const char ctx_key;

/* --- what is held of a head --- */

typedef struct held {
    gee_audit audit; /* first */
    _Atomic int refs;
    char text[]; /* both ids */
} held;

static size_t size_of(const char *s) {
    return s ? strlen(s) + 1 : 0;
}

static char *put(char *to, const char *s) {
    return s ? memcpy(to, s, size_of(s)) : NULL;
}

/* With so many references; NULL: no memory. */
static held *hold(const gee_audit *who, int refs) {
    size_t user = size_of(who->user_id), trace = size_of(who->trace_id);
    held *h = malloc(sizeof(*h) + user + trace);
    if (h == NULL)
        return NULL;
    h->audit = *who;
    h->audit.user_id = put(h->text, who->user_id);
    h->audit.trace_id = put(h->text + user, who->trace_id);
    atomic_init(&h->refs, refs);
    return h;
}

static void drop(void *p) {
    held *h = p;
    if (atomic_fetch_sub_explicit(&h->refs, 1, memory_order_acq_rel) == 1)
        free(h);
}

const gee_audit *gee_audit_of(gee_req *req) {
    return gee_get(req, key);
}

const gee_audit *gee_audit_of_ctx(const gee_ctx *ctx) {
    return gee_ctx_value(ctx, &ctx_key);
}

/* --- reading a head --- */

static const char missing[] = "missing", malformed[] = "malformed";

/* NULL, and the value; or what is wrong. One that came twice says nothing. */
static const char *find(const gee_req *req, const char *name, const char **value) {
    const gee_fields *all = &req->x.fields;
    const gee_field *f = gee_fields_find(all, name);
    if (f == NULL)
        return missing;
    gee_fields rest = {.at = (gee_field *)f + 1, .n = all->n - (size_t)(f + 1 - all->at)};
    *value = f->value;
    return gee_fields_find(&rest, name) ? malformed : NULL;
}

static const char *read_id(const gee_req *req, const char *name, const char **id) {
    const char *value, *wrong = find(req, name, &value);
    if (wrong == NULL && !gee_id_is_harmless(value, MAX_ID, "-_.:/+=@|~"))
        wrong = malformed;
    *id = wrong ? NULL : value;
    return wrong;
}

static const char *read_time(const gee_req *req, const gee_audit_options *opt, gee_audit *who) {
    int64_t now = (int64_t)gee_wall_ms(), far = (int64_t)opt->skew_ms;
    const char *value, *wrong = find(req, opt->time_header, &value);
    who->access_ms = now;
    if (wrong)
        return wrong;
    size_t n = strspn(value, "0123456789");
    int64_t at = n > 0 && n <= MAX_DIGITS ? strtoll(value, NULL, 10) : -1;
    if (value[n] != '\0' || at < 0 || at < now - far || at > now + far)
        return malformed;
    who->access_ms = at;
    who->access_given = true;
    return NULL;
}

/* NULL; or what is wrong with that field. */
static const char *read_head(const gee_req *req, const gee_audit_options *opt, gee_audit *who,
                             const char **field) {
    const char *user = read_id(req, opt->user_header, &who->user_id);
    const char *trace = read_id(req, opt->trace_header, &who->trace_id);
    const char *time = read_time(req, opt, who);
    *field = opt->user_header;
    if (user && !opt->user_optional)
        return user;
    *field = opt->trace_header;
    if (trace && !opt->trace_optional)
        return trace;
    *field = opt->time_header;
    return opt->time_required ? time : NULL;
}

static void refuse(gee_req *req, const char *field, const char *wrong) {
    char error[128];
    snprintf(error, sizeof(error), "%.64s is %s", field, wrong);
    gee_json(req, 400, "{s:s, s:s, s:s}", "error", error, "field", field, "reason", wrong);
    gee_abort(req);
}

/* --- the middleware --- */

typedef struct frame {
    gee_cleanup cleanup;
    gee_req *req;
    const gee_audit_options *opt;
    gee_audit who; /* its strings are the request's */
    gee_ctx *before, *ctx;
    uint64_t start_ns;
    int64_t arrived_ms;
    bool returned;
} frame;

static int why(const frame *f) {
    int gone = f->req->x.conn->gone;
    if (!f->returned)
        return GEE_EPANIC;
    return gone ? gone : gee_ctx_cause(f->before);
}

static void write_line(int fd, const char *line, size_t n) {
    ssize_t put;
    do {
        put = write(fd, line, n);
    } while (put < 0 && errno == EINTR);
    if (put != (ssize_t)n)
        fprintf(stderr, "gee: audit: %s\n", put < 0 ? uv_strerror(-errno) : "a line was cut");
}

static void record(const frame *f) {
    char line[GEE_AUDIT_LINE];
    gee_req *req = f->req;
    gee_audit_record r = {
        .who = f->who,
        .method = gee_method(req),
        .route = gee_route(req),
        .target = gee_target(req),
        .remote = gee_remote(req),
        .arrived_ms = f->arrived_ms,
        .status = gee_status_at_end(req, f->returned),
        .why = why(f),
        .bytes = req->x.sent,
        .duration_ns = gee_now_ns() - f->start_ns,
        .line = line,
    };
    r.line_n = gee_audit_line(&r, line);
    if (f->opt->record)
        f->opt->record(&r, f->opt->arg);
    else
        write_line(f->opt->fd, line, r.line_n);
}

static void over(void *arg) {
    frame *f = arg;
    if (f->ctx) {
        gee_req_set_ctx(f->req, f->before);
        gee_ctx_end(f->ctx);
    }
    record(f);
}

/* From here on the request, its copies, and what runs under its ctx know who asks. */
static int tell(frame *f) {
    held *h = hold(&f->who, 2);
    if (h == NULL)
        return UV_ENOMEM;
    f->ctx = gee_ctx_with_value(f->before, &ctx_key, h, drop);
    if (f->ctx == NULL)
        drop(h);
    int rc = gee_set(f->req, key, h, drop);
    if (rc < 0)
        drop(h);
    if (f->ctx)
        gee_req_set_ctx(f->req, f->ctx);
    return f->ctx ? rc : UV_ENOMEM;
}

static void audit(gee_req *req) {
    frame f = {
        .req = req,
        .opt = gee_arg(req),
        .before = gee_req_ctx(req),
        .start_ns = gee_now_ns(),
        .arrived_ms = (int64_t)gee_wall_ms(),
    };
    const char *field, *wrong = read_head(req, f.opt, &f.who, &field);
    gee_cleanup_push(&f.cleanup, over, &f);
    if (wrong)
        refuse(req, field, wrong);
    else if (tell(&f) < 0)
        gee_fail(req, 503);
    else
        gee_next(req);
    f.returned = true;
    gee_cleanup_pop(&f.cleanup, true);
}

static bool own_name(gee_group *g, const char **name, const char *otherwise) {
    return gee_own_string(g, *name ? *name : otherwise, name);
}

int gee_use_audit(gee_group *g, const gee_audit_options *opt) {
    gee_audit_options *own = gee_own_alloc(g, sizeof(*own));
    if (own && opt)
        *own = *opt;
    if (own == NULL || !own_name(g, &own->user_header, "X-User-ID") ||
        !own_name(g, &own->trace_header, "X-Trace-ID") ||
        !own_name(g, &own->time_header, "X-Access-Time"))
        return gee_own_failed(g, UV_ENOMEM, "audit");
    if (!gee_is_token(own->user_header) || !gee_is_token(own->trace_header) ||
        !gee_is_token(own->time_header) || own->skew_ms > INT64_MAX / 4)
        return gee_own_failed(g, UV_EINVAL, "audit");
    if (own->skew_ms == 0)
        own->skew_ms = SKEW_MS;
    if (own->fd == 0)
        own->fd = STDERR_FILENO;
    static const gee_contract contract = {
        .name = "audit", .provides = "audit", .around = "authentication, authorization"};
    return gee_own_use(g, audit, own, &contract);
}
