/*
 * Chat rooms over server-sent events; open http://localhost:8080/ in two windows.
 *
 *   GEE_WORKERS=2 PORT=8080 build/release/examples/chat
 *   curl -N localhost:8080/rooms/tea/events
 *   curl -d '{"from":"ann","text":"hello"}' localhost:8080/rooms/tea/messages
 *
 * Readers are tasks, on any worker, and a room is a topic of a broker: who posts waits for
 * no reader, and none delays another. A reader that does not keep up gets what was in its
 * queue, then the event `dropped`, and its stream ends. (Its EventSource connects again
 * by itself.)
 */
#include "gee/gee.h"
#include <stdlib.h>
#include <string.h>

enum { QUEUE = 64, ROOM_MAX = 64, FROM_MAX = 64, TEXT_MAX = 2000, HEARTBEAT_MS = 15000 };

static gee_broker *rooms;

/* A step of the stream: parks until there is something to say. */
static int64_t say_next(gee_req *req, void *arg) {
    gee_sub *reader = arg;
    gee_message *m;
    gee_ctx *soon = gee_ctx_with_timeout(gee_req_ctx(req), HEARTBEAT_MS);
    if (soon == NULL)
        return GEE_STREAM_END;
    int rc = gee_chan_recv(soon, gee_sub_chan(reader), &m);
    gee_ctx_end(soon);
    if (rc == 0) {
        gee_sse_event(req, NULL, gee_message_data(m));
        gee_message_unref(m);
    } else if (rc == UV_ETIMEDOUT) {
        gee_sse_comment(req, ""); /* so that proxies do not give it up */
    } else if (rc == UV_EOF) {
        gee_sse_event(req, "dropped", "you have not kept up");
    }
    return rc == 0 || rc == UV_ETIMEDOUT ? 0 : GEE_STREAM_END;
}

static void events(gee_req *req) {
    const char *room = gee_param(req, "room");
    if (strlen(room) > ROOM_MAX) {
        gee_fail(req, 404);
        return;
    }
    gee_sub *reader = gee_subscribe(rooms, room, QUEUE);
    if (reader == NULL) {
        gee_fail(req, 503);
        return;
    }
    gee_sse(req, say_next, reader);
    gee_sub_unref(reader);
}

/* How many readers of the room will get it, or an error. */
static int publish(const char *room, const json_t *said) {
    char *text = json_dumps(said, JSON_COMPACT);
    int n = text ? gee_publish(rooms, room, text, strlen(text)) : UV_ENOMEM;
    free(text);
    return n;
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
        int readers = publish(gee_param(req, "room"), said);
        if (readers < 0)
            gee_fail(req, 503);
        else
            gee_json(req, 202, "{s:i}", "readers", readers);
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
    rooms = gee_broker_new();
    if (e == NULL || rooms == NULL)
        return 1;
    gee_GET(gee_root(e), "/", index_page);
    gee_GET(gee_root(e), "/rooms/:room/events", events);
    gee_POST(gee_root(e), "/rooms/:room/messages", post);
    int rc = gee_engine_run(e, "127.0.0.1", port ? atoi(port) : 8080);
    gee_engine_free(e);
    gee_broker_free(rooms);
    return rc ? 1 : 0;
}
