/// Reads the few kinds of Python literal that the header of an `.npy` file of plain numbers has.
///
/// Every method skips blanks first. Nothing nests, so that hostile text cannot exhaust the stack.
struct PythonLiteralScanner {
    private let text: [UInt8]
    private var position = 0

    init(_ text: [UInt8]) {
        self.text = text
    }

    /// Moves past `character` if it is next, and tells whether it was.
    mutating func accept(_ character: Unicode.Scalar) -> Bool {
        skipBlanks()
        guard next == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    /// Moves past `character`, which must be next.
    mutating func expect(_ character: Unicode.Scalar) throws(FileError) {
        guard accept(character) else { throw unexpected("'\(character)'") }
    }

    /// Makes sure that only blanks are left.
    mutating func expectEnd() throws(FileError) {
        skipBlanks()
        guard next == nil else { throw unexpected("the end of the header") }
    }

    /// A string of printable ASCII characters in single or double quotation marks, without escapes.
    mutating func string() throws(FileError) -> String {
        skipBlanks()
        guard let mark = next, mark == UInt8(ascii: "'") || mark == UInt8(ascii: "\"") else {
            throw unexpected("a string")
        }
        position += 1
        let start = position
        while next != mark {
            guard let byte = next, (0x20...0x7E).contains(byte), byte != UInt8(ascii: "\\") else {
                throw unexpected("the end of the string")
            }
            position += 1
        }
        defer { position += 1 }
        return String(decoding: text[start..<position], as: UTF8.self)
    }

    /// `True` or `False`.
    mutating func boolean() throws(FileError) -> Bool {
        skipBlanks()
        for (word, value) in [("True", true), ("False", false)] where text[position...].starts(with: word.utf8) {
            position += word.utf8.count
            return value
        }
        throw unexpected("True or False")
    }

    /// A tuple of integers. With one integer the comma is required: without it Python sees a number in parentheses.
    mutating func integerTuple() throws(FileError) -> [Int] {
        try expect("(")
        var integers: [Int] = []
        while !accept(")") {
            integers.append(try integer())
            if !accept(",") {
                guard integers.count > 1 else { throw unexpected("','") }
                try expect(")")
                break
            }
        }
        return integers
    }

    /// A decimal integer with an optional minus sign. Fails where it does not fit in an `Int`.
    private mutating func integer() throws(FileError) -> Int {
        let isNegative = accept("-")
        let start = position
        var value = 0
        while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
            let (tens, tensOverflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, sumOverflow) = tens.addingReportingOverflow(Int(byte - UInt8(ascii: "0")))
            guard !tensOverflow, !sumOverflow else { throw .numpyDimensionTooLarge(offset: start) }
            value = sum
            position += 1
        }
        guard position > start else { throw unexpected("an integer") }
        return isNegative ? -value : value
    }

    private var next: UInt8? {
        position < text.count ? text[position] : nil
    }

    private mutating func skipBlanks() {
        while let byte = next, byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\n") {
            position += 1
        }
    }

    private func unexpected(_ expected: String) -> FileError {
        let found = next.map { "byte 0x" + String($0, radix: 16) } ?? "the end of the header"
        return .numpyInvalidHeader(offset: position, found: found, expected: expected)
    }
}
