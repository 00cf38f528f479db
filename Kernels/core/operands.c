// SPDX-License-Identifier: Apache-2.0
#include "operands.h"

#include <math.h>

ht_status ht_check_activations(const void *data, size_t samples, size_t features, ht_dtype dtype, ht_order order,
                               size_t *stride) {
    if ((unsigned)order > HT_ORDER_FEATURES) return HT_ERROR_STRIDE;
    bool by_rows = order == HT_ORDER_ROWS;
    return ht_check_matrix(data, by_rows ? samples : features, by_rows ? features : samples, ht_dtype_size(dtype),
                           stride);
}

ht_status ht_check_bits(const uint64_t *bits, size_t rows, size_t columns, size_t *stride) {
    return ht_check_matrix(bits, rows, ht_ceil_div(columns, 64), sizeof *bits, stride);
}

ht_status ht_check_window(size_t begin, size_t *end, size_t size, size_t multiple) {
    if (*end == 0) *end = size;
    if (begin > *end || *end > size) return HT_ERROR_WINDOW;
    return begin % multiple || (*end % multiple && *end != size) ? HT_ERROR_WINDOW : HT_OK;
}

void ht_cut(size_t *begin, size_t *end, size_t part, size_t parts, size_t grain) {
    size_t grains = ht_ceil_div(*end - *begin, grain), from = *begin;
    *begin = ht_min(*end, from + grains * part / parts * grain);
    *end = ht_min(*end, from + grains * (part + 1) / parts * grain);
}

// MARK: epilogues

static bool in_range(int32_t value, ht_dtype dtype) {
    return dtype == HT_DTYPE_U8 ? 0 <= value && value <= 255 : -128 <= value && value <= 127;
}

static bool is_byte(ht_dtype dtype) { return dtype == HT_DTYPE_U8 || dtype == HT_DTYPE_I8; }

// Outputs that are the sums themselves, or their signs.
static bool takes_no_reals(ht_dtype y) { return y == HT_DTYPE_I32 || y == HT_DTYPE_I16 || y == HT_DTYPE_B1; }

static ht_status check_dyadic(const ht_epilogue *e, const ht_output_shape *y) {
    const ht_quantization *q = e->quantization;
    if (!q->shift) return HT_ERROR_NULL;
    if (!ht_is_aligned(q->multiplier, 4) || !ht_is_aligned(q->offset, 4)) return HT_ERROR_ALIGNMENT;
    if (!is_byte(y->dtype) || e->bias || e->residual || e->row_scale || e->activation > HT_ACTIVATION_RELU || q->scale)
        return HT_ERROR_EPILOGUE;
    for (size_t o = y->column_begin; o < y->column_end; o++)
        if (q->multiplier[o] < 0 || q->shift[o] < 1 || q->shift[o] > 62) return HT_ERROR_EPILOGUE;
    return HT_OK;
}

static ht_status check_quantization(const ht_epilogue *e, ht_dtype x, const ht_output_shape *y) {
    const ht_quantization *q = e->quantization;
    if (is_byte(x) ? !in_range(q->x_zero, x) : q->x_zero != 0) return HT_ERROR_EPILOGUE;
    if (is_byte(y->dtype) && !in_range(q->y_zero, y->dtype)) return HT_ERROR_EPILOGUE;
    if (!(q->y_scale >= 0 && q->y_scale < INFINITY)) return HT_ERROR_EPILOGUE;
    if (!ht_is_aligned(q->scale, sizeof(float))) return HT_ERROR_ALIGNMENT;
    if (q->multiplier) return check_dyadic(e, y);
    return q->shift || q->offset || (takes_no_reals(y->dtype) && q->scale) ? HT_ERROR_EPILOGUE : HT_OK;
}

ht_status ht_check_epilogue(ht_epilogue *e, ht_dtype x, const ht_output_shape *y) {
    if ((unsigned)e->activation > HT_ACTIVATION_GELU) return HT_ERROR_EPILOGUE;
    if (e->activation == HT_ACTIVATION_CLAMP && !(e->low <= e->high)) return HT_ERROR_EPILOGUE;
    if (takes_no_reals(y->dtype) && (e->bias || e->residual || e->activation || e->row_scale)) return HT_ERROR_EPILOGUE;
    if (e->threshold && y->dtype != HT_DTYPE_B1) return HT_ERROR_EPILOGUE;
    if (!ht_is_aligned(e->bias, sizeof(float)) || !ht_is_aligned(e->row_scale, sizeof(float)))
        return HT_ERROR_ALIGNMENT;
    if (e->threshold && !ht_is_aligned(e->threshold->level, sizeof(int32_t))) return HT_ERROR_ALIGNMENT;
    if (e->residual) {
        ht_status status = ht_check_activations(e->residual, y->rows, y->columns, ht_residual_dtype(y->dtype), y->order,
                                                &e->residual_stride);
        if (status) return status;
    }
    return e->quantization ? check_quantization(e, x, y) : HT_OK;
}
