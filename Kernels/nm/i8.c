// SPDX-License-Identifier: Apache-2.0
#include "i8.h"

#include <string.h>

const ht_entry ht_nm_gemm_i8_table[] = {
#if defined(__x86_64__)
    {"nm_gemm_i8", HT_ISA_AVX512_VNNI, (ht_fn)ht_nm_gemm_i8_avx512vnni},
    {"nm_gemm_i8", HT_ISA_AVX_VNNI, (ht_fn)ht_nm_gemm_i8_avxvnni},
    {"nm_gemm_i8", HT_ISA_AVX2, (ht_fn)ht_nm_gemm_i8_avx2},
#elif defined(__aarch64__)
    {"nm_gemm_i8", HT_ISA_NEON_I8MM, (ht_fn)ht_nm_gemm_i8_neoni8mm},
    {"nm_gemm_i8", HT_ISA_NEON_DOTPROD, (ht_fn)ht_nm_gemm_i8_neondot},
    {"nm_gemm_i8", HT_ISA_NEON, (ht_fn)ht_nm_gemm_i8_neon},
#endif
    {"nm_gemm_i8", HT_ISA_REF, (ht_fn)ht_nm_gemm_i8_ref},
    {0},
};

enum {
    x_bytes = 512 << 10,       // of X at a time, in L2 beside ...
    strip_bytes = 256 << 10,   // ... the weights and picks of some strips
    most_strips = 16,          // whose sums stay in L1
    l1_bytes = 44 << 10,  // of the X that a kernel reads again for each strip, and what a strip takes meanwhile
    least_run = 6  // neighbouring pixels of Y for which it pays to look at the image itself
};

// What is worked on at once, in units that the scratch memory and the loops agree about.
typedef struct blocking {
    size_t windows;  // of all columns
    size_t steps;  // of a strip
    size_t row_bytes;  // of a copy of a row of X
    size_t rows;  // of X
    size_t strips;
    size_t tile_windows;
} blocking;

// An odd number of cache lines, so that rows spread over all sets of a cache, with room for what a window or a copy
// reaches beyond the last column.
static size_t copied_bytes(size_t columns) {
    return (ht_ceil_div(columns + HT_NM_I8_WINDOW, HT_ALIGNMENT) | 1) * HT_ALIGNMENT;
}

static blocking choose_blocking(const ht_nm_layout *l, size_t t) {
    blocking b = {.windows = ht_ceil_div(l->columns, ht_nm_i8_window_columns(l)),
                  .steps = l->blocks ? l->last_slots / l->step : 0};
    b.row_bytes = copied_bytes(b.windows * ht_nm_i8_window_columns(l));
    size_t tile = HT_NM_I8_ROWS * b.row_bytes, strip = 2 * b.steps * HT_NM_I8_STEP;
    b.rows = ht_min(ht_round_up(t, HT_NM_I8_ROWS), HT_NM_I8_ROWS * ht_ceil_div(x_bytes, tile));
    // Picks that only one tile of X needs are used at once.
    b.strips = t > HT_NM_I8_ROWS ? ht_min(1 + strip_bytes / (strip + !strip), most_strips) : 1;
    b.tile_windows = ht_ceil_div(b.windows, ht_ceil_div(tile + strip, l1_bytes));
    return b;
}

static size_t x_size(const blocking *b) { return b->rows * b->row_bytes; }
static size_t picks_size(const blocking *b) { return b->strips * b->steps * HT_NM_I8_STEP; }
static size_t sums_size(void) { return most_strips * HT_NM_I8_ROWS * HT_NM_STRIP * sizeof(int32_t); }
static size_t starts_size(void) { return most_strips * HT_NM_STRIP * sizeof(int32_t); }
static size_t taps_size(const ht_nm_layout *l) { return l->of.taps * starts_size(); }
static size_t zeros_size(const ht_nm_layout *l) { return ht_round_up(l->of.tap_columns, HT_ALIGNMENT); }

ht_status ht_nm_i8_scratch(const ht_nm_layout *l, size_t t, size_t *bytes) {
    blocking b = choose_blocking(l, t);
    *bytes = x_size(&b) + picks_size(&b) + sums_size() + starts_size() + taps_size(l) + zeros_size(l);
    return HT_OK;
}

// A product as the loops below see it. What takes a division is worked out once: a small tile takes no longer than ten.
typedef struct job {
    const ht_nm_task *task;
    const ht_nm_i8_vectors *vectors;
    const ht_nm_layout *l;
    blocking b;
    size_t window_steps, step_columns, tap_steps, kernel_height;
    size_t tile_rows;  // of all tiles but the last ones
    size_t t, rows;  // the rows of X in work
    const ht_nm_image *image;  // null, or: kernels look at this image itself
    const uint8_t *x;  // of the first row in work, if there is no image
    size_t row_stride, window_stride;
    uint8_t *copies;  // scratch: rows of X
    uint8_t *picks;  // [strip][step]
    int32_t *sums;  // [strip][row][16]
    int32_t *starts;  // [strip][16]: what sums start with
    int32_t *taps;  // [strip][tap][16]: by how much more where a pixel does not see this tap
    uint8_t *zeros;  // a pixel outside the image
} job;

// Where kernels and caller disagree about the sign of X, its highest bit is flipped: a signed x becomes x + 128, one
// without a sign x - 128, which the sums are rid of at the start.
static uint8_t flip_of(const job *j) { return (j->task->x_dtype == HT_DTYPE_I8) == j->vectors->signed_x ? 0 : 0x80; }

// What a sum has too much of, for each unit of its weights.
static int32_t zero_of(const job *j) {
    const ht_quantization *q = j->task->epilogue.quantization;
    int32_t flipped = flip_of(j);
    return (q ? q->x_zero : 0) + (j->vectors->signed_x ? -flipped : flipped);
}

// MARK: copies of X

void ht_nm_i8_copy(const uint8_t *from, size_t count, uint8_t flip, uint8_t *to) {
    for (size_t i = 0; i < count; i++) to[i] = from[i] ^ flip;
}

// A pixel outside the image is a zero as X writes it.
static void fill_zeros(const job *j) {
    const ht_quantization *q = j->task->epilogue.quantization;
    if (j->task->image) memset(j->zeros, q ? (uint8_t)q->x_zero : 0, zeros_size(j->l));
}

// Copies rows of X that are columns in memory.
static void transpose(const job *j, const uint8_t *x, size_t rows) {
    const uint8_t flip = flip_of(j);
    for (size_t c = 0; c < j->l->columns; c++, x += j->task->x_stride)
        for (size_t r = 0; r < rows; r++) j->copies[r * j->b.row_bytes + c] = x[r] ^ flip;
}

// A segment of so few columns that a vector would cost more than its bytes.
static void copy_bytes(const void *const *lines, size_t rows, size_t count, uint8_t flip, uint8_t *to, size_t stride) {
    for (size_t r = 0; r < rows; r++, to += stride)
        for (size_t i = 0; i < count; i++) to[i] = ((const uint8_t *)lines[r])[i] ^ flip;
}

// Copies some rows of X. What stands in the padding of a tap does not matter: its weights are zero.
static void copy_rows(const job *j, size_t t, size_t rows, uint8_t *to) {
    enum { few = 5 };
    const void *lines[HT_NM_I8_ROWS];
    for (size_t column = 0; column < j->l->columns;) {
        const ht_nm_segment at = ht_nm_segment_at(j->l, column, j->l->columns);
        ht_nm_x_lines(j->task, t, rows, &at, j->zeros, lines);
        if (at.present < few)
            copy_bytes(lines, rows, at.present, flip_of(j), to + column, j->b.row_bytes);
        else
            for (size_t r = 0; r < rows; r++)
                j->vectors->copy(lines[r], at.present, flip_of(j), to + r * j->b.row_bytes + column);
        column += at.columns;
    }
}

static void copy_x(job *j) {
    const ht_nm_task *task = j->task;
    j->x = j->copies;
    j->row_stride = j->b.row_bytes;
    j->window_stride = ht_nm_i8_window_columns(j->l);
    if (task->x_order == HT_ORDER_FEATURES) {
        transpose(j, (const uint8_t *)task->x + j->t, j->rows);
        return;
    }
    for (size_t row = 0, rows; row < j->rows; row += rows) {
        rows = ht_min(j->rows - row, HT_NM_I8_ROWS);
        copy_rows(j, j->t + row, rows, j->copies + row * j->b.row_bytes);
    }
}

// MARK: X where it is

// Whether kernels can read X itself: rows or pixels of whole windows, with the sign they want.
static bool is_readable(const job *j) {
    const ht_nm_layout *l = j->l;
    return j->task->x_order == HT_ORDER_ROWS && flip_of(j) == 0 && l->of.tap_columns % HT_NM_I8_WINDOW == 0 &&
           l->run == l->of.tap_columns && ht_nm_i8_window_columns(l) == HT_NM_I8_WINDOW;
}

// Rows that kernels read again for each strip must not meet in the same sets of a cache.
static bool is_product_readable(const job *j) {
    const bool dense = j->task->x_stride == j->l->columns && j->b.tile_windows >= j->b.windows;
    return is_readable(j) && (dense || j->task->x_stride / HT_ALIGNMENT % 2 == 1);
}

static bool is_image_readable(const job *j) {
    const ht_nm_image *i = j->task->image;
    return is_readable(j) && i->spread_y == 1 && i->spread_x == 1 && i->out_width >= least_run;
}

// Rows of Y that are worked on at a time.
static size_t choose_rows(const job *j) {
    const ht_nm_image *i = j->image;
    if (!i) return j->b.rows;
    const size_t bytes = i->step_y * i->width * j->task->x_stride;  // of X, for a row of pixels of Y
    return i->out_width * ht_max(1, x_bytes / (bytes + !bytes));
}

static void choose_source(job *j) {
    const ht_nm_task *task = j->task;
    if (j->image) return;
    if (task->image || !is_product_readable(j)) {
        copy_x(j);
        return;
    }
    j->x = (const uint8_t *)task->x + j->t * task->x_stride;
    j->row_stride = task->x_stride;
    j->window_stride = HT_NM_I8_WINDOW;
}

// MARK: tiles

// Some rows of X, as many as a kernel takes; of an image, neighbours in a row of Y.
typedef struct tile {
    size_t t, rows;
    size_t image, row, column;  // the first one's pixel of Y
} tile;

// Nearly equal tiles, as few as possible.
static size_t choose_tile_rows(const job *j) {
    const size_t run = j->image ? j->image->out_width : j->rows;
    return ht_ceil_div(run, ht_ceil_div(run, j->vectors->rows));
}

// Without rows behind the last tile.
static void size_tile(const job *j, tile *t) {
    size_t run = j->t + j->rows - t->t;
    if (j->image) run = ht_min(run, j->image->out_width - t->column);
    t->rows = ht_min(run, j->tile_rows);
}

static tile first_tile(const job *j) {
    tile t = {.t = j->t};
    if (j->image) {
        const size_t row = t.t / j->image->out_width;
        t.column = t.t % j->image->out_width;
        t.row = row % j->image->out_height;
        t.image = row / j->image->out_height;
    }
    size_tile(j, &t);
    return t;
}

static void next_tile(const job *j, tile *t) {
    t->t += t->rows;
    t->column += t->rows;
    if (j->image && t->column == j->image->out_width) {
        t->column = 0;
        t->row++;
        t->image += t->row == j->image->out_height;
        t->row = t->row == j->image->out_height ? 0 : t->row;
    }
    size_tile(j, t);
}

static const int8_t *strip_values(const job *j, size_t strip) { return ht_nm_values(j->l, j->task->packed, 0, strip); }

static const uint8_t *strip_indices(const job *j, size_t strip) {
    return ht_nm_indices(j->l, j->task->packed, 0, strip);
}

// Some strips of those whose picks are there.
typedef struct strips {
    size_t begin, end;
} strips;

static ht_nm_i8_sums scratch_sums(const job *j) {
    const size_t row = HT_NM_STRIP * sizeof(int32_t);
    return (ht_nm_i8_sums){j->sums, row, HT_NM_I8_ROWS * row};
}

static ht_nm_i8_sums starting_sums(const job *j) {
    return (ht_nm_i8_sums){j->starts, 0, HT_NM_STRIP * sizeof(int32_t)};
}

static size_t columns_of(const job *j, const strips *s) {
    return ht_min(s->end * HT_NM_STRIP, j->task->o_end) - s->begin * HT_NM_STRIP;
}

// Where Y is nothing but the sums, kernels can write it.
static bool is_sums(const job *j, const strips *s) {
    return j->task->y_dtype == HT_DTYPE_I32 && j->task->y_order == HT_ORDER_ROWS && columns_of(j, s) % HT_NM_STRIP == 0;
}

// Rows of Y so far apart meet in the same sets of L2, and are better written past the caches.
static bool streams_y(const job *j) {
    enum { apart = 16 << 10 };
    return j->task->y_stride % apart == 0 && ht_is_aligned(j->task->y, HT_ALIGNMENT);
}

static ht_nm_i8_sums y_sums(const job *j, const tile *t, const strips *s) {
    const size_t each = HT_NM_STRIP * sizeof(int32_t);
    char *y = (char *)j->task->y + t->t * j->task->y_stride + s->begin * each;
    return (ht_nm_i8_sums){(int32_t *)(void *)y, j->task->y_stride, each};
}

// Stores sums that lie in [strip][row][16].
static void store_sums(const job *j, const int32_t *sums, size_t t, size_t rows, size_t o, size_t columns) {
    const ht_nm_task *task = j->task;
    const ht_sums out = {.at = sums,
                         .row_step = HT_NM_STRIP,
                         .strip_step = HT_NM_I8_ROWS * HT_NM_STRIP,
                         .rows = rows,
                         .columns = columns,
                         .first_t = t,
                         .column = o,
                         .epilogue = &task->epilogue,
                         .y = task->y,
                         .y_stride = task->y_stride,
                         .y_dtype = task->y_dtype,
                         .y_order = task->y_order};
    j->vectors->store(&out);
}

static void store(const job *j, const tile *t, const strips *s) {
    store_sums(j, j->sums, t->t, t->rows, s->begin * HT_NM_STRIP, columns_of(j, s));
}

static ht_nm_i8_args make_args(const job *j, const strips *s) {
    return (ht_nm_i8_args){.values = strip_values(j, s->begin),
                           .picks = j->picks,
                           .strip_stride = j->b.steps * HT_NM_I8_STEP,
                           .strips = s->end - s->begin,
                           .window_steps = j->window_steps,
                           .step_columns = j->step_columns,
                           .row_stride = j->row_stride,
                           .window_stride = j->window_stride,
                           .lines = 1,
                           .parts = 1,
                           .steps = j->b.steps,
                           .from = starting_sums(j)};
}

// Two strips at once where there are few rows, so that enough sums are in work.
static void run_kernel(const job *j, size_t rows, ht_nm_i8_args args) {
    ht_nm_i8_kernel *pair = rows <= HT_NM_I8_ROWS / 2 ? j->vectors->pair_kernel[rows - 1] : NULL;
    if (pair && args.strips > 1) {
        const size_t strips = args.strips;
        args.strips = strips / 2 * 2;
        pair(&args);
        args.strips = strips;
        ht_nm_i8_skip_strips(&args, strips / 2 * 2);
    }
    if (args.strips) j->vectors->kernel[rows - 1](&args);
}

// MARK: tiles of matrices

static void run_rows_tile(const job *j, const tile *t, const strips *s) {
    ht_nm_i8_args args = make_args(j, s);
    const uint8_t *x = j->x + (t->t - j->t) * j->row_stride;
    const bool direct = is_sums(j, s);
    for (size_t window = 0; window < j->b.windows; window += j->b.tile_windows) {
        const size_t step = window * args.window_steps;
        ht_nm_i8_args part = args;
        part.x = x + window * j->window_stride;
        part.values += step * HT_NM_I8_STEP;
        part.picks += step * HT_NM_I8_STEP;
        part.steps = ht_min(j->b.steps - step, j->b.tile_windows * args.window_steps);
        part.from = window ? scratch_sums(j) : args.from;
        const bool to_y = direct && window + j->b.tile_windows >= j->b.windows;
        part.to = to_y ? y_sums(j, t, s) : scratch_sums(j);
        part.streams = to_y && streams_y(j);
        run_kernel(j, t->rows, part);
    }
    if (!direct) store(j, t, s);
}

// MARK: tiles of images

typedef struct range {
    size_t begin, end;
} range;

static size_t steps_to(size_t distance, size_t step) { return step == 1 ? distance : ht_ceil_div(distance, step); }

// Which of the places from, from + step, ... (`count` of them) are in 0 ..< size.
static range places_inside(ptrdiff_t from, size_t step, size_t count, size_t size) {
    range r = {0, count};
    if (from < 0) r.begin = ht_min(count, steps_to((size_t)-from, step));
    if (from + (ptrdiff_t)((count - 1) * step) >= (ptrdiff_t)size)
        r.end = from < (ptrdiff_t)size ? steps_to((size_t)((ptrdiff_t)size - from), step) : 0;
    r.end = ht_max(r.begin, r.end);
    return r;
}

// What a tile sees of the image.
typedef struct view {
    ptrdiff_t row, column;  // of X: what the first tap of the first pixel of Y sees
    range lines;  // rows of taps inside the image
} view;

static view make_view(const job *j, const tile *t) {
    const ht_nm_image *i = j->image;
    view v = {(ptrdiff_t)(t->row * i->step_y) + i->top, (ptrdiff_t)(t->column * i->step_x) + i->left, {0, 0}};
    v.lines = places_inside(v.row, i->dilation_y, j->kernel_height, i->height);
    return v;
}

// The rows of a tile that see a pixel of the image at a tap of a row of taps.
static range rows_inside(const job *j, const view *v, size_t rows, size_t tap) {
    const ht_nm_image *i = j->image;
    return places_inside(v->column + (ptrdiff_t)(tap * i->dilation_x), i->step_x, rows, i->width);
}

// Adds what some taps of each row of taps see from some rows of a tile.
static void add_taps(const job *j, const tile *t, const view *v, range taps, range rows, const ht_nm_i8_args *whole) {
    const ht_nm_image *i = j->image;
    const size_t tap_steps = j->tap_steps, x_stride = j->task->x_stride;
    ht_nm_i8_args args = *whole;
    args.row_stride = i->step_x * x_stride;
    args.window_stride = HT_NM_I8_WINDOW;
    args.lines = v->lines.end - v->lines.begin;
    args.line_steps = i->kernel_width * tap_steps;
    args.line_stride = i->dilation_y * i->width * x_stride;
    args.parts = taps.end - taps.begin;
    args.part_stride = args.clipped_stride = i->dilation_x * x_stride;
    args.steps = args.clipped_steps = tap_steps;
    if (args.part_stride == j->l->of.tap_columns) {
        args.steps *= args.parts;
        args.part_stride *= args.parts;
        args.parts = 1;
    }
    const size_t row = t->image * i->height + (size_t)(v->row + (ptrdiff_t)(v->lines.begin * i->dilation_y));
    const size_t column = (size_t)(v->column + (ptrdiff_t)(taps.begin * i->dilation_x + rows.begin * i->step_x));
    const size_t step = v->lines.begin * args.line_steps + taps.begin * tap_steps;
    if (args.lines && args.parts) {
        args.x = (const uint8_t *)j->task->x + (row * i->width + column) * x_stride;
        args.values += step * HT_NM_I8_STEP;
        args.picks += step * HT_NM_I8_STEP;
    }
    args.from.at = (int32_t *)(void *)((char *)args.from.at + rows.begin * args.from.row_stride);
    args.to.at = (int32_t *)(void *)((char *)args.to.at + rows.begin * args.to.row_stride);
    run_kernel(j, rows.end - rows.begin, args);
}

static bool is_same(range a, range b) { return a.begin == b.begin && a.end == b.end; }

// Leaves the taps beside the whole ones to the kernel, where all rows but the first or the last see them.
static range widen(const job *j, const view *v, size_t rows, range whole, ht_nm_i8_args *args) {
    const range but_first = {1, rows}, but_last = {0, rows - 1};
    if (!j->vectors->clips || whole.begin == whole.end || rows == 1) return whole;
    args->before = whole.begin > 0 && is_same(rows_inside(j, v, rows, whole.begin - 1), but_first);
    args->behind = whole.end < j->image->kernel_width && is_same(rows_inside(j, v, rows, whole.end), but_last);
    return (range){whole.begin - args->before, whole.end + args->behind};
}

// The taps from `begin` on, before `end`, that all see a pixel from the same rows of the tile.
static range taps_alike(const job *j, const view *v, size_t rows, size_t begin, size_t end, range *inside) {
    range taps = {begin, begin + 1};
    *inside = rows_inside(j, v, rows, begin);
    while (taps.end < end && is_same(rows_inside(j, v, rows, taps.end), *inside)) taps.end++;
    return taps;
}

// The taps of a row of taps that all rows of a tile see a pixel at.
static range whole_taps(const job *j, const view *v, size_t rows) {
    const ht_nm_image *i = j->image;
    const ptrdiff_t last = v->column + (ptrdiff_t)((rows - 1) * i->step_x);
    const range taps = places_inside(v->column, i->dilation_x, i->kernel_width, i->width);
    const range taps_of_last = places_inside(last, i->dilation_x, i->kernel_width, i->width);
    const size_t begin = ht_max(taps.begin, taps_of_last.begin), end = ht_min(taps.end, taps_of_last.end);
    return (range){begin, ht_max(begin, end)};
}

// Adds the taps outside `done` for the rows that see them.
static void add_clipped_taps(const job *j, const tile *t, const view *v, range done, const ht_nm_i8_args *args) {
    const size_t width = j->image->kernel_width;
    for (range taps = {0, 0}; taps.end < width;) {
        range rows;
        if (taps.end == done.begin) taps.end = done.end;
        if (taps.end == width) return;
        taps = taps_alike(j, v, t->rows, taps.end, taps.end < done.begin ? done.begin : width, &rows);
        if (rows.begin < rows.end) add_taps(j, t, v, taps, rows, args);
    }
}

// Sums start with what all taps have too much of. Of those outside the image that is given back.
static ht_nm_i8_sums clipped_starts(const job *j, const tile *t, const view *v, const strips *s) {
    const size_t taps = j->l->of.taps, width = j->image->kernel_width;
    for (size_t strip = 0; strip < s->end - s->begin; strip++)
        for (size_t row = 0; row < t->rows; row++) {
            int32_t *sums = j->sums + (strip * HT_NM_I8_ROWS + row) * HT_NM_STRIP;
            memcpy(sums, j->starts + strip * HT_NM_STRIP, HT_NM_STRIP * sizeof *sums);
            for (size_t tap = 0; tap < taps; tap++) {
                const range rows = rows_inside(j, v, t->rows, tap % width);
                const bool line = v->lines.begin <= tap / width && tap / width < v->lines.end;
                if (line && rows.begin <= row && row < rows.end) continue;
                const int32_t *more = j->taps + (strip * taps + tap) * HT_NM_STRIP;
                for (size_t o = 0; o < HT_NM_STRIP; o++) sums[o] = (int32_t)((uint32_t)sums[o] + (uint32_t)more[o]);
            }
        }
    return scratch_sums(j);
}

static void run_image_tile(const job *j, const tile *t, const strips *s) {
    const view v = make_view(j, t);
    const range rows = {0, t->rows}, whole = whole_taps(j, &v, t->rows);
    const bool direct = is_sums(j, s), misses_taps = whole.end - whole.begin < j->image->kernel_width;
    ht_nm_i8_args args = make_args(j, s);
    args.to = direct ? y_sums(j, t, s) : scratch_sums(j);
    if (zero_of(j) && (misses_taps || v.lines.end - v.lines.begin < j->kernel_height))
        args.from = clipped_starts(j, t, &v, s);
    ht_nm_i8_args first = args;
    const range done = misses_taps ? widen(j, &v, t->rows, whole, &first) : whole;
    add_taps(j, t, &v, whole, rows, &first);
    args.from = args.to;
    add_clipped_taps(j, t, &v, done, &args);
    if (!direct) store(j, t, s);
}

static void run_tile(const job *j, const tile *t, const strips *s) {
    if (j->image)
        run_image_tile(j, t, s);
    else
        run_rows_tile(j, t, s);
}

// MARK: strips

static void subtract(int32_t *sums, const int32_t *less) {
    for (size_t o = 0; o < HT_NM_STRIP; o++) sums[o] = (int32_t)((uint32_t)sums[o] - (uint32_t)less[o]);
}

// What each sum starts with: less what it will have too much of.
static void start_strips(const job *j, const strips *s) {
    const uint32_t zero = (uint32_t)zero_of(j);
    memset(j->starts, 0, starts_size());
    if (zero == 0) return;
    const size_t taps = j->image ? j->l->of.taps : 1, steps = j->image ? j->tap_steps : j->b.steps;
    for (size_t i = 0; i < s->end - s->begin; i++)
        for (size_t tap = 0; tap < taps; tap++) {
            int32_t *less = j->taps + (i * taps + tap) * HT_NM_STRIP;
            j->vectors->sum_weights(strip_values(j, s->begin + i) + tap * steps * HT_NM_I8_STEP, steps, less);
            for (size_t o = 0; o < HT_NM_STRIP; o++) less[o] = (int32_t)((uint32_t)less[o] * zero);
            subtract(j->starts + i * HT_NM_STRIP, less);
        }
}

static void pick_strips(const job *j, const strips *s) {
    for (size_t i = 0; i < s->end - s->begin; i++)
        j->vectors->pick(j->l, strip_indices(j, s->begin + i), j->b.steps, j->picks + i * j->b.steps * HT_NM_I8_STEP);
}

static void run_rows(job *j) {
    const size_t end = ht_ceil_div(j->task->o_end, HT_NM_STRIP);
    j->tile_rows = choose_tile_rows(j);
    for (strips s = {j->task->o_begin / HT_NM_STRIP, 0}; s.begin < end; s.begin = s.end) {
        s.end = ht_min(s.begin + j->b.strips, end);
        pick_strips(j, &s);
        start_strips(j, &s);
        for (tile t = first_tile(j); t.rows; next_tile(j, &t)) run_tile(j, &t, &s);
    }
}

// MARK: few rows

// The kernel without picks for all rows in work, or null.
static ht_nm_i8_kernel *direct_kernel(const job *j) {
    if (j->l->code == HT_NM_CODE_MAP || j->image) return NULL;
    size_t kernel = 0;
    while (kernel < HT_NM_I8_DIRECT && (size_t)1 << kernel < j->rows) kernel++;
    return kernel < HT_NM_I8_DIRECT ? j->vectors->direct[kernel] : NULL;
}

static void run_few_rows(const job *j, ht_nm_i8_kernel *kernel) {
    const tile t = {.t = j->t, .rows = j->rows};
    const size_t end = ht_ceil_div(j->task->o_end, HT_NM_STRIP);
    strips s = {0};
    for (s.begin = j->task->o_begin / HT_NM_STRIP; s.begin < end; s.begin = s.end) {
        s.end = ht_min(s.begin + most_strips, end);
        start_strips(j, &s);
        ht_nm_i8_args args = make_args(j, &s);
        args.layout = j->l;
        args.indices = strip_indices(j, s.begin);
        args.x = j->x;
        args.to = scratch_sums(j);
        kernel(&args);
        store(j, &t, &s);
    }
}

// Without columns there is nothing to add up: Y is the epilogue of zero.
static void store_empty(const job *j) {
    _Alignas(HT_ALIGNMENT) static const int32_t zeros[HT_NM_STRIP];
    for (size_t t = j->task->t_begin; t < j->task->t_end; t++)
        for (size_t o = j->task->o_begin; o < j->task->o_end; o += HT_NM_STRIP)
            store_sums(j, zeros, t, 1, o, ht_min(HT_NM_STRIP, j->task->o_end - o));
}

// What the loops above would do with the rows of X in work, so many times.
static void schedule_rows(job *j, ht_nm_schedule *s, size_t times) {
    s->reads += times;
    if (direct_kernel(j)) {
        size_t rows = 1;
        while (rows < j->rows) rows *= 2;
        s->strips.rows += rows * times;
        s->strips.passes += times;
        s->panel = ht_max(s->panel, rows);
        return;
    }
    j->tile_rows = choose_tile_rows(j);
    for (tile t = first_tile(j); t.rows; next_tile(j, &t)) {
        s->panels.rows += t.rows * times;
        s->panels.passes += times;
        s->panel = ht_max(s->panel, t.rows);
    }
    s->prepared += times;
}

static void schedule(job *j, ht_nm_schedule *s) {
    j->b = choose_blocking(j->l, s->t);
    j->rows = ht_min(j->b.rows, s->t);
    s->design = direct_kernel(j) ? HT_NM_DESIGN_STRIPS : HT_NM_DESIGN_TILES;
    s->rows = j->b.rows;
    s->columns = j->b.strips * HT_NM_STRIP;
    if (s->t == 0) return;
    j->rows = j->b.rows;
    if (s->t >= j->rows) schedule_rows(j, s, s->t / j->b.rows);
    j->rows = s->t % j->b.rows;
    if (j->rows) schedule_rows(j, s, 1);
}

static void run(job *j) {
    choose_source(j);
    ht_nm_i8_kernel *direct = direct_kernel(j);
    if (!direct) {
        run_rows(j);
        return;
    }
    // The kernel may have more rows, which would be behind X.
    if (j->x != j->copies && (j->rows & (j->rows - 1))) copy_x(j);
    run_few_rows(j, direct);
}

void ht_nm_i8_run(const ht_nm_i8_vectors *vectors, const ht_nm_task *task) {
    job j = {.task = task,
             .vectors = vectors,
             .l = task->layout,
             .b = choose_blocking(task->layout, task->t_end - task->t_begin)};
    if (task->schedule) {
        schedule(&j, task->schedule);
        return;
    }
    j.copies = task->scratch;
    j.picks = j.copies + x_size(&j.b);
    j.sums = (int32_t *)(j.picks + picks_size(&j.b));
    j.starts = j.sums + sums_size() / sizeof *j.sums;
    j.taps = j.starts + starts_size() / sizeof *j.starts;
    j.zeros = (uint8_t *)(j.taps + taps_size(j.l) / sizeof *j.taps);
    if (j.b.steps == 0) {
        store_empty(&j);
        return;
    }
    fill_zeros(&j);
    j.window_steps = ht_nm_i8_window_steps(j.l);
    j.step_columns = ht_nm_i8_step_columns(j.l);
    j.tap_steps = j.b.steps / j.l->of.taps;
    j.kernel_height = task->image ? j.l->of.taps / task->image->kernel_width : 1;
    j.image = task->image && is_image_readable(&j) ? task->image : NULL;
    const size_t rows = choose_rows(&j);
    for (j.t = task->t_begin; j.t < task->t_end; j.t += j.rows) {
        j.rows = ht_min(rows, task->t_end - j.t);
        run(&j);
    }
}
