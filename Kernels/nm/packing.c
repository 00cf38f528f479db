// SPDX-License-Identifier: Apache-2.0
#include "packing.h"

#include <string.h>

#include "core/threads.h"
#include "element.h"
#include "step.h"

// Where a weight lies in W.
typedef struct position {
    size_t row, column;
} position;

// Backward weights are W transposed, with the taps in reverse.
static position position_of(const ht_nm_packing *job, size_t row, size_t tap, size_t place) {
    const ht_nm_matrix *of = &job->layout.of;
    if (ht_nm_is_forward(of->kind)) return (position){job->first_row + row, tap * of->tap_columns + place};
    size_t from = job->permutation ? job->permutation[place] : job->first_row + place;
    return (position){from, (of->taps - 1 - tap) * of->rows + row};
}

static const void *weights_row(const ht_nm_packing *job, size_t row) {
    return (const char *)job->w + row * job->w_stride;
}

static bool in_mask(const ht_nm_packing *job, position at) {
    return job->mask[at.row * job->mask_stride + at.column / 8] >> at.column % 8 & 1;
}

static uint64_t lowest_bits(size_t count) { return count < 64 ? ((uint64_t)1 << count) - 1 : ~(uint64_t)0; }

// The bits of up to 64 columns of a row of the mask, at least one.
static uint64_t mask_bits(const uint8_t *row, size_t column, size_t count) {
    const size_t first = column / 8, last = (column + count - 1) / 8, shift = column % 8;
    uint64_t bits = 0;
    for (size_t i = 0; i <= last - first && i < 8; i++) bits |= (uint64_t)row[first + i] << 8 * i;
    bits >>= shift;
    if (last - first == 8) bits |= (uint64_t)row[last] << (64 - shift);
    return bits & lowest_bits(count);
}

// Which of up to 64 weights that lie side by side are named as entries.
static uint64_t named_at(const ht_nm_packing *job, position at, size_t count) {
    const void *row = weights_row(job, at.row);
    const ht_dtype dtype = job->layout.dtype;
    uint64_t named = 0;
    if (job->mask) return count ? mask_bits(job->mask + at.row * job->mask_stride, at.column, count) : 0;
    for (size_t j = 0; j < count; j++) named |= (uint64_t)(ht_nm_magnitude(dtype, row, at.column + j) != 0) << j;
    return named;
}

// Backward, what is read for one row lies beside what is read for the next: some rows are packed together. A multiple
// of the rows that share patterns.
enum { rows_together = 16 };

// Adds the places of a group at one tap that are named as entries of some rows.
static void add_named(const ht_nm_packing *job, size_t row, size_t rows, size_t tap, const ht_nm_segment *group,
                      uint64_t chosen[rows_together]) {
    if (ht_nm_is_forward(job->layout.of.kind)) {
        for (size_t r = 0; r < rows; r++)
            chosen[r] |= named_at(job, position_of(job, row + r, tap, group->place), group->present);
        return;
    }
    for (size_t j = 0; j < group->present; j++) {
        const uint64_t named = named_at(job, position_of(job, row, tap, group->place + j), rows);
        for (size_t r = 0; r < rows; r++) chosen[r] |= (named >> r & 1) << j;
    }
}

// Rows that share a pattern get the entries of all.
static void share(size_t rows, size_t shared_rows, uint64_t chosen[rows_together]) {
    for (size_t begin = 0; shared_rows > 1 && begin < rows; begin += shared_rows) {
        const size_t end = ht_min(rows, begin + shared_rows);
        uint64_t all = 0;
        for (size_t r = begin; r < end; r++) all |= chosen[r];
        for (size_t r = begin; r < end; r++) chosen[r] = all;
    }
}

// The places of a group that are entries of some rows, or of those and taps that share their patterns; filled up to n
// with the lowest that are left. More than n stay more than n.
static void choose(const ht_nm_packing *job, size_t row, size_t rows, const ht_nm_segment *group,
                   uint64_t chosen[rows_together]) {
    const ht_nm_layout *l = &job->layout;
    memset(chosen, 0, rows_together * sizeof *chosen);
    if (l->of.shared_taps)
        for (size_t tap = 0; tap < l->of.taps; tap++) add_named(job, row, rows, tap, group, chosen);
    else
        add_named(job, row, rows, group->tap, group, chosen);
    share(rows, l->shared_rows, chosen);
    for (size_t r = 0; r < rows; r++) {
        uint64_t free = ~chosen[r] & lowest_bits(group->present);
        for (size_t count = (size_t)__builtin_popcountll(chosen[r]); free && count < l->n; count++, free &= free - 1)
            chosen[r] |= free & -free;
    }
}

// Where one row's slots of one block go.
typedef struct slot_writer {
    const ht_nm_layout *layout;
    void *values;
    uint8_t *origins;        // null, or: written instead of the values
    float *second;           // null, or: the values of the second branch
    size_t lane;             // of the row in its bundle
    size_t width;            // columns of the block; of a row behind the last, which is all padding, none
    size_t slot;             // the next
    uint8_t *field;          // of its unit,
    size_t unit_slot;        // and its number there
    size_t window_mask;      // of a column; 0: windows are no power of two
} slot_writer;

// Rows that share a field would all write the same, so the first of them does.
static bool writes_fields(const slot_writer *out) { return (out->lane & (out->layout->index_share - 1)) == 0; }

static void write_bits(const slot_writer *out, uint32_t bits) {
    for (size_t i = 0; i < out->layout->field_bytes; i++) out->field[i] |= (uint8_t)(bits >> 8 * i);
}

// `second` is the second branch's value, if there is one.
static void write_value(const slot_writer *out, const void *value, const void *second) {
    const ht_nm_layout *l = out->layout;
    if (out->second) memcpy(out->second + out->slot * HT_NM_QUAD + out->lane, second, sizeof *out->second);
    if (out->origins)
        memcpy(out->origins + out->slot * l->together + out->lane, value, 1);
    else if (l->value_bytes == 4)
        memcpy((float *)out->values + out->slot * HT_NM_QUAD + out->lane, value, 4);
    else
        memcpy((void *)ht_nm_value(l, out->values, out->lane, out->slot), value, l->value_bytes);
}

// `column` counts in the block.
static void write_slot(slot_writer *out, const void *value, const void *second, size_t column) {
    const ht_nm_layout *l = out->layout;
    size_t index = out->window_mask ? column & out->window_mask : column % l->window;
    uint32_t bits =
        l->code == HT_NM_CODE_MAP ? (uint32_t)1 << index : (uint32_t)index << out->unit_slot * l->index_bits;
    write_value(out, value, second);
    if (writes_fields(out)) write_bits(out, bits);
    out->slot++;
    if (++out->unit_slot < l->unit_slots) return;
    out->unit_slot = 0;
    out->field += ht_nm_unit_bytes(l);
}

static void write_rounded(slot_writer *out, const void *w, size_t column) {
    float value;
    memcpy(&value, w, sizeof value);
    const uint16_t rounded = ht_f32_to_bf16(value);
    write_slot(out, &rounded, NULL, column);
}

// A weight that changes no sum: fma(-0, +0, sum) is sum for every sum; +0 would turn a sum of -0 into +0.
static const void *padding(const slot_writer *out) {
    const ht_nm_layout *l = out->layout;
    static const uint8_t none = HT_NM_NO_ORIGIN;
    static const float minus_zero = -0.0f;
    static const uint16_t minus_zero_16 = 0x8000;
    static const int8_t zero = 0;
    if (out->origins) return &none;
    return l->value_bytes == 4 ? (const void *)&minus_zero : l->value_bytes == 2 ? (const void *)&minus_zero_16 : &zero;
}

// Slots up to `end` that no entry fills. They point behind the columns, where X is zero: a map takes a column for each,
// an index the last of the window, or the one behind the block. (Inside a row of bytes, where a window's slots are
// rounded up, and in rows behind the last any column will do.)
static void write_padding(slot_writer *out, size_t end) {
    const ht_nm_layout *l = out->layout;
    size_t behind = out->width;
    while (out->slot < end) {
        size_t first = out->slot / l->unit_slots * HT_NM_MAP_COLUMNS;
        if (l->code == HT_NM_CODE_MAP)
            behind = behind < first ? first : behind;
        else
            behind = l->window_slots ? l->window - 1 : out->width;
        write_slot(out, padding(out), padding(out), l->code == HT_NM_CODE_MAP ? behind++ : behind);
    }
}

static slot_writer writer(const ht_nm_packing *job, size_t row, size_t b) {
    const ht_nm_layout *l = &job->layout;
    size_t bundle = row / l->together;
    const uint8_t *origins = job->forward ? ht_nm_origins(&job->forward->layout, l, job->packed, b, bundle) : NULL;
    const size_t lane = row % l->together;
    uint8_t *indices = (uint8_t *)ht_nm_indices(l, job->packed, b, bundle);
    char *values = (char *)ht_nm_values(l, job->packed, b, bundle);
    return (slot_writer){.layout = l,
                         .values = values,
                         .origins = (uint8_t *)origins,
                         .second = job->second ? (float *)(void *)(values - l->values + l->second) : NULL,
                         .lane = lane,
                         .width = row < l->rows ? ht_nm_block_width(l, b) : 0,
                         .field = indices + lane / l->index_share * l->field_bytes,
                         .window_mask = l->window & (l->window - 1) ? 0 : l->window - 1};
}

// Where the forward weights store a weight.
static uint8_t origin_of(const ht_nm_packing *forward, position at) {
    const ht_nm_layout *l = &forward->layout;
    const size_t begin = at.column / l->m * l->m, place = at.column - begin;
    const ht_nm_segment group = ht_nm_segment_at(l, begin, ht_min(l->columns, begin + l->m));
    uint64_t stored[rows_together];
    choose(forward, at.row, 1, &group, stored);
    if (!(*stored >> place & 1)) return HT_NM_ZERO_ORIGIN;
    return ht_nm_origin(l, at.row, (size_t)__builtin_popcountll(*stored & lowest_bits(place)));
}

// What the second branch has where the first one has an entry: nothing where that is zero, or at taps it does not have.
static const void *second_value(const ht_nm_packing *job, position at) {
    static const float zero = 0;
    const ht_nm_matrix *of = &job->layout.of;
    const size_t channels = ht_nm_is_forward(of->kind) ? of->tap_columns : of->rows;
    if (!job->second || !job->taps[at.column / channels]) return &zero;
    if (ht_nm_magnitude(HT_DTYPE_F32, weights_row(job, at.row), at.column) == 0) return &zero;
    return (const float *)(const void *)((const char *)job->second + at.row * job->second_stride) + at.column;
}

// The slots of a group of one row. `c` is its first column in the block.
static void pack_group(const ht_nm_packing *job, slot_writer *out, size_t row, const ht_nm_segment *group, size_t c,
                       uint64_t chosen) {
    const ht_nm_layout *l = &job->layout;
    static const uint32_t zero = 0;
    const size_t last = out->slot + l->n;
    for (; chosen; chosen &= chosen - 1) {
        size_t place = (size_t)__builtin_ctzll(chosen);
        position at = position_of(job, row, group->tap, group->place + place);
        if (job->forward) {
            const uint8_t origin = origin_of(job->forward, at);
            write_slot(out, &origin, NULL, c + place);
            continue;
        }
        bool filled_up = job->mask && !in_mask(job, at);
        const char *w = (const char *)weights_row(job, at.row) + at.column * ht_nm_weight_bytes(job);
        if (filled_up)
            write_slot(out, &zero, &zero, c + place);
        else if (job->rounds)
            write_rounded(out, w, c + place);
        else
            write_slot(out, w, second_value(job, at), c + place);
    }
    // A tap's last group may have fewer columns, and columns behind them in which X is zero.
    for (size_t place = group->present; place < group->columns && out->slot < last; place++)
        write_slot(out, padding(out), padding(out), c + place);
}

// Of whole bundles.
static void clear_fields(const ht_nm_packing *job, size_t row, size_t rows, size_t b) {
    const ht_nm_layout *l = &job->layout;
    uint8_t *begin = (uint8_t *)ht_nm_indices(l, job->packed, b, row / l->together);
    memset(begin, 0, rows / l->together * ht_nm_units(l, ht_nm_block_slots(l, b)) * ht_nm_unit_bytes(l));
}

// Block b of up to 16 rows of whole bundles, slot by slot; rows behind the last are all padding.
static void pack_slowly(const ht_nm_packing *job, size_t row, size_t padded, size_t b) {
    const ht_nm_layout *l = &job->layout;
    const size_t begin = b * l->block_columns, width = ht_nm_block_width(l, b);
    const size_t rows = row < l->rows ? ht_min(padded, l->rows - row) : 0;
    slot_writer out[rows_together];
    uint64_t chosen[rows_together];
    clear_fields(job, row, padded, b);
    for (size_t r = 0; r < padded; r++) out[r] = writer(job, row + r, b);
    for (size_t c = 0; rows && c < width; c += l->m) {
        const ht_nm_segment group = ht_nm_segment_at(l, begin + c, begin + ht_min(width, c + l->m));
        choose(job, row, rows, &group, chosen);
        for (size_t r = 0; r < rows; r++) {
            // Only windows of bytes have slots behind their last group.
            if (l->value_bytes == 1) write_padding(&out[r], ht_nm_group_slot(l, c));
            pack_group(job, &out[r], row + r, &group, c, chosen[r]);
        }
    }
    for (size_t r = 0; r < padded; r++) write_padding(&out[r], ht_nm_block_slots(l, b));
}

// MARK: with vectors

// Weights as the calls take them, in a whole block.
static bool is_for_calls(const ht_nm_packing *job, size_t b) {
    const ht_nm_layout *l = &job->layout;
    return job->calls && job->mask && !job->forward && !job->second && (l->dtype == HT_DTYPE_F32 || job->rounds) &&
           ht_nm_block_width(l, b) == l->block_columns;
}

static const float *weight_at(const ht_nm_packing *job, position at) {
    return (const float *)weights_row(job, at.row) + at.column;
}

static const uint8_t *bits_at(const ht_nm_packing *job, position at) {
    return job->mask + at.row * job->mask_stride + at.column / 8;
}

// Returns the first row behind those that it packed.
static size_t pack_quads(const ht_nm_packing *job, size_t row, size_t end, size_t b) {
    const ht_nm_layout *l = &job->layout;
    if (!is_for_calls(job, b) || !ht_nm_packs_rows(l)) return row;
    for (; row + HT_NM_QUAD <= ht_min(end, l->rows); row += HT_NM_QUAD) {
        ht_nm_row_lines lines = {.values = (void *)ht_nm_values(l, job->packed, b, row / HT_NM_QUAD),
                                 .fields = (uint8_t *)ht_nm_indices(l, job->packed, b, row / HT_NM_QUAD),
                                 .streams = ht_nm_streams(l)};
        for (size_t r = 0; r < HT_NM_QUAD; r++) {
            const position at = {job->first_row + row + r, b * l->block_columns};
            lines.w[r] = weight_at(job, at);
            lines.bits[r] = bits_at(job, at);
        }
        job->calls->pack_rows(l, &lines);
    }
    return row;
}

static size_t pack_columns(const ht_nm_packing *job, size_t row, size_t end, size_t b) {
    const ht_nm_layout *l = &job->layout;
    const size_t columns = (ht_min(end, l->rows) - row) / HT_NM_LINE_COLUMNS * HT_NM_LINE_COLUMNS;
    const float *w[HT_NM_MAX_COLUMNS];
    const uint8_t *bits[HT_NM_MAX_COLUMNS];
    if (!columns || !is_for_calls(job, b) || !ht_nm_packs_columns(l)) return row;
    for (size_t i = 0; i < l->block_columns; i++) {
        const size_t column = b * l->block_columns + i;
        const position at = position_of(job, row, column / l->tap_width, column % l->tap_width);
        if (at.column % 8) return row;
        w[i] = weight_at(job, at);
        bits[i] = bits_at(job, at);
    }
    job->calls->pack_columns(
        l, &(ht_nm_column_lines){.w = w,
                                 .bits = bits,
                                 .columns = columns,
                                 .values = (void *)ht_nm_values(l, job->packed, b, row / HT_NM_QUAD),
                                 .fields = (uint8_t *)ht_nm_indices(l, job->packed, b, row / HT_NM_QUAD),
                                 .streams = ht_nm_streams(l)});
    return row + columns;
}

// MARK: slots

static void pack_block(const ht_nm_packing *job, size_t row, size_t end, size_t b) {
    const bool forward = ht_nm_is_forward(job->layout.of.kind);
    row = (forward ? pack_quads : pack_columns)(job, row, end, b);
    for (; row < end; row += rows_together) pack_slowly(job, row, ht_min(rows_together, end - row), b);
}

// Rows that a thread takes at once: columns of W that are some lines of memory.
enum { rows_at_once = 64 };

typedef struct slots_job {
    const ht_nm_packing *packing;
    const ht_nm_slots *slots;
    size_t row_end;  // of whole bundles
} slots_job;

static void pack_rows(void *context, size_t piece) {
    const slots_job *job = context;
    const ht_nm_slots *slots = job->slots;
    const size_t row = slots->row_begin + piece * rows_at_once, end = ht_min(job->row_end, row + rows_at_once);
    for (size_t b = slots->block_begin; b < slots->block_end; b++) pack_block(job->packing, row, end, b);
    if (job->packing->calls) job->packing->calls->finish();
}

void ht_nm_pack_slots(const ht_nm_packing *packing, const ht_nm_slots *slots, int threads) {
    const slots_job job = {packing, slots, ht_round_up(slots->row_end, packing->layout.together)};
    ht_parallel(pack_rows, (void *)&job, ht_ceil_div(job.row_end - slots->row_begin, rows_at_once), threads);
}

static void pack_all(const ht_nm_packing *job, int threads) {
    const ht_nm_slots all = {.row_end = job->layout.rows, .block_end = job->layout.blocks};
    ht_nm_pack_slots(job, &all, threads);
}

// MARK: checks

static bool rows_fit(const ht_nm_packing *job, size_t row, size_t rows) {
    const ht_nm_layout *l = &job->layout;
    uint64_t chosen[rows_together];
    for (size_t c = 0; c < l->columns; c += l->m) {
        const ht_nm_segment group = ht_nm_segment_at(l, c, ht_min(l->columns, c + l->m));
        choose(job, row, rows, &group, chosen);
        for (size_t r = 0; r < rows; r++)
            if ((size_t)__builtin_popcountll(chosen[r]) > l->n) return false;
    }
    return true;
}

static uint64_t mask_word(const ht_nm_packing *job, position at, size_t count) {
    const uint8_t *row = job->mask + at.row * job->mask_stride;
    uint64_t word;
    if (count < 64 || at.column % 8) return mask_bits(row, at.column, count);
    memcpy(&word, row + at.column / 8, sizeof word);
    return word;
}

// Whether more than n bits of any m neighbours are set, m being a power of two.
static bool has_crowd(uint64_t bits, size_t n, size_t m) {
    static const uint64_t halves[] = {0x5555555555555555, 0x3333333333333333, 0x0f0f0f0f0f0f0f0f,
                                      0x00ff00ff00ff00ff, 0x0000ffff0000ffff, 0x00000000ffffffff};
    const uint64_t ones = ~(uint64_t)0 / lowest_bits(m), top = (uint64_t)1 << (m - 1);
    for (size_t i = 0, width = 1; width < m; i++, width *= 2) bits = (bits & halves[i]) + (bits >> width & halves[i]);
    return n < m && ((bits + ones * (top - 1 - n)) & (ones * top));
}

static bool rows_are_sparse(const ht_nm_packing *job) {
    const ht_nm_layout *l = &job->layout;
    for (size_t row = 0; row < l->rows; row++)
        for (size_t c = 0; c < l->columns; c += 64) {
            const position at = {job->first_row + row, c};
            if (has_crowd(mask_word(job, at, ht_min(64, l->columns - c)), l->n, l->m)) return false;
        }
    return true;
}

// Whether a group of places has more than n entries in any of 64 rows: one bit of each place's count in a word.
static bool has_crowded_row(const ht_nm_packing *job, const ht_nm_segment *group, size_t row) {
    const ht_nm_layout *l = &job->layout;
    uint64_t count[7] = {0}, more = 0, equal = ~(uint64_t)0;
    for (size_t j = 0; j < group->present; j++) {
        const position at = position_of(job, row, group->tap, group->place + j);
        uint64_t carry = mask_word(job, at, ht_min(64, l->rows - row));
        for (size_t i = 0; carry; i++) {
            const uint64_t both = count[i] & carry;
            count[i] ^= carry;
            carry = both;
        }
    }
    for (size_t i = 7; i-- > 0;) {
        const uint64_t bit = 0 - (uint64_t)(l->n >> i & 1);
        more |= equal & count[i] & ~bit;
        equal &= ~(count[i] ^ bit);
    }
    return more;
}

static bool columns_are_sparse(const ht_nm_packing *job) {
    const ht_nm_layout *l = &job->layout;
    for (size_t c = 0; c < l->columns; c += l->m) {
        const ht_nm_segment group = ht_nm_segment_at(l, c, ht_min(l->columns, c + l->m));
        for (size_t row = 0; row < l->rows; row += 64)
            if (has_crowded_row(job, &group, row)) return false;
    }
    return true;
}

// Where a mask says it for each row alone, 64 of its bits are looked at together.
static bool all_fit(const ht_nm_packing *job) {
    const ht_nm_layout *l = &job->layout;
    const bool has_words = job->mask && l->shared_rows == 1 && !l->of.shared_taps;
    if (has_words && !ht_nm_is_forward(l->of.kind)) return columns_are_sparse(job);
    if (has_words && 64 % l->m == 0 && l->columns == l->of.taps * l->of.tap_columns) return rows_are_sparse(job);
    const size_t rows = l->blocks ? l->rows : 0;
    for (size_t row = 0; row < rows; row += rows_together)
        if (!rows_fit(job, row, ht_min(rows_together, rows - row))) return false;
    return true;
}

// That of the backward weights of a transposable blob, whose index fields stand elsewhere.
static ht_nm_packing turned_job(const ht_nm_packing *forward) {
    ht_nm_packing turned = *forward;
    ht_nm_turned_layout(&forward->layout, &turned.layout);
    turned.layout.indices = forward->layout.turned_indices;
    turned.forward = forward;
    return turned;
}

bool ht_nm_packing_fits(const ht_nm_packing *job) {
    if (!all_fit(job)) return false;
    if (job->layout.of.kind != HT_BLOB_NM_TRANSPOSABLE) return true;
    const ht_nm_packing turned = turned_job(job);
    return all_fit(&turned);
}

static void write_permutation(const ht_nm_packing *job) {
    const ht_nm_layout *l = &job->layout;
    char *to = (char *)job->packed + l->permutation;
    for (size_t place = 0; place < l->of.tap_columns; place++) {
        uint32_t column = (uint32_t)(job->permutation[place] - job->first_row);
        memcpy(to + place * sizeof column, &column, sizeof column);
    }
}

// Backward weights have their taps in reverse.
static void write_kept_taps(const ht_nm_packing *job) {
    const ht_nm_layout *l = &job->layout;
    uint32_t *kept = (uint32_t *)(void *)((char *)job->packed + l->kept), count = 0;
    for (size_t tap = 0; tap < l->of.taps; tap++)
        if (job->taps[ht_nm_is_forward(l->of.kind) ? tap : l->of.taps - 1 - tap]) kept[1 + count++] = (uint32_t)tap;
    kept[0] = count;
}

void ht_nm_pack_ends(const ht_nm_packing *job) {
    const ht_nm_layout *l = &job->layout;
    const ht_blob_header header = ht_nm_layout_header(l);
    char *packed = job->packed, *begin = packed + l->indices;
    if (l->blocks) begin = (char *)ht_nm_indices(l, packed, l->blocks - 1, l->bundles);
    memcpy(packed, &header, sizeof header);
    memset(begin, 0, (size_t)(packed + l->bytes - begin));
    if (l->permutation) write_permutation(job);
    if (l->of.branches) write_kept_taps(job);
}

void ht_nm_pack_blob(const ht_nm_packing *job, int threads) {
    ht_nm_pack_ends(job);
    pack_all(job, threads);
    if (job->layout.of.kind == HT_BLOB_NM_TRANSPOSABLE) {
        const ht_nm_packing turned = turned_job(job);
        pack_all(&turned, threads);
    }
}
