import ArgumentParser

@main
struct ExperimentsTool: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "halftone-experiments",
        abstract: "Trains small networks by several methods and compares them.",
        subcommands: [TrainCommand.self, AllCommand.self]
    )
}
