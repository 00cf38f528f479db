"""Y = X W^T with 2 of each 4 weights kept: python3 example.py [path of libhalftone.so]"""

import ctypes
import sys

import numpy

halftone = ctypes.CDLL(sys.argv[1] if len(sys.argv) > 1 else "libhalftone.so.0")
halftone.ht_allocate.restype = ctypes.c_void_p
size = ctypes.c_size_t
F32 = 1


def pointer(array):
    return ctypes.c_void_p(array.ctypes.data)


random = numpy.random.default_rng()
w = random.standard_normal((3072, 768), numpy.float32)  # [out, in], as torch.nn.Linear(768, 3072).weight.numpy()
x = random.standard_normal((128, 768), numpy.float32)
y = numpy.empty((128, 3072), numpy.float32)

pattern = size(3072), size(768), size(2), size(4)
dense, defaults, no_mask, no_epilogue, bytes_ = size(0), None, None, None, size()
assert halftone.ht_nm_prune_f32(*pattern, pointer(w), dense, pointer(w), dense, defaults) == 0
assert halftone.ht_nm_packed_size(*pattern, F32, defaults, ctypes.byref(bytes_)) == 0
packed = ctypes.c_void_p(halftone.ht_allocate(bytes_)), bytes_
assert halftone.ht_nm_pack_f32(*pattern, pointer(w), dense, no_mask, dense, *packed, defaults) == 0
sizes = size(128), size(3072), size(768)
assert halftone.ht_nm_gemm_f32(*sizes, pointer(x), dense, *packed, no_epilogue, pointer(y), dense, defaults) == 0

error = abs(y - x @ w.T).max()
print(f"largest difference from NumPy's dense product: {error:.1e}")
assert error < 1e-3
