import Foundation

/// A table of Markdown, its columns aligned for those who read the source.
func markdownTable(_ header: [String], _ rows: [[String]]) -> String {
    let widths = header.indices.map { column in ([header] + rows).map { $0[column].count }.max() ?? 0 }
    func line(_ cells: [String]) -> String {
        let padded = zip(cells, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
        return "| " + padded.joined(separator: " | ") + " |"
    }
    let rule = "|" + widths.map { String(repeating: "-", count: $0 + 2) }.joined(separator: "|") + "|"
    return ([line(header), rule] + rows.map(line)).joined(separator: "\n")
}

func fixed(_ value: Double, _ decimals: Int) -> String { String(format: "%.\(decimals)f", value) }

private func optional(_ value: Double?, _ decimals: Int) -> String { value.map { fixed($0, decimals) } ?? "-" }

extension [Summary] {
    /// What the methods reach.
    var accuracyTable: String {
        let header = [
            "network", "method", "pattern", "accuracy %", "difference, 95 % interval", "to", "kept mass", "retained",
            "gradient gap", "spatial", "tree cost",
        ]
        return markdownTable(header, map(\.accuracyCells))
    }

    /// What a step takes, in microseconds.
    var timeTable: String {
        let header = ["network", "method", "pattern", "us/step", "of dense"] + Phase.allCases.map(\.rawValue)
        return markdownTable(header, map(\.timeCells))
    }
}

extension Summary {
    fileprivate var accuracyCells: [String] {
        let percent = fixed(accuracy.mean * 100, 2) + (accuracy.deviation.map { " ± " + fixed($0 * 100, 2) } ?? "")
        let gain = difference.map { difference in
            String(format: "%+.2f", difference.mean * 100)
                + (difference.halfInterval.map { " ± " + fixed($0 * 100, 2) } ?? "")
        }
        return [
            network.rawValue, name, pattern ?? "-", percent, gain ?? "-", baseline ?? "-",
            optional(mean(\.keptMass), 3), optional(mean(\.retained), 3), optional(mean(\.gradientGap), 3),
            optional(mean(\.spatialDivergence), 3), optional(mean(\.treeCost), 3),
        ]
    }

    fileprivate var timeCells: [String] {
        let phases = Phase.allCases.map { phase in
            fixed(median(runs.map { $0.phases[phase.rawValue] ?? 0 }) * 1e6, 0)
        }
        return [network.rawValue, name, pattern ?? "-", fixed(secondsPerStep * 1e6, 0), optional(timeOfDense, 2)]
            + phases
    }
}
