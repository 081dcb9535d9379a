/* test_plan.c - plans: memory that is never shared by living values, steps that are skipped or
 * trimmed without changing a bit, and nothing allocated while running. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nn/program.h"
#include "support/net.h"

static const char *const every_layer =
    "whiten conv 2x2 2crs bias=yes init=whiten\n"
    "g gelu\n"
    "c1 conv 3x3 19 pad=1 bias=yes\n"
    "p maxpool 2\n"
    "n1 batchnorm\n"
    "r1 relu\n"
    "c2 conv 3x3 19 pad=1\n"
    "n2 batchnorm ghost=4\n"
    "add add r1 n2\n"
    "s silu\n"
    "c3 conv 3x3 8 stride=2\n"
    "ce celu alpha=0.5\n"
    "ap avgpool 2 from=s\n"
    "cat concat ce ap\n"
    "l linear classes\n"
    "sc scale 1/9\n";

/* Memory. */

static size_t end_of(const struct value *x)
{
    return x->offset + x->bytes;
}

static bool overlap(const struct value *a, const struct value *b)
{
    return a->bytes && b->bytes && a->offset < end_of(b) && b->offset < end_of(a);
}

/* Whether step `i` of the program, or a later one, reads the value. */
static bool read_from(const struct program *p, int value, int i)
{
    for (; i < p->step_count; i++)
        for (int j = 0; j < p->steps[i].read_count; j++)
            if (p->steps[i].reads[j] == value)
                return true;
    return false;
}

static bool may_overwrite(const struct program *p, const struct step *s, int value, int written)
{
    for (int j = 0; j < s->read_count; j++)
        if (s->reads[j] == value && written == s->writes[0] && (s->op->in_place & 1u << j) &&
            p->values[value].offset == p->values[written].offset)
            return true;
    return false;
}

/* Walks the steps and keeps the set of values that memory holds: whatever a step writes may not lie
 * on a value that this step or a later one reads, nor on another result of the same step; an
 * operand may be overwritten only exactly in place by an operation that allows it. */
static void check_memory(const struct program *p)
{
    bool *held = calloc((size_t)p->value_count, sizeof *held);
    for (int i = 0; i < p->step_count; i++) {
        const struct step *s = &p->steps[i];
        for (int j = 0; j < s->read_count; j++)
            assert_true(held[s->reads[j]]);
        for (int j = 0; j < s->write_count; j++) {
            const struct value *x = &p->values[s->writes[j]];
            assert_true(end_of(x) <= p->bytes);
            assert_int_equal(x->offset % 64, 0);
            for (int v = 0; v < p->value_count; v++) {
                if (!held[v] || !overlap(x, &p->values[v]) || !read_from(p, v, i))
                    continue;
                if (!read_from(p, v, i + 1) && may_overwrite(p, s, v, s->writes[j]))
                    continue;
                fail_msg("step %d (%s %s) overwrites a value that is still read", i,
                         p->graph->nodes[s->node].name, s->op->phase);
            }
            for (int k = 0; k < j; k++)
                assert_false(overlap(x, &p->values[s->writes[k]]));
        }
        for (int j = 0; j < s->write_count; j++)
            held[s->writes[j]] = true;
    }
    free(held);
}

static void check_graph_memory(const struct graph *g, struct backend *b, int batch)
{
    size_t bytes[2];
    for (int mode = PLAN_TRAIN; mode <= PLAN_EVAL; mode++) {
        struct arena arena;
        struct program p;
        arena_init(&arena);
        program_init(&p, &arena, g, b, batch, mode);
        check_memory(&p);
        bytes[mode] = p.bytes;
        assert_true((double)p.bytes <= 1.10 * (double)program_least_bytes(&p));
        assert_int_equal(plan_bytes(g, b, batch, mode), p.bytes);
        arena_release(&arena);
    }
    /* A few layers have little to give back: their input is most of what there is. */
    if (g->node_count > 10)
        assert_true((double)bytes[PLAN_EVAL] < 0.6 * (double)bytes[PLAN_TRAIN]);
}

static void test_plan__living_values_never_share_memory(void **state)
{
    (void)state;
    const struct backend_options o = {.precision = PRECISION_FP32, .tier = TIER_REF, .threads = 1};
    const struct graph_options wide = {.input = {3, 32, 32}, .classes = 10, .width = 0.5};
    struct arena arena;
    struct err e;
    struct backend *b = backend_cpu_new(&o, &e);
    arena_init(&arena);
    for (const char *const *name = graph_names(&arena); *name; name++) {
        struct graph g;
        assert_int_equal(graph_load(&g, &arena, *name, &wide, &e), 0);
        check_graph_memory(&g, b, 64);
    }
    struct graph g;
    assert_int_equal(graph_parse(&g, &arena, "every", every_layer, &wide, &e), 0);
    check_graph_memory(&g, b, 33);
    b->ops->free(b);
    arena_release(&arena);
}

static void test_plan__running_allocates_nothing(void **state)
{
    (void)state;
    struct net net;
    net_open(&net, every_layer, 16, 40, PRECISION_FP32, TIER_AUTO, 1);
    double losses[40];
    uint8_t hits[40];
    plan_forward(net.plan, 40); /* OpenMP may make its threads at the first use */
    size_t before = alloc_count();
    for (int i = 0; i < 3; i++) {
        net.model.trainable[1] = i == 0;
        plan_forward(net.plan, 40 - i);
        net.backend->ops->cross_entropy(net.backend, 40 - i, NET_CLASSES, 0, 1,
                                        plan_logits(net.plan), net.labels, losses, hits,
                                        plan_dlogits(net.plan));
        plan_backward(net.plan, 40 - i);
    }
    assert_int_equal(alloc_count(), before);
    net_close(&net);
}

static void test_plan__too_little_memory_is_an_error(void **state)
{
    (void)state;
    struct net net;
    struct err e = {.text = ""};
    net_open(&net, every_layer, 16, 2, PRECISION_FP32, TIER_REF, 1);
    assert_null(plan_new(&net.model, 1 << 30, PLAN_TRAIN, &e));
    assert_int_equal(e.code, EXIT_FAILED);
    assert_non_null(strstr(e.text, "no memory for activations"));
    net_close(&net);
}

/* Numbers. */

/* Differences between the gradients of tensor t: norm of the first network's, and of the error. */
static double gradient_error(struct net *a, struct net *b, int t, double *norm)
{
    double *x = net_gradient(a, t), *y = net_gradient(b, t), error = 0;
    *norm = 0;
    for (size_t i = 0; i < a->graph.tensors[t].count; i++) {
        *norm += x[i] * x[i];
        error += (x[i] - y[i]) * (x[i] - y[i]);
    }
    *norm = sqrt(*norm);
    free(x);
    free(y);
    return sqrt(error);
}

/* Every tensor that both train, but `except` (NULL: none), has the same gradient to the bit. */
static void expect_same_gradients(struct net *a, struct net *b, const char *except)
{
    for (int t = 0; t < a->graph.tensor_count; t++) {
        const char *name = a->graph.tensors[t].name;
        double norm;
        if (!a->model.trainable[t] || !b->model.trainable[t] ||
            (except && strcmp(name, except) == 0))
            continue;
        if (!(gradient_error(a, b, t, &norm) == 0))
            fail_msg("the gradients of %s differ", name);
    }
}

/* Steps of this phase at this node. */
static int steps_of(const struct net *net, const char *node, const char *phase)
{
    int count = 0;
    for (int i = 0; i < plan_step_count(net->plan); i++) {
        struct plan_step_info info;
        plan_step_describe(net->plan, i, &info);
        count += strcmp(info.name, node) == 0 && strcmp(info.phase, phase) == 0;
    }
    return count;
}

static double flops_of(const struct net *net, const char *node, const char *phase)
{
    for (int i = 0; i < plan_step_count(net->plan); i++) {
        struct plan_step_info info;
        plan_step_describe(net->plan, i, &info);
        if (strcmp(info.name, node) == 0 && strcmp(info.phase, phase) == 0)
            return info.flops;
    }
    fail_msg("%s has no %s", node, phase);
    return 0;
}

/* Runs one step of the two networks, which are the same but for what fusing and trimming see, and
 * expects the same bits; but for the gradient of the weights of convolution `trimmed`, whose terms
 * may be added in another order: their number times eps bounds what that can change. Trimmed and
 * whole, a convolution might take different algorithms; it takes direct. */
static void expect_same_step(const char *one, const char *other, int side, enum tier tier,
                             const char *trimmed)
{
    enum { N = 37 };
    struct net a, b;
    const char *convolution = trimmed ? "direct" : "auto";
    net_open_taking(&a, one, side, N, PRECISION_FP32, tier, 2, convolution);
    net_open_taking(&b, other, side, N, PRECISION_FP32, tier, 2, convolution);
    assert_true(net_step(&a, N, 2) == net_step(&b, N, 2));
    expect_same_gradients(&a, &b, trimmed);
    if (trimmed) {
        double norm, error = gradient_error(&a, &b, graph_find_tensor(&a.graph, trimmed), &norm);
        assert_true(norm > 0 && error <= 6e-8 * N * side * side * norm);
    }
    net_close(&a);
    net_close(&b);
}

/* A factor of 1 between convolution and pool changes no number, but hides the pool. */
static void test_plan__trimming_changes_no_number(void **state)
{
    (void)state;
    static const struct {
        const char *conv, *pool;
        int side;
    } cases[] = {
        {"c conv 3x3 19 pad=1 bias=yes", "p maxpool 2", 13},
        {"c conv 3x3 19 pad=1 bias=yes", "p avgpool 3 2", 12},
        {"c conv 3x3 40 pad=1", "p maxpool 4", 15},
        {"c conv 2x2 19 stride=2", "p avgpool 3", 16},
        {"c conv 1x1 19", "p maxpool 2 3", 9},
    };
    static const enum tier tiers[] = {TIER_REF, TIER_AVX2, TIER_AVX512};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char with[256], without[256];
        snprintf(with, sizeof with, "a conv 1x1 5\ns silu\n%s\n%s\nl linear classes\n",
                 cases[i].conv, cases[i].pool);
        snprintf(without, sizeof without,
                 "a conv 1x1 5\ns silu\n%s\none scale 1\n%s\nl linear classes\n", cases[i].conv,
                 cases[i].pool);
        for (size_t t = 0; t < sizeof tiers / sizeof tiers[0]; t++)
            if (tier_available(tiers[t]))
                expect_same_step(with, without, cases[i].side, tiers[t], "c.weight");
    }
}

static void test_plan__trimmed_rows_are_computed_in_no_pass(void **state)
{
    (void)state;
    struct net net;
    net_open(&net, "a conv 1x1 5\nc conv 3x3 19 pad=1\np avgpool 3 2\nl linear classes\n", 12, 2,
             PRECISION_FP32, TIER_REF, 2);
    double flops = 2.0 * 19 * 5 * 9 * 11 * 11; /* 5 windows of 3, step 2: 11 of 12 rows */
    assert_true(flops_of(&net, "c", "forward") == flops);
    assert_true(flops_of(&net, "c", "backward-weights") == flops);
    assert_true(flops_of(&net, "c", "backward-data") == flops);
    net_close(&net);
}

/* The networks of a test of fusing: of which steps become one, and with them held apart. */
struct fusing {
    struct net fused, apart;
};

static void fusing_open(struct fusing *f, const char *fused, const char *apart, int n,
                        enum tier tier, enum precision p)
{
    net_open(&f->fused, fused, 12, n, p, tier, 3);
    net_open(&f->apart, apart, 12, n, p, tier, 3);
}

/* Both make the same step, to the bit. */
static void fusing_compare(struct fusing *f, int n)
{
    assert_true(net_step(&f->fused, n, 2) == net_step(&f->apart, n, 2));
    expect_same_gradients(&f->fused, &f->apart, NULL);
    net_close(&f->fused);
    net_close(&f->apart);
}

/* The same trick keeps a batch norm and its activation apart. */
static void test_plan__fusing_an_activation_changes_no_bit(void **state)
{
    (void)state;
    static const char *const fused =
        "a conv 3x3 19\nn batchnorm\ng relu\nc conv 1x1 4\nl linear classes\n";
    static const char *const apart =
        "a conv 3x3 19\nn batchnorm\no scale 1\ng relu\nc conv 1x1 4\nl linear classes\n";
    expect_same_step(fused, apart, 8, TIER_REF, NULL);
    struct net net;
    net_open(&net, fused, 8, 2, PRECISION_FP32, TIER_REF, 2);
    assert_int_equal(steps_of(&net, "g", "activation"), 0);
    assert_int_equal(steps_of(&net, "g", "activation-backward"), 0);
    net_close(&net);
    net_open(&net, apart, 8, 2, PRECISION_FP32, TIER_REF, 2);
    assert_int_equal(steps_of(&net, "g", "activation"), 1);
    assert_int_equal(steps_of(&net, "g", "activation-backward"), 1);
    net_close(&net);
}

/* And a convolution and its pool, here in tiers where the plan takes Winograd; of 37 images the
 * last block has 5. */
static void test_plan__fusing_a_pool_changes_no_bit(void **state)
{
    (void)state;
    enum { N = 37 };
    static const char *const fused = "a conv 1x1 64\nc conv 3x3 80 pad=1\np maxpool 2\n"
                                     "n batchnorm\ng gelu\nl linear classes\n";
    static const char *const apart = "a conv 1x1 64\nc conv 3x3 80 pad=1\no scale 1\np maxpool 2\n"
                                     "n batchnorm\ng gelu\nl linear classes\n";
    for (enum tier tier = TIER_AVX2; tier <= TIER_AVX512BF16; tier++)
        for (enum precision p = PRECISION_FP32; p <= PRECISION_BF16; p++) {
            bool winograd = p == PRECISION_FP32 || tier == TIER_AVX512BF16;
            if (!tier_available(tier) || !winograd)
                continue;
            struct fusing f;
            fusing_open(&f, fused, apart, N, tier, p);
            assert_int_equal(steps_of(&f.fused, "c", "forward+pool"), 1);
            assert_int_equal(steps_of(&f.fused, "p", "pool"), 0);
            assert_int_equal(steps_of(&f.fused, "c", "pool+backward-data"), 1);
            assert_int_equal(steps_of(&f.fused, "c", "pool+backward-weights"), 1);
            assert_int_equal(steps_of(&f.fused, "p", "pool-backward"), 0);
            assert_int_equal(steps_of(&f.apart, "c", "forward"), 1);
            assert_int_equal(steps_of(&f.apart, "p", "pool"), 1);
            assert_int_equal(steps_of(&f.apart, "p", "pool-backward"), 1);
            fusing_compare(&f, N);
        }
}

/* And an activation and the gradient of the bias of a convolution whose weights are frozen, with
 * channels that fill one line and that do not. */
static void test_plan__fusing_a_bias_changes_no_bit(void **state)
{
    (void)state;
    enum { N = 37 };
    static const char *const fused[] = {
        "a conv 2x2 24 init=whiten bias=yes\ng gelu\nc conv 1x1 4\nl linear classes\n",
        "a conv 3x3 54 init=whiten bias=yes\ng silu\nc conv 1x1 4\nl linear classes\n"};
    static const char *const apart[] = {
        "a conv 2x2 24 init=whiten bias=yes\no scale 1\ng gelu\nc conv 1x1 4\n"
        "l linear classes\n",
        "a conv 3x3 54 init=whiten bias=yes\no scale 1\ng silu\nc conv 1x1 4\n"
        "l linear classes\n"};
    for (enum tier tier = TIER_REF; tier < TIER_COUNT; tier++)
        for (enum precision p = PRECISION_FP32; p <= PRECISION_BF16; p++)
            for (int i = 0; i < 2 && tier_available(tier); i++) {
                struct fusing f;
                fusing_open(&f, fused[i], apart[i], N, tier, p);
                assert_int_equal(steps_of(&f.fused, "g", "act+backward-bias"), 1);
                assert_int_equal(steps_of(&f.fused, "a", "backward-weights"), 0);
                assert_int_equal(steps_of(&f.apart, "g", "activation-backward"), 1);
                assert_int_equal(steps_of(&f.apart, "a", "backward-weights"), 1);
                fusing_compare(&f, N);
            }
}

/* And a batch norm, its activation and its pool. */
static void test_plan__fusing_a_norm_and_a_pool_changes_no_bit(void **state)
{
    (void)state;
    enum { N = 37 };
    static const char *const fused = "a conv 3x3 19 pad=1\nn batchnorm\ng relu\np maxpool 2\n"
                                     "c conv 1x1 4\nl linear classes\n";
    static const char *const apart = "a conv 3x3 19 pad=1\nn batchnorm\ng relu\no scale 1\n"
                                     "p maxpool 2\nc conv 1x1 4\nl linear classes\n";
    for (enum tier tier = TIER_REF; tier <= TIER_AVX512BF16; tier++)
        for (enum precision p = PRECISION_FP32; p <= PRECISION_BF16; p++) {
            if (!tier_available(tier))
                continue;
            struct fusing f;
            fusing_open(&f, fused, apart, N, tier, p);
            assert_int_equal(steps_of(&f.fused, "n", "norm+pool"), 1);
            assert_int_equal(steps_of(&f.fused, "n", "pool+norm-backward"), 1);
            assert_int_equal(steps_of(&f.fused, "p", "pool"), 0);
            assert_int_equal(steps_of(&f.fused, "p", "pool-backward"), 0);
            assert_int_equal(steps_of(&f.apart, "p", "pool"), 1);
            assert_int_equal(steps_of(&f.apart, "p", "pool-backward"), 1);
            fusing_compare(&f, N);
        }
}

static int steps_needed(const struct net *net)
{
    int count = 0;
    for (int i = 0; i < plan_step_count(net->plan); i++) {
        struct plan_step_info info;
        plan_step_describe(net->plan, i, &info);
        count += info.needed;
    }
    return count;
}

/* What no trainable tensor needs is skipped, and the gradients that remain have the same bits; all
 * comes back when the tensor trains again. */
static void test_plan__skips_what_nobody_needs(void **state)
{
    (void)state;
    struct net a, b;
    net_open(&a, every_layer, 16, 40, PRECISION_FP32, TIER_AUTO, 1);
    net_open(&b, every_layer, 16, 40, PRECISION_FP32, TIER_AUTO, 1);
    int bias = graph_find_tensor(&b.graph, "whiten.bias");
    net_step(&a, 40, 1);
    assert_int_equal(steps_needed(&b), plan_step_count(b.plan));
    b.model.trainable[bias] = false;
    net_step(&b, 40, 1);
    assert_int_equal(steps_needed(&b), plan_step_count(b.plan) - 2);
    expect_same_gradients(&a, &b, NULL);
    double *untouched = net_gradient(&b, bias), *made = net_gradient(&a, bias);
    double sum = 0;
    for (size_t i = 0; i < b.graph.tensors[bias].count; i++) {
        assert_true(untouched[i] == 0);
        sum += fabs(made[i]);
    }
    assert_true(sum > 0);
    free(untouched);
    free(made);
    b.model.trainable[bias] = true;
    net_step(&b, 40, 1);
    assert_int_equal(steps_needed(&b), plan_step_count(b.plan));
    net_step(&a, 40, 1); /* as often, because of the running statistics */
    expect_same_gradients(&a, &b, NULL);
    net_close(&a);
    net_close(&b);
}

static void test_plan__knows_which_steps_are_needed(void **state)
{
    (void)state;
    struct net net;
    net_open_zoo(&net, "airbench94", 0.25, 2, PRECISION_FP32, TIER_REF, 1);
    struct arena arena;
    struct program p;
    arena_init(&arena);
    program_init(&p, &arena, &net.graph, net.backend, 2, PLAN_TRAIN);
    bool *running = arena_alloc(&arena, (size_t)p.step_count, 1);
    bool *wanted = arena_alloc(&arena, (size_t)p.value_count, 1);
    int counts[2] = {0, 0};
    for (int frozen = 0; frozen < 2; frozen++) {
        net.model.trainable[graph_find_tensor(&net.graph, "whiten.bias")] = !frozen;
        program_needs(&p, net.model.trainable, running, wanted);
        for (int i = 0; i < p.step_count; i++)
            counts[frozen] += running[i];
    }
    assert_int_equal(counts[0], p.step_count);
    assert_int_equal(counts[0] - counts[1], 2); /* gelu with whitening's bias, conv1's data */
    /* The image's gradient is never computed, nor that of the frozen whitening weights alone. */
    assert_int_equal(steps_of(&net, "whiten", "backward-data"), 0);
    assert_int_equal(steps_of(&net, "layers.1.conv1", "backward-data"), 1);
    arena_release(&arena);
    net_close(&net);
}

/* Fewer images than planned for, in memory that other images have left behind. */
static void test_plan__short_batches_do_not_see_what_was_there_before(void **state)
{
    (void)state;
    struct net a, b;
    net_open(&a, every_layer, 16, 70, PRECISION_FP32, TIER_AUTO, 1);
    net_open(&b, every_layer, 16, 37, PRECISION_FP32, TIER_AUTO, 1);
    net_step(&a, 70, 9);
    net_step(&b, 37, 9); /* other values, but as many */
    a.backend->ops->copy(a.backend, a.model.state, b.model.state, a.graph.state_count * 4);
    assert_true(net_step(&a, 37, 1) == net_step(&b, 37, 1));
    expect_same_gradients(&a, &b, NULL);
    net_close(&a);
    net_close(&b);
}

/* In evaluation every image stands for itself, and the running statistics stay as they are. */
static void test_plan__evaluation_leaves_the_state_and_the_other_images_alone(void **state)
{
    (void)state;
    struct net net;
    struct err e;
    net_open(&net, every_layer, 16, 40, PRECISION_FP32, TIER_AUTO, 1);
    struct plan *train = net.plan, *eval = plan_new(&net.model, 40, PLAN_EVAL, &e);
    char before[65], after[65], trained[65];
    model_hash(&net.model, before);
    net.plan = eval;
    net_fill_input(&net, 1);
    plan_forward(eval, 40);
    double *many = net_logits(&net, 40);
    net_fill_input(&net, 1);
    plan_forward(eval, 3);
    double *few = net_logits(&net, 3);
    assert_memory_equal(many, few, 3 * NET_CLASSES * sizeof *few);
    model_hash(&net.model, after);
    assert_string_equal(before, after);
    net.plan = train;
    net_fill_input(&net, 1);
    plan_forward(train, 40);
    model_hash(&net.model, trained);
    assert_string_not_equal(before, trained);
    free(many);
    free(few);
    plan_free(eval);
    net_close(&net);
}

/* Logits of n images from image `first` on, by a training plan; fp64, so that they can be compared
 * to rounding. */
static double *logits_of(const char *text, int first, int n)
{
    enum { ALL = 12, SIDE = 6, IMAGE = 3 * SIDE * SIDE };
    struct net net;
    net_open(&net, text, SIDE, ALL, PRECISION_FP64, TIER_REF, 1);
    const struct map *input = plan_input(net.plan);
    double *pixels = xmalloc(ALL * IMAGE * sizeof *pixels);
    net.backend->ops->read_map(net.backend, ALL, pixels, input);
    net.backend->ops->write_map(net.backend, n, input, pixels + first * IMAGE);
    plan_forward(net.plan, n);
    double *logits = net_logits(&net, n);
    free(pixels);
    net_close(&net);
    return logits;
}

/* Ghost batch norm: each part of the batch is normalised as if it were alone. */
static void test_plan__ghost_groups_are_batches_of_their_own(void **state)
{
    (void)state;
    static const char *const forms[] = {"groups=3", "ghost=4"}; /* of 12 images: 3 parts of 4 */
    for (int f = 0; f < 2; f++) {
        char text[256];
        snprintf(text, sizeof text,
                 "a conv 3x3 9\nn batchnorm %s\ng gelu\nm batchnorm %s\nl linear classes\n",
                 forms[f], forms[f]);
        double *together = logits_of(text, 0, 12);
        double *plain = logits_of("a conv 3x3 9\nn batchnorm\ng gelu\nm batchnorm\n"
                                  "l linear classes\n", 0, 12), most = 0;
        for (int part = 0; part < 3; part++) {
            double *alone = logits_of("a conv 3x3 9\nn batchnorm\ng gelu\nm batchnorm\n"
                                      "l linear classes\n", part * 4, 4);
            for (int i = 0; i < 4 * NET_CLASSES; i++)
                assert_true(fabs(alone[i] - together[part * 4 * NET_CLASSES + i]) < 1e-12);
            free(alone);
        }
        for (int i = 0; i < 12 * NET_CLASSES; i++)
            most = fmax(most, fabs(plain[i] - together[i]));
        assert_true(most > 1e-3);
        free(together);
        free(plain);
    }
}

/* Frozen statistics: the running ones, which stay as they are, in training too. */
static void test_plan__frozen_statistics_train_as_they_evaluate(void **state)
{
    (void)state;
    struct net net;
    struct err e;
    net_open(&net, "a conv 3x3 9\nn batchnorm statistics=frozen\ng gelu\nl linear classes\n", 6, 5,
             PRECISION_FP32, TIER_AUTO, 1);
    char before[65], after[65];
    model_hash(&net.model, before);
    plan_forward(net.plan, 5);
    double *trained = net_logits(&net, 5);
    model_hash(&net.model, after);
    assert_string_equal(before, after);
    struct plan *train = net.plan, *eval = plan_new(&net.model, 5, PLAN_EVAL, &e);
    net.plan = eval;
    net_fill_input(&net, 1);
    plan_forward(eval, 5);
    double *evaluated = net_logits(&net, 5);
    assert_memory_equal(trained, evaluated, 5 * NET_CLASSES * sizeof *trained);
    free(trained);
    free(evaluated);
    plan_free(eval);
    net.plan = train;
    net_close(&net);
}

/* fp32 against fp64. Errors grow with the number of terms of each sum and the number of layers:
 * eps * (terms of the largest sum) * (layers), relative to the norm of what is compared. Smooth
 * layers only, because a maximum that changes its place changes a gradient at once. */
static void test_plan__fp32_agrees_with_fp64(void **state)
{
    (void)state;
    static const char *const text =
        "a conv 3x3 19 pad=1\nn batchnorm\ng gelu\nb conv 3x3 19 pad=1 bias=yes\n"
        "m batchnorm ghost=8\nh silu\nd add g h\np avgpool 2\nq concat p p\nl linear classes\n"
        "s scale 0.5\n";
    enum { N = 40, SIDE = 8, LAYERS = 11 };
    const double bound = 6e-8 * LAYERS * (N * SIDE * SIDE);
    static const enum tier tiers[] = {TIER_REF, TIER_AVX2, TIER_AVX512};
    struct net exact;
    net_open(&exact, text, SIDE, N, PRECISION_FP64, TIER_REF, 1);
    double loss = net_step(&exact, N, 1);
    for (size_t i = 0; i < sizeof tiers / sizeof tiers[0]; i++) {
        if (!tier_available(tiers[i]))
            continue;
        struct net net;
        net_open(&net, text, SIDE, N, PRECISION_FP32, tiers[i], 1);
        assert_true(fabs(net_step(&net, N, 1) - loss) < bound * loss);
        for (int t = 0; t < net.graph.tensor_count; t++) {
            if (!net.model.trainable[t])
                continue;
            double norm, error = gradient_error(&exact, &net, t, &norm);
            /* The gradient of a bias before a batch norm is zero but for rounding. */
            if (error > bound * (norm + 1e-3))
                fail_msg("%s: error %.3g of %.3g", net.graph.tensors[t].name, error, norm);
        }
        net_close(&net);
    }
    net_close(&exact);
}

static void test_model_hash__sees_every_tensor(void **state)
{
    (void)state;
    struct net net;
    char before[65], after[65];
    net_open(&net, every_layer, 16, 1, PRECISION_FP32, TIER_REF, 1);
    model_hash(&net.model, before);
    assert_int_equal(strlen(before), 64);
    for (int t = 0; t < net.graph.tensor_count; t++) {
        size_t last = net.graph.tensors[t].count - 1;
        char *p = (char *)model_tensor(&net.model, t) + last * net.backend->real_bytes;
        double old, changed;
        net.backend->ops->read_reals(net.backend, &old, p, 1);
        changed = old + 1;
        net.backend->ops->write_reals(net.backend, p, &changed, 1);
        model_hash(&net.model, after);
        assert_string_not_equal(before, after);
        net.backend->ops->write_reals(net.backend, p, &old, 1);
    }
    model_hash(&net.model, after);
    assert_string_equal(before, after);
    net_close(&net);
    net_open(&net, "a conv 1x1 2\nl linear classes\n", 4, 1, PRECISION_FP32, TIER_REF, 1);
    model_hash(&net.model, before);
    net_close(&net);
    net_open(&net, "b conv 1x1 2\nl linear classes\n", 4, 1, PRECISION_FP32, TIER_REF, 1);
    model_hash(&net.model, after);
    assert_string_not_equal(before, after); /* names belong to it */
    net_close(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plan__living_values_never_share_memory),
        cmocka_unit_test(test_plan__running_allocates_nothing),
        cmocka_unit_test(test_plan__too_little_memory_is_an_error),
        cmocka_unit_test(test_plan__trimming_changes_no_number),
        cmocka_unit_test(test_plan__trimmed_rows_are_computed_in_no_pass),
        cmocka_unit_test(test_plan__fusing_an_activation_changes_no_bit),
        cmocka_unit_test(test_plan__fusing_a_pool_changes_no_bit),
        cmocka_unit_test(test_plan__fusing_a_bias_changes_no_bit),
        cmocka_unit_test(test_plan__fusing_a_norm_and_a_pool_changes_no_bit),
        cmocka_unit_test(test_plan__skips_what_nobody_needs),
        cmocka_unit_test(test_plan__knows_which_steps_are_needed),
        cmocka_unit_test(test_plan__short_batches_do_not_see_what_was_there_before),
        cmocka_unit_test(test_plan__evaluation_leaves_the_state_and_the_other_images_alone),
        cmocka_unit_test(test_plan__ghost_groups_are_batches_of_their_own),
        cmocka_unit_test(test_plan__frozen_statistics_train_as_they_evaluate),
        cmocka_unit_test(test_plan__fp32_agrees_with_fp64),
        cmocka_unit_test(test_model_hash__sees_every_tensor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
