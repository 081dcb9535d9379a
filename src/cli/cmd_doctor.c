/* cmd_doctor.c - kiln doctor: what this machine offers, and what kiln found. */
#include <stdio.h>
#include <stdlib.h>

#include "backend/backend.h"
#include "base/cpu.h"
#include "cli/cli.h"
#include "cli/machine.h"
#include "cli/version.h"
#include "data/dataset.h"

/* Why each tier cannot be used, null where it can. */
static json_t *lacks_json(void)
{
    json_t *o = json_object();
    for (enum tier t = TIER_REF; t < TIER_COUNT; t++) {
        const char *lacks = tier_lacks(t);
        json_object_set_new(o, tier_name(t), lacks ? json_string(lacks) : json_null());
    }
    return o;
}

struct args {
    bool measure;
};

static const struct option_def options[] = {
    {"measure", OPTION_FLAG, offsetof(struct args, measure), "no", 0, 0, NULL, NULL, "kernels",
     "measure again which kernels are fastest here", NULL},
    {0},
};

static json_t *cpu_json(const struct cpu *cpu)
{
    json_t *o = json_object(), *tiers = json_object();
    json_object_set_new(o, "model", json_string(cpu->model));
    json_object_set_new(o, "online", json_integer(cpu->online));
    json_object_set_new(o, "affinity", json_integer(cpu->affinity));
    json_object_set_new(o, "quota", cpu->quota > 0 ? json_number(cpu->quota) : json_null());
    json_object_set_new(o, "threads", json_integer(cpu->threads));
    for (enum tier t = TIER_REF; t < TIER_COUNT; t++)
        json_object_set_new(tiers, tier_name(t), json_boolean(tier_available(t)));
    json_object_set_new(o, "tiers", tiers);
    json_object_set_new(o, "tiers_lack", lacks_json());
    json_object_set_new(o, "avx512_bf16", json_boolean(cpu->avx512bf16));
    json_object_set_new(o, "amx", json_boolean(cpu->amx));
    return o;
}

static json_t *data_json(const char *data_dir)
{
    json_t *o = json_object();
    for (int i = 0; dataset_kinds[i]; i++) {
        char place[4096];
        const struct dataset *kind = dataset_kinds[i];
        if (kind->generated)
            json_object_set_new(o, kind->name, json_string("made when needed"));
        else if (dataset_locate(kind, data_dir, place, NULL) == 0)
            json_object_set_new(o, kind->name, json_string(place));
        else
            json_object_set_new(o, kind->name, json_null());
    }
    return o;
}

static void print_cpu(const struct cpu *cpu)
{
    printf("cpu        %s\n", cpu->model);
    for (enum tier t = TIER_REF; t < TIER_COUNT; t++) {
        const char *lacks = tier_lacks(t);
        printf("%-10s %-14s %s\n", t == TIER_REF ? "tiers" : "", tier_name(t),
               lacks ? lacks : "available");
    }
    printf("threads    %d: %d processors online, %d in the affinity mask, ", cpu->threads,
           cpu->online, cpu->affinity);
    if (cpu->quota > 0)
        printf("%.2f by the cgroup's quota\n", cpu->quota);
    else
        printf("no cgroup quota\n");
}

static void print_members(const char *title, json_t *o, const char *if_true, const char *if_false)
{
    const char *key;
    json_t *value;
    printf("%s\n", title);
    json_object_foreach(o, key, value) {
        printf("  %-14s ", key);
        if (json_is_integer(value))
            printf("%lld\n", (long long)json_integer_value(value));
        else if (json_is_string(value))
            printf("%s\n", json_string_value(value));
        else
            printf("%s\n", json_is_true(value) ? if_true : if_false);
    }
}

static void print_machine(const struct machine *m)
{
    int best = machine_choose(m, TIER_AUTO, PRECISION_AUTO);
    printf("kernels    %s\n",
           best < 0 ? "not measured yet: the first run will, or 'kiln doctor --measure'"
                    : "the same convolutions, forward and backward, with each:");
    for (int i = 0; i < m->count; i++) {
        const struct machine_speed *s = &m->speeds[i];
        printf("  %-14s %-6s %8s%.1f ms%s\n", tier_name(s->tier), precision_name(s->precision),
               s->stopped ? "over " : "", 1e3 * s->seconds, i == best ? "   taken by default" : "");
    }
    printf("  kept in        %s\n",
           *m->cache ? m->cache : "nothing: neither XDG_CACHE_HOME nor HOME names a folder");
}

static int run(struct invocation *inv, struct err *e)
{
    const struct args *args = inv->args;
    struct cpu cpu;
    struct machine machine;
    cpu_detect(&cpu);
    machine_peek(&machine, cpu.threads);
    if (args->measure && machine_open(&machine, cpu.threads, true, e))
        return -1;
    json_t *data = data_json(*inv->common.data_dir ? inv->common.data_dir : NULL);
    json_t *libraries = version_libraries(), *features = version_features();
    if (inv->common.json) {
        json_t *o = json_object();
        json_object_set_new(o, "version", json_string(version_number()));
        json_object_set_new(o, "revision", json_string(version_revision()));
        json_object_set_new(o, "compiler", json_string(version_compiler()));
        json_object_set_new(o, "flags", json_string(version_flags()));
        json_object_set_new(o, "cpu", cpu_json(&cpu));
        json_object_set_new(o, "libraries", libraries);
        json_object_set_new(o, "features", features);
        json_object_set_new(o, "kernels", machine_json(&machine));
        json_object_set_new(o, "data", data);
        return cli_print_json(o, e);
    }
    printf("kiln       %s (%s), %s, %s\n", version_number(), version_revision(),
           version_compiler(), version_flags());
    print_cpu(&cpu);
    print_machine(&machine);
    print_members("libraries", libraries, "", "");
    print_members("optional parts", features, "in", "not in");
    print_members("data", data, "", "not found; 'kiln data fetch' gets it");
    json_decref(libraries);
    json_decref(features);
    json_decref(data);
    return EXIT_DONE;
}

static const char *const examples[] = {
    "kiln doctor", "what there is",
    "kiln doctor --measure", "the same after timing the kernels of every tier and precision anew",
    "kiln doctor --json", "the same for programs",
    NULL,
};

const struct command command_doctor = {
    .name = "doctor",
    .summary = "Tell what this machine offers and what kiln found",
    .usage = "[options]",
    .description = "Shows the processor and the kernel tiers it can run, how many threads are\n"
                   "granted and by what, how fast the kernels of each tier and precision were\n"
                   "when measured (--isa auto and --precision auto go by it), the libraries, and\n"
                   "which data sets lie where.",
    .examples = examples,
    .common = COMMON_JSON | COMMON_DATA_DIR,
    .options = options,
    .args_size = sizeof(struct args),
    .run = run,
};
