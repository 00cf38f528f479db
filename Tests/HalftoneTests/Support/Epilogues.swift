import CHalftone

/// The epilogue of a test's product: what the formula says, and the C library's form of it.
struct TestEpilogue {
    enum Residual { case none, apart, output }

    /// Of 8-bit products; arrays have a value for each output.
    struct Quantized {
        var xZero = 0
        var scale: Guarded<Float>?
        var yScale: Float = 1
        var yZero = 0
        var dyadic: Dyadic?
    }

    struct Dyadic {
        let multiplier: Guarded<Int32>
        let shift: Guarded<UInt8>
        let offset: Guarded<Int32>?
        let halfAway: Bool
    }

    var bias: Guarded<Float>?
    var activation = HT_ACTIVATION_NONE
    var low: Float = 0
    var high: Float = 0
    var quantized: Quantized?

    /// What a float sum becomes before it is converted to y's type; nil where only the library knows the last bit.
    func value(_ sum: Float, column: Int, residual: Float?) -> Float? {
        var v = bias?.start[column] ?? 0
        v.addProduct(sum, quantized?.scale?.start[column] ?? 1)
        if let residual { v += residual }
        switch activation {
        case HT_ACTIVATION_RELU: return v < 0 ? 0 : v
        case HT_ACTIVATION_CLAMP: return v < low ? low : v > high ? high : v
        case HT_ACTIVATION_GELU: return nil
        default: return v
        }
    }

    /// The bits of y for the exact sum of an 8-bit product.
    func bits(_ exact: Int, _ number: Number, column: Int, residual: Float?) -> UInt32? {
        let sum = Int32(truncatingIfNeeded: exact)
        if number == .i32 { return UInt32(bitPattern: sum) }
        let q = quantized ?? Quantized()
        if let dyadic = q.dyadic {
            var y = dyadic.quotient(Int(sum), column: column) + q.yZero
            if activation == HT_ACTIVATION_RELU { y = max(y, q.yZero) }
            return Self.saturated(y, number)
        }
        guard let v = value(Float(sum), column: column, residual: residual) else { return nil }
        guard number.isInteger else { return number.bits(v) }
        let quotient = (v / q.yScale).rounded(.toNearestOrEven)
        return Self.saturated(Int(max(-1e6, min(1e6, quotient))) + q.yZero, number)
    }

    private static func saturated(_ value: Int, _ number: Number) -> UInt32 {
        let limits = number.limits
        return UInt32(truncatingIfNeeded: max(limits.lowerBound, min(limits.upperBound, value))) & 0xff
    }

    /// Calls `body` with the C library's form.
    func withCode<Result>(_ body: (inout ht_epilogue) -> Result) -> Result {
        var code = ht_epilogue()
        code.bias = bias.map { UnsafePointer($0.start) }
        (code.activation, code.low, code.high) = (activation, low, high)
        guard let q = quantized else { return body(&code) }
        var quantization = ht_quantization()
        (quantization.x_zero, quantization.y_zero) = (Int32(q.xZero), Int32(q.yZero))
        (quantization.scale, quantization.y_scale) = (q.scale.map { UnsafePointer($0.start) }, q.yScale)
        if let d = q.dyadic {
            (quantization.multiplier, quantization.shift) = (
                UnsafePointer(d.multiplier.start), UnsafePointer(d.shift.start)
            )
            quantization.offset = d.offset.map { UnsafePointer($0.start) }
            quantization.half_away = d.halfAway ? 1 : 0
        }
        return withUnsafePointer(to: quantization) { pointer in
            code.quantization = pointer
            return body(&code)
        }
    }
}

extension TestEpilogue.Dyadic {
    /// (sum + offset) * multiplier / 2^shift, rounded.
    func quotient(_ sum: Int, column: Int) -> Int {
        let product = Int128(sum + Int(offset?.start[column] ?? 0)) * Int128(multiplier.start[column])
        let unit = Int128(1) << Int128(shift.start[column])
        let below = product >> Int128(shift.start[column])  // towards minus infinity
        let rest = product - below * unit
        let isUp = rest * 2 == unit ? halfAway || below & 1 == 1 : rest * 2 > unit
        return Int(below + (isUp ? 1 : 0))
    }
}

// MARK: random ones

extension TestEpilogue {
    /// Any that a product of these types offers.
    static func random(_ types: Types, outputs: Int, _ data: Data, _ g: inout Generator) -> TestEpilogue {
        var epilogue = TestEpilogue()
        if types.w == .i8 { epilogue.quantized = .random(types, outputs: outputs, &g) }
        guard types.y != .i32 else { return epilogue }
        let isDyadic = epilogue.quantized?.dyadic != nil
        let activations = [HT_ACTIVATION_NONE, HT_ACTIVATION_RELU, HT_ACTIVATION_CLAMP, HT_ACTIVATION_GELU]
        epilogue.activation = activations[g.below(isDyadic ? 2 : 4)]
        (epilogue.low, epilogue.high) = g.pick([(-0.25, 0.5), (0, 6), (-.infinity, 0.1), (0, 0), (-100, .infinity)])
        if !isDyadic, g.coin() {
            // 8 bits have no NaN or infinity to show.
            let usual = types.y.isInteger ? Data.plain : data
            epilogue.bias = Guarded((0..<outputs).map { _ in Number.f32.random(usual, &g) })
            epilogue.bias?.seal()
        }
        return epilogue
    }
}

extension TestEpilogue.Quantized {
    static func random(_ types: Types, outputs: Int, _ g: inout Generator) -> Self {
        var q = Self()
        if g.coin() { q.xZero = types.x.limits.lowerBound + g.below(256) }
        guard types.y != .i32 else { return q }
        if types.y.isInteger, g.coin() {
            q.dyadic = .random(outputs: outputs, &g)
        } else if g.coin() {
            q.scale = Guarded((0..<outputs).map { _ in abs(Number.f32.random(.plain, &g)) * 0.01 })
            q.scale?.seal()
        }
        if types.y.isInteger {
            if g.coin() { q.yZero = types.y.limits.lowerBound + g.below(256) }
            q.yScale = g.pick([1, 0.5, 0.037, 300])
        }
        return q
    }
}

extension TestEpilogue.Dyadic {
    /// Shifts around the size of sums, so that results are in range and many lie exactly between two integers.
    static func random(outputs: Int, _ g: inout Generator) -> Self {
        let multipliers = (0..<outputs).map { _ in g.pick([1, 3, 5 << 20, 1 << 30, .max, 0]) as Int32 }
        let shifts = multipliers.map { m in
            let usual = m > 100 ? 18 + g.below(27) : 1 + g.below(10)
            return UInt8(g.coin(16) ? 62 : usual)
        }
        let offset: [Int32]? = g.coin() ? multipliers.map { _ in Int32(g.below(2001) - 1000) } : nil
        let result = Self(
            multiplier: Guarded(multipliers), shift: Guarded(shifts), offset: offset.map { Guarded($0) },
            halfAway: g.coin())
        result.multiplier.seal()
        result.shift.seal()
        result.offset?.seal()
        return result
    }
}
