/* text_table.c - see text_table.h. */
#define _GNU_SOURCE /* fileno */
#include "cli/text_table.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { GAP = 2, NARROWEST = 12 };

/* Reads one character of UTF-8; '?' and one byte for what is none, or would move the cursor. */
static uint32_t next_character(const char **text)
{
    const unsigned char *p = (const unsigned char *)*text;
    int more = *p < 0x80 ? 0 : *p >= 0xf0 && *p < 0xf5 ? 3 : *p >= 0xe0 ? 2 : *p >= 0xc2 ? 1 : -1;
    uint32_t c = more <= 0 ? *p : *p & (0x3fu >> more);
    if (*p >= 0xf5)
        more = -1;
    for (int i = 1; i <= more; i++) {
        if ((p[i] & 0xc0) != 0x80)
            more = -1;
        else
            c = c << 6 | (p[i] & 0x3fu);
    }
    *text += more > 0 ? more + 1 : 1;
    return more < 0 || c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e) ||
                   (c >= 0x2066 && c <= 0x2069)
               ? '?'
               : c;
}

/* Places on the screen: East Asian letters and emoji take two, combining marks none. */
static int places(uint32_t c)
{
    if ((c >= 0x300 && c < 0x370) || c == 0x200d || (c >= 0xfe00 && c <= 0xfe0f))
        return 0;
    return (c >= 0x1100 && c < 0x1160) || (c >= 0x2e80 && c < 0xa4d0) ||
                   (c >= 0xac00 && c < 0xd7a4) || (c >= 0xf900 && c < 0xfb00) ||
                   (c >= 0xff00 && c < 0xff61) || (c >= 0x1f300 && c < 0x1faff) ||
                   (c >= 0x20000 && c < 0x40000)
               ? 2
               : 1;
}

static struct text_cell cell_of(struct arena *memory, const char *text)
{
    struct text_cell cell = {.text = arena_strdup(memory, text), .plain = true};
    for (const char *p = text; *p; p++)
        cell.plain = cell.plain && *p >= 0x20 && *p < 0x7f;
    if (cell.plain)
        cell.width = (int)strlen(text);
    for (const char *p = text; !cell.plain && *p;)
        cell.width += places(next_character(&p));
    return cell;
}

static void print_spaces(int n, FILE *out)
{
    while (n-- > 0)
        putc(' ', out);
}

/* Prints the characters that fit into `width`; returns the places that are left. */
static int print_some(const char *text, int width, FILE *out)
{
    while (*text) {
        const char *start = text;
        uint32_t c = next_character(&text);
        if (places(c) > width)
            break;
        width -= places(c);
        if (c == '?')
            fputc('?', out);
        else
            fwrite(start, 1, (size_t)(text - start), out);
    }
    return width;
}

/* Prints a cell that is wider than its column, cut; returns the places that are left. */
static int print_cut(const struct text_cell *cell, int width, enum text_align align, FILE *out)
{
    const char *text = cell->text;
    if (align != TEXT_TAIL) {
        width = print_some(text, width - 2, out);
        fputs("..", out);
        return width;
    }
    for (int need = cell->width; *text && need > width - 2;)
        need -= places(next_character(&text));
    fputs("..", out);
    return print_some(text, width - 2, out);
}

static void print_cell(const struct text_cell *cell, int width, enum text_align align, bool last,
                       FILE *out)
{
    int left = width - cell->width;
    if (align == TEXT_RIGHT)
        print_spaces(left, out);
    if (left < 0)
        left = print_cut(cell, width, align, out);
    else if (cell->plain)
        fputs(cell->text, out);
    else
        print_some(cell->text, width, out);
    if (!last)
        print_spaces((align == TEXT_RIGHT ? 0 : left) + GAP, out);
}

void text_table_init(struct text_table *t, size_t columns, const enum text_align *align)
{
    *t = (struct text_table){.columns = columns};
    t->align = arena_alloc(&t->memory, columns, sizeof *t->align);
    memcpy(t->align, align, columns * sizeof *align);
}

void text_table_release(struct text_table *t)
{
    free(t->cells);
    arena_release(&t->memory);
    *t = (struct text_table){0};
}

void text_table_add(struct text_table *t, const char *const *cells)
{
    if ((t->rows & (t->rows - 1)) == 0)
        t->cells = xrealloc(t->cells, (t->rows ? 2 * t->rows : 1) * t->columns * sizeof *t->cells);
    for (size_t i = 0; i < t->columns; i++)
        t->cells[t->rows * t->columns + i] = cell_of(&t->memory, cells[i]);
    t->rows++;
}

static int total_width(const int *widths, size_t columns)
{
    int total = 0;
    for (size_t i = 0; i < columns; i++)
        total += widths[i] + (i ? GAP : 0);
    return total;
}

/* Makes the widest text narrower until the columns fit, then leaves out columns from the right, and
 * gives the room that is left over back to the texts. Returns how many columns there are. */
static size_t fit(const struct text_table *t, int *widths, int width)
{
    size_t columns = t->columns;
    int *natural = xcalloc(columns, sizeof *natural);
    memcpy(natural, widths, columns * sizeof *natural);
    for (int over; columns > 1 && (over = total_width(widths, columns) - width) > 0;) {
        size_t widest = columns;
        for (size_t i = 0; i < columns; i++)
            if (t->align[i] != TEXT_RIGHT && widths[i] > NARROWEST &&
                (widest == columns || widths[i] > widths[widest]))
                widest = i;
        if (widest == columns)
            columns--;
        else
            widths[widest] = widths[widest] - over > NARROWEST ? widths[widest] - over : NARROWEST;
    }
    for (size_t i = 0; i < columns; i++) {
        int room = width - total_width(widths, columns), lost = natural[i] - widths[i];
        widths[i] += room < 0 ? 0 : room < lost ? room : lost;
    }
    free(natural);
    return columns;
}

size_t text_table_print(const struct text_table *t, int width, FILE *out)
{
    int *widths = xcalloc(t->columns, sizeof *widths);
    for (size_t i = 0; i < t->rows * t->columns; i++) {
        if (t->cells[i].width > widths[i % t->columns])
            widths[i % t->columns] = t->cells[i].width;
    }
    size_t columns = width ? fit(t, widths, width) : t->columns;
    for (size_t row = 0; row < t->rows; row++) {
        for (size_t i = 0; i < columns; i++)
            print_cell(&t->cells[row * t->columns + i], widths[i], t->align[i], i + 1 == columns,
                       out);
        fputc('\n', out);
    }
    free(widths);
    return t->columns - columns;
}

int terminal_width(FILE *out)
{
    struct winsize size;
    if (!isatty(fileno(out)))
        return 0;
    return ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}
