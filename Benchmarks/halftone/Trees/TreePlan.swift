import CHalftone

/// Which design the library's model would pack weights with trees for, and how it did: an object of the JSON.
struct TreePlan: Codable {
    let design: String
    /// Of that design over the direct one, as modelled.
    let gain: Double
    /// The time of that design over the least of all designs that were timed: 1 where it is the fastest. Nil where it was
    /// not timed.
    var overBest: Double?
    /// The time of the direct design over that of this one.
    var measuredGain: Double?

    enum CodingKeys: String, CodingKey {
        case design, gain
        case overBest = "over_best"
        case measuredGain = "measured_gain"
    }

    /// With what each design took that was timed.
    func compared(with seconds: [BinaryDesign: Double]) -> TreePlan {
        var plan = self
        guard let planned = BinaryDesign(rawValue: design).flatMap({ seconds[$0] }) else { return plan }
        plan.overBest = seconds.values.min().map { planned / $0 }
        plan.measuredGain = seconds[.direct].map { $0 / planned }
        return plan
    }
}

/// A plan, and the designs that there are for its operands.
struct PlannedDesigns {
    let plan: TreePlan
    private(set) var designs: Set<BinaryDesign> = []

    init(_ code: ht_mst_plan) {
        let cycles = withUnsafeBytes(of: code.cycles) { Array($0.bindMemory(to: Double.self)) }
        let design = BinaryDesign.allCases.first { $0.code == code.design } ?? .direct
        plan = TreePlan(design: design.rawValue, gain: code.gain)
        designs = Set(BinaryDesign.allCases.filter { $0 != .auto && cycles[Int($0.code.rawValue)].isFinite })
    }
}

extension Problem {
    /// What the library's model says of the designs for these weights, bits, and the trees over them.
    func plan(_ trees: GrownTrees, output: BinaryOutput) throws -> PlannedDesigns {
        var (shape, plan) = (geometry.code, ht_mst_plan())
        let (words, parents) = (trees.signs.words, trees.parents)
        let status =
            operation.isConvolution
            ? ht_mst_plan_conv(&shape, words, 0, parents, output.code, &plan)
            : ht_mst_plan_gemm(t, o, k, words, 0, parents, output.code, &plan)
        try check(status, "planning trees")
        return PlannedDesigns(plan)
    }
}
