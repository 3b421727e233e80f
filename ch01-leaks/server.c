/*
 * The server of chapter 1: the same source over the broken and over the fixed
 * framework. `make serve-broken CH=01`, `make serve-fixed CH=01`.
 */
#include "gee/gee.h"
#include <stdio.h>
#include <stdlib.h>

static int64_t tick(gee_req *req, void *arg) {
    int *n = arg;
    char data[32];
    snprintf(data, sizeof(data), "%d", ++*n);
    gee_sse_event(req, "tick", data);
    return 1000;
}

static void ticking(gee_req *req) {
    int n = 0;
    gee_sse(req, tick, &n);
}

static int64_t nothing_yet(gee_req *req, void *arg) {
    (void)req;
    (void)arg;
    return 30000;
}

static void idle(gee_req *req) {
    gee_sse(req, nothing_yet, NULL);
}

static void index_page(gee_req *req) {
    gee_string(req, 200,
               "Chapter 1, leaks. Try:\n"
               "  /ticking      a stream with an event a second\n"
               "  /idle         a stream on which nothing happens\n"
               "  /docs/http.md, /docs/architecture.md   files\n"
               "  /debug/tasks  what every task of this server does\n");
}

int main(void) {
    const char *port = getenv("PORT");
    gee_engine *e = gee_engine_new();
    if (e == NULL)
        return 1;
    gee_group *root = gee_root(e);
    gee_GET(root, "/", index_page);
    gee_GET(root, "/ticking", ticking);
    gee_GET(root, "/idle", idle);
    gee_static(root, "/docs", "docs", NULL); /* of the directory in which make runs it */
    gee_debug_routes(root);
    int rc = gee_engine_run(e, "127.0.0.1", port ? atoi(port) : 8080);
    gee_engine_free(e);
    return rc ? 1 : 0;
}
