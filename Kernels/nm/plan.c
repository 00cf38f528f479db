// SPDX-License-Identifier: Apache-2.0
// Plans: what a run would do, and what the model of the machine says about it. Docs/Planning.md has the formulas.
#include "core/machine.h"
#include "kernels.h"

const char *ht_nm_design_name(ht_nm_design design) {
    static const char *const names[] = {"reference", "panels", "strips", "tiles"};
    return (unsigned)design < sizeof names / sizeof *names ? names[design] : NULL;
}

// What a prediction is made from.
typedef struct planning {
    const ht_machine *machine;
    const ht_machine_row *rows;  // of the product, by ISA
    const ht_machine_row *row;   // of the kernel
    const ht_nm_layout *l;
    const ht_nm_schedule *schedule;
    size_t t, o;                 // all of Y
    size_t piece_t, piece_o;     // the largest piece
    size_t x_bytes;              // of a value of X
    double threads;
} planning;

// The largest of so many pieces, which are cut at multiples of a strip.
static size_t largest_piece(size_t size, size_t pieces) {
    return ht_min(size, ht_ceil_div(ht_ceil_div(size, HT_NM_STRIP), pieces) * HT_NM_STRIP);
}

static double smaller(double a, double b) { return a < b ? a : b; }
static double larger(double a, double b) { return a > b ? a : b; }

// Seconds that each thread reads for, and how many of them can't hide.
typedef struct reading {
    double seconds, exposed;
} reading;

// Reading `part` bytes of weights that lie in the smallest cache that holds all their `bytes`; a tenth of a
// core's own cache is left to X and the sums. From there reading hides, as kernels were measured with such weights.
static reading read_weights(const planning *p, double bytes, double part) {
    const ht_machine *m = p->machine;
    if (bytes / p->threads <= m->l2 * 0.9) return (reading){part / (m->l2_rate * m->clock), 0};
    double rate = bytes <= ht_machine_resident(m) ? m->l3_rate * m->clock
                                                  : smaller(m->memory_rate, m->memory_rate_all / p->threads);
    return (reading){part / rate, part / rate * m->exposed};
}

// Seconds of reading that come on top of the arithmetic.
static double seconds_exposed(reading r, double arithmetic) { return larger(r.seconds - arithmetic, r.exposed); }

static double pass_seconds(const planning *p, const ht_machine_design *design, const ht_nm_passes *passes,
                           double weights) {
    if (passes->rows == 0) return 0;
    double rows = (double)passes->rows + design->extra[p->l->code] * (double)passes->passes;
    return weights * rows / (p->row->peak * design->share[p->l->code] * p->machine->clock);
}

// The part of the packed weights that a piece needs.
static double piece_share(const planning *p) {
    return p->piece_o ? (double)ht_round_up(p->piece_o, p->l->together) / (double)(p->l->bundles * p->l->together) : 0;
}

static void predict_kernels(const planning *p, ht_plan *plan) {
    const ht_nm_schedule *s = p->schedule;
    double clock = p->machine->clock, values = (double)p->piece_t * (double)p->l->columns;
    double weights = (double)((p->l->indices - p->l->values) / p->l->value_bytes) * piece_share(p);
    double bytes = p->l->blocks ? (double)p->l->bytes : 0;
    reading all = read_weights(p, bytes, bytes * piece_share(p) * (double)s->reads);
    // Strips go through the weights once and in order: their reading hides as far as there is arithmetic.
    if (s->panels.rows == 0) all.exposed = 0;
    plan->arithmetic = pass_seconds(p, &p->row->panels, &s->panels, weights) +
                       pass_seconds(p, &p->row->strips, &s->strips, weights) +
                       weights * (double)s->prepared / (p->row->prepare[p->l->code] * clock);
    plan->weights = seconds_exposed(all, plan->arithmetic);
    plan->x = values / ((s->design == HT_NM_DESIGN_STRIPS ? p->row->copy : p->row->pack) * clock);
    plan->y = (double)p->piece_t * (double)p->piece_o / (p->row->store * clock);
    plan->bytes += bytes * (double)(s->reads * plan->row_pieces);
}

// One multiply-add after the other.
static void predict_reference(const planning *p, ht_plan *plan) {
    double weights = (double)((p->l->indices - p->l->values) / p->l->value_bytes) * piece_share(p);
    plan->arithmetic = weights * (double)p->piece_t / (p->rows[HT_ISA_REF].peak * p->machine->clock);
    plan->bytes += (double)p->l->bytes;
}

// The best dense library: the fastest kernel's vectors at the share of their peak that libraries reach, and all of W
// read once.
static double dense_seconds(const planning *p, double share) {
    double peak = 0, k = (double)p->l->columns, weights = (double)p->o * k;
    for (size_t isa = 0; isa < HT_MACHINE_ISAS; isa++) peak = larger(peak, p->rows[isa].peak);
    double arithmetic = (double)p->t * weights / (peak * share * p->machine->clock * p->threads);
    double bytes = weights * (double)p->x_bytes;
    return arithmetic + seconds_exposed(read_weights(p, bytes, bytes / p->threads), arithmetic);
}

static void predict(const planning *p, double dense_share, ht_plan *plan) {
    const ht_machine *m = p->machine;
    plan->bytes = (double)p->t * ((double)p->l->columns * (double)p->x_bytes + (double)p->o * 4);
    if (p->schedule->design == HT_NM_DESIGN_REFERENCE)
        predict_reference(p, plan);
    else
        predict_kernels(p, plan);
    plan->overhead = m->call + (plan->threads > 1 ? m->fork : 0);
    plan->seconds = plan->arithmetic + plan->weights + plan->x + plan->y + plan->overhead;
    plan->dense_seconds = dense_seconds(p, dense_share) + plan->overhead;
    plan->dense_wins = plan->dense_seconds < plan->seconds;
}

// By the type of X, as in ht_machine.
static size_t product_index(ht_dtype x) { return x == HT_DTYPE_F32 ? 0 : x == HT_DTYPE_BF16 ? 1 : 2; }

ht_status ht_nm_plan(size_t t, size_t o, size_t k, size_t n, size_t m, ht_dtype x, ht_dtype w,
                     const ht_options *options, const ht_machine *machine, ht_plan *plan) {
    static const ht_options defaults;
    ht_nm_layout layout;
    const ht_entry *entry;
    int threads;
    ht_nm_matrix of = {
        .kind = HT_BLOB_NM, .rows = o, .taps = 1, .tap_columns = k, .kernel_width = 1, .n = n, .m = m, .dtype = w};
    if (!plan) return HT_ERROR_NULL;
    if (!options) options = &defaults;
    ht_status status = ht_nm_choose_kernel(x, w, options, &entry, &threads);
    if (!status) status = ht_nm_shared_rows(options, &of.shared_rows);
    if (!status) status = ht_nm_layout_make(&of, &layout);
    if (status) return status;

    *plan = (ht_plan){.op = entry->op, .isa = entry->isa};
    ht_nm_choose_pieces(t, o, threads, &plan->row_pieces, &plan->column_pieces);
    ht_nm_schedule schedule = {.t = plan->row_pieces ? largest_piece(t, plan->row_pieces) : 0};
    ht_nm_task task = {.layout = &layout, .x_dtype = x, .schedule = &schedule};
    ((ht_nm_gemm_kernel *)entry->kernel)(&task);
    plan->threads = (int)(plan->row_pieces * plan->column_pieces);
    plan->design = schedule.design;
    plan->rows = schedule.rows;
    plan->columns = schedule.columns;
    plan->panel = schedule.panel;

    const ht_machine *used = machine ? machine : ht_this_machine();
    planning p = {.machine = used,
                  .rows = used->rows[product_index(x)],
                  .row = &used->rows[product_index(x)][entry->isa],
                  .l = &layout,
                  .schedule = &schedule,
                  .t = t,
                  .o = o,
                  .piece_t = schedule.t,
                  .piece_o = plan->column_pieces ? largest_piece(o, plan->column_pieces) : 0,
                  .x_bytes = ht_dtype_size(x),
                  .threads = plan->threads > 1 ? plan->threads : 1};
    predict(&p, used->dense[product_index(x)], plan);
    return HT_OK;
}
