/* layer_linear.c - a linear layer over all numbers of a map, in PyTorch's order of flattening
 * (c, y, x): a convolution whose kernel is the whole map. */
#include "nn/layer.h"
#include "nn/program.h"

enum { SIDE_MAX = 64 };

struct linear {
    struct channels channels;
    bool bias;
    struct init init, bias_init;
};

static const struct attribute attributes[] = {
    {"channels", ATTRIBUTE_CHANNELS, offsetof(struct linear, channels), true, NULL, 0, 0, NULL,
     "how many outputs, for example classes"},
    {"bias", ATTRIBUTE_FLAG, offsetof(struct linear, bias), false, "yes", 0, 0, NULL,
     "adds a number to each output"},
    {"init", ATTRIBUTE_INIT, offsetof(struct linear, init), false, "default", 0, 0, NULL,
     "first values of the weights"},
    {"bias_init", ATTRIBUTE_INIT, offsetof(struct linear, bias_init), false, "default", 0, 0, NULL,
     "first values of the bias"},
    {0},
};

static int infer(struct builder *b, struct node *n)
{
    struct linear *linear = n->attributes;
    if (linear->channels.kind == CHANNELS_PATCH)
        return builder_fail(b, "channels", "only a convolution can have crs channels");
    if (n->in.h > SIDE_MAX || n->in.w > SIDE_MAX)
        return builder_fail(b, NULL, "a linear layer reads maps of at most %dx%d, not %dx%d",
                            SIDE_MAX, SIDE_MAX, n->in.h, n->in.w);
    if (linear->init.kind == INIT_WHITEN || linear->init.kind == INIT_DIRAC)
        return builder_fail(b, "init", "a linear layer has no such first values");
    if (linear->bias_init.kind != INIT_DEFAULT && linear->bias_init.kind < INIT_CONSTANT)
        return builder_fail(b, "bias_init", "a bias has no such first values");
    n->out = (struct shape){linear->channels.count, 1, 1};
    const int features = n->in.c * n->in.h * n->in.w;
    linear->init.fan_in = linear->bias_init.fan_in = features;
    const int dims[2] = {n->out.c, features};
    builder_tensor(b, n, "weight", ROLE_HEAD, &linear->init, 2, dims);
    if (linear->bias)
        builder_tensor(b, n, "bias", ROLE_HEAD, &linear->bias_init, 1, dims);
    return 0;
}

static double macs(const struct node *n)
{
    return (double)n->out.c * n->in.c * n->in.h * n->in.w;
}

static struct conv_shape shape_of(const struct node *n)
{
    return (struct conv_shape){
        .c = n->in.c, .h = n->in.h, .w = n->in.w, .k = n->out.c, .p = 1, .q = 1,
        .r = n->in.h, .s = n->in.w, .stride = 1, .pad = 0,
    };
}

static void forward(struct lowering *l, int node)
{
    const struct conv_shape s = shape_of(&l->graph->nodes[node]);
    lower_conv(l, node, &s);
}

static void backward(struct lowering *l, int node)
{
    const struct conv_shape s = shape_of(&l->graph->nodes[node]);
    lower_conv_backward(l, node, &s);
}

extern const struct layer layer_linear;
const struct layer layer_linear = {
    .name = "linear",
    .help = "linear layer over the flattened map",
    .attributes = attributes,
    .attributes_size = sizeof(struct linear),
    .inputs_min = 1,
    .inputs_max = 1,
    .infer = infer,
    .macs = macs,
    .forward = forward,
    .backward = backward,
};
