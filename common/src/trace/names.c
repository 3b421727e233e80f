#include "trace/names.h"
#include <string.h>

static size_t hash_of(const char *key) {
    uint64_t h = 0, part;
    for (size_t i = 0; i < GEE_NAME; i += sizeof(part)) {
        memcpy(&part, key + i, sizeof(part));
        h = (h ^ part) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 32;
    }
    return h % GEE_NAMES_HASH;
}

/* Where it is, or would be: the table is never more than half full. */
static uint16_t *slot_of(gee_names *ns, const char *key) {
    size_t i = hash_of(key);
    while (ns->hash[i] && memcmp(ns->at[ns->hash[i]], key, GEE_NAME) != 0)
        i = (i + 1) % GEE_NAMES_HASH;
    return &ns->hash[i];
}

/* "GET /users/17" is "GET /users/..."; false: there is nothing to cut. */
static int cut(char *key) {
    char *slash = strchr(key, '/');
    char *end = slash ? strpbrk(slash + 1, "/?") : NULL;
    if (end == NULL || end + 5 > key + GEE_NAME)
        return 0;
    memset(end, 0, (size_t)(key + GEE_NAME - end));
    memcpy(end, "/...", 4);
    return 1;
}

uint16_t gee_names_number(gee_names *ns, const char *name) {
    char key[GEE_NAME] = "";
    /* Byte by byte: TSan would look at a strnlen, and take the task's maker for a stranger. */
    for (int i = 0; i < GEE_NAME - 1 && name[i]; i++)
        key[i] = name[i];
    uint16_t *at = slot_of(ns, key);
    if (*at == 0 && ns->n >= GEE_NAMES_WHOLE && cut(key))
        at = slot_of(ns, key);
    if (*at == 0 && ns->n >= GEE_NAMES - 1) {
        memset(key, 0, sizeof(key));
        strcpy(key, "(other names)");
        at = slot_of(ns, key);
    }
    if (*at == 0) {
        *at = (uint16_t)++ns->n;
        memcpy(ns->at[*at], key, GEE_NAME);
    }
    return *at;
}
