/*
 * The scanner of wire.c takes whole lines at once where it can. Whatever the bytes are, and
 * wherever they are cut, it says the same as when it gets them one by one: then it has never
 * a whole line before it, and goes from state to state.
 */
#include "base/tools.h"
#include "http/bytes.h"
#include "http/http.h"
#include "t.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM = 1024, ROUNDS = GEE_POOLS ? 200000 : 5000 };

static const gee_limits limits = {.head_bytes = 100, .uri_bytes = 20};

static uint32_t seed;

static uint32_t draw(uint32_t below) {
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % below;
}

/* --- what the scanner says of some bytes --- */

struct said {
    gee_wire wire;
    size_t good; /* bytes */
    char shown[ROOM];
    size_t n;
};

static bool is_over(const struct said *s, uint8_t done) {
    return s->wire.status != 0 || s->wire.state == done;
}

/* In pieces of up to `most` bytes; up to the end of the head, which is the state `done`. */
static void scan(struct said *s, const char *data, size_t n, size_t most, uint8_t done) {
    for (size_t end = 0; s->good < n && !is_over(s, done);) {
        if (s->good >= end)
            end = s->good + (most > 1 ? 1 + draw((uint32_t)most) : 1);
        if (end > n)
            end = n;
        gee_piece show;
        size_t good = gee_wire_scan(&s->wire, data + s->good, end - s->good, &limits, &show);
        memcpy(s->shown + s->n, data + s->good + show.at, show.n);
        s->n += show.n;
        s->good += good;
    }
}

static void begin(struct said *s, bool body) {
    memset(s, 0, sizeof(*s));
    if (body)
        gee_wire_body(&s->wire, true);
    else
        gee_wire_begin(&s->wire);
}

/* The state behind a head: no name of it is public, so one is read. */
static uint8_t done_state(void) {
    static const char head[] = "G / HTTP/1.1\r\n\r\n";
    struct said s;
    begin(&s, false);
    gee_piece show;
    for (size_t i = 0; i < sizeof(head) - 1; i++)
        assert_int_equal(gee_wire_scan(&s.wire, head + i, 1, &limits, &show), 1);
    assert_int_equal(s.wire.status, 0);
    return s.wire.state;
}

static bool is_same(const struct said *a, const struct said *b) {
    return a->good == b->good && a->n == b->n && memcmp(a->shown, b->shown, a->n) == 0 &&
           a->wire.state == b->wire.state && a->wire.status == b->wire.status &&
           a->wire.n == b->wire.n && a->wire.left == b->wire.left &&
           a->wire.total == b->wire.total && a->wire.trailer == b->wire.trailer &&
           a->wire.line_done == b->wire.line_done;
}

static void compare(const char *data, size_t n, bool body, uint8_t done) {
    static struct said by_bytes, whole, cut;
    begin(&by_bytes, body);
    scan(&by_bytes, data, n, 1, done);
    begin(&whole, body);
    scan(&whole, data, n, ROOM * ROOM, done);
    begin(&cut, body);
    scan(&cut, data, n, 30, done);
    if (is_same(&by_bytes, &whole) && is_same(&by_bytes, &cut))
        return;
    fprintf(stderr, "%s: \"", body ? "body" : "head");
    for (size_t i = 0; i < n; i++)
        fprintf(stderr, isprint((unsigned char)data[i]) ? "%c" : "\\x%02x", (uint8_t)data[i]);
    fprintf(stderr, "\"\n");
    fail_msg("by bytes: %zu good, state %d, status %d; whole: %zu, %d, %d; cut: %zu, %d, %d",
             by_bytes.good, by_bytes.wire.state, by_bytes.wire.status, whole.good, whole.wire.state,
             whole.wire.status, cut.good, cut.wire.state, cut.wire.status);
}

/* --- bytes that are nearly right --- */

static size_t put(char *to, const char *const *some, size_t of) {
    const char *piece = some[draw((uint32_t)of)];
    size_t n = strlen(piece);
    memcpy(to, piece, n);
    return n;
}

#define PUT(to, some) put(to, some, sizeof(some) / sizeof(*(some)))

static size_t make_head(char *to) {
    static const char *const lines[] = {"GET / HTTP/1.1\r\n",
                                        "GET / HTTP/1.1\r\n",
                                        "GET / HTTP/1.1\r\n",
                                        "\r\nPOST /x HTTP/1.1\r\n",
                                        "GET /1234567890123456789 HTTP/1.1\r\n",
                                        "GET / HTTP/1.0\r\n",
                                        "GET /12345678901234567890 HTTP/1.1\r\n",
                                        "GET / HTTP/1.1\n",
                                        "GET  / HTTP/1.1\r\n",
                                        "GET\r\n",
                                        "GET  HTTP/1.1\r\n",
                                        " / HTTP/1.1\r\n",
                                        "/ HTTP/1.1\r\n"};
    static const char *const fields[] = {"Host: t\r\n",
                                         "A:\r\n",
                                         "B: \t \r\n",
                                         "Accept-Something: a long value, and text\r\n",
                                         "C: \xc3\xa4\r\n",
                                         ": d\r\n",
                                         " e: f\r\n",
                                         "G : h\r\n",
                                         "I: j\n",
                                         "K: l\r m\r\n",
                                         "N\r\n"};
    size_t n = PUT(to, lines);
    for (uint32_t i = draw(6); i > 0; i--)
        n += PUT(to + n, fields);
    memcpy(to + n, "\r\nbody", 6);
    return n + 6;
}

static size_t make_body(char *to) {
    static const char *const pieces[] = {"3\r\nabc\r\n", "1\r\nx\r\n",  "5;ext=\"y\"\r\n12345\r\n",
                                         "0\r\n",        "0;z\r\n",     "0\r\nA: b\r\nC:\r\n",
                                         "A: b\r\n",     "2\r\nabc\r\n"};
    size_t n = 0;
    for (uint32_t i = 1 + draw(5); i > 0; i--)
        n += PUT(to + n, pieces);
    memcpy(to + n, "\r\n", 2);
    return n + 2;
}

static void spoil(char *data, size_t n) {
    static const char some[] = "\r\n\r\n \t:;,/*?#%0123aAfFxX\"\x7f\x80";
    for (uint32_t i = draw(4); i > 1; i--) /* half of them stay as they are */
        data[draw((uint32_t)n)] = some[draw(sizeof(some))];
}

static void test_lines_at_once_are_the_same_as_bytes(void **state) {
    static char data[ROOM];
    uint8_t done = done_state();
    (void)state;
    seed = 1;
    for (int i = 0; i < ROUNDS; i++) {
        bool body = draw(4) == 0;
        size_t n = body ? make_body(data) : make_head(data);
        spoil(data, n);
        compare(data, n, body, done);
    }
}

/* A head of exactly so many bytes as are allowed is one; with one more it is none. */
static void test_a_line_at_once_keeps_to_the_limit(void **state) {
    static char head[ROOM];
    uint8_t done = done_state();
    (void)state;
    for (int more = -1; more <= 1; more++) {
        int pad = 100 + more - (int)strlen("GET / HTTP/1.1\r\nA: \r\n\r\n");
        int n = snprintf(head, sizeof(head), "GET / HTTP/1.1\r\nA: %0*d\r\n\r\n", pad, 0);
        struct said s;
        begin(&s, false);
        scan(&s, head, (size_t)n, ROOM * ROOM, done);
        assert_int_equal(s.wire.status, more > 0 ? 431 : 0);
        compare(head, (size_t)n, false, done);
    }
}

/* --- the table --- */

static bool is_one_of(const char *some, int c) {
    return c != 0 && strchr(some, c) != NULL;
}

static void test_classes_of_bytes(void **state) {
    (void)state;
    for (int c = 0; c < 256; c++) {
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        bool visible = c > ' ' && c < 0x7f;
        uint8_t want = (letter || is_one_of("!#$%&'*+-.^_`|~", c) ? GEE_TOKEN : 0) |
                       (visible && c != '#' ? GEE_VISIBLE : 0) |
                       (visible || c == ' ' || c == '\t' || c > 0x7f ? GEE_TEXT : 0) |
                       (letter || is_one_of("-._~", c) ? GEE_HOST : 0);
        if (gee_bytes[c] != want)
            fail_msg("byte %d is of %d, not of %d", c, gee_bytes[c], want);
    }
}

static void test_prefix(void **state) {
    (void)state;
    char text[20];
    for (size_t n = 0; n < sizeof(text); n++) {
        memset(text, 'a', sizeof(text));
        assert_int_equal(gee_prefix(text, n, GEE_TOKEN), n);
        for (size_t at = 0; at < n; at++) {
            text[at] = ':';
            assert_int_equal(gee_prefix(text, n, GEE_TOKEN), at);
            assert_int_equal(gee_prefix(text, n, GEE_TEXT), n);
            text[at] = 'a';
        }
    }
}

/* Every byte, at every place of a word and of the words behind it. */
static void prefixes(unsigned class) {
    char text[40];
    for (size_t at = 0; at < sizeof(text); at++)
        for (int c = 0; c < 256; c++) {
            memset(text, 'a', sizeof(text));
            text[at] = (char)c;
            size_t want = gee_bytes[c] & class ? sizeof(text) : at;
            assert_int_equal(gee_prefix(text, sizeof(text), class), want);
            assert_int_equal(gee_prefix(text, at + 1, class), want > at ? at + 1 : at);
            if (class == GEE_TEXT) {
                assert_int_equal(gee_text_prefix(text, sizeof(text)), want);
                assert_int_equal(gee_text_prefix(text, at + 1), want > at ? at + 1 : at);
            }
        }
}

static void test_prefix_of_every_byte(void **state) {
    (void)state;
    prefixes(GEE_TOKEN);
    prefixes(GEE_VISIBLE);
    prefixes(GEE_TEXT);
    prefixes(GEE_HOST);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_classes_of_bytes),
    cmocka_unit_test(test_prefix),
    cmocka_unit_test(test_prefix_of_every_byte),
    cmocka_unit_test(test_a_line_at_once_keeps_to_the_limit),
    cmocka_unit_test(test_lines_at_once_are_the_same_as_bytes),
};

T_MAIN(tests)
