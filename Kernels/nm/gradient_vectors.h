// SPDX-License-Identifier: Apache-2.0
// The sampled weight gradient with the vectors of any ISA: included behind core/vec_<isa>.h and
//   BATCH         entries of a row at a time
//   LEAST_REACH   columns that ht_pick always picks from
//   ht_picks, ht_load_picks, ht_take(x, picks, reach): for each lane one of the `reach` floats at x
// Rows of W are in the lanes.
#ifndef HT_NM_GRADIENT_VECTORS_H
#define HT_NM_GRADIENT_VECTORS_H

#include "gradient.h"

typedef ht_nm_gradient_scratch scratch;

// Where one entry's sums of a strip lie. Those of a batch are neighbours, HT_NM_STRIP floats apart.
typedef struct batch {
    const float *dy;         // [pair][sample][2][HT_NM_STRIP]
    const float *x;          // [pair][sample][2][width]
    size_t width;
    const ht_nm_part *part;
    const size_t *base;
    const uint8_t *picks;    // [entry][HT_NM_STRIP]
    float *levels[4];
    float *chains[2];
} batch;

HT_INLINE void load_sums(ht_vec to[BATCH], const float *from) {
    HT_UNROLL
    for (size_t e = 0; e < BATCH; e++) to[e] = ht_vload(from + e * HT_NM_STRIP);
}

HT_INLINE void store_sums(const ht_vec from[BATCH], float *to) {
    HT_UNROLL
    for (size_t e = 0; e < BATCH; e++) ht_vstore(to + e * HT_NM_STRIP, from[e]);
}

// Adds sum number `pair` to its neighbours as far as they are complete: those of the last pair end in the last level.
HT_INLINE void add_up(ht_vec sums[BATCH], const batch *a, size_t pair) {
    size_t level = 0;
    for (; pair >> level & 1; level++) {
        HT_UNROLL
        for (size_t e = 0; e < BATCH; e++) sums[e] = ht_vadd(ht_vload(a->levels[level] + e * HT_NM_STRIP), sums[e]);
    }
    store_sums(sums, a->levels[level]);
}

// Compilers that see through this keep a pointer for each entry and have no registers left.
HT_INLINE const float *next_line(const float *x, size_t width) {
    x += width;
    __asm__("" : "+r"(x));
    return x;
}

// Bound: a pick and an FMA for each entry and sample, on ports that they share; loads are no more than one for each.
HT_INLINE void add_batch(const batch *a, const size_t reach) {
    const ht_nm_part part = *a->part;
    const float *x = a->x, *dy = a->dy;
    size_t base[BATCH];
    ht_picks picks[BATCH];
    HT_UNROLL
    for (size_t e = 0; e < BATCH; e++) {
        base[e] = a->base[e];
        picks[e] = ht_load_picks(a->picks + e * HT_NM_STRIP);
    }
    for (size_t pair = part.pair; pair < part.pair + part.pairs; pair++) {
        ht_vec lower[BATCH], upper[BATCH];
        HT_UNROLL
        for (size_t e = 0; e < BATCH; e++) lower[e] = upper[e] = ht_vsplat(0);
        if (!part.first) load_sums(lower, a->chains[0]), load_sums(upper, a->chains[1]);
        for (size_t i = 0; i < part.samples; i++, dy += 2 * HT_NM_STRIP) {
            const ht_vec dy_lower = ht_vload(dy), dy_upper = ht_vload(dy + HT_NM_STRIP);
            HT_UNROLL
            for (size_t e = 0; e < BATCH; e++)
                lower[e] = ht_vfma(dy_lower, ht_take(x + base[e], picks[e], reach), lower[e]);
            x = next_line(x, a->width);
            HT_UNROLL
            for (size_t e = 0; e < BATCH; e++)
                upper[e] = ht_vfma(dy_upper, ht_take(x + base[e], picks[e], reach), upper[e]);
            x = next_line(x, a->width);
        }
        if (!part.last) {
            store_sums(lower, a->chains[0]), store_sums(upper, a->chains[1]);
            continue;
        }
        HT_UNROLL
        for (size_t e = 0; e < BATCH; e++) lower[e] = ht_vadd(lower[e], upper[e]);
        add_up(lower, a, pair);
    }
}

static void add(const batch *a, size_t reach) {
    if (reach == 64)
        add_batch(a, 64);
    else if (reach == 32)
        add_batch(a, 32);
    else if (LEAST_REACH < 16 && reach == 16)
        add_batch(a, LEAST_REACH < 16 ? 16 : LEAST_REACH);
    else if (LEAST_REACH < 8 && reach == 8)
        add_batch(a, LEAST_REACH < 8 ? 8 : LEAST_REACH);
    else
        add_batch(a, LEAST_REACH);
}

// MARK: what the sums are made from

// Some columns, and where their packed values go: lines of samples, strips of 16 columns.
typedef struct packing {
    size_t first, columns;
    float *to;
    size_t line, strip;  // floats from one to the next
    size_t ahead;        // bytes to what is fetched early
} packing;

// Bound: reading lines that are far apart. A core foresees the rest of a line, not the next one.
HT_INLINE void pack_line(const float *from, const packing *p, float *to) {
    const size_t rest = p->columns % HT_NM_STRIP;
    from += p->first;
    for (const float *end = from + (p->columns - rest); from < end; from += HT_NM_STRIP, to += p->strip) {
        __builtin_prefetch((const char *)from + p->ahead, 0, 2);
        HT_UNROLL
        for (size_t v = 0; v < HT_NM_STRIP; v += HT_VEC_LANES)
            ht_vstore(to + v, ht_load_f32(from + v, ht_first_lanes(HT_VEC_LANES)));
    }
    for (size_t v = 0; rest && v < HT_NM_STRIP; v += HT_VEC_LANES)
        ht_vstore(to + v, ht_load_f32(from + v, ht_first_lanes(rest > v ? rest - v : 0)));
}

HT_INLINE void fill_line(const float value, const packing *p, float *to) {
    for (size_t c = 0; c < p->columns; c += HT_NM_STRIP, to += p->strip) {
        HT_UNROLL
        for (size_t v = 0; v < HT_NM_STRIP; v += HT_VEC_LANES) ht_vstore(to + v, ht_vsplat(value));
    }
}

// The samples of a part, in lines [pair][sample][2]. Samples that there are none of are `nothing`: -0 in dY and +0 in
// X, whose product leaves any sum as it is.
static void pack_part(const ht_nm_part *part, size_t t, const float *matrix, size_t stride, const float nothing,
                      const packing *p) {
    for (size_t chain = 0; chain < part->pairs * 2; chain++) {
        const size_t first = ht_nm_sample(part->pair + chain / 2, part->sample, chain % 2);
        const char *from = (const char *)matrix + first * stride;
        float *to = p->to + (chain / 2 * part->samples * 2 + chain % 2) * p->line;
        for (size_t i = 0; i < part->samples; i++, from += HT_NM_CHAINS * stride, to += 2 * p->line)
            if (first + i * HT_NM_CHAINS < t)
                pack_line((const float *)from, p, to);
            else
                fill_line(nothing, p, to);
    }
}

// Where the index fields of a tile lie.
typedef struct fields {
    const uint8_t *first;         // of row 0
    size_t strip_bytes, unit_bytes;
    size_t row[HT_NM_STRIP];      // from the first row of a strip to each
} fields;

static fields fields_of(const ht_nm_gradient_task *task, size_t block) {
    const ht_nm_layout *l = task->layout;
    const size_t bundle_bytes = ht_nm_units(l, ht_nm_block_slots(l, block)) * ht_nm_unit_bytes(l);
    fields f = {.first = ht_nm_indices(l, task->packed, block, 0),
                .strip_bytes = HT_NM_STRIP / l->together * bundle_bytes,
                .unit_bytes = ht_nm_unit_bytes(l)};
    for (size_t i = 0; i < HT_NM_STRIP; i++)
        f.row[i] = i / l->together * bundle_bytes + i % l->together / l->index_share * l->field_bytes;
    return f;
}

// The index of each row in one unit. The lanes behind the last row do as it does.
HT_INLINE void load_words(const fields *f, const uint8_t *unit, size_t rows, uint32_t words[HT_NM_STRIP]) {
    if (rows >= HT_NM_STRIP)
        for (size_t i = 0; i < HT_NM_STRIP; i++) memcpy(&words[i], unit + f->row[i], sizeof words[i]);
    else
        for (size_t i = 0; i < HT_NM_STRIP; i++) memcpy(&words[i], unit + f->row[ht_min(i, rows - 1)], sizeof words[i]);
}

// Where each row of a strip takes the values of its entries from.
static void unpack_picks(const ht_nm_layout *l, const ht_nm_tile *tile, const fields *f, size_t strip, size_t rows,
                         uint8_t picks[][HT_NM_STRIP]) {
    const uint32_t mask = (1u << l->index_bits) - 1, inside = (uint32_t)tile->reach - 1;
    const uint8_t *from = f->first + strip * f->strip_bytes;
    uint32_t words[HT_NM_STRIP];
    for (size_t e = 0; e < tile->entries; e++) {
        if (e == 0 || tile->unit[e] != tile->unit[e - 1])
            load_words(f, from + tile->unit[e] * f->unit_bytes, rows, words);
        if (l->code == HT_NM_CODE_MAP) {
            for (size_t i = 0; i < HT_NM_STRIP; i++) picks[e][i] = (uint8_t)(ht_nm_next_column(&words[i]) & inside);
        } else {
            const uint32_t right = tile->right[e], offset = tile->offset[e];
            for (size_t i = 0; i < HT_NM_STRIP; i++)
                picks[e][i] = (uint8_t)(((words[i] >> right & mask) + offset) & inside);
        }
    }
}

// MARK: loops

// Tiles side by side, and where in the sums each begins.
typedef struct range {
    ht_nm_tile tiles[HT_NM_SUMS_TILES];
    size_t place[HT_NM_SUMS_TILES];
    size_t count;
} range;

static size_t whole_batches(size_t entries) { return ht_round_up(entries, BATCH); }

// The tiles from `*next` on whose sums have room; *next is behind them.
static bool take_range(const ht_nm_layout *l, ht_nm_tile *next, bool *more, range *r) {
    size_t place = 0;
    for (r->count = 0;
         *more && r->count < HT_NM_SUMS_TILES && place + whole_batches(next->entries) <= HT_NM_SUMS_ENTRIES;
         r->count++) {
        r->tiles[r->count] = *next;
        r->place[r->count] = place;
        place += whole_batches(next->entries);
        *more = ht_nm_next_tile(l, LEAST_REACH, next);
    }
    return r->count > 0;
}

static void add_tile(const ht_nm_gradient_task *task, const ht_nm_part *part, const ht_nm_tile *tile, size_t place,
                     size_t o, size_t end) {
    scratch *s = task->scratch;
    const size_t width = ht_round_up(tile->columns, HT_NM_STRIP);
    const size_t column = tile->block * task->layout->block_columns + tile->column;
    const packing to = {column, tile->columns, s->x, width, HT_NM_STRIP, width * sizeof(float)};
    pack_part(part, task->t, task->x, task->x_stride, 0, &to);
    for (size_t strip = 0; o + strip * HT_NM_STRIP < end; strip++)
        for (size_t lane = 0; lane < HT_NM_STRIP; lane += HT_VEC_LANES)
            for (size_t e = 0; e < tile->entries; e += BATCH) {
                batch a = {&s->dy[strip][0][lane],
                           s->x,
                           width,
                           part,
                           tile->base + e,
                           &s->picks[strip][place + e][lane],
                           {0},
                           {0}};
                // Sums that are added in this part are not for long.
                for (size_t i = 0; i < 4; i++) {
                    bool passes = i < 3 && (size_t)2 << i <= part->pairs;
                    a.levels[i] = passes ? s->passing[i][0] : &s->levels[i][strip][place + e][lane];
                }
                for (size_t i = 0; i < 2; i++) a.chains[i] = &s->chains[i][strip][place + e][lane];
                add(&a, tile->reach);
            }
}

// Whole lines go past the caches: nothing here reads them again, and they need not be read first.
HT_INLINE void put(float *to, ht_vec v, ht_lanes in) {
#ifdef HT_VEC_STREAMS
    if (ht_is_whole(in) && ht_is_aligned(to, sizeof v)) {
        ht_vstream(to, v);
        return;
    }
#endif
    ht_store_f32(to, v, in);
}

// Stores the sums of `entries` entries of rows o ..< end.
static void store_sums_of(const ht_nm_gradient_task *task, size_t place, size_t entry, size_t entries, size_t o,
                          size_t end) {
    scratch *s = task->scratch;
    for (size_t row = o; row < end; row += HT_VEC_LANES)
        for (size_t e = 0; e < entries; e += HT_VEC_LANES) {
            const size_t strip = (row - o) / HT_NM_STRIP, lane = (row - o) % HT_NM_STRIP;
            const ht_lanes in = ht_first_lanes(entries - e);
            ht_vec square[HT_VEC_LANES];
            HT_UNROLL
            for (size_t i = 0; i < HT_VEC_LANES; i++)
                square[i] = ht_vload(s->levels[3][strip][ht_min(place + e + i, HT_NM_SUMS_ENTRIES - 1)] + lane);
            ht_vtranspose(square);
            for (size_t i = 0; i < HT_VEC_LANES && row + i < end; i++)
                put((float *)((char *)task->gradient + (row + i) * task->gradient_stride) + entry + e, square[i], in);
        }
}

// Sums that lie side by side are stored together.
static void store_range(const ht_nm_gradient_task *task, const range *r, size_t o, size_t end) {
    for (size_t i = 0, first = 0; i < r->count; i++) {
        const size_t behind = r->place[i] + r->tiles[i].entries;
        if (i + 1 < r->count && r->place[i + 1] == behind) continue;
        store_sums_of(task, r->place[first], r->tiles[first].entry, behind - r->place[first], o, end);
        first = i + 1;
    }
}

static void pack_dy(const ht_nm_gradient_task *task, const ht_nm_part *part, size_t o, size_t end) {
    scratch *s = task->scratch;
    const packing to = {
        o, end - o, s->dy[0][0], HT_NM_STRIP, sizeof s->dy[0] / sizeof(float), HT_NM_CHAINS * task->dy_stride};
    pack_part(part, task->t, task->dy, task->dy_stride, -0.0f, &to);
}

static void unpack_range(const ht_nm_gradient_task *task, const range *r, size_t o, size_t end) {
    scratch *s = task->scratch;
    for (size_t i = 0; i < r->count; i++) {
        const fields f = fields_of(task, r->tiles[i].block);
        for (size_t strip = 0, row = o; row < end; strip++, row += HT_NM_STRIP)
            unpack_picks(task->layout, &r->tiles[i], &f, row / HT_NM_STRIP, ht_min(HT_NM_STRIP, end - row),
                         s->picks[strip] + r->place[i]);
    }
}

static void sum_rows(const ht_nm_gradient_task *task, const ht_nm_parts *parts, size_t o, size_t end) {
    range r;
    ht_nm_tile next = {0};
    bool more = ht_nm_next_tile(task->layout, LEAST_REACH, &next);
    for (bool begin = true; take_range(task->layout, &next, &more, &r); begin = false) {
        unpack_range(task, &r, o, end);
        for (size_t i = 0; i < parts->count; i++) {
            const ht_nm_part part = ht_nm_part_at(parts, i);
            if (begin || parts->count > 1) pack_dy(task, &part, o, end);
            for (size_t tile = 0; tile < r.count; tile++) add_tile(task, &part, &r.tiles[tile], r.place[tile], o, end);
        }
        store_range(task, &r, o, end);
    }
}

static void sum(const ht_nm_gradient_task *task) {
    const ht_nm_parts parts = ht_nm_cut_samples(task->layout, task->t);
    for (size_t o = task->o_begin; o < task->o_end; o += HT_NM_SUMS_ROWS)
        sum_rows(task, &parts, o, ht_min(task->o_end, o + HT_NM_SUMS_ROWS));
}

static void transpose(const float *from, size_t from_stride, size_t count, size_t length, float *to, size_t to_stride) {
    for (size_t i = 0; i < count; i += HT_VEC_LANES)
        for (size_t j = 0; j < length; j += HT_VEC_LANES) {
            const ht_lanes in = ht_first_lanes(length - j), out = ht_first_lanes(count - i);
            ht_vec square[HT_VEC_LANES];
            HT_UNROLL
            for (size_t n = 0; n < HT_VEC_LANES; n++)
                square[n] = i + n < count
                                ? ht_load_f32((const float *)((const char *)from + (i + n) * from_stride) + j, in)
                                : ht_vsplat(0);
            ht_vtranspose(square);
            for (size_t n = 0; n < HT_VEC_LANES && j + n < length; n++)
                ht_store_f32((float *)((char *)to + (j + n) * to_stride) + i, square[n], out);
        }
}

#endif
