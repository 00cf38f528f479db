import CHalftone
import Halftone

/// The rows of the library's own list, so that a new kernel is tested without a new line.
enum Kernels {
    static func isas(of op: String, running: Bool = true) -> [ht_isa] {
        Machine.kernels.filter { $0.op == op && $0.runs == running }
            .map { ht_isa(rawValue: .init(ht_isa_named($0.isa))) }
    }

    /// Those of the f32 product that this machine runs.
    static let product = isas(of: "nm_gemm_f32")

    private static let running = Dictionary(
        uniqueKeysWithValues: Set(Types.all.map(\.op)).map { ($0, isas(of: $0)) })

    /// Those of a product of these types that this machine runs.
    static func product(of types: Types) -> [ht_isa] { running[types.op]! }
}

/// How a test asks for a call.
struct Run {
    var isa = HT_ISA_AUTO
    var threads: CInt = 1
    var rows: Range<Int>?
    var columns: Range<Int>?

    var options: ht_options {
        var options = ht_options()
        options.isa = isa
        options.threads = threads
        if let rows { (options.row_begin, options.row_end) = (rows.lowerBound, rows.upperBound) }
        if let columns { (options.column_begin, options.column_end) = (columns.lowerBound, columns.upperBound) }
        return options
    }
}

extension ISA {
    /// Those that have a row of this op which this machine runs.
    static func running(of op: String) -> [ISA] {
        Machine.kernels.filter { $0.op == op && $0.runs }.compactMap { ISA($0.isa) }
    }
}

extension PackedWeights {
    var packedArray: [UInt8] { withPackedBytes { span in span.withUnsafeBytes { Array($0) } } }
}
