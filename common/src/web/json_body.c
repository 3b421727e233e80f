/*
 * JSON bodies.
 *
 * jansson recurses once a level, and a task's stack is small and has an end that
 * ends the process. A body of 4 KB can nest 2048 deep, which jansson would still
 * parse, and whose dump then takes 600 KiB of stack. So the depth is counted
 * before anything recurses. Counting brackets outside of strings is enough: where
 * the text is not JSON, the parser stops no deeper than the count went.
 */
#include "gee/json.h"
#include "web/web.h"
#include <string.h>
#include <strings.h>

enum { LIMIT = 1024 * 1024, PIECE = 4096 };

/* "application/json; charset=utf-8", "application/problem+json" (RFC 6839, 3.1) */
static bool is_json(const char *type) {
    if (type == NULL)
        return false;
    size_t n = strcspn(type, "; \t");
    if (n == 16 && strncasecmp(type, "application/json", n) == 0)
        return true;
    return n > 5 && memchr(type, '/', n - 5) && strncasecmp(type + n - 5, "+json", 5) == 0;
}

static int read_all(gee_req *req, size_t limit, gee_buf *body) {
    for (;;) {
        size_t left = limit - gee_buf_size(body);
        size_t want = left < PIECE ? left + 1 : PIECE; /* one more shows that there is more */
        int rc = gee_buf_reserve(body, want);
        if (rc < 0)
            return rc;
        ssize_t n = gee_body_read(req, body->data + body->len, want);
        if (n <= 0)
            return (int)n;
        body->len += (size_t)n;
        if (gee_buf_size(body) > limit)
            return UV_E2BIG;
    }
}

static bool too_deep(const char *s, size_t n) {
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < n; i++) {
        if (in_string) {
            if (s[i] == '\\')
                i++;
            else if (s[i] == '"')
                in_string = false;
        } else if (s[i] == '"') {
            in_string = true;
        } else if (s[i] == '[' || s[i] == '{') {
            if (++depth > GEE_JSON_DEPTH)
                return true;
        } else if ((s[i] == ']' || s[i] == '}') && depth > 0) {
            depth--;
        }
    }
    return false;
}

static void explain(json_error_t *err, const char *text) {
    *err = (json_error_t){.line = -1, .column = -1};
    strcpy(err->text, text); /* one of ours: it fits */
}

static int parse(const gee_buf *body, json_t **out, json_error_t *err) {
    const char *text = gee_buf_head(body);
    size_t n = gee_buf_size(body);
    if (n == 0) {
        explain(err, "the body is empty");
        return UV_EINVAL;
    }
    if (too_deep(text, n)) {
        explain(err, "too many values inside one another");
        return UV_EINVAL;
    }
    memset(err, 0, sizeof(*err)); /* jansson sets no code where it says nothing */
    *out = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, err);
    if (*out)
        return 0;
    /* For some allocations jansson has a code, for some it says nothing, and where a string
     * was to be, it cannot be told from an invalid one. */
    bool memory = json_error_code(err) == json_error_out_of_memory || err->text[0] == '\0';
    if (memory)
        explain(err, "not enough memory");
    return memory ? UV_ENOMEM : UV_EINVAL;
}

static int load(gee_req *req, size_t limit, json_error_t *err) {
    gee_buf body = {0};
    if (!is_json(gee_header(req, "content-type"))) {
        explain(err, "the Content-Type is not application/json");
        return UV_ENOTSUP;
    }
    int rc = read_all(req, limit ? limit : LIMIT, &body);
    if (rc < 0)
        explain(err, rc == UV_E2BIG ? "the body is too large" : uv_strerror(rc));
    else
        rc = parse(&body, &req->json, err);
    gee_buf_free(&body);
    return rc;
}

int gee_json_body(gee_req *req, size_t limit, json_t **out, json_error_t *err) {
    json_error_t unwanted;
    int rc = req->json ? 0 : load(req, limit, err ? err : &unwanted);
    if (rc == 0)
        *out = json_incref(req->json);
    return rc;
}
