/* test_report_parts.c - the parts of a page that can be wrong without anybody seeing it: escaping,
 * decimation, windows, numbers as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/figure.h"
#include "report/html.h"
#include "report/series.h"
#include "scratch_group.h"

static char *escaped(const char *text)
{
    char *out;
    size_t bytes;
    FILE *f = html_memory(&out, &bytes);
    html_text(f, text);
    fclose(f);
    return out;
}

static void assert_escaped(const char *text, const char *expected)
{
    char *out = escaped(text);
    assert_string_equal(out, expected);
    free(out);
}

static void test_html_text__escapes_what_means_something(void **state)
{
    (void)state;
    assert_escaped("<b title=\"x\" id='y'>&</b>",
                   "&lt;b title=&quot;x&quot; id=&#39;y&#39;&gt;&amp;&lt;/b&gt;");
    assert_escaped("größe 🔥 日本", "größe 🔥 日本");
}

/* Overlong forms, surrogates, lone and missing continuation bytes, beyond U+10FFFF. */
static void test_html_text__replaces_what_is_not_utf8(void **state)
{
    (void)state;
    assert_escaped("\xc0\xbc", "\xef\xbf\xbd\xef\xbf\xbd");
    assert_escaped("\xe0\x80\xbc", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    assert_escaped("a\xff" "b", "a\xef\xbf\xbd" "b");
    assert_escaped("\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd");
    assert_escaped("\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    assert_escaped("\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    assert_escaped("\x01\x1b[0m", "\xef\xbf\xbd\xef\xbf\xbd[0m");
}

/* Names of configurations are cut to the room there is, which may be in the middle of a letter. */
static void test_chart_add__takes_half_a_letter(void **state)
{
    (void)state;
    const double x[2] = {0, 1}, y[2] = {1, 2};
    json_t *chart = chart_new("curves");
    json_t *set = chart_add(chart, "plain", "lr 0.1 \xc2", "lr 0.1 \xc2", 1, x, y, 2, 0);
    assert_string_equal(json_string_value(json_object_get(set, "label")), "lr 0.1 ?");
    json_decref(chart);
}

static void test_html_json__cannot_end_its_script(void **state)
{
    (void)state;
    char *out;
    size_t bytes;
    json_t *value = json_pack("{s:s, s:f}", "name", "</script><!--&", "x", 0.1234567891);
    FILE *f = html_memory(&out, &bytes);
    html_json(f, value);
    fclose(f);
    assert_null(strchr(out, '<'));
    json_t *back = json_loads(out, 0, NULL);
    assert_non_null(back);
    assert_string_equal(json_string_value(json_object_get(back, "name")), "</script><!--&");
    json_decref(back);
    json_decref(value);
    free(out);
}

/* RFC 4648, section 10. */
static void test_html_base64__matches_the_rfc(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *out;
        size_t bytes;
        FILE *f = html_memory(&out, &bytes);
        html_base64(f, (const unsigned char *)cases[i][0], strlen(cases[i][0]));
        fclose(f);
        assert_string_equal(out, cases[i][1]);
        free(out);
    }
}

static void test_html_spread__has_the_decimals_of_its_deviation(void **state)
{
    (void)state;
    char text[64];
    assert_string_equal(html_spread(0.93941, 0.00123, 100, 4, text), "93.94 ± 0.12");
    assert_string_equal(html_spread(1638.2, 176.4, 1, 3, text), "1638 ± 176");
    assert_string_equal(html_spread(0.5, (double)NAN, 100, 4, text), "50.00");
    assert_string_equal(html_spread((double)NAN, (double)NAN, 1, 4, text), "—");
    assert_string_equal(html_spread(2, 0, 1, 4, text), "2.000 ± 0.000");
    assert_string_equal(html_spread(2, 1e-16, 1, 4, text), "2.000 ± 0.000");
    assert_string_equal(html_spread(0.1, 1.7e-17, 100, 4, text), "10.00 ± 0.00");
    assert_string_equal(html_spread(0.1, 0.00001, 100, 4, text), "10.00 ± 0.00");
    assert_string_equal(html_spread(2.30109, 0.00077, 1, 4, text), "2.30109 ± 0.00077");
}

static void test_decimate__keeps_the_spike_and_the_order(void **state)
{
    (void)state;
    enum { N = 10000 };
    static double y[N];
    static size_t keep[N];
    for (int i = 0; i < N; i++)
        y[i] = sin(i * 0.01);
    y[4321] = 50;
    y[8000] = (double)NAN;
    size_t n = series_decimate(y, N, 100, keep);
    assert_true(n > 50 && n <= 100);
    int found = 0;
    for (size_t i = 0; i < n; i++) {
        found += keep[i] == 4321;
        assert_int_not_equal(keep[i], 8000);
        assert_true(i == 0 || keep[i] > keep[i - 1]);
    }
    assert_int_equal(found, 1);
    assert_int_equal(series_decimate(y, 90, 100, keep), 90);
    assert_int_equal(series_decimate(y, 0, 100, keep), 0);
}

static void test_windows__average_stretches(void **state)
{
    (void)state;
    const double x[] = {0.5, 1, 1.5, 2, 3.5, 4}, y[] = {1, 3, 5, 7, (double)NAN, 9};
    double m[4];
    series_windows(x, y, 6, 0, 4, 4, m);
    assert_true(m[0] == 1);
    assert_true(m[1] == 4);  /* 3 and 5: a stretch begins with its start */
    assert_true(m[2] == 7);
    assert_true(m[3] == 9);  /* the NaN is left out, the end is in */
}

static void put(const char *text)
{
    scratch_write(&scratch, "metrics.jsonl", text, strlen(text));
}

static void test_series_read__follows_a_file_that_grows_and_is_cut_back(void **state)
{
    (void)state;
    struct series_set s = {0};
    struct err e;
    const char *path = scratch_path(&scratch, "metrics.jsonl");
    assert_int_equal(series_read(&s, path, &e), 0); /* not there yet */
    put("{\"kind\":\"train\",\"step\":1,\"epoch\":0.5,\"train/loss\":2}\n{\"kind\":\"train\",\"st");
    assert_int_equal(series_read(&s, path, &e), 0);
    assert_int_equal(series_find(&s, "train/loss")->count, 1);
    put("{\"kind\":\"train\",\"step\":1,\"epoch\":0.5,\"train/loss\":2}\n"
        "{\"kind\":\"train\",\"step\":2,\"epoch\":1,\"train/loss\":null,"
        "\"nonfinite\":{\"train/loss\":\"nan\"}}\n");
    assert_int_equal(series_read(&s, path, &e), 0);
    const struct series *loss = series_find(&s, "train/loss");
    assert_int_equal(loss->count, 2);
    assert_true(loss->value[0] == 2 && isnan(loss->value[1]) && loss->epoch[1] == 1);
    put("{\"kind\":\"train\",\"step\":1,\"epoch\":0.5,\"train/loss\":7}\n");
    assert_int_equal(series_read(&s, path, &e), 0);
    assert_int_equal(series_find(&s, "train/loss")->count, 1);
    assert_true(series_find(&s, "train/loss")->value[0] == 7);
    put("{\"kind\":\"train\",\"step\":1,\"epoch\":0.5,\"train/loss\":7}\nrubbish\n");
    assert_int_equal(series_read(&s, path, &e), -1);
    assert_int_equal(e.code, EXIT_DATA);
    series_release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_html_text__escapes_what_means_something),
        cmocka_unit_test(test_html_text__replaces_what_is_not_utf8),
        cmocka_unit_test(test_chart_add__takes_half_a_letter),
        cmocka_unit_test(test_html_json__cannot_end_its_script),
        cmocka_unit_test(test_html_base64__matches_the_rfc),
        cmocka_unit_test(test_html_spread__has_the_decimals_of_its_deviation),
        cmocka_unit_test(test_decimate__keeps_the_spike_and_the_order),
        cmocka_unit_test(test_windows__average_stretches),
        cmocka_unit_test(test_series_read__follows_a_file_that_grows_and_is_cut_back),
    };
    return cmocka_run_group_tests(tests, scratch_group_start, scratch_group_end);
}
