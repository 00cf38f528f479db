import Foundation

/// What `--json` writes.
struct BenchReport: Codable {
    let machine: Machine
    let cases: [CaseRecord]
    /// Only of a file of shapes.
    let totals: [NetworkTotal]?

    func write(to path: String) throws { try writeJSON(self, to: path) }

    /// The totals as a person reads them.
    static func text(of totals: [NetworkTotal], file: String) -> String {
        let names = totals.flatMap { $0.against.map(\.name) }
            .reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }
        var table = Table(
            columns: [
                .left("dtype"), .left("pattern", width: 7), .right("t"), .left("isa"), .right("ms"),
                .right("dense ms"), .right("x dense"),
            ] + names.flatMap { [.right($0 + " ms"), .right("x " + $0)] } + [.left("doubtful cases")])
        for total in totals {
            var cells = [
                total.dtype, total.pattern, total.t.map { String($0) } ?? "-", total.isa, milliseconds(total.seconds),
                total.denseSeconds.map(milliseconds) ?? "-", total.ratio.map { fixed($0, 2) } ?? "-",
            ]
            for name in names {
                let rival = total.against.first { $0.name == name }
                cells += [rival.map { milliseconds($0.seconds) } ?? "-", rival.map { fixed($0.ratio, 2) } ?? "-"]
            }
            table.add(cells + ["\(total.doubtful) of \(total.cases)"])
        }
        let layers = totals.first?.layers ?? 0
        return "total of \(file), \(layers) layer\(layers == 1 ? "" : "s"), each as often as the network has it; "
            + "dense: of each layer the fastest library\n\(table.text)"
    }
}

/// Writes a report as JSON that people can read too.
func writeJSON(_ report: some Encodable, to path: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
        positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    try encoder.encode(report).write(to: URL(fileURLWithPath: path))
}

/// Throws if a report that is asked for could not be written when its figures are there.
func checkWritable(_ path: String?) throws {
    guard let path else { return }
    guard let file = fopen(path, "a") else {
        throw ToolError("cannot write \(path): \(String(cString: strerror(errno)))")
    }
    fclose(file)
}
