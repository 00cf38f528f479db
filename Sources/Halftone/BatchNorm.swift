import CHalftone

/// A batch normalisation as it is after training: gamma · (v - mean) / √(variance + epsilon) + beta, for each output.
public struct BatchNorm: Hashable, Sendable {
    /// PyTorch's `weight`; nil for 1.
    public var gamma: [Float]?
    /// PyTorch's `bias`; nil for 0.
    public var beta: [Float]?
    /// PyTorch's `running_mean`.
    public var mean: [Float]
    /// PyTorch's `running_var`.
    public var variance: [Float]
    /// Added to the variance.
    public var epsilon: Float

    /// One without gamma and beta, unless they are given.
    public init(gamma: [Float]? = nil, beta: [Float]? = nil, mean: [Float], variance: [Float], epsilon: Float = 1e-5) {
        self.gamma = gamma
        self.beta = beta
        self.mean = mean
        self.variance = variance
        self.epsilon = epsilon
    }
}

// MARK: - For the C library

extension BatchNorm {
    /// Throws unless there are values for so many outputs.
    func check(outputs: Int) throws(HalftoneError) {
        for (name, values) in [("gamma", gamma), ("beta", beta), ("mean", mean), ("variance", variance)] {
            guard let values, values.count != outputs else { continue }
            throw .shape("\(name) holds \(values.count) values, there are \(outputs) outputs")
        }
    }

    func withCode(_ body: (inout ht_batch_norm) -> ht_status) -> ht_status {
        withPointer(to: gamma) { gamma in
            withPointer(to: beta) { beta in
                var code = ht_batch_norm(gamma: gamma, beta: beta, mean: nil, variance: nil, epsilon: epsilon)
                return mean.withUnsafeBufferPointer { mean in
                    variance.withUnsafeBufferPointer { variance in
                        (code.mean, code.variance) = (mean.baseAddress, variance.baseAddress)
                        return body(&code)
                    }
                }
            }
        }
    }
}
