import ArgumentParser
import CHalftone
import CHalftoneBench

struct PlanCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Says how products will run and how long they will take, and when a dense one would be faster.",
        discussion: """
            Without arguments: layers from 256x256 to 4096x4096 in all the usual patterns, for 1 to 512 rows of x. With \
            --measure every product is timed too, and the last line counts how many predictions were right. \
            Docs/Planning.md explains the model and every column.
            """
    )

    @Option(help: "A layer of O outputs and K inputs, and T rows of x: OxKxT, each at least 1. Repeatable.")
    var shape: [Shape] = []

    @Option(help: "Patterns N:M, separated by commas.")
    var pattern = "2:4,1:4,2:8,1:8,1:16,4:8,3:4"

    @Option(help: "Element types, separated by commas: f32, bf16, u8, i8, f32xbf16 and f32xf16 (x and weights).")
    var dtype = "f32"

    @Option(help: "The best kernels that need no more than this ISA.")
    var isa = "auto"

    @Option(help: "Threads, separated by commas; 0 = all.")
    var threads = "1"

    @Option(help: "A tuning file that `halftone tune` wrote, instead of the built-in model.")
    var tuning: String?

    @Flag(help: "Time the products, operands in the caches, and show the ratio of predicted to measured seconds.")
    var measure = false

    @Option(help: "With --measure, how long a product is timed, in seconds; three calls at least.")
    var seconds = 0.05

    private static let layers = [(256, 256), (768, 768), (3072, 768), (768, 3072), (4096, 4096), (1000, 1024)]
    private static let rowsOfX = [1, 4, 16, 33, 128, 512]

    func validate() throws {
        guard seconds > 0, seconds.isFinite else { throw ValidationError("--seconds is above 0") }
    }

    func run() throws {
        let machine = try TuningFile.machine(path: tuning)
        let cases = try cases()
        var table = table()
        print(table.header)
        var ratios: [Double] = []
        var weights: (item: PlanCase, packed: PlanWeights)?
        if measure, cases.allSatisfy({ $0.threads == 1 }) { _ = htb_pin() }
        for item in cases {
            let plan = try item.plan(machine)
            var cells = cells(item, plan)
            if measure {
                if weights?.item.sharesWeights(with: item) != true { weights = (item, try PlanWeights(item)) }
                guard let packed = weights?.packed else { continue }
                let measured = try PlanProduct(item, packed).seconds(budget: seconds)
                ratios.append(plan.seconds / measured)
                cells += [microseconds(measured), fixed(plan.seconds / measured, 2)]
            }
            table.add(cells)
            print(table.line(cells))
        }
        if measure {
            let close = ratios.filter { 0.75 <= $0 && $0 <= 1.25 }.count
            print("\n\(close) of \(ratios.count) predictions within 25 % of what was measured")
        }
    }

    private func cases() throws -> [PlanCase] {
        let code = ht_isa_named(isa)
        guard code >= 0 else { throw ToolError("'\(isa)' is no ISA") }
        let patterns = try listItems(pattern).map { try Pattern($0) }
        let types = try listItems(dtype).map { try PlanTypes(named: $0) }
        let counts = try listItems(threads).map { word in
            guard let count = Int(word), 0...4096 ~= count else { throw ToolError("--threads is 0 (all) to 4096") }
            return count
        }
        let shapes =
            shape.isEmpty
            ? Self.layers.flatMap { layer in Self.rowsOfX.map { Shape(o: layer.0, k: layer.1, t: $0) } } : shape
        let layers = shapes.reduce(into: [[Shape]]()) { groups, shape in
            if let last = groups.last?.last, (last.o, last.k) == (shape.o, shape.k) {
                groups[groups.count - 1].append(shape)
            } else {
                groups.append([shape])
            }
        }
        return types.flatMap { types in
            layers.flatMap { layer in
                patterns.flatMap { pattern in
                    counts.flatMap { count in
                        layer.map {
                            PlanCase(
                                types: types, shape: $0, pattern: pattern, threads: count,
                                isa: ht_isa(rawValue: ht_isa.RawValue(code)))
                        }
                    }
                }
            }
        }
    }

    private func table() -> Table {
        var columns: [Table.Column] = [
            .left("layer", width: 9), .right("t", width: 3), .left("pattern"), .left("isa", width: 10),
            .left("design", width: 9), .right("block", width: 9), .right("panel"), .right("threads"),
            .right("MB", width: 6), .right("us", width: 8), .right("dense us", width: 8), .left("wins"),
        ]
        if measure { columns += [.right("measured", width: 8), .right("ratio", width: 5)] }
        return Table(columns: columns)
    }

    private func cells(_ item: PlanCase, _ plan: ht_plan) -> [String] {
        [
            "\(item.shape.o)x\(item.shape.k)", "\(item.shape.t)", item.pattern.description,
            String(cString: ht_isa_name(plan.isa)), String(cString: ht_nm_design_name(plan.design)),
            plan.design == HT_NM_DESIGN_REFERENCE ? "" : "\(plan.rows)x\(plan.columns)",
            plan.design == HT_NM_DESIGN_REFERENCE ? "" : "\(plan.panel)", "\(plan.threads)",
            fixed(plan.bytes * 1e-6, 2), microseconds(plan.seconds), microseconds(plan.dense_seconds),
            plan.dense_wins != 0 ? "dense" : "",
        ]
    }
}
