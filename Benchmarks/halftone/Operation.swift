import ArgumentParser
import CHalftone

/// What is computed, by the word that `--op` and the library's kernel list know it by.
enum Operation: String, CaseIterable, ExpressibleByArgument {
    case product = "nm_gemm"
    case convolution = "nm_conv"
    case backwardProduct = "nm_gemm_backward"
    case backwardConvolution = "nm_conv_backward"
    case sampledGradient = "nm_sampled_gradient"
    case weightGradient = "weight_gradient"
    case binaryProduct = "binary_gemm"
    case binaryConvolution = "binary_conv"
    case treeProduct = "mst_gemm"
    case treeConvolution = "mst_conv"
    case signPacking = "sign_pack"

    /// Which way a layer is gone through: Y from X, dX from dY, or dW from both.
    enum Direction {
        case forward, backward, gradient
    }

    var direction: Direction {
        switch self {
        case .product, .convolution, .binaryProduct, .binaryConvolution, .signPacking: .forward
        case .treeProduct, .treeConvolution: .forward
        case .backwardProduct, .backwardConvolution: .backward
        case .sampledGradient, .weightGradient: .gradient
        }
    }

    /// Whether weights are signs.
    var isBinary: Bool { self == .binaryProduct || self == .binaryConvolution || reusesChannels }

    /// Whether weights are packed along trees.
    var reusesChannels: Bool { self == .treeProduct || self == .treeConvolution }

    var isConvolution: Bool {
        switch self {
        case .convolution, .backwardConvolution, .binaryConvolution, .treeConvolution: true
        default: false
        }
    }

    /// The same for a convolution; gradients of filters are products of matrices that somebody else made.
    var ofConvolution: Operation? {
        if self == .signPacking { return nil }
        return switch direction {
        case .forward: reusesChannels ? .treeConvolution : isBinary ? .binaryConvolution : .convolution
        case .backward: .backwardConvolution
        case .gradient: nil
        }
    }

    /// The same for a product.
    var ofProduct: Operation {
        if self == .signPacking { return self }
        return switch direction {
        case .forward: reusesChannels ? .treeProduct : forwardProduct
        case .backward: .backwardProduct
        case .gradient: self
        }
    }

    /// The product of its kind of weights, on whose kernels those run that have none of their own.
    var forwardProduct: Operation { isBinary ? .binaryProduct : .product }

    /// What dense libraries have in its place.
    var dense: Operation {
        switch self {
        case .binaryProduct, .treeProduct: .product
        case .binaryConvolution, .treeConvolution: .convolution
        default: self
        }
    }

    /// The types of inputs that it takes.
    var kinds: [ProductKind] {
        switch self {
        case .binaryProduct: [.b1, .u1, .f32, .i8]
        case .binaryConvolution: [.b1, .f32, .i8]
        case .treeProduct: [.b1, .u1]
        case .treeConvolution: [.b1]
        case .product, .convolution: [.f32, .bf16, .u8, .i8]
        case .signPacking: [.f32, .bf16, .i8]
        case .backwardProduct, .backwardConvolution: [.f32, .bf16]
        case .sampledGradient, .weightGradient: [.f32]
        }
    }
}

/// Another operation of this library that one is to be seen beside, on the same layer and T.
struct Companion {
    let name: String
    /// What its seconds are.
    let legend: String
    let operation: Operation
    let form: CaseForm

    /// Of a backward operation the forward one, of a sampled gradient the dense one, of a forward operation with shared
    /// patterns the one without, of a binary one that by the direct design, with trees by every other.
    static func all(of other: Operation, _ form: CaseForm) -> [Companion] {
        switch form {
        case .dense: []
        case .pruned(let pattern): Companion(of: other, pattern).map { [$0] } ?? []
        case .binary(let binary):
            other.designs(to: binary.output).filter { $0 != binary.design }.map { Companion(of: other, binary, $0) }
        }
    }

    private init(of other: Operation, _ form: BinaryForm, _ design: BinaryDesign) {
        var form = form
        form.design = design
        self.init(
            name: design.rawValue,
            legend: "the same by the \(design.rawValue) design, where that is another and applies", operation: other,
            form: .binary(form))
    }

    private init(name: String, legend: String, operation: Operation, form: CaseForm) {
        (self.name, self.legend, self.operation, self.form) = (name, legend, operation, form)
    }

    /// Of pruned weights.
    init?(of other: Operation, _ given: Pattern) {
        switch other {
        case .product, .convolution:
            let sharesTaps = given.sharesTaps && other.isConvolution
            guard given.sharedRows > 1 || sharesTaps else { return nil }
            self.init(
                name: "unshared", legend: "the same with a pattern for each row and tap", operation: other,
                form: .pruned(Pattern(n: given.n, m: given.m)))
        case .backwardProduct, .backwardConvolution:
            self.init(
                name: "forward", legend: "the forward operation of the same layer, pattern and T",
                operation: other == .backwardProduct ? .product : .convolution, form: .pruned(given))
        case .sampledGradient:
            self.init(
                name: "dense", legend: "the dense gradient by this library", operation: .weightGradient, form: .dense)
        case .weightGradient, .binaryProduct, .binaryConvolution, .treeProduct, .treeConvolution, .signPacking:
            return nil
        }
    }
}

extension Operation {
    /// What a binary operation is timed by, whichever design it is about.
    fileprivate func designs(to output: BinaryOutput) -> [BinaryDesign] {
        guard reusesChannels else { return [.direct] }
        return [.direct, .pixels] + (isConvolution && output == .b1 ? [.channels] : []) + [.tree]
    }
}

/// A kernel row of an operation on inputs of one type.
struct Kernel {
    let operation: Operation
    let kind: ProductKind
    let row: KernelRow

    var name: String { "\(operation.rawValue) \(kind)" }

    /// The rows of these operations and types that the user's `--isa` leaves, `nil` standing for `unnamed`'s choice.
    ///
    /// Naming an ISA that none of them has, or that does not run here, is an error; and so is a type that an operation
    /// lacks unless it `skipsTypes`.
    static func all(
        of operations: [Operation], _ kinds: [ProductKind], isas: [String]?, skipsTypes: Bool = false,
        unnamed: (KernelRow) -> Bool
    ) throws -> [Kernel] {
        let all = KernelRow.all()
        let kernels = try operations.flatMap { operation in
            try kinds.flatMap { kind in
                guard operation.kinds.contains(kind) else {
                    if skipsTypes { return [Kernel]() }
                    throw ToolError(
                        "\(operation.rawValue) takes \(listed(operation.kinds.map(\.rawValue))), not \(kind)")
                }
                return rows(of: operation, kind, in: all).map { Kernel(operation: operation, kind: kind, row: $0) }
            }
        }
        guard let isas else {
            let kernels = kernels.filter { unnamed($0.row) }
            guard !kernels.isEmpty else {
                throw ToolError("no kernel is chosen; does HALFTONE_ISA name an ISA that runs here?")
            }
            return kernels
        }
        guard !isas.isEmpty else { throw ToolError("--isa names no ISA") }
        for isa in isas {
            let named = kernels.filter { $0.row.isa == isa }
            guard !named.isEmpty else {
                throw ToolError("no kernel for ISA '\(isa)'; there is \(listed(kernels.map(\.row.isa)))")
            }
            guard named.allSatisfy(\.row.runs) else {
                throw ToolError("ISA '\(isa)' does not run on this machine; it has: \(cpuFeatures)")
            }
        }
        return kernels.filter { isas.contains($0.row.isa) }
    }

    /// Its own, or where it has none, those of the product by which it is computed.
    private static func rows(of operation: Operation, _ kind: ProductKind, in all: [KernelRow]) -> [KernelRow] {
        let op = kind.op(operation.runsAsProduct(all) ? operation.forwardProduct : operation)
        return all.filter { $0.op == op }
    }
}

extension Operation {
    /// Whether it is computed by the rows of the product.
    func runsAsProduct(_ all: [KernelRow]) -> Bool {
        direction != .gradient && !all.contains { row in kinds.contains { row.op == $0.op(self) } }
    }
}
