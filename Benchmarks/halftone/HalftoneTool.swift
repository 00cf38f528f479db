import ArgumentParser
import CHalftone

@main
struct HalftoneTool: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "halftone",
        abstract: "Lists, times and checks Halftone's kernels on this machine.",
        version: libraryVersion,
        subcommands: [
            ListCommand.self, BenchCommand.self, VerifyCommand.self, PlanCommand.self, TuneCommand.self,
            MSTCommand.self, TrainingCommand.self,
        ]
    )
}

let libraryVersion = "\(HT_VERSION_MAJOR).\(HT_VERSION_MINOR).\(HT_VERSION_PATCH)"
