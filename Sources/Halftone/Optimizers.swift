import CHalftone

/// The decay of pruned weights in training: where the mask keeps nothing, `decay` · w is added to the gradient, which
/// itself goes straight through to all weights.
///
/// Method: Zhou et al. 2021, "Learning N:M fine-grained structured sparse neural networks from scratch" (SR-STE).
public struct SRSTE: Hashable, Sendable {
    /// The weights that are kept.
    public var mask: NMMask
    /// What pruned weights decay by, finite and not negative.
    public var decay: Float

    /// The published decay, unless said otherwise.
    public init(mask: NMMask, decay: Float = 2e-4) {
        self.mask = mask
        self.decay = decay
    }

    /// Adds the decay to a gradient, for optimizers of others.
    ///
    /// - Parameters:
    ///   - weights: as many values as the mask has bits, row-major.
    ///   - gradient: likewise, to be added to.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers. Never changes a bit of a result.
    /// - Throws: ``HalftoneError/shape(_:)`` when an operand is too short, ``HalftoneError/optimizer``,
    ///   ``HalftoneError/threads``.
    public func addDecay(
        of weights: Span<Float>, to gradient: inout MutableSpan<Float>, threads: Int = 0
    ) throws(HalftoneError) {
        let (rows, columns) = (mask.rows, mask.columns)
        _ = try Operand("weights hold", count: weights.count, of: Float.self, rows: rows, columns: columns)
        _ = try Operand("the gradient holds", count: gradient.count, of: Float.self, rows: rows, columns: columns)
        var options = try ht_options(threads: threads)
        let status = weights.withUnsafeBufferPointer { w in
            gradient.withUnsafeMutableBufferPointer { dw in
                SRSTE.withCode(of: self) {
                    ht_sr_ste_f32(rows, columns, w.baseAddress, 0, $0, dw.baseAddress, 0, &options)
                }
            }
        }
        try HalftoneError.check(status)
    }

    fileprivate static func withCode(
        of decay: SRSTE?, _ body: (UnsafePointer<ht_sr_ste>?) -> ht_status
    ) -> ht_status {
        guard let decay else { return body(nil) }
        return decay.mask.bytes.withUnsafeBufferPointer { bytes in
            var code = ht_sr_ste(mask: bytes.baseAddress, mask_stride: 0, decay: decay.decay)
            return body(&code)
        }
    }
}

/// Stochastic gradient descent with momentum, as in PyTorch.
public struct SGD: Hashable, Sendable {
    /// The learning rate.
    public var rate: Float
    /// 0 ..< 1.
    public var momentum: Float
    /// What of a gradient does not go into the velocity.
    public var dampening: Float
    /// `weightDecay` · w is added to the gradient.
    public var weightDecay: Float
    /// Nesterov's momentum, which needs some momentum and no dampening.
    public var isNesterov: Bool

    /// Plain descent, unless said otherwise.
    public init(
        rate: Float, momentum: Float = 0, dampening: Float = 0, weightDecay: Float = 0, isNesterov: Bool = false
    ) {
        self.rate = rate
        self.momentum = momentum
        self.dampening = dampening
        self.weightDecay = weightDecay
        self.isNesterov = isNesterov
    }

    /// Moves weights by one step: with g = gradient + SR-STE's decay + ``weightDecay`` · w and v = ``momentum`` · v +
    /// (1 - ``dampening``) · g, it is w -= ``rate`` · v, or with Nesterov's momentum w -= ``rate`` · (g + ``momentum``
    /// · v).
    ///
    /// - Parameters:
    ///   - weights: any number of them.
    ///   - gradient: as many.
    ///   - velocity: as many, zeros before the first step; may be empty without momentum.
    ///   - sparse: the mask and the decay of pruned weights, or nil. The mask has a bit for each weight.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers. Never changes a bit of a result.
    /// - Throws: ``HalftoneError/shape(_:)`` when an operand has another number of values, ``HalftoneError/optimizer``
    ///   when a parameter is out of its range, ``HalftoneError/threads``. Then nothing has moved.
    public func update(
        _ weights: inout MutableSpan<Float>, gradient: Span<Float>, velocity: inout MutableSpan<Float>,
        decaying sparse: SRSTE? = nil, threads: Int = 0
    ) throws(HalftoneError) {
        let shape = try UpdateShape(weights.count, gradient: gradient.count, sparse)
        if momentum > 0 { try shape.check(velocity.count, "the velocity") }
        var options = try ht_options(threads: threads)
        var code = ht_sgd(
            rate: rate, momentum: momentum, dampening: dampening, weight_decay: weightDecay,
            nesterov: isNesterov ? 1 : 0)
        let status = weights.withUnsafeMutableBufferPointer { w in
            gradient.withUnsafeBufferPointer { dw in
                velocity.withUnsafeMutableBufferPointer { v in
                    SRSTE.withCode(of: sparse) {
                        ht_sgd_f32(
                            shape.rows, shape.columns, &code, $0, dw.baseAddress, 0, v.baseAddress, w.baseAddress, 0,
                            &options)
                    }
                }
            }
        }
        try HalftoneError.check(status)
    }

    /// Moves an array of weights; see the variant over spans.
    public func update(
        _ weights: inout [Float], gradient: [Float], velocity: inout [Float], decaying sparse: SRSTE? = nil,
        threads: Int = 0
    ) throws(HalftoneError) {
        var w = weights.mutableSpan
        var v = velocity.mutableSpan
        try update(&w, gradient: gradient.span, velocity: &v, decaying: sparse, threads: threads)
    }
}

/// AdamW, as in PyTorch (Loshchilov and Hutter 2019, "Decoupled weight decay regularization").
public struct AdamW: Hashable, Sendable {
    /// The learning rate.
    public var rate: Float
    /// How slowly the mean of the gradients forgets, between 0 and 1.
    public var beta1: Float
    /// How slowly the mean of their squares forgets, between 0 and 1.
    public var beta2: Float
    /// Added to the root of the mean square.
    public var epsilon: Float
    /// Weights shrink by ``rate`` · `weightDecay` in each step.
    public var weightDecay: Float

    /// PyTorch's values, unless said otherwise.
    public init(
        rate: Float, beta1: Float = 0.9, beta2: Float = 0.999, epsilon: Float = 1e-8, weightDecay: Float = 0.01
    ) {
        self.rate = rate
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.weightDecay = weightDecay
    }

    /// What AdamW remembers of a layer.
    public struct State: Hashable, Sendable {
        /// The mean of the gradients.
        public var mean: [Float]
        /// The mean of their squares.
        public var square: [Float]
        /// Steps so far.
        public var steps: Int

        /// Before the first step of so many weights.
        public init(count: Int) {
            mean = [Float](repeating: 0, count: count)
            square = mean
            steps = 0
        }
    }

    /// Moves weights by one step.
    ///
    /// - Parameters:
    ///   - weights: any number of them.
    ///   - gradient: as many.
    ///   - state: of as many; counts the step.
    ///   - sparse: the mask and the decay of pruned weights, or nil. The mask has a bit for each weight.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers. Never changes a bit of a result.
    /// - Throws: as ``SGD/update(_:gradient:velocity:decaying:threads:)-(MutableSpan<Float>,_,_,_,_)``.
    public func update(
        _ weights: inout MutableSpan<Float>, gradient: Span<Float>, state: inout State, decaying sparse: SRSTE? = nil,
        threads: Int = 0
    ) throws(HalftoneError) {
        let shape = try UpdateShape(weights.count, gradient: gradient.count, sparse)
        try shape.check(state.mean.count, "the mean")
        try shape.check(state.square.count, "the mean square")
        // The C library takes zeros as defaults; here the defaults are values and a zero is a mistake.
        guard beta1 > 0, beta2 > 0, epsilon > 0, state.steps >= 0, state.steps < Int.max else { throw .optimizer }
        var options = try ht_options(threads: threads)
        var code = ht_adamw(
            rate: rate, beta1: beta1, beta2: beta2, epsilon: epsilon, weight_decay: weightDecay, step: state.steps + 1)
        let status = weights.withUnsafeMutableBufferPointer { w in
            gradient.withUnsafeBufferPointer { dw in
                SRSTE.withCode(of: sparse) {
                    ht_adamw_f32(
                        shape.rows, shape.columns, &code, $0, dw.baseAddress, 0, &state.mean, &state.square,
                        w.baseAddress, 0, &options)
                }
            }
        }
        try HalftoneError.check(status)
        state.steps += 1
    }

    /// Moves an array of weights; see the variant over spans.
    public func update(
        _ weights: inout [Float], gradient: [Float], state: inout State, decaying sparse: SRSTE? = nil,
        threads: Int = 0
    ) throws(HalftoneError) {
        var w = weights.mutableSpan
        try update(&w, gradient: gradient.span, state: &state, decaying: sparse, threads: threads)
    }
}

/// The rows and columns of weights that are updated, which only their mask knows.
private struct UpdateShape {
    let rows: Int
    let columns: Int

    init(_ count: Int, gradient: Int, _ sparse: SRSTE?) throws(HalftoneError) {
        (rows, columns) = sparse.map { ($0.mask.rows, $0.mask.columns) } ?? (1, count)
        guard rows * columns == count else {
            throw .shape("there are \(count) weights, the mask is \(rows) x \(columns)")
        }
        try check(gradient, "the gradient")
    }

    func check(_ count: Int, _ name: String) throws(HalftoneError) {
        guard count == rows * columns else {
            throw .shape("\(name) holds \(count) values, there are \(rows * columns) weights")
        }
    }
}
