/* The engine: what is registered, what is refused, and that no path gets around a middleware. */
#include "t_client.h"
#include "t_site.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void say_method(gee_req *req) {
    gee_string(req, 200, "%s", gee_method(req));
}

static void own_404(gee_req *req) {
    gee_json(req, 404, "{s:s}", "nothing at", gee_target(req));
}

static void own_405(gee_req *req) {
    gee_string(req, 405, "not %s", gee_method(req));
}

static void mark(gee_req *req) {
    gee_add_header(req, "X-Mark", gee_arg(req));
    gee_next(req);
}

/* --- methods --- */

static void any_routes(gee_group *root) {
    gee_any(root, "/any", say_method, NULL);
    gee_HEAD(root, "/head", say_method);
    gee_OPTIONS(root, "/options", say_method);
    gee_handle(root, "PROPFIND", "/dav", say_method, NULL);
    gee_GET(root, "/get", say_method);
}

static void every_method_has_its_route_body(gee_ctx *ctx, t_conn *c, int port) {
    static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    (void)port;
    for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
        T_EQ(t_ask(ctx, c, methods[i], "/any", ""), 200);
        T_STR(t_body(c), methods[i]);
    }
    T_EQ(t_ask(ctx, c, "PROPFIND", "/dav", ""), 200);
    T_EQ(t_ask(ctx, c, "PROPFIND", "/any", ""), 405);
    T_EQ(t_ask(ctx, c, "GET", "/head", ""), 405);
    T_EQ(t_ask(ctx, c, "OPTIONS", "/options", ""), 200);
    T_EQ(t_ask(ctx, c, "OPTIONS", "/get", ""), 204);
    T_STR(t_field(c, "allow"), "GET, HEAD, OPTIONS");
    T_STR(t_field(c, "content-length"), NULL);
    T_EQ(t_ask(ctx, c, "GET", "/get/", ""), 404); /* another route, and no redirect */
}

T_SITE(every_method_has_its_route, any_routes)

/* All that a calendar's server has, and more: Allow names every one of them. */
static const char *const many_methods[] = {
    "GET",    "POST",   "PUT",    "PATCH", "DELETE", "PROPFIND",   "PROPPATCH", "COPY",
    "MOVE",   "MKCOL",  "LOCK",   "ACL",   "UNLOCK", "MKCALENDAR", "REPORT",    "SEARCH",
    "NOTIFY", "REBIND", "UNBIND", "TRACE", "LINK",   "SUBSCRIBE",  "MERGE",     "UNLINK"};
enum { MANY_METHODS = sizeof(many_methods) / sizeof(*many_methods) };

static void calendar_routes(gee_group *root) {
    for (size_t i = 0; i < MANY_METHODS; i++)
        gee_handle(root, many_methods[i], "/calendar", say_method, NULL);
}

static void allow_names_all_methods_body(gee_ctx *ctx, t_conn *c, int port) {
    char list[512], word[32];
    (void)port;
    T_EQ(t_ask(ctx, c, "OPTIONS", "/calendar", ""), 204);
    snprintf(list, sizeof(list), " %s,", t_field(c, "allow"));
    for (size_t i = 0; i < MANY_METHODS; i++) {
        snprintf(word, sizeof(word), " %s,", many_methods[i]);
        if (strstr(list, word) == NULL)
            T_FAIL("no %s in%s", many_methods[i], list);
    }
}

T_SITE(allow_names_all_methods, calendar_routes)

/* --- what answers when no route does --- */

static void own_routes(gee_group *root) {
    gee_use(root, mark, "root");
    gee_no_route(gee_engine_of(root), own_404, NULL);
    gee_no_method(gee_engine_of(root), own_405, NULL);
    gee_GET(root, "/get", say_method);
}

static void no_route_and_no_method_are_the_programs_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_get(ctx, c, "/nowhere"), 404);
    T_STR(t_body(c), "{\"nothing at\":\"/nowhere\"}");
    T_STR(t_field(c, "x-mark"), "root");
    T_EQ(t_ask(ctx, c, "DELETE", "/get", ""), 405);
    T_STR(t_body(c), "not DELETE");
    T_STR(t_field(c, "allow"), "GET, HEAD, OPTIONS");
}

T_SITE(no_route_and_no_method_are_the_programs, own_routes)

/* --- groups --- */

enum { DEEP = 40 };
static char names[DEEP][12];

static void deep_routes(gee_group *root) {
    gee_group *g = root;
    for (int i = 0; i < DEEP; i++) {
        g = gee_group_new(g, i % 2 ? "/" : "/d");
        snprintf(names[i], sizeof(names[i]), "%d", i);
        gee_use(g, mark, names[i]);
    }
    gee_GET(g, "/end", say_method);
    gee_GET(g, "", say_method);
}

static void groups_nest_as_deep_as_one_likes_body(gee_ctx *ctx, t_conn *c, int port) {
    char target[2 * DEEP + 8] = "";
    (void)port;
    for (int i = 0; i < DEEP; i += 2)
        strcat(target, "/d");
    T_EQ(t_get(ctx, c, target), 200);
    strcat(target, "/end");
    T_RC(t_puts(ctx, c, "GET "), 0);
    T_RC(t_puts(ctx, c, target), 0);
    T_RC(t_puts(ctx, c, " HTTP/1.1\r\nHost: t\r\n\r\n"), 0);
    const char *all = t_until(ctx, c, "\r\n\r\nGET");
    T_CHECK(all);
    const char *at = t_text(c);
    for (int i = 0; i < DEEP; i++) { /* each of them once, from the outside in */
        char line[32];
        snprintf(line, sizeof(line), "X-Mark: %d\r\n", i);
        at = strstr(at, line);
        T_CHECK(at);
        at += strlen(line);
    }
    T_CHECK(strstr(at, "X-Mark") == NULL);
}

T_SITE(groups_nest_as_deep_as_one_likes, deep_routes)

/* --- attacks on a middleware that guards a group --- */

static void guard(gee_req *req) {
    const char *key = gee_header(req, "x-key");
    if (key && strcmp(key, "secret") == 0)
        gee_next(req);
    else
        gee_fail(req, 401);
}

static void treasure(gee_req *req) {
    gee_string(req, 200, "treasure of %s", gee_route(req));
}

static void open_to_all(gee_req *req) {
    gee_string(req, 200, "open %s", gee_param(req, "rest"));
}

static void guarded_routes(gee_group *root) {
    gee_GET(root, "/pub/*rest", open_to_all);
    gee_group *admin = gee_group_new(root, "/admin");
    gee_use(admin, guard, NULL);
    gee_GET(admin, "", treasure);
    gee_GET(admin, "/", treasure);
    gee_GET(admin, "/keys", treasure);
    gee_GET(admin, "/keys/:id", treasure);
    gee_POST(admin, "/all/*rest", treasure);
    gee_group *tenant = gee_group_new(root, "/t/:tenant");
    gee_use(tenant, guard, NULL);
    gee_GET(tenant, "/bill", treasure);
}

static const char *const attacks[] = {
    "/admin",
    "/admin/",
    "//admin",
    "//admin/keys",
    "/admin//keys",
    "/admin/keys/",
    "/admin/./keys",
    "/./admin/keys",
    "/pub/../admin/keys",
    "/pub/..%2fadmin/keys",
    "/pub/%2e%2e/admin/keys",
    "/pub/.%2e/admin/keys",
    "/%61dmin/keys",
    "/admin%2fkeys",
    "/admin%2Fkeys",
    "/admin%2f/keys",
    "/admin;x/keys",
    "/admin/keys;x",
    "/admin/keys%00",
    "/admin\\keys",
    "/ADMIN/keys",
    "/admin/keys?x=/pub/y",
    "/pub/?/admin/keys",
    "/admin/keys/*",
    "/admin/keys/:id",
    "/*rest",
    "/admin/all/x",
    "/t//bill",
    "/t/*/bill",
    "/t/:tenant/bill",
    "/t/a%2fb/bill",
    "/t/../bill",
    "http://t/admin/keys",
    "http://t//admin/keys",
    "http://x@t/admin/keys",
};

static void no_path_gets_around_a_middleware_body(gee_ctx *ctx, t_conn *c, int port) {
    for (size_t i = 0; i < sizeof(attacks) / sizeof(*attacks); i++) {
        t_conn *own = t_dial(port, 0); /* some end their connection */
        char head[256];
        snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
                 attacks[i]);
        t_puts(ctx, own, head);
        bool reached = strstr(t_all(ctx, own), "treasure") != NULL;
        bool answered = strncmp(t_text(own), "HTTP/1.1 ", 9) == 0;
        t_close(ctx, own);
        if (reached || !answered)
            T_FAIL("%s: %s", attacks[i], reached ? "reached" : "not answered");
    }
    T_EQ(t_ask(ctx, c, "GET", "/admin/keys", "X-Key: secret\r\n"), 200);
    T_EQ(t_ask(ctx, c, "GET", "/%61dmin/keys/7", "X-Key: secret\r\n"), 200);
    T_STR(t_body(c), "treasure of /admin/keys/:id");
    T_EQ(t_ask(ctx, c, "GET", "/t/x/bill", "X-Key: secret\r\n"), 200);
}

T_SITE(no_path_gets_around_a_middleware, guarded_routes)

/* --- what is refused --- */

static char said[4096];

/* What gee_listen of such an engine returns; said[] is what was said on stderr. */
static int listen_with(void (*routes)(gee_group *)) {
    gee_server *srv = NULL;
    gee_engine *e = gee_engine_new();
    FILE *file = tmpfile();
    int before = dup(STDERR_FILENO);
    fflush(stderr);
    dup2(fileno(file), STDERR_FILENO);
    routes(gee_root(e));
    int rc = gee_listen(e, "::1", 0, NULL, &srv);
    fflush(stderr);
    dup2(before, STDERR_FILENO);
    close(before);
    rewind(file);
    said[fread(said, 1, sizeof(said) - 1, file)] = '\0';
    fclose(file);
    if (rc == 0)
        gee_server_shutdown(srv);
    gee_engine_free(e);
    return rc;
}

static void two_of_a_kind(gee_group *root) {
    gee_group *api = gee_group_new(root, "/api");
    gee_GET(api, "/u/:id", treasure);
    gee_GET(root, "/api/u/:name", treasure);
}

static void no_such_method(gee_group *root) {
    gee_handle(root, "FETCH", "/", treasure, NULL);
}

static void lower_case(gee_group *root) {
    gee_handle(root, "get", "/", treasure, NULL);
}

static void refused_body(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
    T_RC(listen_with(two_of_a_kind), UV_EEXIST);
    T_STR(said, "gee: GET /api/u/:name: matches what GET /api/u/:id matches\n");
    T_RC(listen_with(no_such_method), UV_EINVAL);
    T_CHECK(strstr(said, "FETCH"));
    T_RC(listen_with(lower_case), UV_EINVAL);
}

static void a_conflict_names_both_routes(void **state) {
    (void)state;
    t_run(&(gee_config){.sim = true}, 0, refused_body, NULL);
}

/* --- what an engine owns --- */

static char freed[8];

static void note_freed(void *letter) {
    strncat(freed, letter, 1);
}

static void an_engine_frees_the_latest_first(void **state) {
    gee_engine *e = gee_engine_new();
    (void)state;
    assert_int_equal(gee_engine_own(e, "a", note_freed), 0);
    assert_int_equal(gee_engine_own(e, "b", note_freed), 0);
    assert_int_equal(gee_engine_own(e, "c", note_freed), 0);
    gee_engine_free(e);
    assert_string_equal(freed, "cba");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_method_has_its_route),
    cmocka_unit_test(allow_names_all_methods),
    cmocka_unit_test(no_route_and_no_method_are_the_programs),
    cmocka_unit_test(groups_nest_as_deep_as_one_likes),
    cmocka_unit_test(no_path_gets_around_a_middleware),
    cmocka_unit_test(a_conflict_names_both_routes),
    cmocka_unit_test(an_engine_frees_the_latest_first),
};

T_MAIN(tests)
