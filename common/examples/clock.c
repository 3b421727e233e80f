/*
 * A page that shows the server's time through an EventSource, and tells the
 * server what it has seen: build/release/examples/clock, then open the address.
 */
#include "gee/gee.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static const char page[] = "<!doctype html><title>clock</title><h1 id=now>-</h1><script>\n"
                           "const source = new EventSource('/events');\n"
                           "source.addEventListener('tick', e => {\n"
                           "    document.getElementById('now').textContent = e.data;\n"
                           "    fetch('/seen', {method: 'POST', body: e.data});\n"
                           "});\n"
                           "</script>\n";

static _Atomic int seen;

static void index_page(gee_req *req) {
    gee_data(req, 200, "text/html; charset=utf-8", page, sizeof(page) - 1);
}

static int64_t tick(gee_req *req, void *arg) {
    char now[32];
    (void)arg;
    snprintf(now, sizeof(now), "%llu ms", (unsigned long long)gee_now_ms());
    gee_sse_event(req, "tick", now);
    return 200;
}

static void events(gee_req *req) {
    gee_sse(req, tick, NULL);
}

static void post_seen(gee_req *req) {
    const char *body;
    size_t n;
    int rc = gee_body(req, &body, &n);
    if (rc < 0)
        gee_fail(req, gee_body_status(rc));
    else
        gee_string(req, 200, "%d\n", atomic_fetch_add(&seen, 1) + 1);
}

static void get_seen(gee_req *req) {
    gee_string(req, 200, "%d\n", atomic_load(&seen));
}

int main(void) {
    const char *port = getenv("PORT");
    gee_engine *e = gee_engine_new();
    if (e == NULL)
        return 1;
    gee_group *root = gee_root(e);
    gee_GET(root, "/", index_page);
    gee_GET(root, "/events", events);
    gee_POST(root, "/seen", post_seen);
    gee_GET(root, "/seen", get_seen);
    gee_debug_routes(root);
    int rc = gee_engine_run(e, "127.0.0.1", port ? atoi(port) : 8080);
    gee_engine_free(e);
    return rc ? 1 : 0;
}
