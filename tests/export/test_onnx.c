/* test_onnx.c - networks as ONNX models: onnxruntime, and for the network with every layer PyTorch,
 * give kiln's logits from the exported weights.
 *
 * The yardstick is kiln in double precision on the same single-precision weights and images; the
 * other programs may be as far from that as kiln in single precision is, times a few: their sums
 * run in another order, so their rounding errors are of the same size but not the same. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/rng.h"
#include "export/onnx.h"
#include "scratch_group.h"
#include "support/net.h"
#include "train/checkpoint.h"

enum { IMAGES_COUNT = 5, SEED = 77, CASES = 16 };

#define ONNX "onnx,onnxruntime,numpy"
/* A file of one network's folder, in one of a few rooms. */
static const char *in_case(int number, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "%d/%s", number, name);
    return scratch_path(&scratch, path);
}

static void empty_scratch(void)
{
    char command[1024];
    snprintf(command, sizeof command, "rm -rf '%s'/*", scratch.path);
    assert_int_equal(system(command), 0);
}

/* The model's tensors as a checkpoint's. */
static void write_weights(struct net *net, const char *path)
{
    struct err e;
    const struct graph *g = &net->graph;
    struct safetensor *tensors = xcalloc((size_t)g->tensor_count, sizeof *tensors);
    for (int i = 0; i < g->tensor_count; i++) {
        const struct tensor *t = &g->tensors[i];
        double *wide = xmalloc(t->count * sizeof *wide);
        float *data = arena_alloc(&net->arena, t->count, sizeof *data);
        net->backend->ops->read_reals(net->backend, wide, model_tensor(&net->model, i), t->count);
        for (size_t k = 0; k < t->count; k++)
            data[k] = (float)wide[k];
        free(wide);
        tensors[i] = (struct safetensor){.name = t->name, .type = SAFETENSOR_F32, .ndim = t->ndim,
                                         .data = data, .bytes = t->count * sizeof *data};
        for (int d = 0; d < t->ndim; d++)
            tensors[i].dims[d] = t->dims[d];
    }
    assert_int_equal(safetensors_write(path, tensors, g->tensor_count, NULL, 0, &e), 0);
    free(tensors);
}

/* Images as normal numbers, the same for every precision. */
static float *make_images(size_t count)
{
    float *images = xmalloc(count * sizeof *images);
    struct rng r = rng_at(SEED, RNG_TEST, 9, 0);
    for (size_t i = 0; i < count; i++)
        images[i] = (float)rng_normal(&r);
    return images;
}

/* Logits of the network in evaluation; the caller frees. */
static double *evaluate_net(struct net *net, const float *images)
{
    struct err e;
    struct plan *plan = plan_new(&net->model, IMAGES_COUNT, PLAN_EVAL, &e);
    const struct map *x = plan_input(plan);
    size_t count = IMAGES_COUNT * (size_t)(x->c * x->h * x->w);
    double *wide = xmalloc(count * sizeof *wide);
    double *logits = xmalloc(IMAGES_COUNT * NET_CLASSES * sizeof *logits);
    for (size_t i = 0; i < count; i++)
        wide[i] = (double)images[i];
    net->backend->ops->write_map(net->backend, IMAGES_COUNT, x, wide);
    plan_forward(plan, IMAGES_COUNT);
    net->backend->ops->read_map(net->backend, IMAGES_COUNT, logits, plan_logits(plan));
    plan_free(plan);
    free(wide);
    return logits;
}

static double farthest(const double *a, const double *b)
{
    double most = 0;
    for (int i = 0; i < IMAGES_COUNT * NET_CLASSES; i++)
        most = fmax(most, fabs(a[i] - b[i]));
    return most;
}

static void write_model(struct net *net, int number)
{
    struct err e = {0};
    struct safetensors file;
    struct wire model = {0};
    const struct safetensors_pair pair = {"net", net->graph.name};
    const char *weights = in_case(number, "weights.safetensors");
    assert_int_equal(checkpoint_read_weights(&file, &net->graph, weights, &e), 0);
    assert_int_equal(onnx_build(&model, &net->graph, &file, &pair, 1, &e), 0);
    assert_int_equal(file_write(in_case(number, "model.onnx"), model.data, model.size, &e), 0);
    wire_release(&model);
    safetensors_release(&file);
}

/* Runs a script with a Python that has the modules; false if there is none. */
static bool run_peer(const char *modules, const char *script)
{
    char command[2048];
    snprintf(command, sizeof command,
             "python3 '%s/tests/support/peers.py' %s '%s/tests/export/%s' '%s'", KILN_SOURCE_DIR,
             modules, KILN_SOURCE_DIR, script, scratch.path);
    fflush(stdout);
    int status = system(command);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        return false;
    assert_int_equal(status, 0);
    return true;
}

static void check_peer(int number, const double *mine, const double *exact)
{
    char *data;
    size_t bytes;
    double peer[IMAGES_COUNT * NET_CLASSES], largest = 0;
    assert_int_equal(file_read(in_case(number, "peer.f32"), &data, &bytes, EXIT_DATA, NULL), 0);
    assert_int_equal(bytes, sizeof(float) * IMAGES_COUNT * NET_CLASSES);
    for (int i = 0; i < IMAGES_COUNT * NET_CLASSES; i++) {
        peer[i] = (double)((const float *)data)[i];
        largest = fmax(largest, fabs(exact[i]));
    }
    free(data);
    double bound = 4 * farthest(mine, exact) + 4 * 6e-8 * largest;
    if (!(farthest(peer, exact) <= bound))
        fail_msg("network %d: off by %g, kiln by %g, largest logit %g", number,
                 farthest(peer, exact), farthest(mine, exact), largest);
}

/* A network in both precisions, with the same weights, in a folder of its own. */
struct both {
    struct net fp32, fp64;
    double *mine, *exact;        /* their logits */
};

/* Writes weights, model and input into folder `number` and computes kiln's logits. */
static void prepare(struct both *b, int number, const char *name, const char *text, int side)
{
    struct err e = {0};
    struct net *nets[2] = {&b->fp32, &b->fp64};
    assert_int_equal(file_make_folders(in_case(number, ""), &e), 0);
    for (int i = 0; i < 2; i++) {
        enum precision p = i ? PRECISION_FP64 : PRECISION_FP32;
        if (text)
            net_open(nets[i], text, side, IMAGES_COUNT, p, TIER_REF, SEED);
        else
            net_open_zoo(nets[i], name, 0.25, IMAGES_COUNT, p, TIER_REF, SEED);
    }
    write_weights(&b->fp32, in_case(number, "weights.safetensors"));
    assert_int_equal(
        checkpoint_load_weights(&b->fp64.model, in_case(number, "weights.safetensors"), &e), 0);
    write_model(&b->fp32, number);
    size_t count = IMAGES_COUNT * 3 * (size_t)(side * side);
    float *images = make_images(count);
    assert_int_equal(
        file_write(in_case(number, "input.f32"), images, count * sizeof *images, &e), 0);
    b->mine = evaluate_net(&b->fp32, images);
    b->exact = evaluate_net(&b->fp64, images);
    free(images);
}

static void finish(struct both *b)
{
    net_close(&b->fp32);
    net_close(&b->fp64);
    free(b->mine);
    free(b->exact);
}

/* Compares networks, given by text or by name, with what a peer says of them. */
static void check(const char *const *texts, const char *const *names, int count, int side,
                  const char *modules, const char *script)
{
    struct both both[CASES];
    assert_true(count <= CASES);
    empty_scratch();
    for (int i = 0; i < count; i++)
        prepare(&both[i], i, names ? names[i] : NULL, texts ? texts[i] : NULL, side);
    bool there = run_peer(modules, script);
    for (int i = 0; i < count; i++) {
        if (there)
            check_peer(i, both[i].mine, both[i].exact);
        finish(&both[i]);
    }
    if (!there)
        skip();
}

static const char *every_layer(struct arena *a)
{
    char *text;
    size_t bytes;
    assert_int_equal(file_read(KILN_SOURCE_DIR "/tests/golden/every_layer.net", &text, &bytes,
                               EXIT_DATA, NULL),
                     0);
    const char *kept = arena_strdup(a, text);
    free(text);
    return kept;
}

static void test_onnx__every_layer_as_onnxruntime_has_it(void **state)
{
    (void)state;
    struct arena a = {0};
    check((const char *const[]){every_layer(&a)}, NULL, 1, 14, ONNX, "onnx_logits.py");
    arena_release(&a);
}

static void test_safetensors__every_layer_as_pytorch_has_it(void **state)
{
    (void)state;
    struct arena a = {0};
    check((const char *const[]){every_layer(&a)}, NULL, 1, 14, "torch,numpy,safetensors",
          "torch_logits.py");
    arena_release(&a);
}

/* Layers behind the linear one, and ends that are still maps. */
static void test_onnx__maps_and_vectors_meet(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "conv conv 3x3 6\nvector linear 8\nend conv 1x1 10\n",
        "pool maxpool 4\na linear 12\nnorm batchnorm\nact gelu\nb linear 6\nsilu silu\n"
        "conv conv 1x1 10 bias=yes\nend celu alpha=0.5\n",
        "conv conv 3x3 8 stride=2\npool avgpool global\nvector linear 8\n"
        "sum add pool vector\nboth concat sum vector\nrelu relu\nend linear classes bias=no\n",
    };
    check(texts, NULL, 3, 16, ONNX, "onnx_logits.py");
}

static void test_onnx__the_zoo(void **state)
{
    (void)state;
    struct arena a = {0};
    const char *const *names = graph_names(&a);
    int count = 0;
    while (names[count])
        count++;
    check(NULL, names, count, 32, ONNX, "onnx_logits.py");
    arena_release(&a);
}

int main(void)
{
    if (system("python3 '" KILN_SOURCE_DIR "/tests/support/peers.py' " ONNX " -c pass"))
        return 77; /* which was said */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_onnx__every_layer_as_onnxruntime_has_it),
        cmocka_unit_test(test_safetensors__every_layer_as_pytorch_has_it),
        cmocka_unit_test(test_onnx__maps_and_vectors_meet),
        cmocka_unit_test(test_onnx__the_zoo),
    };
    return cmocka_run_group_tests(tests, scratch_group_start, scratch_group_end);
}
