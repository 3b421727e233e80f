/* Uploads: parts of a request's body, in memory and in files, and what cannot be left over. */
#include "t_client.h"
#include "t_site.h"
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define TYPE "multipart/form-data; boundary=b"
#define PART(disposition, content) \
    "--b\r\nContent-Disposition: form-data; " disposition "\r\n\r\n" content "\r\n"
#define END "--b--\r\n"

static char dir[64]; /* of this program's files */
struct path {
    char s[128];
};

static struct path file_in_dir(const char *name) {
    struct path path;
    snprintf(path.s, sizeof(path.s), "%s/%s", dir, name);
    return path;
}
#define file_in(name) file_in_dir(name).s

/* How many entries it has. */
static int entries(void) {
    int n = 0;
    DIR *d = opendir(dir);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

static long long size_of(const char *name) {
    struct stat st;
    return stat(file_in(name), &st) == 0 && S_ISREG(st.st_mode) ? (long long)st.st_size : -1;
}

/* --- handlers --- */

static void answer_error(gee_req *req, int rc) {
    gee_string(req, gee_body_status(rc), "%s", t_err(rc));
}

/* Each part as "name(filename,type)=content;". */
static void list(gee_req *req) {
    gee_multipart *mp;
    const gee_part *part;
    const char *text;
    char out[1024] = "";
    size_t n, at = 0;
    int rc = gee_multipart_open(req, NULL, &mp);
    while (rc == 0 && (rc = gee_multipart_next(mp, &part)) > 0) {
        const char *safe = gee_part_basename(mp), *type = part->content_type;
        rc = gee_part_text(mp, 100, &text, &n);
        if (rc == 0 && part->size != n)
            t_fail(__FILE__, __LINE__, "size %llu", (unsigned long long)part->size);
        if (rc == 0 && at < sizeof(out) - 100)
            at += (size_t)snprintf(out + at, sizeof(out) - at, "%s(%s,%s)=%s;", part->name,
                                   safe ? safe : "-", type ? type : "-", text);
    }
    if (rc == 0 && (gee_multipart_next(mp, &part) != 0 || gee_part_read(mp, out, 1) != 0))
        t_fail(__FILE__, __LINE__, "there is something behind the end");
    if (rc < 0)
        answer_error(req, rc);
    else
        gee_string(req, 200, "%s", out);
}

static const gee_multipart_options few = {.parts = 3, .header_bytes = 100, .part_bytes = 50};

/* Counts parts, reads none. */
static void count(gee_req *req) {
    gee_multipart *mp, *again;
    const gee_part *part;
    int n = 0, rc = gee_multipart_open(req, gee_arg(req), &mp);
    while (rc == 0 && (rc = gee_multipart_next(mp, &part)) > 0) {
        rc = 0;
        n++;
    }
    if (rc == 0 && gee_multipart_open(req, NULL, &again) != UV_EALREADY)
        t_fail(__FILE__, __LINE__, "it was opened twice");
    if (rc < 0 && rc != UV_ENOTSUP && gee_multipart_next(mp, &part) != rc)
        t_fail(__FILE__, __LINE__, "%s was not final", t_err(rc));
    if (rc < 0)
        answer_error(req, rc);
    else
        gee_string(req, 200, "%d", n);
}

static atomic_int last_rc;
static atomic_llong save_limit;

static void save(gee_req *req) {
    gee_multipart *mp;
    const gee_part *part;
    int rc = gee_multipart_open(req, NULL, &mp), saved = 0;
    while (rc == 0 && (rc = gee_multipart_next(mp, &part)) > 0) {
        const char *name = gee_part_basename(mp);
        rc = name ? gee_part_save(mp, AT_FDCWD, file_in(name), (uint64_t)save_limit) : 0;
        saved += rc == 0 && name;
    }
    last_rc = rc;
    if (rc < 0)
        answer_error(req, rc);
    else
        gee_string(req, 200, "%d", saved);
}

/* A part that is refused leaves the others readable. */
static void save_some(gee_req *req) {
    gee_multipart *mp;
    const gee_part *part;
    char out[256] = "";
    size_t at = 0;
    int rc = gee_multipart_open(req, NULL, &mp), fd = open(dir, O_RDONLY | O_DIRECTORY);
    while (rc == 0 && (rc = gee_multipart_next(mp, &part)) > 0) {
        rc = gee_part_save(mp, fd, part->name, 4);
        at += (size_t)snprintf(out + at, sizeof(out) - at, "%s ", t_err(rc));
        rc = 0;
    }
    close(fd);
    gee_string(req, 200, "%s%s", out, t_err(rc));
}

static void form(gee_req *req) {
    const char *a = gee_form(req, "a"), *b = gee_form(req, "b"), *f = gee_form(req, "f");
    gee_string(req, 200, "%s %s %s", a ? a : "-", b ? b : "-", f ? f : "-");
}

static void routes(gee_group *r) {
    gee_POST(r, "/list", list);
    gee_POST(r, "/count", count);
    gee_handle(r, "POST", "/few", count, (void *)&few);
    gee_POST(r, "/save", save);
    gee_POST(r, "/some", save_some);
    gee_POST(r, "/form", form);
}

/* --- in memory --- */

static const struct {
    const char *body;
    int status;
    const char *out;
} lists[] = {
    {PART("name=a", "1") PART("name=b; filename=x", "2\r\n\r\n--c") END, 200,
     "a(-,-)=1;b(x,-)=2\r\n\r\n--c;"},
    {"--b\r\nContent-Type: a/b\r\nContent-Disposition: form-data; name=a\r\n\r\n" END, 200,
     "a(-,a/b)=;"},
    {END, 200, ""},
    {"no boundary at all", 400, "EPROTO"},
    {"", 400, "EPROTO"},
    {PART("name=a", "1"), 400, "EPROTO"}, /* no end */
    {PART("filename=a", "1") END, 400, "EPROTO"},
    {"--b\r\nContent-Disposition: form-data; name=a\r\n"
     "Content-Transfer-Encoding: base64\r\n\r\nQQ==\r\n" END,
     415, "ENOTSUP"},
    /* Names of files. */
    {PART("name=a; filename=\"../../etc/passwd\"", "") END, 200, "a(passwd,-)=;"},
    {PART("name=a; filename=\"C:\\\\dir\\evil.exe\"", "") END, 200, "a(evil.exe,-)=;"},
    {PART("name=a; filename=\"..\"", "") END, 200, "a(-,-)=;"},
    {PART("name=a; filename=\"a/..\"", "") END, 200, "a(-,-)=;"},
    {PART("name=a; filename=\"a/\"", "") END, 200, "a(-,-)=;"},
    {PART("name=a; filename=\".\"", "") END, 200, "a(-,-)=;"},
    {PART("name=a; filename=\"\"", "") END, 200, "a(-,-)=;"},
    {PART("name=a; filename=\"/.htaccess\"", "") END, 200, "a(_htaccess,-)=;"},
    {PART("name=a; filename=\"...\"", "") END, 200, "a(_..,-)=;"},
    {PART("name=a; filename=\"x\ty\x7f\x1b[1m\"", "") END, 200, "a(x_y__[1m,-)=;"},
    {PART("name=a; filename=\"\xc3\xa4%2f..\"", "") END, 200, "a(\xc3\xa4%2f..,-)=;"},
};

static void test_parts_of_a_body_body(gee_ctx *ctx, t_conn *c, int port) {
    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
        int status = t_post(ctx, c, "/list", TYPE, lists[i].body);
        if (status != lists[i].status || strcmp(t_body(c), lists[i].out) != 0)
            T_FAIL("%s: %d %s", lists[i].body, status, t_body(c));
    }
    /* A NUL in a name: it would end the name for the one and not for the other. */
    static const char nul[] = PART("name=a; filename=\"x\0.txt\"", "") END;
    char head[128];
    t_conn *d = t_dial(port, 0);
    snprintf(head, sizeof(head),
             "POST /list HTTP/1.1\r\nHost: t\r\nContent-Type: " TYPE
             "\r\nContent-Length: %zu\r\n\r\n",
             sizeof(nul) - 1);
    t_puts(ctx, d, head);
    t_send(ctx, d, nul, sizeof(nul) - 1);
    int status = t_response(ctx, d);
    t_close(ctx, d);
    T_EQ(status, 400);
}

T_SITE(test_parts_of_a_body, routes)

static void test_types_and_boundaries_body(gee_ctx *ctx, t_conn *c, int port) {
    static const struct {
        const char *type;
        int status;
    } types[] = {
        {"Multipart/Form-Data; boundary=\"b\"", 200},
        {"multipart/form-data ; charset=x; Boundary=b", 200},
        {"multipart/form-data", 400},
        {"multipart/form-data; boundary=", 400},
        {"multipart/form-data; boundary=\"b \"", 400},
        {"multipart/form-data; boundary=b; boundary=c", 400},
        {"multipart/form-data; boundary=12345678901234567890123456789012345678901234567890"
         "123456789012345678901",
         400},
        {"multipart/form-datax; boundary=b", 415},
        {"multipart/mixed; boundary=b", 415},
        {"application/x-www-form-urlencoded", 415},
    };
    (void)port;
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        int status = t_post(ctx, c, "/list", types[i].type, END);
        if (status != types[i].status)
            T_FAIL("%s: %d", types[i].type, status);
    }
    T_EQ(t_ask(ctx, c, "POST", "/list", "Content-Length: 0\r\n"), 415);
}

T_SITE(test_types_and_boundaries, routes)

static void test_limits_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
#define FIFTY "12345678901234567890123456789012345678901234567890"
    T_EQ(t_post(ctx, c, "/few", TYPE, PART("name=a", FIFTY) PART("name=a", FIFTY) END), 200);
    T_STR(t_body(c), "2");
    T_EQ(t_post(ctx, c, "/few", TYPE, PART("name=a", FIFTY "1") END), 413);
    T_EQ(t_post(ctx, c, "/few", TYPE, PART("name=a", "") PART("name=a", "") PART("name=a", "") END),
         200);
    T_EQ(t_post(ctx, c, "/few", TYPE,
                PART("name=a", "") PART("name=a", "") PART("name=a", "") PART("name=a", "")),
         413);
    T_EQ(t_post(ctx, c, "/few", TYPE, PART("name=" FIFTY, "") END), 200);
    T_EQ(t_post(ctx, c, "/few", TYPE, PART("name=" FIFTY FIFTY, "") END), 413);
    T_EQ(t_post(ctx, c, "/list", TYPE, PART("name=a", FIFTY FIFTY) END), 200);
    T_EQ(t_post(ctx, c, "/list", TYPE, PART("name=a", FIFTY FIFTY "1") END), 413);
}

T_SITE(test_limits, routes)

static void many_parts_body(gee_ctx *ctx, t_conn *c, int port) {
    static const char part[] = PART("name=a", "");
    enum { PARTS = 100000 };
    char *body = malloc(PARTS * sizeof(part) + sizeof(END)), *at = body;
    gee_census now;
    (void)port;
    for (int i = 0; i < 1000; i++)
        at = stpcpy(at, part);
    strcpy(at, END);
    int fits = t_post(ctx, c, "/count", TYPE, body);
    for (int i = 1000; i < PARTS; i++)
        at = stpcpy(at, part);
    strcpy(at, END);
    int over = t_post(ctx, c, "/count", TYPE, body);
    free(body);
    T_EQ(fits, 200);
    T_EQ(over, 413);
    gee_census_take(&now);
    T_CHECK(now.bytes < 512 * 1024);
}

static void test_a_hundred_thousand_parts(void **state) {
    (void)state;
    t_site_once(&(t_site){routes, many_parts_body, NULL, 0});
}

/* A byte at a time, with pauses. */
static void test_a_slow_client_body(gee_ctx *ctx, t_conn *c, int port) {
    static const char body[] = PART("name=a", "1\r\n--") PART("name=f; filename=x", "22") END;
    char head[128];
    (void)port;
    snprintf(head, sizeof(head),
             "POST /list HTTP/1.1\r\nHost: t\r\nContent-Type: " TYPE
             "\r\nContent-Length: %zu\r\n\r\n",
             sizeof(body) - 1);
    t_puts(ctx, c, head);
    for (size_t i = 0; i < sizeof(body) - 1; i++) {
        gee_sleep(ctx, 10);
        T_RC(t_send(ctx, c, body + i, 1), 0);
    }
    T_EQ(t_response(ctx, c), 200);
    T_STR(t_body(c), "a(-,-)=1\r\n--;f(x,-)=22;");
}

T_SITE(test_a_slow_client, routes)

static void test_a_form_has_its_fields_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_post(ctx, c, "/form", TYPE,
                PART("name=a", "1") PART("name=f; filename=x", "file") PART("name=b", "")
                    PART("name=a", "2") END),
         200);
    T_STR(t_body(c), "1  -");
    T_EQ(t_post(ctx, c, "/form", TYPE, PART("name=a", "1")), 200); /* half a form */
    T_STR(t_body(c), "- - -");
    T_EQ(t_post(ctx, c, "/form", "application/x-www-form-urlencoded", "a=1&b=2"), 200);
    T_STR(t_body(c), "1 2 -");
    /* More than the fields may have together, and as much in a file. */
    static const char field[] = PART("name=a", "1") "--b\r\nContent-Disposition: form-data; name=b",
                      mark[] = "; filename=f";
    enum { MIB = 1024 * 1024 };
    char *body = malloc(2 * MIB);
    for (int file = 0; file < 2; file++) {
        char *at = stpcpy(stpcpy(stpcpy(body, field), file ? mark : ""), "\r\n\r\n");
        memset(at, 'x', MIB);
        strcpy(at + MIB, "\r\n" END);
        if (t_post(ctx, c, "/form", TYPE, body) != 200 ||
            strcmp(t_body(c), file ? "1 - -" : "- - -") != 0)
            t_fail(__FILE__, __LINE__, "file %d: %.20s", file, t_body(c));
    }
    free(body);
}

T_SITE(test_a_form_has_its_fields, routes)

/* --- in files --- */

static void test_saving_body(gee_ctx *ctx, t_conn *c, int port) {
    struct stat st;
    (void)port;
    save_limit = 0;
    T_EQ(t_post(ctx, c, "/save", TYPE, PART("name=f; filename=x", "12345") END), 200);
    T_EQ(size_of("x"), 5);
    T_EQ(stat(file_in("x"), &st), 0);
    T_EQ(st.st_nlink, 1);
    T_EQ(st.st_mode & 0111, 0);
    T_EQ(entries(), 1);
    /* What is there stays as it is. */
    T_EQ(t_post(ctx, c, "/save", TYPE, PART("name=f; filename=x", "other") END), 500);
    T_STR(t_body(c), "EEXIST");
    T_EQ(symlink("/nowhere/target", file_in("link")), 0);
    T_EQ(t_post(ctx, c, "/save", TYPE, PART("name=f; filename=link", "other") END), 500);
    T_STR(t_body(c), "EEXIST");
    T_EQ(t_post(ctx, c, "/save", TYPE,
                PART("name=f; filename=y", "") PART("name=f; filename=\"../x\"", "1") END),
         500);
    T_EQ(size_of("y"), 0);
    T_EQ(size_of("x"), 5);
    T_EQ(entries(), 3);
    /* An end that does not come: nothing of the last part, and all of the one before. */
    T_EQ(t_post(ctx, c, "/save", TYPE,
                PART("name=f; filename=whole", "1") PART("name=f; filename=half", "1")),
         400);
    T_EQ(size_of("whole"), 1);
    T_EQ(size_of("half"), -1);
    T_EQ(entries(), 4);
    const char *const mine[] = {"x", "y", "link", "whole"};
    for (int i = 0; i < 4; i++)
        unlink(file_in(mine[i]));
    T_EQ(entries(), 0);
}

T_SITE(test_saving, routes)

static void test_what_cannot_be_saved_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_post(ctx, c, "/some", TYPE,
                PART("name=one", "1234") PART("name=two", "12345") PART("name=three", "")
                    PART("name=no/where", "1") PART("name=..", "1") PART("name=\"\"", "1") PART(
                        "name=one/x", "1") PART("name=\"/.\"", "1") PART("name=four", "4") END),
         200);
    T_STR(t_body(c), "0 E2BIG 0 ENOENT EINVAL EINVAL ENOTDIR EINVAL 0 0");
    T_EQ(size_of("one"), 4);
    T_EQ(size_of("three"), 0);
    T_EQ(size_of("four"), 1);
    T_EQ(entries(), 3);
    unlink(file_in("one"));
    unlink(file_in("three"));
    unlink(file_in("four"));
}

T_SITE(test_what_cannot_be_saved, routes)

/* Half a file has come, in each of the ways in which the rest does not. */
static void test_a_client_that_leaves_takes_its_file_along_body(gee_ctx *ctx, t_conn *c, int port) {
    static const char half[] = "POST /save HTTP/1.1\r\nHost: t\r\nContent-Type: " TYPE
                               "\r\nContent-Length: 1000000\r\n\r\n"
                               "--b\r\nContent-Disposition: form-data; name=f; filename=x\r\n\r\n";
    static char much[200 * 1024];
    (void)c;
    for (int way = 0; way < 4; way++) {
        t_conn *d = t_dial(port, 0);
        last_rc = 0;
        t_puts(ctx, d, half);
        t_send(ctx, d, much, sizeof(much));
        gee_sleep(ctx, 10);
        int before = entries();
        if (way == 0)
            t_reset(ctx, d);
        if (way == 1)
            t_half_close(d);
        if (way == 2)
            gee_sleep(ctx, 31000); /* body_ms */
        if (way == 3)
            t_close(ctx, d);
        gee_sleep(ctx, 10);
        int after = entries();
        if (way == 1 || way == 2)
            t_close(ctx, d);
        T_EQ(before, 1); /* the temporary name */
        T_EQ(after, 0);
        T_CHECK(last_rc < 0);
        if (way == 2)
            T_RC(last_rc, UV_ETIMEDOUT);
    }
}

T_SITE(test_a_client_that_leaves_takes_its_file_along, routes)

static void test_a_file_beyond_a_limit_is_gone_body(gee_ctx *ctx, t_conn *c, int port) {
    enum { LONG = 300 * 1024 };
    static char body[LONG + 200];
    struct rlimit was, small;
    (void)port;
    memset(body, 'x', sizeof(body));
    memcpy(body, PART("name=f; filename=x", ""), strlen(PART("name=f; filename=x", "")) - 2);
    strcpy(body + LONG, "\r\n" END);
    save_limit = 200 * 1024;
    int over = t_post(ctx, c, "/save", TYPE, body);
    save_limit = 0;
    T_EQ(over, 413);
    T_EQ(entries(), 0);
    /* The disk is full: for this process it is, after 100 KB. */
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &was);
    small = was;
    small.rlim_cur = 100 * 1000;
    setrlimit(RLIMIT_FSIZE, &small);
    t_conn *d = t_dial(port, 0);
    int full = t_post(ctx, d, "/save", TYPE, body);
    char said[32];
    snprintf(said, sizeof(said), "%s", full > 0 ? t_body(d) : "");
    t_close(ctx, d);
    setrlimit(RLIMIT_FSIZE, &was);
    T_EQ(full, 500);
    T_STR(said, "EFBIG");
    T_EQ(entries(), 0);
}

T_SITE(test_a_file_beyond_a_limit_is_gone, routes)

/* --- the directory --- */

static int make_dir(void **state) {
    (void)state;
    strcpy(dir, "/tmp/gee-upload-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state) {
    (void)state;
    return rmdir(dir);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_parts_of_a_body),
    cmocka_unit_test(test_types_and_boundaries),
    cmocka_unit_test(test_limits),
    cmocka_unit_test(test_a_hundred_thousand_parts),
    cmocka_unit_test(test_a_slow_client),
    cmocka_unit_test(test_a_form_has_its_fields),
    cmocka_unit_test(test_saving),
    cmocka_unit_test(test_what_cannot_be_saved),
    cmocka_unit_test(test_a_client_that_leaves_takes_its_file_along),
    cmocka_unit_test(test_a_file_beyond_a_limit_is_gone),
};

int main(int argc, char **argv) {
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
