import ArgumentParser
import CHalftone
import Foundation

struct TuneCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tune",
        abstract: "Measures this machine and writes the tuning file that plans can use.",
        discussion: """
            Times memory, caches and every kernel row that runs here, fits the model of Docs/Planning.md to it, and \
            prints the tuning file. Nothing else should run meanwhile.
            """
    )

    @Option(help: "Write the tuning file here instead of printing it.")
    var output: String?

    @Option(help: "Only these ISAs, separated by commas; others keep the figures they start with.")
    var isa: String?

    @Option(help: "Start with this tuning file instead of the built-in model.")
    var tuning: String?

    @Option(help: "How long each product is timed, in seconds; three calls at least.")
    var seconds = 0.03

    func validate() throws {
        guard seconds > 0, seconds.isFinite else { throw ValidationError("--seconds is above 0") }
    }

    func run() throws {
        var tuner = Tuner(
            machine: try TuningFile.machine(path: tuning), seconds: seconds, isas: isa.map { listItems($0) })
        try tuner.run()
        let text = TuningFile.text(of: tuner.machine)
        guard let output else { return print(text, terminator: "") }
        guard FileManager.default.createFile(atPath: output, contents: Data(text.utf8)) else {
            throw ToolError("cannot write \(output)")
        }
    }
}
