/* A profile as profile.proto; the numbers are the fields of its messages. */
#include "pprof/profile.h"
#include "pprof/proto.h"
#include <string.h>

static void value_type(gee_proto *w, int field, gee_proto *inner, size_t type) {
    gee_proto_uint(inner, 1, type);
    gee_proto_uint(inner, 2, type + 1);
    gee_proto_message(w, field, inner);
}

static void label(gee_proto *w, gee_buf *scratch, uint32_t key, uint32_t value) {
    gee_proto inner = {.out = scratch};
    gee_proto_uint(&inner, 1, key);
    gee_proto_uint(&inner, 2, value);
    gee_proto_message(w, 3, &inner);
}

static void sample(gee_proto *w, gee_buf *scratch, const gee_prof *p, const gee_prof_sample *s) {
    const uint32_t *ids = p->ids.at + s->at;
    gee_proto packed = {.out = scratch};
    for (uint32_t i = 0; i < s->nlocations; i++)
        gee_proto_varint(&packed, ids[i] + UINT64_C(1));
    gee_proto_message(w, 1, &packed);
    for (int i = 0; i < p->ntypes; i++)
        gee_proto_varint(&packed, (uint64_t)s->values[i]);
    gee_proto_message(w, 2, &packed);
    for (uint32_t i = 0; i < s->nlabels; i++)
        label(w, scratch, ids[s->nlocations + 2 * i], ids[s->nlocations + 2 * i + 1]);
    if (packed.rc < 0)
        w->rc = packed.rc;
}

static void mapping(gee_proto *w, const gee_prof_mapping *m, uint64_t id) {
    gee_proto_uint(w, 1, id);
    gee_proto_uint(w, 2, m->start);
    gee_proto_uint(w, 3, m->limit);
    gee_proto_uint(w, 4, m->offset);
    gee_proto_uint(w, 5, m->file);
    gee_proto_uint(w, 6, m->build_id);
    for (int has = 7; has <= 10; has++) /* functions, filenames, lines, inlined ones: all is said */
        gee_proto_uint(w, has, 1);
}

static void location(gee_proto *w, gee_buf *scratch, const gee_prof *p, const gee_prof_location *l,
                     uint64_t id) {
    gee_proto line = {.out = scratch};
    gee_proto_uint(w, 1, id);
    gee_proto_uint(w, 2, l->mapping);
    gee_proto_uint(w, 3, l->pc);
    for (uint32_t i = 0; i < l->nlines; i++) {
        const gee_prof_line *at = &p->lines.at[l->line_at + i];
        gee_proto_uint(&line, 1, at->function + UINT64_C(1));
        gee_proto_uint(&line, 2, (uint64_t)at->line);
        gee_proto_message(w, 4, &line);
    }
}

static void function(gee_proto *w, const gee_prof_function *f, uint64_t id) {
    gee_proto_uint(w, 1, id);
    gee_proto_uint(w, 2, f->name);
    gee_proto_uint(w, 3, f->name);
    gee_proto_uint(w, 4, f->file);
}

static void string(gee_proto *w, const char *s) {
    gee_proto_bytes(w, 6, s, strlen(s));
}

static void strings(gee_proto *w, const gee_prof *p) {
    for (size_t i = 0; i < p->strings.n; i++)
        string(w, p->strings.at[i]);
    for (int i = 0; i < p->ntypes; i++) {
        string(w, p->types[i].type);
        string(w, p->types[i].unit);
    }
    string(w, p->period_type.type);
    string(w, p->period_type.unit);
}

static void encode(gee_proto *w, const gee_prof *p, gee_proto *inner, gee_buf *scratch) {
    size_t type = p->strings.n;
    for (int i = 0; i < p->ntypes; i++, type += 2)
        value_type(w, 1, inner, type);
    for (size_t i = 0; i < p->samples.n; i++) {
        if (gee_prof_is_zero(p, &p->samples.at[i]))
            continue;
        sample(inner, scratch, p, &p->samples.at[i]);
        gee_proto_message(w, 2, inner);
    }
    for (size_t i = 0; i < p->mappings.n; i++) {
        mapping(inner, &p->mappings.at[i], i + 1);
        gee_proto_message(w, 3, inner);
    }
    for (size_t i = 0; i < p->locations.n; i++) {
        location(inner, scratch, p, &p->locations.at[i], i + 1);
        gee_proto_message(w, 4, inner);
    }
    for (size_t i = 0; i < p->functions.n; i++) {
        function(inner, &p->functions.at[i], i + 1);
        gee_proto_message(w, 5, inner);
    }
    strings(w, p);
    gee_proto_uint(w, 9, (uint64_t)p->time_ns);
    gee_proto_uint(w, 10, (uint64_t)p->duration_ns);
    value_type(w, 11, inner, type);
    gee_proto_uint(w, 12, (uint64_t)p->period);
    gee_proto_uint(w, 13, p->comment);
}

int gee_prof_encode(const gee_prof *p, gee_buf *out) {
    gee_buf whole = {0}, part = {0}, scratch = {0};
    gee_proto w = {.out = &whole}, inner = {.out = &part};
    if (p->rc < 0)
        return p->rc;
    encode(&w, p, &inner, &scratch);
    int rc = w.rc < 0 ? w.rc : gee_gzip_whole(gee_buf_head(&whole), gee_buf_size(&whole), out);
    gee_buf_free(&whole);
    gee_buf_free(&part);
    gee_buf_free(&scratch);
    return rc;
}
