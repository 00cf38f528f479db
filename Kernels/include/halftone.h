// SPDX-License-Identifier: Apache-2.0
// Halftone: sparse and binary kernels for CPUs. This header includes all the others.
#ifndef HALFTONE_H
#define HALFTONE_H

#include "halftone/base.h"
#include "halftone/bimask.h"
#include "halftone/binary.h"
#include "halftone/binary_conv.h"
#include "halftone/binary_gradient.h"
#include "halftone/conv.h"
#include "halftone/mst.h"
#include "halftone/nm.h"
#include "halftone/nm_conv.h"
#include "halftone/nm_gradient.h"
#include "halftone/nm_mask.h"
#include "halftone/plan.h"
#include "halftone/spre.h"
#include "halftone/training.h"

#endif
