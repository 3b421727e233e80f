/*
 * Audit: who asked, as part of what, when, and how it ended.
 *
 * The middleware takes three header fields of a request into the request itself:
 *   X-User-ID      user_id      who asks; a gateway in front has found that out
 *   X-Trace-ID     trace_id     what this request is a part of, over all services
 *   X-Access-Time  access_ms    when, in ms since 1970; filled in if it did not come
 * Handlers, sub-tasks, and copies of the request read them from there. When the request is over
 * it gets one record.
 *
 * It believes what it reads: let nobody reach the server but through what sets these fields.
 */
#ifndef GEE_AUDIT_H
#define GEE_AUDIT_H

#include "gee/engine.h"

/* Constant, and shared: it lives as long as the request, its copies, and each ctx under it. */
typedef struct gee_audit {
    const char *user_id;  /* NULL: it did not come, and may be missing */
    const char *trace_id; /* the same */
    int64_t access_ms;    /* Unix time */
    bool access_given;    /* by the client */
} gee_audit;

/* Of a request, or a copy of one. NULL: no such middleware was in front. */
const gee_audit *gee_audit_of(gee_req *req);
/* Of whatever runs under a request: from the ctx that its task was started with. The same NULL. */
const gee_audit *gee_audit_of_ctx(const gee_ctx *ctx);

/* How a request ended. All of it is valid during the call only. */
typedef struct gee_audit_record {
    gee_audit who;               /* of a request that was refused: what was right of it */
    const char *method, *route;  /* route is NULL where there was none */
    const char *target, *remote; /* as the client sent it: escape it where you write it */
    int64_t arrived_ms;          /* Unix time, by the server's clock */
    uint64_t duration_ns;        /* from this middleware to its end */
    int status; /* as in the access log: 499, the client was gone before; 500, a panic went by */
    int why;    /* what ended it early: UV_EOF or UV_ECONNRESET, the client left;
                 * UV_ETIMEDOUT, UV_ESHUTDOWN, GEE_EPANIC; 0: nothing did */
    uint64_t bytes;   /* of the body that was sent */
    const char *line; /* all of this as JSON, and a line end */
    size_t line_n;
} gee_audit_record;

/* No record's line has more bytes: what a pipe takes at once. Of long targets the end is cut. */
enum { GEE_AUDIT_LINE = 4096 };

typedef struct gee_audit_options {
    const char *user_header, *trace_header, *time_header; /* NULL: as above */
    bool user_optional, trace_optional;                   /* malformed is then as missing */
    bool time_required;
    uint64_t skew_ms; /* how far an access time may be from the server's clock; 0: 5 min */

    /* Gets each record, in the request's task; may park. NULL: the line is written to fd. */
    void (*record)(const gee_audit_record *record, void *arg);
    void *arg;
    int fd; /* 0: stderr; each line is one write, and blocks where the descriptor does */
} gee_audit_options;

/*
 * Adds the middleware to g. An id has 1 to 128 letters, digits and any of -_.:/+=@|~ and comes
 * once; a time is a decimal number. If one that is required is not there or is not such, the
 * request is answered with 400 and
 *     {"error": "X-Trace-ID is missing", "field": "X-Trace-ID", "reason": "missing"}
 * ("malformed" otherwise) and goes no further. Each request that gets here has a record, those
 * too that are refused, have no route, panic, or whose client leaves. One that a timeout around it
 * has answered (gee/timeout.h) is recorded when its handler returns. opt may be NULL, and is
 * copied. 0, UV_EINVAL: a header's name is none; or UV_ENOMEM. Before gee_listen.
 */
int gee_use_audit(gee_group *g, const gee_audit_options *opt);

#endif
