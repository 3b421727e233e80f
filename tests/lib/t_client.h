/*
 * Real clients for servers on real sockets. All of them block, so each runs on a
 * thread of libuv's pool while its task is parked.
 */
#ifndef GEE_TESTS_T_CLIENT_H
#define GEE_TESTS_T_CLIENT_H

#include "t.h"
#include <sys/types.h>

/*
 * Runs a shell command, and keeps what it says on stdout, zero-terminated; what
 * does not fit is lost. Its exit status, or -1.
 */
int t_shell(gee_ctx *ctx, char *out, size_t size, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The beginning of such a command: quiet, but for errors, and bounded. */
#define T_CURL "curl -sS --max-time 20 "

/* Blocking, for functions that run on the pool; they give up after 20 s. */
int t_sock_dial(int port, int rcvbuf); /* rcvbuf 0: as it comes; -1: refused */
int t_sock_puts(int fd, const char *text);
/* Up to size - 1 bytes, until `what` is among them or the end; zero-terminated. */
ssize_t t_sock_until(int fd, char *buf, size_t size, const char *what);

/* The census when nothing but the calling task is there: what started the server may still end. */
void t_census_rest(gee_ctx *ctx, gee_census *out);
/* Waits up to ms until the census is as it was. "" or what is more. */
const char *t_census_settles(gee_ctx *ctx, const gee_census *base, uint64_t ms, char *buf,
                             size_t size);

/*
 * The main of a program that uses libcurl: its start, and without what only TLS
 * needs, belongs to no thread of the pool.
 */
int t_curl_setup(void **state);
#define T_CURL_MAIN(tests)                                        \
    int main(int argc, char **argv) {                             \
        if (argc > 1)                                             \
            cmocka_set_test_filter(argv[1]);                      \
        return cmocka_run_group_tests(tests, t_curl_setup, NULL); \
    }

#endif
