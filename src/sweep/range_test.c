/* range_test.c - see range_test.h. */
#include "sweep/range_test.h"

#include <math.h>

#include "base/stats.h"

void range_smooth(const double *x, const double *loss, size_t n, double *smooth, double *slope)
{
    const double h = log(RANGE_SMOOTH);
    const double cut = RANGE_CUT * stats_quantile(loss, n / 10 > 0 ? n / 10 : 1, 0.5);
    for (size_t i = 0; i < n; i++) {
        /* Weighted moments of u = (x - x[i]) / h; the line's value and slope are those at 0. */
        double s0 = 0, s1 = 0, s2 = 0, t0 = 0, t1 = 0;
        for (size_t j = 0; j < n; j++) {
            double u = (x[j] - x[i]) / h, w = exp(-u * u / 2), y = fmin(loss[j], cut);
            s0 += w;
            s1 += w * u;
            s2 += w * u * u;
            t0 += w * y;
            t1 += w * u * y;
        }
        double d = s0 * s2 - s1 * s1;
        smooth[i] = (s2 * t0 - s1 * t1) / d;
        slope[i] = (s0 * t1 - s1 * t0) / d / h;
    }
}

void range_find(const double *lr, const double *smooth, const double *slope, size_t n,
                int cut_short, double next_lr, struct range_points *p)
{
    const double unknown = (double)NAN;
    size_t least = 0, steepest = 0, begin = 0, end = 0;
    *p = (struct range_points){unknown, unknown, unknown, unknown, unknown, unknown};
    for (size_t i = 1; i < n; i++)
        if (smooth[i] < smooth[least])
            least = i;
    if (n == 0 || !(smooth[least] < 0.9 * smooth[0]))
        return;
    double gain = smooth[0] - smooth[least];
    while (smooth[begin] > smooth[least] + RANGE_PLATEAU * gain)
        begin++;
    for (size_t i = begin; i < n; i++)
        if (smooth[i] <= smooth[least] + RANGE_PLATEAU * gain)
            end = i;
    for (size_t i = 1; i <= begin; i++)
        if (slope[i] < slope[steepest])
            steepest = i;
    p->steepest = lr[steepest];
    p->begin = lr[begin];
    p->end = lr[end];
    p->minimum = lr[least];
    p->tenth = lr[least] / 10;
    for (size_t i = n; i-- > end;)
        if (smooth[i] >= smooth[least] + gain / 2)
            p->blow_up = lr[i];
    if (isnan(p->blow_up) && cut_short)
        p->blow_up = next_lr;
}
