// SPDX-License-Identifier: Apache-2.0
#include "grid.h"

enum {
    parts = HT_NM_GRID_PARTS,
    most_pieces = HT_NM_MAX_COLUMNS / 32,  // of a block
    weights_in_l2 = 512 << 10              // bytes, beside planes and sums
};

// Where the columns of a piece lie in the planes of a row of Y.
typedef struct place {
    size_t down;    // planes below the first
    size_t offset;  // floats from the beginning of the plane
} place;

// Rows of one image of Y.
typedef struct region {
    size_t image, begin, end;
} region;

typedef struct grid {
    const ht_nm_vectors *vectors;
    const ht_nm_task *task;
    const ht_nm_layout *l;
    const ht_nm_image *image;
    region of;
    size_t across;            // parts side by side
    size_t height, width;     // of a part, in pixels of Y
    size_t piece;             // columns
    size_t columns;           // pixels of X in a row of a part
    size_t phase;             // of which those that are step_x apart lie side by side, room for so many
    size_t apart, plane;      // floats from piece to piece, and of a plane
    size_t ring;              // planes
    size_t outputs;           // columns of Y that there is room for
    float *planes, *sums;
    place *places;            // of all pieces
} grid;

// The columns of a unit of slots.
static size_t piece_columns(const ht_nm_layout *l) { return l->unit_slots / l->window_slots * l->window; }

static size_t tap_rows(const ht_nm_layout *l) {
    const size_t last = l->taps ? l->taps[l->of.taps - 1] : l->of.taps - 1;
    return last / l->of.kernel_width + 1;
}

static size_t pieces_of(const grid *g) { return g->l->columns / g->piece; }

// Vectors of a row of a part when its last panel is at least as wide as the narrowest.
static size_t vectors_in_row(const grid *g) { return ht_max(g->width, HT_NM_GRID_LEAST); }

static grid make_grid(const ht_nm_vectors *v, const ht_nm_task *task, const region *of, size_t across) {
    const ht_nm_layout *l = task->layout;
    const ht_nm_image *i = task->image;
    const size_t reach = (l->of.kernel_width - 1) * i->dilation_x;
    grid g = {.vectors = v, .task = task, .l = l, .image = i, .of = *of, .across = across};
    g.height = ht_ceil_div(of->end - of->begin, parts / across);
    g.width = ht_ceil_div(i->out_width, across);
    g.piece = piece_columns(l);
    g.columns = (g.width - 1) * i->step_x + reach + 1;
    g.phase = vectors_in_row(&g) + reach / i->step_x;
    g.apart = g.phase * i->step_x * g.piece * parts;
    g.plane = l->tap_width / g.piece * g.apart;
    g.ring = (tap_rows(l) - 1) * i->dilation_y + 1;
    g.outputs = ht_round_up(ht_nm_outputs_at_once(l), HT_NM_QUAD);
    return g;
}

// Floats of the planes and the sums, places as floats, each from a boundary of a line on.
static size_t floats_of_planes(const grid *g) { return g->ring * g->plane; }
static size_t floats_of_sums(const grid *g) { return g->outputs * vectors_in_row(g) * parts; }
static size_t floats_of_places(const grid *g) { return pieces_of(g) * sizeof(place) / sizeof(float); }

static bool fits(const grid *g, size_t scratch) {
    return (floats_of_planes(g) + floats_of_sums(g) + floats_of_places(g)) * sizeof(float) <= scratch;
}

// Cycles: two FMAs each, and what transposing a vector takes. Only the comparison matters.
static double fma_cycles(const ht_nm_layout *l, double outputs) {
    return .5 * outputs * (double)((l->blocks - 1) * l->block_slots + l->last_slots);
}

enum { transpose_cycles = 3 };

static double grid_cycles(const grid *g) {
    const ht_nm_image *i = g->image;
    const double rows = (double)((g->height - 1) * i->step_y + g->ring);
    const double outputs = (double)(g->task->o_end - g->task->o_begin);
    return (double)(g->height * vectors_in_row(g)) * fma_cycles(g->l, outputs) +
           rows * (double)(g->columns * g->l->tap_width * transpose_cycles);
}

static double product_cycles(const grid *g) {
    const size_t pixels = (g->of.end - g->of.begin) * g->image->out_width;
    const double outputs = (double)(g->task->o_end - g->task->o_begin);
    return (double)pixels / parts * (fma_cycles(g->l, outputs) + (double)(g->l->columns * transpose_cycles));
}

// The fastest grid that fits into the scratch memory.
static bool choose_grid(const ht_nm_vectors *v, const ht_nm_task *task, const region *of, grid *best) {
    size_t scratch;
    double least = 0;
    if (ht_nm_panels_scratch(task->layout, task->t_end - task->t_begin, &scratch)) return false;
    for (size_t across = 1; across <= parts; across *= 2) {
        const grid g = make_grid(v, task, of, across);
        const double cycles = grid_cycles(&g);
        if (!fits(&g, scratch) || (least > 0 && cycles >= least)) continue;
        least = cycles;
        *best = g;
    }
    return least > 0;
}

// Kernels want pieces whose columns lie side by side.
static bool is_possible(const ht_nm_vectors *v, const ht_nm_task *task) {
    const ht_nm_layout *l = task->layout;
    if (!task->image || task->schedule || !v->grids[0][l->code] || l->of.taps == 1) return false;
    if (task->x_dtype != HT_DTYPE_F32 || l->dtype != HT_DTYPE_F32 || l->index_share > 1) return false;
    if (task->x_order != HT_ORDER_ROWS || task->y_order != HT_ORDER_ROWS) return false;
    if (task->image->spread_x != 1 || task->image->spread_y != 1) return false;
    return l->run % piece_columns(l) == 0 && l->block_columns % piece_columns(l) == 0;
}

// The rows of Y from sample t on, as far as they are of one image.
static region region_at(const ht_nm_task *task, size_t t) {
    const size_t width = task->image->out_width, height = task->image->out_height;
    const size_t row = t / width, image = row / height, end = ht_ceil_div(task->t_end, width);
    return (region){image, row % height, ht_min(end - image * height, height)};
}

static void find_places(grid *g) {
    const ht_nm_image *i = g->image;
    for (size_t n = 0; n < pieces_of(g); n++) {
        const ht_nm_segment at = ht_nm_segment_at(g->l, n * g->piece, g->l->columns);
        const size_t right = at.tap % i->kernel_width * i->dilation_x;
        const size_t pixel = right % i->step_x * g->phase + right / i->step_x;
        g->places[n] = (place){at.tap / i->kernel_width * i->dilation_y,
                               at.place / g->piece * g->apart + pixel * g->piece * parts};
    }
}

// Transposes a row of all parts, counted from the first that a tap of the region's first row sees.
static void pack_plane(const grid *g, size_t number) {
    const ht_nm_task *task = g->task;
    const ht_nm_image *i = g->image;
    const char *rows[parts];
    ptrdiff_t columns[parts];
    for (size_t part = 0; part < parts; part++) {
        const size_t first = g->of.begin + part / g->across * g->height;
        const size_t y = (size_t)((ptrdiff_t)(first * i->step_y + number) + i->top);  // large in front of the image
        rows[part] =
            y < i->height ? (const char *)task->x + (g->of.image * i->height + y) * i->width * task->x_stride : NULL;
        columns[part] = (ptrdiff_t)(part % g->across * g->width * i->step_x) + i->left;
    }
    float *plane = g->planes + number % g->ring * g->plane;
    for (size_t column = 0; column < g->columns; column++) {
        const void *pixels[parts];
        for (size_t part = 0; part < parts; part++) {
            const size_t x = (size_t)(columns[part] + (ptrdiff_t)column);
            pixels[part] = rows[part] && x < i->width ? rows[part] + x * task->x_stride : NULL;
        }
        const size_t pixel = column % i->step_x * g->phase + column / i->step_x;
        g->vectors->pack_pixels(pixels, g->l->of.tap_columns, g->l->tap_width, g->piece, g->apart,
                                plane + pixel * g->piece * parts);
    }
}

// The pixels of a row of all parts that are worked on at once.
typedef struct panel {
    size_t row, first, vectors;
    size_t lines[HT_NM_GRID_MOST * parts];  // rows of Y; SIZE_MAX: none
} panel;

static void find_lines(const grid *g, panel *p) {
    const ht_nm_task *task = g->task;
    for (size_t v = 0; v < p->vectors; v++)
        for (size_t part = 0; part < parts; part++) {
            const size_t y = g->of.begin + part / g->across * g->height + p->row, x = p->first + v;
            const size_t column = part % g->across * g->width + x;
            const size_t t = (g->of.image * g->image->out_height + y) * g->image->out_width + column;
            const bool there =
                y < g->of.end && x < g->width && column < g->image->out_width && task->t_begin <= t && t < task->t_end;
            p->lines[v * parts + part] = there ? t : SIZE_MAX;
        }
}

static float *sums_of(const grid *g, const panel *p) { return g->sums + p->first * parts * g->outputs; }

// Adds a block to the sums of columns o ..< end of Y, which begin at column `from`.
static void add_block(const grid *g, const panel *p, size_t b, size_t from, size_t o, size_t end) {
    const ht_nm_layout *l = g->l;
    const size_t first = b * l->block_columns / g->piece, slots = ht_nm_block_slots(l, b);
    const char *pieces[most_pieces + 1];
    size_t n = 0;
    for (; n < ht_nm_units(l, slots); n++) {
        const place *at = &g->places[first + n];
        const size_t number = p->row * g->image->step_y + at->down;
        pieces[n] = (const char *)(g->planes + number % g->ring * g->plane + at->offset + p->first * g->piece * parts);
    }
    pieces[n] = pieces[0];
    const ht_nm_panel_args args = {
        .values = ht_nm_values(l, g->task->packed, b, o / HT_NM_QUAD),
        .indices = ht_nm_indices(l, g->task->packed, b, o / HT_NM_QUAD),
        .quads = ht_ceil_div(end - o, HT_NM_QUAD),
        .slots = slots,
        .unit_slots = l->unit_slots,
        .pieces = pieces,
        .sums = sums_of(g, p) + (o - from) * p->vectors * parts,
        .first = b == 0,
    };
    g->vectors->grids[p->vectors - HT_NM_GRID_LEAST][l->code](&args);
}

// The last block, a few strips at a time, each stored while its sums are in L1.
static void finish(const grid *g, const panel *p, size_t from, size_t end) {
    const size_t width = p->vectors * parts;
    for (size_t o = from; o < end; o += HT_NM_FINISH) {
        const size_t stop = ht_min(end, o + HT_NM_FINISH);
        add_block(g, p, g->l->blocks - 1, from, o, stop);
        for (size_t s = o; s < stop; s += HT_NM_STRIP) {
            const ht_nm_target target = ht_nm_target_at(g->task, 0, s);
            g->vectors->store_pixels(sums_of(g, p) + (s - from) * width, width, p->lines, ht_min(HT_NM_STRIP, stop - s),
                                     &target);
        }
    }
}

// A row is cut into panels of nearly equal width.
static size_t panels_in_row(const grid *g) {
    const size_t vectors = vectors_in_row(g);
    return ht_min(ht_ceil_div(vectors, HT_NM_GRID_MOST), vectors / HT_NM_GRID_LEAST);
}

static void run_block(const grid *g, size_t row, size_t number, size_t b, size_t o, size_t end) {
    const size_t vectors = vectors_in_row(g), count = panels_in_row(g), first = vectors * number / count;
    panel p = {.row = row, .first = first, .vectors = vectors * (number + 1) / count - first};
    if (b + 1 < g->l->blocks) {
        add_block(g, &p, b, o, o, end);
    } else {
        find_lines(g, &p);
        finish(g, &p, o, end);
    }
}

// Taps of a row look at nearly the same vectors, so a panel goes through all blocks at once, unless the weights would
// have to come from beyond L2 for each panel.
static void run_row(const grid *g, size_t row) {
    const ht_nm_task *task = g->task;
    const size_t count = panels_in_row(g), blocks = g->l->blocks;
    const bool weights_stay = g->l->product_bytes <= weights_in_l2;
    for (size_t o = task->o_begin, end; o < task->o_end; o = end) {
        end = ht_min(task->o_end, o + g->outputs);
        for (size_t i = 0; i < count * blocks; i++)
            run_block(g, row, weights_stay ? i / blocks : i % count, weights_stay ? i % blocks : i / count, o, end);
    }
}

static void run_region(grid *g) {
    g->planes = g->task->scratch;
    g->sums = g->planes + floats_of_planes(g);
    g->places = (place *)(g->sums + floats_of_sums(g));
    find_places(g);
    for (size_t row = 0, packed = 0; row < g->height; row++) {
        const size_t first = row * g->image->step_y;
        for (packed = ht_max(packed, first); packed < first + g->ring; packed++) pack_plane(g, packed);
        run_row(g, row);
    }
}

bool ht_nm_grid_run(const ht_nm_vectors *v, const ht_nm_task *task) {
    if (!is_possible(v, task)) return false;
    grid g;
    const size_t pixels = task->image->out_width * task->image->out_height;
    region of = region_at(task, task->t_begin);
    // Where one region's planes fit, so do the others': those of the narrowest parts, which all regions can have.
    if (!choose_grid(v, task, &of, &g) || grid_cycles(&g) >= product_cycles(&g)) return false;
    for (size_t t = task->t_begin; t < task->t_end; t = (of.image + 1) * pixels) {
        of = region_at(task, t);
        if (!choose_grid(v, task, &of, &g)) return false;
        run_region(&g);
    }
    return true;
}
