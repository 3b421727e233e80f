/* What is fuzzed: a route for each way in which a handler takes a request apart. */
#include "fuzz.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

const gee_limits fuzz_limits = {.head_bytes = 1024,
                                .uri_bytes = 256,
                                .headers = 12,
                                .body_bytes = 2048,
                                .head_ms = 500,
                                .body_ms = 500,
                                .write_ms = 500,
                                .idle_ms = 1000,
                                .drain_ms = 200};
_Atomic int fuzz_requests;

static void count(gee_req *req) {
    fuzz_requests++;
    if (strcmp(gee_method(req), "HEAD") == 0)
        gee_set_header(req, "X-Head", "1"); /* says that a length is of no body */
    gee_next(req);
}

static void fail(gee_req *req, int rc) {
    gee_fail(req, gee_body_status(rc));
}

static void param(gee_req *req) {
    gee_string(req, 200, "%s, %s, %s\n", gee_param(req, "name"), gee_default_query(req, "q", "-"),
               gee_remote(req));
}

static void rest(gee_req *req) {
    const char *path = gee_param(req, "path"), *name, *value;
    for (size_t i = 0; gee_query_at(req, i, &name, &value); i++)
        gee_add_header(req, "X-Query", *value ? value : name);
    gee_data(req, 200, "text/plain", path, strlen(path));
}

static void echo(gee_req *req) {
    const char *body;
    size_t n;
    int rc = gee_body(req, &body, &n);
    if (rc < 0)
        fail(req, rc);
    else
        gee_data(req, 200, "application/octet-stream", body, n);
}

static void form(gee_req *req) {
    const char *name, *value;
    gee_form(req, "a");
    for (size_t i = 0; gee_form_at(req, i, &name, &value); i++) {
        gee_write(req, name, strlen(name));
        gee_write(req, "=", 1);
        gee_write(req, value, strlen(value));
    }
}

static void json(gee_req *req) {
    json_t *value;
    json_error_t err;
    int rc = gee_json_body(req, 1024, &value, &err);
    if (rc < 0)
        fail(req, rc);
    else
        gee_json_value(req, 200, value);
}

static void bind_json(gee_req *req) {
    const char *name, *tags = "";
    int n = 1;
    if (gee_json_bind(req, "{s:s, s?i, s?s}", "name", &name, "n", &n, "tags", &tags) == 0)
        gee_json(req, 201, "{s:s, s:i, s:s}", "name", name, "n", n, "tags", tags);
}

static void multipart(gee_req *req) {
    const gee_multipart_options opt = {.parts = 4, .header_bytes = 256, .part_bytes = 512};
    gee_multipart *mp;
    const gee_part *part;
    int rc = gee_multipart_open(req, &opt, &mp);
    char piece[37];
    while (rc == 0 && (rc = gee_multipart_next(mp, &part)) > 0) {
        const char *text = gee_part_basename(mp);
        size_t n = 0;
        ssize_t got = 0;
        gee_part_header(mp, "content-type");
        if (part->filename)
            while ((got = gee_part_read(mp, piece, sizeof(piece))) > 0)
                n += (size_t)got;
        else
            got = gee_part_text(mp, 64, &text, &n);
        rc = got < 0 && got != UV_E2BIG ? (int)got : 0;
    }
    if (rc < 0)
        fail(req, rc);
    else
        gee_string(req, 200, "all parts\n");
}

static void cookie(gee_req *req) {
    const char *got = gee_cookie(req, "id");
    const gee_set_cookie_options opt = {.http_only = true, .max_age_s = 60};
    int rc = got ? gee_set_cookie(req, "seen", got, &opt) : 0;
    if (rc < 0) /* without what the client has sent: check.c could take that for the next answer */
        fail(req, rc);
    else
        gee_string(req, 200, "%s\n", got ? got : "none");
}

/* Whatever the proxies write, it is an address; "": there was no memory for it. */
static void client(gee_req *req) {
    const char *ip = gee_client_ip(req);
    struct in6_addr parsed;
    if (*ip && strcmp(ip, "simulated") != 0 && inet_pton(AF_INET, ip, &parsed) != 1 &&
        inet_pton(AF_INET6, ip, &parsed) != 1)
        abort();
    gee_string(req, 200, "%s\n", ip);
}

static int64_t tick(gee_req *req, void *arg) {
    int *n = arg;
    gee_sse_event(req, "tick", gee_default_query(req, "data", "x"));
    return --*n > 0 ? 20 : GEE_STREAM_END;
}

static void events(gee_req *req) {
    int n = 4;
    gee_sse(req, tick, &n);
}

/* What it reads it writes, before it has read all. */
static void pass_on(gee_req *req) {
    char piece[33];
    ssize_t n;
    while ((n = gee_body_read(req, piece, sizeof(piece))) > 0)
        if (gee_write(req, piece, (size_t)n) < 0 || gee_flush(req) < 0)
            return;
    if (n < 0)
        gee_hang_up(req);
}

static void large(gee_req *req) {
    enum { LARGE = 6000 };
    char *data = gee_alloc(req, LARGE);
    if (data == NULL) {
        gee_fail(req, 503);
        return;
    }
    memset(data, 'x', LARGE);
    gee_data(req, 200, "text/plain", data, LARGE);
}

static void away(gee_req *req) {
    int rc = gee_redirect(req, 302, gee_default_query(req, "to", "/"));
    if (rc < 0)
        fail(req, rc);
}

static void broken(gee_req *req) {
    gee_string(req, 200, "not sent, or in part\n");
    gee_hang_up(req);
}

/* A stream that is given up in the middle of a chunk. */
static void torn(gee_req *req) {
    gee_write(req, "whole", 5);
    gee_flush(req);
    gee_write(req, "torn", 4);
    gee_hang_up(req);
}

static void background(gee_ctx *ctx, void *arg) {
    gee_req *copy = arg;
    gee_sleep(ctx, 30);
    if (gee_param(copy, "name") == NULL || gee_header(copy, "host") == NULL)
        abort();
    gee_req_release(copy);
}

static void later(gee_req *req) {
    gee_req *copy = gee_req_copy(req);
    if (copy && gee_header(copy, "host") == NULL) { /* HTTP/1.0 may have none */
        gee_req_release(copy);
        copy = NULL;
    }
    if (copy && gee_go(gee_req_ctx(copy), background, copy) < 0)
        gee_req_release(copy);
    gee_abort_status(req, 202);
}

static void no_content(gee_req *req) {
    gee_data(req, 204, "text/plain", "", 0);
}

static void ignore(gee_req *req) {
    gee_string(req, 200, "ignored\n");
}

/* Does not listen to its ctx, and answers when its time is up. */
static void deaf(gee_req *req) {
    gee_sleep(NULL, 30);
    gee_string(req, 200, "heard nothing\n");
}

/* Its client is answered in its place; what it was parked in is a body, a write or a sleep. */
static void timed_routes(gee_group *root) {
    gee_group *timed = gee_group_new(root, "/timed");
    gee_use_timeout_with(timed, &(gee_timeout_options){.ms = 20, .log_fd = -1});
    gee_any(timed, "/pass", pass_on, NULL);
    gee_POST(timed, "/echo", echo);
    gee_POST(timed, "/parts", multipart);
    gee_GET(timed, "/events", events);
    gee_GET(timed, "/large", large);
    gee_any(timed, "/deaf", deaf, NULL);
}

/* Behind two kinds of proxy: a list with networks in it that are trusted too, and one address. */
static void client_routes(gee_group *root) {
    gee_trust_proxies(root,
                      &(gee_trust_options){.proxies = "simulated, 10.0.0.0/8, 2001:db8::/32"});
    gee_GET(root, "/client", client);
    gee_group *real = gee_group_new(root, "/real");
    gee_trust_proxies(real, &(gee_trust_options){"simulated", "X-Real-IP"});
    gee_GET(real, "/client", client);
}

void fuzz_routes(gee_group *root) {
    gee_use(root, count, NULL);
    client_routes(root);
    timed_routes(root);
    gee_GET(root, "/broken", broken);
    gee_GET(root, "/torn", torn);
    gee_GET(root, "/hello/:name", param);
    gee_GET(root, "/hello/new", param);
    gee_GET(root, "/files/*path", rest);
    gee_GET(root, "/empty", no_content);
    gee_POST(root, "/echo", echo);
    gee_POST(root, "/ignore", ignore);
    gee_POST(root, "/form", form);
    gee_POST(root, "/json", json);
    gee_POST(root, "/bind", bind_json);
    gee_POST(root, "/parts", multipart);
    gee_GET(root, "/cookie", cookie);
    gee_GET(root, "/events", events);
    gee_any(root, "/pass", pass_on, NULL);
    gee_GET(root, "/large", large);
    gee_GET(root, "/away", away);
    gee_GET(root, "/later/:name", later);
}
