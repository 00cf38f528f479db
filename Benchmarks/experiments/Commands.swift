import ArgumentParser
import Foundation
import Halftone

/// What both commands take.
struct CommonOptions: ParsableArguments {
    @Option(help: "How often each method trains, from other weights and in another order.")
    var seeds = 5

    @Option(help: "Passes over the training images. (default: 15, of the transformer 30)")
    var epochs: Int?

    @Option(help: "A folder with the four files of MNIST or a relative. (default: the digits that come with this)")
    var data: String?

    @Flag(help: "Two epochs of few images with one seed, to see that it runs.")
    var quick = false

    @Option(help: "Also write everything to this file.")
    var json: String?

    @Option(help: "Also write a line for each training to this file.")
    var csv: String?

    @Option(help: "Also draw the accuracies into this file, SVG.")
    var plot: String?

    func validate() throws {
        guard seeds >= 1 else { throw ValidationError("--seeds is at least 1") }
        guard epochs ?? 1 >= 1 else { throw ValidationError("--epochs is at least 1") }
    }
}

struct TrainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train", abstract: "Trains one network by some methods.")

    @Option(help: "One of \(Architecture.allCases.map(\.rawValue).joined(separator: ", ")).")
    var network = Architecture.cnn

    @Option(
        help: "A list of \(Method.Kind.allCases.map(\.rawValue).joined(separator: ", ")).", transform: methodList)
    var method: [Method.Kind] = [.dense, .vanilla]

    @Option(help: "A list of patterns, for N:M methods.", transform: patternList)
    var pattern: [NMPattern] = []

    @Option(help: "A list of strengths, for binary-mst.", transform: strengthList)
    var strength: [Float] = standardStrengths

    @OptionGroup var common: CommonOptions

    func run() throws {
        try runExperiments(
            experiments(network, method, pattern, strength, common), common)
    }
}

struct AllCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "all", abstract: "Trains all networks by all methods."
    )

    @OptionGroup var common: CommonOptions

    func run() throws {
        let patterns = try [NMPattern(2, of: 4), NMPattern(1, of: 4), NMPattern(1, of: 16)]
        let all = Architecture.allCases.flatMap { network in
            experiments(network, Method.Kind.allCases, patterns, standardStrengths, common)
        }
        try runExperiments(all, common)
    }
}

extension Architecture: ExpressibleByArgument {}

let standardStrengths: [Float] = [3e-5, 1e-4, 3e-4]

private func methodList(_ text: String) throws -> [Method.Kind] {
    try text.split(separator: ",").map { name in
        guard let kind = Method.Kind(rawValue: String(name)) else {
            throw ValidationError("no method is called \(name)")
        }
        return kind
    }
}

private func patternList(_ text: String) throws -> [NMPattern] {
    try text.split(separator: ",").map { name in
        guard let pattern = NMPattern(String(name)) else { throw ValidationError("\(name) is no pattern") }
        return pattern
    }
}

private func strengthList(_ text: String) throws -> [Float] {
    try text.split(separator: ",").map { name in
        guard let strength = Float(name), strength >= 0 else { throw ValidationError("\(name) is no strength") }
        return strength
    }
}

/// N:M methods once for each pattern, the regulariser once for each strength, all others once.
private func experiments(
    _ network: Architecture, _ kinds: [Method.Kind], _ patterns: [NMPattern], _ strengths: [Float],
    _ options: CommonOptions
) -> [Experiment] {
    kinds.filter(network.knows).flatMap { kind -> [Experiment] in
        let schedule = Schedule.standard(network, kind, options)
        let methods = kind == .mst ? strengths.map { Method(kind: kind, strength: $0) } : [Method(kind: kind)]
        let patterns = kind.isSparse ? patterns.map(Optional.some) : [nil]
        return methods.flatMap { method in
            patterns.map {
                Experiment(architecture: network, method: method, pattern: $0, schedule: schedule)
            }
        }
    }
}

extension Schedule {
    /// SGD for layers of real weights with batch normalisations, AdamW for transformers and latent weights of signs.
    fileprivate static func standard(_ network: Architecture, _ kind: Method.Kind, _ options: CommonOptions) -> Schedule
    {
        var schedule = Schedule(
            epochs: options.epochs ?? (options.quick ? 2 : network == .transformer ? 30 : 15), batch: 50, rate: 0.1,
            optimizer: .sgd,
            weightDecay: 5e-4, searchInterval: 20)
        if kind.isBinary {
            (schedule.optimizer, schedule.rate, schedule.weightDecay) = (.adamW, 0.01, 0)
        } else if network == .transformer {
            (schedule.optimizer, schedule.rate, schedule.weightDecay) = (.adamW, 0.003, 0.01)
        }
        return schedule
    }
}

/// Trains, prints the tables and writes the files that are asked for.
private func runExperiments(_ experiments: [Experiment], _ options: CommonOptions) throws {
    // The gradients of weights are to come from this library's kernels: from some BLAS they would not be the same twice.
    setenv("HALFTONE_BLAS", "none", 0)
    for path in [options.json, options.csv, options.plot] { try checkWritable(path) }
    var dataset = try Dataset(folder: options.data)
    if options.quick { dataset = dataset.shortened }
    let seeds = options.quick ? 1 : options.seeds
    let progress = Progress(total: experiments.reduce(0) { $0 + $1.schedule.epochs * seeds })
    var (summaries, done): ([Summary], Int) = ([], 0)
    for experiment in experiments {
        summaries.append(
            try experiment.run(dataset, seeds: seeds) { progress.show(done: done + $0, experiment.name) })
        done += experiment.schedule.epochs * seeds
    }
    progress.clear()
    summaries = summaries.compared()
    print(summaries.accuracyTable)
    print()
    print(summaries.timeTable)
    if let path = options.json { try Report(dataset, summaries).writeJSON(to: path) }
    if let path = options.csv { try summaries.csv.write(toFile: path, atomically: true, encoding: .utf8) }
    if let path = options.plot {
        try AccuracyPlot(summaries).svg.write(toFile: path, atomically: true, encoding: .utf8)
    }
}

extension Dataset {
    /// Enough to see that training runs.
    fileprivate var shortened: Dataset {
        Dataset(name: name, training: training[0..<min(200, training.count)], test: test[0..<min(100, test.count)])
    }
}
