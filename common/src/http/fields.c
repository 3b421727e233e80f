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

/* --- of a response --- */

static bool is_token(const char *s) {
    static const char extra[] = "!#$%&'*+-.^_`|~";
    if (*s == '\0')
        return false;
    for (; *s; s++) {
        bool alnum = (*s >= '0' && *s <= '9') || ((*s | 32) >= 'a' && (*s | 32) <= 'z');
        if (!alnum && strchr(extra, *s) == NULL)
            return false;
    }
    return true;
}

static bool is_field_value(const char *s) {
    for (; *s; s++)
        if ((unsigned char)*s < ' ' && *s != '\t')
            return false;
    return true;
}

static bool is_framing(const char *name) {
    return strcasecmp(name, "content-length") == 0 || strcasecmp(name, "transfer-encoding") == 0 ||
           strcasecmp(name, "date") == 0;
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
    if (x->head_sent)
        return UV_EALREADY;
    if (!is_token(name) || !is_field_value(value) || is_framing(name))
        return UV_EINVAL;
    if (strcasecmp(name, "connection") == 0) {
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
