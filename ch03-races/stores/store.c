#include "store.h"
#include <stdlib.h>
#include <string.h>

const store_kind *const store_kinds[STORE_KINDS] = {
    &store_mutex, &store_spin, &store_rwmutex, &store_syncmap, &store_snapshot, &store_carried,
};

/* FNV-1a, and a last turn, for a table takes the low bits. */
void store_key_init(store_key *key, const char *name) {
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (const char *s = name; *s; s++)
        h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
    *key = (store_key){name, h ^ h >> 32};
}

store_box *store_box_new(const char *value) {
    size_t n = strlen(value);
    store_box *box = malloc(sizeof(*box) + n + 1);
    if (box == NULL)
        return NULL;
    box->n = n;
    memcpy(box->text, value, n + 1);
    return box;
}

ssize_t store_box_copy(const store_box *box, char *out, size_t size) {
    if (box == NULL)
        return UV_ENOENT;
    if (size > 0) {
        size_t n = box->n < size ? box->n : size - 1;
        memcpy(out, box->text, n);
        out[n] = '\0';
    }
    return (ssize_t)box->n;
}

store *store_ref(store *s) {
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

bool store_unref(store *s) {
    return atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1;
}
