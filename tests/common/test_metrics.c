/*
 * /metrics: every line is what the exposition format 0.0.4 allows, and the figures are
 * those of the requests that were made.
 */
#include "base/buf.h"
#include "gee/metrics.h"
#include "t_client.h"
#include "t_site.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the format --- */

/* What is known while the lines go by: the family, and all series so far. */
struct format {
    char family[128], type[32], error[512];
    char *series[4096];
    size_t nseries, samples;
    double last_bucket, inf;
    char bucket_of[256];
};

static bool wrong(struct format *f, const char *why, const char *line) {
    if (*f->error == '\0')
        snprintf(f->error, sizeof(f->error), "%s: %.*s", why, (int)strcspn(line, "\n"), line);
    return false;
}

static size_t name_len(const char *s) {
    size_t n = 0;
    while (isalpha((unsigned char)s[n]) || s[n] == '_' || s[n] == ':' ||
           (n > 0 && isdigit((unsigned char)s[n])))
        n++;
    return n;
}

/* {a="b",c="d"}; its length, or 0. */
static size_t labels_len(const char *s) {
    const char *start = s;
    do {
        size_t n = name_len(++s);
        s += n;
        if (n == 0 || *s++ != '=' || *s++ != '"')
            return 0;
        for (; *s != '"'; s++) {
            if (*s == '\\' && strchr("\\\"n", s[1]) && s[1])
                s++;
            else if (*s == '\\' || *s == '\n' || *s == '\0')
                return 0;
        }
        s++;
    } while (*s == ',');
    return *s == '}' ? (size_t)(s + 1 - start) : 0;
}

static bool comment(struct format *f, const char *line) {
    char word[8], name[128], type[32] = "";
    if (sscanf(line, "# %7s %127s %31s", word, name, type) < 2)
        return wrong(f, "a comment that says nothing", line);
    if (strcmp(word, "HELP") == 0)
        return true;
    if (strcmp(word, "TYPE") != 0 || !strstr("counter gauge histogram", type))
        return wrong(f, "not a comment of this format", line);
    for (size_t i = 0; i < f->nseries; i++)
        if (strncmp(f->series[i], name, strlen(name)) == 0 && f->series[i][strlen(name)] == '{')
            return wrong(f, "a family that comes twice", line);
    snprintf(f->family, sizeof(f->family), "%s", name);
    snprintf(f->type, sizeof(f->type), "%s", type);
    return true;
}

static bool of_family(const struct format *f, const char *name, size_t n) {
    size_t m = strlen(f->family);
    if (n < m || strncmp(name, f->family, m) != 0)
        return false;
    if (strcmp(f->type, "histogram") != 0)
        return n == m;
    return strncmp(name + m, "_bucket", n - m) == 0 || strncmp(name + m, "_sum", n - m) == 0 ||
           strncmp(name + m, "_count", n - m) == 0;
}

/* Buckets grow, end with +Inf, and the count is that of the last. */
static bool histogram(struct format *f, const char *series, double value) {
    if (strstr(series, "_count{"))
        return value == f->inf || wrong(f, "the count is not that of +Inf", series);
    const char *le = strstr(series, ",le=\"");
    if (le == NULL)
        return true;
    size_t n = (size_t)(le - series);
    bool same = strncmp(f->bucket_of, series, n) == 0 && f->bucket_of[n] == '\0';
    if (same && value < f->last_bucket)
        return wrong(f, "a bucket that is less than the one before", series);
    snprintf(f->bucket_of, sizeof(f->bucket_of), "%.*s", (int)n, series);
    f->last_bucket = value;
    f->inf = strncmp(le, ",le=\"+Inf\"", 10) == 0 ? value : -1;
    return true;
}

static bool sample(struct format *f, const char *line) {
    size_t n = name_len(line), labels = line[n] == '{' ? labels_len(line + n) : 0;
    char *end;
    if (n == 0 || (line[n] == '{' && labels == 0) || line[n + labels] != ' ')
        return wrong(f, "not a sample", line);
    double value = strtod(line + n + labels + 1, &end);
    if (end == line + n + labels + 1 || *end != '\n' || value < 0)
        return wrong(f, "not a value", line);
    if (!of_family(f, line, n))
        return wrong(f, "not of the family that was announced", line);
    char *series = strndup(line, n + labels);
    for (size_t i = 0; i < f->nseries; i++)
        if (strcmp(f->series[i], series) == 0)
            wrong(f, "a series that comes twice", line);
    if (f->nseries == 4096)
        return wrong(f, "too many series", line);
    f->series[f->nseries++] = series;
    f->samples++;
    return strcmp(f->type, "histogram") != 0 || histogram(f, series, value);
}

/* "" or what is wrong first. The text ends with a line end (it must). */
static const char *check_format(struct format *f, const char *text) {
    memset(f, 0, sizeof(*f));
    for (const char *line = text; *line;) {
        const char *end = strchr(line, '\n');
        if (end == NULL) {
            wrong(f, "no line end", line);
            break;
        }
        if (!(*line == '#' ? comment(f, line) : sample(f, line)))
            break;
        line = end + 1;
    }
    for (size_t i = 0; i < f->nseries; i++)
        free(f->series[i]);
    f->nseries = 0;
    return f->error;
}

/* The value of a series; -1: it is not there. */
static double value_of(const char *text, const char *series) {
    size_t n = strlen(series);
    for (const char *s = text; (s = strstr(s, series)) != NULL; s++)
        if ((s == text || s[-1] == '\n') && s[n] == ' ')
            return strtod(s + n + 1, NULL);
    return -1;
}

#define T_VALUE(text, series, want)                                   \
    do {                                                              \
        double got_ = value_of(text, series);                         \
        if (got_ != (want))                                           \
            T_FAIL("%s is %g, not %g", series, got_, (double)(want)); \
    } while (0)

static void test_the_checker_itself_sees_what_is_wrong(void **state) {
    static const char *const bad[] = {
        "x 1\n",
        "# TYPE x counter\nx 1",
        "# TYPE x counter\nx\n",
        "# TYPE x counter\nx one\n",
        "# TYPE x counter\ny 1\n",
        "# TYPE x counter\nx{a=\"b\\c\"} 1\n",
        "# TYPE x counter\nx{a=\"b} 1\n",
        "# TYPE x counter\nx{a=b} 1\n",
        "# TYPE x counter\nx{1a=\"b\"} 1\n",
        "# TYPE x counter\nx{a=\"b\"} 1\nx{a=\"b\"} 2\n",
        "# TYPE h histogram\nh_bucket{r=\"a\",le=\"1\"} 2\nh_bucket{r=\"a\",le=\"+Inf\"} 1\n",
        "# TYPE h histogram\nh_bucket{r=\"a\",le=\"+Inf\"} 1\nh_count{r=\"a\"} 2\n",
    };
    static struct format f;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (*check_format(&f, bad[i]) == '\0')
            fail_msg("nothing is said against %s", bad[i]);
    assert_string_equal(
        check_format(&f, "# HELP x y\n# TYPE x counter\nx{a=\"b\\\"\\\\\\n\",c=\"\"} 1.5\n"), "");
}

/* --- a site --- */

static void item(gee_req *req) {
    gee_string(req, 200, "12345");
}

static void create(gee_req *req) {
    gee_string(req, 201, "123");
}

static void slow(gee_req *req) {
    gee_sleep(gee_req_ctx(req), 300);
    gee_string(req, 200, "slow");
}

static void never(gee_req *req) {
    gee_ctx_wait(gee_req_ctx(req));
}

static void routes(gee_group *root) {
    gee_use_metrics(root);
    gee_metrics_routes(root);
    gee_GET(root, "/items/:id", item);
    gee_POST(root, "/items/:id", create);
    gee_handle(root, "PROPFIND", "/items/:id", item, NULL);
    gee_GET(root, "/slow", slow);
    gee_GET(root, "/never", never);
    gee_GET(root, "/a\"b\\c\nd", item);
    gee_group *twice = gee_group_new(root, "/twice");
    gee_use_metrics(twice);
    gee_GET(twice, "/x", item);
}

static struct format format;

static void test_the_figures_are_those_of_the_requests_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    for (int i = 0; i < 3; i++)
        t_get(ctx, c, i ? "/items/7" : "/items/8?x=1");
    t_post(ctx, c, "/items/7", "text/plain", "x");
    t_ask(ctx, c, "PROPFIND", "/items/1", "");
    t_get(ctx, c, "/slow");
    t_get(ctx, c, "/twice/x");
    t_get(ctx, c, "/a%22b%5Cc%0Ad");
    for (int i = 0; i < 5; i++) {
        char path[32];
        snprintf(path, sizeof(path), "/scan/%d", i);
        t_get(ctx, c, path);
    }
    t_ask(ctx, c, "LOCK", "/items/1", "");
    t_ask(ctx, c, "DELETE", "/slow", "");
    T_EQ(t_get(ctx, c, "/metrics"), 200);
    T_STR(t_field(c, "Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
    const char *m = t_body(c);
    T_STR(check_format(&format, m), "");
    T_CHECK(format.samples > 100);
    T_VALUE(m, "http_requests_total{route=\"/items/:id\",method=\"GET\",code=\"200\"}", 3);
    T_VALUE(m, "http_requests_total{route=\"/items/:id\",method=\"POST\",code=\"201\"}", 1);
    T_VALUE(m, "http_requests_total{route=\"/items/:id\",method=\"PROPFIND\",code=\"200\"}", 1);
    T_VALUE(m, "http_requests_total{route=\"/twice/x\",method=\"GET\",code=\"200\"}", 1);
    T_VALUE(m, "http_requests_total{route=\"/a\\\"b\\\\c\\nd\",method=\"GET\",code=\"200\"}", 1);
    T_VALUE(m, "http_requests_total{route=\"none\",method=\"GET\",code=\"404\"}", 5);
    T_VALUE(m, "http_requests_total{route=\"none\",method=\"other\",code=\"405\"}", 1);
    T_VALUE(m, "http_requests_total{route=\"none\",method=\"DELETE\",code=\"405\"}", 1);
    T_CHECK(strstr(m, "/scan") == NULL && strstr(m, "LOCK") == NULL);
    /* GET, POST and PROPFIND of one pattern are one histogram. */
    T_VALUE(m, "http_request_duration_seconds_count{route=\"/items/:id\"}", 5);
    T_VALUE(m, "http_response_body_bytes_total{route=\"/items/:id\"}", 3 * 5 + 3 + 5);
    T_VALUE(m, "http_request_duration_seconds_bucket{route=\"/slow\",le=\"0.250000000\"}", 0);
    T_VALUE(m, "http_request_duration_seconds_bucket{route=\"/slow\",le=\"0.500000000\"}", 1);
    T_VALUE(m, "http_request_duration_seconds_bucket{route=\"/slow\",le=\"+Inf\"}", 1);
    T_VALUE(m, "http_request_duration_seconds_sum{route=\"/slow\"}", 0.3);
    T_VALUE(m, "http_requests_in_flight", 1); /* this one */
    T_VALUE(m, "gee_requests", 1);
    T_VALUE(m, "gee_request_copies", 0);
    T_VALUE(m, "gee_connections", 1);
    T_VALUE(m, "gee_workers", 1);
    T_VALUE(m, "gee_tasks{state=\"running\",reason=\"\"}", 1);
    T_VALUE(m, "gee_listeners_paused", 0);
    T_CHECK(value_of(m, "process_resident_memory_bytes") > 100000);
    T_CHECK(value_of(m, "process_start_time_seconds") > 1.6e9);
    T_CHECK(value_of(m, "process_open_fds") > 2);
}

T_SITE(test_the_figures_are_those_of_the_requests, routes)

/* A client that leaves, one that is malformed, and those that wait. */
static void test_what_went_wrong_is_counted_too_body(gee_ctx *ctx, t_conn *c, int port) {
    t_conn *gone = t_dial(port, 0), *bad = t_dial(port, 0), *waits = t_dial(port, 0);
    T_EQ(t_get(ctx, c, "/metrics"), 200);
    double rejected = value_of(t_body(c), "http_requests_rejected_total");
    t_puts(ctx, gone, "GET /never HTTP/1.1\r\nHost: t\r\n\r\n");
    t_puts(ctx, waits, "GET /never HTTP/1.1\r\nHost: t\r\n\r\n");
    t_puts(ctx, bad, "GET /x\x01 HTTP/9\r\n\r\n");
    gee_sleep(ctx, 10);
    t_reset(ctx, gone);
    t_close(ctx, bad);
    gee_sleep(ctx, 10);
    T_EQ(t_get(ctx, c, "/metrics"), 200);
    const char *m = t_body(c);
    T_STR(check_format(&format, m), "");
    T_VALUE(m, "http_requests_total{route=\"/never\",method=\"GET\",code=\"none\"}", 1);
    T_VALUE(m, "http_requests_in_flight", 2);
    T_VALUE(m, "http_requests_rejected_total", rejected + 1);
    T_VALUE(m, "gee_tasks{state=\"waiting\",reason=\"ctx done\"}", 1);
    t_close(ctx, waits);
}

T_SITE(test_what_went_wrong_is_counted_too, routes)

/* Without the middleware there are the figures of the process only. */
static void bare_routes(gee_group *root) {
    gee_metrics_routes(root);
}

static void bare_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_get(ctx, c, "/metrics"), 200);
    T_STR(check_format(&format, t_body(c)), "");
    T_CHECK(strstr(t_body(c), "http_requests_total{") == NULL);
    T_VALUE(t_body(c), "http_requests_in_flight", 0);
}

T_SITE(bare, bare_routes)

static void test_without_the_middleware_there_is_the_process(void **state) {
    bare(state);
}

/* --- a program's own --- */

static _Atomic int jobs_rc;

static int jobs(gee_metrics_out *out, void *arg) {
    static const uint64_t bounds[] = {1000000, 2000000}, counts[] = {3, 0, 1};
    const gee_label labels[] = {{"queue", "a\"b\\c\nd"}, {"kind", ""}};
    const gee_histogram h = {bounds, counts, 2, 1500000000};
    gee_metrics_family(out, GEE_GAUGE, "jobs_waiting", "In the \"queue\",\nby \\ kind.");
    gee_metrics_value(out, labels, 2, *(int *)arg);
    gee_metrics_family(out, GEE_COUNTER, "jobs_seconds_total", "Spent.");
    gee_metrics_ns(out, NULL, 0, 2500000000);
    gee_metrics_family(out, GEE_HISTOGRAM, "jobs_seconds", "Each.");
    gee_metrics_histogram(out, NULL, 0, &h);
    return jobs_rc;
}

static int wrong_names(gee_metrics_out *out, void *arg) {
    static const char *const names[] = {"", "1x", "x y", "x-y", "x\n# TYPE y", NULL};
    _Atomic int *n = arg;
    for (size_t i = 0; i < 6; i++) {
        *n += gee_metrics_family(out, GEE_GAUGE, names[i], "Wrong.") == UV_EINVAL;
        *n += gee_metrics_value(out, &(gee_label){names[i], "x"}, 1, 1) == UV_EINVAL;
    }
    *n += gee_metrics_value(out, &(gee_label){"x", NULL}, 1, 1) == UV_EINVAL;
    *n += gee_metrics_value(out, &(gee_label){"x:y", ""}, 1, 1) == UV_EINVAL;
    return 0;
}

static int waiting = 7;
static _Atomic int refused;

static void own_routes(gee_group *root) {
    jobs_rc = refused = 0;
    gee_metrics_routes(root);
    gee_metrics_source(gee_engine_of(root), jobs, &waiting);
    gee_metrics_source(gee_engine_of(root), wrong_names, &refused);
}

static void test_a_program_has_figures_of_its_own_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_get(ctx, c, "/metrics"), 200);
    const char *m = t_body(c);
    T_STR(check_format(&format, m), "");
    T_VALUE(m, "jobs_waiting{queue=\"a\\\"b\\\\c\\nd\",kind=\"\"}", 7);
    T_VALUE(m, "jobs_seconds_total", 2.5);
    T_VALUE(m, "jobs_seconds_bucket{le=\"0.002000000\"}", 3);
    T_VALUE(m, "jobs_seconds_count", 4);
    T_VALUE(m, "jobs_seconds_sum", 1.5);
    T_CHECK(strstr(m, "# HELP jobs_waiting In the \"queue\",\\nby \\\\ kind.\n") != NULL);
    T_EQ(refused, 14);
    jobs_rc = UV_EIO;
    T_EQ(t_get(ctx, c, "/metrics"), 503);
}

T_SITE(test_a_program_has_figures_of_its_own, own_routes)

/* Workers count for themselves, and are read while they do. */
static void crowd_body(gee_ctx *ctx, t_conn *none, int port) {
    static char out[65536];
    (void)none;
    int code =
        t_shell(ctx, out, sizeof(out),
                T_CURL "-Z --parallel-max 16 -o /dev/null 'http://127.0.0.1:%d/items/[1-120]' "
                       "-o /dev/null 'http://127.0.0.1:%d/metrics?[1-20]' 2>/dev/null",
                port, port);
    T_EQ(code, 0);
    T_EQ(t_shell(ctx, out, sizeof(out), T_CURL "http://127.0.0.1:%d/metrics", port), 0);
    T_STR(check_format(&format, out), "");
    T_VALUE(out, "http_requests_total{route=\"/items/:id\",method=\"GET\",code=\"200\"}", 120);
    T_VALUE(out, "http_requests_total{route=\"/metrics\",method=\"GET\",code=\"200\"}", 20);
    T_VALUE(out, "http_request_duration_seconds_count{route=\"/items/:id\"}", 120);
    T_VALUE(out, "http_requests_in_flight", 1);
    T_VALUE(out, "gee_workers", 3);
}

static void test_three_workers_are_one_server(void **state) {
    (void)state;
    t_site_real(3, &(t_site){routes, crowd_body, NULL, 0});
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_the_checker_itself_sees_what_is_wrong),
    cmocka_unit_test(test_the_figures_are_those_of_the_requests),
    cmocka_unit_test(test_what_went_wrong_is_counted_too),
    cmocka_unit_test(test_without_the_middleware_there_is_the_process),
    cmocka_unit_test(test_a_program_has_figures_of_its_own),
    cmocka_unit_test(test_three_workers_are_one_server),
};

T_MAIN(tests)
