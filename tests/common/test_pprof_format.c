/* Building a profile, and writing it: read back by another reader than the one that tools use. */
#include "t.h"
#include "pprof/profile.h"
#include "pprof/proto.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static const gee_prof_type two[] = {{"contentions", "count"}, {"delay", "nanoseconds"}};

static void add(gee_prof *p, const char *leaf, const char *root, const char *label, int64_t a,
                int64_t b) {
    gee_prof_stack s = {.n = 0};
    gee_prof_push_frame(&s, leaf, "leaf.c:1");
    gee_prof_push_frame(&s, root, "root.c:2");
    gee_prof_label_add(&s, "label", label);
    gee_prof_add(p, &s, (const int64_t[]){a, b});
}

static gee_prof *new_profile(void) {
    return gee_prof_new(two, 2, two[0], 1);
}

static void test_same_stack(void **state) {
    gee_prof *p = new_profile();
    (void)state;
    add(p, "f", "g", NULL, 1, 10);
    add(p, "f", "g", NULL, 2, 20);
    add(p, "f", "h", NULL, 1, 1);
    add(p, "f", "g", "x", 1, 1);
    assert_int_equal(p->samples.n, 3);
    assert_int_equal(p->locations.n, 3);
    assert_int_equal(p->samples.at[0].values[0], 3);
    assert_int_equal(p->samples.at[0].values[1], 30);
    assert_int_equal(p->rc, 0);
    gee_prof_free(p);
}

/* So many that every table grows, several times. */
static void test_many(void **state) {
    enum { MANY = 20000 };
    gee_prof *p = new_profile();
    char name[32];
    (void)state;
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < MANY; i++) {
            snprintf(name, sizeof(name), "function %d", i);
            add(p, name, "main", NULL, 1, i);
        }
    assert_int_equal(p->samples.n, MANY);
    assert_int_equal(p->locations.n, MANY + 1);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(p->samples.at[i].values[0], 2);
        assert_int_equal(p->samples.at[i].values[1], 2 * i);
    }
    gee_prof_free(p);
}

static void test_difference(void **state) {
    gee_prof *before = new_profile(), *after = new_profile();
    (void)state;
    add(before, "f", "g", NULL, 1, 10);
    add(before, "gone", "g", NULL, 4, 40);
    add(after, "new", "g", "x", 2, 20);
    add(after, "f", "g", NULL, 1, 10);
    gee_prof_merge(after, before, -1);
    assert_int_equal(after->samples.n, 3);
    assert_int_equal(after->samples.at[0].values[0], 2);
    assert_true(gee_prof_is_zero(after, &after->samples.at[1]));
    assert_int_equal(after->samples.at[2].values[1], -40);
    gee_prof_free(before);
    gee_prof_free(after);
}

/* Deeper than there is room for: the innermost frames stay. */
static void test_deep(void **state) {
    gee_prof *p = new_profile();
    gee_prof_stack s = {.n = 0};
    (void)state;
    for (uintptr_t i = 1; i <= 2 * GEE_PROF_DEPTH; i++)
        gee_prof_push_pc(&s, i);
    for (int i = 0; i < 2 * GEE_PROF_LABELS; i++)
        gee_prof_label_add(&s, "k", "v");
    gee_prof_add(p, &s, (const int64_t[]){1, 1});
    assert_int_equal(p->samples.at[0].nlocations, GEE_PROF_DEPTH);
    assert_int_equal(p->locations.at[0].pc, 1);
    gee_prof_free(p);
}

/* --- the wire --- */

static void test_varint(void **state) {
    static const struct {
        uint64_t v;
        size_t n;
        unsigned char bytes[10];
    } rows[] = {
        {0, 1, {0}},
        {1, 1, {1}},
        {127, 1, {0x7f}},
        {128, 2, {0x80, 0x01}},
        {300, 2, {0xac, 0x02}},
        {UINT64_MAX, 10, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        gee_buf b = {0};
        gee_proto w = {.out = &b};
        gee_proto_varint(&w, rows[i].v);
        assert_int_equal(gee_buf_size(&b), rows[i].n);
        assert_memory_equal(gee_buf_head(&b), rows[i].bytes, rows[i].n);
        gee_buf_free(&b);
    }
}

static size_t unzip(const gee_buf *b, unsigned char *to, size_t size) {
    z_stream z = {.next_in = (Bytef *)gee_buf_head(b),
                  .avail_in = (uInt)gee_buf_size(b),
                  .next_out = to,
                  .avail_out = (uInt)size};
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    inflateEnd(&z);
    return size - z.avail_out;
}

static const unsigned char *varint(const unsigned char *at, uint64_t *v) {
    *v = 0;
    for (int shift = 0;; shift += 7, at++) {
        *v |= (uint64_t)(*at & 0x7f) << shift;
        if ((*at & 0x80) == 0)
            return at + 1;
    }
}

/* How many of each field the message has, and the sum of the numbers in it. */
static void fields(const unsigned char *at, const unsigned char *end, int count[16]) {
    memset(count, 0, 16 * sizeof(*count));
    while (at < end) {
        uint64_t key, n;
        at = varint(at, &key);
        at = varint(at, &n);
        assert_true(key >> 3 < 16);
        count[key >> 3]++;
        if ((key & 7) == 2)
            at += n;
        else
            assert_int_equal(key & 7, 0);
    }
    assert_ptr_equal(at, end);
}

static void test_encode(void **state) {
    static unsigned char raw[64 * 1024];
    gee_prof *p = new_profile();
    gee_buf b = {0};
    int count[16];
    (void)state;
    add(p, "f", "g", "x", 1, 10);
    add(p, "nothing", "g", "x", 0, 0);
    p->time_ns = 1;
    gee_prof_resolve(p);
    assert_int_equal(gee_prof_encode(p, &b), 0);
    size_t n = unzip(&b, raw, sizeof(raw));
    fields(raw, raw + n, count);
    assert_int_equal(count[1], 2);                         /* sample_type */
    assert_int_equal(count[2], 1);                         /* sample: what is zero is not there */
    assert_int_equal(count[4], 3);                         /* location */
    assert_int_equal(count[5], 3);                         /* function */
    assert_int_equal(count[6], (int)p->strings.n + 6);     /* string_table */
    assert_int_equal(count[9] + count[11] + count[12], 3); /* time, period type, period */
    gee_buf_free(&b);
    gee_prof_free(p);
}

/* --- text --- */

static void test_text(void **state) {
    gee_prof *p = new_profile();
    gee_buf b = {0};
    (void)state;
    add(p, "few", "g", "a \"b\"", 1, 10);
    add(p, "many", "g", NULL, 5, 500);
    gee_prof_resolve(p);
    assert_int_equal(gee_prof_text(p, "block", GEE_PROF_CONTENTION, &b), 0);
    gee_buf_append(&b, "", 1);
    assert_string_equal(gee_buf_head(&b),
                        "--- block:\ncycles/second=1000000000\nsampling period=1\n"
                        "500 5 @\n#\t-\tmany\tleaf.c:1\n#\t-\tg\troot.c:2\n\n"
                        "10 1 @\n# labels: {\"label\":\"a \\\"b\\\"\"}\n"
                        "#\t-\tfew\tleaf.c:1\n#\t-\tg\troot.c:2\n\n");
    gee_buf_free(&b);
    gee_prof_free(p);
}

/* An address of this program has a function and a line. */
static void test_resolve(void **state) {
    gee_prof *p = new_profile();
    gee_prof_stack s = {.n = 0};
    (void)state;
    gee_prof_push_pc(&s, (uintptr_t)test_resolve + 1);
    gee_prof_push_pc(&s, 1); /* nothing is there */
    gee_prof_push_frame(&s, "created by ", GEE_HERE);
    gee_prof_push_frame(&s, "created by ", "nowhere.c:1");
    gee_prof_add(p, &s, (const int64_t[]){1, 1});
    gee_prof_resolve(p);
    const gee_prof_location *l = p->locations.at;
/* The outermost: what it begins with may be inlined. */
#define NAME(i) \
    p->strings.at[p->functions.at[p->lines.at[l[i].line_at + l[i].nlines - 1].function].name]
    assert_string_equal(NAME(0), "test_resolve");
    assert_int_equal(l[0].mapping, 1);
    assert_int_equal(l[1].nlines, 0);
    assert_string_equal(NAME(2), "created by test_resolve");
    assert_string_equal(NAME(3), "created by nowhere.c:1");
    gee_prof_free(p);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_same_stack), cmocka_unit_test(test_many),
    cmocka_unit_test(test_difference), cmocka_unit_test(test_deep),
    cmocka_unit_test(test_varint),     cmocka_unit_test(test_encode),
    cmocka_unit_test(test_text),       cmocka_unit_test(test_resolve),
};

T_MAIN(tests)
