import CHalftone

/// A primitive of oneDNN with its operands. It owns what it made.
final class OneDNNPrimitive {
    struct Setting {
        let calls: OneDNNCalls
        let engine: OpaquePointer
        let stream: OpaquePointer
    }

    /// An operand: its number among the primitive's arguments, its data, and the tensor in it.
    struct Operand {
        let index: Int32
        let data: UnsafeMutableRawPointer
        var type: ht_dtype
        let sizes: [Int]
        let strides: [Int]

        func described(_ calls: OneDNNCalls) throws -> OpaquePointer {
            try calls.describe(type, sizes, strides: strides)
        }
    }

    let config: String
    /// The name of the kernel.
    let implementation: String
    private let setting: Setting
    private let primitive: OpaquePointer
    private var memories: [OpaquePointer] = []
    private let arguments: UnsafeMutablePointer<OneDNNCalls.Argument>
    private var reordered: Memory?

    /// Takes the description over. `weights` are brought into the format that it asks for; the other operands are in
    /// theirs.
    init(_ description: OpaquePointer, _ word: String, _ operands: [Operand], weights: Operand?, _ setting: Setting)
        throws
    {
        let calls = setting.calls
        defer { _ = calls.destroyPrimitiveDescription(description) }
        self.setting = setting
        implementation = calls.implementation(of: description)
        config = "\(word) \(implementation)" + (weights == nil ? "" : ", W reordered before")
        var made: OpaquePointer?
        try OneDNNCalls.check(calls.createPrimitive(&made, description), "create a \(word)")
        primitive = made!
        arguments = .allocate(capacity: operands.count + 1)
        for operand in operands {
            let format = try operand.described(calls)
            defer { _ = calls.destroyDescription(format) }
            add(operand.index, try calls.memory(format, setting.engine, operand.data))
        }
        if let weights { try reorder(weights, description) }
    }

    private func add(_ index: Int32, _ memory: OpaquePointer) {
        (arguments + memories.count).initialize(to: .init(index: index, memory: memory))
        memories.append(memory)
    }

    private func reorder(_ weights: Operand, _ description: OpaquePointer) throws {
        let calls = setting.calls
        guard let packed = calls.queryDescription(description, OneDNNCalls.queryWeights, 0) else {
            throw ToolError("oneDNN does not say which weights it wants")
        }
        let memory = try Memory(bytes: calls.size(packed))
        let plain = try weights.described(calls)
        defer { _ = calls.destroyDescription(plain) }
        let from = try calls.memory(plain, setting.engine, weights.data)
        defer { _ = calls.destroyMemory(from) }
        let to = try calls.memory(packed, setting.engine, memory.address)
        add(weights.index, to)
        reordered = memory
        try calls.reorder(plain, packed, from: from, to: to, setting.engine, setting.stream)
    }

    deinit {
        _ = setting.calls.destroyPrimitive(primitive)
        for memory in memories { _ = setting.calls.destroyMemory(memory) }
        arguments.deallocate()
    }

    func run() throws {
        let calls = setting.calls
        try OneDNNCalls.check(
            calls.execute(primitive, setting.stream, Int32(memories.count), arguments), "run \(config)")
        try OneDNNCalls.check(calls.wait(setting.stream), "wait for \(config)")
    }
}

/// Descriptions that a primitive's description is made from, destroyed afterwards.
private func withDescriptions<Result>(
    _ calls: OneDNNCalls, _ descriptions: [OpaquePointer], _ body: () throws -> Result
) rethrows -> Result {
    defer { for description in descriptions { _ = calls.destroyDescription(description) } }
    return try body()
}

enum OneDNNMatmul {
    private typealias Operand = OneDNNPrimitive.Operand

    /// Y = X * transpose(W), dX = dY * W or dW = transpose(dY) * X. Only weights can be reordered before.
    static func primitive(
        _ problem: Problem, _ operands: Operands, _ setting: OneDNNPrimitive.Setting
    ) throws -> OneDNNPrimitive {
        let (t, o, k) = (problem.t, problem.o, problem.k)
        let (x, y, w) = (operands.x, operands.y, operands.w)
        return switch problem.operation.direction {
        case .forward:
            try primitive(
                matrix(OneDNNCalls.source, x, [t, k], [k, 1]), matrix(OneDNNCalls.weights, w, [k, o], [1, k]),
                matrix(OneDNNCalls.destination, y, [t, o], [o, 1]), reorders: true, setting)
        case .backward:
            try primitive(
                matrix(OneDNNCalls.source, y, [t, o], [o, 1]), matrix(OneDNNCalls.weights, w, [o, k], [k, 1]),
                matrix(OneDNNCalls.destination, x, [t, k], [k, 1]), reorders: true, setting)
        case .gradient:
            try primitive(
                matrix(OneDNNCalls.source, y, [o, t], [1, o]), matrix(OneDNNCalls.weights, x, [t, k], [k, 1]),
                matrix(OneDNNCalls.destination, w, [o, k], [k, 1]), reorders: false, setting)
        }
    }

    private static func matrix(_ index: Int32, _ matrix: TypedMatrix, _ sizes: [Int], _ strides: [Int]) -> Operand {
        Operand(index: index, data: matrix.data, type: matrix.type, sizes: sizes, strides: strides)
    }

    private static func primitive(
        _ a: Operand, _ b: Operand, _ result: Operand, reorders: Bool, _ setting: OneDNNPrimitive.Setting
    ) throws -> OneDNNPrimitive {
        let calls = setting.calls
        let source = try a.described(calls)
        let weights = try reorders ? calls.describeAny(b.type, b.sizes) : b.described(calls)
        let destination = try result.described(calls)
        let description = try withDescriptions(calls, [source, weights, destination]) {
            var made: OpaquePointer?
            try OneDNNCalls.check(
                calls.describeMatmul(&made, setting.engine, source, weights, nil, destination, nil),
                "describe a matmul")
            return made!
        }
        return try OneDNNPrimitive(
            description, "matmul", reorders ? [a, result] : [a, b, result], weights: reorders ? b : nil, setting)
    }
}

enum OneDNNConvolution {
    private typealias Operand = OneDNNPrimitive.Operand

    /// dnnl_alg_kind_t: the convolution as such, and what the library finds best, which may be another algorithm.
    private static let algorithms: [Int32] = [1, 3]

    static func forward(
        _ problem: Problem, _ operands: Operands, _ setting: OneDNNPrimitive.Setting
    ) throws -> [OneDNNPrimitive] {
        let (x, y, w) = described(
            problem.geometry, operands, (OneDNNCalls.source, OneDNNCalls.weights, OneDNNCalls.destination))
        return try distinct { algorithm in
            let description = try describe(
                problem.geometry, OneDNNCalls.forwardInference, algorithm, x, y, w, setting)
            return try OneDNNPrimitive(description, "convolution", [x, y], weights: w, setting)
        }
    }

    static func backward(
        _ problem: Problem, _ operands: Operands, _ setting: OneDNNPrimitive.Setting
    ) throws -> [OneDNNPrimitive] {
        let geometry = problem.geometry
        let (x, y, w) = described(
            geometry, operands, (OneDNNCalls.sourceGradient, OneDNNCalls.weights, OneDNNCalls.destinationGradient))
        let calls = setting.calls
        return try distinct { algorithm in
            // The forward one is but a hint; its X and Y are as dY.
            var forwardX = x
            forwardX.type = y.type
            let forward = try describe(geometry, OneDNNCalls.forwardTraining, algorithm, forwardX, y, w, setting)
            defer { _ = calls.destroyPrimitiveDescription(forward) }
            let (source, destination) = (try x.described(calls), try y.described(calls))
            let weights = try calls.describeAny(w.type, w.sizes)
            let description = try withDescriptions(calls, [source, destination, weights]) {
                let numbers = Numbers(geometry)
                var made: OpaquePointer?
                try OneDNNCalls.check(
                    calls.describeConvolutionBackward(
                        &made, setting.engine, algorithm, source, weights, destination, numbers.strides,
                        numbers.dilations, numbers.padBefore, numbers.padAfter, forward, nil),
                    "describe a backward convolution")
                return made!
            }
            return try OneDNNPrimitive(description, "backward convolution", [x, y], weights: w, setting)
        }
    }

    /// One primitive for each kernel that the algorithms lead to.
    private static func distinct(_ make: (Int32) throws -> OneDNNPrimitive) rethrows -> [OneDNNPrimitive] {
        try algorithms.reduce(into: []) { primitives, algorithm in
            let primitive = try make(algorithm)
            if !primitives.contains(where: { $0.implementation == primitive.implementation }) {
                primitives.append(primitive)
            }
        }
    }

    private static func describe(
        _ geometry: Convolution, _ propagation: Int32, _ algorithm: Int32, _ x: Operand, _ y: Operand, _ w: Operand,
        _ setting: OneDNNPrimitive.Setting
    ) throws -> OpaquePointer {
        let calls = setting.calls
        let (source, destination) = (try x.described(calls), try y.described(calls))
        let weights = try calls.describeAny(w.type, w.sizes)
        return try withDescriptions(calls, [source, destination, weights]) {
            let numbers = Numbers(geometry)
            var made: OpaquePointer?
            try OneDNNCalls.check(
                calls.describeConvolution(
                    &made, setting.engine, propagation, algorithm, source, weights, nil, destination, numbers.strides,
                    numbers.dilations, numbers.padBefore, numbers.padAfter, nil),
                "describe a convolution")
            return made!
        }
    }

    /// X and Y as they are, NHWC, and the weights, OHWI; sizes in the order NCHW and [G]OIHW that the interface has.
    private static func described(
        _ geometry: Convolution, _ operands: Operands, _ index: (x: Int32, w: Int32, y: Int32)
    ) -> (x: Operand, y: Operand, w: Operand) {
        func image(_ index: Int32, _ matrix: TypedMatrix, _ height: Int, _ width: Int) -> Operand {
            let channels = matrix.columns
            return Operand(
                index: index, data: matrix.data, type: matrix.type, sizes: [geometry.images, channels, height, width],
                strides: [height * width * channels, 1, width * channels, channels])
        }
        let (kernel, groups, channels) = (geometry.kernel, geometry.groups, geometry.groupChannels)
        let filter = geometry.filterSize
        var sizes = [geometry.groupOutputs, channels, kernel.y, kernel.x]
        var strides = [filter, 1, kernel.x * channels, channels]
        if groups > 1 {
            sizes.insert(groups, at: 0)
            strides.insert(geometry.groupOutputs * filter, at: 0)
        }
        return (
            image(index.x, operands.x, geometry.height, geometry.width),
            image(index.y, operands.y, geometry.outputHeight, geometry.outputWidth),
            Operand(index: index.w, data: operands.w.data, type: operands.w.type, sizes: sizes, strides: strides)
        )
    }

    /// The geometry as the interface takes it: a dilation of 0 has no pixels between taps.
    private struct Numbers {
        let strides: [Int64]
        let dilations: [Int64]
        let padBefore: [Int64]
        let padAfter: [Int64]

        init(_ geometry: Convolution) {
            func numbers(_ pair: Convolution.Pair) -> [Int64] { OneDNNCalls.padded([pair.y, pair.x]) }
            let dilation = geometry.dilation
            strides = numbers(geometry.stride)
            dilations = numbers(.init(y: dilation.y - 1, x: dilation.x - 1))
            padBefore = numbers(geometry.padBefore)
            padAfter = numbers(geometry.padAfter)
        }
    }
}
