// SPDX-License-Identifier: Apache-2.0
#include "panels.h"

ht_status ht_nm_panels_scratch(const ht_nm_layout *l, size_t t, size_t *bytes) {
    size_t rows = ht_round_up(ht_min(t, HT_NM_PANEL_ROWS), HT_NM_STRIP), columns;
    if (!ht_mul(l->blocks, HT_NM_MAX_COLUMNS, &columns)) return HT_ERROR_OVERFLOW;
    size_t outputs = HT_NM_PANEL_OUTPUTS + HT_NM_STRIP;
    if (!ht_add(columns, outputs, bytes) || !ht_mul(*bytes, rows * sizeof(float), bytes)) return HT_ERROR_OVERFLOW;
    return HT_OK;
}
