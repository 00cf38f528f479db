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
        let images = x.count / (height * width * channels)
        let corners = (0..<images).flatMap { image in
            (0..<height / 2).flatMap { row in
                (0..<width / 2).map { ((image * height + 2 * row) * width + 2 * $0) * channels }
            }
        }
        places = [Int32](repeating: 0, count: corners.count * channels)
        var y = [Float](repeating: 0, count: places.count)
        x.withUnsafeBufferPointer { x in
            for (pixel, corner) in corners.enumerated() {
                for c in 0..<channels {
                    let place = largest(x, corner + c)
                    y[pixel * channels + c] = x[place]
                    places[pixel * channels + c] = Int32(place)
                }
            }
        }
        return y
    }

    /// The place of the largest of four pixels' values.
    private func largest(_ x: UnsafeBufferPointer<Float>, _ corner: Int) -> Int {
        let (right, below) = (channels, width * channels)
        let upper = x[corner + right] > x[corner] ? corner + right : corner
        let lower = x[corner + below + right] > x[corner + below] ? corner + below + right : corner + below
        return x[lower] > x[upper] ? lower : upper
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
