/*
 * The rows of tests/lib/t_wire.c on real sockets. A client that is refused goes on
 * sending, a mebibyte, as one does in the middle of a body: the answer comes all the
 * same, whole, and behind it an end and not a reset.
 */
#include "t_client.h"
#include "t_site.h"
#include "t_wire.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MORE = 1024 * 1024, PIECE = 16 * 1024 };

typedef struct client {
    const t_wire *row;
    int port;
    char text[16 * 1024];
    size_t n;
    int err; /* errno of what failed first */
} client;

static bool send_all(client *c, int fd, const char *data, size_t n) {
    while (n > 0 && c->err == 0) {
        ssize_t done = send(fd, data, n, MSG_NOSIGNAL);
        if (done < 0)
            c->err = errno;
        else
            data += done, n -= (size_t)done;
    }
    return c->err == 0;
}

static void talk(void *arg) {
    static const char more[PIECE] = {'x'};
    client *c = arg;
    bool close_after = strstr(c->row->answers, "close") != NULL;
    bool refused = close_after && strstr(c->row->answers, "200 close") == NULL;
    int fd = t_sock_dial(c->port, 0);
    send_all(c, fd, c->row->bytes, c->row->n);
    for (size_t sent = 0; refused && sent < MORE; sent += PIECE)
        send_all(c, fd, more, PIECE);
    if (!refused)
        shutdown(fd, SHUT_WR);
    for (ssize_t got = 1; got > 0 && c->err == 0; c->n += got > 0 ? (size_t)got : 0) {
        got = recv(fd, c->text + c->n, sizeof(c->text) - 1 - c->n, 0);
        if (got < 0)
            c->err = errno;
    }
    c->text[c->n] = '\0';
    close(fd);
}

static bool has(const char *head, const char *end, const char *line) {
    const char *at = strstr(head, line);
    return at && at < end;
}

/* One answer of that status at `at`; what is behind it, or NULL. */
static const char *answer(const char *at, int status, bool last) {
    const char *end = strstr(at, "\r\n\r\n"), *length = strstr(at, "\r\nContent-Length: ");
    if (strncmp(at, "HTTP/1.1 ", 9) != 0 || atoi(at + 9) != status || end == NULL)
        return NULL;
    bool counted = length && length < end;
    size_t n = counted ? strtoul(length + 18, NULL, 10) : 0;
    if (counted == (status == 204) || !has(at, end, "\r\nDate: ") ||
        has(at, end, "\r\nConnection: close\r\n") != last || strlen(end + 4) < n)
        return NULL;
    return end + 4 + n;
}

static const t_wire *row; /* one test at a time */

static void body(gee_ctx *ctx, t_conn *conn, int port) {
    client c = {.row = row, .port = port};
    const char *at = c.text, *want = row->answers;
    int status;
    (void)conn;
    gee_blocking(ctx, talk, &c);
    if (c.err)
        T_FAIL("%s: %s; \"%s\"", row->name, strerror(c.err), c.text);
    while ((status = (int)strtol(want, (char **)&want, 10)) != 0) {
        at = answer(at, status, strcmp(want, " close") == 0);
        if (at == NULL)
            T_FAIL("%s: no proper %d in \"%s\"", row->name, status, c.text);
    }
    T_STR(at, "");
}

static void test(void **state) {
    row = *state;
    t_site_real(1, &(t_site){t_wire_routes, body, &t_wire_limits, 0});
}

int main(int argc, char **argv) {
    return t_wire_main("bad input on sockets", test, argc, argv);
}
