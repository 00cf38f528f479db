import CHalftone

/// Packed bytes: one blob, or one for each group of a convolution's channels, one behind the other and all alike.
struct NMBlobs: Sendable {
    var bytes: PackedBytes
    /// At least one.
    let count: Int
    /// Of each blob, as its header has them.
    let rows: Int
    let columns: Int
    let pattern: NMPattern
    let weightType: DataType
    private let blobByteCount: Int

    /// Of all blobs; there may be other bytes behind them.
    var byteCount: Int { count * blobByteCount }

    /// Reads the first header. That the other blobs are there and alike is for ``NMOperation/check()`` to say.
    init(_ bytes: PackedBytes, count: Int = 1) throws(HalftoneError) {
        var info = ht_nm_info()
        try HalftoneError.check(ht_nm_packed_info(bytes.start, bytes.count, &info))
        // size_t is an Int here. A header without columns can claim more rows than that, which arrive as negative.
        guard info.o >= 0, info.k >= 0, let type = DataType(info.dtype) else { throw .blobCorrupt }
        self.bytes = bytes
        self.count = count
        rows = info.o
        columns = info.k
        pattern = try NMPattern(
            info.n, of: info.m, sharedRows: Int(info.shared_rows), sharedTaps: info.shared_taps != 0)
        weightType = type
        blobByteCount = info.bytes
    }

    /// Where each blob begins.
    private var starts: some Sequence<UnsafeRawPointer> {
        (0..<count).lazy.map { bytes.start + $0 * blobByteCount }
    }

    func verify() throws(HalftoneError) {
        for start in starts { try HalftoneError.check(ht_nm_packed_check(start, blobByteCount)) }
    }

    /// The dense weights of all blobs, row by row.
    func unpacked<Weight: NMWeight>(as type: Weight.Type, threads: Int) throws(HalftoneError) -> [Weight] {
        guard type.dataType == weightType else { throw .blobType }
        var options = try ht_options(threads: threads)
        let (blobCount, overflow) = rows.multipliedReportingOverflow(by: columns)
        let (total, overflows) = blobCount.multipliedReportingOverflow(by: count)
        guard !overflow, !overflows else { throw .overflow }
        let (status, weights): (ht_status, [Weight]) = array(count: total) { weights in
            for (blob, start) in starts.enumerated() {
                let rest = weights.map { $0 + blob * blobCount * MemoryLayout<Weight>.stride }
                let status = ht_nm_unpack(rows, columns, start, blobByteCount, rest, 0, &options)
                guard status == HT_OK else { return status }
            }
            return HT_OK
        }
        try HalftoneError.check(status)
        return weights
    }

    func withBytes<Result, Failure: Error>(
        _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let all = UnsafeRawBufferPointer(start: bytes.start, count: byteCount)
        return try withExtendedLifetime(bytes) { () throws(Failure) in try body(all.bytes) }
    }
}

extension PackedBytes {
    /// A copy of bytes that may lie anywhere.
    convenience init(copying bytes: RawSpan) throws(HalftoneError) {
        try self.init(count: bytes.byteCount) { copy throws(HalftoneError) in
            bytes.withUnsafeBytes { copy.copyMemory(from: $0) }
        }
    }
}
