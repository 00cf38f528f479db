import Foundation

// The format of MNIST and its relatives: a file of images and one of labels, each a header of big-endian numbers and
// bytes.

extension Dataset {
    /// The four files of a folder, under the names that MNIST gives them, not compressed.
    init(idx folder: String) throws {
        name = URL(fileURLWithPath: folder).lastPathComponent
        training = try Images(folder, "train")
        test = try Images(folder, "t10k")
        guard (training.height, training.width) == (test.height, test.width) else {
            throw ExperimentError("\(folder): images for training and tests differ in size")
        }
    }
}

extension Images {
    fileprivate init(_ folder: String, _ part: String) throws {
        try self.init(
            images: IDXFile(path: "\(folder)/\(part)-images-idx3-ubyte", dimensions: 3),
            labels: IDXFile(path: "\(folder)/\(part)-labels-idx1-ubyte", dimensions: 1))
    }

    init(images: IDXFile, labels: IDXFile) throws {
        guard images.sizes[0] == labels.sizes[0] else {
            throw ExperimentError("there are \(images.sizes[0]) images and \(labels.sizes[0]) labels")
        }
        guard labels.bytes.allSatisfy({ $0 < Dataset.classes }) else { throw ExperimentError("a label is above 9") }
        self.init(
            height: images.sizes[1], width: images.sizes[2], pixels: images.bytes.map { Float($0) / 255 },
            labels: labels.bytes.map { Int($0) })
    }
}

/// Bytes with so many dimensions.
struct IDXFile {
    let sizes: [Int]
    let bytes: Data

    init(path: String, dimensions: Int) throws {
        guard let content = FileManager.default.contents(atPath: path) else {
            throw ExperimentError("cannot read \(path)")
        }
        try self.init(content, dimensions: dimensions, name: path)
    }

    init(_ content: Data, dimensions: Int, name: String) throws {
        let headerBytes = 4 + 4 * dimensions
        // Two zeros, 8 for unsigned bytes, the number of dimensions.
        guard content.count >= headerBytes, content.prefix(4).elementsEqual([0, 0, 8, UInt8(dimensions)]) else {
            throw ExperimentError("\(name) is no IDX file of bytes with \(dimensions) dimensions")
        }
        sizes = (1...dimensions).map { dimension in
            content.dropFirst(4 * dimension).prefix(4).reduce(0) { $0 << 8 | Int($1) }
        }
        bytes = content.dropFirst(headerBytes)
        let (count, overflow) = sizes.reduce((1, false)) { product, size in
            let (next, overflow) = product.0.multipliedReportingOverflow(by: size)
            return (next, product.1 || overflow)
        }
        guard !overflow, bytes.count == count else {
            throw ExperimentError("\(name) has \(bytes.count) bytes behind its header, not \(sizes) of them")
        }
    }
}
