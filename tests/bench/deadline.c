/*
 * Keeps N requests in flight that are all answered at their deadline, and says how late the
 * answers come: deadline PORT N PATH LIMIT_MS SECONDS. The first ones are spread over the limit;
 * each connection asks again as soon as it was answered. The lateness is from the client's
 * side: from the write of the request to the read of its 504, less the limit.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef struct client {
    int fd;
    uint64_t sent_ns;
} client;

static char head[256];
static size_t head_len;
static int64_t *late_ns;
static size_t nlate, cap;

static uint64_t now_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int connect_to(int port) {
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
        die("deadline: connect");
    return fd;
}

static void raise_limit(rlim_t n) {
    struct rlimit l;
    getrlimit(RLIMIT_NOFILE, &l);
    if (l.rlim_cur < n)
        l.rlim_cur = n < l.rlim_max ? n : l.rlim_max;
    setrlimit(RLIMIT_NOFILE, &l);
}

static void ask(client *c) {
    c->sent_ns = now_ns();
    if (write(c->fd, head, head_len) != (ssize_t)head_len)
        die("deadline: write");
}

static void answered(client *c, uint64_t limit_ns) {
    char buf[1024];
    ssize_t n = read(c->fd, buf, sizeof(buf));
    if (n < 12 || memcmp(buf, "HTTP/1.1 504", 12) != 0) {
        fprintf(stderr, "deadline: not a 504: %.*s\n", n > 12 ? 12 : 0, buf);
        exit(1);
    }
    if (nlate < cap)
        late_ns[nlate++] = (int64_t)(now_ns() - c->sent_ns - limit_ns);
    ask(c);
}

static int by_size(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double at(double share) {
    return (double)late_ns[(size_t)(share * (double)(nlate - 1))] / 1e6;
}

static void run(client *clients, int n, int ep, uint64_t limit_ns, uint64_t run_ns) {
    uint64_t start = now_ns();
    struct epoll_event events[256];
    for (int asked = 0; now_ns() - start < run_ns;) {
        uint64_t due = (now_ns() - start) * (uint64_t)n / limit_ns;
        for (; asked < n && (uint64_t)asked < due; asked++)
            ask(&clients[asked]);
        int got = epoll_wait(ep, events, 256, 1);
        if (got < 0 && errno != EINTR)
            die("deadline: epoll_wait");
        for (int i = 0; i < got; i++)
            answered(events[i].data.ptr, limit_ns);
    }
}

int main(int argc, char **argv) {
    if (argc != 6)
        return 2;
    int port = atoi(argv[1]), n = atoi(argv[2]), ep = epoll_create1(0);
    uint64_t limit_ns = (uint64_t)atoi(argv[4]) * 1000000;
    uint64_t run_ns = (uint64_t)atoi(argv[5]) * 1000000000;
    raise_limit((rlim_t)n + 100);
    head_len =
        (size_t)snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: bench\r\n\r\n", argv[3]);
    cap = (size_t)n * (size_t)(2 + run_ns / limit_ns);
    client *clients = calloc((size_t)n, sizeof(*clients));
    late_ns = calloc(cap, sizeof(*late_ns));
    if (clients == NULL || late_ns == NULL || ep < 0)
        die("deadline");
    for (int i = 0; i < n; i++) {
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &clients[i]};
        clients[i].fd = connect_to(port);
        epoll_ctl(ep, EPOLL_CTL_ADD, clients[i].fd, &ev);
    }
    run(clients, n, ep, limit_ns, run_ns);
    if (nlate == 0)
        return 1;
    qsort(late_ns, nlate, sizeof(*late_ns), by_size);
    printf("{\"answers\": %zu, \"min_ms\": %.3f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, "
           "\"p999_ms\": %.3f, \"max_ms\": %.3f}\n",
           nlate, at(0), at(0.5), at(0.99), at(0.999), at(1));
    free(clients);
    free(late_ns);
    return 0;
}
