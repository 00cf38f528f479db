import CHalftone
import CHalftoneBench

/// One row of the library's dispatch tables.
struct KernelRow: Codable {
    let op: String
    let isa: String
    let runs: Bool
    let chosen: Bool

    static func all() -> [KernelRow] {
        let count = ht_kernels(nil, 0)
        return [ht_kernel_info](unsafeUninitializedCapacity: count) { buffer, initialized in
            initialized = min(count, ht_kernels(buffer.baseAddress, count))
        }.map {
            KernelRow(
                op: String(cString: $0.op), isa: String(cString: $0.isa), runs: $0.runs != 0, chosen: $0.chosen != 0)
        }
    }

    /// The value that makes a call use this row.
    var isaOption: ht_isa {
        ht_isa(rawValue: ht_isa.RawValue(max(0, ht_isa_named(isa))))
    }

    /// The vectors whose peak this row is compared with.
    var vectors: htb_vectors {
        switch isaOption {
        case HT_ISA_AVX512: HTB_AVX512
        case HT_ISA_AVX2: HTB_AVX2
        default: HTB_PORTABLE
        }
    }

    /// The rows that the user's `--op` and `--isa` leave, `nil` standing for every op and for `unnamed`'s choice.
    ///
    /// Naming an op or ISA that does not exist, or an ISA that does not run here, is an error.
    static func selected(op: String?, isas: [String]?, unnamed: (KernelRow) -> Bool) throws -> [KernelRow] {
        var rows = all().filter { $0.op == Product.op }
        if let op {
            let known = rows.map(\.op)
            rows = rows.filter { $0.op == op }
            guard !rows.isEmpty else { throw ToolError("no op is called '\(op)'; there is \(listed(known))") }
        }
        guard let isas else {
            rows = rows.filter(unnamed)
            guard !rows.isEmpty else {
                throw ToolError("no kernel is chosen; does HALFTONE_ISA name an ISA that runs here?")
            }
            return rows
        }
        return try isas.flatMap { isa in
            let named = rows.filter { $0.isa == isa }
            guard !named.isEmpty else {
                throw ToolError("no kernel for ISA '\(isa)'; there is \(listed(rows.map(\.isa)))")
            }
            guard named.allSatisfy(\.runs) else {
                throw ToolError("ISA '\(isa)' does not run on this machine; it has: \(cpuFeatures)")
            }
            return named
        }
    }
}

/// Each of `words` once, in their order, for a message.
private func listed(_ words: [String]) -> String {
    var seen: [String] = []
    for word in words where !seen.contains(word) { seen.append(word) }
    return seen.joined(separator: ", ")
}

var cpuFeatures: String {
    let features = String(cString: ht_cpu_features())
    return features.isEmpty ? "none that kernels use" : features
}
