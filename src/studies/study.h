/* study.h - a study: one question about training, asked by a list of runs.
 *
 *     recipe, settings --> base configuration
 *     plan ------------> trials (sweep/plan.h) and claims --> DIR/prediction.json   before any run
 *     sweep_run -------> DIR/trials/ID/                       resumed and shared like any sweep
 *     measurements ----> DIR/measured/NAME.json               what is no recorded run
 *     analyse ---------> figures, tables, what was seen of each claim
 *     judge -----------> DIR/study.json                       verdicts, by the rule of judge.h
 *
 * A study is one `const struct study` in a file of its own and one line in studies.c. It never
 * prints, and it never gives a verdict: it says what range a claim predicts before the runs and
 * which value with which interval it saw after them, and the engine (engine.h) judges. The same
 * runs give the same study.json, byte by byte. docs/studies.md shows by example how to add one.
 */
#ifndef KILN_STUDIES_STUDY_H
#define KILN_STUDIES_STUDY_H

#include "base/json.h"
#include "studies/results.h"
#include "sweep/sweep.h"

/* tiny: minutes on two cores, shows that everything works. small: under 90 minutes on two cores,
 * on real images. paper: as published; for a GPU, a cluster or patience. */
enum study_scale { STUDY_TINY, STUDY_SMALL, STUDY_PAPER, STUDY_SCALES };

/* "tiny", "small", "paper". */
const char *study_scale_name(enum study_scale scale);

/* One thing that is claimed about training, with what it predicts for this scale's runs. Written
 * before they begin. Texts are copied. */
struct study_claim {
    const char *id;           /* "slope": unique within the study, stays the same for ever */
    const char *statement;    /* the claim in plain words: a sentence */
    const char *formula;      /* "lr_best ~ batch^s", or NULL */
    const char *prediction;   /* what it says about these runs: a sentence with its numbers */
    double low, high;         /* the predicted range of what will be seen; -INFINITY or INFINITY
                                 where it is open */
    const char *unit;         /* of what is seen: "learning rate", "" for a plain number */
    const char *falsified_by; /* what would have contradicted it: a sentence */
    const char *condition;    /* when it is inconclusive whatever the numbers, or NULL; the study
                                 then sets study_seen.doubt (results.h) */
    bool aside;               /* reported, but does not count for the study's verdict */
};

/* The most repetitions that a study has room for. */
enum { STUDY_SEEDS_MOST = 16 };

/* What a study fills before its runs. */
struct study_plan {
    const struct study *study;
    enum study_scale scale;
    int seeds;                  /* repetitions of each configuration: 1 ... STUDY_SEEDS_MOST */
    struct sweep_plan *sweep;   /* has its base; the study adds trials */
    const struct images *images; /* of the base; NULL in a dry run */
    json_t *claims;             /* the prediction in the making */
    json_t *groups;             /* {label: [index of trial, ...]} */
};

void study_predict(struct study_plan *p, const struct study_claim *claim);

/* Adds a trial for each of the plan's seeds, counted up from the base's, under one label: trials of
 * one label are repetitions of each other (study_group in results.h finds them). `pairs` as in
 * sweep_plan_add. A configuration may be asked for under several labels: it is run once. */
int study_trials(struct study_plan *p, const char *label, const char *const *pairs, struct err *e);

/* The same for so many seeds, whatever the plan has: of what is exact, or cheap. */
int study_repeat(struct study_plan *p, int seeds, const char *label, const char *const *pairs,
                 struct err *e);

/* A measurement made in this process, whose outcome is kept: it is made once for a directory. */
struct study_measurement {
    const char *name;           /* of its file: "invariance" */
    bool after;                 /* after the runs (it may read them), else before them */
    /* Returns an object (new reference), or NULL with e filled. `dir` is the study's. */
    json_t *(*measure)(const struct study_plan *p, const char *dir, struct err *e);
};

/* A place where the notes' text and the figures published with it disagree. */
struct study_disagreement {
    const char *text;           /* what the text says */
    const char *figures;        /* what the figures, logs or code show */
    const char *here;           /* what the study does about it */
};

struct study {
    const char *name;           /* "lr-batch" */
    const char *title;          /* "Learning rate against batch size" */
    const char *question;       /* one sentence that ends with a question mark */
    const char *background;     /* what one has to know to read the report: plain words */

    /* The base of each scale: a recipe of recipes/, and keys set on top of it (key, value ...
     * NULL). What a user sets (--lr, --set, KILN_) goes over both; trials' keys go over that. */
    const char *recipe[STUDY_SCALES];
    const char *const *settings[STUDY_SCALES];
    int seeds[STUDY_SCALES];    /* repetitions, unless the user asks for another number */
    enum keep_weights keep;     /* which checkpoints stay in the trials */

    /* Adds trials (study_trials) and claims (study_predict). Must not depend on anything but the
     * scale and the base; with more seeds there are more trials, and the same claims. */
    int (*plan)(struct study_plan *p, struct err *e);

    /* Further observers of the trials, as in struct sweep_options; NULL: none. `context` there is
     * the study_plan. */
    int (*open)(void *context, size_t trial, const struct config *c, struct recorder *r,
                struct observer *observers, struct err *e);
    void (*close)(void *context, size_t trial, struct recorder *r);

    const struct study_measurement *measurements; /* ended by name = NULL; or NULL */

    /* Reads the runs and says what was seen of each claim; adds figures, tables and caveats. All
     * trials are done when it is called; some may have diverged. */
    int (*analyse)(struct study_results *r, struct err *e);

    const char *const *caveats; /* NULL-ended sentences that hold for every scale; or NULL */
    const struct study_disagreement *disagreements; /* ended by text = NULL; or NULL */
};

/* NULL-ended. */
extern const struct study *const study_list[];

/* The study of this name; NULL and EXIT_USAGE, with the nearest name, if there is none. */
const struct study *study_find(const char *name, struct err *e);

#endif
