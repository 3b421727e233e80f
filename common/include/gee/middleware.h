/*
 * Middlewares for every server: access log, slow log, request id, basic auth, CORS, body limit,
 * rate limit, idle timeout.
 *
 * Each gee_use_… adds one to a group, for the routes that are registered after it; it
 * copies what it is given (strings too) and leaves the copy to the engine. opt may be
 * NULL, and 0 or NULL in it stands for the default. Each returns 0, UV_EINVAL: such
 * options make no sense, or UV_ENOMEM. Call before gee_listen.
 */
#ifndef GEE_MIDDLEWARE_H
#define GEE_MIDDLEWARE_H

#include "gee/engine.h"
#include "gee/req.h"

/* An engine with an access log on stderr and with recovery: gin.Default(). NULL: no memory. */
gee_engine *gee_engine_default(void);

/* --- access log --- */

enum gee_log_format {
    GEE_LOG_COMBINED, /* NCSA combined: the common format, then "referer" and "user agent" */
    GEE_LOG_COMMON,   /* host ident user [time] "request" status bytes */
    GEE_LOG_GEE,      /* the combined format, then the request's id and its duration in ms */
};

typedef struct gee_logger_options {
    enum gee_log_format format;
    int fd; /* 0: stderr. Each line is one write, so workers and processes do not mix theirs;
             * it blocks where the descriptor does. -1: none is written */

    /* Is given each line, too, with its line end, in the request's task; may park. n is 0 where
     * there was no memory for the line. NULL: nobody is. */
    void (*line)(gee_req *req, int status, const char *line, size_t n, void *arg);
    void *arg;
} gee_logger_options;

/*
 * Logs each request when the handlers behind it have ended, however they end. What comes
 * from the client is escaped as in Apache's log: \" \\ and \xhh. The status is
 * 499 if the client was gone before it could be answered, 500 if a panic went by. Requests
 * that were refused before they were routed (docs/http.md) reach no middleware and no log.
 */
int gee_use_logger(gee_group *g, const gee_logger_options *opt);

/* --- slow log --- */

typedef struct gee_slow_log_options {
    uint64_t after_ms; /* 0: 1,000 */
    uint64_t every_ms; /* 0: 10,000 */
    int fd;            /* 0: stderr; as for the access log */
} gee_slow_log_options;

/*
 * Says of a request that has been running for after_ms, and again every every_ms while it
 * does: since when, and where its task is parked, as /debug/tasks does, so that what
 * is stuck is in the log before anybody asks:
 *   gee: slow [time] "GET /report" 1.0 s: task 7, sleep 1.0 s at report.c:41
 * If the ctx of the request has ended meanwhile, that, and why; and the request's id. It costs a
 * task, a ctx and a timer a request, which are gone when the handlers behind it have ended,
 * however they end.
 */
int gee_use_slow_log(gee_group *g, const gee_slow_log_options *opt);

/* --- request id --- */

typedef struct gee_request_id_options {
    const char *header; /* NULL: "X-Request-ID" */
    bool distrust;      /* do not take the client's */
} gee_request_id_options;

/*
 * Gives each request an id: the one in the header if it has 1 to 64 letters, digits and
 * any of -_.:/+= , else 32 hex digits from the kernel's random numbers (in simulation
 * from the seed). The response has it in the same header.
 */
int gee_use_request_id(gee_group *g, const gee_request_id_options *opt);
/* NULL: no such middleware was in front. A copy of the request has it too. */
const char *gee_request_id(gee_req *req);

/* --- basic auth (RFC 7617) --- */

typedef struct gee_account {
    const char *user, *password;
} gee_account;

typedef struct gee_basic_auth_options {
    const char *realm;           /* NULL: "restricted" */
    const gee_account *accounts; /* ended by an account whose user is NULL */
    /* Asked instead of the accounts, if it is set; may park. */
    bool (*check)(gee_req *req, const char *user, const char *password, void *arg);
    void *arg;
} gee_basic_auth_options;

/*
 * Lets pass who has the password; everyone else gets 401 and the challenge. The time that
 * a comparison takes says nothing about how much of it was right, or whether the user
 * exists. A password goes over the wire as it is: use it behind TLS.
 */
int gee_use_basic_auth(gee_group *g, const gee_basic_auth_options *opt);
/* Who passed; NULL: nobody was asked. A copy of the request has it too. */
const char *gee_auth_user(gee_req *req);

/* --- CORS (WHATWG Fetch, 3.2) --- */

typedef struct gee_cors_options {
    const char *origins; /* "https://a.example, https://b.example"; NULL or "*": any */
    const char *methods; /* NULL: "GET, HEAD, POST, PUT, PATCH, DELETE" */
    const char *headers; /* that a request may have; NULL: those it asks for */
    const char *expose;  /* that a script may read; NULL: none */
    bool credentials;    /* not with any origin: UV_EINVAL */
    int max_age_s;       /* how long a preflight holds; 0: 600; -1: not at all */
} gee_cors_options;

/*
 * Answers preflights with 204 and lets scripts of these origins read what the others
 * answer. A preflight is an OPTIONS request for a path whose routes have other methods,
 * so it is the root group that sees it: use this on the root. A request without Origin
 * passes; one of another origin passes too, and it is its browser that keeps the answer
 * from the script.
 */
int gee_use_cors(gee_group *g, const gee_cors_options *opt);

/* --- body limit --- */

/*
 * The bodies of these requests have at most n bytes, instead of the server's body_bytes,
 * which is for all and may not be passed: raise that one, and use this on the groups that
 * need less. 413: at once where Content-Length says so; otherwise from gee_body_status,
 * for whoever reads.
 */
int gee_use_body_limit(gee_group *g, uint64_t n);

/* --- rate limit --- */

typedef struct gee_rate_limit_options {
    double per_second; /* 0: 10 */
    double burst;      /* tokens that gather while nobody asks; 0: per_second, at least 1 */
    size_t max_keys;   /* 0: 10,000; then the one that was unused longest is forgotten */
    /* Who is to be limited; NULL from it: not this one. By default the client's address,
     * without its port; of IPv6 its /64, which is what one client has. The string is
     * copied. */
    const char *(*key)(gee_req *req);
} gee_rate_limit_options;

/*
 * A bucket of tokens for each key: it gains per_second, holds burst, and a request takes
 * one. Without a token: 429, and Retry-After in seconds. The limit is that of the process,
 * all workers together. It has no task and no timer: a bucket is filled when it is asked.
 */
int gee_use_rate_limit(gee_group *g, const gee_rate_limit_options *opt);

/* --- idle timeout --- */

/*
 * Ends a request over whose connection no byte has gone, in either direction, for ms (more
 * than 0): its ctx is cancelled with the cause UV_ETIMEDOUT. A client that has stalled in the
 * middle of its body gets a 408; else what the handlers then answer is sent, and if they
 * answer nothing, or what they answer is not taken, the connection is cut.
 *
 * Nobody asks whose fault the silence is: a handler that computes for so long before it
 * writes anything is ended too. A stream keeps going by its heartbeat (gee_sse_heartbeat).
 * A timer looks when the time could be over, so a byte costs nothing. What a client takes
 * of bytes that are on their way already is seen only then: one that takes nothing is
 * ended within twice the time.
 */
int gee_use_idle_timeout(gee_group *g, uint64_t ms);

#endif
