/* graph.c - see graph.h: lines of words into checked nodes. */
#include "nn/graph.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/options.h"
#include "nn/layer.h"
#include "nn/netfile.h"

enum { TENSORS_PER_NODE = 6, OFFSET_UNIT = 16, NAME_LIMIT = 64, NUMBERS_MAX = 1 << 27 };

const char *role_name(enum role r)
{
    static const char *const names[ROLE_COUNT] = {
        [ROLE_WEIGHT] = "weight",   [ROLE_BIAS] = "bias", [ROLE_NORM_SCALE] = "norm_scale",
        [ROLE_NORM_BIAS] = "norm_bias", [ROLE_HEAD] = "head", [ROLE_WHITEN] = "whiten",
    };
    return names[r];
}

int graph_find_tensor(const struct graph *g, const char *name)
{
    for (int t = 0; t < g->tensor_count; t++)
        if (strcmp(g->tensors[t].name, name) == 0)
            return t;
    return -1;
}

struct tensor *builder_tensor(struct builder *b, struct node *n, const char *suffix,
                              enum role role, const struct init *init, int ndim, const int *dims)
{
    struct graph *g = b->graph;
    assert(n->tensor_count < TENSORS_PER_NODE);
    n->tensors[n->tensor_count++] = g->tensor_count;
    struct tensor *t = &g->tensors[g->tensor_count++];
    *t = (struct tensor){
        .name = arena_printf(b->arena, "%s.%s", n->name, suffix),
        .role = role,
        .init = *init,
        .dims = {1, 1, 1, 1},
        .ndim = ndim,
        .count = 1,
    };
    for (int i = 0; i < ndim; i++) {
        t->dims[i] = dims[i];
        t->count *= (size_t)dims[i];
    }
    return t;
}

/* Fails at `skip` bytes into a word of the line. */
__attribute__((format(printf, 4, 5))) static int fail_word(const struct builder *b, int word,
                                                           int skip, const char *format, ...)
{
    char cause[256];
    va_list ap;
    va_start(ap, format);
    vsnprintf(cause, sizeof cause, format, ap);
    va_end(ap);
    return netfile_fail(b->e, b->file, b->line->number, b->line->words[word].column + skip, "%s",
                        cause);
}

static int find_node(const struct graph *g, const char *name, size_t length)
{
    for (int i = 0; i < g->node_count; i++)
        if (strlen(g->nodes[i].name) == length && strncmp(g->nodes[i].name, name, length) == 0)
            return i;
    return -1;
}

static const char *nearest_node(const struct builder *b, const char *name)
{
    const struct graph *g = b->graph;
    const char **names = arena_alloc(b->arena, (size_t)g->node_count + 1, sizeof *names);
    for (int i = 0; i < g->node_count; i++)
        names[i] = g->nodes[i].name;
    return nearest_name(name, names);
}

/* Adds the input called name[length], which stands `skip` bytes into the word. */
static int add_input(struct builder *b, struct node *n, int word, int skip, const char *name,
                     size_t length)
{
    int input = find_node(b->graph, name, length);
    if (input < 0) {
        const char *copy = arena_strndup(b->arena, name, length);
        const char *near = nearest_node(b, copy);
        return fail_word(b, word, skip, "no line above is called '%s'%s%s%s", copy,
                         near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    if (n->input_count == b->layer->inputs_max)
        return fail_word(b, word, skip, "too many inputs for %s", b->layer->name);
    n->inputs[n->input_count++] = input;
    return 0;
}

static int add_inputs_from(struct builder *b, struct node *n, int word)
{
    const char *text = b->line->words[word].text, *name = text + strlen("from=");
    for (;;) {
        size_t length = strcspn(name, ",");
        if (add_input(b, n, word, (int)(name - text), name, length))
            return -1;
        if (!name[length])
            return 0;
        name += length + 1;
    }
}

/* The inputs: "from=a,b", or the plain words of a layer of several inputs, or the line above. */
static int read_inputs(struct builder *b, struct node *n)
{
    for (int i = 2; i < b->line->count; i++) {
        const char *text = b->line->words[i].text;
        if (strncmp(text, "from=", 5) == 0) {
            if (n->input_count)
                return fail_word(b, i, 0, "%s has its inputs already", n->name);
            if (add_inputs_from(b, n, i))
                return -1;
        } else if (!strchr(text, '=') && b->layer->inputs_max > 1 &&
                   add_input(b, n, i, 0, text, strlen(text))) {
            return -1;
        }
    }
    if (n->input_count == 0)
        n->inputs[n->input_count++] = b->graph->node_count - 1;
    if (n->input_count < b->layer->inputs_min)
        return fail_word(b, 1, 0, "%s needs at least two inputs", b->layer->name);
    return 0;
}

static int read_name(struct builder *b, struct node *n)
{
    const char *name = b->line->words[0].text;
    for (const char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '_' && *c != '.')
            return fail_word(b, 0, (int)(c - name),
                             "'%s' is no name: letters, digits, '_' and '.' make one", name);
    if (strlen(name) > NAME_LIMIT)
        return fail_word(b, 0, 0, "the name '%s' is too long", name);
    int other = find_node(b->graph, name, strlen(name));
    if (other == 0)
        return fail_word(b, 0, 0, "the name '%s' belongs to the image", name);
    if (other > 0)
        return fail_word(b, 0, 0, "the name '%s' is taken by line %d", name,
                         b->graph->nodes[other].line);
    n->name = name;
    return 0;
}

static int read_type(struct builder *b)
{
    if (b->line->count < 2)
        return fail_word(b, 0, (int)strlen(b->line->words[0].text),
                         "'%s' needs a layer type behind its name", b->line->words[0].text);
    const char *type = b->line->words[1].text;
    b->layer = layer_find(type);
    if (b->layer)
        return 0;
    const char *near = layer_nearest(type);
    return fail_word(b, 1, 0, "unknown layer type '%.100s'%s%s%s", type,
                     near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* Whether the node has weights that train; a whitening layer counts as fixed. */
static bool node_trains(const struct graph *g, const struct node *n)
{
    for (int i = 0; i < n->tensor_count; i++) {
        const struct tensor *t = &g->tensors[n->tensors[i]];
        if (!t->is_state && !t->frozen && t->role != ROLE_WHITEN)
            return true;
    }
    return false;
}

/* Keeps every product of dimensions within an int. */
static int check_size(const struct builder *b, const struct node *n)
{
    if (n->out.c > CHANNELS_MAX)
        return fail_word(b, 1, 0, "%d channels are more than %d", n->out.c, CHANNELS_MAX);
    if ((double)n->out.c * n->out.h * n->out.w > NUMBERS_MAX)
        return fail_word(b, 1, 0, "a map of %dx%dx%d numbers is too large", n->out.c, n->out.h,
                         n->out.w);
    return 0;
}

static int read_line(struct builder *b)
{
    struct graph *g = b->graph;
    struct node *n = &g->nodes[g->node_count];
    if (read_name(b, n) || read_type(b) || read_inputs(b, n))
        return -1;
    n->layer = b->layer;
    n->line = b->line->number;
    n->in = g->nodes[n->inputs[0]].out;
    n->attributes = arena_alloc(b->arena, 1, b->layer->attributes_size);
    if (attributes_parse(b, n->attributes) || b->layer->infer(b, n) || check_size(b, n))
        return -1;
    n->trains = node_trains(g, n);
    for (int i = 0; i < n->input_count; i++)
        n->trains = n->trains || g->nodes[n->inputs[i]].trains;
    g->node_count++;
    return 0;
}

static int check_all_read(const struct graph *g, const struct netfile *f, struct err *e)
{
    for (int i = 0; i + 1 < g->node_count; i++) {
        bool read = false;
        for (int j = i + 1; j < g->node_count; j++)
            for (int k = 0; k < g->nodes[j].input_count; k++)
                read = read || g->nodes[j].inputs[k] == i;
        if (!read && i == 0)
            return netfile_fail(e, f->file, f->lines[0].number, 1, "no layer reads the image");
        if (!read)
            return netfile_fail(e, f->file, g->nodes[i].line, f->lines[i - 1].words[0].column,
                                "no layer reads '%s'", g->nodes[i].name);
    }
    return 0;
}

static bool has_linear(const struct graph *g)
{
    const struct layer *linear = layer_find("linear");
    for (int i = 0; i < g->node_count; i++)
        if (g->nodes[i].layer == linear)
            return true;
    return false;
}

/* What must be true of the network as a whole: it ends in one number a class. */
static int check_whole(const struct graph *g, const struct netfile *f, struct err *e)
{
    if (g->node_count == 1)
        return netfile_fail(e, f->file, 1, 1, "the file has no layers");
    if (check_all_read(g, f, e))
        return -1;
    const struct node *last = &g->nodes[g->node_count - 1];
    int column = f->lines[f->count - 1].words[0].column;
    if (!has_linear(g))
        return netfile_fail(e, f->file, last->line, column,
                            "the network has no linear layer that gives the classes");
    if (last->out.c != g->classes || last->out.h != 1 || last->out.w != 1)
        return netfile_fail(e, f->file, last->line, column,
                            "the last layer gives %dx%dx%d numbers for %d classes", last->out.c,
                            last->out.h, last->out.w, g->classes);
    return 0;
}

static void place_tensors(struct graph *g)
{
    g->params_count = g->state_count = 0;
    for (int i = 0; i < g->tensor_count; i++) {
        struct tensor *t = &g->tensors[i];
        size_t *end = t->is_state ? &g->state_count : &g->params_count;
        t->offset = *end;
        *end += (t->count + OFFSET_UNIT - 1) / OFFSET_UNIT * OFFSET_UNIT;
    }
}

int graph_parse(struct graph *g, struct arena *a, const char *file, const char *text,
                const struct graph_options *o, struct err *e)
{
    struct netfile f;
    const char *name = arena_strdup(a, file);
    if (netfile_read(&f, a, name, text, e))
        return -1;
    size_t nodes = (size_t)f.count + 1;
    *g = (struct graph){
        .name = name,
        .text = arena_strdup(a, text),
        .nodes = arena_alloc(a, nodes, sizeof *g->nodes),
        .node_count = 1,
        .tensors = arena_alloc(a, nodes * TENSORS_PER_NODE, sizeof *g->tensors),
        .classes = o->classes,
    };
    g->nodes[0] = (struct node){.name = "input", .in = o->input, .out = o->input};
    struct builder b = {.graph = g, .arena = a, .options = o, .file = name, .e = e};
    for (int i = 0; i < f.count; i++) {
        b.line = &f.lines[i];
        if (read_line(&b))
            return -1;
    }
    if (check_whole(g, &f, e))
        return -1;
    place_tensors(g);
    graph_mark_invariant(g);
    return 0;
}

size_t graph_parameters(const struct graph *g)
{
    size_t count = 0;
    for (int i = 0; i < g->tensor_count; i++)
        count += g->tensors[i].is_state ? 0 : g->tensors[i].count;
    return count;
}

double node_macs(const struct graph *g, int node)
{
    const struct node *n = &g->nodes[node];
    return n->layer && n->layer->macs ? n->layer->macs(n) : 0;
}

double node_training_macs(const struct graph *g, int node)
{
    double macs = node_macs(g, node);
    int passes = 1 + node_trains(g, &g->nodes[node]);
    if (macs > 0 && g->nodes[g->nodes[node].inputs[0]].trains)
        passes++;
    return macs * passes;
}

double graph_macs(const struct graph *g)
{
    double sum = 0;
    for (int i = 0; i < g->node_count; i++)
        sum += node_macs(g, i);
    return sum;
}

double graph_training_macs(const struct graph *g)
{
    double sum = 0;
    for (int i = 0; i < g->node_count; i++)
        sum += node_training_macs(g, i);
    return sum;
}
