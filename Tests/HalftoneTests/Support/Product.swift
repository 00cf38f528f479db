import CHalftone

/// One product: its operands in guarded memory, and what the reference says it gives.
final class Product {
    let shape: Shape
    let t, o, k: Int
    let types: Types
    let weights: Weights
    let packed: Guarded<UInt8>
    let x: Matrix
    /// X as values, row-major without gaps.
    let xValues: [Float]
    let epilogue: TestEpilogue
    /// A residual that is not Y itself.
    let residual: Matrix?
    /// Y as it was before a run.
    let blank: Guarded<UInt8>
    let y: Matrix
    /// Y after a run over all of it.
    let expected: Guarded<UInt8>

    static let canary = Matrix.canary

    struct Shape {
        var t, o, k: Int
        var pattern: Pattern
        var types = Types.f32
        var data = Data.plain
        var xGap = 0
        var yGap = 0
        var bias = false
        var relu = false
        var masked = false
        var sharedRows = 1
        var xOrder = HT_ORDER_ROWS
        var yOrder = HT_ORDER_ROWS
        var residual = TestEpilogue.Residual.none
        /// In place of one that `bias` and `relu` describe.
        var epilogue: TestEpilogue?
    }

    init(_ s: Shape, _ g: inout Generator) {
        (shape, t, o, k, types) = (s, s.t, s.o, s.k, s.types)
        weights = Weights(
            o: o, k: k, pattern: s.pattern, number: types.w, data: s.data, masked: s.masked, sharedRows: s.sharedRows,
            &g)
        packed = weights.packed()
        // A gap of X holds NaNs: one that is read as a value shows.
        x = Matrix(t, k, types.x, order: s.xOrder, gap: s.xGap, filler: 0xff)
        var xValues: [Float] = []
        xValues.reserveCapacity(t * k)
        for row in 0..<(k > 0 ? t : 0) {
            for c in 0..<k {
                xValues.append(types.x.random(s.data, &g))
                x.set(row, c, bits: types.x.bits(xValues.last!))
            }
        }
        self.xValues = xValues
        x.memory.seal()
        y = Matrix(t, o, types.y, order: s.yOrder, gap: s.yGap)
        let residualNumber = types.y == .bf16 ? Number.bf16 : .f32
        if s.residual != .none {
            let own = Matrix(t, o, residualNumber, order: s.yOrder, gap: g.pick([0, 3]), filler: 0xff)
            let data = types.y.isInteger ? Data.plain : s.data
            let target = s.residual == .output ? y : own
            for row in 0..<t {
                for column in 0..<o {
                    target.set(row, column, bits: residualNumber.bits(residualNumber.random(data, &g)))
                }
            }
            residual = s.residual == .output ? nil : own
            residual?.memory.seal()
        } else {
            residual = nil
        }
        blank = Guarded(count: y.memory.count, repeating: 0)
        blank.copy(y.memory)
        expected = Guarded(count: y.memory.count, repeating: 0)
        var epilogue = s.epilogue ?? TestEpilogue()
        if s.epilogue == nil {
            if s.bias { epilogue.bias = Guarded((0..<o).map { _ in Number.f32.random(s.data, &g) }) }
            epilogue.bias?.seal()
            if s.relu { epilogue.activation = HT_ACTIVATION_RELU }
        }
        self.epilogue = epilogue
        fillExpected()
    }

    private func fillExpected() {
        // Where only the library knows the last bit, its reference kernel's is the one that all have to give.
        if epilogue.activation == HT_ACTIVATION_GELU {
            let status = run(Run(isa: HT_ISA_REF))
            precondition(status == HT_OK, "the reference failed: \(String(cString: ht_status_text(status)))")
            expected.copy(y.memory)
            y.memory.copy(blank)
            return
        }
        xValues.withUnsafeBufferPointer { x in
            y.memory.copy(blank)
            for row in 0..<t {
                for column in 0..<o {
                    // A pointer of a matrix without columns is not read.
                    let line = x.baseAddress.map { $0 + row * k } ?? UnsafePointer(bitPattern: 4)!
                    y.set(row, column, bits: result(row, column, line)!)
                }
            }
            expected.copy(y.memory)
            y.memory.copy(blank)
        }
    }

    func residualValue(_ row: Int, _ column: Int) -> Float? {
        if shape.residual == .none { return nil }
        if let residual { return residual.number.value(residual.bits(row, column)) }
        return types.y.value(types.y.load(UnsafeRawPointer(blank.start) + y.offset(row, column)))
    }

    private func result(_ row: Int, _ column: Int, _ x: UnsafePointer<Float>) -> UInt32? {
        let entries = weights.entries[column]
        let residual = residualValue(row, column)
        if types.w == .i8 {
            let sum = Reference.integerSum(entries, x, zero: epilogue.quantized?.xZero ?? 0)
            return epilogue.bits(sum, types.y, column: column, residual: residual)
        }
        let sum = types.x == .bf16 ? Reference.bfloat16Sum(entries, x) : Reference.sum(entries, x)
        return epilogue.value(sum, column: column, residual: residual).map(types.y.bits)
    }

    /// Runs the product into a blank Y.
    func run(_ run: Run, scratch: Guarded<UInt8>? = nil) -> ht_status {
        y.memory.copy(blank)
        return runAgain(run, scratch: scratch)
    }

    /// Runs the product into Y as it is.
    func runAgain(_ run: Run, scratch: Guarded<UInt8>? = nil) -> ht_status {
        var options = options(run)
        options.scratch = scratch.map { UnsafeMutableRawPointer($0.start) }
        options.scratch_size = scratch?.count ?? 0
        return epilogue.withCode { epilogue in
            if types.y != .f32 || types.x != .f32 { epilogue.output = types.y.code }
            if shape.residual != .none {
                let residual = residual ?? y
                epilogue.residual = UnsafeRawPointer(residual.memory.start)
                epilogue.residual_stride = residual.stride
            }
            return call(&epilogue, &options)
        }
    }

    private func call(_ epilogue: inout ht_epilogue, _ options: inout ht_options) -> ht_status {
        let (blob, size, y) = (packed.start, packed.count, y.memory)
        let (xs, ys) = (x.stride, self.y.stride)
        switch types.x {
        case .f32:
            return ht_nm_gemm_f32(
                t, o, k, x.memory.typed(), xs, blob, size, &epilogue, y.floats, ys, &options)
        case .bf16:
            return ht_nm_gemm_bf16(t, o, k, x.memory.typed(), xs, blob, size, &epilogue, y.start, ys, &options)
        case .u8: return ht_nm_gemm_u8(t, o, k, x.memory.typed(), xs, blob, size, &epilogue, y.start, ys, &options)
        case .i8: return ht_nm_gemm_i8(t, o, k, x.memory.typed(), xs, blob, size, &epilogue, y.start, ys, &options)
        case .f16, .i32: preconditionFailure("no inputs")
        }
    }

    private func options(_ run: Run) -> ht_options {
        var options = run.options
        (options.x_order, options.y_order) = (shape.xOrder, shape.yOrder)
        return options
    }

    /// Scratch of exactly the size that the library asks for.
    func scratch(_ run: Run) -> Guarded<UInt8> {
        var options = options(run)
        var size = 0
        let status = ht_nm_gemm_scratch_size(t, types.x.code, packed.start, packed.count, &options, &size)
        precondition(status == HT_OK, "no scratch size: \(String(cString: ht_status_text(status)))")
        return Guarded(count: size, repeating: 0xff)
    }

    /// Where Y is not what the reference says inside the window, or was touched outside it. Nil when all is well.
    func mismatch(rows: Range<Int>? = nil, columns: Range<Int>? = nil) -> String? {
        if !y.memory.slackIsIntact { return "\(self): wrote before Y" }
        if rows == nil, columns == nil, y.memory.hasSameBytes(as: expected) { return nil }
        let got = Guarded<UInt8>(count: y.memory.count, repeating: 0)
        got.copy(y.memory)
        defer { y.memory.copy(got) }
        // What is right is put back to the blank one; all that then differs from it is wrong.
        for row in 0..<t {
            for column in 0..<o {
                let offset = y.offset(row, column)
                let isInside = (rows ?? 0..<t) ~= row && (columns ?? 0..<o) ~= column
                let found = types.y.load(UnsafeRawPointer(got.start) + offset)
                let before = types.y.load(UnsafeRawPointer(blank.start) + offset)
                let wanted = isInside ? types.y.load(UnsafeRawPointer(expected.start) + offset) : before
                if !isSame(found, wanted) {
                    return "\(self): y[\(row), \(column)] is \(text(found)), not \(text(wanted))"
                }
                y.set(row, column, bits: before)
            }
        }
        return y.memory.hasSameBytes(as: blank) ? nil : "\(self): wrote into a gap of Y"
    }

    private func isSame(_ a: UInt32, _ b: UInt32) -> Bool {
        if a == b { return true }
        return !types.y.isInteger && types.y.value(a).isNaN && types.y.value(b).isNaN
    }

    private func text(_ bits: UInt32) -> String {
        types.y == .i32 ? "\(Int32(bitPattern: bits))" : "\(types.y.value(bits))"
    }

    /// The status of a run, or where its result is wrong; nil when all is well.
    func failure(_ run: Run, scratch: Guarded<UInt8>? = nil) -> String? {
        let status = self.run(run, scratch: scratch)
        guard status == HT_OK else { return "\(run) \(self): \(String(cString: ht_status_text(status)))" }
        return mismatch(rows: run.rows, columns: run.columns).map { "\(run) \($0)" }
    }
}

extension Product: CustomStringConvertible {
    var description: String {
        "\(types) \(weights.pattern.testDescription):\(shape.sharedRows) t \(t) o \(o) k \(k)"
            + " strides \(x.stride) \(y.stride) orders \(shape.xOrder.rawValue) \(shape.yOrder.rawValue)"
            + " masked \(weights.mask != nil) bias \(epilogue.bias != nil) activation \(epilogue.activation.rawValue)"
            + " residual \(shape.residual) dyadic \(epilogue.quantized?.dyadic != nil)"
    }
}
