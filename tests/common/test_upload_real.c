/* Uploads by curl, to real files: large ones, several, and clients that are killed. */
#include "base/tools.h"
#include "t_client.h"
#include "t_site.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if GEE_POOLS
enum { MIB = 100 };
#else
enum { MIB = 10 }; /* under a tool that makes everything slow */
#endif

enum { BOUND = 1024 * 1024, SETTLE_MS = 10000 };

static char dir[64]; /* in/ and out/ */

/* Saves each file of the form under out/, and says the sum of their sizes. */
static void save(gee_req *req) {
    gee_multipart *mp;
    const gee_part *part;
    char path[128];
    unsigned long long total = 0;
    int rc = gee_multipart_open(req, NULL, &mp);
    while (rc == 0 && (rc = gee_multipart_next(mp, &part)) > 0) {
        rc = 0;
        if (part->filename == NULL)
            continue;
        snprintf(path, sizeof(path), "%s/out/%s", dir, gee_part_basename(mp));
        rc = gee_part_save(mp, AT_FDCWD, path, 0);
        total += part->size;
    }
    gee_string(req, rc < 0 ? gee_body_status(rc) : 200, "%llu %s", total, t_err(rc));
}

static void field(gee_req *req) {
    const char *a = gee_form(req, "a");
    gee_string(req, 200, "%s", a ? a : "-");
}

static void json(gee_req *req) {
    const char *name;
    if (gee_json_bind(req, "{s:s}", "name", &name) == 0)
        gee_json(req, 200, "{s:s}", "hello", name);
}

static void routes(gee_group *r) {
    gee_POST(r, "/save", save);
    gee_POST(r, "/field", field);
    gee_POST(r, "/json", json);
}

static const gee_limits large = {.body_bytes = (uint64_t)200 * BOUND};

static int entries(void) {
    char path[80];
    int n = 0;
    snprintf(path, sizeof(path), "%s/out", dir);
    DIR *d = opendir(path);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

/* --- how much is held meanwhile --- */

struct watch {
    atomic_bool stop;
    atomic_llong most;
    gee_waitgroup wg;
};

static void watching(gee_ctx *ctx, void *arg) {
    struct watch *w = arg;
    gee_census now;
    while (!atomic_load(&w->stop)) {
        gee_census_take(&now);
        if (now.bytes > atomic_load(&w->most))
            atomic_store(&w->most, now.bytes);
        gee_sleep(ctx, 2);
    }
    gee_waitgroup_done(&w->wg);
}

/* No two of its blocks are the same. */
static void write_large_file(void *arg) {
    static uint64_t block[BOUND / 8];
    char path[80];
    (void)arg;
    snprintf(path, sizeof(path), "%s/in/large", dir);
    FILE *f = fopen(path, "w");
    for (uint64_t i = 0; i < MIB; i++) {
        for (size_t k = 0; k < BOUND / 8; k++)
            block[k] = (i << 32 | k) * 0x9e3779b97f4a7c15U;
        fwrite(block, 1, BOUND, f);
    }
    fclose(f);
}

static void large_file_body(gee_ctx *ctx, t_conn *c, int port) {
    struct watch w = {.stop = false};
    char out[64], want[64];
    long long size = (long long)MIB * BOUND;
    (void)c;
    T_RC(gee_blocking(ctx, write_large_file, NULL), 0);
    gee_waitgroup_add(&w.wg, 1);
    gee_go(ctx, watching, &w);
    int rc = t_shell(ctx, out, sizeof(out),
                     T_CURL "--max-time 60 -F a=1 -F f=@%s/in/large http://127.0.0.1:%d/save", dir,
                     port);
    atomic_store(&w.stop, true);
    gee_waitgroup_wait(NULL, &w.wg);
    snprintf(want, sizeof(want), "%lld 0", size);
    T_EQ(rc, 0);
    T_STR(out, want);
    rc = t_shell(ctx, out, sizeof(out), "cd %s && cmp in/large out/large && rm in/large out/large",
                 dir);
    T_EQ(rc, 0);
    T_EQ(entries(), 0);
    print_message("  %d MiB, at most %lld KiB held\n", MIB, atomic_load(&w.most) / 1024);
    T_CHECK(atomic_load(&w.most) < BOUND);
}

static void test_a_large_file_goes_through_little_memory(void **state) {
    (void)state;
    t_site_real(1, &(t_site){routes, large_file_body, &large, 0});
}

/* --- what curl makes of forms --- */

static const struct {
    const char *args, *out;
} forms[] = {
    {"-F a=1 %s/field", "1"},
    {"--form-string 'a= two words ' -F f=@/etc/passwd %s/field", " two words "},
    {"-F f=@/etc/passwd -F 'a=\"\\\"quoted\\\"\"' %s/field", "\"quoted\""},
    {"-H 'Expect: 100-continue' -F a=3 %s/field", "3"},
    {"-H 'Transfer-Encoding: chunked' -F a=4 %s/field", "4"},
    {"-d a=5 %s/field", "5"},
    {"--json '{\"name\":\"gee\"}' %s/json", "{\"hello\":\"gee\"}"},
    {"--json '{\"name\":1}' -w ' %%{http_code}' %s/json",
     "{\"error\":\"name: expected string, got integer\"} 400"},
    {"-d '{}' -o /dev/null -w '%%{http_code}' %s/json", "415"},
};

static void forms_body(gee_ctx *ctx, t_conn *c, int port) {
    char out[128], url[64], args[256];
    (void)c;
    snprintf(url, sizeof(url), "http://127.0.0.1:%d", port);
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
        snprintf(args, sizeof(args), forms[i].args, url);
        int rc = t_shell(ctx, out, sizeof(out), T_CURL "%s", args);
        if (rc != 0 || strcmp(out, forms[i].out) != 0)
            T_FAIL("%s: exit %d, \"%s\"", args, rc, out);
    }
    /* Several files, and one whose name is somewhere else. */
    T_EQ(t_shell(ctx, out, sizeof(out),
                 "cd %s/in && printf one >1 && printf three >3 && " T_CURL
                 "-F f=@1 -F 'f=@3;filename=../../x y' %s/save && cmp 1 ../out/1 && "
                 "cmp 3 '../out/x y' && rm 1 3 ../out/1 '../out/x y'",
                 dir, url),
         0);
    T_STR(out, "8 0");
    T_EQ(entries(), 0);
}

static void test_forms_of_curl(void **state) {
    (void)state;
    for (int workers = 1; workers <= 2; workers++)
        t_site_real(workers, &(t_site){routes, forms_body, NULL, 0});
}

/* --- clients that do not finish --- */

static void killed_body(gee_ctx *ctx, t_conn *c, int port) {
    char out[64], diff[256];
    gee_census base;
    (void)c;
    t_census_rest(ctx, &base);
    /* Five at once; each has sent some of its file when it is killed. */
    T_EQ(t_shell(ctx, out, sizeof(out),
                 "cd %s; head -c 1M /dev/zero >in/zero; for i in 1 2 3 4 5; do " T_CURL
                 "--limit-rate 50k -F \"f=@in/zero;filename=k$i\" http://127.0.0.1:%d/save & "
                 "pids=\"$pids $!\"; done 2>/dev/null; for i in $(seq 100); do sleep 0.05; "
                 "n=$(ls -A out | grep -c '^[.]gee-.*[.]part$'); [ $n = 5 ] && break; done; "
                 "echo $n; kill -KILL $pids; wait; rm in/zero",
                 dir, port),
         0);
    T_STR(out, "5\n");
    T_STR(t_census_settles(ctx, &base, SETTLE_MS, diff, sizeof(diff)), "");
    T_EQ(entries(), 0);
}

static void test_a_killed_client_leaves_no_file(void **state) {
    (void)state;
    t_site_real(2, &(t_site){routes, killed_body, &large, 0});
}

/* body_bytes is met while the file is being written. */
static void too_large_body(gee_ctx *ctx, t_conn *c, int port) {
    char out[64], diff[256];
    gee_census base;
    (void)c;
    t_census_rest(ctx, &base);
    T_EQ(t_shell(ctx, out, sizeof(out),
                 "head -c 3M /dev/zero | " T_CURL "-H 'Transfer-Encoding: chunked' -o /dev/null "
                 "-w '%%{http_code}' -F 'f=@-;filename=x' http://127.0.0.1:%d/save",
                 port),
         0);
    T_STR(out, "413");
    T_STR(t_census_settles(ctx, &base, SETTLE_MS, diff, sizeof(diff)), "");
    T_EQ(entries(), 0);
}

static void test_a_body_beyond_the_servers_limit(void **state) {
    static const gee_limits small = {.body_bytes = BOUND};
    (void)state;
    t_site_real(1, &(t_site){routes, too_large_body, &small, 0});
}

static int make_dir(void **state) {
    char command[160];
    (void)state;
    strcpy(dir, "/dev/shm/gee-upload-XXXXXX"); /* no disk, where that can be had */
    if (mkdtemp(dir) == NULL && mkdtemp(strcpy(dir, "/tmp/gee-upload-XXXXXX")) == NULL)
        return -1;
    snprintf(command, sizeof(command), "mkdir %s/in %s/out", dir, dir);
    return system(command);
}

static int remove_dir(void **state) {
    char command[160];
    (void)state;
    snprintf(command, sizeof(command), "rm -r %s", dir);
    return system(command);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_large_file_goes_through_little_memory),
    cmocka_unit_test(test_forms_of_curl),
    cmocka_unit_test(test_a_killed_client_leaves_no_file),
    cmocka_unit_test(test_a_body_beyond_the_servers_limit),
};

int main(int argc, char **argv) {
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
