/*
 * Chapter 1, handle-unclosed: libuv's handles, and who their memory belongs to. The same source is
 * linked over the broken variant, the fixed one and each decoy; what a test reports says which
 * of them it met.
 *
 * free() is wrapped by the linker in this program (chapter.mk): memory that libuv still has in
 * the list of a loop is not freed but kept aside. So a set that is freed too early is counted,
 * and harms nobody.
 */
#include "runtime/worker.h"
#include "t_census.h"
#include "t_client.h"
#include "t_program.h"
#include "web/signals.h"
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SETS = 20 };

/* --- what is freed too early --- */

static _Atomic bool watching; /* the worker's thread, and nobody else */
static int early;             /* handles, in memory that was freed */
static void *aside[4 * T_VISITS];
static int naside;
static void *opened[SETS]; /* the sets; NULL behind their free */

void __real_free(void *p);
void __wrap_free(void *p);

struct block {
    char *from, *to;
    int handles;
};

static void count_within(uv_handle_t *h, void *arg) {
    struct block *b = arg;
    b->handles += (char *)h >= b->from && (char *)h < b->to;
}

static bool is_aside(const void *p) {
    for (int i = 0; i < naside; i++)
        if (aside[i] == p)
            return true;
    return false;
}

void __wrap_free(void *p) {
    gee_worker *w = atomic_load(&watching) ? gee_worker_self() : NULL;
    for (int i = 0; p && i < SETS; i++)
        if (opened[i] == p)
            opened[i] = NULL;
    if (w && p) {
        struct block b = {p, (char *)p + malloc_usable_size(p), 0};
        if (is_aside(p))
            return; /* a second time */
        uv_walk(&w->loop, count_within, &b);
        early += b.handles;
        if (b.handles > 0 && naside < 4 * T_VISITS) {
            aside[naside++] = p;
            return;
        }
    }
    __real_free(p);
}

static void free_aside(void) {
    while (naside > 0)
        __real_free(aside[--naside]);
}

/* --- sets that are opened and closed --- */

static int64_t handles(void) {
    gee_census now;
    gee_census_take(&now);
    return now.handles;
}

static void nothing(void *arg) {
    (void)arg;
}

/* One turn of the loop: it comes back from its poll, and calls what waits for the end of it. */
static void let_it_turn(void) {
    gee_blocking(NULL, nothing, NULL);
}

/* keep: where the set is noted, or NULL. */
static void open_and_close(gee_ctx *ctx, void **keep) {
    gee_signals *s;
    gee_ctx *stop = gee_ctx_with_cancel(ctx);
    int rc = gee_signals_open(stop, &s);
    t_census_look();
    atomic_store(&watching, true);
    if (rc == 0 && keep)
        *keep = s;
    if (rc == 0)
        gee_signals_close(s);
    let_it_turn();
    atomic_store(&watching, false);
    if (rc < 0)
        t_fail(__FILE__, __LINE__, "gee_signals_open: %s", t_err(rc));
    gee_ctx_end(stop);
}

static void sets(gee_ctx *ctx, void *arg) {
    int64_t before = handles();
    for (int i = 0; i < SETS; i++)
        open_and_close(ctx, &opened[i]);
    *(int *)arg = (int)(handles() - before);
}

static void test_handle_unclosed(void **state) {
    gee_config cfg = {.workers = 1};
    int left = 0, never = 0;
    (void)state;
    early = 0;
    int rc = gee_run(&cfg, sets, &left);
    free_aside();
    for (int i = 0; i < SETS; i++)
        never += opened[i] != NULL;
    if (left != 0 || early != 0 || rc != 0) {
        print_error("handle-unclosed: %d sets of signals, opened and closed, leave %d handles; "
                    "memory was freed with %d handles in it; gee_run ends with %s\n",
                    SETS, left, early, t_err(rc));
        fail();
    }
    if (never > 0) {
        print_error("handle-unclosed: %d sets of signals, opened and closed, leave no handle, and "
                    "the memory of %d sets, which is never freed\n",
                    SETS, never);
        fail();
    }
    t_run(&cfg, 0, sets, &left); /* and nothing else is left */
}

/* --- a program, curl, and SIGTERM --- */

static void hello(gee_req *req) {
    gee_string(req, 200, "hello\n");
}

static int program(void) {
    alarm(30); /* whatever becomes of the test */
    gee_engine *e = gee_engine_new();
    gee_GET(gee_root(e), "/", hello);
    int rc = gee_engine_run(e, "127.0.0.1", 0);
    gee_engine_free(e);
    return rc ? 1 : 0;
}

static int times(const char *text, const char *what) {
    int n = 0;
    for (; (text = strstr(text, what)) != NULL; text++)
        n++;
    return n;
}

static void test_handle_unclosed_real(void **state) {
    char command[128], body[32] = "", said[1024] = "";
    t_program p;
    (void)state;
    assert_true(t_program_start_quiet(&p));
    snprintf(command, sizeof(command), T_CURL "http://127.0.0.1:%d/", p.port);
    FILE *curl = popen(command, "r");
    assert_non_null(curl);
    bool answered = fgets(body, sizeof(body), curl) && pclose(curl) == 0;
    t_program_tell(&p, SIGTERM);
    for (ssize_t got, n = 0; (got = read(p.err, said + n, sizeof(said) - 1 - (size_t)n)) > 0;)
        n += got;
    int status = t_program_finish(&p), left = times(said, "left over: signal handle");
    assert_true(answered && strcmp(body, "hello\n") == 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || left != 0) {
        print_error("handle-unclosed in a program: curl is answered, and behind SIGTERM it ends "
                    "with status %d, and with %d signal handles left over\n",
                    WIFEXITED(status) ? WEXITSTATUS(status) : -1, left);
        fail();
    }
}

/* --- make census --- */

static void one_set(gee_ctx *ctx, int i, void *arg) {
    (void)i;
    (void)arg;
    open_and_close(ctx, NULL);
}

/* On the real loop: in simulation there is none that turns. */
static void measure(gee_ctx *ctx, void *arg) {
    t_row row;
    (void)arg;
    t_census_visits(ctx, one_set, NULL, &row);
    if (!t_census_say("handle_unclosed", &row))
        T_FAIL("handle-unclosed: something is left of %d visits", T_VISITS);
}

static void census_handle_unclosed(void **state) {
    (void)state;
    t_real(1, measure, NULL);
    free_aside();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_handle_unclosed),
    cmocka_unit_test(test_handle_unclosed_real),
    cmocka_unit_test(census_handle_unclosed),
};

T_PROGRAM_MAIN(tests, program)
