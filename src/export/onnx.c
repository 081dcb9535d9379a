/* onnx.c - see onnx.h. Numbers of fields are from onnx.proto3 of ONNX 1.12:
 *
 *     ModelProto      ir_version 1, producer_name 2, producer_version 3, graph 7, opset_import 8,
 *                     metadata_props 14
 *     GraphProto      node 1, name 2, initializer 5, input 11, output 12
 *     NodeProto       input 1, output 2, name 3, op_type 4, attribute 5
 *     AttributeProto  name 1, f 2, i 3, ints 8, type 20 (FLOAT 1, INT 2, INTS 7)
 *     TensorProto     dims 1, data_type 2 (FLOAT 1, INT64 7), name 8, raw_data 9
 *
 * A value is called after the node that makes it, "layer1.conv/out"; names of lines have no slash,
 * so nothing else is called that.
 */
#include "export/onnx.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "nn/layer.h"

struct model {
    const struct graph *graph;
    const struct safetensors *weights;
    struct arena arena;
    struct wire nodes;           /* fields of the GraphProto: nodes and initialisers */
    const char **values;         /* [node_count]: names of what the nodes make */
    bool *flat;                  /* [node_count]: that is [N, C] instead of [N, C, H, W] */
    bool constants;              /* those of GELU are there */
};

static void add_tensor(struct model *m, const char *name, int ndim, const int *dims, int type,
                       const void *data, size_t bytes)
{
    struct wire t = {0};
    for (int i = 0; i < ndim; i++)
        wire_integer(&t, 1, dims[i]);
    wire_integer(&t, 2, type);
    wire_text(&t, 8, name);
    wire_bytes(&t, 9, data, bytes);
    wire_message(&m->nodes, 5, &t);
}

static const char *add_scalar(struct model *m, const char *name, float value)
{
    add_tensor(m, name, 0, NULL, 1, &value, sizeof value);
    return name;
}

static void ints_attribute(struct wire *attributes, const char *name, int count, const int *values)
{
    struct wire a = {0};
    wire_text(&a, 1, name);
    for (int i = 0; i < count; i++)
        wire_integer(&a, 8, values[i]);
    wire_integer(&a, 20, 7);
    wire_message(attributes, 5, &a);
}

static void int_attribute(struct wire *attributes, const char *name, int value)
{
    struct wire a = {0};
    wire_text(&a, 1, name);
    wire_integer(&a, 3, value);
    wire_integer(&a, 20, 2);
    wire_message(attributes, 5, &a);
}

static void float_attribute(struct wire *attributes, const char *name, double value)
{
    struct wire a = {0};
    wire_text(&a, 1, name);
    wire_float(&a, 2, (float)value);
    wire_integer(&a, 20, 1);
    wire_message(attributes, 5, &a);
}

enum { INPUTS = 6 };

/* Appends a node that reads `inputs` (NULL-ended) and makes `output`; releases the attributes. */
static void add_node(struct model *m, const char *op, const char *name,
                     const char *const *inputs, const char *output, struct wire *attributes)
{
    struct wire n = {0};
    for (int i = 0; inputs[i]; i++)
        wire_text(&n, 1, inputs[i]);
    wire_text(&n, 2, output);
    wire_text(&n, 3, name);
    wire_text(&n, 4, op);
    if (attributes) {
        wire_raw(&n, attributes->data, attributes->size);
        wire_release(attributes);
    }
    wire_message(&m->nodes, 1, &n);
}

static const char *part(struct model *m, const char *name, const char *what)
{
    return arena_printf(&m->arena, "%s/%s", name, what);
}

/* The i-th input as [N, C, H, W], made such if it is flat; or as it is, if that will do. */
static const char *input(struct model *m, const struct node *n, int i, bool flat_will_do)
{
    const int from = n->inputs[i], axes_dims[1] = {2};
    if (!m->flat[from] || flat_will_do)
        return m->values[from];
    static const int64_t axes[2] = {2, 3};
    const char *name = arena_printf(&m->arena, "%s/map%d", n->name, i);
    const char *list = arena_printf(&m->arena, "%s/axes%d", n->name, i);
    add_tensor(m, list, 1, axes_dims, 7, axes, sizeof axes);
    add_node(m, "Unsqueeze", name, (const char *const[]){m->values[from], list, NULL}, name, NULL);
    return name;
}

/* A layer of one operator that reads the node's first input and its first tensors. */
static void add_layer(struct model *m, int node, const char *op, int tensors,
                      struct wire *attributes)
{
    const struct node *n = &m->graph->nodes[node];
    const char *inputs[INPUTS] = {input(m, n, 0, m->flat[node])};
    for (int i = 0; i < tensors; i++)
        inputs[i + 1] = m->graph->tensors[n->tensors[i]].name;
    add_node(m, op, n->name, inputs, m->values[node], attributes);
}

static int attribute_int(const struct node *n, const char *name)
{
    return *(const int *)node_attribute(n, name);
}

static double attribute_real(const struct node *n, const char *name)
{
    return *(const double *)node_attribute(n, name);
}

static void emit_conv(struct model *m, int node)
{
    const struct node *n = &m->graph->nodes[node];
    const int *dims = m->graph->tensors[n->tensors[0]].dims; /* K C R S */
    const int stride = attribute_int(n, "stride"), pad = attribute_int(n, "pad");
    struct wire a = {0};
    ints_attribute(&a, "kernel_shape", 2, &dims[2]);
    ints_attribute(&a, "strides", 2, (const int[]){stride, stride});
    ints_attribute(&a, "pads", 4, (const int[]){pad, pad, pad, pad});
    add_layer(m, node, "Conv", n->tensor_count, &a);
}

static void emit_batchnorm(struct model *m, int node)
{
    struct wire a = {0};
    float_attribute(&a, "epsilon", attribute_real(&m->graph->nodes[node], "eps"));
    add_layer(m, node, "BatchNormalization", 4, &a);
}

static void emit_pool(struct model *m, int node, const char *op)
{
    const struct node *n = &m->graph->nodes[node];
    const int window = attribute_int(n, "window"), stride = attribute_int(n, "stride");
    struct wire a = {0};
    ints_attribute(&a, "kernel_shape", 2, (const int[]){window, window});
    ints_attribute(&a, "strides", 2, (const int[]){stride, stride});
    add_layer(m, node, op, 0, &a);
}

static void emit_maxpool(struct model *m, int node)
{
    emit_pool(m, node, "MaxPool");
}

static void emit_avgpool(struct model *m, int node)
{
    emit_pool(m, node, "AveragePool");
}

static void emit_relu(struct model *m, int node)
{
    add_layer(m, node, "Relu", 0, NULL);
}

static void emit_celu(struct model *m, int node)
{
    struct wire a = {0};
    float_attribute(&a, "alpha", attribute_real(&m->graph->nodes[node], "alpha"));
    add_layer(m, node, "Celu", 0, &a);
}

/* A step within a layer: "name/what" = op(a, b). */
static const char *add_step(struct model *m, const char *name, const char *what, const char *op,
                            const char *a, const char *b)
{
    const char *value = part(m, name, what);
    add_node(m, op, value, (const char *const[]){a, b, NULL}, value, NULL);
    return value;
}

/* x sigmoid(x) */
static void emit_silu(struct model *m, int node)
{
    const char *name = m->graph->nodes[node].name;
    const char *x = input(m, &m->graph->nodes[node], 0, m->flat[node]);
    const char *s = add_step(m, name, "sigmoid", "Sigmoid", x, NULL);
    add_node(m, "Mul", name, (const char *const[]){x, s, NULL}, m->values[node], NULL);
}

/* x (0.5 (1 + erf(x / sqrt 2))) */
static void emit_gelu(struct model *m, int node)
{
    const char *name = m->graph->nodes[node].name;
    const char *x = input(m, &m->graph->nodes[node], 0, m->flat[node]);
    if (!m->constants) {
        add_scalar(m, "/root_half", 0.707106781186547524f);
        add_scalar(m, "/half", 0.5f);
        add_scalar(m, "/one", 1.0f);
    }
    m->constants = true;
    const char *v = add_step(m, name, "scaled", "Mul", x, "/root_half");
    v = add_step(m, name, "erf", "Erf", v, NULL);
    v = add_step(m, name, "shifted", "Add", v, "/one");
    v = add_step(m, name, "share", "Mul", v, "/half");
    add_node(m, "Mul", name, (const char *const[]){x, v, NULL}, m->values[node], NULL);
}

static void emit_scale(struct model *m, int node)
{
    const struct node *n = &m->graph->nodes[node];
    const char *factor = add_scalar(m, part(m, n->name, "factor"),
                                    (float)attribute_real(n, "factor"));
    const char *x = input(m, n, 0, m->flat[node]);
    add_node(m, "Mul", n->name, (const char *const[]){x, factor, NULL}, m->values[node], NULL);
}

static void join(struct model *m, int node, const char *op, struct wire *attributes)
{
    const struct node *n = &m->graph->nodes[node];
    const char *inputs[INPUTS] = {NULL};
    for (int i = 0; i < n->input_count; i++)
        inputs[i] = input(m, n, i, m->flat[node]);
    add_node(m, op, n->name, inputs, m->values[node], attributes);
}

static void emit_add(struct model *m, int node)
{
    join(m, node, "Add", NULL);
}

static void emit_concat(struct model *m, int node)
{
    struct wire a = {0};
    int_attribute(&a, "axis", 1);
    join(m, node, "Concat", &a);
}

static void emit_linear(struct model *m, int node)
{
    const struct node *n = &m->graph->nodes[node];
    const char *inputs[INPUTS] = {m->values[n->inputs[0]]};
    struct wire a = {0};
    if (!m->flat[n->inputs[0]])
        inputs[0] = add_step(m, n->name, "flat", "Flatten", inputs[0], NULL); /* axis 1 */
    for (int i = 0; i < n->tensor_count; i++)
        inputs[i + 1] = m->graph->tensors[n->tensors[i]].name;
    int_attribute(&a, "transB", 1);
    add_node(m, "Gemm", n->name, inputs, m->values[node], &a);
}

enum form { FORM_MAP, FORM_FLAT, FORM_OF_INPUTS };

/* What each layer type becomes: maps, flat vectors, or whatever its inputs all are. */
static const struct {
    const char *layer;
    enum form form;
    void (*emit)(struct model *m, int node);
} forms[] = {
    {"conv", FORM_MAP, emit_conv},
    {"batchnorm", FORM_OF_INPUTS, emit_batchnorm},
    {"relu", FORM_OF_INPUTS, emit_relu},
    {"gelu", FORM_OF_INPUTS, emit_gelu},
    {"silu", FORM_OF_INPUTS, emit_silu},
    {"celu", FORM_OF_INPUTS, emit_celu},
    {"maxpool", FORM_MAP, emit_maxpool},
    {"avgpool", FORM_MAP, emit_avgpool},
    {"add", FORM_OF_INPUTS, emit_add},
    {"concat", FORM_OF_INPUTS, emit_concat},
    {"linear", FORM_FLAT, emit_linear},
    {"scale", FORM_OF_INPUTS, emit_scale},
};

static int add_graph_node(struct model *m, int node, struct err *e)
{
    const struct node *n = &m->graph->nodes[node];
    size_t i = 0, count = sizeof forms / sizeof forms[0];
    while (i < count && strcmp(forms[i].layer, n->layer->name) != 0)
        i++;
    if (i == count)
        return err_set(e, EXIT_FAILED, "'%s': the layer type '%s' has no form in ONNX", n->name,
                       n->layer->name);
    m->flat[node] = forms[i].form != FORM_MAP;
    for (int k = 0; forms[i].form == FORM_OF_INPUTS && k < n->input_count; k++)
        m->flat[node] = m->flat[node] && m->flat[n->inputs[k]];
    bool last = node == m->graph->node_count - 1;
    m->values[node] = last && m->flat[node] ? "logits" : part(m, n->name, "out");
    forms[i].emit(m, node);
    if (last && !m->flat[node])
        add_node(m, "Flatten", "logits", (const char *const[]){m->values[node], NULL}, "logits",
                 NULL);
    return 0;
}

/* An initialiser of the checkpoint's tensor, single precision. */
static void add_weights(struct model *m, const struct tensor *t)
{
    const struct safetensor *s = safetensors_find(m->weights, t->name);
    assert(s);
    if (s->type == SAFETENSOR_F32) {
        add_tensor(m, t->name, t->ndim, t->dims, 1, s->data, s->bytes);
        return;
    }
    assert(s->type == SAFETENSOR_F64);
    size_t count = s->bytes / sizeof(double);
    float *narrow = xmalloc(count * sizeof *narrow);
    for (size_t i = 0; i < count; i++) {
        double value;
        memcpy(&value, (const char *)s->data + i * sizeof value, sizeof value);
        narrow[i] = (float)value;
    }
    add_tensor(m, t->name, t->ndim, t->dims, 1, narrow, count * sizeof *narrow);
    free(narrow);
}

/* ValueInfoProto: name 1, type 2 { tensor_type 1 { elem_type 1, shape 2 { dim 1 { dim_value 1 or
 * dim_param 2 } } } }. The first dimension is free. */
static void add_value_info(struct wire *graph, int field, const char *name, int ndim,
                           const int *dims)
{
    struct wire shape = {0}, first = {0}, tensor = {0}, type = {0}, value = {0};
    wire_text(&first, 2, "N");
    wire_message(&shape, 1, &first);
    for (int i = 0; i < ndim; i++) {
        struct wire dim = {0};
        wire_integer(&dim, 1, dims[i]);
        wire_message(&shape, 1, &dim);
    }
    wire_integer(&tensor, 1, 1);
    wire_message(&tensor, 2, &shape);
    wire_message(&type, 1, &tensor);
    wire_text(&value, 1, name);
    wire_message(&value, 2, &type);
    wire_message(graph, field, &value);
}

static void add_model(struct wire *out, struct model *m, const struct safetensors_pair *metadata,
                      int pairs)
{
    const struct graph *g = m->graph;
    const struct shape *in = &g->nodes[0].out;
    struct wire opset = {0};
    wire_text(&m->nodes, 2, g->name);
    add_value_info(&m->nodes, 11, "input", 3, (const int[]){in->c, in->h, in->w});
    add_value_info(&m->nodes, 12, "logits", 1, &g->classes);
    wire_integer(out, 1, ONNX_IR);
    wire_text(out, 2, "kiln");
    wire_message(out, 7, &m->nodes);
    wire_text(&opset, 1, "");
    wire_integer(&opset, 2, ONNX_OPSET);
    wire_message(out, 8, &opset);
    for (int i = 0; i < pairs; i++) {
        struct wire pair = {0};
        wire_text(&pair, 1, metadata[i].key);
        wire_text(&pair, 2, metadata[i].value);
        wire_message(out, 14, &pair);
    }
}

int onnx_build(struct wire *out, const struct graph *g, const struct safetensors *weights,
               const struct safetensors_pair *metadata, int pairs, struct err *e)
{
    struct model m = {.graph = g, .weights = weights};
    int rc = 0;
    m.values = arena_alloc(&m.arena, (size_t)g->node_count, sizeof *m.values);
    m.flat = arena_alloc(&m.arena, (size_t)g->node_count, sizeof *m.flat);
    m.values[0] = "input";
    for (int i = 0; i < g->tensor_count; i++)
        add_weights(&m, &g->tensors[i]);
    for (int i = 1; rc == 0 && i < g->node_count; i++)
        rc = add_graph_node(&m, i, e);
    if (rc == 0)
        add_model(out, &m, metadata, pairs);
    wire_release(&m.nodes);
    arena_release(&m.arena);
    return rc;
}
