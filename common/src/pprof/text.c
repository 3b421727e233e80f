/*
 * A profile as text: what Go's runtime/pprof writes with debug=1, which people read, and tools
 * take as the formats that there were before profile.proto. A line for each sample, the addresses
 * as return addresses, and behind it, as comments, what they mean.
 */
#include "pprof/profile.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void gee_prof_frame_text(const gee_prof *p, const gee_prof_location *l, gee_buf *out) {
    if (l->nlines == 0)
        gee_buf_printf(out, "#\t%#" PRIxPTR "\n", l->pc + 1);
    for (uint32_t i = 0; i < l->nlines; i++) {
        const gee_prof_line *at = &p->lines.at[l->line_at + i];
        const gee_prof_function *f = &p->functions.at[at->function];
        if (l->pc)
            gee_buf_printf(out, "#\t%#" PRIxPTR "\t%s+%#" PRIx64, l->pc + 1, p->strings.at[f->name],
                           l->offset + 1);
        else
            gee_buf_printf(out, "#\t-\t%s", p->strings.at[f->name]);
        if (f->file)
            gee_buf_printf(out, "\t%s:%d", p->strings.at[f->file], at->line);
        gee_buf_printf(out, "\n");
    }
}

static void string_json(gee_buf *out, const char *s) {
    gee_buf_printf(out, "\"");
    for (; *s; s++)
        gee_buf_printf(out, *s == '"' || *s == '\\' ? "\\%c" : "%c", *s);
    gee_buf_printf(out, "\"");
}

static void labels(const gee_prof *p, const gee_prof_sample *s, gee_buf *out) {
    const uint32_t *ids = p->ids.at + s->at + s->nlocations;
    for (uint32_t i = 0; i < s->nlabels; i++) {
        gee_buf_printf(out, i == 0 ? "# labels: {" : ", ");
        string_json(out, p->strings.at[ids[2 * i]]);
        gee_buf_printf(out, ":");
        string_json(out, p->strings.at[ids[2 * i + 1]]);
    }
    if (s->nlabels > 0)
        gee_buf_printf(out, "}\n");
}

static void values(const int64_t *v, enum gee_prof_form form, gee_buf *out) {
    if (form == GEE_PROF_COUNTS)
        gee_buf_printf(out, "%" PRId64 " @", v[0]);
    else if (form == GEE_PROF_HEAP) /* in use, and again as what was ever made: unknown */
        gee_buf_printf(out, "%" PRId64 ": %" PRId64 " [%" PRId64 ": %" PRId64 "] @", v[0], v[1],
                       v[0], v[1]);
    else /* cycles, of which a second has 1e9 */
        gee_buf_printf(out, "%" PRId64 " %" PRId64 " @", v[1], v[0]);
}

static void sample(const gee_prof *p, const gee_prof_sample *s, enum gee_prof_form form,
                   gee_buf *out) {
    const uint32_t *ids = p->ids.at + s->at;
    values(s->values, form, out);
    for (uint32_t i = 0; i < s->nlocations; i++)
        if (p->locations.at[ids[i]].pc)
            gee_buf_printf(out, " %#" PRIxPTR, p->locations.at[ids[i]].pc + 1);
    gee_buf_printf(out, "\n");
    labels(p, s, out);
    for (uint32_t i = 0; i < s->nlocations; i++)
        gee_prof_frame_text(p, &p->locations.at[ids[i]], out);
    gee_buf_printf(out, "\n");
}

static void title(const gee_prof *p, const char *name, enum gee_prof_form form, gee_buf *out) {
    int64_t total[GEE_PROF_VALUES] = {0};
    for (size_t i = 0; i < p->samples.n; i++)
        for (int j = 0; j < p->ntypes; j++)
            total[j] += p->samples.at[i].values[j];
    if (form == GEE_PROF_COUNTS)
        gee_buf_printf(out, "%s profile: total %" PRId64 "\n", name, total[0]);
    else if (form == GEE_PROF_HEAP)
        gee_buf_printf(
            out, "heap profile: %" PRId64 ": %" PRId64 " [%" PRId64 ": %" PRId64 "] @ heap/1\n",
            total[0], total[1], total[0], total[1]);
    else
        gee_buf_printf(out, "--- %s:\ncycles/second=1000000000\nsampling period=1\n", name);
}

/* By the last value, the largest first; those of the same, in the order in which they came. */
struct order {
    int64_t value;
    size_t number;
};

static int by_value(const void *a, const void *b) {
    const struct order *x = a, *y = b;
    return x->value != y->value ? (x->value < y->value) - (x->value > y->value)
                                : (x->number > y->number) - (x->number < y->number);
}

int gee_prof_text(const gee_prof *p, const char *name, enum gee_prof_form form, gee_buf *out) {
    struct order *order = calloc(p->samples.n + 1, sizeof(*order));
    if (order == NULL || p->rc < 0) {
        free(order);
        return UV_ENOMEM;
    }
    for (size_t i = 0; i < p->samples.n; i++)
        order[i] = (struct order){p->samples.at[i].values[p->ntypes - 1], i};
    qsort(order, p->samples.n, sizeof(*order), by_value);
    title(p, name, form, out);
    if (p->comment)
        gee_buf_printf(out, "# %s\n\n", p->strings.at[p->comment]);
    for (size_t i = 0; i < p->samples.n; i++)
        if (!gee_prof_is_zero(p, &p->samples.at[order[i].number]))
            sample(p, &p->samples.at[order[i].number], form, out);
    free(order);
    return 0;
}
