/*
 * A head that came whole, in one read, and says nothing of a body. Most are like that. Such a
 * head is looked at once and copied once; its fields are pieces of the copy, and no parser is set
 * up.
 *
 * Whatever is different in any way is left to the scanner and llhttp, from its first byte on. Only
 * they refuse: what is refused, and with which status, is theirs to say. test_split.c
 * holds one way against the other.
 */
#include "http/bytes.h"
#include "http/http.h"
#include <string.h>

enum { FIELDS = 32, BYTES = UINT16_MAX }; /* of more it is not one of most */

/* Where a field is, from the first byte of the head on. */
typedef struct piece {
    uint16_t name, name_len, value, value_len;
} piece;

typedef struct head {
    size_t n; /* bytes, with the empty line */
    const char *method;
    size_t target, target_len;
    size_t nfields;
    piece fields[FIELDS];
} head;

/* Its length, with the space behind it; 0: it is one that is seldom used, or none. */
static size_t take_method(head *h, const char *data, size_t n) {
#define IF_IT_IS(m)                                                 \
    if (n >= sizeof(#m) && memcmp(data, #m " ", sizeof(#m)) == 0) { \
        h->method = llhttp_method_name(HTTP_##m);                   \
        return sizeof(#m);                                          \
    }
    IF_IT_IS(GET)
    IF_IT_IS(POST)
    IF_IT_IS(HEAD)
    IF_IT_IS(PUT)
    IF_IT_IS(DELETE)
    IF_IT_IS(PATCH)
    IF_IT_IS(OPTIONS)
#undef IF_IT_IS
    return 0;
}

#define IS(s, len, literal) GEE_IS_TOKEN(s, len, literal)

static bool is_of_a_body(const char *name, size_t len) {
    return IS(name, len, "content-length") || IS(name, len, "transfer-encoding");
}

/* The line of a field, without its end. */
static bool take_field(head *h, const char *data, size_t at, size_t name_len, size_t end) {
    size_t value = at + name_len + 1;
    while (value < end && (data[value] == ' ' || data[value] == '\t'))
        value++;
    if (h->nfields == FIELDS || is_of_a_body(data + at, name_len))
        return false;
    h->fields[h->nfields++] =
        (piece){(uint16_t)at, (uint16_t)name_len, (uint16_t)value, (uint16_t)(end - value)};
    return true;
}

static bool take_head(head *h, const char *data, size_t n, const gee_limits *limits) {
    size_t max = limits->head_bytes < BYTES ? limits->head_bytes : BYTES, name_len;
    if (n > max)
        n = max;
    h->nfields = 0;
    h->target = h->n = take_method(h, data, n);
    if (h->n == 0)
        return false;
    h->n += gee_wire_target_line(data + h->n, n - h->n, &h->target_len);
    if (h->n == h->target || h->target_len > limits->uri_bytes || data[h->target] != '/')
        return false;
    for (;;) {
        size_t at = h->n, len = gee_wire_field_line(data + at, n - at, &name_len);
        h->n += len;
        if (len == 2)
            return h->nfields <= limits->headers;
        if (len == 0 || !take_field(h, data, at, name_len, h->n - 2))
            return false;
    }
}

static char *ended(char *s, size_t n) {
    s[n] = '\0'; /* in place of the byte behind it, which is none of a name or a value */
    return s;
}

static bool fill_in(gee_exchange *x, const char *data, const head *h) {
    gee_field *f = gee_arena_alloc(x->arena, h->nfields * sizeof(*f));
    char *copy = gee_arena_alloc(x->arena, h->n);
    if (f == NULL || copy == NULL)
        return false;
    memcpy(copy, data, h->n);
    x->method = h->method;
    x->minor = 1;
    x->target = ended(copy + h->target, h->target_len);
    x->target_len = h->target_len;
    x->fields = (gee_fields){f, h->nfields, h->nfields};
    for (const piece *p = h->fields; p < h->fields + h->nfields; p++)
        *f++ = (gee_field){ended(copy + p->name, p->name_len), ended(copy + p->value, p->value_len),
                           p->name_len, p->value_len};
    return true;
}

size_t gee_whole_head(gee_conn *c, const char *data, size_t n) {
    head h;
    if (!take_head(&h, data, n, &c->part->srv->limits))
        return 0;
    gee_exchange *x = gee_exchange_begin(c);
    if (x && fill_in(x, data, &h) && gee_head_check(x) == 0 && gee_exchange_has_head(x)) {
        x->complete = true;
        return h.n;
    }
    if (x)
        gee_exchange_free(c);
    return 0;
}
