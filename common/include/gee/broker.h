/*
 * Publish and subscribe, within the process: who publishes does not know who reads, and
 * never waits for one who does.
 *
 * A message is bytes, copied once and shared by all who get it. Each subscription has a
 * queue of its own, a channel, and a message goes into the queues of all who are
 * subscribed to its topic at that moment, in the order in which it was published. A reader
 * that does not keep up, whose queue is full when one more message comes, is
 * unsubscribed. So no reader delays another, and none holds more than its capacity.
 *
 * However a subscription ends, its channel is closed: the reader gets what is still in the
 * queue, and then UV_EOF. A loop that receives until then needs no other way to end: what
 * should end it as well, the end of a request, say, calls gee_unsubscribe
 * (gee_ctx_after_func).
 *
 * A topic is a string, compared byte by byte; NULL is the same as "", for who needs
 * only one. All functions may be called from tasks of any worker, or where no task
 * runs; a message may be released anywhere.
 */
#ifndef GEE_BROKER_H
#define GEE_BROKER_H

#include "gee/chan.h"

typedef struct gee_broker gee_broker;
typedef struct gee_sub gee_sub;
typedef struct gee_message gee_message;

gee_broker *gee_broker_new(void); /* NULL: no memory */
/*
 * Ends all subscriptions; one that is made later has ended when it is made. For a shutdown:
 * b may still be used.
 */
void gee_broker_close(gee_broker *b);
/* Closes b, which is then no longer there; its subscriptions are, until they are released. */
void gee_broker_free(gee_broker *b);

/*
 * Copies n bytes at data into a message for all readers of the topic. Returns how many got
 * it, UV_ENOMEM, or UV_EPIPE: b is closed.
 */
int gee_publish(gee_broker *b, const char *topic, const void *data, size_t n);

/*
 * Subscribes to what is published from now on. Up to `capacity` messages wait in the
 * queue, at least one. The caller has a reference on the subscription. NULL: no memory.
 */
gee_sub *gee_subscribe(gee_broker *b, const char *topic, size_t capacity);
/*
 * Where the messages come, of type gee_message *: each that is received is the receiver's,
 * who releases it with gee_message_unref. It belongs to the subscription.
 */
gee_chan *gee_sub_chan(const gee_sub *s);

/*
 * Ends the subscription and closes its channel, also while another task receives from it.
 * 0, or UV_EALREADY: it had ended.
 */
int gee_unsubscribe(gee_sub *s);
/* The same for all of a topic. Returns how many. */
int gee_unsubscribe_all(gee_broker *b, const char *topic);
/*
 * Why it has ended: UV_ECANCELED, somebody unsubscribed it; UV_ENOBUFS, its reader did not
 * keep up; UV_ESHUTDOWN, the broker was closed. 0: it has not.
 */
int gee_sub_err(const gee_sub *s);

/* The last reference also unsubscribes, and drops what is in the queue. */
gee_sub *gee_sub_ref(gee_sub *s);
void gee_sub_unref(gee_sub *s);

/* Constant, aligned for any type, and with a zero byte behind it that does not count. */
const void *gee_message_data(const gee_message *m);
size_t gee_message_size(const gee_message *m);
gee_message *gee_message_ref(gee_message *m);
void gee_message_unref(gee_message *m);

#endif
