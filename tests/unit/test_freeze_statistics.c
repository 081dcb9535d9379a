/* test_freeze_statistics.c - the key freeze_statistics: batch norms with statistics that stay. */
#include <string.h>

#include "probes/lab.h"

/* What a named tensor holds. */
static void read_tensor(const struct trainer *t, const char *name, double *values, size_t room)
{
    const struct model *m = &t->net.model;
    int i = graph_find_tensor(m->graph, name);
    assert_true(i >= 0 && m->graph->tensors[i].count <= room);
    memset(values, 0, room * sizeof *values);
    m->backend->ops->read_reals(m->backend, values, model_tensor(m, i), m->graph->tensors[i].count);
}

static void step(struct lab *l, int count)
{
    struct step_report report;
    struct err e;
    for (int i = 0; i < count; i++)
        if (train_step(&l->trainer, &report, &e))
            fail_msg("%s", e.text);
}

static void test_freeze__statistics_move_until_the_epoch_and_no_further(void **state)
{
    struct lab l;
    double mean[3][600], weight[3][600];
    (void)state;
    lab_begin(&l, tiny_net);
    l.config.freeze_statistics = 1; /* epoch, of 3 steps */
    lab_open(&l, 2);
    for (int i = 0; i < 3; i++) { /* after steps 2, 3 and 7 */
        step(&l, i == 0 ? 0 : i == 1 ? 1 : 4);
        read_tensor(&l.trainer, "norm1.running_mean", mean[i], 600);
        read_tensor(&l.trainer, "conv1.weight", weight[i], 600);
    }
    lab_close(&l);
    assert_memory_not_equal(mean[0], mean[1], sizeof mean[0]);
    assert_memory_equal(mean[1], mean[2], sizeof mean[0]);
    assert_memory_not_equal(weight[1], weight[2], sizeof weight[0]);
}

/* Until then, training is the same to the bit. */
static void test_freeze__changes_nothing_before(void **state)
{
    char hashes[2][65];
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct lab l;
        lab_begin(&l, tiny_net);
        l.config.freeze_statistics = i ? 2 : -1;
        lab_open(&l, 6);
        model_hash(&l.trainer.net.model, hashes[i]);
        lab_close(&l);
    }
    assert_string_equal(hashes[0], hashes[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_freeze__statistics_move_until_the_epoch_and_no_further),
        cmocka_unit_test(test_freeze__changes_nothing_before),
    };
    return cmocka_run_group_tests_name("freeze_statistics", tests, NULL, NULL);
}
