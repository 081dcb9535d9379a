/* where.c - see where.h. One pass of recursive descent that writes SQL as it reads. */
#define _POSIX_C_SOURCE 200809L
#include "store/where.h"

#include <assert.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"
#include "store/summary.h"

enum { DEPTH = 64, WORD = 512 };

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_QUOTED, TOKEN_OPERATOR, TOKEN_OPEN, TOKEN_CLOSE };

struct token {
    enum token_kind kind;
    int column;                  /* from 1 */
    char text[WORD];
};

struct reader {
    struct where *w;
    const char *start, *next;
    struct token token;          /* the one being looked at */
    int depth;
    struct err *e;
};

void where_begin(struct where *w, const char *const *settings)
{
    *w = (struct where){.settings = settings};
    w->out = open_memstream(&w->sql, &w->bytes);
    if (!w->out) {
        fprintf(stderr, "kiln: out of memory\n");
        exit(EXIT_FAILED);
    }
}

void where_add(struct where *w, const char *sql)
{
    fputs(sql, w->out);
}

static void add_value(struct where *w, struct where_value value)
{
    w->values = xrealloc(w->values, (w->count + 1) * sizeof *w->values);
    w->values[w->count++] = value;
}

static void add_text(struct where *w, const char *text)
{
    add_value(w, (struct where_value){.kind = DB_TEXT, .text = arena_strdup(&w->memory, text)});
}

/* Appends "?" for a number; 0 if the text is none. */
static bool add_number(struct where *w, const char *text)
{
    json_t *value = summary_value("", text);
    bool integer = json_is_integer(value), real = json_is_real(value);
    if (integer)
        add_value(w, (struct where_value){.kind = DB_INTEGER,
                                          .integer = json_integer_value(value)});
    if (real)
        add_value(w, (struct where_value){.kind = DB_REAL, .real = json_real_value(value)});
    json_decref(value);
    return integer || real;
}

static bool is_setting(const struct where *w, const char *key)
{
    for (const char *const *s = w->settings; s && *s; s++)
        if (strcmp(*s, key) == 0)
            return true;
    return false;
}

static const char *nearest_key(const struct where *w, const char *key)
{
    const char *names[512];
    size_t n = 0;
    for (const struct summary_field *f = summary_fields; f->name && n < 511; f++)
        names[n++] = f->name;
    for (const char *const *s = w->settings; s && *s && n < 511; s++)
        names[n++] = *s;
    names[n] = NULL;
    return nearest_name(key, names);
}

/* "column 5: no key 'lrr'; did you mean 'lr'?"; column 0: not told. */
static int no_key(const struct where *w, const char *key, int column, struct err *e)
{
    char where[32] = "";
    if (column)
        snprintf(where, sizeof where, "column %d: ", column);
    const char *nearest = nearest_key(w, key);
    if (nearest)
        return err_set(e, EXIT_USAGE, "%sno key '%s'; did you mean '%s'?", where, key, nearest);
    return err_set(e, EXIT_USAGE, "%sno key '%s'; 'kiln help runs' says where the keys are listed",
                   where, key);
}

/* Appends the text of a setting. */
static void add_setting(struct where *w, const char *key)
{
    where_add(w, "setting(config, ?)");
    add_text(w, key);
}

static void add_column(struct where *w, const struct summary_field *f)
{
    fprintf(w->out, "\"%s\"", f->name);
}

int where_key(struct where *w, const char *key, struct err *e)
{
    const struct summary_field *f = summary_field_find(key);
    if (f)
        add_column(w, f);
    else if (is_setting(w, key))
        add_setting(w, key);
    else
        return no_key(w, key, 0, e);
    return 0;
}

static int fail(struct reader *r, const struct token *t, const char *cause)
{
    if (t->kind == TOKEN_END)
        return err_set(r->e, EXIT_USAGE, "column %d: %s", t->column, cause);
    return err_set(r->e, EXIT_USAGE, "column %d: %s, not '%s'", t->column, cause, t->text);
}

static bool is_word_letter(char c)
{
    return c && !isspace((unsigned char)c) && !strchr("()=<>!~'\"", c);
}

/* Takes n bytes as the token's text. */
static int take(struct reader *r, enum token_kind kind, size_t n)
{
    r->token.kind = kind;
    memcpy(r->token.text, r->next, n);
    r->token.text[n] = 0;
    r->next += n;
    return 0;
}

static int read_quoted(struct reader *r)
{
    char quote = *r->next++;
    size_t n = 0;
    for (; *r->next && n + 1 < WORD; r->next++) {
        if (*r->next == quote && r->next[1] != quote)
            break;
        r->next += *r->next == quote;
        r->token.text[n++] = *r->next;
    }
    r->token.text[n] = 0;
    r->token.kind = TOKEN_QUOTED;
    if (*r->next != quote)
        return err_set(r->e, EXIT_USAGE, "column %d: the quote is not closed", r->token.column);
    r->next++;
    return 0;
}

static int advance(struct reader *r)
{
    static const char *const operators[] = {"!=", "!~", "<=", ">=", "==", "=", "<", ">", "~"};
    while (isspace((unsigned char)*r->next))
        r->next++;
    r->token.column = (int)(r->next - r->start) + 1;
    if (!*r->next)
        return take(r, TOKEN_END, 0);
    if (*r->next == '(' || *r->next == ')')
        return take(r, *r->next == '(' ? TOKEN_OPEN : TOKEN_CLOSE, 1);
    if (*r->next == '\'' || *r->next == '"')
        return read_quoted(r);
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++)
        if (strncmp(r->next, operators[i], strlen(operators[i])) == 0)
            return take(r, TOKEN_OPERATOR, strlen(operators[i]));
    size_t n = 0;
    while (is_word_letter(r->next[n]))
        n++;
    if (n == 0 || n >= WORD)
        return err_set(r->e, EXIT_USAGE, "column %d: '%.20s' means nothing here", r->token.column,
                       r->next);
    return take(r, TOKEN_WORD, n);
}

static bool is_keyword(const struct token *t, const char *word)
{
    return t->kind == TOKEN_WORD && strcmp(t->text, word) == 0;
}

static int check_state(struct reader *r, const struct token *value)
{
    const char *names[RUN_STATE_COUNT + 1] = {NULL};
    for (int i = 0; i < RUN_STATE_COUNT; i++) {
        names[i] = run_state_name((enum run_state)i);
        if (strcmp(names[i], value->text) == 0)
            return 0;
    }
    const char *nearest = nearest_name(value->text, names);
    return err_set(r->e, EXIT_USAGE, "column %d: no state '%s'; %s%s%s", value->column, value->text,
                   nearest ? "did you mean '" : "it is running, finished, stopped, diverged, ",
                   nearest ? nearest : "failed or dead", nearest ? "'?" : "");
}

/* What stands left of the operator: the key as a text, or as a number. */
static void add_left(struct where *w, const struct summary_field *f, const char *key, bool number)
{
    if (f) {
        add_column(w, f);
        return;
    }
    where_add(w, number ? "number(" : "");
    add_setting(w, key);
    where_add(w, number ? ")" : "");
}

static void add_contains(struct reader *r, const struct summary_field *f, const char *key,
                         const char *value, bool negated)
{
    where_add(r->w, "(instr(lower(");
    add_left(r->w, f, key, false);
    where_add(r->w, negated ? "), lower(?)) = 0) IS TRUE" : "), lower(?)) > 0) IS TRUE");
    add_text(r->w, value);
}

/* KEY op number. */
static int add_number_comparison(struct reader *r, const struct summary_field *f, const char *key,
                                 const char *op, const struct token *value)
{
    where_add(r->w, "(");
    add_left(r->w, f, key, true);
    fprintf(r->w->out, " %s ?) IS TRUE", op);
    if (add_number(r->w, value->text))
        return 0;
    return err_set(r->e, EXIT_USAGE, "column %d: '%s' is compared with a number, not '%s'",
                   value->column, key, value->text);
}

/* KEY op text; "" is not known. */
static void add_text_comparison(struct reader *r, const struct summary_field *f, const char *key,
                                const char *op, const char *value)
{
    bool order = *op == '<' || *op == '>';
    where_add(r->w, "(");
    add_left(r->w, f, key, false);
    fprintf(r->w->out, " %s ?", op);
    add_text(r->w, value);
    if (order) {
        where_add(r->w, " AND ");
        add_left(r->w, f, key, false);
        where_add(r->w, " != ''");
    }
    where_add(r->w, ") IS TRUE");
}

static int add_null(struct reader *r, const struct summary_field *f, const char *key,
                    const struct token *op)
{
    if (strcmp(op->text, "=") && strcmp(op->text, "==") && strcmp(op->text, "!="))
        return fail(r, op, "null goes with = and !=");
    where_add(r->w, *op->text == '!' ? "NOT (coalesce(" : "(coalesce(");
    add_left(r->w, f, key, false);
    where_add(r->w, ", '') = '')");
    return 0;
}

static int add_comparison(struct reader *r, const struct token *name, const struct token *op,
                          const struct token *value)
{
    const struct summary_field *f = summary_field_find(name->text);
    const char *key = name->text;
    bool quoted = value->kind == TOKEN_QUOTED, text = f && f->kind == SUMMARY_TEXT;
    if (!f && !is_setting(r->w, key))
        return no_key(r->w, key, name->column, r->e);
    if (!quoted && strcmp(value->text, "null") == 0)
        return add_null(r, f, key, op);
    if (strchr(op->text, '~')) {
        add_contains(r, f, key, value->text, *op->text == '!');
        return 0;
    }
    if (f && strcmp(key, "state") == 0 && check_state(r, value))
        return -1;
    const char *sql = strcmp(op->text, "==") ? op->text : "=";
    json_t *number = summary_value("", value->text);
    bool numeric = json_is_number(number) && !quoted;
    json_decref(number);
    if (!text && (f || numeric))
        return add_number_comparison(r, f, key, sql, value);
    add_text_comparison(r, f, key, sql, value->text);
    return 0;
}

static int read_comparison(struct reader *r)
{
    struct token name = r->token, op, value;
    if (name.kind != TOKEN_WORD)
        return fail(r, &name, "a key is wanted here");
    if (advance(r))
        return -1;
    op = r->token;
    if (op.kind != TOKEN_OPERATOR)
        return fail(r, &op, "a comparison (= != < <= > >= ~ !~) is wanted here");
    if (advance(r))
        return -1;
    value = r->token;
    if (value.kind != TOKEN_WORD && value.kind != TOKEN_QUOTED)
        return fail(r, &value, "a number, word or 'text' is wanted here");
    return add_comparison(r, &name, &op, &value) ? -1 : advance(r);
}

static int read_or(struct reader *r);

static int read_not(struct reader *r)
{
    int rc;
    if (!is_keyword(&r->token, "not") && r->token.kind != TOKEN_OPEN)
        return read_comparison(r);
    if (++r->depth > DEPTH)
        return err_set(r->e, EXIT_USAGE, "column %d: nested too deeply", r->token.column);
    if (r->token.kind == TOKEN_OPEN) {
        if (advance(r) || read_or(r))
            return -1;
        if (r->token.kind != TOKEN_CLOSE)
            return fail(r, &r->token, "'and', 'or' or ')' is wanted here");
        rc = advance(r);
    } else {
        where_add(r->w, "NOT ");
        rc = advance(r) || read_not(r) ? -1 : 0;
    }
    r->depth--;
    return rc;
}

/* Terms joined by a word; `inner` reads one. */
static int read_joined(struct reader *r, const char *word, const char *sql,
                       int (*inner)(struct reader *))
{
    where_add(r->w, "(");
    if (inner(r))
        return -1;
    while (is_keyword(&r->token, word)) {
        where_add(r->w, sql);
        if (advance(r) || inner(r))
            return -1;
    }
    where_add(r->w, ")");
    return 0;
}

static int read_and(struct reader *r)
{
    return read_joined(r, "and", " AND ", read_not);
}

static int read_or(struct reader *r)
{
    return read_joined(r, "or", " OR ", read_and);
}

int where_condition(struct where *w, const char *text, struct err *e)
{
    struct reader r = {.w = w, .start = text, .next = text, .e = e};
    if (advance(&r))
        return -1;
    if (r.token.kind == TOKEN_END) {
        where_add(w, "TRUE");
        return 0;
    }
    if (read_or(&r))
        return -1;
    return r.token.kind == TOKEN_END ? 0 : fail(&r, &r.token, "'and' or 'or' is wanted here");
}

int where_order(struct where *w, const char *key, int descending, struct err *e)
{
    const struct summary_field *f = summary_field_find(key);
    if (!f && !is_setting(w, key))
        return no_key(w, key, 0, e);
    where_add(w, "(coalesce(");
    add_left(w, f, key, false);
    where_add(w, ", '') = ''), ");
    if (!f) {
        /* Numbers as numbers; then, the same for all of them, texts as texts. */
        add_left(w, f, key, true);
        where_add(w, descending ? " DESC, " : ", ");
    }
    add_left(w, f, key, false);
    where_add(w, descending ? " DESC, path" : ", path");
    return 0;
}

void where_end(struct where *w)
{
    int rc = fclose(w->out);
    w->out = NULL;
    if (rc) {
        fprintf(stderr, "kiln: out of memory\n");
        exit(EXIT_FAILED);
    }
}

void where_bind(const struct where *w, struct db_query *q)
{
    for (size_t i = 0; i < w->count; i++) {
        const struct where_value *v = &w->values[i];
        if (v->kind == DB_TEXT)
            db_bind_text(q, v->text);
        else if (v->kind == DB_INTEGER)
            db_bind_integer(q, v->integer);
        else
            db_bind_real(q, v->real);
    }
}

void where_release(struct where *w)
{
    if (w->out)
        fclose(w->out);
    free(w->sql);
    free(w->values);
    arena_release(&w->memory);
    *w = (struct where){0};
}
