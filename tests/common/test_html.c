/* Templates: what the language means, and what is wrong with one is said with its place. */
#include "t_site.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static json_t *upper(gee_html_call *call) {
    const char *s = call->n == 1 ? json_string_value(call->args[0]) : NULL;
    if (s == NULL) {
        call->error = "wants a string";
        return NULL;
    }
    json_t *v = json_string(s);
    for (char *c = (char *)json_string_value(v); *c; c++)
        *c = (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
    return v;
}

static json_t *list(gee_html_call *call) {
    json_t *v = json_array();
    for (size_t i = 0; i < call->n; i++)
        json_array_append(v, call->args[i]);
    return v;
}

static json_t *bold(gee_html_call *call) {
    return json_sprintf("<b>%s</b>", json_string_value(call->args[0]));
}

/* A set of one text, and what it says of it: "" or an error. */
static gee_html *set_of(const char *text, const gee_html_options *opt) {
    gee_html *h = gee_html_new(opt);
    gee_html_func(h, "upper", upper, NULL, 0);
    gee_html_func(h, "list", list, NULL, 0);
    gee_html_func(h, "bold", bold, NULL, GEE_HTML_SAFE);
    gee_html_parse(h, "t", text);
    gee_html_compile(h);
    return h;
}

/* The page, or the error, which begins with "!". */
static char *page_of(const char *text, const char *data) {
    char err[256], *out = NULL;
    gee_html *h = set_of(text, NULL);
    json_t *v = json_loads(data, JSON_DECODE_ANY, NULL);
    int rc = gee_html_execute(h, "t", v, &out, NULL, err, sizeof(err));
    if (rc < 0 && asprintf(&out, "!%s", *gee_html_error(h) ? gee_html_error(h) : err) < 0)
        abort();
    json_decref(v);
    gee_html_free(h);
    return out;
}

typedef struct row {
    const char *text, *data, *want;
} row;

static void check_rows(const row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        char *got = page_of(rows[i].text, rows[i].data);
        if (strcmp(got, rows[i].want) != 0)
            fail_msg("%s\n  is   %s\n  not  %s", rows[i].text, got, rows[i].want);
        free(got);
    }
}

#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof(*(rows)))

static const char person[] = "{\"name\": \"ann\", \"age\": 7, \"half\": 0.5, \"yes\": true,"
                             " \"no\": false, \"nil\": null, \"a\": {\"b\": {\"c\": \"deep\"}},"
                             " \"tags\": [\"x\", \"y\"], \"none\": [], \"a-b\": 1}";

static void test_values_and_fields(void **state) {
    static const row rows[] = {
        {"no action", person, "no action"},
        {"", person, ""},
        {"{{.name}} {{ .age }} {{.half}} {{.yes}} {{.no}}", person, "ann 7 0.5 true false"},
        {"[{{.nil}}{{.unknown}}{{.unknown.field}}]", person, "[]"},
        {"{{.a.b.c}} {{$.a.b.c}} {{(.a).b.c}} {{(index . \"a\").b.c}}", person,
         "deep deep deep deep"},
        {"{{.}}", "\"text\"", "text"},
        {"{{\"a\\tb\\\"\\\\\"}} {{`raw\\n}}`}} {{12}} {{-1.5e1}} {{true}} {{nil}}.", person,
         "a\tb&#34;\\ raw\\n}} 12 -15 true ."},
        {"{{.äé}}", "{\"äé\": \"ü\"}", "ü"},
        {"{{ .name\n}}", person, "ann"},
        {"{{0.1}} {{1e300}} {{9007199254740993}}", person, "0.1 1e+300 9007199254740993"},
    };
    (void)state;
    CHECK_ROWS(rows);
}

static void test_space_and_comments(void **state) {
    static const row rows[] = {
        {"a {{- .}} b", "1", "a1 b"},
        {"a \n\t {{- . -}} \n b", "1", "a1b"},
        {"a {{-1}} b", "1", "a -1 b"},
        {"a {{/* }} {{ \" */}} b", "1", "a  b"},
        {"a {{- /* c */ -}} b", "1", "ab"},
        {"<p{{/* one tag */}}re>{{.}}</pre>", "1", "<pre>1</pre>"},
        {"{{if .}} {{- 1 -}} {{end}}", "1", "1"},
        {"} }} {", "1", "} }} {"},
    };
    (void)state;
    CHECK_ROWS(rows);
}

static void test_conditions(void **state) {
    static const row rows[] = {
        {"{{if .yes}}a{{else}}b{{end}}{{if .no}}a{{else}}b{{end}}", person, "ab"},
        {"{{if .nil}}1{{else if .none}}2{{else if .age}}3{{else}}4{{end}}", person, "3"},
        {"{{if 0}}1{{end}}{{if \"\"}}2{{end}}{{if .a}}3{{end}}{{if 0.0}}4{{end}}", person, "3"},
        {"{{with .a.b}}{{.c}}{{$.name}}{{end}}{{with .no}}x{{else}}{{.name}}{{end}}", person,
         "deepannann"},
        {"{{with $x := .name}}{{$x}}{{.}}{{end}}{{if $y := .age}}{{$y}}{{end}}", person, "annann7"},
        {"{{$x := .name}}{{if true}}{{$x := 1}}{{$x}}{{end}}{{$x}}", person, "1ann"},
    };
    (void)state;
    CHECK_ROWS(rows);
}

static void test_ranges(void **state) {
    static const row rows[] = {
        {"{{range .tags}}{{.}},{{end}}", person, "x,y,"},
        {"{{range .none}}{{.}}{{else}}{{.name}}{{end}}{{range .nil}}{{else}}!{{end}}", person,
         "ann!"},
        {"{{range $v := .tags}}{{$v}}{{.}}{{end}}", person, "xxyy"},
        {"{{range $i, $v := .tags}}{{$i}}{{$v}}{{if $i}}{{$.age}}{{end}} {{end}}", person,
         "0x 1y7 "},
        {"{{range $k, $v := .a}}{{$k}}={{$v.c}}{{end}}",
         "{\"a\":{\"q\":{\"c\":1},\"b\":{\"c\":2}}}", "q=1b=2"},
        {"{{range .}}{{range .}}{{.}}{{end}};{{end}}", "[[1,2],[],[3]]", "12;;3;"},
        {"{{range list 1 (list 2) \"c\"}}{{if eq . \"c\"}}{{.}}{{end}}{{end}}", "0", "c"},
    };
    (void)state;
    CHECK_ROWS(rows);
}

static void test_functions_and_pipelines(void **state) {
    static const row rows[] = {
        {"{{.name | upper}} {{upper .name}} {{upper (upper .name) | upper | bold}}", person,
         "ANN ANN <b>ANN</b>"},
        {"{{eq 1 1}}{{eq 1 1.0}}{{eq \"a\" \"a\"}}{{eq 3 1 2 3}}{{eq nil .nil}}{{eq 1 \"1\"}}",
         person, "truetruetruetruetruefalse"},
        {"{{ne 1 2}}{{lt 1 2}}{{le 2 2}}{{gt \"b\" \"a\"}}{{ge 1 2}}{{lt \"a\" \"ab\"}}", "0",
         "truetruetruetruefalsetrue"},
        {"{{and 1 0 2}}{{or 0 \"\" 5}}{{not 1}}{{and 1 2}}{{or 0 .}}", "0", "05false20"},
        {"{{or 1 (upper 1)}}{{and 0 (upper 1)}}", "0", "10"}, /* is not called */
        {"{{len .tags}}{{len .name}}{{len .a}}{{.tags | len | eq 2}}", person, "231true"},
        {"{{index .tags 1}}{{index .a \"b\" \"c\"}}{{index . \"a-b\"}}{{index .tags 0 | upper}}",
         person, "ydeep1X"},
        {"{{if and .yes (gt .age 5)}}old{{end}}", person, "old"},
        {"{{range list 1 2}}{{with list . .}}{{index . 1}}{{end}}{{end}}", "0", "12"},
        {"{{$x := list 1 2}}{{range $x}}{{.}}{{end}}{{index $x 1}}", "0", "122"},
    };
    (void)state;
    CHECK_ROWS(rows);
}

static void test_templates_call_each_other(void **state) {
    static const row rows[] = {
        {"{{define \"li\"}}<li>{{.}}</li>{{end}}<ul>{{range .}}{{template \"li\" .}}{{end}}</ul>",
         "[1,2]", "<ul><li>1</li><li>2</li></ul>"},
        {"{{template \"x\"}}{{define \"x\"}}[{{.}}{{$}}]{{end}}", "1", "[]"},
        {"{{with .a}}{{template \"x\" .}}{{end}}{{define \"x\"}}{{$.b}}{{.b}}{{end}}",
         "{\"a\":{\"b\":1}}", "11"},
        {"{{block \"x\" .a}}({{.}}){{end}}", "{\"a\":1}", "(1)"},
        {"{{block \"x\" .a}}({{.}}){{end}}{{define \"x\"}}<{{.}}{{end}}", "{\"a\":1}",
         "!t:1: an action inside of a tag's name, an entity or an opening <"},
        {"{{define \"x\"}}!{{.}}{{end}}{{block \"x\" .}}({{.}}){{end}}", "1", "!1"},
        {"{{define \"t2\"}}{{.n}}{{with .sub}}({{range .}}{{template \"t2\" "
         ".}}{{end}}){{end}}{{end}}"
         "{{template \"t2\" .}}",
         "{\"n\":1,\"sub\":[{\"n\":2},{\"n\":3,\"sub\":[{\"n\":4}]}]}", "1(23(4))"},
        /* The same template is escaped for each place that it is called from. */
        {"{{define \"v\"}}{{.}}{{end}}<a href=\"/?q={{template \"v\" .}}\">{{template \"v\" .}}</a>"
         "<script>x = {{template \"v\" .}}; y = '{{template \"v\" .}}'</script>",
         "\"a b<\"",
         "<a href=\"/?q=a%20b%3C\">a b&lt;</a><script>x = \"a b\\u003c\"; y = 'a "
         "b\\u003c'</script>"},
    };
    (void)state;
    CHECK_ROWS(rows);
}

static void test_mistakes_of_the_language_are_found_at_load(void **state) {
    static const row rows[] = {
        {"a\n{{.x", "0", "!t:2: {{ without }}"},
        {"{{}}", "0", "!t:1: the action ends too early"},
        {"\n\n{{.a .b}}", "0", "!t:3: unexpected b"},
        {"{{1 2}}", "0", "!t:1: unexpected 2"},
        {"{{\"a}}", "0", "!t:1: {{ without }}"},
        {"{{\"a\\q\"}}", "0", "!t:1: \\q in a string"},
        {"{{'a'}}", "0", "!t:1: unexpected '"},
        {"{{1x}}", "0", "!t:1: 1x is no value"},
        {"{{99999999999999999999999}}", "0", "!t:1: 99999999999999999999999 is no value"},
        {"{{(1}}", "0", "!t:1: the action ends too early"},
        {"{{1)}}", "0", "!t:1: unexpected )"},
        {"{{1 | 2}}", "0", "!t:1: what follows | is no function"},
        {"{{1 | }}", "0", "!t:1: the action ends too early"},
        {"{{nothing 1}}", "0", "!t:1: there is no function nothing"},
        {"{{$x}}", "0", "!t:1: there is no variable $x"},
        {"{{$x := $x}}", "0", "!t:1: there is no variable $x"},
        {"{{if 1}}{{$x := 1}}{{end}}{{$x}}", "0", "!t:1: there is no variable $x"},
        {"{{$x, $y := 1}}", "0", "!t:1: unexpected ,"},
        {"{{$ := 1}}", "0", "!t:1: $ is not declared"},
        {"\n{{if 1}}\n", "0", "!t:2: no {{end}} for what begins here"},
        {"{{if}}{{end}}", "0", "!t:1: the action ends too early"},
        {"\n{{end}}", "0", "!t:2: {{end}} out of place"},
        {"{{else}}", "0", "!t:1: {{else}} out of place"},
        {"{{if 1}}{{else}}\n{{else}}{{end}}", "0", "!t:2: {{else}} out of place"},
        {"{{range 1}}{{else if 1}}{{end}}", "0", "!t:1: {{else if}} without an {{if}}"},
        {"{{end 1}}", "0", "!t:1: unexpected 1"},
        {"{{/* x }}", "0", "!t:1: a comment that does not end with */}}"},
        {"{{template \"x\" .}}", "0", "!t:1: there is no template \"x\""},
        {"{{template x}}", "0", "!t:1: unexpected x"},
        {"{{define \"\"}}{{end}}", "0", "!t:1: a template without a name"},
        {"{{if 1}}{{define \"x\"}}{{end}}{{end}}", "0", "!t:1: {{define}} inside of something"},
        {"{{define \"x\"}}{{end}}\n{{define \"x\"}}{{end}}", "0",
         "!t:2: \"x\" is defined already, at t:1"},
        {"{{define \"t\"}}{{end}}", "0", "!t:1: \"t\" is defined already, at t:1"},
        {"{{list 1 2 3 4 5 6 7 8 9}}", "0", "!t:1: more than 8 arguments"},
        {"{{((((((((((((((((1))))))))))))))))}}", "0",
         "!t:1: more than 16 calls inside one another"},
    };
    (void)state;
    CHECK_ROWS(rows);
}

static void test_mistakes_in_the_data_fail_the_page(void **state) {
    static const row rows[] = {
        {"a\n{{.x.y}}", "{\"x\":1}", "!t:2: .y of a number"},
        {"{{.}}", "{}", "!t:1: an object is no text"},
        {"{{range .}}{{end}}", "\"abc\"", "!t:1: range over a string"},
        {"{{upper .}}", "1", "!t:1: upper: wants a string"},
        {"{{index . 2}}", "[1,2]", "!t:1: index: is out of the array"},
        {"{{index . -1}}", "[1,2]", "!t:1: index: is out of the array"},
        {"{{index . 0}}", "{}",
         "!t:1: index: is of an array by a number, or of an object by a string"},
        {"{{lt 1 \"a\"}}", "0", "!t:1: lt: compares two numbers or two strings"},
        {"{{len .}}", "1", "!t:1: len: is of a string, an array or an object"},
        {"{{and}}", "1", "!t:1: and: has an argument"},
        {"{{range .}}\n{{.a}}{{end}}", "[{\"a\":1},2]", "!t:2: .a of a number"},
    };
    (void)state;
    CHECK_ROWS(rows);
}

/* --- bounds --- */

static int rc_of(const char *text, json_t *data, const gee_html_options *opt, size_t *n) {
    char *out = NULL;
    gee_html *h = set_of(text, opt);
    int rc = gee_html_execute(h, "t", data, &out, n, NULL, 0);
    free(out);
    gee_html_free(h);
    json_decref(data);
    return rc;
}

static json_t *rows_of(int n) {
    json_t *rows = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(rows, json_pack("{s:i, s:s}", "id", i, "name", "<row>"));
    return rows;
}

static void test_a_page_is_bounded(void **state) {
    (void)state;
    char *got = page_of("{{define \"r\"}}{{template \"r\" .}}{{end}}{{template \"r\" .}}", "0");
    assert_string_equal(got, "!t:1: more than 64 templates and blocks");
    free(got);
    static const gee_html_options small = {.max_bytes = 20000}, ten = {.max_bytes = 10};
    size_t n = 0;
    static const char table[] =
        "{{range $i, $r := .}}<tr><td>{{$r.id}}<td>{{upper .name}}\n{{end}}";
    assert_int_equal(rc_of(table, rows_of(1000), NULL, &n), 0);
    assert_int_equal(n, 10 * 25 + 90 * 26 + 900 * 27);
    assert_int_equal(rc_of("{{range .}}{{range $}}1{{end}}{{end}}", rows_of(150), &small, NULL),
                     UV_E2BIG);
    assert_int_equal(rc_of("{{.}}{{.}}", json_string("12345"), &ten, NULL), 0);
    assert_int_equal(rc_of("{{.}}{{.}}.", json_string("12345"), &ten, NULL), UV_E2BIG);
}

static void test_a_page_that_writes_nothing_is_bounded(void **state) {
    static const gee_html_options few = {.max_steps = 20000};
    (void)state;
    assert_int_equal(
        rc_of("{{range .}}{{range $}}{{range $}}{{end}}{{end}}{{end}}", rows_of(30), &few, NULL),
        UV_E2BIG);
}

static void test_values_in_a_script_nest_so_deep(void **state) {
    (void)state;
    for (int deep = GEE_HTML_DEPTH - 1; deep <= GEE_HTML_DEPTH; deep++) {
        json_t *v = json_integer(1);
        for (int i = 0; i < deep; i++)
            v = json_pack("[o]", v);
        int want = deep < GEE_HTML_DEPTH ? 0 : UV_E2BIG;
        assert_int_equal(rc_of("<script>x = {{.}}</script>", v, NULL, NULL), want);
    }
}

/* --- files --- */

static char dir[64];

static void put(const char *name, const char *text) {
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int made_dir(void **state) {
    (void)state;
    strcpy(dir, "/tmp/gee-html-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int removed_dir(void **state) {
    char command[128];
    (void)state;
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

/* Of all files there; what is wrong. */
static int glob_rc(const char *pattern, char *err, size_t size) {
    char path[128];
    gee_html *h = gee_html_new(NULL);
    snprintf(path, sizeof(path), "%s/%s", dir, pattern);
    int rc = gee_html_glob(h, path);
    rc = rc == 0 ? gee_html_compile(h) : rc;
    snprintf(err, size, "%s", gee_html_error(h) + (rc ? strlen(dir) : 0));
    gee_html_free(h);
    return rc;
}

static void test_files_are_templates(void **state) {
    char err[256], path[128], *out;
    (void)state;
    assert_int_equal(glob_rc("none/*", err, sizeof(err)), UV_ENOENT);
    assert_string_equal(err, "/none/*: no such file or directory");
    put("page.tmpl", "<h1>{{.t}}</h1>{{template \"foot.tmpl\" .}}");
    put("foot.tmpl", "<hr>{{.t}}");
    put("empty.tmpl", "");
    put("other.html", "{{");
    assert_int_equal(glob_rc("*.tmpl", err, sizeof(err)), 0);
    assert_int_equal(glob_rc("*.txt", err, sizeof(err)), UV_ENOENT);
    assert_string_equal(err, "/*.txt: no file matches");
    assert_int_equal(glob_rc("*.html", err, sizeof(err)), UV_EINVAL);
    assert_string_equal(err, "/other.html:1: {{ without }}");
    gee_html *h = gee_html_new(NULL);
    snprintf(path, sizeof(path), "%s/*.tmpl", dir);
    assert_int_equal(gee_html_glob(h, path), 0);
    assert_int_equal(gee_html_compile(h), 0);
    assert_int_equal(gee_html_glob(h, path), UV_EBUSY);
    gee_html_free(h);
    h = gee_html_new(NULL);
    assert_int_equal(gee_html_glob(h, path), 0);
    assert_int_equal(gee_html_compile(h), 0);
    json_t *data = json_pack("{s:s}", "t", "<x>");
    assert_int_equal(gee_html_execute(h, "page.tmpl", data, &out, NULL, err, sizeof(err)), 0);
    assert_string_equal(out, "<h1>&lt;x&gt;</h1><hr>&lt;x&gt;");
    free(out);
    assert_int_equal(gee_html_execute(h, "none", data, &out, NULL, err, sizeof(err)), UV_ENOENT);
    assert_string_equal(err, "none: there is no such template");
    json_decref(data);
    gee_html_free(h);
}

static void test_names_are_taken_once(void **state) {
    char err[256], path[128];
    (void)state;
    put("a.dup", "{{define \"x\"}}1{{end}}");
    put("b.dup", "\n{{define \"x\"}}2{{end}}");
    assert_int_equal(glob_rc("*.dup", err, sizeof(err)), UV_EEXIST);
    assert_non_null(strstr(err, "/b.dup:2: \"x\" is defined already, at "));
    gee_html *h = gee_html_new(NULL);
    snprintf(path, sizeof(path), "%s/a.dup", dir);
    assert_int_equal(gee_html_glob(h, path), 0);
    assert_int_equal(gee_html_glob(h, path), UV_EEXIST);
    assert_int_equal(gee_html_compile(h), UV_EEXIST); /* the first error stays */
    gee_html_free(h);
    h = gee_html_new(NULL);
    assert_int_equal(gee_html_func(h, "len", upper, NULL, 0), UV_EEXIST);
    assert_int_equal(gee_html_func(h, "a b", upper, NULL, 0), UV_EINVAL);
    assert_int_equal(gee_html_func(h, "range", upper, NULL, 0), UV_EINVAL);
    assert_int_equal(gee_html_func(h, "", upper, NULL, 0), UV_EINVAL);
    gee_html_free(h);
    assert_int_equal(gee_html_parse(NULL, "x", ""), UV_ENOMEM);
    assert_int_equal(gee_html_compile(NULL), UV_ENOMEM);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_values_and_fields),
    cmocka_unit_test(test_space_and_comments),
    cmocka_unit_test(test_conditions),
    cmocka_unit_test(test_ranges),
    cmocka_unit_test(test_functions_and_pipelines),
    cmocka_unit_test(test_templates_call_each_other),
    cmocka_unit_test(test_mistakes_of_the_language_are_found_at_load),
    cmocka_unit_test(test_mistakes_in_the_data_fail_the_page),
    cmocka_unit_test(test_a_page_is_bounded),
    cmocka_unit_test(test_a_page_that_writes_nothing_is_bounded),
    cmocka_unit_test(test_values_in_a_script_nest_so_deep),
    cmocka_unit_test_setup_teardown(test_files_are_templates, made_dir, removed_dir),
    cmocka_unit_test_setup_teardown(test_names_are_taken_once, made_dir, removed_dir),
};

T_MAIN(tests)
