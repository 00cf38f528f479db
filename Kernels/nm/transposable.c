// SPDX-License-Identifier: Apache-2.0
// Weights that are N:M both ways, stored once. Behind the forward blob stand the index fields of the backward one, and
// an origin for each of its slots: which value of a tile of M x M weights it takes, counted as they are stored, see
// ht_nm_origin. A backward product takes the values out first and then runs as with weights packed backward.
//
// Bound: a byte, an offset and a value to read and a value to write for each slot, once a call for all samples.
#include <string.h>

#include "core/simd.h"
#include "core/threads.h"
#include "layout.h"

ht_status ht_nm_turned_layout(const ht_nm_layout *l, ht_nm_layout *turned) {
    const ht_nm_matrix of = {.kind = HT_BLOB_NM_BACKWARD,
                             .rows = l->of.tap_columns,
                             .taps = 1,
                             .tap_columns = l->rows,
                             .kernel_width = 1,
                             .n = l->n,
                             .m = l->m,
                             .dtype = l->dtype,
                             .shared_rows = 1};
    ht_status status = ht_nm_layout_make(&of, turned);
    turned->is_turned = true;
    return status;
}

typedef struct turn_job {
    ht_nm_layout from;
    const ht_nm_layout *to;
    const char *packed;
    char *turned;
    uint32_t offset[2][2][256];  // of an origin, from its tile's first slot on: [in the last block][from an odd slot]
} turn_job;

static void set_offsets(turn_job *job) {
    const ht_nm_layout *l = &job->from;
    memset(job->offset, 0xff, sizeof job->offset);
    for (size_t last = 0; last < 2; last++) {
        size_t bundle_bytes = ht_nm_value_bytes(l, last ? l->last_slots : l->block_slots);
        for (size_t odd = 0; odd < 2; odd++)
            for (size_t origin = 0; origin < l->n * l->m; origin++) {
                size_t each = l->n * HT_NM_QUAD, slot = odd + origin % each / HT_NM_QUAD;
                const char *value = ht_nm_value(l, job->packed, origin % HT_NM_QUAD, slot);
                job->offset[last][odd][origin] =
                    (uint32_t)(origin / each * bundle_bytes + (size_t)(value - job->packed));
            }
    }
}

// The value at `at`, or, where that is behind all values, the zero that the origin says.
HT_INLINE uint32_t value_from(const turn_job *job, size_t at, uint8_t origin, const size_t bytes) {
    uint32_t value = origin == HT_NM_NO_ORIGIN ? (uint32_t)1 << (8 * bytes - 1) : 0;
    if (at <= job->from.indices - bytes) memcpy(&value, job->packed + at, bytes);
    return value;
}

// As ht_nm_value, in bytes from the first slot on, with constants instead of divisions.
HT_INLINE size_t value_offset(size_t row, size_t slot, const size_t bytes) {
    const size_t each = 4 / bytes;
    return (slot / each * HT_NM_QUAD + row) * 4 + (each - 1 - slot % each) * bytes;
}

// The slots of a group of four columns, whose tile begins at `at`.
HT_INLINE void turn_group(const turn_job *job, const uint8_t *origins, size_t slot, size_t slots, size_t at,
                          const uint32_t *offset, char *to, const size_t bytes) {
    for (; slots; slots--, slot++) HT_UNROLL
    for (size_t row = 0; row < HT_NM_QUAD; row++, origins++) {
        uint32_t value = value_from(job, at + offset[*origins], *origins, bytes);
        memcpy(to + value_offset(row, slot, bytes), &value, bytes);
    }
}

// Block b of a bundle of backward weights.
HT_INLINE void turn_bundle(const turn_job *job, size_t b, size_t bundle, const size_t bytes) {
    const ht_nm_layout *from = &job->from, *to = job->to;
    const size_t column = bundle * HT_NM_QUAD, block = column / from->block_columns;
    const size_t first = ht_nm_group_slot(from, column % from->block_columns / from->m * from->m);
    const size_t bundle_bytes = ht_nm_value_bytes(from, ht_nm_block_slots(from, block));
    const size_t tiles = (size_t)((const char *)ht_nm_values(from, job->packed, block, 0) - job->packed) +
                         ht_nm_value_bytes(from, first & ~(size_t)1);
    const uint32_t *offset = job->offset[block + 1 == from->blocks][first % 2];
    const uint8_t *origins = ht_nm_origins(from, to, job->packed, b, bundle);
    char *turned = (char *)ht_nm_values(to, job->turned, b, bundle);
    const size_t slots = ht_nm_block_slots(to, b), n = to->n;
    size_t row = b * to->block_columns / HT_NM_QUAD;
    for (size_t slot = 0; slot < slots; slot += n, row += to->m / HT_NM_QUAD)
        turn_group(job, origins + slot * HT_NM_QUAD, slot, ht_min(n, slots - slot), tiles + row * bundle_bytes, offset,
                   turned, bytes);
}

// What lies in one block of both directions lies side by side, some 32 KB, but is read in an order that no core
// foresees.
static void fetch_piece(const turn_job *job, size_t piece, size_t part, size_t parts) {
    const ht_nm_layout *from = &job->from, *to = job->to;
    const size_t b = piece / from->blocks, block = piece % from->blocks;
    if (b >= to->blocks) return;
    const size_t rows = ht_min(to->block_columns, from->bundles * HT_NM_QUAD - b * to->block_columns);
    const size_t bytes = rows / HT_NM_QUAD * ht_nm_value_bytes(from, ht_nm_block_slots(from, block));
    const char *values = ht_nm_values(from, job->packed, block, b * to->block_columns / HT_NM_QUAD);
    for (size_t at = bytes * part / parts; at < bytes * (part + 1) / parts; at += HT_ALIGNMENT)
        __builtin_prefetch(values + at, 0, 2);
}

static void turn_piece(void *context, size_t piece) {
    const turn_job *job = context;
    const size_t b = piece / job->from.blocks, each = job->from.block_columns / HT_NM_QUAD;
    const size_t begin = piece % job->from.blocks * each, end = ht_min(begin + each, job->to->bundles);
    for (size_t bundle = begin; bundle < end; bundle++) {
        fetch_piece(job, piece + 1, bundle - begin, end - begin);
        if (job->to->value_bytes == 4)
            turn_bundle(job, b, bundle, 4);
        else
            turn_bundle(job, b, bundle, 2);
    }
}

void ht_nm_turn(const ht_nm_layout *turned, const void *packed, void *to, int threads) {
    turn_job job = {.to = turned, .packed = packed, .turned = to};
    const ht_nm_matrix of = {.kind = HT_BLOB_NM_TRANSPOSABLE,
                             .rows = turned->of.tap_columns,
                             .taps = 1,
                             .tap_columns = turned->rows,
                             .kernel_width = 1,
                             .n = turned->n,
                             .m = turned->m,
                             .dtype = turned->dtype,
                             .shared_rows = 1};
    if (ht_nm_layout_make(&of, &job.from)) return;  // it was made before
    set_offsets(&job);
    ht_each_row(turn_piece, &job, turned->blocks * job.from.blocks, threads);
    memcpy((char *)to + turned->indices, job.packed + job.from.turned_indices, turned->bytes - turned->indices);
}
