// SPDX-License-Identifier: Apache-2.0
// Block assignment. A step takes one row out of every block, at random. What a row costs a block is the number of its
// bits in the block's full columns, those in which one more bit is lost; the rows go back where they cost least in all.
// No other rows are moved, so what they cost is what the score loses, and it never falls.
//
// Many blocks are dealt out to sets of at most 512 first, each of which assigns its rows among itself: choosing among
// 512 blocks gains nearly as much as among all, and costs a share.
//
// Costs are counted bit by bit for all blocks of a set at once: for every bit of a row, a line of the table, which has
// a bit for each block. That is two operations for each 512 of them, where counting the bits of row AND block takes
// three for each 512 columns: a third of the time at 2:4, a twenty-fourth at 1:16.
#include "assignment.h"

#include <string.h>

#include "binary/signs.h"
#include "core/threads.h"
#include "linear_assignment.h"

enum { still_share = 2000 };  // a round that gains less than one entry in so many is the last

/// What one set takes.
typedef struct set_memory {
    uint64_t *full;  // of each block, its lines
    uint64_t *table;
    uint64_t *sums;
    int32_t *costs;
    ht_assignment *assignment;
} set_memory;

typedef struct search {
    const ht_bit_matrix *mask;
    ht_bits_turn *turn;
    uint32_t *order;
    size_t blocks, sets;
    size_t planes;
    uint32_t *dealt;  // blocks, set by set
    uint32_t *taken;  // of each block, where the row is that is taken out
    uint64_t *gain;  // of each set
    size_t steps;  // until now
    size_t first_set;  // of those that run at once, each in a memory of its own
    set_memory *memory;
} search;

// MARK: memory

static size_t set_size(const search *s) { return ht_ceil_div(s->blocks, s->sets); }

static size_t carve_set(const search *s, char **at, set_memory *set) {
    const size_t size = set_size(s), line = HT_LINE_WORDS * sizeof(uint64_t);
    size_t bytes = 0;
    set->full = (uint64_t *)(void *)*at;
    bytes += ht_carve(at, HT_LINE_BITS * s->mask->lines * line);
    set->table = (uint64_t *)(void *)*at;
    bytes += ht_carve(at, HT_TABLE_WORDS * sizeof(uint64_t));
    set->sums = (uint64_t *)(void *)*at;
    bytes += ht_carve(at, size * s->planes * line);
    set->costs = (int32_t *)(void *)*at;
    bytes += ht_carve(at, size * HT_ASSIGNED * sizeof(int32_t));
    set->assignment = (ht_assignment *)(void *)*at;
    bytes += ht_carve(at, sizeof(ht_assignment));
    return bytes;
}

static size_t carve(search *s, char **at, size_t at_once) {
    size_t bytes = 0;
    s->dealt = (uint32_t *)(void *)*at;
    bytes += ht_carve(at, s->blocks * sizeof *s->dealt);
    s->taken = (uint32_t *)(void *)*at;
    bytes += ht_carve(at, s->blocks * sizeof *s->taken);
    s->gain = (uint64_t *)(void *)*at;
    bytes += ht_carve(at, s->sets * sizeof *s->gain);
    s->memory = (set_memory *)(void *)*at;
    bytes += ht_carve(at, at_once * sizeof *s->memory);
    for (size_t i = 0; i < at_once; i++) {
        set_memory set;
        bytes += carve_set(s, at, *at ? &s->memory[i] : &set);
    }
    return bytes;
}

// MARK: a set

static void take_row(const search *s, size_t block, const uint64_t *others[HT_BLOCK_ROWS], const uint64_t **own) {
    const uint32_t *rows = s->order + block * s->mask->m;
    const size_t count = ht_bit_block_rows(s->mask, block);
    for (size_t i = 0, to = 0; i < count; i++)
        if (i == s->taken[block])
            *own = ht_bit_row(s->mask, rows[i]);
        else
            others[to++] = ht_bit_row(s->mask, rows[i]);
}

// A line of all blocks' full columns, turned.
static void set_table(const search *s, const set_memory *set, size_t count, size_t line) {
    const size_t words = s->mask->lines * HT_LINE_WORDS;
    for (size_t first = 0; first < count; first += 64) {
        ht_bits_line lines[64];
        memset(lines, 0, sizeof lines);
        for (size_t b = first; b < ht_min(count, first + 64); b++)
            memcpy(&lines[b - first], set->full + b * words + line * HT_LINE_WORDS, sizeof *lines);
        s->turn(lines);
        for (size_t column = 0; column < HT_LINE_BITS; column++)
            set->table[column * HT_LINE_WORDS + first / 64] = lines[column % 64][column / 64];
    }
}

static void set_costs(const search *s, const set_memory *set, const uint32_t *blocks, size_t count) {
    const ht_bimask_calls *calls = s->mask->calls;
    const size_t lines = s->mask->lines;
    const uint64_t *own[HT_ASSIGNED], *others[HT_BLOCK_ROWS];
    for (size_t i = 0; i < count; i++) {
        take_row(s, blocks[i], others, &own[i]);
        const ht_bit_rows rest = {others, ht_bit_block_rows(s->mask, blocks[i]) - 1, lines};
        calls->fill(&rest, &s->mask->worth, set->full + i * lines * HT_LINE_WORDS);
    }
    ht_costs_task task = {{own, count, lines}, s->planes, set->table, 0, set->sums};
    for (; task.line < lines; task.line++) {
        set_table(s, set, count, task.line);
        calls->add_costs(&task);
    }
    int32_t *price = set->assignment->price;
    for (size_t i = 0; i < HT_ASSIGNED; i++) price[i] = INT32_MAX;
    for (size_t i = 0; i < count; i++)
        calls->spread(set->sums + i * s->planes * HT_LINE_WORDS, s->planes, ht_round_up(count, 16),
                      set->costs + i * HT_ASSIGNED, price);
}

// Puts the rows where they were assigned to; returns what that gains.
static uint64_t move_rows(const search *s, const set_memory *set, const uint32_t *blocks, size_t count) {
    uint32_t row[HT_ASSIGNED];
    int64_t gain = 0;
    for (size_t i = 0; i < count; i++) {
        row[i] = s->order[blocks[i] * s->mask->m + s->taken[blocks[i]]];
        gain += set->costs[i * HT_ASSIGNED + i] - set->costs[i * HT_ASSIGNED + (size_t)set->assignment->column[i]];
    }
    for (size_t i = 0; i < count; i++) {
        const uint32_t block = blocks[set->assignment->column[i]];
        s->order[block * s->mask->m + s->taken[block]] = row[i];
    }
    return (uint64_t)gain;
}

static void assign_set(void *context, size_t piece) {
    const search *s = context;
    const size_t number = s->first_set + piece;
    const set_memory *set = &s->memory[piece];
    const size_t begin = s->blocks * number / s->sets, count = s->blocks * (number + 1) / s->sets - begin;
    const uint32_t *blocks = s->dealt + begin;
    set_costs(s, set, blocks, count);
    set->assignment->calls = s->mask->calls;
    set->assignment->count = count;
    set->assignment->costs = set->costs;
    ht_assign(set->assignment);
    s->gain[number] = move_rows(s, set, blocks, count);
}

// MARK: steps

// What is at random is settled before the threads begin. In M steps each row of a block has its turn, at random with
// which of the others'.
static void deal(search *s, ht_random *random) {
    if (s->sets > 1) ht_random_shuffle(random, s->dealt, s->blocks);
    const bool is_new_round = s->steps++ % s->mask->m == 0;
    for (size_t b = 0; b < s->blocks; b++) {
        const size_t rows = ht_bit_block_rows(s->mask, b);
        s->taken[b] = (uint32_t)(is_new_round ? ht_random_below(random, rows) : (s->taken[b] + 1) % rows);
    }
}

static uint64_t step(search *s, size_t at_once, ht_random *random) {
    uint64_t gain = 0;
    deal(s, random);
    for (s->first_set = 0; s->first_set < s->sets; s->first_set += at_once)
        ht_parallel(assign_set, s, ht_min(at_once, s->sets - s->first_set), s->mask->threads);
    for (size_t i = 0; i < s->sets; i++) gain += s->gain[i];
    return gain;
}

// Until a round in which each row has its turn gains little.
static void run_until_still(search *s, size_t at_once, ht_random *random) {
    uint64_t score = ht_bit_score(s->mask, s->order), gain;
    do {
        gain = 0;
        for (size_t i = 0; i < s->mask->m; i++) gain += step(s, at_once, random);
        score += gain;
    } while (gain > score / still_share);
}

// What a row is worth that loses nothing.
static size_t most_bits(const ht_bit_matrix *mask) {
    static const ht_worth all = {1, HT_BIMASK_SURVIVORS};
    size_t most = 0;
    for (size_t i = 0; i < mask->rows; i++) {
        const uint64_t *row = ht_bit_row(mask, i);
        const ht_bit_rows one = {&row, 1, mask->lines};
        most = ht_max(most, mask->calls->score(&one, &all));
    }
    return most;
}

ht_status ht_bimask_assign(const ht_bit_matrix *mask, ht_isa isa, size_t steps, ht_random *random, uint32_t *order) {
    const size_t most = most_bits(mask);
    search s = {.mask = mask, .order = order, .blocks = ht_bit_blocks(mask), .planes = 1};
    if (s.blocks < 2) return HT_OK;
    size_t at_most = HT_ASSIGNED;
    while (at_most > 1 && most > ht_most_cost(at_most)) at_most /= 2;
    while (most >> s.planes) s.planes++;
    s.sets = ht_ceil_div(s.blocks, at_most);
    const ht_entry *signs;
    const ht_status status = ht_pick(ht_signs_table, isa, &signs);
    if (status) return status;
    s.turn = ((ht_sign_row *)signs->kernel)()->turn;
    const size_t at_once = ht_min(s.sets, (size_t)mask->threads);
    char *at = NULL;
    char *memory = ht_allocate(carve(&s, &at, at_once));
    if (!memory) return HT_ERROR_MEMORY;
    at = memory;
    carve(&s, &at, at_once);
    for (size_t b = 0; b < s.blocks; b++) s.dealt[b] = (uint32_t)b;
    for (size_t i = 0; i < at_once; i++) memset(s.memory[i].table, 0, HT_TABLE_WORDS * sizeof(uint64_t));
    if (steps)
        for (size_t i = 0; i < steps; i++) step(&s, at_once, random);
    else
        run_until_still(&s, at_once, random);
    ht_free(memory);
    return HT_OK;
}
