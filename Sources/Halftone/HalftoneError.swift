import CHalftone

/// What a call of this library can throw. A call that throws has written nothing.
public enum HalftoneError: Error, Hashable, Sendable {
    /// A pointer that the C library needs is null.
    case null
    /// The pattern is not 1 ≤ N ≤ M ≤ 64, or rows share one otherwise than by 1, 2, 4 or 8.
    case pattern
    /// A row stride is shorter than its row.
    case stride
    /// A pointer is not aligned to its element size, or a blob or scratch not to 64 bytes.
    case alignment
    /// A size in bytes is too large to be expressed.
    case overflow
    /// A group of M weights holds more than N entries.
    case notSparse
    /// A packed or scratch buffer is too small.
    case bufferSize
    /// The number of threads is negative or too large to be expressed.
    case threads
    /// A window is outside the output or not on a boundary of 16 columns.
    case window
    /// The instruction set is unknown or does not run on this machine.
    case isa
    /// The epilogue asks for what the product does not do, or for nonsense.
    case epilogue
    /// There is not enough memory.
    case memory
    /// The packed blob is shorter than it says.
    case blobTruncated
    /// The bytes are no Halftone blob, or one of another operation.
    case blobForeign
    /// The packed blob has a version or layout that this build does not know.
    case blobVersion
    /// The packed blob contradicts itself.
    case blobCorrupt
    /// The packed blob holds weights of another shape than the call says.
    case blobShape
    /// The packed blob holds weights of a type that the operation does not take.
    case blobType
    /// The tuning data is malformed, of another version, or contradicts itself.
    case tuning
    /// The convolution has no taps, its groups do not divide its channels, or its operation has no such padding.
    case convolution
    /// The convolution is depthwise: N:M weights need more than one channel in a group.
    case depthwise
    /// Not a permutation of the output channels, or one that leaves a group of channels.
    case permutation
    /// The gradient estimator has parameters out of their range.
    case estimator
    /// The design of binary kernels is unknown, or packing has no tree for it.
    case design
    /// A row's parent is no row, rows are computed from each other in a circle, or a row's cluster is out of range.
    case tree
    /// A parameter of an optimizer is out of its range.
    case optimizer
    /// A status of the C library that this module has no case for.
    case unknown(status: Int)
    /// The sizes given do not fit the operands; the text has the numbers.
    case shape(String)
    /// A file could not be read or written; the reason is the system's.
    case file(path: String, reason: String)
}

extension HalftoneError: CustomStringConvertible {
    /// One sentence for people.
    public var description: String {
        switch self {
        case .shape(let text): text
        case .file(let path, let reason): "\(path): \(reason)"
        case .unknown(let status): "unknown status \(status)"
        default: Self.statuses.first { $0.error == self }.map { String(cString: ht_status_text($0.status)) } ?? ""
        }
    }
}

extension HalftoneError {
    private static let statuses: [(status: ht_status, error: HalftoneError)] = [
        (HT_ERROR_NULL, .null),
        (HT_ERROR_PATTERN, .pattern),
        (HT_ERROR_STRIDE, .stride),
        (HT_ERROR_ALIGNMENT, .alignment),
        (HT_ERROR_OVERFLOW, .overflow),
        (HT_ERROR_NOT_SPARSE, .notSparse),
        (HT_ERROR_BUFFER_SIZE, .bufferSize),
        (HT_ERROR_THREADS, .threads),
        (HT_ERROR_WINDOW, .window),
        (HT_ERROR_ISA, .isa),
        (HT_ERROR_EPILOGUE, .epilogue),
        (HT_ERROR_MEMORY, .memory),
        (HT_ERROR_BLOB_TRUNCATED, .blobTruncated),
        (HT_ERROR_BLOB_FOREIGN, .blobForeign),
        (HT_ERROR_BLOB_VERSION, .blobVersion),
        (HT_ERROR_BLOB_CORRUPT, .blobCorrupt),
        (HT_ERROR_BLOB_SHAPE, .blobShape),
        (HT_ERROR_BLOB_DTYPE, .blobType),
        (HT_ERROR_TUNING, .tuning),
        (HT_ERROR_CONV, .convolution),
        (HT_ERROR_DEPTHWISE, .depthwise),
        (HT_ERROR_PERMUTATION, .permutation),
        (HT_ERROR_ESTIMATOR, .estimator),
        (HT_ERROR_DESIGN, .design),
        (HT_ERROR_TREE, .tree),
        (HT_ERROR_OPTIMIZER, .optimizer),
    ]

    /// The case that stands for a status of the C library; nil for `HT_OK`.
    init?(_ status: ht_status) {
        if status == HT_OK { return nil }
        self = Self.statuses.first { $0.status == status }?.error ?? .unknown(status: Int(status.rawValue))
    }

    /// Throws unless the status is `HT_OK`.
    static func check(_ status: ht_status) throws(HalftoneError) {
        if let error = HalftoneError(status) { throw error }
    }
}
