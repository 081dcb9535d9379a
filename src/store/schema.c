/* schema.c - see schema.h. */
#include "store/schema.h"

#include <stdio.h>

/* check-style: long (a table) */
const char *const schema_steps[] = {
    /* Version 1. A row is a run directory; whatever is here can be read again from there. Unknown
     * numbers are NULL, unknown texts ''. Columns have the names of summary_fields. */
    "CREATE TABLE run(\n"
    "  path TEXT NOT NULL,       -- below the folder of the index\n"
    "  mark_time INTEGER,        -- how status.json looked when the run was read:\n"
    "  mark_size INTEGER,        --   if it looks the same, the row is up to date\n"
    "  mark_inode INTEGER,\n"
    "  config TEXT,              -- JSON object: every key of config.ini, as text, in its order\n"
    "  id TEXT, name TEXT, state TEXT, recipe TEXT, net TEXT, data TEXT,\n"
    "  step INTEGER, total_steps INTEGER, epoch REAL,\n"
    "  start TEXT, \"end\" TEXT, heartbeat TEXT, sessions INTEGER,   -- 2026-11-23T20:32:59Z\n"
    "  train_loss REAL, train_accuracy REAL,                       -- means per image, shares\n"
    "  test_loss REAL, test_accuracy REAL,\n"
    "  tta_loss REAL, tta_accuracy REAL,\n"
    "  validation_loss REAL, validation_accuracy REAL,\n"
    "  images_per_second REAL, train_seconds REAL, seconds REAL,\n"
    "  weights_hash TEXT, checkpoint TEXT,\n"
    "  reason TEXT, exit_status INTEGER, error TEXT,\n"
    "  config_hash TEXT, data_hash TEXT, network_hash TEXT, program_hash TEXT,\n"
    "  steps_down TEXT, parameters INTEGER,\n"
    "  host TEXT, pid INTEGER, cpu TEXT, tier TEXT, thread_count INTEGER,\n"
    "  version TEXT, revision TEXT,\n"
    "  problem TEXT\n"
    ");\n"
    "CREATE UNIQUE INDEX run_path ON run(path);\n"
    "-- To see what has changed takes this index alone, not the rows.\n"
    "CREATE INDEX run_mark ON run(path, mark_time, mark_size, mark_inode, state);",
    NULL,
};

static int version_of(struct db *db, int *version, struct err *e)
{
    struct db_query q;
    if (db_prepare(db, &q, "PRAGMA user_version", e))
        return -1;
    int rc = db_step(&q, e);
    *version = rc == 1 ? (int)db_integer(&q, 0) : 0;
    db_finish(&q);
    return rc < 0 ? -1 : 0;
}

static int take_steps(struct db *db, const char *const *steps, int count, struct err *e)
{
    int version;
    char set_version[64];
    /* Another process may have been faster. */
    if (db_run(db, "BEGIN IMMEDIATE", e))
        return -1;
    int rc = version_of(db, &version, e);
    for (; rc == 0 && version < count; version++)
        rc = db_run(db, steps[version], e);
    snprintf(set_version, sizeof set_version, "PRAGMA user_version = %d", version);
    if (rc == 0)
        rc = db_run(db, set_version, e) || db_run(db, "COMMIT", e) ? -1 : 0;
    if (rc) {
        enum db_trouble trouble = db->trouble;
        db_run(db, "ROLLBACK", NULL);
        db->trouble = trouble;
    }
    return rc;
}

int schema_upgrade(struct db *db, const char *const *steps, struct err *e)
{
    int version, count = 0;
    while (steps[count])
        count++;
    if (version_of(db, &version, e))
        return -1;
    if (version > count) {
        db->trouble = DB_UNWRITABLE;
        return err_set(e, EXIT_FAILED, "the index '%s' was made by a newer kiln", db->path);
    }
    return version == count ? 0 : take_steps(db, steps, count, e);
}
