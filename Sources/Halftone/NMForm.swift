import CHalftone

/// Dense weights in memory and what else the calls that read them take.
struct NMWeights {
    let type: DataType
    let pattern: NMPattern
    let address: UnsafeRawPointer?
    /// Bytes from one row to the next; 0 for rows without a gap.
    let byteStride: Int

    var n: Int { pattern.n }
    var m: Int { pattern.m }

    func typed<Element>() -> UnsafePointer<Element>? { address?.typed() }
}

/// What weights are: a matrix or filters, forward or backward. The C library has a function for each and each type.
protocol NMForm {
    /// Of the weights as a matrix in memory.
    var rows: Int { get }
    var columns: Int { get }

    func packedSize(
        _ type: ht_dtype, _ pattern: NMPattern, _ options: inout ht_options, _ size: inout Int
    ) -> ht_status
    func pack(
        _ w: NMWeights, mask: UnsafePointer<UInt8>?, into packed: UnsafeMutableRawBufferPointer,
        _ options: inout ht_options
    ) -> ht_status
}

/// Weights that have a magnitude mask.
protocol NMPrunableForm: NMForm {
    func mask(_ w: NMWeights, into mask: UnsafeMutablePointer<UInt8>?, _ options: inout ht_options) -> ht_status
    func prune(
        _ w: NMWeights, into pruned: UnsafeMutableRawPointer?, stride: Int, _ options: inout ht_options
    ) -> ht_status
}

extension NMForm {
    /// Bytes from row to row of weights that are in memory as this form has it, `stride` elements from row to row.
    func byteStride<Weight: NMWeight>(
        _ count: Int, of type: Weight.Type, stride: Int?
    ) throws(HalftoneError) -> Int {
        try Operand("weights hold", count: count, of: type, rows: rows, columns: columns, rowStride: stride).byteStride
    }

    func packed<Weight: NMWeight>(
        _ weights: Span<Weight>, rowStride: Int?, pattern: NMPattern, mask: NMMask?, threads: Int
    ) throws(HalftoneError) -> PackedBytes {
        let byteStride = try byteStride(weights.count, of: Weight.self, stride: rowStride)
        try mask?.check(rows: rows, columns: columns)
        var options = try pattern.options(threads: threads)
        var size = 0
        try HalftoneError.check(packedSize(Weight.dataType.code, pattern, &options, &size))
        return try PackedBytes(count: size) { packed throws(HalftoneError) in
            let status = weights.withUnsafeBufferPointer { weights in
                withPointer(to: mask?.bytes) { mask in
                    let w = NMWeights(
                        type: Weight.dataType, pattern: pattern, address: weights.baseAddress, byteStride: byteStride)
                    return pack(w, mask: mask, into: packed, &options)
                }
            }
            try HalftoneError.check(status)
        }
    }
}

extension NMPrunableForm {
    func mask<Weight: NMWeight>(
        of weights: Span<Weight>, rowStride: Int?, pattern: NMPattern, threads: Int
    ) throws(HalftoneError) -> NMMask {
        let byteStride = try byteStride(weights.count, of: Weight.self, stride: rowStride)
        var options = try pattern.options(threads: threads)
        return try NMMask(rows: rows, columns: columns) { bits in
            weights.withUnsafeBufferPointer { weights in
                let w = NMWeights(
                    type: Weight.dataType, pattern: pattern, address: weights.baseAddress, byteStride: byteStride)
                return mask(w, into: bits, &options)
            }
        }
    }

    func prune<Weight: NMWeight>(
        _ weights: inout MutableSpan<Weight>, rowStride: Int?, pattern: NMPattern, threads: Int
    ) throws(HalftoneError) {
        let byteStride = try byteStride(weights.count, of: Weight.self, stride: rowStride)
        var options = try pattern.options(threads: threads)
        let status = weights.withUnsafeMutableBufferPointer { weights in
            let w = NMWeights(
                type: Weight.dataType, pattern: pattern, address: weights.baseAddress, byteStride: byteStride)
            return prune(w, into: weights.baseAddress, stride: byteStride, &options)
        }
        try HalftoneError.check(status)
    }

    func pruned<Weight: NMWeight>(
        _ weights: Span<Weight>, rowStride: Int?, pattern: NMPattern, threads: Int
    ) throws(HalftoneError) -> [Weight] {
        let byteStride = try byteStride(weights.count, of: Weight.self, stride: rowStride)
        var options = try pattern.options(threads: threads)
        let (status, result): (ht_status, [Weight]) = weights.withUnsafeBufferPointer { weights in
            let w = NMWeights(
                type: Weight.dataType, pattern: pattern, address: weights.baseAddress, byteStride: byteStride)
            return array(count: rows * columns) { prune(w, into: $0, stride: 0, &options) }
        }
        try HalftoneError.check(status)
        return result
    }
}

extension UnsafeRawPointer {
    func typed<Element>() -> UnsafePointer<Element> { assumingMemoryBound(to: Element.self) }
}

extension UnsafeMutableRawPointer {
    func typed<Element>() -> UnsafeMutablePointer<Element> { assumingMemoryBound(to: Element.self) }
}
