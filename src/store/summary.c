/* summary.c - see summary.h. status.json is read before manifest.json, which a writer replaces in
 * the other order: a summary may be older than the newest facts, but never tells of an end without
 * its result. */
#define _GNU_SOURCE /* gethostname, realpath */
#include "store/summary.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/options.h"
#include "store/rundir.h"

#define AT(member) offsetof(struct run_summary, member)
#define TEXT(name, help) {#name, SUMMARY_TEXT, AT(name), help}
#define COUNT(name, help) {#name, SUMMARY_COUNT, AT(name), help}
#define REAL(name, help) {#name, SUMMARY_REAL, AT(name), help}

const struct summary_field summary_fields[] = {
    TEXT(id, "name of the run's directory"),
    TEXT(path, "where that is"),
    TEXT(name, "what --name called it"),
    {"state", SUMMARY_TEXT, AT(state_name),
     "running, finished, stopped, diverged, failed, or dead: killed while it ran"},
    TEXT(recipe, "recipe it began with"),
    TEXT(net, "network"),
    TEXT(data, "data set it really had"),
    COUNT(step, "steps done"),
    COUNT(total_steps, "steps of its schedule"),
    REAL(epoch, "epochs done"),
    TEXT(start, "when it began, UTC"),
    TEXT(end, "when its last session ended, UTC"),
    TEXT(heartbeat, "when status.json was last written, UTC"),
    COUNT(sessions, "processes that trained it so far"),
    REAL(train_loss, "loss on augmented training images, last epoch"),
    REAL(train_accuracy, "likewise accuracy, 0 to 1"),
    REAL(test_loss, "loss on the test images"),
    REAL(test_accuracy, "accuracy on the test images, 0 to 1"),
    REAL(tta_loss, "likewise with more views"),
    REAL(tta_accuracy, "likewise with more views"),
    REAL(validation_loss, "loss on images held out"),
    REAL(validation_accuracy, "likewise accuracy, 0 to 1"),
    REAL(images_per_second, "training speed"),
    REAL(train_seconds, "seconds in training steps"),
    REAL(seconds, "seconds in all, evaluation included"),
    TEXT(weights_hash, "SHA-256 of the final weights"),
    TEXT(checkpoint, "file of the last checkpoint"),
    TEXT(reason, "how it ended: finished, steps, stopped, diverged, failed"),
    COUNT(exit_status, "exit code of its last session"),
    TEXT(error, "what its last session died of"),
    TEXT(config_hash, "SHA-256 of the keys that decide the weights"),
    TEXT(data_hash, "hash of the images"),
    TEXT(network_hash, "SHA-256 of the network's text"),
    TEXT(program_hash, "SHA-256 of the program"),
    TEXT(steps_down, "why it had other images than asked for"),
    COUNT(parameters, "of the network"),
    TEXT(host, "machine"),
    COUNT(pid, "process"),
    TEXT(cpu, "processor"),
    TEXT(tier, "kernels it ran with"),
    COUNT(thread_count, "threads it ran with"),
    TEXT(version, "of kiln"),
    TEXT(revision, "of kiln's source"),
    TEXT(problem, "what of the run could not be read"),
    {0},
};

static const char *const state_names[] = {
    "running", "finished", "stopped", "diverged", "failed", "dead",
};
static_assert(sizeof state_names / sizeof state_names[0] == RUN_STATE_COUNT, "a name for each");

const char *run_state_name(enum run_state state)
{
    return state_names[state];
}

const struct summary_field *summary_field_find(const char *name)
{
    for (const struct summary_field *f = summary_fields; f->name; f++)
        if (strcmp(f->name, name) == 0)
            return f;
    return NULL;
}

const char *summary_text(const struct run_summary *s, const struct summary_field *f)
{
    const char *text;
    assert(f->kind == SUMMARY_TEXT);
    memcpy(&text, (const char *)s + f->offset, sizeof text);
    return text;
}

int64_t summary_count(const struct run_summary *s, const struct summary_field *f)
{
    int64_t count;
    assert(f->kind == SUMMARY_COUNT);
    memcpy(&count, (const char *)s + f->offset, sizeof count);
    return count;
}

double summary_real(const struct run_summary *s, const struct summary_field *f)
{
    double real;
    assert(f->kind == SUMMARY_REAL);
    memcpy(&real, (const char *)s + f->offset, sizeof real);
    return real;
}

static void set_unknown(struct run_summary *s)
{
    for (const struct summary_field *f = summary_fields; f->name; f++) {
        static const char *const text = "";
        static const int64_t count = -1;
        static const double real = (double)NAN;
        const void *unknown = f->kind == SUMMARY_TEXT    ? (const void *)&text
                              : f->kind == SUMMARY_COUNT ? (const void *)&count
                                                         : (const void *)&real;
        size_t size = f->kind == SUMMARY_TEXT    ? sizeof text
                      : f->kind == SUMMARY_COUNT ? sizeof count
                                                 : sizeof real;
        memcpy((char *)s + f->offset, unknown, size);
    }
}

static const char *keep(struct run_summary *s, const char *text)
{
    return *text ? arena_strdup(&s->memory, text) : "";
}

/* The first problem is told; what follows from it would only hide it. */
static void have_problem(struct run_summary *s, const struct err *e)
{
    if (!*s->problem)
        s->problem = keep(s, e->text);
}

static void get_text(struct run_summary *s, const char **member, const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    if (text)
        *member = keep(s, text);
}

static void get_count(int64_t *member, const json_t *o, const char *key)
{
    const json_t *value = json_object_get(o, key);
    if (json_is_integer(value))
        *member = json_integer_value(value);
}

static void get_real(double *member, const json_t *o, const char *key)
{
    const json_t *value = json_object_get(o, key);
    if (json_is_number(value))
        *member = json_number_value(value);
}

/* "nets/tiny.net" -> "tiny". */
static const char *short_name(struct run_summary *s, const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    bool extension = dot && dot > name && (!strcmp(dot, ".ini") || !strcmp(dot, ".net"));
    return arena_strndup(&s->memory, name, extension ? (size_t)(dot - name) : strlen(name));
}

static int add_setting(void *context, const char *origin, const char *key, const char *value,
                       struct err *e)
{
    (void)origin;
    (void)e;
    struct run_summary *s = context;
    size_t n = s->setting_count++;
    s->settings = xrealloc(s->settings, (n + 1) * sizeof *s->settings);
    s->settings[n] = (struct run_setting){keep(s, key), keep(s, value)};
    return 0;
}

static void read_settings(struct run_summary *s, const char *path)
{
    struct err e;
    if (ini_each(path, add_setting, s, &e))
        have_problem(s, &e);
    const char *name = summary_setting(s, "name"), *net = summary_setting(s, "net");
    const char *data = summary_setting(s, "data");
    s->name = name ? name : "";
    s->net = net ? short_name(s, net) : "";
    s->data = data ? data : "";
}

/* One of the .json; NULL where it is missing or damaged. The caller lets go of it. */
static json_t *read_json(struct run_summary *s, const char *name)
{
    char path[4096];
    struct err e;
    if (file_join(path, sizeof path, s->path, name, NULL) || !file_exists(path))
        return NULL;
    json_t *o = json_read(path, EXIT_DATA, &e);
    if (!o)
        have_problem(s, &e);
    return o;
}

/* The next field of a line of plain CSV, and past its comma. */
static const char *next_field(const char **line, size_t *length)
{
    const char *field = *line;
    *length = strcspn(field, ",\r\n");
    *line = field + *length + (field[*length] == ',');
    return field;
}

/* What a result has under these names, and a row of epochs.csv in columns of some of them. */
static const struct {
    const char *name;
    size_t offset;
    bool in_epochs;
} measured[] = {
    {"train_loss", offsetof(struct run_summary, train_loss), true},
    {"train_accuracy", offsetof(struct run_summary, train_accuracy), true},
    {"test_loss", offsetof(struct run_summary, test_loss), true},
    {"test_accuracy", offsetof(struct run_summary, test_accuracy), true},
    {"tta_loss", offsetof(struct run_summary, tta_loss), false},
    {"tta_accuracy", offsetof(struct run_summary, tta_accuracy), false},
    {"validation_loss", offsetof(struct run_summary, validation_loss), true},
    {"validation_accuracy", offsetof(struct run_summary, validation_accuracy), true},
    {"images_per_second", offsetof(struct run_summary, images_per_second), true},
    {"seconds", offsetof(struct run_summary, seconds), false},
};
enum { MEASURED = sizeof measured / sizeof measured[0] };

static double *measured_member(struct run_summary *s, int i)
{
    return (double *)((char *)s + measured[i].offset);
}

/* Takes the value of one column of epochs.csv; an empty field leaves what an earlier row said. */
static void take_epoch(struct run_summary *s, const char *column, size_t n, const char *value)
{
    char *end;
    double x = strtod(value, &end);
    if (end == value)
        return;
    for (int i = 0; i < MEASURED; i++)
        if (measured[i].in_epochs && strlen(measured[i].name) == n &&
            !strncmp(measured[i].name, column, n))
            *measured_member(s, i) = x;
    if (n == strlen("train_seconds") && !strncmp("train_seconds", column, n))
        s->train_seconds = isnan(s->train_seconds) ? x : s->train_seconds + x;
}

static void read_epochs(struct run_summary *s)
{
    char path[4096], *text;
    size_t bytes;
    struct err e;
    if (file_join(path, sizeof path, s->path, "epochs.csv", NULL) || !file_exists(path))
        return;
    if (file_read(path, &text, &bytes, EXIT_DATA, &e)) {
        have_problem(s, &e);
        return;
    }
    const char *row = strchr(text, '\n');
    /* A last row without its newline is torn. */
    while (row && strchr(row + 1, '\n')) {
        const char *head = text, *at = row + 1;
        while (*head != '\n' && *head != '\r' && *at != '\n' && *at != '\r') {
            size_t n, length;
            const char *column = next_field(&head, &n), *value = next_field(&at, &length);
            if (length)
                take_epoch(s, column, n, value);
        }
        row = strchr(row + 1, '\n');
    }
    free(text);
}

static void read_session(struct run_summary *s, const json_t *session)
{
    const json_t *build = json_object_get(session, "build");
    get_text(s, &s->end, session, "end");
    get_text(s, &s->reason, session, "reason");
    get_text(s, &s->error, session, "error");
    get_text(s, &s->tier, session, "tier");
    get_text(s, &s->host, session, "host");
    get_count(&s->pid, session, "pid");
    get_count(&s->exit_status, session, "exit_status");
    get_count(&s->thread_count, session, "threads");
    get_text(s, &s->cpu, json_object_get(session, "machine"), "cpu");
    get_text(s, &s->version, build, "version");
    get_text(s, &s->revision, build, "revision");
    get_text(s, &s->program_hash, build, "program_sha256");
}

static void read_manifest(struct run_summary *s, const json_t *m)
{
    const char *recipe = json_string_value(json_object_get(m, "recipe"));
    const json_t *data = json_object_get(m, "data"), *net = json_object_get(m, "network");
    const json_t *sessions = json_object_get(m, "sessions");
    s->recipe = recipe ? short_name(s, recipe) : "";
    get_text(s, &s->config_hash, m, "config_hash");
    get_text(s, &s->data, data, "name");
    get_text(s, &s->data_hash, data, "hash");
    get_text(s, &s->steps_down, data, "steps_down");
    get_text(s, &s->net, net, "name");
    get_text(s, &s->network_hash, net, "sha256");
    get_count(&s->parameters, net, "parameters");
    get_count(&s->total_steps, m, "total_steps");
    s->sessions = (int64_t)json_array_size(sessions);
    if (s->sessions > 0) {
        get_text(s, &s->start, json_array_get(sessions, 0), "start");
        read_session(s, json_array_get(sessions, (size_t)s->sessions - 1));
    }
}

/* What the sessions of a resumed run took by the clock, those that did not end left out. */
static double session_seconds(const json_t *sessions)
{
    double sum = 0;
    for (size_t i = 0; i < json_array_size(sessions); i++) {
        const json_t *session = json_array_get(sessions, i);
        const char *start = json_string_value(json_object_get(session, "start"));
        const char *end = json_string_value(json_object_get(session, "end"));
        if (start && end && clock_parse(end) >= clock_parse(start))
            sum += clock_parse(end) - clock_parse(start);
    }
    return sum;
}

/* What the result does not have (null) is not known: an epoch's would be of other weights. */
static void read_result(struct run_summary *s, const json_t *m)
{
    const json_t *result = json_object_get(m, "result");
    if (!json_is_object(result))
        return;
    for (int i = 0; i < MEASURED; i++) {
        double *member = measured_member(s, i);
        *member = (double)NAN;
        get_real(member, result, measured[i].name);
    }
    if (s->sessions > 1)
        s->seconds = session_seconds(json_object_get(m, "sessions"));
    else
        get_real(&s->train_seconds, result, "train_seconds");
    get_text(s, &s->weights_hash, result, "weights_hash");
    get_real(&s->epoch, result, "epochs");
    const char *checkpoint = json_string_value(json_object_get(result, "checkpoint"));
    if (checkpoint) {
        const char *slash = strrchr(checkpoint, '/');
        s->checkpoint = keep(s, slash ? slash + 1 : checkpoint);
    }
}

/* Whether the process that says it is running is there. A lock that is held tells so surely; one
 * that is free tells the opposite only on the machine of the run, or where locks reach. */
static bool is_alive(const struct run_summary *s)
{
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    int locked = rundir_is_locked(s->path);
    if (locked == 1)
        return true;
    if (locked == 0 && (!*s->host || !strcmp(s->host, host)))
        return false;
    return clock_wall() - clock_parse(s->heartbeat) < RUN_HEARTBEAT_OLD;
}

/* Before status.json there is only the lock. */
static void read_status(struct run_summary *s, const json_t *status)
{
    const char *state = json_string_value(json_object_get(status, "state"));
    get_text(s, &s->host, status, "host");
    get_text(s, &s->heartbeat, status, "heartbeat");
    get_count(&s->pid, status, "pid");
    get_count(&s->step, status, "step");
    get_real(&s->epoch, status, "epoch");
    int64_t total = -1;
    get_count(&total, status, "total_steps");
    if (total > 0)
        s->total_steps = total;
    s->state = RUN_RUNNING;
    for (int i = 0; state && i < RUN_STATE_COUNT; i++)
        if (strcmp(state, state_names[i]) == 0)
            s->state = (enum run_state)i;
    if (s->state == RUN_RUNNING && !is_alive(s))
        s->state = RUN_DEAD;
    s->state_name = state_names[s->state];
}

/* "." and ".." are no names of runs. */
static const char *id_of(struct run_summary *s)
{
    char *real = NULL;
    const char *slash = strrchr(s->path, '/'), *name = slash ? slash + 1 : s->path;
    if ((!strcmp(name, ".") || !strcmp(name, "..")) && (real = realpath(s->path, NULL)) != NULL) {
        slash = strrchr(real, '/');
        name = slash ? slash + 1 : real;
    }
    const char *id = keep(s, name);
    free(real);
    return id;
}

/* A session writes its end into the manifest, then status.json. Killed between the two, it is not
 * dead: it has ended as the manifest says. */
static void settle_killed(struct run_summary *s, const json_t *manifest, const json_t *status)
{
    const json_t *sessions = json_object_get(manifest, "sessions");
    const json_t *last = json_array_get(sessions, json_array_size(sessions) - 1);
    const json_t *writer = json_object_get(status, "pid"), *ended = json_object_get(last, "pid");
    if (!writer || !ended || !json_equal(writer, ended))
        return; /* status.json is another session's */
    static const struct {
        const char *reason;
        enum run_state state;
    } ends[] = {
        {"finished", RUN_FINISHED},
        {"step limit", RUN_STOPPED},
        {"stopped", RUN_STOPPED},
        {"diverged", RUN_DIVERGED},
        {"failed", RUN_FAILED},
    };
    for (size_t i = 0; s->state == RUN_DEAD && i < sizeof ends / sizeof ends[0]; i++)
        if (strcmp(s->reason, ends[i].reason) == 0)
            s->state = ends[i].state;
    s->state_name = state_names[s->state];
}

int summary_read(struct run_summary *s, const char *path, struct err *e)
{
    char config[4096];
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    *s = (struct run_summary){0};
    if (!rundir_is(path))
        return err_set(e, EXIT_DATA, "'%s' is not a run directory: it has no config.ini", path);
    if (file_join(config, sizeof config, path, "config.ini", e))
        return -1;
    set_unknown(s);
    s->path = arena_strndup(&s->memory, path, n);
    s->id = id_of(s);
    read_settings(s, config);
    json_t *status = read_json(s, "status.json");
    json_t *manifest = read_json(s, "manifest.json");
    read_manifest(s, manifest);
    read_status(s, status);
    settle_killed(s, manifest, status);
    read_epochs(s);
    if (s->state != RUN_RUNNING && s->state != RUN_DEAD)
        read_result(s, manifest);
    json_decref(manifest);
    json_decref(status);
    return 0;
}

void summary_none(struct run_summary *s)
{
    *s = (struct run_summary){.state = RUN_DEAD};
    set_unknown(s);
}

void summary_release(struct run_summary *s)
{
    free(s->settings);
    arena_release(&s->memory);
    *s = (struct run_summary){0};
}

const char *summary_setting(const struct run_summary *s, const char *key)
{
    for (size_t i = 0; i < s->setting_count; i++)
        if (strcmp(s->settings[i].key, key) == 0)
            return s->settings[i].value;
    return NULL;
}

static bool is_integer(const char *text, json_int_t *integer)
{
    char *end;
    const char *digits = text + (*text == '-');
    if (strspn(digits, "0123456789") != strlen(digits) || (*digits == '0' && digits[1]))
        return false;
    errno = 0;
    *integer = strtoll(text, &end, 10);
    return end != text && !*end && !errno;
}

static bool is_real(const char *text, double *real)
{
    char *end;
    *real = strtod(text, &end);
    return end != text && !*end && isfinite(*real) &&
           strspn(text, "0123456789+-.eE") == strlen(text);
}

json_t *summary_value(const char *key, const char *text)
{
    json_int_t integer;
    double real;
    if (strcmp(key, "name") != 0 && is_integer(text, &integer))
        return json_integer(integer);
    /* Longer digits than a double holds are a text too: a seed must not change. */
    if (strcmp(key, "name") != 0 && strpbrk(text, ".eE") && is_real(text, &real))
        return json_real(real);
    return json_text(text);
}

static json_t *field_value(const struct run_summary *s, const struct summary_field *f)
{
    if (f->kind == SUMMARY_REAL)
        return json_number(summary_real(s, f));
    if (f->kind == SUMMARY_COUNT)
        return summary_count(s, f) < 0 ? json_null() : json_integer(summary_count(s, f));
    return *summary_text(s, f) ? json_text(summary_text(s, f)) : json_null();
}

json_t *summary_json(const struct run_summary *s)
{
    json_t *o = json_object(), *config = json_object();
    for (const struct summary_field *f = summary_fields; f->name; f++)
        json_object_set_new(o, f->name, field_value(s, f));
    for (size_t i = 0; i < s->setting_count; i++)
        json_object_set_new(config, s->settings[i].key,
                            summary_value(s->settings[i].key, s->settings[i].value));
    json_object_set_new(o, "config", config);
    return o;
}
