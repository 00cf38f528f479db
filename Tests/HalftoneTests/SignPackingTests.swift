import Halftone
import Testing

/// Signs of numbers, and back.
@Suite struct SignPackingTests {
    private static let isas = ISA.running(of: "signs")

    @Test func signsOfEveryType() throws {
        var g = Generator(seed: 1)
        for columns in [1, 7, 64, 65, 200] {
            let x = (0..<5 * columns).map { _ in Data.special.value(&g) }
            let bytes = x.map { _ in Int8(truncatingIfNeeded: g.below(256)) }
            try check(x, columns) { $0 < 0 }
            try check(x.map { Float16($0) }, columns) { $0 < 0 }
            try check(x.map { BFloat16($0) }, columns) { Float($0) < 0 }
            try check(bytes, columns) { $0 < 0 }
        }
    }

    private func check<Source: SignSource>(
        _ x: [Source], _ columns: Int, isNegative: (Source) -> Bool
    ) throws {
        let rows = x.count / columns
        let expected = try SignMatrix(x.map { isNegative($0) ? -1 : 1 }, rows: rows, columns: columns)
        for isa in Self.isas {
            let signs = try SignMatrix(signsOf: x, rows: rows, columns: columns, isa: isa)
            #expect(signs == expected, "\(Source.self) \(columns) \(isa)")
        }
    }

    @Test func thresholdsAndStrides() throws {
        var g = Generator(seed: 2)
        let (rows, columns, stride) = (4, 70, 81)
        let x = (0..<rows * stride).map { _ in Data.integers.value(&g) }
        let bytes = x.map { Int8($0) }
        let thresholds = (0..<columns).map { _ in g.coin(8) ? Float.nan : Data.integers.value(&g) }
        let levels = thresholds.map { $0.isNaN ? Int32.min : Int32($0) }
        var expected = try SignMatrix(rows: rows, columns: columns)
        for row in 0..<rows {
            for column in 0..<columns where x[row * stride + column] < thresholds[column] { expected[row, column] = -1 }
        }
        for isa in Self.isas {
            var signs = expected.negated()
            try signs.setSigns(of: x.span, rowStride: stride, thresholds: thresholds, threads: 2, isa: isa)
            #expect(signs == expected, "\(isa)")
            let ofBytes = try SignMatrix(
                signsOf: bytes.span, rows: rows, columns: columns, rowStride: stride, thresholds: levels, isa: isa)
            #expect(ofBytes == expected, "\(isa)")
        }
    }

    @Test func numbersComeBack() throws {
        var g = Generator(seed: 3)
        let signs = try SignMatrix.random(3, 67, &g)
        let values = signs.values()
        let scales: [Float] = [0.5, -2, 0]
        for isa in Self.isas {
            #expect(try signs.floats(isa: isa) == values.map { Float($0) })
            #expect(try signs.int8s(isa: isa) == values.map { Int8($0) })
            let scaled = try signs.floats(scales: scales, isa: isa)
            #expect(scaled == values.indices.map { Float(values[$0]) * scales[$0 / 67] })
        }
        #expect(try SignMatrix(signsOf: signs.floats(), rows: 3, columns: 67) == signs)
    }

    @Test func rowsBecomeColumns() throws {
        var g = Generator(seed: 4)
        for (rows, columns) in [(1, 1), (3, 70), (64, 64), (130, 65), (0, 5)] {
            let signs = try SignMatrix.random(rows, columns, &g)
            let expected = try SignMatrix(transposed(signs.values(), columns: columns), rows: columns, columns: rows)
            for isa in Self.isas { #expect(try signs.transposed(isa: isa) == expected) }
            #expect(try expected.transposed() == signs)
        }
    }

    @Test func formatsOfOthers() throws {
        var g = Generator(seed: 5)
        for order in [BitFormat.Order.lowestFirst, .highestFirst] {
            for oneIsPlus in [false, true] {
                let format = BitFormat(order: order, oneIsPlus: oneIsPlus)
                let signs = try SignMatrix.random(3, 21, &g)
                let bytes = try signs.bytes(format: format)
                #expect(bytes.count == 9)
                for row in 0..<3 {
                    for column in 0..<24 {
                        let place = order == .lowestFirst ? column % 8 : 7 - column % 8
                        let isSet = bytes[row * 3 + column / 8] >> place & 1 == 1
                        let isPlus = column < 21 ? signs[row, column] > 0 : true
                        #expect(isSet == (isPlus == oneIsPlus))
                    }
                }
                #expect(try SignMatrix(bytes: bytes, rows: 3, columns: 21, format: format) == signs)
                let wide = (0..<3).flatMap { bytes[$0 * 3..<$0 * 3 + 3] + [0xa5] }
                #expect(
                    try SignMatrix(bytes: wide.span, rows: 3, columns: 21, rowStride: 4, format: format) == signs)
            }
        }
    }

    @Test func refusesWhatDoesNotFit() throws {
        let short = [Float](repeating: -1, count: 9)
        #expect(throws: HalftoneError.shape("X holds 9 values, 2 x 5 need 10")) {
            try SignMatrix(signsOf: short, rows: 2, columns: 5)
        }
        #expect(throws: HalftoneError.shape("there are 2 thresholds, 3 columns need 3")) {
            try SignMatrix(signsOf: short, rows: 3, columns: 3, thresholds: [0, 0])
        }
        #expect(throws: HalftoneError.stride) {
            try SignMatrix(signsOf: short.span, rows: 2, columns: 4, rowStride: 3)
        }
        var signs = try SignMatrix(rows: 3, columns: 3)
        let before = signs
        #expect(throws: HalftoneError.threads) { try signs.setSigns(of: short.span, threads: -1) }
        #expect(throws: HalftoneError.shape("X holds 8 values, 3 x 3 need 9")) {
            let shorter = Array(short.dropLast())
            try signs.setSigns(of: shorter.span)
        }
        #expect(signs == before)
        #expect(throws: HalftoneError.shape("the scales hold 2 values, 3 rows need 3")) {
            try signs.floats(scales: [1, 2])
        }
        #expect(throws: HalftoneError.shape("the bits hold 2 values, 3 x 1 need 3")) {
            try SignMatrix(bytes: [1, 2], rows: 3, columns: 3, format: BitFormat())
        }
    }
}
