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
}

/// Each of `words` once, in their order, for a message.
func listed(_ words: [String]) -> String {
    var seen: [String] = []
    for word in words where !seen.contains(word) { seen.append(word) }
    return seen.joined(separator: ", ")
}

var cpuFeatures: String {
    let features = String(cString: ht_cpu_features())
    return features.isEmpty ? "none that kernels use" : features
}
