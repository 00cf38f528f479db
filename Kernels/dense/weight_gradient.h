// SPDX-License-Identifier: Apache-2.0
// The weight gradient with the vectors of any ISA: included behind core/vec_<isa>.h, where ROWS and VECTORS say how
// large a tile of dW stays in registers. README.md has the bound.
#ifndef HT_DENSE_WEIGHT_GRADIENT_H
#define HT_DENSE_WEIGHT_GRADIENT_H

#include <string.h>

#include "core/memory.h"
#include "kernels.h"

enum { WIDTH = VECTORS * HT_VEC_LANES };

static float *dw_at(const ht_weight_gradient_task *task, size_t o, size_t k) {
    return (float *)((char *)task->dw + o * task->dw_stride) + k;
}

static const float *line_of(const float *matrix, size_t stride, size_t t) {
    return (const float *)((const char *)matrix + t * stride);
}

// Rows o ..< end of dY, transposed: [tile][sample][ROWS], zero behind the last row.
static void pack_dy(const ht_weight_gradient_task *task, size_t t, size_t samples, size_t o, size_t end, float *to) {
    for (; o < end; o += ROWS)
        for (size_t i = 0; i < samples; i++, to += ROWS) {
            const float *from = line_of(task->dy, task->dy_stride, t + i) + o;
            if (end - o >= ROWS) {
                memcpy(to, from, ROWS * sizeof *to);
            } else {
                memset(to, 0, ROWS * sizeof *to);
                memcpy(to, from, (end - o) * sizeof *to);
            }
        }
}

// Columns k ..< k + columns of X: [sample][WIDTH], zero behind the last column.
static void pack_x(const ht_weight_gradient_task *task, size_t t, size_t samples, size_t k, size_t columns, float *to) {
    for (size_t i = 0; i < samples; i++, to += WIDTH) {
        const float *from = line_of(task->x, task->x_stride, t + i) + k;
        HT_UNROLL
        for (size_t c = 0; c < WIDTH; c += HT_VEC_LANES)
            ht_vstore(to + c, ht_load_f32(from + c, ht_first_lanes(c < columns ? columns - c : 0)));
    }
}

// Copies some columns of a pixel, or zeros where there is none.
HT_INLINE void copy_pixel(const float *pixel, size_t columns, float *to) {
    for (size_t c = 0; c < columns; c += HT_VEC_LANES) {
        const ht_lanes in = ht_first_lanes(columns - c);
        ht_store_f32(to + c, pixel ? ht_load_f32(pixel + c, in) : ht_vsplat(0), in);
    }
}

// As pack_x, where X is an image.
static void pack_image(const ht_weight_gradient_task *task, size_t t, size_t samples, size_t k, size_t columns,
                       float *to) {
    const void *pixels[HT_DENSE_SAMPLES];
    if (columns < WIDTH) memset(to, 0, samples * WIDTH * sizeof *to);
    for (size_t c = 0, each; c < columns; c += each) {
        const size_t tap = (k + c) / task->channels, channel = (k + c) % task->channels;
        each = ht_min(columns - c, task->channels - channel);
        ht_nm_image_pixels(task->image, task->x + channel, task->x_stride, t, samples, task->taps[tap], NULL, pixels);
        for (size_t i = 0; i < samples; i++) copy_pixel(pixels[i], each, to + i * WIDTH + c);
    }
}

// Some samples that are outputs at one tap, the last tap first.
typedef struct outputs_at {
    size_t tap, output, count;
} outputs_at;

static outputs_at outputs_from(const ht_weight_gradient_task *task, size_t t, size_t end) {
    const size_t output = t % task->outputs;
    return (outputs_at){t / task->outputs, output, ht_min(task->outputs - output, end - t)};
}

// A vector of some lines becomes rows of a tile: [value][ROWS].
HT_INLINE void turn_lines(const float *const *lines, size_t from, size_t values, float *to) {
    HT_UNROLL
    for (size_t first = 0; first < ROWS; first += HT_VEC_LANES) {
        ht_vec r[HT_VEC_LANES];
        HT_UNROLL
        for (size_t i = 0; i < HT_VEC_LANES; i++)
            r[i] = first + i < ROWS && lines[first + i] ? ht_load_f32(lines[first + i] + from, ht_first_lanes(values))
                                                        : ht_vsplat(0);
        ht_vtranspose(r);
        HT_UNROLL
        for (size_t n = 0; n < HT_VEC_LANES; n++)
            if (n < values) ht_store_f32(to + n * ROWS + first, r[n], ht_first_lanes(ROWS - first));
    }
}

// Of the outputs at a tap what each of some pixels sees: [output][ROWS], zero behind the last pixel.
static void pack_seen(const ht_weight_gradient_task *task, const outputs_at *at, size_t pixel, size_t rows, float *to) {
    const void *pixels[ROWS] = {NULL};
    const float *lines[ROWS];
    ht_nm_image_pixels(task->image, task->dy + at->output, task->dy_stride, pixel, rows, at->tap, NULL, pixels);
    for (size_t r = 0; r < ROWS; r++) lines[r] = pixels[r];
    for (size_t i = 0; i < at->count; i += HT_VEC_LANES)
        turn_lines(lines, i, ht_min(HT_VEC_LANES, at->count - i), to + i * ROWS);
}

// As pack_dy, where dY is an image.
static void pack_image_dy(const ht_weight_gradient_task *task, size_t t, size_t samples, size_t o, size_t end,
                          float *to) {
    for (; o < end; o += ROWS)
        for (size_t i = 0; i < samples;) {
            const outputs_at at = outputs_from(task, t + i, t + samples);
            pack_seen(task, &at, o, ht_min(ROWS, end - o), to);
            to += at.count * ROWS;
            i += at.count;
        }
}

// As pack_x, where X is W.
static void pack_w(const ht_weight_gradient_task *task, size_t t, size_t samples, size_t k, size_t columns, float *to) {
    if (columns < WIDTH) memset(to, 0, samples * WIDTH * sizeof *to);
    for (size_t i = 0; i < samples;) {
        const outputs_at at = outputs_from(task, t + i, t + samples);
        const size_t column = (task->tap_count - 1 - at.tap) * task->channels + k;
        for (size_t n = 0; n < at.count; n++, i++, to += WIDTH)
            copy_pixel(line_of(task->x, task->x_stride, at.output + n) + column, columns, to);
    }
}

typedef void pack_samples(const ht_weight_gradient_task *task, size_t t, size_t samples, size_t first, size_t last,
                          float *to);

static pack_samples *const dy_packs[] = {pack_dy, pack_dy, pack_image_dy};
static pack_samples *const x_packs[] = {pack_x, pack_image, pack_w};

// Rows of dW are far apart, and no core fetches the next tile by itself.
HT_INLINE void fetch_tile(const float *dw, size_t dw_stride, size_t rows, const size_t vectors) {
    for (size_t r = 0; r < rows; r++) {
        HT_UNROLL
        for (size_t v = 0; v < vectors; v++)
            __builtin_prefetch((const char *)dw + r * dw_stride + v * sizeof(ht_vec), 1, 3);
    }
}

// Adds the products of some samples to a tile of dW, or begins it. `vectors`, a constant, hold all of its columns.
HT_INLINE void add_vectors(const float *dy, const float *x, size_t samples, bool first, float *dw, size_t dw_stride,
                           size_t rows, size_t columns, const size_t vectors) {
    ht_vec sums[ROWS][VECTORS];
    ht_lanes in[VECTORS];
    HT_UNROLL
    for (size_t v = 0; v < vectors; v++)
        in[v] = ht_first_lanes(columns > v * HT_VEC_LANES ? columns - v * HT_VEC_LANES : 0);
    HT_UNROLL
    for (size_t r = 0; r < ROWS; r++) {
        const float *from = (const float *)((const char *)dw + r * dw_stride);
        HT_UNROLL
        for (size_t v = 0; v < vectors; v++)
            sums[r][v] = first || r >= rows ? ht_vsplat(0) : ht_load_f32(from + v * HT_VEC_LANES, in[v]);
    }
    fetch_tile(dw, dw_stride, rows, vectors);
    for (size_t i = 0; i < samples; i++, x += WIDTH, dy += ROWS) {
        ht_vec line[VECTORS];
        HT_UNROLL
        for (size_t v = 0; v < vectors; v++) line[v] = ht_vload(x + v * HT_VEC_LANES);
        HT_UNROLL
        for (size_t r = 0; r < ROWS; r++) {
            ht_vec each = ht_vsplat(dy[r]);
            HT_UNROLL
            for (size_t v = 0; v < vectors; v++) sums[r][v] = ht_vfma(each, line[v], sums[r][v]);
        }
    }
    HT_UNROLL
    for (size_t r = 0; r < ROWS; r++) {
        float *to = (float *)((char *)dw + r * dw_stride);
        HT_UNROLL
        for (size_t v = 0; v < vectors; v++)
            if (r < rows) ht_store_f32(to + v * HT_VEC_LANES, sums[r][v], in[v]);
    }
}

// Behind the last whole tile there are often less columns, for which fewer vectors do.
static void add_tile(const float *dy, const float *x, size_t samples, bool first, float *dw, size_t dw_stride,
                     size_t rows, size_t columns) {
    if (columns <= HT_VEC_LANES)
        add_vectors(dy, x, samples, first, dw, dw_stride, rows, columns, 1);
    else if (columns <= 2 * HT_VEC_LANES)
        add_vectors(dy, x, samples, first, dw, dw_stride, rows, columns, 2);
    else
        add_vectors(dy, x, samples, first, dw, dw_stride, rows, columns, VECTORS);
}

// A chain of additions goes on from one block of samples to the next through dW, whose type is the chain's.
static void weight_gradient(const ht_weight_gradient_task *task) {
    float *dy = task->scratch, *x = dy + HT_DENSE_SAMPLES * HT_DENSE_ROWS;
    for (size_t t = 0; t < task->t; t += HT_DENSE_SAMPLES)
        for (size_t o = task->o_begin; o < task->o_end; o += HT_DENSE_ROWS) {
            const size_t samples = ht_min(HT_DENSE_SAMPLES, task->t - t), end = ht_min(task->o_end, o + HT_DENSE_ROWS);
            dy_packs[task->product](task, t, samples, o, end, dy);
            for (size_t k = task->k_begin; k < task->k_end; k += WIDTH) {
                const size_t columns = ht_min(WIDTH, task->k_end - k);
                x_packs[task->product](task, t, samples, k, columns, x);
                for (size_t r = o; r < end; r += ROWS)
                    add_tile(dy + (r - o) * samples, x, samples, t == 0, dw_at(task, r, k), task->dw_stride,
                             ht_min(ROWS, end - r), columns);
            }
        }
}

#endif
