/* What is measured: a route with a parameter behind two middlewares; and parked streams. */
#include "gee/gee.h"

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

static void events(gee_req *req) {
    gee_sse(req, nothing, NULL);
}

int main(void) {
    gee_engine *e = gee_engine_new();
    if (e == NULL)
        return 1;
    gee_group *root = gee_root(e);
    gee_GET(root, "/events", events);
    gee_debug_routes(root);
    gee_use(root, count, NULL);
    gee_use(root, tag, &requests);
    gee_GET(root, "/hello/:name", hello);
    int rc = gee_engine_run(e, "127.0.0.1", 0);
    gee_engine_free(e);
    return rc ? 1 : 0;
}
