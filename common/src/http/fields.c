/* Header fields: a table in the arena, and what may go into a response's. */
#include "http/http.h"
#include <string.h>
#include <strings.h>

const gee_field *gee_fields_find(const gee_fields *fs, const char *name) {
    size_t len = strlen(name);
    for (size_t i = 0; i < fs->n; i++)
        if (fs->at[i].name_len == len && strncasecmp(fs->at[i].name, name, len) == 0)
            return &fs->at[i];
    return NULL;
}

gee_field *gee_fields_push(gee_fields *fs, gee_arena *a) {
    if (fs->n == fs->cap) {
        size_t cap = fs->cap ? 2 * fs->cap : 8;
        gee_field *at = gee_arena_alloc(a, cap * sizeof(*at));
        if (at == NULL)
            return NULL;
        if (fs->n)
            memcpy(at, fs->at, fs->n * sizeof(*at));
        fs->at = at;
        fs->cap = cap;
    }
    gee_field *f = &fs->at[fs->n++];
    *f = (gee_field){.name = "", .value = ""};
    return f;
}

int gee_fields_copy(gee_fields *to, const gee_fields *from, size_t n, gee_arena *a) {
    for (size_t i = 0; i < n; i++) {
        gee_field *f = gee_fields_push(to, a);
        if (f == NULL)
            return UV_ENOMEM;
        f->name_len = from->at[i].name_len;
        f->value_len = from->at[i].value_len;
        f->name = gee_arena_strndup(a, from->at[i].name, f->name_len);
        f->value = gee_arena_strndup(a, from->at[i].value, f->value_len);
        if (f->name == NULL || f->value == NULL)
            return UV_ENOMEM;
    }
    return 0;
}

/* --- of a response --- */

/* RFC 9110, 5.6.2: !#$%&'*+-.^_`|~, digits and letters, a bit for each. */
static bool is_tchar(unsigned char c) {
    static const uint64_t bits[2] = {0x3ff6cfa00000000, 0x57ffffffc7fffffe};
    return c < 128 && (bits[c >> 6] >> (c & 63) & 1);
}

bool gee_is_token(const char *s) {
    const char *at = s;
    while (is_tchar((unsigned char)*at))
        at++;
    return *at == '\0' && at > s;
}

static bool is_field_value(const char *s) {
    for (; *s; s++)
        if ((unsigned char)*s < ' ' && *s != '\t')
            return false;
    return true;
}

/* By length first: it is asked for every header of every response. */
static bool is_name(const char *name, size_t len, const char *which, size_t which_len) {
    return len == which_len && strncasecmp(name, which, len) == 0;
}

#define IS_NAME(name, len, literal) is_name(name, len, literal, sizeof(literal) - 1)

static bool is_framing(const char *name, size_t len) {
    return IS_NAME(name, len, "content-length") || IS_NAME(name, len, "transfer-encoding") ||
           IS_NAME(name, len, "date");
}

static gee_field *out_field(gee_exchange *x, const char *name, bool add) {
    gee_fields *fs = &x->out_fields;
    gee_field *f = add ? NULL : (gee_field *)gee_fields_find(fs, name);
    if (f)
        return f;
    size_t len = strlen(name);
    char *copy = gee_arena_strndup(x->arena, name, len);
    f = copy ? gee_fields_push(fs, x->arena) : NULL;
    if (f) {
        f->name = copy;
        f->name_len = len;
    }
    return f;
}

/* The others of that name, which were added to it. */
static void drop_behind(gee_fields *fs, const gee_field *f) {
    size_t n = (size_t)(f - fs->at) + 1;
    for (size_t i = n; i < fs->n; i++)
        if (fs->at[i].name_len != f->name_len || strcasecmp(fs->at[i].name, f->name) != 0)
            fs->at[n++] = fs->at[i];
    fs->n = n;
}

int gee_exchange_set(gee_exchange *x, const char *name, const char *value, bool add) {
    size_t name_len = strlen(name);
    if (x->head_sent)
        return UV_EALREADY;
    if (!gee_is_token(name) || !is_field_value(value) || is_framing(name, name_len))
        return UV_EINVAL;
    if (IS_NAME(name, name_len, "connection")) {
        x->conn->close_after |= strcasecmp(value, "close") == 0;
        return 0;
    }
    size_t len = strlen(value);
    char *copy = gee_arena_strndup(x->arena, value, len);
    gee_field *f = copy ? out_field(x, name, add) : NULL;
    if (f == NULL)
        return UV_ENOMEM;
    if (!add)
        drop_behind(&x->out_fields, f);
    f->value = copy;
    f->value_len = len;
    return 0;
}
