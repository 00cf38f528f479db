import Foundation

/// The mean of some values, and how far they are from it.
struct Sample: Codable {
    let mean: Double
    /// The standard deviation, n - 1 below; nil of one value.
    let deviation: Double?
    /// Half the width of the interval that holds the true mean with a probability of 95 %, if values are normal.
    let halfInterval: Double?

    enum CodingKeys: String, CodingKey {
        case mean, deviation
        case halfInterval = "half_interval_95"
    }

    init(_ values: [Double]) {
        let count = Double(values.count)
        let mean = values.reduce(0, +) / count
        self.mean = mean
        guard values.count > 1 else {
            (deviation, halfInterval) = (nil, nil)
            return
        }
        let deviation = (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (count - 1)).squareRoot()
        self.deviation = deviation
        halfInterval = Self.quantile(degrees: values.count - 1) * deviation / count.squareRoot()
    }

    /// Student's t at 97.5 %: by table for few degrees of freedom, beyond by the first terms of its expansion about the
    /// normal distribution, which are off by less than 0.001 there.
    static func quantile(degrees: Int) -> Double {
        let table = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228]
        guard degrees > table.count else { return table[degrees - 1] }
        let (z, n) = (1.959964, Double(degrees))
        let second = (5 * pow(z, 5) + 16 * pow(z, 3) + 3 * z) / 96
        let third = (3 * pow(z, 7) + 19 * pow(z, 5) + 17 * pow(z, 3) - 15 * z) / 384
        return z + (pow(z, 3) + z) / (4 * n) + second / (n * n) + third / pow(n, 3)
    }
}

func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
