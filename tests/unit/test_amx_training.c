/* test_amx_training.c - a whole network in bf16 whose convolutions all run in tile registers, in
 * the plain C ones of tests/tiles: planned, trained, and the same on any number of threads. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/cpu/conv_algorithm.h"
#include "nn/convolutions.h"
#include "support/net.h"
#include "tiles/tile_kernels.h"

enum { BATCH = 40, SIDE = 10, STEPS = 2 };

/* Narrow and wide rows, a map of 9 that a pool trims to 8, strides, one pixel; as in airbench94 a
 * convolution comes first that no gradient goes through. */
static const char *const network = "whiten conv 2x2 24 bias=yes\n"
                                   "g gelu\n"
                                   "c1 conv 3x3 40 pad=1\n"
                                   "p maxpool 2\n"
                                   "n1 batchnorm\n"
                                   "r1 gelu\n"
                                   "c2 conv 3x3 40 pad=1 bias=yes\n"
                                   "n2 batchnorm\n"
                                   "add add r1 n2\n"
                                   "c3 conv 3x3 33 stride=2\n"
                                   "c4 conv 1x1 35\n"
                                   "r4 relu\n"
                                   "l linear classes\n";

/* The algorithm must be what is asked for before the network is planned. */
static void plan_on_tiles(struct net *net, const char *convolution)
{
    struct err e = {.text = ""};
    plan_free(net->plan);
    tile_kernels_plain(&((struct cpu_backend *)(void *)net->backend)->kernels.tiles);
    net->backend->convolution = convolution;
    net->plan = plan_new(&net->model, net->batch, PLAN_TRAIN, &e);
    if (!net->plan)
        fail_msg("%s", e.text);
}

static void train(struct net *net, char hash[65])
{
    const struct sgd_step step = {.lr = 0.05, .momentum = 0};
    for (int i = 0; i < STEPS; i++) {
        net_step(net, BATCH, (uint64_t)i);
        net->backend->ops->sgd(net->backend, net->graph.params_count, net->model.params,
                               net->model.grads, NULL, &step);
    }
    model_hash(&net->model, hash);
}

static void test_amx_training__threads_do_not_change_a_bit(void **state)
{
    (void)state;
    char hash[2][65], text[CONVOLUTIONS_TEXT];
    for (int threads = 1; threads <= 2; threads++) {
        struct net net;
        net_open(&net, network, SIDE, BATCH, PRECISION_BF16, TIER_REF, 5);
        net.backend->threads = threads;
        plan_on_tiles(&net, "amx");
        plan_convolutions(net.plan, text, sizeof text);
        assert_non_null(strstr(text, "amx"));
        assert_null(strstr(text, "direct"));
        train(&net, hash[threads - 1]);
        net_close(&net);
    }
    assert_string_equal(hash[0], hash[1]);
}

static double distance(const double *a, const double *b, size_t count)
{
    double off = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        off += (a[i] - b[i]) * (a[i] - b[i]);
        size += b[i] * b[i];
    }
    return sqrt(off / size);
}

/* All gradients of one step, one after the other. */
static double *gradients_of(struct net *net)
{
    double *all = malloc(net->graph.params_count * sizeof *all);
    assert_non_null(all);
    net_step(net, BATCH, 1);
    net->backend->ops->read_reals(net->backend, all, net->model.grads, net->graph.params_count);
    return all;
}

/* Direct convolution rounds the same numbers to bf16, so both are as far from the exact gradients
 * but for chance: which way a rounding falls, and with it the maximum of a pool. */
static void test_amx_training__gradients_are_as_near_as_those_of_direct(void **state)
{
    (void)state;
    struct net net;
    net_open(&net, network, SIDE, BATCH, PRECISION_FP64, TIER_REF, 5);
    double *exact = gradients_of(&net);
    net_close(&net);
    net_open(&net, network, SIDE, BATCH, PRECISION_BF16, TIER_REF, 5);
    size_t count = net.graph.params_count;
    double *direct = gradients_of(&net);
    plan_on_tiles(&net, "amx");
    double *tiles = gradients_of(&net);
    double near = distance(direct, exact, count), got = distance(tiles, exact, count);
    if (!(near > 0 && got < 1.5 * near))
        fail_msg("gradients are off by %.3g, those of direct by %.3g", got, near);
    net_close(&net);
    free(exact);
    free(direct);
    free(tiles);
}

/* On the tier that has tile registers the convolutions take them unasked, but for a first layer of
 * three channels, whose padding may cost more than they gain. */
static void test_amx_training__the_tier_chooses_them(void **state)
{
    (void)state;
    char text[CONVOLUTIONS_TEXT];
    struct net net;
    net_open(&net, network, SIDE, 64, PRECISION_BF16, TIER_REF, 5);
    net.backend->tier = TIER_AMX;
    ((struct cpu_backend *)(void *)net.backend)->rates =
        conv_builtin_rates(TIER_AMX, PRECISION_BF16);
    plan_on_tiles(&net, "auto");
    plan_convolutions(net.plan, text, sizeof text);
    if (!strstr(text, "c1:amx, c2:amx, c3:amx, c4:amx, l:amx"))
        fail_msg("chosen: %s", text);
    net_close(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_amx_training__threads_do_not_change_a_bit),
        cmocka_unit_test(test_amx_training__gradients_are_as_near_as_those_of_direct),
        cmocka_unit_test(test_amx_training__the_tier_chooses_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
