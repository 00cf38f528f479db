import CHalftone

/// What to measure: every layer with every pattern, T and kernel.
struct BenchPlan {
    struct Entry {
        let layer: Layer
        let operation: Operation
        var ts: [Int]
        /// How often the network has the layer.
        var count = 1
    }

    let entries: [Entry]
    let patterns: [Pattern]
    let kernels: [Kernel]
    /// How binary operations are run; without outputs, to the usual ones.
    var designs: [BinaryDesign] = [.auto]
    var outputs: [BinaryOutput]?
    /// Whether x is floats, whose signs are packed as part of each call.
    var packsSigns = false
    /// Whether the backward operations take the outputs in a random order.
    var permutes = false
    /// How the operands lie, in the words of the options: of a backward operation `x` is dY.
    var orders = Orders()

    /// Cases that would take too long on this machine are left out.
    let skipsSlowCases: Bool

    /// The operations of the entries, each once.
    var operations: [Operation] { Self.distinct(entries.map(\.operation)) }

    /// The types of the kernels of an operation, in their order.
    func kinds(of operation: Operation) -> [ProductKind] {
        Self.distinct(kernels.filter { $0.operation == operation }.map(\.kind))
    }

    func kernels(of operation: Operation, _ kind: ProductKind) -> [Kernel] {
        kernels.filter { $0.operation == operation && $0.kind == kind }
    }

    /// The ways to run an operation; one without a choice is run once.
    func forms(of operation: Operation, _ kind: ProductKind) -> [CaseForm] {
        if operation == .weightGradient || operation == .signPacking { return [.dense] }
        guard operation.isBinary else { return patterns.map { .pruned($0) } }
        let packs = packsSigns && kind == .b1
        return (kind.isBits ? designs : [.direct]).flatMap { design in
            (outputs ?? BinaryOutput.usual(kind, packsSigns: packs)).map {
                .binary(BinaryForm(design: design, output: $0, packsSigns: packs))
            }
        }
    }

    private func forms(of operation: Operation) -> [CaseForm] {
        kinds(of: operation).flatMap { forms(of: operation, $0) }
    }

    /// Characters of the longest name of a form.
    var widestForm: Int { operations.flatMap { forms(of: $0) }.map(\.description.count).max() ?? 0 }

    /// What the operations are to be seen beside; of a name one.
    var companions: [Companion] {
        let all = operations.flatMap { operation in
            forms(of: operation).flatMap { Companion.all(of: operation, $0) }
        }
        return all.reduce(into: []) { list, next in
            if !list.contains(where: { $0.name == next.name }) { list.append(next) }
        }
    }

    /// The dense libraries that the operations meet; of a name one.
    func contests(_ rivals: Rivals) -> [Contest] {
        let all = operations.flatMap { operation in
            kinds(of: operation).flatMap { rivals.contests(for: operation, $0) }
        }
        return all.reduce(into: []) { list, next in
            if !list.contains(where: { $0.name == next.name }) { list.append(next) }
        }
    }

    func caseCount(of entry: Entry) -> Int {
        let own = kernels.filter { $0.operation == entry.operation }
        return entry.ts.count * own.reduce(0) { $0 + forms(of: entry.operation, $1.kind).count }
    }

    private static func distinct<Element: Equatable>(_ list: [Element]) -> [Element] {
        list.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }
}

// MARK: entries

extension BenchPlan {
    /// Layers of real networks: the embedded one of MiniLM with its weights, the feed-forward layers of BERT base and
    /// a large square one, as of a language model, by shape.
    static func defaultEntries(_ operation: Operation, ts: [Int], seed: UInt64) throws -> [Entry] {
        if operation == .signPacking { return defaultImages(seed: seed) }
        let shapes = [
            ("bert-base feed-forward in", 3072, 768), ("bert-base feed-forward out", 768, 3072),
            ("4096x4096 projection", 4096, 4096),
        ]
        let layers =
            try WeightFile.embeddedLayers()
            + shapes.map { Layer.random(name: $0.0, o: $0.1, k: $0.2, seed: seed) }
        return layers.map { Entry(layer: $0, operation: operation, ts: ts) }
    }

    /// The images between the convolutions of the four stages of ResNets, and one that no cache holds.
    private static func defaultImages(seed: UInt64) -> [Entry] {
        [(64, 3136), (128, 784), (256, 196), (512, 49), (4096, 4096)].map { k, t in
            let layer = Layer.random(name: "pixels", o: 1, k: k, seed: seed)
            return Entry(layer: layer, operation: .signPacking, ts: [t])
        }
    }

    /// The 3x3 convolutions of the four stages of ResNets, and two of one tap.
    static func defaultConvolutions(_ operation: Operation, seed: UInt64) -> [Entry] {
        let stages = [(56, 64), (28, 128), (14, 256), (7, 512)].map { "\($0)x\($0)x\($1)x\($1)x3" }
        return (stages + ["56x56x64x256x1", "14x14x1024x256x1"]).compactMap { Convolution($0) }.map {
            entry($0, name: "resnet", operation, seed: seed)
        }
    }

    static func entry(_ convolution: Convolution, name: String, _ operation: Operation, seed: UInt64) -> Entry {
        let layer = Layer.random(name: name, convolution, seed: seed)
        return Entry(layer: layer, operation: operation, ts: [convolution.outputPixels])
    }

    /// Entries for the lines of a file, or others like them. Products of the same name, o, k and count that follow each
    /// other share a layer. Convolutions take the form of the operation that is for them.
    static func entries(_ lines: [ShapeFile.Line], _ operation: Operation, seed: UInt64) throws -> [Entry] {
        var entries: [Entry] = []
        for line in lines {
            switch line.work {
            case .convolution(let convolution):
                guard let operation = operation.ofConvolution else {
                    throw ToolError("\(operation.rawValue) is for products, and \(line.name) is a convolution")
                }
                var entry = entry(convolution, name: line.name, operation, seed: seed)
                entry.count = line.count
                entries.append(entry)
            case .product(let shape):
                if let last = entries.last, last.takes(line.name, shape, count: line.count) {
                    entries[entries.count - 1].ts.append(shape.t)
                } else {
                    let layer = Layer.random(name: line.name, o: shape.o, k: shape.k, seed: seed)
                    entries.append(
                        Entry(layer: layer, operation: operation.ofProduct, ts: [shape.t], count: line.count))
                }
            }
        }
        return entries
    }
}

extension BenchPlan.Entry {
    /// Whether a line of a file is this product with another T.
    fileprivate func takes(_ name: String, _ shape: Shape, count: Int) -> Bool {
        layer.convolution == nil && layer.name == name && (layer.o, layer.k) == (shape.o, shape.k)
            && self.count == count
    }
}
