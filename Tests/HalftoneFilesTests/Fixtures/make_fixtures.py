"""Makes the fixture files in the folder of this script. Made with Python 3.11, numpy 2.4.6, safetensors 0.8.0,
ml_dtypes 0.6.0."""

from pathlib import Path

import ml_dtypes
import numpy as np
from safetensors import numpy as safetensors

FOLDER = Path(__file__).resolve().parent

TYPES = {
    "f64": np.float64, "f32": np.float32, "f16": np.float16, "bf16": ml_dtypes.bfloat16,
    "i64": np.int64, "i32": np.int32, "i16": np.int16, "i8": np.int8,
    "u64": np.uint64, "u32": np.uint32, "u16": np.uint16, "u8": np.uint8, "bool": np.bool_,
}


def values(dtype):
    """Six elements of each type as a 2 x 3 array. The tests expect the same numbers."""
    if dtype is np.bool_:
        return np.array([[True, False, True], [True, False, False]])
    if np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        return np.array([[limits.min, limits.max, 0], [1, 2, 3]], dtype)
    return np.array([[0.0, -0.0, 1.5], [-2.25, np.inf, np.nan]], np.float64).astype(dtype)


def npy(name, array, version=None):
    with open(FOLDER / f"{name}.npy", "wb") as file:
        np.lib.format.write_array(file, array, version=version)


safetensors.save_file(
    {name: values(dtype) for name, dtype in TYPES.items()}, FOLDER / "all_types.safetensors")
safetensors.save_file(
    {
        "scalar": np.array(7.5, np.float32),
        "vector": np.array([1.0, 2.0, 3.0], np.float32),
        "cube": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
        "empty": np.zeros((0, 5), np.float32),
        "näme \"x\"/y\n": np.array([-1.0], np.float32),
    },
    FOLDER / "shapes.safetensors")
safetensors.save_file({"w": np.arange(6, dtype=np.float32).reshape(2, 3)}, FOLDER / "metadata.safetensors",
                      metadata={"source": "fixture \"äöü\" a/b"})
safetensors.save_file({"e4m3": np.ones(8, ml_dtypes.float8_e4m3fn), "f32": np.ones(2, np.float32)},
                      FOLDER / "float8.safetensors")

for name, dtype in TYPES.items():
    if name != "bf16":
        npy(f"type_{name}", values(dtype))
npy("shape_scalar", np.array(7.5, np.float32))
npy("shape_vector", np.array([1.0, 2.0, 3.0], np.float32))
npy("shape_cube", np.arange(24, dtype=np.float32).reshape(2, 3, 4))
npy("shape_empty", np.zeros((0, 5), np.float32))
npy("version_2", values(np.float32), (2, 0))
npy("version_3", values(np.float32), (3, 0))
npy("big_endian", values(np.float32).astype(">f4"))
npy("fortran_matrix", np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)))
npy("fortran_cube", np.asfortranarray(np.arange(24, dtype=np.int16).reshape(2, 3, 4)))
npy("unsupported_complex", np.zeros(2, np.complex64))
npy("unsupported_record", np.zeros(2, [("a", "<f4"), ("b", "<i4")]))
