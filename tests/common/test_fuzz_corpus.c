/*
 * What the fuzzer has found interesting stays right: each file of tests/fuzz/corpus is a
 * connection, and what it gets is well formed and leaves nothing behind; and however it is cut, the
 * requests in it are the same. FUZZ_CORPUS names another directory.
 */
#include "../fuzz/fuzz.h"
#include "t.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST = 4096, CUTS = 40 };

static void replay(const char *path) {
    static uint8_t data[LARGEST];
    FILE *f = fopen(path, "r");
    if (f == NULL)
        fail_msg("%s cannot be opened", path);
    size_t n = fread(data, 1, sizeof(data), f);
    fclose(f);
    const char *wrong = fuzz_one(data, n);
    for (int cut = 1; wrong == NULL && cut <= CUTS; cut++) {
        data[FUZZ_CUT] = (uint8_t)cut;
        wrong = fuzz_ways(data, n);
    }
    if (wrong)
        fail_msg("%s: %s", path, wrong);
}

static void test_the_corpus_is_served_well_formed_and_leaves_nothing(void **state) {
    const char *dir = getenv("FUZZ_CORPUS") ? getenv("FUZZ_CORPUS") : "tests/fuzz/corpus";
    struct dirent **names;
    int n = scandir(dir, &names, NULL, alphasort), files = 0;
    (void)state;
    if (n < 0)
        fail_msg("%s: no such directory here: run it in the root of the tree", dir);
    for (int i = 0; i < n; i++) {
        char path[512];
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]->d_name);
        if (names[i]->d_name[0] != '.') {
            replay(path);
            files++;
        }
        free(names[i]);
    }
    free(names);
    assert_true(files > 0);
}

/* Bytes on the wire, and what the checker of the fuzzer must say of them. */
static void test_the_checker_itself_sees_what_is_wrong(void **state) {
#define HEAD "HTTP/1.1 200 OK\r\nDate: x\r\n"
    static const struct {
        const char *text;
        bool right;
    } rows[] = {
        {HEAD "Content-Length: 2\r\n\r\nok", true},
        {HEAD "Content-Length: 3\r\n\r\nok", false},
        {HEAD "Content-Length: 1\r\n\r\nok", false},
        {HEAD "Content-Length: 2\r\nContent-Length: 2\r\n\r\nok", false},
        {HEAD "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok", false},
        {HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", true},
        {HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", true},
        {HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r", true},
        {HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\noks\r\n", false},
        {HEAD "Transfer-Encoding: chunked\r\n\r\nx\r\n", false},
        {HEAD "\r\nok", false},
        {HEAD "Connection: close\r\n\r\nok", true},
        {HEAD "Connection: close\r\nContent-Length: 2\r\n\r\nok" HEAD "\r\n", false},
        {HEAD "Bad name: x\r\nContent-Length: 2\r\n\r\nok", false},
        {HEAD "A: \x01\r\nContent-Length: 2\r\n\r\nok", false},
        {"HTTP/1.1 200 OK\r\n", false},
        {"200 OK\r\n\r\n", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if ((fuzz_check(rows[i].text, strlen(rows[i].text), 1, true) == NULL) != rows[i].right)
            fail_msg("row %zu: %s", i, rows[i].text);
    const char *two = HEAD "Content-Length: 0\r\n\r\n" HEAD "Content-Length: 0\r\n\r\n";
    assert_non_null(fuzz_check(two, strlen(two), 1, true));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_the_corpus_is_served_well_formed_and_leaves_nothing),
    cmocka_unit_test(test_the_checker_itself_sees_what_is_wrong),
};

T_MAIN(tests)
