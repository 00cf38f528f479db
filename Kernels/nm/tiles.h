// SPDX-License-Identifier: Apache-2.0
// Packing X and storing Y with the vectors of any ISA: included behind core/vec_<isa>.h.
#ifndef HT_NM_TILES_H
#define HT_NM_TILES_H

#include "core/epilogue.h"
#include "panels.h"

// One vector of lines and one of their values, of which `whole` says that all are there.
HT_INLINE void load_lines(ht_vec tile[HT_VEC_LANES], const float *const lines[HT_VEC_LANES], size_t k, size_t columns,
                          const bool whole) {
    const ht_lanes in = ht_first_lanes(k < columns ? columns - k : 0);
    HT_UNROLL
    for (size_t i = 0; i < HT_VEC_LANES; i++) {
        tile[i] = whole ? ht_vload_unaligned(lines[i] + k) : ht_load_f32(lines[i] + k, in);
        __builtin_prefetch(lines[i] + k + 128, 0, 2);
    }
    ht_vtranspose(tile);
}

// Zeros instead of lines that there are not, so that loops over columns, at most those of a block, have no branches.
HT_INLINE void find_all_lines(const void *const *lines, size_t rows, const float *all[HT_VEC_LANES]) {
    static const float zeros[HT_NM_MAX_COLUMNS];
    for (size_t i = 0; i < HT_VEC_LANES; i++) all[i] = i < rows && lines[i] ? lines[i] : zeros;
}

static void pack_lines(const void *const *lines, size_t rows, size_t columns, size_t padded, size_t width,
                       float *panel) {
    for (size_t t = 0; t < width; t += HT_VEC_LANES) {
        const float *from[HT_VEC_LANES];
        find_all_lines(lines + t, t < rows ? rows - t : 0, from);
        size_t k = 0;
        for (; k + HT_VEC_LANES <= columns; k += HT_VEC_LANES) {
            ht_vec tile[HT_VEC_LANES];
            load_lines(tile, from, k, columns, true);
            HT_UNROLL
            for (size_t i = 0; i < HT_VEC_LANES; i++) ht_vstore(panel + (k + i) * width + t, tile[i]);
        }
        for (; k < padded; k += HT_VEC_LANES) {
            ht_vec tile[HT_VEC_LANES];
            load_lines(tile, from, k, columns, false);
            for (size_t i = 0; i < HT_VEC_LANES && k + i < padded; i++) ht_vstore(panel + (k + i) * width + t, tile[i]);
        }
    }
}

static void scatter_lines(const void *const *lines, size_t rows, size_t columns, const uint32_t *panel_lines,
                          size_t width, void *panel) {
    for (size_t t = 0; t < width; t += HT_VEC_LANES)
        for (size_t k = 0; k < columns; k += HT_VEC_LANES) {
            const ht_lanes in = ht_first_lanes(columns - k);
            ht_vec tile[HT_VEC_LANES];
            HT_UNROLL
            for (size_t i = 0; i < HT_VEC_LANES; i++) {
                const float *from = t + i < rows ? lines[t + i] : NULL;
                tile[i] = from ? ht_load_f32(from + k, in) : ht_vsplat(0);
                if (from) __builtin_prefetch(from + k + 128, 0, 2);
            }
            ht_vtranspose(tile);
            HT_UNROLL
            for (size_t i = 0; i < HT_VEC_LANES; i++)
                if (k + i < columns) ht_vstore((float *)panel + panel_lines[k + i] * width + t, tile[i]);
        }
}

HT_INLINE const float *feature_at(const float *x, size_t x_stride, const uint32_t *order, size_t k) {
    return (const float *)((const char *)x + (order ? order[k] : k) * x_stride);
}

// Lines are far apart, and no core fetches the next ones by itself.
static void pack_features(const float *x, size_t x_stride, const uint32_t *order, size_t rows, size_t columns,
                          size_t padded, size_t width, float *panel) {
    enum { ahead = 16 };
    for (size_t t = 0; t < width; t += HT_VEC_LANES) {
        const ht_lanes in = ht_first_lanes(t < rows ? rows - t : 0);
        for (size_t k = 0; k < padded; k++) {
            const bool there = k < columns;
            ht_vstore(panel + k * width + t,
                      there ? ht_load_f32(feature_at(x, x_stride, order, k) + t, in) : ht_vsplat(0));
            if (!order || k + ahead < columns) __builtin_prefetch(feature_at(x, x_stride, order, k + ahead) + t, 0, 2);
        }
    }
}

// Where a vector of sums goes: a target with its epilogue. `plain` is a constant, so that loops over sums that are only
// cut off and stored as f32 have no branches.
typedef struct outlet {
    const ht_nm_target *target;
    ht_finish finish;
    size_t ahead;  // bytes to the residual of the next 16 columns, which no prefetcher of the core foresees
} outlet;

HT_INLINE outlet make_outlet(const ht_nm_target *target, size_t ahead) {
    return (outlet){target, ht_make_finish(target->epilogue, target->dtype), ahead};
}

HT_INLINE bool is_plain(const outlet *to) { return ht_only_cuts_off(&to->finish) && to->target->dtype == HT_DTYPE_F32; }

HT_INLINE void put_f32(const ht_nm_target *target, float *y, ht_vec v, ht_lanes in) {
#ifdef HT_VEC_STREAMS
    if (target->streams && ht_is_whole(in)) {
        ht_vstream(y, v);
        return;
    }
#endif
    (void)target;
    ht_store_f32(y, v, in);
}

// `place` counts values from the beginning of a line.
HT_INLINE void put(const outlet *to, size_t line, size_t place, ht_vec v, ht_lanes in, const bool plain) {
    const ht_nm_target *target = to->target;
    char *y = target->y + line * target->y_stride;
    if (plain) {
        put_f32(target, (float *)y + place, ht_cut_off(&to->finish, v), in);
        return;
    }
    const char *residual = target->residual;
    if (residual) {
        residual += line * target->residual_stride + place * to->finish.residual_size;
        __builtin_prefetch(residual + to->ahead, 0, 2);
    }
    v = ht_finished(&to->finish, v, residual, in);
    if (target->dtype == HT_DTYPE_BF16)
        ht_store_bf16((uint16_t *)y + place, v, in);
    else
        put_f32(target, (float *)y + place, v, in);
}

HT_INLINE ht_vec bias_of_lanes(const outlet *to, size_t o, ht_lanes in) {
    return to->target->bias ? ht_load_f32(to->target->bias + o, in) : ht_vsplat(0);
}

// The sums of one vector of rows and one of columns, a row in each vector.
HT_INLINE void load_tile(ht_vec tile[HT_VEC_LANES], const float *sums, size_t width) {
    HT_UNROLL
    for (size_t i = 0; i < HT_VEC_LANES; i++) tile[i] = ht_vload(sums + i * width);
    ht_vtranspose(tile);
}

#ifdef HT_VEC_STREAMS
// A whole tile that is only cut off. Unrolled, so that it never leaves the registers.
HT_INLINE void stream_tile(const outlet *to, const float *sums, size_t width, size_t line, size_t place, ht_vec bias) {
    ht_vec tile[HT_VEC_LANES];
    load_tile(tile, sums, width);
    char *y = to->target->y + line * to->target->y_stride;
    HT_UNROLL
    for (size_t i = 0; i < HT_VEC_LANES; i++)
        ht_vstream((float *)(y + i * to->target->y_stride) + place, ht_cut_off(&to->finish, ht_vadd(tile[i], bias)));
}
#endif

HT_INLINE void store_with(const outlet *to, const float *sums, size_t width, size_t rows, size_t columns,
                          const bool plain) {
    for (size_t o = 0; o < columns; o += HT_VEC_LANES) {
        const ht_lanes in = ht_first_lanes(columns - o);
        const ht_vec bias = bias_of_lanes(to, o, in);
        for (size_t t = 0; t < rows; t += HT_VEC_LANES) {
#ifdef HT_VEC_STREAMS
            if (plain && to->target->streams && rows - t >= HT_VEC_LANES && columns - o >= HT_VEC_LANES) {
                stream_tile(to, sums + o * width + t, width, t, o, bias);
                continue;
            }
#endif
            ht_vec tile[HT_VEC_LANES];
            load_tile(tile, sums + o * width + t, width);
            for (size_t i = 0; i < HT_VEC_LANES && t + i < rows; i++)
                put(to, t + i, o, ht_vadd(tile[i], bias), in, plain);
        }
    }
}

static void store(const float *sums, size_t width, size_t rows, size_t columns, const ht_nm_target *target) {
    const outlet to = make_outlet(target, HT_NM_STRIP * sizeof(float));
    if (is_plain(&to))
        store_with(&to, sums, width, rows, columns, true);
    else
        store_with(&to, sums, width, rows, columns, false);
}

static void store_rows(const float *sums, size_t rows, size_t columns, const ht_nm_target *target) {
    const outlet to = make_outlet(target, HT_NM_STRIP * sizeof(float));
    for (size_t o = 0; o < columns; o += HT_VEC_LANES) {
        const ht_lanes in = ht_first_lanes(columns - o);
        const ht_vec bias = bias_of_lanes(&to, o, in);
        for (size_t r = 0; r < rows; r++)
            put(&to, r, o, ht_vadd(ht_vload(sums + r * HT_NM_STRIP + o), bias), in, false);
    }
}

#ifdef HT_VEC_GRIDS
// Pieces are whole vectors of columns.
static void pack_pixels(const void *const *pixels, size_t columns, size_t padded, size_t piece, size_t apart,
                        float *to) {
    for (size_t begin = 0; begin < padded; begin += HT_NM_MAX_COLUMNS) {
        const size_t end = ht_min(padded, begin + HT_NM_MAX_COLUMNS);
        const void *lines[HT_VEC_LANES];
        const float *from[HT_VEC_LANES];
        for (size_t i = 0; i < HT_VEC_LANES; i++) lines[i] = pixels[i] ? (const float *)pixels[i] + begin : NULL;
        find_all_lines(lines, HT_VEC_LANES, from);
        for (size_t k = begin; k < end; k += HT_VEC_LANES) {
            ht_vec tile[HT_VEC_LANES];
            if (k + HT_VEC_LANES <= columns)
                load_lines(tile, from, k - begin, columns - begin, true);
            else
                load_lines(tile, from, k - begin, columns > begin ? columns - begin : 0, false);
            float *at = to + k / piece * apart + k % piece * HT_VEC_LANES;
            HT_UNROLL
            for (size_t i = 0; i < HT_VEC_LANES; i++) ht_vstore(at + i * HT_VEC_LANES, tile[i]);
        }
    }
}

HT_INLINE void store_pixels_with(const outlet *to, const float *sums, size_t width, const size_t *lines, size_t columns,
                                 const bool plain) {
    const ht_lanes in = ht_first_lanes(columns);
    const ht_vec bias = bias_of_lanes(to, 0, in);
    for (size_t t = 0; t < width; t += HT_VEC_LANES) {
        ht_vec tile[HT_VEC_LANES];
        load_tile(tile, sums + t, width);
        HT_UNROLL
        for (size_t i = 0; i < HT_VEC_LANES; i++)
            if (lines[t + i] != SIZE_MAX) put(to, lines[t + i], 0, ht_vadd(tile[i], bias), in, plain);
    }
}

static void store_pixels(const float *sums, size_t width, const size_t *lines, size_t columns,
                         const ht_nm_target *target) {
    const outlet to = make_outlet(target, HT_NM_STRIP * sizeof(float));
    if (is_plain(&to))
        store_pixels_with(&to, sums, width, lines, columns, true);
    else
        store_pixels_with(&to, sums, width, lines, columns, false);
}
#endif

HT_INLINE void store_features_with(const outlet *to, const float *sums, size_t width, size_t rows, size_t columns,
                                   const bool plain) {
    for (size_t o = 0; o < columns; o++) {
        const ht_vec bias = ht_vsplat(to->target->bias ? to->target->bias[o] : 0);
        for (size_t t = 0; t < rows; t += HT_VEC_LANES)
            put(to, o, t, ht_vadd(ht_vload(sums + o * width + t), bias), ht_first_lanes(rows - t), plain);
    }
}

static void store_features(const float *sums, size_t width, size_t rows, size_t columns, const ht_nm_target *target) {
    const outlet to = make_outlet(target, HT_NM_STRIP * target->residual_stride);
    if (is_plain(&to))
        store_features_with(&to, sums, width, rows, columns, true);
    else
        store_features_with(&to, sums, width, rows, columns, false);
}

// The members of ht_nm_vectors that are made here.
#define TILE_FUNCTIONS                                                                        \
    .pack_lines = pack_lines, .scatter_lines = scatter_lines, .pack_features = pack_features, \
    .store = {store, store_features}, .store_rows = store_rows

#endif
