// SPDX-License-Identifier: Apache-2.0
// The N:M kernels, one name each, and their dispatch table.
#ifndef HT_NM_KERNELS_H
#define HT_NM_KERNELS_H

#include "core/isa.h"
#include "halftone/plan.h"
#include "image.h"

enum { HT_NM_WIDEST_PANEL = 64 };  // rows of X

/// Rows of X that meet the weights in one design.
typedef struct ht_nm_passes {
    size_t rows;    // of X, idle lanes included
    size_t passes;  // how often each weight is taken up for them
} ht_nm_passes;

/// How a kernel goes about t rows of Y. One that says nothing counts as the reference.
typedef struct ht_nm_schedule {
    size_t t;              // asked for
    ht_nm_design design;   // of the first rows
    size_t rows, columns;  // of Y worked on at a time
    size_t panel;          // rows of X in the widest panel, or in the largest pass
    ht_nm_passes panels, strips;
    size_t reads;          // how often the weights are read from where they lie,
    size_t prepared;       // and widened or their indices unpacked into scratch memory
} ht_nm_schedule;

/// One thread's share of a product, checked: rows t_begin ..< t_end and columns o_begin ..< o_end of Y.
typedef struct ht_nm_task {
    const ht_nm_layout *layout;
    const void *packed;
    const void *x;
    size_t x_stride;            // bytes
    ht_dtype x_dtype;
    ht_order x_order;
    const ht_nm_image *image;   // null, or: X is this image, in rows, and t counts the pixels of Y
    const uint32_t *permutation;  // null, or: place j of the only tap is column permutation[j] of X,
    const uint32_t *panel_lines;  // and column c of X stands at line panel_lines[c] of a panel of all blocks
    void *y;
    size_t y_stride;            // bytes
    ht_dtype y_dtype;
    ht_order y_order;
    size_t t_begin, t_end;
    size_t o_begin, o_end;      // o_begin is a multiple of 16
    ht_epilogue epilogue;       // its residual stride is filled in; output is y_dtype
    void *scratch;              // as much as the product's scratch function says, 64-byte aligned
    ht_nm_schedule *schedule;  // null, or: there is no part of Y, say only how one of schedule->t rows would be done
} ht_nm_task;

/// Where `rows` samples of X begin at a column of the segment's tap, X in rows; null for a pixel that there is not.
void ht_nm_x_lines(const ht_nm_task *task, size_t t, size_t rows, const ht_nm_segment *at, const void *none,
                   const void **lines);

/// Copies `columns` values of each of `rows` lines into panel[padded][width], zero where there is no line or value.
typedef void ht_nm_pack_lines(const void *const *lines, size_t rows, size_t columns, size_t padded, size_t width,
                              void *panel);

/// Packs block b of up to HT_NM_WIDEST_PANEL samples of X, X in rows, into a panel of elements as wide as those of X.
void ht_nm_pack_block(const ht_nm_task *task, size_t t, size_t rows, size_t b, ht_nm_pack_lines *pack, size_t width,
                      void *panel);

/// Copies `columns` values of each of `rows` lines into panel[panel_lines[column]][width].
typedef void ht_nm_scatter_lines(const void *const *lines, size_t rows, size_t columns, const uint32_t *panel_lines,
                                 size_t width, void *panel);

/// Packs all blocks of up to HT_NM_WIDEST_PANEL samples of a permuted X in rows, element by element as wide as those of
/// X: the columns are read as they lie, and only where a line of the panel goes is permuted.
void ht_nm_pack_permuted(const ht_nm_task *task, size_t t, size_t rows, ht_nm_scatter_lines *scatter, size_t width,
                         void *panel);

/// Where all columns of a sample of X in rows begin whose weights have one tap; null for a pixel that there is not.
const void *ht_nm_x_line(const ht_nm_task *task, size_t t);

/// One value of X; null in the padding of a tap and outside the image.
const void *ht_nm_x_element(const ht_nm_task *task, size_t t, size_t column);

typedef void ht_nm_gemm_kernel(const ht_nm_task *task);

ht_nm_gemm_kernel ht_nm_gemm_f32_ref, ht_nm_gemm_f32_avx2, ht_nm_gemm_f32_avx512, ht_nm_gemm_f32_neon;
ht_nm_gemm_kernel ht_nm_gemm_i8_ref, ht_nm_gemm_i8_avx2, ht_nm_gemm_i8_avxvnni, ht_nm_gemm_i8_avx512vnni;
ht_nm_gemm_kernel ht_nm_gemm_i8_neon, ht_nm_gemm_i8_neondot, ht_nm_gemm_i8_neoni8mm;
extern const ht_entry ht_nm_gemm_f32_table[];
extern const ht_entry ht_nm_gemm_bf16_table[];
extern const ht_entry ht_nm_gemm_i8_table[];
extern const ht_entry ht_nm_sampled_gradient_f32_table[];
extern const ht_entry ht_nm_step_pack_table[];

/// The kernel and the number of threads for X and W of these types. Errors: BLOB_DTYPE, THREADS, ISA.
ht_status ht_nm_choose_kernel(ht_dtype x, ht_dtype w, const ht_options *options, const ht_entry **entry, int *threads);

/// How Y is cut for so many threads.
void ht_nm_choose_pieces(size_t rows, size_t columns, int threads, size_t *row_pieces, size_t *column_pieces);

#endif
