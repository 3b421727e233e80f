/* The parser of multipart bodies: every cut of every body, look-alikes, and attacks. */
#include "t.h"
#include "web/multipart.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD = 64 };

/* What the parser said, as text: "[head|content]" for each part, "." at the end. */
struct said {
    char *text;
    size_t n, cap, steps;
};

static void say(struct said *s, const char *text, size_t n) {
    if (s->n + n + 1 > s->cap) {
        s->cap = 2 * (s->n + n + 1);
        s->text = realloc(s->text, s->cap);
    }
    memcpy(s->text + s->n, text, n);
    s->n += n;
    s->text[s->n] = '\0';
}

static int say_event(struct said *s, const gee_mp *p, int event, const gee_slice *data) {
    if (event < 0)
        say(s, t_err(event), strlen(t_err(event)));
    if (event == GEE_MP_PART) {
        say(s, "[", 1);
        say(s, p->head, p->head_len);
        say(s, "|", 1);
    } else if (event == GEE_MP_DATA) {
        say(s, data->at, data->n);
    } else if (event == GEE_MP_PART_END || event == GEE_MP_END) {
        say(s, event == GEE_MP_END ? "." : "]", 1);
    }
    return event;
}

/* One piece, from memory of exactly its size. False: an error. */
static bool feed(struct said *s, gee_mp *p, const char *piece, size_t n) {
    char *copy = malloc(n ? n : 1);
    size_t used;
    gee_slice data = {NULL, 0};
    int event;
    memcpy(copy, piece, n);
    for (size_t at = 0;; at += used) {
        event = say_event(s, p, gee_mp_step(p, copy + at, n - at, &used, &data), &data);
        s->steps++;
        if (event < 0 || (event == GEE_MP_MORE && at + used == n))
            break;
    }
    free(copy);
    return event >= 0;
}

static void begin(struct said *s, gee_mp *p, const char *boundary, char *head) {
    s->n = s->steps = 0;
    say(s, "", 0);
    assert_int_equal(gee_mp_init(p, boundary, head, HEAD), 0);
}

/* In two pieces, n > cut > 0; or in one, cut = 0. */
static void run_cut(struct said *s, const char *boundary, const char *body, size_t n, size_t cut) {
    char head[HEAD];
    gee_mp p;
    begin(s, &p, boundary, head);
    if (cut == 0 || feed(s, &p, body, cut))
        feed(s, &p, body + cut, n - cut);
}

static void run_bytes(struct said *s, const char *boundary, const char *body, size_t n, size_t by) {
    char head[HEAD];
    gee_mp p;
    begin(s, &p, boundary, head);
    for (size_t i = 0; i < n; i += by)
        if (!feed(s, &p, body + i, n - i < by ? n - i : by))
            break;
}

/* Whole, in two at every place, and in pieces of 1 to 5: the same is said each time. */
static void check(const char *boundary, const char *body, size_t n, const char *want) {
    struct said whole = {0}, cut = {0};
    run_cut(&whole, boundary, body, n, 0);
    if (want && strcmp(whole.text, want) != 0)
        fail_msg("\"%s\":\n\"%s\", not \"%s\"", body, whole.text, want);
    for (size_t at = 1; at < n; at++) {
        run_cut(&cut, boundary, body, n, at);
        if (strcmp(cut.text, whole.text) != 0)
            fail_msg("cut at %zu of \"%s\":\n\"%s\", not \"%s\"", at, body, cut.text, whole.text);
    }
    for (size_t by = 1; by <= 5; by++) {
        run_bytes(&cut, boundary, body, n, by);
        if (strcmp(cut.text, whole.text) != 0)
            fail_msg("by %zu, \"%s\":\n\"%s\", not \"%s\"", by, body, cut.text, whole.text);
    }
    free(whole.text);
    free(cut.text);
}

static const char *const bodies[][2] = {
    {"--b\r\nA: 1\r\n\r\none\r\n--b\r\nB: 2\r\n\r\ntwo\r\n--b--", "[A: 1\r\n|one][B: 2\r\n|two]."},
    {"--b\r\nA: 1\r\n\r\none\r\n--b--\r\n", "[A: 1\r\n|one]."},
    /* Preamble, epilogue, padding. */
    {"hello\r\n--b\r\nA: 1\r\n\r\none\r\n--b--\r\nbye\r\n--b\r\nA: 2\r\n", "[A: 1\r\n|one]."},
    {"\r\n--b \t \r\nA: 1\r\n\r\none\r\n--b\t\r\n\r\n\r\n--b--  x", "[A: 1\r\n|one][|]."},
    {"x--b\r\ny\r\n--b\r\n\r\none\r\n--b--", "[|one]."},
    /* Empty parts, empty lines, no parts. */
    {"--b\r\nA: 1\r\n\r\n\r\n--b--", "[A: 1\r\n|]."},
    {"--b\r\nA: 1\r\n\r\n--b--", "[A: 1\r\n|]."},
    {"--b\r\n\r\n--b\r\n\r\n\r\n--b--", "[|][|]."},
    {"--b\r\n\r\n\r\n\r\n--b--", "[|\r\n]."},
    {"--b--", "."},
    {"--b--\r\n--b\r\n", "."},
    /* Look-alikes are content. */
    {"--b\r\n\r\n--c\r\n--bc\r\n--b\r\n", "[|--c\r\n--bc]"},
    {"--b\r\n\r\n--bb\r\n--b-\r\n--b-x\r\n--b--", "[|--bb\r\n--b-\r\n--b-x]."},
    {"--b\r\n\r\n-\r\n-b\r\n\r\n-\r\n--\r\n--B\r\n--b--", "[|-\r\n-b\r\n\r\n-\r\n--\r\n--B]."},
    {"--b\r\n\r\n\r\r\n\r\r\n-\r\r\n--\r\r\n--b--", "[|\r\r\n\r\r\n-\r\r\n--\r]."},
    {"--b\r\n\r\nx--b--\n--b--\r--b--\r\n --b--\r\n--b--", "[|x--b--\n--b--\r--b--\r\n --b--]."},
    {"--b\r\n\r\nx\r\n\r\n--b--", "[|x\r\n]."},
    {"--bx\r\n--b-\r\n--b\r\n\r\nx\r\n--b--", "[|x]."},
    /* It ends too early. */
    {"", ""},
    {"hello", ""},
    {"--b\r\nA: 1\r\n\r\none", "[A: 1\r\n|one"},
    {"--b\r\nA: 1\r\n\r\none\r\n--b", "[A: 1\r\n|one"},
    {"--b\r\nA: 1\r\n\r\none\r\n--b-", "[A: 1\r\n|one"},
    {"--b\r\nA: 1\r\n\r\none\r\n--b\r\n", "[A: 1\r\n|one]"},
    {"--b\r\nA: 1", ""},
    /* Malformed. */
    {"--b \t x\r\n", "EPROTO"},
    {"--b\rx", "EPROTO"},
    {"--b\r\nA: 1\n\r\n", "EPROTO"},
    {"--b\r\nA: 1\rx\r\n", "EPROTO"},
    {"--b\r\n\r\none\r\n--b \r\r\n", "[|one]EPROTO"},
    /* 64 bytes of head, and one more. */
    {"--b\r\n01234567890123456789012345678901234567890123456789012345678: \r\n\r\n--b--", "E2BIG"},
    {"--b\r\n012345678901234567890123456789012345678901234567890123456: \r\n\r\n--b--", NULL},
};

static void test_every_cut_of_a_body_says_the_same(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++)
        check("b", bodies[i][0], strlen(bodies[i][0]), bodies[i][1]);
    /* A part that has ended is told when its delimiter is complete. */
    static const char nul[] = "--b\r\nA\0: 1\r\n\r\n", binary[] = "--b\r\n\r\n\0\xff\r\0\r\n--b--";
    check("b", nul, sizeof(nul) - 1, "EPROTO");
    struct said s = {0};
    run_bytes(&s, "b", binary, sizeof(binary) - 1, 1);
    assert_int_equal(s.n, 2 + 4 + 2);
    assert_memory_equal(s.text, "[|\0\xff\r\0].", s.n);
    free(s.text);
}

#define FORTY_ "1234567890123456789012345678901234567890"
static const char seventy[] = FORTY_ "123456789012345678901234567890";
static const char seventy_one[] = FORTY_ "1234567890123456789012345678901";

static void test_long_boundaries_and_strange_ones(void **state) {
    static const char *const good[] = {"-", "--", "b-", "-b", "0'()+_,-./:=?", "a b", seventy};
    static const char *const bad[] = {"",       " ",        "a ",  "a\"",
                                      "a\r\nb", "\xc3\xa4", "a;b", seventy_one};
    char body[512], head[HEAD];
    gee_mp p;
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        const char *b = good[i];
        snprintf(body, sizeof(body), "--%s\r\n\r\n--%.*s\r\nx\r\n-%s--\r\n--%s--", b,
                 (int)strlen(b) - 1, b, b, b);
        check(b, body, strlen(body), NULL);
        struct said s = {0};
        run_cut(&s, b, body, strlen(body), 0);
        assert_string_equal(s.text + s.n - 2, "].");
        free(s.text);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(gee_mp_init(&p, bad[i], head, HEAD), UV_EINVAL);
}

/* Bodies of few letters, which come close to everything. */
static void test_random_bodies_say_the_same_however_cut(void **state) {
    static const char *const words[] = {
        "\r",    "\n", "-", "--", "b",        "\r\n",        "\r\n--b",
        "--b--", " ",  "x", ":",  "\r\n\r\n", "\r\n--b\r\n", "\r\n--b\r\n\r\n"};
    char body[256];
    unsigned r = 1;
    (void)state;
    for (int i = 0; i < 300; i++) {
        size_t n = (size_t)snprintf(body, sizeof(body), "%s", i % 4 ? "--b\r\n\r\n" : "");
        while (n < 40) {
            r = r * 1103515245 + 12345;
            n += (size_t)snprintf(body + n, sizeof(body) - n, "%s", words[(r >> 16) % 14]);
        }
        check("b", body, n, NULL);
    }
}

/* --- attacks --- */

/* Steps are bounded by the bytes, whatever they are and however they come. */
static void test_the_work_is_linear(void **state) {
    static const char *const unit[] = {"\r",       "\r\n",        "\r\n--",     "\r\n--b",
                                       "\r\n--b-", "\r\n-\r\n--", "\r\n--bb\r", "-"};
    enum { BYTES = 10000 };
    char *body = malloc(BYTES + 32);
    struct said s = {0};
    (void)state;
    for (size_t i = 0; i < sizeof(unit) / sizeof(*unit); i++) {
        size_t n = (size_t)sprintf(body, "--b\r\n\r\n"), len = strlen(unit[i]);
        while (n + len < BYTES)
            n += (size_t)sprintf(body + n, "%s", unit[i]);
        for (size_t by = 1; by <= BYTES; by *= 100) {
            run_bytes(&s, "b", body, n, by);
            if (s.steps > 2 * n + 10)
                fail_msg("\"%s\" by %zu: %zu steps for %zu bytes", unit[i], by, s.steps, n);
        }
    }
    free(s.text);
    free(body);
}

static void test_many_parts(void **state) {
    enum { PARTS = 100000 };
    char *body = malloc(PARTS * 9 + 16);
    size_t n = 0;
    struct said s = {0};
    (void)state;
    for (int i = 0; i < PARTS; i++)
        n += (size_t)sprintf(body + n, "--b\r\n\r\n\r\n");
    n += (size_t)sprintf(body + n, "--b--");
    run_bytes(&s, "b", body, n, 1000);
    assert_int_equal(s.n, 3 * PARTS + 1);
    free(body);
    free(s.text);
}

static void test_a_head_without_end_is_refused_early(void **state) {
    static const char *const unit[] = {"x", "A: 1\r\n", " "};
    char head[HEAD], body[4 * HEAD];
    gee_mp p;
    struct said s = {0};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        size_t n = (size_t)sprintf(body, "--b\r\n"), fed = 0;
        while (n < 3 * HEAD)
            n += (size_t)sprintf(body + n, "%s", unit[i]);
        begin(&s, &p, "b", head);
        while (fed < n && feed(&s, &p, body + fed, 1))
            fed++;
        assert_string_equal(s.text, "E2BIG");
        assert_int_equal(fed, 5 + HEAD);
    }
    free(s.text);
}

/* --- heads --- */

#define FD "Content-Disposition: form-data; "

static const char *const heads[][2] = {
    {FD "name=\"a\"\r\n", "a|-|-"},
    {FD "name=a\r\n", "a|-|-"},
    {FD "name=\"\"\r\n", "|-|-"},
    {"content-DISPOSITION:FORM-data ;NAME=\"a b\" ; FileName=\"x.txt\"\r\nContent-Type: a/b \r\n",
     "a b|x.txt|a/b"},
    {"Content-Type: a/b\r\nX-Other:\r\n" FD "name=\"a\"; filename=\"\"\r\n", "a||a/b"},
    {FD "name=\"a\";\r\n filename=\"x\"\r\n", "a|x|-"}, /* folded */
    {FD "name=\"a\\\"b\\\\c\\d\"\r\n", "a\"b\\c\\d|-|-"},
    {FD "name=\"a\"; filename=\"C:\\dir\\x.txt\"\r\n", "a|C:\\dir\\x.txt|-"},
    {FD "name=\"a\"; filename=\"x;y=z\"\r\n", "a|x;y=z|-"},
    {FD "name=\"%22\"; filename=\"\xc3\xa4\"\r\n", "%22|\xc3\xa4|-"},
    {FD "name=\"a\"; filename*=UTF-8''evil; filename=\"x\"\r\n", "a|x|-"},
    {FD "name=\"a\"; x=\"name=b\"; names=c\r\n", "a|-|-"},
    {FD "name=a;\r\n", "a|-|-"},
    {FD "name=a\r\nContent-Transfer-Encoding: 8BIT\r\n", "a|-|-"},
    {FD "name=a\r\nContent-Transfer-Encoding: base64\r\n", "ENOTSUP"},
    /* Without a name, or with two. */
    {"", "EPROTO"},
    {"Content-Type: a/b\r\n", "EPROTO"},
    {"Content-Disposition: form-data\r\n", "EPROTO"},
    {"Content-Disposition: attachment; name=a\r\n", "EPROTO"},
    {"Content-Disposition: form-datax; name=a\r\n", "EPROTO"},
    {FD "filename=x\r\n", "EPROTO"},
    {FD "name=a; name=b\r\n", "EPROTO"},
    {FD "name=a; filename=x; FILENAME=y\r\n", "EPROTO"},
    {FD "name=a\r\n" FD "name=b\r\n", "EPROTO"},
    {FD "name=a\r\nContent-Type: a/b\r\nContent-Type: c/d\r\n", "EPROTO"},
    /* Malformed. */
    {FD "name=\"a\r\n", "EPROTO"},
    {FD "name=\"a\\\"\r\n", "EPROTO"},
    {FD "name=\"a\"b\r\n", "EPROTO"},
    {FD "name=a b\r\n", "EPROTO"},
    {FD "name=\r\n", "EPROTO"},
    {FD "name\r\n", "EPROTO"},
    {FD "=a; name=b\r\n", "EPROTO"},
    {FD "name=a\r\nno colon\r\n", "EPROTO"},
    {FD "name=a\r\n: empty\r\n", "EPROTO"},
    {FD "name=a\r\nX Y: z\r\n", "EPROTO"},
    {FD "name=a\r\nX : z\r\n", "EPROTO"},
    {" " FD "name=a\r\n", "EPROTO"},
};

static void test_heads(void **state) {
    gee_part_head h;
    char out[256];
    (void)state;
    for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++) {
        size_t n = strlen(heads[i][0]);
        char *head = malloc(n + 2), *text = malloc(n + 1);
        memcpy(head, heads[i][0], n);
        memcpy(head + n, "\r\n", 2); /* as the parser leaves it */
        int rc = gee_part_head_parse(&h, head, n, text);
        if (rc == 0)
            snprintf(out, sizeof(out), "%s|%s|%s", h.name, h.filename ? h.filename : "-",
                     h.content_type ? h.content_type : "-");
        if (strcmp(rc < 0 ? t_err(rc) : out, heads[i][1]) != 0)
            fail_msg("%s: \"%s\"", heads[i][0], rc < 0 ? t_err(rc) : out);
        free(head);
        free(text);
    }
}

static void test_a_head_has_a_number_of_fields(void **state) {
    char head[1024], text[1024];
    gee_part_head h;
    (void)state;
    for (int more = 0; more < 2; more++) {
        size_t n = (size_t)sprintf(head, FD "name=a\r\n");
        for (int i = 1; i < GEE_PART_HEADERS_MAX + more; i++)
            n += (size_t)sprintf(head + n, "X: y\r\n");
        strcpy(head + n, "\r\n");
        assert_int_equal(gee_part_head_parse(&h, head, n, text), more ? UV_E2BIG : 0);
    }
}

static void test_parameters(void **state) {
    static const struct {
        const char *value;
        int rc;
        const char *out;
    } ps[] = {
        {"multipart/form-data; boundary=abc", 3, "abc"},
        {"multipart/form-data;boundary=\"a b\"", 3, "a b"},
        {"multipart/form-data; charset=utf-8; BOUNDARY=abc", 3, "abc"},
        {"multipart/form-data", UV_ENOENT, ""},
        {"multipart/form-data; xboundary=a", UV_ENOENT, ""},
        {"multipart/form-data; boundary=a; boundary=b", UV_EPROTO, ""},
        {"multipart/form-data; boundary=\"a", UV_EPROTO, ""},
        {"multipart/form-data; boundary", UV_EPROTO, ""},
        {"multipart/form-data; boundary=1234567", 7, "1234567"},
        {"multipart/form-data; boundary=12345678", UV_E2BIG, ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(ps) / sizeof(*ps); i++) {
        char *out = malloc(8);
        int rc = (int)gee_mime_param(ps[i].value, "boundary", out, 8);
        if (rc != ps[i].rc || (rc > 0 && strcmp(out, ps[i].out) != 0))
            fail_msg("%s: %d", ps[i].value, rc);
        free(out);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_every_cut_of_a_body_says_the_same),
    cmocka_unit_test(test_long_boundaries_and_strange_ones),
    cmocka_unit_test(test_random_bodies_say_the_same_however_cut),
    cmocka_unit_test(test_the_work_is_linear),
    cmocka_unit_test(test_many_parts),
    cmocka_unit_test(test_a_head_without_end_is_refused_early),
    cmocka_unit_test(test_heads),
    cmocka_unit_test(test_a_head_has_a_number_of_fields),
    cmocka_unit_test(test_parameters),
};

T_MAIN(tests)
