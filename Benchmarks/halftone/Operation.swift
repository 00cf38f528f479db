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

    /// Which way a layer is gone through: Y from X, dX from dY, or dW from both.
    enum Direction {
        case forward, backward, gradient
    }

    var direction: Direction {
        switch self {
        case .product, .convolution: .forward
        case .backwardProduct, .backwardConvolution: .backward
        case .sampledGradient, .weightGradient: .gradient
        }
    }

    var isConvolution: Bool { self == .convolution || self == .backwardConvolution }

    /// The same for a convolution; gradients of filters are products of matrices that somebody else made.
    var ofConvolution: Operation? {
        switch direction {
        case .forward: .convolution
        case .backward: .backwardConvolution
        case .gradient: nil
        }
    }

    /// The same for a product.
    var ofProduct: Operation {
        switch direction {
        case .forward: .product
        case .backward: .backwardProduct
        case .gradient: self
        }
    }

    /// Whether weights take part, packed by a pattern.
    var hasPattern: Bool { self != .weightGradient }

    /// The types of inputs that it takes.
    var kinds: [ProductKind] {
        switch direction {
        case .forward: ProductKind.allCases
        case .backward: [.f32, .bf16]
        case .gradient: [.f32]
        }
    }
}

/// Another operation of this library that one is to be seen beside, on the same layer and T.
struct Companion {
    let name: String
    /// What its seconds are.
    let legend: String
    let operation: Operation
    /// `nil` for an operation without one.
    let pattern: Pattern?

    /// Of a backward operation the forward one, of a sampled gradient the dense one, of a forward operation with shared
    /// patterns the one without.
    init?(of other: Operation, _ pattern: Pattern?) {
        guard let given = pattern else { return nil }
        switch other {
        case .product, .convolution:
            let sharesTaps = given.sharesTaps && other.isConvolution
            guard given.sharedRows > 1 || sharesTaps else { return nil }
            (name, legend) = ("unshared", "the same with a pattern for each row and tap")
            (operation, self.pattern) = (other, Pattern(n: given.n, m: given.m))
        case .backwardProduct, .backwardConvolution:
            (name, legend) = ("forward", "the forward operation of the same layer, pattern and T")
            (operation, self.pattern) = (other == .backwardProduct ? .product : .convolution, given)
        case .sampledGradient:
            (name, legend) = ("dense", "the dense gradient by this library")
            (operation, self.pattern) = (.weightGradient, nil)
        case .weightGradient: return nil
        }
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
        let op = operation.runsAsProduct(all) ? kind.op(.product) : kind.op(operation)
        return all.filter { $0.op == op }
    }
}

extension Operation {
    /// Whether it is computed by the rows of the product.
    func runsAsProduct(_ all: [KernelRow]) -> Bool {
        direction != .gradient && !all.contains { row in kinds.contains { row.op == $0.op(self) } }
    }
}
