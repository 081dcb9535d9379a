/* cmd_net.c - kiln net: the networks that come with kiln, and what one costs layer by layer. */
#include <string.h>

#include "base/arena.h"
#include "cli/cli.h"
#include "nn/graph.h"
#include "nn/layer.h"

struct args {
    double width;
    int classes, channels;
};

static const struct option_def options[] = {
    {"width", OPTION_REAL, offsetof(struct args, width), "1", 0.01, 16, NULL, NULL, "network",
     "multiplies every channel count that the file writes as 64w", NULL},
    {"classes", OPTION_INT, offsetof(struct args, classes), "10", 2, 1000, NULL, NULL, "network",
     "classes of the data set", NULL},
    {"channels", OPTION_INT, offsetof(struct args, channels), "3", 1, 3, NULL, NULL, "network",
     "channels of the images: 3 in colour, 1 in grey", NULL},
    {0},
};

static struct graph_options graph_options_of(const struct args *a)
{
    return (struct graph_options){
        .input = {a->channels, 32, 32}, .classes = a->classes, .width = a->width};
}

static size_t node_parameters(const struct graph *g, int node)
{
    size_t count = 0;
    for (int i = 0; i < g->nodes[node].tensor_count; i++) {
        const struct tensor *t = &g->tensors[g->nodes[node].tensors[i]];
        count += t->is_state ? 0 : t->count;
    }
    return count;
}

static const char *type_of(const struct node *n)
{
    return n->layer ? n->layer->name : "image";
}

static json_t *layers_json(const struct graph *g)
{
    json_t *list = json_array();
    for (int i = 1; i < g->node_count; i++) {
        const struct node *n = &g->nodes[i];
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:[i,i,i], s:I, s:I, s:I}", "name", n->name, "type",
                            type_of(n), "shape", n->out.c, n->out.h, n->out.w, "parameters",
                            (json_int_t)node_parameters(g, i), "macs", (json_int_t)node_macs(g, i),
                            "training_macs", (json_int_t)node_training_macs(g, i)));
    }
    return list;
}

static int show_json(const struct graph *g, const struct args *a, struct err *e)
{
    json_t *object = json_pack("{s:s, s:f, s:i, s:I, s:I, s:I, s:o}", "name", g->name, "width",
                               a->width, "classes", g->classes, "parameters",
                               (json_int_t)graph_parameters(g), "macs", (json_int_t)graph_macs(g),
                               "training_macs", (json_int_t)graph_training_macs(g), "layers",
                               layers_json(g));
    return cli_print_json(object, e);
}

static int name_width(const struct graph *g)
{
    size_t width = strlen("layer");
    for (int i = 0; i < g->node_count; i++)
        width = strlen(g->nodes[i].name) > width ? strlen(g->nodes[i].name) : width;
    return (int)width;
}

/* "12.345 M", or blanks for none, in eleven columns. */
static void print_millions(double macs)
{
    if (macs > 0)
        printf("  %9.3f", macs * 1e-6);
    else
        printf("  %9s", "");
}

static void show_table(const struct graph *g, const struct args *a)
{
    int width = name_width(g);
    printf("%s: %zu parameters, %.2f M multiply-adds forward, %.2f M to train, for one image\n\n",
           g->name, graph_parameters(g), graph_macs(g) * 1e-6, graph_training_macs(g) * 1e-6);
    printf("%-*s  %-9s  %12s  %10s  %9s  %9s\n", width, "layer", "type", "output", "parameters",
           "forward M", "train M");
    for (int i = 0; i < g->node_count; i++) {
        const struct node *n = &g->nodes[i];
        char shape[64];
        snprintf(shape, sizeof shape, "%dx%dx%d", n->out.c, n->out.h, n->out.w);
        printf("%-*s  %-9s  %12s", width, n->name, type_of(n), shape);
        if (node_parameters(g, i))
            printf("  %10zu", node_parameters(g, i));
        else if (node_macs(g, i) > 0)
            printf("  %10s", "");
        if (node_macs(g, i) > 0) {
            print_millions(node_macs(g, i));
            print_millions(node_training_macs(g, i));
        }
        putchar('\n');
    }
    printf("%-*s  %-9s  %12s  %10zu", width, "total", "", "", graph_parameters(g));
    print_millions(graph_macs(g));
    print_millions(graph_training_macs(g));
    putchar('\n');
    if (a->width != 1)
        printf("\nwidth %g: channel counts written as 64w are scaled, to multiples of 8\n",
               a->width);
}

static int show(struct invocation *inv, struct arena *arena, struct err *e)
{
    const struct args *a = inv->args;
    if (inv->operand_count < 2)
        return err_set(e, EXIT_USAGE, "'kiln net show' needs the name of a network or a file; "
                                      "'kiln net list' names those that come with kiln");
    const struct graph_options o = graph_options_of(a);
    struct graph g;
    if (graph_load(&g, arena, inv->operands[1], &o, e))
        return -1;
    if (inv->common.json)
        return show_json(&g, a, e);
    show_table(&g, a);
    return EXIT_DONE;
}

static int list(struct invocation *inv, struct arena *arena, struct err *e)
{
    const struct graph_options o = graph_options_of(inv->args);
    json_t *networks = json_array();
    if (!inv->common.json)
        printf("%-12s  %10s  %9s  %9s\n", "network", "parameters", "forward M", "train M");
    for (const char *const *name = graph_names(arena); *name; name++) {
        struct graph g;
        if (graph_load(&g, arena, *name, &o, e)) {
            json_decref(networks);
            return -1;
        }
        json_array_append_new(
            networks, json_pack("{s:s, s:I, s:I, s:I}", "name", g.name, "parameters",
                                (json_int_t)graph_parameters(&g), "macs",
                                (json_int_t)graph_macs(&g), "training_macs",
                                (json_int_t)graph_training_macs(&g)));
        if (!inv->common.json)
            printf("%-12s  %10zu  %9.2f  %9.2f\n", g.name, graph_parameters(&g),
                   graph_macs(&g) * 1e-6, graph_training_macs(&g) * 1e-6);
    }
    if (inv->common.json)
        return cli_print_json(json_pack("{s:o}", "networks", networks), e);
    json_decref(networks);
    return EXIT_DONE;
}

static int run(struct invocation *inv, struct err *e)
{
    struct arena arena;
    arena_init(&arena);
    int status;
    if (strcmp(inv->operands[0], "list") == 0)
        status = list(inv, &arena, e);
    else if (strcmp(inv->operands[0], "show") == 0)
        status = show(inv, &arena, e);
    else
        status = err_set(e, EXIT_USAGE, "no '%s' here: it is 'kiln net list' or 'kiln net show "
                         "NET'", inv->operands[0]);
    arena_release(&arena);
    return status;
}

static const char *const examples[] = {
    "kiln net list", "the networks that come with kiln, and what they cost",
    "kiln net show resnet9", "one of them, layer by layer",
    "kiln net show ./mine.net --width 0.5 --json", "a network of one's own, for a program to read",
    NULL,
};

static const char *const words[] = {"list", "show", NULL};

const struct command command_net = {
    .name = "net",
    .summary = "List networks, or show what one costs layer by layer",
    .usage = "list|show [NET] [options]",
    .description =
        "A network is a text file, one line a layer; docs/networks.md has the grammar. NET is the\n"
        "name of one that comes with kiln, or a path.\n\n"
        "Multiply-adds are for one image and nominal: products with padding are counted, as are\n"
        "rows that a pooling layer drops. Training counts the forward pass, the gradient of the\n"
        "input where weights before it train, and the gradient of the weights where they train;\n"
        "a whitening layer counts as fixed.",
    .examples = examples,
    .common = COMMON_JSON,
    .options = options,
    .args_size = sizeof(struct args),
    .min_operands = 1,
    .max_operands = 2,
    .operand_words = words,
    .run = run,
};
