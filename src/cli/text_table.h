/* text_table.h - a table for people: columns as wide as they need to be, and no wider than the
 * terminal. Texts may hold anything: what a terminal would take for a command, or cannot show, is
 * a '?'. */
#ifndef KILN_CLI_TEXT_TABLE_H
#define KILN_CLI_TEXT_TABLE_H

#include <stdbool.h>
#include <stdio.h>

#include "base/arena.h"

enum text_align {
    TEXT_LEFT,         /* words; may be cut at the end */
    TEXT_TAIL,         /* names whose end tells them apart; may be cut at the beginning */
    TEXT_RIGHT         /* numbers; never cut */
};

struct text_cell {
    const char *text;
    int width;         /* places on the screen */
    bool plain;        /* printable ASCII only */
};

struct text_table {
    struct arena memory;
    struct text_cell *cells;       /* [rows, columns]; the first row is the header */
    enum text_align *align;        /* [columns] */
    size_t columns, rows;
};

void text_table_init(struct text_table *t, size_t columns, const enum text_align *align);
void text_table_release(struct text_table *t);

/* Adds a row; the texts are copied. */
void text_table_add(struct text_table *t, const char *const *cells);

/* Prints it at most `width` wide (0: any width): long texts are cut, then columns left out from the
 * right. Returns how many were. */
size_t text_table_print(const struct text_table *t, int width, FILE *out);

/* Columns of the terminal that `out` is, or 0 if it is none. */
int terminal_width(FILE *out);

#endif
