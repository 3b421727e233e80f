/* Sockets that a service manager passes: the protocol of sd_listen_fds(3), by hand. */
#include "base/env.h"
#include "gee/config.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST = 3 }; /* SD_LISTEN_FDS_START */

/* "web:admin": the next name goes to `name`; what is too long is cut. The rest, or NULL. */
static const char *take_name(const char *names, gee_passed_fd *p) {
    size_t n = names ? strcspn(names, ":") : 0;
    size_t kept = n < sizeof(p->name) ? n : sizeof(p->name) - 1;
    if (kept > 0)
        memcpy(p->name, names, kept);
    p->name[kept] = '\0';
    return names && names[n] == ':' ? names + n + 1 : NULL;
}

static int take(gee_passed_fd *out, int max) {
    uint64_t pid = 0, n = 0;
    if (!gee_env_get("LISTEN_PID", (gee_env_range){GEE_ENV_PLAIN, 1, INT32_MAX}, &pid))
        return UV_EINVAL;
    if (pid != (uint64_t)getpid()) /* meant for the process that started this one, or for none */
        return 0;
    if (!gee_env_get("LISTEN_FDS", (gee_env_range){GEE_ENV_PLAIN, 0, INT32_MAX - FIRST}, &n))
        return UV_EINVAL;
    if (n > (uint64_t)max) {
        fprintf(stderr, "gee: LISTEN_FDS=%d: at most %d sockets can be passed\n", (int)n, max);
        return UV_E2BIG;
    }
    const char *names = gee_env_text("LISTEN_FDNAMES");
    for (int i = 0; i < (int)n; i++) {
        out[i].fd = FIRST + i;
        names = take_name(names, &out[i]);
        if (fcntl(out[i].fd, F_SETFD, FD_CLOEXEC) == 0)
            continue;
        fprintf(stderr, "gee: LISTEN_FDS=%d: descriptor %d is not open\n", (int)n, out[i].fd);
        return UV_EBADF;
    }
    return (int)n;
}

int gee_listen_fds(gee_passed_fd *out, int max) {
    int n = take(out, max);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return n;
}
