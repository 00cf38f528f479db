import Foundation

/// Files of the layers of a network, a line each: `name o k t [count]` for a product, `conv name
/// HxWxCINxCOUTxKERNEL[xSTRIDE] [count]` for a convolution, count being how often the network has the layer. What
/// follows a # is a comment.
enum ShapeFile {
    struct Line: Equatable {
        enum Work: Equatable {
            case product(Shape)
            case convolution(Convolution)
        }

        let name: String
        let work: Work
        var count = 1
    }

    static func lines(path: String) throws -> [Line] {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw ToolError("cannot read the shapes in \(path)")
        }
        return try lines(of: text, path: path)
    }

    static func lines(of text: String, path: String) throws -> [Line] {
        var lines: [Line] = []
        for (index, text) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let words = text.prefix { $0 != "#" }.split { $0.isWhitespace }.map(String.init)
            if words.isEmpty { continue }
            guard let line = convolution(words) ?? product(words) else {
                throw ToolError(
                    "\(path), line \(index + 1): expected `name o k t [count]` or "
                        + "`conv name HxWxCINxCOUTxKERNEL[xSTRIDE] [count]`, found `\(text)`")
            }
            lines.append(line)
        }
        guard !lines.isEmpty else { throw ToolError("\(path) has no shapes") }
        return lines
    }

    private static func convolution(_ words: [String]) -> Line? {
        guard words[0] == "conv", 3...4 ~= words.count, let convolution = Convolution(words[2]) else { return nil }
        return count(words.dropFirst(3)).map { Line(name: words[1], work: .convolution(convolution), count: $0) }
    }

    private static func product(_ words: [String]) -> Line? {
        guard 4...5 ~= words.count, let shape = Shape(argument: words[1...3].joined(separator: "x")) else { return nil }
        return count(words.dropFirst(4)).map { Line(name: words[0], work: .product(shape), count: $0) }
    }

    private static func count(_ words: ArraySlice<String>) -> Int? {
        guard let word = words.first else { return 1 }
        return Int(word).flatMap { $0 >= 1 ? $0 : nil }
    }
}
