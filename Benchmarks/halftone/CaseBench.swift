/// What the cases of one layer, operation and type share.
protocol CaseBench: AnyObject {
    var layer: Layer { get }
    var operation: Operation { get }
    var kind: ProductKind { get }

    /// Prepares the weights of the cases that follow.
    func prepare(_ form: CaseForm) throws
    func measure(t: Int, row: KernelRow, stopwatch: Stopwatch, budget: Double) throws -> CaseRecord
}

/// The weights of a case, as its record has them.
struct CaseWeights {
    let form: CaseForm
    /// What a call reads of the packed weights.
    var bytes = 0
    /// Only of pruned weights.
    var keptL1: Double?
    /// Only of binary weights: what they are packed for.
    var design: BinaryDesign?
    /// Only of weights along trees.
    var tree: TreeFigures?
}

/// A dense library on a type, to compare with.
struct Contest {
    let rival: any Rival
    /// As the rival has it.
    let operation: Operation
    let kind: ProductKind
    /// The name of the rival, with the type where it is another than ours.
    let name: String
}

extension Rivals {
    /// The dense libraries that are here, for an operation of ours on a type.
    func contests(for operation: Operation, _ kind: ProductKind) -> [Contest] {
        kind.denseKinds(operation).flatMap { dense in
            found.filter { $0.offers(operation.dense, dense) }.map { rival in
                Contest(
                    rival: rival, operation: operation.dense, kind: dense,
                    name: dense == kind ? rival.name : "\(rival.name)-\(dense)")
            }
        }
    }
}
