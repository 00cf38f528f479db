import CHalftone

/// A type of numbers that signs are taken of: `Float`, `Float16`, ``BFloat16`` or `Int8`.
public protocol SignSource: KernelNumber {
    /// The type of what they are compared with.
    associatedtype Threshold: KernelNumber
}

extension Float: SignSource {
    /// `Float`.
    public typealias Threshold = Float
}

extension Float16: SignSource {
    /// `Float`.
    public typealias Threshold = Float
}

extension BFloat16: SignSource {
    /// `Float`.
    public typealias Threshold = Float
}

extension Int8: SignSource {
    /// `Int32`.
    public typealias Threshold = Int32
}

extension SignMatrix {
    /// The signs of numbers: -1 where x < threshold, +1 elsewhere and where either is a NaN.
    ///
    /// - Parameters:
    ///   - x: `rows` x `columns` values, row-major.
    ///   - rowStride: elements from one row to the next; nil for rows without a gap.
    ///   - thresholds: one for each column; nil for 0.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers.
    ///   - isa: the instruction set to use.
    /// - Throws: ``HalftoneError/shape(_:)`` when `x` or `thresholds` is too short or a size negative,
    ///   ``HalftoneError/stride``, ``HalftoneError/overflow``, ``HalftoneError/threads``, ``HalftoneError/isa``.
    public init<Source: SignSource>(
        signsOf x: Span<Source>, rows: Int, columns: Int, rowStride: Int? = nil,
        thresholds: [Source.Threshold]? = nil, threads: Int = 0, isa: ISA = .automatic
    ) throws(HalftoneError) {
        // Wrong sizes must not ask for the memory of their result.
        _ = try Self.operand(x.count, of: Source.self, rows, columns, rowStride)
        try self.init(rows: rows, columns: columns)
        try setSigns(of: x, rowStride: rowStride, thresholds: thresholds, threads: threads, isa: isa)
    }

    /// The signs of an array; see the variant over spans.
    public init<Source: SignSource>(
        signsOf x: [Source], rows: Int, columns: Int, thresholds: [Source.Threshold]? = nil, threads: Int = 0,
        isa: ISA = .automatic
    ) throws(HalftoneError) {
        try self.init(
            signsOf: x.span, rows: rows, columns: columns, thresholds: thresholds, threads: threads, isa: isa)
    }

    /// Sets every sign to that of a number, in the memory that is there; see
    /// ``init(signsOf:rows:columns:rowStride:thresholds:threads:isa:)``.
    public mutating func setSigns<Source: SignSource>(
        of x: Span<Source>, rowStride: Int? = nil, thresholds: [Source.Threshold]? = nil, threads: Int = 0,
        isa: ISA = .automatic
    ) throws(HalftoneError) {
        let stride = try Self.operand(x.count, of: Source.self, rows, columns, rowStride).byteStride
        try Self.check(thresholds?.count, for: columns)
        var options = try ht_options(threads: threads, isa: isa)
        let (rows, columns, bitStride) = (rows, columns, byteStride)
        let status = x.withUnsafeBufferPointer { x in
            withPointer(to: thresholds) { thresholds in
                words.withUnsafeMutableBufferPointer { words in
                    let (x, limit) = (UnsafeRawPointer(x.baseAddress), UnsafeRawPointer(thresholds))
                    let bits = words.baseAddress
                    return switch Source.dataType {
                    case .f32:
                        ht_sign_pack_f32(
                            rows, columns, x?.typed(), stride, limit?.typed(), bits, bitStride, &options)
                    case .f16:
                        ht_sign_pack_f16(
                            rows, columns, x?.typed(), stride, limit?.typed(), bits, bitStride, &options)
                    case .bf16:
                        ht_sign_pack_bf16(
                            rows, columns, x?.typed(), stride, limit?.typed(), bits, bitStride, &options)
                    case .i8:
                        ht_sign_pack_i8(rows, columns, x?.typed(), stride, limit?.typed(), bits, bitStride, &options)
                    default: HT_ERROR_BLOB_DTYPE
                    }
                }
            }
        }
        try HalftoneError.check(status)
    }

    /// The signs of sin(frequency · x), as BiPer takes them (Vargas et al. 2024).
    ///
    /// - Throws: as ``init(signsOf:rows:columns:rowStride:thresholds:threads:isa:)``, ``HalftoneError/estimator``.
    public init(
        periodicSignsOf x: Span<Float>, rows: Int, columns: Int, rowStride: Int? = nil, frequency: Float = 20,
        threads: Int = 0, isa: ISA = .automatic
    ) throws(HalftoneError) {
        let stride = try Self.operand(x.count, of: Float.self, rows, columns, rowStride).byteStride
        var options = try ht_options(threads: threads, isa: isa)
        try self.init(rows: rows, columns: columns)
        let bitStride = byteStride
        let status = x.withUnsafeBufferPointer { x in
            ht_sign_pack_periodic_f32(
                rows, columns, frequency, x.baseAddress, stride, &words, bitStride, &options)
        }
        try HalftoneError.check(status)
    }
}

extension SignMatrix {
    /// scale or -scale of the row at each place, row-major without gaps.
    ///
    /// - Parameters:
    ///   - scales: one for each row; nil for 1.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers.
    ///   - isa: the instruction set to use.
    /// - Throws: ``HalftoneError/shape(_:)`` when `scales` is too short, ``HalftoneError/overflow``,
    ///   ``HalftoneError/threads``, ``HalftoneError/isa``.
    public func floats(
        scales: [Float]? = nil, threads: Int = 0, isa: ISA = .automatic
    ) throws(HalftoneError) -> [Float] {
        guard scales?.count ?? rows >= rows else {
            throw .shape("the scales hold \(scales?.count ?? 0) values, \(rows) rows need \(rows)")
        }
        var options = try ht_options(threads: threads, isa: isa)
        let (status, values): (ht_status, [Float]) = array(count: try count(of: Float.self)) { values in
            withPointer(to: scales) { scales in
                ht_sign_unpack_f32(rows, columns, words, byteStride, scales, values?.typed(), 0, &options)
            }
        }
        try HalftoneError.check(status)
        return values
    }

    /// 1 or -1 at each place, row-major without gaps.
    ///
    /// - Throws: ``HalftoneError/overflow``, ``HalftoneError/threads``, ``HalftoneError/isa``.
    public func int8s(threads: Int = 0, isa: ISA = .automatic) throws(HalftoneError) -> [Int8] {
        var options = try ht_options(threads: threads, isa: isa)
        let (status, values): (ht_status, [Int8]) = array(count: try count(of: Int8.self)) { values in
            ht_sign_unpack_i8(rows, columns, words, byteStride, values?.typed(), 0, &options)
        }
        try HalftoneError.check(status)
        return values
    }

    /// Rows become columns.
    ///
    /// - Throws: ``HalftoneError/overflow``, ``HalftoneError/threads``, ``HalftoneError/isa``.
    public func transposed(threads: Int = 0, isa: ISA = .automatic) throws(HalftoneError) -> SignMatrix {
        var options = try ht_options(threads: threads, isa: isa)
        var result = try SignMatrix(rows: columns, columns: rows)
        let stride = result.byteStride
        try HalftoneError.check(
            ht_bits_transpose(rows, columns, words, byteStride, &result.words, stride, &options))
        return result
    }

    private func count<Element>(of type: Element.Type) throws(HalftoneError) -> Int {
        let (count, overflow) = rows.multipliedReportingOverflow(by: columns)
        guard !overflow, count <= Int.max / MemoryLayout<Element>.stride else { throw .overflow }
        return count
    }
}

// MARK: - Checks

extension SignMatrix {
    static func operand<Element: KernelNumber>(
        _ count: Int, of type: Element.Type, _ rows: Int, _ columns: Int, _ rowStride: Int?, name: String = "X"
    ) throws(HalftoneError) -> Operand {
        try Operand("\(name) holds", count: count, of: type, rows: rows, columns: columns, rowStride: rowStride)
    }

    static func check(_ thresholds: Int?, for columns: Int) throws(HalftoneError) {
        guard let thresholds, thresholds < columns else { return }
        throw .shape("there are \(thresholds) thresholds, \(columns) columns need \(columns)")
    }
}
