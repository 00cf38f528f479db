// SPDX-License-Identifier: Apache-2.0
#include "layout.h"

// Kernels fetch the index fields of the next unit early, so there are a few more bytes to read behind the last.
enum { tail_padding = 64 };

// An 8-bit X value is picked out of so many columns at most.
enum { byte_window = 64 };

ht_status ht_nm_shared_rows(const ht_options *options, size_t *rows) {
    int asked = options ? options->shared_rows : 0;
    *rows = asked ? (size_t)asked : 1;
    return asked == 0 || asked == 1 || asked == 2 || asked == 4 || asked == 8 ? HT_OK : HT_ERROR_PATTERN;
}

static bool has_bytes(const ht_nm_layout *l) { return l->value_bytes == 1; }

// Slots of a row in a block of `columns` columns.
static size_t slots_of(const ht_nm_layout *l, size_t columns) {
    size_t whole = 0, rest = columns;
    if (l->window_slots) {
        whole = columns / l->window * l->window_slots;
        rest = columns % l->window;
    }
    return ht_round_up(whole + rest / l->m * l->n + ht_min(l->n, rest % l->m), l->step);
}

static void set_code(ht_nm_layout *l, ht_nm_code code, size_t bits, size_t window, size_t slots, size_t unit_slots) {
    l->code = code;
    l->index_bits = bits;
    l->window = window;
    l->window_slots = slots;
    l->unit_slots = unit_slots;
    l->field_bytes = bits == 3 ? 3 : 4;
}

// An index of 2, 3 or 4 bits for one or two slots in a window of 4, 8 or 16 columns. A pattern N:M is also cN:cM, so
// 1:2 takes the way of 2:4.
static bool choose_index(ht_nm_layout *l) {
    for (size_t bits = 2; bits <= 4; bits++) {
        size_t window = (size_t)1 << bits, slots = l->n * (window / l->m);
        if (window % l->m || slots > 2) continue;
        set_code(l, (ht_nm_code)((bits - 2) * 2 + slots - 1), bits, window, slots, bits == 2 ? 16 : 8);
        return true;
    }
    return false;
}

// A bit for each column, where that is no more than a byte for each slot.
static bool choose_map(ht_nm_layout *l) {
    size_t slots = HT_NM_MAP_COLUMNS / l->m * l->n;
    if (HT_NM_MAP_COLUMNS % l->m || slots % l->step || slots * 8 < HT_NM_MAP_COLUMNS) return false;
    set_code(l, HT_NM_CODE_MAP, 1, HT_NM_MAP_COLUMNS, slots, slots);
    l->block_columns = HT_NM_MAX_COLUMNS / 2;
    return true;
}

static void choose_code(ht_nm_layout *l) {
    // A panel of a block's columns fills two thirds of a 48 KB L1: 64 floats wide at density 1/2, else 32.
    l->block_columns = l->n * 2 >= l->m ? HT_NM_MAX_COLUMNS / 2 : HT_NM_MAX_COLUMNS;
    if (!choose_index(l) && !choose_map(l)) {
        size_t window = byte_window / l->m * l->m;
        if (has_bytes(l)) {
            set_code(l, HT_NM_CODE_8, 8, window, ht_round_up(window / l->m * l->n, l->step), 4);
        } else {
            // One column of a window is left over: padding slots point at the zero behind the block's last column.
            set_code(l, HT_NM_CODE_8, 8, HT_NM_MAX_COLUMNS, 0, 4);
            l->block_columns = (HT_NM_MAX_COLUMNS - 1) / l->m * l->m;
        }
    }
}

enum { most_turn_columns = 256 };

// Columns that each of three taps has in turn, if their pattern is one of those that profit; else 0. They have one or
// two slots, so that those of all three taps find room in registers. Filters of more channels are those of small
// images, where preparing their weights takes longer than is saved.
static size_t turn_columns(const ht_nm_layout *l) {
    const ht_nm_matrix *of = &l->of;
    bool fits = of->shared_taps && of->kernel_width == 3 && of->tap_columns % HT_NM_STRIP == 0 &&
                of->tap_columns <= most_turn_columns && of->kind == HT_BLOB_NM && of->dtype == HT_DTYPE_F32 &&
                l->index_share == 1;
    if (!fits || l->code >= HT_NM_CODE_MAP || l->code == HT_NM_CODE_2_2) return 0;
    return l->window == HT_NM_STRIP ? HT_NM_STRIP : HT_NM_STRIP / 2;
}

// Blocks of branches have columns of one tap each, so that the second branch can leave taps out: nearly equal parts of
// a tap, in whole vectors if the tap has such. Where a tap is longer than a block it may get some more padding for
// that.
static void cut_taps(ht_nm_layout *l) {
    const bool in_vectors = l->window_slots && l->tap_width % HT_NM_STRIP == 0;
    l->tap_blocks = ht_ceil_div(l->tap_width, l->block_columns);
    l->block_columns =
        ht_round_up(ht_ceil_div(l->tap_width, l->tap_blocks), in_vectors ? ht_max(l->m, HT_NM_STRIP) : l->m);
    l->tap_width = l->tap_blocks * l->block_columns;
}

// Rows and columns, the latter with the padding of taps, are small enough for what follows.
static bool choose_size(ht_nm_layout *l) {
    const ht_nm_matrix *of = &l->of;
    const size_t most = PTRDIFF_MAX / 16;
    if (of->tap_columns > most || of->rows > most) return false;
    if (of->taps / of->kernel_width > UINT16_MAX || of->kernel_width > UINT16_MAX) return false;  // as in the header
    l->tap_width = of->taps > 1 ? ht_round_up(of->tap_columns, of->m) : of->tap_columns;
    if (of->branches && of->taps > 1 && of->tap_columns) cut_taps(l);
    l->turn = turn_columns(l);
    l->run = l->turn ? l->turn : ht_max(l->tap_width, 1);
    if (!ht_mul(of->taps, l->tap_width, &l->columns) || l->columns > most) return false;
    // Sums of 8-bit products stay in registers all along the columns.
    if (has_bytes(l)) l->block_columns = ht_round_up(l->columns, l->window);
    return true;
}

// An origin has one byte.
static bool is_transposable(const ht_nm_matrix *of) {
    return (of->m == 4 || of->m == 8 || of->m == 16) && of->n < of->m && of->shared_rows == 1 && of->taps == 1;
}

static ht_status add_turned(ht_nm_layout *l) {
    ht_nm_layout turned;
    ht_status status = ht_nm_turned_layout(l, &turned);
    if (status) return status;
    l->turned_indices = l->bytes;
    l->origins = l->turned_indices + turned.bytes - turned.indices;
    l->bytes = l->origins + ht_round_up((turned.indices - turned.values) / l->value_bytes, HT_ALIGNMENT);
    return HT_OK;
}

// The second table has room for all taps, so that the size does not depend on those that it has.
static void add_branch(ht_nm_layout *l) {
    l->second = l->bytes;
    l->kept = l->second + l->indices - l->values;
    l->bytes = l->kept + ht_round_up((1 + l->of.taps) * sizeof *l->taps, HT_ALIGNMENT);
}

static ht_status check_branches(const ht_nm_matrix *of) {
    if (of->kind == HT_BLOB_NM_TRANSPOSABLE || of->shared_taps) return HT_ERROR_PATTERN;
    return of->dtype == HT_DTYPE_F32 ? HT_OK : HT_ERROR_BLOB_DTYPE;
}

ht_status ht_nm_second_layout(const ht_nm_layout *l, const void *packed, ht_nm_layout *second) {
    const uint32_t *kept = (const uint32_t *)((const char *)packed + l->kept), count = *kept++;
    if (count > l->of.taps) return HT_ERROR_BLOB_CORRUPT;
    for (size_t i = 0; i < count; i++)
        if (kept[i] >= l->of.taps || (i && kept[i] <= kept[i - 1])) return HT_ERROR_BLOB_CORRUPT;
    *second = *l;
    second->values = l->second;
    if (count == l->of.taps) return HT_OK;
    second->of.taps = count;
    second->taps = kept;
    second->columns = count * l->tap_width;
    second->blocks = count * l->tap_blocks;
    second->product_bytes = l->product_bytes / l->of.taps * count;
    return HT_OK;
}

ht_status ht_nm_layout_make(const ht_nm_matrix *of, ht_nm_layout *l) {
    if (!ht_nm_is_pattern(of->n, of->m)) return HT_ERROR_PATTERN;
    if (!ht_nm_is_weight(of->dtype)) return HT_ERROR_BLOB_DTYPE;
    if (of->branches && check_branches(of)) return check_branches(of);
    if (of->kind == HT_BLOB_NM_TRANSPOSABLE && of->dtype == HT_DTYPE_I8) return HT_ERROR_BLOB_DTYPE;
    if (of->kind == HT_BLOB_NM_TRANSPOSABLE && !is_transposable(of)) return HT_ERROR_PATTERN;
    *l = (ht_nm_layout){.of = *of,
                        .rows = of->rows,
                        .n = of->n,
                        .m = of->m,
                        .dtype = of->dtype,
                        .value_bytes = ht_dtype_size(of->dtype),
                        .shared_rows = of->shared_rows};
    l->together = has_bytes(l) ? HT_NM_STRIP : HT_NM_QUAD;
    l->step = HT_ALIGNMENT / l->together / l->value_bytes;
    l->index_share = has_bytes(l) ? 1 : ht_min(l->shared_rows, HT_NM_QUAD);
    choose_code(l);
    if (!choose_size(l)) return HT_ERROR_OVERFLOW;
    l->blocks = l->columns ? ht_ceil_div(l->columns, l->block_columns) : 0;
    l->bundles = ht_ceil_div(l->rows, l->together);
    l->block_slots = slots_of(l, l->block_columns);
    l->last_slots = l->blocks ? slots_of(l, ht_nm_block_width(l, l->blocks - 1)) : 0;

    // An upper bound that does not wrap stands for the exact sizes below, which are smaller.
    size_t bound;
    if (!ht_mul(l->blocks, l->block_slots + HT_NM_MAX_COLUMNS, &bound) || !ht_mul(bound, 8 * l->together, &bound) ||
        !ht_mul(bound, l->bundles, &bound) || bound > PTRDIFF_MAX / 2)
        return HT_ERROR_OVERFLOW;
    size_t full = l->blocks ? l->blocks - 1 : 0;
    size_t slots = full * l->block_slots + l->last_slots;
    size_t units = full * ht_nm_units(l, l->block_slots) + ht_nm_units(l, l->last_slots);
    l->values = sizeof(ht_blob_header);
    l->indices = l->values + l->bundles * ht_nm_value_bytes(l, slots);
    l->bytes = ht_round_up(l->indices + units * l->bundles * ht_nm_unit_bytes(l), HT_ALIGNMENT) + tail_padding;
    l->product_bytes = l->bytes;
    if (of->permuted) {
        l->permutation = l->bytes;
        l->bytes += ht_round_up(of->tap_columns * sizeof(uint32_t), HT_ALIGNMENT);
    }
    if (of->branches) add_branch(l);
    return of->kind == HT_BLOB_NM_TRANSPOSABLE ? add_turned(l) : HT_OK;
}

// One tap is written as 0, as before there were several.
ht_blob_header ht_nm_layout_header(const ht_nm_layout *l) {
    ht_blob_header header = {
        .kind = (uint16_t)l->of.kind,
        .layout = HT_NM_LAYOUT_VERSION,
        .dtype = (uint16_t)l->dtype,
        .n = (uint32_t)l->n,
        .m = (uint32_t)l->m,
        .rows = l->rows,
        .columns = l->of.tap_columns,
        .bytes = l->bytes,
        .shared_rows = (uint16_t)l->shared_rows,
        .flags = (uint16_t)((l->of.permuted ? HT_BLOB_PERMUTED : 0) | (l->of.shared_taps ? HT_BLOB_SHARED_TAPS : 0) |
                            (l->of.branches ? HT_BLOB_BRANCHES : 0))};
    if (l->of.taps > 1) {
        header.kernel_height = (uint16_t)(l->of.taps / l->of.kernel_width);
        header.kernel_width = (uint16_t)l->of.kernel_width;
    }
    ht_blob_seal(&header);
    return header;
}

static bool is_known_kind(unsigned kind) { return HT_BLOB_NM <= kind && kind <= HT_BLOB_NM_TRANSPOSABLE; }

// The blob says of itself what the packer would.
static bool is_sealed_as(const ht_nm_layout *l, const ht_blob_header *header) {
    ht_blob_header expected = ht_nm_layout_header(l);
    return !memcmp(&expected, header, sizeof expected);
}

ht_status ht_nm_layout_open(const void *packed, size_t size, ht_nm_layout *l) {
    ht_blob_header header;
    ht_status status = ht_blob_open(packed, size, &header);
    if (status) return status;
    if (!is_known_kind(header.kind)) return HT_ERROR_BLOB_FOREIGN;
    if (header.layout != HT_NM_LAYOUT_VERSION) return HT_ERROR_BLOB_VERSION;
    if (header.rows > SIZE_MAX || header.columns > SIZE_MAX) return HT_ERROR_BLOB_CORRUPT;
    const bool has_kernel = header.kernel_height && header.kernel_width;
    ht_options sharing = {.shared_rows = header.shared_rows};
    ht_nm_matrix of = {.kind = (ht_blob_kind)header.kind,
                       .rows = (size_t)header.rows,
                       .taps = has_kernel ? (size_t)header.kernel_height * header.kernel_width : 1,
                       .kernel_width = has_kernel ? header.kernel_width : 1,
                       .tap_columns = (size_t)header.columns,
                       .n = header.n,
                       .m = header.m,
                       .dtype = (ht_dtype)header.dtype,
                       .shared_taps = has_kernel && header.flags & HT_BLOB_SHARED_TAPS,
                       .permuted = header.flags & HT_BLOB_PERMUTED,
                       .branches = header.flags & HT_BLOB_BRANCHES};
    if (ht_nm_shared_rows(&sharing, &of.shared_rows) || ht_nm_layout_make(&of, l)) return HT_ERROR_BLOB_CORRUPT;
    return is_sealed_as(l, &header) ? HT_OK : HT_ERROR_BLOB_CORRUPT;
}

ht_status ht_nm_layout_open_product(const void *packed, size_t size, ht_nm_layout *l) {
    ht_status status = ht_nm_layout_open(packed, size, l);
    if (status) return status;
    if (!ht_nm_is_forward(l->of.kind)) return HT_ERROR_BLOB_FOREIGN;
    return l->of.taps == 1 ? HT_OK : HT_ERROR_BLOB_SHAPE;
}

// The column in its unit of the map's set bit number `slot`; of a damaged map the unit's last.
static size_t map_column(uint32_t map, size_t slot) {
    for (; slot && map; slot--) map &= map - 1;
    return map ? (size_t)__builtin_ctz(map) : HT_NM_MAP_COLUMNS - 1;
}

size_t ht_nm_slot_column(const ht_nm_layout *l, const uint8_t *indices, size_t row, size_t slot) {
    uint32_t field = ht_nm_field(l, indices, row, slot / l->unit_slots);
    size_t place = slot % l->unit_slots;
    size_t index = l->code == HT_NM_CODE_MAP ? map_column(field, place)
                                             : field >> place * l->index_bits & ((1u << l->index_bits) - 1);
    return l->window_slots ? slot / l->window_slots * l->window + index : index;
}

size_t ht_nm_entry_column(const ht_nm_layout *l, const void *packed, size_t row, size_t e) {
    size_t group = e / l->n * l->m, b = group / l->block_columns, slot = ht_nm_group_slot(l, group % l->block_columns);
    const uint8_t *indices = ht_nm_indices(l, packed, b, row / l->together);
    return b * l->block_columns + ht_nm_slot_column(l, indices, row % l->together, slot + e % l->n);
}

void ht_nm_expand_indices(const ht_nm_layout *l, const uint8_t *indices, size_t b, size_t bundles, uint8_t *expanded) {
    size_t fields = bundles * ht_nm_units(l, ht_nm_block_slots(l, b)) * (l->together / l->index_share);
    for (size_t i = 0; i < fields; i++, indices += l->field_bytes)
        for (size_t copy = 0; copy < l->index_share; copy++, expanded += l->field_bytes)
            memcpy(expanded, indices, l->field_bytes);
}
