import CHalftone
import CHalftoneBench
import Foundation

/// What the figures were measured on.
struct Machine: Codable {
    let cpu: String
    let features: String
    let cores: Int
    let clockHz: Double
    /// Bytes a second that one thread reads from a block that fits in the last-level cache, and from memory.
    let cacheReadRate: Double
    let memoryReadRate: Double
    let threadRuntime: String
    let kernels: [KernelRow]
    let version: String
    let command: String

    enum CodingKeys: String, CodingKey {
        case cpu, features, cores, kernels, version, command
        case clockHz = "clock_hz"
        case cacheReadRate = "cache_read_bytes_per_second"
        case memoryReadRate = "memory_read_bytes_per_second"
        case threadRuntime = "thread_runtime"
    }

    /// Looks, and measures for some tenths of a second.
    static func probed() throws -> Machine {
        let block = try Memory(bytes: memoryBlockBytes)
        return Machine(
            cpu: cpuModel(), features: String(cString: ht_cpu_features()),
            cores: ProcessInfo.processInfo.activeProcessorCount, clockHz: htb_clock(),
            cacheReadRate: readRate(block, bytes: cacheBlockBytes, times: 20),
            memoryReadRate: readRate(block, bytes: memoryBlockBytes, times: 3),
            threadRuntime: String(cString: ht_thread_runtime()), kernels: KernelRow.all(), version: libraryVersion,
            command: CommandLine.arguments.enumerated()
                .map { $0.offset == 0 ? "halftone" : $0.element }.joined(separator: " "))
    }

    /// As the system names it.
    static func cpuModel() -> String {
        let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        let fields = text.split(separator: "\n").lazy.map { $0.split(separator: ":", maxSplits: 1) }
        for field in fields where field.count == 2 && field[0].hasPrefix("model name") {
            return field[1].trimmingCharacters(in: .whitespaces)
        }
        return "unknown"
    }

    var summary: String {
        """
        halftone \(version) on \(cpu), \(cores) cores, clock about \(fixed(clockHz * 1e-9, 2)) GHz, \
        thread runtime \(threadRuntime)
        features: \(features.isEmpty ? "none that kernels use" : features)
        reads \(fixed(cacheReadRate * 1e-9, 0)) GB/s from \(cacheBlockBytes >> 20) MB, \
        \(fixed(memoryReadRate * 1e-9, 0)) GB/s from \(memoryBlockBytes >> 20) MB (one thread)
        """
    }
}

/// Larger than second-level caches and smaller than last-level ones; and larger than those.
private let cacheBlockBytes = 8 << 20
private let memoryBlockBytes = 256 << 20

private func readRate(_ block: Memory, bytes: Int, times: Int) -> Double {
    var best = Double.infinity
    for _ in 0...times {
        let start = htb_seconds()
        _ = htb_read(block.address, bytes)
        best = min(best, htb_seconds() - start)
    }
    return Double(bytes) / best
}
