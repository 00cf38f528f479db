// SPDX-License-Identifier: Apache-2.0
// From dense weights to a packed blob.
#include <string.h>

#include "core/threads.h"
#include "element.h"
#include "halftone/spre.h"
#include "image.h"

typedef struct pack_job {
    ht_nm_layout layout;
    const void *w;
    size_t w_stride;
    const uint8_t *mask;     // null: the entries are the weights that are not zero
    size_t mask_stride;
    const uint32_t *permutation;  // of backward weights: place j is row permutation[j] of W; null: row first_row + j
    size_t first_row;        // of W for this group of a convolution
    void *packed;
    const struct pack_job *forward;  // of the backward weights of a transposable blob: the forward ones. Null else
    const float *second;     // of branches: the weights of the second one
    size_t second_stride;
    const uint8_t *taps;     // and whether it has each of W's taps
} pack_job;

// Where a weight lies in W.
typedef struct position {
    size_t row, column;
} position;

// Backward weights are W transposed, with the taps in reverse.
static position position_of(const pack_job *job, size_t row, size_t tap, size_t place) {
    const ht_nm_matrix *of = &job->layout.of;
    if (ht_nm_is_forward(of->kind)) return (position){job->first_row + row, tap * of->tap_columns + place};
    size_t from = job->permutation ? job->permutation[place] : job->first_row + place;
    return (position){from, (of->taps - 1 - tap) * of->rows + row};
}

static const void *weights_row(const pack_job *job, size_t row) { return (const char *)job->w + row * job->w_stride; }

static bool in_mask(const pack_job *job, position at) {
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
static uint64_t named_at(const pack_job *job, position at, size_t count) {
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
static void add_named(const pack_job *job, size_t row, size_t rows, size_t tap, const ht_nm_segment *group,
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
static void choose(const pack_job *job, size_t row, size_t rows, const ht_nm_segment *group,
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

static slot_writer writer(const pack_job *job, size_t row, size_t b) {
    const ht_nm_layout *l = &job->layout;
    size_t bundle = row / l->together;
    const uint8_t *origins = job->forward ? ht_nm_origins(&job->forward->layout, l, job->packed, b, bundle) : NULL;
    const size_t lane = row % l->together;
    uint8_t *indices = (uint8_t *)ht_nm_indices(l, job->packed, b, bundle);
    char *values = (char *)ht_nm_values(l, job->packed, b, bundle);
    return (slot_writer){.layout = l,
                         .values = values,
                         .origins = (uint8_t *)origins,
                         .second = job->second ? (float *)(values - l->values + l->second) : NULL,
                         .lane = lane,
                         .width = row < l->rows ? ht_nm_block_width(l, b) : 0,
                         .field = indices + lane / l->index_share * l->field_bytes,
                         .window_mask = l->window & (l->window - 1) ? 0 : l->window - 1};
}

// Where the forward weights store a weight.
static uint8_t origin_of(const pack_job *forward, position at) {
    const ht_nm_layout *l = &forward->layout;
    const size_t begin = at.column / l->m * l->m, place = at.column - begin;
    const ht_nm_segment group = ht_nm_segment_at(l, begin, ht_min(l->columns, begin + l->m));
    uint64_t stored[rows_together];
    choose(forward, at.row, 1, &group, stored);
    if (!(*stored >> place & 1)) return HT_NM_ZERO_ORIGIN;
    return ht_nm_origin(l, at.row, (size_t)__builtin_popcountll(*stored & lowest_bits(place)));
}

// What the second branch has where the first one has an entry: nothing where that is zero, or at taps it does not have.
static const void *second_value(const pack_job *job, position at) {
    static const float zero = 0;
    const ht_nm_matrix *of = &job->layout.of;
    const size_t channels = ht_nm_is_forward(of->kind) ? of->tap_columns : of->rows;
    if (!job->second || !job->taps[at.column / channels]) return &zero;
    if (ht_nm_magnitude(HT_DTYPE_F32, weights_row(job, at.row), at.column) == 0) return &zero;
    return (const float *)((const char *)job->second + at.row * job->second_stride) + at.column;
}

// The slots of a group of one row. `c` is its first column in the block.
static void pack_group(const pack_job *job, slot_writer *out, size_t row, const ht_nm_segment *group, size_t c,
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
        const char *w = (const char *)weights_row(job, at.row) + at.column * l->value_bytes;
        if (filled_up)
            write_slot(out, &zero, &zero, c + place);
        else
            write_slot(out, w, second_value(job, at), c + place);
    }
    // A tap's last group may have fewer columns, and columns behind them in which X is zero.
    for (size_t place = group->present; place < group->columns && out->slot < last; place++)
        write_slot(out, padding(out), padding(out), c + place);
}

// Block b of some rows; those behind the last are all padding.
static void pack_block(const pack_job *job, size_t row, size_t b) {
    const ht_nm_layout *l = &job->layout;
    const size_t begin = b * l->block_columns, width = ht_nm_block_width(l, b);
    const size_t rows = row < l->rows ? ht_min(rows_together, l->rows - row) : 0;
    const size_t padded = ht_min(rows_together, l->bundles * l->together - row);
    slot_writer out[rows_together];
    uint64_t chosen[rows_together];
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

static void pack_rows(void *context, size_t piece) {
    const pack_job *job = context;
    for (size_t b = 0; b < job->layout.blocks; b++) pack_block(job, piece * rows_together, b);
}

static void pack_all(const pack_job *job, int threads) {
    const size_t rows = job->layout.blocks ? job->layout.bundles * job->layout.together : 0;
    ht_parallel(pack_rows, (void *)job, ht_ceil_div(rows, rows_together), ht_resolve_threads(threads));
}

static bool rows_fit(const pack_job *job, size_t row, size_t rows) {
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

static bool all_fit(const pack_job *job) {
    const size_t rows = job->layout.blocks ? job->layout.rows : 0;
    for (size_t row = 0; row < rows; row += rows_together)
        if (!rows_fit(job, row, ht_min(rows_together, rows - row))) return false;
    return true;
}

static void write_permutation(const pack_job *job) {
    const ht_nm_layout *l = &job->layout;
    char *to = (char *)job->packed + l->permutation;
    memset(to, 0, ht_round_up(l->of.tap_columns * sizeof(uint32_t), HT_ALIGNMENT));
    for (size_t place = 0; place < l->of.tap_columns; place++) {
        uint32_t column = (uint32_t)(job->permutation[place] - job->first_row);
        memcpy(to + place * sizeof column, &column, sizeof column);
    }
}

// Backward weights have their taps in reverse.
static void write_kept_taps(const pack_job *job) {
    const ht_nm_layout *l = &job->layout;
    uint32_t *kept = (uint32_t *)((char *)job->packed + l->kept), count = 0;
    for (size_t tap = 0; tap < l->of.taps; tap++)
        if (job->taps[ht_nm_is_forward(l->of.kind) ? tap : l->of.taps - 1 - tap]) kept[1 + count++] = (uint32_t)tap;
    kept[0] = count;
}

// That of the backward weights of a transposable blob, whose index fields stand elsewhere.
static pack_job turned_job(const pack_job *forward) {
    pack_job turned = *forward;
    ht_nm_turned_layout(&forward->layout, &turned.layout);
    turned.layout.indices = forward->layout.turned_indices;
    turned.forward = forward;
    return turned;
}

// Writes the blob of one group.
static void write_blob(const pack_job *job, int threads) {
    const ht_nm_layout *l = &job->layout;
    ht_blob_header header = ht_nm_layout_header(l);
    memcpy(job->packed, &header, sizeof header);
    memset((char *)job->packed + l->indices, 0, l->bytes - l->indices);
    pack_all(job, threads);
    if (l->permutation) write_permutation(job);
    if (l->of.branches) write_kept_taps(job);
    if (l->of.kind == HT_BLOB_NM_TRANSPOSABLE) {
        const pack_job turned = turned_job(job);
        pack_all(&turned, threads);
    }
}

// MARK: calls

// What a call is about: a matrix, or the filters of a convolution, forward or backward.
typedef struct request {
    ht_nm_matrix of;  // of one group, without the shared rows
    size_t groups;
    size_t rows, columns;  // of W
    const uint32_t *permutation;
} request;

static request matrix_request(ht_blob_kind kind, size_t o, size_t k, size_t n, size_t m, ht_dtype dtype,
                              const uint32_t *permutation) {
    bool forward = ht_nm_is_forward(kind);
    return (request){.of = {.kind = kind,
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

static ht_status filters_request(ht_blob_kind kind, const ht_conv_shape *shape, size_t n, size_t m, ht_dtype dtype,
                                 const uint32_t *permutation, request *out) {
    ht_conv conv;
    ht_status status = ht_nm_conv_make(shape, &conv);
    if (status) return status;
    const ht_conv_shape *s = &conv.shape;
    bool forward = kind == HT_BLOB_NM;
    size_t outputs = s->outputs / s->groups, channels = s->channels / s->groups;
    *out = (request){.of = {.kind = kind,
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
static ht_status lay_out(const request *asked, const ht_options *options, ht_nm_layout *l, size_t *bytes) {
    ht_nm_matrix of = asked->of;
    of.shared_taps = of.taps > 1 && options && options->shared_taps;
    ht_status status = ht_nm_shared_rows(options, &of.shared_rows);
    if (!status) status = ht_nm_layout_make(&of, l);
    if (!status && !ht_mul(l->bytes, asked->groups, bytes)) status = HT_ERROR_OVERFLOW;
    return status;
}

static ht_status packed_size(const request *asked, const ht_options *options, size_t *size) {
    ht_nm_layout l;
    size_t bytes;
    if (!size) return HT_ERROR_NULL;
    ht_status status = lay_out(asked, options, &l, &bytes);
    if (!status) *size = bytes;
    return status;
}

static ht_status check_second(pack_job *job, const request *asked) {
    if (!job->taps || (!job->mask && asked->rows && asked->columns)) return HT_ERROR_NULL;
    return ht_check_matrix(job->second, asked->rows, asked->columns, sizeof *job->second, &job->second_stride);
}

static ht_status check_operands(pack_job *job, const request *asked, size_t packed_size, size_t bytes) {
    ht_status status = ht_check_matrix(job->w, asked->rows, asked->columns, job->layout.value_bytes, &job->w_stride);
    if (!status && job->mask)
        status = ht_check_matrix(job->mask, asked->rows, ht_ceil_div(asked->columns, 8), 1, &job->mask_stride);
    if (!status && asked->of.branches) status = check_second(job, asked);
    if (status) return status;
    if (!job->packed) return HT_ERROR_NULL;
    if (!ht_is_aligned(job->packed, HT_ALIGNMENT)) return HT_ERROR_ALIGNMENT;
    return packed_size < bytes ? HT_ERROR_BUFFER_SIZE : HT_OK;
}

static pack_job job_of_group(const pack_job *all, const request *asked, size_t group) {
    pack_job job = *all;
    size_t each = asked->rows / asked->groups;
    job.first_row = group * each;
    if (asked->permutation) job.permutation = asked->permutation + group * each;
    job.packed = (char *)all->packed + group * all->layout.bytes;
    return job;
}

static ht_status check_group(const pack_job *job) {
    if (job->permutation) {
        ht_status status = ht_check_permutation(job->permutation, job->layout.of.tap_columns, job->first_row);
        if (status) return status;
    }
    if (!all_fit(job)) return HT_ERROR_NOT_SPARSE;
    if (job->layout.of.kind != HT_BLOB_NM_TRANSPOSABLE) return HT_OK;
    const pack_job turned = turned_job(job);
    return all_fit(&turned) ? HT_OK : HT_ERROR_NOT_SPARSE;
}

static ht_status pack(const request *asked, pack_job job, size_t packed_size, const ht_options *options) {
    size_t bytes;
    int threads = options ? options->threads : 0;
    if (threads < 0) return HT_ERROR_THREADS;
    ht_status status = lay_out(asked, options, &job.layout, &bytes);
    if (!status) status = check_operands(&job, asked, packed_size, bytes);
    for (size_t group = 0; !status && group < asked->groups; group++) {
        const pack_job part = job_of_group(&job, asked, group);
        status = check_group(&part);
    }
    for (size_t group = 0; !status && group < asked->groups; group++) {
        const pack_job part = job_of_group(&job, asked, group);
        write_blob(&part, threads);
    }
    return status;
}

static ht_status pack_filters(ht_blob_kind kind, const ht_conv_shape *shape, size_t n, size_t m, ht_dtype dtype,
                              const uint32_t *permutation, pack_job job, size_t packed_size,
                              const ht_options *options) {
    request asked;
    ht_status status = filters_request(kind, shape, n, m, dtype, permutation, &asked);
    return status ? status : pack(&asked, job, packed_size, options);
}

// Of two branches of f32.
static ht_status branches_request(ht_blob_kind kind, const ht_conv_shape *shape, size_t n, size_t m,
                                  const uint32_t *permutation, request *out) {
    ht_status status = filters_request(kind, shape, n, m, HT_DTYPE_F32, permutation, out);
    out->of.branches = true;
    return status;
}

static ht_status branches_size(ht_blob_kind kind, const ht_conv_shape *shape, size_t n, size_t m,
                               const uint32_t *permutation, const ht_options *options, size_t *size) {
    request asked;
    ht_status status = branches_request(kind, shape, n, m, permutation, &asked);
    return status ? status : packed_size(&asked, options, size);
}

static ht_status pack_branches(ht_blob_kind kind, const ht_conv_shape *shape, size_t n, size_t m,
                               const uint32_t *permutation, pack_job job, size_t packed_size,
                               const ht_options *options) {
    request asked;
    ht_status status = branches_request(kind, shape, n, m, permutation, &asked);
    return status ? status : pack(&asked, job, packed_size, options);
}

ht_status ht_nm_packed_size(size_t o, size_t k, size_t n, size_t m, ht_dtype dtype, const ht_options *options,
                            size_t *size) {
    const request asked = matrix_request(HT_BLOB_NM, o, k, n, m, dtype, NULL);
    return packed_size(&asked, options, size);
}

ht_status ht_nm_backward_packed_size(size_t o, size_t k, size_t n, size_t m, ht_dtype dtype,
                                     const uint32_t *permutation, const ht_options *options, size_t *size) {
    const request asked = matrix_request(HT_BLOB_NM_BACKWARD, o, k, n, m, dtype, permutation);
    return packed_size(&asked, options, size);
}

ht_status ht_nm_transposable_packed_size(size_t o, size_t k, size_t n, size_t m, ht_dtype dtype,
                                         const ht_options *options, size_t *size) {
    const request asked = matrix_request(HT_BLOB_NM_TRANSPOSABLE, o, k, n, m, dtype, NULL);
    return packed_size(&asked, options, size);
}

ht_status ht_nm_conv_packed_size(const ht_conv_shape *shape, size_t n, size_t m, ht_dtype dtype,
                                 const ht_options *options, size_t *size) {
    request asked;
    ht_status status = filters_request(HT_BLOB_NM, shape, n, m, dtype, NULL, &asked);
    return status ? status : packed_size(&asked, options, size);
}

ht_status ht_nm_conv_backward_packed_size(const ht_conv_shape *shape, size_t n, size_t m, ht_dtype dtype,
                                          const uint32_t *permutation, const ht_options *options, size_t *size) {
    request asked;
    ht_status status = filters_request(HT_BLOB_NM_BACKWARD, shape, n, m, dtype, permutation, &asked);
    return status ? status : packed_size(&asked, options, size);
}

#define JOB {.w = w, .w_stride = w_stride, .mask = mask, .mask_stride = mask_stride, .packed = packed}

#define DEFINE(suffix, element, dtype)                                                                         \
    ht_status ht_nm_pack_##suffix(size_t o, size_t k, size_t n, size_t m, const element *w, size_t w_stride,   \
                                  const uint8_t *mask, size_t mask_stride, void *packed, size_t packed_size,   \
                                  const ht_options *options) {                                                 \
        const request asked = matrix_request(HT_BLOB_NM, o, k, n, m, dtype, NULL);                             \
        return pack(&asked, (pack_job)JOB, packed_size, options);                                              \
    }                                                                                                          \
    ht_status ht_nm_conv_pack_##suffix(const ht_conv_shape *shape, size_t n, size_t m, const element *w,       \
                                       size_t w_stride, const uint8_t *mask, size_t mask_stride, void *packed, \
                                       size_t packed_size, const ht_options *options) {                        \
        return pack_filters(HT_BLOB_NM, shape, n, m, dtype, NULL, (pack_job)JOB, packed_size, options);        \
    }

#define DEFINE_TRANSPOSABLE(suffix, element, dtype)                                                                    \
    ht_status ht_nm_transposable_pack_##suffix(size_t o, size_t k, size_t n, size_t m, const element *w,               \
                                               size_t w_stride, const uint8_t *mask, size_t mask_stride, void *packed, \
                                               size_t packed_size, const ht_options *options) {                        \
        const request asked = matrix_request(HT_BLOB_NM_TRANSPOSABLE, o, k, n, m, dtype, NULL);                        \
        return pack(&asked, (pack_job)JOB, packed_size, options);                                                      \
    }

#define DEFINE_BACKWARD(suffix, element, dtype)                                                                       \
    ht_status ht_nm_backward_pack_##suffix(size_t o, size_t k, size_t n, size_t m, const element *w, size_t w_stride, \
                                           const uint8_t *mask, size_t mask_stride, const uint32_t *permutation,      \
                                           void *packed, size_t packed_size, const ht_options *options) {             \
        const request asked = matrix_request(HT_BLOB_NM_BACKWARD, o, k, n, m, dtype, permutation);                    \
        return pack(&asked, (pack_job)JOB, packed_size, options);                                                     \
    }                                                                                                                 \
    ht_status ht_nm_conv_backward_pack_##suffix(const ht_conv_shape *shape, size_t n, size_t m, const element *w,     \
                                                size_t w_stride, const uint8_t *mask, size_t mask_stride,             \
                                                const uint32_t *permutation, void *packed, size_t packed_size,        \
                                                const ht_options *options) {                                          \
        return pack_filters(HT_BLOB_NM_BACKWARD, shape, n, m, dtype, permutation, (pack_job)JOB, packed_size,         \
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

ht_status ht_spre_packed_size(const ht_conv_shape *shape, size_t n, size_t m, const ht_options *options, size_t *size) {
    return branches_size(HT_BLOB_NM, shape, n, m, NULL, options, size);
}

ht_status ht_spre_backward_packed_size(const ht_conv_shape *shape, size_t n, size_t m, const uint32_t *permutation,
                                       const ht_options *options, size_t *size) {
    return branches_size(HT_BLOB_NM_BACKWARD, shape, n, m, permutation, options, size);
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
    return pack_branches(HT_BLOB_NM, shape, n, m, NULL, (pack_job)BRANCHES, packed_size, options);
}

ht_status ht_spre_backward_pack_f32(const ht_conv_shape *shape, size_t n, size_t m, const float *w, size_t w_stride,
                                    const uint8_t *mask, size_t mask_stride, const float *r, size_t r_stride,
                                    const uint8_t *taps, const uint32_t *permutation, void *packed, size_t packed_size,
                                    const ht_options *options) {
    return pack_branches(HT_BLOB_NM_BACKWARD, shape, n, m, permutation, (pack_job)BRANCHES, packed_size, options);
}
