/* winograd_plain_body.h - the plain transforms of winograd.h, where a vec is one number, in fp32
 * and in fp64. The includer defines POINTS_BODY, the file that has the points. */
#include <assert.h>

#include "kernels/winograd.h"

#define INLINE static inline
#define UNROLL
#define VEC_REALS 1
#define ELEMENT REAL
#define PARTS LINE_ELEMENTS
#define TURN_IMAGES 1
#define STREAMS_POINTS 0
#define vec REAL
#define v_load(p) (*(p))
#define v_store(p, a) (*(p) = (a))
#define v_stream v_store
#define v_set(a) (a)
#define v_add(a, b) ((a) + (b))
#define v_sub(a, b) ((a) - (b))
#define v_mul(a, b) ((a) * (b))
#define v_fma(a, b, c) ((a) * (b) + (c))
#define v_fnma(a, b, c) ((c) - (a) * (b))
#define line_load(p, line)                                                                         \
    for (int part_ = 0; part_ < PARTS; part_++)                                                    \
    (line)[part_] = (p)[part_]
#define line_load_taken(p, argmax, place, line)                                                    \
    for (int part_ = 0; part_ < PARTS; part_++)                                                    \
    (line)[part_] = (argmax)[part_] == (place) ? (p)[part_] : 0
#define line_store(p, line)                                                                        \
    for (int part_ = 0; part_ < PARTS; part_++)                                                    \
    (p)[part_] = (line)[part_]
#define line_stream line_store
#define line_stream_end() ((void)0)

#define REAL float
#define NAME(name) name##_fp32
#define LINE_ELEMENTS 16
#include POINTS_BODY
#include "kernels/winograd_body.h"
#include "kernels/winograd_gradient_body.h"
#include "kernels/winograd_output_body.h"
#include "kernels/winograd_weights_body.h"
#undef REAL
#undef NAME
#undef LINE_ELEMENTS

#define REAL double
#define NAME(name) name##_fp64
#define LINE_ELEMENTS 8
#include POINTS_BODY
#include "kernels/winograd_body.h"
#include "kernels/winograd_gradient_body.h"
#include "kernels/winograd_output_body.h"
#include "kernels/winograd_weights_body.h"

static void fill_plain(struct winograd_kernels *k, enum precision p)
{
    *k = (struct winograd_kernels){0};
    if (p == PRECISION_FP64)
        fill_fp64(k);
    else if (p == PRECISION_FP32)
        fill_fp32(k);
}
