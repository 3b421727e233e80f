/* Inside of the web layer: the engine's tables and the request object. */
#ifndef GEE_WEB_WEB_H
#define GEE_WEB_WEB_H

#include "base/spin.h"
#include "gee/contract.h"
#include "gee/panic.h"
#include "gee/sse.h"
#include "http/http.h"
#include <stdarg.h>

/* --- engine: constant while it serves --- */

typedef struct gee_link {
    gee_handler fn;
    void *arg;
} gee_link;

typedef struct gee_chain {
    gee_link *links;
    size_t n;
} gee_chain;

typedef struct gee_route_entry {
    struct gee_route_entry *next; /* of the same node: another method */
    const char *method;           /* as llhttp_method_name has it, at that address */
    char *pattern;
    struct gee_pair *params; /* names, in the order of the pattern; values are a request's own */
    size_t nparams;
    bool rest; /* the last of them is the rest of a path */
    gee_chain chain;
} gee_route_entry;

struct gee_group {
    struct gee_group *next; /* of the engine's */
    gee_engine *engine;
    struct gee_group *parent;
    char *prefix; /* the whole one */
    gee_chain own;
};

/* What goes with the engine and is not its own. */
typedef struct gee_owned {
    struct gee_owned *next;
    void *p;
    void (*free_fn)(void *p);
} gee_owned;

struct gee_engine {
    struct gee_node *tree;
    gee_group *groups; /* the root group is the last in the list */
    gee_group *root;
    gee_link on_no_route, on_no_method;
    gee_chain no_route, no_method; /* the same behind the root's middlewares */
    gee_owned *owned;
    struct gee_declared *declared; /* contracts: contract.c; the memory is owned */
    struct gee_check *checks;      /* of /readyz: health.c */
    struct gee_metrics *metrics;   /* metrics.c */
    struct gee_service *services;  /* service.c */
    struct gee_source *sources;    /* of other figures: metrics_source.c */
    struct gee_html *html;         /* its templates: html/load.c */
    const struct gee_trust *trust; /* which proxies, where no group says otherwise: clientip.c */
    _Atomic bool unready;          /* /readyz says so: it is going to be shut down */
    int error;
};

/* --- request --- */

typedef struct gee_pair {
    const char *name, *value;
} gee_pair;

typedef struct gee_pairs {
    gee_pair *at; /* in the arena */
    uint32_t n;
    bool parsed;
} gee_pairs;

/* A key and its value: constant, shared by a request and its copies, freed by the last of them. */
typedef struct gee_box {
    _Atomic int refs;
    bool small; /* its memory is a pool's */
    void *value;
    void (*free_value)(void *);
    char key[];
} gee_box;

typedef struct gee_keys {
    gee_spin lock; /* over the others: sub-tasks use the keys too */
    gee_box **at;
    size_t n, cap;
} gee_keys;

/* The sub-tasks of a request: spawn.c. Zeroed is ready. */
typedef struct gee_subs {
    bool used; /* there has been one; the request's task's alone */
    gee_waitgroup running;
    gee_spin lock;   /* over the others */
    gee_list untold; /* those whose ctx nobody has cancelled yet */
    int err;         /* of the first that failed; 0 again when it was reported */
} gee_subs;

/* Who has the request beside its own tasks: refs.c. Zeroed is ready. */
typedef struct gee_refs {
    bool used; /* there has been one */
    gee_waitgroup held;
} gee_refs;

/* A copy (copy.c) has no connection: x.conn is NULL, and x.head_sent is set. */
struct gee_req {
    gee_exchange x; /* first: it is what the http layer made */
    gee_engine *engine;
    gee_ctx *ctx;

    const gee_route_entry *route;
    gee_pair *params;
    gee_pairs query, form, cookies;
    gee_keys keys;
    json_t *json;                  /* the body, once it was parsed */
    const char *remote;            /* once it was asked for */
    const char *client;            /* the same; clientip.c */
    const struct gee_trust *trust; /* of the innermost group that has it; NULL: the engine's */
    bool multipart;                /* the body was opened as one */
    bool aborted;

    const gee_chain *chain;
    size_t at;        /* the link that runs */
    size_t reached;   /* how many were started */
    gee_cleanup over; /* at the end of the request, however it ends */
    gee_subs subs;
    gee_refs refs;
    struct gee_timeout *timeouts; /* around the link that runs, the innermost first */
};

enum { GEE_MAX_PARAMS = 16, GEE_MAX_SEGMENTS = 64 };

/* path.c: a path as its decoded segments, each zero-terminated, one behind the other. */
typedef struct gee_path {
    char *segments;
    const char *end; /* the zero of the last one */
    size_t n;
    uint32_t len[GEE_MAX_SEGMENTS]; /* of the first n */
} gee_path;

/* 0 or a status: 400 for a bad escape or a dot segment, 503. */
int gee_path_parse(gee_arena *a, const char *target, gee_path *out);
/* Decodes %xx, and + if plus; in place. The new length, or -1: a bad escape or a zero byte. */
ssize_t gee_unescape(char *s, size_t n, bool plus);

/* router.c */
struct gee_node *gee_node_new(const char *segment, size_t len);
void gee_node_free(struct gee_node *n);
/* Takes over r. 0, UV_EINVAL, UV_ENOMEM, or UV_EEXIST and the route that is there in *taken. */
int gee_router_add(struct gee_node *tree, gee_route_entry *r, const gee_route_entry **taken);
/* The route; or NULL, with 404 or 405 in *status and, for 405, the methods in allow. */
const gee_route_entry *gee_router_find(const struct gee_node *tree, const char *method,
                                       const gee_path *path, const char **values, int *status,
                                       char *allow, size_t allow_size);
void gee_route_free(gee_route_entry *r);
/* Calls fn for each route of the tree, in no order. */
void gee_router_each(const struct gee_node *tree, void (*fn)(const gee_route_entry *r, void *arg),
                     void *arg);

/* The patterns of those two chains, where they are listed. */
#define GEE_NO_ROUTE  "(no route)"
#define GEE_NO_METHOD "(no method)"

/* engine.c: from a request's exchange to its chain, and what has to be undone behind it. */
void gee_req_serve(gee_req *req, const gee_chain *chain);

/* service.c: of e, under ctx. 0, or UV_ENOMEM: none runs. Each start has its end. */
int gee_services_start(gee_engine *e, gee_ctx *ctx);
void gee_services_end(gee_engine *e, uint64_t deadline_ns);

/* where.c: where t and its family, on this worker, stand: a line each. */
void gee_where(gee_buf *out, const gee_task *t);

/* params.c */
/* values point into the segments, which end (with the last one's zero) at `end`. */
int gee_params_keep(gee_req *req, const gee_route_entry *r, const char *const *values,
                    const char *end);

/* spawn.c: tells all that run. */
void gee_subs_cancel(gee_subs *subs, int cause);
/* late.c: behind the handlers; when it returns no sub-task is left. */
void gee_subs_end(gee_req *req, bool panicked);
/* Waits for GEE_JOIN_MS; false: it has not come to zero. */
bool gee_ends_soon(gee_waitgroup *wg);
/* Answers, with a 500 if `failed`, and lets the connection go on without the request. */
void gee_req_leave(gee_req *req, bool failed);

/* refs.c: behind the handlers and the sub-tasks; when it returns nobody has the request. */
void gee_refs_end(gee_req *req, bool panicked);

/* box.c: the memory, with room for a key, zero included; and a reference that is given up. */
gee_box *gee_box_alloc(size_t key_size); /* NULL: there is none */
void gee_box_free(gee_box *box);
bool gee_box_is_last(gee_box *box);

/* keys.c */
gee_box *gee_box_ref(gee_box *box);
void gee_box_unref(gee_box *box);
void gee_keys_free(gee_keys *keys);

/* text.c */
/* As vsnprintf, but without the zero, and of %s, %d and %% alone. -1: it has others, or no room. */
int gee_text_plain(char *to, size_t room, const char *fmt, va_list ap);

/* upload.c */
struct gee_multipart;
gee_req *gee_multipart_req(struct gee_multipart *mp);

/* chain.c */
int gee_chain_add(gee_chain *c, gee_handler fn, void *arg);
int gee_chain_join(gee_chain *c, const gee_chain *tail);
void gee_chain_run(gee_req *req, const gee_chain *chain);

/* contract.c */
const gee_contract *gee_contract_of(const gee_engine *e, gee_handler fn); /* NULL: none */
/* 0, or UV_EINVAL, said and kept: a contract of the chain is broken. */
int gee_contract_check(gee_engine *e, const char *method, const char *pattern,
                       const gee_chain *chain);

/* group.c: the first error of a registration is said and kept for gee_listen; returns rc. */
int gee_engine_failed(gee_engine *e, int rc, const char *what, const char *name);
/* The whole chain of a route of g that ends in fn. */
int gee_group_chain(const gee_group *g, gee_handler fn, void *arg, gee_chain *out);

#endif
