/*
 * The server of chapter 2: the same source over the broken and over the fixed
 * framework. `make serve-broken CH=02`, `make serve-fixed CH=02`.
 */
#include "gee/gee.h"
#include <stdlib.h>

static void index_page(gee_req *req) {
    gee_string(req, 200,
               "Chapter 2, timeouts. Try:\n"
               "  /debug/tasks  what every task of this server does\n");
}

int main(void) {
    const char *port = getenv("PORT");
    gee_engine *e = gee_engine_new();
    if (e == NULL)
        return 1;
    gee_group *root = gee_root(e);
    gee_GET(root, "/", index_page);
    gee_debug_routes(root);
    int rc = gee_engine_run(e, "127.0.0.1", port ? atoi(port) : 8080);
    gee_engine_free(e);
    return rc ? 1 : 0;
}
