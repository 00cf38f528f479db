// SPDX-License-Identifier: Apache-2.0
// The bf16 product in NEON with BFMLALB and BFMLALT: kernels, packing of X, and the loops round them.
//
// These two multiply the even or the odd ones of 8 samples and add to 4 sums each, as FMA on widened values would, and
// obey FPCR: with subnormals flushed they give the bits of the definition. BFDOT does not: it rounds to odd, and its
// two products meet before the sum. A load feeds two of them, so the FMA rate is the bound, with own patterns too, and
// `Utils/mca Kernels/nm/neonbf16.c panel_2_2_8` estimates that it is reached: 2.00 a cycle on Neoverse N2, 4.00 on V2.
#include "bf16.h"
#include "index_code.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#include <string.h>

#include "core/flush.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("bf16"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("arch=armv8.2-a+bf16")
#endif

// clang-format off: the third is written in the words of the first
#include "core/vec_neon.h"
#include "neon.h"
#include "tiles.h"
// clang-format on

typedef bfloat16_t ht_element;
typedef bfloat16x4_t ht_weights;

#define SAMPLE_BYTES 2
#define PAIR_VALUES 4
#define LOAD_WEIGHTS(values, slot) vld1_bf16((values) + (slot) / 2 * (2 * HT_NM_QUAD))
// Of two slots in a word the even one is in the high half, the odd lane.
#define SLOT_LANE(slot, row) ((row) * 2 + 1 - (slot) % 2)
#if defined(__clang__)
#define ADD_EVEN(sum, x, weights, lane) vbfmlalbq_lane_f32(sum, x, weights, lane)
#define ADD_ODD(sum, x, weights, lane) vbfmlaltq_lane_f32(sum, x, weights, lane)
#else
// gcc 12 takes registers for the weights that the forms with a lane can't name, and the assembler refuses them.
#define ADD_EVEN(sum, x, weights, lane) vbfmlalbq_f32(sum, x, vdupq_lane_bf16(weights, lane))
#define ADD_ODD(sum, x, weights, lane) vbfmlaltq_f32(sum, x, vdupq_lane_bf16(weights, lane))
#endif
#define ADD(sums, line, weights, slot, row)                                           \
    do {                                                                              \
        const bfloat16_t *from = line;                                                \
        HT_UNROLL                                                                     \
        for (int v = 0; v < VECTORS; v += 2) {                                        \
            bfloat16x8_t x = vld1q_bf16(from + v * 4);                                \
            (sums)[v] = ADD_EVEN((sums)[v], x, weights, SLOT_LANE(slot, row));        \
            (sums)[v + 1] = ADD_ODD((sums)[v + 1], x, weights, SLOT_LANE(slot, row)); \
        }                                                                             \
    } while (0)
#define CODE_TEMPLATE "neonbf16_code.h"
#include "each_code.h"

enum {
    wide = 32,               // samples of a panel
    narrow = 16,             // of the last one
    rows_at_once = 128,
    outputs_at_once = 240    // columns of Y whose sums fit beside X in the scratch memory of the f32 product
};

// Kernels of wide and narrow panels, for indices that are a row's own, shared by two, by four.
static ht_nm_panel_kernel *const kernels[2][3][HT_NM_CODES] = {
    {KERNELS(panel, 8), KERNELS(panel, 8_shared2), KERNELS(panel, 8_shared4)},
    {KERNELS(panel, 4), KERNELS(panel, 4_shared2), KERNELS(panel, 4_shared4)},
};

// MARK: X

// BFMLALB takes the even places, BFMLALT the odd ones: samples 0 to 3 and 4 to 7 have to alternate.
HT_INLINE uint16x8_t alternate(uint16x8_t samples) { return vzip1q_u16(samples, vextq_u16(samples, samples, 4)); }

// The first `count` values, zeros behind them.
HT_INLINE uint16x8_t load_some(const uint16_t *from, size_t count) {
    if (count >= 8) return vld1q_u16(from);
    uint16_t some[8] = {0};
    memcpy(some, from, count * sizeof *from);
    return vld1q_u16(some);
}

// Eight rows become eight columns.
HT_INLINE void transpose(uint16x8_t r[8]) {
    uint32x4_t a[8];
    HT_UNROLL
    for (int i = 0; i < 8; i += 2) {
        a[i] = vreinterpretq_u32_u16(vtrn1q_u16(r[i], r[i + 1]));
        a[i + 1] = vreinterpretq_u32_u16(vtrn2q_u16(r[i], r[i + 1]));
    }
    uint64x2_t b[8];  // columns i and i + 4 of rows 0 to 3, then of rows 4 to 7
    HT_UNROLL
    for (int i = 0; i < 8; i += 4) {
        b[i] = vreinterpretq_u64_u32(vtrn1q_u32(a[i], a[i + 2]));
        b[i + 1] = vreinterpretq_u64_u32(vtrn1q_u32(a[i + 1], a[i + 3]));
        b[i + 2] = vreinterpretq_u64_u32(vtrn2q_u32(a[i], a[i + 2]));
        b[i + 3] = vreinterpretq_u64_u32(vtrn2q_u32(a[i + 1], a[i + 3]));
    }
    HT_UNROLL
    for (int i = 0; i < 4; i++) {
        r[i] = vreinterpretq_u16_u64(vtrn1q_u64(b[i], b[i + 4]));
        r[i + 4] = vreinterpretq_u16_u64(vtrn2q_u64(b[i], b[i + 4]));
    }
}

// Of line i, or of none, up to 8 values from k on.
HT_INLINE uint16x8_t load_line(const void *const *lines, size_t rows, size_t i, size_t k, size_t count) {
    const uint16_t *from = i < rows && count > 0 ? lines[i] : NULL;
    return from ? load_some(from + k, count) : vdupq_n_u16(0);
}

// Column k goes to line panel_lines[k], or k if that is null.
HT_INLINE void pack_lines_to(const void *const *lines, size_t rows, size_t columns, size_t padded,
                             const uint32_t *panel_lines, size_t width, uint16_t *panel) {
    for (size_t t = 0; t < width; t += 8)
        for (size_t k = 0; k < padded; k += 8) {
            uint16x8_t tile[8];
            HT_UNROLL
            for (size_t i = 0; i < 8; i++)
                tile[i] = load_line(lines, rows, t + i / 2 + i % 2 * 4, k, k < columns ? columns - k : 0);
            transpose(tile);
            HT_UNROLL
            for (size_t i = 0; i < 8; i++)
                if (k + i < padded) vst1q_u16(panel + (panel_lines ? panel_lines[k + i] : k + i) * width + t, tile[i]);
        }
}

static void pack_bf16_lines(const void *const *lines, size_t rows, size_t columns, size_t padded, size_t width,
                            void *panel) {
    pack_lines_to(lines, rows, columns, padded, NULL, width, panel);
}

static void scatter_bf16_lines(const void *const *lines, size_t rows, size_t columns, const uint32_t *panel_lines,
                               size_t width, void *panel) {
    pack_lines_to(lines, rows, columns, columns, panel_lines, width, panel);
}

// The same of columns of X; `order` are their numbers, null: one behind the other from 0 on.
static void pack_columns(const char *x, size_t x_stride, const uint32_t *order, size_t rows, size_t columns,
                         size_t padded, size_t width, uint16_t *panel) {
    for (size_t k = 0; k < padded; k++)
        for (size_t t = 0; t < width; t += 8) {
            bool there = k < columns && t < rows;
            size_t column = order && there ? order[k] : k;
            uint16x8_t samples =
                there ? load_some((const uint16_t *)(x + column * x_stride) + t, rows - t) : vdupq_n_u16(0);
            vst1q_u16(panel + k * width + t, alternate(samples));
        }
}

// MARK: loops

static const ht_nm_vectors tiles = {TILE_FUNCTIONS};

// A product as the loops see it.
typedef struct job {
    const ht_nm_task *task;
    const ht_nm_layout *l;
    size_t columns;  // of a panel: all blocks, padded
    uint16_t *x;     // scratch: [panel][column][sample]
    float *sums;     // scratch: [panel][column of Y][sample]
} job;

// Some rows of X from t on, which begin at `row` of those in work.
typedef struct panel {
    size_t t, row, rows, width;
} panel;

static panel panel_at(size_t t, size_t row, size_t end) {
    size_t remaining = end - t, width = remaining > narrow ? wide : narrow;
    return (panel){t, row, ht_min(remaining, width), width};
}

static size_t block_start(const ht_nm_layout *l, size_t b) { return b ? b * ht_nm_panel_columns(l, 0) : 0; }

static void pack_panel(const job *j, const panel *p) {
    const ht_nm_task *task = j->task;
    const uint32_t *permutation = task->permutation;
    if (permutation && task->x_order == HT_ORDER_ROWS) {
        ht_nm_pack_permuted(task, p->t, p->rows, scatter_bf16_lines, p->width, j->x + p->row * j->columns);
        return;
    }
    for (size_t b = 0; b < j->l->blocks; b++) {
        uint16_t *to = j->x + p->row * j->columns + block_start(j->l, b) * p->width;
        const size_t begin = b * j->l->block_columns;
        const char *from = (const char *)task->x + (permutation ? 0 : begin) * task->x_stride + p->t * sizeof(uint16_t);
        if (task->x_order == HT_ORDER_ROWS)
            ht_nm_pack_block(task, p->t, p->rows, b, pack_bf16_lines, p->width, to);
        else
            pack_columns(from, task->x_stride, permutation ? permutation + begin : NULL, p->rows,
                         ht_nm_block_width(j->l, b), ht_nm_panel_columns(j->l, b), p->width, to);
    }
}

// Adds block b to the sums of columns o ..< end of Y, which begin at column `base`.
static void add_block(const job *j, const panel *p, size_t b, size_t base, size_t o, size_t end) {
    const ht_nm_panel_args args = {
        .values = ht_nm_values(j->l, j->task->packed, b, o / HT_NM_QUAD),
        .indices = ht_nm_indices(j->l, j->task->packed, b, o / HT_NM_QUAD),
        .quads = ht_ceil_div(end - o, HT_NM_QUAD),
        .slots = ht_nm_block_slots(j->l, b),
        .unit_slots = j->l->unit_slots,
        .panel = (const float *)(j->x + p->row * j->columns + block_start(j->l, b) * p->width),
        .sums = j->sums + p->row * (outputs_at_once + HT_NM_STRIP) + (o - base) * p->width,
        .first = b == 0,
    };
    uint64_t mode = ht_flush_begin();
    kernels[p->width == narrow][j->l->index_share / 2][j->l->code](&args);
    ht_flush_end(mode);
}

// The last block, strip by strip, each stored while its sums are in L1.
static void finish(const job *j, const panel *p, size_t base, size_t end) {
    for (size_t o = base; o < end; o += HT_NM_STRIP) {
        size_t stop = ht_min(end, o + HT_NM_STRIP);
        add_block(j, p, j->l->blocks - 1, base, o, stop);
        const ht_nm_target target = ht_nm_target_at(j->task, p->t, o);
        const float *sums = j->sums + p->row * (outputs_at_once + HT_NM_STRIP) + (o - base) * p->width;
        tiles.store[j->task->y_order](sums, p->width, p->rows, stop - o, &target);
    }
}

static void run_rows(const job *j, size_t t, size_t t_end) {
    panel panels[rows_at_once / narrow];
    size_t count = 0;
    for (size_t row = 0; t + row < t_end; row += panels[count++].width) {
        panels[count] = panel_at(t + row, row, t_end);
        pack_panel(j, &panels[count]);
    }
    for (size_t o = j->task->o_begin; o < j->task->o_end; o += outputs_at_once) {
        size_t end = ht_min(j->task->o_end, o + outputs_at_once);
        for (size_t b = 0; b + 1 < j->l->blocks; b++)
            for (size_t i = 0; i < count; i++) add_block(j, &panels[i], b, o, o, end);
        for (size_t i = 0; i < count; i++) finish(j, &panels[i], o, end);
    }
}

// Few rows are faster widened, in narrower panels.
void ht_nm_gemm_bf16_neonbf16(const ht_nm_task *task) {
    const ht_nm_layout *l = task->layout;
    if (task->t_end - task->t_begin < narrow || l->blocks == 0) {
        ht_nm_gemm_bf16_neon(task);
        return;
    }
    job j = {.task = task, .l = l, .x = task->scratch};
    j.columns = block_start(l, l->blocks - 1) + ht_nm_panel_columns(l, l->blocks - 1);
    for (size_t t = task->t_begin; t < task->t_end; t += rows_at_once) {
        size_t end = ht_min(t + rows_at_once, task->t_end);
        j.sums = (float *)(j.x + ht_round_up(end - t, narrow) * j.columns);
        run_rows(&j, t, end);
    }
}

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
