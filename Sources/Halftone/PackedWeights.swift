import CHalftone

/// Weights in their packed form.
///
/// Packing happens once; the packed form is the same on every machine, can be written to a file and be mapped back. A
/// value is immutable and cheap to copy: copies share the packed bytes.
public protocol PackedWeights: Sendable {
    /// The size of the packed form in bytes, its header included.
    var packedByteCount: Int { get }

    /// Checks the whole packed form, not only its header as the initialisers do: worth it for bytes of unknown origin.
    /// Products never read outside the packed bytes, whatever these hold; their results can still be wrong.
    ///
    /// - Throws: ``HalftoneError/blobCorrupt`` where the contents are not what packing writes.
    func verify() throws(HalftoneError)

    /// Calls `body` with the packed form: ``packedByteCount`` bytes, 64-byte aligned, that begin with a header and hold
    /// no addresses.
    func withPackedBytes<Result, Failure: Error>(
        _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result
}

/// Weights under an N:M pattern in their packed form.
public protocol NMPackedWeights: PackedWeights {
    /// The pattern that the weights were packed under. A single tap shares it with none.
    var pattern: NMPattern { get }
    /// The type of the weights.
    var weightType: DataType { get }
}

extension PackedWeights {
    /// Writes the packed form to a file, replacing one that is there. The bytes go to a temporary file in the same
    /// folder, which then takes the name, so that the file is never half written.
    ///
    /// - Throws: ``HalftoneError/file(path:reason:)``; then a file that was there is as it was.
    public func write(to path: String) throws(HalftoneError) {
        try withPackedBytes { bytes throws(HalftoneError) in
            try bytes.withUnsafeBytes { bytes throws(HalftoneError) in try File.replace(path, with: bytes) }
        }
    }
}
