#include "trace/names.h"
#include <endian.h>
#include <string.h>

enum { WORDS = GEE_NAME / 8 };

#define EACH(b) (UINT64_C(0x0101010101010101) * (b))

/* Leaves zeros there. Not by strnlen: TSan would look at it, and take the task's maker for a
 * stranger. */
static void cut_behind_end(gee_name_key *k) {
    for (int i = 0; i < WORDS; i++) {
        uint64_t x = le64toh(k->word[i]), ends = (x - EACH(1)) & ~x & EACH(0x80);
        if (ends == 0)
            continue;
        k->word[i] = htole64(x & (((ends & -ends) >> 7) - 1)); /* below the first byte that is 0 */
        while (++i < WORDS)
            k->word[i] = 0;
    }
}

static size_t hash_of(const gee_name_key *k) {
    uint64_t a = k->word[0] * UINT64_C(0x9e3779b97f4a7c15) + k->word[1];
    uint64_t b = k->word[2] * UINT64_C(0x9e3779b97f4a7c15) + k->word[3];
    uint64_t h = (a ^ a >> 32) * UINT64_C(0xc2b2ae3d27d4eb4f) + b;
    return (h ^ h >> 32) * UINT64_C(0x9e3779b97f4a7c15) >> 32 & (GEE_NAMES_HASH - 1);
}

static bool same(const gee_name_key *a, const gee_name_key *b) {
    uint64_t differs = 0;
    for (int i = 0; i < WORDS; i++)
        differs |= a->word[i] ^ b->word[i];
    return differs == 0;
}

/* Where it is, or would be: the table is never more than half full. */
static uint16_t *slot_of(gee_names *ns, const gee_name_key *k) {
    size_t i = hash_of(k);
    while (ns->hash[i] && memcmp(k, ns->at[ns->hash[i]], GEE_NAME) != 0)
        i = (i + 1) % GEE_NAMES_HASH;
    return &ns->hash[i];
}

/* "GET /users/17" is "GET /users/..."; false: there is nothing to cut. */
static bool cut(gee_name_key *k) {
    char *slash = strchr(k->text, '/');
    char *end = slash ? strpbrk(slash + 1, "/?") : NULL;
    if (end == NULL || end + 5 > k->text + GEE_NAME)
        return false;
    memset(end, 0, (size_t)(k->text + GEE_NAME - end));
    memcpy(end, "/...", 4);
    return true;
}

static uint16_t *add(gee_names *ns, gee_name_key *k, uint16_t *at) {
    if (ns->n >= GEE_NAMES_WHOLE && cut(k))
        at = slot_of(ns, k);
    if (*at == 0 && ns->n >= GEE_NAMES - 1) {
        *k = (gee_name_key){.text = "(other names)"};
        at = slot_of(ns, k);
    }
    if (*at == 0) {
        *at = (uint16_t)++ns->n;
        memcpy(ns->at[*at], k, GEE_NAME);
    }
    return at;
}

static uint16_t find_or_add(gee_names *ns, gee_name_key *k) {
    cut_behind_end(k);
    uint16_t *at = slot_of(ns, k);
    return *at ? *at : *add(ns, k, at);
}

uint16_t gee_names_number(gee_names *ns, const char *name) {
    gee_name_key k;
    memcpy(&k, name, GEE_NAME);
    size_t i = hash_of(&k) % GEE_NAMES_LATEST;
    if (ns->latest[i].number == 0 || !same(&k, &ns->latest[i].key)) {
        ns->latest[i].key = k;
        ns->latest[i].number = find_or_add(ns, &k);
    }
    return ns->latest[i].number;
}
