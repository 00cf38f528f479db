import CHalftone

/// The functions of oneDNN's C interface that products and convolutions need, and the values of its enumerations
/// (dnnl_types.h, 3.x).
final class OneDNNCalls {
    typealias Object = OpaquePointer
    typealias Status = Int32
    typealias Out = UnsafeMutablePointer<Object?>
    /// dnnl_exec_arg_t.
    struct Argument {
        let index: Int32
        let memory: Object
    }

    static let cpu: Int32 = 1
    static let inOrder: UInt32 = 1
    static let anyFormat: Int32 = 1
    static let queryImplementation: Int32 = 8
    static let queryWeights: Int32 = 131
    static let source: Int32 = 1
    static let weights: Int32 = 33
    static let destination: Int32 = 17
    static let sourceGradient: Int32 = 129
    static let destinationGradient: Int32 = 145
    static let forwardTraining: Int32 = 64
    static let forwardInference: Int32 = 96
    /// DNNL_MAX_NDIMS: the length of every array of dimensions.
    private static let dimensions = 12

    /// Major, minor and patch version.
    let version: @convention(c) () -> UnsafePointer<Int32>
    let effectiveISA: @convention(c) () -> Int32
    let createEngine: @convention(c) (Out, Int32, Int) -> Status
    let createStream: @convention(c) (Out, Object, UInt32) -> Status
    let describeMatmul: @convention(c) (Out, Object, Object, Object, Object?, Object, Object?) -> Status
    /// Kind of propagation, algorithm; source, weights, bias, destination; strides, dilations, paddings; attributes.
    let describeConvolution:
        @convention(c) (
            Out, Object, Int32, Int32, Object, Object, Object?, Object, UnsafePointer<Int64>, UnsafePointer<Int64>,
            UnsafePointer<Int64>, UnsafePointer<Int64>, Object?
        ) -> Status
    /// Algorithm; source gradient, weights, destination gradient; geometry as above; the forward one; attributes.
    let describeConvolutionBackward:
        @convention(c) (
            Out, Object, Int32, Object, Object, Object, UnsafePointer<Int64>, UnsafePointer<Int64>,
            UnsafePointer<Int64>, UnsafePointer<Int64>, Object, Object?
        ) -> Status
    let queryDescription: @convention(c) (Object, Int32, Int32) -> Object?
    let size: @convention(c) (Object) -> Int
    let createPrimitive: @convention(c) (Out, Object) -> Status
    /// Takes an array of `Argument`.
    let execute: @convention(c) (Object, Object, Int32, UnsafeRawPointer) -> Status
    let wait: @convention(c) (Object) -> Status
    let destroyDescription: @convention(c) (Object) -> Status
    let destroyPrimitiveDescription: @convention(c) (Object) -> Status
    let destroyPrimitive: @convention(c) (Object) -> Status
    let destroyMemory: @convention(c) (Object) -> Status
    /// Of the OpenMP runtime that the library is linked to.
    let setThreads: (@convention(c) (Int32) -> Void)?

    private let query: @convention(c) (Object, Int32, Int32, UnsafeMutableRawPointer) -> Status
    private let describeStrides:
        @convention(c) (Out, Int32, UnsafePointer<Int64>, Int32, UnsafePointer<Int64>) -> Status
    private let describeTag: @convention(c) (Out, Int32, UnsafePointer<Int64>, Int32, Int32) -> Status
    private let createMemory: @convention(c) (Out, Object, Object, UnsafeMutableRawPointer?) -> Status
    private let describeReorder: @convention(c) (Out, Object, Object, Object, Object, Object?) -> Status

    init(library: SharedLibrary) throws {
        func find<Function>(_ name: String) throws -> Function {
            try library.required("dnnl_" + name, as: Function.self)
        }
        version = try find("version")
        effectiveISA = try find("get_effective_cpu_isa")
        createEngine = try find("engine_create")
        createStream = try find("stream_create")
        describeMatmul = try find("matmul_primitive_desc_create")
        describeConvolution = try find("convolution_forward_primitive_desc_create")
        describeConvolutionBackward = try find("convolution_backward_data_primitive_desc_create")
        queryDescription = try find("primitive_desc_query_md")
        size = try find("memory_desc_get_size")
        createPrimitive = try find("primitive_create")
        execute = try find("primitive_execute")
        wait = try find("stream_wait")
        destroyDescription = try find("memory_desc_destroy")
        destroyPrimitiveDescription = try find("primitive_desc_destroy")
        destroyPrimitive = try find("primitive_destroy")
        destroyMemory = try find("memory_destroy")
        query = try find("primitive_desc_query")
        describeStrides = try find("memory_desc_create_with_strides")
        describeTag = try find("memory_desc_create_with_tag")
        createMemory = try find("memory_create")
        describeReorder = try find("reorder_primitive_desc_create")
        setThreads = library.function("omp_set_num_threads", as: (@convention(c) (Int32) -> Void).self)
    }

    static func check(_ status: Status, _ action: String) throws {
        guard status == 0 else { throw ToolError("oneDNN could not \(action) (status \(status))") }
    }

    /// A tensor whose elements lie `strides` elements apart.
    func describe(_ type: ht_dtype, _ sizes: [Int], strides: [Int]) throws -> Object {
        var description: Object?
        let status = describeStrides(
            &description, Int32(sizes.count), Self.padded(sizes), Self.dataType(type), Self.padded(strides))
        try Self.check(status, "describe a tensor")
        return description!
    }

    /// A tensor in whatever format is best.
    func describeAny(_ type: ht_dtype, _ sizes: [Int]) throws -> Object {
        var description: Object?
        let status = describeTag(
            &description, Int32(sizes.count), Self.padded(sizes), Self.dataType(type), Self.anyFormat)
        try Self.check(status, "describe weights of any format")
        return description!
    }

    func memory(_ description: Object, _ engine: Object, _ data: UnsafeMutableRawPointer) throws -> Object {
        var memory: Object?
        try Self.check(createMemory(&memory, description, engine, data), "take a tensor")
        return memory!
    }

    /// The name of the kernel that a primitive will use, such as "brg:avx512_core".
    func implementation(of primitive: Object) -> String {
        var text: UnsafePointer<CChar>?
        let status = query(primitive, Self.queryImplementation, 0, &text)
        return status == 0 ? text.map { String(cString: $0) } ?? "unnamed" : "unnamed"
    }

    func reorder(
        _ fromFormat: Object, _ toFormat: Object, from: Object, to: Object, _ engine: Object, _ stream: Object
    ) throws {
        var made: Object?
        let status = describeReorder(&made, fromFormat, engine, toFormat, engine, nil)
        try Self.check(status, "describe a reorder")
        let description = made!
        defer { _ = destroyPrimitiveDescription(description) }
        try Self.check(createPrimitive(&made, description), "create a reorder")
        let primitive = made!
        defer { _ = destroyPrimitive(primitive) }
        let arguments = [Argument(index: Self.source, memory: from), Argument(index: Self.destination, memory: to)]
        try Self.check(execute(primitive, stream, 2, arguments), "reorder weights")
        try Self.check(wait(stream), "wait for a reorder")
    }

    /// dnnl_data_type_t.
    private static func dataType(_ type: ht_dtype) -> Int32 {
        switch type {
        case HT_DTYPE_F16: 1
        case HT_DTYPE_BF16: 2
        case HT_DTYPE_I32: 4
        case HT_DTYPE_I8: 5
        case HT_DTYPE_U8: 6
        default: 3
        }
    }

    /// As the interface takes arrays of dimensions.
    static func padded(_ sizes: [Int]) -> [Int64] {
        sizes.map { Int64($0) } + [Int64](repeating: 0, count: dimensions - sizes.count)
    }
}
