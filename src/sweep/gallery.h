/* gallery.h - what a run made of each held-out image, and a picture of what it finds hard.
 *
 *     predictions.safetensors   every image: label, predicted class, its probability, loss
 *     gallery.png               32x32 images, eight a row, no text: the hardest first, then a row
 *                               of examples for each pair of classes that is confused most
 *     gallery.json              what is where in the picture; written last, so that it never names
 *                               a picture of other weights
 *
 * The hardest are those of greatest loss. A pair is (label, predicted class), most frequent first;
 * its examples are those in which the network was surest of being right. docs/formats.md has the
 * keys. The same outcomes give the same bytes.
 */
#ifndef KILN_SWEEP_GALLERY_H
#define KILN_SWEEP_GALLERY_H

#include "store/rundir.h"
#include "train/observer.h"

/* Writes the three files, replacing those of an earlier session. */
int gallery_write(const struct rundir *dir, const struct outcomes_event *event, struct err *e);

#endif
