import Foundation

/// A bar on the terminal behind standard error; silent where that is no terminal.
struct Progress {
    /// `nil` where the end is not known.
    private let total: Int?
    private let isShown = isatty(STDERR_FILENO) != 0

    init(total: Int?) {
        self.total = total
    }

    func show(done: Int, _ label: String) {
        guard isShown else { return }
        guard let total else {
            write("\r\u{1B}[K\(done) \(label)")
            return
        }
        let width = 24
        let filled = total > 0 ? min(width, done * width / total) : 0
        let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: width - filled)
        write("\r\u{1B}[K[\(bar)] \(done)/\(total)  \(label)")
    }

    /// Takes the bar away, so that a line can be printed in its place.
    func clear() {
        guard isShown else { return }
        write("\r\u{1B}[K")
    }

    private func write(_ text: String) {
        FileHandle.standardError.write(Data(text.utf8))
    }
}
