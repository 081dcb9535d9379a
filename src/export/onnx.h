/* onnx.h - a network and its weights as an ONNX model (onnx.ai), for whatever runs those.
 *
 *     input   float [N, C, H, W]   images, normalised: (pixel 0..255 - mean) / deviation
 *     logits  float [N, classes]
 *
 * N is free. The network is that of evaluation: batch norm uses the running statistics. Opset 17,
 * IR version 8; GELU is written out with Erf, because it became an operator only in opset 20.
 * Initialisers have the names of the checkpoint's tensors and are bit for bit those; every node has
 * the name of its line in the .net file.
 */
#ifndef KILN_EXPORT_ONNX_H
#define KILN_EXPORT_ONNX_H

#include "export/wire.h"
#include "nn/graph.h"
#include "train/safetensors.h"

enum { ONNX_OPSET = 17, ONNX_IR = 8 };

/* Appends the model to `out` (zero bits before). `weights` has every tensor of the graph, in its
 * shape (checkpoint_read_weights). The metadata becomes metadata_props. Fails with EXIT_FAILED for
 * a layer type that has no form in ONNX. */
int onnx_build(struct wire *out, const struct graph *g, const struct safetensors *weights,
               const struct safetensors_pair *metadata, int pairs, struct err *e);

#endif
