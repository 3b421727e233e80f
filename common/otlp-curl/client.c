/*
 * A request: on a thread of its lane, by the multi interface, which can be woken. When the ctx
 * ends, a task says so to the thread; the call does not return before that task has done so,
 * if it was started, for both use this frame.
 */
#include "client.h"
#include "gee/ctx.h"
#include "gee/lane.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Of all transports: a lane stays until gee_run has returned, which they need not. */
static gee_lane lane = {.name = "otlp", .most = 2};

typedef struct call {
    gee_otlp_client *client;
    const char *url, *body;
    size_t n;
    gee_otlp_answer *answer;
    int status; /* or an error */

    atomic_bool stop;
    gee_waitgroup told;
} call;

/* --- on the thread --- */

static size_t on_data(char *data, size_t size, size_t n, void *arg) {
    gee_otlp_answer *a = arg;
    size_t room = sizeof(a->body) - a->body_n, take = size * n < room ? size * n : room;
    memcpy(a->body + a->body_n, data, take);
    a->body_n += take;
    return size * n;
}

/* Each line of each head; of a 100 and the answer behind it that of the answer is the last. */
static size_t on_header(char *line, size_t size, size_t n, void *arg) {
    static const char name[] = "retry-after:";
    gee_otlp_answer *a = arg;
    size_t len = size * n, at = sizeof(name) - 1;
    if (len <= at || strncasecmp(line, name, at) != 0)
        return len;
    while (at < len && (line[at] == ' ' || line[at] == '\t'))
        at++;
    size_t end = len;
    while (end > at && strchr(" \t\r\n", line[end - 1]))
        end--;
    if (end - at < sizeof(a->retry_after)) {
        memcpy(a->retry_after, line + at, end - at);
        a->retry_after[end - at] = '\0';
    }
    return len;
}

static int error_of(CURLcode code) {
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return UV_EAI_NONAME;
    case CURLE_COULDNT_CONNECT:
        return UV_ECONNREFUSED;
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE:
        return UV_ECONNRESET;
    case CURLE_OPERATION_TIMEDOUT:
        return UV_ETIMEDOUT;
    case CURLE_OUT_OF_MEMORY:
        return UV_ENOMEM;
    default: /* of TLS, or an answer that is not HTTP */
        return UV_EPROTO;
    }
}

static int result(CURLM *multi, CURL *easy) {
    int left;
    long status = 0;
    for (CURLMsg *m; (m = curl_multi_info_read(multi, &left)) != NULL;) {
        if (m->msg != CURLMSG_DONE)
            continue;
        if (m->data.result != CURLE_OK)
            return error_of(m->data.result);
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        return status > 0 ? (int)status : UV_EPROTO;
    }
    return UV_ECANCELED;
}

static void perform(void *arg) {
    call *c = arg;
    CURL *easy = c->client->easy;
    CURLM *multi = c->client->multi;
    int running = 1;
    curl_easy_setopt(easy, CURLOPT_URL, c->url);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)c->n);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, c->body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, c->answer);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, c->answer);
    if (curl_multi_add_handle(multi, easy) != CURLM_OK) {
        c->status = UV_ENOMEM;
        return;
    }
    while (running && !atomic_load(&c->stop)) {
        if (curl_multi_perform(multi, &running) != CURLM_OK)
            break;
        if (running)
            curl_multi_poll(multi, NULL, 0, 1000, NULL);
    }
    c->status = result(multi, easy);
    curl_multi_remove_handle(multi, easy);
}

/* --- in the exporter's task --- */

static void ctx_ended(void *arg) {
    call *c = arg;
    atomic_store(&c->stop, true);
    curl_multi_wakeup(c->client->multi);
    gee_waitgroup_done(&c->told);
}

static int post(gee_ctx *ctx, void *arg, const char *path, const char *body, size_t n,
                gee_otlp_answer *answer) {
    gee_otlp_client *client = arg;
    int i = 0;
    while (strcmp(client->paths[i], path) != 0)
        i++;
    call c = {.client = client, .url = client->urls[i], .body = body, .n = n, .answer = answer};
    gee_waitgroup_add(&c.told, 1);
    gee_after *after = gee_ctx_after_func(ctx, ctx_ended, &c);
    if (after == NULL)
        return UV_ENOMEM;
    int rc = gee_blocking_in(&lane, ctx, perform, &c);
    if (!gee_after_stop(after))
        gee_waitgroup_wait(NULL, &c.told);
    if (rc == 0)
        rc = c.status;
    return rc == UV_ECANCELED ? gee_ctx_err(ctx) : rc;
}

/* --- life --- */

static void client_free(void *arg) {
    gee_otlp_client *c = arg;
    curl_multi_cleanup(c->multi);
    curl_easy_cleanup(c->easy);
    curl_slist_free_all(c->headers);
    for (int i = 0; i < GEE_OTLP_SIGNALS; i++)
        free(c->urls[i]);
    free(c);
    curl_global_cleanup();
}

static void set_up(CURL *easy, struct curl_slist *headers) {
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "OTel-OTLP-Exporter-C/gee");
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
}

int gee_otlp_curl_new(const gee_otlp_curl_options *opt, gee_otlp_transport *out) {
    static const gee_otlp_curl_options defaults;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return UV_ENOMEM;
    gee_otlp_client *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        curl_global_cleanup();
        return UV_ENOMEM;
    }
    c->easy = curl_easy_init();
    c->multi = curl_multi_init();
    int rc = c->easy && c->multi ? gee_otlp_client_configure(c, opt ? opt : &defaults) : UV_ENOMEM;
    if (rc < 0) {
        client_free(c);
        return rc;
    }
    set_up(c->easy, c->headers);
    *out = (gee_otlp_transport){post, client_free, c};
    return 0;
}

void gee_otlp_curl_free(gee_otlp_transport *t) {
    t->free_arg(t->arg);
}
