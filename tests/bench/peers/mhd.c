/* libmicrohttpd: a callback for each request, on one thread with epoll. */
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static unsigned long requests;

/* No router and no middlewares: what it has of them is what is written here. */
static enum MHD_Result answer(void *arg, struct MHD_Connection *c, const char *url,
                              const char *method, const char *version, const char *data, size_t *n,
                              void **state) {
    static const char prefix[] = "/hello/";
    char text[128];
    (void)arg;
    (void)method;
    (void)version;
    (void)data;
    (void)n;
    if (*state == NULL) { /* the head alone: it is called again for the answer */
        *state = &requests;
        return MHD_YES;
    }
    requests++;
    bool found = strncmp(url, prefix, sizeof(prefix) - 1) == 0;
    int len = found ? snprintf(text, sizeof(text), "hello, %s!\n", url + sizeof(prefix) - 1) : 0;
    struct MHD_Response *r =
        MHD_create_response_from_buffer((size_t)len, text, MHD_RESPMEM_MUST_COPY);
    MHD_add_response_header(r, "Content-Type", "text/plain; charset=utf-8");
    enum MHD_Result rc = MHD_queue_response(c, found ? 200 : 404, r);
    MHD_destroy_response(r);
    return rc;
}

int main(void) {
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct MHD_Daemon *d = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_TURBO, 0, NULL, NULL, answer,
        NULL, MHD_OPTION_SOCK_ADDR, &addr, MHD_OPTION_CONNECTION_LIMIT, 1000u, MHD_OPTION_END);
    const union MHD_DaemonInfo *info = d ? MHD_get_daemon_info(d, MHD_DAEMON_INFO_BIND_PORT) : NULL;
    if (info == NULL)
        return 1;
    printf("listening on http://127.0.0.1:%d\n", info->port);
    fflush(stdout);
    for (;;) /* until it is ended by a signal */
        pause();
}
