import CHalftone

/// Weights whose outputs can be taken in another order: a matrix or filters.
protocol BiMaskForm: NMPrunableForm {
    func backward(
        _ w: NMWeights, forward: [UInt8], _ permutation: [UInt32], into mask: UnsafeMutablePointer<UInt8>,
        _ options: inout ht_options
    ) -> ht_status
    func search(
        _ mask: [UInt8], _ pattern: NMPattern, _ rules: inout ht_bimask_rules, _ permutation: inout [UInt32],
        _ options: inout ht_options
    ) -> ht_status
    func score(
        _ mask: [UInt8], _ pattern: NMPattern, _ scorer: ht_bimask_scorer, _ permutation: [UInt32]?,
        _ score: inout UInt64, _ options: inout ht_options
    ) -> ht_status
}

extension NMMatrixForm: BiMaskForm {
    func backward(
        _ w: NMWeights, forward: [UInt8], _ permutation: [UInt32], into mask: UnsafeMutablePointer<UInt8>,
        _ options: inout ht_options
    ) -> ht_status {
        ht_bimask_backward_f32(
            rows, columns, w.n, w.m, w.typed(), w.byteStride, forward, 0, permutation, mask, 0, &options)
    }

    func search(
        _ mask: [UInt8], _ pattern: NMPattern, _ rules: inout ht_bimask_rules, _ permutation: inout [UInt32],
        _ options: inout ht_options
    ) -> ht_status {
        ht_bimask_search(rows, columns, pattern.n, pattern.m, mask, 0, &rules, &permutation, nil, &options)
    }

    func score(
        _ mask: [UInt8], _ pattern: NMPattern, _ scorer: ht_bimask_scorer, _ permutation: [UInt32]?,
        _ score: inout UInt64, _ options: inout ht_options
    ) -> ht_status {
        withPointer(to: permutation) {
            ht_bimask_score(rows, columns, pattern.n, pattern.m, scorer, mask, 0, $0, &score, &options)
        }
    }
}

extension NMFilterForm: BiMaskForm {
    func backward(
        _ w: NMWeights, forward: [UInt8], _ permutation: [UInt32], into mask: UnsafeMutablePointer<UInt8>,
        _ options: inout ht_options
    ) -> ht_status {
        var code = code
        return ht_bimask_conv_backward_f32(
            &code, w.n, w.m, w.typed(), w.byteStride, forward, 0, permutation, mask, 0, &options)
    }

    func search(
        _ mask: [UInt8], _ pattern: NMPattern, _ rules: inout ht_bimask_rules, _ permutation: inout [UInt32],
        _ options: inout ht_options
    ) -> ht_status {
        var code = code
        return ht_bimask_conv_search(&code, pattern.n, pattern.m, mask, 0, &rules, &permutation, nil, &options)
    }

    func score(
        _ mask: [UInt8], _ pattern: NMPattern, _ scorer: ht_bimask_scorer, _ permutation: [UInt32]?,
        _ score: inout UInt64, _ options: inout ht_options
    ) -> ht_status {
        var code = code
        return withPointer(to: permutation) {
            ht_bimask_conv_score(&code, pattern.n, pattern.m, scorer, mask, 0, $0, &score, &options)
        }
    }
}
