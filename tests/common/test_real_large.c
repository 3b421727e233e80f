/* Real sockets: what is large, and what is held of it. */
#include "base/tools.h"
#include "t_client.h"
#include "t_site.h"
#include <curl/curl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if GEE_POOLS
enum { MIB = 100, SETTLE_MS = 2000 };
#else
enum { MIB = 10, SETTLE_MS = 10000 }; /* under a tool that makes everything slow */
#endif

enum { BOUND = 1024 * 1024 }; /* of what is held meanwhile */

/* --- what is held while something goes on --- */

static atomic_llong most; /* of bytes */

static void look(void) {
    gee_census now;
    gee_census_take(&now);
    long long before = atomic_load(&most);
    while (now.bytes > before && !atomic_compare_exchange_weak(&most, &before, now.bytes))
        ;
}

struct watch {
    atomic_bool stop;
    gee_waitgroup wg;
    gee_census base;
};

static void watching(gee_ctx *ctx, void *arg) {
    struct watch *w = arg;
    while (!atomic_load(&w->stop)) {
        look();
        gee_sleep(ctx, 10);
    }
    gee_waitgroup_done(&w->wg);
}

static void watch_start(gee_ctx *ctx, struct watch *w) {
    gee_census_take(&w->base);
    atomic_store(&most, 0);
    gee_waitgroup_add(&w->wg, 1);
    gee_go(ctx, watching, w);
}

/* How many bytes more than before were held at most. */
static long long watch_stop(struct watch *w) {
    atomic_store(&w->stop, true);
    gee_waitgroup_wait(NULL, &w->wg);
    return atomic_load(&most) - w->base.bytes;
}

/* --- handlers --- */

static void upload(gee_req *req) {
    char buf[16 * 1024];
    long long total = 0, next = 0;
    ssize_t n;
    while ((n = gee_body_read(req, buf, sizeof(buf))) > 0) {
        total += n;
        if (total >= next) {
            look();
            next += BOUND;
        }
    }
    gee_string(req, n < 0 ? gee_body_status((int)n) : 200, "%lld", total);
}

static const char block[64 * 1024];
static atomic_llong sent;
static atomic_int sent_rc;

static void download(gee_req *req) {
    long long left = (long long)MIB * BOUND;
    int rc = 0;
    atomic_store(&sent, 0);
    for (; rc == 0 && left > 0; left -= (long long)sizeof(block)) {
        rc = gee_write(req, block, sizeof(block));
        atomic_fetch_add(&sent, (long long)sizeof(block));
    }
    atomic_store(&sent_rc, rc);
}

static void routes(gee_group *r) {
    gee_PUT(r, "/upload", upload);
    gee_POST(r, "/upload", upload);
    gee_GET(r, "/download", download);
}

static const gee_limits large = {.body_bytes = (uint64_t)200 * BOUND};

static void site(int workers, void (*body)(gee_ctx *ctx, t_conn *c, int port)) {
    t_site_real(workers, &(t_site){routes, body, &large, 0});
}

/* --- uploads, by chunks --- */

static void pipe_upload_body(gee_ctx *ctx, t_conn *c, int port) {
    struct watch w = {.stop = false};
    char out[64], want[64];
    (void)c;
    watch_start(ctx, &w);
    int status = t_shell(
        ctx, out, sizeof(out),
        "head -c %dM /dev/zero | " T_CURL "--http1.1 -T - http://127.0.0.1:%d/upload", MIB, port);
    long long held = watch_stop(&w);
    snprintf(want, sizeof(want), "%lld", (long long)MIB * BOUND);
    T_EQ(status, 0);
    T_STR(out, want);
    T_CHECK(held < BOUND);
}

static void test_pipe_upload(void **state) {
    (void)state;
    site(1, pipe_upload_body);
}

struct post {
    int port;
    long long left;
    long status;
    char out[64];
};

static size_t give(char *to, size_t size, size_t n, void *arg) {
    struct post *p = arg;
    n *= size;
    if ((long long)n > p->left)
        n = (size_t)p->left;
    memset(to, 'x', n);
    p->left -= (long long)n;
    return n;
}

static size_t keep(char *data, size_t size, size_t n, void *arg) {
    struct post *p = arg;
    size_t had = strlen(p->out);
    snprintf(p->out + had, sizeof(p->out) - had, "%.*s", (int)(size * n), data);
    return size * n;
}

static CURL *handle(int port, const char *target) {
    char url[64];
    CURL *curl = curl_easy_init();
    snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", port, target);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 20L);
    return curl;
}

static void posts(void *arg) {
    struct post *p = arg;
    CURL *curl = handle(p->port, "/upload");
    struct curl_slist *fields = curl_slist_append(NULL, "Transfer-Encoding: chunked");
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, fields);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, give);
    curl_easy_setopt(curl, CURLOPT_READDATA, p);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, p);
    if (curl_easy_perform(curl) == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &p->status);
    curl_easy_cleanup(curl);
    curl_slist_free_all(fields);
}

static void post_body(gee_ctx *ctx, t_conn *c, int port) {
    struct watch w = {.stop = false};
    struct post p = {.port = port, .left = (long long)MIB * BOUND};
    char want[64];
    (void)c;
    watch_start(ctx, &w);
    T_RC(gee_blocking(ctx, posts, &p), 0);
    long long held = watch_stop(&w);
    snprintf(want, sizeof(want), "%lld", (long long)MIB * BOUND);
    T_EQ(p.status, 200);
    T_STR(p.out, want);
    T_CHECK(held < BOUND);
}

static void test_post(void **state) {
    (void)state;
    site(2, post_body);
}

/* It is still sending when the answer comes, and stops. */
static void too_large_body(gee_ctx *ctx, t_conn *c, int port) {
    struct post p = {.port = port, .left = (long long)MIB * BOUND};
    gee_census base;
    char diff[256];
    (void)c;
    t_census_rest(ctx, &base);
    T_RC(gee_blocking(ctx, posts, &p), 0);
    T_EQ(p.status, 413);
    T_CHECK(p.left > 0);
    T_STR(t_census_settles(ctx, &base, SETTLE_MS, diff, sizeof(diff)), "");
}

static void test_too_large(void **state) {
    static const gee_limits small = {.body_bytes = BOUND / 2};
    (void)state;
    t_site_real(1, &(t_site){routes, too_large_body, &small, 0});
}

/* --- a download, and a client that takes its time --- */

struct slow {
    int port;
    long long got, sent_meanwhile;
};

static void reads_slowly(void *arg) {
    static char buf[256 * 1024];
    struct slow *s = arg;
    ssize_t n = 1;
    int fd = t_sock_dial(s->port, 64 * 1024);
    if (fd < 0)
        return;
    t_sock_puts(fd, "GET /download HTTP/1.0\r\n\r\n");
    for (int i = 0; i < 5; i++) {
        usleep(60000);
        n = read(fd, buf, 64 * 1024);
        s->got += n;
    }
    s->sent_meanwhile = atomic_load(&sent);
    while ((n = read(fd, buf, sizeof(buf))) > 0)
        s->got += n;
    close(fd);
}

static void slow_body(gee_ctx *ctx, t_conn *c, int port) {
    struct watch w = {.stop = false};
    struct slow s = {.port = port};
    (void)c;
    watch_start(ctx, &w);
    T_RC(gee_blocking(ctx, reads_slowly, &s), 0);
    long long held = watch_stop(&w);
    T_CHECK(held < BOUND);
    T_CHECK(s.sent_meanwhile < 8 * BOUND); /* the kernel's buffers, and no more */
    T_CHECK(s.got > (long long)MIB * BOUND && s.got < (long long)MIB * BOUND + 1000);
    T_RC(atomic_load(&sent_rc), 0);
}

static void test_slow_reader(void **state) {
    (void)state;
    site(1, slow_body);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_pipe_upload),
    cmocka_unit_test(test_post),
    cmocka_unit_test(test_too_large),
    cmocka_unit_test(test_slow_reader),
};

T_CURL_MAIN(tests)
