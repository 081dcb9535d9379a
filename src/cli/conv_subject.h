/* conv_subject.h - one convolution with everything that it reads and writes, for timing it alone.
 * Maps and weights hold dense random numbers: zeros would be faster on some processors. */
#ifndef KILN_CLI_CONV_SUBJECT_H
#define KILN_CLI_CONV_SUBJECT_H

#include "backend/backend.h"

enum { CONV_SUBJECT_BLOCKS = 8 };

struct conv_subject {
    struct backend *b;       /* borrowed */
    int n;                   /* images */
    struct conv_shape shape; /* with the algorithm of each pass */
    struct map x, y, dx, dy;
    void *weights, *dw, *packed, *workspace;
    struct { void *data; size_t bytes; } blocks[CONV_SUBJECT_BLOCKS];
    int block_count;
};

/* Allocates, fills, and packs the weights. The caller releases it, also after a failure. */
int conv_subject_init(struct conv_subject *s, struct backend *b, int n,
                      const struct conv_shape *shape, struct err *e);
void conv_subject_release(struct conv_subject *s);

/* Packs the weights; runs one pass. */
void conv_subject_pack(struct conv_subject *s);
void conv_subject_run(struct conv_subject *s, enum conv_pass pass);

#endif
