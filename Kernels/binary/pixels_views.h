// SPDX-License-Identifier: Apache-2.0
// Which lanes of a panel see what of an image. Included by pixels_avx512.c.
#ifndef HT_BINARY_PIXELS_VIEWS_H
#define HT_BINARY_PIXELS_VIEWS_H

#include "pixels_job.h"

// Lanes begin ..< end of the panel.
HT_INLINE __m512i lanes_between(ptrdiff_t begin, ptrdiff_t end) {
    const __m512i word = _mm512_setr_epi64(0, 64, 128, 192, 256, 320, 384, 448), zero = _mm512_setzero_si512();
    const __m512i ones = _mm512_set1_epi64(-1);
    const __m512i from = _mm512_max_epi64(zero, _mm512_sub_epi64(_mm512_set1_epi64(begin), word));
    const __m512i to = _mm512_max_epi64(zero, _mm512_sub_epi64(_mm512_set1_epi64(end), word));
    return _mm512_andnot_si512(_mm512_sllv_epi64(ones, to), _mm512_sllv_epi64(ones, from));
}

// The lanes of the panel in places begin ..< end of each `period` lanes.
static __m512i lanes_of(size_t lane, size_t period, size_t begin, size_t end) {
    __m512i lanes = _mm512_setzero_si512();
    for (ptrdiff_t at = -(ptrdiff_t)(lane % period); at < HT_BINARY_PANEL; at += (ptrdiff_t)period)
        lanes = _mm512_or_si512(lanes, lanes_between(at + (ptrdiff_t)begin, at + (ptrdiff_t)end));
    return lanes;
}

// Views are rectangles: a range of rows and one of columns.
static void find_view_lanes(job *j) {
    const ht_binary_panels *p = &j->p;
    const size_t pitch = p->y.pitch;
    __m512i columns[HT_PANELS_VIEWS], rows = _mm512_set1_epi64(-1);
    j->present_count = 0;
    for (size_t v = 0; v < p->views; v++) {
        const ht_binary_view *view = &p->view[v];
        const size_t column = v % p->view_columns;
        if (!j->task->conv)
            columns[column] = rows;
        else if (v == column)
            columns[column] = lanes_of(j->lane, pitch, view->columns.begin, view->columns.end);
        if (j->task->conv && column == 0)
            rows = lanes_of(j->lane, pitch * p->y.rows, view->rows.begin * pitch, view->rows.end * pitch);
        const __m512i lanes = _mm512_and_si512(rows, columns[column]);
        store(p->view_lanes, v, lanes);
        if (_mm512_test_epi64_mask(lanes, lanes)) j->present[j->present_count++] = v;
    }
}

// The lanes whose pixels see a tap inside the image.
static void find_tap_lanes(job *j) {
    const ht_binary_layout *l = j->task->layout;
    for (size_t tap = 0; tap < l->taps; tap++) {
        __m512i lanes = _mm512_setzero_si512();
        for (size_t i = 0; i < j->present_count; i++) {
            if (ht_binary_view_sees(l, &j->p.view[j->present[i]], tap))
                lanes = _mm512_or_si512(lanes, load(j->p.view_lanes, j->present[i]));
        }
        store(j->p.tap_lanes, tap, lanes);
    }
}

// For each set of views the lanes that are in one of them.
static void make_tables(job *j) {
    for (size_t first = 0; first < j->present_count; first += HT_PANELS_TABLE_VIEWS) {
        char *table = vector(j->p.tables, first / HT_PANELS_TABLE_VIEWS * HT_PANELS_TABLE);
        store(table, 0, _mm512_setzero_si512());
        for (size_t i = 0; i < ht_min(HT_PANELS_TABLE_VIEWS, j->present_count - first); i++) {
            const __m512i lanes = load(j->p.view_lanes, j->present[first + i]);
            for (size_t set = 0; set < (size_t)1 << i; set++)
                store(table, set + ((size_t)1 << i), _mm512_or_si512(lanes, load(table, set)));
        }
    }
}

#endif
