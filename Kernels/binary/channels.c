// SPDX-License-Identifier: Apache-2.0
#include "channels.h"

#include <math.h>
#include <string.h>

#include "views.h"

enum { PLANE = 64, PLANE_WORDS = PLANE / sizeof(uint32_t) };

// MARK: what lies behind the words

// A panel of 512 outputs is
//
//     int32_t [tap][output]                 how many weights of the tap are set
//     [tap][sheet][input, or zeros]         512 bits: bit o is the input's weight in output o
//
// where a sheet is up to 512 inputs and, behind the last, a vector of zeros.
typedef struct panels {
    size_t count;
    size_t sheets;      // of a tap
    size_t tap_planes;  // vectors from tap to tap
    size_t planes;      // bytes from a panel's begin to its vectors
    size_t bytes;       // of a panel
} panels;

static bool make_panels(const ht_binary_layout *l, panels *p) {
    const size_t sheets = ht_ceil_div(l->of.tap_columns, HT_BINARY_SHEET);
    size_t planes;
    *p = (panels){ht_ceil_div(l->of.outputs, HT_BINARY_SHEET_OUTPUTS), sheets, l->of.tap_columns + sheets, 0, 0};
    return ht_mul(l->taps, HT_BINARY_SHEET_OUTPUTS * sizeof(int32_t), &p->planes) &&
           ht_mul(l->taps, p->tap_planes, &planes) && ht_mul(planes, PLANE, &planes) &&
           ht_add(p->planes, planes, &p->bytes);
}

ht_status ht_binary_channels_bytes(const ht_binary_layout *l, size_t *bytes) {
    panels p;
    return make_panels(l, &p) && ht_mul(p.count, p.bytes, bytes) ? HT_OK : HT_ERROR_OVERFLOW;
}

// Rows become columns: bit i of word j goes to bit j of word i. Squares off the diagonal change places, of 16 bits,
// then of 8, 4, 2 and 1.
static void transpose_words(uint32_t words[32]) {
    uint32_t low = 0xffff;
    for (unsigned size = 16; size; size /= 2, low ^= low << size)
        for (unsigned i = 0; i < 32; i += 2 * size)
            for (unsigned j = i; j < i + size; j++) {
                const uint32_t swapped = (words[j] >> size ^ words[j + size]) & low;
                words[j] ^= swapped << size;
                words[j + size] ^= swapped;
            }
}

// One tap of the 32 outputs of two blocks, the second of which may be null: a word of each vector.
static void pack_tap(const ht_binary_layout *l, const uint32_t *first, const uint32_t *second, uint32_t *planes,
                     int32_t *counts) {
    for (size_t word = 0; word < l->tap_words; word++) {
        const size_t k = word * HT_BINARY_WORD, inputs = ht_min(HT_BINARY_WORD, l->of.tap_columns - k);
        uint32_t square[32] = {0};
        memcpy(square, first + word * HT_BINARY_BLOCK, sizeof square / 2);
        if (second) memcpy(square + HT_BINARY_BLOCK, second + word * HT_BINARY_BLOCK, sizeof square / 2);
        for (size_t o = 0; o < 32; o++) counts[o] += __builtin_popcount(square[o]);
        transpose_words(square);
        uint32_t *to = planes + (k + k / HT_BINARY_SHEET) * PLANE_WORDS;
        for (size_t i = 0; i < inputs; i++) to[i * PLANE_WORDS] = square[i];
    }
}

void ht_binary_channels_pack(const ht_binary_layout *l, void *packed) {
    panels p;
    (void)make_panels(l, &p);  // fitted when the blob's size was asked for
    memset((char *)packed + l->behind, 0, p.count * p.bytes);
    for (size_t block = 0; block < l->blocks; block += 2) {
        const uint32_t *first = ht_binary_words(l, packed, block);
        const uint32_t *second = block + 1 < l->blocks ? ht_binary_words(l, packed, block + 1) : NULL;
        const size_t o = block * HT_BINARY_BLOCK, lane = o % HT_BINARY_SHEET_OUTPUTS;
        char *panel = (char *)packed + l->behind + o / HT_BINARY_SHEET_OUTPUTS * p.bytes;
        for (size_t tap = 0; tap < l->taps; tap++) {
            const size_t at = tap * l->tap_words * HT_BINARY_BLOCK;
            uint32_t *planes = (uint32_t *)(void *)(panel + p.planes) + tap * p.tap_planes * PLANE_WORDS;
            int32_t *counts = (int32_t *)(void *)panel + tap * HT_BINARY_SHEET_OUTPUTS;
            pack_tap(l, first + at, second ? second + at : NULL, planes + lane / 32, counts + lane);
        }
    }
}

// MARK: which tasks

static bool fits(const ht_binary_layout *l) { return l->taps * l->of.tap_columns <= HT_BINARY_LISTED_MAX; }

// As measured for a pixel of Y: its listed inputs, half of all; a sheet of a tap; the comparison with the thresholds;
// and its share in the lists of X. Lists that only one tap uses, as those of matrices, gain too little for twice the
// bytes.
double ht_binary_channels_cycles(const ht_binary_layout *l, const ht_conv *conv) {
    enum { PER_INPUT = 52, PER_SHEET = 3000, PER_PANEL = 8500, PER_LISTED = 18 };  // 1/100 cycles
    panels p;
    if (!conv || l->taps == 1 || conv->shape.groups > 1 || !fits(l) || !make_panels(l, &p)) return HUGE_VAL;
    const double inputs = (double)l->of.tap_columns, taps = (double)l->taps * ht_binary_seen_share(conv);
    const double panel = taps * (inputs * PER_INPUT + (double)p.sheets * PER_SHEET) + PER_PANEL;
    return ((double)conv->y_pixels * (double)p.count * panel + (double)conv->x_pixels * inputs * PER_LISTED) / 100;
}

// A part of a panel takes as long as all of it, so threads that share one are faster with the direct design.
static bool has_whole_panels(const ht_binary_task *task) {
    return task->o_begin % HT_BINARY_SHEET_OUTPUTS == 0 &&
           (task->o_end % HT_BINARY_SHEET_OUTPUTS == 0 || task->o_end == task->layout->of.outputs);
}

bool ht_binary_channels_applies(const ht_binary_task *task) {
    return task->y_dtype == HT_DTYPE_B1 && (!task->conv || task->conv->shape.groups == 1) && fits(task->layout) &&
           (has_whole_panels(task) || task->design == HT_BINARY_CHANNELS);
}

// MARK: scratch

// The pixels of Y of one image from t_begin to t_end, which lie in rows of it, and the rows of X that they see.
typedef struct band {
    size_t image;
    size_t t_begin, t_end;
    size_t y_begin, y_end;
    size_t x_begin, x_end;
} band;

typedef struct job {
    const ht_binary_slices *slices;
    const ht_binary_task *task;
    panels panels;
    ht_conv_shape shape;  // a matrix is an image one pixel wide, all of whose rows one tap sees
    size_t out_height, out_width;
    size_t band_rows;  // at most, of Y
    size_t planes;  // of the counters of a pixel
    size_t list;  // entries from list to list
    bool clear;  // the lists are those of the clear inputs
    // Scratch:
    ht_binary_view *views;
    size_t view_count;
    uint8_t *sees;  // of a view
    uint16_t *entries;  // [pixel of X][sheet][list]
    uint16_t *eights;  // [pixel of X][sheet]
    uint32_t *listed;  // [pixel of X]
    uint32_t *seen;  // [pixel of Y]: how many of the inputs that it sees are listed
    char *counters;  // [pixel of Y][plane][64]
} job;

static void set_geometry(job *j, const ht_binary_layout *l, const ht_conv *conv, size_t rows) {
    const ht_conv_shape matrix = {.images = 1,
                                  .height = rows,
                                  .width = 1,
                                  .groups = 1,
                                  .kernel_height = 1,
                                  .kernel_width = 1,
                                  .stride_y = 1,
                                  .stride_x = 1,
                                  .dilation_y = 1,
                                  .dilation_x = 1};
    j->shape = conv ? conv->shape : matrix;
    j->out_height = conv ? conv->out_height : rows;
    j->out_width = conv ? conv->out_width : 1;
    // What a list has behind its last: up to 7 zeros, and room for whole stores of 32.
    j->list = ht_round_up(ht_min(l->of.tap_columns, HT_BINARY_SHEET) + 8 + 32, 32);
    // The kernels know these.
    const size_t inputs = l->taps * l->of.tap_columns;
    j->planes = inputs < 1 << 10 ? 10 : inputs < 1 << 12 ? 12 : 14;
}

// As many rows of Y as have lists and counters that stay in L2; `rows` is what there is of a matrix.
static void set_band(job *j, size_t rows) {
    enum { PIXELS = 256, ENTRIES = 1 << 18 };
    const size_t most = ht_min(PIXELS, ENTRIES / (j->list * ht_max(1, j->panels.sheets)));
    const size_t wide = ht_max(1, ht_max(j->out_width, j->shape.width));
    j->band_rows = ht_max(1, ht_min(rows, most / wide));
}

static bool take(char **memory, size_t *bytes, size_t count, size_t size) {
    size_t more;
    if (!ht_mul(count, size, &more) || !ht_add(more, HT_ALIGNMENT - 1, &more)) return false;
    more -= more % HT_ALIGNMENT;
    if (*memory) *memory += more;
    return ht_add(*bytes, more, bytes);
}

// Where each part of the scratch lies, and its size. Null memory only counts. Errors: OVERFLOW.
static ht_status lay_out(job *j, const ht_binary_layout *l, const ht_conv *conv, char *memory, size_t *bytes) {
    const size_t seen = (j->band_rows - 1) * j->shape.stride_y + (j->shape.kernel_height - 1) * j->shape.dilation_y + 1;
    const size_t x_pixels = ht_min(j->shape.height, seen) * j->shape.width;
    const size_t lists = x_pixels * j->panels.sheets;  // numbers below 2^31 each, of which sheets is small
    *bytes = 0;
    j->view_count = ht_binary_views(conv, NULL);
#define TAKE(member, count, size) (j->member = (void *)memory, take(&memory, bytes, count, size))
    const bool fit = TAKE(views, j->view_count, sizeof *j->views) && TAKE(sees, l->taps, sizeof *j->sees) &&
                     TAKE(entries, lists, j->list * sizeof *j->entries) && TAKE(eights, lists, sizeof *j->eights) &&
                     TAKE(listed, x_pixels, sizeof *j->listed) &&
                     TAKE(seen, j->band_rows * j->out_width, sizeof *j->seen) &&
                     TAKE(counters, j->band_rows * j->out_width, j->planes * PLANE);
#undef TAKE
    return fit ? HT_OK : HT_ERROR_OVERFLOW;
}

ht_status ht_binary_channels_scratch(const ht_binary_layout *l, const ht_conv *conv, size_t t, size_t *bytes) {
    job j;
    *bytes = 0;
    if (!fits(l) || !make_panels(l, &j.panels)) return HT_OK;
    set_geometry(&j, l, conv, t);
    set_band(&j, j.out_height);
    return lay_out(&j, l, conv, NULL, bytes);
}

// MARK: lists

static const uint64_t *x_row(const job *j, size_t pixel) {
    return (const uint64_t *)(const void *)((const char *)j->task->x + pixel * j->task->x_stride);
}

// Returns how many inputs are listed.
static size_t list_pixels(const job *j, size_t first, size_t pixels) {
    const size_t inputs = j->task->layout->of.tap_columns, sheets = j->panels.sheets;
    size_t listed = 0;
    for (size_t i = 0; i < pixels; i++) {
        const ht_binary_pixel_lists lists = {j->entries + i * sheets * j->list, j->list, j->eights + i * sheets};
        j->listed[i] = (uint32_t)j->slices->list(x_row(j, first + i), inputs, j->clear, &lists);
        listed += j->listed[i];
    }
    return listed;
}

static void list_band(job *j, const band *b) {
    const size_t first = (b->image * j->shape.height + b->x_begin) * j->shape.width;
    const size_t pixels = (b->x_end - b->x_begin) * j->shape.width;
    j->clear = false;
    const size_t set = list_pixels(j, first, pixels);
    // A little fewer would not pay for listing again.
    if (set <= pixels * j->task->layout->of.tap_columns / 16 * 9) return;
    j->clear = true;
    (void)list_pixels(j, first, pixels);
}

// MARK: sums

// Columns begin ..< end of row y of Y that are in the band.
static ht_binary_taps columns_of_row(const job *j, const band *b, size_t y) {
    const size_t line = (b->image * j->out_height + y) * j->out_width;
    return (ht_binary_taps){ht_max(line, b->t_begin) - line, ht_min(line + j->out_width, b->t_end) - line};
}

// One sheet of weights against all pixels of a band that see its tap.
static void add_sheet(const job *j, const band *b, size_t down, size_t across, size_t sheet, const char *planes) {
    const ht_conv_shape *s = &j->shape;
    const size_t sheets = j->panels.sheets;
    for (size_t y = b->y_begin; y < b->y_end; y++) {
        const ht_binary_taps columns = columns_of_row(j, b, y);
        // Modulo 2^n: a place in front of the image is a large number.
        const size_t x_y = y * s->stride_y + down * s->dilation_y - s->pad_top;
        size_t x_x = columns.begin * s->stride_x + across * s->dilation_x - s->pad_left;
        if (x_y >= s->height) continue;
        const size_t row = (x_y - b->x_begin) * s->width;
        const size_t t = (b->image * j->out_height + y) * j->out_width - b->t_begin;
        for (size_t x = columns.begin; x < columns.end; x++, x_x += s->stride_x) {
            if (x_x >= s->width) continue;
            const size_t list = (row + x_x) * sheets + sheet;
            if (sheet == 0) j->seen[t + x] += j->listed[row + x_x];
            j->slices->add(j->entries + list * j->list, j->eights[list], planes,
                           j->counters + (t + x) * j->planes * PLANE, j->planes);
        }
    }
}

static void add_band(const job *j, const band *b, const char *panel) {
    const ht_conv_shape *s = &j->shape;
    const char *planes = panel + j->panels.planes;
    memset(j->counters, 0, (b->t_end - b->t_begin) * j->planes * PLANE);
    memset(j->seen, 0, (b->t_end - b->t_begin) * sizeof *j->seen);
    for (size_t tap = 0; tap < s->kernel_height * s->kernel_width; tap++)
        for (size_t sheet = 0; sheet < j->panels.sheets; sheet++) {
            const size_t plane = tap * j->panels.tap_planes + sheet * (HT_BINARY_SHEET + 1);
            add_sheet(j, b, tap / s->kernel_width, tap % s->kernel_width, sheet, planes + plane * PLANE);
        }
}

// MARK: bits

// What does not depend on the view.
typedef struct thresholds {
    size_t o_begin, o_end;  // of the panel's outputs that the task wants, counted from its first
    bool otherwise;
    int32_t level[HT_BINARY_SHEET_OUTPUTS];
    _Alignas(64) uint8_t flips[PLANE];
} thresholds;

static void read_thresholds(const job *j, size_t o, thresholds *th) {
    const ht_binary_task *task = j->task;
    const ht_binary_threshold *given = task->epilogue.threshold;
    const size_t outputs = ht_min(HT_BINARY_SHEET_OUTPUTS, task->layout->of.outputs - o);
    const int32_t most = (int32_t)(task->layout->taps * task->layout->of.tap_columns) + 1;
    th->o_begin = ht_max(o, task->o_begin) - o;
    th->o_end = ht_min(o + outputs, task->o_end) - o;
    memset(th->level, 0, sizeof th->level);
    memset(th->flips, 0, sizeof th->flips);
    // All sums lie between these.
    if (given && given->level)
        for (size_t i = 0; i < outputs; i++) {
            const int32_t level = given->level[o + i];
            th->level[i] = level < -most ? -most : level > most ? most : level;
        }
    if (given && given->flip) memcpy(th->flips, given->flip + o / 8, ht_ceil_div(outputs, 8));
    th->otherwise = j->clear != (task->x_dtype == HT_DTYPE_U1);
    if (th->otherwise)
        for (size_t i = 0; i < PLANE; i++) th->flips[i] ^= 0xff;
}

// With n inputs seen, A of them listed, B set weights among them and C among the listed, and `pad` what taps outside
// add, a sum is
//
//     n - 2 A - 2 B + 4 C + pad       where set inputs are listed, which count as -1,
//     -(n - 2 A - 2 B + 4 C) + pad    where clear ones are,
//     A - 2 C, and n - 2 B - A + 2 C  for X of zeros and ones.
//
// Each is solved for 2 C - A; sum >= level is sum > level - 1.
static ht_binary_cuts cuts_of(const job *j, const ht_binary_view *v, const thresholds *th, const char *panel) {
    const ht_binary_layout *l = j->task->layout;
    const size_t seen_taps = (v->down.end - v->down.begin) * (v->across.end - v->across.begin);
    const int32_t seen = (int32_t)(seen_taps * l->of.tap_columns);
    const int32_t outside = (int32_t)(l->taps * l->of.tap_columns) - seen;
    const int32_t padding = j->shape.padding == HT_PADDING_ZERO ? 0 : j->shape.padding == HT_PADDING_PLUS_ONE ? 1 : -1;
    for (size_t tap = 0; tap < l->taps; tap++) j->sees[tap] = ht_binary_view_sees(l, v, tap);
    ht_binary_cuts cuts = {.level = th->level,
                           .counts = (const int32_t *)(const void *)panel,
                           .taps = l->taps,
                           .sees = j->sees,
                           .bound = (int32_t)(l->taps * l->of.tap_columns) + 1};
    cuts.sign = j->clear ? -1 : 1;
    if (j->task->x_dtype == HT_DTYPE_U1) {
        cuts.sign = -cuts.sign;
        cuts.constant = j->clear ? -seen : 1;
        cuts.seen = j->clear ? 2 : 0;
        return cuts;
    }
    // Half of what remains is rounded up.
    cuts.shift = 1;
    cuts.seen = 1;
    cuts.outside = cuts.sign * padding;
    cuts.constant = 1 - seen - cuts.sign * padding * outside + (j->clear ? 1 : 0);
    return cuts;
}

static void finish_row(const job *j, const band *b, size_t y, ht_binary_taps columns, const thresholds *th,
                       const void *cuts, size_t o) {
    const size_t t = (b->image * j->out_height + y) * j->out_width;
    const size_t begin = th->o_begin / 8, bytes = (ht_round_up(th->o_end, HT_BINARY_BLOCK) - th->o_begin) / 8;
    for (size_t x = columns.begin; x < columns.end; x++) {
        const size_t i = t + x - b->t_begin;
        char bits[PLANE], *to = (char *)j->task->y + (t + x) * j->task->y_stride + o / 8;
        j->slices->finish(j->counters + i * j->planes * PLANE, j->planes, j->seen[i], cuts, th->flips,
                          bytes == PLANE ? to : bits);
        if (bytes != PLANE) memcpy(to + begin, bits + begin, bytes);
    }
}

static void finish_view(const job *j, const band *b, const ht_binary_view *v, const thresholds *th, const char *panel,
                        size_t o) {
    _Alignas(64) char cuts[HT_BINARY_CUT_PLANES * PLANE];
    const size_t begin = ht_max(v->rows.begin, b->y_begin), end = ht_min(v->rows.end, b->y_end);
    if (begin >= end) return;
    const ht_binary_cuts of_view = cuts_of(j, v, th, panel);
    j->slices->cut(&of_view, cuts);
    for (size_t y = begin; y < end; y++) {
        const ht_binary_taps row = columns_of_row(j, b, y);
        const ht_binary_taps columns = {ht_max(row.begin, v->columns.begin), ht_min(row.end, v->columns.end)};
        finish_row(j, b, y, columns, th, cuts, o);
    }
}

// MARK: runs

static void run_band(job *j, const band *b) {
    const ht_binary_task *task = j->task;
    list_band(j, b);
    for (size_t o = task->o_begin / HT_BINARY_SHEET_OUTPUTS * HT_BINARY_SHEET_OUTPUTS; o < task->o_end;
         o += HT_BINARY_SHEET_OUTPUTS) {
        const char *panel =
            (const char *)task->packed + task->layout->behind + o / HT_BINARY_SHEET_OUTPUTS * j->panels.bytes;
        thresholds th;
        read_thresholds(j, o, &th);
        add_band(j, b, panel);
        for (size_t v = 0; v < j->view_count; v++) finish_view(j, b, &j->views[v], &th, panel, o);
    }
}

// The rows of Y from pixel t on.
static band band_at(const job *j, size_t t) {
    const ht_conv_shape *s = &j->shape;
    const size_t line = t / j->out_width, image = line / j->out_height, y = line % j->out_height;
    band b = {.image = image, .t_begin = t, .y_begin = y, .y_end = ht_min(j->out_height, y + j->band_rows)};
    b.t_end = ht_min(j->task->t_end, (image * j->out_height + b.y_end) * j->out_width);
    b.y_end = (b.t_end - 1) / j->out_width + 1 - image * j->out_height;
    const size_t last = (b.y_end - 1) * s->stride_y + (s->kernel_height - 1) * s->dilation_y + 1;
    const size_t first = y * s->stride_y;
    b.x_end = last > s->pad_top ? ht_min(s->height, last - s->pad_top) : 0;
    b.x_begin = first > s->pad_top ? ht_min(b.x_end, first - s->pad_top) : 0;
    return b;
}

void ht_binary_channels_loop(const ht_binary_slices *slices, const ht_binary_task *task) {
    job j = {.slices = slices, .task = task};
    size_t bytes;
    (void)make_panels(task->layout, &j.panels);
    set_geometry(&j, task->layout, task->conv, task->t_end);
    set_band(&j, task->conv ? j.out_height : task->t_end - task->t_begin);
    (void)lay_out(&j, task->layout, task->conv, task->scratch, &bytes);
    ht_binary_views(task->conv, j.views);
    if (!task->conv) j.views->rows = (ht_binary_taps){0, task->t_end}, j.views->columns = (ht_binary_taps){0, 1};
    for (size_t t = task->t_begin; t < task->t_end;) {
        const band b = band_at(&j, t);
        run_band(&j, &b);
        t = b.t_end;
    }
}
