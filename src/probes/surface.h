/* surface.h - the loss as a function of the weights, over fixed images.
 *
 * Training sees a new batch at every step. A surface holds the images still and lets the weights
 * move: L(w) = the mean loss per image over `images` images, cut into batches as in training, with
 * the training's label smoothing and without augmentation (unless views are given). It has a copy
 * of the network with memory, precision and threads of its own, and borrows only the trainer's
 * stored images, so the trainer does not notice.
 *
 * The weights are one host vector w[count] in double: the tensors that train, one after the other,
 * without padding. What batch norm does is the plan's mode: in PLAN_TRAIN each batch has its own
 * statistics, so L depends on how the images are cut into batches; in PLAN_FROZEN the running
 * statistics are constants, and each image counts alone; PLAN_EVAL has no gradients.
 */
#ifndef KILN_PROBES_SURFACE_H
#define KILN_PROBES_SURFACE_H

#include "train/trainer.h"

struct surface_options {
    enum precision precision;
    enum plan_mode mode;
    uint32_t images;             /* at most so many; the first ones are those of probe_sample */
    int batch;                   /* images of one batch; 0: as in training */
};

struct surface {
    struct network net;          /* the copy */
    struct plan *plan;
    const struct image_store *store; /* borrowed */
    struct image_view *views;    /* [images] */
    uint8_t *labels;             /* [images] */
    double *losses;              /* [images]: of each image, as the last call left them */
    uint8_t *hits;               /* [images] */
    double *part;                /* [count]: gradient of one batch */
    uint32_t images;             /* in use; at most `room` */
    uint32_t room;
    int batch;
    double smoothing;
    size_t count;                /* numbers that train */
};

/* Copies the trainer's network, with its weights and statistics, and takes images. The surface
 * must not move afterwards. Fails when memory is short; surface_close is right then too, and on
 * zeros. */
int surface_open(struct surface *s, const struct trainer *t, const struct surface_options *o,
                 struct err *e);
void surface_close(struct surface *s);

/* Takes over weights, statistics and what trains from a model of the same graph. */
void surface_take(struct surface *s, const struct model *m);

/* Uses these images instead, in this order: views[images], labels[images], images <= room. */
void surface_use(struct surface *s, const struct image_view *views, const uint8_t *labels,
                 uint32_t images);

/* The weights w[count], out and in. */
void surface_read(const struct surface *s, double *w);
void surface_write(struct surface *s, const double *w);

/* Spreads x[count] over a device vector of the graph's params_count, as surface_write does. */
void surface_put(const struct surface *s, void *device, const double *x);

/* Length of the part of w that belongs to tensors of this role (as w lies in surface_read). */
double surface_role_norm(const struct surface *s, const double *w, enum role role);

/* L at the present weights; with its gradient g[count]. */
double surface_loss(struct surface *s);
double surface_gradient(struct surface *s, double *g);

/* Number of batches; loss and gradient of one of them, and how many images it has. */
uint32_t surface_batches(const struct surface *s);
double surface_batch_gradient(struct surface *s, uint32_t batch, double *g, int *images);

/* Replaces the running statistics by the means over the surface's batches at the present weights
 * (surfaces with PLAN_TRAIN; variances are unbiased, as PyTorch's update_bn leaves them). */
void surface_refresh(struct surface *s);

#endif
