"""The C ABI from Python: NumPy arrays through ctypes, as a script that holds PyTorch weights would use it.

    HALFTONE_LIBRARY=build/gcc/libhalftone.so python3 -m unittest discover Tests/Python
"""

import ctypes
import os
import unittest

import numpy

OK, NULL, PATTERN, STRIDE, NOT_SPARSE, BUFFER_SIZE, WINDOW, TRUNCATED, FOREIGN, SHAPE = 0, 1, 2, 3, 6, 7, 9, 13, 14, 17
TREE = 25  # the last
RELU = 1
REF = 1
F32, F16, I8, I32, B1 = 1, 2, 4, 6, 8
FEATURES = 1

size_t, pointer = ctypes.c_size_t, ctypes.c_void_p


class Options(ctypes.Structure):
    _fields_ = [
        ("threads", ctypes.c_int),
        ("isa", ctypes.c_int),
        ("row_begin", size_t),
        ("row_end", size_t),
        ("column_begin", size_t),
        ("column_end", size_t),
        ("scratch", pointer),
        ("scratch_size", size_t),
        ("shared_rows", ctypes.c_int),
        ("shared_taps", ctypes.c_int),
        ("x_order", ctypes.c_int),
        ("y_order", ctypes.c_int),
        ("binary_design", ctypes.c_int),
    ]


class Epilogue(ctypes.Structure):
    _fields_ = [
        ("bias", pointer),
        ("activation", ctypes.c_int),
        ("low", ctypes.c_float),
        ("high", ctypes.c_float),
        ("residual", pointer),
        ("residual_stride", size_t),
        ("output", ctypes.c_int),
        ("quantization", pointer),
        ("row_scale", pointer),
        ("threshold", pointer),
    ]


class Quantization(ctypes.Structure):
    _fields_ = [
        ("x_zero", ctypes.c_int32),
        ("scale", pointer),
        ("y_scale", ctypes.c_float),
        ("y_zero", ctypes.c_int32),
        ("multiplier", pointer),
        ("shift", pointer),
        ("offset", pointer),
        ("half_away", ctypes.c_int),
    ]


class Threshold(ctypes.Structure):
    _fields_ = [("level", pointer), ("flip", pointer)]


library = ctypes.CDLL(os.environ["HALFTONE_LIBRARY"])
library.ht_status_text.restype = ctypes.c_char_p
library.ht_status_text.argtypes = [ctypes.c_int]
library.ht_nm_mask_f32.argtypes = [size_t] * 4 + [pointer, size_t] * 2 + [pointer]
library.ht_nm_prune_f32.argtypes = [size_t] * 4 + [pointer, size_t] * 2 + [pointer]
library.ht_nm_packed_size.argtypes = [size_t] * 4 + [ctypes.c_int, pointer, pointer]
for pack in library.ht_nm_pack_f32, library.ht_nm_pack_f16, library.ht_nm_pack_i8:
    pack.argtypes = [size_t] * 4 + [pointer, size_t] * 3 + [pointer]
library.ht_nm_unpack.argtypes = [size_t] * 2 + [pointer, size_t] * 2 + [pointer]
for gemm in library.ht_nm_gemm_f32, library.ht_nm_gemm_u8:
    gemm.argtypes = [size_t] * 3 + [pointer, size_t] * 2 + [pointer] + [pointer, size_t] + [pointer]
library.ht_binary_packed_size.argtypes = [size_t] * 2 + [pointer] * 2
library.ht_binary_pack.argtypes = [size_t] * 2 + [pointer, size_t] * 2 + [pointer]
library.ht_binary_gemm_b1.argtypes = library.ht_nm_gemm_f32.argtypes
library.ht_sign_pack_f32.argtypes = [size_t] * 2 + [pointer, size_t, pointer] + [pointer, size_t] + [pointer]


def address(array):
    return None if array is None else array.ctypes.data


def aligned(size):
    """`size` bytes that begin on a multiple of 64."""
    memory = numpy.zeros(size + 64, numpy.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size]


def pruned_by_numpy(w, n, m):
    """The n largest magnitudes of each m columns; of equal ones the lower column."""
    kept = numpy.zeros_like(w, dtype=bool)
    for first in range(0, w.shape[1], m):
        order = numpy.argsort(-numpy.abs(w[:, first : first + m]), axis=1, kind="stable")[:, :n]
        numpy.put_along_axis(kept[:, first : first + m], order, True, axis=1)
    return numpy.where(kept, w, numpy.float32(0)), kept


class Weights:
    """A weight matrix [out, in] with its pruned and packed forms."""

    def __init__(self, w, n, m):
        self.o, self.k = w.shape
        self.n, self.m, self.w = n, m, w
        self.pruned = numpy.full((self.o, self.k), numpy.nan, numpy.float32)
        check(library.ht_nm_prune_f32(self.o, self.k, n, m, address(w), w.strides[0], address(self.pruned), 0, None))
        size = size_t()
        check(library.ht_nm_packed_size(self.o, self.k, n, m, F32, None, ctypes.byref(size)))
        self.packed = aligned(size.value)
        check(self.pack(self.pruned, self.packed))

    def pack(self, w, packed):
        sizes = (self.o, self.k, self.n, self.m)
        return library.ht_nm_pack_f32(*sizes, address(w), w.strides[0], None, 0, address(packed), packed.nbytes, None)

    def times(self, inputs, y, epilogue=None, options=None, **wrong):
        a = dict(t=len(inputs), o=self.o, k=self.k, x=address(inputs), x_stride=inputs.strides[0], packed=self.packed)
        a.update(wrong)
        packed_size = a.get("size", a["packed"].nbytes)
        return library.ht_nm_gemm_f32(
            a["t"], a["o"], a["k"], a["x"], a["x_stride"], address(a["packed"]), packed_size,
            ctypes.byref(epilogue) if epilogue else None, address(y), y.strides[0],
            ctypes.byref(options) if options else None,
        )


def check(status):
    if status != OK:
        raise AssertionError(library.ht_status_text(status).decode())


class Product(unittest.TestCase):
    def setUp(self):
        self.random = numpy.random.default_rng(0)

    def normal(self, *shape):
        return self.random.standard_normal(shape, dtype=numpy.float32)

    def assert_near(self, y, x, w, bias):
        """|y - exact| <= gamma(terms) * sum |x w|"""
        x, w = x.astype(numpy.float64), w.astype(numpy.float64)
        terms = (w != 0).sum(axis=1) + 1
        bound = terms * 2.0**-24 / (1 - terms * 2.0**-24) * (abs(x) @ abs(w).T + abs(bias))
        exact = numpy.maximum(x @ w.T + bias, 0)
        self.assertTrue((abs(y - exact) <= bound).all())

    def test_prunes_packs_and_multiplies(self):
        for n, m in [(1, 2), (2, 4), (1, 4), (4, 8), (1, 16), (3, 5), (7, 64)]:
            for t, o, k in [(1, 64, 128), (7, 33, 100), (40, 17, 300)]:
                with self.subTest(pattern=(n, m), shape=(t, o, k)):
                    weights = Weights(self.normal(o, k), n, m)
                    expected, _ = pruned_by_numpy(weights.w, n, m)
                    numpy.testing.assert_array_equal(weights.pruned, expected)
                    x, bias = self.normal(t, k), self.normal(o)
                    y = numpy.full((t, o), numpy.nan, numpy.float32)
                    check(weights.times(x, y, Epilogue(address(bias), RELU)))
                    self.assert_near(y, x, expected, bias.astype(numpy.float64))

    def test_mask_is_numpys_little_endian_packbits(self):
        w = self.normal(9, 45)
        mask = numpy.empty((9, 6), numpy.uint8)
        check(library.ht_nm_mask_f32(9, 45, 2, 4, address(w), 0, address(mask), 0, None))
        _, kept = pruned_by_numpy(w, 2, 4)
        numpy.testing.assert_array_equal(mask, numpy.packbits(kept, axis=1, bitorder="little"))

    def test_takes_slices_by_their_stride(self):
        w, x, y = self.normal(20, 90), self.normal(6, 80), numpy.zeros((6, 50), numpy.float32)
        weights = Weights(w[:, 10:70], 2, 4)
        check(weights.times(x[:, 20:], y[:, 5:25]))
        self.assert_near(numpy.maximum(y[:, 5:25], 0), x[:, 20:], weights.pruned, 0)
        self.assertFalse(y[:, :5].any() or y[:, 25:].any())

    def test_unpacks_what_was_packed(self):
        weights = Weights(self.normal(21, 130), 2, 8)
        back = numpy.full((21, 130), numpy.nan, numpy.float32)
        check(library.ht_nm_unpack(21, 130, address(weights.packed), weights.packed.nbytes, address(back), 0, None))
        numpy.testing.assert_array_equal(back, weights.pruned)

    def test_same_bits_for_any_threads_and_on_the_reference(self):
        weights, x = Weights(self.normal(65, 270), 2, 4), self.normal(19, 270)
        results = []
        for options in [Options(), Options(threads=1), Options(threads=3), Options(isa=REF)]:
            y = numpy.full((19, 65), numpy.nan, numpy.float32)
            check(weights.times(x, y, options=options))
            results.append(y.tobytes())
        self.assertEqual(len(set(results)), 1)


def packed_with(pack, dtype, w, n, m, shared_rows=0):
    """Weights that obey the pattern, packed."""
    options, size = Options(shared_rows=shared_rows), size_t()
    check(library.ht_nm_packed_size(*w.shape, n, m, dtype, ctypes.byref(options), ctypes.byref(size)))
    packed = aligned(size.value)
    arguments = address(w), w.strides[0], None, 0, address(packed), packed.nbytes, ctypes.byref(options)
    check(pack(*w.shape, n, m, *arguments))
    return packed


class Types(unittest.TestCase):
    def setUp(self):
        self.random = numpy.random.default_rng(2)

    def test_half_precision_weights_are_widened_exactly(self):
        w, _ = pruned_by_numpy(self.random.standard_normal((33, 100), dtype=numpy.float32), 2, 4)
        half = w.astype(numpy.float16)
        x = self.random.standard_normal((9, 100), dtype=numpy.float32)
        results = []
        for pack, dtype, weights in [
            (library.ht_nm_pack_f16, F16, half),
            (library.ht_nm_pack_f32, F32, half.astype(numpy.float32)),
        ]:
            packed = packed_with(pack, dtype, weights, 2, 4)
            y = numpy.full((9, 33), numpy.nan, numpy.float32)
            sizes = 9, 33, 100
            check(library.ht_nm_gemm_f32(*sizes, address(x), 0, address(packed), packed.nbytes, None, address(y), 0, None))
            results.append(y)
        numpy.testing.assert_array_equal(*results)

    def test_bytes(self):
        dense = self.random.integers(-128, 128, (40, 90)).astype(numpy.float32)
        w = pruned_by_numpy(dense, 2, 4)[0].astype(numpy.int8)
        x = self.random.integers(0, 256, (7, 90)).astype(numpy.uint8)
        exact = (x.astype(numpy.int64) - 100) @ w.astype(numpy.int64).T
        packed = packed_with(library.ht_nm_pack_i8, I8, w, 2, 4)
        call = 7, 40, 90, address(x), 0, address(packed), packed.nbytes

        quantization = Quantization(x_zero=100)
        epilogue = Epilogue(output=I32, quantization=ctypes.addressof(quantization))
        y = numpy.zeros((7, 40), numpy.int32)
        check(library.ht_nm_gemm_u8(*call, ctypes.byref(epilogue), address(y), 0, None))
        numpy.testing.assert_array_equal(y, exact)

        # The dyadic form rounds down after half a unit was added.
        multiplier = self.random.integers(0, 2**20, 40).astype(numpy.int32)
        shift = numpy.full(40, 28, numpy.uint8)
        quantization.multiplier, quantization.shift = address(multiplier), address(shift)
        quantization.half_away, quantization.y_zero = 1, -5
        epilogue.output = I8
        bytes_ = numpy.zeros((7, 40), numpy.int8)
        check(library.ht_nm_gemm_u8(*call, ctypes.byref(epilogue), address(bytes_), 0, None))
        expected = ((exact * multiplier + 2**27) >> 28) - 5
        numpy.testing.assert_array_equal(bytes_, numpy.clip(expected, -128, 127))

    def test_feature_major_is_the_transpose(self):
        weights = Weights(self.random.standard_normal((20, 64), dtype=numpy.float32), 1, 4)
        x = self.random.standard_normal((6, 64), dtype=numpy.float32)
        y, turned = numpy.zeros((6, 20), numpy.float32), numpy.zeros((20, 6), numpy.float32)
        check(weights.times(x, y))
        options = Options(x_order=FEATURES, y_order=FEATURES)
        columns = numpy.ascontiguousarray(x.T)
        check(weights.times(columns, turned, options=options, t=6))
        numpy.testing.assert_array_equal(turned.T, y)

    def test_shared_patterns(self):
        w = self.random.standard_normal((12, 40), dtype=numpy.float32)
        options = Options(shared_rows=4)
        pruned = numpy.zeros_like(w)
        sizes = 12, 40, 2, 4
        check(library.ht_nm_prune_f32(*sizes, address(w), 0, address(pruned), 0, ctypes.byref(options)))
        sums = abs(w.astype(numpy.float64)).reshape(3, 4, 40).sum(axis=1)
        _, kept = pruned_by_numpy(sums, 2, 4)
        numpy.testing.assert_array_equal(pruned, numpy.where(kept.repeat(4, axis=0), w, 0))
        packed_with(library.ht_nm_pack_f32, F32, pruned, 2, 4, shared_rows=4)


def bits_by_numpy(signs):
    """Rows of words whose set bits are the negative entries."""
    bytes_ = numpy.packbits(signs < 0, axis=1, bitorder="little")
    return numpy.pad(bytes_, ((0, 0), (0, -bytes_.shape[1] % 8))).view("<u8")


class Signs(unittest.TestCase):
    def setUp(self):
        self.random = numpy.random.default_rng(3)

    def test_packs_as_numpy_does(self):
        x = self.random.standard_normal((7, 90), dtype=numpy.float32)
        x[:, ::9] = 0
        bits = numpy.full((7, 2), 2**64 - 1, numpy.uint64)
        check(library.ht_sign_pack_f32(7, 90, address(x), 0, None, address(bits), 0, None))
        numpy.testing.assert_array_equal(bits, bits_by_numpy(x))

    def test_multiplies(self):
        for t, o, k in [(1, 1, 1), (7, 33, 100), (40, 130, 300)]:
            with self.subTest(shape=(t, o, k)):
                x, w = (self.random.choice(numpy.array([-1, 1]), (rows, k)) for rows in (t, o))
                exact = x @ w.T
                size, x_bits, w_bits = size_t(), bits_by_numpy(x), bits_by_numpy(w)
                check(library.ht_binary_packed_size(o, k, None, ctypes.byref(size)))
                packed = aligned(size.value)
                check(library.ht_binary_pack(o, k, address(w_bits), 0, address(packed), packed.nbytes, None))
                call = t, o, k, address(x_bits), 0, address(packed), packed.nbytes

                sums = numpy.zeros((t, o), numpy.int32)
                check(library.ht_binary_gemm_b1(*call, None, address(sums), 0, None))
                numpy.testing.assert_array_equal(sums, exact)

                scale, row_scale = (self.random.standard_normal(n, dtype=numpy.float32) for n in (o, t))
                quantization = Quantization(scale=address(scale))
                epilogue = Epilogue(output=F32, quantization=ctypes.addressof(quantization), row_scale=address(row_scale))
                reals = numpy.full((t, o), numpy.nan, numpy.float32)
                check(library.ht_binary_gemm_b1(*call, ctypes.byref(epilogue), address(reals), 0, None))
                numpy.testing.assert_array_equal(reals, exact.astype(numpy.float32) * row_scale[:, None] * scale)

                level = self.random.integers(-k, k + 1, o).astype(numpy.int32)
                flip = self.random.random(o) < 0.5
                flip_bits = numpy.packbits(flip, bitorder="little")
                threshold = Threshold(address(level), address(flip_bits))
                epilogue = Epilogue(output=B1, threshold=ctypes.addressof(threshold))
                bits = numpy.zeros((t, (o + 63) // 64), numpy.uint64)
                check(library.ht_binary_gemm_b1(*call, ctypes.byref(epilogue), address(bits), 0, None))
                expected = numpy.where((exact < level) != flip, -1, 1)
                numpy.testing.assert_array_equal(bits, bits_by_numpy(expected))


class Errors(unittest.TestCase):
    def setUp(self):
        random = numpy.random.default_rng(1)
        self.weights = Weights(random.standard_normal((20, 24), dtype=numpy.float32), 2, 4)
        self.x = random.standard_normal((5, 24), dtype=numpy.float32)

    def refuse(self, status, **arguments):
        y = numpy.full((5, 20), 7, numpy.float32)
        self.assertEqual(self.weights.times(self.x, y, **arguments), status)
        self.assertTrue((y == 7).all())

    def test_product(self):
        self.refuse(NULL, x=None)
        self.refuse(STRIDE, x_stride=92)
        self.refuse(SHAPE, k=20)
        self.refuse(TRUNCATED, size=self.weights.packed.nbytes - 1)
        self.refuse(FOREIGN, packed=aligned(self.weights.packed.nbytes))
        self.refuse(WINDOW, options=Options(row_end=6))

    def test_weights(self):
        w, size = self.weights.w, size_t()
        self.assertEqual(self.weights.pack(w, self.weights.packed), NOT_SPARSE)
        self.assertEqual(self.weights.pack(self.weights.pruned, self.weights.packed[:-1]), BUFFER_SIZE)
        self.assertEqual(library.ht_nm_packed_size(20, 24, 5, 4, F32, None, ctypes.byref(size)), PATTERN)
        self.assertEqual(library.ht_nm_packed_size(20, 24, 2, 4, F32, None, None), NULL)

    def test_each_status_has_a_text(self):
        self.assertEqual(len({library.ht_status_text(status) for status in range(TREE + 1)}), TREE + 1)


if __name__ == "__main__":
    unittest.main()
