#include "t_site.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void visit(gee_ctx *ctx, void *arg) {
    const t_site *site = arg;
    gee_server *srv;
    gee_engine *e = gee_engine_new();
    site->routes(gee_root(e));
    int rc = gee_listen(e, "127.0.0.1", 0, site->limits, &srv);
    if (rc < 0) {
        gee_engine_free(e);
        T_FAIL("gee_listen: %s", t_err(rc));
    }
    int port = gee_server_port(srv);
    t_conn *c = gee_simulated() ? t_dial(port, site->capacity) : NULL;
    site->body(ctx, c, port);
    if (c)
        t_close(ctx, c);
    rc = gee_server_shutdown(srv);
    if (rc != UV_ETIMEDOUT) /* then a request that is left may still use it */
        gee_engine_free(e);
    T_RC(rc, 0);
}

void t_site_sim(const t_site *site) {
    t_sim(visit, (void *)site);
}

void t_site_once(const t_site *site) {
    gee_config cfg = {.sim = true};
    t_run(&cfg, 0, visit, (void *)site);
}

void t_site_real(int workers, const t_site *site) {
    t_real(workers, visit, (void *)site);
}

static char *request_head(const char *method, const char *target, const char *lines) {
    static const char form[] = "%s %s HTTP/1.1\r\nHost: test\r\n%s\r\n";
    size_t n = sizeof(form) + strlen(method) + strlen(target) + strlen(lines);
    char *text = malloc(n);
    snprintf(text, n, form, method, target, lines);
    return text;
}

int t_ask(gee_ctx *ctx, t_conn *c, const char *method, const char *target, const char *lines) {
    char *head = request_head(method, target, lines);
    int rc = t_puts(ctx, c, head);
    free(head);
    return rc < 0 ? rc : t_response(ctx, c);
}

int t_post(gee_ctx *ctx, t_conn *c, const char *target, const char *type, const char *text) {
    char lines[256];
    snprintf(lines, sizeof(lines), "Content-Type: %s\r\nContent-Length: %zu\r\n", type,
             strlen(text));
    char *head = request_head("POST", target, lines);
    int rc = t_puts(ctx, c, head);
    free(head);
    if (rc == 0 && *text)
        rc = t_puts(ctx, c, text);
    return rc < 0 ? rc : t_response(ctx, c);
}
