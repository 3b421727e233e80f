/* What is measured: a route with a parameter behind two middlewares; and parked streams. */
#include "gee/gee.h"
#include <stdlib.h>

static unsigned long requests;

static void count(gee_req *req) {
    requests++;
    gee_next(req);
}

static void tag(gee_req *req) {
    gee_set(req, "user", gee_arg(req), NULL);
    gee_next(req);
}

static void hello(gee_req *req) {
    gee_string(req, 200, "hello, %s!\n", gee_param(req, "name"));
}

static int64_t nothing(gee_req *req, void *arg) {
    (void)req;
    (void)arg;
    return 3600 * 1000;
}

static int64_t tick(gee_req *req, void *arg) {
    gee_sse_event(req, "tick", "tock");
    return *(const int64_t *)arg;
}

/* /events is idle; /events?ms=1000 has an event a second. */
static void events(gee_req *req) {
    const char *query = gee_query(req, "ms");
    int64_t ms = query ? strtoll(query, NULL, 10) : 0;
    gee_sse(req, ms > 0 ? tick : nothing, &ms);
}

/* For the deadline: nothing answers it before. */
static void hangs(gee_req *req) {
    gee_sleep(gee_req_ctx(req), 3600 * 1000);
}

int main(void) {
    gee_engine *e = gee_engine_new();
    if (e == NULL)
        return 1;
    gee_group *root = gee_root(e);
    gee_GET(root, "/events", events);
    gee_debug_routes(root);
    gee_pprof_routes(root, NULL);
    gee_group *limited = gee_group_new(root, "/limited");
    gee_use_timeout_with(limited, &(gee_timeout_options){.ms = 1000, .log_fd = -1});
    gee_GET(limited, "/hangs", hangs);
    gee_use(root, count, NULL);
    gee_use(root, tag, &requests);
    gee_GET(root, "/hello/:name", hello);
    int rc = gee_engine_run(e, "127.0.0.1", 0);
    gee_engine_free(e);
    return rc ? 1 : 0;
}
