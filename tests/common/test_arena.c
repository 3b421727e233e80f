/* Arenas, and the pools that their first blocks come from. */
#include "base/arena.h"
#include "base/count.h"
#include "base/pool.h"
#include "base/tools.h"
#include "t.h"
#include <malloc.h>
#include <string.h>

static void test_what_it_gives_is_apart_and_aligned(void **state) {
    gee_arena a = {0};
    char *before = NULL;
    (void)state;
    for (size_t n = 0; n < 100; n++) {
        char *p = gee_arena_alloc(&a, n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
        assert_true(p != before);
        memset(p, (int)n, n);
        if (n > 1)
            assert_int_equal(before[n - 2], (char)(n - 1)); /* the last byte is what it was */
        before = p;
    }
    gee_arena_free(&a);
}

static void test_zeroed_on_request(void **state) {
    static const char zeroes[64];
    gee_arena a = {0};
    (void)state;
    memset(gee_arena_alloc(&a, 64), 'x', 64);
    gee_arena_reset(&a);
    assert_memory_equal(gee_arena_calloc(&a, 64), zeroes, 64);
    gee_arena_free(&a);
}

static void test_what_is_larger_than_a_block(void **state) {
    int64_t bytes = gee_count_sum(GEE_COUNT_BYTES);
    gee_arena a = {0};
    (void)state;
    char *small = gee_arena_strndup(&a, "small", 5);
    char *large = gee_arena_alloc(&a, 100000);
    memset(large, 'x', 100000);
    assert_string_equal(small, "small");
    assert_true(gee_count_sum(GEE_COUNT_BYTES) >= bytes + 100000);
    gee_arena_reset(&a);
    assert_true(gee_count_sum(GEE_COUNT_BYTES) < bytes + 100000);
    gee_arena_free(&a);
    assert_int_equal(gee_count_sum(GEE_COUNT_BYTES), bytes);
}

static void test_no_such_size(void **state) {
    gee_arena a = {0};
    (void)state;
    assert_non_null(gee_arena_alloc(&a, 1));
    for (size_t n = SIZE_MAX; n > SIZE_MAX - 40; n--)
        assert_null(gee_arena_alloc(&a, n));
    assert_null(gee_arena_alloc(&a, SIZE_MAX / 2 + 1));
    assert_non_null(gee_arena_alloc(&a, 1));
    gee_arena_free(&a);
}

/* The latest one stays where it is while there is room; another moves. */
static void test_growing(void **state) {
    gee_arena a = {0};
    (void)state;
    char *p = gee_arena_alloc(&a, 10);
    memcpy(p, "0123456789", 10);
    assert_ptr_equal(gee_arena_grow(&a, p, 10, 16), p);
    assert_ptr_equal(gee_arena_grow(&a, p, 16, 400), p);
    char *behind = gee_arena_alloc(&a, 1);
    assert_true(behind >= p + 400);
    char *moved = gee_arena_grow(&a, p, 400, 500);
    assert_true(moved != p);
    char *away = gee_arena_grow(&a, moved, 500, 5000); /* more than the block has */
    assert_memory_equal(away, "0123456789", 10);
    assert_non_null(gee_arena_grow(&a, NULL, 0, 10));
    gee_arena_free(&a);
}

/* As a body is gathered: what it took before is not kept beside it. */
static void test_doubling(void **state) {
    enum { START = 1024, END = 1 << 20 };
    gee_arena a = {0};
    int64_t bytes = gee_count_sum(GEE_COUNT_BYTES);
    (void)state;
    char *in_front = gee_arena_strndup(&a, "in front", 8);
    char *p = gee_arena_alloc(&a, START);
    for (size_t n = START; n < END; n *= 2) {
        memset(p + n / 2, (int)(n / START % 251), n / 2);
        p = gee_arena_grow(&a, p, n, 2 * n);
        assert_non_null(p);
    }
    for (size_t n = START; n < END; n *= 2)
        for (size_t i = n / 2; i < n; i++)
            assert_int_equal((unsigned char)p[i], n / START % 251);
    assert_true(gee_arena_bytes(&a) < END + 16 * START);
    assert_null(gee_arena_grow(&a, p, END, SIZE_MAX - 64));
    char *behind = gee_arena_strndup(&a, "behind", 6);
    char *moved = gee_arena_grow(&a, p, END, END + 1); /* it is not the latest any more */
    assert_true(moved != NULL && moved != p);
    assert_string_equal(in_front, "in front");
    assert_string_equal(behind, "behind");
    assert_int_equal(gee_count_sum(GEE_COUNT_BYTES), bytes + (int64_t)gee_arena_bytes(&a));
    gee_arena_free(&a);
    assert_int_equal(gee_count_sum(GEE_COUNT_BYTES), bytes);
}

static void test_an_arena_keeps_its_first_block(void **state) {
    gee_arena a = {0};
    (void)state;
    char *first = gee_arena_alloc(&a, 100);
    for (int i = 0; i < 100; i++)
        gee_arena_alloc(&a, 100);
    gee_arena_reset(&a);
    assert_int_equal(a.head != NULL, GEE_POOLS);
    if (GEE_POOLS)
        assert_ptr_equal(gee_arena_alloc(&a, 100), first);
    gee_arena_free(&a);
    assert_null(a.head);
    assert_non_null(gee_arena_alloc(&a, 100)); /* it can be used again */
    gee_arena_free(&a);
}

static void test_a_pool_keeps_what_was_freed_last(void **state) {
    (void)state;
    gee_pools_keep(true);
    void *a = gee_pool_get(GEE_POOL_TASKS, 100), *b = gee_pool_get(GEE_POOL_TASKS, 100);
    assert_true(a && b && a != b);
    gee_pool_put(GEE_POOL_TASKS, a);
    gee_pool_put(GEE_POOL_TASKS, b);
    void *ctx = gee_pool_get(GEE_POOL_CTXS, 100); /* of another kind */
    void *c = gee_pool_get(GEE_POOL_TASKS, 100), *d = gee_pool_get(GEE_POOL_TASKS, 100);
    if (GEE_POOLS) {
        assert_ptr_equal(c, b);
        assert_ptr_equal(d, a);
        assert_true(ctx != a && ctx != b);
    }
    gee_pool_put(GEE_POOL_TASKS, c);
    gee_pool_put(GEE_POOL_TASKS, d);
    gee_pool_put(GEE_POOL_CTXS, ctx);
    gee_pools_keep(false); /* the tools would find what it forgot */
}

/* So much is allocated and not free, a pool's included; of little use under a tool. */
static size_t in_use(void) {
    return GEE_POOLS ? mallinfo2().uordblks : 0;
}

static void test_a_pool_is_bounded(void **state) {
    enum { MANY = 1000, SIZE = 64 };
    static void *all[MANY];
    (void)state;
    size_t before = in_use();
    gee_pools_keep(true);
    for (int i = 0; i < MANY; i++) {
        all[i] = gee_pool_get(GEE_POOL_CTXS, SIZE);
        assert_non_null(all[i]);
        memset(all[i], i, SIZE);
    }
    for (int i = 0; i < MANY; i++)
        gee_pool_put(GEE_POOL_CTXS, all[i]);
    size_t kept = in_use() - before;
    assert_true(kept <= MANY * SIZE / 4);
    assert_true(!GEE_POOLS || kept > 0);
    gee_pools_keep(false);
    assert_true(in_use() - before < kept || !GEE_POOLS);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_what_it_gives_is_apart_and_aligned),
    cmocka_unit_test(test_zeroed_on_request),
    cmocka_unit_test(test_what_is_larger_than_a_block),
    cmocka_unit_test(test_no_such_size),
    cmocka_unit_test(test_growing),
    cmocka_unit_test(test_doubling),
    cmocka_unit_test(test_an_arena_keeps_its_first_block),
    cmocka_unit_test(test_a_pool_keeps_what_was_freed_last),
    cmocka_unit_test(test_a_pool_is_bounded),
};

T_MAIN(tests)
