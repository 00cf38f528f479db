// SPDX-License-Identifier: Apache-2.0
// From dense weights to a packed blob: the calls.
#include "core/threads.h"
#include "halftone/nm_gradient.h"
#include "step.h"

ht_nm_pack_request ht_nm_matrix_request(ht_blob_kind kind, size_t o, size_t k, size_t n, size_t m, ht_dtype dtype,
                                        const uint32_t *permutation) {
    bool forward = ht_nm_is_forward(kind);
    return (ht_nm_pack_request){.of = {.kind = kind,
                                       .rows = forward ? o : k,
                                       .taps = 1,
                                       .kernel_width = 1,
                                       .tap_columns = forward ? k : o,
                                       .n = n,
                                       .m = m,
                                       .dtype = dtype,
                                       .permuted = permutation},
                                .groups = 1,
                                .rows = o,
                                .columns = k,
                                .permutation = permutation};
}

ht_status ht_nm_filters_request(ht_blob_kind kind, const ht_conv_shape *shape, size_t n, size_t m, ht_dtype dtype,
                                const uint32_t *permutation, ht_nm_pack_request *out) {
    ht_conv conv;
    ht_status status = ht_nm_conv_make(shape, &conv);
    if (status) return status;
    const ht_conv_shape *s = &conv.shape;
    bool forward = kind == HT_BLOB_NM;
    size_t outputs = s->outputs / s->groups, channels = s->channels / s->groups;
    *out = (ht_nm_pack_request){.of = {.kind = kind,
                                       .rows = forward ? outputs : channels,
                                       .taps = s->kernel_height * s->kernel_width,
                                       .kernel_width = s->kernel_width,
                                       .tap_columns = forward ? channels : outputs,
                                       .n = n,
                                       .m = m,
                                       .dtype = dtype,
                                       .permuted = permutation},
                                .groups = s->groups,
                                .rows = s->outputs,
                                .permutation = permutation};
    return ht_mul(out->of.taps, channels, &out->columns) ? HT_OK : HT_ERROR_OVERFLOW;
}

// The layout of a group and the size of all.
static ht_status lay_out(const ht_nm_pack_request *asked, const ht_options *options, ht_nm_layout *l, size_t *bytes) {
    ht_nm_matrix of = asked->of;
    of.shared_taps = of.taps > 1 && options && options->shared_taps;
    ht_status status = ht_nm_shared_rows(options, &of.shared_rows);
    if (!status) status = ht_nm_layout_make(&of, l);
    if (!status && !ht_mul(l->bytes, asked->groups, bytes)) status = HT_ERROR_OVERFLOW;
    return status;
}

ht_status ht_nm_asked_size(const ht_nm_pack_request *asked, const ht_options *options, size_t *size) {
    ht_nm_layout l;
    size_t bytes;
    if (!size) return HT_ERROR_NULL;
    ht_status status = lay_out(asked, options, &l, &bytes);
    if (!status) *size = bytes;
    return status;
}

static ht_status check_second(ht_nm_packing *job, const ht_nm_pack_request *asked) {
    if (!job->taps || (!job->mask && asked->rows && asked->columns)) return HT_ERROR_NULL;
    return ht_check_matrix(job->second, asked->rows, asked->columns, sizeof *job->second, &job->second_stride);
}

static ht_status check_operands(ht_nm_packing *job, const ht_nm_pack_request *asked, size_t packed_size, size_t bytes) {
    ht_status status = ht_check_matrix(job->w, asked->rows, asked->columns, ht_nm_weight_bytes(job), &job->w_stride);
    if (!status && job->mask)
        status = ht_check_matrix(job->mask, asked->rows, ht_ceil_div(asked->columns, 8), 1, &job->mask_stride);
    if (!status && asked->of.branches) status = check_second(job, asked);
    if (status) return status;
    if (!job->packed) return HT_ERROR_NULL;
    if (!ht_is_aligned(job->packed, HT_ALIGNMENT)) return HT_ERROR_ALIGNMENT;
    return packed_size < bytes ? HT_ERROR_BUFFER_SIZE : HT_OK;
}

ht_status ht_nm_pack_prepare(const ht_nm_pack_request *asked, ht_nm_packing *job, size_t packed_size,
                             const ht_options *options) {
    size_t bytes;
    if (options && options->threads < 0) return HT_ERROR_THREADS;
    ht_status status = lay_out(asked, options, &job->layout, &bytes);
    return status ? status : check_operands(job, asked, packed_size, bytes);
}

ht_nm_packing ht_nm_packing_of_group(const ht_nm_packing *all, const ht_nm_pack_request *asked, size_t group) {
    ht_nm_packing job = *all;
    size_t each = asked->rows / asked->groups;
    job.first_row = group * each;
    if (asked->permutation) job.permutation = asked->permutation + group * each;
    job.packed = (char *)all->packed + group * all->layout.bytes;
    return job;
}

ht_status ht_nm_check_permutations(const ht_nm_pack_request *asked) {
    const size_t each = asked->rows / asked->groups;
    ht_status status = HT_OK;
    for (size_t group = 0; !status && asked->permutation && group < asked->groups; group++)
        status = ht_check_permutation(asked->permutation + group * each, each, group * each);
    return status;
}

ht_status ht_nm_pack_asked(const ht_nm_pack_request *asked, ht_nm_packing job, size_t packed_size,
                           const ht_options *options) {
    ht_status status = ht_nm_pack_prepare(asked, &job, packed_size, options);
    // An ISA that does not run here is no error of packing: without calls it is done all the same.
    ht_nm_pick_step_calls(options ? options->isa : HT_ISA_AUTO, &job.calls);
    if (!status) status = ht_nm_check_permutations(asked);
    for (size_t group = 0; !status && group < asked->groups; group++) {
        const ht_nm_packing part = ht_nm_packing_of_group(&job, asked, group);
        if (!ht_nm_packing_fits(&part)) status = HT_ERROR_NOT_SPARSE;
    }
    for (size_t group = 0; !status && group < asked->groups; group++) {
        const ht_nm_packing part = ht_nm_packing_of_group(&job, asked, group);
        ht_nm_pack_blob(&part, ht_resolve_threads(options ? options->threads : 0));
    }
    return status;
}

static ht_status pack_filters(ht_blob_kind kind, const ht_conv_shape *shape, size_t n, size_t m, ht_dtype dtype,
                              const uint32_t *permutation, ht_nm_packing job, size_t packed_size,
                              const ht_options *options) {
    ht_nm_pack_request asked;
    ht_status status = ht_nm_filters_request(kind, shape, n, m, dtype, permutation, &asked);
    return status ? status : ht_nm_pack_asked(&asked, job, packed_size, options);
}

ht_status ht_nm_packed_size(size_t o, size_t k, size_t n, size_t m, ht_dtype dtype, const ht_options *options,
                            size_t *size) {
    const ht_nm_pack_request asked = ht_nm_matrix_request(HT_BLOB_NM, o, k, n, m, dtype, NULL);
    return ht_nm_asked_size(&asked, options, size);
}

ht_status ht_nm_backward_packed_size(size_t o, size_t k, size_t n, size_t m, ht_dtype dtype,
                                     const uint32_t *permutation, const ht_options *options, size_t *size) {
    const ht_nm_pack_request asked = ht_nm_matrix_request(HT_BLOB_NM_BACKWARD, o, k, n, m, dtype, permutation);
    return ht_nm_asked_size(&asked, options, size);
}

ht_status ht_nm_transposable_packed_size(size_t o, size_t k, size_t n, size_t m, ht_dtype dtype,
                                         const ht_options *options, size_t *size) {
    const ht_nm_pack_request asked = ht_nm_matrix_request(HT_BLOB_NM_TRANSPOSABLE, o, k, n, m, dtype, NULL);
    return ht_nm_asked_size(&asked, options, size);
}

ht_status ht_nm_conv_packed_size(const ht_conv_shape *shape, size_t n, size_t m, ht_dtype dtype,
                                 const ht_options *options, size_t *size) {
    ht_nm_pack_request asked;
    ht_status status = ht_nm_filters_request(HT_BLOB_NM, shape, n, m, dtype, NULL, &asked);
    return status ? status : ht_nm_asked_size(&asked, options, size);
}

ht_status ht_nm_conv_backward_packed_size(const ht_conv_shape *shape, size_t n, size_t m, ht_dtype dtype,
                                          const uint32_t *permutation, const ht_options *options, size_t *size) {
    ht_nm_pack_request asked;
    ht_status status = ht_nm_filters_request(HT_BLOB_NM_BACKWARD, shape, n, m, dtype, permutation, &asked);
    return status ? status : ht_nm_asked_size(&asked, options, size);
}

#define JOB {.w = w, .w_stride = w_stride, .mask = mask, .mask_stride = mask_stride, .packed = packed}

#define DEFINE(suffix, element, dtype)                                                                         \
    ht_status ht_nm_pack_##suffix(size_t o, size_t k, size_t n, size_t m, const element *w, size_t w_stride,   \
                                  const uint8_t *mask, size_t mask_stride, void *packed, size_t packed_size,   \
                                  const ht_options *options) {                                                 \
        const ht_nm_pack_request asked = ht_nm_matrix_request(HT_BLOB_NM, o, k, n, m, dtype, NULL);            \
        return ht_nm_pack_asked(&asked, (ht_nm_packing)JOB, packed_size, options);                             \
    }                                                                                                          \
    ht_status ht_nm_conv_pack_##suffix(const ht_conv_shape *shape, size_t n, size_t m, const element *w,       \
                                       size_t w_stride, const uint8_t *mask, size_t mask_stride, void *packed, \
                                       size_t packed_size, const ht_options *options) {                        \
        return pack_filters(HT_BLOB_NM, shape, n, m, dtype, NULL, (ht_nm_packing)JOB, packed_size, options);   \
    }

#define DEFINE_TRANSPOSABLE(suffix, element, dtype)                                                                    \
    ht_status ht_nm_transposable_pack_##suffix(size_t o, size_t k, size_t n, size_t m, const element *w,               \
                                               size_t w_stride, const uint8_t *mask, size_t mask_stride, void *packed, \
                                               size_t packed_size, const ht_options *options) {                        \
        const ht_nm_pack_request asked = ht_nm_matrix_request(HT_BLOB_NM_TRANSPOSABLE, o, k, n, m, dtype, NULL);       \
        return ht_nm_pack_asked(&asked, (ht_nm_packing)JOB, packed_size, options);                                     \
    }

#define DEFINE_BACKWARD(suffix, element, dtype)                                                                       \
    ht_status ht_nm_backward_pack_##suffix(size_t o, size_t k, size_t n, size_t m, const element *w, size_t w_stride, \
                                           const uint8_t *mask, size_t mask_stride, const uint32_t *permutation,      \
                                           void *packed, size_t packed_size, const ht_options *options) {             \
        const ht_nm_pack_request asked = ht_nm_matrix_request(HT_BLOB_NM_BACKWARD, o, k, n, m, dtype, permutation);   \
        return ht_nm_pack_asked(&asked, (ht_nm_packing)JOB, packed_size, options);                                    \
    }                                                                                                                 \
    ht_status ht_nm_conv_backward_pack_##suffix(const ht_conv_shape *shape, size_t n, size_t m, const element *w,     \
                                                size_t w_stride, const uint8_t *mask, size_t mask_stride,             \
                                                const uint32_t *permutation, void *packed, size_t packed_size,        \
                                                const ht_options *options) {                                          \
        return pack_filters(HT_BLOB_NM_BACKWARD, shape, n, m, dtype, permutation, (ht_nm_packing)JOB, packed_size,    \
                            options);                                                                                 \
    }

DEFINE(f32, float, HT_DTYPE_F32)
DEFINE(f16, uint16_t, HT_DTYPE_F16)
DEFINE(bf16, uint16_t, HT_DTYPE_BF16)
DEFINE(i8, int8_t, HT_DTYPE_I8)
DEFINE_BACKWARD(f32, float, HT_DTYPE_F32)
DEFINE_BACKWARD(f16, uint16_t, HT_DTYPE_F16)
DEFINE_BACKWARD(bf16, uint16_t, HT_DTYPE_BF16)
DEFINE_TRANSPOSABLE(f32, float, HT_DTYPE_F32)
DEFINE_TRANSPOSABLE(f16, uint16_t, HT_DTYPE_F16)
DEFINE_TRANSPOSABLE(bf16, uint16_t, HT_DTYPE_BF16)
