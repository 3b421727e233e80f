/* HTTP's basic authentication, RFC 7617. */
#include "gee/middleware.h"
#include "middleware/own.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_CREDENTIALS = 1024 };
static const char key[] = "gee.auth_user";

typedef struct auth {
    char *challenge;
    gee_account *accounts;
    size_t n;
    bool (*check)(gee_req *req, const char *user, const char *password, void *arg);
    void *arg;
} auth;

/* --- base64, RFC 4648, 4: strict --- */

static int sextet(char c) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* The length of what s encodes, or -1. to has room for strlen(s). */
static int decode(const char *s, char *to) {
    size_t n = strlen(s), out = 0;
    size_t pad = n >= 2 && s[n - 1] == '=' ? 1 + (s[n - 2] == '=') : 0;
    unsigned bits = 0;
    if (n % 4 != 0)
        return -1;
    for (size_t i = 0; i < n - pad; i++) {
        int v = sextet(s[i]);
        if (v < 0)
            return -1;
        bits = bits << 6 | (unsigned)v;
        if (i % 4 != 0)
            to[out++] = (char)(bits >> (6 - 2 * (i % 4)) & 255);
    }
    bool left_over = pad && (bits & (pad == 1 ? 3 : 15)) != 0; /* bits that say nothing */
    return left_over ? -1 : (int)out;
}

/* --- credentials --- */

/* As long as b, whatever a is: where they differ cannot be heard from the time it takes. */
static bool same(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b);
    volatile unsigned char differ = n != m;
    for (size_t i = 0; i < m; i++)
        differ |= (unsigned char)(a[n ? i % n : 0] ^ b[i]);
    return differ == 0;
}

/* Every account is looked at, so that it does not show which ones there are. */
static bool is_known(const auth *a, const char *user, const char *password) {
    bool known = false;
    for (size_t i = 0; i < a->n; i++) {
        bool u = same(a->accounts[i].user, user), p = same(a->accounts[i].password, password);
        known |= u & p;
    }
    return known;
}

/* "Basic dXNlcjpwYXNz" into user, and the password behind it. */
static const char *credentials(const char *header, char *user) {
    if (header == NULL || strncasecmp(header, "basic ", 6) != 0)
        return NULL;
    const char *encoded = header + 6 + strspn(header + 6, " ");
    int n = strlen(encoded) < MAX_CREDENTIALS ? decode(encoded, user) : -1;
    if (n < 0 || memchr(user, '\0', (size_t)n))
        return NULL;
    user[n] = '\0';
    char *colon = strchr(user, ':');
    if (colon == NULL)
        return NULL;
    *colon = '\0';
    return colon + 1;
}

static void basic_auth(gee_req *req) {
    const auth *a = gee_arg(req);
    char user[MAX_CREDENTIALS];
    const char *password = credentials(gee_header(req, "authorization"), user);
    bool pass = password &&
                (a->check ? a->check(req, user, password, a->arg) : is_known(a, user, password));
    if (password)
        explicit_bzero((char *)password, strlen(password)); /* it is in user[] */
    if (!pass) {
        gee_set_header(req, "WWW-Authenticate", a->challenge);
        gee_fail(req, 401);
        return;
    }
    char *name = strdup(user);
    if (name && gee_set(req, key, name, free) == 0) {
        gee_next(req);
        return;
    }
    free(name);
    gee_fail(req, 503); /* nobody behind here may take it for nobody's request */
}

const char *gee_auth_user(gee_req *req) {
    return gee_get(req, key);
}

static int keep_accounts(gee_group *g, auth *a, const gee_account *from) {
    size_t n = 0;
    while (from && from[n].user) {
        if (strchr(from[n].user, ':') || from[n].password == NULL)
            return UV_EINVAL;
        n++;
    }
    a->accounts = gee_own_alloc(g, (n + 1) * sizeof(*a->accounts));
    for (; a->accounts && a->n < n; a->n++)
        if (!gee_own_string(g, from[a->n].user, &a->accounts[a->n].user) ||
            !gee_own_string(g, from[a->n].password, &a->accounts[a->n].password))
            return UV_ENOMEM;
    return a->accounts ? 0 : UV_ENOMEM;
}

int gee_use_basic_auth(gee_group *g, const gee_basic_auth_options *opt) {
    static const gee_contract contract = {.name = "basic auth", .provides = "authentication"};
    const char *realm = opt && opt->realm ? opt->realm : "restricted";
    if (opt == NULL || (opt->accounts == NULL && opt->check == NULL) || strpbrk(realm, "\"\\\r\n"))
        return gee_own_failed(g, UV_EINVAL, "basic auth");
    auth *a = gee_own_alloc(g, sizeof(*a));
    size_t size = strlen(realm) + 64;
    if (a == NULL || (a->challenge = gee_own_alloc(g, size)) == NULL)
        return gee_own_failed(g, UV_ENOMEM, "basic auth");
    snprintf(a->challenge, size, "Basic realm=\"%s\", charset=\"UTF-8\"", realm);
    a->check = opt->check;
    a->arg = opt->arg;
    int rc = keep_accounts(g, a, opt->accounts);
    return rc < 0 ? gee_own_failed(g, rc, "basic auth") : gee_own_use(g, basic_auth, a, &contract);
}
