// SPDX-License-Identifier: Apache-2.0
#include "kernels.h"

ht_status ht_nm_conv_make(const ht_conv_shape *shape, ht_conv *conv) {
    ht_status status = ht_conv_make(shape, conv);
    const ht_conv_shape *s = &conv->shape;
    if (status) return status;
    if (s->padding != HT_PADDING_ZERO) return HT_ERROR_CONV;
    if (s->kernel_height > UINT16_MAX || s->kernel_width > UINT16_MAX) return HT_ERROR_OVERFLOW;
    return s->groups > 1 && s->groups == s->channels ? HT_ERROR_DEPTHWISE : HT_OK;
}

ht_nm_image ht_nm_forward_image(const ht_conv *conv) {
    const ht_conv_shape *s = &conv->shape;
    return (ht_nm_image){.height = s->height,
                         .width = s->width,
                         .out_height = conv->out_height,
                         .out_width = conv->out_width,
                         .kernel_width = s->kernel_width,
                         .step_y = s->stride_y,
                         .step_x = s->stride_x,
                         .spread_y = 1,
                         .spread_x = 1,
                         .dilation_y = s->dilation_y,
                         .dilation_x = s->dilation_x,
                         .top = -(ptrdiff_t)s->pad_top,
                         .left = -(ptrdiff_t)s->pad_left};
}

ht_nm_image ht_nm_backward_image(const ht_conv *conv) {
    const ht_conv_shape *s = &conv->shape;
    return (ht_nm_image){.height = conv->out_height,
                         .width = conv->out_width,
                         .out_height = s->height,
                         .out_width = s->width,
                         .kernel_width = s->kernel_width,
                         .step_y = 1,
                         .step_x = 1,
                         .spread_y = s->stride_y,
                         .spread_x = s->stride_x,
                         .dilation_y = s->dilation_y,
                         .dilation_x = s->dilation_x,
                         .top = (ptrdiff_t)s->pad_top - (ptrdiff_t)((s->kernel_height - 1) * s->dilation_y),
                         .left = (ptrdiff_t)s->pad_left - (ptrdiff_t)((s->kernel_width - 1) * s->dilation_x)};
}

bool ht_nm_image_is_trivial(const ht_nm_image *i, size_t taps) {
    return taps == 1 && i->top == 0 && i->left == 0 && i->height == i->out_height && i->width == i->out_width &&
           i->step_y == 1 && i->step_x == 1 && i->spread_y == 1 && i->spread_x == 1;
}

// The row or column of X at a place of the grid; `size` where there is none.
static size_t in_image(ptrdiff_t place, size_t spread, size_t size) {
    size_t at = (size_t)place;  // in front of the image it becomes a large number
    if (spread > 1) {
        if (at % spread) return size;
        at /= spread;
    }
    return at < size ? at : size;
}

// The first column of Y from which a tap sees `place` of a row of X without spread, or a column behind it.
static size_t first_column(ptrdiff_t place, size_t step) { return place > 0 ? ht_ceil_div((size_t)place, step) : 0; }

void ht_nm_image_pixels(const ht_nm_image *i, const void *x, size_t x_stride, size_t t, size_t count, size_t tap,
                        const void *none, const void **pixels) {
    const ptrdiff_t down = (ptrdiff_t)(tap / i->kernel_width * i->dilation_y) + i->top;
    const ptrdiff_t across = (ptrdiff_t)(tap % i->kernel_width * i->dilation_x) + i->left;
    size_t column = t % i->out_width, row = t / i->out_width % i->out_height, image = t / i->out_width / i->out_height;
    size_t seen = 0, unseen = i->out_width;  // the columns that may see a pixel
    if (i->spread_x == 1) {
        seen = first_column(-across, i->step_x);
        unseen = ht_min(unseen, first_column((ptrdiff_t)i->width - across, i->step_x));
    }
    for (size_t n = 0; n < count; column = 0) {
        const size_t y = in_image((ptrdiff_t)(row * i->step_y) + down, i->spread_y, i->height);
        const size_t end = ht_min(i->out_width, column + count - n);
        const size_t from = y < i->height ? ht_min(end, seen) : end, to = ht_min(end, unseen);
        const char *line = (const char *)x + (image * i->height + y) * i->width * x_stride;
        for (; column < from; column++) pixels[n++] = none;
        if (i->spread_x == 1 && column < to) {
            const char *pixel = line + (size_t)((ptrdiff_t)(column * i->step_x) + across) * x_stride;
            for (; column < to; column++, pixel += i->step_x * x_stride) pixels[n++] = pixel;
        }
        for (; column < to; column++) {
            size_t c = in_image((ptrdiff_t)(column * i->step_x) + across, i->spread_x, i->width);
            pixels[n++] = c < i->width ? line + c * x_stride : none;
        }
        for (; column < end; column++) pixels[n++] = none;
        row = row + 1 < i->out_height ? row + 1 : 0;
        image += row == 0;
    }
}

void ht_nm_x_lines(const ht_nm_task *task, size_t t, size_t rows, const ht_nm_segment *at, const void *none,
                   const void **lines) {
    const char *x = (const char *)task->x + at->place * ht_dtype_size(task->x_dtype);
    if (task->image)
        ht_nm_image_pixels(task->image, x, task->x_stride, t, rows, at->tap, none, lines);
    else
        for (size_t row = 0; row < rows; row++) lines[row] = x + (t + row) * task->x_stride;
}

const void *ht_nm_x_element(const ht_nm_task *task, size_t t, size_t column) {
    if (task->permutation) column = task->permutation[column];
    if (task->x_order == HT_ORDER_FEATURES)
        return (const char *)task->x + column * task->x_stride + t * ht_dtype_size(task->x_dtype);
    const ht_nm_segment at = ht_nm_segment_at(task->layout, column, task->layout->columns);
    const void *line = NULL;
    if (at.present) ht_nm_x_lines(task, t, 1, &at, NULL, &line);
    return line;
}

const void *ht_nm_x_line(const ht_nm_task *task, size_t t) {
    const ht_nm_segment whole = ht_nm_segment_at(task->layout, 0, task->layout->columns);
    const void *line;
    ht_nm_x_lines(task, t, 1, &whole, NULL, &line);
    return line;
}

void ht_nm_pack_permuted(const ht_nm_task *task, size_t t, size_t rows, ht_nm_scatter_lines *scatter, size_t width,
                         void *panel) {
    const ht_nm_layout *l = task->layout;
    const size_t line_bytes = width * ht_dtype_size(task->x_dtype);
    const ht_nm_segment whole = ht_nm_segment_at(l, 0, l->columns);
    const void *lines[HT_NM_WIDEST_PANEL];
    ht_nm_x_lines(task, t, rows, &whole, NULL, lines);
    scatter(lines, rows, l->columns, task->panel_lines, width, panel);
    for (size_t b = 0; b < l->blocks; b++) {
        size_t columns = ht_nm_block_width(l, b), behind = b * ht_nm_panel_columns(l, 0) + columns;
        memset((char *)panel + behind * line_bytes, 0, (ht_nm_panel_columns(l, b) - columns) * line_bytes);
    }
}

void ht_nm_pack_block(const ht_nm_task *task, size_t t, size_t rows, size_t b, ht_nm_pack_lines *pack, size_t width,
                      void *panel) {
    const ht_nm_layout *l = task->layout;
    const size_t begin = b * l->block_columns, end = begin + ht_nm_block_width(l, b);
    const void *lines[HT_NM_WIDEST_PANEL];
    char *to = panel;
    for (size_t column = begin; column < end;) {
        const ht_nm_segment at = ht_nm_segment_at(l, column, end);
        ht_nm_x_lines(task, t, rows, &at, NULL, lines);
        // What is behind the last column is zero like the padding of a tap.
        column += at.columns;
        size_t padded = column == end ? at.columns + ht_nm_panel_columns(l, b) - (end - begin) : at.columns;
        pack(lines, rows, at.present, padded, width, to);
        to += padded * width * ht_dtype_size(task->x_dtype);
    }
}
