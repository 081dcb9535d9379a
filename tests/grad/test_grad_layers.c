/* test_grad_layers.c - every layer type's gradients against finite differences in double.
 *
 * For each network the derivative of the whole loss along a direction v over all trainable tensors,
 * <gradient, v>, is compared with central differences D(h) = (L(w + h v) - L(w - h v)) / 2h and
 * D(h/2). Their errors are a h^2 and a h^2 / 4 plus rounding, so R = (4 D(h/2) - D(h)) / 3 has an
 * error far below |D(h) - D(h/2)|, which with the rounding of the two losses bounds what is
 * allowed. The bound itself must be small beside the gradient's norm, or the test would be void.
 * Directions: the gradient itself (any wrong length shows) and a random one.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "support/net.h"

static const double step = 1e-5, epsilon = 2.2e-16;

/* All trainable parameters as one host vector. */
struct vector {
    double *x;
    size_t count;
};

enum copy { COPY_PARAMETERS, COPY_GRADIENTS, WRITE_PARAMETERS };

static void copy(struct net *net, struct vector *v, enum copy what)
{
    const struct backend_ops *ops = net->backend->ops;
    size_t at = 0;
    for (int t = 0; t < net->graph.tensor_count; t++) {
        size_t count = net->graph.tensors[t].count;
        if (!net->model.trainable[t])
            continue;
        if (what == WRITE_PARAMETERS)
            ops->write_reals(net->backend, model_tensor(&net->model, t), v->x + at, count);
        else
            ops->read_reals(net->backend, v->x + at,
                            what == COPY_PARAMETERS ? model_tensor(&net->model, t)
                                                    : model_gradient(&net->model, t), count);
        at += count;
    }
    v->count = at;
}

static struct vector new_vector(struct net *net)
{
    return (struct vector){calloc(net->graph.params_count, sizeof(double)), 0};
}

static double dot(const struct vector *a, const struct vector *b)
{
    double sum = 0;
    for (size_t i = 0; i < a->count; i++)
        sum += a->x[i] * b->x[i];
    return sum;
}

static void normalise(struct vector *v)
{
    double norm = sqrt(dot(v, v));
    for (size_t i = 0; i < v->count; i++)
        v->x[i] /= norm;
}

/* The loss at w + h v. */
static double loss_at(struct net *net, int n, const struct vector *w, const struct vector *v,
                      double h)
{
    struct vector moved = new_vector(net);
    for (size_t i = 0; i < w->count; i++)
        moved.x[i] = w->x[i] + h * v->x[i];
    copy(net, &moved, WRITE_PARAMETERS);
    free(moved.x);
    net_fill_input(net, 1);
    return net_loss(net, n);
}

static double difference(struct net *net, int n, const struct vector *w, const struct vector *v,
                         double h)
{
    return (loss_at(net, n, w, v, h) - loss_at(net, n, w, v, -h)) / (2 * h);
}

static void check_direction(struct net *net, const char *name, int n, const struct vector *w,
                            const struct vector *g, const struct vector *v)
{
    double coarse = difference(net, n, w, v, step), fine = difference(net, n, w, v, step / 2);
    double expected = (4 * fine - coarse) / 3, got = dot(g, v), norm = sqrt(dot(g, g));
    /* A loss of order 1 is a mean over chains of some ten layers of sums of some hundred terms. */
    double rounding = 1000 * epsilon / step;
    double bound = fabs(coarse - fine) + rounding;
    if (bound > 1e-4 * norm || fabs(got - expected) > bound)
        fail_msg("%s: derivative %.12g, differences %.12g, bound %.3g, |gradient| %.6g", name, got,
                 expected, bound, norm);
}

static void check_net(const char *name, const char *text, int side, int n)
{
    struct net net;
    net_open(&net, text, side, n, PRECISION_FP64, TIER_REF, 1);
    struct vector w = new_vector(&net), g = new_vector(&net), v = new_vector(&net);
    copy(&net, &w, COPY_PARAMETERS);
    net_step(&net, n, 1);
    copy(&net, &g, COPY_GRADIENTS);
    copy(&net, &v, COPY_GRADIENTS);
    normalise(&v);
    check_direction(&net, name, n, &w, &g, &v);
    struct rng r = rng_at(5, RNG_TEST, 0, 0);
    for (size_t i = 0; i < v.count; i++)
        v.x[i] = rng_normal(&r);
    normalise(&v);
    check_direction(&net, name, n, &w, &g, &v);
    free(w.x);
    free(g.x);
    free(v.x);
    net_close(&net);
}

struct grad_case {
    const char *name, *text;
};

static void check_all(const struct grad_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check_net(cases[i].name, cases[i].text, 8, 6);
}

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define HEAD "a conv 3x3 7 pad=1\nsmooth silu\n"
#define TAIL "\ntail avgpool global\nlinear linear classes\n"

static void test_grad__convolution(void **state)
{
    (void)state;
    static const struct grad_case cases[] = {
        {"1x1", HEAD "b conv 1x1 9" TAIL},
        {"2x2", HEAD "b conv 2x2 9" TAIL},
        {"2x2 padded", HEAD "b conv 2x2 9 pad=1" TAIL},
        {"3x3", HEAD "b conv 3x3 9" TAIL},
        {"3x3 padded, bias", HEAD "b conv 3x3 9 pad=1 bias=yes" TAIL},
        {"3x3 stride 2", HEAD "b conv 3x3 9 pad=1 stride=2" TAIL},
        {"1x1 stride 2", HEAD "b conv 1x1 9 stride=2" TAIL},
        {"5x3 stride 3", HEAD "b conv 5x3 20 pad=2 stride=3\ntail maxpool 2\nl linear classes"},
        {"7x7", HEAD "b conv 7x7 9 pad=3 bias=yes" TAIL},
        {"frozen", HEAD "b conv 3x3 9 pad=1 frozen=yes bias=yes" TAIL},
        {"whitening", "b conv 2x2 2crs bias=yes init=whiten\ng gelu" TAIL},
    };
    check_all(cases, COUNT(cases));
}

static void test_grad__batch_norm(void **state)
{
    (void)state;
    static const struct grad_case cases[] = {
        {"plain", HEAD "b batchnorm" TAIL},
        {"fixed scale", HEAD "b batchnorm scale=fixed" TAIL},
        {"fixed bias", HEAD "b batchnorm bias=fixed" TAIL},
        {"both fixed", HEAD "b batchnorm scale=fixed bias=fixed" TAIL},
        {"large eps", HEAD "b batchnorm eps=0.5" TAIL},
        {"two groups", HEAD "b batchnorm groups=2" TAIL},
        {"ghosts of 2", HEAD "b batchnorm ghost=2" TAIL},
        {"ghosts of 4, six images", HEAD "b batchnorm ghost=4" TAIL},
        {"frozen", HEAD "b batchnorm statistics=frozen" TAIL},
        {"frozen and fixed", HEAD "b batchnorm statistics=frozen scale=fixed" TAIL},
        {"first layer", "b batchnorm\nc conv 3x3 9" TAIL},
    };
    check_all(cases, COUNT(cases));
}

static void test_grad__activations(void **state)
{
    (void)state;
    static const struct grad_case cases[] = {
        {"relu", HEAD "b relu" TAIL},
        {"gelu", HEAD "b gelu" TAIL},
        {"silu", HEAD "b silu" TAIL},
        {"celu", HEAD "b celu" TAIL},
        {"celu 0.3", HEAD "b celu alpha=0.3" TAIL},
    };
    check_all(cases, COUNT(cases));
}

/* Batch norm and activation become one step; once more when the norm's output has another reader,
 * so that they do not. */
static void test_grad__batch_norm_with_activation(void **state)
{
    (void)state;
    static const struct grad_case cases[] = {
        {"relu", HEAD "b batchnorm\nc relu\nd conv 3x3 9" TAIL},
        {"gelu", HEAD "b batchnorm groups=2\nc gelu\nd conv 3x3 9" TAIL},
        {"silu", HEAD "b batchnorm statistics=frozen\nc silu\nd conv 3x3 9" TAIL},
        {"celu", HEAD "b batchnorm scale=fixed\nc celu alpha=0.3\nd conv 3x3 9" TAIL},
        {"read twice", HEAD "b batchnorm\nc gelu\nd add b c" TAIL},
        {"two activations", HEAD "b batchnorm\nc gelu\nd relu from=b\ne add c d" TAIL},
    };
    check_all(cases, COUNT(cases));
}

static void test_grad__pooling(void **state)
{
    (void)state;
    static const struct grad_case cases[] = {
        {"max", HEAD "b maxpool 2" TAIL},
        {"max, floor", HEAD "b maxpool 3" TAIL},
        {"max, overlapping", HEAD "b maxpool 3 2" TAIL},
        {"max, gaps", HEAD "b maxpool 2 3" TAIL},
        {"max, global", HEAD "b maxpool global\nl linear classes"},
        {"average", HEAD "b avgpool 2" TAIL},
        {"average, floor", HEAD "b avgpool 3" TAIL},
        {"average, overlapping", HEAD "b avgpool 3 2" TAIL},
        {"max after a trimmed convolution", HEAD "c conv 2x2 9 bias=yes\nb maxpool 2" TAIL},
        {"average after a trimmed convolution", HEAD "c conv 3x3 9 pad=1\nb avgpool 3" TAIL},
        {"max with gaps, strided and trimmed", HEAD "c conv 1x1 9 stride=2\nb maxpool 1 2" TAIL},
    };
    check_all(cases, COUNT(cases));
}

static void test_grad__branches(void **state)
{
    (void)state;
    static const struct grad_case cases[] = {
        {"identity", HEAD "b conv 3x3 7 pad=1\nc add smooth b" TAIL},
        {"projection", HEAD "b conv 3x3 9 pad=1 stride=2\np conv 1x1 9 stride=2 from=smooth\n"
                       "c add b p" TAIL},
        {"a value added to itself", HEAD "c add smooth smooth" TAIL},
        {"three readers", HEAD "b conv 1x1 7\nc conv 1x1 7 from=smooth\nd add b c\n"
                          "e add d smooth" TAIL},
        {"chain of sums", HEAD "b silu\nc add smooth b\nd add b c\ne add c d" TAIL},
        {"norm of the image", "a conv 3x3 9 pad=1\nn batchnorm from=input\nb conv 3x3 9 pad=1\n"
                              "c add a b" TAIL},
        {"image branches", "a conv 1x1 3\nb add input a\nc conv 3x3 9" TAIL},
        {"concat of two", HEAD "b conv 3x3 11 pad=1\nc concat smooth b" TAIL},
        {"concat of four", HEAD "b conv 1x1 8\nc conv 1x1 9 from=smooth\nd conv 1x1 1 from=smooth\n"
                           "e concat b c smooth d" TAIL},
        {"concat with itself and the image", HEAD "e concat smooth input smooth" TAIL},
        {"concat of pools", HEAD "m maxpool 4\nn avgpool 4 from=smooth\nc concat m n\n"
                            "l linear classes"},
    };
    check_all(cases, COUNT(cases));
}

static void test_grad__linear_and_scale(void **state)
{
    (void)state;
    static const struct grad_case cases[] = {
        {"linear over a map", HEAD "l linear classes"},
        {"linear without bias", HEAD "l linear classes bias=no"},
        {"two linear layers", HEAD "p maxpool 4\nk linear 13\nr silu\nl linear classes"},
        {"scaled logits", HEAD "p maxpool 4\nl linear classes\ns scale 1/9"},
        {"scale inside", HEAD "s scale -1.5\np maxpool 4\nl linear classes"},
    };
    check_all(cases, COUNT(cases));
}

/* More than one block of images and more than one block of channels. */
static void test_grad__several_blocks(void **state)
{
    (void)state;
    check_net("blocks", "a conv 3x3 19 pad=1\nn batchnorm ghost=16\ng gelu\n"
                        "b conv 2x2 17 bias=yes\np maxpool 2\nm batchnorm\nh relu\n"
                        "l linear classes\n", 6, 70);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grad__convolution),
        cmocka_unit_test(test_grad__batch_norm),
        cmocka_unit_test(test_grad__activations),
        cmocka_unit_test(test_grad__batch_norm_with_activation),
        cmocka_unit_test(test_grad__pooling),
        cmocka_unit_test(test_grad__branches),
        cmocka_unit_test(test_grad__linear_and_scale),
        cmocka_unit_test(test_grad__several_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
