/*
 * What a span of a request costs (count.py): peers/gee.c's greeting, with its two middlewares, and
 * with tracing behind `traced`. What is exported goes into a sink, which looks at nothing and says 200:
 * all that the library does is in it, up to the body of the request to a collector.
 */
#include "gee/gee.h"
#include <stdio.h>
#include <string.h>

static unsigned long requests;
static size_t posted;

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

static int sink(gee_ctx *ctx, void *arg, const char *path, const char *body, size_t n,
                gee_otlp_answer *answer) {
    (void)ctx;
    (void)arg;
    (void)path;
    (void)body;
    answer->body_n = 0;
    posted += n;
    return 200;
}

static int trace(gee_engine *e) {
    gee_otlp *x;
    int rc = gee_otlp_new(&(gee_otlp_options){.transport = {.post = sink}}, &x);
    if (rc == 0 && (rc = gee_otlp_attach(x, e)) < 0)
        gee_otlp_free(x);
    return rc < 0 ? rc : gee_use_tracing(gee_root(e), x);
}

int main(int argc, char **argv) {
    gee_engine *e = gee_engine_new();
    if (e == NULL || (argc > 1 && strcmp(argv[1], "traced") == 0 && trace(e) < 0))
        return 1;
    gee_use(gee_root(e), count, NULL);
    gee_use(gee_root(e), tag, &requests);
    gee_GET(gee_root(e), "/hello/:name", hello);
    int rc = gee_engine_run(e, "127.0.0.1", 0);
    gee_engine_free(e);
    printf("%lu requests, %zu bytes for a collector\n", requests, posted);
    return rc ? 1 : 0;
}
