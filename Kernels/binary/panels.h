// SPDX-License-Identifier: Apache-2.0
// Where the pixels of X and Y lie in the lanes, and what the design with pixels in the lanes keeps in its scratch.
#ifndef HT_BINARY_PANELS_H
#define HT_BINARY_PANELS_H

#include "pixels.h"
#include "views.h"

enum {
    HT_PANELS_AT_ONCE = 8,      // whose pixels are cut into bits together if they see some of the same
    HT_PANELS_VECTOR = 64,      // bytes
    HT_PANELS_NUMBERS = 16,     // vectors of 512 numbers of 16 bits
    HT_PANELS_VIEWS = 64,       // at most
    HT_PANELS_CHANNELS = 8000,  // at most
    HT_PANELS_TABLE_VIEWS = 6,  // views that a table of lanes tells apart, and
    HT_PANELS_TABLE = 64,       // the sets of them
    HT_PANELS_TABLES = 11       // for all views
};

/// An image of X or Y in a raster of lanes, both in the same: lane (image * rows + row) * pitch + column. Lanes beside
/// an image hold no pixel of it.
typedef struct ht_binary_grid {
    size_t pitch, rows;
    size_t width, height, images;
} ht_binary_grid;

/// Pixels that follow each other in the lanes and in memory: `count`, and then `gap` lanes that hold none.
typedef struct ht_binary_line {
    size_t pixel, count, gap;
} ht_binary_line;

/// From a lane on.
ht_binary_line ht_binary_line_at(const ht_binary_grid *grid, size_t lane);

size_t ht_binary_lane_of(const ht_binary_grid *grid, size_t pixel);

/// How many panels t_begin ..< t_end fill, and how many pixels are left because they fill less than `least` lanes of
/// another: all, if even full panels do.
size_t ht_binary_panels_count(const ht_binary_grid *y, size_t least, size_t t_begin, size_t t_end, size_t *rest);

/// Cycles that a panel takes, and a pixel in tiles of the direct design, as measured on Zen 5, of which `numbers` are
/// estimates.
double ht_binary_panel_cycles(const ht_binary_layout *layout, bool numbers);
double ht_binary_pixel_cycles(const ht_binary_layout *layout, const ht_conv *conv, bool numbers);

/// A task in panels of 512 lanes.
typedef struct ht_binary_panels {
    ht_binary_grid x, y;
    size_t tap_down, tap_across;  // lanes from tap to tap
    size_t lead;                  // lanes from the lane of a pixel of Y back to that of its first tap
    size_t reach;                 // lanes from its first tap to its last
    size_t channels;
    size_t count_bits;            // of the number of channels
    size_t string_rows;           // vectors of a block: of the channels, of zeros, of the bits of their number
    size_t least;                 // lanes of the last panel; fewer are faster in tiles
    bool in_place;                // lists name strings: each pixel of Y sees one of X, in the same lane
    size_t at_once;               // panels
    size_t strings_at_once;       // blocks of 512 lanes of X
    size_t counter_bits;          // as many as the kernels know
    size_t outputs;               // rounded up to 64
    size_t views, view_columns;
    ht_binary_lists lists;
    // Scratch; the inputs come first, so that whatever an entry says is inside:
    char *inputs;      // [input of a chunk, then zeros] of a panel
    char *strings;     // [block of lanes][string row]
    uint64_t *words;   // of 512 lanes
    char *counters;    // [output][bit], between chunks, and of parents
    char *results;     // [output]: signs, or numbers
    char *view_lanes;  // [view]
    char *tap_lanes;   // [tap]
    char *tables;      // [table][set of views]
    uint32_t (*sets)[16];  // [table][output][bit of its limits]
    ht_binary_view *view;
    int32_t *of_view;  // [view][output]: limits of T, or sums where T is 0
    int32_t *factor;   // [output]: of T in sums
    uint16_t *all;     // the list of all channels
    int8_t *inverted, *turned;  // [output]: -1 or 0
} ht_binary_panels;

/// Fills in all but the lists, for a Y of signs or of numbers; the scratch may be null. Returns its size.
size_t ht_binary_panels_make(const ht_binary_layout *layout, const ht_conv *conv, size_t t, bool numbers, char *scratch,
                             ht_binary_panels *panels);

#endif
