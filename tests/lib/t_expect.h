/*
 * A client for tests on real sockets, in the manner of Go's httpexpect: what is sent and what
 * has to come of it, in one list.
 *
 *     t_expect *e = t_expect_new(ctx, port);
 *     expect(e, GET("/api/profile"), header("X-User-ID", "u-123"),
 *            status(200), field("Content-Type", "application/json"),
 *            json("audit_context.user_id", "u-123"), json_int("items[0].n", 3));
 *     t_expect_free(e);
 *
 * It is libcurl, on a thread of libuv's pool, so server and client may share a runtime: in a body
 * of t_real() or t_site_real(). Requests of one t_expect go over one connection, if it stays.
 *
 * An expectation that fails is noted with t_fail(), by method, target, what was expected and
 * what came; nothing further is sent then or looked at, so that the body of a test need not ask.
 */
#ifndef GEE_TESTS_T_EXPECT_H
#define GEE_TESTS_T_EXPECT_H

#include "t.h"

typedef struct t_expect t_expect;

/* Of the server at 127.0.0.1:port. ctx: as for gee_blocking. NULL: no memory. */
t_expect *t_expect_new(gee_ctx *ctx, int port);
void t_expect_free(t_expect *e);

/* Of the last answer, until the next is asked for: its body, zero-terminated. */
const char *t_expect_body(const t_expect *e);
/* The string at that place of it; NULL: there is none. */
const char *t_expect_string(t_expect *e, const char *path);

/* --- what is sent: a method first, and each of the others as often as is needed --- */

#define GET(target)         T_CLAUSE(T_METHOD, "GET", target, 0)
#define HEAD(target)        T_CLAUSE(T_METHOD, "HEAD", target, 0)
#define POST(target)        T_CLAUSE(T_METHOD, "POST", target, 0)
#define PUT(target)         T_CLAUSE(T_METHOD, "PUT", target, 0)
#define PATCH(target)       T_CLAUSE(T_METHOD, "PATCH", target, 0)
#define DELETE(target)      T_CLAUSE(T_METHOD, "DELETE", target, 0)
#define OPTIONS(target)     T_CLAUSE(T_METHOD, "OPTIONS", target, 0)
#define header(name, value) T_CLAUSE(T_HEADER, name, value, 0)
#define content(type, text) T_CLAUSE(T_CONTENT, type, text, 0) /* a body */
#define within(ms)          T_CLAUSE(T_WITHIN, NULL, NULL, ms) /* or fail; 10 s otherwise */

/* --- what has to come --- */

#define status(code)       T_CLAUSE(T_STATUS, NULL, NULL, code)
#define field(name, value) T_CLAUSE(T_FIELD, name, value, 0) /* of the head; NULL: not there */
#define text(whole)        T_CLAUSE(T_TEXT, NULL, whole, 0)
#define contains(part)     T_CLAUSE(T_CONTAINS, NULL, part, 0)
/* There is none: a connection that is closed before, or nothing `within` that time. */
#define no_answer() T_CLAUSE(T_NO_ANSWER, NULL, NULL, 0)

/*
 * In a body of JSON, at a path: a.b[2].c; "" is the whole. A value of another type is another
 * value: 1 is not true, not "1", and not 1.0.
 */
#define json(path, string)     T_CLAUSE(T_JSON_STRING, path, string, 0)
#define json_int(path, n)      T_CLAUSE(T_JSON_INT, path, NULL, n)
#define json_bool(path, value) T_CLAUSE(T_JSON_BOOL, path, NULL, value)
#define json_null(path)        T_CLAUSE(T_JSON_NULL, path, NULL, 0)
#define json_size(path, n)     T_CLAUSE(T_JSON_SIZE, path, NULL, n) /* of an array or object */
#define json_absent(path)      T_CLAUSE(T_JSON_ABSENT, path, NULL, 0)

#define expect(e, ...) \
    t_expect_check(e, __FILE__, __LINE__, (const t_clause[]){__VA_ARGS__, {.kind = T_END}})
/* Asks, and returns what expect() would have failed with, or "". Until the next call. */
#define expecting(e, ...) t_expect_ask(e, (const t_clause[]){__VA_ARGS__, {.kind = T_END}})

/* --- what these are made of --- */

typedef struct t_clause {
    enum {
        T_END,
        T_METHOD,
        T_HEADER,
        T_CONTENT,
        T_WITHIN,
        T_STATUS,
        T_FIELD,
        T_TEXT,
        T_CONTAINS,
        T_NO_ANSWER,
        T_JSON_STRING,
        T_JSON_INT,
        T_JSON_BOOL,
        T_JSON_NULL,
        T_JSON_SIZE,
        T_JSON_ABSENT,
    } kind;
    const char *name, *value;
    long long number;
} t_clause;

#define T_CLAUSE(kind, name, value, number) ((t_clause){kind, name, value, number})

const char *t_expect_ask(t_expect *e, const t_clause *clauses);
void t_expect_check(t_expect *e, const char *file, int line, const t_clause *clauses);

#endif
