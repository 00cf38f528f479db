import Foundation

/// What `--json` writes.
struct Report: Codable {
    let command: String
    let cpu: String
    let data: String
    let summaries: [Summary]

    init(_ dataset: Dataset, _ summaries: [Summary]) {
        command = (["halftone-experiments"] + CommandLine.arguments.dropFirst()).joined(separator: " ")
        cpu = Self.cpuModel
        data = "\(dataset.name): \(dataset.training.count) for training, \(dataset.test.count) for tests"
        self.summaries = summaries
    }

    func writeJSON(to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        try encoder.encode(self).write(to: URL(fileURLWithPath: path))
    }

    /// As the system names it.
    private static var cpuModel: String {
        let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix("model name") }
        return line?.split(separator: ":").last?.trimmingCharacters(in: .whitespaces) ?? "unknown"
    }
}

extension [Summary] {
    /// A line for each training.
    var csv: String {
        let header =
            "network,method,strength,pattern,seed,accuracy,loss,kept_mass,retained,gradient_gap,spatial_divergence,"
            + "tree_cost,seconds_per_step"
        let lines = flatMap { summary in
            summary.runs.map { run in
                let figures = [
                    run.keptMass, run.retained, run.gradientGap, run.spatialDivergence, run.treeCost,
                    run.secondsPerStep,
                ]
                let names = [
                    summary.network.rawValue, summary.method, summary.strength.map { "\($0)" } ?? "",
                    summary.pattern ?? "", "\(run.seed)", "\(run.accuracy)", "\(run.loss)",
                ]
                return (names + figures.map { $0.map { "\($0)" } ?? "" }).joined(separator: ",")
            }
        }
        return ([header] + lines).joined(separator: "\n") + "\n"
    }
}

/// Throws if a file that is asked for could not be written when its content is there.
func checkWritable(_ path: String?) throws {
    guard let path else { return }
    guard let file = fopen(path, "a") else {
        throw ExperimentError("cannot write \(path): \(String(cString: strerror(errno)))")
    }
    fclose(file)
}
