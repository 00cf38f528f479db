import CHalftone

/// Weights, and their entries by the reference, in guarded memory of exactly their size.
final class Weights {
    let o, k: Int
    let pattern: Pattern
    let stride: Int  // elements
    let dense: Guarded<Float>
    let mask: Guarded<UInt8>?
    let maskStride: Int
    let entries: [Reference.Entries]

    /// With `masked`, dense weights under a mask of up to n columns of each group; else weights that obey the pattern.
    init(
        o: Int, k: Int, pattern: Pattern, data: Data = .plain, gap: Int = 0, masked: Bool = false, maskGap: Int = 0,
        _ g: inout Generator
    ) {
        self.o = o
        self.k = k
        self.pattern = pattern
        stride = k + gap
        maskStride = (k + 7) / 8 + maskGap
        dense = Guarded(count: o > 0 && k > 0 ? (o - 1) * stride + k : 0, repeating: .nan)
        mask = masked ? Guarded(count: o > 0 && k > 0 ? (o - 1) * maskStride + (k + 7) / 8 : 0, repeating: 0xff) : nil
        var entries: [Reference.Entries] = []
        for row in 0..<(k > 0 ? o : 0) {
            let w = dense.start + row * stride
            let chosen = Self.choose(k, pattern, &g)
            for c in 0..<k { w[c] = masked || chosen[c] ? data.value(&g) : 0 }
            if let mask {
                let bits = mask.start + row * maskStride
                for byte in 0..<(k + 7) / 8 { bits[byte] = 0 }
                for c in 0..<k where chosen[c] { bits[c / 8] |= 1 << UInt8(c % 8) }
            }
            entries.append(
                Reference.entries(w, columns: k, n: pattern.n, m: pattern.m, chosen: masked ? chosen : nil)!)
        }
        self.entries = k > 0 ? entries : Array(repeating: Reference.Entries(), count: o)
        dense.seal()
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

    func packedSize() -> Int {
        var size = 0
        precondition(ht_nm_packed_size(o, k, pattern.n, pattern.m, HT_DTYPE_F32, nil, &size) == HT_OK)
        return size
    }

    func pack(into packed: Guarded<UInt8>, threads: CInt = 1) -> ht_status {
        var options = Run(threads: threads).options
        return ht_nm_pack_f32(
            o, k, pattern.n, pattern.m, dense.start, stride * 4, mask?.start, mask == nil ? 0 : maskStride,
            packed.start,
            packed.count, &options)
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
