/* runs.h - made run directories, for tests of whatever looks at runs. */
#ifndef KILN_TESTS_RUNS_H
#define KILN_TESTS_RUNS_H

/* What differs between the runs that a test makes; the rest is alike. NULL or 0: left out. */
struct made_run {
    const char *path;     /* the directory; made with the folders above it */
    const char *state;    /* of status.json; NULL: no status.json */
    const char *net, *name, *knots;
    const char *lr;
    int seed, batch, step;
    const char *start;    /* of manifest.json; NULL: no manifest.json */
    const char *test_accuracy, *test_loss; /* of its result; NULL: null */
};

/* Writes (or overwrites) config.ini, manifest.json and status.json. Aborts if it cannot. */
void make_run(const struct made_run *run);

#endif
