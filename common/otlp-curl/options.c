/* What a transport is set to: where the collector is, and what is said to it beside the data. */
#include "client.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *env(const char *name) {
    const char *text = getenv(name);
    return text && *text ? text : NULL;
}

/* --- URLs --- */

static bool is_url(const char *text) {
    CURLU *u = curl_url();
    char *scheme = NULL;
    bool ok = u && curl_url_set(u, CURLUPART_URL, text, 0) == CURLUE_OK &&
              curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
              (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
    curl_free(scheme);
    curl_url_cleanup(u);
    return ok;
}

static int take_url(const char *name, const char *base, const char *path, char **out) {
    size_t n = strlen(base);
    while (*path && n > 0 && base[n - 1] == '/')
        n--;
    if (!is_url(base)) {
        fprintf(stderr, "gee: %s=%s: an http or https URL is needed\n", name, base);
        return UV_EINVAL;
    }
    *out = malloc(n + strlen(path) + 1);
    if (*out == NULL)
        return UV_ENOMEM;
    memcpy(*out, base, n);
    strcpy(*out + n, path);
    return 0;
}

static int urls(gee_otlp_client *c, const gee_otlp_curl_options *opt) {
    static const struct {
        const char *name, *path;
    } of[] = {{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "/v1/traces"},
              {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "/v1/logs"},
              {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "/v1/metrics"}};
    const char *base = env("OTEL_EXPORTER_OTLP_ENDPOINT");
    int rc = 0;
    if (base == NULL)
        base = opt->endpoint ? opt->endpoint : "http://localhost:4318";
    for (int i = 0; rc == 0 && i < GEE_OTLP_SIGNALS; i++) {
        const char *own = env(of[i].name);
        c->paths[i] = of[i].path;
        rc = own ? take_url(of[i].name, own, "", &c->urls[i])
                 : take_url("OTEL_EXPORTER_OTLP_ENDPOINT", base, of[i].path, &c->urls[i]);
    }
    return rc;
}

/* --- headers --- */

static int add(gee_otlp_client *c, const char *line) {
    struct curl_slist *all = curl_slist_append(c->headers, line);
    if (all == NULL)
        return UV_ENOMEM;
    c->headers = all;
    return 0;
}

static bool is_token(const char *s) {
    size_t n = strspn(s, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                         "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    return n > 0 && s[n] == '\0';
}

static void trim(char **s) {
    *s += strspn(*s, " \t");
    size_t n = strlen(*s);
    while (n > 0 && ((*s)[n - 1] == ' ' || (*s)[n - 1] == '\t'))
        (*s)[--n] = '\0';
}

/* name=value, which is changed. What would end the line of a header is no value of one. */
static int add_pair(gee_otlp_client *c, char *pair) {
    char line[2048], *value = strchr(pair, '=');
    int len;
    if (value == NULL)
        return UV_EINVAL;
    *value++ = '\0';
    trim(&pair);
    trim(&value);
    char *plain = curl_easy_unescape(c->easy, value, 0, &len);
    if (plain == NULL)
        return UV_ENOMEM;
    bool ok = is_token(pair) && strlen(plain) == (size_t)len && strpbrk(plain, "\r\n") == NULL;
    int n = snprintf(line, sizeof(line), "%s: %s", pair, plain);
    curl_free(plain);
    return ok && n > 0 && (size_t)n < sizeof(line) ? add(c, line) : UV_EINVAL;
}

static int headers(gee_otlp_client *c, const gee_otlp_curl_options *opt) {
    const char *given = env("OTEL_EXPORTER_OTLP_HEADERS");
    char *list = strdup(given ? given : opt->headers ? opt->headers : ""), *at = list, *pair;
    int rc = list ? add(c, "Content-Type: application/json") : UV_ENOMEM;
    if (rc == 0)
        rc = add(c, "Expect:"); /* no 100-continue */
    while (rc == 0 && (pair = strsep(&at, ",")) != NULL)
        if (pair[strspn(pair, " \t")])
            rc = add_pair(c, pair);
    if (rc == UV_EINVAL) /* a key may be among them: they are not shown */
        fprintf(stderr, "gee: OTEL_EXPORTER_OTLP_HEADERS: name=value,name=value is needed, "
                        "percent-encoded\n");
    free(list);
    return rc;
}

int gee_otlp_client_configure(gee_otlp_client *c, const gee_otlp_curl_options *opt) {
    const char *authorities = env("OTEL_EXPORTER_OTLP_CERTIFICATE");
    int rc = urls(c, opt);
    if (rc == 0)
        rc = headers(c, opt);
    if (rc == 0 && authorities &&
        curl_easy_setopt(c->easy, CURLOPT_CAINFO, authorities) != CURLE_OK)
        rc = UV_ENOMEM;
    return rc;
}
