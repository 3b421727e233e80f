/*
 * The smallest server:
 *
 *   PORT=8080 build/release/examples/hello
 *   curl localhost:8080/hello
 *   curl localhost:8080/hello/you
 *   curl --data-binary @picture.png -H 'Content-Type: image/png' localhost:8080/echo >copy.png
 */
#include "gee/gee.h"
#include <stdlib.h>

static void hello(gee_req *req) {
    gee_string(req, 200, "hello, world\n");
}

static void hello_name(gee_req *req) {
    gee_string(req, 200, "hello, %s\n", gee_param(req, "name"));
}

/* The body is the request's, and lives as long as it. How long one may be, and how long
 * it may take, is for the limits of gee/http.h: what goes beyond has a status of its own. */
static void echo(gee_req *req) {
    const char *type = gee_header(req, "Content-Type"), *body;
    size_t n;
    int rc = gee_body(req, &body, &n);
    if (rc < 0)
        gee_fail(req, gee_body_status(rc));
    else
        gee_data(req, 200, type ? type : "application/octet-stream", body, n);
}

int main(void) {
    const char *port = getenv("PORT");
    gee_engine *e = gee_engine_new();
    if (e == NULL)
        return 1;
    gee_group *root = gee_root(e);
    gee_GET(root, "/hello", hello);
    gee_GET(root, "/hello/:name", hello_name);
    gee_POST(root, "/echo", echo);
    int rc = gee_engine_run(e, "127.0.0.1", port ? atoi(port) : 8080);
    gee_engine_free(e);
    return rc ? 1 : 0;
}
