/* Real clients for tests on real sockets: libcurl on a thread of libuv's pool. */
#ifndef GEE_TESTS_T_REAL_H
#define GEE_TESTS_T_REAL_H

#include "gee/gee.h"

/*
 * GETs http://127.0.0.1:port/target and hangs up ms milliseconds after the
 * response's head has come. Parks the calling task meanwhile. False: no head
 * came within 5 s.
 */
bool t_curl_leave(gee_ctx *ctx, int port, const char *target, long ms);

#endif
