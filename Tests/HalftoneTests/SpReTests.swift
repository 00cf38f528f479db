import Halftone
import Testing

/// The second branch of spatial re-parameterisation, from its taps to the fold.
@Suite struct SpReTests {
    private static let shape = ConvShape(
        images: 2, height: 6, width: 5, channels: 8, outputs: 6, kernel: 3, padding: .same)

    private func random(_ count: Int, _ g: inout Generator) -> [Float] {
        (0..<count).map { _ in Float.random(in: -1...1, using: &g) }
    }

    /// W with taps of different sizes, so that unstructured pruning keeps more of some.
    private func layer(_ g: inout Generator) throws -> (w: [Float], r: [Float], branch: SpReBranch) {
        let scale = (0..<9).map { _ in Float.random(in: 0.25...1, using: &g) }
        let w = random(6 * 72, &g).enumerated().map { $0.element * scale[$0.offset % 72 / 8] }
        let branch = try SpReBranch(of: w.span, shape: Self.shape, pattern: NMPattern(2, of: 4))
        return (w, random(w.count, &g), branch)
    }

    private func masked(_ w: [Float], _ mask: NMMask) -> [Float] {
        w.indices.map { mask[$0 / mask.columns, $0 % mask.columns] ? w[$0] : 0 }
    }

    /// Q: the branch's weights where it has such.
    private func second(_ r: [Float], _ branch: SpReBranch) -> [Float] {
        let inside = masked(r, branch.mask)
        return inside.indices.map { branch.taps[$0 % 72 / 8] ? inside[$0] : 0 }
    }

    @Test func tapsAreThoseThatPruningLeavesDenser() throws {
        var g = Generator(seed: 1)
        let (w, _, branch) = try layer(&g)
        let least = w.map(abs).sorted()[w.count / 2]
        for tap in 0..<9 {
            let weights = w.indices.filter { $0 % 72 / 8 == tap }
            let sparsity = Double(weights.count { abs(w[$0]) < least }) / Double(weights.count)
            #expect(abs(branch.tapSparsity[tap] - sparsity) < 1e-12)
            #expect(branch.taps[tap] == (sparsity < 0.5))
        }
        #expect(branch.taps.contains(true) && branch.taps.contains(false))
    }

    @Test func branchesAreTwoConvolutions() throws {
        var g = Generator(seed: 2)
        let (w, r, branch) = try layer(&g)
        let x = eighths(2 * 30 * 8, &g)
        let packed = try branch.packed(w.span, branch: r.span)
        try packed.verify()
        let (main, other) = try packed.convolve(x)
        let filters = try NMFilters(packing: w, shape: Self.shape, pattern: branch.pattern, mask: branch.mask)
        #expect(main == (try filters.convolve(x)))
        let expected = ConvReference.forward(Self.shape, try Self.shape.outputSize, x: x, w: second(r, branch))
        for (a, b) in zip(other, expected) { #expect(abs(Double(a) - b) < 1e-4) }
    }

    @Test func gradientsAreThoseOfTwoConvolutions() throws {
        var g = Generator(seed: 3)
        let (w, r, branch) = try layer(&g)
        let (dya, dyb) = (eighths(2 * 30 * 6, &g), eighths(2 * 30 * 6, &g))
        let size = try Self.shape.outputSize
        let all = try NMPattern(4, of: 4)
        let backward = try branch.packedBackward(w.span, branch: r.span, pattern: all, mask: branch.mask)
        let dx = try backward.convolve(dya, dyb)
        let main = ConvReference.backward(Self.shape, size, dy: dya, w: masked(w, branch.mask))
        let other = ConvReference.backward(Self.shape, size, dy: dyb, w: second(r, branch))
        for i in dx.indices { #expect(abs(Double(dx[i]) - main[i] - other[i]) < 1e-4) }

        let x = eighths(2 * 30 * 8, &g)
        var dr = try weightGradient(dyb, x, shape: Self.shape, taps: branch.taps)
        let whole = try weightGradient(dyb, x, shape: Self.shape)
        var span = dr.mutableSpan
        try branch.maskGradient(&span, filters: w.span)
        let expected = second(whole, branch)
        for i in dr.indices { #expect(dr[i] == expected[i]) }
    }

    @Test func theFoldIsBothBranches() throws {
        var g = Generator(seed: 4)
        let (w, r, branch) = try layer(&g)
        func norm() -> BatchNorm {
            BatchNorm(
                gamma: random(6, &g), beta: random(6, &g), mean: random(6, &g), variance: random(6, &g).map { $0 * $0 })
        }
        let (a, b) = (norm(), norm())
        let folded = try branch.folded(w.span, branch: r.span, norm: a, branchNorm: b)
        let x = eighths(2 * 30 * 8, &g)
        let filters = try NMFilters(
            packing: folded.filters, shape: Self.shape, pattern: branch.pattern, mask: branch.mask)
        let y = try filters.convolve(x, epilogue: Epilogue(bias: folded.bias))
        let (main, other) = try branch.packed(w.span, branch: r.span).convolve(x)
        func normalised(_ v: Float, _ n: BatchNorm, _ o: Int) -> Double {
            (Double(v) - Double(n.mean[o])) / (Double(n.variance[o]) + Double(n.epsilon)).squareRoot()
                * Double(n.gamma![o]) + Double(n.beta![o])
        }
        for i in y.indices {
            let expected = normalised(main[i], a, i % 6) + normalised(other[i], b, i % 6)
            #expect(abs(Double(y[i]) - expected) < 1e-3 * (1 + abs(expected)))
        }
        #expect(masked(folded.filters, branch.mask) == folded.filters)
        #expect(throws: HalftoneError.shape("mean holds 5 values, there are 6 outputs")) {
            let short = BatchNorm(mean: random(5, &g), variance: random(6, &g))
            _ = try branch.folded(w.span, branch: r.span, norm: short, branchNorm: b)
        }
    }

    @Test func wrongArgumentsAreRefused() throws {
        var g = Generator(seed: 5)
        let (w, r, branch) = try layer(&g)
        #expect(throws: HalftoneError.pattern) {
            let shared = try NMPattern(2, of: 4, sharedTaps: true)
            _ = try SpReBranch(of: w.span, shape: Self.shape, pattern: shared)
        }
        #expect(throws: HalftoneError.shape("the branch holds 431 values, 6 x 72 need 432")) {
            _ = try branch.packed(w.span, branch: [Float](r.dropLast()).span)
        }
        let packed = try branch.packed(w.span, branch: r.span)
        #expect(throws: HalftoneError.shape("X holds 1 values, 60 x 8 need 480")) { _ = try packed.convolve([1]) }
        #expect(throws: HalftoneError.shape("there are 8 taps, the kernel has 9")) {
            _ = try weightGradient([], [], shape: Self.shape, taps: [Bool](repeating: true, count: 8))
        }
    }
}
