/* checkpoint.c - see checkpoint.h. */
#define _POSIX_C_SOURCE 200809L /* unlink, readdir */
#include "train/checkpoint.h"

#include <assert.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "train/safetensors.h"

enum { PATH_SIZE = 4096, PAIRS = 12 };

static const char running_var[] = "running_var", carried[] = "carried.";

/* Tensors to be written, gathered in host memory that the arena owns. */
struct list {
    struct arena arena;
    struct safetensor *items;
    int count;
};

static void list_init(struct list *l, const struct graph *g)
{
    arena_init(&l->arena);
    /* Weights and num_batches_tracked, or momentum, a copy of everything, and what is carried. */
    l->items = arena_alloc(&l->arena, 2 * (size_t)g->tensor_count + CARRIED_MAX, sizeof *l->items);
    l->count = 0;
}

/* Adds the numbers of graph tensor i at `device` under the name prefix + its own. */
static void list_add(struct list *l, const struct model *m, int i, const void *device,
                     const char *prefix)
{
    struct backend *b = m->backend;
    const struct tensor *t = &m->graph->tensors[i];
    struct safetensor *s = &l->items[l->count++];
    s->name = arena_printf(&l->arena, "%s%s", prefix, t->name);
    s->type = b->precision == PRECISION_FP64 ? SAFETENSOR_F64 : SAFETENSOR_F32;
    s->ndim = t->ndim;
    for (int d = 0; d < t->ndim; d++)
        s->dims[d] = t->dims[d];
    s->bytes = t->count * b->real_bytes;
    void *host = arena_alloc(&l->arena, t->count, b->real_bytes);
    b->ops->read_bytes(b, host, device, s->bytes);
    s->data = host;
}

/* "layer.bn.num_batches_tracked" for a tensor "layer.bn.running_var"; NULL for any other. */
static char *tracked_name(struct arena *a, const char *name)
{
    size_t n = strlen(name), tail = sizeof running_var - 1;
    if (n < tail || strcmp(name + n - tail, running_var) != 0)
        return NULL;
    return arena_printf(a, "%.*snum_batches_tracked", (int)(n - tail), name);
}

static void list_add_weights(struct list *l, const struct model *m, uint64_t steps)
{
    int64_t *tracked = arena_alloc(&l->arena, 1, sizeof *tracked);
    *tracked = (int64_t)steps;
    for (int i = 0; i < m->graph->tensor_count; i++) {
        list_add(l, m, i, model_tensor(m, i), "");
        char *name = tracked_name(&l->arena, m->graph->tensors[i].name);
        if (name)
            l->items[l->count++] = (struct safetensor){
                .name = name, .type = SAFETENSOR_I64, .data = tracked, .bytes = sizeof *tracked};
    }
}

static void list_add_carried(struct list *l, const struct carry *c)
{
    for (int i = 0; i < c->count; i++) {
        const struct carried *item = &c->items[i];
        l->items[l->count++] = (struct safetensor){
            .name = arena_printf(&l->arena, "%s%s", carried, item->name),
            .type = SAFETENSOR_F64,
            .dims = {(int64_t)item->count},
            .ndim = 1,
            .data = item->values,
            .bytes = item->count * sizeof *item->values};
    }
}

/* The copy of the model that a checkpoint keeps beside the weights, and its names' prefix. */
static struct model *other_model(struct trainer *t, const char **prefix)
{
    *prefix = t->average.kind == AVERAGE_EMA ? "fast." : "slow.";
    if (t->average.kind == AVERAGE_NONE)
        return NULL;
    return t->average.kind == AVERAGE_EMA ? &t->net.model : &t->slow;
}

static bool has_momentum(const struct tensor *t)
{
    return !t->frozen && !t->is_state;
}

static void *momentum_of(const struct trainer *t, int i)
{
    size_t at = t->net.graph.tensors[i].offset * t->net.backend->real_bytes;
    return (uint8_t *)t->sgd.buffer + at;
}

int checkpoint_save_weights(struct trainer *t, const char *path, struct err *e)
{
    struct model *m = trainer_result_model(t);
    struct list l;
    char step[24], hash[65];
    snprintf(step, sizeof step, "%" PRIu64, t->step);
    config_hash(&t->config, hash);
    const struct safetensors_pair metadata[] = {
        {"format", "pt"}, {"net", t->net.graph.name}, {"step", step}, {"config_hash", hash}};
    list_init(&l, m->graph);
    list_add_weights(&l, m, t->step);
    int status = safetensors_write(path, l.items, l.count, metadata, 4, e);
    arena_release(&l.arena);
    return status;
}

static int save_state(struct trainer *t, const char *path, struct err *e)
{
    const struct graph *g = &t->net.graph;
    const char *prefix;
    const struct model *other = other_model(t, &prefix);
    struct list l;
    char hash[65];
    config_hash(&t->config, hash);
    list_init(&l, g);
    for (int i = 0; i < g->tensor_count; i++) {
        if (has_momentum(&g->tensors[i]))
            list_add(&l, &t->net.model, i, momentum_of(t, i), "momentum.");
        if (other)
            list_add(&l, other, i, model_tensor(other, i), prefix);
    }
    list_add_carried(&l, &t->carry);
    struct arena *a = &l.arena;
    const struct safetensors_pair metadata[] = {
        {"format", "pt"},
        {"net", g->name},
        {"step", arena_printf(a, "%" PRIu64, t->step)},
        {"seed", arena_printf(a, "%" PRIu64, t->config.seed)},
        {"config_hash", hash},
        {"data_hash", t->images->hash},
        {"epoch_loss", arena_printf(a, "%.17g", t->epoch_loss)},
        {"epoch_hits", arena_printf(a, "%" PRIu64, t->epoch_hits)},
        {"epoch_images", arena_printf(a, "%" PRIu64, t->epoch_images)},
        {"last_loss", arena_printf(a, "%.17g", t->last_loss)},
        {"last_accuracy", arena_printf(a, "%.17g", t->last_accuracy)},
        {"best_accuracy", arena_printf(a, "%.17g", t->best_accuracy)},
    };
    static_assert(sizeof metadata / sizeof metadata[0] == PAIRS, "all of them are written");
    int status = safetensors_write(path, l.items, l.count, metadata, PAIRS, e);
    arena_release(&l.arena);
    return status;
}

static void state_path(const char *path, char *out)
{
    size_t stem = strlen(path), tail = strlen(".safetensors");
    if (stem > tail && strcmp(path + stem - tail, ".safetensors") == 0)
        stem -= tail;
    snprintf(out, PATH_SIZE, "%.*s.state.safetensors", (int)stem, path);
}

int checkpoint_save(struct trainer *t, const char *folder, char *path, struct err *e)
{
    char name[64], state[PATH_SIZE];
    snprintf(name, sizeof name, "step_%08" PRIu64 ".safetensors", t->step);
    if (file_make_folders(folder, e) || file_join(path, PATH_SIZE, folder, name, e))
        return -1;
    state_path(path, state);
    if (save_state(t, state, e) || checkpoint_save_weights(t, path, e))
        return err_prefix(e, "cannot write the checkpoint of step %" PRIu64, t->step);
    return 0;
}

/* Checks that `file` has tensor i of the graph under prefix + its name. Returns it, or NULL. */
static const struct safetensor *matching(const struct safetensors *file, const struct tensor *t,
                                         const char *prefix, struct err *e)
{
    char name[512];
    snprintf(name, sizeof name, "%s%s", prefix, t->name);
    const struct safetensor *s = safetensors_find(file, name);
    if (!s) {
        err_set(e, EXIT_DATA, "it has no tensor '%s', which the network needs", name);
        return NULL;
    }
    bool same = s->ndim == t->ndim && (s->type == SAFETENSOR_F32 || s->type == SAFETENSOR_F64);
    for (int d = 0; same && d < t->ndim; d++)
        same = s->dims[d] == t->dims[d];
    if (same)
        return s;
    err_set(e, EXIT_DATA, "its tensor '%s' has another shape or type than the network's", name);
    return NULL;
}

static int check_weights(const struct graph *g, const struct safetensors *file, struct err *e)
{
    for (int i = 0; i < g->tensor_count; i++) {
        if (!matching(file, &g->tensors[i], "", e))
            return -1;
    }
    for (int i = 0; i < file->count; i++) {
        const char *name = file->tensors[i].name, *tail = strrchr(name, '.');
        if (graph_find_tensor(g, name) < 0 && !(tail && strcmp(tail, ".num_batches_tracked") == 0))
            return err_set(e, EXIT_DATA, "its tensor '%.200s' is not one of the network's", name);
    }
    return 0;
}

/* Puts the numbers of s on the device; fp32 and fp64 are converted into each other. */
static void put(struct backend *b, void *device, const struct safetensor *s)
{
    size_t element = s->type == SAFETENSOR_F64 ? 8 : 4, count = s->bytes / element;
    if (element == b->real_bytes) {
        b->ops->write_bytes(b, device, s->data, s->bytes);
        return;
    }
    double *values = xcalloc(count, sizeof *values);
    for (size_t i = 0; i < count; i++) {
        float narrow;
        if (element == 8) {
            memcpy(&values[i], (const char *)s->data + 8 * i, 8);
        } else {
            memcpy(&narrow, (const char *)s->data + 4 * i, 4);
            values[i] = (double)narrow;
        }
    }
    b->ops->write_reals(b, device, values, count);
    free(values);
}

static void put_model(struct model *m, const struct safetensors *file, const char *prefix)
{
    for (int i = 0; i < m->graph->tensor_count; i++)
        put(m->backend, model_tensor(m, i),
            matching(file, &m->graph->tensors[i], prefix, NULL));
}

int checkpoint_read_weights(struct safetensors *file, const struct graph *g, const char *path,
                            struct err *e)
{
    if (safetensors_read(file, path, e))
        return -1;
    return check_weights(g, file, e) ? err_prefix(e, "cannot use '%.200s'", path) : 0;
}

int checkpoint_load_weights(struct model *m, const char *path, struct err *e)
{
    struct safetensors file;
    int status = checkpoint_read_weights(&file, m->graph, path, e);
    if (!status)
        put_model(m, &file, "");
    safetensors_release(&file);
    return status;
}

/* What a state file says beside its tensors. */
struct position {
    uint64_t step, epoch_hits, epoch_images;
    double epoch_loss, last_loss, last_accuracy, best_accuracy;
};

static int read_count(const struct safetensors *s, const char *key, uint64_t *value, struct err *e)
{
    const char *text = safetensors_metadata(s, key);
    char tail;
    if (!text || sscanf(text, "%" SCNu64 "%c", value, &tail) != 1)
        return err_set(e, EXIT_DATA, "its metadata has no number '%s'", key);
    return 0;
}

int checkpoint_step(const char *path, uint64_t *step, struct err *e)
{
    struct safetensors file;
    int status = safetensors_read(&file, path, e);
    if (!status && read_count(&file, "step", step, e))
        status = err_prefix(e, "cannot tell the step of '%.200s'", path);
    safetensors_release(&file);
    return status;
}

static int read_real(const struct safetensors *s, const char *key, double *value, struct err *e)
{
    const char *text = safetensors_metadata(s, key);
    char tail;
    if (!text || sscanf(text, "%lf%c", value, &tail) != 1)
        return err_set(e, EXIT_DATA, "its metadata has no number '%s'", key);
    return 0;
}

static int read_position(struct position *p, const struct safetensors *s, struct err *e)
{
    return read_count(s, "step", &p->step, e) || read_count(s, "epoch_hits", &p->epoch_hits, e) ||
                   read_count(s, "epoch_images", &p->epoch_images, e) ||
                   read_real(s, "epoch_loss", &p->epoch_loss, e) ||
                   read_real(s, "last_loss", &p->last_loss, e) ||
                   read_real(s, "last_accuracy", &p->last_accuracy, e) ||
                   read_real(s, "best_accuracy", &p->best_accuracy, e)
               ? -1
               : 0;
}

static int check_metadata(const struct trainer *t, const struct safetensors *weights,
                          const struct safetensors *state, struct err *e)
{
    char hash[65];
    config_hash(&t->config, hash);
    const char *step = safetensors_metadata(weights, "step");
    const char *state_step = safetensors_metadata(state, "step");
    const char *config = safetensors_metadata(state, "config_hash");
    const char *data = safetensors_metadata(state, "data_hash");
    if (!weights->sealed || !state->sealed || !step || !state_step || !config || !data)
        return err_set(e, EXIT_DATA, "it was not written as a checkpoint by kiln");
    if (strcmp(step, state_step) != 0)
        return err_set(e, EXIT_DATA, "its weights are of step %.20s, its state of step %.20s",
                       step, state_step);
    if (strcmp(config, hash) != 0)
        return err_set(e, EXIT_USAGE, "it was made with another configuration");
    if (strcmp(data, t->images->hash) != 0)
        return err_set(e, EXIT_USAGE, "it was made with other images than these (%s)",
                       t->images->source);
    return 0;
}

static int check_state(struct trainer *t, const struct safetensors *state, struct err *e)
{
    const struct graph *g = &t->net.graph;
    const char *prefix;
    const struct model *other = other_model(t, &prefix);
    for (int i = 0; i < g->tensor_count; i++) {
        const struct tensor *tensor = &g->tensors[i];
        if ((has_momentum(tensor) && !matching(state, tensor, "momentum.", e)) ||
            (other && !matching(state, tensor, prefix, e)))
            return -1;
    }
    return 0;
}

static bool is_carried(const struct safetensor *s)
{
    return strncmp(s->name, carried, sizeof carried - 1) == 0;
}

static int check_carried(const struct safetensors *state, struct err *e)
{
    int count = 0;
    for (int i = 0; i < state->count; i++) {
        const struct safetensor *s = &state->tensors[i];
        count += is_carried(s);
        if (is_carried(s) && (s->type != SAFETENSOR_F64 || s->ndim != 1 || s->bytes == 0))
            return err_set(e, EXIT_DATA, "its '%.200s' is no list of numbers", s->name);
    }
    return count <= CARRIED_MAX ? 0 : err_set(e, EXIT_DATA, "it carries too many lists");
}

static void take_carried(struct carry *c, const struct safetensors *state)
{
    carry_release(c);
    for (int i = 0; i < state->count; i++) {
        const struct safetensor *s = &state->tensors[i];
        if (is_carried(s))
            memcpy(carry_add(c, s->name + sizeof carried - 1, s->bytes / sizeof(double)), s->data,
                   s->bytes);
    }
}

/* Everything was checked: this cannot fail. */
static void put_all(struct trainer *t, const struct safetensors *weights,
                    const struct safetensors *state, const struct position *p)
{
    const struct graph *g = &t->net.graph;
    const char *prefix;
    struct model *other = other_model(t, &prefix);
    put_model(trainer_result_model(t), weights, "");
    if (other)
        put_model(other, state, prefix);
    for (int i = 0; i < g->tensor_count; i++) {
        if (has_momentum(&g->tensors[i]))
            put(t->net.backend, momentum_of(t, i),
                matching(state, &g->tensors[i], "momentum.", NULL));
    }
    t->step = p->step;
    t->epoch_loss = p->epoch_loss;
    t->epoch_hits = p->epoch_hits;
    t->epoch_images = p->epoch_images;
    t->last_loss = p->last_loss;
    t->last_accuracy = p->last_accuracy;
    t->best_accuracy = p->best_accuracy;
    take_carried(&t->carry, state);
}

int checkpoint_load(struct trainer *t, const char *path, struct err *e)
{
    struct safetensors weights = {0}, state = {0};
    struct position p = {0};
    char beside[PATH_SIZE];
    state_path(path, beside);
    int status = safetensors_read(&weights, path, e);
    if (!status)
        status = safetensors_read(&state, beside, e);
    if (!status && (check_metadata(t, &weights, &state, e) ||
                    check_weights(&t->net.graph, &weights, e) || check_state(t, &state, e) ||
                    check_carried(&state, e) || read_position(&p, &state, e)))
        status = err_prefix(e, "cannot resume from '%.200s'", path);
    if (!status && p.step > t->total)
        status = err_set(e, EXIT_DATA, "cannot resume from '%.200s': it is at step %" PRIu64
                         " of %" PRIu64, path, p.step, t->total);
    if (!status)
        put_all(t, &weights, &state, &p);
    safetensors_release(&state);
    safetensors_release(&weights);
    return status;
}

/* Steps of the complete checkpoints in a folder, newest first; the caller frees. */
static uint64_t *list_steps(const char *folder, int *count)
{
    uint64_t *steps = NULL;
    *count = 0;
    DIR *d = opendir(folder);
    for (struct dirent *entry; d && (entry = readdir(d));) {
        uint64_t step;
        char again[64], weights[PATH_SIZE], state[PATH_SIZE];
        if (sscanf(entry->d_name, "step_%" SCNu64, &step) != 1)
            continue;
        snprintf(again, sizeof again, "step_%08" PRIu64 ".safetensors", step);
        if (strcmp(again, entry->d_name) != 0 ||
            file_join(weights, sizeof weights, folder, again, NULL))
            continue;
        state_path(weights, state);
        if (!file_exists(state))
            continue;
        steps = xrealloc(steps, ((size_t)*count + 1) * sizeof *steps);
        int at = (*count)++;
        for (; at > 0 && steps[at - 1] < step; at--)
            steps[at] = steps[at - 1];
        steps[at] = step;
    }
    if (d)
        closedir(d);
    return steps;
}

static int step_file(const char *folder, uint64_t step, char *path, struct err *e)
{
    char name[64];
    snprintf(name, sizeof name, "step_%08" PRIu64 ".safetensors", step);
    return file_join(path, PATH_SIZE, folder, name, e);
}

int checkpoint_latest(const char *folder, char *path, struct err *e)
{
    int count;
    uint64_t *steps = list_steps(folder, &count);
    if (count == 0)
        return err_set(e, EXIT_DATA, "'%s' holds no complete checkpoint", folder);
    uint64_t newest = steps[0];
    free(steps);
    return step_file(folder, newest, path, e);
}

bool checkpoint_older(const char *path, char *older)
{
    char folder[PATH_SIZE];
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    uint64_t step, *steps;
    int count, i = 0;
    if (sscanf(name, "step_%" SCNu64, &step) != 1)
        return false;
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    steps = list_steps(folder, &count);
    while (i < count && steps[i] >= step)
        i++;
    bool found = i < count && step_file(folder, steps[i], older, NULL) == 0;
    free(steps);
    return found;
}

void checkpoint_prune(const char *folder, int keep)
{
    int count;
    uint64_t *steps = list_steps(folder, &count);
    for (int i = keep; i < count; i++) {
        char weights[PATH_SIZE], state[PATH_SIZE];
        if (step_file(folder, steps[i], weights, NULL))
            continue;
        state_path(weights, state);
        /* Weights first: a checkpoint is complete as long as they are there. */
        if (unlink(weights) == 0)
            unlink(state);
    }
    free(steps);
}
