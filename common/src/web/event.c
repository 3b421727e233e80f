/*
 * What goes through an event stream (WHATWG HTML, 9.2.5): lines of a field each, an empty
 * one at an event's end. A line end within a value would begin a field that the
 * program did not mean, so it ends a line of the data, and is refused elsewhere; and
 * all is looked at before the first byte is written, or half an event would stay.
 */
#include "gee/sse.h"
#include "web/web.h"
#include <stdio.h>
#include <string.h>

static int line(gee_req *req, const char *name, const char *value, size_t n) {
    int rc = gee_write(req, name, strlen(name));
    if (rc == 0)
        rc = gee_write(req, value, n);
    return rc < 0 ? rc : gee_write(req, "\n", 1);
}

static int field(gee_req *req, const char *name, const char *value) {
    return value ? line(req, name, value, strlen(value)) : 0;
}

/* Each line of the data has a field of its own; \r, \n and \r\n all end a line. */
static int data_lines(gee_req *req, const char *data) {
    int rc = 0;
    while (rc == 0 && data) {
        size_t n = strcspn(data, "\r\n");
        rc = line(req, "data: ", data, n);
        data += n;
        if (*data == '\0')
            break;
        data += data[0] == '\r' && data[1] == '\n' ? 2 : 1;
    }
    return rc;
}

static bool one_line(const char *value) {
    return value == NULL || strpbrk(value, "\r\n") == NULL;
}

int gee_sse_send(gee_req *req, const gee_sse_message *m) {
    char retry[24];
    if (!one_line(m->event) || !one_line(m->id))
        return UV_EINVAL;
    snprintf(retry, sizeof(retry), "%llu", (unsigned long long)m->retry_ms);
    int rc = field(req, "event: ", m->event);
    if (rc == 0)
        rc = field(req, "id: ", m->id);
    if (rc == 0)
        rc = field(req, "retry: ", m->retry_ms ? retry : NULL);
    if (rc == 0)
        rc = data_lines(req, m->data);
    return rc < 0 ? rc : gee_write(req, "\n", 1);
}

int gee_sse_event(gee_req *req, const char *event, const char *data) {
    return gee_sse_send(req, &(gee_sse_message){.event = event, .data = data});
}

int gee_sse_comment(gee_req *req, const char *text) {
    int rc = one_line(text) ? line(req, ": ", text, strlen(text)) : UV_EINVAL;
    return rc < 0 ? rc : gee_write(req, "\n", 1);
}

/* --- the heartbeat --- */

/* A step around the program's: it is called for the beats, and calls that when it is due. */
struct heart {
    gee_stream_step step;
    void *arg;
    uint64_t beat_ms;
    uint64_t due_ms, silent_since_ms;
};

static uint64_t after(uint64_t from, uint64_t ms) {
    return ms < UINT64_MAX - from ? from + ms : UINT64_MAX;
}

static int64_t beat(gee_req *req, void *arg) {
    struct heart *h = arg;
    uint64_t sent = req->x.sent, now = gee_now_ms();
    if (now >= h->due_ms) {
        int64_t wait_ms = h->step(req, h->arg);
        if (wait_ms < 0)
            return GEE_STREAM_END;
        now = gee_now_ms(); /* the step may have parked */
        h->due_ms = after(now, (uint64_t)wait_ms);
    }
    bool silent = req->x.sent == sent;
    if (silent && now >= after(h->silent_since_ms, h->beat_ms)) {
        gee_sse_comment(req, ""); /* an error of it is the flush's, too */
        silent = false;
    }
    if (!silent)
        h->silent_since_ms = now;
    uint64_t next_ms = after(h->silent_since_ms, h->beat_ms);
    next_ms = next_ms < h->due_ms ? next_ms : h->due_ms;
    return next_ms - now < INT64_MAX ? (int64_t)(next_ms - now) : INT64_MAX;
}

int gee_sse_heartbeat(gee_req *req, uint64_t beat_ms, gee_stream_step step, void *arg) {
    uint64_t now = gee_now_ms();
    struct heart h = {
        .step = step, .arg = arg, .beat_ms = beat_ms, .due_ms = now, .silent_since_ms = now};
    return gee_sse(req, beat, &h);
}
