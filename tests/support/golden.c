/* golden.c - see golden.h. */
#include "support/golden.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "nn/plan.h"
#include "optim/sgd.h"

enum { PIXELS_STREAM = 1000, LABELS_STREAM = 2000, SIGNS_STREAM = 3000 };

/* One network being trained along a golden file. */
struct run {
    json_t *golden;
    struct arena arena;
    struct graph graph;
    struct backend *backend;
    struct model model;
    struct plan *plan;
    struct sgd sgd;
    int images;
    uint64_t seed;
    /* Bounds are for single precision; errors of double precision are smaller by 2^-29, in kiln
     * and, independently, in PyTorch: hence twice that. */
    double bound_factor;
    int compared;
};

json_t *golden_read(const char *name)
{
    char path[4096];
    struct err e;
    snprintf(path, sizeof path, KILN_SOURCE_DIR "/tests/golden/%s.json", name);
    json_t *golden = json_read(path, EXIT_DATA, &e);
    if (!golden)
        fail_msg("%s", e.text);
    return golden;
}

double golden_number(const json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

static double first_value(const json_t *tensor, struct rng *r)
{
    double low = golden_number(tensor, "low"), high = golden_number(tensor, "high");
    return (double)(float)(low + (high - low) * (double)rng_uniform(r));
}

/* Checks that tensor t is what PyTorch's state dictionary has in its place, and fills it. */
static void fill_tensor(struct run *r, int t, const json_t *golden)
{
    const struct tensor *tensor = &r->graph.tensors[t];
    assert_string_equal(tensor->name, json_string_value(json_object_get(golden, "name")));
    const json_t *shape = json_object_get(golden, "shape");
    assert_int_equal(tensor->ndim, json_array_size(shape));
    for (int i = 0; i < tensor->ndim; i++)
        assert_int_equal(tensor->dims[i], json_integer_value(json_array_get(shape, (size_t)i)));
    assert_int_equal(r->model.trainable[t], json_is_true(json_object_get(golden, "trainable")));
    struct rng random = rng_at(r->seed, RNG_TEST, (uint32_t)golden_number(golden, "stream"), 0);
    double *values = arena_alloc(&r->arena, tensor->count, sizeof *values);
    for (size_t i = 0; i < tensor->count; i++)
        values[i] = first_value(golden, &random);
    r->backend->ops->write_reals(r->backend, model_tensor(&r->model, t), values, tensor->count);
}

static void start_optimiser(struct run *r)
{
    const json_t *tensors = json_object_get(r->golden, "tensors");
    struct sgd_tensor *groups =
        arena_alloc(&r->arena, (size_t)r->graph.tensor_count, sizeof *groups);
    for (int t = 0; t < r->graph.tensor_count; t++) {
        double factor = golden_number(json_array_get(tensors, (size_t)t), "lr_factor");
        groups[t] = (struct sgd_tensor){.offset = r->graph.tensors[t].offset,
                                        .count = r->graph.tensors[t].count,
                                        .lr_factor = factor, .decay_factor = 1 / factor};
    }
    r->sgd = (struct sgd){.backend = r->backend, .tensors = groups,
                          .tensor_count = r->graph.tensor_count,
                          .momentum = golden_number(r->golden, "momentum"),
                          .weight_decay = golden_number(r->golden, "weight_decay"),
                          .nesterov = json_is_true(json_object_get(r->golden, "nesterov")),
                          .count = r->graph.params_count};
    struct err e;
    assert_return_code(sgd_init(&r->sgd, &e), 0);
}

static void run_start(struct run *r, const char *name, enum tier tier, enum precision precision)
{
    struct err e = {.text = ""};
    *r = (struct run){.golden = golden_read(name),
                      .bound_factor = precision == PRECISION_FP64 ? 0x1p-28 : 1};
    const json_t *input = json_object_get(r->golden, "input");
    const struct graph_options o = {
        .input = {(int)json_integer_value(json_array_get(input, 0)),
                  (int)json_integer_value(json_array_get(input, 1)),
                  (int)json_integer_value(json_array_get(input, 2))},
        .classes = (int)golden_number(r->golden, "classes"),
        .width = 1,
    };
    const char *net = json_string_value(json_object_get(r->golden, "net"));
    if (strcmp(net, "every_layer") == 0)
        net = KILN_SOURCE_DIR "/tests/golden/every_layer.net";
    if (graph_load(&r->graph, &r->arena, net, &o, &e))
        fail_msg("%s", e.text);
    r->images = (int)golden_number(r->golden, "images");
    r->seed = (uint64_t)golden_number(r->golden, "seed");
    const struct backend_options b = {.tier = tier, .precision = precision, .threads = 2};
    r->backend = backend_cpu_new(&b, &e);
    assert_non_null(r->backend);
    assert_return_code(model_init(&r->model, &r->graph, r->backend, &e), 0);
    const json_t *tensors = json_object_get(r->golden, "tensors");
    assert_int_equal(r->graph.tensor_count, json_array_size(tensors));
    for (int t = 0; t < r->graph.tensor_count; t++)
        fill_tensor(r, t, json_array_get(tensors, (size_t)t));
    r->plan = plan_new(&r->model, r->images, PLAN_TRAIN, &e);
    assert_non_null(r->plan);
    start_optimiser(r);
}

static void run_end(struct run *r)
{
    sgd_release(&r->sgd);
    plan_free(r->plan);
    model_release(&r->model);
    r->backend->ops->free(r->backend);
    arena_release(&r->arena);
    json_decref(r->golden);
}

static void check_distance(const struct run *r, const json_t *record, const char *how, double got,
                           double bound)
{
    if (!(got <= bound)) /* a NaN fails too */
        fail_msg("%s of '%s' (%s): off by %g, bound %g; %s, tier %s",
                 json_string_value(json_object_get(record, "what")),
                 json_string_value(json_object_get(record, "tensor")), how, got, bound,
                 precision_name(r->backend->precision), tier_name(r->backend->tier));
}

/* By Hoeffding's inequality the projection of an error d on random signs is larger than 5 |d| with
 * a probability of at most 2 exp(-5^2 / 2) = 7.5e-6. */
static void compare_projections(struct run *r, const json_t *record, uint32_t stream,
                                const double *values, size_t count, double bound)
{
    const json_t *projections = json_object_get(record, "projections");
    assert_true(json_array_size(projections) > 0);
    for (size_t p = 0; p < json_array_size(projections); p++) {
        struct rng random = rng_at(r->seed, RNG_TEST, (uint32_t)(SIGNS_STREAM + p), stream);
        double sum = 0;
        for (size_t i = 0; i < count; i++)
            sum += rng_u32(&random) >> 31 ? values[i] : -values[i];
        check_distance(r, record, "projection",
                       fabs(sum - json_number_value(json_array_get(projections, p))), 5 * bound);
    }
}

/* How far a tensor may be off. In bf16 the recorded bounds, scaled, would allow anything, because
 * they are of sums and bf16 rounds only what is stored. Maps and weights stored with 8 bits are off
 * by 0.2 % (root mean square); some 20 of them between input and logits make 1 %. Gradients also
 * jump where a maximum moves to its neighbour: they agree in direction, to half their norm. */
static double bound_of(const struct run *r, const json_t *record)
{
    if (r->backend->precision != PRECISION_BF16)
        return golden_number(record, "bound") * r->bound_factor;
    bool logits = strcmp(json_string_value(json_object_get(record, "what")), "logits") == 0;
    return (logits ? 0.04 : 0.5) * golden_number(record, "norm");
}

/* Compares values[count] with a record of the golden file. */
static void compare(struct run *r, const json_t *record, uint32_t stream, const double *values,
                    size_t count)
{
    double bound = bound_of(r, record);
    assert_int_equal(count, (size_t)golden_number(record, "count"));
    double squares = 0, distance = 0;
    const json_t *truth = json_object_get(record, "values");
    for (size_t i = 0; i < count; i++) {
        squares += values[i] * values[i];
        double d = truth ? values[i] - json_number_value(json_array_get(truth, i)) : 0;
        distance += d * d;
    }
    /* Summing the squares is itself good to count 2^-53 in both programs. */
    double norm = golden_number(record, "norm");
    check_distance(r, record, "norm", fabs(sqrt(squares) - norm),
                   bound + norm * (double)count * 0x1p-52);
    if (truth)
        check_distance(r, record, "distance", sqrt(distance), bound);
    else
        compare_projections(r, record, stream, values, count, bound);
    r->compared++;
}

/* Compares all records of one kind: "logits", "gradient" or "after". */
static void compare_all(struct run *r, const char *what)
{
    const struct backend_ops *ops = r->backend->ops;
    json_t *record;
    size_t index;
    json_array_foreach (json_object_get(r->golden, "records"), index, record) {
        if (strcmp(json_string_value(json_object_get(record, "what")), what) != 0)
            continue;
        size_t count = (size_t)golden_number(record, "count");
        double *values = malloc(count * sizeof *values);
        assert_non_null(values);
        uint32_t stream = (uint32_t)r->graph.tensor_count;
        if (strcmp(what, "logits") == 0) {
            ops->read_map(r->backend, r->images, values, plan_logits(r->plan));
        } else {
            const char *name = json_string_value(json_object_get(record, "tensor"));
            int t = graph_find_tensor(&r->graph, name);
            assert_in_range(t, 0, r->graph.tensor_count - 1);
            assert_int_equal(r->graph.tensors[t].count, count);
            ops->read_reals(r->backend, values, strcmp(what, "gradient") == 0 ?
                            model_gradient(&r->model, t) : model_tensor(&r->model, t), count);
            stream = (uint32_t)t;
        }
        compare(r, record, stream, values, count);
        free(values);
    }
}

static void write_batch(struct run *r, int step, uint8_t *labels)
{
    const struct map *x = plan_input(r->plan);
    size_t count = (size_t)r->images * (size_t)(r->graph.nodes[0].out.c * x->h * x->w);
    double *pixels = malloc(count * sizeof *pixels);
    assert_non_null(pixels);
    struct rng random = rng_at(r->seed, RNG_TEST, (uint32_t)(PIXELS_STREAM + step), 0);
    for (size_t i = 0; i < count; i++)
        pixels[i] = (double)rng_uniform(&random) * 4 - 2;
    r->backend->ops->write_map(r->backend, r->images, x, pixels);
    free(pixels);
    random = rng_at(r->seed, RNG_TEST, (uint32_t)(LABELS_STREAM + step), 0);
    for (int i = 0; i < r->images; i++)
        labels[i] = (uint8_t)((uint64_t)rng_u32(&random) * (unsigned)r->graph.classes >> 32);
}

/* Forward, loss, backward, update; compares the loss, and in the first step logits and
 * gradients. */
static void train_one(struct run *r, int step)
{
    const json_t *golden = json_array_get(json_object_get(r->golden, "steps"), (size_t)step);
    const char *reduction = json_string_value(json_object_get(r->golden, "reduction"));
    double scale = strcmp(reduction, "mean") == 0 ? 1.0 / r->images : 1.0;
    uint8_t labels[512], hits[512];
    double losses[512], loss = 0;
    assert_true(r->images <= 512);
    write_batch(r, step, labels);
    plan_forward(r->plan, r->images);
    r->backend->ops->cross_entropy(r->backend, r->images, r->graph.classes,
                                   golden_number(r->golden, "smoothing"), scale,
                                   plan_logits(r->plan), labels, losses, hits,
                                   plan_dlogits(r->plan));
    for (int i = 0; i < r->images; i++)
        loss += scale * losses[i];
    /* The bound is of the images' losses; to add them up in double is good to images * 2^-53 in
     * both programs. */
    double truth = golden_number(golden, "loss"), error = fabs(loss - truth);
    double bound = golden_number(golden, "bound") * r->bound_factor;
    bound += r->images * 0x1p-52 * truth;
    if (r->backend->precision == PRECISION_BF16)
        bound = 0.01 * truth;
    if (!(error <= bound))
        fail_msg("loss of step %d: %.17g, off by %g, bound %g; tier %s", step, loss, error, bound,
                 tier_name(r->backend->tier));
    if (step == 0)
        compare_all(r, "logits");
    plan_backward(r->plan, r->images);
    if (step == 0)
        compare_all(r, "gradient");
    sgd_update(&r->sgd, r->model.params, r->model.grads, r->model.trainable,
               golden_number(golden, "lr"));
}

void golden_check(const char *name, enum tier tier, enum precision precision, int steps)
{
    if (!tier_available(tier)) {
        print_message("skipped: this machine has no %s\n", tier_name(tier));
        skip();
    }
    struct run r;
    run_start(&r, name, tier, precision);
    int all = (int)json_array_size(json_object_get(r.golden, "steps"));
    for (int step = 0; step < steps && step < all; step++)
        train_one(&r, step);
    if (steps >= all) {
        compare_all(&r, "after");
        assert_int_equal(r.compared, json_array_size(json_object_get(r.golden, "records")));
    }
    assert_true(r.compared > 0);
    run_end(&r);
}
