/*
 * Chapter 4, snapshot-only: tasks that come and go between two looks, and some that stay, one of
 * them for an hour. What do two snapshots say of them? The same source is linked over the broken
 * variant, the fixed one and each decoy.
 */
#include "t.h"
#include <stdlib.h>
#include <string.h>

enum { TASKS = 50, EACH_MS = 20, LIVES_MS = 10, HOUR_S = 3600 };

static void lives_shortly(gee_ctx *ctx, void *arg) {
    (void)arg;
    gee_sleep(ctx, LIVES_MS);
}

static void ends_at_once(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
}

static void stays(gee_ctx *ctx, void *arg) {
    (void)arg;
    gee_sleep(ctx, 2 * HOUR_S * 1000);
}

/* The places where they are created. */
static gee_site shortly_at, at_once_at, old_at, young_at;

static void create(gee_ctx *ctx, gee_site *at, gee_site here, gee_task_fn fn) {
    *at = here;
    gee_go_at(ctx, fn, NULL, "a task", here);
}

static const gee_path_info *of(const gee_path_info *paths, int n, gee_site site) {
    static const gee_path_info none = {.reason = ""};
    for (int i = 0; i < n; i++)
        if (strcmp(paths[i].path[0], site) == 0)
            return &paths[i];
    return &none;
}

static void snapshot_only(gee_ctx *ctx, void *arg) {
    gee_path_info *paths;
    gee_ctx *end = gee_ctx_with_cancel(ctx);
    (void)arg;
    create(end, &old_at, GEE_HERE, stays);
    gee_sleep(ctx, HOUR_S * 1000);
    create(end, &young_at, GEE_HERE, stays);
    T_CHECK(gee_paths_list(&paths) > 0);
    free(paths);
    for (int i = 0; i < TASKS; i++) {
        create(ctx, &shortly_at, GEE_HERE, lives_shortly);
        create(ctx, &at_once_at, GEE_HERE, ends_at_once);
        gee_sleep(ctx, EACH_MS);
    }
    int n = gee_paths_list(&paths);
    T_CHECK(n > 0);
    int shortly = (int)of(paths, n, shortly_at)->started;
    int at_once = (int)of(paths, n, at_once_at)->started;
    int old_s = (int)(of(paths, n, old_at)->oldest_ms / 1000);
    int young_s = (int)(of(paths, n, young_at)->oldest_ms / 1000);
    free(paths);
    gee_ctx_end(end);
    gee_sleep(ctx, 10 * 1000);
    if (shortly != TASKS || at_once != TASKS || old_s != HOUR_S + 1 || young_s != 1)
        T_FAIL(
            "snapshot-only: of %d tasks that lived for %d ms it knows %d, of %d that ended at once "
            "%d; of two that are parked, one for an hour, it says that they are %d s and %d s old",
            TASKS, LIVES_MS, shortly, TASKS, at_once, old_s, young_s);
}

static void test_snapshot_only(void **state) {
    (void)state;
    t_sim(snapshot_only, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_snapshot_only),
};

T_MAIN(tests)
