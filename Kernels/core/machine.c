// SPDX-License-Identifier: Apache-2.0
// The model of the machine: the built-in one, and tuning files.
#include "machine.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#include "built_in_tuning.h"
#include "memory.h"

static const char *const products[HT_MACHINE_PRODUCTS] = {"nm_gemm_f32", "nm_gemm_bf16", "nm_gemm_i8"};

enum { most_kernels = 128 };

// Every kernel row there is, in the tables' order.
static size_t list_kernels(ht_kernel_info list[most_kernels]) {
    return ht_min(ht_kernels(list, most_kernels), most_kernels);
}

// Where the figures of a kernel stand; null for one that is no product.
static ht_machine_row *row_of(ht_machine *m, const ht_kernel_info *kernel) {
    int isa = ht_isa_named(kernel->isa);
    for (int p = 0; p < HT_MACHINE_PRODUCTS && isa >= 0 && isa < HT_MACHINE_ISAS; p++)
        if (!strcmp(products[p], kernel->op)) return &m->rows[p][isa];
    return NULL;
}

// MARK: the lines of a tuning file

enum { most_values = 8 };

// One line: a key and its values, whole numbers of `unit`, from `low` to `high` of them. Whole numbers, because
// decimal points are read and written differently in each locale.
typedef struct tuning_line {
    char key[96];
    double *values[most_values];
    size_t count;
    double unit;
    uint64_t low, high;
} tuning_line;

typedef bool visit_line(void *context, const tuning_line *line);

#define VALUES(...) .values = {__VA_ARGS__}, .count = sizeof((double *[]){__VA_ARGS__}) / sizeof(double *)

static bool visit_machine(ht_machine *m, visit_line *visit, void *context) {
    const uint64_t tera = 1000000000000;
    const tuning_line lines[] = {
        {"clock_khz", VALUES(&m->clock), .unit = 1e3, .low = 1000, .high = 100000000},
        {"cache_bytes", VALUES(&m->l1, &m->l2, &m->l3), .unit = 1, .low = 1024, .high = tera},
        {"cache_bytes_per_1000_cycles", VALUES(&m->l2_rate, &m->l3_rate), .unit = 1e-3, .low = 1, .high = 1000000},
        {"memory_mb_per_s", VALUES(&m->memory_rate, &m->memory_rate_all), .unit = 1e6, .low = 1, .high = 100000000},
        {"exposed_per_1000", VALUES(&m->exposed), .unit = 1e-3, .low = 0, .high = 1000},
        {"call_and_fork_ns", VALUES(&m->call, &m->fork), .unit = 1e-9, .low = 1, .high = 1000000000},
        {"dense_per_1000", VALUES(&m->dense[0], &m->dense[1], &m->dense[2]), .unit = 1e-3, .low = 1, .high = 1000},
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!visit(context, &lines[i])) return false;
    return true;
}

static bool visit_codes(double *values, const char *of, const char *key, uint64_t low, uint64_t high, visit_line *visit,
                        void *context) {
    tuning_line line = {.count = HT_MACHINE_CODES, .unit = 1e-3, .low = low, .high = high};
    snprintf(line.key, sizeof line.key, "%s.%s", of, key);
    for (size_t c = 0; c < HT_MACHINE_CODES; c++) line.values[c] = &values[c];
    return visit(context, &line);
}

static bool visit_row(ht_machine_row *row, const ht_kernel_info *kernel, visit_line *visit, void *context) {
    char name[48];
    snprintf(name, sizeof name, "%s.%s", kernel->op, kernel->isa);
    tuning_line rates = {VALUES(&row->peak, &row->pack, &row->copy, &row->store), .unit = 1e-3, .low = 1,
                         .high = 1000000};
    snprintf(rates.key, sizeof rates.key, "%s.per_1000_cycles", name);
    if (!visit(context, &rates)) return false;
    if (!strcmp(kernel->isa, ht_isa_name(HT_ISA_REF))) return true;
    return visit_codes(row->prepare, name, "prepared_per_1000_cycles", 1, 1000000, visit, context) &&
           visit_codes(row->panels.share, name, "panels.share_per_1000", 1, 2000, visit, context) &&
           visit_codes(row->panels.extra, name, "panels.extra_per_1000", 0, 1000000, visit, context) &&
           visit_codes(row->strips.share, name, "strips.share_per_1000", 1, 2000, visit, context) &&
           visit_codes(row->strips.extra, name, "strips.extra_per_1000", 0, 1000000, visit, context);
}

// Calls `visit` with each line of a tuning file for this CPU, in order, until it returns false. There are lines for the
// kernels that run here, or for all.
static bool visit_lines(ht_machine *m, bool all, visit_line *visit, void *context) {
    if (!visit_machine(m, visit, context)) return false;
    ht_kernel_info kernels[most_kernels];
    size_t count = list_kernels(kernels);
    for (size_t i = 0; i < count; i++) {
        ht_machine_row *row = row_of(m, &kernels[i]);
        if (row && (all || kernels[i].runs) && !visit_row(row, &kernels[i], visit, context)) return false;
    }
    return true;
}

static const char first_line[] = "halftone-tuning 1";
static const char features_key[] = "features";
static const char last_line[] = "end";  // shows that no number was cut off

// MARK: writing

typedef struct writer {
    char *text;
    size_t capacity, length;
} writer;

static void append(writer *w, const char *text) {
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++)
        if (w->length + i + 1 < w->capacity) w->text[w->length + i] = text[i];
    w->length += length;
}

static bool write_line(void *context, const tuning_line *line) {
    writer *w = context;
    append(w, line->key);
    for (size_t i = 0; i < line->count; i++) {
        double units = *line->values[i] / line->unit + 0.5;
        uint64_t number =
            units > (double)line->low ? units < (double)line->high ? (uint64_t)units : line->high : line->low;
        char digits[24];
        snprintf(digits, sizeof digits, " %llu", (unsigned long long)number);
        append(w, digits);
    }
    append(w, "\n");
    return true;
}

size_t ht_machine_write(const ht_machine *machine, char *text, size_t capacity) {
    if (!machine) return 0;
    ht_machine copy = *machine;
    writer w = {.text = text, .capacity = text ? capacity : 0};
    append(&w, first_line);
    append(&w, "\n");
    append(&w, features_key);
    append(&w, " ");
    append(&w, ht_cpu_features());
    append(&w, "\n");
    visit_lines(&copy, false, write_line, &w);
    append(&w, last_line);
    append(&w, "\n");
    if (w.capacity) w.text[ht_min(w.length, w.capacity - 1)] = 0;
    return w.length;
}

// MARK: reading

typedef struct reader {
    const char *at, *end;
} reader;

// The next line that is neither empty nor a comment, without its end; false when there is none.
static bool next_line(reader *r, const char **line, size_t *length) {
    while (r->at < r->end) {
        const char *stop = memchr(r->at, '\n', (size_t)(r->end - r->at));
        *line = r->at;
        *length = (size_t)((stop ? stop : r->end) - r->at);
        r->at = stop ? stop + 1 : r->end;
        if (*length && **line != '#') return true;
    }
    return false;
}

static bool expect_line(reader *r, const char *key, const char *value) {
    const char *line;
    size_t length, key_length = strlen(key), value_length = value ? strlen(value) + 1 : 0;
    return next_line(r, &line, &length) && length == key_length + value_length && !memcmp(line, key, key_length) &&
           (!value || (line[key_length] == ' ' && !memcmp(line + key_length + 1, value, value_length - 1)));
}

// A blank and a whole number of at most 18 digits.
static bool take_number(const char **at, const char *end, uint64_t *number) {
    const char *digit = *at + 1;
    if (*at == end || **at != ' ') return false;
    for (*number = 0; digit < end && *digit >= '0' && *digit <= '9' && digit - *at <= 18; digit++)
        *number = *number * 10 + (uint64_t)(*digit - '0');
    if (digit == *at + 1) return false;
    *at = digit;
    return true;
}

// The numbers of a line that begins with the key, in their ranges.
static bool take_line(const char *text, size_t length, const tuning_line *expected) {
    size_t key_length = strlen(expected->key);
    if (length < key_length || memcmp(text, expected->key, key_length)) return false;
    const char *at = text + key_length, *end = text + length;
    double values[most_values];
    for (size_t i = 0; i < expected->count; i++) {
        uint64_t number;
        if (!take_number(&at, end, &number) || number < expected->low || number > expected->high) return false;
        values[i] = (double)number * expected->unit;
    }
    for (size_t i = 0; i < expected->count && at == end; i++) *expected->values[i] = values[i];
    return at == end;
}

static bool read_line(void *context, const tuning_line *expected) {
    const char *line;
    size_t length;
    return next_line(context, &line, &length) && take_line(line, length, expected);
}

static bool fits_together(const ht_machine *m) {
    return m->l1 <= m->l2 && m->l2 <= m->l3 && m->l3_rate <= m->l2_rate && m->memory_rate <= m->memory_rate_all;
}

ht_status ht_machine_read(const char *text, size_t length, ht_machine *machine) {
    if (!text || !machine) return HT_ERROR_NULL;
    reader r = {text, text + length};
    ht_machine read = {0};
    const char *rest;
    size_t rest_length;
    bool good = expect_line(&r, first_line, NULL) && expect_line(&r, features_key, ht_cpu_features()) &&
                visit_lines(&read, false, read_line, &r) && expect_line(&r, last_line, NULL) &&
                !next_line(&r, &rest, &rest_length) && fits_together(&read);
    if (!good) return HT_ERROR_TUNING;
    *machine = read;
    return HT_OK;
}

// MARK: the built-in machine

static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

// The clock as additions show it that wait for each other: one a cycle. The best of eight tries of ~20 microseconds was
// hardly interrupted. A clock that no CPU has, as an emulator may show, counts as `otherwise`.
static double measured_clock(double otherwise) {
    enum { tries = 8, rounds = 20000 };
    double best = 1;
    for (int t = 0; t < tries; t++) {
        uint64_t sum = (uint64_t)t;
        double start = seconds_now();
        for (int r = 0; r < rounds; r++) {
            // An empty instruction that "changes" the sum keeps the compiler from folding the additions into one.
#define ADD_ONE \
    sum += 1;   \
    __asm__ volatile("" : "+r"(sum));
            ADD_ONE ADD_ONE ADD_ONE ADD_ONE
        }
        double took = seconds_now() - start;
        if (took > 0 && took < best) best = took;
    }
    double clock = rounds * 4 / best;
    return clock >= 0.5e9 && clock <= 8e9 ? clock : otherwise;
}

#if defined(__linux__)

// The first word of a file about cache number `index` of the first CPU.
static bool read_cache_word(int index, const char *name, char word[32]) {
    char path[96];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/%s", index, name);
    FILE *file = fopen(path, "re");
    if (!file) return false;
    bool is_there = fscanf(file, "%31s", word) == 1;
    fclose(file);
    return is_there;
}

// The bytes of the cache of this level that holds data; 0 where the system does not say. Not sysconf: that counts what
// a virtual machine's host has in all.
static double cache_bytes(int level) {
    char type[32], word[32];
    for (int index = 0; index < 8 && read_cache_word(index, "level", word); index++) {
        if (word[0] != '0' + level || word[1] || !read_cache_word(index, "type", type)) continue;
        if (type[0] == 'I' || !read_cache_word(index, "size", word)) continue;
        char *unit;
        double size = (double)strtoul(word, &unit, 10);
        return *unit == 'K' ? size * 1024 : *unit == 'M' ? size * 1048576 : 0;
    }
    return 0;
}

#elif defined(__APPLE__)

static double cache_bytes(int level) {
    static const char *const names[] = {"hw.perflevel0.l1dcachesize", "hw.perflevel0.l2cachesize"};
    int64_t bytes = 0;
    size_t size = sizeof bytes;
    if (level > 2 || sysctlbyname(names[level - 1], &bytes, &size, NULL, 0)) return 0;
    return bytes > 0 ? (double)bytes : 0;
}

#else

static double cache_bytes(int level) { return (void)level, 0; }

#endif

// A machine without a third cache has its second one as the last.
static void ask_for_caches(ht_machine *m) {
    double l1 = cache_bytes(1), l2 = cache_bytes(2), l3 = cache_bytes(3);
    if (l1 <= 0 || l2 < l1) return;
    m->l1 = l1;
    m->l2 = l2;
    m->l3 = l3 > l2 ? l3 : l2;
}

// Reads the next line that fits; false when there is none.
static bool find_line(reader *r, const tuning_line *wanted) {
    const char *line;
    size_t length;
    while (next_line(r, &line, &length))
        if (take_line(line, length, wanted)) return true;
    return false;
}

// Reads a line of the built-in text, wherever it is: it may lack lines of kernels that nobody has measured.
static bool read_built_in(void *context, const tuning_line *line) {
    reader *r = context;
    reader from_start = {built_in_tuning, r->end};
    if (!find_line(r, line) && find_line(&from_start, line)) *r = from_start;
    return true;
}

// A kernel without figures gets those of the next one in its table, which is slower.
static void fill_rows(ht_machine *m) {
    ht_kernel_info kernels[most_kernels];
    const ht_machine_row *next = NULL;
    for (size_t i = list_kernels(kernels); i-- > 0;) {
        ht_machine_row *row = row_of(m, &kernels[i]);
        if (row && next && row->peak <= 0) *row = *next;
        if (row) next = row;
    }
}

static ht_machine the_machine;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_machine(void) {
    reader r = {built_in_tuning, built_in_tuning + sizeof built_in_tuning - 1};
    visit_lines(&the_machine, true, read_built_in, &r);
    fill_rows(&the_machine);
    the_machine.clock = measured_clock(the_machine.clock);
    ask_for_caches(&the_machine);
}

const ht_machine *ht_this_machine(void) {
    pthread_once(&once, make_machine);
    return &the_machine;
}

ht_status ht_machine_default(ht_machine *machine) {
    if (!machine) return HT_ERROR_NULL;
    *machine = *ht_this_machine();
    return HT_OK;
}
