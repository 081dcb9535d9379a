/* cmd_watch.c - kiln watch: a run's curves in the terminal, until it ends. */
#define _GNU_SOURCE /* TIOCGWINSZ, nanosleep */
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "cli/chart.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/runs.h"
#include "report/series.h"
#include "store/summary.h"

struct args {
    double every;
    bool ascii;
};

static const struct option_def options[] = {
    {"every", OPTION_REAL, offsetof(struct args, every), "2", 0.1, 3600, NULL, "seconds",
     "terminal", "look at the run so often", NULL},
    {"ascii", OPTION_FLAG, offsetof(struct args, ascii), "no", 0, 0, NULL, NULL, "terminal",
     "draw with ASCII characters alone", NULL},
    {0},
};

/* What is known of the run now, and how it is shown. */
struct view {
    const char *path;
    struct run_summary summary;
    struct series_set series;
    bool terminal;               /* redraw in place; else whole lines, when something is new */
    bool ascii;
    int width, lines;            /* columns of the terminal; lines that stand there */
    int64_t said;                /* step of the last line that was written */
    double said_epoch;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static int read_run(struct view *v, struct err *e)
{
    char metrics[4096];
    summary_release(&v->summary);
    if (summary_read(&v->summary, v->path, e))
        return -1;
    if (file_join(metrics, sizeof metrics, v->path, "metrics.jsonl", e) ||
        series_read(&v->series, metrics, e))
        return -1;
    /* The status is written every few seconds only, the metrics after each step. */
    const struct series *loss = series_find(&v->series, "train/loss");
    if (loss && loss->count && loss->step[loss->count - 1] > (double)v->summary.step) {
        v->summary.step = (int64_t)loss->step[loss->count - 1];
        v->summary.epoch = loss->epoch[loss->count - 1];
    }
    return 0;
}

/* Means of the series over `width` stretches of its steps so far; returns how many there are. */
static size_t squeeze(const struct series *s, size_t width, double *out)
{
    size_t used = 0;
    if (!s || !s->count)
        return 0;
    double *means = xcalloc(width, sizeof *means);
    size_t wanted = s->count < width ? s->count : width;
    series_windows(s->step, s->value, s->count, s->step[0] - 1, s->step[s->count - 1], wanted,
                   means);
    for (size_t i = 0; i < wanted; i++)
        if (!isnan(means[i]))
            out[used++] = means[i];
    free(means);
    return used;
}

/* One line: a name, the curve, its newest value. */
static void print_curve(const struct view *v, const char *title, const char *name, double scale,
                        const char *unit)
{
    static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char plain[] = "_.-=+*%#";
    double values[512], low = (double)INFINITY, high = -(double)INFINITY;
    const struct series *s = series_find(&v->series, name);
    size_t room = v->width > 44 ? (size_t)v->width - 34 : 10;
    size_t n = squeeze(s, room > 512 ? 512 : room, values);
    if (!n)
        return;
    for (size_t i = 0; i < n; i++) {
        low = fmin(low, values[i]);
        high = fmax(high, values[i]);
    }
    printf("%-15s ", title);
    for (size_t i = 0; i < n; i++) {
        int level = high > low ? (int)lround((values[i] - low) / (high - low) * 7) : 3;
        if (v->ascii)
            putchar(plain[level]);
        else
            fputs(blocks[level], stdout);
    }
    printf("%*s %.4g%s\n", (int)(room - n), "", s->value[s->count - 1] * scale, unit);
}

static void print_head(const struct view *v)
{
    const struct run_summary *s = &v->summary;
    char left[16] = "?";
    double total = (double)s->total_steps, rate = 0;
    const struct series *time = series_find(&v->series, "perf/step_seconds");
    if (time && time->count) {
        size_t last = time->count < 50 ? time->count : 50;
        for (size_t i = time->count - last; i < time->count; i++)
            rate += time->value[i] / (double)last;
        progress_duration((total - (double)s->step) * rate, left);
    }
    printf("%.*s: %s, step %" PRId64 " of %" PRId64 ", epoch %.2f%s%s\n", v->width - 50, s->id,
           s->state_name, s->step, s->total_steps, s->epoch,
           s->state == RUN_RUNNING ? ", left " : "", s->state == RUN_RUNNING ? left : "");
}

/* The picture, over the one that stands there. */
static void draw(struct view *v)
{
    static const struct {
        const char *title, *name;
        double scale;
        const char *unit;
    } curves[] = {
        {"train loss", "train/loss", 1, ""},      {"train accuracy", "train/accuracy", 100, " %"},
        {"test loss", "test/loss", 1, ""},        {"test accuracy", "test/accuracy", 100, " %"},
        {"val accuracy", "val/accuracy", 100, " %"}, {"learning rate", "opt/lr", 1, ""},
    };
    struct winsize size;
    v->width = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
    if (v->lines)
        printf("\033[%dA\033[J", v->lines);
    print_head(v);
    v->lines = 1;
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++) {
        const struct series *s = series_find(&v->series, curves[i].name);
        if (!s || !s->count)
            continue;
        print_curve(v, curves[i].title, curves[i].name, curves[i].scale, curves[i].unit);
        v->lines++;
    }
    fflush(stdout);
}

static double newest(const struct view *v, const char *name)
{
    const struct series *s = series_find(&v->series, name);
    return s && s->count ? s->value[s->count - 1] : (double)NAN;
}

/* A whole line for each epoch that has been done, and one at the end. */
static void print_line(struct view *v, bool last)
{
    const struct run_summary *s = &v->summary;
    if (!last && floor(s->epoch) <= v->said_epoch)
        return;
    v->said_epoch = floor(s->epoch);
    printf("%s  %s  step %" PRId64 "/%" PRId64 "  epoch %.2f  train loss %.4f  test accuracy ",
           s->id, s->state_name, s->step, s->total_steps, s->epoch, newest(v, "train/loss"));
    double accuracy = newest(v, "test/accuracy");
    if (isnan(accuracy))
        printf("-\n");
    else
        printf("%.2f %%\n", 100 * accuracy);
    fflush(stdout);
}

static void wait_seconds(double seconds)
{
    struct timespec t = {(time_t)seconds, (long)((seconds - floor(seconds)) * 1e9)};
    nanosleep(&t, NULL); /* a signal ends it early, and is meant to */
}

static int watch(struct view *v, double every, struct err *e)
{
    for (;;) {
        if (read_run(v, e))
            return -1;
        bool over = v->summary.state != RUN_RUNNING;
        if (v->terminal)
            draw(v);
        else
            print_line(v, over);
        if (ferror(stdout))
            return EXIT_DONE; /* nobody reads any more; the run is none of our business */
        if (over || interrupted)
            return EXIT_DONE;
        wait_seconds(every);
        if (interrupted)
            return EXIT_DONE;
    }
}

static json_t *view_json(const struct view *v)
{
    json_t *o = summary_json(&v->summary), *last = json_object();
    for (size_t i = 0; i < v->series.count; i++)
        json_object_set_new(last, v->series.items[i].name,
                            json_number(newest(v, v->series.items[i].name)));
    json_object_set_new(o, "newest", last);
    return o;
}

static int run(struct invocation *inv, struct err *e)
{
    const struct args *args = inv->args;
    const char *term = getenv("TERM");
    char path[4096];
    if (run_named(inv->operands[0], path, e))
        return -1;
    struct view *v = xcalloc(1, sizeof *v);
    v->path = path;
    v->said_epoch = -1;
    v->ascii = args->ascii || !chart_unicode();
    v->terminal = isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    int rc;
    if (inv->common.json)
        rc = read_run(v, e) ? -1 : cli_print_json(view_json(v), e);
    else
        rc = watch(v, args->every, e);
    summary_release(&v->summary);
    series_release(&v->series);
    free(v);
    return rc;
}

static const char *const examples[] = {
    "kiln watch runs/20261123-203259-quickstart-1a2b3c4d", "curves that grow while it trains",
    "kiln watch RUN | tee log.txt", "a line for each epoch",
    "kiln watch RUN --json", "how it stands now, for programs; does not wait",
    NULL,
};

const struct command command_watch = {
    .name = "watch",
    .summary = "Follow a run in the terminal until it ends",
    .usage = "RUN [options]",
    .description =
        "Draws loss, accuracy and learning rate of a run as curves that grow, and ends when the\n"
        "run does. Where output is no terminal, writes whole lines. Only reads: the run does not\n"
        "notice it, and goes on when this is ended. Without a UTF-8 locale, draws in ASCII.",
    .examples = examples,
    .common = COMMON_JSON | COMMON_QUIET,
    .options = options,
    .args_size = sizeof(struct args),
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
