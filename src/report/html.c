/* html.c - see html.h. */
#define _GNU_SOURCE /* open_memstream, vasprintf */
#include "report/html.h"

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

static const char REPLACEMENT[] = "\xef\xbf\xbd";

/* How many bytes the UTF-8 character at p has; 0 if there is none (Unicode 15, table 3-7). */
static int character_bytes(const unsigned char *p)
{
    if (p[0] < 0x80)
        return 1;
    int n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    for (int i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return n;
}

static const char *entity(unsigned char c)
{
    switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    case 0x7f: return REPLACEMENT;
    default: return c < 0x20 && c != '\n' && c != '\t' ? REPLACEMENT : NULL;
    }
}

void html_text(FILE *out, const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    while (*p) {
        int n = character_bytes(p);
        const char *replacement = n == 0 ? REPLACEMENT : n == 1 ? entity(*p) : NULL;
        if (replacement)
            fputs(replacement, out);
        else
            fwrite(p, 1, (size_t)n, out);
        p += n ? n : 1;
    }
}

void html_printf(FILE *out, const char *format, ...)
{
    char *text;
    va_list ap;
    va_start(ap, format);
    int n = vasprintf(&text, format, ap);
    va_end(ap);
    if (n < 0) {
        log_error("out of memory");
        abort();
    }
    html_text(out, text);
    free(text);
}

static int put_json(const char *buffer, size_t size, void *context)
{
    FILE *out = context;
    for (size_t i = 0; i < size; i++) {
        if (buffer[i] == '<' || buffer[i] == '&')
            fprintf(out, "\\u%04x", (unsigned)buffer[i]);
        else
            fputc(buffer[i], out);
    }
    return 0;
}

void html_json(FILE *out, const json_t *value)
{
    json_dump_callback(value, put_json, out,
                       JSON_COMPACT | JSON_REAL_PRECISION(6) | JSON_ENCODE_ANY);
}

void html_base64(FILE *out, const unsigned char *data, size_t bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < bytes; i += 3) {
        size_t n = bytes - i < 3 ? bytes - i : 3;
        uint32_t group = (uint32_t)data[i] << 16;
        group |= n > 1 ? (uint32_t)data[i + 1] << 8 : 0;
        group |= n > 2 ? data[i + 2] : 0;
        for (size_t k = 0; k < 4; k++)
            fputc(k <= n ? digits[group >> (18 - 6 * k) & 63] : '=', out);
    }
}

const char *html_number(double value, int digits, char text[32])
{
    double size = fabs(value);
    if (!isfinite(value))
        snprintf(text, 32, "—");
    else if (size >= pow(10, digits) && size < 1e9)
        snprintf(text, 32, "%.0f", value); /* 1638, not 1.64e+03 */
    else
        snprintf(text, 32, "%.*g", digits, value);
    return text;
}

const char *html_spread(double mean, double sd, double scale, int digits, char text[64])
{
    char number[32];
    if (isfinite(mean) && !isfinite(sd) && scale == 100) {
        snprintf(text, 64, "%.2f", mean * scale);
        return text;
    }
    if (!isfinite(mean) || !isfinite(sd)) {
        snprintf(text, 64, "%s", html_number(mean * scale, digits, number));
        return text;
    }
    /* Two digits of the spread, and as many decimals of the mean. A spread that is rounding is
     * none, and of per cent two decimals are all that 10,000 images tell. */
    double s = sd > 1e-12 * fabs(mean) ? sd * scale : 0;
    int decimals = s > 0 ? 1 - (int)floor(log10(s)) : digits - 1, most = scale == 100 ? 2 : 6;
    decimals = decimals < 0 ? 0 : decimals > most ? most : decimals;
    snprintf(text, 64, "%.*f ± %.*f", decimals, mean * scale, decimals, s);
    return text;
}

const char *html_duration(double seconds, char text[32])
{
    if (!isfinite(seconds) || seconds < 0)
        snprintf(text, 32, "—");
    else if (seconds < 10)
        snprintf(text, 32, "%.2g s", seconds);
    else if (seconds < 90)
        snprintf(text, 32, "%.0f s", seconds);
    else if (seconds < 5400)
        snprintf(text, 32, "%d min %d s", (int)(seconds + 0.5) / 60, (int)(seconds + 0.5) % 60);
    else
        snprintf(text, 32, "%d h %d min", (int)(seconds / 3600), (int)(seconds / 60) % 60);
    return text;
}

FILE *html_memory(char **text, size_t *bytes)
{
    *text = NULL;
    FILE *out = open_memstream(text, bytes);
    if (!out) {
        log_error("out of memory");
        abort();
    }
    return out;
}
