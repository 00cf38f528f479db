import Halftone
import Testing

/// Matrices of signs as values.
@Suite struct SignMatrixTests {
    @Test func holdsWhatIsSet() throws {
        var g = Generator(seed: 1)
        for columns in [1, 31, 63, 64, 65, 130] {
            let values = (0..<3 * columns).map { _ in g.coin() ? 1 : -1 }
            var signs = try SignMatrix(rows: 3, columns: columns)
            #expect(signs.values() == Array(repeating: 1, count: 3 * columns))
            for at in values.indices { signs[at / columns, at % columns] = values[at] * 7 }
            #expect(signs.values() == values)
            #expect(signs.wordsPerRow == (columns + 63) / 64 && signs.words.count == 3 * signs.wordsPerRow)
            for column in 0..<columns {
                #expect(
                    (signs.words[signs.wordsPerRow + column / 64] >> (column % 64) & 1 == 1) == (signs[1, column] < 0))
            }
            #expect(try SignMatrix(rows: 3, columns: columns, words: signs.words) == signs)
            #expect(signs.negated().values() == values.map { -$0 })
            #expect(signs.negated().negated() == signs)
            signs[2, columns - 1] = 0
            #expect(signs[2, columns - 1] == 1)
        }
    }

    @Test func clearsBitsBehindTheLast() throws {
        let signs = try SignMatrix(rows: 2, columns: 70, words: [UInt64](repeating: .max, count: 4))
        #expect(signs.words == [.max, 63, .max, 63])
        #expect(signs.negated() == (try SignMatrix(rows: 2, columns: 70)))
    }

    @Test func sizesOfZero() throws {
        #expect(try SignMatrix(rows: 0, columns: 70).words.isEmpty)
        #expect(try SignMatrix(rows: 70, columns: 0).negated().words.isEmpty)
    }

    @Test func refusesSizesThatDoNotFit() {
        #expect(throws: HalftoneError.shape("a matrix cannot be -1 x 3")) { try SignMatrix(rows: -1, columns: 3) }
        #expect(throws: HalftoneError.shape("there are 3 words, 2 x 65 signs need 4")) {
            try SignMatrix(rows: 2, columns: 65, words: [1, 2, 3])
        }
        #expect(throws: HalftoneError.overflow) { try SignMatrix(rows: .max / 4, columns: 64) }
        #expect(throws: HalftoneError.overflow) { try SignMatrix(rows: .max, columns: .max) }
    }
}
