import Foundation

/// The accuracies as a picture: a line for each method with a light dot for each training, a dark one for their mean and
/// a bar for its interval.
struct AccuracyPlot {
    private let summaries: [Summary]
    /// Of the axis, in percent.
    private let lowest: Double
    private let highest = 100.0

    private static let lineHeight = 18.0
    private static let headHeight = 30.0
    private static let left = 210.0
    private static let width = 460.0

    init(_ summaries: [Summary]) {
        self.summaries = summaries
        let smallest = summaries.flatMap { $0.runs.map(\.accuracy) }.min() ?? 0
        lowest = min(95, (smallest * 20).rounded(.down) * 5)
    }

    var svg: String {
        let networks = Architecture.allCases.filter { network in summaries.contains { $0.network == network } }
        var (body, y): (String, Double) = ("", 10)
        for network in networks { body += block(network, top: &y) }
        let size = "width=\"\(number(Self.left + Self.width + 30))\" height=\"\(number(y + 10))\""
        return """
            <svg xmlns="http://www.w3.org/2000/svg" \(size) font-family="sans-serif" font-size="12">
            <rect width="100%" height="100%" fill="white"/>
            \(body)</svg>

            """
    }

    /// The lines of a network below their axis.
    private func block(_ network: Architecture, top y: inout Double) -> String {
        let lines = summaries.filter { $0.network == network }
        let height = Double(lines.count) * Self.lineHeight
        var body = text(network.rawValue + ", accuracy in %", x: 10, y: y + 14, "font-weight=\"bold\"")
        for percent in stride(from: lowest, through: highest, by: highest - lowest > 30 ? 10 : 5) {
            let bottom = y + Self.headHeight + height
            body += line(x(percent), y + Self.headHeight - 6, x(percent), bottom, "stroke=\"#ddd\"")
            body += text(number(percent), x: x(percent), y: y + Self.headHeight - 10, "text-anchor=\"middle\"")
        }
        y += Self.headHeight
        for summary in lines {
            body += row(summary, y: y + Self.lineHeight / 2)
            y += Self.lineHeight
        }
        y += 16
        return body
    }

    private func row(_ summary: Summary, y: Double) -> String {
        let label = summary.name + (summary.pattern.map { " " + $0 } ?? "")
        var body = text(label, x: Self.left - 12, y: y + 4, "text-anchor=\"end\"")
        for run in summary.runs { body += circle(x(run.accuracy * 100), y, 2.5, "#9bc") }
        let mean = summary.accuracy.mean * 100
        if let half = summary.accuracy.halfInterval.map({ $0 * 100 }) {
            body += line(x(mean - half), y, x(mean + half), y, "stroke=\"#136\" stroke-width=\"1.5\"")
        }
        return body + circle(x(mean), y, 3.5, "#136")
    }

    /// Where a percentage lies; what is out of the axis lies at its end.
    private func x(_ percent: Double) -> Double {
        Self.left + Self.width * (min(highest, max(lowest, percent)) - lowest) / (highest - lowest)
    }
}

private func number(_ value: Double) -> String { String(format: "%g", (value * 10).rounded() / 10) }

private func text(_ content: String, x: Double, y: Double, _ style: String) -> String {
    "<text x=\"\(number(x))\" y=\"\(number(y))\" \(style)>\(content)</text>\n"
}

private func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ style: String) -> String {
    "<line x1=\"\(number(x1))\" y1=\"\(number(y1))\" x2=\"\(number(x2))\" y2=\"\(number(y2))\" \(style)/>\n"
}

private func circle(_ x: Double, _ y: Double, _ radius: Double, _ colour: String) -> String {
    "<circle cx=\"\(number(x))\" cy=\"\(number(y))\" r=\"\(number(radius))\" fill=\"\(colour)\"/>\n"
}
