/* index.c - see index.h. Whoever opens the index brings it up to date, so it never lags behind the
 * run directories, and two who do so at once do no harm: a row says how status.json looked before
 * the run was read, and the next reader compares. */
#define _GNU_SOURCE /* statfs */
#include "store/index.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/options.h"
#include "store/rundir.h"
#include "store/scan.h"
#include "store/schema.h"
#include "store/where.h"

/* A row of the index, as far as bringing it up to date needs it. */
struct known {
    const char *path;
    struct scan_mark mark;
    enum run_state state;
};

struct known_list {
    struct arena memory;
    struct known *runs;          /* [count], sorted by path */
    size_t count;
};

static enum run_state state_of(const char *name)
{
    for (int i = 0; i < RUN_STATE_COUNT; i++)
        if (name && strcmp(name, run_state_name((enum run_state)i)) == 0)
            return (enum run_state)i;
    return RUN_RUNNING; /* to be read again */
}

static int load_known(struct index *x, struct known_list *l, struct err *e)
{
    struct db_query q;
    int rc;
    *l = (struct known_list){0};
    static const char *const sql =
        "SELECT path, mark_time, mark_size, mark_inode, state FROM run ORDER BY path";
    if (db_prepare(&x->db, &q, sql, e))
        return -1;
    while ((rc = db_step(&q, e)) == 1) {
        if ((l->count & (l->count - 1)) == 0)
            l->runs = xrealloc(l->runs, (l->count ? 2 * l->count : 1) * sizeof *l->runs);
        const char *path = db_text(&q, 0);
        l->runs[l->count++] = (struct known){
            .path = arena_strdup(&l->memory, path ? path : ""),
            .mark = {db_integer(&q, 1), db_integer(&q, 2), db_integer(&q, 3)},
            .state = state_of(db_text(&q, 4)),
        };
    }
    db_finish(&q);
    return rc;
}

static void release_known(struct known_list *l)
{
    free(l->runs);
    arena_release(&l->memory);
}

/* Whether the row says what reading the run again would say. A run that is written now changes
 * without a new status.json, and one that was killed may have been taken up. */
static bool is_fresh(const struct index *x, const struct known *k, const struct scan_run *run)
{
    char path[4096];
    if (memcmp(&k->mark, &run->mark, sizeof k->mark) != 0 || k->state == RUN_RUNNING)
        return false;
    return k->state != RUN_DEAD || file_join(path, sizeof path, x->folder, k->path, NULL) ||
           rundir_is_locked(path) != 1;
}

static json_t *settings_json(const struct run_summary *s)
{
    json_t *o = json_object();
    for (size_t i = 0; i < s->setting_count; i++)
        json_object_set_new(o, s->settings[i].key, json_text(s->settings[i].value));
    return o;
}

/* INSERT of every column, in the order in which insert_run binds. */
static char *insert_sql(void)
{
    struct where w;
    where_begin(&w, NULL);
    where_add(&w, "INSERT OR REPLACE INTO run(path, mark_time, mark_size, mark_inode, config");
    for (const struct summary_field *f = summary_fields; f->name; f++)
        if (strcmp(f->name, "path") != 0)
            fprintf(w.out, ", \"%s\"", f->name);
    where_add(&w, ") VALUES(?, ?, ?, ?, ?");
    for (const struct summary_field *f = summary_fields + 1; f->name; f++)
        where_add(&w, ", ?");
    where_add(&w, ")");
    where_end(&w);
    char *sql = w.sql;
    w.sql = NULL;
    where_release(&w);
    return sql;
}

static int insert_run(struct db_query *q, const struct scan_run *run, const struct run_summary *s,
                      struct err *e)
{
    json_t *settings = settings_json(s);
    char *config = json_line(settings);
    db_bind_text(q, run->path);
    db_bind_integer(q, run->mark.time);
    db_bind_integer(q, run->mark.size);
    db_bind_integer(q, run->mark.inode);
    db_bind_text(q, config);
    for (const struct summary_field *f = summary_fields; f->name; f++) {
        if (strcmp(f->name, "path") == 0)
            continue;
        if (f->kind == SUMMARY_TEXT)
            db_bind_text(q, summary_text(s, f));
        else if (f->kind == SUMMARY_REAL)
            db_bind_real(q, summary_real(s, f));
        else if (summary_count(s, f) < 0)
            db_bind_text(q, NULL);
        else
            db_bind_integer(q, summary_count(s, f));
    }
    int rc = db_step(q, e);
    db_reset(q);
    free(config);
    json_decref(settings);
    return rc < 0 ? -1 : 0;
}

/* The work of one update. */
struct update {
    struct index *x;
    struct scan scan;
    struct known_list known;
    struct db_query insert, remove;
    bool write;                  /* else only find out whether there is anything to write */
    bool stale;                  /* there is */
};

static int remove_row(struct update *u, const char *path, struct err *e)
{
    u->stale = true;
    if (!u->write)
        return 0;
    db_bind_text(&u->remove, path);
    int rc = db_step(&u->remove, e);
    db_reset(&u->remove);
    return rc < 0 ? -1 : 0;
}

static int read_run(struct update *u, const struct scan_run *run, struct err *e)
{
    char path[4096];
    struct run_summary s;
    u->stale = true;
    if (!u->write)
        return 0;
    if (file_join(path, sizeof path, u->x->folder, run->path, e))
        return -1;
    if (summary_read(&s, path, NULL))
        return remove_row(u, run->path, e); /* gone since the scan */
    int rc = insert_run(&u->insert, run, &s, e);
    summary_release(&s);
    return rc;
}

/* A row that the scan has not seen: gone, unless another process has found it since. */
static int forget_run(struct update *u, const char *below, struct err *e)
{
    char path[4096];
    if (file_join(path, sizeof path, u->x->folder, below, NULL) == 0 && rundir_is(path))
        return 0;
    return remove_row(u, below, e);
}

/* Walks along both sorted lists. */
static int compare(struct update *u, struct err *e)
{
    size_t i = 0, k = 0;
    int rc = 0;
    u->stale = false;
    while (rc == 0 && (i < u->scan.count || k < u->known.count)) {
        const struct scan_run *run = i < u->scan.count ? &u->scan.runs[i] : NULL;
        const struct known *known = k < u->known.count ? &u->known.runs[k] : NULL;
        int order = !run ? 1 : !known ? -1 : strcmp(run->path, known->path);
        if (order > 0)
            rc = forget_run(u, known->path, e);
        else if (order < 0 || !is_fresh(u->x, known, run))
            rc = read_run(u, run, e);
        i += order <= 0;
        k += order >= 0;
    }
    return rc;
}

/* Writes what is stale, in one transaction. The rows are read again inside it: another process may
 * have done the work meanwhile. */
static int write_changes(struct update *u, bool all, struct err *e)
{
    struct db *db = &u->x->db;
    char *sql = insert_sql();
    u->write = true;
    int rc = db_run(db, "BEGIN IMMEDIATE", e);
    bool begun = rc == 0;
    release_known(&u->known);
    u->known = (struct known_list){0};
    if (!rc && all)
        rc = db_run(db, "DELETE FROM run", e);
    if (!rc)
        rc = load_known(u->x, &u->known, e);
    if (!rc)
        rc = db_prepare(db, &u->insert, sql, e);
    if (!rc)
        rc = db_prepare(db, &u->remove, "DELETE FROM run WHERE path = ?", e);
    if (!rc)
        rc = compare(u, e);
    db_finish(&u->insert);
    db_finish(&u->remove);
    free(sql);
    if (!rc)
        rc = db_run(db, "COMMIT", e);
    if (rc && begun) {
        enum db_trouble trouble = db->trouble;
        db_run(db, "ROLLBACK", NULL);
        db->trouble = trouble;
    }
    return rc;
}

/* Fails with db.trouble DB_FINE when it is the folder that cannot be read. */
static int update(struct index *x, bool all, struct err *e)
{
    struct update u = {.x = x};
    x->db.trouble = DB_FINE;
    int rc = load_known(x, &u.known, e);
    if (!rc)
        rc = scan_folder(&u.scan, x->folder, e);
    if (!rc && !all)
        rc = compare(&u, e);
    if (!rc && (all || u.stale))
        rc = write_changes(&u, all, e);
    release_known(&u.known);
    scan_release(&u.scan);
    return rc;
}

/* SQLite's locks and shared memory do not reach over a network. */
static bool is_remote(const char *folder)
{
    static const unsigned long remote[] = {
        0x6969,     0x517b,     0xff534d42, 0xfe534d42, 0x0bd00bd0, /* NFS, SMB (3), Lustre */
        0x47504653, 0x01021997, 0x5346414f, 0x00c36400, 0x65735546, /* GPFS, 9P, AFS, Ceph, FUSE */
        0x19830326,                                                 /* BeeGFS */
    };
    struct statfs fs;
    if (statfs(folder, &fs))
        return false;
    for (size_t i = 0; i < sizeof remote / sizeof remote[0]; i++)
        if (((unsigned long)fs.f_type & 0xffffffff) == remote[i])
            return true;
    return false;
}

/* Opens the database (in memory: path NULL) and reads all runs into it, or those that changed. */
static int open_at(struct index *x, const char *path, bool all, struct err *e)
{
    if (db_open(&x->db, path, e))
        return -1;
    if (schema_upgrade(&x->db, schema_steps, e) == 0 && update(x, all, e) == 0)
        return 0;
    db_close(&x->db);
    return -1;
}

static int open_best(struct index *x, bool all, struct err *e)
{
    char path[4096];
    struct err cause;
    if (is_remote(x->folder) || file_join(path, sizeof path, x->folder, ".index.sqlite", NULL))
        return open_at(x, NULL, all, e);
    if (open_at(x, path, all, &cause) == 0)
        return 0;
    if (x->db.trouble == DB_DAMAGED) {
        log_warn("%s; it is made anew from the run directories", cause.text);
        if (db_discard(path, &cause) == 0 && open_at(x, path, all, &cause) == 0)
            return 0;
    }
    if (x->db.trouble == DB_BUSY || x->db.trouble == DB_OTHER)
        log_say("%s; every run is read instead", cause.text);
    return open_at(x, NULL, all, e);
}

int index_open(struct index *x, const char *folder, const char *const *settings, struct err *e)
{
    *x = (struct index){.settings = settings, .db.lock = -1};
    if (strlen(folder) >= sizeof x->folder)
        return err_set(e, EXIT_USAGE, "the path '%.64s...' is too long", folder);
    snprintf(x->folder, sizeof x->folder, "%s", folder);
    return open_best(x, false, e);
}

void index_close(struct index *x)
{
    db_close(&x->db);
}

/* After trouble with the file: a new one, or memory. */
static int reopen(struct index *x, bool all, struct err *e)
{
    if (x->db.trouble == DB_FINE)
        return -1; /* not the index's fault */
    if (!*x->db.path)
        return -1;
    index_close(x);
    return open_best(x, all, e);
}

int index_update(struct index *x, struct err *e)
{
    return update(x, false, e) ? reopen(x, false, e) : 0;
}

int index_rebuild(struct index *x, struct err *e)
{
    return update(x, true, e) ? reopen(x, true, e) : 0;
}

static int select_sql(struct where *w, const struct index_query *q, const char *const *columns,
                      size_t count, struct err *e)
{
    bool sorted = q->sort && *q->sort;
    where_add(w, "SELECT ");
    for (size_t i = 0; i < count; i++) {
        where_add(w, i ? ", " : "");
        if (strcmp(columns[i], "config") == 0)
            where_add(w, "config");
        else if (where_key(w, columns[i], e))
            return err_prefix(e, "--columns");
    }
    where_add(w, " FROM run WHERE ");
    if (where_condition(w, q->where ? q->where : "", e))
        return err_prefix(e, "--where");
    where_add(w, " ORDER BY ");
    if (where_order(w, sorted ? q->sort : "start", sorted ? q->reverse : !q->reverse, e))
        return err_prefix(e, "--sort");
    if (q->limit > 0)
        fprintf(w->out, " LIMIT %lld", (long long)q->limit);
    return 0;
}

static struct index_value value_of(const struct db_query *q, int i, struct arena *memory)
{
    struct index_value v = {.kind = db_kind(q, i), .real = (double)NAN};
    if (v.kind == DB_TEXT)
        v.text = arena_strdup(memory, db_text(q, i));
    else if (v.kind != DB_NULL)
        v.real = db_real(q, i);
    if (v.kind == DB_INTEGER)
        v.integer = db_integer(q, i);
    return v;
}

/* The rows are kept before anybody sees them: if the file turns out to be damaged half way, all of
 * them are read again. */
static int read_rows(struct index *x, const struct where *w, struct index_rows *rows,
                     struct err *e)
{
    struct db_query q;
    size_t room = 0;
    int rc;
    if (db_prepare(&x->db, &q, w->sql, e))
        return -1;
    where_bind(w, &q);
    while ((rc = db_step(&q, e)) == 1) {
        if (rows->count == room) {
            room = room ? 2 * room : 64;
            rows->values = xrealloc(rows->values, room * rows->columns * sizeof *rows->values);
        }
        for (size_t i = 0; i < rows->columns; i++)
            rows->values[rows->count * rows->columns + i] = value_of(&q, (int)i, &rows->memory);
        rows->count++;
    }
    db_finish(&q);
    return rc;
}

int index_select(struct index *x, const struct index_query *q, const char *const *columns,
                 size_t count, struct index_rows *rows, struct err *e)
{
    struct where w;
    assert(count > 0);
    *rows = (struct index_rows){.columns = count};
    where_begin(&w, x->settings);
    int rc = select_sql(&w, q, columns, count, e);
    where_end(&w);
    if (!rc && read_rows(x, &w, rows, e)) {
        index_rows_release(rows);
        rows->columns = count;
        rc = reopen(x, false, e) || read_rows(x, &w, rows, e) ? -1 : 0;
    }
    where_release(&w);
    return rc;
}

void index_rows_release(struct index_rows *rows)
{
    free(rows->values);
    arena_release(&rows->memory);
    *rows = (struct index_rows){0};
}

/* Fills the summary's settings from the index's JSON; texts live as long as `config`. */
static void fill_settings(struct run_summary *s, json_t *config)
{
    const char *key;
    json_t *value;
    s->settings = xcalloc(json_object_size(config) + 1, sizeof *s->settings);
    json_object_foreach(config, key, value)
        s->settings[s->setting_count++] = (struct run_setting){key, json_string_value(value)};
}

/* The summary that a row of all fields stands for; `config` keeps texts of it alive. */
static void fill_summary(struct run_summary *s, const struct index *x,
                         const struct index_value *row, json_t **config)
{
    *s = (struct run_summary){0};
    const struct index_value *v = row;
    for (const struct summary_field *f = summary_fields; f->name; f++, v++) {
        const char *text = v->text ? v->text : "";
        int64_t count = v->kind == DB_INTEGER ? v->integer : -1;
        char *member = (char *)s + f->offset;
        if (f->kind == SUMMARY_TEXT)
            memcpy(member, &text, sizeof text);
        else if (f->kind == SUMMARY_COUNT)
            memcpy(member, &count, sizeof count);
        else
            memcpy(member, &v->real, sizeof v->real);
    }
    s->path = arena_printf(&s->memory, "%s/%s", x->folder, s->path);
    s->state = state_of(s->state_name);
    *config = v->text ? json_loads(v->text, 0, NULL) : NULL;
    fill_settings(s, *config);
}

int index_each(struct index *x, const struct index_query *q, index_visit_fn visit, void *context,
               struct err *e)
{
    const char *columns[128];
    size_t count = 0;
    struct index_rows rows;
    for (const struct summary_field *f = summary_fields; f->name; f++)
        columns[count++] = f->name;
    columns[count++] = "config";
    assert(count <= sizeof columns / sizeof columns[0]);
    int rc = index_select(x, q, columns, count, &rows, e);
    for (size_t i = 0; rc == 0 && i < rows.count; i++) {
        struct run_summary s;
        json_t *config;
        fill_summary(&s, x, &rows.values[i * count], &config);
        rc = visit(context, &s, e);
        summary_release(&s);
        json_decref(config);
    }
    index_rows_release(&rows);
    return rc;
}

/* Whether `part` is the beginning of the path's last component, or of one of its parts. */
static bool begins_part(const char *path, const char *part)
{
    size_t n = strlen(part);
    const char *slash = strrchr(path, '/');
    if (strncmp(path, part, n) == 0)
        return true;
    for (const char *p = slash ? slash : path; *p; p++)
        if ((*p == '-' || *p == '/') && strncmp(p + 1, part, n) == 0)
            return true;
    return false;
}

/* How well a name fits a run: 2 exactly, 1 by a beginning, 0 not at all. */
static int fit(const char *path, const char *id, const char *name)
{
    if (!strcmp(path, name) || !strcmp(id, name))
        return 2;
    return begins_part(path, name);
}

int index_find(struct index *x, const char *name, char *path, struct err *e)
{
    static const char *const columns[] = {"path", "id"};
    struct index_rows rows;
    const char *found[2] = {NULL, NULL};
    size_t hits = 0;
    int best = 1;
    int rc = index_select(x, &(struct index_query){.sort = "path"}, columns, 2, &rows, e);
    for (size_t i = 0; rc == 0 && *name && i < rows.count; i++) {
        const struct index_value *row = &rows.values[2 * i];
        int how = fit(row[0].text, row[1].text, name);
        if (how > best) { /* what fits exactly beats all beginnings */
            best = how;
            hits = 0;
        }
        if (how == best && hits++ < 2)
            found[hits - 1] = row[0].text;
    }
    if (rc == 0 && hits == 0)
        rc = err_set(e, EXIT_DATA, "there is no run '%s' in '%s'", name, x->folder);
    else if (rc == 0 && hits > 1)
        rc = err_set(e, EXIT_USAGE, "'%s' could be any of %zu runs: '%s', '%s'%s", name, hits,
                     found[0], found[1], hits > 2 ? " ..." : "");
    else if (rc == 0)
        rc = file_join(path, 4096, x->folder, found[0], e);
    index_rows_release(&rows);
    return rc;
}
