/*
 * A test of one server: its routes, and a body that talks to it, in simulation over
 * a connection that is there already. Both are closed behind the body, also when a
 * check failed in it.
 */
#ifndef GEE_TESTS_T_SITE_H
#define GEE_TESTS_T_SITE_H

#include "t_http.h"

typedef struct t_site {
    void (*routes)(gee_group *root);
    void (*body)(gee_ctx *ctx, t_conn *c, int port);
    const gee_limits *limits; /* NULL: the defaults */
    size_t capacity;          /* of the connection, as for t_dial */
} t_site;

/* With the seeds of t_sim(). */
void t_site_sim(const t_site *site);
/* First come, first served, only: for what takes long. */
void t_site_once(const t_site *site);

/* On real sockets: c is NULL. */
void t_site_real(int workers, const t_site *site);

/* A request with these header lines (each with its \r\n), and what t_response says. */
int t_ask(gee_ctx *ctx, t_conn *c, const char *method, const char *target, const char *lines);
/* A POST of text, of that type. */
int t_post(gee_ctx *ctx, t_conn *c, const char *target, const char *type, const char *text);

/* A test that is one site, whose body is name_body. */
#define T_SITE(name, routes) T_SITE_WITH(name, routes, NULL, 0)
#define T_SITE_WITH(name, routes, limits, capacity)                   \
    static void name(void **state) {                                  \
        (void)state;                                                  \
        t_site_sim(&(t_site){routes, name##_body, limits, capacity}); \
    }

#endif
