import CHalftone
import CHalftoneBench
import Foundation
import HalftoneFiles

/// A weight matrix to prune and run, whose values are made or read when its turn comes.
struct Layer {
    let name: String
    let o: Int
    let k: Int
    /// Of a convolution, whose filters are the rows of the matrix.
    var convolution: Convolution?
    /// Real weights; what pruning does to them is worth reporting.
    let isReal: Bool
    let weights: () throws -> FloatMatrix

    /// What the layer does to T rows of X; a convolution has its own.
    func geometry(t: Int) -> Convolution {
        convolution ?? .product(o: o, k: k, t: t)
    }

    var summary: String {
        "\(name), " + (convolution?.description ?? "\(o) outputs x \(k) inputs")
    }

    /// A convolution with random filters.
    static func random(name: String, _ convolution: Convolution, seed: UInt64) -> Layer {
        var layer = random(name: name, o: convolution.outputs, k: convolution.filterSize, seed: seed)
        layer.convolution = convolution
        return layer
    }

    /// Normal values, with the deviation that keeps outputs about as large as inputs.
    static func random(name: String, o: Int, k: Int, seed: UInt64) -> Layer {
        Layer(name: name, o: o, k: k, isReal: false) {
            let matrix = try FloatMatrix(rows: o, columns: k)
            let own = seed &+ UInt64(o) &* 1_000_003 &+ UInt64(k)
            htb_fill_normal(matrix.data, matrix.count, own, 1 / Float(k).squareRoot())
            return matrix
        }
    }

    /// A matrix of a safetensors file, widened to f32.
    static func tensor(_ entry: SafetensorsFile.Entry, of file: SafetensorsFile, prefix: String = "") -> Layer {
        let (o, k) = (entry.shape[0], entry.shape[1])
        return Layer(name: prefix + entry.name, o: o, k: k, isReal: true) {
            try FloatMatrix(rows: o, columns: k, values: try file.tensor(named: entry.name).floats())
        }
    }
}

extension Layer {
    /// A matrix of a file, or filters, OIHW as PyTorch has them, as the rows of the library's OHWI.
    static func outputRows(_ entry: SafetensorsFile.Entry, of file: SafetensorsFile) -> Layer {
        guard entry.shape.count == 4 else { return .tensor(entry, of: file) }
        let (o, channels, taps) = (entry.shape[0], entry.shape[1], entry.shape[2] * entry.shape[3])
        return Layer(name: entry.name, o: o, k: channels * taps, isReal: true) {
            let values = try file.tensor(named: entry.name).floats()
            let rows = try FloatMatrix(rows: o, columns: taps * channels)
            for output in 0..<o {
                htb_transpose(
                    channels, taps, Array(values[output * channels * taps..<(output + 1) * channels * taps]),
                    rows.row(output))
            }
            return rows
        }
    }
}

/// The layers of safetensors files.
enum WeightFile {
    private static let floatTypes: [ElementType] = [.f32, .f16, .bf16]
    /// Smaller matrices are no layers that anybody would prune.
    private static let leastSide = 64

    /// The tensor of this name, or every weight matrix of the file.
    static func layers(path: String, tensor: String?) throws -> [Layer] {
        let file = try SafetensorsFile(path: path)
        guard let tensor else {
            let layers = file.entries.filter(isWeightMatrix).map { Layer.tensor($0, of: file) }
            guard !layers.isEmpty else {
                throw ToolError("\(path) has no float matrix of at least \(leastSide) x \(leastSide)")
            }
            return layers
        }
        let entry = try entry(tensor, of: file, path: path)
        guard entry.shape.count == 2, entry.shape.allSatisfy({ $0 > 0 }) else {
            throw ToolError("tensor '\(tensor)' has shape \(entry.shape); a weight matrix has two dimensions")
        }
        guard let type = entry.elementType, floatTypes.contains(type) else {
            throw ToolError("tensor '\(tensor)' is \(entry.elementTypeName); only F32, F16 and BF16 are weights")
        }
        return [.tensor(entry, of: file)]
    }

    /// The tensor of this name, or every matrix and every set of filters of the file: a row for each output.
    static func outputRows(path: String, tensor: String?) throws -> [Layer] {
        let file = try SafetensorsFile(path: path)
        guard let tensor else {
            let layers = file.entries.filter(hasOutputRows).map { Layer.outputRows($0, of: file) }
            guard !layers.isEmpty else { throw ToolError("\(path) has no floats of two or four dimensions") }
            return layers
        }
        let entry = try entry(tensor, of: file, path: path)
        guard hasOutputRows(entry) else {
            throw ToolError(
                "tensor '\(tensor)' is \(entry.elementTypeName) of shape \(entry.shape), not F32, F16 or BF16 of two or "
                    + "four dimensions")
        }
        return [.outputRows(entry, of: file)]
    }

    private static func entry(
        _ tensor: String, of file: SafetensorsFile, path: String
    ) throws -> SafetensorsFile.Entry {
        guard let entry = file.entries.first(where: { $0.name == tensor }) else {
            throw ToolError("\(path) has no tensor '\(tensor)'; it has: \(names(of: file))")
        }
        return entry
    }

    private static func hasOutputRows(_ entry: SafetensorsFile.Entry) -> Bool {
        guard let type = entry.elementType, floatTypes.contains(type) else { return false }
        return [2, 4].contains(entry.shape.count) && entry.shape.allSatisfy { $0 > 0 }
    }

    /// What is embedded in the tool.
    static func embeddedLayers() throws -> [Layer] {
        let bytes = UnsafeRawBufferPointer(start: htb_embedded_weights(), count: htb_embedded_weights_size())
        let file = try SafetensorsFile(bytes: [UInt8](bytes))
        return file.entries.filter(isWeightMatrix).map { Layer.tensor($0, of: file, prefix: "MiniLM ") }
    }

    private static func isWeightMatrix(_ entry: SafetensorsFile.Entry) -> Bool {
        guard let type = entry.elementType, floatTypes.contains(type) else { return false }
        return entry.shape.count == 2 && entry.shape.allSatisfy { $0 >= leastSide }
    }

    private static func names(of file: SafetensorsFile) -> String {
        let shown = file.entries.map(\.name).filter { $0.hasSuffix("weight") }
        let names = shown.isEmpty ? file.entries.map(\.name) : shown
        return names.prefix(8).joined(separator: ", ") + (names.count > 8 ? ", and \(names.count - 8) more" : "")
    }
}
