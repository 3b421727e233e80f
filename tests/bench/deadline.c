/*
 * Requests with a deadline, of which every second one misses it:
 *
 *   deadline PORT N LIMIT_MS SECONDS
 *
 * N connections, each asks once a second, the times spread evenly: for /limited/MS, which
 * is to be answered after so many ms, half of the limit or ten times the limit. Says how late
 * the answers of the latter are, from the client's side: from the write of the request to the read
 * of its 504, less the limit; and how many there were of both.
 *
 * On a busy machine a server may not get to a request of half the limit before all of it is over,
 * and answers 504. That is no error of the client's, nor a reason to stop, but it is said: an
 * answer with another status than the one that was due is counted as *wrong*, and its time is not.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
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
    uint64_t sent_ns; /* 0: it has its answer */
    const char *status;
} client;

static int limit_ms;
static int64_t *late_ns;
static size_t nlate, cap, nanswers, nskipped, nwrong;

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

static void ask(client *c, bool in_time) {
    char head[128];
    if (c->sent_ns) { /* no answer for a second: its lateness will show */
        nskipped++;
        return;
    }
    int len = snprintf(head, sizeof(head), "GET /limited/%d HTTP/1.1\r\nHost: bench\r\n\r\n",
                       in_time ? limit_ms / 2 : 10 * limit_ms);
    c->status = in_time ? "HTTP/1.1 200" : "HTTP/1.1 504";
    c->sent_ns = now_ns();
    if (write(c->fd, head, (size_t)len) != len)
        die("deadline: write");
}

/* The first one is shown: which it is may tell why. */
static void count_wrong(const char *status, bool expired) {
    if (nwrong++ == 0)
        fprintf(stderr, "deadline: %.3s where %s was due\n", status, expired ? "504" : "200");
}

static void answered(client *c) {
    char buf[1024];
    ssize_t n = read(c->fd, buf, sizeof(buf));
    if (n < 0)
        die("deadline: read");
    if (n < 12 || memcmp(buf, "HTTP/1.1 ", 9) != 0 || c->sent_ns == 0) {
        fprintf(stderr, "deadline: \"%.*s\" is no answer where %s was due\n", n > 12 ? 12 : (int)n,
                buf, c->status);
        exit(1);
    }
    bool expired = c->status[9] == '5';
    nanswers++;
    if (memcmp(buf, c->status, 12) != 0)
        count_wrong(buf + 9, expired);
    else if (expired && nlate < cap)
        late_ns[nlate++] = (int64_t)(now_ns() - c->sent_ns) - (int64_t)limit_ms * 1000000;
    c->sent_ns = 0;
}

static int by_size(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double at(double share) {
    return (double)late_ns[(size_t)(share * (double)(nlate - 1))] / 1e6;
}

static void run(client *clients, size_t n, int ep, uint64_t run_ns) {
    uint64_t start = now_ns(), now;
    struct epoll_event events[256];
    for (size_t asked = 0; (now = now_ns() - start) < run_ns;) {
        for (uint64_t due = now * n / 1000000000; asked < due; asked++)
            ask(&clients[asked % n], asked % 2 == 0);
        int got = epoll_wait(ep, events, 256, 1);
        if (got < 0 && errno != EINTR)
            die("deadline: epoll_wait");
        for (int i = 0; i < got; i++)
            answered(events[i].data.ptr);
    }
}

int main(int argc, char **argv) {
    if (argc != 5)
        return 2;
    int port = atoi(argv[1]), n = atoi(argv[2]), ep = epoll_create1(0);
    limit_ms = atoi(argv[3]);
    uint64_t seconds = strtoull(argv[4], NULL, 10);
    raise_limit((rlim_t)n + 100);
    cap = (size_t)n * (seconds + 1);
    client *clients = calloc((size_t)n, sizeof(*clients));
    late_ns = calloc(cap, sizeof(*late_ns));
    if (clients == NULL || late_ns == NULL || ep < 0)
        die("deadline");
    for (int i = 0; i < n; i++) {
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &clients[i]};
        clients[i].fd = connect_to(port);
        epoll_ctl(ep, EPOLL_CTL_ADD, clients[i].fd, &ev);
    }
    run(clients, (size_t)n, ep, seconds * 1000000000);
    if (nlate == 0) {
        fprintf(stderr, "deadline: of %zu answers none is a 504 that was due\n", nanswers);
        return 1;
    }
    qsort(late_ns, nlate, sizeof(*late_ns), by_size);
    printf("{\"answers\": %zu, \"expired\": %zu, \"wrong\": %zu, \"skipped\": %zu, ", nanswers,
           nlate, nwrong, nskipped);
    printf("\"min_ms\": %.3f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"p999_ms\": %.3f, "
           "\"max_ms\": %.3f}\n",
           at(0), at(0.5), at(0.99), at(0.999), at(1));
    free(clients);
    free(late_ns);
    return 0;
}
