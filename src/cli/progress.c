/* progress.c - see progress.h. */
#define _GNU_SOURCE /* TIOCGWINSZ */
#include "cli/progress.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "train/trainer.h"
#include "backend/backend.h"

static const double REDRAW = 0.1, SPEAK = 30.0, MEMORY = 0.95;

void progress_duration(double seconds, char text[16])
{
    if (!(seconds >= 0) || seconds >= 1e6 * 86400) {
        snprintf(text, 16, "?");
        return;
    }
    if (seconds > 359999) {
        snprintf(text, 16, "%.0f days", seconds / 86400);
        return;
    }
    unsigned s = (unsigned)(seconds + 0.5);
    if (s >= 3600)
        snprintf(text, 16, "%u:%02u:%02u", s / 3600 % 100, s / 60 % 60, s % 60);
    else
        snprintf(text, 16, "%u:%02u", s / 60 % 60, s % 60);
}

int progress_columns(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20)
        return size.ws_col;
    return 80;
}

void progress_clear(struct progress *p)
{
    if (p->line_stands)
        fprintf(stderr, "\r\033[K");
    p->line_stands = false;
}

static void print_status(struct progress *p, const struct step_event *event)
{
    char text[256], left[16];
    uint64_t steps_left = p->last_step - event->step;
    double epochs_left = (double)(steps_left / p->steps_per_epoch);
    progress_duration((double)steps_left * p->step_seconds + epochs_left * p->eval_seconds, left);
    snprintf(text, sizeof text,
             "epoch %.2f  step %" PRIu64 "/%" PRIu64
             "  %.0f images/s  loss %.4f  lr %.4g  %s left",
             event->epoch, event->step, p->last_step,
             event->images / fmax(p->step_seconds, 1e-9), p->loss, event->lr, left);
    if (p->terminal)
        fprintf(stderr, "\r\033[K%.*s", progress_columns() - 1, text);
    else
        fprintf(stderr, "%s\n", text);
    fflush(stderr);
    p->line_stands = p->terminal;
}

static void on_run(void *context, const struct run_event *event)
{
    struct progress *p = context;
    const char *term = getenv("TERM");
    p->terminal = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
    p->first_step = event->first_step;
    p->last_step = event->last_step;
    p->steps_per_epoch = event->steps_per_epoch;
    p->last_drawn = clock_seconds();
    fprintf(stderr,
            "steps %" PRIu64 " to %" PRIu64 ", %" PRIu64 " an epoch; %u training and %u test "
            "images\n%zu parameters, %.1f M multiply-adds an image; %d threads, %s, %s, %zu MiB\n",
            event->first_step, event->last_step, event->steps_per_epoch, event->train_images,
            event->test_images, event->parameters, event->training_macs * 1e-6, event->threads,
            tier_name(event->tier), precision_name(event->precision), event->memory >> 20);
    const char *why = event->trainer->config.kernels_why;
    if (*why)
        fprintf(stderr, "%s\n", why);
    fprintf(stderr,
            " epoch  train loss  train acc  test loss  test acc        lr  images/s   time\n");
}

/* Moves an average towards the newest value; the first value is the average. */
static double smooth(double average, double value)
{
    return average > 0 ? MEMORY * average + (1 - MEMORY) * value : value;
}

static void on_step(void *context, const struct step_event *event)
{
    struct progress *p = context;
    p->loss = smooth(p->loss, event->loss);
    p->step_seconds = smooth(p->step_seconds, event->seconds);
    double now = clock_seconds();
    if (now - p->last_drawn < (p->terminal ? REDRAW : SPEAK))
        return;
    p->last_drawn = now;
    print_status(p, event);
}

/* A number of the table, or blanks for what was not measured. */
static void print_cell(int width, int decimals, double value)
{
    if (isnan(value))
        fprintf(stderr, "%*s", width, "-");
    else if (fabs(value) >= 1e5)
        fprintf(stderr, "%*.*e", width, decimals - 1, value);
    else
        fprintf(stderr, "%*.*f", width, decimals, value);
}

static void on_epoch(void *context, const struct epoch_event *event)
{
    struct progress *p = context;
    char time[16];
    progress_clear(p);
    if (event->evaluated)
        p->eval_seconds = event->eval_seconds;
    progress_duration(event->elapsed, time);
    fprintf(stderr, "%6.4g", event->epoch);
    print_cell(12, 4, event->train_loss);
    print_cell(11, 4, event->train_accuracy);
    print_cell(11, 4, event->evaluated ? event->test_loss : (double)NAN);
    print_cell(10, 4, event->evaluated ? event->test_accuracy : (double)NAN);
    fprintf(stderr, "%10.4g%10.0f%7s\n", event->lr, event->images_per_second, time);
    p->last_drawn = clock_seconds();
}

static void on_end(void *context, const struct train_result *result)
{
    (void)result;
    progress_clear(context);
}

struct observer progress_observer(struct progress *p)
{
    memset(p, 0, sizeof *p);
    return (struct observer){
        .context = p, .run = on_run, .step = on_step, .epoch = on_epoch, .end = on_end};
}
