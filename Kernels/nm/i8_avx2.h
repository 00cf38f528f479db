// SPDX-License-Identifier: Apache-2.0
// The 8-bit kernels of AVX2. A template: i8_avx2.c and i8_avxvnni.c include it with
//   prepare(w)         the weights of half a step, as add wants them
//   add(sum, x, w)     adds the products of 8 x 4 values of X and prepared weights, exactly
//
// vpshufb picks among 16 columns, so a step whose slots are spread over 32 or 64 takes 2 or 4 of them for each row of
// X. Bound where one is enough: a pick, an add and half a load for 32 products.

enum { chunk = 16, half_step = HT_NM_I8_STEP / 2 };

HT_INLINE __m256i load(const void *from) { return _mm256_loadu_si256((const __m256i *)from); }

// Picks outside the chunk get their highest bit set, for which vpshufb gives 0.
HT_INLINE __m256i picks_in_chunk(__m256i picks, size_t first) {
    __m256i place = _mm256_xor_si256(picks, _mm256_set1_epi8((char)first));
    return _mm256_add_epi8(place, _mm256_set1_epi8(0x70));
}

// Half a step: 8 rows of W. The picks lie in `chunks` chunks of X from column `first` on.
HT_INLINE void add_half(__m256i *sums, const int8_t *values, const uint8_t *picks, const uint8_t *x, size_t row_stride,
                        size_t first, const int rows, const int chunks) {
    __m256i place[4];
    HT_UNROLL
    for (int c = 0; c < chunks; c++)
        place[c] = chunks == 1 ? load(picks) : picks_in_chunk(load(picks), first + (size_t)c * chunk);
    const weights w = prepare(load(values));
    HT_UNROLL
    for (int r = 0; r < rows; r++) {
        __m256i picked = _mm256_setzero_si256();
        HT_UNROLL
        for (int c = 0; c < chunks; c++) {
            const uint8_t *from = x + (size_t)r * row_stride + first + (size_t)c * chunk;
            __m256i columns = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)from));
            __m256i part = _mm256_shuffle_epi8(columns, place[c]);
            picked = c ? _mm256_or_si256(picked, part) : part;
        }
        sums[r * 2] = add(sums[r * 2], picked, w);
    }
}

// A run of steps.
HT_INLINE void add_run(const ht_nm_i8_args *a, __m256i *sums, size_t first_step, const uint8_t *x, const int rows,
                       const int chunks) {
    const int8_t *values = a->values + first_step * HT_NM_I8_STEP;
    const uint8_t *picks = a->picks + first_step * HT_NM_I8_STEP;
    for (size_t step = 0; step < a->steps; x += a->window_stride) {
        size_t end = ht_min(a->steps, step + a->window_steps);
        for (size_t column = 0; step < end; step++, column += a->step_columns) {
            size_t first = chunks == 4 ? 0 : column / chunk * chunk;
            add_half(sums, values, picks, x, a->row_stride, first, rows, chunks);
            add_half(sums + 1, values + half_step, picks + half_step, x, a->row_stride, first, rows, chunks);
            values += HT_NM_I8_STEP;
            picks += HT_NM_I8_STEP;
        }
    }
}

HT_INLINE __m256i *half_sums(ht_nm_i8_sums sums, int i) {
    return (__m256i *)(void *)((char *)sums.at + (size_t)(i / 2) * sums.row_stride + (size_t)(i % 2) * 32);
}

HT_INLINE void add_strips(const ht_nm_i8_args *whole, const int rows, const int chunks) {
    ht_nm_i8_args a = *whole;
    for (; a.strips; ht_nm_i8_skip_strips(&a, 1)) {
        __m256i sums[8];
        HT_UNROLL
        for (int i = 0; i < rows * 2; i++) sums[i] = load(half_sums(a.from, i));
        for (size_t line = 0; line < a.lines; line++)
            for (size_t part = 0; part < a.parts; part++)
                add_run(&a, sums, line * a.line_steps + part * a.steps,
                        a.x + line * a.line_stride + part * a.part_stride, rows, chunks);
        HT_UNROLL
        for (int i = 0; i < rows * 2; i++) _mm256_storeu_si256(half_sums(a.to, i), sums[i]);
    }
}

#define DEFINE_KERNEL(rows)                             \
    static void kernel_##rows(const ht_nm_i8_args *a) { \
        if (a->step_columns <= chunk)                   \
            add_strips(a, rows, 1);                     \
        else if (a->step_columns <= 2 * chunk)          \
            add_strips(a, rows, 2);                     \
        else                                            \
            add_strips(a, rows, 4);                     \
    }

DEFINE_KERNEL(1)
DEFINE_KERNEL(2)
DEFINE_KERNEL(3)
DEFINE_KERNEL(4)

static void sum_weights(const int8_t *values, size_t steps, int32_t sums[HT_NM_STRIP]) {
    const __m256i ones = _mm256_set1_epi8(1);
    for (size_t half = 0; half < 2; half++) {
        __m256i sum = _mm256_setzero_si256();
        for (size_t step = 0; step < steps; step++)
            sum = add(sum, ones, prepare(load(values + step * HT_NM_I8_STEP + half * half_step)));
        _mm256_storeu_si256((__m256i *)(sums + half * (HT_NM_STRIP / 2)), sum);
    }
}

static const ht_nm_i8_vectors vectors = {
    .kernel = {kernel_1, kernel_2, kernel_3, kernel_4},
    .rows = 4,
    .copy = ht_nm_i8_copy,
    .pick = ht_nm_i8_pick_avx2,
    .sum_weights = sum_weights,
    .store = ht_sums_store_avx2,
};
