/* test_options.c - the option table: parsing, ranges, hints, files, and the way there and back. */
#define _GNU_SOURCE /* mkstemp, open_memstream */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/options.h"
#include "base/rng.h"

struct sample {
    int batch, shape;
    uint64_t seed;
    double lr;
    bool nesterov;
    char net[OPTION_TEXT_SIZE];
};

static int check_net(const char *value, struct err *e)
{
    return strcmp(value, "bad") ? 0 : err_set(e, EXIT_USAGE, "no network called 'bad'");
}

#define AT(member) offsetof(struct sample, member)
static const struct option_def table[] = {
    {"net", OPTION_TEXT, AT(net), "resnet9", 0, 0, NULL, NULL, "model", "network", check_net},
    {"batch", OPTION_INT, AT(batch), "512", 1, 65536, NULL, "images", "training", "size", NULL},
    {"lr", OPTION_REAL, AT(lr), "0.1", 0, 1e6, NULL, NULL, "training", "learning rate", NULL},
    {"nesterov", OPTION_FLAG, AT(nesterov), "yes", 0, 0, NULL, NULL, "training", "look", NULL},
    {"schedule", OPTION_CHOICE, AT(shape), "cosine", 0, 0, "constant|linear|cosine", NULL,
     "training", "shape", NULL},
    {"seed", OPTION_SEED, AT(seed), "1", 0, 18446744073709551615.0, NULL, NULL, "run",
     "seed", NULL},
    {0},
};

static void assert_fails(struct sample *s, const char *key, const char *value, const char *sentence)
{
    struct sample before = *s;
    struct err e = {0};
    assert_int_equal(options_set(table, s, key, value, "--set", &e), -1);
    assert_int_equal(e.code, EXIT_USAGE);
    assert_string_equal(e.text, sentence);
    assert_memory_equal(s, &before, sizeof before);
}

static void test_options_set__fills_every_type(void **state)
{
    (void)state;
    struct sample s;
    memset(&s, 0, sizeof s);
    options_default(table, &s);
    assert_string_equal(s.net, "resnet9");
    assert_int_equal(s.batch, 512);
    assert_true(s.lr == 0.1 && s.nesterov && s.shape == 2 && s.seed == 1);
    struct err e;
    assert_int_equal(options_set(table, &s, "batch", "64", "--set", &e), 0);
    assert_int_equal(options_set(table, &s, "lr", "25%", "--set", &e), 0);
    assert_true(s.lr == 0.25);
    assert_int_equal(options_set(table, &s, "lr", "4e-1", "--set", &e), 0);
    assert_int_equal(options_set(table, &s, "nesterov", "off", "--set", &e), 0);
    assert_int_equal(options_set(table, &s, "schedule", "linear", "--set", &e), 0);
    assert_int_equal(options_set(table, &s, "seed", "18446744073709551615", "--set", &e), 0);
    assert_int_equal(s.batch, 64);
    assert_true(s.lr == 0.4 && !s.nesterov && s.shape == 1 && s.seed == UINT64_MAX);
}

static void test_options_set__refuses_with_one_sentence(void **state)
{
    (void)state;
    struct sample s;
    memset(&s, 0, sizeof s);
    options_default(table, &s);
    assert_fails(&s, "bacth", "1", "--set: unknown key 'bacth'; did you mean 'batch'?");
    assert_fails(&s, "qqqqqqqq", "1", "--set: unknown key 'qqqqqqqq'");
    assert_fails(&s, "batch", "0", "--set: batch is 0, but must be from 1 to 65536 images");
    assert_fails(&s, "batch", "12x", "--set: batch is '12x', but must be an integer");
    assert_fails(&s, "batch", "", "--set: batch is '', but must be an integer");
    assert_fails(&s, "lr", "nan", "--set: lr is 'nan', but must be a number");
    assert_fails(&s, "lr", "%", "--set: lr is '%', but must be a number");
    assert_fails(&s, "lr", "-1", "--set: lr is -1, but must be from 0 to 1000000");
    assert_fails(&s, "seed", "-1", "--set: seed is '-1', but must be an integer from 0 to 2^64-1");
    assert_fails(&s, "nesterov", "perhaps",
                 "--set: nesterov is 'perhaps', but must be yes or no");
    assert_fails(&s, "schedule", "lin",
                 "--set: schedule is 'lin', but must be one of constant|linear|cosine");
    assert_fails(&s, "net", "bad", "--set: net: no network called 'bad'");
    assert_fails(&s, "net", "a ;b", "--set: net: ' ;' would begin a comment in a recipe");
}

static int read_text(struct sample *s, const char *text, struct err *e)
{
    char path[] = "/tmp/kiln-options-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(file_put(fd, text, strlen(text)), 0);
    close(fd);
    int rc = options_read_ini(table, s, path, e);
    unlink(path);
    char *at = strstr(e->text, path);
    if (at) /* the name is random: keep what follows it */
        memmove(e->text, at + strlen(path), strlen(at + strlen(path)) + 1);
    return rc;
}

static void assert_ini_fails(const char *text, const char *sentence)
{
    struct sample s;
    struct err e = {0};
    options_default(table, &s);
    assert_int_equal(read_text(&s, text, &e), -1);
    assert_int_equal(e.code, EXIT_USAGE);
    assert_string_equal(e.text, sentence);
}

static void test_options_read_ini__says_the_line(void **state)
{
    (void)state;
    assert_ini_fails("[training]\n\n; note\nlerning = 3\n", ":4: unknown key 'lerning'");
    assert_ini_fails("lr = 1\nbatch = 0\n",
                     ":2: batch is 0, but must be from 1 to 65536 images");
    assert_ini_fails("batch = 4\njust words\n", ":2: neither 'key = value' nor a [heading]");
    assert_ini_fails("batch = 4\nlr = 1\nbatch = 5\n", ":3: batch is given twice");
    assert_ini_fails("batch = 4\n  8\n", ":2: batch is given twice");
    char text[1000] = "lr = 1\nnet = ";
    size_t n = strlen(text);
    memset(text + n, 'x', 300);
    assert_ini_fails(text, ":2: the line is longer than 190 characters");
}

static void test_options_read_ini__takes_comments_and_headings(void **state)
{
    (void)state;
    struct sample s;
    struct err e = {0};
    options_default(table, &s);
    assert_int_equal(read_text(&s, "# a\n[x]\nbatch = 7 ; seven\r\nnet=a/b.net", &e), 0);
    assert_int_equal(s.batch, 7);
    assert_string_equal(s.net, "a/b.net");
    assert_int_equal(options_read_ini(table, &s, "/nowhere/a.ini", &e), -1);
    assert_string_equal(e.text, "cannot open '/nowhere/a.ini': no such file or directory");
}

static void test_options_print_ini__reads_back_to_the_bit(void **state)
{
    (void)state;
    struct rng r = rng_at(3, RNG_TEST, 0, 0);
    for (int i = 0; i < 300; i++) {
        struct sample s, again;
        memset(&s, 0, sizeof s);
        memset(&again, 0xff, sizeof again);
        snprintf(s.net, sizeof s.net, "nets/%u = x.net", rng_u32(&r));
        s.batch = 1 + (int)rng_below(&r, 65536);
        s.seed = (uint64_t)rng_u32(&r) << 32 | rng_u32(&r);
        s.lr = (double)rng_u32(&r) / (1.0 + rng_u32(&r));
        s.nesterov = rng_below(&r, 2);
        s.shape = (int)rng_below(&r, 3);
        char *text = NULL;
        size_t bytes = 0;
        FILE *f = open_memstream(&text, &bytes);
        options_print_ini(table, &s, f);
        fclose(f);
        struct err e = {0};
        assert_int_equal(read_text(&again, text, &e), 0);
        free(text);
        assert_memory_equal(&again.lr, &s.lr, sizeof s.lr);
        assert_true(again.seed == s.seed && again.batch == s.batch);
        assert_true(again.nesterov == s.nesterov && again.shape == s.shape);
        assert_string_equal(again.net, s.net);
    }
}

static void test_options_read_environment__knows_every_key(void **state)
{
    (void)state;
    struct sample s;
    struct err e = {0};
    options_default(table, &s);
    setenv("KILN_LR", "0.25", 1);
    assert_int_equal(options_read_environment(table, &s, NULL, &e), 0);
    assert_true(s.lr == 0.25);
    setenv("KILN_LR", "fast", 1);
    assert_int_equal(options_read_environment(table, &s, NULL, &e), -1);
    assert_string_equal(e.text, "KILN_LR: lr is 'fast', but must be a number");
    static const char *const except[] = {"lr", NULL};
    assert_int_equal(options_read_environment(table, &s, except, &e), 0);
    unsetenv("KILN_LR");
}

static void test_nearest_name__allows_a_third_of_the_letters(void **state)
{
    (void)state;
    static const char *const names[] = {"train", "resume", "eval", "weight_decay", NULL};
    assert_string_equal(nearest_name("trian", names), "train");
    assert_null(nearest_name("taiin", names)); /* two edits in five letters */
    assert_string_equal(nearest_name("trai", names), "train");
    assert_string_equal(nearest_name("weigth_decay", names), "weight_decay");
    assert_null(nearest_name("x", names));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_set__fills_every_type),
        cmocka_unit_test(test_options_set__refuses_with_one_sentence),
        cmocka_unit_test(test_options_read_ini__says_the_line),
        cmocka_unit_test(test_options_read_ini__takes_comments_and_headings),
        cmocka_unit_test(test_options_print_ini__reads_back_to_the_bit),
        cmocka_unit_test(test_options_read_environment__knows_every_key),
        cmocka_unit_test(test_nearest_name__allows_a_third_of_the_letters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
