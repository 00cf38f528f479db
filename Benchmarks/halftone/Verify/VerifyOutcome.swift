import CHalftone

/// What the reference kernel and a double-precision computation make of a case, to judge kernels by.
struct VerifyOutcome {
    private let verifyCase: VerifyCase
    private let packed: Memory
    private let reference: [Float]

    init(of verifyCase: VerifyCase) throws {
        self.verifyCase = verifyCase
        packed = try Self.pack(verifyCase)
        var options = ht_options()
        options.isa = HT_ISA_REF
        options.threads = 1
        reference = try Self.run(verifyCase, packed, options)
    }

    /// What is wrong with a kernel's result, or `nil`.
    func fault(of row: KernelRow) throws -> String? {
        var options = ht_options()
        options.isa = row.isaOption
        options.threads = Int32(verifyCase.threads)
        (options.row_begin, options.row_end) = (verifyCase.rows.lowerBound, verifyCase.rows.upperBound)
        (options.column_begin, options.column_end) = (verifyCase.columns.lowerBound, verifyCase.columns.upperBound)
        let scratch = try scratch(&options)
        let y = try withExtendedLifetime(scratch) { try Self.run(verifyCase, packed, options) }
        return bitFault(y) ?? boundFault(y)
    }

    private func scratch(_ options: inout ht_options) throws -> Memory? {
        guard verifyCase.givesScratch else { return nil }
        var size = 0
        try check(
            ht_nm_gemm_scratch_size(verifyCase.t, HT_DTYPE_F32, packed.address, packed.bytes, &options, &size),
            "the scratch size")
        let memory = try Memory(bytes: size)
        // A kernel must not count on zeros there.
        memory.address.initializeMemory(as: UInt8.self, repeating: 0xff, count: size)
        options.scratch = memory.address
        options.scratch_size = size
        return memory
    }

    // MARK: calls

    private static func pack(_ c: VerifyCase) throws -> Memory {
        let pattern = c.pattern
        var size = 0
        try check(ht_nm_packed_size(c.o, c.k, pattern.n, pattern.m, HT_DTYPE_F32, nil, &size), "the packed size")
        let packed = try Memory(bytes: size)
        let status = c.w.values.withUnsafeBufferPointer { w in
            withOptionalPointer(c.mask) { mask in
                ht_nm_pack_f32(
                    c.o, c.k, pattern.n, pattern.m, w.baseAddress, c.w.stride * 4, mask, 0, packed.address, size, nil)
            }
        }
        try check(status, "packing")
        return packed
    }

    /// A value that no computation leaves behind: it shows what was not written.
    private static let untouched = Float(bitPattern: 0x7fa1_b2c3)

    private static func run(_ c: VerifyCase, _ packed: Memory, _ options: ht_options) throws -> [Float] {
        var y = [Float](repeating: untouched, count: c.t * c.yStride)
        let status = withOptionalPointer(c.bias) { bias in
            c.x.values.withUnsafeBufferPointer { x in
                y.withUnsafeMutableBufferPointer { y in
                    var epilogue = ht_epilogue()
                    epilogue.bias = bias
                    epilogue.activation = c.relu ? HT_ACTIVATION_RELU : HT_ACTIVATION_NONE
                    var options = options
                    return ht_nm_gemm_f32(
                        c.t, c.o, c.k, x.baseAddress, c.x.stride * 4, packed.address, packed.bytes, &epilogue,
                        y.baseAddress, c.yStride * 4, &options)
                }
            }
        }
        try check(status, "the product")
        return y
    }

    // MARK: judgement

    private func isInside(_ row: Int, _ column: Int) -> Bool {
        verifyCase.rows.contains(row) && verifyCase.columns.contains(column)
    }

    /// Inside the window the reference's bits, any NaN for a NaN; elsewhere, gaps included, what was there before.
    private func bitFault(_ y: [Float]) -> String? {
        for index in y.indices {
            let (row, column) = (index / verifyCase.yStride, index % verifyCase.yStride)
            let (found, wanted) = (y[index], reference[index])
            if !isInside(row, column) {
                if found.bitPattern == Self.untouched.bitPattern { continue }
                return "y[\(row)][\(column)] is outside the window and was written: \(Self.text(found))"
            }
            if found.bitPattern == wanted.bitPattern { continue }
            if found.isNaN, wanted.isNaN, found.bitPattern != Self.untouched.bitPattern { continue }
            return "y[\(row)][\(column)] = \(Self.text(found)), the reference kernel has \(Self.text(wanted))"
        }
        return nil
    }

    private func boundFault(_ y: [Float]) -> String? {
        for column in verifyCase.columns {
            let terms = verifyCase.entries(row: column).map { ($0, verifyCase.weight(row: column, column: $0)) }
            for row in verifyCase.rows {
                let exact = exactSum(row: row, terms: terms)
                let found = y[row * verifyCase.yStride + column]
                if let fault = exact.fault(of: found, bias: verifyCase.bias?[column] ?? 0, relu: verifyCase.relu) {
                    return "y[\(row)][\(column)] = \(Self.text(found)), \(fault)"
                }
            }
        }
        return nil
    }

    private func exactSum(row: Int, terms: [(column: Int, weight: Float)]) -> ExactSum {
        var sum = ExactSum(terms: terms.count)
        let start = row * verifyCase.x.stride
        for (column, weight) in terms {
            sum.add(Double(verifyCase.x.values[start + column]) * Double(weight))
        }
        return sum
    }

    private static func text(_ value: Float) -> String {
        "\(value) (0x\(String(value.bitPattern, radix: 16)))"
    }
}

/// A sum of products in double precision, in which each product is exact.
private struct ExactSum {
    let terms: Int
    private var sum = 0.0
    private var magnitude = 0.0

    init(terms: Int) {
        self.terms = terms
    }

    mutating func add(_ product: Double) {
        sum += product
        magnitude += abs(product)
    }

    /// Compares with the bound of halftone/nm.h, to which the rounding of the bias and of denormal numbers is added.
    func fault(of found: Float, bias: Float, relu: Bool) -> String? {
        let before = sum + Double(bias)
        let exact = relu && before < 0 ? 0 : before
        if exact.isNaN { return found.isNaN ? nil : "the exact result is not a number" }
        if exact.isInfinite { return Double(found) == exact ? nil : "the exact result is \(exact)" }
        let smallest = Double(Float.leastNonzeroMagnitude)
        let sumBound = errorBound(terms: terms, columns: terms) * magnitude + Double(terms) * smallest
        let bound = sumBound + 0x1p-24 * (abs(before) + sumBound) + smallest
        let error = abs(Double(found) - exact)
        return error <= bound ? nil : "the exact result is \(exact): off by \(error), more than the bound \(bound)"
    }
}

private func withOptionalPointer<Element, Result>(
    _ array: [Element]?, _ body: (UnsafePointer<Element>?) -> Result
) -> Result {
    guard let array else { return body(nil) }
    return array.withUnsafeBufferPointer { body($0.baseAddress) }
}
