/*
 * The clauses of one expect() are read twice: those that are sent make the request; when the
 * answer is there, or is not, the others are held against it, in order, until one fails.
 */
#include "t_expect.h"
#include "t_json.h"
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LIMIT_MS = 10000, CUT = 160 };

/* Not a gee_buf: the census is the server's. */
struct kept {
    char *data; /* zero-terminated; NULL: nothing */
    size_t n;
};

struct t_expect {
    gee_ctx *ctx;
    int port;
    CURL *curl;
    bool failed; /* nothing more is asked */
    char why[1024];

    /* The request and its answer; used by one thread at a time. */
    const t_clause *clauses;
    const t_clause *method;
    CURLcode rc;
    char error[CURL_ERROR_SIZE];
    long status;
    struct kept head, body;
    json_t *json; /* the body, once it was parsed */
};

t_expect *t_expect_new(gee_ctx *ctx, int port) {
    t_expect *e = calloc(1, sizeof(*e));
    curl_global_init(CURL_GLOBAL_NOTHING);
    if (e)
        *e = (t_expect){.ctx = ctx, .port = port, .curl = curl_easy_init()};
    if (e && e->curl)
        return e;
    free(e);
    return NULL;
}

static void forget_answer(t_expect *e) {
    json_decref(e->json);
    e->json = NULL;
    free(e->head.data);
    free(e->body.data);
    e->head = e->body = (struct kept){NULL, 0};
    e->status = 0;
    e->error[0] = '\0';
}

void t_expect_free(t_expect *e) {
    if (e == NULL)
        return;
    forget_answer(e);
    curl_easy_cleanup(e->curl);
    free(e);
}

/* --- asking --- */

static size_t keep(char *data, size_t size, size_t n, void *arg) {
    struct kept *to = arg;
    char *longer = realloc(to->data, to->n + size * n + 1);
    if (longer == NULL)
        return 0;
    to->data = longer;
    memcpy(to->data + to->n, data, size * n);
    to->n += size * n;
    to->data[to->n] = '\0';
    return size * n;
}

/* libcurl sends "Name;" as a field without a value, and takes "Name:" for one to leave out. */
static struct curl_slist *add_field(struct curl_slist *list, const char *name, const char *value) {
    size_t n = strlen(name) + strlen(value) + 3;
    char *line = malloc(n);
    if (line == NULL)
        return list;
    snprintf(line, n, *value ? "%s: %s" : "%s;", name, value);
    struct curl_slist *longer = curl_slist_append(list, line);
    free(line);
    return longer ? longer : list;
}

static struct curl_slist *set_clause(t_expect *e, const t_clause *c, struct curl_slist *fields) {
    switch (c->kind) {
    case T_HEADER:
        return add_field(fields, c->name, c->value);
    case T_CONTENT:
        curl_easy_setopt(e->curl, CURLOPT_POSTFIELDSIZE, (long)strlen(c->value));
        curl_easy_setopt(e->curl, CURLOPT_POSTFIELDS, c->value);
        return add_field(fields, "Content-Type", c->name);
    case T_WITHIN:
        curl_easy_setopt(e->curl, CURLOPT_TIMEOUT_MS, (long)c->number);
        return fields;
    default:
        return fields;
    }
}

static void set_method(t_expect *e) {
    char url[2048];
    const char *method = e->method->name;
    snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", e->port, e->method->value);
    curl_easy_setopt(e->curl, CURLOPT_URL, url);
    curl_easy_setopt(e->curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(e->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e->curl, CURLOPT_TIMEOUT_MS, (long)LIMIT_MS);
    curl_easy_setopt(e->curl, CURLOPT_ERRORBUFFER, e->error);
    curl_easy_setopt(e->curl, CURLOPT_HEADERFUNCTION, keep);
    curl_easy_setopt(e->curl, CURLOPT_HEADERDATA, &e->head);
    curl_easy_setopt(e->curl, CURLOPT_WRITEFUNCTION, keep);
    curl_easy_setopt(e->curl, CURLOPT_WRITEDATA, &e->body);
    if (strcmp(method, "HEAD") == 0)
        curl_easy_setopt(e->curl, CURLOPT_NOBODY, 1L);
    else
        curl_easy_setopt(e->curl, CURLOPT_CUSTOMREQUEST, method);
}

/* On the pool. curl_easy_reset keeps the connection. */
static void perform(void *arg) {
    t_expect *e = arg;
    struct curl_slist *fields = curl_slist_append(NULL, "Expect:");
    curl_easy_reset(e->curl);
    set_method(e);
    for (const t_clause *c = e->clauses; c->kind != T_END; c++)
        fields = set_clause(e, c, fields);
    curl_easy_setopt(e->curl, CURLOPT_HTTPHEADER, fields);
    e->rc = curl_easy_perform(e->curl);
    curl_easy_getinfo(e->curl, CURLINFO_RESPONSE_CODE, &e->status);
    curl_slist_free_all(fields);
}

/* --- what has come --- */

const char *t_expect_body(const t_expect *e) {
    return e->body.data ? e->body.data : "";
}

/* The value of a field of the head; NULL: not there. */
static const char *field_of(const t_expect *e, const char *name, char *buf, size_t size) {
    size_t n = strlen(name);
    const char *at = e->head.data ? strchr(e->head.data, '\n') : NULL;
    for (; at; at = strchr(at, '\n')) {
        at++;
        if (strncasecmp(at, name, n) != 0 || at[n] != ':')
            continue;
        at += n + 1 + strspn(at + n + 1, " \t");
        snprintf(buf, size, "%.*s", (int)strcspn(at, "\r\n"), at);
        return buf;
    }
    return NULL;
}

/* --- JSON --- */

static json_t *parsed(t_expect *e) {
    if (e->json == NULL && e->body.data)
        e->json = json_loadb(e->body.data, e->body.n, JSON_DECODE_ANY, NULL);
    return e->json;
}

const char *t_expect_string(t_expect *e, const char *path) {
    bool bad;
    return json_string_value(t_json_at(parsed(e), path, &bad));
}

static bool is_wanted(const json_t *value, const t_clause *c, char *wanted, size_t size) {
    long long n = c->number;
    switch (c->kind) {
    case T_JSON_STRING:
        snprintf(wanted, size, "\"%s\"", c->value);
        return json_is_string(value) && strcmp(json_string_value(value), c->value) == 0;
    case T_JSON_INT:
        snprintf(wanted, size, "%lld", n);
        return json_is_integer(value) && json_integer_value(value) == n;
    case T_JSON_BOOL:
        snprintf(wanted, size, n ? "true" : "false");
        return n ? json_is_true(value) : json_is_false(value);
    case T_JSON_NULL:
        snprintf(wanted, size, "null");
        return json_is_null(value);
    case T_JSON_SIZE:
        snprintf(wanted, size, "of %lld", n);
        return (json_is_array(value) && json_array_size(value) == (size_t)n) ||
               (json_is_object(value) && json_object_size(value) == (size_t)n);
    default:
        snprintf(wanted, size, "absent");
        return value == NULL;
    }
}

/* --- the verdict --- */

static bool fails(t_expect *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool fails(t_expect *e, const char *fmt, ...) {
    size_t size = sizeof(e->why), body = e->body.n;
    int n = snprintf(e->why, size, "%s %.200s: ", e->method->name, e->method->value);
    va_list ap;
    va_start(ap, fmt);
    n += vsnprintf(e->why + n, size - (size_t)n, fmt, ap);
    va_end(ap);
    if (e->status && (size_t)n < size)
        snprintf(e->why + n, size - (size_t)n, " (%ld, body \"%.*s%s\")", e->status, CUT,
                 t_expect_body(e), body > CUT ? "..." : "");
    return true;
}

static bool json_fails(t_expect *e, const t_clause *c) {
    char wanted[128], found[128];
    bool bad;
    json_t *root = parsed(e), *value = t_json_at(root, c->name, &bad);
    if (root == NULL)
        return fails(e, "the body is no JSON");
    if (bad)
        return fails(e, "\"%s\" is no path", c->name);
    if (is_wanted(value, c, wanted, sizeof(wanted)))
        return false;
    t_json_show(value, found, sizeof(found));
    return fails(e, "%s is %s, not %s", *c->name ? c->name : "the body", found, wanted);
}

static bool field_fails(t_expect *e, const t_clause *c) {
    char buf[512];
    const char *value = field_of(e, c->name, buf, sizeof(buf));
    if (t_streq(value, c->value))
        return false;
    return fails(e, "%s is %s, not %s", c->name, value ? value : "not there",
                 c->value ? c->value : "absent");
}

static bool clause_fails(t_expect *e, const t_clause *c) {
    switch (c->kind) {
    case T_STATUS:
        return e->status != c->number && fails(e, "status %ld, not %lld", e->status, c->number);
    case T_FIELD:
        return field_fails(e, c);
    case T_TEXT:
        return strcmp(t_expect_body(e), c->value) != 0 &&
               fails(e, "the body is not \"%.*s\"", CUT, c->value);
    case T_CONTAINS:
        return strstr(t_expect_body(e), c->value) == NULL &&
               fails(e, "the body does not contain \"%.*s\"", CUT, c->value);
    case T_NO_ANSWER:
        return fails(e, "an answer, where none was to come");
    case T_METHOD:
    case T_HEADER:
    case T_CONTENT:
    case T_WITHIN:
        return false;
    default:
        return json_fails(e, c);
    }
}

static const t_clause *find(const t_clause *clauses, int kind) {
    while (clauses->kind != T_END && (int)clauses->kind != kind)
        clauses++;
    return clauses->kind == T_END ? NULL : clauses;
}

const char *t_expect_ask(t_expect *e, const t_clause *clauses) {
    static const t_clause none = {.kind = T_METHOD, .name = "(no method)", .value = ""};
    forget_answer(e);
    e->why[0] = '\0';
    e->clauses = clauses;
    e->method = find(clauses, T_METHOD);
    if (e->method == NULL) {
        e->method = &none;
        fails(e, "what is to be asked?");
        return e->why;
    }
    int rc = gee_blocking(e->ctx, perform, e);
    if (rc < 0) {
        fails(e, "not asked: %s", t_err(rc));
    } else if (e->rc != CURLE_OK) { /* half a body is no answer either */
        if (find(clauses, T_NO_ANSWER) == NULL)
            fails(e, "no answer: %s", *e->error ? e->error : curl_easy_strerror(e->rc));
    } else {
        for (const t_clause *c = clauses; c->kind != T_END && !clause_fails(e, c);)
            c++;
    }
    return e->why;
}

void t_expect_check(t_expect *e, const char *file, int line, const t_clause *clauses) {
    if (e == NULL)
        t_fail(file, line, "no memory for a client");
    else if (!e->failed && *t_expect_ask(e, clauses)) {
        e->failed = true;
        t_fail(file, line, "%s", e->why);
    }
}
