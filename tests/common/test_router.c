/* Patterns: what they match, what they capture, and which of them are refused. */
#include "t_site.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "/u/:id id=7": the pattern, and what it captured in the order of the names here. */
static void show(gee_req *req) {
    static const char *const names[] = {"name", "id", "post", "a", "b", "c", "x", "path", "rest"};
    char text[512];
    int n = snprintf(text, sizeof(text), "%s", gee_route(req));
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        const char *value = gee_param(req, names[i]);
        if (value)
            n += snprintf(text + n, sizeof(text) - (size_t)n, " %s=%s", names[i], value);
    }
    gee_string(req, 200, "%s", text);
}

static void own_head(gee_req *req) {
    gee_set_header(req, "X-Handler", "head");
}

static void routes(gee_group *r) {
    static const char *const patterns[] = {
        "/",
        "/hello/:name",
        "/hello/b/c",
        "/u/:id",
        "/u/new",
        "/u/new/edit",
        "/u/:id/posts/:post",
        "/files/*path",
        "/files/fixed",
        "/files/:x/info",
        "/a",
        "/b",
        "/b/",
        "//c",
        "/deep/:a/:b/:c",
        "/only/*rest",
        "/mixed/:a/end",
        "/mixed/*rest",
        "/mixed/deep/:b/stop",
        "/a:b/c*d",
    };
    for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++)
        gee_GET(r, patterns[i], show);
    gee_POST(r, "/u/:id", show);
    gee_PUT(r, "/u/:id", show);
    gee_DELETE(r, "/rest/*rest", show);
    gee_GET(r, "/rest/:x", show);
    gee_GET(r, "/own", show);
    gee_handle(r, "HEAD", "/own", own_head, NULL);
    gee_POST(r, "/post", show);
}

typedef struct hit {
    const char *target;
    int status;
    const char *body; /* NULL: any */
} hit;

#define S8  "/1/2/3/4/5/6/7/8"
#define S32 S8 S8 S8 S8

static const hit hits[] = {
    {"/", 200, "/"},
    {"/hello/gee", 200, "/hello/:name name=gee"},
    {"/hello/b/c", 200, "/hello/b/c"},
    {"/hello/zzz/c", 404, NULL},
    {"/hello/b", 200, "/hello/:name name=b"}, /* the static one leads nowhere */
    {"/hello/", 404, NULL},                   /* a parameter is not empty */
    {"/hello", 404, NULL},
    {"/hello/b/", 404, NULL},
    /* static, then parameter, then rest; taken back where it leads nowhere */
    {"/u/new", 200, "/u/new"},
    {"/u/news", 200, "/u/:id id=news"},
    {"/u/ne", 200, "/u/:id id=ne"},
    {"/u/New", 200, "/u/:id id=New"},
    {"/u/new/edit", 200, "/u/new/edit"},
    {"/u/new/posts/7", 200, "/u/:id/posts/:post id=new post=7"},
    {"/u/7/edit", 404, NULL},
    {"/files/fixed", 200, "/files/fixed"},
    {"/files/x/info", 200, "/files/:x/info x=x"},
    {"/files/fixed/info", 200, "/files/:x/info x=fixed"},
    {"/files/fixed/other", 200, "/files/*path path=fixed/other"},
    {"/mixed/1/end", 200, "/mixed/:a/end a=1"},
    {"/mixed/deep/end", 200, "/mixed/:a/end a=deep"},
    {"/mixed/deep/x/stop", 200, "/mixed/deep/:b/stop b=x"},
    {"/mixed/deep/x/go", 200, "/mixed/*rest rest=deep/x/go"},
    /* the rest */
    {"/files/", 200, "/files/*path path="},
    {"/files", 404, NULL},
    {"/files/a", 200, "/files/*path path=a"},
    {"/files/a/", 200, "/files/*path path=a/"},
    {"/files/a//b", 200, "/files/*path path=a//b"},
    {"/files//", 200, "/files/*path path=/"},
    {"/files/a/b/c.txt?x=1", 200, "/files/*path path=a/b/c.txt"},
    {"/deep/1/2/3", 200, "/deep/:a/:b/:c a=1 b=2 c=3"},
    {"/deep/1/2", 404, NULL},
    {"/deep/1//3", 404, NULL},
    {"/deep/1/2/3/4", 404, NULL},
    /* slashes count */
    {"/a", 200, "/a"},
    {"/a/", 404, NULL},
    {"/b", 200, "/b"},
    {"/b/", 200, "/b/"},
    {"/b//", 404, NULL},
    {"//", 404, NULL},
    {"//a", 404, NULL},
    {"//c", 200, "//c"},
    {"/c", 404, NULL},
    /* decoding comes after splitting, and once */
    {"/u/a%2fb", 200, "/u/:id id=a/b"},
    {"/u%2f7", 404, NULL},
    {"/u/%6eew", 200, "/u/new"},
    {"/u/a%20b", 200, "/u/:id id=a b"},
    {"/u/a+b", 200, "/u/:id id=a+b"},
    {"/u/%252f", 200, "/u/:id id=%2f"},
    {"/u/%3fx", 200, "/u/:id id=?x"},
    {"/files/a%2fb/c", 200, "/files/*path path=a/b/c"},
    /* what is syntax in a pattern is none in a path */
    {"/u/*", 200, "/u/:id id=*"},
    {"/u/:id", 200, "/u/:id id=:id"},
    {"/u/*path", 200, "/u/:id id=*path"},
    {"/hello/*/c", 404, NULL},
    {"/*", 404, NULL},
    {"/only/*", 200, "/only/*rest rest=*"},
    {"/only/:x/*", 200, "/only/*rest rest=:x/*"},
    {"/a:b/c*d", 200, "/a:b/c*d"}, /* nor inside a segment of a pattern */
    {"/axb/cxd", 404, NULL},
    /* dot segments and bad escapes */
    {"/.", 400, NULL},
    {"/..", 400, NULL},
    {"/./a", 400, NULL},
    {"/b/../a", 400, NULL},
    {"/b/..", 400, NULL},
    {"/files/../u/new", 400, NULL},
    {"/files/%2e%2E/u", 400, NULL},
    {"/files/.%2e", 400, NULL},
    {"/u/...", 200, "/u/:id id=..."},
    {"/u/.a", 200, "/u/:id id=.a"},
    {"/u/..%2f..", 200, "/u/:id id=../.."},
    {"/u/%", 400, NULL},
    {"/u/%4", 400, NULL},
    {"/u/%00", 400, NULL},
    {"/u/7?x=..&y=%zz", 200, "/u/:id id=7"},
    /* the absolute form; and what is no path at all */
    {"http://host.example/u/7?x=1", 200, "/u/:id id=7"},
    {"http://host.example:80/hello/b/c", 200, "/hello/b/c"},
    {"http://host.example", 200, "/"},
    {"http://host.example?x=/a", 200, "/"},
    {"http://host.example/nowhere", 404, NULL},
    {"*", 200, ""}, /* of the server, not of a path */
    /* how deep a path may be */
    {"/only" S32 "/1/2/3", 200, NULL},
    {"/only" S32 S32, 414, NULL},
};

static void test_hits_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    for (size_t i = 0; i < sizeof(hits) / sizeof(*hits); i++) {
        const hit *h = &hits[i];
        /* OPTIONS is the one method of the asterisk form that llhttp takes */
        int status = t_ask(ctx, c, *h->target == '*' ? "OPTIONS" : "GET", h->target, "");
        if (status != h->status)
            T_FAIL("%s: %d (%s), not %d", h->target, status, t_body(c), h->status);
        if (h->body && strcmp(t_body(c), h->body) != 0)
            T_FAIL("%s: \"%s\", not \"%s\"", h->target, t_body(c), h->body);
    }
}

T_SITE(test_hits, routes)

typedef struct other {
    const char *method, *target;
    int status;
    const char *allow; /* words that are in the Allow field, and no more */
} other;

static const other others[] = {
    {"POST", "/u/7", 200, NULL},
    {"POST", "/u/new", 200, NULL}, /* /u/new has no POST, so /u/:id is what fits */
    {"DELETE", "/u/7", 405, "GET HEAD POST PUT OPTIONS"},
    {"DELETE", "/u/new", 405, "GET HEAD POST PUT OPTIONS"}, /* of every pattern that fits */
    {"GET", "/post", 405, "POST OPTIONS"},
    {"HEAD", "/post", 405, "POST OPTIONS"},
    {"PATCH", "/own", 405, "GET HEAD OPTIONS"},
    {"DELETE", "/rest/x", 200, NULL},
    {"PUT", "/rest/x", 405, "DELETE GET HEAD OPTIONS"},
    {"PUT", "/rest/x/y", 405, "DELETE OPTIONS"},
    {"DELETE", "/nowhere", 404, NULL},
    {"OPTIONS", "/u/7", 204, "GET HEAD POST PUT OPTIONS"},
    {"OPTIONS", "/nowhere", 404, NULL},
};

static int count_words(const char *s) {
    int n = *s != '\0';
    for (; *s; s++)
        n += *s == ',';
    return n;
}

static bool same_words(const char *field, const char *words) {
    char buf[64], *save = NULL;
    int n = 0;
    snprintf(buf, sizeof(buf), "%s", words);
    for (char *w = strtok_r(buf, " ", &save); w; w = strtok_r(NULL, " ", &save), n++)
        if (strstr(field, w) == NULL)
            return false;
    return count_words(field) == n;
}

static void test_methods_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        const other *o = &others[i];
        if (strcmp(o->method, "HEAD") == 0)
            continue; /* no body: see below */
        int status = t_ask(ctx, c, o->method, o->target, "");
        const char *allow = t_field(c, "allow");
        if (status != o->status)
            T_FAIL("%s %s: %d, not %d", o->method, o->target, status, o->status);
        if ((allow == NULL) != (o->allow == NULL) || (allow && !same_words(allow, o->allow)))
            T_FAIL("%s %s: allow \"%s\", not \"%s\"", o->method, o->target, allow ? allow : "",
                   o->allow ? o->allow : "");
    }
}

T_SITE(test_methods, routes)

static void head_of(gee_ctx *ctx, t_conn *c, const char *target, char *out, size_t size) {
    char text[128];
    snprintf(text, sizeof(text), "HEAD %s HTTP/1.1\r\nHost: t\r\n\r\n", target);
    t_puts(ctx, c, text);
    const char *end = t_until(ctx, c, "\r\n\r\n");
    snprintf(out, size, "%s", end ? t_text(c) : "");
    t_drop(c);
}

static void test_head_body(gee_ctx *ctx, t_conn *c, int port) {
    char head[512];
    (void)port;
    head_of(ctx, c, "/u/7", head, sizeof(head));
    T_CHECK(strncmp(head, "HTTP/1.1 200", 12) == 0);
    T_CHECK(strstr(head, "Content-Length: 11\r\n") != NULL);
    head_of(ctx, c, "/own", head, sizeof(head));
    T_CHECK(strstr(head, "X-Handler: head\r\n") != NULL);
    head_of(ctx, c, "/post", head, sizeof(head));
    T_CHECK(strncmp(head, "HTTP/1.1 405", 12) == 0);
    head_of(ctx, c, "/nowhere", head, sizeof(head));
    T_CHECK(strncmp(head, "HTTP/1.1 404", 12) == 0);
    T_EQ(t_get(ctx, c, "/own"), 200); /* and no byte of a body was sent */
    T_STR(t_body(c), "/own");
}

T_SITE(test_head, routes)

/* --- registration --- */

typedef struct bad {
    const char *prefix, *pattern;
    int rc;
} bad;

static const bad bads[] = {
    {"", "", UV_EINVAL},
    {"", "a", UV_EINVAL},
    {"", ":a", UV_EINVAL},
    {"", "*a", UV_EINVAL},
    {"", "/:", UV_EINVAL},
    {"", "/a/:/b", UV_EINVAL},
    {"", "/*", UV_EINVAL},
    {"", "/a/*", UV_EINVAL},
    {"", "/:x/:x", UV_EINVAL},
    {"", "/:x/a/*x", UV_EINVAL},
    {"", "/*x/a", UV_EINVAL},
    {"", "/*x/", UV_EINVAL},
    {"", "/*x/*y", UV_EINVAL},
    {"", "/:1/:2/:3/:4/:5/:6/:7/:8/:9/:10/:11/:12/:13/:14/:15/:16/:17", UV_EINVAL},
    {"", "/taken", UV_EEXIST},
    {"", "/u/:other", UV_EEXIST}, /* the same pattern, whatever its names are */
    {"", "/r/*other", UV_EEXIST},
    {"/taken", "", UV_EEXIST},
    {"/api", "xxx", UV_EINVAL}, /* it is not a route of the group */
    {"api", "/a", UV_EINVAL},
    {"/api/", "/a", UV_EINVAL},
    {"/v/:x", "/:x", UV_EINVAL},
    {"", "/fine/:x/:y/*z", 0},
    {"/api", "", 0},
    {"/api", "/", 0},
    {"/v/:x", "/:y", 0},
    {"", "/:1/:2/:3/:4/:5/:6/:7/:8/:9/:10/:11/:12/:13/:14/:15/:16", 0},
};

static void bads_body(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
    for (size_t i = 0; i < sizeof(bads) / sizeof(*bads); i++) {
        const bad *b = &bads[i];
        gee_server *srv = NULL;
        gee_engine *e = gee_engine_new();
        gee_group *r = gee_root(e);
        gee_GET(r, "/taken", show);
        gee_GET(r, "/u/:id", show);
        gee_GET(r, "/r/*rest", show);
        gee_group *g = *b->prefix ? gee_group_new(r, b->prefix) : r;
        int rc = gee_GET(g, b->pattern, show);
        int of_group = *b->prefix && (b->prefix[0] != '/' || b->prefix[4] == '/');
        gee_GET(r, "/later", show);
        gee_GET(r, "/taken", show); /* another error; the first one stays */
        int first = b->rc ? b->rc : UV_EEXIST, listened = gee_listen(e, "::1", 0, NULL, &srv);
        gee_engine_free(e);
        if (rc != b->rc && !of_group)
            T_FAIL("\"%s\" in \"%s\": %s, not %s", b->pattern, b->prefix, t_err(rc), t_err(b->rc));
        if (listened != first)
            T_FAIL("\"%s\" in \"%s\": gee_listen says %s, not %s", b->pattern, b->prefix,
                   t_err(listened), t_err(first));
    }
}

static void test_bad_patterns(void **state) {
    gee_config cfg = {.sim = true};
    (void)state;
    t_run(&cfg, 0, bads_body, NULL);
}

static void test_names_of_methods_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_get(ctx, c, "/x/1"), 200);
    T_STR(t_body(c), "/x/:a a=1");
    T_EQ(t_ask(ctx, c, "POST", "/x/1", ""), 200);
    T_STR(t_body(c), "/x/:b b=1"); /* each method has its own names */
    T_EQ(t_get(ctx, c, "/x/1/y"), 200);
    T_STR(t_body(c), "/x/:c/y c=1");
}

static void same_pattern(gee_group *r) {
    gee_GET(r, "/x/:a", show);
    gee_POST(r, "/x/:b", show);
    gee_GET(r, "/x/:c/y", show);
}

T_SITE(test_names_of_methods, same_pattern)

enum { MANY = 1000 };

static void many(gee_group *r) {
    char pattern[64];
    for (int i = 0; i < MANY; i++) {
        snprintf(pattern, sizeof(pattern), i % 2 ? "/many%d/of/:id" : "/same/%d/of/:id", i);
        gee_GET(r, pattern, show);
    }
}

static void many_body(gee_ctx *ctx, t_conn *c, int port) {
    char target[64], want[64];
    (void)port;
    for (int i = 0; i < MANY; i++) {
        snprintf(target, sizeof(target), i % 2 ? "/many%d/of/x" : "/same/%d/of/x", i);
        snprintf(want, sizeof(want), i % 2 ? "/many%d/of/:id id=x" : "/same/%d/of/:id id=x", i);
        T_EQ(t_get(ctx, c, target), 200);
        T_STR(t_body(c), want);
    }
    T_EQ(t_get(ctx, c, "/same/1/of/x"), 404);
    T_EQ(t_get(ctx, c, "/many2/of/x"), 404);
}

static void test_many(void **state) {
    (void)state;
    t_site_once(&(t_site){many, many_body, NULL, 0});
}

/* --- segments of every length, and those that are one byte away --- */

enum { LONGEST = 33 };

/* "/" and n letters, of which the one at `odd` is anodd. */
static void segment(char *to, int n, int odd) {
    to[0] = '/';
    memset(to + 1, 'x', (size_t)n);
    to[n + 1] = '\0';
    if (odd >= 0)
        to[1 + odd] = 'y';
}

static void each_length(gee_group *r) {
    char pattern[LONGEST + 2];
    for (int n = 1; n <= LONGEST; n++)
        for (int odd = -1; odd < n; odd += 2) {
            segment(pattern, n, odd);
            gee_GET(r, pattern, show);
        }
}

static void each_length_body(gee_ctx *ctx, t_conn *c, int port) {
    char target[LONGEST + 2];
    (void)port;
    for (int n = 1; n <= LONGEST; n++)
        for (int odd = -1; odd < n; odd++) {
            segment(target, n, odd);
            T_EQ(t_get(ctx, c, target), odd % 2 ? 200 : 404);
            if (odd % 2)
                T_STR(t_body(c), target);
        }
}

static void test_each_length(void **state) {
    (void)state;
    t_site_once(&(t_site){each_length, each_length_body, NULL, 0});
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_hits),        cmocka_unit_test(test_methods),
    cmocka_unit_test(test_head),        cmocka_unit_test(test_bad_patterns),
    cmocka_unit_test(test_many),        cmocka_unit_test(test_names_of_methods),
    cmocka_unit_test(test_each_length),
};

T_MAIN(tests)
