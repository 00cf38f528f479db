import Halftone
import Testing

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Gradients through signs, against their formulas in Double.
@Suite struct SignEstimatorTests {
    private static let (rows, columns) = (6, 37)

    private static func random(_ seed: UInt64) -> [Float] {
        var g = Generator(seed: seed)
        return (0..<rows * columns).map { _ in Data.plain.value(&g) * 2 }
    }

    private func near(_ estimator: SignEstimator, _ formula: (Double) -> Double) throws {
        let (x, dy, thresholds) = (Self.random(1), Self.random(2), Array(Self.random(3)[..<Self.columns]))
        for limits in [nil, thresholds] {
            let dx = try estimator.gradient(dy, x, rows: Self.rows, columns: Self.columns, thresholds: limits)
            for at in x.indices {
                let estimate = formula(Double(x[at] - (limits?[at % Self.columns] ?? 0)))
                let wanted = estimate * Double(dy[at])
                #expect(abs(Double(dx[at]) - wanted) <= abs(wanted) * 0x1p-20 + 0x1p-120, "\(estimator) at \(x[at])")
            }
            for isa in ISA.running(of: "signs") {
                let same = try estimator.gradient(
                    dy, x, rows: Self.rows, columns: Self.columns, thresholds: limits, isa: isa)
                #expect(same == dx, "\(estimator) \(isa)")
            }
        }
    }

    @Test func clipped() throws {
        try near(.clipped()) { abs($0) <= 1 ? 1 : 0 }
        try near(.clipped(0.5)) { abs($0) <= 0.5 ? 1 : 0 }
    }

    @Test func polynomial() throws { try near(.polynomial) { max(0, 2 - 2 * abs($0)) } }

    @Test func reste() throws {
        for power in [1, 1.5, 3] {
            let knee = Double(0.1 as Float)
            try near(.reste(power: Float(power))) { x in
                if abs(x) > 1.5 { return 0 }
                return abs(x) > knee ? pow(abs(x), (1 - power) / power) / power : pow(knee, 1 / power) / knee
            }
        }
    }

    @Test func periodic() throws { try near(.periodic(frequency: 3)) { 3 * cos(3 * $0) } }

    /// In one pass forward, and back without x.
    @Test func clippedSigns() throws {
        let (x, dy) = (Self.random(4), Self.random(5))
        let both = try ClippedSigns(of: x.span, clip: 0.75, rows: Self.rows, columns: Self.columns)
        #expect(both.signs == (try SignMatrix(signsOf: x, rows: Self.rows, columns: Self.columns)))
        let dx = try SignEstimator.clipped(0.75).gradient(dy, x, rows: Self.rows, columns: Self.columns)
        #expect(try both.gradient(dy) == dx)
        #expect(dx.contains(0) && dx.contains { $0 != 0 })
    }

    @Test func periodicSigns() throws {
        let x = Self.random(6)
        let signs = try SignMatrix(periodicSignsOf: x.span, rows: Self.rows, columns: Self.columns, frequency: 5)
        #expect(signs.values() == x.map { sin(5 * Double($0)) < 0 ? -1 : 1 })
    }

    /// dX and dW of a layer of signs are products of floats with signs.
    @Test func gradientsOfALayer() throws {
        var g = Generator(seed: 7)
        let (t, o, k) = (9, 20, 35)
        let (x, w) = (try SignMatrix.random(t, k, &g), try SignMatrix.random(o, k, &g))
        let dy = eighths(t * o, &g)
        let eight = dy.map { Int($0 * 8) }
        let dx = try BinaryMatrix(packing: w.transposed()).multiply(dy, rows: t)
        let turned = transposed(w.values(), columns: k)
        #expect(dx == SignReference.product(eight, turned, columns: o, outputs: k).map { Float($0) / 8 })
        let dw = try BinaryMatrix(packing: x.transposed())
            .multiply(dy, rows: o, options: ProductOptions(xOrder: .features))
        let expected = SignReference.product(
            transposed(eight, columns: o), transposed(x.values(), columns: k), columns: t, outputs: k)
        #expect(dw == expected.map { Float($0) / 8 })
    }

    @Test func refusesParametersOutOfTheirRange() {
        let one: [Float] = [1]
        for estimator in [
            SignEstimator.clipped(-1), .clipped(0), .reste(power: 0.5), .reste(power: 2, clip: 1, knee: 2),
            .reste(power: 2, knee: 0), .periodic(frequency: 0),
        ] {
            #expect(throws: HalftoneError.estimator) { try estimator.gradient(one, one, rows: 1, columns: 1) }
        }
        #expect(throws: HalftoneError.estimator) { try ClippedSigns(of: one.span, clip: -1, rows: 1, columns: 1) }
        #expect(throws: HalftoneError.shape("dY holds 1 values, 1 x 2 need 2")) {
            try SignEstimator.polynomial.gradient(one, [1, 2], rows: 1, columns: 2)
        }
    }
}
