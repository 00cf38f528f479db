// SPDX-License-Identifier: Apache-2.0
// The 8-bit kernels of NEON. A template: i8_neon.c, i8_neondot.c and i8_neoni8mm.c include it with
//   sums_of_4                  sums of 4 rows of W
//   start_sums, total_sums     from and to 32 bits for each row
//   add_products(sums, x, w)   adds the products of 4 x 4 values of X and weights, exactly
//   MOST_SUMS                  sums_of_4 that fit in the registers with what feeds them: 8 or 16
//   SIGNED_X                   whether add_products takes X with a sign
//
// A table look-up picks among 16 or 32 columns. Of a window of 64 it finds a value in one half and 0 in the other, so
// two look-ups and two dot products get all. The bound is the sum of the times of a look-up and a dot product, for 16
// products: two a cycle of either on Neoverse N1 and N2, two look-ups beside two dot products on V2. The estimate of
// `Utils/mca Kernels/nm/i8_neondot.c kernel_8` is 0.97 dot products a cycle on N1 and N2, 1.93 on V2, of 1.00 and 2.00.

enum { quad_bytes = HT_NM_I8_STEP / 4, table_columns = 32, most_rows = MOST_SUMS / 2 };

// `quads` quads of a step whose picks count from column `first` of a window on, in one table of 16 or 32 columns.
HT_INLINE void add_quads(sums_of_4 *sums, const int8_t *values, const uint8_t *picks, const uint8_t *x,
                         size_t row_stride, size_t first, const size_t rows, const size_t quads, const bool wide) {
    int8x16_t weights[4];
    uint8x16_t places[4];
    HT_UNROLL
    for (size_t q = 0; q < quads; q++) {
        weights[q] = vld1q_s8(values + q * quad_bytes);
        places[q] = vsubq_u8(vld1q_u8(picks + q * quad_bytes), vdupq_n_u8((uint8_t)first));
    }
    HT_UNROLL
    for (size_t r = 0; r < rows; r++) {
        const uint8_t *from = x + r * row_stride + first;
        uint8x16x2_t table = {{vld1q_u8(from)}};
        if (wide) table.val[1] = vld1q_u8(from + 16);
        HT_UNROLL
        for (size_t q = 0; q < quads; q++) {
            uint8x16_t picked = wide ? vqtbl2q_u8(table, places[q]) : vqtbl1q_u8(table.val[0], places[q]);
            sums[r * quads + q] = add_products(sums[r * quads + q], picked, weights[q]);
            IN_ORDER(sums[r * quads + q]);
        }
    }
}

// A run of steps, some quads of a strip.
HT_INLINE void add_run(const ht_nm_i8_args *a, sums_of_4 *sums, size_t first_byte, const uint8_t *x, const size_t rows,
                       const size_t quads, const size_t columns) {
    const int8_t *values = a->values + first_byte;
    const uint8_t *picks = a->picks + first_byte;
    for (size_t step = 0; step < a->steps; x += a->window_stride) {
        size_t end = ht_min(a->steps, step + a->window_steps);
        for (size_t column = 0; step < end; step++, column += a->step_columns) {
            if (columns <= table_columns) {
                add_quads(sums, values, picks, x, a->row_stride, column / columns * columns, rows, quads, columns > 16);
            } else {
                add_quads(sums, values, picks, x, a->row_stride, 0, rows, quads, true);
                add_quads(sums, values, picks, x, a->row_stride, table_columns, rows, quads, true);
            }
            values += HT_NM_I8_STEP;
            picks += HT_NM_I8_STEP;
        }
    }
}

HT_INLINE int32_t *quad_of(const ht_nm_i8_sums *sums, size_t row, size_t quad) {
    return (int32_t *)(void *)((char *)sums->at + row * sums->row_stride) + quad * 4;
}

HT_INLINE void add_strip(const ht_nm_i8_args *a, size_t first_quad, const size_t rows, const size_t quads,
                         const size_t columns) {
    sums_of_4 sums[16];
    HT_UNROLL
    for (size_t i = 0; i < rows * quads; i++)
        sums[i] = start_sums(vld1q_s32(quad_of(&a->from, i / quads, first_quad + i % quads)));
    for (size_t line = 0; line < a->lines; line++)
        for (size_t part = 0; part < a->parts; part++)
            add_run(a, sums, (line * a->line_steps + part * a->steps) * HT_NM_I8_STEP + first_quad * quad_bytes,
                    a->x + line * a->line_stride + part * a->part_stride, rows, quads, columns);
    HT_UNROLL
    for (size_t i = 0; i < rows * quads; i++)
        vst1q_s32(quad_of(&a->to, i / quads, first_quad + i % quads), total_sums(sums[i]));
}

HT_INLINE void add_strips(const ht_nm_i8_args *whole, const size_t rows, const size_t columns) {
    const size_t quads = rows * 4 <= MOST_SUMS ? 4 : 2;
    ht_nm_i8_args a = *whole;
    for (; a.strips; ht_nm_i8_skip_strips(&a, 1))
        for (size_t quad = 0; quad < 4; quad += quads) add_strip(&a, quad, rows, quads, columns);
}

#define DEFINE_KERNEL(rows)                             \
    static void kernel_##rows(const ht_nm_i8_args *a) { \
        if (a->step_columns <= 16)                      \
            add_strips(a, rows, 16);                    \
        else if (a->step_columns <= 32)                 \
            add_strips(a, rows, 32);                    \
        else                                            \
            add_strips(a, rows, 64);                    \
    }

DEFINE_KERNEL(1)
DEFINE_KERNEL(2)
DEFINE_KERNEL(3)
DEFINE_KERNEL(4)
#if MOST_SUMS == 16
DEFINE_KERNEL(5)
DEFINE_KERNEL(6)
DEFINE_KERNEL(7)
DEFINE_KERNEL(8)
#endif

static void sum_weights(const int8_t *values, size_t steps, int32_t sums[HT_NM_STRIP]) {
    const uint8x16_t ones = vdupq_n_u8(1);
    for (size_t q = 0; q < 4; q++) {
        sums_of_4 sum = start_sums(vdupq_n_s32(0));
        for (size_t step = 0; step < steps; step++)
            sum = add_products(sum, ones, vld1q_s8(values + step * HT_NM_I8_STEP + q * quad_bytes));
        vst1q_s32(sums + q * 4, total_sums(sum));
    }
}

static const ht_nm_i8_vectors vectors = {
#if MOST_SUMS == 16
    .kernel = {kernel_1, kernel_2, kernel_3, kernel_4, kernel_5, kernel_6, kernel_7, kernel_8},
#else
    .kernel = {kernel_1, kernel_2, kernel_3, kernel_4},
#endif
    .rows = most_rows,
    .signed_x = SIGNED_X,
    .copy = ht_nm_i8_copy,
    .pick = ht_nm_i8_pick_neon,
    .sum_weights = sum_weights,
    .store = ht_sums_store_neon,
};
