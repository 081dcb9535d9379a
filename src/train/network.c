/* network.c - see network.h. */
#include "train/network.h"

#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "nn/init.h"

static struct shape input_shape(const struct images *images)
{
    return (struct shape){.c = images->channels, .h = IMAGE_SIDE, .w = IMAGE_SIDE};
}

static int threads_of(const struct config *c)
{
    if (c->threads > 0)
        return c->threads;
    struct cpu cpu;
    cpu_detect(&cpu);
    return cpu.threads;
}

int network_open(struct network *net, const struct config *c, struct shape input, int classes,
                 struct err *e)
{
    memset(net, 0, sizeof *net);
    const struct backend_options backend = {.tier = (enum tier)c->isa,
                                            .precision = (enum precision)c->precision,
                                            .threads = threads_of(c),
                                            .convolution = *c->convolutions_recorded
                                                               ? c->convolutions_recorded
                                                               : c->convolution};
    const struct graph_options graph = {.input = input, .classes = classes, .width = c->width};
    if (graph_load(&net->graph, &net->arena, c->net, &graph, e))
        return -1;
    net->backend = backend_cpu_new(&backend, e);
    if (!net->backend)
        return -1;
    return convolutions_check(&net->graph, net->backend, backend.convolution, e);
}

int network_init(struct network *net, const struct config *c, const struct images *images,
                 struct err *e)
{
    if (network_open(net, c, input_shape(images), images->classes, e))
        return -1;
    return model_init(&net->model, &net->graph, net->backend, e);
}

void network_release(struct network *net)
{
    if (net->model.params)
        model_release(&net->model);
    if (net->backend)
        net->backend->ops->free(net->backend);
    arena_release(&net->arena);
    memset(net, 0, sizeof *net);
}

static size_t image_bytes(const struct images *images)
{
    return (size_t)images->channels * IMAGE_SIDE * IMAGE_SIDE;
}

static void scale_first_weights(struct network *net, double factor)
{
    for (int i = 0; factor != 1 && i < net->graph.tensor_count; i++) {
        const struct tensor *t = &net->graph.tensors[i];
        if (t->scale_invariant)
            net->backend->ops->multiply(net->backend, t->count, model_tensor(&net->model, i),
                                        factor);
    }
}

int network_start(struct network *net, const struct config *c, const struct images *images,
                  const uint32_t *train, uint32_t count, struct err *e)
{
    struct init_images looked = {
        .count = init_images_wanted(&net->graph), .c = images->channels,
        .h = IMAGE_SIDE, .w = IMAGE_SIDE};
    if (looked.count > (int)count)
        looked.count = (int)count;
    size_t plane = IMAGE_SIDE * IMAGE_SIDE, size = image_bytes(images);
    double *pixels = NULL;
    if (looked.count > 0) {
        pixels = big_new((size_t)looked.count * size * sizeof *pixels, "whitening", e);
        if (!pixels)
            return -1;
    }
    for (int i = 0; i < looked.count; i++) {
        const uint8_t *image = images->train.pixels + train[i] * size;
        for (size_t j = 0; j < size; j++) {
            double mean = (double)images->mean[j / plane], std = (double)images->std[j / plane];
            pixels[(size_t)i * size + j] = (image[j] - mean) / std;
        }
    }
    looked.pixels = pixels;
    int status = init_model(&net->model, c->seed, &looked, e);
    if (!status)
        scale_first_weights(net, c->init_scale);
    big_free(pixels, (size_t)looked.count * size * sizeof *pixels);
    return status;
}

int network_upload(struct network *net, struct image_store *store, const struct images *images,
                   const struct image_split *split, const char *what, struct err *e)
{
    struct backend *b = net->backend;
    size_t bytes = split->count * image_bytes(images);
    uint8_t *pixels = split->pixels;
    if (!b->shares_memory) {
        pixels = b->ops->memory_new(b, bytes, what, e);
        if (!pixels)
            return -1;
        b->ops->write_bytes(b, pixels, split->pixels, bytes);
    }
    *store = (struct image_store){
        .pixels = pixels, .c = images->channels, .h = IMAGE_SIDE, .w = IMAGE_SIDE};
    for (int c = 0; c < images->channels; c++) {
        store->mean[c] = images->mean[c];
        store->inv_std[c] = 1 / images->std[c];
    }
    return 0;
}

void network_free_images(struct network *net, struct image_store *store, uint32_t count)
{
    if (store->pixels && !net->backend->shares_memory) {
        size_t bytes = (size_t)count * (size_t)(store->c * store->h * store->w);
        net->backend->ops->memory_free(net->backend, (void *)(uintptr_t)store->pixels, bytes);
    }
    *store = (struct image_store){0};
}
