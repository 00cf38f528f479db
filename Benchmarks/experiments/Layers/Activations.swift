/// max(0, x).
final class ReLU: Layer {
    private var y: [Float] = []

    func forward(_ x: [Float], _ pass: Pass) -> [Float] {
        y = mapRows(x, features: x.count) { x, _ in max(0, x) }
        return y
    }

    func backward(_ dy: [Float], _ pass: Pass) -> [Float] {
        mapRows(dy, y, features: dy.count) { dy, y, _ in y > 0 ? dy : 0 }
    }
}

/// The largest of each 2 x 2 pixels; an odd row or column at the edge is left out.
final class MaxPool: Layer {
    private let height: Int
    private let width: Int
    private let channels: Int
    private var inputCount = 0
    /// Where each result came from.
    private var places: [Int32] = []

    init(height: Int, width: Int, channels: Int) {
        (self.height, self.width, self.channels) = (height, width, channels)
    }

    func forward(_ x: [Float], _ pass: Pass) -> [Float] {
        inputCount = x.count
        let (outHeight, outWidth) = (height / 2, width / 2)
        let images = x.count / (height * width * channels)
        var y = [Float](repeating: 0, count: images * outHeight * outWidth * channels)
        places = [Int32](repeating: 0, count: y.count)
        var to = 0
        for image in 0..<images {
            for row in 0..<outHeight {
                for column in 0..<outWidth {
                    let corner = ((image * height + 2 * row) * width + 2 * column) * channels
                    takeLargest(of: x, corner, into: &y, to)
                    to += channels
                }
            }
        }
        return y
    }

    /// One pixel of the result.
    private func takeLargest(of x: [Float], _ corner: Int, into y: inout [Float], _ to: Int) {
        let below = width * channels
        for c in 0..<channels {
            var best = corner + c
            for place in [corner + channels + c, corner + below + c, corner + below + channels + c]
            where x[place] > x[best] { best = place }
            y[to + c] = x[best]
            places[to + c] = Int32(best)
        }
    }

    func backward(_ dy: [Float], _ pass: Pass) -> [Float] {
        var dx = [Float](repeating: 0, count: inputCount)
        for (place, gradient) in zip(places, dy) { dx[Int(place)] += gradient }
        return dx
    }
}

/// The mean of so many rows: of the pixels of an image, or of the tokens of a sequence.
final class MeanPool: Layer {
    private let rows: Int
    private let features: Int

    init(rows: Int, features: Int) {
        (self.rows, self.features) = (rows, features)
    }

    func forward(_ x: [Float], _ pass: Pass) -> [Float] {
        let block = rows * features
        let share = 1 / Float(rows)
        var y = [Float](repeating: 0, count: x.count / rows)
        for sample in 0..<x.count / block {
            for row in 0..<rows {
                for c in 0..<features { y[sample * features + c] += share * x[sample * block + row * features + c] }
            }
        }
        return y
    }

    func backward(_ dy: [Float], _ pass: Pass) -> [Float] {
        let block = rows * features
        let share = 1 / Float(rows)
        var dx = [Float](repeating: 0, count: dy.count * rows)
        for sample in 0..<dx.count / block {
            for row in 0..<rows {
                for c in 0..<features { dx[sample * block + row * features + c] = share * dy[sample * features + c] }
            }
        }
        return dx
    }
}
