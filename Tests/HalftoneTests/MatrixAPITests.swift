import CHalftone
import Halftone
import Testing

/// Pruning, packing and unpacking through the Swift API.
@Suite struct MatrixAPITests {
    private static let (rows, columns) = (21, 53)

    private static func weights(_ data: Data = .plain) -> [Float] {
        var g = Generator(seed: 1)
        return (0..<rows * columns).map { _ in data.value(&g) }
    }

    private let pattern = try! NMPattern(2, of: 4)

    /// What the reference keeps of a matrix, +0 elsewhere.
    private func kept(_ w: [Float]) -> [Float] {
        var result = [Float](repeating: 0, count: w.count)
        for row in 0..<Self.rows {
            let from = row * Self.columns
            for c in Reference.kept([Array(w[from..<from + Self.columns])], n: pattern.n, m: pattern.m) {
                result[from + c] = w[from + c]
            }
        }
        return result
    }

    @Test func prunesMasksAndPacksAlike() throws {
        let (rows, columns) = (Self.rows, Self.columns)
        let w = Self.weights()
        let expected = kept(w)
        var inPlace = w
        try pattern.prune(&inPlace, rows: rows, columns: columns)
        #expect(inPlace == expected)
        #expect(try pattern.pruned(w, rows: rows, columns: columns, threads: 1) == expected)

        let mask = try pattern.mask(of: w, rows: rows, columns: columns)
        #expect(mask.count == expected.count { $0 != 0 })
        for row in 0..<rows { for c in 0..<columns { #expect(mask[row, c] == (expected[row * columns + c] != 0)) } }

        let packed = try NMMatrix(packing: expected, rows: rows, columns: columns, pattern: pattern)
        let masked = try NMMatrix(packing: w, rows: rows, columns: columns, pattern: pattern, mask: mask)
        for matrix in [packed, masked] {
            #expect(matrix.rows == rows && matrix.columns == columns && matrix.pattern == pattern)
            #expect(try matrix.unpacked() == expected)
            try matrix.verify()
        }
    }

    /// Spans of rows with gaps give what rows without them give, and the gaps stay.
    @Test func takesStridedSpans() throws {
        let (rows, columns, stride) = (Self.rows, Self.columns, Self.columns + 6)
        let w = Self.weights()
        var wide = [Float](repeating: 99, count: rows * stride)
        for row in 0..<rows { for c in 0..<columns { wide[row * stride + c] = w[row * columns + c] } }
        let expected = try pattern.pruned(w, rows: rows, columns: columns)

        #expect(try pattern.pruned(wide.span, rows: rows, columns: columns, rowStride: stride) == expected)
        let mask = try pattern.mask(of: wide.span, rows: rows, columns: columns, rowStride: stride)
        #expect(mask == (try pattern.mask(of: w, rows: rows, columns: columns)))
        let matrix = try NMMatrix(
            packing: wide.span, rows: rows, columns: columns, rowStride: stride, pattern: pattern, mask: mask)
        #expect(try matrix.unpacked() == expected)

        var span = wide.mutableSpan
        try pattern.prune(&span, rows: rows, columns: columns, rowStride: stride)
        for row in 0..<rows {
            for c in 0..<stride {
                #expect(wide[row * stride + c] == (c < columns ? expected[row * columns + c] : 99))
            }
        }
    }

    @Test func refusesSizesThatDoNotFit() throws {
        let pattern = pattern
        var w = [Float](repeating: 0, count: 12)
        let tooFew = HalftoneError.shape("weights hold 12 values, 3 x 5 need 15")
        #expect(throws: tooFew) { try pattern.prune(&w, rows: 3, columns: 5) }
        #expect(throws: tooFew) { try pattern.pruned(w, rows: 3, columns: 5) }
        #expect(throws: tooFew) { try pattern.mask(of: w, rows: 3, columns: 5) }
        #expect(throws: tooFew) { try NMMatrix(packing: w, rows: 3, columns: 5, pattern: pattern) }
        #expect(throws: HalftoneError.shape("weights hold 12 values, 3 x 4 at a row stride of 5 need 14")) {
            try pattern.mask(of: w.span, rows: 3, columns: 4, rowStride: 5)
        }
        // The last row needs no gap behind it.
        #expect(throws: Never.self) { try pattern.mask(of: w.span, rows: 3, columns: 2, rowStride: 5) }
    }

    /// Numbers that are negative or beyond what memory holds give errors, on every way in.
    @Test func refusesImpossibleNumbers() {
        let pattern = pattern
        let w = [Float](repeating: 0, count: 12)
        let impossible = [
            (-1, 4), (3, -4), (Int.min, 1), (1, .min), (.min, .min), (.max, .max), (.max, 2), (2, .max),
            (1 << 40, 1 << 40),
        ]
        for (rows, columns) in impossible {
            var copy = w
            #expect(throws: HalftoneError.self) { try pattern.prune(&copy, rows: rows, columns: columns) }
            #expect(throws: HalftoneError.self) { try pattern.pruned(w, rows: rows, columns: columns) }
            #expect(throws: HalftoneError.self) { try pattern.mask(of: w, rows: rows, columns: columns) }
            #expect(throws: HalftoneError.self) {
                try NMMatrix(packing: w, rows: rows, columns: columns, pattern: pattern)
            }
            #expect(throws: HalftoneError.self) { try NMMask(rows: rows, columns: columns, bytes: [0]) }
            #expect(copy == w)
        }
        for stride in [3, 0, -1, Int.min] {
            #expect(throws: HalftoneError.stride) {
                try pattern.mask(of: w.span, rows: 3, columns: 4, rowStride: stride)
            }
        }
        for stride in [Int.max, .max / 2, .max / 4 + 1] {
            #expect(throws: HalftoneError.self) { try pattern.mask(of: w.span, rows: 3, columns: 4, rowStride: stride) }
            #expect(throws: HalftoneError.overflow) {
                try pattern.mask(of: w.span, rows: 1, columns: 4, rowStride: stride)
            }
        }
        for threads in [-1, Int.min, .max, 1 << 32] {
            #expect(throws: HalftoneError.threads) { try pattern.mask(of: w, rows: 3, columns: 4, threads: threads) }
            #expect(throws: HalftoneError.threads) {
                try NMMatrix(packing: w, rows: 3, columns: 4, pattern: pattern, threads: threads)
            }
        }
    }

    @Test func refusesWhatIsNotSparse() {
        #expect(throws: HalftoneError.notSparse) {
            try NMMatrix(packing: [1, 2, 3, 0] as [Float], rows: 1, columns: 4, pattern: pattern)
        }
    }

    @Test func refusesAMaskOfAnotherShape() throws {
        let mask = try pattern.mask(of: [Float](repeating: 1, count: 8), rows: 1, columns: 8)
        #expect(throws: HalftoneError.shape("the mask is 1 x 8, the weights are 2 x 4")) {
            try NMMatrix(packing: [Float](repeating: 1, count: 8), rows: 2, columns: 4, pattern: pattern, mask: mask)
        }
    }

    @Test func aMaskIsItsBits() throws {
        let mask = try NMMask(rows: 2, columns: 10, bytes: [0b1000_0001, 0b1111_1110, 0, 0b01])
        #expect(mask.bytes == [0b1000_0001, 0b10, 0, 0b01], "bits behind the last column are cleared")
        #expect(mask.count == 4)
        #expect(mask[0, 0] && mask[0, 7] && mask[0, 9] && mask[1, 8])
        #expect(!mask[0, 8] && !mask[1, 0])
        #expect(throws: HalftoneError.shape("the mask holds 3 bytes, 2 x 10 bits need 4")) {
            try NMMask(rows: 2, columns: 10, bytes: [0, 0, 0])
        }
    }

    @Test func emptyMatricesAreFine() throws {
        for (rows, columns) in [(0, 0), (0, 5), (5, 0), (.max / 16, 0)] {
            let matrix = try NMMatrix(packing: [Float](), rows: rows, columns: columns, pattern: pattern)
            #expect(matrix.rows == rows && matrix.columns == columns)
            #expect(try matrix.unpacked().isEmpty)
            try matrix.verify()
            #expect(try pattern.pruned([Float](), rows: rows, columns: columns).isEmpty)
            #expect(try pattern.mask(of: [Float](), rows: rows, columns: columns).count == 0)
        }
    }

    /// Every status of the C library has a case, and its text.
    @Test func errorsSpeakTheLibrarysText() {
        let cases: [(HalftoneError, ht_status)] = [
            (.null, HT_ERROR_NULL), (.pattern, HT_ERROR_PATTERN), (.stride, HT_ERROR_STRIDE),
            (.alignment, HT_ERROR_ALIGNMENT), (.overflow, HT_ERROR_OVERFLOW), (.notSparse, HT_ERROR_NOT_SPARSE),
            (.bufferSize, HT_ERROR_BUFFER_SIZE), (.threads, HT_ERROR_THREADS), (.window, HT_ERROR_WINDOW),
            (.isa, HT_ERROR_ISA), (.epilogue, HT_ERROR_EPILOGUE), (.memory, HT_ERROR_MEMORY),
            (.blobTruncated, HT_ERROR_BLOB_TRUNCATED), (.blobForeign, HT_ERROR_BLOB_FOREIGN),
            (.blobVersion, HT_ERROR_BLOB_VERSION), (.blobCorrupt, HT_ERROR_BLOB_CORRUPT),
            (.blobShape, HT_ERROR_BLOB_SHAPE), (.blobType, HT_ERROR_BLOB_DTYPE), (.tuning, HT_ERROR_TUNING),
            (.convolution, HT_ERROR_CONV), (.depthwise, HT_ERROR_DEPTHWISE), (.permutation, HT_ERROR_PERMUTATION),
            (.estimator, HT_ERROR_ESTIMATOR), (.design, HT_ERROR_DESIGN), (.tree, HT_ERROR_TREE),
            (.optimizer, HT_ERROR_OPTIMIZER),
        ]
        for (error, status) in cases { #expect("\(error)" == String(cString: ht_status_text(status))) }
        let after = ht_status(rawValue: .init(cases.count + 1))
        #expect(String(cString: ht_status_text(after)) == "unknown status", "a new status needs a case")
        #expect("\(HalftoneError.shape("a b"))" == "a b")
        #expect("\(HalftoneError.file(path: "f", reason: "r"))" == "f: r")
    }
}
