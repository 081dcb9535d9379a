/* picture.h - a small colour picture with text, written as PNG. */
#ifndef KILN_BASE_PICTURE_H
#define KILN_BASE_PICTURE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { GLYPH_WIDTH = 6, GLYPH_HEIGHT = 8 }; /* of a letter with the gaps around it, in pixels */

struct picture {
    int width, height;
    uint8_t *rgb;        /* [height][width][3] */
};

/* Makes a picture of one colour. The caller ends it with picture_release. */
void picture_init(struct picture *p, int width, int height, const uint8_t colour[3]);
void picture_release(struct picture *p);

/* Fills the rectangle with its corner at (x, y); what lies outside the picture is left out. */
void picture_fill(struct picture *p, int x, int y, int width, int height, const uint8_t colour[3]);

/* Writes `text` in one line with its corner at (x, y): 26 letters, shown as capitals, digits, and
 * "-_/.,:". Stops before a letter that would pass `right`. */
void picture_text(struct picture *p, int x, int y, int right, const char *text,
                  const uint8_t colour[3]);

/* Writes the file, atomically. */
int picture_write(const struct picture *p, const char *path, struct err *e);

#endif
