/*
 * /debug/pprof/trace: records for so many seconds, stops, and then makes and sends the trace piece
 * by piece, each on a thread of the pool, and none before the client has taken the one before.
 */
#include "gee/lane.h"
#include "gee/task.h"
#include "sync/pool.h"
#include "trace/trace.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum { PIECE = 128 * 1024 };

/* The value of ?name=, within a range; false: it is not. */
static bool number(gee_req *req, const char *name, double most, double *value) {
    const char *text = gee_query(req, name);
    char *end;
    if (text == NULL)
        return true;
    *value = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*value) && *value > 0 && *value <= most;
}

struct reading {
    gee_trace *trace;
    char *buf;
    size_t n;
};

static void read_piece(void *arg) {
    struct reading *r = arg;
    r->n = gee_trace_read(r->trace, r->buf, PIECE);
}

static int send_trace(gee_req *req, gee_trace *t) {
    struct reading r = {.trace = t, .buf = malloc(PIECE)};
    int rc = r.buf ? 0 : UV_ENOMEM;
    gee_set_header(req, "Content-Type", "application/json");
    gee_set_header(req, "Content-Disposition", "attachment; filename=\"trace.json\"");
    gee_set_header(req, "X-Content-Type-Options", "nosniff");
    while (rc == 0) {
        rc = gee_blocking_in(&gee_framework_lane, gee_req_ctx(req), read_piece, &r);
        if (rc == 0 && r.n == 0)
            break;
        if (rc == 0)
            rc = gee_write(req, r.buf, r.n);
    }
    free(r.buf);
    return rc;
}

static int record(gee_req *req, gee_trace *t, double seconds) {
    int rc = gee_sleep(gee_req_ctx(req), (uint64_t)(seconds * 1000));
    gee_trace_stop(t);
    return rc < 0 ? rc : send_trace(req, t);
}

void gee_trace_page(gee_req *req) {
    double seconds = 1, kib = GEE_TRACE_BYTES / 1024;
    gee_trace *t;
    if (!number(req, "seconds", 86400, &seconds) || !number(req, "kib", 1024 * 1024, &kib)) {
        gee_string(req, 400, "seconds is a number above 0, up to 86400; kib one up to 1048576\n");
        return;
    }
    int rc = gee_trace_start((size_t)(kib * 1024), &t);
    if (rc < 0) {
        gee_string(req, rc == UV_EALREADY ? 409 : 503, "%s\n",
                   rc == UV_EALREADY ? "a trace is being recorded already" : uv_strerror(rc));
        return;
    }
    gee_endless(req);
    if (record(req, t, seconds) < 0)
        gee_hang_up(req);
    gee_trace_free(t);
}
