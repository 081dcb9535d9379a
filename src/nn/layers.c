/* layers.c - the list of layer types. */
#include <string.h>

#include "base/options.h"
#include "nn/layer.h"

extern const struct layer layer_add, layer_avgpool, layer_batchnorm, layer_celu, layer_concat,
    layer_conv, layer_gelu, layer_linear, layer_maxpool, layer_relu, layer_scale, layer_silu;

const struct layer *const layers[] = {
    &layer_conv, &layer_batchnorm, &layer_relu,    &layer_gelu, &layer_silu,   &layer_celu,
    &layer_maxpool, &layer_avgpool, &layer_add, &layer_concat, &layer_linear, &layer_scale,
    NULL,
};

enum { LAYERS = sizeof layers / sizeof layers[0] };

const struct layer *layer_find(const char *name)
{
    for (const struct layer *const *l = layers; *l; l++)
        if (strcmp((*l)->name, name) == 0)
            return *l;
    return NULL;
}

const char *layer_nearest(const char *name)
{
    const char *names[LAYERS] = {NULL};
    for (int i = 0; layers[i]; i++)
        names[i] = layers[i]->name;
    return nearest_name(name, names);
}
