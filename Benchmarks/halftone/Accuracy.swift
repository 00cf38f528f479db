import CHalftone
import CHalftoneBench

/// Some rows of a product in double precision.
struct Reference {
    private let rows: [Int]
    private let o: Int
    private let exact: [Double]
    /// Sums of |x w|, which errors are measured against.
    private let magnitude: [Double]

    /// At most `count` rows of x, spread evenly, the first and last among them.
    init(x: FloatMatrix, w: FloatMatrix, count: Int) {
        let last = x.rows - 1
        let wanted = min(count, x.rows)
        rows = (0..<wanted).map { wanted == 1 ? 0 : $0 * last / (wanted - 1) }
        o = w.rows
        var exact = [Double](repeating: 0, count: rows.count * o)
        var magnitude = exact
        for (index, row) in rows.enumerated() {
            exact.withUnsafeMutableBufferPointer { exact in
                magnitude.withUnsafeMutableBufferPointer { magnitude in
                    htb_reference(
                        w.rows, w.columns, x.row(row), w.data, exact.baseAddress! + index * w.rows,
                        magnitude.baseAddress! + index * w.rows)
                }
            }
        }
        self.exact = exact
        self.magnitude = magnitude
    }

    /// The largest |y - exact| / sum |x w|. Not a number where y is none.
    func maxError(of y: TypedMatrix) -> Double {
        var worst = 0.0
        for (index, row) in rows.enumerated() {
            for column in 0..<o {
                let at = index * o + column
                let error = abs(y.value(row, column) - exact[at])
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
            for column in 0..<o {
                let value = exact[index * o + column]
                let error = y.value(row, column) - value
                difference += error * error
                size += value * value
            }
        }
        return size > 0 ? (difference / size).squareRoot() : 0
    }
}

/// gamma(n) = n u / (1 - n u) with u = 2^-24: the bound on the relative error of a sum of n products in f32. The
/// reference's own rounding, a billionth of that, is added.
func errorBound(terms: Int, columns: Int) -> Double {
    let n = Double(terms) * 0x1p-24
    return n / (1 - n) + Double(columns) * 0x1p-52
}
