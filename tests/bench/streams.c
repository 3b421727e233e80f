/*
 * Opens N streams and holds them: streams PORT N PATH. Says "open" when every one
 * has had its head, and closes them all when its stdin ends. Nothing here waits for
 * the server longer than 30 seconds.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static int connect_to(int port) {
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct timeval limit = {.tv_sec = 30};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)); /* connect too */
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
        return fd;
    perror("streams: connect");
    exit(1);
}

static void raise_limit(rlim_t n) {
    struct rlimit l;
    getrlimit(RLIMIT_NOFILE, &l);
    if (l.rlim_cur < n)
        l.rlim_cur = n < l.rlim_max ? n : l.rlim_max;
    setrlimit(RLIMIT_NOFILE, &l);
}

int main(int argc, char **argv) {
    if (argc != 4)
        return 2;
    int port = atoi(argv[1]), n = atoi(argv[2]);
    char head[256], buf[1024];
    raise_limit((rlim_t)n + 100);
    int *fds = calloc((size_t)n, sizeof(int));
    int len = snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: bench\r\n\r\n", argv[3]);
    for (int i = 0; fds && i < n; i++) {
        fds[i] = connect_to(port);
        if (write(fds[i], head, (size_t)len) != len)
            return 1;
    }
    for (int i = 0; fds && i < n; i++) {
        if (read(fds[i], buf, sizeof(buf)) < 15 || memcmp(buf, "HTTP/1.1 200 OK", 15) != 0) {
            fprintf(stderr, "streams: no stream %d\n", i);
            return 1;
        }
    }
    printf("open\n");
    fflush(stdout);
    while (read(0, buf, sizeof(buf)) > 0)
        ;
    free(fds);
    return 0; /* which closes them */
}
