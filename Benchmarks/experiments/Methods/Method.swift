import Halftone

/// A way to train.
struct Method: Hashable {
    enum Kind: String, CaseIterable {
        case dense
        case oneShot = "one-shot"
        case vanilla
        case transposable
        case biMaskRandom = "bi-mask-random"
        case biMask = "bi-mask"
        case spre
        case clipped = "binary-clipped"
        case reste = "binary-reste"
        case biPer = "binary-biper"
        case mst = "binary-mst"
    }

    let kind: Kind
    /// Of the MST regulariser.
    var strength: Float = 0
}

extension Method.Kind {
    var isBinary: Bool {
        switch self {
        case .clipped, .reste, .biPer, .mst: true
        default: false
        }
    }

    /// Whether it trains under an N:M pattern.
    var isSparse: Bool { self != .dense && !isBinary }
}
