import CHalftone
import CHalftoneBench

/// The operands of a layer's problem with one T, and what the dense libraries do with them.
final class BenchInput {
    let problem: Problem
    /// As the library takes them; a sampled gradient has a result of its own for each pattern.
    let operands: Operands
    /// Row-major, for dense computations.
    let denseOperands: Operands
    let rivals: [Opponent]
    /// Some rows of the result with the weights as they were before pruning.
    let dense: Reference
    private let x: FloatMatrix?
    private let y: FloatMatrix?
    private let orders: Orders
    private let seed: UInt64
    private let sampledRows: Int
    private var otherOperands: Operands?

    /// `w` is the dense weights, `typed` the same as the problem's kind has them. Of the result, so many rows are
    /// checked.
    init(
        _ problem: Problem, w: FloatMatrix, typed: TypedMatrix, contests: [Contest], orders: Orders, seed: UInt64,
        sampledRows: Int
    ) throws {
        let direction = problem.operation.direction
        let sides = orders.sides(of: problem.operation)
        let (xSize, ySize, kind) = (problem.xSize, problem.ySize, problem.kind)
        let x = try direction == .backward ? nil : kind.normalInputs(xSize, seed: seed)
        let y = try direction == .forward ? nil : kind.normalInputs(ySize, seed: seed &+ 1)
        let dense = try Operands(
            x: kind.operand(x, xSize), y: kind.operand(y, ySize),
            w: direction == .gradient ? TypedMatrix(rows: problem.o, columns: problem.k, type: HT_DTYPE_F32) : typed)
        operands = try Operands(
            x: kind.operand(x, xSize, sides.x), y: kind.operand(y, ySize, sides.y),
            w: direction == .gradient ? TypedMatrix(rows: problem.o, columns: problem.k, type: HT_DTYPE_F32) : typed)
        let reference = try Reference(problem, x: x, y: y, w: w, count: sampledRows)
        rivals = try contests.map { contest in
            let rival = contest.rival
            let forms = try rival.forms(problem, dense).map { form in
                try form.run()
                let error = reference.maxError(of: problem.operation.result(of: dense))
                return Opponent.Form(form: form, isRight: error <= problem.errorBound(nil))
            }
            return Opponent(
                name: contest.name, description: rival.description, shortcoming: rival.shortcoming, isDense: true,
                forms: forms)
        }
        (self.problem, self.x, self.y, self.orders) = (problem, x, y, orders)
        (self.seed, self.sampledRows) = (seed, sampledRows)
        (denseOperands, self.dense) = (dense, reference)
    }

    /// Those of the operation that this one is to be seen beside, which has a result of its own.
    func companionOperands() throws -> Operands {
        if let otherOperands { return otherOperands }
        let (xSize, ySize, kind) = (problem.xSize, problem.ySize, problem.kind)
        let made =
            problem.operation.direction == .gradient
            ? denseOperands
            : try Operands(
                x: kind.operand(x ?? kind.normalInputs(xSize, seed: seed), xSize, orders.x),
                y: kind.operand(nil, ySize, orders.y), w: operands.w)
        otherOperands = made
        return made
    }

    /// The same rows of the result with other weights.
    func reference(_ w: FloatMatrix) throws -> Reference {
        try Reference(problem, x: x, y: y, w: w, count: sampledRows)
    }
}

extension Problem {
    /// Normal values for X.
    func normalX(seed: UInt64) throws -> FloatMatrix { try normalValues(xSize, seed: seed) }
}

private func normalValues(_ size: (rows: Int, columns: Int), seed: UInt64) throws -> FloatMatrix {
    let normal = try FloatMatrix(rows: size.rows, columns: size.columns)
    htb_fill_normal(normal.data, normal.count, seed &+ UInt64(size.rows) &* 7919, 1)
    return normal
}

extension ProductKind {
    /// Normal values as inputs of this kind.
    fileprivate func normalInputs(_ size: (rows: Int, columns: Int), seed: UInt64) throws -> FloatMatrix {
        try rounded(inputs: normalValues(size, seed: seed))
    }

    /// An input of these values, or a place for a result.
    fileprivate func operand(
        _ values: FloatMatrix?, _ size: (rows: Int, columns: Int), _ order: ht_order = HT_ORDER_ROWS
    ) throws -> TypedMatrix {
        try values.map { try TypedMatrix($0, type: inputs, order: order) }
            ?? TypedMatrix(rows: size.rows, columns: size.columns, type: outputs, order: order)
    }
}

/// What a case is compared with: a dense library, or another operation of this one.
struct Opponent {
    struct Form {
        let form: RivalForm
        let isRight: Bool
    }

    let name: String
    let description: String
    var shortcoming: String?
    /// It computes with dense weights, or dense gradients.
    let isDense: Bool
    /// The ways to do it, of which the fastest counts. None where it cannot.
    let forms: [Form]
}
