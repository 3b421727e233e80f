/* Configuration from the environment: what is taken, and what is refused by name. */
#include "gee/config.h"
#include "t.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *const names[] = {
    "GEE_HOST",      "GEE_PORT",       "PORT",        "GEE_HEAD_BYTES",
    "GEE_URI_BYTES", "GEE_BODY_BYTES", "GEE_HEADERS", "GEE_HEAD_MS",
    "GEE_BODY_MS",   "GEE_WRITE_MS",   "GEE_IDLE_MS", "GEE_DRAIN_MS",
    "GEE_LAME_MS",   "LISTEN_PID",     "LISTEN_FDS",  "LISTEN_FDNAMES"};

static int clear(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        unsetenv(names[i]);
    return 0;
}

/* What stderr was told meanwhile. */
static int saved, said_fd;
static char said[1024];

static void listen_in(void) {
    fflush(stderr);
    saved = dup(STDERR_FILENO);
    said_fd = memfd_create("stderr", 0);
    dup2(said_fd, STDERR_FILENO);
}

static const char *heard(void) {
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    ssize_t n = pread(said_fd, said, sizeof(said) - 1, 0);
    said[n > 0 ? n : 0] = '\0';
    close(saved);
    close(said_fd);
    return said;
}

static void test_unset_and_empty_leave_the_programs_values(void **state) {
    gee_limits l = {.head_bytes = 1234, .idle_ms = 77};
    const char *host = "::1";
    int port = 99;
    (void)state;
    setenv("GEE_HEAD_BYTES", "", 1);
    setenv("GEE_PORT", "", 1);
    assert_int_equal(gee_limits_from_env(&l), 0);
    assert_int_equal(gee_address_from_env(&host, &port), 0);
    assert_int_equal(l.head_bytes, 1234);
    assert_int_equal(l.idle_ms, 77);
    assert_int_equal(l.body_bytes, 0);
    assert_string_equal(host, "::1");
    assert_int_equal(port, 99);
}

static void test_every_field_has_its_variable(void **state) {
    gee_limits l = {.head_bytes = 1};
    (void)state;
    setenv("GEE_HEAD_BYTES", "32K", 1);
    setenv("GEE_URI_BYTES", "4096", 1);
    setenv("GEE_BODY_BYTES", "2G", 1);
    setenv("GEE_HEADERS", "7", 1);
    setenv("GEE_HEAD_MS", "250", 1);
    setenv("GEE_BODY_MS", "3s", 1);
    setenv("GEE_WRITE_MS", "1500ms", 1);
    setenv("GEE_IDLE_MS", "5m", 1);
    setenv("GEE_DRAIN_MS", "1h", 1);
    setenv("GEE_LAME_MS", "0", 1);
    assert_int_equal(gee_limits_from_env(&l), 0);
    assert_int_equal(l.head_bytes, 32 * 1024);
    assert_int_equal(l.uri_bytes, 4096);
    assert_int_equal(l.body_bytes, UINT64_C(2) << 30);
    assert_int_equal(l.headers, 7);
    assert_int_equal(l.head_ms, 250);
    assert_int_equal(l.body_ms, 3000);
    assert_int_equal(l.write_ms, 1500);
    assert_int_equal(l.idle_ms, 300000);
    assert_int_equal(l.drain_ms, 3600000);
    assert_int_equal(l.lame_ms, 0);
}

static void test_gee_port_goes_before_port(void **state) {
    const char *host = "127.0.0.1";
    int port = 1;
    (void)state;
    setenv("PORT", "8081", 1);
    assert_int_equal(gee_address_from_env(&host, &port), 0);
    assert_int_equal(port, 8081);
    setenv("GEE_PORT", "0", 1);
    setenv("GEE_HOST", "::", 1);
    assert_int_equal(gee_address_from_env(&host, &port), 0);
    assert_int_equal(port, 0);
    assert_string_equal(host, "::");
}

static void test_a_malformed_value_is_refused_by_name(void **state) {
    static const char *const bad[][2] = {
        {"GEE_HEAD_BYTES", "abc"},
        {"GEE_HEAD_BYTES", "16Q"},
        {"GEE_HEAD_BYTES", "-1"},
        {"GEE_HEAD_BYTES", "+1"},
        {"GEE_HEAD_BYTES", " 1"},
        {"GEE_HEAD_BYTES", "1 K"},
        {"GEE_HEAD_BYTES", "0"},
        {"GEE_HEAD_BYTES", "0x10"},
        {"GEE_HEAD_BYTES", "1K2"},
        {"GEE_BODY_BYTES", "1.5G"},
        {"GEE_BODY_BYTES", "99999999999999999999"},
        {"GEE_BODY_BYTES", "18014398509481985K"}, /* 2^64 + 1024 */
        {"GEE_HEADERS", "1K"},
        {"GEE_HEADERS", "10s"},
        {"GEE_HEAD_MS", "10K"},
        {"GEE_IDLE_MS", "0"},
        {"GEE_DRAIN_MS", "1d"},
        {"GEE_LAME_MS", "soon"},
        {"GEE_PORT", "65536"},
        {"PORT", "http"},
        {"PORT", "80K"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        gee_limits l = {.headers = 3}, before = l;
        const char *host = "h";
        int port = 5;
        clear(state);
        setenv("GEE_URI_BYTES", "1K", 1); /* fine, but nothing is taken */
        setenv("GEE_HOST", "other", 1);
        setenv(bad[i][0], bad[i][1], 1);
        listen_in();
        int a = gee_limits_from_env(&l), b = gee_address_from_env(&host, &port);
        heard();
        if (strstr(bad[i][0], "PORT")) {
            assert_int_equal(b, UV_EINVAL);
            assert_string_equal(host, "h");
            assert_int_equal(port, 5);
        } else {
            assert_int_equal(a, UV_EINVAL);
            assert_memory_equal(&l, &before, sizeof(l));
        }
        if (strstr(said, bad[i][0]) == NULL || strstr(said, bad[i][1]) == NULL)
            fail_msg("%s=%s: stderr was told \"%s\"", bad[i][0], bad[i][1], said);
    }
}

static void test_the_message_says_what_would_do(void **state) {
    gee_limits l = {0};
    (void)state;
    setenv("GEE_DRAIN_MS", "ten", 1);
    listen_in();
    assert_int_equal(gee_limits_from_env(&l), UV_EINVAL);
    assert_string_equal(heard(), "gee: GEE_DRAIN_MS=ten: a time (as 250ms, 10s, 5m, 1h) from 1ms "
                                 "to 31536000000ms is needed\n");
}

/* Nothing starts: gee_run would not return. */
static void test_a_program_does_not_start_with_a_bad_variable(void **state) {
    static const char *const bad[][2] = {{"GEE_IDLE_MS", "x"}, {"PORT", "x"}, {"GEE_WORKERS", "x"}};
    gee_engine *e = gee_engine_new();
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        clear(state);
        setenv(bad[i][0], bad[i][1], 1);
        listen_in();
        int rc = gee_engine_run(e, "127.0.0.1", 0);
        assert_non_null(strstr(heard(), bad[i][0]));
        assert_int_equal(rc, UV_EINVAL);
        unsetenv(bad[i][0]);
    }
    gee_engine_free(e);
}

static void runs(gee_ctx *ctx, void *ran) {
    (void)ctx;
    *(bool *)ran = true;
}

static void test_a_stack_is_neither_too_small_nor_too_large(void **state) {
    static const struct {
        size_t kib;
        int rc;
    } rows[] = {{1, UV_EINVAL},
                {15, UV_EINVAL},
                {16, 0},
                {1024 * 1024, 0},
                {1024 * 1024 + 1, UV_EINVAL},
                {4 * 1024 * 1024, UV_EINVAL},
                {SIZE_MAX, UV_EINVAL}};
    clear(state);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        bool ran = false;
        listen_in();
        int rc = gee_run(&(gee_config){.stack_kib = rows[i].kib}, runs, &ran);
        heard();
        if (rc != rows[i].rc || ran != (rc == 0) || (strstr(said, "16 to 1048576") != NULL) == ran)
            fail_msg("%zu KiB: %s, and \"%s\"", rows[i].kib, t_err(rc), said);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(test_unset_and_empty_leave_the_programs_values, clear, clear),
    cmocka_unit_test_setup_teardown(test_every_field_has_its_variable, clear, clear),
    cmocka_unit_test_setup_teardown(test_gee_port_goes_before_port, clear, clear),
    cmocka_unit_test_setup_teardown(test_a_malformed_value_is_refused_by_name, clear, clear),
    cmocka_unit_test_setup_teardown(test_the_message_says_what_would_do, clear, clear),
    cmocka_unit_test_setup_teardown(test_a_stack_is_neither_too_small_nor_too_large, clear, clear),
    cmocka_unit_test_setup_teardown(test_a_program_does_not_start_with_a_bad_variable, clear,
                                    clear),
};

T_MAIN(tests)
