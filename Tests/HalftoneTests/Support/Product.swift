import CHalftone

/// One product: its operands in guarded memory, and what the reference says it gives.
final class Product {
    let t, o, k: Int
    let weights: Weights
    let packed: Guarded<UInt8>
    let x: Guarded<Float>
    let bias: Guarded<Float>?
    let relu: Bool
    let xStride, yStride: Int  // elements
    /// Y as it was before a run.
    let blank: Guarded<Float>
    let y: Guarded<Float>
    /// Y after a run over all of it.
    let expected: Guarded<Float>

    static let canary = Float(bitPattern: 0x4afe_d00d)

    struct Shape {
        var t, o, k: Int
        var pattern: Pattern
        var data = Data.plain
        var xGap = 0
        var yGap = 0
        var bias = false
        var relu = false
        var masked = false
    }

    init(_ s: Shape, _ g: inout Generator) {
        (t, o, k, relu) = (s.t, s.o, s.k, s.relu)
        weights = Weights(o: o, k: k, pattern: s.pattern, data: s.data, masked: s.masked, &g)
        packed = weights.packed()
        xStride = k + s.xGap
        yStride = o + s.yGap
        // A gap of X holds NaNs: one that is read as a value shows.
        x = Guarded(count: t > 0 && k > 0 ? (t - 1) * xStride + k : 0, repeating: .nan)
        for row in 0..<(k > 0 ? t : 0) { for c in 0..<k { x.start[row * xStride + c] = s.data.value(&g) } }
        x.seal()
        bias = s.bias ? Guarded((0..<o).map { _ in s.data.value(&g) }) : nil
        bias?.seal()
        let count = t > 0 && o > 0 ? (t - 1) * yStride + o : 0
        blank = Guarded(count: count, repeating: Self.canary)
        y = Guarded(count: count, repeating: Self.canary)
        expected = Guarded(count: count, repeating: Self.canary)
        for row in 0..<t {
            for column in 0..<o {
                expected.start[row * yStride + column] = Reference.result(
                    weights.entries[column], x.start + row * xStride, bias: bias?.start[column] ?? 0, relu: relu)
            }
        }
    }

    /// Runs the product into a blank Y.
    func run(_ run: Run, scratch: Guarded<UInt8>? = nil) -> ht_status {
        y.copy(blank)
        return runAgain(run, scratch: scratch)
    }

    /// Runs the product into Y as it is.
    func runAgain(_ run: Run, scratch: Guarded<UInt8>? = nil) -> ht_status {
        var options = run.options
        options.scratch = scratch.map { UnsafeMutableRawPointer($0.start) }
        options.scratch_size = scratch?.count ?? 0
        var epilogue = ht_epilogue()
        epilogue.bias = bias.map { UnsafePointer($0.start) }
        epilogue.activation = relu ? HT_ACTIVATION_RELU : HT_ACTIVATION_NONE
        return ht_nm_gemm_f32(
            t, o, k, x.start, xStride * 4, packed.start, packed.count, &epilogue, y.start, yStride * 4, &options)
    }

    /// Scratch of exactly the size that the library asks for.
    func scratch(_ run: Run) -> Guarded<UInt8> {
        var options = run.options
        var size = 0
        let status = ht_nm_gemm_scratch_size(t, HT_DTYPE_F32, packed.start, packed.count, &options, &size)
        precondition(status == HT_OK)
        return Guarded(count: size, repeating: 0xff)
    }

    /// Where Y is not what the reference says inside the window, or was touched outside it. Nil when all is well.
    func mismatch(rows: Range<Int>? = nil, columns: Range<Int>? = nil) -> String? {
        if !y.slackIsIntact { return "\(self): wrote before Y" }
        if rows == nil, columns == nil, y.hasSameBytes(as: expected) { return nil }
        for row in 0..<t {
            for column in 0..<(row + 1 < t ? yStride : o) {
                let inside = (rows ?? 0..<t) ~= row && (columns ?? 0..<o) ~= column
                let at = row * yStride + column
                let wanted = inside && column < o ? expected.start[at] : Self.canary
                let got = y.start[at]
                if got.bitPattern != wanted.bitPattern, !(got.isNaN && wanted.isNaN) {
                    return "\(self): y[\(row), \(column)] is \(got), not \(wanted)"
                }
            }
        }
        return nil
    }

    /// The status of a run, or where its result is wrong; nil when all is well.
    func failure(_ run: Run, scratch: Guarded<UInt8>? = nil) -> String? {
        let status = self.run(run, scratch: scratch)
        guard status == HT_OK else { return "\(self): \(String(cString: ht_status_text(status)))" }
        return mismatch(rows: run.rows, columns: run.columns).map { "\(run) \($0)" }
    }
}

extension Product: CustomStringConvertible {
    var description: String {
        "\(weights.pattern.testDescription) t \(t) o \(o) k \(k) strides \(xStride) \(yStride)"
            + " masked \(weights.mask != nil) bias \(bias != nil) relu \(relu)"
    }
}
