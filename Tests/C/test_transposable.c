// SPDX-License-Identifier: Apache-2.0
// Masks that are N:M both ways. What a tile may keep at most comes from a flow of the largest value through a network
// of its rows and columns; that every row of the table and every thread count writes the same mask is checked besides.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "values.h"

enum { most = 32 };

static ht_isa isas[8];
static size_t isa_count;

#define EACH_ISA(options)                               \
    for (size_t isa_ = 0; isa_ < 2 * isa_count; isa_++) \
        if (((options) = (ht_options){.threads = isa_ % 2 ? 2 : 1, .isa = isas[isa_ / 2]}, true))

// MARK: matrices

typedef struct shape {
    size_t o, k, n, m;
} shape;

// Rows of `bytes` bytes, `stride` bytes apart, without a gap behind the last: what lies between is 0x5a.
typedef struct matrix {
    size_t rows, bytes, stride, size;
    char *at;
} matrix;

static matrix make_matrix(size_t rows, size_t bytes, size_t gap) {
    matrix m = {rows, bytes, bytes + gap, rows && bytes ? (rows - 1) * (bytes + gap) + bytes : 0, NULL};
    m.at = allocate(m.size);
    memset(m.at, 0x5a, m.size);
    return m;
}

static void *row_of(const matrix *m, size_t row) { return m->at + row * m->stride; }

static bool bit_at(const matrix *mask, size_t row, size_t column) {
    return ((uint8_t *)row_of(mask, row))[column / 8] >> column % 8 & 1;
}

static void flip(const matrix *mask, size_t row, size_t column) {
    ((uint8_t *)row_of(mask, row))[column / 8] ^= (uint8_t)(1 << column % 8);
}

static bool gaps_are_filled(const matrix *m) {
    bool holds = true;
    for (size_t row = 0; row + 1 < m->rows && m->bytes; row++)
        holds &= is_filled((char *)row_of(m, row) + m->bytes, m->stride - m->bytes);
    return holds;
}

static bool tails_are_clear(const matrix *m, size_t columns) {
    bool holds = true;
    for (size_t row = 0; row < m->rows; row++)
        for (size_t c = columns; c < m->bytes * 8; c++) holds &= !bit_at(m, row, c);
    return holds;
}

// MARK: weights

typedef enum kind { GAUSSIAN, FEW, ZERO, WILD, TINY, OUTLIERS, KINDS } kind;

static float uniform(void) { return ((float)(next_random() >> 8) + 0.5f) * 0x1p-24f; }

static float gaussian(void) { return sqrtf(-2 * logf(uniform())) * cosf(6.2831853f * uniform()); }

static float weight_of(kind k) {
    static const float wild[] = {INFINITY, -INFINITY, NAN, -NAN, 0, -0.0f, 3.4e38f, -1e-38f, 0x1p-149f};
    switch (k) {
    case GAUSSIAN: return gaussian();
    case FEW: return (float)(next_random() % 5) - 2;
    case WILD: return next_random() % 4 ? gaussian() : wild[next_random() % COUNT(wild)];
    case TINY: return (float)(next_random() % 2000) * 0x1p-149f;
    case OUTLIERS: return ldexpf(gaussian(), (int)(next_random() % 60) - 30);
    default: return next_random() % 2 ? 0.0f : -0.0f;
    }
}

static void set_weight(void *row, ht_dtype type, size_t i, kind k) {
    const float w = weight_of(k);
    uint32_t bits;
    memcpy(&bits, &w, sizeof bits);
    if (type == HT_DTYPE_F32)
        memcpy((float *)row + i, &w, sizeof w);
    else if (type == HT_DTYPE_BF16)
        ((uint16_t *)row)[i] = (uint16_t)(bits >> 16);
    else  // all bits there are
        ((uint16_t *)row)[i] = (uint16_t)(k == GAUSSIAN ? (0x3000 + (bits >> 12 & 0x8fff)) & 0xbfff : bits >> 12);
}

static matrix make_weights(shape s, ht_dtype type, kind k, size_t gap) {
    const size_t size = ht_dtype_size(type);
    matrix w = make_matrix(s.o, s.k * size, gap * size);
    for (size_t i = 0; i < s.o; i++)
        for (size_t j = 0; j < s.k; j++) set_weight(row_of(&w, i), type, j, k);
    return w;
}

// MARK: what a tile may keep

typedef struct tile {
    shape s;
    size_t row, column, rows, columns;
    int64_t weight[most][most];  // 0 outside the matrix
} tile;

static int log_of(size_t m) { return m <= 1 ? 0 : m <= 2 ? 1 : m <= 4 ? 2 : m <= 8 ? 3 : m <= 16 ? 4 : 5; }

// As the header says: units of the power of two above the largest |w|, rounded down, and 1 more.
static tile make_tile(shape s, const matrix *w, ht_dtype type, size_t row, size_t column) {
    tile t = {.s = s, .row = row, .column = column};
    double largest = 0;
    int bits = 29 - (s.m > 8 ? log_of(s.m) : 3), above = 0;
    const int64_t infinite = (int64_t)1 << bits;
    t.rows = s.o - row < s.m ? s.o - row : s.m;
    t.columns = s.k - column < s.m ? s.k - column : s.m;
    bool is_finite = true;
    for (size_t i = 0; i < t.rows; i++)
        for (size_t j = 0; j < t.columns; j++) {
            const double x = fabs((double)value_at(row_of(w, row + i), type, column + j));
            is_finite &= isfinite(x) != 0;
            if (isfinite(x) && x > largest) largest = x;
        }
    frexp(largest, &above);
    if (above < -125) above = -125;
    if (!is_finite) bits -= log_of(s.m) + 1;
    for (size_t i = 0; i < t.rows; i++)
        for (size_t j = 0; j < t.columns; j++) {
            const double x = fabs((double)value_at(row_of(w, row + i), type, column + j));
            t.weight[i][j] = isfinite(x) ? (int64_t)floor(ldexp(x, bits - above)) + 1 : infinite;
        }
    return t;
}

// The longest paths from rows with flow to spare through the network, one unit at a time: nodes are rows, then columns.
static int64_t flow_value(const tile *t) {
    const size_t m = t->s.m;
    bool flows[most][most] = {{false}};
    size_t row_flow[most] = {0}, column_flow[most] = {0};
    int64_t total = 0;
    for (size_t unit = 0; unit < t->s.n * m; unit++) {
        int64_t far[2 * most];
        size_t before[2 * most], end = 2 * most;
        bool moves = true;
        for (size_t v = 0; v < 2 * m; v++) far[v] = v < m && row_flow[v] < t->s.n ? 0 : INT64_MIN / 2, before[v] = v;
        while (moves) {
            moves = false;
            for (size_t i = 0; i < m; i++)
                for (size_t j = 0; j < m; j++) {
                    const size_t from = flows[i][j] ? m + j : i, to = flows[i][j] ? i : m + j;
                    const int64_t sum = far[from] + (flows[i][j] ? -t->weight[i][j] : t->weight[i][j]);
                    if (far[from] > INT64_MIN / 4 && sum > far[to]) far[to] = sum, before[to] = from, moves = true;
                }
        }
        for (size_t j = 0; j < m; j++)
            if (column_flow[j] < t->s.n && (end == 2 * most || far[m + j] > far[end])) end = m + j;
        total += far[end];
        column_flow[end - m]++;
        for (; before[end] != end; end = before[end])
            if (end >= m)
                flows[before[end]][end - m] = true;
            else
                flows[end][before[end] - m] = false;
        row_flow[end]++;
    }
    return total;
}

static int64_t kept_value(const tile *t, const matrix *mask) {
    int64_t sum = 0;
    for (size_t i = 0; i < t->rows; i++)
        for (size_t j = 0; j < t->columns; j++)
            if (bit_at(mask, t->row + i, t->column + j)) sum += t->weight[i][j];
    return sum;
}

// N in each line that has M places, otherwise no more.
static bool is_mask(const tile *t, const matrix *mask) {
    bool holds = true;
    for (size_t i = 0; i < most; i++) {
        size_t in_row = 0, in_column = 0;
        for (size_t j = 0; j < t->columns && i < t->rows; j++) in_row += bit_at(mask, t->row + i, t->column + j);
        for (size_t j = 0; j < t->rows && i < t->columns; j++) in_column += bit_at(mask, t->row + j, t->column + i);
        if (i < t->rows) holds &= t->columns == t->s.m ? in_row == t->s.n : in_row <= t->s.n;
        if (i < t->columns) holds &= t->rows == t->s.m ? in_column == t->s.n : in_column <= t->s.n;
    }
    return holds;
}

static void check_tiles(shape s, const matrix *w, ht_dtype type, const matrix *mask) {
    for (size_t row = 0; row < s.o; row += s.m)
        for (size_t column = 0; column < s.k; column += s.m) {
            if (s.m > 4 && next_random() % (s.m / 2)) continue;
            const tile t = make_tile(s, w, type, row, column);
            CHECK(is_mask(&t, mask));
            if (s.m <= 8 || !is_skipped()) CHECK(kept_value(&t, mask) == flow_value(&t));
        }
}

// MARK: masks

static ht_status mask_of(shape s, ht_dtype type, ht_transposable_method method, const matrix *w, matrix *mask,
                         const ht_options *options) {
    return WITH_FLOATS(type, ht_nm_transposable_mask, s.o, s.k, s.n, s.m, method, (void *)w->at, w->stride,
                       (uint8_t *)mask->at, mask->stride, options);
}

static const shape shapes[] = {
    {0, 8, 2, 4},     {4, 0, 2, 4},     {1, 1, 1, 1},    {1, 1, 2, 4},    {4, 4, 2, 4},     {8, 64, 2, 4},
    {13, 143, 2, 4},  {5, 1031, 2, 4},  {6, 41, 1, 4},   {8, 40, 3, 4},   {4, 9, 4, 4},     {8, 8, 4, 8},
    {24, 136, 4, 8},  {19, 275, 4, 8},  {3, 1100, 4, 8}, {16, 131, 1, 8}, {16, 200, 2, 8},  {9, 70, 7, 8},
    {16, 16, 8, 16},  {33, 290, 8, 16}, {40, 50, 1, 16}, {7, 300, 3, 16}, {32, 64, 16, 32}, {40, 70, 2, 32},
    {70, 33, 31, 32}, {3, 5, 1, 2},     {6, 40, 2, 3},   {11, 90, 3, 5},  {12, 70, 3, 6},   {15, 75, 4, 7},
    {20, 91, 5, 10},  {50, 60, 9, 25},
};

static void check_shape(shape s, ht_dtype type, kind k, size_t gap) {
    matrix w = make_weights(s, type, k, gap), first = make_matrix(s.o, (s.k + 7) / 8, gap);
    ht_options options = {.isa = HT_ISA_REF, .threads = 1};
    checking("transposable %zu:%zu of %zu x %zu, type %d, kind %d", s.n, s.m, s.o, s.k, type, k);
    CHECK(mask_of(s, type, HT_TRANSPOSABLE_EXACT, &w, &first, &options) == HT_OK);
    CHECK(gaps_are_filled(&first));
    CHECK(tails_are_clear(&first, s.k));
    check_tiles(s, &w, type, &first);
    EACH_ISA(options) {
        if (options.isa == HT_ISA_REF && options.threads == 1) continue;  // that was the first
        matrix mask = make_matrix(s.o, (s.k + 7) / 8, gap);
        checking("transposable %zu:%zu of %zu x %zu, type %d, kind %d, %s", s.n, s.m, s.o, s.k, type, k,
                 ht_isa_name(options.isa));
        CHECK(mask_of(s, type, HT_TRANSPOSABLE_EXACT, &w, &mask, &options) == HT_OK);
        CHECK(!memcmp(mask.at, first.at, mask.size));
        free(mask.at);
    }
    free(w.at), free(first.at);
}

static void check_shapes(void) {
    static const ht_dtype types[] = {HT_DTYPE_F32, HT_DTYPE_F16, HT_DTYPE_BF16};
    for (size_t i = 0; i < COUNT(shapes); i++)
        for (kind k = 0; k < KINDS; k++) {
            if (is_skipped()) continue;
            check_shape(shapes[i], HT_DTYPE_F32, k, k == GAUSSIAN ? 0 : next_random() % 4);
            if (k == GAUSSIAN || k == WILD) check_shape(shapes[i], types[1 + next_random() % 2], k, next_random() % 4);
        }
}

// MARK: what masks keep

static double kept_magnitude(shape s, const matrix *w, const matrix *mask) {
    double sum = 0;
    for (size_t i = 0; i < s.o; i++)
        for (size_t j = 0; j < s.k; j++)
            if (bit_at(mask, i, j)) sum += fabs((double)((float *)row_of(w, i))[j]);
    return sum;
}

static double by_method(shape s, const matrix *w, ht_transposable_method method, matrix *mask) {
    CHECK(mask_of(s, HT_DTYPE_F32, method, w, mask, NULL) == HT_OK);
    return kept_magnitude(s, w, mask);
}

static void transpose(shape s, const matrix *w, const matrix *to) {
    for (size_t i = 0; i < s.o; i++)
        for (size_t j = 0; j < s.k; j++) ((float *)row_of(to, j))[i] = ((float *)row_of(w, i))[j];
}

// Of Gaussian weights, against the mask of rows alone; of masked weights; and of transposed ones.
static void check_kept(size_t n, size_t m, double least, double most_kept) {
    const shape s = {160, 192, n, m}, turned = {192, 160, n, m};
    matrix w = make_weights(s, HT_DTYPE_F32, GAUSSIAN, 0), mask = make_matrix(s.o, s.k / 8, 0);
    matrix wt = make_matrix(s.k, s.o * 4, 0), mask_t = make_matrix(s.k, s.o / 8, 0);
    checking("what transposable %zu:%zu keeps", n, m);
    CHECK(ht_nm_mask_f32(s.o, s.k, n, m, (float *)(void *)w.at, 0, (uint8_t *)mask.at, 0, NULL) == HT_OK);
    const double of_rows = kept_magnitude(s, &w, &mask);
    transpose(s, &w, &wt);
    const double exact_turned = by_method(turned, &wt, HT_TRANSPOSABLE_EXACT, &mask_t);
    const double greedy = by_method(s, &w, HT_TRANSPOSABLE_GREEDY, &mask);
    const double dykstra = by_method(s, &w, HT_TRANSPOSABLE_DYKSTRA, &mask);
    const double exact = by_method(s, &w, HT_TRANSPOSABLE_EXACT, &mask);
    CHECK(exact > least * of_rows && exact < most_kept * of_rows);
    CHECK(fabs(exact_turned - exact) < 1e-6 * exact);
    CHECK(greedy > 0.997 * exact && greedy <= exact * (1 + 1e-6));
    CHECK(dykstra > 0.9995 * exact && dykstra <= exact * (1 + 1e-6));
    for (size_t i = 0; i < s.o; i++)
        for (size_t j = 0; j < s.k; j++)
            if (!bit_at(&mask, i, j)) ((float *)row_of(&w, i))[j] = 0;
    CHECK(fabs(by_method(s, &w, HT_TRANSPOSABLE_EXACT, &mask) - exact) < 1e-6 * exact);
    size_t size;
    CHECK(ht_nm_transposable_packed_size(s.o, s.k, n, m, HT_DTYPE_F32, NULL, &size) == HT_OK);
    void *packed = ht_allocate(size);
    CHECK(ht_nm_transposable_pack_f32(s.o, s.k, n, m, (float *)(void *)w.at, 0, (uint8_t *)mask.at, 0, packed, size,
                                      NULL) == HT_OK);
    ht_free(packed);
    free(w.at), free(mask.at), free(wt.at), free(mask_t.at);
}

// All 90 masks of 4 x 4.
static void check_all_masks(void) {
    const shape s = {4, 4, 2, 4};
    static const uint8_t pairs[6] = {3, 5, 6, 9, 10, 12};
    for (size_t repeat = 0; repeat < 200; repeat++) {
        matrix w = make_weights(s, HT_DTYPE_F32, repeat % 2 ? GAUSSIAN : FEW, 0), mask = make_matrix(4, 1, 0);
        double best = 0;
        for (size_t p = 0; p < 6 * 6 * 6 * 6; p++) {
            const uint8_t row[4] = {pairs[p % 6], pairs[p / 6 % 6], pairs[p / 36 % 6], pairs[p / 216]};
            matrix any = {.rows = 4, .stride = 1, .at = (char *)(uintptr_t)row};
            bool holds = true;
            for (size_t j = 0; j < 4; j++)
                holds &= bit_at(&any, 0, j) + bit_at(&any, 1, j) + bit_at(&any, 2, j) + bit_at(&any, 3, j) == 2;
            if (holds && kept_magnitude(s, &w, &any) > best) best = kept_magnitude(s, &w, &any);
        }
        checking("the 90 masks");
        CHECK(fabs(by_method(s, &w, HT_TRANSPOSABLE_EXACT, &mask) - best) <= 1e-6 * best);
        free(w.at), free(mask.at);
    }
}

// MARK: refreshed masks

static ht_status refresh_of(shape s, const matrix *w, matrix *mask, size_t *changed, const ht_options *options) {
    return ht_nm_transposable_refresh_f32(s.o, s.k, s.n, s.m, (float *)(void *)w->at, w->stride, (uint8_t *)mask->at,
                                          mask->stride, changed, options);
}

static void check_refreshed(shape s, const matrix *w, const matrix *before, bool is_other, const ht_options *options) {
    matrix mask = make_matrix(s.o, before->bytes, 0), again = make_matrix(s.o, before->bytes, 0);
    memcpy(mask.at, before->at, mask.size);
    size_t changed = 99, flips = 0;
    CHECK(refresh_of(s, w, &mask, &changed, options) == HT_OK);
    check_tiles(s, w, HT_DTYPE_F32, &mask);
    CHECK(tails_are_clear(&mask, s.k));
    for (size_t row = 0; row < s.o; row++)
        for (size_t c = 0; c < s.k; c++) flips += bit_at(&mask, row, c) && !bit_at(before, row, c);
    CHECK(changed == flips);
    CHECK(is_other || changed == 0);
    memcpy(again.at, mask.at, mask.size);
    CHECK(refresh_of(s, w, &again, &changed, options) == HT_OK);
    CHECK(changed == 0 && !memcmp(again.at, mask.at, mask.size));
    free(mask.at), free(again.at);
}

static void check_refresh(shape s) {
    matrix w = make_weights(s, HT_DTYPE_F32, GAUSSIAN, 0), mask = make_matrix(s.o, (s.k + 7) / 8, 0);
    ht_options options;
    CHECK(mask_of(s, HT_DTYPE_F32, HT_TRANSPOSABLE_EXACT, &w, &mask, NULL) == HT_OK);
    EACH_ISA(options) {
        checking("refresh of transposable %zu:%zu of %zu x %zu, %s", s.n, s.m, s.o, s.k, ht_isa_name(options.isa));
        check_refreshed(s, &w, &mask, false, &options);
    }
    for (size_t i = 0; i < s.o * s.k / 50 + 1; i++)
        set_weight(row_of(&w, next_random() % s.o), HT_DTYPE_F32, next_random() % s.k, GAUSSIAN);
    EACH_ISA(options) check_refreshed(s, &w, &mask, true, &options);
    // Equal weights: any mask that is one is left alone.
    for (size_t i = 0; i < s.o * s.k; i++) ((float *)(void *)w.at)[i] = 1;
    EACH_ISA(options) check_refreshed(s, &w, &mask, s.o % s.m || s.k % s.m, &options);
    // No mask at all, and bits behind the last column.
    for (size_t i = 0; i < s.o; i++)
        for (size_t j = 0; j < mask.bytes * 8; j++)
            if (next_random() % 2) flip(&mask, i, j);
    EACH_ISA(options) check_refreshed(s, &w, &mask, true, &options);
    free(w.at), free(mask.at);
}

// MARK: errors

static void check_errors(void) {
    float w[64] = {1};
    uint8_t mask[8];
    size_t changed = 77;
    const ht_options negative = {.threads = -1}, shared = {.shared_rows = 2}, unknown = {.isa = (ht_isa)99};
    memset(mask, 0x5a, sizeof mask);
    checking("errors of transposable masks");
#define MASK(n, m, method, w_stride, to, mask_stride, options) \
    ht_nm_transposable_mask_f32(8, 8, n, m, (ht_transposable_method)(method), w, w_stride, to, mask_stride, options)
    CHECK(MASK(0, 8, 0, 0, mask, 0, NULL) == HT_ERROR_PATTERN);
    CHECK(MASK(5, 4, 0, 0, mask, 0, NULL) == HT_ERROR_PATTERN);
    CHECK(MASK(4, 33, 0, 0, mask, 0, NULL) == HT_ERROR_PATTERN);
    CHECK(MASK(2, 4, 3, 0, mask, 0, NULL) == HT_ERROR_PATTERN);
    CHECK(MASK(2, 4, -1, 0, mask, 0, NULL) == HT_ERROR_PATTERN);
    CHECK(MASK(2, 4, 0, 0, mask, 0, &shared) == HT_ERROR_PATTERN);
    CHECK(MASK(2, 4, 0, 0, mask, 0, &negative) == HT_ERROR_THREADS);
    CHECK(MASK(2, 4, 0, 0, mask, 0, &unknown) == HT_ERROR_ISA);
    CHECK(MASK(2, 4, 0, 28, mask, 0, NULL) == HT_ERROR_STRIDE);
    CHECK(MASK(2, 4, 0, 34, mask, 0, NULL) == HT_ERROR_STRIDE);
    CHECK(MASK(2, 4, 0, 0, NULL, 0, NULL) == HT_ERROR_NULL);
    CHECK(ht_nm_transposable_mask_f32(8, 8, 2, 4, HT_TRANSPOSABLE_EXACT, NULL, 0, mask, 0, NULL) == HT_ERROR_NULL);
    CHECK(ht_nm_transposable_mask_f32(8, SIZE_MAX / 2, 2, 4, HT_TRANSPOSABLE_EXACT, w, 0, mask, 0, NULL) ==
          HT_ERROR_OVERFLOW);
    CHECK(ht_nm_transposable_mask_f32(8, 7, 2, 4, HT_TRANSPOSABLE_EXACT, (float *)(void *)((char *)w + 1), 0, mask, 0,
                                      NULL) == HT_ERROR_ALIGNMENT);
    CHECK(ht_nm_transposable_refresh_f32(8, 8, 4, 2, w, 0, mask, 0, &changed, NULL) == HT_ERROR_PATTERN);
    CHECK(ht_nm_transposable_refresh_f32(8, 8, 2, 4, w, 0, NULL, 0, &changed, NULL) == HT_ERROR_NULL);
    CHECK(changed == 77 && is_filled(mask, sizeof mask));
#undef MASK
}

void test_transposable_masks(void) {
    isa_count = runnable("transposable_mask", isas, COUNT(isas));
    CHECK(isa_count > 0 && isas[isa_count - 1] == HT_ISA_REF);
    check_shapes();
    check_all_masks();
    check_kept(2, 4, 0.94, 0.95);
    check_kept(4, 8, 0.96, 0.972);
    check_kept(8, 16, 0.978, 0.986);
    check_refresh((shape){8, 140, 2, 4});
    check_refresh((shape){8, 300, 4, 8});
    check_refresh((shape){6, 110, 2, 6});
    check_refresh((shape){10, 77, 4, 8});
    check_refresh((shape){16, 270, 8, 16});
    check_refresh((shape){9, 50, 2, 5});
    check_refresh((shape){64, 40, 4, 32});
    check_errors();
}
