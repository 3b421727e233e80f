/* The smallest server: build/release/examples/hello, then curl localhost:8080/hello/you */
#include "gee/gee.h"

static void hello(gee_req *req) {
    gee_string(req, 200, "hello, %s\n", gee_param(req, "name"));
}

int main(void) {
    gee_engine *e = gee_engine_new();
    if (e == NULL)
        return 1;
    gee_GET(gee_root(e), "/hello/:name", hello);
    int rc = gee_engine_run(e, "127.0.0.1", 8080);
    gee_engine_free(e);
    return rc ? 1 : 0;
}
