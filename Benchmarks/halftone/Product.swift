import CHalftone
import CHalftoneBench

/// A layer's weights pruned by magnitude and packed.
final class PrunedLayer {
    let pattern: Pattern
    let kind: ProductKind
    /// As a dense matrix with zeros; what the kernels' results are checked against.
    let dense: FloatMatrix
    let packed: Memory
    /// Sum of |w| that is left, as a share of the sum before.
    let keptL1: Double

    /// The weights are such as the kind has.
    init(_ weights: FloatMatrix, pattern: Pattern, kind: ProductKind) throws {
        let (o, k, n, m) = (weights.rows, weights.columns, pattern.n, pattern.m)
        var options = ht_options()
        options.shared_rows = Int32(pattern.sharedRows)
        dense = try FloatMatrix(rows: o, columns: k)
        try check(ht_nm_prune_f32(o, k, n, m, weights.data, 0, dense.data, 0, &options), "pruning to \(pattern)")
        packed = try Self.pack(try TypedMatrix(dense, type: kind.weights), pattern, &options)
        keptL1 = magnitude(of: dense) / magnitude(of: weights)
        self.pattern = pattern
        self.kind = kind
    }

    private static func pack(_ w: TypedMatrix, _ pattern: Pattern, _ options: inout ht_options) throws -> Memory {
        let (o, k, n, m) = (w.rows, w.columns, pattern.n, pattern.m)
        var size = 0
        try check(ht_nm_packed_size(o, k, n, m, w.type, &options, &size), "sizing \(pattern) weights")
        let packed = try Memory(bytes: size)
        let status =
            switch w.type {
            case HT_DTYPE_F32: ht_nm_pack_f32(o, k, n, m, w.floats, 0, nil, 0, packed.address, size, &options)
            case HT_DTYPE_BF16:
                ht_nm_pack_bf16(
                    o, k, n, m, w.data.assumingMemoryBound(to: UInt16.self), 0, nil, 0, packed.address, size, &options)
            default:
                ht_nm_pack_i8(
                    o, k, n, m, w.data.assumingMemoryBound(to: Int8.self), 0, nil, 0, packed.address, size, &options)
            }
        try check(status, "packing to \(pattern)")
        return packed
    }
}

private func magnitude(of matrix: FloatMatrix) -> Double {
    matrix.values.reduce(0) { $0 + Double(abs($1)) }
}

/// The N:M product of one case, ready to run.
final class Product {
    private let x: TypedMatrix
    private let y: TypedMatrix
    private let layer: PrunedLayer
    private let scratch: Memory
    private var options = ht_options()

    init(layer: PrunedLayer, x: TypedMatrix, y: TypedMatrix, isa: ht_isa, threads: Int) throws {
        self.layer = layer
        self.x = x
        self.y = y
        options.isa = isa
        options.threads = Int32(threads)
        var size = 0
        try check(
            ht_nm_gemm_scratch_size(x.rows, x.type, layer.packed.address, layer.packed.bytes, &options, &size),
            "sizing the scratch")
        scratch = try Memory(bytes: size)
        options.scratch = scratch.address
        options.scratch_size = size
    }

    func run() throws {
        let (t, o, k) = (x.rows, y.columns, x.columns)
        let (blob, size) = (layer.packed.address, layer.packed.bytes)
        let status =
            switch layer.kind {
            case .f32: ht_nm_gemm_f32(t, o, k, x.floats, 0, blob, size, nil, y.floats, 0, &options)
            case .bf16:
                ht_nm_gemm_bf16(
                    t, o, k, x.data.assumingMemoryBound(to: UInt16.self), 0, blob, size, nil, y.data, 0, &options)
            case .u8:
                ht_nm_gemm_u8(
                    t, o, k, x.data.assumingMemoryBound(to: UInt8.self), 0, blob, size, nil, y.data, 0, &options)
            case .i8:
                ht_nm_gemm_i8(
                    t, o, k, x.data.assumingMemoryBound(to: Int8.self), 0, blob, size, nil, y.data, 0, &options)
            }
        try check(status, "running the product")
    }
}
