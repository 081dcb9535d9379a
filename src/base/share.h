/* share.h - the files that come with kiln: networks (nets/) and recipes (recipes/).
 *
 * They are looked for in the folder that KILN_HOME names, in the source tree, and where
 * `cmake --install` put them, in this order; the first that has a file wins.
 */
#ifndef KILN_BASE_SHARE_H
#define KILN_BASE_SHARE_H

#include <stdbool.h>

#include "base/arena.h"

/* Where <folder>/<name><ending> is: path[4096]. Returns false if no place has it. */
bool share_find(const char *folder, const char *name, const char *ending, char *path);

/* Names, without `ending`, of what all places have in that folder: sorted, each once, NULL-ended.
 * All memory comes from `a`. */
const char *const *share_names(struct arena *a, const char *folder, const char *ending);

#endif
