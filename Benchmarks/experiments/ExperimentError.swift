/// Something the user can put right, as one sentence.
struct ExperimentError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
