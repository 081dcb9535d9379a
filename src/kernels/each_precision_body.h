/* each_precision_body.h - compiles the file that the macro BODY names once for each precision.
 * The body is written with
 *
 *      MAP          the type of a map's element, A of kernels.h
 *      REAL         the type of parameters and of all arithmetic, P of kernels.h
 *      GET(a)       the REAL that a MAP stands for
 *      PUT(r)       the MAP nearest to a REAL
 *      SUM          the type in which the images of a tile are added up
 *      PRECISION    the enum precision
 *      NAME(x)      x's name in this precision
 */
#include "kernels/bf16.h"
#include "kernels/layout.h"

#define MAP float
#define REAL float
#define GET(a) (a)
#define PUT(r) (r)
#define SUM double
#define PRECISION PRECISION_FP32
#define NAME(name) name##_fp32
#include BODY
#undef MAP
#undef GET
#undef PUT
#undef SUM
#undef PRECISION
#undef NAME

#define MAP struct bf16
#define GET(a) bf16_to_float(a)
#define PUT(r) bf16_from_float(r)
#define SUM float
#define PRECISION PRECISION_BF16
#define NAME(name) name##_bf16
#include BODY
#undef MAP
#undef REAL
#undef GET
#undef PUT
#undef SUM
#undef PRECISION
#undef NAME

#define MAP double
#define REAL double
#define GET(a) (a)
#define PUT(r) (r)
#define SUM double
#define PRECISION PRECISION_FP64
#define NAME(name) name##_fp64
#include BODY
#undef MAP
#undef REAL
#undef GET
#undef PUT
#undef SUM
#undef PRECISION
#undef NAME
#undef BODY

/* Calls the version of f that belongs to precision p. */
#ifndef CALL_FOR_PRECISION
#define CALL_FOR_PRECISION(p, f, ...)                                                         \
    ((p) == PRECISION_FP64   ? f##_fp64(__VA_ARGS__)                                          \
     : (p) == PRECISION_BF16 ? f##_bf16(__VA_ARGS__)                                          \
                             : f##_fp32(__VA_ARGS__))
#endif
