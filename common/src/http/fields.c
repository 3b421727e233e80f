/* Header fields: a table in the arena, and what may go into a response's. */
#include "http/bytes.h"
#include "http/http.h"
#include <string.h>
#include <strings.h>

/* By length first: it is asked for every header of every message. */
static bool is_name(const char *name, size_t len, const char *which, size_t which_len) {
    return len == which_len && strncasecmp(name, which, len) == 0;
}

#define IS_NAME(name, len, literal) GEE_IS_TOKEN(name, len, literal)

static gee_field *find(const gee_fields *fs, const char *name, size_t len) {
    for (size_t i = 0; i < fs->n; i++)
        if (is_name(fs->at[i].name, fs->at[i].name_len, name, len))
            return &fs->at[i];
    return NULL;
}

const gee_field *gee_fields_find(const gee_fields *fs, const char *name) {
    return find(fs, name, strlen(name));
}

gee_field *gee_fields_push(gee_fields *fs, gee_arena *a) {
    if (fs->n == fs->cap) {
        size_t cap = fs->cap ? 2 * fs->cap : 4;
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

static bool is_made_of(unsigned class, const char *s, size_t n) {
    return gee_prefix(s, n, class) == n;
}

bool gee_is_token(const char *s) {
    return *s && is_made_of(GEE_TOKEN, s, strlen(s));
}

static bool is_framing(const char *name, size_t len) {
    return IS_NAME(name, len, "content-length") || IS_NAME(name, len, "transfer-encoding") ||
           IS_NAME(name, len, "date");
}

static gee_field *out_field(gee_exchange *x, const char *name, size_t len, bool add) {
    gee_fields *fs = &x->out_fields;
    gee_field *f = add ? NULL : find(fs, name, len);
    if (f)
        return f;
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
    size_t name_len = strlen(name), len = strlen(value);
    if (x->head_sent)
        return UV_EALREADY;
    if (name_len == 0 || !is_made_of(GEE_TOKEN, name, name_len) ||
        !is_made_of(GEE_TEXT, value, len) || is_framing(name, name_len))
        return UV_EINVAL;
    if (IS_NAME(name, name_len, "connection")) {
        x->conn->close_after |= strcasecmp(value, "close") == 0;
        return 0;
    }
    char *copy = gee_arena_strndup(x->arena, value, len);
    gee_field *f = copy ? out_field(x, name, name_len, add) : NULL;
    if (f == NULL)
        return UV_ENOMEM;
    if (!add)
        drop_behind(&x->out_fields, f);
    f->value = copy;
    f->value_len = len;
    return 0;
}

int gee_exchange_set_own(gee_exchange *x, const gee_field *own) {
    if (x->head_sent)
        return UV_EALREADY;
    gee_field *f = find(&x->out_fields, own->name, own->name_len);
    if (f)
        drop_behind(&x->out_fields, f);
    else
        f = gee_fields_push(&x->out_fields, x->arena);
    if (f == NULL)
        return UV_ENOMEM;
    *f = *own;
    return 0;
}
