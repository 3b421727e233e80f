#include "t_real.h"
#include <curl/curl.h>
#include <stdio.h>
#include <time.h>

struct visit {
    char url[128];
    long ms;
    struct timespec head_at;
    bool head;
};

static size_t on_header(char *data, size_t size, size_t n, void *arg) {
    struct visit *v = arg;
    (void)data;
    if (!v->head)
        clock_gettime(CLOCK_MONOTONIC, &v->head_at);
    v->head = true;
    return size * n;
}

static size_t on_data(char *data, size_t size, size_t n, void *arg) {
    (void)data;
    (void)arg;
    return size * n;
}

static long ms_since(const struct timespec *then) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - then->tv_sec) * 1000 + (now.tv_nsec - then->tv_nsec) / 1000000;
}

/* The multi interface, because the easy one looks up only once a second on a silent stream. */
static void perform(void *arg) {
    struct visit *v = arg;
    struct timespec start;
    CURL *curl = curl_easy_init();
    CURLM *multi = curl_multi_init();
    int running = 1;
    clock_gettime(CLOCK_MONOTONIC, &start);
    curl_easy_setopt(curl, CURLOPT_URL, v->url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, v);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_multi_add_handle(multi, curl);
    while (running && (v->head ? ms_since(&v->head_at) < v->ms : ms_since(&start) < 5000)) {
        curl_multi_perform(multi, &running);
        curl_multi_poll(multi, NULL, 0, 10, NULL);
    }
    curl_multi_remove_handle(multi, curl);
    curl_easy_cleanup(curl);
    curl_multi_cleanup(multi);
}

bool t_curl_leave(gee_ctx *ctx, int port, const char *target, long ms) {
    struct visit v = {.ms = ms};
    /* Without TLS: OpenSSL leaves something behind in whichever thread wakes it. */
    curl_global_init(CURL_GLOBAL_ALL & ~CURL_GLOBAL_SSL);
    snprintf(v.url, sizeof(v.url), "http://127.0.0.1:%d%s", port, target);
    return gee_blocking(ctx, perform, &v) == 0 && v.head;
}
