import Halftone
import Testing

/// Weights that do not fit in any cache are worked on in other portions; the results must not show it.
@Suite struct LargeWeightsTests {
    private let outputs = 1600
    private let inputs = 8192
    private let rows = 260
    private let pattern: NMPattern
    private let weights: NMMatrix
    private let x: [Float]

    init() throws {
        var g = Generator(seed: 8)
        let period = (0..<9973).map { _ in Data.plain.value(&g) }
        pattern = try NMPattern(2, of: 4)
        let dense = Self.repeating(period, count: outputs * inputs)
        let mask = try pattern.mask(of: dense, rows: outputs, columns: inputs)
        weights = try NMMatrix(packing: dense, rows: outputs, columns: inputs, pattern: pattern, mask: mask)
        x = Self.repeating(period.reversed(), count: rows * inputs)
    }

    /// The period again and again; its prime length makes every row different.
    private static func repeating(_ period: [Float], count: Int) -> [Float] {
        var values: [Float] = []
        values.reserveCapacity(count + period.count)
        while values.count < count { values += period }
        values.removeLast(values.count - count)
        return values
    }

    private func product(_ isa: ISA, rows window: Range<Int>? = nil, columns: Range<Int>? = nil) throws -> [Float] {
        var y = [Float](repeating: 0, count: rows * outputs)
        try weights.multiply(
            x, rows: rows, into: &y,
            options: ProductOptions(isa: isa, rowWindow: window, columnWindow: columns))
        return y
    }

    @Test func portionsDoNotShow() throws {
        let whole = try product(.automatic)
        #expect(weights.packedByteCount > 24 << 20)
        for kernel in Machine.kernels where kernel.runs && kernel.isa != "ref" {
            let other = try product(#require(ISA(kernel.isa)))
            #expect(other == whole)
        }
        let few = 250..<258
        let inStrips = try product(.automatic, rows: few)
        let defined = try product(.reference, rows: 257..<259, columns: 224..<272)
        for row in 0..<rows {
            let at = row * outputs..<(row + 1) * outputs
            #expect(inStrips[at].elementsEqual(few.contains(row) ? whole[at] : zeros))
            let part = row * outputs + 224..<row * outputs + 272
            if (257..<259).contains(row) { #expect(defined[part] == whole[part]) }
        }
    }

    private var zeros: ArraySlice<Float> { [Float](repeating: 0, count: outputs)[...] }
}
