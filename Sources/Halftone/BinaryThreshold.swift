import CHalftone

/// Where the outputs of a product that are signs change it: -1 where the sum is below ``levels``, else +1; the other way
/// round where ``flips(_:)`` says so. A batch normalisation folds to this exactly.
public struct BinaryThreshold: Hashable, Sendable {
    /// One for each output; nil for 0.
    public let levels: [Int32]?
    /// A bit for each output, that of output o bit o % 8 of byte o / 8; nil for none.
    let flipBits: [UInt8]?

    /// The signs of the sums themselves.
    public static let zero = BinaryThreshold()

    private init() { (levels, flipBits) = (nil, nil) }

    /// A level for each output and, where there are any, whether it turns the sign.
    ///
    /// - Throws: ``HalftoneError/shape(_:)`` unless both have the same length.
    public init(levels: [Int32], flips: [Bool]? = nil) throws(HalftoneError) {
        if let flips, flips.count != levels.count {
            throw .shape("there are \(levels.count) levels and \(flips.count) flips")
        }
        self.levels = levels
        flipBits = flips.map { flips in
            var bits = [UInt8](repeating: 0, count: (flips.count + 7) / 8)
            for (output, flip) in flips.enumerated() where flip { bits[output / 8] |= 1 << UInt8(output % 8) }
            return bits
        }
    }

    /// Folds scale, bias and batch normalisation of a layer whose outputs become signs: y = sign(norm(sum · scale +
    /// bias)), for every sum that `inputs` signs can have as that formula comes out in doubles.
    ///
    /// - Parameters:
    ///   - norm: what follows the layer.
    ///   - inputs: the signs in a sum: ``BinaryMatrix/columns``, ``BinaryFilters/inputs``.
    ///   - scale: one for each output, of any sign; nil for 1.
    ///   - bias: one for each output; nil for 0.
    /// - Throws: ``HalftoneError/shape(_:)`` unless all arrays have the same length and `inputs` is not negative,
    ///   ``HalftoneError/overflow`` where a sum would not fit.
    public init(
        folding norm: BatchNorm, inputs: Int, scale: [Float]? = nil, bias: [Float]? = nil
    ) throws(HalftoneError) {
        let outputs = norm.mean.count
        for array in [norm.variance, norm.gamma, norm.beta, scale, bias] where (array?.count ?? outputs) != outputs {
            throw .shape("there are \(outputs) means, and \(array?.count ?? 0) values of something else")
        }
        guard inputs >= 0 else { throw .shape("a sum cannot have \(inputs) inputs") }
        var levels = [Int32](repeating: 0, count: outputs)
        var flipBits = [UInt8](repeating: 0, count: (outputs + 7) / 8)
        let status = withPointer(to: scale) { scale in
            withPointer(to: bias) { bias in
                withPointer(to: norm.gamma) { gamma in
                    withPointer(to: norm.beta) { beta in
                        ht_binary_fold_batch_norm(
                            outputs, inputs, scale, bias, gamma, beta, norm.mean, norm.variance, norm.epsilon, &levels,
                            &flipBits)
                    }
                }
            }
        }
        try HalftoneError.check(status)
        (self.levels, self.flipBits) = (levels, flipBits)
    }

    /// Whether an output's sign is turned.
    public func flips(_ output: Int) -> Bool {
        flipBits.map { $0[output / 8] >> UInt8(output % 8) & 1 == 1 } ?? false
    }
}

// MARK: - For the C library

extension BinaryThreshold {
    /// Throws ``HalftoneError/shape(_:)`` unless there is a level for each column.
    func check(columns: Int) throws(HalftoneError) {
        guard let levels, levels.count < columns else { return }
        throw .shape("the threshold holds \(levels.count) values, \(columns) columns need \(columns)")
    }

    /// Calls `body` with an epilogue that has this threshold and nothing else.
    func withEpilogue(_ body: (inout ht_epilogue) -> ht_status) -> ht_status {
        withPointer(to: levels) { levels in
            withPointer(to: flipBits) { flip in
                var code = ht_binary_threshold(level: levels, flip: flip)
                return withUnsafePointer(to: &code) { code in
                    var epilogue = ht_epilogue()
                    epilogue.threshold = code
                    return body(&epilogue)
                }
            }
        }
    }
}
