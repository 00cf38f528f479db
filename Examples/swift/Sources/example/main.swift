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

let block = try ResidualBlock()
var image = (0..<14 * 14 * 64).map { Float($0 % 7) - 2.9 }
let (hidden, result) = try block.run(image)
let gradient = try block.gradient([Float](repeating: 1, count: result.count), hidden: hidden, y: result)

// The gradient of the sum of all results, which is a line where no ReLU turns.
let step: Float = 1 / 256
image[777] += step
let slope = try zip(block.run(image).y, result).reduce(0) { $0 + Double($1.0 - $1.1) } / Double(step)
print("gradient[777] = \(gradient[777]), slope \(slope)")
precondition(abs(Double(gradient[777]) - slope) < 0.01 * abs(slope))

let network = try BinaryNetwork()
let pixels = (0..<32 * 32 * 3).map { Int8(truncatingIfNeeded: $0 * $0 % 251) }
let (bits, scores) = try network.run(pixels)
for (number, layer) in network.body.enumerated() {
    let width = try layer.filters.shape.outputWidth
    for output in 0..<layer.filters.shape.outputs {
        let expected = layer.sign(of: bits[number], row: 3, column: 4, output: output)
        precondition(bits[number + 1][3 * width + 4, output] == expected)
    }
}
print("\(bits.count) layers in bits, scores \(scores)")
let portable = try network.run(pixels, options: ProductOptions(threads: 1, isa: .reference))
precondition(portable.bits == bits && portable.scores == scores)
