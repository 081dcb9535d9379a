/* bench_print.c - what kiln bench measured, for people and as JSON. */
#include <stdio.h>

#include "cli/bench.h"
#include "cli/cli.h"
#include "cli/version.h"

static double flops_per_image(const struct bench *b)
{
    return 2 * graph_training_macs(&b->trainer.net.graph);
}

static void print_machine(const struct bench *b)
{
    printf("machine     %.0f GFLOP/s in fp32", b->peak.fp32 / 1e9);
    if (b->peak.bf16 > 0)
        printf(", %.0f in bf16", b->peak.bf16 / 1e9);
    printf(" (multiply-adds, dense random data), %.1f GB/s (copying memory)\n",
           b->peak.bytes / 1e9);
}

static void print_header(const struct bench *b)
{
    const struct trainer *t = &b->trainer;
    const struct backend *backend = t->net.backend;
    int n = b->passes;
    double median = bench_step_seconds(b), batch = t->config.batch;
    double rate = flops_per_image(b) * batch / median;
    printf("%s, batch %d, %s, tier %s, %d thread%s%s\n", t->net.graph.name, t->config.batch,
           precision_name(backend->precision), tier_name(backend->tier), backend->threads,
           backend->threads == 1 ? "" : "s",
           !bench_has_whitening(b)               ? ""
           : t->config.whiten_bias_epochs == 0.0 ? ", whitening bias frozen"
                                                 : ", whitening bias trains");
    print_machine(b);
    printf("whole step  %.1f images/s; median of %d steps %.1f ms, from %.1f to %.1f\n",
           batch / median, n, 1e3 * median, 1e3 * b->seconds[0], 1e3 * b->seconds[n - 1]);
    printf("            %.1f GFLOP/s nominal, %.0f %% of the roof\n", rate / 1e9,
           100 * rate / bench_roof(b));
}

/* The columns after the names, of a row and of a total alike: flops and bytes of one step. */
static void print_figures(const struct bench *b, double seconds, double all, double flops,
                          double bytes)
{
    printf(" %9.3f %6.1f", 1e3 * seconds, 100 * seconds / all);
    if (flops > 0 && seconds > 0)
        printf(" %9.1f %6.0f", flops / seconds / 1e9, 100 * flops / seconds / bench_roof(b));
    else
        printf(" %9s %6s", "", "");
    if (bytes > 0 && seconds > 0)
        printf(" %8.1f %7.1f", bytes / 1e6, bytes / seconds / 1e9);
    putchar('\n');
}

static void print_titles(void)
{
    printf("\n%-22s %-21s %9s %6s %9s %6s %8s %7s\n", "layer", "phase", "ms", "%", "GFLOP/s",
           "% roof", "MB", "GB/s");
}

static void print_table(const struct bench *b)
{
    double all = bench_total(b, GROUP_COUNT).seconds, n = b->trainer.batch.n;
    print_titles();
    for (int i = 0; i < b->row_count; i++) {
        const struct bench_row *row = &b->rows[i];
        if (!row->info.needed)
            continue;
        printf("%-22s %-21s", row->info.name, row->info.phase);
        print_figures(b, row->median, all, row->info.flops * n, row->info.bytes * n);
    }
    putchar('\n');
    for (enum bench_group g = 0; g < GROUP_COUNT; g++) {
        struct bench_total t = bench_total(b, g);
        printf("%-22s %-21s", bench_group_names[g], "all");
        print_figures(b, t.seconds, all, t.flops, t.bytes);
    }
    printf("%-22s %-21s %9.3f %6.1f\n", "sum", "", 1e3 * all, 100.0);
}

static void print_around(const struct bench *b)
{
    const struct bench_around *a = &b->around;
    double step = bench_step_seconds(b), every = b->trainer.config.average_every;
    printf("\naround the step\n");
    printf("  EMA        %8.3f ms an update, %.2f %% of the step every %.0f steps\n", 1e3 * a->ema,
           100 * a->ema / every / step, every);
    printf("  lookahead  %8.3f ms an update, %.2f %% of the step every %.0f steps\n",
           1e3 * a->lookahead, 100 * a->lookahead / every / step, every);
    printf("  logging    %8.3f ms a step, %.2f %%\n", 1e3 * a->logging, 100 * a->logging / step);
    printf("  evaluation %8.1f images/s; %.1f views/s in six views; "
           "the step's forward half %.1f images/s\n",
           1 / a->evaluation, 6 / a->six_views, 1 / a->forward);
}

void bench_print(const struct bench *b)
{
    print_header(b);
    if (b->rows) {
        print_table(b);
        print_around(b);
    }
}

static json_t *numbers(const double *values, int n)
{
    json_t *list = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(list, json_number(values[i]));
    return list;
}

static void set_real(json_t *o, const char *key, double value)
{
    json_object_set_new(o, key, json_number(value));
}

/* Seconds, rates, bytes moved: of a row and of a total alike. */
static void set_figures(const struct bench *b, json_t *o, double seconds, double flops,
                        double bytes)
{
    double rate = seconds > 0 ? flops / seconds : 0;
    set_real(o, "seconds", seconds);
    set_real(o, "share", seconds / bench_total(b, GROUP_COUNT).seconds);
    set_real(o, "flops_per_second", rate);
    set_real(o, "share_of_roof", rate / bench_roof(b));
    set_real(o, "bytes", bytes);
    set_real(o, "bytes_per_second", seconds > 0 ? bytes / seconds : 0);
}

static json_t *rows_json(const struct bench *b)
{
    json_t *list = json_array();
    double n = b->trainer.batch.n;
    for (int i = 0; i < b->row_count; i++) {
        const struct bench_row *row = &b->rows[i];
        if (!row->info.needed)
            continue;
        json_t *o = json_object();
        json_object_set_new(o, "layer", json_string(row->info.name));
        json_object_set_new(o, "phase", json_string(row->info.phase));
        json_object_set_new(o, "group", json_string(bench_group_names[row->group]));
        set_figures(b, o, row->median, row->info.flops * n, row->info.bytes * n);
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *totals_json(const struct bench *b)
{
    json_t *o = json_object();
    for (enum bench_group g = 0; g < GROUP_COUNT; g++) {
        struct bench_total t = bench_total(b, g);
        json_t *total = json_object();
        set_figures(b, total, t.seconds, t.flops, t.bytes);
        json_object_set_new(o, bench_group_names[g], total);
    }
    return o;
}

static json_t *around_json(const struct bench_around *a)
{
    json_t *o = json_object();
    set_real(o, "ema_seconds", a->ema);
    set_real(o, "lookahead_seconds", a->lookahead);
    set_real(o, "logging_seconds", a->logging);
    set_real(o, "evaluation_seconds_per_image", a->evaluation);
    set_real(o, "six_views_seconds_per_image", a->six_views);
    set_real(o, "forward_seconds_per_image", a->forward);
    return o;
}

int bench_print_json(const struct bench *b, struct err *e)
{
    const struct trainer *t = &b->trainer;
    const struct backend *backend = t->net.backend;
    double median = bench_step_seconds(b);
    json_t *o = json_object();
    json_object_set_new(o, "program", json_string("kiln"));
    json_object_set_new(o, "version", json_string(version_number()));
    json_object_set_new(o, "revision", json_string(version_revision()));
    json_object_set_new(o, "net", json_string(t->net.graph.name));
    json_object_set_new(o, "batch", json_integer(t->config.batch));
    json_object_set_new(o, "threads", json_integer(backend->threads));
    json_object_set_new(o, "precision", json_string(precision_name(backend->precision)));
    json_object_set_new(o, "isa", json_string(tier_name(backend->tier)));
    json_object_set_new(o, "whitening_bias",
                        !bench_has_whitening(b) ? json_null()
                        : json_string(t->config.whiten_bias_epochs == 0.0 ? "frozen" : "trains"));
    set_real(o, "peak_fp32", b->peak.fp32);
    set_real(o, "peak_bf16", b->peak.bf16);
    set_real(o, "peak_flops", bench_roof(b));
    set_real(o, "copy_bytes", b->peak.bytes);
    if (b->candidates) {
        json_object_set_new(o, "plan", bench_plan_json(b));
        return cli_print_json(o, e);
    }
    json_object_set_new(o, "seconds", numbers(b->seconds, b->passes));
    set_real(o, "images_per_second", t->config.batch / median);
    set_real(o, "flops_per_second", flops_per_image(b) * t->config.batch / median);
    if (b->rows) {
        json_object_set_new(o, "rows", rows_json(b));
        json_object_set_new(o, "totals", totals_json(b));
        json_object_set_new(o, "around", around_json(&b->around));
    }
    return cli_print_json(o, e);
}
