/* attributes.c - the words of a line into the struct of its layer type, driven by the type's
 * table. */
#include <assert.h>
#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"
#include "nn/layer.h"

enum { ATTRIBUTES_MAX = 16, FIRST_WORD = 2 };

static int table_size(const struct attribute *table)
{
    int n = 0;
    while (table[n].name)
        n++;
    assert(n < ATTRIBUTES_MAX);
    return n;
}

static bool has_key(const char *word, const char *key)
{
    size_t n = strlen(key);
    return strncmp(word, key, n) == 0 && word[n] == '=';
}

/* Index of the word that sets `attribute`, or -1. */
static int find_word(const struct builder *b, const char *attribute)
{
    const struct attribute *table = b->layer->attributes;
    int plain = 0;
    for (int i = FIRST_WORD; i < b->line->count; i++) {
        const char *word = b->line->words[i].text;
        if (has_key(word, attribute))
            return i;
        if (strchr(word, '='))
            continue;
        if (table[plain].name && table[plain].positional &&
            strcmp(table[plain].name, attribute) == 0)
            return i;
        plain += table[plain].name != NULL;
    }
    return -1;
}

static int fail_at(const struct builder *b, int word, const char *format, va_list ap)
{
    char cause[sizeof b->e->text];
    vsnprintf(cause, sizeof cause, format, ap);
    return netfile_fail(b->e, b->file, b->line->number, b->line->words[word].column, "%s", cause);
}

__attribute__((format(printf, 3, 4))) static int fail_word(const struct builder *b, int word,
                                                           const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    fail_at(b, word, format, ap);
    va_end(ap);
    return -1;
}

int builder_fail(const struct builder *b, const char *attribute, const char *format, ...)
{
    int word = attribute ? find_word(b, attribute) : 1;
    va_list ap;
    va_start(ap, format);
    fail_at(b, word < 0 ? 1 : word, format, ap);
    va_end(ap);
    return -1;
}

static int whole_parse(const char *text, const char **end, int *value)
{
    if (!isdigit((unsigned char)*text))
        return -1;
    char *stop;
    unsigned long v = strtoul(text, &stop, 10);
    if (v > 1000000000)
        return -1;
    *value = (int)v;
    *end = stop;
    return 0;
}

int real_parse(const char *text, double *value)
{
    char *end;
    if (isspace((unsigned char)*text))
        return -1;
    *value = strtod(text, &end);
    if (end == text)
        return -1;
    if (*end == '/') {
        const char *divisor = end + 1;
        double d = isdigit((unsigned char)*divisor) ? strtod(divisor, &end) : 0.0;
        if (d <= 0)
            return -1;
        *value /= d;
    }
    return *end || !isfinite(*value) ? -1 : 0;
}

/* One setting: which attribute, from which text. `e` has no position yet. */
struct setting {
    const struct attribute *attribute;
    const char *text;
    const struct graph_options *options;
    char *cause;         /* [CAUSE_SIZE] */
};

enum { CAUSE_SIZE = 256 };

__attribute__((format(printf, 2, 3))) static int refuse(const struct setting *s,
                                                        const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(s->cause, CAUSE_SIZE, format, ap);
    va_end(ap);
    return -1;
}

static int check_range(const struct setting *s, double value)
{
    const struct attribute *a = s->attribute;
    if (value < a->min || value > a->max)
        return refuse(s, "%s must be from %g to %g, not '%s'", a->name, a->min, a->max, s->text);
    return 0;
}

static int set_int(const struct setting *s, int *value)
{
    const char *end;
    if (whole_parse(s->text, &end, value) || *end)
        return refuse(s, "%s wants a whole number, not '%s'", s->attribute->name, s->text);
    return check_range(s, *value);
}

static int set_real(const struct setting *s, double *value)
{
    if (real_parse(s->text, value))
        return refuse(s, "%s wants a number, not '%s'", s->attribute->name, s->text);
    return check_range(s, *value);
}

static int set_flag(const struct setting *s, bool *value)
{
    *value = strcmp(s->text, "yes") == 0;
    if (!*value && strcmp(s->text, "no") != 0)
        return refuse(s, "%s wants yes or no, not '%s'", s->attribute->name, s->text);
    return 0;
}

static int set_choice(const struct setting *s, int *value)
{
    size_t length = strlen(s->text);
    const char *choice = s->attribute->choices;
    for (int i = 0; choice; i++) {
        size_t n = strcspn(choice, "|");
        if (n == length && strncmp(choice, s->text, n) == 0) {
            *value = i;
            return 0;
        }
        choice = choice[n] ? choice + n + 1 : NULL;
    }
    return refuse(s, "%s is one of %s, not '%s'", s->attribute->name, s->attribute->choices,
                  s->text);
}

static int set_kernel(const struct setting *s, struct kernel *k)
{
    const char *end;
    if (whole_parse(s->text, &end, &k->r) || *end != 'x' || whole_parse(end + 1, &end, &k->s) ||
        *end)
        return refuse(s, "%s wants a size such as 3x3, not '%s'", s->attribute->name, s->text);
    return check_range(s, k->r) || check_range(s, k->s) ? -1 : 0;
}

static int set_window(const struct setting *s, int *window)
{
    if (strcmp(s->text, "global") == 0) {
        *window = 0;
        return 0;
    }
    const char *end;
    if (whole_parse(s->text, &end, window) || *end)
        return refuse(s, "%s wants a whole number or 'global', not '%s'", s->attribute->name,
                      s->text);
    return check_range(s, *window);
}

/* As published at width 1; else the nearest multiple of 8, at least 8. */
static int scaled_channels(int count, double width)
{
    if (width == 1)
        return count;
    double eights = floor(count * width / 8 + 0.5);
    return eights < 1 ? 8 : eights > CHANNELS_MAX ? CHANNELS_MAX + 1 : (int)eights * 8;
}

static int set_channels(const struct setting *s, struct channels *c)
{
    if (strcmp(s->text, "crs") == 0 || strcmp(s->text, "2crs") == 0) {
        *c = (struct channels){CHANNELS_PATCH, s->text[0] == '2' ? 2 : 1};
        return 0;
    }
    *c = (struct channels){CHANNELS_COUNT, s->options->classes};
    if (strcmp(s->text, "classes") == 0)
        return 0;
    const char *end;
    if (whole_parse(s->text, &end, &c->count) || (*end && strcmp(end, "w") != 0))
        return refuse(s, "%s wants a count such as 24, 64w (times the width) or 'classes', "
                      "not '%s'", s->attribute->name, s->text);
    if (*end)
        c->count = scaled_channels(c->count, s->options->width);
    if (c->count < 1 || c->count > CHANNELS_MAX)
        return refuse(s, "%s must be from 1 to %d, not '%s'", s->attribute->name, CHANNELS_MAX,
                      s->text);
    return 0;
}

static int set_init(const struct setting *s, struct init *init)
{
    static const struct {
        const char *name;
        enum init_kind kind;
        bool has_value;
        double value;
    } kinds[] = {
        {"default", INIT_DEFAULT, false, 0},   {"he_normal", INIT_HE_NORMAL, false, 0},
        {"dirac", INIT_DIRAC, false, 0},       {"whiten", INIT_WHITEN, false, 0},
        {"standard", INIT_STANDARD, false, 0},
        {"zeros", INIT_CONSTANT, false, 0},    {"ones", INIT_CONSTANT, false, 1},
        {"constant", INIT_CONSTANT, true, 0},  {"uniform", INIT_UNIFORM, true, 0},
        {"normal", INIT_NORMAL, true, 0},
    };
    size_t length = strcspn(s->text, ":");
    bool with_value = s->text[length] == ':';
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strlen(kinds[i].name) != length || strncmp(kinds[i].name, s->text, length) != 0 ||
            kinds[i].has_value != with_value)
            continue;
        *init = (struct init){.kind = kinds[i].kind, .value = kinds[i].value};
        if (!with_value || real_parse(s->text + length + 1, &init->value) == 0)
            return 0;
    }
    return refuse(s, "%s is one of default, he_normal, dirac, whiten, standard, zeros, ones, "
                  "constant:V, uniform:V, normal:V, not '%s'", s->attribute->name, s->text);
}

static int set_member(const struct setting *s, void *out)
{
    void *member = (char *)out + s->attribute->offset;
    switch (s->attribute->type) {
    case ATTRIBUTE_INT:
        return set_int(s, member);
    case ATTRIBUTE_REAL:
        return set_real(s, member);
    case ATTRIBUTE_FLAG:
        return set_flag(s, member);
    case ATTRIBUTE_CHOICE:
        return set_choice(s, member);
    case ATTRIBUTE_KERNEL:
        return set_kernel(s, member);
    case ATTRIBUTE_WINDOW:
        return set_window(s, member);
    case ATTRIBUTE_CHANNELS:
        return set_channels(s, member);
    case ATTRIBUTE_INIT:
        return set_init(s, member);
    }
    assert(false && "a type of attribute that set_member forgot");
    return -1;
}

static int fail_unknown(const struct builder *b, int word, const char *key)
{
    const char *names[ATTRIBUTES_MAX + 1] = {NULL};
    int n = table_size(b->layer->attributes);
    for (int i = 0; i < n; i++)
        names[i] = b->layer->attributes[i].name;
    names[n] = "from";
    const char *near = nearest_name(key, names);
    return fail_word(b, word, "unknown attribute '%s' of %s%s%s%s", key, b->layer->name,
                     near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* Which attribute the word sets, as an index into the table; -2 if it names inputs; -1 with an
 * error if it is out of place. `plain` counts the positional words so far. */
static int attribute_of(const struct builder *b, int word, int plain)
{
    const struct attribute *table = b->layer->attributes;
    const char *text = b->line->words[word].text, *equals = strchr(text, '=');
    if (has_key(text, "from") || (!equals && b->layer->inputs_max > 1))
        return -2;
    if (!equals) {
        if (table[plain].name && table[plain].positional)
            return plain;
        return fail_word(b, word, "unexpected '%s': %s takes %d plain word%s, then name=value",
                         text, b->layer->name, plain, plain == 1 ? "" : "s");
    }
    for (int i = 0; table[i].name; i++)
        if (has_key(text, table[i].name))
            return i;
    char key[64];
    snprintf(key, sizeof key, "%.*s", (int)(equals - text), text);
    return fail_unknown(b, word, key);
}

static int fill_defaults(const struct builder *b, const bool *given, void *out)
{
    const struct attribute *table = b->layer->attributes;
    for (int i = 0; table[i].name; i++) {
        if (given[i])
            continue;
        if (!table[i].fallback)
            return fail_word(b, 1, "%s needs its %s: %s", b->layer->name, table[i].name,
                             table[i].help);
        /* A default may lie outside the range of what can be written; only its form counts. */
        struct attribute unlimited = table[i];
        unlimited.min = -HUGE_VAL;
        unlimited.max = HUGE_VAL;
        char cause[CAUSE_SIZE];
        const struct setting s = {&unlimited, table[i].fallback, b->options, cause};
        int failed = set_member(&s, out);
        assert(!failed);
        (void)failed;
    }
    return 0;
}

int attributes_parse(struct builder *b, void *out)
{
    const struct attribute *table = b->layer->attributes;
    bool given[ATTRIBUTES_MAX] = {false};
    int plain = 0;
    for (int i = FIRST_WORD; i < b->line->count; i++) {
        const char *text = b->line->words[i].text, *equals = strchr(text, '=');
        int which = attribute_of(b, i, plain);
        if (which == -1)
            return -1;
        if (which == -2)
            continue;
        plain += !equals;
        if (given[which])
            return fail_word(b, i, "%s is given twice", table[which].name);
        given[which] = true;
        char cause[CAUSE_SIZE];
        const struct setting s = {&table[which], equals ? equals + 1 : text, b->options, cause};
        if (set_member(&s, out))
            return fail_word(b, i, "%s", cause);
    }
    return fill_defaults(b, given, out);
}

const void *node_attribute(const struct node *n, const char *name)
{
    const struct attribute *a = n->layer->attributes;
    while (a->name && strcmp(a->name, name) != 0)
        a++;
    assert(a->name);
    return (const char *)n->attributes + a->offset;
}
