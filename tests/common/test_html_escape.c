/*
 * Escaping: each kind of place against what is sent to break out of it, and the places
 * and conditions that are refused.
 */
#include "t_site.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *marked(gee_html_call *call) {
    return json_incref(call->args[0]);
}

/* The page, or the error, which begins with "!". data is taken over. */
static char *page_of(const char *text, json_t *data) {
    char err[256] = "", *out = NULL;
    gee_html *h = gee_html_new(NULL);
    gee_html_func(h, "safe", marked, NULL, GEE_HTML_SAFE);
    gee_html_func(h, "same", marked, NULL, 0);
    gee_html_parse(h, "t", text);
    gee_html_compile(h);
    int rc = gee_html_execute(h, "t", data, &out, NULL, err, sizeof(err));
    if (rc < 0 && asprintf(&out, "!%s", *gee_html_error(h) ? gee_html_error(h) : err) < 0)
        abort();
    json_decref(data);
    gee_html_free(h);
    return out;
}

typedef struct row {
    const char *text, *data, *want; /* data: a string */
} row;

static void check_rows(const row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        char *got = page_of(rows[i].text, json_string(rows[i].data));
        if (strcmp(got, rows[i].want) != 0)
            fail_msg("%s\n  is   %s\n  not  %s", rows[i].text, got, rows[i].want);
        free(got);
    }
}

#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof(*(rows)))

static void test_text_is_escaped(void **state) {
    static const row rows[] = {
        {"<p>{{.}}</p>", "<script>alert(1)</script>",
         "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>"},
        {"<title>{{.}}</title>", "</title><img src=x onerror=a>",
         "<title>&lt;/title&gt;&lt;img src=x onerror=a&gt;</title>"},
        {"<textarea>{{.}}</textarea>", "</textarea>&amp;",
         "<textarea>&lt;/textarea&gt;&amp;amp;</textarea>"},
        {"a < b && {{.}}", "'\"`&", "a < b && &#39;&#34;&#96;&amp;"},
        {"<p>{{safe .}}{{. | safe}}</p>", "<b>", "<p><b><b></p>"},
        {"<p>{{safe . | same}}{{or false (safe .)}}</p>", "<b>", "<p>&lt;b&gt;&lt;b&gt;</p>"},
        {"<title>{{safe .}}</title>", "</title>", "<title>&lt;/title&gt;</title>"},
        {"<!doctype html><!-- c --><?x?></p>{{.}}", "<", "<!doctype html><!-- c --><?x?></p>&lt;"},
        {"<!--><b>{{.}}</b><!--->{{.}}<!-- --!>{{.}}", "<",
         "<!--><b>&lt;</b><!--->&lt;<!-- --!>&lt;"},
    };
    (void)state;
    CHECK_ROWS(rows);
}

static void test_attributes_are_escaped(void **state) {
    static const row rows[] = {
        {"<p title=\"{{.}}\">", "\" onclick=\"alert(1)",
         "<p title=\"&#34; onclick=&#34;alert(1)\">"},
        {"<p title='{{.}}'>", "' onclick='alert(1)", "<p title='&#39; onclick=&#39;alert(1)'>"},
        {"<p title = '{{.}}' alt=\"{{.}}\"/>{{.}}", "\"'>",
         "<p title = '&#34;&#39;&gt;' alt=\"&#34;&#39;&gt;\"/>&#34;&#39;&gt;"},
        {"<P\nTITLE\n=\n\"{{safe .}}\">", "\"><script>",
         "<P\nTITLE\n=\n\"&#34;&gt;&lt;script&gt;\">"},
        {"<input{{if .}} value=\"{{.}}\"{{end}}{{if .}} checked{{end}}>", "\"",
         "<input value=\"&#34;\" checked>"},
        {"<input {{if .}}checked{{end}} name={{if .}}\"a{{.}}\"{{else}}'b'{{end}}>", "\"",
         "<input checked name=\"a&#34;\">"},
        {"<option selected {{if .}}disabled{{end}}>{{.}}", ">", "<option selected disabled>&gt;"},
        {"<meta name=d content=\"{{.}}\"><meta http-equiv=x content=\"y\">", "\"",
         "<meta name=d content=\"&#34;\"><meta http-equiv=x content=\"y\">"},
    };
    (void)state;
    CHECK_ROWS(rows);
}

/* None of these may lead to code; each is tried in each attribute that takes an URL. */
static const char *const bad_urls[] = {
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    " javascript:alert(1)",
    "\tjavascript:alert(1)",
    "java\tscript:alert(1)",
    "java\nscript:alert(1)",
    "\x01javascript:alert(1)",
    "javascript&colon;x:y",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:msgbox(1)",
    "view-source:javascript:alert(1)",
    "file:///etc/passwd",
    "feed:javascript:alert(1)",
    ":x",
    "jav\xc3\xa1script:x",
    "https\x0b:x",
};

static void test_only_schemes_that_lead_somewhere(void **state) {
    static const char *const places[] = {
        "<a href=\"%s\">",
        "<img src='%s'>",
        "<form action=\"%s\">",
        "<a xlink:href=\"%s\">",
        "<b formaction=\"%s\">",
        "<object data=\"%s\">",
        "<p data-my-url=\"%s\">",
        "<video poster=\"%s\">",
        "<a HREF=\"%s\">",
        "<img srcset=\"%s\">",
        "<iframe src=\"%s\"></iframe>",
    };
    char text[128], want[128];
    (void)state;
    for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
        snprintf(text, sizeof(text), places[i], "{{.}}");
        snprintf(want, sizeof(want), places[i], "#unsafe");
        for (size_t j = 0; j < sizeof(bad_urls) / sizeof(*bad_urls); j++) {
            char *got = page_of(text, json_string(bad_urls[j]));
            if (strcmp(got, want) != 0)
                fail_msg("%s: %s: %s", text, bad_urls[j], got);
            free(got);
        }
    }
}

static void test_urls_are_escaped(void **state) {
    static const row rows[] = {
        {"<a href=\"{{.}}\">", "https://x/a b?c=d&e=\"'<>#f",
         "<a href=\"https://x/a%20b?c=d&amp;e=%22%27%3C%3E#f\">"},
        {"<a href=\"{{.}}\">", "mailto:a@b", "<a href=\"mailto:a@b\">"},
        {"<a href=\"{{.}}\">", "/a:b?c:d", "<a href=\"/a:b?c:d\">"},
        {"<a href=\"{{.}}\">", "\xc3\xa4%41%4%zz", "<a href=\"%C3%A4%41%254%25zz\">"},
        {"<a href=\"/u/{{.}}/x\">", "a'b\\(c):d", "<a href=\"/u/a%27b%5C%28c%29:d/x\">"},
        {"<a href=\"/?q={{.}}&r={{.}}#{{.}}\">", "a&b=c#d/e\"",
         "<a href=\"/?q=a%26b%3Dc%23d%2Fe%22&r=a%26b%3Dc%23d%2Fe%22#a%26b%3Dc%23d%2Fe%22\">"},
        {"<a href=\"https://{{.}}\">", "x/y", "<a href=\"https://x/y\">"},
        {"<a href=\"mailto:{{.}}\">", "a b", "<a href=\"mailto:a%20b\">"},
        /* Neither of two values, nor a value behind a word, makes a scheme. */
        {"<a href=\"java{{.}}\">", "script:alert(1)", "<a href=\"javascript%3Aalert%281%29\">"},
        {"<a href=\"{{same \"javascript\"}}{{.}}\">", ":alert(1)",
         "<a href=\"javascript%3Aalert%281%29\">"},
        {"<a href=\"{{.}}/x/{{.}}\">", "javascript:x", "<a href=\"#unsafe/x/javascript:x\">"},
        {"<a href=\"/x{{if .}}?p={{.}}{{end}}\">", "&", "<a href=\"/x?p=%26\">"},
        {"<img srcset=\"{{.}} 2x, /a{{.}} 1x\">", "/a b,c",
         "<img srcset=\"/a%20b%2Cc 2x, /a/a%20b%2Cc 1x\">"},
    };
    (void)state;
    CHECK_ROWS(rows);
}

static void test_scripts_get_values(void **state) {
    static const row rows[] = {
        {"<script>x = {{.}};</script>", "</script><b>",
         "<script>x = \"\\u003c/script\\u003e\\u003cb\\u003e\";</script>"},
        {"<script>f({{.}})</script>", "\xe2\x80\xa8\xe2\x80\xa9\"\\'&\n<!--",
         "<script>f(\"\\u2028\\u2029\\u0022\\u005c\\u0027\\u0026\\u000a\\u003c!--\")</script>"},
        {"<script>x = '{{.}}' + \"{{.}}\"</script>", "';alert(1)//\"",
         "<script>x = '\\u0027\\u003balert\\u00281\\u0029\\u002f\\u002f\\u0022' + "
         "\"\\u0027\\u003balert\\u00281\\u0029\\u002f\\u002f\\u0022\"</script>"},
        {"<script>var r = /['\"]/g, s = {{.}}</script>", "a",
         "<script>var r = /['\"]/g, s = \"a\"</script>"},
        {"<script>if (a) /'/.test({{.}})</script>", "a", "<script>if (a) /'/.test(\"a\")</script>"},
        {"<script>a = (b + c) / 2 / {{.}}; // it's\nd = {{.}} /* ' */ + [1][0] / 3</script>", "a",
         "<script>a = (b + c) / 2 / \"a\"; // it's\nd = \"a\" /* ' */ + [1][0] / 3</script>"},
        {"<script>a = `it's ${b + {c: \"}\"}.c + '`'} \\``; d = {{.}}</script>", "a",
         "<script>a = `it's ${b + {c: \"}\"}.c + '`'} \\``; d = \"a\"</script>"},
        {"<script>a = 'it\\'s'; b = {{.}}</SCRIPT >{{.}}", "<",
         "<script>a = 'it\\'s'; b = \"\\u003c\"</SCRIPT >&lt;"},
        {"<script>return {{if .}}{{.}}{{else}}0{{end}} / 2</script>", "a",
         "!t:1: a / that may divide or begin a regular expression: use parentheses"},
        {"<script type=\"application/json\">{\"a\": {{.}}}</script>", "\"",
         "<script type=\"application/json\">{\"a\": \"\\u0022\"}</script>"},
        {"<script type=module>x={{.}}</script><script>i<{{.}}</script>", "a",
         "<script type=module>x=\"a\"</script><script>i<\"a\"</script>"},
        {"<script src=\"{{.}}\"></script>{{.}}", "javascript:<",
         "<script src=\"#unsafe\"></script>javascript:&lt;"},
    };
    (void)state;
    CHECK_ROWS(rows);
}

static void test_scripts_get_json(void **state) {
    json_t *v = json_pack("{s:[i,b,n,f,{}], s:s}", "</script>", -1, 1, 0.25, "k", "\xe2\x80\xa8");
    char *got =
        page_of("<script>x={{.}};n=-{{index . \"</script>\" 0}};{{index . \"none\"}}</script>", v);
    (void)state;
    assert_string_equal(got, "<script>x={\"\\u003c/script\\u003e\":[-1,true,null,0.25,{}],"
                             "\"k\":\"\\u2028\"};n=- -1 ; null </script>");
    free(got);
}

static void test_css_gets_words(void **state) {
    static const row rows[] = {
        {"<p style=\"color: {{.}}\">", "#f00", "<p style=\"color: #f00\">"},
        {"<style>p { width: {{.}}; }</style>", "1.5em", "<style>p { width: 1.5em; }</style>"},
        {"<p style=\"color: {{.}}\">", "red; background: url(//x)", "<p style=\"color: unsafe\">"},
        {"<p style='color: {{.}}'>", "expression(alert(1))", "<p style='color: unsafe'>"},
        {"<p style='{{.}}'>", "a'b", "<p style='unsafe'>"},
        {"<style>{{.}}</style>", "</style><script>", "<style>unsafe</style>"},
        {"<style>{{.}}</style>", "a\\b", "<style>unsafe</style>"},
        {"<style>{{.}}</style>", "a/**/", "<style>unsafe</style>"},
        {"<style>{{.}}</style>", "@import \"x\"", "<style>unsafe</style>"},
        {"<style>{{.}}</style>", "x\n}", "<style>unsafe</style>"},
        {"<style>{{.}}</style>", "-MOZ-binding", "<style>unsafe</style>"},
        {"<style>{{.}}</style>", "\xc3\xa4", "<style>unsafe</style>"},
    };
    (void)state;
    CHECK_ROWS(rows);
}

/* What is refused at load: the text, and what is said of it. */
static const char *const refused[][2] = {
    {"<a\nhref={{.}}>", "!t:2: an action in an attribute without quotes"},
    {"<a href=/x/{{.}}>", "!t:1: an action in an attribute without quotes"},
    {"<a {{.}}>", "!t:1: an action in a tag, outside of an attribute's value"},
    {"<a {{.}}=\"x\">", "!t:1: an action in a tag, outside of an attribute's value"},
    {"<a x{{.}}=\"x\">", "!t:1: an action in a tag, outside of an attribute's value"},
    {"<{{.}}>", "!t:1: an action inside of a tag's name, an entity or an opening <"},
    {"</{{.}}>", "!t:1: an action inside of a tag's name, an entity or an opening <"},
    {"<h{{.}}>", "!t:1: an action in a tag, outside of an attribute's value"},
    {"<h{{if .}}1{{end}}>", "!t:1: a name goes on behind an action: put a space between them"},
    {"<scr{{if .}}ipt{{end}}>", "!t:1: a name goes on behind an action: put a space between them"},
    {"<a on{{if .}}click{{end}}=\"\">",
     "!t:1: a name goes on behind an action: put a space between them"},
    {"<a {{if .}}href{{else}}title{{end}}=\"{{.}}\">",
     "!t:1: a name goes on behind an action: put a space between them"},
    {"<!-- {{.}} -->", "!t:1: an action in an HTML comment"},
    {"<!{{.}}>", "!t:1: an action inside of a tag's name, an entity or an opening <"},
    {"<!--{{if .}}-->{{end}}", "!t:1: an action inside of a tag's name, an entity or an opening <"},
    {"<!doctype {{.}}>", "!t:1: an action in a declaration"},
    {"<a onclick=\"f('{{.}}')\">", "!t:1: an action in an event handler, srcdoc or an animation: "
                                   "use a data- attribute or a script"},
    {"<a ONFOO='{{.}}'>", "!t:1: an action in an event handler, srcdoc or an animation: use a "
                          "data- attribute or a script"},
    {"<iframe srcdoc='{{.}}'>", "!t:1: an action in an event handler, srcdoc or an animation: use "
                                "a data- attribute or a script"},
    {"<svg><animate to='{{.}}'>", "!t:1: an action in an event handler, srcdoc or an animation: "
                                  "use a data- attribute or a script"},
    {"<a href=\"javascript:f('{{.}}')\">",
     "!t:1: an action in an URL whose scheme is not http, https, mailto or tel, or not known"},
    {"<a href=\"&#106;avascript:{{.}}\">",
     "!t:1: an action in an URL whose scheme is not http, https, mailto or tel, or not known"},
    {"<a href=\"{{.}}:{{.}}\">",
     "!t:1: an action in an URL whose scheme is not http, https, mailto or tel, or not known"},
    {"<a href=\"java{{/* */}}script:{{.}}\">",
     "!t:1: an action in an URL whose scheme is not http, https, mailto or tel, or not known"},
    {"<a href=\"{{if .}}/x?{{end}}{{.}}\">",
     "!t:1: an action in an URL, behind a condition after which its path may have ended or not"},
    {"<a href=\"{{if .}}javascript{{end}}:{{.}}\">",
     "!t:1: an action in an URL, behind a condition after which its path may have ended or not"},
    {"<meta http-equiv=\"refresh\" content=\"0;url={{.}}\">",
     "!t:1: an action in the content of an http-equiv"},
    {"<meta content=\"{{.}}\" http-equiv=\"refresh\">",
     "!t:1: http-equiv, where content has an action"},
    {"<meta http-equiv=\"{{.}}\">", "!t:1: an action in http-equiv"},
    {"<script type=\"text/x-template\">{{.}}</script>",
     "!t:1: an action in a script of a type that is not JavaScript or JSON"},
    {"<script type=\"{{.}}\"></script>", "!t:1: an action in the type of a script"},
    {"<script>a = `{{.}}`</script>",
     "!t:1: an action in a template literal: put the value into a variable"},
    {"<script>a = /{{.}}/</script>", "!t:1: an action inside of a token of a script"},
    {"<script>a = /x{{.}}/</script>", "!t:1: an action in a regular expression"},
    {"<script>// {{.}}\n</script>", "!t:1: an action in a comment of a script"},
    {"<script>/* {{.}} */</script>", "!t:1: an action in a comment of a script"},
    {"<script>\n\na = '\n'</script>", "!t:3: a line that ends in a string or regular expression"},
    {"<script>\n<!-- x</script>", "!t:2: <!-- in a script, in which browsers do not find its end"},
    {"<script>\n--> ' {{.}}</script>", "!t:2: --> in a script"},
    {"<script>x = \"\\{{.}}\"</script>", "!t:1: an action inside of a token of a script"},
    {"<script>x = \"</scr{{.}}\"</script>",
     "!t:1: an action inside of a tag's name, an entity or an opening <"},
    {"<textarea><{{.}}</textarea>",
     "!t:1: an action inside of a tag's name, an entity or an opening <"},
    {"<xmp>{{.}}</xmp>", "!t:1: an action in an element whose content is taken as it is"},
    {"<p title='&#{{.}};'>", "!t:1: an action inside of a tag's name, an entity or an opening <"},
    {"<svg><![CDATA[{{.}}]]></svg>", "!t:1: CDATA: not known to templates"},
    {"<p title='{{if .}}'{{end}}>",
     "!t:1: what follows may be in a tag or in an attribute's value"},
    {"<p>{{range .}}<p title=\"{{end}}",
     "!t:1: what follows may be in text or in an attribute's value"},
    {"{{if .}}<script>{{end}}", "!t:1: what follows may be in a <script> or in text"},
    {"<script>{{if .}}'{{end}}{{.}}'</script>", "!t:1: what follows is in two kinds of a <script>"},
    {"<p title=\"", "!t:1: \"t\" ends in an attribute's value"},
    {"<p", "!t:1: \"t\" ends in a tag"},
    {"<script>", "!t:1: \"t\" ends in a <script>"},
    {"{{define \"x\"}}<p title={{.}}>{{end}}", "!t:1: an action in an attribute without quotes"},
    {"{{define \"x\"}}'{{if .}}{{template \"x\" .}}{{end}}{{end}}<script>{{template \"x\" "
     ".}}</script>",
     "!t:1: what follows is in two kinds of a <script>"},
    {"{{define \"x\"}}{{template \"x\" .}}'{{end}}<script>{{template \"x\" .}}</script>",
     "!t:1: \"x\" calls itself, and ends in a <script> but begins in a <script>"},
};

static void test_places_without_an_escaping_are_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        char *got = page_of(refused[i][0], json_string("1"));
        if (strcmp(got, refused[i][1]) != 0)
            fail_msg("%s\n  is   %s\n  not  %s", refused[i][0], got, refused[i][1]);
        free(got);
    }
}

/* A part of a page that cannot be one is no error, until it is asked for. */
static void test_a_part_need_not_be_a_page(void **state) {
    char err[256], *out = NULL;
    gee_html *h = gee_html_new(NULL);
    (void)state;
    gee_html_parse(h, "t", "{{define \"open\"}}<p title=\"{{.}}{{end}}{{template \"open\" .}}\">");
    assert_int_equal(gee_html_compile(h), 0);
    json_t *v = json_string("\"");
    assert_int_equal(gee_html_execute(h, "t", v, &out, NULL, err, sizeof(err)), 0);
    assert_string_equal(out, "<p title=\"&#34;\">");
    free(out);
    assert_int_equal(gee_html_execute(h, "open", v, &out, NULL, err, sizeof(err)), UV_EINVAL);
    assert_string_equal(err, "open: is no page: t:1: \"open\" ends in an attribute's value");
    json_decref(v);
    gee_html_free(h);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_text_is_escaped),
    cmocka_unit_test(test_attributes_are_escaped),
    cmocka_unit_test(test_only_schemes_that_lead_somewhere),
    cmocka_unit_test(test_urls_are_escaped),
    cmocka_unit_test(test_scripts_get_values),
    cmocka_unit_test(test_scripts_get_json),
    cmocka_unit_test(test_css_gets_words),
    cmocka_unit_test(test_places_without_an_escaping_are_refused),
    cmocka_unit_test(test_a_part_need_not_be_a_page),
};

T_MAIN(tests)
