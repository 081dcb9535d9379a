/* layer_norm.c - batch normalisation, as torch.nn.BatchNorm2d (Ioffe and Szegedy 2015), with ghost
 * groups (Hoffer, Hubara, Soudry 2017). */
#include "nn/layer.h"
#include "nn/program.h"

enum trained { TRAINED, FIXED };
enum statistics { STATISTICS_BATCH, STATISTICS_FROZEN };

struct norm {
    int scale, bias;     /* enum trained */
    double eps, momentum;
    int groups, ghost;
    int statistics;
    struct init init, bias_init;
};

static const struct attribute attributes[] = {
    {"scale", ATTRIBUTE_CHOICE, offsetof(struct norm, scale), false, "train", 0, 0, "train|fixed",
     "whether the scale trains"},
    {"bias", ATTRIBUTE_CHOICE, offsetof(struct norm, bias), false, "train", 0, 0, "train|fixed",
     "whether the bias trains"},
    {"eps", ATTRIBUTE_REAL, offsetof(struct norm, eps), false, "1e-5", 0, 1, NULL,
     "added to the variance"},
    {"momentum", ATTRIBUTE_REAL, offsetof(struct norm, momentum), false, "0.1", 0, 1, NULL,
     "share of the new batch in the running statistics"},
    {"groups", ATTRIBUTE_INT, offsetof(struct norm, groups), false, "1", 1, 4096, NULL,
     "parts of the batch with statistics of their own"},
    {"ghost", ATTRIBUTE_INT, offsetof(struct norm, ghost), false, "0", 2, 65536, NULL,
     "images of one part, instead of groups"},
    {"statistics", ATTRIBUTE_CHOICE, offsetof(struct norm, statistics), false, "batch", 0, 0,
     "batch|frozen", "frozen: the running ones, in training too"},
    {"init", ATTRIBUTE_INIT, offsetof(struct norm, init), false, "ones", 0, 0, NULL,
     "first values of the scale"},
    {"bias_init", ATTRIBUTE_INIT, offsetof(struct norm, bias_init), false, "zeros", 0, 0, NULL,
     "first values of the bias"},
    {0},
};

static int infer(struct builder *b, struct node *n)
{
    const struct norm *norm = n->attributes;
    if (norm->ghost && norm->groups > 1)
        return builder_fail(b, "ghost", "either ghost or groups, not both");
    if (norm->init.kind < INIT_CONSTANT)
        return builder_fail(b, "init", "a batch norm has no such first values");
    if (norm->bias_init.kind < INIT_CONSTANT)
        return builder_fail(b, "bias_init", "a batch norm has no such first values");
    n->out = n->in;
    const int dims[1] = {n->in.c};
    const struct init zero = {.kind = INIT_CONSTANT}, one = {.kind = INIT_CONSTANT, .value = 1};
    builder_tensor(b, n, "weight", ROLE_NORM_SCALE, &norm->init, 1, dims)->frozen =
        norm->scale == FIXED;
    builder_tensor(b, n, "bias", ROLE_NORM_BIAS, &norm->bias_init, 1, dims)->frozen =
        norm->bias == FIXED;
    builder_tensor(b, n, "running_mean", ROLE_NORM_SCALE, &zero, 1, dims)->is_state = true;
    builder_tensor(b, n, "running_var", ROLE_NORM_SCALE, &one, 1, dims)->is_state = true;
    return 0;
}

static struct norm_params params_of(const struct node *n)
{
    const struct norm *norm = n->attributes;
    return (struct norm_params){
        .shape = {
            .c = n->in.c, .h = n->in.h, .w = n->in.w,
            .groups = norm->groups,
            .eps = norm->eps,
            .momentum = norm->momentum,
            .frozen = norm->statistics == STATISTICS_FROZEN,
            .act = ACT_NONE,
        },
        .ghost = norm->ghost,
    };
}

/* A step of the node with its parameters and tensors set. */
static struct step *norm_step(struct lowering *l, const struct operation *op, int node)
{
    const struct node *n = &l->graph->nodes[node];
    struct step *s = lower_step(l, op, node);
    s->norm = params_of(n);
    s->norm.shape.frozen = s->norm.shape.frozen || l->frozen;
    for (int i = 0; i < n->tensor_count; i++)
        s->tensors[i] = n->tensors[i];
    return s;
}

static void forward(struct lowering *l, int node)
{
    const struct norm_params params = params_of(&l->graph->nodes[node]);
    bool running = l->frozen || params.shape.frozen;
    int x = lower_input(l, node, 0), mean = lower_bytes(l), rstd = lower_bytes(l);
    struct step *s = norm_step(l, running ? &op_norm_running : &op_norm_statistics, node);
    step_writes(s, mean);
    step_writes(s, rstd);
    if (!running) {
        step_reads(s, x);
        step_writes(s, lower_bytes(l));
    }
    s = norm_step(l, &op_norm, node);
    step_reads(s, x);
    step_reads(s, mean);
    step_reads(s, rstd);
    l->values[node] = lower_map(l, l->graph->nodes[node].out);
    step_writes(s, l->values[node]);
}

static void backward(struct lowering *l, int node)
{
    const struct node *n = &l->graph->nodes[node];
    const struct step *norm = program_writer(l->program, l->values[node]);
    struct step *s = norm_step(l, &op_norm_backward, node);
    for (int i = 0; i < 3; i++)
        step_reads(s, norm->reads[i]);
    step_reads(s, lower_gradient(l, node));
    int dx = lower_map(l, n->in);
    step_writes(s, dx);
    step_writes(s, lower_bytes(l));
    s->gradients[0] = n->tensors[0];
    s->gradients[1] = n->tensors[1];
    lower_give(l, node, 0, dx);
}

extern const struct layer layer_batchnorm;
const struct layer layer_batchnorm = {
    .name = "batchnorm",
    .help = "batch normalisation",
    .attributes = attributes,
    .attributes_size = sizeof(struct norm),
    .inputs_min = 1,
    .inputs_max = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
