/* html.h - text that becomes part of a page without being able to change it.
 *
 * Names of runs, paths and settings come from users and from other people's files: everything that
 * is not written in kiln's own source goes through one of these.
 */
#ifndef KILN_REPORT_HTML_H
#define KILN_REPORT_HTML_H

#include <jansson.h>
#include <stdio.h>

/* Writes text for between tags and for attributes in double quotes: & < > " ' become entities,
 * bytes that are not UTF-8 or are control characters become U+FFFD. */
void html_text(FILE *out, const char *text);

/* fprintf into the escaped text. */
void html_printf(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Writes JSON for inside <script type="application/json">: compact, reals to 6 digits, keys in
 * their order, and no '<' or '&' in it, so that nothing in a string can end the script. */
void html_json(FILE *out, const json_t *value);

/* Writes bytes in base 64, for data: addresses. */
void html_base64(FILE *out, const unsigned char *data, size_t bytes);

/* A real to `digits` significant digits as people write it: "0.001", "3.2", "1.5e-07"; "not
 * finite" as an em dash. text[32]. */
const char *html_number(double value, int digits, char text[32]);

/* `mean ± sd` with the decimals that sd's two leading digits have; sd NaN: mean alone with `digits`
 * significant digits, or two decimals of per cent. text[64]. `scale` multiplies both (100: per
 * cent). */
const char *html_spread(double mean, double sd, double scale, int digits, char text[64]);

/* Seconds as "0.42 s", "12 s", "3 min 20 s", "2 h 5 min". text[32]. */
const char *html_duration(double seconds, char text[32]);

/* Memory as a stream: *text (heap, the caller frees) is whole after fclose. Dies without memory. */
FILE *html_memory(char **text, size_t *bytes);

#endif
