#include "t_turn.h"
#include "base/tools.h"
#include "t_client.h"
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LIMIT_S = 15, DIALS = 64 };

void t_turn_init(t_turn *t) {
    gee_vg_overlook(&t->at, sizeof(t->at));
    atomic_store_explicit(&t->at, 0, memory_order_relaxed);
}

void t_turn_pass(t_turn *t, int to) {
    atomic_store_explicit(&t->at, to, memory_order_relaxed);
}

bool t_turn_await(t_turn *t, int n) {
    return t_turn_await_for(t, n, LIMIT_S);
}

bool t_turn_await_for(t_turn *t, int n, int seconds) {
    uint64_t until = uv_hrtime() + (uint64_t)seconds * UINT64_C(1000000000);
    while (atomic_load_explicit(&t->at, memory_order_relaxed) < n) {
        if (uv_hrtime() > until)
            return false;
        sched_yield();
    }
    return true;
}

/* --- a server on two workers --- */

static void say_worker(gee_req *req) {
    gee_string(req, 200, "%d\n", gee_worker_index());
}

void t_worker_route(gee_group *root) {
    gee_GET(root, "/worker", say_worker);
}

int t_sock_get(int fd, const char *target) {
    char head[256];
    snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: test\r\n\r\n", target);
    return t_sock_puts(fd, head);
}

const char *t_sock_line(int fd, char *buf, size_t size) {
    t_sock_until(fd, buf, size, "\r\n\r\n");
    char *body = strstr(buf, "\r\n\r\n");
    if (body == NULL) {
        *buf = '\0';
        return buf;
    }
    size_t n = strlen(body + 4);
    memmove(buf, body + 4, n + 1);
    if (strchr(buf, '\n') == NULL)
        t_sock_until(fd, buf + n, size - n, "\n");
    buf[strcspn(buf, "\n")] = '\0';
    return buf;
}

/* The kernel deals connections out; who does not get the right one asks again. */
int t_sock_on(int port, int index) {
    char line[256], want[16];
    snprintf(want, sizeof(want), "%d", index);
    for (int i = 0; i < DIALS; i++) {
        int fd = t_sock_dial(port, 0);
        if (fd < 0)
            return -1;
        if (t_sock_get(fd, "/worker") == 0 &&
            strcmp(t_sock_line(fd, line, sizeof(line)), want) == 0)
            return fd;
        close(fd);
    }
    return -1;
}
