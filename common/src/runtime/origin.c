#include "runtime/origin.h"
#include <stdlib.h>

/*
 * A task that starts its successor, and that one its own, has a path of one place, not of a
 * million; and two that start each other have one that ends after so many.
 */
static const gee_origin *shorten(gee_site site, const gee_origin *parent) {
    while (parent && (parent->site == site || parent->depth >= GEE_ORIGIN_DEPTH))
        parent = parent->parent;
    return parent;
}

static gee_origin *find(gee_origin *o, gee_site site, const gee_origin *parent) {
    while (o && (o->site != site || o->parent != parent))
        o = o->next;
    return o;
}

gee_origin *gee_origin_make(gee_origins *os, gee_site site, const gee_origin *parent) {
    parent = shorten(site, parent);
    gee_origin **slot = gee_origin_slot(os, site, parent), *o = find(*slot, site, parent);
    if (o)
        return o;
    os->other.site = "(other places)";
    os->other.depth = 1;
    o = os->n < GEE_ORIGIN_MOST ? malloc(sizeof(*o)) : NULL;
    if (o == NULL)
        return &os->other;
    *o = (gee_origin){site, parent, parent ? parent->depth + 1 : 1, *slot, 0, 0};
    *slot = o;
    os->n++;
    return o;
}

void gee_origins_free(gee_origins *os) {
    for (size_t i = 0; i < GEE_ORIGIN_SLOTS; i++)
        for (gee_origin *o = os->slots[i], *next; o; o = next) {
            next = o->next;
            free(o);
        }
}
