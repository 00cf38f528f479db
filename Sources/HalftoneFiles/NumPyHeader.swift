/// The header of an `.npy` file: a Python dictionary with the keys `descr`, `fortran_order` and `shape`.
struct NumPyHeader: Equatable {
    let elementType: ElementType
    let isBigEndian: Bool
    let isFortranOrder: Bool
    let shape: [Int]

    /// - Parameter text: the bytes between the header length and the data.
    init(text: [UInt8]) throws(FileError) {
        var fields = Fields()
        var scanner = PythonLiteralScanner(text)
        try scanner.expect("{")
        while !scanner.accept("}") {
            try fields.scan(from: &scanner)
            if !scanner.accept(",") {
                try scanner.expect("}")
                break
            }
        }
        try scanner.expectEnd()
        try self.init(fields)
    }

    private init(_ fields: Fields) throws(FileError) {
        guard let descr = fields.descr else { throw .numpyMissingKey("descr") }
        guard let isFortranOrder = fields.isFortranOrder else { throw .numpyMissingKey("fortran_order") }
        guard let shape = fields.shape else { throw .numpyMissingKey("shape") }
        (elementType, isBigEndian) = try Self.elementType(descr)
        self.isFortranOrder = isFortranOrder
        self.shape = shape
    }

    private static func elementType(_ descr: String) throws(FileError) -> (ElementType, isBigEndian: Bool) {
        let code = String(descr.dropFirst())
        guard let elementType = ElementType.allCases.first(where: { $0.numpyCode == code }) else {
            throw .numpyUnsupportedElementType(descr)
        }
        switch descr.first {
        case "<": return (elementType, false)
        case ">": return (elementType, true)
        // Only a type of one byte can be without byte order.
        case "|" where elementType.byteWidth == 1: return (elementType, false)
        default: throw .numpyUnsupportedElementType(descr)
        }
    }
}

/// The values found so far while the dictionary is read, in whatever order it has them.
private struct Fields {
    var descr: String?
    var isFortranOrder: Bool?
    var shape: [Int]?

    /// Reads one key and its value.
    mutating func scan(from scanner: inout PythonLiteralScanner) throws(FileError) {
        let key = try scanner.string()
        try scanner.expect(":")
        switch key {
        case "descr": try Self.set(&descr, key) { () throws(FileError) in try Self.typeName(from: &scanner) }
        case "fortran_order": try Self.set(&isFortranOrder, key) { () throws(FileError) in try scanner.boolean() }
        case "shape": try Self.set(&shape, key) { () throws(FileError) in try scanner.integerTuple() }
        default: throw .numpyUnknownKey(key)
        }
    }

    /// A list in place of a string describes records, which are valid but not what this reader is for.
    private static func typeName(from scanner: inout PythonLiteralScanner) throws(FileError) -> String {
        guard !scanner.accept("[") else { throw .numpyUnsupportedElementType("[...]") }
        return try scanner.string()
    }

    private static func set<Value>(
        _ field: inout Value?, _ key: String, _ read: () throws(FileError) -> Value
    ) throws(FileError) {
        guard field == nil else { throw .numpyDuplicateKey(key) }
        field = try read()
    }
}
