/// What to measure: every layer with every pattern, T and kernel row of every product.
struct BenchPlan {
    struct Entry {
        let layer: Layer
        let ts: [Int]
    }

    let entries: [Entry]
    let patterns: [Pattern]
    let rows: [(kind: ProductKind, row: KernelRow)]
    /// The products of `rows`, in their order.
    var kinds: [ProductKind] {
        var kinds: [ProductKind] = []
        for (kind, _) in rows where !kinds.contains(kind) { kinds.append(kind) }
        return kinds
    }

    /// Cases that would take too long on this machine are left out.
    let skipsSlowCases: Bool

    var caseCount: Int {
        entries.reduce(0) { $0 + $1.ts.count } * patterns.count * rows.count
    }

    /// Layers of real networks: the embedded one of MiniLM with its weights, the feed-forward layers of BERT base and
    /// a large square one, as of a language model, by shape.
    static func defaultEntries(ts: [Int], seed: UInt64) throws -> [Entry] {
        let shapes = [
            ("bert-base feed-forward in", 3072, 768), ("bert-base feed-forward out", 768, 3072),
            ("4096x4096 projection", 4096, 4096),
        ]
        let layers =
            try WeightFile.embeddedLayers()
            + shapes.map { Layer.random(name: $0.0, o: $0.1, k: $0.2, seed: seed) }
        return layers.map { Entry(layer: $0, ts: ts) }
    }

    /// Entries for shapes; those of the same name, o and k that follow each other share a layer.
    static func entries(shapes: [(name: String, shape: Shape)], seed: UInt64) -> [Entry] {
        var entries: [Entry] = []
        for (name, shape) in shapes {
            if let last = entries.last, last.layer.name == name, last.layer.o == shape.o, last.layer.k == shape.k {
                entries[entries.count - 1] = Entry(layer: last.layer, ts: last.ts + [shape.t])
            } else {
                let layer = Layer.random(name: name, o: shape.o, k: shape.k, seed: seed)
                entries.append(Entry(layer: layer, ts: [shape.t]))
            }
        }
        return entries
    }
}
