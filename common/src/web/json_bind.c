/*
 * A JSON body, taken apart into variables, and the answer to one that is not as
 * it should be. jansson says what was wrong and at which place of the format;
 * a client does not know the format, so the place is told in its own terms:
 * the format is walked again, with its arguments, for the names that lead there.
 */
#include "gee/json.h"
#include "web/web.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LEVELS = 16, TEXT = 160 };

/* Where in the value the walk is: an index or a name at each level. */
struct place {
    const char *key[LEVELS]; /* NULL: in an array, or before the first name */
    int index[LEVELS];       /* -1: in an object */
    int depth;
};

static void open_level(struct place *p, int index) {
    if (p->depth < LEVELS) {
        p->key[p->depth] = NULL;
        p->index[p->depth] = index;
    }
    p->depth++;
}

/* One token of a format; every argument of json_unpack is a pointer. */
static void pass(struct place *p, const char *at, bool *name_next, va_list *ap) {
    int top = p->depth - 1;
    bool tracked = top >= 0 && top < LEVELS;
    if (*at == '{' || *at == '[') {
        *name_next = *at == '{';
        open_level(p, *at == '{' ? -1 : 0);
        return;
    }
    if (*at == '}' || *at == ']') {
        p->depth--;
    } else if (*at == 's' && *name_next) {
        const char *name = va_arg(*ap, const char *);
        if (tracked)
            p->key[top] = name;
        *name_next = false;
        return;
    } else if (*at != 'n') {
        (void)va_arg(*ap, void *);
    }
    top = p->depth - 1; /* a value has ended */
    *name_next = top >= 0 && top < LEVELS && p->index[top] < 0;
    if (*name_next)
        p->key[top] = NULL;
    else if (top >= 0 && top < LEVELS)
        p->index[top]++;
}

static void walk(struct place *p, const char *fmt, int position, va_list *ap) {
    bool name_next = false;
    for (int i = 0; i < position - 1 && fmt[i]; i++) {
        if (fmt[i] == '%')
            (void)va_arg(*ap, void *); /* s% has a length too */
        else if (strchr(" \t\n,:?*!", fmt[i]) == NULL)
            pass(p, fmt + i, &name_next, ap);
    }
}

/* "user.tags[2]: expected string, got integer" */
static void tell(char *out, size_t size, const struct place *p, const char *text) {
    size_t n = 0;
    out[0] = '\0';
    for (int i = 0; i < p->depth && i < LEVELS && n < size; i++) {
        if (p->index[i] >= 0)
            n += (size_t)snprintf(out + n, size - n, "[%d]", p->index[i]);
        else if (p->key[i])
            n += (size_t)snprintf(out + n, size - n, "%s%s", n ? "." : "", p->key[i]);
    }
    char first = *text;
    if (first >= 'A' && first <= 'Z') /* tolower would ask the thread for its locale */
        first = (char)(first | 32);
    if (n < size)
        snprintf(out + n, size - n, "%s%c%s", n ? ": " : "", first, *text ? text + 1 : "");
}

/* What a client sent may be quoted in it, and may have been cut inside a character. */
static json_t *as_string(char *text) {
    json_t *s = json_string(text);
    for (char *c = text; s == NULL && *c; c++)
        if ((unsigned char)*c > 126)
            *c = '?';
    return s ? s : json_string(text);
}

static int refuse(gee_req *req, int rc, char *text) {
    gee_abort(req);
    int said = gee_json(req, gee_body_status(rc), "{s:o}", "error", as_string(text));
    if (said < 0 && said != UV_EALREADY)
        gee_fail(req, gee_body_status(rc)); /* no memory for words */
    return rc;
}

static int bad_body(gee_req *req, int rc, const json_error_t *err) {
    char text[TEXT + 64];
    if (err->line > 0)
        snprintf(text, sizeof(text), "line %d, column %d: %s", err->line, err->column, err->text);
    else
        snprintf(text, sizeof(text), "%s", err->text);
    return refuse(req, rc, text);
}

static int bad_format(gee_req *req, const char *fmt, const json_error_t *err) {
    fprintf(stderr, "gee: gee_json_bind: \"%s\": %s\n", fmt, err->text);
    gee_fail(req, 500);
    return UV_EFAULT;
}

int gee_json_bind(gee_req *req, const char *fmt, ...) {
    json_error_t err;
    json_t *root;
    char text[TEXT + 256];
    struct place place = {.depth = 0};
    va_list ap, again;
    int rc = gee_json_body(req, 0, &root, &err);
    if (rc < 0)
        return bad_body(req, rc, &err);
    va_start(ap, fmt);
    va_copy(again, ap);
    rc = json_vunpack_ex(root, &err, 0, fmt, ap);
    json_decref(root); /* the request has one too */
    enum json_error_code code = rc < 0 ? json_error_code(&err) : json_error_unknown;
    if (code == json_error_invalid_format || code == json_error_null_value) {
        rc = bad_format(req, fmt, &err);
    } else if (rc < 0) {
        walk(&place, fmt, err.position, &again);
        tell(text, sizeof(text), &place, code == json_error_item_not_found ? "missing" : err.text);
        rc = refuse(req, UV_EINVAL, text);
    }
    va_end(again);
    va_end(ap);
    return rc;
}
