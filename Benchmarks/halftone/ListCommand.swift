import ArgumentParser
import CHalftone

struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Shows every kernel, which of them run here and are chosen, and what the machine offers."
    )

    func run() throws {
        var table = Table(columns: [.left("op"), .left("isa"), .left("runs here"), .left("chosen")])
        let rows = KernelRow.all()
        for row in rows {
            table.add([row.op, row.isa, row.runs ? "yes" : "no", row.chosen ? "yes" : ""])
        }
        print(table.text)
        for product in [Operation.product, .binaryProduct] {
            let others = Operation.allCases.filter {
                $0.forwardProduct == product && $0 != product && $0.runsAsProduct(rows)
            }
            guard !others.isEmpty else { continue }
            print("\nkernels of \(product.rawValue) also run \(listed(others.map(\.rawValue)))")
        }
        print("")
        print("cpu       \(Machine.cpuModel())")
        print("features  \(cpuFeatures)")
        print("threads   \(ht_thread_count()) from \(String(cString: ht_thread_runtime()))")
        print("version   \(libraryVersion)")
    }
}
