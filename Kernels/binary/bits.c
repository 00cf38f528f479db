// SPDX-License-Identifier: Apache-2.0
// Rows of bits in other people's formats, and rows that become columns.
#include <string.h>

#include "core/operands.h"
#include "core/threads.h"
#include "signs.h"

static const ht_options defaults;

// MARK: formats

// One matrix of bits as words, and as bytes in another format.
typedef struct exchange {
    size_t columns;
    uint64_t *bits;
    size_t bits_stride;
    uint8_t *bytes;
    size_t bytes_stride;
    ht_bit_format format;
} exchange;

// The bytes of a word from the lowest on, on every machine.
static uint64_t in_byte_order(uint64_t word) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap64(word);
#else
    return word;
#endif
}

// The bits of each byte the other way round.
static uint64_t mirrored(uint64_t word) {
    word = (word >> 4 & 0x0f0f0f0f0f0f0f0f) | (word & 0x0f0f0f0f0f0f0f0f) << 4;
    word = (word >> 2 & 0x3333333333333333) | (word & 0x3333333333333333) << 2;
    return (word >> 1 & 0x5555555555555555) | (word & 0x5555555555555555) << 1;
}

// From one format to the other, either way; bits behind the row's last become 0, which the other way means +1.
static uint64_t exchanged(const ht_bit_format *format, uint64_t word) {
    if (format->big_endian) word = mirrored(word);
    return format->one_is_plus ? ~word : word;
}

static uint64_t *bits_row(const exchange *e, size_t row) {
    return (uint64_t *)(void *)((char *)e->bits + row * e->bits_stride);
}

// Bound: a dozen operations for each word.
static void import_row(void *context, size_t row) {
    const exchange *e = context;
    const uint8_t *from = e->bytes + row * e->bytes_stride;
    uint64_t *to = bits_row(e, row), word;
    const size_t words = e->columns / 64, rest = e->columns % 64;
    for (size_t i = 0; i < words; i++) {
        memcpy(&word, from + i * 8, sizeof word);
        to[i] = exchanged(&e->format, in_byte_order(word));
    }
    if (!rest) return;
    word = 0;
    memcpy(&word, from + words * 8, ht_ceil_div(rest, 8));
    to[words] = exchanged(&e->format, in_byte_order(word)) & (((uint64_t)1 << rest) - 1);
}

static void export_row(void *context, size_t row) {
    const exchange *e = context;
    uint8_t *to = e->bytes + row * e->bytes_stride;
    const uint64_t *from = bits_row(e, row);
    const size_t words = e->columns / 64, rest = e->columns % 64;
    uint64_t word;
    for (size_t i = 0; i < words; i++) {
        word = in_byte_order(exchanged(&e->format, from[i]));
        memcpy(to + i * 8, &word, sizeof word);
    }
    if (!rest) return;
    word = in_byte_order(exchanged(&e->format, from[words] & (((uint64_t)1 << rest) - 1)));
    memcpy(to + words * 8, &word, ht_ceil_div(rest, 8));
}

static ht_status run_exchange(size_t rows, exchange *e, const ht_bit_format *format, const ht_options *options,
                              ht_body *body) {
    if (!format) return HT_ERROR_NULL;
    const int threads = options ? options->threads : defaults.threads;
    if (threads < 0) return HT_ERROR_THREADS;
    e->format = *format;
    ht_status status = ht_check_matrix(e->bytes, rows, ht_ceil_div(e->columns, 8), 1, &e->bytes_stride);
    if (!status) status = ht_check_bits(e->bits, rows, e->columns, &e->bits_stride);
    if (!status && e->columns) ht_each_row(body, e, rows, threads);
    return status;
}

ht_status ht_bits_import(size_t rows, size_t columns, const ht_bit_format *format, const uint8_t *bytes,
                         size_t bytes_stride, uint64_t *bits, size_t bits_stride, const ht_options *options) {
    exchange e = {columns, bits, bits_stride, (uint8_t *)(uintptr_t)bytes, bytes_stride, {0, 0}};
    return run_exchange(rows, &e, format, options, import_row);
}

ht_status ht_bits_export(size_t rows, size_t columns, const ht_bit_format *format, const uint64_t *bits,
                         size_t bits_stride, uint8_t *bytes, size_t bytes_stride, const ht_options *options) {
    exchange e = {columns, (uint64_t *)(uintptr_t)bits, bits_stride, bytes, bytes_stride, {0, 0}};
    return run_exchange(rows, &e, format, options, export_row);
}

// MARK: transposes

enum { LINE = sizeof(ht_bits_line) / sizeof(uint64_t), SIDE = LINE * 64 };  // words and bits

typedef struct transposition {
    size_t rows, columns;
    const char *from;
    size_t from_stride;
    char *to;
    size_t to_stride;
    ht_bits_turn *turn;
} transposition;

// 64 rows of up to LINE words, zeros where there are none.
static void read_rows(const transposition *t, size_t row, size_t column, ht_bits_line to[64]) {
    const size_t rows = ht_min(64, t->rows - row), bytes = ht_min(SIDE, ht_round_up(t->columns - column, 64)) / 8;
    const char *from = t->from + row * t->from_stride + column / 8;
    if (rows < 64 || bytes < sizeof *to) memset(to, 0, 64 * sizeof *to);
    for (size_t i = 0; i < rows; i++, from += t->from_stride) memcpy(&to[i], from, bytes);
}

// SIDE x SIDE bits, so that whole lines are read and written. Bound: turning, then words that go to as many lines.
static void transpose_block(void *context, size_t block) {
    const transposition *t = context;
    const size_t across = ht_ceil_div(t->columns, SIDE), row = block / across * SIDE, column = block % across * SIDE;
    const size_t strips = ht_ceil_div(ht_min(SIDE, t->rows - row), 64), columns = ht_min(SIDE, t->columns - column);
    ht_bits_line turned[64], lines[SIDE];
    for (size_t strip = 0; strip < strips; strip++) {
        read_rows(t, row + strip * 64, column, turned);
        t->turn(turned);
        for (size_t i = 0; i < 64; i++)
            for (size_t word = 0; word < LINE; word++) lines[word * 64 + i][strip] = turned[i][word];
    }
    char *to = t->to + column * t->to_stride + row / 8;
    for (size_t i = 0; i < columns; i++, to += t->to_stride) memcpy(to, &lines[i], strips * sizeof(uint64_t));
}

ht_status ht_bits_transpose(size_t rows, size_t columns, const uint64_t *bits, size_t bits_stride, uint64_t *transposed,
                            size_t transposed_stride, const ht_options *options) {
    const ht_entry *entry;
    if (!options) options = &defaults;
    if (options->threads < 0) return HT_ERROR_THREADS;
    ht_status status = ht_pick(ht_signs_table, options->isa, &entry);
    if (!status) status = ht_check_bits(bits, rows, columns, &bits_stride);
    if (!status) status = ht_check_bits(transposed, columns, rows, &transposed_stride);
    if (status || rows == 0 || columns == 0) return status;
    transposition t = {.rows = rows,
                       .columns = columns,
                       .from = (const char *)bits,
                       .from_stride = bits_stride,
                       .to = (char *)transposed,
                       .to_stride = transposed_stride,
                       .turn = ((ht_sign_row *)entry->kernel)()->turn};
    ht_parallel(transpose_block, &t, ht_ceil_div(rows, SIDE) * ht_ceil_div(columns, SIDE),
                ht_resolve_threads(options->threads));
    return HT_OK;
}
