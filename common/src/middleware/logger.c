/*
 * The access log: one line a request, written when the chain behind it has ended. The
 * line is a cleanup of this frame, so that a panic which goes by is logged as well.
 *
 * All that a client has sent is escaped: a line of the log is a line.
 */
#include "base/buf.h"
#include "gee/clientip.h"
#include "gee/middleware.h"
#include "middleware/id.h"
#include "middleware/line.h"
#include "middleware/own.h"
#include "web/web.h"
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

typedef struct entry {
    gee_req *req;
    const gee_logger_options *opt;
    uint64_t start_ns;
    bool returned;
} entry;

static void put_quoted(gee_buf *out, const char *s) {
    gee_buf_append(out, " \"", 2);
    gee_log_escaped(out, s ? s : "-");
    gee_buf_append(out, "\"", 1);
}

static int status_of(const entry *e) {
    return gee_status_at_end(e->req, e->returned);
}

static void put_line(gee_buf *out, const entry *e) {
    gee_req *req = e->req;
    enum gee_log_format format = e->opt->format;
    const char *user = gee_auth_user(req), *id = gee_request_id(req), *host = gee_client_ip(req);
    gee_buf_printf(out, "%s - ", *host ? host : "-");
    gee_log_escaped(out, user && *user ? user : "-");
    gee_log_time(out);
    gee_buf_printf(out, " \"%s ", gee_method(req));
    gee_log_escaped(out, gee_target(req));
    gee_buf_printf(out, " HTTP/1.%d\" %d %" PRIu64, req->x.minor, status_of(e), req->x.sent);
    if (format != GEE_LOG_COMMON) {
        put_quoted(out, gee_header(req, "referer"));
        put_quoted(out, gee_header(req, "user-agent"));
    }
    if (format == GEE_LOG_GEE)
        gee_buf_printf(out, " %s %.3f", id ? id : "-", (double)(gee_now_ns() - e->start_ns) / 1e6);
    gee_buf_append(out, "\n", 1);
}

static void write_line(void *arg) {
    entry *e = arg;
    gee_buf line = {0};
    put_line(&line, e);
    if (e->opt->line)
        e->opt->line(e->req, status_of(e), gee_buf_head(&line), gee_buf_size(&line), e->opt->arg);
    if (e->opt->fd < 0)
        gee_buf_free(&line);
    else
        gee_log_write(e->opt->fd, &line);
}

static void logger(gee_req *req) {
    entry e = {.req = req, .opt = gee_arg(req), .start_ns = gee_now_ns()};
    gee_cleanup line;
    gee_cleanup_push(&line, write_line, &e);
    gee_next(req);
    e.returned = true;
    gee_cleanup_pop(&line, true);
}

int gee_use_logger(gee_group *g, const gee_logger_options *opt) {
    static const gee_contract contract = {.name = "access log", .provides = "access log"};
    gee_logger_options *own = gee_own_alloc(g, sizeof(*own));
    if (own == NULL)
        return gee_own_failed(g, UV_ENOMEM, "access log");
    if (opt)
        *own = *opt;
    if (own->fd == 0)
        own->fd = STDERR_FILENO;
    return gee_own_use(g, logger, own, &contract);
}
