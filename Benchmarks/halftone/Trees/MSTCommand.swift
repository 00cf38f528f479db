import ArgumentParser
import CHalftone
import CHalftoneBench
import Foundation
import Halftone

struct MSTCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mst",
        abstract: "Shows what trees over the signs of a network's weights save, and measures it.",
        discussion: """
            Every tensor of f32, f16 or bf16 with two dimensions, or with four, filters as PyTorch has them (OIHW), is a \
            layer: its signs make a row for each output, and a tree grows over these. A filter of several groups is \
            looked at as if its outputs saw the same channels.
            """
    )

    @Argument(help: "A safetensors file.")
    var weights: String

    @Option(help: "Only this tensor.")
    var tensor: String?

    @Flag(help: "Outputs may be computed from the negation of others.")
    var complement = false

    @Option(help: "Edges from a root to the farthest output at most. (default: no limit)")
    var maxDepth: Int?

    @Option(help: "So many trees, or as many as there are outputs.")
    var trees = 1

    @Option(help: "About how long each layer is timed.")
    var seconds = 0.5

    @Option(help: "Seed of all random values.")
    var seed: UInt64 = 1

    @Option(help: "Also write everything to this file.")
    var json: String?

    /// Trees take time and memory as the square of their rows.
    private static let mostOutputs = 1 << 14

    var rules: ChannelTree.Rules { ChannelTree.Rules(complement: complement, maxDepth: maxDepth, trees: trees) }

    func validate() throws {
        guard maxDepth ?? 1 >= 1 else { throw ValidationError("--max-depth is at least 1") }
        guard trees >= 1 else { throw ValidationError("--trees is at least 1") }
        guard seconds > 0, seconds.isFinite else { throw ValidationError("--seconds is above 0") }
    }

    func run() throws {
        warnInDebugBuilds()
        let layers = try WeightFile.outputRows(path: weights, tensor: tensor)
        try checkWritable(json)
        guard let row = try Kernel.all(of: [.treeProduct], [.b1], isas: nil, unnamed: \.chosen).first?.row else {
            throw ToolError("no kernel is chosen")
        }
        let machine = try Machine.probed()
        print(machine.summary)
        print("products of bits, T = \(TreeRecord.measuredRows), \(row.isa), 1 thread, warm caches\n")
        let settings = TreeRecord.Settings(rules: rules, row: row, seconds: seconds, seed: seed)
        let records = try records(layers, settings)
        print("\n\(Self.legend)")
        if let json { try writeJSON(TreeReport(machine: machine, layers: records), to: json) }
        if records.contains(where: { $0.verdict.contains("WRONG") }) { throw ExitCode.failure }
    }

    /// Prints each when it is there.
    private func records(_ layers: [Layer], _ settings: TreeRecord.Settings) throws -> [TreeRecord] {
        let table = Self.table(nameWidth: layers.map(\.name.count).max() ?? 0)
        print(table.header)
        _ = htb_pin()
        defer { htb_unpin() }
        return try layers.compactMap { layer in
            guard layer.o <= Self.mostOutputs else {
                print("\(layer.name): left out, for trees over \(layer.o) outputs take too long")
                return nil
            }
            let record = try TreeRecord(layer, settings)
            print(table.line(Self.cells(record)))
            fflush(nil)
            return record
        }
    }
}

/// What `--json` writes.
private struct TreeReport: Codable {
    let machine: Machine
    let layers: [TreeRecord]
}

// MARK: the table

extension MSTCommand {
    private static func table(nameWidth: Int) -> Table {
        Table(columns: [
            .left("layer", width: nameWidth), .right("o x k", width: 10), .right("d/K", width: 5),
            .right("op ratio"), .right("bit ratio"), .right("depth"), .right("packed KB"), .right("bits KB"),
            .right("x tree"), .left("plan", width: 8), .right("x predicted"), .right("x measured"),
            .right("A/A", width: 5), .left("verdict"),
        ])
    }

    private static func cells(_ record: TreeRecord) -> [String] {
        let tree = record.tree
        return [
            record.layer, "\(record.o) x \(record.k)", fixed(tree.meanDistance, 3), fixed(tree.operationRatio, 3),
            fixed(tree.parameterRatio, 2), "\(tree.depth)", fixed(Double(record.packedBytes) / 1024, 1),
            fixed(Double(record.plainBytes) / 1024, 1), fixed(record.treeGain, 2), record.plan.design,
            fixed(record.plan.gain, 2), record.plan.measuredGain.map { fixed($0, 2) } ?? "-",
            fixed(record.aaRatio, 3), record.verdict,
        ]
    }

    private static let legend = """
        d/K         share of its signs in which an output differs from the one it is computed from
        op ratio    additions along the tree over those of all outputs by themselves
        bit ratio   bits of roots, parents and places that differ, over those of all outputs
        packed KB   the packed form, whose direct kernels need the signs as well; bits KB: the signs alone
        x tree      time of the direct design over that along the tree, as timed in turn
        plan        design that the library's model of Zen 5 would pack for
        x predicted time of the direct design over that of the plan, as modelled; x measured: as timed in turn
        A/A         the tree timed against itself: 1 but for noise
        """
}
