/*
 * Inside of the HTTP layer.
 *
 * A connection (gee_conn) is read by its worker's loop, all the time, so that a
 * client that leaves is seen while the handler sleeps. llhttp fills an exchange:
 * one request and its response. When its head is complete, a task is started,
 * which serves this exchange and those that were pipelined behind it, and ends
 * when nothing more is waiting; an idle connection has no task and no stack.
 *
 * Who touches what: the loop reads and parses, the task handles and writes, and
 * both are of one worker and never run at the same time. While an exchange is
 * being served the parser only adds to its body; the next head is parsed when
 * the task asks for it, and until then the bytes wait in `in`, bounded.
 */
#ifndef GEE_HTTP_HTTP_H
#define GEE_HTTP_HTTP_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "ctx/ctx.h"
#include "gee/http.h"
#include "gee/sync.h"
#include "runtime/park.h"
#include "runtime/timer.h"
#include "runtime/transport.h"
#include <llhttp.h>

enum {
    GEE_BODY_BUFFER = 64 * 1024,  /* of a body, before reading stops */
    GEE_IN_BUFFER = 64 * 1024,    /* of pipelined requests, before reading stops */
    GEE_IN_A_ROW = 16,            /* of these, served before other tasks have their turn */
    GEE_OUT_BUFFER = 16 * 1024,   /* of a response, before it is sent */
    GEE_WRITE_PIECE = 256 * 1024, /* has to be taken within write_ms */
    GEE_FILTER_WHOLE = 64 * 1024, /* of a body that is filtered at once, to know its length */
    GEE_DISCARD = 256 * 1024,     /* of a body nobody read, before the connection is given up */
    GEE_CHUNK_HEAD = 6,           /* "0000\r\n" */
    GEE_LINGER_MS = 1000,         /* for a client to read the last response */
};

#define GEE_UNKNOWN SIZE_MAX

typedef struct gee_conn gee_conn;

typedef struct gee_field {
    const char *name, *value; /* zero-terminated; name in the case in which it came */
    uint32_t name_len, value_len;
} gee_field;

typedef struct gee_fields {
    gee_field *at; /* in the arena */
    size_t n, cap;
} gee_fields;

/* filter.c: what the body goes through before it is framed. */
enum gee_filter_how { GEE_FILTER_MORE, GEE_FILTER_FLUSH, GEE_FILTER_END };
#define GEE_ANY_LENGTH UINT64_MAX

typedef struct gee_filter gee_filter;
struct gee_filter {
    /*
     * The head is going to be made, of a body of n bytes, or GEE_ANY_LENGTH: nobody knows
     * yet. It may set header fields. False: the body stays as it is; so it has to be where there is
     * none, for HEAD or a 304. Called again if the response was taken back.
     */
    bool (*begin)(gee_filter *f, uint64_t n);
    /*
     * Takes from *data and *n, and puts what comes of it into out: how many bytes, or an
     * error. If that is all of the room there may be more, else it has taken everything.
     */
    ssize_t (*step)(gee_filter *f, const char **data, size_t *n, enum gee_filter_how how, char *out,
                    size_t room);
    void (*free)(gee_filter *f); /* once, with the exchange, however that ends */
};

typedef struct gee_exchange {
    gee_conn *conn;
    gee_arena *arena;  /* the connection's; reset when the exchange is over */
    gee_ctx *ctx;      /* ends when the exchange is over, or its client has gone */
    uint64_t start_ns; /* when its task began with it */

    /* The request's head: written by the parser, constant in the task. */
    const char *method;
    char *target; /* as it came, zero-terminated */
    size_t target_len;
    gee_fields fields;
    void (*instead)(struct gee_exchange *x, void *arg); /* answers in place of the handler */
    void *instead_arg;
    int reject; /* a status: this request is refused without asking the handler */
    int minor;  /* HTTP/1.x */
    enum { GEE_IN_NAME, GEE_IN_VALUE } field_part;
    bool keep_alive, expect_continue, chunked;

    /* The request's body: the loop adds, the task takes. */
    gee_buf body;
    uint64_t body_len; /* so far */
    uint64_t body_max; /* the server's limit, or a lower one of the handler's */
    gee_park *reader;
    int body_err; /* what a reader gets after `body`: UV_EPROTO, UV_E2BIG, UV_ETIMEDOUT, … */
    bool head_done, complete; /* complete: the whole message was parsed */

    /* The response: the task's. */
    gee_fields out_fields;
    int status;
    enum { GEE_FRAME_LENGTH, GEE_FRAME_CHUNKED, GEE_FRAME_CLOSE } frame : 8;
    bool head_sent, ended;
    bool on_wire; /* some of it has left the buffer: it cannot be taken back */
    bool broken;  /* its end will not come: the connection ends with it, without one */
    bool late;    /* it was answered by somebody else: takeover.c */
    bool endless; /* it has no end of its own: a shutdown does not wait for it */
    bool chunk_open, announced;
    bool filtering, unflushed; /* unflushed: the filter has bytes that a flush would bring out */
    size_t out_at;             /* where it begins in the buffer */
    size_t chunk_at;           /* where the chunk's data begin, in what is unsent */
    uint64_t sent;             /* bytes of the body, in front of the filter */
    uint64_t length;           /* of it, if it was announced before it was written */
    gee_filter *filter;        /* NULL: none */
} gee_exchange;

/* The scanner of wire.c. */
typedef struct gee_wire {
    uint8_t state;
    bool in_body, trailer;
    bool line_done;  /* the request line */
    bool unknown;    /* its method; it is refused when the line is complete */
    uint16_t status; /* != 0: what comes next is refused with it */
    unsigned n;      /* bytes in this state */
    size_t total;    /* of the head; or of extensions and trailers */
    uint64_t left;   /* of a chunk */
} gee_wire;

/* There is one from the first byte of a message to its last. */
typedef struct gee_parser {
    llhttp_t llhttp;
    gee_wire wire;
} gee_parser;

typedef struct gee_piece {
    size_t at, n;
} gee_piece;

/* What serves: the layer above. Its request object begins with a gee_exchange. */
typedef struct gee_http_handler {
    size_t size; /* of that object; it is zeroed */
    void (*serve)(gee_exchange *x, void *arg);
    void *arg;
} gee_http_handler;

/* A server has one part on each worker. */
typedef struct gee_server_part {
    gee_server *srv;
    gee_worker *worker;
    gee_ctx *ctx; /* parent of the requests' */
    gee_listener listener;
    gee_list conns;
    gee_list link; /* in its worker's list, while it listens */
    bool listening;
} gee_server_part;

struct gee_server {
    gee_http_handler handler;
    gee_limits limits;
    int port, nparts;
    _Atomic bool draining;
    _Atomic int refs; /* who shut it down, and each part's listener and connections */
    gee_waitgroup conns;
    gee_server_part *parts;
};

enum gee_deadline { GEE_NO_DEADLINE, GEE_HEAD, GEE_IDLE, GEE_BODY, GEE_LINGER };

struct gee_conn {
    gee_server_part *part;
    gee_worker *worker;
    gee_io *io; /* NULL once it is closed */
    gee_list link;
    int refs;                       /* io, task */
    enum gee_deadline deadline : 8; /* what the timer below is for */
    bool lingering;

    /* Reading: the loop's; also the task's, between two exchanges. */
    gee_parser *parser;
    gee_arena arena;
    gee_exchange *x; /* being parsed or served */
    gee_buf in;      /* not parsed yet */
    int gone;        /* the client: UV_EOF, it sends no more; else an error, it is not there */
    bool reading;
    bool broken;   /* no more to parse: bad input, or an upgrade */
    bool had_head; /* of one request at least */
    bool serving;  /* there is a task: */
    gee_task *task;

    /* Writing: the task's. */
    gee_buf out;
    gee_park *writer;
    int write_status;
    bool writing, written;
    bool close_after; /* the exchange that is being served is the last */
    bool closing;

    /* One timer for all deadlines, deadline.c: it may ring early, and then looks here. */
    gee_timer timer;
    uint64_t deadline_ns, write_ns; /* a body may be read while a response is written */

    uint64_t moved_ns; /* when a byte last went over it, in either direction */
    uint64_t quiet_ns; /* until then its silence is meant, and is nobody's */
    size_t unsent;     /* when it was last asked; GEE_UNKNOWN: more has been written since */
};

/* conn.c */
/* Of that part, with one reference and no io yet. NULL: no memory. */
gee_conn *gee_conn_new(gee_server_part *part);
void gee_conn_accept(gee_listener *l, gee_io *io);
void gee_conn_resume_reading(gee_conn *c);
void gee_conn_idle(gee_conn *c); /* the next message, or the rest of one, is waited for */
void gee_conn_wake_reader(gee_exchange *x); /* of its body: there is news for it, if it waits */
/* Closes now. Whoever is parked on the connection is woken with an error. */
void gee_conn_close(gee_conn *c);
/* Closes, and the client reads an error and not an end. */
void gee_conn_reset(gee_conn *c);
/* Closes so that the client can still read what was sent, though it sends more itself. */
void gee_conn_linger(gee_conn *c);
void gee_conn_unref(gee_conn *c);
/* The client is gone for good: err tells the request's ctx why. */
void gee_conn_lost(gee_conn *c, int err);
/* Tells the exchange that its client has half-closed, if it has. */
void gee_conn_tell_gone(gee_conn *c);
/*
 * When a byte last went over it, in either direction. What the client takes of bytes that are on
 * their way is only seen by asking here: in time when it has taken some since the last
 * time; the first time after a write it gets the benefit of the doubt. While it is meant to be
 * quiet this is now.
 */
uint64_t gee_conn_moved_ns(gee_conn *c);
/* The client's address as text; "" when the connection is closed. */
void gee_conn_peer(const gee_conn *c, char *buf, size_t size);

/* deadline.c */
/*
 * What the client owes from now on, and by when; it replaces what was owed before. Without
 * memory for the timer the connection is lost.
 */
void gee_conn_deadline(gee_conn *c, enum gee_deadline what, uint64_t ms);
/* That is a head: the first one, one that has begun, or the next one. */
void gee_conn_await_head(gee_conn *c);
/* For the client to take what is written, beside the other; 0: nothing is written. */
void gee_conn_write_deadline(gee_conn *c, uint64_t ms);

/* parse.c */
gee_exchange *gee_exchange_begin(gee_conn *c); /* the one to be parsed. NULL: no memory */
bool gee_exchange_has_head(gee_exchange *x);   /* it is served from now on. False: no memory */
void gee_parser_free(gee_conn *c);
/* Feeds bytes; how many it took: all, or up to the end of a message. Without memory it closes c. */
size_t gee_parse(gee_conn *c, const char *data, size_t n);
/* The same with what waits in c->in. */
void gee_parse_waiting(gee_conn *c);

/* whole.c: how many bytes of a request, that is all there, it took; 0: a parser has to look. */
size_t gee_whole_head(gee_conn *c, const char *data, size_t n);

/* wire.c */
void gee_wire_begin(gee_wire *w);              /* in front of a request */
void gee_wire_body(gee_wire *w, bool chunked); /* behind a head, in front of its body */
/*
 * Looks at bytes: how many are good; of these, *show is for llhttp, and comes before
 * any that are looked at by the next call. With w->status != 0 the next byte is refused.
 */
size_t gee_wire_scan(gee_wire *w, const char *data, size_t n, const gee_limits *limits,
                     gee_piece *show);
/* "/path HTTP/1.1" and CRLF, all there and right: its length; else 0. */
size_t gee_wire_target_line(const char *s, size_t n, size_t *target);
/* The same of "name: value"; or of an empty line, which is the end: 2. */
size_t gee_wire_field_line(const char *s, size_t n, size_t *name);

/* head.c */
/* 0, or the status with which this head is refused. Sets expect_continue, chunked, keep_alive. */
int gee_head_check(gee_exchange *x);

/* fields.c */
/* The first n of them, with all that they point to. 0 or UV_ENOMEM. */
int gee_fields_copy(gee_fields *to, const gee_fields *from, size_t n, gee_arena *a);
const gee_field *gee_fields_find(const gee_fields *fs, const char *name);
gee_field *gee_fields_push(gee_fields *fs, gee_arena *a); /* an empty one more; NULL: no memory */
bool gee_is_token(const char *s);                         /* RFC 9110, 5.6.2 */
int gee_exchange_set(gee_exchange *x, const char *name, const char *value, bool add);
/* A field of the library's own: right, and there for ever. It is not looked at and not copied. */
int gee_exchange_set_own(gee_exchange *x, const gee_field *own);
#define GEE_OWN_FIELD(name, value)                       \
    &(const gee_field) {                                 \
        name, value, sizeof(name) - 1, sizeof(value) - 1 \
    }

/* serve.c */
/* What a task serves; NULL: nothing. On the task's worker, while it does not run. */
gee_exchange *gee_exchange_of(const gee_task *t);
bool gee_conn_serve(gee_conn *c); /* starts the task; false: no memory, c was closed */
void gee_exchange_free(gee_conn *c);

/* body.c */
/* Up to n bytes of the body: > 0, 0 at its end, or an error. */
ssize_t gee_exchange_read(gee_ctx *ctx, gee_exchange *x, void *buf, size_t n, gee_site site);
/* No more than n bytes of it. 0, or UV_E2BIG: it has more, and will not be read. */
int gee_exchange_limit_body(gee_exchange *x, uint64_t n);

/* body_wait.c */
/*
 * Parks until there is more of the body, its end, or an error: within body_ms. 0, ctx's error, or
 * UV_EBUSY: another task reads it.
 */
int gee_exchange_await_body(gee_ctx *ctx, gee_exchange *x, gee_site site);
/*
 * Reads over what nobody wanted. False: it is too much, it did not come in time, or it is broken:
 * the connection cannot go on.
 */
bool gee_exchange_discard(gee_exchange *x);

/* response.c */
/* The whole response at once. 0 or an error. */
int gee_exchange_respond(gee_ctx *ctx, gee_exchange *x, const void *body, size_t n, gee_site site);
/* The body that is going to be written has n bytes: no more (UV_EMSGSIZE), no less. */
int gee_exchange_announce(gee_exchange *x, uint64_t n);
/* The body in pieces, as they come. */
int gee_exchange_write(gee_ctx *ctx, gee_exchange *x, const void *data, size_t n, gee_site site);
/*
 * n bytes of the file fd from `at`, of a body whose length was announced, by the kernel alone: how
 * many the socket took now; 0 or UV_EAGAIN, no byte of the file; UV_ENOTSUP, this response
 * cannot be sent so; or another error. Whatever it is, gee_exchange_write may follow: it waits for
 * room, and says what an error means. Never parks; the disk is waited for.
 */
ssize_t gee_exchange_send_file(gee_exchange *x, int fd, uint64_t at, size_t n);
/* Sends what was gathered, the head too. */
int gee_exchange_flush(gee_ctx *ctx, gee_exchange *x, gee_site site);
/* The end of the response; an empty one if there was none. Not flushed. */
int gee_exchange_end(gee_exchange *x);
/* Frames these bytes, and sends what has gathered if that is much. */
int gee_exchange_put(gee_ctx *ctx, gee_exchange *x, const void *data, size_t n, gee_site site);

/* undo.c */
/* "404 Not Found" as text. 0, or UV_EALREADY. */
int gee_exchange_error(gee_exchange *x, int status);
/* Takes back what no client has seen of the response, and its headers behind the first
 * so many. False: some of it is on its way. */
bool gee_exchange_retract(gee_exchange *x, size_t fields);
/* What was sent is all that there will be, and the client can tell that it is not whole. */
void gee_exchange_break(gee_exchange *x);

/* filter.c */
/* f filters the response; its memory stays the caller's until f->free. 0, or UV_EALREADY: there
 * is one already, or the head has been made. */
int gee_exchange_filter(gee_exchange *x, gee_filter *f);
/* For response.c: x->filtering. */
bool gee_filter_begin(gee_exchange *x, uint64_t n);
int gee_filter_write(gee_ctx *ctx, gee_exchange *x, const void *data, size_t n, gee_site site);
int gee_filter_flush(gee_ctx *ctx, gee_exchange *x, gee_site site);
int gee_filter_end(gee_exchange *x);
/* All of it at once, appended to out. */
int gee_filter_whole(gee_exchange *x, const void *data, size_t n, gee_buf *out);
void gee_filter_free(gee_exchange *x);

/* write.c */
/* Sends what is in c->out and then `body`, and parks until the client's side took it. */
int gee_conn_flush(gee_ctx *ctx, gee_conn *c, const void *body, size_t n, gee_site site);
/* Of c->out, and then of the file: how much of the file was taken, as gee_exchange_send_file. */
ssize_t gee_conn_send_file(gee_conn *c, int fd, uint64_t at, size_t n);

enum { GEE_DEFAULT_DRAIN_MS = 10 * 1000 };

/* date.c: "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" */
const char *gee_date_line(size_t *len);
enum { GEE_DATE_SIZE = sizeof("Sun, 06 Nov 1994 08:49:37 GMT") };
/* False: its year has not four digits. */
bool gee_date_text(int64_t s, char out[GEE_DATE_SIZE]);
/* Seconds since 1970, of the form that is made and of the two that are obsolete (5.6.7). */
bool gee_date_parse(const char *text, int64_t *out);

/* takeover.c */
/* What the exchange was late for is answered in its place; see there. */
typedef struct gee_takeover {
    size_t fields; /* so many of the response's header fields stay, the first */
    int status;    /* the late one is logged with it */
    void (*answer)(gee_exchange *x, void *arg); /* in a task of its own; if x->ended,
 there is nothing to answer any more */
    void *arg;
} gee_takeover;

/*
 * Takes the connection from x, whose task is parked or runnable, and answers its client. x goes
 * on, on a connection that is closed; what its task still writes is refused, as gee/timeout.h
 * says. On x's worker, outside tasks. False: nobody could be answered, since some of the
 * response is on its way, or there is no memory: the connection is cut; or it was closed already.
 */
bool gee_exchange_take_over(gee_exchange *x, const gee_takeover *t);

/* server.c */
typedef struct gee_address {
    const char *host; /* NULL: */
    int fd;           /* a socket that listens; stays the caller's */
    int port;
} gee_address;

int gee_server_start(const gee_http_handler *h, const gee_limits *limits, const gee_address *at,
                     gee_server **out);
void gee_server_unref(gee_server *srv);
/* In the exchange's task: x's ctx ends as soon as the server begins to shut down. */
void gee_exchange_endless(gee_exchange *x);

#endif
