import CHalftone

/// Weights of any type, and their entries by the reference, in guarded memory of exactly their size.
final class Weights {
    let o, k: Int
    let pattern: Pattern
    let sharedRows: Int
    let dense: Matrix
    let mask: Guarded<UInt8>?
    let maskStride: Int
    let entries: [Reference.Entries]

    var number: Number { dense.number }

    /// With `masked`, dense weights under a mask of up to n columns of each group; else weights that obey the pattern.
    /// A row of a set that shares its pattern may leave some of the set's columns to the others.
    init(
        o: Int, k: Int, pattern: Pattern, number: Number = .f32, data: Data = .plain, gap: Int = 0,
        masked: Bool = false, maskGap: Int = 0, sharedRows: Int = 1, _ g: inout Generator
    ) {
        (self.o, self.k, self.pattern, self.sharedRows) = (o, k, pattern, sharedRows)
        dense = Matrix(o, k, number, gap: gap, filler: 0xff)
        maskStride = (k + 7) / 8 + maskGap
        mask = masked ? Guarded(count: o > 0 && k > 0 ? (o - 1) * maskStride + (k + 7) / 8 : 0, repeating: 0xff) : nil
        var entries: [Reference.Entries] = []
        for first in stride(from: 0, to: k > 0 ? o : 0, by: sharedRows) {
            let rows = first..<min(o, first + sharedRows)
            let chosen = Self.choose(k, pattern, &g)
            var own: [[Bool]] = []
            var values: [[Float]] = []
            for row in rows {
                let mine = sharedRows == 1 ? chosen : chosen.map { $0 && !g.coin(4) }
                let line = (0..<k).map { masked || mine[$0] ? number.random(data, &g) : 0 }
                for c in 0..<k { dense.set(row, c, bits: number.bits(line[c])) }
                if let mask {
                    let bits = mask.start + row * maskStride
                    for byte in 0..<(k + 7) / 8 { bits[byte] = 0 }
                    for c in 0..<k where mine[c] { bits[c / 8] |= 1 << UInt8(c % 8) }
                }
                own.append(masked ? mine : line.map { $0 != 0 })
                values.append(line)
            }
            entries += Reference.entries(values, own: own, masked: masked, n: pattern.n, m: pattern.m)!
        }
        self.entries = k > 0 ? entries : Array(repeating: Reference.Entries(), count: o)
        dense.memory.seal()
        mask?.seal()
    }

    /// Up to n columns of each group: mostly n, at times fewer or none.
    private static func choose(_ k: Int, _ pattern: Pattern, _ g: inout Generator) -> [Bool] {
        var chosen = [Bool](repeating: false, count: k)
        for group in Reference.groups(columns: k, m: pattern.m) {
            var wanted = min(g.coin(6) ? g.below(pattern.n + 1) : pattern.n, group.count)
            for column in group where g.below(group.upperBound - column) < wanted {
                chosen[column] = true
                wanted -= 1
            }
        }
        return chosen
    }

    private func options(threads: CInt = 1) -> ht_options {
        var options = Run(threads: threads).options
        options.shared_rows = CInt(sharedRows)
        return options
    }

    func packedSize() -> Int {
        var size = 0
        var options = options()
        precondition(ht_nm_packed_size(o, k, pattern.n, pattern.m, number.code, &options, &size) == HT_OK)
        return size
    }

    func pack(into packed: Guarded<UInt8>, threads: CInt = 1) -> ht_status {
        var options = options(threads: threads)
        return Calls.pack(
            dense, pattern, mask: mask?.start, mask == nil ? 0 : maskStride, packed.start, packed.count, &options)
    }

    /// The packed blob, read-only.
    func packed(threads: CInt = 1) -> Guarded<UInt8> {
        let packed = Guarded<UInt8>(count: packedSize(), repeating: 0xcd)
        let status = pack(into: packed, threads: threads)
        precondition(status == HT_OK, "packing failed: \(String(cString: ht_status_text(status)))")
        packed.seal()
        return packed
    }
}

/// The C library's functions for weights of each type.
enum Calls {
    static func mask(
        _ w: Matrix, _ p: Pattern, _ mask: UnsafeMutablePointer<UInt8>?, _ stride: Int, _ options: inout ht_options
    ) -> ht_status {
        let (o, k, from) = (w.rows, w.columns, w.memory)
        switch w.number {
        case .f32: return ht_nm_mask_f32(o, k, p.n, p.m, from.typed(), w.stride, mask, stride, &options)
        case .f16: return ht_nm_mask_f16(o, k, p.n, p.m, from.typed(), w.stride, mask, stride, &options)
        case .bf16: return ht_nm_mask_bf16(o, k, p.n, p.m, from.typed(), w.stride, mask, stride, &options)
        case .i8: return ht_nm_mask_i8(o, k, p.n, p.m, from.typed(), w.stride, mask, stride, &options)
        case .u8, .i32: preconditionFailure("no weights")
        }
    }

    static func prune(_ w: Matrix, _ p: Pattern, into pruned: Matrix, _ options: inout ht_options) -> ht_status {
        let (o, k, from, to) = (w.rows, w.columns, w.memory, pruned.memory)
        switch w.number {
        case .f32: return ht_nm_prune_f32(o, k, p.n, p.m, from.typed(), w.stride, to.typed(), pruned.stride, &options)
        case .f16: return ht_nm_prune_f16(o, k, p.n, p.m, from.typed(), w.stride, to.typed(), pruned.stride, &options)
        case .bf16:
            return ht_nm_prune_bf16(o, k, p.n, p.m, from.typed(), w.stride, to.typed(), pruned.stride, &options)
        case .i8: return ht_nm_prune_i8(o, k, p.n, p.m, from.typed(), w.stride, to.typed(), pruned.stride, &options)
        case .u8, .i32: preconditionFailure("no weights")
        }
    }

    static func pack(
        _ w: Matrix, _ p: Pattern, mask: UnsafePointer<UInt8>?, _ stride: Int, _ packed: UnsafeMutableRawPointer?,
        _ size: Int, _ options: inout ht_options
    ) -> ht_status {
        let (o, k, from) = (w.rows, w.columns, w.memory)
        switch w.number {
        case .f32: return ht_nm_pack_f32(o, k, p.n, p.m, from.typed(), w.stride, mask, stride, packed, size, &options)
        case .f16: return ht_nm_pack_f16(o, k, p.n, p.m, from.typed(), w.stride, mask, stride, packed, size, &options)
        case .bf16:
            return ht_nm_pack_bf16(o, k, p.n, p.m, from.typed(), w.stride, mask, stride, packed, size, &options)
        case .i8: return ht_nm_pack_i8(o, k, p.n, p.m, from.typed(), w.stride, mask, stride, packed, size, &options)
        case .u8, .i32: preconditionFailure("no weights")
        }
    }
}
