/*
 * The parser of multipart/form-data (RFC 7578; RFC 2046, 5.1), for use without a
 * request: bytes in, events out, no memory of its own.
 */
#ifndef GEE_WEB_MULTIPART_H
#define GEE_WEB_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    GEE_BOUNDARY_MAX = 70,    /* RFC 2046, 5.1.1 */
    GEE_PART_HEADERS_MAX = 32 /* header fields of one part */
};

enum gee_mp_event {
    GEE_MP_MORE,     /* all input was taken: more is wanted */
    GEE_MP_PART,     /* a part begins: its head is complete in `head` */
    GEE_MP_DATA,     /* content, in *data; valid until the next step */
    GEE_MP_PART_END, /* the part is complete */
    GEE_MP_END,      /* the last boundary: what follows is taken and dropped */
};

typedef struct gee_slice {
    const char *at;
    size_t n;
} gee_slice;

typedef struct gee_mp {
    char delimiter[4 + GEE_BOUNDARY_MAX + 2]; /* "\r\n--boundary-" */
    size_t delimiter_len;                     /* without that last "-" */
    size_t matched; /* of it, by the bytes taken last; they are not content yet, */
    size_t ours;    /* and the first ones of them never will be */
    enum {
        GEE_MP_PREAMBLE,
        GEE_MP_CONTENT,
        GEE_MP_PADDING,
        GEE_MP_LINE_END,
        GEE_MP_HEAD,
        GEE_MP_CLOSED,
        GEE_MP_EPILOGUE
    } state;
    bool in_part;
    char *head; /* the caller's: the header lines of a part, each with its \r\n */
    size_t head_cap, head_len, line;
} gee_mp;

/* 0, or UV_EINVAL: not a boundary. head has room for head_cap bytes. */
int gee_mp_init(gee_mp *p, const char *boundary, char *head, size_t head_cap);
/*
 * Takes input up to the next event; *used: how much of it, the rest comes again. An
 * event, UV_EPROTO: malformed, or UV_E2BIG: a head of more than head_cap. An error is final.
 */
int gee_mp_step(gee_mp *p, const char *in, size_t n, size_t *used, gee_slice *data);

/* disposition.c: what the head of a part says. Strings are in head and in text. */
typedef struct gee_part_head {
    struct {
        const char *name, *value;
    } fields[GEE_PART_HEADERS_MAX];
    size_t nfields;
    const char *name, *filename, *content_type;
} gee_part_head;

/*
 * Cuts the head of len bytes up in place; text has room for len bytes more.
 * 0, UV_EPROTO: malformed; UV_E2BIG: too many fields; UV_ENOTSUP: an encoding that
 * RFC 7578, 4.7 has deprecated.
 */
int gee_part_head_parse(gee_part_head *h, char *head, size_t len, char *text);
/*
 * The parameter `name` of a header's value, unquoted: its length, UV_ENOENT: it is not
 * there, UV_EPROTO: the value is malformed or has it twice, UV_E2BIG: out is too small.
 */
ssize_t gee_mime_param(const char *value, const char *name, char *out, size_t size);

#endif
