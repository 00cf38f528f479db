import Foundation

/// Grey images of one size, and what each shows.
struct Images {
    let height: Int
    let width: Int
    /// Image by image, row by row, about 0 to 1.
    let pixels: [Float]
    let labels: [Int]

    var count: Int { labels.count }

    /// The pixels of some images, one behind the other.
    func pixels(of numbers: some Sequence<Int>) -> [Float] {
        let size = height * width
        return numbers.flatMap { pixels[$0 * size..<($0 + 1) * size] }
    }

    subscript(range: Range<Int>) -> Images {
        Images(height: height, width: width, pixels: pixels(of: range), labels: Array(labels[range]))
    }
}

/// What is trained with, and what is never trained with.
struct Dataset {
    let name: String
    let training: Images
    let test: Images

    static let classes = 10

    init(name: String, training: Images, test: Images) {
        (self.name, self.training, self.test) = (name, training, test)
    }

    /// The images of a folder in the format of MNIST, or the digits that come with this program.
    init(folder: String?) throws {
        if let folder {
            try self.init(idx: folder)
        } else {
            try self.init(digits: 1200)
        }
    }

    /// The first images of the digits for training, the others for tests; see `Data/README.md`.
    private init(digits trainingCount: Int) throws {
        guard let file = Bundle.module.url(forResource: "digits", withExtension: "csv") else {
            throw ExperimentError("digits.csv is not beside the program")
        }
        let images = try Images(digits: String(contentsOf: file, encoding: .utf8))
        name = "UCI optical digits, 8 x 8"
        training = images[0..<trainingCount]
        test = images[trainingCount..<images.count]
    }
}

extension Images {
    /// Lines of 64 numbers from 0 to 16 and a digit.
    init(digits text: String) throws {
        let lines = text.split(whereSeparator: \.isNewline)
        var (pixels, labels): ([Float], [Int]) = ([], [])
        for line in lines {
            let numbers = line.split(separator: ",").compactMap { Int($0) }
            guard numbers.count == 65, 0..<Dataset.classes ~= numbers[64] else {
                throw ExperimentError("not 64 pixels and a digit: \(line.prefix(80))")
            }
            pixels += numbers.dropLast().map { Float($0) / 16 }
            labels.append(numbers[64])
        }
        self.init(height: 8, width: 8, pixels: pixels, labels: labels)
    }
}
