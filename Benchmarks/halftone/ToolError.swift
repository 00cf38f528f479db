import CHalftone

/// Something the user can put right, as one sentence.
struct ToolError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// Turns a status other than `HT_OK` into an error that says what was being done.
func check(_ status: ht_status, _ action: @autoclosure () -> String) throws {
    guard status != HT_OK else { return }
    throw ToolError("\(action()): \(String(cString: ht_status_text(status)))")
}
