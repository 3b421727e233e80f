/*
 * /debug/pprof/trace: records for so many seconds, stops, and then makes and sends the trace piece
 * by piece, each on a thread of the pool, and none before the client has taken the one before.
 * A client that leaves ends it.
 */
#include "gee/trace.h"
#include "pprof/pprof.h"
#include "sync/pool.h"
#include <stdlib.h>

enum { PIECE = 128 * 1024, MOST_SECONDS = 24 * 60 * 60, MOST_KIB = 1024 * 1024 };

struct piece {
    gee_trace *trace;
    char *buf;
    size_t n;
};

static void make(void *arg) {
    struct piece *p = arg;
    p->n = gee_trace_read(p->trace, p->buf, PIECE);
}

static int send_pieces(gee_req *req, gee_trace *t) {
    struct piece p = {.trace = t, .buf = malloc(PIECE)};
    int rc = p.buf ? 0 : UV_ENOMEM;
    while (rc == 0) {
        rc = gee_blocking_in(&gee_framework_lane, gee_req_ctx(req), make, &p);
        if (rc < 0 || p.n == 0)
            break;
        rc = gee_write(req, p.buf, p.n);
    }
    free(p.buf);
    return rc;
}

static void answer(gee_req *req, gee_trace *t) {
    gee_set_header(req, "Content-Type", "application/json");
    gee_set_header(req, "Content-Disposition", "attachment; filename=\"trace.json\"");
    gee_set_header(req, "X-Content-Type-Options", "nosniff");
    if (send_pieces(req, t) < 0) /* half a trace is no JSON: the client is to know */
        gee_hang_up(req);
}

void gee_prof_trace_page(gee_req *req) {
    uint64_t seconds = 1, kib = GEE_TRACE_BYTES / 1024;
    gee_trace *t;
    if (!gee_prof_number(req, "seconds", MOST_SECONDS, &seconds) ||
        !gee_prof_number(req, "kib", MOST_KIB, &kib))
        return;
    int rc = gee_trace_start(kib * 1024, &t);
    if (rc == UV_EALREADY)
        gee_string(req, 409, "a trace is being recorded already\n");
    else if (rc < 0)
        gee_fail(req, 503);
    if (rc < 0)
        return;
    rc = gee_prof_wait(req, seconds ? seconds : 1); /* Go takes 0 for 1 too */
    gee_trace_stop(t);
    if (rc == 0)
        answer(req, t);
    gee_trace_free(t);
}
