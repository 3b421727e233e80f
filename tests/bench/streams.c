/*
 * Opens N streams and holds them: streams PORT N PATH. Says "open" when every one has had its
 * head. When it reads a line it closes them all, one after the other, and says for each its port
 * and when it began to close it: "PORT NS", on the monotonic clock. It also ends when its stdin
 * does. Nothing here waits for the server longer than 30 seconds.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

typedef struct stream {
    int fd, port;
    uint64_t closed_ns;
} stream;

static uint64_t now_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void connect_to(stream *s, int port) {
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)}, own;
    struct timeval limit = {.tv_sec = 30};
    socklen_t len = sizeof(own);
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(s->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)); /* connect too */
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (s->fd < 0 || connect(s->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
        getsockname(s->fd, (struct sockaddr *)&own, &len) < 0) {
        perror("streams: connect");
        exit(1);
    }
    s->port = ntohs(own.sin_port);
}

static void raise_limit(rlim_t n) {
    struct rlimit l;
    getrlimit(RLIMIT_NOFILE, &l);
    if (l.rlim_cur < n)
        l.rlim_cur = n < l.rlim_max ? n : l.rlim_max;
    setrlimit(RLIMIT_NOFILE, &l);
}

static void open_all(stream *all, int n, int port, const char *path) {
    char head[256], buf[1024];
    int len = snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: bench\r\n\r\n", path);
    for (int i = 0; i < n; i++) {
        connect_to(&all[i], port);
        if (write(all[i].fd, head, (size_t)len) != len)
            exit(1);
    }
    for (int i = 0; i < n; i++) {
        if (read(all[i].fd, buf, sizeof(buf)) < 15 || memcmp(buf, "HTTP/1.1 200 OK", 15) != 0) {
            fprintf(stderr, "streams: no stream %d\n", i);
            exit(1);
        }
    }
}

static void close_all(stream *all, int n) {
    for (int i = 0; i < n; i++) {
        all[i].closed_ns = now_ns();
        close(all[i].fd);
    }
    for (int i = 0; i < n; i++)
        printf("%d %llu\n", all[i].port, (unsigned long long)all[i].closed_ns);
}

int main(int argc, char **argv) {
    char line[16];
    if (argc != 4)
        return 2;
    int n = atoi(argv[2]);
    raise_limit((rlim_t)n + 100);
    stream *all = calloc((size_t)n, sizeof(*all));
    if (all == NULL)
        return 1;
    open_all(all, n, atoi(argv[1]), argv[3]);
    printf("open\n");
    fflush(stdout);
    if (fgets(line, sizeof(line), stdin))
        close_all(all, n);
    free(all);
    return 0;
}
