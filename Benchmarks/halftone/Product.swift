import CHalftone
import CHalftoneBench

/// A layer's weights pruned by magnitude and packed.
final class PrunedLayer {
    let pattern: Pattern
    /// As a dense matrix with zeros; what the kernels' results are checked against.
    let dense: FloatMatrix
    let packed: Memory
    /// Sum of |w| that is left, as a share of the sum before.
    let keptL1: Double

    init(_ weights: FloatMatrix, pattern: Pattern) throws {
        let (o, k, n, m) = (weights.rows, weights.columns, pattern.n, pattern.m)
        dense = try FloatMatrix(rows: o, columns: k)
        try check(ht_nm_prune_f32(o, k, n, m, weights.data, 0, dense.data, 0, nil), "pruning to \(pattern)")
        var size = 0
        try check(ht_nm_packed_size(o, k, n, m, HT_DTYPE_F32, nil, &size), "sizing \(pattern) weights")
        packed = try Memory(bytes: size)
        try check(
            ht_nm_pack_f32(o, k, n, m, dense.data, 0, nil, 0, packed.address, size, nil), "packing to \(pattern)")
        keptL1 = magnitude(of: dense) / magnitude(of: weights)
        self.pattern = pattern
    }
}

private func magnitude(of matrix: FloatMatrix) -> Double {
    matrix.values.reduce(0) { $0 + Double(abs($1)) }
}

/// The N:M product of one case, ready to run.
final class Product {
    static let op = "nm_gemm_f32"

    private let x: FloatMatrix
    private let y: FloatMatrix
    private let layer: PrunedLayer
    private let scratch: Memory
    private var options = ht_options()

    init(layer: PrunedLayer, x: FloatMatrix, y: FloatMatrix, isa: ht_isa, threads: Int) throws {
        self.layer = layer
        self.x = x
        self.y = y
        options.isa = isa
        options.threads = Int32(threads)
        var size = 0
        try check(
            ht_nm_gemm_scratch_size(
                x.rows, HT_DTYPE_F32, layer.packed.address, layer.packed.bytes, &options, &size),
            "sizing the scratch")
        scratch = try Memory(bytes: size)
        options.scratch = scratch.address
        options.scratch_size = size
    }

    func run() throws {
        let status = ht_nm_gemm_f32(
            x.rows, y.columns, x.columns, x.data, 0, layer.packed.address, layer.packed.bytes, nil, y.data, 0, &options)
        try check(status, "running the product")
    }
}
