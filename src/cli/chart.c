/* chart.c - see chart.h. Braille-like detail is not needed: a column is a bar of eighths. */
#include "cli/chart.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool chart_unicode(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (int i = 0; i < 3; i++) {
        const char *value = getenv(names[i]);
        if (value && *value)
            return strstr(value, "UTF-8") || strstr(value, "utf8") || strstr(value, "UTF8");
    }
    return false;
}

/* How many eighths of row `row` (0 at the bottom) the bar of height h (in rows) fills. */
static int eighths(double h, int row)
{
    double part = (h - row) * 8;
    return part <= 0 ? 0 : part >= 8 ? 8 : (int)lround(part);
}

static void print_cell(int fill, bool ascii, FILE *out)
{
    static const char *const blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char plain[] = " ...::::#";
    if (ascii)
        fputc(plain[fill], out);
    else
        fputs(blocks[fill], out);
}

void chart_print(const struct chart *chart, FILE *out)
{
    double low = 0, high = 0;
    for (int i = 0; i < chart->count; i++) {
        low = fmin(low, chart->values[i]);
        high = fmax(high, chart->values[i]);
    }
    double range = high > low ? high - low : 1;
    fprintf(out, "%s\n", chart->title);
    for (int row = chart->rows - 1; row >= 0; row--) {
        double top = low + range * (row + 1) / chart->rows;
        if (row == chart->rows - 1 || row == chart->rows / 2 - 1)
            fprintf(out, "%10.4g |", top);
        else if (row == 0)
            fprintf(out, "%10.4g |", low);
        else
            fprintf(out, "%10s |", "");
        for (int i = 0; i < chart->count; i++)
            print_cell(eighths((chart->values[i] - low) / range * chart->rows, row), chart->ascii,
                       out);
        fputc('\n', out);
    }
    fprintf(out, "%10s +", "");
    for (int i = 0; i < chart->count; i++)
        fputc('-', out);
    char first[32], last[64];
    snprintf(first, sizeof first, "%.4g", chart->x_first);
    snprintf(last, sizeof last, "%.4g %s", chart->x_last, chart->x_name);
    int gap = chart->count - (int)strlen(first) - (int)strlen(last);
    fprintf(out, "\n%12s%s%*s%s\n", "", first, gap > 1 ? gap : 1, "", last);
}
