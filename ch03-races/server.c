/*
 * The server of chapter 3: the same source over the broken and over the fixed
 * framework. `make serve-broken CH=03`, `make serve-fixed CH=03`.
 */
#include "gee/gee.h"
#include <stdlib.h>

/* --- params-shared: a greeting that takes two seconds --- */

static void hello(gee_req *req) {
    if (gee_sleep(gee_req_ctx(req), 2000) == 0)
        gee_string(req, 200, "hello, %s\n", gee_param(req, "name"));
}

static void index_page(gee_req *req) {
    gee_string(req, 200,
               "Chapter 3, races. Try:\n"
               "  /hello/:name  greets by name, after two seconds: two visitors at a time\n"
               "  /debug/tasks  what every task of this server does\n");
}

int main(void) {
    const char *port = getenv("PORT");
    gee_engine *e = gee_engine_new();
    if (e == NULL)
        return 1;
    gee_group *root = gee_root(e);
    gee_GET(root, "/", index_page);
    gee_GET(root, "/hello/:name", hello);
    gee_debug_routes(root);
    int rc = gee_engine_run(e, "127.0.0.1", port ? atoi(port) : 8080);
    gee_engine_free(e);
    return rc ? 1 : 0;
}
