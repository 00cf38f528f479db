// SPDX-License-Identifier: Apache-2.0
// The bf16 product in AVX-512 with dot products of bf16 pairs: kernels, packing of X, and the loops round them.
#include "bf16.h"
#include "index_code.h"

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(                                                                        \
    __attribute__((target("avx2,fma,bmi,bmi2,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16"))), \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi,bmi2,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")
#endif

#include "core/vec_avx512.h"

// X is packed in lines of 32 samples: [panel][column][32 or 64 samples]. Unpacking two columns must bring samples 0 to
// 15 into the low halves and 16 to 31 into the high ones, so the 16-bit places of a line hold, 8 at a time in each 128
// bits, samples 4 i to 4 i + 3 and 16 + 4 i to 16 + 4 i + 3.
enum { line_samples = 32, most_samples = HT_NM_WIDEST_PANEL };

// A panel of pairs: [pair][32 samples], so many bytes a pair. A part of a block of 128 columns fills two thirds of a 48
// KB L1.
enum { pair_columns = 128, pair_bytes = 128, pair_panel_bytes = 256 * pair_bytes };

// Rows of X and columns of Y that are worked on at once, so that the sums stay in L2; more rows where the weights do
// not, as they are read once for each.
enum { most_rows = 128, large_weights = 4 << 20, outputs_at_once = 768 };

// Up to so many rows of X strips are faster than panels, by index code.
static const size_t strip_rows[HT_NM_CODES] = {12, 12, 8, 12, 8, 8, 12, 12};

// Of strips at a time: so many find room in the scratch of any product.
enum { strip_sums = 4096 };

typedef struct kernel_args {
    const char *values;  // of the first quad, see ht_nm_values
    const uint8_t *indices;  // see ht_nm_indices; no field is shared
    size_t value_stride, index_stride;  // bytes, from quad to quad
    size_t quads;
    size_t slots;  // of a row
    size_t unit_slots;  // of a map's unit
    const char *panel;
    float *sums;  // [row][samples]
    bool first;  // the sums start at zero
} kernel_args;

typedef void kernel(const kernel_args *args);

// Likewise for few rows of X.
typedef struct strip_args {
    const char *values;
    const uint8_t *indices;
    size_t value_stride, index_stride;
    size_t quads;  // the last strip may have fewer than 4
    size_t slots;
    const uint32_t *x;  // [line][row of X][16 words], see avx512bf16_strip.h
    float *sums;  // [strip][row of X][16]
    bool first;
} strip_args;

typedef void strip_kernel(const strip_args *args);

// How far a kernel has come.
typedef struct cursor {
    const char *values;
    const uint8_t *indices;
    float *sums;
} cursor;

HT_INLINE void prefetch_weights(const char *values) { _mm_prefetch(values + 2048, _MM_HINT_T0); }

// The fields of rows 0, 1 and 2, 3.
HT_INLINE void load_words(uint64_t words[2], const uint8_t *indices, const size_t distance) {
    memcpy(&words[0], indices, 8);
    memcpy(&words[1], indices + distance, 8);
}

// Where the lowest set bit's column lies.
HT_INLINE uint64_t next_offset(uint32_t *map, const int shift) { return ht_nm_next_column(map) << shift; }

// sum = x_low w_low + (x_high w_high + sum), each with one rounding. The order of the factors lets a load be part of
// it.
HT_INLINE __m512 dot(__m512 sum, __m512i weight, __m512i x) {
    return _mm512_dpbf16_ps(sum, (__m512bh)weight, (__m512bh)x);
}

// Keeps the compiler from turning two cheap shuffles of one load into many loads.
HT_INLINE __m512i opaque(__m512i v) {
    __asm__("" : "+v"(v));
    return v;
}

#define CODE_TEMPLATE "avx512bf16_code.h"
#include "each_code.h"

// The index fields of a strip's 16 rows, from its four quads, 32 bits each. Four rows of 3-bit indices fill 12 bytes.
HT_INLINE __m512i load_fields(const uint8_t *indices, const size_t quad[4], size_t stride, const bool packed) {
    __m512i fields = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)indices));
    fields = _mm512_inserti32x4(fields, _mm_loadu_si128((const __m128i *)(indices + quad[1] * stride)), 1);
    fields = _mm512_inserti32x4(fields, _mm_loadu_si128((const __m128i *)(indices + quad[2] * stride)), 2);
    fields = _mm512_inserti32x4(fields, _mm_loadu_si128((const __m128i *)(indices + quad[3] * stride)), 3);
    const __m128i spread = _mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1);
    return packed ? _mm512_shuffle_epi8(fields, _mm512_broadcast_i32x4(spread)) : fields;
}

// Each lane's word of a line, by the four bits of its field from bit `at` on.
HT_INLINE __m512i pick(__m512i fields, const unsigned at, const uint32_t *line) {
    return _mm512_permutexvar_epi32(_mm512_srli_epi32(fields, at), _mm512_load_si512(line));
}

#define SLOTS 0
#define BITS 2
#include "avx512bf16_strips.h"
#define BITS 3
#include "avx512bf16_strips.h"
#define BITS 4
#include "avx512bf16_strips.h"
#undef SLOTS

// The kernels of one row of X and of a few.
enum { few_rows = 4 };

static strip_kernel *const strip_kernels[2][HT_NM_CODES] = {
    {strip_2_0_1, strip_2_0_1, strip_3_0_1, strip_3_0_1, strip_4_0_1, strip_4_0_1},
    {strip_2_0_4, strip_2_0_4, strip_3_0_4, strip_3_0_4, strip_4_0_4, strip_4_0_4},
};

// The kernels of a panel of 32 or 64 samples.
static kernel *const narrow_kernels[] = {pairs_2_1_2, pairs_2_2_2, panel_3_1_1, panel_3_2_1,
                                         panel_4_1_1, panel_4_2_1, panel_1_0_1, panel_8_0_1};
static kernel *const wide_kernels[] = {NULL,        NULL,        panel_3_1_2, panel_3_2_2,
                                       panel_4_1_2, panel_4_2_2, panel_1_0_2, panel_8_0_2};

// MARK: X

// Of line i, or of none, the values from k on.
HT_INLINE __m512i load_line(const void *const *lines, size_t rows, size_t i, size_t k, __mmask32 in) {
    const uint16_t *from = i < rows ? lines[i] : NULL;
    return from ? _mm512_maskz_loadu_epi16(in, from + k) : _mm512_setzero_si512();
}

// Transposes one tile of 32 lines and columns from k on: neighbouring lines become 32-bit words, words become lines of
// the panel; column i goes to line panel_lines[i], or i if that is null.
HT_INLINE void pack_tile(const void *const *lines, size_t rows, size_t k, size_t columns, size_t padded, size_t samples,
                         const uint32_t *panel_lines, uint16_t *to) {
    const __mmask32 in = columns < 32 ? (1u << columns) - 1 : ~0u;
    for (int half = 0; half < 2; half++) {  // columns 0-3 or 4-7 of each 8
        __m512 words[16];
        HT_UNROLL
        for (size_t i = 0; i < 16; i++) {
            const size_t r = i % 4 / 2 * 16 + i / 4 * 4 + i % 2 * 2;  // of word i's two samples the first
            __m512i a = load_line(lines, rows, r, k, in), b = load_line(lines, rows, r + 1, k, in);
            words[i] = _mm512_castsi512_ps(half ? _mm512_unpackhi_epi16(a, b) : _mm512_unpacklo_epi16(a, b));
        }
        ht_vtranspose(words);
        HT_UNROLL
        for (size_t i = 0; i < 16; i++) {
            size_t column = i / 4 * 8 + (size_t)half * 4 + i % 4;
            if (column < padded) _mm512_store_ps(to + (panel_lines ? panel_lines[column] : column) * samples, words[i]);
        }
    }
}

static void pack_lines(const void *const *lines, size_t rows, size_t columns, size_t padded, size_t samples,
                       void *panel) {
    for (size_t t = 0; t < samples; t += line_samples)
        for (size_t k = 0; k < padded; k += 32)
            pack_tile(lines + t, t < rows ? rows - t : 0, k, k < columns ? columns - k : 0, padded - k, samples, NULL,
                      (uint16_t *)panel + k * samples + t);
}

static void scatter_lines(const void *const *lines, size_t rows, size_t columns, const uint32_t *panel_lines,
                          size_t samples, void *panel) {
    for (size_t t = 0; t < samples; t += line_samples)
        for (size_t k = 0; k < columns; k += 32)
            pack_tile(lines + t, t < rows ? rows - t : 0, k, columns - k, columns - k, samples, panel_lines + k,
                      (uint16_t *)panel + t);
}

// `order` are the numbers of the columns of X, null: one behind the other from 0 on.
static void pack_features(const char *x, size_t x_stride, const uint32_t *order, size_t rows, size_t columns,
                          size_t padded, size_t samples, uint16_t *panel) {
    const __m512i alternating = _mm512_set_epi16(31, 30, 29, 28, 15, 14, 13, 12, 27, 26, 25, 24, 11, 10, 9, 8, 23, 22,
                                                 21, 20, 7, 6, 5, 4, 19, 18, 17, 16, 3, 2, 1, 0);
    for (size_t t = 0; t < samples; t += line_samples) {
        size_t there = t < rows ? rows - t : 0;
        const __mmask32 in = there < 32 ? (1u << there) - 1 : ~0u;
        for (size_t k = 0; k < padded; k++) {
            size_t column = order && k < columns ? order[k] : k;
            __m512i line = _mm512_maskz_loadu_epi16(k < columns ? in : 0, x + column * x_stride + t * 2);
            _mm512_store_si512(panel + k * samples + t, _mm512_permutexvar_epi16(alternating, line));
        }
    }
}

// Writes the two vectors of a pair of columns: in each word the first column's value is the high half.
HT_INLINE void put_pair(char *line, __m512i first, __m512i second) {
    _mm512_store_si512(line, _mm512_unpacklo_epi16(second, first));
    _mm512_store_si512(line + 64, _mm512_unpackhi_epi16(second, first));
}

HT_INLINE void load_columns(__m512i columns[], const uint16_t *x, const int count) {
    HT_UNROLL
    for (int i = 0; i < count; i++) columns[i] = _mm512_load_si512(x + i * line_samples);
}

// All pairs of a column of a window and one of the next window.
static void pair_up_windows(const uint16_t *x, size_t columns, char *panel) {
    for (; columns; columns -= 8, x += 8 * line_samples, panel += 16 * pair_bytes) {
        __m512i c[8];
        load_columns(c, x, 8);
        HT_UNROLL
        for (int j = 0; j < 4; j++) HT_UNROLL
        for (int i = 0; i < 4; i++) put_pair(panel + (i + 4 * j) * pair_bytes, c[i], c[4 + j]);
    }
}

// All pairs inside windows.
static void pair_up_in_windows(const uint16_t *x, size_t columns, char *panel) {
    for (; columns; columns -= 4, x += 4 * line_samples, panel += 7 * pair_bytes) {
        __m512i c[4];
        load_columns(c, x, 4);
        HT_UNROLL
        for (int j = 1; j < 4; j++) HT_UNROLL
        for (int i = 0; i < j; i++) put_pair(panel + (i + 4 * j) * pair_bytes, c[i], c[j]);
    }
    // Both slots of a window behind the matrix name its last column, 15: columns 0 and 2 of the next window.
    put_pair(panel + 8 * pair_bytes, _mm512_setzero_si512(), _mm512_setzero_si512());
}

// MARK: loops

// One panel of the rows in work.
typedef struct panel {
    size_t row, rows;  // of the rows in work
    size_t samples;  // its width
} panel;

enum { most_panels = most_rows / line_samples };

// Some rows of X at a time.
typedef struct job {
    const ht_nm_task *task;
    const ht_nm_layout *l;
    size_t t;  // the first row in work
    panel panels[most_panels];
    size_t panel_count;
    size_t columns;  // of X, every block padded
    uint16_t *x;  // scratch: X transposed, panel by panel
    char *pairs;  // scratch: a panel of pairs
    uint8_t *indices;  // scratch: index fields that rows don't share
    float *sums;  // scratch
} job;

// A part of a block that is worked on at once.
typedef struct part {
    size_t block, slot, slots;  // in the block
    size_t column, columns;  // of X in work
} part;

static bool is_paired(const ht_nm_layout *l) { return l->code <= HT_NM_CODE_2_2; }

static size_t block_start(const ht_nm_layout *l, size_t b) { return b ? b * ht_nm_panel_columns(l, 0) : 0; }

static size_t padded_columns(const ht_nm_layout *l) {
    return l->blocks ? block_start(l, l->blocks - 1) + ht_nm_panel_columns(l, l->blocks - 1) : 0;
}

static size_t output_capacity(void) { return outputs_at_once + HT_NM_STRIP; }

// Index bytes of a row of bundles in work, unshared.
static size_t index_bytes(const ht_nm_layout *l) {
    if (l->index_share == 1) return 0;
    return output_capacity() * ht_nm_units(l, ht_nm_block_slots(l, 0)) * l->field_bytes + HT_ALIGNMENT;
}

static size_t rows_at_once(const ht_nm_layout *l) { return l->bytes > large_weights ? most_rows : most_rows / 2; }

static size_t rows_in_work(const ht_nm_layout *l, size_t t) {
    return ht_round_up(ht_min(t, rows_at_once(l)), most_samples);
}

ht_status ht_nm_bf16_panels_scratch(const ht_nm_layout *l, size_t t, size_t *bytes) {
    size_t rows = rows_in_work(l, t), fixed;
    // Damaged indices reach as far as a block behind the last column.
    if (!ht_mul(padded_columns(l) + HT_NM_MAX_COLUMNS, rows * sizeof(uint16_t), bytes)) return HT_ERROR_OVERFLOW;
    fixed = output_capacity() * rows * sizeof(float) + pair_panel_bytes + ht_round_up(index_bytes(l), HT_ALIGNMENT);
    return ht_add(*bytes, fixed, bytes) ? HT_OK : HT_ERROR_OVERFLOW;
}

static uint16_t *packed_x(const job *j, const panel *p, size_t column) {
    return j->x + p->row * j->columns + column * p->samples;
}

static void pack_x(const job *j, const panel *p) {
    const ht_nm_task *task = j->task;
    const uint32_t *permutation = task->permutation;
    const size_t t = j->t + p->row;
    if (permutation && task->x_order == HT_ORDER_ROWS) {
        ht_nm_pack_permuted(task, t, p->rows, scatter_lines, p->samples, packed_x(j, p, 0));
        return;
    }
    for (size_t b = 0; b < j->l->blocks; b++) {
        uint16_t *to = packed_x(j, p, block_start(j->l, b));
        const size_t begin = b * j->l->block_columns;
        const char *from = (const char *)task->x + (permutation ? 0 : begin) * task->x_stride + t * sizeof(uint16_t);
        if (task->x_order == HT_ORDER_ROWS)
            ht_nm_pack_block(task, t, p->rows, b, pack_lines, p->samples, to);
        else
            pack_features(from, task->x_stride, permutation ? permutation + begin : NULL, p->rows,
                          ht_nm_block_width(j->l, b), ht_nm_panel_columns(j->l, b), p->samples, to);
    }
}

// What the kernels look at of X for a part: X as it is packed, or pairs of its columns.
static const char *panel_of(const job *j, const panel *p, const part *at) {
    const uint16_t *x = packed_x(j, p, at->column);
    if (!is_paired(j->l)) return (const char *)x;
    (j->l->code == HT_NM_CODE_2_1 ? pair_up_windows : pair_up_in_windows)(x, at->columns, j->pairs);
    return j->pairs;
}

static kernel *kernel_of(const job *j, const panel *p) {
    return (p->samples == line_samples ? narrow_kernels : wide_kernels)[j->l->code];
}

static float *sums_of(const job *j, const panel *p, size_t output) {
    return j->sums + p->row * output_capacity() + output * p->samples;
}

// Adds a part of a block to the sums of columns o ..< end of Y. The sums and the unshared indices begin at column
// `base`.
static void add_part(const job *j, const panel *p, const part *at, const char *panel, size_t base, size_t o,
                     size_t end) {
    const ht_nm_layout *l = j->l;
    size_t quad = o / HT_NM_QUAD, slots = ht_nm_block_slots(l, at->block);
    size_t unit_bytes = HT_NM_QUAD * l->field_bytes, index_stride = ht_nm_units(l, slots) * unit_bytes;
    const uint8_t *indices = l->index_share == 1 ? ht_nm_indices(l, j->task->packed, at->block, quad)
                                                 : j->indices + (o - base) / HT_NM_QUAD * index_stride;
    const kernel_args args = {
        .values = (const char *)ht_nm_values(l, j->task->packed, at->block, quad) + ht_nm_value_bytes(l, at->slot),
        .indices = indices + at->slot / l->unit_slots * unit_bytes,
        .value_stride = ht_nm_value_bytes(l, slots),
        .index_stride = index_stride,
        .quads = ht_ceil_div(end - o, HT_NM_QUAD),
        .slots = at->slots,
        .unit_slots = l->unit_slots,
        .panel = panel,
        .sums = sums_of(j, p, o - base),
        .first = at->block == 0 && at->slot == 0,
    };
    kernel_of(j, p)(&args);
}

// The last part, strip by strip, each stored while its sums are in L1.
static void finish(const job *j, const panel *p, const part *at, const char *panel, size_t base, size_t end) {
    for (size_t o = base; o < end; o += HT_NM_STRIP) {
        size_t stop = ht_min(end, o + HT_NM_STRIP);
        add_part(j, p, at, panel, base, o, stop);
        const ht_nm_target target = ht_nm_target_at(j->task, j->t + p->row, o);
        ht_nm_avx512.store[j->task->y_order](sums_of(j, p, o - base), p->samples, p->rows, stop - o, &target);
    }
}

static void run_block(const job *j, size_t b, size_t o, size_t end) {
    const ht_nm_layout *l = j->l;
    size_t slots = ht_nm_block_slots(l, b), quad = o / HT_NM_QUAD;
    size_t each = is_paired(l) ? pair_columns / l->window * l->window_slots : slots;
    if (l->index_share > 1)
        ht_nm_expand_indices(l, ht_nm_indices(l, j->task->packed, b, quad), b, ht_ceil_div(end - o, HT_NM_QUAD),
                             j->indices);
    for (size_t slot = 0; slot < slots; slot += each) {
        size_t count = ht_min(each, slots - slot);
        part at = {b, slot, count, block_start(l, b), ht_nm_panel_columns(l, b)};
        if (is_paired(l)) {
            at.column += slot / l->window_slots * l->window;
            at.columns = count / l->window_slots * l->window;
        }
        bool last = b + 1 == l->blocks && slot + each >= slots;
        for (size_t i = 0; i < j->panel_count; i++) {
            const panel *p = &j->panels[i];
            const char *panel = panel_of(j, p, &at);
            if (last)
                finish(j, p, &at, panel, o, end);
            else
                add_part(j, p, &at, panel, o, o, end);
        }
    }
}

static size_t panel_samples(const job *j, size_t remaining) {
    return is_paired(j->l) || remaining <= line_samples ? line_samples : most_samples;
}

// Cuts `rows` rows of X into panels and packs them.
static void pack_panels(job *j, size_t rows) {
    j->panel_count = 0;
    for (size_t row = 0; row < rows; row += j->panels[j->panel_count++].rows) {
        size_t samples = panel_samples(j, rows - row);
        j->panels[j->panel_count] = (panel){row, ht_min(rows - row, samples), samples};
        pack_x(j, &j->panels[j->panel_count]);
    }
}

static void run_rows(job *j, size_t rows) {
    pack_panels(j, rows);
    for (size_t o = j->task->o_begin; o < j->task->o_end; o += outputs_at_once) {
        size_t end = ht_min(j->task->o_end, o + outputs_at_once);
        for (size_t b = 0; b < j->l->blocks; b++) run_block(j, b, o, end);
    }
}

// MARK: few rows

enum { most_lines = 64 };  // of a block: as many as slots with indices of 3 and 4 bits, else half as many

// Writes the lines that the slots of a block pick from, for the first of `rows` rows of X. `x` are the block's columns,
// zero behind the last.
static void make_lines(const ht_nm_layout *l, size_t slots, const uint16_t *x, size_t rows, uint32_t *lines) {
    const bool pairs = is_paired(l);
    const size_t each = l->window_slots, second = pairs && each == 1 ? l->window : 0;
    uint16_t order[2][32];  // of an even and an odd slot; a pair's is the first
    for (uint16_t i = 0; i < 16; i++) {
        order[0][2 * i] = (uint16_t)(pairs ? second + i / 4 : 0);
        order[0][2 * i + 1] = order[1][2 * i] = (uint16_t)(i % l->window);
        order[1][2 * i + 1] = 0;
    }
    const __m512i even = _mm512_loadu_si512(order[0]), odd = _mm512_loadu_si512(order[1]);
    for (size_t slot = 0; slot < slots; slot += pairs ? 2 : 1, lines += rows * 16) {
        __m512i columns = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(x + slot / each * l->window)));
        const bool upper = slot % 2 == 0;
        const __mmask32 halves = pairs ? 0xffffffff : upper ? 0xaaaaaaaa : 0x55555555;
        _mm512_store_si512(lines, _mm512_maskz_permutexvar_epi16(halves, upper ? even : odd, columns));
    }
}

// A panel of one sample.
static void copy_line(const void *const *lines, size_t rows, size_t columns, size_t padded, size_t width, void *panel) {
    (void)rows, (void)width;
    size_t present = *lines ? columns : 0;
    if (present) memcpy(panel, *lines, present * sizeof(uint16_t));
    memset((uint16_t *)panel + present, 0, (padded - present) * sizeof(uint16_t));
}

static void copy_block(const ht_nm_task *task, size_t t, size_t b, uint16_t *to) {
    const ht_nm_layout *l = task->layout;
    const size_t begin = b * l->block_columns, end = begin + ht_nm_block_width(l, b);
    if (task->permutation && task->x_order == HT_ORDER_ROWS) {
        const uint16_t *line = ht_nm_x_line(task, t);
        for (size_t column = begin; column < end; column++)
            to[column - begin] = line ? line[task->permutation[column]] : 0;
        return;
    }
    if (task->x_order == HT_ORDER_ROWS) {
        ht_nm_pack_block(task, t, 1, b, copy_line, 1, to);
        return;
    }
    for (size_t column = begin; column < end; column++)
        to[column - begin] = *(const uint16_t *)ht_nm_x_element(task, t, column);
}

static bool has_strips(const ht_nm_task *task) {
    const ht_nm_layout *l = task->layout;
    return strip_kernels[0][l->code] && l->index_share == 1 && l->blocks && task->y_order == HT_ORDER_ROWS;
}

// Up to few_rows rows of X, as many columns of Y as the scratch has room for.
static void run_strips(const ht_nm_task *task, size_t t, size_t rows, size_t o, size_t end) {
    const ht_nm_layout *l = task->layout;
    const size_t pass_rows = rows > 1 ? few_rows : 1;
    _Alignas(HT_ALIGNMENT) uint32_t lines[most_lines * few_rows * 16];
    memset(lines, 0, sizeof lines);
    for (size_t b = 0; b < l->blocks; b++) {
        size_t quad = o / HT_NM_QUAD, slots = ht_nm_block_slots(l, b);
        for (size_t r = 0; r < rows; r++) {
            uint16_t x[HT_NM_MAX_COLUMNS + 32] = {0};
            copy_block(task, t + r, b, x);
            make_lines(l, slots, x, pass_rows, lines + r * 16);
        }
        const strip_args args = {
            .values = ht_nm_values(l, task->packed, b, quad),
            .indices = ht_nm_indices(l, task->packed, b, quad),
            .value_stride = ht_nm_value_bytes(l, slots),
            .index_stride = ht_nm_units(l, slots) * HT_NM_QUAD * l->field_bytes,
            .quads = ht_ceil_div(end - o, HT_NM_QUAD),
            .slots = slots,
            .x = lines,
            .sums = task->scratch,
            .first = b == 0,
        };
        strip_kernels[rows > 1][l->code](&args);
    }
    for (size_t s = o; s < end; s += HT_NM_STRIP) {
        const ht_nm_target target = ht_nm_target_at(task, t, s);
        const float *sums = (const float *)task->scratch + (s - o) * pass_rows;
        ht_nm_avx512.store_rows(sums, rows, ht_min(HT_NM_STRIP, end - s), &target);
    }
}

static void run_pass(const ht_nm_task *task, size_t t, size_t rows) {
    const size_t outputs = rows > 1 ? strip_sums / few_rows : strip_sums;
    for (size_t o = task->o_begin; o < task->o_end; o += outputs)
        run_strips(task, t, rows, o, ht_min(task->o_end, o + outputs));
}

// MARK: both

// Else few rows go as an f32 product, whose strips have the bits of the dot products. With 4-bit indices those take 8
// rows at a time and are faster than two passes of 4.
static bool takes_strips(const ht_nm_task *task, size_t rows) {
    return has_strips(task) && !(task->layout->index_bits == 4 && rows > few_rows);
}

static void run_few(const ht_nm_task *task, size_t t, size_t rows) {
    if (takes_strips(task, rows)) {
        for (size_t i = 0; i < rows; i += few_rows) run_pass(task, t + i, ht_min(few_rows, rows - i));
        return;
    }
    ht_nm_task few = *task;
    few.t_begin = t;
    few.t_end = t + rows;
    ht_nm_gemm_bf16_avx512(&few);
}

// What the loops below would do with some rows of X in work, so many times.
static void schedule_rows(const job *j, ht_nm_schedule *s, size_t rows, size_t times) {
    if (times == 0) return;
    const bool is_few = rows <= strip_rows[j->l->code];
    if (is_few && takes_strips(j->task, rows)) {
        size_t passes = ht_ceil_div(rows, few_rows);
        s->design = s->t == rows ? HT_NM_DESIGN_STRIPS : s->design;
        s->strips.rows += rows;
        s->strips.passes += passes;
        s->reads += passes;
        return;
    }
    if (is_few) {
        ht_nm_schedule few = {.t = rows};
        ht_nm_task task = *j->task;
        task.schedule = &few;
        ht_nm_gemm_bf16_avx512(&task);
        s->design = s->t == rows ? few.design : s->design;
        s->strips = few.strips;
        s->panel = few.panel > s->panel ? few.panel : s->panel;
        s->reads += few.reads;
        s->prepared += few.prepared;
        return;
    }
    for (size_t row = 0, samples; row < rows; row += samples) {
        samples = panel_samples(j, rows - row);
        s->panels.rows += samples * times;
        s->panels.passes += times;
        s->panel = samples > s->panel ? samples : s->panel;
    }
    s->reads += times;
}

static void schedule(const job *j, ht_nm_schedule *s) {
    size_t rows = rows_at_once(j->l);
    s->design = HT_NM_DESIGN_PANELS;
    s->rows = rows;
    s->columns = outputs_at_once;
    schedule_rows(j, s, rows, s->t / rows);
    schedule_rows(j, s, s->t % rows, s->t % rows != 0);
}

void ht_nm_gemm_bf16_avx512bf16(const ht_nm_task *task) {
    const ht_nm_layout *l = task->layout;
    job j = {.task = task, .l = l, .columns = padded_columns(l)};
    if (task->schedule) schedule(&j, task->schedule);
    for (size_t t = task->t_begin, rows; t < task->t_end; t += rows) {
        rows = ht_min(rows_at_once(l), task->t_end - t);
        if (rows <= strip_rows[l->code] || l->blocks == 0) {
            run_few(task, t, rows);
            continue;
        }
        j.t = t;
        j.sums = task->scratch;
        j.x = (uint16_t *)(j.sums + output_capacity() * rows_in_work(l, rows));
        j.pairs = (char *)(j.x + (j.columns + HT_NM_MAX_COLUMNS) * rows_in_work(l, rows));
        j.indices = (uint8_t *)j.pairs + pair_panel_bytes;
        run_rows(&j, rows);
    }
    _mm_sfence();  // behind vectors stored past the caches
}

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
