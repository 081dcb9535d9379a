/* picture.c - see picture.h. The only file that knows libpng. */
#include "base/picture.h"

#include <assert.h>
#include <ctype.h>
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/file.h"

/* Letters of 5x7 points: one number a row, from the top, its bit 4 on the left. */
static const struct glyph {
    char letter;
    uint8_t rows[7];
} glyphs[] = {
    {'A', {0x0e, 0x11, 0x11, 0x1f, 0x11, 0x11, 0x11}},
    {'B', {0x1e, 0x11, 0x11, 0x1e, 0x11, 0x11, 0x1e}},
    {'C', {0x0e, 0x11, 0x10, 0x10, 0x10, 0x11, 0x0e}},
    {'D', {0x1e, 0x11, 0x11, 0x11, 0x11, 0x11, 0x1e}},
    {'E', {0x1f, 0x10, 0x10, 0x1e, 0x10, 0x10, 0x1f}},
    {'F', {0x1f, 0x10, 0x10, 0x1e, 0x10, 0x10, 0x10}},
    {'G', {0x0e, 0x11, 0x10, 0x17, 0x11, 0x11, 0x0f}},
    {'H', {0x11, 0x11, 0x11, 0x1f, 0x11, 0x11, 0x11}},
    {'I', {0x0e, 0x04, 0x04, 0x04, 0x04, 0x04, 0x0e}},
    {'J', {0x07, 0x02, 0x02, 0x02, 0x02, 0x12, 0x0c}},
    {'K', {0x11, 0x12, 0x14, 0x18, 0x14, 0x12, 0x11}},
    {'L', {0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x1f}},
    {'M', {0x11, 0x1b, 0x15, 0x15, 0x11, 0x11, 0x11}},
    {'N', {0x11, 0x19, 0x15, 0x13, 0x11, 0x11, 0x11}},
    {'O', {0x0e, 0x11, 0x11, 0x11, 0x11, 0x11, 0x0e}},
    {'P', {0x1e, 0x11, 0x11, 0x1e, 0x10, 0x10, 0x10}},
    {'Q', {0x0e, 0x11, 0x11, 0x11, 0x15, 0x12, 0x0d}},
    {'R', {0x1e, 0x11, 0x11, 0x1e, 0x14, 0x12, 0x11}},
    {'S', {0x0f, 0x10, 0x10, 0x0e, 0x01, 0x01, 0x1e}},
    {'T', {0x1f, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04}},
    {'U', {0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x0e}},
    {'V', {0x11, 0x11, 0x11, 0x11, 0x11, 0x0a, 0x04}},
    {'W', {0x11, 0x11, 0x11, 0x15, 0x15, 0x1b, 0x11}},
    {'X', {0x11, 0x11, 0x0a, 0x04, 0x0a, 0x11, 0x11}},
    {'Y', {0x11, 0x11, 0x0a, 0x04, 0x04, 0x04, 0x04}},
    {'Z', {0x1f, 0x01, 0x02, 0x04, 0x08, 0x10, 0x1f}},
    {'0', {0x0e, 0x11, 0x13, 0x15, 0x19, 0x11, 0x0e}},
    {'1', {0x04, 0x0c, 0x04, 0x04, 0x04, 0x04, 0x0e}},
    {'2', {0x0e, 0x11, 0x01, 0x02, 0x04, 0x08, 0x1f}},
    {'3', {0x1f, 0x02, 0x04, 0x02, 0x01, 0x11, 0x0e}},
    {'4', {0x02, 0x06, 0x0a, 0x12, 0x1f, 0x02, 0x02}},
    {'5', {0x1f, 0x10, 0x1e, 0x01, 0x01, 0x11, 0x0e}},
    {'6', {0x06, 0x08, 0x10, 0x1e, 0x11, 0x11, 0x0e}},
    {'7', {0x1f, 0x01, 0x02, 0x04, 0x08, 0x08, 0x08}},
    {'8', {0x0e, 0x11, 0x11, 0x0e, 0x11, 0x11, 0x0e}},
    {'9', {0x0e, 0x11, 0x11, 0x0f, 0x01, 0x02, 0x0c}},
    {'-', {0x00, 0x00, 0x00, 0x1f, 0x00, 0x00, 0x00}},
    {'_', {0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x1f}},
    {'/', {0x01, 0x01, 0x02, 0x04, 0x08, 0x10, 0x10}},
    {'.', {0x00, 0x00, 0x00, 0x00, 0x00, 0x0c, 0x0c}},
    {',', {0x00, 0x00, 0x00, 0x00, 0x0c, 0x04, 0x08}},
    {':', {0x00, 0x0c, 0x0c, 0x00, 0x0c, 0x0c, 0x00}},
    {' ', {0}},
};
static const struct glyph unknown = {0, {0x1f, 0x11, 0x11, 0x11, 0x11, 0x11, 0x1f}};

void picture_init(struct picture *p, int width, int height, const uint8_t colour[3])
{
    assert(width > 0 && height > 0);
    p->width = width;
    p->height = height;
    p->rgb = xcalloc((size_t)width * (size_t)height, 3);
    picture_fill(p, 0, 0, width, height, colour);
}

void picture_release(struct picture *p)
{
    free(p->rgb);
    memset(p, 0, sizeof *p);
}

void picture_fill(struct picture *p, int x, int y, int width, int height, const uint8_t colour[3])
{
    for (int i = y < 0 ? 0 : y; i < y + height && i < p->height; i++)
        for (int k = x < 0 ? 0 : x; k < x + width && k < p->width; k++)
            memcpy(p->rgb + 3 * ((size_t)i * (size_t)p->width + (size_t)k), colour, 3);
}

static const struct glyph *find_glyph(char letter)
{
    letter = (char)toupper((unsigned char)letter);
    for (size_t i = 0; i < sizeof glyphs / sizeof glyphs[0]; i++)
        if (glyphs[i].letter == letter)
            return &glyphs[i];
    return &unknown;
}

void picture_text(struct picture *p, int x, int y, int right, const char *text,
                  const uint8_t colour[3])
{
    for (; *text && x + GLYPH_WIDTH <= right; text++, x += GLYPH_WIDTH) {
        const struct glyph *g = find_glyph(*text);
        for (int row = 0; row < 7; row++)
            for (int column = 0; column < 5; column++)
                if (g->rows[row] >> (4 - column) & 1)
                    picture_fill(p, x + column, y + row, 1, 1, colour);
    }
}

/* What libpng hands back to the functions below. */
struct png_output {
    struct file_writer file;
    struct err *e;
    jmp_buf failed;
};

/* libpng wants this not to return. */
static void on_error(png_structp png, png_const_charp text)
{
    struct png_output *out = png_get_error_ptr(png);
    if (text)
        err_set(out->e, EXIT_FAILED, "cannot write '%s': %s", out->file.path, text);
    longjmp(out->failed, 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static void on_data(png_structp png, png_bytep data, png_size_t bytes)
{
    struct png_output *out = png_get_io_ptr(png);
    if (file_writer_append(&out->file, data, bytes, out->e) != 0)
        on_error(png, NULL);
}

static void on_flush(png_structp png)
{
    (void)png;
}

/* The part that libpng may leave by longjmp: no locals that it changes are read afterwards. */
static int encode(const struct picture *p, png_structp png, png_infop info, struct png_output *out)
{
    if (setjmp(out->failed))
        return -1;
    png_set_write_fn(png, out, on_data, on_flush);
    png_set_IHDR(png, info, (png_uint_32)p->width, (png_uint_32)p->height, 8, PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (int y = 0; y < p->height; y++)
        png_write_row(png, p->rgb + 3 * (size_t)y * (size_t)p->width);
    png_write_end(png, NULL);
    return 0;
}

int picture_write(const struct picture *p, const char *path, struct err *e)
{
    struct png_output out = {.e = e};
    if (file_writer_open(&out.file, path, e) != 0)
        return -1;
    int status = -1;
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &out, on_error, on_warning);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (info)
        status = encode(p, png, info, &out);
    else
        err_set(e, EXIT_FAILED, "no memory to write '%s'", path);
    png_destroy_write_struct(&png, &info);
    if (status == 0)
        return file_writer_commit(&out.file, e);
    file_writer_abandon(&out.file);
    return -1;
}
