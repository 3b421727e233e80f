/*
 * The floor: a bare libuv server that answers whatever it reads with the same
 * bytes. It parses nothing, so no server on libuv can use less CPU a request; what
 * a framework uses more is its own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

static const char answer[] = "HTTP/1.1 200 OK\r\n"
                             "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
                             "Content-Type: text/plain; charset=utf-8\r\n"
                             "Content-Length: 12\r\n\r\n"
                             "hello, you!\n";
static char read_buf[64 * 1024];

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *buf) {
    (void)h;
    (void)hint;
    *buf = uv_buf_init(read_buf, sizeof(read_buf));
}

static void on_close(uv_handle_t *h) {
    free(h);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf) {
    uv_buf_t out = uv_buf_init((char *)answer, sizeof(answer) - 1);
    (void)buf;
    if (n > 0)
        uv_try_write(s, &out, 1);
    else if (n < 0)
        uv_close((uv_handle_t *)s, on_close);
}

static void on_connection(uv_stream_t *server, int status) {
    uv_tcp_t *c = status < 0 ? NULL : malloc(sizeof(*c));
    if (c == NULL)
        return;
    uv_tcp_init(server->loop, c);
    uv_accept(server, (uv_stream_t *)c);
    uv_tcp_nodelay(c, 1);
    uv_read_start((uv_stream_t *)c, on_alloc, on_read);
}

int main(void) {
    uv_loop_t *loop = uv_default_loop();
    uv_tcp_t server;
    struct sockaddr_in addr;
    int len = sizeof(addr);
    uv_tcp_init(loop, &server);
    uv_ip4_addr("127.0.0.1", 0, &addr);
    if (uv_tcp_bind(&server, (struct sockaddr *)&addr, 0) < 0 ||
        uv_listen((uv_stream_t *)&server, 1024, on_connection) < 0)
        return 1;
    uv_tcp_getsockname(&server, (struct sockaddr *)&addr, &len);
    printf("listening on http://127.0.0.1:%d\n", ntohs(addr.sin_port));
    fflush(stdout);
    return uv_run(loop, UV_RUN_DEFAULT); /* until it is ended by a signal */
}
