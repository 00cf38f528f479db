// SPDX-License-Identifier: Apache-2.0
#include "pixels.h"

#include "panels.h"

enum {
    turned_bytes = 256 << 10,  // of weights that are turned at a time: a share of L2
    short_tap = 100,            // vectors of weights and index words
    runs_together = 4,         // whose X stays in L1 or L2 while the strips pass
    least_samples = 13,        // of Y: strips serve fewer
    least_rows = 48,           // of a matrix X: fewer do not pay for turning the weights
    sums_count = HT_NM_RUN_STRIPS * HT_NM_RUN * HT_NM_STRIP,
    set_bytes = 4096           // X that is so far apart falls into the same set of L1
};

// Part of a run that does the same for some taps: their kernel, or what a tap adds where it sees no pixel.
typedef struct step {
    bool seen;
    size_t first, samples;    // of the run
    size_t tap, taps;         // seen: of the run's list; else the number of the tap
} step;

// Samples that follow each other in a row of Y.
typedef struct run {
    size_t t, samples;
    size_t tap_count, step_count;
    ht_nm_tap taps[HT_NM_RUN_TAPS];
    step steps[3 * HT_NM_RUN_TAPS];
} run;

_Alignas(HT_ALIGNMENT) static const float zeros[HT_NM_CHUNK];

typedef struct job {
    const ht_nm_vectors *vectors;
    const ht_nm_pixel_kernels *kernels;
    const ht_nm_pixel_code *code;
    const ht_nm_task *task;
    const ht_nm_layout *l;
    size_t taps, tap_weights;  // floats of a turned tap
    size_t strip_weights;      // and of a strip, see turn_strip
    bool taps_are_short;       // so that to multiply by a zero is faster than to leave a sample out
    size_t x_stride;           // bytes, from sample to sample of a run
    ht_nm_target target;       // see target_of
    float *turned;             // scratch
    run *runs;                 // scratch
    float *sums;               // scratch
} job;

static size_t chunk_weights(const ht_nm_pixel_code *code) { return (code->chunk_slots + 1) * HT_NM_STRIP; }

// Behind the last chunk there is room for the slots that round up a block, and for a vector for each tap.
static size_t weights_of_strip(const ht_nm_layout *l, size_t chunk_weights) {
    return (l->of.taps * ht_ceil_div(l->tap_width, HT_NM_CHUNK) + HT_NM_STEP) * chunk_weights +
           l->of.taps * HT_NM_STRIP;
}

static size_t strips_at_once(size_t strip_weights) {
    size_t strips = turned_bytes / sizeof(float) / strip_weights;
    return ht_max(strips / (2 * HT_NM_RUN_STRIPS) * 2, 1) * HT_NM_RUN_STRIPS;
}

// Chunks have up to 8 slots.
size_t ht_nm_pixels_scratch(const ht_nm_layout *l) {
    size_t slots = l->window_slots ? ht_max(1, HT_NM_CHUNK * l->window_slots / l->window) : 0;
    if (slots == 0 || slots > 8 || l->of.taps > HT_NM_RUN_TAPS) return 0;
    size_t strip = weights_of_strip(l, (slots + 1) * HT_NM_STRIP);
    return strip * strips_at_once(strip) * sizeof(float) + ht_round_up(runs_together * sizeof(run), HT_ALIGNMENT) +
           sums_count * sizeof(float);
}

// Whether there are kernels for all of it.
static bool is_known(const ht_nm_vectors *v, const ht_nm_task *task) {
    const ht_nm_layout *l = task->layout;
    const ht_nm_image *image = task->image;
    if (!v->pixels || !v->pixels->codes[l->code].turn || l->of.taps > HT_NM_RUN_TAPS) return false;
    if (task->x_dtype != HT_DTYPE_F32 || task->x_order != HT_ORDER_ROWS || task->permutation) return false;
    if (l->dtype != HT_DTYPE_F32 || l->index_share > 1) return false;
    if (l->block_columns % HT_NM_CHUNK) return false;
    if ((l->of.taps > 1 || l->taps) && (l->tap_width % HT_NM_CHUNK || l->of.shared_taps)) return false;
    return !image || (image->spread_y == 1 && image->spread_x == 1);
}

// Panels and grids need no shuffles, but sums are loaded and stored for each block of theirs and X is transposed. So
// they are slower where a chunk or a tap has few slots. The limits come from sweeps over layers of ResNet-50.
static bool pays(size_t chunk_slots, const ht_nm_task *task) {
    const ht_nm_layout *l = task->layout;
    const size_t t = task->schedule ? task->schedule->t : task->t_end - task->t_begin;
    if (t < least_samples) return false;
    if (task->image) return chunk_slots <= 2 || l->of.tap_columns * chunk_slots * chunk_slots <= 1024;
    return t >= least_rows && l->columns >= 2 * l->rows && l->columns * chunk_slots <= 2048;
}

bool ht_nm_takes_pixels(const ht_nm_vectors *v, const ht_nm_task *task) {
    return is_known(v, task) && pays(v->pixels->codes[task->layout->code].chunk_slots, task);
}

// MARK: weights

static void turn_strip(const job *j, size_t strip, float *to) {
    const ht_nm_layout *l = j->l;
    size_t quad = strip * (HT_NM_STRIP / HT_NM_QUAD), chunk = chunk_weights(j->code);
    for (size_t b = 0; b < l->blocks; b++) {
        const size_t next = ht_min(b + 1, l->blocks - 1);
        ht_nm_turn_args args = {
            .values = ht_nm_values(l, j->task->packed, b, quad),
            .indices = ht_nm_indices(l, j->task->packed, b, quad),
            .quads = ht_min(l->bundles - quad, HT_NM_STRIP / HT_NM_QUAD),
            .slots = ht_nm_block_slots(l, b),
            .next_values = ht_nm_values(l, j->task->packed, next, quad),
            .next_indices = ht_nm_indices(l, j->task->packed, next, quad),
            .to = to + b * l->block_columns / HT_NM_CHUNK * chunk,
        };
        j->code->turn(&args);
    }
    if (!j->task->image) return;
    float *outside = to + j->strip_weights - j->taps * HT_NM_STRIP;
    for (size_t tap = 0; tap < j->taps; tap++)
        j->kernels->outside(to + tap * j->tap_weights, j->tap_weights / chunk, j->code->chunk_slots,
                            outside + tap * HT_NM_STRIP);
}

// MARK: runs

// A range of places.
typedef struct range {
    size_t first, end;
} range;

// Of `samples` pixels of Y, those from which place `from` of X and every `step` further lies in the image.
static range seen_of(ptrdiff_t from, size_t step, size_t size, size_t samples) {
    if (from >= 0 && (size_t)from + (samples - 1) * step < size) return (range){0, samples};
    size_t first = from < 0 ? ht_ceil_div((size_t)-from, step) : 0;
    size_t end = from < (ptrdiff_t)size ? ht_ceil_div((size_t)((ptrdiff_t)size - from), step) : 0;
    end = ht_min(end, samples);
    return first < end ? (range){first, end} : (range){0, 0};
}

static void add_outside(run *r, size_t tap, size_t first, size_t end) {
    if (first < end) r->steps[r->step_count++] = (step){false, first, end - first, tap, 1};
}

// Taps that follow each other and see the same samples are one step.
static void add_seen(run *r, ht_nm_tap tap, range seen) {
    const size_t samples = seen.end - seen.first;
    step *last = r->step_count ? &r->steps[r->step_count - 1] : NULL;
    r->taps[r->tap_count++] = tap;
    if (last && last->seen && last->first == seen.first && last->samples == samples)
        last->taps++;
    else
        r->steps[r->step_count++] = (step){true, seen.first, samples, r->tap_count - 1, 1};
}

// The columns at which a tap lies, from the run's first sample on. The first and the last sample may point at zeros.
static ht_nm_tap tap_at(const job *j, const char *x, size_t tap, size_t samples, bool first_is_zero,
                        bool last_is_zero) {
    const size_t chunk_bytes = HT_NM_CHUNK * sizeof(float);
    return (ht_nm_tap){.x = x,
                       .first = first_is_zero ? (const char *)zeros : x,
                       .last = last_is_zero ? (const char *)zeros : x + (samples - 1) * j->x_stride,
                       .first_step = first_is_zero ? 0 : chunk_bytes,
                       .last_step = last_is_zero ? 0 : chunk_bytes,
                       .weights = tap * j->tap_weights};
}

// What a tap sees whose column of X is `from` at the run's first sample; `row` is that of X, or null.
static void add_tap(const job *j, run *r, size_t tap, const char *row, ptrdiff_t from) {
    const ht_nm_image *i = j->task->image;
    range seen = row ? seen_of(from, i->step_x, i->width, r->samples) : (range){0, 0};
    const bool keeps = j->taps_are_short && seen.first < seen.end && r->samples > 1;
    const bool first_is_zero = keeps && seen.first == 1, last_is_zero = keeps && seen.end + 1 == r->samples;
    seen.first -= first_is_zero;
    seen.end += last_is_zero;
    add_outside(r, tap, 0, seen.first);
    add_outside(r, tap, seen.end, r->samples);
    if (seen.first == seen.end) return;
    const char *x = row + (from + (ptrdiff_t)(seen.first * i->step_x)) * (ptrdiff_t)j->task->x_stride;
    add_seen(r, tap_at(j, x, tap, seen.end - seen.first, first_is_zero, last_is_zero), seen);
}

// Pixels of one row of Y.
static void make_image_run(const job *j, run *r) {
    const ht_nm_image *i = j->task->image;
    const size_t line = r->t / i->out_width, column = r->t % i->out_width, image = line / i->out_height;
    const ptrdiff_t left = (ptrdiff_t)(column * i->step_x) + i->left;
    ptrdiff_t y = (ptrdiff_t)(line % i->out_height * i->step_y) + i->top;
    const uint32_t *taps = j->l->taps;
    for (size_t tap = 0, number = 0; tap < j->taps; y += (ptrdiff_t)i->dilation_y) {
        const bool inside = 0 <= y && y < (ptrdiff_t)i->height;
        const char *row = (const char *)j->task->x;
        if (inside) row += (image * i->height + (size_t)y) * i->width * j->task->x_stride;
        for (size_t v = 0; v < i->kernel_width && tap < j->taps; v++, number++)
            if (!taps || taps[tap] == number)
                add_tap(j, r, tap++, inside ? row : NULL, left + (ptrdiff_t)(v * i->dilation_x));
    }
}

static void make_run(const job *j, size_t t, size_t samples, run *r) {
    r->t = t;
    r->samples = samples;
    r->tap_count = r->step_count = 0;
    const char *x = (const char *)j->task->x + t * j->task->x_stride;
    if (j->task->image)
        make_image_run(j, r);
    else
        add_seen(r, tap_at(j, x, 0, samples, false, false), (range){0, samples});
}

// How many samples from t on are a run: up to `most`, of those in the row of Y nearly equal parts.
static size_t samples_at(const job *j, size_t t, size_t most) {
    const ht_nm_image *image = j->task->image;
    size_t left = j->task->t_end - t;
    if (image) left = ht_min(left, image->out_width - t % image->out_width);
    return ht_ceil_div(left, ht_ceil_div(left, most));
}

static void add_taps(const job *j, const run *r, const step *s, const float *weights, size_t strips) {
    ht_nm_run_args args = {
        .taps = r->taps + s->tap,
        .tap_count = s->taps,
        .chunks = j->l->of.tap_columns / HT_NM_CHUNK,
        .rest = j->l->of.tap_columns % HT_NM_CHUNK,
        .x_stride = j->x_stride,
        .weights = weights,
        .strip_weights = j->strip_weights,
        .sums = j->sums + s->first * HT_NM_STRIP,
        .first = s == r->steps && s->samples == r->samples,
    };
    j->code->runs[strips - 1][s->samples - 1](&args);
}

// Adds what the taps' weights times zero are.
static void add_nothing(const job *j, const step *s, const float *weights, size_t strips) {
    for (size_t u = 0; u < strips; u++) {
        const float *outside = weights + (u + 1) * j->strip_weights - (j->taps - s->tap) * HT_NM_STRIP;
        float *sums = j->sums + (u * HT_NM_RUN + s->first) * HT_NM_STRIP;
        j->kernels->add(sums, s->samples, outside);
    }
}

// Stores the sums of a run from column o of Y on.
static void store_run(const job *j, const run *r, size_t o, size_t strips) {
    if (j->target.y && o + strips * HT_NM_STRIP <= j->task->o_end) {
        ht_nm_target target = j->target;
        target.y += r->t * target.y_stride + o * sizeof(float);
        target.bias = target.bias ? target.bias + o : NULL;
        j->kernels->store(j->sums, strips, r->samples, &target);
        return;
    }
    for (size_t u = 0; u < strips; u++, o += HT_NM_STRIP)
        ht_nm_store_strip(j->vectors, j->task, j->sums + u * HT_NM_RUN * HT_NM_STRIP, r->t, r->samples, o,
                          ht_min(HT_NM_STRIP, j->task->o_end - o));
}

// All of Y, if sums need no more than a bias and to be cut off on their way there.
static ht_nm_target target_of(const ht_nm_task *task) {
    const ht_epilogue *e = &task->epilogue;
    if (task->y_order != HT_ORDER_ROWS || e->residual || e->activation == HT_ACTIVATION_GELU) return (ht_nm_target){0};
    return ht_nm_target_at(task, 0, 0);
}

// One run of the strips that begin at column o of Y.
static void finish_run(const job *j, const run *r, const float *weights, size_t o, size_t strips) {
    const step *first = r->steps;
    if (!first->seen || first->samples < r->samples) memset(j->sums, 0, sums_count * sizeof *j->sums);
    for (const step *s = first; s < first + r->step_count; s++)
        if (s->seen)
            add_taps(j, r, s, weights, strips);
        else
            add_nothing(j, s, weights, strips);
    store_run(j, r, o, strips);
}

// Short runs of three strips are better in narrow images, and where the samples of a longer run would push each other
// out of L1.
static bool takes_short_runs(const job *j) {
    const ht_nm_image *image = j->task->image;
    if (image && ht_ceil_div(image->out_width, ht_ceil_div(image->out_width, HT_NM_RUN)) <= HT_NM_SHORT_RUN)
        return true;
    return j->x_stride % set_bytes == 0;
}

static size_t longest_run(const job *j) { return takes_short_runs(j) ? HT_NM_SHORT_RUN : HT_NM_RUN; }

// Strips to take at once where `left` are left: rather two than one.
static size_t strips_of(size_t left, bool short_runs) {
    return short_runs && (left == 3 || left > 4) ? 3 : ht_min(left, 2);
}

// All samples of columns o ..< end of Y, whose weights are turned.
static void run_strips(const job *j, size_t o, size_t end) {
    const ht_nm_task *task = j->task;
    const bool short_runs = takes_short_runs(j);
    const size_t most = longest_run(j);
    for (size_t t = task->t_begin; t < task->t_end;) {
        size_t count = 0;
        for (; count < runs_together && t < task->t_end; t += j->runs[count++].samples)
            make_run(j, t, samples_at(j, t, most), &j->runs[count]);
        for (size_t at = o, strips; at < end; at += strips * HT_NM_STRIP) {
            strips = strips_of(ht_ceil_div(end - at, HT_NM_STRIP), short_runs);
            const float *weights = j->turned + (at - o) / HT_NM_STRIP * j->strip_weights;
            for (size_t i = 0; i < count; i++) finish_run(j, &j->runs[i], weights, at, strips);
        }
    }
}

static void schedule(const job *j, ht_nm_schedule *s) {
    s->design = HT_NM_DESIGN_TILES;
    s->rows = s->panel = longest_run(j);
    s->columns = strips_at_once(j->strip_weights) * HT_NM_STRIP;
    s->panels = (ht_nm_passes){s->t, ht_ceil_div(s->t, s->panel)};
    s->reads = s->prepared = 1;
}

void ht_nm_pixels_run(const ht_nm_vectors *v, const ht_nm_task *task) {
    const ht_nm_layout *l = task->layout;
    const ht_nm_pixel_code *code = &v->pixels->codes[l->code];
    job j = {.vectors = v, .kernels = v->pixels, .code = code, .task = task, .l = l, .taps = l->of.taps};
    j.tap_weights = ht_ceil_div(l->tap_width, HT_NM_CHUNK) * chunk_weights(code);
    j.strip_weights = weights_of_strip(l, chunk_weights(code));
    j.x_stride = task->x_stride * (task->image ? task->image->step_x : 1);
    j.taps_are_short = j.tap_weights <= short_tap * HT_NM_STRIP;
    if (task->schedule) {
        schedule(&j, task->schedule);
        return;
    }
    j.target = target_of(task);
    j.sums = task->scratch;
    j.turned = j.sums + sums_count;
    j.runs = (run *)(j.turned + j.strip_weights * strips_at_once(j.strip_weights));
    const size_t outputs = strips_at_once(j.strip_weights) * HT_NM_STRIP;
    for (size_t o = task->o_begin; o < task->o_end; o += outputs) {
        size_t end = ht_min(task->o_end, o + outputs);
        for (size_t at = o; at < end; at += HT_NM_STRIP)
            turn_strip(&j, at / HT_NM_STRIP, j.turned + (at - o) / HT_NM_STRIP * j.strip_weights);
        run_strips(&j, o, end);
    }
}
