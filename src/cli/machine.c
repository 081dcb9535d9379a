/* machine.c - see machine.h: the choice, and the cache of measurements. */
#define _GNU_SOURCE /* readlink, stat */
#include "cli/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/version.h"

enum { FORMAT = 1, KEY_DIGITS = 12 };
static const double CLEARLY = 0.95;

/* Processor, tiers and threads as text, and its hash. */
static void describe(int threads, char *text, size_t size, char hash[HASH_HEX])
{
    struct cpu cpu;
    cpu_detect(&cpu);
    size_t used = (size_t)snprintf(text, size, "%s, %d threads", cpu.model, threads);
    for (enum tier t = TIER_REF; t < TIER_COUNT; t++) {
        if (tier_available(t))
            used += (size_t)snprintf(text + used, size - used, ", %s", tier_name(t));
    }
    hash_of(HASH_SHA256, text, used, hash);
}

/* The build that runs: revision, compiler, flags, and the program's file. */
static void describe_build(char *text, size_t size)
{
    struct stat s = {0};
    if (stat("/proc/self/exe", &s))
        s.st_size = 0;
    snprintf(text, size, "%s, %s, %s, %lld bytes of %lld.%09ld", version_revision(),
             version_compiler(), version_flags(), (long long)s.st_size,
             (long long)s.st_mtim.tv_sec, s.st_mtim.tv_nsec);
}

/* The cache's folder; -1 if the environment names none. */
static int cache_folder(char *folder, size_t size)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && *cache == '/')
        return file_join(folder, size, cache, "kiln", NULL);
    if (home && *home == '/')
        return file_join(folder, size, home, ".cache/kiln", NULL);
    return -1;
}

static void find_cache(struct machine *m, int threads)
{
    char folder[4000], text[512], hash[HASH_HEX], name[64];
    describe(threads, text, sizeof text, hash);
    snprintf(name, sizeof name, "machine-%.*s.json", KEY_DIGITS, hash);
    if (cache_folder(folder, sizeof folder) ||
        file_join(m->cache, sizeof m->cache, folder, name, NULL))
        m->cache[0] = 0;
}

static bool same_text(const json_t *o, const char *key, const char *text)
{
    const char *value = json_string_value(json_object_get(o, key));
    return value && strcmp(value, text) == 0;
}

static int read_speed(const json_t *o, struct machine_speed *s)
{
    const char *tier = json_string_value(json_object_get(o, "tier"));
    const char *precision = json_string_value(json_object_get(o, "precision"));
    s->seconds = json_number_value(json_object_get(o, "seconds"));
    s->stopped = json_is_true(json_object_get(o, "stopped"));
    int t = tier ? tier_parse(tier) : -1;
    if (t <= TIER_AUTO || !tier_available((enum tier)t) || !precision || !(s->seconds > 0))
        return -1;
    s->tier = (enum tier)t;
    s->precision = strcmp(precision, "bf16") == 0 ? PRECISION_BF16 : PRECISION_FP32;
    return strcmp(precision, precision_name(s->precision)) == 0 ? 0 : -1;
}

/* Takes what the file says, if it is of this build and whole. Returns 0, or -1 and why not; the
 * reason is empty when there is no such file. */
static int read_cache(struct machine *m, struct err *e)
{
    char build[512];
    e->text[0] = 0;
    if (!*m->cache || !file_exists(m->cache))
        return -1;
    json_t *o = json_read(m->cache, EXIT_DATA, e);
    if (!o)
        return -1;
    describe_build(build, sizeof build);
    const json_t *list = json_object_get(o, "speeds");
    size_t count = json_array_size(list);
    int status = 0;
    if (!same_text(o, "build", build))
        status = err_set(e, EXIT_DATA, "'%s' is of another build", m->cache);
    for (size_t i = 0; !status && i < count && i < MACHINE_CHOICES; i++)
        status = read_speed(json_array_get(list, i), &m->speeds[i]);
    if (!status && (count == 0 || count > MACHINE_CHOICES))
        status = -1;
    if (status && !*e->text)
        err_set(e, EXIT_DATA, "'%s' is damaged", m->cache);
    m->count = status ? 0 : (int)count;
    m->measurements =
        status ? 0 : (int)json_integer_value(json_object_get(o, "measurements"));
    m->cached = !status;
    json_decref(o);
    return status;
}

static json_t *speeds_json(const struct machine *m)
{
    json_t *list = json_array();
    for (int i = 0; i < m->count; i++) {
        json_t *o = json_object();
        json_object_set_new(o, "tier", json_string(tier_name(m->speeds[i].tier)));
        json_object_set_new(o, "precision", json_string(precision_name(m->speeds[i].precision)));
        json_object_set_new(o, "seconds", json_number(m->speeds[i].seconds));
        json_object_set_new(o, "stopped", json_boolean(m->speeds[i].stopped));
        json_array_append_new(list, o);
    }
    return list;
}

static int write_cache(const struct machine *m, int threads, struct err *e)
{
    char folder[4096], text[512], hash[HASH_HEX], build[512], stamp[16];
    if (!*m->cache || cache_folder(folder, sizeof folder))
        return err_set(e, EXIT_FAILED, "neither XDG_CACHE_HOME nor HOME names a folder");
    if (file_make_folders(folder, e))
        return -1;
    describe(threads, text, sizeof text, hash);
    describe_build(build, sizeof build);
    clock_stamp(stamp);
    json_t *o = json_object();
    json_object_set_new(o, "format", json_integer(FORMAT));
    json_object_set_new(o, "machine", json_string(text));
    json_object_set_new(o, "build", json_string(build));
    json_object_set_new(o, "measured", json_string(stamp));
    json_object_set_new(o, "measurements", json_integer(m->measurements));
    json_object_set_new(o, "speeds", speeds_json(m));
    int status = json_write(o, m->cache, e);
    json_decref(o);
    return status;
}

void machine_peek(struct machine *m, int threads)
{
    struct err why;
    *m = (struct machine){0};
    find_cache(m, threads);
    read_cache(m, &why);
}

/* What the highest tier is there for: bf16 where it multiplies that in one instruction, else fp32,
 * if the file has it. */
static int expected_choice(const struct machine *m)
{
    enum tier highest = m->speeds[m->count - 1].tier;
    int fp32 = machine_choose(m, highest, PRECISION_FP32);
    return highest >= TIER_AVX512BF16 || fp32 < 0 ? m->count - 1 : fp32;
}

/* Whether that lost, and may have met a bad moment. */
static bool is_doubtful(const struct machine *m)
{
    return m->measurements < MACHINE_MEASUREMENTS &&
           machine_choose(m, TIER_AUTO, PRECISION_AUTO) != expected_choice(m);
}

/* Measures, and keeps what was faster before. */
static int measure(struct machine *m, int threads, struct err *e)
{
    struct machine_speed before[MACHINE_CHOICES];
    int count = m->count;
    memcpy(before, m->speeds, sizeof before);
    if (machine_measure(m, threads, e))
        return -1;
    for (int i = 0; i < m->count; i++)
        for (int b = 0; b < count; b++)
            if (before[b].tier == m->speeds[i].tier && !before[b].stopped &&
                before[b].precision == m->speeds[i].precision)
                machine_speed_turn(&m->speeds[i], before[b].seconds, false);
    m->measurements++;
    m->cached = false;
    return 0;
}

int machine_open(struct machine *m, int threads, bool anew, struct err *e)
{
    struct err why = {0};
    *m = (struct machine){0};
    find_cache(m, threads);
    if (!anew && read_cache(m, &why) == 0) {
        if (!is_doubtful(m))
            return 0;
        const struct machine_speed *lost = &m->speeds[expected_choice(m)];
        err_set(&why, EXIT_DATA, "%s in %s lost in '%s'", tier_name(lost->tier),
                precision_name(lost->precision), m->cache);
    }
    if (*why.text)
        log_say("%s: measuring again which kernels are fastest here", why.text);
    double start = clock_seconds();
    if (measure(m, threads, e))
        return -1;
    double seconds = clock_seconds() - start;
    if (write_cache(m, threads, &why))
        log_say("measured which kernels are fastest here in %.1f s; it cannot be kept: %s", seconds,
                why.text);
    else
        log_say("measured which kernels are fastest here in %.1f s; kept in '%s'", seconds,
                m->cache);
    return 0;
}

/* Of two that were stopped nothing is known but their order. */
static bool is_better(const struct machine_speed *s, const struct machine_speed *than)
{
    if (s->stopped || than->stopped)
        return than->stopped;
    return s->seconds < CLEARLY * than->seconds;
}

int machine_choose(const struct machine *m, enum tier tier, enum precision precision)
{
    int best = -1;
    for (int i = 0; i < m->count; i++) {
        const struct machine_speed *s = &m->speeds[i];
        bool same_kernels = s->precision == PRECISION_FP32 && s->tier == TIER_AVX512 &&
                            tier > TIER_AVX512;
        if ((tier != TIER_AUTO && s->tier != tier && !same_kernels) ||
            (precision != PRECISION_AUTO && s->precision != precision))
            continue;
        if (best < 0 || is_better(s, &m->speeds[best]))
            best = i;
    }
    return best;
}

/* "avx512bf16, bf16: 1.92 times as fast as avx512, fp32 (measured)". */
static void say_why(const struct machine *m, int best, char *text, size_t size)
{
    const struct machine_speed *first = &m->speeds[best], *second = NULL;
    for (int i = 0; i < m->count; i++) {
        const struct machine_speed *s = &m->speeds[i];
        if (i != best && (!second || s->seconds < second->seconds))
            second = s;
    }
    if (second)
        snprintf(text, size, "convolutions with %s in %s measured %.2f times as fast as with %s in "
                 "%s", tier_name(first->tier), precision_name(first->precision),
                 second->seconds / first->seconds, tier_name(second->tier),
                 precision_name(second->precision));
    else
        snprintf(text, size, "the only kernels that this machine has");
}

static int threads_of(const struct config *c)
{
    struct cpu cpu;
    if (c->threads > 0)
        return c->threads;
    cpu_detect(&cpu);
    return cpu.threads;
}

int machine_resolve(struct config *c, struct err *e)
{
    enum tier tier = (enum tier)c->isa;
    enum precision precision = (enum precision)c->precision;
    if ((tier != TIER_AUTO && precision != PRECISION_AUTO) || precision == PRECISION_FP64 ||
        tier == TIER_REF || (tier != TIER_AUTO && !tier_available(tier)))
        return 0;
    struct machine *m = calloc(1, sizeof *m);
    if (!m)
        return err_set(e, EXIT_FAILED, "no memory to measure the machine");
    int status = machine_open(m, threads_of(c), false, e);
    int best = status ? -1 : machine_choose(m, tier, precision);
    if (best >= 0) {
        c->isa = tier == TIER_AUTO ? (int)m->speeds[best].tier : c->isa;
        c->precision = (int)m->speeds[best].precision;
        say_why(m, best, c->kernels_why, sizeof c->kernels_why);
    }
    free(m);
    return status;
}

json_t *machine_json(const struct machine *m)
{
    json_t *o = json_object();
    int best = machine_choose(m, TIER_AUTO, PRECISION_AUTO);
    json_object_set_new(o, "cache", *m->cache ? json_string(m->cache) : json_null());
    json_object_set_new(o, "cached", json_boolean(m->cached));
    json_object_set_new(o, "speeds", speeds_json(m));
    json_object_set_new(o, "tier",
                        best < 0 ? json_null() : json_string(tier_name(m->speeds[best].tier)));
    json_object_set_new(o, "precision",
                        best < 0 ? json_null()
                                 : json_string(precision_name(m->speeds[best].precision)));
    return o;
}
