/* Contracts of the order of a chain: what is refused, in which words, and the list of routes. */
#include "t_site.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- the middlewares of these tests: who they are is all they do --- */

static void pass(gee_req *req) {
    gee_next(req);
}

static void authenticate(gee_req *req) {
    pass(req);
}

static void authorize(gee_req *req) {
    pass(req);
}

static void watch(gee_req *req) {
    pass(req);
}

static void page(gee_req *req) {
    gee_string(req, 200, "page");
}

static void removal(gee_req *req) {
    gee_string(req, 200, "removed");
}

static const gee_contract authentication = {.name = "login", .provides = "authentication"};
static const gee_contract authorization = {
    .name = "roles", .needs = "authentication", .provides = "authorization"};
static const gee_contract audit = {.name = "audit", .around = "authentication, authorization"};
static const gee_contract removes = {.name = "remove user", .needs = "authorization"};

static void declare_all(gee_engine *e) {
    gee_declare(e, authenticate, &authentication);
    gee_declare(e, authorize, &authorization);
    gee_declare(e, watch, &audit);
    gee_declare(e, removal, &removes);
}

/* --- what was said on stderr --- */

static char said[4096];
static FILE *said_file;
static int real_stderr;

static void listen_to_stderr(void) {
    said_file = tmpfile();
    real_stderr = dup(STDERR_FILENO);
    fflush(stderr);
    dup2(fileno(said_file), STDERR_FILENO);
}

static const char *heard(void) {
    fflush(stderr);
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    rewind(said_file);
    said[fread(said, 1, sizeof(said) - 1, said_file)] = '\0';
    fclose(said_file);
    return said;
}

/* --- refused, and the line that says why --- */

static int behind_one_another(gee_group *g, const gee_handler *fns) {
    for (; fns[0] && fns[1]; fns++)
        gee_use(g, fns[0], NULL);
    return gee_handle(g, "DELETE", "/users/:id", fns[0], NULL);
}

#define CHAIN(...)          \
    (const gee_handler[]) { \
        __VA_ARGS__, NULL   \
    }

static void expect(const gee_handler *fns, const char *line) {
    gee_engine *e = gee_engine_new();
    declare_all(e);
    listen_to_stderr();
    int rc = behind_one_another(gee_group_new(gee_root(e), "/admin"), fns);
    assert_string_equal(heard(), line);
    assert_int_equal(rc, *line ? UV_EINVAL : 0);
    gee_engine_free(e);
}

#define AT "gee: DELETE /admin/users/:id: "

static void a_broken_contract_is_named(void **state) {
    (void)state;
    expect(CHAIN(authenticate, authorize, page), "");
    expect(CHAIN(watch, authenticate, pass, authorize, removal), "");
    expect(CHAIN(authorize, authenticate, page),
           AT "roles needs authentication, which login provides further in\n");
    expect(CHAIN(authorize, page),
           AT "roles needs authentication, which nobody in its chain provides\n");
    expect(CHAIN(authenticate, removal),
           AT "remove user needs authorization, which nobody in its chain provides\n");
    expect(CHAIN(authenticate, watch, page),
           AT "audit has to be around authentication, which login provides further out\n");
    expect(CHAIN(authenticate, authorize, watch, page),
           AT "audit has to be around authentication, which login provides further out\n");
    /* What nobody provides cannot be seen, and need not be. */
    expect(CHAIN(watch, page), "");
    /* Twice: the first one is further in than nobody. */
    expect(CHAIN(authenticate, authorize, authenticate, page), "");
    expect(CHAIN(watch, authenticate, watch, page),
           AT "audit has to be around authentication, which login provides further out\n");
    expect(CHAIN(authenticate, watch, authenticate, page),
           AT "audit has to be around authentication, which login provides further out\n");
}

/* Nobody provides for itself. */
static void one_link_is_not_further_out_than_itself(void **state) {
    gee_engine *e = gee_engine_new();
    (void)state;
    gee_declare(e, pass, &(gee_contract){.name = "egg", .needs = "hen", .provides = "hen"});
    gee_declare(e, watch, &(gee_contract){.name = "both", .provides = "x", .around = "x"});
    gee_use(gee_root(e), watch, NULL);
    assert_int_equal(gee_GET(gee_root(e), "/fine", page), 0);
    listen_to_stderr();
    gee_use(gee_root(e), pass, NULL);
    int rc = gee_GET(gee_root(e), "/", page);
    assert_string_equal(heard(), "gee: GET /: egg needs hen, which nobody in its chain provides\n");
    assert_int_equal(rc, UV_EINVAL);
    gee_engine_free(e);
}

static void words_are_compared_whole(void **state) {
    static const struct {
        const char *provides, *needs;
        bool met;
    } of[] = {
        {"request id", "request id", true},
        {"a, b ,c", "c, b,a", true},
        {"  a  ", "a", true},
        {"auth", "authentication", false},
        {"authentication", "auth", false},
        {"request  id", "request id", false},
        {"A", "a", false},
        {"a b", "b", false},
        {"a, b", "a, d", false},
        {"über", "über", true},
        {"b", "b, b", true},
        {"a;b", "a", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(of) / sizeof(*of); i++) {
        gee_engine *e = gee_engine_new();
        gee_declare(e, pass, &(gee_contract){.name = "giver", .provides = of[i].provides});
        gee_declare(e, page, &(gee_contract){.name = "taker", .needs = of[i].needs});
        gee_use(gee_root(e), pass, NULL);
        listen_to_stderr();
        int rc = gee_GET(gee_root(e), "/", page);
        heard();
        if ((rc == 0) != of[i].met)
            fail_msg("\"%s\" for \"%s\": %s", of[i].provides, of[i].needs, t_err(rc));
        gee_engine_free(e);
    }
}

/* --- what cannot be declared --- */

static void refuses(int want, gee_handler fn, const gee_contract *c) {
    gee_engine *e = gee_engine_new();
    listen_to_stderr();
    gee_declare(e, authorize, &authorization);
    gee_handle(gee_root(e), "GET", "/pages/:n", page, NULL);
    int rc = gee_declare(e, fn, c);
    bool silent = *heard() == '\0';
    if (rc != want || silent != (want == 0))
        fail_msg("%s: %s, and it said \"%s\"", c && c->name ? c->name : "nobody", t_err(rc), said);
    gee_engine_free(e);
}

static void what_cannot_be_declared(void **state) {
    (void)state;
    refuses(UV_EINVAL, NULL, &authentication);
    refuses(UV_EINVAL, pass, NULL);
    refuses(UV_EINVAL, pass, &(gee_contract){.provides = "x"});
    refuses(UV_EINVAL, pass, &(gee_contract){.name = "empty", .provides = ""});
    refuses(UV_EINVAL, pass, &(gee_contract){.name = "empty", .needs = "a,,b"});
    refuses(UV_EINVAL, pass, &(gee_contract){.name = "empty", .around = "a, "});
    refuses(0, pass, &(gee_contract){.name = "a name alone"});
    refuses(0, authorize, &authorization); /* the same again */
    refuses(UV_EEXIST, authorize, &(gee_contract){.name = "roles", .needs = "authentication"});
    refuses(UV_EEXIST, authorize, &(gee_contract){.name = "r", .needs = "authentication"});
    refuses(UV_EALREADY, page, &removes); /* it has a route, which is not held against it */
}

/* What was declared is copied, whatever becomes of it. */
static void a_contract_is_copied(void **state) {
    char name[] = "name", needs[] = "needs";
    gee_contract c = {.name = name, .needs = needs};
    gee_engine *e = gee_engine_new();
    (void)state;
    assert_int_equal(gee_declare(e, page, &c), 0);
    memset(name, 'x', sizeof(name) - 1);
    memset(needs, 'x', sizeof(needs) - 1);
    listen_to_stderr();
    gee_GET(gee_root(e), "/", page);
    assert_string_equal(heard(),
                        "gee: GET /: name needs needs, which nobody in its chain provides\n");
    gee_engine_free(e);
}

/* --- through groups, and for those without a route --- */

static void is_refused_silently(gee_ctx *ctx, void *arg) {
    gee_server *srv;
    (void)ctx;
    listen_to_stderr();
    int rc = gee_listen(arg, "::1", 0, NULL, &srv);
    T_STR(heard(), "");
    T_RC(rc, UV_EINVAL);
}

static void groups_are_one_chain(void **state) {
    gee_engine *e = gee_engine_new();
    (void)state;
    declare_all(e);
    gee_group *api = gee_group_new(gee_root(e), "/api"), *in = gee_group_new(api, "/in");
    gee_use(in, authorize, NULL);
    gee_use(api, authenticate, NULL); /* later, but further out */
    assert_int_equal(gee_GET(in, "/users", removal), 0);
    gee_group *beside = gee_group_new(gee_root(e), "/beside");
    gee_use(beside, authorize, NULL);
    listen_to_stderr();
    assert_int_equal(gee_GET(beside, "/users", page), UV_EINVAL);
    assert_string_equal(heard(), "gee: GET /beside/users: roles needs authentication, which nobody "
                                 "in its chain provides\n");
    t_run(&(gee_config){.sim = true}, 0, is_refused_silently, e); /* it was said */
    gee_engine_free(e);
}

static void requests_without_a_route_pass_the_root(gee_ctx *ctx, void *arg) {
    gee_engine *e = gee_engine_new();
    (void)arg;
    declare_all(e);
    gee_use(gee_root(e), authorize, NULL); /* no route is registered */
    gee_server *srv = NULL;
    (void)ctx;
    listen_to_stderr();
    int rc = gee_listen(e, "::1", 0, NULL, &srv);
    heard();
    int again = gee_listen(e, "::1", 0, NULL, &srv);
    gee_engine_free(e);
    T_RC(rc, UV_EINVAL);
    T_RC(again, UV_EINVAL);
    T_STR(said, "gee: * (no route): roles needs authentication, which nobody in its chain "
                "provides\n");
}

static void the_root_is_held_against_its_contracts(void **state) {
    (void)state;
    t_sim(requests_without_a_route_pass_the_root, NULL);
}

/* --- those of the library --- */

static const gee_account accounts[] = {{"ada", "pw"}, {NULL, NULL}};

static void use_all(gee_group *g) {
    gee_use_metrics(g);
    gee_use_logger(g, &(gee_logger_options){.fd = -1});
    gee_use_recovery(g, NULL);
    gee_use_request_id(g, NULL);
    gee_use_cors(g, NULL);
    gee_use_rate_limit(g, NULL);
    gee_use_basic_auth(g, &(gee_basic_auth_options){.accounts = accounts});
    gee_use_body_limit(g, 100);
    gee_use_timeout(g, 1000);
    gee_use_gzip(g, NULL);
}

static void the_library_declares_its_own(void **state) {
    gee_engine *e = gee_engine_new();
    (void)state;
    gee_declare(e, page,
                &(gee_contract){.name = "page",
                                .needs = "access log, authentication, body limit, compression, "
                                         "CORS, deadline, metrics, rate limit, recovery, "
                                         "request id"});
    use_all(gee_root(e));
    use_all(gee_group_new(gee_root(e), "/again")); /* the same contract again is no error */
    assert_int_equal(gee_GET(gee_root(e), "/", page), 0);
    gee_engine_free(e);
    e = gee_engine_new();
    gee_use_basic_auth(gee_root(e), &(gee_basic_auth_options){.accounts = accounts});
    gee_use_cors(gee_root(e), NULL);
    listen_to_stderr();
    assert_int_equal(gee_GET(gee_root(e), "/", page), UV_EINVAL);
    assert_string_equal(heard(), "gee: GET /: CORS has to be around authentication, which basic "
                                 "auth provides further out\n");
    gee_engine_free(e);
}

/* --- the list --- */

static const char *chain_of(const gee_route_info *r) {
    static char names[512];
    int n = snprintf(names, sizeof(names), "%s %s:", r->method, r->pattern);
    for (size_t i = 0; i < r->n; i++)
        n += snprintf(names + n, sizeof(names) - (size_t)n, " %s", r->chain[i].name);
    return names;
}

static void the_routes_are_listed(void **state) {
    gee_engine *e = gee_engine_new();
    gee_route_info *routes;
    (void)state;
    assert_int_equal(gee_routes(e, &routes), 0);
    free(routes);
    declare_all(e);
    gee_group *g = gee_group_new(gee_root(e), "/g");
    gee_use(g, authenticate, "arg");
    gee_use(g, pass, NULL);
    gee_POST(g, "/:id", page);
    gee_GET(g, "/:id", page);
    gee_use(g, authorize, NULL);
    gee_DELETE(g, "/*rest", removal);
    gee_GET(gee_root(e), "/", page);
    assert_int_equal(gee_routes(e, &routes), 4);
    assert_string_equal(chain_of(&routes[0]), "GET /: page");
    assert_string_equal(chain_of(&routes[1]), "DELETE /g/*rest: login pass roles remove user");
    assert_string_equal(chain_of(&routes[2]), "GET /g/:id: login pass page");
    assert_string_equal(chain_of(&routes[3]), "POST /g/:id: login pass page");
    assert_true(routes[3].chain[0].fn == authenticate && routes[3].chain[1].fn == pass);
    assert_string_equal(routes[3].chain[0].arg, "arg");
    assert_string_equal(routes[3].chain[0].contract->provides, "authentication");
    assert_null(routes[3].chain[1].contract);
    free(routes);
    gee_engine_free(e);
}

static void debug_site(gee_group *root) {
    declare_all(gee_engine_of(root));
    gee_group *users = gee_group_new(root, "/users");
    gee_use(users, watch, NULL);
    gee_use(users, authenticate, NULL);
    gee_use(users, authorize, NULL);
    gee_DELETE(users, "/:id", removal);
    gee_debug_routes(root);
}

static void the_routes_have_a_page_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_get(ctx, c, "/debug/routes"), 200);
    T_CHECK(strstr(t_body(c), "GET /debug/routes\n    gee_routes_page\n"));
    T_CHECK(strstr(t_body(c), "DELETE /users/:id\n"
                              "    audit                around authentication, authorization\n"
                              "    login                provides authentication\n"
                              "    roles                needs authentication; provides "
                              "authorization\n"
                              "    remove user          needs authorization\n"));
    T_CHECK(strstr(t_body(c), "* (no route)\n    not_found\n* (no method)\n    not_allowed\n"));
    T_EQ(t_get(ctx, c, "/debug/routes?format=json"), 200);
    T_CHECK(strstr(t_body(c),
                   "{\"method\":\"DELETE\",\"pattern\":\"/users/:id\",\"chain\":[{\"name\":"
                   "\"audit\",\"contract\":true,\"around\":\"authentication, authorization\"},"));
    T_CHECK(strstr(t_body(c), "{\"name\":\"gee_routes_page\",\"contract\":false}"));
}

T_SITE(the_routes_have_a_page, debug_site)

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_broken_contract_is_named),
    cmocka_unit_test(one_link_is_not_further_out_than_itself),
    cmocka_unit_test(words_are_compared_whole),
    cmocka_unit_test(what_cannot_be_declared),
    cmocka_unit_test(a_contract_is_copied),
    cmocka_unit_test(groups_are_one_chain),
    cmocka_unit_test(the_root_is_held_against_its_contracts),
    cmocka_unit_test(the_library_declares_its_own),
    cmocka_unit_test(the_routes_are_listed),
    cmocka_unit_test(the_routes_have_a_page),
};

T_MAIN(tests)
