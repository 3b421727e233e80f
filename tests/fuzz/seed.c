/* Writes the first inputs into a directory: the table of the wire, and one for each route. */
#include "fuzz.h"
#include "t_wire.h"
#include <stdio.h>
#include <string.h>

#define GET(target, fields)        "GET " target " HTTP/1.1\r\nHost: t\r\n" fields "\r\n"
#define POST(target, fields, body) "POST " target " HTTP/1.1\r\nHost: t\r\n" fields "\r\n" body
#define FORM                       "Content-Type: application/x-www-form-urlencoded\r\n"
#define JSON                       "Content-Type: application/json\r\n"
#define PARTS                      "Content-Type: multipart/form-data; boundary=b\r\n"
#define MANY                       "A:\r\nB:1\r\nC: \r\nD:\r\nE:\r\nF:\r\nG:\r\nH:\r\nI:\r\nJ:\r\n"
#define CHUNKED                    "Transfer-Encoding: chunked\r\n"

static const char *const more[] = {
    GET("/hello/a%20b?q=x+y", "") GET("/files/a/b%2fc?x=1&y=2&z", ""),
    "HEAD /large HTTP/1.1\r\nHost: t\r\n\r\n" GET("/large", ""),
    GET("/events?data=a%0ab", "") GET("/events", "Connection: close\r\n"),
    "GET /events HTTP/1.0\r\n\r\n",
    POST("/form", FORM "Content-Length: 12\r\n", "a=b%20c&d=+e"),
    POST("/json", JSON "Content-Length: 22\r\n", "{\"a\": [1, null, \"\xc3\xa4\"]}\n"),
    POST("/bind", JSON CHUNKED, "16\r\n{\"name\": \"x\", \"n\": 12}\r\n0\r\n\r\n"),
    POST("/parts", PARTS CHUNKED,
         "8f\r\n--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nxyz\r\n"
         "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f.txt\"\r\n\r\n12345\r\n-"
         "-b--\r\n"
         "\r\n0\r\n\r\n"),
    POST("/parts", PARTS "Content-Length: 62\r\n",
         "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nxyz\r\n--b--"),
    POST("/form", PARTS "Content-Length: 62\r\n",
         "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nxyz\r\n--b--"),
    GET("/cookie", "Cookie: a=b; id=\"x\"; c\r\n") GET("/cookie", ""),
    "PUT /pass HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n" CHUNKED
    "\r\n4\r\nabcd\r\n3\r\nefg\r\n0\r\n\r\n",
    GET("/client",
        "X-Forwarded-For: 192.0.2.1, 10.1.2.3:80\r\nX-Forwarded-For: [2001:db8::1]:443\r\n")
        GET("/client", "X-Forwarded-For: 1, , ::ffff:192.0.2.1\r\n"),
    GET("/real/client", "X-Real-IP: fe80::1\r\n")
        GET("/real/client", "X-Real-IP: 1.2.3.4\r\nX-Real-IP: 1.2.3.4\r\n"),
    GET("/broken", "") GET("/hello/x", ""),
    GET("/many", MANY MANY MANY) GET("/many", MANY MANY MANY MANY),
    GET("/timed/deaf", "") GET("/hello/x", ""),
    POST("/timed/deaf", "Content-Length: 2\r\n", "ab") GET("/timed/events", ""),
    POST("/timed/echo", "Content-Length: 5\r\n", "abcd"),
    POST("/timed/pass", CHUNKED, "4\r\nabcd\r\n3\r\nefg\r\n0\r\n\r\n") GET("/timed/large", ""),
    GET("/torn", "") GET("/hello/x", ""),
    "GET /torn HTTP/1.0\r\n\r\n",
    GET("/away?to=%2Fx%20y", "") GET("/later/x", "") GET("/empty", ""),
    "OPTIONS /pass HTTP/1.1\r\nHost: t\r\n\r\nDELETE /echo HTTP/1.1\r\nHost: t\r\n\r\n",
    POST("/ignore", "Content-Length: 5\r\n", "abcde") GET("/hello/new", ""),
};

static const unsigned char ways[][FUZZ_HEAD] = {
    {FUZZ_WAITS, 0, 0, 0},
    {FUZZ_SLOW | 7 << 2, 200, 0, 16},
    {FUZZ_CLOSES, 17, 3, 4},
    {FUZZ_RESETS | 1 << 2, 40, 255, 0},
};

static int write_one(const char *dir, const char *bytes, size_t n) {
    static unsigned count;
    char path[512];
    snprintf(path, sizeof(path), "%s/seed-%03u", dir, count);
    FILE *f = fopen(path, "w");
    if (f == NULL)
        return -1;
    fwrite(ways[count++ % 4], 1, FUZZ_HEAD, f);
    fwrite(bytes, 1, n, f);
    return fclose(f);
}

int main(int argc, char **argv) {
    int rc = argc == 2 ? 0 : -1;
    for (size_t i = 0; rc == 0 && i < t_nwires; i++)
        rc = write_one(argv[1], t_wires[i].bytes, t_wires[i].n);
    for (size_t i = 0; rc == 0 && i < sizeof(more) / sizeof(*more); i++)
        for (size_t way = 0; rc == 0 && way < 5; way++) /* not all in one way */
            rc = write_one(argv[1], more[i], strlen(more[i]));
    return rc == 0 ? 0 : 1;
}
