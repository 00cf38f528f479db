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
    tile_rows = 12,                // rows of X of the largest kernel
    x_bytes = 512 << 10,           // of X at a time, in L2 beside ...
    strip_bytes = 256 << 10,       // ... the weights and picks of some strips
    most_strips = 16,              // whose sums stay in L1
    l1_bytes = 44 << 10  // of the X that a kernel reads again for each strip, and what a strip takes meanwhile
};

// What is worked on at once, in units that the scratch memory and the loops agree about.
typedef struct blocking {
    size_t windows;  // of all columns
    size_t steps;  // of a strip
    size_t rows;  // of X
    size_t strips;
    size_t tile_windows;
} blocking;

static blocking choose_blocking(const ht_nm_layout *l, size_t t) {
    blocking b = {.windows = ht_ceil_div(l->columns, ht_nm_i8_window_columns(l)),
                  .steps = l->blocks ? l->last_slots / l->step : 0};
    size_t tile = b.windows * tile_rows * HT_NM_I8_WINDOW, strip = 2 * b.steps * HT_NM_I8_STEP;
    b.rows = ht_min(ht_round_up(t, tile_rows), tile_rows * ht_ceil_div(x_bytes, tile + !tile));
    // Picks that only one tile of X needs are used at once.
    b.strips = t > tile_rows ? ht_min(1 + strip_bytes / (strip + !strip), most_strips) : 1;
    size_t parts = ht_ceil_div(tile + strip, l1_bytes);
    b.tile_windows = ht_ceil_div(b.windows, parts + !parts);
    return b;
}

static size_t x_size(const blocking *b) { return b->rows * b->windows * HT_NM_I8_WINDOW; }
static size_t picks_size(const blocking *b) { return b->strips * b->steps * HT_NM_I8_STEP; }
static size_t sums_size(void) { return most_strips * tile_rows * HT_NM_STRIP * sizeof(int32_t); }
static size_t less_size(void) { return most_strips * HT_NM_STRIP * sizeof(int32_t); }
static size_t zeros_size(const ht_nm_layout *l) { return ht_round_up(l->of.tap_columns, HT_ALIGNMENT); }

ht_status ht_nm_i8_scratch(const ht_nm_layout *l, size_t t, size_t *bytes) {
    blocking b = choose_blocking(l, t);
    *bytes = x_size(&b) + picks_size(&b) + sums_size() + less_size() + zeros_size(l);
    return HT_OK;
}

// A product as the loops below see it.
typedef struct job {
    const ht_nm_task *task;
    const ht_nm_i8_vectors *vectors;
    const ht_nm_layout *l;
    blocking b;
    size_t t, rows;  // the rows of X in work
    uint8_t *x;  // scratch: [tile][window][row][64]
    uint8_t *picks;  // [strip][step]
    int32_t *sums;  // [strip][row][16]
    int32_t *less;  // [strip][16]
    uint8_t *zeros;  // a pixel outside the image
} job;

// Where kernels and caller disagree about the sign of X, its highest bit is flipped: a signed x becomes x + 128, one
// without a sign x - 128, which the sums are rid of at the end.
static uint8_t flip_of(const job *j) { return (j->task->x_dtype == HT_DTYPE_I8) == j->vectors->signed_x ? 0 : 0x80; }

// What a sum has too much of, for each unit of its weights.
static int32_t zero_of(const job *j) {
    const ht_quantization *q = j->task->epilogue.quantization;
    int32_t flipped = flip_of(j);
    return (q ? q->x_zero : 0) + (j->vectors->signed_x ? -flipped : flipped);
}

// MARK: X

void ht_nm_i8_copy(const void *const *lines, size_t column, size_t rows, size_t count, uint8_t flip, uint8_t *to,
                   size_t room) {
    for (size_t r = 0; r < rows; r++, to += HT_NM_I8_WINDOW) {
        const uint8_t *from = lines[r];
        for (size_t c = 0; from && c < count; c++) to[c] = from[column + c] ^ flip;
        memset(to + (from ? count : 0), 0, room - (from ? count : 0));
    }
}

// A pixel outside the image is a zero as X writes it.
static void fill_zeros(const job *j) {
    const ht_quantization *q = j->task->epilogue.quantization;
    if (j->task->image) memset(j->zeros, q ? (uint8_t)q->x_zero : 0, zeros_size(j->l));
}

// Copies rows of X that are columns in memory to [window][row][64].
static void transpose(const uint8_t *x, size_t x_stride, size_t rows, size_t present, size_t columns, size_t width,
                      uint8_t flip, uint8_t *to) {
    memset(to, 0, ht_ceil_div(columns, width) * rows * HT_NM_I8_WINDOW);
    for (size_t begin = 0; begin < columns; begin += width, to += rows * HT_NM_I8_WINDOW)
        for (size_t c = 0; c < ht_min(width, columns - begin); c++)
            for (size_t r = 0; r < present; r++) to[r * HT_NM_I8_WINDOW + c] = x[(begin + c) * x_stride + r] ^ flip;
}

// Copies the columns of a segment of X, which begins at a column of the weights.
static void copy_segment(const job *j, const void *const *lines, size_t rows, const ht_nm_segment *at, size_t column,
                         uint8_t *to) {
    const size_t width = ht_nm_i8_window_columns(j->l);
    for (size_t done = 0, each; done < at->columns; done += each) {
        const size_t window = (column + done) / width, place = (column + done) % width;
        each = ht_min(at->columns - done, width - place);
        size_t present = done < at->present ? ht_min(each, at->present - done) : 0;
        j->vectors->copy(lines, done, rows, present, flip_of(j), to + window * rows * HT_NM_I8_WINDOW + place,
                         HT_NM_I8_WINDOW - place);
    }
}

static void copy_tile(const job *j, size_t t, size_t rows, size_t present, uint8_t *to) {
    const ht_nm_task *task = j->task;
    if (task->x_order == HT_ORDER_FEATURES) {
        transpose((const uint8_t *)task->x + t, task->x_stride, rows, present, j->l->columns,
                  ht_nm_i8_window_columns(j->l), flip_of(j), to);
        return;
    }
    const void *lines[tile_rows] = {NULL};
    for (size_t column = 0; column < j->l->columns;) {
        const ht_nm_segment at = ht_nm_segment_at(j->l, column, j->l->columns);
        ht_nm_x_lines(task, t, present, &at, j->zeros, lines);
        copy_segment(j, lines, rows, &at, column, to);
        column += at.columns;
    }
}

// MARK: tiles

// Some rows of X, as many as a kernel takes.
typedef struct tile {
    size_t row, present;  // of the rows in work
    size_t kernel, rows;
} tile;

// The smallest kernel that takes all that remain, or the largest; but two of 8 are faster than one of 12 and one of 4.
static tile next_tile(const job *j, size_t row) {
    const ht_nm_i8_vectors *v = j->vectors;
    size_t remaining = j->rows - row, kernel = 0;
    if (remaining > 12 && remaining <= 16) remaining = 8;
    while (kernel + 1 < HT_NM_I8_KERNELS && v->kernel[kernel + 1] && v->rows[kernel] < remaining) kernel++;
    return (tile){row, ht_min(remaining, v->rows[kernel]), kernel, v->rows[kernel]};
}

static uint8_t *tile_x(const job *j, size_t row) { return j->x + row * j->b.windows * HT_NM_I8_WINDOW; }

static const int8_t *strip_values(const job *j, size_t strip) { return ht_nm_values(j->l, j->task->packed, 0, strip); }

static const uint8_t *strip_indices(const job *j, size_t strip) {
    return ht_nm_indices(j->l, j->task->packed, 0, strip);
}

static void add_windows(const job *j, const tile *t, size_t strip, size_t strips, size_t window) {
    size_t window_steps = ht_nm_i8_window_steps(j->l), step = window * window_steps;
    ht_nm_i8_args args = {
        .values = strip_values(j, strip) + step * HT_NM_I8_STEP,
        .values_stride = j->b.steps * HT_NM_I8_STEP,
        .picks = j->picks + step * HT_NM_I8_STEP,
        .picks_stride = j->b.steps * HT_NM_I8_STEP,
        .strips = strips,
        .steps = ht_min(j->b.steps - step, j->b.tile_windows * window_steps),
        .window_steps = window_steps,
        .step_columns = ht_nm_i8_step_columns(j->l),
        .x = tile_x(j, t->row) + window * t->rows * HT_NM_I8_WINDOW,
        .sums = j->sums,
        .first = window == 0,
    };
    j->vectors->kernel[t->kernel](&args);
}

static void store(const job *j, const tile *t, size_t strip, size_t strips) {
    size_t o = strip * HT_NM_STRIP;
    ht_nm_i8_output output = {
        .task = j->task,
        .sums = j->sums,
        .kernel_rows = t->rows,
        .less = j->less,
        .t = j->t + t->row,
        .rows = t->present,
        .o = o,
        .columns = ht_min(strips * HT_NM_STRIP, j->task->o_end - o),
    };
    j->vectors->store(&output);
}

static void run_tile(const job *j, const tile *t, size_t strip, size_t strips) {
    for (size_t window = 0; window < j->b.windows; window += j->b.tile_windows)
        add_windows(j, t, strip, strips, window);
    store(j, t, strip, strips);
}

// MARK: strips

// What each sum has too much of.
static void sum_strips(const job *j, size_t strip, size_t strips) {
    int32_t zero = zero_of(j);
    memset(j->less, 0, less_size());
    for (size_t i = 0; zero && i < strips; i++) {
        int32_t *less = j->less + i * HT_NM_STRIP;
        j->vectors->sum_weights(strip_values(j, strip + i), j->b.steps, less);
        for (size_t o = 0; o < HT_NM_STRIP; o++) less[o] = (int32_t)((uint32_t)less[o] * (uint32_t)zero);
    }
}

static void pick_strips(const job *j, size_t strip, size_t strips) {
    for (size_t i = 0; i < strips; i++)
        j->vectors->pick(j->l, strip_indices(j, strip + i), j->b.steps, j->picks + i * j->b.steps * HT_NM_I8_STEP);
}

static void run_rows(const job *j) {
    for (size_t row = 0; row < j->rows;) {
        tile t = next_tile(j, row);
        copy_tile(j, j->t + row, t.rows, t.present, tile_x(j, row));
        row += t.rows;
    }
    size_t end = ht_ceil_div(j->task->o_end, HT_NM_STRIP);
    for (size_t strip = j->task->o_begin / HT_NM_STRIP; strip < end; strip += j->b.strips) {
        size_t strips = ht_min(j->b.strips, end - strip);
        pick_strips(j, strip, strips);
        sum_strips(j, strip, strips);
        for (size_t row = 0; row < j->rows;) {
            tile t = next_tile(j, row);
            run_tile(j, &t, strip, strips);
            row += t.rows;
        }
    }
}

// MARK: few rows

// The kernel without picks for all rows in work, or null.
static ht_nm_i8_kernel *direct_kernel(const job *j, size_t *kernel_rows) {
    if (j->l->code == HT_NM_CODE_MAP) return NULL;
    size_t kernel = 0;
    while (kernel < HT_NM_I8_DIRECT && (size_t)1 << kernel < j->rows) kernel++;
    *kernel_rows = (size_t)1 << kernel;
    return kernel < HT_NM_I8_DIRECT ? j->vectors->direct[kernel] : NULL;
}

static void run_few_rows(const job *j, ht_nm_i8_kernel *kernel, size_t kernel_rows) {
    tile t = {.present = j->rows, .rows = kernel_rows};
    copy_tile(j, j->t, t.rows, t.present, j->x);
    size_t end = ht_ceil_div(j->task->o_end, HT_NM_STRIP);
    for (size_t strip = j->task->o_begin / HT_NM_STRIP; strip < end; strip += most_strips) {
        size_t strips = ht_min(most_strips, end - strip);
        ht_nm_i8_args args = {
            .values = strip_values(j, strip),
            .values_stride = j->b.steps * HT_NM_I8_STEP,
            .layout = j->l,
            .indices = strip_indices(j, strip),
            .strips = strips,
            .steps = j->b.steps,
            .window_steps = ht_nm_i8_window_steps(j->l),
            .step_columns = ht_nm_i8_step_columns(j->l),
            .x = j->x,
            .sums = j->sums,
            .first = true,
        };
        kernel(&args);
        sum_strips(j, strip, strips);
        store(j, &t, strip, strips);
    }
}

// Without columns there is nothing to add up: Y is the epilogue of zero.
static void store_empty(const job *j) {
    _Alignas(HT_ALIGNMENT) static const int32_t zeros[HT_NM_STRIP];
    for (size_t t = j->task->t_begin; t < j->task->t_end; t++)
        for (size_t o = j->task->o_begin; o < j->task->o_end; o += HT_NM_STRIP) {
            ht_nm_i8_output output = {
                j->task, zeros, 1, zeros, t, 1, o, ht_min(HT_NM_STRIP, j->task->o_end - o),
            };
            j->vectors->store(&output);
        }
}

// What the loops above would do with the rows of X in work, so many times.
static void schedule_rows(const job *j, ht_nm_schedule *s, size_t times) {
    size_t few;
    s->reads += times;
    if (direct_kernel(j, &few)) {
        s->strips.rows += few * times;
        s->strips.passes += times;
        s->panel = few > s->panel ? few : s->panel;
        return;
    }
    for (size_t row = 0; row < j->rows; row += next_tile(j, row).rows) {
        size_t rows = next_tile(j, row).rows;
        s->panels.rows += rows * times;
        s->panels.passes += times;
        s->panel = rows > s->panel ? rows : s->panel;
    }
    s->prepared += times;
}

static void schedule(job *j, ht_nm_schedule *s) {
    size_t few;
    j->b = choose_blocking(j->l, s->t);
    j->rows = ht_min(j->b.rows, s->t);
    s->design = direct_kernel(j, &few) ? HT_NM_DESIGN_STRIPS : HT_NM_DESIGN_TILES;
    s->rows = j->b.rows;
    s->columns = j->b.strips * HT_NM_STRIP;
    if (s->t == 0) return;
    j->rows = j->b.rows;
    if (s->t >= j->rows) schedule_rows(j, s, s->t / j->b.rows);
    j->rows = s->t % j->b.rows;
    if (j->rows) schedule_rows(j, s, 1);
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
    j.x = task->scratch;
    j.picks = j.x + x_size(&j.b);
    j.sums = (int32_t *)(j.picks + picks_size(&j.b));
    j.less = j.sums + sums_size() / sizeof *j.sums;
    j.zeros = (uint8_t *)j.less + less_size();
    fill_zeros(&j);
    if (j.b.steps == 0) {
        store_empty(&j);
        return;
    }
    for (j.t = task->t_begin; j.t < task->t_end; j.t += j.rows) {
        j.rows = ht_min(j.b.rows, task->t_end - j.t);
        size_t kernel_rows;
        ht_nm_i8_kernel *direct = direct_kernel(&j, &kernel_rows);
        if (direct)
            run_few_rows(&j, direct, kernel_rows);
        else
            run_rows(&j);
    }
}
