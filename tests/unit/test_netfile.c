/* test_netfile.c - the grammar of .net files: what a line means, and where each error is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nn/graph.h"
#include "nn/netfile.h"

/* Lines that make the end of a good network. */
#define TAIL "\npool maxpool global\nlinear linear classes\n"

static int parse_at(struct graph *g, struct arena *a, const char *text, double width,
                    struct err *e)
{
    const struct graph_options o = {.input = {3, 8, 8}, .classes = 10, .width = width};
    arena_init(a);
    e->text[0] = '\0';
    return graph_parse(g, a, "x.net", text, &o, e);
}

static void parse(struct graph *g, struct arena *a, const char *text)
{
    struct err e;
    if (parse_at(g, a, text, 1, &e))
        fail_msg("%s", e.text);
}

static void expect_shape(const struct graph *g, int node, int c, int h, int w)
{
    const struct shape *s = &g->nodes[node].out;
    if (s->c != c || s->h != h || s->w != w)
        fail_msg("%s is %dx%dx%d, not %dx%dx%d", g->nodes[node].name, s->c, s->h, s->w, c, h, w);
}

static void test_netfile__splits_lines_into_words_with_positions(void **state)
{
    (void)state;
    struct arena a;
    struct netfile f;
    struct err e;
    arena_init(&a);
    static const char text[] = "# head\n\n  one\ttwo=2# talk \xc3\xa9\r\n\nlast";
    assert_int_equal(netfile_read(&f, &a, "x.net", text, &e), 0);
    assert_int_equal(f.count, 2);
    assert_int_equal(f.lines[0].number, 3);
    assert_int_equal(f.lines[0].count, 2);
    assert_string_equal(f.lines[0].words[0].text, "one");
    assert_int_equal(f.lines[0].words[0].column, 3);
    assert_string_equal(f.lines[0].words[1].text, "two=2");
    assert_int_equal(f.lines[0].words[1].column, 7);
    assert_int_equal(f.lines[1].number, 5);
    assert_string_equal(f.lines[1].words[0].text, "last");
    arena_release(&a);
}

static void test_graph__infers_shapes(void **state)
{
    (void)state;
    struct graph g;
    struct arena a;
    parse(&g, &a,
          "a conv 3x3 16 pad=1\n"       /* 1 */
          "b conv 3x3 24 stride=2\n"    /* 2: (8-3)/2+1 = 3 */
          "c conv 2x2 16 pad=1 from=a\n" /* 3: 9 */
          "d conv 1x1 16 stride=3 from=c\n" /* 4: 3 */
          "e concat b d\n"              /* 5: 40 channels */
          "f maxpool 2 from=c\n"        /* 6: 4 */
          "g avgpool 3 2 from=f\n"      /* 7: 1 */
          "h maxpool global from=e\n"   /* 8: 1 */
          "i concat g h\n"              /* 9 */
          "j linear 7 bias=no\n"        /* 10 */
          "k linear classes\n"          /* 11 */
          "l scale 1/9\n");
    expect_shape(&g, 0, 3, 8, 8);
    expect_shape(&g, 1, 16, 8, 8);
    expect_shape(&g, 2, 24, 3, 3);
    expect_shape(&g, 3, 16, 9, 9);
    expect_shape(&g, 4, 16, 3, 3);
    expect_shape(&g, 5, 40, 3, 3);
    expect_shape(&g, 6, 16, 4, 4);
    expect_shape(&g, 7, 16, 1, 1);
    expect_shape(&g, 8, 40, 1, 1);
    expect_shape(&g, 9, 56, 1, 1);
    expect_shape(&g, 11, 10, 1, 1);
    assert_int_equal(g.node_count, 13);
    assert_int_equal(g.nodes[5].inputs[1], 4);
    assert_int_equal(g.nodes[12].inputs[0], 11); /* by default the line above */
    assert_int_equal(g.nodes[12].line, 12);
    arena_release(&a);
}

static const struct tensor *tensor(const struct graph *g, const char *name)
{
    int t = graph_find_tensor(g, name);
    if (t < 0)
        fail_msg("no tensor '%s'", name);
    return &g->tensors[t];
}

static void test_graph__reads_every_attribute(void **state)
{
    (void)state;
    struct graph g;
    struct arena a;
    parse(&g, &a,
          "w conv 2x2 2crs bias=yes bias_init=zeros init=whiten whiten_eps=1e-2 whiten_images=7\n"
          "a conv 3x3 16 bias=yes frozen=yes init=he_normal bias_init=constant:0.5\n"
          "b conv kernel=1x1 channels=16 init=normal:0.02\n"
          "n batchnorm scale=fixed bias=fixed init=uniform:2 bias_init=normal:0.1\n"
          "m batchnorm eps=1e-3 momentum=0.4 ghost=32 statistics=frozen\n"
          "o batchnorm groups=4\n"
          "c celu alpha=0.3\n"
          "p maxpool window=2 stride=1\n"
          "l linear classes init=zeros bias_init=ones\n");
    assert_int_equal(tensor(&g, "w.weight")->init.kind, INIT_WHITEN);
    assert_int_equal(tensor(&g, "w.weight")->dims[0], 24);
    assert_true(tensor(&g, "w.weight")->init.eps == 1e-2);
    assert_int_equal(tensor(&g, "w.weight")->init.images, 7);
    assert_true(tensor(&g, "w.weight")->frozen);
    assert_int_equal(tensor(&g, "w.weight")->role, ROLE_WHITEN);
    assert_int_equal(tensor(&g, "w.bias")->role, ROLE_WHITEN);
    assert_false(tensor(&g, "w.bias")->frozen);
    assert_true(tensor(&g, "a.weight")->frozen && tensor(&g, "a.bias")->frozen);
    assert_int_equal(tensor(&g, "a.weight")->role, ROLE_WEIGHT);
    assert_int_equal(tensor(&g, "a.bias")->role, ROLE_BIAS);
    assert_int_equal(tensor(&g, "a.weight")->init.fan_in, 24 * 9);
    assert_int_equal(tensor(&g, "a.bias")->init.fan_in, 24 * 9);
    assert_true(tensor(&g, "a.bias")->init.value == 0.5);
    assert_int_equal(tensor(&g, "b.weight")->init.kind, INIT_NORMAL);
    assert_true(tensor(&g, "b.weight")->init.value == 0.02);
    assert_true(tensor(&g, "n.weight")->frozen && tensor(&g, "n.bias")->frozen);
    assert_int_equal(tensor(&g, "n.weight")->init.kind, INIT_UNIFORM);
    assert_false(tensor(&g, "m.weight")->frozen || tensor(&g, "m.bias")->frozen);
    assert_true(tensor(&g, "m.weight")->init.value == 1);
    assert_true(tensor(&g, "m.running_var")->is_state);
    assert_int_equal(tensor(&g, "l.weight")->role, ROLE_HEAD);
    assert_int_equal(tensor(&g, "l.bias")->role, ROLE_HEAD);
    assert_int_equal(tensor(&g, "l.weight")->dims[1], 16 * 4 * 4);
    arena_release(&a);
}

/* Every error, with the position that it must name and a part of its cause. */
static const struct {
    const char *text, *where, *cause;
} errors[] = {
    {"", "1:1", "no layers"},
    {"# nothing\n", "1:1", "no layers"},
    {"a", "1:2", "needs a layer type"},
    {"a cnv 3x3 8" TAIL, "1:3", "unknown layer type 'cnv'; did you mean 'conv'?"},
    {"a whatever" TAIL, "1:3", "unknown layer type 'whatever'"},
    {"\n\na  conv 3x3 8 strid=2" TAIL, "3:15", "unknown attribute 'strid' of conv; did you mean "
                                               "'stride'?"},
    {"a conv 3x3 8 colour=2" TAIL, "1:14", "unknown attribute 'colour' of conv"},
    {"a conv 3x3 8 9" TAIL, "1:14", "unexpected '9'"},
    {"a relu 9" TAIL, "1:8", "unexpected '9'"},
    {"a conv" TAIL, "1:3", "conv needs its kernel"},
    {"a conv 3x3" TAIL, "1:3", "conv needs its channels"},
    {"a conv 3 8" TAIL, "1:8", "kernel wants a size such as 3x3, not '3'"},
    {"a conv 3x 8" TAIL, "1:8", "kernel wants a size"},
    {"a conv 3x3x3 8" TAIL, "1:8", "kernel wants a size"},
    {"a conv 8x8 8" TAIL, "1:8", "kernel must be from 1 to 7"},
    {"a conv 0x3 8" TAIL, "1:8", "kernel must be from 1 to 7"},
    {"a conv 3x3 w" TAIL, "1:12", "channels wants a count"},
    {"a conv 3x3 0" TAIL, "1:12", "channels must be from 1"},
    {"a conv 3x3 70000" TAIL, "1:12", "channels must be from 1 to 65536"},
    {"a conv 3x3 99999999999999999999" TAIL, "1:12", "channels wants a count"},
    {"a conv 3x3 -8" TAIL, "1:12", "channels wants a count"},
    {"a conv 3x3 8 stride=0" TAIL, "1:14", "stride must be from 1 to 16, not '0'"},
    {"a conv 3x3 8 stride=two" TAIL, "1:14", "stride wants a whole number, not 'two'"},
    {"a conv 3x3 8 stride=" TAIL, "1:14", "stride wants a whole number, not ''"},
    {"a conv 3x3 8 stride=2 stride=2" TAIL, "1:23", "stride is given twice"},
    {"a conv 3x3 8 kernel=3x3" TAIL, "1:14", "kernel is given twice"},
    {"a conv 3x3 8 bias=maybe" TAIL, "1:14", "bias wants yes or no, not 'maybe'"},
    {"a conv 3x3 8 init=xavier" TAIL, "1:14", "init is one of default, he_normal"},
    {"a conv 3x3 8 init=normal" TAIL, "1:14", "init is one of"},
    {"a conv 3x3 8 init=normal:x" TAIL, "1:14", "init is one of"},
    {"a conv 3x3 8 init=dirac:1" TAIL, "1:14", "init is one of"},
    {"a conv 3x3 8 bias=yes bias_init=dirac" TAIL, "1:23", "a bias has no such first values"},
    {"a conv 3x3 8 pad=3" TAIL, "1:14", "padding 3 is as wide as the kernel"},
    {"a maxpool 4\nb conv 5x5 8 pad=1" TAIL, "2:8", "a 5x5 kernel does not fit into the 2x2 map"},
    {"a conv 2x2 20 init=whiten" TAIL, "1:12", "whitening needs 12 or 24 channels"},
    {"a conv 1x1 8\nb conv 2x2 crs init=whiten" TAIL, "2:16", "only a layer that reads the image"},
    {"a batchnorm eps=-1" TAIL, "1:13", "eps must be from 0 to 1"},
    {"a batchnorm eps=nan" TAIL, "1:13", "eps wants a number"},
    {"a batchnorm scale=free" TAIL, "1:13", "scale is one of train|fixed, not 'free'"},
    {"a batchnorm groups=2 ghost=32" TAIL, "1:22", "either ghost or groups"},
    {"a batchnorm init=dirac" TAIL, "1:13", "a batch norm has no such first values"},
    {"a batchnorm bias_init=he_normal" TAIL, "1:13", "a batch norm has no such first values"},
    {"a celu alpha=0" TAIL, "1:8", "alpha must be from"},
    {"a maxpool 9" TAIL, "1:11", "a window of 9 does not fit into the 8x8 map"},
    {"a maxpool half" TAIL, "1:11", "window wants a whole number or 'global', not 'half'"},
    {"a maxpool global 2" TAIL, "1:18", "global pooling has no stride"},
    {"a scale 1/0\n" TAIL, "1:9", "factor wants a number, not '1/0'"},
    {"a scale 1/x\n" TAIL, "1:9", "factor wants a number"},
    {"a add input nosuch" TAIL, "1:13", "no line above is called 'nosuch'"},
    {"conv1 conv 1x1 8\nb relu\na add b cnv1" TAIL, "3:9", "did you mean 'conv1'?"},
    {"a add input" TAIL, "1:3", "add needs at least two inputs"},
    {"a add input input input" TAIL, "1:19", "too many inputs for add"},
    {"a relu from=input,input" TAIL, "1:19", "too many inputs for relu"},
    {"a relu from=b\nb relu" TAIL, "1:13", "no line above is called 'b'"},
    {"a relu from=a" TAIL, "1:13", "no line above is called 'a'"},
    {"a relu from=" TAIL, "1:13", "no line above is called ''"},
    {"a relu from=input from=input" TAIL, "1:19", "has its inputs already"},
    {"a conv 1x1 8\nb add input a" TAIL, "2:3", "cannot add 'input' (3x8x8) and 'a' (8x8x8)"},
    {"a maxpool 2\nb concat input a" TAIL, "2:3", "cannot join 'a' (4x4) to maps of 8x8"},
    {"a relu\na relu" TAIL, "2:1", "the name 'a' is taken by line 1"},
    {"input relu" TAIL, "1:1", "belongs to the image"},
    {"a-b relu" TAIL, "1:2", "'a-b' is no name"},
    {"a relu\nb relu from=input" TAIL, "1:1", "no layer reads 'a'"},
    {"a conv 1x1 10\nb maxpool global\n", "2:1", "no linear layer"},
    {"a linear 12\n", "1:1", "the last layer gives 12x1x1 numbers for 10 classes"},
    {"a maxpool global\nb linear classes\nc linear 3\n", "3:1", "3x1x1 numbers for 10 classes"},
    {"a linear crs\n", "1:10", "only a convolution can have crs channels"},
    {"a linear classes init=dirac\n", "1:18", "a linear layer has no such first values"},
    {"a linear classes bias_init=whiten\n", "1:18", "a bias has no such first values"},
    {"a conv 3x3 60000\nb concat a a" TAIL, "2:3", "120000 channels are more than 65536"},
    {"a conv 3x3 60000 pad=2\nb conv 7x7 60000 pad=6\nc conv 7x7 60000 pad=6\n"
     "d conv 7x7 60000 pad=6\ne conv 7x7 60000 pad=6\nf conv 7x7 60000 pad=6\n"
     "g conv 7x7 60000 pad=6\nh conv 7x7 60000 pad=6" TAIL, "8:3",
     "a map of 60000x52x52 numbers is too large"},
    {"a conv 7x7 1 pad=6\nb conv 7x7 1 pad=6\nc conv 7x7 1 pad=6\nd conv 7x7 1 pad=6\n"
     "e conv 7x7 1 pad=6\nf conv 7x7 1 pad=6\ng conv 7x7 1 pad=6\nh conv 7x7 1 pad=6\n"
     "i conv 7x7 1 pad=6\nj conv 7x7 1 pad=6\nl linear classes\n", "11:3",
     "reads maps of at most 64x64, not 68x68"},
    {"a re\xc3\xa9lu" TAIL, "1:5", "unexpected byte 0xc3"},
    {"a\x01 relu" TAIL, "1:2", "unexpected byte 0x01"},
};

static void test_graph__errors_name_their_place_and_cause(void **state)
{
    (void)state;
    int failures = 0;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        struct graph g;
        struct arena a;
        struct err e;
        char place[32];
        snprintf(place, sizeof place, "x.net:%s: ", errors[i].where);
        int rc = parse_at(&g, &a, errors[i].text, 1, &e);
        if (rc == 0 || e.code != EXIT_USAGE || strncmp(e.text, place, strlen(place)) != 0 ||
            !strstr(e.text, errors[i].cause)) {
            print_error("\"%s\": expected \"%s%s\", got \"%s\"\n", errors[i].text, place,
                        errors[i].cause, e.text);
            failures++;
        }
        arena_release(&a);
    }
    assert_int_equal(failures, 0);
}

static void test_graph__width_leaves_fixed_counts_alone(void **state)
{
    (void)state;
    struct graph g;
    struct arena a;
    struct err e;
    assert_int_equal(parse_at(&g, &a, "a conv 1x1 20\nb conv 1x1 20w" TAIL, 0.5, &e), 0);
    expect_shape(&g, 1, 20, 8, 8);
    expect_shape(&g, 2, 8, 8, 8);
    arena_release(&a);
    assert_int_equal(parse_at(&g, &a, "a conv 1x1 20\nb conv 1x1 20w" TAIL, 1, &e), 0);
    expect_shape(&g, 2, 20, 8, 8);
    arena_release(&a);
    assert_int_equal(parse_at(&g, &a, "b conv 1x1 60000w" TAIL, 8, &e), -1);
    arena_release(&a);
}

/* Whatever is cut off or changed in a good file, the answer is a graph or a sentence. */
static void test_graph__survives_damaged_files(void **state)
{
    (void)state;
    static const char good[] = "a conv 3x3 8w pad=1 bias=yes init=normal:0.1\nb batchnorm ghost=4\n"
                               "c add a b\nd maxpool global\ne linear classes\nf scale 1/9\n";
    for (size_t i = 0; i < sizeof good - 1; i++)
        for (int byte = -1; byte < 128; byte += 7) {
            char text[sizeof good];
            memcpy(text, good, sizeof good);
            text[i] = byte < 0 ? '\0' : (char)byte;
            struct graph g;
            struct arena a;
            struct err e;
            if (parse_at(&g, &a, text, 1, &e))
                assert_true(strncmp(e.text, "x.net:", 6) == 0);
            else
                assert_true(g.node_count > 1);
            arena_release(&a);
        }
}

static void test_graph__knows_scale_invariant_weights(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool invariant;
    } expected[] = {
        {"plain.weight", true},     {"plain.bias", false}, {"pooled.weight", true},
        {"two.weight", true},       {"bare.weight", false}, {"also.weight", false},
        {"running.weight", false},  {"still.weight", false}, {"norm1.weight", false},
        {"linear.weight", false},
    };
    struct graph g;
    struct arena a;
    parse(&g, &a,
          "plain conv 3x3 8 pad=1 bias=yes\nnorm1 batchnorm\n"
          "pooled conv 3x3 8 pad=1\np maxpool 2\nq avgpool 2\nnorm2 batchnorm\n"
          "two conv 3x3 8 pad=1\nnorm3 batchnorm from=two\nnorm4 batchnorm ghost=4 from=two\n"
          "sum add norm3 norm4\n"
          "bare conv 3x3 8 pad=1\nr relu\nnorm5 batchnorm\n"
          "also conv 3x3 8 pad=1\nnorm6 batchnorm from=also\nsum2 add also norm6\n"
          "running conv 3x3 8 pad=1\nnorm7 batchnorm statistics=frozen\n"
          "still conv 3x3 8 pad=1 frozen=yes\nnorm8 batchnorm" TAIL);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        int t = graph_find_tensor(&g, expected[i].name);
        if (t < 0 || g.tensors[t].scale_invariant != expected[i].invariant)
            fail_msg("'%s'", expected[i].name);
    }
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_netfile__splits_lines_into_words_with_positions),
        cmocka_unit_test(test_graph__infers_shapes),
        cmocka_unit_test(test_graph__reads_every_attribute),
        cmocka_unit_test(test_graph__errors_name_their_place_and_cause),
        cmocka_unit_test(test_graph__width_leaves_fixed_counts_alone),
        cmocka_unit_test(test_graph__survives_damaged_files),
        cmocka_unit_test(test_graph__knows_scale_invariant_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
