/*
 * Chat rooms over server-sent events; open http://localhost:8080/ in two windows.
 *
 *   GEE_WORKERS=2 PORT=8080 build/release/examples/chat
 *   curl -N localhost:8080/rooms/tea/events
 *   curl -d '{"from":"ann","text":"hello"}' localhost:8080/rooms/tea/messages
 *
 * Readers are tasks, on any worker; each has a queue of its own, a channel, into which
 * who posts puts the message without ever waiting. A reader that does not keep up has
 * its queue closed: it gets what was in it, then the event `dropped`, and its stream
 * ends. So no reader delays another, and none holds more than QUEUE messages. (Its
 * EventSource connects again by itself.)
 *
 * A message is one piece of memory for all its readers. The lock is over the readers'
 * list alone and never held while a task waits for anything else.
 */
#include "gee/gee.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUEUE = 64, ROOM_MAX = 64, FROM_MAX = 64, TEXT_MAX = 2000, HEARTBEAT_MS = 15000 };

typedef struct message {
    atomic_int refs;
    char json[];
} message;

typedef struct reader {
    struct reader *next, **link;
    const char *room;
    gee_chan *queue; /* of message *, with a reference for each */
} reader;

static gee_mutex lock;
static reader *readers;

static void message_unref(message *m) {
    if (atomic_fetch_sub(&m->refs, 1) == 1)
        free(m);
}

/* With no ctx: it must also succeed for a request whose ctx has ended. */
static void join(reader *r) {
    gee_mutex_lock(NULL, &lock);
    r->next = readers;
    r->link = &readers;
    if (readers)
        readers->link = &r->next;
    readers = r;
    gee_mutex_unlock(&lock);
}

static void leave(reader *r) {
    message *m;
    gee_mutex_lock(NULL, &lock);
    *r->link = r->next;
    if (r->next)
        r->next->link = r->link;
    gee_mutex_unlock(&lock);
    while (gee_chan_try_recv(r->queue, &m) == 0)
        message_unref(m);
    gee_chan_unref(r->queue);
}

/* A step of the stream: parks until there is something to say. */
static int64_t say_next(gee_req *req, void *arg) {
    reader *r = arg;
    message *m;
    gee_ctx *soon = gee_ctx_with_timeout(gee_req_ctx(req), HEARTBEAT_MS);
    if (soon == NULL)
        return GEE_STREAM_END;
    int rc = gee_chan_recv(soon, r->queue, &m);
    gee_ctx_end(soon);
    if (rc == 0) {
        gee_sse_event(req, NULL, m->json);
        message_unref(m);
    } else if (rc == UV_ETIMEDOUT) {
        gee_sse_comment(req, ""); /* so that proxies do not give it up */
    } else if (rc == UV_EOF) {
        gee_sse_event(req, "dropped", "you have not kept up");
    }
    return rc == 0 || rc == UV_ETIMEDOUT ? 0 : GEE_STREAM_END;
}

static void events(gee_req *req) {
    reader r = {.room = gee_param(req, "room")};
    r.queue = strlen(r.room) <= ROOM_MAX ? gee_chan_new(sizeof(message *), QUEUE) : NULL;
    if (r.queue == NULL) {
        gee_fail(req, strlen(r.room) <= ROOM_MAX ? 503 : 404);
        return;
    }
    join(&r);
    gee_sse(req, say_next, &r);
    leave(&r);
}

/* How many readers of the room will get it. */
static int publish(const char *room, message *m) {
    int n = 0;
    gee_mutex_lock(NULL, &lock);
    for (reader *r = readers; r; r = r->next) {
        if (strcmp(r->room, room) != 0)
            continue;
        atomic_fetch_add(&m->refs, 1);
        if (gee_chan_try_send(r->queue, &m) == 0) {
            n++;
        } else { /* full, or already closed because it was */
            atomic_fetch_sub(&m->refs, 1);
            gee_chan_close(r->queue);
        }
    }
    gee_mutex_unlock(&lock);
    return n;
}

static message *message_of(const json_t *said) {
    size_t n = json_dumpb(said, NULL, 0, JSON_COMPACT);
    message *m = malloc(sizeof(*m) + n + 1);
    if (m == NULL)
        return NULL;
    atomic_init(&m->refs, 1);
    json_dumpb(said, m->json, n, JSON_COMPACT);
    m->json[n] = '\0';
    return m;
}

static void post(gee_req *req) {
    const char *body, *from, *text;
    size_t n;
    json_error_t error;
    int rc = gee_body(req, &body, &n);
    if (rc < 0) {
        gee_fail(req, gee_body_status(rc));
        return;
    }
    json_t *said = json_loadb(body, n, 0, &error);
    if (said == NULL ||
        json_unpack_ex(said, &error, JSON_STRICT, "{s:s, s:s}", "from", &from, "text", &text)) {
        gee_json(req, 400, "{s:s}", "error", error.text);
    } else if (*from == '\0' || strlen(from) > FROM_MAX || strlen(text) > TEXT_MAX) {
        gee_json(req, 400, "{s:s}", "error", "from has 1 to 64 bytes, text up to 2000");
    } else {
        message *m = message_of(said);
        if (m == NULL) {
            gee_fail(req, 503);
        } else {
            gee_json(req, 202, "{s:i}", "readers", publish(gee_param(req, "room"), m));
            message_unref(m);
        }
    }
    json_decref(said);
}

/* --- the page --- */

static const char page[] =
    "<!doctype html><meta charset=utf-8><title>chat</title>\n"
    "<form><input id=room value=tea> <input id=from value=me> <input id=text autofocus>\n"
    "<button>say</button></form><pre id=log></pre>\n"
    "<script>\n"
    "const at = id => document.getElementById(id), show = s => at('log').append(s + '\\n');\n"
    "const url = what => '/rooms/' + encodeURIComponent(at('room').value) + '/' + what;\n"
    "let source;\n"
    "function enter() {\n"
    "    if (source) source.close();\n"
    "    source = new EventSource(url('events'));\n"
    "    source.onopen = () => show('-- in ' + at('room').value);\n"
    "    source.onmessage = e => { const m = JSON.parse(e.data); show(m.from + ': ' + m.text); };\n"
    "    source.addEventListener('dropped', e => show('-- missed some: ' + e.data));\n"
    "}\n"
    "at('room').onchange = enter;\n"
    "document.forms[0].onsubmit = e => {\n"
    "    e.preventDefault();\n"
    "    const said = {from: at('from').value, text: at('text').value};\n"
    "    fetch(url('messages'), {method: 'POST', body: JSON.stringify(said)});\n"
    "    at('text').value = '';\n"
    "};\n"
    "enter();\n"
    "</script>\n";

static void index_page(gee_req *req) {
    gee_data(req, 200, "text/html; charset=utf-8", page, sizeof(page) - 1);
}

int main(void) {
    const char *port = getenv("PORT");
    gee_engine *e = gee_engine_new();
    if (e == NULL)
        return 1;
    gee_GET(gee_root(e), "/", index_page);
    gee_GET(gee_root(e), "/rooms/:room/events", events);
    gee_POST(gee_root(e), "/rooms/:room/messages", post);
    int rc = gee_engine_run(e, "127.0.0.1", port ? atoi(port) : 8080);
    gee_engine_free(e);
    return rc ? 1 : 0;
}
