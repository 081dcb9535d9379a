/* fetch.h - one file from the first of several addresses that serves it whole.
 *
 * What has come is kept in `<file>.part` and continued by the next attempt, from whichever address;
 * the final name appears only after size and checksum were right. An address that does not answer
 * within a few seconds is left for the next, and so, in a first round, is one that is slow: servers
 * of data sets have been seen at 50 kB/s. Later rounds, made while one of them gives more of the
 * file, have no such hurry.
 */
#ifndef KILN_DATA_FETCH_H
#define KILN_DATA_FETCH_H

#include "base/err.h"
#include "data/dataset.h"

/* Makes sure that folder/d->file is there and whole; one that is already is left alone, one of
 * another size or sum is replaced. `urls` (NULL-ended, http or https) is used instead of d->urls
 * if not NULL. Says what it does through log_say. Fails with EXIT_DATA and the cause for each
 * address, or with EXIT_FAILED when the file cannot be written. */
int fetch_file(const struct download *d, const char *const *urls, const char *folder,
               struct err *e);

#endif
