/* The broker: who gets what and in which order, how a subscription ends, and what is left. */
#include "t.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int say(gee_broker *b, const char *topic, const char *text) {
    return gee_publish(b, topic, text, strlen(text));
}

/* What waits in its queue, in order: "a b ", and at the end "." if the channel is closed. */
static const char *rest(gee_sub *s, char *buf, size_t size) {
    gee_message *m;
    int rc;
    *buf = '\0';
    while ((rc = gee_chan_try_recv(gee_sub_chan(s), &m)) == 0) {
        size_t n = strlen(buf);
        snprintf(buf + n, size - n, "%s ", (const char *)gee_message_data(m));
        gee_message_unref(m);
    }
    if (rc == UV_EOF)
        strncat(buf, ".", size - strlen(buf) - 1);
    return buf;
}

#define T_REST(sub, want)                                                          \
    do {                                                                           \
        char text_[64];                                                            \
        if (strcmp(rest(sub, text_, sizeof(text_)), want) != 0)                    \
            T_FAIL("the queue of %s has \"%s\", not \"%s\"", #sub, text_, (want)); \
    } while (0)

/* --- messages and topics --- */

static void test_topics_body(gee_ctx *ctx, void *arg) {
    gee_broker *b = gee_broker_new();
    gee_sub *tea = gee_subscribe(b, "tea", 8), *tea2 = gee_subscribe(b, "tea", 8);
    gee_sub *none = gee_subscribe(b, NULL, 8), *empty = gee_subscribe(b, "", 8);
    (void)ctx;
    (void)arg;
    T_EQ(say(b, "tea", "one"), 2);
    T_EQ(say(b, "te", "not this"), 0);
    T_EQ(say(b, "teaa", "nor this"), 0);
    T_EQ(say(b, NULL, "all"), 2);
    T_EQ(say(b, "", "same"), 2);
    gee_sub *late = gee_subscribe(b, "tea", 8);
    T_EQ(say(b, "tea", "two"), 3);
    T_REST(tea, "one two ");
    T_REST(tea2, "one two ");
    T_REST(late, "two ");
    T_REST(none, "all same ");
    T_REST(empty, "all same ");
    gee_sub_unref(tea2);
    T_EQ(say(b, "tea", "three"), 2);
    T_EQ(gee_sub_err(tea), 0);
    T_REST(tea, "three ");
    gee_sub_unref(tea);
    gee_sub_unref(none);
    gee_sub_unref(empty);
    gee_sub_unref(late); /* with a message in its queue */
    gee_broker_free(b);
}

static void test_topics(void **state) {
    (void)state;
    t_sim(test_topics_body, NULL);
}

static void test_many_topics_body(gee_ctx *ctx, void *arg) {
    enum { N = 500 };
    static gee_sub *subs[N];
    gee_broker *b = gee_broker_new();
    char topic[32];
    (void)ctx;
    (void)arg;
    for (int i = 0; i < N; i++) {
        snprintf(topic, sizeof(topic), "topic %d", i);
        subs[i] = gee_subscribe(b, topic, 2);
    }
    for (int i = 0; i < N; i++) {
        snprintf(topic, sizeof(topic), "topic %d", i);
        T_EQ(say(b, topic, topic), 1);
    }
    for (int i = 0; i < N; i += 2)
        gee_sub_unref(subs[i]);
    for (int i = 0; i < N; i++) {
        snprintf(topic, sizeof(topic), "topic %d", i);
        T_EQ(say(b, topic, "more"), i % 2);
    }
    for (int i = 1; i < N; i += 2) {
        snprintf(topic, sizeof(topic), "topic %d more ", i);
        T_REST(subs[i], topic);
        gee_sub_unref(subs[i]);
    }
    gee_broker_free(b);
}

static void test_many_topics(void **state) {
    (void)state;
    gee_config cfg = {.sim = true};
    t_run(&cfg, 0, test_many_topics_body, NULL);
}

static void test_messages_body(gee_ctx *ctx, void *arg) {
    gee_broker *b = gee_broker_new();
    gee_sub *s = gee_subscribe(b, NULL, 3), *t = gee_subscribe(b, NULL, 3);
    gee_message *m, *same;
    char bytes[] = {'a', '\0', 'b'};
    double number = 0.5;
    (void)arg;
    T_EQ(gee_publish(b, NULL, bytes, sizeof(bytes)), 2);
    T_EQ(gee_publish(b, NULL, NULL, 0), 2);
    T_EQ(gee_publish(b, NULL, &number, sizeof(number)), 2);
    memset(bytes, 'x', sizeof(bytes)); /* it was copied */
    T_RC(gee_chan_recv(ctx, gee_sub_chan(s), &m), 0);
    T_RC(gee_chan_recv(ctx, gee_sub_chan(t), &same), 0);
    T_CHECK(m == same); /* once */
    gee_message_unref(same);
    T_EQ(gee_message_size(m), 3);
    T_CHECK(memcmp(gee_message_data(m), "a\0b", 4) == 0);
    gee_message_ref(m);
    gee_message_unref(m);
    T_CHECK(memcmp(gee_message_data(m), "a\0b", 4) == 0);
    gee_message_unref(m);
    T_RC(gee_chan_recv(ctx, gee_sub_chan(s), &m), 0);
    T_EQ(gee_message_size(m), 0);
    T_STR(gee_message_data(m), "");
    gee_message_unref(m);
    T_RC(gee_chan_recv(ctx, gee_sub_chan(s), &m), 0);
    T_CHECK(*(const double *)gee_message_data(m) == 0.5);
    gee_sub_unref(s);
    gee_sub_unref(t);
    gee_broker_free(b);
    T_CHECK(*(const double *)gee_message_data(m) == 0.5); /* it outlives them all */
    gee_message_unref(m);
}

static void test_messages(void **state) {
    (void)state;
    t_sim(test_messages_body, NULL);
}

/* --- how a subscription ends --- */

static void test_slow_reader_body(gee_ctx *ctx, void *arg) {
    gee_broker *b = gee_broker_new();
    gee_sub *slow = gee_subscribe(b, NULL, 2), *one = gee_subscribe(b, NULL, 0);
    gee_sub *fast = gee_subscribe(b, NULL, 10);
    (void)ctx;
    (void)arg;
    T_EQ(say(b, NULL, "a"), 3);
    T_EQ(say(b, NULL, "b"), 2); /* a capacity of 0 is one of 1 */
    T_EQ(gee_sub_err(one), UV_ENOBUFS);
    T_EQ(gee_sub_err(slow), 0);
    T_EQ(say(b, NULL, "c"), 1);
    T_EQ(gee_sub_err(slow), UV_ENOBUFS);
    T_EQ(say(b, NULL, "d"), 1);
    T_REST(one, "a .");
    T_REST(slow, "a b .");
    T_REST(fast, "a b c d ");
    T_RC(gee_unsubscribe(slow), UV_EALREADY);
    T_EQ(gee_sub_err(slow), UV_ENOBUFS);
    gee_sub_unref(slow);
    gee_sub_unref(one);
    gee_sub_unref(fast);
    gee_broker_free(b);
}

static void test_slow_reader(void **state) {
    (void)state;
    t_sim(test_slow_reader_body, NULL);
}

/* A reader whose loop knows only one end. */
static atomic_int reading, heard;

static void reads(gee_ctx *ctx, void *arg) {
    gee_sub *s = arg;
    gee_message *m;
    (void)ctx;
    while (gee_chan_recv(NULL, gee_sub_chan(s), &m) == 0) {
        heard++;
        gee_message_unref(m);
    }
    gee_sub_unref(s);
    reading--;
}

static gee_sub *reader(gee_ctx *ctx, gee_broker *b, const char *topic) {
    gee_sub *s = gee_subscribe(b, topic, 4);
    reading++;
    gee_go(ctx, reads, gee_sub_ref(s));
    return s;
}

static void test_ends_body(gee_ctx *ctx, void *arg) {
    gee_broker *b = gee_broker_new();
    reading = heard = 0;
    gee_sub *r[5] = {reader(ctx, b, "x"), reader(ctx, b, "x"), reader(ctx, b, "y"),
                     reader(ctx, b, "y"), reader(ctx, b, "z")};
    (void)arg;
    T_EQ(say(b, "x", "hello"), 2);
    gee_sleep(ctx, 1);
    T_EQ(heard, 2);
    T_EQ(reading, 5);
    T_RC(gee_unsubscribe(r[0]), 0); /* from here; it is parked there */
    T_RC(gee_unsubscribe(r[0]), UV_EALREADY);
    gee_sleep(ctx, 1);
    T_EQ(reading, 4);
    T_EQ(gee_sub_err(r[0]), UV_ECANCELED);
    T_EQ(say(b, "x", "hello"), 1);
    T_EQ(gee_unsubscribe_all(b, "y"), 2);
    T_EQ(gee_unsubscribe_all(b, "y"), 0);
    T_EQ(gee_unsubscribe_all(b, NULL), 0);
    gee_sleep(ctx, 1);
    T_EQ(reading, 2);
    T_EQ(say(b, "z", "last"), 1); /* what it was sent before, it gets */
    gee_broker_close(b);
    gee_sleep(ctx, 1);
    T_EQ(reading, 0);
    T_EQ(heard, 4);
    T_EQ(gee_sub_err(r[4]), UV_ESHUTDOWN);
    T_RC(say(b, "x", "nobody"), UV_EPIPE);
    gee_sub *late = gee_subscribe(b, "x", 1);
    T_REST(late, ".");
    T_EQ(gee_sub_err(late), UV_ESHUTDOWN);
    gee_broker_close(b);
    gee_broker_free(b);
    T_RC(gee_unsubscribe(late), UV_EALREADY); /* it outlives its broker */
    gee_sub_unref(late);
    for (int i = 0; i < 5; i++)
        gee_sub_unref(r[i]);
}

static void test_ends(void **state) {
    (void)state;
    t_sim(test_ends_body, NULL);
}

static void unsubscribe(void *sub) {
    gee_unsubscribe(sub);
    gee_sub_unref(sub);
}

/* As a request does it: its end is one more who unsubscribes. */
static void test_ends_with_a_ctx_body(gee_ctx *ctx, void *arg) {
    gee_broker *b = gee_broker_new();
    gee_ctx *request = gee_ctx_with_timeout(ctx, 100);
    reading = heard = 0;
    gee_sub *s = reader(ctx, b, NULL);
    gee_after *over = gee_ctx_after_func(request, unsubscribe, gee_sub_ref(s));
    (void)arg;
    gee_sleep(ctx, 99);
    T_EQ(reading, 1);
    gee_sleep(ctx, 2);
    T_EQ(reading, 0);
    T_CHECK(!gee_after_stop(over));
    gee_sub_unref(s);
    gee_ctx_end(request);
    gee_broker_free(b);
}

static void test_ends_with_a_ctx(void **state) {
    (void)state;
    t_sim(test_ends_with_a_ctx_body, NULL);
}

static void test_no_runtime(void **state) {
    (void)state;
    gee_broker *b = gee_broker_new();
    gee_sub *s = gee_subscribe(b, "x", 1);
    assert_int_equal(say(b, "x", "early"), 1);
    gee_broker_free(b);
    gee_sub_unref(s);
    gee_broker_free(NULL);
    gee_sub_unref(NULL);
    gee_message_unref(NULL);
}

/* --- all at once, on several workers --- */

enum { WRITERS = 3, READERS = 12, SAID = 200 };

struct word {
    int writer, n;
};

static struct crowd {
    gee_broker *b;
    gee_waitgroup writers, readers;
    atomic_int complete, cut, wrong;
} crowd;

static void writes(gee_ctx *ctx, void *arg) {
    (void)ctx;
    for (int i = 1; i <= SAID; i++) {
        gee_publish(crowd.b, "w", &(struct word){(int)(intptr_t)arg, i}, sizeof(struct word));
        if (i % 16 == 0)
            gee_yield();
    }
    gee_waitgroup_done(&crowd.writers);
}

/* From each writer all, in order; or, if it was unsubscribed, all up to some place. */
static void listens(gee_ctx *ctx, void *arg) {
    gee_sub *s = arg;
    gee_message *m;
    int last[WRITERS] = {0}, all = 0;
    (void)ctx;
    while (gee_chan_recv(NULL, gee_sub_chan(s), &m) == 0) {
        const struct word *w = gee_message_data(m);
        crowd.wrong += w->n != last[w->writer] + 1;
        last[w->writer] = w->n;
        all++;
        gee_message_unref(m);
    }
    if (gee_sub_err(s) == UV_ESHUTDOWN)
        crowd.complete += all == WRITERS * SAID;
    else
        crowd.cut++;
    gee_sub_unref(s);
    gee_waitgroup_done(&crowd.readers);
}

static void test_crowd_body(gee_ctx *ctx, void *arg) {
    gee_sub *kicked[READERS / 3];
    (void)arg;
    crowd.b = gee_broker_new();
    crowd.complete = crowd.cut = crowd.wrong = 0;
    gee_waitgroup_add(&crowd.readers, READERS);
    gee_waitgroup_add(&crowd.writers, WRITERS);
    for (int i = 0; i < READERS; i++) {
        gee_sub *s = gee_subscribe(crowd.b, "w", WRITERS * SAID);
        if (i % 3 == 0)
            kicked[i / 3] = gee_sub_ref(s);
        gee_go_on(i % gee_workers(), ctx, listens, s);
    }
    for (int i = 0; i < WRITERS; i++)
        gee_go_on(i % gee_workers(), ctx, writes, (void *)(intptr_t)i);
    gee_yield();
    for (int i = 0; i < READERS / 3; i++) {
        T_RC(gee_unsubscribe(kicked[i]), 0);
        gee_sub_unref(kicked[i]);
    }
    T_RC(gee_waitgroup_wait(ctx, &crowd.writers), 0);
    gee_broker_free(crowd.b);
    T_RC(gee_waitgroup_wait(ctx, &crowd.readers), 0);
    T_EQ(crowd.wrong, 0);
    T_EQ(crowd.cut, READERS / 3);
    T_EQ(crowd.complete, READERS - READERS / 3);
}

static void test_crowd(void **state) {
    (void)state;
    t_sim(test_crowd_body, NULL);
    t_real(1, test_crowd_body, NULL);
    t_real(3, test_crowd_body, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_topics),     cmocka_unit_test(test_many_topics),
    cmocka_unit_test(test_messages),   cmocka_unit_test(test_slow_reader),
    cmocka_unit_test(test_ends),       cmocka_unit_test(test_ends_with_a_ctx),
    cmocka_unit_test(test_no_runtime), cmocka_unit_test(test_crowd),
};

T_MAIN(tests)
