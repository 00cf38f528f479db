// SPDX-License-Identifier: Apache-2.0
#include "permuted.h"

#include "nm/image.h"

ht_status ht_permuted_filters(const ht_conv_shape *shape, size_t n, size_t m, const uint32_t *permutation,
                              ht_permuted *permuted) {
    ht_conv conv;
    ht_status status = ht_nm_conv_make(shape, &conv);
    if (status) return status;
    const ht_conv_shape *s = &conv.shape;
    *permuted = (ht_permuted){
        .groups = s->groups, .group_rows = s->outputs / s->groups, .n = n, .m = m, .permutation = permutation};
    const size_t taps = s->kernel_height * s->kernel_width;
    return ht_mul(taps, s->channels / s->groups, &permuted->columns) ? HT_OK : HT_ERROR_OVERFLOW;
}

ht_status ht_permuted_check(const ht_permuted *p) {
    ht_status status = ht_nm_is_pattern(p->n, p->m) ? HT_OK : HT_ERROR_PATTERN;
    for (size_t g = 0; g < p->groups && p->permutation && !status; g++)
        status = ht_check_permutation(p->permutation + g * p->group_rows, p->group_rows, g * p->group_rows);
    return status;
}
