/* range_test.c - see range_test.h. */
#include "sweep/range_test.h"

#include <math.h>

/* Solves the normal equations of a weighted parabola for its value and slope at u = 0: moments
 * s[k] = sum w u^k, t[k] = sum w u^k y. By Cramer's rule: three unknowns. */
static void solve(const double s[5], const double t[3], double *value, double *slope)
{
    double d = s[0] * (s[2] * s[4] - s[3] * s[3]) - s[1] * (s[1] * s[4] - s[2] * s[3]) +
               s[2] * (s[1] * s[3] - s[2] * s[2]);
    *value = (t[0] * (s[2] * s[4] - s[3] * s[3]) - s[1] * (t[1] * s[4] - t[2] * s[3]) +
              s[2] * (t[1] * s[3] - t[2] * s[2])) /
             d;
    *slope = (s[0] * (t[1] * s[4] - t[2] * s[3]) - t[0] * (s[1] * s[4] - s[2] * s[3]) +
              s[2] * (s[1] * t[2] - s[2] * t[1])) /
             d;
}

void range_smooth(const double *x, const double *y, size_t n, double *smooth, double *slope)
{
    const double h = log(RANGE_SMOOTH);
    for (size_t i = 0; i < n; i++) {
        double s[5] = {0}, t[3] = {0};
        for (size_t j = 0; j < n; j++) {
            double u = (x[j] - x[i]) / h, w = exp(-u * u / 2), power = w;
            for (int k = 0; k < 5; k++) {
                s[k] += power;
                if (k < 3)
                    t[k] += power * y[j];
                power *= u;
            }
        }
        solve(s, t, &smooth[i], &slope[i]);
        slope[i] /= h;
    }
}

void range_find(const double *lr, const double *smooth, const double *slope, size_t n,
                int cut_short, double next_lr, struct range_points *p)
{
    const double unknown = (double)NAN;
    size_t least = 0, steepest = 0;
    *p = (struct range_points){unknown, unknown, unknown, unknown};
    for (size_t i = 1; i < n; i++)
        if (smooth[i] < smooth[least])
            least = i;
    if (n == 0 || !(smooth[least] < 0.9 * smooth[0]))
        return;
    for (size_t i = 1; i <= least; i++)
        if (slope[i] < slope[steepest])
            steepest = i;
    p->steepest = lr[steepest];
    p->minimum = lr[least];
    p->tenth = lr[least] / 10;
    double limit = smooth[least] + (smooth[0] - smooth[least]) / 2;
    for (size_t i = n; i-- > least;)
        if (smooth[i] >= limit)
            p->blow_up = lr[i];
    if (isnan(p->blow_up) && cut_short)
        p->blow_up = next_lr;
}
