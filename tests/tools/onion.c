/*
 * What happens in a chain, as a trace: two requests are served in simulation, by three middlewares
 * and a handler, and each of these says where the chain stands when it begins and when the
 * links further in have returned. tests/tools/onion.py makes ch02-timeouts/onion.svg of it.
 *
 * A line is  REQUEST LINK in|out  at N  started N of N  next LINK|nothing  head STATUS|-  ms N
 * where `next` says what a gee_next at this place has run: each calls it at both.
 */
#include "t_site.h"
#include "web/web.h"
#include <stdio.h>
#include <string.h>

enum { LINES = 32 };

/* One worker, in simulation, and nothing else prints: no lock, and in the order of what happens. */
static struct line {
    const char *link, *phase, *next;
    size_t at, started, of;
    int head;
    uint64_t ms;
} lines[LINES];
static int nlines;
static uint64_t start_ms;

static struct line *begin(gee_req *req, const char *phase) {
    struct line *l = &lines[nlines++];
    *l = (struct line){gee_arg(req),
                       phase,
                       "nothing",
                       req->at,
                       req->reached,
                       req->chain->n,
                       req->x.head_sent ? gee_status_of(req) : 0,
                       gee_now_ms() - start_ms};
    return l;
}

static void go_on(gee_req *req, struct line *l) {
    size_t started = req->reached;
    gee_next(req);
    if (req->reached > started)
        l->next = req->chain->links[started].arg;
}

/* Goes on once more on the way out: it finds nothing. */
static void around(gee_req *req) {
    go_on(req, begin(req, "in"));
    go_on(req, begin(req, "out"));
}

static void within_a_second(gee_req *req) {
    gee_ctx *before = gee_req_ctx(req), *ctx = gee_ctx_with_timeout(before, 1000);
    gee_req_set_ctx(req, ctx);
    around(req);
    gee_req_set_ctx(req, before);
    gee_ctx_end(ctx);
}

/* The session is looked up, and written back behind the handler. */
static void auth(gee_req *req) {
    struct line *l = begin(req, "in");
    gee_sleep(gee_req_ctx(req), 20);
    if (gee_header(req, "X-User") == NULL)
        gee_fail(req, 401);
    go_on(req, l);
    if (!gee_aborted(req))
        gee_sleep(gee_req_ctx(req), 10);
    go_on(req, begin(req, "out"));
}

static void account(gee_req *req) {
    go_on(req, begin(req, "in"));
    gee_sleep(gee_req_ctx(req), 60);
    gee_string(req, 200, "ann's account\n");
    go_on(req, begin(req, "out"));
}

static void routes(gee_group *r) {
    gee_use(r, around, "log");
    gee_use(r, within_a_second, "deadline");
    gee_use(r, auth, "auth");
    gee_handle(r, "GET", "/account", account, "handler");
}

static void show(const char *request) {
    for (int i = 0; i < nlines; i++) {
        const struct line *l = &lines[i];
        char head[16] = "-";
        if (l->head)
            snprintf(head, sizeof(head), "%d", l->head);
        printf("%-5s %-8s %-3s  at %zu  started %zu of %zu  next %-8s  head %-3s  ms %d\n", request,
               l->link, l->phase, l->at, l->started, l->of, l->next, head, (int)l->ms);
    }
}

static void body(gee_ctx *ctx, t_conn *c, int port) {
    static const struct {
        const char *name, *lines;
    } requests[] = {{"ann", "X-User: ann\r\n"}, {"eve", ""}};
    (void)port;
    for (int i = 0; i < 2; i++) {
        nlines = 0;
        start_ms = gee_now_ms();
        t_ask(ctx, c, "GET", "/account", requests[i].lines);
        show(requests[i].name);
    }
}

int main(void) {
    t_site_once(&(t_site){routes, body, NULL, 0});
    return 0;
}
