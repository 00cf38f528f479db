import CHalftone

/// How a matrix of activations lies in memory.
public enum MatrixOrder: Hashable, Sendable, CaseIterable {
    /// Row-major: the values of one sample are neighbours.
    case rows
    /// Feature-major: one value of all samples are neighbours, so the matrix is transposed in memory.
    case features

    var code: ht_order {
        switch self {
        case .rows: HT_ORDER_ROWS
        case .features: HT_ORDER_FEATURES
        }
    }
}

/// How a product is to run. None of it changes a bit of a result.
public struct ProductOptions: Hashable, Sendable {
    /// 1 for this thread only, 0 for all that the machine offers.
    public var threads = 0
    /// The instruction set to use.
    public var isa = ISA.automatic
    /// Compute only these rows of Y and leave the others as they are; nil for all.
    public var rowWindow: Range<Int>?
    /// Compute only these columns of Y and leave the others as they are; nil for all. Both bounds are multiples of 16,
    /// or the upper one is the last column.
    public var columnWindow: Range<Int>?
    /// How X lies in memory. Windows count rows and columns of Y whatever the orders.
    public var xOrder = MatrixOrder.rows
    /// How Y and the residual lie in memory.
    public var yOrder = MatrixOrder.rows
    /// Which kernels a product of signs takes: those that its weights were packed for, or the direct ones.
    public var binaryDesign = BinaryDesign.automatic

    /// All of Y, on all threads, by the best kernels, row-major, unless said otherwise.
    public init(
        threads: Int = 0, isa: ISA = .automatic, rowWindow: Range<Int>? = nil, columnWindow: Range<Int>? = nil,
        xOrder: MatrixOrder = .rows, yOrder: MatrixOrder = .rows, binaryDesign: BinaryDesign = .automatic
    ) {
        self.threads = threads
        self.isa = isa
        self.rowWindow = rowWindow
        self.columnWindow = columnWindow
        self.xOrder = xOrder
        self.yOrder = yOrder
        self.binaryDesign = binaryDesign
    }

    /// The C library's options for all of Y.
    func code() throws(HalftoneError) -> ht_options {
        var options = try ht_options(threads: threads)
        options.isa = isa.code
        options.x_order = xOrder.code
        options.y_order = yOrder.code
        options.binary_design = binaryDesign.code
        return options
    }

    /// The C library's options for the windows of a Y of rows x columns.
    func code(rows: Int, columns: Int) throws(HalftoneError) -> ht_options {
        var options = try code()
        (options.row_begin, options.row_end) = try Self.bounds(rowWindow, of: rows)
        (options.column_begin, options.column_end) = try Self.bounds(columnWindow, of: columns)
        // The C library reads 0 ..< 0 as everything. An empty window at the last row says the same as it.
        if rowWindow == 0..<0 || columnWindow == 0..<0 { (options.row_begin, options.row_end) = (rows, rows) }
        return options
    }

    private static func bounds(_ window: Range<Int>?, of size: Int) throws(HalftoneError) -> (Int, Int) {
        guard let window else { return (0, 0) }
        guard window.lowerBound >= 0, window.upperBound <= size else { throw .window }
        return (window.lowerBound, window.upperBound)
    }
}
