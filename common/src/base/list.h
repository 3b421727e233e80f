/*
 * Intrusive circular doubly linked list.
 *
 * The head is itself a link, so that inserting and removing need no special
 * case. A link that is on no list points at itself: gee_list_del() may be
 * called on it again, and gee_list_linked() says whether it is on one.
 */
#ifndef GEE_BASE_LIST_H
#define GEE_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct gee_list {
    struct gee_list *next, *prev;
} gee_list;

#define gee_container(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define gee_list_each(it, head) for (gee_list *it = (head)->next; it != (head); it = it->next)

#define gee_list_each_safe(it, head)                                       \
    for (gee_list *it = (head)->next, *it##_next = it->next; it != (head); \
         it = it##_next, it##_next = it->next)

static inline void gee_list_init(gee_list *l) {
    l->next = l->prev = l;
}

static inline bool gee_list_empty(const gee_list *l) {
    return l->next == l;
}

static inline bool gee_list_linked(const gee_list *l) {
    return l->next != l;
}

static inline void gee_list_push(gee_list *head, gee_list *l) {
    l->next = head;
    l->prev = head->prev;
    head->prev->next = l;
    head->prev = l;
}

static inline void gee_list_del(gee_list *l) {
    l->prev->next = l->next;
    l->next->prev = l->prev;
    l->next = l->prev = l;
}

static inline gee_list *gee_list_pop(gee_list *head) {
    gee_list *l = head->next;
    if (l == head)
        return NULL;
    gee_list_del(l);
    return l;
}

#endif
