import ArgumentParser
import CHalftone

/// How a case does its operation, where there is a choice.
enum CaseForm: Equatable, CustomStringConvertible {
    /// All weights, or none.
    case dense
    case pruned(Pattern)
    case binary(BinaryForm)

    var pattern: Pattern? {
        if case .pruned(let pattern) = self { pattern } else { nil }
    }

    var description: String {
        switch self {
        case .dense: "dense"
        case .pruned(let pattern): "\(pattern)"
        case .binary(let form): "\(form)"
        }
    }
}

/// How a product or convolution with weights of signs is done.
struct BinaryForm: Equatable, CustomStringConvertible {
    /// That the weights are packed for.
    var design = BinaryDesign.auto
    /// The type of Y.
    let output: BinaryOutput
    /// X is floats, whose signs are packed as part of the call.
    var packsSigns = false

    var description: String { "\(design)\(packsSigns ? " from f32" : "") to \(output)" }
}

/// The designs of binary kernels, by the word that `--design` knows them by.
enum BinaryDesign: String, CaseIterable {
    case auto, direct, pixels, channels, tree

    /// Those for which weights need no trees.
    static let withoutTree = allCases.filter { $0 != .tree }

    var code: ht_binary_design {
        switch self {
        case .auto: HT_BINARY_AUTO
        case .direct: HT_BINARY_DIRECT
        case .pixels: HT_BINARY_PIXELS
        case .channels: HT_BINARY_CHANNELS
        case .tree: HT_BINARY_TREE
        }
    }
}

/// What `--from` can name.
enum BinaryInput: String, CaseIterable, ExpressibleByArgument {
    case f32
}

/// The types of Y, by the word that `--output` knows them by.
enum BinaryOutput: String, CaseIterable {
    case b1, i32, i16, f32, bf16, i8

    var code: ht_dtype {
        switch self {
        case .b1: HT_DTYPE_B1
        case .i32: HT_DTYPE_I32
        case .i16: HT_DTYPE_I16
        case .f32: HT_DTYPE_F32
        case .bf16: HT_DTYPE_BF16
        case .i8: HT_DTYPE_I8
        }
    }

    /// What is timed where the user names nothing.
    static func usual(_ kind: ProductKind, packsSigns: Bool) -> [BinaryOutput] {
        switch kind {
        case .b1: packsSigns ? [.f32] : [.b1, .i32]
        case .u1, .u8, .i8: [.i32]
        case .f32, .bf16: [.f32]
        }
    }
}
