import CHalftone
import CHalftoneBench

/// Some rows of a problem's dense result in double precision.
struct Reference {
    private let rows: [Int]
    private let columns: Int
    private let exact: [Double]
    /// Sums of |products|, which errors are measured against.
    private let magnitude: [Double]

    /// At most `count` rows of the result, spread evenly, the first and last among them. `x` and `y` are the
    /// activations that go in, `w` the weights.
    init(_ problem: Problem, x: FloatMatrix?, y: FloatMatrix?, w: FloatMatrix, count: Int) throws {
        let sums = try LineSums(problem, x: x, y: y, w: w)
        let wanted = min(count, sums.rows)
        let last = sums.rows - 1
        rows = (0..<wanted).map { wanted == 1 ? 0 : $0 * last / (wanted - 1) }
        columns = sums.columns
        var exact = [Double](repeating: 0, count: rows.count * columns)
        var magnitude = exact
        for (index, row) in rows.enumerated() {
            exact.withUnsafeMutableBufferPointer { exact in
                magnitude.withUnsafeMutableBufferPointer { magnitude in
                    let start = index * sums.columns
                    sums.compute(row: row, exact.baseAddress! + start, magnitude.baseAddress! + start)
                }
            }
        }
        self.exact = exact
        self.magnitude = magnitude
    }

    /// The largest |result - exact| / sum |products|. Not a number where the result is none. With `kept`, row r of the
    /// result has only the columns kept[r]; with `finished`, the result is what that makes of the sums of its columns.
    func maxError(
        of result: TypedMatrix, kept: SampledColumns? = nil, finished: (Double, Int) -> Double = { sum, _ in sum }
    ) -> Double {
        var worst = 0.0
        for (index, row) in rows.enumerated() {
            for place in 0..<result.columns {
                let at = index * columns + (kept?.column(row, place) ?? place)
                let error = abs(result.value(row, place) - finished(exact[at], place))
                let relative = error == 0 ? 0 : error / magnitude[at]
                if !(relative <= worst) { worst = relative }
                if worst.isNaN { return worst }
            }
        }
        return worst
    }

    /// |y - exact| / |exact|, both as the root of a sum of squares.
    func frobeniusError(of y: TypedMatrix) -> Double {
        var difference = 0.0
        var size = 0.0
        for (index, row) in rows.enumerated() {
            for column in 0..<columns {
                let value = exact[index * columns + column]
                let error = y.value(row, column) - value
                difference += error * error
                size += value * value
            }
        }
        return size > 0 ? (difference / size).squareRoot() : 0
    }
}

/// Rows of a problem's result as products of a line of what goes in with lines of the weights, for each group of
/// channels its own.
private struct LineSums {
    let rows: Int
    let columns: Int
    private let problem: Problem
    private let input: FloatMatrix
    /// A line for each column of the result.
    private let lines: FloatMatrix
    private let groups: Int

    init(_ problem: Problem, x: FloatMatrix?, y: FloatMatrix?, w: FloatMatrix) throws {
        self.problem = problem
        let geometry = problem.geometry
        switch (problem.operation.direction, x, y) {
        case (.forward, let x?, _):
            (input, lines, groups) = (x, w, geometry.groups)
            (rows, columns) = problem.ySize
        case (.backward, _, let dy?):
            (input, lines, groups) = (dy, try geometry.turned(w), geometry.groups)
            (rows, columns) = problem.xSize
        case (.gradient, let x?, let dy?):
            (input, lines, groups) = (try dy.transposed(), try x.transposed(), 1)
            (rows, columns) = (problem.o, problem.k)
        default: throw ToolError("an operand of \(problem.operation.rawValue) is missing")
        }
    }

    func compute(row: Int, _ exact: UnsafeMutablePointer<Double>, _ magnitude: UnsafeMutablePointer<Double>) {
        let count = columns / groups
        for group in 0..<groups {
            let line = inputs(row: row, group: group)
            let start = group * count
            htb_reference(count, lines.columns, line, lines.row(start), exact + start, magnitude + start)
        }
    }

    /// What meets the weights in one row of the result: through each tap a pixel's values of one group, zeros where
    /// there is no pixel.
    private func inputs(row: Int, group: Int) -> [Float] {
        if problem.operation.direction == .gradient {
            return Array(UnsafeBufferPointer(start: input.row(row), count: input.columns))
        }
        let geometry = problem.geometry
        let isForward = problem.operation.direction == .forward
        let width = input.columns / groups
        return (0..<geometry.taps).flatMap { tap -> [Float] in
            let pixel =
                isForward ? geometry.inputPixel(of: row, tap: tap) : geometry.outputPixel(of: row, tap: tap)
            guard let pixel else { return [Float](repeating: geometry.padding.value, count: width) }
            return Array(UnsafeBufferPointer(start: input.row(pixel) + group * width, count: width))
        }
    }
}

/// Which columns of the dense gradient a sampled one has: those of the entries of packed weights.
struct SampledColumns {
    /// Of each row.
    let count: Int
    private let columns: [UInt32]

    init(of layer: PrunedLayer, _ problem: Problem) throws {
        let (blob, size) = (layer.packed.address, layer.packed.bytes)
        var count = 0
        try check(ht_nm_row_entries(blob, size, &count), "counting entries")
        var columns = [UInt32](repeating: 0, count: problem.o * count)
        try check(ht_nm_entry_columns(problem.o, problem.k, blob, size, &columns, 0), "finding entries")
        (self.count, self.columns) = (count, columns)
    }

    func column(_ row: Int, _ place: Int) -> Int { Int(columns[row * count + place]) }
}

/// gamma(n) = n u / (1 - n u) with u = 2^-24: the bound on the relative error of a sum of n products in f32. The
/// reference's own rounding, a billionth of that, is added.
func errorBound(terms: Int, columns: Int) -> Double {
    let n = Double(terms) * 0x1p-24
    return n / (1 - n) + Double(columns) * 0x1p-52
}
