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

/* Waits up to ms until the census is as it was. "" or what is more. */
const char *t_census_settles(gee_ctx *ctx, const gee_census *base, uint64_t ms, char *buf,
                             size_t size);

#endif
