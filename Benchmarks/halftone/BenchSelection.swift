import ArgumentParser
import CHalftone

// What `halftone bench` is to run, from its options.

/// The words for an order of activations.
enum OrderWord: String, ExpressibleByArgument, CaseIterable {
    case rows, features

    var code: ht_order { self == .rows ? HT_ORDER_ROWS : HT_ORDER_FEATURES }
}

extension BenchCommand {
    /// What `--op` names, or what the layers ask for.
    private var operation: Operation { op ?? (conv == nil ? .product : .convolution) }

    func validateSelection() throws {
        let sources = [!shape.isEmpty, conv != nil, shapes != nil, weights != nil].filter { $0 }.count
        guard sources <= 1 else { throw ValidationError("--shape, --conv, --shapes and --weights exclude each other") }
        guard tensor == nil || weights != nil else { throw ValidationError("--tensor needs --weights") }
        let name = operation.rawValue
        guard conv == nil || operation.isConvolution else { throw ValidationError("--conv is not for \(name)") }
        guard !operation.isConvolution || shape.isEmpty && weights == nil else {
            throw ValidationError("\(name) takes --conv or --shapes")
        }
        guard rowsOfX == nil || shape.isEmpty && shapes == nil && !operation.isConvolution else {
            throw ValidationError("--t is part of every shape; it goes with --weights or the default layers")
        }
        guard conv != nil || (dilation, groups, images) == (1, 1, 1) else {
            throw ValidationError("--dilation, --groups and --images need --conv")
        }
        guard !sharedTaps || operation.isConvolution || shapes != nil else {
            throw ValidationError("--shared-taps is for convolutions")
        }
        guard !permute || operation.direction == .backward else {
            throw ValidationError("--permute is for backward operations")
        }
        let isBinary = operation.isBinary
        guard isBinary || design == nil && output == nil && from == nil && padding == .zero else {
            throw ValidationError("--design, --output, --from and --padding are for binary operations")
        }
        guard distance == nil || operation.reusesChannels && weights == nil else {
            throw ValidationError("--distance is for random weights of mst_gemm and mst_conv")
        }
        guard padding == .zero || conv != nil else { throw ValidationError("--padding needs --conv") }
        guard !isBinary || (sharedRows, sharedTaps, xOrder, yOrder) == (1, false, .rows, .rows) else {
            throw ValidationError("\(name) has no patterns, and lies in rows here")
        }
        guard operation != .signPacking || shapes == nil && weights == nil && shape.allSatisfy({ $0.o == 1 }) else {
            throw ValidationError("\(name) takes --shape 1xKxT, T rows of K values")
        }
        guard xOrder == .rows || operation != .signPacking else { throw ValidationError("\(name) takes rows") }
        guard xOrder == .rows || operation != .weightGradient, yOrder == .rows || operation.direction != .gradient
        else {
            throw ValidationError("\(name) has no such order")
        }
    }

    func plan() throws -> BenchPlan {
        let patterns = try listItems(pattern).map { word in
            var pattern = try Pattern(word)
            (pattern.sharedRows, pattern.sharesTaps) = (sharedRows, sharedTaps)
            return pattern
        }
        guard !patterns.isEmpty else { throw ToolError("--pattern names no pattern") }
        let entries = try entries()
        var operations: [Operation] = []
        for entry in entries where !operations.contains(entry.operation) { operations.append(entry.operation) }
        let kinds: [ProductKind] = try namedValues(dtype ?? (operation.isBinary ? "b1" : "f32"), option: "--dtype")
        guard from == nil || kinds == [.b1] else { throw ToolError("--from is for x of signs, b1") }
        let kernels = try Kernel.all(of: operations, kinds, isas: isa.map(listItems)) { $0.chosen }
        return BenchPlan(
            entries: entries, patterns: patterns, kernels: kernels,
            designs: try designs(),
            outputs: try outputs(operations, kinds), packsSigns: from == .f32, permutes: permute,
            orders: Orders(x: xOrder.code, y: yOrder.code),
            skipsSlowCases: shape.isEmpty && conv == nil && shapes == nil && weights == nil)
    }

    /// What `--design` names; only along trees there is that one.
    private func designs() throws -> [BinaryDesign] {
        let named: [BinaryDesign] = try namedValues(
            design ?? (operation.reusesChannels ? "tree" : "auto"), option: "--design")
        guard operation.reusesChannels || !named.contains(.tree) else {
            throw ToolError("--design tree is for mst_gemm and mst_conv")
        }
        return named
    }

    /// What `--distance` names.
    private func distances() throws -> [TreeDistance] {
        let named = try listItems(distance ?? "0.05").map { word in
            guard let distance = TreeDistance(word) else {
                throw ToolError("--distance: '\(word)' is no share of signs, 0 to 1, nor 'random'")
            }
            return distance
        }
        guard !named.isEmpty else { throw ToolError("--distance names nothing") }
        guard named.count == 1 || shapes == nil else { throw ToolError("a network of --shapes has one --distance") }
        return named
    }

    /// What `--output` names, if all of the operations offer it.
    private func outputs(_ operations: [Operation], _ kinds: [ProductKind]) throws -> [BinaryOutput]? {
        guard let output else { return nil }
        let named: [BinaryOutput] = try namedValues(output, option: "--output")
        for operation in operations {
            for kind in kinds {
                let offered = kind.offeredOutputs(operation)
                for output in named where !offered.contains(output.code) {
                    throw ToolError("\(operation.rawValue) of \(kind) gives no \(output)")
                }
            }
        }
        return named
    }

    /// Random weights have trees of their own where the operation goes along some.
    private func entries() throws -> [BenchPlan.Entry] {
        let entries = try namedEntries()
        guard operation.reusesChannels else { return entries }
        let distances = try distances()
        return entries.flatMap { entry in
            entry.layer.isReal ? [entry] : distances.map { entry.alongTrees($0, seed: seed) }
        }
    }

    private func namedEntries() throws -> [BenchPlan.Entry] {
        if let weights {
            let ts = try rowCounts(unnamed: [128])
            return try WeightFile.layers(path: weights, tensor: tensor)
                .map { BenchPlan.Entry(layer: $0, operation: operation, ts: ts) }
        }
        if let shapes { return try BenchPlan.entries(ShapeFile.lines(path: shapes), operation, seed: seed) }
        if let conv { return try BenchPlan.entries(convolutions(conv), operation, seed: seed) }
        if !shape.isEmpty {
            let lines = shape.map { ShapeFile.Line(name: "random weights", work: .product($0)) }
            return try BenchPlan.entries(lines, operation, seed: seed)
        }
        if operation.isConvolution { return BenchPlan.defaultConvolutions(operation, seed: seed) }
        return try BenchPlan.defaultEntries(operation, ts: try rowCounts(unnamed: [1, 128, 512]), seed: seed)
    }

    private func convolutions(_ list: String) throws -> [ShapeFile.Line] {
        let lines = try listItems(list).map { word in
            guard var convolution = Convolution(word, dilation: dilation, groups: groups, images: images) else {
                throw ToolError("--conv: '\(word)' is not HxWxCINxCOUTxKERNEL[xSTRIDE]")
            }
            let (channels, outputs) = (convolution.channels, convolution.outputs)
            guard channels % groups == 0, outputs % groups == 0 else {
                throw ToolError("--groups: \(groups) do not divide the channels of \(word)")
            }
            guard convolution.outputPixels > 0 else { throw ToolError("--conv: \(word) has no pixel") }
            convolution.padding = padding
            return ShapeFile.Line(name: "random filters", work: .convolution(convolution))
        }
        guard !lines.isEmpty else { throw ToolError("--conv names no convolution") }
        return lines
    }

    private func rowCounts(unnamed: [Int]) throws -> [Int] {
        guard let rowsOfX else { return unnamed }
        let counts = try listItems(rowsOfX).map { word in
            guard let count = Int(word), count >= 1 else { throw ToolError("--t: '\(word)' is no number of rows") }
            return count
        }
        guard !counts.isEmpty else { throw ToolError("--t names no number of rows") }
        return counts
    }

    /// Where the user names none, OpenBLAS for products and oneDNN for convolutions, which OpenBLAS has none of.
    func rivalNames(_ plan: BenchPlan) -> [String] {
        guard let against else {
            let operations = plan.operations.filter { $0 != .signPacking }
            return (operations.contains { !$0.isConvolution } ? ["openblas"] : [])
                + (operations.contains { $0.isConvolution } ? ["onednn"] : [])
        }
        let names = listItems(against)
        return names == ["none"] ? [] : names
    }
}
