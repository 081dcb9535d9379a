/* test_zoo.c - the networks that come with kiln have the published sizes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nn/graph.h"

static void load(struct graph *g, struct arena *a, const char *name, double width)
{
    const struct graph_options o = {.input = {3, 32, 32}, .classes = 10, .width = width};
    struct err e;
    arena_init(a);
    if (graph_load(g, a, name, &o, &e))
        fail_msg("%s", e.text);
}

/* Parameters as torch counts them; multiply-adds in millions as the papers and repositories give
 * them (to the last digit given). Sources: the heads of the .net files. */
static void test_zoo__has_the_published_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double parameters, parameters_unit; /* in units of the digit that is published */
        double macs, macs_unit;
    } published[] = {
        {"dawn", 5.206e6, 1e3, 460.0e6, 1e5},
        {"resnet9", 6573120, 1, 379.3e6, 1e5},
        {"airbench94", 1.97e6, 1e4, 118.15e6, 1e4},
        {"airbench95", 0, 1e9, 301.6e6, 1e5},
        {"airbench96", 9.9e6, 1e5, 451.97e6, 1e4},
        {"resnet18", 11173962, 1, 555.4e6, 1e5},
        {"resnet20", 272474, 1, 0, 1e9},
        {"unbranched", 4.655e6, 1e3, 341.5e6, 1e5},
    };
    for (size_t i = 0; i < sizeof published / sizeof published[0]; i++) {
        struct graph g;
        struct arena a;
        load(&g, &a, published[i].name, 1);
        assert_true(fabs((double)graph_parameters(&g) - published[i].parameters) <=
                    published[i].parameters_unit / 2);
        assert_true(fabs(graph_macs(&g) - published[i].macs) <= published[i].macs_unit / 2);
        assert_string_equal(g.name, published[i].name);
        arena_release(&a);
    }
}

/* airbench94 in training: 340.6 M, no gradient of the image side of the first 3x3 convolution. */
static void test_zoo__airbench94_training_cost_leaves_out_the_whitening(void **state)
{
    (void)state;
    struct graph g;
    struct arena a;
    load(&g, &a, "airbench94", 1);
    assert_true(fabs(graph_training_macs(&g) - 340.6e6) < 0.05e6);
    arena_release(&a);
}

/* Convolution by convolution, in millions, worked out by hand from the shapes in the script. */
static void test_zoo__airbench96_costs_what_it_should_layer_by_layer(void **state)
{
    (void)state;
    static const double macs[] = {.277, 26.57, 33.18, 33.18, 99.53, 65.03, 65.03,
                                  86.70, 21.23, 21.23};
    struct graph g;
    struct arena a;
    load(&g, &a, "airbench96", 1);
    size_t seen = 0;
    for (int i = 0; i < g.node_count && seen < sizeof macs / sizeof macs[0]; i++)
        if (node_macs(&g, i) > 0)
            assert_true(fabs(node_macs(&g, i) * 1e-6 - macs[seen++]) < 0.006);
    assert_int_equal(seen, sizeof macs / sizeof macs[0]);
    arena_release(&a);
}

static void test_zoo__names_and_shapes_are_those_of_the_state_dictionary(void **state)
{
    (void)state;
    struct graph g;
    struct arena a;
    load(&g, &a, "airbench94", 1);
    static const struct {
        const char *name;
        int ndim, dims[4];
        enum role role;
        int frozen, is_state;
    } tensors[] = {
        {"whiten.weight", 4, {24, 3, 2, 2}, ROLE_WHITEN, 1, 0},
        {"whiten.bias", 1, {24, 1, 1, 1}, ROLE_WHITEN, 0, 0},
        {"layers.1.conv1.weight", 4, {64, 24, 3, 3}, ROLE_WEIGHT, 0, 0},
        {"layers.1.norm1.weight", 1, {64, 1, 1, 1}, ROLE_NORM_SCALE, 1, 0},
        {"layers.1.norm1.bias", 1, {64, 1, 1, 1}, ROLE_NORM_BIAS, 0, 0},
        {"layers.1.norm1.running_mean", 1, {64, 1, 1, 1}, ROLE_NORM_SCALE, 0, 1},
        {"layers.1.norm1.running_var", 1, {64, 1, 1, 1}, ROLE_NORM_SCALE, 0, 1},
        {"layers.1.conv2.weight", 4, {64, 64, 3, 3}, ROLE_WEIGHT, 0, 0},
    };
    for (int i = 0; i < (int)(sizeof tensors / sizeof tensors[0]); i++) {
        const struct tensor *t = &g.tensors[i];
        assert_string_equal(t->name, tensors[i].name);
        assert_int_equal(t->ndim, tensors[i].ndim);
        assert_memory_equal(t->dims, tensors[i].dims, sizeof t->dims);
        assert_int_equal(t->frozen, tensors[i].frozen);
        assert_int_equal(t->is_state, tensors[i].is_state);
        if (!t->is_state)
            assert_int_equal(t->role, tensors[i].role);
        assert_int_equal(t->offset % 16, 0);
        assert_int_equal(graph_find_tensor(&g, t->name), i);
    }
    int head = graph_find_tensor(&g, "head.weight");
    assert_int_equal(head, g.tensor_count - 1);
    assert_int_equal(g.tensors[head].role, ROLE_HEAD);
    assert_int_equal(g.tensors[head].ndim, 2);
    assert_int_equal(g.tensors[head].dims[1], 256);
    arena_release(&a);
}

static void test_zoo__tensors_do_not_overlap(void **state)
{
    (void)state;
    struct graph g;
    struct arena a;
    load(&g, &a, "resnet18", 1);
    for (int i = 0; i < g.tensor_count; i++)
        for (int j = 0; j < i; j++) {
            const struct tensor *x = &g.tensors[i], *y = &g.tensors[j];
            if (x->is_state == y->is_state)
                assert_true(x->offset >= y->offset + y->count || y->offset >= x->offset + x->count);
        }
    for (int i = 0; i < g.tensor_count; i++)
        assert_true(g.tensors[i].offset + g.tensors[i].count <=
                    (g.tensors[i].is_state ? g.state_count : g.params_count));
    arena_release(&a);
}

static void test_zoo__width_scales_to_multiples_of_8(void **state)
{
    (void)state;
    static const struct {
        double width;
        int channels; /* of 64w */
    } cases[] = {{1, 64}, {0.5, 32}, {0.3, 16}, {0.32, 24}, {0.01, 8}, {1.5, 96}, {2, 128}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct graph g;
        struct arena a;
        load(&g, &a, "resnet9", cases[i].width);
        assert_int_equal(g.tensors[0].dims[0], cases[i].channels);
        assert_int_equal(g.tensors[g.tensor_count - 1].dims[0], 10);
        arena_release(&a);
    }
}

static void test_zoo__loads_for_grey_images_and_other_classes(void **state)
{
    (void)state;
    struct arena names_arena;
    arena_init(&names_arena);
    int count = 0;
    for (const char *const *name = graph_names(&names_arena); *name; name++, count++) {
        const struct graph_options o = {.input = {1, 32, 32}, .classes = 100, .width = 0.25};
        struct graph g;
        struct arena a;
        struct err e;
        arena_init(&a);
        assert_int_equal(graph_load(&g, &a, *name, &o, &e), 0);
        assert_int_equal(g.nodes[g.node_count - 1].out.c, 100);
        arena_release(&a);
    }
    assert_in_range(count, 7, 1000);
    arena_release(&names_arena);
}

static void test_zoo__unknown_names_get_the_nearest(void **state)
{
    (void)state;
    const struct graph_options o = {.input = {3, 32, 32}, .classes = 10, .width = 1};
    struct graph g;
    struct arena a;
    struct err e;
    arena_init(&a);
    assert_int_equal(graph_load(&g, &a, "resnet8", &o, &e), -1);
    assert_int_equal(e.code, EXIT_USAGE);
    assert_non_null(strstr(e.text, "'resnet8'"));
    assert_non_null(strstr(e.text, "did you mean 'resnet"));
    assert_int_equal(graph_load(&g, &a, "/nowhere/x.net", &o, &e), -1);
    assert_int_equal(e.code, EXIT_USAGE);
    assert_non_null(strstr(e.text, "/nowhere/x.net"));
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zoo__has_the_published_sizes),
        cmocka_unit_test(test_zoo__airbench94_training_cost_leaves_out_the_whitening),
        cmocka_unit_test(test_zoo__airbench96_costs_what_it_should_layer_by_layer),
        cmocka_unit_test(test_zoo__names_and_shapes_are_those_of_the_state_dictionary),
        cmocka_unit_test(test_zoo__tensors_do_not_overlap),
        cmocka_unit_test(test_zoo__width_scales_to_multiples_of_8),
        cmocka_unit_test(test_zoo__loads_for_grey_images_and_other_classes),
        cmocka_unit_test(test_zoo__unknown_names_get_the_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
