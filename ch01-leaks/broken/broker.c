/*
 * A broker is lists of subscriptions, and one lock over them. Whoever has the lock waits
 * for nothing: a message is offered to a queue, never pressed into it.
 *
 * A subscription gets messages exactly as long as it is in a list. It is taken off in one
 * place, end(), under the lock.
 *
 * The lists hold no references. The last one to go takes its subscription off first, and
 * gets the lock for that: until then the memory is good for who walks the list.
 */
#include "gee/broker.h"
#include "gee/sync.h"
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 64 };

struct gee_message {
    atomic_int refs;
    size_t size;
    alignas(max_align_t) char data[];
};

struct gee_broker {
    atomic_int refs; /* its owner's, and one for each subscription */
    gee_mutex lock;  /* over what follows, and over the links of all subscriptions */
    bool closed;
    gee_sub *buckets[BUCKETS]; /* by topic */
};

struct gee_sub {
    atomic_int refs;
    gee_broker *broker;
    gee_chan *queue;
    gee_sub *next, **link; /* link NULL: it has ended */
    atomic_int err;
    char topic[];
};

/* --- messages --- */

static gee_message *message_new(const void *data, size_t n) {
    gee_message *m = n < SIZE_MAX - sizeof(*m) ? malloc(sizeof(*m) + n + 1) : NULL;
    if (m == NULL)
        return NULL;
    atomic_init(&m->refs, 1);
    m->size = n;
    if (n > 0)
        memcpy(m->data, data, n);
    m->data[n] = '\0';
    return m;
}

const void *gee_message_data(const gee_message *m) {
    return m->data;
}

size_t gee_message_size(const gee_message *m) {
    return m->size;
}

gee_message *gee_message_ref(gee_message *m) {
    atomic_fetch_add(&m->refs, 1);
    return m;
}

void gee_message_unref(gee_message *m) {
    if (m && atomic_fetch_sub(&m->refs, 1) == 1)
        free(m);
}

/* --- the lists: all of these under the lock --- */

/* FNV-1a. */
static gee_sub **bucket(gee_broker *b, const char *topic) {
    unsigned h = 2166136261u;
    for (; *topic; topic++)
        h = (h ^ (unsigned char)*topic) * 16777619u;
    return &b->buckets[h % BUCKETS];
}

static void begin(gee_broker *b, gee_sub *s) {
    gee_sub **first = bucket(b, s->topic);
    s->next = *first;
    s->link = first;
    if (s->next)
        s->next->link = &s->next;
    *first = s;
}

/* Nobody sends to it any more; its queue goes with its last reference. */
static void end(gee_sub *s, int why) {
    *s->link = s->next;
    if (s->next)
        s->next->link = s->link;
    s->link = NULL;
    atomic_store(&s->err, why);
}

/* topic NULL: all of them. */
static int end_each(gee_sub *s, const char *topic, int why) {
    int n = 0;
    for (gee_sub *next; s; s = next) {
        next = s->next;
        if (topic && strcmp(s->topic, topic) != 0)
            continue;
        end(s, why);
        n++;
    }
    return n;
}

/* False: its queue is full. */
static bool offer(gee_sub *s, gee_message *m) {
    gee_message_ref(m);
    bool taken = gee_chan_try_send(s->queue, &m) == 0;
    if (!taken)
        gee_message_unref(m);
    return taken;
}

/* --- brokers --- */

static void broker_unref(gee_broker *b) {
    if (atomic_fetch_sub(&b->refs, 1) == 1)
        free(b);
}

gee_broker *gee_broker_new(void) {
    gee_broker *b = calloc(1, sizeof(*b));
    if (b)
        atomic_init(&b->refs, 1);
    return b;
}

void gee_broker_close(gee_broker *b) {
    gee_mutex_lock(NULL, &b->lock);
    b->closed = true;
    for (int i = 0; i < BUCKETS; i++)
        end_each(b->buckets[i], NULL, UV_ESHUTDOWN);
    gee_mutex_unlock(&b->lock);
}

void gee_broker_free(gee_broker *b) {
    if (b == NULL)
        return;
    gee_broker_close(b);
    broker_unref(b);
}

int gee_publish(gee_broker *b, const char *topic, const void *data, size_t n) {
    int readers = 0;
    gee_message *m = message_new(data, n);
    if (m == NULL)
        return UV_ENOMEM;
    topic = topic ? topic : "";
    gee_mutex_lock(NULL, &b->lock);
    bool closed = b->closed;
    for (gee_sub *s = *bucket(b, topic), *next; s; s = next) {
        next = s->next;
        if (strcmp(s->topic, topic) != 0)
            continue;
        if (offer(s, m))
            readers++;
        else
            end(s, UV_ENOBUFS);
    }
    gee_mutex_unlock(&b->lock);
    gee_message_unref(m);
    return closed ? UV_EPIPE : readers;
}

/* --- subscriptions --- */

gee_sub *gee_subscribe(gee_broker *b, const char *topic, size_t capacity) {
    topic = topic ? topic : "";
    size_t n = strlen(topic) + 1;
    gee_sub *s = calloc(1, sizeof(*s) + n);
    if (s == NULL)
        return NULL;
    s->queue = gee_chan_new(sizeof(gee_message *), capacity ? capacity : 1);
    if (s->queue == NULL) {
        free(s);
        return NULL;
    }
    atomic_init(&s->refs, 1);
    atomic_fetch_add(&b->refs, 1);
    s->broker = b;
    memcpy(s->topic, topic, n);
    gee_mutex_lock(NULL, &b->lock);
    begin(b, s);
    if (b->closed)
        end(s, UV_ESHUTDOWN);
    gee_mutex_unlock(&b->lock);
    return s;
}

gee_chan *gee_sub_chan(const gee_sub *s) {
    return s->queue;
}

int gee_sub_err(const gee_sub *s) {
    return atomic_load(&s->err);
}

int gee_unsubscribe(gee_sub *s) {
    gee_mutex_lock(NULL, &s->broker->lock);
    bool was_there = s->link != NULL;
    if (was_there)
        end(s, UV_ECANCELED);
    gee_mutex_unlock(&s->broker->lock);
    return was_there ? 0 : UV_EALREADY;
}

int gee_unsubscribe_all(gee_broker *b, const char *topic) {
    topic = topic ? topic : "";
    gee_mutex_lock(NULL, &b->lock);
    int n = end_each(*bucket(b, topic), topic, UV_ECANCELED);
    gee_mutex_unlock(&b->lock);
    return n;
}

gee_sub *gee_sub_ref(gee_sub *s) {
    atomic_fetch_add(&s->refs, 1);
    return s;
}

void gee_sub_unref(gee_sub *s) {
    gee_message *m;
    if (s == NULL || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    gee_unsubscribe(s);
    while (gee_chan_try_recv(s->queue, &m) == 0)
        gee_message_unref(m);
    gee_chan_unref(s->queue);
    broker_unref(s->broker);
    free(s);
}
