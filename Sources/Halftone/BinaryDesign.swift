import CHalftone

/// What kernels of signs work on. Weights are packed for one design; the direct one can use them all.
public enum BinaryDesign: Hashable, Sendable, CaseIterable {
    /// Packing: what is fastest for the shape. A call: what the weights were packed for.
    case automatic
    /// Words of bits along the channels: xor, count, add.
    case direct
    /// A bit of a vector is a pixel.
    case pixels
    /// A bit of a vector is an output channel.
    case channels
    /// As ``pixels``, but outputs are computed from each other, along a ``ChannelTree``: what
    /// ``BinaryMatrix/init(packing:tree:)`` and ``BinaryFilters/init(packing:shape:trees:)`` make. Packing without a tree
    /// refuses it with ``HalftoneError/design``.
    case tree

    var code: ht_binary_design {
        switch self {
        case .automatic: HT_BINARY_AUTO
        case .direct: HT_BINARY_DIRECT
        case .pixels: HT_BINARY_PIXELS
        case .channels: HT_BINARY_CHANNELS
        case .tree: HT_BINARY_TREE
        }
    }

    /// Nil for a code that this module has no case for.
    init?(_ code: ht_binary_design) {
        guard let design = Self.allCases.first(where: { $0.code == code }) else { return nil }
        self = design
    }

    /// The C library's options for packing with this design.
    var options: ht_options {
        var options = ht_options()
        options.binary_design = code
        return options
    }
}
