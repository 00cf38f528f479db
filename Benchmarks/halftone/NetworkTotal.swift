/// What all layers of a file of shapes take together, each as often as the network has it: one total for each dtype,
/// pattern and ISA, and for each place in the layers' lists of T.
struct NetworkTotal: Codable {
    let dtype: String
    let pattern: String
    let isa: String
    /// `nil` where the layers have different T, as convolutions do.
    let t: Int?
    /// Of the network, each as often as it is there.
    let layers: Int
    let seconds: Double
    /// The sum over the layers of the fastest comparable dense library, if each layer has one.
    let denseSeconds: Double?
    /// Dense seconds over ours.
    let ratio: Double?
    let against: [Rival]
    /// Measured cases whose verdict is not "ok".
    let doubtful: Int
    let cases: Int

    struct Rival: Codable {
        let name: String
        let seconds: Double
        let ratio: Double
    }

    enum CodingKeys: String, CodingKey {
        case dtype, pattern, isa, t, layers, seconds, ratio, against, doubtful, cases
        case denseSeconds = "dense_seconds"
    }
}

extension NetworkTotal {
    /// The totals of what was done; none where a layer is missing or has another number of T than the others.
    static func all(_ entries: [BenchPlan.Entry], _ done: [BenchRun.Done]) -> [NetworkTotal] {
        guard let places = entries.first?.ts.count, entries.allSatisfy({ $0.ts.count == places }) else { return [] }
        var groups: [(key: [String], cases: [BenchRun.Done])] = []
        for item in done {
            let key = [item.record.dtype, item.record.pattern, item.record.isa, String(item.place)]
            if let index = groups.firstIndex(where: { $0.key == key }) {
                groups[index].cases.append(item)
            } else {
                groups.append((key, [item]))
            }
        }
        return groups.compactMap { $0.cases.count == entries.count ? NetworkTotal(entries, $0.cases) : nil }
    }

    /// One case for each entry.
    private init(_ entries: [BenchPlan.Entry], _ cases: [BenchRun.Done]) {
        func total(_ seconds: (CaseRecord) -> Double?) -> Double? {
            cases.reduce(Double?.some(0)) { sum, item in
                guard let sum, let seconds = seconds(item.record) else { return nil }
                return sum + seconds * Double(entries[item.entry].count)
            }
        }
        let first = cases[0].record
        let seconds = total { $0.secondsMin } ?? 0
        let dense = total { $0.against.filter { $0.isDense && $0.isComparable }.map(\.secondsMin).min() }
        let names = cases.flatMap { $0.record.against.map(\.name) }
        let distinct = names.reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }
        (dtype, pattern, isa) = (first.dtype, first.pattern, first.isa)
        t = cases.allSatisfy { $0.record.t == first.t } ? first.t : nil
        layers = entries.reduce(0) { $0 + $1.count }
        self.seconds = seconds
        denseSeconds = dense
        ratio = dense.map { $0 / seconds }
        against = distinct.compactMap { name in
            total { $0.against.first { $0.name == name }?.secondsMin }
                .map { Rival(name: name, seconds: $0, ratio: $0 / seconds) }
        }
        doubtful = cases.count { $0.record.verdict != "ok" }
        self.cases = cases.count
    }
}
