import Foundation

/// The mean over the samples of -log softmax(logits)[label], in double precision.
func crossEntropy(_ logits: [Float], labels: [Int]) -> (loss: Double, gradient: [Float]) {
    let classes = logits.count / labels.count
    var gradient = [Float](repeating: 0, count: logits.count)
    var loss = 0.0
    for (sample, label) in labels.enumerated() {
        let row = logits[sample * classes..<(sample + 1) * classes].map { Double($0) }
        let largest = row.max() ?? 0
        let powers = row.map { exp($0 - largest) }
        let total = powers.reduce(0, +)
        loss += log(total) + largest - row[label]
        for c in 0..<classes {
            let target = c == label ? 1.0 : 0
            gradient[sample * classes + c] = Float((powers[c] / total - target) / Double(labels.count))
        }
    }
    return (loss / Double(labels.count), gradient)
}

/// How many samples have their largest logit, of equal ones the first, at their label.
func hits(_ logits: [Float], labels: [Int]) -> Int {
    let classes = logits.count / labels.count
    return labels.indices.count { sample in
        let row = logits[sample * classes..<(sample + 1) * classes]
        guard let largest = row.max() else { return false }
        return row.firstIndex(of: largest) == row.startIndex + labels[sample]
    }
}
