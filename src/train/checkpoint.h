/* checkpoint.h - the state of a run on disk.
 *
 * A checkpoint is two safetensors files in one folder:
 *
 *   step_00001200.safetensors        the weights that are evaluated, with PyTorch's names and
 *                                    layouts (num_batches_tracked included): load_file and
 *                                    load_state_dict take it
 *   step_00001200.state.safetensors  what a resume needs besides: momentum.NAME, for lookahead
 *                                    slow.NAME, for an EMA fast.NAME; carried.NAME, what
 *                                    observers want back (carry.h); step, epoch sums, seed and
 *                                    the config's hash as metadata
 *
 * The state is written first and the weights last, each atomically, so a weights file without its
 * state is never the newest. best.safetensors holds the weights of the best evaluation. A reader
 * checks everything before it touches the trainer: a damaged or foreign file changes nothing.
 */
#ifndef KILN_TRAIN_CHECKPOINT_H
#define KILN_TRAIN_CHECKPOINT_H

#include <stdbool.h>

#include "train/safetensors.h"
#include "train/trainer.h"

/* Writes the trainer's state to `folder` and the path of the weights file to path[4096]. */
int checkpoint_save(struct trainer *t, const char *folder, char *path, struct err *e);

/* Writes the weights alone to `path`. */
int checkpoint_save_weights(struct trainer *t, const char *path, struct err *e);

/* Puts a checkpoint, named by its weights file, into the trainer. Fails with EXIT_DATA (missing,
 * damaged, other network) or EXIT_USAGE (made with another configuration). */
int checkpoint_load(struct trainer *t, const char *path, struct err *e);

/* Puts the weights of any safetensors file with the graph's names and shapes into m; missing
 * num_batches_tracked is fine, other missing or surplus tensors are not. */
int checkpoint_load_weights(struct model *m, const char *path, struct err *e);

/* The step at which kiln wrote this weights file; fails with EXIT_DATA when it does not say. */
int checkpoint_step(const char *path, uint64_t *step, struct err *e);

/* Reads a safetensors file and checks that it holds just the graph's tensors, in their shapes. The
 * caller ends it with safetensors_release, also after a failure. */
int checkpoint_read_weights(struct safetensors *file, const struct graph *g, const char *path,
                            struct err *e);

/* Path of the newest complete checkpoint of a folder; fails with EXIT_DATA if it has none. */
int checkpoint_latest(const char *folder, char *path, struct err *e);

/* Path of the newest complete checkpoint that is older than the one at `path`, in the same folder:
 * older[4096]. Returns false if there is none. */
bool checkpoint_older(const char *path, char *older);

/* Removes all but the newest `keep` checkpoints of a folder (best.safetensors stays). Errors are
 * not reported: a file that cannot be removed is left. */
void checkpoint_prune(const char *folder, int keep);

#endif
