/* schema.h - the tables of the index, as one SQL text for each version.
 *
 * PRAGMA user_version says how many of the steps a file has gone through. A new file goes through
 * all of them, so that an old file and a new one end with the same tables. A step that only wants
 * the runs read anew says DELETE FROM run. Steps are never edited once released, only added.
 */
#ifndef KILN_STORE_SCHEMA_H
#define KILN_STORE_SCHEMA_H

#include "store/db.h"

/* NULL-ended; step i leads from version i to i + 1. */
extern const char *const schema_steps[];

/* Brings a database to the last version of `steps`, all steps or none. Fails with trouble
 * DB_UNWRITABLE for a file of a later version: a newer kiln wrote it, and keeps it. */
int schema_upgrade(struct db *db, const char *const *steps, struct err *e);

#endif
