/* test_index.c - the index of a folder of runs: the same answers as the run directories give, after
 * whatever happens to it. */
#define _GNU_SOURCE /* kill */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "scratch_group.h"
#include "store/index.h"
#include "store/rundir.h"
#include "store/schema.h"
#include "support/runs.h"

static const char *const keys[] = {"lr", "batch", "net", "seed", "name", "knots", NULL};
#define FIRE "\xf0\x9f\x94\xa5"

static const struct made_run made[] = {
    {"a", "finished", "resnet9", "first 'try'", "0:0, 5:1", "0.1", 1, 512, 100,
     "2026-11-20T10:00:00Z", "0.94", "0.25"},
    {"b", "finished", "resnet9", "<b>\"x\" & " FIRE ", 1", "", "0.4", 2, 512, 100,
     "2026-11-21T10:00:00Z", "0.9", "0.5"},
    {"c", "diverged", "dawn", "", "", "1e-05", 1, 128, 7, "2026-11-22T10:00:00Z", NULL, NULL},
    {"group/d", "stopped", "nets/dawn.net", "12", "7", "2", 3, 1024, 50, "2026-11-23T10:00:00Z",
     "0.5", "1.5"},
    {"group/trials/e", NULL, "dawn", "", "", "10", 1, 64, 0, NULL, NULL, NULL},
};
enum { MADE = sizeof made / sizeof made[0] };

static const char *folder(void)
{
    return scratch_path(&scratch, "runs");
}

static void make(const struct made_run *r)
{
    struct made_run copy = *r;
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder(), r->path);
    copy.path = path;
    make_run(&copy);
}

static void shell(const char *format, const char *path)
{
    char command[2048];
    snprintf(command, sizeof command, format, path);
    assert_int_equal(system(command), 0);
}

/* A folder with the runs above, and what is no run. */
static int make_all(void **state)
{
    (void)state;
    shell("rm -rf '%s'", folder());
    for (int i = 0; i < MADE; i++)
        make(&made[i]);
    make(&(struct made_run){.path = ".hidden/x", .lr = "1"});
    make(&(struct made_run){.path = "a/inside", .lr = "1"});
    shell("mkdir '%s/empty'", folder());
    return 0;
}

static void open_index(struct index *x)
{
    struct err e = {0};
    int rc = index_open(x, folder(), keys, &e);
    assert_string_equal(e.text, "");
    assert_int_equal(rc, 0);
}

/* The ids that a query gives, as "a b c". */
static void assert_runs(const struct index_query *q, const char *wanted)
{
    static const char *const columns[] = {"id"};
    struct index x;
    struct index_rows rows;
    struct err e = {0};
    char found[256] = "";
    open_index(&x);
    int rc = index_select(&x, q, columns, 1, &rows, &e);
    assert_string_equal(e.text, "");
    assert_int_equal(rc, 0);
    for (size_t i = 0; i < rows.count; i++)
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s%s", i ? " " : "",
                 rows.values[i].text);
    index_rows_release(&rows);
    index_close(&x);
    assert_string_equal(found, wanted);
}

static void assert_where(const char *where, const char *wanted)
{
    assert_runs(&(struct index_query){.where = where, .sort = "path"}, wanted);
}

static void test_where__compares_numbers_texts_and_what_is_not_known(void **state)
{
    (void)state;
    assert_where("", "a b c d e");
    assert_where("lr>0.1", "b d e");
    assert_where("lr >= 0.1 and net=resnet9", "a b");
    assert_where("lr = 1e-5", "c");
    assert_where("lr = '1e-05'", "c");
    assert_where("lr < 3", "a b c d"); /* 10 < 3 as a text */
    assert_where("net = dawn", "c d e");
    assert_where("net != dawn", "a b");
    assert_where("batch = 512 or batch == 64", "a b e");
    assert_where("not batch = 512 and not (state = dead)", "c d");
    assert_where("not (batch = 512 or net = dawn)", "");
    assert_where("state=finished", "a b");
    assert_where("test_accuracy > 0.6", "a b");
    assert_where("test_accuracy < 0.6", "d");
    assert_where("not test_accuracy > 0.6", "c d e");
    assert_where("test_loss = null", "c e");
    assert_where("test_loss != null and knots != null", "a d");
    assert_where("start > 2026-11-21", "b c d");
    assert_where("start < 2026-11-21", "a"); /* e never began: not known */
    assert_where("path ~ TRIALS", "e");
    assert_where("path !~ trials and lr > 1", "d");
    assert_where("name = '12'", "d");
    assert_where("name = 12", "d");
    assert_where("name = 'first ''try'''", "a");
    assert_where("name = \"first 'try'\"", "a");
    assert_where("name ~ '" FIRE "'", "b");
    assert_where("name ~ '<b>\"'", "b");
    assert_where("knots = 7", "d");
    assert_where("knots < 8", "d"); /* '0:0, 5:1' is no number */
    assert_where("step = 0 or step = null", "e");
    assert_where("name ~ '; DROP TABLE run'", "");
    assert_where("((((lr = 2))))", "d");
}

static void assert_refused(const char *where, const char *sentence)
{
    static const char *const columns[] = {"id"};
    struct index x;
    struct index_rows rows;
    struct err e;
    open_index(&x);
    assert_int_equal(
        index_select(&x, &(struct index_query){.where = where}, columns, 1, &rows, &e), -1);
    index_rows_release(&rows);
    index_close(&x);
    assert_int_equal(e.code, EXIT_USAGE);
    assert_string_equal(e.text, sentence);
}

static void test_where__says_where_it_goes_wrong_and_what_was_meant(void **state)
{
    (void)state;
    char deep[256];
    assert_refused("lrr > 0.1", "--where: column 1: no key 'lrr'; did you mean 'lr'?");
    assert_refused("lr>1 and test_acuracy>1",
                   "--where: column 10: no key 'test_acuracy'; did you mean 'test_accuracy'?");
    assert_refused("lr 1", "--where: column 4: a comparison (= != < <= > >= ~ !~) is wanted here, "
                           "not '1'");
    assert_refused("lr >", "--where: column 5: a number, word or 'text' is wanted here");
    assert_refused("lr > 1 net = x", "--where: column 8: 'and' or 'or' is wanted here, not 'net'");
    assert_refused("(lr > 1", "--where: column 8: 'and', 'or' or ')' is wanted here");
    assert_refused("lr > 1)", "--where: column 7: 'and' or 'or' is wanted here, not ')'");
    assert_refused("and", "--where: column 4: a comparison (= != < <= > >= ~ !~) is wanted here");
    assert_refused("= 1", "--where: column 1: a key is wanted here, not '='");
    assert_refused("name = 'x", "--where: column 8: the quote is not closed");
    assert_refused("test_loss > high",
                   "--where: column 13: 'test_loss' is compared with a number, not 'high'");
    assert_refused("state = runing",
                   "--where: column 9: no state 'runing'; did you mean 'running'?");
    assert_refused("state != lost", "--where: column 10: no state 'lost'; it is running, finished, "
                                    "stopped, diverged, failed or dead");
    assert_refused("lr < null", "--where: column 4: null goes with = and !=, not '<'");
    assert_refused("lr > 1 ! x", "--where: column 8: '! x' means nothing here");
    memset(deep, '(', sizeof deep - 1);
    deep[sizeof deep - 1] = 0;
    assert_refused(deep, "--where: column 65: nested too deeply");
}

static void test_index_select__sorts_with_the_unknown_last(void **state)
{
    (void)state;
    assert_runs(&(struct index_query){0}, "d c b a e");
    assert_runs(&(struct index_query){.reverse = true}, "a b c d e");
    assert_runs(&(struct index_query){.limit = 2}, "d c");
    assert_runs(&(struct index_query){.sort = "lr"}, "c a b d e");
    assert_runs(&(struct index_query){.sort = "lr", .reverse = true}, "e d b a c");
    assert_runs(&(struct index_query){.sort = "test_loss"}, "a b d c e");
    assert_runs(&(struct index_query){.sort = "test_loss", .reverse = true}, "d b a c e");
    assert_runs(&(struct index_query){.sort = "name"}, "d b a c e");
    assert_runs(&(struct index_query){.sort = "net"}, "c d e a b"); /* equals by path */
}

static int add_json(void *context, const struct run_summary *s, struct err *e)
{
    (void)e;
    json_array_append_new(context, summary_json(s));
    return 0;
}

/* Everything the index says, as one text for the caller to free. */
static char *all_answers(void)
{
    struct index x;
    struct err e = {0};
    json_t *all = json_array();
    open_index(&x);
    assert_int_equal(index_each(&x, &(struct index_query){.sort = "path"}, add_json, all, &e), 0);
    index_close(&x);
    char *text = json_dumps(all, JSON_REAL_PRECISION(17));
    json_decref(all);
    return text;
}

static void test_index_each__says_what_the_run_directories_say(void **state)
{
    (void)state;
    json_t *all = json_array();
    for (int i = 0; i < MADE; i++) {
        char path[1024];
        struct run_summary s;
        struct err e;
        snprintf(path, sizeof path, "%s/%s", folder(), made[i].path);
        assert_int_equal(summary_read(&s, path, &e), 0);
        json_array_append_new(all, summary_json(&s));
        summary_release(&s);
    }
    char *wanted = json_dumps(all, JSON_REAL_PRECISION(17)), *found = all_answers();
    assert_string_equal(found, wanted);
    free(wanted);
    free(found);
    json_decref(all);
}

static void test_index__follows_the_run_directories(void **state)
{
    (void)state;
    struct rundir r;
    struct err e;
    struct made_run changed = made[2];
    assert_where("step > 5", "a b c d");
    changed.step = 3;
    make(&changed);
    assert_where("step > 5", "a b d");
    make(&(struct made_run){.path = "new", .state = "finished", .lr = "3", .step = 9});
    assert_where("step > 5", "a b d new");
    /* One goes and its neighbour changes. */
    shell("rm -r '%s/b'", folder());
    changed.step = 4;
    make(&changed);
    assert_where("step > 3", "a c d new");
    /* Who takes up a dead run has not written status.json yet. */
    assert_where("state = dead", "e");
    char path[1024];
    snprintf(path, sizeof path, "%s/group/trials/e", folder());
    assert_int_equal(rundir_open(&r, path, &e), 0);
    assert_where("state = dead", "");
    assert_where("state = running", "e");
    rundir_close(&r);
    assert_where("state = dead", "e");
}

static void test_index__can_be_deleted_at_any_time(void **state)
{
    (void)state;
    struct index x;
    struct err e;
    char *before = all_answers();
    shell("rm '%s'/.index*", folder());
    char *after = all_answers();
    assert_string_equal(after, before);
    free(after);
    open_index(&x);
    assert_int_equal(index_rebuild(&x, &e), 0);
    index_close(&x);
    after = all_answers();
    assert_string_equal(after, before);
    free(after);
    free(before);
}

/* stderr into a file meanwhile; the caller frees what was said. */
static char *said_by(char *(*call)(void), char **answer)
{
    char *text;
    size_t bytes;
    fflush(stderr);
    int kept = dup(2);
    int file = open(scratch_path(&scratch, "said"), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    dup2(file, 2);
    *answer = call();
    fflush(stderr);
    dup2(kept, 2);
    close(kept);
    close(file);
    assert_int_equal(file_read(scratch_path(&scratch, "said"), &text, &bytes, EXIT_DATA, NULL), 0);
    return text;
}

static void assert_repaired(const char *damage)
{
    char *answer, *before = all_answers();
    shell(damage, folder());
    char *said = said_by(all_answers, &answer);
    assert_string_equal(answer, before);
    assert_non_null(strstr(said, "it is made anew from the run directories\n"));
    assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1); /* one sentence */
    free(answer);
    free(said);
    said = said_by(all_answers, &answer);
    assert_string_equal(said, "");
    assert_string_equal(answer, before);
    free(answer);
    free(said);
    free(before);
}

static void test_index__that_is_damaged_is_made_anew(void **state)
{
    (void)state;
    assert_repaired("printf 'garbage' | dd of='%s/.index.sqlite' conv=notrunc 2>/dev/null");
    assert_repaired("cd '%s'; rm .index.sqlite-wal; for i in 1 2 3 4 5 6; do yes | head -c 8192; "
                    "done | dd of=.index.sqlite bs=8192 seek=1 conv=notrunc 2>/dev/null");
    assert_repaired("cd '%s'; rm -f .index.sqlite-wal; truncate -s 9000 .index.sqlite");
    assert_repaired("cd '%s'; rm -f .index*; echo 'not a database, but long enough to be one, "
                    "if only it began as one does and went on as long as that: 100 bytes or more' "
                    ">.index.sqlite");
}

static void test_index_find__takes_what_only_one_run_begins_with(void **state)
{
    (void)state;
    struct index x;
    struct err e;
    char path[4096], wanted[1200];
    make(&(struct made_run){.path = "20261123-213532-tiny-4e682d54", .state = "finished"});
    make(&(struct made_run){.path = "20261123-213599-tiny-4e0000aa", .state = "finished"});
    make(&(struct made_run){.path = "group/aa", .state = "finished"});
    open_index(&x);
    static const char *const names[][2] = {
        {"a", "a"}, /* exactly that beats beginnings */
        {"20261123-213532", "20261123-213532-tiny-4e682d54"},
        {"4e6", "20261123-213532-tiny-4e682d54"},
        {"group/trials/e", "group/trials/e"},
        {"e", "group/trials/e"},
        {"213599", "20261123-213599-tiny-4e0000aa"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(wanted, sizeof wanted, "%s/%s", folder(), names[i][1]);
        assert_int_equal(index_find(&x, names[i][0], path, &e), 0);
        assert_string_equal(path, wanted);
    }
    assert_int_equal(index_find(&x, "4e", path, &e), -1);
    assert_int_equal(e.code, EXIT_USAGE);
    assert_non_null(strstr(e.text, "'4e' could be any of 2 runs: '20261123-213532-tiny-4e682d54', "
                                   "'20261123-213599-tiny-4e0000aa'"));
    assert_int_equal(index_find(&x, "iny", path, &e), -1);
    assert_int_equal(e.code, EXIT_DATA);
    assert_int_equal(index_find(&x, "", path, &e), -1);
    index_close(&x);
}

static void test_index_open__wants_a_folder(void **state)
{
    (void)state;
    struct index x;
    struct err e;
    assert_int_equal(index_open(&x, scratch_path(&scratch, "nowhere"), keys, &e), -1);
    assert_int_equal(e.code, EXIT_DATA);
    assert_non_null(strstr(e.text, "no such file or directory"));
}

/* One process of many: looks again and again while runs change, and checks what cannot change. */
static int look(int worker)
{
    static const char *const columns[] = {"path", "state", "lr"};
    for (int round = 0; round < 12; round++) {
        struct index x;
        struct index_rows rows;
        struct err e;
        if (worker < 2) /* also a writer of runs */
            make(&(struct made_run){.path = worker ? "a" : "c",
                                    .state = "finished",
                                    .net = "resnet9",
                                    .lr = "0.1",
                                    .step = round});
        if (index_open(&x, folder(), keys, &e) || (worker == 2 && index_rebuild(&x, &e)) ||
            index_select(&x, &(struct index_query){.sort = "path"}, columns, 3, &rows, &e)) {
            fprintf(stderr, "%s\n", e.text);
            return 1;
        }
        for (int i = 0; i < MADE; i++)
            if (rows.count != MADE || strcmp(rows.values[3 * i].text, made[i].path))
                return 2;
        index_rows_release(&rows);
        index_close(&x);
    }
    return 0;
}

static void test_index__is_read_and_written_by_many_at_once(void **state)
{
    (void)state;
    enum { WORKERS = 6 };
    pid_t workers[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = fork();
        if (workers[i] == 0)
            _exit(look(i));
    }
    for (int i = 0; i < WORKERS; i++) {
        int status;
        assert_int_equal(waitpid(workers[i], &status, 0), workers[i]);
        assert_int_equal(status, 0);
    }
    char *before = all_answers();
    shell("rm '%s'/.index*", folder());
    char *after = all_answers();
    assert_string_equal(after, before);
    free(before);
    free(after);
}

/* A database that all make at once, by the first statement that each of them runs. */
static void test_db_open__of_a_new_file_by_many_at_once(void **state)
{
    (void)state;
    enum { MAKERS = 8, ROUNDS = 12 };
    for (int round = 0; round < ROUNDS; round++) {
        int gate[2], status;
        pid_t makers[MAKERS];
        const char *path = scratch_path(&scratch, "together.sqlite");
        assert_int_equal(pipe(gate), 0);
        for (int i = 0; i < MAKERS; i++) {
            makers[i] = fork();
            if (makers[i] == 0) {
                struct db db;
                struct err e;
                char byte;
                close(gate[1]);
                (void)!read(gate[0], &byte, 1); /* until the parent closes it */
                _exit(db_open(&db, path, &e) ? 1 : 0);
            }
        }
        close(gate[0]);
        close(gate[1]);
        for (int i = 0; i < MAKERS; i++) {
            assert_int_equal(waitpid(makers[i], &status, 0), makers[i]);
            assert_int_equal(status, 0);
        }
        shell("rm -f '%s'*", path);
    }
}

static void test_index__survives_readers_that_are_killed(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        pid_t reader = fork();
        if (reader == 0) {
            for (;;) {
                struct index x;
                open_index(&x);
                index_rebuild(&x, NULL);
                index_close(&x);
            }
        }
        char *answer; /* takes about as long as the reader needs to be in the middle */
        char *said = said_by(all_answers, &answer);
        kill(reader, SIGKILL);
        waitpid(reader, NULL, 0);
        assert_string_equal(said, "");
        free(answer);
        free(said);
        assert_where("", "a b c d e");
    }
}

/* The tables of a database as text. */
static char *tables(struct db *db)
{
    struct db_query q;
    struct err e;
    char *text = calloc(1, 8192);
    static const char *const sql =
        "SELECT sql FROM sqlite_master WHERE sql NOT NULL ORDER BY name";
    assert_int_equal(db_prepare(db, &q, sql, &e), 0);
    while (db_step(&q, &e) == 1)
        snprintf(text + strlen(text), 8192 - strlen(text), "%s\n", db_text(&q, 0));
    db_finish(&q);
    return text;
}

/* What a history of three versions would look like. */
static const char *const history[] = {
    "CREATE TABLE run(path TEXT PRIMARY KEY, step INTEGER)",
    "ALTER TABLE run ADD COLUMN state TEXT; UPDATE run SET state = 'dead'",
    "CREATE INDEX by_state ON run(state)",
    NULL,
};

static void test_schema_upgrade__ends_the_same_from_every_version(void **state)
{
    (void)state;
    struct db fresh, old;
    struct err e;
    assert_int_equal(db_open(&fresh, NULL, &e), 0);
    assert_int_equal(schema_upgrade(&fresh, history, &e), 0);
    char *wanted = tables(&fresh);
    for (int from = 0; history[from]; from++) {
        const char *steps[4] = {NULL};
        memcpy(steps, history, (size_t)from * sizeof *steps);
        assert_int_equal(db_open(&old, NULL, &e), 0);
        assert_int_equal(schema_upgrade(&old, steps, &e), 0);
        if (from > 0)
            assert_int_equal(db_run(&old, "INSERT INTO run(path) VALUES('kept')", &e), 0);
        assert_int_equal(schema_upgrade(&old, history, &e), 0);
        char *found = tables(&old);
        assert_string_equal(found, wanted);
        free(found);
        struct db_query q;
        assert_int_equal(db_prepare(&old, &q, "SELECT count(*) FROM run", &e), 0);
        assert_int_equal(db_step(&q, &e), 1);
        assert_int_equal(db_integer(&q, 0), from > 0);
        db_finish(&q);
        db_close(&old);
    }
    free(wanted);
    db_close(&fresh);
}

/* SHA-256 of each step that was ever released: a step is never edited, since files have gone
 * through it. A new step adds a line here. */
static const char *const released[] = {
    "52bae1b7245feecbc8cbc178611470b082522744f63daca82d4dfc159a27651a",
};

static void test_schema__steps_are_never_edited(void **state)
{
    (void)state;
    size_t i = 0;
    for (; schema_steps[i]; i++) {
        char hex[HASH_HEX];
        assert_true(i < sizeof released / sizeof released[0]);
        hash_of(HASH_SHA256, schema_steps[i], strlen(schema_steps[i]), hex);
        assert_string_equal(hex, released[i]);
    }
    assert_int_equal(i, sizeof released / sizeof released[0]);
}

/* The index as a kiln of version `from` left it: its tables, a row for a run that is there and one
 * that is gone, neither up to date. Version 0 is a file without tables. */
static void leave_index(int from)
{
    struct db db;
    struct err e;
    char path[1200];
    const char *steps[64] = {NULL};
    assert_true((size_t)from < sizeof steps / sizeof steps[0]);
    memcpy(steps, schema_steps, (size_t)from * sizeof *steps);
    shell("rm -f '%s'/.index*", folder());
    snprintf(path, sizeof path, "%s/.index.sqlite", folder());
    assert_int_equal(db_open(&db, path, &e), 0);
    assert_int_equal(schema_upgrade(&db, steps, &e), 0);
    if (from > 0)
        assert_int_equal(
            db_run(&db, "INSERT INTO run(path, mark_time, mark_size, mark_inode, state) "
                        "VALUES('a', 1, 1, 1, 'old'), ('gone', 1, 1, 1, 'old')", &e), 0);
    db_close(&db);
}

static char *tables_of_index(void)
{
    struct db db;
    struct err e;
    char path[1200];
    snprintf(path, sizeof path, "%s/.index.sqlite", folder());
    assert_int_equal(db_open(&db, path, &e), 0);
    char *text = tables(&db);
    db_close(&db);
    return text;
}

static void test_index__of_every_older_kiln_is_taken_over(void **state)
{
    (void)state;
    char *wanted = all_answers(), *fresh = tables_of_index();
    bool last = false; /* the version of this kiln itself */
    for (int from = 0; !last; from++) {
        char *answer;
        last = !schema_steps[from];
        leave_index(from);
        char *said = said_by(all_answers, &answer);
        assert_string_equal(said, "");
        assert_string_equal(answer, wanted);
        char *found = tables_of_index();
        assert_string_equal(found, fresh);
        free(found);
        free(answer);
        free(said);
    }
    free(wanted);
    free(fresh);
}

static void test_schema_upgrade__takes_all_steps_or_none(void **state)
{
    (void)state;
    static const char *const broken[] = {"CREATE TABLE a(x)", "CREATE TABLE b(x); nonsense", NULL};
    struct db db;
    struct err e;
    assert_int_equal(db_open(&db, NULL, &e), 0);
    assert_int_equal(schema_upgrade(&db, broken, &e), -1);
    char *found = tables(&db);
    assert_string_equal(found, "");
    free(found);
    db_close(&db);
}

static void test_index__of_a_newer_kiln_is_left_alone(void **state)
{
    (void)state;
    struct db db;
    struct err e;
    char path[1200];
    char *answer, *before = all_answers();
    snprintf(path, sizeof path, "%s/.index.sqlite", folder());
    assert_int_equal(db_open(&db, path, &e), 0);
    assert_int_equal(db_run(&db, "DROP TABLE run; PRAGMA user_version = 99", &e), 0);
    db_close(&db);
    char *said = said_by(all_answers, &answer);
    assert_string_equal(answer, before);
    assert_string_equal(said, "");
    assert_int_equal(db_open(&db, path, &e), 0);
    char *found = tables(&db);
    assert_string_equal(found, "");
    db_close(&db);
    free(found);
    free(answer);
    free(said);
    free(before);
}

static void test_schema__has_a_column_for_each_field(void **state)
{
    (void)state;
    struct db db;
    struct err e;
    assert_int_equal(db_open(&db, NULL, &e), 0);
    assert_int_equal(schema_upgrade(&db, schema_steps, &e), 0);
    for (const struct summary_field *f = summary_fields; f->name; f++) {
        struct db_query q;
        int rc;
        const char *type = f->kind == SUMMARY_TEXT    ? "TEXT"
                           : f->kind == SUMMARY_COUNT ? "INTEGER"
                                                      : "REAL";
        assert_int_equal(
            db_prepare(&db, &q, "SELECT type FROM pragma_table_info('run') WHERE name = ?", &e), 0);
        db_bind_text(&q, f->name);
        rc = db_step(&q, &e);
        assert_int_equal(rc, 1);
        assert_string_equal(db_text(&q, 0), type);
        db_finish(&q);
    }
    db_close(&db);
}

#define TEST(f) cmocka_unit_test_setup(f, make_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_where__compares_numbers_texts_and_what_is_not_known),
        TEST(test_where__says_where_it_goes_wrong_and_what_was_meant),
        TEST(test_index_select__sorts_with_the_unknown_last),
        TEST(test_index_each__says_what_the_run_directories_say),
        TEST(test_index__follows_the_run_directories),
        TEST(test_index__can_be_deleted_at_any_time),
        TEST(test_index__that_is_damaged_is_made_anew),
        TEST(test_index_find__takes_what_only_one_run_begins_with),
        TEST(test_index_open__wants_a_folder),
        TEST(test_index__is_read_and_written_by_many_at_once),
        TEST(test_index__survives_readers_that_are_killed),
        TEST(test_db_open__of_a_new_file_by_many_at_once),
        TEST(test_schema_upgrade__ends_the_same_from_every_version),
        TEST(test_schema__steps_are_never_edited),
        TEST(test_index__of_every_older_kiln_is_taken_over),
        TEST(test_schema_upgrade__takes_all_steps_or_none),
        TEST(test_index__of_a_newer_kiln_is_left_alone),
        TEST(test_schema__has_a_column_for_each_field),
    };
    return cmocka_run_group_tests(tests, scratch_group_start, scratch_group_end);
}
