/*
 * The functions that every set has. and, or are not here but in eval.c: they do not
 * evaluate what is not needed.
 */
#include "html/html.h"
#include <string.h>

bool html_true(const json_t *v) {
    switch (json_typeof(v)) {
    case JSON_STRING:
        return json_string_length(v) > 0;
    case JSON_INTEGER:
        return json_integer_value(v) != 0;
    case JSON_REAL:
        return json_real_value(v) != 0;
    case JSON_ARRAY:
        return json_array_size(v) > 0;
    case JSON_OBJECT:
        return json_object_size(v) > 0;
    default:
        return json_is_true(v);
    }
}

static json_t *refuse(gee_html_call *call, const char *why) {
    call->error = why;
    return NULL;
}

static json_t *not_(gee_html_call *call) {
    if (call->n != 1)
        return refuse(call, "has one argument");
    return json_boolean(!html_true(call->args[0]));
}

/* Less, equal, greater: -1, 0, 1. 2: they cannot be compared. */
static int compared(const json_t *a, const json_t *b) {
    if (json_is_string(a) && json_is_string(b)) {
        size_t n = json_string_length(a), m = json_string_length(b);
        int d = memcmp(json_string_value(a), json_string_value(b), n < m ? n : m);
        return d ? (d > 0) - (d < 0) : (n > m) - (n < m);
    }
    if (json_is_integer(a) && json_is_integer(b)) {
        json_int_t x = json_integer_value(a), y = json_integer_value(b);
        return (x > y) - (x < y);
    }
    if (json_is_number(a) && json_is_number(b)) {
        double x = json_number_value(a), y = json_number_value(b);
        return (x > y) - (x < y);
    }
    return 2;
}

static bool same(json_t *a, json_t *b) {
    int c = compared(a, b);
    if (c != 2 || json_is_array(a) || json_is_object(a))
        return c == 0;
    return json_typeof(a) == json_typeof(b); /* null, true, false */
}

static json_t *eq(gee_html_call *call) {
    if (call->n < 2)
        return refuse(call, "has two arguments or more");
    for (size_t i = 1; i < call->n; i++)
        if (same(call->args[0], call->args[i]))
            return json_true();
    return json_false();
}

static json_t *ne(gee_html_call *call) {
    if (call->n != 2)
        return refuse(call, "has two arguments");
    return json_boolean(!same(call->args[0], call->args[1]));
}

static json_t *ordered(gee_html_call *call, bool less, bool equal) {
    if (call->n != 2)
        return refuse(call, "has two arguments");
    int c = compared(call->args[0], call->args[1]);
    if (c == 2)
        return refuse(call, "compares two numbers or two strings");
    return json_boolean(c == 0 ? equal : (c < 0) == less);
}

static json_t *lt(gee_html_call *call) {
    return ordered(call, true, false);
}

static json_t *le(gee_html_call *call) {
    return ordered(call, true, true);
}

static json_t *gt(gee_html_call *call) {
    return ordered(call, false, false);
}

static json_t *ge(gee_html_call *call) {
    return ordered(call, false, true);
}

static json_t *len(gee_html_call *call) {
    if (call->n != 1)
        return refuse(call, "has one argument");
    const json_t *v = call->args[0];
    if (json_is_string(v))
        return json_integer((json_int_t)json_string_length(v));
    if (json_is_array(v) || json_is_object(v))
        return json_integer(
            (json_int_t)(json_is_array(v) ? json_array_size(v) : json_object_size(v)));
    return refuse(call, "is of a string, an array or an object");
}

static json_t *at_key(gee_html_call *call) {
    json_t *v = call->n > 0 ? call->args[0] : NULL;
    if (v == NULL)
        return refuse(call, "has an argument");
    for (size_t i = 1; i < call->n; i++) {
        const json_t *key = call->args[i];
        if (json_is_object(v) && json_is_string(key)) {
            json_t *in = json_object_get(v, json_string_value(key));
            v = in ? in : json_null();
        } else if (json_is_array(v) && json_is_integer(key)) {
            json_int_t k = json_integer_value(key);
            if (k < 0 || (size_t)k >= json_array_size(v))
                return refuse(call, "is out of the array");
            v = json_array_get(v, (size_t)k);
        } else {
            return refuse(call, "is of an array by a number, or of an object by a string");
        }
    }
    return json_incref(v);
}

static const struct {
    const char *name;
    gee_html_fn fn;
    char decides;
} builtins[] = {
    {"and", NULL, '&'}, {"or", NULL, '|'}, {"not", not_, 0},     {"eq", eq, 0},
    {"ne", ne, 0},      {"lt", lt, 0},     {"le", le, 0},        {"gt", gt, 0},
    {"ge", ge, 0},      {"len", len, 0},   {"index", at_key, 0},
};

int html_builtins(gee_html *h) {
    for (size_t i = 0; i < sizeof(builtins) / sizeof(*builtins); i++) {
        html_func *f = gee_arena_calloc(&h->arena, sizeof(*f));
        if (f == NULL)
            return UV_ENOMEM;
        f->name = builtins[i].name;
        f->fn = builtins[i].fn;
        f->decides = builtins[i].decides;
        f->next = h->funcs;
        h->funcs = f;
    }
    return 0;
}

const html_func *html_func_find(const gee_html *h, const char *name, size_t n) {
    for (const html_func *f = h->funcs; f; f = f->next)
        if (strlen(f->name) == n && memcmp(f->name, name, n) == 0)
            return f;
    return NULL;
}
