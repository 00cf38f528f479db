import ArgumentParser
import CHalftone

/// N of M weights kept, written `2:4`; with G rows that share a pattern, `2:4:G`; where all taps of a filter share one,
/// `2:4+taps`.
struct Pattern: Equatable, CustomStringConvertible {
    let n: Int
    let m: Int
    var sharedRows = 1
    var sharesTaps = false

    var description: String {
        "\(n):\(m)" + (sharedRows > 1 ? ":\(sharedRows)" : "") + (sharesTaps ? "+taps" : "")
    }

    /// What pruning and packing need to know of it beside N and M.
    var options: ht_options {
        var options = ht_options()
        options.shared_rows = Int32(sharedRows)
        options.shared_taps = sharesTaps ? 1 : 0
        return options
    }

    init(n: Int, m: Int) {
        self.n = n
        self.m = m
    }

    init(_ text: some StringProtocol) throws {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
        guard parts.count == 2, let n = parts[0], let m = parts[1], 1 <= n, n <= m, m <= 64 else {
            throw ToolError("'\(text)' is no pattern: write N:M with 1 <= N <= M <= 64, such as 2:4")
        }
        self.init(n: n, m: m)
    }

    /// The entries of a row of `k` columns: N of each whole group, all of a last group that is not longer than N.
    func entries(columns k: Int) -> Int {
        k / m * n + min(n, k % m)
    }
}

/// The sizes of a product, written `OxKxT`: T rows of K values times a layer of O outputs.
struct Shape: ExpressibleByArgument, Equatable {
    let o: Int
    let k: Int
    let t: Int

    init(o: Int, k: Int, t: Int) {
        self.o = o
        self.k = k
        self.t = t
    }

    init?(argument: String) {
        let sizes = argument.lowercased().split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
        guard sizes.count == 3, let o = sizes[0], let k = sizes[1], let t = sizes[2] else { return nil }
        guard min(o, k, t) >= 1 else { return nil }
        self.init(o: o, k: k, t: t)
    }
}

/// Whether a call finds its operands in the caches.
enum CacheState: String, ExpressibleByArgument, CaseIterable {
    case warm
    case cold
}

/// The words of a comma-separated list, without blanks round them.
func listItems(_ text: String) -> [String] {
    text.split(separator: ",").map { $0.filter { !$0.isWhitespace } }.filter { !$0.isEmpty }
}

/// The values that the words of an option's list stand for.
func namedValues<Value: RawRepresentable & CaseIterable>(
    _ list: String, option: String
) throws -> [Value] where Value.RawValue == String {
    let words = listItems(list)
    guard !words.isEmpty else { throw ToolError("\(option) names nothing") }
    return try words.map { word in
        guard let value = Value(rawValue: word) else {
            throw ToolError("\(option): there is \(listed(Value.allCases.map(\.rawValue))), not '\(word)'")
        }
        return value
    }
}
