// SPDX-License-Identifier: Apache-2.0
#include "layout.h"

#include <string.h>

#include "channels.h"
#include "lists.h"

// What a design needs besides the words. Errors: OVERFLOW.
static ht_status bytes_behind(const ht_binary_layout *l, size_t *bytes) {
    switch (l->of.design) {
    case HT_BINARY_PIXELS:
    case HT_BINARY_TREE: return ht_binary_lists_bytes(l, bytes);
    case HT_BINARY_CHANNELS: return ht_binary_channels_bytes(l, bytes);
    default: *bytes = 0; return HT_OK;
    }
}

ht_status ht_binary_layout_make(const ht_binary_weights *of, ht_binary_layout *l) {
    size_t words, behind;
    *l = (ht_binary_layout){.of = *of,
                            .taps = of->kernel_height * of->kernel_width,
                            .tap_words = ht_ceil_div(of->tap_columns, HT_BINARY_WORD),
                            .blocks = ht_ceil_div(of->outputs, HT_BINARY_BLOCK)};
    // Counts are below INT32_MAX, so that a threshold can be above all of them.
    bool fits = ht_mul(l->taps, of->tap_columns, &words) && words < INT32_MAX && of->outputs <= INT32_MAX &&
                ht_mul(l->taps, l->tap_words * HT_BINARY_BLOCK, &l->block_words) &&
                ht_mul(l->blocks, l->block_words, &words) && ht_mul(words, sizeof(uint32_t), &l->behind) &&
                ht_add(l->behind, sizeof(ht_blob_header), &l->behind);
    ht_status status = fits ? HT_OK : HT_ERROR_OVERFLOW;
    if (!status && ht_binary_has_lists(of->design)) status = ht_binary_lists_plan(&l->of);
    if (!status) status = bytes_behind(l, &behind);
    if (status) return status;
    return ht_add(l->behind, behind, &l->bytes) && l->bytes <= PTRDIFF_MAX ? HT_OK : HT_ERROR_OVERFLOW;
}

void ht_binary_layout_seal(const ht_binary_layout *l, void *packed) {
    ht_blob_header *header = packed;
    *header = (ht_blob_header){.kind = HT_BLOB_BINARY,
                               .layout = (uint16_t)l->of.design,
                               .dtype = HT_DTYPE_B1,
                               .n = (uint32_t)l->of.list_groups,
                               .m = (uint32_t)l->of.chunks,
                               .rows = l->of.outputs,
                               .columns = l->of.tap_columns,
                               .bytes = l->bytes,
                               .shared_rows = 1,
                               .kernel_height = (uint16_t)l->of.kernel_height,
                               .kernel_width = (uint16_t)l->of.kernel_width};
    ht_blob_seal(header);
}

ht_status ht_binary_layout_open(const void *packed, size_t size, ht_binary_layout *l) {
    ht_blob_header h;
    ht_status status = ht_blob_open(packed, size, &h);
    if (status) return status;
    if (h.kind != HT_BLOB_BINARY) return HT_ERROR_BLOB_FOREIGN;
    if (h.layout < HT_BINARY_DIRECT || h.layout > HT_BINARY_TREE) return HT_ERROR_BLOB_VERSION;
    if (h.dtype != HT_DTYPE_B1 || h.shared_rows != 1 || h.flags) return HT_ERROR_BLOB_CORRUPT;
    if (!h.kernel_height || !h.kernel_width || h.rows > SIZE_MAX || h.columns > SIZE_MAX) return HT_ERROR_BLOB_CORRUPT;
    const ht_binary_weights of = {
        (size_t)h.rows, (size_t)h.columns, h.kernel_height, h.kernel_width, (ht_binary_design)h.layout, h.m, h.n};
    status = ht_binary_layout_make(&of, l);
    if (status || l->bytes != h.bytes || l->of.chunks != h.m || l->of.list_groups != h.n) return HT_ERROR_BLOB_CORRUPT;
    return ht_binary_has_lists(l->of.design) ? ht_binary_lists_check(l, packed) : HT_OK;
}

ht_status ht_binary_layout_check_groups(const ht_binary_layout *l, const void *packed, size_t size, size_t groups) {
    size_t bytes;
    if (!ht_mul(l->bytes, groups, &bytes) || bytes > size) return HT_ERROR_BLOB_TRUNCATED;
    ht_status status = HT_OK;
    for (size_t group = 1; group < groups && !status; group++) {
        const char *blob = (const char *)packed + group * l->bytes;
        if (memcmp(blob, packed, sizeof(ht_blob_header))) return HT_ERROR_BLOB_CORRUPT;
        if (ht_binary_has_lists(l->of.design)) status = ht_binary_lists_check(l, blob);
    }
    return status;
}
