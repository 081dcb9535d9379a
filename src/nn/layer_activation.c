/* layer_activation.c - the activations: ReLU, GELU with the exact erf (Hendrycks and Gimpel 2016),
 * SiLU (Elfwing et al. 2017), CELU (Barron 2017). One type each. */
#include "nn/layer.h"
#include "nn/program.h"

struct activation_attributes {
    double alpha;        /* of CELU */
};

static const struct attribute no_attributes[] = {{0}};

static const struct attribute celu_attributes[] = {
    {"alpha", ATTRIBUTE_REAL, offsetof(struct activation_attributes, alpha), false, "1", 1e-3, 1e3,
     NULL, "where the curve levels off: max(0, x) + min(0, alpha (exp(x / alpha) - 1))"},
    {0},
};

static int infer(struct builder *b, struct node *n)
{
    (void)b;
    n->out = n->in;
    return 0;
}

static void lower(struct lowering *l, int node, enum activation act, bool backward)
{
    const struct activation_attributes *a = l->graph->nodes[node].attributes;
    double param = act == ACT_CELU ? a->alpha : 0;
    if (backward)
        lower_activation_backward(l, node, act, param);
    else
        lower_activation(l, node, act, param);
}

/* The two functions and the struct of one activation. */
#define ACTIVATION(NAME, ACT, TABLE, HELP)                                                         \
    static void NAME##_forward(struct lowering *l, int node)                                       \
    {                                                                                              \
        lower(l, node, ACT, false);                                                                \
    }                                                                                              \
    static void NAME##_backward(struct lowering *l, int node)                                      \
    {                                                                                              \
        lower(l, node, ACT, true);                                                                 \
    }                                                                                              \
    extern const struct layer layer_##NAME;                                                        \
    const struct layer layer_##NAME = {                                                            \
        .name = #NAME,                                                                             \
        .help = HELP,                                                                              \
        .attributes = TABLE,                                                                       \
        .attributes_size = sizeof(struct activation_attributes),                                   \
        .inputs_min = 1,                                                                           \
        .inputs_max = 1,                                                                           \
        .infer = infer,                                                                            \
        .forward = NAME##_forward,                                                                 \
        .backward = NAME##_backward,                                                               \
    }

ACTIVATION(relu, ACT_RELU, no_attributes, "max(0, x)");
ACTIVATION(gelu, ACT_GELU, no_attributes, "x times the normal distribution function, exact");
ACTIVATION(silu, ACT_SILU, no_attributes, "x / (1 + exp(-x))");
ACTIVATION(celu, ACT_CELU, celu_attributes, "x above 0, alpha (exp(x / alpha) - 1) below");
