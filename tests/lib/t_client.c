#include "t_client.h"
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct command {
    char text[1024];
    char *out;
    size_t size;
    int status;
};

static void run_command(void *arg) {
    struct command *c = arg;
    size_t n = 0;
    int byte;
    FILE *f = popen(c->text, "r");
    if (f == NULL)
        return;
    while ((byte = getc(f)) != EOF)
        if (n + 1 < c->size)
            c->out[n++] = (char)byte;
    c->out[n] = '\0';
    int status = pclose(f);
    c->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int t_shell(gee_ctx *ctx, char *out, size_t size, const char *fmt, ...) {
    struct command c = {.out = out, .size = size, .status = -1};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(c.text, sizeof(c.text), fmt, ap);
    va_end(ap);
    *out = '\0';
    gee_blocking(ctx, run_command, &c);
    return c.status;
}

int t_sock_dial(int port, int rcvbuf) {
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = 20};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (rcvbuf)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
    if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
        return fd;
    close(fd);
    return -1;
}

int t_sock_puts(int fd, const char *text) {
    size_t n = strlen(text);
    return send(fd, text, n, MSG_NOSIGNAL) == (ssize_t)n ? 0 : -1;
}

ssize_t t_sock_until(int fd, char *buf, size_t size, const char *what) {
    size_t n = 0;
    ssize_t got = 1;
    buf[0] = '\0';
    while (n + 1 < size && strstr(buf, what) == NULL && got > 0) {
        got = recv(fd, buf + n, size - 1 - n, 0);
        n += got > 0 ? (size_t)got : 0;
        buf[n] = '\0';
    }
    return (ssize_t)n;
}

void t_census_rest(gee_ctx *ctx, gee_census *out) {
    gee_census_take(out);
    for (int i = 0; i < 5000 && out->tasks > 1; i++) {
        gee_sleep(ctx, 1);
        gee_census_take(out);
    }
}

const char *t_census_settles(gee_ctx *ctx, const gee_census *base, uint64_t ms, char *buf,
                             size_t size) {
    gee_census now;
    uint64_t until = gee_now_ms() + ms;
    do {
        gee_sleep(ctx, 5);
        gee_census_take(&now);
        t_census_diff(base, &now, buf, size);
    } while (*buf && gee_now_ms() < until);
    return buf;
}

int t_curl_setup(void **state) {
    (void)state;
    return curl_global_init(CURL_GLOBAL_NOTHING) == CURLE_OK ? 0 : -1;
}
