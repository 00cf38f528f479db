import CHalftone
import Foundation

/// Tuning files: models of machines, as text.
enum TuningFile {
    /// The model in a file, or without one the built-in model.
    static func machine(path: String?) throws -> ht_machine {
        var machine = ht_machine()
        guard let path else {
            try check(ht_machine_default(&machine), "modelling this machine")
            return machine
        }
        guard let text = FileManager.default.contents(atPath: path) else { throw ToolError("cannot read \(path)") }
        let status = text.withUnsafeBytes { bytes in
            ht_machine_read(bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count, &machine)
        }
        try check(status, "reading \(path)")
        return machine
    }

    static func text(of machine: ht_machine) -> String {
        withUnsafePointer(to: machine) { machine in
            var bytes = [CChar](repeating: 0, count: ht_machine_write(machine, nil, 0) + 1)
            _ = ht_machine_write(machine, &bytes, bytes.count)
            return String(decoding: bytes.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }
}

extension ht_machine {
    /// The row of a product (0: f32, 1: bf16, 2: 8 bits) and an ISA.
    subscript(product: Int, isa: ht_isa) -> ht_machine_row {
        get {
            withUnsafeBytes(of: rows) {
                $0.bindMemory(to: ht_machine_row.self)[product * HT_MACHINE_ISAS + Int(isa.rawValue)]
            }
        }
        set {
            withUnsafeMutableBytes(of: &rows) {
                $0.bindMemory(to: ht_machine_row.self)[product * HT_MACHINE_ISAS + Int(isa.rawValue)] =
                    newValue
            }
        }
    }
}

extension ht_machine_design {
    mutating func set(code: Int, share: Double, extra: Double) {
        withUnsafeMutableBytes(of: &self.share) { $0.bindMemory(to: Double.self)[code] = share }
        withUnsafeMutableBytes(of: &self.extra) { $0.bindMemory(to: Double.self)[code] = extra }
    }
}

extension ht_machine_row {
    /// Weights of an index code prepared in a cycle.
    subscript(preparing code: Int) -> Double {
        get { withUnsafeBytes(of: prepare) { $0.bindMemory(to: Double.self)[code] } }
        set { withUnsafeMutableBytes(of: &prepare) { $0.bindMemory(to: Double.self)[code] = newValue } }
    }
}
