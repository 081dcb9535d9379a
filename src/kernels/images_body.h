/* images_body.h - the body of images.c for one precision (each_precision_body.h). */

static void NAME(image_levels)(const struct image_store *s, void *levels)
{
    MAP *level = levels;
    for (int c = 0; c < 4; c++) {
        REAL mean = c < s->c ? (REAL)s->mean[c] : 0;
        REAL gain = c < s->c ? (REAL)s->inv_std[c] : 0;
        for (int i = 0; i < LEVELS; i++)
            level[c * LEVELS + i] = PUT(((REAL)i - mean) * gain);
    }
}

/* Row y of one view, normalised: row[x][4], the channels past c zero. */
static void NAME(view_row)(const struct image_store *s, const MAP *levels,
                           const struct image_view *v, int y, MAP row[][4])
{
    size_t plane = (size_t)s->h * (size_t)s->w;
    const uint8_t *first = s->pixels + v->index * (size_t)s->c * plane +
                           (size_t)reflect(y + v->dy, s->h) * (size_t)s->w, *pixels[4];
    for (int c = 0; c < 4; c++)
        pixels[c] = first + (c < s->c ? (size_t)c * plane : 0);
    for (int x = 0; x < s->w; x++) {
        int column = reflect((v->flip ? s->w - 1 - x : x) + v->dx, s->w);
        for (int c = 0; c < 4; c++)
            row[x][c] = levels[c * LEVELS + pixels[c][column]];
    }
    if (y >= v->cut_y && y < v->cut_y + v->cut)
        for (int x = v->cut_x; x < v->cut_x + v->cut && x < s->w; x++)
            memset(row[x], 0, sizeof row[x]);
}

static void NAME(load_images)(const struct image_store *s, const void *levels, int images,
                              const struct image_view *views, int y, bool stream, void *vx)
{
    enum { CB = LINE / (int)sizeof(MAP) };
    assert(images >= 0 && images <= IMAGES && (s->c == 1 || s->c == 3));
    assert(s->w <= ROW_MAX && 0 <= y && y < s->h);
    MAP rows[IMAGES][ROW_MAX][4];
    for (int i = 0; i < images; i++)
        NAME(view_row)(s, levels, &views[i], y, rows[i]);
    for (int i = images; i < IMAGES; i++)
        memset(rows[i], 0, sizeof rows[i]);
    MAP *out = vx;
    for (int x = 0; x < s->w; x++) {
        for (int i = 0; i < IMAGES; i++, out += CB) {
            if (stream)
                stream_line(rows[i][x], sizeof rows[i][x], out);
            else
                put_line(rows[i][x], sizeof rows[i][x], out);
        }
    }
    stream_end();
}

static void NAME(images_init)(struct pointwise_kernels *k)
{
    k->image_levels = NAME(image_levels);
    k->load_images = NAME(load_images);
}
