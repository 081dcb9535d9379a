/* convolutions.c - see convolutions.h; and the pass that asks the backend. */
#include "nn/convolutions.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "nn/program.h"

enum { AUTO = -1, UNKNOWN = -2 };

/* A piece of the text: not ended by a zero. */
struct word {
    const char *text;
    size_t length;
};

/* Cuts the next word off the front of `rest`, up to `separator` or the end, without the blanks
 * around it. False when nothing is left. */
static bool next_word(struct word *rest, char separator, struct word *word)
{
    if (!rest->text)
        return false;
    const char *end = memchr(rest->text, separator, rest->length);
    *word = (struct word){rest->text, end ? (size_t)(end - rest->text) : rest->length};
    rest->length -= end ? word->length + 1 : rest->length;
    rest->text = end ? end + 1 : NULL;
    while (word->length > 0 && isspace((unsigned char)word->text[0]))
        word->text++, word->length--;
    while (word->length > 0 && isspace((unsigned char)word->text[word->length - 1]))
        word->length--;
    return true;
}

static bool is_word(const struct word *w, const char *text)
{
    return strlen(text) == w->length && memcmp(w->text, text, w->length) == 0;
}

static int find_algorithm(struct backend *b, const struct word *name)
{
    const char *known;
    if (is_word(name, "auto"))
        return AUTO;
    for (int i = 0; (known = b->ops->conv_algorithm_name(b, i)); i++)
        if (is_word(name, known))
            return i;
    return UNKNOWN;
}

static int refuse_name(struct backend *b, const struct word *name, struct err *e)
{
    char known[200] = "auto";
    size_t used = strlen(known);
    const char *next;
    for (int i = 0; (next = b->ops->conv_algorithm_name(b, i)) && used < sizeof known; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, ", %s", next);
    return err_set(e, EXIT_USAGE, "convolution: '%.*s' is no algorithm; there are %s",
                   (int)name->length, name->text, known);
}

/* Reads "A" or "A/B/C"; the number of names, or -1 with *bad the one that is unknown. */
static int read_algorithms(struct backend *b, struct word names, int wanted[CONV_PASSES],
                           struct word *bad)
{
    struct word name;
    int count = 0;
    for (; next_word(&names, '/', &name); count++) {
        int found = find_algorithm(b, &name);
        *bad = name;
        if (found == UNKNOWN)
            return -1;
        if (count < CONV_PASSES)
            wanted[count] = found;
    }
    for (int i = 1; count == 1 && i < CONV_PASSES; i++)
        wanted[i] = wanted[0];
    return count;
}

/* Splits "layer:names" or "names". True if there is a layer. */
static bool split_entry(struct word entry, struct word *layer, struct word *names)
{
    *names = entry;
    if (!memchr(entry.text, ':', entry.length))
        return false;
    next_word(names, ':', layer);
    return true;
}

void convolutions_wanted(struct backend *b, const char *text, const char *layer,
                         int wanted[CONV_PASSES])
{
    struct word rest = {text, strlen(text)}, entry, name, names, bad;
    bool own = false;
    for (int i = 0; i < CONV_PASSES; i++)
        wanted[i] = AUTO;
    while (next_word(&rest, ',', &entry)) {
        bool named = split_entry(entry, &name, &names);
        if (named ? is_word(&name, layer) : !own)
            read_algorithms(b, names, wanted, &bad);
        own = own || (named && is_word(&name, layer));
    }
}

static bool has_layer(const struct graph *g, const struct word *name)
{
    for (int i = 0; i < g->node_count; i++)
        if (is_word(name, g->nodes[i].name))
            return true;
    return false;
}

/* Whether the backend has kernels of the algorithm at all: every one of them can compute the
 * plainest convolution with a 3x3 filter. */
static bool is_available(struct backend *b, int algorithm)
{
    const struct conv_shape plain = {.c = 32, .h = 8, .w = 8, .k = 32, .p = 8, .q = 8,
                                     .r = 3, .s = 3, .stride = 1, .pad = 1};
    return b->ops->conv_predict(b, 1, &plain, CONV_FORWARD, algorithm) >= 0;
}

static int check_available(struct backend *b, const int *wanted, int count, struct err *e)
{
    for (int i = 0; i < count; i++)
        if (wanted[i] != AUTO && !is_available(b, wanted[i]))
            return err_set(e, EXIT_USAGE,
                           "convolution: tier %s has no kernels of %s in %s; results would not be "
                           "those that were asked for", tier_name(b->tier),
                           b->ops->conv_algorithm_name(b, wanted[i]),
                           precision_name(b->precision));
    return 0;
}

int convolutions_check(const struct graph *g, struct backend *b, const char *text, struct err *e)
{
    struct word rest = {text, strlen(text)}, entry, layer, names, bad;
    while (next_word(&rest, ',', &entry)) {
        int wanted[CONV_PASSES];
        if (split_entry(entry, &layer, &names) && !has_layer(g, &layer))
            return err_set(e, EXIT_USAGE, "convolution: network '%s' has no layer '%.*s'", g->name,
                           (int)layer.length, layer.text);
        int count = read_algorithms(b, names, wanted, &bad);
        if (count < 0)
            return refuse_name(b, &bad, e);
        if (count != 1 && count != CONV_PASSES)
            return err_set(e, EXIT_USAGE,
                           "convolution: '%.*s' names %d algorithms where one, or three for "
                           "forward/backward-data/backward-weights, were expected",
                           (int)names.length, names.text, count);
        if (check_available(b, wanted, count, e))
            return -1;
    }
    return 0;
}

static bool is_conv(const struct step *s)
{
    return s->op == &op_conv || s->op == &op_conv_pack || s->op == &op_conv_backward_data ||
           s->op == &op_conv_backward_weights;
}

/* All steps of a layer have the same shape, and so the same choice. */
void pass_choose_convolutions(struct program *p)
{
    struct backend *b = p->backend;
    for (int i = 0; i < p->step_count; i++) {
        struct step *s = &p->steps[i];
        int wanted[CONV_PASSES], chosen[CONV_PASSES];
        if (!is_conv(s))
            continue;
        convolutions_wanted(b, b->convolution, p->graph->nodes[s->node].name, wanted);
        for (int pass = 0; pass < CONV_PASSES; pass++)
            chosen[pass] = b->ops->conv_choose(b, p->batch, &s->conv, (enum conv_pass)pass,
                                               wanted[pass]);
        memcpy(s->conv.algorithm, chosen, sizeof chosen);
    }
}

void program_convolutions(const struct program *p, char *text, size_t size)
{
    struct backend *b = p->backend;
    size_t at = 0;
    text[0] = 0;
    for (int i = 0; i < p->step_count && at < size; i++) {
        const struct step *s = &p->steps[i];
        const int *a = s->conv.algorithm;
        if (s->op != &op_conv && s->op != &op_conv_pool)
            continue;
        at += (size_t)snprintf(text + at, size - at, "%s%s:%s", at ? ", " : "",
                               p->graph->nodes[s->node].name,
                               b->ops->conv_algorithm_name(b, a[0]));
        for (int pass = 1; pass < CONV_PASSES && at < size && (a[1] != a[0] || a[2] != a[0]);
             pass++)
            at += (size_t)snprintf(text + at, size - at, "/%s",
                                   b->ops->conv_algorithm_name(b, a[pass]));
    }
}
