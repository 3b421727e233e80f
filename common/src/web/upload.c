/*
 * Multipart bodies of requests: the parser, fed from the body.
 *
 * At any time the body is held in one place: a piece that was read and not yet
 * parsed (`from` to `to` in `in`), of which `data` is what the parser gave out and
 * nobody has taken yet. More is read only when both are empty, so what is held
 * does not depend on what is uploaded, and a slow disk slows the client.
 */
#include "gee/multipart.h"
#include "web/multipart.h"
#include "web/web.h"
#include <string.h>
#include <strings.h>

enum { PIECE = 16 * 1024, HEADERS = 8 * 1024, HEADERS_MAX = 64 * 1024, PARTS = 1000 };

struct gee_multipart {
    gee_req *req;
    gee_multipart_options opt;
    gee_mp parser;
    gee_part_head head;
    gee_part part;
    size_t parts;
    bool in_part; /* there is one, and its end was not seen */
    int err;      /* the first one */
    gee_slice data;
    size_t from, to;
    char *text; /* for the parameters of a head */
    char in[PIECE];
};

static int init(gee_multipart *mp, gee_req *req, const char *boundary) {
    gee_multipart_options *o = &mp->opt;
    if (o->parts == 0)
        o->parts = PARTS;
    if (o->header_bytes == 0)
        o->header_bytes = HEADERS;
    if (o->header_bytes > HEADERS_MAX)
        o->header_bytes = HEADERS_MAX;
    if (o->part_bytes == 0)
        o->part_bytes = UINT64_MAX;
    char *head = gee_alloc(req, 2 * o->header_bytes);
    if (head == NULL)
        return UV_ENOMEM;
    mp->req = req;
    mp->text = head + o->header_bytes;
    return gee_mp_init(&mp->parser, boundary, head, o->header_bytes) < 0 ? UV_EPROTO : 0;
}

int gee_multipart_open(gee_req *req, const gee_multipart_options *opt, gee_multipart **out) {
    static const char form_data[] = "multipart/form-data";
    const char *type = gee_header(req, "content-type");
    char boundary[GEE_BOUNDARY_MAX + 1];
    if (req->x.conn == NULL)
        return UV_EINVAL;
    if (type == NULL || strcspn(type, "; \t") != sizeof(form_data) - 1 ||
        strncasecmp(type, form_data, sizeof(form_data) - 1) != 0)
        return UV_ENOTSUP;
    if (req->multipart)
        return UV_EALREADY;
    if (gee_mime_param(type, "boundary", boundary, sizeof(boundary)) < 0)
        return UV_EPROTO;
    gee_multipart *mp = gee_alloc(req, sizeof(*mp));
    if (mp == NULL)
        return UV_ENOMEM;
    memset(mp, 0, offsetof(gee_multipart, in));
    mp->opt = opt ? *opt : (gee_multipart_options){0};
    int rc = init(mp, req, boundary);
    if (rc < 0)
        return rc;
    req->multipart = true;
    *out = mp;
    return 0;
}

static int fail(gee_multipart *mp, int err) {
    mp->err = err;
    mp->in_part = false;
    mp->data.n = 0;
    return err;
}

/* Reads the next piece, when there is no byte of the last one left. */
static int more(gee_multipart *mp) {
    ssize_t n = gee_body_read(mp->req, mp->in, PIECE);
    if (n <= 0)
        return n < 0 ? (int)n : UV_EPROTO; /* the body ended, and this did not */
    mp->from = 0;
    mp->to = (size_t)n;
    return 0;
}

static int begin_part(gee_multipart *mp) {
    int rc = gee_part_head_parse(&mp->head, mp->parser.head, mp->parser.head_len, mp->text);
    if (rc == 0 && ++mp->parts > mp->opt.parts)
        rc = UV_E2BIG;
    if (rc < 0)
        return rc;
    mp->in_part = true;
    mp->part = (gee_part){mp->head.name, mp->head.filename, mp->head.content_type, 0};
    return GEE_MP_PART;
}

/* The next event; never GEE_MP_MORE. Data is in mp->data. */
static int event(gee_multipart *mp) {
    size_t used;
    int what = GEE_MP_MORE;
    while (what == GEE_MP_MORE) {
        what = gee_mp_step(&mp->parser, mp->in + mp->from, mp->to - mp->from, &used, &mp->data);
        mp->from += used;
        int rc = what == GEE_MP_MORE ? more(mp) : 0;
        if (rc < 0)
            what = rc;
    }
    if (what == GEE_MP_PART)
        what = begin_part(mp);
    else if (what == GEE_MP_DATA && mp->data.n > mp->opt.part_bytes - mp->part.size)
        what = UV_E2BIG;
    if (what == GEE_MP_PART_END)
        mp->in_part = false;
    if (what != GEE_MP_DATA)
        mp->data.n = 0;
    mp->part.size += mp->data.n;
    return what < 0 ? fail(mp, what) : what;
}

int gee_multipart_next(gee_multipart *mp, const gee_part **part) {
    if (mp->err)
        return mp->err;
    if (mp->parser.state == GEE_MP_EPILOGUE)
        return 0;
    for (;;) {
        int what = event(mp);
        if (what < 0)
            return what;
        if (what == GEE_MP_END)
            return 0;
        if (what == GEE_MP_PART) {
            *part = &mp->part;
            return 1;
        }
    }
}

ssize_t gee_part_read(gee_multipart *mp, void *buf, size_t n) {
    if (mp->err)
        return mp->err;
    if (n == 0)
        return 0;
    while (mp->data.n == 0) {
        int what = mp->in_part ? event(mp) : GEE_MP_PART_END;
        if (what < 0)
            return what;
        if (what == GEE_MP_PART_END)
            return 0;
    }
    if (n > mp->data.n)
        n = mp->data.n;
    memcpy(buf, mp->data.at, n);
    mp->data.at += n;
    mp->data.n -= n;
    return (ssize_t)n;
}

int gee_part_text(gee_multipart *mp, size_t limit, const char **text, size_t *n) {
    size_t cap = 256, len = 0;
    char *to = gee_alloc(mp->req, cap);
    limit = limit ? limit : 64 * 1024;
    while (to) {
        ssize_t got = gee_part_read(mp, to + len, cap - len - 1);
        if (got < 0)
            return (int)got;
        len += (size_t)got;
        if (len > limit)
            return UV_E2BIG;
        if (got == 0) {
            to[len] = '\0';
            *text = to;
            *n = len;
            return 0;
        }
        if (cap - len < 2) {
            to = gee_arena_grow(mp->req->x.arena, to, cap, 2 * cap);
            cap *= 2;
        }
    }
    return UV_ENOMEM;
}

gee_req *gee_multipart_req(gee_multipart *mp) {
    return mp->req;
}

const char *gee_part_header(const gee_multipart *mp, const char *name) {
    for (size_t i = 0; i < mp->head.nfields; i++)
        if (strcasecmp(mp->head.fields[i].name, name) == 0)
            return mp->head.fields[i].value;
    return NULL;
}

const char *gee_part_basename(const gee_multipart *mp) {
    const char *name = mp->part.filename;
    if (name == NULL)
        return NULL;
    for (const char *slash; (slash = strpbrk(name, "/\\")) != NULL;)
        name = slash + 1;
    size_t n = strlen(name);
    if (n == 0 || n > 255 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return NULL;
    char *safe = gee_arena_strndup(mp->req->x.arena, name, n);
    for (char *c = safe; c && *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127 || (c == safe && *c == '.'))
            *c = '_';
    return safe;
}
