/*
 * Configuration from the environment, for programs that are deployed: where to listen,
 * limits, and sockets that a service manager has opened already.
 *
 * What the program says in code are its defaults; the environment overrides them. A
 * value that is malformed or out of range is refused, with a line on stderr that names
 * the variable: a server that starts with another limit than was asked for is worse
 * than one that does not start. An empty variable counts as unset.
 *
 *   GEE_HOST                     address to listen on, IPv4 or IPv6
 *   GEE_PORT, else PORT          0 … 65535
 *   GEE_HEAD_BYTES, GEE_URI_BYTES, GEE_BODY_BYTES       gee_limits, as 65536, 64K, 8M, 1G
 *   GEE_HEADERS                                         a number
 *   GEE_HEAD_MS, GEE_BODY_MS, GEE_WRITE_MS, GEE_IDLE_MS,
 *   GEE_DRAIN_MS, GEE_LAME_MS                           as 250, 250ms, 10s, 5m, 1h
 *   LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES              see gee_listen_fds
 *
 * GEE_WORKERS, GEE_STACK_KIB and GEE_SEED are read by gee_run (gee/run.h).
 * These functions read the environment of the process: call them before other threads
 * may change it.
 */
#ifndef GEE_CONFIG_H
#define GEE_CONFIG_H

#include "gee/http.h"

/* Sets those fields of l that the environment names. 0, or UV_EINVAL: *l is unchanged. */
int gee_limits_from_env(gee_limits *l);

/*
 * The same for where to listen: *host becomes what getenv returned. 0, or UV_EINVAL:
 * not a port; both are unchanged. Whether host is an address is found by gee_listen.
 */
int gee_address_from_env(const char **host, int *port);

/*
 * Socket activation, the protocol of systemd (sd_listen_fds(3)): a manager has opened
 * the sockets and passes them as descriptors 3, 4, …, so that the port never closes while
 * the server is restarted, and the server needs no right to open it.
 *
 * Fills in those that were passed to this process (LISTEN_PID is its pid), makes them
 * close-on-exec, and unsets the three variables, so that a child does not take them for
 * its own. Hand each to gee_listen_fd; what a descriptor is, is found there.
 * How many, 0: none, or (said on stderr) UV_EINVAL: malformed; UV_E2BIG: more than max;
 * UV_EBADF: one of them is not open.
 */
typedef struct gee_passed_fd {
    int fd;
    char name[256]; /* FileDescriptorName= of the socket unit; "" without LISTEN_FDNAMES */
} gee_passed_fd;

enum { GEE_MAX_PASSED = 16 };
int gee_listen_fds(gee_passed_fd *out, int max);

#endif
