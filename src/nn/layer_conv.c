/* layer_conv.c - two-dimensional convolution (cross-correlation, zero padding), as torch.nn.Conv2d.
 */
#include "nn/layer.h"
#include "nn/program.h"

struct conv {
    struct kernel kernel;
    struct channels channels;
    int stride, pad;
    bool bias, frozen;
    struct init init, bias_init;
    double whiten_eps;
    int whiten_images;
};

static const struct attribute attributes[] = {
    {"kernel", ATTRIBUTE_KERNEL, offsetof(struct conv, kernel), true, NULL, 1, 7, NULL,
     "rows x columns of the filters, for example 3x3"},
    {"channels", ATTRIBUTE_CHANNELS, offsetof(struct conv, channels), true, NULL, 0, 0, NULL,
     "how many filters, for example 64w"},
    {"stride", ATTRIBUTE_INT, offsetof(struct conv, stride), false, "1", 1, 16, NULL,
     "step of the filters"},
    {"pad", ATTRIBUTE_INT, offsetof(struct conv, pad), false, "0", 0, 6, NULL,
     "zeros around the map"},
    {"bias", ATTRIBUTE_FLAG, offsetof(struct conv, bias), false, "no", 0, 0, NULL,
     "adds a number to each channel"},
    {"frozen", ATTRIBUTE_FLAG, offsetof(struct conv, frozen), false, "no", 0, 0, NULL,
     "weights and bias never train"},
    {"init", ATTRIBUTE_INIT, offsetof(struct conv, init), false, "default", 0, 0, NULL,
     "first values of the weights"},
    {"bias_init", ATTRIBUTE_INIT, offsetof(struct conv, bias_init), false, "default", 0, 0, NULL,
     "first values of the bias"},
    {"whiten_eps", ATTRIBUTE_REAL, offsetof(struct conv, whiten_eps), false, "5e-4", 0, 1, NULL,
     "added to the eigenvalues of the patches"},
    {"whiten_images", ATTRIBUTE_INT, offsetof(struct conv, whiten_images), false, "5000", 1,
     1000000, NULL, "training images whose patches are looked at"},
    {0},
};

static struct conv_shape shape_of(const struct node *n)
{
    const struct conv *conv = n->attributes;
    return (struct conv_shape){
        .c = n->in.c, .h = n->in.h, .w = n->in.w,
        .k = n->out.c, .p = n->out.h, .q = n->out.w,
        .r = conv->kernel.r, .s = conv->kernel.s,
        .stride = conv->stride, .pad = conv->pad,
    };
}

static int infer_shape(struct builder *b, struct node *n)
{
    const struct conv *conv = n->attributes;
    int h = n->in.h + 2 * conv->pad - conv->kernel.r, w = n->in.w + 2 * conv->pad - conv->kernel.s;
    if (h < 0 || w < 0)
        return builder_fail(b, "kernel", "a %dx%d kernel does not fit into the %dx%d map with "
                            "padding %d", conv->kernel.r, conv->kernel.s, n->in.h, n->in.w,
                            conv->pad);
    if (conv->pad >= conv->kernel.r && conv->pad >= conv->kernel.s && conv->pad > 0)
        return builder_fail(b, "pad", "padding %d is as wide as the kernel", conv->pad);
    int patch = n->in.c * conv->kernel.r * conv->kernel.s, k = conv->channels.count;
    if (conv->channels.kind == CHANNELS_PATCH)
        k *= patch;
    if (conv->init.kind == INIT_WHITEN && k != patch && k != 2 * patch)
        return builder_fail(b, "channels", "whitening needs %d or %d channels (crs or 2crs), not "
                            "%d", patch, 2 * patch, k);
    n->out = (struct shape){k, h / conv->stride + 1, w / conv->stride + 1};
    return 0;
}

static int infer(struct builder *b, struct node *n)
{
    struct conv *conv = n->attributes;
    if (infer_shape(b, n))
        return -1;
    if (conv->init.kind == INIT_WHITEN && n->inputs[0] != 0)
        return builder_fail(b, "init", "only a layer that reads the image can whiten");
    if (conv->bias_init.kind != INIT_DEFAULT && conv->bias_init.kind < INIT_CONSTANT)
        return builder_fail(b, "bias_init", "a bias has no such first values");
    bool whiten = conv->init.kind == INIT_WHITEN;
    conv->init.fan_in = conv->bias_init.fan_in = n->in.c * conv->kernel.r * conv->kernel.s;
    conv->init.eps = conv->whiten_eps;
    conv->init.images = conv->whiten_images;
    const int dims[4] = {n->out.c, n->in.c, conv->kernel.r, conv->kernel.s};
    struct tensor *t = builder_tensor(b, n, "weight", whiten ? ROLE_WHITEN : ROLE_WEIGHT,
                                      &conv->init, 4, dims);
    t->frozen = conv->frozen || whiten;
    if (conv->bias) {
        t = builder_tensor(b, n, "bias", whiten ? ROLE_WHITEN : ROLE_BIAS, &conv->bias_init, 1,
                           dims);
        t->frozen = conv->frozen;
    }
    return 0;
}

static double macs(const struct node *n)
{
    const struct conv *conv = n->attributes;
    return (double)n->out.c * n->out.h * n->out.w * n->in.c * conv->kernel.r * conv->kernel.s;
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

extern const struct layer layer_conv;
const struct layer layer_conv = {
    .name = "conv",
    .help = "convolution",
    .attributes = attributes,
    .attributes_size = sizeof(struct conv),
    .inputs_min = 1,
    .inputs_max = 1,
    .infer = infer,
    .macs = macs,
    .forward = forward,
    .backward = backward,
};
