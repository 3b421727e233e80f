/*
 * Compression, as a filter of the response (http/filter.c). What the middleware does is to
 * put it there: the response may begin anywhere in the handler, and end behind it, so
 * it is decided when the head is made, and zlib's memory belongs to the exchange.
 */
#include "gee/gzip.h"
#include "base/count.h"
#include "middleware/accept.h"
#include "middleware/own.h"
#include "web/web.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

typedef struct gzip {
    int level, window_bits;
    size_t min_size;
    const char *types;
} gzip;

/* Of a request, in its memory. */
typedef struct coder {
    gee_filter filter; /* first: it is what the http layer knows */
    gee_req *req;
    const gzip *gz;
    z_stream z;
    int64_t held; /* bytes of z's memory; 0: it is closed */
} coder;

static const char default_types[] =
    "text/*, *+json, *+xml, application/json, application/javascript, application/xml, "
    "application/x-ndjson, application/wasm, image/bmp, image/x-icon, font/ttf, font/otf";

/* --- what is compressed --- */

/* A star at one end stands for anything. */
static bool matches(const char *pattern, size_t n, const char *type, size_t len) {
    if (pattern[n - 1] == '*')
        return len >= n - 1 && strncasecmp(pattern, type, n - 1) == 0;
    if (*pattern == '*')
        return len >= n - 1 && strncasecmp(pattern + 1, type + len - (n - 1), n - 1) == 0;
    return len == n && strncasecmp(pattern, type, n) == 0;
}

static bool is_worth_it(const gzip *gz, const char *type) {
    const char *at = gz->types, *pattern;
    size_t n, len = type ? strcspn(type, "; \t") : 0;
    while (len > 0 && gee_list_next(&at, &pattern, &n))
        if (matches(pattern, n, type, len))
            return true;
    return false;
}

/* Does one of the response's fields of that name list the word? */
static bool says(const gee_req *req, const char *name, const char *word) {
    const gee_fields *fs = &req->x.out_fields;
    for (size_t i = 0; i < fs->n; i++) {
        const char *at = fs->at[i].value, *item;
        size_t n;
        if (!gee_word_is(fs->at[i].name, fs->at[i].name_len, name))
            continue;
        while (gee_list_next(&at, &item, &n))
            if (gee_word_is(item, n, word))
                return true;
    }
    return false;
}

static bool could_be_coded(const coder *c, uint64_t n) {
    int status = gee_status_of(c->req);
    if (status < 200 || (status >= 204 && status <= 206) || status == 304)
        return false;
    return n > 0 && n >= c->gz->min_size && !gee_response_header(c->req, "Content-Encoding") &&
           is_worth_it(c->gz, gee_response_header(c->req, "Content-Type")) &&
           !says(c->req, "Cache-Control", "no-transform");
}

/* --- the head --- */

static void vary(gee_req *req) {
    if (!says(req, "Vary", "*") && !says(req, "Vary", "Accept-Encoding"))
        gee_add_header(req, "Vary", "Accept-Encoding");
}

static int weaken_etag(gee_req *req) {
    const char *etag = gee_response_header(req, "ETag");
    if (etag == NULL || *etag != '"')
        return 0;
    size_t size = strlen(etag) + 3;
    char *weak = gee_alloc(req, size);
    if (weak == NULL)
        return UV_ENOMEM;
    snprintf(weak, size, "W/%s", etag);
    return gee_set_header(req, "ETag", weak);
}

/* A 304 has the tag of what the client has: the weak one, if it asked about that. */
static void not_modified(gee_req *req) {
    const char *etag = gee_response_header(req, "ETag"), *list = gee_header(req, "If-None-Match");
    vary(req);
    const char *at = list && etag && *etag == '"' ? strstr(list, etag) : NULL;
    if (at && at - list >= 2 && strncmp(at - 2, "W/", 2) == 0)
        weaken_etag(req);
}

static int say_coded(gee_req *req) {
    int rc = weaken_etag(req);
    if (rc == 0 && gee_response_header(req, "Accept-Ranges"))
        rc = gee_set_header(req, "Accept-Ranges", "none");
    return rc < 0 ? rc : gee_set_header(req, "Content-Encoding", "gzip");
}

/* --- the filter --- */

static void close_coder(gee_filter *f) {
    coder *c = (coder *)f;
    if (c->held)
        deflateEnd(&c->z);
    gee_count(GEE_COUNT_BYTES, -c->held);
    c->held = 0;
}

/* The window is no larger than the body, and the tables go with the window. */
static bool open_coder(coder *c, uint64_t n) {
    int bits = c->gz->window_bits, frame = 16; /* gzip's around it */
    while (bits > 9 && n <= UINT64_C(1) << (bits - 1))
        bits--;
    close_coder(&c->filter);
    c->z = (z_stream){0};
    if (deflateInit2(&c->z, c->gz->level, Z_DEFLATED, bits + frame, bits - 7, Z_DEFAULT_STRATEGY))
        return false;
    c->held = INT64_C(8) << bits; /* and zlib's own struct */
    gee_count(GEE_COUNT_BYTES, c->held);
    return true;
}

static bool begin(gee_filter *f, uint64_t n) {
    coder *c = (coder *)f;
    if (gee_status_of(c->req) == 304)
        not_modified(c->req);
    if (!could_be_coded(c, n))
        return false;
    vary(c->req);
    if (strcmp(gee_method(c->req), "HEAD") == 0 || !gee_accepts_gzip(c->req))
        return false;
    return open_coder(c, n) && say_coded(c->req) == 0;
}

static ssize_t step(gee_filter *f, const char **data, size_t *n, enum gee_filter_how how, char *out,
                    size_t room) {
    static const int hows[] = {
        [GEE_FILTER_MORE] = Z_NO_FLUSH,
        [GEE_FILTER_FLUSH] = Z_SYNC_FLUSH,
        [GEE_FILTER_END] = Z_FINISH,
    };
    z_stream *z = &((coder *)f)->z;
    z->next_in = (Bytef *)*data; /* zlib does not write there */
    z->avail_in = (uInt)*n;
    z->next_out = (Bytef *)out;
    z->avail_out = (uInt)room;
    int rc = deflate(z, hows[how]);
    *data += *n - z->avail_in;
    *n = z->avail_in;
    /* Z_BUF_ERROR: there was nothing to do. */
    return rc == Z_STREAM_ERROR ? UV_EINVAL : (ssize_t)(room - z->avail_out);
}

/* --- the middleware --- */

static void handle(gee_req *req) {
    coder *c = gee_alloc(req, sizeof(*c));
    if (c) {
        *c = (coder){.filter = {begin, step, close_coder}, .req = req, .gz = gee_arg(req)};
        gee_exchange_filter(&req->x, &c->filter);
    }
    gee_next(req);
}

int gee_use_gzip(gee_group *g, const gee_gzip_options *opt) {
    static const gee_contract contract = {.name = "gzip", .provides = "compression"};
    static const gee_gzip_options defaults;
    if (opt == NULL)
        opt = &defaults;
    if (opt->level < 0 || opt->level > 9 ||
        (opt->window_bits != 0 && (opt->window_bits < 9 || opt->window_bits > 15)))
        return gee_own_failed(g, UV_EINVAL, "gzip");
    gzip *gz = gee_own_alloc(g, sizeof(*gz));
    if (gz == NULL || !gee_own_string(g, opt->types ? opt->types : default_types, &gz->types))
        return gee_own_failed(g, UV_ENOMEM, "gzip");
    gz->level = opt->level ? opt->level : 6;
    gz->window_bits = opt->window_bits ? opt->window_bits : 13;
    gz->min_size = opt->min_size ? opt->min_size : 1024;
    return gee_own_use(g, handle, gz, &contract);
}
