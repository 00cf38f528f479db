import CHalftone

/// The weights of a random case, seen from its result: a column of the result is made with a line of weights, which
/// has a segment for each tap. Forward a line is a filter; backward it is what an input channel meets of all filters.
struct VerifyWeights {
    let pattern: Pattern
    /// The dense weights, OHWI, with anything at all where a mask leaves them out; values of their type.
    let values: [Float]
    /// Which weights are entries, `nil` for "those that are not zero".
    let mask: [UInt8]?
    /// Backward: place j of the outputs is output permutation[j].
    let permutation: [UInt32]?
    private let layout: VerifyLayout

    struct Entry {
        let tap: Int
        /// Of what goes in.
        let column: Int
        let weight: Float
    }

    init(
        _ problem: Problem, _ pattern: Pattern, type: ht_dtype, style: ValueStyle, permutes: Bool,
        _ random: inout SplitMix
    ) {
        let geometry = problem.geometry
        let permutation = permutes ? Self.permutation(geometry, &random) : nil
        let layout = VerifyLayout(problem, permutation)
        let kept = Self.mask(layout, pattern, &random)
        let masked = random.chance(0.4)
        let k = geometry.filterSize
        values = (0..<geometry.outputs * k).map { index in
            let value = style.value(of: type, &random)
            return masked || layout.isSet(kept, index / max(1, k), index % max(1, k)) ? value : 0
        }
        mask = masked ? kept : nil
        (self.pattern, self.permutation, self.layout) = (pattern, permutation, layout)
    }

    /// The entries of a line by the rule of halftone/nm.h: those of the mask or not zero, here or where the pattern is
    /// shared, and the lowest other places of a group until there are N.
    func entries(line: Int) -> [Entry] {
        var named: [Bool] = []
        return (0..<layout.taps).flatMap { tap in
            if tap == 0 || !pattern.sharesTaps { named = namedPlaces(line, tap) }
            return stride(from: 0, to: layout.length, by: pattern.m).flatMap { start in
                let group = start..<min(start + pattern.m, layout.length)
                var free = min(pattern.n, group.count) - group.count { named[$0] }
                return group.compactMap { place -> Entry? in
                    if !named[place] { free -= 1 }
                    guard named[place] || free >= 0 else { return nil }
                    return Entry(
                        tap: tap, column: layout.inputColumn(line, place),
                        weight: weight(layout.position(line, tap, place)))
                }
            }
        }
    }

    /// Which places of a tap are entries of the line or of one that it shares its pattern with.
    private func namedPlaces(_ line: Int, _ tap: Int) -> [Bool] {
        let lines = layout.sharing(line, pattern)
        let taps = pattern.sharesTaps ? 0..<layout.taps : tap..<tap + 1
        return (0..<layout.length).map { place in
            lines.contains { line in taps.contains { isChosen(layout.position(line, $0, place)) } }
        }
    }

    /// Of an entry; one that only fills its group up has none.
    private func weight(_ at: VerifyLayout.Position) -> Float {
        isChosen(at) ? values[at.row * layout.geometry.filterSize + at.column] : 0
    }

    private func isChosen(_ at: VerifyLayout.Position) -> Bool {
        guard let mask else { return values[at.row * layout.geometry.filterSize + at.column] != 0 }
        return layout.isSet(mask, at.row, at.column)
    }

    private static func permutation(_ geometry: Convolution, _ random: inout SplitMix) -> [UInt32] {
        (0..<geometry.groups).flatMap { group in
            let outputs = group * geometry.groupOutputs..<(group + 1) * geometry.groupOutputs
            return outputs.map { UInt32($0) }.shuffled(using: &random)
        }
    }

    /// At most N bits in each group of M places, fewer in some, none in others; where a pattern is shared, in all of
    /// its lines and taps together.
    private static func mask(_ layout: VerifyLayout, _ pattern: Pattern, _ random: inout SplitMix) -> [UInt8] {
        let rowBytes = (layout.geometry.filterSize + 7) / 8
        var mask = [UInt8](repeating: 0, count: layout.geometry.outputs * rowBytes)
        for first in 0..<layout.lines where layout.sharing(first, pattern).lowerBound == first {
            for firstTap in 0..<(pattern.sharesTaps ? min(1, layout.taps) : layout.taps) {
                let taps = pattern.sharesTaps ? 0..<layout.taps : firstTap..<firstTap + 1
                for start in stride(from: 0, to: layout.length, by: pattern.m) {
                    let width = min(pattern.m, layout.length - start)
                    let count = random.chance(0.8) ? pattern.n : random.int(0...pattern.n)
                    for place in (start..<start + width).shuffled(using: &random).prefix(count) {
                        for line in layout.sharing(first, pattern) {
                            for tap in taps where line == first && tap == firstTap || random.chance(0.8) {
                                let at = layout.position(line, tap, place)
                                mask[at.row * rowBytes + at.column / 8] |= 1 << UInt8(at.column % 8)
                            }
                        }
                    }
                }
            }
        }
        return mask
    }
}

/// Where the weights of a line lie among the filters.
struct VerifyLayout {
    struct Position {
        let row: Int
        let column: Int
    }

    let geometry: Convolution
    let taps: Int
    /// Lines of all groups of channels, of one of them, and the places of a line at a tap.
    let lines: Int
    let groupLines: Int
    let length: Int
    private let isForward: Bool
    private let permutation: [UInt32]?

    init(_ problem: Problem, _ permutation: [UInt32]?) {
        geometry = problem.geometry
        isForward = problem.operation.direction != .backward
        taps = geometry.taps
        lines = isForward ? geometry.outputs : geometry.channels
        groupLines = isForward ? geometry.groupOutputs : geometry.groupChannels
        length = isForward ? geometry.groupChannels : geometry.groupOutputs
        self.permutation = permutation
    }

    func position(_ line: Int, _ tap: Int, _ place: Int) -> Position {
        if isForward { return Position(row: line, column: tap * length + place) }
        return Position(row: inputColumn(line, place), column: tap * groupLines + line % groupLines)
    }

    /// The channel of what goes in that meets a place of a line.
    func inputColumn(_ line: Int, _ place: Int) -> Int {
        let column = line / groupLines * length + place
        return permutation.map { Int($0[column]) } ?? column
    }

    /// The lines that share a line's pattern.
    func sharing(_ line: Int, _ pattern: Pattern) -> Range<Int> {
        let group = line / groupLines * groupLines
        let first = group + (line - group) / pattern.sharedRows * pattern.sharedRows
        return first..<min(group + groupLines, first + pattern.sharedRows)
    }

    func isSet(_ mask: [UInt8], _ row: Int, _ column: Int) -> Bool {
        mask[row * ((geometry.filterSize + 7) / 8) + column / 8] >> (column % 8) & 1 == 1
    }
}
