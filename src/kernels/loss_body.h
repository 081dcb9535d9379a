/* loss_body.h - the body of loss.c for one precision (each_precision_body.h). */

/* Logit k of image i. */
static double NAME(logit)(const MAP *logits, int i, int k)
{
    enum { CB = LINE / (int)sizeof(MAP) };
    return (double)GET(logits[(k / CB * IMAGES + i) * CB + k % CB]);
}

/* The loss of one image is log(sum of exp(z)) - target . z, and its gradient softmax(z) - target;
 * the largest logit is taken out of the exponentials first. */
static void NAME(cross_entropy_image)(const struct loss_step *s, const MAP *logits, int i,
                                      int label, double *loss, uint8_t *hit, MAP *dlogits)
{
    enum { CB = LINE / (int)sizeof(MAP) };
    int best = 0;
    for (int k = 1; k < s->classes; k++)
        if (NAME(logit)(logits, i, k) > NAME(logit)(logits, i, best))
            best = k;
    double top = NAME(logit)(logits, i, best), exps = 0, rest = 0;
    for (int k = 0; k < s->classes; k++) {
        double z = NAME(logit)(logits, i, k) - top;
        exps += exp(z);
        rest += z;
    }
    double spread = s->smoothing / s->classes;
    *loss = log(exps) - (1 - s->smoothing) * (NAME(logit)(logits, i, label) - top) - spread * rest;
    *hit = best == label;
    if (!dlogits)
        return;
    for (int k = 0; k < s->classes; k++) {
        double softmax = exp(NAME(logit)(logits, i, k) - top) / exps;
        double target = spread + (k == label ? 1 - s->smoothing : 0);
        dlogits[(k / CB * IMAGES + i) * CB + k % CB] =
            PUT((REAL)(s->gradient_scale * (softmax - target)));
    }
}

static void NAME(cross_entropy)(const struct loss_step *s, const void *logits,
                                const uint8_t *labels, double *losses, uint8_t *hits,
                                void *dlogits)
{
    enum { CB = LINE / (int)sizeof(MAP) };
    assert(s->images > 0 && s->images <= IMAGES && s->classes > 0);
    if (dlogits)
        for (int k = 0; k < (s->classes + CB - 1) / CB * IMAGES * CB; k++)
            ((MAP *)dlogits)[k] = PUT(0);
    for (int i = 0; i < s->images; i++) {
        assert(labels[i] < s->classes);
        NAME(cross_entropy_image)(s, logits, i, labels[i], &losses[i], &hits[i], dlogits);
    }
}

static void NAME(loss_init)(struct pointwise_kernels *k)
{
    k->cross_entropy = NAME(cross_entropy);
}
