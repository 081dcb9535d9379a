/* sharpness.c - how curved the training loss is where training stands.
 *
 * The largest and smallest eigenvalue of the Hessian of the mean training loss over fixed images
 * (Lanczos on exact Hessian-vector products), beside the limit that the optimiser can follow: along
 * a direction of larger curvature its steps grow (probes/theory.h). Full-batch training ends up
 * hovering there (Cohen et al. 2021, "the edge of stability"); with mini-batches it is the batch
 * sharpness that does, the mean over batches of g'Hg / g'g with that batch's own loss, gradient g
 * and Hessian H (Andreyev and Beneventano 2024), while the largest eigenvalue stays lower.
 *
 * A network with batch norm has two rows: in "train mode" each batch has its own statistics, as the
 * optimiser sees it; in "eval mode" the running statistics are constants. Because batch norm makes
 * the weights before it scale-invariant, H shrinks as 1 / |w|^2 when they grow without anything
 * else changing: `scaled` is the largest eigenvalue times |w|^2 of the convolutions' weights.
 */
#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "probes/hessian.h"
#include "probes/lanczos.h"
#include "probes/probe.h"
#include "probes/theory.h"

enum {
    LARGEST, LARGEST_RESIDUAL, SMALLEST, SMALLEST_RESIDUAL, DIFFERENCE_ERROR, ITERATIONS, SCALED,
    LIMIT, BATCH, BATCH_ERROR, BATCHES, LOSS, SERIES
};

static const struct probe_series series[] = {
    {"largest", "largest eigenvalue of the Hessian of the mean training loss"},
    {"largest_residual", "an eigenvalue lies within this of it"},
    {"smallest", "smallest eigenvalue, usually negative"},
    {"smallest_residual", "an eigenvalue lies within this of it"},
    {"difference_error", "estimated error of a Hessian-vector product along the first eigenvector"},
    {"iterations", "Lanczos iterations made"},
    {"scaled", "largest times |w|^2 of the convolutions' weights"},
    {"limit", "curvature that the optimiser can follow at its present learning rate"},
    {"batch", "batch sharpness: mean over batches of g'Hg / g'g"},
    {"batch_error", "standard error of that mean"},
    {"batches", "batches it was taken over"},
    {"loss", "mean training loss over the images"},
    {0},
};

static const double TOLERANCE = 1e-4; /* of the eigenvalues, relative to the largest */

static bool has_batch_norm(const struct trainer *t)
{
    return t->net.graph.state_count > 0;
}

/* Two gradients a product; two products for the residuals and two for the error; up to 18 gradients
 * to find a step in single precision, twice; three for each batch's curvature along its own. */
static double cost(const struct trainer *t)
{
    double steps = probe_precision(t) == PRECISION_FP32 ? 2 * 18 : 0;
    double gradients = 2.0 * t->config.probe_iterations + 2 * 2 + 2 * 2 + 3 + steps;
    return (1 + has_batch_norm(t)) * gradients *
           probe_gradients_cost(t, probe_images(t), probe_precision(t));
}

static int open_sharpness(void **self, const struct trainer *t, struct err *e)
{
    (void)t;
    (void)e;
    *self = xcalloc(1, sizeof(struct surface));
    return 0;
}

static void close_sharpness(void *self)
{
    if (self)
        surface_close(self);
    free(self);
}

static double limit_of(const struct trainer *t, double lr)
{
    const struct config *c = &t->config;
    const struct theory theory = {
        .lr = c->reduction == REDUCTION_SUM ? lr * c->batch : lr,
        .momentum = c->momentum,
        .nesterov = c->nesterov,
    };
    return c->optimizer == OPTIMIZER_SGD && lr > 0 ? theory_stability_limit(&theory) : (double)NAN;
}

static int spectrum(struct surface *s, const struct trainer *t, double *values, struct err *e)
{
    struct hessian h;
    struct lanczos l = {.size = s->count, .limit = t->config.probe_iterations,
                        .tolerance = TOLERANCE / 10, .seed = t->config.data_seed};
    hessian_init(&h, s);
    int status = lanczos_run(&l, hessian_apply, &h, e);
    if (!status) {
        double size = surface_role_norm(s, h.w, ROLE_WEIGHT);
        values[LARGEST] = l.largest;
        values[LARGEST_RESIDUAL] = l.largest_residual;
        values[SMALLEST] = l.smallest;
        values[SMALLEST_RESIDUAL] = l.smallest_residual;
        values[DIFFERENCE_ERROR] = isfinite(l.largest) ? hessian_error(&h, l.vector) : (double)NAN;
        values[ITERATIONS] = l.iterations;
        values[SCALED] = l.largest * size * size;
    }
    lanczos_release(&l);
    hessian_release(&h);
    return status;
}

static void batch_sharpness(struct surface *s, double *values)
{
    struct hessian h;
    double *g = xcalloc(s->count, sizeof *g), sum = 0, squares = 0;
    int count = (int)surface_batches(s), images;
    hessian_init(&h, s);
    for (h.batch = 0; h.batch < count; h.batch++) {
        surface_batch_gradient(s, (uint32_t)h.batch, g, &images);
        double curvature = hessian_curvature(&h, g);
        sum += curvature;
        squares += curvature * curvature;
    }
    values[BATCH] = sum / count;
    double variance = fmax(0, squares - sum * sum / count) / (count - 1);
    values[BATCH_ERROR] = count > 1 ? sqrt(variance / count) : (double)NAN;
    values[BATCHES] = count;
    hessian_release(&h);
    free(g);
}

static int measure_mode(struct surface *s, const struct probe_moment *m, enum plan_mode mode,
                        const char *of, const struct probe_out *out, struct err *e)
{
    const struct trainer *t = m->trainer;
    double values[SERIES];
    const struct surface_options o = {.precision = probe_precision(t),
                                      .mode = mode, .images = probe_images(t)};
    int status = surface_open(s, t, &o, e);
    if (!status) {
        values[LOSS] = surface_loss(s);
        values[LIMIT] = limit_of(t, m->lr);
        batch_sharpness(s, values);
        status = spectrum(s, t, values, e);
    }
    surface_close(s);
    if (!status)
        probe_emit(out, of, values);
    return status;
}

static int measure(void *self, const struct probe_moment *m, const struct probe_out *out,
                   struct err *e)
{
    if (!has_batch_norm(m->trainer))
        return measure_mode(self, m, PLAN_TRAIN, "", out, e);
    if (measure_mode(self, m, PLAN_TRAIN, "train mode", out, e))
        return -1;
    return measure_mode(self, m, PLAN_FROZEN, "eval mode", out, e);
}

extern const struct probe probe_sharpness;
const struct probe probe_sharpness = {
    .name = "sharpness",
    .summary = "curvature of the training loss: ends of the Hessian's spectrum, batch sharpness",
    .series = series,
    .period = 1,
    .in_epochs = true,
    .cost = cost,
    .open = open_sharpness,
    .close = close_sharpness,
    .measure = measure,
};
