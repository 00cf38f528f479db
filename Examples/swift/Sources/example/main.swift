import Halftone

let (outputs, inputs, rows) = (3072, 768, 128)
let weights = (0..<outputs * inputs).map { Float($0 % 37 - 18) }
let x = (0..<rows * inputs).map { Float($0 % 5 - 2) }

let pattern = try NMPattern(2, of: 4)
let pruned = try pattern.pruned(weights, rows: outputs, columns: inputs)
let packed = try NMMatrix(packing: pruned, rows: outputs, columns: inputs, pattern: pattern)
let y = try packed.multiply(x, rows: rows)

let expected = (0..<inputs).reduce(0) { $0 + x[5 * inputs + $1] * pruned[7 * inputs + $1] }
print("y[5][7] = \(y[5 * outputs + 7]), expected \(expected)")
precondition(y[5 * outputs + 7] == expected)
