// SPDX-License-Identifier: Apache-2.0
// Both branches of a convolution in one blob: one index table, two tables of values.
#include "halftone/spre.h"
#include "nm/packing.h"

static ht_status ask(ht_blob_kind kind, const ht_conv_shape *shape, size_t n, size_t m, const uint32_t *permutation,
                     ht_nm_pack_request *asked) {
    ht_status status = ht_nm_filters_request(kind, shape, n, m, HT_DTYPE_F32, permutation, asked);
    asked->of.branches = true;
    return status;
}

static ht_status size_of(ht_blob_kind kind, const ht_conv_shape *shape, size_t n, size_t m, const uint32_t *permutation,
                         const ht_options *options, size_t *size) {
    ht_nm_pack_request asked;
    ht_status status = ask(kind, shape, n, m, permutation, &asked);
    return status ? status : ht_nm_asked_size(&asked, options, size);
}

static ht_status pack(ht_blob_kind kind, const ht_conv_shape *shape, size_t n, size_t m, const uint32_t *permutation,
                      ht_nm_packing job, size_t packed_size, const ht_options *options) {
    ht_nm_pack_request asked;
    ht_status status = ask(kind, shape, n, m, permutation, &asked);
    return status ? status : ht_nm_pack_asked(&asked, job, packed_size, options);
}

ht_status ht_spre_packed_size(const ht_conv_shape *shape, size_t n, size_t m, const ht_options *options, size_t *size) {
    return size_of(HT_BLOB_NM, shape, n, m, NULL, options, size);
}

ht_status ht_spre_backward_packed_size(const ht_conv_shape *shape, size_t n, size_t m, const uint32_t *permutation,
                                       const ht_options *options, size_t *size) {
    return size_of(HT_BLOB_NM_BACKWARD, shape, n, m, permutation, options, size);
}

#define BRANCHES                 \
    {.w = w,                     \
     .w_stride = w_stride,       \
     .mask = mask,               \
     .mask_stride = mask_stride, \
     .packed = packed,           \
     .second = r,                \
     .second_stride = r_stride,  \
     .taps = taps}

ht_status ht_spre_pack_f32(const ht_conv_shape *shape, size_t n, size_t m, const float *w, size_t w_stride,
                           const uint8_t *mask, size_t mask_stride, const float *r, size_t r_stride,
                           const uint8_t *taps, void *packed, size_t packed_size, const ht_options *options) {
    return pack(HT_BLOB_NM, shape, n, m, NULL, (ht_nm_packing)BRANCHES, packed_size, options);
}

ht_status ht_spre_backward_pack_f32(const ht_conv_shape *shape, size_t n, size_t m, const float *w, size_t w_stride,
                                    const uint8_t *mask, size_t mask_stride, const float *r, size_t r_stride,
                                    const uint8_t *taps, const uint32_t *permutation, void *packed, size_t packed_size,
                                    const ht_options *options) {
    const ht_nm_packing job = BRANCHES;
    return pack(HT_BLOB_NM_BACKWARD, shape, n, m, permutation, job, packed_size, options);
}
